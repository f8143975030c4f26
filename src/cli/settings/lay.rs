//! Settings of a file, laid under what was typed.

use super::Lookup;
use super::file::{Entry, From, Settings, Word, name_of};
use crate::cli::args::Args;
use crate::cli::exit::Failure;
use crate::model::AppMode;
use crate::scenario::{Problems, render_all};
use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory};
use std::any::TypeId;
use std::path::{Path, PathBuf};

/// The command line's definition with the settings as its defaults.
pub struct Laid {
    /// The definition.
    pub command: clap::Command,
    /// Names of the settings in force.
    pub used: Vec<String>,
    /// Settings that are not, and why.
    pub notes: Vec<String>,
}

/// The definition where a file may still give what is missing.
pub fn lenient(command: clap::Command) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let scenarios = |c: &clap::Command| c.get_arguments().any(|arg| arg.get_id() == "scenarios");
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |sub| {
            if scenarios(&sub) { sub.mut_arg("scenarios", |arg| arg.required(false)) } else { sub }
        })
    })
}

/// Lays settings under the command `name`, of which `matches` were typed.
///
/// # Errors
/// A variable that the file names and the environment lacks.
pub fn under(settings: &Settings, name: &str, matches: &ArgMatches, env: Lookup<'_>) -> Result<Laid, Failure> {
    let mut root = Args::command();
    root.build();
    let Some(command) = root.find_subcommand(name).cloned() else {
        return Ok(Laid { command: Args::command(), used: Vec::new(), notes: Vec::new() });
    };
    let mut layer = Layer { settings, matches, env, problems: Problems::new(&settings.path.display().to_string()) };
    let mut defaults = Vec::new();
    for arg in command.get_arguments() {
        let Some(entry) = layer.entry(name, arg) else { continue };
        if name_of(arg) != "api-key" && !layer.is_overruled(&command, arg) {
            let values = layer.values(entry, arg);
            defaults.push(Default { id: arg.get_id().to_string(), key: entry.flag.clone(), values });
        }
    }
    let mut notes = Vec::new();
    if command.get_arguments().any(|arg| arg.get_id() == "base_url") {
        match layer.keys(name, &command) {
            Ok(keys) => defaults.extend(keys),
            Err(why) => notes.push(why),
        }
    }
    if !layer.problems.is_empty() {
        let shown = render_all(&layer.problems.finish(), &settings.shown, false);
        return Err(Failure::usage(format!("the settings have problems\n\n{}", shown.trim_end())));
    }
    let used = defaults.iter().map(|default| default.key.clone()).collect();
    let empty = command.get_arguments().filter(|arg| is_empty(arg, env)).map(|arg| arg.get_id().to_string());
    let empty: Vec<String> = empty.collect();
    let command = Args::command().mut_subcommand(name, |sub| {
        let sub = empty.into_iter().fold(sub, |sub, id| sub.mut_arg(id, |arg| arg.env(Resettable::Reset)));
        let lay = |sub: clap::Command, default: Default| {
            sub.mut_arg(default.id, |arg| arg.required(false).default_values(default.values))
        };
        defaults.into_iter().fold(sub, lay)
    });
    Ok(Laid { command, used, notes })
}

/// Values for an argument that was not typed.
struct Default {
    /// Id of the argument.
    id: String,
    /// Key in the file.
    key: String,
    values: Vec<String>,
}

/// A variable that is set to nothing is not set.
fn is_empty(arg: &Arg, env: Lookup<'_>) -> bool {
    arg.get_env().and_then(|name| env(name.to_str()?)).is_some_and(|value| value.is_empty())
}

struct Layer<'a> {
    settings: &'a Settings,
    matches: &'a ArgMatches,
    env: Lookup<'a>,
    problems: Problems,
}

