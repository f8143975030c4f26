//! Files of commands that write something else than the report of a run: JSON, Markdown and HTML.

use super::exit::Failure;
use super::output::chain;
use crate::store::OutputFile;
use std::path::{Path, PathBuf};

/// A format of the commands that write no report of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// Everything, for machines.
    Json,
    /// A summary that fits a CI step summary.
    Markdown,
    /// One self-contained page.
    Html,
}

const NAMES: [(&str, Paper, &str); 3] =
    [("json", Paper::Json, "json"), ("markdown", Paper::Markdown, "md"), ("html", Paper::Html, "html")];

/// Files, opened before the run so that a bad path fails in second 0.
pub struct Papers(Vec<(Paper, OutputFile)>);

impl Papers {
    /// Opens `FOLDER/NAME.{json,md,html}`, where a folder is given, and the files asked for.
    pub fn open(asked: &[String], always: Option<(&Path, &str)>) -> Result<Papers, Failure> {
        Papers::open_of(&[Paper::Json, Paper::Markdown, Paper::Html], asked, always)
    }

    /// As [`Papers::open`], of a command that has these formats only.
    pub fn open_of(formats: &[Paper], asked: &[String], always: Option<(&Path, &str)>) -> Result<Papers, Failure> {
        let mut files: Vec<(Paper, PathBuf, String)> = Vec::new();
        if let Some((folder, name)) = always {
            let file = |(_, paper, extension): (&str, Paper, &str)| {
                (paper, folder.join(format!("{name}.{extension}")), format!("--reports {}", folder.display()))
            };
            files.extend(NAMES.map(file));
        }
        for text in asked {
            let (paper, path) = parse(formats, text)?;
            files.push((paper, path, format!("--report {text}")));
        }
        let open = |(paper, path, flag): (Paper, PathBuf, String)| {
            let opened = OutputFile::open_early(&path).map(|file| (paper, file));
            opened.map_err(|e| Failure::usage(format!("{flag}: {}", chain(&e))))
        };
        Ok(Papers(files.into_iter().map(open).collect::<Result<_, _>>()?))
    }

    /// Writes every file and gives their paths.
    pub fn write(self, render: impl Fn(Paper) -> Result<String, Failure>) -> Result<Vec<String>, Failure> {
        let mut written = Vec::new();
        for (paper, file) in self.0 {
            let text = render(paper)?;
            written.push(file.path().display().to_string());
            file.write(text.as_bytes()).map_err(|e| Failure::usage(chain(&e)))?;
        }
        Ok(written)
    }
}

fn parse(formats: &[Paper], text: &str) -> Result<(Paper, PathBuf), Failure> {
    let bad = |why: &str| Failure::usage(format!("--report {text}: {why}; write FORMAT=PATH, e.g. json=out.json"));
    let (format, path) = text.split_once('=').ok_or_else(|| bad("no `=`"))?;
    if path.is_empty() {
        return Err(bad("no path"));
    }
    let mut names = NAMES.iter().filter(|(_, paper, _)| formats.contains(paper));
    let known = names.clone().map(|(name, _, _)| *name).collect::<Vec<_>>().join(", ");
    let found = names.find(|(name, _, _)| *name == format);
    let (_, paper, _) = found.ok_or_else(|| bad(&format!("this command writes {known}")))?;
    Ok((*paper, Path::new(path).to_owned()))
}

/// Pretty JSON with a line end.
pub fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(Failure::internal)
}
