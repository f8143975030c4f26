//! The JSON of successful answers and of stream events, as literals.

use serde_json::{Map, Value, json};

use super::behaviour::Behaviour;
use super::state::{Conversation, Feedback, Message};

/// The ids every event of one stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// The task.
    pub task: String,
    /// The message.
    pub message: String,
    /// The conversation; none in completion apps.
    pub conversation: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
}

/// Token counts and time of one generation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Words of the prompt.
    pub prompt: u64,
    /// Words of the answer.
    pub completion: u64,
    /// Seconds.
    pub latency: f64,
}

/// An event with the members all events share; `error` events have no task.
pub fn event(name: &str, ids: &Ids) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("event".to_owned(), json!(name));
    if let Some(conversation) = &ids.conversation {
        event.insert("conversation_id".to_owned(), json!(conversation));
    }
    event.insert("message_id".to_owned(), json!(ids.message));
    event.insert("created_at".to_owned(), json!(ids.created_at));
    if name != "error" {
        event.insert("task_id".to_owned(), json!(ids.task));
    }
    event
}

/// A piece of the answer.
pub fn message_event(ids: &Ids, text: &str) -> Map<String, Value> {
    let mut event = event("message", ids);
    event.insert("id".to_owned(), json!(ids.message));
    event.insert("answer".to_owned(), json!(text));
    event.insert("from_variable_selector".to_owned(), Value::Null);
    event
}

/// The moderation replaces what was sent so far.
pub fn replace_event(ids: &Ids, text: &str) -> Map<String, Value> {
    let mut event = event("message_replace", ids);
    event.insert("answer".to_owned(), json!(text));
    event.insert("reason".to_owned(), json!(""));
    event
}

/// The end of the answer.
pub fn end_event(ids: &Ids, metadata: Value) -> Map<String, Value> {
    let mut event = event("message_end", ids);
    event.insert("id".to_owned(), json!(ids.message));
    event.insert("metadata".to_owned(), metadata);
    event.insert("files".to_owned(), Value::Null);
    event
}

/// The failure of the model.
pub fn error_event(ids: &Ids, code: &str, status: u16, message: &str) -> Map<String, Value> {
    let mut event = event("error", ids);
    event.insert("code".to_owned(), json!(code));
    event.insert("status".to_owned(), json!(status));
    event.insert("message".to_owned(), json!(message));
    event
}

/// A piece of speech, or its end with no audio.
pub fn speech_event(ids: &Ids, audio: &str) -> Map<String, Value> {
    let name = if audio.is_empty() { "tts_message_end" } else { "tts_message" };
    let mut event = event(name, ids);
    event.insert("audio".to_owned(), json!(audio));
    event
}

/// A blocking answer.
pub fn blocking(ids: &Ids, mode: &str, answer: &str, metadata: Value) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("event".to_owned(), json!("message"));
    body.insert("task_id".to_owned(), json!(ids.task));
    body.insert("id".to_owned(), json!(ids.message));
    body.insert("message_id".to_owned(), json!(ids.message));
    if let Some(conversation) = &ids.conversation {
        body.insert("conversation_id".to_owned(), json!(conversation));
    }
    body.insert("mode".to_owned(), json!(mode));
    body.insert("answer".to_owned(), json!(answer));
    body.insert("metadata".to_owned(), metadata);
    body.insert("created_at".to_owned(), json!(ids.created_at));
    body
}

/// `metadata` of a finished generation.
pub fn metadata(behaviour: &Behaviour, usage: Value) -> Value {
    let mut metadata = Map::new();
    if behaviour.recent_metadata {
        metadata.insert("annotation_reply".to_owned(), Value::Null);
    }
    if behaviour.retriever_resources {
        metadata.insert("retriever_resources".to_owned(), json!([]));
    }
    metadata.insert("usage".to_owned(), usage);
    Value::Object(metadata)
}

