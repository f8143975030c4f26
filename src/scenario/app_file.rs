//! App files: text -> [`AppFile`], a small app that the emulator serves, with all problems at once.
//!
//! Read like scenario files (same YAML, same kind of messages). docs/emulator.md describes the language.

use super::diagnostic::{Diagnostic, Problems};
use super::scalar::{Scalar, scalar};
use super::shape::{Form, Group, Shape, Table, may, must};
use super::yaml::Node;
use super::{check, duration, read, suggest};
use std::time::Duration;

/// An app as its file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct AppFile {
    /// Its name, unique among the served ones.
    pub name: String,
    /// `chat`, `completion`, `agent-chat`, `advanced-chat` or `workflow`.
    pub mode: String,
    /// Its form.
    pub inputs: Vec<AppInput>,
    /// Opening statement; empty without one.
    pub opening: String,
    /// Questions offered with it.
    pub questions: Vec<String>,
    /// Questions offered after each answer.
    pub follow_ups: Vec<String>,
    /// Answers; the first that fits is given.
    pub answers: Vec<AppAnswer>,
}

/// A variable of the form.
#[derive(Clone, Debug, PartialEq)]
pub struct AppInput {
    /// Its name.
    pub variable: String,
    /// Its text in the form.
    pub label: String,
    /// `text-input`, `paragraph`, `select` or `number`.
    pub kind: String,
    /// It must be given.
    pub required: bool,
    /// Most characters of a `text-input`.
    pub max_length: Option<u64>,
    /// What a `select` takes.
    pub options: Vec<String>,
    /// What stands for it where it is left out.
    pub default: Option<String>,
}

/// An answer and when it is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppAnswer {
    /// The query holds this text.
    pub contains: Option<String>,
    /// It is the turn of this number, from 1.
    pub turn: Option<u64>,
    /// The text, with `{{ }}`.
    pub say: String,
    /// Time before the first piece.
    pub first_chunk: Option<Duration>,
    /// Time between two pieces.
    pub gap: Option<Duration>,
    /// Number of pieces.
    pub chunks: Option<u32>,
    /// The error that ends it.
    pub fail: Option<String>,
}

/// Names that `say` knows besides the variables.
const FACTS: &[&str] = &["query", "turn", "user", "echo"];

static NAME: Form = Form::new("a name: letters, digits, `-` and `_`", "support-bot", r"^[A-Za-z0-9][A-Za-z0-9_-]*$");
static VARIABLE: Form = Form::new("a variable: letters, digits and `_`", "first_name", r"^[A-Za-z_][A-Za-z0-9_]*$");
static TEXT: Shape = Shape::Template;

static APP: Table = Table {
    name: "an app",
    doc: "An app that the emulator serves.",
    keys: &[
        must("difyprobe-app", &Shape::Version, "Version of the file format: 1."),
        must("name", &Shape::Word(&NAME), "Its name."),
        must(
            "mode",
            &Shape::Choice(&["chat", "completion", "agent-chat", "advanced-chat", "workflow"]),
            "What kind of app it is.",
        ),
        may("inputs", &Shape::List(&Shape::Map(&INPUT), 0), "Its form."),
        may("opening_statement", &TEXT, "What a conversation starts with."),
        may("suggested_questions", &Shape::List(&TEXT, 0), "Questions offered at the start."),
        may("suggested_questions_after_answer", &Shape::List(&TEXT, 0), "Questions offered after each answer."),
        may("answers", &Shape::List(&Shape::Map(&ANSWER), 1), "What it says; the first one that fits."),
    ],
    groups: &[],
};

static INPUT: Table = Table {
    name: "an input",
    doc: "A variable of the form.",
    keys: &[
        must("variable", &Shape::Word(&VARIABLE), "Its name."),
        must("type", &Shape::Choice(&["text-input", "paragraph", "select", "number"]), "What it takes."),
        may("label", &Shape::Line, "Its text in the form; default: its name."),
        may("required", &Shape::Flag, "Whether it must be given; default false."),
        may("max_length", &Shape::Whole(1, 100_000), "Most characters of a `text-input`; default 48."),
        may("options", &Shape::List(&Shape::Line, 1), "What a `select` takes."),
        may("default", &Shape::TemplateOrWhole, "What stands for it where it is left out."),
    ],
    groups: &[],
};

static ANSWER: Table = Table {
    name: "an answer",
    doc: "What the app says, and when.",
    keys: &[
        may("contains", &TEXT, "Only if the query holds this text."),
        may("turn", &Shape::Whole(1, 10_000), "Only in the turn of this number, from 1."),
        may("say", &TEXT, "The text; `{{query}}`, `{{turn}}`, `{{user}}`, `{{echo}}` and variables are filled in."),
        may("first_chunk", &Shape::Time, "Time before the first piece."),
        may("gap", &Shape::Time, "Time between two pieces."),
        may("chunks", &Shape::Whole(1, 10_000), "Number of pieces."),
        may("fail", &Shape::Line, "The model fails with this text, after `say` if that is there."),
    ],
    groups: &[Group::Some(&["say", "fail"])],
};

