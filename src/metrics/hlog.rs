//! Interval logs of HdrHistogram (format 1.3, histograms in V2 with deflate), as text.
//!
//! `latency.hlog` has, for every second, one line per metric (tag `ttft`), one per metric and scenario where there are several
//! (`ttft/chat.turns`), and one of what is not measured (`ttft!unmeasured`: warm-up and drain). `cells.hlog` has one line per
//! metric of every cell of the whole run (`1:peak/chat.turns/ask/first/ttft`) and the counters of the cells in comments. The
//! standard tools open both; values are microseconds. The third column, which readers ignore, is the exact largest value in
//! milliseconds, so that nothing is lost on the way through a file.

use super::cells::Times;
use super::interval::{Interval, Moment};
use super::recorder::{HIGHEST_US, LOWEST_US};
use super::{Counts, Metric};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use std::fmt::Write as _;

/// Ends the tag of what is not measured.
const UNMEASURED: &str = "!unmeasured";

/// Why a line is not of an interval log that difyprobe writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HlogError {
    /// Not `tag,start,length,max,histogram`.
    #[error("expected Tag=NAME,START,LENGTH,MAX,HISTOGRAM")]
    Columns,
    /// A number column that is none.
    #[error("'{0}' is no number")]
    Number(String),
    /// Not base64, or not a V2 histogram.
    #[error("the histogram cannot be decoded: {0}")]
    Histogram(String),
    /// A histogram with another resolution than ours.
    #[error("the histogram has {digits} significant digits from {low} up; expected 3 from 1 up")]
    Resolution {
        /// Significant digits.
        digits: u8,
        /// Lowest value that is told apart.
        low: u64,
    },
    /// A tag that names no metric.
    #[error("tag '{0}' names no metric")]
    Tag(String),
}

/// A histogram of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Tag; empty where there is none.
    pub tag: String,
    /// Begin in microseconds since the start of the log, to the millisecond.
    pub from_us: u64,
    /// Length in microseconds, to the millisecond.
    pub length_us: u64,
    /// The histogram.
    pub counts: Counts,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A histogram.
    Entry(Box<Entry>),
    /// A comment, without its `#`.
    Comment(String),
    /// The legend, or nothing.
    Legend,
}

/// The lines before the first histogram.
pub fn head(started_unix_us: u64, notes: &[&str]) -> String {
    let start = started_unix_us as f64 / 1e6;
    let mut out = String::from("#[Histogram log format version 1.3]\n");
    for note in notes {
        let _ = writeln!(out, "#[{note}]");
    }
    let _ = writeln!(out, "#[StartTime: {start:.3} (seconds since epoch)]");
    let _ = writeln!(out, "#[BaseTime: {start:.3} (seconds since epoch)]");
    out.push_str("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n");
    out
}

/// Writes histograms as lines; keeps its buffers.
pub struct HlogWriter {
    dense: Histogram<u64>,
    serializer: V2DeflateSerializer,
    bytes: Vec<u8>,
}

impl Default for HlogWriter {
    fn default() -> HlogWriter {
        let dense = match Histogram::new_with_bounds(LOWEST_US, HIGHEST_US, 3) {
            Ok(dense) => dense,
            // Constant bounds that are legal by the crate's documentation.
            Err(error) => unreachable!("constant histogram bounds: {error}"),
        };
        HlogWriter { dense, serializer: V2DeflateSerializer::new(), bytes: Vec::new() }
    }
}

impl HlogWriter {
    /// Appends the line of a histogram. The tag must hold no comma, space or line end; see [`escape`].
    pub fn line(&mut self, out: &mut String, tag: &str, from_us: u64, length_us: u64, counts: &Counts) {
        self.dense.reset();
        for bin in counts.bins() {
            self.dense.saturating_record_n(bin.low_us, bin.n);
        }
        self.bytes.clear();
        // Writing to memory; counts stay far below 2^63, the only value it could refuse.
        let written = self.serializer.serialize(&self.dense, &mut self.bytes);
        debug_assert!(written.is_ok());
        let _ = write!(
            out,
            "Tag={tag},{}.{:03},{}.{:03},{}.{:03},",
            from_us / 1_000_000,
            from_us / 1_000 % 1_000,
            length_us / 1_000_000,
            length_us / 1_000 % 1_000,
            counts.max() / 1_000,
            counts.max() % 1_000
        );
        BASE64.encode_string(&self.bytes, out);
        out.push('\n');
    }

