//! `timeseries.csv`: one row per second (RFC 4180). Times in microseconds, shares from 0 to 1, memory in bytes; an empty field
//! means that nothing was measured.

use super::FailureClass;
use super::summary::{Second, StageResult};
use std::fmt::Write as _;

/// Columns before those of the failure classes.
const BEFORE: [&str; 10] =
    ["second", "stage", "stage_label", "planned", "begun", "dropped", "requests_sent", "ok", "failed", "events"];
/// Columns after them.
const AFTER: [&str; 12] = [
    "completion_tokens",
    "in_flight",
    "open_streams",
    "p50_us",
    "p95_us",
    "p99_us",
    "ttft_p50_us",
    "ttft_p95_us",
    "lag_max_us",
    "client_cpu",
    "client_rss_bytes",
    "measured",
];

/// Why a text is no `timeseries.csv`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// The first row is not ours.
    #[error("the first row is not that of a timeseries.csv of difyprobe")]
    Header,
    /// A row has another number of fields.
    #[error("row {row} has {found} fields instead of {expected}")]
    Fields {
        /// Row, from 1, the header included.
        row: usize,
        /// Fields it has.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// A field is no number.
    #[error("row {row}: '{field}' is no number")]
    Number {
        /// Row, from 1, the header included.
        row: usize,
        /// What stands there.
        field: String,
    },
}

/// The header row, without a line end.
pub fn header() -> String {
    let failures = FailureClass::ALL.iter().map(|class| format!("failed_{class}"));
    let columns = BEFORE.iter().map(|c| (*c).to_owned()).chain(failures).chain(AFTER.iter().map(|c| (*c).to_owned()));
    columns.collect::<Vec<_>>().join(",")
}

/// The whole file.
pub fn write(series: &[Second], stages: &[StageResult]) -> String {
    let mut out = header();
    out.push_str("\r\n");
    for second in series {
        row(&mut out, second, stages);
    }
    out
}

fn row(out: &mut String, second: &Second, stages: &[StageResult]) {
    let stage = stages.get(second.stage as usize);
    let failed: u64 = second.failures.values().sum();
    let _ = write!(out, "{},{},{}", second.t, second.stage, quoted(stage.map_or("", |stage| &stage.label)));
    for n in [second.planned, second.begun, second.dropped, second.requests, second.ok, failed, second.events] {
        let _ = write!(out, ",{n}");
    }
    for class in FailureClass::ALL {
        let _ = write!(out, ",{}", second.failures.get(class.as_str()).copied().unwrap_or(0));
    }
    for n in [second.completion_tokens, second.in_flight, second.open_streams] {
        let _ = write!(out, ",{n}");
    }
    let (overall, first) = ([second.p50_us, second.p95_us, second.p99_us], [second.ttft_p50_us, second.ttft_p95_us]);
    for time in overall.into_iter().chain(first).chain([second.lag_max_us]) {
        out.push(',');
        if let Some(us) = time {
            let _ = write!(out, "{us}");
        }
    }
    let measured = stage.is_some_and(|stage| stage.measure && f64::from(second.t) < stage.to_s);
    let _ = write!(out, ",{},{},{}\r\n", second.client_cpu, second.rss, u8::from(measured));
}

