//! Scenario files as users meet them: good ones, bad ones with their diagnostics, the documentation and the JSON Schema.

use difyprobe::scenario::{self, parse, render_all};
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
