//! Known deviations: where a measured version differs from the documentation.

/// One known deviation.
#[derive(Debug)]
pub struct Known {
    /// Rule id.
    pub rule: &'static str,
    /// Parts of the rule it is about; empty for all.
    pub checks: &'static [&'static str],
    /// What the version does instead.
    pub reason: &'static str,
    /// Where that was seen or read.
    pub source: &'static str,
}

/// Dify 1.0 to 1.12.
pub const DIFY_1_12: &[Known] = &[
    Known {
        rule: "chat.inputs.ignored-on-continuation",
        checks: &[],
        reason: "Dify since 1.0 applies and stores new inputs on every turn, against the documentation of the time",
        source: "langgenius/dify PR 7955; measured on 1.12.1",
    },
    Known {
        rule: "chat.isolation.user-delete",
        checks: &[],
        reason: "DELETE checks neither owner nor app: 204, and the other user's conversation is gone",
        source: "langgenius/dify PR 32686 (fixed after 1.13.0); measured on 1.12.1",
    },
    Known {
        rule: "conversations.delete",
        checks: &["second-delete", "unknown"],
        reason: "DELETE of an unknown or already deleted conversation answers 204",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "error.code.known",
        checks: &["code"],
        reason: "code `unknown` for unhandled 500s, `bad_request_key_error` for a missing form part",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "error.status.class",
        checks: &["non-object-body", "odd-value", "rename", "annotation-reply", "run-detail", "variables"],
        reason: "500 for a JSON body that is no object, values of an unexpected type, names and users over 255 characters, \
                 malformed run ids, filtered variables",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "files.owner-only",
        checks: &["foreign"],
        reason: "only the workspace of a file is checked: another user's file is accepted and reaches the model",
        source: "measured on 1.12.1; Dify source, factories/file_factory.py",
    },
    Known {
        rule: "files.upload.errors",
        checks: &["same-name"],
        reason: "of two parts named `file` the first is taken, and the other is not noticed",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "agent.message-file",
        checks: &["answer"],
        reason: "every piece of the answer to a turn with a file is sent as message_file",
        source: "langgenius/dify PR 22988, PR 32019, issue 36990; measured on 1.12.1",
    },
    Known {
        rule: "annotation.list.cap",
        checks: &["has-more"],
        reason: "has_more says only that the page has as many rows as were asked for",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "chatflow.terminal.order",
        checks: &["order"],
        reason: "chatflows send workflow_finished before message_end",
        source: "langgenius/dify PR 32985 (changed in 1.13.1); measured on 1.12.1",
    },
    Known {
        rule: "workflow.run-detail.unknown-404",
        checks: &["status"],
        reason: "the detail of an unknown run is 200 with every member null",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "workflow.node.index",
        checks: &["increasing"],
        reason: "`index` is 1 for every node",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "stop.status.stopped",
        checks: &["status", "finished-at"],
        reason: "the record of a stopped run stays `running`",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "variables.errors",
        checks: &["filter"],
        reason: "variable_name is answered with 500 on PostgreSQL",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "req.json.non-object",
        checks: &["status"],
        reason: "500 `unknown` for any JSON body that is no object",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "stop.wrong-user-noop",
        checks: &["chatflow"],
        reason: "a chatflow is stopped by anybody: its text runs on, then the run fails and the stored answer is empty",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "concurrency.end-user-race",
        checks: &["listed", "continued"],
        reason: "parallel first requests of a new user make several end users, of which one is found later",
        source: "langgenius/dify issue 28675; measured on 1.12.1",
    },
    Known {
        rule: "rate.429.too-many",
        checks: &["status", "code"],
        reason: "a generation above the app's limit is refused with 400 `invalid_param`",
        source: "measured on 1.12.1",
    },
    Known {
        rule: "http.version-header",
        checks: &["index"],
        reason: "GET /v1/ does not exist; X-Version is the only place",
        source: "measured on 1.12.1",
    },
];

/// Dify before 1.0.
pub const DIFY_0_15: &[Known] = &[
    Known {
        rule: "chat.inputs.applied-on-continuation",
        checks: &[],
        reason: "before 1.0 later inputs are neither used nor validated",
        source: "langgenius/dify PR 7955; measured on 0.15.3",
    },
    Known {
        rule: "req.inputs.required",
        checks: &["null", "array"],
        reason: "`inputs` null or [] is taken as {}",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "req.query.required",
        checks: &["not-a-string"],
        reason: "a query that is no string is turned into text",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "error.body.shape",
        checks: &["status-member"],
        reason: "parameter errors and unhandled 500s have no `status` member",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "error.code.known",
        checks: &["code"],
        reason: "code `unknown` for unhandled 500s, `bad_request_key_error` for a missing form part",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "error.status.class",
        checks: &["non-object-body", "odd-value", "rename", "run-detail"],
        reason: "500 for a JSON body that is no object, a user over 255 characters, a rename without a name",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "conversations.rename",
        checks: &["blank-name", "missing-name"],
        reason: "a blank name is stored, a missing one is a 500",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "conversations.delete",
        checks: &["success-status"],
        reason: "DELETE answers 200 with {\"result\":\"success\"} instead of 204",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "info.shape",
        checks: &["mode", "author-name"],
        reason: "GET /info has no mode and no author_name",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "files.owner-only",
        checks: &["foreign"],
        reason: "only the workspace of a file is checked: another user's file is accepted and reaches the model",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "files.upload.errors",
        checks: &["no-file-code", "slash", "same-name"],
        reason: "without a file the code is bad_request_key_error, names with slashes are accepted, and of two parts named \
                 `file` the first is taken",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "files.message-files",
        checks: &["upload-file-id"],
        reason: "message_files has no upload_file_id",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "chatflow.terminal.order",
        checks: &["order"],
        reason: "chatflows send workflow_finished before message_end",
        source: "langgenius/dify PR 32985 (changed in 1.13.1); measured on 0.15.3",
    },
    Known {
        rule: "workflow.run-detail.unknown-404",
        checks: &["status"],
        reason: "the detail of an unknown run is 200 with every member null",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "workflow.run-detail",
        checks: &["chatflow"],
        reason: "run details are shown to workflow apps only",
        source: "langgenius/dify issue 18753; measured on 0.15.3",
    },
    Known {
        rule: "workflow.run-isolation",
        checks: &["read"],
        reason: "a workflow app's key reads the runs of chatflows",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "workflow.logs.consistent",
        checks: &["user-filter"],
        reason: "created_by_end_user_session_id is ignored",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "workflow.disconnect-continues",
        checks: &["status"],
        reason: "a run whose client has gone stays `running`",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "usage.sum",
        checks: &["tokens"],
        reason: "message_end of agents has total_tokens 0",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "usage.latency",
        checks: &["zero"],
        reason: "message_end of agents has latency 0",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "time.unix-seconds",
        checks: &["seconds"],
        reason: "times of GET /workflows/run/{id} are texts such as `Mon, 23 Nov 2026 10:24:33 -0000`",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "req.json.non-object",
        checks: &["status"],
        reason: "500 `unknown` for any JSON body that is no object",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "chat.name.generated",
        checks: &["prefix"],
        reason: "a new conversation is called \"New conversation\"",
        source: "measured on 0.15.3",
    },
    Known {
        rule: "concurrency.end-user-race",
        checks: &["listed", "continued"],
        reason: "parallel first requests of a new user make several end users, of which one is found later",
        source: "langgenius/dify issue 28675; measured on 0.15.3",
    },
];
