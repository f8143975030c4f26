//! Captured single exchanges: one JSON file each, with `request`, `response` and `sse`.

use super::files::StoreError;
use crate::model::{
    App, AppMode, Body, Exchange, Fault, FaultClass, Origin, Read, Reply, Request, Timing, Transcript, parse_form,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Captures do not say where the server was; their paths begin with `/v1`.
const BASE_URL: &str = "http://captured.invalid/v1";

/// What a capture says of an exchange that its own client ended.
const HUNG_UP: &str = "client closed the connection on purpose";

/// One captured exchange with the wall clock of its start.
pub(super) struct Capture {
    /// Microseconds since the Unix epoch.
    started_us: u64,
    /// From the `X-Version` header, where there is one.
    version: Option<String>,
    /// What the file says about its server; tells captures without a version apart.
    server: String,
    mode: Option<AppMode>,
    exchange: Exchange,
}

#[derive(Deserialize)]
struct Layout {
    app: String,
    app_mode: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    server: String,
    captured_at: String,
    request: SentLayout,
    response: ReceivedLayout,
    sse: Option<SseLayout>,
}

#[derive(Deserialize)]
struct SentLayout {
    method: String,
    path: String,
    auth: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body_raw: Option<String>,
}

#[derive(Deserialize)]
struct ReceivedLayout {
    http_version: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_encoding: Option<String>,
    ttfb_ms: Option<f64>,
    elapsed_ms: f64,
    transport_error: Option<String>,
}

#[derive(Deserialize)]
struct SseLayout {
    /// Milliseconds since the send, and bytes.
    http_chunks: Vec<(f64, u64)>,
}

fn micros(ms: f64) -> u64 {
    (ms * 1000.0).round().max(0.0) as u64
}

impl Capture {
    /// Reads one capture file.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Capture, StoreError> {
        let broken = |cause: String| StoreError::Broken { path: path.to_owned(), what: "a captured exchange", cause };
        let layout: Layout = serde_json::from_str(text).map_err(|e| broken(e.to_string()))?;
        let ended: jiff::Timestamp =
            layout.captured_at.parse().map_err(|e| broken(format!("captured_at is no time: {e}")))?;
        let ended_us = u64::try_from(ended.as_microsecond()).unwrap_or(0);
        let timing = Timing {
            head_us: layout.response.ttfb_ms.map(micros),
            end_us: micros(layout.response.elapsed_ms),
            ..Timing::default()
        };
        let reply = layout.response.reply(layout.sse.as_ref(), timing.end_us).map_err(broken)?;
        let fault = layout.response.fault();
        let origin = Origin {
            scenario: "capture".to_owned(),
            step: layout.name,
            file: path.display().to_string(),
            ..Origin::default()
        };
        let version = reply.as_ref().and_then(|r| r.header("x-version")).map(str::to_owned);
        let request = layout.request.request(&layout.app);
        Ok(Capture {
            started_us: ended_us.saturating_sub(timing.end_us),
            version,
            server: layout.server,
            mode: layout.app_mode.as_deref().and_then(AppMode::parse),
            exchange: Exchange { id: 0, app: layout.app, origin, request, reply, fault, timing },
        })
    }
}

impl SentLayout {
    fn request(self, app: &str) -> Request {
        let auth = self.auth.map(|text| ("Authorization".to_owned(), authorization(&text, app)));
        Request {
            method: self.method,
            target: self.path,
            headers: auth.into_iter().chain(self.headers).collect(),
            body: self.body_raw.filter(|text| !described(text)).map(Body::Text),
        }
    }
}

/// Bodies too large to keep are described in angle brackets instead, e.g. `<inputs name=Alice, query = 'x'*100000>`.
fn described(body: &str) -> bool {
    body.starts_with('<') && body.ends_with('>')
}

/// The header that a capture's `auth` text describes, keys in their redacted form.
fn authorization(text: &str, app: &str) -> String {
    let named = text.strip_prefix("Bearer <key of app '").and_then(|t| t.strip_suffix("'>"));
    match (named, text.strip_prefix("raw: ")) {
        (Some(other), _) => format!("Bearer [key:{other}]"),
        (None, Some(raw)) => raw.replace("app-***", &format!("[key:{app}]")),
        (None, None) => text.to_owned(),
    }
}

impl ReceivedLayout {
    fn fault(&self) -> Option<Fault> {
        let detail = self.transport_error.clone()?;
        let class = match (detail == HUNG_UP, self.status) {
            (true, _) => FaultClass::Cancelled,
            (false, Some(_)) => FaultClass::Truncated,
            (false, None) => FaultClass::Connect,
        };
        Some(Fault { class, detail })
    }

