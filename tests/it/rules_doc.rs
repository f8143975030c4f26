//! docs/rules.md says what the catalogue's rows say.

use difyprobe::emulator::all_mutants;
use difyprobe::rules::catalogue;
use difyprobe::suite::{builtin, catalogue::page, profiles_page, real_bugs};
use std::path::Path;

/// `UPDATE_GOLDEN=1` writes the page anew (read the difference before you commit it).
#[test]
fn the_page_of_the_rules_is_the_one_generated_from_the_catalogue() {
    let suite = builtin::conformance().expect("the built-in scenarios are clean");
    let wanted = page(&suite);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &wanted).expect("docs/ can be written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == wanted,
        "docs/rules.md is stale: run the tests once with UPDATE_GOLDEN=1 and review the difference"
    );
}

#[test]
fn the_page_names_every_rule_every_mutant_and_every_scenario() {
    let suite = builtin::conformance().expect("the built-in scenarios are clean");
    let page = page(&suite);
    for rule in catalogue() {
        assert!(page.contains(&format!("\n### {}\n", rule.id)), "{}", rule.id);
    }
    for mutant in all_mutants() {
        assert!(page.contains(&format!("  - `{}`: ", mutant.id)), "{}", mutant.id);
    }
    for scenario in suite.iter().filter(|s| !s.rules.is_empty()) {
        assert!(page.contains(&format!("`{}`", scenario.id)), "{}", scenario.id);
    }
}

/// `UPDATE_GOLDEN=1` writes the page anew (read the difference before you commit it).
#[test]
fn the_page_of_real_bugs_is_the_one_generated_from_the_mutants() {
    let wanted = real_bugs::page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/real-bugs.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &wanted).expect("docs/ can be written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == wanted, "docs/real-bugs.md is stale: run the tests once with UPDATE_GOLDEN=1 and review it");
}

/// `UPDATE_GOLDEN=1` writes the page anew (read the difference before you commit it).
#[test]
fn the_page_of_profiles_is_the_one_generated_from_their_rows() {
    let wanted = profiles_page::page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/profiles.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &wanted).expect("docs/ can be written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == wanted, "docs/profiles.md is stale: run the tests once with UPDATE_GOLDEN=1 and review it");
    for profile in difyprobe::profile::PROFILES {
        assert!(wanted.contains(&format!("| `{}` |", profile.id)), "{}", profile.id);
        for known in profile.all_known() {
            assert!(wanted.contains(&format!("| [`{}`]", known.rule)), "{}", known.rule);
        }
    }
}
