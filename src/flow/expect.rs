//! What a scenario expects of a step's exchange.

use super::document::Document;
use super::{path, value};
use crate::metrics::{Metric, sample};
use crate::model::{AppMode, Exchange};
use crate::scenario::ast::{Check, Test};
use crate::scenario::events;
use serde_json::{Value, json};
use std::time::Duration;

/// What a check looks at.
pub struct Subject<'a> {
    /// The exchange.
    pub exchange: &'a Exchange,
    /// Its response document.
    pub document: &'a Document<'a>,
    /// Mode of the app, where known.
    pub mode: Option<AppMode>,
}

/// Whether an exchange is as expected; `scope` holds the names that templates see.
///
/// # Errors
/// One sentence with what was expected and what came.
pub fn evaluate(check: &Check, subject: &Subject<'_>, scope: &Value) -> Result<(), String> {
    let Subject { exchange, document, mode } = *subject;
    match check {
        Check::Status(wanted) => status(wanted, exchange),
        Check::Header { name, test } => header(name, test, exchange, scope),
        Check::Json { at, test } => json_at(at, test, document, scope),
        Check::Answer(test) => {
            value::hold(test, document.member("answer"), scope).map_err(|e| format!("the answer: {e}"))
        }
        Check::Events(pattern) => in_order(pattern, document.event_names().as_deref()),
        Check::Timing { of, max } => timing(of, *max, exchange, mode),
    }
}

/// Whether a check has templates, and so depends on names.
pub(super) fn reads_names(check: &Check) -> bool {
    match check {
        Check::Header { test, .. } | Check::Json { test, .. } | Check::Answer(test) => value::reads_names(test),
        Check::Status(_) | Check::Events(_) | Check::Timing { .. } => false,
    }
}

fn status(wanted: &[u16], exchange: &Exchange) -> Result<(), String> {
    let list = || wanted.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
    match (&exchange.reply, &exchange.fault) {
        (Some(reply), _) if wanted.contains(&reply.status) => Ok(()),
        (Some(reply), _) => Err(format!("expected status {}, got {}{}", list(), reply.status, code_of(reply))),
        (None, Some(fault)) => Err(format!("expected status {}, got no response: {}", list(), fault.detail)),
        (None, None) => Err(format!("expected status {}, got no response", list())),
    }
}

/// ` (code: message)` of an error body, where there is one.
fn code_of(reply: &crate::model::Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body.bytes()).unwrap_or(Value::Null);
    match (body.get("code").and_then(Value::as_str), body.get("message").and_then(Value::as_str)) {
        (Some(code), Some(message)) => {
            let first: String = message.lines().next().unwrap_or("").chars().take(120).collect();
            format!(" ({code}: {first})")
        }
        (Some(code), None) => format!(" ({code})"),
        _ => String::new(),
    }
}

fn header(name: &str, test: &Test, exchange: &Exchange, scope: &Value) -> Result<(), String> {
    let text = exchange.reply.as_ref().and_then(|r| r.header(name)).map(|text| json!(text));
    value::hold(test, text.as_ref(), scope).map_err(|e| format!("header `{name}`: {e}"))
}

/// Every selected value must pass; a path that selects nothing passes only `exists: false`.
fn json_at(at: &str, test: &Test, document: &Document<'_>, scope: &Value) -> Result<(), String> {
    let place = |e: String| format!("`{at}`: {e}");
    if let Some(name) = path::member(at) {
        return value::hold(test, document.member(name), scope).map_err(place);
    }
    let nodes = path::select(document.whole(), at)?;
    if nodes.is_empty() {
        return value::hold(test, None, scope).map_err(place);
    }
    nodes.into_iter().try_for_each(|node| value::hold(test, Some(node), scope)).map_err(place)
}

fn in_order(pattern: &str, names: Option<&[&str]>) -> Result<(), String> {
    let Some(names) = names else {
        return Err(format!("expected events `{pattern}`, got no event stream"));
    };
    match events::matches(pattern, names) {
        true => Ok(()),
        false => Err(format!("expected events `{pattern}`, got `{}`", runs(names))),
    }
}

/// Event names with repetitions counted: `message x12 message_end`.
fn runs(names: &[&str]) -> String {
    let mut runs: Vec<(&str, u32)> = Vec::new();
    for name in names {
        match runs.last_mut() {
            Some((last, count)) if last == name => *count += 1,
            _ => runs.push((name, 1)),
        }
    }
    let show = |(name, count): &(&str, u32)| if *count == 1 { (*name).to_owned() } else { format!("{name} x{count}") };
    runs.iter().map(show).collect::<Vec<_>>().join(" ")
}

fn timing(of: &str, max: Duration, exchange: &Exchange, mode: Option<AppMode>) -> Result<(), String> {
    let Some(took) = timing_of(of, exchange, mode)? else {
        return Err(format!("expected {of} of at most {max:?}, but there is none in this exchange"));
    };
    match took <= max {
        true => Ok(()),
        false => Err(format!("expected {of} of at most {max:?}, got {took:?}")),
    }
}

