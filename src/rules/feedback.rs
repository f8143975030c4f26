//! Areas `feedback` and `suggested`: ratings of messages, and follow-up questions.

use super::notes::Notes;
use super::offered::{Made, enabled, made, off};
use super::request::is_uuid;
use super::rule::{CHATS, Judge, Load, MESSAGES, Rule, always};
use super::run::Run;
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, AppMode, Endpoint, Level};
use crate::schema::Document;
use serde_json::Value;

/// A rating that the server accepted.
struct Rating<'r, 't> {
    seen: &'r Seen<'t>,
    /// None takes the rating back.
    rating: Option<&'r str>,
    content: Option<&'r str>,
}

/// The ratings of a message by its owner, where all of them are known and none overlaps another.
fn ratings<'r, 't>(run: &'r Run<'t>, app: &'r App, message: &Made) -> Option<Vec<Rating<'r, 't>>> {
    let mine = |s: &&Seen| s.route.ids.first().is_some_and(|id| id == message.id) && s.succeeded();
    let mut all: Vec<Rating> = Vec::new();
    for seen in run.calls(app, Endpoint::Feedback).filter(mine) {
        let text = |name: &str| seen.sent.member(name).and_then(Value::as_str);
        if seen.sent.user.as_deref() != Some(message.user) {
            return None;
        }
        if all.last().is_some_and(|before| before.seen.exchange.ended_us() > seen.exchange.timing.sent_us) {
            return None;
        }
        all.push(Rating { seen, rating: text("rating"), content: text("content") });
    }
    Some(all)
}

/// The rating in force when a read was sent and answered; `None` where that is not certain.
fn in_force<'a, 'r, 't>(ratings: &'a [Rating<'r, 't>], read: &Seen) -> Option<&'a Rating<'r, 't>> {
    let (sent, ended) = (read.exchange.timing.sent_us, read.exchange.ended_us());
    let settled = ratings.iter().all(|r| r.seen.exchange.ended_us() <= sent || r.seen.exchange.timing.sent_us >= ended);
    ratings.iter().rfind(|r| r.seen.exchange.ended_us() <= sent).filter(|_| settled)
}

fn show(rating: Option<&str>) -> String {
    rating.map_or("no rating".to_owned(), |r| format!("rating `{}`", clip(r)))
}

/// Source: OpenAPI `MessageFeedbackRequest`.
fn roundtrip(run: &Run, app: &App, n: &mut Notes) {
    let messages = made(run, app);
    for message in &messages {
        accepted(run, app, message, n);
        let Some(ratings) = ratings(run, app, message).filter(|r| run.transcript.complete && !r.is_empty()) else {
            continue;
        };
        for read in run.calls(app, Endpoint::Messages).filter(|s| s.is(200)) {
            let rows = read.json.and_then(|j| j.get("data")).and_then(Value::as_array);
            let row = rows.into_iter().flatten().find(|row| row.get("id").is_some_and(|id| id == message.id));
            let (Some(row), Some(last)) = (row, in_force(&ratings, read)) else { continue };
            let shown = row.pointer("/feedback/rating").and_then(Value::as_str);
            n.expect(shown == last.rating, read, "history", show(last.rating), || show(shown));
        }
        if app.mode == Some(AppMode::Completion) {
            for (read, rows, _) in lists(run, app) {
                let Some(last) = in_force(&ratings, read) else { continue };
                let of_message = rows.iter().filter(|row| row.get("message_id").is_some_and(|id| id == message.id));
                let shown: Vec<&str> = of_message.map(|row| row["rating"].as_str().unwrap_or("")).collect();
                // missing, repeated and revoked rows are the matter of `feedback.list`
                if let (Some(wanted), false) = (last.rating, shown.is_empty()) {
                    let told = || shown.join(", ");
                    n.expect(shown.contains(&wanted), read, "list", show(Some(wanted)), told);
                }
            }
        }
    }
}

/// Ratings by the owner are accepted.
fn accepted(run: &Run, app: &App, message: &Made, n: &mut Notes) {
    for s in run.calls(app, Endpoint::Feedback).filter(|s| s.has_key()) {
        let own =
            s.route.ids.first().is_some_and(|id| id == message.id) && s.sent.user.as_deref() == Some(message.user);
        let rating = s.sent.member("rating").and_then(Value::as_str);
        let ended = message.seen.exchange.ended_us() <= s.exchange.timing.sent_us;
        if own && ended && matches!(rating, Some("like" | "dislike")) {
            let success = s.is(200) && s.text("result") == Some("success");
            n.expect(success, s, "accepted", "status 200 and result `success`", || s.outcome_text());
        }
    }
}

/// Whether a message is known to belong to nobody, to another user, or to the asking one.
fn owner<'m>(s: &Seen, messages: &'m [Made]) -> Option<&'m str> {
    let id = s.route.ids.first()?;
    messages.iter().find(|m| m.id == id).map(|m| m.user)
}

