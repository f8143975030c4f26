//! `record`: a proxy in front of a server; what passes becomes a transcript and scenario files.

use super::args::RecordArgs;
use super::exit::{Exit, Failure};
use super::output::chain;
use super::{interrupt, target};
use crate::client::{Options, parse_base_url};
use crate::draft::{self, Drafts};
use crate::model::{Exchange, Transcript};
use crate::recorder::{self, Recorder, Settings, Tape, Watcher};
use crate::report::{escape, units};
use crate::store::{self, GrowingTranscript};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// Records until interrupted or full, or makes scenarios of a saved transcript.
pub fn run(args: RecordArgs) -> Result<Exit, Failure> {
    if let Some(from) = &args.from {
        return offline(&args, from);
    }
    let name = match &args.name {
        Some(name) => name.clone(),
        None => format!("recorded-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ")),
    };
    let folder = free_folder(&args, &name)?;
    // fires at Ctrl-C
    let stop = CancellationToken::new();
    interrupt::on_signal(&stop);
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    let (transcript, path) = runtime.block_on(record(&args, &name, &stop))?;
    let asked = |e: &Exchange| e.origin.scenario != crate::flow::DISCOVERY;
    let count = transcript.exchanges.iter().filter(|e| asked(e)).count();
    if count == 0 {
        return Err(Failure::incomplete(
            "nothing was recorded: no request came; give the printed base URL to your program and record again",
        ));
    }
    let drafts = draft::drafts(&transcript, &name);
    say(&args, &format!("\n{} recorded in {}", units::count(count as u64, "exchange"), path.display()));
    write_drafts(&args, &folder, &drafts, transcript.base_url.as_str())?;
    say(&args, &format!("  difyprobe judge {}", path.display()));
    Ok(Exit::Pass)
}

async fn record(args: &RecordArgs, name: &str, stop: &CancellationToken) -> Result<(Transcript, PathBuf), Failure> {
    let text = args.base_url.as_deref().unwrap_or_default();
    let server = parse_base_url(text).map_err(|e| Failure::usage(format!("--base-url: {e}")))?;
    if let Some(warning) = server.warning() {
        eprintln!("difyprobe: {warning}");
    }
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let begun = Transcript::new(server.as_str(), u64::try_from(started.as_micros()).unwrap_or(u64::MAX));
    let path = args.out.join(format!("{name}.transcript.json"));
    if path.exists() {
        return Err(taken(args, &path));
    }
    let file = GrowingTranscript::create(&path, &begun).map_err(|e| Failure::usage(format!("--out: {}", chain(&e))))?;
    let client =
        Options { epoch: Instant::now(), keep_total: target::KEEP_TOTAL, max_in_flight: 4096, ..Options::default() };
    let settings = Settings { server: server.clone(), host: args.host, port: args.port, client };
    let tape = Arc::new(Tape::new(begun, file, args.max_exchanges, watcher(args)));
    let recorder = match recorder::start(settings, Arc::clone(&tape)).await {
        Ok(recorder) => recorder,
        Err(error) => {
            // nothing was recorded, so nothing is to be left
            tape.discard();
            let remedy = "choose another --host or --port (--port 0 takes a free one)";
            return Err(Failure::usage(format!("cannot {}; {remedy}", chain(&error))));
        }
    };
    announce(args, &recorder, server.as_str(), &path);
    let long = async {
        match args.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = tape.full().cancelled() => {}
        () = long => {}
    }
    let (transcript, written) = recorder.stop().await;
    written.map_err(|e| Failure::usage(format!("--out: {}", chain(&e))))?;
    Ok((transcript, path))
}

