//! Area `usage`: tokens, prices and latency that the server reports.

use super::notes::Notes;
use super::rule::{Judge, Load, MESSAGES, Rule, always};
use super::run::Run;
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, AppMode, Level};
use serde_json::{Map, Value};

/// Members of `usage` with whether they are counts, decimals or numbers. Source: OpenAPI `Usage`.
const COUNTS: &[&str] = &["prompt_tokens", "completion_tokens", "total_tokens"];
const DECIMALS: &[&str] = &[
    "prompt_unit_price",
    "prompt_price_unit",
    "prompt_price",
    "completion_unit_price",
    "completion_price_unit",
    "completion_price",
    "total_price",
];

/// `metadata.usage` of a finished generation: (usage, where it should have been found).
fn usage<'s>(s: &'s Seen) -> Option<Option<&'s Map<String, Value>>> {
    if !s.endpoint().generates() || !s.is(200) || s.app.mode == Some(AppMode::Workflow) {
        return None;
    }
    let metadata = metadata(s)?;
    Some(metadata.and_then(|m| m.get("usage")).and_then(Value::as_object))
}

/// `metadata` of an answer: (the answer, the member).
fn metadata<'s>(s: &'s Seen) -> Option<Option<&'s Value>> {
    let holder = match &s.stream {
        Some(stream) => &stream.find("message_end")?.value,
        None => s.json.filter(|j| j.get("answer").is_some())?,
    };
    Some(holder.get("metadata"))
}

fn decimal(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::String(text) => text.parse::<f64>().ok().filter(|v| v.is_finite()),
        Value::Number(number) => number.as_f64(),
        _ => None,
    }
}

/// Source: OpenAPI `Usage`; real bug: langgenius/dify issue 8544.
fn present(s: &Seen, n: &mut Notes) {
    let Some(usage) = usage(s) else { return };
    let Some(usage) = usage else {
        n.expect(false, s, "absent", "metadata.usage", || "no metadata.usage".to_owned());
        return;
    };
    let bad_count = COUNTS.iter().find(|m| !usage.get(**m).is_some_and(Value::is_u64));
    let lacking = DECIMALS.iter().chain(&["currency", "latency"]).find(|m| usage.get(**m).is_none_or(Value::is_null));
    let number = usage.get("latency").is_some_and(Value::is_number);
    let text = usage.get("currency").is_some_and(Value::is_string);
    let fault = bad_count.or(lacking).copied().or((!number).then_some("latency")).or((!text).then_some("currency"));
    n.expect(fault.is_none(), s, "member", "the 12 documented members with their types", || {
        let member = fault.unwrap_or("");
        format!("`{member}`: {}", usage.get(member).map_or("absent".to_owned(), Value::to_string))
    });
}

/// Source: OpenAPI `Usage`.
fn sum(s: &Seen, n: &mut Notes) {
    let Some(Some(usage)) = usage(s) else { return };
    let count = |m: &str| usage.get(m).and_then(Value::as_u64);
    if let (Some(prompt), Some(completion), Some(total)) =
        (count("prompt_tokens"), count("completion_tokens"), count("total_tokens"))
    {
        n.expect(
            total >= prompt + completion,
            s,
            "tokens",
            format_args!("total_tokens {}", prompt + completion),
            || total.to_string(),
        );
        // Reasoning or cached tokens of a provider may come on top.
        n.advise(
            total <= prompt + completion,
            s,
            "tokens-extra",
            format_args!("total_tokens {}", prompt + completion),
            || total.to_string(),
        );
    }
    spent(s, usage, n);
    let price = |m: &str| decimal(usage.get(m));
    if let (Some(prompt), Some(completion), Some(total)) =
        (price("prompt_price"), price("completion_price"), price("total_price"))
    {
        let close = (prompt + completion - total).abs() <= 1e-6;
        n.expect(close, s, "prices", format_args!("total_price {:.7}", prompt + completion), || format!("{total:.7}"));
    }
}

