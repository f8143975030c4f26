//! Steps in order, side by side, and while a stream is open.

use super::body::BuildError;
use super::call::{Built, Caller, build};
use super::document::Document;
use super::observed::Observed;
use super::run::Walk;
use super::scope::Names;
use super::{document, expect, path, scope};
use crate::client::{Place, Reserved};
use crate::model::{Exchange, FaultClass, Origin};
use crate::report::run::ExpectationFailure;
use crate::scenario::ast::{Action, At, During, Parallel, Step, Think};
use crate::scenario::template::{Renderer, TemplateError};
use crate::sse::TimedFrame;
use futures_util::future::join_all;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Why the steps did not go on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Halt {
    /// The stop token fired.
    Stopped,
    /// Something that a step needs is missing.
    CouldNotRun(String),
    /// The app turned out to lack what the scenario is about.
    NotApplicable(String),
    /// The server cannot be reached.
    Unreachable(String),
    /// The scenario is at fault.
    Broken(String),
}

/// One sequence of steps with the names it sees.
#[derive(Clone)]
pub(super) struct Lane {
    /// Names, always an object.
    pub scope: Value,
    /// Names below those, shared by all lanes.
    base: Arc<Value>,
    /// What its templates draw from.
    pub renderer: Arc<Renderer>,
    /// Captures in order, for whoever joins the lane.
    pub captured: Vec<(String, Value)>,
    /// Stops the lane.
    pub stop: CancellationToken,
    /// Planned send of its next request; `None` where nothing is planned.
    due: Option<Instant>,
    seat: Seat,
}

/// How the requests of a lane come to their places among those in flight.
#[derive(Clone, Default)]
enum Seat {
    #[default]
    Queue,
    /// The first request has this one; the others queue.
    First(Arc<Mutex<Option<Reserved>>>),
    /// They belong to a stream that is open, and must not wait for its end.
    Beside,
}

impl Seat {
    fn first(reserved: Reserved) -> Seat {
        Seat::First(Arc::new(Mutex::new(Some(reserved))))
    }

    fn place(&self) -> Place {
        match self {
            Seat::Queue => Place::Queue,
            Seat::Beside => Place::Beside,
            Seat::First(kept) => {
                let reserved = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
                reserved.map_or(Place::Queue, Place::Reserved)
            }
        }
    }
}

impl Lane {
    pub fn new(names: Map<String, Value>, base: Arc<Value>, renderer: Renderer, stop: CancellationToken) -> Lane {
        Lane {
            scope: Value::Object(names),
            base,
            renderer: Arc::new(renderer),
            captured: Vec::new(),
            stop,
            due: None,
            seat: Seat::Queue,
        }
    }

    /// The lane with the planned send of its first request.
    pub fn due(self, due: Option<Instant>) -> Lane {
        Lane { due, ..self }
    }

    /// A wait that the scenario asks for is part of the plan.
    fn postpone(&mut self, by: Duration) {
        self.due = self.due.and_then(|due| due.checked_add(by));
    }

    /// What follows goes out as soon as this has ended, so whatever passes until it does is lateness of ours.
    fn ended(&mut self, at: Option<Instant>) {
        self.due = self.due.and(at);
    }

    /// A lane beside this one; `number` tells it from the other lanes of the step.
    fn beside(&self, step: &str, number: u64) -> Lane {
        let renderer = Arc::new(self.renderer.for_lane(step, number));
        Lane { captured: Vec::new(), renderer, ..self.clone() }
    }

    fn names(&self) -> Names<'_> {
        Names { renderer: &self.renderer, values: &self.scope, base: &self.base }
    }

    fn capture(&mut self, name: &str, value: Value) {
        scope::bind(&mut self.scope, name, value.clone());
        self.captured.push((name.to_owned(), value));
    }

    /// Takes over what repeated or parallel steps captured: the last value under its name, all of them under
    /// `<name>_all`.
    fn gather(&mut self, captured: Vec<(String, Value)>) {
        let mut all: Map<String, Value> = Map::new();
        for (name, value) in captured {
            if let Value::Array(values) = all.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new())) {
                values.push(value.clone());
            }
            self.capture(&name, value);
        }
        for (name, values) in all {
            self.capture(&format!("{name}_all"), values);
        }
    }
}

