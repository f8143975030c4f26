//! TLS: trust, refusal, HTTP/2 by ALPN, tunnels, limits.

use crate::client_support::*;
use bytes::Bytes;
use difyprobe::client::{Call, Client, Limits, Options, ProxySettings};
use difyprobe::model::FaultClass;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// A certificate for `localhost`, and an acceptor that presents it.
fn certificate(protocols: &[&str]) -> (CertificateDer<'static>, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|c| c.with_no_client_auth().with_single_cert(vec![certificate.clone()], key))
        .expect("a TLS configuration");
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    (certificate, TlsAcceptor::from(Arc::new(config)))
}

/// Answers every request on TLS connections with `OK` over HTTP/1.1.
async fn tls_server(acceptor: TlsAcceptor) -> SocketAddr {
    serve(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            while !read_request(&mut stream).await.is_empty() {
                let _ = stream.write_all(OK.as_bytes()).await;
                let _ = stream.flush().await;
            }
        }
    })
    .await
}

fn trusting(root: CertificateDer<'static>) -> Client {
    Client::new(Options { extra_roots: vec![root], ..options() })
}

fn https(address: SocketAddr) -> Call {
    call("GET", format!("https://localhost:{}/v1/info", address.port()))
}

#[tokio::test]
async fn a_trusted_certificate_works_and_the_handshake_is_timed_apart() {
    let (root, acceptor) = certificate(&["http/1.1"]);
    let address = tls_server(acceptor).await;
    let client = trusting(root);
    let first = send(&client, https(address)).await;
    assert_eq!(first.fault, None);
    assert_eq!((first.reply.as_ref().unwrap().http_version.as_str(), body_text(&first)), ("HTTP/1.1", "{}"));
    assert!(first.timing.tls_us.unwrap() > 0 && first.timing.connect_us.is_some());
    assert!(first.timing.tls_us.unwrap() + first.timing.connect_us.unwrap() <= first.timing.head_us.unwrap());
    let second = send(&client, https(address)).await;
    assert_eq!((second.fault, second.timing.tls_us, second.timing.connect_us), (None, None, None), "reused");
}

#[tokio::test]
async fn an_unknown_issuer_and_a_wrong_name_are_tls_faults() {
    let (root, acceptor) = certificate(&[]);
    let (other_root, _) = certificate(&[]);
    let address = tls_server(acceptor).await;
    let untrusted = send(&trusting(other_root), https(address)).await;
    assert_eq!(class(&untrusted), Some(FaultClass::Tls));
    let wrong_name = send(&trusting(root), call("GET", format!("https://{address}/v1"))).await;
    assert_eq!(class(&wrong_name), Some(FaultClass::Tls));
    assert!(wrong_name.reply.is_none() && wrong_name.timing.tls_us.is_none());
    let plain = serve(|_, mut stream| async move { drop(stream.write_all(OK.as_bytes()).await) }).await;
    let (root, _) = certificate(&[]);
    assert_eq!(class(&send(&trusting(root), https(plain)).await), Some(FaultClass::Tls), "a server without TLS");
}

#[tokio::test]
async fn a_silent_handshake_is_a_tls_timeout() {
    let address = serve(|_, mut stream| async move { until_closed(&mut stream).await }).await;
    let (root, _) = certificate(&[]);
    let limits = Limits { tls: ms(100), ..Limits::default() };
    let recorded = send(&trusting(root), Call { limits, ..https(address) }).await;
    assert_eq!(class(&recorded), Some(FaultClass::TimeoutTls));
    assert!(recorded.fault.unwrap().detail.ends_with("not done within 100 ms"));
    assert!(recorded.timing.connect_us.is_some());
}

/// An HTTP/2 server that answers with the version and authority it saw; counts connections.
async fn http2_server(acceptor: TlsAcceptor, connections: Arc<AtomicUsize>) -> SocketAddr {
    use hyper::service::service_fn;
    serve(move |_, stream| {
        let acceptor = acceptor.clone();
        connections.fetch_add(1, Ordering::SeqCst);
        async move {
            let stream = acceptor.accept(stream).await.expect("a handshake");
            let answer = service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                let text = format!("data: {:?} {}\n\n", request.version(), request.uri());
                let body = http_body_util::Full::new(Bytes::from(text));
                hyper::Response::builder().header("content-type", "text/event-stream").body(body)
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            let executor = hyper_util::rt::TokioExecutor::new();
            let _ = hyper::server::conn::http2::Builder::new(executor).serve_connection(io, answer).await;
        }
    })
    .await
}

