//! Text of a `difyprobe.toml` -> settings, or all its problems with line and column.

use crate::cli::args::Args;
use crate::cli::exit::Failure;
use crate::cli::output::chain;
use crate::cli::target::key_variable;
use crate::model::AppMode;
use crate::scenario::ast::At;
use crate::scenario::{Diagnostic, Problems, closest, render_all, suggestion};
use crate::store;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, CommandFactory};
use std::error::Error as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name of the file.
pub const NAME: &str = "difyprobe.toml";

/// What a file says.
pub struct Settings {
    /// Where it was read.
    pub path: PathBuf,
    /// Its text, keys masked: for problems that show up later.
    pub shown: String,
    /// Values of flags.
    pub entries: Vec<Entry>,
    /// Keys of apps, as `MODE` and where the key is.
    pub apps: Vec<(AppMode, Word)>,
}

/// The value of a flag.
pub struct Entry {
    /// The command it holds for; `None` for all that have the flag.
    pub command: Option<String>,
    /// Name of the flag, without the dashes; `scenarios` for the files of a command.
    pub flag: String,
    /// What would be typed behind it.
    pub words: Vec<Word>,
}

/// A value, with its place in the file.
#[derive(Clone)]
pub struct Word {
    /// Where it comes from.
    pub from: From,
    /// Where it stands.
    pub at: At,
    /// Characters it takes.
    pub width: u32,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// The file itself.
    Text(String),
    /// A variable of the environment.
    Env(String),
}

/// Flags that no file may hold, and why.
const NEVER: &[(&str, &str)] =
    &[("config", "a file cannot name the file"), ("no-config", "a file cannot switch itself off"), ("app", APPS)];
const APPS: &str = "write the apps as a table: [apps], then a line such as chat = { env = \"DIFY_CHAT_KEY\" }";

/// Whether settings hold for a command: it talks to a server, or writes reports.
pub fn takes_settings(command: &clap::Command) -> bool {
    command.get_name() != "init"
        && command.get_arguments().any(|arg| ["base_url", "reports"].contains(&arg.get_id().as_str()))
}

/// Reads a file, which is called `path` in messages and for the paths in it.
///
/// # Errors
/// A file that cannot be read, or has problems.
pub fn read(file: &Path, path: &Path) -> Result<Settings, Failure> {
    let text = read_text(file)?;
    parse(path, &text).map_err(|(problems, shown)| {
        Failure::usage(format!("the settings have problems\n\n{}", render_all(&problems, &shown, false).trim_end()))
    })
}

/// All problems of a file, rendered.
///
/// # Errors
/// A file that cannot be read.
pub fn problems(path: &Path, color: bool) -> Result<Option<String>, Failure> {
    let text = read_text(path)?;
    Ok(parse(path, &text).err().map(|(problems, shown)| render_all(&problems, &shown, color)))
}

fn read_text(path: &Path) -> Result<String, Failure> {
    store::read_text(path)
        .map_err(|e| Failure::usage(format!("--config: {}; `difyprobe init` writes a new one", chain(&e))))
}

/// The settings of a text, or its problems and the text to show with them: never a key.
pub fn parse(path: &Path, text: &str) -> Result<Settings, (Vec<Diagnostic>, String)> {
    let (table, broken) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(path, text);
    for error in broken {
        let span = error.span().unwrap_or(0..0);
        reader.problem(&span, mask_keys(error.message()), "");
    }
    let broken = !reader.problems.is_empty();
    if !broken {
        reader.table(table.get_ref());
    }
    let Reader { problems, secrets, entries, apps, .. } = reader;
    let shown = mask_spans(&mask_keys(text), &secrets);
    if problems.is_empty() {
        return Ok(Settings { path: path.to_owned(), shown, entries, apps });
    }
    Err((problems.finish(), shown))
}

struct Reader<'a> {
    text: &'a str,
    problems: Problems,
    /// Where keys stand that should not.
    secrets: Vec<Range<usize>>,
    commands: Vec<clap::Command>,
    entries: Vec<Entry>,
    apps: Vec<(AppMode, Word)>,
}

