//! Cutting a file into its parts, without making values of them.

use super::error::{ReadError, What};
use super::opcode;
use super::source::Source;
use super::{MAGIC, NEWEST};
use crate::persist::rdb::kind;
use crate::persist::rdb::primitive::Reader;

/// A key with the bytes of its value.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) offset: u64,
    pub(super) database: u64,
    pub(super) key: Vec<u8>,
    pub(super) expire_at_ms: Option<i64>,
    pub(super) idle_s: Option<u64>,
    pub(super) frequency: Option<u8>,
    /// The type's number, then the value.
    pub(super) value: Vec<u8>,
}

/// A part of a file.
#[derive(Debug)]
pub(super) enum Part {
    Key(Raw),
    Aux(Vec<u8>, Vec<u8>),
    Library(Vec<u8>),
    End,
}

pub(super) struct Scanner<'a> {
    pub(super) source: Source<'a>,
    pub(super) version: u16,
    database: u64,
}

impl<'a> Scanner<'a> {
    /// Reads the first nine bytes.
    pub(super) fn new(mut source: Source<'a>) -> Result<Scanner<'a>, ReadError> {
        let head: [u8; 9] = source.array()?;
        let digits = head.strip_prefix(MAGIC).filter(|digits| digits.iter().all(u8::is_ascii_digit));
        let digits = digits.ok_or(ReadError::new(0, What::Signature))?;
        let version = digits.iter().fold(0, |number, &digit| number * 10 + u16::from(digit - b'0'));
        if !(1..=NEWEST).contains(&version) {
            return Err(ReadError::new(5, What::Version(version.into())));
        }
        Ok(Scanner { source, version, database: 0 })
    }

    /// A string as what it means.
    fn text(&mut self) -> Result<Vec<u8>, ReadError> {
        let (at, mut raw) = (self.source.offset, Vec::new());
        self.source.string(&mut raw)?;
        let text = Reader::new(&raw).string();
        text.map(std::borrow::Cow::into_owned)
            .map_err(|error| ReadError::new(at, What::Malformed(error.to_string())))
    }

    fn number(&mut self) -> Result<u64, ReadError> {
        self.source.len(&mut Vec::new())
    }

    /// The next part.
    pub(super) fn next(&mut self) -> Result<Part, ReadError> {
        let (mut expire_at_ms, mut idle_s, mut frequency) = (None, None, None);
        loop {
            let offset = self.source.offset;
            let [code] = self.source.array()?;
            match code {
                opcode::EXPIRES_S => {
                    expire_at_ms = Some(i64::from(i32::from_le_bytes(self.source.array()?)) * 1_000);
                }
                opcode::EXPIRES_MS => expire_at_ms = Some(i64::from_le_bytes(self.source.array()?)),
                opcode::IDLE => idle_s = Some(self.number()?),
                opcode::FREQUENCY => {
                    let [counter] = self.source.array()?;
                    frequency = Some(counter);
                }
                opcode::SELECT => self.database = self.number()?,
                // A hint, which is not needed here and which nobody vouches for.
                opcode::RESIZE => {
                    self.number()?;
                    self.number()?;
                }
                opcode::SLOT_INFO => {
                    for _ in 0..3 {
                        self.number()?;
                    }
                }
                opcode::AUX => return Ok(Part::Aux(self.text()?, self.text()?)),
                opcode::FUNCTION => return Ok(Part::Library(self.text()?)),
                opcode::FUNCTION_PRE_GA => {
                    let what = "functions as a release candidate of Redis 7.0 wrote them (Pre-release function \
                                format not supported)";
                    return Err(ReadError::new(offset, What::Unsupported(what.to_owned())));
                }
                opcode::MODULE_AUX => {
                    let name = module_name(self.number()?);
                    let what = format!(
                        "data of the module '{name}'. The RDB file contains AUX module data I can't load: no \
                         matching module"
                    );
                    return Err(ReadError::new(offset, What::Unsupported(what)));
                }
                opcode::END => return Ok(Part::End),
                kind => {
                    let key = self.text()?;
                    let mut value = vec![kind];
                    self.value(kind, &key, offset, &mut value)?;
                    let database = self.database;
                    return Ok(Part::Key(Raw {
                        offset,
                        database,
                        key,
                        expire_at_ms,
                        idle_s,
                        frequency,
                        value,
                    }));
                }
            }
        }
    }

    /// Checks what stands after the last part, and says whether there was a checksum.
    pub(super) fn end(&mut self, check: bool) -> Result<bool, ReadError> {
        const FIRST_WITH_CHECKSUM: u16 = 5;
        if self.version < FIRST_WITH_CHECKSUM {
            return Ok(false);
        }
        let (found, at) = (self.source.checksum(), self.source.offset);
        let expected = u64::from_le_bytes(self.source.array()?);
        if check && expected != 0 && expected != found {
            return Err(ReadError::new(at, What::Checksum { expected, found }));
        }
        Ok(expected != 0)
    }

    fn strings(&mut self, count: u64, out: &mut Vec<u8>) -> Result<(), ReadError> {
        (0..count).try_for_each(|_| self.source.string(out))
    }

    fn value(&mut self, kind: u8, key: &[u8], offset: u64, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let source = &mut self.source;
        match kind {
            kind::STRING
            | kind::LIST_ZIPLIST
            | kind::SET_INTSET
            | kind::SET_LISTPACK
            | kind::HASH_ZIPMAP
            | kind::HASH_ZIPLIST
            | kind::HASH_LISTPACK
            | kind::ZSET_ZIPLIST
            | kind::ZSET_LISTPACK => source.string(out),
            kind::LIST | kind::SET | kind::LIST_QUICKLIST => {
                let count = source.len(out)?;
                self.strings(count, out)
            }
            kind::HASH => {
                let count = source.len(out)?;
                (0..count).try_for_each(|_| self.strings(2, out))
            }
            kind::ZSET => {
                let count = source.len(out)?;
                (0..count).try_for_each(|_| {
                    self.source.string(out)?;
                    match self.source.byte(out)? {
                        253..=255 => Ok(()),
                        length => self.source.copy(length.into(), out),
                    }
                })
            }
            kind::ZSET_2 => {
                let count = source.len(out)?;
                (0..count).try_for_each(|_| {
                    self.source.string(out)?;
                    self.source.copy(8, out)
                })
            }
            kind::LIST_QUICKLIST_2 => {
                let count = source.len(out)?;
                (0..count).try_for_each(|_| {
                    self.source.len(out)?;
                    self.source.string(out)
                })
            }
            kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => self.stream(kind, out),
            _ => Err(self.unknown(kind, key, offset)),
        }
    }

    fn numbers(&mut self, count: usize, out: &mut Vec<u8>) -> Result<(), ReadError> {
        (0..count).try_for_each(|_| self.source.len(out).map(drop))
    }

    fn stream(&mut self, kind: u8, out: &mut Vec<u8>) -> Result<(), ReadError> {
        /// An entry's ID where it has a fixed length.
        const ID: u64 = 16;
        /// A time.
        const TIME: u64 = 8;
        let second = kind != kind::STREAM;
        let nodes = self.source.len(out)?;
        (0..nodes).try_for_each(|_| self.strings(2, out))?;
        self.numbers(if second { 8 } else { 3 }, out)?;
        for _ in 0..self.source.len(out)? {
            self.source.string(out)?;
            self.numbers(if second { 3 } else { 2 }, out)?;
            for _ in 0..self.source.len(out)? {
                self.source.copy(ID + TIME, out)?;
                self.source.len(out)?;
            }
            for _ in 0..self.source.len(out)? {
                self.source.string(out)?;
                self.source.copy(if kind == kind::STREAM_3 { 2 * TIME } else { TIME }, out)?;
                for _ in 0..self.source.len(out)? {
                    self.source.copy(ID, out)?;
                }
            }
        }
        Ok(())
    }

    fn unknown(&mut self, kind: u8, key: &[u8], offset: u64) -> ReadError {
        let kind = match kind {
            opcode::MODULE => "a value of a module (type 6, of Redis before 4.0)".to_owned(),
            opcode::MODULE_2 => match self.number() {
                Ok(id) => format!("a value of the module '{}' (type 7)", module_name(id)),
                Err(error) => return error,
            },
            22..=25 => format!("a hash whose fields expire (type {kind}, of Redis 7.4)"),
            _ => format!("a value of the unknown type {kind}"),
        };
        ReadError::new(offset, What::UnknownType { key: key.to_vec(), kind })
    }
}

/// The name of a module's type, which its number holds: nine letters of six bits, above ten bits of a version.
fn module_name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).map(|at| char::from(LETTERS[(id >> (58 - at * 6)) as usize & 63])).collect()
}
