//! `selftest` and `rules`: the matrix in files, the catalogue with what is not judged.

use crate::cli_support::*;
use difyprobe::rules::{catalogue, excluded::EXCLUDED};
use serde_json::Value;

#[test]
fn a_part_of_the_matrix_is_written_as_json_and_markdown_and_examines_no_healthy_server() {
    let place = Place::new();
    let args = ["selftest", "messages.has-more", "--report", "markdown=out/matrix.md", "--report", "json=matrix.json"];
    let ran = place.run(&args).exits(0).says(&["healthy servers are examined without a filter only"]);
    assert!(!ran.stdout.contains("healthy  ") && !ran.stdout.contains("unproven"), "{}", ran.stdout);
    let json: Value = serde_json::from_slice(&std::fs::read(place.path().join("matrix.json")).unwrap()).unwrap();
    let page = std::fs::read_to_string(place.path().join("out/matrix.md")).unwrap();
    let kills = json["kills"].as_array().expect("kills");
    assert!(!kills.is_empty() && json["healthy"] == Value::Array(Vec::new()));
    for kill in kills {
        let mutant = kill["mutant"].as_str().unwrap();
        assert!(page.contains(&format!("\n| `{mutant}` | ")), "{page}");
        for rule in kill["killed_by"].as_array().unwrap() {
            assert!(page.contains(&format!("\n| `{}` | ", rule.as_str().unwrap())), "{page}");
        }
    }
    assert!(page.contains("**PASS**") && page.contains("## Healthy servers"), "{page}");
    place.write("file", "");
    place
        .run(&["selftest", "--report", "markdown=file/matrix.md"])
        .exits(2)
        .says(&["--report markdown=file/matrix.md"]);
    place.run(&["selftest", "--report", "html=matrix.html"]).exits(2).says(&["this command writes json, markdown"]);
}

#[test]
fn the_list_names_every_rule_and_what_is_excluded_with_the_reason() {
    let place = Place::new();
    let ran = place.run(&["rules", "list"]).exits(0);
    let listed = |id: &str| ran.stdout.lines().any(|l| l.split_whitespace().next() == Some(id));
    assert!(catalogue().all(|r| listed(r.id)));
    assert!(!EXCLUDED.is_empty());
    for entry in EXCLUDED {
        assert!(listed(entry.id), "{}", entry.id);
        place.run(&["rules", "explain", entry.id]).exits(0).says(&["excluded", entry.title, entry.reason]);
    }
}

#[test]
fn an_explanation_holds_all_that_is_known_about_a_rule() {
    let place = Place::new();
    place.run(&["rules", "explain", "chat.inputs.ignored-on-continuation"]).exits(0).says(&[
        "(must)",
        "new `inputs` have no effect",
        "source documentation",
        "tested Turn 1",
        "versions ignored: <=0.15.x",
        "scenarios chat.inputs",
        "mutant chat.inputs.ignored-on-continuation/used: ",
        "deviation dify-1.12: ",
    ]);
    place.run(&["rules", "explain", "chat.isolation.webap"]).exits(2).says(&["did you mean `chat.isolation.webapp`?"]);
}