impl<'a> Layer<'a> {
    /// What the file says of an argument: for the command itself, else for all.
    fn entry(&self, command: &str, arg: &Arg) -> Option<&'a Entry> {
        let flag = name_of(arg);
        let of = |wanted: Option<&str>| {
            self.settings.entries.iter().find(|e| e.flag == flag && e.command.as_deref() == wanted)
        };
        of(Some(command)).or_else(|| of(None))
    }

    /// Whether an argument was typed or stands in the environment.
    fn is_given(&self, arg: &Arg) -> bool {
        match self.matches.value_source(arg.get_id().as_str()) {
            Some(ValueSource::CommandLine) => true,
            Some(ValueSource::EnvVariable) => !is_empty(arg, self.env),
            _ => false,
        }
    }

    /// Whether it was given, or something was that excludes it.
    fn is_overruled(&self, command: &clap::Command, arg: &Arg) -> bool {
        let excludes = |a: &Arg, b: &Arg| command.get_arg_conflicts_with(a).iter().any(|c| c.get_id() == b.get_id());
        let given = || command.get_arguments().filter(|other| self.is_given(other));
        self.is_given(arg) || given().any(|other| excludes(arg, other) || excludes(other, arg))
    }

    fn values(&mut self, entry: &Entry, arg: &Arg) -> Vec<String> {
        let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
        let folder = self.settings.path.parent().unwrap_or(Path::new("")).to_owned();
        let beside = |text: String| match text.split_once('=') {
            _ if is_path => join(&folder, &text),
            Some((format, path)) if entry.flag == "report" => format!("{format}={}", join(&folder, path)),
            _ => text,
        };
        entry.words.iter().filter_map(|word| self.resolve(word)).map(beside).collect()
    }

    /// A value; a variable that is not set is a problem.
    fn resolve(&mut self, word: &Word) -> Option<String> {
        match &word.from {
            From::Text(text) => Some(text.clone()),
            From::Env(name) => {
                let value = (self.env)(name).filter(|value| !value.is_empty());
                if value.is_none() {
                    let message = format!("the environment has no variable {name}");
                    self.problems.add(
                        word.at,
                        word.width,
                        message,
                        format!("set it (export {name}=...), or take this out"),
                    );
                }
                value
            }
        }
    }

    /// The keys of the file, as arguments with their values; an `Err` says why they are not in force.
    fn keys(&mut self, name: &str, command: &clap::Command) -> Result<Vec<Default>, String> {
        let find = |id: &str| command.get_arguments().find(|arg| arg.get_id() == id);
        let single = find("api_key").and_then(|arg| self.entry(name, arg)).map_or(&[][..], |entry| &entry.words);
        let apps = find("app").map_or(&[][..], |_| &self.settings.apps);
        if apps.is_empty() && single.is_empty() {
            return Ok(Vec::new());
        }
        let words: Vec<&Word> = apps.iter().map(|(_, word)| word).chain(single).collect();
        let base_url = find("base_url");
        let not_ours = self.another_server(base_url, base_url.and_then(|arg| self.entry(name, arg)));
        let typed = ["app", "api_key"].into_iter().filter_map(find).find_map(|arg| self.another_key(arg, &words));
        if let Some(why) = not_ours.or(typed) {
            return Err(format!("the keys of {} are not used: {why}", self.settings.path.display()));
        }
        let mut keys = Vec::new();
        if !single.is_empty() {
            let values = single.iter().filter_map(|word| self.resolve(word)).collect();
            keys.push(Default { id: "api_key".to_owned(), key: "api-key".to_owned(), values });
        }
        if !apps.is_empty() {
            let value = |(mode, word): &(AppMode, Word)| self.resolve(word).map(|key| format!("{mode}={key}"));
            let values = apps.iter().filter_map(value).collect();
            keys.push(Default { id: "app".to_owned(), key: "apps".to_owned(), values });
        }
        Ok(keys)
    }

    /// Why the server is not the one that the keys of the file belong to.
    fn another_server(&self, base_url: Option<&Arg>, own: Option<&Entry>) -> Option<String> {
        let given = base_url.filter(|arg| self.is_given(arg));
        let given = given.and_then(|arg| self.matches.get_raw(arg.get_id().as_str())?.next());
        let Some(given) = given.map(|raw| raw.to_string_lossy().into_owned()) else {
            return own.is_none().then(|| "neither it nor the command line has a base-url".to_owned());
        };
        // A file without a server leaves it to whoever runs it.
        let own = match own?.words.first().map(|word| &word.from) {
            Some(From::Text(text)) => Some(text.clone()),
            Some(From::Env(name)) => (self.env)(name),
            None => None,
        };
        let same = own.is_some_and(|own| own.trim_end_matches('/') == given.trim_end_matches('/'));
        (!same).then(|| "they belong to its base-url, and another one was given".to_owned())
    }

    /// What was given instead of the keys of the file: a flag, or a variable that the file does not name itself.
    fn another_key(&self, arg: &Arg, own: &[&Word]) -> Option<String> {
        if !self.is_given(arg) {
            return None;
        }
        let by_env = self.matches.value_source(arg.get_id().as_str()) == Some(ValueSource::EnvVariable);
        let Some(variable) = arg.get_env().and_then(|name| name.to_str()).filter(|_| by_env) else {
            return Some(format!("--{} was given", name_of(arg)));
        };
        let named = own.iter().any(|word| word.from == From::Env(variable.to_owned()));
        (!named).then(|| format!("{variable} is set"))
    }
}

/// A path of the file, which is meant beside it.
fn join(folder: &Path, path: &str) -> String {
    folder.join(path).display().to_string()
}
