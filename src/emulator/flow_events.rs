//! The JSON of the events of runs, as literals.

use serde_json::{Map, Value, json};

use super::flow_behaviour::{FlowBehaviour, Members};
use super::graph::{Container, Node};
use super::state::Moment;

/// What all events of one run carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The task.
    pub task: String,
    /// The run.
    pub run: String,
    /// The workflow.
    pub workflow: String,
    /// Conversation, message and Unix seconds; none in workflow apps.
    pub chat: Option<(String, String, i64)>,
}

/// A node under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The id of this execution.
    pub id: String,
    /// Its place among the nodes of the run.
    pub index: u64,
    /// The node before.
    pub predecessor: Option<&'static str>,
    /// Unix seconds.
    pub created_at: i64,
    /// When it began.
    pub began: Moment,
}

/// How a node or container finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<'a> {
    /// `succeeded`, `failed` or `retry`.
    pub status: &'static str,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// Seconds.
    pub elapsed: f64,
    /// Unix seconds.
    pub finished_at: i64,
}

/// Turns `{"a": 1}` into members of `into`.
fn add(into: &mut Map<String, Value>, members: Value) {
    if let Value::Object(members) = members {
        into.extend(members);
    }
}

/// An event with the members of its run and its data.
pub fn event(name: &str, frame: &Frame, data: Value) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("event".to_owned(), json!(name));
    match &frame.chat {
        Some((conversation, message, created_at)) => {
            add(&mut event, json!({"conversation_id": conversation, "message_id": message, "created_at": created_at}));
            add(&mut event, json!({"task_id": frame.task, "workflow_run_id": frame.run}));
        }
        None => add(&mut event, json!({"workflow_run_id": frame.run, "task_id": frame.task})),
    }
    event.insert("data".to_owned(), data);
    event
}

/// `workflow_started`.
pub fn started(
    frame: &Frame,
    flow: &FlowBehaviour,
    inputs: &Map<String, Value>,
    at: i64,
    sequence: u64,
) -> Map<String, Value> {
    let mut data = Map::new();
    add(&mut data, json!({"id": frame.run, "workflow_id": frame.workflow}));
    if flow.members == Members::Old {
        data.insert("sequence_number".to_owned(), json!(sequence));
    }
    add(&mut data, json!({"inputs": inputs, "created_at": at}));
    if flow.members == Members::Newest {
        data.insert("reason".to_owned(), json!("initial"));
    }
    event("workflow_started", frame, Value::Object(data))
}

/// The totals of a finished run.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals<'a> {
    /// `succeeded`, `failed` or `stopped`.
    pub status: &'a str,
    /// What it put out.
    pub outputs: &'a Value,
    /// Why it failed or was stopped.
    pub error: Option<&'a str>,
    /// Seconds.
    pub elapsed: f64,
    /// Tokens used.
    pub tokens: u64,
    /// Nodes begun.
    pub steps: u64,
    /// The end user: id and name.
    pub user: (String, &'a str),
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub finished_at: i64,
    /// Its number among the runs of the app.
    pub sequence: u64,
}

/// `data` of a blocking answer.
pub fn run_data(frame: &Frame, totals: &Totals) -> Map<String, Value> {
    let mut data = Map::new();
    add(
        &mut data,
        json!({
            "id": frame.run, "workflow_id": frame.workflow, "status": totals.status, "outputs": totals.outputs,
            "error": totals.error, "elapsed_time": totals.elapsed, "total_tokens": totals.tokens,
            "total_steps": totals.steps, "created_at": totals.created_at, "finished_at": totals.finished_at
        }),
    );
    data
}

/// `workflow_finished`.
pub fn finished(frame: &Frame, flow: &FlowBehaviour, totals: &Totals) -> Map<String, Value> {
    let mut data = Map::new();
    for (name, value) in run_data(frame, totals) {
        if name == "status" && flow.members == Members::Old {
            data.insert("sequence_number".to_owned(), json!(totals.sequence));
        }
        if name == "created_at" {
            data.insert("created_by".to_owned(), json!({"id": totals.user.0, "user": totals.user.1}));
        }
        data.insert(name, value);
    }
    let failed = u64::from(totals.status == "failed");
    add(&mut data, json!({"exceptions_count": failed, "files": []}));
    event("workflow_finished", frame, Value::Object(data))
}

fn identity(node: &Node, execution: &Execution, flow: &FlowBehaviour) -> Map<String, Value> {
    let index = if flow.index_counts { execution.index } else { 1 };
    let predecessor = execution.predecessor.filter(|_| flow.names_predecessor);
    let mut data = Map::new();
    add(
        &mut data,
        json!({
            "id": execution.id, "node_id": node.id, "node_type": node.kind, "title": node.title, "index": index,
            "predecessor_node_id": predecessor
        }),
    );
    data
}

/// The members that say where a node runs.
fn whereabouts(node: &Node, flow: &FlowBehaviour) -> Value {
    let within = |kind: Container| node.inside.filter(|inside| *inside == kind).map(Container::id);
    if flow.members == Members::Old {
        return json!({
            "parallel_id": null, "parallel_start_node_id": null, "parent_parallel_id": null,
            "parent_parallel_start_node_id": null, "iteration_id": within(Container::Iteration)
        });
    }
    json!({"iteration_id": within(Container::Iteration), "loop_id": within(Container::Loop)})
}

