//! A file of lines that grows while somebody may read it.

use super::StoreError;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A file to which whole lines are added, each written at once.
pub struct LineFile {
    path: PathBuf,
    file: Mutex<(File, Option<io::Error>)>,
}

impl LineFile {
    /// Creates the file, or empties it.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn create(path: &Path) -> Result<LineFile, StoreError> {
        let file = File::create(path).map_err(|cause| StoreError::Write { path: path.to_owned(), cause })?;
        Ok(LineFile { path: path.to_owned(), file: Mutex::new((file, None)) })
    }

    /// Adds a line. What goes wrong is kept for [`LineFile::finish`], and nothing is added after it.
    pub fn add(&self, line: &str) {
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, failed) = &mut *held;
        if failed.is_none() {
            *failed = file.write_all(format!("{line}\n").as_bytes()).err();
        }
    }

    /// Whether all lines were written.
    ///
    /// # Errors
    /// Why the first of those that were not could not be written.
    pub fn finish(&self) -> Result<(), StoreError> {
        let failed = self.file.lock().unwrap_or_else(PoisonError::into_inner).1.take();
        failed.map_or(Ok(()), |cause| Err(StoreError::Write { path: self.path.clone(), cause }))
    }
}
