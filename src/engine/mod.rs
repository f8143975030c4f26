//! The only place that names goose: launches virtual users, deals them their scenarios, stops them.
//!
//! goose starts the users and waits for their end. Everything else is ours: one goose transaction is the whole life of a
//! virtual user, flows are stopped by a token that every await sees, a panic is caught and counted. goose prints nothing,
//! listens on nothing and measures nothing here.

mod attack;
mod life;
mod plan;
mod silence;

pub use attack::{EngineError, interrupt};
pub use life::EngineResult;
pub use plan::{Job, Plan, Shape, schedule};

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
