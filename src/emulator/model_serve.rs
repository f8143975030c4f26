//! The OpenAI-compatible model on a socket.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::config::Pace;
use super::model_api::{MODEL, ModelApi, Speech};
use super::serve::{Clock, Running, ServeError, listen, read, respond};

/// What can be set before the model starts.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// How fast the model speaks when the prompt does not say otherwise.
    pub pace: Pace,
    /// The bearer token that requests must carry; none accepts all.
    pub key: Option<String>,
}

impl Default for ModelConfig {
    /// A free loopback port, a few milliseconds of latency, no key.
    fn default() -> Self {
        Self { host: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 0, pace: Pace::default(), key: None }
    }
}

struct Shared {
    model: ModelApi,
    clock: Clock,
    shutdown: CancellationToken,
}

/// Starts the model. [`Running::keys`] lists its key under the name of the model, if it has one.
pub async fn start_model(config: ModelConfig) -> Result<Running, ServeError> {
    let shutdown = CancellationToken::new();
    let keys = config.key.iter().map(|key| (MODEL.to_owned(), key.clone())).collect();
    let model = ModelApi::new(config.key, config.pace);
    let shared = Arc::new(Shared { model, clock: Clock::new(), shutdown: shutdown.clone() });
    let router = Router::new().fallback(handle).with_state(shared);
    listen(SocketAddr::new(config.host, config.port), router, keys, shutdown).await
}

async fn handle(State(shared): State<Arc<Shared>>, request: axum::extract::Request) -> Response {
    let request = match read(request).await {
        Ok(request) => request,
        Err(status) => return respond(Answer { status: status.as_u16(), ..Answer::default() }),
    };
    let Speech { wait, answer, blocks, cut } = shared.model.speak(&request, shared.clock.now());
    tokio::select! {
        () = shared.shutdown.cancelled() => return respond(Answer { status: 503, ..Answer::default() }),
        () = tokio::time::sleep(wait) => {}
    }
    let mut response = respond(answer);
    if cut || !blocks.is_empty() {
        let script = Script { shared, blocks: blocks.into(), cut, due: Instant::now() };
        let stream = futures_util::stream::unfold(script, |mut script| async move {
            let block = script.next().await?;
            Some((block, script))
        });
        *response.body_mut() = Body::from_stream(stream);
    }
    response
}

/// Blocks being sent.
struct Script {
    shared: Arc<Shared>,
    blocks: VecDeque<(Duration, Vec<u8>)>,
    cut: bool,
    due: Instant,
}

impl Script {
    /// The next block; an error breaks the connection, `None` ends it in good order.
    async fn next(&mut self) -> Option<Result<Bytes, io::Error>> {
        while let Some((delay, block)) = self.blocks.pop_front() {
            // from the planned time: delays must not add up over a long answer
            self.due += delay;
            tokio::select! {
                biased;
                () = self.shared.shutdown.cancelled() => return None,
                () = tokio::time::sleep_until(self.due) => {}
            }
            if !block.is_empty() {
                return Some(Ok(Bytes::from(block)));
            }
        }
        std::mem::take(&mut self.cut).then(|| Err(io::Error::other("the connection is to break")))
    }
}
