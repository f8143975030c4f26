//! Terminal, Markdown, JUnit.

use super::*;
use difyprobe::report::{TerminalStyle, terminal};
use unicode_width::UnicodeWidthStr;

fn at(width: usize) -> TerminalStyle {
    TerminalStyle { color: false, width, verbosity: 0 }
}

fn in_order(page: &str, order: &[&str]) {
    let mut rest = page;
    for wanted in order {
        let Some((_, behind)) = rest.split_once(wanted) else {
            panic!("{wanted:?} is missing or too early in\n{page}")
        };
        rest = behind;
    }
}

#[test]
fn terminal_ends_with_objectives_reasons_and_the_verdict() {
    let page = terminal::render(&load_fixture::report_of_load_alone(load_fixture::troubled()), &at(100));
    in_order(
        &page,
        &[
            "Rules under load",
            "judged 1",
            "Latency in ms",
            "e2e_sched  all",
            "later turns",
            "Stages (e2e_sched in ms)",
            "burst",
            "Requests",
            "correct",
            "failed",
            "http_429",
            "adj p99   infinite",
            "tokens",
            "USD",
            "The client",
            "arrivals dropped",
            "Validity",
            "MISSED  dropped <= 0",
            "raise max-in-flight",
            "Objectives",
            "MISSED   error_rate < 0.5%",
            "MISSED   ttft p(95) < 800ms in stage hold,recovery",
            "% beyond",
            "no data  tpot p(50) < 40ms (advisory)",
            "met ",
            "% inside",
            "- The numbers do not count",
            "- 2 of 4 objectives missed",
            "INVALID: ",
        ],
    );
}

#[test]
fn terminal_shows_rules_that_broke_with_evidence_and_counts_the_others() {
    let page = terminal::render(&load_fixture::report(load_fixture::troubled()), &at(100));
    in_order(
        &page,
        &["FAIL  chat.conversation-id.stable", "POST /v1/chat-messages", "1 failed, 1 known deviation", "11 passed"],
    );
    assert!(!page.contains("Not applicable (") && !page.contains("first-turn.creates"), "{page}");
}

#[test]
fn terminal_fits_every_width_and_never_cuts_an_objective() {
    for (name, report) in all() {
        for width in [40, 50, 80, 120] {
            let page = terminal::render(&report, &at(width));
            for line in page.lines() {
                let command = line.contains("curl ") || line.trim_start().starts_with("-H") || line.contains(" --");
                assert!(command || UnicodeWidthStr::width(line) <= width, "{name} at {width}: {line:?}");
                assert_eq!(line.trim_end(), line);
            }
            assert!(!page.contains("NaN"), "{name}");
            let words: String = page.split_whitespace().collect::<Vec<_>>().join(" ");
            for slo in report.load.iter().flat_map(|l| &l.slos) {
                assert!(words.contains(&slo.text), "{name} at {width}: {}\n{page}", slo.text);
            }
        }
    }
}

#[test]
fn terminal_colours_only_where_asked_and_lets_no_control_character_through() {
    let report = poisoned("\u{1b}[2J\u{202e}\0");
    for verbosity in [0, 1] {
        let plain = terminal::render(&report, &TerminalStyle { verbosity, ..at(100) });
        assert!(!plain.chars().any(acts));
    }
    let report = load_fixture::report(load_fixture::troubled());
    let coloured = terminal::render(&report, &TerminalStyle { color: true, ..at(100) });
    assert!(coloured.contains("\u{1b}[1;31mMISSED\u{1b}[0m") && coloured.contains("\u{1b}[32mmet\u{1b}[0m"));
}

#[test]
fn verbose_terminal_has_every_line_of_every_group() {
    let report = load_fixture::report(load_fixture::calm());
    let page = terminal::render(&report, &TerminalStyle { verbosity: 1, ..at(120) });
    let lines: usize = report.load.iter().flat_map(|l| &l.groups).map(|g| g.latency.len()).sum();
    let (_, table) = page.split_once("Latency in ms").unwrap_or_default();
    let table = table.split("\n\n").next().unwrap_or_default();
    assert_eq!(table.lines().count(), lines + 3, "{table}");
}

#[test]
fn markdown_tells_objectives_and_latency_and_keeps_its_tables_whole() {
    let page = rendered(Format::Markdown, &load_fixture::report_of_load_alone(load_fixture::troubled()));
    in_order(
        &page,
        &[
            "## difyprobe load: INVALID",
            "2 of 4 objectives missed",
            "### Objectives",
            "| **missed** | error\\_rate &lt; 0.5% | 3.",
            "| met | e2e\\_sched p\\(95\\)",
            "### Not valid",
            "raise max-in-flight",
            "### Latency in ms",
            "| e2e\\_sched | all |",
            "| ttft | later turns |",
        ],
    );
    let columns = |page: &str| -> Vec<usize> {
        page.lines().filter(|l| l.starts_with('|')).map(|l| l.replace("\\|", "").matches('|').count()).collect()
    };
    let clean = columns(&rendered(Format::Markdown, &poisoned("x")));
    for text in &corpus() {
        assert_eq!(columns(&rendered(Format::Markdown, &poisoned(text))), clean, "{text:?}");
    }
}

#[test]
fn junit_has_a_case_per_objective_and_only_red_ones_fail() {
    use quick_junit::{NonSuccessKind, TestCaseStatus};
    for report in all().into_iter().map(|(_, r)| r).chain(corpus().iter().map(|text| poisoned(text))) {
        let xml = rendered(Format::Junit, &report);
        let parsed = quick_junit::Report::deserialize_from_str(&xml).unwrap_or_else(|e| panic!("{e}\n{xml}"));
        let load = report.load.as_ref().unwrap_or_else(|| panic!("a load"));
        for (suite, slos, wanted) in
            [("slo", &load.slos, NonSuccessKind::Failure), ("validity", &load.validity, NonSuccessKind::Error)]
        {
            let cases: Vec<_> =
                parsed.test_suites.iter().filter(|s| s.name.as_str() == suite).flat_map(|s| &s.test_cases).collect();
            assert_eq!(cases.len(), slos.len());
            for (case, slo) in cases.iter().zip(slos) {
                let red = !slo.advisory && slo.state != difyprobe::metrics::summary::SloState::Met;
                match &case.status {
                    TestCaseStatus::Success { .. } => assert!(!red, "{}", slo.text),
                    TestCaseStatus::NonSuccess { kind, .. } => assert!(red && *kind == wanted, "{}", slo.text),
                    TestCaseStatus::Skipped { .. } => panic!("{}", slo.text),
                }
            }
        }
        let names: Vec<_> = parsed.test_suites.iter().flat_map(|s| &s.test_cases).map(|c| c.name.clone()).collect();
        assert!(unique(&names));
    }
}
