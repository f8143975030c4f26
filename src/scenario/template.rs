//! `${{ }}` in scenario texts: splitting, checking and rendering.
//!
//! Expressions are those of minijinja (`${{ conv }}`, `${{ person.name | upper }}`, `${{ vu + 1 }}`). Functions:
//! `nonce(n)` gives n lower-case hex characters, `uuid()` a version 4 UUID, `words(n)` n English words. `$${{` stands for
//! a literal `${{`. A name that is not there is an error.

use super::expression::{Piece, names, reason, split};
use super::functions::{Hash, environment, lock, words};
use super::simple;
use fastrand::Rng;
use minijinja::Environment;
use minijinja::value::{Serde, ValueKind};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock};

/// Names of the functions that expressions may call.
pub const FUNCTIONS: [&str; 3] = ["nonce", "uuid", "words"];

/// Why a template could not be rendered.
#[derive(Debug, thiserror::Error)]
#[error("render `{text}`: {reason}")]
pub struct TemplateError {
    /// The expression (or the whole template if its syntax is wrong).
    pub text: String,
    /// What went wrong.
    pub reason: String,
}

/// Names in two layers, both objects or nothing: those of the top hide those of the base.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// What changes from iteration to iteration.
    pub top: &'a Value,
    /// What all iterations share.
    pub base: &'a Value,
}

impl<'a> Layers<'a> {
    /// The value of a name.
    pub fn get(self, name: &str) -> Option<&'a Value> {
        self.top.get(name).or_else(|| self.base.get(name))
    }

    /// Both layers as one object.
    pub fn together(self) -> Cow<'a, Value> {
        match (self.base, self.top) {
            (Value::Object(base), Value::Object(top)) => {
                let mut all = base.clone();
                all.extend(top.clone());
                Cow::Owned(Value::Object(all))
            }
            _ => Cow::Borrowed(self.top),
        }
    }
}

/// Whether a text has no expressions.
fn is_plain(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), b"${{").is_none()
}

/// Renders texts. Holds the generator behind `nonce`, `uuid` and `words`: the same seed and the same calls in the same
/// order give the same texts.
pub struct Renderer {
    /// Made when the first expression comes that is more than a name or a call.
    env: OnceLock<Environment<'static>>,
    rng: Arc<Mutex<Rng>>,
    seed: u64,
}

impl Renderer {
    /// A renderer with this seed.
    pub fn new(seed: u64) -> Renderer {
        let rng = Arc::new(Mutex::new(Rng::with_seed(seed)));
        Renderer { env: OnceLock::new(), rng, seed }
    }

    /// The renderer of one iteration of one scenario by one virtual user.
    pub fn for_iteration(run_seed: u64, scenario: &str, vu: u64, iteration: u64) -> Renderer {
        let mut hash = Hash::new(run_seed);
        hash.add(scenario.as_bytes());
        hash.add(&vu.to_le_bytes());
        hash.add(&iteration.to_le_bytes());
        Renderer::new(hash.0)
    }

    /// An independent renderer for one lane of a parallel step, so that what lanes draw does not depend on who is first.
    pub fn for_lane(&self, step: &str, lane: u64) -> Renderer {
        let mut hash = Hash::new(self.seed);
        hash.add(step.as_bytes());
        hash.add(&lane.to_le_bytes());
        Renderer::new(hash.0)
    }

    /// Renders a text; `scope` is an object of the visible names.
    pub fn render_text(&self, text: &str, scope: &Value) -> Result<String, TemplateError> {
        self.text(text, Layers { top: scope, base: &Value::Null })
    }

    /// Renders JSON: strings and object keys; a string that is one whole `${{ }}` becomes the value with its type.
    pub fn render_json(&self, json: &Value, scope: &Value) -> Result<Value, TemplateError> {
        self.json(json, Layers { top: scope, base: &Value::Null })
    }

    /// As [`Renderer::render_text`], with names in two layers.
    pub fn text(&self, text: &str, scope: Layers<'_>) -> Result<String, TemplateError> {
        if is_plain(text) {
            return Ok(text.to_owned());
        }
        self.joined(&split(text).map_err(|e| failed(text, e.message))?, scope)
    }

