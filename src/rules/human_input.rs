//! Area `human-input`: runs that wait for a person, the form, and how they go on.

use super::chatflow::no_human_input;
use super::notes::Notes;
use super::request::canonical_uuid;
use super::rule::{Judge, Load, Rule};
use super::run::Run;
use super::runs::{RUNS, flows};
use super::seen::Seen;
use super::stream::{Event, clip};
use crate::model::{App, Endpoint, Level};
use crate::schema::{self, Document};
use serde_json::Value;

/// A form that a stream asked for.
struct Asked<'r, 't> {
    seen: &'r Seen<'t>,
    event: &'r Event,
    token: &'r str,
}

fn asked<'r, 't>(run: &'r Run<'t>, app: &'r App) -> impl Iterator<Item = Asked<'r, 't>> {
    let streams = run.on(app).filter_map(|s| s.stream.map(|st| (s, st)));
    streams.flat_map(|(seen, stream)| {
        let events = stream.events.iter().filter(|e| e.name == "human_input_required");
        events.filter_map(move |event| {
            let token = event.data("form_token")?.as_str().filter(|t| !t.is_empty())?;
            Some(Asked { seen, event, token })
        })
    })
}

fn form_calls<'r, 't>(run: &'r Run<'t>, token: &'r str) -> impl Iterator<Item = &'r Seen<'t>> {
    let calls = run.seen.iter().filter(|s| s.endpoint() == Endpoint::HumanInputForm && s.asker().is_some());
    calls.filter(move |s| s.exchange.reply.is_some() && s.route.ids.first().is_some_and(|id| id == token))
}

fn submits(s: &Seen) -> bool {
    s.exchange.request.method == "POST"
}

fn action<'s>(s: &'s Seen) -> &'s str {
    s.sent.member("action").and_then(Value::as_str).unwrap_or("")
}

/// Ids of actions, in order.
fn action_ids(list: Option<&Value>) -> Vec<&str> {
    let items = list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    items.iter().filter_map(|a| a.get("id")?.as_str()).collect()
}

/// Source: OpenAPI `StreamEventHumanInputRequired`; real bug: langgenius/dify issue 35504.
fn required_event(s: &Seen, n: &mut Notes) {
    let Some(stream) = &s.stream else { return };
    for event in stream.events.iter().filter(|e| e.name == "human_input_required") {
        let found = schema::check_event(&event.name, &event.value).unwrap_or_default();
        let bad = found.iter().find(|v| v.path != "/created_at");
        let holds = n.expect(bad.is_none(), s, "payload", "the documented members of the form", || {
            bad.map(|v| format!("{}: {}", v.path, v.message)).unwrap_or_default()
        });
        if !holds {
            n.at_frame(event.frame);
        }
    }
}

/// Source: OpenAPI `GET /form/human_input/{token}`.
fn form(run: &Run, app: &App, n: &mut Notes) {
    let tokens: Vec<Asked> = asked(run, app).collect();
    for form in &tokens {
        let sent = first_submit(run, form.token).map(|s| s.exchange.timing.sent_us);
        let open = |s: &&Seen| !submits(s) && sent.is_none_or(|at| s.exchange.ended_us() <= at);
        for s in form_calls(run, form.token).filter(open) {
            if s.asker().as_ref() != Some(&app.label) {
                n.expect(s.is(404), s, "other-app", "status 404 with another app's key", || s.outcome_text());
                continue;
            }
            if s.is(412) && !run.transcript.complete {
                continue; // the submit may be missing
            }
            let Some(json) = s.json.filter(|_| s.is(200)) else {
                n.expect(false, s, "status", "status 200 for an open form", || s.outcome_text());
                continue;
            };
            n.fits(s, Document::HumanInputForm, json);
            let (shown, wanted) = (action_ids(json.get("user_actions")), action_ids(form.event.data("actions")));
            n.expect(shown == wanted, s, "actions", format!("the actions of the event {wanted:?}"), || {
                format!("{shown:?}")
            });
            let until = json.get("expiration_time").and_then(Value::as_f64).unwrap_or(0.0);
            let now = s.unix_at(s.exchange.timing.sent_us);
            n.expect(until > now - 300.0, s, "expiration", "an expiration_time in the future", || format!("{until}"));
        }
    }
    let unknown = |s: &&Seen| !submits(s) && s.has_key() && s.exchange.reply.is_some();
    for s in run.calls(app, Endpoint::HumanInputForm).filter(unknown).filter(|_| !tokens.is_empty()) {
        let id = s.route.ids.first().map_or("", String::as_str);
        let known = run.transcript.apps.iter().flat_map(|a| asked(run, a)).any(|f| f.token == id);
        if !known && run.transcript.complete {
            n.expect(s.is(404), s, "unknown", "status 404 for an unknown form", || s.outcome_text());
        }
    }
}

