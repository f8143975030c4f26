//! The shape of the source tree, as docs/architecture.md describes it: floors, forbidden names, sizes.
//!
//! Works on the text of `src/`: comments, literals and test modules are blanked out first, so what is left is code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every top-level module with its floor. A module that is not here fails the test.
const FLOORS: &[(&str, u8)] = &[
    ("model", 0),
    ("canonical", 1),
    ("difference", 1),
    ("metrics", 1),
    ("profile", 1),
    ("report", 1),
    ("rules", 1),
    ("scenario", 1),
    ("schema", 1),
    ("sse", 1),
    ("workload", 1),
    ("client", 2),
    ("emulator", 2),
    ("machine", 2),
    ("snapshot", 2),
    ("store", 2),
    ("engine", 3),
    ("flow", 3),
    ("suite", 3),
    ("cli", 4),
];

/// Longest file, in lines.
const FILE_LINES: usize = 600;
/// Longest function, in lines.
const FUNCTION_LINES: usize = 80;

struct Source {
    /// Path below `src/`, with `/`.
    name: String,
    /// Top-level module; `lib` and `main` for those files.
    module: String,
    /// Lines of the file as it is.
    lines: usize,
    /// Code only: same length in lines, without comments, contents of literals and test modules.
    code: String,
}

impl Source {
    /// Whether a file is only compiled for tests: included by `#[path]` from a `#[cfg(test)]` module.
    fn is_test(&self) -> bool {
        self.name.ends_with("tests.rs")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let sources: Vec<Source> = files
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("source files are UTF-8");
            let below = path.strip_prefix(&root).expect("below src");
            let name = below.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
            let module = name.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
            Source { module, lines: text.lines().count(), code: without_tests(&code_only(&text)), name }
        })
        .collect();
    assert!(sources.len() > 100, "only {} source files found", sources.len());
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the source tree") {
        let path = entry.expect("an entry of the source tree").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Blanks out comments and what stands in literals; line ends stay where they are.
fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = token_end(&chars, at);
        match end {
            Some(end) => {
                out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
                at = end;
            }
            None => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

/// The end of the comment or literal that begins here, if one does.
fn token_end(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    let starts = |text: &str| text.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
    let word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if starts("//") {
        return Some(at + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()));
    }
    if starts("/*") {
        return Some(block_comment_end(chars, at));
    }
    if rest[0] == '"' {
        return Some(quoted_end(chars, at + 1, '"'));
    }
    if !word_before && (rest[0] == 'r' || starts("br")) {
        return raw_end(chars, at);
    }
    if rest[0] == '\'' {
        // 'x' and '\n' are literals, 'a (no quote after one character) is a lifetime
        let escaped = rest.get(1) == Some(&'\\');
        return (escaped || rest.get(2) == Some(&'\'')).then(|| quoted_end(chars, at + 1, '\''));
    }
    None
}

fn block_comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn quoted_end(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_end(chars: &[char], at: usize) -> Option<usize> {
    let open = at + if chars[at] == 'b' { 2 } else { 1 };
    let hashes = chars[open..].iter().take_while(|c| **c == '#').count();
    if chars.get(open + hashes) != Some(&'"') {
        return None;
    }
    let closes =
        |i: &usize| chars[*i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    let close = (open + hashes + 1..chars.len()).find(closes)?;
    Some(close + 1 + hashes)
}

/// Blanks out `#[cfg(test)]` items that have a body.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let rest = &out[start..];
        let (brace, semicolon) = (rest.find('{'), rest.find(';'));
        let end = match (brace, semicolon) {
            (Some(brace), semicolon) if semicolon.is_none_or(|s| brace < s) => body_end(rest, brace),
            (_, Some(semicolon)) => semicolon + 1,
            _ => rest.len(),
        };
        let blank: String = rest[..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..start + end, &blank);
    }
    out
}

/// Offset after the brace that closes the one at `open`.
fn body_end(code: &str, open: usize) -> usize {
    let mut depth = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// Whether a word stands in code as a whole word.
fn has_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].chars().next_back().is_some_and(part) && !code[at + word.len()..].chars().next().is_some_and(part)
    })
}

/// First segments of all `crate::` paths, also of `crate::{a, b::c}`.
fn crate_paths(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let ident = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        if !rest.starts_with('{') {
            names.insert(ident(rest));
            continue;
        }
        let group = &rest[1..body_end(rest, 0).saturating_sub(1)];
        let mut depth = 0_i32;
        for item in group.split(',') {
            if depth == 0 {
                names.insert(ident(item.trim_start()));
            }
            depth += item.matches('{').count() as i32 - item.matches('}').count() as i32;
        }
    }
    names.remove("");
    names
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// Module -> modules it uses, with a file that does so. Files that only tests compile are left out.
fn uses(sources: &[Source]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut uses: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for source in sources.iter().filter(|s| !s.is_test() && s.module != "lib" && s.module != "main") {
        let entry = uses.entry(source.module.clone()).or_default();
        for used in crate_paths(&source.code).into_iter().filter(|u| *u != source.module) {
            entry.entry(used).or_insert_with(|| source.name.clone());
        }
    }
    uses
}

