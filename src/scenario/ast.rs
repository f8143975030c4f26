//! What a scenario file means. Strings that may hold `${{ }}` are [`Text`]; JSON that may hold them is [`Json`].

use crate::model::AppMode;
use serde_json::Value;
use std::time::Duration;

/// Position in a file, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// Template text, rendered by `scenario::template` when the step runs.
pub type Text = String;

/// JSON whose strings (and object keys) are template texts; a string that is one whole `${{ }}` keeps its type.
pub type Json = Value;

/// One scenario file.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// File name as shown to people.
    pub file: String,
    /// Dotted id, unique among the loaded files.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// App modes that it runs on.
    pub apps: Vec<AppMode>,
    /// Response mode of its turns unless a turn says otherwise.
    pub mode: ResponseMode,
    /// What the target must offer; else the scenario's rules are not applicable.
    pub needs: Vec<Need>,
    /// Takes longer than a few seconds by design; run on demand.
    pub slow: bool,
    /// Rule ids that this scenario exercises.
    pub rules: Vec<String>,
    /// Where each of `rules` stands in the file, for `lint_rules`.
    pub rules_at: Vec<At>,
    /// Named values, rendered once per iteration in file order.
    pub vars: Vec<(String, Json)>,
    /// Named data rows.
    pub data: Vec<(String, Data)>,
    /// What is done.
    pub steps: Vec<Step>,
    /// Clean-up that always runs, also after a failure or an interrupt.
    pub finally: Vec<Step>,
    /// How its exchanges are shown in snapshots, unless a step says otherwise.
    pub snapshot: Snapshot,
}

/// How exchanges are shown in snapshots; what is not said here is as the run says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Texts that a model wrote.
    pub texts: Option<Texts>,
    /// Names of reply headers that are shown besides those that always are.
    pub headers: Vec<String>,
}

/// How texts that a model wrote are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// Word for word.
    Exact,
    /// Whether there is one.
    Shape,
    /// Not at all.
    Ignored,
}

/// `streaming` or `blocking`. Agent apps cannot block: there `blocking` turns are sent as `streaming`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    /// Server-sent events.
    Streaming,
    /// One JSON document.
    Blocking,
}

/// Things a target may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// The form declares a text or paragraph variable (`text-input`).
    TextInput,
    /// The form declares a required variable (`required-input`).
    RequiredInput,
    /// The target has a second app (`other-app`).
    OtherApp,
    /// The form declares no required variable (`no-required-input`).
    NoRequiredInput,
    /// The form declares a text or paragraph variable with a greatest length (`limited-input`).
    LimitedInput,
    /// The form declares a select (`select-input`).
    SelectInput,
    /// The form declares a number variable (`number-input`).
    NumberInput,
    /// The form declares an optional variable with a default (`default-input`).
    DefaultInput,
    /// Blocking responses exist in this mode (`blocking`).
    Blocking,
}

/// Source of data rows.
#[derive(Clone, Debug)]
pub enum Data {
    /// `each: [..]` with `pick:`; each row any JSON.
    Rows {
        /// The rows.
        rows: Vec<Json>,
        /// Which row an iteration gets.
        pick: Pick,
    },
    /// `random: {words: 2}`: random words from the seed of the run.
    RandomWords(u32),
}