fn unknown_everywhere(run: &Run, s: &Seen) -> bool {
    let Some(id) = s.route.ids.first().filter(|id| is_uuid(id)) else { return false };
    run.transcript.complete && !run.seen.iter().any(|other| other.text("message_id").is_some_and(|m| m == id))
}

fn asker<'s>(s: &'s Seen) -> Option<&'s str> {
    s.sent.user.as_deref().filter(|u| !u.is_empty() && *u != "null" && s.has_key())
}

/// Source: OpenAPI 400 and 404 of `POST /messages/{id}/feedbacks`.
fn errors(run: &Run, app: &App, n: &mut Notes) {
    let messages = made(run, app);
    for s in run.calls(app, Endpoint::Feedback).filter(|s| s.sent.body.is_some()) {
        let (Some(user), Some(rating)) = (asker(s), s.sent.member("rating")) else { continue };
        let legal = rating.is_null() || matches!(rating.as_str(), Some("like" | "dislike"));
        match owner(s, &messages) {
            Some(owner) if owner == user && !legal => {
                let holds = s.is(400) && s.error_code().is_some();
                n.expect(holds, s, "rating", "status 400 for a rating that is none", || s.outcome_text());
            }
            Some(owner) if owner == user && rating.is_null() && run.transcript.complete => {
                let sent = s.exchange.timing.sent_us;
                let earlier = |o: &&Seen| o.route.ids == s.route.ids && o.exchange.timing.sent_us < sent;
                if run.calls(app, Endpoint::Feedback).filter(earlier).all(|o| !o.succeeded()) {
                    let expected = "status 400 for taking back a rating that was never given";
                    n.expect(s.is(400), s, "null-first", expected, || s.outcome_text());
                }
            }
            Some(owner) if owner != user && legal => {
                n.expect(s.is(404), s, "foreign", "status 404 for another user's message", || s.outcome_text());
            }
            None if legal && unknown_everywhere(run, s) => {
                n.expect(s.is(404), s, "unknown", "status 404 for an unknown message", || s.outcome_text());
            }
            _ => {}
        }
    }
}

/// First pages of `GET /app/feedbacks`: the read, its rows, and whether there may be more.
fn lists<'r, 't>(run: &'r Run<'t>, app: &'r App) -> Vec<(&'r Seen<'t>, &'r [Value], bool)> {
    let reads = run.calls(app, Endpoint::AppFeedbacks).filter(|s| s.is(200));
    let pages = reads.filter(|s| s.route.param("page").is_none_or(|page| page == "1")).filter_map(|s| {
        let rows = s.json?.get("data")?.as_array()?;
        let limit = s.route.param("limit").map_or(Some(20), |text| text.parse().ok())?;
        Some((s, rows.as_slice(), rows.len() >= limit))
    });
    pages.collect()
}

/// Source: OpenAPI `AppFeedbacksResponse`; Dify source: newest first.
fn list(run: &Run, app: &App, n: &mut Notes) {
    for s in run.calls(app, Endpoint::AppFeedbacks).filter(|s| s.is(200)) {
        if let Some(json) = &s.json {
            n.fits(s, Document::AppFeedbacks, json);
        }
    }
    let messages = made(run, app);
    for (read, rows, full) in lists(run, app) {
        let text = |row: &Value, member: &str| row.get(member).and_then(Value::as_str).unwrap_or("").to_owned();
        let times: Vec<String> = rows.iter().map(|row| text(row, "created_at")).collect();
        let newest_first = times.windows(2).all(|w| w[0] >= w[1]);
        n.advise(newest_first, read, "order", "newest first", || clip(&times.join(", ")));
        for message in messages.iter().filter(|_| run.transcript.complete) {
            let ratings = ratings(run, app, message).unwrap_or_default();
            let Some(last) = in_force(&ratings, read) else { continue };
            let shown: Vec<&Value> = rows.iter().filter(|row| text(row, "message_id") == message.id).collect();
            let Some(rating) = last.rating else {
                n.expect(shown.is_empty(), read, "revoked", "no row of a rating that was taken back", || {
                    format!("{} rows", shown.len())
                });
                continue;
            };
            if shown.is_empty() && full {
                continue; // pushed off the page by others
            }
            let once = shown.len() == 1;
            n.expect(once, read, "once", format!("one row for message {}", message.id), || {
                format!("{} rows", shown.len())
            });
            if let ([row], true) = (shown.as_slice(), once) {
                let told = (text(row, "rating"), text(row, "from_source"));
                let expected = (rating.to_owned(), "user".to_owned());
                n.expect(told == expected, read, "row", format!("{expected:?}"), || format!("{told:?}"));
                if let Some(content) = last.content {
                    let kept = text(row, "content");
                    n.expect(kept == content, read, "content", clip(content), || clip(&kept));
                }
            }
        }
    }
}

fn no_list(run: &Run, app: &App) -> Option<String> {
    let missing = run.calls(app, Endpoint::AppFeedbacks).any(|s| s.is(404));
    missing.then(|| "the server has no GET /app/feedbacks".to_owned())
}

