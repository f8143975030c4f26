use super::*;
use crate::cli::args::{Args, Command};
use crate::metrics::Measure;
use crate::workload::{Arrivals, Process, Stage};
use clap::Parser;
use std::time::Duration;

fn scenario(name: &str) -> String {
    format!("{}/scenarios/load/{name}.yaml", env!("CARGO_MANIFEST_DIR"))
}

/// The plan of a command line; `chat` stands for a scenario file.
fn planned(line: &str) -> Result<Planned, String> {
    planned_in(line, &|_| None)
}

fn planned_in(line: &str, env: Lookup<'_>) -> Result<Planned, String> {
    let mut words = vec!["difyprobe".to_owned(), "load".to_owned()];
    // Words in single quotes stay together.
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    let words = words.into_iter().map(|word| if word == "chat" { scenario("chat-three-turns") } else { word });
    let args = Args::try_parse_from(words).map_err(|e| e.to_string())?;
    match args.command {
        Command::Load(args) => plan(&args, env).map_err(|e| e.to_string()),
        _ => Err("not a load".to_owned()),
    }
}

fn why(line: &str) -> String {
    match planned(line) {
        Ok(_) => panic!("{line} has a plan"),
        Err(why) => why,
    }
}

fn stages(line: &str) -> Vec<(String, f64, f64, u64, bool)> {
    let planned = planned(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    let (Arrivals::Open { stages, .. } | Arrivals::Closed { stages, .. }) = planned.workload.arrivals else {
        panic!("{line} has no stages")
    };
    let row = |s: Stage| (s.label, s.from, s.to, u64::try_from(s.length.as_millis()).unwrap_or(u64::MAX), s.measure);
    stages.into_iter().map(row).collect()
}

fn row(label: &str, from: f64, to: f64, ms: u64, measure: bool) -> (String, f64, f64, u64, bool) {
    (label.to_owned(), from, to, ms, measure)
}

#[test]
fn a_rate_is_an_open_load_and_users_a_closed_one() {
    assert_eq!(stages("chat --rate 300/m --duration 30s"), [row("hold", 5.0, 5.0, 30_000, true)]);
    assert_eq!(stages("chat --users 4 --duration 2s"), [row("hold", 4.0, 4.0, 2000, true)]);
    assert_eq!(stages("chat --iterations 3"), [row("hold", 1.0, 1.0, u64::MAX, true)]);
    let open = planned("chat --rate 20 --poisson --duration 1s").unwrap().workload;
    assert!(matches!(open.arrivals, Arrivals::Open { process: Process::Poisson, max_in_flight: 1200, .. }));
    assert_eq!(
        (open.id.as_str(), open.validity.len(), open.drain),
        ("load.chat-three-turns", 4, Duration::from_secs(30))
    );
    let closed = planned("chat --iterations 3").unwrap().workload;
    assert!(matches!(closed.arrivals, Arrivals::Closed { iterations: Some(3), .. }));
    assert_eq!(closed.validity.len(), 2);
}

#[test]
fn ramps_and_warm_ups_come_first_and_are_not_measured() {
    assert_eq!(
        stages("chat --rate 20 --ramp 10s --warm-up 5s --duration 1m"),
        [
            row("warm-up", 0.0, 20.0, 10_000, false),
            row("warm-up-2", 20.0, 20.0, 5000, false),
            row("hold", 20.0, 20.0, 60_000, true),
        ]
    );
    assert_eq!(stages("chat --users 8 --ramp 2s --iterations 5").len(), 2);
}

#[test]
fn stages_go_on_from_the_level_before() {
    assert_eq!(
        stages("chat --rate 1 --stage 30s:20 --stage 3m:20 --stage 0s:60 --stage peak=20s:60 --stage 5s:0"),
        [
            row("ramp", 1.0, 20.0, 30_000, true),
            row("hold", 20.0, 20.0, 180_000, true),
            row("peak", 60.0, 60.0, 20_000, true),
            row("ramp-2", 60.0, 0.0, 5000, true),
        ]
    );
    assert_eq!(stages("chat --users 0 --stage 2s:50"), [row("ramp", 0.0, 50.0, 2000, true)]);
}

#[test]
fn a_load_by_requests_is_long_enough_for_all_of_them() {
    assert_eq!(stages("chat --rate 50 --requests 1000"), [row("hold", 50.0, 50.0, 20_000, true)]);
    let random = planned("chat --rate 50 --poisson --requests 1000").unwrap();
    let schedule = Schedule::new(&random.workload.arrivals, &[1], random.seed).unwrap();
    assert!(schedule.iter(Shard::WHOLE).count() >= 1000);
    assert_eq!(planned("chat --users 3 --requests 10").unwrap().workload.requests, Some(10));
}

#[test]
fn ends_and_objectives_are_taken_over() {
    let line = "chat --rate 5 --duration 9s --slo 'ttft p95 < 800ms {in: hold, step: hello}' --slo 'error-rate < 1%' \
                --stop-when 'error-rate > 20% for 10s' --max-tokens 500 --max-cost usd=1.5 --max-cost EUR=2 --drain 0s \
                --max-in-flight 7 --name my-run --no-think --seed 9";
    let planned = planned(line).unwrap();
    let w = &planned.workload;
    assert_eq!((w.slos.len(), w.stop_when.len(), w.budget.tokens, w.drain), (2, 1, Some(500), Duration::ZERO));
    assert_eq!(w.budget.cost, [("USD".to_owned(), 1_500_000_000), ("EUR".to_owned(), 2_000_000_000)]);
    assert!(matches!(w.arrivals, Arrivals::Open { max_in_flight: 7, .. }));
    assert_eq!((w.id.as_str(), w.think, planned.seed), ("my-run", false, 9));
    assert_eq!(w.slos[1].measure, Measure::ErrorRate(None));
}

#[test]
fn flags_that_make_no_sense_say_so() {
    let cases = [
        ("chat", "a load needs an end: --duration 30s or --iterations 100"),
        ("chat --rate 5", "a load needs an end: --duration 30s or --requests 1000"),
        ("chat --rate fast --duration 1s", "--rate `fast` is no rate"),
        ("chat --rate 0 --duration 1s", "--rate 0 begins nothing"),
        ("chat --users 0 --duration 1s", "--users 0 does nothing"),
        ("chat --poisson --duration 1s", "--poisson says how a --rate is spread"),
        ("chat --stage 30s:20", "--stage needs the level at the start"),
        ("chat --rate 1 --stage 30s", "--stage 30s: write DURATION:LEVEL"),
        ("chat --rate 1 --stage 30:20", "`30` has no unit"),
        ("chat --users 1 --stage 3s:2.5", "`2.5` is no number of users"),
        ("chat --rate 1 --stage Peak=3s:2", "`Peak` is no label"),
        ("chat --rate 1 --stage a=3s:2 --stage a=3s:2", "two stages have the label `a`"),
        ("chat --rate 1 --stage a=0s:2 --stage 3s:2", "a jump has no length to be named `a`"),
        ("chat --rate 5 --iterations 5", "cannot be used with"),
        ("chat --rate 5 --users 5 --duration 1s", "cannot be used with"),
        ("chat --users 5 --duration 1s --max-in-flight 4", "--users is a limit itself"),
        ("chat --rate 5 --duration 25h", "longer than 24 hours"),
        ("chat --rate 5 --duration 1s --slo 'tttf p95 < 1s'", "did you mean `ttft`?"),
        ("chat --rate 5 --duration 1s --slo 'ttft p95 < 1s {in: peak}'", "there is no stage `peak` in this load"),
        ("chat --rate 5 --duration 1s --slo 'ttft p95 < 1s {step: helo}'", "did you mean `hello`?"),
        ("chat --users 5 --duration 1s --slo 'dropped == 0'", "a closed load has no schedule"),
        ("chat --rate 5 --duration 1s --stop-when 'too slow'", "--stop-when `too slow` is no stop condition"),
        ("chat --rate 5 --duration 1s --max-cost 1.5", "write CURRENCY=PRICE"),
        ("chat --rate 5 --duration 1s --max-cost USD=1 --max-cost usd=2", "USD has a limit already"),
        ("chat --rate 5 --duration 1s --shard 4/4 --seed 1", "0/4 to 3/4"),
        ("chat --rate 5 --duration 1s --shard 0/4", "the same --seed"),
        ("chat --users 3 --duration 1s --shard 0/4 --seed 1", "3 users are too few for 4 shards"),
        ("chat --rate 5 --duration 1s --start-at soon", "write milliseconds since 1970"),
        ("chat --rate 5 --duration 1s --start-at 1764000000", "no milliseconds since 1970"),
        ("chat --rate 5 --duration 1s --name ../x", "it names a folder"),
        ("chat --schedule nowhere.csv", "nowhere.csv"),
    ];
    for (line, message) in cases {
        let found = why(line);
        assert!(found.contains(message), "{line}\n{found}");
    }
}

#[test]
fn an_objective_with_a_mistake_is_shown_with_a_caret() {
    let found = why("chat --rate 5 --duration 1s --slo 'ttft p95 < 800'");
    assert_eq!(
        found,
        "--slo: the limit `800` has no unit\n  ttft p95 < 800\n             ^^^\n  a time has a unit: `250us`, `800ms`, `1.5s` or `2m`"
    );
}

#[test]
fn the_start_is_read_in_milliseconds_or_as_a_time() {
    let at = |text: &str| planned(&format!("chat --rate 5 --duration 1s --start-at {text}")).unwrap().start_at_unix_us;
    assert_eq!(at("1764000000123"), Some(1_764_000_000_123_000));
    assert_eq!(at("2025-11-24T16:00:00Z"), Some(1_764_000_000_000_000));
    assert_eq!(at("2025-11-24T17:00:00.5+01:00"), Some(1_764_000_000_500_000));
}

#[test]
fn the_launcher_says_which_shard_it_is() {
    let env = |name: &str| match name {
        "OMPI_COMM_WORLD_RANK" => Some("1".to_owned()),
        "OMPI_COMM_WORLD_SIZE" => Some("3".to_owned()),
        _ => None,
    };
    let planned = planned_in("chat --rate 5 --duration 1s --seed 4", &env).unwrap();
    assert_eq!(planned.shard, Shard { index: 1, count: 3 });
    assert!(planned.notes[0].contains("shard 1/3"), "{:?}", planned.notes);
}

#[test]
fn the_hash_depends_on_what_is_sent_alone() {
    let hash = |line: &str| planned(line).unwrap().config_hash;
    let plain = hash("chat --rate 5 --duration 1s --seed 4");
    assert_eq!(plain, hash("chat --rate 300/m --duration 1s --seed 4 --shard 1/2 --slo 'ttft p50 < 1s' --name other"));
    assert_ne!(plain, hash("chat --rate 5 --duration 1s --seed 5"));
    assert_ne!(plain, hash("chat --rate 5 --duration 2s --seed 4"));
}

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Folder {
        let path = std::env::temp_dir().join(format!("difyprobe-load-plan-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
        Folder(path)
    }

    fn line(&self, file: &str, flags: &str) -> String {
        format!("{} {flags}", self.0.join(file).display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const LOAD: &str = "difyprobe-load: 1\nid: evening\nseed: 3\nscenarios:\n  - { use: chat.three-turns, weight: 7 }\n  - { use: own.yaml, weight: 3 }\narrival:\n  open:\n    stages: [{ hold: 2, for: 9s }]\nslo: [\"ttft p95 < 1s {step: one}\"]\n";
const OWN: &str = "difyprobe: 1\nid: own.one\ntitle: t\ntarget: { app: chat }\nsteps: [{ id: one, info: {} }]\n";

#[test]
fn a_load_file_names_scenarios_by_id_and_by_path() {
    let folder = Folder::new("names", &[("load.yaml", LOAD), ("own.yaml", OWN)]);
    let planned = planned(&folder.line("load.yaml", "--slo 'e2e p50 < 2s' --max-in-flight 9 --requests 5")).unwrap();
    let scenarios: Vec<(&str, u32)> = planned.scenarios.iter().map(|(s, weight)| (s.id.as_str(), *weight)).collect();
    assert_eq!(scenarios, [("chat.three-turns", 7), ("own.one", 3)]);
    assert_eq!((planned.seed, planned.workload.slos.len(), planned.workload.requests), (3, 2, Some(5)));
    assert!(matches!(planned.workload.arrivals, Arrivals::Open { max_in_flight: 9, .. }));
}

#[test]
fn a_load_file_says_itself_when_scenarios_begin() {
    let folder = Folder::new("alone", &[("load.yaml", LOAD), ("own.yaml", OWN)]);
    assert!(why(&folder.line("load.yaml", "--rate 5")).contains("--rate does not go with"));
    assert!(why(&folder.line("load.yaml", "chat")).contains("give it alone"));
    let one = folder.line("load.yaml", "");
    assert!(why(&format!("{one} {one}")).contains("one load file at a time"));
    // a folder is its scenarios
    let folder = planned(&format!("{} --users 2 --iterations 1", folder.0.display())).unwrap();
    assert_eq!(folder.scenarios.len(), 1);
}

#[test]
fn names_of_a_load_file_that_lead_nowhere_are_shown_where_they_stand() {
    let text = LOAD.replace("chat.three-turns", "chat.three-turn").replace("step: one", "step: on");
    let folder = Folder::new("nowhere", &[("load.yaml", &text)]);
    let found = why(&folder.line("load.yaml", ""));
    assert!(found.contains("load.yaml:5:12") && found.contains("did you mean `chat.three-turns`?"), "{found}");
    assert!(found.contains("load.yaml:6:12") && found.contains("own.yaml"), "{found}");
    let text = LOAD.replace("step: one", "step: on");
    let folder = Folder::new("step", &[("load.yaml", &text), ("own.yaml", OWN)]);
    assert!(why(&folder.line("load.yaml", "")).contains("there is no step `on` in this load"));
}

#[test]
fn recordings_are_read_beside_the_load_file_or_by_flag() {
    let text = LOAD.replace("open:\n    stages: [{ hold: 2, for: 9s }]", "replay: { file: times.csv }");
    let folder = Folder::new("replay", &[("load.yaml", &text), ("own.yaml", OWN), ("times.csv", "t\n0.5\n0.25\n")]);
    let file = planned(&folder.line("load.yaml", "")).unwrap().workload.arrivals;
    assert_eq!(file, Arrivals::Replay { at_us: vec![250_000, 500_000], max_in_flight: 120 });
    let flag = planned(&format!("chat --schedule {}", folder.0.join("times.csv").display())).unwrap();
    assert_eq!(flag.workload.arrivals, file);
    std::fs::write(folder.0.join("times.csv"), "t\nsoon\n").unwrap();
    let found = why(&folder.line("load.yaml", ""));
    assert!(found.contains("load.yaml:8:19") && found.contains("line 2: `soon`"), "{found}");
}
