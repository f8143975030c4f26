//! Two examinations of the same scenarios -> what differs between the servers.

use crate::canonical::{Options, Text};
use crate::difference::{Differences, Group, Ignore, Kind, Shown, Step, Told, compare};
use crate::flow::not_applicable;
use crate::model::endpoint::PATTERNS;
use crate::model::{Exchange, FaultClass, Outcome, Route, Transcript};
use crate::report::difference::{
    Compared, DIFF_SCHEMA, DiffReport, DiffVerdict, Found, Ignored, IgnoredPath, Side, latency,
};
use crate::report::evidence;
use crate::report::matrix::Matrix;
use crate::report::run::{Evidence, RunReport, Verdict};
use crate::report::units::count;
use crate::scenario::ast::Scenario;
use crate::snapshot::told;
use std::sync::Arc;

/// One of the two servers: what was recorded, and its report.
#[derive(Clone, Copy)]
pub struct Examined<'e> {
    /// The recording.
    pub transcript: &'e Transcript,
    /// The report of it.
    pub report: &'e RunReport,
}

/// How two servers are compared.
pub struct Wanted<'w> {
    /// The scenarios that were run; what their files say about a step decides how it is compared.
    pub scenarios: &'w [Arc<Scenario>],
    /// How texts of a model are compared.
    pub text: Text,
    /// Values that are left out.
    pub ignore: &'w Ignore,
    /// Kinds of differences that are left out.
    pub kinds: &'w [Kind],
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// Compares two examinations.
pub fn build(a: Examined<'_>, b: Examined<'_>, wanted: Wanted<'_>) -> DiffReport {
    let interrupted = [a, b].iter().any(|side| side.report.verdict == Verdict::Interrupted);
    let ((left_a, on_a), (left_b, on_b)) = (wanted.ignore.apply(a.transcript), wanted.ignore.apply(b.transcript));
    // What an interrupt of ours cut short tells nothing about the server, nor does what was not sent any more.
    let steps = |left: &Transcript| steps(left, wanted.scenarios, wanted.text);
    let mut found = match interrupted {
        true => compare(&steps(&without_cancelled(left_a)), &steps(&without_cancelled(left_b))),
        false => compare(&steps(&left_a), &steps(&left_b)),
    };
    if interrupted {
        found.groups.retain(|group| group.kind != Kind::Unsent);
        (found.only_a, found.only_b) = (Vec::new(), Vec::new());
    }
    let uncompared = uncompared(&found, a, b, wanted.scenarios);
    let (ignored, groups): (Vec<Group>, Vec<Group>) =
        std::mem::take(&mut found.groups).into_iter().partition(|group| wanted.kinds.contains(&group.kind));
    let rules = Matrix::of(&[("A".to_owned(), a.report), ("B".to_owned(), b.report)]);
    // What is left out on purpose may be all that such a rule complains about.
    let whole = ignored.is_empty() && on_a.iter().chain(&on_b).all(|matched| *matched == 0);
    let worse = whole && rules.changes.iter().any(|change| !change.newly_failing.is_empty());
    let verdict = match (interrupted, groups.is_empty() && !worse) {
        (true, _) => DiffVerdict::Interrupted,
        (false, false) => DiffVerdict::Different,
        (false, true) if uncompared.is_empty() && found.exchanges > 0 => DiffVerdict::Equal,
        (false, true) => DiffVerdict::Incomplete,
    };
    let paths = wanted.ignore.texts().zip(on_a.into_iter().zip(on_b));
    let paths = paths.map(|(path, (on_a, on_b))| IgnoredPath { path: path.to_owned(), on_a, on_b }).collect();
    DiffReport {
        schema: DIFF_SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        a: side(a.report),
        b: side(b.report),
        verdict,
        exit_code: verdict.exit_code(),
        summary: summary(verdict, &groups, &found, &uncompared, &rules),
        compared: Compared { scenarios: found.scenarios, exchanges: found.exchanges, equal: found.equal },
        groups: groups.into_iter().map(|group| with_wire(group, a.transcript, b.transcript)).collect(),
        ignored: Ignored { paths, groups: ignored },
        uncompared,
        rules,
        latency: latency(&a.report.latency, &b.report.latency),
        notes: wanted.notes,
    }
}

fn without_cancelled(mut transcript: Transcript) -> Transcript {
    transcript.exchanges.retain(|e| e.fault.as_ref().is_none_or(|fault| fault.class != FaultClass::Cancelled));
    transcript
}

