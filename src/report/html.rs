//! One self-contained page: no network, no foreign content, verdict first, failures unfold to their evidence.

use super::escape::{clip, html as esc};
use super::run::{RuleResult, RunReport, ScenarioResult, Verdict};
use super::{baseline, problems, units, verdict, view};
use crate::metrics::LatencyRow;
use crate::model::{Finding, Outcome};

mod wire;

pub(super) use wire::copied;
use wire::show;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = concat!(include_str!("html/script.js"), include_str!("html/copy.js"));

/// SHA-256 of the inline style and script, base64: the page's policy admits these two and nothing else.
const STYLE_SHA256: &str = "NSFqv0aiKzAzGUe1NcEAFEPS7bVm+FQ1TldwUMvAeHU=";
const SCRIPT_SHA256: &str = "nNeEJr6LfVc4nB3NRlhKKIxf1wGni/gV6k1Ky5RS3X0=";

/// Findings with evidence per rule.
const FINDINGS: usize = 20;

/// Renders a report about rules; that of a load is `load_html`'s.
pub fn render(report: &RunReport) -> String {
    let mut out = String::with_capacity(64 * 1024);
    head(&mut out, report);
    out.push_str("<main>\n");
    search_box(&mut out, "Search rules and findings");
    failures(&mut out, report);
    scenarios(&mut out, report);
    baseline_section(&mut out, report);
    told(&mut out, report, Outcome::Known, "Known by the baseline");
    told(&mut out, report, Outcome::KnownDeviation, "Known deviations");
    told(&mut out, report, Outcome::Warn, "Warnings");
    told(&mut out, report, Outcome::CouldNotRun, "Could not be run");
    areas(&mut out, report);
    latency(&mut out, report);
    notes(&mut out, report);
    plain_end(&mut out);
    out
}

/// Begins a page in the style of this one; [`plain_end`] closes it.
pub(super) fn plain_document(out: &mut String, title: &str) {
    document(out, title, (STYLE, STYLE_SHA256), SCRIPT_SHA256);
}

/// Closes `main` and the page.
pub(super) fn plain_end(out: &mut String) {
    out.push_str(&format!("</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"));
}

/// The box that searches all `data-item`s; its script needs it on every page.
pub(super) fn search_box(out: &mut String, label: &str) {
    out.push_str(&format!(
        "<div class=\"search\"><input id=\"search\" type=\"search\" placeholder=\"rule id or text\" \
         aria-label=\"{label}\"><output id=\"found\" aria-live=\"polite\"></output>\
         <span class=\"quiet\">/ to search, Esc to clear</span></div>\n",
    ));
}

/// Things a reader should know.
pub(super) fn notes(out: &mut String, report: &RunReport) {
    if !report.notes.is_empty() {
        out.push_str("<h2>Notes</h2>\n<ul>\n");
        report.notes.iter().for_each(|note| out.push_str(&format!("<li>{}</li>\n", esc(note))));
        out.push_str("</ul>\n");
    }
}

/// Rules that broke under a load with their evidence, then the others in short. `line` says how much was judged; raw.
pub(super) fn judged(out: &mut String, report: &RunReport, line: &str) {
    out.push_str(&format!("<h2 id=\"rules\">Rules under load</h2>\n<p class=\"quiet\">{}</p>\n", esc(line)));
    failures(out, report);
    scenarios(out, report);
    baseline_section(out, report);
    told(out, report, Outcome::Known, "Known by the baseline");
    told(out, report, Outcome::KnownDeviation, "Known deviations");
    told(out, report, Outcome::Warn, "Warnings");
    told(out, report, Outcome::CouldNotRun, "Could not be run");
    areas(out, report);
}

/// The class of a verdict in the style.
pub(super) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Incomplete => "incomplete",
        Verdict::Invalid => "invalid",
        Verdict::SloMissed => "missed",
        Verdict::StaleBaseline => "stale",
        Verdict::Error => "error",
        Verdict::Interrupted => "interrupted",
    }
}

/// Begins a page: policy, title, style. The title is raw; the policy admits the style and the script of these hashes.
pub(super) fn document(out: &mut String, title: &str, style: (&str, &str), script: &str) {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'",
        style.1
    );
    out.push_str(&format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{}</title>\n<style>{}</style>\n</head>\n<body>\n",
        esc(title),
        style.0,
    ));
}

fn head(out: &mut String, report: &RunReport) {
    let word = verdict::word(report.verdict);
    let title = format!("{word}: difyprobe {} {}", report.command, clip(&report.target.base_url, 200));
    plain_document(out, &title);
    out.push_str(&format!(
        "<header class=\"{}\">\n<h1>difyprobe {} {}</h1>\n<p class=\"verdict\">{word}</p>\n<p>{}</p>\n<dl>\n",
        class(report.verdict),
        esc(&report.tool_version),
        esc(&report.command),
        esc(&report.summary.line),
    ));
    for (label, text) in view::facts(report) {
        pair(out, label, "", &text);
    }
    pair(out, "started", "", &view::started(report));
    out.push_str("</dl>\n</header>\n");
}

