//! `matrix`: the rules of several runs in one table.

use super::args::MatrixArgs;
use super::exit::{Exit, Failure};
use super::output::{chain, style_of};
use super::papers::{self, Paper, Papers};
use crate::report::matrix::{Matrix, html, markdown};
use crate::report::run::{REPORT_SCHEMA, RunReport};
use crate::report::terminal;
use crate::store;
use std::path::{Path, PathBuf};

/// Lays the reports beside each other. A table is no verdict: exit 0 whatever it shows.
pub fn run(args: MatrixArgs) -> Result<Exit, Failure> {
    let papers = Papers::open(&args.papers.report, None)?;
    let read = |text: &String| -> Result<Source, Failure> {
        let (name, path) = source(text);
        let report = report(&path)?;
        Ok(Source { name, path, report })
    };
    let sources = args.targets.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let names = names(&sources);
    let runs: Vec<(String, &RunReport)> = names.into_iter().zip(sources.iter().map(|source| &source.report)).collect();
    let matrix = Matrix::of(&runs);
    println!("{}", terminal::matrix(&matrix, args.all, &style_of(args.papers.color, 0)).trim_end());
    let written = papers.write(|paper| match paper {
        Paper::Json => papers::json(&matrix),
        Paper::Markdown => Ok(markdown::render(&matrix, args.all)),
        Paper::Html => Ok(html::render(&matrix, args.all)),
    })?;
    if !written.is_empty() {
        eprintln!("reports: {}", written.join(", "));
    }
    Ok(Exit::Pass)
}

/// One column.
struct Source {
    /// As given.
    name: Option<String>,
    path: PathBuf,
    report: RunReport,
}

/// `NAME=PATH` or a path; a file that has this very name is a path.
fn source(text: &str) -> (Option<String>, PathBuf) {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !Path::new(text).exists() => (Some(name.to_owned()), path.into()),
        _ => (None, text.into()),
    }
}

/// Names of the columns: as given, else what tells the reports apart, the shortest first.
fn names(sources: &[Source]) -> Vec<String> {
    let stem = |s: &Source| s.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let version =
        |s: &Source| s.report.target.server_version.clone().unwrap_or_else(|| s.report.target.profile.clone());
    let base_url = |s: &Source| s.report.target.base_url.clone();
    let path = |s: &Source| s.path.display().to_string();
    let ways: [&dyn Fn(&Source) -> String; 4] = [&stem, &version, &base_url, &path];
    let named = |way: &dyn Fn(&Source) -> String| -> Vec<String> {
        sources.iter().map(|s| s.name.clone().unwrap_or_else(|| way(s))).collect()
    };
    let distinct = |names: &Vec<String>| {
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort();
        sorted.dedup();
        sorted.len() == names.len() && names.iter().all(|name| !name.is_empty())
    };
    ways.iter().map(|way| named(way)).find(distinct).unwrap_or_else(|| named(&path))
}

fn report(path: &Path) -> Result<RunReport, Failure> {
    let text = store::read_text(path).map_err(|e| Failure::usage(chain(&e)))?;
    let shown = path.display();
    let again = "write one by `difyprobe check --report json=PATH`";
    let not_json = |e: serde_json::Error| Failure::usage(format!("{shown} is no JSON: {e}; {again}"));
    let value: serde_json::Value = serde_json::from_str(&text).map_err(not_json)?;
    match value.get("schema").and_then(serde_json::Value::as_str) {
        Some(REPORT_SCHEMA) => {}
        Some(other) if other.starts_with("difyprobe.report/") => {
            let why = format!("{shown} has the layout {other}, this version reads {REPORT_SCHEMA}");
            return Err(Failure::usage(format!("{why}; examine the server again, or use the version that wrote it")));
        }
        Some(other) => {
            return Err(Failure::usage(format!("{shown} is a file of the layout `{other}`, no report; {again}")));
        }
        None => {
            return Err(Failure::usage(format!("{shown} is JSON without a `schema`, no report of difyprobe; {again}")));
        }
    }
    let broken = |e: serde_json::Error| Failure::usage(format!("{shown} is a report, but {e}; {again}"));
    let report: RunReport = serde_json::from_value(value).map_err(broken)?;
    if report.rules.is_empty() {
        return Err(Failure::usage(format!("{shown} holds no rules (it is of `{}`); {again}", report.command)));
    }
    Ok(report)
}
