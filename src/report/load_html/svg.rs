//! A figure: frame, axes, lines, bars, and what goes with them for readers who do not see them.

use super::scale::{Scale, Tick};
use crate::report::escape::html as esc;
use std::fmt::Write as _;

/// Size of a drawing, in units that are pixels on a usual screen.
#[derive(Clone, Copy)]
pub struct Size {
    /// Which screens show it: `wide`, `narrow` or `any`.
    pub class: &'static str,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
    /// Most points of a line.
    pub points: usize,
    /// Marks of the x axis.
    pub marks: usize,
}

/// For screens.
pub const WIDE: Size = Size { class: "wide", width: 1040.0, height: 260.0, points: 480, marks: 12 };
/// For telephones.
pub const NARROW: Size = Size { class: "narrow", width: 400.0, height: 250.0, points: 160, marks: 5 };
/// Two beside each other on screens, one below the other on telephones.
pub const HALF: Size = Size { class: "any", width: 500.0, height: 230.0, points: 240, marks: 6 };

/// Space around the plot for labels.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 40.0;

/// Colour and dashes of a series: `0` to `7`, both by number.
pub type Tone = usize;

/// An entry of a legend.
pub struct Key {
    /// Its colour.
    pub tone: Tone,
    /// Line, or filled area.
    pub filled: bool,
    /// What it stands for; raw.
    pub name: String,
}

impl Key {
    /// A line.
    pub fn line(tone: Tone, name: impl Into<String>) -> Key {
        Key { tone, filled: false, name: name.into() }
    }

    /// An area.
    pub fn area(tone: Tone, name: impl Into<String>) -> Key {
        Key { tone, filled: true, name: name.into() }
    }
}

/// What stands around a drawing. Texts are raw.
pub struct Figure<'f> {
    /// Unique in the page.
    pub id: &'f str,
    /// Title.
    pub title: &'f str,
    /// One or two sentences with the numbers that matter.
    pub desc: String,
    /// Legend.
    pub legend: Vec<Key>,
    /// Columns of the table of seconds that the readout shows; empty where there is none.
    pub columns: &'f [usize],
    /// Drawn once per size.
    pub sizes: &'f [Size],
}

/// Writes a figure; `draw` writes the inside of each drawing.
pub fn figure(out: &mut String, figure: &Figure, draw: impl Fn(&mut String, Size)) {
    let id = figure.id;
    let columns: Vec<_> = figure.columns.iter().map(ToString::to_string).collect();
    let timed = match columns.is_empty() {
        true => String::new(),
        false => format!(" data-columns=\"{}\"", columns.join(" ")),
    };
    let _ = write!(out, "<figure id=\"{id}\"{timed}>\n<figcaption><h3 id=\"{id}-title\">{}</h3>\n", esc(figure.title));
    legend(out, &figure.legend);
    let _ = writeln!(out, "<p class=\"desc\" id=\"{id}-desc\">{}</p>\n</figcaption>", esc(&figure.desc));
    for size in figure.sizes {
        let _ = writeln!(
            out,
            "<svg class=\"chart {}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-title\" \
             aria-describedby=\"{id}-desc\">",
            size.class, size.width, size.height
        );
        draw(out, *size);
        out.push_str("</svg>\n");
    }
    if !timed.is_empty() {
        out.push_str("<output class=\"readout\"></output>\n");
    }
    out.push_str("</figure>\n");
}

fn legend(out: &mut String, keys: &[Key]) {
    if keys.is_empty() {
        return;
    }
    out.push_str("<ul class=\"legend\">");
    for key in keys {
        let (tone, name) = (key.tone % 8, esc(&key.name));
        let mark = match key.filled {
            true => format!("<rect class=\"f{tone}\" x=\"5\" y=\"1\" width=\"14\" height=\"10\"/>"),
            false => format!("<path class=\"l s{tone}\" d=\"M1 6H25\"/>"),
        };
        let _ =
            write!(out, "<li><svg class=\"key\" viewBox=\"0 0 26 12\" aria-hidden=\"true\">{mark}</svg>{name}</li>");
    }
    out.push_str("</ul>\n");
}

/// Axes over the inside of a drawing.
pub struct Plot {
    size: Size,
    x: Scale,
    y: Scale,
}

impl Plot {
    /// A plot with these axes.
    pub fn new(size: Size, x: Scale, y: Scale) -> Plot {
        Plot { size, x, y }
    }

    /// Left end of the plot.
    pub fn left(&self) -> f64 {
        LEFT
    }

    /// Right end of the plot.
    pub fn right(&self) -> f64 {
        self.size.width - RIGHT
    }

