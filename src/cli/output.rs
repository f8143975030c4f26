//! Report files and terminal output of a run.

use super::args::{Color, OutputArgs};
use super::exit::Failure;
use crate::model::Transcript;
use crate::report::run::RunReport;
use crate::report::{Format, TerminalStyle, UnknownFormat, escape, render, terminal};
use crate::scenario::closest;
use crate::store::{self, OutputFile};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Report files, opened before the run so that a bad path fails in second 0.
pub struct Outputs {
    files: Vec<(Format, OutputFile)>,
    /// Formats that go to stdout, by `FORMAT=-`.
    printed: Vec<Format>,
    /// Files of a load's results that are wanted elsewhere, too.
    copies: Vec<(PathBuf, OutputFile)>,
    style: TerminalStyle,
    quiet: bool,
}

impl Outputs {
    /// Opens `reports/NAME.{json,html,xml,md}` and the files asked for.
    pub fn open(args: &OutputArgs, name: &str) -> Result<Outputs, Failure> {
        Outputs::open_as(args, &args.reports, name, false)
    }

    /// Opens `FOLDER/report.{json,html,xml,md}` of a load and the files asked for.
    pub fn open_in(args: &OutputArgs, folder: &Path) -> Result<Outputs, Failure> {
        Outputs::open_as(args, folder, "report", true)
    }

    fn open_as(args: &OutputArgs, folder: &Path, name: &str, load: bool) -> Result<Outputs, Failure> {
        let mut copies = Vec::new();
        let mut files: Vec<(Format, PathBuf, String)> = Vec::new();
        let defaults =
            [(Format::Json, "json"), (Format::Html, "html"), (Format::Junit, "xml"), (Format::Markdown, "md")];
        for (format, extension) in defaults {
            let path = folder.join(format!("{name}.{extension}"));
            files.push((format, path, format!("--reports {}", args.reports.display())));
        }
        let mut printed = Vec::new();
        for text in &args.report {
            let flag = format!("--report {text}");
            match parse_report(text, load)? {
                (Wanted::Report(format), path) if path == Path::new("-") => printed.push(format),
                (Wanted::Report(format), path) => files.push((format, path, flag)),
                (Wanted::Result(file), path) => {
                    let opened = OutputFile::open_early(&path);
                    let opened = opened.map_err(|e| Failure::usage(format!("{flag}: {}", chain(&e))))?;
                    copies.push((folder.join(file), opened));
                }
            }
        }
        if let [first, second, ..] = printed.iter().filter(|f| **f != Format::Github).collect::<Vec<_>>()[..] {
            let why = "one of them can have stdout; give the other a path";
            return Err(Failure::usage(format!("--report {}=- and {}=-: {why}", first.as_str(), second.as_str())));
        }
        let open = |(format, path, flag): (Format, PathBuf, String)| {
            let opened = OutputFile::open_early(&path).map(|file| (format, file));
            opened.map_err(|e| Failure::usage(format!("{flag}: {}", chain(&e))))
        };
        let files = files.into_iter().map(open).collect::<Result<_, _>>()?;
        Ok(Outputs { files, printed, copies, style: style(args), quiet: args.quiet })
    }

    /// Prints the report and writes the files. A report that a program reads has stdout for itself; annotations of GitHub
    /// are lines of a log and follow the page.
    pub fn finish(self, report: &RunReport) -> Result<(), Failure> {
        let text = match self.quiet {
            true => escape::terminal(&report.summary.line),
            false => terminal::render(report, &self.style),
        };
        if self.printed.iter().all(|format| *format == Format::Github) {
            println!("{}", text.trim_end());
        } else {
            eprintln!("{}", text.trim_end());
        }
        for format in self.printed {
            let text = render(format, report).map_err(|e| Failure::internal(chain(&e)))?;
            print!("{text}");
        }
        let mut written = Vec::new();
        for (format, file) in self.files {
            let text = render(format, report).map_err(|e| Failure::internal(chain(&e)))?;
            written.push(file.path().display().to_string());
            file.write(text.as_bytes()).map_err(|e| Failure::usage(chain(&e)))?;
        }
        for (result, file) in self.copies {
            written.push(file.path().display().to_string());
            file.write_copy_of(&result).map_err(|e| Failure::usage(chain(&e)))?;
        }
        if !self.quiet {
            eprintln!("reports: {}", written.join(", "));
        }
        Ok(())
    }
}

/// Saves the recording of a run as `reports/NAME.transcript.json`, so that its findings can be shown again; gives the path.
pub fn save_transcript(args: &OutputArgs, name: &str, transcript: &Transcript) -> Result<String, Failure> {
    save_in(&args.reports, &format!("{name}.transcript.json"), transcript)
}

/// Saves the recording of a run under a name in a folder; gives the path.
pub fn save_in(folder: &Path, name: &str, transcript: &Transcript) -> Result<String, Failure> {
    let path = folder.join(name);
    let bytes = serde_json::to_vec(transcript).map_err(Failure::internal)?;
    store::write_atomic(&path, &bytes).map_err(|e| Failure::usage(chain(&e)))?;
    Ok(path.display().to_string())
}

/// What `--report` asks for.
enum Wanted {
    Report(Format),
    /// A file in the folder of a load's results.
    Result(&'static str),
}

/// Names that only a load knows, and the files they stand for.
const RESULTS: [(&str, &str); 2] = [("hlog", store::LATENCY), ("csv", store::SERIES)];

fn parse_report(text: &str, load: bool) -> Result<(Wanted, PathBuf), Failure> {
    let bad = |why: String| Failure::usage(format!("--report {text}: {why}; write FORMAT=PATH, e.g. json=out.json"));
    let (format, path) = text.split_once('=').ok_or_else(|| bad("no `=`".to_owned()))?;
    if path.is_empty() {
        return Err(bad("no path".to_owned()));
    }
    let unknown = |e: UnknownFormat| {
        let near = closest(format, Format::ALL.iter().map(|f| f.as_str()));
        let of_load = if load { ", of a load also hlog or csv" } else { "" };
        bad(near.map_or_else(|| format!("{e}{of_load}"), |n| format!("unknown report format; did you mean `{n}`?")))
    };
    let wanted = match RESULTS.iter().find(|(name, _)| *name == format) {
        Some((_, file)) if load => Wanted::Result(file),
        Some(_) => return Err(bad(format!("`{format}` is a result of `load` and `merge` alone"))),
        None => Wanted::Report(format.parse().map_err(unknown)?),
    };
    Ok((wanted, Path::new(path).to_owned()))
}

fn style(args: &OutputArgs) -> TerminalStyle {
    style_of(args.color, args.verbose)
}

/// How to write for the terminal of this process.
pub fn style_of(color: Color, verbosity: u8) -> TerminalStyle {
    let terminal = std::io::stdout().is_terminal();
    let color = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    };
    TerminalStyle { color, width: columns(), verbosity }
}

/// Columns of the terminal from the environment, else 100.
fn columns() -> usize {
    let width = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    width.or_else(|| terminal_size::terminal_size().map(|(w, _)| usize::from(w.0))).unwrap_or(100).clamp(40, 140)
}

/// An error with its causes, as one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
