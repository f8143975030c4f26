//! The rules over transcripts of real servers: exactly the deviations that are known, and nothing else.

use difyprobe::model::{App, ControlKind, InputField, Outcome, Transcript};
use difyprobe::profile::Profile;
use difyprobe::rules::judge::{Judgement, Planned, judge};
use difyprobe::store;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Found = BTreeMap<String, BTreeSet<String>>;

/// Incomplete recordings made of each version's.
const ROUNDS: usize = 240;

/// The versions recorded, with their profiles.
const RECORDED: [(&str, &str); 2] = [("1.12.1", "dify-1.12"), ("0.15.3", "dify-0.15")];

fn captures() -> Vec<Transcript> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    store::load_transcripts(&[folder]).expect("the captures can be read")
}

fn of_version(version: &str) -> Transcript {
    let fits = |t: &Transcript| t.apps.iter().any(|a| a.server_version.as_deref() == Some(version));
    captures().into_iter().find(fits).expect("captures of this version")
}

fn judged(transcript: &Transcript, profile: &str) -> Vec<Judgement> {
    let profile = Profile::by_id(profile).expect("a profile");
    judge(transcript, profile, &|_, _| Planned::No("captures".to_owned()))
}

/// `rule -> checks` of everything that is not a pass, by outcome, and how many rules were judged.
fn findings(version: &str, profile: &str) -> (BTreeMap<Outcome, Found>, usize) {
    let judgements = judged(&of_version(version), profile);
    let mut found: BTreeMap<Outcome, Found> = BTreeMap::new();
    for finding in judgements.iter().flat_map(|j| &j.findings) {
        let checks = found.entry(finding.outcome).or_default().entry(finding.rule.clone()).or_default();
        checks.insert(finding.check.clone());
    }
    (found, judgements.iter().filter(|j| j.judged > 0).count())
}

/// Gives an app whose form nobody read the form that its accepted requests fit.
fn tell_form(app: &mut App, whole: &Transcript) {
    if app.form_known {
        return;
    }
    app.form_known = true;
    let mine = whole.exchanges.iter().filter(|e| e.app == app.label && e.status() == 200);
    let bodies = mine.filter_map(|e| serde_json::from_slice::<Value>(&e.request.body.as_ref()?.bytes()).ok());
    let inputs: Vec<_> = bodies.filter_map(|b| b.get("inputs")?.as_object().cloned()).collect();
    for (variable, value) in inputs.iter().flatten() {
        if !app.inputs.iter().any(|f| f.variable == *variable) {
            let kind = if value.is_number() { ControlKind::Number } else { ControlKind::Paragraph };
            let (required, max_length) = (inputs.iter().all(|i| i.contains_key(variable)), None);
            let variable = variable.clone();
            app.inputs.push(InputField { variable, kind, required, max_length, options: Vec::new(), default: None });
        }
    }
}

/// Rule and check of every finding.
fn checks(judgements: &[Judgement]) -> Vec<(String, String)> {
    judgements.iter().flat_map(|j| &j.findings).map(|f| (f.rule.clone(), f.check.clone())).collect()
}

fn expected(rows: &[(&str, &[&str])]) -> Found {
    rows.iter().map(|(rule, checks)| (rule.to_string(), checks.iter().map(|c| c.to_string()).collect())).collect()
}

#[test]
fn dify_1_12_1_shows_exactly_its_known_deviations() {
    let (found, judged) = findings("1.12.1", "dify-1.12");
    let known = expected(&[
        // new inputs are applied and stored, in history, echo and validation
        ("chat.inputs.ignored-on-continuation", &["echo", "empty-inputs", "stored"]),
        // DELETE by another user
        ("chat.isolation.user-delete", &["gone", "status"]),
        ("conversations.delete", &["second-delete"]),
        // `unknown` for unhandled 500s, `bad_request_key_error` for a missing multipart file
        ("error.code.known", &["code"]),
        (
            "error.status.class",
            &["annotation-reply", "non-object-body", "odd-value", "rename", "run-detail", "variables"],
        ),
        // workflow_finished, then message_end
        ("chatflow.terminal.order", &["order"]),
        // every node has index 1
        ("workflow.node.index", &["increasing"]),
        // 200 with nulls
        ("workflow.run-detail.unknown-404", &["status"]),
        // `running` for ever
        ("stop.status.stopped", &["finished-at", "status"]),
        // 500 for a variable_name
        ("variables.errors", &["filter"]),
        // `[]` and `null` as body
        ("req.json.non-object", &["status"]),
        // no GET /v1/
        ("http.version-header", &["index"]),
        ("rate.429.too-many", &["code", "status"]),
    ]);
    assert_eq!(found, BTreeMap::from([(Outcome::KnownDeviation, known)]));
    assert!(judged >= 105, "{judged} rules judged");
}

#[test]
fn dify_0_15_3_shows_exactly_its_known_deviations() {
    let (found, judged) = findings("0.15.3", "dify-0.15");
    let known = expected(&[
        ("chat.inputs.applied-on-continuation", &["echo", "stored"]),
        ("conversations.delete", &["success-status"]),
        ("error.body.shape", &["status-member"]),
        ("chatflow.terminal.order", &["order"]),
        // "New conversation"
        ("chat.name.generated", &["prefix"]),
    ]);
    assert_eq!(found, BTreeMap::from([(Outcome::KnownDeviation, known)]));
    assert!(judged >= 62, "{judged} rules judged");
}

