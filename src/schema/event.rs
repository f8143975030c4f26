//! SSE events, chosen by the member `event`.

use super::Violation;
use super::library::library;
use serde_json::Value;

macro_rules! events {
    ($($name:literal),* $(,)?) => {
        &[$((
            $name,
            concat!("events/", $name, ".json"),
            include_str!(concat!("../../schemas/events/", $name, ".json")),
        )),*]
    };
}

/// Every known event with its file below `schemas/` and the text of that file.
pub(super) const FILES: &[(&str, &str, &str)] = events![
    "message",
    "agent_message",
    "agent_thought",
    "message_file",
    "message_replace",
    "message_end",
    "tts_message",
    "tts_message_end",
    "error",
    "ping",
    "workflow_started",
    "workflow_finished",
    "node_started",
    "node_finished",
    "node_retry",
    "iteration_started",
    "iteration_next",
    "iteration_completed",
    "loop_started",
    "loop_next",
    "loop_completed",
    "text_chunk",
    "text_replace",
    "agent_log",
    "reasoning_chunk",
    "human_input_required",
    "workflow_paused",
    "human_input_form_filled",
    "human_input_form_timeout",
];

/// Names of the events that have a schema.
pub fn known_events() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _, _)| *name)
}

/// What is wrong with an event, as [`super::check`] says it; `None` for an event that has no schema. `value` is the
/// parsed data of the frame; a ping has none, so give it `{"event": "ping"}` or do not ask.
pub fn check_event(event: &str, value: &Value) -> Option<Vec<Violation>> {
    library().event(event).map(|schema| schema.violations(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unknown_event_is_told_from_a_good_one() {
        assert_eq!(check_event("surprise", &json!({"event": "surprise"})), None);
        assert_eq!(check_event("ping", &json!({"event": "ping"})), Some(Vec::new()));
    }

    #[test]
    fn an_event_is_held_against_the_schema_of_the_name_asked_for() {
        let chunk = json!({"event": "message", "answer": "a"});
        assert_eq!(check_event("message", &chunk), Some(Vec::new()));
        let found = check_event("agent_message", &chunk).expect("a known event");
        assert_eq!(found[0].path, "/event");
    }

    #[test]
    fn milliseconds_and_ids_that_are_no_uuids_are_refused() {
        let event = json!({"event": "message", "answer": "", "created_at": 1_705_395_332_123_u64, "task_id": "42"});
        let found = check_event("message", &event).expect("a known event");
        let paths: Vec<&str> = found.iter().map(|v| v.path.as_str()).collect();
        assert!(paths.contains(&"/created_at") && paths.contains(&"/task_id"), "{found:?}");
    }
}
