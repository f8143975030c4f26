//! Names that canonical texts have in place of ids: which name of A is which of B.
//!
//! Each side numbers its ids as they appear. A server that sends one id more has other numbers from there on, which is
//! no difference: names that first stand at the same place mean the same, and must go on doing so.

use regex::Regex;
use std::collections::HashMap;
use std::sync::LazyLock;

static NAME: LazyLock<Regex> = LazyLock::new(|| {
    let stems = "conv|msg|task|run|workflow|app|file|end-user|node-run|form|dataset|document|segment|annotation|thought|\
                 log|variable|feedback|user|id";
    Regex::new(&format!(r"\b(?:{stems})-[0-9]+\b")).expect("the pattern is a constant")
});

/// How two texts stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alike {
    /// The same, each side's names taken for what they mean.
    Same,
    /// The same words around ids that are not the same as before.
    OtherId,
    /// Other words.
    Different,
}

/// What was found to be the same so far in one scenario.
#[derive(Default)]
pub(super) struct Names {
    of_a: HashMap<String, String>,
    of_b: HashMap<String, String>,
}

impl Names {
    /// Compares two texts and learns from them.
    pub(super) fn alike(&mut self, a: &str, b: &str) -> Alike {
        if NAME.replace_all(a, "\0") != NAME.replace_all(b, "\0") {
            return Alike::Different;
        }
        let pairs = NAME.find_iter(a).zip(NAME.find_iter(b));
        let mut same = true;
        for (a, b) in pairs {
            same &= self.pair(a.as_str(), b.as_str());
        }
        if same { Alike::Same } else { Alike::OtherId }
    }

    fn pair(&mut self, a: &str, b: &str) -> bool {
        match (self.of_a.get(a), self.of_b.get(b)) {
            (None, None) => {
                self.of_a.insert(a.to_owned(), b.to_owned());
                self.of_b.insert(b.to_owned(), a.to_owned());
                true
            }
            (Some(known), _) => known == b,
            (None, Some(_)) => false,
        }
    }
}

/// A path of a request without the ids in it.
pub(super) fn without_names(path: &str) -> String {
    NAME.replace_all(path, "{id}").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_numbers_are_the_same_id_as_long_as_they_stay_the_same() {
        let mut names = Names::default();
        assert_eq!(names.alike("conv-1", "conv-2"), Alike::Same);
        assert_eq!(names.alike("see conv-1 of user-1", "see conv-2 of user-1"), Alike::Same);
        assert_eq!(names.alike("conv-1", "conv-1"), Alike::OtherId);
        assert_eq!(names.alike("conv-3", "conv-2"), Alike::OtherId);
        assert_eq!(names.alike("a conv-1", "the conv-2"), Alike::Different);
    }

    #[test]
    fn an_id_that_another_member_named_first_may_have_another_stem() {
        let mut names = Names::default();
        assert_eq!(names.alike("id-4", "run-1"), Alike::Same);
        assert_eq!(names.alike("end-user-1", "user-1"), Alike::Same);
        assert_eq!(without_names("/conversations/conv-12/name"), "/conversations/{id}/name");
    }
}
