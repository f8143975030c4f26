//! The pace that a request asks of an echo model with the words `gap:G chunks:N`, and whether a stream kept it.

use super::run::Run;
use super::seen::Seen;
use crate::model::App;
use serde_json::{Map, Value};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Microseconds between two pieces of text.
    pub gap_us: f64,
    /// Pieces of text.
    pub chunks: f64,
}

impl Pace {
    /// Reads the words of the query or of an input; `None` unless both are there.
    pub fn of(s: &Seen) -> Option<Pace> {
        let inputs = s.sent.inputs().into_iter().flat_map(Map::values).filter_map(Value::as_str);
        s.sent.query().into_iter().chain(inputs).find_map(Pace::read)
    }

    fn read(text: &str) -> Option<Pace> {
        let number = |prefix: &str| text.split_whitespace().find_map(|w| w.strip_prefix(prefix)?.parse::<f64>().ok());
        let (gap, chunks) = (number("gap:")?, number("chunks:")?);
        Some(Pace { gap_us: gap * 1e6, chunks })
    }

    /// The time between first and last piece.
    pub fn asked_us(&self) -> f64 {
        self.gap_us * (self.chunks - 1.0)
    }

    /// Whether a stream lasted as long as all pieces take.
    pub fn ran_to_its_end(&self, s: &Seen) -> bool {
        s.exchange.timing.end_us as f64 >= 0.8 * self.asked_us()
    }
}

/// The pace of a stream on an app that repeats its prompt, the mark of an echo model, or that keeps the pace it is asked
/// for. One that does not know the words has long ended when another request could do something to its stream.
pub fn of_echo(run: &Run, s: &Seen) -> Option<Pace> {
    Pace::of(s).filter(|_| s.stream.is_some() && (run.echoes_prompt(s.app) || knows_the_words(run, s.app)))
}

/// Whether some stream of an app came in exactly as many pieces as its request asked for, and no faster.
fn knows_the_words(run: &Run, app: &App) -> bool {
    let kept = |s: &Seen, pace: Pace| {
        let events = s.stream.iter().flat_map(|stream| &stream.events);
        let pieces = events.filter(|e| e.content().is_some_and(|text| !text.is_empty())).count();
        pieces as f64 == pace.chunks && pace.chunks >= 5.0 && pace.ran_to_its_end(s)
    };
    run.on(app).any(|s| s.stream.is_some() && Pace::of(s).is_some_and(|pace| kept(s, pace)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_words_are_needed_and_other_words_do_not_matter() {
        let pace = Pace::read("please gap:0.1 and chunks:21").expect("a pace");
        assert_eq!(pace.asked_us(), 2e6);
        assert_eq!(Pace::read("gap:0.1"), None);
        assert_eq!(Pace::read("gap:soon chunks:3"), None);
    }
}
