//! The scenarios inside the binary.

use crate::scenario::{Diagnostic, ast::Scenario, parse};
use include_dir::{Dir, include_dir};
use std::sync::Arc;

static CONFORMANCE: Dir = include_dir!("$CARGO_MANIFEST_DIR/scenarios/conformance");

/// File name and text of every built-in conformance scenario, by name.
pub fn files() -> Vec<(String, &'static str)> {
    let yaml = CONFORMANCE.files().filter(|f| f.path().extension().is_some_and(|e| e == "yaml"));
    let named =
        yaml.filter_map(|f| Some((format!("scenarios/conformance/{}", f.path().display()), f.contents_utf8()?)));
    let mut files: Vec<_> = named.collect();
    files.sort();
    files
}

/// The built-in conformance suite.
///
/// # Errors
/// Diagnostics of a built-in file: a fault of ours, which a test keeps from shipping.
pub fn conformance() -> Result<Vec<Arc<Scenario>>, Vec<Diagnostic>> {
    files().iter().map(|(name, text)| parse(name, text).map(Arc::new)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AppMode;
    use crate::rules;

    #[test]
    fn every_built_in_scenario_is_clean_and_names_existing_rules() {
        for (name, text) in files() {
            let scenario =
                parse(&name, text).unwrap_or_else(|d| panic!("{}", crate::scenario::render_all(&d, text, false)));
            let problems = crate::scenario::lint_rules(&scenario, &|id| rules::find(id).is_some());
            assert_eq!(problems, [], "{name}");
        }
    }

    #[test]
    fn every_rule_is_exercised_by_a_scenario_for_each_chat_and_completion_app_it_is_about() {
        let suite = conformance().expect("clean");
        for rule in rules::catalogue() {
            for mode in [AppMode::Chat, AppMode::Completion].into_iter().filter(|m| rule.modes.contains(m)) {
                let exercised = suite.iter().any(|s| s.apps.contains(&mode) && s.rules.iter().any(|r| r == rule.id));
                let only_chat = matches!(rule.id, "sse.message-replace" | "sse.tts" | "chat.message-id.distinct");
                assert!(exercised || (only_chat && mode == AppMode::Completion), "{} on {mode}", rule.id);
            }
        }
    }
}
