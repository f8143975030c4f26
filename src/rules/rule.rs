//! The row of one rule, and what a judge function gets and gives.

use super::notes::Notes;
use super::run::Run;
use super::seen::Seen;
use crate::model::{App, AppMode, Level};

/// One rule of the catalogue with its judge.
pub struct Rule {
    /// Dotted id, stable.
    pub id: &'static str,
    /// Area of the catalogue.
    pub area: &'static str,
    /// How binding.
    pub level: Level,
    /// One line.
    pub title: &'static str,
    /// The rule's sentence.
    pub statement: &'static str,
    /// Where the sentence comes from.
    pub source: &'static str,
    /// App modes that it is about.
    pub modes: &'static [AppMode],
    /// What the built-in scenarios do to see it.
    pub tested: &'static str,
    /// Version history, where behaviour changed.
    pub versions: Option<&'static str>,
    /// Whether load runs judge it.
    pub load: Load,
    /// The judge.
    pub judge: Judge,
    /// Why an app cannot show this rule, where it cannot; asked only when nothing was judged.
    pub absent: fn(&Run, &App) -> Option<String>,
}

/// Whether load runs judge a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Needs requests of its own.
    No,
    /// Judged after the run, over the sampled exchanges.
    Sampled,
    /// Judged on every response: a pure function of its bytes.
    Every,
}

/// Scope of a judge function.
#[derive(Clone, Copy)]
pub enum Judge {
    /// Looks at one exchange.
    Exchange(fn(&Seen, &mut Notes)),
    /// Looks at everything seen on one app.
    Run(fn(&Run, &App, &mut Notes)),
}

/// Every app mode.
pub const ANY: &[AppMode] = &AppMode::ALL;
/// Modes with conversations.
pub const CHATS: &[AppMode] = &[AppMode::Chat, AppMode::AgentChat, AppMode::AdvancedChat, AppMode::Agent];
/// Chat modes that can block.
pub const BLOCKING_CHATS: &[AppMode] = &[AppMode::Chat, AppMode::AdvancedChat];
/// Modes whose streams are made of messages.
pub const MESSAGES: &[AppMode] =
    &[AppMode::Completion, AppMode::Chat, AppMode::AgentChat, AppMode::AdvancedChat, AppMode::Agent];
/// Modes with blocking responses.
pub const BLOCKING: &[AppMode] = &[AppMode::Completion, AppMode::Chat, AppMode::AdvancedChat, AppMode::Workflow];
/// Completion apps.
pub const COMPLETION: &[AppMode] = &[AppMode::Completion];

/// For rules that every app of their modes can show.
pub fn always(_: &Run, _: &App) -> Option<String> {
    None
}
