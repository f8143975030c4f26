//! Scenario files: text -> [`ast::Scenario`], with all diagnostics at once.

pub mod ast;
pub mod template;

/// One problem of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// File as shown to people.
    pub file: String,
    /// Where, line and column from 1.
    pub at: ast::At,
    /// Characters to underline, at least 1.
    pub width: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Reads a scenario file; all problems at once.
pub fn parse(_file: &str, _text: &str) -> Result<ast::Scenario, Vec<Diagnostic>> {
    unimplemented!("replaced by the scenario branch")
}
