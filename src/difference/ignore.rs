//! What is left out of a comparison: JSON paths (RFC 9535) into the bodies of replies and the data of events.

use crate::model::{Body, Read, Reply, Transcript};
use serde_json::Value;
use serde_json_path::JsonPath;

/// Paths to leave out, with how often each was there.
#[derive(Debug, Default)]
pub struct Ignore {
    paths: Vec<(String, JsonPath)>,
}

/// A text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a JSON path: {cause}; write for example '$.metadata' or '$.data[*].created_at'")]
pub struct IgnoreError {
    /// As given.
    pub text: String,
    /// What is wrong.
    pub cause: String,
}

/// One step of a path to a value. The order is that of the steps, so that items of a list can be taken out from behind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Item(usize),
    Member(String),
}

impl Ignore {
    /// Reads the paths.
    ///
    /// # Errors
    /// The first that is none.
    pub fn parse(texts: &[String]) -> Result<Ignore, IgnoreError> {
        let path = |text: &String| match JsonPath::parse(text) {
            Ok(path) => Ok((text.clone(), path)),
            Err(e) => Err(IgnoreError { text: text.clone(), cause: e.message().to_owned() }),
        };
        Ok(Ignore { paths: texts.iter().map(path).collect::<Result<_, _>>()? })
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The paths as given.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|(text, _)| text.as_str())
    }

    /// The recording without what the paths select in replies, and how often each of them selected something. The data
    /// of an event counts as a document where it stands on one line.
    pub fn apply(&self, transcript: &Transcript) -> (Transcript, Vec<u64>) {
        let mut left = transcript.clone();
        let mut matched = vec![0; self.paths.len()];
        if !self.is_empty() {
            let replies = left.exchanges.iter_mut().filter_map(|exchange| exchange.reply.as_mut());
            replies.for_each(|reply| self.apply_to(reply, &mut matched));
        }
        (left, matched)
    }

    fn apply_to(&self, reply: &mut Reply, matched: &mut [u64]) {
        let Some(text) = reply.body.text() else { return };
        let changed = match reply.is_event_stream() {
            true => self.lines(text, matched),
            false => self.document(text, matched),
        };
        let Some(changed) = changed else { return };
        // What says that the recording is cut must go on saying so.
        let cut = u64::from(reply.truncated());
        let length = changed.len() as u64 + cut;
        reply.body = Body::Text(changed);
        reply.body_bytes = length;
        reply.reads = vec![Read { at_us: 0, upto: length }];
    }

    /// An event stream without it; `None` where it is as it was.
    fn lines(&self, text: &str, matched: &mut [u64]) -> Option<String> {
        let mut any = false;
        let lines = text.split_inclusive('\n').map(|line| {
            let content = line.trim_end_matches(['\n', '\r']);
            let end = line.get(content.len()..).unwrap_or_default();
            let data = content.strip_prefix("data:").and_then(|data| self.document(data, matched));
            any |= data.is_some();
            data.map_or_else(|| line.to_owned(), |data| format!("data: {data}{end}"))
        });
        let all: String = lines.collect();
        any.then_some(all)
    }

    /// A document without it; `None` where it is as it was, or no JSON.
    fn document(&self, text: &str, matched: &mut [u64]) -> Option<String> {
        let mut document: Value = serde_json::from_str(text).ok()?;
        let mut any = false;
        for ((_, path), matched) in self.paths.iter().zip(matched) {
            let located = path.query_located(&document);
            let place = |at: &serde_json_path::PathElement<'_>| match (at.as_index(), at.as_name()) {
                (Some(index), _) => At::Item(index),
                (None, name) => At::Member(name.unwrap_or_default().to_owned()),
            };
            let mut places: Vec<Vec<At>> =
                located.locations().map(|location| location.iter().map(place).collect()).collect();
            places.sort_unstable_by(|a, b| b.cmp(a));
            places.dedup();
            *matched += places.len() as u64;
            any |= !places.is_empty();
            places.iter().for_each(|place| remove(&mut document, place));
        }
        any.then(|| document.to_string())
    }
}

fn remove(document: &mut Value, place: &[At]) {
    let Some((last, before)) = place.split_last() else {
        *document = Value::Null;
        return;
    };
    let mut owner = document;
    for at in before {
        let inner = match at {
            At::Item(index) => owner.get_mut(*index),
            At::Member(name) => owner.get_mut(name.as_str()),
        };
        match inner {
            Some(inner) => owner = inner,
            None => return,
        }
    }
    match (last, owner) {
        (At::Item(index), Value::Array(items)) if *index < items.len() => {
            items.remove(*index);
        }
        (At::Member(name), Value::Object(members)) => {
            members.shift_remove(name);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ignore(paths: &[&str]) -> Ignore {
        Ignore::parse(&paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn reply(media: &str, body: &str) -> Reply {
        let length = body.len() as u64;
        Reply {
            http_version: "HTTP/1.1".to_owned(),
            status: 200,
            headers: vec![("content-type".to_owned(), media.to_owned())],
            body: Body::Text(body.to_owned()),
            body_bytes: length,
            reads: vec![Read { at_us: 5, upto: length }],
        }
    }

    #[test]
    fn members_and_items_are_taken_out_wherever_a_path_selects_them() {
        let body = json!({"data": [{"id": 1, "x": 1}, {"id": 2}, {"id": 3}], "x": 2}).to_string();
        let mut reply = reply("application/json", &body);
        let mut matched = vec![0; 3];
        ignore(&["$..x", "$.data[?@.id < 3]", "$.none"]).apply_to(&mut reply, &mut matched);
        assert_eq!(reply.body.text(), Some(r#"{"data":[{"id":3}]}"#));
        assert_eq!((matched, reply.truncated()), (vec![2, 2, 0], false));
    }

    #[test]
    fn the_data_of_events_is_reached_and_all_other_lines_stay() {
        let body = "event: ping\n\ndata: {\"event\":\"message\",\"a\":1}\r\n\r\ndata: [DONE]\n\n";
        let mut reply = reply("text/event-stream", body);
        ignore(&["$.a"]).apply_to(&mut reply, &mut [0]);
        let left = "event: ping\n\ndata: {\"event\":\"message\"}\r\n\r\ndata: [DONE]\n\n";
        assert_eq!(reply.body.text(), Some(left));
    }

    #[test]
    fn a_recording_that_was_cut_still_says_so() {
        let mut reply = reply("application/json", r#"{"a":1,"b":2}"#);
        reply.reads = vec![Read { at_us: 5, upto: 400 }];
        ignore(&["$.a"]).apply_to(&mut reply, &mut [0]);
        assert!(reply.truncated());
        assert_eq!(reply.body.text(), Some(r#"{"b":2}"#));
    }

    #[test]
    fn what_is_no_path_is_named_with_a_remedy() {
        let error = Ignore::parse(&["$.a".to_owned(), "metadata".to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("`metadata` is not a JSON path: "), "{error}");
        assert!(error.to_string().contains("'$.metadata'"), "{error}");
        assert_eq!(ignore(&["$"]).document("{\"a\":1}", &mut [0]).as_deref(), Some("null"));
    }
}
