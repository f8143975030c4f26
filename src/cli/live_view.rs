//! The live view of a load: a full screen on a terminal, a plain line every few seconds elsewhere.
//!
//! Runs on a thread of its own, so that a busy runtime does not delay it and it delays no runtime. The terminal is put
//! back in order when the view is dropped, when a panic ends the run, and by [`restore`] before the process exits.

use super::live_data::{History, LiveSnapshot, line};
use super::live_screen::draw;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::crossterm::{cursor, execute};
use std::io::{IsTerminal, Stderr};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Gives the state of the load; asked several times a second.
pub type Feed = Box<dyn Fn() -> LiveSnapshot + Send>;
/// Ends the load. The screen swallows Ctrl-C, so it calls this instead.
pub type Stop = Box<dyn Fn(Press) + Send>;

/// How often the user asked for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// For the first time: end in good order.
    First,
    /// Again: end at once. The terminal is in order when this is given.
    Again,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On the whole screen.
    Screen,
    /// As lines.
    Lines,
}

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Time between two frames of the screen; keys are taken at once.
const FRAME_EVERY: Duration = Duration::from_millis(250);
/// Longest wait for a key, and so for the end of the view.
const KEY_WAIT: Duration = Duration::from_millis(50);
/// A key that is held down repeats; one that is pressed again comes later than that.
const HELD: Duration = Duration::from_secs(1);
/// Name of the thread.
const THREAD: &str = "live-view";
/// Messages of panics that are kept until the screen is gone.
const KEPT: usize = 20;

/// Whether the screen is in use.
static ACTIVE: AtomicBool = AtomicBool::new(false);
/// What panics said while the screen was in use.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A running view; dropped, it ends and the terminal is as before.
pub struct LiveView {
    ended: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

/// What decides how progress is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// `--quiet` or `--no-live`.
    pub unwanted: bool,
    /// Both stdin and stderr are a terminal.
    pub terminal: bool,
    /// `NO_COLOR`, `CI` or `TERM=dumb` is set.
    pub plain: bool,
}

impl Surroundings {
    /// Looks at the process.
    pub fn look(unwanted: bool) -> Surroundings {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Surroundings {
            unwanted,
            terminal: std::io::stderr().is_terminal() && std::io::stdin().is_terminal(),
            plain: set("NO_COLOR") || set("CI") || std::env::var_os("TERM").is_some_and(|term| term == "dumb"),
        }
    }

    /// A screen only where somebody sees it and wants it.
    pub fn mode(self) -> Mode {
        if self.terminal && !self.plain && !self.unwanted { Mode::Screen } else { Mode::Lines }
    }
}

/// Shows a load until the view is dropped.
pub fn show(mode: Mode, feed: Feed, stop: Stop) -> LiveView {
    let ended = Arc::new((Mutex::new(false), Condvar::new()));
    let seen = Arc::clone(&ended);
    let run = move || {
        if mode == Mode::Lines || on_screen(&seen, &feed, &stop).is_err() {
            restore();
            lines(&seen, &feed);
        }
    };
    // Without a thread there is no view, but the load goes on.
    let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn(run).ok();
    LiveView { ended, thread }
}

impl Drop for LiveView {
    fn drop(&mut self) {
        *self.ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic of the view is no reason to lose the report
        }
        restore();
    }
}

/// Whether the whole screen is in use, so that nothing else may be written to it.
pub fn active() -> bool {
    ACTIVE.load(SeqCst)
}

/// Puts the terminal back in order; does nothing where it is. To be called before the process exits by itself.
pub fn restore() {
    if !ACTIVE.swap(false, SeqCst) {
        return;
    }
    // Nothing can be done where this fails, and the next program sets what it needs.
    let _ = execute!(std::io::stderr(), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
    for text in std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner)) {
        eprintln!("{text}");
    }
}