fn steps(transcript: &Transcript, scenarios: &[Arc<Scenario>], text: Text) -> Vec<Step> {
    #[allow(clippy::needless_update)] // further choices keep their defaults
    let options = Options { text, ..Options::default() };
    let steps = told(transcript, scenarios, options);
    let step = |step: crate::snapshot::ToldStep<'_>| {
        let first = step.exchanges.first()?;
        let (origin, app) = (&first.origin, first.app.clone());
        let exchanges = step.exchanges.iter().zip(&step.routes).zip(step.texts);
        let told = exchanges.map(|((e, route), text)| Told { exchange: e.id, operation: operation(e, route), text });
        Some(Step {
            scenario: origin.scenario.clone(),
            step: origin.step.clone(),
            app,
            place: format!("{}:{}:{}", origin.file, origin.line, origin.column),
            told: told.collect(),
        })
    };
    steps.into_iter().filter_map(step).collect()
}

/// `DELETE /conversations/{id}`; of what is no documented operation the path as it was sent.
fn operation(exchange: &Exchange, route: &Route) -> String {
    let method = &exchange.request.method;
    let known = PATTERNS.iter().find(|(verb, _, endpoint)| verb == method && *endpoint == route.endpoint);
    match known {
        Some((_, pattern, _)) => format!("{method} /{}", pattern.replace('*', "{id}")),
        None => format!("{method} {}", exchange.request.path()),
    }
}

fn side(report: &RunReport) -> Side {
    Side { target: report.target.clone(), requests: report.summary.requests, summary: report.summary.line.clone() }
}

fn with_wire(group: Group, a: &Transcript, b: &Transcript) -> Found {
    let wire = |shown: &Shown, transcript: &Transcript| -> Option<Evidence> {
        Some(evidence(transcript.exchange(shown.exchange?)?, &transcript.base_url))
    };
    let (wire_a, wire_b) = (wire(&group.example.a, a), wire(&group.example.b, b));
    Found { group, wire_a, wire_b }
}

/// What could not be compared, in lines, with the reasons.
fn uncompared(found: &Differences, a: Examined<'_>, b: Examined<'_>, scenarios: &[Arc<Scenario>]) -> Vec<String> {
    let mut lines = Vec::new();
    one_sided(&mut lines, &found.only_a, ("A", "B"), b.transcript, scenarios);
    one_sided(&mut lines, &found.only_b, ("B", "A"), a.transcript, scenarios);
    for (name, side) in [("A", a), ("B", b)] {
        let stuck = |outcome| matches!(outcome, Outcome::CouldNotRun | Outcome::Error);
        for scenario in side.report.scenarios.iter().filter(|s| stuck(s.outcome)) {
            let reason = scenario.reason.as_deref().unwrap_or("it broke off");
            lines.push(format!("scenario {} on {} could not be run on {name}: {reason}", scenario.id, scenario.app));
        }
    }
    if found.exchanges == 0 {
        lines.push("there is no step that both sides ran".to_owned());
    }
    lines
}

fn one_sided(
    lines: &mut Vec<String>,
    only: &[(String, String)],
    (here, there): (&str, &str),
    other: &Transcript,
    scenarios: &[Arc<Scenario>],
) {
    let mut apps: Vec<(&str, u64)> = Vec::new();
    for (scenario, app) in only {
        let Some(found) = other.app(app) else {
            match apps.iter_mut().find(|(name, _)| name == app) {
                Some((_, count)) => *count += 1,
                None => apps.push((app, 1)),
            }
            continue;
        };
        let file = scenarios.iter().find(|s| s.id == *scenario);
        let why = file.and_then(|file| not_applicable(file, found));
        let why = why.map(|why| format!(": on {there} {why}")).unwrap_or_default();
        lines.push(format!("scenario {scenario} on {app} ran on {here} only{why}"));
    }
    for (app, scenarios) in apps {
        lines.push(format!("app {app} is there on {here} only: {} not compared", count(scenarios, "scenario")));
    }
}

/// The line that closes the report.
fn summary(
    verdict: DiffVerdict,
    groups: &[Group],
    found: &Differences,
    uncompared: &[String],
    rules: &Matrix,
) -> String {
    let word = verdict.word();
    let compared = count(found.exchanges, "exchange");
    let mut parts = match groups.is_empty() {
        true => vec![format!("no difference in {compared}")],
        false => {
            let times = groups.iter().map(|group| group.count).sum();
            let groups = count(groups.len() as u64, "group");
            vec![format!("{} in {groups}, {compared} compared", count(times, "difference"))]
        }
    };
    let but = if groups.is_empty() && verdict == DiffVerdict::Different { "but " } else { "" };
    for change in &rules.changes {
        let counts = [(&change.newly_failing, "failing on B only"), (&change.fixed, "failing on A only")];
        let told = counts.into_iter().filter(|(rules, _)| !rules.is_empty());
        parts.extend(told.map(|(rules, word)| format!("{but}{} {word}", count(rules.len() as u64, "rule"))));
    }
    if !uncompared.is_empty() {
        parts.push(format!("{} not compared", count(uncompared.len() as u64, "item")));
    }
    format!("{word}: {}", parts.join(", "))
}
