//! The body of an upload: a form of RFC 7578.

use super::body::BuildError;
use super::scope::Names;
use super::seed;
use crate::scenario::ast::{Content, FilePart, Upload};
use base64::Engine as _;

/// Most bytes of filler.
const LARGEST: usize = 64 * 1024 * 1024;
const FILLER: &[u8] = b"difyprobe filler";

/// A form ready to send.
pub(super) struct Form {
    /// `multipart/form-data` with its boundary.
    pub content_type: String,
    /// The bytes.
    pub body: Vec<u8>,
}

/// Path below the base URL.
pub(super) fn path(upload: &Upload) -> &'static str {
    if upload.speech { "/audio-to-text" } else { "/files/upload" }
}

/// The form of an upload. The same seed gives the same bytes.
///
/// # Errors
/// A template that cannot be rendered, base64 that is none, a size that is no number or too large.
pub(super) fn form(upload: &Upload, user: &str, names: Names<'_>, seed: u64) -> Result<Form, BuildError> {
    let files: Vec<(String, Vec<u8>)> = upload.files.iter().map(|f| file(f, names)).collect::<Result<_, _>>()?;
    let boundary = boundary(&files, seed);
    let mut body = Vec::new();
    let mut add = |head: &str, content: &[u8]| {
        body.extend(format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
        body.extend(content);
        body.extend(b"\r\n");
    };
    if !upload.no_user {
        add("name=\"user\"", user.as_bytes());
    }
    for (head, content) in &files {
        add(head, content);
    }
    body.extend(format!("--{boundary}--\r\n").as_bytes());
    Ok(Form { content_type: format!("multipart/form-data; boundary={boundary}"), body })
}

/// A boundary that stands in no content.
fn boundary(files: &[(String, Vec<u8>)], seed: u64) -> String {
    let mut rng = seed::generator(seed, &["boundary"]);
    loop {
        let boundary: String = "difyprobe-".chars().chain((0..24).map(|_| rng.alphanumeric())).collect();
        if !files.iter().any(|(_, content)| memchr::memmem::find(content, boundary.as_bytes()).is_some()) {
            return boundary;
        }
    }
}

/// The head of a part behind `form-data; `, and its content.
fn file(file: &FilePart, names: Names<'_>) -> Result<(String, Vec<u8>), BuildError> {
    let text = |text: &Option<String>| text.as_ref().map(|t| names.text(t)).transpose();
    let mut head = format!("name=\"{}\"", quoted(text(&file.part)?.as_deref().unwrap_or("file")));
    if let Some(name) = text(&file.name)? {
        head.push_str(&format!("; filename=\"{}\"", quoted(&name)));
    }
    if let Some(mime) = text(&file.mime)? {
        head.push_str(&format!("\r\nContent-Type: {}", mime.replace(['\r', '\n'], " ")));
    }
    Ok((head, content(&file.content, names)?))
}

/// A value between double quotes, escaped as browsers do.
fn quoted(value: &str) -> String {
    value.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn content(content: &Content, names: Names<'_>) -> Result<Vec<u8>, BuildError> {
    match content {
        Content::Text(text) => Ok(names.text(text)?.into_bytes()),
        Content::Base64(text) => {
            let text = names.text(text)?;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim());
            bytes.map_err(|error| BuildError::File(format!("the `base64` of a file is none: {error}")))
        }
        Content::Size(text) => {
            let text = names.text(text)?;
            let size = text.trim().parse().ok().filter(|size: &usize| *size <= LARGEST);
            let size = size.ok_or_else(|| BuildError::File(format!("`{text}` is no size of a file")))?;
            let mut filler = FILLER.repeat(size.div_ceil(FILLER.len()));
            filler.truncate(size);
            Ok(filler)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::template::Renderer;
    use serde_json::json;

    fn part(name: Option<&str>, mime: Option<&str>, content: Content) -> FilePart {
        FilePart { part: None, name: name.map(str::to_owned), mime: mime.map(str::to_owned), content }
    }

    fn made(upload: &Upload) -> Result<(String, String), String> {
        let (renderer, values) = (Renderer::new(1), json!({"n": 3}));
        let form =
            form(upload, "u1", Names { renderer: &renderer, values: &values, base: &serde_json::Value::Null }, 7)
                .map_err(|e| e.to_string())?;
        let boundary = form.content_type.split_once("boundary=").unwrap().1.to_owned();
        Ok((form.content_type.clone(), String::from_utf8(form.body).unwrap().replace(&boundary, "B")))
    }

    #[test]
    fn a_form_holds_the_user_and_the_files_in_order() {
        let first = part(Some("a\"b.txt"), Some("text/plain"), Content::Text("hello".into()));
        let second = FilePart { part: Some("other".into()), ..part(None, None, Content::Base64("aGk=".into())) };
        let upload = Upload { files: vec![first, second], ..Upload::default() };
        let (content_type, body) = made(&upload).unwrap();
        assert!(content_type.starts_with("multipart/form-data; boundary=difyprobe-"), "{content_type}");
        assert_eq!(
            body,
            "--B\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nu1\r\n\
             --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22b.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n\
             --B\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nhi\r\n--B--\r\n"
        );
    }

    #[test]
    fn an_empty_form_has_only_its_end() {
        let upload = Upload { no_user: true, ..Upload::default() };
        assert_eq!(made(&upload).unwrap().1, "--B--\r\n");
    }

    #[test]
    fn filler_has_the_wanted_size_and_nonsense_is_refused() {
        let sized = |size: &str| {
            let file = part(None, None, Content::Size(size.into()));
            made(&Upload { files: vec![file], no_user: true, ..Upload::default() })
        };
        assert!(sized("${{ n + 4 }}").unwrap().1.contains("\r\n\r\ndifypro\r\n"));
        for bad in ["x", "-1", "99999999999"] {
            assert!(sized(bad).unwrap_err().contains(bad));
        }
        let broken = Upload { files: vec![part(None, None, Content::Base64("?".into()))], ..Upload::default() };
        assert!(made(&broken).unwrap_err().contains("base64"));
    }
}
