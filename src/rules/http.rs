//! Area `http`: the version a server tells, and preflight requests of browsers.

use super::notes::Notes;
use super::rule::{ANY, Judge, Load, Rule, always};
use super::run::{Run, base_path};
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, Endpoint, Level, Route};
use serde_json::Value;

fn reply_header<'s>(s: &'s Seen, name: &str) -> Option<&'s str> {
    s.exchange.reply.as_ref()?.header(name)
}

fn index<'r, 't>(run: &'r Run<'t>, app: &'r App) -> impl Iterator<Item = &'r Seen<'t>> {
    let path = format!("{}/", base_path(&run.transcript.base_url).trim_end_matches('/'));
    let asked = move |s: &&Seen| s.exchange.request.method == "GET" && s.exchange.request.path() == path;
    run.on(app).filter(asked).filter(|s| s.exchange.reply.is_some())
}

fn server_version<'s>(s: &'s Seen) -> Option<&'s str> {
    s.json?.get("server_version").and_then(Value::as_str)
}

/// Source: Dify source, `index.py` and `ext_app_metrics.py`. A server that says nothing of itself is not judged.
fn version_header(run: &Run, app: &App, n: &mut Notes) {
    let mut told = run.on(app).filter_map(|s| reply_header(s, "x-version").map(|v| (s, v)));
    let first = told.next();
    if let Some((_, version)) = first {
        let other = told.find(|(_, v)| *v != version);
        let at = other.or(first).map_or(version, |(_, v)| v);
        if let Some((s, _)) = other.or(first) {
            n.expect(other.is_none(), s, "constant", format!("X-Version {version} everywhere"), || clip(at));
        }
    }
    for s in index(run, app) {
        match (server_version(s), first) {
            (Some(version), Some((_, header))) => {
                n.expect(version == header, s, "agree", format!("server_version {header}, as X-Version says"), || {
                    format!("server_version {}", clip(version))
                });
            }
            (Some(version), None) => {
                n.expect(false, s, "header", format!("X-Version {}", clip(version)), || "no X-Version".to_owned());
            }
            (None, Some((_, header))) => {
                n.expect(false, s, "index", format!("server_version {header}"), || s.outcome_text());
            }
            (None, None) => {}
        }
    }
}

fn tells_no_version(_: &Run, _: &App) -> Option<String> {
    Some("the server does not tell its version".to_owned())
}

/// Whether a header that is a list holds this word, in any case.
fn lists(s: &Seen, header: &str, word: &str) -> bool {
    let value = reply_header(s, header).unwrap_or("");
    value.split(',').any(|w| w.trim().eq_ignore_ascii_case(word))
}

/// Source: Fetch standard, CORS-preflight fetch; `*` does not stand for Authorization there.
fn cors(run: &Run, app: &App, n: &mut Notes) {
    for s in run.on(app).filter(|s| s.exchange.request.method == "OPTIONS" && s.exchange.reply.is_some()) {
        let request = &s.exchange.request;
        let method = request.header("access-control-request-method");
        let Some(method) = method.filter(|_| request.header("origin").is_some()) else { continue };
        let route = Route::of(method, &request.target, base_path(&run.transcript.base_url));
        if route.endpoint == Endpoint::Other {
            continue;
        }
        let allowed = s.is(200) || s.is(204);
        if !n.expect(allowed, s, "status", "status 200 or 204", || s.outcome_text()) {
            continue;
        }
        let show = |header: &str| format!("{header}: {}", clip(reply_header(s, header).unwrap_or("absent")));
        let origin = reply_header(s, "access-control-allow-origin").is_some();
        n.expect(origin, s, "origin", "an Access-Control-Allow-Origin", || show("access-control-allow-origin"));
        let methods = "access-control-allow-methods";
        let open = lists(s, methods, method) || lists(s, methods, "*");
        n.expect(open, s, "methods", format!("{method} among the allowed methods"), || show(methods));
        let wanted = request.header("access-control-request-headers").unwrap_or("").to_ascii_lowercase();
        if wanted.split(',').any(|h| h.trim() == "authorization") {
            let headers = "access-control-allow-headers";
            let open = lists(s, headers, "authorization");
            n.expect(open, s, "headers", "Authorization among the allowed headers", || show(headers));
        }
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "http.version-header",
        area: "http",
        level: Level::May,
        title: "Version is discoverable",
        statement: "GET /v1/ returns server_version and responses carry X-Version; both agree and select the conformance profile.",
        source: "src index.py, ext_app_metrics.py",
        modes: ANY,
        tested: "GET /v1/ once; compare its server_version with the X-Version of every answer.",
        versions: Some("1.12.1 has no GET /v1/"),
        load: Load::Sampled,
        judge: Judge::Run(version_header),
        absent: tells_no_version,
    },
    Rule {
        id: "http.cors",
        area: "http",
        level: Level::May,
        title: "CORS preflight",
        statement: "Preflight answers 200/204 with allow-methods covering the method and Authorization in allow-headers, without needing the key.",
        source: "src ext_blueprints.py:init_app",
        modes: ANY,
        tested: "OPTIONS with Origin and Access-Control-Request-Method and -Headers, without a key.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(cors),
        absent: always,
    },
];
