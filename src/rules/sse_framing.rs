//! Area `sse-framing`: bytes, blocks, envelope members and pings of every stream.

use super::echo::needs_echo;
use super::notes::Notes;
use super::pace::Pace;
use super::rule::{ANY, Judge, Load, MESSAGES, Rule, always};
use super::run::Run;
use super::seen::Seen;
use super::stream::{Event, Stream, clip};
use crate::model::{App, AppMode, FaultClass, Level, Reply};
use crate::sse::TimedFrame;
use base64::Engine as _;
use serde_json::Value;

/// Documented interval 10 s; scheduler jitter and one missed poll allowed.
const LONGEST_SILENCE_US: u64 = 15_000_000;
/// A stream has to last this long to say anything about pings.
const LONG_STREAM_US: u64 = 12_000_000;

fn stream<'s>(s: &'s Seen) -> Option<&'s Stream> {
    s.stream
}

/// Source: streaming guide; WHATWG HTML section 9.2.5.
fn content_type(s: &Seen, n: &mut Notes) {
    let generation = s.endpoint().generates() && s.sent.valid() && s.sent.streaming && s.is(200);
    if generation || (stream(s).is_some() && s.succeeded()) {
        n.expect(s.is(200), s, "status", "status 200", || s.outcome_text());
        let events = s.exchange.reply.as_ref().is_some_and(Reply::is_event_stream);
        n.expect(events, s, "media-type", "media type text/event-stream", || format!("`{}`", s.media_type()));
    }
}

/// Source: streaming guide, wire format; WHATWG HTML section 9.2.6. Many blocks in one TCP segment are no violation.
fn event_framing(s: &Seen, n: &mut Notes) {
    let Some(stream) = stream(s) else { return };
    let cut = s.cut() || s.exchange.fault.is_some() || s.truncated();
    for (index, timed) in stream.frames.iter().enumerate() {
        let f = &timed.frame;
        let last = index + 1 == stream.frames.len();
        let problem = if !f.unknown_lines.is_empty() {
            Some(format!("a line `{}`", clip(&f.unknown_lines[0])))
        } else if f.id.is_some() || f.retry.is_some() {
            Some("an `id:` or `retry:` line".to_owned())
        } else if f.data_lines > 1 {
            Some(format!("{} data lines in one block (no blank line between events)", f.data_lines))
        } else if f.event.as_deref().is_some_and(|e| e != "ping") {
            Some(format!("an `event: {}` line", clip(f.event.as_deref().unwrap_or(""))))
        } else if !(f.terminated || last && cut) {
            Some("a last block without a blank line".to_owned())
        } else {
            None
        };
        if let Some(actual) = problem {
            n.expect(
                false,
                s,
                "block",
                "blocks of one `data: {..}` line, or `event: ping`, each ended by a blank line",
                || actual,
            );
            n.at_frame(index + 1);
            return;
        }
    }
    n.judged += 1;
}

fn is_ping_payload(stream: &Stream, frame: usize) -> bool {
    let frame = &stream.frames[frame - 1].frame;
    let data = frame.data.as_deref().unwrap_or("");
    let named = serde_json::from_str::<Value>(data)
        .ok()
        .is_some_and(|v| v == "ping" || v.get("event") == Some(&Value::from("ping")));
    data.trim() == "ping" || named || frame.event.as_deref() == Some("ping")
}

/// Source: streaming guide: each data line is one JSON object with `event`.
fn data_json(s: &Seen, n: &mut Notes) {
    let Some(stream) = stream(s) else { return };
    let cut = s.cut() || s.exchange.fault.is_some() || s.truncated();
    let bad = stream.bad_data.iter().find(|(frame, _)| {
        let unfinished = !stream.frames[frame - 1].frame.terminated;
        !(is_ping_payload(stream, *frame) || cut && unfinished)
    });
    n.expect(bad.is_none(), s, "payload", "one JSON object with a string `event` per data line", || {
        let (_, why) = bad.cloned().unwrap_or_default();
        if why.contains("[DONE]") { format!("{why} (OpenAI's end mark is not part of this API)") } else { why }
    });
    if let Some((frame, _)) = bad {
        n.at_frame(*frame);
    }
}

