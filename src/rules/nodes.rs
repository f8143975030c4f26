//! Bookkeeping over the node, iteration and loop events of one workflow stream: what was started, what was finished.

use super::stream::{Event, Stream};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Which rule a fault belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Node starts and ends belong together.
    Pairing,
    /// The `index` of nodes.
    Index,
    /// Iterations and loops.
    Containers,
}

/// One thing wrong with a stream.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) topic: Topic,
    pub(super) check: &'static str,
    pub(super) frame: usize,
    pub(super) expected: String,
    pub(super) actual: String,
}

/// What a stream's node events add up to.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Everything wrong, in order.
    pub(super) faults: Vec<Fault>,
    /// Nodes finished, containers and their children included.
    pub(super) finished: u64,
    /// Sum of `execution_metadata.total_tokens` of finished nodes outside iterations and loops.
    pub(super) tokens: u64,
    /// node_started events.
    pub(super) starts: u64,
    /// Iterations and loops started.
    pub(super) containers: u64,
    open: HashMap<String, Open>,
    closed: HashSet<String>,
    boxes: HashMap<String, Container>,
    indexes: BTreeSet<i64>,
    last_index: Option<i64>,
}

#[derive(Debug)]
struct Open {
    node_id: String,
    index: Option<i64>,
    retries: i64,
}

#[derive(Debug)]
struct Container {
    node_id: String,
    kind: &'static str,
    seen: BTreeSet<i64>,
}

fn text<'e>(event: &'e Event, member: &str) -> &'e str {
    event.value.get("data").and_then(|d| d.get(member)).and_then(Value::as_str).unwrap_or("")
}

fn number(event: &Event, member: &str) -> Option<i64> {
    event.value.get("data")?.get(member)?.as_i64()
}

/// Reads a stream from its first to its last event.
pub(super) fn read(stream: &Stream) -> Ledger {
    let mut ledger = Ledger::default();
    for event in &stream.events {
        match event.name.as_str() {
            "node_started" => ledger.start(event),
            "node_retry" => ledger.retry(event),
            "node_finished" => ledger.finish(event),
            "iteration_started" => ledger.enter(event, "iteration"),
            "loop_started" => ledger.enter(event, "loop"),
            "iteration_next" => ledger.next(event, "iteration"),
            "loop_next" => ledger.next(event, "loop"),
            "iteration_completed" => ledger.leave(event, "iteration"),
            "loop_completed" => ledger.leave(event, "loop"),
            "workflow_finished" => ledger.end(event),
            _ => {}
        }
    }
    ledger
}

impl Ledger {
    fn fault(
        &mut self,
        topic: Topic,
        check: &'static str,
        event: &Event,
        expected: impl Into<String>,
        actual: impl Into<String>,
    ) {
        self.faults.push(Fault { topic, check, frame: event.frame, expected: expected.into(), actual: actual.into() });
    }

    fn start(&mut self, event: &Event) {
        let (id, node_id) = (text(event, "id").to_owned(), text(event, "node_id").to_owned());
        self.starts += 1;
        let index = number(event, "index");
        let inner = ["iteration_id", "loop_id"].iter().map(|m| text(event, m)).find(|t| !t.is_empty());
        match inner {
            Some(container) => {
                if !self.boxes.values().any(|c| c.node_id == container) {
                    let actual = format!("node {node_id} inside {container}, which is not open");
                    self.fault(Topic::Containers, "child", event, "nodes inside an open iteration or loop", actual);
                }
            }
            None => self.order(event, index),
        }
        if self.open.contains_key(&id) || self.closed.contains(&id) {
            let actual = format!("node_started for {id} ({node_id}) again");
            self.fault(Topic::Pairing, "started-twice", event, "one node_started for each id", actual);
        }
        self.open.insert(id, Open { node_id, index, retries: 0 });
    }

