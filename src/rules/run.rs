//! Everything seen in a run, arranged for rules that compare exchanges: conversations, their turns, reads of them.

use super::request::{Asked, canonical_uuid};
use super::seen::Seen;
use crate::model::{App, Endpoint, Transcript};
use crate::profile::Profile;
use crate::sse::Parsed;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// A transcript, parsed and arranged.
pub struct Run<'t> {
    /// The recording.
    pub transcript: &'t Transcript,
    /// The expectations in force.
    pub profile: &'t Profile,
    /// All exchanges in order of sending.
    pub seen: Vec<Seen<'t>>,
    /// All conversations that successful turns named, in order of appearance.
    pub conversations: Vec<Conversation>,
    by_id: HashMap<(String, String), usize>,
    /// Indexes into `seen` by app label and operation: judges ask for them hundreds of times.
    by_call: HashMap<String, Vec<(Endpoint, Vec<usize>)>>,
    /// Indexes into `seen` by app label.
    by_app: HashMap<String, Vec<usize>>,
    /// App and user of end users whose first requests of all came side by side.
    raced: HashSet<(String, String)>,
}

/// One accepted chat turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Index into [`Run::seen`].
    pub seen: usize,
    /// Message id of the answer.
    pub message_id: String,
    /// `query` as sent.
    pub query: String,
    /// Ran to its normal end, and nobody stopped it.
    pub completed: bool,
    /// Offsets of sending and of the end, microseconds since the start of the run.
    pub sent_us: u64,
    /// See `sent_us`.
    pub ended_us: u64,
}

/// One conversation as its turns showed it.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// App label.
    pub app: String,
    /// Canonical id.
    pub id: String,
    /// End user of its first seen turn.
    pub user: String,
    /// Its first turn was seen.
    pub from_start: bool,
    /// Accepted turns in order of sending.
    pub turns: Vec<Turn>,
    /// Offset at which a successful DELETE (by anybody) was sent, if one was.
    pub deleted_us: Option<u64>,
    /// That DELETE came from its own user.
    pub deleted_by_owner: bool,
    /// Some turn asked for one conversation and was answered from another, and this is one of the two.
    pub mixed_up: bool,
}

