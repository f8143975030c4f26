//! What always happens at the end: the `finally` steps, then the deletion of conversations that are still there.

use super::call::{Built, deletion_call};
use super::document::Document;
use super::run::Walk;
use super::steps::{Halt, Lane, origin, run_step};
use crate::client::Place;
use crate::model::{Endpoint, Exchange, Route};
use crate::scenario::ast::At;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Step id of deletions that no step asked for.
const STEP: &str = "cleanup";

/// Notes what an exchange means for the clean-up: a conversation that now exists, or one that is gone.
pub(super) fn note(walk: &Walk<'_>, exchange: &Exchange, document: &Document<'_>, user: Option<&str>) {
    if !(200..300).contains(&exchange.status()) {
        return;
    }
    let base = base_path(&walk.session.target.base_url);
    let route = Route::of(&exchange.request.method, &exchange.request.target, base);
    let conversations = &mut walk.log().conversations;
    match route.endpoint {
        Endpoint::ChatMessages => {
            let id = document.member("conversation_id");
            if let (Some(id), Some(user)) = (id.and_then(Value::as_str), user) {
                let mine = (id.to_owned(), user.to_owned());
                if !id.is_empty() && !conversations.contains(&mine) {
                    conversations.push(mine);
                }
            }
        }
        // Deleting somebody else's conversation answers 2xx on some servers and may or may not delete it.
        Endpoint::ConversationDelete => {
            conversations.retain(|(id, owner)| !(route.ids.first() == Some(id) && user == Some(owner.as_str())))
        }
        _ => {}
    }
}

fn base_path(base_url: &str) -> &str {
    let after_scheme = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    after_scheme.find('/').and_then(|slash| after_scheme.get(slash..)).unwrap_or("")
}

/// Whether there is anything to clean up.
pub(super) fn is_due(walk: &Walk<'_>) -> bool {
    !walk.scenario.finally.is_empty() || !(walk.session.keep || walk.log().conversations.is_empty())
}

/// Runs the clean-up. After a stop it gets the session's grace time and no more, or less where the visit is in a hurry.
pub(super) async fn run(walk: &Walk<'_>, mut lane: Lane) {
    let patience = CancellationToken::new();
    lane.stop = patience.clone();
    let work = async {
        finally(walk, &mut lane).await;
        if !walk.session.keep {
            delete_rest(walk, &patience).await;
        }
    };
    let limit = async {
        walk.visit.stop.cancelled().await;
        tokio::select! {
            () = tokio::time::sleep(walk.session.grace) => {}
            () = hurried(walk) => {}
        }
        patience.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = work => {}
        () = limit => {}
    }
}

/// Ends when a visit that is in a hurry has no more time after the session's stop.
async fn hurried(walk: &Walk<'_>) {
    match walk.visit.hurry {
        None => std::future::pending().await,
        Some(time) => {
            walk.session.stop.cancelled().await;
            tokio::time::sleep(time).await;
        }
    }
}

/// All `finally` steps, also after one that fails. Their failed expectations count as clean-up failures.
async fn finally(walk: &Walk<'_>, lane: &mut Lane) {
    let before = walk.log().failures.len();
    for step in &walk.scenario.finally {
        match run_step(walk, lane, step).await {
            // Names that were never captured: there is nothing to clean up.
            Ok(()) | Err(Halt::CouldNotRun(_) | Halt::NotApplicable(_)) => {}
            Err(Halt::Broken(why)) => walk.log().cleanup_failures.push(why),
            Err(Halt::Unreachable(why)) => walk.log().cleanup_failures.push(format!("step `{}`: {why}", step.id)),
            Err(Halt::Stopped) => walk.log().cleanup_failures.push(format!("step `{}`: no time left", step.id)),
        }
    }
    let mut log = walk.log();
    let failures = log.failures.split_off(before);
    log.cleanup_failures.extend(failures.into_iter().map(|f| format!("{}: step `{}`: {}", f.place, f.step, f.message)));
}

async fn delete_rest(walk: &Walk<'_>, stop: &CancellationToken) {
    let rest = std::mem::take(&mut walk.log().conversations);
    for (id, user) in rest {
        let session = walk.session;
        let call = deletion_call(&session.target.base_url, walk.app, session.limits, &id, &user);
        let built = Built { call: Box::new(call), user: None, json: None, streams: false, place: Place::Queue };
        walk.log().requests += 1;
        let origin = origin(walk, STEP, At::default());
        let exchange = session.send(built, &walk.app.app.label, origin, None, stop).await;
        if let Some(problem) = problem(&exchange) {
            walk.log().left += 1;
            walk.log().cleanup_failures.push(format!("conversation {id} of user `{user}` was not deleted: {problem}"));
        }
    }
}

fn problem(exchange: &Exchange) -> Option<String> {
    match (exchange.status(), &exchange.fault) {
        // 404: somebody else deleted it.
        (200..300 | 404, None) => None,
        (status, None) => Some(format!("status {status}")),
        (_, Some(fault)) => Some(fault.detail.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::base_path;

    #[test]
    fn the_base_path_is_what_follows_the_host() {
        assert_eq!(base_path("http://127.0.0.1:5001/v1"), "/v1");
        assert_eq!(base_path("https://gateway/dify/v1"), "/dify/v1");
        assert_eq!(base_path("http://host"), "");
    }
}
