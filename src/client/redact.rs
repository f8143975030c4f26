//! Secrets out of recordings: every key becomes `[key:LABEL]`, its last 16 characters alone `[key-tail:LABEL]`.

use super::{Recorded, Secret};
use crate::model::Read;
use crate::sse::Frame;
use memchr::memmem::Finder;
use std::sync::{Arc, PoisonError, RwLock};

/// Characters at the end of a key that give it away on their own.
const TAIL: usize = 16;

/// Shortest beginning of a key that is hidden at the end of a body that was cut.
const MIN_CUT: usize = 8;

/// Finds and replaces secrets. Fast where there is nothing to replace.
pub(super) struct Redactor {
    rules: Vec<Rule>,
    shortest: usize,
}

struct Rule {
    label: String,
    key: Vec<u8>,
    tail: Finder<'static>,
}

/// One replacement, in offsets of the original.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edit {
    start: usize,
    end: usize,
    by: String,
}

impl Redactor {
    /// A redactor for these secrets; empty keys are none.
    pub(super) fn new(secrets: &[Secret]) -> Redactor {
        let rules: Vec<Rule> = secrets.iter().filter(|s| !s.key.is_empty()).map(Rule::new).collect();
        let shortest = rules.iter().map(|r| r.tail.needle().len()).min().unwrap_or(usize::MAX);
        Redactor { rules, shortest }
    }

    /// The text without secrets.
    pub(super) fn text(&self, text: String) -> String {
        let edits = self.edits(text.as_bytes());
        if edits.is_empty() {
            return text;
        }
        let bytes = apply(text.as_bytes(), &edits);
        String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }

    /// The bytes without secrets. With `cut`, also without a key's beginning at the very end.
    pub(super) fn bytes(&self, bytes: Vec<u8>, cut: bool) -> (Vec<u8>, Vec<Edit>) {
        let mut edits = self.edits(&bytes);
        if cut {
            let from = edits.last().map_or(0, |e| e.end);
            edits.extend(self.rules.iter().find_map(|rule| rule.begun_at_end(&bytes, from)));
        }
        if edits.is_empty() { (bytes, edits) } else { (apply(&bytes, &edits), edits) }
    }

    /// Removes secrets from a frame's texts; its offsets stay those of the original body.
    pub(super) fn frame(&self, frame: &mut Frame) {
        let fields = [&mut frame.event, &mut frame.data, &mut frame.id, &mut frame.retry];
        for text in fields.into_iter().flatten().chain(&mut frame.unknown_lines) {
            if !self.edits(text.as_bytes()).is_empty() {
                *text = self.text(std::mem::take(text));
            }
        }
    }

    fn edits(&self, text: &[u8]) -> Vec<Edit> {
        if text.len() < self.shortest {
            return Vec::new();
        }
        let found = self.rules.iter().flat_map(|rule| rule.tail.find_iter(text).map(|at| rule.edit(text, at)));
        let mut edits: Vec<Edit> = found.collect();
        // keys may share an end: where matches overlap, the longest gives the label and all of it goes
        edits.sort_by_key(|e| (e.start, std::cmp::Reverse(e.end)));
        edits.dedup_by(|next, kept| {
            let overlap = next.start < kept.end;
            if overlap {
                kept.end = kept.end.max(next.end);
            }
            overlap
        });
        edits
    }
}

/// The secrets that a client knows; a relay learns them from what passes.
pub(super) struct Known {
    state: RwLock<(Vec<Secret>, Arc<Redactor>)>,
}

impl Known {
    pub(super) fn new(secrets: &[Secret]) -> Known {
        Known { state: RwLock::new((secrets.to_vec(), Arc::new(Redactor::new(secrets)))) }
    }

    /// What replaces the secrets that are known now.
    pub(super) fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// Adds a secret, or gives it another label.
    pub(super) fn learn(&self, secret: Secret) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let (secrets, redactor) = &mut *state;
        secrets.retain(|known| known.key != secret.key);
        secrets.push(secret);
        *redactor = Arc::new(Redactor::new(secrets));
    }
}

/// What stands for a token that opens no app that is known.
pub const FOREIGN: &str = "[foreign key]";

/// Headers of a request that say who somebody is, besides `Authorization`.
const PRIVATE: [&str; 5] = ["cookie", "proxy-authorization", "x-api-key", "api-key", "x-auth-token"];

