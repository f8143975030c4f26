//! Area `variables`: conversation variables of chatflows, as they are listed, changed and used.

use super::notes::Notes;
use super::request::canonical_uuid;
use super::rule::{Judge, Load, Rule, always};
use super::run::{Conversation, Run};
use super::runs::CHATFLOW;
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, Endpoint, Level};
use crate::schema::Document;
use serde_json::Value;

/// One value of a variable that a server showed.
struct Shown<'r, 't> {
    seen: &'r Seen<'t>,
    name: &'r str,
    value: &'r str,
    item: &'r Value,
}

fn calls<'r, 't>(run: &'r Run<'t>, app: &'r App, endpoint: Endpoint) -> impl Iterator<Item = &'r Seen<'t>> {
    run.calls(app, endpoint).filter(|s| s.has_key() && s.exchange.reply.is_some())
}

/// The conversation that a path names, where its own user asks.
fn own<'r>(run: &'r Run, app: &App, s: &Seen) -> Option<&'r Conversation> {
    let conversation = run.conversation(app, &canonical_uuid(s.route.ids.first()?)?)?;
    (s.sent.user.as_deref() == Some(&conversation.user) && run.there(conversation, s)).then_some(conversation)
}

/// Values of a conversation's variables, in order of sending.
fn values<'r, 't>(
    run: &'r Run<'t>,
    app: &'r App,
    conversation: &'r Conversation,
) -> impl Iterator<Item = Shown<'r, 't>> {
    let reads = calls(run, app, Endpoint::Variables).filter(|s| s.is(200));
    let reads = reads.filter(move |s| own(run, app, s).is_some_and(|c| c.id == conversation.id));
    reads.flat_map(|seen| {
        let items = seen.json.and_then(|j| j.get("data")?.as_array()).map_or(&[][..], Vec::as_slice);
        items.iter().filter_map(move |item| {
            let (name, value) = (item.get("name")?.as_str()?, item.get("value")?.as_str()?);
            Some(Shown { seen, name, value, item })
        })
    })
}

/// Name and type of the variable with this id, from any answer that showed it.
fn declared<'r>(run: &'r Run, app: &'r App, id: &str) -> Option<(&'r str, &'r str)> {
    let named = |i: &&Value| i.get("id").and_then(Value::as_str) == Some(id);
    let reads = calls(run, app, Endpoint::Variables).filter(|s| s.is(200));
    let item = reads.into_iter().find_map(|s| {
        let item = s.json?.get("data")?.as_array()?.iter().find(named)?;
        own(run, app, s).filter(|c| !c.mixed_up).map(|_| item)
    })?;
    Some((item.get("name")?.as_str()?, item.get("value_type")?.as_str()?))
}

/// A change of a variable by its own user.
struct Put<'r, 't> {
    seen: &'r Seen<'t>,
    conversation: &'r Conversation,
    name: &'r str,
    kind: &'r str,
    value: &'r Value,
}

fn puts<'r, 't>(run: &'r Run<'t>, app: &'r App) -> impl Iterator<Item = Put<'r, 't>> {
    calls(run, app, Endpoint::VariableUpdate).filter_map(move |seen| {
        let conversation = own(run, app, seen)?;
        let (name, kind) = declared(run, app, seen.route.ids.get(1)?)?;
        Some(Put { seen, conversation, name, kind, value: seen.sent.member("value")? })
    })
}

/// Whether a JSON value is of a variable's type; `None` for types that nothing is said about.
fn fits(kind: &str, value: &Value) -> Option<bool> {
    Some(match kind {
        "string" | "secret" => value.is_string(),
        "number" | "integer" | "float" => value.is_number(),
        "object" => value.is_object(),
        "boolean" => value.is_boolean(),
        _ if kind.starts_with("array") => value.is_array(),
        _ => return None,
    })
}

/// A value as servers show it: as text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn same(kind: &str, shown: &str, sent: &Value) -> bool {
    match kind {
        "object" => true,
        _ if kind.starts_with("array") => true, // some versions print them in their own way
        "number" | "integer" | "float" => shown.parse::<f64>().ok() == sent.as_f64(),
        _ => shown == plain(sent),
    }
}

/// Source: OpenAPI `ConversationVariablesResponse`.
fn list_shape(s: &Seen, n: &mut Notes) {
    let document = match s.endpoint() {
        Endpoint::Variables => Document::Variables,
        Endpoint::VariableUpdate => Document::Variable,
        _ => return,
    };
    if let Some(json) = s.json.filter(|_| s.is(200)) {
        n.fits(s, document, json);
    }
}

