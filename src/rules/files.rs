//! Areas `files` and `end-users`: uploads, their use in turns, previews, and who uploaded them.

use super::form::Form;
use super::notes::Notes;
use super::offered::{made, no_images, parameters, takes, uploads, used};
use super::request::{Defect, is_uuid};
use super::rule::{ANY, CHATS, Judge, Load, MESSAGES, Rule, always};
use super::run::Run;
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, AppMode, Endpoint, Level};
use crate::schema::Document;
use serde_json::Value;

/// Files up to this size are accepted everywhere.
const SMALL: u64 = 1 << 19;

/// The form of an upload with the app's own key.
fn upload_form<'s>(s: &'s Seen) -> Option<&'s Form> {
    s.sent.form.as_ref().filter(|_| s.endpoint() == Endpoint::FileUpload && s.has_key() && s.exchange.reply.is_some())
}

/// Source: OpenAPI `FileUploadResponse`.
fn upload_shape(s: &Seen, n: &mut Notes) {
    if let Some(json) = s.json.filter(|_| s.endpoint() == Endpoint::FileUpload && s.succeeded()) {
        n.fits(s, Document::FileUpload, json);
    }
    let Some(form) = upload_form(s) else { return };
    let files: Vec<_> = form.files().collect();
    let [file] = files.as_slice() else { return };
    let (name, mime) = (file.file_name.as_deref().unwrap_or(""), file.mime.as_deref());
    let sound = file.name == "file" && !name.is_empty() && !name.contains(['/', '\\']);
    let (Some(mime), true) = (mime, sound && file.size <= SMALL) else { return };
    if !n.expect(s.is(201), s, "status", "status 201", || s.outcome_text()) {
        return;
    }
    let shown = |member: &str| s.member(member).map_or("absent".to_owned(), Value::to_string);
    let size = s.member("size").and_then(Value::as_u64) == Some(file.size);
    n.expect(size, s, "size", format!("size {}", file.size), || format!("size {}", shown("size")));
    n.expect(s.text("name") == Some(name), s, "name", format!("name `{}`", clip(name)), || shown("name"));
    n.expect(s.text("mime_type") == Some(mime), s, "mime-type", format!("mime_type `{mime}`"), || shown("mime_type"));
    let extension = name.rsplit_once('.').map_or("", |(_, end)| end);
    n.advise(s.text("extension") == Some(extension), s, "extension", format!("extension `{extension}`"), || {
        shown("extension")
    });
}

fn refused(s: &Seen, n: &mut Notes, check: &'static str, status: u16, code: &str) {
    let holds = s.is(status) && s.error_code() == Some(code);
    n.expect(holds, s, check, format!("status {status} `{code}`"), || s.outcome_text());
}

/// Source: OpenAPI 400, 413 and 415 of `POST /files/upload`.
fn upload_errors(run: &Run, app: &App, n: &mut Notes) {
    for s in run.calls(app, Endpoint::FileUpload) {
        let Some(form) = upload_form(s) else { continue };
        let files: Vec<_> = form.files().collect();
        let named = files.iter().filter(|f| f.name == "file").count();
        match files.as_slice() {
            [] => {
                n.expect(s.is(400), s, "no-file", "status 400 without a file", || s.outcome_text());
                let code = s.error_code() == Some("no_file_uploaded");
                n.expect(code, s, "no-file-code", "error code `no_file_uploaded`", || s.outcome_text());
            }
            [file] if named == 1 => {
                let name = file.file_name.as_deref().unwrap_or("");
                let mime = file.mime.as_deref();
                match mime {
                    None => refused(s, n, "no-mime", 415, "unsupported_file_type"),
                    Some(_) if name.contains(['/', '\\']) => refused(s, n, "slash", 400, "invalid_param"),
                    Some(mime) if limit(run, app, mime).is_some_and(|most| file.size > most) => {
                        // a gateway may answer first, in HTML
                        let code = s.json.is_none() || s.error_code() == Some("file_too_large");
                        let expected = "status 413 `file_too_large`";
                        n.expect(s.is(413) && code, s, "too-large", expected, || s.outcome_text());
                    }
                    Some(_) => {}
                }
            }
            [_, _, ..] if named == files.len() => refused(s, n, "same-name", 400, "too_many_files"),
            [_, _, ..] if named >= 1 => refused(s, n, "two-files", 400, "too_many_files"),
            _ => {}
        }
    }
}