impl<'t> Run<'t> {
    /// Understands a transcript; `parsed` are the bodies of its exchanges, one for each.
    pub fn of(transcript: &'t Transcript, parsed: &'t [Parsed], profile: &'t Profile) -> Run<'t> {
        let base_path = base_path(&transcript.base_url);
        let mut seen: Vec<Seen> = Vec::with_capacity(transcript.exchanges.len());
        for (exchange, parsed) in transcript.exchanges.iter().zip(parsed) {
            if let Some(app) = transcript.app(&exchange.app) {
                seen.push(Seen::of(exchange, parsed, app, base_path, transcript.started_unix_us));
            }
        }
        seen.sort_by_key(|s| (s.exchange.timing.sent_us, s.exchange.id));
        let mut run = Run {
            transcript,
            profile,
            seen,
            conversations: Vec::new(),
            by_id: HashMap::new(),
            by_call: HashMap::new(),
            by_app: HashMap::new(),
            raced: HashSet::new(),
        };
        run.index();
        run.collect_turns();
        run.collect_deletes();
        run.raced = run.collect_raced();
        run
    }

    fn index(&mut self) {
        for (index, s) in self.seen.iter().enumerate() {
            let label = &s.app.label;
            self.by_app.entry(label.clone()).or_default().push(index);
            let calls = self.by_call.entry(label.clone()).or_default();
            match calls.iter_mut().find(|(endpoint, _)| *endpoint == s.endpoint()) {
                Some((_, indexes)) => indexes.push(index),
                None => calls.push((s.endpoint(), vec![index])),
            }
        }
    }

    fn collect_turns(&mut self) {
        let stopped = self.stopped_tasks();
        for index in 0..self.seen.len() {
            let s = &self.seen[index];
            if s.endpoint() != Endpoint::ChatMessages || !s.is(200) {
                continue;
            }
            let (Some(id), Some(message_id)) =
                (s.text("conversation_id").and_then(canonical_uuid), s.text("message_id"))
            else {
                continue;
            };
            let turn = Turn {
                seen: index,
                message_id: message_id.to_owned(),
                query: s.sent.query().unwrap_or("").to_owned(),
                completed: s.completed() && !s.text("task_id").is_some_and(|t| stopped.iter().any(|s| s == t)),
                sent_us: s.exchange.timing.sent_us,
                ended_us: s.exchange.ended_us(),
            };
            let (app, user) = (s.app.label.clone(), s.sent.user.clone().unwrap_or_default());
            let from_start = s.sent.starts_conversation() || s.sent.conversation == Asked::Blank;
            let key = (app.clone(), id.clone());
            let at = *self.by_id.entry(key).or_insert_with(|| {
                let turns = Vec::new();
                let conversation = Conversation {
                    app,
                    id,
                    user,
                    from_start,
                    turns,
                    deleted_us: None,
                    deleted_by_owner: false,
                    mixed_up: false,
                };
                self.conversations.push(conversation);
                self.conversations.len() - 1
            });
            self.conversations[at].turns.push(turn);
        }
        self.mark_mixed_up();
    }

    /// What became of a conversation after a turn was answered from another one cannot be told: one rule says so, and the
    /// others leave both alone.
    fn mark_mixed_up(&mut self) {
        for s in self.seen.iter().filter(|s| s.endpoint() == Endpoint::ChatMessages && s.is(200)) {
            let (Asked::Id(asked), Some(shown)) =
                (&s.sent.conversation, s.text("conversation_id").and_then(canonical_uuid))
            else {
                continue;
            };
            if *asked == shown {
                continue;
            }
            let app = &s.app.label;
            let both = |c: &&mut Conversation| c.app == *app && (c.id == *asked || c.id == shown);
            self.conversations.iter_mut().filter(both).for_each(|c| c.mixed_up = true);
        }
    }

    fn stopped_tasks(&self) -> Vec<String> {
        let stops = self.seen.iter().filter(|s| s.endpoint().stops());
        stops.filter_map(|s| s.route.ids.first().cloned()).collect()
    }

    fn collect_deletes(&mut self) {
        for s in &self.seen {
            if s.endpoint() != Endpoint::ConversationDelete || !s.succeeded() {
                continue;
            }
            let Some(id) = s.route.ids.first().and_then(|id| canonical_uuid(id)) else { continue };
            let Some(c) = self.conversations.iter_mut().find(|c| c.id == id) else { continue };
            if c.deleted_us.is_none() {
                c.deleted_us = Some(s.exchange.timing.sent_us);
                c.deleted_by_owner = c.app == s.app.label && Some(&c.user) == s.sent.user.as_ref();
            }
        }
    }

    /// A user is new with the first request that names it; first turns that were sent before that one ended race with it.
    fn collect_raced(&self) -> HashSet<(String, String)> {
        let mut met: HashMap<(String, String), (bool, u64)> = HashMap::new();
        let mut raced = HashSet::new();
        for s in self.seen.iter().filter(|s| s.exchange.reply.is_some()) {
            let Some(user) = s.sent.user.clone().filter(|u| !u.is_empty()) else { continue };
            let opens = s.endpoint() == Endpoint::ChatMessages && s.is(200) && s.sent.starts_conversation();
            let key = (s.app.label.clone(), user);
            match met.get(&key) {
                None => {
                    met.insert(key, (opens, s.exchange.ended_us()));
                }
                Some((true, until)) if opens && s.exchange.timing.sent_us < *until => {
                    raced.insert(key);
                }
                Some(_) => {}
            }
        }
        raced
    }

    /// Whether the first requests of this end user came side by side, so that some servers know several users by its name.
    pub fn raced(&self, app: &App, user: &str) -> bool {
        self.raced.contains(&(app.label.clone(), user.to_owned()))
    }

    /// The first answered turn of its own user that asks for a conversation at or after this offset and has nothing
    /// wrong with it.
    pub fn next_turn<'r>(&'r self, app: &'r App, conversation: &Conversation, from_us: u64) -> Option<&'r Seen<'t>> {
        let asked = Asked::Id(conversation.id.clone());
        self.calls(app, Endpoint::ChatMessages).find(|s| {
            s.sent.conversation == asked
                && s.sent.valid()
                && s.sent.user.as_deref() == Some(&conversation.user)
                && s.exchange.timing.sent_us >= from_us
                && s.exchange.reply.is_some()
                && self.there(conversation, s)
        })
    }

