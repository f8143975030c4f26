//! Load files as users meet them: good ones, bad ones with their diagnostics, the documentation and the JSON Schema.

use difyprobe::scenario::load_file::parse_load;
use difyprobe::scenario::{load_json_schema, read_json, render_all};
use difyprobe::workload::{Arrivals, Schedule, Shard};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn must_parse(name: &str, text: &str) -> difyprobe::workload::Workload {
    match parse_load(name, text.as_bytes()) {
        Ok(file) => file.workload,
        Err(all) => panic!("\n{}", render_all(&all, text, false)),
    }
}

/// The `yaml` blocks of the page: whole files, or parts of one, which replace or join those of a small file.
fn documented() -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(root().join("docs/load.md")).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some("yaml")) => open = Some((index + 1, String::new())),
            (None, _) => {}
            (Some((_, body)), None) => *body += &format!("{line}\n"),
            (Some((start, body)), Some(_)) => {
                blocks.push((*start, whole(body)));
                open = None;
            }
        }
    }
    assert!(blocks.len() >= 8, "only {} examples", blocks.len());
    blocks
}

fn whole(part: &str) -> String {
    if part.contains("difyprobe-load:") {
        return part.to_owned();
    }
    let rest = [
        ("difyprobe-load:", "difyprobe-load: 1\n"),
        ("id:", "id: example\n"),
        ("scenarios:", "scenarios: [chat.three-turns]\n"),
        ("arrival:", "arrival: { open: { stages: [{ hold: 20, for: 1m }, { step: 60, for: 20s, label: burst }] } }\n"),
    ];
    let has = |key: &str| part.lines().any(|line| line.starts_with(key));
    rest.iter().filter(|(key, _)| !has(key)).map(|(_, text)| *text).collect::<String>() + part
}

#[test]
fn examples_of_the_documentation_are_valid() {
    for (line, text) in documented() {
        must_parse(&format!("docs/load.md after line {line}"), &text);
    }
}

#[test]
fn every_key_is_documented_and_used_in_an_example() {
    let text = std::fs::read_to_string(root().join("docs/load.md")).unwrap();
    let used: String = documented().into_iter().map(|(_, text)| text).collect();
    let schema = load_json_schema();
    let tables = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    let keys = tables.flat_map(|t| t["properties"].as_object().unwrap().keys());
    let missing: Vec<&String> =
        keys.filter(|key| !text.contains(&format!("`{key}`")) || !used.contains(&format!("{key}:"))).collect();
    assert!(missing.is_empty(), "without description or example: {missing:?}");
}

#[test]
fn every_metric_of_an_objective_is_documented() {
    let text = std::fs::read_to_string(root().join("docs/load.md")).unwrap();
    let unknown = difyprobe::metrics::Slo::parse("nothing-like-this p50 < 1s").unwrap_err().unknown.unwrap();
    let missing: Vec<&&str> = unknown.1.iter().filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in docs/load.md: {missing:?}");
}

/// The expected text stands beside each file; `UPDATE_GOLDEN=1` writes it anew (read the difference before you commit it).
#[test]
fn bad_files_are_explained_as_expected() {
    let folder = root().join("tests/scenarios_bad/load");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    paths.sort();
    assert!(paths.len() >= 6, "{paths:?}");
    let mut different = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let found = match parse_load(&name, &bytes) {
            Ok(_) => panic!("{} has no problems", path.display()),
            Err(all) => render_all(&all, &String::from_utf8_lossy(&bytes), false),
        };
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &found).unwrap();
        }
        let wanted = std::fs::read_to_string(&golden).unwrap_or_default();
        if wanted != found {
            different.push(format!("--- {name}, expected:\n{wanted}--- found:\n{found}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn the_schema_file_is_up_to_date() {
    let path = root().join("schemas/load.schema.json");
    let wanted = serde_json::to_string_pretty(&load_json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), wanted, "run the tests with UPDATE_GOLDEN=1");
}

#[test]
fn good_loads_fit_the_schema_and_bad_shapes_do_not() {
    let schema = load_json_schema();
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let ours = std::fs::read_to_string(root().join("scenarios/load/evening-peak.yaml")).unwrap();
    for (name, text) in
        documented().into_iter().map(|(l, t)| (format!("docs line {l}"), t)).chain([("ours".into(), ours)])
    {
        let json = read_json(&name, &text).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
    let bad =
        ["arrival: {}", "arrival: { open: { stages: [{ hold: -1, for: 1s }] } }", "slo: [{ metric: ttft }]", "sol: []"];
    for part in bad {
        let json: Value = read_json("a", &whole(part)).unwrap();
        assert!(!validator.is_valid(&json), "{part}");
    }
}

#[test]
fn our_load_is_short_and_measures_most_of_what_it_sends() {
    let path = root().join("scenarios/load/evening-peak.yaml");
    let load = must_parse("evening-peak.yaml", &std::fs::read_to_string(path).unwrap());
    let Arrivals::Open { stages, .. } = &load.arrivals else { panic!("{:?}", load.arrivals) };
    let weights: Vec<u32> = load.scenarios.iter().map(|share| share.weight).collect();
    let schedule = Schedule::new(&load.arrivals, &weights, load.seed.unwrap_or_default()).unwrap();
    assert!(schedule.length_us() + load.drain.as_micros() as u64 <= 60_000_000, "{stages:?}");
    assert!(!stages[0].measure && stages[1..].iter().all(|stage| stage.measure));
    let arrivals = schedule.iter(Shard::WHOLE).count() as f64;
    let expected = schedule.planned() as f64;
    assert!((arrivals - expected).abs() < 5.0 * expected.sqrt(), "{arrivals} of {expected}");
}