#[tokio::test]
async fn http_2_is_spoken_where_the_server_offers_it_over_one_connection() {
    let (root, acceptor) = certificate(&["h2", "http/1.1"]);
    let connections = Arc::new(AtomicUsize::new(0));
    let address = http2_server(acceptor, connections.clone()).await;
    let client = trusting(root);
    let sends = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { send(&client, https(address)).await })
    });
    for sent in futures_util::future::join_all(sends).await {
        let recorded = sent.unwrap();
        assert_eq!(recorded.fault, None);
        assert_eq!(recorded.reply.as_ref().unwrap().http_version, "HTTP/2");
        let wanted = format!("data: HTTP/2.0 https://localhost:{}/v1/info\n\n", address.port());
        assert_eq!(body_text(&recorded), wanted);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_lost_http_2_connection_is_a_truncated_body_and_is_replaced() {
    let (root, acceptor) = certificate(&["h2"]);
    let address = serve(move |number, stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.expect("a handshake");
            let answer = hyper::service::service_fn(move |_| async move {
                let rest = futures_util::stream::iter([Ok(hyper::body::Frame::data(Bytes::from("data: 1\n\n")))]);
                let fails = futures_util::stream::iter((number == 0).then(|| Err(std::io::Error::other("cut"))));
                let body = http_body_util::StreamBody::new(futures_util::StreamExt::chain(rest, fails));
                Ok::<_, std::convert::Infallible>(hyper::Response::new(body))
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            let serving = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
                .serve_connection(io, answer);
            let _ = if number == 0 { tokio::time::timeout(ms(300), serving).await } else { Ok(serving.await) };
        }
    })
    .await;
    let client = trusting(root);
    let first = send(&client, https(address)).await;
    assert_eq!(class(&first), Some(FaultClass::Truncated), "{first:?}");
    // the first connection lives until its server drops it
    let mut again = send(&client, https(address)).await;
    while again.fault.is_some() {
        tokio::time::sleep(ms(20)).await;
        again = send(&client, https(address)).await;
    }
    assert_eq!(body_text(&again), "data: 1\n\n");
}

/// Accepts `CONNECT`, reports its head, and passes bytes on to the given server.
async fn connect_proxy(
    to: SocketAddr,
    status: &'static str,
) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (seen, heads) = tokio::sync::mpsc::unbounded_channel();
    let proxy = serve(move |_, mut stream| {
        let seen = seen.clone();
        async move {
            let _ = seen.send(read_request(&mut stream).await);
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nVia: test\r\n\r\n").as_bytes()).await;
            let mut server = TcpStream::connect(to).await.expect("the server");
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
        }
    })
    .await;
    (proxy, heads)
}

fn proxied(proxy: SocketAddr, root: CertificateDer<'static>) -> Client {
    let mut settings =
        ProxySettings::from_lookup(|name| (name == "HTTPS_PROXY").then(|| format!("http://me:pass@{proxy}")));
    settings.loopback = true;
    Client::new(Options { extra_roots: vec![root], proxy: settings, ..options() })
}

#[tokio::test]
async fn https_goes_through_a_tunnel_of_the_proxy() {
    let (root, acceptor) = certificate(&["http/1.1"]);
    let server = tls_server(acceptor).await;
    let (proxy, mut heads) = connect_proxy(server, "200 Connection established").await;
    let recorded = send(&proxied(proxy, root), https(server)).await;
    assert_eq!(recorded.fault, None);
    assert_eq!(body_text(&recorded), "{}");
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", server.port())), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic bWU6cGFzcw==\r\n"), "{head}");
}

#[tokio::test]
async fn a_proxy_that_refuses_the_tunnel_is_a_connect_fault() {
    let (root, acceptor) = certificate(&[]);
    let server = tls_server(acceptor).await;
    let (proxy, _heads) = connect_proxy(server, "407 Proxy Authentication Required").await;
    let recorded = send(&proxied(proxy, root), https(server)).await;
    assert_eq!(class(&recorded), Some(FaultClass::Connect));
    let detail = recorded.fault.unwrap().detail;
    assert!(detail.contains("407 Proxy Authentication Required") && !detail.contains("pass"), "{detail}");
}
