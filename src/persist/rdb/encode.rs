//! A value to bytes, in the encodings that Redis 7.0 writes.

use crate::data::list::NodeIter;
use crate::data::set::Member;
use crate::data::{Hash, List, Set, SortedSet};
use crate::store::{Entry, Object, Str};

use super::primitive::{put_len, put_string};
use super::{intset, kind, listpack, stream};

/// An element of this size has a list node of its own that is no listpack.
const PLAIN_ELEMENT: usize = 1 << 30;

/// Appends an entry's value: its type's number, then the value. Long strings are compressed if
/// `compress` says so.
pub fn encode(entry: &Entry, compress: bool, out: &mut Vec<u8>) {
    match (entry.as_str(), entry.as_object()) {
        (Some(Str::Int(number)), _) => {
            out.push(kind::STRING);
            put_string(out, itoa::Buffer::new().format(number).as_bytes(), compress);
        }
        (Some(Str::Bytes(bytes)), _) => {
            out.push(kind::STRING);
            put_string(out, bytes, compress);
        }
        (None, Some(object)) => encode_object(object, compress, out),
        (None, None) => {}
    }
}

fn encode_object(object: &Object, compress: bool, out: &mut Vec<u8>) {
    match object {
        Object::List(list) => put_list(list, compress, out),
        Object::Set(set) => put_set(set, compress, out),
        Object::Hash(hash) => put_hash(hash, compress, out),
        Object::SortedSet(sorted) => put_sorted_set(sorted, compress, out),
        Object::Stream(entries) => {
            out.push(kind::STREAM_2);
            stream::put(entries, compress, out);
        }
    }
}

fn put_list(list: &List, compress: bool, out: &mut Vec<u8>) {
    out.push(kind::LIST_QUICKLIST_2);
    put_len(out, list.nodes().count());
    for node in list.nodes() {
        put_node(node.iter(), compress, out);
    }
}

fn put_node(mut elements: NodeIter<'_>, compress: bool, out: &mut Vec<u8>) {
    if let (1, Some(element)) = (elements.len(), elements.clone().next())
        && element.len() >= PLAIN_ELEMENT
    {
        put_len(out, kind::NODE_PLAIN as usize);
        return put_string(out, element, compress);
    }
    let mut packed = listpack::Builder::new();
    elements.by_ref().for_each(|element| packed.push(element));
    put_len(out, kind::NODE_PACKED as usize);
    put_string(out, &packed.finish(), compress);
}

fn put_set(set: &Set, compress: bool, out: &mut Vec<u8>) {
    let numbers: Option<Vec<i64>> = match set.encoding() {
        "intset" => set.iter().map(number_of).collect(),
        _ => None,
    };
    if let Some(numbers) = numbers {
        out.push(kind::SET_INTSET);
        return put_string(out, &intset::build(&numbers), compress);
    }
    out.push(kind::SET);
    put_len(out, set.len());
    set.iter().for_each(|member| member.with_bytes(|bytes| put_string(out, bytes, compress)));
}

fn number_of(member: Member<'_>) -> Option<i64> {
    match member {
        Member::Int(number) => Some(number),
        Member::Bytes(_) => None,
    }
}

fn put_hash(hash: &Hash, compress: bool, out: &mut Vec<u8>) {
    if hash.encoding() == "listpack" {
        out.push(kind::HASH_LISTPACK);
        let mut packed = listpack::Builder::new();
        for (field, value) in hash.iter() {
            packed.push(field);
            packed.push(value);
        }
        return put_string(out, &packed.finish(), compress);
    }
    out.push(kind::HASH);
    put_len(out, hash.len());
    for (field, value) in hash.iter() {
        put_string(out, field, compress);
        put_string(out, value, compress);
    }
}

fn put_sorted_set(sorted: &SortedSet, compress: bool, out: &mut Vec<u8>) {
    if sorted.encoding() == "listpack" {
        out.push(kind::ZSET_LISTPACK);
        let mut packed = listpack::Builder::new();
        for (member, score) in sorted.iter() {
            packed.push(member);
            push_score(&mut packed, score);
        }
        return put_string(out, &packed.finish(), compress);
    }
    out.push(kind::ZSET_2);
    put_len(out, sorted.len());
    // The last first: Redis's own order, in which its skip list is filled fastest.
    for (member, score) in sorted.range_rev(0, sorted.len()) {
        put_string(out, member, compress);
        out.extend_from_slice(&score.to_le_bytes());
    }
}

/// A score in a listpack is a number if it is whole, else text. Any text will do that reads back as
/// the same score and is short: Redis reads up to 127 bytes.
fn push_score(packed: &mut listpack::Builder, score: f64) {
    const EXACT: f64 = (1i64 << 53) as f64;
    if score == score.trunc() && score.abs() < EXACT {
        packed.push_int(score as i64);
    } else if score.is_infinite() {
        packed.push(if score > 0.0 { b"inf" } else { b"-inf" });
    } else {
        packed.push(format!("{score:e}").as_bytes());
    }
}
