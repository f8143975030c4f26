//! Scenario files named on the command line.

use super::exit::Failure;
use super::output::chain;
use crate::rules;
use crate::scenario::ast::Scenario;
use crate::scenario::{Diagnostic, lint_rules, parse_bytes, render_all};
use crate::store;
use crate::suite::{Choice, builtin};
use std::path::PathBuf;
use std::sync::Arc;

/// What reading the files gave.
pub struct Read {
    /// Files without problems.
    pub scenarios: Vec<Arc<Scenario>>,
    /// All problems, rendered with their source lines.
    pub problems: Vec<String>,
    /// Files read.
    pub files: usize,
}

/// Reads every named file, and every `.yaml` and `.yml` file below named folders.
pub fn read(paths: &[PathBuf], color: bool) -> Result<Read, Failure> {
    let mut read = Read { scenarios: Vec::new(), problems: Vec::new(), files: 0 };
    for path in expand(paths)? {
        read.files += 1;
        let name = path.display().to_string();
        let bytes = store::read_bytes(&path).map_err(|e| Failure::usage(chain(&e)))?;
        let diagnostics = match parse_bytes(&name, &bytes) {
            Ok(scenario) => {
                let problems = lint_rules(&scenario, &|id| rules::find(id).is_some());
                if problems.is_empty() {
                    read.scenarios.push(Arc::new(scenario));
                }
                problems
            }
            Err(problems) => problems,
        };
        if !diagnostics.is_empty() {
            read.problems.push(show(&diagnostics, &bytes, color));
        }
    }
    let mut ids: Vec<&str> = read.scenarios.iter().map(|s| s.id.as_str()).collect();
    ids.sort_unstable();
    if let Some(pair) = ids.windows(2).find(|w| w[0] == w[1]) {
        read.problems.push(format!("error: two files have the scenario id `{}`; ids must be unique\n", pair[0]));
    }
    Ok(read)
}

/// The chosen scenarios: the named files, else the built-in suite.
pub fn choose(paths: &[PathBuf], slow: bool) -> Result<Choice, Failure> {
    if paths.is_empty() {
        let suite = builtin::conformance().map_err(|d| Failure::internal(format!("built-in scenario: {d:?}")))?;
        return Ok(Choice { scenarios: suite, slow, whole_suite: true });
    }
    let read = read(paths, false)?;
    if !read.problems.is_empty() {
        return Err(Failure::usage(format!("the scenario files have problems\n\n{}", read.problems.join("\n"))));
    }
    // Who names a slow scenario wants it.
    let slow = slow || paths.iter().any(|p| p.is_file());
    Ok(Choice { scenarios: read.scenarios, slow, whole_suite: false })
}

fn show(diagnostics: &[Diagnostic], bytes: &[u8], color: bool) -> String {
    render_all(diagnostics, &String::from_utf8_lossy(bytes), color)
}

fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let below = store::files_below(path, &["yaml", "yml"]).map_err(|e| Failure::usage(chain(&e)))?;
            if below.is_empty() {
                return Err(Failure::usage(format!("{}: no .yaml file in this folder", path.display())));
            }
            files.extend(below);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}
