//! Which snapshots that lost their scenario or step look like which new ones.

use super::compare::Alike;
use similar::TextDiff;

/// From which share of equal lines on two texts are taken for one: words that a scenario makes up change with its id.
const CLOSE: f32 = 0.9;

/// A snapshot under its former and its new name.
#[derive(Debug, PartialEq)]
pub(super) struct Renamed {
    from: String,
    to: String,
    equal: bool,
}

impl Renamed {
    /// The other one of the two, if this is one of them.
    pub(super) fn seen_from(&self, name: &str) -> Option<Alike> {
        let other = match name {
            name if name == self.from => &self.to,
            name if name == self.to => &self.from,
            _ => return None,
        };
        Some(Alike { name: other.clone(), equal: self.equal })
    }
}

/// Pairs what is gone with what is new, each `(name, text)`: first what is equal, then what is close and sends the same
/// request on the same app. Each is in one pair at most.
pub(super) fn find(gone: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<Renamed> {
    let mut pairs: Vec<Renamed> = Vec::new();
    for equal in [true, false] {
        for (from, old) in gone {
            if pairs.iter().any(|pair| pair.from == *from) {
                continue;
            }
            let free = new.iter().filter(|(to, _)| app(to) == app(from) && pairs.iter().all(|pair| pair.to != *to));
            let alike = free.filter_map(|(to, text)| Some((*to, likeness(old, text, equal)?)));
            // Of several, the one whose step has the same name.
            let best = alike.max_by(|a, b| {
                (a.1, step(a.0) == step(from))
                    .partial_cmp(&(b.1, step(b.0) == step(from)))
                    .unwrap_or(std::cmp::Ordering::Equal)
            });
            pairs.extend(best.map(|(to, _)| Renamed { from: (*from).to_owned(), to: to.to_owned(), equal }));
        }
    }
    pairs
}

fn likeness(old: &str, new: &str, equal: bool) -> Option<f32> {
    let (old, new) = (old.trim_end(), new.trim_end());
    if equal {
        return (old == new).then_some(1.0);
    }
    if old.lines().next() != new.lines().next() {
        return None;
    }
    Some(TextDiff::from_lines(old, new).ratio()).filter(|ratio| *ratio >= CLOSE)
}

fn app(name: &str) -> &str {
    name.rsplit_once('@').map_or("", |(_, app)| app)
}

fn step(name: &str) -> &str {
    let stem = name.rsplit_once('@').map_or(name, |(stem, _)| stem);
    stem.rsplit_once('.').map_or(stem, |(_, step)| step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(gone: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<(String, String, bool)> {
        find(gone, new).into_iter().map(|p| (p.from, p.to, p.equal)).collect()
    }

    #[test]
    fn equal_texts_are_paired_once_and_the_step_of_the_same_name_first() {
        let gone = [("old.a@chat", "GET /x\n"), ("old.b@chat", "GET /x")];
        let new = [("new.b@chat", "GET /x\n"), ("new.a@chat", "GET /x\n"), ("new.a@agent", "GET /x\n")];
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned(), true);
        assert_eq!(found(&gone, &new), [pair("old.a@chat", "new.a@chat"), pair("old.b@chat", "new.b@chat")]);
    }

    #[test]
    fn a_word_that_changed_with_the_id_does_not_hide_it_and_another_request_is_another_thing() {
        let text = |first: &str, word: &str| format!("{first}\n{}say {word}\n", "same line\n".repeat(30));
        let old = text("POST /chat-messages", "amber");
        let close = found(&[("old.a@chat", &old)], &[("new.a@chat", &text("POST /chat-messages", "birch"))]);
        assert_eq!(close, [("old.a@chat".to_owned(), "new.a@chat".to_owned(), false)]);
        assert_eq!(found(&[("old.a@chat", &old)], &[("new.a@chat", &text("POST /completion-messages", "amber"))]), []);
        assert_eq!(found(&[("old.a@chat", &old)], &[("new.a@chat", "POST /chat-messages\nelse\n")]), []);
    }
}
