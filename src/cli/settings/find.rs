//! Where the file is looked for.

use super::file::NAME;
use std::path::{Path, PathBuf};

/// The file in a folder, or in the nearest folder above it that has one, up to the root of the repository (the folder with
/// `.git`). Outside a repository only the folder itself counts: what somebody else put into a folder further up, such as
/// `/tmp`, must not decide where keys are sent. The path is relative to the folder, as a person would write it.
pub fn above(folder: &Path) -> Option<PathBuf> {
    let root = folder.ancestors().find(|above| above.join(".git").exists()).unwrap_or(folder);
    let mut within = folder.ancestors().take_while(|above| above.starts_with(root));
    let height = within.position(|above| above.join(NAME).is_file())?;
    Some((0..height).map(|_| "..").collect::<PathBuf>().join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_up_to_the_root_of_the_repository_is_found() {
        let dir = tempfile::tempdir().expect("a folder");
        let deep = dir.path().join("repository/a/b");
        for folder in ["repository/.git", "repository/a/b"] {
            crate::store::write_atomic(&dir.path().join(folder).join("x"), b"").expect("written");
        }
        let file = |name: &str| dir.path().join(name).join(NAME);
        crate::store::write_atomic(&file(""), b"").expect("written");
        assert_eq!(above(&deep), None, "outside the repository");
        crate::store::write_atomic(&file("repository"), b"").expect("written");
        assert_eq!(above(&deep), Some(PathBuf::from("../..").join(NAME)));
        crate::store::write_atomic(&file("repository/a/b"), b"").expect("written");
        assert_eq!(above(&deep), Some(PathBuf::from(NAME)));
    }

    #[test]
    fn outside_a_repository_only_the_folder_itself_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        crate::store::write_atomic(&dir.path().join(NAME), b"").expect("written");
        crate::store::write_atomic(&dir.path().join("below/x"), b"").expect("written");
        assert_eq!(above(&dir.path().join("below")), None);
        assert_eq!(above(dir.path()), Some(PathBuf::from(NAME)));
    }
}
