//! A load from its start to the end of its drain.

use super::arrivals;
use super::attack::{EngineError, Life};
use super::desk::Desk;
use super::gate::Gate;
use super::life::Pool;
use super::plan::{Arrival, Load, Model};
use super::staff::Staff;
use super::start::{self, Start, StartAt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Virtual users of an open load that are there before it starts.
const FIRST: usize = 256;
/// How often the number of users of a closed load is looked at.
const STEP: Duration = Duration::from_millis(20);
/// Users of a closed load are launched this long before they are needed.
const AHEAD_US: u64 = 1_000_000;

/// When a load is over, as far as that is known while it runs.
pub(super) struct Ending {
    length: Option<Duration>,
    no_more: CancellationToken,
    cut: CancellationToken,
}

impl Ending {
    /// Whether an arrival or a user at this time is still part of the load.
    pub(super) fn covers(&self, at: Duration) -> bool {
        self.length.is_none_or(|length| at < length)
    }

    /// Whether the load was ended from outside.
    pub(super) fn called(&self) -> bool {
        self.no_more.is_cancelled() || self.cut.is_cancelled()
    }

    /// Returns when the load is ended from outside.
    pub(super) async fn call(&self) {
        tokio::select! {
            () = self.no_more.cancelled() => {}
            () = self.cut.cancelled() => {}
        }
    }

    /// Returns at the end of the schedule; never where it has none.
    async fn length(&self, start: Start) {
        match self.length.and_then(|length| start.at.checked_add(length)) {
            Some(end) => tokio::time::sleep_until(end.into()).await,
            None => std::future::pending().await,
        }
    }
}

/// Runs a load.
pub(super) async fn run(pool: &Arc<Pool>, load: Load, drain: Duration) -> Result<(), EngineError> {
    let Load { model, length, start, no_more, .. } = load;
    let ending = Ending { length, no_more, cut: pool.cut.clone() };
    let mut staff = match model {
        Model::Open { arrivals, max_in_flight } => open(pool, arrivals, max_in_flight, &start, ending).await?,
        Model::Closed { users_at, most, iterations, .. } => {
            let users = Users { at: users_at, most, iterations };
            closed(pool, users, &start, &ending).await?
        }
    };
    let cut = async {
        tokio::time::sleep(drain).await;
        pool.cut.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = staff.ended() => ended,
        () = cut => Ok(()),
    }
}

/// Waits for the first users and for time 0 to be known; `None` when the load was ended before.
async fn begin(pool: &Pool, staff: &mut Staff, start: &StartAt, ending: &Ending) -> Result<Option<Start>, EngineError> {
    let ready = async {
        staff.arrived().await?;
        start::agree(start).await
    };
    let begun = tokio::select! {
        ready = ready => ready.map(Some),
        () = ending.call() => Ok(None),
    };
    match &begun {
        Ok(Some(start)) => pool.started.tell(*start),
        Ok(None) | Err(_) => start.forsake(),
    }
    begun
}

fn note_end(pool: &Pool, start: Start, ending: &Ending) {
    let ran = start.at.elapsed();
    pool.note(|notes| notes.begun_for = ending.length.map_or(ran, |length| ran.min(length)));
}

/// Arrivals, each by a virtual user that is free.
async fn open(
    pool: &Arc<Pool>,
    arrivals: Box<dyn Iterator<Item = Arrival> + Send>,
    max_in_flight: usize,
    start: &StartAt,
    ending: Ending,
) -> Result<Staff, EngineError> {
    if max_in_flight == 0 {
        return Err(EngineError::Nothing("virtual users"));
    }
    let desk = Arc::new(Desk::new(max_in_flight));
    let mut staff = Staff::new();
    let life = arrivals::worker(pool, &desk);
    staff.hire_up_to(FIRST, max_in_flight, &life);
    let begun = begin(pool, &mut staff, start, &ending).await;
    let Ok(Some(start)) = begun else {
        desk.close();
        return begun.map(|_| staff);
    };
    let dispatch = arrivals::Dispatch { pool: Arc::clone(pool), desk: Arc::clone(&desk), staff, life, start };
    // On a task of its own: the thread that drives the timers then hands arrivals on without waking another.
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let staff = dispatch.run(arrivals, &ending).await;
        (staff, ending)
    });
    let Some(Ok((staff, ending))) = tasks.join_next().await else {
        desk.close();
        return Err(EngineError::Schedule);
    };
    if ending.length.is_some() {
        tokio::select! {
            () = ending.call() => {}
            () = ending.length(start) => {}
        }
    }
    note_end(pool, start, &ending);
    desk.close();
    Ok(staff)
}

/// Users of a closed load.
struct Users {
    at: Arc<dyn Fn(u64) -> usize + Send + Sync>,
    most: usize,
    iterations: Option<u32>,
}

async fn closed(pool: &Arc<Pool>, users: Users, start: &StartAt, ending: &Ending) -> Result<Staff, EngineError> {
    if users.most == 0 {
        return Err(EngineError::Nothing("virtual users"));
    }
    let planned = users.iterations.map_or(0, |i| u64::from(i).saturating_mul(users.most as u64));
    pool.session.progress.runs_planned.store(planned, Relaxed);
    let gate = Arc::new(Gate::new(0));
    let life = user(pool, Arc::clone(&gate), users.iterations);
    let mut staff = Staff::new();
    let needed = |at_us: u64| (users.at)(at_us).max((users.at)(at_us.saturating_add(AHEAD_US)));
    staff.hire_up_to(needed(0), users.most, &life);
    let begun = begin(pool, &mut staff, start, ending).await;
    let Ok(Some(start)) = begun else {
        gate.close();
        return begun.map(|_| staff);
    };
    tokio::select! {
        () = ending.call() => {}
        () = tokio::time::sleep_until(start.at.into()) => {}
    }
    loop {
        let at = start.at.elapsed();
        if !ending.covers(at) {
            break;
        }
        let at_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        gate.set((users.at)(at_us));
        staff.hire_up_to(needed(at_us), users.most, &life);
        let all = staff.hired() >= users.most;
        tokio::select! {
            () = ending.call() => break,
            () = ending.length(start) => break,
            ended = staff.ended(), if all => {
                ended?;
                break;
            }
            () = tokio::time::sleep(STEP) => {}
        }
    }
    note_end(pool, start, ending);
    gate.close();
    Ok(staff)
}

/// The life of a user of a closed load.
fn user(pool: &Arc<Pool>, gate: Arc<Gate>, iterations: Option<u32>) -> Life {
    let pool = Arc::clone(pool);
    let next = Arc::new(AtomicU32::new(0));
    Arc::new(move || {
        let (pool, gate) = (Arc::clone(&pool), Arc::clone(&gate));
        let number = next.fetch_add(1, Relaxed);
        Box::pin(async move { pool.live(number, iterations, &gate).await })
    })
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
