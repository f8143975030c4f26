//! Making text of a server harmless: one function per output format.
//!
//! Text that came over the wire may hold terminal control sequences, markup, or characters that reorder what a reader
//! sees. All formats show such characters as `\u{..}` instead of dropping them: they are part of the evidence.

use std::fmt::Write as _;

/// Whether a character would act on a terminal or a reader instead of being seen.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

fn visible(text: &str, keep_lines: bool, mut plain: impl FnMut(&mut String, char)) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if keep_lines => out.push('\n'),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("  "),
            c if acts(c) => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => plain(&mut out, c),
        }
    }
    out
}

/// Longest line on a terminal in characters; a person reads no more of it.
const TERMINAL_CHARS: usize = 4_000;

/// For one line on a terminal: no control character is left, line ends are shown as `\n`, long lines are clipped.
/// Logs of CI servers are terminals too: some obey `##[command]`, `##vso[...]` or `##teamcity[...]` anywhere in a line.
pub fn terminal(text: &str) -> String {
    let text = visible(&clip(text, TERMINAL_CHARS), false, String::push);
    let obeyed = |rest: &str| ["##[", "##vso[", "##teamcity["].iter().any(|start| rest.starts_with(start));
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '#' if text.get(at..).is_some_and(obeyed) => out.push_str("\\u{23}"),
            c => out.push(c),
        }
    }
    out
}

/// For a row of a log: GitHub Actions obeys `::command::` at its beginning.
pub fn log_row(row: &str) -> std::borrow::Cow<'_, str> {
    match row.trim_start().strip_prefix("::") {
        None => row.into(),
        Some(rest) => {
            let indent = row.len() - row.trim_start().len();
            format!("{}\\u{{3a}}:{rest}", row.get(..indent).unwrap_or_default()).into()
        }
    }
}

/// One line for viewers that show text as it is: what would act is made visible.
pub fn visible_line(text: &str) -> String {
    visible(text, false, String::push)
}

/// As [`visible_line`], line ends stay.
pub fn visible_lines(text: &str) -> String {
    visible(text, true, String::push)
}

/// For a message of SARIF: `[text](target)` would be a link.
pub fn sarif(text: &str) -> String {
    visible_lines(text).replace("](", "] (")
}

/// For a description or directive of TAP: one line, `#` begins no directive.
pub fn tap(text: &str) -> String {
    visible(text, false, |out, c| {
        if matches!(c, '\\' | '#') {
            out.push('\\');
        }
        out.push(c);
    })
}

/// For the message of a workflow command of GitHub Actions.
pub fn github_data(text: &str) -> String {
    visible_line(text).replace('%', "%25")
}

/// For a property of a workflow command of GitHub Actions.
pub fn github_property(text: &str) -> String {
    github_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// For HTML text and for attribute values in double quotes; line ends stay.
pub fn html(text: &str) -> String {
    visible(text, true, |out, c| match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        c => out.push(c),
    })
}

/// For XML text and for attribute values in double quotes: only characters that XML 1.0 allows, line ends stay.
pub fn xml(text: &str) -> String {
    html(text).replace("&#39;", "&apos;")
}

/// For running text of Markdown: one line, no markup, no list, no links; nobody is mentioned and nothing referred to,
/// which services do behind the markup, in the text that is left of it: a space of no width parts the sign from the name.
pub fn markdown(text: &str) -> String {
    let text = visible_line(text);
    let text = text.trim();
    let mut out = String::with_capacity(text.len());
    let mut before = '\n';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let joins = chars.peek().is_some_and(|next| next.is_alphanumeric() || matches!(next, '"' | '_'));
        let ends = chars.peek().is_none_or(|next| *next == ' ');
        let linked = c == ':' && chars.peek() == Some(&'/');
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' | '$' | '@' => {
                out.push('\\');
                out.push(c);
            }
            '-' | '+' | '=' if before == '\n' && (ends || c == '=' || chars.peek() == Some(&c)) => {
                out.push('\\');
                out.push(c);
            }
            '.' if ends && before.is_ascii_digit() && out.bytes().all(|b| b.is_ascii_digit()) => out.push_str("\\."),
            c => out.push(c),
        }
        let www = c.eq_ignore_ascii_case(&'w') && before.eq_ignore_ascii_case(&'w') && chars.peek() == Some(&'.');
        let issue = c == '-' && before.eq_ignore_ascii_case(&'h') && chars.peek().is_some_and(char::is_ascii_digit);
        if linked || www || issue || (joins && matches!(c, '@' | '#' | '!' | '~' | '$' | '%' | '&')) {
            out.push_str("&#8203;");
        }
        before = c;
    }
    out
}

/// Text of Markdown that is shown letter by letter, for what people copy; not for table cells.
pub fn markdown_code(text: &str) -> String {
    let text = visible_line(text);
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let ticks = "`".repeat(longest + 1);
    let edge = |c: char| c == '`' || c == ' ';
    let pad = if text.is_empty() || text.starts_with(edge) || text.ends_with(edge) { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// As [`markdown_code`], for table cells.
pub fn markdown_cell(text: &str) -> String {
    markdown_code(text).replace('|', "\\|")
}

/// A Markdown code block that its content cannot close.
pub fn markdown_block(text: &str) -> String {
    let text = visible(text, true, String::push);
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// At most `limit` characters; what is left out is counted.
pub fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((at, _)) => {
            let (head, tail) = text.split_at(at);
            format!("{head}... ({} more characters)", tail.chars().count())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "\u{1b}[31m</script>```|@all\0\u{202e}\u{9b}2J\u{feff}\r\n&\"'";

    #[test]
    fn no_format_lets_an_acting_character_through() {
        for out in [terminal(HOSTILE), html(HOSTILE), xml(HOSTILE), markdown(HOSTILE), markdown_block(HOSTILE)] {
            assert!(!out.chars().any(|c| c != '\n' && acts(c)), "{out:?}");
            assert!(out.contains("u{1b}") || out.contains("u\\{1b\\}"), "{out:?}");
        }
        assert!(!terminal(HOSTILE).contains('\n'));
        assert!(!markdown(HOSTILE).contains('\n'));
    }

    #[test]
    fn html_keeps_no_markup() {
        assert_eq!(html("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    }

    #[test]
    fn markdown_block_is_longer_fenced_than_its_content() {
        assert!(markdown_block("a\n````\nb").starts_with("`````text\na\n````\nb\n`````\n"));
        assert!(markdown_block("a").starts_with("```text\n"));
    }

    #[test]
    fn markdown_text_breaks_no_table_and_mentions_nobody() {
        let out = markdown("a|b @x <b> `c` #12 https://a.b www.c");
        let wanted = "a\\|b \\@&#8203;x &lt;b&gt; \\`c\\` \\#&#8203;12 https:&#8203;//a.b www&#8203;.c";
        assert_eq!(out, wanted);
        assert_eq!(markdown("12. a"), "12\\. a");
        assert_eq!(markdown("  - a"), "\\- a");
    }

    #[test]
    fn clip_counts_what_it_leaves_out() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("äöüß", 3), "äöü... (1 more characters)");
    }

    #[test]
    fn letters_of_all_scripts_and_joined_emojis_stay() {
        for text in ["naïve", "日本語", "שלום", "👩\u{200d}💻"] {
            assert_eq!(terminal(text), text);
        }
    }
}
