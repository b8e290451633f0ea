//! A flame graph: an SVG that stands for itself, from folded stacks.
//!
//! The root is at the top, so that an opened page begins with the threads. A box is as wide as its share of the samples,
//! calls lie below their caller in the order of their names: what is side by side says nothing about time. A box that
//! would be thinner than [`LEAST_WIDTH`] is left out. The script that zooms is a part of the file, and nothing is loaded.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::folded::Folded;

const STYLE: &str = include_str!("flame.css");
const SCRIPT: &str = include_str!("flame.js");

/// Sizes in the drawing's own units; a browser fits 1200 of them to its window.
const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 10.0;
const ROW: f64 = 17.0;
const HEADER: f64 = 66.0;
/// Of a character of the boxes' font.
const CHAR: f64 = 6.65;
/// The thinnest box.
const LEAST_WIDTH: f64 = 0.4;

/// What the colours mean, with the class of each.
const KEY: &[(&str, &str)] = &[
    ("ours", "Glasswing"),
    ("lua", "Lua"),
    ("rust", "Rust's libraries"),
    ("system", "C libraries, system calls"),
];

/// A call, with all that was called from it.
#[derive(Default)]
struct Node<'a> {
    samples: u64,
    calls: BTreeMap<&'a str, Node<'a>>,
}

impl<'a> Node<'a> {
    fn of(folded: &'a Folded) -> Node<'a> {
        let mut root = Node::default();
        for (names, samples) in folded.stacks() {
            root.samples += samples;
            let mut node = &mut root;
            for name in names {
                node = node.calls.entry(name).or_default();
                node.samples += samples;
            }
        }
        root
    }

    /// Rows that it takes, its own included.
    fn depth(&self, unit: f64) -> usize {
        let below = self.calls.values().filter(|call| call.samples as f64 * unit >= LEAST_WIDTH);
        1 + below.map(|call| call.depth(unit)).max().unwrap_or(0)
    }
}

/// The graph of all stacks, with a line of words above it.
pub(super) fn svg(words: &str, folded: &Folded) -> String {
    let root = Node::of(folded);
    let inner = WIDTH - 2.0 * MARGIN;
    let unit = inner / root.samples.max(1) as f64;
    let height = HEADER + ROW * root.depth(unit) as f64 + MARGIN;
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"100%\" \
         preserveAspectRatio=\"xMinYMin\" data-sizes=\"{inner} {CHAR}\">\n\
         <title>Glasswing: where processor time goes</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"22\">Where processor time goes</text>\n\
         <text class=\"soft\" x=\"{MARGIN}\" y=\"40\">{}. A click zooms in, Escape shows all.</text>\n",
        escaped(words),
    );
    let mut x = MARGIN;
    for (class, meaning) in KEY {
        let _ = writeln!(
            out,
            "<g class=\"key {class}\"><rect x=\"{x}\" y=\"48\" width=\"10\" height=\"10\"/></g>\
             <text class=\"soft\" x=\"{}\" y=\"57\">{meaning}</text>",
            x + 14.0
        );
        x += 34.0 + 6.6 * meaning.len() as f64;
    }
    Drawing { out: &mut out, unit, all: root.samples }.draw("all", &root, MARGIN, 0);
    // No mark of XML is in the script that CDATA would not keep as it is.
    let _ = write!(out, "<script><![CDATA[\n{SCRIPT}]]></script>\n</svg>\n");
    out
}

struct Drawing<'a> {
    out: &'a mut String,
    /// The width of a sample.
    unit: f64,
    all: u64,
}

impl Drawing<'_> {
    fn draw(&mut self, name: &str, node: &Node<'_>, x: f64, depth: usize) {
        let width = node.samples as f64 * self.unit;
        if width < LEAST_WIDTH && depth > 0 {
            return;
        }
        let y = HEADER + ROW * depth as f64;
        let share = 100.0 * node.samples as f64 / self.all.max(1) as f64;
        let _ = writeln!(
            self.out,
            "<g class=\"f {}\"><title>{}\n{share:.1} %, {} samples</title>\
             <rect x=\"{x:.3}\" y=\"{y}\" width=\"{width:.3}\" height=\"{ROW}\" rx=\"1.5\"/>\
             <text x=\"{:.3}\" y=\"{}\">{}</text></g>",
            class(name, depth),
            escaped(name),
            node.samples,
            x + 3.0,
            y + 12.5,
            escaped(&label(name, width)),
        );
        let mut at = x;
        for (name, call) in &node.calls {
            self.draw(name, call, at, depth + 1);
            at += call.samples as f64 * self.unit;
        }
    }
}

/// Whose code it is, by its name.
fn class(name: &str, depth: usize) -> &'static str {
    let path = name.trim_start_matches(['<', '&']);
    match depth {
        0 => "all",
        1 => "thread",
        _ if path.starts_with("glasswing::") => "ours",
        _ if path.starts_with("lua") || path.starts_with("mlua::") => "lua",
        _ if path.contains("::") || path.starts_with("__rust") => "rust",
        _ => "system",
    }
}

