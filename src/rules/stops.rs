//! Area `stop`: a running task ends when its own user says so, and nothing else does.
//!
//! Where it matters how long a stream would have run, only apps on an echo model are judged: they keep the pace that the
//! query asks for. End users whose first requests came side by side are left out: servers may know several by one name.

use super::echo::needs_echo;
use super::notes::Notes;
use super::pace::{Pace, of_echo};
use super::rule::{CHATS, Judge, Load, MESSAGES, Rule};
use super::run::{Conversation, Run, Turn};
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, AppMode, Endpoint, Level};
use serde_json::Value;

/// A stream ends this long after its stop at the latest: servers look every second, and a model call may be under way.
const PATIENCE_US: u64 = 5_000_000;
/// A stream has to have this much before it at the stop to say anything about being shortened or not.
const TELLING_US: f64 = 1_000_000.0;

/// A stop that came while its stream was under way.
struct Stop<'r, 't> {
    call: &'r Seen<'t>,
    stream: &'r Seen<'t>,
    /// Sent by the user whose stream it is.
    own: bool,
}

impl Stop<'_, '_> {
    fn sent_us(&self) -> u64 {
        self.call.exchange.timing.sent_us
    }
}

fn task<'s>(s: &'s Seen) -> Option<&'s str> {
    s.route.ids.first().map(String::as_str)
}

/// Stops with the app's key and a user, on the operation of the app's mode.
fn calls<'r, 't>(run: &'r Run<'t>, app: &'r App) -> impl Iterator<Item = &'r Seen<'t>> {
    let operation = match app.mode {
        Some(AppMode::Completion) => Endpoint::CompletionStop,
        Some(AppMode::Workflow) => Endpoint::WorkflowStop,
        _ => Endpoint::ChatStop,
    };
    let named = |s: &&Seen| s.sent.user.as_deref().is_some_and(|u| !u.is_empty() && u != "null");
    run.calls(app, operation).filter(|s| s.has_key() && s.exchange.reply.is_some()).filter(named)
}

fn streams<'r, 't>(run: &'r Run<'t>, app: &'r App) -> impl Iterator<Item = &'r Seen<'t>> {
    run.on(app).filter(|s| s.endpoint().generates() && s.stream.is_some())
}

fn under_way(stream: &Seen, at_us: u64) -> bool {
    stream.exchange.timing.sent_us <= at_us && at_us < stream.exchange.ended_us()
}

fn stops<'r, 't>(run: &'r Run<'t>, app: &'r App) -> Vec<Stop<'r, 't>> {
    let of_call = |call: &'r Seen<'t>| {
        let wanted = |s: &&Seen| s.text("task_id") == task(call) && under_way(s, call.exchange.timing.sent_us);
        let stream = streams(run, app).find(wanted)?;
        let own = call.sent.user == stream.sent.user;
        let raced = stream.sent.user.as_deref().is_some_and(|u| run.raced(app, u));
        (!raced && !stream.cut()).then_some(Stop { call, stream, own })
    };
    calls(run, app).filter_map(of_call).collect()
}

/// Whether a stream was still going to run for a while at some offset from the start of the run.
fn telling(run: &Run, stream: &Seen, at_us: u64) -> Option<Pace> {
    let rest = |p: &Pace| stream.exchange.timing.sent_us as f64 + p.asked_us() - at_us as f64;
    of_echo(run, stream).filter(|p| rest(p) >= TELLING_US)
}

fn says_success(s: &Seen) -> bool {
    s.is(200) && s.text("result") == Some("success")
}

fn ends_well(s: &Seen) -> bool {
    s.stream.is_some_and(|st| st.find("error").is_none() && st.find("message_end").is_some())
}

fn outline(s: &Seen) -> String {
    s.stream.map_or_else(|| s.outcome_text(), |st| format!("a stream of {}", st.outline()))
}

/// Source: OpenAPI, stop operations, `SuccessResult`.
fn success(run: &Run, app: &App, n: &mut Notes) {
    for stop in stops(run, app) {
        let call = stop.call;
        n.expect(says_success(call), call, "answer", "200 {\"result\": \"success\"}", || call.outcome_text());
    }
}

/// Source: OpenAPI, stop operations; real bug: stop ignored (langgenius/dify issues 37755, 40966).
fn ends_stream(run: &Run, app: &App, n: &mut Notes) {
    for stop in stops(run, app).iter().filter(|s| s.own) {
        let stream = stop.stream;
        let late = stream.exchange.ended_us().saturating_sub(stop.call.exchange.ended_us());
        n.expect(late <= PATIENCE_US, stream, "in-time", "the stream to end within 5 s of its stop", || {
            format!("{:.1} s", late as f64 / 1e6)
        });
        n.expect(ends_well(stream), stream, "orderly", "message_end and no error after a stop", || outline(stream));
        if let Some(pace) = telling(run, stream, stop.sent_us()) {
            let events = stream.stream.iter().flat_map(|s| &s.events);
            let texts = events.filter(|e| e.content().is_some_and(|t| !t.is_empty())).count();
            let shortened = (texts as f64) < pace.chunks;
            n.expect(shortened, stream, "shortened", format!("fewer than {} pieces of text", pace.chunks), || {
                format!("{texts} pieces")
            });
            if !shortened {
                n.with(stop.call);
            }
        }
    }
}

