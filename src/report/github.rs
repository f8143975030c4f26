//! Workflow commands of GitHub Actions: annotations at the places of scenario files, worst first.

use super::escape::{clip, github_data, github_property, terminal};
use super::problems::{self, Problem, Weight};
use super::run::RunReport;
use super::units;

/// GitHub shows ten annotations of a kind per step; with more, which ones is chance.
const ANNOTATIONS: usize = 10;

/// Renders the report: one line per rule, at most ten, then the verdict as a plain line.
pub fn render(report: &RunReport) -> String {
    let problems = problems::problems(report);
    let mut told: Vec<(&Problem, usize)> = Vec::new();
    for problem in &problems {
        match told.iter_mut().find(|(first, _)| same(first, problem)) {
            Some((_, more)) => *more += 1,
            None => told.push((problem, 0)),
        }
    }
    let mut out = String::new();
    told.iter().take(ANNOTATIONS).for_each(|(problem, more)| out.push_str(&annotation(problem, *more)));
    if told.len() > ANNOTATIONS {
        let more = units::count((told.len() - ANNOTATIONS) as u64, "more problem");
        out.push_str(&format!("difyprobe: {more} in the other reports\n"));
    }
    // Behind a word of ours: a line that begins with `::` would be a command.
    out.push_str(&format!("difyprobe: {}\n", terminal(&problems::line(report))));
    out
}

/// Whether two problems share an annotation.
fn same(a: &Problem, b: &Problem) -> bool {
    a.id == b.id && a.app == b.app && (a.rule.is_some() || a.expected == b.expected)
}

fn annotation(problem: &Problem, more: usize) -> String {
    let command = match problem.weight {
        Weight::Broken | Weight::Failed | Weight::NotRun | Weight::Stale => "error",
        Weight::Warned => "warning",
        Weight::Accepted => "notice",
    };
    let mut properties = Vec::new();
    if let Some(place) = &problem.place {
        let (file, line, column) = (github_property(&clip(&place.file, 200)), place.line, place.column.max(1));
        properties.push(format!("file={file},line={line},col={column}"));
    }
    let level = problem.rule.map(|rule| format!(" ({})", rule.level.as_str().to_uppercase())).unwrap_or_default();
    properties.push(format!("title={}", github_property(&clip(&format!("{}{level}", problem.id), 200))));
    let mut text = vec![clip(&problem.message, 500)];
    let fields = [("app", problem.app), ("expected", problem.expected), ("actual", problem.actual)];
    let known = [("known", problem.known.unwrap_or_default())];
    let fields = fields.into_iter().chain(known).filter(|(_, text)| !text.is_empty());
    text.extend(fields.map(|(label, text)| format!("{label}: {}", clip(text, 300))));
    if more > 0 {
        text.push(format!("and {}", units::count(more as u64, "more violation")));
    }
    let lines: Vec<_> = text.iter().map(|line| github_data(line)).collect();
    format!("::{command} {}::{}\n", properties.join(","), lines.join("%0A"))
}
