//! `compare`: two results of loads beside each other.

use super::args::CompareArgs;
use super::exit::{Exit, Failure};
use super::output::{chain, style_of};
use super::papers::{self, Paper, Papers};
use crate::metrics::compare::{Change, CompareOptions, Comparison, Measured, compare};
use crate::metrics::summary::{LoadSummary, SloState};
use crate::report::terminal;
use crate::store;
use std::path::Path;

/// Compares run B with run A and prints what differs.
pub fn run(args: CompareArgs) -> Result<Exit, Failure> {
    let older = args.json.iter().map(|path| format!("json={path}"));
    let asked: Vec<String> = args.report.iter().cloned().chain(older).collect();
    let papers = Papers::open_of(&[Paper::Json], &asked, None)?;
    let options = CompareOptions {
        relative: args.threshold,
        absolute_us: args.floor.as_secs_f64() * 1e6,
        seed: args.seed,
        ..CompareOptions::default()
    };
    let read = |path: &Path| -> Result<_, Failure> {
        let broken = |e: store::StoreError| Failure::usage(chain(&e));
        let result = store::read_results(path).map_err(broken)?;
        let blocks = store::read_blocks(path, &result.summary).map_err(broken)?;
        Ok((path.display().to_string(), result, blocks))
    };
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    let measured = |(name, result, blocks)| -> Measured<'_> { measured(name, result, blocks) };
    let mut comparison = compare(measured((&a.0, &a.1, &a.2)), measured((&b.0, &b.1, &b.2)), &options);
    let invalid: Vec<&str> =
        [&a, &b].into_iter().filter(|(_, run, _)| is_invalid(&run.summary)).map(|(name, ..)| name.as_str()).collect();
    for name in &invalid {
        comparison
            .notes
            .push(format!("{name} is invalid: its generator was the bottleneck, so this compares generators"));
    }
    println!("{}", terminal::comparison(&comparison, &style_of(args.color, args.verbose)).trim_end());
    papers.write(|_| papers::json(&comparison))?;
    Ok(exit(&comparison, !invalid.is_empty()))
}

fn measured<'m>(
    name: &'m str,
    result: &'m crate::metrics::merge::ShardResult,
    blocks: &'m crate::metrics::bootstrap::Blocks,
) -> Measured<'m> {
    Measured { name, summary: &result.summary, cells: &result.cells, blocks }
}

fn is_invalid(summary: &LoadSummary) -> bool {
    summary.validity.iter().any(|condition| condition.state != SloState::Met && !condition.advisory)
}

/// Slower is red like a missed objective; what cannot be told is never green.
fn exit(comparison: &Comparison, invalid: bool) -> Exit {
    match comparison.change {
        _ if invalid => Exit::InvalidLoad,
        Change::Slower => Exit::SloMissed,
        Change::Inconclusive => Exit::Incomplete,
        Change::Same | Change::Faster => Exit::Pass,
    }
}