#[test]
fn every_module_has_a_floor_and_every_floor_entry_a_module() {
    let found: BTreeSet<String> = sources().into_iter().map(|s| s.module).collect();
    let mut listed: BTreeSet<String> = FLOORS.iter().map(|(name, _)| (*name).to_owned()).collect();
    listed.extend(["lib".to_owned(), "main".to_owned()]);
    assert_eq!(found, listed);
}

#[test]
fn modules_use_only_their_own_floor_and_lower_ones() {
    let mut up = Vec::new();
    for (module, used) in uses(&sources()) {
        for (other, file) in used {
            let (Some(here), Some(there)) = (floor(&module), floor(&other)) else {
                up.push(format!("{file}: `crate::{other}` is not a module with a floor"));
                continue;
            };
            if there > here {
                up.push(format!("{file}: {module} (floor {here}) uses {other} (floor {there})"));
            }
        }
    }
    assert!(up.is_empty(), "{}", up.join("\n"));
}

#[test]
fn neighbours_on_a_floor_form_no_cycle() {
    let uses = uses(&sources());
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, used) in &uses {
        for other in used.keys().filter(|o| floor(o) == floor(module)) {
            edges.entry(module).or_default().insert(other);
        }
    }
    // Take away modules that use no neighbour that is left; what cannot be taken away stands in a cycle.
    let mut left = edges;
    loop {
        let names: BTreeSet<&str> = left.keys().copied().collect();
        let before = left.len();
        left.retain(|_, used| used.iter().any(|u| names.contains(u)));
        if left.len() == before {
            break;
        }
    }
    assert!(left.is_empty(), "modules of one floor that use each other: {left:?}");
}

#[test]
fn the_emulator_is_an_independent_witness() {
    let sources = sources();
    let uses = uses(&sources);
    assert_eq!(uses.get("emulator"), Some(&BTreeMap::new()), "the emulator uses other modules of the crate");
    for source in sources.iter().filter(|s| s.module == "emulator") {
        assert!(!source.code.contains("super::super::super"), "{} climbs out", source.name);
        assert!(!has_word(&source.code, "include_str") && !has_word(&source.code, "include_dir"), "{}", source.name);
    }
    let users: BTreeSet<&str> = sources
        .iter()
        .filter(|s| s.module != "emulator" && crate_paths(&s.code).contains("emulator"))
        .map(|s| s.name.as_str())
        .collect();
    let allowed = BTreeSet::from([
        "cli/rules.rs",       // explains which mutant proves a rule
        "cli/selftest.rs",    // lists the mutants
        "cli/serve.rs",       // starts it
        "cli/serve_app.rs",   // describes an app of the user to it
        "cli/target.rs",      // starts it where no server is named
        "suite/catalogue.rs", // docs/rules.md
        "suite/matrix.rs",    // where rules and mutants meet
        "suite/real_bugs.rs", // docs/real-bugs.md
    ]);
    let surprising: Vec<_> = users.difference(&allowed).collect();
    assert!(surprising.is_empty(), "files that use the emulator: {surprising:?}");
}

