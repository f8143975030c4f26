//! A recording -> one entry per step and app, in an order and a form that are the same on every run.

use super::compare::Entry;
use crate::canonical::{Canon, Options, Text};
use crate::model::{Exchange, Route, Transcript};
use crate::scenario::ast::{Action, Scenario, Snapshot, Step, Texts};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How a step runs, as far as it decides what is stable about it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Place {
    /// Beside copies of itself or other steps.
    side_by_side: bool,
    /// While a stream is open: what it reads may or may not hold the text so far.
    while_open: bool,
    /// It is a stream that is stopped, or that we leave: how far it came is a matter of luck.
    cut_short: bool,
    /// What the file says about how it is shown.
    asked: Snapshot,
}

/// The entries of a recording. `scenarios` are those that were run; what their files say about a step decides how it is
/// shown: texts of steps inside `during` are left out, a stream that is stopped is shown without its number of pieces,
/// steps inside `parallel` come in the order of what they sent. Requests of no step (discovery, clean-up) have no entry.
pub fn entries(transcript: &Transcript, scenarios: &[Arc<Scenario>], options: Options) -> Vec<Entry> {
    let steps = told(transcript, scenarios, options);
    steps.iter().filter_map(|step| Some(Entry::of_step(step.exchanges.first()?, &step.texts))).collect()
}

/// What a step exchanged on one app, in an order that is the same on every run.
pub struct ToldStep<'t> {
    /// The exchanges.
    pub exchanges: Vec<&'t Exchange>,
    /// What each of them called.
    pub routes: Vec<Route>,
    /// Their canonical texts.
    pub texts: Vec<String>,
}

/// As [`entries`], exchange by exchange.
pub fn told<'t>(transcript: &'t Transcript, scenarios: &[Arc<Scenario>], options: Options) -> Vec<ToldStep<'t>> {
    let base_path = path_of(&transcript.base_url);
    let mut stories: BTreeMap<(&str, &str), Vec<&'t Exchange>> = BTreeMap::new();
    for exchange in transcript.exchanges.iter().filter(|e| e.origin.line > 0) {
        stories.entry((&exchange.origin.scenario, &exchange.app)).or_default().push(exchange);
    }
    let mut told = Vec::new();
    for ((scenario, _), exchanges) in stories {
        let places = scenarios.iter().find(|s| s.id == scenario).map(|s| places(s)).unwrap_or_default();
        let mut canon = Canon::new(options.clone());
        for (step, exchanges) in steps(exchanges) {
            let place = places.get(step).cloned().unwrap_or_default();
            canon.set_text(text(options.text, &place));
            canon.set_headers([options.headers.as_slice(), &place.asked.headers].concat());
            canon.set_side_by_side(place.side_by_side);
            told.push(told_step(exchanges, place.side_by_side, &mut canon, base_path));
        }
    }
    told
}

/// Texts where the place of the step makes them a matter of luck, else as the file says, else as chosen for the run.
fn text(chosen: Text, place: &Place) -> Text {
    let chosen = match place.asked.texts {
        Some(Texts::Exact) => Text::Exact,
        Some(Texts::Shape) => Text::Shape,
        Some(Texts::Ignored) => Text::Ignored,
        None => chosen,
    };
    match (chosen, place) {
        (_, Place { while_open: true, .. }) | (Text::Ignored, _) => Text::Ignored,
        (_, Place { cut_short: true, .. }) => Text::Shape,
        _ => chosen,
    }
}

fn told_step<'t>(
    mut exchanges: Vec<&'t Exchange>,
    side_by_side: bool,
    canon: &mut Canon,
    base_path: &str,
) -> ToldStep<'t> {
    if side_by_side {
        exchanges.sort_by_cached_key(|e| canon.sort_key(e));
    }
    let route = |e: &&Exchange| Route::of(&e.request.method, &e.request.target, base_path);
    let routes: Vec<Route> = exchanges.iter().map(route).collect();
    let texts = exchanges.iter().zip(&routes).map(|(exchange, route)| canon.canonical(exchange, route)).collect();
    ToldStep { exchanges, routes, texts }
}

