//! The mutants: healthy servers that break one promise each.

use super::config::{AppKind, Profile};
use super::fault::Fault;

/// A server with one fault.
#[derive(Debug)]
pub struct Mutant {
    /// Its name: the rule it is made for, a slash, what it does.
    pub id: &'static str,
    /// The rules that must notice.
    pub victims: &'static [&'static str],
    /// What it does, in one sentence.
    pub what: &'static str,
    /// The profile it runs under.
    pub profile: Profile,
    /// It runs with automatic playback.
    pub tts_autoplay: bool,
    /// The app in which it shows.
    pub app: AppKind,
    /// It breaks what other rules build on, so that which of them notice too depends on timing; only `victims` are certain.
    pub cascades: bool,
    pub(super) fault: Fault,
}

/// Every mutant.
pub fn mutants() -> &'static [Mutant] {
    MUTANTS
}

pub(super) const fn mutant(
    fault: Fault,
    id: &'static str,
    victims: &'static [&'static str],
    what: &'static str,
) -> Mutant {
    let (profile, app) = (Profile::Documented, AppKind::Chat);
    Mutant { id, victims, what, profile, tts_autoplay: false, app, cascades: false, fault }
}

impl Mutant {
    const fn under(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    pub(super) const fn of(self, app: AppKind) -> Self {
        Self { app, ..self }
    }

    pub(super) const fn cascading(self) -> Self {
        Self { cascades: true, ..self }
    }

    const fn speaking(self) -> Self {
        Self { tts_autoplay: true, ..self }
    }
}

// one row per mutant: switch and name, victims, what it does
#[rustfmt::skip]
static MUTANTS: &[Mutant] = &[
    // keys
    mutant(Fault::MissingKeyForbiddenCode, "auth.missing-key.401/forbidden-code",
        &["auth.missing-key.401"],
        "a request without Authorization header gets 401 with the code `forbidden`"),
    mutant(Fault::AnyAppTokenOnInfo, "auth.invalid-key.401/any-app-token",
        &["auth.invalid-key.401", "auth.every-endpoint", "info.shape"],
        "GET /info accepts any token that starts with `app-`"),
    mutant(Fault::AnySchemeWord, "auth.scheme.bearer-only/any-word",
        &["auth.scheme.bearer-only"],
        "the last word of the Authorization header is the key, whatever the scheme"),
    mutant(Fault::CaseSensitiveScheme, "auth.scheme.case-insensitive/exact",
        &["auth.scheme.case-insensitive"],
        "the scheme must be spelled `Bearer`"),
    mutant(Fault::JsonBeforeKey, "auth.precedes-validation/json-first",
        &["auth.precedes-validation"],
        "generation endpoints parse the body before they look at the key"),
    mutant(Fault::RowBeforeKey, "auth.no-side-effect/row-first",
        &["auth.no-side-effect"],
        "a chat request refused with 401 has already opened its conversation"),
    mutant(Fault::SiteWithoutKey, "auth.every-endpoint/open-site",
        &["auth.every-endpoint"],
        "GET /site answers without a key"),
    mutant(Fault::InfoOfLastApp, "auth.key-selects-app/last-info",
        &["auth.key-selects-app"],
        "GET /info, asked again, describes the app another key asked for just before"),
    mutant(Fault::KeyFromQueryOrCookie, "auth.key-not-accepted-elsewhere/query-or-cookie",
        &["auth.key-not-accepted-elsewhere"],
        "without Authorization header a key in any query parameter or cookie is accepted"),
    mutant(Fault::KeyInHeader, "auth.key-never-echoed/header",
        &["auth.key-never-echoed"],
        "GET /parameters repeats the key in a response header"),
    // requests
    mutant(Fault::AnonymousUser, "req.user.required/anonymous",
        &["req.user.required"],
        "a blocking turn without user belongs to `anonymous`"),
    mutant(Fault::InputsOptional, "req.inputs.required/empty-default",
        &["req.inputs.required"],
        "a blocking completion takes missing or malformed inputs for {}"),
    mutant(Fault::QueryOptional, "req.query.required/empty-default",
        &["req.query.required"],
        "a blocking first chat turn takes a missing or non-string query for the empty string"),
    mutant(Fault::AnyModeBlocks, "req.response-mode.enum/else-blocking",
        &["req.response-mode.enum"],
        "any unknown response_mode means blocking"),
    mutant(Fault::StreamsByDefault, "req.response-mode.default/streaming",
        &["req.response-mode.default"],
        "without response_mode the answer is a stream"),
    mutant(Fault::StreamsLaterBlocking, "req.response-mode.honoured/later-turns-stream",
        &["req.response-mode.honoured"],
        "later chat turns are streamed although blocking was asked for"),
    mutant(Fault::MalformedJson415, "req.json.malformed/415",
        &["req.json.malformed"],
        "a body that is no JSON gives 415"),
    mutant(Fault::RequiredFilled, "req.input.required-missing/filled",
        &["req.input.required-missing"],
        "a blocking turn fills a missing required variable with the empty string"),
    mutant(Fault::QueryStoredAsLatin1, "req.unicode-roundtrip/latin-1",
        &["req.unicode-roundtrip"],
        "stored queries lose every character beyond Latin-1"),
    mutant(Fault::QueryRefusedInStream, "req.rejected-before-stream/query-in-generator",
        &["req.rejected-before-stream", "completion.no-conversation", "req.inputs.required", "req.query.required"],
        "a streaming chat turn without query is refused inside a 200 stream"),
    // completion
    mutant(Fault::CompletionWithoutMessageId, "completion.blocking.shape/no-message-id",
        &["completion.blocking.shape"],
        "blocking completions lack message_id"),
    mutant(Fault::CompletionWithConversationId, "completion.no-conversation/conversation-id",
        &["completion.no-conversation"],
        "blocking completions carry a conversation_id"),
    mutant(Fault::CompletionRemembers, "completion.stateless/remembers",
        &["completion.stateless"],
        "a completion sent with a conversation_id also answers the previous one"),
    mutant(Fault::CompletionNeedsQuery, "completion.query-optional/required",
        &["completion.query-optional", "req.inputs.required"],
        "a completion without any query is refused with 400"),
    mutant(Fault::TextAfterEnd, "completion.stream.grammar/text-after-end",
        &["completion.stream.grammar"],
        "completion streams send one more, empty, message event after message_end"),
    mutant(Fault::CompletionTaskChanges, "completion.stream.ids/task-changes",
        &["completion.stream.ids", "sse.ids.constant"],
        "message_end of completion streams carries another task_id"),
    mutant(Fault::CompletionBlockingLosesPrefix, "completion.parity/prefix-lost",
        &["completion.parity"],
        "blocking completions lack the first five characters of the text"),
    // chat
    mutant(Fault::ChatWithoutMode, "chat.blocking.shape/no-mode",
        &["chat.blocking.shape"],
        "blocking chat answers lack mode"),
    mutant(Fault::ConversationIdPrefixed, "chat.conversation-id.generated/prefixed",
        &["chat.conversation-id.generated", "chat.conversation-id.malformed-400", "concurrency.parallel-new", "conversations.list.complete", "conversations.list.shape", "messages.conversation-id.required", "messages.shape", "req.rejected-before-stream", "sse.common-fields"],
        "conversations opened by a stream have ids that are no UUIDs"),
    mutant(Fault::NullConversationIdRefused, "chat.conversation-id.blank-forms/null-refused",
        &["chat.conversation-id.blank-forms"],
        "conversation_id null is refused with 400"),
    mutant(Fault::ConversationIdShared, "chat.conversation-id.distinct/shared",
        &["chat.conversation-id.distinct"],
        "a conversation opened while another user is opening one gets the same id").cascading(),
    mutant(Fault::FreshConversationIdInReply, "chat.conversation-id.stable/fresh-id-in-reply",
        &["chat.conversation-id.stable", "chat.continuity.history-grows", "conversations.delete", "messages.conversation-id.required", "messages.has-more"],
        "blocking later turns answer with a conversation_id nobody knows"),
    mutant(Fault::CommittedAtEnd, "chat.conversation-id.persisted/commit-at-end",
        &["chat.conversation-id.persisted"],
        "a new conversation can be seen only after its first turn has ended"),
    mutant(Fault::FirstRowTwice, "chat.continuity.history-grows/row-twice",
        &["chat.continuity.history-grows", "messages.order"],
        "a conversation of three messages lists the first one twice"),
    mutant(Fault::Forgetful, "chat.continuity.context/forgetful",
        &["chat.continuity.context"],
        "the model never sees earlier turns"),
    mutant(Fault::UnknownConversationCreated, "chat.conversation-id.unknown-404/created",
        &["chat.conversation-id.unknown-404", "conversations.list.complete"],
        "a blocking turn with an unknown conversation_id opens a conversation under it"),
    mutant(Fault::MalformedConversationId404, "chat.conversation-id.malformed-400/404",
        &["chat.conversation-id.malformed-400"],
        "a malformed conversation_id gives 404"),
    mutant(Fault::DeletedContinues, "chat.conversation-id.deleted-404/continues",
        &["chat.conversation-id.deleted-404", "conversations.delete"],
        "a deleted conversation can be continued"),
    mutant(Fault::RejectedTurnTouches, "chat.rejected-turn-adds-nothing/touches",
        &["chat.rejected-turn-adds-nothing"],
        "a refused turn moves updated_at of its conversation by two seconds"),
    mutant(Fault::FirstInputsHidden, "chat.inputs.first-turn-stored/hidden",
        &["chat.inputs.first-turn-stored"],
        "a conversation of one turn lists no inputs"),
    mutant(Fault::InputsFollowTurns, "chat.inputs.conversation-frozen/follows",
        &["chat.inputs.conversation-frozen"],
        "the inputs of a conversation become those of its latest turn"),
    mutant(Fault::LaterInputsUsed, "chat.inputs.ignored-on-continuation/used",
        &["chat.inputs.ignored-on-continuation", "chat.inputs.consistent-policy"],
        "later turns are run and stored with their own inputs"),
    mutant(Fault::LaterInputsDropped, "chat.inputs.applied-on-continuation/dropped",
        &["chat.inputs.applied-on-continuation"],
        "later turns are run and stored with the inputs of the first, unchecked").under(Profile::Dify112),
    mutant(Fault::LaterInputsUsedInStreams, "chat.inputs.consistent-policy/streams-only",
        &["chat.inputs.consistent-policy", "chat.inputs.ignored-on-continuation"],
        "streamed later turns use their own inputs, blocking ones those of the first turn"),
    mutant(Fault::QueryOfPreviousTurn, "chat.query.processed/previous",
        &["chat.query.processed", "chat.continuity.history-grows", "req.unicode-roundtrip"],
        "a message stores the query of the turn before it"),
    mutant(Fault::TaskIsConversation, "chat.message-id.distinct/task-is-conversation",
        &["chat.message-id.distinct"],
        "task_id is the conversation_id"),
    mutant(Fault::StrangerContinues, "chat.isolation.user-continue/no-user",
        &["chat.isolation.user-continue"],
        "anybody may continue a conversation"),
    mutant(Fault::StrangerRenames, "chat.isolation.user-read/renames",
        &["chat.isolation.user-read"],
        "anybody may rename a conversation and gets it back"),
    mutant(Fault::StrangerDeletes, "chat.isolation.user-delete/no-user",
        &["chat.isolation.user-delete"],
        "anybody may delete a conversation"),
    mutant(Fault::ChatBlockingLosesPrefix, "chat.parity/prefix-lost",
        &["chat.parity"],
        "blocking chat answers and their stored form lack the first five characters of the text"),
    // streams
    mutant(Fault::StreamStatus201, "sse.content-type/201",
        &["sse.content-type"],
        "completion streams come with status 201"),
    mutant(Fault::EventIds, "sse.event.framing/id-lines",
        &["sse.event.framing"],
        "every data line is followed by an id line"),
    mutant(Fault::EventNameNumber, "sse.data.json/nameless",
        &["sse.data.json"],
        "chat streams hold an event whose `event` is a number"),
    mutant(Fault::ReplacementCharacters, "sse.utf8/replacement",
        &["sse.utf8"],
        "the first character beyond ASCII of each chunk arrives as U+FFFD, and is stored so"),
    mutant(Fault::NoPing, "sse.ping/none",
        &["sse.ping"],
        "no pings are sent"),
    mutant(Fault::PingWithData, "sse.ping.no-data/data",
        &["sse.ping.no-data"],
        "pings carry a data line"),
    mutant(Fault::TwoEnds, "sse.terminal.exactly-one/two",
        &["sse.terminal.exactly-one"],
        "chat streams end with two message_end events"),
    mutant(Fault::SilentEnd, "sse.terminal.exactly-one/silent",
        &["sse.terminal.exactly-one"],
        "streams of later chat turns end without message_end"),
    mutant(Fault::Buffered, "sse.incremental/buffered",
        &["sse.incremental"],
        "all text events come in one burst at the end"),
    mutant(Fault::EndWithoutConversationId, "sse.common-fields/end-without-conversation",
        &["sse.common-fields"],
        "message_end of first chat turns lacks conversation_id"),
    mutant(Fault::TaskChanges, "sse.ids.constant/task-changes",
        &["sse.ids.constant"],
        "the last text event of chat streams carries another task_id"),
    mutant(Fault::CreatedAtDrifts, "sse.created-at.constant/drifts",
        &["sse.created-at.constant"],
        "message_end of chat streams is created one second later"),
    mutant(Fault::NullAnswer, "sse.message.delta/null",
        &["sse.message.delta"],
        "chat streams begin with a message event whose answer is null"),
    mutant(Fault::ReplacementAppended, "sse.message-replace/appended",
        &["sse.message-replace"],
        "the stored answer of a moderated turn is the replaced text with the new one behind it"),
    mutant(Fault::RawAudio, "sse.tts/raw",
        &["sse.tts"],
        "tts_message carries raw bytes instead of base64").speaking(),
    // errors
    mutant(Fault::NotFoundWithoutStatus, "error.body.shape/no-status",
        &["error.body.shape"],
        "404 bodies lack status"),
    mutant(Fault::CamelCaseCode, "error.code.known/camel-case",
        &["error.code.known"],
        "an unknown sort_by is refused with the code `InvalidParam`"),
    mutant(Fault::MalformedLastId500, "error.status.class/last-id-500",
        &["error.status.class", "conversations.pagination"],
        "a malformed last_id gives 500"),
    mutant(Fault::RenameErrorsWith200, "error.no-200/rename",
        &["error.no-200", "conversations.rename"],
        "a refused rename has status 200"),
    mutant(Fault::StreamErrorWithoutMessage, "error.in-stream.shape/null-message",
        &["error.in-stream.shape"],
        "error events have a null message"),
    mutant(Fault::StreamErrorStatus500, "error.in-stream.code-class/500",
        &["error.in-stream.code-class"],
        "error events pair completion_request_error with status 500"),
    mutant(Fault::TracebackInMessage, "error.message.no-leak/traceback",
        &["error.message.no-leak"],
        "the message of an unknown conversation is a stack trace"),
    // message lists
    mutant(Fault::RowsWithoutRetriever, "messages.shape/no-retriever-resources",
        &["messages.shape"],
        "message rows lack retriever_resources"),
    mutant(Fault::PageTailSwapped, "messages.order/tail-swapped",
        &["messages.order"],
        "the last two rows of a page that does not hold the whole conversation are swapped"),
    mutant(Fault::CursorIncluded, "messages.pagination.partition/cursor-included",
        &["messages.pagination.partition"],
        "the page before first_id includes first_id"),
    mutant(Fault::HasMoreWhenFull, "messages.has-more/full-page",
        &["messages.has-more"],
        "has_more is true for every full page"),
    mutant(Fault::AllMessagesWithoutId, "messages.conversation-id.required/all",
        &["messages.conversation-id.required"],
        "without conversation_id all messages of the user are listed"),
    mutant(Fault::LaterAnswerTruncated, "messages.answer.matches/last-chunk",
        &["messages.answer.matches"],
        "later turns store only the last chunk of their answer"),
    // conversation lists
    mutant(Fault::ListWithoutIntroduction, "conversations.list.shape/no-introduction",
        &["conversations.list.shape"],
        "listed conversations lack introduction"),
    mutant(Fault::DeleteHidesAnother, "conversations.list.complete/delete-hides-another",
        &["conversations.list.complete", "conversations.pagination"],
        "once a user has deleted a conversation, the oldest other one is missing from the user's list"),
    mutant(Fault::SortIgnored, "conversations.sort/created-at-ignored",
        &["conversations.sort"],
        "sort_by=created_at sorts descending"),
    mutant(Fault::ThirdTurnDoesNotTouch, "conversations.updated-at/third-turn",
        &["conversations.updated-at"],
        "from the third turn on updated_at stays"),
    mutant(Fault::NoMoreConversations, "conversations.pagination/no-more",
        &["conversations.pagination", "conversations.list.complete"],
        "has_more of the conversation list is always false"),
    mutant(Fault::RenameReturnsOldName, "conversations.rename/old-name",
        &["conversations.rename"],
        "a rename answers with the old name"),
    mutant(Fault::AutomaticNameEmpty, "conversations.rename.auto/empty",
        &["conversations.rename.auto"],
        "the automatic name is empty"),
    mutant(Fault::DeleteAnswers200, "conversations.delete/200",
        &["conversations.delete"],
        "a delete answers 200 with a body"),
    // documents and media types
    mutant(Fault::TagsNull, "info.shape/null-tags",
        &["info.shape"],
        "tags of GET /info is null"),
    mutant(Fault::CompletionFormNull, "parameters.shape/null-form",
        &["parameters.shape"],
        "user_input_form of completion apps is null"),
    mutant(Fault::StopAnswersHtml, "http.content-type.json/stop-html",
        &["http.content-type.json"],
        "the JSON answer to a stop has the media type text/html"),
    // parallel requests
    mutant(Fault::ForeignQueryInAnswer, "concurrency.no-cross-talk/foreign-query",
        &["concurrency.no-cross-talk"],
        "an answer also echoes the query of another user whose turn is under way"),
    mutant(Fault::ParallelFirstTurnsUnlisted, "concurrency.parallel-new/unlisted",
        &["concurrency.parallel-new", "conversations.list.complete", "conversations.pagination"],
        "a conversation opened while another first turn of its user is under way is never listed"),
    // usage and time
    mutant(Fault::NoUsage, "usage.present/none",
        &["usage.present"],
        "metadata of chat turns lacks usage"),
    mutant(Fault::TotalIsCompletion, "usage.sum/total-is-completion",
        &["usage.sum"],
        "total_tokens counts the completion only"),
    mutant(Fault::UnitPriceIsNumber, "usage.price.types/number",
        &["usage.price.types"],
        "prompt_unit_price is a JSON number"),
    mutant(Fault::LatencyZero, "usage.latency/zero",
        &["usage.latency"],
        "latency is 0"),
    mutant(Fault::CreatedAtMilliseconds, "time.unix-seconds/milliseconds",
        &["time.unix-seconds"],
        "created_at of blocking completions is in milliseconds"),
    mutant(Fault::UpdatedBeforeCreated, "time.monotonic/updated-before-created",
        &["time.monotonic", "conversations.sort", "conversations.updated-at"],
        "listed conversations were updated five seconds before they were created"),
    // feedback and suggestions
    mutant(Fault::FeedbackKeptInHistory, "feedback.roundtrip/first-kept",
        &["feedback.roundtrip"],
        "the history keeps the first rating of a message until it is taken back"),
    mutant(Fault::NullFeedbackFirst, "feedback.errors/null-first",
        &["feedback.errors"],
        "taking back a rating that was never given is a success"),
    mutant(Fault::FeedbackListedTwice, "feedback.list/duplicates",
        &["feedback.list"],
        "a changed rating is listed once more"),
    mutant(Fault::SuggestionsNull, "suggested.enabled/null",
        &["suggested.enabled"],
        "the list of follow-up questions is null"),
    mutant(Fault::SuggestionsForUnknown, "suggested.errors/unknown-200",
        &["suggested.errors"],
        "an unknown message has an empty list of follow-up questions"),
    // files and end users
    mutant(Fault::UploadSizeZero, "files.upload.shape/size-0",
        &["files.upload.shape"],
        "every uploaded file has size 0"),
    mutant(Fault::EmptyFormAccepted, "files.upload.errors/empty-form",
        &["files.upload.errors"],
        "an upload without a file makes an empty one"),
    mutant(Fault::AnyUploader, "files.owner-only/workspace-only",
        &["files.owner-only"],
        "a turn may bring a file that another user uploaded"),
    mutant(Fault::PreviewUnused, "files.preview/unused",
        &["files.preview"],
        "files can be previewed before any message uses them"),
    mutant(Fault::MessageFilesEmpty, "files.message-files/empty",
        &["files.message-files"],
        "message_files is always empty"),
    mutant(Fault::PiecesAsFiles, "agent.message-file/pieces",
        &["agent.message-file"],
        "the pieces of answers to turns with files are message_file events"),
    mutant(Fault::EndUserUnnamed, "end-user.lookup/unnamed",
        &["end-user.lookup"],
        "an end user is shown without the name the app gave"),
    // speech
    mutant(Fault::SpeechWhenDisabled, "audio.stt/disabled-200",
        &["audio.stt"],
        "an app without speech to text answers an empty text"),
    mutant(Fault::VoiceAsJson, "audio.tts/json",
        &["audio.tts"],
        "speech comes as a JSON document"),
    // site and annotations
    mutant(Fault::SiteWithoutLanguage, "meta-site.shape/no-language",
        &["meta-site.shape"],
        "GET /site lacks default_language"),
    mutant(Fault::AnnotationPutCreates, "annotation.crud/put-creates",
        &["annotation.crud"],
        "updating an annotation makes a new one beside it"),
    mutant(Fault::AnnotationPageUncapped, "annotation.list.cap/no-cap",
        &["annotation.list.cap"],
        "a page of annotations is as long as was asked for"),
    mutant(Fault::AnnotationNotInBlocking, "annotation.reply/not-in-blocking",
        &["annotation.reply"],
        "blocking turns are answered by the model although an annotation fits"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_and_faults_are_used_once() {
        let ids: HashSet<&str> = mutants().iter().map(|mutant| mutant.id).collect();
        let faults: HashSet<Fault> = mutants().iter().map(|mutant| mutant.fault).collect();
        assert_eq!(ids.len(), mutants().len());
        assert_eq!(faults.len(), mutants().len());
    }

    #[test]
    fn a_mutant_is_named_after_its_first_victim() {
        for mutant in mutants() {
            let rule = mutant.id.split('/').next();
            assert_eq!(rule, mutant.victims.first().copied(), "{}", mutant.id);
            assert!(mutant.id.len() > mutant.victims[0].len() + 1);
        }
    }
}
