use super::*;
use crate::model::{Body, Fault, FaultClass, Origin, Request, Timing};
use crate::sse::Frame;
use serde_json::{Value, json};

fn frames(events: &[(f64, Value)]) -> Vec<TimedFrame> {
    let timed = |(ms, event): &(f64, Value)| {
        let frame = match event {
            Value::String(name) if name == "ping" => Frame { event: Some(name.clone()), ..Frame::default() },
            data => Frame { data: Some(data.to_string()), data_lines: 1, ..Frame::default() },
        };
        TimedFrame { at_us: (ms * 1000.0).round() as u64, frame: Frame { terminated: true, ..frame } }
    };
    events.iter().map(timed).collect()
}

fn exchange(path: &str, body: Value, media_type: &str, answer: &str) -> Exchange {
    let headers = vec![("Content-Type".to_owned(), media_type.to_owned())];
    Exchange {
        id: 1,
        app: "chat".into(),
        origin: Origin::default(),
        request: Request {
            method: "POST".into(),
            target: path.into(),
            headers: Vec::new(),
            body: Some(Body::Text(body.to_string())),
        },
        reply: Some(Reply {
            http_version: "HTTP/1.1".into(),
            status: 200,
            headers,
            body: Body::Text(answer.to_owned()),
            body_bytes: answer.len() as u64,
            reads: Vec::new(),
        }),
        fault: None,
        timing: Timing { sent_us: 5_000, head_us: Some(1_000), end_us: 2_000_000, ..Timing::default() },
    }
}

fn chat_stream() -> Exchange {
    let body = json!({"query": "hello", "inputs": {}, "response_mode": "streaming", "user": "u"});
    exchange("/v1/chat-messages", body, "text/event-stream; charset=utf-8", "")
}

fn workflow_stream() -> Exchange {
    let body = json!({"inputs": {}, "response_mode": "streaming", "user": "u"});
    exchange("/gate/way/v1/workflows/run?x=1", body, "text/event-stream", "")
}

fn outcome(exchange: &Exchange, events: &[Value]) -> Result<(), FailureClass> {
    let timed: Vec<_> = events.iter().map(|e| (7.0, e.clone())).collect();
    sample_from_frames(exchange, None, &frames(&timed)).map_or(Ok(()), |s| s.outcome)
}

fn finished(status: &str) -> Value {
    json!({"event": "workflow_finished", "data": {"status": status}})
}

/// Events and arrival times of a first turn captured from Dify 1.12.1.
#[test]
fn captured_chat_stream_gives_its_times_and_tokens() {
    let message = |answer: &str| json!({"event": "message", "answer": answer});
    let usage = json!({"completion_tokens": 10, "total_price": "0.0000300", "currency": "USD",
        "latency": 1.0214062559998638, "time_to_first_token": null});
    let mut exchange = chat_stream();
    exchange.timing = Timing {
        planned_us: Some(4_000),
        sent_us: 5_000,
        head_us: Some(1_281_100),
        end_us: 1_379_000,
        ..exchange.timing
    };
    let sample = sample_from_frames(
        &exchange,
        Some(AppMode::Chat),
        &frames(&[
            (500.0, json!("ping")),
            (1281.2, message("ECHO:system: ")),
            (1281.2, message("You talk to A")),
            (1282.2, message("lice lang=Non")),
            (1290.0, message("")),
            (1378.9, json!({"event": "message_end", "metadata": {"usage": usage}})),
        ]),
    );
    let wanted = Sample {
        ttfb_us: Some(1_281_100),
        ttfe_us: Some(1_281_200),
        ttft_us: Some(1_281_200),
        last_content_us: Some(1_282_200),
        e2e_us: 1_378_900,
        e2e_sched_us: Some(1_379_900),
        sched_lag_us: Some(1_000),
        gaps_us: vec![0, 1_000],
        events: 5,
        pings: 1,
        completion_tokens: Some(10),
        server_latency_us: Some(1_021_406),
        server_ttft_us: None,
        cost: Some(("USD".into(), 30_000)),
        turn: Turn::First,
        endpoint: Endpoint::ChatMessages,
        streaming: true,
        outcome: Ok(()),
    };
    assert_eq!(sample, Some(wanted.clone()));
    assert_eq!(wanted.tpot_us(), Some(1_000 / 9));
    assert_eq!(wanted.overhead_us(), Some(1_378_900 - 1_021_406));
}

