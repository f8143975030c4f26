//! The file formats, by name.

use super::run::RunReport;
use super::{github, gitlab, html, json, junit, load_html, markdown, sarif, tap};

/// A format of `--report FORMAT=PATH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Everything, for machines.
    Json,
    /// One test case per rule, for CI servers.
    Junit,
    /// One self-contained page.
    Html,
    /// A summary that fits a CI step summary.
    Markdown,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// TAP 14, for harnesses.
    Tap,
    /// Annotations of GitHub Actions.
    Github,
    /// GitLab's code quality report.
    Gitlab,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 8] = [
        Format::Json,
        Format::Junit,
        Format::Html,
        Format::Markdown,
        Format::Sarif,
        Format::Tap,
        Format::Github,
        Format::Gitlab,
    ];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Junit => "junit",
            Format::Html => "html",
            Format::Markdown => "markdown",
            Format::Sarif => "sarif",
            Format::Tap => "tap",
            Format::Github => "github",
            Format::Gitlab => "gitlab",
        }
    }
}

/// A name that is no format.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("unknown report format `{0}`; there are {names}", names = names())]
pub struct UnknownFormat(pub String);

fn names() -> String {
    Format::ALL.map(Format::as_str).join(", ")
}

impl std::str::FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Format, UnknownFormat> {
        Format::ALL.into_iter().find(|f| f.as_str() == text).ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// A report could not be written as text; a fault of ours, not of the report's content.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// JSON.
    #[error("write the report as JSON")]
    Json(#[from] serde_json::Error),
}

/// Renders a report.
pub fn render(format: Format, report: &RunReport) -> Result<String, RenderError> {
    Ok(match format {
        Format::Json => json::render(report)?,
        Format::Junit => junit::render(report),
        Format::Html => match &report.load {
            Some(load) => load_html::render(report, load),
            None => html::render(report),
        },
        Format::Markdown => markdown::render(report),
        Format::Sarif => sarif::render(report)?,
        Format::Tap => tap::render(report),
        Format::Github => github::render(report),
        Format::Gitlab => gitlab::render(report)?,
    })
}
