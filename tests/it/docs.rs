//! What the pages say about commands, files and scenarios is true.

use assert_cmd::Command;
use difyprobe::rules;
use difyprobe::scenario::load_file::is_load;
use difyprobe::scenario::{lint_rules, parse, render_all};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

const PAGES: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/checking.md",
    "docs/emulator.md",
    "docs/load.md",
    "docs/metrics.md",
    "docs/probe-apps.md",
    "docs/quickstart.md",
    "docs/recording.md",
    "docs/rules.md",
    "docs/scenarios.md",
    "docs/snapshots.md",
];

/// Texts of the code blocks with this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(found) = line.strip_prefix("```").filter(|l| !l.is_empty()) {
            let body: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
            if found == language {
                blocks.push(body.join("\n") + "\n");
            }
        }
    }
    blocks
}

#[test]
fn links_between_pages_lead_to_files() {
    let mut broken = Vec::new();
    for name in PAGES {
        let folder = root().join(name).parent().map(Path::to_owned).unwrap_or_default();
        let text = page(name);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                broken.push(format!("{name}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn scenarios_in_the_readme_and_the_quickstart_are_clean() {
    let mut seen = 0;
    for name in ["README.md", "docs/quickstart.md"] {
        for block in blocks(&page(name), "yaml") {
            seen += 1;
            let scenario = parse(name, &block).unwrap_or_else(|d| panic!("{}", render_all(&d, &block, false)));
            assert_eq!(lint_rules(&scenario, &|id| rules::find(id).is_some()), [], "{name}");
        }
    }
    assert!(seen >= 1, "no scenario found");
}

#[test]
fn load_scenarios_are_clean_and_have_think_time_and_data() {
    let files: Vec<PathBuf> = std::fs::read_dir(root().join("scenarios/load"))
        .expect("the load scenarios")
        .map(|e| e.expect("an entry").path())
        .collect();
    assert!(files.len() >= 2);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("UTF-8");
        if is_load(text.as_bytes()) {
            continue;
        }
        let name = file.display().to_string();
        let scenario = parse(&name, &text).unwrap_or_else(|d| panic!("{}", render_all(&d, &text, false)));
        assert_eq!(lint_rules(&scenario, &|id| rules::find(id).is_some()), [], "{name}");
        assert!(!scenario.data.is_empty(), "{name} has no data rows");
        assert!(scenario.steps.iter().any(|s| s.think.is_some()), "{name} never thinks");
    }
}

/// Every `difyprobe ...` line of the pages, as words; comments, variables in front and placeholders are left out.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for name in PAGES {
        for block in blocks(&page(name), "sh") {
            for line in block.lines() {
                let line = line.split(" #").next().unwrap_or_default();
                let words: Vec<&str> = line.split_whitespace().skip_while(|w| w.contains('=')).collect();
                let rest = match words.as_slice() {
                    ["difyprobe" | "target/release/difyprobe", rest @ ..] => rest,
                    ["cargo", "run", "--release", "--", rest @ ..] => rest,
                    _ => continue,
                };
                found.push((format!("{name}: {line}"), rest.iter().map(|w| (*w).to_owned()).collect()));
            }
        }
    }
    found
}

#[test]
fn the_drawing_of_the_floors_names_every_module() {
    let text = page("docs/architecture.md");
    let drawing: Vec<&str> = text.split("```").nth(1).unwrap_or_default().lines().collect();
    for entry in std::fs::read_dir(root().join("src")).expect("src") {
        let entry = entry.expect("an entry");
        if entry.path().is_dir() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let drawn = drawing.iter().any(|l| l.get(3..).and_then(|l| l.split(' ').next()) == Some(name.as_str()));
            assert!(drawn, "{name}");
        }
    }
}

#[test]
fn flags_that_the_pages_use_exist() {
    let commands = commands();
    assert!(commands.len() >= 8, "only {} commands found", commands.len());
    for (place, words) in commands {
        let Some(command) = words.first() else { continue };
        let help = Command::cargo_bin("difyprobe").expect("built").args([command, "--help"]).assert().success();
        let help = String::from_utf8_lossy(&help.get_output().stdout).into_owned();
        for flag in words.iter().filter(|w| w.starts_with("--")) {
            let flag = flag.split('=').next().unwrap_or_default();
            assert!(help.contains(flag), "{place}: `{command}` has no {flag}");
        }
    }
}

#[test]
fn baselines_in_the_pages_are_clean_and_name_rules() {
    let blocks = blocks(&page("docs/checking.md"), "yaml");
    assert!(!blocks.is_empty());
    for block in blocks {
        let baseline = difyprobe::suite::Baseline::parse("docs/checking.md", &block)
            .unwrap_or_else(|d| panic!("{}", render_all(&d, &block, false)));
        assert!(baseline.entries.iter().all(|e| rules::find(&e.rule).is_some()), "{block}");
    }
}

#[test]
fn mutants_that_the_pages_serve_exist() {
    let mut seen = 0;
    for (place, words) in commands() {
        if let Some(at) = words.iter().position(|w| w == "--mutant") {
            seen += 1;
            let id = words.get(at + 1).cloned().unwrap_or_default();
            assert!(difyprobe::emulator::all_mutants().any(|m| m.id == id), "{place}: no mutant {id}");
        }
    }
    assert!(seen >= 1);
}

#[test]
fn exit_codes_of_the_readme_are_those_of_the_binary() {
    use difyprobe::cli::Exit;
    let text = page("README.md");
    let all = [
        Exit::Pass,
        Exit::Failed,
        Exit::Usage,
        Exit::Incomplete,
        Exit::SnapshotDiffers,
        Exit::StaleBaseline,
        Exit::Internal,
        Exit::Interrupted,
    ];
    for exit in all {
        assert!(text.contains(&format!("\n| {} |", exit.code())), "{exit:?} is missing");
    }
}

#[test]
fn the_sample_report_is_of_the_present_layout() {
    let text = page("reports/sample/check.json");
    let report: difyprobe::report::run::RunReport = serde_json::from_str(&text).expect("a report");
    assert_eq!(report.schema, difyprobe::report::run::REPORT_SCHEMA);
    assert!(report.rules.len() > 50 && report.summary.requests > 0);
    let size: u64 = std::fs::read_dir(root().join("reports/sample"))
        .expect("the sample")
        .map(|e| e.expect("an entry").metadata().expect("a file").len())
        .sum();
    assert!(size < 600_000, "{size} bytes");
}