    /// The lines of `latency.hlog` for some seconds.
    pub fn interval(&mut self, interval: &Interval) -> String {
        let mut out = String::new();
        for (second, moment) in &interval.seconds {
            let from_us = u64::from(*second) * 1_000_000;
            let all = moment.all_measured();
            for metric in Metric::ALL {
                let mut line = |tag: &str, times: &Times| {
                    if let Some(counts) = times.get(metric) {
                        self.line(&mut out, tag, from_us, 1_000_000, counts);
                    }
                };
                line(metric.as_str(), &all);
                if interval.scenarios.len() > 1 {
                    for (id, times) in interval.scenarios.iter().zip(&moment.measured) {
                        line(&format!("{metric}/{}", escape(id)), times);
                    }
                }
                line(&format!("{metric}{UNMEASURED}"), &moment.unmeasured);
            }
        }
        out
    }
}

/// Reads a line.
///
/// # Errors
/// [`HlogError`] says what is wrong with it.
pub fn read_line(line: &str) -> Result<Line, HlogError> {
    let line = line.trim_end_matches(['\r', '\n']);
    if let Some(comment) = line.strip_prefix('#') {
        return Ok(Line::Comment(comment.to_owned()));
    }
    if line.is_empty() || line.starts_with("\"StartTimestamp\"") {
        return Ok(Line::Legend);
    }
    let (tag, rest) = match line.strip_prefix("Tag=") {
        Some(tagged) => tagged.split_once(',').ok_or(HlogError::Columns)?,
        None => ("", line),
    };
    let columns: Vec<&str> = rest.split(',').collect();
    let [from, length, max, encoded] = columns.as_slice() else { return Err(HlogError::Columns) };
    let mut counts = decode(encoded)?;
    counts.set_max(thousandths(max)?);
    let (from_us, length_us) = (thousandths(from)? * 1_000, thousandths(length)? * 1_000);
    Ok(Line::Entry(Box::new(Entry { tag: tag.to_owned(), from_us, length_us, counts })))
}

/// A number with decimals, times 1000.
fn thousandths(text: &str) -> Result<u64, HlogError> {
    let number = text.trim().parse::<f64>().ok().filter(|n| (0.0..1e12).contains(n));
    number.map(|n| (n * 1000.0).round() as u64).ok_or_else(|| HlogError::Number(text.to_owned()))
}

fn decode(encoded: &str) -> Result<Counts, HlogError> {
    let bytes = BASE64.decode(encoded.trim()).map_err(|e| HlogError::Histogram(e.to_string()))?;
    let dense: Histogram<u64> =
        Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|e| HlogError::Histogram(e.to_string()))?;
    if (dense.sigfig(), dense.low()) != (3, LOWEST_US) {
        return Err(HlogError::Resolution { digits: dense.sigfig(), low: dense.low() });
    }
    let mut counts = Counts::default();
    for bin in dense.iter_recorded() {
        counts.record_n(dense.lowest_equivalent(bin.value_iterated_to()), bin.count_since_last_iteration());
    }
    // The recorded values are lower bounds of their bins; the largest is known to its bin only until the caller says more.
    counts.set_max(dense.max().min(HIGHEST_US));
    Ok(counts)
}

/// The second that consecutive lines of `latency.hlog` with the same begin make up.
///
/// # Errors
/// [`HlogError::Tag`].
pub fn second(entries: &[Entry]) -> Result<Interval, HlogError> {
    // Lines of single scenarios and the line of all say the same twice.
    let by_scenario = entries.iter().any(|entry| entry.tag.contains('/'));
    let mut interval = Interval::default();
    for entry in entries {
        let unknown = || HlogError::Tag(entry.tag.clone());
        let (name, scenario) = match entry.tag.split_once('/') {
            Some((name, id)) => (name, Some(unescape(id))),
            None => (entry.tag.as_str(), None),
        };
        let (name, measured) = name.strip_suffix(UNMEASURED).map_or((name, true), |name| (name, false));
        let metric = Metric::parse(name).ok_or_else(unknown)?;
        let place = match (measured, scenario) {
            (false, _) => None,
            (true, Some(id)) => Some(interval.scenario(&id)),
            (true, None) if by_scenario => continue,
            (true, None) => Some(interval.scenario("")),
        };
        let at = u32::try_from(entry.from_us / 1_000_000).unwrap_or(u32::MAX);
        let moment: &mut Moment = interval.seconds.entry(at).or_default();
        moment.times(place).entry(metric).add(&entry.counts);
    }
    Ok(interval)
}

/// Makes a part of a tag of any text: `/`, `%`, `!`, commas, spaces and everything outside printable ASCII as `%XX`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'/' | b'%' | b',' | b'!' | b':' | 0..=b' ' | 0x7f.. => {
                let _ = write!(out, "%{byte:02X}");
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

