//! The screen of the live view: where what stands, at any size.

use super::live_data::{History, LiveSnapshot, line, times_text};
use crate::metrics::summary::SloState;
use crate::report::escape::{clip, terminal as esc};
use crate::report::load_view::{by_weight, margin, percent, red, state, value};
use crate::report::units;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Gauge, Paragraph, Sparkline, Wrap};
use std::collections::VecDeque;

/// Below this size one wrapped line is all there is room for.
const LEAST: (u16, u16) = (44, 8);
/// From this width on, the course of the last minutes stands beside the numbers.
const BESIDE: u16 = 100;
/// Columns of labels.
const LABELS: usize = 10;

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const GOOD: Style = Style::new().fg(Color::Green);
const WARN: Style = Style::new().fg(Color::Yellow);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);

/// Draws one frame. `stopping`: the user asked for the end.
pub fn draw(frame: &mut Frame, now: &LiveSnapshot, past: &History, stopping: bool) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        frame.render_widget(Paragraph::new(line(now)).wrap(Wrap { trim: true }), area);
        return;
    }
    let rows = [Constraint::Length(1), Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)];
    let [title, gauge, body, footer] = Layout::vertical(rows).areas(area);
    frame.render_widget(Paragraph::new(title_line(now)), title);
    progress(frame, gauge, now);
    frame.render_widget(Paragraph::new(footer_line(now, stopping)), footer);
    let (numbers, slos) = (numbers(now), slos(now));
    let told = u16::try_from(numbers.len() + slos.len() + 2).unwrap_or(u16::MAX);
    if area.width >= BESIDE {
        let [left, right] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).spacing(2).areas(body);
        texts(frame, left, numbers, slos);
        courses(frame, right, past);
    } else {
        let [above, below] = Layout::vertical([Constraint::Length(told), Constraint::Min(0)]).areas(body);
        texts(frame, above, numbers, slos);
        courses(frame, below, past);
    }
}

fn title_line(now: &LiveSnapshot) -> Line<'static> {
    let mut spans = vec![Span::styled("difyprobe load ", DIM), Span::styled(esc(&clip(&now.id, 60)), STRONG)];
    let stage = now.stage_text();
    if !stage.is_empty() {
        spans.push(Span::styled("  stage ", DIM));
        spans.push(Span::styled(stage, if now.measured { STRONG } else { Style::new() }));
    }
    Line::from(spans)
}

fn progress(frame: &mut Frame, area: Rect, now: &LiveSnapshot) {
    match now.progress() {
        Some(share) => {
            let style = Style::new().fg(Color::Cyan).bg(Color::DarkGray);
            frame.render_widget(Gauge::default().ratio(share).gauge_style(style).label(now.times()), area);
        }
        None => frame.render_widget(Paragraph::new(now.times()), area),
    }
}

fn footer_line(now: &LiveSnapshot, stopping: bool) -> Line<'static> {
    match (&now.ending, stopping) {
        (_, true) => Line::styled("stopping: requests under way are cut short; Ctrl-C again quits at once", WARN),
        (Some(why), false) => Line::styled(format!("ending: {}", esc(&clip(why, 200))), WARN),
        (None, false) => Line::styled("q or Ctrl-C stops and reports", DIM),
    }
}