/// Most bytes of a file of this media type, where the app says it.
fn limit(run: &Run, app: &App, mime: &str) -> Option<u64> {
    let member = match mime.split('/').next() {
        Some("image") => "image_file_size_limit",
        Some("video") => "video_file_size_limit",
        Some("audio") => "audio_file_size_limit",
        _ => "file_size_limit",
    };
    let megabytes = parameters(run, app)?.get("system_parameters")?.get(member)?.as_u64()?;
    Some(megabytes << 20)
}

/// Whether a generation request has nothing wrong with it but, perhaps, its one uploaded file.
fn only_file<'s>(run: &Run, app: &App, s: &'s Seen) -> Option<&'s str> {
    let files = used(s);
    let count = s.sent.member("files").and_then(Value::as_array).map_or(0, Vec::len);
    match files.as_slice() {
        [(id, kind)] if count == 1 && s.sent.only(&Defect::Odd) && takes(run, app, kind) => Some(id),
        _ => None,
    }
}

/// Source: end user guide, files; OpenAPI `upload_file_id`.
fn owner_only(run: &Run, app: &App, n: &mut Notes) {
    let uploads = uploads(run, app);
    for s in run.on(app).filter(|s| s.endpoint().generates() && s.exchange.reply.is_some()) {
        let Some(id) = only_file(run, app, s) else { continue };
        let file = uploads.iter().find(|u| u.id == id && u.seen.exchange.ended_us() <= s.exchange.timing.sent_us);
        let nobody = file.is_none()
            && !run.seen.iter().any(|o| o.endpoint() == Endpoint::FileUpload && o.text("id") == Some(id));
        // since 1.13 workers of chatflows look at files, after the stream has begun
        let told = s.app.mode == Some(AppMode::AdvancedChat) && s.stream.is_some_and(|st| st.find("error").is_some());
        if nobody && run.transcript.complete && !told {
            refused(s, n, "unknown", 400, "invalid_param");
        }
        let (Some(owner), Some(user)) = (file.and_then(|f| f.user), s.sent.user.as_deref()) else { continue };
        if owner == user {
            n.expect(s.succeeded(), s, "own-file", "success for an own file", || s.outcome_text());
        } else {
            refused(s, n, "foreign", 400, "invalid_param");
        }
        if let Some(file) = file.filter(|_| owner != user) {
            n.with(file.seen);
        }
    }
}

/// Generation requests on an app that refer to a file.
fn users_of<'r, 't>(run: &'r Run<'t>, app: &'r App, id: &str) -> Vec<&'r Seen<'t>> {
    let generations = run.on(app).filter(|s| s.endpoint().generates());
    generations.filter(|s| used(s).iter().any(|(file, _)| *file == id)).collect()
}

/// Source: OpenAPI `GET /files/{id}/preview`.
fn preview(run: &Run, app: &App, n: &mut Notes) {
    let offered = |s: &&Seen| s.has_key() && s.exchange.reply.is_some() && !(s.is(404) && s.json.is_none());
    for s in run.calls(app, Endpoint::FilePreview).filter(offered) {
        let Some(id) = s.route.ids.first().filter(|id| is_uuid(id)) else { continue };
        let (sent, ended) = (s.exchange.timing.sent_us, s.exchange.ended_us());
        let accepted = |g: &&Seen| g.is(200) && g.exchange.ended_us() <= sent;
        let here = users_of(run, app, id);
        let before = here.iter().any(|g| g.exchange.timing.sent_us < ended);
        let file = uploads(run, app).into_iter().find(|u| u.id == id);
        let elsewhere = run.transcript.apps.iter().filter(|other| other.label != app.label);
        if here.iter().copied().any(|g| accepted(&g)) && used_files_count(run, app) {
            served(s, file.as_ref().and_then(|f| f.file), n);
        } else if !before
            && elsewhere.clone().any(|other| users_of(run, other, id).iter().copied().any(|g| accepted(&g)))
        {
            refused(s, n, "other-app", 403, "file_access_denied");
        } else if !before
            && run.transcript.complete
            && elsewhere.clone().all(|other| users_of(run, other, id).is_empty())
        {
            let check = if file.is_some() { "unused" } else { "unknown" };
            refused(s, n, check, 404, "file_not_found");
        }
    }
}

