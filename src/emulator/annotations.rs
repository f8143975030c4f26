//! Annotations: stored questions with their answers, and whether chat turns use them.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::config::AppMode;
use super::core::Core;
use super::fault::Fault;
use super::refusal::{BadParameter, Problem, Refusal};
use super::request::Request;
use super::state::{Annotation, Moment, State};

/// Most rows of a page.
const MOST_ROWS: usize = 100;
/// Annotations a chat app has from the start: more than a page holds.
const FIRST_ONES: usize = 104;

/// Fills the memory of an app.
pub(super) fn furnish(state: &mut State, mode: AppMode) {
    let count = if mode == AppMode::Chat { FIRST_ONES } else { 0 };
    for number in 1..=count {
        let (question, answer) = (format!("Question {number} of the handbook?"), format!("Answer {number}."));
        let id = state.uuid();
        state.annotations.push(Annotation { id, question, answer, created_at: 1_700_000_000 });
    }
}

impl Core {
    /// `GET /apps/annotations`, newest first.
    pub(super) fn list_annotations(&self, app: usize, request: &Request) -> Answer {
        let number = |name: &str, otherwise: i64| {
            request.param(name).and_then(|text| text.parse::<i64>().ok()).unwrap_or(otherwise)
        };
        let (page, limit) = (number("page", 1).max(1), number("limit", 20));
        let rows_of_page = match usize::try_from(limit).unwrap_or(0) {
            0 => 20,
            rows if self.broken(Fault::AnnotationPageUncapped) => rows,
            rows => rows.min(MOST_ROWS),
        };
        let keyword = request.param("keyword").unwrap_or_default().to_lowercase();
        let state = self.state(app);
        let has = |text: &str| text.to_lowercase().contains(&keyword);
        let found: Vec<&Annotation> =
            state.annotations.iter().rev().filter(|a| has(&a.question) || has(&a.answer)).collect();
        let skipped = usize::try_from(page - 1).unwrap_or(0).saturating_mul(rows_of_page);
        let rows: Vec<Value> = found.iter().skip(skipped).take(rows_of_page).map(|a| row(a)).collect();
        let total = found.len();
        let has_more = if self.behaviour.full_page_means_more {
            i64::try_from(rows.len()).is_ok_and(|count| count == limit)
        } else {
            skipped + rows.len() < total
        };
        drop(state);
        self.json(200, &json!({"data": rows, "has_more": has_more, "limit": limit, "total": total, "page": page}))
    }

    /// `POST /apps/annotations`.
    pub(super) fn create_annotation(&self, app: usize, request: &Request, now: Moment) -> Result<Answer, Refusal> {
        let (question, answer) = self.annotation_body(request, "AnnotationCreatePayload")?;
        Ok(self.json(201, &self.store_annotation(app, question, answer, now)))
    }

    /// `PUT /apps/annotations/{id}`.
    pub(super) fn update_annotation(
        &self,
        app: usize,
        id: &str,
        request: &Request,
        now: Moment,
    ) -> Result<Answer, Refusal> {
        let (question, answer) = self.annotation_body(request, "AnnotationCreatePayload")?;
        let mut state = self.state(app);
        let annotation = state.annotations.iter_mut().find(|a| a.id == id).ok_or_else(unknown)?;
        if self.broken(Fault::AnnotationPutCreates) {
            drop(state);
            return Ok(self.json(200, &self.store_annotation(app, question, answer, now)));
        }
        let before = row(annotation);
        (annotation.question, annotation.answer) = (question, answer);
        let document = if self.broken(Fault::AnnotationPutTellsOld) { before } else { row(annotation) };
        drop(state);
        Ok(self.json(200, &document))
    }

    /// `DELETE /apps/annotations/{id}`.
    pub(super) fn delete_annotation(&self, app: usize, id: &str) -> Result<Answer, Refusal> {
        let mut state = self.state(app);
        let at = state.annotations.iter().position(|a| a.id == id).ok_or_else(unknown)?;
        state.annotations.remove(at);
        drop(state);
        if self.broken(Fault::AnnotationDeleteTells) {
            return Ok(self.json(200, &json!({ "result": "success" })));
        }
        Ok(Answer { status: 204, headers: self.headers("application/json", true), body: Vec::new() })
    }

    /// `POST /apps/annotation-reply/{action}`: the job is done at once.
    pub(super) fn switch_annotation_reply(
        &self,
        app: usize,
        action: &str,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        let body = request.json(&self.behaviour)?;
        for name in ["score_threshold", "embedding_provider_name", "embedding_model_name"] {
            if !body.contains_key(name) {
                return Err(self.missing("AnnotationReplyActionPayload", name, &body));
            }
        }
        let enabled = match action {
            "enable" => true,
            "disable" => false,
            _ if self.behaviour.database_slips => return Err(Refusal::unknown(&self.behaviour)),
            _ => return Err(Refusal::invalid("action must be one of: enable, disable")),
        };
        let mut state = self.state(app);
        state.annotation_reply = enabled;
        let job = state.uuid();
        state.jobs.push(job.clone());
        drop(state);
        Ok(self.json(200, &json!({"job_id": job, "job_status": "waiting"})))
    }

    /// `GET /apps/annotation-reply/{action}/status/{job}`.
    pub(super) fn annotation_job(&self, app: usize, job: &str) -> Result<Answer, Refusal> {
        if !self.state(app).jobs.iter().any(|known| known == job) {
            return Err(Refusal::invalid("The job does not exist."));
        }
        Ok(self.json(200, &json!({"job_id": job, "job_status": "completed", "error_msg": ""})))
    }

    /// The annotation that answers a query, where annotations do.
    pub(super) fn matching_annotation(&self, state: &State, query: &str, streaming: bool) -> Option<Annotation> {
        if !state.annotation_reply || (!streaming && self.broken(Fault::AnnotationNotInBlocking)) {
            return None;
        }
        state.annotations.iter().rev().find(|a| a.question == query).cloned()
    }

    fn annotation_body(&self, request: &Request, schema: &'static str) -> Result<(String, String), Refusal> {
        let body = request.json(&self.behaviour)?;
        let text = |name: &'static str| match body.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => {
                let bad = BadParameter { schema, name, problem: Problem::NotText, given: other.clone() };
                Err(bad.refusal(&self.behaviour))
            }
            None => Err(self.missing(schema, name, &body)),
        };
        Ok((text("question")?, text("answer")?))
    }

    fn missing(&self, schema: &'static str, name: &'static str, body: &Map<String, Value>) -> Refusal {
        let given = Value::Object(body.clone());
        BadParameter { schema, name, problem: Problem::Missing, given }.refusal(&self.behaviour)
    }

    fn store_annotation(&self, app: usize, question: String, answer: String, now: Moment) -> Value {
        let mut state = self.state(app);
        let annotation = Annotation { id: state.uuid(), question, answer, created_at: now.unix_seconds() };
        let document = row(&annotation);
        state.annotations.push(annotation);
        document
    }
}

fn unknown() -> Refusal {
    Refusal::not_found("Annotation not found")
}

fn row(annotation: &Annotation) -> Value {
    json!({
        "id": annotation.id, "question": annotation.question, "answer": annotation.answer, "hit_count": 0,
        "created_at": annotation.created_at
    })
}
