//! Area `chatflow`: streams of chatflows, their two closing events, failures, pauses and inputs; turns they count.

use super::grammar;
use super::messages::{comparable, mask_files};
use super::notes::Notes;
use super::request::Defect;
use super::rule::{Judge, Load, Rule, always};
use super::run::Run;
use super::runs::{CHATFLOW, RUNS, fails, flows};
use super::seen::Seen;
use super::stream::{Event, Stream, clip};
use crate::model::{App, AppMode, Endpoint, Level};
use serde_json::Value;

/// A chatflow stream that was read to its end.
fn whole<'s>(s: &'s Seen) -> Option<&'s Stream> {
    let chatflow = s.app.mode == Some(AppMode::AdvancedChat) && s.endpoint() == Endpoint::ChatMessages;
    s.stream.filter(|_| chatflow && !s.cut() && s.exchange.fault.is_none())
}

fn count(stream: &Stream, name: &str) -> usize {
    stream.events.iter().filter(|e| e.name == name).count()
}

fn position(stream: &Stream, name: &str) -> Option<usize> {
    stream.events.iter().position(|e| e.name == name)
}

/// Source: OpenAPI `POST /chat-messages`, event stream; streaming guide.
fn stream_grammar(s: &Seen, n: &mut Notes) {
    if let Some(stream) = whole(s) {
        grammar::judge(s, stream, n);
        text_after_a_node(s, stream, n);
    }
}

/// Text belongs to a node that is under way. Real bug: langgenius/dify issue 22175.
fn text_after_a_node(s: &Seen, stream: &Stream, n: &mut Notes) {
    let (Some(text), Some(node)) = (position(stream, "message"), position(stream, "node_started")) else { return };
    if !n.expect(node < text, s, "text-before-nodes", "no text before the first node_started", || stream.outline()) {
        n.at_frame(stream.events[text].frame);
    }
}

/// Source: streaming guide; real bug: langgenius/dify issue 32856. Replies without a run have message_end alone.
fn terminal_both(s: &Seen, n: &mut Notes) {
    let Some(stream) = whole(s).filter(|st| st.find("workflow_started").is_some()) else { return };
    let success = match s.run_status() {
        Some(status) => matches!(status, "succeeded" | "partial-succeeded"),
        None => stream.find("message_end").is_some() && stream.find("error").is_none(),
    };
    if !success || stream.find("workflow_paused").is_some() {
        return;
    }
    for name in ["message_end", "workflow_finished"] {
        let times = count(stream, name);
        let check = if name == "message_end" { "message-end" } else { "workflow-finished" };
        n.expect(times == 1, s, check, format!("one {name} in a stream that succeeded"), || {
            format!("{times} (stream: {})", stream.outline())
        });
    }
}

/// Source: streaming guide; langgenius/dify PR 32985.
fn terminal_order(s: &Seen, n: &mut Notes) {
    let Some(stream) = whole(s) else { return };
    let (Some(message), Some(run)) = (position(stream, "message_end"), position(stream, "workflow_finished")) else {
        return;
    };
    if s.run_status() == Some("failed") {
        return; // no message_end belongs there at all
    }
    let documented = message < run;
    n.expect(documented, s, "order", "message_end before workflow_finished", || {
        format!("workflow_finished first (stream: {})", stream.outline())
    });
    if !documented {
        n.at_frame(stream.events[run].frame);
    }
}