/// Whether the server has the operations: an unknown route is a 404 without JSON.
fn offered(run: &Run, app: &App) -> bool {
    calls(run, app, Endpoint::Variables).chain(calls(run, app, Endpoint::VariableUpdate)).any(|s| s.json.is_some())
}

fn not_offered(run: &Run, app: &App) -> Option<String> {
    (!offered(run, app)).then(|| "the server does not offer conversation variables".to_owned())
}

/// Texts that belong to one conversation: its queries, inputs and values set, long enough and with a digit, so that no
/// other conversation has them by chance.
fn marks(run: &Run, app: &App, conversation: &Conversation) -> Vec<String> {
    let seen: Vec<&Seen> = conversation.turns.iter().map(|t| run.at(t)).collect();
    let inputs = seen.iter().flat_map(|s| s.sent.inputs().into_iter().flatten().map(|(_, v)| plain(v)));
    let queries = seen.iter().filter_map(|s| s.sent.query().map(str::to_owned));
    let set = puts(run, app).filter(|p| p.conversation.id == conversation.id).map(|p| plain(p.value));
    let texts = inputs.chain(queries).chain(set);
    texts.filter(|t| t.chars().count() >= 5 && t.chars().any(|c| c.is_ascii_digit())).collect()
}

/// Source: documentation (values of a session); Dify source `ConversationVariable(conversation_id)`.
fn session_scoped(run: &Run, app: &App, n: &mut Notes) {
    let all: Vec<(&Conversation, Vec<String>)> = run.conversations_of(app).map(|c| (c, marks(run, app, c))).collect();
    for (conversation, own) in &all {
        let strange = |text: &str| {
            let others = all.iter().filter(|(c, _)| c.id != conversation.id);
            let mut theirs = others.flat_map(|(c, marks)| marks.iter().map(move |m| (c, m)));
            let of = theirs.find(|(_, m)| text == m.as_str() && !own.iter().any(|o| o.contains(m.as_str())));
            of.map(|(c, _)| c.id.clone())
        };
        for shown in values(run, app, conversation) {
            // In an incomplete recording the text may be this conversation's, too.
            let other = strange(shown.value).filter(|_| run.transcript.complete);
            n.expect(other.is_none(), shown.seen, "listed", format!("`{}` of this conversation", shown.name), || {
                format!("`{}`, a text of conversation {}", clip(shown.value), other.clone().unwrap_or_default())
            });
        }
        spoken(run, conversation, own, &all, n);
    }
}

/// Answers show no text of another conversation: the way to see variables where they cannot be listed.
fn spoken(run: &Run, conversation: &Conversation, own: &[String], all: &[(&Conversation, Vec<String>)], n: &mut Notes) {
    for turn in conversation.turns.iter().filter(|t| t.completed) {
        let s = run.at(turn);
        let Some(answer) = s.answer() else { continue };
        let others = all.iter().filter(|(c, _)| c.id != conversation.id && run.transcript.complete);
        let stray = others.flat_map(|(_, marks)| marks).filter(|m| m.chars().count() >= 8).find(|m| {
            answer.contains(m.as_str()) && !own.iter().any(|o| o.contains(m.as_str()) || m.contains(o.as_str()))
        });
        n.expect(stray.is_none(), s, "answered", "an answer from this conversation's values", || {
            format!("`{}` of another conversation", clip(stray.map_or("", String::as_str)))
        });
    }
}

/// The value that a conversation showed for a variable before a moment, latest first.
fn shown_before<'r>(run: &'r Run, app: &'r App, c: &'r Conversation, name: &str, at: u64) -> Option<&'r str> {
    let before = values(run, app, c).filter(|v| v.name == name && v.seen.exchange.ended_us() <= at);
    before.last().map(|v| v.value)
}

/// Last turn that had ended when a request was sent.
fn turn_before<'c>(conversation: &'c Conversation, s: &Seen) -> Option<&'c super::run::Turn> {
    conversation.turns_before(s).last()
}

/// Whether a variable was set by hand after a moment and before a request.
fn put_since(run: &Run, app: &App, c: &Conversation, name: &str, from: u64, s: &Seen) -> bool {
    puts(run, app).any(|p| {
        let inside = p.seen.exchange.ended_us() >= from && p.seen.exchange.timing.sent_us <= s.exchange.timing.sent_us;
        p.conversation.id == c.id && p.name == name && p.seen.is(200) && inside
    })
}

