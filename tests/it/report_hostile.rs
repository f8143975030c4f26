//! Text of a hostile server in every format: it is shown, and does nothing.

use crate::report::fixture;
use crate::report::hostile::{corpus, poisoned};
use crate::report_load;
use difyprobe::report::run::RunReport;
use difyprobe::report::{Format, TerminalStyle, render, terminal};
use pulldown_cmark::{Event, Options, Parser, Tag};

fn text(format: Format, report: &RunReport) -> String {
    render(format, report).unwrap_or_else(|e| panic!("{e}"))
}

/// Reports of checks and loads with each text of the corpus.
fn all_poisoned() -> impl Iterator<Item = (String, RunReport)> {
    corpus().into_iter().flat_map(|text| {
        let (check, load) = (poisoned(&text), report_load::poisoned(&text));
        [(text.clone(), check), (text, load)]
    })
}

#[test]
fn no_line_of_a_log_is_a_command_of_a_ci_server() {
    for (what, report) in all_poisoned() {
        for width in [40, 100] {
            let page = terminal::render(&report, &TerminalStyle { width, verbosity: 1, color: false });
            for line in page.lines() {
                assert!(!line.trim_start().starts_with("::"), "{what:?}: {line:?}");
                let anywhere = ["##[", "##vso[", "##teamcity["];
                assert!(!anywhere.iter().any(|start| line.contains(start)), "{what:?}: {line:?}");
            }
        }
    }
}

#[test]
fn a_wrapped_line_begins_no_command_either() {
    let mut report = fixture::report();
    let row = "::error file=x::fake ";
    for lead in 0..30 {
        let message = format!("{}{}", "x".repeat(lead), format!(" {row}").repeat(20));
        report.rules.iter_mut().flat_map(|r| &mut r.findings).for_each(|f| f.message = message.clone());
        let page = terminal::render(&report, &TerminalStyle { width: 60, ..TerminalStyle::default() });
        assert!(page.contains("error file=x"));
        assert!(!page.lines().any(|l| l.trim_start().starts_with("::")), "{page}");
    }
}

#[test]
fn github_annotations_are_as_many_as_without_hostile_text_and_name_the_same_places() {
    let commands = |report: &RunReport| -> Vec<(String, usize)> {
        let page = text(Format::Github, report);
        let commands = page.lines().filter(|l| l.trim_start().starts_with("::"));
        let shape = |line: &str| {
            let (head, _) = line.strip_prefix("::").and_then(|l| l.split_once("::")).expect("a command");
            let (kind, properties) = head.split_once(' ').expect("properties");
            (kind.to_owned(), properties.matches(',').count())
        };
        commands.map(shape).collect()
    };
    let (check, load) = (commands(&poisoned("x")), commands(&report_load::poisoned("x")));
    assert!(check.len() > 3 && load.len() > 1);
    for text in corpus() {
        assert_eq!(commands(&poisoned(&text)), check, "{text:?}");
        assert_eq!(commands(&report_load::poisoned(&text)), load, "{text:?}");
    }
}

#[test]
fn tap_has_the_same_lines_for_hostile_text() {
    let outline = |report: &RunReport| -> Vec<String> {
        let page = text(Format::Tap, report);
        let kind = |line: &str| {
            let directive = line.replace("\\\\", "").replace("\\#", "").matches('#').count();
            let start: String = line.chars().take_while(|c| c.is_ascii_alphabetic() || " -#.".contains(*c)).collect();
            match line.starts_with("  ") {
                true => line.split(':').next().unwrap_or_default().to_owned(),
                false => format!("{} {directive}", start.split(' ').next().unwrap_or_default()),
            }
        };
        page.lines().map(kind).collect()
    };
    let (check, load) = (outline(&poisoned("x")), outline(&report_load::poisoned("x")));
    for text in corpus() {
        assert_eq!(outline(&poisoned(&text)), check, "{text:?}");
        assert_eq!(outline(&report_load::poisoned(&text)), load, "{text:?}");
    }
}

