//! Two JSON documents, member by member.

use super::exchange::{Context, below_inputs, change};
use super::kind::Kind;
use super::names::Alike;
use super::read::Tree;

impl Context<'_> {
    /// Compares two values; `path` is that of A, with `[*]` for every item of a list.
    pub(super) fn trees(&mut self, place: &str, path: &str, a: &Tree, b: &Tree) {
        match (a, b) {
            (Tree::Members(in_a), Tree::Members(in_b)) => self.members(place, path, in_a, in_b),
            (Tree::List(in_a), Tree::List(in_b)) => {
                if in_a.len() != in_b.len() {
                    // Which item is missing is not known: what stands at the same place need not mean the same.
                    let counted = |items: &[Tree], all| format!("{} of {}", items.len(), shown(all));
                    self.note(Kind::Items, place, path, String::new(), (&counted(in_a, a), &counted(in_b, b)));
                    return;
                }
                let path = format!("{path}[*]");
                in_a.iter().zip(in_b).for_each(|(a, b)| self.trees(place, &path, a, b));
            }
            (Tree::Text(a), Tree::Text(b)) => self.texts(place, path, a, b),
            (Tree::Number(_), Tree::Number(_)) | (Tree::Bool(_), Tree::Bool(_)) => {
                if a != b {
                    let kind = if below_inputs(path) { Kind::Inputs } else { Kind::Value };
                    let detail = if kind == Kind::Inputs { "on record" } else { "" };
                    self.note(kind, place, path, detail.to_owned(), (&shown(a), &shown(b)));
                }
            }
            (Tree::Mask(mask_a), Tree::Mask(mask_b)) => match self.names.alike(mask_a, mask_b) {
                Alike::Same => {}
                Alike::OtherId => self.note(Kind::Id, place, path, String::new(), (mask_a, mask_b)),
                Alike::Different => self.types(place, path, a, b),
            },
            (Tree::Null, Tree::Null) => {}
            _ => self.types(place, path, a, b),
        }
    }

    fn types(&mut self, place: &str, path: &str, a: &Tree, b: &Tree) {
        self.note(Kind::MemberType, place, path, change(&kind(a), &kind(b)), (&shown(a), &shown(b)));
    }

    fn members(&mut self, place: &str, path: &str, a: &[(String, Tree)], b: &[(String, Tree)]) {
        let find = |members: &[(String, Tree)], name: &str| members.iter().position(|(n, _)| n == name);
        for (name, value) in a {
            let path = step(path, name);
            match find(b, name).and_then(|at| b.get(at)) {
                Some((_, other)) => self.trees(place, &path, value, other),
                None => self.note(Kind::MemberRemoved, place, &path, String::new(), (&shown(value), "no such member")),
            }
        }
        for (name, value) in b.iter().filter(|(name, _)| find(a, name).is_none()) {
            let path = step(path, name);
            self.note(Kind::MemberAdded, place, &path, String::new(), ("no such member", &shown(value)));
        }
    }
}

/// The path of a member, as RFC 9535 writes it, so that it can be given to `--ignore`.
fn step(path: &str, name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain {
        return format!("{path}.{name}");
    }
    format!("{path}['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The type of a value in words; a mask is a type of its own.
fn kind(tree: &Tree) -> String {
    match tree {
        Tree::Mask(mask) => super::names::without_names(mask),
        Tree::Null => "null".to_owned(),
        Tree::Bool(_) => "boolean".to_owned(),
        Tree::Number(_) => "number".to_owned(),
        Tree::Text(_) => "string".to_owned(),
        Tree::List(_) => "array".to_owned(),
        Tree::Members(_) => "object".to_owned(),
    }
}

/// A value on one line.
fn shown(tree: &Tree) -> String {
    match tree {
        Tree::Mask(text) | Tree::Number(text) => text.clone(),
        Tree::Null => "null".to_owned(),
        Tree::Bool(value) => value.to_string(),
        Tree::Text(text) => serde_json::Value::String(text.clone()).to_string(),
        Tree::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Tree::Members(members) => {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\": {}", shown(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}