/// A chat turn with its conversation, by its exchange.
fn turn_of<'r>(run: &'r Run, app: &'r App, stream: &Seen) -> Option<(&'r Conversation, &'r Turn)> {
    let mut turns = run.conversations_of(app).flat_map(|c| c.turns.iter().map(move |t| (c, t)));
    turns.find(|(_, t)| run.at(t).exchange.id == stream.exchange.id)
}

/// What a history read shows as the answer of a stream's turn.
fn stored<'r, 't>(run: &'r Run<'t>, app: &'r App, stream: &Seen) -> Option<(&'r Seen<'t>, &'r str)> {
    let (conversation, turn) = turn_of(run, app, stream)?;
    let (read, item) = run.stored(app, conversation, turn).into_iter().next()?;
    Some((read, item.get("answer").and_then(Value::as_str).unwrap_or("")))
}

/// White space apart: agents join their thoughts with line breaks.
fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Source: Dify source, `_save_message` on stop; real bugs: langgenius/dify issues 17191, 31370. A piece more than arrived
/// may be stored.
fn partial_saved(run: &Run, app: &App, n: &mut Notes) {
    for stop in stops(run, app).iter().filter(|s| s.own) {
        let received = stop.stream.answer().unwrap_or_default();
        let Some((read, kept)) = stored(run, app, stop.stream).filter(|_| !received.trim().is_empty()) else {
            continue;
        };
        let holds = bare(kept).starts_with(&bare(&received));
        n.expect(holds, read, "stored", format!("the streamed part as answer: {}", clip(&received)), || clip(kept));
        if !holds {
            n.with(stop.stream);
        }
    }
}

/// Source: end-user guide; OpenAPI, stop operations (`user` must be the one of the message).
fn wrong_user_noop(run: &Run, app: &App, n: &mut Notes) {
    let all = stops(run, app);
    for stop in all.iter().filter(|s| !s.own) {
        let stream = stop.stream;
        let also_own = all.iter().any(|o| o.own && o.stream.exchange.id == stream.exchange.id);
        let Some(pace) = telling(run, stream, stop.sent_us()).filter(|_| !also_own) else { continue };
        n.expect(says_success(stop.call), stop.call, "answer", "200 {\"result\": \"success\"}", || {
            stop.call.outcome_text()
        });
        let check = if app.mode == Some(AppMode::AdvancedChat) { "chatflow" } else { "stopped" };
        let whole = ends_well(stream) && pace.ran_to_its_end(stream);
        n.expect(whole, stream, check, "the stream to run to its normal end", || {
            format!("{} in {:.1} s", outline(stream), stream.exchange.timing.end_us as f64 / 1e6)
        });
        if !whole {
            n.with(stop.call);
        } else if let Some((read, kept)) = stored(run, app, stream) {
            let received = stream.answer().unwrap_or_default();
            let same = bare(kept) == bare(&received);
            n.expect(same, read, "stored", format!("the whole answer: {}", clip(&received)), || clip(kept));
        }
    }
}

/// Source: Dify source, `set_stop_flag` returns silently.
fn unknown_task(run: &Run, app: &App, n: &mut Notes) {
    for call in calls(run, app) {
        let of_task = |s: &&Seen| s.text("task_id").is_some() && s.text("task_id") == task(call);
        let mut known = run.on(app).filter(|s| s.endpoint().generates()).filter(of_task);
        let at = call.exchange.timing.sent_us;
        let check = match known.next() {
            None => "unknown",
            Some(s) if s.exchange.ended_us() <= at => "finished",
            Some(_) => continue,
        };
        n.expect(says_success(call), call, check, "200 {\"result\": \"success\"}", || call.outcome_text());
    }
}

/// Source: Dify source, one stop flag per task.
fn scope(run: &Run, app: &App, n: &mut Notes) {
    let all = stops(run, app);
    for stop in all.iter().filter(|s| s.own) {
        let stopped = |s: &Seen| calls(run, app).any(|c| task(c).is_some() && task(c) == s.text("task_id"));
        let beside = streams(run, app).filter(|s| {
            s.exchange.id != stop.stream.exchange.id
                && s.sent.user == stop.stream.sent.user
                && under_way(s, stop.sent_us())
                && !stopped(s)
                && !s.cut()
        });
        for other in beside {
            let Some(pace) = telling(run, other, stop.sent_us()) else { continue };
            let whole = ends_well(other) && pace.ran_to_its_end(other);
            n.expect(whole, other, "other-stream", "a stream to outlast the stop of another", || {
                format!("{} in {:.1} s", outline(other), other.exchange.timing.end_us as f64 / 1e6)
            });
            if !whole {
                n.with(stop.call);
            }
        }
    }
}