/// What Markdown makes of a page: everything but text and code, which cannot do anything.
fn structure(page: &str) -> Vec<String> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_FOOTNOTES;
    let shape = |event: Event| match event {
        Event::Text(_) | Event::Code(_) | Event::SoftBreak => None,
        Event::Start(Tag::CodeBlock(_)) => Some("code block".to_owned()),
        Event::Html(html) | Event::InlineHtml(html) => {
            let known = ["<details><summary>", "</details>", "<summary>", "</summary>", "<details>"];
            assert!(known.iter().any(|tag| html.trim().starts_with(tag)), "{html:?}");
            Some("ours".to_owned())
        }
        Event::Start(tag @ (Tag::Link { .. } | Tag::Image { .. } | Tag::FootnoteDefinition(_))) => panic!("{tag:?}"),
        Event::InlineMath(_) | Event::DisplayMath(_) | Event::TaskListMarker(_) => panic!("{event:?}"),
        other => Some(format!("{other:?}")),
    };
    Parser::new_ext(page, options).filter_map(shape).collect()
}

#[test]
fn markdown_keeps_its_structure_and_gets_no_link_image_or_html() {
    let (check, load) = (
        structure(&text(Format::Markdown, &poisoned("x"))),
        structure(&text(Format::Markdown, &report_load::poisoned("x"))),
    );
    assert!(check.len() > 100 && load.len() > 50);
    for hostile in corpus() {
        assert_eq!(structure(&text(Format::Markdown, &poisoned(&hostile))), check, "{hostile:?}");
        assert_eq!(structure(&text(Format::Markdown, &report_load::poisoned(&hostile))), load, "{hostile:?}");
    }
}

#[test]
fn markdown_text_outside_code_mentions_nobody_and_refers_to_nothing() {
    let signs = regex::Regex::new(r#"(^|\W)(@\w|#\d|GH-\d|!\d|~\w|%\d)|https?://|www\.\w"#).expect("a pattern");
    for (_, report) in all_poisoned() {
        let page = text(Format::Markdown, &report);
        let mut in_code = false;
        for event in Parser::new_ext(&page, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::CodeBlock(_)) => in_code = true,
                Event::End(pulldown_cmark::TagEnd::CodeBlock) => in_code = false,
                Event::Text(_) if in_code => {}
                Event::Text(shown) => assert!(!signs.is_match(&shown), "{shown:?}"),
                _ => {}
            }
        }
    }
}

#[test]
fn xml_has_no_more_elements_for_hostile_text_and_holds_it_whole() {
    for hostile in corpus() {
        let xml = text(Format::Junit, &poisoned(&hostile));
        let parsed = quick_junit::Report::deserialize_from_str(&xml).unwrap_or_else(|e| panic!("{hostile:?}: {e}"));
        let clean = quick_junit::Report::deserialize_from_str(&text(Format::Junit, &poisoned("x"))).expect("JUnit");
        let shape = |r: &quick_junit::Report| r.test_suites.iter().map(|s| s.test_cases.len()).collect::<Vec<_>>();
        assert_eq!(shape(&parsed), shape(&clean), "{hostile:?}");
        assert!(!xml.contains("<![CDATA[") && !xml.contains("<!"), "{hostile:?}");
    }
}

#[test]
fn messages_of_sarif_hold_no_links_and_its_places_are_paths() {
    for (hostile, report) in all_poisoned() {
        let log: serde_json::Value = serde_json::from_str(&text(Format::Sarif, &report)).expect("JSON");
        for result in log["runs"][0]["results"].as_array().expect("results") {
            let message = result["message"]["text"].as_str().expect("a text");
            assert!(!message.contains("]("), "{hostile:?}: {message}");
            let uri = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.~/%".contains(c);
            assert!(uri.as_str().is_none_or(|uri| uri.chars().all(allowed)), "{hostile:?}: {uri}");
        }
    }
}

#[test]
fn a_megabyte_in_every_field_makes_no_report_huge() {
    // A megabyte each; each character becomes eight where it is made visible.
    let report = poisoned(&"\u{202e}".repeat(350_000));
    let limits =
        [(Format::Markdown, 1 << 20), (Format::Github, 256 * 1024), (Format::Tap, 4 << 20), (Format::Gitlab, 1 << 20)];
    for (format, limit) in limits {
        let size = text(format, &report).len();
        assert!(size < limit, "{}: {size}", format.as_str());
    }
    // Many failures, each longer than what is shown of it.
    let mut report = poisoned(&"\u{202e}".repeat(10_000));
    let failing = report.rules.iter().find(|r| !r.findings.is_empty()).cloned().expect("a failure");
    report.rules.extend((0..300).map(|_| failing.clone()));
    assert!(text(Format::Markdown, &report).len() < 1 << 20, "{}", text(Format::Markdown, &report).len());
    assert!(text(Format::Github, &report).len() < 256 * 1024);
}
