//! Order of events in streams: one small automaton per app mode, pings anywhere. An event that no automaton knows is
//! passed over: later versions may add some, and a rule of its own warns about them.

use super::notes::Notes;
use super::seen::Seen;
use super::stream::{Event, Stream};
use crate::model::AppMode;
use serde_json::Value;

/// One state: what may come next and where it leads.
struct State {
    name: &'static str,
    /// What may come, for people.
    expects: &'static str,
    moves: &'static [(&'static [&'static str], &'static str)],
    /// The stream may end here.
    end: bool,
}

/// States of one app mode; the first is the start.
pub(super) struct Grammar(&'static [State]);

const SUCCEEDED: &str = "workflow_finished(succeeded)";
const FAILED: &str = "workflow_finished(failed)";
const STOPPED: &str = "workflow_finished(stopped)";

/// What a running workflow says without changing where it is.
const NODES: &[&str] = &[
    "node_started",
    "node_finished",
    "node_retry",
    "iteration_started",
    "iteration_next",
    "iteration_completed",
    "loop_started",
    "loop_next",
    "loop_completed",
    "agent_log",
    "reasoning_chunk",
    "human_input_form_filled",
    "human_input_form_timeout",
    "tts_message",
    "text_chunk",
];

const fn state(
    name: &'static str,
    expects: &'static str,
    moves: &'static [(&'static [&'static str], &'static str)],
) -> State {
    State { name, expects, moves, end: false }
}

const fn last(
    name: &'static str,
    expects: &'static str,
    moves: &'static [(&'static [&'static str], &'static str)],
) -> State {
    State { name, expects, moves, end: true }
}

const CLOSED: State =
    last("closed", "nothing but tts events", &[(&["tts_message"], "closed"), (&["tts_message_end"], "over")]);
const OVER: State = last("over", "nothing", &[]);

/// Completion and chat apps.
const MESSAGES: Grammar = Grammar(&[
    state(
        "text",
        "message, message_file, message_replace, tts_message, message_end or error",
        &[
            (&["message", "message_file", "message_replace", "tts_message"], "text"),
            (&["message_end", "error"], "closed"),
        ],
    ),
    CLOSED,
    OVER,
]);

/// Agent chat apps: thoughts beside the text.
const AGENT_CHAT: Grammar = Grammar(&[
    state(
        "text",
        "agent_message, agent_thought, message_file, message, message_replace, tts_message, message_end or error",
        &[
            (&["agent_message", "agent_thought", "message_file", "message", "message_replace", "tts_message"], "text"),
            (&["message_end", "error"], "closed"),
        ],
    ),
    CLOSED,
    OVER,
]);

/// New agents: one `message` with the whole answer before the end.
const AGENT: Grammar = Grammar(&[
    state(
        "text",
        "agent_message, agent_thought, message_replace, tts_message, the closing message or error",
        &[
            (&["agent_message", "agent_thought", "message_replace", "tts_message"], "text"),
            (&["message"], "whole"),
            (&["error"], "closed"),
        ],
    ),
    state("whole", "message_end", &[(&["tts_message"], "whole"), (&["message_end"], "closed")]),
    CLOSED,
    OVER,
]);

/// Chatflows; which of the two closing events comes first is for a rule of its own.
const CHATFLOW: Grammar = Grammar(&[
    state(
        "start",
        "workflow_started, or message or message_end of a reply without a run, or error",
        &[
            (&["workflow_started"], "running"),
            (&["message", "tts_message"], "direct"),
            (&["message_replace"], "replaced"),
            (&["message_end", "error"], "closed"),
        ],
    ),
    state(
        "direct",
        "message, message_replace, message_end or error",
        &[
            (&["message", "tts_message"], "direct"),
            (&["message_replace"], "replaced"),
            (&["message_end", "error"], "closed"),
        ],
    ),
    state("replaced", "message_end", &[(&["message_end"], "closed")]),
    state(
        "running",
        "a message, node, iteration or loop event, message_end, workflow_finished or error",
        &[
            (NODES, "running"),
            (&["message", "message_file", "message_replace"], "running"),
            (&["human_input_required"], "asking"),
            (&["message_end"], "ended"),
            (&[SUCCEEDED, STOPPED], "finished"),
            (&[FAILED], "failed"),
            (&["error"], "closed"),
        ],
    ),
    state(
        "asking",
        "workflow_paused, or events of other branches",
        &[
            (&["human_input_required", "tts_message"], "asking"),
            (NODES, "running"),
            (&["message", "message_file", "message_replace"], "running"),
            (&["workflow_paused"], "closed"),
            (&["message_end"], "ended"),
            (&[SUCCEEDED, STOPPED], "finished"),
            (&[FAILED], "failed"),
            (&["error"], "closed"),
        ],
    ),
    state("ended", "workflow_finished", &[(&["tts_message"], "ended"), (&[SUCCEEDED, STOPPED], "closed")]),
    state(
        "finished",
        "message_end",
        &[(&["tts_message", "message_replace"], "finished"), (&["message_end"], "closed")],
    ),
    last("failed", "error", &[(&["tts_message"], "failed"), (&["error"], "closed")]),
    CLOSED,
    OVER,
]);

