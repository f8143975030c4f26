//! New connections: name, TCP, proxy, TLS, HTTP; each phase timed and limited on its own.

use super::Limits;
use super::fault::{chain, fault, shown};
use super::pool::Sender;
use super::proxy::Proxy;
use super::target::Target;
use crate::model::{Fault, FaultClass, Timing};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// Longest answer to `CONNECT` that is read.
const MAX_PROXY_HEAD: usize = 16 << 10;

/// Opens a connection and notes in `timing` how long which part took.
pub(super) async fn open(
    target: &Target,
    limits: &Limits,
    tls: Option<&TlsConnector>,
    timing: &mut Timing,
) -> Result<Sender, Fault> {
    let began = Instant::now();
    let tcp = match tokio::time::timeout(limits.connect, reach(target)).await {
        Ok(tcp) => tcp?,
        Err(_) => {
            let detail = format!("no connection to {} within {}", target.authority(), shown(limits.connect));
            return Err(fault(FaultClass::TimeoutConnect, detail));
        }
    };
    timing.connect_us = Some(began.elapsed().as_micros() as u64);
    match tls {
        None => http1_over(tcp).await,
        // Boxed for its size, which every request without TLS would carry as well.
        Some(tls) => Box::pin(secure(target, limits, tls, tcp, timing)).await,
    }
}

/// TLS over an open connection, and the protocol that it agrees on.
async fn secure(
    target: &Target,
    limits: &Limits,
    tls: &TlsConnector,
    tcp: TcpStream,
    timing: &mut Timing,
) -> Result<Sender, Fault> {
    let began = Instant::now();
    let name = ServerName::try_from(target.origin.host.clone()).map_err(|e| {
        fault(FaultClass::Tls, format!("'{}' is no name a certificate can have: {e}", target.origin.host))
    })?;
    let stream = match tokio::time::timeout(limits.tls, tls.connect(name, tcp)).await {
        Ok(stream) => {
            stream.map_err(|e| fault(FaultClass::Tls, format!("TLS with {}: {}", target.authority(), chain(&e))))?
        }
        Err(_) => {
            let detail = format!("TLS handshake with {} not done within {}", target.authority(), shown(limits.tls));
            return Err(fault(FaultClass::TimeoutTls, detail));
        }
    };
    timing.tls_us = Some(began.elapsed().as_micros() as u64);
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") { http2_over(stream).await } else { http1_over(stream).await }
}

async fn http1_over<S>(stream: S) -> Result<Sender, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let done = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = done.map_err(|e| fault(FaultClass::Connect, chain(&e)))?;
    // its errors come back through the request that meets them
    tokio::spawn(async move { drop(connection.await) });
    Ok(Sender::Http1(sender))
}

async fn http2_over<S>(stream: S) -> Result<Sender, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let done = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = done.map_err(|e| fault(FaultClass::Connect, chain(&e)))?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Sender::Http2(sender))
}

/// A TCP connection to the host or to its proxy, tunnelled where TLS is to go through it.
async fn reach(target: &Target) -> Result<TcpStream, Fault> {
    let origin = &target.origin;
    let Some(proxy) = &origin.proxy else {
        return tcp(&origin.host, origin.port).await.map_err(|why| fault(FaultClass::Connect, why));
    };
    let through = |why: String| fault(FaultClass::Connect, format!("proxy {}:{}: {why}", proxy.host, proxy.port));
    let mut stream = tcp(&proxy.host, proxy.port).await.map_err(through)?;
    if origin.https {
        tunnel(&mut stream, &target.authority(), proxy).await.map_err(through)?;
    }
    Ok(stream)
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, String> {
    let resolved = tokio::net::lookup_host((host, port)).await;
    let addresses = resolved.map_err(|e| format!("cannot resolve '{host}': {e}"))?;
    let mut failed = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // without it small requests may wait for the peer's delayed acknowledgement
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) => failed = Some(format!("cannot connect to {address}: {e}")),
        }
    }
    Err(failed.unwrap_or_else(|| format!("'{host}' resolves to no address")))
}

/// Asks a proxy to pass bytes on to `authority`.
async fn tunnel(stream: &mut TcpStream, authority: &str, proxy: &Proxy) -> Result<(), String> {
    let credentials =
        proxy.authorization.as_ref().map_or_else(String::new, |a| format!("Proxy-Authorization: {a}\r\n"));
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{credentials}\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let mut part = [0; 512];
        let read = stream.read(&mut part).await.map_err(|e| e.to_string())?;
        if read == 0 || head.len() > MAX_PROXY_HEAD {
            return Err("its answer to CONNECT is cut off or endless".to_owned());
        }
        head.extend_from_slice(part.get(..read).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&head);
    let status = text.lines().next().unwrap_or("").trim();
    let accepted = status.starts_with("HTTP/1.") && status.split(' ').nth(1).is_some_and(|code| code.starts_with('2'));
    if accepted { Ok(()) } else { Err(format!("it refused CONNECT {authority}: {status}")) }
}