/// Dify 1.12.1 closes a chatflow with `workflow_finished`, then `message_end`; newer versions the other way round.
#[test]
fn chatflow_ends_at_the_later_of_its_two_terminal_events() {
    let (started, end) = (json!({"event": "workflow_started"}), json!({"event": "message_end", "metadata": {}}));
    let legacy = frames(&[(98.5, started.clone()), (260.5, finished("succeeded")), (268.8, end.clone())]);
    let current = frames(&[(98.5, started.clone()), (260.5, end.clone()), (268.8, finished("succeeded"))]);
    for stream in [legacy, current] {
        let sample = sample_from_frames(&chat_stream(), Some(AppMode::AdvancedChat), &stream);
        let seen = sample.map(|s| (s.e2e_us, s.ttfe_us, s.outcome));
        assert_eq!(seen, Some((268_800, Some(98_500), Ok(()))));
    }
    assert_eq!(outcome(&chat_stream(), &[started.clone(), end.clone()]), Err(FailureClass::MissingTerminal));
    assert_eq!(outcome(&chat_stream(), &[started, finished("succeeded")]), Err(FailureClass::MissingTerminal));
    assert_eq!(outcome(&chat_stream(), &[end]), Ok(()), "an annotation reply starts no workflow");
}

#[test]
fn workflow_streams_are_timed_by_text_chunks_and_workflow_finished() {
    let text = |t: &str| json!({"event": "text_chunk", "data": {"text": t}});
    let stream = frames(&[
        (42.9, json!({"event": "workflow_started"})),
        (268.5, text("Hello")),
        (276.4, text("\n")),
        (397.5, text("5")),
        (462.3, finished("succeeded")),
    ]);
    let sample = sample_from_frames(&workflow_stream(), Some(AppMode::Workflow), &stream);
    let seen = sample.map(|s| (s.ttft_us, s.gaps_us, s.e2e_us, s.turn, s.outcome));
    assert_eq!(seen, Some((Some(268_500), vec![7_900, 121_100], 462_300, Turn::NotATurn, Ok(()))));
}

#[test]
fn closing_message_of_an_agent_app_is_no_content() {
    let stream = frames(&[
        (10.0, json!({"event": "agent_thought", "thought": ""})),
        (20.0, json!({"event": "agent_message", "answer": "a"})),
        (30.0, json!({"event": "agent_message", "answer": "b"})),
        (90.0, json!({"event": "message", "answer": "ab"})),
        (95.0, json!({"event": "message_end"})),
    ]);
    let sample = sample_from_frames(&chat_stream(), Some(AppMode::Agent), &stream);
    let seen = sample.map(|s| (s.ttfe_us, s.ttft_us, s.last_content_us, s.gaps_us, s.events));
    assert_eq!(seen, Some((Some(10_000), Some(20_000), Some(30_000), vec![10_000], 5)));
}

#[test]
fn http_200_without_a_good_end_is_a_failure_of_its_own_class() {
    let (chat, run) = (chat_stream(), workflow_stream());
    let message = json!({"event": "message", "answer": "a"});
    let error = json!({"event": "error", "status": 400});
    let end = json!({"event": "message_end"});
    assert_eq!(outcome(&chat, &[message.clone(), end.clone()]), Ok(()));
    assert_eq!(outcome(&chat, std::slice::from_ref(&message)), Err(FailureClass::MissingTerminal));
    assert_eq!(outcome(&chat, &[]), Err(FailureClass::MissingTerminal));
    assert_eq!(outcome(&chat, &[message.clone(), error.clone()]), Err(FailureClass::ErrorEvent));
    assert_eq!(outcome(&chat, &[json!({"event": 1}), message, end]), Err(FailureClass::Schema));
    assert_eq!(outcome(&chat, &[finished("failed"), error]), Err(FailureClass::WorkflowFailed));
    assert_eq!(outcome(&run, &[finished("failed")]), Err(FailureClass::WorkflowFailed));
    assert_eq!(outcome(&run, &[finished("stopped")]), Err(FailureClass::Cancelled));
    assert_eq!(outcome(&run, &[finished("partial-succeeded")]), Ok(()));
    assert_eq!(outcome(&run, &[json!({"event": "workflow_paused"})]), Ok(()));
}

