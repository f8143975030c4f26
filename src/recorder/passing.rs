//! One request: to the server as it is, the reply back as it arrives, both onto the tape.

use super::apps::{Apps, Key, NO_APP};
use super::tape::Tape;
use crate::client::{Call, Client, FOREIGN, Limits, Passed, hide_private};
use crate::model::{Exchange, Fault, FaultClass, Origin};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longest request body that is passed on.
const MAX_REQUEST: usize = 512 << 20;

/// Parts of a reply that wait for a slow reader before the server is made to wait, too.
const AHEAD: usize = 16;

/// Headers that belong to one connection (RFC 9110, 7.6.1), and `Expect`, which is answered here.
const OF_THE_CONNECTION: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "http2-settings",
];

/// What all requests share.
pub(super) struct Shared {
    /// Scheme and authority of the server.
    pub(super) origin: String,
    pub(super) client: Client,
    pub(super) apps: Apps,
    pub(super) tape: Arc<Tape>,
    pub(super) limits: Limits,
    /// Recordings that are still to be finished.
    pub(super) under_way: Mutex<JoinSet<()>>,
    /// Fires when the recording is over: what is cut then was not cut by its program.
    pub(super) over: CancellationToken,
}

/// Passes a request on.
pub(super) async fn pass(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Reply>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, MAX_REQUEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Ok(refused(StatusCode::PAYLOAD_TOO_LARGE, &format!("the request was not read: {error}"))),
    };
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let call = Call {
        method: parts.method.as_str().to_owned(),
        url: format!("{}{path}", shared.origin),
        headers: headers_to_send(&parts.headers, body.len()),
        body: Some(body).filter(|b| !b.is_empty()),
        limits: shared.limits,
        planned: None,
        hang_up_after: None,
    };
    let authorization = call.headers.iter().find(|(n, _)| n == "authorization").map(|(_, v)| v.as_str());
    let key = shared.apps.key(authorization);
    let (to, mut from) = mpsc::channel(AHEAD);
    let left = CancellationToken::new();
    record(&shared, call, key, to, left.clone());
    // from here on a program that hangs up drops this future or the body, and the guard with it
    let guard = left.drop_guard();
    Ok(match from.recv().await {
        Some(Passed::Head { status, headers }) => {
            let bodiless = parts.method == hyper::Method::HEAD || matches!(status, 204 | 304);
            reply(status, headers, bodiless, from, guard)
        }
        Some(Passed::Cut(fault)) => unanswered(&fault),
        Some(Passed::Bytes(_) | Passed::End) | None => refused(StatusCode::BAD_GATEWAY, "no reply came"),
    })
}

/// Starts a task that outlives the program's connection: it sends the request and puts the exchange onto the tape.
fn record(shared: &Arc<Shared>, call: Call, key: Option<Arc<Key>>, to: mpsc::Sender<Passed>, left: CancellationToken) {
    let task = {
        let shared = Arc::clone(shared);
        let id = shared.tape.next_id();
        async move {
            let ask = async {
                if let Some(key) = &key {
                    shared.apps.settle(key).await;
                }
            };
            let settled = async {
                if let Some(key) = &key {
                    shared.apps.settle(key).await;
                }
            };
            let relay = shared.client.relay(call, to, &left, settled);
            // asking must not make the program wait: both go on side by side
            let (mut recorded, ()) = tokio::join!(relay, ask);
            let app = shared.apps.label(key.as_deref()).await;
            if app == NO_APP {
                recorded.request.headers.iter_mut().for_each(make_foreign);
            }
            hide_private(&mut recorded);
            let fault = recorded.fault.map(|fault| told(fault, shared.over.is_cancelled()));
            shared.tape.add(Exchange {
                id,
                app,
                origin: Origin { scenario: "recorded".to_owned(), step: format!("r{id}"), ..Origin::default() },
                request: recorded.request,
                reply: recorded.reply,
                fault,
                timing: recorded.timing,
            });
        }
    };
    let mut under_way = shared.under_way.lock().unwrap_or_else(PoisonError::into_inner);
    while under_way.try_join_next().is_some() {}
    under_way.spawn(task);
}

/// A key that the server refuses opens no app: it is nobody's.
fn make_foreign((name, value): &mut (String, String)) {
    if name.eq_ignore_ascii_case("authorization")
        && let Some((scheme, _)) = value.split_once(' ')
    {
        *value = format!("{scheme} {FOREIGN}");
    }
}

fn told(fault: Fault, over: bool) -> Fault {
    let detail = match (fault.class, over) {
        (FaultClass::Cancelled, true) => "the recording ended".to_owned(),
        (FaultClass::Cancelled, false) => "the program hung up".to_owned(),
        _ => fault.detail,
    };
    Fault { class: fault.class, detail }
}

