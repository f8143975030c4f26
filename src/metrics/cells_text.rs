//! `cells.hlog`: all cells of a load as text, and back without loss.

use super::cells::{Cell, Cells, Key, TURNS};
use super::goodput::turn_name;
use super::hlog::{self, HlogError, HlogWriter, Line};
use super::{FailureClass, Metric, StageWindow, Turn};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const FORMAT: &str = "difyprobe.cells/1";

/// Why a text is no `cells.hlog`; lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellsError {
    /// A line that is no line of an interval log.
    #[error("line {line}: {cause}")]
    Hlog {
        /// Line.
        line: usize,
        /// What is wrong.
        cause: HlogError,
    },
    /// A comment of ours that cannot be read.
    #[error("line {line}: {cause}")]
    Json {
        /// Line.
        line: usize,
        /// What is wrong.
        cause: String,
    },
    /// A tag that names no cell.
    #[error("line {line}: tag '{tag}' names no cell of this load")]
    Tag {
        /// Line.
        line: usize,
        /// The tag.
        tag: String,
    },
    /// Something else than `cells.hlog`.
    #[error("the line '#{FORMAT} ...' is missing")]
    Format,
}

#[derive(Serialize, Deserialize)]
struct Head {
    stages: usize,
    places: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Counters {
    cell: String,
    requests: u64,
    ok: u64,
    good: u64,
    failures: BTreeMap<String, u64>,
    events: u64,
    pings: u64,
    completion_tokens: u64,
    cost: BTreeMap<String, u64>,
}

/// The text of `cells.hlog`. `stages` are those of the run, as far as they were run; `elapsed_us` ends the drain.
pub fn write(cells: &Cells, started_unix_us: u64, stages: &[StageWindow], elapsed_us: u64) -> String {
    let notes =
        ["times in microseconds, the third column in milliseconds", "one entry per stage/scenario/step/turn/metric"];
    let mut out = hlog::head(started_unix_us, &notes);
    let places = cells.places().map(|(scenario, step)| (scenario.to_owned(), step.to_owned())).collect();
    comment(&mut out, FORMAT, &Head { stages: cells.stages(), places });
    let mut writer = HlogWriter::default();
    for (key, cell) in cells.iter() {
        let name = name(&key, stages);
        comment(&mut out, "cell", &counters(&name, cell));
        let drain = stages.last().map_or(0, |last| last.to_us);
        let stage = key.stage.and_then(|stage| stages.get(stage));
        let (from_us, to_us) = stage.map_or((drain, elapsed_us), |stage| (stage.from_us, stage.to_us));
        for metric in Metric::ALL {
            if let Some(counts) = cell.times.get(metric) {
                writer.line(&mut out, &format!("{name}/{metric}"), from_us, to_us.saturating_sub(from_us), counts);
            }
        }
    }
    out
}

fn comment(out: &mut String, word: &str, value: &impl Serialize) {
    // Strings and numbers only: cannot fail.
    let json = serde_json::to_string(value).unwrap_or_default();
    let _ = writeln!(out, "#{word} {json}");
}

fn name(key: &Key, stages: &[StageWindow]) -> String {
    let stage = key.stage.map(|at| {
        let label = stages.get(at).map_or("", |stage| stage.label.as_str());
        format!("{at}:{}", hlog::escape(label))
    });
    let stage = stage.as_deref().unwrap_or("drain");
    format!("{stage}/{}/{}/{}", hlog::escape(key.scenario), hlog::escape(key.step), turn_name(key.turn))
}

fn counters(name: &str, cell: &Cell) -> Counters {
    Counters {
        cell: name.to_owned(),
        requests: cell.requests,
        ok: cell.ok,
        good: cell.good,
        failures: cell.failures_by_name(),
        events: cell.events,
        pings: cell.pings,
        completion_tokens: cell.completion_tokens,
        cost: cell.cost.clone(),
    }
}

/// Reads `cells.hlog`.
///
/// # Errors
/// [`CellsError`] with the line.
pub fn read(text: &str) -> Result<Cells, CellsError> {
    let mut cells: Option<Cells> = None;
    for (at, text) in text.lines().enumerate() {
        let line = at + 1;
        let json = |cause: serde_json::Error| CellsError::Json { line, cause: cause.to_string() };
        match hlog::read_line(text).map_err(|cause| CellsError::Hlog { line, cause })? {
            Line::Legend => {}
            Line::Comment(comment) => match comment.split_once(' ') {
                Some((FORMAT, rest)) => cells = Some(empty(serde_json::from_str(rest).map_err(json)?)),
                Some(("cell", rest)) => {
                    let counters: Counters = serde_json::from_str(rest).map_err(json)?;
                    let cells = cells.as_mut().ok_or(CellsError::Format)?;
                    let tag = || CellsError::Tag { line, tag: counters.cell.clone() };
                    fill(entry(cells, &counters.cell).ok_or_else(tag)?, &counters);
                }
                _ => {}
            },
            Line::Entry(found) => {
                let cells = cells.as_mut().ok_or(CellsError::Format)?;
                let unknown = || CellsError::Tag { line, tag: found.tag.clone() };
                let (name, metric) = found.tag.rsplit_once('/').ok_or_else(unknown)?;
                let metric = Metric::parse(metric).ok_or_else(unknown)?;
                entry(cells, name).ok_or_else(unknown)?.times.entry(metric).add(&found.counts);
            }
        }
    }
    cells.ok_or(CellsError::Format)
}

fn empty(head: Head) -> Cells {
    // A number of stages from a file must not decide how much memory is taken.
    let mut cells = Cells::new(head.stages.min(usize::from(u16::MAX)));
    for (scenario, step) in &head.places {
        cells.place(scenario, step);
    }
    cells
}

fn entry<'c>(cells: &'c mut Cells, name: &str) -> Option<&'c mut Cell> {
    let parts: Vec<&str> = name.split('/').collect();
    let [stage, scenario, step, turn] = parts.as_slice() else { return None };
    let stage = match *stage {
        "drain" => None,
        stage => Some(stage.split(':').next()?.parse::<usize>().ok().filter(|at| *at < cells.stages())?),
    };
    let turn: Turn = TURNS.into_iter().find(|known| turn_name(*known) == *turn)?;
    let place = cells.place(&hlog::unescape(scenario), &hlog::unescape(step));
    cells.entry(place, stage, turn)
}

