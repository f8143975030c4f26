//! What the pages say about commands, files and scenarios is true.

use assert_cmd::Command;
use difyprobe::rules;
use difyprobe::scenario::load_file::is_load;
use difyprobe::scenario::{lint_rules, parse, render_all};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn page(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Every page for people: the ones at the root, and all in `docs`.
fn pages() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("docs")).expect("docs");
    let names = entries.map(|e| format!("docs/{}", e.expect("an entry").file_name().to_string_lossy()));
    let mut pages: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    pages.extend(["README.md".to_owned(), "CHANGELOG.md".to_owned()]);
    pages.sort();
    pages
}

/// Texts of the code blocks with this language.
pub fn blocks(text: &str, language: &str) -> Vec<String> {
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
    for name in pages() {
        let folder = root().join(&name).parent().map(Path::to_owned).unwrap_or_default();
        let text = page(&name);
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

/// Every `difyprobe ...` command in the blocks of shell and YAML of the pages, in the action and below `deploy`, as words.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut texts: Vec<(String, String)> = Vec::new();
    for name in pages() {
        let text = page(&name);
        let all = ["sh", "yaml", "console"].into_iter().flat_map(|language| blocks(&text, language));
        texts.extend(all.map(|block| (name.clone(), block)));
    }
    texts.push(("action.yml".to_owned(), page("action.yml")));
    for folder in ["deploy/kubernetes", "deploy/slurm"] {
        for entry in std::fs::read_dir(root().join(folder)).expect("deploy") {
            let name = format!("{folder}/{}", entry.expect("an entry").file_name().to_string_lossy());
            let text = page(&name).lines().map(|line| line.trim_start_matches("# ").to_owned() + "\n").collect();
            texts.push((name, text));
        }
    }
    let mut found = Vec::new();
    for (name, text) in texts {
        for line in text.replace("\\\n", " ").lines() {
            let line = line.trim().trim_start_matches("- ").trim_start_matches("run: ");
            let words = shell_words(line);
            let words: Vec<&str> = words.iter().map(String::as_str).skip_while(|w| is_assignment(w)).collect();
            let rest = match words.as_slice() {
                ["difyprobe" | "target/release/difyprobe", rest @ ..] => rest,
                ["cargo", "run", "--release", "--", rest @ ..] => rest,
                _ => continue,
            };
            // the words of the action come from whoever uses it
            if rest.first().is_some_and(|word| !word.starts_with('$')) {
                found.push((format!("{name}: {line}"), rest.iter().map(|w| (*w).to_owned()).collect()));
            }
        }
    }
    found
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// The words of the first command of a line: quotes taken off, up to a comment, a pipe, a redirection or another command.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '&' | ';' | '>' | '<') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn words_are_taken_from_shell_lines_as_a_shell_takes_them() {
    let words = |line: &str| shell_words(line).join("|");
    assert_eq!(words("a 'b c' --d=\"e f\" # g"), "a|b c|--d=e f");
    assert_eq!(words("a b > c && d"), "a|b");
    assert_eq!(words("a '' x#y | head"), "a||x#y");
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
fn command_lines_in_the_pages_the_action_and_the_deployments_are_understood() {
    let commands = commands();
    assert!(commands.len() >= 60, "only {} commands found", commands.len());
    let wrong: Vec<String> = commands
        .iter()
        .filter_map(|(place, words)| {
            let words: Vec<&str> = std::iter::once("difyprobe").chain(words.iter().map(String::as_str)).collect();
            difyprobe::cli::understands(&words).err().map(|error| format!("{place}\n{error}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn settings_in_the_pages_are_clean() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen = 0;
    for name in pages() {
        for block in blocks(&page(&name), "toml") {
            seen += 1;
            let path = folder.path().join("difyprobe.toml");
            std::fs::write(&path, &block).expect("written");
            let ran = Command::cargo_bin("difyprobe").expect("built").arg("lint").arg(&path).assert();
            let said = String::from_utf8_lossy(&ran.get_output().stdout).into_owned();
            assert!(said.contains("no problems"), "{name}\n{said}");
        }
    }
    assert!(seen >= 1, "no settings found");
}

/// Every page can be reached from the README.
#[test]
fn no_page_is_an_orphan() {
    let all: String = pages().iter().map(|name| page(name)).collect();
    for name in pages().iter().filter_map(|name| name.strip_prefix("docs/")) {
        assert!(all.contains(&format!("({name}")) || all.contains(&format!("(docs/{name}")), "nothing links to {name}");
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

/// The version of Rust that Cargo.toml states is the one that images, recipes and pages name.
#[test]
fn the_stated_version_of_rust_is_the_same_everywhere() {
    let cargo = page("Cargo.toml");
    let stated = cargo.lines().find_map(|l| l.strip_prefix("rust-version = ")).expect("stated").trim_matches('"');
    assert!(page("Dockerfile").contains(&format!("FROM rust:{stated}-")), "Dockerfile");
    assert!(page("docs/ci.md").contains(&format!("image: rust:{stated}-")), "docs/ci.md");
    for name in ["README.md", "docs/quickstart.md"] {
        assert!(page(name).contains(&format!("Rust {stated}")), "{name}");
    }
}

/// A finished image holds one file of ours: whatever the binary needs is in it.
#[test]
fn the_image_takes_the_binary_alone() {
    let text = page("Dockerfile");
    let last = text.rsplit("\nFROM ").next().unwrap_or_default();
    let copies: Vec<&str> = last.lines().filter(|l| l.starts_with("COPY") || l.starts_with("ADD")).collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
}
