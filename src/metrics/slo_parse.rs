//! Objectives as people write them: `ttft p(95) < 800ms`, `error-rate < 0.5% {in: [hold, recovery], abort}`.
//!
//! ```text
//! METRIC [ (CLASS) ] [STATISTIC] OPERATOR LIMIT [ {SCOPE, ..} ]
//! ```

use super::slo_words::{Nature, measure, names};
use super::{FailureClass, Measure, Metric, Op, Scope, Slo, Stat};
use std::time::Duration;

/// Why a text is no objective.
#[derive(Clone, Debug, PartialEq)]
pub struct SloError {
    /// What is wrong.
    pub message: String,
    /// Offset in characters of the part that is wrong, and its length; in [`SloParts`] always 0.
    pub at: (usize, usize),
    /// A word that is not known and the words that are, for a "did you mean".
    pub unknown: Option<(String, Vec<&'static str>)>,
    /// What to do about it; may be empty.
    pub help: &'static str,
    /// Which part is wrong: `metric`, `stat`, `op`, `limit` or `scope`.
    pub part: &'static str,
}

impl std::fmt::Display for SloError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SloError {}

/// The parts of an objective as texts: from one line, or from the keys of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SloParts {
    /// Name of a metric, with `-` or `_`.
    pub metric: String,
    /// `p95`, `p(95)`, `mean`, `min`, `max`; empty for what has no statistic.
    pub stat: String,
    /// `<`, `<=`, `>`, `>=`, `==`.
    pub op: String,
    /// A number with its unit.
    pub limit: String,
    /// A failure class, for `error-rate`; empty for all.
    pub class: String,
}

impl SloParts {
    /// What the parts mean, over the whole load.
    ///
    /// # Errors
    /// The part that is wrong, and why.
    pub fn read(&self) -> Result<Slo, SloError> {
        let (found, nature) = measure(&self.metric).ok_or_else(|| {
            let unknown = Some((self.metric.clone(), names()));
            let message = format!("there is no metric `{}`", self.metric);
            SloError { unknown, ..error("metric", message, "") }
        })?;
        let measure = self.measure(found)?;
        let limit = limit(&self.limit, nature)?;
        let op = self.op(limit, nature)?;
        let stat = if self.stat.is_empty() { String::new() } else { format!(" {}", self.stat) };
        let class = if self.class.is_empty() { String::new() } else { format!("({})", self.class) };
        Ok(Slo {
            measure,
            op,
            limit,
            scope: Scope::default(),
            abort: false,
            advisory: false,
            grace: Duration::ZERO,
            text: format!("{}{class}{stat} {} {}", self.metric, self.op, self.limit),
        })
    }

    /// The measure with its statistic or failure class.
    fn measure(&self, found: Measure) -> Result<Measure, SloError> {
        if !self.class.is_empty() && !matches!(found, Measure::ErrorRate(_)) {
            return Err(error("metric", format!("`{}` has no failure classes", self.metric), "`error-rate` has"));
        }
        match found {
            Measure::Latency(metric, _) => Ok(Measure::Latency(metric, self.statistic()?)),
            Measure::ErrorRate(_) => {
                self.no_statistic(&["rate"])?;
                Ok(Measure::ErrorRate(self.failure_class()?))
            }
            Measure::Dropped => self.no_statistic(&["count"]).map(|()| found),
            _ => self.no_statistic(&["rate"]).map(|()| found),
        }
    }

    fn failure_class(&self) -> Result<Option<FailureClass>, SloError> {
        if self.class.is_empty() {
            return Ok(None);
        }
        let wanted = self.class.replace('-', "_").to_ascii_lowercase();
        let found = FailureClass::ALL.into_iter().find(|c| c.as_str() == wanted);
        found.map(Some).ok_or_else(|| {
            let unknown = Some((self.class.clone(), FailureClass::ALL.iter().map(|c| c.as_str()).collect()));
            let message = format!("there is no failure class `{}`", self.class);
            SloError { unknown, ..error("metric", message, "") }
        })
    }

