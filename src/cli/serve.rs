//! `serve`: the emulator or the echo model, until interrupted.

use super::args::ServeArgs;
use super::exit::{Exit, Failure};
use super::output::chain;
use super::serve_app;
use super::target::key_variable;
use crate::emulator::{self, AppKind, Config, Field, ModelConfig, Mutant, Pace, Profile};
use crate::machine;
use crate::store::{self, LineFile};
use std::io::Write;
use std::sync::Arc;

/// Serves until SIGINT or SIGTERM.
pub fn run(args: ServeArgs) -> Result<Exit, Failure> {
    // a load opens more connections than many shells allow
    machine::raise_descriptor_limit();
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    if args.model {
        return runtime.block_on(model(&args));
    }
    let config = config(&args)?;
    let requests = config.custom.iter().map(example).collect::<Vec<_>>();
    runtime.block_on(async {
        let (server, log) = match &args.record {
            None => (emulator::start(config).await, None),
            Some(path) => {
                let (sink, log) = record(path)?;
                (emulator::start_recorded(config, sink).await, Some(log))
            }
        };
        let server = server.map_err(|e| cannot_listen(&e))?;
        let stop = signalled();
        if let Some(path) = &args.env {
            let written = store::write_atomic(path, variables(&server).as_bytes());
            written.map_err(|e| Failure::usage(format!("--env: {}", chain(&e))))?;
        }
        announce(&args, &server, &requests);
        stop.await;
        server.stop().await;
        let written = log.map_or(Ok(()), |log| log.finish());
        written.map(|()| Exit::Pass).map_err(|e| Failure::usage(format!("--record: {}", chain(&e))))
    })
}

/// A file that takes the record of every generation, each line as soon as it is there.
fn record(path: &std::path::Path) -> Result<(emulator::Sink, Arc<LineFile>), Failure> {
    let log = LineFile::create(path).map_err(|e| Failure::usage(format!("--record: {}", chain(&e))))?;
    let log = Arc::new(log);
    let sink = Arc::clone(&log);
    Ok((Arc::new(move |played: emulator::Played| sink.add(&played.to_line())), log))
}

/// Variables of an environment, one per line: for `.` of a shell and for `$GITHUB_ENV`.
fn variables(server: &emulator::Running) -> String {
    let mut text = format!("DIFY_BASE_URL={}\n", server.base_url());
    if let Some((_, key)) = server.keys().first() {
        text += &format!("DIFY_API_KEY={key}\n");
    }
    for (label, key) in server.keys() {
        text += &format!("{}={key}\n", key_variable(label));
    }
    text
}

async fn model(args: &ServeArgs) -> Result<Exit, Failure> {
    let key = args.model_key.clone();
    if key.as_deref() == Some("") {
        return Err(Failure::usage("--model-key: the key is empty; leave the flag out to accept any key"));
    }
    let config = ModelConfig { host: args.host, port: args.port, pace: pace(args), key };
    let server = emulator::start_model(config).await.map_err(|e| cannot_listen(&e))?;
    let stop = signalled();
    announce_model(args, &server);
    stop.await;
    server.stop().await;
    Ok(Exit::Pass)
}

fn cannot_listen(error: &emulator::ServeError) -> Failure {
    Failure::usage(format!("cannot {}; choose another --host or --port (--port 0 takes a free one)", chain(error)))
}

fn pace(args: &ServeArgs) -> Pace {
    Pace { first_chunk: args.first_chunk, gap: args.gap, chunk_chars: args.chunk_chars as usize }
}

fn config(args: &ServeArgs) -> Result<Config, Failure> {
    let profile: Profile = args.profile.parse().map_err(|e| Failure::usage(format!("--profile: {e}")))?;
    let mut apps: Vec<AppKind> = Vec::new();
    let mut custom: Vec<emulator::CustomApp> = Vec::new();
    for text in &args.app {
        if !serve_app::is_file(text) {
            apps.push(text.parse().map_err(|e| unknown_app(text, &e))?);
            continue;
        }
        let app = serve_app::read(text)?;
        if let Some(other) = custom.iter().find(|other| other.name == app.name) {
            return Err(Failure::usage(format!("--app {text}: another app is called `{}` too", other.name)));
        }
        custom.push(app);
    }
    let mutant = args.mutant.as_deref().map(find_mutant).transpose()?;
    let defaults = Config::default();
    if let Some(app) = custom.iter().find(|app| apps.iter().any(|kind| kind.id() == app.name)) {
        return Err(Failure::usage(format!("--app: a built-in app is called `{}` too", app.name)));
    }
    Ok(Config {
        profile,
        apps: if args.app.is_empty() { defaults.apps } else { apps },
        custom,
        host: args.host,
        port: args.port,
        pace: pace(args),
        ping_every: args.ping_every,
        mutant,
        turns_at_once: args.turns_at_once.map(|n| n as usize),
        ..Config::default()
    })
}

fn unknown_app(name: &str, error: &emulator::UnknownName) -> Failure {
    match crate::scenario::closest(name, error.known.split(", ")) {
        Some(near) => Failure::usage(format!("--app {name}: unknown; did you mean `{near}`?")),
        None => Failure::usage(format!("--app: {error}, or the file of an app")),
    }
}

fn find_mutant(id: &str) -> Result<&'static Mutant, Failure> {
    let found = emulator::all_mutants().find(|m| m.id == id);
    found.ok_or_else(|| {
        let near = crate::scenario::closest(id, emulator::all_mutants().map(|m| m.id));
        let hint = near.map_or("`difyprobe selftest --list` names them".to_owned(), |n| format!("did you mean `{n}`?"));
        Failure::usage(format!("--mutant {id}: unknown; {hint}"))
    })
}

