//! The emulator on a socket: it reads requests, plays answers and keeps the time.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::serve::ListenerExt;
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::answer::{Answer, Reply};
use super::config::Config;
use super::core::Core;
use super::fault::Fault;
use super::feed::{Feed, Found, Reader};
use super::generation::Generation;
use super::record::{Sink, Tape, generates};
use super::request::Request;
use super::runner::Run;
use super::state::Moment;

/// Largest body read.
const BODY_LIMIT: usize = 32 * 1024 * 1024;
/// How long [`Running::stop`] waits for open connections.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// How long a run that goes on after a pause waits for somebody to listen.
const AUDIENCE: Duration = Duration::from_secs(2);

/// Why the emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on, e.g. because the port is taken: choose port 0.
    #[error("listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No app that the profile has was asked for, so no key could be accepted.
    #[error("serve without any app")]
    NoApps,
}

/// A running emulator. It stops when dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    keys: Vec<(String, String)>,
    shutdown: CancellationToken,
    server: Option<JoinHandle<()>>,
}

impl Running {
    /// `http://HOST:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// App names and their keys, in the order of [`Config::apps`].
    pub fn keys(&self) -> &[(String, String)] {
        &self.keys
    }

    /// Stops listening, cuts open streams and waits up to a second for connections to close.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(mut server) = self.server.take()
            && tokio::time::timeout(STOP_PATIENCE, &mut server).await.is_err()
        {
            server.abort();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Starts the emulator.
pub async fn start(config: Config) -> Result<Running, ServeError> {
    launch(config, None).await
}

/// As [`start`]; tells when it did what for each generation.
pub async fn start_recorded(config: Config, record: Sink) -> Result<Running, ServeError> {
    launch(config, Some(record)).await
}

async fn launch(config: Config, record: Option<Sink>) -> Result<Running, ServeError> {
    let core = Arc::new(Core::new(&config));
    if core.apps.is_empty() {
        return Err(ServeError::NoApps);
    }
    let keys = core.apps.iter().map(|app| (app.label().to_owned(), app.key.clone())).collect();
    let shutdown = CancellationToken::new();
    let shared = Arc::new(Shared {
        core,
        clock: Clock::new(),
        ping_every: config.ping_every,
        record,
        shutdown: shutdown.clone(),
    });
    let router = Router::new().fallback(handle).with_state(shared);
    listen(SocketAddr::new(config.host, config.port), router, keys, shutdown).await
}

/// Serves a router on an address until `shutdown`.
pub(super) async fn listen(
    address: SocketAddr,
    router: Router,
    keys: Vec<(String, String)>,
    shutdown: CancellationToken,
) -> Result<Running, ServeError> {
    let bind_error = |source| ServeError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind_error)?;
    let mut reachable = listener.local_addr().map_err(bind_error)?;
    if reachable.ip().is_unspecified() {
        reachable.set_ip(if reachable.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    // small blocks must not wait for the acknowledgement of earlier ones; a socket that refuses is still served
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    let ended = shutdown.clone().cancelled_owned();
    let server = tokio::spawn(async move {
        // axum's accept loop never ends with an error
        let _ = axum::serve(listener, router).with_graceful_shutdown(ended).await;
    });
    Ok(Running { address: reachable, keys, shutdown, server: Some(server) })
}

struct Shared {
    core: Arc<Core>,
    clock: Clock,
    ping_every: Duration,
    record: Option<Sink>,
    shutdown: CancellationToken,
}

const PING: &[u8] = b"event: ping\n\n";
const PING_WITH_DATA: &[u8] = b"event: ping\ndata: {}\n\n";

/// Wall time that never goes back.
pub(super) struct Clock {
    origin: SystemTime,
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(super) fn new() -> Self {
        Self { origin: SystemTime::now(), started: Instant::now() }
    }

    /// The moment it is.
    pub(super) fn now(&self) -> Moment {
        let origin = self.origin.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Moment(u64::try_from((origin + self.started.elapsed()).as_micros()).unwrap_or(u64::MAX))
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: axum::extract::Request) -> Response {
    let request = match read(request).await {
        Ok(request) => request,
        Err(status) => return respond(Answer { status: status.as_u16(), ..Answer::default() }),
    };
    let Some(sink) = shared.record.clone().filter(|_| generates(&request.path)) else {
        return answer(shared, &request).await;
    };
    let mut tape = Tape::new(sink, request.path.clone(), shared.clock.now());
    let response = answer(Arc::clone(&shared), &request).await;
    tape.head(shared.clock.now());
    recorded(shared, tape, response).await
}

/// Notes when which part of a response goes out.
async fn recorded(shared: Arc<Shared>, mut tape: Tape, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    if axum::body::HttpBody::size_hint(&body).exact().is_some() {
        let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        tape.bytes(&whole, shared.clock.now());
        tape.end(shared.clock.now());
        return Response::from_parts(parts, Body::from(whole));
    }
    let mut open = OnAir { tape: Some(tape), shared };
    let blocks = body.into_data_stream().map(move |block| {
        if let Ok(bytes) = &block {
            open.block(bytes);
        }
        block
    });
    Response::from_parts(parts, Body::from_stream(blocks))
}

/// A recorded stream; its record ends with it, or with the client.
struct OnAir {
    tape: Option<Tape>,
    shared: Arc<Shared>,
}

impl OnAir {
    fn block(&mut self, bytes: &[u8]) {
        let now = self.shared.clock.now();
        if let Some(tape) = &mut self.tape {
            tape.bytes(bytes, now);
        }
    }
}

impl Drop for OnAir {
    fn drop(&mut self) {
        if let Some(tape) = self.tape.take() {
            tape.end(self.shared.clock.now());
        }
    }
}

async fn answer(shared: Arc<Shared>, request: &Request) -> Response {
    match shared.core.reply(request, shared.clock.now()) {
        Reply::Whole(answer) => respond(answer),
        Reply::Blocking(generation) => respond(play_blocking(shared, generation).await),
        Reply::Streaming(head, generation) => {
            let player = Player::new(shared, generation);
            let blocks = futures_util::stream::unfold(player, |mut player| async move {
                let block = player.next().await?;
                Some((Ok::<Bytes, Infallible>(block), player))
            });
            let mut response = respond(head);
            *response.body_mut() = Body::from_stream(blocks);
            response
        }
        Reply::BlockingRun(run) => {
            // the answer is stored even if the client has left
            let listener = run.reader();
            let answer = drive(shared, run, Some(listener)).await;
            respond(answer.unwrap_or(Answer { status: 500, ..Answer::default() }))
        }
        Reply::StreamingRun(head, run) => {
            let reader = Box::new(run.reader());
            drive(Arc::clone(&shared), run, None);
            follow(shared, head, reader)
        }
        Reply::Resumed(answer, run) => {
            drive(shared, run, None);
            respond(answer)
        }
        Reply::Following(head, reader) => follow(shared, head, reader),
    }
}

/// A stream of the events of a run.
fn follow(shared: Arc<Shared>, head: Answer, reader: Box<Reader>) -> Response {
    let blocks = futures_util::stream::unfold(Follower::new(shared, reader), |mut follower| async move {
        let block = follower.next().await?;
        Some((Ok::<Bytes, Infallible>(block), follower))
    });
    let mut response = respond(head);
    *response.body_mut() = Body::from_stream(blocks);
    response
}

pub(super) async fn read(request: axum::extract::Request) -> Result<Request, StatusCode> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_LIMIT).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map(|q| q.0).unwrap_or_default();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query,
        headers: parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body: body.into(),
    })
}