/// Scenarios of a transcript that is there already.
fn offline(args: &RecordArgs, from: &Path) -> Result<Exit, Failure> {
    let loaded = store::load(&[from.to_owned()]).map_err(|e| Failure::usage(format!("--from: {}", chain(&e))))?;
    let stem = from.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.trim_end_matches(".json").trim_end_matches(".transcript").to_owned();
    let name = args.name.clone().unwrap_or(if stem.is_empty() { "transcript".to_owned() } else { stem });
    let folder = free_folder(args, &name)?;
    let mut all = Drafts::default();
    let several = loaded.transcripts.len() > 1;
    for (transcript, number) in loaded.transcripts.iter().zip(1..) {
        let name = if several { format!("{name}-{number}") } else { name.clone() };
        let mut drafts = draft::drafts(transcript, &name);
        if several {
            drafts.files.iter_mut().for_each(|file| file.path = format!("{number}/{}", file.path));
        }
        all.files.append(&mut drafts.files);
        all.notes.append(&mut drafts.notes);
    }
    let base_url = loaded.transcripts.first().map_or("", |t| t.base_url.as_str());
    write_drafts(args, &folder, &all, base_url)?;
    Ok(Exit::Pass)
}

/// The folder of this recording's scenarios, which must not hold others: they may have been worked on.
fn free_folder(args: &RecordArgs, name: &str) -> Result<PathBuf, Failure> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(good) {
        return Err(Failure::usage(format!("--name {name}: write letters, digits, `-`, `_` and `.` only")));
    }
    let folder = args.out.join(name);
    match store::is_occupied(&folder) {
        Ok(true) => Err(taken(args, &folder)),
        Ok(false) => Ok(folder),
        Err(error) => Err(Failure::usage(format!("--out: {}", chain(&error)))),
    }
}

fn taken(args: &RecordArgs, path: &Path) -> Failure {
    let name = args.name.as_deref().unwrap_or("NAME");
    Failure::usage(format!(
        "'{}' is there already and is not written over; choose another --name (or --out) than {name}, or remove it",
        path.display()
    ))
}

fn write_drafts(args: &RecordArgs, folder: &Path, drafts: &Drafts, base_url: &str) -> Result<(), Failure> {
    for file in &drafts.files {
        store::write_atomic(&folder.join(&file.path), file.text.as_bytes())
            .map_err(|e| Failure::usage(format!("--out: {}", chain(&e))))?;
    }
    for note in &drafts.notes {
        eprintln!("note: {}", escape::terminal(note));
    }
    if drafts.files.is_empty() {
        say(args, "no scenario could be made of it");
        return Ok(());
    }
    say(args, &format!("{} in {}:", units::count(drafts.files.len() as u64, "scenario"), folder.display()));
    for file in &drafts.files {
        say(args, &format!("  {:32} {}", file.path, escape::terminal(&file.title)));
    }
    let folder = folder.display();
    say(args, "\ngo on with:");
    say(args, &format!("  difyprobe lint {folder}"));
    say(args, &format!("  difyprobe check {folder} --base-url {base_url} --app MODE=KEY"));
    Ok(())
}

/// A line for people; with `--json` stdout has one line only, so it goes to stderr.
fn say(args: &RecordArgs, line: &str) {
    if args.json {
        eprintln!("{line}");
    } else {
        println!("{line}");
    }
}

/// Shows every exchange in a line when it has ended.
fn watcher(args: &RecordArgs) -> Watcher {
    let quiet = args.json;
    Arc::new(move |exchange: &Exchange| {
        if quiet {
            return;
        }
        let path = escape::terminal(exchange.request.path());
        let status = exchange.reply.as_ref().map_or("no reply".to_owned(), |r| r.status.to_string());
        let fault = exchange.fault.as_ref().map_or(String::new(), |f| format!("  ({})", escape::terminal(&f.detail)));
        let took = exchange.timing.end_us as f64 / 1e6;
        eprintln!("  {:14} {:6} {path}  {status}  {took:.2} s{fault}", exchange.app, exchange.request.method);
    })
}

fn announce(args: &RecordArgs, recorder: &Recorder, server: &str, path: &Path) {
    if args.json {
        let line = serde_json::json!({
            "base_url": recorder.base_url(), "server": server, "transcript": path.display().to_string(),
        });
        println!("{line}");
    } else {
        println!("recording what passes to {server}\n");
        println!("give your program this base URL instead, with the same keys:");
        println!("  {}\n", recorder.base_url());
        println!("for a program that reads it from the environment:");
        println!("  export DIFY_BASE_URL={}\n", recorder.base_url());
        println!("the transcript grows in {}", path.display());
        println!("Ctrl-C ends the recording and writes the scenarios");
    }
    let _ = std::io::stdout().flush();
}
