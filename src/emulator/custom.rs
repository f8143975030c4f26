//! Apps that their users describe: a form, texts, and answers chosen by what a turn says.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::config::{AppKind, AppMode, Pace};
use super::core::Core;
use super::form::{Variable, in_prompt};
use super::model::{self, Ending, Plan, Prompt};
use super::scripts::{self, Source, Written};
use super::story::Cast;

/// An app in the words of its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomApp {
    /// Its name, also the one of its key.
    pub name: String,
    /// Its mode. A New Agent is no app to describe; it is served as an `agent-chat`.
    pub mode: AppMode,
    /// Its variables.
    pub form: Vec<Variable>,
    /// The opening statement; may name variables as `{{name}}`.
    pub opening: String,
    /// Questions offered with the opening.
    pub questions: Vec<String>,
    /// Questions offered after each answer; none switches them off.
    pub follow_ups: Vec<String>,
    /// The answers; the first one that fits a turn is given. Where none fits, the app echoes its prompt.
    pub answers: Vec<CustomAnswer>,
}

/// An answer, and when it is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomAnswer {
    /// All of these must hold.
    pub when: When,
    /// The text; `{{query}}`, `{{turn}}`, `{{user}}`, `{{echo}}` and variables by name are filled in.
    pub say: String,
    /// Time before the first piece.
    pub first_chunk: Option<Duration>,
    /// Time between two pieces.
    pub gap: Option<Duration>,
    /// Number of pieces.
    pub chunks: Option<u32>,
    /// The error that ends it.
    pub fail: Option<String>,
}

/// When an answer is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// The query, or a text input where the app has no query, holds this text; upper and lower case are the same.
    pub contains: Option<String>,
    /// It is the turn of this number, from 1.
    pub turn: Option<u64>,
}

/// What a turn brings.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// The end user.
    pub user: &'a str,
    /// What was asked.
    pub query: &'a str,
    /// Its number in the conversation, from 1.
    pub number: u64,
    /// The checked inputs.
    pub inputs: &'a Map<String, Value>,
}

impl CustomApp {
    /// The built-in app whose ways it shares.
    pub fn kind(&self) -> AppKind {
        match self.mode {
            AppMode::Chat => AppKind::ChatPlain,
            AppMode::Completion => AppKind::CompletionNoQuery,
            AppMode::AgentChat | AppMode::Agent => AppKind::AgentChat,
            AppMode::AdvancedChat => AppKind::AdvancedChat,
            AppMode::Workflow => AppKind::Workflow,
        }
    }

    /// Opening statement and questions as `/parameters` shows them.
    pub fn greeting(&self) -> (&str, Value) {
        (&self.opening, json!(self.questions))
    }

    /// The opening statement of a conversation.
    pub fn introduction(&self, inputs: &Map<String, Value>) -> String {
        fill(&self.opening, |name| inputs.get(name).map(|value| shown(Some(value))))
    }

    /// What it says in a turn; `prompt` is what the model would repeat.
    pub fn plan(&self, turn: &Turn, prompt: &Prompt, pace: Pace) -> Plan {
        let echo = model::echo(prompt);
        let prompt_words = model::words(&echo).max(1);
        let Some(answer) = self.answers.iter().find(|answer| answer.when.holds(turn)) else {
            return model::recite(echo, prompt_words, "", pace);
        };
        let text = fill(&answer.say, |name| match name {
            _ if turn.inputs.contains_key(name) => Some(shown(turn.inputs.get(name))),
            "query" => Some(turn.query.to_owned()),
            "turn" => Some(turn.number.to_string()),
            "user" => Some(turn.user.to_owned()),
            "echo" => Some(echo.clone()),
            _ => None,
        });
        let pace = Pace {
            first_chunk: answer.first_chunk.unwrap_or(pace.first_chunk),
            gap: answer.gap.unwrap_or(pace.gap),
            chunk_chars: pace.chunk_chars,
        };
        let pieces = answer.chunks.map(|n| format!("chunks:{n}")).unwrap_or_default();
        let mut plan = model::recite(text, prompt_words, &pieces, pace);
        if let Some(error) = &answer.fail {
            plan.ending = Ending::Failure(error.clone());
            if answer.say.is_empty() {
                plan.chunks.clear();
            }
        }
        plan
    }
}

impl When {
    fn holds(&self, turn: &Turn) -> bool {
        let asked = self.contains.as_ref().is_none_or(|wanted| {
            let wanted = wanted.to_lowercase();
            let inputs = turn.inputs.values().filter_map(Value::as_str).filter(|_| turn.query.is_empty());
            inputs.chain([turn.query]).any(|text| text.to_lowercase().contains(&wanted))
        });
        asked && self.turn.is_none_or(|number| number == turn.number)
    }
}