/// Which row an iteration gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Row number = iteration modulo rows, over all virtual users together.
    PerIteration,
    /// Row number = virtual user modulo rows.
    PerUser,
    /// Seeded random choice per iteration.
    Random,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Id, unique in the scenario.
    pub id: String,
    /// Where it stands in the file.
    pub at: At,
    /// What it does.
    pub action: Action,
    /// Runs once per element, bound to a name: `for-each: {case: [..]}`.
    pub for_each: Option<(String, Vec<Json>)>,
    /// End user; default `${{ user }}`, else a fresh one per scenario run.
    pub user: Option<Text>,
    /// Credentials; default the app's key.
    pub auth: Auth,
    /// Extra or replaced headers; `None` as value removes one.
    pub headers: Vec<(String, Option<Text>)>,
    /// Name -> RFC 9535 path into the response document (for streams: the document described in docs/scenarios.md).
    pub capture: Vec<(String, String)>,
    /// Why the rest of the scenario does not apply where a capture finds nothing in an answer of status 2xx or 404.
    pub or_skip: Option<String>,
    /// What must hold.
    pub expect: Vec<Expect>,
    /// Limits.
    pub timeout: Timeouts,
    /// Pause after the step (think time).
    pub think: Option<Think>,
    /// Pause before the step, e.g. to let a timestamp advance.
    pub wait: Option<Duration>,
    /// How its exchanges are shown in snapshots.
    pub snapshot: Snapshot,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// `POST /chat-messages`
    Chat(Turn),
    /// `POST /completion-messages`
    Completion(Turn),
    /// `POST /workflows/run`, or `POST /workflows/{version}/run`
    Workflow(Turn),
    /// `GET /messages`: `conversation`, `limit`, `first-id`
    History(Query),
    /// `GET /conversations`: `limit`, `last-id`, `sort-by`
    Conversations(Query),
    /// `POST /conversations/{id}/name`
    Rename {
        /// Conversation id.
        conversation: Text,
        /// New name, if any.
        name: Option<Json>,
        /// `auto_generate`, if sent.
        auto: Option<bool>,
    },
    /// `DELETE /conversations/{id}`
    Delete {
        /// Conversation id.
        conversation: Text,
    },
    /// `POST /messages/{id}/feedbacks`
    Feedback {
        /// Message id.
        message: Text,
        /// `like`, `dislike` or null.
        rating: Json,
        /// Free text, if any.
        content: Option<Text>,
    },
    /// `POST /{chat,completion}-messages/{task}/stop`, by the app's mode
    Stop {
        /// Task id.
        task: Text,
    },
    /// `GET /info`
    Info,
    /// `GET /parameters`
    Parameters,
    /// `POST /files/upload` or `POST /audio-to-text`, as a form
    Upload(Upload),
    /// Any request, also a broken one.
    Request(Raw),
    /// Steps side by side.
    Parallel(Parallel),
    /// Nothing but time.
    Pause(Duration),
}

/// A chat turn, a completion or a workflow run.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    /// `query`; a completion may leave it out.
    pub query: Option<Json>,
    /// Given inputs, laid over the generated required ones.
    pub inputs: Vec<(Text, Json)>,
    /// Whether required inputs are generated from the form (`fill: false` sends only what is given).
    pub no_fill: bool,
    /// `conversation_id`.
    pub conversation: Option<Json>,
    /// Response mode; default the scenario's.
    pub mode: Option<ResponseMode>,
    /// `auto_generate_name`; default false, which spares the server a model call.
    pub auto_name: Option<bool>,
    /// Body members laid over the finished body, with any JSON.
    pub with: Vec<(String, Json)>,
    /// Body members taken out at the end.
    pub omit: Vec<String>,
    /// Names of inputs taken out at the end (templates).
    pub omit_inputs: Vec<Text>,
    /// What happens while the stream is open.
    pub during: Option<During>,
    /// Hang up after this many SSE events.
    pub hang_up_after: Option<u32>,
    /// Id of the workflow version to run, of workflow runs.
    pub version: Option<Text>,
}

/// Steps that run while a stream is open; they see captures of the events so far.
#[derive(Clone, Debug)]
pub struct During {
    /// After this many events other than ping, from 1.
    pub after_events: u32,
    /// What is done then.
    pub steps: Vec<Step>,
}

/// Query parameters of a read, in order; values are templates.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Wire names, e.g. `conversation_id`, `first_id`, `limit`.
    pub params: Vec<(String, Text)>,
    /// Leave out the `user` parameter.
    pub no_user: bool,
}

/// A form with files.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// To `POST /audio-to-text`; else to `POST /files/upload`.
    pub speech: bool,
    /// File parts in order.
    pub files: Vec<FilePart>,
    /// Leave out the `user` part.
    pub no_user: bool,
}

/// One file part of a form.
#[derive(Clone, Debug)]
pub struct FilePart {
    /// Name of the part; default `file`.
    pub part: Option<Text>,
    /// File name.
    pub name: Option<Text>,
    /// `Content-Type` of the part.
    pub mime: Option<Text>,
    /// Content.
    pub content: Content,
}

