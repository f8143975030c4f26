//! What a run means as a whole: verdict, exit code, counts.

use super::run::{BaselineResult, RuleResult, ScenarioResult, Summary, Verdict};
use super::units;
use crate::metrics::LoadSummary;
use crate::metrics::summary::{SloResult, SloState};
use crate::model::Outcome;
use std::collections::BTreeMap;

/// Exit code of a verdict.
pub fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Fail => 1,
        Verdict::Incomplete => 3,
        Verdict::Invalid => 4,
        Verdict::SloMissed => 5,
        Verdict::StaleBaseline => 7,
        Verdict::Error => 70,
        Verdict::Interrupted => 130,
    }
}

/// Verdict and process exit code of a run.
///
/// What weighs more comes first: interrupted, a fault of our own, a failure (under `strict` a known deviation is one),
/// incomplete. A run that judged nothing is incomplete: nothing ran is never green.
pub fn verdict(rules: &[RuleResult], scenarios: &[ScenarioResult], strict: bool, interrupted: bool) -> (Verdict, u8) {
    let outcomes = || rules.iter().map(|r| r.outcome).chain(scenarios.iter().map(|s| s.outcome));
    let any = |wanted: Outcome| outcomes().any(|o| o == wanted);
    let ran = scenarios.iter().any(|s| s.requests > 0 && matches!(s.outcome, Outcome::Pass | Outcome::Fail));
    let verdict = if interrupted {
        Verdict::Interrupted
    } else if any(Outcome::Error) {
        Verdict::Error
    } else if any(Outcome::Fail) || (strict && any(Outcome::KnownDeviation)) {
        Verdict::Fail
    } else if any(Outcome::CouldNotRun) || !(ran || rules.iter().any(|r| r.judged > 0)) {
        Verdict::Incomplete
    } else {
        Verdict::Pass
    };
    (verdict, exit_code(verdict))
}

/// The verdict with the baseline in view: out-of-date entries make a run red that would be green otherwise, and what is
/// red already keeps its own code.
pub fn with_baseline(verdict: Verdict, baseline: Option<&BaselineResult>) -> (Verdict, u8) {
    let stale = baseline.is_some_and(|b| b.entries.iter().any(|e| e.state.stale()));
    let verdict = if stale && verdict == Verdict::Pass { Verdict::StaleBaseline } else { verdict };
    (verdict, exit_code(verdict))
}

/// The verdict with the load in view. A run that judged and measured in good order is invalid where the generator was the
/// bottleneck, and red where an objective was missed or too many failures ended the run; what is red already keeps its own code. An objective on which
/// nothing was measured is no pass.
pub fn with_load(verdict: Verdict, load: &LoadSummary) -> (Verdict, u8) {
    let missed = |slos: &[SloResult]| slos.iter().any(|s| !s.advisory && s.state != SloState::Met);
    let verdict = match verdict {
        Verdict::Pass if missed(&load.validity) => Verdict::Invalid,
        Verdict::Pass if load.stopped || missed(&load.slos) => Verdict::SloMissed,
        other => other,
    };
    (verdict, exit_code(verdict))
}

/// The word that reports print for a verdict.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Incomplete => "INCOMPLETE",
        Verdict::Invalid => "INVALID",
        Verdict::SloMissed => "SLO MISSED",
        Verdict::StaleBaseline => "STALE BASELINE",
        Verdict::Error => "ERROR",
        Verdict::Interrupted => "INTERRUPTED",
    }
}

