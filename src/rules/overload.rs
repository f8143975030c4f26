//! Area `rate-limit`: what becomes of requests when there are too many.

use super::notes::Notes;
use super::rule::{ANY, Judge, Load, Rule, always};
use super::seen::Seen;
use crate::model::{FaultClass, Level};

/// How a connection let a request down, where it is the server's doing.
fn dropped(class: FaultClass) -> Option<&'static str> {
    match class {
        FaultClass::Connect | FaultClass::Truncated | FaultClass::Protocol => Some("dropped"),
        FaultClass::TimeoutConnect | FaultClass::TimeoutFirstByte | FaultClass::TimeoutFirstEvent => Some("silent"),
        FaultClass::TimeoutIdle | FaultClass::TimeoutTotal => Some("silent"),
        FaultClass::Tls | FaultClass::TimeoutTls | FaultClass::TooLarge | FaultClass::Cancelled => None,
    }
}

/// Source: error guide (what to retry). Pages with 502 and 504 come from gateways and are left out.
fn overload_json(s: &Seen, n: &mut Notes) {
    let gateway = matches!(s.exchange.status(), 502 | 504) && s.json.is_none();
    if !s.endpoint().generates() || !(s.sent.valid() || s.throttled()) || gateway {
        return;
    }
    if let Some(fault) = &s.exchange.fault {
        if let Some(check) = dropped(fault.class) {
            n.expect(false, s, check, "an answer, or a refusal as JSON", || fault.detail.clone());
        }
        return;
    }
    let status = s.exchange.status();
    if status == 429 || status >= 500 {
        let said = s.error_code().is_some_and(|code| code != "unknown");
        n.expect(said, s, "refusal", "a refusal as JSON with a code of its own", || {
            format!("{} `{}`", s.outcome_text(), s.media_type())
        });
    } else {
        n.expect(true, s, "answered", "an answer", String::new);
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[Rule {
    id: "rate.overload-json",
    area: "rate-limit",
    level: Level::Should,
    title: "Overload is reported, not dropped",
    statement: "A valid generation request is answered, or refused as JSON (429, 503), rather than reset or left hanging; no 5xx \"unknown\". Queueing is legal.",
    source: "guide errors.mdx (retry 429/500)",
    modes: ANY,
    tested: "Every generation of every run; 8 streams of one user at once; load runs.",
    versions: None,
    load: Load::Every,
    judge: Judge::Exchange(overload_json),
    absent: always,
}];
