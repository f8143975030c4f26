//! RFC 9535 paths into response documents.

use super::document::Document;
use serde_json::Value;
use serde_json_path::JsonPath;
use std::cell::RefCell;
use std::collections::HashMap;

/// Paths kept parsed per thread; scenarios bring a few each.
const MOST_PARSED: usize = 1024;

thread_local! {
    // A load asks the same few paths of every reply; parsing one costs more than following it.
    static PARSED: RefCell<HashMap<String, JsonPath>> = RefCell::default();
}

/// The nodes that a path selects.
///
/// # Errors
/// What is wrong with the path.
pub fn select<'d>(document: &'d Value, path: &str) -> Result<Vec<&'d Value>, String> {
    PARSED.with_borrow_mut(|parsed| {
        if let Some(path) = parsed.get(path) {
            return Ok(path.query(document).all());
        }
        let read = JsonPath::parse(path).map_err(|e| format!("`{path}` is not a JSON path: {e}"))?;
        let nodes = read.query(document).all();
        if parsed.len() < MOST_PARSED {
            parsed.insert(path.to_owned(), read);
        }
        Ok(nodes)
    })
}

/// The value that a capture takes: the one node, an array of several nodes, or nothing.
pub(super) fn capture(document: &Value, path: &str) -> Result<Option<Value>, String> {
    let nodes = select(document, path)?;
    Ok(match nodes.as_slice() {
        [] => None,
        [one] => Some((*one).clone()),
        several => Some(several.iter().map(|v| (*v).clone()).collect()),
    })
}

/// As [`capture`], without making more of the document than the path needs.
pub(super) fn capture_from(document: &Document<'_>, path: &str) -> Result<Option<Value>, String> {
    match member(path) {
        Some(name) => Ok(document.member(name).cloned()),
        None => capture(document.whole(), path),
    }
}

/// The member that a path of the form `$.name` selects.
pub(super) fn member(path: &str) -> Option<&str> {
    let name = path.strip_prefix("$.")?;
    let plain = |c: char| c.is_ascii_alphabetic() || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_capture_is_a_value_an_array_or_nothing() {
        let document = json!({"a": {"id": 1}, "b": {"id": 2}});
        assert_eq!(capture(&document, "$.a.id"), Ok(Some(json!(1))));
        assert_eq!(capture(&document, "$..id"), Ok(Some(json!([1, 2]))));
        assert_eq!(capture(&document, "$.c"), Ok(None));
        assert!(capture(&document, "a.b").unwrap_err().contains("`a.b`"));
    }
}
