//! Types of scalars by the core schema of YAML 1.2, and JSON from nodes.

use super::yaml::{Kind, Node};
use serde_json::{Number, Value};

/// A scalar with its type.
#[derive(Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Flag(bool),
    Number(Number),
    Text(&'a str),
    /// A plain scalar that looks like a number and cannot be one in JSON, and why.
    Wrong(&'static str),
}

/// The typed value of a scalar node; `None` for lists and maps.
pub(crate) fn scalar(node: &Node) -> Option<Scalar<'_>> {
    let Kind::Scalar { text, plain } = &node.kind else { return None };
    if !plain {
        return Some(Scalar::Text(text));
    }
    Some(match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Flag(true),
        "false" | "False" | "FALSE" => Scalar::Flag(false),
        text => number(text).unwrap_or(Scalar::Text(text)),
    })
}

fn number(text: &str) -> Option<Scalar<'_>> {
    const LARGE: Scalar<'_> = Scalar::Wrong("is too large for a number; put it in quotes");
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(rest) = text.strip_prefix(prefix).filter(|r| !r.is_empty() && r.chars().all(|c| c.is_digit(radix)))
        {
            return Some(u64::from_str_radix(rest, radix).map_or(LARGE, |n| Scalar::Number(n.into())));
        }
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Scalar::Wrong("is no JSON number"));
    }
    if digits(unsigned) {
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            return Some(Scalar::Wrong("starts with 0: put it in quotes to keep it, or drop the 0"));
        }
        let signed = text.strip_prefix('+').unwrap_or(text);
        let whole = signed.parse::<u64>().map(Number::from).or_else(|_| signed.parse::<i64>().map(Number::from));
        return Some(whole.map_or(LARGE, Scalar::Number));
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let plain = match mantissa.split_once('.') {
        None => digits(mantissa),
        Some((whole, "")) => digits(whole),
        Some((whole, rest)) => (whole.is_empty() || digits(whole)) && digits(rest),
    };
    let float = plain && digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent));
    if !float {
        return None;
    }
    let number = text.parse::<f64>().ok().and_then(Number::from_f64);
    Some(number.map_or(LARGE, Scalar::Number))
}

/// The node as JSON; what was refused becomes null.
pub(crate) fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Refused => Value::Null,
        Kind::List(items) => items.iter().map(json).collect(),
        Kind::Map(entries) => entries.iter().map(|(k, v)| (k.text().unwrap_or_default().to_owned(), json(v))).collect(),
        Kind::Scalar { .. } => match scalar(node) {
            Some(Scalar::Flag(flag)) => Value::Bool(flag),
            Some(Scalar::Number(number)) => Value::Number(number),
            Some(Scalar::Text(text)) => Value::String(text.to_owned()),
            Some(Scalar::Null | Scalar::Wrong(_)) | None => Value::Null,
        },
    }
}

/// What a node is, for messages.
pub(crate) fn describe(node: &Node) -> String {
    match &node.kind {
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "a map".to_owned(),
        Kind::Refused => "nothing".to_owned(),
        Kind::Scalar { text, .. } => match scalar(node) {
            Some(Scalar::Text(_)) => "text".to_owned(),
            Some(Scalar::Null) if text.is_empty() => "nothing".to_owned(),
            Some(Scalar::Null) => "null".to_owned(),
            Some(Scalar::Flag(flag)) => format!("`{flag}`"),
            Some(Scalar::Number(number)) => format!("the number {number}"),
            Some(Scalar::Wrong(_)) | None => format!("`{text}`"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::diagnostic::Problems;
    use serde_json::json;

    fn value(text: &str) -> Value {
        let mut problems = Problems::new("a");
        json(&crate::scenario::yaml::read(text, &mut problems).unwrap())
    }

    #[test]
    fn plain_scalars_take_the_types_of_the_core_schema() {
        let read = value("[1, -2, +3, 0x1f, 0o17, 1.5, -.5, 1e3, 2., true, False, null, ~, yes, no, on, '1', \"true\", 1.2.3, 12:30, -, e3]".replace("-, ", "'-', ").as_str());
        let want = json!([
            1, -2, 3, 31, 15, 1.5, -0.5, 1000.0, 2.0, true, false, null, null, "yes", "no", "on", "1", "true", "1.2.3",
            "12:30", "-", "e3"
        ]);
        assert_eq!(read, want);
    }

    #[test]
    fn members_keep_their_order() {
        assert_eq!(value("{z: 1, a: {y: [], b: {}}}").to_string(), r#"{"z":1,"a":{"y":[],"b":{}}}"#);
    }

    #[test]
    fn numbers_that_json_cannot_hold_are_wrong() {
        for text in [".inf", "-.inf", ".nan", "007", "-01", "99999999999999999999999", "1e999"] {
            assert!(matches!(number(text), Some(Scalar::Wrong(_))), "{text}");
        }
        for text in [".", "-", "1e", "e1", "0xg", "1_000", "..", "1..2"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
