//! Bytes to a value, whichever of its encodings they are in.

use crate::data::{Hash, List, Set, SortedSet, ValueLimits, parse_f64, parse_i64};
use crate::store::{LoadedValue, Object};

use super::primitive::Reader;
use super::{Element, Malformed, intset, kind, listpack, stream, ziplist, zipmap};

/// Reads a value: its type's number, then the value. It is stored as `limits` say, whatever form the
/// bytes have. No collection is empty.
pub fn decode(reader: &mut Reader<'_>, limits: &ValueLimits) -> Result<LoadedValue, Malformed> {
    let kind = reader.byte()?;
    let object = match kind {
        kind::STRING => return string(reader),
        kind::LIST => Object::List(plain_list(reader, limits)?),
        kind::LIST_ZIPLIST => {
            let mut list = List::new();
            ziplist::each(&reader.string()?, push_to(&mut list, limits))?;
            Object::List(list)
        }
        kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => Object::List(quick_list(reader, kind, limits)?),
        kind::SET => Object::Set(plain_set(reader, limits)?),
        kind::SET_INTSET => Object::Set(int_set(reader, limits)?),
        kind::SET_LISTPACK => Object::Set(packed_set(reader, limits)?),
        kind::HASH => Object::Hash(plain_hash(reader, limits)?),
        kind::HASH_ZIPMAP => Object::Hash(old_hash(reader, limits)?),
        kind::HASH_ZIPLIST | kind::HASH_LISTPACK => {
            Object::Hash(packed_hash(reader, kind == kind::HASH_ZIPLIST, limits)?)
        }
        kind::ZSET | kind::ZSET_2 => Object::SortedSet(plain_sorted(reader, kind == kind::ZSET, limits)?),
        kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => {
            Object::SortedSet(packed_sorted(reader, kind == kind::ZSET_ZIPLIST, limits)?)
        }
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => {
            Object::Stream(stream::read(reader, kind, limits.stream)?)
        }
        other => return Err(Malformed::Type(other)),
    };
    if object.is_empty() { Err(Malformed::Empty) } else { Ok(LoadedValue::Object(object)) }
}

fn string(reader: &mut Reader<'_>) -> Result<LoadedValue, Malformed> {
    let text = reader.string()?;
    Ok(match parse_i64(&text) {
        Some(number) => LoadedValue::Int(number),
        None => LoadedValue::Bytes(text.into_owned()),
    })
}

/// A function that appends elements to a list.
fn push_to<'e>(list: &mut List, limits: &ValueLimits) -> impl FnMut(Element<'e>) -> Result<(), Malformed> {
    let limit = limits.list;
    move |element| {
        element.with_bytes(|bytes| list.push_back(bytes, limit));
        Ok(())
    }
}

fn plain_list(reader: &mut Reader<'_>, limits: &ValueLimits) -> Result<List, Malformed> {
    let mut list = List::new();
    for _ in 0..reader.len()? {
        list.push_back(&reader.string()?, limits.list);
    }
    Ok(list)
}

fn quick_list(reader: &mut Reader<'_>, kind: u8, limits: &ValueLimits) -> Result<List, Malformed> {
    let mut list = List::new();
    for _ in 0..reader.len()? {
        let container = if kind == kind::LIST_QUICKLIST_2 { Some(reader.len()?) } else { None };
        let node = reader.string()?;
        match container {
            None => ziplist::each(&node, push_to(&mut list, limits))?,
            Some(kind::NODE_PACKED) => listpack::each(&node, push_to(&mut list, limits))?,
            Some(kind::NODE_PLAIN) if node.is_empty() => return Err(Malformed::Structure),
            Some(kind::NODE_PLAIN) => list.push_back(&node, limits.list),
            Some(_) => return Err(Malformed::Structure),
        }
    }
    Ok(list)
}

fn plain_set(reader: &mut Reader<'_>, limits: &ValueLimits) -> Result<Set, Malformed> {
    let mut set = Set::new();
    for _ in 0..reader.len()? {
        if !set.insert(&reader.string()?, &limits.set) {
            return Err(Malformed::Duplicate);
        }
    }
    Ok(set)
}

