//! The mutants at the edge of an app: keys of something else, requests that are one too many.

use super::config::AppKind::ChatPlain;
use super::fault::Fault;
use super::mutants::{Mutant, mutant};

/// Every mutant about keys of something else, and about limits.
pub fn edge_mutants() -> &'static [Mutant] {
    EDGE_MUTANTS
}

// one row per mutant: switch and name, victims, what it does, where
#[rustfmt::skip]
static EDGE_MUTANTS: &[Mutant] = &[
    // keys of something else
    mutant(Fault::ConversationsOfAnyApp, "chat.isolation.app/read-by-id",
        &["chat.isolation.app"],
        "GET /messages shows the conversations of any app").of(ChatPlain),
    mutant(Fault::DatasetKeyOnParameters, "auth.wrong-key-type.401/parameters",
        &["auth.wrong-key-type.401", "auth.invalid-key.401", "auth.every-endpoint"],
        "GET /parameters takes any key that starts with `dataset-`"),
    // limits
    mutant(Fault::LimitIsInvalidParam, "rate.429.too-many/400",
        &["rate.429.too-many"],
        "a generation that is one too many is 400 `invalid_param`"),
    mutant(Fault::SlotLeaked, "rate.slot-released/refused-turns",
        &["rate.slot-released"],
        "a streamed turn that is refused keeps its place for ever").seen("PR 11540"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_named_after_its_first_victim() {
        for mutant in edge_mutants() {
            assert_eq!(mutant.id.split('/').next(), mutant.victims.first().copied(), "{}", mutant.id);
        }
    }
}
