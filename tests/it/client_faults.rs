//! Servers that misbehave: every way to fail has its class, and nothing hangs, panics or fills the memory.

use crate::client_support::*;
use difyprobe::client::{Call, Client, Limits};
use difyprobe::model::FaultClass;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

/// Sends a GET with one limit shortened; gives class and detail of the fault.
async fn fault(call: Call) -> (FaultClass, String) {
    let recorded = send(&client(), call).await;
    let fault = recorded.fault.expect("a fault");
    (fault.class, fault.detail)
}

#[tokio::test]
async fn a_refused_connection_and_an_unknown_name_are_connect_faults() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (class, detail) = fault(get(address)).await;
    assert_eq!(class, FaultClass::Connect);
    assert!(detail.contains(&address.to_string()), "{detail}");
    let (class, detail) = fault(call("GET", "http://no-such-host.invalid/v1")).await;
    assert_eq!(class, FaultClass::Connect);
    assert!(detail.contains("no-such-host.invalid"), "{detail}");
}

#[tokio::test]
async fn a_server_that_accepts_nobody_is_a_connect_timeout() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(ms(200), TcpStream::connect(address)).await {
        queue.push(stream);
    }
    let limits = Limits { connect: ms(100), ..Limits::default() };
    let (class, detail) = fault(Call { limits, ..get(address) }).await;
    assert_eq!((class, detail), (FaultClass::TimeoutConnect, format!("no connection to {address} within 100 ms")));
}

#[tokio::test]
async fn a_silent_server_is_a_first_byte_timeout() {
    let address = answer_and_hang("").await;
    let limits = Limits { first_byte: ms(80), ..Limits::default() };
    let recorded = send(&client(), Call { limits, ..get(address) }).await;
    assert_eq!(class(&recorded), Some(FaultClass::TimeoutFirstByte));
    assert_eq!(recorded.fault.unwrap().detail, "no response head within 80 ms");
    assert!(recorded.reply.is_none() && recorded.timing.head_us.is_none());
    assert!(recorded.timing.end_us >= 80_000 && recorded.timing.connect_us.is_some());
}

#[tokio::test]
async fn half_a_response_head_is_a_first_byte_timeout_too() {
    let address = answer_and_hang("HTTP/1.1 200 OK\r\nContent-Ty").await;
    let limits = Limits { first_byte: ms(80), ..Limits::default() };
    assert_eq!(fault(Call { limits, ..get(address) }).await.0, FaultClass::TimeoutFirstByte);
}

#[tokio::test]
async fn a_stream_of_comments_is_a_first_event_timeout() {
    let address = answer_and_hang(format!("{STREAM}: hi\n\n: hi\n\ndata: unfinished\n")).await;
    let limits = Limits { first_event: ms(100), ..Limits::default() };
    let recorded = send(&client(), Call { limits, ..get(address) }).await;
    assert_eq!(class(&recorded), Some(FaultClass::TimeoutFirstEvent));
    assert_eq!(recorded.fault.as_ref().unwrap().detail, "no event of the stream within 100 ms");
    assert_eq!(body_text(&recorded), ": hi\n\n: hi\n\ndata: unfinished\n", "what came is kept");
}

#[tokio::test]
async fn a_ping_is_a_first_event_and_other_bodies_need_none() {
    for head in [STREAM, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"] {
        let address = answer_and_hang(format!("{head}event: ping\n\n")).await;
        let limits = Limits { first_event: ms(50), idle: ms(200), ..Limits::default() };
        let (class, detail) = fault(Call { limits, ..get(address) }).await;
        assert_eq!(class, FaultClass::TimeoutIdle);
        assert_eq!(detail, "no byte for 200 ms in the middle of the body");
    }
}

#[tokio::test]
async fn reads_put_the_idle_limit_off_but_not_the_total_one() {
    let address = serve(|_, mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(STREAM.as_bytes()).await;
        let mut tick = tokio::time::interval(ms(20));
        while stream.write_all(b"data: 1\n\n").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    let limits = Limits { idle: ms(150), total: ms(400), ..Limits::default() };
    let recorded = send(&client(), Call { limits, ..get(address) }).await;
    assert_eq!(class(&recorded), Some(FaultClass::TimeoutTotal));
    assert_eq!(recorded.fault.as_ref().unwrap().detail, "the exchange took longer than 400 ms");
    assert!(body_text(&recorded).starts_with("data: 1\n\ndata: 1\n\n"), "what came is kept");
    assert!(recorded.timing.end_us >= 400_000);
}

#[tokio::test]
async fn a_stream_that_never_pauses_still_meets_its_limits() {
    let address = serve(|_, mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(STREAM.as_bytes()).await;
        while stream.write_all(&[b':'; 4096]).await.is_ok() {}
    })
    .await;
    let limits = Limits { first_event: ms(100), ..Limits::default() };
    assert_eq!(fault(Call { limits, ..get(address) }).await.0, FaultClass::TimeoutFirstEvent);
    let limits = Limits { total: ms(100), ..Limits::default() };
    assert_eq!(fault(Call { limits, ..get(address) }).await.0, FaultClass::TimeoutTotal);
}