    /// Indexes outside containers grow; while branches run side by side they need only differ.
    fn order(&mut self, event: &Event, index: Option<i64>) {
        let Some(index) = index else { return };
        let parallel = !self.open.is_empty();
        let fits = match self.last_index {
            Some(last) if !parallel => index > last,
            _ => !self.indexes.contains(&index),
        };
        if !fits {
            let last = self.last_index.unwrap_or(0);
            self.fault(
                Topic::Index,
                "increasing",
                event,
                format!("an index above {last}"),
                format!("index {index} for node {}", text(event, "node_id")),
            );
        }
        self.indexes.insert(index);
        self.last_index = Some(self.last_index.map_or(index, |last| last.max(index)));
    }

    fn retry(&mut self, event: &Event) {
        let retry = number(event, "retry_index").unwrap_or(0);
        match self.open.get_mut(text(event, "id")) {
            None => {
                let actual = format!("node_retry for {}", text(event, "id"));
                self.fault(Topic::Pairing, "retry", event, "node_retry of a node that is running", actual);
            }
            Some(open) => {
                let before = open.retries;
                open.retries = retry;
                if retry <= before {
                    self.fault(
                        Topic::Pairing,
                        "retry",
                        event,
                        format!("a retry_index above {before}"),
                        retry.to_string(),
                    );
                }
            }
        }
    }

    fn finish(&mut self, event: &Event) {
        let (id, node_id) = (text(event, "id").to_owned(), text(event, "node_id"));
        self.finished += 1;
        let inner = ["iteration_id", "loop_id"].iter().any(|m| !text(event, m).is_empty());
        let tokens = event.value.pointer("/data/execution_metadata/total_tokens").and_then(Value::as_u64);
        self.tokens += tokens.filter(|_| !inner).unwrap_or(0);
        let Some(open) = self.open.remove(&id) else {
            let (check, what) = match self.closed.contains(&id) {
                true => ("finished-twice", "again"),
                false => ("finished-without-start", "without a node_started before it"),
            };
            let actual = format!("node_finished for {id} ({node_id}) {what}");
            self.fault(Topic::Pairing, check, event, "one node_finished after each node_started", actual);
            self.closed.insert(id);
            return;
        };
        if open.node_id != node_id {
            self.fault(Topic::Pairing, "node-id", event, format!("node_id {} as started", open.node_id), node_id);
        }
        let index = number(event, "index");
        if index.is_some() && open.index.is_some() && index != open.index {
            let (was, is) = (open.index.unwrap_or(0), index.unwrap_or(0));
            self.fault(Topic::Index, "finish", event, format!("index {was} as started"), format!("index {is}"));
        }
        self.closed.insert(id);
    }

    fn enter(&mut self, event: &Event, kind: &'static str) {
        let (id, node_id) = (text(event, "id").to_owned(), text(event, "node_id").to_owned());
        self.containers += 1;
        if self.boxes.contains_key(&id) {
            let actual = format!("{kind}_started for {id} again");
            self.fault(Topic::Containers, "started-twice", event, format!("one {kind}_started for each id"), actual);
        }
        self.boxes.insert(id, Container { node_id, kind, seen: BTreeSet::new() });
    }

    fn next(&mut self, event: &Event, kind: &'static str) {
        let index = number(event, "index").unwrap_or(-1);
        let id = text(event, "id");
        let fault = match self.boxes.get_mut(id).filter(|c| c.kind == kind) {
            None => Some(("next-without-start", format!("{kind}_next between start and end of {kind} {id}"))),
            Some(container) => {
                let fresh = container.seen.insert(index) && index >= 0;
                let expected = || format!("each {kind}_next with an index of its own, from 0");
                (!fresh).then(|| ("next-index", expected()))
            }
        };
        if let Some((check, expected)) = fault {
            self.fault(Topic::Containers, check, event, expected, format!("{kind}_next {index} of {id}"));
        }
    }

    fn leave(&mut self, event: &Event, kind: &'static str) {
        let id = text(event, "id");
        let Some(container) = self.boxes.remove(id).filter(|c| c.kind == kind) else {
            let actual = format!("{kind}_completed for {id}");
            let expected = format!("{kind}_completed after its {kind}_started");
            self.fault(Topic::Containers, "completed-without-start", event, expected, actual);
            return;
        };
        let (steps, seen) = (number(event, "steps").unwrap_or(0), container.seen.len() as i64);
        if steps < seen {
            let expected = format!("steps of at least {seen}, as many as there were {kind}_next events");
            self.fault(Topic::Containers, "steps", event, expected, format!("steps {steps}"));
        }
    }

