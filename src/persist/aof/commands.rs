//! What a save shows, as the commands that make it: a base without Redis's own format.

use super::reader::TIME;
use crate::data::Stream;
use crate::data::set::Member;
use crate::data::stream::Id;
use crate::persist::progress::Progress;
use crate::persist::rdb::file::{Sink, WriteOptions, Written};
use crate::persist::snapshot::SaveError;
use crate::store::{Entry, Object, Str, Walker};

/// Elements that one command brings: Redis's AOF_REWRITE_ITEMS_PER_CMD.
const ELEMENTS: usize = 64;
/// Bytes after which what there is goes to the file.
const PIECE_BYTES: usize = 256 * 1024;

/// Commands behind each other.
#[derive(Debug, Default)]
struct Out(Vec<u8>);

impl Out {
    fn count(&mut self, sign: u8, count: usize) {
        self.0.push(sign);
        self.0.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
        self.0.extend_from_slice(b"\r\n");
    }

    fn begin(&mut self, words: usize) {
        self.count(b'*', words);
    }

    fn word(&mut self, word: &[u8]) {
        self.count(b'$', word.len());
        self.0.extend_from_slice(word);
        self.0.extend_from_slice(b"\r\n");
    }

    fn command(&mut self, words: &[&[u8]]) {
        self.begin(words.len());
        words.iter().for_each(|word| self.word(word));
    }

    /// One command for so many elements, each of which is `words` words.
    fn elements<T>(
        &mut self,
        (name, key): (&str, &[u8]),
        (count, words): (usize, usize),
        elements: impl Iterator<Item = T>,
        mut put: impl FnMut(&mut Out, T),
    ) {
        for (index, element) in elements.enumerate() {
            if index.is_multiple_of(ELEMENTS) {
                self.begin(2 + ELEMENTS.min(count - index) * words);
                self.word(name.as_bytes());
                self.word(key);
            }
            put(self, element);
        }
    }
}

/// Writes what the walker shows. One thread does all: the order of the commands is that of the walk. `timed` says
/// first when the file was made.
///
/// # Errors
/// What the sink says, and [`SaveError::Cancelled`].
pub fn write(
    mut walker: Walker,
    options: &WriteOptions,
    timed: bool,
    sink: &mut dyn Sink,
    progress: &Progress,
) -> Result<Written, SaveError> {
    let (mut out, mut written, mut selected) = (Out::default(), Written::default(), None);
    if timed {
        out.0.extend_from_slice(TIME);
        out.0.extend_from_slice(format!("{}\r\n", options.created_unix_s).as_bytes());
    }
    for code in &options.libraries {
        out.command(&[b"FUNCTION", b"LOAD", code]);
    }
    loop {
        let before = written.keys;
        let more = walker.step(|database, entry| {
            if selected != Some(database) {
                selected = Some(database);
                out.command(&[b"SELECT", database.to_string().as_bytes()]);
            }
            put_entry(&mut out, entry);
            written.keys += 1;
        });
        progress.add_keys(written.keys - before);
        let delay = options.key_delay_us.saturating_mul(written.keys - before);
        if progress.is_cancelled() || !progress.wait(std::time::Duration::from_micros(delay)) {
            return Err(SaveError::Cancelled);
        }
        if out.0.len() >= PIECE_BYTES || !more {
            sink.put(&out.0)?;
            written.bytes += out.0.len() as u64;
            progress.add_bytes(out.0.len() as u64);
            out.0.clear();
        }
        if !more {
            return Ok(written);
        }
    }
}

fn put_entry(out: &mut Out, entry: &Entry) {
    let key = entry.key();
    match (entry.as_str(), entry.as_object()) {
        (Some(Str::Int(number)), _) => {
            out.command(&[b"SET", key, itoa::Buffer::new().format(number).as_bytes()]);
        }
        (Some(Str::Bytes(bytes)), _) => out.command(&[b"SET", key, bytes]),
        (None, Some(object)) => put_object(out, key, object),
        (None, None) => {}
    }
    if let Some(at) = entry.expire_at_ms() {
        out.command(&[b"PEXPIREAT", key, at.to_string().as_bytes()]);
    }
}

fn put_object(out: &mut Out, key: &[u8], object: &Object) {
    let count = object.len();
    match object {
        Object::List(list) => {
            let elements = list.nodes().flat_map(|node| node.iter());
            out.elements(("RPUSH", key), (count, 1), elements, |out, element| {
                out.word(element);
            });
        }
        Object::Set(set) => {
            out.elements(("SADD", key), (count, 1), set.iter(), |out, member: Member<'_>| {
                member.with_bytes(|bytes| out.word(bytes));
            });
        }
        Object::Hash(hash) => {
            out.elements(("HMSET", key), (count, 2), hash.iter(), |out, (field, value)| {
                out.word(field);
                out.word(value);
            });
        }
        Object::SortedSet(sorted) => {
            out.elements(("ZADD", key), (count, 2), sorted.iter(), |out, (member, score)| {
                out.word(score_text(score).as_bytes());
                out.word(member);
            });
        }
        Object::Stream(stream) => put_stream(out, key, stream),
    }
}

/// A text that reads back as the same score.
fn score_text(score: f64) -> String {
    const EXACT: f64 = (1i64 << 53) as f64;
    if score.is_infinite() {
        return if score > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if score == score.trunc() && score.abs() < EXACT && !(score == 0.0 && score.is_sign_negative()) {
        return (score as i64).to_string();
    }
    format!("{score:e}")
}

fn put_stream(out: &mut Out, key: &[u8], stream: &Stream) {
    let log = stream.log();
    for entry in log.iter() {
        out.begin(3 + 2 * entry.fields().len());
        out.word(b"XADD");
        out.word(key);
        out.word(entry.id.text().as_bytes());
        for (field, value) in entry.fields() {
            out.word(field);
            out.word(value);
        }
    }
    let last = log.last_id().text();
    if log.is_empty() {
        // A stream without entries is made by one that does not stay. An ID of zero is none.
        let id = if log.last_id() == Id::MIN { Id { ms: 0, seq: 1 } } else { log.last_id() };
        out.command(&[b"XADD", key, b"MAXLEN", b"0", id.text().as_bytes(), b"x", b"y"]);
    }
    let (added, deleted) = (log.added().to_string(), log.max_deleted().text());
    out.command(&[
        b"XSETID",
        key,
        last.as_bytes(),
        b"ENTRIESADDED",
        added.as_bytes(),
        b"MAXDELETEDID",
        deleted.as_bytes(),
    ]);
    for group in stream.groups() {
        let read = group.entries_read.unwrap_or(-1).to_string();
        let last = group.last_id.text();
        let name = group.name();
        out.command(&[b"XGROUP", b"CREATE", key, name, last.as_bytes(), b"ENTRIESREAD", read.as_bytes()]);
        for consumer in group.consumers() {
            out.command(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer.name()]);
            for id in consumer.pending_from(Id::MIN) {
                let Some(pending) = group.pending(id) else { continue };
                let (time, count) = (pending.delivered_ms.to_string(), pending.deliveries.to_string());
                out.command(&[
                    b"XCLAIM",
                    key,
                    name,
                    consumer.name(),
                    b"0",
                    id.text().as_bytes(),
                    b"TIME",
                    time.as_bytes(),
                    b"RETRYCOUNT",
                    count.as_bytes(),
                    b"JUSTID",
                    b"FORCE",
                ]);
            }
        }
    }
}
