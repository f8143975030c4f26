//! The difyprobe binary: prepares the process, runs the command line, ends with its code.

use difyprobe::cli::{self, Exit};
use std::process::{ExitCode, Termination};

fn main() -> ExitCode {
    // Before any thread: insta reads its settings from the environment.
    difyprobe::snapshot::prepare_environment();
    std::panic::catch_unwind(cli::main).unwrap_or(Exit::Internal).report()
}
