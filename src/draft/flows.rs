//! Which exchanges belong together: a conversation with all that was done to it, a completion or a run with its stop and
//! its feedback. What belongs to nothing is left over.

use super::ids;
use super::said::Seen;
use crate::model::Endpoint;
use std::collections::{HashMap, HashSet};

/// Exchanges of one flow, in order, as indexes.
pub(super) type Flow = Vec<usize>;

/// The exchanges of an app, grouped.
pub(super) struct Grouped {
    pub(super) flows: Vec<Flow>,
    /// What belongs to no flow.
    pub(super) rest: Flow,
}

/// Groups the exchanges of one app, given in the order of sending.
pub(super) fn group(seen: &[Seen<'_>]) -> Grouped {
    let mut grouping = Grouping::default();
    for (index, one) in seen.iter().enumerate() {
        grouping.place(index, one, seen);
        grouping.learn(index, one);
    }
    let used: HashSet<usize> = grouping.flows.iter().flatten().copied().collect();
    let rest = (0..seen.len()).filter(|index| !used.contains(index)).collect();
    let mut flows = grouping.flows;
    for flow in &mut flows {
        flow.sort_unstable();
        flow.dedup();
    }
    Grouped { flows, rest }
}

#[derive(Default)]
struct Grouping {
    flows: Vec<Flow>,
    /// Id -> exchange whose reply gave it first.
    given_by: HashMap<String, usize>,
    /// Id -> flow in which it is at home.
    home: HashMap<String, usize>,
    /// Texts of requests so far: what a reply repeats of them, it does not give.
    said: HashSet<String>,
}

impl Grouping {
    fn place(&mut self, index: usize, one: &Seen<'_>, seen: &[Seen<'_>]) {
        let flow = match self.home_of(one) {
            Some(flow) => flow,
            None if one.route.endpoint.generates() => self.new_flow(),
            None if one.named().iter().any(|id| self.given_by.contains_key(*id)) => self.new_flow(),
            // a conversation from before the recording: what follows may go on with it
            None if one.conversation().is_some() => self.new_flow(),
            None => return,
        };
        let needed = one.named().into_iter().filter_map(|id| self.given_by.get(id).copied());
        let needed: Vec<usize> = needed.filter(|by| seen.get(*by).is_some_and(Seen::is_repeatable)).collect();
        if let Some(members) = self.flows.get_mut(flow) {
            members.extend(needed.into_iter().filter(|by| *by != index));
            members.push(index);
        }
        for id in one.named() {
            self.home.entry(id.to_owned()).or_insert(flow);
        }
        for given in &one.given {
            if !self.said.contains(&given.id) || ids::OF_DOCUMENT.contains(&given.member.as_str()) {
                self.home.entry(given.id.clone()).or_insert(flow);
            }
        }
    }

    /// The flow that the ids of a request are at home in. A turn is at home in its conversation only.
    fn home_of(&self, one: &Seen<'_>) -> Option<usize> {
        if let Some(flow) = one.conversation().and_then(|id| self.home.get(id)) {
            return Some(*flow);
        }
        if one.route.endpoint.generates() || one.route.endpoint == Endpoint::FileUpload {
            return None;
        }
        one.named().into_iter().find_map(|id| self.home.get(id)).copied()
    }

    fn new_flow(&mut self) -> usize {
        self.flows.push(Vec::new());
        self.flows.len() - 1
    }

    fn learn(&mut self, index: usize, one: &Seen<'_>) {
        self.said.extend(one.named().into_iter().map(str::to_owned));
        for given in &one.given {
            let own = ids::OF_DOCUMENT.contains(&given.member.as_str());
            if own || !self.said.contains(&given.id) {
                self.given_by.entry(given.id.clone()).or_insert(index);
            }
        }
    }
}
