//! What a value of a scenario file may look like. The reader, the JSON Schema and the documentation test all use it.

use regex::Regex;
use std::sync::OnceLock;

/// Form of a value.
#[derive(Debug)]
pub(crate) enum Shape {
    /// The number 1: the version of the format.
    Version,
    /// Text of one line, not empty, without templates.
    Line,
    /// Text of a certain form.
    Word(&'static Form),
    /// A number, or a number with a unit, of a certain form.
    Amount(&'static Form),
    /// One of some words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number between two limits.
    Whole(u64, u64),
    /// Any finite number.
    Number,
    /// A finite number from 0.
    Positive,
    /// A time with its unit; longer than zero.
    Limit,
    /// A time with its unit; also zero.
    Time,
    /// A time, or `1s..3s`.
    TimeRange,
    /// A path by RFC 9535.
    Path,
    /// A regular expression.
    Regex,
    /// An order of events.
    Events,
    /// A template text.
    Template,
    /// A template text or a whole number.
    TemplateOrWhole,
    /// A template text, or null.
    TemplateOrNull,
    /// Any JSON with templates.
    Json,
    /// `{}` or nothing.
    Empty,
    /// A map with known keys.
    Map(&'static Table),
    /// A map with free keys.
    Free(&'static Free),
    /// A list with at least so many elements.
    List(&'static Shape, usize),
    /// One value or a list of them, not empty.
    OneOrMore(&'static Shape),
    /// One form for scalars, another one for maps.
    ScalarOrMap(&'static Shape, &'static Shape),
    /// Steps, not empty.
    Steps,
    /// Lists of steps, neither the outer nor an inner one empty.
    Branches,
}

/// A map whose keys are not known beforehand.
#[derive(Debug)]
pub(crate) struct Free {
    /// What its keys are.
    pub names: Names,
    /// Shape of the values.
    pub of: &'static Shape,
    /// Whether exactly one entry must be there.
    pub single: bool,
}

/// What free keys are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Names {
    /// Names that templates can use.
    Variables,
    /// HTTP header names.
    Headers,
    /// Template texts.
    Templates,
    /// Members of a JSON body.
    Members,
    /// Codes of currencies.
    Currencies,
}

/// Form of a text.
#[derive(Debug)]
pub(crate) struct Form {
    /// What it is, with its article: "a dotted id".
    pub what: &'static str,
    /// An example.
    pub example: &'static str,
    /// Pattern, anchored; also that of the JSON Schema.
    pub pattern: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Form {
    pub(crate) const fn new(what: &'static str, example: &'static str, pattern: &'static str) -> Form {
        Form { what, example, pattern, compiled: OnceLock::new() }
    }

    /// Whether a text has this form.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| Regex::new(self.pattern).ok());
        compiled.as_ref().is_some_and(|r| r.is_match(text))
    }
}

/// A map with known keys.
#[derive(Debug)]
pub(crate) struct Table {
    /// Name in messages, with its article ("a step") and in the JSON Schema.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// The keys, in the order of the documentation.
    pub keys: &'static [Key],
    /// Which keys go together.
    pub groups: &'static [Group],
}

impl Table {
    /// The key with this name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|k| k.name == name)
    }

    /// Names of all keys.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|k| k.name).collect()
    }
}

/// A known key.
#[derive(Debug)]
pub(crate) struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What stands under it.
    pub shape: &'static Shape,
    /// What it means.
    pub doc: &'static str,
}

/// A key that must be there.
pub(crate) const fn must(name: &'static str, shape: &'static Shape, doc: &'static str) -> Key {
    Key { name, required: true, shape, doc }
}

/// A key that may be there.
pub(crate) const fn may(name: &'static str, shape: &'static Shape, doc: &'static str) -> Key {
    Key { name, required: false, shape, doc }
}

/// Which keys go together.
#[derive(Debug)]
pub(crate) enum Group {
    /// Exactly one of them.
    One(&'static [&'static str]),
    /// At most one of them.
    AtMostOne(&'static [&'static str]),
    /// At least one of them.
    Some(&'static [&'static str]),
}
