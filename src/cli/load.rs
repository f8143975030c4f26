//! `load`: scenarios as load, judged and measured.

use super::args::LoadArgs;
use super::exit::{Exit, Failure};
use super::load_plan::{self, Planned};
use super::output::{Outputs, chain};
use super::{find, interrupt, load_command, load_run};
use crate::machine;
use crate::workload::Arrivals;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// Runs the load and reports.
pub fn run(args: LoadArgs) -> Result<Exit, Failure> {
    if let Some(what) = args.find.find {
        let stop = CancellationToken::new();
        interrupt::on_signal(&stop);
        return find::run(&args, what, &stop);
    }
    let mut planned = load_plan::plan(&args, &|name| std::env::var(name).ok())?;
    fit_descriptors(&args, &mut planned)?;
    let folder = folder(&args, &planned);
    let outputs = Outputs::open_in(&args.output, &folder)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    let stop = CancellationToken::new();
    interrupt::on_signal(&stop);
    let command = load_command::repeat(std::env::args(), planned.seed);
    let shards = planned.shard.count;
    let (report, unsaved) = runtime.block_on(load_run::attack(&args, planned, &folder, command, &stop))?;
    outputs.finish(&report)?;
    let exit = if shards > 1 { Exit::of(&report).of_shard() } else { Exit::of(&report) };
    unsaved.map_or(Ok(exit), Err)
}

/// Where the results go: `reports/NAME`, of a shard `reports/NAME/shard-I-of-N`.
fn folder(args: &LoadArgs, planned: &Planned) -> PathBuf {
    let whole = args.output.reports.join(&planned.workload.id);
    match planned.shard {
        shard if shard.count > 1 => whole.join(format!("shard-{}-of-{}", shard.index, shard.count)),
        _ => whole,
    }
}

/// Connections from which on their memory counts for more than the speed of each.
const MANY: usize = 2000;

/// Makes room for the connections of the plan. A limit that nobody asked for gives way.
pub(super) fn fit_descriptors(args: &LoadArgs, planned: &mut Planned) -> Result<(), Failure> {
    machine::raise_descriptor_limit();
    let most = match &planned.workload.arrivals {
        Arrivals::Open { max_in_flight, .. } | Arrivals::Replay { max_in_flight, .. } => *max_in_flight,
        Arrivals::Closed { stages, .. } => stages.iter().map(|s| s.from.max(s.to)).fold(0.0, f64::max) as usize,
    };
    let own = most.div_ceil(planned.shard.count.max(1) as usize);
    let closed = matches!(planned.workload.arrivals, Arrivals::Closed { .. });
    let typed = args.target.max_in_flight.is_some() || !planned.workload.file.is_empty();
    if own >= MANY && (closed || typed) {
        machine::decline_huge_pages();
    }
    let Err(too_few) = machine::descriptors_suffice(own as u64) else { return Ok(()) };
    match &mut planned.workload.arrivals {
        Arrivals::Open { max_in_flight, .. } | Arrivals::Replay { max_in_flight, .. } if !typed => {
            let room = usize::try_from(too_few.limit - (too_few.needed - too_few.sockets).min(too_few.limit));
            *max_in_flight = room.unwrap_or(usize::MAX).max(1);
            let note = format!("max-in-flight is {max_in_flight}: more connections than that may not be open here");
            planned.notes.push(note);
            Ok(())
        }
        _ => Err(Failure::usage(chain(&too_few))),
    }
}
