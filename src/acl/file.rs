//! The text of an ACL file: `user <name> <rule> ...`, one a line. There are no comments in it, since it is
//! written anew by ACL SAVE.

use super::rule::{RuleError, Rules, has_spaces, join_selectors};
use super::user::User;

/// Reads all users of a file. The error names everything that is wrong in it, in one line; `path` is how
/// the file is called there. `new_user` makes a user of a name, with the rules of nobody.
pub fn parse(
    rules: &Rules<'_>,
    path: &str,
    text: &[u8],
    mut new_user: impl FnMut(&[u8]) -> User,
) -> Result<Vec<User>, String> {
    let mut users: Vec<User> = Vec::new();
    let mut errors = String::new();
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = trim(line, b" \t\r\n");
        if line.is_empty() {
            continue;
        }
        let place = format!("{path}:{}", number + 1);
        let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        let [b"user", name, rest @ ..] = &words[..] else {
            errors += &format!("{place} should start with user keyword followed by the username. ");
            continue;
        };
        let shown = String::from_utf8_lossy(name);
        if has_spaces(name) {
            errors += &format!("'{place}: username '{shown}' contains invalid characters. ");
            continue;
        }
        if users.iter().any(|known| known.name() == *name) {
            errors += &format!("WARNING: Duplicate user '{shown}' found on line {}. ", number + 1);
            continue;
        }
        let mut user = new_user(name);
        match join_selectors(rest) {
            Ok(all) => apply(rules, &mut user, &all, &place, &mut errors),
            Err(_) => errors += &format!("{place}: Unmatched parenthesis in selector definition."),
        }
        users.push(user);
    }
    if errors.is_empty() {
        return Ok(users);
    }
    errors += "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
    Err(errors)
}

/// Applies the rules of one line and notes what is wrong with them. A rule is shown only if it names a
/// command: others may hold a password. Of these the first is enough, since one error leads to others.
fn apply(rules: &Rules<'_>, user: &mut User, all: &[Vec<u8>], place: &str, errors: &mut String) {
    let mut broken = false;
    for rule in all {
        let rule = trim(rule, b"\t\r\n");
        match user.apply(rules, rule) {
            Ok(()) => {}
            Err(RuleError::Unknown) => {
                let (rule, text) = (String::from_utf8_lossy(rule), RuleError::Unknown.text());
                *errors += &format!("{place}: Error in applying operation '{rule}': {text}. ");
            }
            Err(error) if !broken => {
                broken = true;
                *errors += &format!("{place}: {}. ", error.text());
            }
            Err(_) => {}
        }
    }
}

fn trim<'a>(text: &'a [u8], blanks: &[u8]) -> &'a [u8] {
    let is_text = |byte: &u8| !blanks.contains(byte);
    match (text.iter().position(is_text), text.iter().rposition(is_text)) {
        (Some(from), Some(to)) => &text[from..=to],
        _ => b"",
    }
}
