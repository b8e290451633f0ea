//! The stream in serde's terms: its counters, its entries in order, and its groups with what they have
//! pending. How entries lie in nodes is not in it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

use super::{Fields, Group, Id, Log, NodeLimits, Pair, Pending, Stream};
use crate::data::table::serial::{Bytes, Fill};

/// An ID as it is written.
type Numbers = (u64, u64);

fn numbers(id: Id) -> Numbers {
    (id.ms, id.seq)
}

fn id((ms, seq): Numbers) -> Id {
    Id { ms, seq }
}

#[derive(Serialize)]
struct StreamRef<'a> {
    last_id: Numbers,
    max_deleted: Numbers,
    added: u64,
    entries: EntriesRef<'a>,
    groups: Vec<GroupRef<'a>>,
}

struct EntriesRef<'a>(&'a Log);

impl Serialize for EntriesRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.0.len() as usize))?;
        for entry in self.0.iter() {
            sequence.serialize_element(&(entry.id.ms, entry.id.seq, FieldsRef(entry.fields())))?;
        }
        sequence.end()
    }
}

/// Names and values in turn.
struct FieldsRef<'a>(Fields<'a>);

impl Serialize for FieldsRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.0.len() * 2))?;
        for (name, value) in self.0 {
            sequence.serialize_element(&Bytes(name))?;
            sequence.serialize_element(&Bytes(value))?;
        }
        sequence.end()
    }
}

#[derive(Serialize)]
struct GroupRef<'a> {
    name: Bytes<'a>,
    last_id: Numbers,
    entries_read: Option<i64>,
    consumers: Vec<ConsumerRef<'a>>,
}

/// What is pending stands with its consumer.
#[derive(Serialize)]
struct ConsumerRef<'a> {
    name: Bytes<'a>,
    seen_ms: u64,
    pending: Vec<PendingForm>,
}

#[derive(Serialize, Deserialize)]
struct PendingForm {
    id: Numbers,
    delivered_ms: i64,
    deliveries: u64,
}

impl<'a> GroupRef<'a> {
    fn of(group: &'a Group) -> GroupRef<'a> {
        let pending = |id: Id| {
            group.pending(id).map(|pending| PendingForm {
                id: numbers(id),
                delivered_ms: pending.delivered_ms,
                deliveries: pending.deliveries,
            })
        };
        let consumers = group.consumers().map(|consumer| ConsumerRef {
            name: Bytes(consumer.name()),
            seen_ms: consumer.seen_ms,
            pending: consumer.pending_from(Id::MIN).filter_map(pending).collect(),
        });
        GroupRef {
            name: Bytes(group.name()),
            last_id: numbers(group.last_id),
            entries_read: group.entries_read,
            consumers: consumers.collect(),
        }
    }
}

impl Serialize for Stream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let log = self.log();
        let form = StreamRef {
            last_id: numbers(log.last_id()),
            max_deleted: numbers(log.max_deleted()),
            added: log.added(),
            entries: EntriesRef(log),
            groups: self.groups().map(GroupRef::of).collect(),
        };
        form.serialize(serializer)
    }
}

#[derive(Deserialize)]
struct StreamForm {
    last_id: Numbers,
    max_deleted: Numbers,
    added: u64,
    entries: EntriesForm,
    groups: Vec<GroupForm>,
}

#[derive(Deserialize)]
struct GroupForm {
    name: Blob,
    last_id: Numbers,
    entries_read: Option<i64>,
    consumers: Vec<ConsumerForm>,
}

#[derive(Deserialize)]
struct ConsumerForm {
    name: Blob,
    seen_ms: u64,
    pending: Vec<PendingForm>,
}

struct Blob(Vec<u8>);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        let mut bytes = Vec::new();
        Fill(&mut bytes).deserialize(deserializer)?;
        Ok(Blob(bytes))
    }
}

/// Entries are packed as they come: memory grows with those that are really there.
struct EntriesForm(Log);

impl<'de> Deserialize<'de> for EntriesForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EntriesForm, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = EntriesForm;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a sequence of entries")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<EntriesForm, A::Error> {
                let mut log = Log::default();
                while let Some((ms, seq, fields)) = sequence.next_element::<(u64, u64, Vec<Blob>)>()? {
                    let (pairs, rest) = fields.as_chunks::<2>();
                    let pairs: Vec<Pair<'_>> =
                        pairs.iter().map(|[name, value]| (&name.0[..], &value.0[..])).collect();
                    if pairs.is_empty() || !rest.is_empty() {
                        return Err(A::Error::custom("an entry without pairs of field and value"));
                    }
                    if !log.append(Id { ms, seq }, &pairs, NodeLimits::default()) {
                        return Err(A::Error::custom("entries out of order"));
                    }
                }
                Ok(EntriesForm(log))
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

impl GroupForm {
    fn add_to(self, stream: &mut Stream) -> Result<(), &'static str> {
        if !stream.create_group(&self.name.0, id(self.last_id), self.entries_read) {
            return Err("two groups of one name");
        }
        let Some((_, group)) = stream.group_mut(&self.name.0) else { return Ok(()) };
        for one in self.consumers {
            let consumer = group.create_consumer(&one.name.0, one.seen_ms);
            let consumer = consumer.ok_or("two consumers of one name")?;
            for PendingForm { id: numbers, delivered_ms, deliveries } in one.pending {
                group.assign(id(numbers), Pending { consumer, delivered_ms, deliveries });
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Stream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Stream, D::Error> {
        let form = StreamForm::deserialize(deserializer)?;
        let mut stream = Stream::new();
        *stream.log_mut() = form.entries.0;
        if id(form.last_id) < stream.log().last_id() {
            return Err(D::Error::custom("an entry above the last ID"));
        }
        stream.log_mut().set_last_id(id(form.last_id), Some(form.added), Some(id(form.max_deleted)));
        for group in form.groups {
            group.add_to(&mut stream).map_err(D::Error::custom)?;
        }
        Ok(stream)
    }
}