/// Exchanges by step, the steps in the order of the file: where steps run side by side, that of sending is luck.
fn steps<'t>(mut exchanges: Vec<&'t Exchange>) -> Vec<(&'t str, Vec<&'t Exchange>)> {
    exchanges.sort_by_key(|e| (e.origin.line, e.origin.column, e.id));
    let mut steps: Vec<(&'t str, Vec<&'t Exchange>)> = Vec::new();
    for exchange in exchanges {
        match steps.last_mut() {
            Some((step, of_step)) if *step == exchange.origin.step => of_step.push(exchange),
            _ => steps.push((&exchange.origin.step, vec![exchange])),
        }
    }
    steps
}

fn places(scenario: &Scenario) -> HashMap<String, Place> {
    let mut places = HashMap::new();
    let around = Place { asked: scenario.snapshot.clone(), ..Place::default() };
    note(&scenario.steps, &around, &mut places);
    note(&scenario.finally, &around, &mut places);
    places
}

// Ends: steps are nested as deep as the file is.
fn note(steps: &[Step], around: &Place, places: &mut HashMap<String, Place>) {
    for step in steps {
        let mut place = around.clone();
        place.asked.texts = step.snapshot.texts.or(around.asked.texts);
        place.asked.headers.extend(step.snapshot.headers.iter().cloned());
        match &step.action {
            Action::Parallel(parallel) => {
                let inside = Place { side_by_side: true, ..around.clone() };
                parallel.branches.iter().for_each(|branch| note(branch, &inside, places));
            }
            Action::Chat(turn) | Action::Completion(turn) => {
                let during = turn.during.as_ref().map(|d| d.steps.as_slice()).unwrap_or_default();
                place.cut_short |= turn.hang_up_after.is_some() || during.iter().any(stops);
                note(during, &Place { while_open: true, ..around.clone() }, places);
            }
            _ => {}
        }
        places.insert(step.id.clone(), place);
    }
}

fn stops(step: &Step) -> bool {
    let raw = |path: &str| path.split('?').next().is_some_and(|path| path.ends_with("/stop"));
    match &step.action {
        Action::Stop { .. } => true,
        Action::Request(request) => raw(&request.path),
        Action::Parallel(parallel) => parallel.branches.iter().flatten().any(stops),
        _ => false,
    }
}

