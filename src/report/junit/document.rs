//! The XML of JUnit, as the schema of Jenkins' xUnit plugin has it: that is what CI servers agree on.

use crate::report::escape::{clip, xml};
use crate::report::run::RunReport;
use crate::report::{problems, verdict, view};
use std::fmt::Write as _;

/// Cases that belong together. All text is raw.
pub struct Suite {
    pub name: String,
    pub cases: Vec<Case>,
}

/// One test case.
pub struct Case {
    pub name: String,
    pub class: String,
    pub elapsed_ms: Option<u64>,
    pub state: State,
    /// `system-out`.
    pub out: String,
    /// `system-err`.
    pub err: String,
}

/// What became of a case.
pub enum State {
    Passed,
    Skipped(String),
    Failure(Problem),
    Error(Problem),
}

/// Why a case is red.
pub struct Problem {
    kind: String,
    message: String,
    text: String,
}

impl Case {
    pub fn new(name: String, class: &str, state: State) -> Case {
        let (out, err) = (String::new(), String::new());
        Case { name, class: class.to_owned(), elapsed_ms: None, state, out, err }
    }
}

impl Problem {
    pub fn new(kind: &str, message: &str, text: String) -> Problem {
        Problem { kind: kind.to_owned(), message: clip(message, 500), text }
    }
}

/// For an attribute: its line ends would be read as spaces.
fn attribute(text: &str) -> String {
    xml(text).replace('\n', "&#10;")
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// The document. The first suite carries the verdict as a property.
pub fn write(report: &RunReport, suites: &[Suite]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all = || suites.iter().flat_map(|suite| &suite.cases);
    let _ = writeln!(
        out,
        "<testsuites name=\"{}\" time=\"{}\" {}>",
        attribute(&format!("difyprobe {}", report.command)),
        seconds(report.elapsed_ms),
        counts(all()),
    );
    for (number, suite) in suites.iter().enumerate() {
        let cases = suite.cases.iter();
        let skipped = cases.clone().filter(|c| matches!(c.state, State::Skipped(_))).count();
        let counts = counts(cases);
        let name = attribute(&suite.name);
        let timestamp = view::started(report);
        let timestamp = if timestamp.is_empty() { timestamp } else { format!(" timestamp=\"{timestamp}\"") };
        let _ = writeln!(out, "  <testsuite name=\"{name}\" {counts} skipped=\"{skipped}\"{timestamp}>");
        if number == 0 {
            properties(&mut out, report);
        }
        suite.cases.iter().for_each(|case| write_case(&mut out, case));
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn counts<'c>(cases: impl Iterator<Item = &'c Case> + Clone) -> String {
    let count = |wanted: fn(&State) -> bool| cases.clone().filter(|c| wanted(&c.state)).count();
    let failures = count(|state| matches!(state, State::Failure(_)));
    let errors = count(|state| matches!(state, State::Error(_)));
    format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", count(|_| true))
}

fn properties(out: &mut String, report: &RunReport) {
    let properties = [
        ("verdict", verdict::word(report.verdict).to_owned()),
        ("exit-code", report.exit_code.to_string()),
        ("summary", problems::line(report)),
        ("target", report.target.base_url.clone()),
        ("profile", report.target.profile.clone()),
    ];
    out.push_str("    <properties>\n");
    for (name, value) in properties {
        let _ = writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", attribute(&clip(&value, 1_000)));
    }
    out.push_str("    </properties>\n");
}

fn write_case(out: &mut String, case: &Case) {
    let time = case.elapsed_ms.map(|ms| format!(" time=\"{}\"", seconds(ms))).unwrap_or_default();
    let (name, class) = (attribute(&case.name), attribute(&case.class));
    let head = format!("    <testcase name=\"{name}\" classname=\"{class}\"{time}");
    if matches!(case.state, State::Passed) && case.out.is_empty() && case.err.is_empty() {
        let _ = writeln!(out, "{head}/>");
        return;
    }
    let _ = writeln!(out, "{head}>");
    match &case.state {
        State::Passed => {}
        State::Skipped(why) => {
            let _ = writeln!(out, "      <skipped message=\"{}\"/>", attribute(&clip(why, 500)));
        }
        State::Failure(problem) => red(out, "failure", problem),
        State::Error(problem) => red(out, "error", problem),
    }
    for (tag, text) in [("system-out", &case.out), ("system-err", &case.err)] {
        if !text.is_empty() {
            let _ = writeln!(out, "      <{tag}>{}</{tag}>", xml(&clip(text, 20_000)));
        }
    }
    out.push_str("    </testcase>\n");
}

fn red(out: &mut String, tag: &str, problem: &Problem) {
    let (kind, message, text) = (attribute(&problem.kind), attribute(&problem.message), xml(&problem.text));
    let _ = writeln!(out, "      <{tag} type=\"{kind}\" message=\"{message}\">{text}</{tag}>");
}