/// As much of a name as fits into a box, its end first: that is what tells a function from its neighbours.
fn label(name: &str, width: f64) -> String {
    let room = ((width - 6.0) / CHAR).floor();
    if room < 3.0 {
        return String::new();
    }
    let (room, chars) = (room as usize, name.chars().count());
    match chars <= room {
        true => name.to_owned(),
        false => format!("…{}", name.chars().skip(chars - room + 1).collect::<String>()),
    }
}

/// Text as XML takes it; what XML cannot have at all becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(stacks: &[(&[&str], u64)]) -> Folded {
        let mut folded = Folded::default();
        for (names, samples) in stacks {
            folded.add(names.iter().copied(), *samples);
        }
        folded
    }

    /// The boxes of a graph: name, share in words, x, width.
    fn boxes(svg: &str) -> Vec<(String, String, f64, f64)> {
        let between = |text: &str, before: &str, after: &str| -> String {
            let rest = text.split_once(before).expect(before).1;
            rest.split_once(after).expect(after).0.to_owned()
        };
        let groups = svg.lines().collect::<Vec<_>>().join("\u{1}");
        groups
            .split("<g class=\"f ")
            .skip(1)
            .map(|group| {
                let title = between(group, "<title>", "</title>");
                let (name, share) = title.split_once('\u{1}').expect("two lines");
                let number = |name: &str| between(group, name, "\"").parse().expect("a number");
                (name.to_owned(), share.to_owned(), number("<rect x=\""), number("width=\""))
            })
            .collect()
    }

    #[test]
    fn a_box_is_as_wide_as_its_share_and_lies_below_its_caller() {
        let drawn = svg(
            "4 samples",
            &folded(&[
                (&["worker-0", "glasswing::run", "get"], 1),
                (&["worker-0", "glasswing::run", "set"], 2),
                (&["worker-1"], 1),
            ]),
        );
        let found = boxes(&drawn);
        let seen: Vec<_> = found.iter().map(|(name, share, ..)| (name.as_str(), share.as_str())).collect();
        assert_eq!(
            seen,
            [
                ("all", "100.0 %, 4 samples"),
                ("worker-0", "75.0 %, 3 samples"),
                ("glasswing::run", "75.0 %, 3 samples"),
                ("get", "25.0 %, 1 samples"),
                ("set", "50.0 %, 2 samples"),
                ("worker-1", "25.0 %, 1 samples"),
            ]
        );
        let places: Vec<_> = found.iter().map(|(.., x, width)| (*x, *width)).collect();
        assert_eq!(places[..3], [(10.0, 1180.0), (10.0, 885.0), (10.0, 885.0)]);
        assert_eq!(places[3..], [(10.0, 295.0), (305.0, 590.0), (895.0, 295.0)]);
        assert!(drawn.contains("viewBox=\"0 0 1200 144\""), "{drawn}");
    }

    #[test]
    fn a_name_becomes_no_markup() {
        let name = "<a as B<&'static str>>::c\"]]></title><script>";
        let drawn = svg("<words> & more", &folded(&[(&["t", name], 1)]));
        let escaped = "&lt;a as B&lt;&amp;&#39;static str&gt;&gt;::c&quot;]]&gt;&lt;/title&gt;&lt;script&gt;";
        assert_eq!(boxes(&drawn)[2].0, escaped);
        assert!(drawn.contains("&lt;words&gt; &amp; more."));
        assert_eq!(drawn.matches("<script>").count(), 1);
        assert_eq!(super::escaped("a\u{0}b\u{ffff}"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn what_is_too_thin_to_see_is_left_out_with_its_row() {
        let drawn = svg("", &folded(&[(&["t", "wide"], 10_000), (&["t", "thin", "thinner"], 1)]));
        let names: Vec<_> = boxes(&drawn).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["all", "t", "wide"]);
        assert!(drawn.contains("viewBox=\"0 0 1200 127\""), "{drawn}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(boxes(&svg("0 samples", &Folded::default()))[0].1, "0.0 %, 0 samples");
    }

    #[test]
    fn a_label_keeps_the_end_of_a_name() {
        assert_eq!(label("glasswing::engine::run", 200.0), "glasswing::engine::run");
        assert_eq!(label("glasswing::engine::run", 6.0 + 10.0 * CHAR + 1.0), "…gine::run");
        assert_eq!(label("run", 20.0), "");
    }

    #[test]
    fn whose_code_it_is() {
        for (name, expected) in [
            ("glasswing::net::worker::run", "ours"),
            ("<glasswing::data::Set as core::fmt::Debug>::fmt", "ours"),
            ("luaV_execute", "lua"),
            ("mlua::state::Lua::load", "lua"),
            ("tokio::runtime::park::park", "rust"),
            ("<&T as core::fmt::Debug>::fmt", "rust"),
            ("epoll_wait", "system"),
            ("[libc.so.6]", "system"),
        ] {
            assert_eq!(class(name, 4), expected, "{name}");
        }
        assert_eq!((class("glasswing::x", 0), class("glasswing::x", 1)), ("all", "thread"));
    }
}
