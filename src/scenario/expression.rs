//! Where expressions stand in a template, and which names they read.

use super::functions::environment;
use fastrand::Rng;
use minijinja::{Environment, ErrorKind};
use std::sync::{Arc, Mutex};

/// Longest expression in bytes. The parser of minijinja recurses for chains such as `not not ..`, and overflows the stack of
/// a thread (2 MiB) at some 10,000 of them.
const LONGEST: usize = 2000;

/// Part of a template.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece<'a> {
    /// Text as it is.
    Text(&'a str),
    /// What stands between `${{` and `}}`.
    Expression {
        /// The expression with its blanks.
        source: &'a str,
        /// Bytes before it in the template.
        start: usize,
    },
}

/// A template that cannot be split.
#[derive(Debug, PartialEq)]
pub(crate) struct SplitError {
    /// Bytes before the `${{` at fault.
    pub start: usize,
    /// What is wrong.
    pub message: String,
}

/// Splits a template into texts and expressions.
pub(crate) fn split(text: &str) -> Result<Vec<Piece<'_>>, SplitError> {
    let mut pieces = Vec::new();
    let mut done = 0;
    while let Some(found) = text.get(done..).and_then(|rest| rest.find("${{")) {
        let open = done + found;
        let before = text.get(done..open).unwrap_or_default();
        if let Some(before) = before.strip_suffix('$') {
            // `$${{` is a literal `${{`: leave out the first `$`, keep the rest
            pieces.push(Piece::Text(before));
            pieces.push(Piece::Text("${{"));
            done = open + 3;
            continue;
        }
        pieces.push(Piece::Text(before));
        let start = open + 3;
        let Some(length) = text.get(start..).and_then(expression_end) else {
            return Err(SplitError { start: open, message: "`${{` without its `}}`".to_owned() });
        };
        let source = text.get(start..start + length).unwrap_or_default();
        if source.trim().is_empty() {
            return Err(SplitError { start: open, message: "nothing between `${{` and `}}`".to_owned() });
        }
        if source.len() > LONGEST {
            let message = format!("an expression of {} bytes; at most {LONGEST} are read", source.len());
            return Err(SplitError { start: open, message });
        }
        pieces.push(Piece::Expression { source, start });
        done = start + length + 2;
    }
    pieces.push(Piece::Text(text.get(done..).unwrap_or_default()));
    pieces.retain(|p| *p != Piece::Text(""));
    Ok(pieces)
}

/// Bytes before the `}}` that ends an expression: not one in quotes or inside of a map.
fn expression_end(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0usize, None, false);
    for (at, c) in text.char_indices() {
        if let Some(mark) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == mark {
                quote = None;
            }
            continue;
        }
        match c {
            '"' | '\'' => quote = Some(c),
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' if text.get(at..).is_some_and(|rest| rest.starts_with("}}")) => return Some(at),
            _ => {}
        }
    }
    None
}

/// Names that an expression reads, with their members as far as known (`app.mode`), sorted. `Err` says why it is no
/// expression.
pub(crate) fn names(source: &str) -> Result<Vec<String>, String> {
    thread_local! {
        static ENV: Environment<'static> = environment(&Arc::new(Mutex::new(Rng::with_seed(0))));
    }
    ENV.with(|env| {
        let compiled = env.compile_expression(source).map_err(|e| reason(&e))?;
        check_filters(env, source)?;
        let mut names: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
        names.sort();
        Ok(names)
    })
}

/// minijinja looks filters and tests up when it evaluates; a file should be refused before.
fn check_filters(env: &Environment<'static>, source: &str) -> Result<(), String> {
    let mut before = "";
    for token in tokens(source) {
        let is_word = token.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if before == "|" && is_word {
            let error = env.empty_state().apply_filter(token, &[]).err();
            if error.is_some_and(|e| e.kind() == ErrorKind::UnknownFilter) {
                return Err(format!("there is no filter `{token}`"));
            }
        }
        let is_test = before == "is" && is_word && !matches!(token, "not" | "none" | "true" | "false");
        if is_test {
            let error = env.empty_state().perform_test(token, &[]).err();
            if error.is_some_and(|e| e.kind() == ErrorKind::UnknownTest) {
                return Err(format!("there is no test `{token}`"));
            }
        }
        // `is not odd`: the test stands after the `not`
        before = if before == "is" && token == "not" { "is" } else { token };
    }
    Ok(())
}

/// Words and single characters of an expression, without strings and blanks.
pub(crate) fn tokens(source: &str) -> impl Iterator<Item = &str> {
    let mut rest = source;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let length = match first {
                '"' | '\'' => string_length(rest, first),
                c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
                c => c.len_utf8(),
            };
            let (token, tail) = rest.split_at(length);
            rest = tail;
            if !matches!(first, '"' | '\'') {
                return Some(token);
            }
        }
    })
}

fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

/// Why minijinja refuses an expression, without its position.
pub(crate) fn reason(error: &minijinja::Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::SyntaxError, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_expression_reads() {
        assert_eq!(names("person.name ~ vu + lane").unwrap(), ["lane", "person.name", "vu"]);
        assert_eq!(names("'a.b' if flag else nonce(n)").unwrap(), ["flag", "n", "nonce"]);
        assert!(names("a b").is_err());
        assert!(names("a |").is_err());
    }

    #[test]
    fn unknown_filters_and_tests_are_errors_before_anything_runs() {
        assert_eq!(names("a | uper").unwrap_err(), "there is no filter `uper`");
        assert_eq!(names("a is not evne").unwrap_err(), "there is no test `evne`");
        assert!(names("a | upper if a is not none and b is defined else '| x'").is_ok());
    }

    #[test]
    fn unfinished_expressions_say_where_they_start() {
        assert_eq!(split("é ${{ a }} ${{ b").unwrap_err().start, 12);
        assert_eq!(split("${{  }}").unwrap_err().start, 0);
        assert!(split(&format!("${{{{ {} }}}}", "-".repeat(3000))).unwrap_err().message.contains("bytes"));
        assert_eq!(split("$${{ open").unwrap(), [Piece::Text("${{"), Piece::Text(" open")]);
    }
}
