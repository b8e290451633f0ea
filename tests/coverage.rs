//! Every command has a test: counted while the tests run.
//!
//! The transcripts of all families, and those of `tests/transcripts`, are sent to the started program, each
//! to a process of its own. A command counts when it was sent and its reply, other than a refusal, was what
//! the transcript says. A command that no transcript covers fails the test.

mod common;
#[path = "coverage/sources.rs"]
mod sources;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Client, Launch, Server};
use glasswing::command::Registry;
use glasswing::command::row::Group;
use glasswing::command::transcript::Step;
use glasswing::data::glob_match;
use glasswing::resp::split_args;
use sources::Transcript;

/// Waiting longer than this is left to the tests with a manual clock: the rest of a transcript is not run.
const LONGEST_WAIT_MS: u64 = 200;

/// How often a transcript may be run before it has failed. Time passes in a process: a deadline that is set
/// and read back may have moved on by a millisecond.
const TRIES: usize = 3;

/// Commands that can do nothing but refuse, each with its reason: for these a refusal is the test.
const REFUSING: &[(&str, &str)] = &[
    ("failover", "needs a replica that can take over"),
    ("sync", "is answered by the stream: tests/replication.rs"),
    ("psync", "is answered by the stream: tests/replication.rs"),
    ("module|load", "needs a module"),
    ("module|loadex", "needs a module"),
    ("module|unload", "needs a module"),
    ("script|kill", "needs a script that runs while another connection asks"),
    ("function|kill", "needs a function that runs while another connection asks"),
];

/// What a transcript showed.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    /// Commands with a reply that is no refusal.
    answered: BTreeSet<&'static str>,
    /// Commands with a refusal.
    refused: BTreeSet<&'static str>,
    /// The first reply that is not as expected.
    wrong: Option<String>,
}

#[test]
fn every_command_is_sent_and_its_reply_asserted() {
    let registry = Registry::new();
    let transcripts = sources::all();
    assert!(!transcripts.is_empty(), "no transcripts were found");
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(transcript) = transcripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let shown = run(&registry, transcript);
                    all.lock().unwrap().push(shown);
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    let mut wrong: Vec<String> = all.iter().filter_map(|shown| shown.wrong.clone()).collect();
    wrong.sort();
    wrong.extend(uncovered(&registry, &all));
    assert!(wrong.is_empty(), "{} complaints:\n\n{}", wrong.len(), wrong.join("\n\n"));
    println!("{} transcripts cover {} commands", transcripts.len(), registry.iter().count());
}

/// Complaints about commands that no transcript covers. A container is covered by its subcommands.
fn uncovered(registry: &Registry, all: &[Shown]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (_, command) in registry.iter().filter(|(_, command)| command.children.is_empty()) {
        let name = command.full_name;
        let answered = all.iter().any(|shown| shown.answered.contains(name));
        let refused = all.iter().any(|shown| shown.refused.contains(name));
        // Without a cluster all of them refuse.
        let clustered = command.row.group == Group::Cluster;
        match clustered || REFUSING.iter().any(|(refusing, _)| *refusing == name) {
            false if !answered && refused => {
                complaints.push(format!("'{name}' is refused in every transcript"))
            }
            false if !answered => complaints.push(format!("no transcript covers '{name}'")),
            true if answered => complaints.push(format!("'{name}' is listed as refusing, and answers")),
            true if !refused => complaints.push(format!("no transcript covers '{name}', not even a refusal")),
            _ => {}
        }
    }
    complaints
}

fn run(registry: &Registry, transcript: &Transcript) -> Shown {
    let mut shown = Shown::default();
    for _ in 0..TRIES {
        let options = ["--enable-debug-command", "local"];
        let server = match (transcript.settings, &transcript.users) {
            (Some(settings), Some(users)) => {
                let launch =
                    Launch::new().settings(settings).with(&options).with(&["--aclfile", "users.acl"]);
                std::fs::write(launch.file("users.acl"), users).expect("a file in the folder");
                launch.start()
            }
            (Some(settings), None) => Server::with_settings(settings, &options),
            (None, _) => Server::start(&options),
        };
        shown = play(registry, transcript, &mut server.client());
        if shown.wrong.is_none() {
            break;
        }
    }
    shown
}

