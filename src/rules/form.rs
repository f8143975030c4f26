//! Forms (`multipart/form-data`) as they were sent.

use crate::model::Body;

/// One part of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Name of the part.
    pub name: String,
    /// File name, where the part has one.
    pub file_name: Option<String>,
    /// `Content-Type` of the part, lower case, without parameters.
    pub mime: Option<String>,
    /// Content; of large files only the beginning.
    pub content: Vec<u8>,
    /// Bytes of the content as it was sent.
    pub size: u64,
}

/// A form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Parts in order.
    pub parts: Vec<Part>,
}

impl Form {
    /// The form of a request body; `None` where the body is something else.
    pub fn of(content_type: &str, length: Option<&str>, body: &Body) -> Option<Form> {
        content_type.trim_start().get(..10).filter(|t| t.eq_ignore_ascii_case("multipart/"))?;
        let bytes = body.bytes();
        let missing = length.and_then(|l| l.parse::<u64>().ok()).map_or(0, |l| l.saturating_sub(bytes.len() as u64));
        Form::read(content_type, &bytes, missing)
    }

    /// Reads a body of which the last `missing` bytes were not kept; `None` where it is no form (RFC 7578).
    fn read(content_type: &str, body: &[u8], missing: u64) -> Option<Form> {
        let (essence, parameters) = content_type.split_once(';')?;
        if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = attribute(parameters, "boundary")?;
        let mut form = Form::default();
        let mut rest = body.strip_prefix(format!("--{boundary}").as_bytes())?;
        let next = format!("\r\n--{boundary}");
        while let Some(bytes) = rest.strip_prefix(b"\r\n") {
            let Some(end) = memchr::memmem::find(bytes, next.as_bytes()) else {
                // the kept part ends in the last file
                let mut last = Part::read(bytes).filter(|_| missing > 0)?;
                last.size = (last.size + missing).saturating_sub(next.len() as u64 + 4);
                form.parts.push(last);
                return Some(form);
            };
            form.parts.push(Part::read(bytes.get(..end)?)?);
            rest = bytes.get(end + next.len()..)?;
        }
        rest.starts_with(b"--").then_some(form)
    }

    /// Parts with a file name.
    pub fn files(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|p| p.file_name.is_some())
    }

    /// Text of a plain field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let part = self.parts.iter().find(|p| p.name == name && p.file_name.is_none())?;
        std::str::from_utf8(&part.content).ok()
    }
}

impl Part {
    fn read(bytes: &[u8]) -> Option<Part> {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
        let content = bytes.get(end + 4..)?.to_vec();
        let mut part = Part { size: content.len() as u64, content, ..Part::default() };
        for line in std::str::from_utf8(bytes.get(..end)?).ok()?.split("\r\n") {
            let (header, value) = line.split_once(':')?;
            match header.trim().to_ascii_lowercase().as_str() {
                "content-disposition" => {
                    part.name = attribute(value, "name")?;
                    part.file_name = attribute(value, "filename");
                }
                "content-type" => {
                    let essence = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
                    part.mime = Some(essence).filter(|m| !m.is_empty());
                }
                _ => {}
            }
        }
        Some(part)
    }
}

/// `; name=value` or `; name="value"`.
fn attribute(text: &str, name: &str) -> Option<String> {
    let values = text.split(';').filter_map(|pair| pair.trim().split_once('='));
    let value = values.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v).next()?;
    let bare = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    Some(bare.replace("%22", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &[u8]) -> Option<Form> {
        Form::read(content_type, body, 0)
    }

    const TYPE: &str = "multipart/form-data; boundary=bb";

    #[test]
    fn parts_are_read_with_names_types_and_bytes() {
        let body = b"--bb\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nu\r\n--bb\r\nContent-Disposition: \
                     form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/PNG\r\n\r\n\x89\r\n\x00\r\n--bb--\r\n";
        let form = read(TYPE, body).unwrap();
        assert_eq!(form.field("user"), Some("u"));
        let files: Vec<&Part> = form.files().collect();
        assert_eq!(files.len(), 1);
        assert_eq!((files[0].name.as_str(), files[0].mime.as_deref()), ("file", Some("image/png")));
        assert_eq!(files[0].content, b"\x89\r\n\x00");
    }

    #[test]
    fn the_size_of_a_file_that_was_cut_follows_from_the_missing_bytes() {
        let whole =
            b"--bb\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n0123456789\r\n--bb--\r\n";
        let kept = &whole[..whole.len() - 15];
        let form = Form::read(TYPE, kept, 15).unwrap();
        assert_eq!(form.parts[0].size, 10);
        assert!(form.parts[0].content.len() < 10);
        assert_eq!(read(TYPE, kept), None);
    }

    #[test]
    fn an_empty_form_is_a_form_and_a_torn_one_or_a_description_is_none() {
        assert_eq!(read(TYPE, b"--bb--\r\n"), Some(Form::default()));
        for torn in [&b"--bb\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx"[..], b"multipart a.mp3 2003 bytes"]
        {
            assert_eq!(read(TYPE, torn), None);
        }
        assert_eq!(read("application/json", b"{}"), None);
    }
}
