//! Area `workflow`, one answer at a time: blocking bodies, streams, nodes, outputs.

use super::echo::needs_echo;
use super::grammar;
use super::notes::Notes;
use super::rule::{Judge, Load, Rule, always};
use super::run::Run;
use super::runs::{RUNS, WORKFLOW, fails, question};
use super::seen::Seen;
use super::sse_framing::payload_fits;
use super::stream::{Event, Stream, clip};
use crate::model::{App, Endpoint, FaultClass, Level};
use crate::schema::Document;
use serde_json::Value;

/// Statuses of the documentation; `scheduled` is tolerated.
const STATUSES: &[&str] = &["running", "succeeded", "failed", "stopped", "partial-succeeded", "paused", "scheduled"];
/// Those of a run that is over.
pub(super) const FINAL: &[&str] = &["succeeded", "failed", "stopped", "partial-succeeded"];
/// A server closes the connection this soon after the last event.
const CLOSES_WITHIN_US: u64 = 5_000_000;

fn runs_workflow(s: &Seen) -> bool {
    matches!(s.endpoint(), Endpoint::WorkflowRun | Endpoint::WorkflowRunById)
}

fn workflow_stream<'s>(s: &'s Seen) -> Option<&'s Stream> {
    s.stream.filter(|_| runs_workflow(s))
}

/// Streams of chatflows and workflows.
pub(super) fn run_stream<'s>(s: &'s Seen) -> Option<&'s Stream> {
    s.stream.filter(|_| s.endpoint().generates())
}

/// Source: OpenAPI `WorkflowBlockingResponse`.
fn blocking_shape(s: &Seen, n: &mut Notes) {
    let Some(json) = s.json.filter(|_| runs_workflow(s) && s.is(200)) else { return };
    n.fits(s, Document::WorkflowRun, json);
    let id = json.pointer("/data/id").and_then(Value::as_str);
    n.expect(id.is_some() && id == s.run_id(), s, "data-id", "data.id equal to workflow_run_id", || {
        format!("data.id {}, workflow_run_id {}", id.unwrap_or("absent"), s.run_id().unwrap_or("absent"))
    });
}

/// Source: OpenAPI `WorkflowFinishedData.status`.
fn status_enum(s: &Seen, n: &mut Notes) {
    let known = |status: Option<&Value>, legal: &[&str]| {
        status.and_then(Value::as_str).is_some_and(|status| legal.contains(&status))
    };
    let mut told = |status: Option<&Value>, check: &'static str, legal: &'static [&'static str], frame: usize| {
        let holds = n.expect(known(status, legal), s, check, format!("status {}", legal.join(", ")), || {
            status.map_or("absent".to_owned(), |v| clip(&v.to_string()))
        });
        if !holds && frame > 0 {
            n.at_frame(frame);
        }
    };
    if let Some(stream) = run_stream(s) {
        for event in stream.events.iter().filter(|e| e.name == "workflow_finished") {
            told(event.data("status"), "finished", FINAL, event.frame);
        }
        return;
    }
    let Some(json) = s.json.filter(|_| s.is(200)) else { return };
    match s.endpoint() {
        Endpoint::WorkflowRun | Endpoint::WorkflowRunById => {
            told(
                json.pointer("/data/status"),
                "blocking",
                &["succeeded", "failed", "stopped", "partial-succeeded", "paused"],
                0,
            );
        }
        Endpoint::WorkflowRunDetail if !json.get("id").is_none_or(Value::is_null) => {
            told(json.get("status"), "detail", STATUSES, 0);
        }
        Endpoint::WorkflowLogs => {
            let items = json.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            for item in items {
                told(item.pointer("/workflow_run/status"), "logs", STATUSES, 0);
            }
        }
        _ => {}
    }
}

/// Source: OpenAPI `WorkflowFinishedData.error`. Which run fails is told by a stream to the same question.
fn failure_blocking(run: &Run, app: &App, n: &mut Notes) {
    let calls = run.on(app).filter(|s| runs_workflow(s) && s.stream.is_none() && !s.sent.streaming);
    for s in calls.filter(|s| s.exchange.reply.is_some()) {
        if fails(run, s) {
            let told = s.is(200) && s.run_status() == Some("failed");
            n.expect(told, s, "status", "status 200 with data.status `failed` for a run that fails", || {
                format!("{}, data.status {}", s.outcome_text(), s.run_status().unwrap_or("absent"))
            });
        }
        if s.run_status() == Some("failed") {
            let error = s.run_end().and_then(|d| d.get("error")).and_then(Value::as_str).unwrap_or("");
            n.expect(!error.is_empty(), s, "error", "data.error that says why", || "no text".to_owned());
        }
    }
}

