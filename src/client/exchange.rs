//! One exchange on the wire: connection, head, body, each within its limits.

use super::arrivals::{After, Arrivals};
use super::connect;
use super::fault::{fault, of_exchange};
use super::pool::{Host, Sender};
use super::relay::Ears;
use super::target::{Form, Target};
use super::watchdog::Progress;
use super::{Call, Limits, Shared};
use crate::model::{Fault, FaultClass, Timing};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::TrySendError;
use hyper::header;
use std::time::{Duration, Instant};
use tokio_rustls::TlsConnector;

/// How long a request waits for another one to find out which protocol the server speaks.
const PATIENCE: Duration = Duration::from_secs(1);

/// An exchange under way. It outlives the future that drives it, so that what came before an interrupt is kept.
pub(super) struct Flight {
    pub(super) sent: Instant,
    pub(super) timing: Timing,
    pub(super) head: Option<Head>,
    pub(super) body: Arrivals,
}

impl Flight {
    pub(super) fn new(keep_body: usize) -> Flight {
        Flight { sent: Instant::now(), timing: Timing::default(), head: None, body: Arrivals::new(keep_body) }
    }
}

/// A response head as it came. Its texts are copies: what hyper hands out keeps the whole read buffer of the connection for as
/// long as a stream is open.
pub(super) struct Head {
    pub(super) version: hyper::Version,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
}

impl Head {
    fn of(parts: &hyper::http::response::Parts) -> Head {
        let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        Head { version: parts.version, status: parts.status.as_u16(), headers: headers.collect() }
    }
}

/// Why there is no response head.
enum NoHead {
    /// The server closed the connection and the request may go over another one.
    Again(Fault),
    /// That is the end of it.
    Final(Fault),
}

/// Sends the call and reads the reply into `flight`.
pub(super) async fn run(
    shared: &Shared,
    target: &Target,
    call: &Call,
    tls: Option<&TlsConnector>,
    flight: &mut Flight,
    progress: &Progress,
    ears: Ears,
) -> Result<(), Fault> {
    let host = shared.pool.host(&target.origin);
    let mut pooled = host.take().await;
    loop {
        let reused = pooled.is_some();
        let mut sender = match pooled.take() {
            Some(sender) => sender,
            // On the heap: a handshake is larger than all the rest, and nothing is left of it when it is done.
            None => Box::pin(open(&host, target, &call.limits, tls, &mut flight.timing)).await?,
        };
        progress.hand_over();
        match head(&mut sender, target, call).await {
            Ok(response) => {
                let head_us = progress.now_us();
                progress.hear(head_us);
                flight.timing.head_us = Some(head_us);
                body(shared, call, flight, progress, response, ears).await?;
                host.give_back(sender);
                return Ok(());
            }
            // what the pool offers may be closing; a fresh connection is not, and is asked once
            Err(NoHead::Again(_)) if reused => host.forget_shared_of(&sender),
            Err(NoHead::Again(fault) | NoHead::Final(fault)) => return Err(fault),
        }
    }
}

/// A new connection, or the HTTP/2 connection that another request has just opened.
async fn open(
    host: &Host,
    target: &Target,
    limits: &Limits,
    tls: Option<&TlsConnector>,
    timing: &mut Timing,
) -> Result<Sender, Fault> {
    let _first = if target.origin.https && !host.speaks_http1() {
        let turn = tokio::time::timeout(PATIENCE.min(limits.connect), host.opening.lock()).await;
        if let Some(shared) = host.shared() {
            return Ok(Sender::Http2(shared));
        }
        turn.ok().filter(|_| !host.speaks_http1())
    } else {
        None
    };
    // Boxed for its size: most requests find a connection that is open.
    let sender = Box::pin(connect::open(target, limits, tls, timing)).await?;
    host.opened(&sender);
    Ok(sender)
}

/// Hands the request over and waits for the response head.
async fn head(sender: &mut Sender, target: &Target, call: &Call) -> Result<hyper::Response<Incoming>, NoHead> {
    let answer = match sender {
        Sender::Http1(sender) => {
            let request = target.request(call, target.http1_form()).map_err(NoHead::Final)?;
            sender.try_send_request(request).await
        }
        Sender::Http2(sender) => {
            let request = target.request(call, Form::Http2).map_err(NoHead::Final)?;
            sender.try_send_request(request).await
        }
    };
    answer.map_err(|error| no_head(error, &call.method))
}

/// A request that was never written may be sent again, whatever it is. One that was may have reached the application:
/// only methods that change nothing (RFC 9110, 9.2.2) go out twice.
fn no_head(mut error: TrySendError<hyper::Request<Full<Bytes>>>, method: &str) -> NoHead {
    let unwritten = error.take_message().is_some();
    let fault = of_exchange(error.error(), "before the response head was complete");
    let harmless = matches!(method, "GET" | "HEAD" | "OPTIONS") && fault.class == FaultClass::Truncated;
    if unwritten || harmless { NoHead::Again(fault) } else { NoHead::Final(fault) }
}

/// Reads the body to its end or its cap.
async fn body(
    shared: &Shared,
    call: &Call,
    flight: &mut Flight,
    progress: &Progress,
    response: hyper::Response<Incoming>,
    ears: Ears,
) -> Result<(), Fault> {
    let (parts, mut body) = response.into_parts();
    let Ears { watch, relay } = ears;
    if is_event_stream(&parts.headers) {
        flight.body.expect_events(watch, call.hang_up_after);
        progress.wait_for_event(true);
    }
    flight.body.announce(body.size_hint().exact().unwrap_or(0));
    flight.head = Some(Head::of(&parts));
    if let Some(relay) = &relay {
        // Boxed for its size, as below: only what is passed on needs it.
        Box::pin(relay.head(&parts)).await?;
    }
    drop(parts);
    let max = shared.options.max_body;
    let redactor = shared.known.redactor();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| of_exchange(&e, "in the middle of the body"))?;
        let Some(bytes) = frame.data_ref().filter(|b| !b.is_empty()) else {
            continue;
        };
        let at_us = progress.now_us();
        progress.hear(at_us);
        let passed = match &relay {
            Some(relay) => Box::pin(relay.bytes(bytes.clone())).await,
            None => Ok(()),
        };
        if let After::HangUp(wanted) = flight.body.add(bytes, at_us, &redactor) {
            return Err(fault(FaultClass::Cancelled, format!("hung up on purpose after event {wanted}")));
        }
        passed?;
        progress.wait_for_event(flight.body.waits_for_event());
        if flight.body.received > max {
            return Err(fault(FaultClass::TooLarge, format!("the body went on past {max} bytes")));
        }
    }
    Ok(())
}

fn is_event_stream(headers: &hyper::HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("text/event-stream")
}
