//! The progress line on stderr while a run lasts.

use crate::flow::Session;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A task that shows progress; dropped, it stops and clears its line.
pub struct Progress {
    task: JoinHandle<()>,
    terminal: bool,
}

/// Shows `line` every 100 ms on a terminal, every 5 s otherwise.
pub fn show(session: Arc<Session>, line: fn(&Session, Duration) -> String) -> Progress {
    let terminal = std::io::stderr().is_terminal();
    let every = if terminal { Duration::from_millis(100) } else { Duration::from_secs(5) };
    let task = tokio::spawn(async move {
        let start = Instant::now();
        let mut tick = tokio::time::interval_at((start + every).into(), every);
        loop {
            tick.tick().await;
            let text = line(&session, start.elapsed());
            let mut stderr = std::io::stderr().lock();
            let _ = if terminal { write!(stderr, "\r\x1b[2K{text}") } else { writeln!(stderr, "{text}") };
            let _ = stderr.flush();
        }
    });
    Progress { task, terminal }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        if self.terminal {
            eprint!("\r\x1b[2K");
        }
    }
}

/// `12/25 scenarios, 131 requests, 3.2 s`
pub fn scenarios(session: &Session, elapsed: Duration) -> String {
    let p = &session.progress;
    let (done, planned) = (p.runs_done.load(Relaxed), p.runs_planned.load(Relaxed));
    let (requests, flying) = (p.requests.load(Relaxed), p.in_flight.load(Relaxed));
    format!("{done}/{planned} scenarios, {requests} requests ({flying} under way), {:.1} s", elapsed.as_secs_f64())
}