const SUGGESTED: &str = "suggested_questions_after_answer";

/// Source: OpenAPI `SuggestedQuestionsResponse`.
fn suggested_enabled(run: &Run, app: &App, n: &mut Notes) {
    let messages = made(run, app);
    for s in run.calls(app, Endpoint::Suggested) {
        let ended = |m: &&Made| m.seen.completed() && m.seen.exchange.ended_us() <= s.exchange.timing.sent_us;
        let own = messages
            .iter()
            .filter(ended)
            .any(|m| Some(m.user) == asker(s) && s.route.ids.first().is_some_and(|id| id == m.id));
        if own && enabled(run, app, SUGGESTED) == Some(true) && !provider_gone(s) {
            n.expect(s.is(200), s, "status", "status 200", || s.outcome_text());
        }
        if let Some(json) = s.json.filter(|_| s.is(200)) {
            n.fits(s, Document::Suggested, json);
            let questions = json.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let blank = questions.iter().any(|q| q.as_str().is_some_and(|text| text.trim().is_empty()));
            n.expect(!blank, s, "blank", "questions with a text", || clip(&json.to_string()));
        }
    }
}

/// The model that makes the questions is not there, which says nothing about the shape.
fn provider_gone(s: &Seen) -> bool {
    super::offered::provider_failed(s)
}

/// Source: OpenAPI 400 and 404 of `GET /messages/{id}/suggested`.
fn suggested_errors(run: &Run, app: &App, n: &mut Notes) {
    let messages = made(run, app);
    for s in run.calls(app, Endpoint::Suggested) {
        let Some(user) = asker(s) else { continue };
        match owner(s, &messages) {
            Some(owner) if owner != user => {
                n.expect(s.is(404), s, "foreign", "status 404 for another user's message", || s.outcome_text());
            }
            Some(_) if enabled(run, app, SUGGESTED) == Some(false) => {
                let refused = s.is(400) && s.error_code() == Some("bad_request");
                n.expect(refused, s, "disabled", "status 400 `bad_request`", || s.outcome_text());
            }
            None if unknown_everywhere(run, s) => {
                n.expect(s.is(404), s, "unknown", "status 404 for an unknown message", || s.outcome_text());
            }
            _ => {}
        }
    }
}

fn no_suggestions(run: &Run, app: &App) -> Option<String> {
    off(run, app, SUGGESTED)
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "feedback.roundtrip",
        area: "feedback",
        level: Level::Must,
        title: "Feedback is stored, replaced and revoked",
        statement: "like and dislike give 200 success; GET /messages shows feedback.rating; sending the other rating replaces it; null revokes it (feedback null).",
        source: "spec MessageFeedbackRequest; src create_feedback",
        modes: MESSAGES,
        tested: "like, dislike, null, with a read of GET /messages after each; completion apps are read by GET /app/feedbacks.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(roundtrip),
        absent: always,
    },
    Rule {
        id: "feedback.errors",
        area: "feedback",
        level: Level::Must,
        title: "Feedback errors",
        statement: "An unknown or foreign message gives 404; a rating that is none 400; null without an earlier rating 400.",
        source: "spec 400/404; src message_service.py:create_feedback",
        modes: MESSAGES,
        tested: "Random UUID; other user; \"meh\"; null first.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(errors),
        absent: always,
    },
    Rule {
        id: "feedback.list",
        area: "feedback",
        level: Level::Should,
        title: "/app/feedbacks lists each feedback once",
        statement: "A rating appears once with message_id, rating, content and from_source user; revoked ones vanish; newest first.",
        source: "spec AppFeedbacksResponse; src order desc",
        modes: MESSAGES,
        tested: "Rate with a nonce as content; page 1 holds it once, by message_id.",
        versions: Some("not in 0.15"),
        load: Load::No,
        judge: Judge::Run(list),
        absent: no_list,
    },
    Rule {
        id: "suggested.enabled",
        area: "suggested",
        level: Level::Should,
        title: "Suggested questions shape",
        statement: "Where GET /parameters says enabled: 200 {\"result\":\"success\",\"data\":[strings]}.",
        source: "spec SuggestedQuestionsResponse",
        modes: CHATS,
        tested: "Ask for an own message; data is an array of non-empty strings (may be empty).",
        versions: None,
        load: Load::No,
        judge: Judge::Run(suggested_enabled),
        absent: no_suggestions,
    },
    Rule {
        id: "suggested.errors",
        area: "suggested",
        level: Level::Must,
        title: "Suggested questions are refused where there is nothing to suggest",
        statement: "Disabled: 400 `bad_request`; unknown or foreign message: 404.",
        source: "spec 400/404; src",
        modes: CHATS,
        tested: "By GET /parameters; random UUID; other user.",
        versions: Some("0.6: 400 for an unknown message"),
        load: Load::No,
        judge: Judge::Run(suggested_errors),
        absent: always,
    },
];
