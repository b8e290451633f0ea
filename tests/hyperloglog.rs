//! HyperLogLogs are byte for byte what a real redis-server makes of the same commands, so that values move.
//!
//! Runs when a redis-server 7.0 is found: in `GLASSWING_REDIS_SERVER`, or in the PATH.

mod common;

use common::random::Random;
use common::redis::Redis;
use common::{Client, Server};
use glasswing::resp::Value;

fn key(random: &mut Random) -> Vec<u8> {
    format!("key:{}", random.below(6)).into_bytes()
}

fn element(random: &mut Random) -> Vec<u8> {
    let number = random.below(1 << 40).to_be_bytes();
    number[..random.below(9)].repeat(1 + random.below(3))
}

/// A command on HyperLogLogs; now and then one that damages or removes a value, or moves the limit.
fn command(random: &mut Random) -> Vec<Vec<u8>> {
    let word = |text: &str| text.as_bytes().to_vec();
    match random.below(100) {
        0..60 => {
            let count = [0, 1, 2, 5, 40, 400][random.below(6)];
            let elements = (0..count).map(|_| element(random)).collect::<Vec<_>>();
            [vec![word("PFADD"), key(random)], elements].concat()
        }
        60..75 => {
            let keys = (0..=random.below(3)).map(|_| key(random)).collect::<Vec<_>>();
            [vec![word("PFCOUNT")], keys].concat()
        }
        75..88 => {
            let keys = (0..=random.below(4)).map(|_| key(random)).collect::<Vec<_>>();
            [vec![word("PFMERGE")], keys].concat()
        }
        88..91 => {
            let what = ["TODENSE", "ENCODING", "DECODE", "GETREG"][random.below(4)];
            vec![word("PFDEBUG"), word(what), key(random)]
        }
        91..95 => vec![word("DEL"), key(random)],
        95..97 => {
            let limit = [0, 20, 40, 200, 3000, 20_000][random.below(6)];
            vec![word("CONFIG"), word("SET"), word("hll-sparse-max-bytes"), word(&format!("{limit}"))]
        }
        _ => {
            let (at, byte) = (16 + random.below(30), random.below(256) as u8);
            vec![word("SETRANGE"), key(random), word(&format!("{at}")), vec![byte]]
        }
    }
}

#[test]
fn values_are_those_of_redis() {
    let Some(redis) = Redis::start(&[]) else {
        eprintln!("no redis-server found: nothing to compare with");
        return;
    };
    let ours = Server::start(&[]);
    let (mut mine, mut theirs) = (ours.client(), Client::connect(redis.port()));
    let mut random = Random(0x5EED);
    for step in 0..4_000 {
        let command = command(&mut random);
        let shown = || command.iter().map(|word| word.escape_ascii().to_string() + " ").collect::<String>();
        let (mine_says, theirs_says) = (mine.call(&command), theirs.call(&command));
        assert_eq!(mine_says, theirs_says, "step {step}: {}", shown());
        if matches!(&theirs_says, Some(Value::Error(text)) if text.starts_with(b"INVALIDOBJ")) {
            // A corrupt value: what Redis had changed before it noticed is not what this test is about.
            [&mut mine, &mut theirs].into_iter().for_each(|client| {
                client.call(&[b"DEL".to_vec(), command[1].clone()]);
            });
        }
        for number in 0..6 {
            let get = ["GET".to_owned(), format!("key:{number}")];
            assert_eq!(mine.call(&get), theirs.call(&get), "{get:?} after step {step}: {}", shown());
        }
    }
}
