//! The page, the text and the tables of a load, from results that are made up but consistent.

use crate::report::fixture;
use crate::report::hostile::{acts, corpus};
use difyprobe::metrics::LoadSummary;
use difyprobe::metrics::summary::{Bar, CurvePoint, Second};
use difyprobe::report::run::RunReport;
use difyprobe::report::{Format, render};
use std::collections::{BTreeMap, HashSet};

#[path = "report/load_fixture.rs"]
pub mod load_fixture;

#[path = "report/load_html.rs"]
mod html;
#[path = "report/load_text.rs"]
mod text;

pub fn all() -> Vec<(&'static str, RunReport)> {
    vec![
        ("troubled", load_fixture::report(load_fixture::troubled())),
        ("load alone", load_fixture::report_of_load_alone(load_fixture::troubled())),
        ("calm", load_fixture::report_of_load_alone(load_fixture::calm())),
        ("tiny", load_fixture::report_of_load_alone(load_fixture::tiny())),
        ("empty", load_fixture::report_of_load_alone(load_fixture::empty())),
        ("default", load_fixture::report_of_load_alone(LoadSummary::default())),
        ("hour", load_fixture::report_of_load_alone(hour())),
    ]
}

fn rendered(format: Format, report: &RunReport) -> String {
    render(format, report).unwrap_or_else(|e| panic!("{e}"))
}

/// An hour second by second, with one second that is slow.
fn hour() -> LoadSummary {
    let mut load = load_fixture::tiny();
    let point = load.series.first().cloned().unwrap_or_default();
    let second = |t: u32| Second { t, p99_us: Some(if t == 1_777 { 9_000_000 } else { 300_000 }), ..point.clone() };
    load.series = (0..3_600).map(second).collect();
    load
}

/// A load with `text` wherever somebody else's text can be.
pub fn poisoned(text: &str) -> RunReport {
    let mut load = load_fixture::troubled();
    let put = |place: &mut String| place.push_str(text);
    let run = &mut load.run;
    [&mut run.id, &mut run.model, &mut run.config_hash, &mut run.base_url, &mut run.profile, &mut run.command]
        .into_iter()
        .for_each(put);
    run.server_version.iter_mut().for_each(put);
    run.scenarios.iter_mut().for_each(|s| [&mut s.id, &mut s.app].into_iter().for_each(put));
    load.stages.iter_mut().for_each(|s| put(&mut s.label));
    for group in &mut load.groups {
        group.stage.iter_mut().chain(&mut group.scenario).chain(&mut group.step).for_each(put);
        group.cost = BTreeMap::from([(format!("USD{text}"), 1)]);
        group.failures = std::mem::take(&mut group.failures).into_iter().map(|(k, n)| (k + text, n)).collect();
    }
    for slo in load.slos.iter_mut().chain(&mut load.validity) {
        [&mut slo.text, &mut slo.unit].into_iter().for_each(put);
        slo.remedy.iter_mut().for_each(put);
    }
    for second in &mut load.series {
        second.failures = std::mem::take(&mut second.failures).into_iter().map(|(k, n)| (k + text, n)).collect();
    }
    load.ended_early = Some(text.to_owned());
    let mut report = load_fixture::report(load);
    report.target.base_url.push_str(text);
    report.notes.push(text.to_owned());
    report
}

/// Numbers that no sane recorder writes.
fn insane() -> RunReport {
    let mut load = load_fixture::troubled();
    for slo in load.slos.iter_mut().chain(&mut load.validity) {
        slo.value = Some(f64::NAN);
        slo.margin = Some(f64::INFINITY);
    }
    load.elapsed_s = f64::NAN;
    load.stages.iter_mut().for_each(|s| {
        s.to_s = f64::INFINITY;
        s.level_from = f64::NAN;
    });
    load.groups.iter_mut().for_each(|g| {
        g.req_per_s = f64::NAN;
        g.good_fraction = f64::INFINITY;
    });
    load.series.iter_mut().for_each(|s| {
        s.t = u32::MAX - s.t;
        s.planned = 1 << 50;
        s.p99_us = Some(u64::MAX);
        s.client_cpu = f64::NAN;
    });
    load.curves.insert("e2e".into(), vec![CurvePoint { q: f64::NAN, us: 0 }, CurvePoint { q: 2.0, us: u64::MAX }]);
    load.distributions.insert(
        "ttft".into(),
        vec![Bar { from_us: 9, to_us: 3, n: 7 }, Bar { from_us: 0, to_us: u64::MAX, n: 1 << 50 }],
    );
    load_fixture::report(load)
}

#[test]
fn numbers_that_make_no_sense_break_no_format() {
    let report = insane();
    for format in Format::ALL.into_iter().filter(|f| *f != Format::Json) {
        let page = rendered(format, &report);
        assert!(!page.contains("\"NaN\"") && !page.contains("inf\"") && !page.contains(" NaN"), "{}", format.as_str());
    }
}

#[test]
fn hostile_text_acts_on_no_reader_of_any_format() {
    for text in &corpus() {
        let report = poisoned(text);
        for format in Format::ALL.into_iter().filter(|f| *f != Format::Json) {
            assert!(!rendered(format, &report).chars().any(acts), "{}: {text:?}", format.as_str());
        }
    }
}

fn unique<T: std::hash::Hash + Eq + Clone>(items: &[T]) -> bool {
    items.iter().cloned().collect::<HashSet<_>>().len() == items.len()
}
