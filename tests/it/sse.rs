//! The SSE decoder: the same frames for every partition, and the same events as an independent decoder.
//!
//! Where `sseer` 0.3 deviates from WHATWG, and what the differential tests do about it:
//! - an `event` line without a colon leaves the type as it was (WHATWG: sets it to empty): not generated;
//! - bytes that are not UTF-8 are an error (WHATWG: replaced): the generator makes text.

use difyprobe::sse::{Decoder, Frame};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn decode_parts<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Vec<Frame> {
    let mut out = Vec::new();
    let mut decoder = Decoder::new();
    for part in parts {
        decoder.feed(part, &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn events(body: &[u8]) -> Vec<(String, String)> {
    let frames = decode_parts([body]);
    frames.iter().filter_map(Frame::dispatched).map(|(e, d)| (e.to_owned(), d.to_owned())).collect()
}

/// The (event, data) list of the independent decoder, fed with the same partition.
fn oracle(parts: &[&[u8]]) -> Vec<(String, String)> {
    use futures_util::StreamExt as _;
    let parts: Vec<Result<bytes::Bytes, std::convert::Infallible>> =
        parts.iter().map(|p| Ok(bytes::Bytes::copy_from_slice(p))).collect();
    let stream = sseer::EventStream::new(futures_util::stream::iter(parts));
    let all =
        stream.map(|e| e.expect("the oracle reads legal text")).map(|e| (e.event.to_string(), e.data.to_string()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(all.collect())
}

const TRICKY: &[&[u8]] = &[
    b"\xEF\xBB\xBFdata: 1\r\n\r\ndata: 2\r\rdata: 3\n\ndata: 4\r\n\n\r\n\rdata: 5\n\r\n",
    "event: message\ndata: \u{20ac}\u{1f600}\u{2028}x\r\ndata:\r\ndata\n: note\r\nid: 7\nretry:5\nfoo\n\n".as_bytes(),
    b"data: a\xFF\xE2\x82\ndata: \xF0\x9F\x98\r\r\xEF\xBB\xBFdata: b\n\nevent: ping\n\n: only\n\n\n\n\ndata: tail\r",
    b"\xEF\xBB\ndata: x\n\n",
    b"\r\n\r\n\r\n",
    b"\xEF\xBB\xBF\xEF\xBB\xBFdata: y\r\n\r\n",
    b"data: no end",
];

#[test]
fn every_split_in_two_gives_the_frames_of_one_feed() {
    for body in TRICKY {
        let whole = decode_parts([*body]);
        for at in 0..=body.len() {
            let (a, b) = body.split_at(at);
            assert_eq!(decode_parts([a, b]), whole, "split at {at} of {:?}", String::from_utf8_lossy(body));
        }
    }
}

#[test]
fn feeding_byte_by_byte_gives_the_frames_of_one_feed() {
    for body in TRICKY {
        assert_eq!(decode_parts(body.chunks(1)), decode_parts([*body]));
    }
}

/// Cuts a body at the given positions (taken modulo its length).
fn cut<'b>(body: &'b [u8], at: &[usize]) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = at.iter().map(|a| a % (body.len() + 1)).collect();
    at.extend([0, body.len()]);
    at.sort_unstable();
    at.windows(2).map(|w| &body[w[0]..w[1]]).collect()
}

/// Bytes that are likely to mean something to a decoder.
fn sse_like_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data".to_vec()),
        Just(b"event".to_vec()),
        Just(b":".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(b"\xEF\xBB\xBF".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|p| p.concat())
}

/// Legal streams: fields with values, comments, unknown fields, all line ends, an optional mark in front.
fn legal_stream() -> impl Strategy<Value = String> {
    let value = "[a-z :\u{e9}\u{20ac}\u{1f600}\u{2028}\u{feff}]{0,8}";
    let line = prop_oneof![
        4 => value.prop_map(|v| format!("data:{v}")),
        2 => value.prop_map(|v| format!("data: {v}")),
        1 => Just("data".to_owned()),
        2 => "[a-z_]{0,6}".prop_map(|v| format!("event: {v}")),
        1 => value.prop_map(|v| format!(":{v}")),
        1 => "[a-z0-9]{0,4}".prop_map(|v| format!("id:{v}")),
        1 => Just("retry: 100".to_owned()),
        1 => "[A-Z]{1,4}( |:)?[a-z]{0,3}",
        3 => Just(String::new()),
    ];
    let eol = prop_oneof![Just("\n"), Just("\r"), Just("\r\n")];
    let lines = proptest::collection::vec((line, eol), 0..30);
    (prop_oneof![Just(""), Just("\u{feff}")], lines, any::<bool>()).prop_map(|(mark, lines, complete)| {
        let mut text: String = mark.to_owned();
        text.extend(lines.iter().flat_map(|(line, eol)| [line.as_str(), *eol]));
        if complete { text + "\n\n" } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_partition_of_any_bytes_gives_the_same_frames(body in sse_like_bytes(), at in proptest::collection::vec(any::<usize>(), 0..8)) {
        let whole = decode_parts([body.as_slice()]);
        prop_assert_eq!(&decode_parts(cut(&body, &at)), &whole);
        prop_assert_eq!(&decode_parts(body.chunks(1)), &whole);
        let mut last = 0;
        for frame in &whole {
            prop_assert!(last <= frame.start && frame.start < frame.end && frame.end <= body.len());
            last = frame.end;
        }
    }

    #[test]
    fn legal_streams_give_the_events_of_an_independent_decoder(text in legal_stream(), at in proptest::collection::vec(any::<usize>(), 0..5)) {
        let body = text.as_bytes();
        prop_assert_eq!(events(body), oracle(&cut(body, &at)));
    }
}

/// Bodies of all captured event streams, with the sizes of the HTTP chunks they came in.
fn captured_streams() -> Vec<(PathBuf, String, Vec<usize>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).expect("tests/captures is part of the repository") {
            let path = entry.expect("a directory entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "json") {
                found.extend(captured_stream(path));
            }
        }
    }
    found.sort();
    found
}

fn captured_stream(path: PathBuf) -> Option<(PathBuf, String, Vec<usize>)> {
    let text = std::fs::read_to_string(&path).expect("a readable capture");
    let capture: serde_json::Value = serde_json::from_str(&text).expect("a capture is JSON");
    let chunks = capture.get("sse")?.get("http_chunks")?.as_array()?;
    let sizes = chunks.iter().map(|c| c[1].as_u64().expect("a chunk size") as usize).collect();
    Some((path, capture["response"]["body"].as_str().expect("a text body").to_owned(), sizes))
}

#[test]
fn captured_streams_give_the_events_of_an_independent_decoder() {
    let streams = captured_streams();
    assert!(streams.len() >= 20, "only {} captured streams under tests/captures", streams.len());
    let mut total = 0;
    for (path, body, chunks) in &streams {
        let mut rest = body.as_bytes();
        let mut parts = Vec::new();
        for size in chunks {
            let (part, next) = rest.split_at(*size);
            parts.push(part);
            rest = next;
        }
        let wanted = oracle(&parts);
        assert_eq!(events(body.as_bytes()), wanted, "{}", path.display());
        assert!(!wanted.is_empty(), "{} has no event", path.display());
        total += wanted.len();
        let frames = decode_parts(parts);
        assert_eq!(frames.len(), chunks.len(), "Dify sends one event per chunk: {}", path.display());
    }
    assert!(total > 300, "only {total} events in {} streams", streams.len());
}
