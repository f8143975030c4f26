//! Area `agent`: streams of agents, their thoughts, and what is stored of both.

use super::grammar;
use super::messages::comparable;
use super::notes::Notes;
use super::request::Defect;
use super::rule::{Judge, Load, Rule, always};
use super::run::Run;
use super::seen::Seen;
use super::stream::{Event, Stream, clip};
use crate::model::{App, AppMode, Endpoint, Level};
use crate::schema;
use serde_json::Value;
use std::collections::BTreeMap;

const AGENTS: &[AppMode] = &[AppMode::AgentChat, AppMode::Agent];
const AGENT_CHAT: &[AppMode] = &[AppMode::AgentChat];
const AGENT: &[AppMode] = &[AppMode::Agent];

fn agent_stream<'s>(s: &'s Seen) -> Option<&'s Stream> {
    s.stream.filter(|_| s.endpoint() == Endpoint::ChatMessages && s.app.mode.is_some_and(|m| AGENTS.contains(&m)))
}

/// Source: OpenAPI `ChatRequest.response_mode`; agent guide.
fn blocking_rejected(s: &Seen, n: &mut Notes) {
    if s.endpoint() != Endpoint::ChatMessages || !s.sent.only(&Defect::Unblockable) || s.exchange.reply.is_none() {
        return;
    }
    if n.expect(s.is(400), s, "status", "status 400 for a blocking request", || s.form_text()) {
        let code = if s.app.mode == Some(AppMode::Agent) { "bad_request" } else { "invalid_param" };
        n.advise(s.error_code() == Some(code), s, "code", format!("error code `{code}`"), || s.outcome_text());
    }
}

/// Source: OpenAPI `POST /chat-messages`, event stream; streaming guide.
fn stream_grammar(s: &Seen, n: &mut Notes) {
    let Some(stream) = agent_stream(s).filter(|_| !s.cut() && s.exchange.fault.is_none()) else { return };
    grammar::judge(s, stream, n);
    // Annotations and moderation answer with `message`, and then no agent has thought.
    let spoken = |e: &&Event| e.name == "message" && e.text("answer").is_some_and(|text| !text.is_empty());
    let misnamed = stream.events.iter().find(spoken).filter(|_| thoughts(stream).next().is_some());
    if let Some(event) = misnamed.filter(|_| stream.find("agent_message").is_none()) {
        n.expect(false, s, "text-event", "the text of an agent in agent_message events", || "`message`".to_owned());
        n.at_frame(event.frame);
    }
}

/// Source: agent guide: the closing message has the whole answer; agents cite nothing.
fn new_agent_grammar(s: &Seen, n: &mut Notes) {
    let Some(stream) = agent_stream(s).filter(|_| !s.cut() && s.exchange.fault.is_none()) else { return };
    grammar::judge(s, stream, n);
    let closing = stream.find("message").and_then(|e| Some((e, e.text("answer")?)));
    if let Some((event, whole)) = closing.filter(|_| stream.find("message_replace").is_none()) {
        let chunks = stream.answer();
        if !n.expect(whole == chunks, s, "whole", format!("the chunks joined: {}", clip(&chunks)), || clip(whole)) {
            n.at_frame(event.frame);
        }
    }
    let cited = stream.find("message_end").filter(|e| e.value.pointer("/metadata/retriever_resources").is_some());
    if let Some(event) = cited {
        n.expect(false, s, "citations", "metadata without retriever_resources", || "retriever_resources".to_owned());
        n.at_frame(event.frame);
    }
}

fn thoughts(stream: &Stream) -> impl Iterator<Item = &Event> {
    stream.events.iter().filter(|e| e.name == "agent_thought")
}

fn position(event: &Event) -> i64 {
    event.value.get("position").and_then(Value::as_i64).unwrap_or(0)
}

/// Source: OpenAPI `StreamEventChatAgentThought`. A thought is sent again as it grows.
fn thought_fields(s: &Seen, n: &mut Notes) {
    let Some(stream) = agent_stream(s) else { return };
    let mut places: BTreeMap<&str, i64> = BTreeMap::new();
    let mut last = 0;
    for event in thoughts(stream) {
        let found = schema::check_event("agent_thought", &event.value).unwrap_or_default();
        let bad = found.iter().find(|v| v.path != "/created_at");
        let (id, at) = (event.text("id").unwrap_or(""), position(event));
        let place = *places.entry(id).or_insert(at);
        let problem = match bad {
            Some(bad) => {
                Some(("members", "the documented members".to_owned(), format!("{}: {}", bad.path, bad.message)))
            }
            None if place != at => {
                Some(("moved", format!("position {place} for thought {id}"), format!("position {at}")))
            }
            None if at < last => Some(("order", format!("a position of at least {last}"), format!("position {at}"))),
            None => None,
        };
        if let Some((check, expected, actual)) = problem {
            n.expect(false, s, check, expected, || actual);
            n.at_frame(event.frame);
            return;
        }
        last = at;
        n.judged += 1;
    }
    let mut seen: Vec<i64> = places.values().copied().collect();
    seen.sort_unstable();
    if !seen.is_empty() {
        let gapless = seen.iter().zip(1..).all(|(is, wanted)| *is == wanted);
        n.expect(gapless, s, "gaps", format!("positions 1 to {}", seen.len()), || format!("{seen:?}"));
    }
}

