//! The proxy's socket: who connects is served until the recording ends.

use super::apps::Apps;
use super::passing::{Shared, pass};
use super::tape::Tape;
use crate::client::{BaseUrl, Client, Limits, Options};
use crate::model::Transcript;
use crate::store::StoreError;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long requests under way may go on when the recording ends.
const GRACE: Duration = Duration::from_secs(5);

/// How long the proxy's own questions may take.
const ASKING: Duration = Duration::from_secs(5);

/// Limits of what is passed on: patience is the program's affair.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// What to record, and where to listen.
pub struct Settings {
    /// Base URL of the server.
    pub server: BaseUrl,
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Settings of the client, with the start of the recording as offset 0.
    pub client: Options,
}

/// Why the proxy does not listen.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address}: {source}")]
pub struct StartError {
    address: SocketAddr,
    source: std::io::Error,
}

/// A proxy that listens.
pub struct Recorder {
    base_url: String,
    shared: Arc<Shared>,
    /// No more connections.
    closing: CancellationToken,
    server: JoinHandle<()>,
}

/// Starts to listen.
///
/// # Errors
/// The address cannot be listened on.
pub async fn start(settings: Settings, tape: Arc<Tape>) -> Result<Recorder, StartError> {
    let address = SocketAddr::new(settings.host, settings.port);
    let failed = |source| StartError { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let mut reachable = listener.local_addr().map_err(failed)?;
    if reachable.ip().is_unspecified() {
        reachable.set_ip(if reachable.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    let limits = Limits {
        first_byte: PATIENCE,
        first_event: PATIENCE,
        idle: PATIENCE,
        total: PATIENCE,
        ..settings.client.limits
    };
    let client = Client::new(Options { limits, max_body: u64::MAX, ..settings.client.clone() });
    let asking = Limits { connect: ASKING, tls: ASKING, first_byte: ASKING, total: ASKING, ..limits };
    let own = Options { limits: asking, ..settings.client };
    let over = CancellationToken::new();
    let apps = Apps::new(settings.server.as_str(), client.clone(), own, Arc::clone(&tape), over.clone());
    let shared = Arc::new(Shared {
        origin: settings.server.origin().to_owned(),
        client,
        apps,
        tape,
        limits,
        under_way: Mutex::default(),
        over,
    });
    let closing = CancellationToken::new();
    let server = tokio::spawn(accept(listener, Arc::clone(&shared), closing.clone()));
    let base_url = format!("http://{reachable}{}", settings.server.path());
    Ok(Recorder { base_url, shared, closing, server })
}

impl Recorder {
    /// What to give to the program instead of the server's base URL: the path is the same.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Takes no more requests, lets those under way end within some seconds, cuts the rest, and finishes the tape.
    pub async fn stop(self) -> (Transcript, Result<(), StoreError>) {
        self.closing.cancel();
        // its connections end within the grace, or are cut
        let _ = self.server.await;
        self.shared.over.cancel();
        let mut under_way = std::mem::take(&mut *self.shared.under_way.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while under_way.join_next().await.is_some() {} };
        // what does not end in time is lost with the process; its program has gone already
        let _ = tokio::time::timeout(GRACE, all).await;
        self.shared.tape.finish()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, closing: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = closing.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => drop(connections.spawn(serve(socket, Arc::clone(&shared), closing.clone()))),
                // too many open files, or a client that left before it was served: others may still come
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        shared.over.cancel();
        connections.shutdown().await;
    }
}

async fn serve(socket: TcpStream, shared: Arc<Shared>, closing: CancellationToken) {
    // small parts must not wait for the acknowledgement of earlier ones; a socket that refuses is still served
    drop(socket.set_nodelay(true));
    let service = service_fn(|request| pass(Arc::clone(&shared), request));
    let connection = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    // how a connection ends, the exchanges on it tell
    tokio::select! {
        _ = connection.as_mut() => return,
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
