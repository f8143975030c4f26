//! All keys of a scenario file: the one source of what the reader accepts and of the JSON Schema.

use super::shape::{Form, Free, Group, Key, Names, Shape, Table, may, must};

/// Ids of scenarios and loads.
pub(crate) static ID: Form =
    Form::new("a dotted lower-case id", "chat.three-turns", r"^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$");
static RULE: Form =
    Form::new("a rule id", "chat.message-id.distinct", r"^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)+$");
/// Ids of steps.
pub(crate) static STEP_ID: Form =
    Form::new("a step id: lower-case letters, digits and `-`", "ask-again", r"^[a-z0-9]+(-[a-z0-9]+)*$");
static METHOD: Form = Form::new("an HTTP method", "POST", r"^[A-Z]+$");
/// Names that templates can use.
pub(crate) static VARIABLE: Form =
    Form::new("a name: lower-case letters, digits and `_`", "first_id", r"^[a-z_][a-z0-9_]*$");
/// HTTP header names.
pub(crate) static HEADER: Form = Form::new("a header name", "Content-Type", r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$");
static MEDIA: Form =
    Form::new("a media type", "text/event-stream", r"^[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*$");

static APP: Shape =
    Shape::Choice(&["chat", "completion", "agent-chat", "advanced-chat", "agent", "workflow", "chatflow"]);
static MODE: Shape = Shape::Choice(&["streaming", "blocking"]);
/// What a target can be asked to offer.
const NEEDS: &[&str] = &[
    "text-input",
    "required-input",
    "no-required-input",
    "blocking",
    "limited-input",
    "select-input",
    "number-input",
    "default-input",
    "other-app",
];
static COUNT: Shape = Shape::Whole(1, 10_000);

/// The whole file.
pub(crate) static SCENARIO: Table = Table {
    name: "a scenario",
    doc: "A difyprobe scenario: what is done to an app, and what must hold.",
    keys: &[
        must("difyprobe", &Shape::Version, "Version of the file format: 1."),
        must("id", &Shape::Word(&ID), "Dotted lower-case id, unique among the loaded files."),
        must("title", &Shape::Line, "One line for people."),
        must("target", &Shape::Map(&TARGET), "The apps that the scenario runs on."),
        may(
            "needs",
            &Shape::List(&Shape::Choice(NEEDS), 0),
            "What the app must offer; where it does not, the rules of this scenario are not applicable.",
        ),
        may("slow", &Shape::Flag, "Takes longer than a few seconds by design; runs on demand."),
        may("rules", &Shape::List(&Shape::Word(&RULE), 0), "Ids of the rules that this scenario exercises."),
        may(
            "vars",
            &Shape::Free(&Free { names: Names::Variables, of: &Shape::Json, single: false }),
            "Named values, rendered once per iteration in file order; later ones see earlier ones and the data.",
        ),
        may(
            "data",
            &Shape::Free(&Free { names: Names::Variables, of: &Shape::Map(&DATA), single: false }),
            "Named data: in templates the name stands for one row.",
        ),
        must("steps", &Shape::Steps, "What is done, in order."),
        may("finally", &Shape::Steps, "Clean-up that always runs, also after a failure or an interrupt."),
        may(
            "snapshot",
            &Shape::Map(&SNAPSHOT),
            "How `difyprobe snapshot` shows the exchanges, unless a step says otherwise.",
        ),
    ],
    groups: &[],
};

static TARGET: Table = Table {
    name: "a target",
    doc: "The apps that a scenario runs on.",
    keys: &[
        must("app", &Shape::OneOrMore(&APP), "App mode, or a list of them; `chatflow` means `advanced-chat`."),
        may("mode", &MODE, "Response mode of the turns; default `streaming`."),
    ],
    groups: &[],
};

static DATA: Table = Table {
    name: "a data source",
    doc: "Where the rows of a name come from.",
    keys: &[
        may("each", &Shape::List(&Shape::Json, 1), "The rows: any JSON."),
        may(
            "pick",
            &Shape::Choice(&["per-iteration", "per-user", "random"]),
            "Which row of `each` an iteration gets; default `per-iteration`.",
        ),
        may("random", &Shape::Map(&RANDOM), "Random values from the seed of the run."),
    ],
    groups: &[Group::One(&["each", "random"]), Group::AtMostOne(&["pick", "random"])],
};

static RANDOM: Table = Table {
    name: "random data",
    doc: "Random values from the seed of the run.",
    keys: &[must("words", &Shape::Whole(1, 1000), "Number of random English words.")],
    groups: &[],
};

/// Keys of a step that say what it does.
pub(crate) static ACTIONS: &[&str] = &[
    "chat",
    "completion",
    "workflow",
    "history",
    "conversations",
    "rename",
    "delete",
    "feedback",
    "stop",
    "info",
    "parameters",
    "upload",
    "request",
    "parallel",
    "pause",
];

/// One step.
pub(crate) static STEP: Table = Table {
    name: "a step",
    doc: "One step: exactly one action, and what goes with it.",
    keys: &[
        must("id", &Shape::Word(&STEP_ID), "Id of the step, unique in the file."),
        may("chat", &Shape::Map(&CHAT), "Sends a chat turn: `POST /chat-messages`."),
        may("completion", &Shape::Map(&COMPLETION), "Sends a completion: `POST /completion-messages`."),
        may("workflow", &Shape::Map(&WORKFLOW), "Runs a workflow: `POST /workflows/run`."),
        may("history", &Shape::Map(&HISTORY), "Reads messages: `GET /messages`."),
        may("conversations", &Shape::Map(&CONVERSATIONS), "Lists conversations: `GET /conversations`."),
        may("rename", &Shape::Map(&RENAME), "Names a conversation: `POST /conversations/{id}/name`."),
        may("delete", &Shape::Map(&DELETE), "Deletes a conversation: `DELETE /conversations/{id}`."),
        may("feedback", &Shape::Map(&FEEDBACK), "Rates a message: `POST /messages/{id}/feedbacks`."),
        may(
            "stop",
            &Shape::Map(&STOP),
            "Stops a running answer: `POST /chat-messages/{task}/stop`, or that of completions and workflows, by the app.",
        ),
        may("info", &Shape::Empty, "Reads `GET /info`."),
        may("parameters", &Shape::Empty, "Reads `GET /parameters`."),
        may("upload", &Shape::Map(&UPLOAD), "Sends files as a form: `POST /files/upload` or `POST /audio-to-text`."),
        may("request", &Shape::Map(&REQUEST), "Sends any request, also a broken one."),
        may("parallel", &Shape::Map(&PARALLEL), "Runs steps side by side."),
        may("pause", &Shape::Time, "Does nothing for this time."),
        may(
            "for-each",
            &Shape::Free(&Free { names: Names::Variables, of: &Shape::List(&Shape::Json, 1), single: true }),
            "Runs the step once per element; the name stands for the element.",
        ),
        may("user", &Shape::Template, "End user; default `${{ user }}`."),
        may(
            "auth",
            &Shape::ScalarOrMap(&Shape::Choice(&["key", "none", "unknown", "other-app"]), &Shape::Map(&AUTH)),
            "Credentials: `key` (the default), `none`, `unknown`, `other-app`, or a header text.",
        ),
        may(
            "headers",
            &Shape::Free(&Free { names: Names::Headers, of: &Shape::TemplateOrNull, single: false }),
            "Headers to add or replace; null takes one out.",
        ),
        may(
            "capture",
            &Shape::Free(&Free { names: Names::Variables, of: &Shape::Path, single: false }),
            "Names for parts of the response, for the steps that follow.",
        ),
        may(
            "or-skip",
            &Shape::Line,
            "Why the rest of the scenario does not apply where a capture finds nothing in an answer of status 2xx or 404, or where a stream is over before `during` begins.",
        ),
        may("expect", &Shape::List(&Shape::Map(&EXPECT), 0), "What must hold."),
        may("timeout", &Shape::Map(&TIMEOUT), "Time limits."),
        may("think", &Shape::ScalarOrMap(&Shape::TimeRange, &Shape::Map(&THINK)), "Pause after the step."),
        may("wait", &Shape::Time, "Pause before the step."),
        may("snapshot", &Shape::Map(&SNAPSHOT), "How `difyprobe snapshot` shows the exchanges of the step."),
    ],
    groups: &[Group::One(ACTIONS)],
};

static SNAPSHOT: Table = Table {
    name: "a snapshot map",
    doc: "How exchanges are shown in snapshots.",
    keys: &[
        may(
            "texts",
            &Shape::Choice(&["exact", "shape", "ignored"]),
            "Texts that a model wrote: word for word, whether there is one, or not at all.",
        ),
        may(
            "headers",
            &Shape::List(&Shape::Word(&HEADER), 1),
            "Reply headers that are shown besides those that always are.",
        ),
    ],
    groups: &[],
};

static AUTH: Table = Table {
    name: "an auth map",
    doc: "An Authorization header as written.",
    keys: &[must(
        "header",
        &Shape::Template,
        "Value of the Authorization header; `{key}` stands for the key of the app.",
    )],
    groups: &[],
};

macro_rules! turn_keys {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            may(
                "inputs",
                &Shape::Free(&Free { names: Names::Templates, of: &Shape::Json, single: false }),
                "Inputs, laid over the generated ones.",
            ),
            may("fill", &Shape::Flag, "Whether required inputs of the form are generated; default true."),
            may("mode", &MODE, "Response mode; default that of the target."),
            may(
                "with",
                &Shape::Free(&Free { names: Names::Members, of: &Shape::Json, single: false }),
                "Members laid over the finished body.",
            ),
            may("omit", &Shape::List(&Shape::Line, 1), "Members taken out of the finished body."),
            may("omit-inputs", &Shape::List(&Shape::Template, 1), "Inputs taken out of the finished body."),
            may("during", &Shape::Map(&DURING), "Steps that run while the stream is open."),
            may("hang-up-after", &COUNT, "Hangs up after this many events."),
        ]
    };
}