/// One duration of an exchange, by its metric name or `connect` or `tls`; `None` where it has none. Requests that
/// generate nothing have `ttfb` and `e2e` only. Of `icl` it is the longest.
///
/// # Errors
/// An unknown name.
pub fn timing_of(of: &str, exchange: &Exchange, mode: Option<AppMode>) -> Result<Option<Duration>, String> {
    let timing = &exchange.timing;
    let micros = |us: Option<u64>| Ok(us.map(Duration::from_micros));
    match of {
        "connect" => return micros(timing.connect_us),
        "tls" => return micros(timing.tls_us),
        _ => {}
    }
    let Some(metric) = Metric::parse(of) else {
        return Err(format!("`{of}` is not a time of one exchange"));
    };
    let Some(sample) = sample(exchange, mode) else {
        return micros(match metric {
            Metric::Ttfb => timing.head_us,
            Metric::E2e => exchange.fault.is_none().then_some(timing.end_us),
            _ => None,
        });
    };
    micros(match metric {
        Metric::SchedLag => sample.sched_lag_us,
        Metric::Ttfb => sample.ttfb_us,
        Metric::Ttfe => sample.ttfe_us,
        Metric::Ttft => sample.ttft_us,
        Metric::Icl => sample.gaps_us.iter().copied().max(),
        Metric::Tpot => sample.tpot_us(),
        Metric::LastContent => sample.last_content_us,
        Metric::E2e => sample.outcome.is_ok().then_some(sample.e2e_us),
        Metric::E2eSched => sample.outcome.is_ok().then_some(sample.e2e_sched_us).flatten(),
        Metric::ServerLatency => sample.server_latency_us,
        Metric::ServerTtft => sample.server_ttft_us,
        Metric::Overhead => sample.overhead_us(),
        Metric::Iteration => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Observed;
    use crate::model::{Body, Fault, FaultClass, Origin, Reply, Request, Timing};

    fn exchange(status: u16, body: &str) -> Exchange {
        Exchange {
            id: 1,
            app: "chat".into(),
            origin: Origin::default(),
            request: Request { method: "GET".into(), target: "/v1/info".into(), headers: vec![], body: None },
            reply: Some(Reply {
                http_version: "HTTP/1.1".into(),
                status,
                headers: vec![("Content-Type".into(), "application/json".into())],
                body: Body::Text(body.into()),
                body_bytes: body.len() as u64,
                reads: vec![],
            }),
            fault: None,
            timing: Timing { head_us: Some(900), end_us: 2_000, ..Timing::default() },
        }
    }

    fn verdict(check: Check, exchange: &Exchange) -> Result<(), String> {
        let observed = Observed::new(exchange.clone(), None);
        let document = Document::new(&observed, None);
        let subject = Subject { exchange, document: &document, mode: None };
        evaluate(&check, &subject, &json!({}))
    }

    #[test]
    fn a_wrong_status_is_told_with_the_servers_error() {
        let ok = exchange(200, "{}");
        assert_eq!(verdict(Check::Status(vec![200, 204]), &ok), Ok(()));
        let refused = exchange(400, r#"{"code": "invalid_param", "message": "no\nmore", "status": 400}"#);
        let message = verdict(Check::Status(vec![200, 204]), &refused).unwrap_err();
        assert_eq!(message, "expected status 200 or 204, got 400 (invalid_param: no)");
    }

    #[test]
    fn no_response_is_told_with_its_cause() {
        let fault = Fault { class: FaultClass::Connect, detail: "connection refused".into() };
        let dead = Exchange { reply: None, fault: Some(fault), ..exchange(0, "") };
        let message = verdict(Check::Status(vec![200]), &dead).unwrap_err();
        assert_eq!(message, "expected status 200, got no response: connection refused");
    }

    #[test]
    fn every_selected_value_must_pass() {
        let body = exchange(200, r#"{"data": [{"id": 1}, {"id": "x"}]}"#);
        let all = |test| Check::Json { at: "$.data[*].id".into(), test };
        assert_eq!(verdict(all(Test::Exists(true)), &body), Ok(()));
        let message = verdict(all(Test::Is("integer".into())), &body).unwrap_err();
        assert_eq!(message, "`$.data[*].id`: expected integer, got \"x\"");
        let absent = Check::Json { at: "$.gone".into(), test: Test::Exists(false) };
        assert_eq!(verdict(absent, &body), Ok(()));
    }

    #[test]
    fn headers_are_found_in_any_case() {
        let check = Check::Header { name: "content-type".into(), test: Test::Contains(json!("json")) };
        assert_eq!(verdict(check, &exchange(200, "{}")), Ok(()));
        let absent = Check::Header { name: "x-version".into(), test: Test::Exists(false) };
        assert_eq!(verdict(absent, &exchange(200, "{}")), Ok(()));
    }

    #[test]
    fn events_are_matched_in_order_as_whole_words() {
        let check = |pattern: &str, names: &[&str]| in_order(pattern, Some(names));
        let pattern = "(message | agent_message)+ message_end";
        assert_eq!(check(pattern, &["message", "agent_message", "message_end"]), Ok(()));
        assert_eq!(
            check(pattern, &["message", "message", "error"]).unwrap_err(),
            format!("expected events `{pattern}`, got `message x2 error`")
        );
        assert!(check("message", &["message_end"]).is_err());
        assert!(in_order("message", None).unwrap_err().contains("no event stream"));
    }

    #[test]
    fn times_are_compared_and_a_missing_time_is_not_a_pass() {
        let check = |of: &str, ms| Check::Timing { of: of.into(), max: Duration::from_millis(ms) };
        let quick = exchange(200, "{}");
        assert_eq!(verdict(check("e2e", 2), &quick), Ok(()));
        assert_eq!(verdict(check("e2e", 1), &quick).unwrap_err(), "expected e2e of at most 1ms, got 2ms");
        assert!(verdict(check("ttft", 1000), &quick).unwrap_err().contains("there is none"));
        assert!(verdict(check("tea", 1000), &quick).is_err());
    }
}
