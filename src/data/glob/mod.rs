//! Glob patterns, matched as Redis matches them.
//!
//! `*` is any run of bytes, `?` one byte, `[abc]`, `[a-z]` and `[^a]` a class, and
//! `\` takes the next byte for itself. The dark corners are part of the
//! interface, because patterns of ACLs, subscriptions and KEYS depend on them:
//!
//! - A class that is not closed ends with the pattern.
//! - In `[a-]` the range reaches to the bracket and the class goes on.
//! - A range whose ends are the wrong way round is turned. Its bytes are signed,
//!   so 0x80 to 0xff come before 0x00.
//! - Ignoring the case is not for bytes behind `\` in a class.
//! - The empty text is matched by the empty pattern only, not even by `*`.
//!
//! Redis recurses at every `*` and gives up all of them as soon as one has tried
//! every place in vain. That is the same as going back to the last `*` alone,
//! which needs no recursion: at most pattern length times text length steps.
//!
//! Redis's recursion has a bound against patterns made to exhaust its stack, and a
//! pattern that reaches it matches nothing. It is kept here: whoever gives a
//! pattern is told the same by both.

/// Stars that one match may pass, as in Redis since its CVE-2024-31228. The star that ends a pattern is free.
const MAX_STARS: usize = 1_000;

/// Whether `pattern` matches all of `text`; with `ignore_case`, ASCII letters
/// match in either case.
pub fn glob_match(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    let (mut rest, mut left) = (pattern, text);
    // The pattern behind the last star, and the text from where it was tried last.
    let mut retry: Option<(&[u8], &[u8])> = None;
    let mut stars = 0;
    loop {
        if let ([b'*', after @ ..], [_, ..]) = (rest, left) {
            let after = skip_stars(after);
            if after.is_empty() {
                return true;
            }
            stars += 1;
            if stars > MAX_STARS {
                return false;
            }
            retry = Some((after, left));
            rest = after;
        }
        let matched = match (rest, left) {
            ([], []) => return true,
            ([_, ..], [first, behind @ ..]) => match match_one(rest, *first, ignore_case) {
                Some(next) => {
                    rest = if behind.is_empty() { skip_stars(next) } else { next };
                    left = behind;
                    true
                }
                None => false,
            },
            _ => false,
        };
        if !matched {
            match retry {
                Some((after, [_, behind @ ..])) if !behind.is_empty() => {
                    retry = Some((after, behind));
                    (rest, left) = (after, behind);
                }
                _ => return false,
            }
        }
    }
}

fn skip_stars(pattern: &[u8]) -> &[u8] {
    let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
    &pattern[stars..]
}

/// Matches one byte with the first unit of `pattern`, which is not a star.
/// Returns the pattern behind the unit, or `None` when the byte does not match.
fn match_one(pattern: &[u8], byte: u8, ignore_case: bool) -> Option<&[u8]> {
    let (matches, next) = match pattern {
        [b'?', next @ ..] => (true, next),
        [b'[', b'^', class @ ..] => {
            let (found, next) = match_class(class, byte, ignore_case);
            (!found, next)
        }
        [b'[', class @ ..] => match_class(class, byte, ignore_case),
        [b'\\', literal, next @ ..] | [literal, next @ ..] => (same(*literal, byte, ignore_case), next),
        [] => return None,
    };
    matches.then_some(next)
}

/// Whether `byte` is in the class that begins at `class`, and what is behind it.
fn match_class(mut class: &[u8], byte: u8, ignore_case: bool) -> (bool, &[u8]) {
    let mut found = false;
    loop {
        class = match class {
            [] => return (found, class),
            [b'\\', literal, next @ ..] => {
                found |= *literal == byte;
                next
            }
            [b']', next @ ..] => return (found, next),
            [start, b'-', end, next @ ..] => {
                found |= in_range(*start, *end, byte, ignore_case);
                next
            }
            [literal, next @ ..] => {
                found |= same(*literal, byte, ignore_case);
                next
            }
        };
    }
}

fn same(a: u8, b: u8, ignore_case: bool) -> bool {
    a == b || (ignore_case && a.eq_ignore_ascii_case(&b))
}

/// Redis turns the ends first and lowers them after, so `[a-Z]` is turned to
/// `[Z-a]` and then, ignoring the case, to `[z-a]`, which nothing is in.
fn in_range(start: u8, end: u8, byte: u8, ignore_case: bool) -> bool {
    let (start, end) = if start as i8 > end as i8 { (end, start) } else { (start, end) };
    let lower = |byte: u8| {
        if ignore_case { byte.to_ascii_lowercase() as i8 } else { byte as i8 }
    };
    (lower(start)..=lower(end)).contains(&lower(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a Redis 7.0.15 said: `KEYS <pattern>` with one key, and, ignoring the
    /// case, `COMMAND LIST FILTERBY PATTERN <pattern>` for one command's name.
    const ANSWERS: &str = include_str!("answers.tsv");

    #[test]
    fn matches_are_those_of_redis() {
        let (mut matched, mut lines) = (0, 0);
        for line in ANSWERS.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [case, pattern, text, answer] = fields[..] else {
                panic!("four fields a line: {line}");
            };
            let matches = glob_match(pattern.as_bytes(), text.as_bytes(), case == "i");
            assert_eq!(matches, answer == "yes", "{case} {pattern:?} {text:?}");
            matched += usize::from(matches);
            lines += 1;
        }
        assert!(lines > 1500 && matched > 300, "{matched} of {lines} match");
    }

    #[test]
    fn bytes_of_a_range_are_signed() {
        assert!(glob_match(b"[\x80-\x7f]", b"a", false));
        assert!(glob_match(b"[\xfe-\x01]", b"\xff", false));
        assert!(glob_match(b"[\xfe-\x01]", b"\x00", false));
        assert!(!glob_match(b"[\xfe-\x01]", b"\x7f", false));
    }

    #[test]
    fn dark_corners() {
        assert!(!glob_match(b"*", b"", false));
        assert!(glob_match(b"", b"", false));
        assert!(glob_match(b"[^", b"x", false));
        assert!(!glob_match(b"[", b"x", false));
        assert!(glob_match(b"[a-]", b"a", false));
        assert!(glob_match(b"\\", b"\\", false));
        assert!(glob_match(b"a\\*", b"a*", false));
        assert!(!glob_match(b"a\\*", b"ab", false));
        assert!(!glob_match(b"[\\A]", b"a", true));
        assert!(glob_match(b"[A]", b"a", true));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let text = vec![b'a'; 20_000];
        let mut pattern = b"a*".repeat(1_000);
        pattern.push(b'b');
        assert!(!glob_match(&pattern, &text, false));
        pattern.pop();
        assert!(glob_match(&pattern, &text, false));
        assert!(!glob_match(b"a*a*a*a*b", &text, false));
    }

    #[test]
    fn the_bound_of_stars_is_that_of_redis() {
        let text = vec![b'a'; 50_000];
        assert!(!glob_match(&b"*?".repeat(50_000), &text, false));
        assert!(glob_match(&b"*?".repeat(1_000), &text, false));
        assert!(!glob_match(&b"*?".repeat(1_001), &text, false));
        // Stars that stand together are one, and the star at the end needs no recursion.
        assert!(glob_match(&b"**?".repeat(1_000), &text, false));
        let mut pattern = b"*?".repeat(1_000);
        pattern.push(b'*');
        assert!(glob_match(&pattern, &text, false));
    }
}
