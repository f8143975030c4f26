//! End users that come for the first time.
//!
//! Real servers look an end user up and insert it where there is none, without a lock. Requests that come while the
//! first one of a new user is still being dealt with insert it again, and only one of the rows is found later.

use super::core::Core;
use super::fault::Fault;
use super::state::{Moment, Newcomer, State};

/// How long a new end user can stay unseen by other requests.
const UNSEEN_US: u64 = 250_000;

impl Core {
    /// The end user that a new conversation of `name` belongs to: `name` itself, or a twin nobody finds again.
    pub(super) fn end_user(&self, state: &mut State, name: &str, now: Moment) -> String {
        if !self.behaviour.end_users_race && !self.broken(Fault::EndUserTwins) {
            return name.to_owned();
        }
        match state.newcomers.get_mut(name) {
            None => {
                let newcomer = Newcomer { came: now, answered: false, twins: 0 };
                state.newcomers.insert(name.to_owned(), newcomer);
                name.to_owned()
            }
            Some(newcomer) if !newcomer.answered && now.0 < newcomer.came.0 + UNSEEN_US => {
                newcomer.twins += 1;
                // no user name that comes as text over HTTP is spelled so
                format!("{name}\u{0}{}", newcomer.twins)
            }
            Some(_) => name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::config::{Config, Profile};

    fn core(profile: Profile) -> Core {
        Core::new(&Config { profile, ..Config::default() })
    }

    #[test]
    fn requests_beside_the_first_one_of_a_new_user_get_end_users_of_their_own() {
        let core = core(Profile::Dify112);
        let mut state = core.state(0);
        let mut at = |us| core.end_user(&mut state, "anna", Moment(us));
        assert_eq!(at(0), "anna");
        assert_ne!(at(1_000), "anna");
        assert_eq!(at(UNSEEN_US), "anna");
    }

    #[test]
    fn a_user_who_was_answered_is_known() {
        let core = core(Profile::Dify015);
        let mut state = core.state(0);
        assert_eq!(core.end_user(&mut state, "anna", Moment(0)), "anna");
        state.newcomers.get_mut("anna").unwrap().answered = true;
        assert_eq!(core.end_user(&mut state, "anna", Moment(1)), "anna");
    }

    #[test]
    fn the_documented_server_knows_everybody_at_once() {
        let core = core(Profile::Documented);
        let mut state = core.state(0);
        assert_eq!(core.end_user(&mut state, "anna", Moment(0)), "anna");
        assert_eq!(core.end_user(&mut state, "anna", Moment(0)), "anna");
    }
}