fn no_failure(run: &Run, app: &App) -> Option<String> {
    let failed = run.on(app).any(|s| runs_workflow(s) && s.run_status() == Some("failed"));
    (!failed).then(|| "no run failed; needs a workflow whose node fails when an input says so".to_owned())
}

/// Source: OpenAPI `POST /workflows/run`, event stream.
fn stream_grammar(s: &Seen, n: &mut Notes) {
    if let Some(stream) = workflow_stream(s).filter(|_| !s.cut() && s.exchange.fault.is_none()) {
        grammar::judge(s, stream, n);
        // The first is enough: a server that errs in one event errs in all of its kind.
        let _ = stream.events.iter().all(|event| payload_fits(s, event, n));
    }
}

/// Source: OpenAPI `POST /workflows/run`: the stream closes with its last event.
fn terminal_last(s: &Seen, n: &mut Notes) {
    let Some(stream) = workflow_stream(s).filter(|_| !s.cut()) else { return };
    let closes = |e: &Event| e.closes_run() && e.name != "message_end";
    let Some(at) = stream.events.iter().position(closes) else { return };
    let end = &stream.events[at];
    let trailing = stream.events[at + 1..].iter().find(|e| !e.name.starts_with("tts_message"));
    n.expect(trailing.is_none(), s, "trailing", format!("nothing but tts events after {}", end.name), || {
        format!("`{}`", trailing.map_or("", |e| &e.name))
    });
    if let Some(event) = trailing {
        n.at_frame(event.frame);
    }
    let last = stream.events.iter().map(|e| e.at_us).max().unwrap_or(end.at_us);
    let open = s.exchange.timing.end_us.saturating_sub(last);
    let waited = s.exchange.fault.as_ref().is_none_or(|f| f.class == FaultClass::TimeoutIdle);
    if waited {
        n.expect(open <= CLOSES_WITHIN_US, s, "close", "the connection closed within 5 s of the last event", || {
            format!("open for another {:.1} s", open as f64 / 1e6)
        });
    }
}

/// Source: OpenAPI `WorkflowStreamEventBase`. Messages, their end and errors of chatflows carry no run id.
fn ids(s: &Seen, n: &mut Notes) {
    let Some(stream) = run_stream(s).filter(|st| st.find("workflow_started").is_some()) else { return };
    n.one_value(s, stream, "task_id");
    let of_run = |e: &&Event| e.name.starts_with("workflow_") || e.name.starts_with("node_");
    let mut first: [Option<&str>; 2] = [None, None];
    for event in stream.events.iter().filter(of_run) {
        let id = match event.name.as_str() {
            "workflow_started" | "workflow_finished" => event.data("id").and_then(Value::as_str),
            _ => None,
        };
        let run_id = event.text("workflow_run_id");
        let shown = [
            ("run-id", "workflow_run_id", run_id.into_iter().chain(id).collect::<Vec<_>>()),
            (
                "workflow-id",
                "data.workflow_id",
                event.data("workflow_id").and_then(Value::as_str).into_iter().collect(),
            ),
        ];
        for ((check, name, values), known) in shown.into_iter().zip(&mut first) {
            for value in values {
                let expected = *known.get_or_insert(value);
                if !n.expect(value == expected, s, check, format!("one {name}, {expected}"), || {
                    format!("{value} in `{}`", event.name)
                }) {
                    n.at_frame(event.frame);
                    return;
                }
            }
        }
    }
}

/// Texts of a run's inputs that are long enough to recognise.
fn marks<'s>(s: &'s Seen) -> Vec<(&'s str, &'s str)> {
    let inputs = s.sent.inputs().into_iter().flatten();
    let texts = inputs.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    texts.filter(|(_, text)| text.chars().count() >= 8).collect()
}

/// Text outputs of a run that succeeded.
fn outputs<'s>(s: &'s Seen) -> Vec<(&'s str, &'s str)> {
    let success = matches!(s.run_status(), Some("succeeded" | "partial-succeeded"));
    let outputs = s.run_end().filter(|_| success && runs_workflow(s)).and_then(|d| d.get("outputs")?.as_object());
    outputs.into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
}

/// An output that repeated an input: names of both and what stood around the input.
type Echo<'s> = (&'s str, &'s str, String);

fn echoes<'s>(s: &'s Seen) -> Vec<Echo<'s>> {
    let of_input = |(input, text): (&'s str, &'s str)| {
        let found = outputs(s).into_iter().filter(move |(_, value)| value.contains(text));
        found.map(move |(output, value)| (input, output, value.replacen(text, "\u{1}", 1)))
    };
    marks(s).into_iter().flat_map(of_input).collect()
}

