//! The order of the page: what decides first, what explains it next, what repeats it last.

use super::{charts, client, objectives, shape, tables};
use crate::metrics::LoadSummary;
use crate::metrics::summary::GroupResult;
use crate::report::escape::{clip, html as esc};
use crate::report::load_view::{self, money, percent, rate};
use crate::report::run::RunReport;
use crate::report::{html, units, verdict, view};
use std::fmt::Write as _;

const STYLE: &str = concat!(include_str!("../html/style.css"), include_str!("style.css"));
const SCRIPT: &str = concat!(include_str!("script.js"), include_str!("../html/copy.js"));

/// SHA-256 of the inline style and script, base64: the page's policy admits these two and nothing else.
const STYLE_SHA256: &str = "wLVX1lUAJop39bdb56JbKjgeHfKItStFiNS16Gk6zh8=";
const SCRIPT_SHA256: &str = "mdmKTEgGJg3+6/2WdL8Zj9NSRbFMlgWrw0i4XWz5pFg=";

/// Renders the page of a load.
pub fn render(report: &RunReport, load: &LoadSummary) -> String {
    let mut out = String::with_capacity(256 * 1024);
    head(&mut out, report, load);
    out.push_str("<main>\n");
    objectives::objectives(&mut out, load);
    objectives::validity(&mut out, load);
    if load.series.is_empty() {
        out.push_str("<p class=\"quiet\">Nothing was measured over time.</p>\n");
    } else {
        out.push_str("<h2 id=\"time\">Over time</h2>\n");
        charts::write(&mut out, load);
        tables::seconds_table(&mut out, load);
    }
    tables::stages(&mut out, load);
    shape::write(&mut out, load);
    tables::turns(&mut out, load);
    tables::scenarios(&mut out, load);
    tables::metrics(&mut out, load);
    client::write(&mut out, load);
    html::judged(&mut out, report, &judged_line(load));
    repeat(&mut out, report, load);
    html::notes(&mut out, report);
    let _ = write!(out, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

fn head(out: &mut String, report: &RunReport, load: &LoadSummary) {
    let word = verdict::word(report.verdict);
    let id = if load.run.id.is_empty() { &report.command } else { &load.run.id };
    let title = format!("{word}: load {} on {}", clip(id, 100), clip(&report.target.base_url, 200));
    html::document(out, &title, (STYLE, STYLE_SHA256), SCRIPT_SHA256);
    let _ = write!(
        out,
        "<header class=\"{}\">\n<h1>difyprobe {} load: {}</h1>\n<p class=\"verdict\">{word}</p>\n<ul class=\"why\">\n",
        html::class(report.verdict),
        esc(&report.tool_version),
        esc(&clip(id, 100)),
    );
    for line in load_view::headline(report, load) {
        let _ = writeln!(out, "<li>{}</li>", esc(&clip(&line, 600)));
    }
    out.push_str("</ul>\n");
    tiles(out, load);
    let _ = writeln!(out, "<p class=\"quiet\">{}</p>\n</header>", esc(&clip(&under(report, load), 800)));
}

/// Where, when and how long, in one line; raw.
fn under(report: &RunReport, load: &LoadSummary) -> String {
    let version = report.target.server_version.as_ref().map(|v| format!(" (X-Version {v})")).unwrap_or_default();
    let model = match load.run.model.as_str() {
        "" => String::new(),
        model => format!("{model} model, "),
    };
    let [elapsed, measured] = [load.elapsed_s, load.measured_s].map(|s| super::scale::plain(s.round()));
    let times = format!("{model}{elapsed} s, {measured} s of it measured, started {}", view::started(report));
    format!("{}{version}; {times}", report.target.base_url)
}

/// The numbers that people ask for first.
fn tiles(out: &mut String, load: &LoadSummary) {
    let Some(whole) = load_view::whole(load).filter(|g| g.requests > 0) else { return };
    let metric = load_view::primary(load);
    let mut tiles: Vec<(String, String, String)> = Vec::new();
    for (metric, what) in [(metric, "response"), ("ttft", "first token")] {
        if let Some(line) = whole.line(metric) {
            tiles.push((
                format!("{what} p95"),
                units::duration(line.p95_us),
                format!("{metric}; p50 {}, p99 {}", units::duration(line.p50_us), units::duration(line.p99_us)),
            ));
        }
    }
    tiles.push((
        "failed".to_owned(),
        percent(whole.failed() as f64 / whole.requests as f64),
        format!("{} of {}", whole.failed(), units::count(whole.requests, "request")),
    ));
    tiles.push((
        "correct".to_owned(),
        rate(whole.req_per_s),
        format!("{} good, {} of all", rate(whole.good_per_s), percent(whole.good_fraction)),
    ));
    tiles.push((
        "open streams".to_owned(),
        load.client.streams_max.to_string(),
        format!("at most; {} events /s", super::scale::plain(whole.events_per_s)),
    ));
    tiles.extend(cost(whole));
    out.push_str("<ul class=\"tiles\">\n");
    for (label, value, more) in tiles {
        let _ =
            writeln!(out, "<li><span>{}</span><b>{}</b><small>{}</small></li>", esc(&label), esc(&value), esc(&more));
    }
    out.push_str("</ul>\n");
}

fn cost(whole: &GroupResult) -> Option<(String, String, String)> {
    if whole.completion_tokens == 0 && whole.cost.is_empty() {
        return None;
    }
    let tokens = format!("{} tokens, {} /s", whole.completion_tokens, super::scale::plain(whole.output_tps));
    let price: Vec<_> = whole.cost.iter().map(|(currency, nano)| money(*nano, &clip(currency, 12))).collect();
    match price.is_empty() {
        true => Some(("tokens".to_owned(), whole.completion_tokens.to_string(), tokens)),
        false => Some(("cost".to_owned(), clip(&price.join(", "), 80), tokens)),
    }
}

fn judged_line(load: &LoadSummary) -> String {
    let judged = &load.judged;
    format!(
        "Judged {} of {}; {} kept for rules that compare exchanges.",
        judged.judged,
        units::count(judged.responses, "response"),
        judged.sampled
    )
}

/// What it takes to run the same again.
fn repeat(out: &mut String, report: &RunReport, load: &LoadSummary) {
    let run = &load.run;
    out.push_str("<h2 id=\"repeat\">How to repeat it</h2>\n");
    if !run.command.is_empty() {
        out.push_str(&html::copied("command", &clip(&run.command, 8_000)));
    }
    let shard = |s: &crate::metrics::summary::ShardName| format!("{} of {}", s.index, s.count);
    let scenarios: Vec<_> =
        run.scenarios.iter().map(|s| format!("{} on {} (weight {})", s.id, s.app, s.weight)).collect();
    let merged: Vec<_> = run.merged.iter().map(shard).collect();
    tables::facts(
        out,
        &[
            ("seed", run.seed.to_string()),
            ("config hash", run.config_hash.clone()),
            ("target", run.base_url.clone()),
            ("scenarios", scenarios.join(", ")),
            ("model", run.model.clone()),
            ("shard", run.shard.as_ref().map(shard).unwrap_or_default()),
            ("merged of", merged.join(", ")),
            ("difyprobe", run.tool_version.clone()),
            ("server", run.server_version.clone().unwrap_or_default()),
            ("profile", if run.profile.is_empty() { report.target.profile.clone() } else { run.profile.clone() }),
            ("layout", load.schema.clone()),
        ],
    );
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
