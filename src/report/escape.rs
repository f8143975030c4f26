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
pub fn terminal(text: &str) -> String {
    visible(&clip(text, TERMINAL_CHARS), false, String::push)
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

/// For JUnit XML: only characters that XML 1.0 allows. Entities are the XML writer's part.
pub fn xml(text: &str) -> String {
    visible(text, true, String::push)
}

/// For running text and table cells of Markdown: one line, no markup, no mentions.
pub fn markdown(text: &str) -> String {
    visible(text, false, |out, c| match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '@' => out.push_str("&#64;"),
        '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' | '$' => {
            out.push('\\');
            out.push(c);
        }
        c => out.push(c),
    })
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
        let out = markdown("a|b @x <b> `c`");
        assert_eq!(out, "a\\|b &#64;x &lt;b&gt; \\`c\\`");
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
