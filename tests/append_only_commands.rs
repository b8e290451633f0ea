//! The log of every command repeats what the command did: each transcript there is runs against a server that
//! keeps a log, then the log is loaded and the keyspace compared. A new command is covered by its transcript, which
//! `tests/coverage.rs` asks for.

mod common;
#[path = "coverage/sources.rs"]
mod sources;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Client, Launch, encode};
use glasswing::command::transcript::Step;
use glasswing::resp::{Value, split_args};
use sources::Transcript;

/// Waiting longer is left to tests with a manual clock.
const LONGEST_WAIT_MS: u64 = 200;
/// A key may expire between two looks.
const TRIES: usize = 3;

#[test]
fn every_command_is_repeated_as_what_it_did() {
    let transcripts = sources::all();
    let (next, differing, compared) = (AtomicUsize::new(0), Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(transcript) = transcripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _place = Named(&transcript.place);
                    match compare(transcript) {
                        Some(Ok(())) => drop(compared.fetch_add(1, Ordering::Relaxed)),
                        Some(Err(why)) => differing.lock().expect("no thread panics").push(why),
                        None => {}
                    }
                }
            });
        }
    });
    let differing = differing.into_inner().expect("no thread panics");
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
    let compared = compared.into_inner();
    assert!(compared * 10 > transcripts.len() * 9, "only {compared} of {} compared", transcripts.len());
}

/// Says which transcript it was when a server stops answering.
struct Named<'a>(&'a str);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the transcript at {}", self.0);
        }
    }
}

/// Runs a transcript and compares; nothing when it ends the server or its connection.
fn compare(transcript: &Transcript) -> Option<Result<(), String>> {
    let options = ["--enable-debug-command", "local", "--appendonly", "yes"];
    let mut launch = Launch::new().with(&options);
    if let Some(settings) = transcript.settings {
        launch = launch.settings(settings);
    }
    if let Some(users) = &transcript.users {
        std::fs::write(launch.file("users.acl"), users).expect("a file in the folder");
        launch = launch.with(&["--aclfile", "users.acl"]);
    }
    let server = launch.start();
    play(transcript, &mut server.client());
    let mut client = Client::reach(("127.0.0.1", server.port())).ok()?;
    // The transcript may have ended the server, or asked for a password.
    ask(&mut client, &["PING"]).filter(|reply| *reply == Value::Simple("PONG".into()))?;
    // What a transcript has set up may stand in the way.
    ask(&mut client, &["CONFIG", "SET", "maxmemory", "0"])?;
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let before = state(&mut client)?;
        if ask(&mut client, &["DEBUG", "LOADAOF"])? != Value::Simple("OK".into()) {
            return Some(Err(format!("{}: the log cannot be loaded", transcript.place)));
        }
        let after = state(&mut client)?;
        if before == after {
            return Some(Ok(()));
        }
        seen.push(format!("{}:\n{before:?}\n{after:?}", transcript.place));
    }
    seen.pop().map(Err)
}

/// What the server answers; nothing if it has ended.
fn ask(client: &mut Client, words: &[&str]) -> Option<Value> {
    if client.raw(&encode(words)) { client.reply() } else { None }
}

/// All values, and all libraries of functions. Nothing if the server does not say.
fn state(client: &mut Client) -> Option<(Value, Value)> {
    let digest = ask(client, &["DEBUG", "DIGEST"])?;
    matches!(digest, Value::Simple(_)).then_some(())?;
    Some((digest, ask(client, &["FUNCTION", "LIST", "WITHCODE"])?))
}

/// Sends what the transcript says, whatever is answered.
fn play(transcript: &Transcript, client: &mut Client) {
    for step in &transcript.steps {
        match step {
            Step::Advance { ms } if *ms > LONGEST_WAIT_MS => return,
            Step::Advance { ms } => std::thread::park_timeout(Duration::from_millis(*ms)),
            Step::Send { line, expected } => {
                let words = split_args(line.as_bytes()).expect("balanced quotes");
                if !client.raw(&encode(&words)) {
                    return;
                }
                if expected == "(closed)" {
                    return;
                }
                if expected != "(no reply)" && client.reply().is_none() {
                    return;
                }
            }
        }
    }
}
