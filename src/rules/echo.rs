//! What to say where only an app that repeats what it is given can show a rule.

/// Where a person finds such apps.
const WHERE: &str = "needs an echo app (docs/probe-apps.md)";

/// A reason for `absent`: what was missing, and the remedy.
pub(super) fn needs_echo(missing: &str) -> String {
    format!("{missing}; {WHERE}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_remedy_is_a_page_that_exists() {
        let page = super::WHERE.split(['(', ')']).nth(1).expect("a page in brackets");
        assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page).is_file(), "{page}");
    }
}