const CONVERSATION: Key = may("conversation", &Shape::Json, "`conversation_id` of the body.");
const AUTO_NAME: Key = may(
    "auto-name",
    &Shape::Flag,
    "`auto_generate_name` of the body; default false, which spares the server a model call.",
);

/// A chat turn.
pub(crate) static CHAT: Table = Table {
    name: "a chat turn",
    doc: "The body of `POST /chat-messages`; `user` and `response_mode` are added.",
    keys: turn_keys!(must("query", &Shape::Json, "What the user says."), CONVERSATION, AUTO_NAME),
    groups: &[],
};

/// A completion.
pub(crate) static COMPLETION: Table = Table {
    name: "a completion",
    doc: "The body of `POST /completion-messages`; `user` and `response_mode` are added.",
    keys: turn_keys!(
        may("query", &Shape::Json, "The deprecated `query` member; most completion apps take `inputs` only."),
        CONVERSATION,
        AUTO_NAME
    ),
    groups: &[],
};

/// A workflow run.
pub(crate) static WORKFLOW: Table = Table {
    name: "a workflow run",
    doc: "The body of `POST /workflows/run`; `user` and `response_mode` are added.",
    keys: turn_keys!(may(
        "version",
        &Shape::Template,
        "Id of the workflow version to run: `POST /workflows/{version}/run`."
    )),
    groups: &[],
};

