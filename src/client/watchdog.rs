//! What ends an exchange from outside: the stop token and the limits of its phases.
//!
//! On the measured path a timer or a token that is polled at every read costs as much as the read. So there is one
//! timer for all limits, and it and the token are polled only when they themselves fire.

use super::Limits;
use super::fault::{fault, shown};
use crate::model::{Fault, FaultClass};
use futures_util::task::AtomicWaker;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A moment that has not come.
const NEVER: u64 = u64::MAX;

/// How far an exchange has come, in microseconds since it was sent. Written by the exchange, read by its guard.
pub(super) struct Progress {
    sent: Instant,
    handed_over: AtomicU64,
    /// Response head or newest bytes of the body.
    heard: AtomicU64,
    waits_for_event: AtomicBool,
}

impl Progress {
    pub(super) fn new(sent: Instant) -> Progress {
        Progress {
            sent,
            handed_over: AtomicU64::new(NEVER),
            heard: AtomicU64::new(NEVER),
            waits_for_event: AtomicBool::new(false),
        }
    }

    /// Microseconds since the request was sent.
    pub(super) fn now_us(&self) -> u64 {
        self.sent.elapsed().as_micros() as u64
    }

    /// The request goes to an open connection now.
    pub(super) fn hand_over(&self) {
        self.handed_over.store(self.now_us(), Ordering::Relaxed);
    }

    /// The response head or more of the body is here.
    pub(super) fn hear(&self, at_us: u64) {
        self.heard.store(at_us, Ordering::Relaxed);
    }

    /// Whether the first event of a stream is still to come.
    pub(super) fn wait_for_event(&self, waits: bool) {
        self.waits_for_event.store(waits, Ordering::Relaxed);
    }

    /// The fault of the limit that is passed, or how long none can be.
    fn check(&self, limits: &Limits) -> Result<Duration, Fault> {
        let now = Duration::from_micros(self.now_us());
        let since = |moment: &AtomicU64| match moment.load(Ordering::Relaxed) {
            NEVER => None,
            at => Some(now.saturating_sub(Duration::from_micros(at))),
        };
        let (handed_over, heard) = (since(&self.handed_over), since(&self.heard));
        let waits = self.waits_for_event.load(Ordering::Relaxed);
        // a phase that has not begun cannot be overdue before a whole limit from now
        let left = |limit: Duration, spent: Option<Duration>| limit.saturating_sub(spent.unwrap_or_default());
        let first_byte = if heard.is_none() { left(limits.first_byte, handed_over) } else { Duration::MAX };
        let first_event = match (heard, waits) {
            (_, true) => left(limits.first_event, handed_over),
            (None, false) => limits.first_event,
            (Some(_), false) => Duration::MAX,
        };
        let idle = left(limits.idle, heard);
        let total = limits.total.saturating_sub(now);
        let overdue = |class, detail: String| Err(fault(class, detail));
        if total.is_zero() {
            let what = match handed_over {
                Some(_) => "the exchange took longer than",
                None => "the connection was not ready within",
            };
            overdue(FaultClass::TimeoutTotal, format!("{what} {}", shown(limits.total)))
        } else if first_byte.is_zero() {
            overdue(FaultClass::TimeoutFirstByte, format!("no response head within {}", shown(limits.first_byte)))
        } else if waits && first_event.is_zero() {
            overdue(
                FaultClass::TimeoutFirstEvent,
                format!("no event of the stream within {}", shown(limits.first_event)),
            )
        } else if idle.is_zero() {
            let detail = format!("no byte for {} in the middle of the body", shown(limits.idle));
            overdue(FaultClass::TimeoutIdle, detail)
        } else {
            Ok(total.min(first_byte).min(first_event).min(idle))
        }
    }

    /// Returns when a limit is passed or the token fires.
    pub(super) async fn overdue_or(&self, stop: &CancellationToken, limits: &Limits) -> Fault {
        let mut stopped = pin!(stopped(stop));
        loop {
            let quiet = match self.check(limits) {
                Ok(quiet) => quiet,
                Err(fault) => return fault,
            };
            tokio::select! {
                biased;
                fault = &mut stopped => return fault,
                () = tokio::time::sleep(quiet) => {}
            }
        }
    }
}

/// Returns when the token fires.
pub(super) async fn stopped(stop: &CancellationToken) -> Fault {
    stop.cancelled().await;
    fault(FaultClass::Cancelled, "stopped while it was under way")
}

/// Remembers that the interrupting future wants to be polled, and wakes the task it is part of.
struct Signal {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

/// Drives `main` until it is done or `interrupt` is, which is polled first, but only when it was woken itself. Both are pinned by
/// the caller: taken by value, each would be there twice.
pub(super) async fn unless<T>(
    mut interrupt: Pin<&mut impl Future<Output = Fault>>,
    mut main: Pin<&mut impl Future<Output = Result<T, Fault>>>,
) -> Result<T, Fault> {
    let signal = Arc::new(Signal { woken: AtomicBool::new(true), task: AtomicWaker::new() });
    let waker = Waker::from(signal.clone());
    poll_fn(move |context| {
        signal.task.register(context.waker());
        if signal.woken.swap(false, Ordering::Acquire) {
            let polled = interrupt.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(fault) = polled {
                return Poll::Ready(Err(fault));
            }
        }
        main.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        connect: Duration::from_secs(1),
        tls: Duration::from_secs(1),
        first_byte: Duration::from_secs(10),
        first_event: Duration::from_secs(20),
        idle: Duration::from_secs(30),
        total: Duration::from_secs(100),
    };

    /// Progress of an exchange that was sent this long ago.
    fn sent(seconds_ago: u64) -> Progress {
        let sent = Instant::now().checked_sub(Duration::from_secs(seconds_ago)).expect("the machine is up long enough");
        Progress::new(sent)
    }

    fn class(progress: &Progress) -> Result<u64, FaultClass> {
        progress.check(&LIMITS).map(|left| left.as_secs_f64().round() as u64).map_err(|f| f.class)
    }

    #[test]
    fn each_phase_has_its_limit_and_the_next_check_comes_in_time() {
        assert_eq!(class(&sent(50)).map(|left| left <= 10), Ok(true), "still connecting");
        assert_eq!(class(&sent(100)), Err(FaultClass::TimeoutTotal));
        let handed = sent(15);
        handed.handed_over.store(10_000_000, Ordering::Relaxed);
        assert_eq!(class(&handed), Ok(5), "10 s from the hand-over");
        handed.handed_over.store(1_000_000, Ordering::Relaxed);
        assert_eq!(class(&handed), Err(FaultClass::TimeoutFirstByte));
        let heard = sent(50);
        heard.handed_over.store(0, Ordering::Relaxed);
        heard.hear(40_000_000);
        assert_eq!(class(&heard), Ok(20), "30 s from the last byte");
        heard.wait_for_event(true);
        assert_eq!(class(&heard), Err(FaultClass::TimeoutFirstEvent));
        heard.wait_for_event(false);
        heard.hear(1_000_000);
        assert_eq!(class(&heard), Err(FaultClass::TimeoutIdle));
    }
}
