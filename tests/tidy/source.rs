//! Reads Rust sources as words: enough to know what a file names and which of it is test code.
//!
//! Comments, strings and characters are taken out first, so that a rule never trips over prose. What is left
//! is cut into words, and `use` trees and inline paths are resolved to whole paths (`crate::net::worker`).

use std::collections::BTreeSet;
use std::path::Path;

/// One word of code.
#[derive(Debug, Clone)]
pub struct Word {
    /// An identifier, a number, `::`, `==`, `!=`, a single sign, or `""` for a literal.
    pub text: String,
    /// The line it stands on, from 1.
    pub line: usize,
    /// Whether it belongs to test code.
    pub test: bool,
    /// Whether it belongs to a `use` line.
    pub import: bool,
}

/// A path that a file names, resolved to its root: `crate` or the name of a package.
#[derive(Debug, Clone)]
pub struct Named {
    pub segments: Vec<String>,
    /// The name it has in this file where a `use` line brings it in.
    pub local: Option<String>,
    pub line: usize,
    pub test: bool,
}

/// One file of `src/`.
#[derive(Debug)]
pub struct Source {
    /// Relative to `src/`, with `/` between the parts.
    pub path: String,
    pub text: String,
    pub words: Vec<Word>,
    pub named: Vec<Named>,
}

impl Source {
    /// The first part of the path, without `.rs`: the room.
    pub fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or("").trim_end_matches(".rs")
    }

    /// Words that are not test code.
    pub fn own_words(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(|word| !word.test)
    }

    /// `path:line`, as compilers write it.
    pub fn at(&self, line: usize) -> String {
        format!("src/{}:{line}", self.path)
    }
}

/// All of `src/`.
#[derive(Debug)]
pub struct Tree(pub Vec<Source>);

impl Tree {
    /// Reads a folder of sources.
    pub fn read(folder: &Path) -> Tree {
        let mut files = Vec::new();
        collect(folder, folder, &mut files);
        files.sort();
        Tree::of(files)
    }

    /// Sources given as text.
    pub fn of(files: Vec<(String, String)>) -> Tree {
        let mut tests = BTreeSet::new();
        let mut sources = Vec::new();
        for (path, text) in files {
            let mut words = cut(&text);
            mark_tests(&mut words, &module_of(&path), &mut tests);
            sources.push(Source { path, text, words, named: Vec::new() });
        }
        for source in &mut sources {
            let module = module_of(&source.path);
            if (1..=module.len()).any(|len| tests.contains(&module[..len])) {
                source.words.iter_mut().for_each(|word| word.test = true);
            }
            source.named = paths(&mut source.words, &module);
        }
        Tree(sources)
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let name = path.strip_prefix(root).expect("inside the root").to_string_lossy().replace('\\', "/");
            files.push((name, std::fs::read_to_string(&path).expect("a readable source")));
        }
    }
}

/// The module that a file is: `a/b.rs` and `a/b/mod.rs` are both `a::b`.
fn module_of(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// Cuts code into words, without comments and with literals as `""`.
fn cut(text: &str) -> Vec<Word> {
    let chars: Vec<char> = text.chars().collect();
    let (mut words, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let from = at;
        let word = match chars[at] {
            sign if sign.is_whitespace() => {
                at += 1;
                None
            }
            '/' if chars.get(at + 1) == Some(&'/') => {
                at = find(&chars, at, |c| c == '\n');
                None
            }
            '/' if chars.get(at + 1) == Some(&'*') => {
                at = after_block_comment(&chars, at);
                None
            }
            '"' => {
                at = after_string(&chars, at + 1);
                Some("\"\"".to_owned())
            }
            '\'' => {
                at = after_quote(&chars, at);
                Some("\"\"".to_owned())
            }
            sign if sign.is_alphanumeric() || sign == '_' => match raw_string(&chars, at) {
                Some(end) => {
                    at = end;
                    Some("\"\"".to_owned())
                }
                None => {
                    at = find(&chars, at, |c| !c.is_alphanumeric() && c != '_');
                    Some(chars[from..at].iter().collect())
                }
            },
            sign => {
                let two: String = chars[at..(at + 2).min(chars.len())].iter().collect();
                let known = matches!(two.as_str(), "::" | "==" | "!=" | "=>" | "->" | "..");
                at += if known { 2 } else { 1 };
                Some(if known { two } else { sign.to_string() })
            }
        };
        words.extend(word.map(|text| Word { text, line, test: false, import: false }));
        line += chars[from..at].iter().filter(|&&c| c == '\n').count();
    }
    words
}

fn find(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    chars[from..].iter().position(|&c| stop(c)).map_or(chars.len(), |found| from + found)
}

fn after_block_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(chars.len())
}

