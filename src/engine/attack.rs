//! goose, built from data.

use super::silence;
use crate::store::BarrierError;
use goose::GooseAttack;
use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::goose::{Scenario, Transaction, TransactionFunction};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Why a plan could not be run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The plan has nothing to run.
    #[error("the plan has no {0}")]
    Nothing(&'static str),
    /// goose refused.
    #[error("goose failed to run: {0}")]
    Goose(Box<goose::GooseError>),
    /// The arrivals of an open load could not be computed.
    #[error("the schedule of the load failed; please report this")]
    Schedule,
    /// The shards cannot meet.
    #[error("the shards cannot start together: {0}")]
    Barrier(#[from] BarrierError),
    /// Some shards did not come.
    #[error("shard {} did not come to '{}' within {waited:?}; start all shards, or wait longer", list(shards), folder.display())]
    Alone {
        /// Where they were to meet.
        folder: PathBuf,
        /// Which ones, ascending.
        shards: Vec<u32>,
        /// How long this one waited.
        waited: Duration,
    },
    /// The agreed start is over.
    #[error("the agreed start was {by:?} ago; name a later one, and check that all clocks agree")]
    Late {
        /// How long ago.
        by: Duration,
    },
}

fn list(shards: &[u32]) -> String {
    shards.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

impl From<goose::GooseError> for EngineError {
    fn from(error: goose::GooseError) -> Self {
        EngineError::Goose(Box::new(error))
    }
}

/// Stops a run: flows at their next await, goose at its next look.
///
/// The token is what counts. goose's switch is one per process and also stops the launching of users, which is why a run
/// of many thousand users ends sooner by it.
pub fn interrupt(stop: &CancellationToken) {
    stop.cancel();
    goose::trigger_killswitch("interrupted");
}

/// The whole life of one virtual user.
pub(super) type Life = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Virtual users of the same kind.
pub(super) struct Crew {
    pub name: String,
    pub users: usize,
    pub life: Life,
}

/// Launches every user of every crew and returns when all their lives have ended and goose has noticed, which takes it up
/// to half a second.
pub(super) async fn launch(crews: Vec<Crew>) -> Result<(), EngineError> {
    silence::install();
    let users = crews.iter().map(|c| c.users).sum();
    if users == 0 {
        return Err(EngineError::Nothing("virtual users"));
    }
    let mut attack = GooseAttack::initialize_with_config(configuration(users))?
        // Makes goose build one HTTP client in all, which nobody uses, instead of one per user. Without a need for
        // certificates it does not load those of the system, which takes milliseconds and a megabyte.
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies().accept_invalid_certs(true))?;
    for crew in crews.into_iter().filter(|c| c.users > 0) {
        // Weights in proportion to the users deal exactly that many users to each scenario.
        let scenario = Scenario::new(&crew.name).set_weight(crew.users)?;
        let transaction = Transaction::new(transaction(crew.life)).set_name("life");
        attack = attack.register_scenario(scenario.register_transaction(transaction));
    }
    attack.execute().await?;
    Ok(())
}

fn configuration(users: usize) -> GooseConfiguration {
    let mut configuration = GooseConfiguration::default();
    // Never contacted; goose wants one.
    configuration.host = Some("http://localhost/".to_owned());
    configuration.users = Some(users);
    // The default is one user per second.
    configuration.increase_rate = Some("1000000".to_owned());
    configuration.quiet = 1;
    configuration.no_telnet = true;
    configuration.no_metrics = true;
    configuration.no_print_metrics = true;
    configuration
}

fn transaction(life: Life) -> TransactionFunction {
    Arc::new(move |user| {
        let life = Arc::clone(&life);
        Box::pin(async move {
            // A run that is limited to one iteration from the start prints a line on stdout. Set here, the limit has the
            // same effect: the user leaves after this transaction, and the run ends with the last user.
            user.config.iterations = Some(1);
            life().await;
            Ok(())
        })
    })
}
