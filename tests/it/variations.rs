//! What the standards allow must be accepted: a proxy in front of the healthy emulator changes the wire in legal ways.

use difyprobe::client::Options;
use difyprobe::emulator::{self, Config};
use difyprobe::flow::Sink;
use difyprobe::model::Outcome;
use difyprobe::profile::Profile;
use difyprobe::rules::judge::judge;
use difyprobe::suite::matrix::keys_of;
use difyprobe::suite::{Choice, Request, builtin, prepare};
use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What becomes of the wire. All changes but the last are legal, and may be combined.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Variation {
    /// Lines of event streams end in CRLF.
    crlf: bool,
    /// A comment and a ping before every event.
    comments_and_pings: bool,
    /// Streams are split at any byte: first byte by byte, then in pieces of all sizes.
    split: bool,
    /// Pieces of a stream begin with the end of one event and end with the start of another.
    glued: bool,
    /// JSON members in reverse order, with members nobody knows, non-ASCII characters escaped.
    other_json: bool,
    /// HTTP/1.0 without a length: the end of the connection is the end of the body.
    close_delimited: bool,
    /// Every answer a little later, with headers nobody asked for.
    slow_with_headers: bool,
    /// Not legal: one line end less after each event.
    unseparated: bool,
}

const NONE: Variation = Variation {
    crlf: false,
    comments_and_pings: false,
    split: false,
    glued: false,
    other_json: false,
    close_delimited: false,
    slow_with_headers: false,
    unseparated: false,
};