fn labelled(label: &str, spans: Vec<Span<'static>>) -> Line<'static> {
    let mut all = vec![Span::styled(format!("{label:<LABELS$}"), DIM)];
    all.extend(spans);
    Line::from(all)
}

/// The numbers, what matters most first: what does not fit is cut at the end.
fn numbers(now: &LiveSnapshot) -> Vec<Line<'static>> {
    let plain = |text: String| vec![Span::raw(text)];
    let mut rate = vec![Span::styled(format!("{} req/s", value(now.req_per_s, "")), STRONG)];
    rate.push(Span::raw(format!(", {} of {} correct", now.ok, now.requests)));
    let mut lines = vec![labelled("rate", rate)];
    if now.failed() > 0 {
        let share = percent(now.failed() as f64 / now.requests.max(1) as f64);
        let mut classes = now.failures.clone();
        classes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let classes: Vec<_> =
            classes.iter().filter(|(_, n)| *n > 0).map(|(class, n)| esc(&clip(&format!("{class} {n}"), 40))).collect();
        let count = Span::styled(format!("{} ({share})", now.failed()), BAD);
        lines.push(labelled("failed", vec![count, Span::raw(format!("  {}", classes.join(", ")))]));
    } else {
        lines.push(labelled("failed", vec![Span::styled("0", GOOD)]));
    }
    lines.push(labelled("ttft", plain(format!("p50/p95 {}, last 10 s", times_text(&now.ttft_us)))));
    let metric = if now.metric.is_empty() { "e2e" } else { now.metric };
    lines.push(labelled(metric, plain(format!("p50/p95/p99 {}", times_text(&now.e2e_us)))));
    lines.push(labelled("open", plain(format!("{} streams, {} requests under way", now.open_streams, now.in_flight))));
    let target = match now.target_text() {
        text if text.is_empty() => String::new(),
        text => format!("{text} asked for, "),
    };
    let mut load = vec![Span::raw(format!("{target}{} scenarios begun", now.begun))];
    if now.dropped > 0 {
        load.push(Span::styled(format!(", {} dropped", now.dropped), BAD));
    }
    lines.push(labelled("load", load));
    lines.extend(used_up(now));
    let late = now.lag_p99_us.map(|us| format!(", sends late by {} ms (p99)", units::ms(us))).unwrap_or_default();
    let style = if now.client_cpu > 0.8 { BAD } else { Style::new() };
    let client = vec![Span::styled(format!("CPU {}", percent(now.client_cpu)), style), Span::raw(late)];
    lines.push(labelled("client", client));
    let (text, style) = match now.findings {
        0 => ("no violation".to_owned(), GOOD),
        n => (units::count(n, "violation"), BAD),
    };
    lines.push(labelled("rules", vec![Span::styled(text, style)]));
    lines
}

/// Tokens and cost, where there are any.
fn used_up(now: &LiveSnapshot) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let near = |share: f64| if share >= 0.8 { WARN } else { Style::new() };
    if now.tokens > 0 || now.token_budget.is_some() {
        let (text, style) = match now.token_budget {
            Some(budget) if budget > 0 => {
                let share = now.tokens as f64 / budget as f64;
                (format!("{} of {budget} ({})", now.tokens, percent(share)), near(share))
            }
            _ => (now.tokens.to_string(), Style::new()),
        };
        lines.push(labelled("tokens", vec![Span::styled(text, style)]));
    }
    if !now.costs.is_empty() {
        let share = |c: &super::live_data::Cost| c.budget.filter(|b| *b > 0).map_or(0.0, |b| c.spent as f64 / b as f64);
        let highest = now.costs.iter().map(share).fold(0.0, f64::max);
        lines.push(labelled("cost", vec![Span::styled(now.cost_text(), near(highest))]));
    }
    lines
}

/// Objectives, those that call for attention first.
fn slos(now: &LiveSnapshot) -> Vec<Line<'static>> {
    let line = |slo: &crate::metrics::summary::SloResult| {
        let style = match (slo.state, red(slo)) {
            (SloState::Met, _) => GOOD,
            (SloState::Missed, true) => BAD,
            (SloState::Missed, false) => WARN,
            (SloState::Unknown, _) => DIM,
        };
        let seen = slo.value.map(|v| format!("  {}", value(v, &slo.unit))).unwrap_or_default();
        let margin = Some(margin(slo)).filter(|m| !m.is_empty()).map(|m| format!(" ({m})")).unwrap_or_default();
        Line::from(vec![
            Span::styled(format!("{:<LABELS$}", state(slo)), style),
            Span::raw(esc(&clip(&slo.text, 120))),
            Span::styled(esc(&format!("{seen}{margin}")), style),
        ])
    };
    by_weight(&now.slos).into_iter().map(line).collect()
}

