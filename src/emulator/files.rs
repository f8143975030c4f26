//! Files: upload, use in a turn, preview.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::core::Core;
use super::fault::Fault;
use super::messages::pseudo_uuid;
use super::multipart::{Part, parts};
use super::refusal::Refusal;
use super::replies::iso;
use super::request::{DEFAULT_USER, Request, uuid_text};
use super::state::{Attachment, Moment, State, StoredFile};

/// Images of one turn, and most megabytes of a file by its kind.
const MOST_IMAGES: usize = 3;
const MEGABYTE: usize = 1024 * 1024;
const TENANT: &str = "523ce998-58bc-4bbe-ba77-7ed90fb79c6e";

impl Core {
    /// `POST /files/upload`.
    pub(super) fn upload(&self, app: usize, request: &Request, now: Moment) -> Result<Answer, Refusal> {
        let form = parts(request);
        let file = match self.one_file(&form) {
            Err(refusal) if refusal.code == "no_file_uploaded" && self.broken(Fault::EmptyFormAccepted) => Part {
                file_name: Some("empty.txt".to_owned()),
                media_type: Some("text/plain".to_owned()),
                ..Part::default()
            },
            other => other?,
        };
        let name = file.file_name.unwrap_or_default();
        let Some(media_type) = file.media_type else {
            return Err(Refusal::new(415, "unsupported_file_type", "File type not allowed."));
        };
        if name.contains(['/', '\\']) && !self.behaviour.any_file_name {
            return Err(Refusal::invalid("Filename contains invalid characters"));
        }
        let extension = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
        if file.content.len() > most_megabytes(&extension) * MEGABYTE {
            let text = if self.behaviour.version.is_some() { "File size exceeded. {message}" } else { "" };
            return Err(Refusal::new(413, "file_too_large", text));
        }
        let user = form_user(&form);
        let mut state = self.state(app);
        let by = state.end_user(app, &user);
        let id = state.uuid();
        let stored = StoredFile { id, name, extension, media_type, content: file.content, user, used: false };
        let document = self.upload_document(&stored, &by, now);
        state.files.insert(stored.id.clone(), stored);
        drop(state);
        Ok(self.json(201, &document))
    }

    /// The one file of an upload form.
    fn one_file(&self, form: &[Part]) -> Result<Part, Refusal> {
        let files = || form.iter().filter(|part| part.file_name.is_some());
        let Some(file) = files().find(|part| part.name == "file") else {
            return Err(if self.behaviour.upload_key_error {
                Refusal::form_key_missing()
            } else {
                Refusal::new(400, "no_file_uploaded", "Please upload your file.")
            });
        };
        let counted = files().filter(|part| part.name != "file" || !self.behaviour.first_of_same_name).count();
        let most = if self.behaviour.first_of_same_name { 0 } else { 1 };
        if counted > most {
            return Err(Refusal::new(400, "too_many_files", "Only one file is allowed."));
        }
        if file.file_name.as_deref() == Some("") {
            return Err(Refusal::new(400, "filename_not_exists_error", "The specified filename does not exist."));
        }
        Ok(file.clone())
    }

    fn upload_document(&self, file: &StoredFile, by: &str, now: Moment) -> Value {
        let size = if self.broken(Fault::UploadSizeZero) { 0 } else { file.content.len() };
        let mut document = json!({
            "id": file.id, "name": file.name, "size": size, "extension": file.extension,
            "mime_type": file.media_type, "created_by": by, "created_at": now.unix_seconds()
        });
        if self.behaviour.recent_routes {
            document["preview_url"] = Value::Null;
            document["source_url"] = json!(url_of(&file.id, now));
            document["original_url"] = Value::Null;
            document["user_id"] = Value::Null;
            document["tenant_id"] = json!(TENANT);
            document["conversation_id"] = Value::Null;
            document["file_key"] = Value::Null;
        }
        if self.behaviour.version.is_none() {
            document["reference"] = Value::Null;
        }
        document
    }

    /// `GET /files/{id}/preview`: files that a message of this app uses, whoever asks.
    pub(super) fn preview(&self, app: usize, id: &str, request: &Request) -> Result<Answer, Refusal> {
        let unused_too = self.broken(Fault::PreviewUnused);
        let file = self.state(app).files.get(id).filter(|file| file.used || unused_too).cloned();
        let Some(file) = file else {
            let used_elsewhere = |other: usize| self.state(other).files.get(id).is_some_and(|file| file.used);
            return Err(if (0..self.app_count()).any(used_elsewhere) {
                let text = "File access denied: not owned by requesting app";
                Refusal::new(403, "file_access_denied", text)
            } else {
                Refusal::new(404, "file_not_found", "File not found in message context")
            });
        };
        let asked = matches!(request.param("as_attachment"), Some("true" | "True" | "1"));
        // a page of HTML must not run under the server's name
        let attached = asked || file.media_type == "text/html";
        let media_type = if attached { "application/octet-stream" } else { file.media_type.as_str() };
        let mut headers = self.headers(media_type, true);
        if attached {
            headers.push(("content-disposition", format!("attachment; filename*=UTF-8''{}", escaped(&file.name))));
        }
        headers.push(("cache-control", "public, max-age=3600".to_owned()));
        Ok(Answer { status: 200, headers, body: file.content })
    }