#[test]
fn libraries_stay_behind_their_module() {
    let homes: &[(&str, &[&str])] = &[
        ("goose", &["engine"]),
        ("jsonschema", &["schema"]),
        ("insta", &["snapshot"]),
        ("axum", &["emulator"]),
        ("hyper", &["client"]),
        ("hyper_util", &["client"]),
        ("tokio_rustls", &["client"]),
        ("saphyr_parser", &["scenario"]),
        ("minijinja", &["scenario"]),
        ("hdrhistogram", &["metrics"]),
        ("clap", &["cli"]),
        ("clap_complete", &["cli"]),
        ("clap_mangen", &["cli"]),
        ("toml", &["cli"]),
        ("rustix", &["machine"]),
    ];
    let mut wrong = Vec::new();
    for source in sources() {
        for (library, modules) in homes {
            let paths = [format!("{library}::"), format!("use {library};")];
            let named = paths.iter().any(|p| names_path(&source.code, p));
            if named && !modules.contains(&source.module.as_str()) {
                wrong.push(format!("{} names {library}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a path begins with these characters, not in the middle of a longer path or word.
fn names_path(code: &str, path: &str) -> bool {
    code.match_indices(path)
        .any(|(at, _)| !code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':'))
}

#[test]
fn only_the_store_and_the_snapshot_folder_touch_files() {
    let touching: BTreeSet<String> = sources()
        .into_iter()
        .filter(|s| !s.is_test() && (["std::fs", "std::{", "tokio::fs"].iter().any(|p| s.code.contains(p))))
        .map(|s| s.module)
        .collect();
    assert_eq!(touching, BTreeSet::from(["snapshot".to_owned(), "store".to_owned()]));
}

#[test]
fn floors_0_and_1_have_no_clock_no_files_no_network_and_do_not_wait() {
    assert_pure(&sources(), |s| floor(&s.module).is_some_and(|f| f <= 1), &[]);
}

#[test]
fn the_emulator_has_a_clock_and_a_socket_only_where_it_serves() {
    // A token is no clock: generations are cancelled by it.
    let serving = ["emulator/serve.rs", "emulator/model_serve.rs"];
    let pure = |s: &Source| s.module == "emulator" && !serving.contains(&s.name.as_str());
    assert_pure(&sources(), pure, &["tokio_util::sync::CancellationToken", "std::net::{IpAddr, Ipv4Addr}"]);
}

fn assert_pure(sources: &[Source], chosen: impl Fn(&Source) -> bool, harmless: &[&str]) {
    let forbidden = [
        "std::{",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "tokio",
        "Instant::now",
        "SystemTime::now",
        "println!",
        "eprintln!",
        "async fn",
        "log::",
    ];
    let mut wrong = Vec::new();
    let mut seen = 0;
    for source in sources.iter().filter(|s| !s.is_test() && chosen(s)) {
        seen += 1;
        let code = harmless.iter().fold(source.code.clone(), |code, word| code.replace(word, ""));
        let named = forbidden.iter().filter(|word| names_path(&code, word));
        wrong.extend(named.map(|word| format!("{} names {word}", source.name)));
    }
    assert!(seen > 10, "only {seen} files were looked at");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_functions_stay_short_enough_to_read() {
    let mut long = Vec::new();
    for source in sources() {
        if source.lines > FILE_LINES {
            long.push(format!("{} has {} lines", source.name, source.lines));
        }
        for (name, lines) in functions(&source.code) {
            if lines > FUNCTION_LINES {
                long.push(format!("{}: fn {name} has {lines} lines", source.name));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// Names and lengths of the functions with a body.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back();
        let rest = &code[at..];
        let name: String = rest[3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() || before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let Some(open) = rest.find('{') else { continue };
        // A `;` before the body ends a declaration, unless it is that of an array type.
        let mut depth = 0_i32;
        let declared = rest[..open].chars().any(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            c == ';' && depth == 0
        });
        if declared {
            continue;
        }
        found.push((name, rest[..body_end(rest, open)].lines().count()));
    }
    found
}

#[test]
fn nothing_unfinished_stands_in_the_code() {
    let mut found = Vec::new();
    for source in sources() {
        for word in ["todo!", "unimplemented!", "dbg!", "#[ignore", "process::exit"] {
            // A second Ctrl-C ends the process at once: there is no orderly way left.
            let second_interrupt = word == "process::exit" && source.name == "cli/interrupt.rs";
            if source.code.contains(word) && !second_interrupt {
                found.push(format!("{}: {word}", source.name));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

// The scanner itself: a rule that cannot fail proves nothing.

#[test]
fn the_scanner_sees_code_and_neither_comments_nor_literals_nor_tests() {
    let text = "use crate::a::{B, C};\n// crate::b\nlet s = \"crate::c \\\" x\"; let r = r#\"crate::d \" \"#; let q = '\"';\n\
                /* crate::e /* nested */ */ fn f<'a>(x: &'a str) { crate::g::h(); }\n\
                #[cfg(test)]\nmod tests { use crate::i; fn j() {} }\nuse crate::{k::L, m::{n, o}, p};\n";
    let code = without_tests(&code_only(text));
    let found: Vec<String> = crate_paths(&code).into_iter().collect();
    assert_eq!(found, ["a", "g", "k", "m", "p"]);
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn the_scanner_measures_functions_and_finds_whole_words() {
    let code = "fn a() {\n  if x { y }\n}\nfn b();\nstruct S;\nfn c() -> [u8; 2] {\n}\n";
    assert_eq!(functions(code), [("a".to_owned(), 3), ("c".to_owned(), 2)]);
    assert!(has_word("use goose::x", "goose") && !has_word("mongoose::x", "goose"));
    assert!(
        names_path("a(log::warn)", "log::")
            && !names_path("crate::log::x", "log::")
            && !names_path("dialog::x", "log::")
    );
}
