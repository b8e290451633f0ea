//! Fills a server through one pipelined connection, far faster than redis-benchmark does and
//! with exactly the keys that are wanted.

use std::ops::Range;

use crate::Outcome;
use crate::resp::{Client, Reply, encode};

/// Commands in one write.
const BATCH: u64 = 500;
/// A user with ten patterns, and its password.
pub const USER: &str = "ten";
/// The limit of memory of workloads that run at one.
const FULL_BYTES: &str = "104857600";
/// Elements that one RPUSH, SADD or ZADD carries at most.
const ELEMENTS: u64 = 100;

/// Sends one command for each index of `range`; `append` encodes it. Every reply must be a line.
pub fn each(
    client: &mut Client,
    range: Range<u64>,
    mut append: impl FnMut(&mut Vec<u8>, u64),
) -> Outcome<()> {
    let mut commands = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let batch = at..range.end.min(at + BATCH);
        commands.clear();
        for index in batch.clone() {
            append(&mut commands, index);
        }
        client.pipeline_of_lines(&commands, usize::try_from(batch.end - batch.start)?)?;
        at = batch.end;
    }
    Ok(())
}

/// A key of 16 bytes, as redis-benchmark writes it: `key:` and twelve digits.
pub fn key(index: u64) -> [u8; 16] {
    numbered(*b"key:000000000000", index)
}

/// `text` with its last twelve bytes replaced by the digits of `index`.
fn numbered<const N: usize>(mut text: [u8; N], index: u64) -> [u8; N] {
    let mut left = index;
    for place in text.iter_mut().rev().take(12) {
        *place = b'0' + (left % 10) as u8;
        left /= 10;
    }
    text
}

/// `SET key:N value` for every N of `range`.
pub fn strings(client: &mut Client, range: Range<u64>, value: &[u8]) -> Outcome<()> {
    each(client, range, |out, index| encode(out, &[b"SET", &key(index), value]))
}

/// `SET counter:N 0`, what INCR counts up.
pub fn counters(client: &mut Client, count: u64) -> Outcome<()> {
    each(client, 0..count, |out, index| {
        encode(out, &[b"SET", &numbered(*b"counter:000000000000", index), b"0"]);
    })
}

/// `RPUSH name value value ...` until the list has `count` more elements.
pub fn list(client: &mut Client, name: &[u8], count: u64, value: &[u8]) -> Outcome<()> {
    in_chunks(client, count, |out, chunk| {
        let mut args: Vec<&[u8]> = vec![b"RPUSH", name];
        args.extend(chunk.map(|_| value));
        encode(out, &args);
    })
}

/// `SADD name element:N ...` for every N of `range`.
pub fn set(client: &mut Client, name: &[u8], range: Range<u64>) -> Outcome<()> {
    elements(client, &[b"SADD", name], range, |_| Vec::new())
}

/// `ZADD name N element:N ...` for every N of `range`.
pub fn sorted_set(client: &mut Client, name: &[u8], range: Range<u64>) -> Outcome<()> {
    elements(client, &[b"ZADD", name], range, |index| vec![index.to_string()])
}

/// `PFADD name element:N ...` for every N of `range`.
pub fn hyperloglog(client: &mut Client, name: &[u8], range: Range<u64>) -> Outcome<()> {
    elements(client, &[b"PFADD", name], range, |_| Vec::new())
}

/// `GEOADD places longitude latitude element:N ...`: a square of ten by ten degrees around 15, 37.
pub fn places(client: &mut Client, count: u64) -> Outcome<()> {
    elements(client, &[b"GEOADD", b"places"], 0..count, |index| {
        let part = |step: u64| (scattered(index * 2 + step) % 1_000_000) as f64 / 1e5;
        vec![format!("{:.5}", 10.0 + part(0)), format!("{:.5}", 32.0 + part(1))]
    })
}

/// `RPUSH numbers ...`: `count` numbers in no order.
pub fn numbers(client: &mut Client, count: u64) -> Outcome<()> {
    each(client, 0..count, |out, index| {
        encode(out, &[b"RPUSH", b"numbers", (scattered(index) % 1_000_000_000).to_string().as_bytes()]);
    })
}

/// `HSET myhash element:N value` for `count` fields.
pub fn hash(client: &mut Client, count: u64, value: &[u8]) -> Outcome<()> {
    each(client, 0..count, |out, index| encode(out, &[b"HSET", b"myhash", &element(index), value]))
}

/// A string of 10 MB of bits without order.
pub fn bits(client: &mut Client, name: &[u8], seed: u64) -> Outcome<()> {
    const MEGABYTES: u64 = 10;
    each(client, 0..MEGABYTES, |out, index| {
        let words =
            (0..1 << 17).flat_map(|word| scattered((seed << 32) + (index << 17) + word).to_ne_bytes());
        encode(out, &[b"APPEND", name, &words.collect::<Vec<u8>>()]);
    })
}

