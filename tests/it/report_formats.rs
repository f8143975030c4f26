//! Every format tells the same: read back by readers that know nothing of how it was written.

use crate::report::fixture;
use crate::report_load;
use difyprobe::model::{Level, Outcome};
use difyprobe::report::run::{RunReport, Verdict};
use difyprobe::report::{Format, TerminalStyle, render, summary, terminal, verdict};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

type Ids = BTreeSet<String>;

/// What a reader takes from a report.
#[derive(Debug, PartialEq)]
struct Told {
    red: bool,
    /// Rules that failed.
    failed: Ids,
    /// Rules that could not be run.
    not_run: Ids,
}

fn text(format: Format, report: &RunReport) -> String {
    render(format, report).unwrap_or_else(|e| panic!("{e}"))
}

fn json(format: Format, report: &RunReport) -> Value {
    serde_json::from_str(&text(format, report)).unwrap_or_else(|e| panic!("{}: {e}", format.as_str()))
}

fn ids(texts: impl IntoIterator<Item = impl Into<String>>) -> Ids {
    texts.into_iter().map(Into::into).collect()
}

/// A report of rules with these outcomes, and of one scenario.
fn made(outcomes: &[(&str, Outcome)], scenario: Outcome, strict: bool, interrupted: bool) -> RunReport {
    let mut report = fixture::report();
    report.rules = outcomes
        .iter()
        .map(|(id, outcome)| {
            let mut rule = fixture::rule(id, "area", Level::Must, *outcome, "It holds.");
            rule.reason = Some("because".into());
            if !matches!(outcome, Outcome::Pass | Outcome::NotApplicable | Outcome::CouldNotRun) {
                rule.findings = vec![fixture::finding(id, "chat", "it does not hold", 41)];
                rule.findings[0].outcome = *outcome;
            }
            rule
        })
        .collect();
    report.scenarios.truncate(1);
    report.scenarios[0].outcome = scenario;
    if scenario != Outcome::Fail {
        report.scenarios[0].failures.clear();
    }
    report.baseline = None;
    report.strict = strict;
    let (verdict, exit_code) = verdict(&report.rules, &report.scenarios, strict, interrupted);
    report.summary = summary(verdict, &report.rules, &report.scenarios, 61, 41_234);
    RunReport { verdict, exit_code, ..report }
}

fn reports() -> Vec<(&'static str, RunReport)> {
    use Outcome::{CouldNotRun, Error, Fail, Known, KnownDeviation, NotApplicable, Pass, Skipped, Warn};
    let green = [("a.b", Pass), ("a.c", NotApplicable), ("a.d", Warn), ("a.e", KnownDeviation), ("a.f", Known)];
    vec![
        ("a run", fixture::report()),
        ("all in order", made(&[("a.b", Pass), ("a.c", Skipped)], Pass, false, false)),
        ("green with remarks", made(&green, Pass, false, false)),
        ("strict", made(&green, Pass, true, false)),
        ("failures", made(&[("a.b", Fail), ("a.c", Fail), ("a.d", Pass), ("a.e", Warn)], Pass, false, false)),
        ("a scenario failed", made(&[("a.b", Pass)], Fail, false, false)),
        ("our fault", made(&[("a.b", Error), ("a.c", Fail)], Pass, false, false)),
        ("not run", made(&[("a.b", CouldNotRun), ("a.c", Pass)], Pass, false, false)),
        ("nothing ran", made(&[("a.b", NotApplicable)], NotApplicable, false, false)),
        ("no rules", made(&[], NotApplicable, false, false)),
        ("interrupted", made(&[("a.b", Pass), ("a.c", CouldNotRun)], Pass, false, true)),
        ("interrupted early", made(&[], Pass, false, true)),
    ]
}

/// What the report itself says.
fn truth(report: &RunReport) -> Told {
    let of = |wanted: &[Outcome]| ids(report.rules.iter().filter(|r| wanted.contains(&r.outcome)).map(|r| &r.id));
    let failed: &[Outcome] = match report.strict {
        true => &[Outcome::Fail, Outcome::Error, Outcome::KnownDeviation],
        false => &[Outcome::Fail, Outcome::Error],
    };
    Told { red: report.exit_code != 0, failed: of(failed), not_run: of(&[Outcome::CouldNotRun]) }
}

