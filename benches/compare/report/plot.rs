//! Plots as inline SVG. Colours are classes: the page's style gives them, for light and dark.

use std::fmt::Write;

use super::html::escape;
use super::{Axis, Bar, Plot, Series};

/// Width of every picture in its own units; the page scales it.
const WIDTH: f64 = 760.0;

/// One plot as an SVG element.
pub fn render(plot: &Plot) -> String {
    match plot {
        Plot::Bars { title, unit, bars, even, noise } => render_bars(title, unit, bars, *even, *noise),
        Plot::Lines { title, x, y, series, moments } => render_lines(title, x, y, series, moments),
    }
}

/// A range of values laid onto a range of the picture.
struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    log: bool,
}

impl Scale {
    fn place(&self, value: f64) -> f64 {
        let along = |value: f64| if self.log { value.max(1e-12).log10() } else { value };
        let whole = along(self.to) - along(self.from);
        let part = along(value) - along(self.from);
        let share = if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { 0.0 };
        self.start + share * (self.end - self.start)
    }

    /// Where the axis is marked: powers of ten, or steps of 1, 2 or 5 of them.
    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let (low, high) = (self.from.log10().floor() as i32, self.to.log10().ceil() as i32);
            let powers = (low..=high).map(|power| 10f64.powi(power));
            return powers.filter(|tick| *tick >= self.from * 0.999 && *tick <= self.to * 1.001).collect();
        }
        let rough = (self.to - self.from) / 5.0;
        if !rough.is_finite() || rough <= 0.0 {
            return vec![self.from];
        }
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(10.0 * power);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last).map(|multiple| multiple as f64 * step).collect()
    }
}

/// A figure without more digits than it needs.
fn short(value: f64) -> String {
    let size = value.abs();
    let scaled = |value: f64, unit: &str| format!("{}{unit}", trimmed(value, 1));
    if size >= 1e6 {
        scaled(value / 1e6, "M")
    } else if size >= 1e4 {
        scaled(value / 1e3, "k")
    } else if size >= 100.0 {
        trimmed(value, 0)
    } else {
        trimmed(value, 2)
    }
}

/// A measured figure: small ones always with two decimals, so that they align.
fn figure(value: f64) -> String {
    if value.abs() < 100.0 { format!("{value:.2}") } else { short(value) }
}

fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn open(out: &mut String, title: &str, height: f64) {
    let title = escape(title);
    let _ = write!(
        out,
        "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">"
    );
}

fn text(out: &mut String, class: &str, anchor: &str, x: f64, y: f64, words: &str) {
    let words = escape(words);
    let _ = write!(
        out,
        "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>"
    );
}