/// Names of variables that a flow sets to the query of each turn: seen after a later turn of some conversation, at least
/// twice, and more often so than not.
fn follows_query(run: &Run, app: &App, name: &str) -> bool {
    let (mut yes, mut no) = (0, 0);
    for conversation in run.conversations_of(app) {
        for shown in values(run, app, conversation).filter(|v| v.name == name) {
            let Some(turn) = turn_before(conversation, shown.seen) else { continue };
            let settled = turn.completed && !conversation.busy_during(shown.seen);
            if settled && !put_since(run, app, conversation, name, turn.ended_us, shown.seen) {
                if shown.value == turn.query { yes += 1 } else { no += 1 }
            }
        }
    }
    yes >= 2 && yes > no
}

/// Source: documentation; Dify source, variable assigner node.
fn persist(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        for shown in values(run, app, conversation) {
            let Some(turn) = turn_before(conversation, shown.seen).filter(|t| t.completed) else { continue };
            if conversation.busy_during(shown.seen) {
                continue;
            }
            let by_hand = put_since(run, app, conversation, shown.name, turn.ended_us, shown.seen);
            if !by_hand && follows_query(run, app, shown.name) {
                // A foreign recording may lack a change made by hand.
                let kept = shown.value == turn.query || !run.transcript.complete;
                n.expect(kept, shown.seen, "assigned", format!("`{}` {}", shown.name, clip(&turn.query)), || {
                    clip(shown.value)
                });
            }
        }
    }
    for put in puts(run, app).filter(|p| p.seen.is(200)) {
        reset_by_turn(run, app, &put, n);
    }
    for conversation in run.conversations_of(app) {
        still_listed(run, app, conversation, n);
    }
}

/// A variable that a conversation once had is in every later list of it. Real bugs: langgenius/dify issues 34705, 15791.
fn still_listed(run: &Run, app: &App, conversation: &Conversation, n: &mut Notes) {
    let asked_for_all = |s: &&Seen| s.route.param("variable_name").is_none() && s.route.param("last_id").is_none();
    let reads = calls(run, app, Endpoint::Variables).filter(|s| s.is(200)).filter(asked_for_all);
    let reads = reads.filter(|s| own(run, app, s).is_some_and(|c| c.id == conversation.id));
    let mut known: Vec<(&str, &Seen)> = Vec::new();
    for s in reads {
        let Some(page) = s.json.filter(|page| page.get("has_more") == Some(&Value::Bool(false))) else {
            continue;
        };
        let names: Vec<&str> =
            page.get("data").and_then(Value::as_array).into_iter().flatten().filter_map(name_of).collect();
        let gone = known.iter().find(|(name, _)| !names.contains(name));
        n.expect(gone.is_none(), s, "listed", "every variable that the conversation had", || {
            format!("a list without `{}`", gone.map(|(name, _)| *name).unwrap_or_default())
        });
        if let Some((_, before)) = gone {
            n.with(before);
            return;
        }
        known.extend(names.into_iter().map(|name| (name, s)));
    }
}

fn name_of(item: &Value) -> Option<&str> {
    item.get("name")?.as_str()
}

/// A value set by hand does not fall back to what it was before because a turn was taken.
fn reset_by_turn(run: &Run, app: &App, put: &Put, n: &mut Notes) {
    let conversation = put.conversation;
    let (sent, ended) = (put.seen.exchange.timing.sent_us, put.seen.exchange.ended_us());
    let Some(before) = shown_before(run, app, conversation, put.name, sent).filter(|b| !same(put.kind, b, put.value))
    else {
        return;
    };
    let later =
        values(run, app, conversation).filter(|v| v.name == put.name && v.seen.exchange.timing.sent_us >= ended);
    // Whether it was stored at all is for another rule.
    let mut stored = false;
    for shown in later {
        stored |= same(put.kind, shown.value, put.value);
        let turned = conversation.turns.iter().filter(|t| t.completed && t.sent_us >= ended);
        let between: Vec<_> = turned.filter(|t| t.ended_us <= shown.seen.exchange.timing.sent_us).collect();
        let set_again = puts(run, app).any(|p| {
            let at = p.seen.exchange.timing.sent_us;
            p.seen.is(200)
                && p.name == put.name
                && p.conversation.id == conversation.id
                && at > sent
                && at <= shown.seen.exchange.timing.sent_us
        });
        if !stored || between.is_empty() || set_again || between.iter().any(|t| t.query == before) {
            continue;
        }
        let kept = shown.value != before || !run.transcript.complete;
        if !n.expect(kept, shown.seen, "reset", format!("`{}` {} as set", put.name, clip(&plain(put.value))), || {
            clip(before)
        }) {
            n.with(put.seen);
        }
        return;
    }
}

