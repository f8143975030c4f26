//! What all flows of a run share: the client, the target, where recordings go, counters.

use super::call::Built;
use super::observed::Observed;
use super::run::ScenarioRun;
use super::scope::{self, RunId};
use super::target::{AppTarget, Target};
use crate::client::{Client, Limits, Options, Reserved};
use crate::model::{Exchange, FaultClass, Origin, Outcome};
use crate::sse::TimedFrame;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many exchanges the judge may be behind before scenarios wait for it. They take some 4 KiB each: these stay in the caches
/// of a core, which is worth more than a long queue where both sides are busy all the time.
const AHEAD: usize = 512;

/// How waiting in scenarios is treated. `wait` and `pause` are always honoured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Whether think time is slept.
    pub honour_think: bool,
}

/// What finished.
#[derive(Debug)]
pub enum Finished {
    /// One exchange.
    Exchange(Arc<Observed>),
    /// One way through a scenario; its exchanges were told before.
    Run(Box<ScenarioRun>),
    /// Nothing follows.
    Over,
}

/// Where recordings go.
pub enum Sink {
    /// Everything is kept (`check`, `snapshot`, `diff`).
    Collect(Mutex<Vec<Arc<Exchange>>>),
    /// Everything is offered to a judge (`load`).
    Channel {
        /// Scenarios wait while the judge is far behind: right where no rate is to be kept, as it is the generator's own speed
        /// that is at its end. Otherwise nobody waits.
        wait: bool,
        /// To the judge.
        to: mpsc::Sender<Finished>,
        /// Takes what finds the channel full, at once; counted by [`Progress::not_judged`].
        full: Arc<dyn Fn(Finished) + Send + Sync>,
    },
}

impl Sink {
    /// An empty collection.
    pub fn collect() -> Sink {
        Sink::Collect(Mutex::default())
    }
}

/// Counters of a run, to be read at any time.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests sent.
    pub requests: AtomicU64,
    /// Requests that are under way.
    pub in_flight: AtomicU64,
    /// Requests under way that asked for a stream of events.
    pub open_streams: AtomicU64,
    /// Exchanges that were cut short, other than by ourselves.
    pub faults: AtomicU64,
    /// Scenario runs begun.
    pub runs_started: AtomicU64,
    /// Scenario runs ended.
    pub runs_done: AtomicU64,
    /// Scenario runs that ended in a failure or an error.
    pub runs_failed: AtomicU64,
    /// Scenario runs planned; 0 where their number is open.
    pub runs_planned: AtomicU64,
    /// Arrivals whose time came (open model).
    pub arrivals: AtomicU64,
    /// Arrivals that were dropped because too many scenarios were under way.
    pub dropped: AtomicU64,
    /// Exchanges and runs that found the judge's channel full.
    pub not_judged: AtomicU64,
}

/// Settings of a session.
pub struct SessionOptions {
    /// Settings of the client; its secrets are those of the target.
    pub client: Options,
    /// Id of the run: part of the default end users, so that runs do not meet.
    pub run_id: String,
    /// Seed of everything made up.
    pub seed: u64,
    /// Stops everything.
    pub stop: CancellationToken,
    /// How waiting is treated.
    pub pace: Pace,
    /// Leave the conversations that scenarios created on the server.
    pub keep: bool,
    /// How long clean-up may take after a stop.
    pub grace: Duration,
    /// First exchange id.
    pub first_id: u64,
}

/// What all flows of a run share.
pub struct Session {
    /// The server under test.
    pub target: Target,
    /// Id of the run.
    pub run_id: String,
    /// Seed of everything made up.
    pub seed: u64,
    /// Stops everything.
    pub stop: CancellationToken,
    /// How waiting is treated.
    pub pace: Pace,
    /// Leave the conversations that scenarios created on the server.
    pub keep: bool,
    /// How long clean-up may take after a stop.
    pub grace: Duration,
    /// Limits where a step gives none.
    pub limits: Limits,
    /// Offset 0 of all recorded times.
    pub epoch: Instant,
    /// Counters.
    pub progress: Progress,
    client: Client,
    /// Names that templates see of the run and of each app, by label.
    names: HashMap<String, Arc<Value>>,
    next_id: AtomicU64,
    sink: Sink,
}

impl Session {
    /// A session on a target; nothing is sent yet.
    pub fn new(target: Target, options: SessionOptions, sink: Sink) -> Session {
        let client = Options { secrets: target.secrets(), ..options.client };
        let run = RunId { id: &options.run_id, seed: options.seed };
        let named = |app: &AppTarget| (app.app.label.clone(), Arc::new(scope::base(run, app)));
        Session {
            names: target.apps.iter().map(named).collect(),
            limits: client.limits,
            epoch: client.epoch,
            client: Client::new(client),
            target,
            run_id: options.run_id,
            seed: options.seed,
            stop: options.stop,
            pace: options.pace,
            keep: options.keep,
            grace: options.grace,
            progress: Progress::default(),
            next_id: AtomicU64::new(options.first_id.max(1)),
            sink,
        }
    }

