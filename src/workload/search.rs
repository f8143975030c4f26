//! The highest load that holds the objectives: doubling until one is missed, then bisection.
//!
//! Pure: it says which level to try next and is told what came of it. Levels are rates per second or numbers of users.

use serde::{Deserialize, Serialize};

/// What a probe of one level showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Every objective holds.
    Holds,
    /// At least one is missed.
    Misses,
    /// The generator was the bottleneck: nothing above this level can be known from here.
    Limited,
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Probe {
    /// Rate per second, or users.
    pub level: f64,
    /// What it showed.
    pub answer: Answer,
    /// How sure that is, 0.5 to 1: the smallest confidence of its objectives.
    pub confidence: f64,
    /// One line about it: which objective, which value.
    pub why: String,
}

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Range {
    /// First level that is tried.
    pub from: f64,
    /// Highest level that is tried.
    pub to: f64,
    /// The search ends when the bracket is this narrow, as a share of its lower end.
    pub within: f64,
    /// Levels are whole numbers: users.
    pub whole: bool,
}

/// What the search came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found {
    /// The highest level that held, and the lowest above it that did not.
    Between(f64, f64),
    /// Everything held up to the highest level that was to be tried.
    AtLeast(f64),
    /// The generator gave out first: this level held, the next could not be sent.
    LimitedAbove(f64),
    /// Not even the lowest level that was tried holds.
    Below(f64),
}

/// Most probes that miss on the way down from the first level.
const HALVINGS: usize = 10;

/// A search; its probes are all it remembers, so that it can be stopped and taken up again.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    range: Range,
    probes: Vec<Probe>,
}

impl Search {
    /// A search that has made these probes already.
    pub fn resume(range: Range, probes: Vec<Probe>) -> Search {
        Search { range, probes }
    }

    /// The probes so far.
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// Notes a probe of the level that [`Search::next`] gave.
    pub fn note(&mut self, probe: Probe) {
        self.probes.push(probe);
    }

    /// The highest level that held below every level that did not.
    fn held(&self) -> Option<f64> {
        let ceiling = self.missed().unwrap_or(f64::INFINITY);
        let held = self.probes.iter().filter(|p| p.answer == Answer::Holds && p.level < ceiling);
        held.map(|p| p.level).reduce(f64::max)
    }

    /// The lowest level that did not hold or could not be sent.
    fn missed(&self) -> Option<f64> {
        let not = self.probes.iter().filter(|p| p.answer != Answer::Holds);
        not.map(|p| p.level).reduce(f64::min)
    }

    /// The level to try next; `None` when the search is done.
    pub fn next(&self) -> Option<f64> {
        let next = match (self.held(), self.missed()) {
            (None, None) => self.range.from,
            (Some(held), None) if held >= self.range.to => return None,
            (Some(held), None) => (held * 2.0).min(self.range.to),
            (None, Some(missed)) if self.probes.len() >= HALVINGS || (self.range.whole && missed <= 1.0) => {
                return None;
            }
            (None, Some(missed)) => missed / 2.0,
            // Levels are ratios: the middle is the geometric one.
            (Some(held), Some(missed)) if missed > held * (1.0 + self.range.within) => (held * missed).sqrt(),
            (Some(_), Some(_)) => return None,
        };
        let next = if self.range.whole { next.round().max(1.0) } else { round(next) };
        (!self.probes.iter().any(|p| p.level == next)).then_some(next)
    }

    /// What the search came to so far; `None` before the first probe.
    pub fn found(&self) -> Option<Found> {
        let limited = |level: f64| self.probes.iter().any(|p| p.level == level && p.answer == Answer::Limited);
        match (self.held(), self.missed()) {
            (None, None) => None,
            (Some(held), None) => Some(Found::AtLeast(held)),
            (None, Some(missed)) => Some(Found::Below(missed)),
            (Some(held), Some(missed)) if limited(missed) => Some(Found::LimitedAbove(held)),
            (Some(held), Some(missed)) => Some(Found::Between(held, missed)),
        }
    }
}

/// Three significant digits: levels that a person would type.
fn round(level: f64) -> f64 {
    let digits = 10f64.powi(2 - level.abs().log10().floor() as i32);
    if digits.is_finite() && digits > 0.0 { (level * digits).round() / digits } else { level }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Range = Range { from: 10.0, to: 100_000.0, within: 0.05, whole: false };

    fn run(range: Range, answer: impl Fn(f64) -> Answer) -> Search {
        let mut search = Search::resume(range, Vec::new());
        while let Some(level) = search.next() {
            assert!(search.probes().len() < 60, "{:?}", search.probes());
            search.note(Probe { level, answer: answer(level), confidence: 1.0, why: String::new() });
        }
        search
    }

    fn up_to(limit: f64) -> impl Fn(f64) -> Answer {
        move |level| if level <= limit { Answer::Holds } else { Answer::Misses }
    }

    #[test]
    fn the_limit_is_bracketed_and_bisected_to_the_resolution() {
        for limit in [0.5, 3.3, 10.0, 217.0, 4_999.0, 31_415.0] {
            let Some(Found::Between(held, missed)) = run(RANGE, up_to(limit)).found() else { panic!("{limit}") };
            assert!(held <= limit && limit < missed, "{limit}: {held} {missed}");
            assert!(missed <= held * 1.06, "{limit}: {held} {missed}");
        }
    }

    #[test]
    fn a_search_stays_within_a_score_of_probes() {
        assert!(run(RANGE, up_to(31_415.0)).probes().len() <= 20);
    }

    #[test]
    fn nothing_missed_up_to_the_end_is_at_least() {
        assert_eq!(run(Range { to: 75.0, ..RANGE }, up_to(1e9)).found(), Some(Found::AtLeast(75.0)));
    }

    #[test]
    fn a_generator_that_gives_out_is_no_limit_of_the_server() {
        let search = run(RANGE, |level| if level < 100.0 { Answer::Holds } else { Answer::Limited });
        assert!(matches!(search.found(), Some(Found::LimitedAbove(held)) if held >= 94.0), "{:?}", search.found());
    }

    #[test]
    fn a_server_that_holds_nothing_is_given_up_on() {
        let search = run(RANGE, |_| Answer::Misses);
        assert!(matches!(search.found(), Some(Found::Below(level)) if level < 0.1), "{:?}", search.found());
        assert!(search.probes().len() <= 10);
    }

    #[test]
    fn users_are_whole_numbers() {
        let search = run(Range { whole: true, from: 1.0, ..RANGE }, up_to(13.0));
        assert_eq!(search.found(), Some(Found::Between(13.0, 14.0)));
        assert!(search.probes().iter().all(|p| p.level.fract() == 0.0));
        assert_eq!(run(Range { whole: true, from: 1.0, ..RANGE }, |_| Answer::Misses).probes().len(), 1);
    }

    #[test]
    fn a_search_that_is_taken_up_again_goes_the_same_way() {
        let whole = run(RANGE, up_to(217.0));
        for done in 0..whole.probes().len() {
            let resumed = Search::resume(RANGE, whole.probes()[..done].to_vec());
            assert_eq!(resumed.next(), Some(whole.probes()[done].level));
        }
    }

    #[test]
    fn an_answer_that_contradicts_a_lower_miss_does_not_widen_the_bracket() {
        let probe = |level, answer| Probe { level, answer, confidence: 1.0, why: String::new() };
        let probes = vec![probe(10.0, Answer::Holds), probe(20.0, Answer::Misses), probe(40.0, Answer::Holds)];
        assert_eq!(Search::resume(RANGE, probes).found(), Some(Found::Between(10.0, 20.0)));
    }
}
