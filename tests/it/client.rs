//! The client against servers that behave: what is sent, what is recorded, which connections are used.

use crate::client_support::*;
use difyprobe::client::{Call, Client, Options, ProxySettings, Secret};
use difyprobe::model::{Body, FaultClass};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

#[tokio::test]
async fn a_reply_is_recorded_with_its_times() {
    let reply = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nX-Version: 1.12.1\r\nX-B: 1\r\nx-b: 2\r\n\
                 Content-Length: 12\r\n\r\n{\"a\": \"\u{20ac}\"}";
    let address = answer(reply).await;
    let call = Call { planned: Some(std::time::Instant::now()), ..get(address) };
    let recorded = send(&client(), call).await;
    assert_eq!(recorded.fault, None);
    assert_eq!((recorded.request.method.as_str(), recorded.request.target.as_str()), ("GET", "/v1/info"));
    let got = recorded.reply.as_ref().unwrap();
    assert_eq!(
        (got.http_version.as_str(), got.status, got.media_type().as_str()),
        ("HTTP/1.1", 201, "application/json")
    );
    assert_eq!(got.header("X-Version"), Some("1.12.1"));
    let values: Vec<_> = got.headers.iter().filter(|(n, _)| n == "x-b").map(|(_, v)| v.as_str()).collect();
    assert_eq!(values, ["1", "2"]);
    assert_eq!(body_text(&recorded), "{\"a\": \"\u{20ac}\"}");
    assert_eq!((got.body_bytes, got.truncated(), got.reads.len()), (12, false, 1));
    let timing = recorded.timing;
    let (connect, head) = (timing.connect_us.unwrap(), timing.head_us.unwrap());
    assert!(connect <= head && head <= timing.end_us, "{timing:?}");
    assert!(timing.tls_us.is_none() && timing.planned_us.unwrap() <= timing.sent_us, "{timing:?}");
}

#[tokio::test]
async fn requests_carry_what_the_call_says_and_what_http_needs() {
    let (seen, mut requests) = unbounded_channel();
    let address = serve(move |_, mut stream| {
        let seen = seen.clone();
        async move {
            let _ = seen.send(read_request(&mut stream).await);
            let _ = stream.write_all(OK.as_bytes()).await;
        }
    })
    .await;
    let headers = vec![("Content-Type".into(), "application/json".into()), ("X-Utf8".into(), "\u{e9}".into())];
    let body = Some(bytes::Bytes::from("{\"q\":1}"));
    let post = Call { headers: headers.clone(), body, ..call("POST", format!("http://{address}/v1/x?user=a%20b")) };
    let recorded = send(&client(), post).await;
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /v1/x?user=a%20b HTTP/1.1\r\n"), "{request}");
    let version = env!("CARGO_PKG_VERSION");
    for line in [format!("host: {address}"), format!("user-agent: difyprobe/{version}"), "content-length: 7".into()] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line} in {request}");
    }
    assert!(request.ends_with("\r\n\r\n{\"q\":1}") && !request.to_lowercase().contains("accept-encoding"));
    assert_eq!(recorded.request.headers, headers);
    assert_eq!(recorded.request.body, Some(Body::Text("{\"q\":1}".into())));

    let own = vec![("Host".into(), "other".into()), ("user-agent".into(), "me".into())];
    send(&client(), Call { headers: own, ..call("DELETE", format!("http://{address}")) }).await;
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("DELETE / HTTP/1.1\r\n") && request.contains("host: other\r\n"), "{request}");
    assert!(request.contains("user-agent: me\r\n") && request.matches("host:").count() == 1, "{request}");

    send(&client(), call("POST", format!("http://{address}/v1/stop"))).await;
    let request = requests.recv().await.unwrap();
    assert!(request.contains("content-length: 0\r\n"), "a POST without body says so: {request}");
}

