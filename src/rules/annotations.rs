//! Area `annotations`: stored questions with their answers.

use super::notes::Notes;
use super::offered::off;
use super::request::is_uuid;
use super::rule::{Judge, Load, Rule};
use super::run::Run;
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, AppMode, Endpoint, Level};
use crate::schema::Document;
use serde_json::Value;

/// Most rows of a page. Source: OpenAPI `GET /apps/annotations`.
const MOST_ROWS: usize = 100;

/// Calls that reached the operation: an unknown route is a 404 without a JSON body.
fn reached<'r, 't>(run: &'r Run<'t>, app: &'r App, endpoint: Endpoint) -> impl Iterator<Item = &'r Seen<'t>> {
    let answered = |s: &&Seen| s.has_key() && s.exchange.reply.is_some() && !(s.is(404) && s.json.is_none());
    run.calls(app, endpoint).filter(answered)
}

/// Question and answer of a body, where both are texts.
fn texts<'s>(s: &'s Seen) -> Option<(&'s str, &'s str)> {
    let text = |name: &str| s.sent.member(name).and_then(Value::as_str);
    Some((text("question")?, text("answer")?))
}

/// Answers of DELETE have no body; those of other methods tell the annotation.
fn told(s: &Seen, question: &str, answer: &str, n: &mut Notes) {
    let Some(json) = &s.json else { return };
    n.fits(s, Document::Annotation, json);
    let shown = (s.text("question"), s.text("answer"));
    let same = shown == (Some(question), Some(answer));
    n.expect(same, s, "texts", format!("question `{}` and answer `{}`", clip(question), clip(answer)), || {
        format!("{shown:?}")
    });
}

/// One annotation's life as a run showed it.
struct Life<'r, 't> {
    id: &'r str,
    /// When which texts came into force: creation and successful updates; none from a deletion on.
    states: Vec<(&'r Seen<'t>, Option<(&'r str, &'r str)>)>,
}

fn lives<'r, 't>(run: &'r Run<'t>, app: &'r App) -> Vec<Life<'r, 't>> {
    let created = reached(run, app, Endpoint::AnnotationCreate).filter(|s| s.succeeded());
    let life = |s: &'r Seen<'t>| {
        let id = s.text("id")?;
        let mut states = vec![(s, texts(s))];
        let later = reached(run, app, Endpoint::Annotation).filter(|c| c.route.ids.first().is_some_and(|i| i == id));
        for change in later.filter(|c| c.succeeded()) {
            states.push((change, if change.exchange.request.method == "DELETE" { None } else { texts(change) }));
        }
        Some(Life { id, states })
    };
    created.filter_map(life).collect()
}

impl<'r> Life<'r, '_> {
    /// The texts in force during a read or before a change; `None` where that is not certain or it did not exist yet.
    fn during(&self, read: &Seen) -> Option<Option<(&'r str, &'r str)>> {
        let (sent, ended) = (read.exchange.timing.sent_us, read.exchange.ended_us());
        let mut others = self.states.iter().filter(|(s, _)| s.exchange.id != read.exchange.id);
        let settled = others.all(|(s, _)| s.exchange.ended_us() <= sent || s.exchange.timing.sent_us >= ended);
        let last = self.states.iter().rfind(|(s, _)| s.exchange.ended_us() <= sent);
        last.filter(|_| settled).map(|(_, texts)| *texts)
    }
}

/// Source: OpenAPI `/apps/annotations`; Dify source `annotation.py`.
fn crud(run: &Run, app: &App, n: &mut Notes) {
    for s in reached(run, app, Endpoint::AnnotationCreate) {
        if let Some((question, answer)) = texts(s) {
            if n.expect(s.is(201), s, "created", "status 201", || s.outcome_text()) {
                told(s, question, answer, n);
            }
        } else if s.sent.body.is_some() {
            n.expect(s.is(400), s, "incomplete", "status 400 without question and answer", || s.outcome_text());
        }
    }
    let lives = lives(run, app);
    for s in reached(run, app, Endpoint::Annotation) {
        change(run, s, &lives, n);
    }
    for read in reached(run, app, Endpoint::Annotations).filter(|s| s.is(200)) {
        let Some(json) = &read.json else { continue };
        n.fits(read, Document::Annotations, json);
        listed(run, read, json, &lives, n);
    }
}

