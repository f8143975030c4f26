//! Names for what is different on every run: ids and end users, numbered by first appearance.

use super::shortened;
use regex::{Captures, Regex};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Shorter end-user names are replaced only in members that hold a user: `u1` or `tool` stand in many other places.
const SHORTEST_NAME_IN_TEXT: usize = 8;

const NIL: &str = "00000000000000000000000000000000";

static UUID: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32,}"));
static LOOPBACK: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?"));
static SIGNATURE: LazyLock<Regex> = LazyLock::new(|| pattern(r"([?&])(timestamp|nonce|sign)=[^&\s)\x22]+"));
/// In documents that are kept as text, as run details keep their inputs.
static TIMESTAMP: LazyLock<Regex> = LazyLock::new(|| pattern(r#"("sys\.timestamp": ?)[0-9]{10}\b"#));
/// Keys of Dify and of model providers, and signed tokens of gateways.
static KEY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:app|dataset)-[A-Za-z0-9]{16,}|\bsk-[A-Za-z0-9_-]{16,}|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant")
}

/// Everything that got a name so far.
#[derive(Default)]
pub(super) struct Ids {
    /// Lower-case hex without dashes (or an id that is no UUID, as it is) -> its name.
    names: HashMap<String, String>,
    counts: HashMap<&'static str, u32>,
    /// End users in order of appearance.
    users: Vec<String>,
    /// `host:port` of the target, where a request told it.
    host: Option<String>,
    /// What is named now comes from requests that run side by side.
    side_by_side: bool,
    /// Ids that came so, with their number in the order of naming.
    unordered: HashMap<String, usize>,
}

impl Ids {
    /// Names the end user, unless it has a name.
    pub(super) fn note_user(&mut self, user: &str) {
        if !user.trim().is_empty() && !self.users.iter().any(|u| u == user) {
            self.users.push(user.to_owned());
        }
    }

    /// Remembers the target's authority: its URLs are shown as `[server]`.
    pub(super) fn note_host(&mut self, host: &str) {
        if !host.is_empty() {
            self.host = Some(host.to_owned());
        }
    }

    /// Names every UUID in the text that has no name yet; `kind` is the stem, e.g. `conv`.
    pub(super) fn note(&mut self, text: &str, kind: &'static str) {
        let text = self.replace_users(text);
        // A signature holds random hex that looks like an id.
        let text = SIGNATURE.replace_all(&text, "");
        for found in UUID.find_iter(&text) {
            if let Some(key) = key_of(found.as_str()) {
                self.name(key, kind);
            }
        }
    }

    /// Names an id that is not a UUID.
    pub(super) fn note_opaque(&mut self, id: &str, kind: &'static str) {
        self.name(id.to_owned(), kind);
    }

    /// The name of an id that is not a UUID.
    pub(super) fn opaque(&self, id: &str) -> Option<&str> {
        self.names.get(id).map(String::as_str)
    }

    fn name(&mut self, key: String, kind: &'static str) {
        if key == NIL || self.names.contains_key(&key) {
            return;
        }
        let count = self.counts.entry(kind).or_insert(0);
        *count += 1;
        if self.side_by_side {
            self.unordered.insert(key.clone(), self.unordered.len());
        }
        self.names.insert(key, format!("{kind}-{count}"));
    }

    /// Whether what is named from here on comes from requests that run side by side.
    pub(super) fn set_side_by_side(&mut self, side_by_side: bool) {
        self.side_by_side = side_by_side;
    }

    /// The number of an id that came from one of several requests side by side; `None` for all others, whose place
    /// in a list means something.
    pub(super) fn unordered(&self, id: &str) -> Option<usize> {
        self.unordered.get(&key_of(id).unwrap_or_else(|| id.to_owned())).copied()
    }

    /// The name of an end user.
    pub(super) fn user(&self, name: &str) -> Option<String> {
        self.users.iter().position(|u| u == name).map(|at| format!("user-{}", at + 1))
    }