/// Sends a transcript to a server.
fn play(registry: &Registry, transcript: &Transcript, client: &mut Client) -> Shown {
    let mut shown = Shown::default();
    for step in &transcript.steps {
        let (line, expected) = match step {
            Step::Advance { ms } if *ms > LONGEST_WAIT_MS => break,
            Step::Advance { ms } => {
                std::thread::park_timeout(Duration::from_millis(*ms));
                continue;
            }
            Step::Send { line, expected } => (line, expected),
        };
        let words = split_args(line.as_bytes()).unwrap_or_else(|| panic!("unbalanced quotes: {line}"));
        if expected == "(no reply)" {
            client.send(&words);
            continue;
        }
        let got = client.line(line);
        if !matches(expected, &got) {
            shown.wrong =
                Some(format!("{}: after: {line}\nexpected: {expected}\ngot:      {got}", transcript.place));
            break;
        }
        let command = registry.resolve(&words[0], words.get(1).map(AsRef::as_ref));
        let set = if got.starts_with("(error)") { &mut shown.refused } else { &mut shown.answered };
        set.extend(command.map(|index| registry.get(index).full_name));
    }
    shown
}

/// A reply is as expected. `~ pattern` stands for whatever the glob pattern matches.
fn matches(expected: &str, got: &str) -> bool {
    match expected.strip_prefix("~ ") {
        Some(pattern) => glob_match(pattern.as_bytes(), got.as_bytes(), false),
        None => expected == got,
    }
}

#[test]
fn a_wrong_reply_and_a_command_without_a_test_are_seen() {
    let registry = Registry::new();
    let shown = |text: &str| {
        let steps = glasswing::command::transcript::steps(text).unwrap();
        run(&registry, &Transcript { place: "here:1".to_owned(), settings: None, users: None, steps })
    };
    let right = shown(
        "> SET k v\nOK\n> GET k\n~ \"[u-w]\"\n> INCR k\n(error) ERR value is not an integer or out of range",
    );
    assert_eq!(right.wrong, None);
    assert_eq!((right.answered.len(), right.refused.len()), (2, 1));
    let missing = uncovered(&registry, &[right]);
    assert!(missing.contains(&"no transcript covers 'strlen'".to_owned()));
    assert!(missing.contains(&"'incr' is refused in every transcript".to_owned()));
    assert!(!missing.iter().any(|words| words.contains("'get'") || words.contains("'set'")));

    let wrong = shown("> SET k v\nOK\n> GET k\n\"w\"\n> STRLEN k\n(integer) 1");
    assert_eq!(wrong.answered, BTreeSet::from(["set"]));
    assert!(wrong.wrong.is_some_and(|words| words.contains("after: GET k")));
    // After a long wait nothing is claimed.
    let late = shown("> SET k v\nOK\n! advance 5000\n> GET k\n\"w\"");
    assert_eq!((late.answered, late.wrong), (BTreeSet::from(["set"]), None));
}

#[test]
fn transcripts_are_found_in_sources_and_files() {
    let source = "fn a() {\n    transcript(\n        r#\"\n        > PING\n        PONG\n        \"#,\n    );\n transcript(r\"> GET k\n(nil)\"); transcript(text);\n}";
    let found = sources::in_source(source);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], (2, "\n        > PING\n        PONG\n        ".to_owned()));
    assert_eq!(found[1], (8, "> GET k\n(nil)".to_owned()));
    let file = "# one\n> PING\nPONG\n\n# two\n> GET k\n(nil)\n";
    assert_eq!(
        sources::in_file(file),
        [(1, "> PING\nPONG\n\n".to_owned()), (5, "> GET k\n(nil)\n".to_owned())]
    );
}
