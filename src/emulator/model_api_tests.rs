use super::*;

fn ask_with(api: &ModelApi, path: &str, body: &Value, headers: &[(&str, &str)]) -> Speech {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let body = body.to_string().into_bytes();
    let request = Request { method: "POST".to_owned(), path: path.to_owned(), headers, body, ..Request::default() };
    api.speak(&request, Moment(5_000_000))
}

fn ask(body: Value) -> Speech {
    ask_with(&ModelApi::new(None, Pace::default()), "/v1/chat/completions", &body, &[])
}

fn said(text: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": text}]})
}

fn streamed(text: &str) -> Value {
    let mut body = said(text);
    body["stream"] = json!(true);
    body
}

fn json_of(speech: &Speech) -> Value {
    serde_json::from_slice(&speech.answer.body).unwrap()
}

/// The payloads of a stream.
fn events(speech: &Speech) -> Vec<String> {
    let blocks = speech.blocks.iter().filter(|(_, block)| !block.is_empty());
    blocks
        .map(|(_, block)| {
            let text = String::from_utf8(block.clone()).unwrap();
            text.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap().to_owned()
        })
        .collect()
}

fn chunks(speech: &Speech) -> Vec<Value> {
    events(speech).iter().filter(|text| *text != "[DONE]").map(|text| serde_json::from_str(text).unwrap()).collect()
}

#[test]
fn a_blocking_answer_is_the_labelled_prompt_with_usage_in_words() {
    let answer = json_of(&ask(said("hello there")));
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][0]["message"]["content"], "ECHO:system: S | user: hello there");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"], json!({"prompt_tokens": 6, "completion_tokens": 6, "total_tokens": 12}));
    assert_eq!((&answer["model"], &answer["created"]), (&json!("m"), &json!(5)));
}

#[test]
fn the_pieces_of_a_stream_join_to_the_blocking_answer() {
    let speech = ask(streamed("hello there"));
    let parts = chunks(&speech);
    let text: String = parts.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "ECHO:system: S | user: hello there");
    assert_eq!(parts[0]["choices"][0]["delta"]["role"], "assistant");
    let last = parts.last().unwrap();
    assert_eq!((&last["choices"][0]["finish_reason"], &last["usage"]["total_tokens"]), (&json!("stop"), &json!(12)));
    assert_eq!(events(&speech).last().unwrap(), "[DONE]");
    assert!(parts.iter().all(|c| c["id"] == parts[0]["id"] && c["object"] == "chat.completion.chunk"));
}

#[test]
fn usage_comes_in_a_chunk_of_its_own_when_it_is_asked_for() {
    let mut body = streamed("x");
    body["stream_options"] = json!({"include_usage": true});
    let parts = chunks(&ask(body));
    let last = parts.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert!(last["usage"]["prompt_tokens"].is_u64());
    assert!(parts[..parts.len() - 1].iter().all(|c| c.get("usage").is_none()));
}

#[test]
fn magic_words_of_the_last_user_message_set_pace_also_behind_a_template() {
    for text in ["gap:0.5 chunks:7", "TONE=calm Q=gap:0.5 chunks:7 x"] {
        let speech = ask(streamed(text));
        let gaps = speech.blocks.iter().filter(|(delay, _)| *delay == Duration::from_millis(500)).count();
        assert_eq!(gaps, 6, "{text}");
    }
    let early = json!({"messages": [{"role": "user", "content": "fail"}, {"role": "assistant", "content": "a"},
                                    {"role": "user", "content": "b"}]});
    assert_eq!(ask(early).answer.status, 200);
}

#[test]
fn failures_have_the_status_of_their_kind_streaming_or_not() {
    for (word, status) in
        [("fail", 500), ("fail:rate", 429), ("fail:auth", 401), ("fail:bad", 400), ("fail:daemon", 503)]
    {
        for body in [said(word), streamed(word)] {
            let speech = ask(body);
            assert_eq!(speech.answer.status, status, "{word}");
            assert!(json_of(&speech)["error"]["message"].is_string());
        }
    }
    let broken = ask(said("fail:conn"));
    assert!(broken.cut && broken.answer.body.is_empty());
}

