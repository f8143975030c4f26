//! Passing on somebody else's request: the reply goes out as it comes in, and is recorded like any other.

use super::exchange::Flight;
use super::fault::fault;
use super::{Call, Client, Place, Recorded, Secret};
use crate::model::{Fault, FaultClass};
use crate::sse::TimedFrame;
use bytes::Bytes;
use std::time::Instant;
use tokio::sync::mpsc::{Sender, UnboundedSender};
use tokio_util::sync::CancellationToken;

/// A part of a reply, as it came: nothing is redacted. For the program whose request it answers, and for no recording.
#[derive(Debug)]
pub enum Passed {
    /// The response head.
    Head {
        /// Status code.
        status: u16,
        /// Headers in order, with the bytes of their values.
        headers: Vec<(String, Bytes)>,
    },
    /// One read of the body.
    Bytes(Bytes),
    /// The reply is complete.
    End,
    /// It was cut short, or did not come.
    Cut(Fault),
}

/// Who hears of a reply while it comes.
pub(super) struct Ears {
    /// Gets the events of a stream, redacted.
    pub(super) watch: Option<UnboundedSender<TimedFrame>>,
    /// Gets everything as it is.
    pub(super) relay: Option<Relay>,
}

/// To the program whose request is passed on.
pub(super) struct Relay(Sender<Passed>);

impl Relay {
    pub(super) async fn head(&self, parts: &hyper::http::response::Parts) -> Result<(), Fault> {
        let copy = |value: &hyper::header::HeaderValue| Bytes::copy_from_slice(value.as_bytes());
        let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), copy(value))).collect();
        self.pass(Passed::Head { status: parts.status.as_u16(), headers }).await
    }

    pub(super) async fn bytes(&self, bytes: Bytes) -> Result<(), Fault> {
        self.pass(Passed::Bytes(bytes)).await
    }

    /// Waits while the other side does not keep up.
    async fn pass(&self, part: Passed) -> Result<(), Fault> {
        let left = |_| fault(FaultClass::Cancelled, "nobody reads the reply any more");
        self.0.send(part).await.map_err(left)
    }
}

impl Client {
    /// Adds a secret to those that no recording shows, or gives it another label.
    pub fn learn(&self, secret: Secret) {
        self.shared.known.learn(secret);
    }

    /// Sends somebody else's request and passes the reply on part by part, the last one being [`Passed::End`] or
    /// [`Passed::Cut`]. Nothing is added to the request but what HTTP needs. Ends early with `Cancelled` when `stop`
    /// fires or `to` is closed.
    ///
    /// The recording is made, and secrets are replaced in it, when `settled` is over: until then new ones may be learnt.
    pub async fn relay(
        &self,
        call: Call,
        to: Sender<Passed>,
        stop: &CancellationToken,
        settled: impl Future<Output = ()>,
    ) -> Recorded {
        let shared = &*self.shared;
        let mut flight = Flight::new(shared.room());
        let ears = Ears { watch: None, relay: Some(Relay(to.clone())) };
        let end = shared.fly(Place::Beside, &call, &mut flight, ears, stop).await;
        let ended = Instant::now();
        let last = end.as_ref().map_or_else(|fault| Passed::Cut(fault.clone()), |()| Passed::End);
        // who has all it wants may have left
        let _ = to.send(last).await;
        drop(to);
        settled.await;
        shared.recorded(Box::new(call), flight, end, ended)
    }
}
