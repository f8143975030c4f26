//! Flags of `load` -> when scenarios begin, and what ends it.

use super::args::{ArrivalArgs, EndArgs, LoadArgs};
use super::exit::Failure;
use super::output::chain;
use crate::metrics::Slo;
use crate::scenario::{duration, load_text, suggestion};
use crate::store;
use crate::workload::{Arrivals, Budget, Process, Stage, StopWhen, Workload, defaults, labels, recording};
use std::time::Duration;

/// Longest load by flags.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// When scenarios begin, by flags alone.
///
/// # Errors
/// Flags that say nothing together, or too much.
pub fn arrivals(args: &LoadArgs) -> Result<Arrivals, Failure> {
    let a = &args.arrivals;
    if a.poisson && a.rate.is_none() {
        return Err(Failure::usage("--poisson says how a --rate is spread: give --rate, too"));
    }
    if let Some(path) = &a.schedule {
        return replay(args, path);
    }
    if !a.stage.is_empty() && a.rate.is_none() && a.users.is_none() {
        return Err(Failure::usage("--stage needs the level at the start: --rate 0 or --users 0, for example"));
    }
    match &a.rate {
        Some(text) => {
            open(args, load_text::rate(text).map_err(|why| Failure::usage(format!("--rate `{text}` {why}")))?)
        }
        None => closed(args, a.users.unwrap_or(1)),
    }
}

fn replay(args: &LoadArgs, path: &std::path::Path) -> Result<Arrivals, Failure> {
    let given =
        [("--ramp", args.arrivals.ramp), ("--warm-up", args.arrivals.warm_up), ("--duration", args.arrivals.duration)];
    if let Some((flag, _)) = given.iter().find(|(_, value)| value.is_some()) {
        return Err(Failure::usage(format!(
            "{flag} does not go with --schedule: the recording says when scenarios begin"
        )));
    }
    let at_us = recorded(path)?;
    let max_in_flight = in_flight(args, mean_rate(&at_us));
    Ok(Arrivals::Replay { at_us, max_in_flight })
}

/// The times of a recording.
///
/// # Errors
/// A file that cannot be read, or holds no times.
pub fn recorded(path: &std::path::Path) -> Result<Vec<u64>, Failure> {
    let text = store::read_text(path).map_err(|e| Failure::usage(chain(&e)))?;
    recording::read(&text).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))
}

/// Arrivals per second of a recording.
pub fn mean_rate(at_us: &[u64]) -> f64 {
    at_us.len() as f64 * 1e6 / at_us.last().copied().unwrap_or(0).max(1_000_000) as f64
}

fn open(args: &LoadArgs, rate: f64) -> Result<Arrivals, Failure> {
    let a = &args.arrivals;
    if rate == 0.0 && a.stage.is_empty() {
        return Err(Failure::usage("--rate 0 begins nothing; with --stage it is the level at the start"));
    }
    let measured = match (a.duration, args.ends.requests) {
        (Some(duration), _) => duration,
        // Every scenario sends at least one request, so this many scenarios are enough; of random ones, six deviations more.
        (None, Some(requests)) if a.stage.is_empty() => {
            let spare = if a.poisson { 6.0 * (requests as f64).sqrt() + 10.0 } else { 0.0 };
            Duration::try_from_secs_f64((requests as f64 + spare) / rate).unwrap_or(LONGEST).min(LONGEST)
        }
        (None, _) if a.stage.is_empty() => {
            return Err(Failure::usage("a load needs an end: --duration 30s or --requests 1000"));
        }
        (None, _) => Duration::ZERO,
    };
    let stages = stages(a, rate, measured)?;
    let process = if a.poisson { Process::Poisson } else { Process::Constant };
    let highest = stages.iter().map(|s| s.from.max(s.to)).fold(0.0, f64::max);
    Ok(Arrivals::Open { process, stages, max_in_flight: in_flight(args, highest) })
}

fn closed(args: &LoadArgs, users: u32) -> Result<Arrivals, Failure> {
    let a = &args.arrivals;
    if users == 0 && a.stage.is_empty() {
        return Err(Failure::usage("--users 0 does nothing; with --stage it is the number at the start"));
    }
    if a.duration.is_none() && a.iterations.is_none() && args.ends.requests.is_none() && a.stage.is_empty() {
        return Err(Failure::usage("a load needs an end: --duration 30s or --iterations 100"));
    }
    if args.target.max_in_flight.is_some() {
        return Err(Failure::usage("--max-in-flight limits a --rate or --schedule; --users is a limit itself"));
    }
    let stages = stages(a, f64::from(users), a.duration.unwrap_or(Duration::MAX))?;
    Ok(Arrivals::Closed { stages, iterations: a.iterations })
}

fn in_flight(args: &LoadArgs, highest_rate: f64) -> usize {
    args.target.max_in_flight.map_or_else(|| defaults::max_in_flight(highest_rate), |n| n as usize)
}

