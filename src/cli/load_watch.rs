//! What happens while a load runs: its log of latencies grows, its state is shown.

use super::interrupt;
use super::live_data::{Cost, LiveSnapshot};
use super::live_view::{self, LiveView, Press, Surroundings};
use crate::engine;
use crate::flow::Session;
use crate::metrics::{Counts, FailureClass, Interval, Metric, StageWindow};
use crate::store::{LatencyLog, StoreError};
use crate::suite::load::{Tick, Watch};
use crate::workload::{Arrivals, Workload};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Seconds that the latencies of the live view are of.
const RECENT: usize = 10;

/// Watches one load.
pub struct LoadWatch {
    folder: PathBuf,
    quiet: bool,
    no_live: bool,
    workload: Workload,
    stop: CancellationToken,
    state: Mutex<State>,
    now: Arc<Mutex<LiveSnapshot>>,
}

#[derive(Default)]
struct State {
    log: Option<LatencyLog>,
    problem: Option<StoreError>,
    view: Option<LiveView>,
    stages: Arc<[StageWindow]>,
    recent: VecDeque<Interval>,
    failures: Vec<(String, u64)>,
    ok: u64,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LoadWatch {
    /// Results go to a folder; `stop` ends the load where the user asks for it on the screen.
    pub fn new(
        folder: &Path,
        (quiet, no_live): (bool, bool),
        workload: &Workload,
        stop: &CancellationToken,
    ) -> LoadWatch {
        LoadWatch {
            folder: folder.to_owned(),
            quiet,
            no_live,
            workload: workload.clone(),
            stop: stop.clone(),
            state: Mutex::default(),
            now: Arc::default(),
        }
    }

    /// Shows nothing any more.
    pub fn close(&self) {
        let view = lock(&self.state).view.take();
        drop(view); // waits for the view's thread: not under the lock
    }

    /// Logs seconds that are over.
    pub fn append(&self, interval: &Interval, started_unix_us: u64) {
        let mut state = lock(&self.state);
        if state.problem.is_some() {
            return;
        }
        let log = match state.log.take() {
            Some(log) => Ok(log),
            None => LatencyLog::create(&self.folder, started_unix_us),
        };
        let written = log.and_then(|mut log| log.append(interval).map(|()| log));
        match written {
            Ok(log) => state.log = Some(log),
            Err(problem) => state.problem = Some(problem),
        }
    }

    /// Why the log could not be written.
    pub fn problem(&self) -> Option<String> {
        lock(&self.state).problem.as_ref().map(|problem| super::output::chain(problem))
    }

    /// What stays the same over the load.
    fn first(&self, stages: &[StageWindow]) -> LiveSnapshot {
        let closed = matches!(self.workload.arrivals, Arrivals::Closed { .. });
        let end = stages.last().map(|stage| stage.to_us).filter(|end| *end != u64::MAX);
        LiveSnapshot {
            id: self.workload.id.clone(),
            total_s: end.map(|us| us as f64 / 1e6),
            stage: stages.first().map(|stage| stage.label.clone()).unwrap_or_default(),
            stage_of: (1, stages.len()),
            measured: stages.first().is_some_and(|stage| stage.measure),
            closed,
            metric: if closed { "e2e" } else { "e2e_sched" },
            token_budget: self.workload.budget.tokens,
            ..LiveSnapshot::default()
        }
    }

    fn update(&self, tick: &Tick<'_>) {
        let mut state = lock(&self.state);
        for moment in tick.interval.seconds.values() {
            state.ok += moment.ok;
            for (class, n) in FailureClass::ALL.iter().zip(moment.failures).filter(|(_, n)| *n > 0) {
                let name = class.as_str();
                match state.failures.iter_mut().find(|(known, _)| known == name) {
                    Some((_, sum)) => *sum += n,
                    None => state.failures.push((name.to_owned(), n)),
                }
            }
        }
        state.recent.push_back(tick.interval.clone());
        if state.recent.len() > RECENT {
            state.recent.pop_front();
        }
        let mut now = lock(&self.now);
        let main = if now.closed { Metric::E2e } else { Metric::E2eSched };
        let at = |metric, quantiles: &[f64]| quantiles_of(&state.recent, metric, quantiles);
        let (main, ttft, lag) =
            (at(main, &[0.5, 0.95, 0.99]), at(Metric::Ttft, &[0.5, 0.95]), at(Metric::SchedLag, &[0.99]));
        let second = tick.second;
        let stage = state.stages.get(tick.stage);
        let over = state.stages.last().is_some_and(|stage| u64::from(second) * 1_000_000 > stage.to_us);
        now.stage = stage.map(|s| if over { "drain".to_owned() } else { s.label.clone() }).unwrap_or_default();
        now.stage_of = (tick.stage + 1, state.stages.len());
        now.measured = stage.is_some_and(|s| s.measure) && !over;
        now.target = stage.filter(|_| !over).map(|s| level(s, second));
        now.ok = state.ok;
        now.failures = state.failures.clone();
        now.req_per_s = tick.timeline.second(second.saturating_sub(1)).map_or(0.0, |s| s.ok as f64);
        now.e2e_us = [first(&main, 0), first(&main, 1), first(&main, 2)];
        now.ttft_us = [first(&ttft, 0), first(&ttft, 1)];
        now.lag_p99_us = first(&lag, 0);
        now.tokens = tick.sums.completion_tokens;
        now.costs = self.costs(tick);
        now.client_cpu = tick.machine.map_or(0.0, |m| m.cpu_share);
        now.slos = tick.slos.to_vec();
        now.findings = tick.broken;
        now.ending = tick.ended_early.map(str::to_owned);
    }

    fn costs(&self, tick: &Tick<'_>) -> Vec<Cost> {
        let limit = |currency: &str| self.workload.budget.cost.iter().find(|(c, _)| c == currency).map(|(_, l)| *l);
        let spent = tick.sums.cost.iter();
        spent.map(|(currency, n)| Cost { currency: currency.clone(), spent: *n, budget: limit(currency) }).collect()
    }
}

/// Level of a stage at the end of a second.
fn level(stage: &StageWindow, second: u32) -> f64 {
    let at = (u64::from(second) * 1_000_000).clamp(stage.from_us, stage.to_us) - stage.from_us;
    let length = (stage.to_us - stage.from_us).max(1);
    stage.level_from + (stage.level_to - stage.level_from) * (at as f64 / length as f64)
}

fn first(values: &[u64], at: usize) -> Option<u64> {
    values.get(at).copied()
}

/// Quantiles of a metric over some intervals; empty where nothing was measured.
fn quantiles_of(recent: &VecDeque<Interval>, metric: Metric, quantiles: &[f64]) -> Vec<u64> {
    let mut sum = Counts::default();
    for moment in recent.iter().flat_map(|interval| interval.seconds.values()) {
        let times = moment.measured.iter().chain([&moment.unmeasured]);
        times.filter_map(|times| times.get(metric)).for_each(|counts| sum.add(counts));
    }
    if sum.n() == 0 { Vec::new() } else { quantiles.iter().map(|q| sum.quantile(*q)).collect() }
}

impl Watch for LoadWatch {
    fn begins(&self, session: &Arc<Session>, stages: &Arc<[StageWindow]>) {
        *lock(&self.now) = self.first(stages);
        let mut state = lock(&self.state);
        state.stages = Arc::clone(stages);
        if self.quiet {
            return;
        }
        let (now, session, stop, began) =
            (Arc::clone(&self.now), Arc::clone(session), self.stop.clone(), Instant::now());
        let feed = move || {
            let p = &session.progress;
            LiveSnapshot {
                elapsed_s: began.elapsed().as_secs_f64(),
                begun: p.runs_started.load(Relaxed),
                dropped: p.dropped.load(Relaxed),
                requests: p.requests.load(Relaxed),
                in_flight: p.in_flight.load(Relaxed),
                open_streams: p.open_streams.load(Relaxed),
                ..lock(&now).clone()
            }
        };
        let end = move |press| match press {
            Press::First => engine::interrupt(&stop),
            Press::Again => interrupt::at_once(),
        };
        let mode = Surroundings::look(self.no_live).mode();
        state.view = Some(live_view::show(mode, Box::new(feed), Box::new(end)));
    }

    fn second(&self, tick: &Tick<'_>) {
        self.append(tick.interval, tick.started_unix_us);
        if !self.quiet {
            self.update(tick);
        }
    }
}