fn texts(frame: &mut Frame, area: Rect, numbers: Vec<Line<'static>>, slos: Vec<Line<'static>>) {
    let mut lines = numbers;
    if !slos.is_empty() {
        // Where not all fits, objectives go before the lower half of the numbers.
        let room = usize::from(area.height).saturating_sub(slos.len() + 1);
        lines.truncate(room.max(4));
        lines.push(Line::default());
        lines.extend(slos);
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// The last minutes, newest at the right: as many courses as fit with at least two rows each.
fn courses(frame: &mut Frame, area: Rect, past: &History) {
    let all = [
        ("correct requests per s", &past.rate, Color::Green),
        ("ttft p95, ms", &past.latency, Color::Yellow),
        ("open streams", &past.streams, Color::Cyan),
    ];
    let fits = usize::from(area.height / 3).min(all.len());
    if fits == 0 || area.width < 10 {
        return;
    }
    let rows = Layout::vertical(vec![Constraint::Fill(1); fits]).split(area);
    for ((title, values, color), row) in all.into_iter().zip(rows.iter()) {
        course(frame, *row, title, values, color);
    }
}

fn course(frame: &mut Frame, area: Rect, title: &str, values: &VecDeque<Option<u64>>, color: Color) {
    let shown = values.len().min(usize::from(area.width));
    let latest: Vec<Option<u64>> = values.iter().skip(values.len() - shown).copied().collect();
    let highest = latest.iter().flatten().max().copied().unwrap_or(0);
    let last = latest.last().copied().flatten().map_or("-".to_owned(), |v| v.to_string());
    let title = Line::from(vec![
        Span::styled(format!("{title} "), DIM),
        Span::raw(last),
        Span::styled(format!(", highest {highest} "), DIM),
    ]);
    let block = Block::new().borders(Borders::TOP).border_style(DIM).title(title);
    let course = Sparkline::default().block(block).data(latest).max(highest.max(1)).style(Style::new().fg(color));
    frame.render_widget(course, area);
}

#[cfg(test)]
mod tests {
    use super::super::live_data::tests::busy;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn screen(width: u16, height: u16, now: &LiveSnapshot, stopping: bool) -> String {
        let mut past = History::default();
        for second in 0..150 {
            past.push(&LiveSnapshot { elapsed_s: f64::from(second), req_per_s: f64::from(second % 50), ..now.clone() });
        }
        let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
        let drawn = terminal.draw(|frame| draw(frame, now, &past, stopping));
        assert!(drawn.is_ok());
        let text = terminal.backend().to_string();
        text.lines().map(|l| l.trim_matches('"').trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn no_size_is_too_small_or_too_large() {
        for (width, height) in
            [(1, 1), (5, 2), (43, 8), (44, 7), (44, 8), (60, 16), (80, 24), (99, 12), (100, 8), (300, 90)]
        {
            for now in [busy(151.0), LiveSnapshot::default()] {
                screen(width, height, &now, false);
                screen(width, height, &now, true);
            }
        }
    }

    #[test]
    fn a_usual_terminal_shows_numbers_objectives_and_courses() {
        let seen = screen(80, 24, &busy(151.0), false);
        for wanted in [
            "difyprobe load evening-peak  stage burst (3 of 4)",
            "2:31 of 4:00",
            "rate      52.4 req/s, 8001 of 8412 correct",
            "failed    211 (2.5 %)  http_429 199, timeout 12",
            "ttft      p50/p95 320/1440 ms, last 10 s",
            "e2e_sched p50/p95/p99 1350/2446/3318 ms",
            "open      212 streams, 230 requests under way",
            "load      60.0 /s asked for, 3210 scenarios begun, 12 dropped",
            "tokens    661789 of 1000000 (66 %)",
            "cost      2.00 USD of 5.00 USD (40 %)",
            "client    CPU 17 %, sends late by 3.12 ms (p99)",
            "rules     1 violation",
            "missed    ttft p(95) < 800ms  1440 ms (80 % beyond)",
            "met       icl p(99) < 500ms  212 ms (58 % inside)",
            "correct requests per s",
            "q or Ctrl-C stops and reports",
        ] {
            assert!(seen.contains(wanted), "{wanted:?} is missing in\n{seen}");
        }
    }

    #[test]
    fn a_wide_terminal_shows_all_courses_beside_the_numbers() {
        let seen = screen(140, 30, &busy(151.0), true);
        for wanted in ["ttft p95, ms 1440, highest 1440", "open streams 212", "again quits at once", "\u{2588}"] {
            assert!(seen.contains(wanted), "{wanted:?} is missing in\n{seen}");
        }
    }

    #[test]
    fn a_low_terminal_keeps_the_objectives() {
        let seen = screen(80, 11, &busy(151.0), false);
        assert!(seen.contains("missed    ttft") && seen.contains("rate      52.4"), "{seen}");
    }

    #[test]
    fn a_tiny_terminal_shows_the_plain_line() {
        let seen = screen(40, 6, &busy(151.0), false);
        assert!(seen.starts_with("2:31 of 4:00, burst"), "{seen}");
    }
}
