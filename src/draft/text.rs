//! Recorded text as template text: nothing in it is taken for an expression, and end users are not in it.

use serde_json::Value;

/// The end users of a flow, the first one first.
#[derive(Clone, Debug, Default)]
pub(super) struct Users(Vec<String>);

impl Users {
    /// What stands for an end user: `${{ user }}`, or with a number for the second of a flow.
    pub(super) fn stand_in(&mut self, user: &str) -> String {
        let index = self.0.iter().position(|u| u == user).unwrap_or_else(|| {
            self.0.push(user.to_owned());
            self.0.len() - 1
        });
        template(index)
    }

    /// Template text in which all end users are the first one.
    pub(super) fn anybody(&self, text: String) -> String {
        (1..self.0.len()).rev().fold(text, |text, index| text.replace(&template(index), &template(0)))
    }

    /// Text with the end users that it names replaced, and everything else kept.
    pub(super) fn escape(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((at, index, length)) = self.first_in(rest, text.len() - rest.len(), text) {
            push_escaped(rest.get(..at).unwrap_or_default(), &mut out);
            // a `$` right before an expression would make text of it
            let kept = out.trim_end_matches('$').len();
            let dollars = out.split_off(kept);
            if !dollars.is_empty() {
                out.push_str(&format!("${{{{ '{dollars}' }}}}"));
            }
            out.push_str(&template(index));
            rest = rest.get(at + length..).unwrap_or_default();
        }
        push_escaped(rest, &mut out);
        out
    }

    /// The first end user in `rest`, which begins at `offset` of `whole`: place, number and length.
    fn first_in(&self, rest: &str, offset: usize, whole: &str) -> Option<(usize, usize, usize)> {
        let users = self.0.iter().enumerate().filter(|(_, user)| is_telling(user));
        let found = users.flat_map(|(index, user)| {
            let whole_word = move |at: &usize| {
                let before = whole.get(..offset + at).and_then(|b| b.chars().next_back());
                let after = whole.get(offset + at + user.len()..).and_then(|a| a.chars().next());
                !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
            };
            let places = rest.match_indices(user.as_str()).map(|(at, _)| at);
            places.filter(whole_word).map(move |at| (at, index, user.len())).next()
        });
        found.min_by_key(|(at, _, length)| (*at, std::cmp::Reverse(*length)))
    }

    /// JSON with all texts and keys escaped.
    pub(super) fn escape_json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.escape(text)),
            Value::Array(items) => items.iter().map(|item| self.escape_json(item)).collect(),
            Value::Object(members) => {
                let members = members.iter().map(|(key, value)| (self.escape(key), self.escape_json(value)));
                Value::Object(members.collect())
            }
            other => other.clone(),
        }
    }
}

fn template(index: usize) -> String {
    if index == 0 { "${{ user }}".to_owned() } else { format!("${{{{ user }}}}-{}", index + 1) }
}

/// Whether a text tells an end user from other words: `ada` may be said, `ada@example.com` is somebody.
fn is_telling(user: &str) -> bool {
    user.chars().count() >= 6 && user.chars().any(|c| c.is_numeric() || matches!(c, '@' | '.' | '_' | '-'))
}

fn push_escaped(text: &str, out: &mut String) {
    out.push_str(&text.replace("${{", "$${{"));
}

/// Text of which nothing is known, escaped.
pub(super) fn escape(text: &str) -> String {
    Users::default().escape(text)
}

/// Whether JSON can be written and read again: neither too deep nor with keys that YAML has no room for.
pub(super) fn is_writable(value: &Value) -> bool {
    fn fits(value: &Value, depth: usize) -> bool {
        depth > 0
            && match value {
                Value::Array(items) => items.iter().all(|item| fits(item, depth - 1)),
                Value::Object(members) => members.iter().all(|(key, value)| key.len() <= 200 && fits(value, depth - 1)),
                _ => true,
            }
    }
    fits(value, 40)
}

/// A name made of any text: letters, digits and `_`, not beginning with a digit.
pub(super) fn identifier(text: &str) -> String {
    let mut name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).take(40).collect();
    let useless = name.chars().all(|c| c == '_');
    if useless {
        "value".clone_into(&mut name);
    } else if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// The name, or the name with a number, that is not taken yet.
pub(super) fn unused(wanted: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|n| format!("{wanted}_{n}"));
    std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::template::render_text;
    use serde_json::json;

    #[test]
    fn openings_of_expressions_come_back_as_they_were() {
        for text in ["${{ x }}", "$${{ x }}", "$$${{", "a ${{", "${{ '", "$ {{", "{{ x }}", "$"] {
            assert_eq!(render_text(&escape(text), &json!({})).unwrap(), text);
        }
    }

    #[test]
    fn an_end_user_is_replaced_where_it_is_a_word_of_its_own() {
        let mut users = Users::default();
        assert_eq!(users.stand_in("ada@example.com"), "${{ user }}");
        assert_eq!(users.stand_in("user-0042"), "${{ user }}-2");
        assert_eq!(users.stand_in("tell"), "${{ user }}-3");
        let escaped = users.escape("tell ada@example.com, $$user-0042, user-00421 and nada@example.com: ${{ x }}");
        let said = render_text(&escaped, &json!({"user": "U"})).unwrap();
        assert_eq!(said, "tell U, $$U-2, user-00421 and nada@example.com: ${{ x }}");
    }

    #[test]
    fn names_are_made_of_anything() {
        assert_eq!(identifier("User name"), "user_name");
        assert_eq!(identifier("名前"), "value");
        assert_eq!(identifier("2nd"), "_2nd");
        assert_eq!(unused("query", |n| n == "query" || n == "query_2"), "query_3");
    }
}
