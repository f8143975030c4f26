//! Open connections, by origin.

use super::target::Origin;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) type Http1 = http1::SendRequest<Full<Bytes>>;
pub(super) type Http2 = http2::SendRequest<Full<Bytes>>;

/// Idle connections are not used longer than this: common servers close theirs after 2 s, and a request that meets
/// the closing would be lost.
const MAX_IDLE: Duration = Duration::from_millis(1500);

/// How long a pooled connection may take to say that it has finished its last exchange.
const READY: Duration = Duration::from_millis(20);

/// A way to send one request.
pub(super) enum Sender {
    Http1(Http1),
    Http2(Http2),
}

/// All open connections of a client.
#[derive(Default)]
pub(super) struct Pool {
    hosts: Mutex<HashMap<Origin, Arc<Host>>>,
}

/// The connections to one origin.
#[derive(Default)]
pub(super) struct Host {
    state: Mutex<State>,
    /// Held while a connection is opened whose protocol (one for all, or one each) is not known yet.
    pub(super) opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    idle: VecDeque<(Http1, Instant)>,
    shared: Option<Http2>,
    speaks_http1: bool,
}

/// The data behind these locks is valid after every statement, so a panic elsewhere does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// The connections to an origin.
    pub(super) fn host(&self, origin: &Origin) -> Arc<Host> {
        let mut hosts = lock(&self.hosts);
        match hosts.get(origin) {
            Some(host) => host.clone(),
            None => hosts.entry(origin.clone()).or_default().clone(),
        }
    }
}

impl Host {
    /// An open connection that is ready for a request, if there is one.
    pub(super) async fn take(&self) -> Option<Sender> {
        loop {
            if let Some(shared) = self.shared() {
                return Some(Sender::Http2(shared));
            }
            let mut idle = self.pop()?;
            if matches!(tokio::time::timeout(READY, idle.ready()).await, Ok(Ok(()))) {
                return Some(Sender::Http1(idle));
            }
        }
    }

    /// The HTTP/2 connection, while it is open.
    pub(super) fn shared(&self) -> Option<Http2> {
        let mut state = lock(&self.state);
        if state.shared.as_ref().is_some_and(|s| s.is_closed()) {
            state.shared = None;
        }
        state.shared.clone()
    }

    fn pop(&self) -> Option<Http1> {
        let mut state = lock(&self.state);
        state.drop_stale();
        while let Some((idle, _)) = state.idle.pop_back() {
            if !idle.is_closed() {
                return Some(idle);
            }
        }
        None
    }

    /// Whether connections to this origin carry one request at a time.
    pub(super) fn speaks_http1(&self) -> bool {
        lock(&self.state).speaks_http1
    }

    /// Notes what a new connection speaks; one of HTTP/2 is shared from now on.
    pub(super) fn opened(&self, sender: &Sender) {
        let mut state = lock(&self.state);
        match sender {
            Sender::Http1(_) => state.speaks_http1 = true,
            Sender::Http2(shared) => state.shared = Some(shared.clone()),
        }
    }

    /// Gives a connection back after its response was read to the end.
    pub(super) fn give_back(&self, sender: Sender) {
        let Sender::Http1(idle) = sender else {
            return;
        };
        let mut state = lock(&self.state);
        state.drop_stale();
        if !idle.is_closed() {
            state.idle.push_back((idle, Instant::now()));
        }
    }

    /// Stops offering an HTTP/2 connection that took no more requests.
    pub(super) fn forget_shared_of(&self, sender: &Sender) {
        if matches!(sender, Sender::Http2(_)) {
            lock(&self.state).shared = None;
        }
    }
}

impl State {
    fn drop_stale(&mut self) {
        while self.idle.front().is_some_and(|(idle, since)| idle.is_closed() || since.elapsed() > MAX_IDLE) {
            self.idle.pop_front();
        }
    }
}
