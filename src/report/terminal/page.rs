//! Lines of a terminal page: wrapping, indentation, colour.

use super::TerminalStyle;
use crate::report::escape;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a piece of text is; the page knows how that looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
    Known,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Strong => "1",
            Paint::Dim => "2",
            Paint::Good => "32",
            Paint::Warn => "33",
            Paint::Bad => "1;31",
            Paint::Known => "36",
        }
    }
}

/// A page under construction. Text given to it must be escaped already.
pub struct Page {
    out: String,
    color: bool,
    /// Columns.
    pub width: usize,
    /// As in the style.
    pub verbosity: u8,
}

impl Page {
    pub fn new(style: &TerminalStyle) -> Page {
        Page { out: String::new(), color: style.color, width: style.width.max(40), verbosity: style.verbosity }
    }

    pub fn finish(self) -> String {
        self.out
    }

    /// An empty line, never two in a row.
    pub fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    pub fn heading(&mut self, text: &str) {
        self.blank();
        self.pieces(&[(Paint::Strong, text)]);
    }

    /// One line of differently painted pieces; the caller sees to the width.
    pub fn pieces(&mut self, pieces: &[(Paint, &str)]) {
        let last = pieces.iter().rposition(|(_, text)| !text.trim_end().is_empty());
        let first = pieces.iter().position(|(_, text)| !text.trim_start().is_empty());
        for (i, (paint, text)) in pieces.iter().take(last.map_or(0, |l| l + 1)).enumerate() {
            let text = if Some(i) == last { text.trim_end() } else { text };
            let text = if Some(i) == first { escape::log_row(text) } else { text.into() };
            self.paint(*paint, &text);
        }
        self.out.push('\n');
    }

    /// Wrapped text: first line indented by `first`, further ones by `rest`.
    pub fn text(&mut self, first: usize, rest: usize, paint: Paint, text: &str) {
        let (first, rest) = (self.indent(first), self.indent(rest));
        let rows = wrap(text, self.width.saturating_sub(first), self.width.saturating_sub(rest));
        for (i, row) in rows.iter().enumerate() {
            let indent = " ".repeat(if i == 0 { first } else { rest });
            self.pieces(&[(Paint::Plain, &indent), (paint, row)]);
        }
    }

    /// A dim label in a column of `column` characters, then wrapped text.
    pub fn labelled(&mut self, indent: usize, column: usize, label: &str, paint: Paint, text: &str) {
        let indent = self.indent(indent);
        let start = indent + column;
        let room = self.width.saturating_sub(start);
        let label = format!("{}{label:<column$}", " ".repeat(indent));
        let blank = " ".repeat(start);
        for (i, row) in wrap(text, room, room).iter().enumerate() {
            let lead = if i == 0 { label.as_str() } else { blank.as_str() };
            self.pieces(&[(Paint::Dim, lead), (paint, row)]);
        }
    }

    /// A line of at most `rows` rows; what does not fit is clipped with an ellipsis.
    pub fn clipped(&mut self, indent: usize, rows: usize, paint: Paint, text: &str) {
        let indent = self.indent(indent);
        let room = self.width.saturating_sub(indent);
        let all = wrap(text, room, room.saturating_sub(4));
        for (i, row) in all.iter().take(rows).enumerate() {
            let hang = " ".repeat(if i == 0 { indent } else { indent + 4 });
            let cut = i + 1 == rows && all.len() > rows;
            let row = if cut { cut_to(row, room.saturating_sub(7)) + "..." } else { row.clone() };
            self.pieces(&[(Paint::Plain, &hang), (paint, &row)]);
        }
    }

    /// A line that is never broken, so that it can be copied.
    pub fn verbatim(&mut self, indent: usize, text: &str) {
        self.pieces(&[(Paint::Plain, &" ".repeat(self.indent(indent))), (Paint::Plain, text)]);
    }

    /// Narrow pages have no room for deep indentation.
    fn indent(&self, wanted: usize) -> usize {
        match wanted {
            wanted if self.width >= 60 => wanted,
            8.. => 4,
            wanted => wanted.min(2),
        }
    }

    fn paint(&mut self, paint: Paint, text: &str) {
        let code = paint.code();
        if self.color && !code.is_empty() && !text.is_empty() {
            self.out.push_str(&format!("\u{1b}[{code}m{text}\u{1b}[0m"));
        } else {
            self.out.push_str(text);
        }
    }
}

/// Columns that text takes.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The longest beginning of a text that fits into some columns.
pub fn cut_to(text: &str, room: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    text.chars().take_while(fits).collect()
}

/// Breaks text at spaces into rows of at most `first` and then `rest` columns; longer words are broken anywhere.
/// Leading spaces are kept: they are the layout of JSON bodies.
pub fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut row = String::new();
    let mut used = 0;
    let room = |rows: &Vec<String>| if rows.is_empty() { first.max(8) } else { rest.max(8) };
    for word in text.split_inclusive(' ') {
        let bare = width(word.trim_end_matches(' '));
        if used + bare > room(&rows) && used > 0 && bare <= rest.max(8) {
            rows.push(std::mem::take(&mut row));
            used = 0;
        }
        for c in word.chars() {
            let columns = c.width().unwrap_or(0);
            if used + columns > room(&rows) && c != ' ' {
                rows.push(std::mem::take(&mut row));
                used = 0;
            }
            row.push(c);
            used += columns;
        }
    }
    rows.push(row);
    rows.iter_mut().for_each(|row| row.truncate(row.trim_end().len()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_breaks_at_spaces_and_breaks_long_words() {
        assert_eq!(wrap("one two three", 8, 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghijkl", 8, 8), ["abcdefgh", "ijkl"]);
        assert_eq!(wrap("ab abcdefghijkl", 8, 10), ["ab abcde", "fghijkl"]);
        assert_eq!(wrap("", 8, 8), [""]);
    }

    #[test]
    fn wide_characters_count_two_columns() {
        assert_eq!(wrap("日本語日本語", 8, 8), ["日本語日", "本語"]);
        assert_eq!(cut_to("日本語", 5), "日本");
    }

    #[test]
    fn no_row_is_wider_than_the_room() {
        let text = "a bb ccc dddddddddddddddddddddddddddddd eeee 日本語日本語日本語 ff   gggg ".repeat(9);
        for room in [8, 13, 40] {
            assert!(wrap(&text, room, room).iter().all(|row| width(row) <= room), "{room}");
        }
    }

    #[test]
    fn a_megabyte_without_a_space_is_wrapped_quickly() {
        assert_eq!(wrap(&"x".repeat(1_000_000), 80, 80).len(), 12_500);
    }
}