/// A stream of `count` entries, `N-1` each, and a group that begins before the first.
pub fn stream(client: &mut Client, count: u64) -> Outcome<()> {
    client.command(&["XGROUP", "CREATE", "mystream", "mygroup", "0", "MKSTREAM"])?;
    let mut commands = Vec::new();
    for start in (0..count).step_by(BATCH as usize) {
        commands.clear();
        let range = start..count.min(start + BATCH);
        for index in range.clone() {
            let id = format!("{index}-1");
            encode(&mut commands, &[b"XADD", b"mystream", id.as_bytes(), b"field", b"value"]);
        }
        // An ID comes back as a length and a line.
        client.pipeline_of_lines(&commands, 2 * usize::try_from(range.end - range.start)?)?;
    }
    Ok(())
}

/// Delivers all entries of that stream to a consumer of the group.
pub fn deliver(client: &mut Client, count: u64) -> Outcome<()> {
    const AT_ONCE: u64 = 10_000;
    for _ in 0..count.div_ceil(AT_ONCE) {
        let command = ["XREADGROUP", "GROUP", "mygroup", "me", "COUNT", "10000", "STREAMS", "mystream", ">"];
        client.command(&command)?;
    }
    Ok(())
}

/// A user that may do everything with the keys of ten patterns; those of redis-benchmark match the last.
pub fn user(client: &mut Client) -> Outcome<()> {
    let password = format!(">{USER}");
    let patterns: Vec<String> = (1..10).map(|number| format!("~service{number}:*")).collect();
    let mut command = vec!["ACL", "SETUSER", USER, "reset", "on", &password, "+@all", "&*"];
    command.extend(patterns.iter().map(String::as_str));
    command.push("~key:*");
    client.command(&command).map(|_| ())
}

/// Sets a limit of 100 MB and a policy, and strings until keys are evicted; if that has been done before, nothing.
pub fn until_full(client: &mut Client, policy: &str, value: &[u8]) -> Outcome<()> {
    const AT_ONCE: u64 = 100_000;
    let limit = client.command(&["CONFIG", "GET", "maxmemory"])?;
    let has = client.command(&["CONFIG", "GET", "maxmemory-policy"])?;
    let is = |reply: &Reply, wanted: &str| match reply {
        Reply::Array(pair) => pair.last() == Some(&Reply::Text(wanted.as_bytes().to_vec())),
        _ => false,
    };
    if is(&limit, FULL_BYTES) && is(&has, policy) {
        return Ok(());
    }
    client.command(&["FLUSHALL", "SYNC"])?;
    client.command(&["CONFIG", "SET", "maxmemory", FULL_BYTES, "maxmemory-policy", policy])?;
    client.command(&["CONFIG", "RESETSTAT"])?;
    for start in (0..100 * AT_ONCE).step_by(usize::try_from(AT_ONCE)?) {
        strings(client, start..start + AT_ONCE, value)?;
        if client.info("stats", "evicted_keys")?.is_some_and(|evicted| evicted != "0") {
            return Ok(());
        }
    }
    Err("the limit of memory was not reached".into())
}

/// A number that looks like chance, always the same for the same `index`: the finalizer of SplitMix64.
pub fn scattered(index: u64) -> u64 {
    let mut mixed = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// `command element:N ...`, each element behind what `before` puts there.
fn elements(
    client: &mut Client,
    command: &[&[u8]],
    range: Range<u64>,
    before: impl Fn(u64) -> Vec<String>,
) -> Outcome<()> {
    in_chunks(client, range.end - range.start, |out, chunk| {
        let words: Vec<Vec<u8>> = chunk
            .map(|index| range.start + index)
            .flat_map(|index| {
                let scores = before(index).into_iter().map(String::into_bytes);
                scores.chain([element(index).to_vec()]).collect::<Vec<_>>()
            })
            .collect();
        let mut args = command.to_vec();
        args.extend(words.iter().map(Vec::as_slice));
        encode(out, &args);
    })
}

fn element(index: u64) -> [u8; 20] {
    numbered(*b"element:000000000000", index)
}

fn in_chunks(
    client: &mut Client,
    count: u64,
    mut append: impl FnMut(&mut Vec<u8>, Range<u64>),
) -> Outcome<()> {
    each(client, 0..count.div_ceil(ELEMENTS), |out, chunk| {
        let start = chunk * ELEMENTS;
        append(out, start..count.min(start + ELEMENTS));
    })
}