pub(super) fn pair(out: &mut String, label: &str, class: &str, text: &str) {
    if !text.is_empty() {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        out.push_str(&format!("<dt>{label}</dt><dd{class}>{}</dd>\n", esc(text)));
    }
}

fn badge(outcome: Outcome) -> String {
    format!("<span class=\"badge o-{}\">{}</span>", outcome.as_str(), view::word(outcome))
}

fn section(out: &mut String, title: &str, count: usize, body: impl FnOnce(&mut String)) {
    if count > 0 {
        out.push_str(&format!("<section data-group>\n<h2>{title} ({count})</h2>\n"));
        body(out);
        out.push_str("</section>\n");
    }
}

fn failures(out: &mut String, report: &RunReport) {
    let failed = problems::failed(report);
    section(out, "Failures", failed.len(), |out| {
        for (i, rule) in failed.iter().enumerate() {
            // The first is open: a reader sees at once what a failure holds.
            details(out, report, rule, i == 0);
        }
    });
}

fn told(out: &mut String, report: &RunReport, outcome: Outcome, title: &str) {
    let rules = problems::told(report, outcome);
    section(out, title, rules.len(), |out| rules.iter().for_each(|rule| details(out, report, rule, false)));
}

/// A rule that unfolds to its sentence, source and findings.
fn details(out: &mut String, report: &RunReport, rule: &RuleResult, open: bool) {
    let open = if open { " open" } else { "" };
    out.push_str(&format!(
        "<details data-item{open}><summary>{}<span class=\"id\">{}</span><span class=\"level\">{}</span>{}</summary>\n\
         <div class=\"body\">\n<p>{}</p>\n<dl>\n",
        badge(rule.outcome),
        esc(&rule.id),
        rule.level.as_str().to_uppercase(),
        esc(&rule.title),
        esc(&rule.statement),
    ));
    pair(out, "source", "", &rule.source);
    pair(out, "reason", "", rule.reason.as_deref().unwrap_or(""));
    pair(out, "judged", "", &units::count(rule.judged, "time"));
    let apps: Vec<_> = rule.apps.iter().map(|(app, outcome)| format!("{app}: {}", view::word(*outcome))).collect();
    pair(out, "apps", "", &apps.join(", "));
    out.push_str("</dl>\n");
    rule.findings.iter().take(FINDINGS).for_each(|f| finding(out, report, f));
    if rule.findings.len() > FINDINGS {
        out.push_str(&format!("<p class=\"quiet\">{} more in the JSON report</p>\n", rule.findings.len() - FINDINGS));
    }
    out.push_str("</div></details>\n");
}

fn finding(out: &mut String, report: &RunReport, finding: &Finding) {
    let clipped = |text: &str| clip(text, 4_000);
    out.push_str(&format!("<div class=\"finding\">\n<p>{}</p>\n<dl>\n", esc(&clipped(&finding.message))));
    pair(out, "app", "", &finding.app);
    pair(out, "expected", "expected", &clipped(&finding.expected));
    pair(out, "actual", "actual", &clipped(&finding.actual));
    pair(out, "known", "", finding.known.as_deref().unwrap_or(""));
    out.push_str("</dl>\n");
    if let Some(evidence) = view::evidence_of(report, finding) {
        show(out, evidence);
    }
    out.push_str("</div>\n");
}

fn baseline_section(out: &mut String, report: &RunReport) {
    let Some(result) = &report.baseline else { return };
    out.push_str(&format!("<h2>Baseline {}</h2>\n<p>{}</p>\n", esc(&result.file), baseline::counts(result)));
    if !result.entries.is_empty() {
        out.push_str("<ul>\n");
        for entry in &result.entries {
            let (state, name) = (entry.state.as_str(), esc(&baseline::name(result, entry)));
            let state = if entry.state.stale() { format!("<mark>{state}</mark>") } else { state.to_owned() };
            out.push_str(&format!(
                "<li data-item>{state}: <span class=\"id\">{name}</span>: {} <span class=\"quiet\">{}</span></li>\n",
                esc(&clip(&entry.message, 4_000)),
                esc(&clip(&entry.reason, 4_000)),
            ));
        }
        out.push_str("</ul>\n");
    }
    if !result.proposed.is_empty() {
        out.push_str(&format!(
            "<p>{}</p>\n{}",
            esc(&baseline::invitation(result)),
            copied("entries", &baseline::proposed(result))
        ));
    }
}