impl Core {
    /// What an app that its user described says; `None` for built-in apps.
    pub(super) fn described_plan(&self, app: usize, turn: &Turn, prompt: &Prompt) -> Option<Plan> {
        let custom = self.apps.get(app)?.custom.as_ref()?;
        Some(custom.plan(turn, prompt, self.pace))
    }

    /// The script of a workflow that its user described; `None` for built-in apps.
    pub(super) fn written_by_user(&self, cast: &Cast, source: &Source) -> Option<Written> {
        let inputs: Map<String, Value> = source
            .inputs
            .iter()
            .filter(|(name, _)| !name.starts_with("sys."))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let count = source.inputs.get("sys.dialogue_count").and_then(Value::as_u64);
        let number = count.map_or(1, |count| count + 1 - self.behaviour.flow.first_dialogue);
        let user = source.inputs.get("sys.user_id").and_then(Value::as_str).unwrap_or_default();
        let turn = Turn { user, query: &cast.query, number, inputs: &inputs };
        let given: Vec<String> =
            inputs.iter().map(|(name, value)| format!("{name}={}", in_prompt(Some(value)))).collect();
        let asked = if cast.query.is_empty() { given.join(" ") } else { cast.query.clone() };
        let prompt = Prompt { user: Some(asked.clone()), ..Prompt::default() };
        let plan = self.described_plan(cast.app, &turn, &prompt)?;
        Some(match &cast.frame.chat {
            Some(_) => scripts::modelled_chatflow(source, &plan, &cast.query),
            None => scripts::modelled_workflow(source, &plan, &asked),
        })
    }
}

/// A value as a person writes it; nothing for null.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        some => in_prompt(some),
    }
}

/// Fills in what stands between `{{` and `}}`; what is not known stays as it is.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        match value(name.trim()) {
            Some(text) => out.push_str(&text),
            None => out.push_str(&format!("{{{{{name}}}}}")),
        }
        rest = tail;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(answers: Vec<CustomAnswer>) -> CustomApp {
        CustomApp {
            name: "bot".to_owned(),
            mode: AppMode::Chat,
            form: Vec::new(),
            opening: "Hi {{ name }}, {{other}}".to_owned(),
            questions: Vec::new(),
            follow_ups: Vec::new(),
            answers,
        }
    }

    fn said(app: &CustomApp, query: &str, number: u64) -> Plan {
        let inputs = json!({"name": "Ada", "age": null}).as_object().unwrap().clone();
        let prompt = Prompt { user: Some(query.to_owned()), ..Prompt::default() };
        app.plan(&Turn { user: "u", query, number, inputs: &inputs }, &prompt, Pace::default())
    }

    fn answer(contains: Option<&str>, turn: Option<u64>, say: &str) -> CustomAnswer {
        let when = When { contains: contains.map(str::to_owned), turn };
        CustomAnswer { when, say: say.to_owned(), ..CustomAnswer::default() }
    }

    #[test]
    fn the_first_answer_that_fits_is_given_and_the_echo_where_none_does() {
        let app = app(vec![answer(Some("Refund"), None, "money"), answer(None, Some(2), "second")]);
        assert_eq!(said(&app, "a refund please", 2).chunks.concat(), "money");
        assert_eq!(said(&app, "hello", 2).chunks.concat(), "second");
        assert_eq!(said(&app, "hello", 1).chunks.concat(), "ECHO:user: hello");
    }

    #[test]
    fn names_are_filled_in_and_unknown_ones_left() {
        let app = app(vec![answer(None, None, "{{name}}/{{ age }}/{{query}}/{{turn}}/{{user}}/{{echo}}/{{nope}}/{{")]);
        assert_eq!(said(&app, "q", 3).chunks.concat(), "Ada//q/3/u/ECHO:user: q/{{nope}}/{{");
        let inputs = json!({"name": "Bob"}).as_object().unwrap().clone();
        assert_eq!(app.introduction(&inputs), "Hi Bob, {{other}}");
    }

    #[test]
    fn times_pieces_and_failures_are_as_written() {
        let mut slow = answer(None, None, "one two three four");
        (slow.gap, slow.chunks) = (Some(Duration::from_millis(50)), Some(3));
        slow.fail = Some("no more".to_owned());
        let plan = said(&app(vec![slow]), "fail sleep:9 chunks:2", 1);
        assert_eq!((plan.chunks.len(), plan.gap), (3, Duration::from_millis(50)));
        assert_eq!((plan.first, plan.ending), (Pace::default().first_chunk, Ending::Failure("no more".to_owned())));
        let at_once = CustomAnswer { fail: Some("no".to_owned()), ..CustomAnswer::default() };
        assert_eq!(said(&app(vec![at_once]), "x", 1).chunks, Vec::<String>::new());
    }
}