#[tokio::test]
async fn a_stream_is_watched_frame_by_frame_as_it_arrives() {
    let (go_on, going_on) = unbounded_channel::<()>();
    let going_on = Arc::new(tokio::sync::Mutex::new(going_on));
    let parts: [&[u8]; 4] = [b"data: \xE2\x82", b"\xAC\n", b"\ndata: 2\n\nevent: pi", b"ng\n\n"];
    let address = serve(move |_, mut stream| {
        let going_on = going_on.clone();
        async move {
            read_request(&mut stream).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            for part in parts {
                let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
                stream.write_all(&chunk).await.unwrap();
                going_on.lock().await.recv().await;
            }
            stream.write_all(b"0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let (watch, mut frames) = unbounded_channel();
    let (client, stop) = (client(), CancellationToken::new());
    let sending = client.send(get(address), Some(watch), &stop);
    let watching = async {
        (0..2).for_each(|_| go_on.send(()).unwrap());
        let first = frames.recv().await.unwrap();
        let second = frames.recv().await.unwrap();
        assert!(frames.try_recv().is_err(), "the third is not complete, and the stream goes on");
        (0..2).for_each(|_| go_on.send(()).unwrap());
        [first, second, frames.recv().await.unwrap()]
    };
    let (recorded, live) = tokio::join!(sending, watching);
    assert_eq!(recorded.fault, None);
    let reply = recorded.reply.unwrap();
    assert_eq!(reply.reads.iter().map(|r| r.upto).collect::<Vec<_>>(), [8, 10, 29, 33]);
    assert_eq!(live[0].frame.data.as_deref(), Some("\u{20ac}"));
    let again = difyprobe::sse::decode(&reply.body.bytes(), &reply.reads);
    assert_eq!(again, live, "the recording tells the same story as the live frames");
    assert!(live[2].frame.is_ping() && live[2].at_us > live[1].at_us);
}

#[tokio::test]
async fn http_1_0_ends_its_body_by_closing() {
    let recorded =
        send(&client(), get(answer("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await))
            .await;
    assert_eq!(recorded.fault, None);
    assert_eq!(
        (recorded.reply.as_ref().unwrap().http_version.as_str(), body_text(&recorded)),
        ("HTTP/1.0", "data: 1\n\n")
    );
}

#[tokio::test]
async fn a_body_of_50_megabytes_is_counted_and_kept_up_to_the_cap() {
    const SIZE: usize = 50_000_000;
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").into_bytes();
    bytes.resize(bytes.len() + SIZE, b'x');
    let recorded = send(&client(), get(answer(bytes).await)).await;
    assert_eq!(recorded.fault, None);
    let reply = recorded.reply.unwrap();
    assert_eq!((reply.body_bytes, reply.body.bytes().len(), reply.truncated()), (SIZE as u64, 8 << 20, true));
    assert_eq!(reply.reads.len(), 1);
}

#[tokio::test]
async fn a_redirect_is_recorded_and_the_key_goes_nowhere_else() {
    let visited = Arc::new(AtomicUsize::new(0));
    let count = visited.clone();
    let other = serve(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        async {}
    })
    .await;
    let address =
        answer(format!("HTTP/1.1 302 Found\r\nLocation: http://{other}/steal\r\nContent-Length: 0\r\n\r\n")).await;
    let headers = vec![("Authorization".into(), "Bearer app-secret-secret-secret".into())];
    let recorded = send(&client(), Call { headers, ..get(address) }).await;
    assert_eq!((recorded.fault, recorded.reply.unwrap().status), (None, 302));
    assert_eq!(visited.load(Ordering::SeqCst), 0);
}

/// Answers every request of a connection with `OK`, for as long as the client likes; counts connections.
async fn keep_alive_server() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let address = serve(move |_, mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            while !read_request(&mut stream).await.is_empty() {
                let _ = stream.write_all(OK.as_bytes()).await;
            }
        }
    })
    .await;
    (address, connections)
}

#[tokio::test]
async fn connections_are_reused_and_then_have_no_connect_time() {
    let (address, connections) = keep_alive_server().await;
    let client = client();
    for number in 0..20 {
        let recorded = send(&client.clone(), get(address)).await;
        assert_eq!(recorded.fault, None);
        assert_eq!(recorded.timing.connect_us.is_some(), number == 0, "request {number}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_is_reused_after_a_stream() {
    let address = serve(|number, mut stream| async move {
        assert_eq!(number, 0, "one connection is enough");
        while !read_request(&mut stream).await.is_empty() {
            let head = STREAM.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
            let _ = stream.write_all(format!("{head}9\r\ndata: 1\n\n\r\n0\r\n\r\n").as_bytes()).await;
        }
    })
    .await;
    let client = client();
    for _ in 0..3 {
        assert_eq!(body_text(&send(&client, get(address)).await), "data: 1\n\n");
    }
}

#[tokio::test]
async fn a_pooled_connection_that_the_server_closed_is_replaced_even_for_a_post() {
    let (noticed, mut client_noticed) = unbounded_channel();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let address = serve(move |_, mut stream| {
        let (noticed, count) = (noticed.clone(), count.clone());
        async move {
            read_request(&mut stream).await;
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(OK.as_bytes()).await;
            let _ = stream.shutdown().await;
            until_closed(&mut stream).await;
            let _ = noticed.send(());
        }
    })
    .await;
    let client = client();
    for number in 1..=3 {
        let recorded = send(&client, call("POST", format!("http://{address}/v1/chat-messages"))).await;
        assert_eq!(recorded.fault, None, "request {number}");
        assert!(recorded.timing.connect_us.is_some());
        assert_eq!(requests.load(Ordering::SeqCst), number);
        client_noticed.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_repeated_only_when_it_changes_nothing() {
    for (method, wanted, tries) in [("GET", None, 3), ("POST", Some(FaultClass::Truncated), 2)] {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        let address = serve(move |number, mut stream| {
            let count = count.clone();
            async move {
                read_request(&mut stream).await;
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(OK.as_bytes()).await;
                if number == 0 {
                    read_request(&mut stream).await;
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        })
        .await;
        let client = client();
        assert_eq!(send(&client, get(address)).await.fault, None);
        let recorded = send(&client, call(method, format!("http://{address}/v1/x"))).await;
        assert_eq!(class(&recorded), wanted, "{method}");
        assert_eq!(requests.load(Ordering::SeqCst), tries, "{method}");
    }
}

#[tokio::test]
async fn waiting_for_a_slot_is_not_part_of_the_timing() {
    let address = serve(|_, mut stream| async move {
        while !read_request(&mut stream).await.is_empty() {
            tokio::time::sleep(ms(100)).await;
            let _ = stream.write_all(OK.as_bytes()).await;
        }
    })
    .await;
    let client = Client::new(Options { max_in_flight: 1, ..options() });
    let (a, b) = tokio::join!(send(&client, get(address)), send(&client, get(address)));
    let mut both = [a.timing, b.timing];
    both.sort_by_key(|t| t.sent_us);
    let [first, second] = both;
    assert!(second.sent_us >= first.sent_us + first.end_us, "{first:?} {second:?}");
    assert!(second.end_us < 190_000, "{second:?}");
}

const KEY: &str = "app-SECRETsecret0123456789ab";

fn secret_client() -> Client {
    Client::new(Options { secrets: vec![Secret { label: "chat".into(), key: KEY.into() }], ..options() })
}

#[tokio::test]
async fn keys_are_in_no_part_of_the_recording() {
    let tail = &KEY[KEY.len() - 16..];
    let body = format!("data: {KEY}\n\ndata: {tail}\n\ndata: x\n\n");
    let (a, b) = body.split_at(15);
    let head = STREAM.replace("\r\n\r\n", &format!("\r\nX-Echo: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"));
    let chunks = [a, b].map(|part| format!("{:x}\r\n{part}\r\n", part.len())).concat();
    let address = answer(format!("{head}{chunks}0\r\n\r\n")).await;
    let post = Call {
        headers: vec![
            ("Authorization".into(), format!("Bearer {KEY}")),
            ("X-Other".into(), "Bearer app-unknown".into()),
        ],
        body: Some(bytes::Bytes::from(format!("{{\"k\":\"{KEY}\"}}"))),
        ..call("POST", format!("http://{address}/v1/x?key={KEY}"))
    };
    let (watch, mut frames) = unbounded_channel();
    let recorded = secret_client().send(post, Some(watch), &CancellationToken::new()).await;
    let mut live = Vec::new();
    while let Some(timed) = frames.recv().await {
        live.extend(timed.frame.data);
    }
    assert_eq!(live, ["[key:chat]", "[key-tail:chat]", "x"]);
    assert_eq!(recorded.fault, None);
    let shown = format!("{recorded:?}");
    assert!(!shown.contains(tail) && !shown.contains("SECRET"), "{shown}");
    assert_eq!(recorded.request.target, "/v1/x?key=[key:chat]");
    assert_eq!(recorded.request.headers[0].1, "Bearer [key:chat]");
    assert_eq!(recorded.request.headers[1].1, "Bearer app-unknown");
    let reply = recorded.reply.unwrap();
    assert_eq!(reply.header("x-echo"), Some("[key:chat]"));
    assert_eq!(reply.body.text(), Some("data: [key:chat]\n\ndata: [key-tail:chat]\n\ndata: x\n\n"));
    assert_eq!((reply.body_bytes, reply.truncated()), (body.len() as u64, false));
    let frames = difyprobe::sse::decode(&reply.body.bytes(), &reply.reads);
    assert!(frames.iter().all(|f| f.at_us == reply.reads.last().unwrap().at_us), "all came with the second read");
    assert_eq!(reply.reads.last().unwrap().upto as usize, reply.body.bytes().len());
}

#[tokio::test]
async fn keys_in_faults_and_in_cut_bodies_are_hidden() {
    let recorded = send(&secret_client(), call("GET", format!("http://{KEY}.invalid/v1"))).await;
    let detail = recorded.fault.unwrap().detail;
    assert!(!detail.contains("secret0123456789ab"), "{detail}");
    let cut = format!("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nkey {}", &KEY[..20]);
    let recorded = send(&secret_client(), get(answer(cut).await)).await;
    assert_eq!(class(&recorded), Some(FaultClass::Truncated));
    assert_eq!(body_text(&recorded), "key [key:chat]");
}

fn proxied(address: std::net::SocketAddr, except: &str) -> Client {
    let mut proxy = ProxySettings::from_lookup(|name| match name {
        "http_proxy" => Some(format!("http://me:pass@{address}")),
        "no_proxy" => Some(except.to_owned()),
        _ => None,
    });
    proxy.loopback = true;
    Client::new(Options { proxy, ..options() })
}

#[tokio::test]
async fn http_goes_through_a_proxy_with_the_whole_url() {
    let (seen, mut requests) = unbounded_channel();
    let proxy = serve(move |_, mut stream| {
        let seen = seen.clone();
        async move {
            let _ = seen.send(read_request(&mut stream).await);
            let _ = stream.write_all(OK.as_bytes()).await;
        }
    })
    .await;
    let recorded = send(&proxied(proxy, ""), call("GET", "http://dify.example:81/v1/info?user=a")).await;
    assert_eq!(recorded.fault, None);
    assert_eq!(recorded.request.target, "/v1/info?user=a");
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("GET http://dify.example:81/v1/info?user=a HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("proxy-authorization: Basic bWU6cGFzcw==\r\n"), "{request}");
    assert!(request.contains("host: dify.example:81\r\n"), "{request}");

    let direct = answer(OK).await;
    assert_eq!(send(&proxied(proxy, "127.0.0.0, 127.0.0.1"), get(direct)).await.fault, None);
    assert!(requests.try_recv().is_err(), "an excepted host is reached directly");
}
