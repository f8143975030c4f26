//! The built-in review: one waiting snapshot after the other, a key for each. Input and output are streams, so that it
//! runs without a terminal too.

use super::show::{diff_line, essence};
use crate::report::escape;
use std::io::{BufRead, Write};

/// One snapshot to decide on, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What happened to it, e.g. `changed`.
    pub word: &'static str,
    /// `TARGET/NAME`.
    pub name: String,
    /// The step: `file:line:column` and the line itself.
    pub place: Option<(String, String)>,
    /// Request line.
    pub request: String,
    /// Unified diff.
    pub diff: String,
    /// The whole text that waits.
    pub text: String,
}

/// What a person decided about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It becomes the reviewed snapshot.
    Accept,
    /// It is thrown away.
    Reject,
    /// It goes on waiting.
    Skip,
}

/// How many were decided how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Accepted.
    pub accepted: usize,
    /// Rejected.
    pub rejected: usize,
    /// Left waiting, also by leaving the review.
    pub skipped: usize,
}

/// Where keys come from and text goes.
pub struct Screen<'s> {
    /// Keys, one byte each.
    pub input: &'s mut dyn BufRead,
    /// Text.
    pub output: &'s mut dyn Write,
    /// Called with true before a key is waited for, with false after it: keys then come without Enter.
    pub waiting: &'s mut dyn FnMut(bool),
    /// Colours.
    pub color: bool,
}

/// What a key means.
enum Key {
    One(Decision),
    /// All that are left.
    Rest(Decision),
    /// This one, and all that are left with no other change than this one's.
    Alike(Decision),
    Whole,
    Quit,
}

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";

/// Asks about each item and lets `act` do at once what was decided. Ends when all are decided, or with `q`, Ctrl-C or the
/// end of the input: then the rest goes on waiting.
///
/// # Errors
/// The first error of `act`; nothing is asked after it.
pub fn review<E>(
    items: &[Item],
    screen: &mut Screen<'_>,
    act: &mut dyn FnMut(usize, Decision) -> Result<(), E>,
) -> Result<Tally, E> {
    let mut decided: Vec<Option<Decision>> = vec![None; items.len()];
    let changes: Vec<(&str, String)> = items.iter().map(|item| (item.word, essence(&item.diff))).collect();
    for (at, item) in items.iter().enumerate() {
        if decided.get(at).copied().flatten().is_some() {
            continue;
        }
        let left = (at..items.len()).filter(|n| decided.get(*n) == Some(&None));
        let left: Vec<usize> = left.collect();
        let same = |n: &usize| changes.get(*n) == changes.get(at);
        let alike: Vec<usize> = left.iter().copied().filter(same).collect();
        screen.show(item, at + 1, items.len());
        let (meant, decision) = loop {
            screen.ask(alike.len() - 1, left.len() - 1);
            match screen.key() {
                Key::One(decision) => break (vec![at], decision),
                Key::Rest(decision) => break (left, decision),
                Key::Alike(decision) => break (alike, decision),
                Key::Whole => screen.whole(item),
                Key::Quit => break (left, Decision::Skip),
            }
        };
        screen.say(&format!("{}\n\n", said(decision, meant.len())));
        for n in meant {
            if decision != Decision::Skip {
                act(n, decision)?;
            }
            if let Some(entry) = decided.get_mut(n) {
                *entry = Some(decision);
            }
        }
    }
    let count = |wanted| decided.iter().filter(|d| **d == Some(wanted)).count();
    Ok(Tally { accepted: count(Decision::Accept), rejected: count(Decision::Reject), skipped: count(Decision::Skip) })
}

fn said(decision: Decision, count: usize) -> String {
    let word = match decision {
        Decision::Accept => "accepted",
        Decision::Reject => "rejected",
        Decision::Skip => "skipped",
    };
    if count == 1 { word.to_owned() } else { format!("{word} {count}") }
}

