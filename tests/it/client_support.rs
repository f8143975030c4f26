//! Raw TCP servers on free loopback ports, and calls to them.

use difyprobe::client::{Call, Client, Limits, Options, ProxySettings, Recorded};
use difyprobe::model::FaultClass;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Runs `handler` for every accepted connection, numbered from 0.
pub async fn serve<F, Fut>(handler: F) -> SocketAddr
where
    F: Fn(usize, TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(handler(number, stream));
        }
    });
    address
}

/// Answers every connection's first request with these bytes and closes.
pub async fn answer(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = bytes.into();
    serve(move |_, mut stream| {
        let bytes = bytes.clone();
        async move {
            read_request(&mut stream).await;
            // a client that hangs up early is part of some tests
            let _ = stream.write_all(&bytes).await;
        }
    })
    .await
}

/// Answers the first request with these bytes and then keeps the connection open in silence.
pub async fn answer_and_hang(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = bytes.into();
    serve(move |_, mut stream| {
        let bytes = bytes.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            until_closed(&mut stream).await;
        }
    })
    .await
}

/// Reads one request, body by `Content-Length`; empty when the client closed instead.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut got = Vec::new();
    loop {
        if let Some(at) = got.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&got[..at]).to_ascii_lowercase();
            let length =
                head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |l| l.parse().unwrap());
            if got.len() >= at + 4 + length {
                return String::from_utf8(got).expect("a request in UTF-8");
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(read) if read > 0 => got.extend_from_slice(&part[..read]),
            _ => return String::new(),
        }
    }
}

/// Waits until the client closes the connection.
pub async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut part = [0; 4096];
    while matches!(stream.read(&mut part).await, Ok(read) if read > 0) {}
}

pub fn options() -> Options {
    Options { proxy: ProxySettings::none(), ..Options::default() }
}

pub fn client() -> Client {
    Client::new(options())
}

pub fn call(method: &str, url: impl Into<String>) -> Call {
    Call {
        method: method.to_owned(),
        url: url.into(),
        headers: Vec::new(),
        body: None,
        limits: Limits::default(),
        planned: None,
        hang_up_after: None,
    }
}

pub fn get(address: SocketAddr) -> Call {
    call("GET", format!("http://{address}/v1/info"))
}

pub async fn send(client: &Client, call: Call) -> Recorded {
    client.send(call, None, &CancellationToken::new()).await
}

pub fn class(recorded: &Recorded) -> Option<FaultClass> {
    recorded.fault.as_ref().map(|f| f.class)
}

pub fn body_text(recorded: &Recorded) -> &str {
    recorded.reply.as_ref().and_then(|r| r.body.text()).unwrap_or_else(|| panic!("no text body: {recorded:?}"))
}

pub const fn ms(of: u64) -> Duration {
    Duration::from_millis(of)
}

pub const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";