static DURING: Table = Table {
    name: "a `during` block",
    doc: "Steps that run while a stream is open; they see the captures of their turn, taken from the events so far.",
    keys: &[
        must("after-events", &COUNT, "After this many events other than ping, from 1."),
        must("steps", &Shape::Steps, "What is done then."),
    ],
    groups: &[],
};

static HISTORY: Table = Table {
    name: "a history read",
    doc: "Query parameters of `GET /messages`; `user` is added.",
    keys: &[
        may("conversation", &Shape::Template, "`conversation_id`."),
        may("limit", &Shape::TemplateOrWhole, "`limit`; text is sent as it is, also a wrong one."),
        may("first-id", &Shape::Template, "`first_id`: messages before this one."),
        may("no-user", &Shape::Flag, "Leaves out the `user` parameter."),
    ],
    groups: &[],
};

static CONVERSATIONS: Table = Table {
    name: "a list of conversations",
    doc: "Query parameters of `GET /conversations`; `user` is added.",
    keys: &[
        may("limit", &Shape::TemplateOrWhole, "`limit`; text is sent as it is, also a wrong one."),
        may("last-id", &Shape::Template, "`last_id`: conversations after this one."),
        may("sort-by", &Shape::Template, "`sort_by`, e.g. `-updated_at`."),
        may("no-user", &Shape::Flag, "Leaves out the `user` parameter."),
    ],
    groups: &[],
};

