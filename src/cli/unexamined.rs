//! The report of a run that could not begin: incomplete, with the reason and the one exchange that shows it.

use super::target::Chosen;
use crate::model::Transcript;
use crate::profile::Profile;
use crate::report::escape;
use crate::report::run::RunReport;
use crate::rules::judge::Planned;
use crate::rules::{self, Rule};
use crate::suite::{Choice, Facts, build_unexamined, select::NOT_ASKED};

/// A run that came to nothing.
pub struct Unexamined<'u> {
    /// `check` or `load`.
    pub command: &'u str,
    /// The target.
    pub chosen: &'u Chosen,
    /// What was to be run.
    pub choice: &'u Choice,
    /// What was asked, what came, what to do.
    pub reason: &'u str,
    /// Discovery's exchanges.
    pub transcript: &'u Transcript,
    /// It was stopped.
    pub interrupted: bool,
    /// Known deviations count as failures.
    pub strict: bool,
}

impl Unexamined<'_> {
    /// Its report; the reason is also told on stderr, where `--quiet` leaves it.
    pub fn report(&self) -> RunReport {
        eprintln!("difyprobe: nothing could be run: {}", escape::terminal(self.reason));
        let meant = |r: &&'static Rule| {
            self.choice.whole_suite || self.choice.scenarios.iter().any(|s| s.rules.iter().any(|id| id == r.id))
        };
        let kept = |r: &&'static Rule| self.choice.rules.left_out(r).is_none();
        let meant: Vec<&'static Rule> = rules::catalogue().filter(meant).filter(kept).collect();
        let facts = Facts {
            command: self.command,
            profile: (self.chosen.profile.unwrap_or(Profile::documented()), "the server was not examined".to_owned()),
            planned: &|_, _| Planned::No(NOT_ASKED.to_owned()),
            whole_suite: false,
            scenarios: Vec::new(),
            notes: self.chosen.notes.clone(),
            harness_errors: Vec::new(),
            interrupted: self.interrupted,
            strict: self.strict,
            elapsed_ms: u64::try_from(self.chosen.client.epoch.elapsed().as_millis()).unwrap_or(u64::MAX),
            rules: &self.choice.rules,
            baseline: None,
            saved_as: None,
        };
        build_unexamined(self.transcript, facts, &meant, self.reason)
    }
}