fn quoted(text: &str) -> String {
    let plain = !text.contains(['"', ',', '\r', '\n']);
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// Reads the seconds back.
///
/// # Errors
/// [`CsvError`] with the row.
pub fn read(text: &str) -> Result<Vec<Second>, CsvError> {
    let mut rows = rows(text).into_iter().enumerate();
    let first = rows.next().map(|(_, fields)| fields.join(","));
    if first.as_deref() != Some(header().as_str()) {
        return Err(CsvError::Header);
    }
    rows.map(|(at, fields)| second(at + 1, &fields)).collect()
}

fn second(row: usize, fields: &[String]) -> Result<Second, CsvError> {
    let expected = BEFORE.len() + FailureClass::ALL.len() + AFTER.len();
    if fields.len() != expected {
        return Err(CsvError::Fields { row, found: fields.len(), expected });
    }
    let text = |at: usize| fields.get(at).map_or("", String::as_str);
    let bad = |at: usize| CsvError::Number { row, field: text(at).to_owned() };
    let number = |at: usize| text(at).parse::<u64>().map_err(|_| bad(at));
    let small = |at: usize| text(at).parse::<u32>().map_err(|_| bad(at));
    let time = |at: usize| if text(at).is_empty() { Ok(None) } else { number(at).map(Some) };
    let classes = BEFORE.len();
    let after = classes + FailureClass::ALL.len();
    let mut failures = std::collections::BTreeMap::new();
    for (at, class) in FailureClass::ALL.iter().enumerate() {
        let n = number(classes + at)?;
        if n > 0 {
            failures.insert(class.as_str().to_owned(), n);
        }
    }
    Ok(Second {
        t: small(0)?,
        stage: small(1)?,
        planned: number(3)?,
        begun: number(4)?,
        dropped: number(5)?,
        requests: number(6)?,
        ok: number(7)?,
        failures,
        events: number(9)?,
        completion_tokens: number(after)?,
        in_flight: number(after + 1)?,
        open_streams: number(after + 2)?,
        p50_us: time(after + 3)?,
        p95_us: time(after + 4)?,
        p99_us: time(after + 5)?,
        ttft_p50_us: time(after + 6)?,
        ttft_p95_us: time(after + 7)?,
        lag_max_us: time(after + 8)?,
        client_cpu: text(after + 9).parse().map_err(|_| bad(after + 9))?,
        rss: number(after + 10)?,
    })
}

/// Splits a text into rows of fields; quoted fields may hold commas, quotes and line ends.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut fields, mut field, mut inside) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if inside && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => inside = !inside,
            ',' if !inside => fields.push(std::mem::take(&mut field)),
            '\r' if !inside => {}
            '\n' if !inside => {
                fields.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut fields));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !fields.is_empty() {
        fields.push(field);
        rows.push(fields);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds() -> Vec<Second> {
        let mut random = fastrand::Rng::with_seed(4);
        let busy = |t: u32| Second {
            t,
            stage: t / 2,
            planned: 7,
            begun: 6,
            dropped: 1,
            requests: 12,
            ok: 9,
            failures: [("http_429".to_owned(), 2), ("timeout".to_owned(), 1)].into(),
            events: 90,
            completion_tokens: 900,
            in_flight: 3,
            open_streams: 2,
            p50_us: Some(1_234),
            p95_us: Some(2_345),
            p99_us: Some(3_456),
            ttft_p50_us: Some(456),
            ttft_p95_us: None,
            lag_max_us: Some(u64::from(t)),
            client_cpu: 0.125,
            rss: 44_000_000,
        };
        (0..4)
            .map(|t| if random.bool() { busy(t) } else { Second { t, ..Second::default() } })
            .chain([busy(4)])
            .collect()
    }

    #[test]
    fn seconds_come_back_from_their_rows() {
        let stage = |label: &str| StageResult { label: label.into(), ..StageResult::default() };
        let text = write(&seconds(), &[stage("warm-up"), stage("peak, \"hard\"\nline"), stage("x")]);
        assert_eq!(read(&text), Ok(seconds()));
    }

    #[test]
    fn the_header_is_stable() {
        assert_eq!(
            header(),
            "second,stage,stage_label,planned,begun,dropped,requests_sent,ok,failed,events,failed_connect,failed_tls,\
             failed_timeout,failed_http_4xx,failed_http_429,failed_http_5xx,failed_http_other,failed_error_event,\
             failed_workflow_failed,failed_truncated,failed_missing_terminal,failed_schema,failed_rule,failed_protocol,\
             failed_cancelled,failed_too_large,completion_tokens,in_flight,open_streams,p50_us,p95_us,p99_us,\
             ttft_p50_us,ttft_p95_us,lag_max_us,client_cpu,client_rss_bytes,measured"
        );
    }

    #[test]
    fn other_tables_are_refused() {
        assert_eq!(read("a,b\r\n1,2\r\n"), Err(CsvError::Header));
        let short = format!("{}\r\n1,2\r\n", header());
        assert!(matches!(read(&short), Err(CsvError::Fields { row: 2, found: 2, .. })));
        let text = write(&seconds(), &[]).replace("\r\n4,", "\r\nfour,");
        assert_eq!(read(&text), Err(CsvError::Number { row: 6, field: "four".into() }));
    }
}