    fn joined(&self, pieces: &[Piece<'_>], scope: Layers<'_>) -> Result<String, TemplateError> {
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(plain) => out += plain,
                Piece::Expression { source, .. } => match self.evaluate(source, scope)? {
                    Value::String(value) => out += &value,
                    value => out += &value.to_string(),
                },
            }
        }
        Ok(out)
    }

    /// As [`Renderer::render_json`], with names in two layers.
    pub fn json(&self, json: &Value, scope: Layers<'_>) -> Result<Value, TemplateError> {
        match json {
            Value::String(text) if is_plain(text) => Ok(json.clone()),
            Value::String(text) => match split(text).map_err(|e| failed(text, e.message))?.as_slice() {
                [Piece::Expression { source, .. }] => self.evaluate(source, scope),
                pieces => self.joined(pieces, scope).map(Value::String),
            },
            Value::Array(items) => items.iter().map(|i| self.json(i, scope)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| Ok((self.text(key, scope)?, self.json(value, scope)?)))
                .collect::<Result<serde_json::Map<_, _>, _>>()
                .map(Value::Object),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(json.clone()),
        }
    }

    /// `n` random English words, separated by spaces.
    pub fn words(&self, n: u32) -> String {
        words(&mut lock(&self.rng), n)
    }

    /// A random index below `len`; 0 if there is nothing to choose from.
    pub fn pick(&self, len: usize) -> usize {
        if len == 0 { 0 } else { lock(&self.rng).usize(..len) }
    }

    fn evaluate(&self, source: &str, scope: Layers<'_>) -> Result<Value, TemplateError> {
        if let Some(value) = simple::evaluate(source.trim(), scope, &self.rng) {
            return Ok(value);
        }
        let scope = &*scope.together();
        let context = minijinja::Value::from(Serde(scope));
        let env = self.env.get_or_init(|| environment(&self.rng));
        let compiled = env.compile_expression(source).map_err(|e| failed(source, reason(&e)))?;
        let value = compiled.eval(context).map_err(|e| failed(source, reason(&e)))?;
        match value.kind() {
            ValueKind::Undefined => Err(failed(source, self.missing(source, scope))),
            ValueKind::Invalid | ValueKind::Plain => Err(failed(source, "the result is no JSON value".into())),
            ValueKind::Number if !f64::try_from(value.clone()).is_ok_and(f64::is_finite) && !value.is_integer() => {
                Err(failed(source, "the result is no finite number".into()))
            }
            _ => serde_json::to_value(&value).map_err(|e| failed(source, e.to_string())),
        }
    }

    fn missing(&self, source: &str, scope: &Value) -> String {
        let names = names(source).unwrap_or_default();
        let absent = |name: &&String| {
            let path = name.split('.');
            path.into_iter().try_fold(scope, |value, member| value.get(member)).is_none()
        };
        match names.iter().find(absent) {
            Some(name) => format!("`{name}` has no value here"),
            None => "the result is undefined".to_owned(),
        }
    }
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renderer").field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// Renders a text; `scope` is an object of the visible names.
///
/// Random functions draw from a generator seeded with the text and the scope: the same call gives the same text again.
/// What runs steps keeps a [`Renderer`] instead, whose generator moves on from call to call.
pub fn render_text(text: &str, scope: &Value) -> Result<String, TemplateError> {
    if !text.contains("${{") {
        return Ok(text.to_owned());
    }
    seeded(text, scope).render_text(text, scope)
}

/// Renders JSON: strings and object keys; a string that is one whole `${{ }}` becomes the value with its type.
/// Random functions: as for [`render_text`].
pub fn render_json(json: &Value, scope: &Value) -> Result<Value, TemplateError> {
    if is_constant(json) {
        return Ok(json.clone());
    }
    seeded(&json.to_string(), scope).render_json(json, scope)
}