/// Takes out of a recording of somebody else's traffic what only its owner may see: cookies, credentials for others, and
/// every `Authorization` that is not `Bearer` with a key that was given a label.
pub fn hide_private(recorded: &mut Recorded) {
    for (name, value) in &mut recorded.request.headers {
        if name.eq_ignore_ascii_case("authorization") {
            let known = value.split_once(' ').is_some_and(|(_, token)| {
                token.trim().strip_prefix("[key:").is_some_and(|rest| rest.find(']') == Some(rest.len() - 1))
            });
            if !known && !value.contains(FOREIGN) {
                let scheme = value.split_once(' ').map_or("", |(scheme, _)| scheme);
                let blank = if scheme.is_empty() { "" } else { " " };
                *value = format!("{scheme}{blank}{FOREIGN}");
            }
        } else if PRIVATE.iter().any(|private| name.eq_ignore_ascii_case(private)) {
            "[hidden]".clone_into(value);
        }
    }
    for (name, value) in recorded.reply.iter_mut().flat_map(|reply| &mut reply.headers) {
        if name.eq_ignore_ascii_case("set-cookie") {
            "[hidden]".clone_into(value);
        }
    }
}

impl Rule {
    fn new(secret: &Secret) -> Rule {
        let tail_at = secret.key.char_indices().rev().nth(TAIL - 1).map_or(0, |(at, _)| at);
        let tail = secret.key.as_bytes().get(tail_at..).unwrap_or_default();
        Rule { label: secret.label.clone(), key: secret.key.clone().into_bytes(), tail: Finder::new(tail).into_owned() }
    }

    /// What to replace where the tail was found.
    fn edit(&self, text: &[u8], tail_at: usize) -> Edit {
        let end = tail_at + self.tail.needle().len();
        let whole = text.get(..end).is_some_and(|t| t.ends_with(&self.key));
        if whole {
            Edit { start: end - self.key.len(), end, by: format!("[key:{}]", self.label) }
        } else {
            Edit { start: tail_at, end, by: format!("[key-tail:{}]", self.label) }
        }
    }

    fn begun_at_end(&self, bytes: &[u8], from: usize) -> Option<Edit> {
        let bytes_after = bytes.get(from..)?;
        let longest = self.key.len().saturating_sub(1).min(bytes_after.len());
        let len =
            (MIN_CUT..=longest).rev().find(|&len| self.key.get(..len).is_some_and(|k| bytes_after.ends_with(k)))?;
        Some(Edit { start: bytes.len() - len, end: bytes.len(), by: format!("[key:{}]", self.label) })
    }
}

/// Kinds of tokens that are told apart by how they begin.
const TOKEN_PREFIXES: [&str; 2] = ["app-", "dataset-"];

/// An `Authorization` value whose token is none of the given secrets, but looks like one: `Bearer dataset-[foreign key]`. The
/// beginning stays, because it says what was tried.
pub(super) fn foreign_token(value: String) -> String {
    let (scheme, token) = value.split_once(' ').unwrap_or(("", &value));
    let known = TOKEN_PREFIXES.into_iter().find(|p| token.trim_start().starts_with(p));
    let Some(prefix) = known.filter(|_| !token.contains("[key")) else {
        return value;
    };
    let blank = if scheme.is_empty() { "" } else { " " };
    format!("{scheme}{blank}{prefix}[foreign key]")
}