/// Source: OpenAPI `POST /chat-messages`, event stream (failure).
fn failure_sequence(s: &Seen, n: &mut Notes) {
    let Some(stream) = whole(s).filter(|_| s.run_status() == Some("failed")) else { return };
    let error = s.run_end().and_then(|d| d.get("error")).and_then(Value::as_str).unwrap_or("");
    n.expect(!error.is_empty(), s, "error-text", "a workflow_finished(failed) that says why", || {
        "no `error` text".to_owned()
    });
    let ended = stream.find("message_end");
    n.expect(ended.is_none(), s, "message-end", "no message_end in a stream that failed", || stream.outline());
    if let Some(event) = ended {
        n.at_frame(event.frame);
    }
    let at = position(stream, "workflow_finished").unwrap_or(0);
    let after: Vec<&Event> = stream.events[at + 1..].iter().filter(|e| !e.name.starts_with("tts_")).collect();
    match after.first() {
        Some(event) => {
            let error = event.name == "error" && after.len() == 1;
            if !n.expect(error, s, "tail", "error, and nothing after it, after workflow_finished(failed)", || {
                format!("`{}` (stream: {})", event.name, stream.outline())
            }) {
                n.at_frame(event.frame);
            }
        }
        None => {
            n.advise(false, s, "error-event", "an error event after workflow_finished(failed)", || stream.outline());
        }
    }
}

fn no_failure(run: &Run, app: &App) -> Option<String> {
    let failed = run.calls(app, Endpoint::ChatMessages).any(|s| s.run_status() == Some("failed"));
    (!failed).then(|| "no run failed; needs a chatflow whose node fails when a query says so".to_owned())
}

/// Source: Dify source, blocking answers of chatflows raise the error. Which request fails is told by a stream to the same
/// question.
fn failure_blocking(run: &Run, app: &App, n: &mut Notes) {
    let turns = run.calls(app, Endpoint::ChatMessages).filter(|s| s.sent.starts_conversation());
    let blocking = turns.filter(|s| s.stream.is_none() && !s.sent.streaming && s.exchange.reply.is_some());
    for s in blocking.filter(|s| fails(run, s)) {
        let refused = s.exchange.status() >= 400 && s.error_code().is_some();
        n.expect(refused, s, "status", "an error status with an error body for a run that fails", || s.outcome_text());
    }
}

/// Source: streaming guide: chunks in order make up the answer.
fn answer_concat(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        for turn in conversation.turns.iter().filter(|t| t.completed) {
            let s = run.at(turn);
            let Some(stream) = whole(s) else { continue };
            same_as_outputs(s, stream, n);
            let answer = stream.answer();
            for (read, item) in run.stored(app, conversation, turn).into_iter().take(1) {
                let files = item.get("message_files").and_then(Value::as_array).is_some_and(|f| !f.is_empty());
                let stored = item.get("answer").and_then(Value::as_str).unwrap_or("");
                let same = files || comparable(stored, app) == comparable(&answer, app);
                n.expect(same, read, "stored", format!("the chunks joined: {}", clip(&answer)), || clip(stored));
                if !same {
                    n.with(s);
                }
            }
        }
    }
}

/// The run puts out what its stream said: text without white space, which servers put between nodes, where one answer node
/// ran. Real bug: langgenius/dify issue 30679.
fn same_as_outputs(s: &Seen, stream: &Stream, n: &mut Notes) {
    let of_answers = |e: &&Event| e.name == "node_finished" && e.data("node_type").is_some_and(|t| t == "answer");
    let one = stream.events.iter().filter(of_answers).count() == 1;
    let untouched = stream.find("message_replace").is_none() && s.run_status() == Some("succeeded");
    let end = s.run_end().and_then(|end| end.get("outputs")?.get("answer")?.as_str());
    if let Some(outputs) = end.filter(|_| one && untouched) {
        let dense = |text: &str| mask_files(text).split_whitespace().collect::<String>();
        let said = stream.answer();
        let same = dense(outputs) == dense(&said);
        n.expect(same, s, "outputs", format!("the answer of the run: {}", clip(outputs)), || clip(&said));
    }
}

