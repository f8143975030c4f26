//! Dify 1.13: nothing was measured on it. Each row says whose word it is: that of an issue or pull request, or that of
//! 1.12.1, where it was measured and no later change is documented.

use super::known::Known;

const MEASURED_BEFORE: &str = "measured on 1.12.1, no change documented; nothing was measured on 1.13";

/// A deviation of 1.12.1 that no pull request is known to have changed.
const fn still(rule: &'static str, checks: &'static [&'static str], reason: &'static str) -> Known {
    Known { rule, checks, reason, source: MEASURED_BEFORE }
}

/// Dify 1.13, all of it.
pub const DIFY_1_13: &[Known] = &[
    Known {
        rule: "chat.inputs.ignored-on-continuation",
        checks: &[],
        reason: "Dify since 1.0 applies and stores new inputs on every turn, against the documentation of the time",
        source: "langgenius/dify PR 7955; nothing was measured on 1.13",
    },
    Known {
        rule: "agent.message-file",
        checks: &["answer"],
        reason: "every piece of the answer to a turn with a file is sent as message_file",
        source: "langgenius/dify issue 36990 (to mid-2026); nothing was measured on 1.13",
    },
    Known {
        rule: "concurrency.end-user-race",
        checks: &["listed", "continued"],
        reason: "parallel first requests of a new user make several end users, of which one is found later",
        source: "langgenius/dify issue 28675, and PR 36742 on 1.14.2; nothing was measured on 1.13",
    },
    still(
        "error.code.known",
        &["code"],
        "code `unknown` for unhandled 500s, `bad_request_key_error` for a missing form part",
    ),
    still(
        "error.status.class",
        &["non-object-body", "odd-value", "rename", "annotation-reply", "run-detail", "variables"],
        "500 for a JSON body that is no object, values of an unexpected type, names and users over 255 characters, \
         malformed run ids, filtered variables",
    ),
    still(
        "files.owner-only",
        &["foreign"],
        "only the workspace of a file is checked: another user's file is accepted and reaches the model",
    ),
    still(
        "files.upload.errors",
        &["same-name"],
        "of two parts named `file` the first is taken, and the other is not noticed",
    ),
    still("annotation.list.cap", &["has-more"], "has_more says only that the page has as many rows as were asked for"),
    still("workflow.run-detail.unknown-404", &["status"], "the detail of an unknown run is 200 with every member null"),
    still("workflow.node.index", &["increasing"], "`index` is 1 for every node"),
    still("stop.status.stopped", &["status", "finished-at"], "the record of a stopped run stays `running`"),
    still("variables.errors", &["filter"], "variable_name is answered with 500 on PostgreSQL"),
    still("req.json.non-object", &["status"], "500 `unknown` for any JSON body that is no object"),
    still(
        "stop.wrong-user-noop",
        &["chatflow"],
        "a chatflow is stopped by anybody: its text runs on, then the run fails and the stored answer is empty",
    ),
    still(
        "rate.429.too-many",
        &["status", "code"],
        "a generation above the app's limit is refused with 400 `invalid_param`",
    ),
    still("http.version-header", &["index"], "GET /v1/ does not exist; X-Version is the only place"),
];

/// Only 1.13.0. That it also loses message_end (issue 32856) is a bug and stays a failure.
pub const DIFY_1_13_0: &[Known] = &[
    Known {
        rule: "chat.isolation.user-delete",
        checks: &[],
        reason: "to 1.13.0 DELETE does not check the owner: 204, and the other user's conversation is gone",
        source: "langgenius/dify PR 32686 (fixed after 1.13.0)",
    },
    Known {
        rule: "chat.isolation.app",
        checks: &["delete"],
        reason: "to 1.13.0 DELETE checks neither owner nor app: 204 with another app's key, and the conversation is gone",
        source: "langgenius/dify PR 32686 (fixed after 1.13.0)",
    },
    Known {
        rule: "conversations.delete",
        checks: &["second-delete", "unknown"],
        reason: "to 1.13.0 DELETE of an unknown or already deleted conversation answers 204",
        source: "langgenius/dify PR 32686 (fixed after 1.13.0)",
    },
    Known {
        rule: "chatflow.terminal.order",
        checks: &["order"],
        reason: "to 1.13.0 chatflows send workflow_finished before message_end, where both come at all",
        source: "langgenius/dify PR 32985 (changed in 1.13.1)",
    },
];
