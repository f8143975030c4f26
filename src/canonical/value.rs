//! JSON documents: their ids are named first, then they are written with sorted members.

use super::ids::{Ids, is_uuid};
use super::mask::{At, Scope, id_member, id_stem, is_user, shown};
use serde_json::Value;

// The recursions below end: serde_json reads no document deeper than 128 levels.

/// Names the ids of a document: members whose own name tells what they are before all others, so that `id` gets
/// the name that `message_id` beside it gives.
pub(super) fn name_ids(document: &Value, scope: Scope<'_>, ids: &mut Ids) {
    visit(document, At::default(), &mut |text, at| {
        if let Some(stem) = id_member(at.member).and_then(|_| id_stem(at, scope)) {
            name_id(text, stem, scope, ids);
        }
    });
    visit(document, At::default(), &mut |text, at| match id_stem(at, scope) {
        Some(stem) => name_id(text, stem, scope, ids),
        None => ids.note(text, "id"),
    });
}

/// Puts neighbours in a list that came from requests side by side in the order of their names: which of them was first
/// is a matter of luck.
pub(super) fn settle(document: &mut Value, ids: &Ids) {
    match document {
        Value::Array(items) => {
            items.iter_mut().for_each(|item| settle(item, ids));
            let mut rest = items.as_mut_slice();
            while !rest.is_empty() {
                let run = unordered_run(rest, ids);
                let (run, later) = rest.split_at_mut(run.max(1));
                run.sort_by_key(|item| unordered(item, ids));
                rest = later;
            }
        }
        Value::Object(members) => members.values_mut().for_each(|member| settle(member, ids)),
        _ => {}
    }
}

/// Leaves out the rows of a list of logs that belong to end users of whom nothing was sent here: other scenarios run at
/// the same time on the same app.
pub(super) fn leave_out_others(document: &mut Value, ids: &Ids) {
    let Some(rows) = document.get_mut("data").and_then(Value::as_array_mut) else { return };
    rows.retain(|row| match row.pointer("/created_by_end_user/session_id").and_then(Value::as_str) {
        Some(user) => ids.user(user).is_some(),
        None => true,
    });
}

/// How many items from the first on came from requests side by side.
fn unordered_run(items: &[Value], ids: &Ids) -> usize {
    items.iter().take_while(|item| unordered(item, ids).is_some()).count()
}

fn unordered(item: &Value, ids: &Ids) -> Option<usize> {
    ids.unordered(item.get("id")?.as_str()?)
}

/// A JSON string. What cannot be seen or breaks lines is escaped also where JSON does not ask for it.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for c in Value::String(text.to_owned()).to_string().chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

fn name_id(text: &str, stem: &'static str, scope: Scope<'_>, ids: &mut Ids) {
    if is_uuid(text) || !scope.reply {
        ids.note(text, stem);
    } else if !text.is_empty() {
        ids.note_opaque(text, stem);
    }
}

/// Calls `each` with every string, members in sorted order.
fn visit<'v>(value: &'v Value, at: At<'v>, each: &mut impl FnMut(&'v str, At<'v>)) {
    match value {
        Value::String(text) => each(text, at),
        Value::Array(items) => items.iter().for_each(|v| visit(v, at, each)),
        Value::Object(_) => {
            for (name, member) in sorted(value) {
                visit(member, at.member(name), each);
            }
        }
        _ => {}
    }
}

fn sorted(value: &Value) -> Vec<(&str, &Value)> {
    let mut members: Vec<(&str, &Value)> =
        value.as_object().map(|o| o.iter().map(|(n, v)| (n.as_str(), v)).collect()).unwrap_or_default();
    members.sort_by_key(|(name, _)| *name);
    members
}

/// The document as text: two spaces per level, members sorted, no line feed at the end. What is replaced stands without
/// quotes, so that no string of the server can look like it.
pub(super) fn write(document: &Value, scope: Scope<'_>, ids: &Ids) -> String {
    let mut writer = Writer { out: String::new(), scope, ids };
    writer.value(document, At::default(), 0);
    writer.out
}