fn scenarios(out: &mut String, report: &RunReport) {
    let bad = |o: Outcome| matches!(o, Outcome::Fail | Outcome::Error | Outcome::CouldNotRun);
    let failed: Vec<_> = report.scenarios.iter().filter(|s| bad(s.outcome) || !s.cleanup_failures.is_empty()).collect();
    section(out, "Scenarios not in order", failed.len(), |out| failed.iter().for_each(|s| scenario(out, report, s)));
}

fn scenario(out: &mut String, report: &RunReport, scenario: &ScenarioResult) {
    out.push_str(&format!(
        "<details data-item><summary>{}<span class=\"id\">{}</span> on {}</summary>\n<div class=\"body\">\n<p>{}</p>\n<dl>\n",
        badge(scenario.outcome),
        esc(&scenario.id),
        esc(&scenario.app),
        esc(&scenario.title),
    ));
    pair(out, "file", "", &scenario.file);
    pair(out, "reason", "", scenario.reason.as_deref().unwrap_or(""));
    scenario.cleanup_failures.iter().for_each(|text| pair(out, "clean-up", "", text));
    out.push_str("</dl>\n");
    for failure in scenario.failures.iter().take(FINDINGS) {
        out.push_str(&format!("<div class=\"finding\">\n<p>{}</p>\n<dl>\n", esc(&clip(&failure.message, 4_000))));
        pair(out, "step", "", &failure.step);
        pair(out, "at", "", &failure.place);
        out.push_str("</dl>\n");
        if let Some(evidence) = failure.exchange.and_then(|id| view::evidence(report, id)) {
            show(out, evidence);
        }
        out.push_str("</div>\n");
    }
    out.push_str("</div></details>\n");
}

fn areas(out: &mut String, report: &RunReport) {
    let areas = view::areas(report);
    if areas.is_empty() {
        return;
    }
    out.push_str("<h2>Rules by area</h2>\n");
    for (area, rules) in areas {
        out.push_str(&format!("<details data-group><summary>{}<span class=\"counts\">", esc(area)));
        for (outcome, n, word) in view::counts(&rules) {
            out.push_str(&format!("<span class=\"o-{}\">{n} {word}</span>", outcome.as_str()));
        }
        out.push_str("</span></summary>\n");
        for rule in rules {
            // Rules shown above with all their evidence are only named here.
            let plain = matches!(rule.outcome, Outcome::Pass | Outcome::NotApplicable | Outcome::Skipped);
            if plain {
                details(out, report, rule, false);
            } else {
                out.push_str(&format!(
                    "<details data-item><summary>{}<span class=\"id\">{}</span></summary><div class=\"body\">\
                     <p>{}</p><p class=\"quiet\">shown above</p></div></details>\n",
                    badge(rule.outcome),
                    esc(&rule.id),
                    esc(&rule.statement),
                ));
            }
        }
        out.push_str("</details>\n");
    }
}

fn latency(out: &mut String, report: &RunReport) {
    if report.latency.is_empty() {
        return;
    }
    out.push_str(
        "<h2>Latency in ms</h2>\n<p class=\"quiet\">Requests that succeeded; hover a percentile for its 95 % interval.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Latency in ms\"><table>\n<thead><tr>",
    );
    for head in ["metric", "app", "turn", "n", "p50", "p90", "p95", "p99", "p99.9", "max"] {
        out.push_str(&format!("<th scope=\"col\">{head}</th>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    report.latency.iter().for_each(|row| latency_row(out, row));
    out.push_str("</tbody></table></div>\n");
}

fn latency_row(out: &mut String, row: &LatencyRow) {
    let time = |us: u64, interval: Option<[u64; 2]>| {
        let title = interval.map(|[low, high]| format!(" title=\"95 %: {} to {}\"", units::ms(low), units::ms(high)));
        format!("<td{}>{}</td>", title.unwrap_or_default(), units::ms(us))
    };
    out.push_str(&format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}{}{}{}<td>{}</td><td>{}</td></tr>\n",
        esc(&row.metric),
        esc(&row.group),
        esc(&row.turn),
        row.n,
        time(row.p50_us, row.p50_ci_us),
        time(row.p90_us, row.p90_ci_us),
        time(row.p95_us, row.p95_ci_us),
        time(row.p99_us, row.p99_ci_us),
        row.p999_us.map(units::ms).unwrap_or_default(),
        units::ms(row.max_us),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    #[test]
    fn policy_admits_exactly_the_style_and_script_of_the_page() {
        for (text, hash) in [(STYLE, STYLE_SHA256), (SCRIPT, SCRIPT_SHA256)] {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
            assert_eq!(base64::engine::general_purpose::STANDARD.encode(digest), hash, "update the constant");
        }
    }
}