fn path_of(base_url: &str) -> &str {
    let rest = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use serde_json::{Value, json};

    const FILE: &str = r#"difyprobe: 1
id: test.story
title: T
target: { app: [chat], mode: streaming }
steps:
  - id: long
    chat:
      query: q
      during:
        after-events: 1
        steps:
          - { id: read, history: { conversation: "${{ conversation }}" } }
          - { id: stop, stop: { task: "${{ task }}" } }
    capture: { conversation: $.conversation_id, task: $.task_id }
  - id: lanes
    parallel:
      times: 3
      steps:
        - { id: lane, chat: { query: "${{ lane }}" } }
  - { id: list, conversations: { limit: 20 } }
"#;

    fn exchange(id: u64, step: &str, line: u32, body: &Value, media: &str, reply: &str) -> Value {
        let origin = json!({"scenario": "test.story", "step": step, "file": "t.yaml", "line": line, "column": 5, "user": 0,
            "iteration": 0});
        let (method, target) = match step {
            "list" => ("GET", "/v1/conversations?user=u"),
            "read" => ("GET", "/v1/messages?user=u"),
            "stop" => ("POST", "/v1/chat-messages/9c855157-77d2-4eac-8fed-0ebd7c1811f6/stop"),
            _ => ("POST", "/v1/chat-messages"),
        };
        json!({"id": id, "app": "chat", "origin": origin,
            "request": {"method": method, "target": target, "headers": [], "body": {"text": body.to_string()}},
            "reply": {"http_version": "HTTP/1.1", "status": 200, "headers": [["Content-Type", media]],
                "body": {"text": reply}, "body_bytes": reply.len(), "reads": []},
            "fault": null, "timing": {"sent_us": 0, "end_us": 1}})
    }

    fn texts(exchanges: Vec<Value>) -> Vec<(String, String)> {
        let mut transcript = Transcript::new("http://127.0.0.1:1/v1", 0);
        transcript.exchanges = exchanges.into_iter().map(|e| serde_json::from_value(e).unwrap()).collect();
        let scenario = Arc::new(parse("t.yaml", FILE).unwrap());
        entries(&transcript, &[scenario], Options::default()).into_iter().map(|e| (e.step, e.canonical)).collect()
    }

    /// Three lanes sent in the order `sent`; the server lists their conversations in the order `listed`.
    fn lanes(sent: [u64; 3], listed: [u64; 3]) -> Vec<(String, String)> {
        let id = |lane: u64| format!("{}c855157-77d2-4eac-8fed-0ebd7c1811f6", lane + 3);
        let turn = |(n, lane): (u64, &u64)| {
            let reply = json!({"conversation_id": id(*lane), "answer": format!("lane {lane}")}).to_string();
            exchange(n + 1, "lane", 19, &json!({"query": lane.to_string()}), "application/json", &reply)
        };
        let mut all: Vec<Value> = (0..).zip(&sent).map(turn).collect();
        let rows: Vec<Value> = listed.iter().map(|lane| json!({"id": id(*lane), "name": lane})).collect();
        all.push(exchange(9, "list", 20, &json!({}), "application/json", &json!({"data": rows}).to_string()));
        texts(all)
    }

    #[test]
    fn lanes_are_shown_the_same_whoever_was_first() {
        let first = lanes([0, 1, 2], [0, 1, 2]);
        assert_eq!(first, lanes([2, 0, 1], [1, 2, 0]));
        let steps: Vec<&str> = first.iter().map(|(step, _)| step.as_str()).collect();
        assert_eq!(steps, ["lane", "list"]);
        let list = &first[1].1;
        assert!(
            list.contains("  \"data\": [\n    [these 3 come in any order]\n    {\n      \"id\": \"conv-1\""),
            "{list}"
        );
        assert_ne!(first, lanes([0, 1, 2], [0, 1, 1]), "a conversation listed twice went unseen");
    }

    #[test]
    fn the_exchanges_of_a_step_stand_one_after_another_in_its_entry() {
        let lane = &lanes([0, 1, 2], [0, 1, 2])[0].1;
        assert!(lane.starts_with("=== 1\nPOST /chat-messages\n"), "{lane}");
        assert!(
            lane.contains("\n=== 2\nPOST ") && lane.contains("\n=== 3\nPOST ") && !lane.contains("=== 4"),
            "{lane}"
        );
    }

    #[test]
    fn how_far_a_stopped_stream_came_and_what_was_read_meanwhile_changes_nothing_but_shape_does() {
        let run = |pieces: usize, read: &str, status: &str| {
            let piece = "data: {\"event\":\"message\",\"answer\":\"a\"}\n\n".repeat(pieces);
            let stream = piece + "data: {\"event\":\"message_end\"}\n\n";
            let read = json!({"data": [{"answer": read, "status": status}]}).to_string();
            texts(vec![
                exchange(1, "long", 6, &json!({"query": "q"}), "text/event-stream", &stream),
                exchange(2, "read", 12, &json!({}), "application/json", &read),
                exchange(3, "stop", 13, &json!({}), "application/json", "{\"result\": \"success\"}"),
            ])
        };
        assert_eq!(run(2, "", "normal"), run(5, "aaa", "normal"));
        assert_ne!(run(2, "", "normal"), run(2, "", "error"));
        assert!(run(2, "", "normal")[0].1.contains("event message x[n]\n"));
    }
}
