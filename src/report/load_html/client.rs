//! The generator's own health: whether the numbers are the server's or ours.

use super::charts::{Small, small};
use super::tables::facts;
use crate::metrics::LoadSummary;
use crate::metrics::summary::ClientHealth;
use crate::report::load_view::{bytes, percent};
use crate::report::units;

/// The section.
pub fn write(out: &mut String, load: &LoadSummary) {
    let client = &load.client;
    out.push_str(
        "<h2 id=\"client\">The client&#39;s own health</h2>\n<p class=\"quiet\">Where the generator is short of something, \
         the numbers above are its own and not the server&#39;s.</p>\n<div class=\"halves\">\n",
    );
    if !load.series.is_empty() {
        charts(out, load);
    }
    out.push_str("<div class=\"cell\">\n");
    facts(out, &rows(client));
    out.push_str("</div>\n</div>\n");
}

fn charts(out: &mut String, load: &LoadSummary) {
    let client = &load.client;
    let share = |text: &str| load.validity.iter().find(|s| s.text.contains(text) && s.unit == "%");
    let cpu_limit = share("cpu").map(|s| (s.limit, format!("limit {} %", s.limit)));
    small(
        out,
        load,
        &Small {
            id: "cpu",
            title: "CPU of the client",
            desc: format!(
                "Of {}: mean {}, at most {}.",
                units::count(u64::from(client.cores), "core"),
                percent(client.cpu_mean),
                percent(client.cpu_max)
            ),
            unit: "% of all cores",
            column: 15,
            value: |s| Some(s.client_cpu * 100.0),
            limit: cpu_limit,
        },
    );
    if load.series.iter().any(|s| s.lag_max_us.is_some()) {
        let p99 = client.lag_p99_us.map_or("-".to_owned(), |us| format!("{} ms", units::ms(us)));
        small(
            out,
            load,
            &Small {
                id: "lag",
                title: "Lateness of our sends",
                desc: format!("The latest send of each second; over the run p99 {p99}."),
                unit: "ms",
                column: 17,
                value: |s| s.lag_max_us.map(|us| us as f64 / 1000.0),
                limit: None,
            },
        );
    }
    small(
        out,
        load,
        &Small {
            id: "rss",
            title: "Memory of the client",
            desc: format!("Resident, at most {}.", bytes(client.rss_max)),
            unit: "MiB",
            column: 16,
            value: |s| Some(s.rss as f64 / (1024.0 * 1024.0)),
            limit: None,
        },
    );
}

fn rows(client: &ClientHealth) -> Vec<(&'static str, String)> {
    let fds = match client.fds_limit {
        0 => client.fds_max.to_string(),
        limit => format!("{} of {limit} ({})", client.fds_max, percent(client.fds_max as f64 / limit as f64)),
    };
    let optional = |n: Option<u64>| n.map_or("not known".to_owned(), |n| n.to_string());
    let mut rows = vec![
        ("CPU seconds", format!("{:.1}", client.cpu_s)),
        ("CPU, mean and highest", format!("{} and {} of all cores", percent(client.cpu_mean), percent(client.cpu_max))),
        ("memory", bytes(client.rss_max)),
        ("file descriptors", fds),
        ("ports left", optional(client.ports_left)),
        ("open streams", client.streams_max.to_string()),
        ("arrivals dropped", client.dropped.to_string()),
        ("scenarios cut at the end", client.unfinished.to_string()),
        ("virtual users that panicked", client.panics.to_string()),
    ];
    if let Some(us) = client.lag_p99_us {
        rows.insert(3, ("lateness p99", format!("{} ms", units::ms(us))));
    }
    rows
}
