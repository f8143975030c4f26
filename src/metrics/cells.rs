//! Counters and histograms of a load in the smallest parts that a report or an objective may ask for.

use super::{Counts, FailureClass, Metric, Sample, Turn};
use std::collections::BTreeMap;

/// What was measured in one part of a load. Adding two is exact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// Generation requests.
    pub requests: u64,
    /// Those that finished correctly.
    pub ok: u64,
    /// Those that met every latency objective besides.
    pub good: u64,
    /// Failed ones, by place in [`FailureClass::ALL`].
    pub failures: [u64; FailureClass::ALL.len()],
    /// SSE events but pings, also of failed requests.
    pub events: u64,
    /// Pings.
    pub pings: u64,
    /// `completion_tokens` of correct answers.
    pub completion_tokens: u64,
    /// `total_price` of correct answers by currency, in units of 1e-9.
    pub cost: BTreeMap<String, u64>,
    /// Histograms, by metric.
    pub times: Times,
}

/// One histogram per metric; absent until something is recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times([Option<Box<Counts>>; Metric::COUNT]);

impl Times {
    /// The histogram of a metric.
    pub fn get(&self, metric: Metric) -> Option<&Counts> {
        self.0[metric as usize].as_deref()
    }

    /// The same, made where it is missing.
    pub fn entry(&mut self, metric: Metric) -> &mut Counts {
        self.0[metric as usize].get_or_insert_default()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Adds others.
    pub fn add(&mut self, other: &Times) {
        for (ours, theirs) in self.0.iter_mut().zip(&other.0) {
            match (ours, theirs) {
                (_, None) => {}
                (Some(ours), Some(theirs)) => ours.add(theirs),
                (empty, theirs) => *empty = theirs.clone(),
            }
        }
    }

    /// Records the times of a request. Of a failed one only the lateness of its send counts: that is the generator's own.
    pub fn record(&mut self, sample: &Sample) {
        if sample.outcome.is_err() {
            if let Some(lag) = sample.sched_lag_us {
                self.entry(Metric::SchedLag).record(lag);
            }
            return;
        }
        for (metric, value) in sample.times() {
            if let Some(value) = value {
                self.entry(metric).record(value);
            }
        }
        if !sample.gaps_us.is_empty() {
            let gaps = self.entry(Metric::Icl);
            sample.gaps_us.iter().for_each(|gap| gaps.record(*gap));
        }
    }
}

impl Cell {
    /// Counts a request and records its times.
    pub fn record(&mut self, sample: &Sample, good: bool) {
        self.requests += 1;
        self.events += sample.events;
        self.pings += sample.pings;
        self.times.record(sample);
        if let Err(class) = sample.outcome {
            self.failures[class as usize] += 1;
            return;
        }
        self.ok += 1;
        self.good += u64::from(good);
        // Saturating: these two are whatever the server claims.
        self.completion_tokens = self.completion_tokens.saturating_add(sample.completion_tokens.unwrap_or(0));
        if let Some((currency, price)) = &sample.cost {
            match self.cost.get_mut(currency) {
                Some(sum) => *sum = sum.saturating_add(*price),
                None => drop(self.cost.insert(currency.clone(), *price)),
            }
        }
    }

    /// Adds another cell.
    pub fn add(&mut self, other: &Cell) {
        self.requests += other.requests;
        self.ok += other.ok;
        self.good += other.good;
        self.failures.iter_mut().zip(&other.failures).for_each(|(a, b)| *a += b);
        self.events += other.events;
        self.pings += other.pings;
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        for (currency, price) in &other.cost {
            let sum = self.cost.entry(currency.clone()).or_default();
            *sum = sum.saturating_add(*price);
        }
        self.times.add(&other.times);
    }

    /// Failed requests of all classes.
    pub fn failed(&self) -> u64 {
        self.failures.iter().sum()
    }

