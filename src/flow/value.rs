//! Tests of one value: `equals`, `contains`, `is` and so on.

use crate::scenario::ast::Test;
use crate::scenario::template::{is_constant, render_json};
use serde_json::Value;

/// Whether a value passes a test; `None` stands for a value that is not there.
///
/// # Errors
/// A fragment "expected .., got ..", or why the test itself cannot be carried out.
pub(super) fn hold(test: &Test, value: Option<&Value>, scope: &Value) -> Result<(), String> {
    if let Test::Exists(wanted) = test {
        return match (wanted, value) {
            (true, None) => Err("expected a value, got none".to_owned()),
            (false, Some(value)) => Err(format!("expected nothing, got {}", show(value))),
            _ => Ok(()),
        };
    }
    let Some(value) = value else {
        return Err(format!("expected {}, got nothing at all", wanted(test, scope)?));
    };
    match passes(test, value, scope)? {
        true => Ok(()),
        false => Err(format!("expected {}, got {}", wanted(test, scope)?, show(value))),
    }
}

/// Whether a test has templates.
pub(super) fn reads_names(test: &Test) -> bool {
    match test {
        Test::Equals(json) | Test::NotEquals(json) | Test::Contains(json) | Test::NotContains(json) => {
            !is_constant(json)
        }
        _ => false,
    }
}

fn passes(test: &Test, value: &Value, scope: &Value) -> Result<bool, String> {
    let render = |json: &Value| render_json(json, scope).map_err(|e| e.to_string());
    Ok(match test {
        Test::Equals(json) => same(value, &render(json)?),
        Test::NotEquals(json) => !same(value, &render(json)?),
        Test::Contains(json) => contains(value, &render(json)?),
        Test::NotContains(json) => !contains(value, &render(json)?),
        Test::Is(form) => is(value, form)?,
        Test::Exists(wanted) => *wanted,
        Test::Range { min, max } => {
            value.as_f64().is_some_and(|n| min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max))
        }
        Test::Length(wanted) => length(value) == Some(*wanted),
        Test::MediaType(wanted) => value.as_str().is_some_and(|text| media_type(text) == media_type(wanted)),
        Test::Matches(pattern) => {
            let regex = regex::Regex::new(pattern).map_err(|e| format!("`{pattern}` is no regular expression: {e}"))?;
            value.as_str().is_some_and(|text| regex.is_match(text))
        }
    })
}

fn wanted(test: &Test, scope: &Value) -> Result<String, String> {
    let render = |json: &Value| render_json(json, scope).map(|v| show(&v)).map_err(|e| e.to_string());
    Ok(match test {
        Test::Equals(json) => render(json)?,
        Test::NotEquals(json) => format!("anything but {}", render(json)?),
        Test::Contains(json) => format!("something with {}", render(json)?),
        Test::NotContains(json) => format!("something without {}", render(json)?),
        Test::Is(form) => form.clone(),
        Test::Exists(wanted) => (if *wanted { "a value" } else { "nothing" }).to_owned(),
        Test::Range { min: Some(min), max: Some(max) } => format!("a number from {min} to {max}"),
        Test::Range { min: Some(min), max: None } => format!("a number of at least {min}"),
        Test::Range { min: None, max: Some(max) } => format!("a number of at most {max}"),
        Test::Range { min: None, max: None } => "a number".to_owned(),
        Test::Length(wanted) => format!("a length of {wanted}"),
        Test::MediaType(wanted) => format!("media type {wanted}"),
        Test::Matches(pattern) => format!("text that matches `{pattern}`"),
    })
}

fn media_type(header: &str) -> String {
    header.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// Equality of JSON where 1 and 1.0 are the same number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::String(text), Value::Number(part)) => text.contains(&part.to_string()),
        (Value::Array(items), part) => items.iter().any(|item| same(item, part)),
        _ => false,
    }
}