/// Source: OpenAPI `workflow_run_id`; `GET /workflows/run/{id}`. Versions that refuse chatflow keys there are left out, as
/// are runs that somebody stopped.
fn run_linked(run: &Run, app: &App, n: &mut Notes) {
    for flow in flows(run, app) {
        let Some(stream) = &flow.seen.stream else { continue };
        for event in stream.events.iter().filter(|e| matches!(&*e.name, "workflow_started" | "workflow_finished")) {
            let id = event.data("id").and_then(Value::as_str);
            let same = id == Some(flow.id);
            n.expect(same, flow.seen, "event-id", format!("data.id {} in {}", flow.id, event.name), || {
                format!("data.id {}", id.unwrap_or("absent"))
            });
            if !same {
                n.at_frame(event.frame);
            }
        }
        let named = |e: &&Event| e.name.starts_with("workflow_") || e.name.starts_with("node_");
        let other = stream.events.iter().filter(named).find(|e| e.text("workflow_run_id") != Some(flow.id));
        n.expect(other.is_none(), flow.seen, "one-run", format!("workflow_run_id {} all through", flow.id), || {
            other
                .map(|e| format!("{} in `{}`", e.text("workflow_run_id").unwrap_or("none"), e.name))
                .unwrap_or_default()
        });
        if let Some(event) = other {
            n.at_frame(event.frame);
        }
        // A stop may be missing from an incomplete recording.
        let succeeded = flow.seen.run_status() == Some("succeeded");
        if flow.stop_tried(run) || flow.seen.cut() || !(succeeded || run.transcript.complete) {
            continue;
        }
        let reads = run
            .calls(app, Endpoint::WorkflowRunDetail)
            .filter(|s| s.has_key() && s.route.ids.first().is_some_and(|id| id == flow.id));
        let after = reads.filter(|s| s.exchange.timing.sent_us >= flow.seen.exchange.ended_us());
        let Some(read) = after.filter(|s| s.error_code() != Some("not_workflow_app")).last() else { continue };
        let shown = read.text("id");
        if n.expect(shown == Some(flow.id), read, "detail", format!("the detail of run {}", flow.id), || {
            format!("{}, id {}", read.outcome_text(), shown.unwrap_or("absent"))
        }) && let Some(status) = flow.seen.run_status()
        {
            let stored = read.text("status").unwrap_or("absent");
            n.expect(stored == status, read, "status", format!("status {status} as in the stream"), || {
                stored.to_owned()
            });
            if stored != status {
                n.with(flow.seen);
            }
        }
    }
}

/// Whether an echoed input says what was sent: texts may become numbers where the form declares one.
fn same_value(sent: &Value, shown: &Value) -> bool {
    let number = |v: &Value| v.as_f64().or_else(|| v.as_str()?.trim().parse::<f64>().ok());
    sent == shown
        || number(sent).zip(number(shown)).is_some_and(|(a, b)| (a - b).abs() < 1e-9)
        || matches!((sent, shown), (Value::Array(_) | Value::Object(_), _))
        || sent.as_str().is_some_and(|t| t.chars().count() > 500)
}

/// Source: Dify source, `_prepare_workflow_inputs`. On later turns the inputs policy decides, and rules of their own judge
/// that.
fn inputs_echo(s: &Seen, n: &mut Notes) {
    let started = s.stream.and_then(|st| st.find("workflow_started"));
    let Some(event) = started.filter(|_| s.endpoint().generates() && s.sent.body.is_some()) else { return };
    let Some(shown) = event.data("inputs").and_then(Value::as_object) else { return };
    let mut told = |holds: bool, check: &'static str, expected: String, actual: &Value| {
        if !n.expect(holds, s, check, expected, || clip(&actual.to_string())) {
            n.at_frame(event.frame);
        }
    };
    for (name, sent) in [("sys.user_id", s.sent.user.as_deref()), ("sys.query", s.sent.query())] {
        if let (Some(sent), Some(value)) = (sent, shown.get(name)) {
            let check = if name == "sys.query" { "query" } else { "user" };
            told(value.as_str() == Some(sent), check, format!("{name} `{}`", clip(sent)), value);
        }
    }
    let first = s.endpoint() != Endpoint::ChatMessages || s.sent.starts_conversation();
    let inputs = s.sent.inputs().into_iter().flatten();
    let declared = |name: &str| s.app.form_known && s.app.inputs.iter().any(|f| f.variable == name);
    for (name, sent) in inputs.filter(|_| first) {
        match shown.get(name) {
            Some(value) => told(same_value(sent, value), "input", format!("input `{name}` {sent}"), value),
            None if declared(name) && !sent.is_null() => {
                told(false, "input", format!("input `{name}` {sent}"), &Value::Null)
            }
            None => {}
        }
    }
}

