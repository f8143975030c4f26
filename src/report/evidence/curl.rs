//! Shell commands that repeat what was sent. POSIX sh; nothing of a request can leave its quotes.

use crate::model::{Body, Exchange, Origin};

/// Bodies up to this many bytes stand on the command line.
const INLINE_BODY: usize = 4 * 1024;
/// Bodies up to this many bytes follow as a here-document.
const HERE_BODY: usize = 64 * 1024;

/// Headers that curl writes itself or that describe our own connection.
const OWN_HEADERS: [&str; 5] = ["host", "content-length", "user-agent", "connection", "transfer-encoding"];

/// A curl command with `$DIFY_API_KEY` unexpanded wherever a key was sent; one argument per line.
pub fn command(exchange: &Exchange, base_url: &str) -> String {
    let request = &exchange.request;
    let url = format!("{}{}", origin_of(base_url), request.target);
    let mut words = vec!["curl -sS -i".to_owned()];
    if url.contains(['[', ']', '{', '}']) {
        words.push("-g".to_owned()); // curl would expand them
    }
    if streams(exchange) {
        words.push("-N".to_owned());
    }
    words.push(format!("-X {}", quote(&request.method)));
    let mut parts = vec![format!("{} {}", words.join(" "), quote(&url))];
    let own = |name: &str| OWN_HEADERS.iter().any(|h| h.eq_ignore_ascii_case(name));
    for (name, value) in request.headers.iter().filter(|(name, _)| !own(name)) {
        // `-H 'X;'` is curl's way to send a header without a value; `-H 'X:'` would remove it.
        let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        parts.push(format!("-H {}", quote(&header)));
    }
    let body = request.body.as_ref().filter(|b| !b.bytes().is_empty());
    if body.is_some() && request.header("content-type").is_none() {
        parts.push("-H 'Content-Type:'".to_owned()); // or curl would add a form's
    }
    with_body(parts, body)
}

fn with_body(mut parts: Vec<String>, body: Option<&Body>) -> String {
    let line = |parts: &[String]| parts.join(" \\\n  ");
    match body {
        None => line(&parts),
        Some(Body::Text(text)) if text.len() <= INLINE_BODY && !text.contains('\0') => {
            parts.push(format!("--data-raw {}", quote(text)));
            line(&parts)
        }
        Some(Body::Text(text)) if text.len() <= HERE_BODY && !text.contains('\0') => {
            let mark = delimiter(text);
            parts.push(format!("--data-binary @- <<'{mark}'"));
            format!("{}\n{text}\n{mark}", line(&parts))
        }
        Some(body) if body.bytes().len() <= INLINE_BODY => {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.encode(body.bytes());
            parts.push("--data-binary @-".to_owned());
            format!("printf %s {bytes} | base64 -d | {}", line(&parts))
        }
        Some(body) => {
            parts.push("--data-binary @body.bin".to_owned());
            format!(
                "# body.bin: the request body, {} bytes, see the saved transcript\n{}",
                body.bytes().len(),
                line(&parts)
            )
        }
    }
}

/// The command that runs the scenario again; empty when none sent the request.
pub fn repeat(origin: &Origin, base_url: &str) -> String {
    if origin.file.is_empty() {
        return String::new();
    }
    let (origin_url, path) = (origin_of(base_url), path_of(base_url));
    format!("difyprobe check --base-url {} {}", quote(&format!("{origin_url}{path}")), quote(&origin.file))
}

fn streams(exchange: &Exchange) -> bool {
    let body = exchange.request.body.as_ref().and_then(|b| b.text());
    let asked = body.and_then(|b| serde_json::from_str::<serde_json::Value>(b).ok());
    let asked = asked.as_ref().and_then(|b| b.get("response_mode")).and_then(|m| m.as_str()) == Some("streaming");
    asked || exchange.reply.as_ref().is_some_and(|r| r.media_type() == "text/event-stream")
}

/// Scheme and authority of a URL, without credentials.
fn origin_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit('@').next().unwrap_or("");
    format!("{scheme}://{host}")
}

fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("")
}

/// A line that ends a here-document and does not occur in it.
fn delimiter(text: &str) -> String {
    let mut mark = "BODY".to_owned();
    while text.lines().any(|line| line == mark) {
        mark.push('_');
    }
    mark
}

/// One shell word. `[key:LABEL]`, the stand-in of a key, becomes `$DIFY_API_KEY` outside single quotes.
fn quote(text: &str) -> String {
    let pieces = split_keys(text);
    if pieces.len() == 1 {
        return plain(text);
    }
    // Reads better in one pair of double quotes where nothing else in it means something to a shell.
    if pieces.iter().all(|p| p.chars().all(|c| !matches!(c, '"' | '$' | '`' | '\\' | '!'))) {
        return format!("\"{}\"", pieces.join("$DIFY_API_KEY"));
    }
    let quoted = pieces.iter().map(|p| if p.is_empty() { String::new() } else { single(p) });
    quoted.collect::<Vec<_>>().join("\"$DIFY_API_KEY\"")
}

/// One shell word as it is.
pub fn word(text: &str) -> String {
    plain(text)
}

fn plain(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(safe) { text.to_owned() } else { single(text) }
}

fn single(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The text around stand-ins of keys.
fn split_keys(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[key:") {
        let Some((_, behind)) = after.split_once(']') else { break };
        pieces.push(before);
        rest = behind;
    }
    pieces.push(rest);
    pieces
}