static SHAPE: Shape = Shape::Map(&APP);

/// Reads an app file; all problems at once, in file order.
///
/// `file` is its name as shown to people, `bytes` its content of at most 1 MiB.
pub fn parse_app(file: &str, bytes: &[u8]) -> Result<AppFile, Vec<Diagnostic>> {
    let text = read::utf8(file, bytes)?;
    let mut problems = Problems::new(file);
    if text.trim().is_empty() {
        problems.add(read::START, 1, "the file is empty", "an app file starts with `difyprobe-app: 1`");
        return Err(problems.finish());
    }
    let Some(root) = read::tree(text, &mut problems) else { return Err(problems.finish()) };
    if root.get("difyprobe").is_some() || root.get("kind").and_then(Node::text) == Some("app") {
        let help = "`--app` takes app files (`difyprobe-app: 1`); see docs/emulator.md";
        problems.add(root.at, 1, "this is another kind of file", help);
        return Err(problems.finish());
    }
    check::check(&root, &SHAPE, &mut problems);
    if problems.is_empty() {
        check_inputs(&root, &mut problems);
        check_texts(&root, &mut problems);
    }
    if problems.is_empty() { Ok(app(&root)) } else { Err(problems.finish()) }
}

/// What no shape can say about the form.
fn check_inputs(root: &Node, problems: &mut Problems) {
    let mut seen: Vec<&str> = Vec::new();
    for input in items(root, "inputs") {
        let Some(name) = input.get("variable") else { continue };
        let text = name.text().unwrap_or_default();
        if seen.contains(&text) {
            problems.add(name.at, name.width(), format!("the variable `{text}` is there twice"), "names are unique");
        }
        seen.push(text);
        let kind = input.get("type").and_then(Node::text).unwrap_or_default();
        for (key, owner) in [("max_length", "text-input"), ("options", "select")] {
            if let Some(extra) = input.get(key).filter(|_| kind != owner) {
                let message = format!("`{key}` is for type `{owner}`, this is `{kind}`");
                problems.add(extra.at, extra.width(), message, "leave it out, or change the type");
            }
        }
        if kind == "select" && input.get("options").is_none() {
            problems.add(name.at, name.width(), format!("the select `{text}` has no options"), "add `options: [..]`");
        }
        let options: Vec<&str> = items(input, "options").iter().filter_map(Node::text).collect();
        if let Some(default) =
            input.get("default").filter(|d| kind == "select" && !options.contains(&text_of(d).as_str()))
        {
            let message = format!("the default `{}` is none of the options", text_of(default));
            problems.add(default.at, default.width(), message, suggest::help(&text_of(default), &options));
        }
        if let Some(default) = input.get("default").filter(|d| kind == "number" && text_of(d).parse::<f64>().is_err()) {
            problems.add(default.at, default.width(), "the default of a number is no number", "");
        }
    }
}

/// Every name in a text must be one that is filled in.
fn check_texts(root: &Node, problems: &mut Problems) {
    let variables: Vec<&str> =
        items(root, "inputs").iter().filter_map(|input| input.get("variable").and_then(Node::text)).collect();
    let mut known = variables.clone();
    if let Some(opening) = root.get("opening_statement") {
        check_names(opening, &known, problems);
    }
    known.extend(FACTS);
    for say in items(root, "answers").iter().filter_map(|answer| answer.get("say")) {
        check_names(say, &known, problems);
    }
    let unreachable =
        items(root, "answers").iter().skip_while(|a| a.get("contains").is_some() || a.get("turn").is_some());
    for answer in unreachable.skip(1) {
        problems.add(answer.at, 1, "this answer is never given", "the one before it fits every turn: put it last");
    }
}

fn check_names(node: &Node, known: &[&str], problems: &mut Problems) {
    let text = node.text().unwrap_or_default();
    for part in text.split("{{").skip(1) {
        let Some((name, _)) = part.split_once("}}") else { continue };
        if !known.contains(&name.trim()) {
            let message = format!("`{{{{{name}}}}}` names nothing");
            problems.add(node.at, node.width(), message, suggest::help(name.trim(), known));
        }
    }
}

fn app(root: &Node) -> AppFile {
    AppFile {
        name: word(root, "name"),
        mode: word(root, "mode"),
        inputs: items(root, "inputs").iter().map(input).collect(),
        opening: word(root, "opening_statement"),
        questions: items(root, "suggested_questions").iter().map(text_of).collect(),
        follow_ups: items(root, "suggested_questions_after_answer").iter().map(text_of).collect(),
        answers: items(root, "answers").iter().map(answer).collect(),
    }
}

