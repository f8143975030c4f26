//! The difyprobe binary: prepares the process, runs the command line, ends with its code.

use difyprobe::cli::{self, Exit};
use std::process::{ExitCode, Termination};

// What the threads that send make, the thread that judges drops: glibc's arenas grow and shrink all the time under that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before any thread: insta reads its settings from the environment.
    difyprobe::snapshot::prepare_environment();
    std::panic::catch_unwind(cli::main).unwrap_or(Exit::Internal).report()
}
