//! A transcript on disk that grows with the recording and is whole after every exchange.

use super::StoreError;
use super::transcripts::write_lines;
use crate::model::{App, Exchange, Transcript};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A file that can be read as a transcript at any time. What follows the newest exchange is written over by the next one.
pub struct GrowingTranscript {
    path: PathBuf,
    file: File,
    /// Where the next exchange goes.
    end: u64,
    empty: bool,
}

impl GrowingTranscript {
    /// Makes the file, with the directories on the way. One that is there already is not touched.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn create(path: &Path, begun: &Transcript) -> Result<GrowingTranscript, StoreError> {
        let failed = StoreError::write(path);
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(&failed)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(&failed)?;
        let head = head(begun).map_err(|e| failed(e.into()))?;
        let tail = tail(&begun.apps).map_err(|e| failed(e.into()))?;
        file.write_all(format!("{head}{tail}").as_bytes()).map_err(&failed)?;
        Ok(GrowingTranscript { path: path.to_owned(), file, end: head.len() as u64, empty: true })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds an exchange that has ended; `apps` are all that are known by now.
    ///
    /// # Errors
    /// Why it could not be written; what was there before is still there, but for the end of the file.
    pub fn add(&mut self, exchange: &Exchange, apps: &[App]) -> Result<(), StoreError> {
        let failed = StoreError::write(&self.path);
        let line = serde_json::to_string(exchange).map_err(|e| failed(e.into()))?;
        let tail = tail(apps).map_err(|e| failed(e.into()))?;
        let separator = if self.empty { "\n" } else { ",\n" };
        let text = format!("{separator}{line}{tail}");
        self.file.seek(SeekFrom::Start(self.end)).map_err(&failed)?;
        self.file.write_all(text.as_bytes()).map_err(&failed)?;
        self.end += (separator.len() + line.len()) as u64;
        self.empty = false;
        Ok(())
    }

    /// Replaces the file by the finished transcript, in one step.
    ///
    /// # Errors
    /// Why it could not be written; the file is then as it was.
    pub fn finish(self, transcript: &Transcript) -> Result<(), StoreError> {
        let GrowingTranscript { path, file, .. } = self;
        drop(file);
        write_lines(&path, transcript)
    }
}

impl GrowingTranscript {
    /// Removes the file.
    pub fn discard(self) {
        // one that is gone already is what is wanted
        let _ = fs::remove_file(&self.path);
    }
}

fn head(begun: &Transcript) -> Result<String, serde_json::Error> {
    let Transcript { schema, base_url, started_unix_us, profile, complete, .. } = begun;
    Ok(format!(
        "{{\n\"schema\":{},\n\"base_url\":{},\n\"started_unix_us\":{started_unix_us},\n\"profile\":{},\n\"complete\":{complete},\n\"exchanges\":[",
        serde_json::to_string(schema)?,
        serde_json::to_string(base_url)?,
        serde_json::to_string(profile)?,
    ))
}

fn tail(apps: &[App]) -> Result<String, serde_json::Error> {
    Ok(format!("\n],\n\"apps\":{}\n}}\n", serde_json::to_string(apps)?))
}

/// Whether a folder exists and has anything in it.
///
/// # Errors
/// [`StoreError::Read`] where it cannot be listed.
pub fn is_occupied(folder: &Path) -> Result<bool, StoreError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::read(folder)(error)),
    }
}