/// Source: WHATWG HTML section 9.2.4: event streams are UTF-8.
fn utf8(s: &Seen, n: &mut Notes) {
    let Some(stream) = stream(s) else { return };
    let invalid =
        stream.frames.iter().position(|f| f.frame.invalid_utf8 && (f.frame.terminated || s.exchange.fault.is_none()));
    n.expect(invalid.is_none(), s, "bytes", "UTF-8", || "bytes that are not UTF-8".to_owned());
    if let Some(index) = invalid {
        n.at_frame(index + 1);
        return;
    }
    let sent = s.exchange.request.body.as_ref().and_then(|b| b.text()).unwrap_or("");
    if sent.is_ascii() || sent.contains('\u{FFFD}') {
        return;
    }
    let answer = stream.answer();
    // Models may make up U+FFFD; only an app that repeats what we sent can prove the server broke a character.
    if answer.contains("user: ") {
        let broken = answer.contains('\u{FFFD}');
        n.expect(!broken, s, "replacement", "the text as sent", || format!("U+FFFD in {}", clip(&answer)));
    }
}

/// Source: streaming guide: a ping every 10 s.
fn ping(s: &Seen, n: &mut Notes) {
    let Some(stream) = stream(s).filter(|_| s.is(200)) else { return };
    let end = s.exchange.timing.end_us;
    let start = s.exchange.timing.head_us.unwrap_or(0);
    if end.saturating_sub(start) < LONG_STREAM_US {
        return;
    }
    let mut last = start;
    let mut longest = 0;
    for at in stream.frames.iter().map(|f| f.at_us).chain([end]) {
        longest = longest.max(at.saturating_sub(last));
        last = last.max(at);
    }
    n.expect(longest < LONGEST_SILENCE_US, s, "silence", "a block at least every 15 s", || {
        format!("{:.1} s of silence", longest as f64 / 1e6)
    });
}

/// Source: streaming guide; real bugs: langgenius/dify issues 2508, 9813 (clients that parse the ping).
fn ping_no_data(s: &Seen, n: &mut Notes) {
    let Some(stream) = stream(s) else { return };
    let named = |f: &TimedFrame| f.frame.data.is_some() && f.frame.event.as_deref() == Some("ping");
    let named = stream.frames.iter().position(named).map(|index| index + 1);
    // What is an event is no ping.
    let said = stream.bad_data.iter().map(|(frame, _)| *frame).find(|frame| is_ping_payload(stream, *frame));
    let with_data = named.into_iter().chain(said).min();
    if with_data.is_some() || !stream.pings.is_empty() {
        n.expect(with_data.is_none(), s, "data", "a bare `event: ping` line", || "a ping that carries data".to_owned());
        if let Some(frame) = with_data {
            n.at_frame(frame);
        }
    }
}

/// Source: streaming guide, closing events; real bugs: langgenius/dify issues 31253, 38238, 41712, 24675. Chatflows close
/// with two events, or three where a run failed: there each may come once, and a paused run has no other end.
fn terminal_exactly_one(s: &Seen, n: &mut Notes) {
    let (Some(stream), Some(mode)) = (stream(s), s.app.mode) else { return };
    let read = |f: &crate::model::Fault| matches!(f.class, FaultClass::Truncated | FaultClass::TimeoutIdle);
    if !s.endpoint().generates() || s.cut() || s.exchange.fault.as_ref().is_some_and(|f| !read(f)) {
        return;
    }
    let (wanted, closing): (_, Vec<&Event>) = match mode {
        AppMode::Workflow => (
            "exactly one workflow_finished, workflow_paused or error",
            stream.events.iter().filter(|e| e.closes_run() && e.name != "message_end").collect(),
        ),
        AppMode::AdvancedChat => (
            "message_end, workflow_finished, workflow_paused or error, each once at most",
            stream.events.iter().filter(|e| e.closes_run()).collect(),
        ),
        _ => ("exactly one message_end or error", stream.events.iter().filter(|e| e.closes_message()).collect()),
    };
    let clash = |at: usize| {
        let twice = closing[..at].iter().any(|e| e.name == closing[at].name);
        let paused = closing[..=at].iter().any(|e| e.name == "workflow_paused");
        mode != AppMode::AdvancedChat || twice || paused
    };
    let second = (1..closing.len()).find(|at| clash(*at)).map(|at| closing[at]);
    n.expect(!closing.is_empty() && second.is_none(), s, "terminal", wanted, || {
        let after = s.exchange.timing.end_us as f64 / 1e6;
        match (&s.exchange.fault, closing.len()) {
            (Some(fault), 0) => {
                format!("none; {} after {after:.1} s (stream: {})", clip(&fault.detail), stream.outline())
            }
            (_, count) => format!("{count} (stream: {})", stream.outline()),
        }
    });
    if let Some(second) = second {
        n.at_frame(second.frame);
    }
}

