//! The emulated versions behave as the real ones were measured, rule by rule.
//!
//! `tests/data/agreement.json` says of every rule what Dify 0.15.3 and 1.12.1 do: `conforms`, `deviates`, `not-offered` or
//! `not-observable`, and one word on how that is known: `captured` (in `tests/captures`, or in recordings beside them),
//! `probed` (asked of a running server), `absent` (the version lacks the feature), `unequipped` (the server at hand had no
//! app for it).

use difyprobe::client::Options;
use difyprobe::emulator::{self, Config};
use difyprobe::flow::Sink;
use difyprobe::model::{Outcome, Transcript};
use difyprobe::profile::Profile;
use difyprobe::rules::judge::{Judgement, Planned, judge};
use difyprobe::suite::matrix::keys_of;
use difyprobe::suite::{Choice, Examination, Request, builtin, prepare};
use std::collections::BTreeMap;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Where verdict and measurement differ, with what stands here and why.
const EXCEPTIONS: &[(&str, &str, Outcome, &str)] = &[
    (
        "dify-1.12",
        "annotation.list.cap",
        Outcome::KnownDeviation,
        "the cap of 100 holds; `has_more`, which the rule looks at too, was seen false with rows left",
    ),
    (
        "dify-1.12",
        "usage.latency",
        Outcome::Pass,
        "the measured deviation compares two clocks of a chatflow, which the rule leaves out since",
    ),
    (
        "dify-0.15",
        "chatflow.workflow-run-linked",
        Outcome::Pass,
        "the detail of a chatflow's run is not offered, the ids of its events are and agree",
    ),
    (
        "dify-0.15",
        "workflow.run-detail",
        Outcome::KnownDeviation,
        "holds for workflow apps, of which it was measured; the rule also asks with the key of a chatflow, which is refused",
    ),
    (
        "dify-0.15",
        "variables.persist-across-turns",
        Outcome::NotApplicable,
        "seen in the answers of one app that repeats its variable; the version has no operation to read variables",
    ),
];

/// Incomplete recordings made of each run.
const ROUNDS: usize = 6;

/// Rule id -> version -> `verdict evidence`.
fn measured() -> BTreeMap<String, BTreeMap<String, String>> {
    serde_json::from_str(include_str!("../data/agreement.json")).expect("the table can be read")
}

/// Runs the whole suite on an emulated version with an app of every mode.
async fn examined(version: emulator::Profile, slow: bool) -> Examination {
    let turns_at_once = Some(emulator::TURNS_AT_ONCE);
    let config = Config { profile: version, seed: 11, turns_at_once, ..Config::default() };
    let server = emulator::start(config).await.expect("an emulator");
    let request = Request {
        base_url: server.base_url(),
        keys: keys_of(&server),
        profile: Profile::by_id(version.id()),
        choice: Choice {
            scenarios: builtin::conformance().expect("clean"),
            slow,
            whole_suite: true,
            ..Choice::default()
        },
        seed: 11,
        run_id: None,
        keep: false,
        think: false,
        client: Options { epoch: Instant::now(), max_in_flight: 64, ..Options::default() },
        at_once: 0,
        stop: CancellationToken::new(),
    };
    let run = prepare(request, Sink::collect()).await.expect("discovery").run().await.expect("a run");
    server.stop().await;
    run
}

async fn judgements(version: emulator::Profile) -> Vec<Judgement> {
    let run = examined(version, true).await;
    judge(&run.transcript, run.profile.0, &|rule, app| run.selection.planned(rule, app, &run.runs))
}