/// Ramp and warm-up, then the stages, or one of the level.
fn stages(a: &ArrivalArgs, level: f64, measured: Duration) -> Result<Vec<Stage>, Failure> {
    let mut named: Vec<(Option<String>, &str)> = Vec::new();
    let mut stages = Vec::new();
    let mut add = |label: Option<String>, kind, from, to, length, measure| {
        named.push((label, kind));
        stages.push(Stage { label: String::new(), from, to, length, measure });
    };
    if let Some(length) = a.ramp {
        add(None, "warm-up", 0.0, level, length, false);
    }
    if let Some(length) = a.warm_up {
        add(None, "warm-up", level, level, length, false);
    }
    if a.stage.is_empty() {
        add(None, "hold", level, level, measured, true);
    }
    let mut before = level;
    for text in &a.stage {
        let typed = stage(text, a.rate.is_some()).map_err(|why| Failure::usage(format!("--stage {text}: {why}")))?;
        if !typed.length.is_zero() {
            let kind = if before == typed.level { "hold" } else { "ramp" };
            add(typed.label, kind, before, typed.level, typed.length, true);
        } else if let Some(label) = typed.label {
            // A jump takes no time: its name is that of the stage after it, which has its own.
            return Err(Failure::usage(format!("--stage {text}: a jump has no length to be named `{label}`")));
        }
        before = typed.level;
    }
    let given: Vec<(Option<&str>, &str)> = named.iter().map(|(label, kind)| (label.as_deref(), *kind)).collect();
    for (stage, label) in stages.iter_mut().zip(labels(&given)) {
        stage.label = label;
    }
    if let Some(twice) = twice(&stages) {
        return Err(Failure::usage(format!("two stages have the label `{twice}`: labels are unique")));
    }
    Ok(stages)
}

fn twice(stages: &[Stage]) -> Option<&str> {
    let labels = || stages.iter().map(|s| s.label.as_str());
    labels().enumerate().find(|(at, label)| labels().take(*at).any(|l| l == *label)).map(|(_, label)| label)
}

/// `--stage` as typed.
struct TypedStage {
    label: Option<String>,
    length: Duration,
    level: f64,
}

fn stage(text: &str, is_rate: bool) -> Result<TypedStage, String> {
    let (label, rest) = match text.split_once('=') {
        Some((label, rest)) => (Some(label.trim()), rest),
        None => (None, text),
    };
    if let Some(label) = label.filter(|l| !is_label(l)) {
        return Err(format!("`{label}` is no label: lower-case letters, digits and `-`"));
    }
    let (length, level) = rest.split_once(':').ok_or("write DURATION:LEVEL, e.g. `30s:20`")?;
    let length = duration::parse(length.trim()).map_err(|why| format!("`{}` {why}", length.trim()))?;
    let level = level.trim();
    let level = if is_rate {
        load_text::rate(level).map_err(|why| format!("`{level}` {why}"))?
    } else {
        f64::from(level.parse::<u32>().map_err(|_| format!("`{level}` is no number of users"))?)
    };
    Ok(TypedStage { label: label.map(str::to_owned), length, level })
}

fn is_label(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(fits) && !text.starts_with('-') && !text.ends_with('-')
}

/// Lays the flags about ends and objectives over a plan: objectives are added, everything else replaces what is there.
///
/// # Errors
/// Texts that mean nothing.
pub fn lay_over(workload: &mut Workload, ends: &EndArgs) -> Result<(), Failure> {
    for text in &ends.slo {
        workload.slos.push(slo(text)?);
    }
    if !ends.stop_when.is_empty() {
        let read = |text: &String| {
            load_text::stop_when(text).map_err(|why| Failure::usage(format!("--stop-when `{text}` {why}")))
        };
        workload.stop_when = ends.stop_when.iter().map(read).collect::<Result<Vec<StopWhen>, _>>()?;
    }
    workload.requests = ends.requests.or(workload.requests);
    workload.drain = ends.drain.unwrap_or(workload.drain);
    let budget = budget(ends)?;
    workload.budget.tokens = budget.tokens.or(workload.budget.tokens);
    if !budget.cost.is_empty() {
        workload.budget.cost = budget.cost;
    }
    Ok(())
}

fn slo(text: &str) -> Result<Slo, Failure> {
    Slo::parse(text).map_err(|e| {
        let help = e.unknown.as_ref().map_or_else(|| e.help.to_owned(), |(word, known)| suggestion(word, known));
        let mut message = format!("--slo: {e}\n  {text}\n  {}{}", " ".repeat(e.at.0), "^".repeat(e.at.1.max(1)));
        if !help.is_empty() {
            message += &format!("\n  {help}");
        }
        Failure::usage(message)
    })
}

fn budget(ends: &EndArgs) -> Result<Budget, Failure> {
    let mut cost: Vec<(String, u64)> = Vec::new();
    for text in &ends.max_cost {
        let wrong = |why: &str| Failure::usage(format!("--max-cost {text}: {why}"));
        let (currency, price) = text.split_once('=').ok_or_else(|| wrong("write CURRENCY=PRICE, e.g. USD=1.50"))?;
        let currency = currency.trim().to_ascii_uppercase();
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(wrong(&format!("`{currency}` is no currency such as USD")));
        }
        if cost.iter().any(|(known, _)| *known == currency) {
            return Err(wrong(&format!("{currency} has a limit already")));
        }
        let price = load_text::price(price.trim()).map_err(|why| wrong(&format!("`{}` {why}", price.trim())))?;
        cost.push((currency, price));
    }
    Ok(Budget { tokens: ends.max_tokens, cost })
}

/// Flags that say when scenarios begin, of those that were typed: a load file says that itself.
pub fn typed(a: &ArrivalArgs) -> Option<&'static str> {
    let all = [
        ("--rate", a.rate.is_some()),
        ("--users", a.users.is_some()),
        ("--schedule", a.schedule.is_some()),
        ("--poisson", a.poisson),
        ("--duration", a.duration.is_some()),
        ("--ramp", a.ramp.is_some()),
        ("--warm-up", a.warm_up.is_some()),
        ("--stage", !a.stage.is_empty()),
        ("--iterations", a.iterations.is_some()),
    ];
    all.into_iter().find(|(_, typed)| *typed).map(|(flag, _)| flag)
}