    /// Failed requests by the name of their class; classes without any are left out.
    pub fn failures_by_name(&self) -> BTreeMap<String, u64> {
        by_name(&self.failures)
    }
}

/// Counters by place in [`FailureClass::ALL`] -> by name, without zeros.
pub fn by_name(failures: &[u64; FailureClass::ALL.len()]) -> BTreeMap<String, u64> {
    let classes = FailureClass::ALL.iter().zip(failures);
    classes.filter(|(_, n)| **n > 0).map(|(class, n)| (class.as_str().to_owned(), *n)).collect()
}

/// A step of a scenario, by its number in [`Cells`]. Numbers are of one `Cells` only; others have their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place(pub u16);

/// Where a cell lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// Index of the stage; `None` for requests that were sent after the last one.
    pub stage: Option<usize>,
    /// Scenario id.
    pub scenario: &'a str,
    /// Step id; empty for what belongs to the scenario as a whole.
    pub step: &'a str,
    /// Turn.
    pub turn: Turn,
}

pub(super) const TURNS: [Turn; 3] = [Turn::First, Turn::Later, Turn::NotATurn];

/// All cells of a load. Steps keep the order in which they were named first.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    places: Vec<(String, String)>,
    /// By place, then stage (the drain last), then turn.
    cells: Vec<Vec<Option<Box<Cell>>>>,
    stages: usize,
}

impl Cells {
    /// No cells yet, of a load with so many stages.
    pub fn new(stages: usize) -> Cells {
        Cells { stages, ..Cells::default() }
    }

    /// The number of a step; a new one where it was not named before. Beyond 65,535 steps all share the last number.
    pub fn place(&mut self, scenario: &str, step: &str) -> Place {
        let known = self.places.iter().position(|(s, t)| t == step && s == scenario);
        let at = known.unwrap_or_else(|| {
            if self.places.len() < usize::from(u16::MAX) {
                self.places.push((scenario.to_owned(), step.to_owned()));
                self.cells.push(Vec::new());
            }
            self.places.len() - 1
        });
        Place(at as u16)
    }

    /// The steps by number: scenario and step.
    pub fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.places.iter().map(|(scenario, step)| (scenario.as_str(), step.as_str()))
    }

    /// How many stages the load has.
    pub fn stages(&self) -> usize {
        self.stages
    }

    /// The cell of a part; `None` for the stage is the time after the last one. A place that this does not know has none.
    pub fn entry(&mut self, place: Place, stage: Option<usize>, turn: Turn) -> Option<&mut Cell> {
        let (stages, at) = (self.stages, self.slot(stage, turn));
        let row = self.cells.get_mut(usize::from(place.0))?;
        if row.is_empty() {
            row.resize(TURNS.len() * (stages + 1), None);
        }
        Some(row.get_mut(at)?.get_or_insert_default())
    }

    fn slot(&self, stage: Option<usize>, turn: Turn) -> usize {
        stage.unwrap_or(self.stages).min(self.stages) * TURNS.len() + turn as usize
    }

    /// Cells that hold something: by step, then stage, then turn.
    pub fn iter(&self) -> impl Iterator<Item = (Key<'_>, &Cell)> {
        let rows = self.places.iter().zip(&self.cells);
        rows.flat_map(move |((scenario, step), row)| {
            let filled = row.iter().enumerate().filter_map(|(at, cell)| Some((at, cell.as_deref()?)));
            filled.map(move |(at, cell)| {
                let stage = Some(at / TURNS.len()).filter(|stage| *stage < self.stages);
                (Key { stage, scenario, step, turn: TURNS[at % TURNS.len()] }, cell)
            })
        })
    }

    /// The sum of the cells that are chosen.
    pub fn sum(&self, chosen: impl Fn(&Key) -> bool) -> Cell {
        let mut sum = Cell::default();
        self.iter().filter(|(key, _)| chosen(key)).for_each(|(_, cell)| sum.add(cell));
        sum
    }

    /// Adds the cells of another part of the same load, by their names. Both have the same stages.
    pub fn add(&mut self, other: &Cells) {
        if self.places.is_empty() {
            self.stages = other.stages;
        }
        for (scenario, step) in other.places() {
            self.place(scenario, step);
        }
        for (key, theirs) in other.iter() {
            let place = self.place(key.scenario, key.step);
            if let Some(ours) = self.entry(place, key.stage, key.turn) {
                ours.add(theirs);
            }
        }
    }
}

impl PartialEq for Cells {
    /// Same steps in the same order, same contents; whether an empty cell was ever touched does not matter.
    fn eq(&self, other: &Cells) -> bool {
        self.stages == other.stages && self.places == other.places && self.iter().eq(other.iter())
    }
}