#[tokio::test]
async fn a_cut_anywhere_in_the_response_is_truncated() {
    let cuts = [
        ("", false),
        ("HTTP/1.1 200 OK\r\nContent-Le", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n12345", true),
    ];
    for (bytes, with_body) in cuts {
        let recorded = send(&client(), call("POST", format!("http://{}/v1", answer(bytes).await))).await;
        assert_eq!(class(&recorded), Some(FaultClass::Truncated), "{bytes:?}: {recorded:?}");
        assert_eq!(recorded.reply.is_some(), with_body, "{bytes:?}");
        if with_body {
            assert_eq!(body_text(&recorded), "12345", "{bytes:?}");
        }
    }
}

#[tokio::test]
async fn bytes_that_are_not_http_are_a_protocol_fault() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let garbage = [
        "hello there\r\n\r\n".to_owned(),
        "HTTP/1.1 abc\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345".to_owned(),
        format!("{chunked}xyz\r\n"),
        format!("{chunked}FFFFFFFFFFFFFFFFF\r\n"),
        format!("{chunked}1;{}", "x".repeat(100_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(1000)),
    ];
    for bytes in garbage {
        let recorded = send(&client(), get(answer_and_hang(bytes.clone()).await)).await;
        assert_eq!(class(&recorded), Some(FaultClass::Protocol), "{bytes:.80}: {:?}", recorded.fault);
    }
}

#[tokio::test]
async fn endless_headers_are_a_protocol_fault_after_bounded_bytes() {
    let (report, mut written) = tokio::sync::mpsc::unbounded_channel();
    let address = serve(move |_, mut stream| {
        let report = report.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
            let mut total = 0u64;
            while stream.write_all(&[b'a'; 4096]).await.is_ok() {
                total += 4096;
            }
            let _ = report.send(total);
        }
    })
    .await;
    assert_eq!(fault(get(address)).await.0, FaultClass::Protocol);
    let written = written.recv().await.unwrap();
    assert!(written < 16 << 20, "{written} bytes were taken");
}

#[tokio::test]
async fn an_endless_stream_is_cut_at_the_cap_and_little_of_it_is_kept() {
    let address = serve(|_, mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(STREAM.as_bytes()).await;
        while stream.write_all(b"data: 0123456789\n\n").await.is_ok() {}
    })
    .await;
    let client = Client::new(difyprobe::client::Options { keep_body: 10_000, max_body: 3_000_000, ..options() });
    let recorded = send(&client, get(address)).await;
    assert_eq!(class(&recorded), Some(FaultClass::TooLarge));
    let reply = recorded.reply.unwrap();
    assert!(reply.body_bytes > 3_000_000 && reply.body_bytes < 4_000_000);
    assert_eq!(reply.body.bytes().len(), 10_000);
    assert!(reply.truncated());
    assert!(reply.reads.len() <= 10_000 / 18 + 2, "{} reads", reply.reads.len());
    assert_eq!(reply.reads.last().unwrap().upto, reply.body_bytes);
}

#[tokio::test]
async fn stopping_ends_at_once_and_keeps_what_came() {
    let address = answer_and_hang(format!("{STREAM}data: 1\n\ndata: 2")).await;
    let stop = CancellationToken::new();
    let (watch, mut frames) = tokio::sync::mpsc::unbounded_channel();
    let client = client();
    let sending = client.send(get(address), Some(watch), &stop);
    let stopping = async {
        let first = frames.recv().await.unwrap();
        stop.cancel();
        (first, frames.recv().await.unwrap())
    };
    let (recorded, (first, second)) = tokio::join!(sending, stopping);
    assert_eq!(class(&recorded), Some(FaultClass::Cancelled));
    assert_eq!(body_text(&recorded), "data: 1\n\ndata: 2");
    assert_eq!(first.frame.data.as_deref(), Some("1"));
    assert_eq!((second.frame.data.as_deref(), second.frame.terminated), (Some("2"), false));
}

#[tokio::test]
async fn hanging_up_counts_events_other_than_ping_and_closes_the_connection() {
    let (closed, mut was_closed) = tokio::sync::mpsc::unbounded_channel();
    let address = serve(move |_, mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await;
            let events = "event: ping\n\n: note\n\ndata: 1\n\nevent: ping\n\ndata: 2\n\ndata: 3\n\n";
            let _ = stream.write_all(format!("{STREAM}{events}").as_bytes()).await;
            until_closed(&mut stream).await;
            let _ = closed.send(());
        }
    })
    .await;
    let (watch, mut frames) = tokio::sync::mpsc::unbounded_channel();
    let call = Call { hang_up_after: Some(2), ..get(address) };
    let recorded = client().send(call, Some(watch), &CancellationToken::new()).await;
    assert_eq!(class(&recorded), Some(FaultClass::Cancelled));
    was_closed.recv().await.unwrap();
    let mut seen = Vec::new();
    while let Some(timed) = frames.recv().await {
        seen.extend(timed.frame.data);
    }
    assert_eq!(seen, ["1", "2"]);
}

#[tokio::test]
async fn a_call_that_cannot_be_sent_says_why() {
    let bad_header = Call { headers: vec![("X-A".into(), "a\nb".into())], ..call("GET", "http://127.0.0.1:1/") };
    let bad = [call("GET", "127.0.0.1/v1"), call("GET", "ftp://h/"), call("G T", "http://127.0.0.1:1/"), bad_header];
    for call in bad {
        let shown = format!("{} {}", call.method, call.url);
        let recorded = send(&client(), call).await;
        let fault = recorded.fault.expect("a fault");
        // an invalid method or header is noticed once there is a connection to send it on
        assert!(matches!(fault.class, FaultClass::Protocol | FaultClass::Connect), "{shown}: {fault:?}");
    }
}
