//! Orders of events: `(message | agent_message)+ message_end`.

use regex::Regex;

/// Why a pattern cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// Characters before the place at fault.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

/// A compiled order of events.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

#[derive(Clone, Copy, PartialEq)]
enum Last {
    Nothing,
    Operand,
    Repeated,
}

impl Pattern {
    /// Compiles a pattern of event names, `|`, `( )`, `*`, `+` and `?`.
    pub fn new(pattern: &str) -> Result<Pattern, PatternError> {
        let fail = |offset: usize, message: &str| PatternError { offset, message: message.to_owned() };
        let chars: Vec<char> = pattern.chars().collect();
        let mut regex = String::from("^(?:");
        let (mut open, mut last, mut at) = (Vec::new(), Last::Nothing, 0);
        while let Some(&c) = chars.get(at) {
            match c {
                ' ' | '\t' | '\n' => {}
                '(' => {
                    regex += "(?:";
                    open.push(at);
                    last = Last::Nothing;
                }
                ')' if open.is_empty() => return Err(fail(at, "`)` without its `(`")),
                ')' | '|' if last == Last::Nothing => return Err(fail(at, "an event name is missing here")),
                ')' => {
                    open.pop();
                    regex.push(')');
                    last = Last::Operand;
                }
                '|' => {
                    regex.push('|');
                    last = Last::Nothing;
                }
                '*' | '+' | '?' => {
                    match last {
                        Last::Nothing => return Err(fail(at, &format!("nothing before `{c}` to repeat"))),
                        Last::Repeated => return Err(fail(at, "repeated twice")),
                        Last::Operand => regex.push(c),
                    }
                    last = Last::Repeated;
                }
                c if is_name(c) => {
                    let name: String = chars.iter().skip(at).take_while(|c| is_name(**c)).collect();
                    at += name.len() - 1;
                    regex += &format!("(?:{name} )");
                    last = Last::Operand;
                }
                _ => return Err(fail(at, &format!("`{c}` has no meaning here"))),
            }
            at += 1;
        }
        if let Some(at) = open.pop() {
            return Err(fail(at, "`(` without its `)`"));
        }
        if last == Last::Nothing {
            return Err(fail(chars.len().saturating_sub(1), "an event name is missing here"));
        }
        regex += ")$";
        Regex::new(&regex).map(Pattern).map_err(|_| fail(0, "the pattern is too large"))
    }

    /// Whether the events, in this order and as a whole, fit.
    pub fn fits(&self, events: &[&str]) -> bool {
        // each name ends in a blank; other characters can then not make up a name
        let clean = |c: char| if is_name(c) { c } else { '?' };
        let text: String = events.iter().flat_map(|name| name.chars().map(clean).chain([' '])).collect();
        self.0.is_match(&text)
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Whether the events fit the pattern; false for a pattern that cannot be read (scenario files with one are refused).
pub fn matches(pattern: &str, events: &[&str]) -> bool {
    Pattern::new(pattern).is_ok_and(|p| p.fits(events))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_are_matched_over_the_whole_list() {
        let p = "(message | agent_message)+ message_end";
        assert!(matches(p, &["message", "agent_message", "message_end"]));
        assert!(!matches(p, &["message_end"]));
        assert!(!matches(p, &["message", "message_end", "message"]));
        assert!(!matches(p, &[]));
        assert!(matches("a* b?", &[]));
        assert!(matches("a | b c", &["b", "c"]) && !matches("a | b c", &["a", "c"]));
    }

    #[test]
    fn names_are_whole_words() {
        assert!(!matches("message", &["message_end"]));
        assert!(!matches("message_end", &["message", "_end"]));
        assert!(!matches("a b", &["a b"]));
    }

    #[test]
    fn wrong_patterns_say_where() {
        let at = |p| Pattern::new(p).err().map(|e| e.offset);
        assert_eq!(at("(a b"), Some(0));
        assert_eq!(at("a b)"), Some(3));
        assert_eq!(at("a | "), Some(3));
        assert_eq!(at("+ a"), Some(0));
        assert_eq!(at("a+?"), Some(2));
        assert_eq!(at("a, b"), Some(1));
        assert_eq!(at("a ()"), Some(3));
        assert_eq!(at(""), Some(0));
        assert!(!matches("(", &["a"]));
    }

    #[test]
    fn absurd_nesting_is_an_error() {
        assert!(Pattern::new(&format!("{}a{}", "(".repeat(5000), ")".repeat(5000))).is_err());
    }
}
