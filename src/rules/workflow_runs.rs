//! Area `workflow`, what is kept of runs: detail, logs, replayed events, versions; runs that were stopped or left.

use super::notes::Notes;
use super::pace::Pace;
use super::request::{Defect, canonical_uuid};
use super::rule::{Judge, Load, Rule, always};
use super::run::Run;
use super::runs::{Flow, RUNS, WORKFLOW, aborted, flows, nothing_found, object};
use super::seen::Seen;
use super::stream::clip;
use super::workflow::FINAL;
use crate::model::{App, AppMode, Endpoint, Level};
use crate::schema::Document;
use serde_json::Value;

/// A run that nobody listens to and whose length is not known may take this long.
const LONGEST_RUN_US: u64 = 60_000_000;
/// What a run may take beyond the pace that was asked of an echo model.
const SLACK_US: u64 = 6_000_000;

/// Source: OpenAPI `WorkflowRunDetailResponse`. Stopped runs have a rule of their own.
fn run_detail(run: &Run, app: &App, n: &mut Notes) {
    // A stop may be missing from an incomplete recording.
    let known = |f: &Flow| run.transcript.complete || f.seen.run_status() != Some("failed") || !aborted(f.seen);
    let left_alone = |f: &Flow| !f.stop_tried(run) && f.seen.run_status() != Some("stopped") && known(f);
    for flow in flows(run, app).filter(|f| !f.seen.cut() && left_alone(f)) {
        let (Some(end), Some((read, detail))) = (flow.seen.run_end(), flow.detail(run)) else { continue };
        n.fits(read, Document::WorkflowRunDetail, detail);
        let wanted = [
            ("id", Some(Value::from(flow.id))),
            ("workflow_id", end.get("workflow_id").cloned()),
            ("status", end.get("status").filter(|s| s.as_str().is_some_and(|s| FINAL.contains(&s))).cloned()),
            ("total_steps", end.get("total_steps").cloned()),
            ("total_tokens", end.get("total_tokens").filter(|v| v.is_u64()).cloned()),
        ];
        for (member, value) in wanted {
            let Some(value) = value else { continue };
            let shown = detail.get(member).unwrap_or(&Value::Null);
            let check = match member {
                "workflow_id" => "workflow-id",
                "total_steps" => "total-steps",
                "total_tokens" => "total-tokens",
                other => other,
            };
            if !n
                .expect(*shown == value, read, check, format!("{member} {value} as the run said"), || shown.to_string())
            {
                n.with(flow.seen);
            }
        }
        inputs_kept(&flow, read, detail, n);
    }
    refused_to_chatflow(run, app, n);
}

/// The key of a chatflow sees its runs, too. Real bug: langgenius/dify issue 18753.
fn refused_to_chatflow(run: &Run, app: &App, n: &mut Notes) {
    for flow in flows(run, app).filter(|f| app.mode == Some(AppMode::AdvancedChat) && !f.seen.cut()) {
        let reads = run.calls(app, Endpoint::WorkflowRunDetail).filter(|s| s.has_key() && s.exchange.reply.is_some());
        for s in reads.filter(|s| s.route.ids.first().is_some_and(|id| id == flow.id)) {
            let shown = s.error_code() != Some("not_workflow_app");
            n.expect(shown, s, "chatflow", "the detail of a run of this chatflow", || s.outcome_text());
        }
    }
}