fn told_by_junit(report: &RunReport) -> Told {
    use quick_junit::TestCaseStatus;
    let parsed = quick_junit::Report::deserialize_from_str(&text(Format::Junit, report)).expect("JUnit");
    let mut told = Told { red: false, failed: Ids::new(), not_run: Ids::new() };
    for case in parsed.test_suites.iter().flat_map(|s| &s.test_cases) {
        let TestCaseStatus::NonSuccess { ty, .. } = &case.status else { continue };
        told.red = true;
        let rule = report.rules.iter().any(|r| r.id == case.name.as_str());
        match ty.as_ref().map(|t| t.as_str()) {
            Some("could-not-run") if rule => told.not_run.insert(case.name.to_string()),
            _ if rule => told.failed.insert(case.name.to_string()),
            _ => false,
        };
    }
    told
}

/// A reader of TAP 14 after its grammar: version, plan, points with directives, YAML blocks, comments, bail out.
fn tap(report: &RunReport) -> (Vec<TapPoint>, bool) {
    let text = text(Format::Tap, report);
    let mut lines = text.lines().peekable();
    assert_eq!(lines.next(), Some("TAP version 14"));
    let plan = lines.next().and_then(|l| l.strip_prefix("1..")).expect("a plan").parse::<usize>().expect("a number");
    let mut points: Vec<TapPoint> = Vec::new();
    let mut bailed = false;
    while let Some(line) = lines.next() {
        assert!(!bailed, "nothing follows a bail out");
        if let Some(rest) = line.strip_prefix("not ok ").or_else(|| line.strip_prefix("ok ")) {
            let (number, rest) = rest.split_once(" - ").expect("a description");
            assert_eq!(number, (points.len() + 1).to_string());
            let (name, directive) = rest.split_once(" # ").unwrap_or((rest, ""));
            points.push(TapPoint {
                ok: line.starts_with("ok"),
                name: name.replace("\\#", "#").replace("\\\\", "\\"),
                directive: directive.split(' ').next().unwrap_or_default().to_owned(),
                severity: None,
            });
        } else if line == "  ---" {
            let block: Vec<_> = lines.by_ref().take_while(|l| *l != "  ...").collect();
            for field in &block {
                let (key, value) = field.split_once(':').expect("a field");
                assert!(value.is_empty() || serde_json::from_str::<String>(value.trim()).is_ok(), "{field}");
                if key.trim() == "- severity" {
                    points.last_mut().expect("a point").severity.get_or_insert(value.trim().replace('"', ""));
                }
            }
        } else if line.starts_with("Bail out!") {
            bailed = true;
        } else {
            assert!(line.starts_with("# "), "{line:?}");
        }
    }
    assert_eq!(points.len(), plan);
    (points, bailed)
}

#[derive(Debug)]
struct TapPoint {
    ok: bool,
    name: String,
    directive: String,
    severity: Option<String>,
}

fn told_by_tap(report: &RunReport) -> Told {
    let (points, bailed) = tap(report);
    let red: Vec<_> = points.iter().filter(|p| !p.ok && p.directive != "TODO").collect();
    let rule = |p: &&&TapPoint| report.rules.iter().any(|r| r.id == p.name);
    let not_run = |p: &&&TapPoint| p.severity.as_deref() == Some("could-not-run");
    Told {
        red: bailed || !red.is_empty(),
        failed: ids(red.iter().filter(rule).filter(|p| !not_run(p)).map(|p| &p.name)),
        not_run: ids(red.iter().filter(rule).filter(not_run).map(|p| &p.name)),
    }
}

fn strings<'v>(list: &'v Value, pick: impl Fn(&'v Value) -> Option<&'v Value>) -> Vec<String> {
    let all = list.as_array().expect("a list").iter();
    all.filter_map(pick).map(|v| v.as_str().expect("a text").to_owned()).collect()
}

