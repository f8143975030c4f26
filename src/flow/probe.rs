//! Reading the first answers of a server: is it a Dify API, what is refused, which mode is it.

use crate::model::{AppMode, Exchange, FaultClass};
use serde_json::Value;

/// Why nothing can be run on a target. Every text says what was asked, what came, and what to do.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum DiscoveryError {
    /// No app was given.
    #[error("no API key was given; pass `--api-key KEY` or `--app MODE=KEY`, or set DIFY_API_KEY")]
    NoKey,
    /// No connection.
    #[error("{asked}: could not reach the server ({detail}); check the base URL and that the server runs")]
    Unreachable {
        /// Request.
        asked: String,
        /// The system's words.
        detail: String,
    },
    /// TLS failed.
    #[error(
        "{asked}: the TLS handshake failed ({detail}); check the certificate (SSL_CERT_FILE names a PEM file of authorities to trust), or whether the URL should start with http://"
    )]
    Tls {
        /// Request.
        asked: String,
        /// The library's words.
        detail: String,
    },
    /// No complete answer in time.
    #[error(
        "{asked}: no complete answer in time ({detail}); check the scheme (http or https) and how busy the server is, or allow more with --timeout"
    )]
    Slow {
        /// Request.
        asked: String,
        /// Which limit was passed.
        detail: String,
    },
    /// The API is elsewhere.
    #[error(
        "{asked}: the server redirects to {location} ({status}); redirects are not followed, so that the key goes nowhere else: give the final address as the base URL"
    )]
    Redirected {
        /// Request.
        asked: String,
        /// HTTP status.
        status: u16,
        /// Where to.
        location: String,
    },
    /// A connection, but no complete answer.
    #[error(
        "{asked}: no complete answer ({detail}); check that this is an HTTP server and that nothing on the way cuts it"
    )]
    NoAnswer {
        /// Request.
        asked: String,
        /// What cut it short.
        detail: String,
    },
    /// The key is not accepted.
    #[error(
        "{asked}: the key of app `{app}` is refused (401 {code}); check the key and that it belongs to this server"
    )]
    WrongKey {
        /// Request.
        asked: String,
        /// App label.
        app: String,
        /// Error code of the body.
        code: String,
    },
    /// The app may not be used.
    #[error("{asked}: app `{app}` may not be used ({status} {code}); enable its Service API and publish it")]
    Forbidden {
        /// Request.
        asked: String,
        /// App label.
        app: String,
        /// HTTP status.
        status: u16,
        /// Error code of the body.
        code: String,
    },
    /// Something else answers.
    #[error("{asked}: this is not a Dify API ({what}); the base URL ends in the API version, e.g. https://host/v1")]
    NotDify {
        /// Request.
        asked: String,
        /// What came instead.
        what: String,
    },
    /// The user and the server disagree.
    #[error("app `{app}` was given as {given}, but GET /info says {found}; correct `--app`")]
    ModeContradiction {
        /// App label.
        app: String,
        /// Mode that the user gave.
        given: AppMode,
        /// Mode that the server told.
        found: AppMode,
    },
    /// A mode from the future.
    #[error(
        "app `{app}` has mode `{found}`, which this version does not know; pass `--app MODE=KEY` with the nearest known mode"
    )]
    UnknownMode {
        /// App label.
        app: String,
        /// What the server told.
        found: String,
    },
    /// The server does not say and probing did not help.
    #[error("the server does not tell the mode of app `{app}` ({what}); pass `--app MODE=KEY`")]
    ModeNotTold {
        /// App label.
        app: String,
        /// What probing found.
        what: String,
    },
}

/// The JSON body of a successful answer.
pub(super) fn body_of(exchange: &Exchange, app: &str) -> Result<Value, DiscoveryError> {
    let asked = format!("{} {}", exchange.request.method, exchange.request.target);
    let Some(reply) = &exchange.reply else {
        return Err(fault(exchange, asked));
    };
    if exchange.fault.is_some() {
        return Err(fault(exchange, asked));
    }
    let body: Option<Value> = serde_json::from_slice(&reply.body.bytes()).ok();
    let code = body.as_ref().and_then(|b| b.get("code")).and_then(Value::as_str).map(str::to_owned);
    match (reply.status, body, code) {
        (200, Some(Value::Object(body)), _) => Ok(Value::Object(body)),
        (401, Some(_), code) => {
            Err(DiscoveryError::WrongKey { asked, app: app.to_owned(), code: code.unwrap_or_default() })
        }
        // A code is what a Dify error has; a gateway's page has none.
        (status, Some(_), Some(code)) => Err(DiscoveryError::Forbidden { asked, app: app.to_owned(), status, code }),
        (301 | 302 | 303 | 307 | 308, ..) if reply.header("location").is_some() => {
            let location = reply.header("location").unwrap_or_default().to_owned();
            Err(DiscoveryError::Redirected { asked, status: reply.status, location })
        }
        (status, ..) => {
            let media = reply.media_type();
            let media = if media.is_empty() { "no content type".to_owned() } else { media };
            Err(DiscoveryError::NotDify { asked, what: format!("status {status} with {media}") })
        }
    }
}