/// Counts and the line that closes a report. `requests` is the number sent over the whole run, `elapsed_ms` how long it
/// took.
pub fn summary(
    verdict: Verdict,
    rules: &[RuleResult],
    scenarios: &[ScenarioResult],
    requests: u64,
    elapsed_ms: u64,
) -> Summary {
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for rule in rules {
        *outcomes.entry(rule.outcome.as_str().to_owned()).or_default() += 1;
    }
    let of = |outcome: Outcome| outcomes.get(outcome.as_str()).copied().unwrap_or(0);
    let mut parts = vec![units::count(rules.len() as u64, "rule")];
    let counted = [
        (of(Outcome::Pass), "passed"),
        (of(Outcome::Fail), "failed"),
        (of(Outcome::Error), "in error"),
        (of(Outcome::KnownDeviation), "known deviations"),
        (of(Outcome::Known), "known by the baseline"),
        (of(Outcome::Warn), "warned"),
        (of(Outcome::CouldNotRun), "could not run"),
        (of(Outcome::NotApplicable), "not applicable"),
        (of(Outcome::Skipped), "not selected"),
    ];
    parts.extend(counted.iter().filter(|(n, _)| *n > 0).map(|(n, what)| match (*n, *what) {
        (1, "known deviations") => "1 known deviation".to_owned(),
        (n, what) => format!("{n} {what}"),
    }));
    let broken = scenarios.iter().filter(|s| s.outcome == Outcome::Fail).count() as u64;
    if broken > 0 {
        parts.push(format!("{} failed", units::count(broken, "scenario")));
    }
    parts.push(format!(
        "{} in {}",
        units::count(requests, "request"),
        units::duration(elapsed_ms.saturating_mul(1000))
    ));
    Summary {
        line: format!("{}: {}", word(verdict), parts.join(", ")),
        outcomes,
        requests,
        judged: rules.iter().map(|r| r.judged).sum(),
    }
}

