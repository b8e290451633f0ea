//! Rules read, written down and read again.

use crate::acl::*;
use crate::command::Registry;

fn catalog() -> Catalog {
    Registry::new().catalog()
}

fn rules(catalog: &Catalog) -> Rules<'_> {
    Rules { catalog, all_channels: false }
}

fn user(catalog: &Catalog, words: &str) -> User {
    let mut user = User::new(b"alice", 7, false);
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let joined = rule::join_selectors(&words).expect("closed parentheses");
    for rule in &joined {
        user.apply(&rules(catalog), rule)
            .unwrap_or_else(|error| panic!("{}: {error:?}", rule.escape_ascii()));
    }
    user
}

fn refused(catalog: &Catalog, rule: &str) -> RuleError {
    User::new(b"alice", 7, false).apply(&rules(catalog), rule.as_bytes()).expect_err(rule)
}

fn described(catalog: &Catalog, words: &str) -> String {
    String::from_utf8(user(catalog, words).describe(catalog)).expect("text")
}

#[test]
fn users_are_described_as_redis_does() {
    let catalog = catalog();
    for (words, expected) in [
        ("", "off resetchannels -@all"),
        ("reset", "off sanitize-payload resetchannels -@all"),
        ("on nopass +@all ~* &*", "on nopass ~* &* +@all"),
        ("on +@all -select", "on resetchannels +@all -select"),
        ("~a %R~b %W~c %RW~d ~a", "off ~a %R~b %W~c ~d resetchannels -@all"),
        ("%R~a %W~a", "off ~a resetchannels -@all"),
        ("&a &b &a +get", "off resetchannels &a &b -@all +get"),
        ("+select|0 +SELECT|1 +select|0", "off resetchannels -@all +select|0 +select|1"),
        ("+select|0 +select", "off resetchannels -@all +select"),
        ("+config|get", "off resetchannels -@all +config|get"),
        ("+@all -config|get", "off resetchannels +@all -config|get"),
        (
            "+get (+set ~x) (%R~y &z)",
            "off resetchannels -@all +get (~x resetchannels -@all +set) (%R~y resetchannels &z -@all)",
        ),
        ("(+get) clearselectors", "off resetchannels -@all"),
        ("skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"),
        ("+@all -@string", "off resetchannels +@all -@string"),
    ] {
        assert_eq!(described(&catalog, words), expected, "{words}");
    }
    let hash = "c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2";
    assert_eq!(described(&catalog, ">foobar >foobar"), format!("off #{hash} resetchannels -@all"));
    assert_eq!(described(&catalog, &format!("#{hash} >a <a")), format!("off #{hash} resetchannels -@all"));
    assert_eq!(described(&catalog, ">foobar nopass"), "off nopass resetchannels -@all");
    assert_eq!(described(&catalog, "nopass resetpass"), "off resetchannels -@all");
}

#[test]
fn what_is_no_rule_is_refused_and_why() {
    let catalog = catalog();
    for (rule, expected) in [
        ("foo", RuleError::Syntax),
        ("+nosuch", RuleError::Unknown),
        ("-nosuch", RuleError::Unknown),
        ("+", RuleError::Unknown),
        ("+@nosuch", RuleError::Unknown),
        ("+config|nosuch", RuleError::Unknown),
        ("+config|get|x", RuleError::FirstArgumentOfSubcommand),
        ("-select|0", RuleError::Unknown),
        ("+select|", RuleError::Syntax),
        ("+select|a b", RuleError::Syntax),
        ("~a b", RuleError::Syntax),
        ("&a\tb", RuleError::Syntax),
        ("%~a", RuleError::Syntax),
        ("%RR~a", RuleError::Syntax),
        ("%X~a", RuleError::Syntax),
        ("#12", RuleError::BadHash),
        ("!12", RuleError::BadHash),
        ("<nosuch", RuleError::NoSuchPassword),
        ("(on)", RuleError::Syntax),
        ("(~* ~a)", RuleError::KeysAfterAll),
        ("(&* &a)", RuleError::ChannelsAfterAll),
    ] {
        assert_eq!(refused(&catalog, rule), expected, "{rule}");
    }
    let mut all = user(&catalog, "~* &*");
    assert_eq!(all.apply(&rules(&catalog), b"~a"), Err(RuleError::KeysAfterAll));
    assert_eq!(all.apply(&rules(&catalog), b"%nonsense"), Err(RuleError::KeysAfterAll));
    assert_eq!(all.apply(&rules(&catalog), b"&a"), Err(RuleError::ChannelsAfterAll));
}