impl<'a> Reader<'a> {
    fn new(path: &Path, text: &'a str) -> Reader<'a> {
        let mut root = Args::command();
        root.build();
        let commands = root.get_subcommands().filter(|c| takes_settings(c)).cloned().collect();
        let problems = Problems::new(&path.display().to_string());
        Reader { text, problems, secrets: Vec::new(), commands, entries: Vec::new(), apps: Vec::new() }
    }

    fn problem(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let (at, width) = place(self.text, span);
        self.problems.add(at, width, message, help);
    }

    fn table(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(apps) if name == "apps" => self.apps(apps),
                _ if name == "apps" => self.problem(&value.span(), "`apps` is a table", APPS),
                DeValue::Table(section) if self.commands.iter().any(|c| c.get_name() == name) => {
                    for (key, value) in section {
                        self.entry(Some(name), key, value);
                    }
                }
                DeValue::Table(inner) if !is_env(inner) => self.unknown_section(key),
                _ => self.entry(None, key, value),
            }
        }
    }

    fn unknown_section(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>) {
        let name = key.get_ref();
        let mut known: Vec<String> = self.commands.iter().map(|c| c.get_name().to_owned()).collect();
        known.push("apps".to_owned());
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        self.problem(&key.span(), format!("unknown section `{name}`"), suggestion(name, &known));
    }

    fn apps(&mut self, apps: &DeTable<'_>) {
        for (key, value) in apps {
            let Some(mode) = AppMode::parse(key.get_ref()) else {
                let known = AppMode::ALL.map(AppMode::as_str);
                let name = key.get_ref();
                self.problem(&key.span(), format!("there is no mode `{name}` of apps"), suggestion(name, &known));
                self.secrets.push(value.span());
                continue;
            };
            let keys: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
                DeValue::Array(several) => several.iter().collect(),
                _ => vec![value],
            };
            for key in keys {
                if let Some(word) = self.key(key, &key_variable(mode.as_str())) {
                    self.apps.push((mode, word));
                }
            }
        }
    }

    /// The key of an app, which is never written in the file.
    fn key(&mut self, value: &Spanned<DeValue<'_>>, variable: &str) -> Option<Word> {
        if let DeValue::Table(_) = value.get_ref() {
            return self.word(value);
        }
        self.secrets.push(value.span());
        let help = format!("write {{ env = \"{variable}\" }}, and put the key into that variable");
        self.problem(&value.span(), "a key does not belong in a file that others read", help);
        None
    }

    fn entry(&mut self, command: Option<&str>, key: &Spanned<std::borrow::Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        let flag = key.get_ref().as_ref();
        if let Some((_, why)) = NEVER.iter().find(|(never, _)| *never == flag) {
            self.secrets.push(value.span());
            return self.problem(&key.span(), format!("`{flag}` cannot be set here"), *why);
        }
        let chosen = |c: &&clap::Command| command.is_none_or(|name| c.get_name() == name);
        let having = |c: &clap::Command| c.get_arguments().find(|arg| name_of(arg) == flag).cloned();
        let args: Vec<(clap::Command, Arg)> =
            self.commands.iter().filter(chosen).filter_map(|c| Some((c.clone(), having(c)?))).collect();
        let Some((_, first)) = args.first() else { return self.unknown_flag(command, flag, key) };
        let words = if flag == "api-key" {
            self.key(value, "DIFY_API_KEY").into_iter().collect()
        } else {
            self.words(first, value)
        };
        for word in &words {
            let From::Text(text) = &word.from else { continue };
            let why = args.iter().find_map(|(command, arg)| refused(command, arg, text));
            if let Some((message, help)) = why {
                self.problems.add(word.at, word.width, format!("`{flag}`: {message}"), help);
            }
        }
        if !words.is_empty() {
            self.entries.push(Entry { command: command.map(str::to_owned), flag: flag.to_owned(), words });
        }
    }

    fn unknown_flag(&mut self, command: Option<&str>, flag: &str, key: &Spanned<std::borrow::Cow<'_, str>>) {
        let chosen = |c: &&clap::Command| command.is_none_or(|name| c.get_name() == name);
        let names: Vec<String> = self
            .commands
            .iter()
            .filter(chosen)
            .flat_map(|c| c.get_arguments().filter(|arg| settable(arg)).map(name_of).collect::<Vec<_>>())
            .collect();
        let page = format!("difyprobe {} --help", command.unwrap_or("check"));
        let help = closest(flag, names.iter().map(String::as_str)).map(|name| format!("did you mean `{name}`?"));
        let help = help.unwrap_or_else(|| format!("keys are the names of flags: `{page}` shows them"));
        let whose = command.map(|name| format!(" of `{name}`")).unwrap_or_default();
        self.problem(&key.span(), format!("unknown key `{flag}`{whose}"), help);
    }

    /// What a value would be on the command line.
    fn words(&mut self, arg: &Arg, value: &Spanned<DeValue<'_>>) -> Vec<Word> {
        let name = name_of(arg);
        match (arg.get_action(), value.get_ref()) {
            (ArgAction::SetTrue, DeValue::Boolean(_)) => self.word(value).into_iter().collect(),
            (ArgAction::SetTrue, _) => {
                self.problem(&value.span(), format!("`{name}` is a switch"), "write true or false");
                Vec::new()
            }
            (ArgAction::Append, DeValue::Array(items)) => items.iter().filter_map(|item| self.word(item)).collect(),
            (_, DeValue::Boolean(_)) => {
                self.problem(&value.span(), format!("`{name}` takes a value"), "write a text or a number");
                Vec::new()
            }
            _ => self.word(value).into_iter().collect(),
        }
    }

    fn word(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Word> {
        let from = match value.get_ref() {
            DeValue::String(text) => Some(From::Text(text.to_string())),
            DeValue::Boolean(yes) => Some(From::Text(yes.to_string())),
            DeValue::Integer(_) | DeValue::Float(_) => {
                Some(From::Text(self.text.get(value.span()).unwrap_or_default().replace('_', "")))
            }
            DeValue::Table(table) if is_env(table) => return self.variable(table),
            DeValue::Table(_) | DeValue::Array(_) | DeValue::Datetime(_) => None,
        };
        let (at, width) = place(self.text, &value.span());
        if from.is_none() {
            let help = "write a text, a number, or { env = \"NAME\" } for a variable of the environment";
            self.problems.add(at, width, "this is no value of a flag", help);
        }
        Some(Word { from: from?, at, width })
    }

    /// `{ env = "NAME" }`.
    fn variable(&mut self, table: &DeTable<'_>) -> Option<Word> {
        for (key, _) in table.iter().filter(|(key, _)| key.get_ref() != "env") {
            let name = key.get_ref();
            self.problem(&key.span(), format!("unknown key `{name}`"), "only `env` stands here");
        }
        let value = table.get("env")?;
        let fits = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && is_plain(text);
        match value.get_ref() {
            DeValue::String(name) if fits(name) => {
                let (at, width) = place(self.text, &value.span());
                Some(Word { from: From::Env(name.to_string()), at, width })
            }
            _ => {
                self.secrets.push(value.span());
                let help = "write its name, such as DIFY_CHAT_KEY: the key itself stands in the environment";
                self.problem(&value.span(), "this is no name of a variable", help);
                None
            }
        }
    }
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_env(table: &DeTable<'_>) -> bool {
    table.contains_key("env")
}

/// The key that stands for an argument: the name of its flag, or of the argument itself.
pub fn name_of(arg: &Arg) -> String {
    arg.get_long().map_or_else(|| arg.get_id().to_string(), str::to_owned)
}

fn settable(arg: &Arg) -> bool {
    let name = name_of(arg);
    name != "help" && !NEVER.iter().any(|(never, _)| *never == name)
}

/// Why clap does not take a value for a flag, and what would be right.
fn refused(command: &clap::Command, arg: &Arg, text: &str) -> Option<(String, String)> {
    if matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Count) {
        return None;
    }
    let long = arg.get_long()?;
    let typed = [command.get_name().to_owned(), format!("--{long}={text}")];
    let error = command.clone().try_get_matches_from(typed).err()?;
    let possible: Vec<String> = arg.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
    let possible: Vec<&str> = possible.iter().map(String::as_str).collect();
    match error.kind() {
        ErrorKind::ValueValidation => Some((error.source().map(ToString::to_string)?, String::new())),
        ErrorKind::InvalidValue => Some((format!("`{text}` is none of its values"), suggestion(text, &possible))),
        // What else is missing on this made-up line is no matter of the file.
        _ => None,
    }
}

/// Line, column and width of some bytes; a width ends with the line.
fn place(text: &str, span: &Range<usize>) -> (At, u32) {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let within = text.get(span.clone()).unwrap_or_default();
    let width = within.lines().next().unwrap_or_default().chars().count().max(1);
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (At { line: small(line), column: small(column) }, small(width))
}

/// Everything that looks like a key of Dify, as asterisks of the same length.
fn mask_keys(text: &str) -> String {
    let Ok(keys) = regex::Regex::new(r"\b(?:app|dataset)-[A-Za-z0-9_-]{4,}") else { return String::new() };
    keys.replace_all(text, |found: &regex::Captures<'_>| "*".repeat(found[0].len())).into_owned()
}

fn mask_spans(text: &str, spans: &[Range<usize>]) -> String {
    let hidden = |at: usize| spans.iter().any(|span| span.contains(&at));
    text.char_indices().map(|(at, c)| if hidden(at) && c != '\n' { '*' } else { c }).collect()
}
