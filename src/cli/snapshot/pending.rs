//! `snapshot list`, `accept`, `reject`: what waits for review, without a terminal.

use super::place::Places;
use super::show;
use crate::cli::args::PendingArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::chain;
use crate::report::escape;
use crate::snapshot::{self, SnapshotError, State, Waiting};
use crate::suite::filter::matches;

/// Lists what waits; exit 6 if anything does, so that a script can wait for the review.
pub fn list(args: &PendingArgs) -> Result<Exit, Failure> {
    let waiting = chosen(args)?;
    if waiting.is_empty() {
        println!("{}", nothing(args));
        return Ok(Exit::Pass);
    }
    let mut places = Places::default();
    for item in &waiting {
        println!("{}", line(item, &mut places));
    }
    println!("\n{} to review: {}", waiting.len(), show::HOW);
    Ok(Exit::SnapshotDiffers)
}

/// Accepts what waits, all of it or none: a broken file is found before the first is accepted.
pub fn accept(args: &PendingArgs) -> Result<Exit, Failure> {
    let waiting = chosen(args)?;
    refuse_broken(&waiting)?;
    each(args, &waiting, "accepted", Waiting::accept)?;
    Ok(Exit::Pass)
}

/// Throws away what waits, also what is broken.
pub fn reject(args: &PendingArgs) -> Result<Exit, Failure> {
    let waiting = chosen(args)?;
    each(args, &waiting, "rejected", Waiting::reject)?;
    Ok(Exit::Pass)
}

fn each(
    args: &PendingArgs,
    waiting: &[Waiting],
    word: &str,
    act: impl Fn(&Waiting) -> Result<(), SnapshotError>,
) -> Result<(), Failure> {
    if waiting.is_empty() {
        println!("{}", nothing(args));
    }
    for item in waiting {
        act(item).map_err(|e| Failure::usage(chain(&e)))?;
        println!("{word} {}", escape::terminal(&item.path()));
    }
    Ok(())
}

/// What is said where nothing waits.
pub fn nothing(args: &PendingArgs) -> String {
    format!("nothing waits for review in {}", args.snapshots.display())
}

/// What of the waiting files is meant: all, or those that the names mean.
///
/// # Errors
/// The folder cannot be listed; a name means nothing that waits, while something does.
pub fn chosen(args: &PendingArgs) -> Result<Vec<Waiting>, Failure> {
    let waiting = snapshot::waiting(&args.snapshots).map_err(|e| Failure::usage(chain(&e)))?;
    for name in &args.names {
        if !waiting.is_empty() && !waiting.iter().any(|item| means(name, item)) {
            return Err(Failure::usage(format!(
                "{name}: nothing that waits for review has this name; `difyprobe snapshot list` shows all {}",
                waiting.len()
            )));
        }
    }
    let meant = |item: &Waiting| args.names.is_empty() || args.names.iter().any(|name| means(name, item));
    Ok(waiting.into_iter().filter(meant).collect())
}

/// A name is `TARGET/NAME` or `NAME`, with `*`, with or without the endings of the file and of the app.
fn means(name: &str, item: &Waiting) -> bool {
    let name = name.trim_end_matches(".new").trim_end_matches(".snap");
    let without_app = item.name.split('@').next().unwrap_or_default();
    let all = [item.path(), item.name.clone(), format!("{}/{without_app}", item.target), without_app.to_owned()];
    all.iter().any(|text| matches(name, text))
}

/// Stops where a file is broken, before anything is done.
pub fn refuse_broken(waiting: &[Waiting]) -> Result<(), Failure> {
    let broken: Vec<String> =
        waiting.iter().filter_map(|item| Some(format!("{}: {}", item.path(), item.content.as_ref().err()?))).collect();
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "nothing was accepted: {} that cannot be read\n  {}\nrun `difyprobe snapshot` again to have them written anew, \
         or throw them away by name: `difyprobe snapshot reject NAME`",
        if broken.len() == 1 { "a file waits".to_owned() } else { format!("{} files wait", broken.len()) },
        broken.iter().map(|text| escape::terminal(text)).collect::<Vec<_>>().join("\n  ")
    )))
}

fn line(item: &Waiting, places: &mut Places) -> String {
    let (word, rest) = match &item.content {
        Ok(content) => {
            (word(content.state), places.of(item).map(|place| format!("  ({})", place.at)).unwrap_or_default())
        }
        Err(why) => ("broken", format!("  ({why})")),
    };
    format!("{word:8} {}", escape::terminal(&format!("{}{rest}", item.path())))
}

/// The state in one word.
pub fn word(state: State) -> &'static str {
    match state {
        State::New => "new",
        State::Changed => "changed",
        State::Same => "same",
        State::Missing => "missing",
        State::Orphan => "orphan",
    }
}