struct Writer<'a> {
    out: String,
    scope: Scope<'a>,
    ids: &'a Ids,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, at: At<'_>, depth: usize) {
        if let Some(mask) = shown(value, at, self.scope) {
            self.out.push_str(&mask);
            return;
        }
        match value {
            Value::String(text) => self.text(text, at),
            Value::Array(items) if !items.is_empty() => self.array(items, at, depth),
            Value::Object(members) if !members.is_empty() => self.object(value, at, depth),
            _ => self.out.push_str(&value.to_string()),
        }
    }

    fn text(&mut self, text: &str, at: At<'_>) {
        if let Some(user) = self.ids.user(text).filter(|_| is_user(at)) {
            return self.out.push_str(&quoted(&user));
        }
        let opaque = id_stem(at, self.scope).filter(|_| self.scope.reply && !is_uuid(text));
        let shown = match opaque.and_then(|_| self.ids.opaque(text)) {
            Some(name) => format!("{name}[NOT A UUID, {} characters]", text.chars().count()),
            None => quoted(&self.ids.replace(text)),
        };
        self.out.push_str(&shown);
    }

    fn array(&mut self, items: &[Value], at: At<'_>, depth: usize) {
        let mut marked = 0;
        for (n, item) in items.iter().enumerate() {
            self.out.push(if n == 0 { '[' } else { ',' });
            self.line(depth + 1);
            let run = unordered_run(items.get(n..).unwrap_or_default(), self.ids);
            if run > 1 && n >= marked {
                marked = n + run;
                self.out.push_str(&format!("[these {run} come in any order]"));
                self.line(depth + 1);
            }
            self.value(item, at, depth + 1);
        }
        self.line(depth);
        self.out.push(']');
    }

    fn object(&mut self, value: &Value, at: At<'_>, depth: usize) {
        for (n, (name, member)) in sorted(value).into_iter().enumerate() {
            self.out.push(if n == 0 { '{' } else { ',' });
            self.line(depth + 1);
            self.out.push_str(&quoted(&self.ids.replace(name)));
            self.out.push_str(": ");
            self.value(member, at.member(name), depth + 1);
        }
        self.line(depth);
        self.out.push('}');
    }

    fn line(&mut self, depth: usize) {
        self.out.push('\n');
        self.out.push_str(&"  ".repeat(depth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Text;
    use crate::model::Endpoint;
    use serde_json::json;

    const SCOPE: Scope<'static> =
        Scope { endpoint: Endpoint::Conversations, event: None, reply: true, text: Text::Exact };

    #[test]
    fn characters_that_cannot_be_seen_are_escaped() {
        let text = write(&json!({"a": "x\u{2028}y\u{85}z\u{feff} \u{301}\n"}), SCOPE, &Ids::default());
        assert_eq!(text, "{\n  \"a\": \"x\\u2028y\\u0085z\\ufeff \u{301}\\n\"\n}");
    }

    #[test]
    fn only_neighbours_from_side_by_side_are_put_in_order() {
        let id = |n: u32| format!("{n:08}-77d2-4eac-8fed-0ebd7c1811f6");
        let mut ids = Ids::default();
        ids.note(&id(1), "conv");
        ids.set_side_by_side(true);
        (2..=4).for_each(|n| ids.note(&id(n), "conv"));
        let list = |order: [u32; 4]| {
            let rows = order.map(|n| json!({ "id": id(n) }));
            json!({ "data": rows })
        };
        let mut document = list([4, 2, 1, 3]);
        settle(&mut document, &ids);
        assert_eq!(document, list([2, 4, 1, 3]));
        let text = write(&document, SCOPE, &ids);
        assert_eq!(text.matches("come in any order").count(), 1, "{text}");
    }
}
