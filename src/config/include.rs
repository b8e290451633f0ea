//! The files that an `include` line names: a path, or a pattern as the shell knows it.

use std::path::{Path, PathBuf};

/// The files that a pattern names, sorted; a path without `*`, `?` and `[` is returned as it is.
/// A relative pattern is taken from `folder`.
pub(super) fn expand(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![folder.join(pattern)];
    }
    let (start, rest) = match pattern.strip_prefix('/') {
        Some(rest) => (PathBuf::from("/"), rest),
        None => (folder.to_path_buf(), pattern),
    };
    let mut found = vec![start];
    for part in rest.split('/').filter(|part| !part.is_empty()) {
        found = found.into_iter().flat_map(|path| step(&path, part)).collect();
    }
    found.retain(|path| path.is_file());
    found.sort();
    found
}

/// One part of the pattern below one folder. A leading dot must be written out, as in the shell.
fn step(folder: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains(['*', '?', '[', '\\']) {
        return vec![folder.join(part)];
    }
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let hit = |name: &String| {
        part.starts_with('.') == name.starts_with('.') && matches(part.as_bytes(), name.as_bytes())
    };
    names.filter(hit).map(|name| folder.join(name)).collect()
}

/// Shell matching of one file name: `*`, `?`, `[a-z]`, `[!a]` and a backslash before a literal byte.
/// A star tries the shortest stretch first and only the last star is retried, so the time is at most
/// the product of both lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, n));
            p += 1;
            continue;
        }
        match one(&pattern[p..], name[n]) {
            Some(length) => {
                p += length;
                n += 1;
            }
            None => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                (p, n) = (star, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// Matches one byte against the head of the pattern and tells how long that head is.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', literal, ..] => (*literal == byte).then_some(2),
        [b'[', rest @ ..] => match class(rest, byte) {
            Some((hit, length)) => hit.then_some(length + 1),
            // Without its closing bracket it is an ordinary byte.
            None => (byte == b'[').then_some(1),
        },
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// The bytes after `[`: whether `byte` belongs to the class, and the length up to and with `]`.
fn class(rest: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(rest.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let first = at;
    let mut hit = false;
    loop {
        let low = *rest.get(at)?;
        if low == b']' && at > first {
            return Some((hit != negated, at + 1));
        }
        match (rest.get(at + 1), rest.get(at + 2)) {
            (Some(b'-'), Some(&high)) if high != b']' => {
                hit |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                hit |= low == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_the_shell() {
        let table: &[(&str, &str, bool)] = &[
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a*b*c", "aXbYbZc", true),
            ("?", "", false),
            ("[a-c]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[]]", "]", true),
            ("[x", "[x", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("**", "", true),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), *expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_names_sorted_files() {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["b.conf", "a.conf", ".hidden.conf", "c.txt"] {
            std::fs::write(folder.path().join(name), "").expect("file");
        }
        std::fs::create_dir(folder.path().join("d.conf")).expect("folder");
        let names = |pattern: &str| {
            let files = expand(folder.path(), pattern).into_iter();
            files.map(|f| f.file_name().expect("name").to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(names("[b-z]*"), ["b.conf", "c.txt"]);
        assert!(names("none*").is_empty());
        assert_eq!(names("plain"), ["plain"]);
        let absolute = format!("{}/*.txt", folder.path().display());
        assert_eq!(names(&absolute), ["c.txt"]);
    }
}
