//! `GET /messages`: pages of a conversation, newest page first, ascending inside.

use serde_json::{Value, json};

use super::answer::Answer;
use super::behaviour::{Behaviour, ParameterErrors};
use super::config::AppMode;
use super::core::Core;
use super::fault::Fault;
use super::refusal::{BadParameter, Problem, Refusal};
use super::replies;
use super::request::{DEFAULT_USER, Request, uuid_text};
use super::state::Message;

const SCHEMA: &str = "MessageListQuery";

impl Core {
    /// The messages of one conversation of the user.
    pub(super) fn list_messages(&self, app: usize, request: &Request) -> Result<Answer, Refusal> {
        match self.demand_mode(app, AppMode::Chat) {
            Err(_) if self.broken(Fault::MessagesOfAnyApp) => {
                return Ok(self.json(200, &replies::page(20, false, vec![])));
            }
            other => other?,
        }
        let user = request.user_in_query().unwrap_or_else(|| DEFAULT_USER.to_owned());
        let id = match request.param("conversation_id") {
            None if self.broken(Fault::AllMessagesWithoutId) => return Ok(self.all_messages(app, &user)),
            None => {
                let given = json!({"user": user});
                let bad = BadParameter { schema: SCHEMA, name: "conversation_id", problem: Problem::Missing, given };
                return Err(bad.refusal(&self.behaviour));
            }
            Some("") if self.behaviour.parameter_errors != ParameterErrors::Plain => {
                return Ok(self.json(200, &replies::page(20, false, vec![])));
            }
            Some(text) => {
                self.conversation_id(text).ok_or_else(|| malformed("conversation_id", text, &self.behaviour))?
            }
        };
        let first_id = match request.param("first_id") {
            None | Some("") => None,
            Some(text) => Some(uuid_text(text).ok_or_else(|| malformed("first_id", text, &self.behaviour))?),
        };
        let limit = page_size(request, SCHEMA, 100, &self.behaviour)?;
        let mut state = self.state(app);
        let conversation = state.conversation(&user, &id).filter(|conversation| conversation.committed);
        let conversation = conversation.ok_or_else(|| self.conversation_not_found("messages"))?;
        if self.broken(Fault::LongHistorySlips) && conversation.messages.len() >= 3 {
            return Err(Refusal::internal());
        }
        let page = self.message_page(&conversation.messages, first_id.as_deref(), limit);
        let (rows, has_more) = page.ok_or_else(|| self.hinted("First Message Not Exists.", "messages"))?;
        let mut rows: Vec<Value> = rows
            .into_iter()
            .map(|message| {
                let mut row = self.message_row(&id, message);
                if let Some(thoughts) = state.memory.thoughts.get(&message.id)
                    && !self.broken(Fault::ThoughtsForgotten)
                {
                    row["agent_thoughts"] = thoughts.iter().map(|thought| thought.row(&message.id)).collect();
                }
                row
            })
            .collect();
        for row in rows.iter_mut().filter(|row| row["id"].as_str().is_some_and(|id| state.slips.unread.remove(id))) {
            row["answer"] = json!("");
        }
        drop(state);
        Ok(self.json(200, &replies::page(limit, has_more, rows)))
    }

    fn message_row(&self, conversation: &str, message: &Message) -> Value {
        let files = self.message_files(&message.files, message.created_at);
        let mut row = replies::message_row(conversation, message, files);
        if self.broken(Fault::RowsWithoutRetriever)
            && let Some(members) = row.as_object_mut()
        {
            members.shift_remove("retriever_resources");
        }
        if self.broken(Fault::FeedbackNeverInHistory) {
            row["feedback"] = Value::Null;
        }
        row
    }

