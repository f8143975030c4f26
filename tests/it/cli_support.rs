//! Runs of the real binary: in a folder of their own, in an environment without settings.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder that runs are made in.
pub struct Place {
    dir: TempDir,
}

/// What a run left.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// A run under way; killed when dropped.
pub struct Running {
    child: Child,
    began: Instant,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

/// `difyprobe serve --json` on a free port.
pub struct Served {
    pub base_url: String,
    pub chat: String,
    pub completion: String,
    pub running: Running,
    _place: Place,
}

impl Place {
    pub fn new() -> Place {
        Place { dir: TempDir::new().expect("a folder") }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_difyprobe"));
        command.args(args).current_dir(self.path()).env_clear().env("HOME", self.path()).stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.start(args).wait()
    }

    pub fn start(&self, args: &[&str]) -> Running {
        Running::of(self.command(args))
    }

    /// Starts `serve --json` and waits for its line.
    pub fn serve(&self, args: &[&str]) -> (Running, Value) {
        self.announced("serve", args)
    }

    /// Starts a command with `--json` and waits for the line by which it tells that it listens.
    pub fn announced(&self, command: &str, args: &[&str]) -> (Running, Value) {
        let mut command = self.command(&[command, "--json"]);
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        let began = Instant::now();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        (Running { stderr: child.stderr.take().map(drain), stdout: Some(drain(stdout)), child, began }, said)
    }

    /// Writes a file and gives its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// A report of the default folder.
    pub fn report(&self, name: &str) -> Value {
        let path = self.path().join("reports").join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).expect("a JSON report")
    }

    /// Path and content of every file below the folder.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => files.push((path.clone(), std::fs::read(path).expect("a file"))),
                }
            }
        }
        files
    }
}

/// CPU time that a process has used, in hundredths of a second.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    // the name stands in parentheses and may hold anything; user and system time are the 12th and 13th after it
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum()
}

impl Running {
    pub fn of(mut command: Command) -> Running {
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        let stdout = child.stdout.take().map(drain);
        let stderr = child.stderr.take().map(drain);
        Running { child, began, stdout, stderr }
    }

    /// Sends a signal, e.g. `INT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits for the end, whatever it is.
    pub fn end(&mut self) -> ExitStatus {
        self.until_end(Duration::from_secs(60), |_| {}).0
    }

    /// Waits until so many files and connections are open.
    pub fn until_open(&mut self, files: usize) {
        let folder = format!("/proc/{}/fd", self.child.id());
        while std::fs::read_dir(&folder).map_or(0, Iterator::count) < files {
            assert!(self.child.try_wait().expect("a child").is_none(), "it ended before");
            assert!(self.began.elapsed() < Duration::from_secs(50), "not {files} open files in time");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it has nothing more to do but to wait itself.
    pub fn until_idle(&mut self) {
        let mut before = ticks(self.child.id());
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now = ticks(self.child.id());
            if now <= before + 1 {
                return;
            }
            assert!(self.began.elapsed() < Duration::from_secs(50), "still busy");
            before = now;
        }
    }

    pub fn wait(mut self) -> Ran {
        let (status, _) = self.until_end(Duration::from_secs(60), |_| {});
        self.ran(status)
    }

    /// Waits and gives the most memory that was resident, in MB; 0 where the system does not tell.
    pub fn wait_watching_memory(mut self) -> (Ran, u64) {
        let (status, peak) = self.until_end(Duration::from_secs(60), |_| {});
        (self.ran(status), peak)
    }

    fn until_end(&mut self, limit: Duration, mut look: impl FnMut(u64)) -> (ExitStatus, u64) {
        let mut peak = 0;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return (status, peak);
            }
            peak = peak.max(resident_mb(self.child.id()));
            look(peak);
            assert!(self.began.elapsed() < limit, "still running after {limit:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn ran(&mut self, status: ExitStatus) -> Ran {
        let took = self.began.elapsed();
        let text = |from: &mut Option<JoinHandle<String>>| from.take().expect("once").join().expect("a reader");
        let (stdout, stderr) = (text(&mut self.stdout), text(&mut self.stderr));
        assert!(!stderr.contains("panicked") && !stdout.contains("panicked"), "{stderr}");
        Ran { code: status.code().unwrap_or(-1), stdout, stderr, took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn drain(mut from: impl std::io::Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8(bytes).expect("UTF-8")
    })
}

fn resident_mb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

impl Ran {
    /// Asserts the exit code and gives itself back.
    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that one of the two outputs has these texts, line breaks of the terminal page aside.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Ran {
        let all = self.flat();
        for text in texts {
            assert!(all.contains(text), "`{text}` is not in\n{}\n{}", self.stdout, self.stderr);
        }
        self
    }

    /// Both outputs with every run of white space as one blank.
    pub fn flat(&self) -> String {
        format!("{} {}", self.stdout, self.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Served {
    pub fn start(args: &[&str]) -> Served {
        let place = Place::new();
        let (running, said) = place.serve(args);
        let text = |at: &str| said.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("{at} in {said}"));
        let (chat, completion) = (text("/apps/chat").to_owned(), text("/apps/completion").to_owned());
        Served { base_url: text("/base_url").to_owned(), chat, completion, running, _place: place }
    }

    /// The flags that name its chat app.
    pub fn chat_flags(&self) -> [String; 3] {
        ["--base-url".to_owned(), self.base_url.clone(), format!("--app=chat={}", self.chat)]
    }
}

/// The path of a built-in scenario.
pub fn scenario(name: &str) -> String {
    format!("{}/scenarios/conformance/{name}.yaml", env!("CARGO_MANIFEST_DIR"))
}

/// Arguments and a target's flags in one list.
pub fn with<'a>(args: &[&'a str], flags: &'a [String]) -> Vec<&'a str> {
    args.iter().copied().chain(flags.iter().map(String::as_str)).collect()
}

/// The rule of a report.
pub fn rule<'r>(report: &'r Value, id: &str) -> &'r Value {
    let rules = report["rules"].as_array().expect("rules");
    rules.iter().find(|r| r["id"] == id).unwrap_or_else(|| panic!("no rule {id}"))
}
