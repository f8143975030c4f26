//! The kill matrix as a Markdown page: per rule the mutants that prove it, per mutant the rules that noticed, and the
//! healthy servers at the end.

use super::matrix::{Kill, Matrix};
use crate::rules::{Rule, catalogue};
use std::fmt::Write;

/// The whole page.
pub fn page(matrix: &Matrix) -> String {
    let mut out = String::from("# Kill matrix\n\n");
    let clean = matrix.kills.iter().filter(|k| k.clean()).count();
    let _ = writeln!(
        out,
        "Every mutant is the emulator with one promise broken; each must be noticed by exactly the rules that it breaks.\n\n\
         **{}**: {clean} of {} mutants killed by exactly the rules they break, {} of {} healthy servers without findings, \
         {} rules without a mutant.",
        if matrix.passes() { "PASS" } else { "FAIL" },
        matrix.kills.len(),
        matrix.healthy.iter().filter(|h| h.findings.is_empty()).count(),
        matrix.healthy.len(),
        matrix.unproven.len(),
    );
    trouble(&mut out, matrix);
    rules(&mut out, matrix);
    mutants(&mut out, matrix);
    healthy(&mut out, matrix);
    out
}

/// What is not as it must be, first.
fn trouble(out: &mut String, matrix: &Matrix) {
    let bad: Vec<&Kill> = matrix.kills.iter().filter(|k| !k.clean()).collect();
    if bad.is_empty() && matrix.unproven.is_empty() {
        return;
    }
    out.push_str("\n## Not in order\n\n");
    for kill in bad {
        let _ = writeln!(out, "- `{}`: {}", kill.mutant, cell(&state(kill)));
        for other in &kill.others {
            let _ = writeln!(out, "  - also noticed by {}", cell(other));
        }
    }
    for rule in &matrix.unproven {
        let _ = writeln!(out, "- `{rule}`: no mutant");
    }
}

/// Rules in the order of the catalogue; of a part of the matrix only those that it is about.
fn rules(out: &mut String, matrix: &Matrix) {
    let about = |rule: &&Rule| {
        let named = |k: &Kill| k.killed_by.iter().chain(&k.survived).any(|id| id == rule.id);
        matrix.kills.iter().any(named) || matrix.unproven.iter().any(|id| id == rule.id)
    };
    out.push_str("\n## Rules\n\n| rule | killed | survived |\n|---|---|---|\n");
    for rule in catalogue().filter(about) {
        let ids = |of: fn(&Kill) -> &Vec<String>| {
            let named = matrix.kills.iter().filter(|k| of(k).iter().any(|id| id == rule.id));
            named.map(|k| format!("`{}`", k.mutant)).collect::<Vec<_>>().join("<br>")
        };
        let _ = writeln!(out, "| `{}` | {} | {} |", rule.id, ids(|k| &k.killed_by), ids(|k| &k.survived));
    }
}

fn mutants(out: &mut String, matrix: &Matrix) {
    out.push_str("\n## Mutants\n\n| mutant | what it breaks | noticed by | state |\n|---|---|---|---|\n");
    for kill in &matrix.kills {
        let by: Vec<String> = kill.killed_by.iter().map(|id| format!("`{id}`")).collect();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            kill.mutant,
            cell(&kill.what),
            by.join("<br>"),
            cell(&state(kill))
        );
    }
}

fn state(kill: &Kill) -> String {
    let mut parts = Vec::new();
    parts.extend(kill.error.iter().map(|error| format!("could not be examined: {error}")));
    if !kill.survived.is_empty() {
        parts.push(format!("survived {}", kill.survived.join(", ")));
    }
    if !kill.others.is_empty() {
        parts.push(format!("noticed by {} other rules", kill.others.len()));
    }
    if parts.is_empty() {
        parts.push("killed".to_owned());
    }
    if kill.looks > 1 {
        parts.push(format!("look {}, alone", kill.looks));
    }
    parts.join("; ")
}

fn healthy(out: &mut String, matrix: &Matrix) {
    out.push_str("\n## Healthy servers\n\n");
    if matrix.healthy.is_empty() {
        out.push_str("Not examined: this is a part of the matrix.\n");
        return;
    }
    out.push_str("| profile | findings |\n|---|---|\n");
    for health in &matrix.healthy {
        let findings: Vec<String> = health.findings.iter().map(|f| cell(f)).collect();
        let told = if findings.is_empty() { "none".to_owned() } else { findings.join("<br>") };
        let _ = writeln!(out, "| `{}` | {told} |", health.profile);
    }
}

/// Text in a cell of a table: nothing of it is markup.
fn cell(text: &str) -> String {
    crate::report::escape::markdown(text)
}

#[cfg(test)]
mod tests {
    use super::super::matrix::Health;
    use super::*;

    fn kill(mutant: &str, killed_by: &[&str], survived: &[&str]) -> Kill {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        Kill {
            mutant: mutant.to_owned(),
            what: "says a | b".to_owned(),
            killed_by: owned(killed_by),
            survived: owned(survived),
            others: Vec::new(),
            error: None,
            looks: 1,
        }
    }

    fn health(findings: &[&str]) -> Health {
        Health { profile: "documented".into(), findings: findings.iter().map(|f| (*f).to_owned()).collect(), looks: 1 }
    }

    #[test]
    fn rules_and_mutants_meet_in_both_tables() {
        let kills =
            vec![kill("m/one", &["messages.order", "messages.has-more"], &[]), kill("m/two", &["messages.order"], &[])];
        let page = page(&Matrix { kills, healthy: vec![health(&[])], unproven: Vec::new() });
        assert!(page.contains("\n| `messages.order` | `m/one`<br>`m/two` |  |\n"), "{page}");
        assert!(
            page.contains("\n| `m/one` | says a \\| b | `messages.order`<br>`messages.has-more` | killed |\n"),
            "{page}"
        );
        assert!(page.contains("**PASS**: 2 of 2 mutants") && page.contains("\n| `documented` | none |\n"), "{page}");
        assert!(!page.contains("auth.") && !page.contains("Not in order"), "{page}");
    }

    #[test]
    fn what_survives_is_unproven_or_found_on_a_healthy_server_stands_out() {
        let kills = vec![kill("m/one", &[], &["messages.order"])];
        let page = page(&Matrix { kills, healthy: vec![health(&["a/b: c"])], unproven: vec!["auth.x".into()] });
        assert!(page.contains("**FAIL**: 0 of 1"), "{page}");
        assert!(page.contains("- `m/one`: survived messages.order\n- `auth.x`: no mutant\n"), "{page}");
        assert!(page.contains("\n| `messages.order` |  | `m/one` |\n"), "{page}");
        assert!(page.contains("\n| `documented` | a/b: c |\n"), "{page}");
    }

    #[test]
    fn a_part_of_the_matrix_says_that_healthy_servers_were_not_examined() {
        let page = page(&Matrix {
            kills: vec![kill("m", &["messages.order"], &[])],
            healthy: Vec::new(),
            unproven: Vec::new(),
        });
        assert!(page.contains("Not examined"), "{page}");
    }
}