fn inputs_kept(flow: &Flow, read: &Seen, detail: &Value, n: &mut Notes) {
    let first = flow.seen.endpoint() != Endpoint::ChatMessages || flow.seen.sent.starts_conversation();
    let Some(kept) = object(detail.get("inputs")).filter(|_| first) else { return };
    let texts = flow.seen.sent.inputs().into_iter().flatten().filter(|(_, v)| v.is_string());
    let app = flow.seen.app;
    let declared = |name: &str| app.form_known && app.inputs.iter().any(|f| f.variable == name);
    let stored = texts.filter(|(name, _)| kept.get(*name).is_some() || declared(name));
    let lost = stored.into_iter().find(|(name, v)| kept.get(*name) != Some(v));
    n.expect(lost.is_none(), read, "inputs", "the inputs as sent", || {
        let shown = |name: &String| kept.get(name).map_or("absent".to_owned(), |v| clip(&v.to_string()));
        lost.map(|(name, _)| format!("`{name}` {}", shown(name))).unwrap_or_default()
    });
    if lost.is_some() {
        n.with(flow.seen);
    }
}

fn no_detail(run: &Run, app: &App) -> Option<String> {
    let asked = run.calls(app, Endpoint::WorkflowRunDetail).filter(|s| s.has_key());
    let offered = asked.into_iter().any(|s| s.error_code() != Some("not_workflow_app"));
    (!offered).then(|| "the server shows run details to workflow apps only".to_owned())
}

/// Source: OpenAPI 404 of `GET /workflows/run/{id}`.
fn unknown_404(run: &Run, app: &App, n: &mut Notes) {
    for s in run.calls(app, Endpoint::WorkflowRunDetail).filter(|s| s.has_key() && s.exchange.reply.is_some()) {
        let Some(id) = s.route.ids.first().and_then(|id| canonical_uuid(id)) else { continue };
        let known = run.transcript.apps.iter().flat_map(|a| flows(run, a)).any(|f| f.id == id);
        let told = run.transcript.complete || nothing_found(s);
        if known || !told || s.error_code() == Some("not_workflow_app") {
            continue;
        }
        let refused = s.is(404) && s.error_code() == Some("not_found");
        n.expect(refused, s, "status", "status 404 `not_found`", || {
            if nothing_found(s) { format!("{}, id null", s.outcome_text()) } else { s.outcome_text() }
        });
    }
}

/// Source: Dify source, runs are looked up by tenant and app.
fn isolation(run: &Run, app: &App, n: &mut Notes) {
    for s in run.calls(app, Endpoint::WorkflowRunDetail).filter(|s| s.exchange.reply.is_some()) {
        let (Some(id), Some(asker)) = (s.route.ids.first(), s.asker()) else { continue };
        let began = |f: &Flow| f.id == id && f.seen.exchange.timing.sent_us < s.exchange.timing.sent_us;
        let owner = run.transcript.apps.iter().find(|a| flows(run, a).any(|f| began(&f)));
        if let Some(owner) = owner.filter(|o| o.label != asker) {
            let closed = nothing_found(s) || s.error_code().is_some();
            n.expect(closed, s, "read", format!("nothing of a run of {} for the key of {asker}", owner.label), || {
                format!("{} with its record", s.outcome_text())
            });
        }
    }
}

fn one_key(run: &Run, _: &App) -> Option<String> {
    (run.transcript.apps.len() < 2).then(|| "needs the keys of two apps".to_owned())
}

fn event_calls<'r, 't>(run: &'r Run<'t>, app: &'r App) -> impl Iterator<Item = &'r Seen<'t>> {
    run.calls(app, Endpoint::WorkflowEvents).filter(|s| s.has_key() && s.exchange.reply.is_some())
}

/// Whether the server has the operation: an unknown route is a 404 for everybody.
fn offers_events(run: &Run, app: &App) -> bool {
    event_calls(run, app).any(|s| s.exchange.status() != 404)
}

