//! The environment variables that make insta a library instead of a test helper.

use std::ffi::OsString;

/// Prepares insta for use outside tests: no panic on a difference, no output, changes go to `.snap.new` also where `CI`
/// is set, no child process. Must be called first thing in `main`, before any thread is started.
///
/// Variables that the user set stay as they are, but for `INSTA_FORCE_PASS`: without it insta would panic.
pub fn prepare_environment() {
    set("INSTA_FORCE_PASS", "1".into());
    let mut defaults: Vec<(&str, OsString)> = vec![("INSTA_OUTPUT", "none".into()), ("INSTA_UPDATE", "new".into())];
    if let Ok(here) = std::env::current_dir() {
        defaults.push(("INSTA_WORKSPACE_ROOT", here.into()));
    }
    for (name, value) in defaults {
        if std::env::var_os(name).is_none() {
            set(name, value);
        }
    }
}

#[allow(unsafe_code)] // insta takes these settings from the environment only
fn set(name: &str, value: OsString) {
    // SAFETY: called by `prepare_environment` only, whose contract is that no other thread runs yet, so nothing reads
    // the environment at the same time.
    unsafe { std::env::set_var(name, value) }
}
