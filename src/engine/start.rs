//! When time 0 of a load is.

use super::EngineError;
use crate::store::{Barrier, BarrierState};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Look at a barrier this often.
const LOOK: Duration = Duration::from_millis(50);

/// When time 0 of a load is.
#[derive(Clone, Debug, Default)]
pub enum StartAt {
    /// As soon as the first virtual users are there.
    #[default]
    Now,
    /// At a time of the clock, in microseconds since the Unix epoch.
    Unix(u64),
    /// When all shards are ready.
    Barrier {
        /// Where they meet.
        barrier: Barrier,
        /// How long this one waits for the others.
        timeout: Duration,
    },
}

impl StartAt {
    /// Takes back what others may wait for.
    pub(super) fn forsake(&self) {
        if let StartAt::Barrier { barrier, .. } = self {
            barrier.leave();
        }
    }
}

/// Time 0 of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// On the clock of this process.
    pub at: Instant,
    /// On the clock of the world, in microseconds since the Unix epoch.
    pub unix_us: u64,
}

/// Tells time 0 of a load to whoever holds a copy, as soon as it is known.
#[derive(Clone, Debug, Default)]
pub struct Started(Arc<OnceLock<Start>>);

impl Started {
    /// Time 0; `None` until it is known.
    pub fn get(&self) -> Option<Start> {
        self.0.get().copied()
    }

    pub(super) fn tell(&self, start: Start) {
        // A second start of the same load would be a fault of the caller; the first stays.
        let _ = self.0.set(start);
    }
}

/// Waits until time 0 is known. It may lie ahead.
pub(super) async fn agree(start: &StartAt) -> Result<Start, EngineError> {
    let unix_us = match start {
        StartAt::Now => unix_now_us(),
        StartAt::Unix(at) if *at < unix_now_us() => {
            return Err(EngineError::Late { by: Duration::from_micros(unix_now_us() - at) });
        }
        StartAt::Unix(at) => *at,
        StartAt::Barrier { barrier, timeout } => meet(barrier, *timeout).await?,
    };
    let (now, now_us) = (Instant::now(), unix_now_us());
    let ahead = Duration::from_micros(unix_us.saturating_sub(now_us));
    Ok(Start { at: now.checked_add(ahead).unwrap_or(now), unix_us })
}

async fn meet(barrier: &Barrier, timeout: Duration) -> Result<u64, EngineError> {
    let began = Instant::now();
    barrier.ready(unix_now_us())?;
    loop {
        match barrier.look(unix_now_us())? {
            BarrierState::Start(at) if at >= unix_now_us() => return Ok(at),
            BarrierState::Start(at) => return Err(EngineError::Late { by: Duration::from_micros(unix_now_us() - at) }),
            BarrierState::Missing(shards) if began.elapsed() >= timeout => {
                return Err(EngineError::Alone { folder: barrier.folder().to_owned(), shards, waited: timeout });
            }
            BarrierState::Missing(_) => tokio::time::sleep(LOOK.min(timeout)).await,
        }
    }
}

fn unix_now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