/// Source: guide, conversations.
fn then_continue(run: &Run, app: &App, n: &mut Notes) {
    for stop in stops(run, app).iter().filter(|s| s.own) {
        let Some((conversation, turn)) = turn_of(run, app, stop.stream) else { continue };
        let Some(next) = run.next_turn(app, conversation, turn.ended_us) else { continue };
        let kept = next.text("conversation_id") == stop.stream.text("conversation_id");
        let goes_on = next.is(200) && kept;
        n.expect(goes_on, next, "next-turn", format!("status 200 in conversation {}", conversation.id), || {
            format!("{}, {}", next.outcome_text(), next.ids_text())
        });
        if !goes_on {
            n.with(stop.call);
        }
    }
}

/// An answer that ends long before the pace that was asked for cannot be stopped in the middle.
fn over_too_soon(run: &Run, app: &App) -> Option<String> {
    let short = |s: &Seen| s.stream.is_some() && s.completed() && Pace::of(s).is_some_and(|p| !p.ran_to_its_end(s));
    run.on(app).any(short).then(|| needs_echo("the answers were over before they could be stopped"))
}

fn no_slow_echo(_: &Run, _: &App) -> Option<String> {
    Some(needs_echo("no stream kept the pace that its query asked for (`gap:0.1 chunks:25`) until it was stopped"))
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "stop.success",
        area: "stop",
        level: Level::Must,
        title: "Stop answers success",
        statement: "200 {\"result\":\"success\"} for a running task.",
        source: "spec SuccessResult",
        modes: MESSAGES,
        tested: "Stop a stream under way; assert the body.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(success),
        absent: over_too_soon,
    },
    Rule {
        id: "stop.ends-stream",
        area: "stop",
        level: Level::Must,
        title: "Stop ends the stream soon and orderly",
        statement: "Within 5 s of the stop the stream reaches its terminal event and EOF: message_end in message modes, without an error, and with less text than the whole answer.",
        source: "spec stop; src _handle_stop_event",
        modes: MESSAGES,
        tested: "Slow echo app; stop after 3 pieces; assert message_end, time, and fewer pieces than asked for.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(ends_stream),
        absent: over_too_soon,
    },
    Rule {
        id: "stop.partial-saved",
        area: "stop",
        level: Level::Should,
        title: "The partial answer is stored",
        statement: "After a stop GET /messages shows exactly the text streamed so far, not an empty answer.",
        source: "src _save_message on stop",
        modes: CHATS,
        tested: "Compare what was streamed with the stored answer, white space apart.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(partial_saved),
        absent: over_too_soon,
    },
    Rule {
        id: "stop.wrong-user-noop",
        area: "stop",
        level: Level::Must,
        title: "Stop by another user does nothing, silently",
        statement: "200 success, but the stream runs to its normal end.",
        source: "guide end-user-identity.mdx; spec; src set_stop_flag",
        modes: MESSAGES,
        tested: "User B stops A's task; stream must complete with the full echo answer.",
        versions: Some("1.12.1: a chatflow fails at its end after anybody's stop"),
        load: Load::No,
        judge: Judge::Run(wrong_user_noop),
        absent: no_slow_echo,
    },
    Rule {
        id: "stop.unknown-task",
        area: "stop",
        level: Level::Should,
        title: "Stopping an unknown or finished task is harmless",
        statement: "200 success for random or finished task ids, repeatedly.",
        source: "src set_stop_flag (returns silently); spec lists only 400",
        modes: MESSAGES,
        tested: "Stop a random UUID twice, a word, and a finished task: 200.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(unknown_task),
        absent: over_too_soon,
    },
    Rule {
        id: "stop.scope",
        area: "stop",
        level: Level::Must,
        title: "Stop affects one task only",
        statement: "Stopping one of k parallel streams leaves the others complete.",
        source: "src per-task key",
        modes: MESSAGES,
        tested: "4 slow echo streams of a user that is already known, stop one; 3 run their full time to message_end.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(scope),
        absent: no_slow_echo,
    },
    Rule {
        id: "stop.then-continue",
        area: "stop",
        level: Level::Should,
        title: "A conversation can go on after a stop",
        statement: "The next turn in the same conversation succeeds at once.",
        source: "guide chat.mdx",
        modes: CHATS,
        tested: "Stop, then turn 2: 200 and same C.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(then_continue),
        absent: over_too_soon,
    },
];