/// Content of a file part.
#[derive(Clone, Debug)]
pub enum Content {
    /// `text:` as UTF-8.
    Text(Text),
    /// `base64:` of the bytes.
    Base64(Text),
    /// `size:` bytes of filler.
    Size(Text),
}

/// A request spelled out.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// HTTP method.
    pub method: String,
    /// Path below the base URL with its query, e.g. `/messages?user=${{ user }}`.
    pub path: Text,
    /// Body: JSON, or text sent as it is.
    pub body: Option<RawBody>,
}

/// Body of a raw request.
#[derive(Clone, Debug)]
pub enum RawBody {
    /// `json:` rendered and serialised, `Content-Type: application/json`.
    Json(Json),
    /// `text:` sent as it is; the header is `application/json` unless `headers` says otherwise.
    Text(Text),
}

/// Side by side.
#[derive(Clone, Debug)]
pub struct Parallel {
    /// The branches; each is a sequence.
    pub branches: Vec<Vec<Step>>,
    /// Copies of each branch, `${{ lane }}` numbered from 0.
    pub times: u32,
}

/// Credentials of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Auth {
    /// `Bearer` and the app's key.
    #[default]
    Key,
    /// No header.
    None,
    /// `Bearer app-` and 24 random characters.
    Unknown,
    /// `Bearer` and the key of another app of the target, if there is one.
    OtherApp,
    /// Header text; `{key}` stands for the app's key.
    Header(String),
}

/// One expectation: a one-key map in the file. A map with several tests (`{at: $.n, is: integer, min: 1}`) gives one
/// expectation for each of them, all at the same place.
#[derive(Clone, Debug)]
pub struct Expect {
    /// Where it stands in the file.
    pub at: At,
    /// What must hold.
    pub check: Check,
}

/// What can be expected of a step.
#[derive(Clone, Debug)]
pub enum Check {
    /// `status: 200` or `status: [200, 204]`
    Status(Vec<u16>),
    /// `header: {name, equals | not-equals | contains | not-contains | matches | exists | media-type}`
    Header {
        /// Header name.
        name: String,
        /// What about its value.
        test: Test,
    },
    /// `json: {at: $.path, ..}` on the response document
    Json {
        /// RFC 9535 path.
        at: String,
        /// What about the selected value.
        test: Test,
    },
    /// `answer: {contains: ..}` on the effective answer
    Answer(Test),
    /// `events: "(message | agent_message)+ message_end"`: order of events, pings left out
    Events(String),
    /// `timing: {of: ttft, max: 5s}`
    Timing {
        /// Metric name.
        of: String,
        /// Upper limit.
        max: Duration,
    },
}

/// Test of one value.
#[derive(Clone, Debug)]
pub enum Test {
    /// Equal to the rendered JSON.
    Equals(Json),
    /// Not equal to it.
    NotEquals(Json),
    /// Text that contains it, or an array that has it.
    Contains(Json),
    /// Text that does not contain it, or an array without it.
    NotContains(Json),
    /// Type or form: `uuid string integer number boolean object array null unix-seconds non-empty`.
    Is(String),
    /// Present (true) or absent (false).
    Exists(bool),
    /// Number limits.
    Range {
        /// At least.
        min: Option<f64>,
        /// At most.
        max: Option<f64>,
    },
    /// Number of elements of an array, characters of a text.
    Length(u64),
    /// Regular expression over text.
    Matches(String),
    /// Media type of a header without its parameters, in lower case: `text/event-stream`. For headers only.
    MediaType(String),
}

/// Time limits; `None` takes the run's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and TCP connect.
    pub connect: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// Response head.
    pub first_byte: Option<Duration>,
    /// First SSE event.
    pub first_event: Option<Duration>,
    /// Silence within a body.
    pub idle: Option<Duration>,
    /// The whole exchange.
    pub total: Option<Duration>,
}

/// Think time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Think {
    /// Always the same.
    Fixed(Duration),
    /// Uniform between two durations (`1s..3s`).
    Uniform(Duration, Duration),
    /// `lognormal: {median, sigma, max}`
    Lognormal {
        /// Median.
        median: Duration,
        /// Sigma of the logarithm.
        sigma: f64,
        /// Cap.
        max: Duration,
    },
}