/// Source: streaming guide ("as it is generated"); often a buffering proxy: langgenius/dify issues 13699, 1500, 14513.
/// Judged on echo models that answer at the pace a query asks for.
fn incremental(s: &Seen, n: &mut Notes) {
    let Some(stream) = stream(s).filter(|_| s.sent.valid() && s.exchange.fault.is_none()) else { return };
    let Some(pace) = Pace::of(s) else { return };
    let asked_us = pace.asked_us();
    // a shorter one can come in one burst on a busy machine, and a longer one in a few: buffers leave nothing of the spread
    if asked_us < 0.9e6 || (s.exchange.timing.end_us as f64) < 0.8 * asked_us {
        return;
    }
    let times: Vec<u64> = stream.events.iter().filter(|e| e.content().is_some()).map(|e| e.at_us).collect();
    if (times.len() as f64) < 0.8 * pace.chunks {
        return; // stopped, or not cut into the pieces that were asked for
    }
    let spread = times.last().zip(times.first()).map_or(0, |(last, first)| last - first) as f64;
    n.expect(spread >= 0.33 * asked_us, s, "spread", format!("text spread over about {:.1} s", asked_us / 1e6), || {
        format!("{} text events within {:.2} s", times.len(), spread / 1e6)
    });
}

fn no_slow_echo(_: &Run, _: &App) -> Option<String> {
    Some(needs_echo("no answer came at the pace that the query asked for (`gap:0.1 chunks:12`)"))
}

/// Source: OpenAPI `StreamEventBase`.
fn common_fields(s: &Seen, n: &mut Notes) {
    let Some(stream) =
        stream(s).filter(|_| s.endpoint().generates() && s.app.mode.is_some_and(|m| m != AppMode::Workflow))
    else {
        return;
    };
    let chat = s.app.mode.is_some_and(AppMode::is_chat);
    for event in &stream.events {
        let wanted = [
            Some("message_id"),
            Some("created_at"),
            chat.then_some("conversation_id"),
            (event.name != "error").then_some("task_id"),
            of_a_run(&event.name).then_some("workflow_run_id"),
        ];
        let mut wanted = wanted.into_iter().flatten();
        let lacking = wanted.find(|m| event.member(m).is_none_or(Value::is_null));
        if let Some(member) = lacking {
            n.expect(false, s, "member", format!("`{member}` on every event"), || {
                format!("`{}` without it", event.name)
            });
            n.at_frame(event.frame);
            return;
        }
        if !payload_fits(s, event, n) {
            return;
        }
    }
    n.judged += 1;
}

/// Events about a run and its parts; agent logs and plain text do without its id.
fn of_a_run(event: &str) -> bool {
    ["workflow_", "node_", "iteration_", "loop_", "human_input_"].iter().any(|p| event.starts_with(p))
}

/// Members whose types other rules judge.
const ELSEWHERE: &[&str] = &["/answer", "/metadata/usage", "/created_at", "/data/status", "/data/total_"];
/// Of the events of workflows: ids, times, nodes and their containers have rules of their own.
const ELSEWHERE_IN_RUNS: &[&str] = &[
    "/workflow_run_id",
    "/task_id",
    "/data/id",
    "/data/workflow_id",
    "/data/created_at",
    "/data/finished_at",
    "/data/index",
];

/// The payload must fit the schema of its event. What other rules judge (answer texts, usage, errors, audio) is left to
/// them; an event without a schema is kept and warned about.
pub(super) fn payload_fits(s: &Seen, event: &Event, n: &mut Notes) -> bool {
    // text under the name of a file is judged by `agent.message-file`
    let misnamed = event.name == "message_file" && event.member("answer").is_some();
    let elsewhere = ["error", "tts_message", "tts_message_end", "agent_thought", "human_input_required"];
    if misnamed || elsewhere.contains(&event.name.as_str()) {
        return true;
    }
    let Some(violations) = crate::schema::check_event(&event.name, &event.value) else {
        n.advise(false, s, "unknown-event", "a documented event", || format!("`{}`", clip(&event.name)));
        n.at_frame(event.frame);
        return true;
    };
    let run = s.app.mode == Some(AppMode::Workflow);
    let others = ELSEWHERE_IN_RUNS.iter().filter(|_| run);
    let elsewhere = |path: &str| ELSEWHERE.iter().chain(others.clone()).any(|p| path.starts_with(p));
    let bad = violations.iter().find(|v| !elsewhere(&v.path));
    if let Some(bad) = bad {
        let expected = format!("a payload that fits schemas/events/{}.json", event.name);
        n.expect(false, s, "payload", expected, || format!("{}: {}", bad.path, bad.message));
        n.at_frame(event.frame);
    }
    bad.is_none()
}