fn length(value: &Value) -> Option<u64> {
    let length = match value {
        Value::Array(items) => items.len(),
        Value::String(text) => text.chars().count(),
        _ => return None,
    };
    u64::try_from(length).ok()
}

fn is(value: &Value, form: &str) -> Result<bool, String> {
    Ok(match form {
        "uuid" => value.as_str().is_some_and(|text| text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        // Seconds from 2001 to 2286 have ten digits; milliseconds have thirteen.
        "unix-seconds" => value.as_u64().is_some_and(|n| (1_000_000_000..10_000_000_000).contains(&n)),
        "non-empty" => match value {
            Value::Null => false,
            Value::Object(members) => !members.is_empty(),
            other => length(other) != Some(0),
        },
        other => return Err(format!("`{other}` is not a form of a value")),
    })
}

/// A value for a message, cut at 200 characters.
pub(super) fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(200) {
        Some((cut, _)) => format!("{} .. ({} characters)", text.get(..cut).unwrap_or(""), text.chars().count()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ok(test: Test, value: Value) -> bool {
        hold(&test, Some(&value), &json!({})).is_ok()
    }

    #[test]
    fn equality_ignores_how_a_number_is_written_and_the_order_of_members() {
        assert!(ok(Test::Equals(json!({"a": 1.0, "b": [2]})), json!({"b": [2.0], "a": 1})));
        assert!(!ok(Test::Equals(json!("1")), json!(1)));
        assert!(ok(Test::NotEquals(json!(1)), json!(2)));
    }

    #[test]
    fn containment_is_of_text_in_text_and_of_items_in_arrays() {
        assert!(ok(Test::Contains(json!("ell")), json!("hello")));
        assert!(ok(Test::Contains(json!(2)), json!([1, 2])));
        assert!(!ok(Test::Contains(json!("a")), json!({"a": 1})));
        assert!(!ok(Test::NotContains(json!("ell")), json!("hello")));
    }

    #[test]
    fn forms_tell_types_apart() {
        let cases = [
            ("uuid", json!("0b3ac6a5-1b6e-4a0c-9f24-4f1ad0c43a4e"), json!("0b3ac6a51b6e4a0c9f244f1ad0c43a4e")),
            ("integer", json!(1), json!(1.5)),
            ("number", json!(1.5), json!("1")),
            ("unix-seconds", json!(1_700_000_000), json!(1_700_000_000_000_u64)),
            ("non-empty", json!([0]), json!("")),
            ("null", json!(null), json!(0)),
        ];
        for (form, yes, no) in cases {
            assert!(ok(Test::Is(form.into()), yes), "{form}");
            assert!(!ok(Test::Is(form.into()), no), "{form}");
        }
        assert!(hold(&Test::Is("cat".into()), Some(&json!(1)), &json!({})).unwrap_err().contains("`cat`"));
    }

    #[test]
    fn ranges_lengths_and_patterns_are_checked() {
        let range = |min, max| Test::Range { min, max };
        assert!(ok(range(Some(1.0), Some(2.0)), json!(2)) && !ok(range(None, Some(1.0)), json!(2)));
        assert!(!ok(range(Some(0.0), None), json!("5")));
        let json_type = || Test::MediaType("application/json".into());
        assert!(ok(json_type(), json!("Application/JSON; charset=utf-8")) && !ok(json_type(), json!("text/json")));
        assert!(ok(Test::Length(2), json!("äö")) && !ok(Test::Length(2), json!([1])));
        assert!(ok(Test::Matches("^a+$".into()), json!("aa")) && !ok(Test::Matches("^a+$".into()), json!("b")));
    }

    #[test]
    fn a_missing_value_passes_only_a_test_for_its_absence() {
        let missing = |test: Test| hold(&test, None, &json!({}));
        assert_eq!(missing(Test::Exists(false)), Ok(()));
        assert!(missing(Test::Exists(true)).is_err());
        assert_eq!(missing(Test::NotEquals(json!(1))).unwrap_err(), "expected anything but 1, got nothing at all");
    }
}
