//! Ctrl-C: the first ends the run with partial results, the second ends the process.

use super::live_view;
use crate::engine;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use tokio_util::sync::CancellationToken;

static SIGNALS: AtomicU32 = AtomicU32::new(0);

/// Makes SIGINT and SIGTERM fire the token. Must run before the engine, which would take the signals over.
pub fn on_signal(stop: &CancellationToken) {
    let stop = stop.clone();
    let handler = move || {
        if SIGNALS.fetch_add(1, SeqCst) == 0 {
            if !live_view::active() {
                eprintln!("\ndifyprobe: interrupted, finishing (again to quit at once)");
            }
            engine::interrupt(&stop);
        } else {
            at_once();
        }
    };
    // A handler that cannot be set leaves the default: the process ends without partial results.
    let _ = ctrlc::set_handler(handler);
}

/// Ends the process: the user asked twice. The terminal is put back in order.
pub fn at_once() {
    live_view::restore();
    #[allow(clippy::exit)]
    std::process::exit(130);
}