/// Whether files of turns are looked at: where they are not offered they are ignored, and so never used.
fn used_files_count(run: &Run, app: &App) -> bool {
    takes(run, app, "image")
}

fn served(s: &Seen, file: Option<&super::form::Part>, n: &mut Notes) {
    if !n.expect(s.is(200), s, "used", "status 200 for a file that a message uses", || s.outcome_text()) {
        return;
    }
    let reply = s.exchange.reply.as_ref();
    if let (Some(file), Some(reply)) =
        (file.filter(|f| f.size == f.content.len() as u64), reply.filter(|r| !r.truncated()))
    {
        let bytes = reply.body.bytes();
        n.expect(
            bytes == file.content.as_slice(),
            s,
            "bytes",
            format!("the {} bytes uploaded", file.content.len()),
            || format!("{} bytes", bytes.len()),
        );
    }
    let disposition = reply.and_then(|r| r.header("content-disposition")).unwrap_or("");
    if s.route.param("as_attachment") == Some("true") {
        let attached = disposition.to_ascii_lowercase().starts_with("attachment");
        n.expect(attached, s, "attachment", "Content-Disposition attachment", || format!("`{disposition}`"));
    } else if let Some(mime) = file.and_then(|f| f.mime.as_deref()).filter(|m| *m != "text/html") {
        n.expect(s.media_type() == mime, s, "mime", format!("media type {mime}"), || s.media_type());
    }
}

fn no_preview(run: &Run, app: &App) -> Option<String> {
    let missing = run.calls(app, Endpoint::FilePreview).any(|s| s.has_key() && s.is(404) && s.json.is_none());
    missing.then(|| "the server has no GET /files/{id}/preview".to_owned())
}

/// Source: OpenAPI `MessageFileItem`.
fn message_files(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        for turn in &conversation.turns {
            let files = used(run.at(turn));
            if files.is_empty() || !files.iter().all(|(_, kind)| takes(run, app, kind)) {
                continue;
            }
            for (read, item) in run.stored(app, conversation, turn) {
                let rows = item.get("message_files").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                for (id, kind) in &files {
                    listed_file(read, rows, id, kind, n);
                }
            }
        }
    }
}

fn listed_file(read: &Seen, rows: &[Value], id: &str, kind: &str, n: &mut Notes) {
    let text = |row: &Value, member: &str| row.get(member).and_then(Value::as_str).unwrap_or("").to_owned();
    let row = rows.iter().find(|r| text(r, "upload_file_id") == id || text(r, "url").contains(id));
    if !n.expect(row.is_some(), read, "listed", format!("file {id} in message_files"), || {
        format!("{} files without it", rows.len())
    }) {
        return;
    }
    let Some(row) = row else { return };
    for (check, member, wanted) in [
        ("belongs-to", "belongs_to", "user"),
        ("transfer-method", "transfer_method", "local_file"),
        ("type", "type", kind),
        ("upload-file-id", "upload_file_id", id),
    ] {
        let shown = text(row, member);
        n.expect(shown == wanted, read, check, format!("{member} `{wanted}`"), || format!("`{shown}`"));
    }
}

