//! Ids: which texts are some, and where a reply gives them.

use crate::sse::Parsed;
use serde_json::Value;

/// Members of streams that the response document takes from the first event that has them.
pub(super) const OF_DOCUMENT: [&str; 4] = ["conversation_id", "message_id", "task_id", "workflow_run_id"];

/// Whether a text looks like something that a server made up: a UUID, or a long run of letters and digits.
pub(super) fn is_id(text: &str) -> bool {
    let made_of = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let both = |t: &str| t.bytes().any(|b| b.is_ascii_digit()) && t.bytes().any(|b| b.is_ascii_alphabetic());
    (16..=128).contains(&text.len()) && text.chars().all(made_of) && (both(text) || is_uuid(text))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// An id that a reply gave.
pub(super) struct Given {
    /// The id.
    pub(super) id: String,
    /// Where: a path into the response document.
    pub(super) path: String,
    /// Name of the member that held it.
    pub(super) member: String,
}

/// All ids of a reply, those that the response document names first.
pub(super) fn given(parsed: &Parsed) -> Vec<Given> {
    let mut found = Vec::new();
    if let Some(json) = &parsed.json {
        walk(json, "$".to_owned(), "", 0, &mut found);
    }
    let Some(stream) = &parsed.stream else { return found };
    for name in OF_DOCUMENT {
        let first = stream.events.iter().find_map(|e| e.value.get(name).and_then(Value::as_str));
        if let Some(id) = first.filter(|id| is_id(id)) {
            found.push(Given { id: id.to_owned(), path: format!("$.{name}"), member: name.to_owned() });
        }
    }
    for event in &stream.events {
        let alone = stream.events.iter().filter(|e| e.name == event.name).count() == 1;
        if alone && event.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            walk(&event.value, format!("$.events[?@.event == '{}']", event.name), "", 0, &mut found);
        }
    }
    found
}

fn walk(value: &Value, path: String, member: &str, depth: usize, found: &mut Vec<Given>) {
    const DEEPEST: usize = 6;
    const MOST: usize = 2000;
    if depth > DEEPEST || found.len() > MOST {
        return;
    }
    match value {
        Value::String(id) if is_id(id) => found.push(Given { id: id.clone(), path, member: member.to_owned() }),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, format!("{path}[{index}]"), member, depth + 1, found);
            }
        }
        Value::Object(members) => {
            let plain = |n: &str| {
                n.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            };
            for (name, item) in members.iter().filter(|(name, _)| plain(name)) {
                walk(item, format!("{path}.{name}"), name, depth + 1, found);
            }
        }
        _ => {}
    }
}

/// All texts of JSON, keys left out.
pub(super) fn texts<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.values().for_each(|item| texts(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_are_told_from_words_and_dates() {
        for id in ["c2f7a0d2-4a6f-4b3e-9a55-0b1d3a6f7e21", "chatcmpl-9xyz0123456", "msg_0123456789abcdef"] {
            assert!(is_id(id), "{id}");
        }
        for other in
            ["", "hello", "2026-11-29", "a-rather-long-word-without", "0123456789012345678", "has a blank 0123"]
        {
            assert!(!is_id(other), "{other}");
        }
    }

    #[test]
    fn a_document_gives_its_ids_with_their_paths() {
        let id = |n: u32| format!("00000000-0000-4000-8000-00000000000{n}");
        let json = Some(json!({"id": id(1), "data": [{"x": id(2), "n": 5}], "a b": id(3)}));
        let parsed = Parsed { json, ..Parsed::default() };
        let paths: Vec<String> = given(&parsed).iter().map(|g| format!("{} {}", g.path, g.member)).collect();
        assert_eq!(paths, ["$.id id", "$.data[0].x x"]);
    }
}
