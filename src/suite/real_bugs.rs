//! The text of docs/real-bugs.md: which bugs of released servers the rules notice. A test keeps the file equal.

use crate::emulator::all_mutants;
use std::fmt::Write;

const HEAD: &str = "# Real bugs\n\n\
    Bugs of released Dify servers that were reported in the open, and the mutant of the emulator that does the same. \
    `difyprobe selftest` shows that the rules named here notice each of them; `difyprobe serve --mutant ID` serves one to try \
    things out. Numbers are issues and pull requests of langgenius/dify. Symptoms are given as they show over the service API.\n\n\
    This page is generated from the mutants in `src/emulator/` (`UPDATE_GOLDEN=1 cargo test --test it rules_doc` writes it anew).\n\n\
    | symptom | reported in | mutant | noticed by |\n|---|---|---|---|\n";

const REST: &str = "\n## What is not served\n\n\
    Reports of the same kind that have no mutant, and why.\n\n\
    | report | why |\n|---|---|\n";

/// Reports without a mutant: who reported what, and why it cannot be one.
const NOT_SERVED: &[(&str, &str)] = &[
    (
        "the limit on concurrent requests does not hold for streams of workflows (issue 35895, PR 36004)",
        "looks as if there were no limit: nobody but the operator knows that there is one",
    ),
    (
        "clients take the bare `event: ping` for JSON (issues 2508, 9813; hanfangyuan4396/dify-on-wechat PR 10)",
        "a bug of clients; the emulator sends such pings so that clients can be tried",
    ),
    (
        "two events in one TCP chunk taken for malformed (issue 17474)",
        "a bug of a client; `sse.event.framing` allows it",
    ),
    (
        "a client stops at the first closing event of a chatflow and loses the other (imfangs/dify-java-client issue 138, PR 165)",
        "a bug of a client",
    ),
    (
        "clients show empty answers because they do not know agent_message (crazywoola/dify-bot issue 2, langbot-app/LangBot issue 1905)",
        "a bug of clients",
    ),
    (
        "clients lose conversation_id, so that every turn opens a conversation (langgenius/dify-official-plugins issue 3813, \
         hanfangyuan4396/dify-on-wechat issue 128, xinnan-tech/xiaozhi-esp32-server issue 296)",
        "a bug of clients; a scenario of yours that runs against `difyprobe serve` shows it",
    ),
    (
        "a page before first_id is empty (issue 21331)",
        "the cursor was taken from the wrong end; `messages.pagination.partition` says how pages go on",
    ),
    (
        "`Invalid upload file` (issues 28982, 8573)",
        "upload and turn named different users; refusing that is right, and `files.owner-only` demands it",
    ),
    (
        "conversations of the web app are 404 through the API (issues 15916, 17438, 19766, 20149, 25487)",
        "works as designed: web app and API do not share conversations",
    ),
    (
        "messages ascend although the documentation said newest first (issues 15188, 802)",
        "servers do so to this day; `messages.order` states it so",
    ),
    (
        "a first turn takes a second longer because the server waits before it names the conversation (issues 17903, 8455, 33120)",
        "breaks no promise; load reports separate first from later turns, and scenarios send auto_generate_name false",
    ),
    (
        "suggested questions are 500 when the provider of the model fails (issue 36476)",
        "needs a provider that fails for this call alone; an unknown message is served (`bug/suggestions-of-unknown-400`)",
    ),
];

/// The whole page.
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    for mutant in all_mutants() {
        let Some(bug) = mutant.bug else { continue };
        let rules: Vec<String> = mutant.victims.iter().map(|id| format!("`{id}`")).collect();
        let what = mutant.what.replace('|', "\\|").replace('_', "\\_");
        let _ = writeln!(out, "| {what} | {bug} | `{}` | {} |", mutant.id, rules.join(", "));
    }
    out.push_str(REST);
    for (report, why) in NOT_SERVED {
        let plain = |text: &str| text.split('`').enumerate().map(|(at, part)| plain_part(at, part)).collect::<String>();
        let _ = writeln!(out, "| {} | {} |", plain(report), plain(why));
    }
    out
}

/// Odd parts stand in backticks; elsewhere an underscore is no markup.
fn plain_part(at: usize, part: &str) -> String {
    if at % 2 == 1 { format!("`{part}`") } else { part.replace('_', "\\_") }
}