fn int_set(reader: &mut Reader<'_>, limits: &ValueLimits) -> Result<Set, Malformed> {
    let mut set = Set::new();
    intset::each(&reader.string()?, |number| {
        set.insert(itoa::Buffer::new().format(number).as_bytes(), &limits.set);
    })?;
    Ok(set)
}

fn packed_set(reader: &mut Reader<'_>, limits: &ValueLimits) -> Result<Set, Malformed> {
    let mut set = Set::new();
    listpack::each(&reader.string()?, |member| {
        let new = member.with_bytes(|member| set.insert(member, &limits.set));
        if new { Ok(()) } else { Err(Malformed::Duplicate) }
    })?;
    Ok(set)
}

fn add_field(hash: &mut Hash, field: &[u8], value: &[u8], limits: &ValueLimits) -> Result<(), Malformed> {
    if hash.set(field, value, &limits.hash) { Ok(()) } else { Err(Malformed::Duplicate) }
}

fn plain_hash(reader: &mut Reader<'_>, limits: &ValueLimits) -> Result<Hash, Malformed> {
    let mut hash = Hash::new();
    for _ in 0..reader.len()? {
        let (field, value) = (reader.string()?, reader.string()?);
        add_field(&mut hash, &field, &value, limits)?;
    }
    Ok(hash)
}

fn old_hash(reader: &mut Reader<'_>, limits: &ValueLimits) -> Result<Hash, Malformed> {
    let mut hash = Hash::new();
    zipmap::each(&reader.string()?, |field, value| add_field(&mut hash, field, value, limits))?;
    Ok(hash)
}

fn packed_hash(reader: &mut Reader<'_>, old: bool, limits: &ValueLimits) -> Result<Hash, Malformed> {
    let mut hash = Hash::new();
    let packed = reader.string()?;
    each_pair(&packed, old, |field, value| {
        field.with_bytes(|field| value.with_bytes(|value| add_field(&mut hash, field, value, limits)))
    })?;
    Ok(hash)
}

fn add_member(
    sorted: &mut SortedSet,
    member: &[u8],
    score: f64,
    limits: &ValueLimits,
) -> Result<(), Malformed> {
    if score.is_nan() {
        return Err(Malformed::Structure);
    }
    match sorted.insert(member, score, &limits.sorted_set) {
        crate::data::Added::New => Ok(()),
        _ => Err(Malformed::Duplicate),
    }
}

fn plain_sorted(
    reader: &mut Reader<'_>,
    as_text: bool,
    limits: &ValueLimits,
) -> Result<SortedSet, Malformed> {
    let mut sorted = SortedSet::new();
    for _ in 0..reader.len()? {
        let member = reader.string()?;
        let score = if as_text { text_score(reader)? } else { f64::from_le_bytes(reader.array()?) };
        add_member(&mut sorted, &member, score, limits)?;
    }
    Ok(sorted)
}

/// `[length 1][text]`; three lengths stand for what is no number that can be counted.
fn text_score(reader: &mut Reader<'_>) -> Result<f64, Malformed> {
    match reader.byte()? {
        253 => Err(Malformed::Structure),
        254 => Ok(f64::INFINITY),
        255 => Ok(f64::NEG_INFINITY),
        length => parse_f64(reader.take(u64::from(length))?).ok_or(Malformed::Structure),
    }
}

fn packed_sorted(reader: &mut Reader<'_>, old: bool, limits: &ValueLimits) -> Result<SortedSet, Malformed> {
    let mut sorted = SortedSet::new();
    let packed = reader.string()?;
    each_pair(&packed, old, |member, score| {
        let score = match score {
            Element::Int(score) => score as f64,
            Element::Text(text) => parse_f64(text).ok_or(Malformed::Structure)?,
        };
        member.with_bytes(|member| add_member(&mut sorted, member, score, limits))
    })?;
    Ok(sorted)
}

/// Shows the elements of a listpack, or a ziplist, two by two.
fn each_pair<'a>(
    packed: &'a [u8],
    old: bool,
    mut show: impl FnMut(Element<'a>, Element<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut first = None;
    let pair = |element| match first.take() {
        None => {
            first = Some(element);
            Ok(())
        }
        Some(before) => show(before, element),
    };
    if old {
        ziplist::each(packed, pair)?
    } else {
        listpack::each(packed, pair)?
    }
    if first.is_none() { Ok(()) } else { Err(Malformed::Structure) }
}
