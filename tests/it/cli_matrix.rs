//! `matrix`: rules beside targets, from saved reports.

use crate::cli_support::*;
use serde_json::{Value, json};

/// A report with these rules, from a server of this version.
fn report(version: &str, rules: &[(&str, &str)]) -> String {
    let rule = |(id, outcome): &(&str, &str)| {
        json!({"id": id, "area": "a", "level": "must", "title": "T", "statement": "S", "source": "s", "outcome": outcome,
            "judged": 1, "apps": {}, "findings": []})
    };
    json!({
        "schema": "difyprobe.report/1", "tool_version": "0.1.0", "command": "check",
        "target": {"base_url": "http://dify.example/v1", "apps": [], "profile": "documented", "profile_reason": "",
            "server_version": version},
        "started_unix_ms": 0, "elapsed_ms": 1, "verdict": "pass", "exit_code": 0,
        "summary": {"line": "PASS", "outcomes": {}, "requests": 1, "judged": 1},
        "rules": rules.iter().map(rule).collect::<Vec<Value>>(),
        "scenarios": [], "latency": [], "notes": [], "evidence": []
    })
    .to_string()
}

/// Three versions: one rule breaks, one is mended and breaks again, one comes, one goes, one stops being offered.
fn versions(place: &Place) {
    let rules = [
        ("r.breaks", ["pass", "fail", "fail"]),
        ("r.mended", ["fail", "pass", "fail"]),
        ("r.same", ["pass", "pass", "pass"]),
        ("r.offered", ["pass", "pass", "not-applicable"]),
        ("r.deviates", ["pass", "known-deviation", "pass"]),
    ];
    for (at, version) in ["1.12", "1.13", "1.14"].into_iter().enumerate() {
        let mut all: Vec<(&str, &str)> = rules.iter().map(|(id, outcomes)| (*id, outcomes[at])).collect();
        if at > 0 {
            all.push(("r.new", "pass"));
        } else {
            all.push(("r.old", "warn"));
        }
        place.write(&format!("v{at}.json"), &report(version, &all));
    }
}

