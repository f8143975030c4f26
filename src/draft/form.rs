//! Forms with files (RFC 7578), as they were recorded.

use crate::model::Request;
use memchr::memmem;

/// A form.
pub(super) struct Form {
    pub(super) parts: Vec<Part>,
}

/// One part of a form.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) file: Option<String>,
    pub(super) mime: Option<String>,
    pub(super) content: Vec<u8>,
    /// Bytes of the content as sent; more than are kept where the recording was cut.
    pub(super) size: usize,
}

impl Form {
    /// The text of a field that is no file.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let part = self.parts.iter().find(|p| p.name == name && p.file.is_none())?;
        std::str::from_utf8(&part.content).ok()
    }
}

/// Reads a form; `None` where the body is none.
pub(super) fn parse(request: &Request, body: &[u8]) -> Option<Form> {
    let content_type = request.header("content-type")?;
    if !content_type.get(..10)?.eq_ignore_ascii_case("multipart/") {
        return None;
    }
    let boundary = parameter(content_type, "boundary")?;
    let mark = format!("--{boundary}");
    let sent = request.header("content-length").and_then(|v| v.parse::<usize>().ok()).unwrap_or(body.len());
    let missing = sent.saturating_sub(body.len());
    let mut parts = Vec::new();
    let mut at = memmem::find(body, mark.as_bytes())? + mark.len();
    loop {
        let rest = body.get(at..)?;
        if rest.starts_with(b"--") || rest.is_empty() {
            break;
        }
        let head_end = memmem::find(rest, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(rest.get(..head_end)?).into_owned();
        let begin = at + head_end + 4;
        let end_mark = format!("\r\n{mark}");
        let end = memmem::find(body.get(begin..)?, end_mark.as_bytes());
        let content = body.get(begin..end.map_or(body.len(), |end| begin + end))?.to_vec();
        // the end of a form that was cut holds the closing mark, too
        let behind = if end.is_none() { missing.saturating_sub(end_mark.len() + 4) } else { 0 };
        parts.extend(part(&head, content, behind));
        match end {
            Some(end) => at = begin + end + end_mark.len(),
            None => break,
        }
    }
    Some(Form { parts })
}

fn part(head: &str, content: Vec<u8>, behind: usize) -> Option<Part> {
    let line = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let disposition = line("content-disposition")?;
    Some(Part {
        name: parameter(&disposition, "name")?,
        file: parameter(&disposition, "filename"),
        mime: line("content-type"),
        size: content.len() + behind,
        content,
    })
}

/// A parameter of a header value, without its quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|parameter| {
        let (found, value) = parameter.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        found.trim().eq_ignore_ascii_case(name).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(length: usize) -> Request {
        Request {
            method: "POST".into(),
            target: "/v1/files/upload".into(),
            headers: vec![
                ("content-type".into(), "multipart/form-data; boundary=B".into()),
                ("content-length".into(), length.to_string()),
            ],
            body: None,
        }
    }

    #[test]
    fn fields_and_files_are_told_apart() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nada\r\n--B\r\nContent-Disposition: \
                    form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nx\r\ny\r\n--B--\r\n";
        let form = parse(&request(body.len()), body.as_bytes()).unwrap();
        assert_eq!(form.field("user"), Some("ada"));
        let file = &form.parts[1];
        assert_eq!((file.file.as_deref(), file.mime.as_deref()), (Some("a.txt"), Some("text/plain")));
        assert_eq!((file.content.as_slice(), file.size), (&b"x\r\ny"[..], 4));
    }

    #[test]
    fn a_form_that_was_cut_tells_how_large_its_file_was() {
        let whole = format!(
            "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{}\r\n--B--\r\n",
            "z".repeat(5000)
        );
        let form = parse(&request(whole.len()), &whole.as_bytes()[..1000]).unwrap();
        assert_eq!(form.parts[0].size, 5000);
        assert!(form.parts[0].content.len() < 1000);
        assert!(parse(&request(3), b"abc").is_none());
    }
}
