//! Scenario files as users meet them: good ones, bad ones with their diagnostics, the documentation and the JSON Schema.

use difyprobe::scenario::{self, parse, render_all};
use proptest::prelude::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Name and text of all `.yaml` files of a folder, sorted.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "yaml"));
    paths.sort();
    assert!(!paths.is_empty(), "{folder} has no files");
    paths.into_iter().map(|p| (p.clone(), String::from_utf8_lossy(&std::fs::read(p).unwrap()).into_owned())).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn must_parse(name: &str, text: &str) -> scenario::ast::Scenario {
    parse(name, text).unwrap_or_else(|d| panic!("\n{}", render_all(&d, text, false)))
}

#[test]
fn good_files_have_no_problems() {
    for (path, text) in files("tests/scenarios_good") {
        must_parse(&name(&path), &text);
    }
}

/// The expected text stands beside each file; `UPDATE_GOLDEN=1` writes it anew (read the difference before you commit it).
#[test]
fn bad_files_are_explained_as_expected() {
    let mut different = Vec::new();
    for (path, text) in files("tests/scenarios_bad") {
        let bytes = std::fs::read(&path).unwrap();
        let found = match scenario::parse_bytes(&name(&path), &bytes) {
            Ok(_) => panic!("{} has no problems", path.display()),
            Err(all) => render_all(&all, &text, false),
        };
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &found).unwrap();
        }
        let wanted = std::fs::read_to_string(&golden).unwrap_or_default();
        if wanted != found {
            different.push(format!("--- {}, expected:\n{wanted}--- found:\n{found}", name(&path)));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_bad_byte_is_found_where_it_stands() {
    let all = scenario::parse_bytes("a", b"a: 1\nb: \xc3\xa9\xff").unwrap_err();
    assert_eq!((all[0].at.line, all[0].at.column), (2, 5));
}

/// The blocks of the documentation: `yaml` and `yaml top` are whole files, `yaml steps` the steps of one.
fn documented() -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(root().join("docs/scenarios.md")).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) if kind.starts_with("yaml") => {
                open = Some((index + 1, kind.ends_with("steps"), String::new()))
            }
            (None, _) => {}
            (Some((_, _, body)), None) => *body += &format!("{line}\n"),
            (Some((start, steps, body)), Some(_)) => {
                let head = "difyprobe: 1\nid: doc.example\ntitle: An example\ntarget: { app: chat }\nsteps:\n";
                blocks.push((*start, if *steps { format!("{head}{body}") } else { body.clone() }));
                open = None;
            }
        }
    }
    assert!(blocks.len() > 8, "only {} examples", blocks.len());
    blocks
}

#[test]
fn examples_of_the_documentation_are_valid() {
    for (line, text) in documented() {
        must_parse(&format!("docs/scenarios.md after line {line}"), &text);
    }
}

#[test]
fn every_key_is_documented_and_used_in_an_example() {
    let text = std::fs::read_to_string(root().join("docs/scenarios.md")).unwrap();
    let used: String = documented().into_iter().map(|(_, t)| t).collect();
    let mut missing = Vec::new();
    for (table, key) in keys(&scenario::json_schema()) {
        if !text.contains(&format!("`{key}`")) || !used.contains(&format!("{key}:")) {
            missing.push(format!("`{key}` of {table}"));
        }
    }
    assert!(missing.is_empty(), "without description or example: {missing:?}");
}

/// Table and name of all keys of the schema.
fn keys(schema: &Value) -> Vec<(String, String)> {
    let tables = schema["$defs"].as_object().unwrap().iter().map(|(n, t)| (n.clone(), t));
    let all = tables.chain([("scenario".to_owned(), schema)]);
    all.flat_map(|(name, table)| {
        table["properties"].as_object().unwrap().keys().map(move |k| (name.clone(), k.clone())).collect::<Vec<_>>()
    })
    .collect()
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&scenario::json_schema()).unwrap()
}

#[test]
fn the_schema_file_is_up_to_date() {
    let path = root().join("schemas/scenario.schema.json");
    let wanted = serde_json::to_string_pretty(&scenario::json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), wanted, "run the tests with UPDATE_GOLDEN=1");
}

#[test]
fn every_key_of_the_schema_is_described() {
    let schema = scenario::json_schema();
    jsonschema::meta::validate(&schema).unwrap();
    let tables = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for (name, property) in tables.flat_map(|t| t["properties"].as_object().unwrap()) {
        assert!(property["description"].as_str().is_some_and(|d| d.len() > 3), "{name}: {property}");
    }
}