/// Source: OpenAPI `ConversationMessageItem.agent_thoughts`.
fn thoughts_persisted(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        for turn in conversation.turns.iter().filter(|t| t.completed) {
            let s = run.at(turn);
            let Some(stream) = agent_stream(s) else { continue };
            let mut streamed: Vec<(i64, &str)> =
                thoughts(stream).map(|e| (position(e), e.text("id").unwrap_or(""))).collect();
            streamed.sort_unstable();
            streamed.dedup();
            for (read, item) in run.stored(app, conversation, turn).into_iter().take(1) {
                let items = item.get("agent_thoughts").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let mut stored: Vec<(i64, &str)> = items
                    .iter()
                    .map(|t| {
                        let at = t.get("position").and_then(Value::as_i64).unwrap_or(0);
                        (at, t.get("id").and_then(Value::as_str).unwrap_or(""))
                    })
                    .collect();
                let ordered = stored.windows(2).all(|w| w[0].0 <= w[1].0);
                n.expect(ordered, read, "order", "thoughts in the order of their positions", || {
                    clip(&format!("{stored:?}"))
                });
                stored.sort_unstable();
                let show = |list: &[(i64, &str)]| format!("{} thoughts {list:?}", list.len());
                if !n.expect(stored == streamed, read, "stored", clip(&show(&streamed)), || clip(&show(&stored))) {
                    n.with(s);
                }
            }
        }
    }
}

fn no_thoughts(run: &Run, app: &App) -> Option<String> {
    let any = run.on(app).filter_map(agent_stream).any(|st| thoughts(st).next().is_some());
    (!any).then(|| "no stream carried a thought".to_owned())
}

/// Source: streaming guide: chunks in order make up the answer. Steps with tools add line breaks: single steps only.
fn answer_concat(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        for turn in conversation.turns.iter().filter(|t| t.completed) {
            let s = run.at(turn);
            let single =
                |st: &&Stream| thoughts(st).all(|e| position(e) <= 1 && e.text("tool").is_none_or(str::is_empty));
            let Some(stream) = agent_stream(s).filter(single) else { continue };
            let answer = stream.answer();
            for (read, item) in run.stored(app, conversation, turn).into_iter().take(1) {
                let stored = item.get("answer").and_then(Value::as_str).unwrap_or("");
                let same = comparable(stored, app) == comparable(&answer, app);
                if !n.expect(same, read, "stored", format!("the chunks joined: {}", clip(&answer)), || clip(stored)) {
                    n.with(s);
                }
            }
        }
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "agent.blocking-rejected",
        area: "agent",
        level: Level::Must,
        title: "Agent apps refuse blocking",
        statement: "blocking (or omitted response_mode) on agent-chat and agent apps gives 400.",
        source: "spec ChatRequest.response_mode; guide agent.mdx; src agent_chat/app_generator.py",
        modes: AGENTS,
        tested: "blocking and omitted response_mode. Status 400; the code (invalid_param for agent-chat, bad_request for agent) is a warning only.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(blocking_rejected),
        absent: always,
    },
    Rule {
        id: "agent.stream.grammar",
        area: "agent",
        level: Level::Must,
        title: "Event sequence of an agent stream",
        statement: "agent_thought, agent_message, message_file (and message/message_replace) in any order, then one message_end or one error.",
        source: "spec; src easy_ui_based_generate_task_pipeline.py",
        modes: AGENT_CHAT,
        tested: "Every stream is run through the automaton for agents.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(stream_grammar),
        absent: always,
    },
    Rule {
        id: "agent.stream.grammar.new-agent",
        area: "agent",
        level: Level::Must,
        title: "Event sequence of a New Agent stream",
        statement: "agent_message deltas with agent_thought alongside, then exactly one `message` with the complete answer, then message_end without retriever_resources.",
        source: "guide agent.mdx; spec",
        modes: AGENT,
        tested: "Concatenate agent_message deltas; assert closing message.answer == concatenation; exactly one message; message_end last; metadata lacks retriever_resources.",
        versions: Some("New Agent (Beta), 2026 docs only"),
        load: Load::Every,
        judge: Judge::Exchange(new_agent_grammar),
        absent: always,
    },
    Rule {
        id: "agent.thought.fields",
        area: "agent",
        level: Level::Must,
        title: "agent_thought fields and positions",
        statement: "Each agent_thought has id, integer position>=1, strings (possibly empty/null) thought/observation/tool/tool_input, message_files list; positions never decrease; one id keeps one position.",
        source: "spec StreamEventChatAgentThought; src AgentThoughtStreamResponse",
        modes: AGENTS,
        tested: "Types; one position for each id, non-decreasing, 1 to n without gaps at the end.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(thought_fields),
        absent: no_thoughts,
    },
    Rule {
        id: "agent.thought.persisted",
        area: "agent",
        level: Level::Should,
        title: "Thoughts are in the history",
        statement: "GET /messages item.agent_thoughts holds the streamed thought ids in position order.",
        source: "guide agent.mdx; spec ConversationMessageItem.agent_thoughts",
        modes: AGENTS,
        tested: "Ids and positions are compared with GET /messages after the end.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(thoughts_persisted),
        absent: no_thoughts,
    },
    Rule {
        id: "agent.answer.concat",
        area: "agent",
        level: Level::Should,
        title: "agent_message chunks equal the stored answer",
        statement: "For a single-step run the chunks concatenate to the stored answer (whitespace-normalised).",
        source: "guide streaming.mdx; src core/agent/fc_agent_runner.py",
        modes: AGENTS,
        tested: "Answers without tool calls are compared with GET /messages.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(answer_concat),
        absent: always,
    },
];
