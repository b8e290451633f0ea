//! A client that sends very many commands at once does not hold up the others of its worker.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::TcpStream;

use common::{Client, Launch, encode};
use glasswing::resp::Value;

const COMMANDS: usize = 100_000;
/// The most commands that run before others have their turn.
const BATCH: f64 = 256.0;

fn counter(reply: Option<Value>) -> usize {
    match reply {
        Some(Value::Bulk(digits)) => String::from_utf8_lossy(&digits).parse().unwrap(),
        other => panic!("no counter: {other:?}"),
    }
}

#[test]
fn another_client_is_answered_between_the_batches_of_a_long_pipeline() {
    let server = Launch::new().admin().start();
    let mut writer = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let (mut busy, mut other) = (Client::over(writer.try_clone().unwrap()), server.client());
    let batches = |bucket: &str| {
        let buckets = server.metric("glasswing_batch_commands_bucket");
        buckets.into_iter().find(|(labels, _)| labels.contains(bucket)).unwrap().1
    };
    other.call(&["SET", "counter", "0"]);
    let before = batches("+Inf");
    let pipeline = encode(&["INCR", "counter"]).repeat(COMMANDS);
    let seen = std::thread::scope(|scope| {
        scope.spawn(move || std::io::Write::write_all(&mut writer, &pipeline).unwrap());
        scope.spawn(move || {
            for number in 1..=COMMANDS {
                assert_eq!(busy.reply(), Some(Value::Int(number as i64)));
            }
        });
        let mut seen = Vec::new();
        loop {
            let now = counter(other.call(&["GET", "counter"]));
            seen.push(now);
            if now == COMMANDS {
                return seen;
            }
        }
    });
    let between = seen.iter().filter(|&&now| now > 0 && now < COMMANDS).count();
    assert!(between >= 2, "the other client had to wait for the whole pipeline: {seen:?}");
    let ran = batches("+Inf") - before - seen.len() as f64;
    assert!(ran >= COMMANDS as f64 / BATCH, "{ran} batches for {COMMANDS} commands");
    assert_eq!(batches("\"256\""), batches("+Inf"), "a batch was longer than {BATCH} commands");
}
