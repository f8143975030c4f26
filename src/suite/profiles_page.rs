//! The text of docs/profiles.md: what is expected of which version. A test keeps the file equal.

use super::catalogue::plain;
use crate::profile::{InputsPolicy, Known, PROFILES, Profile, Version};
use std::fmt::Write;

const HEAD: &str = "# Profiles and versions\n\n\
    Dify's documentation and its servers disagree here and there, and not in every version in the same way. A **profile** says what is expected of \
    a range of versions: the documentation, but for the **known deviations** listed below, each with its source. This page is generated from \
    `src/profile/` (`UPDATE_GOLDEN=1 cargo test --test it rules_doc` writes it anew).\n\n\
    ```sh\n\
    difyprobe check                          # --profile auto: by the version that the server names\n\
    difyprobe check --profile documented     # what the documentation promises, of whatever server\n\
    difyprobe check --strict                 # known deviations fail, too\n\
    difyprobe serve --profile dify-1.12      # an emulator that behaves like that version\n\
    ```\n\n\
    - `auto` picks by the header `X-Version`. A server that sends none, and a version that no profile describes yet, is judged by the \
    documentation; the report says which profile was taken and why.\n\
    - A known deviation is shown as `known-deviation` and counted; it fails a run only with `--strict`. What differs on top of it fails as ever.\n\
    - What your own server does differently goes with a reason into a [baseline](checking.md#failures-that-are-accepted-for-now).\n\
    - A transcript remembers its profile; `difyprobe judge --profile` judges it by another one.\n";

/// The whole page.
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    out += "\n| profile | versions | inputs of later turns | known deviations | what |\n|---|---|---|---|---|\n";
    for profile in PROFILES {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} |",
            profile.id,
            versions(profile),
            inputs(profile),
            profile.all_known().count(),
            plain(profile.title)
        );
    }
    for profile in PROFILES.iter().filter(|profile| profile.all_known().next().is_some()) {
        let _ = write!(out, "\n## {}\n\n", profile.id);
        table(&mut out, profile.known);
        if let Some((before, known)) = profile.early {
            let _ = write!(out, "\nBefore {}, besides:\n\n", number(before));
            table(&mut out, known);
        }
    }
    out += "\nA new profile is a row in `src/profile/mod.rs`; see [architecture](architecture.md#adding-things).\n";
    out
}

fn table(out: &mut String, known: &[Known]) {
    out.push_str("| rule | part | what these versions do | source |\n|---|---|---|---|\n");
    for row in known {
        let anchor: String = row.rule.chars().filter(|c| *c != '.').collect();
        let part = if row.checks.is_empty() { "all".to_owned() } else { row.checks.join(", ") };
        let cell = |text: &str| plain(text).replace('|', "\\|");
        let (what, source) = (cell(row.reason), cell(row.source));
        let _ = writeln!(out, "| [`{}`](rules.md#{anchor}) | {part} | {what} | {source} |", row.rule);
    }
}

fn versions(profile: &Profile) -> String {
    match profile.window {
        None => "any".to_owned(),
        Some(((0, 0, 0), before)) => format!("before {}", number(before)),
        Some((from, before)) => format!("{} up to, not including, {}", number(from), number(before)),
    }
}

fn inputs(profile: &Profile) -> &'static str {
    match profile.inputs {
        InputsPolicy::Ignored => "ignored: those of the first turn stay",
        InputsPolicy::Applied => "applied on every turn",
    }
}

fn number((major, minor, patch): Version) -> String {
    format!("{major}.{minor}.{patch}")
}
