//! What happened in single seconds, handed over while the load goes on.

use super::cells::{Times, by_name};
use super::summary::Second;
use super::{Counts, FailureClass, Metric, Sample};
use std::collections::BTreeMap;

/// What a recorder knows of one second. Adding two is exact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
    /// Scenarios planned for this second.
    pub planned: u64,
    /// Scenarios begun.
    pub begun: u64,
    /// Arrivals dropped.
    pub dropped: u64,
    /// Generation requests sent.
    pub sent: u64,
    /// Largest lateness of a send, in microseconds.
    pub lag_max_us: Option<u64>,
    /// Requests that ended correctly.
    pub ok: u64,
    /// Requests that ended in a failure, by place in [`FailureClass::ALL`].
    pub failures: [u64; FailureClass::ALL.len()],
    /// Events of the requests that ended.
    pub events: u64,
    /// Completion tokens of the same.
    pub completion_tokens: u64,
    /// Times of measured requests that ended, by scenario: place in [`Interval::scenarios`].
    pub measured: Vec<Times>,
    /// Times of requests that ended and belong to a warm-up or the drain.
    pub unmeasured: Times,
}

impl Moment {
    /// Where to record times: of a scenario, or, without one, of what is not measured.
    pub fn times(&mut self, scenario: Option<usize>) -> &mut Times {
        let Some(scenario) = scenario else { return &mut self.unmeasured };
        if self.measured.len() <= scenario {
            self.measured.resize(scenario + 1, Times::default());
        }
        &mut self.measured[scenario]
    }

    /// The measured times of all scenarios.
    pub fn all_measured(&self) -> Times {
        let mut sum = Times::default();
        self.measured.iter().for_each(|times| sum.add(times));
        sum
    }

    /// Counts a request that ended in this second; `scenario` where it is measured.
    pub(super) fn ended(&mut self, sample: &Sample, scenario: Option<usize>) {
        match sample.outcome {
            Ok(()) => {
                self.ok += 1;
                let tokens = sample.completion_tokens.unwrap_or(0);
                self.completion_tokens = self.completion_tokens.saturating_add(tokens);
            }
            Err(class) => self.failures[class as usize] += 1,
        }
        self.events += sample.events;
        self.times(scenario).record(sample);
    }

    /// Counts a request that was sent in this second.
    pub(super) fn sent(&mut self, lag_us: Option<u64>) {
        self.sent += 1;
        self.lag_max_us = self.lag_max_us.max(lag_us);
    }

    /// Adds another view of the same second; `scenarios` says where its scenarios are in this one.
    fn add(&mut self, other: &Moment, scenarios: &[usize]) {
        self.planned += other.planned;
        self.begun += other.begun;
        self.dropped += other.dropped;
        self.sent += other.sent;
        self.lag_max_us = self.lag_max_us.max(other.lag_max_us);
        self.ok += other.ok;
        self.failures.iter_mut().zip(&other.failures).for_each(|(a, b)| *a += b);
        self.events += other.events;
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        for (times, at) in other.measured.iter().zip(scenarios) {
            self.times(Some(*at)).add(times);
        }
        self.unmeasured.add(&other.unmeasured);
    }
}

/// Seconds that are over, with what became known of earlier ones since (requests that were sent in them and ended now).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    /// Scenario ids, in the order that [`Moment::measured`] has them.
    pub scenarios: Vec<String>,
    /// By second since the start of the schedule.
    pub seconds: BTreeMap<u32, Moment>,
}

impl Interval {
    /// The place of a scenario; a new one where it was not named before.
    pub fn scenario(&mut self, id: &str) -> usize {
        self.scenarios.iter().position(|known| known == id).unwrap_or_else(|| {
            self.scenarios.push(id.to_owned());
            self.scenarios.len() - 1
        })
    }

    /// Adds what another recorder saw, or what a log says. A scenario without a name, as logs of loads with one scenario have
    /// it, is the one that is known here.
    pub fn add(&mut self, other: &Interval) {
        let only = self.scenarios.len() == 1;
        let place = |id: &String| if only && id.is_empty() { 0 } else { self.scenario(id) };
        let at: Vec<usize> = other.scenarios.iter().map(place).collect();
        for (second, moment) in &other.seconds {
            self.seconds.entry(*second).or_default().add(moment, &at);
        }
    }
}

