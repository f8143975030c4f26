//! Requests about runs: detail, stop, events.

use serde_json::{Value, json};

use super::answer::{Answer, Reply};
use super::config::AppMode;
use super::core::Core;
use super::fault::Fault;
use super::feed::Reader;
use super::flow_behaviour::{RunDetail, StopPolicy};
use super::memory::{RunRecord, Status};
use super::refusal::Refusal;
use super::request::{Request, user_in_body, uuid_text};

fn unknown_run() -> Refusal {
    Refusal::not_found("Workflow run not found.")
}

impl Core {
    /// `GET /workflows/run/{id}`.
    pub(super) fn run_detail(&self, app: usize, id: &str) -> Result<Answer, Refusal> {
        let detail = self.behaviour.flow.detail;
        if detail == RunDetail::OldNulls || self.broken(Fault::ChatflowRunDetailRefused) {
            self.demand_mode(app, AppMode::Workflow)?;
        } else {
            self.demand_runs(app)?;
        }
        let Some(id) = uuid_text(id) else {
            return Err(if detail == RunDetail::Documented {
                unknown_run()
            } else {
                Refusal::unknown(&self.behaviour)
            });
        };
        let everywhere = detail == RunDetail::OldNulls || self.broken(Fault::RunsOfAnyApp);
        let apps = if everywhere { 0..self.app_count() } else { app..app + 1 };
        let found = apps.into_iter().find_map(|app| {
            let state = self.state(app);
            state.memory.runs.get(&id).map(|record| (Self::workflow_id(app), record.clone()))
        });
        match found {
            Some((workflow, record)) => Ok(self.json(200, &self.detail_of(&workflow, &record))),
            None if detail == RunDetail::Documented && !self.broken(Fault::UnknownRunNulls) => Err(unknown_run()),
            None => {
                let totals = if detail == RunDetail::OldNulls { json!(0) } else { Value::Null };
                Ok(self.json(
                    200,
                    &json!({
                        "id": null, "workflow_id": null, "status": null, "inputs": null, "outputs": null,
                        "error": null, "total_steps": totals, "total_tokens": totals, "created_at": null,
                        "finished_at": null, "elapsed_time": null
                    }),
                ))
            }
        }
    }

    /// Refuses a key whose app runs no workflow.
    fn demand_runs(&self, app: usize) -> Result<(), Refusal> {
        if self.apps[app].mode().runs() { Ok(()) } else { self.demand_mode(app, AppMode::Workflow) }
    }

    fn detail_of(&self, workflow: &str, record: &RunRecord) -> Value {
        let text = |value: Value| {
            Value::String(String::from_utf8_lossy(&self.behaviour.whole_json.write(&value)).into_owned())
        };
        let time = |second: i64| match self.behaviour.flow.detail {
            RunDetail::OldNulls => json!(rfc_822(second)),
            RunDetail::Documented | RunDetail::Nulls => json!(second),
        };
        let outputs = match self.behaviour.flow.detail {
            RunDetail::Documented => record.outputs.clone(),
            RunDetail::Nulls | RunDetail::OldNulls => match record.status {
                Status::Failed => Value::Null,
                Status::Running | Status::Paused => json!("{}"),
                Status::Succeeded | Status::Stopped => text(record.outputs.clone()),
            },
        };
        json!({
            "id": record.id, "workflow_id": workflow, "status": record.status.wire(),
            "inputs": text(Value::Object(record.inputs.clone())), "outputs": outputs, "error": record.error,
            "total_steps": record.steps, "total_tokens": record.tokens, "created_at": time(record.created_at),
            "finished_at": record.finished_at.map(time), "elapsed_time": record.elapsed
        })
    }

    /// Ends a run early, as far as the profile lets this user.
    pub(super) fn stop_run(&self, app: usize, task: &str, user: &str) {
        if self.broken(Fault::ChatflowStopOnlySaid) {
            return;
        }
        let anybody = self.behaviour.flow.stop == StopPolicy::Anybody;
        let workflow = self.apps[app].mode() == AppMode::Workflow;
        let apps = if anybody && workflow { 0..self.app_count() } else { app..app + 1 };
        for app in apps {
            let state = self.state(app);
            let Some(live) = state.memory.live.get(task) else {
                continue;
            };
            if live.user == user || (anybody && workflow) {
                live.stop.cancel();
            } else if anybody {
                live.abort.cancel();
            }
        }
    }

    /// `POST /workflows/tasks/{task}/stop`.
    pub(super) fn stop_workflow(&self, app: usize, task: &str, request: &Request) -> Result<Answer, Refusal> {
        let body = request.json(&self.behaviour)?;
        let user = user_in_body(&body).ok_or_else(Refusal::user_missing)?;
        self.demand_mode(app, AppMode::Workflow)?;
        self.stop_run(app, task, &user);
        Ok(self.json(200, &json!({"result": "success"})))
    }

    /// `GET /workflow/{id}/events`: what is still to come of a run, or its end.
    pub(super) fn run_events(&self, app: usize, id: &str, request: &Request) -> Result<Reply, Refusal> {
        let user = request.user_in_query().ok_or_else(Refusal::user_missing)?;
        self.demand_runs(app)?;
        let id = uuid_text(id).ok_or_else(unknown_run)?;
        let flag = |name: &str| request.param(name) == Some("true");
        let state = self.state(app);
        let record = state.memory.runs.get(&id).filter(|record| record.user == user).ok_or_else(unknown_run)?;
        if let Some(mut event) = record.finished.clone() {
            drop(state);
            event.insert("task_id".to_owned(), json!(id));
            let mut body = b"data: ".to_vec();
            body.extend(self.behaviour.sse_json.write(&Value::Object(event)));
            body.extend(b"\n\n");
            if self.broken(Fault::ResumeReplaysNothing) {
                body.clear();
            }
            return Ok(Reply::Whole(Answer { body, ..self.stream_head() }));
        }
        let feed = record.feed.clone().ok_or_else(unknown_run)?;
        drop(state);
        let progress = feed.progress();
        let leaves = (!flag("continue_on_pause")).then_some(progress.pauses);
        let mut reader = Reader::new(feed.clone(), progress.blocks, leaves);
        if flag("include_state_snapshot") {
            let told = (0..progress.blocks).filter_map(|at| feed.block(at));
            let states = ["workflow_started", "node_started", "node_finished"];
            reader.preface = told.filter(|block| states.contains(&block.event)).map(|block| block.bytes).collect();
        }
        Ok(Reply::Following(self.stream_head(), Box::new(reader)))
    }
}

/// `Mon, 23 Nov 2026 09:02:16 -0000` of Unix seconds.
fn rfc_822(second: i64) -> String {
    let (days, rest) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    let date = super::replies::iso(second);
    let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or_default().to_owned();
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let named = |names: &[&'static str], at: i64| {
        usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or_default()
    };
    let day_name = named(&weekday, days.rem_euclid(7));
    let month_name = named(&month, part(5..7).parse::<i64>().unwrap_or(1) - 1);
    format!(
        "{day_name}, {} {month_name} {} {:02}:{:02}:{:02} -0000",
        part(8..10),
        part(0..4),
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_times_are_written_in_words() {
        assert_eq!(rfc_822(1_795_424_536), "Mon, 23 Nov 2026 09:02:16 -0000");
        assert_eq!(rfc_822(0), "Thu, 01 Jan 1970 00:00:00 -0000");
    }
}