    /// The files a turn brings, after the checks of the server; nothing where the app takes none.
    pub(super) fn attachments(
        &self,
        app: usize,
        user: &str,
        given: &[Map<String, Value>],
    ) -> Result<Vec<Attachment>, Refusal> {
        if !self.apps[app].takes_files() {
            return Ok(Vec::new());
        }
        let mut state = self.state(app);
        let mut attachments = Vec::new();
        for file in given {
            attachments.extend(self.attachment(&mut state, user, file)?);
        }
        if let Some(odd) = attachments.iter().find(|a| !matches!(a.kind.as_str(), "image" | "document")) {
            return Err(Refusal::invalid(format!("File validation failed for file: {}", odd.name)));
        }
        if attachments.iter().filter(|a| a.kind == "image").count() > MOST_IMAGES {
            return Err(Refusal::invalid(format!("Number of image files exceeds the maximum limit {MOST_IMAGES}")));
        }
        for attachment in &attachments {
            if let Some(file) = state.files.get_mut(&attachment.file) {
                file.used = true;
            }
        }
        Ok(attachments)
    }

    fn attachment(
        &self,
        state: &mut State,
        user: &str,
        given: &Map<String, Value>,
    ) -> Result<Option<Attachment>, Refusal> {
        let text = |name: &str| given.get(name).and_then(Value::as_str);
        match (text("transfer_method"), text("upload_file_id"), text("url")) {
            (Some("local_file"), None, _) => Err(Refusal::invalid("Invalid upload file id")),
            (Some("local_file"), Some(id), _) => {
                let id = uuid_text(id).ok_or_else(|| Refusal::invalid("Invalid upload file id format"))?;
                let any = self.behaviour.any_uploader || self.broken(Fault::AnyUploader);
                let row = state.uuid();
                let file = state.files.get(&id).filter(|file| any || file.user == user);
                let file = file.ok_or_else(|| Refusal::invalid("Invalid upload file"))?;
                Ok(Some(Attachment {
                    id: row,
                    file: id,
                    name: file.name.clone(),
                    media_type: file.media_type.clone(),
                    size: file.content.len(),
                    kind: text("type").unwrap_or_default().to_owned(),
                }))
            }
            // nothing outside is ever fetched: every remote file is out of reach
            (Some("remote_url"), _, Some(url)) => {
                Err(Refusal::invalid(format!("Reached maximum retries (3) for URL {url}")))
            }
            _ => Ok(None),
        }
    }

    /// `message_files` of a row of `GET /messages`.
    pub(super) fn message_files(&self, attachments: &[Attachment], created_at: i64) -> Value {
        if self.broken(Fault::MessageFilesEmpty) {
            return json!([]);
        }
        let now = Moment(u64::try_from(created_at).unwrap_or_default() * 1_000_000);
        let row = |a: &Attachment| {
            let mut row = json!({
                "id": a.id, "type": a.kind, "url": url_of(&a.file, now),
                "transfer_method": "local_file", "belongs_to": "user"
            });
            if self.behaviour.recent_routes {
                row["filename"] = json!(a.name);
                row["mime_type"] = json!(a.media_type);
                row["size"] = json!(a.size);
                row["upload_file_id"] = json!(a.file);
            }
            row
        };
        Value::Array(attachments.iter().map(row).collect())
    }

    /// `GET /end-users/{id}`.
    pub(super) fn end_user(&self, app: usize, id: &str) -> Result<Answer, Refusal> {
        let user = self.state(app).end_users.get(id).cloned();
        let user = user.ok_or_else(|| Refusal::new(404, "end_user_not_found", "End user not found."))?;
        let (unnamed, other) = (self.broken(Fault::EndUserUnnamed), self.broken(Fault::EndUserOfAnotherId));
        let time = format!("{}Z", iso(1_700_000_000));
        Ok(self.json(
            200,
            &json!({
                "id": if other { pseudo_uuid(&id) } else { id.to_owned() }, "tenant_id": TENANT,
                "app_id": pseudo_uuid(&app), "type": "service_api",
                "external_user_id": if unnamed { Value::Null } else { json!(user) },
                "name": null, "is_anonymous": user == DEFAULT_USER,
                "session_id": if unnamed { id } else { user.as_str() },
                "created_at": time, "updated_at": time
            }),
        ))
    }
}

/// The user of a form.
pub(super) fn form_user(form: &[Part]) -> String {
    let field = form.iter().find(|part| part.name == "user" && part.file_name.is_none());
    let text = field.map(|part| String::from_utf8_lossy(&part.content).into_owned());
    text.filter(|user| !user.is_empty()).unwrap_or_else(|| DEFAULT_USER.to_owned())
}

fn most_megabytes(extension: &str) -> usize {
    match extension {
        "jpg" | "jpeg" | "png" | "webp" | "gif" | "svg" => 10,
        "mp4" | "mov" | "mpeg" | "webm" => 100,
        "mp3" | "m4a" | "wav" | "amr" | "mpga" => 50,
        _ => 15,
    }
}

/// A signed address of a file; nothing is served there.
fn url_of(id: &str, now: Moment) -> String {
    let (zeros, sign) = ("0".repeat(32), "A".repeat(43));
    format!("/files/{id}/file-preview?timestamp={}&nonce={zeros}&sign={sign}%3D", now.unix_seconds())
}

/// A file name as a header may carry it.
fn escaped(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_escaped_for_headers() {
        assert_eq!(escaped("a b\r\né.png"), "a%20b%0D%0A%C3%A9.png");
    }

    #[test]
    fn a_form_without_user_belongs_to_the_default_one() {
        let part = |content: &[u8]| Part { name: "user".to_owned(), content: content.to_vec(), ..Part::default() };
        assert_eq!(form_user(&[part(b"anna")]), "anna");
        assert_eq!(form_user(&[part(b"")]), DEFAULT_USER);
        assert_eq!(form_user(&[]), DEFAULT_USER);
    }
}