fn told_by_sarif(report: &RunReport) -> Told {
    let log = json(Format::Sarif, report);
    let run = &log["runs"][0];
    let errors = strings(&run["results"], |r| (r["level"] == "error").then_some(&r["ruleId"]));
    let notes = &run["invocations"][0]["toolExecutionNotifications"];
    let of = |level: &str| strings(notes, |n| (n["level"] == level).then_some(&n["associatedRule"]["id"]));
    let (broken, not_run) = (of("error"), of("warning"));
    let rules: Ids = ids(report.rules.iter().map(|r| &r.id));
    let red = !errors.is_empty() || !broken.is_empty() || !not_run.is_empty();
    assert_eq!(run["properties"]["verdict"], json(Format::Json, report)["verdict"]);
    Told {
        red,
        failed: ids(errors.into_iter().chain(broken)).intersection(&rules).cloned().collect(),
        not_run: ids(not_run).intersection(&rules).cloned().collect(),
    }
}

fn told_by_gitlab(report: &RunReport) -> Told {
    let issues = json(Format::Gitlab, report);
    let of = |wanted: &[&str]| {
        ids(strings(&issues, |i| wanted.contains(&i["severity"].as_str().expect("a text")).then_some(&i["check_name"])))
    };
    let rules: Ids = ids(report.rules.iter().map(|r| &r.id));
    let (failed, not_run) = (of(&["blocker", "critical"]), of(&["major"]));
    Told {
        red: !failed.is_empty() || !not_run.is_empty(),
        failed: failed.intersection(&rules).cloned().collect(),
        not_run: not_run.intersection(&rules).cloned().collect(),
    }
}

/// Ids of rules in annotations of a kind.
fn annotated(page: &str, kind: &str) -> Ids {
    let of_kind = page.lines().filter(|l| l.starts_with(&format!("::{kind} ")));
    let title = |l: &str| l.split("title=").nth(1).expect("a title").split("::").next().unwrap_or("").to_owned();
    ids(of_kind.map(|l| title(l).split(" (").next().unwrap_or("").to_owned()))
}

/// What follows `start` up to `end`, wherever it occurs.
fn between(page: &str, start: &str, end: &str) -> Vec<String> {
    page.split(start).skip(1).filter_map(|rest| Some(rest.split_once(end)?.0.to_owned())).collect()
}

#[test]
fn every_format_tells_the_same_verdict_and_the_same_failing_rules() {
    for (name, report) in reports() {
        let truth = truth(&report);
        let word = difyprobe::report::verdict::word(report.verdict);
        assert_eq!(told_by_junit(&report), truth, "{name}: junit");
        assert_eq!(told_by_tap(&report), truth, "{name}: tap");
        assert_eq!(told_by_sarif(&report), truth, "{name}: sarif");
        assert_eq!(told_by_gitlab(&report), truth, "{name}: gitlab");
        let github = text(Format::Github, &report);
        let red = annotated(&github, "error");
        assert_eq!(!red.is_empty(), truth.red, "{name}: github");
        let rules: Ids = ids(report.rules.iter().map(|r| &r.id));
        let wanted: Ids = truth.failed.union(&truth.not_run).cloned().collect();
        assert_eq!(red.intersection(&rules).cloned().collect::<Ids>(), wanted, "{name}: github");
        let terminal = terminal::render(&report, &TerminalStyle::default());
        let failing = |page: &str| {
            let told = |l: &str| l.strip_prefix("FAIL  ").or_else(|| l.strip_prefix("ERROR  ")).map(str::to_owned);
            let told = page.lines().filter_map(told).filter_map(|l| l.split("  ").next().map(str::to_owned));
            ids(told).intersection(&rules).cloned().collect::<Ids>()
        };
        assert_eq!(failing(&terminal), truth.failed, "{name}: terminal");
        let markdown = text(Format::Markdown, &report);
        assert!(markdown.starts_with(&format!("## difyprobe check: {word}\n")), "{name}: {markdown:.80}");
        assert_eq!(ids(between(&markdown, "\n#### `", "` (")), truth.failed, "{name}: markdown");
        let html = text(Format::Html, &report);
        assert_eq!(between(&html, "<p class=\"verdict\">", "</p>"), [word], "{name}");
        let failures = html.split_once("<h2>Failures").map_or("", |(_, rest)| rest);
        let failures = failures.split_once("</section>").map_or("", |(section, _)| section);
        assert_eq!(ids(between(failures, "<span class=\"id\">", "</span>")), truth.failed, "{name}: html");
    }
}

