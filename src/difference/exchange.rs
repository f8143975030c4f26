//! One exchange of A beside the same one of B.

use super::kind::Kind;
use super::names::{Alike, Names, without_names};
use super::read::{Body, Read, Reply, Tree};
use super::{Told, stream};
use std::cmp::Ordering;

/// One difference, not yet grouped.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub kind: Kind,
    /// Operation, event, or `error body`.
    pub place: String,
    /// Where in it: a JSON path, the name of a header or an event.
    pub path: String,
    /// What keeps groups of one place apart, e.g. `200 -> 204`.
    pub detail: String,
    pub a: String,
    pub b: String,
}

/// What one exchange is compared in.
pub(super) struct Context<'c> {
    pub names: &'c mut Names,
    /// Method and path pattern.
    pub operation: &'c str,
    /// Texts that a continued turn sends as inputs.
    pub inputs: &'c [String],
    /// Both sides refused.
    pub refused: bool,
    pub seen: Vec<Seen>,
}

impl Context<'_> {
    /// Notes a difference.
    pub(super) fn note(&mut self, kind: Kind, place: &str, path: &str, detail: String, sides: (&str, &str)) {
        let (place, path) = (place.to_owned(), path.to_owned());
        self.seen.push(Seen { kind, place, path, detail, a: sides.0.to_owned(), b: sides.1.to_owned() });
    }

    /// Two texts that should say the same.
    pub(super) fn texts(&mut self, place: &str, path: &str, a: &str, b: &str) {
        match self.names.alike(a, b) {
            Alike::Same => {}
            Alike::OtherId => self.note(Kind::Id, place, path, String::new(), (a, b)),
            Alike::Different => {
                let (kind, detail) = self.meaning(path, a, b);
                self.note(kind, place, path, detail, (a, b));
            }
        }
    }

    /// What it means that two texts differ.
    fn meaning(&self, path: &str, a: &str, b: &str) -> (Kind, String) {
        if self.refused && path == "$.code" {
            return (Kind::ErrorCode, change(a, b));
        }
        if below_inputs(path) {
            return (Kind::Inputs, "on record".to_owned());
        }
        // An app that speaks of its inputs shows which ones a continued turn ran with.
        let applied = |text: &str| self.inputs.iter().filter(|input| text.contains(input.as_str())).count();
        match (matches!(path, "$.answer" | "answer"), applied(a).cmp(&applied(b))) {
            (true, Ordering::Less) => (Kind::Inputs, "new inputs ignored on A, applied on B".to_owned()),
            (true, Ordering::Greater) => (Kind::Inputs, "new inputs applied on A, ignored on B".to_owned()),
            _ => (Kind::Text, String::new()),
        }
    }
}

/// Inside the inputs of a message on record or of a run that starts.
pub(super) fn below_inputs(path: &str) -> bool {
    ["$.data[*].inputs.", "$.data.inputs.", "$.inputs."].iter().any(|beginning| path.starts_with(beginning))
}

/// `a -> b`
pub(super) fn change(a: &str, b: &str) -> String {
    format!("{a} -> {b}")
}

/// Compares the exchanges of one scenario in their order.
#[derive(Default)]
pub(super) struct Comparer {
    names: Names,
}

impl Comparer {
    /// What differs between two exchanges.
    pub(super) fn exchange(&mut self, a: &Told, b: &Told) -> Vec<Seen> {
        let (read_a, read_b) = (Read::of(&a.text), Read::of(&b.text));
        let inputs = continued_inputs(&read_a);
        let operation = without_names(&a.operation);
        let refused = |read: &Read<'_>| read.reply.as_ref().is_some_and(|reply| reply.status >= 400);
        let mut context = Context {
            names: &mut self.names,
            operation: &operation,
            inputs: &inputs,
            refused: refused(&read_a) && refused(&read_b),
            seen: Vec::new(),
        };
        request(&mut context, read_a.sent, read_b.sent);
        match (&read_a.reply, &read_b.reply) {
            (Some(a), Some(b)) => replies(&mut context, a, b),
            (None, None) => {}
            (Some(reply), None) => transport(&mut context, &reply.status.to_string(), "no response"),
            (None, Some(reply)) => transport(&mut context, "no response", &reply.status.to_string()),
        }
        if read_a.fault != read_b.fault {
            transport(&mut context, read_a.fault.unwrap_or("whole"), read_b.fault.unwrap_or("whole"));
        }
        context.seen
    }
}