/// PUT and DELETE.
fn change(run: &Run, s: &Seen, lives: &[Life], n: &mut Notes) {
    let delete = s.exchange.request.method == "DELETE";
    let Some(id) = s.route.ids.first().filter(|id| is_uuid(id)) else { return };
    let Some(life) = lives.iter().find(|l| l.id == id) else {
        let unknown = !run
            .seen
            .iter()
            .any(|o| o.exchange.reply.as_ref().is_some_and(|r| r.body.text().is_some_and(|t| t.contains(id.as_str()))));
        if run.transcript.complete && unknown && (delete || texts(s).is_some()) {
            n.expect(s.is(404), s, "unknown", "status 404 for an unknown annotation", || s.outcome_text());
        }
        return;
    };
    match (life.during(s), texts(s)) {
        // Another DELETE may be missing.
        (Some(Some(_)), _) if s.is(404) && !run.transcript.complete => {}
        (Some(Some(_)), _) if delete => {
            n.expect(s.is(204), s, "deleted", "status 204", || s.outcome_text());
        }
        (Some(Some(_)), Some((question, answer))) => {
            n.expect(s.is(200), s, "updated", "status 200", || s.outcome_text());
            if s.is(200) {
                n.expect(s.text("id") == Some(id), s, "same-id", format!("id {id}"), || {
                    format!("{:?}", s.member("id"))
                });
                told(s, question, answer, n);
            }
        }
        (Some(None), _) if delete || texts(s).is_some() => {
            n.expect(s.is(404), s, "gone", "status 404 for a deleted annotation", || s.outcome_text());
        }
        _ => {}
    }
}

/// Searches by keyword whose whole result is one page: what we made and fits must be there, once.
fn listed(run: &Run, read: &Seen, json: &Value, lives: &[Life], n: &mut Notes) {
    let Some(keyword) = read.route.param("keyword").filter(|k| !k.is_empty()).map(str::to_lowercase) else { return };
    let rows = json.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let total = json.get("total").and_then(Value::as_u64);
    if total != Some(rows.len() as u64) {
        return;
    }
    let has = |text: &str| text.to_lowercase().contains(&keyword);
    let mut certain = true;
    let mut expected = 0;
    let mut ours = false;
    for life in lives {
        let rows: Vec<&Value> = rows.iter().filter(|r| r.get("id").is_some_and(|id| id == life.id)).collect();
        match life.during(read) {
            Some(Some((question, answer))) if has(question) || has(answer) => {
                ours = true;
                expected += 1;
                let same = |row: &Value| {
                    row.get("question").is_some_and(|v| v == question) && row.get("answer").is_some_and(|v| v == answer)
                };
                // Changes may be missing.
                let foreign = !run.transcript.complete && rows.iter().all(|row| !same(row));
                let holds = foreign || (rows.len() == 1 && rows.iter().all(|row| same(row)));
                n.expect(holds, read, "listed", format!("annotation {} with its texts, once", life.id), || {
                    clip(&Value::Array(rows.iter().map(|row| (*row).clone()).collect()).to_string())
                });
            }
            Some(Some(_)) => {}
            Some(None) => {
                ours |= life.states.iter().any(|(_, t)| t.is_some_and(|(q, a)| has(q) || has(a)));
                n.expect(rows.is_empty(), read, "still-listed", "no deleted annotation", || {
                    format!("{} is listed", life.id)
                });
            }
            None => certain &= life.states.iter().any(|(s, _)| s.exchange.timing.sent_us >= read.exchange.ended_us()),
        }
    }
    // a nonce that only our annotations hold
    if ours && certain && keyword.len() >= 8 && run.transcript.complete {
        n.expect(
            rows.len() == expected,
            read,
            "total",
            format!("{expected} annotations with `{}`", clip(&keyword)),
            || rows.len().to_string(),
        );
    }
}

/// Source: OpenAPI `GET /apps/annotations` (limit capped at 100); Dify source `max_per_page=100`.
fn list_cap(s: &Seen, n: &mut Notes) {
    let Some(json) = s.json.filter(|_| s.endpoint() == Endpoint::Annotations && s.is(200)) else { return };
    let number = |name: &str, otherwise: i64| {
        s.route.param(name).map_or(Some(otherwise), |text| text.parse::<i64>().ok()).filter(|n| *n > 0)
    };
    let (Some(page), Some(limit)) = (number("page", 1), number("limit", 20)) else { return };
    let rows = json.get("data").and_then(Value::as_array).map_or(0, Vec::len);
    let most = usize::try_from(limit).unwrap_or(MOST_ROWS).min(MOST_ROWS);
    n.expect(rows <= most, s, "cap", format!("at most {most} items"), || format!("{rows} items"));
    let whole = |member: &str| json.get(member).and_then(Value::as_u64).and_then(|v| usize::try_from(v).ok());
    let (Some(total), Some(shown)) = (whole("total"), whole("page")) else { return };
    let page = usize::try_from(page).unwrap_or(usize::MAX);
    n.expect(shown == page, s, "page", format!("page {page}"), || format!("page {shown}"));
    let upto = (page - 1).saturating_mul(most).saturating_add(rows);
    n.expect(rows == 0 || upto <= total, s, "total", format!("a total of at least {upto}"), || {
        format!("total {total}")
    });
    if let Some(has_more) = json.get("has_more").and_then(Value::as_bool).filter(|_| rows > 0) {
        let remains = upto < total;
        n.expect(has_more == remains, s, "has-more", format!("has_more {remains} ({upto} of {total} shown)"), || {
            format!("has_more {has_more}")
        });
    }
}