pub(super) fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Waits for the model on a task of its own: the answer is stored even if the client has left.
async fn play_blocking(shared: Arc<Shared>, mut generation: Box<Generation>) -> Answer {
    let task = tokio::spawn(async move {
        tokio::select! {
            () = shared.shutdown.cancelled() => Answer { status: 503, ..Answer::default() },
            () = tokio::time::sleep(generation.duration()) => generation.finish_blocking(shared.clock.now()),
        }
    });
    task.await.unwrap_or(Answer { status: 500, ..Answer::default() })
}

/// Plays a generation block by block. Dropped with the connection, it ends the generation.
struct Player {
    shared: Arc<Shared>,
    generation: Box<Generation>,
    due: Instant,
    ping_at: Instant,
    /// Nothing but pings is sent any more: what only a fault does.
    muted: bool,
    // kept over the whole stream: registering them anew for every block would cost more than the block
    timer: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Player {
    fn new(shared: Arc<Shared>, generation: Box<Generation>) -> Self {
        let now = Instant::now();
        let due = now + generation.next_delay().unwrap_or_default();
        Self {
            ping_at: now + shared.ping_every,
            muted: false,
            due,
            timer: Box::pin(tokio::time::sleep_until(due)),
            stop: Box::pin(generation.stop_signal().clone().cancelled_owned()),
            shutdown: Box::pin(shared.shutdown.clone().cancelled_owned()),
            shared,
            generation,
        }
    }

    /// The next block; `None` at the end, or when the emulator stops.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.generation.next_delay()?;
            if !self.wait().await {
                return None;
            }
            let now = Instant::now();
            if self.ping_at <= now {
                self.ping_at += self.shared.ping_every;
                if let Some(ping) = self.ping() {
                    self.muted = self.shared.core.broken(Fault::SilentAfterPing);
                    return Some(Bytes::from_static(ping));
                }
            } else if self.due <= now {
                let block = self.generation.advance(self.shared.clock.now());
                self.due = now + self.generation.next_delay().unwrap_or_default();
                if !block.is_empty() && !self.muted {
                    return Some(Bytes::from(block));
                }
            }
        }
    }

    /// Waits for the next block, ping or stop; false if the emulator stops.
    async fn wait(&mut self) -> bool {
        let wake = self.due.min(self.ping_at);
        let stoppable = !self.generation.stopped();
        if wake <= Instant::now() && !(stoppable && self.generation.stop_signal().is_cancelled()) {
            return !self.shared.shutdown.is_cancelled();
        }
        self.timer.as_mut().reset(wake);
        tokio::select! {
            biased;
            () = &mut self.shutdown => return false,
            () = &mut self.stop, if stoppable => {
                self.generation.obey_stop();
                self.due = Instant::now();
            }
            () = &mut self.timer => {}
        }
        true
    }

    fn ping(&self) -> Option<&'static [u8]> {
        if self.shared.core.broken(Fault::NoPing) {
            return None;
        }
        Some(if self.shared.core.broken(Fault::PingWithData) { PING_WITH_DATA } else { PING })
    }
}

