//! Requests about one message or one task: stop, feedback, follow-up questions.

use serde_json::{Value, json};

use super::answer::Answer;
use super::config::AppMode;
use super::core::Core;
use super::fault::Fault;
use super::history::page_size;
use super::refusal::{BadParameter, Problem, Refusal};
use super::replies;
use super::request::{Request, user_in_body};
use super::state::{Feedback, Moment};

impl Core {
    /// `POST /{chat,completion}-messages/{task}/stop`: success whatever the task; only its own user ends it.
    pub(super) fn stop(&self, app: usize, mode: AppMode, task: &str, request: &Request) -> Result<Answer, Refusal> {
        let body = request.json(&self.behaviour)?;
        let user = user_in_body(&body).ok_or_else(Refusal::user_missing)?;
        let any_app = mode == AppMode::Completion && self.broken(Fault::CompletionStopOfAnyApp);
        if !any_app {
            self.demand_mode(app, mode)?;
        }
        let known = self.state(app).running.contains_key(task);
        let ended = self.stop_task(app, task, &user);
        if ended && self.broken(Fault::StopNotFound) {
            return Err(Refusal::not_found("Task not found."));
        }
        if !known && self.broken(Fault::UnknownTaskSlips) {
            return Err(Refusal::internal());
        }
        self.stop_run(app, task, &user);
        let mut answer = self.json(200, &json!({"result": "success"}));
        if self.broken(Fault::StopAnswersHtml) {
            answer.headers = self.headers("text/html; charset=utf-8", true);
        }
        Ok(answer)
    }

    /// Ends a turn of this user, and says whether it is of this user.
    fn stop_task(&self, app: usize, task: &str, user: &str) -> bool {
        let state = self.state(app);
        let Some(running) = state.running.get(task) else { return false };
        let own = running.user == state.known_as(user);
        if self.broken(Fault::StopOnlySaid) {
            return own;
        }
        if own || self.broken(Fault::StrangerStops) {
            running.stop.cancel();
            if self.broken(Fault::StopStopsUser) {
                state.running.values().filter(|other| other.user == user).for_each(|other| other.stop.cancel());
            }
        }
        own
    }

