//! One exchange, understood as far as scenarios need it.

use super::form::{self, Form};
use super::ids::{self, Given};
use crate::model::{Endpoint, Exchange, FaultClass, Route};
use crate::sse::Parsed;
use serde_json::Value;

/// An exchange of a program.
pub(super) struct Seen<'e> {
    pub(super) exchange: &'e Exchange,
    pub(super) route: Route,
    /// Path and query below the base URL; `None` where the request went elsewhere.
    pub(super) below: Option<&'e str>,
    /// JSON body of the request.
    pub(super) body: Option<Value>,
    /// Body of the request, where it is a form.
    pub(super) form: Option<Form>,
    pub(super) reply: Parsed,
    /// Ids that the reply gave.
    pub(super) given: Vec<Given>,
}

impl<'e> Seen<'e> {
    pub(super) fn of(exchange: &'e Exchange, base_path: &str) -> Seen<'e> {
        let request = &exchange.request;
        let below = request.target.strip_prefix(base_path).filter(|rest| rest.starts_with('/'));
        let bytes = request.body.as_ref().map(|b| b.bytes());
        let form = bytes.as_ref().and_then(|bytes| form::parse(request, bytes));
        let mut reply = Parsed::of(exchange);
        let body = reply.sent.take();
        let good = (200..300).contains(&exchange.status());
        let given = if good { ids::given(&reply) } else { Vec::new() };
        let route = Route::of(&request.method, &request.target, base_path);
        Seen { exchange, route, below, body, form, reply, given }
    }

    /// The end user that the request names.
    pub(super) fn user(&self) -> Option<&str> {
        let body = self.body.as_ref().and_then(|b| b.get("user")).and_then(Value::as_str);
        let form = || self.form.as_ref().and_then(|f| f.field("user"));
        body.or_else(|| self.route.param("user")).or_else(form)
    }

    /// The conversation that the request goes on with.
    pub(super) fn conversation(&self) -> Option<&str> {
        let body = self.body.as_ref().and_then(|b| b.get("conversation_id")).and_then(Value::as_str);
        let path = || {
            let has_one = matches!(
                self.route.endpoint,
                Endpoint::ConversationDelete
                    | Endpoint::ConversationRename
                    | Endpoint::Variables
                    | Endpoint::VariableUpdate
            );
            self.route.ids.first().map(String::as_str).filter(|_| has_one)
        };
        body.or_else(|| self.route.param("conversation_id")).or_else(path).filter(|id| !id.is_empty())
    }

    /// Texts of the request that may be ids that the server gave before.
    pub(super) fn named(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = self.route.ids.iter().map(String::as_str).collect();
        texts.extend(self.route.query.iter().filter(|(name, _)| name != "user").map(|(_, v)| v.as_str()));
        if let Some(body) = &self.body {
            ids::texts(body, &mut texts);
        }
        let user = self.user();
        texts.retain(|text| ids::is_id(text) && Some(*text) != user);
        texts
    }

    /// Whether it can be sent again by another flow that needs what it gives.
    pub(super) fn is_repeatable(&self) -> bool {
        self.exchange.request.method == "GET" || self.route.endpoint == Endpoint::FileUpload
    }

    /// Events of the reply but pings, where it is a stream.
    pub(super) fn events(&self) -> usize {
        self.reply.stream.as_ref().map_or(0, |s| s.events.len())
    }

    /// Events that had arrived at a moment, in microseconds since the start of the recording.
    pub(super) fn events_until(&self, moment_us: u64) -> usize {
        let sent = self.exchange.timing.sent_us;
        let stream = self.reply.stream.as_ref();
        stream.map_or(0, |s| s.events.iter().filter(|e| sent + e.at_us <= moment_us).count())
    }

    /// Whether the reply ended before its end because the program left.
    pub(super) fn was_left(&self) -> bool {
        let cancelled = self.exchange.fault.as_ref().is_some_and(|f| f.class == FaultClass::Cancelled);
        let last = self.reply.stream.as_ref().and_then(|s| s.events.last());
        cancelled && !last.is_some_and(|e| e.closes_run())
    }

    /// The request in a comment: no ids, no end users.
    pub(super) fn shown(&self) -> String {
        let path = self.exchange.request.path();
        let part = |part: &str| if ids::is_id(part) || part.len() > 40 { "..".to_owned() } else { part.to_owned() };
        let path: Vec<String> = path.split('/').map(part).collect();
        format!("{} {}", self.exchange.request.method, path.join("/"))
    }
}
