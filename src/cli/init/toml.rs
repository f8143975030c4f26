//! The text of a `difyprobe.toml`.

use super::Found;
use super::scenario::First;

/// Settings for what was found, with a word about each.
pub fn text(found: &Found, scenario: &First) -> String {
    let mut out = String::from(
        "# Settings of difyprobe for this folder. What is typed or stands in the environment wins over this file.\n\
         # Keys are the names of flags; those before the first [section] hold for every command that has the flag.\n\
         # Problems are shown by `difyprobe lint difyprobe.toml`; docs/settings.md has more.\n\n",
    );
    match &found.base_url {
        Some(url) => out += &format!("base-url = {}\n", string(url)),
        None => {
            out += "# Without a base-url the embedded emulator is used.\n# base-url = \"https://dify.example/v1\"\n"
        }
    }
    let (profile, why) = &found.profile;
    if found.profile_typed {
        out += &format!("profile = {}\n", string(profile.id));
    } else {
        out += &format!("# auto follows the version of the server; today that is {} ({}).\n", profile.id, comment(why));
        out += "profile = \"auto\"\n";
    }
    out += "\n# Most requests at the same time.\n# max-in-flight = 4\n\
            # The same seed sends the same requests.\n# seed = 1\n\
            # Folder of the reports.\n# reports = \"reports\"\n\n\
            # Keys of the apps by mode, each from a variable of the environment. A key itself is refused here.\n";
    out += &apps(found);
    out += "\n[check]\n\
            # Failures that are accepted for now: docs/checking.md\n# baseline = \"known.yaml\"\n\
            # Known deviations of the version fail, too.\n# strict = true\n\
            # For a CI server.\n# report = [\"junit=reports/junit.xml\"]\n";
    let list = format!("[{}]", string(&scenario.path));
    out += &format!(
        "\n[snapshot]\n# Without scenarios: the built-in suite.\nscenarios = {list}\n\
         # A model seldom says the same twice: that there is a text is compared, not its words.\ntexts = \"shape\"\n"
    );
    out += &format!("\n[load]\nscenarios = {list}\n# What the server must hold.\nslo = [\"error-rate < 1%\"]\n");
    out
}

/// The table of apps. Without a server it is an example, in comments.
fn apps(found: &Found) -> String {
    if found.base_url.is_none() {
        return "# [apps]\n# chat = { env = \"DIFY_CHAT_KEY\" }\n".to_owned();
    }
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for (app, variable) in found.apps.iter().zip(&found.variables) {
        let Some(mode) = app.mode.map(|mode| mode.to_string()) else { continue };
        let source = format!("{{ env = {} }}", string(variable));
        match rows.iter_mut().find(|(known, _)| *known == mode) {
            Some((_, sources)) => sources.push(source),
            None => rows.push((mode, vec![source])),
        }
    }
    let row = |(mode, sources): &(String, Vec<String>)| match sources.as_slice() {
        [one] => format!("{mode} = {one}\n"),
        several => format!("{mode} = [{}]\n", several.join(", ")),
    };
    format!("[apps]\n{}", rows.iter().map(row).collect::<String>())
}

/// A basic string of TOML, whose escapes are those of JSON.
fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
