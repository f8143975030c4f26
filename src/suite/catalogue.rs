//! The text of docs/rules.md: the catalogue's rows with what exercises and what proves them. A test keeps the file equal.

use crate::emulator::{Mutant, all_mutants};
use crate::model::AppMode;
use crate::profile::PROFILES;
use crate::rules::excluded::EXCLUDED;
use crate::rules::{Load, Rule, catalogue};
use crate::scenario::ast::Scenario;
use std::fmt::Write;
use std::sync::Arc;

const HEAD: &str = "# Rules\n\n\
    What `difyprobe check` judges. This page is generated from the rows in `src/rules/` (`UPDATE_GOLDEN=1 cargo test --test it \
    rules_doc` writes it anew); `difyprobe rules explain ID` shows the same for one rule.\n\n\
    **Level** is that of the source's word: a `must` that does not hold fails the run, a `should` or `may` warns.\n\n\
    **Source** says where the sentence comes from:\n\n\
    | word | stands for |\n|---|---|\n\
    | spec | Dify's official OpenAPI file of the service API, as of mid-2026 |\n\
    | guide, documentation | Dify's official API guides; with \"to July 2026\" the wording before it was changed then |\n\
    | src | the source of the Dify server, 1.12.1 unless another version is named |\n\
    | PR, issue, # and a number | pull requests and issues of langgenius/dify |\n\
    | RFC 9110, WHATWG | the standards of HTTP and of event streams |\n\n\
    **Tested** is what the built-in scenarios do to see the rule. **Mutants** are the faulty servers (`difyprobe selftest`) that the \
    rule must notice. **Known deviations** are what a version profile expects to differ; they are shown and counted, and red only with \
    `--strict`.\n";

/// The whole page. `suite` is the built-in suite, to say which scenarios exercise a rule.
pub fn page(suite: &[Arc<Scenario>]) -> String {
    let mut out = HEAD.to_owned();
    let mut areas: Vec<&str> = Vec::new();
    for rule in catalogue() {
        if !areas.contains(&rule.area) {
            areas.push(rule.area);
        }
    }
    let _ = write!(out, "\n{} rules in {} areas.\n", catalogue().count(), areas.len());
    for area in areas {
        let _ = write!(out, "\n## {area}\n\n| rule | level | title |\n|---|---|---|\n");
        for rule in catalogue().filter(|r| r.area == area) {
            let anchor: String = rule.id.chars().filter(|c| *c != '.').collect();
            let title = plain(rule.title).replace('|', "\\|");
            let _ = writeln!(out, "| [`{}`](#{anchor}) | {} | {title} |", rule.id, rule.level.as_str());
        }
        for rule in catalogue().filter(|r| r.area == area) {
            section(&mut out, rule, suite);
        }
    }
    excluded(&mut out);
    out
}

fn excluded(out: &mut String) {
    if EXCLUDED.is_empty() {
        return;
    }
    out.push_str("\n## Not judged\n\nPromises of the documentation that no run can show, each with the reason.\n\n");
    out.push_str("| id | title | why it is not judged |\n|---|---|---|\n");
    for entry in EXCLUDED {
        let cell = |text| plain(text).replace('|', "\\|");
        let _ = writeln!(out, "| `{}` | {} | {} |", entry.id, cell(entry.title), cell(entry.reason));
    }
}

fn section(out: &mut String, rule: &Rule, suite: &[Arc<Scenario>]) {
    let _ = write!(out, "\n### {}\n\n{}\n\n", rule.id, plain(rule.statement));
    let _ = writeln!(out, "- level: {}", rule.level.as_str());
    let _ = writeln!(out, "- source: {}", plain(rule.source));
    let _ = writeln!(out, "- apps: {}", apps(rule.modes));
    let _ = writeln!(out, "- tested: {}", plain(rule.tested));
    if let Some(versions) = rule.versions {
        let _ = writeln!(out, "- versions: {}", plain(versions));
    }
    let _ = writeln!(out, "- under load: {}", under_load(rule.load));
    let exercised = suite.iter().filter(|s| s.rules.iter().any(|r| r == rule.id)).map(|s| format!("`{}`", s.id));
    let _ = writeln!(out, "- scenarios: {}", exercised.collect::<Vec<_>>().join(", "));
    let _ = writeln!(out, "- mutants:");
    for Mutant { id, what, bug, .. } in all_mutants().filter(|m| m.victims.contains(&rule.id)) {
        let seen = bug.map(|bug| format!(" (seen in Dify: {bug})")).unwrap_or_default();
        let _ = writeln!(out, "  - `{id}`: {}{seen}", plain(what));
    }
    let known: Vec<String> = PROFILES
        .iter()
        .flat_map(|p| p.all_known().map(move |k| (p.id, k)))
        .filter(|(_, k)| k.rule == rule.id)
        .map(|(profile, k)| format!("  - `{profile}`: {} ({})\n", plain(k.reason), plain(k.source)))
        .collect();
    if !known.is_empty() {
        let _ = write!(out, "- known deviations:\n{}", known.concat());
    }
}

fn apps(modes: &[AppMode]) -> String {
    if modes.len() == AppMode::ALL.len() {
        return "all".to_owned();
    }
    modes.iter().map(|m| m.as_str()).collect::<Vec<_>>().join(", ")
}

fn under_load(load: Load) -> &'static str {
    match load {
        Load::No => "not judged",
        Load::Sampled => "judged on sampled conversations",
        Load::Every => "judged on every response",
    }
}

/// The catalogue's text as Markdown: code in backticks stays as it is, elsewhere nothing is markup.
pub(super) fn plain(text: &str) -> String {
    let balanced = text.matches('`').count().is_multiple_of(2);
    let mut code = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '`' && balanced {
            code = !code;
        } else if !code && matches!(c, '`' | '<' | '>' | '*' | '_' | '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_outside_of_code_is_escaped_and_code_is_left_alone() {
        assert_eq!(plain("a_b `c_d` <e>"), r"a\_b `c_d` \<e\>");
        assert_eq!(plain("odd ` tick"), r"odd \` tick");
    }
}
