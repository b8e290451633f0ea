//! Streams: nodes of entries, counters, and groups with what they have pending.
//!
//! ```text
//! [nodes] ([ID of the node 16, as a string][listpack])*
//! [entries][last ID][first ID][greatest deleted ID][entries ever added]
//! [groups] ([name][last ID][entries read]
//!           [pending] ([ID 16][delivered at 8][deliveries])*
//!           [consumers] ([name][seen at 8][pending] [ID 16]*)*)*
//! ```
//!
//! The first version lacks the first ID, the greatest deleted one, and what was added and read; the third has
//! a second time after a consumer's first. An ID is
//! two lengths, or 16 bytes with the high ones first. In a node's listpack:
//!
//! ```text
//! [entries][deleted][fields][field]*[0]                        whose fields later entries may share
//! ([flags][ms and number, above the node's][fields][field, value]* or [value]* [elements of the entry])*
//! ```

use std::collections::BTreeMap;

use crate::data::stream::{Entry, Group, Id, Log, NodeLimits, Pair, Pending};
use crate::data::{Stream, parse_i64};

use super::listpack::{self, Builder};
use super::primitive::{Reader, put_len, put_len_u64, put_string};
use super::{Element, Malformed, kind};

/// An entry is deleted.
const DELETED: i64 = 1;
/// An entry has the fields that stand at the node's beginning.
const SAME_FIELDS: i64 = 2;
/// Entries in a node that is written, and bytes after which it takes no more: Redis's defaults.
const NODE_ENTRIES: usize = 100;
const NODE_BYTES: usize = 4096;
/// How a group says that it does not know how many entries it has read: -1.
const NOT_KNOWN: u64 = u64::MAX;

/// Appends a stream in the second version.
pub fn put(stream: &Stream, compress: bool, out: &mut Vec<u8>) {
    let log = stream.log();
    let nodes = nodes(log);
    put_len(out, nodes.len());
    for (id, packed) in nodes {
        put_string(out, &bytes_of(id), false);
        put_string(out, &packed, compress);
    }
    put_len(out, stream.len());
    [log.last_id(), log.first_entry(), log.max_deleted()].iter().for_each(|&id| put_id(out, id));
    put_len_u64(out, log.added());
    put_len(out, stream.groups().len());
    stream.groups().for_each(|group| put_group(group, compress, out));
}

fn put_id(out: &mut Vec<u8>, id: Id) {
    put_len_u64(out, id.ms);
    put_len_u64(out, id.seq);
}

fn bytes_of(id: Id) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}

/// The entries in listpacks, each with the ID of its first entry.
fn nodes(log: &Log) -> Vec<(Id, Vec<u8>)> {
    let (mut nodes, mut open): (Vec<(Id, Vec<u8>)>, Vec<Entry<'_>>) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for entry in log.iter() {
        let size: usize =
            entry.fields().into_iter().map(|(field, value)| field.len() + value.len() + 4).sum();
        if open.len() >= NODE_ENTRIES || (!open.is_empty() && bytes + size > NODE_BYTES) {
            nodes.extend(node(&open));
            open.clear();
            bytes = 0;
        }
        bytes += size;
        open.push(entry);
    }
    nodes.extend(node(&open));
    nodes
}