/// Whether JSON has no `${{ }}` in it.
pub fn is_constant(json: &Value) -> bool {
    match json {
        Value::String(text) => !text.contains("${{"),
        Value::Array(items) => items.iter().all(is_constant),
        Value::Object(members) => members.iter().all(|(key, value)| !key.contains("${{") && is_constant(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn seeded(text: &str, scope: &Value) -> Renderer {
    let mut hash = Hash::new(0);
    hash.add(text.as_bytes());
    hash.add(scope.to_string().as_bytes());
    Renderer::new(hash.0)
}

fn failed(text: &str, reason: String) -> TemplateError {
    TemplateError { text: text.trim().to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope() -> Value {
        json!({"name": "Ada", "n": 3, "flag": true, "none": null, "row": {"z": 1, "a": [1, 2]}, "run": {"id": "r1"}})
    }

    fn text(template: &str) -> String {
        render_text(template, &scope()).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn values_stand_in_texts_as_text_or_json() {
        assert_eq!(text("I am ${{ name }}, ${{n}} ${{ flag }} ${{ none }}."), "I am Ada, 3 true null.");
        assert_eq!(text("${{ row }}"), r#"{"z":1,"a":[1,2]}"#);
        assert_eq!(text("${{ name | upper }}-${{ n + 1 }}-${{ row.a[1] }}"), "ADA-4-2");
        assert_eq!(text("no template $ { {{ }} ${ }"), "no template $ { {{ }} ${ }");
    }

    #[test]
    fn an_escaped_opening_is_kept_as_text() {
        assert_eq!(text("$${{ name }} and ${{ name }}"), "${{ name }} and Ada");
        assert_eq!(render_json(&json!("$${{ n }}"), &scope()).unwrap(), json!("${{ n }}"));
    }

    #[test]
    fn braces_and_quotes_inside_an_expression_do_not_end_it() {
        assert_eq!(text("${{ {'a': {'b': 7}}.a.b }}"), "7");
        assert_eq!(text("${{ '}}' }}|${{ \"\\\"}}\" }}"), "}}|\"}}");
    }

    #[test]
    fn a_whole_expression_keeps_its_type_and_order() {
        let found =
            render_json(&json!({"a": "${{ n }}", "b": ["${{ row }}", " ${{ n }}"], "k${{ n }}": null}), &scope());
        assert_eq!(found.unwrap().to_string(), r#"{"a":3,"b":[{"z":1,"a":[1,2]}," 3"],"k3":null}"#);
    }

    #[test]
    fn errors_name_the_expression_and_the_reason() {
        let message = |template: &str| render_text(template, &scope()).unwrap_err().to_string();
        assert_eq!(message("x ${{ conv }}"), "render `conv`: `conv` has no value here");
        assert_eq!(message("x ${{ row.b }}"), "render `row.b`: `row.b` has no value here");
        assert!(message("x ${{ row.b.c }}").starts_with("render `row.b.c`: "), "{}", message("x ${{ row.b.c }}"));
        assert!(message("${{ n + }}").contains("render `n +`"), "{}", message("${{ n + }}"));
        assert!(message("${{ n").contains("without its"));
        assert!(message("${{ nonce }}").contains("no JSON value"), "{}", message("${{ nonce }}"));
        assert!(message("${{ nonce(99999) }}").contains("more than"), "{}", message("${{ nonce(99999) }}"));
        assert!(message("${{ 1e308 * 10 }}").contains("finite"), "{}", message("${{ 1e308 * 10 }}"));
        assert!(message("${{ range(3) }}").contains("range"));
    }

    #[test]
    fn a_renderer_draws_anew_each_time_and_the_same_for_the_same_seed() {
        let draw = |r: &Renderer| r.render_text("${{ nonce(8) }} ${{ uuid() }} ${{ words(2) }}", &json!({})).unwrap();
        let one = Renderer::for_iteration(7, "chat.a", 1, 2);
        let (first, second) = (draw(&one), draw(&one));
        assert_ne!(first, second);
        let again = Renderer::for_iteration(7, "chat.a", 1, 2);
        assert_eq!([draw(&again), draw(&again)], [first.clone(), second]);
        for other in [(8, "chat.a", 1, 2), (7, "chat.b", 1, 2), (7, "chat.a", 2, 2), (7, "chat.a", 1, 3)] {
            assert_ne!(draw(&Renderer::for_iteration(other.0, other.1, other.2, other.3)), first);
        }
        assert_ne!(draw(&one.for_lane("s", 0)), draw(&one.for_lane("s", 1)));
        assert_eq!(draw(&one.for_lane("s", 0)), draw(&one.for_lane("s", 0)));
    }

    #[test]
    fn random_functions_have_their_form() {
        let nonce = text("${{ nonce(12) }}");
        assert!(nonce.len() == 12 && nonce.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')), "{nonce}");
        let id = uuid::Uuid::parse_str(&text("${{ uuid() }}")).unwrap();
        assert_eq!(id.get_version_num(), 4);
        assert_eq!(text("${{ words(3) }}").split(' ').count(), 3);
        assert_eq!(Renderer::new(1).pick(0), 0);
        assert!(Renderer::new(1).pick(3) < 3);
    }

    #[test]
    fn free_functions_are_pure_and_depend_on_the_scope() {
        let draw = |scope: &Value| render_text("${{ nonce(8) }}", scope).unwrap();
        assert_eq!(draw(&json!({"vu": 1})), draw(&json!({"vu": 1})));
        assert_ne!(draw(&json!({"vu": 1})), draw(&json!({"vu": 2})));
    }
}