static RENAME: Table = Table {
    name: "a rename",
    doc: "The body of `POST /conversations/{id}/name`; `user` is added.",
    keys: &[
        must("conversation", &Shape::Template, "Id of the conversation."),
        may("name", &Shape::Json, "The new name."),
        may("auto", &Shape::Flag, "`auto_generate`: lets the server choose a name."),
    ],
    groups: &[],
};

static DELETE: Table = Table {
    name: "a delete",
    doc: "What is deleted.",
    keys: &[must("conversation", &Shape::Template, "Id of the conversation.")],
    groups: &[],
};

static FEEDBACK: Table = Table {
    name: "a feedback",
    doc: "The body of `POST /messages/{id}/feedbacks`; `user` is added.",
    keys: &[
        must("message", &Shape::Template, "Id of the message."),
        must("rating", &Shape::Json, "`like`, `dislike` or null, which takes a rating back."),
        may("content", &Shape::Template, "Free text."),
    ],
    groups: &[],
};

static STOP: Table = Table {
    name: "a stop",
    doc: "What is stopped.",
    keys: &[must("task", &Shape::Template, "Task id of the running answer.")],
    groups: &[],
};

static UPLOAD: Table = Table {
    name: "an upload",
    doc: "A form (`multipart/form-data`) of `POST /files/upload` or `POST /audio-to-text`; `user` is added.",
    keys: &[
        may("to", &Shape::Choice(&["files", "speech"]), "Where it goes: `files` (the default) or `speech`."),
        must("files", &Shape::List(&Shape::Map(&FILE), 0), "The file parts in order; none makes an empty form."),
        may("no-user", &Shape::Flag, "Leaves out the `user` part."),
    ],
    groups: &[],
};

static FILE: Table = Table {
    name: "a file",
    doc: "One file part of a form.",
    keys: &[
        may("part", &Shape::Template, "Name of the part; default `file`."),
        may("name", &Shape::Template, "File name; without it the part has none."),
        may("mime", &Shape::Template, "`Content-Type` of the part; without it the part has none."),
        may("text", &Shape::Template, "Content as text."),
        may("base64", &Shape::Template, "Content as base64."),
        may("size", &Shape::TemplateOrWhole, "So many bytes of filler as content; at most 64 MiB."),
    ],
    groups: &[Group::One(&["text", "base64", "size"])],
};

static REQUEST: Table = Table {
    name: "a request",
    doc: "A request spelled out.",
    keys: &[
        must("method", &Shape::Word(&METHOD), "HTTP method, in capitals."),
        must("path", &Shape::Template, "Path below the base URL, with its query; starts with `/`."),
        may("json", &Shape::Json, "Body as JSON."),
        may("text", &Shape::Template, "Body as text, sent as it is, also as broken JSON."),
    ],
    groups: &[Group::AtMostOne(&["json", "text"])],
};

