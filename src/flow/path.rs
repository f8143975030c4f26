//! RFC 9535 paths into response documents.

use serde_json::Value;
use serde_json_path::JsonPath;

/// The nodes that a path selects.
///
/// # Errors
/// What is wrong with the path.
pub fn select<'d>(document: &'d Value, path: &str) -> Result<Vec<&'d Value>, String> {
    let path = JsonPath::parse(path).map_err(|e| format!("`{path}` is not a JSON path: {e}"))?;
    Ok(path.query(document).all())
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
