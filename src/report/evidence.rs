//! What went over the wire, for people: short, in order, with times; and a shell command that repeats it.

use super::escape::clip;
use super::run::{Evidence, Place};
use super::units;
use crate::model::{Body, Exchange, Origin, Reply};
use crate::sse::{self, TimedFrame};

mod curl;

/// Most lines of wire evidence per exchange.
pub const MAX_LINES: usize = 40;
/// Most lines of a request body among them.
const REQUEST_BODY_LINES: usize = 10;
/// Most characters of a line.
const MAX_CHARS: usize = 400;

/// Request headers that say nothing about the API.
const DULL_REQUEST_HEADERS: [&str; 4] = ["host", "content-length", "user-agent", "connection"];
/// Response headers that rules speak about.
const REPLY_HEADERS: [&str; 12] = [
    "content-type",
    "content-length",
    "content-encoding",
    "content-disposition",
    "transfer-encoding",
    "cache-control",
    "location",
    "retry-after",
    "www-authenticate",
    "allow",
    "x-version",
    "x-trace-id",
];

/// Evidence of an exchange. `base_url` is the target's, e.g. `http://127.0.0.1:5001/v1`; its host goes into the command.
pub fn evidence(exchange: &Exchange, base_url: &str) -> Evidence {
    evidence_at(exchange, base_url, &[])
}

/// As [`evidence`]; the SSE frames with these numbers (from 1) are marked `*` and never elided.
pub fn evidence_at(exchange: &Exchange, base_url: &str, marked: &[usize]) -> Evidence {
    let stream = exchange.reply.as_ref().filter(|r| r.media_type() == "text/event-stream");
    let frames = stream.map(|r| sse::decode(&r.body.bytes(), &r.reads)).unwrap_or_default();
    Evidence {
        exchange: exchange.id,
        place: place(&exchange.origin),
        at: at(&exchange.origin),
        head_us: exchange.timing.head_us,
        end_us: exchange.reply.is_some().then_some(exchange.timing.end_us),
        wire: wire(exchange, &frames, marked),
        curl: curl::command(exchange, base_url),
        repeat: curl::repeat(&exchange.origin, base_url),
    }
}

/// The command that judges a saved recording again; `strict` as in the run.
pub fn judge_command(path: &str, strict: bool) -> String {
    format!("difyprobe judge {}{}", curl::word(path), if strict { " --strict" } else { "" })
}

/// `scenario.step (file:line:column)`.
pub fn place(origin: &Origin) -> String {
    let name = [origin.scenario.as_str(), origin.step.as_str()];
    let name = name.into_iter().filter(|n| !n.is_empty()).collect::<Vec<_>>().join(".");
    if origin.file.is_empty() || origin.line == 0 {
        return name;
    }
    format!("{name} ({}:{}:{})", origin.file, origin.line, origin.column)
}

fn at(origin: &Origin) -> Option<Place> {
    let known = !origin.file.is_empty() && origin.line > 0;
    known.then(|| Place { file: origin.file.clone(), line: origin.line, column: origin.column })
}

fn wire(exchange: &Exchange, frames: &[TimedFrame], marked: &[usize]) -> Vec<String> {
    let mut lines = request_lines(exchange);
    let Some(reply) = &exchange.reply else {
        lines.push(fault_line(exchange).unwrap_or_else(|| "! no response".to_owned()));
        return lines;
    };
    lines.push(format!("< {} {}{}", reply.status, reply.http_version, times(exchange)));
    let dull = |name: &str| !REPLY_HEADERS.iter().any(|h| h.eq_ignore_ascii_case(name));
    let headers = reply.headers.iter().filter(|(name, _)| !dull(name));
    lines.extend(headers.take(8).map(|(name, value)| format!("< {name}: {}", clip(value, 200))));
    let fault = fault_line(exchange);
    let left = MAX_LINES.saturating_sub(lines.len() + usize::from(fault.is_some()) + usize::from(reply.truncated()));
    if frames.is_empty() {
        lines.extend(elide(body_lines("< ", &reply.body), left, "< ", "lines"));
    } else {
        lines.extend(frame_lines(frames, marked, left));
    }
    if reply.truncated() {
        lines.push(kept_line(reply));
    }
    lines.extend(fault);
    lines
}

/// When the response head and the last byte came, since the request was sent.
fn times(exchange: &Exchange) -> String {
    let head = exchange.timing.head_us.map(units::duration);
    let end = units::duration(exchange.timing.end_us);
    head.map(|head| format!("  (after {head}; complete after {end})")).unwrap_or_default()
}

fn request_lines(exchange: &Exchange) -> Vec<String> {
    let request = &exchange.request;
    let mut lines = vec![format!("> {} {}", request.method, clip(&request.target, MAX_CHARS))];
    let dull = |name: &str| DULL_REQUEST_HEADERS.iter().any(|h| h.eq_ignore_ascii_case(name));
    let headers = request.headers.iter().filter(|(name, _)| !dull(name));
    lines.extend(headers.take(6).map(|(name, value)| format!("> {name}: {}", clip(value, 200))));
    if let Some(body) = &request.body {
        lines.extend(elide(body_lines("> ", body), REQUEST_BODY_LINES, "> ", "lines"));
    }
    lines
}

