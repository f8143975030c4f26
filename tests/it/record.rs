//! The recording proxy, with reqwest as an independent client: what passes, when it passes, what is recorded of it.

use crate::client_support::{answer, options, read_request, serve, until_closed};
use difyprobe::client::parse_base_url;
use difyprobe::model::{Exchange, FaultClass, Transcript};
use difyprobe::recorder::{self, Recorder, Settings, Tape};
use difyprobe::store::{GrowingTranscript, load_transcripts};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

const KEY: &str = "app-0123456789abcdefghijklmn";

/// A recording in front of a server.
struct Recording {
    recorder: Recorder,
    tape: Arc<Tape>,
    path: PathBuf,
    dir: TempDir,
    ended: mpsc::UnboundedReceiver<Exchange>,
}

impl Recording {
    async fn of(server: SocketAddr) -> Recording {
        let dir = TempDir::new().expect("a folder");
        let path = dir.path().join("new/x.transcript.json");
        let begun = Transcript::new(format!("http://{server}/v1"), 1);
        let file = GrowingTranscript::create(&path, &begun).expect("a file");
        let (tell, ended) = mpsc::unbounded_channel();
        let watcher = Arc::new(move |exchange: &Exchange| drop(tell.send(exchange.clone())));
        let tape = Arc::new(Tape::new(begun, file, None, watcher));
        let settings = Settings {
            server: parse_base_url(&format!("http://{server}/v1")).expect("a base URL"),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            client: difyprobe::client::Options { epoch: Instant::now(), ..options() },
        };
        let recorder = recorder::start(settings, Arc::clone(&tape)).await.expect("a proxy");
        Recording { recorder, tape, path, dir, ended }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.recorder.base_url())
    }

    /// The next exchange of a program that has ended.
    async fn next(&mut self) -> Exchange {
        self.ended.recv().await.expect("an exchange")
    }

    /// Ends the recording; every byte of every file is searched for the key.
    async fn finish(self) -> Transcript {
        let (transcript, written) = self.recorder.stop().await;
        written.expect("written");
        let saved = load_transcripts(std::slice::from_ref(&self.path)).expect("a transcript");
        assert_eq!(saved[0].exchanges.len(), transcript.exchanges.len());
        let bytes = std::fs::read(&self.path).expect("the file");
        assert!(!contains(&bytes, KEY.as_bytes()), "the key is in {}", self.path.display());
        drop(self.dir);
        drop(self.tape);
        transcript
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Answers what the proxy itself asks with 404, and everything else by the handler.
async fn upstream(reply: &'static str) -> SocketAddr {
    answer(reply).await
}

#[tokio::test]
async fn a_whole_answer_passes_as_it_is_and_the_file_has_it_at_once() {
    let reply = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nX-Own: a\r\nSet-Cookie: sid=secret\r\nContent-Length: 13\r\n\r\n{\"id\": \"x-1\"}";
    let (tell, mut asked) = mpsc::unbounded_channel();
    let server = serve(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            let request = read_request(&mut stream).await;
            drop(tell.send(request));
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    })
    .await;
    let mut recording = Recording::of(server).await;
    let body = b"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\x01text\r\n--B--\r\n";
    let answer = reqwest::Client::new()
        .post(recording.url("/files/upload?user=a%20b&x="))
        .header("Authorization", format!("Bearer {KEY}"))
        .header("Content-Type", "multipart/form-data; boundary=B")
        .header("Cookie", "sid=secret")
        .header("X-Trace", "t")
        .body(body.to_vec())
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 201);
    assert_eq!(
        (answer.headers()["x-own"].as_bytes(), answer.headers()["set-cookie"].as_bytes()),
        (&b"a"[..], &b"sid=secret"[..])
    );
    assert_eq!(answer.text().await.expect("text"), "{\"id\": \"x-1\"}");
    let sent = loop {
        let request = asked.recv().await.expect("a request");
        if request.starts_with("POST") {
            break request;
        }
    };
    let (head, sent_body) = sent.split_once("\r\n\r\n").expect("a head");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /v1/files/upload?user=a%20b&x= http/1.1"), "{head}");
    for line in [
        format!("authorization: bearer {KEY}"),
        "x-trace: t".into(),
        "cookie: sid=secret".into(),
        format!("host: {server}"),
    ] {
        assert!(head.contains(&line), "{line} in {head}");
    }
    assert!(!head.contains("user-agent"), "reqwest sends none, and none is added: {head}");
    assert_eq!(sent_body.as_bytes(), body);
    let exchange = recording.next().await;
    let wait = async {
        // the exchange is told just before it is written
        while load_transcripts(std::slice::from_ref(&recording.path)).expect("whole at any time")[0]
            .exchanges
            .iter()
            .all(|e| e.request.method != "POST")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), wait).await.expect("on disk before the end");
    assert_eq!(exchange.request.header("cookie"), Some("[hidden]"));
    assert_eq!(exchange.reply.as_ref().and_then(|r| r.header("set-cookie")), Some("[hidden]"));
    recording.finish().await;
}

