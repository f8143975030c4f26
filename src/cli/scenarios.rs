//! Scenario files named on the command line.

use super::exit::Failure;
use super::load_files;
use super::output::chain;
use crate::rules;
use crate::scenario::ast::Scenario;
use crate::scenario::load_file::is_load;
use crate::scenario::{Diagnostic, lint_rules, parse_bytes, render_all};
use crate::store;
use crate::suite::{Choice, RuleFilter, builtin};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What reading the files gave.
pub struct Read {
    /// Scenarios without problems.
    pub scenarios: Vec<Arc<Scenario>>,
    /// Their texts.
    pub texts: Vec<Vec<u8>>,
    /// All problems, rendered with their source lines.
    pub problems: Vec<String>,
    /// Files read.
    pub files: usize,
}

/// Which files of a named folder are meant.
#[derive(Clone, Copy, PartialEq)]
enum Meant {
    /// Scenarios; load files stand aside.
    Scenarios,
    /// All.
    All,
}

/// Reads every named file, and every `.yaml` and `.yml` file below named folders: scenarios and load files.
pub fn read_all(paths: &[PathBuf], color: bool) -> Result<Read, Failure> {
    read_files(paths, color, Meant::All)
}

/// Reads every named scenario, and every one below named folders.
///
/// # Errors
/// Files that cannot be read or have problems.
pub fn read_quietly(paths: &[PathBuf]) -> Result<Read, Failure> {
    let read = read_files(paths, false, Meant::Scenarios)?;
    if read.problems.is_empty() {
        return Ok(read);
    }
    Err(Failure::usage(format!("the scenario files have problems\n\n{}", read.problems.join("\n"))))
}

fn read_files(paths: &[PathBuf], color: bool, meant: Meant) -> Result<Read, Failure> {
    let mut read = Read { scenarios: Vec::new(), texts: Vec::new(), problems: Vec::new(), files: 0 };
    for path in expand(paths)? {
        let name = path.display().to_string();
        let bytes = store::read_bytes(&path).map_err(|e| Failure::usage(chain(&e)))?;
        let load = is_load(&bytes);
        if load && meant == Meant::Scenarios && !paths.contains(&path) {
            continue;
        }
        read.files += 1;
        let diagnostics = if load && meant == Meant::All {
            load_files::resolve(&path, &bytes)?.err().unwrap_or_default()
        } else {
            match parse_bytes(&name, &bytes) {
                Ok(scenario) => {
                    let problems = lint_rules(&scenario, &|id| rules::find(id).is_some());
                    if problems.is_empty() {
                        read.scenarios.push(Arc::new(scenario));
                        read.texts.push(bytes.clone());
                    }
                    problems
                }
                Err(problems) => problems,
            }
        };
        if !diagnostics.is_empty() {
            read.problems.push(show(&diagnostics, &bytes, color));
        }
    }
    let doubled = doubled_ids(&read.scenarios);
    read.problems.extend(doubled);
    Ok(read)
}

/// Reports name scenarios by their ids.
fn doubled_ids(scenarios: &[Arc<Scenario>]) -> Vec<String> {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for scenario in scenarios {
        files.entry(&scenario.id).or_default().push(&scenario.file);
    }
    let doubled = files.into_iter().filter(|(_, files)| files.len() > 1);
    doubled
        .map(|(id, files)| {
            format!("error: the scenario id `{id}` is in {}; ids must be unique\n", files.join(" and in "))
        })
        .collect()
}

/// As [`choose`], of these only what exercises a rule that the filter leaves.
pub fn choose_for(paths: &[PathBuf], slow: bool, rules: RuleFilter) -> Result<Choice, Failure> {
    let mut choice = choose(paths, slow)?;
    choice.scenarios.retain(|scenario| rules.wants(scenario));
    if choice.scenarios.is_empty() {
        return Err(Failure::usage("none of the scenarios exercises a rule that --only and --skip leave"));
    }
    Ok(Choice { rules, ..choice })
}

/// The chosen scenarios: the named files, else the built-in suite.
pub fn choose(paths: &[PathBuf], slow: bool) -> Result<Choice, Failure> {
    if paths.is_empty() {
        let suite = builtin::conformance().map_err(|d| Failure::internal(format!("built-in scenario: {d:?}")))?;
        return Ok(Choice { scenarios: suite, slow, whole_suite: true, ..Choice::default() });
    }
    let read = read_quietly(paths)?;
    // Who names a slow scenario wants it.
    let slow = slow || paths.iter().any(|p| p.is_file());
    Ok(Choice { scenarios: read.scenarios, slow, ..Choice::default() })
}

/// Problems with their source lines.
pub fn show(diagnostics: &[Diagnostic], bytes: &[u8], color: bool) -> String {
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
