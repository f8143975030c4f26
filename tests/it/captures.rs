//! The rules over transcripts of real servers: exactly the deviations that are known, and nothing else.

use difyprobe::model::Outcome;
use difyprobe::profile::Profile;
use difyprobe::rules::judge::{Planned, judge};
use difyprobe::store;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Found = BTreeMap<String, BTreeSet<String>>;

fn captures() -> Vec<difyprobe::model::Transcript> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    store::load_transcripts(&[folder]).expect("the captures can be read")
}

/// `rule -> checks` of everything that is not a pass, by outcome, and how many rules were judged.
fn findings(version: &str, profile: &str) -> (BTreeMap<Outcome, Found>, usize) {
    let transcripts = captures();
    let of_version =
        |t: &&difyprobe::model::Transcript| t.apps.iter().any(|a| a.server_version.as_deref() == Some(version));
    let transcript = transcripts.iter().find(of_version).expect("captures of this version");
    let profile = Profile::by_id(profile).expect("a profile");
    let judgements = judge(transcript, profile, &|_, _| Planned::No("captures".to_owned()));
    let mut found: BTreeMap<Outcome, Found> = BTreeMap::new();
    for finding in judgements.iter().flat_map(|j| &j.findings) {
        let checks = found.entry(finding.outcome).or_default().entry(finding.rule.clone()).or_default();
        checks.insert(finding.check.clone());
    }
    (found, judgements.iter().filter(|j| j.judged > 0).count())
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