/// Source: OpenAPI `PUT /conversations/{id}/variables/{id}`.
fn update(run: &Run, app: &App, n: &mut Notes) {
    for put in puts(run, app).filter(|p| fits(p.kind, p.value) == Some(true)) {
        let s = put.seen;
        if !n.expect(s.is(200), s, "status", "status 200", || s.outcome_text()) {
            continue;
        }
        let shown = s.text("value").unwrap_or("");
        let wanted = format!("`{}` {}", put.name, clip(&plain(put.value)));
        n.expect(same(put.kind, shown, put.value), s, "value", wanted.clone(), || clip(shown));
        let ended = s.exchange.ended_us();
        let mut later = values(run, app, put.conversation).filter(|v| v.name == put.name);
        let Some(read) = later.find(|v| v.seen.exchange.timing.sent_us >= ended) else { continue };
        let at = read.seen.exchange.ended_us();
        let turned = put.conversation.turns.iter().any(|t| t.sent_us < at && t.ended_us > s.exchange.timing.sent_us);
        let again = puts(run, app).any(|p| {
            let other = p.seen.exchange.id != s.exchange.id && p.conversation.id == put.conversation.id;
            other
                && p.name == put.name
                && p.seen.exchange.timing.sent_us < at
                && p.seen.exchange.ended_us() > s.exchange.timing.sent_us
        });
        // A value of another conversation is for another rule.
        let others = run.conversations_of(app).filter(|c| c.id != put.conversation.id);
        let strange = others.flat_map(|c| marks(run, app, c)).any(|m| m == read.value && plain(put.value) != m);
        if turned || again || strange {
            continue;
        }
        // Another change may be missing.
        let stored = same(put.kind, read.value, put.value) || !run.transcript.complete;
        if !n.expect(stored, read.seen, "stored", wanted, || clip(read.value)) {
            n.with(s);
        }
        let stamp = |v: &Value| v.get("updated_at").and_then(Value::as_i64);
        let known = values(run, app, put.conversation).filter(|v| v.name == put.name);
        let before = known
            .filter(|v| v.seen.exchange.ended_us() <= s.exchange.timing.sent_us)
            .last()
            .and_then(|v| stamp(v.item));
        if let (Some(was), Some(is)) = (before, stamp(read.item)) {
            n.expect(is >= was, read.seen, "updated-at", format!("updated_at not before {was}"), || is.to_string());
        }
    }
}

/// Source: OpenAPI 400 of the same operation.
fn type_mismatch(run: &Run, app: &App, n: &mut Notes) {
    for put in puts(run, app).filter(|p| fits(p.kind, p.value) == Some(false)) {
        let s = put.seen;
        let refused = s.is(400) && s.error_code() == Some("bad_request");
        let expected = format!("status 400 `bad_request` for {} in a {}", clip(&put.value.to_string()), put.kind);
        n.expect(refused, s, "status", expected, || s.outcome_text());
        let ended = s.exchange.ended_us();
        let Some(before) = shown_before(run, app, put.conversation, put.name, s.exchange.timing.sent_us) else {
            continue;
        };
        let mut later = values(run, app, put.conversation).filter(|v| v.name == put.name);
        if let Some(read) = later.find(|v| v.seen.exchange.timing.sent_us >= ended) {
            let mine = plain(put.value);
            let changed = read.value == mine && before != mine;
            n.expect(!changed, read.seen, "stored", format!("`{}` {} as before", put.name, clip(before)), || {
                clip(read.value)
            });
        }
    }
}

fn nothing_changed(run: &Run, app: &App) -> Option<String> {
    not_offered(run, app)
        .or_else(|| puts(run, app).next().is_none().then(|| "the chatflow has no conversation variable".to_owned()))
}

/// Source: OpenAPI 400 and 404 of the variable operations.
fn errors(run: &Run, app: &App, n: &mut Notes) {
    if !offered(run, app) {
        return;
    }
    for s in calls(run, app, Endpoint::Variables).chain(calls(run, app, Endpoint::VariableUpdate)) {
        let Some(id) = s.route.ids.first().and_then(|id| canonical_uuid(id)) else { continue };
        let Some(conversation) = run.conversation(app, &id) else {
            if run.transcript.complete || matches!(s.exchange.status(), 404) {
                n.expect(s.is(404), s, "conversation", "status 404 for an unknown conversation", || s.outcome_text());
            }
            continue;
        };
        let stranger = s.sent.user.as_deref().is_some_and(|u| u != conversation.user);
        if stranger {
            n.expect(s.is(404), s, "other-user", "status 404 for another user", || s.outcome_text());
        } else if own(run, app, s).is_some() {
            own_errors(run, app, s, n);
        }
    }
}