/// Source: OpenAPI `GET /workflow/{id}/events`; streaming guide. Ids of tasks may differ from those of the first stream.
fn events_resume(run: &Run, app: &App, n: &mut Notes) {
    if !offers_events(run, app) {
        return;
    }
    for flow in flows(run, app).filter(|f| !f.seen.cut()) {
        let Some(end) = flow.seen.run_end() else { continue };
        let after = |s: &&Seen| s.exchange.timing.sent_us >= flow.seen.exchange.ended_us();
        let own = |s: &&Seen| s.route.ids.first().is_some_and(|id| id == flow.id);
        for s in event_calls(run, app).filter(after).filter(own) {
            let user = s.sent.user.as_deref().filter(|u| !u.is_empty());
            if user.is_none() {
                n.expect(s.is(400), s, "no-user", "status 400 without a user", || s.outcome_text());
            } else if user != flow.seen.sent.user.as_deref() {
                n.expect(s.is(404), s, "other-user", "status 404 for another user", || s.outcome_text());
            } else {
                replayed(s, end, n);
            }
        }
    }
}

fn replayed(s: &Seen, end: &Value, n: &mut Notes) {
    if !n.expect(s.is(200), s, "status", "status 200", || s.outcome_text()) {
        return;
    }
    let empty = super::stream::Stream::default();
    let stream = s.stream.unwrap_or(&empty);
    let one = stream.events.len() == 1 && stream.events[0].name == "workflow_finished";
    n.expect(one, s, "events", "one workflow_finished of a run that is over", || stream.outline());
    let Some(shown) = stream.find("workflow_finished").and_then(|e| e.value.get("data")) else { return };
    for member in ["status", "outputs"] {
        let same = shown.get(member) == end.get(member);
        n.expect(same, s, member, format!("the {member} of the run"), || {
            shown.get(member).map_or("absent".to_owned(), |v| clip(&v.to_string()))
        });
    }
}

fn no_events(run: &Run, app: &App) -> Option<String> {
    (!offers_events(run, app)).then(|| "the server does not offer GET /workflow/{id}/events".to_owned())
}

fn by_id_calls<'r, 't>(run: &'r Run<'t>, app: &'r App) -> impl Iterator<Item = &'r Seen<'t>> {
    let version = |s: &&Seen| s.sent.only(&Defect::Version) || s.sent.only(&Defect::VersionMalformed);
    run.calls(app, Endpoint::WorkflowRunById).filter(|s| s.exchange.reply.is_some()).filter(version)
}

fn offers_versions(run: &Run, app: &App) -> bool {
    by_id_calls(run, app).any(|s| s.json.is_some() || s.stream.is_some())
}

/// Source: OpenAPI `POST /workflows/{workflow_id}/run`.
fn by_id(run: &Run, app: &App, n: &mut Notes) {
    if !offers_versions(run, app) {
        return;
    }
    let known: Vec<&str> = flows(run, app).filter_map(|f| f.workflow_id()).collect();
    for s in by_id_calls(run, app).filter(|s| !s.is(403)) {
        let id = s.route.ids.first().map_or("", String::as_str);
        if s.sent.only(&Defect::VersionMalformed) {
            let refused = s.is(400) && s.error_code() == Some("bad_request");
            n.expect(refused, s, "malformed", "status 400 `bad_request`", || s.outcome_text());
        } else if s.is(200) {
            let flow = s.run_id().map(|id| Flow { seen: s, id });
            let ran = flow.and_then(|f| f.workflow_id());
            n.expect(ran == Some(id), s, "version", format!("data.workflow_id {id}"), || {
                ran.unwrap_or("absent").to_owned()
            });
        } else if known.contains(&id) {
            n.expect(false, s, "known", "a run of the version that an earlier run named", || s.outcome_text());
        } else {
            let refused = s.is(404) && s.error_code() == Some("not_found");
            n.expect(refused, s, "unknown", "status 404 `not_found`", || s.outcome_text());
        }
    }
}

fn no_by_id(run: &Run, app: &App) -> Option<String> {
    (!offers_versions(run, app)).then(|| "the server does not offer POST /workflows/{id}/run".to_owned())
}

/// A page of the logs.
struct Logs<'r, 't> {
    seen: &'r Seen<'t>,
    items: &'r [Value],
    total: u64,
}

