//! SARIF 2.1.0, for code scanning. Only what is not in order is a result: services show every result as an alert.

use super::escape::{clip, sarif as esc, visible_lines};
use super::problems::{self, Problem, Weight};
use super::run::{Place, RuleResult, RunReport, Verdict};
use super::view;
use crate::model::Level;
use serde_json::{Map, Value, json};

/// Where people read what a SARIF file may hold.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// Most results of one rule: services take some thousands of a file.
const OF_ONE: usize = 50;
/// Names of problems that are no rules, with what they mean.
const OTHERS: [(&str, &str); 5] = [
    ("scenario", "An expectation of a scenario file does not hold, or the scenario could not be run."),
    ("slo", "An objective of the load was missed."),
    ("validity", "The generator was the bottleneck: the numbers of the load do not count."),
    ("baseline", "An entry of the baseline is out of date."),
    ("verdict", "The run as a whole is not green."),
];

/// Renders the report.
pub fn render(report: &RunReport) -> Result<String, serde_json::Error> {
    let problems = problems::problems(report);
    let shown = problems::at_most(&problems, OF_ONE);
    let (ours, results): (Vec<&Problem>, Vec<&Problem>) = shown.into_iter().partition(|p| about_the_run(p));
    let mut rules: Vec<Value> = report.rules.iter().map(rule).collect();
    let others = OTHERS.iter().filter(|(name, _)| problems.iter().any(|p| p.rule.is_none() && name_of(p) == *name));
    rules.extend(others.map(|(name, text)| json!({ "id": name, "shortDescription": { "text": text } })));
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "difyprobe",
                "version": report.tool_version,
                "semanticVersion": report.tool_version,
                "rules": rules,
            }},
            "invocations": [invocation(report, &ours)],
            "automationDetails": { "id": esc(&format!("difyprobe/{}/{}", report.command, clip(&report.target.profile, 100))) },
            "columnKind": "unicodeCodePoints",
            "results": results.into_iter().map(|problem| result(report, problem)).collect::<Vec<_>>(),
            "properties": {
                "verdict": report.verdict,
                "summary": visible_lines(&clip(&problems::line(report), 1_000)),
                "outcomes": report.summary.outcomes,
                "target": visible_lines(&clip(&report.target.base_url, 500)),
            },
        }],
    });
    Ok(serde_json::to_string_pretty(&log)? + "\n")
}

/// What is no fault of the examined server: it becomes a notification of the tool.
fn about_the_run(problem: &Problem) -> bool {
    matches!(problem.weight, Weight::Broken | Weight::NotRun)
}

/// The id of a problem's rule in this file.
fn name_of<'p>(problem: &'p Problem) -> &'p str {
    match problem.rule {
        Some(rule) => &rule.id,
        None => problem.id.split('/').next().unwrap_or_default(),
    }
}

fn rule(rule: &RuleResult) -> Value {
    let level = match rule.level {
        Level::Must => "error",
        Level::Should => "warning",
        Level::May => "note",
    };
    let (title, statement) = (esc(&clip(&rule.title, 500)), esc(&clip(&rule.statement, 2_000)));
    json!({
        "id": visible_lines(&rule.id),
        "name": visible_lines(&rule.id),
        "shortDescription": { "text": if title.is_empty() { &statement } else { &title } },
        "fullDescription": { "text": statement },
        "help": { "text": format!("{statement}\nsource: {}", esc(&clip(&rule.source, 1_000))) },
        "defaultConfiguration": { "level": level },
        "properties": { "tags": [visible_lines(&rule.area)], "level": rule.level },
    })
}

fn invocation(report: &RunReport, ours: &[&Problem]) -> Value {
    let unfinished = matches!(report.verdict, Verdict::Error | Verdict::Incomplete | Verdict::Interrupted);
    let mut invocation = json!({
        "executionSuccessful": !unfinished,
        "exitCode": report.exit_code,
        "toolExecutionNotifications": ours.iter().map(|p| notification(p)).collect::<Vec<_>>(),
    });
    let started = view::started(report);
    if !started.is_empty() {
        invocation["startTimeUtc"] = started.into();
    }
    invocation
}

fn notification(problem: &Problem) -> Value {
    let level = if problem.weight == Weight::Broken { "error" } else { "warning" };
    json!({
        "level": level,
        "message": { "text": esc(&format!("{}: {}", problem.id, clip(&problem.message, 2_000))) },
        "associatedRule": { "id": visible_lines(name_of(problem)) },
    })
}

fn result(report: &RunReport, problem: &Problem) -> Value {
    let level = match problem.weight {
        Weight::Broken | Weight::Failed | Weight::NotRun | Weight::Stale => "error",
        Weight::Warned => "warning",
        Weight::Accepted => "note",
    };
    let mut text = vec![clip(&problem.message, 2_000)];
    let fields = [("app", problem.app), ("expected", problem.expected), ("actual", problem.actual)];
    let fields = fields.into_iter().filter(|(_, text)| !text.is_empty());
    text.extend(fields.map(|(label, text)| format!("{label}: {}", clip(text, 1_000))));
    let mut result = Map::new();
    let mut set = |key: &str, value: Value| result.insert(key.to_owned(), value);
    set("ruleId", visible_lines(name_of(problem)).into());
    if let Some(index) = problem.rule.and_then(|rule| report.rules.iter().position(|r| std::ptr::eq(r, rule))) {
        set("ruleIndex", index.into());
    }
    set("level", level.into());
    set("message", json!({ "text": esc(&text.join("\n")) }));
    set("locations", json!([location(problem)]));
    // The first key is the one that GitHub compares; without it a hash of the file's text would be taken.
    let fingerprint = &problem.fingerprint;
    set("partialFingerprints", json!({ "primaryLocationLineHash": fingerprint, "difyprobe/v1": fingerprint }));
    if let Some(known) = problem.known.filter(|_| problem.weight == Weight::Accepted) {
        let justification = visible_lines(&clip(known, 1_000));
        set("suppressions", json!([{ "kind": "external", "status": "accepted", "justification": justification }]));
    }
    if let Some(evidence) = problem.evidence {
        let wire: Vec<_> = evidence.wire.iter().map(|line| visible_lines(&clip(line, 500))).collect();
        let curl = visible_lines(&clip(&evidence.curl, 8_000));
        set("properties", json!({ "exchange": evidence.exchange, "wire": wire, "curl": curl }));
    }
    Value::Object(result)
}

fn location(problem: &Problem) -> Value {
    let mut location = Map::new();
    if let Some(Place { file, line, column }) = &problem.place {
        let file = uri(&clip(file.trim_start_matches("./"), 500));
        let region = json!({ "startLine": line.max(&1), "startColumn": column.max(&1) });
        location
            .insert("physicalLocation".to_owned(), json!({ "artifactLocation": { "uri": file }, "region": region }));
    }
    let name = [problem.step(), problem.app, problem.id.as_str()].into_iter().find(|name| !name.is_empty());
    let name = visible_lines(&clip(name.unwrap_or_default(), 300));
    location.insert("logicalLocations".to_owned(), json!([{ "fullyQualifiedName": name }]));
    Value::Object(location)
}

/// A path as a relative URI.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