fn node(entries: &[Entry<'_>]) -> Option<(Id, Vec<u8>)> {
    let first = entries.first()?;
    let shared: Vec<&[u8]> = first.fields().into_iter().map(|(field, _)| field).collect();
    let mut packed = Builder::new();
    [entries.len() as i64, 0, shared.len() as i64].iter().for_each(|&number| packed.push_int(number));
    shared.iter().for_each(|field| packed.push(field));
    packed.push_int(0);
    for entry in entries {
        let same = entry.fields().len() == shared.len()
            && entry.fields().into_iter().zip(&shared).all(|((field, _), shared)| field == *shared);
        packed.push_int(if same { SAME_FIELDS } else { 0 });
        // Differences wrap: Redis adds them up in 64 bits.
        packed.push_int(entry.id.ms.wrapping_sub(first.id.ms) as i64);
        packed.push_int(entry.id.seq.wrapping_sub(first.id.seq) as i64);
        if !same {
            packed.push_int(entry.fields().len() as i64);
        }
        for (field, value) in entry.fields() {
            if !same {
                packed.push(field);
            }
            packed.push(value);
        }
        packed.push_int(elements_of(entry.fields().len(), same) as i64);
    }
    Some((first.id, packed.finish()))
}

/// Elements of an entry but the last one, which says how many they are.
fn elements_of(fields: usize, same: bool) -> usize {
    if same { fields + 3 } else { fields * 2 + 4 }
}

fn put_group(group: &Group, compress: bool, out: &mut Vec<u8>) {
    put_string(out, group.name(), compress);
    put_id(out, group.last_id);
    put_len_u64(out, group.entries_read.map_or(NOT_KNOWN, |read| read as u64));
    put_len(out, group.pending_len());
    for (id, pending) in group.pending_from(Id::MIN) {
        out.extend_from_slice(&bytes_of(id));
        out.extend_from_slice(&pending.delivered_ms.to_le_bytes());
        put_len_u64(out, pending.deliveries);
    }
    put_len(out, group.consumers_len());
    for consumer in group.consumers() {
        put_string(out, consumer.name(), compress);
        out.extend_from_slice(&consumer.seen_ms.to_le_bytes());
        put_len(out, consumer.pending());
        consumer.pending_from(Id::MIN).for_each(|id| out.extend_from_slice(&bytes_of(id)));
    }
}

/// Reads a stream of the version that its type's number says.
pub fn read(reader: &mut Reader<'_>, kind: u8, limits: NodeLimits) -> Result<Stream, Malformed> {
    let second = kind != kind::STREAM;
    let mut stream = Stream::new();
    for _ in 0..reader.len()? {
        let id = id_of(reader.string()?.as_ref().try_into().map_err(|_| Malformed::Structure)?);
        read_node(id, &reader.string()?, stream.log_mut(), limits)?;
    }
    let (count, last) = (reader.len()?, id(reader)?);
    let (mut deleted, mut added) = (Id::MIN, count);
    if second {
        id(reader)?;
        (deleted, added) = (id(reader)?, reader.len()?);
    }
    if count != stream.len() as u64 || last < stream.log().last_id() {
        return Err(Malformed::Structure);
    }
    stream.log_mut().set_last_id(last, Some(added), Some(deleted));
    for _ in 0..reader.len()? {
        read_group(reader, kind, &mut stream)?;
    }
    Ok(stream)
}

fn id(reader: &mut Reader<'_>) -> Result<Id, Malformed> {
    Ok(Id { ms: reader.len()?, seq: reader.len()? })
}

fn id_of(bytes: [u8; 16]) -> Id {
    let number = u128::from_be_bytes(bytes);
    Id { ms: (number >> 64) as u64, seq: number as u64 }
}

/// The elements of a listpack, one after the other.
struct Elements<'a>(std::vec::IntoIter<Element<'a>>);

impl<'a> Elements<'a> {
    fn next(&mut self) -> Result<Element<'a>, Malformed> {
        self.0.next().ok_or(Malformed::Structure)
    }

    fn int(&mut self) -> Result<i64, Malformed> {
        match self.next()? {
            Element::Int(number) => Ok(number),
            Element::Text(text) => parse_i64(text).ok_or(Malformed::Structure),
        }
    }

    /// A number of elements, each of which is there.
    fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.int()?).map_err(|_| Malformed::Structure)?;
        if count <= self.0.len() { Ok(count) } else { Err(Malformed::Structure) }
    }

    fn text(&mut self) -> Result<Vec<u8>, Malformed> {
        Ok(self.next()?.with_bytes(<[u8]>::to_vec))
    }
}

