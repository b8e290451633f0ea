//! Rules of users: no bytes may cause a panic, what a user is described as makes the same user again, and a
//! file's text is refused or survives being written and read.
#![no_main]

use std::sync::OnceLock;

use glasswing::acl::rule::join_selectors;
use glasswing::acl::{Asked, Catalog, ChannelAsked, KeyAsked, Needs, Rules, User, file};
use glasswing::command::Registry;
use libfuzzer_sys::fuzz_target;

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| Registry::new().catalog())
}

/// The user that a description makes.
fn again(rules: &Rules<'_>, text: &[u8]) -> User {
    let words: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
    let joined = join_selectors(&words).expect("closed parentheses");
    let mut user = User::new(b"u", 7, rules.all_channels);
    user.apply_all(rules, &joined).expect("good rules");
    user
}

fuzz_target!(|text: &[u8]| {
    let rules = Rules { catalog: catalog(), all_channels: false };
    // The first line is a name and requests, the others are rules.
    let (first, rest) = text.split_at(text.iter().position(|&byte| byte == b'\n').unwrap_or(0));
    let mut user = User::new(b"u", 7, false);
    let words: Vec<&[u8]> = rest.split(|&byte| byte == b'\n' || byte == b' ').collect();
    if let Ok(joined) = join_selectors(&words) {
        for rule in &joined {
            let before = user.clone();
            if user.apply(&rules, rule).is_err() {
                assert!(user == before, "a rule that is refused changes nothing");
            }
        }
    }
    let described = user.describe(catalog());
    let twin = again(&rules, &described);
    assert_eq!(twin.describe(catalog()), described);
    for (place, key) in first.split(|&byte| byte == b' ').enumerate() {
        for needs in [Needs::NONE, Needs::READ, Needs::WRITE, Needs::BOTH] {
            let asked = Asked {
                command: (place * 7 + key.len()) % catalog().len(),
                for_everybody: false,
                first_argument: Some(key),
                keys: &[KeyAsked { at: 1, key, needs }],
                channels: &[ChannelAsked { at: 2, name: key, literally: needs == Needs::READ }],
            };
            let verdict = user.check(&asked);
            // An empty key is matched by no star, but by what says that all keys are allowed.
            assert!(key.is_empty() || verdict == twin.check(&asked), "{}", described.escape_ascii());
            if user.is_unrestricted() {
                assert!(verdict.is_ok());
            }
        }
    }
    let new_user = |name: &[u8]| User::new(name, 7, false);
    if let Ok(users) = file::parse(&rules, "f", text, new_user) {
        let written: Vec<u8> = users.iter().flat_map(|user| [user.line(catalog()), b"\n".to_vec()].concat()).collect();
        let read = file::parse(&rules, "f", &written, new_user).expect("what was written can be read");
        let lines = |users: &[User]| users.iter().map(|user| user.line(catalog())).collect::<Vec<_>>();
        assert_eq!(lines(&read), lines(&users));
    }
});
