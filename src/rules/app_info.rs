//! Areas `app-info` and `http`: what an app says about itself, and media types.

use super::notes::Notes;
use super::rule::{ANY, Judge, Load, Rule, always};
use super::seen::Seen;
use crate::model::{AppMode, Endpoint, Level};
use crate::schema::Document;
use serde_json::Value;
use std::collections::HashSet;

/// Source: OpenAPI `GET /info`.
fn info_shape(s: &Seen, n: &mut Notes) {
    let Some(json) = s.json.filter(|_| s.endpoint() == Endpoint::Info && s.is(200)) else { return };
    n.fits(s, Document::Info, json);
    let mode = json.get("mode").and_then(Value::as_str);
    let legal = mode.is_some_and(|m| AppMode::ALL.iter().any(|a| a.as_str() == m));
    n.expect(legal, s, "mode", "one of the six app modes in `mode`", || format!("{:?}", json.get("mode")));
    if let (Some(told), Some(known)) = (mode.filter(|_| legal), s.app.mode) {
        n.expect(told == known.as_str(), s, "mode-of-app", format!("mode `{known}`"), || format!("mode `{told}`"));
    }
    n.expect(json.get("author_name").is_some(), s, "author-name", "an `author_name` member (may be null)", || {
        "none".to_owned()
    });
}

/// Source: OpenAPI `GET /parameters`.
fn parameters_shape(s: &Seen, n: &mut Notes) {
    let Some(json) = s.json.filter(|_| s.endpoint() == Endpoint::Parameters && s.is(200)) else { return };
    n.fits(s, Document::Parameters, json);
    let form = json.get("user_input_form").and_then(Value::as_array);
    let mut names = HashSet::new();
    for item in form.into_iter().flatten() {
        let wrapper = item.as_object().filter(|o| o.len() == 1);
        let control = wrapper.and_then(|o| o.values().next());
        let variable = control.and_then(|c| c.get("variable")).and_then(Value::as_str);
        n.expect(
            variable.is_some_and(|v| names.insert(v)),
            s,
            "form",
            "one-key wrappers with unique `variable` names",
            || item.to_string(),
        );
    }
}

/// Source: OpenAPI: JSON answers. Unknown routes and malformed path ids (HTML 404), redirects and 204 are left out.
fn content_type_json(s: &Seen, n: &mut Notes) {
    let status = s.exchange.status();
    let route_404 = status == 404 && s.json.is_none();
    let gateway = matches!(status, 502..=504) && s.json.is_none();
    let binary = matches!(s.endpoint(), Endpoint::FilePreview | Endpoint::TextToAudio | Endpoint::Other);
    let bodiless = matches!(status, 0 | 204 | 300..=399) || s.exchange.reply.as_ref().is_none_or(|r| r.body_bytes == 0);
    if s.stream.is_some() || route_404 || gateway || binary || bodiless {
        return;
    }
    let json = s.exchange.reply.as_ref().is_some_and(|r| r.has_media_type("application/json"));
    n.expect(json, s, "media-type", "media type application/json", || format!("`{}`", s.media_type()));
}

/// Source: OpenAPI `AppMetaResponse`, `WebAppSettingsResponse`. An app without a site answers 403.
fn meta_site(s: &Seen, n: &mut Notes) {
    let document = match s.endpoint() {
        Endpoint::Meta => Document::Meta,
        Endpoint::Site => Document::Site,
        _ => return,
    };
    let missing_route = s.is(404) && s.json.is_none();
    let no_site = s.endpoint() == Endpoint::Site && s.is(403);
    if !s.has_key() || s.exchange.reply.is_none() || missing_route {
        return;
    }
    if n.expect(s.is(200) || no_site, s, "status", "status 200", || s.outcome_text())
        && let Some(json) = s.json.filter(|_| s.is(200))
    {
        n.fits(s, document, json);
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "info.shape",
        area: "app-info",
        level: Level::Must,
        title: "GET /info",
        statement: "name string, description, tags[] strings, mode in the six modes, author_name (nullable).",
        source: "spec AppInfoResponse; src app.py",
        modes: ANY,
        tested: "Type/enum; the harness picks the event machine from mode.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Exchange(info_shape),
        absent: always,
    },
    Rule {
        id: "parameters.shape",
        area: "app-info",
        level: Level::Must,
        title: "GET /parameters",
        statement: "All feature objects with boolean enabled; user_input_form is a list of one-key wrappers with variable names unique; file_upload and system_parameters numbers.",
        source: "spec AppParametersResponse; src parameters_mapping",
        modes: ANY,
        tested: "Shape; unique `variable`; required boolean.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(parameters_shape),
        absent: always,
    },
    Rule {
        id: "meta-site.shape",
        area: "app-info",
        level: Level::Should,
        title: "GET /meta and /site",
        statement: "/meta: tool_icons object of url or {background, content}; /site: title, theme flags, default_language (colour, description, copyright and privacy policy may be null); 403 without a site.",
        source: "spec AppMetaResponse, WebAppSettingsResponse",
        modes: ANY,
        tested: "Type check.",
        versions: Some("/site is not in 0.15"),
        load: Load::No,
        judge: Judge::Exchange(meta_site),
        absent: always,
    },
    Rule {
        id: "http.content-type.json",
        area: "http",
        level: Level::Must,
        title: "JSON answers say so",
        statement: "Non-stream bodies have media type application/json (204 empty).",
        source: "spec",
        modes: ANY,
        tested: "Header check.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(content_type_json),
        absent: always,
    },
];