    /// `POST /messages/{id}/feedbacks`.
    pub(super) fn rate(&self, app: usize, id: &str, request: &Request, now: Moment) -> Result<Answer, Refusal> {
        let body = request.json(&self.behaviour)?;
        let user = user_in_body(&body).ok_or_else(Refusal::user_missing)?;
        let rating = match body.get("rating") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text == "like" => Some("like"),
            Some(Value::String(text)) if text == "dislike" => Some("dislike"),
            Some(other) => {
                let bad = BadParameter {
                    schema: "MessageFeedbackPayload",
                    name: "rating",
                    problem: Problem::NoChoice(&["like", "dislike"]),
                    given: other.clone(),
                };
                return Err(bad.refusal(&self.behaviour));
            }
        };
        let content = body.get("content").and_then(Value::as_str).map(str::to_owned);
        let mut state = self.state(app);
        let home = state.message_home(id).filter(|home| home.user == state.known_as(&user)).cloned();
        let home = home.ok_or_else(|| Refusal::not_found("Message Not Exists."))?;
        if let Some(conversation) = &home.conversation
            && let Some(message) = state.message_mut(&user, conversation, id)
        {
            let kept = rating.is_some() && self.broken(Fault::FeedbackKeptInHistory);
            message.rating = message.rating.filter(|_| kept).or(rating);
        }
        let second = now.unix_seconds();
        let known = state.feedbacks.iter().position(|f| f.message == id && f.user == user);
        match (known, rating) {
            (Some(at), None) => {
                state.feedbacks.remove(at);
            }
            (Some(at), Some(rating)) => {
                if self.broken(Fault::FeedbackListedTwice) {
                    let copy = state.feedbacks.get(at).cloned();
                    state.feedbacks.extend(copy);
                }
                if let Some(feedback) = state.feedbacks.get_mut(at) {
                    *feedback = Feedback { rating, content, updated_at: second, ..feedback.clone() };
                }
            }
            (None, Some(rating)) => {
                let feedback_id = state.uuid();
                state.feedbacks.push(Feedback {
                    id: feedback_id,
                    message: id.to_owned(),
                    user,
                    rating,
                    content,
                    created_at: second,
                    updated_at: second,
                });
            }
            (None, None) if self.broken(Fault::NullFeedbackFirst) => {}
            (None, None) => return Err(Refusal::invalid("rating cannot be None when feedback not exists")),
        }
        Ok(self.json(200, &json!({"result": "success"})))
    }

    /// `GET /app/feedbacks`, newest first.
    pub(super) fn list_feedbacks(&self, app: usize, request: &Request) -> Result<Answer, Refusal> {
        let limit = page_size(request, "FeedbackListQuery", 101, &self.behaviour)?;
        let page = request.param("page").and_then(|text| text.parse::<usize>().ok()).unwrap_or(1).max(1);
        let state = self.state(app);
        let newest_first = state.feedbacks.iter().rev().skip((page - 1).saturating_mul(limit)).take(limit);
        let rows: Vec<Value> = newest_first
            .map(|feedback| {
                let home = state.message_home(&feedback.message);
                let lone = pseudo_uuid(&feedback.message);
                let conversation = home.and_then(|home| home.conversation.as_deref()).unwrap_or(&lone);
                let user = pseudo_uuid(&(app, feedback.user.as_str()));
                replies::feedback_row(feedback, Some(conversation), &pseudo_uuid(&app), &user)
            })
            .collect();
        drop(state);
        Ok(self.json(200, &json!({"data": rows})))
    }

    /// `GET /messages/{id}/suggested`: the message is looked up before the feature.
    pub(super) fn suggested(&self, app: usize, id: &str, request: &Request) -> Result<Answer, Refusal> {
        let user = request.user_in_query().ok_or_else(Refusal::user_missing)?;
        self.demand_mode(app, AppMode::Chat)?;
        let state = self.state(app);
        let known = state.message_home(id).is_some_and(|home| home.user == state.known_as(&user));
        drop(state);
        if !known {
            let nobody_s = self.state(app).message_home(id).is_none();
            if nobody_s && self.broken(Fault::SuggestionsForUnknown) {
                return Ok(self.json(200, &json!({"result": "success", "data": []})));
            }
            if nobody_s && self.broken(Fault::SuggestionsUnknownInvalid) {
                return Err(Refusal::invalid("Message Not Exists."));
            }
            return Err(Refusal::not_found("Message Not Exists."));
        }
        if !self.apps[app].suggests() {
            return Err(Refusal::new(400, "bad_request", "Suggested Questions Is Disabled."));
        }
        if self.broken(Fault::SuggestionsNull) {
            return Ok(self.json(200, &json!({"result": "success", "data": null})));
        }
        Ok(self.json(200, &json!({"result": "success", "data": self.apps[app].follow_ups()})))
    }

    /// Refuses a key whose app has another mode than the endpoint; `Chat` stands for all modes with conversations.
    pub(super) fn demand_mode(&self, app: usize, mode: AppMode) -> Result<(), Refusal> {
        let own = self.apps[app].mode();
        if own == mode || (mode == AppMode::Chat && own.converses()) {
            return Ok(());
        }
        let wrong_route = "Please check if your app mode matches the right API route.";
        Err(match mode {
            AppMode::AdvancedChat | AppMode::Workflow => Refusal::new(400, "not_workflow_app", wrong_route),
            AppMode::Chat | AppMode::AgentChat | AppMode::Agent => Refusal::new(400, "not_chat_app", wrong_route),
            AppMode::Completion => {
                Refusal::new(400, "app_unavailable", "App unavailable, please check your app configurations.")
            }
        })
    }
}

/// A UUID that follows from what it stands for: apps, workflows and end users have one.
pub(super) fn pseudo_uuid(of: &impl std::hash::Hash) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    of.hash(&mut hasher);
    let half = u128::from(std::hash::Hasher::finish(&hasher));
    uuid::Builder::from_random_bytes(((half << 64) | half).to_ne_bytes()).into_uuid().to_string()
}
