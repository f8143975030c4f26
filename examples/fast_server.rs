//! A server for measurements: answers like a Dify app of one mode, as fast as one thread can, from prepared bytes.
//!
//! It checks nothing and keeps nothing. Ids are new for every answer, a conversation id that was sent is kept, times are
//! right: everything that a rule of load runs can see is in order. `--stall WINDOW/PERIOD` answers requests that come in
//! the first WINDOW of every PERIOD at the end of that window, everything else at once.
//!
//! `cargo run --release --example fast_server -- --mode completion --events 50`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How the server behaves.
#[derive(Clone)]
struct Settings {
    port: u16,
    mode: &'static str,
    /// `message` events of a stream, before `message_end`.
    events: usize,
    /// Time between two events; none sends the whole stream in one write.
    gap: Option<Duration>,
    /// Every event in a write of its own, also without a gap.
    single: bool,
    /// Never sleeps. To wake a server that does is work of the client's, and more of it for a slow client than for a fast one.
    spins: bool,
    stall: Option<(Duration, Duration)>,
    began: Instant,
}

const USAGE: &str =
    "fast_server [--port N] [--mode chat|completion] [--events N] [--gap MS] [--single] [--spin] [--stall MS/MS]";

fn settings() -> Result<Settings, String> {
    let mut settings = Settings {
        port: 0,
        mode: "completion",
        events: 50,
        gap: None,
        single: false,
        spins: false,
        stall: None,
        began: Instant::now(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--port" => settings.port = number(&value()?)?,
            "--events" => settings.events = number(&value()?)?,
            "--gap" => settings.gap = Some(Duration::from_millis(number(&value()?)?)),
            "--single" => settings.single = true,
            "--spin" => settings.spins = true,
            "--mode" => {
                settings.mode = match value()?.as_str() {
                    "chat" => "chat",
                    "completion" => "completion",
                    other => return Err(format!("there is no mode {other}")),
                }
            }
            "--stall" => {
                let text = value()?;
                let (window, period) = text.split_once('/').ok_or("--stall takes WINDOW/PERIOD in ms")?;
                settings.stall = Some((Duration::from_millis(number(window)?), Duration::from_millis(number(period)?)));
            }
            other => return Err(format!("{other} is unknown; {USAGE}")),
        }
    }
    Ok(settings)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is no number; {USAGE}"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = settings()?;
    let spins = settings.spins;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = listener(settings.port)?;
        println!("http://{}/v1", listener.local_addr()?);
        if spins {
            tokio::spawn(async {
                loop {
                    tokio::task::yield_now().await;
                }
            });
        }
        loop {
            let (stream, _) = listener.accept().await?;
            let settings = settings.clone();
            // a client that goes away is no fault of the server's
            tokio::spawn(async move { drop(converse(stream, settings).await) });
        }
    })
}

/// Ten thousand streams are opened in a burst: the default backlog would refuse some.
fn listener(port: u16) -> std::io::Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    socket.listen(4096)
}

/// One request as far as it matters.
struct Asked<'a> {
    path: &'a str,
    body: &'a [u8],
}

async fn converse(mut stream: TcpStream, settings: Settings) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut ids = Ids(fastrand::Rng::new());
    let mut input = Vec::with_capacity(2048);
    let mut output = Vec::with_capacity(4096);
    loop {
        let Some((asked, length)) = request(&input) else {
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
            continue;
        };
        if let Some(wait) = settings.stall.and_then(|stall| left(stall, settings.began)) {
            tokio::time::sleep(wait).await;
        }
        output.clear();
        let streams = contains(asked.body, b"\"response_mode\":\"streaming\"");
        if asked.path.ends_with("-messages") && streams {
            answer_in_events(&mut stream, &mut output, &settings, asked.body, &mut ids).await?;
        } else {
            answer(&mut output, settings.mode, &asked, &mut ids);
            stream.write_all(&output).await?;
        }
        input.drain(..length);
    }
}

/// The first whole request of the input and its length.
fn request(input: &[u8]) -> Option<(Asked<'_>, usize)> {
    let head_end = memchr::memmem::find(input, b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(input.get(..head_end)?).unwrap_or("");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse::<usize>().ok() } else { None }
    });
    let end = head_end + length.unwrap_or(0);
    let body = input.get(head_end..end)?;
    let target = head.split(' ').nth(1).unwrap_or("/");
    Some((Asked { path: target.split('?').next().unwrap_or("/"), body }, end))
}