    /// Whether a conversation was there when a request was sent, for all that was seen: a 404 in an incomplete recording may
    /// follow a DELETE that is missing, unless the conversation took a turn later.
    pub fn there(&self, conversation: &Conversation, s: &Seen) -> bool {
        let later = |t: &Turn| t.sent_us > s.exchange.timing.sent_us;
        conversation.alive_during(s) && (self.transcript.complete || !s.is(404) || conversation.turns.iter().any(later))
    }

    /// Exchanges of one app.
    pub fn on<'r>(&'r self, app: &'r App) -> impl Iterator<Item = &'r Seen<'t>> {
        self.by_app.get(&app.label).into_iter().flatten().map(|&index| &self.seen[index])
    }

    /// Exchanges of one app and operation.
    pub fn calls<'r>(&'r self, app: &'r App, endpoint: Endpoint) -> impl Iterator<Item = &'r Seen<'t>> {
        let calls = self.by_call.get(&app.label).into_iter().flatten().find(|(called, _)| *called == endpoint);
        calls.into_iter().flat_map(|(_, indexes)| indexes).map(|&index| &self.seen[index])
    }

    /// The conversation with this canonical id on this app.
    pub fn conversation(&self, app: &App, id: &str) -> Option<&Conversation> {
        self.by_id.get(&(app.label.clone(), id.to_owned())).map(|&i| &self.conversations[i])
    }

    /// Whether some turn of an end user was answered from another conversation, so that nobody knows which ones it has.
    pub fn lost_count(&self, app: &App, user: &str) -> bool {
        self.conversations.iter().any(|c| c.mixed_up && c.app == app.label && c.user == user)
    }

    /// Conversations of one app whose turns were all answered from them.
    pub fn conversations_of<'r>(&'r self, app: &'r App) -> impl Iterator<Item = &'r Conversation> {
        self.conversations.iter().filter(|c| c.app == app.label && !c.mixed_up)
    }

    /// The exchange of a turn.
    pub fn at(&self, turn: &Turn) -> &Seen<'t> {
        &self.seen[turn.seen]
    }

    /// Successful reads of a conversation's history by its own user, in order of sending.
    pub fn histories<'r>(
        &'r self,
        app: &'r App,
        conversation: &'r Conversation,
    ) -> impl Iterator<Item = History<'r, 't>> {
        self.calls(app, Endpoint::Messages).filter(|s| s.has_key()).filter_map(move |s| {
            let id = canonical_uuid(s.route.param("conversation_id")?)?;
            let own = id == conversation.id && s.sent.user.as_deref() == Some(&conversation.user);
            if !own || !s.is(200) {
                return None;
            }
            let page = s.json?;
            let items = page.get("data")?.as_array()?;
            let has_more = page.get("has_more").and_then(Value::as_bool).unwrap_or(false);
            let from_newest = s.route.param("first_id").is_none_or(str::is_empty);
            Some(History { seen: s, items, has_more, from_newest })
        })
    }

    /// Every history item of a message, with the read that showed it, where the turn had ended before the read.
    pub fn stored<'r>(
        &'r self,
        app: &'r App,
        conversation: &'r Conversation,
        turn: &'r Turn,
    ) -> Vec<(&'r Seen<'t>, &'r Value)> {
        let reads = self.histories(app, conversation).filter(|h| h.seen.exchange.timing.sent_us >= turn.ended_us);
        reads.filter_map(|h| h.item(&turn.message_id).map(|item| (h.seen, item))).collect()
    }

    /// Successful reads of a user's conversation list, in order of sending.
    pub fn lists<'r>(&'r self, app: &'r App) -> impl Iterator<Item = List<'r, 't>> {
        self.calls(app, Endpoint::Conversations).filter(|s| s.has_key()).filter_map(|s| {
            let page = s.json.filter(|_| s.is(200))?;
            let items = page.get("data")?.as_array()?;
            let has_more = page.get("has_more").and_then(Value::as_bool).unwrap_or(false);
            let from_top = s.route.param("last_id").is_none_or(str::is_empty);
            Some(List { seen: s, items, has_more, from_top, user: s.sent.user.as_deref()? })
        })
    }

    /// Whether some answer on this app repeated the labelled prompt (`user: <query>`): the mark of an echo model.
    pub fn echoes_prompt(&self, app: &App) -> bool {
        let chats = self.calls(app, Endpoint::ChatMessages).chain(self.calls(app, Endpoint::CompletionMessages));
        chats.filter(|s| s.is(200)).any(|s| match (s.answer(), s.sent.query()) {
            (Some(answer), Some(query)) if !query.is_empty() => answer.contains(&format!("user: {query}")),
            (Some(answer), _) => answer.contains("user: "),
            _ => false,
        })
    }
}

