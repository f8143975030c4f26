//! The emulator over HTTP, in every profile.

use std::time::Duration;

use difyprobe::emulator::{AppKind, Config, Pace, Profile, Running, ServeError, start};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::emulator_client::{Answer, Api, Verdicts, chat_body};

async fn serve(profile: Profile) -> Running {
    let apps = vec![AppKind::Chat, AppKind::ChatPlain, AppKind::Completion];
    let pace = Pace { first_chunk: Duration::from_millis(1), gap: Duration::from_millis(1), chunk_chars: 16 };
    start(Config { profile, apps, pace, ..Config::default() }).await.unwrap()
}

/// Runs the body with a documented server and a client of its chat app.
async fn with_chat(body: impl AsyncFnOnce(&Api<'_>)) {
    let server = serve(Profile::Documented).await;
    let verdicts = Verdicts::default();
    body(&Api::new(&server, "chat", &verdicts)).await;
    server.stop().await;
    let broken: Vec<_> = verdicts.take().into_iter().filter(|(_, holds)| !holds).collect();
    assert_eq!(broken, []);
}

fn names(answer: &Answer) -> Vec<String> {
    answer.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_later_turn_sees_the_earlier_one_in_order() {
    with_chat(async |api| {
        let first = api.turn("u", "", "one", "blocking").await;
        let second = api.turn("u", &first.conversation(), "two", "streaming").await;
        let line = "system: You talk to Alice lang=en age=None.\n";
        assert_eq!(first.text(), format!("ECHO:{line} | user: one"));
        assert_eq!(second.text(), format!("ECHO:{line} | user: one | assistant: {} | user: two", first.text()));
        let stored = api.messages("u", &first.conversation(), "").await;
        assert_eq!(stored.column("query"), ["one", "two"]);
        assert_eq!(stored.column("answer"), [first.text(), second.text()]);
    })
    .await;
}

#[tokio::test]
async fn a_completion_takes_its_query_from_the_form_or_from_the_body() {
    let server = serve(Profile::Documented).await;
    let verdicts = Verdicts::default();
    let api = Api::new(&server, "completion", &verdicts);
    let text = async |inputs: Value, query: &str| {
        let body = json!({"inputs": inputs, "query": query, "user": "u"});
        api.post("/completion-messages", &body).await.text()
    };
    assert_eq!(text(json!({"query": "q", "tone": "t"}), "").await, "ECHO:user: TONE=t Q=q\n");
    assert_eq!(text(json!({}), "top").await, "ECHO:user: TONE=plain Q=top\n");
    assert_eq!(text(json!({"query": "q"}), "top").await, "ECHO:system: TONE=plain Q=q\n | user: top");
    assert_eq!(text(json!({}), "").await, "ECHO:user: TONE=plain Q=\n");
}

#[tokio::test]
async fn end_users_are_per_app() {
    let server = serve(Profile::Documented).await;
    let verdicts = Verdicts::default();
    let (chat, plain) = (Api::new(&server, "chat", &verdicts), Api::new(&server, "chat-plain", &verdicts));
    let id = chat.turn("u", "", "hello", "blocking").await.conversation();
    assert_eq!(chat.conversations("u", "").await.column("id"), std::slice::from_ref(&id));
    assert!(plain.conversations("u", "").await.rows().is_empty());
    assert!(plain.messages("u", &id, "").await.is(404, "not_found"));
    assert!(plain.turn("u", &id, "again", "blocking").await.is(404, "not_found"));
    assert_eq!(plain.delete(&id, "u").await.status, 404);
    assert_eq!(chat.messages("u", &id, "").await.rows().len(), 1);
}

#[tokio::test]
async fn later_inputs_are_ignored_or_applied_as_the_profile_says() {
    for (profile, applied) in [(Profile::Documented, false), (Profile::Dify015, false), (Profile::Dify112, true)] {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let api = Api::new(&server, "chat", &verdicts);
        let id = api.turn("u", "", "one", "blocking").await.conversation();
        let later = async |inputs: Value| {
            let mut body = chat_body("u", &id, "later", "streaming");
            body["inputs"] = inputs;
            api.post("/chat-messages", &body).await
        };
        let renamed = later(json!({"name": "Bob"})).await;
        assert_eq!(renamed.text().contains("talk to Bob"), applied, "{profile:?}");
        let missing = later(json!({})).await;
        assert_eq!(missing.is(400, "invalid_param"), applied, "{profile:?}");
        let rows = api.messages("u", &id, "").await.rows();
        assert_eq!(rows.len(), if applied { 2 } else { 3 });
        assert_eq!(rows[1]["inputs"]["name"], if applied { "Bob" } else { "Alice" });
        assert_eq!(api.conversations("u", "").await.rows()[0]["inputs"]["name"], "Alice");
    }
}

#[tokio::test]
async fn who_may_delete_and_what_comes_back_depends_on_the_profile() {
    for (profile, by_stranger, by_owner, again) in
        [(Profile::Documented, 404, 204, 404), (Profile::Dify015, 404, 200, 404), (Profile::Dify112, 204, 204, 204)]
    {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let api = Api::new(&server, "chat", &verdicts);
        let id = api.turn("owner", "", "x", "blocking").await.conversation();
        assert_eq!(api.delete(&id, "stranger").await.status, by_stranger, "{profile:?}");
        assert_eq!(api.delete(&id, "owner").await.status, by_owner, "{profile:?}");
        assert_eq!(api.delete(&id, "owner").await.status, again, "{profile:?}");
        assert_eq!(api.messages("owner", &id, "").await.status, 404);
        assert!(api.conversations("owner", "").await.rows().is_empty());
    }
}

#[tokio::test]
async fn errors_look_as_in_the_profile() {
    let error = async |profile| {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let api = Api::new(&server, "chat", &verdicts);
        let mode = api.turn("u", "", "q", "foo").await.json;
        let odd = api.post("/chat-messages", &json!([])).await;
        let route = api.get("/nope").await;
        (mode, odd.status, route.media_type)
    };
    let (mode, odd, route) = error(Profile::Documented).await;
    assert_eq!((mode["status"].clone(), odd, route.as_str()), (json!(400), 400, "application/json"));
    let (mode, odd, route) = error(Profile::Dify015).await;
    assert_eq!(
        (mode["params"].clone(), odd, route.as_str()),
        (json!("response_mode"), 500, "text/html; charset=utf-8")
    );
    assert!(mode.get("status").is_none());
    let (mode, odd, _) = error(Profile::Dify112).await;
    assert!(mode["message"].as_str().unwrap().starts_with("1 validation error for ChatRequestPayload\nresponse_mode"));
    assert_eq!(odd, 500);
}

#[tokio::test]
async fn the_version_is_named_by_imitated_servers_only() {
    for (profile, version) in
        [(Profile::Documented, None), (Profile::Dify015, Some("0.15.3")), (Profile::Dify112, Some("1.12.1"))]
    {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let api = Api::new(&server, "chat", &verdicts);
        let answer = api.request("GET", "/info").bearer_auth(&api.key).send().await.unwrap();
        let named = answer.headers().get("x-version").map(|value| value.to_str().unwrap());
        assert_eq!(named, version);
    }
}

/// Stops a slow stream as `stopper` after its first event; the whole stream and how many rows say what.
async fn stopped_by(api: &Api<'_>, stopper: &str) -> (Vec<Value>, Value) {
    let body = chat_body("u", "", "gap:0.1 chunks:8 a text to be stopped", "streaming");
    let mut asked = false;
    let text = api
        .stream("/chat-messages", &body, async |text| {
            if !std::mem::replace(&mut asked, true) {
                let event: Value = serde_json::from_str(text[6..].lines().next().unwrap()).unwrap();
                let path = format!("/chat-messages/{}/stop", event["task_id"].as_str().unwrap());
                let answer = api.post(&path, &json!({"user": stopper})).await;
                assert_eq!((answer.status, answer.json), (200, json!({"result": "success"})));
            }
            false
        })
        .await;
    let events: Vec<Value> =
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(|d| serde_json::from_str(d).unwrap()).collect();
    let id = events[0]["conversation_id"].as_str().unwrap();
    let row = api.messages("u", id, "").await.rows()[0].clone();
    (events, row)
}

#[tokio::test]
async fn a_stop_by_the_right_user_ends_the_stream_and_keeps_the_part() {
    with_chat(async |api| {
        let (events, row) = stopped_by(api, "u").await;
        assert!(events.len() < 5, "{events:?}");
        assert_eq!(events.last().unwrap()["event"], "message_end");
        let part: String = events.iter().filter_map(|event| event["answer"].as_str()).collect();
        assert!(!part.is_empty());
        assert_eq!(row["answer"], part.trim());
    })
    .await;
}

#[tokio::test]
async fn a_stop_by_another_user_has_no_effect() {
    with_chat(async |api| {
        let (events, row) = stopped_by(api, "other").await;
        assert_eq!(events.len(), 8 + 1 + 1);
        assert!(row["answer"].as_str().unwrap().ends_with("to be stopped"));
    })
    .await;
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_an_empty_answer() {
    with_chat(async |api| {
        let body = chat_body("gone", "", "gap:0.1 x", "streaming");
        let text = api.stream("/chat-messages", &body, async |_| true).await;
        let event: Value = serde_json::from_str(text[6..].lines().next().unwrap()).unwrap();
        // a longer turn of somebody else: when it ends, the abandoned one would have ended too
        api.turn("other", "", "gap:0.15 x", "streaming").await;
        let rows = api.messages("gone", event["conversation_id"].as_str().unwrap(), "").await.rows();
        assert_eq!((rows[0]["answer"].clone(), rows[0]["status"].clone()), (json!(""), json!("normal")));
    })
    .await;
}

#[tokio::test]
async fn a_blocking_answer_is_stored_even_if_nobody_waits_for_it() {
    with_chat(async |api| {
        let id = api.turn("u", "", "hello", "blocking").await.conversation();
        let body = chat_body("u", &id, "sleep:0.2 still there?", "blocking");
        let request = api.request("POST", "/chat-messages").bearer_auth(&api.key).json(&body);
        assert!(request.timeout(Duration::from_millis(50)).send().await.unwrap_err().is_timeout());
        loop {
            let answers = api.messages("u", &id, "").await.column("answer");
            if answers.len() == 2 && answers[1].ends_with("still there?") {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn pings_come_at_their_interval_while_data_flows_too() {
    let server = start(Config { ping_every: Duration::from_millis(100), ..Config::default() }).await.unwrap();
    let verdicts = Verdicts::default();
    let api = Api::new(&server, "chat", &verdicts);
    let began = std::time::Instant::now();
    let answer = api.turn("u", "", "gap:0.06 chunks:10 x", "streaming").await;
    let most = began.elapsed().as_millis() / 100;
    let pings = answer.body.split_terminator("\n\n").filter(|block| *block == "event: ping").count();
    assert!(pings >= 3 && pings as u128 <= most, "{pings} pings in {most} intervals");
    assert_eq!(names(&answer).last().unwrap(), "message_end");
}

#[tokio::test]
async fn model_errors_leave_a_message_with_status_error() {
    with_chat(async |api| {
        let failed = api.turn("u", "", "failmid with a text that has some pieces", "streaming").await;
        assert_eq!(names(&failed), ["message", "message", "message", "error"]);
        let row = api.messages("u", &failed.conversation(), "").await.rows()[0].clone();
        assert_eq!((row["status"].clone(), row["answer"].clone()), (json!("error"), json!("")));
        assert_eq!(row["error"], "fake mid-stream failure");
        assert!(api.turn("u", "", "fail:rate", "blocking").await.is(400, "completion_request_error"));
    })
    .await;
}

#[tokio::test]
async fn an_empty_answer_is_refused_in_blocking_mode_by_1_12_only() {
    for (profile, status) in [(Profile::Documented, 200), (Profile::Dify015, 200), (Profile::Dify112, 400)] {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let api = Api::new(&server, "chat", &verdicts);
        assert_eq!(api.turn("u", "", "empty", "blocking").await.status, status, "{profile:?}");
        assert_eq!(api.turn("u", "", "empty", "streaming").await.text(), "");
    }
}

#[tokio::test]
async fn moderation_replaces_the_text_and_is_what_is_stored() {
    with_chat(async |api| {
        let answer = api.turn("u", "", "moderate:bad is bad", "streaming").await;
        assert!(names(&answer).contains(&"message_replace".to_owned()));
        assert!(answer.text().ends_with("moderate:*** is ***"));
        let stored = api.messages("u", &answer.conversation(), "").await.column("answer");
        assert_eq!(stored, [answer.text()]);
    })
    .await;
}

#[tokio::test]
async fn speech_is_sent_with_streams_only_when_configured() {
    let server = start(Config { tts_autoplay: true, ..Config::default() }).await.unwrap();
    let verdicts = Verdicts::default();
    let chat = Api::new(&server, "chat", &verdicts);
    assert_eq!(chat.get("/parameters").await.json["text_to_speech"]["autoPlay"], "enabled");
    let events = names(&chat.turn("u", "", "x", "streaming").await);
    let end = events.iter().position(|name| name == "message_end").unwrap();
    assert_eq!(events[end - 1..], ["tts_message", "message_end", "tts_message", "tts_message_end"]);
    with_chat(async |api| {
        assert_eq!(api.get("/parameters").await.json["text_to_speech"]["autoPlay"], "disabled");
        assert!(!api.turn("u", "", "x", "streaming").await.body.contains("tts_message"));
    })
    .await;
}

#[tokio::test]
async fn pages_partition_messages_and_conversations() {
    with_chat(async |api| {
        let mut conversation = String::new();
        let mut ids = Vec::new();
        for turn in 0..5 {
            let answer = api.turn("u", &conversation, &turn.to_string(), "blocking").await;
            conversation = answer.conversation();
            ids.push(answer.member("message_id"));
        }
        let newest = api.messages("u", &conversation, "&limit=2").await;
        assert_eq!((newest.column("id"), newest.json["has_more"].clone()), (ids[3..].to_vec(), json!(true)));
        let older = api.messages("u", &conversation, &format!("&limit=3&first_id={}", ids[3])).await;
        assert_eq!((older.column("id"), older.json["has_more"].clone()), (ids[..3].to_vec(), json!(false)));
        assert_eq!(api.messages("u", &conversation, "&limit=0").await.status, 400);
        assert_eq!(api.messages("u", &conversation, "&limit=101").await.status, 400);

        let mut opened = Vec::new();
        for _ in 0..3 {
            opened.push(api.turn("many", "", "x", "blocking").await.conversation());
        }
        let first = api.conversations("many", "&limit=2&sort_by=created_at").await;
        assert_eq!((first.column("id"), first.json["has_more"].clone()), (opened[..2].to_vec(), json!(true)));
        let rest = api.conversations("many", &format!("&limit=2&sort_by=created_at&last_id={}", opened[1])).await;
        assert_eq!((rest.column("id"), rest.json["has_more"].clone()), (opened[2..].to_vec(), json!(false)));
    })
    .await;
}

#[tokio::test]
async fn many_parallel_streams_stay_apart() {
    with_chat(async |api| {
        let streams = (0..100).map(async |i| {
            let answer = api.turn(&format!("u{i}"), "", &format!("gap:0.01 nonce-{i}-end"), "streaming").await;
            assert!(answer.text().ends_with(&format!("nonce-{i}-end")));
            answer.conversation()
        });
        let mut ids = join_all(streams).await;
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 100);
    })
    .await;
}

#[tokio::test]
async fn feedback_shows_in_history_and_in_the_list() {
    with_chat(async |api| {
        let answer = api.turn("u", "", "x", "blocking").await;
        let path = format!("/messages/{}/feedbacks", answer.member("message_id"));
        let rated = api.post(&path, &json!({"rating": "like", "content": "good", "user": "u"})).await;
        assert_eq!(rated.json, json!({"result": "success"}));
        assert_eq!(
            api.messages("u", &answer.conversation(), "").await.rows()[0]["feedback"],
            json!({"rating": "like"})
        );
        assert_eq!(api.get("/app/feedbacks").await.column("content"), ["good"]);
        assert!(api.post(&path, &json!({"rating": "like", "user": "other"})).await.is(404, "not_found"));
        api.post(&path, &json!({"rating": null, "user": "u"})).await;
        assert!(api.get("/app/feedbacks").await.rows().is_empty());
    })
    .await;
}

#[tokio::test]
async fn keys_follow_from_the_seed_and_differ_otherwise() {
    let key = async |seed| start(Config { seed, ..Config::default() }).await.unwrap().keys()[0].1.clone();
    let (a, b, other) = (key(1).await, key(1).await, key(2).await);
    assert_eq!(a, b);
    assert_ne!(a, other);
    assert!(
        a.strip_prefix("app-").is_some_and(|rest| rest.len() == 24 && rest.chars().all(|c| c.is_ascii_alphanumeric()))
    );
}

#[tokio::test]
async fn a_stopped_emulator_cuts_streams_and_no_longer_answers() {
    let server = serve(Profile::Documented).await;
    let verdicts = Verdicts::default();
    let api = Api::new(&server, "chat", &verdicts);
    let mut server = Some(server);
    let body = chat_body("u", "", "gap:60 x", "streaming");
    let text = api
        .stream("/chat-messages", &body, async |_| {
            if let Some(server) = server.take() {
                server.stop().await;
            }
            false
        })
        .await;
    assert!(!text.contains("message_end"));
    let request = api.request("GET", "/info").bearer_auth(&api.key).send();
    assert!(request.await.is_err());
}

#[tokio::test]
async fn starting_fails_without_apps_or_on_a_taken_port() {
    let none = start(Config { apps: vec![], ..Config::default() }).await;
    assert!(matches!(none, Err(ServeError::NoApps)));
    let first = start(Config::default()).await.unwrap();
    let port = first.base_url().split([':', '/']).nth(4).unwrap().parse().unwrap();
    let second = start(Config { port, ..Config::default() }).await;
    assert!(matches!(second, Err(ServeError::Bind { .. })));
}
