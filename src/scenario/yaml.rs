//! YAML text -> a tree with positions. Only what a scenario needs: no aliases, anchors, tags or further documents.

use super::ast::At;
use super::diagnostic::{Problems, lines};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};
use std::collections::HashMap;

/// Deepest nesting that is read; deeper files are refused.
const DEEPEST: usize = 64;
/// Most nodes of a file.
const MOST_NODES: usize = 100_000;

/// One node of the file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where it starts.
    pub at: At,
    /// Where it ends (exclusive).
    pub end: At,
    /// What it is.
    pub kind: Kind,
}

/// Kinds of nodes.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Text; `plain` if written without quotes, so that it may be a number, a boolean or null.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// Keys and values in file order. Keys are scalars; no key is there twice.
    Map(Vec<(Node, Node)>),
    /// Something that was refused and reported already.
    Refused,
}

impl Node {
    fn new(span: Span, kind: Kind) -> Node {
        Node { at: at(&span.start), end: at(&span.end), kind }
    }

    /// Characters to underline.
    pub(crate) fn width(&self) -> u32 {
        if self.end.line == self.at.line { self.end.column.saturating_sub(self.at.column).max(1) } else { 1 }
    }

    /// The text of a scalar, whatever its type.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The value under a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(k, _)| k.text() == Some(key)).map(|(_, v)| v)
    }

    /// Keys and values of a map; nothing for other nodes.
    pub(crate) fn entries(&self) -> &[(Node, Node)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Elements of a list; nothing for other nodes.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }
}

fn at(mark: &Marker) -> At {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    At { line: number(mark.line()).max(1), column: number(mark.col()).saturating_add(1) }
}

/// Reads one document. `None` if the text is no YAML or has no content; the reason is among the problems.
pub(crate) fn read(text: &str, problems: &mut Problems) -> Option<Node> {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => {
                if !builder.take(event, span, problems) {
                    return None;
                }
            }
            Err(error) => {
                report_syntax(&error, text, problems);
                return None;
            }
        }
    }
    if builder.root.is_none() {
        problems.add(At { line: 1, column: 1 }, 1, "the file is empty", "a scenario starts with `difyprobe: 1`");
    }
    builder.root
}

fn report_syntax(error: &ScanError, text: &str, problems: &mut Problems) {
    let place = at(error.marker());
    // the scanner notices a tab on its line or only on the next one
    let tab = |line: u32| {
        let text = lines(text).nth((line as usize).checked_sub(1)?)?;
        let indentation = text.len() - text.trim_start().len();
        let before = text.get(..indentation)?.find('\t')?;
        Some(At { line, column: text.get(..before)?.chars().count() as u32 + 1 })
    };
    if let Some(place) = tab(place.line).or_else(|| tab(place.line.saturating_sub(1))) {
        problems.add(place, 1, "a tab in the indentation", "YAML is indented with spaces");
        return;
    }
    let info = error.info();
    problems.add(place, 1, format!("YAML syntax: {info}"), syntax_help(info));
}

fn syntax_help(info: &str) -> &'static str {
    if info.contains("unknown anchor") {
        "a text that starts with `*` needs quotes"
    } else if info.contains("mapping values are not allowed") || info.contains("simple key") {
        "a text that holds `: ` or starts with a special character needs quotes; check the indentation too"
    } else {
        ""
    }
}

/// A collection that is still open.
struct Open {
    span: Span,
    key: Option<Node>,
    items: Vec<Node>,
    entries: Vec<(Node, Node)>,
    is_map: bool,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

impl Builder {
    /// Takes one event; false if reading should stop.
    fn take(&mut self, event: Event<'_>, span: Span, problems: &mut Problems) -> bool {
        let (start, width) = (at(&span.start), Node::new(span, Kind::Refused).width());
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                if self.root.is_some() {
                    problems.add(
                        start,
                        width,
                        "a second document",
                        "one file holds one scenario; use one file for each",
                    );
                    return false;
                }
            }
            Event::Alias(_) => {
                problems.add(start, width, "aliases (`*name`) are not read", "repeat the value, or put it into `vars`");
                self.insert(Node::new(span, Kind::Refused), problems);
            }
            Event::Scalar(text, style, anchor, tag) => {
                refuse_decoration(anchor, tag.is_some(), start, problems);
                let plain = style == ScalarStyle::Plain;
                self.insert(Node::new(span, Kind::Scalar { text: text.into_owned(), plain }), problems);
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if self.open.len() >= DEEPEST => {
                problems.add(start, 1, format!("nested deeper than {DEEPEST} levels"), "");
                return false;
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_decoration(anchor, tag.is_some(), start, problems);
                self.open.push(Open { span, key: None, items: Vec::new(), entries: Vec::new(), is_map: false });
            }
            Event::MappingStart(anchor, tag) => {
                refuse_decoration(anchor, tag.is_some(), start, problems);
                self.open.push(Open { span, key: None, items: Vec::new(), entries: Vec::new(), is_map: true });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span, problems),
        }
        if self.nodes > MOST_NODES {
            problems.add(start, 1, format!("more than {MOST_NODES} values in one file"), "");
            return false;
        }
        true
    }