/// Source: OpenAPI `StreamEventBase`: one stream, one message.
fn ids_constant(s: &Seen, n: &mut Notes) {
    if let Some(stream) = stream(s).filter(|_| s.endpoint().generates()) {
        for member in ["message_id", "conversation_id", "task_id"] {
            n.one_value(s, stream, member);
        }
    }
}

/// Source: Dify source: created_at is the message's.
fn created_at_constant(s: &Seen, n: &mut Notes) {
    if let Some(stream) = stream(s).filter(|_| s.endpoint().generates()) {
        n.one_value(s, stream, "created_at");
    }
}

/// Source: OpenAPI `ChunkChatEvent` (`answer` string).
fn message_delta(s: &Seen, n: &mut Notes) {
    let Some(stream) = stream(s) else { return };
    for event in stream.events.iter().filter(|e| matches!(e.name.as_str(), "message" | "agent_message")) {
        let text = event.text("answer").is_some();
        if !n.expect(text, s, "answer", "a string `answer`", || format!("{:?}", event.value.get("answer"))) {
            n.at_frame(event.frame);
            return;
        }
    }
}

/// Source: streaming guide, `message_replace` (output moderation).
fn message_replace(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        for turn in conversation.turns.iter().filter(|t| t.completed) {
            let s = run.at(turn);
            let Some(stream) = stream(s).filter(|st| st.find("message_replace").is_some()) else { continue };
            for (read, item) in run.stored(app, conversation, turn).into_iter().take(1) {
                let stored = item.get("answer").and_then(Value::as_str).unwrap_or("");
                let effective = stream.answer();
                let same = stored.trim() == effective.trim();
                n.expect(same, read, "stored", format!("the replaced answer: {}", clip(&effective)), || clip(stored));
                if !same {
                    n.with(s);
                }
            }
        }
    }
}

fn no_moderation(_: &Run, _: &App) -> Option<String> {
    Some("no stream replaced its answer; needs an app with output moderation".to_owned())
}

/// Source: streaming guide, `tts_message`.
fn tts(s: &Seen, n: &mut Notes) {
    let Some(stream) = stream(s) else { return };
    for event in stream.events.iter().filter(|e| e.name == "tts_message") {
        let audio = event.text("audio").unwrap_or("");
        let sound = !audio.is_empty() && base64::engine::general_purpose::STANDARD.decode(audio).is_ok();
        if !n.expect(sound, s, "audio", "non-empty base64 audio", || clip(audio)) {
            n.at_frame(event.frame);
            return;
        }
    }
    if stream.find("tts_message").is_some() && !s.cut() {
        let ends: Vec<_> = stream.events.iter().filter(|e| e.name == "tts_message_end").collect();
        n.expect(ends.len() == 1, s, "end", "one tts_message_end", || {
            format!("{} (stream: {})", ends.len(), stream.outline())
        });
    }
}

fn no_tts(_: &Run, _: &App) -> Option<String> {
    Some("no stream carried audio; needs an app with text-to-speech autoplay".to_owned())
}

fn no_long_stream(_: &Run, _: &App) -> Option<String> {
    Some("no stream lasted 12 s; the slow scenarios (`--slow`) make one on an echo model".to_owned())
}