/// The cells of a row, without the blanks between them.
#[track_caller]
fn row(ran: &Ran, id: &str) -> Vec<String> {
    let line = ran.stdout.lines().find(|line| line.split_whitespace().next() == Some(id));
    let line = line.unwrap_or_else(|| panic!("no row {id} in\n{}", ran.stdout));
    line.trim().split("  ").map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn what_changed_from_version_to_version_is_marked_and_summed_up() {
    let place = Place::new();
    versions(&place);
    let ran = place.run(&["matrix", "v0.json", "v1.json", "v2.json"]).exits(0);
    assert_eq!(row(&ran, "rule"), ["rule", "v0", "v1", "v2"]);
    assert_eq!(row(&ran, "r.breaks"), ["r.breaks", "passed", "failed !", "failed"]);
    assert_eq!(row(&ran, "r.mended"), ["r.mended", "failed", "passed +", "failed !"]);
    assert_eq!(row(&ran, "r.offered"), ["r.offered", "passed", "passed", "not applicable *"]);
    assert_eq!(row(&ran, "r.deviates"), ["r.deviates", "passed", "known deviation >", "passed <"]);
    assert_eq!(row(&ran, "r.old"), ["r.old", "warned", "absent *", "absent"]);
    assert_eq!(row(&ran, "r.new"), ["r.new", "absent", "passed *", "passed"]);
    assert!(!ran.stdout.contains("r.same"), "{}", ran.stdout);
    let ran = ran.says(&[
        "v0 -> v1: 1 newly failing, 1 fixed, 1 newly deviating, 1 only in the later, 1 only in the earlier",
        "v1 -> v2: 1 newly failing, 1 deviating no more, 1 otherwise changed",
        "1 of 7 rules are the same everywhere (1 passed)",
    ]);
    assert!(!ran.stdout.contains('\x1b'), "{}", ran.stdout);
    let all = place.run(&["matrix", "--all", "v0.json", "v1.json"]).exits(0);
    assert_eq!(row(&all, "r.same"), ["r.same", "passed", "passed"]);
}

#[test]
fn columns_have_the_names_given_or_what_tells_the_files_apart() {
    let place = Place::new();
    versions(&place);
    std::fs::create_dir(place.path().join("new")).unwrap();
    std::fs::copy(place.path().join("v1.json"), place.path().join("new/v0.json")).unwrap();
    let ran = place.run(&["matrix", "v0.json", "new/v0.json"]).exits(0);
    assert_eq!(row(&ran, "rule"), ["rule", "1.12", "1.13"]);
    let ran = place.run(&["matrix", "old=v0.json", "new/v0.json"]).exits(0);
    assert_eq!(row(&ran, "rule"), ["rule", "old", "v0"]);
    place.write("a=b.json", &report("1", &[("r.same", "pass")]));
    let ran = place.run(&["matrix", "a=b.json", "v0.json"]).exits(0);
    assert_eq!(row(&ran, "rule"), ["rule", "a=b", "v0"]);
}

#[test]
fn the_table_is_written_as_json_markdown_and_html_with_hostile_text_made_harmless() {
    let place = Place::new();
    place.write("a.json", &report("1", &[("r.<script>alert(1)</script>|x", "pass")]));
    place.write("b.json", &report("2", &[("r.<script>alert(1)</script>|x", "fail")]));
    let reports = ["--report", "json=m.json", "--report", "markdown=m.md", "--report", "html=m.html"];
    let name = "\u{1b}[31m<b>=b.json";
    let ran = place.run(&[&["matrix", "a.json", name][..], &reports].concat()).exits(0);
    assert!(!ran.stdout.contains('\x1b'), "{}", ran.stdout);
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap();
    let json: Value = serde_json::from_str(&read("m.json")).unwrap();
    assert_eq!(
        (&json["schema"], &json["rules"][0]["outcomes"]),
        (&json!("difyprobe.matrix/1"), &json!(["pass", "fail"]))
    );
    assert_eq!(json["changes"][0]["newly_failing"][0], "r.<script>alert(1)</script>|x");
    let html = read("m.html");
    assert!(!html.contains("<script>alert") && !html.contains("<b>") && html.contains("&lt;script&gt;"), "{html}");
    assert!(html.contains("Content-Security-Policy"), "{html}");
    let markdown = read("m.md");
    assert!(!markdown.contains("<script>") && markdown.contains("\\|x"), "{markdown}");
}

#[test]
fn what_is_no_report_is_refused_with_its_name_and_a_remedy() {
    let place = Place::new();
    versions(&place);
    place.write("cut.json", "{\"schema\": \"difyprobe.rep");
    place.write("list.json", "[]");
    place.write("newer.json", "{\"schema\": \"difyprobe.report/9\"}");
    place.write("diff.json", "{\"schema\": \"difyprobe.diff/1\"}");
    place.write("half.json", "{\"schema\": \"difyprobe.report/1\", \"rules\": []}");
    place.write("none.json", &report("1", &[]));
    let remedy = "difyprobe check --report json=PATH";
    for (file, texts) in [
        ("missing.json", ["cannot read 'missing.json'", "check the path"]),
        ("cut.json", ["cut.json is no JSON", remedy]),
        ("list.json", ["list.json is JSON without a `schema`", remedy]),
        ("newer.json", ["newer.json has the layout difyprobe.report/9", "examine the server again"]),
        ("diff.json", ["diff.json is a file of the layout `difyprobe.diff/1`", remedy]),
        ("half.json", ["half.json is a report, but missing field", remedy]),
        ("none.json", ["none.json holds no rules", remedy]),
    ] {
        let ran = place.run(&["matrix", "v0.json", file]).exits(2).says(&texts);
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    }
    place
        .run(&["matrix", "v0.json", "--report", "junit=x.xml"])
        .exits(2)
        .says(&["this command writes json, markdown, html"]);
    place.run(&["matrix"]).exits(2);
}
