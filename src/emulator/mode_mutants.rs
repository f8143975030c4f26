//! The mutants of agents, chatflows and workflows: healthy servers that break one promise each.

use super::bug_mutants::bug_mutants;
use super::config::AppKind::{AdvancedChat, Agent, AgentChat, Workflow};
use super::edge_mutants::edge_mutants;
use super::fault::Fault;
use super::mutants::{Mutant, mutant, mutants};

/// Every mutant that shows in an agent, a chatflow or a workflow; [`Mutant::app`] says in which.
pub fn mode_mutants() -> &'static [Mutant] {
    MODE_MUTANTS
}

/// Every mutant of every app.
pub fn all_mutants() -> impl Iterator<Item = &'static Mutant> + Clone {
    mutants().iter().chain(MODE_MUTANTS).chain(edge_mutants()).chain(bug_mutants())
}

// one row per mutant: switch and name, victims, what it does, where
#[rustfmt::skip]
static MODE_MUTANTS: &[Mutant] = &[
    // chatflows
    mutant(Fault::DialogueCountAlwaysOne, "chat.dialogue-count/always-one",
        &["chat.dialogue-count"],
        "sys.dialogue_count is 1 on every turn").of(AdvancedChat),
    mutant(Fault::WorkflowIdIgnored, "chat.workflow-id.format/ignored",
        &["chat.workflow-id.format"],
        "chat turns ignore workflow_id").of(AdvancedChat),
    mutant(Fault::NodeBeforeWorkflowStarted, "chatflow.stream.grammar/node-first",
        &["chatflow.stream.grammar", "workflow.node.pairing"],
        "the start node of a chatflow finishes before workflow_started").of(AdvancedChat),
    mutant(Fault::ChatflowWithoutMessageEnd, "chatflow.terminal.both/no-message-end",
        &["chatflow.terminal.both", "chatflow.stream.grammar", "stop.ends-stream", "stop.scope", "stop.wrong-user-noop"],
        "chatflow streams lack message_end").of(AdvancedChat).seen("issue 32856"),
    mutant(Fault::TerminalsSwapped, "chatflow.terminal.order/swapped",
        &["chatflow.terminal.order"],
        "chatflow streams send workflow_finished before message_end").of(AdvancedChat).seen("PR 32985"),
    mutant(Fault::MessageEndAfterFailure, "chatflow.failure.sequence/message-end",
        &["chatflow.failure.sequence", "chatflow.stream.grammar", "error.in-stream.shape"],
        "a failed chatflow stream sends message_end after its error").of(AdvancedChat),
    mutant(Fault::ChatflowFailureIs200, "chatflow.failure.blocking/200-empty",
        &["chatflow.failure.blocking"],
        "a failed blocking chatflow turn is 200 with an empty answer").of(AdvancedChat),
    mutant(Fault::ChatflowChunkDropped, "chatflow.answer.concat/chunk-dropped",
        &["chatflow.answer.concat", "chat.parity", "messages.answer.matches"],
        "the last piece of a chatflow answer is stored but not sent").of(AdvancedChat),
    mutant(Fault::RunIdPerNode, "chatflow.workflow-run-linked/new-id-per-node",
        &["chatflow.workflow-run-linked", "workflow.ids"],
        "every node event of a chatflow carries a workflow_run_id of its own").of(AdvancedChat),
    mutant(Fault::RunInputsShared, "chatflow.inputs-echo/of-previous-run",
        &["chatflow.inputs-echo", "chat.query.processed"],
        "workflow_started of a chatflow shows the inputs of the run before").of(AdvancedChat).cascading(),
    mutant(Fault::PausesSilently, "chatflow.paused/silent",
        &["chatflow.paused", "sse.terminal.exactly-one", "workflow.stream.grammar"],
        "a paused run closes its stream without workflow_paused").of(Workflow),
    // agents
    mutant(Fault::AgentBlocks, "agent.blocking-rejected/runs-anyway",
        &["agent.blocking-rejected"],
        "agents answer blocking requests").of(AgentChat),
    mutant(Fault::AgentEndsEarly, "agent.stream.grammar/end-before-text",
        &["agent.stream.grammar"],
        "an agent stream sends its last agent_message after message_end").of(AgentChat),
    mutant(Fault::AgentRepeatsAnswer, "agent.stream.grammar.new-agent/answer-as-delta",
        &[
            "agent.stream.grammar.new-agent",
            "agent.answer.concat",
            "messages.answer.matches",
            "sse.message-replace",
            "stop.wrong-user-noop",
            "concurrency.same-conversation",
        ],
        "a New Agent repeats its whole answer as one more delta before the closing message").of(Agent),
    mutant(Fault::ThoughtPositionsReset, "agent.thought.fields/position-zero",
        &["agent.thought.fields"],
        "every thought of an agent has the position 0").of(AgentChat),
    mutant(Fault::ThoughtsForgotten, "agent.thought.persisted/empty",
        &["agent.thought.persisted"],
        "GET /messages lists no agent_thoughts").of(AgentChat),
    mutant(Fault::AgentKeepsLastChunk, "agent.answer.concat/last-chunk",
        &[
            "agent.answer.concat",
            "messages.answer.matches",
            "sse.message-replace",
            "stop.partial-saved",
            "stop.wrong-user-noop",
        ],
        "of an agent's answer only the last piece is stored").of(AgentChat),
    mutant(Fault::AgentTextAsFile, "agent.message-file/text",
        &["agent.message-file"],
        "the first piece of an agent's answer is sent as message_file").of(AgentChat),
    mutant(Fault::AgentTextAsMessage, "agent.stream.grammar/plain-messages",
        &["agent.stream.grammar"],
        "the text of agents comes in message events").of(AgentChat),
    // workflows
    mutant(Fault::RunDataIdIsWorkflow, "workflow.blocking.shape/workflow-id",
        &["workflow.blocking.shape"],
        "data.id of a blocking run is the workflow id").of(Workflow),
    mutant(Fault::StatusSuccess, "workflow.status.enum/success",
        &["workflow.status.enum"],
        "the status of a run that succeeded is `success`").of(Workflow),
    mutant(Fault::FailureSucceeds, "workflow.failure.blocking/succeeded",
        &["workflow.failure.blocking"],
        "a failed blocking run says succeeded with null outputs").of(Workflow),
    mutant(Fault::NoWorkflowStarted, "workflow.stream.grammar/no-start",
        &["workflow.stream.grammar"],
        "workflow streams lack workflow_started").of(Workflow),
    mutant(Fault::StreamStaysOpen, "workflow.terminal.last/stays-open",
        &["workflow.terminal.last"],
        "a workflow stream stays open for eight seconds after workflow_finished").of(Workflow),
    mutant(Fault::PreviousRunId, "workflow.ids/previous-run",
        &["workflow.ids"],
        "data.id of workflow_finished is that of the run before").of(Workflow),
    mutant(Fault::NodeFinishedFirst, "workflow.node.pairing/finish-first",
        &["workflow.node.pairing"],
        "the end node of a workflow finishes before it starts").of(Workflow),
    mutant(Fault::NodeIndexZero, "workflow.node.index/zero",
        &["workflow.node.index"],
        "the index of every node is 0").of(Workflow),
    mutant(Fault::IterationNotStarted, "workflow.iteration.grammar/not-started",
        &["workflow.iteration.grammar"],
        "iterations and loops complete without having started").of(Workflow),
    mutant(Fault::PreviousOutputs, "workflow.outputs.echo/previous",
        &["workflow.outputs.echo", "workflow.text-chunk.concat", "concurrency.no-cross-talk"],
        "a run puts out what its user's run before put out").of(Workflow),
    mutant(Fault::StreamWithoutOutputs, "workflow.parity/no-outputs",
        &["workflow.parity"],
        "workflow_finished of workflow streams has empty outputs").of(Workflow),
    mutant(Fault::LastTextChunkDropped, "workflow.text-chunk.concat/last-dropped",
        &["workflow.text-chunk.concat"],
        "the last text_chunk of a workflow is not sent").of(Workflow),
    mutant(Fault::RunByIdIgnored, "workflow.by-id/ignored",
        &["workflow.by-id"],
        "POST /workflows/{id}/run ignores the id").of(Workflow),
    mutant(Fault::RunDetailRunning, "workflow.run-detail/running",
        &["workflow.run-detail", "workflow.disconnect-continues"],
        "the detail of a finished run says running").of(Workflow).seen("issues 21770, 19223"),
    mutant(Fault::UnknownRunNulls, "workflow.run-detail.unknown-404/nulls",
        &["workflow.run-detail.unknown-404"],
        "the detail of an unknown run is 200 with nulls").of(Workflow),
    mutant(Fault::RunsOfAnyApp, "workflow.run-isolation/by-id",
        &["workflow.run-isolation"],
        "the detail of a run is shown to the key of any app").of(Workflow),
    mutant(Fault::ResumeReplaysNothing, "workflow.events.resume/nothing",
        &["workflow.events.resume"],
        "the events of a finished run are an empty stream").of(Workflow),
    mutant(Fault::LogFilterIgnored, "workflow.logs.consistent/filter-ignored",
        &["workflow.logs.consistent"],
        "the log ignores its filters by status and end user").of(Workflow),
    mutant(Fault::DisconnectKills, "workflow.disconnect-continues/killed",
        &["workflow.disconnect-continues"],
        "a run whose client hangs up stays running for ever").of(Workflow).seen("issues 26169, 23654, 19548, 12798"),
    mutant(Fault::TotalTokensNull, "usage.workflow-totals/null",
        &["usage.workflow-totals"],
        "total_tokens of workflow_finished is null").of(Workflow),
    mutant(Fault::StoppedShownSucceeded, "stop.status.stopped/succeeded",
        &["stop.status.stopped"],
        "the detail of a stopped run says succeeded").of(Workflow),
    mutant(Fault::BodyCutOff, "req.large-body/cut-off",
        &["req.large-body"],
        "request bodies are read up to 64 KiB").of(AdvancedChat),
    // variables
    mutant(Fault::VariableWithoutType, "variables.list.shape/no-type",
        &["variables.list.shape"],
        "listed variables lack value_type").of(AdvancedChat),
    mutant(Fault::VariablesPerApp, "variables.session-scoped/per-app",
        &["variables.session-scoped"],
        "all conversations of an app share their variables").of(AdvancedChat).cascading(),
    mutant(Fault::VariablesReset, "variables.persist-across-turns/reset",
        &["variables.persist-across-turns"],
        "every turn starts with the default values of all variables").of(AdvancedChat),
    mutant(Fault::VariableNotStored, "variables.update/not-stored",
        &["variables.update"],
        "an updated variable is returned but not stored").of(AdvancedChat),
    mutant(Fault::VariableCoerced, "variables.update.type-mismatch/coerced",
        &["variables.update.type-mismatch"],
        "a value of another type is turned into text and stored").of(AdvancedChat),
    mutant(Fault::VariableFilterIgnored, "variables.errors/filter-ignored",
        &["variables.errors"],
        "the list of variables ignores variable_name").of(AdvancedChat),
    // forms
    mutant(Fault::FormOfAnyApp, "hitl.form/any-app",
        &["hitl.form"],
        "a form is shown to the key of any app").of(Workflow),
    mutant(Fault::FormTwice, "hitl.submit-once/twice",
        &["hitl.submit-once"],
        "a form can be submitted twice").of(Workflow),
    mutant(Fault::ResumesAsStopped, "hitl.resume/stopped",
        &["hitl.resume"],
        "a run that goes on after a pause ends as stopped").of(Workflow).seen("issues 39448, 39750, 40878"),
    mutant(Fault::EmptyFormEvent, "hitl.required-event/empty",
        &["hitl.required-event"],
        "human_input_required has empty data").of(Workflow).seen("issue 35504"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_and_faults_are_used_once_among_all_mutants() {
        let ids: HashSet<&str> = all_mutants().map(|mutant| mutant.id).collect();
        let faults: HashSet<Fault> = all_mutants().map(|mutant| mutant.fault).collect();
        let count = all_mutants().count();
        assert_eq!((ids.len(), faults.len()), (count, count));
    }

    #[test]
    fn a_mutant_is_named_after_its_first_victim() {
        for mutant in mode_mutants() {
            assert_eq!(mutant.id.split('/').next(), mutant.victims.first().copied(), "{}", mutant.id);
        }
    }
}