static PARALLEL: Table = Table {
    name: "a parallel block",
    doc: "Steps side by side.",
    keys: &[
        may("branches", &Shape::Branches, "Sequences of steps that run at the same time."),
        may("steps", &Shape::Steps, "One sequence of steps; with `times` it runs so many times at once."),
        may("times", &Shape::Whole(1, 1000), "Copies of each branch, numbered by `${{ lane }}` from 0; default 1."),
    ],
    groups: &[Group::One(&["branches", "steps"])],
};

static TIMEOUT: Table = Table {
    name: "timeouts",
    doc: "Time limits of a step; the run's defaults apply where one is not given.",
    keys: &[
        may("connect", &Shape::Limit, "Name resolution and TCP connect."),
        may("tls", &Shape::Limit, "TLS handshake."),
        may("first-byte", &Shape::Limit, "Until the response head."),
        may("first-event", &Shape::Limit, "Until the first event of a stream."),
        may("idle", &Shape::Limit, "Silence within a body."),
        may("total", &Shape::Limit, "The whole exchange."),
    ],
    groups: &[],
};

static THINK: Table = Table {
    name: "a think time",
    doc: "A random think time.",
    keys: &[must("lognormal", &Shape::Map(&LOGNORMAL), "Log-normal distribution.")],
    groups: &[],
};

/// Parameters of a log-normal think time.
pub(crate) static LOGNORMAL: Table = Table {
    name: "a log-normal time",
    doc: "Log-normal distribution of think times.",
    keys: &[
        must("median", &Shape::Limit, "Median."),
        must("sigma", &Shape::Positive, "Standard deviation of the logarithm."),
        must("max", &Shape::Limit, "Longest time; longer draws are cut to it."),
    ],
    groups: &[],
};

static EXPECT: Table = Table {
    name: "an expectation",
    doc: "One expectation: a map with exactly one key.",
    keys: &[
        may("status", &Shape::OneOrMore(&Shape::Whole(100, 599)), "HTTP status, or a list of possible ones."),
        may("header", &Shape::Map(&HEADER_TEST), "A response header."),
        may("json", &Shape::Map(&JSON_TEST), "A part of the response document."),
        may("answer", &Shape::Map(&VALUE_TEST), "The answer as the user sees it."),
        may("events", &Shape::Events, "Order of the events other than ping: names, `|`, `( )`, `*`, `+`, `?`."),
        may("timing", &Shape::Map(&TIMING), "A measured time."),
    ],
    groups: &[Group::One(&["status", "header", "json", "answer", "events", "timing"])],
};

/// Types and forms that `is` knows.
pub(crate) static KINDS: &[&str] =
    &["uuid", "string", "integer", "number", "boolean", "object", "array", "null", "unix-seconds", "non-empty"];

macro_rules! test_keys {
    ($($first:expr,)*) => {
        &[
            $($first,)*
            may("equals", &Shape::Json, "Equal to this."),
            may("not-equals", &Shape::Json, "Not equal to this."),
            may("contains", &Shape::Json, "A text with this in it, or an array with this element."),
            may("not-contains", &Shape::Json, "A text without this in it, or an array without this element."),
            may("is", &Shape::Choice(KINDS), "Type or form."),
            may("exists", &Shape::Flag, "Present (true) or absent (false)."),
            may("min", &Shape::Number, "At least this number."),
            may("max", &Shape::Number, "At most this number."),
            may("length", &Shape::Whole(0, u32::MAX as u64), "Number of elements of an array, of characters of a text."),
            may("matches", &Shape::Regex, "A regular expression found in the text."),
        ]
    };
}

/// Keys that are tests of a value.
pub(crate) static TESTS: &[&str] =
    &["equals", "not-equals", "contains", "not-contains", "is", "exists", "min", "max", "length", "matches"];

