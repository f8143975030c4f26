//! Agents, chatflows and workflows of the emulator over HTTP, and the captured traffic of these apps sent again.

use std::collections::{BTreeMap, BTreeSet};

use difyprobe::emulator::{AppKind, Profile};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::emulator_replay::{Capture, Replay, captures};

/// The apps under the names they were captured with.
const KINDS: &[(&str, AppKind)] = &[
    ("agent", AppKind::AgentChat),
    ("chat", AppKind::Chat),
    ("chatflow", AppKind::AdvancedChat),
    ("workflow", AppKind::Workflow),
    ("workflow-llm", AppKind::WorkflowLlm),
];

/// Captures whose answers differ, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("workflow/61-run-detail-stopped-wrong-user", "the run is not among the captures"),
    ("workflow/68-client-disconnect-STREAM", "the captured client hung up after the first text_chunk"),
];

/// Captured streams that a request ended which was sent while they ran: after how many pieces of text, with whose key
/// and where.
const STOPPED: &[(&str, usize, &str, &str)] = &[
    ("agent/14-stop-target-STREAM", 2, "agent", "chat-messages"),
    ("workflow/57-stop-target-STREAM", 2, "workflow-llm", "workflows/tasks"),
    ("workflow/63-stop-other-app-target-STREAM", 2, "workflow", "workflows/tasks"),
];

fn offered(capture: &Capture) -> bool {
    capture.app().is_some_and(|app| KINDS.iter().any(|(name, _)| *name == app))
}

/// Sends a capture again and stops it after some pieces of text.
async fn play_stopped(
    replay: &mut Replay,
    capture: &Capture,
    pieces: usize,
    key: &str,
    path: &str,
) -> Result<(), String> {
    let answer = replay.request(capture).send().await.unwrap();
    let (status, media_type) = (answer.status(), answer.headers()["content-type"].to_str().unwrap().to_owned());
    let mut bytes = answer.bytes_stream();
    let mut text = String::new();
    let mut asked = false;
    while let Some(chunk) = bytes.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        let said =
            text.matches("\"event\":\"text_chunk\"").count() + text.matches("\"event\":\"agent_message\"").count();
        if said >= pieces && !std::mem::replace(&mut asked, true) {
            let event: Value =
                serde_json::from_str(text.lines().next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
            let url = replay.url(&format!("/v1/{path}/{}/stop", event["task_id"].as_str().unwrap()));
            let request = replay.client.post(url).bearer_auth(&replay.keys[key]).json(&json!({"user": "stopper"}));
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
    }
    replay.compare(capture, u64::from(status.as_u16()), &media_type, &text)
}

/// Replays folders; the captures that differ must be exactly those left out.
async fn replay(profile: Profile, folders: &[&str], wanted: fn(&Capture) -> bool) {
    let mut replay = Replay::new(profile, KINDS).await;
    let mut played = 0;
    let mut differing = BTreeMap::new();
    for capture in captures(folders).iter().filter(|capture| offered(capture) && wanted(capture)) {
        played += 1;
        let stop = STOPPED.iter().find(|(name, ..)| *name == capture.name);
        let compared = match stop {
            Some((_, pieces, key, path)) => play_stopped(&mut replay, capture, *pieces, key, path).await,
            None => replay.play(capture).await,
        };
        if let Err(difference) = compared {
            differing.insert(capture.name.clone(), difference);
        }
    }
    let in_folders = |name: &str| folders.iter().any(|folder| name.split('/').next() == Some(folder));
    let expected: BTreeSet<&str> = LEFT_OUT.iter().map(|(name, _)| *name).filter(|name| in_folders(name)).collect();
    let unexpected: Vec<_> = differing.iter().filter(|(name, _)| !expected.contains(name.as_str())).collect();
    let stale: Vec<_> = expected.iter().filter(|name| !differing.contains_key(**name)).collect();
    assert!(unexpected.is_empty(), "{} of {played} differ: {unexpected:#?}", unexpected.len());
    assert!(stale.is_empty(), "left out without need: {stale:?}");
    assert!(played > expected.len());
    replay.server.stop().await;
}

#[tokio::test]
async fn answers_of_other_modes_have_the_shape_of_captured_1_12_answers() {
    replay(Profile::Dify112, &["agent", "chatflow", "workflow"], |_| true).await;
    replay(Profile::Dify112, &["common"], |capture| capture.app() != Some("chat")).await;
}

#[tokio::test]
async fn answers_of_other_modes_have_the_shape_of_captured_0_15_answers() {
    replay(Profile::Dify015, &["v0153-chatflow", "v0153-workflow"], |_| true).await;
}