fn input(node: &Node) -> AppInput {
    let variable = word(node, "variable");
    AppInput {
        label: node.get("label").map_or_else(|| variable.clone(), text_of),
        kind: word(node, "type"),
        required: node.get("required").and_then(scalar) == Some(Scalar::Flag(true)),
        max_length: whole(node, "max_length"),
        options: items(node, "options").iter().map(text_of).collect(),
        default: node.get("default").map(text_of),
        variable,
    }
}

fn answer(node: &Node) -> AppAnswer {
    let time = |key: &str| node.get(key).and_then(|n| duration::parse(n.text()?).ok());
    AppAnswer {
        contains: node.get("contains").map(text_of),
        turn: whole(node, "turn"),
        say: word(node, "say"),
        first_chunk: time("first_chunk"),
        gap: time("gap"),
        chunks: whole(node, "chunks").and_then(|n| u32::try_from(n).ok()),
        fail: node.get("fail").map(text_of),
    }
}

fn items<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    node.get(key).map(Node::items).unwrap_or_default()
}

fn text_of(node: &Node) -> String {
    node.text().unwrap_or_default().to_owned()
}

fn word(node: &Node, key: &str) -> String {
    node.get(key).map(text_of).unwrap_or_default()
}

fn whole(node: &Node, key: &str) -> Option<u64> {
    match scalar(node.get(key)?)? {
        Scalar::Number(number) => number.as_u64(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "difyprobe-app: 1\nname: bot\nmode: chat\ninputs:\n  - { variable: name, type: text-input, required: true }\n  - { variable: lang, type: select, options: [en, fr], default: fr }\nopening_statement: Hi {{name}}\nanswers:\n  - { contains: refund, say: \"{{lang}} {{ query }}\", gap: 50ms, chunks: 3 }\n  - { turn: 2, fail: overloaded }\n  - say: \"{{echo}}\"\n";

    fn problem(from: &str, to: &str) -> (u32, String, String) {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let all = parse_app("a.yaml", text.as_bytes()).unwrap_err();
        assert_eq!(all.len(), 1, "{all:?}");
        (all[0].at.line, all[0].message.clone(), all[0].help.clone().unwrap_or_default())
    }

    #[test]
    fn a_good_file_is_read_whole() {
        let app = parse_app("a.yaml", GOOD.as_bytes()).unwrap();
        assert_eq!((app.name.as_str(), app.mode.as_str(), app.opening.as_str()), ("bot", "chat", "Hi {{name}}"));
        assert_eq!((app.inputs[0].required, app.inputs[0].label.as_str()), (true, "name"));
        assert_eq!((app.inputs[1].options.len(), app.inputs[1].default.as_deref()), (2, Some("fr")));
        assert_eq!((app.answers[0].gap, app.answers[0].chunks), (Some(Duration::from_millis(50)), Some(3)));
        assert_eq!((app.answers[1].turn, app.answers[1].fail.as_deref()), (Some(2), Some("overloaded")));
    }

    #[test]
    fn problems_have_their_place_and_a_remedy() {
        assert_eq!(
            problem("say: \"{{lang}}", "say: \"{{lan}}"),
            (9, "`{{lan}}` names nothing".into(), "did you mean `lang`?".into())
        );
        assert_eq!(problem("mode: chat", "mode: chatt").2, "did you mean `chat`?");
        assert_eq!(problem("opening_statement", "opening-statment").2, "did you mean `opening_statement`?");
        assert_eq!(problem("default: fr", "default: de").0, 6);
        assert_eq!(
            problem("  - { variable: lang", "  - { variable: name, type: number }\n  - { variable: lang").1,
            "the variable `name` is there twice"
        );
        assert_eq!(problem("type: text-input,", "type: number, max_length: 3,").0, 5);
        assert_eq!(problem("turn: 2, ", "").1, "this answer is never given");
        assert_eq!(problem(", options: [en, fr], default: fr", "").1, "the select `lang` has no options");
    }

    #[test]
    fn other_kinds_of_files_are_named_as_such() {
        for text in ["difyprobe: 1\nid: a\n", "kind: app\nversion: 0.1.5\n"] {
            let all = parse_app("a.yaml", text.as_bytes()).unwrap_err();
            assert!(all[0].help.as_ref().unwrap().contains("difyprobe-app: 1"), "{all:?}");
        }
        assert_eq!(parse_app("a.yaml", b" \n").unwrap_err()[0].message, "the file is empty");
        assert_eq!(parse_app("a.yaml", b"\xff\xfea").unwrap_err()[0].message, "the file is not UTF-8");
    }
}
