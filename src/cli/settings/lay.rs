//! Settings of a file, laid under what was typed.

use super::Lookup;
use super::file::{Entry, From, Settings, Word, name_of};
use crate::cli::args::Args;
use crate::cli::exit::Failure;
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
    let mut defaults: Vec<(String, String, Vec<String>)> = Vec::new();
    for arg in command.get_arguments() {
        let Some(entry) = layer.entry(name, arg) else { continue };
        if name_of(arg) != "api-key" && !layer.is_overruled(&command, arg) {
            defaults.push((arg.get_id().to_string(), entry.flag.clone(), layer.values(entry, arg)));
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
    let used = defaults.iter().map(|(_, flag, _)| flag.clone()).collect();
    let empty: Vec<String> = command.get_arguments().filter(|arg| is_empty(arg, env)).map(|a| a.get_id().to_string()).collect();
    let command = Args::command().mut_subcommand(name, |mut sub| {
        for id in empty {
            sub = sub.mut_arg(id, |arg| arg.env(Resettable::Reset));
        }
        for (id, _, values) in defaults {
            sub = sub.mut_arg(id, |arg| arg.required(false).default_values(values));
        }
        sub
    });
    Ok(Laid { command, used, notes })
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
                    self.problems.add(word.at, word.width, message, format!("set it (export {name}=...), or take this out"));
                }
                value
            }
        }
    }

    /// The keys of the file. They belong to its server: they are not in force where another server or other keys are given.
    fn keys(&mut self, name: &str, command: &clap::Command) -> Result<Vec<(String, String, Vec<String>)>, String> {
        let find = |id: &str| command.get_arguments().find(|arg| arg.get_id() == id);
        let single = find("api_key").and_then(|arg| self.entry(name, arg));
        let apps = find("app").map_or(&[][..], |_| &self.settings.apps);
        if apps.is_empty() && single.is_none() {
            return Ok(Vec::new());
        }
        let what = format!("the keys of {} are not used", self.settings.path.display());
        let base_url = find("base_url");
        let own = base_url.and_then(|arg| self.entry(name, arg));
        let given = base_url.filter(|arg| self.is_given(arg)).and_then(|arg| self.matches.get_raw(arg.get_id().as_str()));
        let given = given.and_then(|mut raw| raw.next()).map(|raw| raw.to_string_lossy().into_owned());
        match (&given, own) {
            (None, None) => return Err(format!("{what}: neither it nor the command line has a base-url")),
            (Some(given), Some(own)) => {
                let known = |word: &Word| match &word.from {
                    From::Text(text) => Some(text.clone()),
                    From::Env(name) => (self.env)(name),
                };
                let same = own.words.first().and_then(known).is_some_and(|own| own == *given);
                if !same {
                    return Err(format!("{what}: they belong to its base-url, and another one was given"));
                }
            }
            _ => {}
        }
        let variables = apps.iter().map(|(_, word)| word).chain(single.iter().flat_map(|s| &s.words));
        let names_it = |arg: &Arg| {
            let env = arg.get_env().and_then(|e| e.to_str());
            let by_env = self.matches.value_source(arg.get_id().as_str()) == Some(ValueSource::EnvVariable);
            by_env && variables.clone().any(|w| matches!(&w.from, From::Env(name) if Some(name.as_str()) == env))
        };
        if let Some(arg) = ["app", "api_key"].into_iter().filter_map(find).find(|arg| self.is_given(arg) && !names_it(arg)) {
            let by_env = self.matches.value_source(arg.get_id().as_str()) == Some(ValueSource::EnvVariable);
            let env = arg.get_env().filter(|_| by_env).and_then(|name| name.to_str()).map(str::to_owned);
            return Err(format!("{what}: {} was given", env.unwrap_or_else(|| format!("--{}", name_of(arg)))));
        }
        let mut keys = Vec::new();
        if let Some(single) = single {
            keys.push(("api_key".to_owned(), "api-key".to_owned(), single.words.iter().filter_map(|w| self.resolve(w)).collect()));
        }
        if !apps.is_empty() {
            let one = |layer: &mut Self, mode: &crate::model::AppMode, word| Some(format!("{mode}={}", layer.resolve(word)?));
            let all = apps.iter().filter_map(|(mode, word)| one(self, mode, word)).collect();
            keys.push(("app".to_owned(), "apps".to_owned(), all));
        }
        Ok(keys)
    }
}

/// A path of the file, which is meant beside it.
fn join(folder: &Path, path: &str) -> String {
    folder.join(path).display().to_string()
}