#[test]
fn a_failure_in_the_middle_is_an_error_event_and_no_done() {
    let speech = ask(streamed("failmid some more words to have pieces"));
    let events = events(&speech);
    assert_eq!(events.len(), 5);
    assert!(events[4].starts_with(r#"{"error""#), "{}", events[4]);
    assert_eq!(ask(said("failmid")).answer.status, 500);
}

#[test]
fn an_empty_answer_is_empty_text() {
    assert_eq!(json_of(&ask(said("empty")))["choices"][0]["message"]["content"], "");
}

#[test]
fn a_tool_is_called_when_offered_and_asked_for_by_name() {
    let tool = json!({"type": "function", "function": {"name": "current_time", "parameters": {}}});
    let mut body = said("tool:current_time please");
    body["tools"] = json!([tool]);
    let choice = &json_of(&ask(body.clone()))["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], "calling tool");
    assert_eq!(choice["message"]["tool_calls"][0]["function"], json!({"name": "current_time", "arguments": "{}"}));
    body["stream"] = json!(true);
    let parts = chunks(&ask(body.clone()));
    let calls: Vec<&Value> = parts.iter().filter_map(|c| c["choices"][0]["delta"].get("tool_calls")).collect();
    assert_eq!((calls.len(), &calls[0][0]["function"]["name"]), (2, &json!("current_time")));
    assert_eq!(parts.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    body["tools"] = json!([]);
    assert_eq!(chunks(&ask(body)).last().unwrap()["choices"][0]["finish_reason"], "stop");
}

#[test]
fn the_older_form_of_functions_is_answered_in_its_form() {
    let mut body = said("tool:f");
    body["functions"] = json!([{"name": "f"}]);
    let choice = &json_of(&ask(body))["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["function_call"]["name"]),
        (&json!("function_call"), &json!("f"))
    );
}

#[test]
fn the_side_questions_of_a_server_get_answers_it_can_read() {
    let text = "Please help me predict the three most likely questions that human would ask. fail";
    let answer = json_of(&ask(said(text)));
    let content = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Vec<String>>(content).unwrap().len(), 3);
    let title = json_of(&ask(said("... \"Your Output\": ... sleep:9")));
    let content: Value = serde_json::from_str(title["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    assert_eq!(content["Your Output"], "Echo conversation");
}

#[test]
fn a_key_is_demanded_where_one_is_set() {
    let api = ModelApi::new(Some("k1".to_owned()), Pace::default());
    let status = |headers: &[(&str, &str)]| ask_with(&api, "/v1/chat/completions", &said("x"), headers).answer.status;
    assert_eq!(status(&[]), 401);
    assert_eq!(status(&[("authorization", "Bearer other")]), 401);
    assert_eq!(status(&[("authorization", "Bearer k1")]), 200);
}

#[test]
fn text_completions_echo_the_prompt_in_their_own_shape() {
    let api = ModelApi::new(None, Pace::default());
    let whole = json_of(&ask_with(&api, "/v1/completions", &json!({"prompt": "a b"}), &[]));
    assert_eq!((&whole["object"], &whole["choices"][0]["text"]), (&json!("text_completion"), &json!("ECHO:user: a b")));
    let speech = ask_with(&api, "/v1/completions", &json!({"prompt": "a b", "stream": true}), &[]);
    let text: String =
        chunks(&speech).iter().filter_map(|c| c["choices"][0]["text"].as_str().map(str::to_owned)).collect();
    assert_eq!(text, "ECHO:user: a b");
}

#[test]
fn wrong_requests_are_refused_in_the_words_of_the_interface() {
    let api = ModelApi::new(None, Pace::default());
    let status = |path: &str, body: &Value| ask_with(&api, path, body, &[]).answer.status;
    assert_eq!(status("/v1/chat/completions", &json!([])), 400);
    assert_eq!(status("/v1/chat/completions", &json!({})), 400);
    assert_eq!(status("/v1/completions", &json!({})), 400);
    assert_eq!(status("/v1/nothing", &json!({})), 404);
    assert_eq!(status("/v1/models", &json!({})), 405);
}