#[test]
fn every_format_tells_the_same_counts() {
    for (name, report) in reports() {
        let line = report.summary.line.as_str();
        for format in [Format::Html, Format::Junit, Format::Tap, Format::Github, Format::Sarif, Format::Json] {
            assert!(text(format, &report).contains(line), "{name}: {}", format.as_str());
        }
        let markdown = text(Format::Markdown, &report);
        assert!(markdown.replace('\\', "").contains(line), "{name}: {markdown:.200}");
        let page = terminal::render(&report, &TerminalStyle::default());
        assert!(page.split_whitespace().collect::<Vec<_>>().join(" ").ends_with(line), "{name}: {page}");
        let outcomes: BTreeMap<String, u64> =
            serde_json::from_value(json(Format::Sarif, &report)["runs"][0]["properties"]["outcomes"].clone()).unwrap();
        assert_eq!(outcomes, report.summary.outcomes, "{name}");
        let of = |wanted: &[&str]| wanted.iter().filter_map(|o| outcomes.get(*o)).sum::<u64>() as usize;
        let (points, _) = tap(&report);
        let rules: Vec<_> = points.iter().take(report.rules.len()).collect();
        assert_eq!(rules.iter().filter(|p| p.ok && p.directive.is_empty()).count(), of(&["pass"]), "{name}");
        assert_eq!(
            rules.iter().filter(|p| p.directive == "SKIP").count(),
            of(&["not-applicable", "skipped"]),
            "{name}"
        );
        let parsed = quick_junit::Report::deserialize_from_str(&text(Format::Junit, &report)).expect("JUnit");
        let cases: Vec<_> = parsed.test_suites.iter().flat_map(|s| &s.test_cases).take(report.rules.len()).collect();
        let skipped = |c: &&&quick_junit::TestCase| matches!(c.status, quick_junit::TestCaseStatus::Skipped { .. });
        assert_eq!(cases.iter().filter(skipped).count(), of(&["not-applicable", "skipped"]), "{name}");
    }
}

#[test]
fn missed_objectives_and_an_overloaded_generator_are_red_in_every_format() {
    for (name, report) in report_load::all() {
        let red = report.exit_code != 0;
        for told in [told_by_junit(&report), told_by_tap(&report), told_by_sarif(&report), told_by_gitlab(&report)] {
            assert_eq!(told.red, red, "{name}: {told:?}");
        }
        assert_eq!(!annotated(&text(Format::Github, &report), "error").is_empty(), red, "{name}");
    }
    let troubled = report_load::load_fixture::report(report_load::load_fixture::troubled());
    assert!(text(Format::Github, &troubled).contains("error_rate < 0.5%25 missed"));
}

#[test]
fn sarif_validates_against_the_published_schema() {
    // That of OASIS, but for the pattern of `language`, which is no regular expression there.
    let schema: Value = serde_json::from_str(include_str!("../data/sarif-schema-2.1.0.json")).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let loads = report_load::all();
    let poisoned =
        crate::report::hostile::corpus().into_iter().map(|t| ("poisoned", crate::report::hostile::poisoned(&t)));
    for (name, report) in reports().into_iter().chain(loads).chain(poisoned) {
        let log = json(Format::Sarif, &report);
        let errors: Vec<_> = validator.iter_errors(&log).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    let mut broken = json(Format::Sarif, &fixture::report());
    broken["runs"][0]["results"][0]["level"] = "bad".into();
    assert!(!validator.is_valid(&broken), "the schema must be able to refuse");
}

#[test]
fn sarif_points_at_the_step_and_names_every_rule_once() {
    let log = json(Format::Sarif, &fixture::report());
    let run = &log["runs"][0];
    let rules = strings(&run["tool"]["driver"]["rules"], |r| Some(&r["id"]));
    assert_eq!(ids(&rules).len(), rules.len());
    let results = run["results"].as_array().expect("results");
    for result in results.iter().filter(|r| r["ruleIndex"].is_u64()) {
        assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize], result["ruleId"].as_str().unwrap());
    }
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "conformance/chat-three-turns.yaml");
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&12.into(), &5.into()));
    let accepted: Vec<_> = results.iter().filter(|r| r["suppressions"].is_array()).collect();
    assert_eq!(accepted.len(), 1, "the known deviation is there, but suppressed");
    assert_eq!(accepted[0]["ruleId"], "chat.inputs.ignored-later");
}

