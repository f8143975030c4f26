//! The catalogue: one row and one judge per rule, grouped by area of the API. Pure functions over recordings.

mod form;
mod grammar;
mod nodes;
mod notes;
mod offered;
mod pace;
mod parity;
mod request;
mod rule;
mod run;
mod runs;
mod seen;
mod stream;

mod agent;
mod annotations;
mod app_info;
mod audio;
mod authentication;
mod chatflow;
mod completion;
mod concurrency;
mod continuity;
mod conversation_id;
mod conversations;
mod echo;
mod errors;
mod feedback;
mod files;
mod human_input;
mod inputs;
mod messages;
mod requests;
mod sse_framing;
mod time;
mod usage;
mod variables;
mod workflow;
mod workflow_nodes;
mod workflow_runs;

mod app_isolation;
mod bodies;
mod failed_turns;
mod http;
mod input_form;
mod limits;
mod naming;
mod overload;
mod side_by_side;
mod slots;
mod stops;
mod users;
mod wrong_mode;

pub mod excluded;
pub mod judge;
pub mod tally;

pub use rule::{Judge, Load, Rule};

const AREAS: &[&[Rule]] = &[
    authentication::RULES,
    requests::RULES,
    completion::RULES,
    conversation_id::RULES,
    inputs::RULES,
    continuity::RULES,
    sse_framing::RULES,
    errors::RULES,
    messages::RULES,
    conversations::RULES,
    app_info::RULES,
    concurrency::RULES,
    usage::RULES,
    time::RULES,
    feedback::RULES,
    files::RULES,
    audio::RULES,
    annotations::RULES,
    chatflow::RULES,
    agent::RULES,
    workflow::RULES,
    workflow_nodes::RULES,
    workflow_runs::RULES,
    variables::RULES,
    human_input::RULES,
    users::RULES,
    bodies::RULES,
    input_form::RULES,
    limits::RULES,
    wrong_mode::RULES,
    stops::RULES,
    naming::RULES,
    failed_turns::RULES,
    side_by_side::RULES,
    overload::RULES,
    http::RULES,
    app_isolation::RULES,
    slots::RULES,
];

/// Every rule, in the order of reports.
pub fn catalogue() -> impl Iterator<Item = &'static Rule> {
    AREAS.iter().flat_map(|area| area.iter())
}

/// The rule with this id.
pub fn find(id: &str) -> Option<&'static Rule> {
    catalogue().find(|rule| rule.id == id)
}