impl<'r> Logs<'r, '_> {
    fn ids(&self) -> Vec<&'r str> {
        self.items.iter().filter_map(|i| i.pointer("/workflow_run/id")?.as_str()).collect()
    }

    fn filter(&self, name: &str) -> Option<&'r str> {
        self.seen.route.param(name).filter(|v| !v.is_empty())
    }

    /// No filter but that of the end user, first page, nothing more.
    fn whole(&self) -> bool {
        let others = self.seen.route.query.iter().any(|(name, _)| !matches!(&**name, "limit" | "page" | USER_FILTER));
        !others && self.seen.route.param("page").is_none_or(|p| p == "1") && self.total == self.items.len() as u64
    }
}

const USER_FILTER: &str = "created_by_end_user_session_id";

fn logs<'r, 't>(run: &'r Run<'t>, app: &'r App) -> impl Iterator<Item = Logs<'r, 't>> {
    let read = run.calls(app, Endpoint::WorkflowLogs).filter(|s| s.has_key() && s.is(200));
    read.filter_map(|seen| {
        let page = seen.json?;
        let items = page.get("data")?.as_array()?;
        Some(Logs { seen, items, total: page.get("total").and_then(Value::as_u64).unwrap_or(0) })
    })
}

/// Source: OpenAPI `GET /workflows/logs`. Runs of chatflows need not be in there; stopped ones and those that ended less
/// than a second before neither.
fn logs_consistent(run: &Run, app: &App, n: &mut Notes) {
    for page in logs(run, app) {
        let s = page.seen;
        if let Some(json) = &s.json {
            n.fits(s, Document::WorkflowLogs, json);
        }
        let ids = page.ids();
        let twice = ids.iter().enumerate().find(|(i, id)| ids[..*i].contains(id));
        n.expect(twice.is_none(), s, "repeated", "each run once", || {
            format!("run {} twice", twice.map_or("", |(_, id)| id))
        });
        let rows = page.items.len() as u64;
        n.expect(page.total >= rows, s, "total", format!("a total of at least {rows}, the rows shown"), || {
            page.total.to_string()
        });
        let text = |item: &Value, at: &str| item.pointer(at).and_then(Value::as_str).unwrap_or("").to_owned();
        if let Some(status) = page.filter("status") {
            let other = page.items.iter().map(|i| text(i, "/workflow_run/status")).find(|shown| shown != status);
            n.expect(other.is_none(), s, "status-filter", format!("only runs that {status}"), || {
                other.clone().unwrap_or_default()
            });
        }
        if let Some(user) = page.filter(USER_FILTER) {
            let other =
                page.items.iter().map(|i| text(i, "/created_by_end_user/session_id")).find(|shown| shown != user);
            n.expect(other.is_none(), s, "user-filter", format!("only runs of `{}`", clip(user)), || {
                format!("a run of `{}`", clip(other.as_deref().unwrap_or("")))
            });
        }
        own_runs(run, app, &page, n);
    }
}

/// Runs of one user that must be on a page that holds all of the user's runs.
fn own_runs(run: &Run, app: &App, page: &Logs, n: &mut Notes) {
    let Some(user) = page.filter(USER_FILTER) else { return };
    let read = page.seen.exchange.timing.sent_us;
    let settled = |f: &Flow| f.seen.exchange.ended_us() + 1_000_000 <= read && !f.seen.cut() && !f.stop_tried(run);
    let own = || flows(run, app).filter(|f| f.seen.sent.user.as_deref() == Some(user));
    let shown = page.ids();
    let through_api = |id: &str| {
        let item = page.items.iter().find(|i| i.pointer("/workflow_run/id").and_then(Value::as_str) == Some(id))?;
        item.get("created_from").map(Value::to_string)
    };
    for flow in own().filter(|f| shown.contains(&f.id)) {
        let from = through_api(flow.id).unwrap_or_default();
        n.expect(from == "\"service-api\"", page.seen, "created-from", "created_from service-api", || from.clone());
    }
    if app.mode != Some(AppMode::Workflow) || !page.whole() {
        return;
    }
    for flow in own().filter(settled) {
        let listed = shown.contains(&flow.id);
        if !n.expect(listed, page.seen, "missing", format!("run {} in the logs of its user", flow.id), || {
            format!("{} runs without it", shown.len())
        }) {
            n.with(flow.seen);
        }
    }
}