#[tokio::test]
async fn parts_of_a_stream_pass_before_its_end_and_keep_their_times() {
    let (go_on, wait) = tokio::sync::watch::channel(false);
    let server = serve(move |_, mut stream| {
        let mut wait = wait.clone();
        async move {
            read_request(&mut stream).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(b"10\r\ndata: {\"n\": 1}\n\n\r\n").await;
            let _ = wait.wait_for(|go_on| *go_on).await;
            let _ = stream.write_all(b"10\r\ndata: {\"n\": 2}\n\n\r\n0\r\n\r\n").await;
        }
    })
    .await;
    let mut recording = Recording::of(server).await;
    let mut answer = reqwest::get(recording.url("/chat-messages")).await.expect("a head");
    let first = answer.chunk().await.expect("a part").expect("before the server goes on");
    assert_eq!(&first[..], b"data: {\"n\": 1}\n\n");
    go_on.send(true).expect("the server waits");
    let second = answer.chunk().await.expect("a part").expect("the rest");
    assert_eq!(&second[..], b"data: {\"n\": 2}\n\n");
    assert_eq!(answer.chunk().await.expect("the end"), None);
    let exchange = recording.next().await;
    assert_eq!(exchange.fault, None);
    let reads = &exchange.reply.as_ref().expect("a reply").reads;
    assert!(reads.len() == 2 && reads[0].upto == 16 && reads[0].at_us < reads[1].at_us, "{reads:?}");
    recording.finish().await;
}

#[tokio::test]
async fn a_program_that_hangs_up_makes_the_proxy_hang_up_too() {
    let (tell, mut left) = mpsc::unbounded_channel();
    let server = serve(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            read_request(&mut stream).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"n\": 1}\n\n";
            let _ = stream.write_all(head.as_bytes()).await;
            until_closed(&mut stream).await;
            let _ = tell.send(());
        }
    })
    .await;
    let mut recording = Recording::of(server).await;
    let client = reqwest::Client::new();
    let mut answer = client.get(recording.url("/chat-messages")).send().await.expect("a head");
    answer.chunk().await.expect("a part").expect("one event");
    drop((answer, client));
    left.recv().await.expect("the server sees it");
    let exchange = recording.next().await;
    let fault = exchange.fault.expect("cut");
    assert_eq!((fault.class, fault.detail.as_str()), (FaultClass::Cancelled, "the program hung up"));
    assert_eq!(exchange.reply.expect("a reply").body.text(), Some("data: {\"n\": 1}\n\n"));
    recording.finish().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_502_and_a_fault() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = listener.local_addr().expect("its address");
    drop(listener);
    let mut recording = Recording::of(server).await;
    let answer = reqwest::Client::new()
        .get(recording.url("/info"))
        .header("Authorization", format!("Bearer {KEY}"))
        .send()
        .await
        .expect("an answer of the proxy");
    assert_eq!(answer.status(), 502);
    let body: serde_json::Value = answer.json().await.expect("JSON");
    assert_eq!((&body["code"], &body["status"]), (&"bad_gateway".into(), &502.into()));
    let exchange = recording.next().await;
    assert_eq!((exchange.fault.map(|f| f.class), exchange.reply.is_none()), (Some(FaultClass::Connect), true));
    assert_eq!(exchange.app, "app-1");
    assert_eq!(exchange.request.header("authorization"), Some("Bearer [key:app-1]"));
    recording.finish().await;
}

#[tokio::test]
async fn a_reply_that_the_server_cuts_is_cut_for_the_program() {
    let server =
        upstream("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\"").await;
    let mut recording = Recording::of(server).await;
    let answer = reqwest::get(recording.url("/info")).await.expect("a head");
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err(), "the body is not whole");
    let exchange = recording.next().await;
    assert_eq!(exchange.fault.map(|f| f.class), Some(FaultClass::Truncated));
    assert_eq!(exchange.reply.expect("a reply").body.text(), Some("{\"a\""));
    recording.finish().await;
}

#[tokio::test]
async fn credentials_that_open_nothing_are_nowhere() {
    let server = upstream("HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n{\"code\": \"unauthorized\"}").await;
    let mut recording = Recording::of(server).await;
    let client = reqwest::Client::new();
    for authorization in [format!("Bearer {KEY}"), format!("Basic {KEY}"), KEY.to_owned()] {
        let request = client.get(recording.url("/info")).header("Authorization", authorization);
        assert_eq!(request.send().await.expect("an answer").status(), 401);
        let exchange = recording.next().await;
        assert_eq!(exchange.app, "no-app");
        let shown = exchange.request.header("authorization").expect("a header").to_owned();
        assert!(shown.ends_with("[foreign key]"), "{shown}");
    }
    recording.finish().await;
}
