//! What the live view shows: the state of a load at one moment, its recent past, and both as one plain line.

use crate::metrics::summary::{SloResult, SloState};
use crate::report::escape;
use crate::report::load_view::{clock, money, percent, red, value};
use crate::report::units;
use std::collections::VecDeque;

/// A load at one moment. Counts are of the whole run so far, drain and warm-up included; texts are raw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveSnapshot {
    /// Id of the load.
    pub id: String,
    /// Seconds since the start of the schedule.
    pub elapsed_s: f64,
    /// Length of the schedule in seconds; `None` where it is open.
    pub total_s: Option<f64>,
    /// Label of the stage under way; `drain` behind the last one.
    pub stage: String,
    /// Number of that stage from 1, and how many there are.
    pub stage_of: (usize, usize),
    /// Whether the stage is measured.
    pub measured: bool,
    /// What the schedule asks for now: arrivals per second, or users.
    pub target: Option<f64>,
    /// `target` is a number of users.
    pub closed: bool,
    /// Scenarios begun.
    pub begun: u64,
    /// Arrivals dropped.
    pub dropped: u64,
    /// Generation requests sent.
    pub requests: u64,
    /// Those that ended correctly.
    pub ok: u64,
    /// Those that failed, by class.
    pub failures: Vec<(String, u64)>,
    /// Requests under way.
    pub in_flight: u64,
    /// Streams open.
    pub open_streams: u64,
    /// Requests that ended correctly in the last second.
    pub req_per_s: f64,
    /// Name of the response time: `e2e_sched`, or `e2e` in a closed load.
    pub metric: &'static str,
    /// p50, p95, p99 of `metric` over the last 10 s, in microseconds.
    pub e2e_us: [Option<u64>; 3],
    /// p50 and p95 of `ttft` over the last 10 s, in microseconds.
    pub ttft_us: [Option<u64>; 2],
    /// Completion tokens used up.
    pub tokens: u64,
    /// Tokens that end the run.
    pub token_budget: Option<u64>,
    /// Price so far, one entry per currency.
    pub costs: Vec<Cost>,
    /// CPU of this process as a share of all cores over the last second, 0 to 1.
    pub client_cpu: f64,
    /// 99th percentile of the lateness of sends, in microseconds.
    pub lag_p99_us: Option<u64>,
    /// Objectives as far as they can be told.
    pub slos: Vec<SloResult>,
    /// Violations of rules so far.
    pub findings: u64,
    /// Why the run is ending.
    pub ending: Option<String>,
}

/// Price in one currency, in units of 1e-9 of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// ISO code as the server sends it; raw.
    pub currency: String,
    /// Used up.
    pub spent: u64,
    /// What ends the run.
    pub budget: Option<u64>,
}

impl LiveSnapshot {
    /// Failed requests of all classes.
    pub fn failed(&self) -> u64 {
        self.failures.iter().map(|(_, n)| n).sum()
    }

    /// Objectives that are missed so far.
    pub fn missed(&self) -> usize {
        self.slos.iter().filter(|s| red(s) && s.state == SloState::Missed).count()
    }

    /// How far the schedule is, 0 to 1.
    pub fn progress(&self) -> Option<f64> {
        let share = self.elapsed_s / self.total_s.filter(|t| *t > 0.0)?;
        share.is_finite().then(|| share.clamp(0.0, 1.0))
    }

    /// `1:23 of 4:00`
    pub fn times(&self) -> String {
        let at = |s: f64| clock(s.clamp(0.0, f64::from(u32::MAX)) as u32);
        let total = self.total_s.filter(|t| t.is_finite()).map(|t| format!(" of {}", at(t))).unwrap_or_default();
        format!("{}{total}", at(self.elapsed_s))
    }

