//! The only place that names goose: launches virtual users, deals them their scenarios, stops them.
//!
//! goose starts the users and waits for their end. Everything else is ours: one goose transaction is the whole life of a
//! virtual user, flows are stopped by a token that every await sees, a panic is caught and counted. goose prints nothing,
//! listens on nothing and measures nothing here.

mod arrivals;
mod attack;
mod count;
mod desk;
mod gate;
mod life;
mod load;
mod plan;
mod silence;
mod staff;
mod start;

pub use attack::{EngineError, interrupt};
pub use count::{Begun, EngineResult};

pub use plan::{Arrival, Job, Load, Model, Plan, Shape, schedule};
pub use start::{Start, StartAt, Started};

use crate::flow::{ScenarioRun, Session, Visit, run_scenario};
use std::pin::Pin;
use std::sync::Arc;

/// One way through the scenario of a job.
type Flow = Arc<dyn Fn(Job, Visit) -> Pin<Box<dyn Future<Output = ScenarioRun> + Send>> + Send + Sync>;

/// Runs a plan to its end, or until the session's token fires.
///
/// # Errors
/// A plan without jobs or users, or goose refusing to start.
pub async fn run(plan: Plan, session: Arc<Session>) -> Result<EngineResult, EngineError> {
    let shared = Arc::clone(&session);
    let flow: Flow = Arc::new(move |job, visit| {
        let session = Arc::clone(&shared);
        Box::pin(async move { run_scenario(&session, &job.scenario, job.app, visit).await })
    });
    life::run(plan, session, flow).await
}