fn read_node(first: Id, packed: &[u8], log: &mut Log, limits: NodeLimits) -> Result<(), Malformed> {
    let mut elements = Vec::new();
    listpack::each(packed, |element| {
        elements.push(element);
        Ok(())
    })?;
    let mut elements = Elements(elements.into_iter());
    let (live, deleted, fields) = (elements.count()?, elements.count()?, elements.count()?);
    let shared: Vec<Vec<u8>> = (0..fields).map(|_| elements.text()).collect::<Result<_, _>>()?;
    if elements.int()? != 0 {
        return Err(Malformed::Structure);
    }
    let (mut found, mut gone) = (0, 0);
    while elements.0.len() > 0 {
        if read_entry(first, &shared, &mut elements, log, limits)? { found += 1 } else { gone += 1 }
    }
    if (found, gone) == (live, deleted) { Ok(()) } else { Err(Malformed::Structure) }
}

/// Reads an entry; false if it was deleted.
fn read_entry(
    first: Id,
    shared: &[Vec<u8>],
    elements: &mut Elements<'_>,
    log: &mut Log,
    limits: NodeLimits,
) -> Result<bool, Malformed> {
    let flags = elements.int()?;
    let (ms, seq) = (elements.int()?, elements.int()?);
    let id = Id { ms: first.ms.wrapping_add(ms as u64), seq: first.seq.wrapping_add(seq as u64) };
    let same = flags & SAME_FIELDS != 0;
    let count = if same { shared.len() } else { elements.count()? };
    let mut texts = Vec::new();
    let mut shared = shared.iter().filter(|_| same);
    for _ in 0..count {
        let field = match shared.next() {
            Some(field) => field.clone(),
            None => elements.text()?,
        };
        texts.push((field, elements.text()?));
    }
    if elements.int()? != elements_of(count, same) as i64 {
        return Err(Malformed::Structure);
    }
    if flags & DELETED != 0 {
        return Ok(false);
    }
    let pairs: Vec<Pair<'_>> = texts.iter().map(|(field, value)| (&field[..], &value[..])).collect();
    if pairs.is_empty() || !log.append(id, &pairs, limits) {
        return Err(Malformed::Structure);
    }
    Ok(true)
}

fn read_group(reader: &mut Reader<'_>, kind: u8, stream: &mut Stream) -> Result<(), Malformed> {
    let (name, last) = (reader.string()?, id(reader)?);
    let read =
        if kind != kind::STREAM { i64::try_from(reader.len()?).ok() } else { stream.log().counter_at(last) };
    if !stream.create_group(&name, last, read) {
        return Err(Malformed::Duplicate);
    }
    let mut pending = BTreeMap::new();
    for _ in 0..reader.len()? {
        let id = id_of(reader.array()?);
        let delivered_ms = i64::from_le_bytes(reader.array()?);
        if pending.insert(id, (delivered_ms, reader.len()?)).is_some() {
            return Err(Malformed::Duplicate);
        }
    }
    let Some((_, group)) = stream.group_mut(&name) else { return Err(Malformed::Structure) };
    for _ in 0..reader.len()? {
        read_consumer(reader, kind, group, &mut pending)?;
    }
    // Nothing is pending but with a consumer.
    if pending.is_empty() { Ok(()) } else { Err(Malformed::Structure) }
}

fn read_consumer(
    reader: &mut Reader<'_>,
    kind: u8,
    group: &mut Group,
    pending: &mut BTreeMap<Id, (i64, u64)>,
) -> Result<(), Malformed> {
    let name = reader.string()?;
    let seen_ms = u64::from_le_bytes(reader.array()?);
    if kind == kind::STREAM_3 {
        // When it last got something, which Redis 7.0 does not know.
        reader.array::<8>()?;
    }
    let consumer = group.create_consumer(&name, seen_ms).ok_or(Malformed::Duplicate)?;
    for _ in 0..reader.len()? {
        let id = id_of(reader.array()?);
        let (delivered_ms, deliveries) = pending.remove(&id).ok_or(Malformed::Structure)?;
        group.assign(id, Pending { consumer, delivered_ms, deliveries });
    }
    Ok(())
}