type Steps<'a> = Pin<Box<dyn Future<Output = Result<(), Halt>> + Send + 'a>>;

/// Runs steps in order, up to the first that halts.
pub(super) fn run_steps<'a>(walk: &'a Walk<'a>, lane: &'a mut Lane, steps: &'a [Step]) -> Steps<'a> {
    Box::pin(run_in_order(walk, lane, steps))
}

/// As [`run_steps`], without a place of its own on the heap: for steps that are not within others.
pub(super) async fn run_in_order(walk: &Walk<'_>, lane: &mut Lane, steps: &[Step]) -> Result<(), Halt> {
    for step in steps {
        run_step(walk, lane, step).await?;
    }
    Ok(())
}

/// Runs one step, as often as its `for-each` says.
pub(super) async fn run_step(walk: &Walk<'_>, lane: &mut Lane, step: &Step) -> Result<(), Halt> {
    let Some((name, rows)) = &step.for_each else {
        return run_once(walk, lane, step, "").await;
    };
    let mut captured = Vec::new();
    for row in rows {
        let row = lane.names().json(row).map_err(|e| unrendered(walk, step, &e))?;
        let about = format!(" ({name}: {})", super::value::show(&row));
        let mut round = Lane { captured: Vec::new(), ..lane.clone() };
        scope::bind(&mut round.scope, name, row);
        run_once(walk, &mut round, step, &about).await?;
        lane.due = round.due;
        captured.extend(round.captured);
    }
    lane.gather(captured);
    Ok(())
}

async fn run_once(walk: &Walk<'_>, lane: &mut Lane, step: &Step, about: &str) -> Result<(), Halt> {
    if let Some(wait) = step.wait {
        sleep(wait, lane).await?;
    }
    if lane.stop.is_cancelled() {
        return Err(Halt::Stopped);
    }
    match &step.action {
        // On the heap, as all that not every step needs: an open stream has the size of the largest way through here.
        Action::Parallel(parallel) => Box::pin(run_parallel(walk, lane, step, parallel)).await?,
        Action::Pause(time) => sleep(*time, lane).await?,
        _ => run_request(walk, lane, step, about).await?,
    }
    if let (Some(think), true) = (&step.think, walk.session.pace.honour_think) {
        let seed = walk.seed(&format!("think {}", step.id));
        sleep(think_time(think, &mut fastrand::Rng::with_seed(seed)), lane).await?;
    }
    Ok(())
}

async fn run_parallel(walk: &Walk<'_>, lane: &mut Lane, step: &Step, parallel: &Parallel) -> Result<(), Halt> {
    // Lanes that queued one by one might run one after the other, and would show nothing about requests side by side.
    let wanted = parallel.branches.len().saturating_mul(parallel.times as usize);
    let mut seats = seats(walk, lane, wanted).await.into_iter();
    let copies = (0..parallel.times).flat_map(|copy| parallel.branches.iter().map(move |steps| (copy, steps)));
    let lanes = copies.zip(0..).map(|((copy, steps), number)| {
        let mut lane = Lane { seat: seats.next().unwrap_or_default(), ..lane.beside(&step.id, number) };
        scope::bind(&mut lane.scope, "lane", copy.into());
        async move {
            let ended = run_steps(walk, &mut lane, steps).await;
            (ended, lane.captured, lane.due)
        }
    });
    let ended = join_all(lanes).await;
    let mut halt = Ok(());
    let mut captured = Vec::new();
    let mut last = None;
    for (result, of_lane, due) in ended {
        captured.extend(of_lane);
        last = last.max(due);
        halt = halt.and(result);
    }
    lane.ended(last);
    lane.gather(captured);
    halt
}

/// Seats for the lanes of a parallel step.
async fn seats(walk: &Walk<'_>, lane: &Lane, wanted: usize) -> Vec<Seat> {
    if matches!(lane.seat, Seat::Beside) {
        return vec![Seat::Beside; wanted];
    }
    // A place that is kept while others are waited for could be the one that is missing.
    drop(lane.seat.place());
    let reserved = walk.session.reserve(wanted, &lane.stop).await;
    reserved.into_iter().map(Seat::first).collect()
}