/// Each change once, and each server version; together they are three runs of the whole suite.
const LEGAL: [(emulator::Profile, Variation); 3] = [
    (
        emulator::Profile::Documented,
        Variation { crlf: true, comments_and_pings: true, slow_with_headers: true, ..NONE },
    ),
    (emulator::Profile::Dify112, Variation { split: true, other_json: true, ..NONE }),
    (emulator::Profile::Dify015, Variation { glued: true, close_delimited: true, ..NONE }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn legal_variations_of_the_wire_are_no_findings() {
    let runs = LEGAL.map(|(version, variation)| tokio::spawn(findings(version, variation, &|_| true)));
    for ((version, variation), run) in LEGAL.into_iter().zip(futures_util::future::join_all(runs).await) {
        let (found, exchanges) = run.expect("a run");
        assert_eq!(found, [] as [String; 0], "{version:?} {variation:?}");
        assert!(exchanges > 1000, "{version:?}: {exchanges} exchanges");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_illegal_variation_is_found_through_the_same_proxy() {
    let variation = Variation { unseparated: true, ..NONE };
    let (found, _) = findings(emulator::Profile::Documented, variation, &|id| id.contains("stream")).await;
    assert!(found.iter().any(|f| f.starts_with("sse.event.framing Fail")), "{found:#?}");
}

/// Everything that is not a pass, not applicable or known when scenarios run through the proxy, and how many exchanges
/// there were.
async fn findings(
    version: emulator::Profile,
    variation: Variation,
    wanted: &(dyn Fn(&str) -> bool + Sync),
) -> (Vec<String>, usize) {
    let server = emulator::start(Config { profile: version, seed: 7, ..Config::default() }).await.expect("an emulator");
    let proxy = proxy(server.base_url(), variation).await;
    let scenarios = builtin::conformance().expect("clean").into_iter().filter(|s| wanted(&s.id)).collect();
    let request = Request {
        base_url: format!("{proxy}/v1"),
        keys: keys_of(&server),
        profile: Profile::by_id(version.id()),
        choice: Choice { scenarios, slow: false, whole_suite: false, ..Choice::default() },
        seed: 7,
        run_id: None,
        keep: false,
        think: false,
        client: Options { epoch: Instant::now(), max_in_flight: 64, ..Options::default() },
        at_once: 0,
        stop: CancellationToken::new(),
    };
    let run = prepare(request, Sink::collect()).await.expect("discovery").run().await.expect("a run");
    let planned =
        |rule: &difyprobe::rules::Rule, app: &difyprobe::model::App| run.selection.planned(rule, app, &run.runs);
    let fine = |o: Outcome| matches!(o, Outcome::Pass | Outcome::NotApplicable | Outcome::KnownDeviation);
    // Byte by byte through this proxy the text is as slow as the machine is busy: its pace says nothing about the wire.
    let about_pace = |j: &difyprobe::rules::judge::Judgement| variation.split && j.rule.id == "sse.incremental";
    let judgements = judge(&run.transcript, run.profile.0, &planned);
    let judgements = judgements.into_iter().filter(|j| !fine(j.outcome) && !about_pace(j));
    let failed =
        run.runs.iter().filter(|r| !fine(r.outcome)).map(|r| format!("{} {:?} {:?}", r.id, r.reason, r.failures));
    let found = judgements.map(|j| {
        let first = j.findings.first().map(|f| f.message.clone());
        format!("{} {:?} {:?} {:?}", j.rule.id, j.outcome, j.reason, first)
    });
    (found.chain(failed).collect(), run.transcript.exchanges.len())
}

async fn proxy(upstream: String, variation: Variation) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let origin = upstream.trim_end_matches("/v1").to_owned();
    tokio::spawn(async move {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(pass(stream, client.clone(), origin.clone(), variation));
        }
    });
    format!("http://{address}")
}

/// One request per connection.
async fn pass(stream: TcpStream, client: reqwest::Client, origin: String, variation: Variation) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = client.request(method.parse().ok()?, format!("{origin}{}", target.split(' ').next()?));
    let mut length = 0;
    for (name, value) in lines.filter_map(|l| l.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "host" | "connection" | "transfer-encoding" => {}
            _ => request = request.header(name, value.trim()),
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let response = request.body(body).send().await.ok()?;
    answer(&mut stream.into_inner(), response, variation).await
}

async fn answer(out: &mut TcpStream, response: reqwest::Response, variation: Variation) -> Option<()> {
    if variation.slow_with_headers {
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let status = response.status();
    let close = variation.close_delimited;
    let version = if close { "HTTP/1.0" } else { "HTTP/1.1" };
    let mut head = format!("{version} {} {}\r\nConnection: close\r\n", status.as_u16(), status.canonical_reason()?);
    for (name, value) in response.headers() {
        if !matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection") {
            write!(head, "{name}: {}\r\n", value.to_str().ok()?).ok()?;
        }
    }
    if variation.slow_with_headers {
        head.push_str("Cache-Control: no-store\r\nX-Request-Id: 1\r\nVia: 1.1 gateway\r\nSet-Cookie: a=b\r\n");
    }
    let streams =
        response.headers().get("content-type").is_some_and(|t| t.as_bytes().starts_with(b"text/event-stream"));
    let bodiless = status.as_u16() == 204;
    head.push_str(if close || bodiless { "\r\n" } else { "Transfer-Encoding: chunked\r\n\r\n" });
    out.write_all(head.as_bytes()).await.ok()?;
    if streams {
        stream_events(out, response, variation).await?;
    } else if !bodiless {
        let body = response.bytes().await.ok()?;
        put(out, &changed_document(&body, variation), close).await?;
    }
    if !close && !bodiless {
        out.write_all(b"0\r\n\r\n").await.ok()?;
    }
    out.shutdown().await.ok()
}

async fn stream_events(out: &mut TcpStream, response: reqwest::Response, variation: Variation) -> Option<()> {
    let mut pieces = Pieces { variation, sent: 0, kept: Vec::new() };
    let mut pending = Vec::new();
    let mut chunks = response.bytes_stream();
    loop {
        // What is kept back is sent when nothing follows for a while.
        let Ok(chunk) = tokio::time::timeout(Duration::from_millis(20), chunks.next()).await else {
            pieces.flush(out).await?;
            continue;
        };
        let Some(chunk) = chunk else { break };
        pending.extend_from_slice(&chunk.ok()?);
        while let Some(end) = pending.windows(2).position(|w| w == b"\n\n") {
            let block: Vec<u8> = pending.drain(..end + 2).collect();
            let block = changed_block(std::str::from_utf8(&block).ok()?, variation);
            pieces.send(out, block.as_bytes()).await?;
        }
    }
    pieces.flush(out).await
}

/// Cuts a stream into writes.
struct Pieces {
    variation: Variation,
    sent: usize,
    /// The end of the last event, not sent yet.
    kept: Vec<u8>,
}

impl Pieces {
    async fn send(&mut self, out: &mut TcpStream, block: &[u8]) -> Option<()> {
        /// So many bytes go out one by one.
        const ONE_BY_ONE: usize = 100;
        let close = self.variation.close_delimited;
        if self.variation.glued {
            let cut = block.len() - 1 - self.sent % 7;
            self.sent += block.len();
            self.kept.extend_from_slice(&block[..cut]);
            self.flush(out).await?;
            self.kept.extend_from_slice(&block[cut..]);
            return Some(());
        }
        let mut rest = block;
        while !rest.is_empty() {
            let size = match self.variation.split {
                true if self.sent < ONE_BY_ONE => 1,
                true => 1 + self.sent % 251,
                false => rest.len(),
            };
            let (piece, after) = rest.split_at(size.min(rest.len()));
            put(out, piece, close).await?;
            self.sent += piece.len();
            rest = after;
        }
        Some(())
    }

    async fn flush(&mut self, out: &mut TcpStream) -> Option<()> {
        let kept = std::mem::take(&mut self.kept);
        put(out, &kept, self.variation.close_delimited).await
    }
}

async fn put(out: &mut TcpStream, bytes: &[u8], plain: bool) -> Option<()> {
    if bytes.is_empty() {
        return Some(());
    }
    let mut framed = if plain { Vec::new() } else { format!("{:x}\r\n", bytes.len()).into_bytes() };
    framed.extend_from_slice(bytes);
    if !plain {
        framed.extend_from_slice(b"\r\n");
    }
    out.write_all(&framed).await.ok()
}

fn changed_block(block: &str, variation: Variation) -> String {
    let mut block = block.to_owned();
    if variation.other_json
        && let Some(value) = block.trim_end().strip_prefix("data: ").and_then(|d| serde_json::from_str(d).ok())
    {
        block = format!("data: {}\n\n", escaped(&turned(value)));
    }
    if variation.comments_and_pings {
        block = format!(": still here\n\nevent: ping\n\n{block}");
    }
    if variation.unseparated {
        block = block.replace("\n\n", "\n");
    }
    if variation.crlf { block.replace('\n', "\r\n") } else { block }
}

fn changed_document(body: &[u8], variation: Variation) -> Vec<u8> {
    match serde_json::from_slice(body) {
        Ok(value) if variation.other_json => escaped(&turned(value)).into_bytes(),
        _ => body.to_vec(),
    }
}

/// Members in reverse order and one more; maps of the user's own data stay as they are.
fn turned(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut other: Map<String, Value> =
                map.into_iter().rev().map(|(k, v)| if k == "inputs" { (k, v) } else { (k, turned(v)) }).collect();
            if other.contains_key("event") || other.contains_key("data") || other.contains_key("code") {
                other.insert("x_unheard_of".to_owned(), json!({"a": [1, null]}));
            }
            Value::Object(other)
        }
        Value::Array(items) => items.into_iter().map(turned).collect(),
        other => other,
    }
}

/// JSON in ASCII.
fn escaped(value: &Value) -> String {
    let mut out = String::new();
    for unit in value.to_string().encode_utf16() {
        match char::from_u32(u32::from(unit)).filter(char::is_ascii) {
            Some(ascii) => out.push(ascii),
            None => {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}
