//! Whole files: read as text, written so that nobody ever sees half of one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Why a file could not be used. Every text names the file, the cause and what helps.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refuses to read it.
    #[error("cannot read '{path}': {cause}; check the path and its permissions")]
    Read {
        /// Which file.
        path: PathBuf,
        /// The operating system's words.
        cause: io::Error,
    },
    /// The operating system refuses to write it.
    #[error("cannot write '{path}': {cause}; choose a path in a directory you can write to")]
    Write {
        /// Which file.
        path: PathBuf,
        /// The operating system's words.
        cause: io::Error,
    },
    /// Not UTF-8.
    #[error("'{path}' is not UTF-8 (byte {at}); save it as UTF-8 text")]
    NotText {
        /// Which file.
        path: PathBuf,
        /// Offset of the first byte that is not.
        at: usize,
    },
    /// Not JSON, or cut off.
    #[error("'{path}' is not valid JSON: {cause}; the file may be cut off: record it again")]
    NotJson {
        /// Which file.
        path: PathBuf,
        /// Where and why, with line and column.
        cause: serde_json::Error,
    },
    /// JSON, but neither a transcript nor a capture.
    #[error(
        "'{path}' is {found}; expected a saved transcript (\"schema\": \"difyprobe.transcript/1\") or a captured exchange with app, captured_at, request and response"
    )]
    Layout {
        /// Which file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// A transcript or capture with a field missing or of the wrong type.
    #[error("'{path}' is {what} but {cause}; it was edited or made by another version: record it again")]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What it set out to be.
        what: &'static str,
        /// What is wrong, with line and column where known.
        cause: String,
    },
    /// A directory without anything to load.
    #[error(
        "'{path}' holds no transcript ({skipped} other JSON files were skipped); name a transcript file or a directory with some"
    )]
    Nothing {
        /// Which path.
        path: PathBuf,
        /// JSON files below it that are something else.
        skipped: usize,
    },
}

impl StoreError {
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
        move |cause| StoreError::Read { path: path.to_owned(), cause }
    }

    pub(super) fn write(path: &Path) -> impl Fn(io::Error) -> StoreError + '_ {
        move |cause| StoreError::Write { path: path.to_owned(), cause }
    }
}

/// The text of a file, without a byte order mark.
///
/// # Errors
/// [`StoreError::Read`] and [`StoreError::NotText`].
pub fn read_text(path: &Path) -> Result<String, StoreError> {
    let bytes = fs::read(path).map_err(StoreError::read(path))?;
    let mut text = String::from_utf8(bytes)
        .map_err(|e| StoreError::NotText { path: path.to_owned(), at: e.utf8_error().valid_up_to() })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// The bytes of a file as they are, for readers that report what is wrong with them themselves.
///
/// # Errors
/// [`StoreError::Read`].
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, StoreError> {
    fs::read(path).map_err(StoreError::read(path))
}

/// Folders directly below one whose names begin with a text, by name; none where there is no such folder.
///
/// # Errors
/// [`StoreError::Read`] where the folder cannot be read.
pub fn folders_below(folder: &Path, beginning: &str) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(StoreError::read(folder))? {
        let entry = entry.map_err(StoreError::read(folder))?;
        if entry.path().is_dir() && entry.file_name().to_string_lossy().starts_with(beginning) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Every file below a folder whose name ends in one of the extensions (`yaml`, without the dot), in alphabetical order.
///
/// # Errors
/// [`StoreError::Read`] with the folder that cannot be listed.
pub fn files_below(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(folder).and_then(|all| all.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>());
    let mut entries = entries.map_err(StoreError::read(folder))?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        let wanted = entry.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e));
        // A link to a folder is not followed: it may lead back up.
        if entry.is_dir() && !entry.is_symlink() {
            files.extend(files_below(&entry, extensions)?);
        } else if wanted && entry.is_file() {
            files.push(entry);
        }
    }
    Ok(files)
}

/// Writes a file in one step: whoever looks sees the old content or the new, never a part. Directories on the way are
/// made. What is no regular file (a pipe, a terminal) is simply written to.
///
/// # Errors
/// [`StoreError::Write`]; the old content is untouched then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    OutputFile::open_early(path)?.write(bytes)
}

/// A file to be written later, opened early: a path that cannot be written fails before a long run, not after it.
/// Without [`OutputFile::write`] nothing changes at the path.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    /// `None` for what is no regular file.
    temporary: Option<Temporary>,
}

/// Removes its file unless that was moved to its place.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    file: fs::File,
    target: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // after a successful rename there is nothing left to remove
        let _ = fs::remove_file(&self.path);
    }
}

impl OutputFile {
    /// Makes sure that the path can be written, and makes the directories on the way.
    ///
    /// # Errors
    /// [`StoreError::Write`] when it cannot.
    pub fn open_early(path: &Path) -> Result<OutputFile, StoreError> {
        let failed = StoreError::write(path);
        let existing = fs::metadata(path).ok();
        if existing.as_ref().is_some_and(|m| !m.is_file()) {
            fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
            return Ok(OutputFile { path: path.to_owned(), temporary: None });
        }
        if existing.is_some() {
            // renaming over a file that is write-protected would work, and be a surprise
            fs::OpenOptions::new().append(true).open(path).map_err(&failed)?;
        }
        // a link stays a link: what it points to is replaced
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let temporary = Temporary::beside(target).map_err(failed)?;
        Ok(OutputFile { path: path.to_owned(), temporary: Some(temporary) })
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the content in place, in one step.
    ///
    /// # Errors
    /// [`StoreError::Write`], e.g. when the disk is full.
    pub fn write(self, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_with(|out| out.write_all(bytes))
    }

    /// Puts the content of another file in place.
    ///
    /// # Errors
    /// [`StoreError`] with the file that cannot be read or written.
    pub fn write_copy_of(self, path: &Path) -> Result<(), StoreError> {
        let mut from = fs::File::open(path).map_err(StoreError::read(path))?;
        self.write_with(|mut out| io::copy(&mut from, &mut out).map(drop))
    }

    /// As [`OutputFile::write`], for content that is better not held in memory.
    ///
    /// # Errors
    /// [`StoreError::Write`] with what the closure or the operating system reports.
    pub fn write_with(self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), StoreError> {
        let failed = StoreError::write(&self.path);
        match self.temporary {
            Some(mut temporary) => temporary.fill(fill).map_err(failed),
            None => {
                let mut file = fs::OpenOptions::new().write(true).open(&self.path).map_err(&failed)?;
                fill(&mut file).map_err(failed)
            }
        }
    }
}

impl Temporary {
    fn beside(target: PathBuf) -> io::Result<Temporary> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name"))?;
        let directory = target.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".{}.{}-{number}.tmp", name.to_string_lossy(), std::process::id()));
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        Ok(Temporary { path, file, target })
    }

    fn fill(&mut self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out = io::BufWriter::new(&mut self.file);
        fill(&mut out)?;
        out.flush()?;
        drop(out);
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)
    }
}