    /// `burst (3 of 4)`; escaped.
    pub fn stage_text(&self) -> String {
        let (at, all) = self.stage_of;
        let place = if all > 1 && at > 0 { format!(" ({at} of {all})") } else { String::new() };
        let note = if self.measured { "" } else { ", not measured" };
        match self.stage.as_str() {
            "" => String::new(),
            stage => format!("{}{place}{note}", escape::terminal(&escape::clip(stage, 60))),
        }
    }

    /// `60 /s` or `25 users`; empty where nothing is asked for.
    pub fn target_text(&self) -> String {
        match (self.target, self.closed) {
            (None, _) => String::new(),
            (Some(users), true) => format!("{users:.0} users"),
            (Some(rate), false) => value(rate, "/s"),
        }
    }

    /// `2.00 USD of 5.00 USD (40 %)` per currency; escaped.
    pub fn cost_text(&self) -> String {
        let cost = |cost: &Cost| {
            let spent = money(cost.spent, &cost.currency);
            match cost.budget {
                Some(budget) if budget > 0 => format!(
                    "{spent} of {} ({})",
                    money(budget, &cost.currency),
                    percent(cost.spent as f64 / budget as f64)
                ),
                _ => spent,
            }
        };
        escape::terminal(&escape::clip(&self.costs.iter().map(cost).collect::<Vec<_>>().join(", "), 200))
    }
}

/// p50, p95 ... as `320/1440 ms`; `-` where there are none.
pub fn times_text(us: &[Option<u64>]) -> String {
    let texts: Vec<_> = us.iter().map(|us| us.map_or("-".to_owned(), units::ms)).collect();
    if us.iter().all(Option::is_none) { "-".to_owned() } else { format!("{} ms", texts.join("/")) }
}

/// Everything that matters on one line, for logs and terminals without a screen.
pub fn line(now: &LiveSnapshot) -> String {
    let mut parts = vec![now.times()];
    let stage = match (now.stage_text(), now.target_text()) {
        (stage, target) if stage.is_empty() => target,
        (stage, target) if target.is_empty() => stage,
        (stage, target) => format!("{stage} at {target}"),
    };
    parts.extend(Some(stage).filter(|s| !s.is_empty()));
    parts.push(format!("{} req/s", value(now.req_per_s, "")));
    parts.push(format!("{} ok", now.ok));
    if now.failed() > 0 {
        parts.push(format!("{} failed ({})", now.failed(), percent(now.failed() as f64 / now.requests.max(1) as f64)));
    }
    if now.dropped > 0 {
        parts.push(format!("{} dropped", now.dropped));
    }
    parts.push(format!("{} under way ({} streams)", now.in_flight, now.open_streams));
    if now.ttft_us.iter().any(Option::is_some) {
        parts.push(format!("ttft p50/p95 {}", times_text(&now.ttft_us)));
    }
    if now.e2e_us.iter().any(Option::is_some) {
        parts.push(format!("{} p50/p95/p99 {}", now.metric, times_text(&now.e2e_us)));
    }
    if now.costs.iter().any(|c| c.spent > 0) {
        parts.push(now.cost_text());
    }
    if now.missed() > 0 {
        parts.push(format!("{} missed", units::count(now.missed() as u64, "objective")));
    }
    if now.findings > 0 {
        parts.push(units::count(now.findings, "finding"));
    }
    if let Some(why) = &now.ending {
        parts.push(format!("ending: {}", escape::terminal(&escape::clip(why, 120))));
    }
    parts.join(", ")
}

/// What the last minutes were like, one value per second.
#[derive(Default)]
pub struct History {
    last: Option<u64>,
    /// Requests that ended correctly.
    pub rate: VecDeque<Option<u64>>,
    /// p95 of `ttft`, or of the response time where there is none, in milliseconds.
    pub latency: VecDeque<Option<u64>>,
    /// Open streams.
    pub streams: VecDeque<Option<u64>>,
}

impl History {
    /// Seconds that are kept: more than a screen is wide.
    const SECONDS: usize = 400;