/// A page of `GET /messages`.
pub struct History<'r, 't> {
    /// The read.
    pub seen: &'r Seen<'t>,
    /// `data`.
    pub items: &'r [Value],
    /// `has_more`.
    pub has_more: bool,
    /// No `first_id` was given.
    pub from_newest: bool,
}

impl<'r> History<'r, '_> {
    /// It holds the whole history.
    pub fn whole(&self) -> bool {
        self.from_newest && !self.has_more
    }

    /// The item of a message.
    pub fn item(&self, message_id: &str) -> Option<&'r Value> {
        self.items.iter().find(|item| item.get("id").and_then(Value::as_str) == Some(message_id))
    }
}

/// A page of `GET /conversations`.
pub struct List<'r, 't> {
    /// The read.
    pub seen: &'r Seen<'t>,
    /// `data`.
    pub items: &'r [Value],
    /// `has_more`.
    pub has_more: bool,
    /// No `last_id` was given.
    pub from_top: bool,
    /// The end user asked for.
    pub user: &'r str,
}

impl<'r> List<'r, '_> {
    /// It holds the whole list.
    pub fn whole(&self) -> bool {
        self.from_top && !self.has_more
    }

    /// The item of a conversation.
    pub fn item(&self, id: &str) -> Option<&'r Value> {
        self.items.iter().find(|item| item.get("id").and_then(Value::as_str) == Some(id))
    }
}

impl Conversation {
    /// Whether it was there for certain when a request was sent and answered: created before, not deleted until after.
    pub fn alive_during(&self, s: &Seen) -> bool {
        self.deleted_us.is_none_or(|at| at > s.exchange.ended_us())
    }

    /// Turns that had ended when a request was sent.
    pub fn turns_before(&self, s: &Seen) -> impl Iterator<Item = &Turn> {
        let sent = s.exchange.timing.sent_us;
        self.turns.iter().filter(move |t| t.ended_us <= sent)
    }

    /// Whether some turn was under way between sending and end of a request.
    pub fn busy_during(&self, s: &Seen) -> bool {
        let (sent, ended) = (s.exchange.timing.sent_us, s.exchange.ended_us());
        self.turns.iter().any(|t| t.sent_us < ended && t.ended_us > sent)
    }

    /// The first turn, where it was seen.
    pub fn first(&self) -> Option<&Turn> {
        self.turns.first().filter(|_| self.from_start)
    }
}

/// `id` members of items, in order.
pub fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().filter_map(|i| i.get("id").and_then(Value::as_str)).collect()
}

/// Path of a base URL, e.g. `/v1`.
pub(super) fn base_path(base_url: &str) -> &str {
    let after_scheme = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    after_scheme.find('/').map_or("", |at| &after_scheme[at..])
}