/// Source: human input guide: the stream of a run that waits closes with workflow_paused.
fn paused(s: &Seen, n: &mut Notes) {
    let Some(stream) = s.stream.filter(|_| s.endpoint().generates() && !s.cut()) else { return };
    let (asked, pause) = (stream.find("human_input_required"), stream.find("workflow_paused"));
    if asked.is_none() && pause.is_none() {
        return;
    }
    let last = stream.events.iter().rev().find(|e| !e.name.starts_with("tts_"));
    // Branches beside the question may fail the run before it can pause.
    if last.is_some_and(|e| e.name == "error") || s.run_status() == Some("failed") {
        return;
    }
    n.expect(asked.is_some(), s, "asked", "human_input_required before workflow_paused", || stream.outline());
    let drafts = last.is_some_and(|e| e.name == "message_end") && pause.is_some();
    n.expect(
        drafts || last.is_some_and(|e| e.name == "workflow_paused"),
        s,
        "close",
        "workflow_paused at the end",
        || stream.outline(),
    );
    n.expect(
        stream.find("workflow_finished").is_none(),
        s,
        "finished",
        "no workflow_finished in a paused stream",
        || stream.outline(),
    );
    n.advise(stream.find("message_end").is_none(), s, "message-end", "no message_end in a paused stream", || {
        stream.outline()
    });
}

/// No run of an app asked for a human.
pub(super) fn no_human_input(run: &Run, app: &App) -> Option<String> {
    let asked = run.on(app).filter_map(|s| s.stream).any(|st| st.find("human_input_required").is_some());
    (!asked).then(|| "no run asked for a human; needs an app with a Human Input node".to_owned())
}

/// Source: Dify source, `dialogue_count` = length of the thread + 1. Failed and parallel turns do not count reliably.
fn dialogue_count(run: &Run, app: &App, n: &mut Notes) {
    let counted = |s: &Seen| {
        let started = s.stream?.find("workflow_started")?;
        Some((started.frame, started.data("inputs")?.get("sys.dialogue_count")?.as_u64()?))
    };
    let starts = run.profile.dialogue_starts;
    for conversation in run.conversations_of(app).filter(|c| c.from_start) {
        let mut expected: Option<(u64, u64)> = None;
        let mut ended = 0;
        for turn in &conversation.turns {
            if !turn.completed || turn.sent_us < ended {
                break;
            }
            ended = turn.ended_us;
            let s = run.at(turn);
            expected = expected.map(|(low, high)| (low + 1, high + 1));
            if let Some((frame, count)) = counted(s) {
                let (low, high) = expected.unwrap_or((starts[0], starts[starts.len() - 1]));
                let told = if low == high { low.to_string() } else { format!("{low} or {high}") };
                // A foreign recording may lack turns.
                let fits = (low..=high).contains(&count) || (!run.transcript.complete && count > high);
                if !n.expect(fits, s, "count", format!("sys.dialogue_count {told}"), || count.to_string()) {
                    n.at_frame(frame);
                    break;
                }
                expected = Some((count, count));
            } else if expected.is_none() {
                expected = Some((starts[0], starts[starts.len() - 1]));
            }
        }
    }
}

fn no_count(run: &Run, app: &App) -> Option<String> {
    let shown = |s: &Seen| s.stream?.find("workflow_started")?.data("inputs")?.get("sys.dialogue_count").cloned();
    let any = run.calls(app, Endpoint::ChatMessages).any(|s| shown(s).is_some());
    (!any).then(|| "the server does not show sys.dialogue_count".to_owned())
}

/// Whether a server looks at `workflow_id` of chat turns at all: old ones ignore it.
fn reads_version(run: &Run, app: &App) -> bool {
    let asked = |s: &&Seen| s.sent.only(&Defect::Version) || s.sent.only(&Defect::VersionMalformed);
    let refused = |s: &Seen| matches!(s.exchange.status(), 400 | 403 | 404 | 500);
    run.profile.window.is_none_or(|(from, _)| from >= (1, 0, 0))
        || run.calls(app, Endpoint::ChatMessages).filter(asked).any(refused)
}