/// The headers of a request for the server. Its `Host` is the server's own; an encoding of the reply is not asked for, as
/// recordings hold what was said and not how it was packed.
fn headers_to_send(headers: &HeaderMap, length: usize) -> Vec<(String, String)> {
    let named = connection_names(headers);
    let mut sent = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let name = name.as_str();
        let dropped = OF_THE_CONNECTION.contains(&name) || named.iter().any(|n| n == name);
        if dropped || matches!(name, "host" | "content-length" | "accept-encoding") {
            continue;
        }
        sent.push((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    if headers.contains_key("accept-encoding") {
        sent.push(("accept-encoding".to_owned(), "identity".to_owned()));
    }
    if length > 0 || headers.contains_key("content-length") {
        sent.push(("content-length".to_owned(), length.to_string()));
    }
    sent
}

/// Names that `Connection` adds to the list.
fn connection_names(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("connection").iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

fn reply(
    status: u16,
    headers: Vec<(String, Bytes)>,
    bodiless: bool,
    from: Receiver<Passed>,
    guard: DropGuard,
) -> Response<Reply> {
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_maybe_shared(value).ok());
        if let Some((name, value)) = parsed {
            kept.append(name, value);
        }
    }
    for name in connection_names(&kept) {
        kept.remove(name);
    }
    OF_THE_CONNECTION.iter().for_each(|name| drop(kept.remove(*name)));
    let length = kept.get("content-length").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let left = if bodiless { Some(0) } else { length };
    let mut body = Reply::Passing { from, guard: Some(guard), left };
    body.rest_if_complete();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = kept;
    response
}

fn unanswered(fault: &Fault) -> Response<Reply> {
    refused(StatusCode::BAD_GATEWAY, &format!("the server did not answer: {}", fault.detail))
}

/// An answer of the proxy itself, in the form of the API's errors.
fn refused(status: StatusCode, why: &str) -> Response<Reply> {
    let code = status.canonical_reason().unwrap_or("error").to_ascii_lowercase().replace(' ', "_");
    let message = format!("difyprobe record: {why}");
    let body = serde_json::json!({"code": code, "message": message, "status": status.as_u16()});
    let mut response = Response::new(Reply::Own(Some(body.to_string().into())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

/// The body of a reply.
pub(super) enum Reply {
    /// Passed on as it comes. Dropped before its end, it makes the guard tell the server's side that nobody listens.
    Passing {
        from: Receiver<Passed>,
        guard: Option<DropGuard>,
        /// Bytes to come, where the head told how many.
        left: Option<u64>,
    },
    /// The proxy's own words.
    Own(Option<Bytes>),
}

/// The server did not finish its reply: the program's connection is cut in the same way.
#[derive(Debug, thiserror::Error)]
#[error("the server cut the reply short")]
pub(super) struct Cut;

impl Reply {
    /// With all bytes there nobody reads on: that the body is dropped then means nothing.
    fn rest_if_complete(&mut self) {
        if let Reply::Passing { guard, left: Some(0), .. } = self {
            disarm(guard);
        }
    }
}

fn disarm(guard: &mut Option<DropGuard>) {
    if let Some(guard) = guard.take() {
        guard.disarm();
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        match this {
            Reply::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Reply::Passing { from, guard, left } => match std::task::ready!(from.poll_recv(context)) {
                Some(Passed::Bytes(bytes)) => {
                    *left = left.map(|left| left.saturating_sub(bytes.len() as u64));
                    this.rest_if_complete();
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                Some(Passed::End) => {
                    disarm(guard);
                    Poll::Ready(None)
                }
                Some(Passed::Cut(_) | Passed::Head { .. }) | None => {
                    disarm(guard);
                    Poll::Ready(Some(Err(Cut)))
                }
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Reply::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Reply::Passing { .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn what_belongs_to_the_connection_stays_there_and_the_rest_is_sent() {
        let headers = map(&[
            ("host", "127.0.0.1:1"),
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("authorization", "Bearer app-1"),
            ("accept-encoding", "gzip, br"),
            ("transfer-encoding", "chunked"),
            ("x-trace", "t"),
        ]);
        let sent = headers_to_send(&headers, 3);
        let names: Vec<String> = sent.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        let wanted = ["authorization: Bearer app-1", "x-trace: t", "accept-encoding: identity", "content-length: 3"];
        assert_eq!(names, wanted);
    }

    #[test]
    fn a_key_of_no_app_is_not_taken_for_one() {
        let mut header = ("Authorization".to_owned(), "Bearer [key:app-2]".to_owned());
        make_foreign(&mut header);
        assert_eq!(header.1, "Bearer [foreign key]");
    }
}
