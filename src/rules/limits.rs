//! Area `request-validation`, page sizes of lists.

use super::notes::Notes;
use super::request::canonical_uuid;
use super::rule::{CHATS, Judge, Load, Rule, always};
use super::run::Run;
use super::seen::Seen;
use crate::model::{App, Endpoint, Level};
use serde_json::Value;

/// The greatest page of a list.
fn greatest(endpoint: Endpoint) -> Option<i64> {
    match endpoint {
        Endpoint::Conversations | Endpoint::Messages | Endpoint::Variables => Some(100),
        Endpoint::AppFeedbacks => Some(101),
        _ => None,
    }
}

/// A list of something that exists, asked for by its own user: nothing but `limit` can be wrong with it.
fn answerable(run: &Run, app: &App, s: &Seen) -> bool {
    let id = match s.endpoint() {
        Endpoint::Messages => s.route.param("conversation_id"),
        Endpoint::Variables => s.route.ids.first().map(String::as_str),
        _ => return true,
    };
    let conversation = id.and_then(canonical_uuid).and_then(|id| run.conversation(app, &id));
    conversation.is_some_and(|c| {
        s.sent.user.as_deref() == Some(&c.user) && c.alive_during(s) && c.turns_before(s).next().is_some()
    })
}

fn nothing_else_asked(s: &Seen) -> bool {
    s.route.query.iter().all(|(name, _)| matches!(name.as_str(), "limit" | "user" | "conversation_id"))
}

/// Source: OpenAPI, parameter `limit` of each list.
fn range(run: &Run, app: &App, n: &mut Notes) {
    for s in run.on(app).filter(|s| s.has_key() && s.exchange.reply.is_some()) {
        let Some(most) = greatest(s.endpoint()) else { continue };
        // a route this version does not have is no answer
        if !answerable(run, app, s) || (s.is(404) && s.json.is_none()) {
            continue;
        }
        let shown = s.json.filter(|_| s.is(200)).and_then(|j| j.get("limit")).and_then(Value::as_i64);
        match s.route.param("limit").map(|text| text.trim().parse::<i64>()) {
            None => {
                if let Some(limit) = shown {
                    n.expect(limit == 20, s, "default", "limit 20 where none is given", || format!("limit {limit}"));
                }
            }
            Some(Ok(limit)) if (1..=most).contains(&limit) => {
                let legal = !(s.is(400) && s.error_code() == Some("invalid_param"));
                if nothing_else_asked(s) {
                    n.expect(legal, s, "legal", format!("limit {limit} to be accepted"), || s.outcome_text());
                }
                if let Some(told) = shown {
                    n.expect(told == limit, s, "told", format!("limit {limit}"), || format!("limit {told}"));
                }
            }
            Some(asked) => {
                let check = match asked {
                    Ok(limit) if limit < 1 => "below",
                    Ok(_) => "above",
                    Err(_) => "not-a-number",
                };
                n.expect(
                    s.is(400) && s.error_code() == Some("invalid_param"),
                    s,
                    check,
                    "status 400 `invalid_param`",
                    || s.outcome_text(),
                );
            }
        }
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[Rule {
    id: "req.list-limit-range",
    area: "request-validation",
    level: Level::Must,
    title: "List `limit` is range checked",
    statement: "limit must be within 1..100 (feedbacks 1..101); 0, negative, 101 (102) and non-numbers give 400 `invalid_param`; default is 20.",
    source: "spec parameters; src pydantic Field(ge=1,le=100)",
    modes: CHATS,
    tested: "0, -1, 101 (102 for feedbacks) and a word on each list of the app: 400. Without limit: the answer says limit 20 (feedbacks say none).",
    versions: None,
    load: Load::No,
    judge: Judge::Run(range),
    absent: always,
}];