async fn run_request(walk: &Walk<'_>, lane: &mut Lane, step: &Step, about: &str) -> Result<(), Halt> {
    let mut built = built(walk, lane, step)?;
    built.call.planned = lane.due;
    built.place = lane.seat.place();
    let user = built.user.clone();
    let during = match &step.action {
        Action::Chat(turn) | Action::Completion(turn) | Action::Workflow(turn) => turn.during.as_ref(),
        _ => None,
    };
    let (exchange, beside) = match during {
        None => (send(walk, lane, step, built, None).await, Ok(())),
        Some(during) => Box::pin(send_beside(walk, lane, step, built, during)).await,
    };
    // Steps beside a stream may have ended after it.
    lane.ended(lane.due.max(walk.session.end_of(&exchange)));
    let document = Document::new(&exchange, walk.app.app.mode);
    // What a stream that was cut has created is on the server all the same.
    super::cleanup::note(walk, &exchange, &document, user.as_deref());
    if is_stopped(&exchange, lane) {
        return Err(Halt::Stopped);
    }
    let taken = take_captures(walk, lane, step, &document, &exchange);
    check(walk, lane, step, &exchange, &document, about);
    beside?;
    unreachable(&exchange)?;
    taken?;
    cut_short(walk, step, &exchange);
    Ok(())
}

fn built(walk: &Walk<'_>, lane: &Lane, step: &Step) -> Result<Built, Halt> {
    let caller = Caller {
        base_url: &walk.session.target.base_url,
        app: walk.app,
        other_key: walk.session.target.other_key(walk.app),
        mode: walk.scenario.mode,
        filled: &walk.filled,
        limits: walk.session.limits,
        names: lane.names(),
        seed: walk.seed(&step.id),
    };
    build(step, &caller).map_err(|error| match error {
        BuildError::Template(error) => unrendered(walk, step, &error),
        BuildError::Invalid(fault) => {
            let At { line, column } = step.at;
            Halt::Broken(format!("{}:{line}:{column}: step `{}`: {fault}", walk.scenario.file, step.id))
        }
        other => Halt::CouldNotRun(format!("step `{}`: {other}", step.id)),
    })
}

/// A template that cannot be rendered; where a capture did not come, that is the cause to tell.
fn unrendered(walk: &Walk<'_>, step: &Step, error: &TemplateError) -> Halt {
    let log = walk.log();
    let cause = log.missing.iter().find(|(name, _)| error.text.contains(name.as_str()));
    Halt::CouldNotRun(match cause {
        Some((name, why)) => format!("step `{}` needs `{name}`, which was not captured: {why}", step.id),
        None => format!("step `{}`: failed to {error}", step.id),
    })
}

async fn send(
    walk: &Walk<'_>,
    lane: &Lane,
    step: &Step,
    built: Built,
    watch: Option<mpsc::UnboundedSender<TimedFrame>>,
) -> Arc<Observed> {
    walk.log().requests += 1;
    let origin = origin(walk, &step.id, step.at);
    walk.session.send(built, &walk.app.app.label, origin, watch, &lane.stop).await
}

/// Sends a turn and runs steps beside it once enough events have come.
async fn send_beside(
    walk: &Walk<'_>,
    lane: &mut Lane,
    step: &Step,
    built: Built,
    during: &During,
) -> (Arc<Observed>, Result<(), Halt>) {
    let (to, from) = mpsc::unbounded_channel();
    let mut beside = Lane { seat: Seat::Beside, ..lane.beside(&step.id, 0) };
    let steps = async {
        let frames = first_events(from, during.after_events).await?;
        let document = document::document_of_frames(&frames, walk.app.app.mode);
        for (name, path) in &step.capture {
            if let Ok(Some(value)) = path::capture(&document, path) {
                scope::bind(&mut beside.scope, name, value);
            }
        }
        beside.ended(Some(Instant::now()));
        Ok(run_steps(walk, &mut beside, &during.steps).await)
    };
    let (exchange, ran) = tokio::join!(send(walk, lane, step, built, Some(to)), steps);
    let ended = ran.unwrap_or_else(|seen| Err(over_before(step, during, &exchange, seen)));
    for (name, value) in beside.captured {
        lane.capture(&name, value);
    }
    lane.due = lane.due.max(beside.due);
    (exchange, ended)
}

