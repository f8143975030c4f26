//! Scenario files: text -> [`ast::Scenario`], with all diagnostics at once.

pub mod ast;
