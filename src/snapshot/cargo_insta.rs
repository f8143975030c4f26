//! `cargo insta review` on a folder of snapshots, in a Cargo project or not.
//!
//! `cargo-insta` asks `cargo metadata` where to look, and takes the program to ask from `CARGO`. We name ourselves there
//! and answer with one package per target: no project is needed, and in a project nothing but our folder is shown.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where our own process finds the folder when it is asked for metadata.
const FOLDER: &str = "DIFYPROBE_REVIEW_FOLDER";

/// The version of insta that the snapshots are written by: major and minor as in Cargo.toml.
const INSTA_VERSION: &str = "1.49.0";

/// The installed `cargo-insta`: on the path, else where `cargo install` puts it.
pub fn find() -> Option<PathBuf> {
    let name = format!("cargo-insta{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = || std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cargo")));
    let folders = std::env::split_paths(&path).chain(cargo.map(|cargo| cargo.join("bin")));
    folders.map(|folder| folder.join(&name)).find(|file| file.is_file())
}

/// The command that reviews what waits in a folder of snapshots: all of it, or these (`TARGET/NAME`).
///
/// # Errors
/// The path of our own executable, or that of the folder, cannot be had.
pub fn review(cargo_insta: &Path, snapshots: &Path, only: &[String]) -> std::io::Result<Command> {
    let mut command = Command::new(cargo_insta);
    command.args(["insta", "review", "--workspace", "--include-ignored", "--include-hidden"]);
    command.args(only.iter().flat_map(|path| ["--snapshot".to_owned(), format!("{path}.snap")]));
    command.env("CARGO", std::env::current_exe()?).env(FOLDER, std::path::absolute(snapshots)?);
    Ok(command)
}

/// The answer to `cargo metadata` where [`review`] runs; `None` where it does not.
pub fn metadata(version: &str) -> Option<String> {
    let folder = PathBuf::from(std::env::var_os(FOLDER)?);
    let targets = super::files::review_folders(&folder);
    Some(answer(&folder, &super::files::workspace_root(), &targets, version).to_string())
}

fn answer(folder: &Path, root: &Path, targets: &[String], version: &str) -> Value {
    let package = |name: &str, version: &str, manifest: PathBuf| {
        json!({
            "name": name, "version": version, "id": name, "manifest_path": manifest,
            "dependencies": [], "targets": [], "features": {},
        })
    };
    let ours = targets.iter().map(|target| package(target, version, folder.join(target).join("Cargo.toml")));
    // cargo-insta warns of an insta that is newer than itself.
    let insta = package("insta", INSTA_VERSION, folder.join("insta").join("Cargo.toml"));
    json!({
        "packages": ours.chain([insta]).collect::<Vec<_>>(),
        "workspace_members": targets, "workspace_default_members": targets, "resolve": null,
        "workspace_root": root, "target_directory": folder.join("target"), "version": 1, "metadata": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_is_a_package_below_the_root_and_insta_is_none_of_the_members() {
        let targets = ["dify-1.12".to_owned(), "staging".to_owned()];
        let said = answer(Path::new("/p/snapshots"), Path::new("/p"), &targets, "0.1.0");
        assert_eq!(said["workspace_members"], json!(["dify-1.12", "staging"]));
        assert_eq!(said["packages"][1]["manifest_path"], "/p/snapshots/staging/Cargo.toml");
        assert_eq!(said["packages"][2]["name"], "insta");
        assert_eq!(said["workspace_root"], "/p");
    }

    #[test]
    fn the_version_of_insta_is_the_one_we_depend_on() {
        let manifest = include_str!("../../Cargo.toml");
        let (major_minor, _) = INSTA_VERSION.rsplit_once('.').unwrap();
        assert!(manifest.contains(&format!("insta = {{ version = \"{major_minor}\"")));
    }
}
