//! The whole server without clock and socket: one request and the current moment in, one reply out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::annotations;
use super::answer::{Answer, Reply};
use super::apps::App;
use super::behaviour::{Behaviour, UnknownRoute};
use super::config::{AppKind, Config, Pace, Profile};
use super::fault::Fault;
use super::refusal::Refusal;
use super::request::Request;
use super::state::{Moment, State};

const HTML_404: &str = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The \
                        requested URL was not found on the server. If you entered the URL manually please check your \
                        spelling and try again.</p>\n";
const KEY_ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The pure server.
#[derive(Debug)]
pub struct Core {
    /// How it differs from other servers.
    pub behaviour: Behaviour,
    /// How fast its model speaks.
    pub pace: Pace,
    /// What it serves.
    pub apps: Vec<App>,
    /// The app whose `/info` was answered last.
    pub last_info: Mutex<Option<usize>>,
    /// Generations of one end user that are carried out side by side.
    pub(super) turns_at_once: Option<usize>,
    fault: Option<Fault>,
    states: Vec<Mutex<State>>,
}

impl Core {
    /// A server with empty memory.
    pub fn new(config: &Config) -> Self {
        let mut rng = fastrand::Rng::with_seed(config.seed);
        let mut kinds: Vec<AppKind> = Vec::new();
        for kind in &config.apps {
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
        let mutant = config.mutant;
        let behaviour = Behaviour::of(mutant.map_or(config.profile, |m| m.profile));
        kinds.retain(|kind| *kind != AppKind::Agent || behaviour.flow.newest_features);
        let autoplay = config.tts_autoplay || mutant.is_some_and(|m| m.tts_autoplay);
        let behaviour = Behaviour::of(mutant.map_or(config.profile, |m| m.profile));
        let served = |kind, key| {
            let app = App::new(kind, key, autoplay);
            if behaviour.form_defaults { app.with_defaults() } else { app }
        };
        let mut states: Vec<Mutex<State>> =
            kinds.iter().map(|kind| Mutex::new(first_state(*kind, &behaviour, rng.u64(..)))).collect();
        let mut apps: Vec<App> = kinds.into_iter().map(|kind| served(kind, random_key(&mut rng))).collect();
        for app in &config.custom {
            states.push(Mutex::new(first_state(app.kind(), &behaviour, rng.u64(..))));
            apps.push(App::custom(app.clone(), random_key(&mut rng)));
        }
        // nobody has seen how 0.15 refuses what is one too many
        let imitated = mutant.map_or(config.profile, |m| m.profile);
        let turns_at_once = config.turns_at_once.filter(|_| imitated != Profile::Dify015);
        Self {
            pace: config.pace,
            last_info: Mutex::new(None),
            turns_at_once,
            fault: mutant.map(|m| m.fault),
            states,
            apps,
            behaviour,
        }
    }

    /// Whether this promise is broken.
    pub fn broken(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The memory of an app.
    pub fn state(&self, app: usize) -> MutexGuard<'_, State> {
        // an index that does not exist cannot be made; falling back to the first keeps this total
        let state = self.states.get(app).unwrap_or(&self.states[0]);
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many apps there are.
    pub fn app_count(&self) -> usize {
        self.states.len()
    }

    /// The answer to one request.
    pub fn reply(self: &Arc<Self>, request: &Request, now: Moment) -> Reply {
        if self.broken(Fault::BodyCutOff) && request.body.len() > 65_536 {
            let body = request.body.iter().take(65_536).copied().collect();
            return self.route(&Request { body, ..request.clone() }, now);
        }
        self.route(request, now)
    }

    /// A JSON answer.
    pub fn json(&self, status: u16, value: &Value) -> Answer {
        let mut body = self.behaviour.whole_json.write(value);
        if self.behaviour.newline_after_json {
            body.push(b'\n');
        }
        Answer { status, headers: self.headers("application/json", true), body }
    }

    /// A refused request.
    pub fn refuse(&self, refusal: &Refusal) -> Answer {
        let mut body = refusal.body();
        if let Some(members) = body.as_object_mut()
            && self.broken(Fault::NotFoundWithoutStatus)
            && refusal.status == 404
        {
            members.remove("status");
        }
        if self.broken(Fault::NotFoundInHtml) && refusal.code == "not_found" {
            let headers = self.headers("text/html; charset=utf-8", false);
            return Answer { status: 404, headers, body: HTML_404.as_bytes().to_vec() };
        }
        let mut answer = self.json(refusal.status, &body);
        if refusal.status == 401 {
            answer.headers.push(("www-authenticate", "Bearer realm=\"api\"".to_owned()));
        }
        answer
    }

    /// What an unknown address gives.
    pub fn unknown_route(&self) -> Answer {
        match self.behaviour.unknown_route {
            UnknownRoute::Json => self.refuse(&Refusal::not_found("The requested URL was not found on the server.")),
            UnknownRoute::Html => Answer {
                status: 404,
                headers: self.headers("text/html; charset=utf-8", false),
                body: HTML_404.as_bytes().to_vec(),
            },
        }
    }

    /// The headers of an answer; `cross_origin` ones are sent by routes, not by the router.
    pub fn headers(&self, content_type: &str, cross_origin: bool) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", content_type.to_owned())];
        if let Some(version) = self.behaviour.version {
            if cross_origin {
                headers.push(("access-control-allow-origin", "*".to_owned()));
                if let Some(exposed) = self.behaviour.exposed_headers {
                    headers.push(("access-control-expose-headers", exposed.to_owned()));
                }
            }
            let told = if self.broken(Fault::OtherVersionInHeader) { "0.15.2" } else { version };
            headers.push(("x-version", told.to_owned()));
            headers.push(("x-env", "PRODUCTION".to_owned()));
        }
        headers
    }
}

/// What an app remembers before its first request.
fn first_state(kind: AppKind, behaviour: &Behaviour, seed: u64) -> State {
    let mut state = State::new(seed);
    if behaviour.recent_routes {
        annotations::furnish(&mut state, kind.mode());
    }
    state.annotation_reply = behaviour.annotation_replies && kind == AppKind::Chat;
    state
}

/// `app-` and 24 letters or digits.
fn random_key(rng: &mut fastrand::Rng) -> String {
    let mut key = "app-".to_owned();
    for _ in 0..24 {
        let at = rng.usize(..KEY_ALPHABET.len());
        key.push(char::from(KEY_ALPHABET.get(at).copied().unwrap_or(b'a')));
    }
    key
}
