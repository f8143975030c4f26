//! `rules`: the catalogue for people.

use super::args::{RulesArgs, RulesCommand};
use super::exit::{Exit, Failure};
use crate::profile::PROFILES;
use crate::rules::excluded::{self, EXCLUDED};
use crate::rules::{self, Load, Rule};
use crate::scenario::closest;
use crate::suite::builtin;

/// Lists or explains.
pub fn run(args: RulesArgs) -> Result<Exit, Failure> {
    match args.what.unwrap_or(RulesCommand::List) {
        RulesCommand::List => list(),
        RulesCommand::Explain { id } => explain(&id)?,
    }
    Ok(Exit::Pass)
}

fn list() {
    let ids = rules::catalogue().map(|r| r.id).chain(EXCLUDED.iter().map(|e| e.id));
    let widest = ids.map(str::len).max().unwrap_or(0);
    let mut area = "";
    for rule in rules::catalogue() {
        if rule.area != area {
            area = rule.area;
            println!("{area}");
        }
        println!("  {:widest$}  {:6}  {}", rule.id, rule.level.as_str(), rule.title);
    }
    if !EXCLUDED.is_empty() {
        println!("excluded");
    }
    for entry in EXCLUDED {
        println!("  {:widest$}  {:6}  {}", entry.id, "-", entry.title);
        println!("      not judged: {}", entry.reason);
    }
}

fn explain(id: &str) -> Result<(), Failure> {
    if let Some(entry) = excluded::find(id) {
        println!("{} (excluded)\n  {}\n\n  not judged  {}", entry.id, entry.title, entry.reason);
        return Ok(());
    }
    let Some(rule) = rules::find(id) else {
        let near = closest(id, rules::catalogue().map(|r| r.id).chain(EXCLUDED.iter().map(|e| e.id)));
        let hint = near.map_or("`difyprobe rules` lists them".to_owned(), |n| format!("did you mean `{n}`?"));
        return Err(Failure::usage(format!("no rule `{id}`; {hint}")));
    };
    print!("{}", text(rule));
    Ok(())
}

fn text(rule: &Rule) -> String {
    let modes: Vec<&str> = rule.modes.iter().map(|m| m.as_str()).collect();
    let mut lines = vec![
        format!("{} ({})", rule.id, rule.level.as_str()),
        format!("  {}", rule.statement),
        String::new(),
        format!("  title     {}", rule.title),
        format!("  area      {}", rule.area),
        format!("  apps      {}", modes.join(", ")),
        format!("  source    {}", rule.source),
        format!("  tested    {}", rule.tested),
    ];
    lines.extend(rule.versions.map(|v| format!("  versions  {v}")));
    let load = match rule.load {
        Load::No => "not judged",
        Load::Sampled => "judged on sampled conversations",
        Load::Every => "judged on every response",
    };
    lines.push(format!("  load      {load}"));
    let suite = builtin::conformance().unwrap_or_default();
    let scenarios: Vec<&str> =
        suite.iter().filter(|s| s.rules.iter().any(|r| r == rule.id)).map(|s| s.id.as_str()).collect();
    lines.push(format!("  scenarios {}", scenarios.join(", ")));
    for mutant in crate::emulator::all_mutants().filter(|m| m.victims.contains(&rule.id)) {
        lines.push(format!("  mutant    {}: {}", mutant.id, mutant.what));
    }
    for profile in PROFILES {
        for known in profile.all_known().filter(|k| k.rule == rule.id) {
            lines.push(format!("  deviation {}: {} ({})", profile.id, known.reason, known.source));
        }
    }
    lines.join("\n") + "\n"
}
