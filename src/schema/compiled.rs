//! One compiled schema, and what it finds wrong with a value.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Registry, ValidationError, Validator};
use serde_json::Value;
use std::collections::HashSet;

/// Most violations reported of one value.
const MAX_VIOLATIONS: usize = 10;

/// Characters of a value that a message shows.
const MAX_VALUE_CHARS: usize = 80;

/// One thing wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer to the offending place, `""` for the whole value; of a missing member, to where it should be.
    pub path: String,
    /// The keyword of the schema that does not hold, e.g. `required` or `type`.
    pub keyword: String,
    /// What is wrong, one line; values are clipped to 80 characters.
    pub message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.path.is_empty() { "(whole value)" } else { &self.path };
        write!(f, "{place}: {}", self.message)
    }
}

/// A schema that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("compile the JSON schema at {path:?}: {message}")]
pub struct SchemaError {
    /// JSON pointer into the schema.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// A compiled schema.
#[derive(Debug)]
pub struct Compiled {
    validator: Validator,
}

impl Compiled {
    /// Compiles a schema that refers to nothing outside itself. Draft 2020-12, unless its `$schema` says otherwise.
    ///
    /// # Errors
    /// When the schema is not valid, or refers to another document.
    pub fn new(schema: &Value) -> Result<Compiled, SchemaError> {
        Compiled::build(schema, None)
    }

    /// Compiles a schema that may refer to the documents of `registry`.
    pub(super) fn within(schema: &Value, registry: &Registry<'_>) -> Result<Compiled, SchemaError> {
        Compiled::build(schema, Some(registry))
    }

    fn build(schema: &Value, registry: Option<&Registry<'_>>) -> Result<Compiled, SchemaError> {
        // The plain engine matches in linear time: a hostile answer cannot make a pattern run away.
        let mut options = jsonschema::options().with_pattern_options(PatternOptions::regex()).offline();
        if let Some(registry) = registry {
            options = options.with_registry(registry);
        }
        let validator = options.build(schema).map_err(|error| SchemaError {
            path: error.instance_path().as_str().to_owned(),
            message: error.to_string(),
        })?;
        Ok(Compiled { validator })
    }

    /// Whether the value fits; faster than [`Compiled::violations`].
    pub fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// What is wrong with the value: at most 10 violations, no two with the same path and keyword; empty when it fits.
    pub fn violations(&self, value: &Value) -> Vec<Violation> {
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        let mut seen = HashSet::new();
        self.validator
            .iter_errors(value)
            .map(violation)
            .filter(|v| seen.insert((v.path.clone(), v.keyword.clone())))
            .take(MAX_VIOLATIONS)
            .collect()
    }
}

fn violation(error: ValidationError<'_>) -> Violation {
    let mut path = error.instance_path().as_str().to_owned();
    let actual = clip(&error.instance().to_string());
    let mut message = error.masked_with(actual.as_str()).to_string();
    match error.kind() {
        // Two members missing from one object are two violations, so the path names the member.
        ValidationErrorKind::Required { property: Value::String(name) } => {
            path.push('/');
            path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        }
        ValidationErrorKind::Constant { .. } => message.push_str(&format!(", found {actual}")),
        _ => {}
    }
    Violation { path, keyword: error.kind().keyword().to_owned(), message }
}

/// The first characters of a text, with `...` where something was cut.
fn clip(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn compiled(schema: Value) -> Compiled {
        Compiled::new(&schema).expect("a good schema")
    }

    #[test]
    fn a_missing_member_is_named_by_its_own_path() {
        let schema = compiled(json!({"properties": {"data": {"required": ["a", "b/c"]}}}));
        let found = schema.violations(&json!({"data": {}}));
        let paths: Vec<&str> = found.iter().map(|v| v.path.as_str()).collect();
        assert_eq!(paths, ["/data/a", "/data/b~1c"]);
        assert!(found.iter().all(|v| v.keyword == "required"), "{found:?}");
        assert_eq!(found[0].to_string(), "/data/a: \"a\" is a required property");
    }

    #[test]
    fn long_values_are_clipped_in_messages() {
        let schema = compiled(json!({"type": "integer"}));
        let found = schema.violations(&json!("ü".repeat(5000)));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.as_str(), found[0].keyword.as_str()), ("", "type"));
        assert_eq!(found[0].message, format!("\"{}... is not of type \"integer\"", "ü".repeat(79)));
    }

    #[test]
    fn a_wrong_constant_shows_what_was_found() {
        let found = compiled(json!({"const": "success"})).violations(&json!("ok"));
        assert_eq!(found[0].message, "\"success\" was expected, found \"ok\"");
    }

    #[test]
    fn at_most_ten_violations_are_reported_and_none_twice() {
        let schema = compiled(json!({"items": {"type": "string"}, "allOf": [{"items": {"type": "string"}}]}));
        let found = schema.violations(&json!([1, 2, 3]));
        assert_eq!(found.len(), 3, "{found:?}");
        let many: Vec<u8> = (0..50).collect();
        assert_eq!(schema.violations(&json!(many)).len(), 10);
    }

    #[test]
    fn a_broken_schema_and_one_that_refers_elsewhere_are_errors() {
        let error = Compiled::new(&json!({"type": "strin"})).expect_err("no such type");
        assert_eq!(error.path, "/type");
        let outside = json!({"$ref": "https://example.com/other.json"});
        assert!(Compiled::new(&outside).is_err());
    }
}