/// Workflows.
const WORKFLOW: Grammar = Grammar(&[
    state("start", "workflow_started or error", &[(&["workflow_started"], "running"), (&["error"], "closed")]),
    state(
        "running",
        "a node, iteration, loop or text event, workflow_finished or error",
        &[
            (NODES, "running"),
            (&["text_replace"], "running"),
            (&["human_input_required"], "asking"),
            (&[SUCCEEDED, FAILED, STOPPED, "error"], "closed"),
        ],
    ),
    state(
        "asking",
        "workflow_paused, or events of other branches",
        &[
            (&["human_input_required", "tts_message"], "asking"),
            (NODES, "running"),
            (&["text_replace"], "running"),
            (&["workflow_paused", SUCCEEDED, FAILED, STOPPED, "error"], "closed"),
        ],
    ),
    CLOSED,
    OVER,
]);

const ALL: &[&Grammar] = &[&MESSAGES, &AGENT_CHAT, &AGENT, &CHATFLOW, &WORKFLOW];

/// The automaton of an app mode.
pub(super) fn of(mode: AppMode) -> &'static Grammar {
    match mode {
        AppMode::Completion | AppMode::Chat => &MESSAGES,
        AppMode::AgentChat => &AGENT_CHAT,
        AppMode::Agent => &AGENT,
        AppMode::AdvancedChat => &CHATFLOW,
        AppMode::Workflow => &WORKFLOW,
    }
}

/// `status` of a workflow_finished, folded to the three that matter for what may follow.
fn symbol(event: &Event) -> &str {
    if event.name != "workflow_finished" {
        return &event.name;
    }
    match event.value.pointer("/data/status").and_then(Value::as_str) {
        Some("failed") => FAILED,
        Some("stopped") => STOPPED,
        _ => SUCCEEDED,
    }
}

impl Grammar {
    fn state(&self, name: &str) -> Option<&'static State> {
        self.0.iter().find(|s| s.name == name)
    }

    fn knows(&self, symbol: &str) -> bool {
        self.0.iter().flat_map(|s| s.moves).any(|(on, _)| on.contains(&symbol))
    }

    /// The first event that does not fit, and what was expected there; with `None` for the end of the stream.
    fn walk<'e>(&self, events: &'e [Event]) -> Option<(Option<&'e Event>, String)> {
        let mut at = self.0.first()?;
        let mut before: Option<&str> = None;
        let mut stays: Option<&str> = None;
        let after = |expects: &str, before: Option<&str>| match before {
            Some(event) => format!("{expects} after {event}"),
            None => format!("{expects} first"),
        };
        for event in events {
            let symbol = symbol(event);
            if stays == Some(symbol) {
                continue; // one chunk after the other, as most of a stream is
            }
            stays = None;
            let next = at.moves.iter().find(|(on, _)| on.contains(&symbol)).and_then(|(_, to)| self.state(to));
            match next {
                Some(state) => {
                    stays = (state.name == at.name).then_some(symbol);
                    at = state;
                    before = Some(symbol);
                }
                None if !ALL.iter().any(|g| g.knows(symbol)) => {} // forward compatibility
                None => return Some((Some(event), after(at.expects, before))),
            }
        }
        (!at.end).then(|| (None, after(at.expects, before)))
    }
}

