//! `selftest`: the kill matrix.

use super::args::SelftestArgs;
use super::exit::{Exit, Failure};
use super::interrupt;
use super::papers::{self, Paper, Papers};
use crate::emulator::{self, Mutant};
use crate::suite::matrix::{self, Matrix, Part};
use crate::suite::{builtin, matrix_page};
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio_util::sync::CancellationToken;

/// Runs every mutant and prints the matrix; exit 1 if a rule survives its mutant.
pub fn run(args: SelftestArgs) -> Result<Exit, Failure> {
    let filter = args.filter.clone();
    let named = |m: &Mutant, text: &str| m.id.contains(text) || m.victims.iter().any(|v| v.contains(text));
    let wanted = move |m: &Mutant| filter.as_deref().is_none_or(|text| named(m, text));
    if !emulator::all_mutants().any(&wanted) {
        let filter = args.filter.as_deref().unwrap_or_default();
        return Err(Failure::usage(format!(
            "no mutant has `{filter}` in its id or victims; `difyprobe selftest --list` names them"
        )));
    }
    if args.list {
        for mutant in emulator::all_mutants().filter(|m| wanted(m)) {
            println!("{}\n    {}\n    noticed by {}", mutant.id, mutant.what, mutant.victims.join(", "));
            if let Some(bug) = mutant.bug {
                println!("    seen in Dify: {bug}");
            }
        }
        return Ok(Exit::Pass);
    }
    let papers = Papers::open_of(&[Paper::Json, Paper::Markdown], &asked(&args), None)?;
    let suite = builtin::conformance().map_err(|d| Failure::internal(format!("built-in scenario: {d:?}")))?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    let stop = CancellationToken::new();
    interrupt::on_signal(&stop);
    let total = emulator::all_mutants().filter(|m| wanted(m)).count();
    let counted = AtomicUsize::new(0);
    let terminal = std::io::stderr().is_terminal();
    let done = Arc::new(move |_: &str| {
        let n = counted.fetch_add(1, Relaxed) + 1;
        if terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[2K{n}/{total} mutants");
        }
    });
    let part = Part { wanted: &wanted, whole: args.filter.is_none() };
    let matrix = runtime.block_on(matrix::run_part(suite, usize::from(args.at_once), &stop, part, done));
    if terminal {
        eprint!("\r\x1b[2K");
    }
    print!("{}", text(&matrix, stop.is_cancelled()));
    papers.write(|paper| match paper {
        Paper::Json => papers::json(&matrix),
        Paper::Markdown | Paper::Html => Ok(matrix_page::page(&matrix)),
    })?;
    match (stop.is_cancelled(), matrix.passes()) {
        (true, _) => Ok(Exit::Interrupted),
        (false, true) => Ok(Exit::Pass),
        (false, false) => Ok(Exit::Failed),
    }
}

/// Told where the first look, in the crowd of servers, was not clean.
fn looks(looks: u32) -> String {
    if looks > 1 { format!("  (look {looks}, alone)") } else { String::new() }
}

/// The files that were asked for, in one spelling.
fn asked(args: &SelftestArgs) -> Vec<String> {
    let older = [("json", &args.json), ("markdown", &args.markdown)];
    let older = older.into_iter().filter_map(|(format, path)| Some(format!("{format}={}", path.as_ref()?)));
    args.report.iter().cloned().chain(older).collect()
}

/// The matrix for people. What an interrupt cut short is left out: it says nothing about the rules.
fn text(matrix: &Matrix, interrupted: bool) -> String {
    let mut out = String::new();
    let kills: Vec<_> = matrix.kills.iter().filter(|kill| !interrupted || kill.error.is_none()).collect();
    for kill in &kills {
        let word = if kill.clean() { "killed  " } else { "SURVIVED" };
        let again = looks(kill.looks);
        out.push_str(&format!("{word} {}  by {}{again}\n", kill.mutant, kill.killed_by.join(", ")));
        for rule in &kill.survived {
            out.push_str(&format!("           not noticed by {rule}\n"));
        }
        for other in &kill.others {
            out.push_str(&format!("           also noticed by {other}\n"));
        }
        if let Some(error) = &kill.error {
            out.push_str(&format!("           could not be examined: {error}\n"));
        }
    }
    if matrix.healthy.is_empty() {
        out.push_str("healthy servers are examined without a filter only\n");
    }
    for health in &matrix.healthy {
        let (findings, again) = (health.findings.len(), looks(health.looks));
        out.push_str(&format!("healthy  {}: {findings} findings{again}\n", health.profile));
        for finding in &health.findings {
            out.push_str(&format!("           {finding}\n"));
        }
    }
    for rule in &matrix.unproven {
        out.push_str(&format!("unproven {rule}: no mutant\n"));
    }
    let clean = kills.iter().filter(|k| k.clean()).count();
    if interrupted {
        out.push_str(&format!("interrupted: {} of {} mutants were examined\n", kills.len(), matrix.kills.len()));
    }
    out.push_str(&format!("{clean} of {} mutants killed by exactly the rules they break\n", kills.len()));
    out
}