    fn no_statistic(&self, allowed: &[&str]) -> Result<(), SloError> {
        if self.stat.is_empty() || allowed.contains(&self.stat.as_str()) {
            return Ok(());
        }
        let message = format!("`{}` is one number: it has no `{}`", self.metric, self.stat);
        Err(error("stat", message, "leave the statistic out"))
    }

    fn statistic(&self) -> Result<Stat, SloError> {
        const HELP: &str = "there are p50, p95, p99.9 (any percentile), mean, min and max";
        let text = self.stat.to_ascii_lowercase();
        match text.as_str() {
            "" => {
                return Err(error("stat", format!("`{}` needs a statistic, e.g. `p(95)`", self.metric), HELP));
            }
            "med" | "median" => return Ok(Stat::Quantile(0.5)),
            "mean" | "avg" => return Ok(Stat::Mean),
            "min" => return Ok(Stat::Min),
            "max" => return Ok(Stat::Max),
            _ => {}
        }
        let percentile = text.strip_prefix('p').map(|rest| {
            let inner = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')'));
            inner.unwrap_or(rest).trim().to_owned()
        });
        match percentile.as_deref().and_then(decimal) {
            // A percent of a percent: 99.9 is 0.999 exactly as it would be written.
            Some(p) if p > 0.0 && p < 100.0 => Ok(Stat::Quantile((p * 1e6).round() / 1e8)),
            Some(_) => Err(error("stat", format!("`{}` is no percentile between 0 and 100", self.stat), HELP)),
            None => Err(error("stat", format!("`{}` is no statistic", self.stat), HELP)),
        }
    }

    fn op(&self, limit: f64, nature: Nature) -> Result<Op, SloError> {
        match self.op.as_str() {
            "<" => Ok(Op::Less),
            "<=" => Ok(Op::AtMost),
            ">" => Ok(Op::More),
            ">=" => Ok(Op::AtLeast),
            // Nothing is below 0 or above all.
            "==" | "=" if limit == 0.0 => Ok(Op::AtMost),
            "==" | "=" if limit == 1.0 && nature == Nature::Share => Ok(Op::AtLeast),
            "==" | "=" => Err(error("op", "an objective is a limit, not one value".to_owned(), "write `<=` or `>=`")),
            other => Err(error("op", format!("`{other}` compares nothing"), "there are `<`, `<=`, `>`, `>=`")),
        }
    }
}

fn error(part: &'static str, message: String, help: &'static str) -> SloError {
    SloError { message, at: (0, 0), unknown: None, help, part }
}

/// A number of digits with at most one point.
fn decimal(text: &str) -> Option<f64> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let fits = match text.split_once('.') {
        Some((whole, rest)) => digits(whole) && digits(rest),
        None => digits(text),
    };
    if fits { text.parse().ok().filter(|n: &f64| n.is_finite()) } else { None }
}

/// A limit in the unit of its nature.
fn limit(text: &str, nature: Nature) -> Result<f64, SloError> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let wrong = |message: String| Err(error("limit", message, nature.help()));
    if text.starts_with('-') {
        return wrong(format!("the limit `{text}` is negative"));
    }
    let Some(number) = decimal(number) else { return wrong(format!("`{text}` is no limit")) };
    let unit = unit.trim();
    match nature.scale(unit) {
        Some(scale) => {
            let value = number / scale.1 * scale.0;
            if nature == Nature::Share && value > 1.0 {
                return wrong(format!("`{text}` is more than everything"));
            }
            if nature == Nature::Count && value.fract() != 0.0 {
                return wrong(format!("`{text}` is no whole number"));
            }
            Ok(value)
        }
        // 0 is 0 in every unit.
        None if unit.is_empty() && number == 0.0 => Ok(0.0),
        None if unit.is_empty() => wrong(format!("the limit `{text}` has no unit")),
        None => wrong(format!("the limit `{text}` has the unit `{unit}`")),
    }
}