#[test]
fn selectors_may_be_spread_over_words() {
    let joined = |words: &[&str]| rule::join_selectors(words);
    assert_eq!(joined(&["on", "(+get", "~a)", "+set"]).map(|all| all.len()), Ok(3));
    assert_eq!(joined(&["(+get", "~a", "&b)"]), Ok(vec![b"(+get ~a &b)".to_vec()]));
    assert_eq!(joined(&["on", "(+get", "~a"]), Err(1));
    assert_eq!(joined(&["(", ")"]), Ok(vec![b"( )".to_vec()]));
    assert_eq!(joined(&["", "()"]), Ok(vec![b"".to_vec(), b"()".to_vec()]));
}

/// A small generator of its own, so that a failure names a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

fn any_rule(dice: &mut Dice, catalog: &Catalog, outside: bool) -> String {
    let command = catalog.entry(dice.below(catalog.len())).name;
    let category = catalog.categories()[dice.below(catalog.categories().len())].1;
    let sign = dice.pick(&["+", "-"]);
    let glob = dice.pick(&["a*", "*", "k?", "[ab]c", "plain", "", "a\"b", "a'b", "a\\b", "(x", "x)"]);
    match dice.below(if outside { 16 } else { 10 }) {
        0..=2 => format!("{sign}{command}"),
        3 | 4 => format!("{sign}@{category}"),
        5 => dice.pick(&["+@all", "-@all", "allcommands", "nocommands"]).to_owned(),
        6 => format!("{}{glob}", dice.pick(&["~", "%R~", "%W~", "%rw~"])),
        7 => format!("&{glob}"),
        8 => dice.pick(&["resetkeys", "allkeys", "resetchannels", "allchannels"]).to_owned(),
        9 => format!(
            "+{}|{}",
            dice.pick(&["select", "get", "debug", "config"]),
            dice.pick(&["0", "GET", "x'y"])
        ),
        10 => dice.pick(&["on", "off", "nopass", "resetpass", "reset", "clearselectors"]).to_owned(),
        11 => format!("{}{}", dice.pick(&[">", "<"]), dice.pick(&["one", "two", ""])),
        12 => dice.pick(&["sanitize-payload", "skip-sanitize-payload"]).to_owned(),
        _ => {
            let inner: Vec<String> = (0..dice.below(5)).map(|_| any_rule(dice, catalog, false)).collect();
            format!("({})", inner.join(" "))
        }
    }
}

/// Whatever rules were given: the description makes the same user again.
#[test]
fn a_description_makes_the_same_user() {
    let catalog = catalog();
    for seed in 1..=400 {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut one = User::new(b"alice", 7, false);
        for _ in 0..dice.below(20) {
            let rule = any_rule(&mut dice, &catalog, true);
            // Some make no sense, and change nothing then.
            let _ = one.apply(&rules(&catalog), rule.as_bytes());
        }
        let text = one.describe(&catalog);
        let words: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
        let mut again = User::new(b"alice", 7, false);
        let joined =
            rule::join_selectors(&words).unwrap_or_else(|_| panic!("seed {seed}: {}", text.escape_ascii()));
        again.apply_all(&rules(&catalog), &joined).unwrap_or_else(|(at, error)| {
            panic!("seed {seed}: {} {error:?}: {}", joined[at].escape_ascii(), text.escape_ascii())
        });
        assert_eq!(
            again.describe(&catalog).escape_ascii().to_string(),
            text.escape_ascii().to_string(),
            "seed {seed}"
        );
        assert!(again == one, "seed {seed}: {}", text.escape_ascii());
        // A file's line is the same user, too.
        let file = one.line(&catalog);
        let users =
            file::parse(&rules(&catalog), "f", &file, |name| User::new(name, 7, false)).expect("a file");
        assert!(users[0] == one, "seed {seed}: {}", file.escape_ascii());
    }
}

