//! The echo model: it answers with the full prompt it was given, so that an answer shows what the server used.
//!
//! Words of the last user message steer it: `sleep:N` `gap:N` `chunks:N` `fail` `fail:rate` `fail:auth` `fail:bad`
//! `fail:conn` `fail:daemon` `failmid` `empty` `moderate:WORD`.

use std::time::Duration;

use super::config::Pace;

/// Most chunks of one answer when the query does not ask for a number.
const MAX_CHUNKS: usize = 200;
/// Fewest chunks of one answer of at least this many characters.
const MIN_CHUNKS: usize = 5;
/// Words of history a prompt may hold; older turns are left out, as the token window of real servers does.
pub const HISTORY_WORDS: usize = 2000;

/// What the model is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// The system line.
    pub system: Option<String>,
    /// Earlier turns: what the user said, what was answered.
    pub history: Vec<(String, String)>,
    /// The last user message.
    pub user: Option<String>,
    /// The text whose words steer the model.
    pub steering: String,
}

/// How the model is going to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The pieces of the answer in order.
    pub chunks: Vec<String>,
    /// Time before the first piece.
    pub first: Duration,
    /// Time between two pieces.
    pub gap: Duration,
    /// What comes after the last piece.
    pub ending: Ending,
    /// Words of the prompt.
    pub prompt_words: u64,
}

/// What comes after the last piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The answer is complete.
    Complete,
    /// The moderation replaces the answer by this text.
    Replaced(String),
    /// The model fails with this message.
    Failure(String),
}

impl Plan {
    /// The whole time the model takes.
    pub fn duration(&self) -> Duration {
        let gaps = u32::try_from(self.chunks.len().saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_add(self.gap.saturating_mul(gaps))
    }
}

/// The number of words, which is what a token is here.
pub fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// The echo of a prompt.
pub fn echo(prompt: &Prompt) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(prompt.system.as_ref().map(|text| format!("system: {text}")));
    for (query, answer) in &prompt.history {
        parts.push(format!("user: {query}"));
        parts.push(format!("assistant: {answer}"));
    }
    parts.extend(prompt.user.as_ref().map(|text| format!("user: {text}")));
    format!("ECHO:{}", parts.join(" | "))
}

/// Plans the answer to a prompt; `addition` is appended to the echo.
pub fn plan(prompt: &Prompt, pace: Pace, addition: &str) -> Plan {
    let mut text = echo(prompt);
    let prompt_words = words(&text).max(1);
    text.push_str(addition);
    recite(text, prompt_words, &prompt.steering, pace)
}

/// Plans to say a given text; the words of `steering` do what they do in a query.
pub fn recite(mut text: String, prompt_words: u64, steering: &str, pace: Pace) -> Plan {
    let steering = Steering::read(steering);
    if steering.empty {
        text.clear();
    }
    // a wanted gap without a number of pieces gives few of them, so that the whole time does not depend on the text
    let pieces = steering.chunks.or(steering.gap.map(|_| MIN_CHUNKS));
    let mut chunks = split(&text, pieces, pace.chunk_chars);
    let ending = match steering.failure {
        Some(Failure { message, after }) => {
            chunks.truncate(after);
            Ending::Failure(message)
        }
        None => match steering.moderated {
            Some(word) => Ending::Replaced(text.replace(&word, "***")),
            None => Ending::Complete,
        },
    };
    Plan {
        chunks,
        first: pace.first_chunk.saturating_add(steering.sleep),
        gap: steering.gap.unwrap_or(pace.gap),
        ending,
        prompt_words,
    }
}

/// Whether a text holds a word that steers the model.
pub fn steers(text: &str) -> bool {
    Steering::read(text) != Steering::default()
}

#[derive(PartialEq)]
struct Failure {
    message: String,
    /// Pieces sent before it.
    after: usize,
}

#[derive(Default, PartialEq)]
struct Steering {
    sleep: Duration,
    gap: Option<Duration>,
    chunks: Option<usize>,
    empty: bool,
    failure: Option<Failure>,
    moderated: Option<String>,
}