fn apply(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for edit in edits {
        out.extend_from_slice(bytes.get(from..edit.start).unwrap_or_default());
        out.extend_from_slice(edit.by.as_bytes());
        from = edit.end;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    out
}

/// Moves the ends of reads from the received body to the redacted one. A read that ends within a secret ends where
/// its replacement begins: the replacement arrived with the read that completed the secret.
pub(super) fn shift_reads(reads: &mut [Read], edits: &[Edit]) {
    let mut shift = 0i64;
    let mut edits = edits.iter().peekable();
    for read in reads {
        while let Some(edit) = edits.next_if(|e| e.end as u64 <= read.upto) {
            shift += edit.by.len() as i64 - (edit.end - edit.start) as i64;
        }
        let within = edits.peek().filter(|e| (e.start as u64) < read.upto);
        let upto = within.map_or(read.upto, |e| e.start as u64);
        read.upto = upto.saturating_add_signed(shift);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "app-0123456789abcdefABCDEF";

    fn redactor() -> Redactor {
        let secret = |label: &str, key: &str| Secret { label: label.into(), key: key.into() };
        Redactor::new(&[secret("chat", KEY), secret("none", ""), secret("short", "k3y-z")])
    }

    fn text(of: &str) -> String {
        redactor().text(of.to_owned())
    }

    #[test]
    fn whole_keys_and_lone_tails_are_replaced() {
        assert_eq!(text(&format!("Bearer {KEY}")), "Bearer [key:chat]");
        assert_eq!(text(&format!("a{KEY}{KEY}b")), "a[key:chat][key:chat]b");
        assert_eq!(text(&format!("key ...{}", &KEY[KEY.len() - 16..])), "key ...[key-tail:chat]");
        assert_eq!(text("{\"token\":\"k3y-z\"}"), "{\"token\":\"[key:short]\"}");
    }

    #[test]
    fn other_text_is_left_alone() {
        for other in ["", "app-", "Bearer app-unknown-0000000000000", &KEY[..KEY.len() - 1]] {
            assert_eq!(text(other), other);
        }
    }

    #[test]
    fn a_token_that_nobody_gave_keeps_its_kind_only() {
        let of = |value: &str| foreign_token(value.to_owned());
        assert_eq!(of("Bearer dataset-0123456789"), "Bearer dataset-[foreign key]");
        assert_eq!(of("bearer  app-x"), "bearer app-[foreign key]");
        assert_eq!(of("app-x"), "app-[foreign key]");
        for other in ["Bearer [key:chat]", "Basic abc", "Bearer app-[key-tail:chat]", "Bearer", "", "Bearer sk-1"] {
            assert_eq!(of(other), other);
        }
    }

    #[test]
    fn a_secret_that_is_learnt_late_is_replaced_from_then_on_under_its_newest_label() {
        let known = Known::new(&[]);
        assert_eq!(known.redactor().text(KEY.to_owned()), KEY);
        for label in ["app-1", "chat"] {
            known.learn(Secret { label: label.into(), key: KEY.into() });
            assert_eq!(known.redactor().text(format!("<{KEY}>")), format!("<[key:{label}]>"));
        }
    }

    #[test]
    fn credentials_of_others_and_cookies_are_hidden() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let sent = ["Bearer [key:chat]", "Bearer sk-secret", "sk-secret", "Basic dTpw", "Bearer app-[foreign key]"];
        let mut recorded = Recorded {
            request: crate::model::Request {
                method: "GET".into(),
                target: "/v1/info".into(),
                headers: sent.iter().map(|v| header("authorization", v)).chain([header("Cookie", "a=b")]).collect(),
                body: None,
            },
            body_as_sent: true,
            reply: None,
            fault: None,
            timing: crate::model::Timing::default(),
        };
        hide_private(&mut recorded);
        let values: Vec<&str> = recorded.request.headers.iter().map(|(_, v)| v.as_str()).collect();
        let hidden =
            ["Bearer [foreign key]", "[foreign key]", "Basic [foreign key]", "Bearer app-[foreign key]", "[hidden]"];
        assert_eq!(values[0], "Bearer [key:chat]");
        assert_eq!(values[1..], hidden);
    }

    #[test]
    fn two_keys_with_the_same_end_are_told_apart() {
        let secret = |label: &str, key: &str| Secret { label: label.into(), key: key.into() };
        let both = Redactor::new(&[secret("b", "0123456789abcdefgh"), secret("a", "x-0123456789abcdefgh")]);
        assert_eq!(both.text("x-0123456789abcdefgh 0123456789abcdefgh".into()), "[key:a] [key:b]");
    }

    #[test]
    fn a_key_that_the_end_of_the_body_cuts_is_hidden() {
        let body = format!("x {}", &KEY[..12]).into_bytes();
        assert_eq!(redactor().bytes(body.clone(), true).0, b"x [key:chat]");
        assert_eq!(redactor().bytes(body.clone(), false).0, body);
        let short = b"x app-012".to_vec();
        assert_eq!(redactor().bytes(short.clone(), true).0, short, "too little to tell anything");
    }

    #[test]
    fn reads_keep_their_place_in_the_redacted_body() {
        let body = format!("ab{KEY}cd{KEY}").into_bytes();
        let at = |upto| Read { at_us: upto, upto };
        let all = [1, 2, 10, 28, 29, 30, 40, 56, 60].map(at);
        let (out, edits) = redactor().bytes(body, false);
        assert_eq!(out, b"ab[key:chat]cd[key:chat]");
        let mut reads = all;
        shift_reads(&mut reads, &edits);
        assert_eq!(reads.map(|r| r.upto), [1, 2, 2, 12, 13, 14, 14, 24, 28]);
        assert_eq!(reads.map(|r| r.at_us), all.map(|r| r.at_us));
    }

    #[test]
    fn frames_are_redacted_field_by_field() {
        let mut frame = Frame { data: Some(format!("<{KEY}>")), event: Some("x".into()), ..Frame::default() };
        frame.unknown_lines.push(KEY.into());
        redactor().frame(&mut frame);
        assert_eq!(frame.data.as_deref(), Some("<[key:chat]>"));
        assert_eq!((frame.event.as_deref(), frame.unknown_lines), (Some("x"), vec!["[key:chat]".to_owned()]));
    }
}