    fn end(&mut self, event: &Event) {
        if !matches!(text(event, "status"), "succeeded" | "partial-succeeded") {
            return;
        }
        if let Some(node) = self.open.values().map(|o| o.node_id.clone()).min() {
            let actual = format!("node {node} still running");
            self.fault(Topic::Pairing, "left-open", event, "every started node finished before success", actual);
        }
        if let Some(node) = self.boxes.values().map(|c| c.node_id.clone()).min() {
            let actual = format!("{node} still open");
            self.fault(Topic::Containers, "left-open", event, "every iteration and loop completed", actual);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stream(events: &[(&str, Value)]) -> Stream {
        let event = |(index, (name, data)): (usize, &(&str, Value))| Event {
            frame: index + 1,
            at_us: 0,
            name: (*name).to_owned(),
            value: json!({"event": name, "data": data}),
        };
        Stream { events: events.iter().enumerate().map(event).collect(), ..Stream::default() }
    }

    fn node(name: &'static str, id: &str, index: i64) -> (&'static str, Value) {
        (name, json!({"id": id, "node_id": format!("n-{id}"), "index": index}))
    }

    fn checks(events: &[(&str, Value)]) -> Vec<(Topic, &'static str, usize)> {
        read(&stream(events)).faults.iter().map(|f| (f.topic, f.check, f.frame)).collect()
    }

    #[test]
    fn a_run_in_order_has_no_faults_and_counts_its_nodes() {
        let end = ("workflow_finished", json!({"status": "succeeded"}));
        let mut finish = node("node_finished", "b", 2);
        finish.1["execution_metadata"] = json!({"total_tokens": 7});
        let events =
            [node("node_started", "a", 1), node("node_finished", "a", 1), node("node_started", "b", 2), finish, end];
        let ledger = read(&stream(&events));
        assert!(ledger.faults.is_empty(), "{:?}", ledger.faults);
        assert_eq!((ledger.finished, ledger.tokens), (2, 7));
    }

    #[test]
    fn what_does_not_pair_is_told_with_its_event() {
        let end = ("workflow_finished", json!({"status": "succeeded"}));
        let events = [
            node("node_finished", "a", 1),
            node("node_started", "b", 1),
            node("node_finished", "b", 2),
            node("node_finished", "b", 1),
            node("node_started", "b", 1),
            end,
        ];
        assert_eq!(
            checks(&events),
            [
                (Topic::Pairing, "finished-without-start", 1),
                (Topic::Index, "finish", 3),
                (Topic::Pairing, "finished-twice", 4),
                (Topic::Index, "increasing", 5),
                (Topic::Pairing, "started-twice", 5),
                (Topic::Pairing, "left-open", 6),
            ]
        );
    }

    #[test]
    fn parallel_branches_need_only_distinct_indexes_and_failed_runs_may_leave_nodes_open() {
        let end = ("workflow_finished", json!({"status": "failed"}));
        let events = [node("node_started", "a", 2), node("node_started", "b", 1), end];
        assert_eq!(checks(&events), []);
    }

    #[test]
    fn iterations_are_entered_counted_and_left() {
        let at =
            |name: &'static str, index: i64| (name, json!({"id": "i", "node_id": "it", "index": index, "steps": 1}));
        let child = ("node_started", json!({"id": "c", "node_id": "in", "index": 1, "iteration_id": "it"}));
        let good = [at("iteration_started", 0), at("iteration_next", 0), at("iteration_completed", 0)];
        assert_eq!(checks(&good), []);
        let bad = [
            child,
            at("iteration_next", 0),
            at("iteration_started", 0),
            at("iteration_next", 0),
            at("iteration_next", 0),
            at("iteration_next", 1),
            at("iteration_completed", 0),
            at("iteration_completed", 0),
        ];
        let found: Vec<&str> = checks(&bad).iter().map(|(_, check, _)| *check).collect();
        assert_eq!(found, ["child", "next-without-start", "next-index", "steps", "completed-without-start"]);
    }
}
