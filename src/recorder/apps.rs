//! Which app a request is for: each key is asked about once.

use super::tape::Tape;
use crate::client::{Client, Options, Secret};
use crate::flow::{self, DiscoveryError, Given, Pace, SessionOptions};
use crate::model::{App, Exchange};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Label of requests without a key, or with one that the server refuses.
pub(super) const NO_APP: &str = "no-app";

/// Shortest token that is looked for in what is recorded: a shorter one would be found by chance.
const SHORTEST: usize = 8;

/// All keys that have passed.
pub(super) struct Apps {
    base_url: String,
    client: Client,
    /// Settings of the clients that ask.
    options: Options,
    tape: Arc<Tape>,
    stop: CancellationToken,
    keys: Mutex<Vec<Arc<Key>>>,
    labels: Mutex<Vec<String>>,
}

/// One key.
pub(super) struct Key {
    token: String,
    /// Label until the server has told more.
    provisional: String,
    told: tokio::sync::Mutex<Told>,
}

/// What the server told about a key.
enum Told {
    Nothing,
    /// It could not be reached; the label stays.
    Unreached(String),
    App(String),
    Refused,
}

/// What an `Authorization` header carries.
pub(super) fn token(authorization: &str) -> Option<&str> {
    let token = authorization.trim().rsplit(' ').next().unwrap_or_default();
    (!token.is_empty()).then_some(token)
}

fn is_bearer(authorization: &str) -> bool {
    authorization.trim().split_once(' ').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
}

impl Apps {
    pub(super) fn new(
        base_url: &str,
        client: Client,
        options: Options,
        tape: Arc<Tape>,
        stop: CancellationToken,
    ) -> Apps {
        let base_url = base_url.to_owned();
        Apps { base_url, client, options, tape, stop, keys: Mutex::default(), labels: Mutex::default() }
    }

    /// The key of a request, if it has one that can open an app. From now on no recording shows it.
    pub(super) fn key(&self, authorization: Option<&str>) -> Option<Arc<Key>> {
        let authorization = authorization?;
        let token = token(authorization)?;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let known = keys.iter().find(|k| k.token == token);
        if !is_bearer(authorization) {
            if known.is_none() && token.len() >= SHORTEST {
                self.client.learn(Secret { label: "foreign".to_owned(), key: token.to_owned() });
            }
            return None;
        }
        if let Some(known) = known {
            return Some(Arc::clone(known));
        }
        let provisional = format!("app-{}", keys.len() + 1);
        if token.len() >= SHORTEST {
            self.client.learn(Secret { label: provisional.clone(), key: token.to_owned() });
        }
        let key = Arc::new(Key { token: token.to_owned(), provisional, told: tokio::sync::Mutex::new(Told::Nothing) });
        keys.push(Arc::clone(&key));
        Some(key)
    }

    /// Asks the server about a key, unless it has told already. Waits for whoever asks at the moment.
    pub(super) async fn settle(&self, key: &Key) {
        let mut told = key.told.lock().await;
        if matches!(*told, Told::App(_) | Told::Refused) || key.token.len() < SHORTEST || self.stop.is_cancelled() {
            return;
        }
        let given = Given { label: Some(key.provisional.clone()), key: key.token.clone(), mode: None };
        let (app, mut exchanges, refused) = match flow::explore(&self.base_url, &[given], self.session()).await {
            Ok(found) => (found.target.apps.into_iter().next().map(|a| a.app), found.exchanges, false),
            Err(failed) => match failed.error {
                DiscoveryError::WrongKey { .. } => (None, failed.exchanges, true),
                // nothing came back: there is nothing to keep, and the next request asks again
                DiscoveryError::Unreachable { .. } | DiscoveryError::Slow { .. } | DiscoveryError::NoAnswer { .. } => {
                    let label = match std::mem::replace(&mut *told, Told::Nothing) {
                        Told::Unreached(label) => label,
                        _ => self.named(&key.provisional),
                    };
                    self.tape.set_app(unknown(&label));
                    *told = Told::Unreached(label);
                    return;
                }
                _ => (None, failed.exchanges, false),
            },
        };
        if refused {
            // requests with this key are recorded as they come; the proxy's own say nothing more
            *told = Told::Refused;
            return;
        }
        let label = match std::mem::replace(&mut *told, Told::Nothing) {
            // what was recorded while the server could not be reached bears this label
            Told::Unreached(label) => label,
            _ => {
                let mode = app.as_ref().and_then(|a| a.mode).map(|m| m.to_string());
                self.named(&mode.unwrap_or_else(|| key.provisional.clone()))
            }
        };
        self.client.learn(Secret { label: label.clone(), key: key.token.clone() });
        exchanges.iter_mut().for_each(|exchange| relabel(exchange, &key.provisional, &label));
        let app = app.map_or_else(|| unknown(&label), |app| App { label: label.clone(), ..app });
        self.tape.set_app(app);
        self.tape.add_own(exchanges);
        *told = Told::App(label);
    }

    /// The label that exchanges with this key bear.
    pub(super) async fn label(&self, key: Option<&Key>) -> String {
        let label = match key {
            Some(key) => match &*key.told.lock().await {
                Told::App(label) | Told::Unreached(label) => Some(label.clone()),
                Told::Refused | Told::Nothing => None,
            },
            None => None,
        };
        label.unwrap_or_else(|| {
            self.tape.set_app(unknown(NO_APP));
            NO_APP.to_owned()
        })
    }

    /// A label that no other app has.
    fn named(&self, wanted: &str) -> String {
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let numbered = (2..).map(|n| format!("{wanted}-{n}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        let label = names.find(|name| !labels.contains(name)).unwrap_or_else(|| wanted.to_owned());
        labels.push(label.clone());
        label
    }

    fn session(&self) -> SessionOptions {
        SessionOptions {
            client: self.options.clone(),
            run_id: "record".to_owned(),
            seed: 0,
            stop: self.stop.clone(),
            pace: Pace::default(),
            keep: false,
            grace: Duration::ZERO,
            first_id: 1,
        }
    }
}

/// An app of which nothing is known.
fn unknown(label: &str) -> App {
    App { label: label.to_owned(), mode: None, inputs: Vec::new(), form_known: false, server_version: None }
}

fn relabel(exchange: &mut Exchange, old: &str, new: &str) {
    let (from, to) = (format!("[key:{old}]"), format!("[key:{new}]"));
    for (_, value) in &mut exchange.request.headers {
        *value = value.replace(&from, &to);
    }
    new.clone_into(&mut exchange.app);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_the_last_word_of_the_header() {
        assert_eq!(token("Bearer app-1"), Some("app-1"));
        assert_eq!(token("app-1"), Some("app-1"));
        assert_eq!(token(" "), None);
        assert!(is_bearer("bearer app-1") && !is_bearer("app-1") && !is_bearer("Basic x"));
    }
}