fn no_ping_seen(_: &Run, _: &App) -> Option<String> {
    Some("no ping came; the slow scenarios (`--slow`) wait for one on an echo model".to_owned())
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "sse.content-type",
        area: "sse-framing",
        level: Level::Must,
        title: "Streams are text/event-stream",
        statement: "Status 200 and media type text/event-stream (charset allowed).",
        source: "spec; src compact_generate_response",
        modes: ANY,
        tested: "Header check.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(content_type),
        absent: always,
    },
    Rule {
        id: "sse.event.framing",
        area: "sse-framing",
        level: Level::Must,
        title: "Each event is one data line and a blank line",
        statement: "Every block is `data: ` + one JSON object + blank line, or `event: ping` + blank line; LF or CRLF; nothing else on the wire.",
        source: "guide streaming.mdx; src convert_to_event_stream",
        modes: ANY,
        tested: "Strict line parser: block regex ^(data: \\{.*\\}|event: ping|:.*)$; last block terminated by a blank line before EOF.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(event_framing),
        absent: always,
    },
    Rule {
        id: "sse.data.json",
        area: "sse-framing",
        level: Level::Must,
        title: "data is one complete JSON object",
        statement: "Payload parses as an object with a string `event`; no NaN, no Python repr, no [DONE].",
        source: "guide streaming.mdx",
        modes: ANY,
        tested: "Parse; typeof event string.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(data_json),
        absent: always,
    },
    Rule {
        id: "sse.utf8",
        area: "sse-framing",
        level: Level::Must,
        title: "Streams are valid UTF-8",
        statement: "The byte stream decodes as UTF-8 regardless of chunk boundaries; no U+FFFD that was not sent.",
        source: "src orjson (raw UTF-8)",
        modes: ANY,
        tested: "Incremental decoder over raw bytes; echo app with emoji compares exactly.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(utf8),
        absent: always,
    },
    Rule {
        id: "sse.ping",
        area: "sse-framing",
        level: Level::Should,
        title: "Keep-alive ping at least every 10-15 s",
        statement: "During silence the gap between any two received blocks stays below 15 s (documented interval 10 s), pings are bare `event: ping` without data.",
        source: "guide streaming.mdx; src base_app_queue_manager.py:listen",
        modes: ANY,
        tested: "Slow fixture (>25 s silent); measure max gap; assert ping form.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(ping),
        absent: no_long_stream,
    },
    Rule {
        id: "sse.ping.no-data",
        area: "sse-framing",
        level: Level::Must,
        title: "Ping carries no data line",
        statement: "`event: ping` is followed by the blank line; it never appears as data: \"ping\" nor inside another event.",
        source: "guide streaming.mdx; spec StreamEventChatPing",
        modes: ANY,
        tested: "Parser check. Clients crash otherwise (#2508 #9813).",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(ping_no_data),
        absent: no_ping_seen,
    },
    Rule {
        id: "sse.terminal.exactly-one",
        area: "sse-framing",
        level: Level::Must,
        title: "Every stream ends with a terminal event",
        statement: "EOF without message_end/workflow_finished/workflow_paused/error (per mode) is a violation; so are two terminal groups.",
        source: "guide streaming.mdx; spec",
        modes: ANY,
        tested: "State machine at EOF.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(terminal_exactly_one),
        absent: always,
    },
    Rule {
        id: "sse.incremental",
        area: "sse-framing",
        level: Level::Should,
        title: "Chunks arrive while generation runs",
        statement: "First text event arrives well before the last (not all in one burst) for a slow answer.",
        source: "guide streaming.mdx; issue #13699",
        modes: ANY,
        tested: "Slow echo model (20 chunks x 100 ms): time between first and last text event >= 1 s.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Exchange(incremental),
        absent: no_slow_echo,
    },
    Rule {
        id: "sse.common-fields",
        area: "sse-framing",
        level: Level::Must,
        title: "Common fields on every event",
        statement: "Apart from ping every event has message_id and created_at (and conversation_id in chat modes); all but error have task_id; chatflow workflow/node events have workflow_run_id except agent_log and plain text.",
        source: "spec /chat-messages stream text",
        modes: MESSAGES,
        tested: "Field presence table of EVENTS.md.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(common_fields),
        absent: always,
    },
    Rule {
        id: "sse.ids.constant",
        area: "sse-framing",
        level: Level::Must,
        title: "message_id and conversation_id never change inside a stream",
        statement: "One stream, one message, one conversation, one task.",
        source: "spec; src converters copy fixed ids",
        modes: MESSAGES,
        tested: "Set sizes 1; equals requested C on continuation.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(ids_constant),
        absent: always,
    },
    Rule {
        id: "sse.created-at.constant",
        area: "sse-framing",
        level: Level::Should,
        title: "created_at is the message time",
        statement: "created_at is the same integer on all events of a message stream.",
        source: "src _message_created_at",
        modes: MESSAGES,
        tested: "Set size 1.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(created_at_constant),
        absent: always,
    },
    Rule {
        id: "sse.message.delta",
        area: "sse-framing",
        level: Level::Must,
        title: "message events carry a string answer",
        statement: "`answer` is present and a string (may be empty) on message/agent_message.",
        source: "spec",
        modes: MESSAGES,
        tested: "Type check.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(message_delta),
        absent: always,
    },
    Rule {
        id: "sse.message-replace",
        area: "sse-framing",
        level: Level::Must,
        title: "message_replace supersedes the text so far",
        statement: "After message_replace the effective answer is its answer plus later chunks; the stored answer equals it.",
        source: "spec message_replace; src handle_output_moderation",
        modes: MESSAGES,
        tested: "Moderation fixture: compare with GET /messages.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(message_replace),
        absent: no_moderation,
    },
    Rule {
        id: "sse.tts",
        area: "sse-framing",
        level: Level::May,
        title: "TTS events",
        statement: "tts_message.audio is non-empty base64; a single tts_message_end with empty audio trails the closing event.",
        source: "spec; guide completion.mdx",
        modes: MESSAGES,
        tested: "base64 decode; order.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(tts),
        absent: no_tts,
    },
];
