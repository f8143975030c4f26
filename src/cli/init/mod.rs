//! `init`: settings and a first scenario, from what the server says about its apps.

mod scenario;
mod toml;

use super::args::InitArgs;
use super::exit::{Exit, Failure};
use super::output::chain;
use super::{settings, target};
use crate::flow::{self, Pace, SessionOptions};
use crate::model::App;
use crate::profile::Profile;
use crate::report::escape;
use crate::store::OutputFile;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the files are written from.
struct Found {
    /// `None` for the embedded emulator.
    base_url: Option<String>,
    apps: Vec<App>,
    /// Names of variables that hold the keys, in the order of `apps`.
    variables: Vec<String>,
    /// The profile in force, and why.
    profile: (&'static Profile, String),
    /// The profile was asked for.
    profile_typed: bool,
}

/// Asks the server and writes the files.
pub fn run(args: InitArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    // Before the server is asked: what cannot be written need not be found out.
    let settings_file = free(args.folder.join(settings::NAME), args.force)?;
    let (found, notes) = runtime.block_on(discover(&args))?;
    let Some(first) = found.apps.iter().find(|app| app.mode.is_some()) else {
        return Err(Failure::incomplete("the server does not tell the mode of its app: give it as --app MODE=KEY"));
    };
    let scenario = scenario::first(first);
    let scenario_file = free(args.folder.join(&scenario.path), args.force)?;
    let texts = [(scenario_file, scenario.text.clone()), (settings_file, toml::text(&found, &scenario))];
    let mut written = Vec::new();
    for (path, text) in texts {
        let file = OutputFile::open_early(&path).map_err(|e| Failure::usage(chain(&e)))?;
        file.write(text.as_bytes()).map_err(|e| Failure::usage(chain(&e)))?;
        written.push(path);
    }
    for note in notes {
        eprintln!("{}", escape::terminal(&note));
    }
    say(&args, &found, &written);
    Ok(Exit::Pass)
}

/// A path that may be written.
fn free(path: PathBuf, force: bool) -> Result<PathBuf, Failure> {
    if path.exists() && !force {
        return Err(Failure::usage(format!("{} is there already; --force writes over it", path.display())));
    }
    Ok(path)
}

async fn discover(args: &InitArgs) -> Result<(Found, Vec<String>), Failure> {
    let chosen = target::choose(&args.target, fastrand::u64(..)).await?;
    let options = SessionOptions {
        client: chosen.client.clone(),
        run_id: "init".to_owned(),
        seed: chosen.seed,
        stop: CancellationToken::new(),
        pace: Pace::default(),
        keep: true,
        grace: Duration::from_secs(1),
        first_id: 1,
    };
    let discovery = flow::discover(&chosen.base_url, &chosen.keys, options);
    let discovery = discovery.await.map_err(|e| Failure::incomplete(e.to_string()))?;
    let apps: Vec<App> = discovery.target.apps.into_iter().map(|app| app.app).collect();
    let version = apps.iter().find_map(|app| app.server_version.as_deref());
    let profile = match chosen.profile {
        Some(profile) => (profile, "asked for by --profile".to_owned()),
        None => Profile::for_version(version),
    };
    let found = Found {
        base_url: (!chosen.embedded).then(|| chosen.base_url.clone()),
        variables: variables(args, &apps),
        apps,
        profile,
        profile_typed: chosen.profile.is_some(),
    };
    Ok((found, discovery.notes))
}

/// Variables for the keys: the one that held the key, else one named after the app.
fn variables(args: &InitArgs, apps: &[App]) -> Vec<String> {
    let held = args.target.app.is_empty() && std::env::var("DIFY_API_KEY").ok() == args.target.api_key;
    let variable = |app: &App| if held { "DIFY_API_KEY".to_owned() } else { target::key_variable(&app.label) };
    apps.iter().map(variable).collect()
}

fn say(args: &InitArgs, found: &Found, written: &[PathBuf]) {
    let server = found.base_url.as_deref().unwrap_or("the embedded emulator (no --base-url was given)");
    println!("found on {}: {} ({})", escape::terminal(server), found.profile.0.id, escape::terminal(&found.profile.1));
    for app in &found.apps {
        let inputs: Vec<&str> = app.inputs.iter().map(|field| field.variable.as_str()).collect();
        let inputs = if inputs.is_empty() { "no inputs".to_owned() } else { format!("inputs {}", inputs.join(", ")) };
        println!("  {}", escape::terminal(&format!("{:13} {inputs}", app.label)));
    }
    println!("written:");
    for path in written {
        println!("  {}", path.strip_prefix(".").unwrap_or(path).display());
    }
    println!("next:");
    if args.folder.as_os_str() != "." {
        println!("  cd {}", args.folder.display());
    }
    if found.base_url.is_some() {
        let unset = found.variables.iter().filter(|name| std::env::var_os(name).is_none());
        unset.for_each(|name| println!("  export {name}=app-...    # the key is not written anywhere"));
    }
    let scenario =
        written.first().and_then(|path| path.strip_prefix(&args.folder).ok().map(|p| p.display().to_string()));
    println!("  difyprobe check {}    # the first scenario", scenario.unwrap_or_default());
    println!("  difyprobe check    # all rules");
    println!("  difyprobe load --users 2 --duration 10s");
}
