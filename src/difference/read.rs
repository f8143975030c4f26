//! The parts of a canonical text.

use serde_json::Deserializer;

/// One exchange, read.
pub(super) struct Read<'t> {
    /// Request line, headers and body.
    pub sent: &'t str,
    /// `None` where no response came.
    pub reply: Option<Reply<'t>>,
    /// Class of the fault, if any.
    pub fault: Option<&'t str>,
}

/// A response.
pub(super) struct Reply<'t> {
    pub status: u16,
    pub headers: Vec<(&'t str, &'t str)>,
    pub body: Body<'t>,
}

/// A body by its kind.
pub(super) enum Body<'t> {
    Empty,
    Json(Tree),
    Stream(Stream<'t>),
    /// Class and first line.
    Other(&'t str),
}

impl Body<'_> {
    /// The word for it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Body::Empty => "empty",
            Body::Json(_) => "JSON",
            Body::Stream(_) => "events",
            Body::Other(_) => "other",
        }
    }
}

/// Events, and what their pieces add up to.
pub(super) struct Stream<'t> {
    pub events: Vec<Event<'t>>,
    /// `answer` and `reasoning` with their texts.
    pub texts: Vec<(&'t str, &'t str)>,
}

/// A run of equal events.
pub(super) struct Event<'t> {
    pub name: &'t str,
    /// What is unusual about its lines, in parentheses.
    pub framing: &'t str,
    /// How many; `None` where the number is a matter of luck.
    pub count: Option<u64>,
    /// Data as text; a tree where it is JSON.
    pub data: &'t str,
    pub tree: Option<Tree>,
}

/// A JSON document in canonical form.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    /// What stands for a value that changes from run to run, e.g. `[unix-seconds]`.
    Mask(String),
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Members(Vec<(String, Tree)>),
}

impl<'t> Read<'t> {
    pub(super) fn of(text: &'t str) -> Read<'t> {
        let (text, fault) = match text.trim_end().rsplit_once("\nfault: ") {
            Some((before, class)) if !class.contains('\n') => (before, Some(class)),
            _ => (text, None),
        };
        match text.split_once("\n-> ") {
            Some((sent, reply)) => Read { sent: sent.trim_end(), reply: Some(Reply::of(reply)), fault },
            None => Read { sent: text.trim_end().trim_end_matches("no response").trim_end(), reply: None, fault },
        }
    }

    /// The JSON body of the request.
    pub(super) fn document(&self) -> Option<Tree> {
        Tree::of(self.sent.split_once("\n\n")?.1)
    }
}

impl<'t> Reply<'t> {
    fn of(text: &'t str) -> Reply<'t> {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(0);
        let headers: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
        let events =
            headers.iter().any(|(n, v)| *n == "content-type" && v.trim_start().starts_with("text/event-stream"));
        let body = match body.trim_end() {
            "" | "(empty body)" => Body::Empty,
            body if events => Body::Stream(Stream::of(body)),
            body if body.starts_with('(') => Body::Other(body),
            body => Tree::of(body).map_or(Body::Other(body), Body::Json),
        };
        Reply { status, headers, body }
    }

    pub(super) fn header(&self, name: &str) -> Option<&'t str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }
}

impl<'t> Stream<'t> {
    fn of(body: &'t str) -> Stream<'t> {
        let texts_at = ["\n\nanswer:", "\n\nreasoning:"].iter().filter_map(|title| body.find(title)).min();
        let (events, texts) = body.split_at(texts_at.unwrap_or(body.len()));
        let starts: Vec<usize> = std::iter::once(0)
            .filter(|_| events.starts_with("event "))
            .chain(events.match_indices("\nevent ").map(|(at, _)| at + 1))
            .collect();
        let ends = starts.iter().skip(1).copied().chain([events.len()]);
        let events = starts.iter().zip(ends).filter_map(|(start, end)| Event::of(events.get(*start..end)?)).collect();
        let sections = texts.split("\n\n").filter_map(|section| section.split_once(':'));
        let texts = sections.filter(|(title, _)| matches!(*title, "answer" | "reasoning"));
        Stream { events, texts: texts.map(|(title, text)| (title, text.trim_end())).collect() }
    }
}

impl<'t> Event<'t> {
    fn of(text: &'t str) -> Option<Event<'t>> {
        let (title, data) = text.strip_prefix("event ")?.split_once('\n')?;
        let (title, count) = match title.rsplit_once(" x") {
            Some((title, "[n]")) => (title, None),
            Some((title, number)) if number.parse::<u64>().is_ok() => (title, number.parse().ok()),
            _ => (title, Some(1)),
        };
        let at = title.find(" (").filter(|_| title.ends_with(')')).unwrap_or(title.len());
        let (name, framing) = title.split_at(at);
        let data = data.trim_end();
        Some(Event { name, framing: framing.trim(), count, data, tree: Tree::of(data) })
    }
}

impl Tree {
    /// Reads one value: every member and item stands on a line of its own. `None` where it is no such text.
    pub(super) fn of(text: &str) -> Option<Tree> {
        let mut lines = text.trim_end().lines();
        let tree = value(lines.next()?, &mut lines)?;
        lines.next().is_none().then_some(tree)
    }