/// A stream was over after `seen` events. In good order, that may be the way of the app.
fn over_before(step: &Step, during: &During, exchange: &Exchange, seen: u32) -> Halt {
    let accepted = exchange.fault.is_none() && exchange.reply.as_ref().is_some_and(|r| r.status == 200);
    match &step.or_skip {
        Some(reason) if accepted => Halt::NotApplicable(reason.clone()),
        _ => {
            let wanted = during.after_events;
            Halt::CouldNotRun(format!("step `{}`: the stream had {seen} events, `during` waits for {wanted}", step.id))
        }
    }
}

/// Frames up to the `wanted`th event; `Err` with the number of events when the stream ended before.
async fn first_events(mut from: mpsc::UnboundedReceiver<TimedFrame>, wanted: u32) -> Result<Vec<TimedFrame>, u32> {
    let mut frames = Vec::new();
    let mut seen = 0;
    while let Some(frame) = from.recv().await {
        seen += u32::from(!document::is_ping(&frame));
        frames.push(frame);
        if seen >= wanted {
            return Ok(frames);
        }
    }
    Err(seen)
}

fn take_captures(
    walk: &Walk<'_>,
    lane: &mut Lane,
    step: &Step,
    document: &Document<'_>,
    exchange: &Exchange,
) -> Result<(), Halt> {
    let offered = |status: u16| (200..300).contains(&status) || status == 404;
    let answered = exchange.fault.is_none() && exchange.reply.as_ref().is_some_and(|r| offered(r.status));
    for (name, path) in &step.capture {
        let why = match path::capture_from(document, path) {
            Ok(Some(value)) => {
                lane.capture(name, value);
                continue;
            }
            Ok(None) => format!("step `{}` ({}) has nothing at `{path}`", step.id, ending(exchange)),
            Err(error) => error,
        };
        if let Some(reason) = step.or_skip.as_ref().filter(|_| answered) {
            return Err(Halt::NotApplicable(reason.clone()));
        }
        walk.log().missing.push((name.clone(), why));
    }
    Ok(())
}

/// How an exchange ended, in a few words.
fn ending(exchange: &Exchange) -> String {
    match (&exchange.reply, &exchange.fault) {
        (Some(reply), None) => format!("status {}", reply.status),
        (Some(reply), Some(fault)) => format!("status {}, then {}", reply.status, fault.detail),
        (None, Some(fault)) => fault.detail.clone(),
        (None, None) => "no response".to_owned(),
    }
}

fn check(walk: &Walk<'_>, lane: &Lane, step: &Step, exchange: &Exchange, document: &Document<'_>, about: &str) {
    let subject = expect::Subject { exchange, document, mode: walk.app.app.mode };
    for expect in &step.expect {
        let scope = if expect::reads_names(&expect.check) { lane.names().layers().together() } else { Cow::default() };
        if let Err(message) = expect::evaluate(&expect.check, &subject, &scope) {
            walk.log().failures.push(ExpectationFailure {
                place: format!("{}:{}:{}", walk.scenario.file, expect.at.line, expect.at.column),
                step: step.id.clone(),
                message: format!("{message}{about}"),
                exchange: Some(exchange.id),
            });
        }
    }
}

fn is_stopped(exchange: &Exchange, lane: &Lane) -> bool {
    lane.stop.is_cancelled() && exchange.fault.as_ref().is_some_and(|f| f.class == FaultClass::Cancelled)
}

/// Later steps say nothing about a server that cannot be reached.
fn unreachable(exchange: &Exchange) -> Result<(), Halt> {
    use FaultClass::{Connect, TimeoutConnect, TimeoutTls, Tls};
    match &exchange.fault {
        Some(fault) if matches!(fault.class, Connect | Tls | TimeoutConnect | TimeoutTls) => {
            Err(Halt::Unreachable(format!("the server could not be reached: {}", fault.detail)))
        }
        _ => Ok(()),
    }
}

