//! In what servers differ where workflows run: one field per difference, one value per profile.

/// The differences between servers in chatflows, workflows and agents, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowBehaviour {
    /// New Agents, paused runs, their forms and `GET /workflow/{id}/events` exist.
    pub newest_features: bool,
    /// Events of runs carry the members of which servers.
    pub members: Members,
    /// `index` of nodes counts; otherwise it is 1 for every node.
    pub index_counts: bool,
    /// `predecessor_node_id` names the node before.
    pub names_predecessor: bool,
    /// Chatflows close with `message_end`, then `workflow_finished`; otherwise the other way round.
    pub message_end_first: bool,
    /// `sys.dialogue_count` of the first turn.
    pub first_dialogue: u64,
    /// Where the text of an answer without a model is sent.
    pub text_place: TextPlace,
    /// Workflows also send the values of template and code nodes, joined by line breaks.
    pub all_outputs_streamed: bool,
    /// `outputs` of a failed or stopped run is null; otherwise `{}`.
    pub null_outputs: bool,
    /// A run can be asked for by `workflow_id`.
    pub pinned_workflows: bool,
    /// Who may stop a run.
    pub stop: StopPolicy,
    /// A run that nobody listens to goes on to its end.
    pub outlives_client: bool,
    /// The detail of a run.
    pub detail: RunDetail,
    /// `/workflows/logs` can be filtered by end user.
    pub log_user_filter: bool,
    /// Chatflow runs are in `/workflows/logs` too.
    pub logs_chatflows: bool,
    /// Conversation variables.
    pub variables: VariableQuirks,
}

/// Whose members the events of runs carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    /// `sequence_number` and the `parallel_*` members.
    Old,
    /// `*_truncated`, `loop_id`, `agent_strategy`.
    Recent,
    /// As recent ones, with the `reason` of a start.
    Newest,
}

/// Where the text of a chatflow answer without a model is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextPlace {
    /// Before the start node finished.
    InsideStart,
    /// Between the start node and the answer node.
    BeforeAnswer,
    /// Between start and finish of the answer node.
    InsideAnswer,
}

/// Who may stop a run, and what is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopPolicy {
    /// The user who started it; its record says stopped.
    OwnUser,
    /// Anybody with any key stops a workflow; a stranger's stop makes a chatflow fail at its end; the record of a
    /// stopped run keeps saying running.
    Anybody,
}

/// `GET /workflows/run/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunDetail {
    /// Outputs as an object, 404 for unknown runs.
    Documented,
    /// Outputs as text, 200 with nulls for unknown runs.
    Nulls,
    /// As [`RunDetail::Nulls`]; workflow keys only, runs of every app, times as text.
    OldNulls,
}

/// Peculiarities of conversation variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableQuirks {
    /// None.
    Sound,
    /// The name filter gives 500, and a page goes on after the second of `last_id`.
    Slips,
}

/// As documented.
pub const DOCUMENTED: FlowBehaviour = FlowBehaviour {
    newest_features: true,
    members: Members::Newest,
    index_counts: true,
    names_predecessor: true,
    message_end_first: true,
    first_dialogue: 1,
    text_place: TextPlace::InsideAnswer,
    all_outputs_streamed: false,
    null_outputs: false,
    pinned_workflows: true,
    stop: StopPolicy::OwnUser,
    outlives_client: true,
    detail: RunDetail::Documented,
    log_user_filter: true,
    logs_chatflows: true,
    variables: VariableQuirks::Sound,
};

/// Dify 0.15.3.
pub const DIFY_0_15: FlowBehaviour = FlowBehaviour {
    newest_features: false,
    members: Members::Old,
    index_counts: true,
    names_predecessor: true,
    message_end_first: false,
    first_dialogue: 0,
    text_place: TextPlace::BeforeAnswer,
    all_outputs_streamed: false,
    null_outputs: true,
    pinned_workflows: false,
    stop: StopPolicy::OwnUser,
    outlives_client: false,
    detail: RunDetail::OldNulls,
    log_user_filter: false,
    logs_chatflows: false,
    variables: VariableQuirks::Slips,
};

/// Dify 1.12.1.
pub const DIFY_1_12: FlowBehaviour = FlowBehaviour {
    newest_features: false,
    members: Members::Recent,
    index_counts: false,
    names_predecessor: false,
    message_end_first: false,
    first_dialogue: 1,
    text_place: TextPlace::InsideStart,
    all_outputs_streamed: true,
    null_outputs: false,
    pinned_workflows: true,
    stop: StopPolicy::Anybody,
    outlives_client: true,
    detail: RunDetail::Nulls,
    log_user_filter: true,
    logs_chatflows: false,
    variables: VariableQuirks::Slips,
};

/// Dify 1.13.3, as far as it is documented.
pub const DIFY_1_13: FlowBehaviour = FlowBehaviour { message_end_first: true, ..DIFY_1_12 };
