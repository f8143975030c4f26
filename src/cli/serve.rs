//! `serve`: the emulator, until interrupted.

use super::args::ServeArgs;
use super::exit::{Exit, Failure};
use super::output::chain;
use crate::emulator::{self, AppKind, Config, Mutant, Pace, Profile};
use std::io::Write;

/// Serves until SIGINT or SIGTERM.
pub fn run(args: ServeArgs) -> Result<Exit, Failure> {
    let config = config(&args)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    runtime.block_on(async {
        let server = emulator::start(config).await.map_err(|e| cannot_listen(&e))?;
        announce(&args, &server);
        wait_for_signal().await;
        server.stop().await;
        Ok(Exit::Pass)
    })
}

fn cannot_listen(error: &emulator::ServeError) -> Failure {
    Failure::usage(format!("cannot {}; choose another --host or --port (--port 0 takes a free one)", chain(error)))
}

fn config(args: &ServeArgs) -> Result<Config, Failure> {
    let profile: Profile = args.profile.parse().map_err(|e| Failure::usage(format!("--profile: {e}")))?;
    let apps = args.app.iter().map(|text| text.parse::<AppKind>().map_err(|e| Failure::usage(format!("--app: {e}"))));
    let apps: Vec<AppKind> = apps.collect::<Result<_, _>>()?;
    let mutant = args.mutant.as_deref().map(find_mutant).transpose()?;
    let defaults = Config::default();
    Ok(Config {
        profile,
        apps: if apps.is_empty() { defaults.apps } else { apps },
        host: args.host,
        port: args.port,
        pace: Pace { first_chunk: args.first_chunk, gap: args.gap, chunk_chars: args.chunk_chars as usize },
        ping_every: args.ping_every,
        mutant,
        ..Config::default()
    })
}

fn find_mutant(id: &str) -> Result<&'static Mutant, Failure> {
    let found = emulator::mutants().iter().find(|m| m.id == id);
    found.ok_or_else(|| {
        let near = crate::scenario::closest(id, emulator::mutants().iter().map(|m| m.id));
        let hint = near.map_or("`difyprobe selftest --list` names them".to_owned(), |n| format!("did you mean `{n}`?"));
        Failure::usage(format!("--mutant {id}: unknown; {hint}"))
    })
}

fn announce(args: &ServeArgs, server: &emulator::Running) {
    if args.json {
        let apps: serde_json::Map<String, serde_json::Value> =
            server.keys().iter().map(|(label, key)| (label.clone(), key.clone().into())).collect();
        println!("{}", serde_json::json!({ "base_url": server.base_url(), "apps": apps }));
    } else {
        println!("serving {} at {}", args.profile, server.base_url());
        for (label, key) in server.keys() {
            println!("  {label:12} {key}");
        }
        println!("\ntry it:");
        let mut flags = String::new();
        for (label, key) in server.keys() {
            flags.push_str(&format!(" --app {label}={key}"));
        }
        println!("  difyprobe check --base-url {}{flags}", server.base_url());
        if let Some((_, key)) = server.keys().iter().find(|(label, _)| label == "chat") {
            println!(
                "  curl -N {}/chat-messages -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n    \
                 -d '{{\"inputs\":{{\"name\":\"Ada\"}},\"query\":\"hello\",\"response_mode\":\"streaming\",\"user\":\"me\"}}'",
                server.base_url()
            );
        }
        println!("\nCtrl-C stops it");
    }
    let _ = std::io::stdout().flush();
}

async fn wait_for_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