static JSON_TEST: Table = Table {
    name: "a JSON test",
    doc: "What must hold for a part of the response document; all given tests must hold.",
    keys: test_keys!(must("at", &Shape::Path, "Which part: a path by RFC 9535."),),
    groups: &[Group::Some(TESTS)],
};

static VALUE_TEST: Table = Table {
    name: "an answer test",
    doc: "What must hold for the answer; all given tests must hold.",
    keys: test_keys!(),
    groups: &[Group::Some(TESTS)],
};

static HEADER_TEST: Table = Table {
    name: "a header test",
    doc: "What must hold for a header; all given tests must hold.",
    keys: &[
        must("name", &Shape::Word(&HEADER), "Name of the header, in any case."),
        may("media-type", &Shape::Word(&MEDIA), "The media type without its parameters, in lower case."),
        may("equals", &Shape::Json, "Equal to this text."),
        may("not-equals", &Shape::Json, "Not equal to this text."),
        may("contains", &Shape::Json, "With this text in it."),
        may("not-contains", &Shape::Json, "Without this text in it."),
        may("exists", &Shape::Flag, "Present (true) or absent (false)."),
        may("matches", &Shape::Regex, "A regular expression found in the value."),
    ],
    groups: &[Group::Some(&["media-type", "equals", "not-equals", "contains", "not-contains", "exists", "matches"])],
};

static TIMING: Table = Table {
    name: "a timing",
    doc: "A limit for a measured time.",
    keys: &[
        must(
            "of",
            &Shape::Choice(&["ttfb", "ttfe", "ttft", "e2e"]),
            "`ttfb` first byte, `ttfe` first event, `ttft` first text of the answer, `e2e` the whole exchange.",
        ),
        must("max", &Shape::Limit, "Longest time."),
    ],
    groups: &[],
};

/// All tables, for hints about keys in the wrong place and for the JSON Schema.
pub(crate) static TABLES: &[&Table] = &[
    &SCENARIO,
    &TARGET,
    &DATA,
    &RANDOM,
    &STEP,
    &AUTH,
    &CHAT,
    &COMPLETION,
    &WORKFLOW,
    &DURING,
    &HISTORY,
    &CONVERSATIONS,
    &RENAME,
    &DELETE,
    &FEEDBACK,
    &STOP,
    &UPLOAD,
    &FILE,
    &REQUEST,
    &PARALLEL,
    &TIMEOUT,
    &SNAPSHOT,
    &THINK,
    &LOGNORMAL,
    &EXPECT,
    &HEADER_TEST,
    &JSON_TEST,
    &VALUE_TEST,
    &TIMING,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::shape::Key;

    fn all_keys() -> impl Iterator<Item = (&'static Table, &'static Key)> {
        TABLES.iter().flat_map(|t| t.keys.iter().map(move |k| (*t, k)))
    }

    #[test]
    fn every_key_is_described_and_stands_once_in_its_table() {
        for (table, key) in all_keys() {
            assert!(key.doc.ends_with('.'), "{} {}", table.name, key.name);
            assert_eq!(table.keys.iter().filter(|k| k.name == key.name).count(), 1, "{} {}", table.name, key.name);
        }
    }

    #[test]
    fn groups_name_only_keys_of_their_table() {
        for table in TABLES {
            for group in table.groups {
                let (Group::One(names) | Group::AtMostOne(names) | Group::Some(names)) = group;
                names.iter().for_each(|n| assert!(table.key(n).is_some(), "{} {n}", table.name));
            }
        }
    }

    #[test]
    fn forms_accept_their_own_examples_and_no_blank() {
        for form in [&ID, &RULE, &STEP_ID, &METHOD, &VARIABLE, &HEADER, &MEDIA] {
            assert!(form.fits(form.example), "{}", form.pattern);
            assert!(!form.fits("a b") && !form.fits(""), "{}", form.pattern);
        }
    }
}