/// Source: documentation, deterministic workflows. An output counts as an echo of an input where runs with different inputs
/// differ in nothing else.
fn outputs_echo(run: &Run, app: &App, n: &mut Notes) {
    let runs: Vec<&Seen> = run.on(app).filter(|s| !outputs(s).is_empty()).collect();
    for s in &runs {
        let own = s.exchange.request.body.as_ref().and_then(|b| b.text()).unwrap_or("");
        let others = runs.iter().filter(|o| o.exchange.id != s.exchange.id);
        let mut theirs = others.flat_map(|o| marks(o).into_iter().map(move |(_, text)| (o, text)));
        let stray = theirs.find(|(_, text)| !own.contains(text) && outputs(s).iter().any(|(_, v)| v.contains(text)));
        if let Some((other, text)) = stray {
            n.expect(false, s, "of-another-run", "outputs of this run", || {
                format!("the input `{}` of another run", clip(text))
            });
            n.with(other);
        }
    }
    let all: Vec<(&Seen, Vec<Echo>)> = runs.iter().map(|s| (*s, echoes(s))).collect();
    for s in &runs {
        for (input, text) in marks(s) {
            let same = |e: &&Echo| e.0 == input;
            let Some((_, output, around)) = all.iter().flat_map(|(_, e)| e).find(same) else { continue };
            let others = all.iter().filter(|(o, e)| {
                let different = marks(o).iter().any(|(name, value)| *name == input && *value != text);
                o.exchange.id != s.exchange.id
                    && different
                    && e.iter().any(|e| e.0 == input && e.1 == *output && e.2 == *around)
            });
            if others.count() < 2 {
                continue;
            }
            let shown = outputs(s).into_iter().find(|(name, _)| name == output).map(|(_, value)| value);
            let holds = shown.is_some_and(|value| value.contains(text));
            n.expect(holds, s, "echo", format!("output `{output}` with the input `{}`", clip(text)), || {
                shown.map_or("no such output".to_owned(), clip)
            });
        }
    }
}

fn no_echo(run: &Run, app: &App) -> Option<String> {
    let echoing = run.on(app).filter(|s| !echoes(s).is_empty()).count();
    (echoing < 3).then(|| needs_echo("the outputs do not repeat the inputs"))
}

/// What both response modes must agree on.
fn result(s: &Seen) -> Option<(String, String, String)> {
    let end = s.run_end()?;
    let shown = |m: &str| end.get(m).unwrap_or(&Value::Null).to_string();
    Some((shown("status"), shown("outputs"), shown("total_steps")))
}

/// Source: OpenAPI `WorkflowFinishedData`, shared by both modes. Judged where the workflow gave one question the same outputs
/// twice in one mode.
fn parity(run: &Run, app: &App, n: &mut Notes) {
    let calls: Vec<(&Seen, (String, String, String))> =
        run.on(app).filter(|s| runs_workflow(s) && !s.cut()).filter_map(|s| Some((s, result(s)?))).collect();
    for (blocking, whole) in calls.iter().filter(|(s, _)| s.stream.is_none()) {
        let same: Vec<_> = calls.iter().filter(|(s, _)| question(s) == question(blocking)).collect();
        let in_mode = |streams: bool| same.iter().filter(move |(s, _)| s.stream.is_some() == streams);
        let steady = |streams: bool| {
            let outputs: Vec<&String> = in_mode(streams).map(|(_, (_, outputs, _))| outputs).collect();
            outputs.len() >= 2 && outputs.windows(2).all(|w| w[0] == w[1])
        };
        if !(steady(true) || steady(false)) || in_mode(true).next().is_none() {
            continue;
        }
        for (streamed, parts) in in_mode(true) {
            let pairs =
                [("status", &parts.0, &whole.0), ("outputs", &parts.1, &whole.1), ("total-steps", &parts.2, &whole.2)];
            for (check, is, wanted) in pairs {
                let expected = format!("{check} {} as in blocking mode", clip(wanted));
                if !n.expect(is == wanted, streamed, check, expected, || clip(is)) {
                    n.with(blocking);
                }
            }
        }
        return;
    }
}

fn not_deterministic(run: &Run, app: &App) -> Option<String> {
    let mut notes = Notes::default();
    parity(run, app, &mut notes);
    (notes.judged == 0).then(|| needs_echo("no question got the same outputs twice"))
}

/// Source: OpenAPI `StreamEventTextChunk`. Judged where End puts out one text and one variable was streamed.
fn text_chunk_concat(s: &Seen, n: &mut Notes) {
    let Some(stream) = workflow_stream(s) else { return };
    let chunks: Vec<&Event> = stream.events.iter().filter(|e| e.name == "text_chunk").collect();
    let selectors: Vec<String> =
        chunks.iter().map(|e| e.data("from_variable_selector").map(Value::to_string).unwrap_or_default()).collect();
    let replaced = stream.find("text_replace").is_some();
    if chunks.is_empty() || replaced || selectors.windows(2).any(|w| w[0] != w[1]) {
        return;
    }
    let members = s.run_end().and_then(|d| d.get("outputs")?.as_object()).map_or(0, |o| o.len());
    let [(name, text)] = outputs(s)[..] else { return };
    if members == 1 {
        let joined = stream.answer();
        n.expect(joined == text, s, "text", format!("chunks that make up output `{name}`: {}", clip(text)), || {
            clip(&joined)
        });
    }
}

