//! Area `workflow`, the nodes of a stream and what they add up to; bodies of unusual size.

use super::nodes::{self, Topic};
use super::notes::Notes;
use super::rule::{Judge, Load, Rule, always};
use super::run::Run;
use super::runs::RUNS;
use super::seen::Seen;
use super::stream::Event;
use super::workflow::run_stream;
use crate::model::{App, AppMode, Level};
use serde_json::Value;

fn node_faults(s: &Seen, topic: Topic, n: &mut Notes) {
    let Some(stream) = run_stream(s) else { return };
    let ledger = nodes::read(stream);
    let there = if topic == Topic::Containers { ledger.containers } else { ledger.starts + ledger.finished };
    let faults: Vec<_> = ledger.faults.iter().filter(|f| f.topic == topic).collect();
    if faults.is_empty() && there > 0 {
        n.judged += 1;
    }
    // One violation of each kind says it all; the rest follows from it.
    let mut told: Vec<&str> = Vec::new();
    for fault in faults {
        if !told.contains(&fault.check) {
            told.push(fault.check);
            n.expect(false, s, fault.check, fault.expected.clone(), || fault.actual.clone());
            n.at_frame(fault.frame);
        }
    }
}

/// Source: OpenAPI `StreamEventNodeStarted`, `StreamEventNodeFinished`.
fn node_pairing(s: &Seen, n: &mut Notes) {
    node_faults(s, Topic::Pairing, n);
}

/// Source: OpenAPI `index`.
fn node_index(s: &Seen, n: &mut Notes) {
    node_faults(s, Topic::Index, n);
}

/// Source: OpenAPI `StreamEventIterationNext.index` and its like for loops.
fn iteration_grammar(s: &Seen, n: &mut Notes) {
    node_faults(s, Topic::Containers, n);
}

fn no_containers(run: &Run, app: &App) -> Option<String> {
    let named = |e: &Event| e.name.starts_with("iteration_") || e.name.starts_with("loop_");
    let any = run.on(app).filter_map(run_stream).any(|st| st.events.iter().any(named));
    (!any).then(|| "no run had an iteration or loop".to_owned())
}

/// Source: OpenAPI `WorkflowFinishedData`, `total_tokens`, `total_steps`.
fn totals(s: &Seen, n: &mut Notes) {
    let Some(stream) = run_stream(s) else { return };
    let Some(end) = stream.find("workflow_finished") else { return };
    let ledger = nodes::read(stream);
    for (member, check, least, what) in [
        ("total_tokens", "tokens", ledger.tokens, "the sum over its nodes"),
        ("total_steps", "steps", ledger.finished, "the number of finished nodes"),
    ] {
        let value = end.data(member).and_then(Value::as_u64);
        let holds = value.is_some_and(|v| v >= least);
        n.expect(holds, s, check, format!("{member} of at least {least}, {what}"), || {
            end.data(member).map_or("absent".to_owned(), Value::to_string)
        });
        if !holds {
            n.at_frame(end.frame);
        }
    }
}

/// A body of this size is large.
const LARGE_BODY: usize = 100_000;

/// Source: Dify source: queries have no upper limit.
fn large_body(s: &Seen, n: &mut Notes) {
    let size = s.exchange.request.body.as_ref().map_or(0, |b| b.bytes().len());
    let certain = s.sent.body.is_some() && s.has_key() && !s.cancelled();
    if size < LARGE_BODY || !s.endpoint().generates() || !certain || matches!(s.app.mode, Some(AppMode::Completion)) {
        return;
    }
    let status = s.exchange.status();
    let refused = (400..500).contains(&status) && (s.error_code().is_some() || status == 413);
    n.expect(s.is(200) || refused, s, "answer", "status 200 or a JSON error of the 400s", || s.outcome_text());
    // `bad_request` is what a body that breaks off gets; this one is sound JSON.
    let broken = s.is(400) && s.error_code() == Some("bad_request");
    n.expect(!broken, s, "cut-off", "a sound body not taken for broken JSON", || s.outcome_text());
    let query = s.sent.query().filter(|q| q.len() >= LARGE_BODY / 2);
    if let (Some(query), Some(answer)) = (query, s.answer().filter(|_| s.completed())) {
        // An echo shows whether all of it arrived; a model would not repeat the head of such a text.
        let head: String = query.chars().take(1_000).collect();
        let echoed = answer.contains(&head);
        n.expect(!echoed || answer.contains(query), s, "echo", "the whole query repeated", || {
            format!("{} characters", answer.chars().count())
        });
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "workflow.node.pairing",
        area: "workflow",
        level: Level::Must,
        title: "Every finished node was started",
        statement: "node_finished.data.id refers to an earlier node_started with same node_id; each id starts once and finishes at most once; on success every started id is finished before the terminal event.",
        source: "spec; src _NodeSnapshot bookkeeping",
        modes: RUNS,
        tested: "The set of open nodes is kept over every stream.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(node_pairing),
        absent: always,
    },
    Rule {
        id: "workflow.node.index",
        area: "workflow",
        level: Level::Should,
        title: "Node indexes are distinct and increasing",
        statement: "node_started.index (outside iterations and loops) increases with each start, or is unique where branches run side by side; the node_finished index equals its start's.",
        source: "spec index; src node_run_index",
        modes: RUNS,
        tested: "Indexes of every stream. 1.12.1 sends 1 for every node: a known deviation.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(node_index),
        absent: always,
    },
    Rule {
        id: "workflow.iteration.grammar",
        area: "workflow",
        level: Level::Should,
        title: "Iteration and loop event order",
        statement: "iteration_started, then iteration_next with 0-based index each once, then iteration_completed with the same id; children carry iteration_id. Same for loops.",
        source: "spec IterationNext.index (0-based); src",
        modes: RUNS,
        tested: "Per container: started once, next indexes unique, steps at least as many, completed once and after all next; children only while it is open.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(iteration_grammar),
        absent: no_containers,
    },
    Rule {
        id: "usage.workflow-totals",
        area: "usage",
        level: Level::Should,
        title: "Workflow totals add up",
        statement: "workflow_finished.total_tokens is an integer of at least the sum of execution_metadata.total_tokens over nodes outside iterations and loops; total_steps is at least the number of finished nodes.",
        source: "spec WorkflowFinishedData",
        modes: RUNS,
        tested: "Sums over every stream.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Exchange(totals),
        absent: always,
    },
    Rule {
        id: "req.large-body",
        area: "request-validation",
        level: Level::Should,
        title: "A 100 kB query is handled, not dropped",
        statement: "Large but legal bodies either succeed or fail with a JSON 4xx; the connection is not reset.",
        source: "src (no limit on query)",
        modes: RUNS,
        tested: "A body of more than 100 kB: 200 with the whole text where the app echoes, or a JSON error of the 400s (413 in any form).",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(large_body),
        absent: always,
    },
];