    fn close(&mut self, end: Span, problems: &mut Problems) {
        let Some(open) = self.open.pop() else { return };
        let span = Span::new(open.span.start, end.end);
        let kind = if open.is_map { Kind::Map(open.entries) } else { Kind::List(open.items) };
        self.insert(Node::new(span, kind), problems);
    }

    fn insert(&mut self, node: Node, problems: &mut Problems) {
        self.nodes += 1;
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        if !open.is_map {
            open.items.push(node);
            return;
        }
        match open.key.take() {
            None => {
                if matches!(node.kind, Kind::List(_) | Kind::Map(_)) {
                    problems.add(
                        node.at,
                        node.width(),
                        "a list or map as a key",
                        "keys are texts; `{{ }}` needs quotes",
                    );
                }
                open.key = Some(node);
            }
            Some(key) => open.entries.push((key, node)),
        }
    }
}

/// Anchors and tags have no meaning here, and silence about them would mislead.
fn refuse_decoration(anchor: usize, tag: bool, at: At, problems: &mut Problems) {
    if anchor != 0 {
        problems.add(at, 1, "anchors (`&name`) are not read", "repeat the value, or put it into `vars`");
    }
    if tag {
        problems.add(at, 1, "tags (`!name`) are not read", "leave the tag out; quotes make a text");
    }
}

/// Reports keys that stand twice in one map, over the whole tree.
pub(crate) fn report_duplicates(node: &Node, problems: &mut Problems) {
    let mut first: HashMap<&str, At> = HashMap::new();
    for (key, value) in node.entries() {
        if let Some(text) = key.text() {
            if let Some(earlier) = first.get(text) {
                let message = format!("key `{text}` is there twice");
                problems.add(key.at, key.width(), message, format!("the first one is in line {}", earlier.line));
            } else {
                first.insert(text, key.at);
            }
        }
        report_duplicates(value, problems);
    }
    node.items().iter().for_each(|item| report_duplicates(item, problems));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> Vec<String> {
        let mut problems = Problems::new("a");
        if let Some(node) = read(text, &mut problems) {
            report_duplicates(&node, &mut problems);
        }
        problems.finish().iter().map(|d| format!("{}:{} {}", d.at.line, d.at.column, d.message)).collect()
    }

    fn tree(text: &str) -> Node {
        read(text, &mut Problems::new("a")).unwrap()
    }

    #[test]
    fn nodes_know_where_they_stand() {
        let root = tree("a: b\nlist:\n  - 'x y'\n  - |\n    block\n    more\nend: {é: \"z\"}\n");
        let list = root.get("list").unwrap().items();
        assert_eq!((list[0].at, list[0].width()), (At { line: 3, column: 5 }, 5));
        // a block scalar starts with its content
        assert_eq!(list[1].at, At { line: 5, column: 5 });
        let (key, value) = &root.get("end").unwrap().entries()[0];
        assert_eq!((key.at, value.at), (At { line: 7, column: 7 }, At { line: 7, column: 10 }));
    }

    #[test]
    fn aliases_anchors_and_tags_are_refused_each_at_its_place() {
        let all = problems_of("a: &x 1\nb: *x\nc: !!str 2\n");
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all[1].contains("2:4 aliases"), "{all:?}");
    }

    #[test]
    fn every_duplicate_key_is_reported() {
        assert_eq!(
            problems_of("a: 1\na: 2\nb: {c: 1, c: 2}\n"),
            ["2:1 key `a` is there twice", "3:11 key `c` is there twice"]
        );
    }

    #[test]
    fn a_tab_in_the_indentation_is_called_a_tab() {
        assert_eq!(problems_of("a:\n\tb: 1\n"), ["2:1 a tab in the indentation"]);
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let all = problems_of(&"- ".repeat(100_000));
        assert!(all[0].contains("nested deeper"), "{all:?}");
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn empty_files_and_second_documents_are_refused() {
        assert!(problems_of("# nothing\n")[0].contains("empty"));
        assert!(problems_of("a: 1\n---\nb: 2\n")[0].contains("2:1 a second document"));
    }
}
