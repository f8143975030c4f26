//! The way of a file from its bytes to a scenario.

use super::ast::{At, Scenario};
use super::diagnostic::{Diagnostic, Problems};
use super::keys::SCENARIO;
use super::shape::Shape;
use super::yaml::Node;
use super::{build, check, meaning, names, scalar, yaml};

/// Largest scenario file in bytes.
const LARGEST: usize = 1024 * 1024;

static SHAPE: Shape = Shape::Map(&SCENARIO);
/// Where a file starts.
pub(super) const START: At = At { line: 1, column: 1 };

/// Reads a scenario file from its bytes, as [`parse`]; text that is not UTF-8 is a problem like others.
pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Scenario, Vec<Diagnostic>> {
    parse(file, utf8(file, bytes)?)
}

/// The text of a file; the place where it stops being UTF-8 otherwise.
pub(super) fn utf8<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Vec<Diagnostic>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default()).into_owned();
        let line = before.split('\n').count() as u32;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
        let help = match bytes {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "this looks like UTF-16; save the file as UTF-8",
            _ => "save the file as UTF-8",
        };
        let mut problems = Problems::new(file);
        problems.add(At { line, column }, 1, "the file is not UTF-8", help);
        problems.finish()
    })
}

/// Reads a scenario file; all problems at once, in file order.
///
/// `file` is its name as shown to people, `text` its content of at most 1 MiB.
pub fn parse(file: &str, text: &str) -> Result<Scenario, Vec<Diagnostic>> {
    let mut problems = Problems::new(file);
    let scenario = read(file, text, &mut problems);
    if problems.is_empty() {
        if let Some(scenario) = scenario {
            return Ok(scenario);
        }
        problems.add(
            START,
            1,
            "the file cannot be read, and no reason was found",
            "this is a fault of difyprobe; please report it",
        );
    }
    Err(problems.finish())
}

/// The content of a file as JSON, read as strictly as a scenario (one document, no aliases, no key twice) but with any
/// keys. An empty file is a problem.
pub fn read_json(file: &str, text: &str) -> Result<serde_json::Value, Vec<Diagnostic>> {
    let mut problems = Problems::new(file);
    if let Some(root) = tree(text, &mut problems) {
        check::check(&root, &Shape::Json, &mut problems);
        if problems.is_empty() {
            return Ok(scalar::json(&root));
        }
    }
    Err(problems.finish())
}

/// The tree of a file.
pub(super) fn tree(text: &str, problems: &mut Problems) -> Option<Node> {
    if text.len() > LARGEST {
        let message = format!("the file has {} bytes; a scenario has at most {LARGEST}", text.len());
        problems.add(START, 1, message, "split it into several scenarios");
        return None;
    }
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => {
            problems.add(START, 1, "the file starts with a byte order mark", "save the file as UTF-8 without BOM");
            rest
        }
        None => text,
    };
    let root = yaml::read(text, problems)?;
    yaml::report_duplicates(&root, problems);
    Some(root)
}

fn read(file: &str, text: &str, problems: &mut Problems) -> Option<Scenario> {
    let root = tree(text, problems)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if meaning::is_other_kind(&root, problems) {
        return None;
    }
    check::check(&root, &SHAPE, problems);
    meaning::check(&root, problems);
    names::check(&root, text, problems);
    if problems.is_empty() { build::scenario(file, &root) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "difyprobe: 1\nid: a\ntitle: t\ntarget: { app: chat }\nsteps: [{ id: a, chat: { query: é } }]\n";

    #[test]
    fn all_line_ends_give_the_same_scenario() {
        let steps = |text: &str| format!("{:?}", parse("a", text).unwrap().steps);
        assert_eq!(steps(GOOD), steps(&GOOD.replace('\n', "\r\n")));
        assert_eq!(steps(GOOD), steps(&GOOD.replace('\n', "\r")));
    }

    #[test]
    fn columns_count_characters_in_all_line_ends() {
        for end in ["\n", "\r\n", "\r"] {
            let text =
                GOOD.replace("query: é", "query: é, auto-name: true, with: { é: \"é ${{ usr }}\" }").replace('\n', end);
            let all = parse("a", &text).unwrap_err();
            assert_eq!((all[0].at, all[0].width), (At { line: 5, column: 71 }, 3), "{all:?}");
            assert!(all[0].render(&text, false).contains("${{ usr }}"));
        }
    }

    #[test]
    fn json_is_read_with_any_keys_and_the_same_strictness() {
        assert_eq!(read_json("a", "b: [1, x]\na: ").unwrap().to_string(), r#"{"b":[1,"x"],"a":null}"#);
        for text in ["a: 1\na: 2", "a: &x 1", "[", "a: 007", ""] {
            assert!(read_json("a", text).is_err(), "{text}");
        }
    }
}