    /// The text with everything known replaced by its name.
    pub(super) fn replace(&self, text: &str) -> String {
        let text = self.replace_users(text);
        let text = if text.contains("...") { shortened::replace(&text, &self.whole()) } else { text };
        let text = SIGNATURE.replace_all(&text, "$1$2=[..]");
        let text = UUID.replace_all(&text, |found: &Captures<'_>| self.shown(&found[0]));
        let text = LOOPBACK.replace_all(&text, "[server]");
        let text = TIMESTAMP.replace_all(&text, "$1[unix-seconds]");
        match &self.host {
            Some(host) => {
                text.replace(&format!("http://{host}"), "[server]").replace(&format!("https://{host}"), "[server]")
            }
            None => text.into_owned(),
        }
    }

    /// Every user and id as servers write them, with their names: users first, then ids in the order of their names, so
    /// that a piece that fits several is always taken for the same one.
    fn whole(&self) -> Vec<(String, String)> {
        let users = self.users.iter().enumerate().map(|(at, user)| (user.clone(), format!("user-{}", at + 1)));
        let mut ids: Vec<(String, String)> = self.names.iter().map(|(key, name)| (dashed(key), name.clone())).collect();
        ids.sort_by(|a, b| a.1.cmp(&b.1));
        users.chain(ids).collect()
    }

    /// The name of one id as written. Another spelling of the same id keeps the name and says how it was spelt.
    fn shown(&self, written: &str) -> String {
        let Some(key) = key_of(written) else {
            return written.to_owned();
        };
        let mut shown = match self.names.get(&key) {
            Some(name) => name.clone(),
            None if key == NIL => "nil-uuid".to_owned(),
            None => "unseen-id".to_owned(),
        };
        if written.chars().any(|c| c.is_ascii_uppercase()) {
            shown.push_str("~upper");
        }
        if !written.contains('-') {
            shown.push_str("~undashed");
        }
        shown
    }

    fn replace_users(&self, text: &str) -> String {
        let long = |u: &&(usize, &String)| u.1.chars().count() >= SHORTEST_NAME_IN_TEXT && text.contains(u.1.as_str());
        let numbered: Vec<(usize, &String)> = self.users.iter().enumerate().collect();
        let mut inside: Vec<&(usize, &String)> = numbered.iter().filter(long).collect();
        // A name may be the beginning of another one.
        inside.sort_by_key(|u| std::cmp::Reverse(u.1.len()));
        let mut text = text.to_owned();
        for (at, user) in inside {
            text = replace_word(&text, user, &format!("user-{}", at + 1));
        }
        text
    }
}

/// Whether the text is one UUID, dashed or not, and nothing else.
pub(super) fn is_uuid(text: &str) -> bool {
    UUID.find(text).is_some_and(|m| m.len() == text.len() && key_of(text).is_some())
}

/// See [`super::redact_keys`].
pub(super) fn redact_keys(text: &str) -> String {
    KEY.replace_all(text, "[redacted key]").into_owned()
}

/// Lower-case hex of an id; `None` for longer runs of hex digits, which are digests.
fn key_of(written: &str) -> Option<String> {
    let key = written.replace('-', "").to_ascii_lowercase();
    (key.len() == NIL.len()).then_some(key)
}

/// An id with dashes, as servers write it; other texts as they are.
fn dashed(key: &str) -> String {
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)].map(|(from, to)| key.get(from..to));
    match parts {
        [Some(a), Some(b), Some(c), Some(d), Some(e)] if key.len() == NIL.len() => format!("{a}-{b}-{c}-{d}-{e}"),
        _ => key.to_owned(),
    }
}

fn replace_word(text: &str, word: &str, by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (start, _) in text.match_indices(word) {
        let end = start + word.len();
        let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let before = text.get(..start).and_then(|t| t.chars().next_back());
        let after = text.get(end..).and_then(|t| t.chars().next());
        if joins(before) || joins(after) {
            continue;
        }
        out.push_str(text.get(copied..start).unwrap_or_default());
        out.push_str(by);
        copied = end;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "2c855157-77d2-4eac-8fed-0ebd7c1811f6";

    #[test]
    fn every_spelling_of_an_id_has_one_name_and_shows_its_spelling() {
        let mut ids = Ids::default();
        ids.note(A, "conv");
        let bare = A.replace('-', "");
        assert_eq!(ids.replace(A), "conv-1");
        assert_eq!(ids.replace(&A.to_uppercase()), "conv-1~upper");
        assert_eq!(ids.replace(&format!("/x/{bare}/y")), "/x/conv-1~undashed/y");
        assert_eq!(ids.replace(&format!("task_{A}.")), "task_conv-1.");
    }

    #[test]
    fn digests_and_the_nil_id_get_no_number() {
        let mut ids = Ids::default();
        let digest = "ab".repeat(32);
        ids.note(&digest, "id");
        ids.note("00000000-0000-0000-0000-000000000000", "msg");
        ids.note(A, "msg");
        assert_eq!(ids.replace(&digest), digest);
        assert_eq!(ids.replace("00000000-0000-0000-0000-000000000000"), "nil-uuid");
        assert_eq!(ids.replace(A), "msg-1");
    }

    #[test]
    fn users_are_replaced_as_words_but_not_inside_words_and_short_names_only_as_users() {
        let mut ids = Ids::default();
        for user in ["u1", "probe-k3f9-1", "probe-k3f9-10"] {
            ids.note_user(user);
        }
        assert_eq!(ids.user("u1").as_deref(), Some("user-1"));
        assert_eq!(ids.replace("u1"), "u1");
        assert_eq!(ids.replace("menu1 u1"), "menu1 u1");
        assert_eq!(ids.replace("hi probe-k3f9-10, probe-k3f9-1"), "hi user-3, user-2");
        assert_eq!(ids.replace("xprobe-k3f9-1"), "xprobe-k3f9-1");
    }

    #[test]
    fn addresses_of_the_target_and_signatures_of_files_are_left_out() {
        let mut ids = Ids::default();
        ids.note_host("dify.example:8443");
        let url = format!("https://dify.example:8443/files/{A}/p?timestamp=1&nonce={}&sign=x%3D&as=1", "ab".repeat(16));
        ids.note(&url, "file");
        ids.note("6af1419c-fef8-42ca-bc02-20c28c702e42", "file");
        assert_eq!(ids.replace("6af1419c-fef8-42ca-bc02-20c28c702e42"), "file-2", "the nonce was taken for an id");
        assert_eq!(ids.replace(&url), "[server]/files/file-1/p?timestamp=[..]&nonce=[..]&sign=[..]&as=1");
        assert_eq!(ids.replace("http://127.0.0.1:40001/v1"), "[server]/v1");
    }

    #[test]
    fn keys_do_not_get_through() {
        assert_eq!(redact_keys("Bearer app-0123456789abcdefXYZ!"), "Bearer [redacted key]!");
        assert_eq!(redact_keys("app-short"), "app-short");
        assert_eq!(redact_keys("key sk-proj-0123456789_abcdef, ok"), "key [redacted key], ok");
        assert_eq!(redact_keys("t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln;"), "t=[redacted key];");
    }
}