/// The text that [`escape`] made this of.
pub fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(values: &[u64]) -> Counts {
        let mut counts = Counts::default();
        values.iter().for_each(|value| counts.record(*value));
        counts
    }

    fn entry(line: &str) -> Entry {
        match read_line(line) {
            Ok(Line::Entry(entry)) => *entry,
            other => panic!("{other:?} of {line}"),
        }
    }

    #[test]
    fn a_histogram_comes_back_from_its_line_exactly() {
        let mut random = fastrand::Rng::with_seed(2);
        let mut writer = HlogWriter::default();
        for n in [1, 3, 1_000] {
            let values: Vec<u64> = (0..n).map(|_| 2.0_f64.powf(random.f64() * 31.0) as u64).collect();
            let wanted = counts(&values);
            let mut line = String::new();
            writer.line(&mut line, "ttft", 61_000_000, 1_000_000, &wanted);
            let seen = entry(&line);
            assert!(seen.counts == wanted, "{n}");
            assert_eq!((seen.tag.as_str(), seen.from_us, seen.length_us), ("ttft", 61_000_000, 1_000_000));
        }
    }

    #[test]
    fn the_crates_own_reader_of_logs_sees_the_same() {
        use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
        let mut log = head(1_700_000_000_250_000, &["times in microseconds"]);
        HlogWriter::default().line(&mut log, "e2e", 2_000_000, 1_000_000, &counts(&[5, 7_000_123]));
        // It knows no legend line.
        let log: String = log.lines().filter(|l| !l.starts_with('"')).map(|l| format!("{l}\n")).collect();
        let entries: Vec<_> = IntervalLogIterator::new(log.as_bytes()).collect();
        let [Ok(LogEntry::StartTime(start)), Ok(LogEntry::BaseTime(_)), Ok(LogEntry::Interval(interval))] =
            entries.as_slice()
        else {
            panic!("{entries:?}")
        };
        assert_eq!(start.as_millis(), 1_700_000_000_250);
        assert_eq!(interval.tag().map(|t| t.as_str()), Some("e2e"));
        assert_eq!((interval.start_timestamp().as_secs(), interval.max()), (2, 7_000.123));
    }

    #[test]
    fn seconds_come_back_from_their_lines_with_and_without_scenarios() {
        for ids in [vec!["only"], vec!["chat a/b", "völlig, anders"]] {
            let mut wanted = Interval::default();
            for (at, id) in ids.iter().enumerate() {
                let place = wanted.scenario(id);
                for second in [3, 4] {
                    let moment = wanted.seconds.entry(second).or_default();
                    moment.times(Some(place)).entry(Metric::Ttft).record(1_000 * (at as u64 + 1) + u64::from(second));
                    moment.times(None).entry(Metric::E2e).record(77);
                }
            }
            let text = HlogWriter::default().interval(&wanted);
            assert!(text.lines().all(|line| !line.contains(' ')), "{text}");
            let entries: Vec<Entry> = text.lines().map(entry).collect();
            let mut seen = Interval::default();
            for lines in entries.chunk_by(|a, b| a.from_us == b.from_us) {
                seen.add(&second(lines).unwrap_or_else(|e| panic!("{e}")));
            }
            if ids.len() == 1 {
                seen.scenarios = wanted.scenarios.clone();
            }
            assert!(seen == wanted, "{text}");
            let whole = text.lines().find(|l| l.starts_with("Tag=ttft,3.000")).map(entry);
            assert_eq!(whole.map(|e| e.counts.n()), Some(ids.len() as u64), "the line of all has all");
        }
    }

    #[test]
    fn lines_that_are_something_else_say_what_is_wrong() {
        let columns = |line| read_line(line).err();
        assert_eq!(columns("1,2,3"), Some(HlogError::Columns));
        assert_eq!(columns("Tag=x"), Some(HlogError::Columns));
        assert!(matches!(columns("0.0,1.0,2.0,****"), Some(HlogError::Histogram(_))));
        assert!(matches!(columns("0.0,1.0,2.0,HISTFAAA"), Some(HlogError::Histogram(_))));
        let mut coarse = Histogram::<u64>::new_with_bounds(1, 1000, 2).unwrap_or_else(|e| panic!("{e}"));
        coarse.saturating_record(7);
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&coarse, &mut bytes).unwrap_or_else(|e| panic!("{e}"));
        let line = |from: &str| format!("{from},1.0,2.0,{}", BASE64.encode(&bytes));
        assert_eq!(columns(&line("0")), Some(HlogError::Resolution { digits: 2, low: 1 }));
        assert_eq!(read_line("# a comment"), Ok(Line::Comment(" a comment".into())));
        let strange = Entry { tag: "itl".into(), from_us: 0, length_us: 0, counts: Counts::default() };
        assert_eq!(second(&[strange]), Err(HlogError::Tag("itl".into())));
    }

    #[test]
    fn any_text_survives_in_a_tag() {
        for text in ["", "plain-1.2_x", "a b/c,d%e!f:g", "Größe\n", "%41"] {
            assert_eq!(unescape(&escape(text)), text);
        }
        assert_eq!(unescape("100%"), "100%");
    }
}
