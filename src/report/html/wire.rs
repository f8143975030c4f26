//! The evidence of a finding: request, response, events on a time line, commands to copy.

use super::{esc, pair};
use crate::report::evidence::{FrameLine, frame_of};
use crate::report::run::Evidence;
use crate::report::units;
use std::fmt::Write as _;

/// Width of the time line in its own units; it is stretched to the page.
const LINE: f64 = 1000.0;

/// All of it.
pub fn show(out: &mut String, evidence: &Evidence) {
    out.push_str("<dl>\n");
    pair(out, "where", "", &evidence.place);
    out.push_str("</dl>\n");
    let request = evidence.wire.iter().take_while(|line| line.starts_with('>')).count();
    let (request, reply) = evidence.wire.split_at(request);
    block(out, "request", request);
    let frames: Vec<_> = reply.iter().filter_map(|line| frame_of(line)).collect();
    if frames.is_empty() {
        block(out, "response", reply);
    } else {
        let head = reply.iter().take_while(|line| line.starts_with('<')).count();
        let (head, rest) = reply.split_at(head);
        block(out, "response", head);
        time_line(out, evidence, &frames, rest.iter().any(|line| line.starts_with("! cut")));
        events(out, rest);
    }
    if !evidence.repeat.is_empty() {
        out.push_str(&copied("repeat", &evidence.repeat));
    }
    out.push_str(&copied("curl", &evidence.curl));
}

/// A text with a button that copies it; the script shows the button. The label is ours.
pub fn copied(label: &str, text: &str) -> String {
    format!(
        "<div class=\"copy\"><p class=\"label\">{label}<button type=\"button\" data-copy hidden>Copy</button></p>\
         <pre tabindex=\"0\" aria-label=\"{label}\">{}</pre></div>\n",
        esc(text)
    )
}

fn block(out: &mut String, label: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(out, "<p class=\"label\">{label}</p><pre tabindex=\"0\" aria-label=\"{label}\">");
    for line in lines {
        // The direction is told by the label.
        let text = line.strip_prefix("> ").or_else(|| line.strip_prefix("< ")).unwrap_or(line);
        let text = esc(text);
        match line.starts_with('!') {
            true => _ = writeln!(out, "<mark>{text}</mark>"),
            false => _ = writeln!(out, "{text}"),
        }
    }
    out.push_str("</pre>\n");
}

/// When the head, each shown event and the end came, from left to right.
fn time_line(out: &mut String, evidence: &Evidence, frames: &[FrameLine], cut: bool) {
    let last = frames.iter().map(|f| f.at_us).max().unwrap_or(0);
    let end = evidence.end_us.unwrap_or(last).max(last).max(evidence.head_us.unwrap_or(0));
    if end == 0 {
        return;
    }
    let x = |us: u64| LINE * us as f64 / end as f64;
    let mark = |class: &str, us: u64, title: &str| {
        format!("<path class=\"{class}\" d=\"M{:.1} 3V25\"><title>{}</title></path>", x(us), esc(title))
    };
    let _ = write!(
        out,
        "<figure class=\"times\"><svg viewBox=\"0 0 {LINE} 28\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"arrival times\"><path class=\"rail\" d=\"M0 14H{LINE}\"></path>"
    );
    if let Some(head) = evidence.head_us {
        out.push_str(&mark("head", head, &format!("response head after {}", units::duration(head))));
    }
    let those = |marked: bool| frames.iter().filter(move |f| f.marked == marked);
    for frame in those(false).chain(those(true)) {
        let class = if frame.marked { "tick told" } else { "tick" };
        out.push_str(&mark(
            class,
            frame.at_us,
            &format!("event {} after {}", frame.number, units::duration(frame.at_us)),
        ));
    }
    let (class, word) = if cut { ("end told", "cut") } else { ("end", "complete") };
    let after = units::duration(end);
    out.push_str(&mark(class, end, &format!("{word} after {after}")));
    let head = evidence.head_us.map(|head| format!("<span>head after {}</span>", units::duration(head)));
    let first = frames.first().map(|f| format!("<span>event {} after {}</span>", f.number, units::duration(f.at_us)));
    let _ = writeln!(
        out,
        "</svg><figcaption>{}{}<span>{word} after {after}</span></figcaption></figure>",
        head.unwrap_or_default(),
        first.unwrap_or_default(),
    );
}

/// A row per event with its arrival and what had passed since the one before; other lines between them.
fn events(out: &mut String, lines: &[String]) {
    out.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"events\"><table class=\"events\">\n<thead><tr>\
         <th scope=\"col\">event</th><th scope=\"col\">after ms</th><th scope=\"col\">gap</th><th scope=\"col\">data</th>\
         </tr></thead>\n<tbody>\n",
    );
    let mut before: Option<(usize, u64)> = None;
    for line in lines {
        let Some(frame) = frame_of(line) else {
            let class = if line.starts_with('!') { " class=\"told\"" } else { "" };
            let _ = writeln!(out, "<tr{class}><td colspan=\"3\"></td><td>{}</td></tr>", esc(line.trim()));
            continue;
        };
        let follows = before.filter(|(number, _)| number + 1 == frame.number);
        let gap = follows.map(|(_, us)| units::ms(frame.at_us.saturating_sub(us))).unwrap_or_default();
        before = Some((frame.number, frame.at_us));
        let class = if frame.marked { " class=\"told\"" } else { "" };
        let _ = writeln!(
            out,
            "<tr{class}><td>{}</td><td>{:.1}</td><td>{gap}</td><td>{}</td></tr>",
            frame.number,
            frame.at_us as f64 / 1000.0,
            esc(frame.text),
        );
    }
    out.push_str("</tbody></table></div>\n");
}
