//! Expressions that need no engine: a name with its members, one of our functions with a number.
//!
//! They are most of what scenarios hold, and a load evaluates them for every request. Anything that is not plainly one of
//! them is left to the engine, errors too.

use super::functions::{MOST, lock, nonce, uuid, words};
use super::template::Layers;
use fastrand::Rng;
use serde_json::Value;
use std::sync::Mutex;

/// Words that stand for something else than a name.
const RESERVED: [&str; 12] = ["true", "True", "false", "False", "none", "None", "not", "and", "or", "in", "is", "if"];

/// The value of a simple expression; `None` where the engine has to be asked.
pub(crate) fn evaluate(source: &str, scope: Layers<'_>, rng: &Mutex<Rng>) -> Option<Value> {
    match source.split_once('(') {
        None => member(source, scope).cloned(),
        Some((function, rest)) if scope.get(function).is_none() => {
            call(function, rest.strip_suffix(')')?, rng).map(Value::String)
        }
        Some(_) => None,
    }
}

fn member<'s>(source: &str, scope: Layers<'s>) -> Option<&'s Value> {
    let mut names = source.split('.');
    let first = names.next().filter(|name| is_name(name))?;
    names.try_fold(scope.get(first)?, |value, name| value.as_object().filter(|_| is_name(name))?.get(name))
}

fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !RESERVED.contains(&text)
}

fn call(function: &str, argument: &str, rng: &Mutex<Rng>) -> Option<String> {
    if function == "uuid" && argument.is_empty() {
        return Some(uuid(&mut lock(rng)));
    }
    let digits = argument.len() <= 4 && argument.bytes().all(|b| b.is_ascii_digit());
    let number = argument.parse::<u32>().ok().filter(|n| digits && *n <= MOST)?;
    match function {
        "nonce" => Some(nonce(&mut lock(rng), number)),
        "words" => Some(words(&mut lock(rng), number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::functions::environment;
    use minijinja::value::Serde;
    use serde_json::json;
    use std::sync::Arc;

    fn generator() -> Arc<Mutex<Rng>> {
        Arc::new(Mutex::new(Rng::with_seed(7)))
    }

    #[test]
    fn what_is_evaluated_here_is_what_the_engine_gives() {
        let scope = json!({"a": {"b": [1], "c_1": null, "d": 1.5}, "n": 18_446_744_073_709_551_615_u64, "s": "x"});
        for source in ["a", "a.b", "a.c_1", "a.d", "n", "s", "nonce(8)", "uuid()", "words(3)", "nonce(0)", "words(007)"]
        {
            let engine = environment(&generator());
            let value = engine.compile_expression(source).and_then(|e| e.eval(minijinja::Value::from(Serde(&scope))));
            let wanted = value.map(|value| serde_json::to_value(&value).unwrap_or_default());
            let simple = evaluate(source, Layers { top: &scope, base: &Value::Null }, &generator());
            match (wanted, simple) {
                (Ok(wanted), Some(simple)) => assert_eq!(simple, wanted, "{source}"),
                (Err(_), None) => {}
                (wanted, simple) => panic!("{source}: {wanted:?}, {simple:?}"),
            }
        }
    }

    #[test]
    fn everything_else_is_for_the_engine() {
        let scope = json!({"a": {"if": 1}, "true": 2, "nonce": "mine", "list": [1]});
        for source in [
            "b",
            "a.b",
            "a.if",
            "true",
            "a + 1",
            "a['if']",
            "list.0",
            "nonce(8)",
            "words(2000)",
            "words(n)",
            "",
            "a.",
            "words( 3 )",
        ] {
            let scope = Layers { top: &scope, base: &Value::Null };
            assert_eq!(evaluate(source, scope, &generator()), None, "{source}");
        }
    }
}