    /// Upper end of the plot.
    pub fn top(&self) -> f64 {
        TOP
    }

    /// The ground line.
    pub fn bottom(&self) -> f64 {
        self.size.height - BOTTOM
    }

    /// Where a value of the x axis lies.
    pub fn px(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (self.right() - LEFT)
    }

    /// Where a value of the y axis lies.
    pub fn py(&self, value: f64) -> f64 {
        self.bottom() - self.y.place(value) * (self.bottom() - TOP)
    }

    /// Grid, marks and titles of both axes.
    pub fn axes(&self, out: &mut String, x: (&[Tick], &str), y: (&[Tick], &str)) {
        let (left, right, bottom) = (LEFT, self.right(), self.bottom());
        for (value, label) in y.0 {
            let at = self.py(*value);
            let _ = writeln!(
                out,
                "<path class=\"grid\" d=\"M{left} {0}H{right}\"/><text class=\"y\" x=\"{1}\" y=\"{2}\">{3}</text>",
                n(at),
                left - 7.0,
                n(at + 4.0),
                esc(label)
            );
        }
        for (value, label) in x.0 {
            let at = self.px(*value);
            let _ = writeln!(
                out,
                "<path class=\"tick\" d=\"M{0} {bottom}v5\"/><text class=\"x\" x=\"{0}\" y=\"{1}\">{2}</text>",
                n(at),
                bottom + 18.0,
                esc(label)
            );
        }
        let _ = writeln!(
            out,
            "<path class=\"axis\" d=\"M{left} {bottom}H{right}\"/>\
             <text class=\"title\" x=\"2\" y=\"12\">{}</text><text class=\"title end\" x=\"{right}\" y=\"{}\">{}</text>",
            esc(y.1),
            self.size.height - 5.0,
            esc(x.1)
        );
    }

    /// A line through points in units of the axes; `None` interrupts it.
    pub fn line(&self, out: &mut String, tone: Tone, points: &[Option<(f64, f64)>]) {
        let mut path = String::new();
        let mut down = false;
        for point in points {
            let Some((x, y)) = point else {
                down = false;
                continue;
            };
            let (x, y) = (n(self.px(*x)), n(self.py(*y)));
            // The stroke of no length makes a point of its own visible, by its round ends.
            let _ = if down { write!(path, "L{x} {y}") } else { write!(path, "M{x} {y}h0") };
            down = true;
        }
        if !path.is_empty() {
            let _ = writeln!(out, "<path class=\"l s{}\" d=\"{path}\"/>", tone % 8);
        }
    }

    /// Filled boxes from `(from, to, low, high)` in units of the axes, as one shape.
    pub fn boxes(&self, out: &mut String, tone: Tone, boxes: &[(f64, f64, f64, f64)]) {
        let mut path = String::new();
        for (from, to, low, high) in boxes.iter().filter(|b| b.3 > b.2) {
            let (left, right) = (self.px(*from), self.px(*to));
            let (top, ground) = (self.py(*high), self.py(*low));
            // A hair of ground between neighbours, where there is room for it.
            let right = if right - left > 3.0 { right - 0.6 } else { right };
            let top = top.min(ground - 0.8);
            let _ = write!(path, "M{} {}H{}V{}H{}Z", n(left), n(ground), n(right), n(top), n(left));
        }
        if !path.is_empty() {
            let _ = writeln!(out, "<path class=\"f{}\" d=\"{path}\"/>", tone % 8);
        }
    }

    /// A limit that must hold: a line with its name; nothing where it lies off the axis.
    pub fn limit(&self, out: &mut String, value: f64, name: &str) {
        let (Scale::Linear(low, high) | Scale::Log(low, high)) = self.y;
        if !(low..=high).contains(&value) {
            return;
        }
        let at = self.py(value);
        let _ = writeln!(
            out,
            "<path class=\"limit\" d=\"M{} {}H{}\"/><text class=\"limit end\" x=\"{}\" y=\"{}\">{}</text>",
            LEFT,
            n(at),
            self.right(),
            self.right() - 3.0,
            n(at - 4.0),
            esc(name)
        );
    }

    /// A thin upright line with its name at the upper end.
    pub fn upright(&self, out: &mut String, value: f64, name: &str) {
        let at = n(self.px(value));
        let _ = writeln!(
            out,
            "<path class=\"upright\" d=\"M{at} {}V{}\"/><text class=\"x\" x=\"{at}\" y=\"{}\">{}</text>",
            self.bottom(),
            TOP - 2.0,
            TOP - 5.0,
            esc(name)
        );
    }
}

/// A coordinate with one decimal.
pub fn n(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