/// A body, JSON laid out over lines.
fn body_lines(prefix: &str, body: &Body) -> Vec<String> {
    let Some(text) = body.text() else {
        return vec![format!("{prefix}({} bytes that are not UTF-8 text)", body.bytes().len())];
    };
    let pretty = serde_json::from_str::<serde_json::Value>(text).ok().filter(|v| v.is_object() || v.is_array());
    let pretty = pretty.and_then(|v| serde_json::to_string_pretty(&v).ok());
    let text = pretty.as_deref().unwrap_or(text);
    text.lines().map(|line| clip(&format!("{prefix}{line}"), MAX_CHARS)).collect()
}

/// At most `limit` lines: the middle gives way to a line that says how many are missing.
fn elide(lines: Vec<String>, limit: usize, prefix: &str, what: &str) -> Vec<String> {
    if lines.len() <= limit {
        return lines;
    }
    let kept = limit.saturating_sub(1);
    let (head, tail) = (kept - kept / 3, kept / 3);
    let missing = lines.len() - head - tail;
    let mut out: Vec<String> = lines.iter().take(head).cloned().collect();
    out.push(format!("{prefix}... {missing} more {what} ..."));
    out.extend(lines.into_iter().skip(head + missing));
    out
}

/// One line per SSE frame; the first, the last and the marked ones stay when there are too many.
fn frame_lines(frames: &[TimedFrame], marked: &[usize], limit: usize) -> Vec<String> {
    let shown = shown_frames(frames.len(), marked, limit);
    let mut lines = Vec::new();
    let mut next = 0;
    for index in shown {
        if index > next {
            lines.push(format!("  ... {} ...", units::count((index - next) as u64, "more event")));
        }
        if let Some(frame) = frames.get(index) {
            lines.push(frame_line(index + 1, frame, marked.contains(&(index + 1))));
        }
        next = index + 1;
    }
    lines
}

/// Indexes of the frames to show so that they and the lines about gaps fit into `limit`.
fn shown_frames(count: usize, marked: &[usize], limit: usize) -> Vec<usize> {
    if count <= limit {
        return (0..count).collect();
    }
    let mut marked: Vec<usize> = marked.iter().filter_map(|n| n.checked_sub(1)).filter(|n| *n < count).collect();
    marked.sort_unstable();
    marked.dedup();
    // Each marked frame may open one more gap line; at least the first and the last frame are shown.
    marked.truncate(limit.saturating_sub(3) / 2);
    let free = limit.saturating_sub(2 * marked.len() + 1).max(2);
    let tail = (free / 3).max(1);
    let mut shown: Vec<usize> = (0..free - tail).chain(count - tail..count).chain(marked).collect();
    shown.sort_unstable();
    shown.dedup();
    shown
}

fn frame_line(number: usize, timed: &TimedFrame, marked: bool) -> String {
    let frame = &timed.frame;
    let mut parts = Vec::new();
    parts.extend(frame.event.iter().map(|event| format!("event: {event}")));
    parts.extend(frame.id.iter().map(|id| format!("id: {id}")));
    parts.extend(frame.data.iter().map(|data| format!("data: {data}")));
    parts.extend(frame.unknown_lines.iter().cloned());
    if frame.comments > 0 {
        parts.push(format!("({})", units::count(u64::from(frame.comments), "comment")));
    }
    if !frame.terminated {
        parts.push("(no blank line after it)".to_owned());
    }
    let mark = if marked { '*' } else { ' ' };
    clip(&format!("{mark} #{number} +{:.1} ms  {}", timed.at_us as f64 / 1000.0, parts.join("  ")), MAX_CHARS)
}

/// A line of an SSE frame, read back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameLine<'l> {
    /// Number of the frame, from 1.
    pub number: usize,
    /// When it was complete, in microseconds since the request was sent, to a tenth of a millisecond.
    pub at_us: u64,
    /// Whether a finding is about it.
    pub marked: bool,
    /// Its fields.
    pub text: &'l str,
}

/// Reads a line of [`Evidence::wire`] about an SSE frame; lines of requests and bodies begin otherwise.
pub fn frame_of(line: &str) -> Option<FrameLine<'_>> {
    let (marked, rest) = match line.strip_prefix("* #") {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix("  #")?),
    };
    let (number, rest) = rest.split_once(" +")?;
    let (ms, text) = rest.split_once(" ms  ")?;
    let (number, ms) = (number.parse().ok()?, ms.parse::<f64>().ok().filter(|ms| ms.is_finite() && *ms >= 0.0)?);
    Some(FrameLine { number, at_us: (ms * 1000.0).round() as u64, marked, text })
}

fn kept_line(reply: &Reply) -> String {
    format!("! only the first {} of {} bytes were kept", reply.body.bytes().len(), reply.body_bytes)
}

fn fault_line(exchange: &Exchange) -> Option<String> {
    let fault = exchange.fault.as_ref()?;
    let class = serde_json::to_value(fault.class).ok()?;
    let class = class.as_str().unwrap_or("fault").to_owned();
    let detail = clip(&fault.detail, MAX_CHARS);
    Some(format!("! cut after {}: {class}: {detail}", units::duration(exchange.timing.end_us)))
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
