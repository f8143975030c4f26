//! Renderings of one report, realistic and hostile.

use difyprobe::model::Outcome;
use difyprobe::report::run::RunReport;
use difyprobe::report::{Format, TerminalStyle, json_schema, render, terminal};
use std::collections::HashSet;

pub mod fixture;
pub mod hostile;

use hostile::{acts, corpus, poisoned};

fn at(width: usize) -> TerminalStyle {
    TerminalStyle { color: false, width, verbosity: 0 }
}

fn rendered(format: Format, report: &RunReport) -> String {
    render(format, report).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn terminal_page_fits_its_width_and_has_no_trailing_spaces() {
    let report = fixture::report();
    for width in [40, 50, 60, 80, 100] {
        let page = terminal::render(&report, &at(width));
        for line in page.lines() {
            assert_eq!(line.trim_end(), line, "trailing space at width {width}");
            // Commands are for copying and stay in one piece.
            let command =
                line.contains("curl ") || line.trim_start().starts_with("--") || line.trim_start().starts_with("-H");
            assert!(command || unicode_width::UnicodeWidthStr::width(line) <= width, "{width}: {line:?}");
        }
        assert!(!page.contains('\u{1b}'));
    }
}

#[test]
fn terminal_page_tells_failures_first_with_evidence_and_the_verdict_last() {
    let page = terminal::render(&fixture::report(), &at(100));
    let order = [
        "FAIL  chat.conversation-id.stable  MUST",
        "All events of one stream",
        "openapi_service.json",
        "the conversation_id changes within the stream",
        "one conversation_id over all events",
        "7b0c1d52-0000-4d0e-9f2b-8f2f5d7f6c11 on event 3",
        "conformance/chat-three-turns.yaml:12:5",
        "> POST /v1/chat-messages",
        "* #3 +1284.2 ms",
        "! cut after 1.4 s",
        "difyprobe check --base-url",
        "curl -sS",
        "Bearer $DIFY_API_KEY",
        "Known deviations (1)",
        "PR #7955",
        "Warnings (1)",
        "Could not be run (1)",
        "the stream ended before the stop could be sent",
        "Rules by area",
        "authentication  5 passed",
        "Not applicable (4)",
        "4 rules: Dify offers human input",
        "Latency in ms",
        "1379",
        "Notes",
        "FAIL: 18 rules",
    ];
    let mut rest = page.as_str();
    for wanted in order {
        let Some((_, behind)) = rest.split_once(wanted) else {
            panic!("{wanted:?} is missing or too early in\n{page}")
        };
        rest = behind;
    }
    assert!(rest.ends_with("61 requests in 41.2 s\n"), "the summary comes last");
}

#[test]
fn colour_is_the_only_difference_between_plain_and_coloured_pages() {
    let report = fixture::report();
    let coloured = terminal::render(&report, &TerminalStyle { color: true, ..at(80) });
    assert!(coloured.contains("\u{1b}[1;31m"));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, code)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = code.split_once('m').map_or("", |(_, behind)| behind);
    }
    plain.push_str(rest);
    assert_eq!(plain, terminal::render(&report, &at(80)));
}

#[test]
fn verbose_page_names_every_rule_and_every_latency_row() {
    let report = fixture::report();
    let page = terminal::render(&report, &TerminalStyle { verbosity: 1, ..at(100) });
    for rule in &report.rules {
        assert!(page.contains(&rule.id), "{}", rule.id);
    }
    let rows = |page: &str| page.lines().filter(|l| l.trim_start().starts_with("e2e ")).count();
    assert!(rows(&page) > rows(&terminal::render(&report, &at(100))), "rows over all turns come with verbosity");
}

#[test]
fn hostile_text_acts_on_no_reader_of_any_format() {
    for text in &corpus() {
        let report = poisoned(text);
        for width in [50, 100] {
            let page = terminal::render(&report, &TerminalStyle { verbosity: 1, ..at(width) });
            assert!(!page.chars().any(acts), "terminal: {text:?}");
        }
        for format in Format::ALL.into_iter().filter(|f| *f != Format::Json) {
            let page = rendered(format, &report);
            assert!(!page.chars().any(acts), "{}: {text:?}", format.as_str());
        }
    }
}

#[test]
fn hostile_text_adds_no_markup_to_html() {
    let tags = |page: &str| -> Vec<String> {
        let rest = page.split('<').skip(1);
        rest.map(|tag| tag.split('>').next().unwrap_or("").to_owned()).collect()
    };
    let clean = tags(&rendered(Format::Html, &fixture::report()));
    for text in &corpus() {
        assert_eq!(tags(&rendered(Format::Html, &poisoned(text))), clean, "{text:?}");
    }
}

#[test]
fn html_page_needs_no_network_and_forbids_it() {
    let page = rendered(Format::Html, &fixture::report());
    assert!(page.contains("default-src 'none'"));
    assert_eq!(page.matches("<script").count(), 1);
    for reference in [" src=", " href=", "@import", "url("] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert!(!page.contains(" style="), "inline styles would break the policy");
    let order =
        ["class=\"verdict\">FAIL", "chat.conversation-id.stable", "Known deviations", "Rules by area", "Latency"];
    let places: Vec<_> = order.iter().filter_map(|text| page.find(text)).collect();
    assert!(places.len() == order.len() && places.is_sorted(), "{places:?}");
}

