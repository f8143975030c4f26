//! Exit codes: a contract that CI scripts depend on.

use crate::report::escape;
use crate::report::run::RunReport;
use std::process::{ExitCode, Termination};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything that applies holds.
    Pass,
    /// 1: a rule failed.
    Failed,
    /// 2: usage or file error.
    Usage,
    /// 3: target unreachable, or something could not be run.
    Incomplete,
    /// 4: the numbers of a load do not count, the generator was the bottleneck.
    InvalidLoad,
    /// 5: an objective of a load was missed.
    SloMissed,
    /// 6: a snapshot differs, or two servers do.
    SnapshotDiffers,
    /// 7: an entry of the baseline is out of date.
    StaleBaseline,
    /// 70: a fault of our own.
    Internal,
    /// 130: interrupted; partial results were written.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Pass => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Incomplete => 3,
            Exit::InvalidLoad => 4,
            Exit::SloMissed => 5,
            Exit::SnapshotDiffers => 6,
            Exit::StaleBaseline => 7,
            Exit::Internal => 70,
            Exit::Interrupted => 130,
        }
    }

    /// The exit that a report's code stands for.
    pub fn of(report: &RunReport) -> Exit {
        let all = [
            Exit::Pass,
            Exit::Failed,
            Exit::Incomplete,
            Exit::InvalidLoad,
            Exit::SloMissed,
            Exit::StaleBaseline,
            Exit::Interrupted,
        ];
        all.into_iter().find(|e| e.code() == report.exit_code).unwrap_or(Exit::Internal)
    }

    /// How one shard of several ends: with 0 where its results are whole, whatever they say. The verdict is that of `merge`
    /// over all shards, and launchers (`mpirun`, a Kubernetes job) end all processes when one of them fails.
    pub fn of_shard(self) -> Exit {
        match self {
            Exit::Failed | Exit::InvalidLoad | Exit::SloMissed => Exit::Pass,
            Exit::Pass
            | Exit::Usage
            | Exit::Incomplete
            | Exit::SnapshotDiffers
            | Exit::StaleBaseline
            | Exit::Internal
            | Exit::Interrupted => self,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

/// Why a command did not get to a result.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    text: String,
}

impl Failure {
    /// The user's line or files: exit 2.
    pub fn usage(text: impl std::fmt::Display) -> Failure {
        Failure { exit: Exit::Usage, text: text.to_string() }
    }

    /// Nothing could be asked of the target: exit 3. The text may be the target's own.
    pub fn incomplete(text: impl std::fmt::Display) -> Failure {
        Failure { exit: Exit::Incomplete, text: escape::visible_lines(&text.to_string()) }
    }

    /// Ours: exit 70.
    pub fn internal(text: impl std::fmt::Display) -> Failure {
        Failure { exit: Exit::Internal, text: text.to_string() }
    }

    /// The exit code it asks for.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
