//! An exchange -> text that is the same on every run of the same server, for snapshots and for comparing two servers.
//!
//! What changes from run to run is replaced: ids and end users by their order of first appearance, times and usage by
//! their shape. What a client depends on stays: members, types, order of events, status, texts. A value of another type
//! than its mask expects is shown as such. Judges nothing, reads no clock.

mod ids;
mod layout;
mod mask;
mod shortened;
mod stream;
mod value;

use crate::model::{Exchange, Route};
use ids::Ids;

/// How texts that a model wrote are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Text {
    /// Word for word, with ids and users replaced: right where the app only echoes.
    #[default]
    Exact,
    /// Only that there is a text, or an empty one; the number of chunks of a stream is left out.
    Shape,
    /// Only that the member is there, whatever its type.
    Ignored,
}

/// Choices of one comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Texts that a model wrote.
    pub text: Text,
    /// Names of reply headers shown besides those that are always shown.
    pub headers: Vec<String>,
}

/// The state over one run of one scenario on one app: what was called what so far.
///
/// ```
/// use difyprobe::canonical::{Canon, Options};
/// let canon = Canon::new(Options::default());
/// # let _ = canon;
/// ```
pub struct Canon {
    options: Options,
    ids: Ids,
}

impl Canon {
    /// Nothing has appeared yet.
    pub fn new(options: Options) -> Canon {
        Canon { options, ids: Ids::default() }
    }

    /// How texts of the exchanges from here on are shown, for steps that differ from the rest of their scenario.
    pub fn set_text(&mut self, text: Text) {
        self.options.text = text;
    }

    /// Which reply headers the exchanges from here on show besides those that are always shown.
    pub fn set_headers(&mut self, names: Vec<String>) {
        self.options.headers = names;
    }

    /// Whether the exchanges from here on ran side by side. Lists show what came from them in the order of its names and
    /// say so: the server's order is a matter of luck.
    pub fn set_side_by_side(&mut self, side_by_side: bool) {
        self.ids.set_side_by_side(side_by_side);
    }

    /// What to sort the exchanges of a step by that ran side by side, before their texts are asked for: what they sent,
    /// with what is different in every run replaced as far as it has names. Exchanges that sent the same are equal.
    pub fn sort_key(&self, exchange: &Exchange) -> String {
        layout::sort_key(exchange, &self.ids)
    }

    /// The stable text of the next exchange. Exchanges must come in an order that is the same on every run (the order
    /// of the steps, not of arrival, where steps ran side by side), for ids are numbered as they appear.
    pub fn canonical(&mut self, exchange: &Exchange, route: &Route) -> String {
        layout::render(exchange, route, &self.options, &mut self.ids)
    }
}

/// Replaces what looks like an API key. The client redacts keys where they arise; this is the last defence.
pub fn redact_keys(text: &str) -> String {
    ids::redact_keys(text)
}

#[cfg(test)]
mod tests;