/// An exchange that did not come to its end is a failure, also where the step expects nothing in particular.
fn cut_short(walk: &Walk<'_>, step: &Step, exchange: &Exchange) {
    let told = walk.log().failures.iter().any(|f| f.exchange == Some(exchange.id));
    if let Some(fault) = &exchange.fault
        && fault.class != FaultClass::Cancelled
        && !told
    {
        walk.log().failures.push(ExpectationFailure {
            place: format!("{}:{}:{}", walk.scenario.file, step.at.line, step.at.column),
            step: step.id.clone(),
            message: format!("the exchange did not come to its end: {}", fault.detail),
            exchange: Some(exchange.id),
        });
    }
}

/// Where a request of this walk comes from.
pub(super) fn origin(walk: &Walk<'_>, step: &str, at: At) -> Origin {
    Origin {
        scenario: walk.scenario.id.clone(),
        step: step.to_owned(),
        file: walk.scenario.file.clone(),
        line: at.line,
        column: at.column,
        user: walk.visit.vu,
        iteration: walk.visit.iteration,
    }
}

/// Waits, from the moment the lane was ready where that is known: a plan that adds up lateness would drift.
async fn sleep(time: Duration, lane: &mut Lane) -> Result<(), Halt> {
    lane.postpone(time);
    let until = lane.due.or_else(|| Instant::now().checked_add(time));
    let wait = async {
        match until {
            Some(until) => tokio::time::sleep_until(until.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait => Ok(()),
        () = lane.stop.cancelled() => Err(Halt::Stopped),
    }
}

/// A think time, drawn from its distribution.
fn think_time(think: &Think, rng: &mut fastrand::Rng) -> Duration {
    match *think {
        Think::Fixed(time) => time,
        Think::Uniform(from, to) => from + to.saturating_sub(from).mul_f64(rng.f64()),
        Think::Lognormal { median, sigma, max } => {
            // Box and Muller; 1 - f64() is never 0, so the logarithm is finite.
            let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
            let normal = radius * (std::f64::consts::TAU * rng.f64()).cos();
            let seconds = median.as_secs_f64() * (sigma * normal).exp();
            Duration::try_from_secs_f64(seconds).unwrap_or(max).min(max)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn repeated_captures_are_gathered_under_a_name_of_their_own() {
        let mut lane = Lane::new(Map::new(), Arc::default(), Renderer::new(1), CancellationToken::new());
        lane.gather(vec![("id".into(), json!(1)), ("other".into(), json!("x")), ("id".into(), json!(2))]);
        assert_eq!(lane.scope, json!({"id": 2, "other": "x", "id_all": [1, 2], "other_all": ["x"]}));
    }

    #[test]
    fn think_times_follow_their_distribution_and_their_cap() {
        let rng = &mut fastrand::Rng::with_seed(3);
        let (one, three) = (Duration::from_secs(1), Duration::from_secs(3));
        assert_eq!(think_time(&Think::Fixed(one), rng), one);
        let uniform: Vec<Duration> = (0..200).map(|_| think_time(&Think::Uniform(one, three), rng)).collect();
        assert!(uniform.iter().all(|t| (one..=three).contains(t)));
        assert!(uniform.iter().max() > uniform.iter().min());
        let lognormal = Think::Lognormal { median: one, sigma: 0.5, max: three };
        let mut times: Vec<Duration> = (0..1001).map(|_| think_time(&lognormal, rng)).collect();
        times.sort();
        assert!(times[1000] <= three);
        assert!((0.9..1.1).contains(&times[500].as_secs_f64()), "median {:?}", times[500]);
    }

    #[tokio::test]
    async fn events_are_awaited_up_to_a_number_and_pings_do_not_count() {
        let frame = |data: &str| TimedFrame {
            at_us: 0,
            frame: crate::sse::Frame { data: Some(data.into()), ..Default::default() },
        };
        let (to, from) = mpsc::unbounded_channel();
        for data in [r#"{"event":"ping"}"#, r#"{"event":"message"}"#, r#"{"event":"message_end"}"#] {
            to.send(frame(data)).unwrap();
        }
        assert_eq!(first_events(from, 1).await.unwrap().len(), 2);
        let (to, from) = mpsc::unbounded_channel();
        to.send(frame(r#"{"event":"message"}"#)).unwrap();
        drop(to);
        assert_eq!(first_events(from, 2).await, Err(1));
    }
}
