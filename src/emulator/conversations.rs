//! Requests about conversations: list, rename, delete, variables.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::answer::Answer;
use super::behaviour::DeletePolicy;
use super::config::AppMode;
use super::core::Core;
use super::fault::Fault;
use super::history::page_size;
use super::refusal::{BadParameter, Problem, Refusal};
use super::replies;
use super::request::{COLUMN_CHARS, DEFAULT_USER, Request, user_in_body};
use super::state::{Conversation, Moment, State};

const SCHEMA: &str = "ConversationListQuery";
const SORTS: &[&str] = &["created_at", "-created_at", "updated_at", "-updated_at"];

impl Core {
    /// `GET /conversations`.
    pub(super) fn list_conversations(&self, app: usize, request: &Request) -> Result<Answer, Refusal> {
        self.demand_mode(app, AppMode::Chat)?;
        let named = request.user_in_query();
        let of_everybody = named.is_none() && self.broken(Fault::NoUserNoFilter);
        let user = self.spelled_as_kept(named.unwrap_or_else(|| DEFAULT_USER.to_owned()));
        let last_id = self.last_id(request)?;
        let limit = match page_size(request, SCHEMA, 100, &self.behaviour) {
            Err(_) if self.broken(Fault::LimitClamped) => 100,
            other => other?,
        };
        let mut sort = request.param("sort_by").unwrap_or("-updated_at");
        if !SORTS.contains(&sort) {
            let problem = Problem::NoChoice(SORTS);
            let bad = BadParameter { schema: SCHEMA, name: "sort_by", problem, given: json!(sort) };
            let refusal = bad.refusal(&self.behaviour);
            let code = if self.broken(Fault::CamelCaseCode) { "InvalidParam" } else { refusal.code };
            return Err(Refusal { code, ..refusal });
        }
        if self.broken(Fault::SortIgnored) && sort == "created_at" {
            sort = "-created_at";
        }
        let state = self.state(app);
        let listed = if of_everybody { state.all_conversations().collect() } else { self.listed(&state, &user) };
        let sorted = sorted(listed, sort);
        let start = match last_id {
            None => 0,
            Some(id) => {
                let at = sorted.iter().position(|conversation| conversation.id == id);
                at.ok_or_else(|| self.hinted("Last Conversation Not Exists.", "conversations"))? + 1
            }
        };
        let has_more = sorted.len() > start + limit && !self.broken(Fault::NoMoreConversations);
        let rows: Vec<Value> = sorted.into_iter().skip(start).take(limit).flat_map(|c| self.listed_rows(c)).collect();
        drop(state);
        Ok(self.json(200, &replies::page(limit, has_more, rows)))
    }

    fn last_id(&self, request: &Request) -> Result<Option<String>, Refusal> {
        match request.param("last_id") {
            None | Some("") => Ok(None),
            Some(text) => match self.conversation_id(text) {
                Some(id) => Ok(Some(id)),
                None if self.broken(Fault::MalformedLastId500) => Err(Refusal::internal()),
                None => {
                    let problem = Problem::Value("must be a valid UUID");
                    let bad = BadParameter { schema: SCHEMA, name: "last_id", problem, given: json!(text) };
                    Err(bad.refusal(&self.behaviour))
                }
            },
        }
    }

    /// What the list shows, in no order.
    fn listed<'a>(&self, state: &'a State, user: &'a str) -> Vec<&'a Conversation> {
        let mut listed: Vec<&Conversation> =
            state.conversations(user).filter(|conversation| conversation.listed && conversation.committed).collect();
        if self.broken(Fault::DeleteHidesAnother) && state.deleted.values().any(|owner| owner == user) {
            let oldest = listed.iter().enumerate().min_by_key(|(_, c)| c.sequence).map(|(at, _)| at);
            if let Some(at) = oldest {
                listed.swap_remove(at);
            }
        }
        listed
    }

    /// The row of a conversation; one fault shows it twice.
    fn listed_rows(&self, conversation: &Conversation) -> Vec<Value> {
        let twice = self.broken(Fault::ConversationListedTwice) && conversation.messages.len() >= 2;
        vec![self.listed_row(conversation); if twice { 2 } else { 1 }]
    }

    fn listed_row(&self, conversation: &Conversation) -> Value {
        let mut row = replies::conversation_row(conversation);
        if self.broken(Fault::FirstInputsHidden) && conversation.messages.len() <= 1 {
            row["inputs"] = json!({});
        }
        if self.broken(Fault::UpdatedBeforeCreated) {
            row["updated_at"] = json!(conversation.created_at - 5);
        }
        if self.broken(Fault::ListWithoutIntroduction)
            && let Some(members) = row.as_object_mut()
        {
            members.shift_remove("introduction");
        }
        if self.broken(Fault::ListWithoutUpdatedAt)
            && let Some(members) = row.as_object_mut()
        {
            members.shift_remove("updated_at");
        }
        row
    }

    /// `DELETE /conversations/{id}`.
    pub(super) fn delete_conversation(&self, app: usize, id: &str, request: &Request) -> Result<Answer, Refusal> {
        let body = request.json(&self.behaviour)?;
        let user = user_in_body(&body).unwrap_or_else(|| DEFAULT_USER.to_owned());
        self.demand_mode(app, AppMode::Chat)?;
        if self.behaviour.delete == DeletePolicy::Anybody204 {
            for app in 0..self.app_count() {
                self.bury(app, None, id);
            }
        } else {
            let stranger_may = self.broken(Fault::StrangerDeletes);
            if !self.bury(app, (!stranger_may).then_some(user.as_str()), id) {
                return Err(self.conversation_not_found("conversations"));
            }
        }
        if self.behaviour.delete == DeletePolicy::Owner200 || self.broken(Fault::DeleteAnswers200) {
            return Ok(self.json(200, &json!({"result": "success"})));
        }
        Ok(Answer { status: 204, headers: self.headers("application/json", true), body: Vec::new() })
    }