impl Screen<'_> {
    /// A terminal that went away is no reason to fail: the next key does not come then, which ends the review.
    fn say(&mut self, text: &str) {
        let _ = self.output.write_all(text.as_bytes());
        let _ = self.output.flush();
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.color { format!("{code}{text}\x1b[0m") } else { text.to_owned() }
    }

    fn show(&mut self, item: &Item, number: usize, of: usize) {
        let head = format!("[{number}/{of}] {}  {}", item.word, escape::terminal(&item.name));
        let mut out = format!("{}\n", self.styled(BOLD, &head));
        if let Some((at, line)) = &item.place {
            out.push_str(&format!("  scenario  {}\n            {}\n", escape::terminal(at), escape::terminal(line)));
        }
        out.push_str(&format!("  request   {}\n\n", escape::terminal(&item.request)));
        item.diff.lines().for_each(|line| out.push_str(&diff_line(line, self.color)));
        out.push('\n');
        self.say(&out);
    }

    fn whole(&mut self, item: &Item) {
        let lines = item.text.lines().map(|line| format!("    {}\n", escape::terminal(line)));
        let text = lines.collect::<String>();
        self.say(&format!("the whole text that waits:\n\n{text}\n"));
    }

    fn ask(&mut self, alike: usize, others: usize) {
        let mut out = String::from("  a accept   r reject   s skip   w whole text   q quit\n");
        if others > 0 {
            out.push_str("  A accept, R reject, S skip this and all that are left");
            out.push_str(&format!(" ({others} more)\n"));
        }
        if alike > 0 {
            out.push_str(&format!("  e accept, x reject this and all with just this change ({alike} more)\n"));
        }
        let out = self.styled(DIM, out.trim_end());
        self.say(&format!("{out}\n> "));
    }

    /// The next key that means something. Escape sequences (arrows) end in letters that would.
    fn key(&mut self) -> Key {
        loop {
            (self.waiting)(true);
            let chunk = self.input.fill_buf().map(<[u8]>::to_vec);
            (self.waiting)(false);
            let Some((first, length)) = chunk.ok().and_then(|c| Some((*c.first()?, c.len()))) else {
                return Key::Quit;
            };
            if first == 0x1b {
                self.input.consume(length);
                continue;
            }
            self.input.consume(1);
            let key = match first {
                b'a' => Key::One(Decision::Accept),
                b'r' => Key::One(Decision::Reject),
                b's' => Key::One(Decision::Skip),
                b'A' => Key::Rest(Decision::Accept),
                b'R' => Key::Rest(Decision::Reject),
                b'S' => Key::Rest(Decision::Skip),
                b'e' => Key::Alike(Decision::Accept),
                b'x' => Key::Alike(Decision::Reject),
                b'w' => Key::Whole,
                // Ctrl-C and Ctrl-D come as bytes while keys come without Enter.
                b'q' | 0x03 | 0x04 => Key::Quit,
                _ => continue,
            };
            return key;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, diff: &str) -> Item {
        Item {
            word: "changed",
            name: name.to_owned(),
            place: Some(("chat.yaml:7:5".to_owned(), "- id: hello".to_owned())),
            request: "POST /chat-messages".to_owned(),
            diff: format!("--- reviewed\n+++ this run\n@@ -1,2 +1,2 @@\n{diff}"),
            text: "POST /chat-messages\n\n-> 201\nwhole".to_owned(),
        }
    }

    /// Runs it on keys; gives what was done, the tally and the text.
    fn run(items: &[Item], keys: &[u8], color: bool) -> (Vec<(usize, Decision)>, Tally, String) {
        let (mut done, mut out, mut input) = (Vec::new(), Vec::new(), keys);
        let mut raw = 0_i32;
        let mut waiting = |on: bool| raw += if on { 1 } else { -1 };
        let mut screen = Screen { input: &mut input, output: &mut out, waiting: &mut waiting, color };
        let tally = review(items, &mut screen, &mut |at, decision| {
            done.push((at, decision));
            Ok::<(), ()>(())
        });
        assert_eq!(raw, 0, "the terminal was left in raw mode");
        (done, tally.unwrap(), String::from_utf8(out).unwrap())
    }

    fn three() -> [Item; 3] {
        [item("p/a", " x\n-1\n+2\n"), item("p/b", " y\n-1\n+2\n"), item("p/c", " z\n-1\n+3\n")]
    }

    #[test]
    fn each_key_decides_on_one_and_the_reader_sees_where_it_comes_from() {
        let (done, tally, text) = run(&three(), b"ars", false);
        assert_eq!(done, [(0, Decision::Accept), (1, Decision::Reject)]);
        assert_eq!(tally, Tally { accepted: 1, rejected: 1, skipped: 1 });
        for part in
            ["[1/3] changed  p/a\n", "chat.yaml:7:5\n", "- id: hello\n", "POST /chat-messages\n", "    -1\n    +2\n"]
        {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
        assert!(!text.contains('\x1b'), "{text:?}");
    }

    #[test]
    fn capitals_decide_on_all_that_are_left() {
        for (keys, wanted) in [(b"sA", Decision::Accept), (b"sR", Decision::Reject)] {
            let (done, tally, _) = run(&three(), keys, false);
            assert_eq!(done, [(1, wanted), (2, wanted)]);
            assert_eq!(tally.skipped, 1);
        }
        assert_eq!(run(&three(), b"S", false).1.skipped, 3);
    }

    #[test]
    fn one_change_in_many_snapshots_is_decided_on_once() {
        let (done, tally, text) = run(&three(), b"er", false);
        assert_eq!(done, [(0, Decision::Accept), (1, Decision::Accept), (2, Decision::Reject)]);
        assert_eq!((tally.accepted, tally.rejected), (2, 1));
        assert!(text.contains("just this change (1 more)"), "{text}");
        assert!(!text.contains("[2/3]") && text.contains("[3/3]"), "{text}");
    }

    #[test]
    fn leaving_and_the_end_of_the_input_decide_nothing() {
        for keys in [b"q".as_slice(), b"", b"\x03", b"\x04"] {
            let (done, tally, _) = run(&three(), keys, false);
            assert_eq!((done.len(), tally.skipped), (0, 3), "{keys:?}");
        }
    }

    #[test]
    fn arrows_and_unknown_keys_do_nothing() {
        // Up is ESC [ A.
        let (done, tally, _) = run(&three(), b"\x1b[A", false);
        assert_eq!((done.len(), tally.skipped), (0, 3));
        assert_eq!(run(&three(), b"zz\na\nq", false).0, [(0, Decision::Accept)]);
    }

    #[test]
    fn the_whole_text_is_shown_on_demand_and_asks_again() {
        let (done, _, text) = run(&three()[..1], b"wa", false);
        assert_eq!(done, [(0, Decision::Accept)]);
        assert!(text.contains("    -> 201\n    whole\n") && text.matches("> ").count() >= 2, "{text}");
    }

    #[test]
    fn diffs_are_coloured_and_servers_cannot_send_their_own_colours() {
        let (_, _, text) = run(&[item("p/a", "+\x1b[8mhidden\n-\u{202e}b\n")], b"q", true);
        assert!(text.contains("\x1b[32m+") && text.contains("\x1b[31m-") && !text.contains("\x1b[8m"), "{text:?}");
        assert!(!text.contains('\u{202e}'), "{text:?}");
    }

    #[test]
    fn nothing_is_asked_after_an_error() {
        let (mut out, mut input) = (Vec::new(), b"aaa".as_slice());
        let mut screen = Screen { input: &mut input, output: &mut out, waiting: &mut |_| {}, color: false };
        let outcome = review(&three(), &mut screen, &mut |_, _| Err("disk full"));
        assert_eq!(outcome, Err("disk full"));
        assert!(!String::from_utf8(out).unwrap().contains("[2/3]"));
    }
}
