//! The first requests: which apps do these keys open, and what do they declare.

use super::call::{Built, own_call};
use super::probe::{DiscoveryError, body_of, code, told_mode};
use super::session::{Session, SessionOptions, Sink};
use super::target::{AppTarget, Target};
use super::url;
use crate::client::Place;
use crate::model::{App, AppMode, Exchange, Origin, parse_form};
use serde_json::{Value, json};
use std::sync::Arc;

/// Scenario name of discovery's exchanges.
pub const SCENARIO: &str = "discovery";

/// A key as the user gave it.
#[derive(Clone)]
pub struct Given {
    /// Name in reports, where the user chose one; else the mode.
    pub label: Option<String>,
    /// The API key.
    pub key: String,
    /// Mode, where the user told it.
    pub mode: Option<AppMode>,
}

/// What discovery found.
pub struct Discovery {
    /// The server and its apps.
    pub target: Target,
    /// The requests that were sent, scenario `discovery`, in order.
    pub exchanges: Vec<Exchange>,
    /// Things a reader of the report should know.
    pub notes: Vec<String>,
}

/// Why discovery came to nothing, and what was exchanged until then.
#[derive(Debug)]
pub struct Undiscovered {
    /// What makes the target unusable.
    pub error: DiscoveryError,
    /// The requests that were sent, in order.
    pub exchanges: Vec<Exchange>,
}

/// As [`explore`], without the recording of a failure.
///
/// # Errors
/// The first thing that makes the target unusable.
pub async fn discover(base_url: &str, given: &[Given], options: SessionOptions) -> Result<Discovery, DiscoveryError> {
    explore(base_url, given, options).await.map_err(|found| found.error)
}

/// Asks every app for `/info` and `/parameters`. `base_url` is taken without a final slash. `options` are those of the
/// later session; ids of later exchanges should start after the ones used here.
///
/// # Errors
/// The first thing that makes the target unusable, with what was exchanged up to there.
pub async fn explore(base_url: &str, given: &[Given], options: SessionOptions) -> Result<Discovery, Undiscovered> {
    if given.is_empty() {
        return Err(Undiscovered { error: DiscoveryError::NoKey, exchanges: Vec::new() });
    }
    let apps = given.iter().zip(provisional(given)).map(|(given, label)| AppTarget {
        app: App { label, mode: given.mode, inputs: Vec::new(), form_known: true, server_version: None },
        key: given.key.clone(),
    });
    let target = Target { base_url: base_url.trim_end_matches('/').to_owned(), apps: apps.collect() };
    let session = Session::new(target, options, Sink::collect());
    let mut apps = Vec::new();
    let mut notes = Vec::new();
    for app in &session.target.apps {
        match ask(&session, app, &mut notes).await {
            Ok(app) => apps.push(app),
            Err(error) => return Err(Undiscovered { error, exchanges: session.take_exchanges() }),
        }
    }
    let names: Vec<(String, String)> = apps.iter().map(|a| a.app.label.clone()).zip(labels(given, &apps)).collect();
    let mut exchanges = session.take_exchanges();
    for exchange in &mut exchanges {
        if let Some((_, new)) = names.iter().find(|(old, _)| *old == exchange.app) {
            relabel(exchange, new);
        }
    }
    for note in &mut notes {
        let mut named = names.iter().map(|(old, new)| (format!("app `{old}`"), format!("app `{new}`")));
        if let Some((old, new)) = named.find(|(old, _)| note.contains(old)) {
            *note = note.replace(&old, &new);
        }
    }
    for (app, (_, new)) in apps.iter_mut().zip(names) {
        app.app.label = new;
    }
    let target = Target { base_url: session.target.base_url.clone(), apps };
    Ok(Discovery { target, exchanges, notes })
}

/// Labels until the modes are known; unique, as recordings name the app by them.
fn provisional(given: &[Given]) -> Vec<String> {
    let wanted = |g: &Given| g.label.clone().or(g.mode.map(|m| m.to_string())).unwrap_or_else(|| "app".to_owned());
    unique(given.iter().map(wanted))
}

