//! Blocking and streaming answers of one deterministic app, compared.

use super::echo::needs_echo;
use super::notes::Notes;
use super::run::Run;
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, Endpoint};
use serde_json::Value;
use std::collections::HashMap;

/// What decides the answer of a deterministic app on a first turn.
fn question(s: &Seen) -> String {
    let inputs = s.sent.member("inputs").map(Value::to_string);
    format!("{inputs:?} {:?}", s.sent.query())
}

/// The calls by what they asked, those of one question in their order.
fn by_question<'c, 't>(calls: &[&'c Seen<'t>]) -> HashMap<String, Vec<&'c Seen<'t>>> {
    let mut groups: HashMap<String, Vec<&Seen>> = HashMap::new();
    calls.iter().for_each(|call| groups.entry(question(call)).or_default().push(call));
    groups
}

/// Compares every streamed answer with a blocking one to the same question, where the app showed to be deterministic by
/// giving two equal answers to one question in one mode.
pub(super) fn judge(run: &Run, app: &App, endpoint: Endpoint, n: &mut Notes) {
    let calls: Vec<&Seen> = candidates(run, app, endpoint);
    let mut groups = by_question(&calls);
    for blocking in calls.iter().filter(|s| s.json.is_some()) {
        // Asked before: it was not comparable then.
        let Some(same) = groups.remove(&question(blocking)) else { continue };
        if !deterministic(&same) {
            continue;
        }
        for streamed in same.iter().filter(|s| s.stream.is_some()) {
            compare(blocking, streamed, n);
        }
        return;
    }
}

/// Whether the app can be compared: why not, in words.
pub(super) fn absent(run: &Run, app: &App, endpoint: Endpoint) -> Option<String> {
    let calls = candidates(run, app, endpoint);
    let comparable = by_question(&calls).values().any(|same| deterministic(same));
    (!comparable && !calls.is_empty()).then(|| needs_echo("the app answers the same question differently each time"))
}

fn candidates<'r, 't>(run: &'r Run<'t>, app: &'r App, endpoint: Endpoint) -> Vec<&'r Seen<'t>> {
    let fresh = |s: &&Seen| endpoint != Endpoint::ChatMessages || s.sent.starts_conversation();
    run.calls(app, endpoint).filter(|s| s.sent.valid() && s.completed()).filter(fresh).collect()
}

fn deterministic(same: &[&Seen]) -> bool {
    let blocking: Vec<String> = same.iter().filter(|s| s.json.is_some()).filter_map(|s| s.answer()).collect();
    let streamed: Vec<String> = same.iter().filter(|s| s.stream.is_some()).filter_map(|s| s.answer()).collect();
    let steady = |answers: &[String]| answers.len() >= 2 && answers.windows(2).all(|w| w[0] == w[1]);
    (steady(&blocking) && !streamed.is_empty()) || (steady(&streamed) && !blocking.is_empty())
}

fn compare(blocking: &Seen, streamed: &Seen, n: &mut Notes) {
    let (whole, chunks) = (blocking.answer().unwrap_or_default(), streamed.answer().unwrap_or_default());
    let same = whole.trim() == chunks.trim();
    n.expect(same, blocking, "answer", format!("the streamed answer: {}", clip(&chunks)), || clip(&whole));
    if !same {
        n.with(streamed);
    }
    let keys = |s: &Seen| {
        metadata(s).and_then(Value::as_object).map(|m| m.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
    };
    let (mut left, mut right) = (keys(blocking), keys(streamed));
    left.sort();
    right.sort();
    let same = left == right;
    n.expect(same, blocking, "metadata", format!("metadata members {right:?} as when streaming"), || {
        format!("{left:?}")
    });
    if !same {
        n.with(streamed);
    }
}

fn metadata<'s>(s: &'s Seen) -> Option<&'s Value> {
    match &s.stream {
        Some(stream) => stream.find("message_end")?.value.get("metadata"),
        None => s.json?.get("metadata"),
    }
}
