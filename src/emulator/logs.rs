//! `GET /workflows/logs`: every run of the app, newest first, with filters and pages.

use serde_json::{Value, json};

use super::answer::Answer;
use super::config::AppMode;
use super::core::Core;
use super::fault::Fault;
use super::history::page_size;
use super::memory::RunRecord;
use super::messages::pseudo_uuid;
use super::refusal::{BadParameter, Problem, Refusal};
use super::request::Request;

const SCHEMA: &str = "WorkflowLogQuery";
/// The one account that exists; it has run nothing.
const ACCOUNT: &str = "probe@example.com";
const STATUSES: &[&str] = &["succeeded", "failed", "stopped"];

/// What is asked for.
#[derive(Debug, Default)]
struct Filter {
    keyword: Option<String>,
    status: Option<String>,
    before: Option<i64>,
    after: Option<i64>,
    session: Option<String>,
    by_account: bool,
}

impl Filter {
    fn keeps(&self, record: &RunRecord) -> bool {
        let within = |text: &str| {
            let (inputs, outputs) = (Value::Object(record.inputs.clone()).to_string(), record.outputs.to_string());
            inputs.contains(text) || outputs.contains(text)
        };
        !self.by_account
            && self.keyword.as_deref().is_none_or(within)
            && self.status.as_deref().is_none_or(|status| status == record.status.wire())
            && self.before.is_none_or(|second| record.created_at <= second)
            && self.after.is_none_or(|second| record.created_at >= second)
            && self.session.as_deref().is_none_or(|session| session == record.user)
    }
}

impl Core {
    /// One page of the log.
    pub(super) fn list_logs(&self, app: usize, request: &Request) -> Result<Answer, Refusal> {
        let filter = self.log_filter(request)?;
        let limit = page_size(request, SCHEMA, 100, &self.behaviour)?;
        let page = self.page_number(request)?;
        let logged = self.apps[app].mode() == AppMode::Workflow || self.behaviour.flow.logs_chatflows;
        let state = self.state(app);
        let newest_first = state.memory.run_order.iter().rev().filter(|_| logged);
        let kept: Vec<&RunRecord> =
            newest_first.filter_map(|id| state.memory.runs.get(id)).filter(|record| filter.keeps(record)).collect();
        let skipped = (page - 1).saturating_mul(limit);
        let rows: Vec<Value> = kept.iter().skip(skipped).take(limit).map(|record| log_row(app, record)).collect();
        let has_more = kept.len() > skipped.saturating_add(limit);
        let body = json!({"page": page, "limit": limit, "total": kept.len(), "has_more": has_more, "data": rows});
        drop(state);
        Ok(self.json(200, &body))
    }

    fn page_number(&self, request: &Request) -> Result<usize, Refusal> {
        let Some(text) = request.param("page") else {
            return Ok(1);
        };
        let problem = match text.trim().parse::<i64>() {
            Err(_) => Problem::NotInteger,
            Ok(number) if number < 1 => Problem::Below(1),
            Ok(number) if number > 99_999 => Problem::Above(99_999),
            Ok(number) => return Ok(usize::try_from(number).unwrap_or(1)),
        };
        Err(BadParameter { schema: SCHEMA, name: "page", problem, given: json!(text) }.refusal(&self.behaviour))
    }

    fn log_filter(&self, request: &Request) -> Result<Filter, Refusal> {
        let given = |name: &str| request.param(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let status = given("status");
        if let Some(text) = status.as_deref().filter(|text| !STATUSES.contains(text)) {
            let problem = Problem::NoChoice(STATUSES);
            let bad = BadParameter { schema: SCHEMA, name: "status", problem, given: json!(text) };
            return Err(bad.refusal(&self.behaviour));
        }
        let account = given("created_by_account");
        if let Some(unknown) = account.as_deref().filter(|account| *account != ACCOUNT) {
            return Err(Refusal::invalid(format!("Account not found: {unknown}")));
        }
        let ignored = !self.behaviour.flow.log_user_filter || self.broken(Fault::LogFilterIgnored);
        Ok(Filter {
            keyword: given("keyword"),
            status: status.filter(|_| !self.broken(Fault::LogFilterIgnored)),
            before: given("created_at__before").map(|text| moment(&text)).transpose()?,
            after: given("created_at__after").map(|text| moment(&text)).transpose()?,
            session: given("created_by_end_user_session_id").filter(|_| !ignored),
            by_account: account.is_some(),
        })
    }
}

fn log_row(app: usize, record: &RunRecord) -> Value {
    let failed = u64::from(record.status.wire() == "failed");
    json!({
        "id": record.log,
        "workflow_run": {
            "id": record.id, "version": "2026-11-23 08:46:34.551087", "status": record.status.wire(),
            "triggered_from": "app-run", "error": record.error, "elapsed_time": record.elapsed,
            "total_tokens": record.tokens, "total_steps": record.steps, "created_at": record.created_at,
            "finished_at": record.finished_at, "exceptions_count": failed
        },
        "details": null, "created_from": "service-api", "created_by_role": "end_user", "created_by_account": null,
        "created_by_end_user": {
            "id": pseudo_uuid(&(app, &record.user)), "type": "service-api", "is_anonymous": false,
            "session_id": record.user
        },
        "created_at": record.created_at
    })
}

/// Unix seconds of `YYYY-MM-DD`, with or without `Thh:mm:ss` and an offset.
fn moment(text: &str) -> Result<i64, Refusal> {
    parse_moment(text).ok_or_else(|| {
        let head: String = text.chars().take(4).collect();
        Refusal::invalid(format!("invalid literal for int() with base 10: b'{head}'"))
    })
}

fn parse_moment(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00:00"),
    };
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, offset) = match time.find(['Z', '+', '-']) {
        Some(at) => (time.get(..at)?, time.get(at..)?),
        None => (time, "Z"),
    };
    let mut clock = clock.split(':').map(|part| part.split('.').next().and_then(|part| part.parse::<i64>().ok()));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next().flatten().unwrap_or(0));
    let shift = match offset.strip_prefix('Z') {
        Some(_) => 0,
        None => {
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if offset.starts_with('-') { -seconds } else { seconds }
        }
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // days since the epoch by eras of 400 years that begin on 1 March
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let year_of_era = shifted_year.rem_euclid(400);
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_with_and_without_clock_and_offset() {
        assert_eq!(parse_moment("2026-11-23T09:02:16Z"), Some(1_795_424_536));
        assert_eq!(parse_moment("2026-11-23T10:02:16.5+01:00"), Some(1_795_424_536));
        assert_eq!(parse_moment("2000-02-29"), Some(951_782_400));
        assert_eq!(parse_moment("garbage"), None);
        assert_eq!(parse_moment("2026-13-01"), None);
    }
}