/// State of the generator at the end of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MachineSecond {
    /// Second since the start of the schedule.
    pub t: u32,
    /// CPU of this process as a share of all cores, 0 to 1.
    pub cpu: f64,
    /// Resident memory in bytes.
    pub rss: u64,
    /// Open file descriptors.
    pub fds: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Streams open.
    pub open_streams: u64,
}

/// The seconds of a load as points of a curve; a few hundred bytes each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    open: bool,
    seconds: BTreeMap<u32, Second>,
    fds_max: u64,
}

impl Timeline {
    /// An empty one. `open` says that latencies count from the planned send (`e2e_sched`).
    pub fn new(open: bool) -> Timeline {
        Timeline { open, ..Timeline::default() }
    }

    /// Adds seconds that are over. Histograms of one second must come in one interval: their percentiles are taken here.
    pub fn add(&mut self, interval: &Interval) {
        for (t, moment) in &interval.seconds {
            let second = self.seconds.entry(*t).or_insert_with(|| Second { t: *t, ..Second::default() });
            second.planned += moment.planned;
            second.begun += moment.begun;
            second.dropped += moment.dropped;
            second.requests += moment.sent;
            second.lag_max_us = second.lag_max_us.max(moment.lag_max_us);
            second.ok += moment.ok;
            for (class, n) in by_name(&moment.failures) {
                *second.failures.entry(class).or_default() += n;
            }
            second.events += moment.events;
            second.completion_tokens = second.completion_tokens.saturating_add(moment.completion_tokens);
            percentiles(second, moment, self.open);
        }
    }

    /// Adds a second of another shard: counters add up, of CPU and memory the larger counts, and percentiles stay as they are:
    /// they come from histograms alone.
    pub fn add_second(&mut self, seen: &Second) {
        let second = self.seconds.entry(seen.t).or_insert_with(|| Second { t: seen.t, ..Second::default() });
        second.planned += seen.planned;
        second.begun += seen.begun;
        second.dropped += seen.dropped;
        second.requests += seen.requests;
        second.lag_max_us = second.lag_max_us.max(seen.lag_max_us);
        second.ok += seen.ok;
        for (class, n) in &seen.failures {
            *second.failures.entry(class.clone()).or_default() += n;
        }
        second.events += seen.events;
        second.completion_tokens = second.completion_tokens.saturating_add(seen.completion_tokens);
        second.in_flight += seen.in_flight;
        second.open_streams += seen.open_streams;
        second.client_cpu = second.client_cpu.max(seen.client_cpu);
        second.rss = second.rss.max(seen.rss);
    }

    /// Adds the state of the generator.
    pub fn machine(&mut self, seen: &MachineSecond) {
        let second = self.seconds.entry(seen.t).or_insert_with(|| Second { t: seen.t, ..Second::default() });
        self.fds_max = self.fds_max.max(seen.fds);
        second.client_cpu = seen.cpu;
        second.rss = seen.rss;
        second.in_flight = seen.in_flight;
        second.open_streams = seen.open_streams;
    }

    /// Most file descriptors that were open at the end of a second.
    pub fn fds_max(&self) -> u64 {
        self.fds_max
    }

    /// What is known of a second.
    pub fn second(&self, t: u32) -> Option<&Second> {
        self.seconds.get(&t)
    }

    /// All seconds so far, ascending; those in which nothing happened may be missing.
    pub fn seconds(&self) -> impl DoubleEndedIterator<Item = &Second> {
        self.seconds.values()
    }
}

/// Percentiles of the correct requests of a second, warm-up and drain included.
fn percentiles(second: &mut Second, moment: &Moment, open: bool) {
    let both = |metric| {
        let parts = moment.measured.iter().chain([&moment.unmeasured]).filter_map(|times| times.get(metric));
        let mut sum = Counts::default();
        parts.for_each(|part| sum.add(part));
        Some(sum).filter(|sum| sum.n() > 0)
    };
    if let Some(times) = both(primary(open)) {
        second.p50_us = Some(times.quantile(0.5));
        second.p95_us = Some(times.quantile(0.95));
        second.p99_us = Some(times.quantile(0.99));
    }
    if let Some(times) = both(Metric::Ttft) {
        second.ttft_p50_us = Some(times.quantile(0.5));
        second.ttft_p95_us = Some(times.quantile(0.95));
    }
}

/// The latency that stands for a load: from the planned send under an open model, from the send otherwise.
pub fn primary(open: bool) -> Metric {
    if open { Metric::E2eSched } else { Metric::E2e }
}