/// Numbers names from the second of the same kind on.
fn unique(wanted: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for wanted in wanted {
        let mut name = wanted.clone();
        let mut number = 2;
        while names.contains(&name) {
            name = format!("{wanted}-{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

/// Final labels: what the user chose, else the mode.
fn labels(given: &[Given], apps: &[AppTarget]) -> Vec<String> {
    let wanted = given.iter().zip(apps).map(|(given, app)| {
        given.label.clone().or(app.app.mode.map(|m| m.to_string())).unwrap_or_else(|| "app".to_owned())
    });
    unique(wanted)
}

fn relabel(exchange: &mut Exchange, label: &str) {
    let (old, new) = (format!("[key:{}]", exchange.app), format!("[key:{label}]"));
    for (_, value) in &mut exchange.request.headers {
        *value = value.replace(&old, &new);
    }
    label.clone_into(&mut exchange.app);
}

async fn ask(session: &Session, app: &AppTarget, notes: &mut Vec<String>) -> Result<AppTarget, DiscoveryError> {
    let label = &app.app.label;
    let info = send(session, app, "info", "GET", "/info", None).await;
    let about = body_of(&info, label)?;
    let parameters = send(session, app, "parameters", "GET", "/parameters", None).await;
    let declared = body_of(&parameters, label)?;
    let mode = match told_mode(&about, app.app.mode, label)? {
        Some(mode) => mode,
        None => probe(session, app, notes).await?,
    };
    let version = |e: &Exchange| e.reply.as_ref().and_then(|r| r.header("x-version")).map(str::to_owned);
    Ok(AppTarget {
        app: App {
            label: label.clone(),
            mode: Some(mode),
            inputs: parse_form(&declared),
            form_known: true,
            server_version: version(&info).or_else(|| version(&parameters)),
        },
        key: app.key.clone(),
    })
}

/// Tells the mode from how harmless requests are answered: servers before 1.0 do not say it.
async fn probe(session: &Session, app: &AppTarget, notes: &mut Vec<String>) -> Result<AppMode, DiscoveryError> {
    let label = &app.app.label;
    let user = format!("difyprobe-{}-discovery", session.run_id);
    let path = url::with_query("/conversations", &[("user".into(), user), ("limit".into(), "1".into())]);
    let list = send(session, app, "probe-conversations", "GET", &path, None).await;
    if list.status() == 200 {
        notes.push(format!(
            "the server does not tell the mode of app `{label}`; it has conversations, so it is taken for a chat app \
             (if it is an agent or a chatflow, pass `--app MODE=KEY`)"
        ));
        return Ok(AppMode::Chat);
    }
    if code(&list) != "not_chat_app" {
        let what = format!("GET /conversations answers {} {}", list.status(), code(&list));
        return Err(DiscoveryError::ModeNotTold { app: label.clone(), what: what.trim_end().to_owned() });
    }
    // Refused before anything is generated: an app of another mode by its mode, a completion app for lack of inputs.
    let empty = send(session, app, "probe-completion", "POST", "/completion-messages", Some(json!({}))).await;
    let mode = match code(&empty).as_str() {
        "app_unavailable" => AppMode::Workflow,
        "" => {
            let what = format!("an empty POST /completion-messages answers {}", empty.status());
            return Err(DiscoveryError::ModeNotTold { app: label.clone(), what });
        }
        _ => AppMode::Completion,
    };
    notes.push(format!("the server does not tell the mode of app `{label}`; by its answers it is a {mode} app"));
    Ok(mode)
}

async fn send(
    session: &Session,
    app: &AppTarget,
    step: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Arc<Exchange> {
    let call = own_call(&session.target.base_url, app, session.limits, method, path, body.as_ref());
    let origin = Origin { scenario: SCENARIO.to_owned(), step: step.to_owned(), ..Origin::default() };
    let built = Built { call: Box::new(call), user: None, json: None, streams: false, place: Place::Queue };
    Arc::clone(&session.send(built, &app.app.label, origin, None, &session.stop).await.exchange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(label: Option<&str>) -> Given {
        Given { label: label.map(str::to_owned), key: "k".into(), mode: None }
    }

    #[test]
    fn labels_are_the_users_else_the_mode_and_stay_unique() {
        let given = [given(None), given(Some("chat")), given(None), given(Some("mine"))];
        let app = |mode| AppTarget {
            app: App { label: "?".into(), mode: Some(mode), inputs: vec![], form_known: true, server_version: None },
            key: "k".into(),
        };
        let apps = [app(AppMode::Chat), app(AppMode::Chat), app(AppMode::Chat), app(AppMode::Agent)];
        assert_eq!(labels(&given, &apps), ["chat", "chat-2", "chat-3", "mine"]);
    }
}
