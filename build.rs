//! Fixes insta's idea of the workspace at build time: no path of the building machine gets into the binary, and no
//! `cargo metadata` is started at run time. `INSTA_WORKSPACE_ROOT` in the environment of a run overrides it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=INSTA_WORKSPACE_ROOT=.");
}
