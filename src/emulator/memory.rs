//! What an app remembers beyond conversations: thoughts of agents, runs of workflows, variables, forms.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::agent::Thought;
use super::feed::Feed;
use super::story::Story;

/// The part of an app's memory that only agents and workflows use.
#[derive(Debug, Default)]
pub struct Memory {
    /// The steps of each agent message.
    pub thoughts: HashMap<String, Vec<Thought>>,
    /// Runs by id.
    pub runs: HashMap<String, RunRecord>,
    /// Ids of runs in the order of their start.
    pub run_order: Vec<String>,
    /// Runs under way by task id.
    pub live: HashMap<String, LiveRun>,
    /// Variables of conversations by conversation id.
    pub variables: HashMap<String, Vec<Variable>>,
    /// Forms by token.
    pub forms: HashMap<String, Form>,
    /// The run before, for faults that mix runs up.
    pub latest: Option<Latest>,
    /// What each user's run before put out, for the same.
    pub latest_outputs: HashMap<String, Value>,
}

/// What faults take from the run before.
#[derive(Debug, Clone)]
pub struct Latest {
    /// Its id.
    pub id: String,
    /// Its inputs, `sys.*` included.
    pub inputs: Map<String, Value>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Under way.
    Running,
    /// Done.
    Succeeded,
    /// A node failed.
    Failed,
    /// A user ended it.
    Stopped,
    /// It waits for a person.
    Paused,
}

impl Status {
    /// The word on the wire.
    pub fn wire(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Stopped => "stopped",
            Status::Paused => "paused",
        }
    }
}

/// What is kept of a run.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// The id of its entry in the log.
    pub log: String,
    /// Its inputs, `sys.*` included.
    pub inputs: Map<String, Value>,
    /// What it put out; null until the end.
    pub outputs: Value,
    /// Where it stands.
    pub status: Status,
    /// Why it failed or was stopped.
    pub error: Option<String>,
    /// Nodes begun.
    pub steps: u64,
    /// Tokens used.
    pub tokens: u64,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub finished_at: Option<i64>,
    /// Seconds.
    pub elapsed: f64,
    /// Its events, until it has ended.
    pub feed: Option<Feed>,
    /// Its `workflow_finished` event, once it has ended.
    pub finished: Option<Map<String, Value>>,
}

/// A run under way.
#[derive(Debug, Clone)]
pub struct LiveRun {
    /// Whose it is.
    pub user: String,
    /// Ends it early.
    pub stop: CancellationToken,
    /// Makes it fail at its end.
    pub abort: CancellationToken,
}

/// One variable of one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its id; the same in every conversation.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `string` or `number`.
    pub kind: &'static str,
    /// Its value as text.
    pub value: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
}

/// A form a paused run waits for.
#[derive(Debug)]
pub struct Form {
    /// Its id.
    pub id: String,
    /// What is asked, as the event and the form show it.
    pub content: String,
    /// Unix seconds.
    pub expires_at: i64,
    /// The run, until the form is submitted.
    pub parked: Option<Box<Story>>,
}