fn after_string(chars: &[char], from: usize) -> usize {
    let mut at = from;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// After a character literal, or after the quote of a lifetime (whose name then is a word of its own).
fn after_quote(chars: &[char], at: usize) -> usize {
    match chars.get(at + 1) {
        Some('\\') => find(chars, at + 3, |c| c == '\'') + 1,
        Some(_) if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at + 1,
    }
    .min(chars.len())
}

/// Where a string with a prefix ends: `r"..."`, `r#"..."#`, `b"..."`, `br#"..."#`, `c"..."`, `b'x'`.
fn raw_string(chars: &[char], from: usize) -> Option<usize> {
    let mut at = find(chars, from, |c| !matches!(c, 'r' | 'b' | 'c'));
    let prefix: String = chars[from..at].iter().collect();
    if prefix == "b" && chars.get(at) == Some(&'\'') {
        return Some(after_quote(chars, at));
    }
    if !matches!(prefix.as_str(), "r" | "b" | "br" | "c" | "cr") {
        return None;
    }
    let hashes = find(chars, at, |c| c != '#') - at;
    at += hashes;
    if chars.get(at) != Some(&'"') || (hashes > 0 && !prefix.contains('r')) {
        return None;
    }
    if !prefix.contains('r') {
        return Some(after_string(chars, at + 1));
    }
    let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let end = chars[at + 1..].windows(closing.len()).position(|part| part == closing);
    Some(end.map_or(chars.len(), |end| at + 1 + end + closing.len()))
}

fn texts(words: &[Word], from: usize, count: usize) -> Vec<&str> {
    words[from.min(words.len())..(from + count).min(words.len())]
        .iter()
        .map(|word| word.text.as_str())
        .collect()
}

/// Marks what `#[cfg(test)]` guards, and notes the modules in files of their own that it guards.
fn mark_tests(words: &mut [Word], module: &[String], tests: &mut BTreeSet<Vec<String>>) {
    let mut at = 0;
    while at < words.len() {
        if texts(words, at, 7) == ["#", "!", "[", "cfg", "(", "test", ")"] {
            tests.insert(module.to_vec());
        }
        let guard = texts(words, at, 6);
        let alone = guard == ["#", "[", "cfg", "(", "test", ")"];
        let among = texts(words, at, 8) == ["#", "[", "cfg", "(", "all", "(", "test", ","];
        if !alone && !among {
            at += 1;
            continue;
        }
        let start = after_attributes(words, at);
        let end = end_of_item(words, start);
        let item = texts(words, start, end - start);
        let named = item.iter().position(|&word| word == "mod").filter(|_| item.last() == Some(&";"));
        if let Some(name) = named.and_then(|found| item.get(found + 1)) {
            tests.insert(module.iter().cloned().chain([(*name).to_owned()]).collect());
        }
        words[at..end].iter_mut().for_each(|word| word.test = true);
        at = end;
    }
}

fn after_attributes(words: &[Word], mut at: usize) -> usize {
    while texts(words, at, 2) == ["#", "["] {
        let mut depth = 0;
        loop {
            match words.get(at).map(|word| word.text.as_str()) {
                Some("[") => depth += 1,
                Some("]") => depth -= 1,
                None => return words.len(),
                _ => {}
            }
            at += 1;
            if depth == 0 && words[at - 1].text == "]" {
                break;
            }
        }
    }
    at
}

/// One past the last word of the item, statement or field that begins at `start`.
fn end_of_item(words: &[Word], start: usize) -> usize {
    const ITEMS: [&str; 14] = [
        "pub",
        "fn",
        "mod",
        "use",
        "impl",
        "struct",
        "enum",
        "trait",
        "const",
        "static",
        "type",
        "unsafe",
        "async",
        "macro_rules",
    ];
    let first = words.get(start).map_or("", |word| word.text.as_str());
    let import = words[start..].iter().take(5).any(|word| word.text == "use");
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate().skip(start) {
        match word.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" if depth == 0 => return at,
            "}" if depth == 1 && !import => return at + 1,
            "}" | ")" | "]" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            "," if depth == 0 && !ITEMS.contains(&first) => return at + 1,
            _ => {}
        }
    }
    words.len()
}

