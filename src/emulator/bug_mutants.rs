//! The mutants that are bugs of released servers: named after the symptom, with the issues that report it.
//!
//! Symptoms that a mutant of a rule already shows are not repeated: that mutant names the issues ([`Mutant::bug`]).

use super::config::AppKind::{AdvancedChat, Workflow, WorkflowLlm};
use super::config::Profile;
use super::fault::Fault;
use super::mutants::{Mutant, mutant};

/// Every mutant that is named after a bug of a released server.
pub fn bug_mutants() -> &'static [Mutant] {
    BUG_MUTANTS
}

// one row per bug: switch and name, victims, what it does, where it was seen
#[rustfmt::skip]
static BUG_MUTANTS: &[Mutant] = &[
    // conversations
    mutant(Fault::ContinuationOpensNew, "bug/continuation-opens-new-conversation",
        &["chat.conversation-id.stable", "chat.conversation-id.unknown-404"],
        "a blocking turn with a conversation_id opens a new conversation").seen("issue 8820"),
    mutant(Fault::SecondTurnNotFound, "bug/second-turn-not-found",
        &["chat.conversation-id.persisted", "concurrency.end-user-race", "stop.then-continue"],
        "the blocking second turn of a conversation is 404, although the first one gave its id").seen("issues 14893, 8858, 20401, 28481; PR 36742"),
    mutant(Fault::LaterInputsChecked, "bug/later-turn-demands-inputs",
        &["chat.inputs.ignored-on-continuation", "chat.inputs.consistent-policy"],
        "a later turn without a required input is refused").seen("issue 20051"),
    mutant(Fault::ChunksMixed, "bug/chunks-of-both-turns",
        &["concurrency.same-conversation", "messages.answer.matches"],
        "a stream beside another one of its conversation holds text of both").seen("issue 18627"),
    mutant(Fault::ParallelTurnPoisons, "bug/parallel-turn-poisons-conversation",
        &["concurrency.same-conversation"],
        "a second turn side by side fails, and so does every later one of the conversation").seen("issue 16450"),
    mutant(Fault::ConversationListedTwice, "bug/conversation-listed-twice",
        &["conversations.list.complete", "conversations.pagination"],
        "a conversation of two turns is listed twice").seen("issue 19940"),
    mutant(Fault::DialogueCountFromOne, "bug/dialogue-count-from-one",
        &["chat.dialogue-count"],
        "sys.dialogue_count of a version that starts at 0 starts at 1").of(AdvancedChat).under(Profile::Dify015).seen("issue 26557, PR 25905"),
    mutant(Fault::LongHistorySlips, "bug/history-500",
        &["error.status.class"],
        "GET /messages of a conversation with three messages is 500").seen("issues 17862, 17852"),
    mutant(Fault::ListWithoutUpdatedAt, "bug/list-without-updated-at",
        &["conversations.list.shape", "conversations.updated-at"],
        "listed conversations lack updated_at").seen("issue 9953"),
    mutant(Fault::VariableUpdateSlips, "bug/variable-update-500",
        &["variables.update", "error.status.class"],
        "updating a text variable is 500").of(AdvancedChat).seen("issue 23921"),
    mutant(Fault::VariablesOfOldMissing, "bug/variables-missing-in-old-conversations",
        &["variables.persist-across-turns"],
        "a conversation of two turns lists no variables").of(AdvancedChat).seen("issues 34705, 15791"),
    mutant(Fault::FeedbackNeverInHistory, "bug/feedback-null-in-history",
        &["feedback.roundtrip"],
        "the history shows no rating").seen("issue 2537"),
    mutant(Fault::SuggestionsUnknownInvalid, "bug/suggestions-of-unknown-400",
        &["suggested.errors"],
        "the follow-up questions of an unknown message are 400").seen("issues 7192, 36476; PR 40174"),
    mutant(Fault::FailedChatflowTurnForgotten, "bug/failed-chatflow-turn-lost",
        &["chat.failed-turn-is-recorded", "chat.continuity.history-grows"],
        "the turn of a chatflow that failed is taken out of the history").of(AdvancedChat).seen("issue 21121"),
    // streams and runs
    mutant(Fault::EndsNowAndThen, "bug/ends-missing-now-and-then",
        &["sse.terminal.exactly-one", "chatflow.stream.grammar"],
        "some chatflow streams lack message_end and workflow_finished").of(AdvancedChat).cascading().seen("issue 31253"),
    mutant(Fault::NoFinishWithModelNode, "bug/no-finish-with-model-node",
        &["workflow.stream.grammar", "sse.terminal.exactly-one", "hitl.resume"],
        "streams of runs with a model lack workflow_finished").of(WorkflowLlm).seen("issue 38238"),
    mutant(Fault::StartDroppedInParallel, "bug/start-dropped-in-parallel",
        &["workflow.stream.grammar"],
        "a stream beside another run of the app lacks workflow_started").of(WorkflowLlm).cascading().seen("issues 40948, 32518; PR 40964"),
    mutant(Fault::ChatflowAnswerLost, "bug/chatflow-answer-lost",
        &["messages.answer.matches", "chatflow.stream.grammar", "chatflow.terminal.both", "concurrency.read-your-write"],
        "the end of a later chatflow turn is neither sent nor stored").of(AdvancedChat).seen("issue 41712"),
    mutant(Fault::SilentAfterPing, "bug/nothing-after-ping",
        &["sse.terminal.exactly-one", "completion.stream.grammar", "chat.conversation-id.generated"],
        "after its first ping a stream sends no event any more").slowly().cascading().seen("issue 24675"),
    mutant(Fault::TextBeforeNodes, "bug/text-before-nodes",
        &["chatflow.stream.grammar"],
        "text of a chatflow comes before the first node has started").of(AdvancedChat).seen("issue 22175"),
    mutant(Fault::PiecesOutOfOrder, "bug/pieces-out-of-order",
        &["chatflow.answer.concat"],
        "the first two pieces of a chatflow's text are swapped").of(AdvancedChat).seen("issue 30679"),
    mutant(Fault::ChatflowStopOnlySaid, "bug/chatflow-stop-only-said",
        &["stop.ends-stream"],
        "a stop of a chatflow answers success and ends nothing").of(AdvancedChat).seen("issues 37755, 40966"),
    mutant(Fault::ChatflowRunDetailRefused, "bug/run-detail-refuses-chatflows",
        &["workflow.run-detail"],
        "the detail of a run is refused to the key of a chatflow").of(AdvancedChat).seen("issue 18753"),
    mutant(Fault::AnswerAfterFormLost, "bug/answer-after-form-lost",
        &["hitl.resume"],
        "the text of a chatflow after its pause is neither sent nor stored").of(AdvancedChat).seen("issues 38432, 38525"),
    mutant(Fault::BadFileInStream, "bug/unknown-file-silent-stream",
        &["files.owner-only", "sse.terminal.exactly-one"],
        "a streamed turn with an unknown file is a stream in which nothing comes").seen("issue 39356"),
    mutant(Fault::CrowdSlips, "bug/crowd-500",
        &["rate.overload-json", "error.code.known", "error.status.class"],
        "a sixth turn of one user side by side is 500 `unknown`").seen("issues 21437, 472, 6136, 24286"),
    mutant(Fault::LimitSlips, "bug/limit-500",
        &["rate.429.too-many", "rate.overload-json", "error.code.known", "error.status.class"],
        "a generation that is one too many is 500").seen("PR 12271"),
    // blocking answers
    mutant(Fault::ChatflowBlockingStreams, "bug/chatflow-ignores-blocking",
        &["req.response-mode.honoured", "req.response-mode.default"],
        "a chatflow streams although blocking was asked for").of(AdvancedChat).seen("issue 32391"),
    mutant(Fault::BlockingFirstToken, "bug/blocking-first-token",
        &["chat.parity", "completion.parity", "annotation.reply", "chat.continuity.context", "messages.answer.matches"],
        "a blocking answer holds only the first word of the text").seen("issues 20883, 28162"),
    mutant(Fault::ChatflowBlockingEmpty, "bug/chatflow-blocking-empty",
        &["chat.parity", "messages.answer.matches"],
        "the blocking answer of a chatflow is empty although its run succeeded").of(AdvancedChat).seen("issue 33721"),
    mutant(Fault::WorkflowBlockingEmpty, "bug/workflow-blocking-empty",
        &["workflow.parity"],
        "the outputs of a blocking workflow are null although its run succeeded").of(Workflow).seen("issue 33721"),
    mutant(Fault::AnnotationEmptyInBlocking, "bug/annotation-empty-in-blocking",
        &["annotation.reply"],
        "a blocking turn that an annotation answers has an empty answer").seen("issue 6201"),
    mutant(Fault::TotalTokensZero, "bug/total-tokens-zero",
        &["usage.sum"],
        "total_tokens is 0 whatever the other counts").seen("issue 20796"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_named_after_its_symptom_and_says_where_it_was_reported() {
        for mutant in bug_mutants() {
            assert!(mutant.id.strip_prefix("bug/").is_some_and(|symptom| symptom.len() > 5), "{}", mutant.id);
            assert!(mutant.bug.is_some() && !mutant.victims.is_empty(), "{}", mutant.id);
        }
    }
}