/// When the client of a stream hung up, in time of the run, and by when the run is over for certain.
fn left_at(s: &Seen) -> Option<(u64, u64)> {
    let started = s.stream.is_some_and(|st| st.find("workflow_started").is_some());
    if !s.cancelled() || !started || s.run_end().is_some() {
        return None;
    }
    let length = Pace::of(s).map_or(LONGEST_RUN_US, |pace| (pace.gap_us * pace.chunks) as u64 + SLACK_US);
    Some((s.exchange.ended_us(), s.exchange.timing.sent_us + length))
}

/// Source: streaming guide: a dropped connection is not fatal; real bugs: langgenius/dify issues 26169, 23654, 12798.
fn disconnect_continues(run: &Run, app: &App, n: &mut Notes) {
    for flow in flows(run, app).filter(|f| !f.stop_tried(run)) {
        let (Some((left, over)), Some((read, detail))) = (left_at(flow.seen), flow.detail(run)) else { continue };
        let status = detail.get("status").and_then(Value::as_str).unwrap_or("");
        let sent = read.exchange.timing.sent_us;
        if status != "running" || sent >= over {
            let last = ["succeeded", "failed", "partial-succeeded"].contains(&status);
            if !n.expect(last, read, "status", "a final status after the client had gone", || {
                format!("status {status}, {:.1} s after the client had gone", sent.saturating_sub(left) as f64 / 1e6)
            }) {
                n.with(flow.seen);
            }
        }
    }
}

fn nobody_left(run: &Run, app: &App) -> Option<String> {
    let left = flows(run, app).any(|f| left_at(f.seen).is_some() && f.detail(run).is_some());
    (!left).then(|| "no run was left while it ran and could be read afterwards; needs a slow app".to_owned())
}

/// Whether its own user stopped it; where no stop was recorded, the end of the run says that there was one.
fn stopped(run: &Run, flow: &Flow) -> bool {
    flow.seen.run_status() == Some("stopped") && (flow.stopped_by_owner(run) || !flow.stop_tried(run))
}

/// Source: OpenAPI `status` of `GET /workflows/run/{id}`.
fn stopped_status(run: &Run, app: &App, n: &mut Notes) {
    for flow in flows(run, app).filter(|f| stopped(run, f)) {
        let Some((read, detail)) = flow.detail(run) else { continue };
        let status = detail.get("status").and_then(Value::as_str).unwrap_or("absent");
        n.expect(status == "stopped", read, "status", "status stopped", || format!("status {status}"));
        let finished = detail.get("finished_at").is_some_and(|v| !v.is_null());
        n.expect(finished, read, "finished-at", "finished_at set", || "finished_at null".to_owned());
    }
}