/// What disagrees, one line per rule.
fn disagreements(version: &str, judgements: &[Judgement]) -> Vec<String> {
    let measured = measured();
    let mut lines = Vec::new();
    for judgement in judgements {
        let id = judgement.rule.id;
        let Some(real) = measured.get(id).and_then(|row| row.get(version)) else {
            lines.push(format!("{id}: nobody measured it"));
            continue;
        };
        let verdict = real.split(' ').next().unwrap_or_default();
        let exception = EXCEPTIONS.iter().find(|(v, rule, ..)| *v == version && *rule == id);
        let agrees = match (exception, verdict) {
            (Some((_, _, outcome, _)), _) => judgement.outcome == *outcome,
            (None, "conforms") => judgement.outcome == Outcome::Pass,
            (None, "deviates") => judgement.outcome == Outcome::KnownDeviation,
            (None, "not-offered") => judgement.outcome == Outcome::NotApplicable,
            // The emulator has apps that the measured servers lacked.
            (None, "not-observable") => matches!(judgement.outcome, Outcome::Pass | Outcome::NotApplicable),
            _ => false,
        };
        if !agrees {
            let (outcome, reason) = (judgement.outcome, &judgement.reason);
            let first = judgement.findings.first().map(|f| &f.message);
            let reason = format!("{reason:?} {:?}", judgement.apps);
            lines.push(format!("{id}: measured {real}, judged {outcome:?} {reason} {first:?}"));
        }
    }
    lines
}

/// Exceptions that are none, because the verdict is what was measured.
fn needless(version: &str) -> Vec<&'static str> {
    let measured = measured();
    let same = |rule: &str, outcome: Outcome| {
        let real =
            measured.get(rule).and_then(|row| row.get(version)).map_or("", |r| r.split(' ').next().unwrap_or(""));
        matches!(
            (real, outcome),
            ("conforms", Outcome::Pass)
                | ("deviates", Outcome::KnownDeviation)
                | ("not-offered", Outcome::NotApplicable)
                | ("not-observable" | "", _)
        )
    };
    EXCEPTIONS.iter().filter(|(v, rule, outcome, _)| *v == version && same(rule, *outcome)).map(|e| e.1).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_emulated_versions_get_the_verdicts_of_the_real_ones() {
    let old = tokio::spawn(judgements(emulator::Profile::Dify015));
    let new = tokio::spawn(judgements(emulator::Profile::Dify112));
    let (old, new) = (old.await.expect("0.15"), new.await.expect("1.12"));
    assert_eq!(disagreements("dify-0.15", &old), [] as [String; 0]);
    assert_eq!(disagreements("dify-1.12", &new), [] as [String; 0]);
}

#[test]
fn every_exception_is_one() {
    for version in ["dify-0.15", "dify-1.12"] {
        assert_eq!(needless(version), [] as [&str; 0], "{version}");
    }
}

/// Recordings with parts of an examination missing, as one that was made of somebody else's traffic.
async fn news_of_parts(version: emulator::Profile) -> Vec<String> {
    let run = examined(version, false).await;
    let profile = run.profile.0;
    let whole = Transcript { complete: false, ..run.transcript };
    let mut random = fastrand::Rng::with_seed(5);
    let mut news = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut part = whole.clone();
        match round % 3 {
            0 => part.exchanges.retain(|_| random.bool()),
            1 => part.exchanges.retain(|_| random.u8(..10) > 0),
            _ => part.exchanges.truncate(random.usize(..whole.exchanges.len())),
        }
        for finding in judge(&part, profile, &|_, _| Planned::No(String::new())).iter().flat_map(|j| &j.findings) {
            if finding.outcome != Outcome::KnownDeviation {
                let steps = finding.exchanges.iter().filter_map(|id| whole.exchange(*id)).map(|e| &e.origin.step);
                let place = format!("{} {:?}", finding.message, steps.collect::<Vec<_>>());
                news.insert((finding.rule.clone(), finding.check.clone()), place);
            }
        }
    }
    news.into_iter().map(|((rule, check), place)| format!("{rule}/{check}: {place}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_with_gaps_shows_nothing_that_the_whole_does_not() {
    let mut news = BTreeMap::new();
    for version in emulator::Profile::ALL {
        news.insert(version.id(), news_of_parts(version).await);
    }
    assert!(news.values().all(Vec::is_empty), "{news:#?}");
}