#[test]
fn fingerprints_are_unique_and_survive_what_changes_between_runs() {
    let prints = |report: &RunReport| {
        let sarif = json(Format::Sarif, report);
        let issues = json(Format::Gitlab, report);
        let of = |r: &'_ Value| r["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap().to_owned();
        let sarif: Vec<_> = sarif["runs"][0]["results"].as_array().unwrap().iter().map(of).collect();
        (sarif, strings(&issues, |i| Some(&i["fingerprint"])))
    };
    let report = fixture::report();
    let before = prints(&report);
    for list in [&before.0, &before.1] {
        assert!(list.len() > 3);
        assert_eq!(ids(list).len(), list.len(), "no two problems share a fingerprint");
        assert!(list.iter().all(|p| p.len() == 32 && p.bytes().all(|b| b.is_ascii_hexdigit())));
    }
    let mut later = report.clone();
    later.started_unix_ms += 86_400_000;
    later.target.base_url = "http://127.0.0.1:6001/v1".into();
    for rule in &mut later.rules {
        for finding in &mut rule.findings {
            finding.message.push_str(" (0b7d)");
            finding.actual = "another id".into();
            finding.exchanges.iter_mut().for_each(|id| *id += 1_000);
        }
    }
    for evidence in &mut later.evidence {
        evidence.exchange += 1_000;
        evidence.at.as_mut().expect("a place").line += 40;
        evidence.place = evidence.place.replace(":12:5", ":52:5");
    }
    later.scenarios[0].failures[0].exchange = Some(1_042);
    assert_eq!(prints(&later), before);
}

#[test]
fn gitlab_issues_have_what_gitlab_demands() {
    for (name, report) in reports().into_iter().chain(report_load::all()) {
        for issue in json(Format::Gitlab, &report).as_array().expect("a list") {
            for key in ["description", "check_name", "fingerprint", "severity"] {
                assert!(issue[key].as_str().is_some_and(|t| !t.is_empty()), "{name}: {issue}");
            }
            assert!(["info", "minor", "major", "critical", "blocker"].contains(&issue["severity"].as_str().unwrap()));
            let path = issue["location"]["path"].as_str().expect("a path");
            assert!(!path.is_empty() && !path.starts_with("./"), "{name}: {issue}");
            assert!(issue["location"]["lines"]["begin"].as_u64().is_some_and(|n| n > 0), "{name}: {issue}");
        }
    }
    assert_eq!(
        json(Format::Gitlab, &made(&[("a.b", Outcome::Pass)], Outcome::Pass, false, false)),
        Value::Array(vec![])
    );
}

#[test]
fn github_gets_at_most_ten_annotations_the_worst_first_each_at_its_place() {
    use Outcome::{Error, Fail, Known, Warn};
    let mut outcomes: Vec<(String, Outcome)> = (0..30).map(|n| (format!("a.w{n}"), Warn)).collect();
    outcomes.push(("a.known".into(), Known));
    outcomes.extend((0..8).map(|n| (format!("a.f{n}"), Fail)));
    outcomes.push(("a.error".into(), Error));
    let outcomes: Vec<_> = outcomes.iter().map(|(id, o)| (id.as_str(), *o)).collect();
    let page = text(Format::Github, &made(&outcomes, Outcome::Pass, false, false));
    let commands: Vec<_> = page.lines().filter(|l| l.starts_with("::")).collect();
    assert_eq!(commands.len(), 10);
    assert!(commands[0].contains("title=a.error (MUST)::"), "{page}");
    assert!(commands[1..9].iter().all(|l| l.starts_with("::error ") && l.contains("title=a.f")), "{page}");
    assert!(commands[9].starts_with("::warning "), "{page}");
    assert!(page.contains("difyprobe: 30 more problems in the other reports\n"), "{page}");
    assert!(commands[0].contains("file=conformance/chat-three-turns.yaml,line=12,col=5,"), "{page}");
    assert!(page.trim_end().lines().last().is_some_and(|l| l.starts_with("difyprobe: ERROR: 40 rules")), "{page}");
}

#[test]
fn a_run_without_an_end_bails_out_in_tap() {
    let (points, bailed) = tap(&made(&[("a.b", Outcome::Pass)], Outcome::Pass, false, true));
    assert!(bailed && points.iter().any(|p| !p.ok && p.name.starts_with("verdict INTERRUPTED")), "{points:?}");
    assert_eq!(made(&[], Outcome::Pass, false, true).verdict, Verdict::Interrupted);
}
