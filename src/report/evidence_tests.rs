use super::*;
use crate::model::{Fault, FaultClass, Request, Timing};
use crate::sse::Frame;
use std::process::Command;

fn exchange(body: Option<Body>) -> Exchange {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Exchange {
        id: 7,
        app: "chat".into(),
        origin: Origin {
            scenario: "chat-basic".into(),
            step: "first".into(),
            file: "conformance/chat.yaml".into(),
            line: 12,
            column: 5,
            ..Origin::default()
        },
        request: Request {
            method: "POST".into(),
            target: "/v1/chat-messages?user=it's".into(),
            headers: vec![
                header("Host", "h"),
                header("Authorization", "Bearer [key:chat]"),
                header("Content-Type", "application/json"),
                header("X-Odd", "$(touch x) `id` \\ \" ' ! [key:chat]"),
            ],
            body,
        },
        reply: Some(Reply {
            http_version: "HTTP/1.1".into(),
            status: 200,
            headers: vec![header("Content-Type", "text/event-stream"), header("Date", "today")],
            body: Body::Text(String::new()),
            body_bytes: 0,
            reads: Vec::new(),
        }),
        fault: None,
        timing: Timing { end_us: 1_200_000, ..Timing::default() },
    }
}

fn frames(n: usize) -> Vec<TimedFrame> {
    let one = |i: usize| TimedFrame {
        at_us: 1_000 * i as u64,
        frame: Frame { data: Some(format!("{{\"n\":{i}}}")), terminated: true, ..Frame::default() },
    };
    (1..=n).map(one).collect()
}

/// What a shell passes to curl: the command runs with `curl` being a function that prints its arguments.
fn arguments(command: &str) -> (Vec<String>, String) {
    let script = format!(
        "curl() {{ printf '%s\\0' \"$@\"; printf '\\0stdin:'; case \"$*\" in *@-*) cat;; esac; }}\n{command}\n"
    );
    let out = Command::new("sh").arg("-c").arg(script).env("DIFY_API_KEY", "app-secret").output();
    let out = out.unwrap_or_else(|e| panic!("{e}"));
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let (arguments, stdin) = text.split_once("\0\0stdin:").unwrap_or((&text, ""));
    (arguments.split('\0').map(str::to_owned).collect(), stdin.to_owned())
}

#[test]
fn shell_reads_back_exactly_what_was_sent() {
    let body = "{\"query\": \"it's $HOME `id` \\\\ \\\"x\\\" \n !\"}";
    let command = evidence(&exchange(Some(Body::Text(body.into()))), "http://u:p@127.0.0.1:5001/v1").curl;
    let (seen, _) = arguments(&command);
    let wanted = [
        "-sS",
        "-i",
        "-N",
        "-X",
        "POST",
        "http://127.0.0.1:5001/v1/chat-messages?user=it's",
        "-H",
        "Authorization: Bearer app-secret",
        "-H",
        "Content-Type: application/json",
        "-H",
        "X-Odd: $(touch x) `id` \\ \" ' ! app-secret",
        "--data-raw",
        body,
    ];
    assert_eq!(seen, wanted);
    assert!(command.contains("-H \"Authorization: Bearer $DIFY_API_KEY\""), "{command}");
    assert!(!command.contains("[key:"), "{command}");
}

#[test]
fn authorization_that_was_not_sent_is_not_in_the_command() {
    let mut exchange = exchange(None);
    exchange.request.headers.retain(|(name, _)| name != "Authorization" && name != "X-Odd");
    let command = evidence(&exchange, "http://h/v1").curl;
    assert!(!command.contains("Authorization") && !command.contains("DIFY_API_KEY"), "{command}");
}

#[test]
fn long_bodies_follow_as_a_here_document_that_they_cannot_end() {
    let body = format!("BODY\n{}$HOME `id`\n", "x".repeat(5_000));
    let (seen, stdin) = arguments(&evidence(&exchange(Some(Body::Text(body.clone()))), "http://h/v1").curl);
    assert_eq!(seen.last().map(String::as_str), Some("@-"));
    assert_eq!(stdin, format!("{body}\n"));
}

#[test]
fn bytes_go_through_base64_and_huge_bodies_are_named_as_missing() {
    let bytes = Body::from_bytes(b"\xff\xfeabc\0");
    let command = evidence(&exchange(Some(bytes)), "http://h/v1").curl;
    assert!(command.starts_with("printf %s //5hYmMA | base64 -d | curl "), "{command}");
    assert_eq!(arguments(&command).0.last().map(String::as_str), Some("@-"));
    let huge = evidence(&exchange(Some(Body::Text("x".repeat(70_000)))), "http://h/v1").curl;
    assert!(huge.starts_with("# body.bin: the request body, 70000 bytes"), "{huge}");
    assert!(huge.len() < 1_000);
}