/// Drives a run to its end or its next pause on a task of its own; the task returns what a blocking request gets.
fn drive(shared: Arc<Shared>, run: Box<Run>, listener: Option<Reader>) -> JoinHandle<Answer> {
    tokio::spawn(async move {
        // counts as an audience as long as the run lasts
        let _listener = listener;
        let mut run = run;
        if run.is_resumed() {
            // on real servers the worker takes a while too: a client that submits, then listens, misses nothing
            let _ = tokio::time::timeout(AUDIENCE, watched(run.feed(), true)).await;
        }
        let dies_alone = run.dies_alone();
        let mut due = Instant::now();
        while let Some(delay) = run.next_delay() {
            due = due.max(Instant::now() - Duration::from_millis(5)) + delay;
            let stop = run.stop_signal().clone();
            let (feed, stoppable) = (run.feed().clone(), !run.stopped());
            tokio::select! {
                biased;
                () = shared.shutdown.cancelled() => return Answer { status: 503, ..Answer::default() },
                () = stop.cancelled(), if stoppable => {
                    run.obey_stop();
                    due = Instant::now();
                    continue;
                }
                () = watched(&feed, false), if dies_alone => {
                    run.abandon();
                    return Answer { status: 503, ..Answer::default() };
                }
                () = tokio::time::sleep_until(due) => run.advance(shared.clock.now()),
            }
        }
        tokio::time::sleep(run.lingers()).await;
        run.close(shared.clock.now())
    })
}

/// Ends when somebody reads, or when nobody does.
async fn watched(feed: &Feed, wanted: bool) {
    loop {
        let news = feed.news();
        if feed.is_watched() == wanted {
            return;
        }
        news.cancelled().await;
    }
}

/// A stream that follows a run, with pings.
struct Follower {
    shared: Arc<Shared>,
    reader: Box<Reader>,
    ping_at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Follower {
    fn new(shared: Arc<Shared>, reader: Box<Reader>) -> Self {
        let ping_at = Instant::now() + shared.ping_every;
        Self { shared, reader, ping_at, timer: Box::pin(tokio::time::sleep_until(ping_at)) }
    }

    /// The next block; `None` at the end, or when the emulator stops.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.ping_at <= Instant::now() {
                self.ping_at += self.shared.ping_every;
                self.timer.as_mut().reset(self.ping_at);
                if !self.shared.core.broken(Fault::NoPing) {
                    let with_data = self.shared.core.broken(Fault::PingWithData);
                    return Some(Bytes::from_static(if with_data { PING_WITH_DATA } else { PING }));
                }
            }
            let news = self.reader.news();
            match self.reader.read() {
                Found::Bytes(bytes) => return Some(Bytes::from(bytes)),
                Found::End => return None,
                Found::Nothing => {}
            }
            tokio::select! {
                () = self.shared.shutdown.cancelled() => return None,
                () = news.cancelled() => {}
                () = &mut self.timer => {}
            }
        }
    }
}
