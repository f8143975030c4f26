//! `merge`: the results of shards as the result of the whole load.

use super::args::MergeArgs;
use super::exit::{Exit, Failure};
use super::output::{Outputs, chain};
use crate::report::run::RunReport;
use crate::store::{self, MergeFoldersError};
use crate::suite::load::join;
use std::path::{Path, PathBuf};

/// Adds the shards up, writes the folder of the whole, and reports like `load`.
pub fn run(args: MergeArgs) -> Result<Exit, Failure> {
    let folders = shards(&args.folders)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => parent(&folders)?,
    };
    let outputs = Outputs::open_in(&args.output, &out)?;
    let (summary, _) = store::merge_folders(&folders, &out).map_err(|error| match error {
        MergeFoldersError::Store(error) => Failure::usage(chain(&error)),
        MergeFoldersError::Merge(error) => Failure::usage(format!("these results cannot be merged: {}", chain(&error))),
    })?;
    let reports = folders.iter().map(|folder| report(folder)).collect::<Result<Vec<_>, _>>()?;
    let whole = join(reports, summary).ok_or_else(|| Failure::usage("there is nothing to merge"))?;
    outputs.finish(&whole)?;
    Ok(Exit::of(&whole))
}

/// A folder that holds shards stands for all of them.
fn shards(typed: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut folders = Vec::new();
    for path in typed {
        let below = store::folders_below(path, "shard-").map_err(|e| Failure::usage(chain(&e)))?;
        match below.is_empty() {
            true => folders.push(path.clone()),
            false => folders.extend(below),
        }
    }
    Ok(folders)
}

/// The folder that all shards lie in.
fn parent(folders: &[PathBuf]) -> Result<PathBuf, Failure> {
    let first = folders.first().and_then(|folder| folder.parent());
    let same = folders.iter().all(|folder| folder.parent() == first);
    let whole = first.filter(|_| same).map(Path::to_owned);
    whole
        .ok_or_else(|| Failure::usage("the shards lie in different folders: name the folder of the whole by --out DIR"))
}

fn report(folder: &Path) -> Result<RunReport, Failure> {
    let path = folder.join("report.json");
    let text = store::read_text(&path).map_err(|e| Failure::usage(chain(&e)))?;
    let place = |e: serde_json::Error| {
        Failure::usage(format!("{}: no report of this version of difyprobe: {e}; run the shard again", path.display()))
    };
    serde_json::from_str(&text).map_err(place)
}
