//! Ids and users of which a server repeats only the ends, as in `'user': 'dif...7-chat-0'`: pydantic shortens what it
//! quotes in an error text.

use regex::{Captures, Regex};
use std::sync::LazyLock;

/// Shorter pieces tell nothing about the run, and could be the end of anything.
const SHORTEST_PIECE: usize = 3;

static CUT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"'([^']*?)\.\.\.([^']*)'").expect("the pattern is a constant"));

/// Replaces the pieces beside an ellipsis inside quotes by `[start of NAME]` and `[end of NAME]`, where one of the
/// `whole` values (with their names) begins or ends so.
pub(super) fn replace(text: &str, whole: &[(String, String)]) -> String {
    let shown = |found: &Captures<'_>| {
        let piece = |n: usize| found.get(n).map_or("", |m| m.as_str());
        let (start, end) = (piece(1), piece(2));
        let long = |piece: &str| piece.len() >= SHORTEST_PIECE;
        let starts = whole.iter().find(|(value, _)| long(start) && value.starts_with(start));
        let ends = whole.iter().find(|(value, _)| long(end) && value.ends_with(end));
        let start = starts.map_or_else(|| start.to_owned(), |(_, name)| format!("[start of {name}]"));
        let end = ends.map_or_else(|| end.to_owned(), |(_, name)| format!("[end of {name}]"));
        format!("'{start}...{end}'")
    };
    CUT.replace_all(text, shown).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let whole = [("difyprobe-1a2b-x-0", "user-1"), ("2c855157-77d2-4eac-8fed-0ebd7c1811f6", "conv-1")];
        let whole: Vec<_> = whole.iter().map(|(value, name)| ((*value).to_owned(), (*name).to_owned())).collect();
        replace(text, &whole)
    }

    #[test]
    fn pieces_of_users_and_ids_beside_an_ellipsis_are_named() {
        assert_eq!(shown("{'user': 'dif...b-x-0'}"), "{'user': '[start of user-1]...[end of user-1]'}");
        assert_eq!(shown("{'user': 'difyprobe-1...-x-0'}"), "{'user': '[start of user-1]...[end of user-1]'}");
        assert_eq!(shown("{'name': 'a', 'user': '...b-x-0'}"), "{'name': 'a', 'user': '...[end of user-1]'}");
        assert_eq!(shown("{'conversation_id': '2c855...e': 5}"), "{'conversation_id': '[start of conv-1]...e': 5}");
    }

    #[test]
    fn other_texts_with_an_ellipsis_stay() {
        for text in ["{'que...ing'}", "wait... 'what?'", "difyprobe-1a2b-x-0...", "'...'"] {
            assert_eq!(shown(text), text);
        }
    }
}
