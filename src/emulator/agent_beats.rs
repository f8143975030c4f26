//! What happens in a turn of an agent, as a list: thoughts around text.

use std::collections::VecDeque;
use std::time::Duration;

use super::agent::{self, Thought};
use super::core::Core;
use super::fault::Fault;
use super::generation::{Act, Opening};
use super::model::{Ending, Plan};

/// Stores one step of an agent, in place of what is stored of it.
pub(super) fn remember(core: &Core, opening: &Opening, thought: &Thought) {
    let mut state = core.state(opening.app);
    let thoughts = state.memory.thoughts.entry(opening.ids.message.clone()).or_default();
    match thoughts.iter_mut().find(|known| known.id == thought.id) {
        Some(known) => known.clone_from(thought),
        None => thoughts.push(thought.clone()),
    }
}

/// The steps of a plan in an agent: thoughts around the text; the `newest` kind of agents closes with its answer.
pub(super) fn agent_beats(core: &Core, opening: &Opening, plan: Plan, newest: bool) -> VecDeque<(Duration, Act)> {
    let new = |position| {
        let id = core.state(opening.app).uuid();
        let position = if core.broken(Fault::ThoughtPositionsReset) { 0 } else { position };
        Thought::new(id, position, opening.ids.created_at)
    };
    let now = |act: Act| (Duration::ZERO, act);
    let thinks = |thought: &Thought| Act::Thought(Box::new(thought.clone()));
    let mut thought = new(1);
    if let Ending::Failure(message) = &plan.ending
        && plan.chunks.is_empty()
    {
        remember(core, opening, &thought);
        return VecDeque::from([(plan.first, Act::Fail(message.clone()))]);
    }
    let mut beats = VecDeque::from([(plan.first, thinks(&thought))]);
    if let Some(tool) = agent::wanted_tool(&opening.query) {
        beats.extend([agent::CALLING, ""].map(|text| now(Act::Text(text.to_owned()))));
        (thought.text, thought.tool) = (agent::CALLING.to_owned(), tool.to_owned());
        beats.push_back(now(thinks(&thought)));
        thought.observation = Thought::observed(tool);
        beats.push_back(now(thinks(&thought)));
        if !newest {
            beats.push_back(now(Act::Silent("\n".to_owned())));
        }
        thought = new(2);
        beats.push_back((plan.gap, thinks(&thought)));
    }
    thought.text = plan.chunks.concat();
    let gap = |at: usize| if at == 0 { Duration::ZERO } else { plan.gap };
    beats.extend(plan.chunks.into_iter().enumerate().map(|(at, text)| (gap(at), Act::Text(text))));
    if let Ending::Failure(message) = plan.ending {
        beats.push_back((plan.gap, Act::Fail(message)));
        return beats;
    }
    beats.push_back(now(Act::Text(String::new())));
    if let Ending::Replaced(text) = plan.ending {
        thought.text.clone_from(&text);
        beats.push_back(now(Act::Replace(text)));
    }
    beats.push_back(now(thinks(&thought)));
    if newest {
        beats.push_back(now(Act::Closing));
    }
    beats.push_back(now(Act::End));
    spoil_agent(core, &thought.text, newest, &mut beats);
    beats
}

/// The faults of agent streams.
fn spoil_agent(core: &Core, answer: &str, newest: bool, beats: &mut VecDeque<(Duration, Act)>) {
    if core.broken(Fault::AgentEndsEarly) && !newest {
        let last = beats.iter().rposition(|(_, act)| matches!(act, Act::Text(_)));
        if let Some(beat) = last.and_then(|at| beats.remove(at)) {
            beats.push_back(beat);
        }
    }
    if core.broken(Fault::AgentRepeatsAnswer) && newest {
        let closing = beats.iter().position(|(_, act)| matches!(act, Act::Closing)).unwrap_or_default();
        beats.insert(closing, (Duration::ZERO, Act::Extra(answer.to_owned())));
    }
    if core.broken(Fault::AgentTextAsFile) {
        let first = beats.iter_mut().find_map(|(_, act)| if let Act::Text(_) = act { Some(act) } else { None });
        if let Some(act) = first
            && let Act::Text(text) = act
        {
            *act = Act::AsFile(std::mem::take(text));
        }
    }
}
