//! YAML as the scenario reader takes it: block style, texts in double quotes or as literal blocks.

use serde_json::Value;

/// A part of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Text, quoted.
    Text(String),
    /// A plain word or number, written as it is.
    Word(String),
    /// Any JSON; its strings are written as they are.
    Json(Value),
    /// Members in order.
    Map(Vec<(String, Node)>),
    /// Items in order.
    List(Vec<Node>),
    /// Written in one line: `{ a: 1 }`.
    Inline(Box<Node>),
    /// Comment lines, and what follows them; in lists.
    Noted(Vec<String>, Box<Node>),
}

impl Node {
    pub(super) fn text(text: impl Into<String>) -> Node {
        Node::Text(text.into())
    }

    pub(super) fn word(word: impl Into<String>) -> Node {
        Node::Word(word.into())
    }

    /// A map in one line.
    pub(super) fn inline(members: Vec<(&str, Node)>) -> Node {
        Node::Inline(Box::new(map(members)))
    }
}

/// A map of members with known names.
pub(super) fn map(members: Vec<(&str, Node)>) -> Node {
    Node::Map(members.into_iter().map(|(name, node)| (name.to_owned(), node)).collect())
}

/// A whole document: a map.
pub(super) fn document(members: &[(String, Node)]) -> String {
    let mut out = String::new();
    members.iter().for_each(|(key, node)| member(key, node, 0, &mut out));
    out
}

fn member(key: &str, node: &Node, indent: usize, out: &mut String) {
    pad(indent, out);
    out.push_str(&key_text(key));
    out.push(':');
    value(node, indent, out);
}

/// What follows `key:` or `-` at this indentation, with its line end.
fn value(node: &Node, indent: usize, out: &mut String) {
    match node {
        Node::Map(members) if !members.is_empty() => {
            out.push('\n');
            members.iter().for_each(|(key, node)| member(key, node, indent + 2, out));
        }
        Node::List(items) if !items.is_empty() => {
            out.push('\n');
            items.iter().for_each(|item| list_item(item, indent + 2, out));
        }
        Node::Json(Value::Object(members)) if !members.is_empty() => value(&opened(node), indent, out),
        Node::Json(Value::Array(items)) if !items.is_empty() => value(&opened(node), indent, out),
        Node::Text(text) | Node::Json(Value::String(text)) if is_literal(text) => literal(text, indent + 2, out),
        Node::Noted(_, inner) => value(inner, indent, out),
        other => {
            out.push(' ');
            flow(other, out);
            out.push('\n');
        }
    }
}

fn list_item(item: &Node, indent: usize, out: &mut String) {
    let (notes, item) = match item {
        Node::Noted(notes, item) => (notes.as_slice(), &**item),
        item => (&[][..], item),
    };
    for note in notes {
        pad(indent, out);
        comment(note, out);
    }
    pad(indent, out);
    out.push('-');
    match opened(item) {
        Node::Map(members) if !members.is_empty() => {
            let mut first = true;
            for (key, node) in &members {
                if first {
                    out.push(' ');
                    out.push_str(&key_text(key));
                    out.push(':');
                    value(node, indent + 2, out);
                } else {
                    member(key, node, indent + 2, out);
                }
                first = false;
            }
        }
        other => value(&other, indent, out),
    }
}

/// JSON objects and arrays as maps and lists.
fn opened(node: &Node) -> Node {
    match node {
        Node::Json(Value::Object(members)) if !members.is_empty() => {
            Node::Map(members.iter().map(|(key, value)| (key.clone(), Node::Json(value.clone()))).collect())
        }
        Node::Json(Value::Array(items)) if !items.is_empty() => {
            Node::List(items.iter().map(|item| Node::Json(item.clone())).collect())
        }
        other => other.clone(),
    }
}

fn flow(node: &Node, out: &mut String) {
    match node {
        Node::Text(text) => out.push_str(&quoted(text)),
        Node::Word(word) => out.push_str(word),
        Node::Json(Value::String(text)) => out.push_str(&quoted(text)),
        Node::Json(Value::Object(_) | Value::Array(_)) => match opened(node) {
            Node::Json(Value::Object(_)) => out.push_str("{}"),
            Node::Json(_) => out.push_str("[]"),
            open => flow(&open, out),
        },
        Node::Json(scalar) => out.push_str(&scalar.to_string()),
        Node::Map(members) if members.is_empty() => out.push_str("{}"),
        Node::Map(members) => {
            let parts: Vec<String> = members.iter().map(|(k, v)| format!("{}: {}", key_text(k), in_line(v))).collect();
            out.push_str(&format!("{{ {} }}", parts.join(", ")));
        }
        Node::List(items) => {
            let parts: Vec<String> = items.iter().map(in_line).collect();
            out.push_str(&format!("[{}]", parts.join(", ")));
        }
        Node::Inline(inner) | Node::Noted(_, inner) => flow(inner, out),
    }
}

fn in_line(node: &Node) -> String {
    let mut out = String::new();
    flow(node, &mut out);
    out
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// A comment line; what would break the line is replaced.
pub(super) fn comment(text: &str, out: &mut String) {
    out.push_str("# ");
    out.extend(text.chars().map(|c| if must_be_escaped(c) || c == '\n' || c == '\t' { ' ' } else { c }));
    out.push('\n');
}

/// A key, plain where that cannot be taken for anything else.
fn key_text(key: &str) -> String {
    let mut chars = key.chars();
    let begins = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let goes_on = chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let word = matches!(key.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off");
    if begins && goes_on && !word { key.to_owned() } else { quoted(key) }
}

/// Characters that YAML does not take as they are, or that cannot be seen.
fn must_be_escaped(c: char) -> bool {
    let control = c.is_control() && c != '\n' && c != '\t';
    let unseen = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    control || unseen || matches!(c as u32 & 0xffff, 0xfffe | 0xffff)
}

/// Text in double quotes.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if must_be_escaped(c) => out.push_str(&match c as u32 {
                code @ 0..=0xff => format!("\\x{code:02X}"),
                code @ 0x100..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            }),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether a text is best read, and comes back the same, as a literal block.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let plain = |line: &str| !line.starts_with([' ', '\t']) && !line.ends_with([' ', '\t']);
    body.contains('\n')
        && !body.starts_with('\n')
        && !body.ends_with('\n')
        && !text.chars().any(must_be_escaped)
        && body.split('\n').all(plain)
}

fn literal(text: &str, indent: usize, out: &mut String) {
    let (body, mark) = match text.strip_suffix('\n') {
        Some(body) => (body, " |\n"),
        None => (text, " |-\n"),
    };
    out.push_str(mark);
    for line in body.split('\n') {
        if !line.is_empty() {
            pad(indent, out);
            out.push_str(line);
        }
        out.push('\n');
    }
}
