//! Event streams: the sequence of events without pings, equal neighbours folded, and the text that the pieces make.

use super::ids::Ids;
use super::mask::Scope;
use super::{Text, value};
use crate::sse::Frame;
use serde_json::Value;

/// One event, as it will be shown.
struct Shown {
    title: String,
    body: String,
}

/// The text of a stream; `scope.event` is set here per event.
pub(super) fn render(frames: &[Frame], scope: Scope<'_>, ids: &mut Ids) -> String {
    let mut groups: Vec<(Shown, usize)> = Vec::new();
    let mut answer = Answer::default();
    for frame in frames {
        let Some(shown) = show(frame, scope, ids, &mut answer) else {
            continue;
        };
        match groups.last_mut() {
            Some((last, count)) if last.title == shown.title && last.body == shown.body => *count += 1,
            _ => groups.push((shown, 1)),
        }
    }
    let mut out = String::new();
    if groups.is_empty() {
        out.push_str("(no events)\n");
    }
    for (shown, count) in &groups {
        let times = match (count, scope.text) {
            (1, Text::Exact) => String::new(),
            (n, Text::Exact) => format!(" x{n}"),
            // How many pieces a text comes in is the model's business.
            _ if shown.body.contains("[delta]") => " x[n]".to_owned(),
            (1, _) => String::new(),
            (n, _) => format!(" x{n}"),
        };
        out.push_str(&format!("event {}{times}\n{}\n", shown.title, shown.body));
    }
    out.push_str(&answer.render(scope.text, ids));
    out
}

/// `None` for pings and comments, which come by the clock.
fn show(frame: &Frame, scope: Scope<'_>, ids: &mut Ids, answer: &mut Answer) -> Option<Shown> {
    if frame.data.is_none() && frame.event.is_none() && frame.unknown_lines.is_empty() {
        return None;
    }
    let data = frame.data.as_deref();
    let document = data.and_then(|d| serde_json::from_str::<Value>(d).ok());
    let member = document.as_ref().and_then(|d| d.get("event")).and_then(Value::as_str);
    let name = member.or(frame.event.as_deref()).unwrap_or("(no name)").to_owned();
    if name == "ping" {
        return None;
    }
    let scope = Scope { event: Some(&name), ..scope };
    let body = match (&document, data) {
        (Some(document), _) => {
            answer.take(&name, document);
            value::name_ids(document, scope, ids);
            value::write(document, scope, ids)
        }
        (None, Some(text)) => {
            ids.note(text, "id");
            format!("not JSON: {}", Value::String(ids.replace(text)))
        }
        (None, None) => "(no data)".to_owned(),
    };
    Some(Shown { title: format!("{}{}", ids.replace(&name), framing(frame, member.is_some())), body })
}

/// What is unusual about the framing of an event.
fn framing(frame: &Frame, named_in_data: bool) -> String {
    let mut notes = Vec::new();
    if let (Some(line), true) = (&frame.event, named_in_data) {
        notes.push(format!("event line: {line}"));
    }
    if frame.data_lines > 1 {
        notes.push(format!("{} data lines", frame.data_lines));
    }
    if frame.id.is_some() {
        notes.push("id line".to_owned());
    }
    if let Some(retry) = &frame.retry {
        notes.push(format!("retry line: {retry}"));
    }
    if !frame.unknown_lines.is_empty() {
        notes.push(format!("{} unknown lines", frame.unknown_lines.len()));
    }
    if frame.invalid_utf8 {
        notes.push("not UTF-8".to_owned());
    }
    if !frame.terminated {
        notes.push("no blank line at its end".to_owned());
    }
    if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) }
}

/// The texts that the pieces of a stream add up to.
#[derive(Default)]
struct Answer {
    answer: Option<String>,
    reasoning: Option<String>,
    from_agent: bool,
}

impl Answer {
    fn take(&mut self, event: &str, document: &Value) {
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
        match event {
            "message" => {
                // Agent apps close with one `message` that repeats the whole answer.
                let piece = text("/answer");
                if !(self.from_agent && piece.is_some() && piece == self.answer.as_deref()) {
                    append(&mut self.answer, piece);
                }
            }
            "agent_message" => {
                self.from_agent = true;
                append(&mut self.answer, text("/answer"));
            }
            // Some versions send the pieces of an answer about an uploaded file under this name.
            "message_file" => append(&mut self.answer, text("/answer")),
            "text_chunk" => append(&mut self.answer, text("/data/text")),
            "message_replace" => replace(&mut self.answer, text("/answer")),
            "text_replace" => replace(&mut self.answer, text("/data/text")),
            "reasoning_chunk" => append(&mut self.reasoning, text("/data/reasoning")),
            _ => {}
        }
    }

