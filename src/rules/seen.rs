//! One exchange, parsed once for all judges.

use super::request::{Defect, Sent, is_uuid};
use super::stream::{Stream, clip};
use crate::model::{App, AppMode, Endpoint, Exchange, FaultClass, Route};
use crate::sse::Parsed;
use serde_json::Value;

/// An exchange with everything judges ask of it.
pub struct Seen<'t> {
    /// The recording.
    pub exchange: &'t Exchange,
    /// The app it is about.
    pub app: &'t App,
    /// The request line, understood.
    pub route: Route,
    /// The request body, understood.
    pub sent: Sent<'t>,
    /// The answer, where it is one JSON document.
    pub json: Option<&'t Value>,
    /// The answer, where it is an event stream (also under a wrong media type).
    pub stream: Option<&'t Stream>,
    /// Wall clock of offset 0 of the run, seconds since the Unix epoch.
    pub epoch_unix: f64,
    own_key: bool,
}

impl<'t> Seen<'t> {
    /// Understands an exchange, whose bodies are `parsed` already.
    pub fn of(
        exchange: &'t Exchange,
        parsed: &'t Parsed,
        app: &'t App,
        base_path: &str,
        started_unix_us: u64,
    ) -> Seen<'t> {
        let route = Route::of(&exchange.request.method, &exchange.request.target, base_path);
        let sent = Sent::of(exchange, parsed.sent.as_ref(), app, &route);
        let (json, stream) = (parsed.json.as_ref(), parsed.stream.as_ref());
        let epoch_unix = started_unix_us as f64 / 1e6;
        let own_key = exchange.request.key_label() == Some(&app.label);
        let mut seen = Seen { exchange, app, route, sent, json, stream, epoch_unix, own_key };
        if seen.throttled() {
            // what else is right or wrong about it was not looked at
            seen.sent.defects.push(Defect::Odd);
        }
        seen
    }

    /// The operation.
    pub fn endpoint(&self) -> Endpoint {
        self.route.endpoint
    }

    /// Whether it answered with this status.
    pub fn is(&self, status: u16) -> bool {
        self.exchange.status() == status
    }

    /// Whether it answered 2xx.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.exchange.status())
    }

    /// `code` of a JSON error body.
    pub fn error_code(&self) -> Option<&str> {
        self.json?.get("code")?.as_str()
    }

    /// `message` of a JSON error body.
    pub fn error_message(&self) -> Option<&str> {
        self.json?.get("message")?.as_str()
    }

    /// Media type of the answer, lower case; empty where there is none.
    pub fn media_type(&self) -> String {
        self.exchange.reply.as_ref().map(|r| r.media_type()).unwrap_or_default()
    }

    /// Whether we ended it ourselves.
    pub fn cancelled(&self) -> bool {
        self.exchange.fault.as_ref().is_some_and(|f| f.class == FaultClass::Cancelled)
    }

    /// A member of the JSON answer, or of the first stream event that has it.
    pub fn member(&self, name: &str) -> Option<&Value> {
        if let Some(json) = &self.json {
            return json.get(name);
        }
        self.stream?.events.iter().find_map(|e| e.value.get(name))
    }

    /// A string member, as [`Seen::member`].
    pub fn text(&self, name: &str) -> Option<&str> {
        self.member(name).and_then(Value::as_str)
    }

    /// Effective answer of a generation; of a workflow its outputs, as JSON text after what was streamed.
    pub fn answer(&self) -> Option<String> {
        if self.app.mode == Some(AppMode::Workflow) {
            let outputs = self.run_end()?.get("outputs")?;
            return Some(format!("{}{outputs}", self.stream.map(Stream::answer).unwrap_or_default()));
        }
        match &self.stream {
            Some(stream) => Some(stream.answer()),
            None => self.json?.get("answer")?.as_str().map(str::to_owned),
        }
    }

    /// How a workflow run ended: `data` of workflow_finished, or of a blocking answer.
    pub fn run_end(&self) -> Option<&Value> {
        match &self.stream {
            Some(stream) => stream.find("workflow_finished")?.value.get("data"),
            None => self.json.filter(|j| j.get("workflow_run_id").is_some())?.get("data"),
        }
    }

    /// `status` of the run, once it has ended.
    pub fn run_status(&self) -> Option<&str> {
        self.run_end()?.get("status")?.as_str()
    }

    /// Id of the run that a generation started.
    pub fn run_id(&self) -> Option<&str> {
        self.text("workflow_run_id").filter(|id| !id.is_empty())
    }

    /// Whether a generation was carried out to its normal end.
    pub fn completed(&self) -> bool {
        let success = || matches!(self.run_status(), Some("succeeded" | "partial-succeeded"));
        let workflow = self.app.mode == Some(AppMode::Workflow);
        self.is(200)
            && self.exchange.fault.is_none()
            && match &self.stream {
                Some(stream) if stream.find("error").is_some() => false,
                Some(_) if workflow => success(),
                Some(stream) => stream.find("message_end").is_some() && (self.run_end().is_none() || success()),
                None if workflow => success(),
                None => self.json.is_some_and(|j| j.get("answer").is_some()),
            }
    }

    /// Whether it was sent with the app's own key.
    pub fn has_key(&self) -> bool {
        self.own_key
    }

    /// Label of the app whose key it was sent with.
    pub fn asker(&self) -> Option<String> {
        self.exchange.request.key_label().map(str::to_owned)
    }

    /// Whether a generation was refused for being one too many: by status, by code, or in the words of servers that use
    /// others.
    pub fn throttled(&self) -> bool {
        let words = self.error_message().is_some_and(|m| m.to_ascii_lowercase().starts_with("too many requests"));
        let told = self.is(429) || self.error_code() == Some("too_many_requests") || words;
        self.endpoint().generates() && self.exchange.status() >= 400 && told
    }

    /// Whether a generation was accepted: status 200 and no error body.
    pub fn generated(&self) -> bool {
        self.is(200) && self.error_code().is_none()
    }

    /// Whether the request itself was refused for a parameter. Servers give the code to other refusals, too: of one request
    /// too many, of a run that failed, of an answer that they could not put into a document.
    fn refused_parameter(&self) -> bool {
        const OTHERS: [&str; 3] = ["Too many requests", "Run failed", "1 validation error for Data\n"];
        let message = self.error_message().unwrap_or("");
        self.error_code() == Some("invalid_param") && !OTHERS.iter().any(|start| message.starts_with(start))
    }

    /// Whether a parameter error names this parameter, in its message or, as in old versions, beside it.
    pub fn refused_for(&self, parameter: &str) -> bool {
        let beside = self.text("params") == Some(parameter);
        self.refused_parameter() && (beside || self.error_message().is_some_and(|m| m.contains(parameter)))
    }

    /// Whether the request itself was refused: a client error that is not about the generation.
    pub fn refused_as_sent(&self) -> bool {
        let about_request = ["invalid_param", "bad_request", "not_found", "unsupported_media_type"];
        matches!(self.exchange.status(), 400 | 404 | 409 | 415 | 422)
            && self.error_code().is_none_or(|code| about_request.contains(&code))
            && (self.error_code() != Some("invalid_param") || self.refused_parameter())
    }

    /// Whether the recording ends early through us, so that nothing can be said about its end.
    pub fn cut(&self) -> bool {
        self.cancelled() || self.truncated()
    }

    /// Whether the kept body is shorter than what came.
    pub fn truncated(&self) -> bool {
        self.exchange.reply.as_ref().is_some_and(|r| r.truncated())
    }

    /// Whether all these members are hyphenated UUIDs.
    pub fn has_uuids(&self, members: &[&str]) -> bool {
        members.iter().all(|m| self.text(m).is_some_and(is_uuid))
    }

    /// The id members, for people.
    pub fn ids_text(&self) -> String {
        let show = |m: &&str| format!("{m} {}", self.member(m).map_or("absent".to_owned(), Value::to_string));
        ["task_id", "id", "message_id", "conversation_id"].iter().map(show).collect::<Vec<_>>().join(", ")
    }

    /// For people: status, media type and what the body is.
    pub fn form_text(&self) -> String {
        let form = match (&self.stream, &self.json) {
            (Some(stream), _) => format!("an event stream ({})", stream.outline()),
            (None, Some(_)) => "a JSON document".to_owned(),
            (None, None) => "neither JSON nor events".to_owned(),
        };
        format!("{}, `{}`, {form}", self.outcome_text(), self.media_type())
    }

    /// Wall clock of an offset, seconds since the Unix epoch.
    pub fn unix_at(&self, offset_us: u64) -> f64 {
        self.epoch_unix + offset_us as f64 / 1e6
    }

    /// For people: status, or how the connection failed.
    pub fn outcome_text(&self) -> String {
        match (&self.exchange.reply, &self.exchange.fault) {
            (Some(reply), _) => match self.error_code() {
                Some(code) => format!("status {} `{}`", reply.status, clip(code)),
                None => format!("status {} {}", reply.status, reply.media_type()),
            },
            (None, Some(fault)) => format!("no answer ({})", clip(&fault.detail)),
            (None, None) => "no answer".to_owned(),
        }
    }
}