    /// Takes a moment down; several of one second count once.
    pub fn push(&mut self, now: &LiveSnapshot) {
        let second = now.elapsed_s.max(0.0) as u64;
        if self.last.is_some_and(|last| second <= last) {
            return;
        }
        self.last = Some(second);
        let latency = now.ttft_us[1].or(now.e2e_us[1]).map(|us| us / 1000);
        let values = [Some(now.req_per_s.max(0.0).round() as u64), latency, Some(now.open_streams)];
        for (past, value) in [&mut self.rate, &mut self.latency, &mut self.streams].into_iter().zip(values) {
            past.push_back(value);
            if past.len() > History::SECONDS {
                past.pop_front();
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A load in its burst.
    pub fn busy(elapsed_s: f64) -> LiveSnapshot {
        let slo = |text: &str, state, value, margin| SloResult {
            text: text.into(),
            value: Some(value),
            limit: 800.0,
            unit: "ms".into(),
            margin: Some(margin),
            state,
            ..SloResult::default()
        };
        LiveSnapshot {
            id: "evening-peak".into(),
            elapsed_s,
            total_s: Some(240.0),
            stage: "burst".into(),
            stage_of: (3, 4),
            measured: true,
            target: Some(60.0),
            begun: 3210,
            dropped: 12,
            requests: 8_412,
            ok: 8_001,
            failures: vec![("http_429".into(), 199), ("timeout".into(), 12)],
            in_flight: 230,
            open_streams: 212,
            req_per_s: 52.4,
            metric: "e2e_sched",
            e2e_us: [Some(1_350_000), Some(2_446_000), Some(3_318_000)],
            ttft_us: [Some(320_000), Some(1_440_000)],
            tokens: 661_789,
            token_budget: Some(1_000_000),
            costs: vec![Cost { currency: "USD".into(), spent: 1_996_200_000, budget: Some(5_000_000_000) }],
            client_cpu: 0.172,
            lag_p99_us: Some(3_120),
            slos: vec![
                slo("ttft p(95) < 800ms", SloState::Missed, 1_440.0, -0.8),
                slo("icl p(99) < 500ms", SloState::Met, 212.0, 0.58),
            ],
            findings: 1,
            ..LiveSnapshot::default()
        }
    }

    #[test]
    fn one_line_tells_everything_that_matters() {
        assert_eq!(
            line(&busy(151.0)),
            "2:31 of 4:00, burst (3 of 4) at 60.0 /s, 52.4 req/s, 8001 ok, 211 failed (2.5 %), 12 dropped, 230 under way \
             (212 streams), ttft p50/p95 320/1440 ms, e2e_sched p50/p95/p99 1350/2446/3318 ms, 2.00 USD of 5.00 USD (40 %), \
             1 objective missed, 1 finding"
        );
    }

    #[test]
    fn a_line_leaves_out_what_is_not_there_and_shows_no_control_characters() {
        let calm = LiveSnapshot { closed: true, target: Some(25.0), measured: true, ..LiveSnapshot::default() };
        assert_eq!(line(&calm), "0:00, 25 users, 0 req/s, 0 ok, 0 under way (0 streams)");
        let hostile = LiveSnapshot {
            stage: "\u{1b}[2J".into(),
            ending: Some("\u{202e}\n".into()),
            costs: vec![Cost { currency: "\u{7}".into(), spent: 1, budget: Some(0) }],
            ..calm
        };
        assert!(!line(&hostile).chars().any(|c| c.is_control() || c == '\u{202e}'));
    }

    #[test]
    fn history_keeps_one_value_per_second_and_forgets_the_oldest() {
        let mut past = History::default();
        for tenth in 0..10_000 {
            past.push(&busy(f64::from(tenth) / 10.0));
        }
        assert_eq!((past.rate.len(), past.latency.len(), past.streams.len()), (400, 400, 400));
        assert_eq!(past.latency.back(), Some(&Some(1_440)));
        let mut past = History::default();
        (0..25).for_each(|tenth| past.push(&busy(f64::from(tenth) / 10.0)));
        assert_eq!(past.rate.len(), 3);
    }
}