impl Slo {
    /// Reads one line, e.g. `ttft p(95) < 800ms`, `error-rate < 0.5% {in: hold, abort, grace: 10s}`.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(text: &str) -> Result<Slo, SloError> {
        let (head, scope) = match text.find('{') {
            Some(at) => (text.get(..at).unwrap_or_default(), Some(text.get(at..).unwrap_or_default())),
            None => (text, None),
        };
        let characters = |at: usize| head.get(..at).unwrap_or_default().chars().count();
        // A part can look like a piece of one before it (`e2e .. < 2`): the metric is the first of all, the limit the last.
        let place = |part: &str, last: bool| match if last { head.rfind(part) } else { head.find(part) } {
            Some(at) if !part.is_empty() => (characters(at), part.chars().count()),
            _ => (0, text.trim_end().chars().count()),
        };
        let parts = split(head).ok_or_else(|| {
            let message = format!("`{}` is no objective", text.trim());
            let help = "write METRIC STATISTIC < LIMIT, e.g. `ttft p(95) < 800ms`";
            SloError { at: place("", false), ..error("op", message, help) }
        })?;
        let mut slo = parts.read().map_err(|e| {
            let at = match e.part {
                "metric" if e.message.contains("class") => place(&format!("({}", parts.class), false),
                "metric" => place(&parts.metric, false),
                "stat" => place(&parts.stat, true),
                "limit" => place(&parts.limit, true),
                _ => place(&parts.op, false),
            };
            SloError { at, ..e }
        })?;
        if let Some(scope) = scope {
            let at = (head.chars().count(), scope.trim_end().chars().count());
            super::slo_scope::read(scope, &mut slo).map_err(|e| SloError { at, ..e })?;
        }
        slo.check_scope().map_err(|e| SloError { at: place(&parts.metric, false), ..e })?;
        slo.text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(slo)
    }

    /// Whether the part of the load that it is about has this measure at all.
    ///
    /// # Errors
    /// Which key of the scope makes no sense.
    pub fn check_scope(&self) -> Result<(), SloError> {
        let Scope { scenario, step, turn, stages } = &self.scope;
        let request = step.as_ref().map(|_| "step").or(turn.as_ref().map(|_| "turn"));
        let narrow = scenario.as_ref().map(|_| "scenario").or(request);
        let (key, whose) = match self.measure {
            Measure::Latency(Metric::Iteration, _) => (request, "is of whole scenarios"),
            Measure::Dropped | Measure::DeliveredRate => (narrow, "is of the whole load"),
            Measure::ClientCpu | Measure::ClientFds if !stages.is_empty() => (Some("in"), "is of the whole run"),
            Measure::ClientCpu | Measure::ClientFds => (narrow, "is of the whole run"),
            _ => (None, ""),
        };
        match key {
            None => Ok(()),
            Some(key) => {
                let message = format!("this metric {whose}: `{key}` does not narrow it");
                Err(error("scope", message, "leave it out"))
            }
        }
    }
}

/// Metric, class, statistic, operator and limit of a line.
fn split(head: &str) -> Option<SloParts> {
    let at = head.find(['<', '>', '='])?;
    let (left, right) = head.split_at(at);
    let end = right.find(|c| !matches!(c, '<' | '>' | '=')).unwrap_or(right.len());
    let (op, limit) = right.split_at(end);
    let left = left.trim();
    let end = left.find(|c: char| c.is_whitespace() || c == '(').unwrap_or(left.len());
    let (metric, rest) = left.split_at(end);
    let (class, stat) = match rest.trim_start().strip_prefix('(').and_then(|r| r.split_once(')')) {
        Some((class, stat)) => (class, stat),
        None => ("", rest),
    };
    let text = |part: &str| part.trim().to_owned();
    let parts =
        SloParts { metric: text(metric), stat: text(stat), op: text(op), limit: text(limit), class: text(class) };
    (!parts.metric.is_empty() && !parts.limit.is_empty()).then_some(parts)
}

#[cfg(test)]
#[path = "slo_parse_tests.rs"]
mod tests;
