//! Patterns: the matcher agrees with the plainest one there is, and takes no more steps than lengths multiplied.
#![no_main]

use glasswing::data::glob_match;
use libfuzzer_sys::fuzz_target;

/// One byte of the pattern against one byte of the text: what of the pattern is left, if they match.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'\\', escaped, rest @ ..] => (*escaped == byte).then_some(rest),
        [first, rest @ ..] => (*first == byte).then_some(rest),
        [] => None,
    }
}

/// Every way to match, one after the other. Classes are left to the tests, which have Redis's own answers.
fn plain(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        // Redis gives a text that has ended only stars.
        (pattern, []) => pattern.iter().all(|&byte| byte == b'*'),
        ([b'*', rest @ ..], [_, behind @ ..]) => plain(rest, text) || plain(pattern, behind),
        (pattern, [byte, behind @ ..]) => one(pattern, *byte).is_some_and(|rest| plain(rest, behind)),
    }
}

fuzz_target!(|input: &[u8]| {
    let at = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (pattern, text) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    let matched = glob_match(pattern, text, false);
    // Without regard to the case at least as much matches.
    let same_case = pattern.iter().any(|byte| b"[\\".contains(byte));
    assert!(!matched || same_case || glob_match(pattern, text, true));
    // The empty text is matched by the empty pattern only.
    if text.is_empty() {
        assert_eq!(matched, pattern.is_empty());
        return;
    }
    let stars = pattern.iter().filter(|&&byte| byte == b'*').count();
    if !pattern.contains(&b'[') && stars <= 4 && text.len() <= 32 {
        assert_eq!(matched, plain(pattern, text), "{} {}", pattern.escape_ascii(), text.escape_ascii());
    }
});
