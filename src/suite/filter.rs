//! Which rules a run is about: `--only` and `--skip`, globs on rule ids and names of areas.

use crate::rules::{Rule, catalogue};
use crate::scenario::{ast::Scenario, closest};

/// The rules that were chosen; by default all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFilter {
    only: Vec<String>,
    skip: Vec<String>,
}

/// A choice of rules that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A pattern without a rule.
    #[error("--{option} {pattern}: no rule has such an id or area; {hint}")]
    Nothing {
        /// `only` or `skip`.
        option: &'static str,
        /// The pattern.
        pattern: String,
        /// What was perhaps meant.
        hint: String,
    },
    /// `--skip` takes away all that `--only` gives.
    #[error("--only and --skip together leave no rule")]
    Empty,
}

impl RuleFilter {
    /// A filter from patterns: `*` stands for any text, `?` for one character; the name of an area stands for its rules.
    ///
    /// # Errors
    /// A pattern that matches no rule, or no rule that is left.
    pub fn new(only: &[String], skip: &[String]) -> Result<RuleFilter, FilterError> {
        for (option, patterns) in [("only", only), ("skip", skip)] {
            for pattern in patterns {
                if !catalogue().any(|rule| names(pattern, rule)) {
                    return Err(FilterError::Nothing { option, pattern: pattern.clone(), hint: hint(pattern) });
                }
            }
        }
        let filter = RuleFilter { only: only.to_vec(), skip: skip.to_vec() };
        if catalogue().all(|rule| filter.left_out(rule).is_some()) {
            return Err(FilterError::Empty);
        }
        Ok(filter)
    }

    /// Why a rule is not part of the run; `None` where it is.
    pub fn left_out(&self, rule: &Rule) -> Option<String> {
        if let Some(pattern) = self.skip.iter().find(|p| names(p, rule)) {
            return Some(format!("not selected: --skip {pattern}"));
        }
        let chosen = self.only.is_empty() || self.only.iter().any(|p| names(p, rule));
        (!chosen).then(|| format!("not selected: --only {}", self.only.join(",")))
    }

    /// Whether a scenario exercises a rule of the run. One that names no rules stands for itself: `--skip` does not mean it,
    /// `--only` does not either.
    pub fn wants(&self, scenario: &Scenario) -> bool {
        let chosen = |id: &String| crate::rules::find(id).is_some_and(|rule| self.left_out(rule).is_none());
        scenario.rules.iter().any(chosen) || (scenario.rules.is_empty() && self.only.is_empty())
    }

    /// Whether every rule is chosen.
    pub fn is_all(&self) -> bool {
        self.only.is_empty() && self.skip.is_empty()
    }
}

fn names(pattern: &str, rule: &Rule) -> bool {
    matches(pattern, rule.id) || matches(pattern, rule.area)
}

/// Whether a text is the one of a glob: `*` stands for any text, `?` for one character.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // where to go on if what follows the last `*` does not fit: a character further on
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(c) if *c == '?' || text.get(t) == Some(c) => (p, t) = (p + 1, t + 1),
            _ => match retry {
                Some((after, from)) => {
                    (p, t) = (after, from + 1);
                    retry = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// The closest id, area or beginning of ids.
fn hint(pattern: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for rule in catalogue() {
        words.extend([rule.id.to_owned(), rule.area.to_owned()]);
        words.extend(rule.id.match_indices('.').filter_map(|(at, _)| Some(format!("{}.*", rule.id.get(..at)?))));
    }
    match closest(pattern, words.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`difyprobe rules list` shows areas and ids; `*` stands for any text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::find;

    fn filter(only: &[&str], skip: &[&str]) -> Result<RuleFilter, FilterError> {
        let owned = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        RuleFilter::new(&owned(only), &owned(skip))
    }

    #[test]
    fn globs_match_whole_texts() {
        for (pattern, text, wanted) in [
            ("*", "a.b", true),
            ("a.*", "a.b.c", true),
            ("a.*", "ab.c", false),
            ("*.c", "a.b.c", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("*b*b", "abab", true),
            ("a.?", "a.b", true),
            ("a.?", "a.bc", false),
            ("a.b", "a.b.c", false),
            ("", "a", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn only_and_skip_choose_by_id_and_by_area() {
        let has_more = find("messages.has-more").expect("a rule");
        let bearer = find("auth.scheme.bearer-only").expect("a rule");
        let chosen = filter(&["authentication", "messages.*"], &["*.has-more"]).expect("rules");
        assert_eq!(chosen.left_out(bearer), None);
        assert_eq!(chosen.left_out(has_more).as_deref(), Some("not selected: --skip *.has-more"));
        let other = filter(&["auth.*"], &[]).expect("rules");
        assert_eq!(other.left_out(has_more).as_deref(), Some("not selected: --only auth.*"));
        assert!(RuleFilter::default().is_all() && !other.is_all());
        assert!(catalogue().all(|r| RuleFilter::default().left_out(r).is_none()));
    }

    #[test]
    fn patterns_without_a_rule_are_refused_with_what_was_perhaps_meant() {
        for (pattern, near) in [
            ("mesages.*", "did you mean `messages.*`?"),
            ("messages.has-mor", "did you mean `messages.has-more`?"),
            ("authentification", "did you mean `authentication`?"),
            ("xyzzy", "`difyprobe rules list`"),
        ] {
            let error = filter(&[], &[pattern]).expect_err("no such rule").to_string();
            assert!(error.starts_with(&format!("--skip {pattern}: ")) && error.contains(near), "{error}");
        }
        assert_eq!(filter(&["auth.*"], &["authentication"]), Err(FilterError::Empty));
    }
}
