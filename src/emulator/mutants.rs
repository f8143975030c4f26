//! The mutants: healthy servers that break one promise each.

use super::config::Profile;
use super::fault::Fault;

/// A server with one fault.
#[derive(Debug)]
pub struct Mutant {
    /// Its name: the rule it is made for, a slash, what it does.
    pub id: &'static str,
    /// The rules that must notice.
    pub victims: &'static [&'static str],
    /// What it does, in one sentence.
    pub what: &'static str,
    /// The profile it runs under.
    pub profile: Profile,
    /// It runs with automatic playback.
    pub tts_autoplay: bool,
    pub(super) fault: Fault,
}

/// Every mutant.
pub fn mutants() -> &'static [Mutant] {
    &[]
}