/// All paths that the words name. Marks the words of `use` lines.
fn paths(words: &mut [Word], file: &[String]) -> Vec<Named> {
    let mut named = Vec::new();
    // Inline modules: their name and the depth of braces around them.
    let mut inner: Vec<(String, usize)> = Vec::new();
    let (mut depth, mut at) = (0, 0);
    while at < words.len() {
        let module: Vec<String> =
            file.iter().cloned().chain(inner.iter().map(|(name, _)| name.clone())).collect();
        let (line, test) = (words[at].line, words[at].test);
        match words[at].text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inner.last().is_some_and(|(_, around)| *around == depth) {
                    inner.pop();
                }
            }
            "mod" if texts(words, at + 2, 1) == ["{"] => inner.push((words[at + 1].text.clone(), depth)),
            "use" if !texts(words, at + 1, 1).contains(&"<") => {
                let end =
                    at + words[at..].iter().position(|word| word.text == ";").unwrap_or(words.len() - at);
                let mut tree = Vec::new();
                use_tree(words, at + 1, &[], &mut tree);
                named.extend(tree.into_iter().filter_map(|(segments, local)| {
                    Some(Named { segments: resolve(segments, &module)?, local: Some(local), line, test })
                }));
                words[at..end].iter_mut().for_each(|word| word.import = true);
                at = end;
            }
            text if is_name(text) && texts(words, at + 1, 1) == ["::"] => {
                let mut segments = vec![text.to_owned()];
                while texts(words, at + 1, 1) == ["::"]
                    && words.get(at + 2).is_some_and(|word| is_name(&word.text))
                {
                    segments.push(words[at + 2].text.clone());
                    at += 2;
                }
                if let Some(segments) = resolve(segments, &module) {
                    named.push(Named { segments, local: None, line, test });
                }
            }
            _ => {}
        }
        at += 1;
    }
    named
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Reads one tree of a `use` line from `at`; gives whole paths with their local names, and where it ended.
fn use_tree(
    words: &[Word],
    mut at: usize,
    before: &[String],
    found: &mut Vec<(Vec<String>, String)>,
) -> usize {
    let mut path = before.to_vec();
    while let Some(word) = words.get(at) {
        match word.text.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while !matches!(texts(words, at, 1)[..], ["}"] | []) {
                    at = use_tree(words, at, &path, found);
                    if texts(words, at, 1) == [","] {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => {
                let local = words[at + 1].text.clone();
                found.push((path, local));
                return at + 2;
            }
            "," | "}" | ";" => break,
            text => {
                path.push(text.to_owned());
                at += 1;
            }
        }
    }
    if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let local = path.last().cloned().unwrap_or_default();
    found.push((path, local));
    at
}

/// A path from its root. `None` where a relative path leaves the crate.
fn resolve(segments: Vec<String>, module: &[String]) -> Option<Vec<String>> {
    let first = segments.first()?.clone();
    if first != "self" && first != "super" {
        return Some(segments);
    }
    let mut base = module.to_vec();
    let mut rest = segments.into_iter().peekable();
    while let Some(step) = rest.next_if(|step| step == "self" || step == "super") {
        if step == "super" {
            base.pop()?;
        }
    }
    Some(std::iter::once("crate".to_owned()).chain(base).chain(rest).collect())
}