    fn render(&self, text: Text, ids: &mut Ids) -> String {
        let mut out = String::new();
        for (title, joined) in [("answer", &self.answer), ("reasoning", &self.reasoning)] {
            let Some(joined) = joined else {
                continue;
            };
            match text {
                Text::Exact => {
                    ids.note(joined, "id");
                    out.push_str(&format!("\n{title}:\n{}", quoted(&ids.replace(joined))));
                }
                Text::Shape if joined.is_empty() => out.push_str(&format!("\n{title}: [empty text]\n")),
                Text::Shape => out.push_str(&format!("\n{title}: [text]\n")),
                Text::Ignored => out.push_str(&format!("\n{title}: [ignored]\n")),
            }
        }
        out
    }
}

fn append(to: &mut Option<String>, piece: Option<&str>) {
    if let Some(piece) = piece {
        to.get_or_insert_with(String::new).push_str(piece);
    }
}

fn replace(to: &mut Option<String>, piece: Option<&str>) {
    if let Some(piece) = piece {
        *to = Some(piece.to_owned());
    }
}

/// A text as lines behind a bar. A bar closes each line, for blanks at the end count, and files lose them easily.
fn quoted(text: &str) -> String {
    text.split('\n').map(|line| format!("  |{}|\n", super::layout::printable(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Endpoint;

    fn frame(data: &str) -> Frame {
        Frame { data: Some(data.to_owned()), data_lines: 1, terminated: true, ..Frame::default() }
    }

    fn shown(frames: &[Frame], text: Text) -> String {
        let scope = Scope { endpoint: Endpoint::ChatMessages, event: None, reply: true, text };
        render(frames, scope, &mut Ids::default())
    }

    fn message(answer: &str) -> Frame {
        frame(&format!(r#"{{"event":"message","answer":{}}}"#, Value::String(answer.to_owned())))
    }

    #[test]
    fn equal_events_are_folded_and_their_pieces_joined() {
        let out = shown(&[message("a "), message("b\nc"), frame(r#"{"event":"message_end"}"#)], Text::Exact);
        assert!(out.starts_with("event message x2\n{\n  \"answer\": [delta],\n"), "{out}");
        assert!(out.ends_with("\nanswer:\n  |a b|\n  |c|\n"), "{out}");
    }

    #[test]
    fn a_piece_of_another_shape_is_not_folded_away() {
        let odd = frame(r#"{"event":"message","answer":"b","extra":1}"#);
        let out = shown(&[message("a"), odd, message("c")], Text::Exact);
        assert_eq!(out.matches("event message\n").count(), 3, "{out}");
        assert!(out.contains("\"extra\": 1"), "{out}");
    }

    #[test]
    fn pings_and_comments_leave_no_trace() {
        let ping = Frame { event: Some("ping".to_owned()), terminated: true, ..Frame::default() };
        let comment = Frame { comments: 1, terminated: true, ..Frame::default() };
        let without = shown(&[message("a"), message("b")], Text::Exact);
        assert_eq!(shown(&[ping.clone(), message("a"), comment, ping, message("b")], Text::Exact), without);
    }

    #[test]
    fn the_number_of_pieces_counts_only_where_texts_are_exact() {
        let two = [message("a"), message("b")];
        let three = [message("c"), message("d"), message("")];
        assert_ne!(shown(&two, Text::Exact), shown(&three, Text::Exact));
        assert_eq!(shown(&two, Text::Shape), shown(&three, Text::Shape));
        assert_eq!(shown(&two[..1], Text::Shape), shown(&three, Text::Shape));
        assert_ne!(shown(&[message("")], Text::Shape), shown(&two, Text::Shape));
        assert_eq!(shown(&[message("")], Text::Ignored), shown(&two, Text::Ignored));
    }

    #[test]
    fn replacements_and_the_closing_message_of_an_agent_do_not_double_the_answer() {
        let agent = |a: &str| frame(&format!(r#"{{"event":"agent_message","answer":"{a}"}}"#));
        let out = shown(&[agent("he"), agent("llo"), message("hello")], Text::Exact);
        assert!(out.ends_with("answer:\n  |hello|\n"), "{out}");
        let replaced = frame(r#"{"event":"message_replace","answer":"no"}"#);
        assert!(shown(&[message("yes"), replaced], Text::Exact).ends_with("answer:\n  |no|\n"));
    }

    #[test]
    fn unusual_framing_is_named() {
        let odd = Frame { event: Some("message".to_owned()), terminated: false, data_lines: 2, ..message("a") };
        let out = shown(&[odd, frame("[DONE]")], Text::Exact);
        assert!(
            out.starts_with("event message (event line: message, 2 data lines, no blank line at its end)\n"),
            "{out}"
        );
        assert!(out.contains("event (no name)\nnot JSON: \"[DONE]\"\n"), "{out}");
    }
}