#[test]
fn the_documented_profile_calls_the_same_recordings_failures() {
    let (found, _) = findings("1.12.1", "documented");
    let failed: Vec<&str> = found[&Outcome::Fail].keys().map(String::as_str).collect();
    let expected = [
        "chat.inputs.ignored-on-continuation",
        "chat.isolation.user-delete",
        "conversations.delete",
        "rate.429.too-many",
        "workflow.run-detail.unknown-404",
    ];
    assert_eq!(failed, expected);
    let warned: Vec<&str> = found[&Outcome::Warn].keys().map(String::as_str).collect();
    let expected = [
        "chatflow.terminal.order",
        "error.code.known",
        "error.status.class",
        "http.version-header",
        "req.json.non-object",
        "stop.status.stopped",
        "variables.errors",
        "workflow.node.index",
    ];
    assert_eq!(warned, expected);
}

#[test]
fn recordings_with_gaps_show_nothing_new() {
    let mut random = fastrand::Rng::with_seed(20);
    for (version, profile) in RECORDED {
        let whole = of_version(version);
        let known: BTreeSet<(String, String)> = checks(&judged(&whole, profile)).into_iter().collect();
        let mut news = BTreeMap::new();
        for round in 0..ROUNDS {
            let mut part = whole.clone();
            if round % 2 == 1 {
                part.apps.iter_mut().for_each(|app| tell_form(app, &whole));
            }
            match round % 3 {
                0 => part.exchanges.retain(|_| random.bool()),
                1 => part.exchanges.retain(|_| random.u8(..10) > 0),
                _ => part.exchanges.truncate(random.usize(..whole.exchanges.len())),
            }
            for judgement in judged(&part, profile) {
                for finding in judgement.findings {
                    let check = (finding.rule.clone(), finding.check.clone());
                    if !known.contains(&check) {
                        let at: Vec<&str> = finding
                            .exchanges
                            .iter()
                            .filter_map(|id| whole.exchange(*id))
                            .map(|e| e.origin.file.rsplit_once("captures/").map_or("", |f| f.1))
                            .collect();
                        news.insert(check, format!("{} {at:?}", finding.message));
                    }
                }
            }
        }
        assert!(news.is_empty(), "{version}: {news:#?}");
    }
}

/// Rules that no capture says anything about, and why: the rest of the captures is too little for them.
const NEVER_JUDGED: &[(&str, &[&str])] = &[
    (
        "the versions do not have it",
        &[
            "agent.stream.grammar.new-agent",
            "chatflow.paused",
            "end-user.lookup",
            "hitl.form",
            "hitl.required-event",
            "hitl.resume",
            "hitl.submit-once",
            "workflow.events.resume",
        ],
    ),
    (
        "no app at hand was set up for it",
        &[
            "annotation.reply",
            "req.input.default-applied",
            "sse.message-replace",
            "sse.tts",
            "workflow.iteration.grammar",
        ],
    ),
    (
        "nothing of it was recorded",
        &[
            "agent.message-file",
            "auth.key-not-accepted-elsewhere",
            "auth.precedes-validation",
            "auth.scheme.case-insensitive",
            "auth.wrong-key-type.401",
            "chat.auto-name-first-turn-only",
            "chatflow.failure.blocking",
            "chatflow.failure.sequence",
            "completion.parity",
            "concurrency.end-user-race",
            "concurrency.parallel-new",
            "files.owner-only",
            "http.cors",
            "req.large-body",
            "req.wrong-mode.workflow",
            "stop.scope",
            "stop.then-continue",
            "stop.wrong-user-noop",
        ],
    ),
    (
        "one half was recorded: what was made, or what was read of it",
        &[
            "conversations.rename",
            "conversations.rename.auto",
            "feedback.errors",
            "feedback.roundtrip",
            "req.input.undeclared-dropped",
            "req.unicode-roundtrip",
            "suggested.errors",
        ],
    ),
    ("needs a complete recording", &["auth.no-side-effect", "conversations.list.complete"]),
    (
        "needs streams longer than those recorded, or more runs of one workflow",
        &["sse.incremental", "workflow.outputs.echo"],
    ),
];

#[test]
fn every_rule_is_judged_by_some_capture_unless_a_reason_is_known() {
    let mut judgements: BTreeMap<&str, u64> = BTreeMap::new();
    for (version, profile) in RECORDED {
        for judgement in judged(&of_version(version), profile) {
            *judgements.entry(judgement.rule.id).or_default() += judgement.judged;
        }
    }
    let never: BTreeSet<&str> = judgements.into_iter().filter(|(_, n)| *n == 0).map(|(id, _)| id).collect();
    let listed: BTreeSet<&str> = NEVER_JUDGED.iter().flat_map(|(_, rules)| rules.iter().copied()).collect();
    assert_eq!(never, listed);
}