    /// Removes a conversation of this user, or of whoever owns it; false if there is none.
    fn bury(&self, app: usize, user: Option<&str>, id: &str) -> bool {
        let mut state = self.state(app);
        let owner = match user {
            Some(user) => user.to_owned(),
            None => match state.owner(id) {
                Some(owner) => owner.to_owned(),
                None => return false,
            },
        };
        let Some(removed) = state.remove(&owner, id) else {
            return false;
        };
        if self.broken(Fault::DeletedContinues) {
            state.graveyard.insert(id.to_owned(), (owner, removed));
        }
        true
    }

    /// `POST /conversations/{id}/name`.
    pub(super) fn rename_conversation(
        &self,
        app: usize,
        id: &str,
        request: &Request,
        now: Moment,
    ) -> Result<Answer, Refusal> {
        let body = request.json(&self.behaviour)?;
        let user = user_in_body(&body).unwrap_or_else(|| DEFAULT_USER.to_owned());
        self.demand_mode(app, AppMode::Chat)?;
        let automatic = matches!(body.get("auto_generate"), Some(Value::Bool(true)));
        let name = match self.given_name(&body, automatic) {
            Ok(name) => name,
            Err(refusal) if self.broken(Fault::RenameErrorsWith200) => return Ok(self.json(200, &refusal.body())),
            Err(refusal) => return Err(refusal),
        };
        let mut state = self.state(app);
        let user = match state.owner(id) {
            Some(owner) if self.broken(Fault::StrangerRenames) => owner.to_owned(),
            _ => user,
        };
        let conversation = state.conversation_mut(&user, id).filter(|conversation| conversation.committed);
        let conversation = conversation.ok_or_else(|| self.conversation_not_found("conversations"))?;
        let old = conversation.name.clone();
        conversation.name = match name {
            Some(name) => name,
            None if self.broken(Fault::AutomaticNameEmpty) => String::new(),
            None => {
                let first = conversation.messages.first().map(|m| m.query.as_str()).unwrap_or_default();
                title(first)
            }
        };
        conversation.updated_at = conversation.updated_at.max(now.unix_seconds());
        let mut row = replies::conversation_row(conversation);
        drop(state);
        if self.broken(Fault::RenameReturnsOldName) && !automatic {
            row["name"] = json!(old);
        }
        Ok(self.json(200, &row))
    }

    /// The new name; `None` asks for an automatic one.
    fn given_name(&self, body: &serde_json::Map<String, Value>, automatic: bool) -> Result<Option<String>, Refusal> {
        if automatic {
            return Ok(None);
        }
        let given = body.get("name").and_then(Value::as_str);
        match given {
            None if self.behaviour.rename_without_name_slips => Err(Refusal::unknown(&self.behaviour)),
            Some(name) if self.behaviour.database_slips && name.chars().count() > COLUMN_CHARS => {
                Err(Refusal::unknown(&self.behaviour))
            }
            Some(name) if self.behaviour.lenient_types || !name.trim().is_empty() => Ok(Some(name.to_owned())),
            _ => {
                let bad = BadParameter {
                    schema: "ConversationRenamePayload",
                    name: "name",
                    problem: Problem::Value("name is required when auto_generate is false"),
                    given: Value::Object(body.clone()),
                };
                Err(bad.refusal(&self.behaviour))
            }
        }
    }
}

/// The name a model would give.
pub(super) fn title(query: &str) -> String {
    format!("TITLE:{}", query.chars().take(20).collect::<String>())
}

/// Ordered by one of [`SORTS`]; conversations of the same second by the order of their creation.
fn sorted<'a>(mut conversations: Vec<&'a Conversation>, sort: &str) -> Vec<&'a Conversation> {
    match sort {
        "created_at" => conversations.sort_by_key(|c| (c.created_at, c.sequence)),
        "-created_at" => conversations.sort_by_key(|c| Reverse((c.created_at, c.sequence))),
        "updated_at" => conversations.sort_by_key(|c| (c.updated_at, c.sequence)),
        _ => conversations.sort_by_key(|c| Reverse((c.updated_at, c.sequence))),
    }
    conversations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(id: &str, sequence: u64, created_at: i64, updated_at: i64) -> Conversation {
        Conversation {
            id: id.to_owned(),
            name: String::new(),
            inputs: serde_json::Map::new(),
            introduction: String::new(),
            created_at,
            updated_at,
            sequence,
            messages: Vec::new(),
            listed: true,
            committed: true,
        }
    }

    #[test]
    fn each_sort_orders_by_its_member_and_ties_keep_insertion_order() {
        let all = [conversation("a", 1, 1, 9), conversation("b", 2, 2, 2), conversation("c", 3, 2, 2)];
        let order = |sort| sorted(all.iter().collect(), sort).iter().map(|c| c.id.clone()).collect::<String>();
        assert_eq!(order("created_at"), "abc");
        assert_eq!(order("-created_at"), "cba");
        assert_eq!(order("updated_at"), "bca");
        assert_eq!(order("-updated_at"), "acb");
    }

    #[test]
    fn a_title_is_never_empty() {
        assert_eq!(title(""), "TITLE:");
    }
}