/// Source: OpenAPI `StreamEventChatMessageFile`; real bug: langgenius/dify PR 22988, PR 32019, issue 36990.
fn message_file_events(run: &Run, app: &App, n: &mut Notes) {
    for s in run.on(app).filter(|s| s.endpoint().generates() && s.is(200) && !s.cut()) {
        let Some(stream) = &s.stream else { continue };
        let brings = used(s).iter().any(|(_, kind)| takes(run, app, kind));
        let mut events = stream.events.iter().filter(|e| e.name == "message_file").peekable();
        if events.peek().is_none() && !brings {
            continue;
        }
        let text = events.clone().find(|e| e.value.get("answer").is_some());
        n.expect(text.is_none(), s, "answer", "pieces of the answer in `message` events", || {
            format!("`message_file` events with `answer` ({})", stream.outline())
        });
        if let Some(event) = text {
            n.at_frame(event.frame);
        }
        for event in events.filter(|e| e.value.get("answer").is_none()) {
            let whole = ["id", "type", "url"].iter().all(|m| event.text(m).is_some_and(|t| !t.is_empty()));
            n.expect(whole, s, "members", "id, type and url", || clip(&event.value.to_string()));
            let by = event.text("belongs_to");
            n.expect(by == Some("assistant"), s, "belongs-to", "belongs_to `assistant`", || format!("{by:?}"));
        }
    }
}

/// Source: OpenAPI `EndUserDetail`; end user guide.
fn end_user(run: &Run, app: &App, n: &mut Notes) {
    let offered = |s: &&Seen| s.has_key() && s.exchange.reply.is_some() && !(s.is(404) && s.json.is_none());
    for s in run.calls(app, Endpoint::EndUser).filter(offered) {
        let Some(id) = s.route.ids.first() else { continue };
        let known = uploads(run, app).into_iter().find(|u| u.seen.text("created_by") == Some(id));
        if let Some(user) = known.and_then(|u| u.user) {
            if !n.expect(s.is(200), s, "status", "status 200 for who uploaded a file", || s.outcome_text()) {
                continue;
            }
            if let Some(json) = &s.json {
                n.fits(s, Document::EndUser, json);
            }
            n.expect(s.text("id") == Some(id), s, "id", format!("id {id}"), || format!("{:?}", s.member("id")));
            let names = [s.text("external_user_id"), s.text("session_id")];
            let told = names.contains(&Some(user)) && names.iter().flatten().all(|name| *name == user);
            n.expect(told, s, "user", format!("end user `{}`", clip(user)), || format!("{names:?}"));
        } else if run.transcript.complete && is_uuid(id) && !named_anywhere(run, id) {
            refused(s, n, "unknown", 404, "end_user_not_found");
        }
    }
}

/// Whether some answer holds this id as that of an end user.
fn named_anywhere(run: &Run, id: &str) -> bool {
    run.seen.iter().any(|s| s.text("created_by") == Some(id)) || made_row(run, id)
}

fn made_row(run: &Run, id: &str) -> bool {
    let mut lists = run.seen.iter().filter(|s| s.endpoint() == Endpoint::AppFeedbacks).filter_map(|s| s.json);
    lists.any(|json| {
        let rows = json.get("data").and_then(Value::as_array);
        rows.into_iter().flatten().any(|row| row.get("from_end_user_id").is_some_and(|user| user == id))
    })
}

fn no_end_users(run: &Run, app: &App) -> Option<String> {
    let missing = run.calls(app, Endpoint::EndUser).any(|s| s.has_key() && s.is(404));
    missing.then(|| "the server has no GET /end-users/{id}".to_owned())
}