#[test]
fn markdown_structure_is_the_same_for_hostile_text() {
    let outline = |page: &str| -> Vec<String> {
        let mut fence: Option<String> = None;
        let mut outline = Vec::new();
        for line in page.lines() {
            let ticks: String = line.chars().take_while(|c| *c == '`').collect();
            match &fence {
                Some(open) if line.trim_end() == open => fence = None,
                None if ticks.len() >= 3 => fence = Some(ticks),
                None if line.starts_with('#') || line.starts_with('<') => {
                    outline.push(line.split(' ').next().unwrap_or("").to_owned())
                }
                None if line.starts_with('|') => {
                    outline.push(format!("row {}", line.replace("\\|", "").matches('|').count()));
                }
                _ => {}
            }
        }
        assert_eq!(fence, None, "an open code block");
        outline
    };
    let clean = outline(&rendered(Format::Markdown, &fixture::report()));
    assert!(clean.len() > 10);
    for text in &corpus() {
        assert_eq!(outline(&rendered(Format::Markdown, &poisoned(text))), clean, "{text:?}");
    }
}

#[test]
fn junit_has_one_uniquely_named_case_per_rule_with_its_status() {
    for report in std::iter::once(fixture::report()).chain(corpus().iter().map(|text| poisoned(text))) {
        let xml = rendered(Format::Junit, &report);
        let parsed = quick_junit::Report::deserialize_from_str(&xml).unwrap_or_else(|e| panic!("{e}\n{xml}"));
        let cases: Vec<_> = parsed.test_suites.iter().flat_map(|s| &s.test_cases).collect();
        let entries = report.baseline.as_ref().map_or(0, |b| b.entries.len());
        assert_eq!(cases.len(), report.rules.len() + report.scenarios.len() + entries);
        let names: HashSet<_> = cases.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
        for (case, rule) in cases.iter().zip(&report.rules) {
            use quick_junit::{NonSuccessKind, TestCaseStatus};
            let status = match &case.status {
                TestCaseStatus::Success { .. } => "green",
                TestCaseStatus::Skipped { .. } => "skipped",
                TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. } => "failure",
                TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, .. } => "error",
            };
            let wanted = match rule.outcome {
                Outcome::Pass | Outcome::Warn | Outcome::KnownDeviation | Outcome::Known => "green",
                Outcome::NotApplicable | Outcome::Skipped => "skipped",
                Outcome::Fail => "failure",
                Outcome::CouldNotRun | Outcome::Error => "error",
            };
            assert_eq!(status, wanted, "{}", rule.id);
            let told = matches!(rule.outcome, Outcome::Warn | Outcome::KnownDeviation | Outcome::Known);
            assert_eq!(case.system_out.is_some(), told, "{}", rule.id);
        }
    }
}

#[test]
fn junit_numbers_repeated_names() {
    let mut report = fixture::report();
    report.rules.iter_mut().for_each(|r| r.id = "same".into());
    let xml = rendered(Format::Junit, &report);
    assert!(xml.contains("name=\"same\"") && xml.contains("name=\"same #18\""));
}

#[test]
fn megabyte_lines_are_clipped_for_people() {
    let report = poisoned(&"x".repeat(1_000_000));
    assert!(rendered(Format::Markdown, &report).len() < 1_000_000, "a CI step summary takes 1 MiB");
    let page = terminal::render(&report, &at(80));
    assert!(page.len() < 1_000_000, "{}", page.len());
    assert!(page.contains("more characters"));
}

#[test]
fn json_report_validates_against_the_checked_in_schema() {
    let text = include_str!("../../schemas/report.schema.json");
    let schema: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}"));
    let validator = jsonschema::validator_for(&schema).unwrap_or_else(|e| panic!("{e}"));
    let report = poisoned("\u{1b}\0\u{202e}");
    let json: serde_json::Value =
        serde_json::from_str(&rendered(Format::Json, &report)).unwrap_or_else(|e| panic!("{e}"));
    let errors: Vec<_> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let mut broken = json.clone();
    broken["rules"][0]["outcome"] = "fine".into();
    assert!(!validator.is_valid(&broken), "the schema must be able to refuse");
    let back: RunReport = serde_json::from_value(json).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(back, report);
}

#[test]
fn checked_in_schema_is_the_generated_one() {
    let generated = serde_json::to_string_pretty(&json_schema()).unwrap_or_default() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/report.schema.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &generated).unwrap_or_else(|e| panic!("{e}"));
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(stored == generated, "run the tests once with UPDATE_GOLDEN=1 and review the difference");
}

#[test]
fn formats_parse_by_name() {
    for format in Format::ALL {
        assert_eq!(format.as_str().parse(), Ok(format));
    }
    assert!("pdf".parse::<Format>().is_err());
}

#[test]
fn every_format_tells_which_entries_of_the_baseline_are_out_of_date_and_what_to_paste() {
    let report = fixture::report();
    let terminal = terminal::render(&report, &at(100));
    assert!(terminal.contains("5 entries: 1 used, 1 idle, 1 unused, 1 expired, 1 unknown rule"), "{terminal}");
    assert!(terminal.contains("\n  - rule: a.b\n    app: chat\n"), "{terminal}");
    let markdown = rendered(Format::Markdown, &report);
    let html = rendered(Format::Html, &report);
    for line in [5, 6, 7] {
        let place = format!("known.yaml:{line}");
        assert!([&terminal, &markdown, &html].iter().all(|text| text.contains(&place)), "{place}");
    }
    assert!(html.contains("  - rule: a.b\n    app: chat\n") && markdown.contains("  - rule: a.b\n    app: chat\n"));
    let junit = rendered(Format::Junit, &report);
    assert_eq!(junit.matches("type=\"stale-baseline\"").count(), 3, "{junit}");
    let read: RunReport = serde_json::from_str(&rendered(Format::Json, &report)).expect("JSON");
    assert_eq!(read.baseline, report.baseline);
}