#[test]
fn status_comes_before_fault_and_fault_before_content() {
    let mut exchange = chat_stream();
    exchange.fault = Some(Fault { class: FaultClass::TimeoutIdle, detail: String::new() });
    let good = [json!({"event": "message_end"})];
    assert_eq!(outcome(&exchange, &good), Err(FailureClass::Timeout));
    if let Some(reply) = &mut exchange.reply {
        reply.status = 503;
    }
    assert_eq!(outcome(&exchange, &good), Err(FailureClass::Http5xx));
    exchange.reply = None;
    exchange.fault = Some(Fault { class: FaultClass::Tls, detail: String::new() });
    let sample = sample_from_frames(&exchange, None, &[]);
    let seen = sample.map(|s| (s.outcome, s.ttfb_us, s.streaming, s.e2e_us));
    assert_eq!(seen, Some((Err(FailureClass::Tls), Some(1_000), true, 2_000_000)));
}

#[test]
fn stream_cut_at_the_cap_is_too_large_rather_than_without_end() {
    let mut exchange = chat_stream();
    if let Some(reply) = &mut exchange.reply {
        reply.body_bytes = 1_000_000;
    }
    assert_eq!(outcome(&exchange, &[]), Err(FailureClass::TooLarge));
}

#[test]
fn blocking_answers_end_with_their_body_and_need_an_answer() {
    let ask = json!({"query": "q", "response_mode": "blocking"});
    let of = |path: &str, answer: &str| sample(&exchange(path, ask.clone(), "application/json", answer), None);
    let good = of("/v1/chat-messages", r#"{"answer":"","metadata":{"usage":{"completion_tokens":3}}}"#);
    let seen = good.map(|s| (s.e2e_us, s.ttft_us, s.completion_tokens, s.streaming, s.outcome));
    assert_eq!(seen, Some((2_000_000, None, Some(3), false, Ok(()))));
    let class = |path: &str, answer: &str| of(path, answer).map(|s| s.outcome);
    assert_eq!(class("/v1/chat-messages", "{}"), Some(Err(FailureClass::Schema)));
    assert_eq!(class("/v1/chat-messages", "<html>"), Some(Err(FailureClass::Schema)));
    let run = "/v1/workflows/run";
    assert_eq!(class(run, r#"{"data":{"status":"succeeded"}}"#), Some(Ok(())));
    assert_eq!(class(run, r#"{"data":{"status":"failed"}}"#), Some(Err(FailureClass::WorkflowFailed)));
    assert_eq!(class(run, r#"{"data":null}"#), Some(Err(FailureClass::Schema)));
}

#[test]
fn answer_in_the_other_mode_than_asked_for_is_a_schema_failure() {
    let ask = json!({"query": "q", "response_mode": "streaming"});
    let sample = sample(&exchange("/v1/chat-messages", ask, "application/json", r#"{"answer":"a"}"#), None);
    assert_eq!(sample.map(|s| s.outcome), Some(Err(FailureClass::Schema)));
}

#[test]
fn only_generation_requests_are_sampled_and_turns_follow_the_conversation_id() {
    let none = sample(&exchange("/v1/messages/x/feedbacks", json!({}), "application/json", "{}"), None);
    assert_eq!(none, None);
    let turn = |path: &str, body: Value| {
        sample(&exchange(path, body, "application/json", r#"{"answer":"a"}"#), None).map(|s| s.turn)
    };
    let chat = "/v1/chat-messages";
    for first in [json!({}), json!({"conversation_id": null}), json!({"conversation_id": " \n"})] {
        assert_eq!(turn(chat, first), Some(Turn::First));
    }
    assert_eq!(turn(chat, json!({"conversation_id": "c"})), Some(Turn::Later));
    assert_eq!(turn("/v1/completion-messages", json!({})), Some(Turn::NotATurn));
}

#[test]
fn hostile_numbers_do_not_overflow() {
    let mut exchange = chat_stream();
    exchange.timing = Timing { planned_us: Some(9), sent_us: u64::MAX, end_us: u64::MAX, ..Timing::default() };
    let stream =
        frames(&[(9.0, json!({"event": "message", "answer": "a"})), (3.0, json!({"event": "message", "answer": "a"}))]);
    let sample = sample_from_frames(&exchange, None, &stream);
    assert_eq!(sample.map(|s| s.gaps_us), Some(vec![0]));
}
