//! Ids of the catalogue's plan that are not judged, each with the reason: they are listed, so that nobody takes them for
//! forgotten.

/// A promise that cannot be observed from outside with API keys alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// Dotted id, as a rule's.
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// Why it is not judged.
    pub reason: &'static str,
}

/// All of them, by id.
pub const EXCLUDED: &[Excluded] = &[
    Excluded {
        id: "auth.api-disabled.403",
        title: "An app whose API access is off, or whose workspace is archived, answers 403 `forbidden`",
        reason: "with the key of such an app GET /info is refused, too, so that there is nothing to examine: a check with it stops \
             at once and shows the 403; with the key of a working app the promise cannot be observed",
    },
    Excluded {
        id: "chat.isolation.webapp",
        title: "Conversations made in the web app are invisible to the Service API, and the other way round",
        reason: "a conversation of the web app cannot be made through the Service API, so there is nothing to look for: with an \
             API key alone the promise cannot be observed from outside",
    },
];

/// The entry with this id.
pub fn find(id: &str) -> Option<&'static Excluded> {
    EXCLUDED.iter().find(|e| e.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    #[test]
    fn what_is_excluded_has_a_reason_stands_once_and_is_no_rule() {
        for (index, entry) in EXCLUDED.iter().enumerate() {
            assert!(rules::find(entry.id).is_none(), "{} is judged", entry.id);
            assert!(!entry.title.is_empty() && entry.reason.len() > 20, "{}", entry.id);
            assert!(EXCLUDED.iter().skip(index + 1).all(|e| e.id > entry.id), "{} is not in order", entry.id);
        }
    }
}