    fn reply(&self, sse: Option<&SseLayout>, end_us: u64) -> Result<Option<Reply>, String> {
        let Some(status) = self.status else {
            return Ok(None);
        };
        let text = self.body.clone().unwrap_or_default();
        let body = match self.body_encoding.as_deref() {
            None | Some("utf-8") => Body::Text(text),
            Some("hex") => Body::from_bytes(&unhex(&text).ok_or("its body is no hex text")?),
            Some(other) => return Err(format!("its body_encoding '{other}' is neither utf-8 nor hex")),
        };
        let length = body.bytes().len() as u64;
        let mut upto = 0;
        let chunk = |&(ms, bytes): &(f64, u64)| {
            upto += bytes;
            Read { at_us: micros(ms), upto }
        };
        let mut reads: Vec<Read> = sse.map(|s| s.http_chunks.iter().map(chunk).collect()).unwrap_or_default();
        if reads.is_empty() && length > 0 {
            reads.push(Read { at_us: end_us, upto: length });
        }
        // Chunks that do not add up to the body say nothing about when which part of it came.
        if reads.last().is_some_and(|r| r.upto != length) {
            reads = vec![Read { at_us: end_us, upto: length }];
        }
        let http_version = self.http_version.clone().unwrap_or_else(|| "HTTP/1.1".to_owned());
        Ok(Some(Reply { http_version, status, headers: self.headers.clone(), body, body_bytes: length, reads }))
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok().filter(|t| t.len() == 2)?;
        u8::from_str_radix(text, 16).ok()
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// One transcript per server version, exchanges by their start. A capture without a version belongs to the version of
/// the others that name the same server.
pub(super) fn transcripts(captures: Vec<Capture>) -> Vec<Transcript> {
    let versions: BTreeMap<String, String> =
        captures.iter().filter_map(|c| Some((c.server.clone(), c.version.clone()?))).collect();
    let mut groups: BTreeMap<String, Vec<Capture>> = BTreeMap::new();
    for capture in captures {
        let version = capture.version.clone().or_else(|| versions.get(&capture.server).cloned());
        groups.entry(version.unwrap_or_default()).or_default().push(capture);
    }
    groups.into_iter().map(|(version, captures)| together(&version, captures)).collect()
}

fn together(version: &str, mut captures: Vec<Capture>) -> Transcript {
    captures.sort_by(|a, b| {
        let key = |c: &Capture| (c.started_us, c.exchange.origin.file.clone());
        key(a).cmp(&key(b))
    });
    let began = captures.first().map_or(0, |c| c.started_us);
    let mut transcript = Transcript::new(BASE_URL, began);
    for (capture, id) in captures.into_iter().zip(1..) {
        let Capture { started_us, mode, mut exchange, .. } = capture;
        if transcript.app(&exchange.app).is_none() {
            let server_version = Some(version.to_owned()).filter(|v| !v.is_empty());
            transcript.apps.push(App {
                label: exchange.app.clone(),
                mode,
                inputs: Vec::new(),
                form_known: false,
                server_version,
            });
        }
        exchange.id = id;
        exchange.timing.sent_us = started_us - began;
        transcript.exchanges.push(exchange);
    }
    read_forms(&mut transcript);
    transcript
}

/// Declared inputs from a captured `GET /parameters` of each app.
fn read_forms(transcript: &mut Transcript) {
    for exchange in transcript.exchanges.iter().filter(|e| e.request.method == "GET" && e.status() == 200) {
        let Some(app) = transcript.apps.iter_mut().find(|a| a.label == exchange.app) else { continue };
        let body = exchange.reply.as_ref().filter(|_| exchange.request.path().ends_with("/parameters"));
        if let Some(form) = body.and_then(|r| serde_json::from_slice::<serde_json::Value>(&r.body.bytes()).ok()) {
            app.inputs = parse_form(&form);
            app.form_known = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_auth_text_becomes_the_header_that_was_sent() {
        let pairs = [
            ("Bearer <key of app 'chat-plain'>", "Bearer [key:chat-plain]"),
            ("Bearer app-nope", "Bearer app-nope"),
            ("raw: app-***", "[key:chat]"),
            ("raw: bearer app-***", "bearer [key:chat]"),
            ("raw: Basic dTpw", "Basic dTpw"),
            ("raw: Bearer ", "Bearer "),
        ];
        for (text, header) in pairs {
            assert_eq!(authorization(text, "chat"), header);
        }
    }

    #[test]
    fn hex_is_read_and_other_text_is_refused() {
        assert_eq!(unhex("8950ff"), Some(vec![0x89, 0x50, 0xff]));
        for bad in ["8", "zz", "\u{20ac}0", "123"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
