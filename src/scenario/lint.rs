//! What can be said about a scenario only with knowledge from outside: whether its rules exist.

use super::ast::Scenario;
use super::diagnostic::{Diagnostic, Problems};

/// Letters that rule ids are made of.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789-.";

/// One problem for each rule of the scenario that `known` does not know, with the rule that was probably meant.
pub fn lint_rules(scenario: &Scenario, known: &dyn Fn(&str) -> bool) -> Vec<Diagnostic> {
    let mut problems = Problems::new(&scenario.file);
    for (index, rule) in scenario.rules.iter().enumerate() {
        if known(rule) {
            if scenario.rules.iter().take(index).any(|r| r == rule) {
                let at = scenario.rules_at.get(index).copied().unwrap_or_default();
                problems.add(at, rule.chars().count() as u32, format!("rule `{rule}` is there twice"), "");
            }
            continue;
        }
        let at = scenario.rules_at.get(index).copied().unwrap_or_default();
        let help = match one_slip_away(rule, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`difyprobe rules list` shows all rules".to_owned(),
        };
        problems.add(at, rule.chars().count() as u32, format!("there is no rule `{rule}`"), help);
    }
    problems.finish()
}

/// The known rule that one slip of the pen makes into `rule`: a letter too few, too many, wrong or swapped, or two parts
/// swapped.
fn one_slip_away(rule: &str, known: &dyn Fn(&str) -> bool) -> Option<String> {
    let chars: Vec<char> = rule.chars().take(100).collect();
    let join = |parts: [&[char]; 3]| parts.concat().into_iter().collect::<String>();
    for at in 0..=chars.len() {
        let (before, rest) = chars.split_at(at);
        let without = rest.get(1..).unwrap_or_default();
        let mut tries = vec![join([before, &[], without])];
        if let [a, b, tail @ ..] = rest {
            tries.push(join([before, &[*b, *a], tail]));
        }
        for letter in LETTERS.chars() {
            tries.push(join([before, &[letter], without]));
            tries.push(join([before, &[letter], rest]));
        }
        if let Some(found) = tries.into_iter().find(|t| known(t)) {
            return Some(found);
        }
    }
    let mut parts: Vec<&str> = rule.split('.').collect();
    for at in 1..parts.len() {
        parts.swap(at - 1, at);
        let swapped = parts.join(".");
        if known(&swapped) {
            return Some(swapped);
        }
        parts.swap(at - 1, at);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    const KNOWN: [&str; 2] = ["chat.message-id.distinct", "chat.stop.ends"];

    fn lint(rules: &str) -> Vec<(u32, u32, String)> {
        let text = format!(
            "difyprobe: 1\nid: a\ntitle: t\ntarget: {{ app: chat }}\nrules: [{rules}]\nsteps: [{{ id: a, info: {{}} }}]\n"
        );
        let scenario = parse("a.yaml", &text).unwrap_or_else(|d| panic!("{d:?}"));
        let all = lint_rules(&scenario, &|rule| KNOWN.contains(&rule));
        all.into_iter()
            .map(|d| (d.at.column, d.width, format!("{}; {}", d.message, d.help.unwrap_or_default())))
            .collect()
    }

    #[test]
    fn unknown_rules_are_reported_at_their_place_with_what_was_meant() {
        assert_eq!(lint("chat.stop.ends, chat.message-id.distinct"), []);
        for slip in ["chat.stop.end", "chat.stop.endss", "chat.stop.edns", "chat-stop.ends", "stop.chat.ends"] {
            let found = lint(&format!("chat.message-id.distinct, {slip}"));
            let wanted = format!("there is no rule `{slip}`; did you mean `chat.stop.ends`?");
            assert_eq!(found, [(35, slip.len() as u32, wanted)]);
        }
        assert!(lint("sse.other")[0].2.contains("rules list"));
    }

    #[test]
    fn a_rule_given_twice_is_reported() {
        assert!(lint("chat.stop.ends, chat.stop.ends")[0].2.contains("twice"));
    }
}