fn transport(context: &mut Context<'_>, a: &str, b: &str) {
    let operation = context.operation.to_owned();
    context.note(Kind::Transport, &operation, "", change(a, b), (a, b));
}

/// Texts among the inputs of a turn that continues a conversation.
fn continued_inputs(read: &Read<'_>) -> Vec<String> {
    let Some(body) = read.document() else { return Vec::new() };
    let continues = matches!(body.member("conversation_id"), Some(Tree::Text(id)) if !id.is_empty());
    match body.member("inputs").filter(|_| continues) {
        Some(Tree::Members(inputs)) => inputs.iter().filter_map(|(_, value)| long_text(value)).collect(),
        _ => Vec::new(),
    }
}

/// A text that does not stand in an answer by chance.
fn long_text(value: &Tree) -> Option<String> {
    match value {
        Tree::Text(text) if text.chars().count() >= 4 => Some(text.clone()),
        _ => None,
    }
}

fn request(context: &mut Context<'_>, a: &str, b: &str) {
    if context.names.alike(a, b) == Alike::Same {
        return;
    }
    let different = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    let (line_a, line_b) = different.unwrap_or((a, b));
    let operation = context.operation.to_owned();
    context.note(Kind::Request, &operation, "", String::new(), (line_a.trim(), line_b.trim()));
}

fn replies(context: &mut Context<'_>, a: &Reply<'_>, b: &Reply<'_>) {
    let operation = context.operation.to_owned();
    if a.status != b.status {
        let (a, b) = (a.status.to_string(), b.status.to_string());
        context.note(Kind::Status, &operation, "", change(&a, &b), (&a, &b));
    }
    if (a.status >= 400) != (b.status >= 400) {
        // All else follows from that.
        return;
    }
    let place = if context.refused { "error body".to_owned() } else { operation.clone() };
    let follows = context.refused && a.status != b.status;
    if !follows {
        headers(context, &operation, a, b);
    }
    match (&a.body, &b.body) {
        (Body::Empty, Body::Empty) => {}
        (Body::Json(a), Body::Json(b)) => context.trees(&place, "$", a, b),
        (Body::Stream(a), Body::Stream(b)) => stream::compare(context, a, b),
        (Body::Other(a), Body::Other(b)) => context.texts(&place, "", a, b),
        (body_a, body_b) => {
            let empty = matches!(body_a, Body::Empty) || matches!(body_b, Body::Empty);
            // Another content type has been said; so has another refusal.
            if !follows && (empty || a.header("content-type") == b.header("content-type")) {
                let (a, b) = (body_a.kind(), body_b.kind());
                context.note(Kind::Body, &operation, "", change(a, b), (a, b));
            }
        }
    }
}

fn headers(context: &mut Context<'_>, operation: &str, a: &Reply<'_>, b: &Reply<'_>) {
    let mut names: Vec<&str> = a.headers.iter().chain(&b.headers).map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    // An empty body has no type worth a word.
    let empty = matches!(a.body, Body::Empty) || matches!(b.body, Body::Empty);
    for name in names.into_iter().filter(|name| !(empty && *name == "content-type")) {
        let (value_a, value_b) = (a.header(name).unwrap_or("none"), b.header(name).unwrap_or("none"));
        if context.names.alike(value_a, value_b) != Alike::Same {
            let detail = change(&without_names(value_a), &without_names(value_b));
            context.note(Kind::Header, operation, name, detail, (value_a, value_b));
        }
    }
}