/// The first submit that the form's own actions allow, whatever came of it.
fn first_submit<'r, 't>(run: &'r Run<'t>, token: &'r str) -> Option<&'r Seen<'t>> {
    form_calls(run, token).find(|s| submits(s) && s.is(200))
}

/// Source: OpenAPI `POST /form/human_input/{token}`, 400 and 412.
fn submit_once(run: &Run, app: &App, n: &mut Notes) {
    for form in asked(run, app) {
        let legal = action_ids(form.event.data("actions"));
        let mine = |s: &&Seen| s.asker().as_ref() == Some(&app.label);
        let accepted = first_submit(run, form.token).filter(mine);
        let ended = accepted.map(|s| s.exchange.ended_us());
        for s in form_calls(run, form.token).filter(mine) {
            let after = ended.is_some_and(|at| s.exchange.timing.sent_us >= at);
            let beside = accepted.is_some_and(|a| a.exchange.id != s.exchange.id) && !after;
            if after {
                let closed = s.is(412) && s.error_code() == Some("human_input_form_submitted");
                let check = if submits(s) { "second-submit" } else { "read-after" };
                n.expect(closed, s, check, "status 412 `human_input_form_submitted`", || s.outcome_text());
            } else if submits(s) && !legal.contains(&action(s)) {
                n.expect(s.is(400), s, "bad-action", "status 400 for an action that the form has not", || {
                    s.outcome_text()
                });
            } else if s.is(412) && !run.transcript.complete {
                // the first submit may be missing
            } else if submits(s) && s.sent.user.is_some() && !beside {
                n.expect(s.is(200), s, "submit", "status 200 for a legal action of an open form", || s.outcome_text());
            } else if submits(s) && beside {
                n.expect(s.is(412), s, "parallel", "one of several submits accepted", || s.outcome_text());
            }
        }
    }
}

/// Source: human input guide; real bugs: langgenius/dify issues 38432, 39448, 39750.
fn resume(run: &Run, app: &App, n: &mut Notes) {
    for form in asked(run, app) {
        let Some(submit) = first_submit(run, form.token) else { continue };
        let Some(flow) = flows(run, app).find(|f| f.seen.exchange.id == form.seen.exchange.id) else { continue };
        let own = |s: &&Seen| {
            let same = s.route.ids.first().is_some_and(|id| id == flow.id) && s.sent.user == flow.seen.sent.user;
            same && s.has_key() && s.exchange.timing.sent_us >= submit.exchange.ended_us()
        };
        for s in run.calls(app, Endpoint::WorkflowEvents).filter(own).filter(|s| !s.cut()) {
            resumed(s, submit, n);
        }
        for (read, detail) in flow
            .detail(run)
            .into_iter()
            .filter(|(s, _)| s.exchange.timing.sent_us >= submit.exchange.ended_us() + 2_000_000)
        {
            let status = detail.get("status").and_then(Value::as_str).unwrap_or("absent");
            n.expect(status != "paused", read, "detail", "a run that has gone on", || format!("status {status}"));
        }
        answered(run, app, &form, submit, n);
    }
}

