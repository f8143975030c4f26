//! `judge`: what was recorded, judged again.

use crate::cli_support::*;
use serde_json::Value;

/// Rule, check, app and exchanges of every finding.
fn findings(report: &Value) -> Vec<(String, String, String, String)> {
    let rules = report["rules"].as_array().expect("rules");
    let found = rules.iter().flat_map(|r| r["findings"].as_array().expect("findings"));
    found
        .map(|f| (f["rule"].to_string(), f["check"].to_string(), f["app"].to_string(), f["exchanges"].to_string()))
        .collect()
}

fn outcomes(report: &Value) -> Vec<(String, String)> {
    let rules = report["rules"].as_array().expect("rules").iter();
    let judged = rules.filter(|r| r["judged"].as_u64() > Some(0));
    judged.map(|r| (r["id"].to_string(), r["outcome"].to_string())).collect()
}

#[test]
fn judging_saved_transcripts_finds_what_the_live_run_found() {
    let place = Place::new();
    let healthy = Served::start(&[]);
    let mutant = Served::start(&["--mutant", "sse.common-fields/end-without-conversation"]);
    let args = ["check", &scenario("chat-three-turns"), &scenario("auth-chat"), "--save-transcripts"];
    for (served, dir, code) in [(&healthy, "healthy", 0), (&mutant, "mutant", 1)] {
        let flags = served.chat_flags();
        place.run(&with(&[&args[..], &[dir]].concat(), &flags)).exits(code).says(&[]);
        let live = place.report("check.json");
        place.run(&["judge", dir]).exits(code);
        let again = place.report("judge.json");
        assert_eq!(findings(&again), findings(&live));
        assert_eq!(outcomes(&again), outcomes(&live));
        assert_eq!(again["target"]["apps"], live["target"]["apps"]);
        assert_eq!(findings(&live).is_empty(), code == 0, "{:?}", findings(&live));
        let recorded = again["elapsed_ms"].as_u64().unwrap();
        assert!(recorded > 0 && recorded <= live["elapsed_ms"].as_u64().unwrap(), "{recorded} ms");
    }
    place.run(&["judge", "healthy"]).exits(0);
    place.run(&["judge", "healthy", "mutant"]).exits(1).says(&["PASS: ", "FAIL: "]);
    place.run(&["judge", "mutant", "healthy"]).exits(1);
    let reports = [place.report("judge.json"), place.report("judge-2.json")];
    let verdicts: Vec<&Value> = reports.iter().map(|r| &r["verdict"]).collect();
    assert!(verdicts.contains(&&"pass".into()) && verdicts.contains(&&"fail".into()), "{verdicts:?}");
    let name = std::fs::read_dir(place.path().join("mutant")).unwrap().next().unwrap().unwrap().file_name();
    let repeat = format!("difyprobe judge mutant/{}", name.display());
    let flat = place.run(&["judge", &format!("mutant/{}", name.display())]).exits(1).flat();
    assert!(flat.contains(&repeat), "{flat}");
}

#[test]
fn transcripts_that_are_none_are_told() {
    let place = Place::new();
    place.write("broken.json", "{\"exchanges\": [");
    place.write("other.json", "{\"hello\": 1}");
    std::fs::create_dir(place.path().join("empty")).unwrap();
    place.run(&["judge", "broken.json"]).exits(2).says(&["'broken.json'", "not valid JSON", "record it again"]);
    place.run(&["judge", "other.json"]).exits(2).says(&["'other.json'", "transcript"]);
    place.run(&["judge", "nowhere"]).exits(2).says(&["'nowhere'", "No such file", "check the path"]);
    place.run(&["judge", "empty"]).exits(2).says(&["'empty' holds no transcript", "name a transcript file"]);
    place.run(&["judge"]).exits(2).says(&["<TRANSCRIPTS>"]);
}
