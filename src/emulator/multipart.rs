//! Bodies of `multipart/form-data`, as far as uploads need them.

use super::request::Request;

/// One part of a form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Its field.
    pub name: String,
    /// Its file name; parts without one are plain fields.
    pub file_name: Option<String>,
    /// Its media type, if it says one.
    pub media_type: Option<String>,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// The parts of a form in order; none if the body is no form.
pub fn parts(request: &Request) -> Vec<Part> {
    let Some(boundary) = request.header("content-type").and_then(boundary) else {
        return Vec::new();
    };
    let line = [b"--", boundary.as_bytes()].concat();
    let mut parts = Vec::new();
    // the first delimiter stands at the start, the others behind a line break
    let mut rest = request.body.strip_prefix(line.as_slice()).and_then(|rest| rest.strip_prefix(b"\r\n"));
    let delimiter = [b"\r\n".as_slice(), &line].concat();
    while let Some(bytes) = rest {
        let Some(end) = memchr::memmem::find(bytes, &delimiter) else {
            break;
        };
        parts.extend(bytes.get(..end).and_then(part));
        rest = bytes.get(end + delimiter.len()..).and_then(|rest| rest.strip_prefix(b"\r\n"));
    }
    parts
}

fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    let form = kind.trim().eq_ignore_ascii_case("multipart/form-data");
    let value = parameter(parameters, "boundary")?;
    (form && !value.is_empty()).then_some(value)
}

/// The value of `name=value` or `name="value"` among parameters.
fn parameter(text: &str, name: &str) -> Option<String> {
    let pairs = text.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    values.next().map(|value| value.trim_matches('"').replace("%22", "\""))
}

fn part(bytes: &[u8]) -> Option<Part> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let mut part = Part { content: bytes.get(end + 4..)?.to_vec(), ..Part::default() };
    for (name, value) in head.split("\r\n").filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-disposition") {
            part.name = parameter(value, "name")?;
            part.file_name = parameter(value, "filename");
        } else if name.eq_ignore_ascii_case("content-type") {
            let essence = value.split(';').next().unwrap_or_default();
            part.media_type = Some(essence.trim().to_ascii_lowercase()).filter(|text| !text.is_empty());
        }
    }
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: &str, body: &str) -> Request {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Request { headers, body: body.as_bytes().to_vec(), ..Request::default() }
    }

    #[test]
    fn fields_and_files_are_told_apart_and_keep_their_bytes() {
        let body = "--bb\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nu\r\n--bb\r\nContent-Disposition: \
                    form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: Text/plain; charset=x\r\n\r\n--b\r\n\r\n\r\n--bb--\r\n";
        let parts = parts(&request("multipart/form-data; boundary=bb", body));
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].name.as_str(), parts[0].file_name.as_deref()), ("user", None));
        assert_eq!(parts[1].file_name.as_deref(), Some("a.txt"));
        assert_eq!(parts[1].media_type.as_deref(), Some("text/plain"));
        assert_eq!(parts[1].content, b"--b\r\n\r\n");
    }

    #[test]
    fn what_is_no_form_has_no_parts() {
        assert_eq!(parts(&request("application/json", "{}")), []);
        assert_eq!(parts(&request("multipart/form-data; boundary=bb", "--bb--\r\n")), []);
        assert_eq!(parts(&request("multipart/form-data; boundary=\"bb\"", "--bb\r\nno end")), []);
    }
}