fn nothing_stopped(run: &Run, app: &App) -> Option<String> {
    let any = flows(run, app).any(|f| stopped(run, &f) && f.detail(run).is_some());
    (!any).then(|| "no run could be stopped and read afterwards; needs a slow app".to_owned())
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "workflow.run-detail",
        area: "workflow",
        level: Level::Must,
        title: "Run detail matches the run",
        statement: "After the end GET /workflows/run/{id} gives same id, workflow_id, status, total_steps, total_tokens, and inputs containing the sent values.",
        source: "spec WorkflowRunDetailResponse; guide streaming.mdx (confirm completion)",
        modes: RUNS,
        tested: "GET after the end, the latest read counts. inputs, and outputs in Dify, are JSON in a string. Not for runs that somebody stopped; elapsed_time is not compared.",
        versions: Some("chatflow runs since 1.3.1"),
        load: Load::Sampled,
        judge: Judge::Run(run_detail),
        absent: no_detail,
    },
    Rule {
        id: "workflow.run-detail.unknown-404",
        area: "workflow",
        level: Level::Must,
        title: "Unknown run id is 404",
        statement: "A UUID of no run of this app gives 404 `not_found`.",
        source: "spec 404",
        modes: RUNS,
        tested: "A random UUID. Dify up to 1.12 answers 200 with every member null: a known deviation.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(unknown_404),
        absent: no_detail,
    },
    Rule {
        id: "workflow.run-isolation",
        area: "workflow",
        level: Level::Must,
        title: "Runs are private to the app",
        statement: "A run of app A is not readable with key B.",
        source: "src get_workflow_run_by_id(tenant, app); guide end-user-identity.mdx",
        modes: RUNS,
        tested: "The detail of a run is read with the key of another app: 404, or a 200 with nulls, never the record.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(isolation),
        absent: one_key,
    },
    Rule {
        id: "workflow.events.resume",
        area: "workflow",
        level: Level::Must,
        title: "Finished runs replay one workflow_finished",
        statement: "Reopening the events of a finished run yields exactly one workflow_finished and closes; a different user gets 404.",
        source: "spec GET /workflow/{id}/events; guide streaming.mdx",
        modes: RUNS,
        tested: "After the end with the same user: one event, same status and outputs; with another user 404; without user 400.",
        versions: Some(">=1.14"),
        load: Load::No,
        judge: Judge::Run(events_resume),
        absent: no_events,
    },
    Rule {
        id: "workflow.by-id",
        area: "workflow",
        level: Level::Should,
        title: "Run by id honours the version",
        statement: "workflow_id of an earlier response runs and is echoed in data.workflow_id; malformed id 400, unknown 404.",
        source: "spec; src workflow.py:WorkflowRunByIdApi",
        modes: WORKFLOW,
        tested: "Run once, take data.workflow_id, run by id, compare; \"x\" -> 400 bad_request; random UUID -> 404.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(by_id),
        absent: no_by_id,
    },
    Rule {
        id: "workflow.logs.consistent",
        area: "workflow",
        level: Level::Should,
        title: "Logs list the runs",
        statement: "Each run through the API appears once in /workflows/logs with created_from service-api; the filters status and created_by_end_user_session_id are exact.",
        source: "spec WorkflowLogsResponse; src workflow_app_service.py",
        modes: RUNS,
        tested: "Logs of a fresh user after its runs, and by status. Chatflow runs need not be listed.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(logs_consistent),
        absent: always,
    },
    Rule {
        id: "workflow.disconnect-continues",
        area: "workflow",
        level: Level::Should,
        title: "A dropped client does not lose the run",
        statement: "After the client closes the stream the run reaches a final status and the record leaves running.",
        source: "guide streaming.mdx (a dropped connection is not fatal)",
        modes: RUNS,
        tested: "The client hangs up after workflow_started; the detail is read after the run should be over (a minute, or what the query asks of an echo model).",
        versions: Some("0.15.3 leaves such runs `running`"),
        load: Load::Sampled,
        judge: Judge::Run(disconnect_continues),
        absent: nobody_left,
    },
    Rule {
        id: "stop.status.stopped",
        area: "stop",
        level: Level::Should,
        title: "A stopped run is recorded as stopped",
        statement: "Run detail shows status stopped and finished_at set.",
        source: "spec status; src persistence",
        modes: RUNS,
        tested: "A run is stopped by its user; its detail is read.",
        versions: Some("1.12.1 keeps `running`"),
        load: Load::No,
        judge: Judge::Run(stopped_status),
        absent: nothing_stopped,
    },
];
