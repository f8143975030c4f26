//! The limit on generations side by side, and how some servers keep it badly.
//!
//! Real servers limit an app. Here each end user of an app has the limit to itself, so that requests of others do not
//! decide who is refused.

use super::core::Core;
use super::fault::Fault;
use super::first_contact::name_of;
use super::refusal::Refusal;
use super::state::State;

/// The limit where one is to be shown: below the crowds of the built-in scenarios, above everything else they do.
pub const TURNS_AT_ONCE: usize = 5;

impl Core {
    /// Refuses a generation that is one too many.
    pub(super) fn demand_slot(&self, app: usize, user: &str) -> Result<(), Refusal> {
        let Some(most) = self.turns_at_once else { return Ok(()) };
        let state = self.state(app);
        if under_way(&state, user) < most {
            return Ok(());
        }
        drop(state);
        let text = format!(
            "Too many requests. Please try again later. The current maximum concurrent requests allowed for {} is {most}.",
            super::messages::pseudo_uuid(&app)
        );
        Err(if self.broken(Fault::LimitSlips) {
            Refusal { message: text, ..Refusal::unknown(&self.behaviour) }
        } else if self.behaviour.limit_is_invalid_param || self.broken(Fault::LimitIsInvalidParam) {
            Refusal::invalid(text)
        } else {
            Refusal::new(429, "too_many_requests", text)
        })
    }

    /// The fault that never frees the slot of a streamed turn that was refused after all.
    pub(super) fn leak_slot(&self, app: usize, user: &str, streaming: bool) {
        if streaming && self.broken(Fault::SlotLeaked) {
            *self.state(app).slips.leaked.entry(user.to_owned()).or_default() += 1;
        }
    }
}

fn under_way(state: &State, user: &str) -> usize {
    let turns = state.running.values().filter(|running| name_of(&running.user) == user).count();
    let runs = state.memory.live.values().filter(|live| live.user == user).count();
    turns + runs + state.slips.leaked.get(user).copied().unwrap_or_default()
}
