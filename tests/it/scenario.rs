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
