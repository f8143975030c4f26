//! End users that come for the first time.
//!
//! Real servers look an end user up and insert it where there is none, without a lock. Requests that come while the
//! first one of a new user is still being dealt with insert it again, and only one of the rows is found later. Here the
//! twins are told apart by what they said, and the one found later does not depend on who came first.

use super::core::Core;
use super::fault::Fault;
use super::state::State;

/// The name that an app gave to the end user of this row.
pub(super) fn name_of(row: &str) -> &str {
    row.split('\u{0}').next().unwrap_or(row)
}

impl Core {
    /// The end user that a new conversation of `name` belongs to: the known one, or a row of its own.
    pub(super) fn end_user_row(&self, state: &mut State, name: &str, query: &str) -> String {
        if !self.behaviour.end_users_race && !self.broken(Fault::EndUserTwins) {
            return name.to_owned();
        }
        let newcomer = state.newcomers.entry(name.to_owned()).or_default();
        if newcomer.answered {
            return state.known_as(name).to_owned();
        }
        // no user name that comes as text over HTTP is spelled so
        let row = format!("{name}\u{0}{query}");
        newcomer.rows.insert(row.clone());
        row
    }
}

impl State {
    /// The row of an end user that is found by its name.
    pub fn known_as<'a>(&'a self, name: &'a str) -> &'a str {
        self.newcomers.get(name).and_then(|newcomer| newcomer.rows.first()).map_or(name, String::as_str)
    }

    /// The end user of this row was answered and is known from now on.
    pub fn make_known(&mut self, row: &str) {
        let name = name_of(row);
        if let Some(newcomer) = self.newcomers.get_mut(name) {
            newcomer.answered = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::config::{Config, Profile};

    fn rows(profile: Profile, answered: bool) -> (Vec<String>, String) {
        let core = Core::new(&Config { profile, ..Config::default() });
        let mut state = core.state(0);
        let first = core.end_user_row(&mut state, "anna", "b");
        if answered {
            state.make_known(&first);
        }
        let second = core.end_user_row(&mut state, "anna", "a");
        let known = state.known_as("anna").to_owned();
        (vec![first, second], known)
    }

    #[test]
    fn first_turns_side_by_side_are_of_several_end_users_of_which_one_is_found() {
        for profile in [Profile::Dify015, Profile::Dify112] {
            let (rows, known) = rows(profile, false);
            assert_ne!(rows[0], rows[1]);
            assert_eq!(known, rows[1], "the smaller one, whoever came first");
        }
    }

    #[test]
    fn a_user_who_was_answered_is_known() {
        let (rows, known) = rows(Profile::Dify112, true);
        assert_eq!([&rows[0], &rows[1]], [&known, &known]);
    }

    #[test]
    fn the_documented_server_knows_everybody_at_once() {
        assert_eq!(rows(Profile::Documented, false), (vec!["anna".to_owned(); 2], "anna".to_owned()));
    }
}
