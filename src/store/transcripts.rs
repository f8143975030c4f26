//! Transcripts on disk: our own files and directories of captured exchanges.

use super::capture::{self, Capture};
use super::files::{OutputFile, StoreError, read_text};
use crate::model::Transcript;
use crate::model::transcript::TRANSCRIPT_SCHEMA;
use serde::Serialize as _;
use serde::de::IgnoredAny;
use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What was found under the given paths.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Saved transcripts in the order given, then one per server version made of all captured exchanges.
    pub transcripts: Vec<Transcript>,
    /// JSON files of directories that are something else.
    pub skipped: Vec<Skipped>,
}

/// A file that a directory holds beside transcripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Which file.
    pub path: PathBuf,
    /// What it is, e.g. `a JSON array`.
    pub found: String,
}

/// What a JSON file is.
enum Kind {
    Transcript,
    Capture,
    Other(String),
}

/// Reads transcripts: saved ones, captured single exchanges, and directories of both (all `.json` below, sorted).
///
/// Captured exchanges of all paths together form one transcript per server version.
///
/// # Errors
/// [`StoreError`]. A file named itself must be a transcript or a capture; a directory may hold other JSON, which is
/// listed as skipped, but nothing broken, and at least one transcript.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    let mut captures = Vec::new();
    let mut seen = HashSet::new();
    for path in paths {
        let directory = fs::metadata(path).map_err(StoreError::read(path))?.is_dir();
        let files = if directory { json_below(path)? } else { vec![path.clone()] };
        let (skipped_before, mut useful) = (loaded.skipped.len(), false);
        for file in files {
            let id = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
            if !seen.insert(id) {
                useful = true;
                continue;
            }
            let text = read_text(&file)?;
            match kind(&file, &text)? {
                Kind::Transcript => loaded.transcripts.push(transcript(&file, &text)?),
                Kind::Capture => captures.push(Capture::parse(&file, &text)?),
                Kind::Other(found) if directory => {
                    loaded.skipped.push(Skipped { path: file, found });
                    continue;
                }
                Kind::Other(found) => return Err(StoreError::Layout { path: file, found }),
            }
            useful = true;
        }
        if !useful {
            return Err(StoreError::Nothing { path: path.clone(), skipped: loaded.skipped.len() - skipped_before });
        }
    }
    loaded.transcripts.extend(capture::transcripts(captures));
    Ok(loaded)
}

/// The transcripts of [`load`], for callers that do not report skipped files.
///
/// # Errors
/// As [`load`].
pub fn load_transcripts(paths: &[PathBuf]) -> Result<Vec<Transcript>, StoreError> {
    load(paths).map(|loaded| loaded.transcripts)
}

/// Saves a transcript under a name made of its start, e.g. `transcript-20261123T085211.182903Z.json`; a number is added
/// where that exists. One exchange stands on one line.
///
/// # Errors
/// [`StoreError::Write`].
pub fn save_transcript(dir: &Path, transcript: &Transcript) -> Result<PathBuf, StoreError> {
    let micros = i64::try_from(transcript.started_unix_us).unwrap_or(i64::MAX);
    let start = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let name = format!("transcript-{}", start.strftime("%Y%m%dT%H%M%S.%6fZ"));
    let mut path = dir.join(format!("{name}.json"));
    let mut number = 2;
    while path.exists() {
        path = dir.join(format!("{name}-{number}.json"));
        number += 1;
    }
    write_lines(&path, transcript)?;
    Ok(path)
}

/// Writes a transcript in one step, one exchange on one line.
pub(super) fn write_lines(path: &Path, transcript: &Transcript) -> Result<(), StoreError> {
    OutputFile::open_early(path)?.write_with(|out| {
        let mut json = serde_json::Serializer::with_formatter(&mut *out, Lines::default());
        transcript.serialize(&mut json).map_err(io::Error::from)?;
        out.write_all(b"\n")
    })
}

/// All files below a directory that end in `.json`, sorted by path. Links to directories are not followed.
fn json_below(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).map_err(StoreError::read(&dir))? {
            let entry = entry.map_err(StoreError::read(&dir))?;
            let path = entry.path();
            if entry.file_type().map_err(StoreError::read(&path))?.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Recognises a file by its top level, without building it.
fn kind(path: &Path, text: &str) -> Result<Kind, StoreError> {
    #[derive(serde::Deserialize)]
    struct Top {
        schema: Option<String>,
        app: Option<IgnoredAny>,
        captured_at: Option<IgnoredAny>,
        request: Option<IgnoredAny>,
        response: Option<IgnoredAny>,
    }
    let top: Top = match serde_json::from_str(text) {
        Ok(top) => top,
        Err(cause) if cause.is_data() => return Ok(Kind::Other(described(text))),
        Err(cause) => return Err(StoreError::NotJson { path: path.to_owned(), cause }),
    };
    if let Some(schema) = top.schema {
        let newer = schema.starts_with("difyprobe.transcript/") && schema != TRANSCRIPT_SCHEMA;
        return match schema == TRANSCRIPT_SCHEMA {
            true => Ok(Kind::Transcript),
            false if newer => {
                let cause = format!("of the layout '{schema}', which this version cannot read");
                Err(StoreError::Broken { path: path.to_owned(), what: "a transcript", cause })
            }
            false => Ok(Kind::Other(format!("a file of the layout '{schema}'"))),
        };
    }
    let parts = [&top.app, &top.captured_at, &top.request, &top.response];
    if parts.into_iter().all(Option::is_some) { Ok(Kind::Capture) } else { Ok(Kind::Other(described(text))) }
}

/// What JSON text is, for people: its kind, and the keys of an object.
fn described(text: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(object)) => {
            let keys: Vec<&str> = object.keys().map(String::as_str).take(8).collect();
            format!("a JSON object with the keys {}", if keys.is_empty() { "(none)".into() } else { keys.join(", ") })
        }
        Ok(serde_json::Value::Array(_)) => "a JSON array".to_owned(),
        _ => "a single JSON value".to_owned(),
    }
}

fn transcript(path: &Path, text: &str) -> Result<Transcript, StoreError> {
    let broken = |cause| StoreError::Broken { path: path.to_owned(), what: "a transcript", cause };
    let mut transcript: Transcript = serde_json::from_str(text).map_err(|e| broken(e.to_string()))?;
    // a recording that was broken off has its exchanges in the order in which they ended
    transcript.exchanges.sort_by_key(|e| e.id);
    let mut ids = HashSet::new();
    match transcript.exchanges.iter().find(|e| !ids.insert(e.id)) {
        Some(twice) => Err(broken(format!("exchange id {} occurs twice", twice.id))),
        None => Ok(transcript),
    }
}

/// JSON with a line per top-level field and per element of a top-level list.
#[derive(Default)]
struct Lines {
    depth: usize,
}

impl Lines {
    fn open(&mut self, out: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        out.write_all(bracket)
    }

    fn next(&self, out: &mut (impl Write + ?Sized), first: bool) -> io::Result<()> {
        let separator: &[u8] = match (first, self.depth <= 2) {
            (true, true) => b"\n",
            (false, true) => b",\n",
            (true, false) => b"",
            (false, false) => b",",
        };
        out.write_all(separator)
    }

    fn close(&mut self, out: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        if self.depth <= 2 {
            out.write_all(b"\n")?;
        }
        self.depth -= 1;
        out.write_all(bracket)
    }
}

impl serde_json::ser::Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }
}
