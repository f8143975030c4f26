//! A recording -> scenario files to start from.
//!
//! In: a transcript of somebody's traffic. Out: for each app its conversations, completions and runs as scenarios in the
//! language of docs/scenarios.md: ids become captures, what was said becomes data, the end user becomes `${{ user }}`; flows
//! that differ only in what was said become rows of one scenario. What cannot be said in the language stands as a comment
//! where it was. Keys and headers do not get here.

mod expect;
mod file;
mod flows;
mod form;
mod ids;
mod request;
mod said;
mod step;
mod text;
mod turn;
mod writer;
mod yaml;

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

use crate::model::{App, Exchange, Transcript};

/// What was made of a recording.
#[derive(Clone, Debug, Default)]
pub struct Drafts {
    /// The scenario files.
    pub files: Vec<DraftFile>,
    /// What stands in no file, in words.
    pub notes: Vec<String>,
}

/// One scenario file.
#[derive(Clone, Debug)]
pub struct DraftFile {
    /// Where it belongs, below the folder of the recording: `chat/conversation-1.yaml`.
    pub path: String,
    /// Title of the scenario.
    pub title: String,
    /// The whole file.
    pub text: String,
}

/// Scenario of the tool's own requests.
const OWN: &str = "discovery";

/// Makes scenarios of a transcript. `name` begins their ids.
pub fn drafts(transcript: &Transcript, name: &str) -> Drafts {
    let mut drafts = Drafts::default();
    let base_path = path_of(&transcript.base_url);
    for app in &transcript.apps {
        let mut exchanges: Vec<&Exchange> =
            transcript.exchanges.iter().filter(|e| e.app == app.label && e.origin.scenario != OWN).collect();
        exchanges.sort_by_key(|e| (e.timing.sent_us, e.id));
        if exchanges.is_empty() {
            continue;
        }
        if exchanges.iter().all(|e| e.request.key_label().is_none()) {
            let count = exchanges.len();
            drafts.notes.push(format!("{count} requests without a key that opens an app are in the transcript only"));
            continue;
        }
        of_app(app, &exchanges, base_path, name, &mut drafts);
    }
    drafts
}

fn of_app(app: &App, exchanges: &[&Exchange], base_path: &str, name: &str, drafts: &mut Drafts) {
    let seen: Vec<said::Seen<'_>> = exchanges.iter().map(|e| said::Seen::of(e, base_path)).collect();
    let grouped = flows::group(&seen);
    let written: Vec<writer::Written> =
        grouped.flows.iter().map(|flow| writer::write_flow(&seen, flow, app.mode)).collect();
    let rest = writer::write_rest(&seen, &grouped.rest, app.mode);
    file::files(app, name, written, rest, drafts);
}

/// Path of a base URL, without a final slash.
fn path_of(base_url: &str) -> &str {
    let after = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    after.find('/').and_then(|at| after.get(at..)).unwrap_or("").trim_end_matches('/')
}