fn no_file_turn(run: &Run, app: &App) -> Option<String> {
    no_images(run, app).or_else(|| made(run, app).is_empty().then(|| "no turn was accepted".to_owned()))
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "files.upload.shape",
        area: "files",
        level: Level::Must,
        title: "Upload answer",
        statement: "201 with id UUID, name, size == bytes sent, extension, mime_type, created_by, created_at.",
        source: "spec FileUploadResponse; src file.py",
        modes: ANY,
        tested: "Upload 1234 bytes as a.txt with user; compare size, name and type.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(upload_shape),
        absent: always,
    },
    Rule {
        id: "files.upload.errors",
        area: "files",
        level: Level::Must,
        title: "Upload errors",
        statement: "No file 400 no_file_uploaded; two files 400 too_many_files; too large 413 file_too_large; no MIME type 415 unsupported_file_type; slash in the name 400.",
        source: "spec 400/413/415; src",
        modes: ANY,
        tested: "Send each; two files under different and under the same part name; the size limit comes from GET /parameters (slow scenarios).",
        versions: Some(
            "0.15: bad_request_key_error without a file, slashes accepted; 0.15 and 1.12 do not notice a second part of the same name",
        ),
        load: Load::No,
        judge: Judge::Run(upload_errors),
        absent: always,
    },
    Rule {
        id: "files.owner-only",
        area: "files",
        level: Level::Must,
        title: "A file belongs to its uploader",
        statement: "A turn that refers to another user's upload_file_id is refused with 400; the uploader's own is accepted.",
        source: "guide end-user-identity.mdx (Files); spec",
        modes: MESSAGES,
        tested: "A uploads an image; B sends it in a turn: 400 invalid_param; A sends it: 200.",
        versions: Some("0.15.3 and 1.12.1 check the workspace only"),
        load: Load::No,
        judge: Judge::Run(owner_only),
        absent: no_file_turn,
    },
    Rule {
        id: "files.preview",
        area: "files",
        level: Level::Must,
        title: "Preview returns the bytes, within the app only",
        statement: "After use in a message: 200 with identical bytes and MIME type; as_attachment=true sets Content-Disposition attachment; an unused file is 404 file_not_found, another app's 403 file_access_denied.",
        source: "spec; src file_preview.py",
        modes: &[AppMode::Completion, AppMode::Chat, AppMode::AgentChat, AppMode::AdvancedChat],
        tested: "Upload, preview (404), send in a message, preview: bytes and type; as attachment; random UUID. No user check, by design of the route.",
        versions: Some(">= 1.7"),
        load: Load::No,
        judge: Judge::Run(preview),
        absent: no_preview,
    },
    Rule {
        id: "files.message-files",
        area: "files",
        level: Level::Should,
        title: "Used files are listed on the message",
        statement: "message_files of GET /messages has the file with belongs_to user, transfer_method, type and upload_file_id.",
        source: "spec MessageFileItem",
        modes: CHATS,
        tested: "Send an image in a turn, read the history; older versions are matched by the file id in url.",
        versions: Some("0.15.3 leaves upload_file_id out"),
        load: Load::No,
        judge: Judge::Run(message_files),
        absent: no_file_turn,
    },
    Rule {
        id: "agent.message-file",
        area: "agent",
        level: Level::Should,
        title: "message_file announces assistant files",
        statement: "message_file carries id, type, belongs_to == \"assistant\" and url, and no answer text; the text of a turn with files comes in message events.",
        source: "spec StreamEventChatMessageFile",
        modes: &[AppMode::Completion, AppMode::Chat, AppMode::AgentChat],
        tested: "Upload an image and send it with the query in streaming mode; every piece of text is a `message` event.",
        versions: Some("about 1.8 to 1.12.1 send every piece of such a turn as message_file"),
        load: Load::Sampled,
        judge: Judge::Run(message_file_events),
        absent: no_file_turn,
    },
    Rule {
        id: "end-user.lookup",
        area: "end-users",
        level: Level::Should,
        title: "End user lookup",
        statement: "created_by of an upload resolves to external_user_id or session_id == user; an unknown id is 404 end_user_not_found.",
        source: "spec EndUserDetail; guide end-user-identity.mdx",
        modes: ANY,
        tested: "Upload, take created_by, GET /end-users/{id}; random UUID.",
        versions: Some("after 1.12.1"),
        load: Load::No,
        judge: Judge::Run(end_user),
        absent: no_end_users,
    },
];