/// Source: OpenAPI `ChatRequest.workflow_id`, 400 and 404.
fn workflow_id_format(run: &Run, app: &App, n: &mut Notes) {
    if !reads_version(run, app) {
        return;
    }
    let known: Vec<&str> = flows(run, app).filter_map(|f| f.workflow_id()).collect();
    for s in run.calls(app, Endpoint::ChatMessages).filter(|s| s.exchange.reply.is_some() && !s.is(403)) {
        let id = s.sent.member("workflow_id").and_then(Value::as_str).unwrap_or("");
        if s.sent.only(&Defect::VersionMalformed) {
            let refused = s.is(400) && s.error_code() == Some("bad_request");
            n.expect(refused, s, "malformed", "status 400 `bad_request`", || s.outcome_text());
        } else if s.sent.only(&Defect::Version) && !known.contains(&id) && (run.transcript.complete || !s.is(200)) {
            let refused = s.is(404) && s.error_code() == Some("not_found");
            n.expect(refused, s, "unknown", "status 404 `not_found`", || s.outcome_text());
        }
    }
}

fn no_versions(run: &Run, app: &App) -> Option<String> {
    (!reads_version(run, app)).then(|| "the server ignores workflow_id".to_owned())
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "chatflow.stream.grammar",
        area: "chatflow",
        level: Level::Must,
        title: "Event sequence of a chatflow stream",
        statement: "workflow_started comes first (or no workflow event at all where an annotation or moderation answers); then node and message events, text anywhere among them; then message_end and workflow_finished in either order, workflow_finished(failed) and error, or human_input_required and workflow_paused.",
        source: "spec /chat-messages stream text; guide streaming.mdx; src advanced_chat/generate_task_pipeline.py",
        modes: CHATFLOW,
        tested: "Every stream is run through the automaton for chatflows; the order of the two closing events is for chatflow.terminal.order.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(stream_grammar),
        absent: always,
    },
    Rule {
        id: "chatflow.terminal.both",
        area: "chatflow",
        level: Level::Must,
        title: "Success ends with both message_end and workflow_finished",
        statement: "A successful run delivers exactly one message_end and exactly one workflow_finished(succeeded|partial-succeeded).",
        source: "guide streaming.mdx \"Dispatch by Event Type\"; spec; src _handle_workflow_succeeded_event",
        modes: CHATFLOW,
        tested: "Count both on success; each ==1.",
        versions: Some("1.13.0 lost message_end"),
        load: Load::Every,
        judge: Judge::Exchange(terminal_both),
        absent: always,
    },
    Rule {
        id: "chatflow.terminal.order",
        area: "chatflow",
        level: Level::Should,
        title: "Order of the two terminal events",
        statement: "Documented order is message_end then workflow_finished; the last data event of the stream is the later of the two.",
        source: "guide streaming.mdx; spec; PR #32985",
        modes: CHATFLOW,
        tested: "The two closing events of every stream that succeeded are compared. Dify before 1.13.1 sends workflow_finished first: a known deviation there.",
        versions: Some("order changed by PR #32985 (merged 2026-03-06)"),
        load: Load::Every,
        judge: Judge::Exchange(terminal_order),
        absent: always,
    },
    Rule {
        id: "chatflow.failure.sequence",
        area: "chatflow",
        level: Level::Must,
        title: "A failed run ends with workflow_finished(failed) then error",
        statement: "On node failure: node_finished(failed), workflow_finished(status failed, error non-empty), then an `error` event, and no message_end; HTTP stays 200.",
        source: "spec stream text (Failure); src _handle_workflow_failed_event",
        modes: CHATFLOW,
        tested: "A query that makes a node fail; the tail of its stream. A missing error event is a warning only.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(failure_sequence),
        absent: no_failure,
    },
    Rule {
        id: "chatflow.failure.blocking",
        area: "chatflow",
        level: Level::Should,
        title: "Blocking failure is an HTTP error",
        statement: "In blocking mode a failed chatflow run is answered 400 (invalid_param \"Run failed: ...\"), not 200 with an empty answer.",
        source: "src _to_blocking_response raises ErrorStreamResponse.err",
        modes: CHATFLOW,
        tested: "The question whose stream failed is asked again in blocking mode.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(failure_blocking),
        absent: no_failure,
    },
    Rule {
        id: "chatflow.answer.concat",
        area: "chatflow",
        level: Level::Must,
        title: "Chunks concatenate to the stored answer",
        statement: "message.answer chunks in arrival order, after the last message_replace, equal the answer of GET /messages.",
        source: "guide streaming.mdx (concatenate in order); src _save_message",
        modes: CHATFLOW,
        tested: "Chunks joined are compared with GET /messages after trimming and masking signed file URLs; not for turns that failed, were stopped or cut.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(answer_concat),
        absent: always,
    },
    Rule {
        id: "chatflow.workflow-run-linked",
        area: "chatflow",
        level: Level::Should,
        title: "workflow_run_id leads to the run",
        statement: "The workflow_run_id of the stream is constant, equals data.id of workflow_started/finished, and GET /workflows/run/{id} returns it with the same status.",
        source: "spec; guide chatflow.mdx; src",
        modes: CHATFLOW,
        tested: "data.id of every stream; GET /workflows/run/{id} after the end, id and status, where the server offers it to chatflows and nobody stopped the run.",
        versions: Some("run detail for chatflows since 1.3.1"),
        load: Load::Sampled,
        judge: Judge::Run(run_linked),
        absent: always,
    },
    Rule {
        id: "chatflow.inputs-echo",
        area: "chatflow",
        level: Level::Should,
        title: "workflow_started echoes this request's data",
        statement: "data.inputs of workflow_started contains the declared inputs and sys.user_id equal to `user` (and sys.query for chatflows).",
        source: "src workflow_response_converter.py:_prepare_workflow_inputs; spec StreamEventWorkflowStarted.data.inputs",
        modes: RUNS,
        tested: "Inputs of first turns and workflow runs, sys.user_id and sys.query are compared on every stream, where the server sends them.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(inputs_echo),
        absent: always,
    },
    Rule {
        id: "chatflow.paused",
        area: "chatflow",
        level: Level::Must,
        title: "A human-input pause ends the stream with workflow_paused",
        statement: "At a Human Input node the stream emits human_input_required and then workflow_paused and closes; no message_end/workflow_finished in that stream.",
        source: "guide human-input-flow.mdx; spec",
        modes: RUNS,
        tested: "A query that makes a Human Input node ask; the tail of its stream.",
        versions: Some(">=1.13 feature, Service API >=1.14 (PR #32826)"),
        load: Load::No,
        judge: Judge::Exchange(paused),
        absent: no_human_input,
    },
    Rule {
        id: "chat.dialogue-count",
        area: "chat",
        level: Level::Should,
        title: "sys.dialogue_count counts the turns",
        statement: "sys.dialogue_count in workflow_started grows by one on each sequential turn of a conversation.",
        source: "src advanced_chat/app_generator.py (dialogue_count = thread length + 1), workflow_response_converter",
        modes: CHATFLOW,
        tested: "Three turns one after the other; the first value may be 0 or 1 by version.",
        versions: Some("0-based <=1.8, 1-based >=1.9"),
        load: Load::Sampled,
        judge: Judge::Run(dialogue_count),
        absent: no_count,
    },
    Rule {
        id: "chat.workflow-id.format",
        area: "chat",
        level: Level::Must,
        title: "workflow_id must be a published UUID",
        statement: "Malformed workflow_id: 400 `bad_request`; unknown: 404 `not_found`.",
        source: "spec 400/404; src app_generate_service.py:_get_workflow",
        modes: CHATFLOW,
        tested: "\"x\" and a random UUID as workflow_id.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(workflow_id_format),
        absent: no_versions,
    },
];