/// As [`summary`], with the line of a load: how much was sent, what failed, what held.
pub fn summary_of_load(
    verdict: Verdict,
    rules: &[RuleResult],
    scenarios: &[ScenarioResult],
    requests: u64,
    elapsed_ms: u64,
    load: &LoadSummary,
) -> Summary {
    let mut parts = Vec::new();
    if let Some(whole) = load.groups.first() {
        let seconds = units::duration((load.measured_s * 1e6) as u64);
        parts.push(format!("{} in {seconds} measured", units::count(whole.requests, "request")));
        parts.push(format!("{:.1} good/s", whole.good_per_s));
        parts.push(format!("{} failed", whole.failed()));
    }
    let met = |slos: &[SloResult]| slos.iter().filter(|s| s.state == SloState::Met).count();
    if !load.slos.is_empty() {
        parts.push(format!("{} of {} met", met(&load.slos), units::count(load.slos.len() as u64, "objective")));
    }
    let broken = rules.iter().filter(|r| r.outcome == Outcome::Fail).count() as u64;
    parts.push(match broken {
        0 => format!("{} held", units::count(rules.len() as u64, "rule")),
        n => format!("{} failed", units::count(n, "rule")),
    });
    let summary = summary(verdict, rules, scenarios, requests, elapsed_ms);
    Summary { line: format!("{}: {}", word(verdict), parts.join(", ")), ..summary }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Level;

    fn rule(outcome: Outcome, judged: u64) -> RuleResult {
        RuleResult {
            id: "a.b".into(),
            area: "a".into(),
            level: Level::Must,
            title: String::new(),
            statement: String::new(),
            source: String::new(),
            outcome,
            reason: None,
            judged,
            apps: BTreeMap::new(),
            findings: Vec::new(),
        }
    }

    fn scenario(outcome: Outcome, requests: u64) -> ScenarioResult {
        ScenarioResult {
            id: "s".into(),
            title: String::new(),
            file: String::new(),
            app: "chat".into(),
            outcome,
            reason: None,
            failures: Vec::new(),
            cleanup_failures: Vec::new(),
            requests,
            elapsed_ms: 0,
        }
    }

    #[test]
    fn verdicts_and_exit_codes_by_table() {
        use Outcome::{CouldNotRun, Error, Fail, Known, KnownDeviation, NotApplicable, Pass, Skipped, Warn};
        type Case<'c> = (&'c [(Outcome, u64)], &'c [(Outcome, u64)], bool, bool, Verdict, u8);
        let cases: &[Case] = &[
            (&[(Pass, 1)], &[], false, false, Verdict::Pass, 0),
            (&[(Pass, 1), (Warn, 1), (NotApplicable, 0), (KnownDeviation, 1)], &[], false, false, Verdict::Pass, 0),
            (&[(Pass, 1), (KnownDeviation, 1)], &[], true, false, Verdict::Fail, 1),
            (&[(Pass, 1), (Warn, 1)], &[], true, false, Verdict::Pass, 0),
            (&[(Pass, 1), (Fail, 1)], &[], false, false, Verdict::Fail, 1),
            (&[(Pass, 1)], &[(Fail, 1)], false, false, Verdict::Fail, 1),
            (&[(Pass, 1)], &[(CouldNotRun, 0)], false, false, Verdict::Incomplete, 3),
            (&[(Pass, 1), (CouldNotRun, 0)], &[], false, false, Verdict::Incomplete, 3),
            (&[(Fail, 1), (CouldNotRun, 0)], &[], false, false, Verdict::Fail, 1),
            (&[(Error, 1), (Fail, 1), (CouldNotRun, 0)], &[], false, false, Verdict::Error, 70),
            (&[(Pass, 1)], &[(Error, 1)], false, false, Verdict::Error, 70),
            (&[(Error, 1), (Fail, 1)], &[], true, true, Verdict::Interrupted, 130),
            (&[], &[], false, true, Verdict::Interrupted, 130),
            (&[], &[], false, false, Verdict::Incomplete, 3),
            (&[(NotApplicable, 0)], &[], false, false, Verdict::Incomplete, 3),
            (&[(Skipped, 0)], &[], false, false, Verdict::Incomplete, 3),
            (&[(Known, 1), (Skipped, 0)], &[], false, false, Verdict::Pass, 0),
            (&[(Known, 1)], &[], true, false, Verdict::Pass, 0),
            (&[], &[(Pass, 3)], false, false, Verdict::Pass, 0),
            (&[], &[(Pass, 0)], false, false, Verdict::Incomplete, 3),
            (&[], &[(NotApplicable, 0)], false, false, Verdict::Incomplete, 3),
        ];
        for (i, (rules, scenarios, strict, interrupted, wanted, code)) in cases.iter().enumerate() {
            let rules: Vec<_> = rules.iter().map(|(o, n)| rule(*o, *n)).collect();
            let scenarios: Vec<_> = scenarios.iter().map(|(o, n)| scenario(*o, *n)).collect();
            assert_eq!(verdict(&rules, &scenarios, *strict, *interrupted), (*wanted, *code), "case {i}");
        }
    }

    #[test]
    fn a_stale_baseline_is_red_where_the_run_would_be_green_and_weighs_less_than_all_else() {
        use super::super::run::{EntryResult, EntryState};
        let entry = |state| EntryResult {
            rule: "a.b".into(),
            app: None,
            version: None,
            reason: "r".into(),
            expires: None,
            line: 3,
            state,
            message: String::new(),
        };
        let of = |state| BaselineResult { file: "b".into(), entries: vec![entry(state)], proposed: Vec::new() };
        for state in [EntryState::UnknownRule, EntryState::Unused, EntryState::Expired] {
            let stale = of(state);
            assert_eq!(with_baseline(Verdict::Pass, Some(&stale)), (Verdict::StaleBaseline, 7));
            for verdict in [Verdict::Fail, Verdict::Incomplete, Verdict::Error, Verdict::Interrupted] {
                assert_eq!(with_baseline(verdict, Some(&stale)), (verdict, exit_code(verdict)));
            }
        }
        for fine in [EntryState::Used, EntryState::Idle] {
            assert_eq!(with_baseline(Verdict::Pass, Some(&of(fine))), (Verdict::Pass, 0));
        }
        assert_eq!(with_baseline(Verdict::Pass, None), (Verdict::Pass, 0));
    }

    #[test]
    fn summary_names_the_verdict_the_counts_and_the_cost() {
        let rules = [rule(Outcome::Pass, 4), rule(Outcome::Fail, 2), rule(Outcome::KnownDeviation, 1)];
        let seen = summary(Verdict::Fail, &rules, &[scenario(Outcome::Fail, 1)], 12, 3_450);
        assert_eq!(
            seen.line,
            "FAIL: 3 rules, 1 passed, 1 failed, 1 known deviation, 1 scenario failed, 12 requests in 3.5 s"
        );
        assert_eq!((seen.judged, seen.requests, seen.outcomes.get("fail")), (7, 12, Some(&1)));
    }
}