    /// The page that ends before `first_id`, with the faults of the message list; `None` if that is unknown.
    fn message_page<'a>(
        &self,
        messages: &'a [Message],
        first_id: Option<&str>,
        limit: usize,
    ) -> Option<(Vec<&'a Message>, bool)> {
        let (range, mut has_more) = page_before(messages, first_id, limit)?;
        let mut rows: Vec<&Message> = messages.get(range.clone()).unwrap_or_default().iter().collect();
        if self.broken(Fault::CursorIncluded) && first_id.is_some() && limit > 1 {
            let shifted = page_before(messages.get(..=range.end).unwrap_or(messages), None, limit)?;
            rows = messages.get(shifted.0).unwrap_or_default().iter().collect();
            has_more = shifted.1;
        }
        if self.broken(Fault::PageTailSwapped) && rows.len() < messages.len() && rows.len() >= 2 {
            let last = rows.len() - 1;
            rows.swap(last - 1, last);
        }
        if self.broken(Fault::FirstRowTwice) && messages.len() == 3 && rows.len() == 3 && limit > 3 {
            rows.extend(messages.first());
        }
        if self.broken(Fault::HasMoreWhenFull) {
            has_more = rows.len() == limit;
        }
        Some((rows, has_more))
    }

    fn all_messages(&self, app: usize, user: &str) -> Answer {
        let state = self.state(app);
        let mut conversations: Vec<_> = state.conversations(user).collect();
        conversations.sort_by_key(|conversation| conversation.sequence);
        let rows: Vec<Value> = conversations
            .into_iter()
            .flat_map(|c| c.messages.iter().map(|message| self.message_row(&c.id, message)))
            .take(20)
            .collect();
        drop(state);
        self.json(200, &replies::page(20, false, rows))
    }

    /// 404 of a conversation, as asked for under this path.
    pub(super) fn conversation_not_found(&self, path: &str) -> Refusal {
        let text = if self.broken(Fault::TracebackInMessage) {
            "Traceback (most recent call last):\n  File \"/app/api/services/conversation_service.py\", line 98, in \
             get_conversation\nConversationNotExistsError"
        } else {
            "Conversation Not Exists."
        };
        self.hinted(text, path)
    }

    /// 404 with the guesses some servers append.
    pub(super) fn hinted(&self, text: &str, path: &str) -> Refusal {
        if !self.behaviour.not_found_hints {
            return Refusal::not_found(text);
        }
        let like = match path {
            "chat-messages" => "/v1/chat-messages or /api/chat-messages or /v1/chat-messages/<string:task_id>/stop",
            "messages" => "/v1/messages or /v1/chat-messages or /api/messages",
            _ => {
                "/v1/conversations or /v1/conversations/<uuid:c_id>/variables/<uuid:variable_id> or /api/conversations"
            }
        };
        Refusal::not_found(format!("{text} You have requested this URI [/v1/{path}] but did you mean {like} ?"))
    }
}

/// The `limit` parameter: 20 unless given.
pub(super) fn page_size(
    request: &Request,
    schema: &'static str,
    most: u64,
    behaviour: &Behaviour,
) -> Result<usize, Refusal> {
    let Some(text) = request.param("limit") else {
        return Ok(20);
    };
    let problem = match text.trim().parse::<i64>() {
        Err(_) => Problem::NotInteger,
        Ok(number) if number < 1 => Problem::Below(1),
        Ok(number) if number.unsigned_abs() > most => Problem::Above(most),
        Ok(number) => return Ok(usize::try_from(number).unwrap_or(20)),
    };
    Err(BadParameter { schema, name: "limit", problem, given: json!(text) }.refusal(behaviour))
}

fn malformed(name: &'static str, text: &str, behaviour: &Behaviour) -> Refusal {
    let problem = Problem::Value("must be a valid UUID");
    BadParameter { schema: SCHEMA, name, problem, given: json!(text) }.refusal(behaviour)
}

/// The range of the `limit` messages just before `first_id` (or the newest), and whether older ones exist.
fn page_before(messages: &[Message], first_id: Option<&str>, limit: usize) -> Option<(std::ops::Range<usize>, bool)> {
    let end = match first_id {
        None => messages.len(),
        Some(id) => messages.iter().rposition(|message| message.id == id)?,
    };
    let start = end.saturating_sub(limit);
    Some((start..end, start > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;

    fn messages(count: usize) -> Vec<Message> {
        (0..count)
            .map(|i| Message {
                id: i.to_string(),
                inputs: Map::new(),
                query: String::new(),
                answer: String::new(),
                error: None,
                created_at: 0,
                rating: None,
                files: Vec::new(),
            })
            .collect()
    }

    #[test]
    fn walking_back_by_the_oldest_id_sees_every_message_once() {
        let all = messages(7);
        let mut seen = Vec::new();
        let mut first_id: Option<String> = None;
        loop {
            let (range, has_more) = page_before(&all, first_id.as_deref(), 3).unwrap();
            seen.splice(0..0, range.clone());
            assert_eq!(has_more, range.start > 0);
            if !has_more {
                break;
            }
            first_id = Some(all[range.start].id.clone());
        }
        assert_eq!(seen, (0..7).collect::<Vec<_>>());
    }

    #[test]
    fn more_exists_only_beyond_a_full_page() {
        let all = messages(3);
        assert_eq!(page_before(&all, None, 2), Some((1..3, true)));
        assert_eq!(page_before(&all, None, 3), Some((0..3, false)));
        assert_eq!(page_before(&all, None, 4), Some((0..3, false)));
        assert_eq!(page_before(&all, Some("0"), 2), Some((0..0, false)));
        assert_eq!(page_before(&all, Some("zz"), 2), None);
    }
}
