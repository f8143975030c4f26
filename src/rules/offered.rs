//! What an app says it offers, and which messages and files its exchanges made.

use super::form::Part;
use super::run::Run;
use super::seen::Seen;
use crate::model::{App, Endpoint};
use serde_json::Value;

/// The latest answer of `GET /parameters`.
pub(super) fn parameters<'r>(run: &'r Run, app: &'r App) -> Option<&'r Value> {
    let answers = run.calls(app, Endpoint::Parameters).filter(|s| s.is(200) && s.has_key());
    answers.filter_map(|s| s.json).last()
}

/// Whether a feature is on, where the app says it.
pub(super) fn enabled(run: &Run, app: &App, feature: &str) -> Option<bool> {
    parameters(run, app)?.get(feature)?.get("enabled")?.as_bool()
}

/// Why nothing shows a feature that is off; for `absent`.
pub(super) fn off(run: &Run, app: &App, feature: &str) -> Option<String> {
    (enabled(run, app, feature) != Some(true))
        .then(|| format!("the app does not offer it (`{feature}` of /parameters)"))
}

/// Whether turns may bring uploaded files of this type (`image`, ..).
pub(super) fn takes(run: &Run, app: &App, kind: &str) -> bool {
    let Some(upload) = parameters(run, app).and_then(|p| p.get("file_upload")) else { return false };
    let lists = |member: &str, word: &str| {
        upload.get(member).and_then(Value::as_array).is_some_and(|list| list.iter().any(|v| v == word))
    };
    upload.get("enabled") == Some(&Value::Bool(true))
        && lists("allowed_file_types", kind)
        && lists("allowed_file_upload_methods", "local_file")
}

/// For `absent` of rules that need a turn with an image.
pub(super) fn no_images(run: &Run, app: &App) -> Option<String> {
    (!takes(run, app, "image")).then(|| "the app takes no uploaded images (`file_upload` of /parameters)".to_owned())
}

/// A message that an accepted generation made.
pub(super) struct Made<'r, 't> {
    /// The generation.
    pub seen: &'r Seen<'t>,
    /// Message id.
    pub id: &'r str,
    /// End user.
    pub user: &'r str,
}

/// All messages that were made on an app.
pub(super) fn made<'r, 't>(run: &'r Run<'t>, app: &'r App) -> Vec<Made<'r, 't>> {
    let accepted = run.on(app).filter(|s| s.endpoint().generates() && s.is(200) && s.has_key());
    accepted.filter_map(|s| Some(Made { seen: s, id: s.text("message_id")?, user: s.sent.user.as_deref()? })).collect()
}

/// An upload that was accepted.
pub(super) struct Uploaded<'r, 't> {
    /// The upload.
    pub seen: &'r Seen<'t>,
    /// Id of the file.
    pub id: &'r str,
    /// End user, where the form was seen and named one.
    pub user: Option<&'r str>,
    /// The file, where the form was seen.
    pub file: Option<&'r Part>,
}

/// All files that were uploaded with the key of an app.
pub(super) fn uploads<'r, 't>(run: &'r Run<'t>, app: &'r App) -> Vec<Uploaded<'r, 't>> {
    let accepted = run.calls(app, Endpoint::FileUpload).filter(|s| s.succeeded() && s.has_key());
    let uploaded = accepted.filter_map(|s| {
        let form = s.sent.form.as_ref();
        let user = form.and_then(|f| f.field("user")).filter(|u| !u.is_empty());
        Some(Uploaded { seen: s, id: s.text("id")?, user, file: form.and_then(|f| f.files().next()) })
    });
    uploaded.collect()
}

/// Uploaded files that a generation request refers to: file id and type.
pub(super) fn used<'s>(s: &'s Seen) -> Vec<(&'s str, &'s str)> {
    let files = s.sent.member("files").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let text = |file: &'s Value, member: &str| file.get(member).and_then(Value::as_str);
    let local = files.iter().filter(|f| text(f, "transfer_method") == Some("local_file"));
    local.filter_map(|f| Some((text(f, "upload_file_id")?, text(f, "type")?))).collect()
}

/// Whether an error of the model behind a feature keeps it from being judged.
pub(super) fn provider_failed(s: &Seen) -> bool {
    s.error_code().is_some_and(|code| {
        code.starts_with("provider_")
            || matches!(code, "model_currently_not_support" | "completion_request_error" | "app_unavailable")
    })
}