/// Judges a stream that was read to its end. An event that no documentation knows is reported as advice where no other
/// rule of the mode does so.
pub(super) fn judge(s: &Seen, stream: &Stream, n: &mut Notes) {
    let Some(mode) = s.app.mode else { return };
    match of(mode).walk(&stream.events) {
        None => n.judged += 1,
        Some((Some(event), expected)) => {
            n.expect(false, s, "order", expected, || {
                format!("event {} is `{}` (stream: {})", event.frame, symbol(event), stream.outline())
            });
            n.at_frame(event.frame);
        }
        Some((None, expected)) => {
            n.expect(false, s, "close", expected, || format!("the stream ended after: {}", stream.outline()));
        }
    }
    if mode != AppMode::Workflow {
        return;
    }
    if let Some(event) = stream.events.iter().find(|e| !ALL.iter().any(|g| g.knows(symbol(e)))) {
        n.advise(false, s, "unknown-event", "a documented event", || format!("`{}`", super::stream::clip(&event.name)));
        n.at_frame(event.frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Letters of the event alphabet.
    const LETTERS: &[(char, &str)] = &[
        ('m', "message"),
        ('Z', "message_end"),
        ('f', "message_file"),
        ('r', "message_replace"),
        ('E', "error"),
        ('t', "tts_message"),
        ('T', "tts_message_end"),
        ('a', "agent_message"),
        ('h', "agent_thought"),
        ('S', "workflow_started"),
        ('n', "node_started"),
        ('d', "node_finished"),
        ('y', "node_retry"),
        ('i', "iteration_started"),
        ('j', "iteration_next"),
        ('k', "iteration_completed"),
        ('x', "text_chunk"),
        ('X', "text_replace"),
        ('H', "human_input_required"),
        ('P', "workflow_paused"),
        ('?', "brand_new_event"),
    ];

    fn events(word: &str) -> Vec<Event> {
        let event = |(index, letter): (usize, char)| {
            let status = match letter {
                'W' => "succeeded",
                'V' => "failed",
                'w' => "stopped",
                _ => "",
            };
            let name = LETTERS.iter().find(|(l, _)| *l == letter).map_or("workflow_finished", |(_, name)| name);
            let value = json!({"event": name, "data": {"status": status}});
            Event { frame: index + 1, at_us: 0, name: name.to_owned(), value }
        };
        word.chars().enumerate().map(event).collect()
    }

    fn fits(mode: AppMode, word: &str) -> bool {
        of(mode).walk(&events(word)).is_none()
    }

    #[test]
    fn legal_words_of_each_mode_fit() {
        let words: &[(AppMode, &[&str])] = &[
            (AppMode::Completion, &["mmZ", "Z", "E", "mE", "mftZttT", "mrZ", "m?Z"]),
            (AppMode::Chat, &["mmZ", "mZT"]),
            (AppMode::AgentChat, &["haahZ", "hmZ", "hE", "ahfZ"]),
            (AppMode::Agent, &["haamZ", "aE", "armtZT"]),
            (
                AppMode::AdvancedChat,
                &[
                    "SnmdnmdZW",
                    "SnmdnmdWZ",
                    "SndVE",
                    "SndV",
                    "SnwZ",
                    "SnZw",
                    "mmZ",
                    "mrZ",
                    "Z",
                    "E",
                    "SnHP",
                    "SnHtHP",
                    "SnHndHP",
                    "SE",
                    "SnijkdWtrtZtT",
                    "S?nZW",
                ],
            ),
            (AppMode::Workflow, &["SndW", "SndV", "Snw", "SnHP", "SE", "E", "SxXndWtT", "SnHHP"]),
        ];
        for (mode, words) in words {
            for word in *words {
                assert!(fits(*mode, word), "{word} in {mode}");
            }
        }
    }

    #[test]
    fn illegal_words_of_each_mode_do_not_fit() {
        let words: &[(AppMode, &[&str])] = &[
            (AppMode::Completion, &["", "m", "mZZ", "mZm", "amZ", "ZE", "mZTt", "SZ"]),
            (AppMode::AgentChat, &["ah", "aZa", "SaZ"]),
            (AppMode::Agent, &["aaZ", "aammZ", "amaZ", "m"]),
            (
                AppMode::AdvancedChat,
                &["nSdWZ", "SndW", "SndZ", "SndVZ", "SndWZm", "Sn", "SnP", "SnH", "SnHPW", "mSZ", "xZ"],
            ),
            (AppMode::Workflow, &["ndW", "SnWE", "SnWn", "SnmW", "SnZW", "Sn", "SnP", "SWW", ""]),
        ];
        for (mode, words) in words {
            for word in *words {
                assert!(!fits(*mode, word), "{word} in {mode}");
            }
        }
    }

    #[test]
    fn the_fault_names_the_event_and_what_was_expected_after_what() {
        let found = events("SndWn");
        let (event, expected) = of(AppMode::Workflow).walk(&found).expect("a fault");
        assert_eq!(event.map(|e| e.frame), Some(5));
        assert_eq!(expected, "nothing but tts events after workflow_finished(succeeded)");
        let found = events("SndW");
        let (event, expected) = of(AppMode::AdvancedChat).walk(&found).expect("a fault");
        assert!(event.is_none());
        assert_eq!(expected, "message_end after workflow_finished(succeeded)");
    }

    #[test]
    fn every_move_leads_to_a_state_that_exists() {
        for grammar in ALL {
            for (_, to) in grammar.0.iter().flat_map(|s| s.moves) {
                assert!(grammar.state(to).is_some(), "{to}");
            }
        }
    }
}
