//! Problems of a scenario file, and how they are shown to people.

use super::ast::At;
use unicode_width::UnicodeWidthChar;

/// One problem of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// File as shown to people.
    pub file: String,
    /// Where, line and column from 1.
    pub at: At,
    /// Characters to underline, at least 1.
    pub width: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Terminal columns of source text that are shown; longer lines are clipped around the caret.
const SHOWN_COLUMNS: usize = 100;
/// Columns kept before the caret when the start of a long line is clipped.
const COLUMNS_BEFORE: usize = 40;

impl Diagnostic {
    /// The problem with its source line and a caret, in several lines, each ended by a line feed.
    ///
    /// `source` is the text of the file. With `color`, ANSI colours are used. Control characters of the source (and of
    /// the messages) are escaped, so that a hostile file cannot reach the terminal.
    pub fn render(&self, source: &str, color: bool) -> String {
        let paint = Paint { on: color };
        let number = self.at.line.to_string();
        let margin = " ".repeat(number.len());
        let mut out = format!("{} {}\n", paint.red("error:"), paint.bold(&escape(&self.message)));
        out += &format!("{margin}{} {}:{}:{}\n", paint.blue("-->"), escape(&self.file), self.at.line, self.at.column);
        let line = self.at.line.checked_sub(1).and_then(|n| lines(source).nth(n as usize));
        if let Some(line) = line {
            let column = self.at.column.saturating_sub(1) as usize;
            let (text, before, width) = clip(line, column, self.width.max(1) as usize);
            let bar = paint.blue("|");
            out += &format!("{margin} {bar}\n{} {bar}{}\n", paint.blue(&number), pad(&text));
            out += &format!("{margin} {bar} {}{}\n", " ".repeat(before), paint.red(&"^".repeat(width)));
        }
        if let Some(help) = &self.help {
            out += &format!("{margin} {} {}\n", paint.blue("="), paint.help(&escape(help)));
        }
        out
    }
}

/// A source line behind the bar; an empty one leaves no trailing blank.
fn pad(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" {text}") }
}

/// All problems of a file, one after the other, with a closing count.
pub fn render_all(diagnostics: &[Diagnostic], source: &str, color: bool) -> String {
    let mut out: String = diagnostics.iter().map(|d| d.render(source, color) + "\n").collect();
    let noun = if diagnostics.len() == 1 { "problem" } else { "problems" };
    out += &format!("{} {noun}\n", diagnostics.len());
    out
}

/// Lines of a text by the rules of YAML: LF, CR LF and CR end a line.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match text.find(['\n', '\r']) {
            None => {
                rest = None;
                Some(text)
            }
            Some(end) => {
                let (line, tail) = text.split_at(end);
                rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..));
                Some(line)
            }
        }
    })
}

/// The shown part of a line, the columns before the caret in it and the width of the caret.
fn clip(line: &str, column: usize, width: usize) -> (String, usize, usize) {
    let cells: Vec<String> = line.chars().map(shown).collect();
    let wide = |cells: &[String]| cells.iter().map(|c| columns(c)).sum::<usize>();
    let column = column.min(cells.len());
    let total = wide(&cells);
    let mut start = 0;
    if total > SHOWN_COLUMNS {
        let before = wide(cells.get(..column).unwrap_or_default());
        let mut skipped = 0;
        while before.saturating_sub(skipped) > COLUMNS_BEFORE && total - skipped > SHOWN_COLUMNS {
            skipped += cells.get(start).map_or(0, |c| columns(c));
            start += 1;
        }
    }
    let mut text = String::from(if start > 0 { "…" } else { "" });
    let mut before = usize::from(start > 0);
    let (mut used, mut caret) = (0, 0);
    for (index, cell) in cells.iter().enumerate().skip(start) {
        let size = columns(cell);
        if used + size > SHOWN_COLUMNS {
            text.push('…');
            break;
        }
        used += size;
        text += cell;
        if index < column {
            before += size;
        } else if index - column < width {
            caret += size;
        }
    }
    (text, before, caret.max(1))
}

fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// A character as it may stand on a terminal.
fn shown(c: char) -> String {
    match c {
        '\t' => "    ".to_owned(),
        // direction marks and other format characters can make a line look like another one
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
            c.escape_unicode().to_string()
        }
        '\u{2028}' | '\u{2029}' => c.escape_unicode().to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    }
}

fn escape(text: &str) -> String {
    text.chars().map(shown).collect()
}

struct Paint {
    on: bool,
}

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
    fn red(&self, text: &str) -> String {
        self.with("1;31", text)
    }
    fn blue(&self, text: &str) -> String {
        self.with("1;34", text)
    }
    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }
    fn help(&self, text: &str) -> String {
        format!("{} {text}", self.with("1", "help:"))
    }
}

/// Messages quote the file, and texts of files can be long.
fn shortened(text: String) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Collects the problems of one file.
pub(crate) struct Problems {
    file: String,
    list: Vec<Diagnostic>,
}

/// More problems than this are not listed one by one.
const MOST: usize = 200;

impl Problems {
    pub(crate) fn new(file: &str) -> Self {
        Problems { file: file.to_owned(), list: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether there are more problems than are listed.
    pub(crate) fn are_many(&self) -> bool {
        self.list.len() > MOST
    }

    /// Adds a problem; `help` may be empty.
    pub(crate) fn add(&mut self, at: At, width: u32, message: impl Into<String>, help: impl Into<String>) {
        let help = Some(help.into()).filter(|h: &String| !h.is_empty()).map(shortened);
        let (file, message) = (self.file.clone(), shortened(message.into()));
        self.list.push(Diagnostic { file, at, width: width.max(1), message, help });
    }

    /// All problems in file order, without repetitions; past 200 only their number.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|d| (d.at.line, d.at.column));
        self.list.dedup();
        if self.list.len() > MOST {
            let more = self.list.len() - MOST;
            self.list.truncate(MOST);
            if let Some(last) = self.list.last().cloned() {
                self.list.push(Diagnostic {
                    message: format!("{more} more problems are not listed"),
                    help: None,
                    ..last
                });
            }
        }
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32, width: u32) -> Diagnostic {
        Diagnostic {
            file: "a.yaml".into(),
            at: At { line, column },
            width,
            message: "unknown key `quary`".into(),
            help: Some("did you mean `query`?".into()),
        }
    }

    #[test]
    fn shows_line_caret_and_help() {
        let text = at(2, 3, 5).render("x: 1\n  quary: 2\n", false);
        assert_eq!(
            text,
            "error: unknown key `quary`\n --> a.yaml:2:3\n  |\n2 |   quary: 2\n  |   ^^^^^\n  = help: did you mean `query`?\n"
        );
    }

    #[test]
    fn clips_a_long_line_around_the_caret() {
        let source = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let text = at(1, 501, 4).render(&source, false);
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows.iter().all(|r| r.chars().count() < 110), "{text}");
        let caret = rows[4].find('^').unwrap();
        assert_eq!(rows[3].chars().skip(caret).take(4).collect::<String>(), "HERE");
        assert!(rows[3].contains('…'));
    }

    #[test]
    fn escapes_control_characters_and_keeps_the_caret_in_place() {
        let text = at(1, 3, 1).render("\u{1b}\u{202e}x", false);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[3], "1 | \\u{1b}\\u{202e}x");
        assert_eq!(rows[4].find('^'), rows[3].find('x'));
    }

    #[test]
    fn wide_characters_count_two_columns() {
        let text = at(1, 3, 1).render("日本x", false);
        assert!(text.contains("|     ^\n"), "{text}");
    }

    #[test]
    fn position_outside_the_source_shows_no_line() {
        assert!(!at(9, 1, 1).render("x", false).contains('|'));
        assert!(at(0, 0, 0).render("", false).contains("error:"));
    }

    #[test]
    fn colour_only_when_asked_for() {
        assert!(at(1, 1, 1).render("x", true).contains("\u{1b}[1;31m"));
        assert!(!at(1, 1, 1).render("x", false).contains('\u{1b}'));
    }

    #[test]
    fn lines_end_at_lf_crlf_and_cr() {
        assert_eq!(lines("a\nb\r\nc\rd").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(lines("").collect::<Vec<_>>(), [""]);
    }
}