/// Source: annotation guide; Dify source `handle_annotation_reply`; real bug: langgenius/dify issue 6201.
fn reply(run: &Run, app: &App, n: &mut Notes) {
    if off(run, app, "annotation_reply").is_some() {
        return;
    }
    let lives = lives(run, app);
    for s in run.calls(app, Endpoint::ChatMessages).filter(|s| s.sent.valid() && s.completed()) {
        let Some(query) = s.sent.query() else { continue };
        let matching = |life: &&Life| matches!(life.during(s), Some(Some((question, _))) if question == query);
        let Some(Some((_, answer))) = lives.iter().find(matching).and_then(|life| life.during(s)) else { continue };
        let given = s.answer().unwrap_or_default();
        n.expect(given == answer, s, "answer", format!("the stored answer `{}`", clip(answer)), || clip(&given));
        if app.mode == Some(AppMode::AdvancedChat) {
            continue;
        }
        let end = s.stream.and_then(|stream| stream.find("message_end")).map(|e| &e.value);
        let metadata = end.or(s.json).and_then(|holder| holder.get("metadata"));
        let named = metadata.and_then(|m| m.get("annotation_reply")).is_some_and(Value::is_object);
        n.advise(named, s, "metadata", "metadata.annotation_reply to tell the annotation", || {
            clip(&metadata.map(Value::to_string).unwrap_or_default())
        });
    }
}

fn no_annotations(run: &Run, app: &App) -> Option<String> {
    let calls = [Endpoint::Annotations, Endpoint::AnnotationCreate].into_iter().flat_map(|e| run.calls(app, e));
    let mut missing = calls.filter(|s| s.has_key() && (s.is(404) || s.is(403)));
    missing.next().map(|s| format!("the server offers no annotations ({})", s.outcome_text()))
}

fn no_reply(run: &Run, app: &App) -> Option<String> {
    off(run, app, "annotation_reply").or_else(|| no_annotations(run, app))
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "annotation.crud",
        area: "annotations",
        level: Level::Should,
        title: "Annotation lifecycle",
        statement: "201 on creation, then found by keyword; PUT changes it in place; DELETE 204, then absent; an unknown id is 404.",
        source: "spec; src annotation.py",
        modes: &[AppMode::Chat, AppMode::AgentChat, AppMode::AdvancedChat],
        tested: "Create, list, update, list, delete, list, with a nonce in the question; the scenario removes what it made.",
        versions: Some("not in 0.15"),
        load: Load::No,
        judge: Judge::Run(crud),
        absent: no_annotations,
    },
    Rule {
        id: "annotation.list.cap",
        area: "annotations",
        level: Level::May,
        title: "Annotation pages",
        statement: "limit above 100 yields at most 100 items; page, total and has_more are consistent.",
        source: "spec (capped at 100); src max_per_page=100",
        modes: &[AppMode::Chat, AppMode::AgentChat, AppMode::AdvancedChat],
        tested: "limit=1000 and the default; an app with 100 annotations or fewer shows the numbers only.",
        versions: Some("not in 0.15; 1.12.1 computes has_more as full page"),
        load: Load::No,
        judge: Judge::Exchange(list_cap),
        absent: no_annotations,
    },
    Rule {
        id: "annotation.reply",
        area: "annotations",
        level: Level::Should,
        title: "A matched annotation is returned verbatim",
        statement: "With annotation reply on, the exact question returns the stored answer, in both modes, with metadata.annotation_reply (chat and agent apps).",
        source: "spec annotations; guide chat.mdx; src handle_annotation_reply",
        modes: &[AppMode::Chat, AppMode::AgentChat, AppMode::AdvancedChat],
        tested: "Create a question and an answer with nonces, ask the question streaming and blocking; nothing is switched on for it.",
        versions: Some("0.6: blocking chatflows lost it"),
        load: Load::No,
        judge: Judge::Run(reply),
        absent: no_reply,
    },
];