/// What a chatflow says after its pause is kept in its message. Real bugs: langgenius/dify issues 38432, 38525.
fn answered(run: &Run, app: &App, form: &Asked, submit: &Seen, n: &mut Notes) {
    let ends = run.calls(app, Endpoint::WorkflowEvents).filter(|s| s.text("workflow_run_id") == form.seen.run_id());
    let Some(end) = ends.filter(|s| s.run_status() == Some("succeeded")).last() else { return };
    let outputs = end.run_end().and_then(|end| end.get("outputs")?.get("answer")?.as_str());
    let id = form.seen.text("conversation_id").and_then(canonical_uuid);
    let conversation = id.and_then(|id| run.conversation(app, &id));
    let (Some(outputs), Some(conversation)) = (outputs.filter(|text| !text.trim().is_empty()), conversation) else {
        return;
    };
    let after = submit.exchange.ended_us().max(end.exchange.ended_us());
    for history in run.histories(app, conversation).filter(|h| h.seen.exchange.timing.sent_us >= after) {
        let Some(item) = form.seen.text("message_id").and_then(|id| history.item(id)) else { continue };
        let stored = item.get("answer").and_then(Value::as_str).unwrap_or("");
        let kept = !stored.trim().is_empty();
        n.expect(kept, history.seen, "answer", format!("the answer of the run: {}", clip(outputs)), || {
            "an empty answer".to_owned()
        });
    }
}

fn resumed(s: &Seen, submit: &Seen, n: &mut Notes) {
    let Some(stream) = s.stream.filter(|_| s.is(200)) else {
        n.expect(false, s, "stream", "the events of the run", || s.outcome_text());
        return;
    };
    // A run that was over before gives its last event alone, and who comes late may miss the first ones; one that asks
    // again pauses again.
    let only = stream.events.len() == 1;
    let heard = s.exchange.timing.sent_us + s.exchange.timing.head_us.unwrap_or(u64::MAX / 2);
    let at_once = heard <= submit.exchange.timing.sent_us + 1_500_000;
    if let Some(filled) = stream.find("human_input_form_filled") {
        let chosen = filled.data("action_id").and_then(Value::as_str).unwrap_or("absent");
        if !n.expect(chosen == action(submit), s, "action", format!("action_id `{}`", clip(action(submit))), || {
            clip(chosen)
        }) {
            n.at_frame(filled.frame);
        }
    } else {
        n.expect(only || !at_once, s, "filled", "human_input_form_filled", || stream.outline());
    }
    let again = stream.find("workflow_paused").is_some();
    let status = s.run_status().unwrap_or("absent");
    // Names of statuses are for another rule.
    let end = again || !matches!(status, "absent" | "stopped" | "failed");
    n.expect(end, s, "end", "workflow_finished(succeeded)", || {
        format!("status {status} (stream: {})", stream.outline())
    });
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "hitl.required-event",
        area: "human-input",
        level: Level::Must,
        title: "human_input_required carries the form",
        statement: "data has form_id, node_id, form_content, inputs, actions, expiration_time, form_token (string or null).",
        source: "spec StreamEventHumanInputRequired",
        modes: RUNS,
        tested: "The payload of every human_input_required.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(required_event),
        absent: no_human_input,
    },
    Rule {
        id: "hitl.form",
        area: "human-input",
        level: Level::Must,
        title: "Form endpoint",
        statement: "200 {form_content, inputs[], resolved_default_values, user_actions[], expiration_time int in the future}; unknown token 404; other app 404.",
        source: "spec; guide human-input-flow.mdx; upstream human_input_form.py",
        modes: RUNS,
        tested: "The token of human_input_required; actions as in the event; a random token 404.",
        versions: Some(">=1.14 (PR #32826)"),
        load: Load::No,
        judge: Judge::Run(form),
        absent: no_human_input,
    },
    Rule {
        id: "hitl.submit-once",
        area: "human-input",
        level: Level::Must,
        title: "Submit is one-shot and validated",
        statement: "Bad action 400 leaves the form open; good submit 200 {}; second submit and GET 412 human_input_form_submitted.",
        source: "spec 400/412; guide",
        modes: RUNS,
        tested: "A bad action, a good one, a second submit and a read.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(submit_once),
        absent: no_human_input,
    },
    Rule {
        id: "hitl.resume",
        area: "human-input",
        level: Level::Must,
        title: "Resumed stream completes the run",
        statement: "After submit the event stream shows human_input_form_filled with the chosen action_id and ends in workflow_finished(succeeded); answer text of later nodes is delivered and stored.",
        source: "guide human-input-flow.mdx",
        modes: RUNS,
        tested: "The events of the run after the submit, with the same user.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(resume),
        absent: no_human_input,
    },
];