#[test]
fn good_files_and_documented_examples_fit_the_schema() {
    let validator = validator();
    let good = files("tests/scenarios_good").into_iter().map(|(p, t)| (name(&p), t));
    for (name, text) in good.chain(documented().into_iter().map(|(l, t)| (format!("docs line {l}"), t))) {
        let json = scenario::read_json(&name, &text).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

#[test]
fn the_schema_refuses_what_it_can_know() {
    let validator = validator();
    for name in [
        "unknown-key",
        "two-actions",
        "missing-keys",
        "empty-steps",
        "wrong-types",
        "bad-status",
        "durations",
        "expectations",
        "enumerations",
        "data",
        "no-effect",
        "version",
        "other-kind",
        "not-a-map",
    ] {
        let text = std::fs::read_to_string(root().join(format!("tests/scenarios_bad/{name}.yaml"))).unwrap();
        // a number that no JSON can hold makes `durations` unreadable as JSON
        let text = text.replace(".nan", "12");
        let json = scenario::read_json(name, &text).unwrap_or_else(|d| panic!("{}", render_all(&d, &text, false)));
        assert!(!validator.is_valid(&json), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}|[-:{}\\[\\]\"'|>&*!%#?, \\n\\ta-e0-9$.]{0,200}") {
        explain(&text);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(all) = scenario::parse_bytes("f", &bytes) {
            let text = String::from_utf8_lossy(&bytes);
            all.iter().for_each(|d| assert!(!d.render(&text, true).is_empty()));
        }
    }

    #[test]
    fn mutated_good_files_are_read_without_a_panic(
        at in any::<proptest::sample::Index>(), length in 0usize..12,
        put in "[-:{}\\[\\]\"'|>&*!%#?, \\n\\ta-e0-9$.é]{0,6}|\\$\\{\\{ [a-z|. (){}'\"+-]{0,12} \\}\\}",
    ) {
        let text = std::fs::read_to_string(root().join("tests/scenarios_good/everything.yaml")).unwrap();
        let chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        let rest = chars.iter().skip(at + length);
        let text: String = chars.iter().take(at).copied().chain(put.chars()).chain(rest.copied()).collect();
        explain(&text);
        if parse("f", &text).is_ok() {
            let json = scenario::read_json("f", &text).unwrap();
            let errors: Vec<String> = validator().iter_errors(&json).map(|e| e.to_string()).collect();
            prop_assert!(errors.is_empty(), "the schema refuses a good file: {errors:?}");
        }
    }

    #[test]
    fn any_expression_is_rendered_or_refused(source in "[a-c0-9|.()\\[\\]{}'\" ,+*/%~<>=!-]{0,30}|\\PC{0,30}") {
        let scope = serde_json::json!({"a": 1, "b": {"c": [1]}, "c": "x"});
        let _ = scenario::template::render_text(&format!("${{{{{source}}}}}"), &scope);
    }

    #[test]
    fn any_order_of_events_is_compiled_or_refused(pattern in "[a-c |()*+?]{0,30}", events in proptest::collection::vec("[a-c]", 0..6)) {
        let names: Vec<&str> = events.iter().map(String::as_str).collect();
        let fits = scenario::events::matches(&pattern, &names);
        prop_assert!(!fits || scenario::events::Pattern::new(&pattern).is_ok());
    }
}

/// Every problem has a place in the file and can be shown.
fn explain(text: &str) {
    if let Err(all) = parse("f", text) {
        assert!(!all.is_empty());
        for problem in &all {
            assert!(problem.at.line >= 1 && problem.at.column >= 1 && problem.width >= 1, "{problem:?}");
            assert!(!problem.message.contains("fault of difyprobe"), "{problem:?}");
            assert!(!problem.message.contains("no reason was found"), "{text}");
            let shown = problem.render(text, false);
            assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        }
    }
}

#[test]
fn hostile_files_are_refused_instead_of_hanging_or_overflowing() {
    let step = |key: &str| {
        format!("difyprobe: 1\nid: a\ntitle: t\ntarget: {{ app: chat }}\nsteps:\n  - {{ id: a, info: {{}}, {key} }}\n")
    };
    let first = |text: &str| parse("f", text).unwrap_err().first().map(|d| d.message.clone()).unwrap_or_default();
    // the parser of paths takes minutes for this one
    let path = format!("$[?{}@.a{}]", "@[?".repeat(25), "]".repeat(25));
    assert!(first(&step(&format!("capture: {{ x: \"{path}\" }}"))).contains("nested brackets"));
    // the parser of expressions overflows the stack for this one
    let chain = "not ".repeat(20_000);
    assert!(first(&step(&format!("user: \"${{{{ {chain} vu }}}}\""))).contains("bytes"));
    let scope = serde_json::json!({"vu": 1});
    assert!(scenario::template::render_text(&format!("${{{{ {chain} vu }}}}"), &scope).is_err());
    assert!(first(&"- ".repeat(200_000)).contains("nested deeper"));
    assert!(first(&"a: b\n".repeat(150_000)).contains("more than 100000 values"));
    assert!(first(&"x".repeat(2_000_000)).contains("bytes"));
    let vars: String = (0..8000).map(|n| format!("  k{n}: \"${{{{ x{n} }}}}\"\n")).collect();
    assert_eq!(parse("f", &format!("vars:\n{vars}")).unwrap_err().len(), 201);
}