/// `metadata.usage`: prices of 0.001 and 0.002 per thousand tokens, or none.
pub fn usage(behaviour: &Behaviour, usage: Usage) -> Value {
    let (prompt_rate, completion_rate) = if behaviour.priced { (10, 20) } else { (0, 0) };
    let unit = |price: &'static str| if behaviour.priced { price } else { "0" };
    let prompt_price = usage.prompt * prompt_rate;
    let completion_price = usage.completion * completion_rate;
    let price = |ten_millionths| price_text(ten_millionths, behaviour);
    let mut members = json!({
        "prompt_tokens": usage.prompt,
        "prompt_unit_price": unit("0.001"),
        "prompt_price_unit": unit("0.001"),
        "prompt_price": price(prompt_price),
        "completion_tokens": usage.completion,
        "completion_unit_price": unit("0.002"),
        "completion_price_unit": unit("0.001"),
        "completion_price": price(completion_price),
        "total_tokens": usage.prompt + usage.completion,
        "total_price": price(prompt_price + completion_price),
        "currency": "USD",
        "latency": usage.latency
    });
    if behaviour.recent_metadata {
        members["time_to_first_token"] = Value::Null;
        members["time_to_generate"] = Value::Null;
    }
    members
}

/// A price with seven decimals; real servers write zero in scientific notation.
fn price_text(ten_millionths: u64, behaviour: &Behaviour) -> String {
    if ten_millionths == 0 && behaviour.version.is_some() {
        return "0E-7".to_owned();
    }
    format!("{}.{:07}", ten_millionths / 10_000_000, ten_millionths % 10_000_000)
}

/// One row of `GET /messages`.
pub fn message_row(conversation: &str, message: &Message) -> Value {
    json!({
        "id": message.id,
        "conversation_id": conversation,
        "parent_message_id": "00000000-0000-0000-0000-000000000000",
        "inputs": message.inputs,
        "query": message.query,
        "answer": message.answer,
        "feedback": message.rating.map(|rating| json!({"rating": rating})),
        "retriever_resources": [],
        "created_at": message.created_at,
        "agent_thoughts": [],
        "message_files": [],
        "status": if message.error.is_some() { "error" } else { "normal" },
        "error": message.error
    })
}

/// One row of `GET /conversations`, also the answer to a rename.
pub fn conversation_row(conversation: &Conversation) -> Value {
    json!({
        "id": conversation.id,
        "name": conversation.name,
        "inputs": conversation.inputs,
        "status": "normal",
        "introduction": conversation.introduction,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at
    })
}

/// One page of a list.
pub fn page(limit: usize, has_more: bool, data: Vec<Value>) -> Value {
    json!({"limit": limit, "has_more": has_more, "data": data})
}

/// One row of `GET /app/feedbacks`; times are ISO text without a zone.
pub fn feedback_row(feedback: &Feedback, conversation: Option<&str>, app_id: &str, user_id: &str) -> Value {
    json!({
        "id": feedback.id,
        "app_id": app_id,
        "conversation_id": conversation,
        "message_id": feedback.message,
        "rating": feedback.rating,
        "content": feedback.content,
        "from_source": "user",
        "from_end_user_id": user_id,
        "from_account_id": null,
        "created_at": iso(feedback.created_at),
        "updated_at": iso(feedback.updated_at)
    })
}

/// `YYYY-MM-DDThh:mm:ss` of Unix seconds.
pub fn iso(unix_seconds: i64) -> String {
    let (days, second) = (unix_seconds.div_euclid(86_400), unix_seconds.rem_euclid(86_400));
    // civil date from the number of days, counted in eras of 400 years that begin on 1 March
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::config::Profile;

    const USAGE: Usage = Usage { prompt: 3, completion: 3, latency: 0.1 };

    #[test]
    fn prices_have_seven_decimals_and_add_up() {
        let usage = usage(&Behaviour::of(Profile::Dify112), USAGE);
        assert_eq!(usage["prompt_price"], "0.0000030");
        assert_eq!(usage["completion_price"], "0.0000060");
        assert_eq!(usage["total_price"], "0.0000090");
    }

    #[test]
    fn documented_usage_has_the_twelve_members() {
        let usage = usage(&Behaviour::of(Profile::Documented), USAGE);
        assert_eq!(usage.as_object().unwrap().len(), 12);
    }

    #[test]
    fn metadata_of_0_15_holds_usage_only() {
        let behaviour = Behaviour::of(Profile::Dify015);
        assert_eq!(metadata(&behaviour, json!(1)), json!({"usage": 1}));
    }

    #[test]
    fn iso_times_follow_the_calendar() {
        assert_eq!(iso(1_795_424_536), "2026-11-23T09:02:16");
        assert_eq!(iso(951_782_400), "2000-02-29T00:00:00");
    }
}