/// A request that can be pasted.
struct Example {
    label: String,
    path: &'static str,
    body: serde_json::Value,
}

/// A request that an app of a file accepts.
fn example(app: &emulator::CustomApp) -> Example {
    let inputs: serde_json::Map<String, serde_json::Value> = app
        .form
        .iter()
        .filter(|variable| variable.required)
        .map(|variable| {
            let value = match &variable.field {
                Field::Select(options) => options.first().cloned().unwrap_or_default().into(),
                Field::Number => 1.into(),
                Field::Line(_) | Field::Paragraph => "Ada".into(),
            };
            (variable.name.clone(), value)
        })
        .collect();
    let mut body = serde_json::json!({"inputs": inputs, "response_mode": "streaming", "user": "me"});
    let path = match app.mode {
        emulator::AppMode::Workflow => "/workflows/run",
        emulator::AppMode::Completion => "/completion-messages",
        _ => {
            body["query"] = "hello".into();
            "/chat-messages"
        }
    };
    Example { label: app.name.clone(), path, body }
}

fn announce(args: &ServeArgs, server: &emulator::Running, requests: &[Example]) {
    if args.json {
        let apps: serde_json::Map<String, serde_json::Value> =
            server.keys().iter().map(|(label, key)| (label.clone(), key.clone().into())).collect();
        println!("{}", serde_json::json!({ "base_url": server.base_url(), "apps": apps }));
        let _ = std::io::stdout().flush();
        return;
    }
    println!("serving {} at {}", args.profile, server.base_url());
    for (label, key) in server.keys() {
        println!("  {label:13} {key}");
    }
    println!("\nfor your program (the key of the first app; the others are above):");
    if let Some((label, key)) = server.keys().first() {
        println!("  export DIFY_BASE_URL={} DIFY_API_KEY={key}  # {label}", server.base_url());
    }
    println!("\ntry it:");
    let key_of = |label: &str| server.keys().iter().find(|(l, _)| l == label).map(|(_, key)| key.as_str());
    if requests.is_empty() {
        // keys of built-in apps are named by mode, but for a few kinds
        let modes = server.keys().iter().filter(|(label, _)| crate::model::AppMode::parse(label).is_some());
        let flags: String = modes.map(|(label, key)| format!(" --app {label}={key}")).collect();
        if flags.is_empty() {
            println!("  difyprobe check");
        } else {
            println!("  difyprobe check --base-url {}{flags}", server.base_url());
        }
        let body = serde_json::json!(
            {"inputs": {"name": "Ada"}, "query": "hello", "response_mode": "streaming", "user": "me"}
        );
        if let Some(key) = key_of("chat") {
            print_curl(&server.base_url(), key, "/chat-messages", &body);
        }
    }
    for request in requests {
        if let Some(key) = key_of(&request.label) {
            println!("  difyprobe check --base-url {} --api-key {key}", server.base_url());
            print_curl(&server.base_url(), key, request.path, &request.body);
        }
    }
    println!("\nCtrl-C stops it");
    let _ = std::io::stdout().flush();
}

fn print_curl(base_url: &str, key: &str, path: &str, body: &serde_json::Value) {
    println!(
        "  curl -N {base_url}{path} -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n    \
         -d '{body}'"
    );
}

fn announce_model(args: &ServeArgs, server: &emulator::Running) {
    let base_url = server.base_url();
    if args.json {
        println!("{}", serde_json::json!({ "base_url": base_url, "model": emulator::MODEL }));
        let _ = std::io::stdout().flush();
        return;
    }
    let key = if args.model_key.is_some() { "the one of --model-key" } else { "anything (none is asked for)" };
    println!("serving the echo model at {base_url}\n");
    println!("in Dify: Settings, Model Provider, OpenAI-API-compatible, Add Model:");
    for (name, value) in [
        ("Model Type", "LLM"),
        ("Model Name", emulator::MODEL),
        ("API Key", key),
        ("API endpoint URL", base_url.as_str()),
        ("Completion mode", "Chat"),
        ("Model context size", "131072"),
        ("Upper bound for max tokens", "131072"),
        ("Function calling", "Tool Call"),
        ("Stream function calling", "Support"),
        ("Vision Support", "Support"),
        ("Delimiter for streaming results", "\\n\\n"),
    ] {
        println!("  {name:32} {value}");
    }
    if args.host.is_loopback() {
        println!(
            "\na Dify in containers reaches this machine by another name (host.docker.internal) and needs --host 0.0.0.0"
        );
    }
    println!("\ntry it:");
    println!("  curl -N {base_url}/chat/completions -H 'Content-Type: application/json' \\");
    if args.model_key.is_some() {
        println!("    -H \"Authorization: Bearer $MODEL_KEY\" \\");
    }
    println!(
        "    -d '{{\"model\":\"{}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"hello gap:0.2\"}}]}}'",
        emulator::MODEL
    );
    println!("\nthe apps to import are in apps/; docs/probe-apps.md goes on from here\n\nCtrl-C stops it");
    let _ = std::io::stdout().flush();
}

/// Ends at SIGINT or SIGTERM. Both are caught from the call on, not only once it is awaited: whoever reads what `serve` prints
/// may end it at once.
#[cfg(unix)]
fn signalled() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    async {
        let [interrupt, terminate] = signals;
        match (interrupt, terminate) {
            (Ok(mut interrupt), Ok(mut terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            _ => drop(tokio::signal::ctrl_c().await),
        }
    }
}

/// Ends at Ctrl-C.
#[cfg(not(unix))]
async fn signalled() {
    let _ = tokio::signal::ctrl_c().await;
}