#[test]
fn header_values_and_globs_survive_curl() {
    let mut exchange = exchange(Some(Body::Text("{}".into())));
    exchange.request.headers = vec![("X-Empty".into(), String::new())];
    exchange.request.target = "/v1/files/[a]/preview".into();
    let (seen, _) = arguments(&evidence(&exchange, "http://h/v1").curl);
    assert!(seen.contains(&"-g".to_owned()), "{seen:?}");
    assert!(seen.contains(&"X-Empty;".to_owned()), "{seen:?}");
    assert!(seen.contains(&"Content-Type:".to_owned()), "{seen:?}");
}

#[test]
fn place_and_repeat_name_the_scenario() {
    let seen = evidence(&exchange(None), "http://u:p@h:1/v1");
    assert_eq!(seen.place, "chat-basic.first (conformance/chat.yaml:12:5)");
    assert_eq!(seen.repeat, "difyprobe check --base-url http://h:1/v1 conformance/chat.yaml");
    assert_eq!(place(&Origin { scenario: "discovery".into(), ..Origin::default() }), "discovery");
}

#[test]
fn wire_shows_head_frames_with_times_and_the_fault() {
    let mut exchange = exchange(Some(Body::Text("{\"query\":\"q\"}".into())));
    exchange.fault = Some(Fault { class: FaultClass::TimeoutIdle, detail: "nothing for 1 s".into() });
    let seen = wire(&exchange, &frames(2), &[2]);
    let wanted = [
        "> POST /v1/chat-messages?user=it's",
        "> Authorization: Bearer [key:chat]",
        "> Content-Type: application/json",
        "> X-Odd: $(touch x) `id` \\ \" ' ! [key:chat]",
        "> {",
        ">   \"query\": \"q\"",
        "> }",
        "< 200 HTTP/1.1",
        "< Content-Type: text/event-stream",
        "  #1 +1.0 ms  data: {\"n\":1}",
        "* #2 +2.0 ms  data: {\"n\":2}",
        "! cut after 1.2 s: timeout-idle: nothing for 1 s",
    ];
    assert_eq!(seen, wanted);
}

#[test]
fn no_response_is_said() {
    let mut exchange = exchange(None);
    exchange.reply = None;
    exchange.fault = Some(Fault { class: FaultClass::Connect, detail: "refused".into() });
    let seen = wire(&exchange, &[], &[]);
    assert_eq!(seen.last().map(String::as_str), Some("! cut after 1.2 s: connect: refused"));
}

#[test]
fn long_streams_keep_first_last_and_marked_frames_within_the_limit() {
    for marked in [vec![], vec![500], vec![1, 2, 500, 501, 1000, 4000], (1..=900).collect()] {
        let lines = wire(&exchange(None), &frames(1_000), &marked);
        assert!(lines.len() <= MAX_LINES, "{} lines", lines.len());
        assert!(lines.iter().any(|l| l.contains("{\"n\":1}")), "{lines:#?}");
        assert!(lines.iter().any(|l| l.contains("{\"n\":1000}")), "{lines:#?}");
        if let Some(first) = marked.first() {
            assert!(lines.iter().any(|l| l.starts_with(&format!("* #{first} "))), "{lines:#?}");
        }
        let (mut shown, mut missing) = (0, 0);
        for line in &lines {
            shown += u32::from(line.contains(" ms  data"));
            missing += line.strip_prefix("  ... ").and_then(|l| l.split(' ').next()?.parse::<u32>().ok()).unwrap_or(0);
        }
        assert_eq!(shown + missing, 1_000, "every frame is shown or counted");
    }
}

#[test]
fn long_bodies_are_elided_and_long_lines_clipped() {
    let mut exchange = exchange(Some(Body::Text("x".repeat(1_000_000))));
    if let Some(reply) = &mut exchange.reply {
        reply.headers.clear();
        reply.body = Body::Text(format!("[{}0]", "1,".repeat(9_999)));
        reply.body_bytes = 20_000_000;
    }
    let lines = wire(&exchange, &[], &[]);
    assert!(lines.len() <= MAX_LINES, "{}", lines.len());
    assert!(lines.iter().all(|l| l.chars().count() < MAX_CHARS + 60));
    assert!(lines.iter().any(|l| l.contains("more lines ...")), "{lines:#?}");
    assert!(lines.last().is_some_and(|l| l.contains("of 20000000 bytes were kept")), "{lines:#?}");
}

#[test]
fn lines_of_frames_can_be_read_back_and_no_others() {
    let frame = sse::decode(b"data: x  +1 ms  #2\n\n", &[]).remove(0).frame;
    for (number, at_us, marked) in [(1, 0, false), (12, 1_284_200, true), (3, 987_654_300, false)] {
        let line = frame_line(number, &TimedFrame { frame: frame.clone(), at_us }, marked);
        let text = "data: x  +1 ms  #2";
        assert_eq!(frame_of(&line), Some(FrameLine { number, at_us, marked, text }), "{line}");
    }
    for line in [
        "> #1 +2.0 ms  x",
        "< #1 +2.0 ms  x",
        "  ... 3 more events ...",
        "! cut",
        "  #x +1 ms  y",
        "  #1 +inf ms  y",
        "",
    ] {
        assert_eq!(frame_of(line), None, "{line}");
    }
}
