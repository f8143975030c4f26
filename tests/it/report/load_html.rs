//! The HTML page.

use super::*;

/// Elements without an end tag that the page has.
const VOID: [&str; 2] = ["meta", "input"];

/// Names of all tags; fails where they are not balanced.
fn tags(page: &str) -> Vec<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut seen = Vec::new();
    let mut rest = page;
    while let Some((_, behind)) = rest.split_once('<') {
        let (tag, after) = behind.split_once('>').unwrap_or_else(|| panic!("a tag does not end: {behind:.80}"));
        rest = after;
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or_default();
        seen.push(tag.split(" d=").next().unwrap_or_default().to_owned());
        if tag.starts_with('!') {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed in the wrong order near {:.120}", after);
        } else if name == "script" || name == "style" {
            let (_, behind) = rest.split_once(&format!("</{name}>")).unwrap_or_else(|| panic!("{name} does not end"));
            rest = behind;
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    seen
}

fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let start = format!(" {name}=\"");
    page.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_page_is_balanced_and_its_ids_are_unique_and_referred_to_rightly() {
    for (name, report) in all() {
        let page = rendered(Format::Html, &report);
        assert!(tags(&page).len() > 50, "{name}");
        let ids = attributes(&page, "id");
        assert!(unique(&ids), "{name}: {ids:?}");
        for reference in attributes(&page, "aria-labelledby").into_iter().chain(attributes(&page, "aria-describedby")) {
            assert!(ids.contains(&reference), "{name}: nothing has the id {reference}");
        }
    }
}

#[test]
fn no_page_needs_a_network_or_leaves_its_policy() {
    for (name, report) in all() {
        let page = rendered(Format::Html, &report);
        assert!(page.contains("default-src 'none'"), "{name}");
        assert_eq!(page.matches("<script").count(), 1, "{name}");
        for reference in [" src=", " href=", "@import", "url(", "xlink", "<use", "<image"] {
            assert!(!page.contains(reference), "{name}: {reference}");
        }
        let inside = page.split_once("</style>").map_or("", |(_, body)| body);
        assert!(!inside.contains(" style="), "{name}: inline styles would break the policy");
        assert!(!page.contains("NaN"), "{name}");
    }
}

#[test]
fn hostile_text_adds_no_markup() {
    let clean = tags(&rendered(Format::Html, &poisoned("x")));
    for text in &corpus() {
        let seen = tags(&rendered(Format::Html, &poisoned(text)));
        assert_eq!(seen.len(), clean.len(), "{text:?}");
    }
}

#[test]
fn verdict_and_missed_objectives_come_before_everything_else() {
    let page = rendered(Format::Html, &load_fixture::report_of_load_alone(load_fixture::troubled()));
    let order = [
        "class=\"verdict\">INVALID",
        "The numbers do not count: dropped",
        "2 of 4 objectives missed",
        "http_429",
        "Slowest second: 2:",
        "id=\"slo\"",
        "error_rate &lt; 0.5%",
        "ttft p(95) &lt; 800ms in stage hold,recovery",
        "tpot p(50)",
        "e2e_sched p(95) &lt; 3s",
        "id=\"validity\"",
        "raise max-in-flight above 800",
        "id=\"latency\"",
        "id=\"failures\"",
        "id=\"rate\"",
        "id=\"streams\"",
        "id=\"seconds\"",
        "id=\"stages\"",
        "id=\"curve\"",
        "id=\"histogram-ttft\"",
        "id=\"histogram-icl\"",
        "id=\"turns\"",
        "id=\"scenarios\"",
        "id=\"client\"",
        "id=\"rules\"",
        "id=\"repeat\"",
        "--seed 20261123",
        "5a2c9e0b77d1f3a4",
    ];
    let mut rest = page.split_once("</style>").map_or("", |(_, body)| body);
    for wanted in order {
        let Some((_, behind)) = rest.split_once(wanted) else { panic!("{wanted:?} is missing or too early") };
        rest = behind;
    }
}

#[test]
fn charts_over_time_show_every_stage_and_the_drain_behind_the_data() {
    let page = rendered(Format::Html, &load_fixture::report(load_fixture::troubled()));
    let charts = page.matches("<g class=\"plot\"").count();
    for stage in ["warm-up (0:00 to 0:30)", "hold (0:30 to 2:30)", "burst (2:30 to 2:50)", "recovery (2:50 to 4:00)"] {
        assert_eq!(page.matches(&format!("<title>{stage}</title>")).count(), charts, "{stage}");
    }
    assert_eq!(page.matches("<title>drain (4:00 to").count(), charts);
    assert!(page.contains(">limit 800 ms</text>") && page.contains(">limit 3000 ms</text>"));
}

#[test]
fn rules_that_broke_under_load_carry_their_evidence() {
    let page = rendered(Format::Html, &load_fixture::report(load_fixture::troubled()));
    let rules = page.split_once("id=\"rules\"").map_or("", |(_, behind)| behind);
    assert!(rules.contains("Judged 1") && rules.contains("chat.conversation-id.stable"));
    assert!(rules.contains("POST /v1/chat-messages") && rules.contains("$DIFY_API_KEY"));
}

#[test]
fn an_hour_stays_light_and_keeps_its_one_slow_second() {
    let page = rendered(Format::Html, &load_fixture::report_of_load_alone(hour()));
    assert!(page.len() < 500_000, "{}", page.len());
    assert!(page.contains("highest p99 9000 ms at 29:37"), "the slow second is told");
    assert_eq!(page.matches("<tr><td>0:00</td>").count(), 1);
    let rows = page
        .split_once("id=\"seconds\"")
        .map_or(0, |(_, rest)| rest.split_once("</details>").map_or("", |(table, _)| table).matches("<tr>").count());
    assert_eq!(rows, 301, "a head and 300 groups of 12 seconds");
}

#[test]
fn a_calm_run_says_so_and_hides_nothing() {
    let page = rendered(Format::Html, &load_fixture::report_of_load_alone(load_fixture::calm()));
    assert!(page.contains("class=\"verdict\">PASS"));
    assert!(page.contains("All 3 objectives are met; the closest:"));
    assert!(page.contains("No request failed."));
    assert!(page.contains("The generator kept up: all 3 conditions hold"));
}

#[test]
fn a_run_without_measurements_is_a_page_too() {
    let page = rendered(Format::Html, &load_fixture::report_of_load_alone(load_fixture::empty()));
    assert!(page.contains("no data") && page.contains("Ended early: interrupted"));
    assert!(page.contains("Nothing was measured over time."));
    assert!(!page.contains("<figure"));
}