/// `node_started`.
pub fn node_started(frame: &Frame, flow: &FlowBehaviour, node: &Node, execution: &Execution) -> Map<String, Value> {
    let old = flow.members == Members::Old;
    let mut data = identity(node, execution, flow);
    data.insert("inputs".to_owned(), Value::Null);
    if !old {
        data.insert("inputs_truncated".to_owned(), json!(false));
    }
    add(&mut data, json!({"created_at": execution.created_at, "extras": {}}));
    add(&mut data, whereabouts(node, flow));
    data.insert((if old { "parallel_run_id" } else { "agent_strategy" }).to_owned(), Value::Null);
    event("node_started", frame, Value::Object(data))
}

/// `node_finished`, or `node_retry` with the number of the attempt.
pub fn node_finished(
    frame: &Frame,
    flow: &FlowBehaviour,
    node: &Node,
    execution: &Execution,
    outcome: &Outcome,
    attempt: Option<u64>,
) -> Map<String, Value> {
    let old = flow.members == Members::Old;
    let empty = || if old { Value::Null } else { json!({}) };
    let or_empty = |value: &Value| if value.is_null() { empty() } else { value.clone() };
    let failed = outcome.status != "succeeded";
    let outputs = if failed { empty() } else { or_empty(&node.outputs) };
    let process = if failed { empty() } else { or_empty(&node.process) };
    let mut data = identity(node, execution, flow);
    for (name, value) in [("inputs", or_empty(&node.inputs)), ("process_data", process), ("outputs", outputs)] {
        data.insert(name.to_owned(), value);
        if !old {
            data.insert(format!("{name}_truncated"), json!(false));
        }
    }
    let cost = (node.tokens > 0 && !failed)
        .then(|| json!({"total_tokens": node.tokens, "total_price": "0.0000360", "currency": "USD"}));
    add(
        &mut data,
        json!({
            "status": outcome.status, "error": outcome.error, "elapsed_time": outcome.elapsed,
            "execution_metadata": cost, "created_at": execution.created_at, "finished_at": outcome.finished_at,
            "files": []
        }),
    );
    add(&mut data, whereabouts(node, flow));
    if let Some(attempt) = attempt {
        data.insert("retry_index".to_owned(), json!(attempt));
    }
    event(if attempt.is_some() { "node_retry" } else { "node_finished" }, frame, Value::Object(data))
}

fn container_identity(kind: Container, execution: &Execution) -> Map<String, Value> {
    let mut data = Map::new();
    add(
        &mut data,
        json!({
            "id": execution.id, "node_id": kind.id(), "node_type": kind.id(), "title": kind.title(),
            "created_at": execution.created_at, "extras": {}
        }),
    );
    data
}

/// `iteration_started` and `loop_started`.
pub fn container_started(frame: &Frame, kind: Container, execution: &Execution, rounds: u64) -> Map<String, Value> {
    let mut data = container_identity(kind, execution);
    add(&mut data, json!({"metadata": {"rounds": rounds}, "inputs": {"rounds": rounds}, "inputs_truncated": false}));
    event(kind.events()[0], frame, Value::Object(data))
}

/// `iteration_next` and `loop_next`.
pub fn container_next(frame: &Frame, kind: Container, execution: &Execution, round: u64) -> Map<String, Value> {
    let mut data = container_identity(kind, execution);
    data.insert("index".to_owned(), json!(round));
    if kind == Container::Loop {
        data.insert("pre_loop_output".to_owned(), Value::Null);
    }
    event(kind.events()[1], frame, Value::Object(data))
}

/// `iteration_completed` and `loop_completed`.
pub fn container_completed(
    frame: &Frame,
    kind: Container,
    execution: &Execution,
    outcome: &Outcome,
    rounds: u64,
) -> Map<String, Value> {
    let output: Vec<String> = (0..rounds).map(|round| format!("item {round}")).collect();
    let mut data = container_identity(kind, execution);
    add(
        &mut data,
        json!({
            "outputs": {"output": output}, "inputs": {"rounds": rounds}, "status": outcome.status,
            "error": outcome.error, "elapsed_time": outcome.elapsed, "total_tokens": 0, "execution_metadata": {},
            "finished_at": outcome.finished_at, "steps": rounds
        }),
    );
    event(kind.events()[2], frame, Value::Object(data))
}

/// A piece of the answer of a chatflow, or of the text of a workflow.
pub fn text(frame: &Frame, piece: &str, from: [&str; 2]) -> Map<String, Value> {
    let Some((conversation, message, created_at)) = &frame.chat else {
        return event("text_chunk", frame, json!({"text": piece, "from_variable_selector": from}));
    };
    let mut event = Map::new();
    add(
        &mut event,
        json!({
            "event": "message", "conversation_id": conversation, "message_id": message, "created_at": created_at,
            "task_id": frame.task, "id": message, "answer": piece, "from_variable_selector": from
        }),
    );
    event
}

/// The moderation's text instead of all sent before.
pub fn replaced(frame: &Frame, text: &str) -> Map<String, Value> {
    let Some((conversation, message, created_at)) = &frame.chat else {
        return event("text_replace", frame, json!({"text": text}));
    };
    let mut event = Map::new();
    add(
        &mut event,
        json!({
            "event": "message_replace", "conversation_id": conversation, "message_id": message,
            "created_at": created_at, "task_id": frame.task, "answer": text, "reason": "output_moderation"
        }),
    );
    event
}