fn fault(exchange: &Exchange, asked: String) -> DiscoveryError {
    let Some(fault) = &exchange.fault else {
        return DiscoveryError::NoAnswer { asked, detail: "no response".to_owned() };
    };
    let detail = fault.detail.clone();
    match fault.class {
        FaultClass::Connect | FaultClass::TimeoutConnect => DiscoveryError::Unreachable { asked, detail },
        FaultClass::Tls | FaultClass::TimeoutTls => DiscoveryError::Tls { asked, detail },
        FaultClass::TimeoutFirstByte
        | FaultClass::TimeoutFirstEvent
        | FaultClass::TimeoutIdle
        | FaultClass::TimeoutTotal => DiscoveryError::Slow { asked, detail },
        FaultClass::TooLarge => DiscoveryError::NotDify { asked, what: detail },
        FaultClass::Truncated | FaultClass::Protocol | FaultClass::Cancelled => {
            DiscoveryError::NoAnswer { asked, detail }
        }
    }
}

/// The mode of an app by what it was given as and by what `GET /info` tells; `None` where neither says.
pub(super) fn told_mode(info: &Value, given: Option<AppMode>, app: &str) -> Result<Option<AppMode>, DiscoveryError> {
    let Some(told) = info.get("mode").and_then(Value::as_str) else {
        return Ok(given);
    };
    match (AppMode::parse(told), given) {
        (Some(found), Some(given)) if found != given => {
            Err(DiscoveryError::ModeContradiction { app: app.to_owned(), given, found })
        }
        (Some(found), _) => Ok(Some(found)),
        (None, Some(given)) => Ok(Some(given)),
        (None, None) => Err(DiscoveryError::UnknownMode { app: app.to_owned(), found: told.to_owned() }),
    }
}

/// Error code of an answer, empty where it has none.
pub(super) fn code(exchange: &Exchange) -> String {
    let body: Option<Value> = exchange.reply.as_ref().and_then(|r| serde_json::from_slice(&r.body.bytes()).ok());
    body.and_then(|b| b.get("code").and_then(Value::as_str).map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Body, Fault, Origin, Reply, Request, Timing};
    use serde_json::json;

    fn answer(status: u16, media: &str, body: &str) -> Exchange {
        Exchange {
            id: 1,
            app: "chat".into(),
            origin: Origin::default(),
            request: Request { method: "GET".into(), target: "/v1/info".into(), headers: vec![], body: None },
            reply: Some(Reply {
                http_version: "HTTP/1.1".into(),
                status,
                headers: vec![("content-type".into(), media.into())],
                body: Body::Text(body.into()),
                body_bytes: 0,
                reads: vec![],
            }),
            fault: None,
            timing: Timing::default(),
        }
    }

    fn error(exchange: &Exchange) -> String {
        body_of(exchange, "chat").unwrap_err().to_string()
    }

    #[test]
    fn refusals_say_what_was_asked_what_came_and_what_to_do() {
        let wrong = answer(401, "application/json", r#"{"code": "unauthorized"}"#);
        assert_eq!(
            error(&wrong),
            "GET /v1/info: the key of app `chat` is refused (401 unauthorized); \
             check the key and that it belongs to this server"
        );
        let disabled = answer(403, "application/json", r#"{"code": "forbidden"}"#);
        assert!(error(&disabled).contains("may not be used (403 forbidden)"));
        let page = answer(200, "text/html", "<html>");
        assert!(error(&page).contains("not a Dify API (status 200 with text/html)"));
        let mut moved = answer(302, "text/html", "");
        moved.reply.as_mut().unwrap().headers.push(("location".into(), "https://other/".into()));
        assert!(error(&moved).contains("redirects to https://other/ (302); redirects are not followed"));
        let lost = answer(404, "text/html", "<html>");
        assert!(error(&lost).contains("not a Dify API (status 404 with text/html)"));
    }

    #[test]
    fn faults_are_told_apart() {
        let with =
            |class| Exchange { reply: None, fault: Some(Fault { class, detail: "why".into() }), ..answer(0, "", "") };
        assert!(error(&with(FaultClass::Connect)).contains("could not reach the server (why)"));
        assert!(error(&with(FaultClass::Tls)).contains("TLS handshake failed (why)"));
        assert!(error(&with(FaultClass::Protocol)).contains("no complete answer (why)"));
        assert!(error(&with(FaultClass::TimeoutTotal)).contains("no complete answer in time (why)"));
        assert!(error(&with(FaultClass::TooLarge)).contains("not a Dify API (why)"));
    }

    #[test]
    fn a_given_mode_must_not_contradict_the_server() {
        let chat = json!({"mode": "chat"});
        assert_eq!(told_mode(&chat, None, "x"), Ok(Some(AppMode::Chat)));
        assert_eq!(told_mode(&chat, Some(AppMode::Chat), "x"), Ok(Some(AppMode::Chat)));
        let message = told_mode(&chat, Some(AppMode::Workflow), "x").unwrap_err().to_string();
        assert_eq!(message, "app `x` was given as workflow, but GET /info says chat; correct `--app`");
        assert_eq!(told_mode(&json!({}), Some(AppMode::Agent), "x"), Ok(Some(AppMode::Agent)));
        assert_eq!(told_mode(&json!({}), None, "x"), Ok(None));
        assert!(told_mode(&json!({"mode": "hologram"}), None, "x").unwrap_err().to_string().contains("`hologram`"));
    }
}