fn own_errors(run: &Run, app: &App, s: &Seen, n: &mut Notes) {
    if s.endpoint() == Endpoint::VariableUpdate {
        let id = s.route.ids.get(1).map_or("", String::as_str);
        if canonical_uuid(id).is_some() && declared(run, app, id).is_none() && s.sent.member("value").is_some() {
            let told = run.transcript.complete || s.is(404);
            n.expect(s.is(404) || !told, s, "variable", "status 404 for an unknown variable", || s.outcome_text());
        }
        return;
    }
    if let Some(cursor) = s.route.param("last_id").filter(|id| !id.is_empty()) {
        if canonical_uuid(cursor).is_some() && declared(run, app, cursor).is_none() && run.transcript.complete {
            n.expect(s.is(400), s, "cursor", "status 400 for an unknown last_id", || s.outcome_text());
        }
        return;
    }
    let word = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if let Some(name) = s.route.param("variable_name").filter(word) {
        let items = s.json.and_then(|j| j.get("data")?.as_array()).map_or(&[][..], Vec::as_slice);
        let lower = name.to_ascii_lowercase();
        // "Specific name" in the documentation, a part of it in the source: both are accepted.
        let shown = |i: &Value| i.get("name").and_then(Value::as_str).unwrap_or("").to_ascii_lowercase();
        let other = items.iter().map(shown).find(|shown| !shown.contains(&lower));
        let holds = s.is(200) && other.is_none();
        n.expect(holds, s, "filter", format!("status 200 with variables named `{name}`"), || {
            other.map_or_else(|| s.outcome_text(), |o| format!("`{}`", clip(&o)))
        });
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "variables.list.shape",
        area: "variables",
        level: Level::Must,
        title: "Variable list shape",
        statement: "{limit, has_more, data[]} with id UUID, name, value_type of the documented set, value, description, created_at, updated_at.",
        source: "spec ConversationVariablesResponse",
        modes: CHATFLOW,
        tested: "Type and enum check.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(list_shape),
        absent: not_offered,
    },
    Rule {
        id: "variables.session-scoped",
        area: "variables",
        level: Level::Must,
        title: "Variables belong to one conversation",
        statement: "A value set or assigned in one conversation never shows in another; a new conversation starts from the default.",
        source: "documentation (session-specific values); src ConversationVariable(conversation_id)",
        modes: CHATFLOW,
        tested: "Values are set in one conversation, others are listed and answer; texts of one conversation must not show in another.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(session_scoped),
        absent: always,
    },
    Rule {
        id: "variables.persist-across-turns",
        area: "variables",
        level: Level::Must,
        title: "Values survive turns",
        statement: "What a turn assigned is returned by GET and used by the next turn.",
        source: "documentation; guide chat.mdx; src VariableAssigner",
        modes: CHATFLOW,
        tested: "A variable that takes the query of each turn is read after turns; a value set by hand is read after a turn that does not assign it.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(persist),
        absent: nothing_changed,
    },
    Rule {
        id: "variables.update",
        area: "variables",
        level: Level::Must,
        title: "PUT changes the value",
        statement: "200 with the new value; GET agrees; updated_at does not go back.",
        source: "spec; src update_conversation_variable",
        modes: CHATFLOW,
        tested: "PUT of a string and a number, then GET. Objects and arrays are only read for the status: versions print them in their own way.",
        versions: Some(">=1.7.2/1.7.3"),
        load: Load::No,
        judge: Judge::Run(update),
        absent: nothing_changed,
    },
    Rule {
        id: "variables.update.type-mismatch",
        area: "variables",
        level: Level::Must,
        title: "Wrong type is 400",
        statement: "A value not matching value_type gives 400 `bad_request` and changes nothing.",
        source: "spec 400; src ConversationVariableTypeMismatchError",
        modes: CHATFLOW,
        tested: "PUT \"abc\" to a number. Assert 400; GET unchanged.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(type_mismatch),
        absent: nothing_changed,
    },
    Rule {
        id: "variables.errors",
        area: "variables",
        level: Level::Should,
        title: "Unknown ids are 404; filter and cursor work",
        statement: "Unknown conversation or variable: 404; variable_name filters; bad last_id: 400; limit/has_more as elsewhere.",
        source: "spec 400/404; src",
        modes: CHATFLOW,
        tested: "Random UUIDs, another user, an unknown last_id, variable_name of a variable: only names that contain it. Dify 1.12.1 on PostgreSQL answers the filter with 500: a known deviation.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(errors),
        absent: not_offered,
    },
];
