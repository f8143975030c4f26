//! What is said about a comparison: a line and a diff per difference, the counts, what to do next.

use crate::report::escape;
use crate::snapshot::{Mode, SnapshotFolder, State, Verdict};
use std::collections::HashMap;
use std::io::{IsTerminal, Write};

/// What to do about what waits.
pub const HOW: &str = "`difyprobe review` shows them one by one; without a terminal `difyprobe snapshot accept` or `reject` \
                       (all, or NAME..)";

/// Prints it; colours only on a terminal.
pub fn print(verdicts: &[Verdict], mode: Mode, folder: &SnapshotFolder) {
    let stdout = std::io::stdout();
    let color = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let here = std::env::current_dir().unwrap_or_default();
    let path = folder.path();
    let shown = path.strip_prefix(&here).unwrap_or(path).display().to_string();
    let neighbours = if mode == Mode::Update { Vec::new() } else { folder.neighbours() };
    let text = render(verdicts, mode, &shown, color) + &first_time(verdicts, &shown, &neighbours);
    // A closed pipe (`| head`) is no reason to fail.
    let _ = stdout.lock().write_all(text.as_bytes());
}

/// Where all is new, it may be meant to be compared with what another target said: a server after its upgrade.
fn first_time(verdicts: &[Verdict], folder: &str, neighbours: &[String]) -> String {
    let all_new = !verdicts.is_empty() && verdicts.iter().all(|v| v.state == State::New);
    match neighbours {
        [name, ..] if all_new => format!(
            "nothing was reviewed in {folder} so far; to compare with another target's snapshots ({}): --name {name}\n",
            neighbours.join(", ")
        ),
        _ => String::new(),
    }
}