fn over(ended: &(Mutex<bool>, Condvar)) -> bool {
    *ended.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lines(ended: &(Mutex<bool>, Condvar), feed: &Feed) {
    let mut guard = ended.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut next = Instant::now() + LINE_EVERY;
    while !*guard {
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            eprintln!("{}", line(&feed()));
            next += LINE_EVERY;
            continue;
        }
        guard = ended.1.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// The screen until the end; an error leaves the terminal to [`restore`].
fn on_screen(ended: &(Mutex<bool>, Condvar), feed: &Feed, stop: &Stop) -> std::io::Result<()> {
    mind_panics();
    enable_raw_mode()?;
    ACTIVE.store(true, SeqCst);
    execute!(std::io::stderr(), EnterAlternateScreen, cursor::Hide)?;
    let mut terminal: Terminal<CrosstermBackend<Stderr>> = Terminal::new(CrosstermBackend::new(std::io::stderr()))?;
    terminal.clear()?;
    let mut past = History::default();
    let mut keys = Keys::default();
    let mut next = Instant::now();
    // Whoever left the screen from elsewhere wants nothing more written to it.
    while !over(ended) && active() {
        if Instant::now() >= next {
            let now = feed();
            past.push(&now);
            terminal.draw(|frame| draw(frame, &now, &past, keys.presses > 0))?;
            next = Instant::now() + FRAME_EVERY;
        }
        if !event::poll(KEY_WAIT.min(next.saturating_duration_since(Instant::now())))? {
            continue;
        }
        match event::read()? {
            Event::Key(key) => match keys.pressed(key, Instant::now()) {
                Some(Press::Again) => {
                    restore();
                    stop(Press::Again);
                    return Ok(());
                }
                Some(Press::First) => {
                    stop(Press::First);
                    next = Instant::now();
                }
                None => {}
            },
            Event::Resize(..) => next = Instant::now(),
            _ => {}
        }
    }
    restore();
    Ok(())
}

/// Keys that were pressed so far.
#[derive(Default)]
struct Keys {
    presses: u32,
    last: Option<Instant>,
}

impl Keys {
    /// What a key asks for. Ctrl-C counts always, `q` only once while it is held down.
    fn pressed(&mut self, key: KeyEvent, at: Instant) -> Option<Press> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        let quit = matches!(key.code, KeyCode::Char('q' | 'Q')) && !key.modifiers.contains(KeyModifiers::CONTROL);
        if !interrupt && !quit {
            return None;
        }
        let held = quit && self.last.is_some_and(|last| at.saturating_duration_since(last) < HELD);
        self.last = Some(at);
        if held {
            return None;
        }
        self.presses += 1;
        Some(if self.presses == 1 { Press::First } else { Press::Again })
    }
}

/// A panic that ends the run must be readable, so the screen is left first. One in a worker is contained and counted by
/// the engine: its message waits until the screen is gone.
fn mind_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current();
            if active() && !matches!(thread.name(), Some("main" | THREAD)) {
                let mut kept = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < KEPT {
                    kept.push(format!("{info}"));
                }
                return;
            }
            restore();
            before(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::super::live_data::tests::busy;
    use super::*;

    fn key(code: char, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(code), modifiers)
    }

    #[test]
    fn a_screen_is_shown_only_where_somebody_sees_it_and_wants_it() {
        let all = Surroundings { terminal: true, ..Surroundings::default() };
        assert_eq!(all.mode(), Mode::Screen);
        assert_eq!(Surroundings { unwanted: true, ..all }.mode(), Mode::Lines);
        assert_eq!(Surroundings { plain: true, ..all }.mode(), Mode::Lines);
        assert_eq!(Surroundings { terminal: false, ..all }.mode(), Mode::Lines);
    }

    #[test]
    fn ctrl_c_asks_first_for_a_good_end_and_then_for_any_end() {
        let mut keys = Keys::default();
        let at = Instant::now();
        let interrupt = key('c', KeyModifiers::CONTROL);
        assert_eq!(keys.pressed(key('c', KeyModifiers::NONE), at), None);
        assert_eq!(keys.pressed(interrupt, at), Some(Press::First));
        assert_eq!(keys.pressed(interrupt, at), Some(Press::Again));
    }

    #[test]
    fn a_key_held_down_counts_once() {
        let mut keys = Keys::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let quit = key('q', KeyModifiers::NONE);
        assert_eq!(keys.pressed(quit, at(0)), Some(Press::First));
        for repeat in [500, 533, 566, 1400] {
            assert_eq!(keys.pressed(quit, at(repeat)), None, "{repeat}");
        }
        assert_eq!(keys.pressed(quit, at(3_000)), Some(Press::Again));
        let mut release = quit;
        release.kind = KeyEventKind::Release;
        assert_eq!(keys.pressed(release, at(9_000)), None);
    }

    #[test]
    fn a_view_of_lines_ends_at_once_when_it_is_dropped() {
        let start = Instant::now();
        let view = show(Mode::Lines, Box::new(|| busy(1.0)), Box::new(|_| ()));
        drop(view);
        assert!(start.elapsed() < LINE_EVERY, "it must not wait for its next line");
        assert!(!active());
    }
}
