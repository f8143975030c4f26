//! GitLab's code quality report: a list of problems, shown in merge requests as new or fixed by their fingerprints.

use super::escape::{clip, visible_line};
use super::problems::{self, Problem, Weight};
use super::run::RunReport;
use serde_json::{Value, json};

/// Most problems of one rule: the widget lists them all.
const OF_ONE: usize = 20;

/// Renders the report; an empty list where all is in order.
pub fn render(report: &RunReport) -> Result<String, serde_json::Error> {
    let problems = problems::problems(report);
    let shown = problems::at_most(&problems, OF_ONE);
    let issues: Vec<Value> = shown.into_iter().map(issue).collect();
    Ok(serde_json::to_string_pretty(&issues)? + "\n")
}

fn issue(problem: &Problem) -> Value {
    let severity = match problem.weight {
        Weight::Broken => "blocker",
        Weight::Failed => "critical",
        Weight::NotRun | Weight::Stale => "major",
        Weight::Warned => "minor",
        Weight::Accepted => "info",
    };
    let app = if problem.app.is_empty() { String::new() } else { format!(" (on {})", clip(problem.app, 100)) };
    let description = format!("{}: {}{app}", clip(&problem.id, 200), clip(&problem.message, 1_000));
    // A place is demanded. What no step shows is said of the suite as a whole.
    let (path, line) = match &problem.place {
        Some(place) => (place.file.trim_start_matches("./"), place.line),
        None => ("difyprobe", 1),
    };
    json!({
        "description": visible_line(&description),
        "check_name": visible_line(&clip(&problem.id, 200)),
        "fingerprint": problem.fingerprint,
        "severity": severity,
        "location": { "path": visible_line(&clip(path, 500)), "lines": { "begin": line.max(1) } },
    })
}