#[test]
fn a_file_is_taken_whole_or_not_at_all() {
    let acl = Acl::new(catalog(), false);
    let text = b"user default on nopass ~* &* +@all\n\n  user bob on >secret +get ~b*\r\nuser eve off\n";
    assert_eq!(acl.load("users.acl", text).map(|gone| gone.len()), Ok(0));
    let names = |acl: &Acl| -> Vec<String> {
        acl.table().iter().map(|user| String::from_utf8_lossy(user.name()).into_owned()).collect()
    };
    assert_eq!(names(&acl), ["bob", "default", "eve"]);
    assert!(acl.log_in(b"bob", b"secret").is_some() && acl.log_in(b"bob", b"Secret").is_none());
    assert!(acl.log_in(b"eve", b"").is_none() && acl.log_in(b"nobody", b"").is_none());
    let text = b"user bob on >s3cret foo bar\nuser\n# comment\nuser bob on\nuser ann +nosuch (+get\nuser a\tb\nuser cat +nosuch";
    let error = acl.load("users.acl", text).expect_err("faults");
    assert_eq!(
        error,
        "users.acl:1: Syntax error. users.acl:2 should start with user keyword followed by the username. \
         users.acl:3 should start with user keyword followed by the username. WARNING: Duplicate user 'bob' found \
         on line 4. users.acl:5: Unmatched parenthesis in selector definition.'users.acl:6: username 'a\tb' \
         contains invalid characters. users.acl:7: Error in applying operation '+nosuch': Unknown command or \
         category name in ACL. WARNING: ACL errors detected, no change to the previously active ACL rules was \
         performed"
    );
    assert!(!error.contains("s3cret"));
    assert_eq!(names(&acl), ["bob", "default", "eve"]);
    let before = acl.table().get(b"bob").map(|user| user.id());
    assert_eq!(acl.load("users.acl", b"user bob on nopass").map(|gone| gone.len()), Ok(2));
    assert_ne!(acl.table().get(b"bob").map(|user| user.id()), before);
    assert!(
        acl.table().default_user().is_open(),
        "a file without a default user gets one that may do everything"
    );
    assert_eq!(acl.text(), acl.lines().join(&b'\n').into_iter().chain(*b"\n").collect::<Vec<u8>>());
}

#[test]
fn a_change_is_whole_and_raises_the_generation() {
    let acl = Acl::new(catalog(), true);
    let before = acl.generation();
    let error = acl.set_user(b"bob", &["on", "+get", "nonsense"]).expect_err("a fault");
    assert_eq!(error.to_string(), "Error in ACL SETUSER modifier 'nonsense': Syntax error");
    assert_eq!((acl.generation(), acl.table().get(b"bob").is_none()), (before, true));
    let error = acl.set_user(b"bob", &["on", "(+get"]).expect_err("a fault");
    assert_eq!(error.to_string(), "Unmatched parenthesis in acl selector starting at '(+get'.");
    let changed = acl.set_user(b"bob", &["on", "+get"]).expect("rules");
    assert!(changed.before.is_none() && changed.after.asks_for_keys() && !changed.after.asks_for_channels());
    assert!(acl.generation() > before);
    assert_eq!(acl.delete(&[b"bob", b"default", b"nobody"]).len(), 1);
    assert!(acl.table().get(b"default").is_some());
}

#[test]
fn the_log_counts_what_is_alike() {
    let log = Log::default();
    let refusal = |object: &str| Refusal {
        reason: Reason::Key,
        context: LogContext::TopLevel,
        object: object.into(),
        user: b"bob".to_vec(),
    };
    log.add(refusal("a"), b"one".to_vec(), 1_000, 3);
    log.add(refusal("b"), b"one".to_vec(), 2_000, 3);
    log.add(refusal("a"), b"two".to_vec(), 61_000, 3);
    let newest = &log.newest(10);
    assert_eq!((newest.len(), newest[0].count, &newest[0].client[..]), (2, 2, &b"two"[..]));
    // More than a minute later it is something new.
    log.add(refusal("a"), b"two".to_vec(), 121_001, 3);
    assert_eq!(log.newest(10).len(), 3);
    log.add(refusal("c"), b"two".to_vec(), 121_001, 3);
    assert_eq!(log.newest(10).len(), 3);
    assert_eq!(log.newest(1).len(), 1);
    log.add(Refusal { context: LogContext::Script, ..refusal("c") }, b"two".to_vec(), 121_001, 0);
    assert!(log.newest(10).is_empty());
}
