//! Conversation variables of chatflows: list and update.

use serde_json::{Value, json};

use super::answer::Answer;
use super::config::AppMode;
use super::core::Core;
use super::fault::Fault;
use super::flow_behaviour::VariableQuirks;
use super::history::page_size;
use super::memory::Variable;
use super::refusal::{BadParameter, Problem, Refusal, python_repr};
use super::replies;
use super::request::{DEFAULT_USER, Request, user_in_body, uuid_text};
use super::state::{Moment, State};
use super::story::Story;

const SCHEMA: &str = "ConversationVariablesQuery";
const MEMO: &str = "11111111-1111-4111-8111-111111111111";
const COUNTER: &str = "22222222-2222-4222-8222-222222222222";
/// Where the fault that keeps variables per app keeps them.
const EVERYWHERE: &str = "";

fn fresh(now: Moment) -> Vec<Variable> {
    let at = now.unix_seconds();
    let variable = |id, name, kind, value: &str| Variable {
        id,
        name,
        kind,
        value: value.to_owned(),
        created_at: at,
        updated_at: at,
    };
    vec![variable(MEMO, "memo", "string", "none"), variable(COUNTER, "counter", "number", "7")]
}

impl Core {
    /// The variables of a conversation start from their defaults on its first turn.
    pub(super) fn open_variables(&self, state: &mut State, conversation: &str, now: Moment) {
        let home = self.home_of_variables(conversation).to_owned();
        if self.broken(Fault::VariablesReset) {
            state.memory.variables.remove(&home);
        }
        state.memory.variables.entry(home).or_insert_with(|| fresh(now));
    }