fn line(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ =
        write!(out, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
}

const ROW: f64 = 26.0;
const FIGURES: f64 = 70.0;
const BARS_TOP: f64 = 30.0;

/// Room for the longest name, within reason.
fn name_width(bars: &[Bar]) -> f64 {
    let longest = bars.iter().map(|bar| bar.label.chars().count()).max().unwrap_or(0);
    (6.8 * longest as f64 + 16.0).clamp(80.0, 380.0)
}

fn render_bars(
    title: &str,
    unit: &str,
    bars: &[Bar],
    even: Option<f64>,
    noise: Option<(f64, f64)>,
) -> String {
    let bottom = BARS_TOP + ROW * bars.len() as f64;
    let names = name_width(bars);
    let most = bars
        .iter()
        .flat_map(|bar| {
            [Some(bar.value), bar.spread.map(|(_, high)| high), bar.target.map(|target| target.accepted)]
        })
        .chain([even, noise.map(|(_, high)| high)])
        .flatten()
        .filter(|value| value.is_finite())
        .fold(0.0, f64::max);
    let scale = Scale { from: 0.0, to: most * 1.04, start: names, end: WIDTH - FIGURES, log: false };
    let mut out = String::new();
    open(&mut out, title, bottom + 44.0);
    bars_legend(&mut out, names, bars, noise);
    if let Some((low, high)) = noise {
        let (x, width) = (scale.place(low), scale.place(high) - scale.place(low));
        let height = bottom - BARS_TOP;
        let _ = write!(
            out,
            "<rect class=\"noise\" x=\"{x:.1}\" y=\"{BARS_TOP}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
    }
    for tick in scale.ticks() {
        let x = scale.place(tick);
        line(&mut out, "grid", (x, BARS_TOP), (x, bottom));
        text(&mut out, "tick", "middle", x, bottom + 15.0, &short(tick));
    }
    text(&mut out, "tick", "middle", (names + WIDTH - FIGURES) / 2.0, bottom + 34.0, unit);
    if let Some(even) = even {
        line(&mut out, "even", (scale.place(even), BARS_TOP), (scale.place(even), bottom));
    }
    for (place, bar) in bars.iter().enumerate() {
        render_bar(&mut out, bar, &scale, BARS_TOP + ROW * place as f64);
    }
    out.push_str("</svg></figure>");
    out
}

fn render_bar(out: &mut String, bar: &Bar, scale: &Scale, top: f64) {
    let middle = top + ROW / 2.0;
    let names = scale.start;
    let width = scale.place(bar.value) - names;
    text(out, "name", "end", names - 8.0, middle + 4.0, &bar.label);
    let y = top + 6.0;
    let height = ROW - 12.0;
    let series = bar.series % 4;
    let _ = write!(
        out,
        "<rect class=\"fill{series}\" x=\"{names}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" rx=\"2\"/>"
    );
    if let Some((low, high)) = bar.spread {
        let (low, high) = (scale.place(low), scale.place(high));
        line(out, "spread", (low, middle), (high, middle));
        for end in [low, high] {
            line(out, "spread", (end, middle - 4.0), (end, middle + 4.0));
        }
    }
    if let Some(target) = bar.target {
        for (class, limit) in [("chased", target.chased), ("accepted", target.accepted)] {
            let x = scale.place(limit);
            line(out, class, (x, top + 2.0), (x, top + ROW - 2.0));
        }
        let standing = target.standing(bar.value).word();
        text(out, &format!("figure {standing}-text"), "end", WIDTH - 8.0, middle + 4.0, &figure(bar.value));
    } else {
        text(out, "figure", "end", WIDTH - 8.0, middle + 4.0, &figure(bar.value));
    }
}

/// What the marks mean; only those that are there.
fn bars_legend(out: &mut String, names: f64, bars: &[Bar], noise: Option<(f64, f64)>) {
    let mut x = names + 2.0;
    let mut mark = |out: &mut String, class: &str, words: &str| {
        line(out, class, (x, 6.0), (x, 20.0));
        text(out, "tick", "start", x + 6.0, 17.0, words);
        x += 24.0 + 6.4 * words.len() as f64;
    };
    if bars.iter().any(|bar| bar.target.is_some()) {
        mark(out, "accepted", "accepted");
        mark(out, "chased", "chased");
    }
    if bars.iter().any(|bar| bar.spread.is_some()) {
        mark(out, "spread", "lowest to highest round");
    }
    if noise.is_some() {
        mark(out, "noise-mark", "the control's spread (noise)");
    }
}

const LEFT: f64 = 64.0;
const TOP: f64 = 34.0;
const HEIGHT: f64 = 330.0;
const BASE: f64 = HEIGHT - 46.0;

fn render_lines(title: &str, x: &Axis, y: &Axis, series: &[Series], moments: &[(f64, String)]) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let bounds = |pick: fn(&(f64, f64)) -> f64| {
        let values = points().map(pick).filter(|value| value.is_finite());
        values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    let ((left, right), (low, high)) = (bounds(|point| point.0), bounds(|point| point.1));
    let across = Scale { from: left, to: right, start: LEFT, end: WIDTH - 20.0, log: x.log };
    let up = Scale {
        from: if y.log { 10f64.powf(low.max(1e-9).log10().floor()) } else { 0.0 },
        to: if y.log { 10f64.powf(high.max(1e-9).log10().ceil()) } else { high * 1.08 },
        start: BASE,
        end: TOP,
        log: y.log,
    };
    let mut out = String::new();
    open(&mut out, title, HEIGHT);
    if points().next().is_some() {
        render_axes(&mut out, x, y, &across, &up);
        for (at, name) in moments {
            let at = across.place(*at);
            line(&mut out, "even", (at, TOP), (at, BASE));
            text(&mut out, "tick", "start", at + 4.0, TOP + 12.0, name);
        }
        for (index, series) in series.iter().enumerate() {
            render_series(&mut out, index % 4, series, &across, &up);
        }
        lines_legend(&mut out, series);
    }
    out.push_str("</svg></figure>");
    out
}

fn render_axes(out: &mut String, x: &Axis, y: &Axis, across: &Scale, up: &Scale) {
    for tick in up.ticks() {
        let at = up.place(tick);
        line(out, "grid", (LEFT, at), (WIDTH - 20.0, at));
        text(out, "tick", "end", LEFT - 8.0, at + 4.0, &short(tick));
    }
    for tick in across.ticks() {
        let at = across.place(tick);
        line(out, "grid", (at, BASE), (at, BASE + 4.0));
        text(out, "tick", "middle", at, BASE + 18.0, &short(tick));
    }
    text(out, "tick", "middle", (LEFT + WIDTH) / 2.0, HEIGHT - 8.0, &x.label);
    text(out, "tick", "start", 4.0, TOP - 8.0, &y.label);
}

fn render_series(out: &mut String, colour: usize, series: &Series, across: &Scale, up: &Scale) {
    let places: Vec<(f64, f64)> =
        series.points.iter().map(|(x, y)| (across.place(*x), up.place(*y))).collect();
    let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = write!(out, "<polyline class=\"line{colour}\" points=\"{}\"/>", path.join(" "));
    // Dots where there are few enough to be told apart.
    if places.len() <= 20 {
        for ((x, y), (_, value)) in places.iter().zip(&series.points) {
            let label = escape(&format!("{}: {}", series.label, short(*value)));
            let _ = write!(
                out,
                "<circle class=\"fill{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"><title>{label}</title></circle>"
            );
        }
    }
}

fn lines_legend(out: &mut String, series: &[Series]) {
    let mut x = WIDTH - 20.0;
    for (index, series) in series.iter().enumerate().rev() {
        text(out, "name", "end", x, 17.0, &series.label);
        x -= 7.0 * series.label.chars().count() as f64 + 8.0;
        line(out, &format!("line{}", index % 4), (x - 16.0, 13.0), (x, 13.0));
        x -= 34.0;
    }
}