fn no_single_text(_: &Run, _: &App) -> Option<String> {
    Some("no run streamed one text that is its only output; needs a workflow of one model".to_owned())
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "workflow.blocking.shape",
        area: "workflow",
        level: Level::Must,
        title: "Blocking workflow body",
        statement: "task_id, workflow_run_id, data{id,workflow_id,status,outputs,error,elapsed_time,total_tokens,total_steps,created_at,finished_at}; data.id==workflow_run_id.",
        source: "spec WorkflowBlockingResponse; src WorkflowAppBlockingResponse",
        modes: WORKFLOW,
        tested: "Assert presence, types and equality.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(blocking_shape),
        absent: always,
    },
    Rule {
        id: "workflow.status.enum",
        area: "workflow",
        level: Level::Must,
        title: "Status values",
        statement: "status is one of running, succeeded, failed, stopped, partial-succeeded, paused (scheduled tolerated); a finished stream never says running.",
        source: "spec WorkflowFinishedData.status",
        modes: RUNS,
        tested: "workflow_finished, blocking bodies, run details and logs.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(status_enum),
        absent: always,
    },
    Rule {
        id: "workflow.failure.blocking",
        area: "workflow",
        level: Level::Should,
        title: "A failed workflow is 200 with status failed",
        statement: "A blocking run whose node fails answers HTTP 200 with data.status \"failed\" and data.error set; clients must look at status.",
        source: "spec WorkflowFinishedData.error; src workflow/generate_task_pipeline.py:_to_blocking_response",
        modes: WORKFLOW,
        tested: "The inputs whose stream failed are sent again in blocking mode. data.outputs may be {} or null.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(failure_blocking),
        absent: no_failure,
    },
    Rule {
        id: "workflow.stream.grammar",
        area: "workflow",
        level: Level::Must,
        title: "Event sequence of a workflow stream",
        statement: "workflow_started first, then node, iteration, loop, text and agent_log events, closing with one workflow_finished, workflow_paused or error.",
        source: "spec /workflows/run stream lifecycle; src",
        modes: WORKFLOW,
        tested: "Every stream is run through the automaton for workflows.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(stream_grammar),
        absent: always,
    },
    Rule {
        id: "workflow.terminal.last",
        area: "workflow",
        level: Level::Must,
        title: "Nothing follows the terminal event",
        statement: "After workflow_finished/paused/error only ping or tts_message(_end) may come and the server closes the connection within 5 s.",
        source: "spec (The stream closes when...)",
        modes: WORKFLOW,
        tested: "Events after the last one, and the time until the end of the body.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(terminal_last),
        absent: always,
    },
    Rule {
        id: "workflow.ids",
        area: "workflow",
        level: Level::Must,
        title: "Ids agree inside a workflow stream",
        statement: "task_id constant; workflow_run_id constant and equal to data.id of started/finished; data.workflow_id constant.",
        source: "spec WorkflowStreamEventBase; src",
        modes: RUNS,
        tested: "Values of each id over workflow_* and node_* events.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(ids),
        absent: always,
    },
    Rule {
        id: "workflow.outputs.echo",
        area: "workflow",
        level: Level::Must,
        title: "Outputs belong to their inputs",
        statement: "A deterministic workflow returns what was sent in data.outputs, in both modes; no run returns what another run was given.",
        source: "spec; documentation (deterministic oracle)",
        modes: WORKFLOW,
        tested: "Runs with nonces. An output counts as an echo where other runs differ in nothing but the nonce.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(outputs_echo),
        absent: no_echo,
    },
    Rule {
        id: "workflow.parity",
        area: "workflow",
        level: Level::Should,
        title: "Blocking and streaming give the same outputs",
        statement: "workflow_finished.data of a stream has the same outputs/status/total_steps as the blocking data.",
        source: "spec WorkflowFinishedData shared",
        modes: WORKFLOW,
        tested: "The same inputs in both modes, where outputs showed to be deterministic.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(parity),
        absent: not_deterministic,
    },
    Rule {
        id: "workflow.text-chunk.concat",
        area: "workflow",
        level: Level::Should,
        title: "text_chunk pieces build the output text",
        statement: "When End streams one LLM text, concatenated text_chunk.data.text equals that output.",
        source: "spec StreamEventTextChunk; src TextChunkStreamResponse",
        modes: WORKFLOW,
        tested: "Streams whose chunks come from one variable and whose outputs are one text.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Exchange(text_chunk_concat),
        absent: no_single_text,
    },
];
