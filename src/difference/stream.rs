//! Two event streams: which events, in which order, and what is in them.

use super::exchange::Context;
use super::kind::Kind;
use super::read::{Event, Stream};

/// Events of a stream that are laid side by side; further ones are compared in order.
const ALIGNED: usize = 800;

/// Compares the events, then the texts that they add up to.
pub(super) fn compare(context: &mut Context<'_>, a: &Stream<'_>, b: &Stream<'_>) {
    let operation = context.operation.to_owned();
    let pairs = align(&a.events, &b.events);
    for (at_a, at_b) in &pairs {
        if let (Some(a), Some(b)) = (a.events.get(*at_a), b.events.get(*at_b)) {
            event(context, a, b);
        }
    }
    let rest_a = rest(&a.events, pairs.iter().map(|(at, _)| *at));
    let rest_b = rest(&b.events, pairs.iter().map(|(_, at)| *at));
    let moved: Vec<&str> = rest_a.iter().filter(|name| rest_b.contains(name)).copied().collect();
    if !moved.is_empty() {
        let (order_a, order_b) = (order(&a.events), order(&b.events));
        context.note(Kind::EventOrder, &operation, &moved.join(", "), String::new(), (&order_a, &order_b));
    }
    let one_sided = |names: &[&str], there: &[Event<'_>]| -> Vec<(String, bool)> {
        let alone = names.iter().filter(|name| !moved.contains(name));
        alone.map(|name| ((*name).to_owned(), there.iter().any(|e| e.name == *name))).collect()
    };
    let (alone_a, alone_b) = (one_sided(&rest_a, &b.events), one_sided(&rest_b, &a.events));
    for (alone, kind) in [(alone_a, Kind::EventRemoved), (alone_b, Kind::EventAdded)] {
        for (name, elsewhere) in alone {
            let kind = if elsewhere { Kind::EventCount } else { kind };
            context.note(
                kind,
                &operation,
                &name,
                String::new(),
                (&counted(&a.events, &name), &counted(&b.events, &name)),
            );
        }
    }
    for (title, text_a) in &a.texts {
        if let Some((_, text_b)) = b.texts.iter().find(|(other, _)| other == title) {
            context.texts(&operation, title, &plain(text_a), &plain(text_b));
        }
    }
}

fn event(context: &mut Context<'_>, a: &Event<'_>, b: &Event<'_>) {
    let place = format!("event {}", a.name);
    if a.framing != b.framing {
        context.note(Kind::Framing, &place, "", String::new(), (framing(a), framing(b)));
    }
    match (&a.tree, &b.tree) {
        (Some(in_a), Some(in_b)) => context.trees(&place, "$", in_a, in_b),
        _ => context.texts(&place, "", a.data, b.data),
    }
    // Into how many pieces a text was cut means nothing.
    if !in_pieces(a) && !in_pieces(b) && a.count != b.count {
        let times = |e: &Event<'_>| e.count.map_or("some".to_owned(), |n| n.to_string());
        context.note(Kind::EventCount, context.operation, a.name, String::new(), (&times(a), &times(b)));
    }
}

fn framing<'e>(event: &Event<'e>) -> &'e str {
    if event.framing.is_empty() { "as usual" } else { event.framing }
}

fn in_pieces(event: &Event<'_>) -> bool {
    event.data.contains(": [delta]") || event.data.contains(": [base64]")
}

/// The longest common sequence of names, as pairs of indices.
fn align(a: &[Event<'_>], b: &[Event<'_>]) -> Vec<(usize, usize)> {
    let (a, b) = (a.get(..ALIGNED).unwrap_or(a), b.get(..ALIGNED).unwrap_or(b));
    let width = b.len() + 1;
    // Length of the longest common sequence of the events from here on.
    let mut longest = vec![0_usize; (a.len() + 1) * width];
    for (i, in_a) in a.iter().enumerate().rev() {
        for (j, in_b) in b.iter().enumerate().rev() {
            longest[i * width + j] = match in_a.name == in_b.name {
                true => longest[(i + 1) * width + j + 1] + 1,
                false => longest[(i + 1) * width + j].max(longest[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while let (Some(in_a), Some(in_b)) = (a.get(i), b.get(j)) {
        if in_a.name == in_b.name {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// Names of the events that have no partner, each once. A further run of pieces beside one that has a partner is the
/// same text, cut otherwise.
fn rest<'e>(events: &[Event<'e>], paired: impl Iterator<Item = usize>) -> Vec<&'e str> {
    let paired: Vec<usize> = paired.collect();
    let continues = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| events.get(before));
        events.get(at).zip(before).is_some_and(|(event, before)| in_pieces(event) && event.name == before.name)
    };
    let mut names: Vec<&str> = Vec::new();
    for (at, event) in events.iter().take(ALIGNED).enumerate() {
        if !paired.contains(&at) && !continues(at) && !names.contains(&event.name) {
            names.push(event.name);
        }
    }
    names
}

/// `workflow_started, node_started, message, message_end`
fn order(events: &[Event<'_>]) -> String {
    let mut names: Vec<&str> = events.iter().map(|e| e.name).collect();
    names.dedup();
    names.join(", ")
}

fn counted(events: &[Event<'_>], name: &str) -> String {
    let count: u64 = events.iter().filter(|e| e.name == name).map(|e| e.count.unwrap_or(1)).sum();
    if count == 0 { format!("no {name}") } else { format!("{name} x{count}") }
}

/// The text behind its bars; a text that is shown by its shape as it is.
fn plain(text: &str) -> String {
    let bar = |line: &str| line.trim_start().strip_prefix('|').and_then(|l| l.strip_suffix('|')).map(str::to_owned);
    let lines: Vec<String> = text.lines().filter_map(bar).collect();
    if lines.is_empty() { text.trim().to_owned() } else { lines.join("\n") }
}
