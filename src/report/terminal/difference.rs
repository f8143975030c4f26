//! What differs between two servers, for a person at a terminal.

use super::TerminalStyle;
use super::page::{Page, Paint};
use super::table::{Table, number, text};
use crate::difference::Kind;
use crate::report::difference::{DiffReport, DiffVerdict, Found, NO_LOAD_TEST, Quantiles};
use crate::report::escape::{clip, terminal as esc};
use crate::report::units;

/// Lines of one side of an example.
const ROWS: usize = 3;

/// Renders a comparison: the differences by meaning, then rules and latency, the verdict last.
pub fn difference(of: &DiffReport, style: &TerminalStyle) -> String {
    let mut page = Page::new(style);
    page.text(0, 2, Paint::Strong, &esc(&format!("difyprobe {} diff", of.tool_version)));
    page.labelled(2, 9, "A", Paint::Plain, &esc(&of.a.line()));
    page.labelled(2, 9, "B", Paint::Plain, &esc(&of.b.line()));
    page.labelled(2, 9, "compared", Paint::Plain, &of.compared_line());
    let kinds: Vec<String> =
        of.kinds().iter().map(|(kind, groups)| format!("{} {}", groups.len(), kind.as_str())).collect();
    if !kinds.is_empty() {
        page.labelled(2, 9, "kinds", Paint::Plain, &kinds.join(", "));
    }
    for (kind, groups) in of.kinds() {
        page.heading(&format!("{} ({})", kind.title(), kind.as_str()));
        together(groups).iter().for_each(|groups| group(&mut page, groups));
    }
    if !of.groups.is_empty() && style.verbosity == 0 {
        page.blank();
        page.text(2, 2, Paint::Dim, "curl commands of both sides with -v, the whole exchanges in the reports");
    }
    list(&mut page, "Ignored", &of.ignored_lines());
    list(&mut page, "Not compared", &of.uncompared);
    rules(&mut page, of);
    latency(&mut page, of);
    list(&mut page, "Notes", &of.notes);
    page.blank();
    let paint = match of.verdict {
        DiffVerdict::Equal => Paint::Good,
        DiffVerdict::Different => Paint::Bad,
        DiffVerdict::Incomplete | DiffVerdict::Interrupted => Paint::Warn,
    };
    page.text(0, 2, paint, &esc(&of.summary));
    page.finish()
}

/// Members that came or went at one place, always together, in one list: an event that got five new members is one thing
/// to read.
fn together(groups: Vec<&Found>) -> Vec<Vec<&Found>> {
    let mut lists: Vec<Vec<&Found>> = Vec::new();
    for found in groups {
        let key = |f: &Found| (f.group.place.clone(), f.group.count, f.group.example.place.clone());
        let member = matches!(found.group.kind, Kind::MemberAdded | Kind::MemberRemoved);
        match lists.iter_mut().find(|list| member && list.first().is_some_and(|first| key(first) == key(found))) {
            Some(list) => list.push(found),
            None => lists.push(vec![found]),
        }
    }
    lists
}

fn group(page: &mut Page, groups: &[&Found]) {
    let Some(found) = groups.first() else { return };
    let times = match found.group.count {
        1 => "once".to_owned(),
        n => units::count(n, "time"),
    };
    let example = &found.group.example;
    if groups.len() > 1 {
        page.text(2, 4, Paint::Strong, &format!("{}  ({times} each)", esc(&clip(&found.group.place, 600))));
        for found in groups {
            let (a, b) = (&found.group.example.a.text, &found.group.example.b.text);
            let value = if found.group.kind == Kind::MemberAdded { b } else { a };
            page.clipped(6, 1, Paint::Plain, &esc(&format!("{}: {value}", found.group.path)));
        }
    } else {
        page.text(2, 4, Paint::Strong, &format!("{}  ({times})", esc(&clip(&found.title(), 600))));
    }
    page.labelled(6, 6, "where", Paint::Dim, &esc(&found.place()));
    if groups.len() == 1 && !found.says_all() {
        side(page, "A", &example.a.text);
        side(page, "B", &example.b.text);
    }
    if page.verbosity > 0 {
        for (label, wire) in [("curl A", &found.wire_a), ("curl B", &found.wire_b)] {
            let Some(wire) = wire else { continue };
            page.labelled(6, 6, label, Paint::Dim, "");
            wire.curl.lines().for_each(|line| page.verbatim(8, &esc(line)));
        }
    }
}

fn side(page: &mut Page, label: &str, text: &str) {
    let text = esc(text);
    page.clipped(6, ROWS, Paint::Plain, &format!("{label}      {text}"));
}

fn list(page: &mut Page, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        page.heading(title);
        lines.iter().for_each(|line| page.text(2, 4, Paint::Plain, &format!("- {}", esc(line))));
    }
}

fn rules(page: &mut Page, of: &DiffReport) {
    if of.rules.rules.is_empty() {
        return;
    }
    let differing = of.rules.shown(false).len();
    page.heading(&format!("Rules with another verdict ({differing})"));
    super::matrix::table(page, &of.rules, false);
    page.text(2, 4, Paint::Dim, &of.rules.shared_line());
}

fn latency(page: &mut Page, of: &DiffReport) {
    if of.latency.is_empty() {
        return;
    }
    page.heading("Latency in ms");
    page.text(2, 2, Paint::Dim, NO_LOAD_TEST);
    let heads = [
        text("metric"),
        text("app"),
        number("A n", 1),
        number("A p50", 0),
        number("A p95", 0),
        number("B n", 1),
        number("B p50", 0),
        number("B p95", 0),
    ];
    let mut table = Table::new(&heads);
    for pair in &of.latency {
        let names = [esc(&pair.metric), esc(&pair.app)];
        table.row(Paint::Plain, names.into_iter().chain(Quantiles::cells(pair.a)).chain(Quantiles::cells(pair.b)));
    }
    table.write(page);
}
