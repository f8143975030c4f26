//! What happens in a turn of a model, as a list: pieces of text, speech and the end.

use std::collections::VecDeque;
use std::time::Duration;

use super::agent_beats::agent_beats;
use super::config::AppMode;
use super::core::Core;
use super::fault::Fault;
use super::generation::{Act, Opening};
use super::model::{Ending, Plan};

/// Two pieces of speech: the smallest tags an audio file can begin with.
const SPEECH: [&str; 2] = ["SUQzBAAAAAAAAA==", "SUQzBAAAAAAAAQ=="];

/// The steps of a plan.
pub(super) fn beats(core: &Core, opening: &Opening, plan: Plan) -> VecDeque<(Duration, Act)> {
    let served = core.apps.get(opening.app);
    let chat = served.is_some_and(|app| app.mode() == AppMode::Chat);
    if let Some(app) = served.filter(|app| app.mode().thinks()) {
        return agent_beats(core, opening, plan, app.mode() == AppMode::Agent);
    }
    let total = plan.duration();
    let failing_after = if plan.chunks.is_empty() { plan.first } else { plan.gap };
    let mut beats: VecDeque<(Duration, Act)> = plan
        .chunks
        .into_iter()
        .enumerate()
        .map(|(at, text)| {
            let delay = if at == 0 { plan.first } else { plan.gap };
            (delay, Act::Text(if core.broken(Fault::ReplacementCharacters) { damaged(&text) } else { text }))
        })
        .collect();
    if core.broken(Fault::Buffered) && beats.len() > 1 {
        for (at, (delay, _)) in beats.iter_mut().enumerate() {
            *delay = if at == 0 { total } else { Duration::ZERO };
        }
    }
    if chat && core.broken(Fault::NullAnswer) {
        beats.push_front((plan.first, Act::NullText));
    }
    let speaks = served.is_some_and(|app| app.autoplay);
    let ending: Vec<Act> = match plan.ending {
        Ending::Failure(message) => {
            beats.push_back((failing_after, Act::Fail(message)));
            return beats;
        }
        Ending::Replaced(text) => vec![Act::Text(String::new()), Act::Replace(text)],
        Ending::Complete => vec![Act::Text(String::new())],
    };
    let silent = chat && !opening.first && core.broken(Fault::SilentEnd);
    let extra = |wanted: bool, act: Act| wanted.then_some(act);
    let tail = ending
        .into_iter()
        .chain(extra(chat && core.broken(Fault::EventNameNumber), Act::Nameless))
        .chain(extra(speaks, Act::Speech(SPEECH[0])))
        .chain([if silent { Act::QuietEnd } else { Act::End }])
        .chain(extra(chat && core.broken(Fault::TwoEnds), Act::End))
        .chain(extra(!chat && core.broken(Fault::TextAfterEnd), Act::Text(String::new())))
        .chain(extra(speaks, Act::Speech(SPEECH[1])))
        .chain(extra(speaks, Act::Speech("")));
    beats.extend(tail.map(|act| (Duration::ZERO, act)));
    beats
}

/// The first character beyond ASCII of a piece becomes the replacement character.
fn damaged(text: &str) -> String {
    match text.char_indices().find(|(_, ch)| !ch.is_ascii()) {
        Some((at, ch)) => {
            let (head, tail) = text.split_at(at);
            format!("{head}\u{fffd}{}", tail.get(ch.len_utf8()..).unwrap_or_default())
        }
        None => text.to_owned(),
    }
}