    fn home_of_variables<'a>(&self, conversation: &'a str) -> &'a str {
        if self.broken(Fault::VariablesPerApp) { EVERYWHERE } else { conversation }
    }

    /// What `memo` holds.
    pub(super) fn memo(&self, app: usize, conversation: &str) -> String {
        let state = self.state(app);
        let variables = state.memory.variables.get(self.home_of_variables(conversation));
        variables.and_then(|all| all.iter().find(|v| v.name == "memo")).map(|v| v.value.clone()).unwrap_or_default()
    }

    /// `GET /conversations/{id}/variables`; only chatflows have some.
    pub(super) fn list_variables(&self, app: usize, id: &str, request: &Request) -> Result<Answer, Refusal> {
        self.demand_mode(app, AppMode::Chat)?;
        let user = request.user_in_query().unwrap_or_else(|| DEFAULT_USER.to_owned());
        let limit = page_size(request, SCHEMA, 100, &self.behaviour)?;
        let name = request.param("variable_name").filter(|name| !name.is_empty());
        let legal = |name: &str| name.chars().all(|ch| ch.is_ascii_alphanumeric() || "-_.".contains(ch));
        if let Some(name) = name.filter(|name| !legal(name)) {
            let problem = Problem::Value(
                "Variable name can only contain letters, numbers, hyphens (-), underscores (_), and periods (.)",
            );
            let bad = BadParameter { schema: SCHEMA, name: "variable_name", problem, given: json!(name) };
            return Err(bad.refusal(&self.behaviour));
        }
        let state = self.state(app);
        let known = state.conversation(&user, id).is_some_and(|conversation| conversation.committed);
        if !known {
            return Err(self.conversation_not_found("conversations"));
        }
        let quirks = self.behaviour.flow.variables;
        if name.is_some() && quirks == VariableQuirks::Slips {
            return Err(Refusal::unknown(&self.behaviour));
        }
        let name = name.filter(|_| !self.broken(Fault::VariableFilterIgnored));
        let old = state.conversation(&user, id).is_some_and(|conversation| conversation.messages.len() >= 2);
        let all = state.memory.variables.get(self.home_of_variables(id)).map(Vec::as_slice).unwrap_or_default();
        let all = if old && self.broken(Fault::VariablesOfOldMissing) { &[] } else { all };
        let start = match request.param("last_id").filter(|id| !id.is_empty()) {
            None => 0,
            Some(last) => {
                let at = all.iter().position(|variable| variable.id == last);
                let at = at.ok_or_else(|| Refusal::invalid(""))?;
                // the cursor of this server is a time, and all variables of a conversation are made at once
                if quirks == VariableQuirks::Slips { all.len() } else { at + 1 }
            }
        };
        let shown: Vec<&Variable> =
            all.iter().skip(start).filter(|variable| name.is_none_or(|name| name == variable.name)).collect();
        let rows = shown.iter().take(limit).map(|variable| self.variable_row(variable)).collect();
        let body = replies::page(limit, shown.len() > limit, rows);
        drop(state);
        Ok(self.json(200, &body))
    }

    fn variable_row(&self, variable: &Variable) -> Value {
        let mut row = json!({
            "id": variable.id, "name": variable.name, "value_type": variable.kind, "value": variable.value,
            "description": "memo", "created_at": variable.created_at, "updated_at": variable.updated_at
        });
        if self.broken(Fault::VariableWithoutType)
            && let Some(members) = row.as_object_mut()
        {
            members.shift_remove("value_type");
        }
        row
    }

    /// `PUT /conversations/{id}/variables/{variable}`.
    pub(super) fn update_variable(
        &self,
        app: usize,
        id: &str,
        variable: &str,
        request: &Request,
        now: Moment,
    ) -> Result<Answer, Refusal> {
        let body = request.json(&self.behaviour)?;
        let user = user_in_body(&body).ok_or_else(Refusal::user_missing)?;
        self.demand_mode(app, AppMode::Chat)?;
        let Some(value) = body.get("value") else {
            let schema = "ConversationVariableUpdatePayload";
            let bad = BadParameter { schema, name: "value", problem: Problem::Missing, given: Value::Object(body) };
            return Err(bad.refusal(&self.behaviour));
        };
        let mut state = self.state(app);
        let known = state.conversation(&user, id).is_some_and(|conversation| conversation.committed);
        if !known {
            return Err(Refusal::not_found("Conversation Not Exists."));
        }
        let wanted = uuid_text(variable).unwrap_or_default();
        let all = state.memory.variables.get_mut(self.home_of_variables(id));
        let found = all.and_then(|all| all.iter_mut().find(|variable| variable.id == wanted));
        let found = found.ok_or_else(|| Refusal::not_found("Conversation Variable Not Exists."))?;
        let text = match (found.kind, value) {
            ("string", _) if self.broken(Fault::VariableUpdateSlips) => return Err(Refusal::internal()),
            ("string", Value::String(text)) => text.clone(),
            ("number", Value::Number(number)) => number.to_string(),
            _ if self.broken(Fault::VariableCoerced) => python_repr(value).trim_matches('\'').to_owned(),
            (kind, other) => return Err(mismatch(found.name, kind, other)),
        };
        let changed = Variable { value: text, updated_at: now.unix_seconds(), ..found.clone() };
        if !self.broken(Fault::VariableNotStored) {
            *found = changed.clone();
        }
        drop(state);
        Ok(self.json(200, &self.variable_row(&changed)))
    }
}

fn mismatch(name: &str, kind: &str, given: &Value) -> Refusal {
    let got = match given {
        Value::Null => "none",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let text = format!("Type mismatch: variable '{name}' expects {kind}, but got {got} type");
    Refusal::new(400, "bad_request", text)
}

impl Story {
    /// `memo` takes the query of this turn.
    pub(super) fn memorise(&self, core: &Core, now: Moment) {
        let Some((conversation, _, _)) = &self.cast.frame.chat else {
            return;
        };
        let mut state = core.state(self.cast.app);
        let all = state.memory.variables.get_mut(core.home_of_variables(conversation));
        if let Some(memo) = all.and_then(|all| all.iter_mut().find(|variable| variable.name == "memo")) {
            memo.value.clone_from(&self.cast.query);
            memo.updated_at = now.unix_seconds();
        }
    }
}