fn fill(cell: &mut Cell, counters: &Counters) {
    cell.requests = counters.requests;
    cell.ok = counters.ok;
    cell.good = counters.good;
    for (slot, class) in cell.failures.iter_mut().zip(FailureClass::ALL) {
        *slot = counters.failures.get(class.as_str()).copied().unwrap_or(0);
    }
    cell.events = counters.events;
    cell.pings = counters.pings;
    cell.completion_tokens = counters.completion_tokens;
    cell.cost = counters.cost.clone();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Sample;
    use crate::metrics::summarise::tests::{sample, stages};

    fn cells() -> Cells {
        let mut cells = Cells::new(3);
        cells.place("never", "sent");
        let mut random = fastrand::Rng::with_seed(11);
        for i in 0..500_u64 {
            let place = cells.place(["chat", "a b/c"][random.usize(0..2)], ["ask", "", "ü,"][random.usize(0..3)]);
            let stage = [None, Some(0), Some(2)][random.usize(0..3)];
            let turn = TURNS[random.usize(0..3)];
            let fine = sample(random.u64(1..9_000_000), turn);
            let seen = if i % 9 == 0 { Sample { outcome: Err(FailureClass::Tls), ..fine } } else { fine };
            cells.entry(place, stage, turn).into_iter().for_each(|cell| cell.record(&seen, i % 2 == 0));
        }
        cells
    }

    #[test]
    fn cells_come_back_from_their_text_exactly() {
        let wanted = cells();
        let text = write(&wanted, 1_700_000_000_000_000, &stages(), 9_000_000);
        assert!(text.lines().all(|line| !line.starts_with("Tag=") || !line.contains(' ')));
        let seen = read(&text).unwrap_or_else(|e| panic!("{e}"));
        assert!(seen == wanted);
        assert_eq!(write(&seen, 1_700_000_000_000_000, &stages(), 9_000_000), text);
    }

    #[test]
    fn what_is_no_cells_file_is_refused_with_its_line() {
        assert_eq!(read("").err(), Some(CellsError::Format));
        let text = write(&cells(), 0, &stages(), 0);
        let cut: String = text.chars().take(text.len() - 40).collect();
        assert!(matches!(read(&cut), Err(CellsError::Hlog { .. })));
        let strange = text.replace("/first/e2e,", "/first/itl,");
        assert!(matches!(read(&strange), Err(CellsError::Tag { .. })));
        let stage = text.replace("Tag=2:peak", "Tag=9:peak");
        assert!(matches!(read(&stage), Err(CellsError::Tag { .. })));
        let json = text.replace("\"requests\":", "\"requests\":-");
        assert!(matches!(read(&json), Err(CellsError::Json { .. })));
    }
}