    /// Sends a request, records it and hands the recording to the sink.
    pub async fn send(
        &self,
        built: Built,
        app: &str,
        origin: Origin,
        watch: Option<mpsc::UnboundedSender<TimedFrame>>,
        stop: &CancellationToken,
    ) -> Arc<Observed> {
        let id = self.next_id.fetch_add(1, Relaxed);
        let recorded = {
            let _flight = Flight::begin(&self.progress, built.streams);
            self.client.send_in(built.place, built.call, watch, stop).await
        };
        let exchange = Exchange {
            id,
            app: app.to_owned(),
            origin,
            request: recorded.request,
            reply: recorded.reply,
            fault: recorded.fault,
            timing: recorded.timing,
        };
        let exchange = Arc::new(Observed::new(exchange, built.json.filter(|_| recorded.body_as_sent)));
        if exchange.fault.as_ref().is_some_and(|f| f.class != FaultClass::Cancelled) {
            self.progress.faults.fetch_add(1, Relaxed);
        }
        self.finish(Finished::Exchange(Arc::clone(&exchange)));
        exchange
    }

    /// When an exchange ended.
    pub(super) fn end_of(&self, exchange: &Exchange) -> Option<Instant> {
        let since_epoch = exchange.timing.sent_us.saturating_add(exchange.timing.end_us);
        self.epoch.checked_add(Duration::from_micros(since_epoch))
    }

    /// Waits while the judge is far behind, where the sink says so.
    pub(super) async fn let_the_judge_keep_up(&self, stop: &CancellationToken) {
        let Sink::Channel { to, wait: true, .. } = &self.sink else { return };
        let unjudged = || to.max_capacity() - to.capacity();
        let most = AHEAD.min(to.max_capacity() / 2);
        if unjudged() <= most {
            return;
        }
        while unjudged() > most / 2 && !stop.is_cancelled() && !to.is_closed() {
            // about as long as the judge takes: ten thousand users that look every millisecond would keep it from its work
            let behind = u64::try_from(unjudged().saturating_sub(most)).unwrap_or(u64::MAX);
            tokio::time::sleep(Duration::from_micros(behind.saturating_mul(5).max(1000))).await;
        }
    }

    /// What templates see of the run and of an app.
    pub(super) fn names_on(&self, app: &AppTarget) -> Arc<Value> {
        let known = self.names.get(&app.app.label).map(Arc::clone);
        known.unwrap_or_else(|| Arc::new(scope::base(RunId { id: &self.run_id, seed: self.seed }, app)))
    }

    /// Places for requests that are to be in flight together; see [`Client::reserve`].
    pub async fn reserve(&self, wanted: usize, stop: &CancellationToken) -> Vec<Reserved> {
        self.client.reserve(wanted, stop).await
    }

    /// Counts a run that ended and tells the sink.
    pub fn conclude(&self, run: &ScenarioRun) {
        self.progress.runs_done.fetch_add(1, Relaxed);
        if matches!(run.outcome, Outcome::Fail | Outcome::Error) {
            self.progress.runs_failed.fetch_add(1, Relaxed);
        }
        self.finish(Finished::Run(Box::new(run.clone())));
    }

    fn finish(&self, finished: Finished) {
        match (&self.sink, finished) {
            (Sink::Collect(kept), Finished::Exchange(exchange)) => {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&exchange.exchange));
            }
            (Sink::Collect(_), Finished::Run(_) | Finished::Over) => {}
            (Sink::Channel { to, full, .. }, finished) => {
                if let Err(refused) = to.try_send(finished) {
                    self.progress.not_judged.fetch_add(1, Relaxed);
                    full(refused.into_inner());
                }
            }
        }
    }

    /// Takes what was collected, in the order of sending. Empty for a channel.
    pub fn take_exchanges(&self) -> Vec<Exchange> {
        let Sink::Collect(kept) = &self.sink else {
            return Vec::new();
        };
        let kept = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
        let mut exchanges: Vec<Exchange> = kept.into_iter().map(Arc::unwrap_or_clone).collect();
        exchanges.sort_by_key(|e| e.id);
        exchanges
    }
}

/// Keeps the counters right when a send is dropped half way.
struct Flight<'p> {
    progress: &'p Progress,
    streams: bool,
}

impl<'p> Flight<'p> {
    fn begin(progress: &'p Progress, streams: bool) -> Flight<'p> {
        progress.requests.fetch_add(1, Relaxed);
        progress.in_flight.fetch_add(1, Relaxed);
        progress.open_streams.fetch_add(u64::from(streams), Relaxed);
        Flight { progress, streams }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.progress.in_flight.fetch_sub(1, Relaxed);
        self.progress.open_streams.fetch_sub(u64::from(self.streams), Relaxed);
    }
}