/// A model that answered counted something. Zeros are legal without one: chatflows, annotation replies, streams that were
/// stopped, and answers that moderation gives, which cannot be told apart; so it is advice. Real bug: langgenius/dify
/// issue 20796.
fn spent(s: &Seen, usage: &Map<String, Value>, n: &mut Notes) {
    let modelled = matches!(s.app.mode, Some(AppMode::Chat | AppMode::Completion)) && s.stream.is_none();
    let annotated = metadata(s).flatten().and_then(|m| m.get("annotation_reply")).is_some_and(|a| !a.is_null());
    let tokens = COUNTS.iter().filter_map(|m| usage.get(*m).and_then(Value::as_u64)).collect::<Vec<_>>();
    if modelled
        && s.completed()
        && !annotated
        && tokens.len() == COUNTS.len()
        && s.answer().is_some_and(|a| !a.is_empty())
    {
        n.advise(tokens.iter().any(|t| *t > 0), s, "zero", "tokens of the model that answered", || "all 0".to_owned());
    }
}

/// Source: OpenAPI `Usage`: prices are decimal strings, currency an ISO 4217 code.
fn price_types(s: &Seen, n: &mut Notes) {
    let Some(Some(usage)) = usage(s) else { return };
    for member in DECIMALS {
        if let Some(value) = usage.get(*member) {
            let fits = value.is_string() && decimal(Some(value)).is_some();
            n.expect(fits, s, "decimal", format_args!("`{member}` a decimal string"), || clip(&value.to_string()));
        }
    }
    if let Some(currency) = usage.get("currency").and_then(Value::as_str) {
        let code = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
        n.expect(code, s, "currency", "a three-letter currency code", || clip(currency));
    }
}

/// Source: OpenAPI `Usage.latency` (seconds).
fn latency(s: &Seen, n: &mut Notes) {
    let Some(Some(usage)) = usage(s) else { return };
    let Some(latency) = usage.get("latency").and_then(Value::as_f64) else { return };
    let chatflow = s.app.mode == Some(AppMode::AdvancedChat);
    let wall = s.exchange.timing.end_us as f64 / 1e6;
    if !chatflow {
        n.expect(latency > 0.0, s, "zero", "a latency above 0 s", || format!("{latency}"));
        n.expect(
            latency <= wall + 1.0,
            s,
            "too-long",
            format!("a latency within the {wall:.2} s that the request took"),
            || format!("{latency} s"),
        );
        if let Some(first) = usage.get("time_to_first_token").and_then(Value::as_f64) {
            n.expect(
                first <= latency + 1e-3,
                s,
                "first-token",
                format!("time_to_first_token within latency {latency}"),
                || format!("{first}"),
            );
        }
    }
}

/// Chatflows report the latency of their model nodes, which may well be 0.
fn no_latency(_: &Run, app: &App) -> Option<String> {
    (app.mode == Some(AppMode::AdvancedChat)).then(|| "a chatflow reports the latency of its models only".to_owned())
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "usage.present",
        area: "usage",
        level: Level::Must,
        title: "Usage is present on success",
        statement: "metadata.usage exists in blocking bodies and in message_end with all 12 documented fields.",
        source: "spec Usage; src MessageEndStreamResponse",
        modes: MESSAGES,
        tested: "Field presence and types: tokens int>=0, latency number, currency string.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(present),
        absent: always,
    },
    Rule {
        id: "usage.sum",
        area: "usage",
        level: Level::Must,
        title: "Token and price sums",
        statement: "prompt_tokens+completion_tokens==total_tokens; prompt_price+completion_price==total_price (7 decimals).",
        source: "spec Usage",
        modes: MESSAGES,
        tested: "Decimal arithmetic, tolerance 1e-6.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(sum),
        absent: always,
    },
    Rule {
        id: "usage.price.types",
        area: "usage",
        level: Level::Should,
        title: "Prices are decimal strings",
        statement: "Unit prices, price units and prices are decimal strings and currency a 3-letter code.",
        source: "spec Usage (type string, format decimal)",
        modes: MESSAGES,
        tested: "Parse as decimal; record string|number per mode.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(price_types),
        absent: always,
    },
    Rule {
        id: "usage.latency",
        area: "usage",
        level: Level::Should,
        title: "Latency is positive and plausible",
        statement: "0 < usage.latency <= client wall time + 1 s; time_to_first_token, if present, <= latency.",
        source: "spec Usage.latency; src provider_response_latency",
        modes: MESSAGES,
        tested: "Compare with measured wall time.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(latency),
        absent: no_latency,
    },
];
