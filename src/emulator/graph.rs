//! What happens in a run, as a list: nodes, text, containers, pauses and endings, each with the time before it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::model::{Ending, Plan};

/// One node of a graph, with what it takes and puts out in this run.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its id in the graph.
    pub id: &'static str,
    /// `node_type`.
    pub kind: &'static str,
    /// Its name.
    pub title: &'static str,
    /// What it takes; none is `{}` or null by version.
    pub inputs: Value,
    /// What it used.
    pub process: Value,
    /// What it puts out; none is `{}` or null by version.
    pub outputs: Value,
    /// Tokens its model used.
    pub tokens: u64,
    /// The container it runs in.
    pub inside: Option<Container>,
}

/// A node that runs others several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Once per item of a list.
    Iteration,
    /// Until a condition holds.
    Loop,
}

impl Container {
    /// The id of its node.
    pub fn id(self) -> &'static str {
        match self {
            Container::Iteration => "iteration",
            Container::Loop => "loop",
        }
    }

    /// The name of its node.
    pub fn title(self) -> &'static str {
        match self {
            Container::Iteration => "Iteration",
            Container::Loop => "Loop",
        }
    }

    /// The names of its events: started, next, completed.
    pub fn events(self) -> [&'static str; 3] {
        match self {
            Container::Iteration => ["iteration_started", "iteration_next", "iteration_completed"],
            Container::Loop => ["loop_started", "loop_next", "loop_completed"],
        }
    }
}

/// One thing that happens in a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// The run starts.
    Begin,
    /// A node starts.
    Enter(Box<Node>),
    /// A node finishes, with its error if it failed.
    Leave(Box<Node>, Option<String>),
    /// A node tries again.
    Again(Box<Node>, u64),
    /// A piece of text and the variable it comes from.
    Say(String, [&'static str; 2]),
    /// The moderation replaces the text.
    Replace(String),
    /// A container starts with this many rounds.
    Open(Container, u64),
    /// A container begins a round, counted from 0.
    Round(Container, u64),
    /// A container is done.
    Close(Container, u64),
    /// A person is asked.
    Ask,
    /// The run waits.
    Pause,
    /// The person has answered: the id of the chosen action and what was filled in.
    Filled(String, Map<String, Value>),
    /// The variable `memo` takes the query.
    Memorise,
    /// The run is over: its outputs or its error.
    Finish(Result<Value, String>),
    /// The message of a chatflow is complete.
    EndMessage,
    /// The stream of a chatflow ends with an error.
    Complain(String),
    /// A piece of text that is not sent.
    Mute(String),
}

/// What happens, with the time before each.
pub type Script = Vec<(Duration, Act)>;

impl Node {
    /// A node that takes and puts out nothing.
    pub fn new(id: &'static str, kind: &'static str, title: &'static str) -> Self {
        let none = Value::Null;
        Self { id, kind, title, inputs: none.clone(), process: none.clone(), outputs: none, tokens: 0, inside: None }
    }

    /// With inputs and outputs.
    pub fn with(self, inputs: Value, outputs: Value) -> Self {
        Self { inputs, outputs, ..self }
    }

    /// Its start and its finish with what happens between.
    pub fn around(self, between: Script) -> Script {
        let mut script = vec![(Duration::ZERO, Act::Enter(Box::new(self.clone())))];
        script.extend(between);
        script.push((Duration::ZERO, Act::Leave(Box::new(self), None)));
        script
    }
}

/// The extra parts a text asks for with `iterate:N`, `loop:N`, `retry` and `pause`.
pub fn extras(text: &str, pauses: bool) -> Script {
    let mut script = Vec::new();
    for word in text.split_whitespace() {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let rounds = value.parse::<u64>().ok().filter(|rounds| (1..=50).contains(rounds));
        match (name, rounds) {
            ("iterate", Some(rounds)) => script.extend(container(Container::Iteration, rounds)),
            ("loop", Some(rounds)) => script.extend(container(Container::Loop, rounds)),
            ("retry", _) if value.is_empty() => script.extend(unsteady()),
            ("pause", _) if value.is_empty() && pauses => script.extend(question()),
            _ => {}
        }
    }
    script
}

fn container(kind: Container, rounds: u64) -> Script {
    let now = |act| (Duration::ZERO, act);
    let mut script = vec![now(Act::Open(kind, rounds))];
    for round in 0..rounds {
        script.push(now(Act::Round(kind, round)));
        let mut child = Node::new("item", "template-transform", "Item");
        child = child.with(json!({"index": round}), json!({"output": format!("item {round}")}));
        child.inside = Some(kind);
        script.extend(child.around(Vec::new()));
    }
    script.push(now(Act::Close(kind, rounds)));
    script
}

fn unsteady() -> Script {
    let node =
        Node::new("fetch", "http-request", "Fetch").with(json!({"url": "http://localhost/"}), json!({"body": "ok"}));
    let again = (Duration::from_millis(2), Act::Again(Box::new(node.clone()), 1));
    node.around(vec![again])
}

fn question() -> Script {
    let node = Node::new("approval", "human-input", "Approval");
    let now = |act| (Duration::ZERO, act);
    let mut script = node.around(vec![now(Act::Ask), now(Act::Pause)]);
    if let Some((_, Act::Leave(node, _))) = script.last_mut() {
        node.outputs = json!({"__action_id": "approve"});
    }
    script
}

/// The pieces of a plan as text of a variable; the plan's ending last.
pub fn speech(plan: &Plan, from: [&'static str; 2]) -> Script {
    let mut script: Script = plan
        .chunks
        .iter()
        .enumerate()
        .map(|(at, text)| (if at == 0 { plan.first } else { plan.gap }, Act::Say(text.clone(), from)))
        .collect();
    if let Ending::Replaced(text) = &plan.ending {
        script.push((Duration::ZERO, Act::Replace(text.clone())));
    }
    script
}

/// The text of a plan, whole; what the moderation made of it.
pub fn spoken(plan: &Plan) -> String {
    match &plan.ending {
        Ending::Replaced(text) => text.clone(),
        Ending::Complete | Ending::Failure(_) => plan.chunks.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(script: &Script, wanted: impl Fn(&Act) -> bool) -> usize {
        script.iter().filter(|(_, act)| wanted(act)).count()
    }

    #[test]
    fn containers_have_their_rounds_and_children_inside() {
        let script = extras("iterate:3 x loop:2", false);
        assert_eq!(count(&script, |act| matches!(act, Act::Round(Container::Iteration, _))), 3);
        assert_eq!(count(&script, |act| matches!(act, Act::Round(Container::Loop, _))), 2);
        assert!(script.iter().all(|(_, act)| !matches!(act, Act::Enter(node) if node.inside.is_none())));
    }

    #[test]
    fn nonsense_asks_for_nothing() {
        assert_eq!(extras("iterate:0 loop:x retry:2 iterate:99 pause", false), vec![]);
    }

    #[test]
    fn a_pause_is_asked_for_where_it_exists() {
        let script = extras("pause", true);
        assert_eq!(count(&script, |act| matches!(act, Act::Ask | Act::Pause)), 2);
    }
}