    /// The member of this name.
    pub(super) fn member(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Members(members) => members.iter().find(|(n, _)| n == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

// Ends: canonical documents are nested no deeper than serde_json reads.
fn value(head: &str, lines: &mut std::str::Lines<'_>) -> Option<Tree> {
    let head = head.strip_suffix(',').unwrap_or(head);
    Some(match head {
        "{" => Tree::Members(members(lines)?),
        "[" => Tree::List(items(lines)?),
        "{}" => Tree::Members(Vec::new()),
        "[]" => Tree::List(Vec::new()),
        "null" => Tree::Null,
        "true" => Tree::Bool(true),
        "false" => Tree::Bool(false),
        text if text.starts_with('"') => Tree::Text(serde_json::from_str(text).ok()?),
        number if number.parse::<f64>().is_ok() => Tree::Number(number.to_owned()),
        mask if mask.starts_with('[') || mask.ends_with(']') => Tree::Mask(mask.to_owned()),
        _ => return None,
    })
}

fn members(lines: &mut std::str::Lines<'_>) -> Option<Vec<(String, Tree)>> {
    let mut members = Vec::new();
    loop {
        let line = lines.next()?.trim_start_matches(' ');
        if matches!(line, "}" | "},") {
            return Some(members);
        }
        let mut names = Deserializer::from_str(line).into_iter::<String>();
        let name = names.next()?.ok()?;
        let rest = line.get(names.byte_offset()..)?.strip_prefix(": ")?;
        members.push((name, value(rest, lines)?));
    }
}

fn items(lines: &mut std::str::Lines<'_>) -> Option<Vec<Tree>> {
    let mut items = Vec::new();
    loop {
        let line = lines.next()?.trim_start_matches(' ');
        if matches!(line, "]" | "],") {
            return Some(items);
        }
        if line.starts_with("[these ") && line.ends_with(" come in any order]") {
            continue;
        }
        items.push(value(line, lines)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_with_its_masks() {
        let text = "{\n  \"a, b\": [int],\n  \"c\": [\n    [these 2 come in any order]\n    \"x,\",\n    1.50\n  ],\n  \
                    \"d\": {},\n  \"e\": [],\n  \"f\": msg-1[NOT A UUID, 3 characters]\n}";
        let members = vec![
            ("a, b".to_owned(), Tree::Mask("[int]".to_owned())),
            ("c".to_owned(), Tree::List(vec![Tree::Text("x,".to_owned()), Tree::Number("1.50".to_owned())])),
            ("d".to_owned(), Tree::Members(Vec::new())),
            ("e".to_owned(), Tree::List(Vec::new())),
            ("f".to_owned(), Tree::Mask("msg-1[NOT A UUID, 3 characters]".to_owned())),
        ];
        assert_eq!(Tree::of(text), Some(Tree::Members(members)));
        for broken in ["", "{", "{\n}\n}", "{\n  a: 1\n}", "(empty body)", "[\n  1"] {
            assert_eq!(Tree::of(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_stream_is_read_event_by_event_with_its_texts() {
        let text = "POST /chat-messages\naccept: */*\n\n{\n  \"query\": \"q\"\n}\n\n-> 200\ncontent-type: text/event-stream\n\n\
                    event message x12\n{\n  \"answer\": [delta]\n}\nevent message_end (event line: end)\n{}\n\nanswer:\n  |hi|\n  \
                    |event x|\n\nfault: truncated\n";
        let read = Read::of(text);
        assert_eq!((read.fault, read.document().is_some()), (Some("truncated"), true));
        let reply = read.reply.unwrap();
        let Body::Stream(stream) = &reply.body else { panic!("{}", reply.body.kind()) };
        let seen: Vec<_> = stream.events.iter().map(|e| (e.name, e.framing, e.count, e.tree.is_some())).collect();
        assert_eq!(seen, [("message", "", Some(12), true), ("message_end", "(event line: end)", Some(1), true)]);
        assert_eq!(stream.texts, [("answer", "\n  |hi|\n  |event x|")]);
    }

    #[test]
    fn the_other_endings_are_told_apart() {
        let none = Read::of("GET /info\n\nno response\n\nfault: connect\n");
        assert!(none.reply.is_none() && none.fault == Some("connect") && none.sent.starts_with("GET /info"));
        let empty = Read::of("DELETE /x\n\n-> 204\n\n(empty body)\n").reply.unwrap();
        assert_eq!((empty.status, empty.body.kind()), (204, "empty"));
        let page =
            Read::of("GET /x\n\n-> 404\ncontent-type: text/html\n\n(text/html, under 1 kB)\n<html>\n").reply.unwrap();
        assert_eq!((page.status, page.body.kind(), page.header("content-type")), (404, "other", Some("text/html")));
    }
}