impl Steering {
    fn read(text: &str) -> Self {
        let mut steering = Steering::default();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once(':').unwrap_or((word, ""));
            match name {
                "sleep" => steering.sleep = seconds(value).unwrap_or_default(),
                "gap" => steering.gap = seconds(value),
                "chunks" => steering.chunks = value.parse().ok().filter(|n| (1..=10_000).contains(n)),
                "empty" if value.is_empty() => steering.empty = true,
                "fail" => steering.failure = failure(value),
                "failmid" => {
                    steering.failure = Some(Failure { message: "fake mid-stream failure".to_owned(), after: 3 });
                }
                "moderate" if !value.is_empty() => steering.moderated = Some(value.to_owned()),
                _ => {}
            }
        }
        steering
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|d| *d <= Duration::from_secs(600))
}

fn failure(kind: &str) -> Option<Failure> {
    let message = match kind {
        "" => "fake model failure",
        "rate" => "fake rate error",
        "auth" => "Incorrect API key provided",
        "bad" => "fake bad error",
        "conn" => "fake conn error",
        "daemon" => "[echo] Error: req_id:  PluginDaemonInternalServerError: fake daemon internal error",
        _ => return None,
    };
    Some(Failure { message: message.to_owned(), after: 0 })
}

/// Cuts a text into pieces of about equal length, never inside a character; an empty text is one empty piece.
fn split(text: &str, wanted: Option<usize>, chunk_chars: usize) -> Vec<String> {
    let length = text.chars().count();
    let natural = length.div_ceil(chunk_chars.max(1)).clamp(MIN_CHUNKS, MAX_CHUNKS);
    let count = wanted.unwrap_or(natural).min(length).max(1);
    let mut chars = text.chars();
    (0..count).map(|i| chars.by_ref().take((i + 1) * length / count - i * length / count).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(query: &str) -> Prompt {
        Prompt { user: Some(query.to_owned()), steering: query.to_owned(), ..Prompt::default() }
    }

    fn planned(query: &str) -> Plan {
        plan(&prompt(query), Pace::default(), "")
    }

    #[test]
    fn the_echo_shows_system_history_and_query_in_order() {
        let prompt = Prompt {
            system: Some("S\n".to_owned()),
            history: vec![("q1".to_owned(), "a1".to_owned())],
            ..prompt("q2")
        };
        assert_eq!(echo(&prompt), "ECHO:system: S\n | user: q1 | assistant: a1 | user: q2");
    }

    #[test]
    fn pieces_join_to_the_echo_for_any_text() {
        for query in ["x", "é😀\u{2028}世界", &"long ".repeat(5000)] {
            assert_eq!(planned(query).chunks.concat(), echo(&prompt(query)));
        }
        assert!(planned(&"y".repeat(100_000)).chunks.len() <= MAX_CHUNKS);
    }

    #[test]
    fn magic_words_set_times_and_number_of_pieces() {
        let plan = planned("gap:0.1 chunks:12 sleep:2 x");
        assert_eq!(plan.chunks.len(), 12);
        assert_eq!(plan.gap, Duration::from_millis(100));
        assert_eq!(plan.first, Duration::from_secs(2) + Pace::default().first_chunk);
        assert_eq!(plan.duration(), plan.first + Duration::from_millis(1100));
    }

    #[test]
    fn a_gap_alone_gives_five_pieces_whatever_the_length() {
        assert_eq!(planned(&format!("gap:0.1 {}", "long ".repeat(500))).chunks.len(), 5);
    }

    #[test]
    fn nonsense_times_are_ignored() {
        for query in ["gap:x", "gap:-1", "gap:1e99", "gap:NaN"] {
            assert_eq!(planned(query).gap, Pace::default().gap);
        }
    }

    #[test]
    fn failures_come_before_the_first_or_after_the_third_piece() {
        assert_eq!(planned("fail").chunks, Vec::<String>::new());
        assert_eq!(planned("fail:rate").ending, Ending::Failure("fake rate error".to_owned()));
        assert_eq!(planned("failmid and some more text").chunks.len(), 3);
        assert_eq!(planned("fail:nothing-known").ending, Ending::Complete);
    }

    #[test]
    fn an_empty_answer_is_one_empty_piece() {
        assert_eq!(planned("empty").chunks, vec![String::new()]);
    }

    #[test]
    fn moderation_masks_the_word_everywhere() {
        let Ending::Replaced(text) = planned("moderate:bad is bad").ending else { panic!("not moderated") };
        assert_eq!(text, "ECHO:user: moderate:*** is ***");
    }
}
