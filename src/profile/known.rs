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
        reason: "DELETE does not check the owner: 204, and the other user's conversation is gone",
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
        reason: "code `unknown` for unhandled 500s",
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
        reason: "code `unknown` for unhandled 500s",
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