/// How long a request that comes now has to wait.
fn left((window, period): (Duration, Duration), began: Instant) -> Option<Duration> {
    let into = Duration::from_nanos((began.elapsed().as_nanos() % period.as_nanos().max(1)) as u64);
    window.checked_sub(into)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// Ids in the form of version 4 UUIDs.
struct Ids(fastrand::Rng);

impl Ids {
    fn next(&mut self) -> [u8; 36] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut bits = (u128::from(self.0.u64(..)) << 64) | u128::from(self.0.u64(..));
        let mut text = [b'-'; 36];
        for (at, place) in text.iter_mut().enumerate() {
            match at {
                8 | 13 | 18 | 23 => continue,
                14 => *place = b'4',
                19 => *place = b'8',
                _ => *place = HEX[(bits & 15) as usize],
            }
            bits >>= 4;
        }
        text
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn push(output: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| output.extend_from_slice(part));
}

const USAGE_MEMBER: &[u8] = br#""metadata":{"retriever_resources":[],"usage":{"prompt_tokens":6,"prompt_unit_price":"0.001","prompt_price_unit":"0.001","prompt_price":"0.0000060","completion_tokens":6,"completion_unit_price":"0.002","completion_price_unit":"0.001","completion_price":"0.0000120","total_tokens":12,"total_price":"0.0000180","currency":"USD","latency":0.000014}}"#;

/// The ids that an answer carries: `"task_id":..,"id":..,"message_id":..` and the conversation's in a chat.
fn ids_of(mode: &str, body: &[u8], ids: &mut Ids) -> Vec<u8> {
    let (task, message) = (ids.next(), ids.next());
    let mut out = Vec::with_capacity(256);
    push(&mut out, &[b"\"task_id\":\"", &task, b"\",\"id\":\"", &message, b"\",\"message_id\":\"", &message, b"\""]);
    if mode == "chat" {
        const SENT: &[u8] = b"\"conversation_id\":\"";
        let sent = memchr::memmem::find(body, SENT).and_then(|at| body.get(at + SENT.len()..at + SENT.len() + 36));
        let fresh = ids.next();
        push(&mut out, &[b",\"conversation_id\":\"", sent.unwrap_or(&fresh), b"\""]);
    }
    out
}

/// One whole answer, head included.
fn answer(output: &mut Vec<u8>, mode: &str, asked: &Asked, ids: &mut Ids) {
    let mut body = Vec::with_capacity(1024);
    let rest = asked.path.strip_prefix("/v1").unwrap_or(asked.path);
    match rest {
        "/chat-messages" | "/completion-messages" => {
            push(&mut body, &[b"{\"event\":\"message\",", &ids_of(mode, asked.body, ids)]);
            push(&mut body, &[b",\"mode\":\"", mode.as_bytes(), b"\",\"answer\":\"ECHO: hello there\",", USAGE_MEMBER]);
            push(&mut body, &[b",\"created_at\":", unix_seconds().to_string().as_bytes(), b"}"]);
        }
        "/info" => {
            push(&mut body, &[b"{\"name\":\"fast\",\"description\":\"\",\"tags\":[],\"mode\":\"", mode.as_bytes()]);
            push(&mut body, &[b"\",\"author_name\":\"fast\"}"]);
        }
        "/parameters" => body.extend_from_slice(PARAMETERS),
        "/meta" => body.extend_from_slice(b"{\"tool_icons\":{}}"),
        _ if rest.starts_with("/conversations/") => {
            output.extend_from_slice(b"HTTP/1.1 204 NO CONTENT\r\n\r\n");
            return;
        }
        _ => {
            body.extend_from_slice(
                br#"{"code":"not_found","message":"The requested URL was not found.","status":404}"#,
            );
            head(output, b"404 NOT FOUND", body.len());
            output.extend_from_slice(&body);
            return;
        }
    }
    head(output, b"200 OK", body.len());
    output.extend_from_slice(&body);
}

fn head(output: &mut Vec<u8>, status: &[u8], length: usize) {
    push(output, &[b"HTTP/1.1 ", status, b"\r\ncontent-type: application/json\r\ncontent-length: "]);
    push(output, &[length.to_string().as_bytes(), b"\r\ndate: Tue, 24 Nov 2026 02:06:59 GMT\r\n\r\n"]);
}

const PARAMETERS: &[u8] = br#"{"opening_statement":"","suggested_questions":[],"suggested_questions_after_answer":{"enabled":false},"speech_to_text":{"enabled":false},"text_to_speech":{"enabled":false,"language":"","voice":""},"retriever_resource":{"enabled":false},"annotation_reply":{"enabled":false},"more_like_this":{"enabled":false},"user_input_form":[],"sensitive_word_avoidance":{"configs":[],"enabled":false,"type":""},"file_upload":{"allowed_file_extensions":[],"allowed_file_types":[],"allowed_file_upload_methods":[],"enabled":false,"image":{"detail":"low","enabled":false,"number_limits":3,"transfer_methods":["local_file"]},"number_limits":3},"system_parameters":{"image_file_size_limit":10,"video_file_size_limit":100,"audio_file_size_limit":50,"file_size_limit":15,"workflow_file_upload_limit":10}}"#;

const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\ndate: Tue, 24 Nov 2026 02:06:59 GMT\r\n\r\n";

async fn answer_in_events(
    stream: &mut TcpStream,
    output: &mut Vec<u8>,
    settings: &Settings,
    body: &[u8],
    ids: &mut Ids,
) -> std::io::Result<()> {
    let ids = ids_of(settings.mode, body, ids);
    let created = unix_seconds().to_string();
    let members: &[&[u8]] = &[&ids, b",\"created_at\":", created.as_bytes()];
    output.extend_from_slice(STREAM_HEAD);
    let mut event = Vec::with_capacity(512);
    for number in 0..settings.events {
        if settings.gap.is_some() || settings.single {
            stream.write_all(output).await?;
            output.clear();
            tokio::task::yield_now().await;
        }
        if let Some(gap) = settings.gap {
            tokio::time::sleep(gap).await;
        }
        event.clear();
        push(&mut event, &[b"data: {\"event\":\"message\","]);
        push(&mut event, members);
        push(
            &mut event,
            &[b",\"answer\":\"w", number.to_string().as_bytes(), b" \",\"from_variable_selector\":null}\n\n"],
        );
        chunk(output, &event);
    }
    event.clear();
    push(&mut event, &[b"data: {\"event\":\"message_end\","]);
    push(&mut event, members);
    push(&mut event, &[b",", USAGE_MEMBER, b",\"files\":null}\n\n"]);
    chunk(output, &event);
    output.extend_from_slice(b"0\r\n\r\n");
    stream.write_all(output).await
}

fn chunk(output: &mut Vec<u8>, data: &[u8]) {
    push(output, &[format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"]);
}