fn render(verdicts: &[Verdict], mode: Mode, folder: &str, color: bool) -> String {
    let mut out = String::new();
    let mut shown: HashMap<String, &str> = HashMap::new();
    for verdict in verdicts.iter().filter(|v| v.state != State::Same) {
        out.push_str(&head(verdict, color));
        let diff = verdict.diff.as_deref().filter(|_| verdict.state == State::Changed);
        match diff.map(|diff| (diff, shown.get(&essence(diff)))) {
            Some((_, Some(before))) => out.push_str(&format!("    the same change as in {before}\n")),
            Some((diff, None)) => {
                shown.insert(essence(diff), &verdict.name);
                diff.lines().for_each(|line| out.push_str(&diff_line(line, color)));
            }
            None => {}
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out + &counts(verdicts, folder) + &hints(verdicts, mode)
}

fn head(verdict: &Verdict, color: bool) -> String {
    let (word, code) = match verdict.state {
        State::Same => ("same", ""),
        State::New => ("new", "\x1b[1;32m"),
        State::Changed => ("changed", "\x1b[1;33m"),
        State::Missing => ("missing", "\x1b[1;31m"),
        State::Orphan => ("orphan", "\x1b[1m"),
    };
    let place = verdict.place.as_deref().map(|place| format!("  ({place})")).unwrap_or_default();
    let rest = escape::terminal(&format!("{}{place}", verdict.name));
    let alike = alike(verdict).map(|text| format!("    {}\n", escape::terminal(&text))).unwrap_or_default();
    if color { format!("{code}{word:8}\x1b[0m {rest}\n{alike}") } else { format!("{word:8} {rest}\n{alike}") }
}

/// Said of what looks renamed.
fn alike(verdict: &Verdict) -> Option<String> {
    let alike = verdict.alike.as_ref()?;
    let how = if alike.equal { "the same text as" } else { "nearly the same text as" };
    Some(match verdict.state {
        State::New => format!("{how} {}, which has no step now: was it renamed?", alike.name),
        _ => format!("{how} {}, which is new: was it renamed?", alike.name),
    })
}

/// A line of a unified diff, indented, in its colour.
pub fn diff_line(line: &str, color: bool) -> String {
    let text = escape::terminal(line);
    let code = match line.as_bytes().first() {
        Some(b'+') => "\x1b[32m",
        Some(b'-') => "\x1b[31m",
        Some(b'@') => "\x1b[36m",
        _ => "",
    };
    if color && !code.is_empty() { format!("    {code}{text}\x1b[0m\n") } else { format!("    {text}\n") }
}

/// The changed lines alone: one change of a server shows in many snapshots, each at another place.
pub fn essence(diff: &str) -> String {
    let body = diff.lines().filter(|line| !line.starts_with("--- ") && !line.starts_with("+++ "));
    let mut lines: Vec<&str> = body.filter(|line| line.starts_with(['+', '-'])).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.join("\n")
}

fn count(verdicts: &[Verdict], state: State) -> usize {
    verdicts.iter().filter(|v| v.state == state).count()
}

fn counts(verdicts: &[Verdict], folder: &str) -> String {
    let of = |state| count(verdicts, state);
    format!(
        "{} same, {} new, {} changed, {} missing, {} orphaned in {folder}\n",
        of(State::Same),
        of(State::New),
        of(State::Changed),
        of(State::Missing),
        of(State::Orphan),
    )
}

fn hints(verdicts: &[Verdict], mode: Mode) -> String {
    let mut out = String::new();
    let waiting = count(verdicts, State::New) + count(verdicts, State::Changed);
    match (waiting, mode) {
        (0, _) => {}
        (n, Mode::Review) => out.push_str(&format!("{n} to review: {HOW}\n")),
        (_, Mode::Check) => {
            out.push_str("nothing was written; without --check the same command lays them out for review\n")
        }
        (n, Mode::Update) => out.push_str(&format!("{n} accepted; look at them with `git diff`\n")),
    }
    if count(verdicts, State::Missing) > 0 {
        out.push_str("missing: the scenario was run without this request; `git rm` the snapshot if that is meant\n");
    }
    if count(verdicts, State::Orphan) > 0 {
        out.push_str(
            "orphaned: no scenario has this id; `git rm` the snapshot unless it is of a scenario that was not named here\n",
        );
    }
    let renamed = verdicts.iter().filter(|v| v.state != State::New && v.alike.is_some()).count();
    if renamed > 0 {
        out.push_str(&format!(
            "renamed: {renamed} of those look like new ones; `git mv OLD.snap NEW.snap` keeps their history, nothing is moved by itself\n"
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(name: &str, state: State, diff: Option<&str>) -> Verdict {
        let place = matches!(state, State::New | State::Changed).then(|| "chat.yaml:3:5".to_owned());
        Verdict { name: name.to_owned(), place, state, diff: diff.map(str::to_owned), alike: None }
    }

    const DIFF: &str = "--- reviewed\n+++ this run\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n";

    #[test]
    fn a_change_is_shown_once_with_its_diff_and_then_by_name() {
        let elsewhere = DIFF.replace("@@ -1,2 +1,2 @@\n a\n", "@@ -7,2 +7,2 @@\n z\n");
        let verdicts = [
            verdict("x.same@chat", State::Same, None),
            verdict("x.one@chat", State::Changed, Some(DIFF)),
            verdict("x.two@chat", State::Changed, Some(&elsewhere)),
            verdict("x.three@chat", State::Changed, Some(&DIFF.replace("+c", "+d"))),
        ];
        let text = render(&verdicts, Mode::Check, "snapshots/p", false);
        assert!(text.starts_with("changed  x.one@chat  (chat.yaml:3:5)\n    --- reviewed\n"), "{text}");
        assert!(
            text.contains("changed  x.two@chat  (chat.yaml:3:5)\n    the same change as in x.one@chat\n"),
            "{text}"
        );
        assert!(text.contains("    +d\n") && !text.contains("x.same") && !text.contains('\x1b'), "{text}");
        assert!(text.contains("\n\n1 same, 0 new, 3 changed, 0 missing, 0 orphaned in snapshots/p\n"), "{text}");
        assert!(text.ends_with("without --check the same command lays them out for review\n"), "{text}");
    }

    #[test]
    fn colours_come_on_demand_and_servers_cannot_send_their_own() {
        let text = render(&[verdict("x", State::Changed, Some("+\x1b[8mhidden\n"))], Mode::Review, "s", true);
        assert!(text.contains("\x1b[32m+") && !text.contains("\x1b[8m"), "{text:?}");
    }

    #[test]
    fn each_state_says_what_to_do_next() {
        let said = |state, mode| render(&[verdict("x", state, None)], mode, "s", false);
        assert!(said(State::New, Mode::Review).contains("difyprobe review"));
        assert!(said(State::New, Mode::Update).contains("git diff"));
        assert!(said(State::Missing, Mode::Check).contains("git rm"));
        assert!(said(State::Orphan, Mode::Check).contains("git rm"));
        assert_eq!(said(State::Same, Mode::Check), "1 same, 0 new, 0 changed, 0 missing, 0 orphaned in s\n");
    }
}
