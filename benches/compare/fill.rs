//! Fills a server through one pipelined connection, far faster than redis-benchmark does and
//! with exactly the keys that are wanted.

use std::ops::Range;

use crate::Outcome;
use crate::resp::{Client, encode};

/// Commands in one write.
const BATCH: u64 = 500;
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

/// `SADD myset element:N ...` until the set has `count` members.
pub fn set(client: &mut Client, count: u64) -> Outcome<()> {
    in_chunks(client, count, |out, chunk| {
        let members: Vec<[u8; 20]> = chunk.map(element).collect();
        let mut args: Vec<&[u8]> = vec![b"SADD", b"myset"];
        args.extend(members.iter().map(|member| member.as_slice()));
        encode(out, &args);
    })
}

/// `ZADD myzset N element:N ...` until the sorted set has `count` members.
pub fn sorted_set(client: &mut Client, count: u64) -> Outcome<()> {
    in_chunks(client, count, |out, chunk| {
        let members: Vec<(String, [u8; 20])> =
            chunk.map(|index| (index.to_string(), element(index))).collect();
        let mut args: Vec<&[u8]> = vec![b"ZADD", b"myzset"];
        args.extend(members.iter().flat_map(|(score, member)| [score.as_bytes(), member.as_slice()]));
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
