//! Records in, blocks out: the part of a save that may run under the store's locks.
//!
//! A record is encoded straight into the block's buffer. Small records share a block,
//! which is closed at its target size; a record that outgrows a block is moved to a block
//! of its own (only what was encoded of it so far) and continues over a chain of blocks.
//! So a value's encoding exists once, cut into pieces, and a chain holds one record only.

use std::collections::{BTreeMap, VecDeque};

use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::Serialize;

use super::error::SaveError;
use super::format::{
    BLOCK_HEADER_LEN, BlockHeader, ENDS_RECORD, KIND_RECORDS, MAX_PAYLOAD_BYTES, RUN_LEN, Run, STARTS_RECORD,
    SnapshotId, WHOLE,
};

/// A block of small records is closed once it has this many bytes. Half of the most that a
/// block may carry: a record up to the other half never has to be moved.
const TARGET_LEN: usize = MAX_PAYLOAD_BYTES / 2;
/// A buffer holds a block with its header, so that one write takes both to the file.
const BUFFER_LEN: usize = BLOCK_HEADER_LEN + MAX_PAYLOAD_BYTES;

/// A finished block: room for the header, then the payload.
pub(super) struct Block {
    pub header: BlockHeader,
    pub bytes: Vec<u8>,
}

impl Block {
    /// Computes both checksums and writes the header. Not under locks.
    pub(super) fn seal(&mut self, id: &SnapshotId) {
        let (head, payload) = self.bytes.split_at_mut(BLOCK_HEADER_LEN);
        self.header.payload_crc = crc32fast::hash(payload);
        head.copy_from_slice(&self.header.encode(id));
    }
}

/// What one saver has encoded and not handed over yet.
pub(super) struct Stream {
    number: u16,
    sequence: u32,
    buffer: Vec<u8>,
    runs: Vec<Run>,
    finished: VecDeque<Block>,
    spare: Vec<Vec<u8>>,
    keys: BTreeMap<u32, u64>,
}

impl Stream {
    pub(super) fn new(number: u16) -> Self {
        Stream {
            number,
            sequence: 0,
            buffer: new_buffer(),
            runs: Vec::new(),
            finished: VecDeque::new(),
            spare: Vec::new(),
            keys: BTreeMap::new(),
        }
    }

    /// Makes sure that `n` buffers lie ready, so that none is allocated under locks.
    pub(super) fn stock(&mut self, n: usize, mut used: impl FnMut() -> Option<Vec<u8>>) {
        while self.spare.len() < n {
            self.spare.push(used().unwrap_or_else(new_buffer));
        }
    }

    pub(super) fn take_finished(&mut self) -> Option<Block> {
        self.finished.pop_front()
    }

    /// Closes what is begun: the last block of the stream.
    pub(super) fn end(&mut self) {
        if self.buffer.len() > BLOCK_HEADER_LEN {
            let next = self.fresh();
            self.cut(WHOLE, next);
        }
    }

    /// Keys per database so far.
    pub(super) fn into_keys(self) -> BTreeMap<u32, u64> {
        self.keys
    }

    fn fresh(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(new_buffer)
    }

    /// The most that the buffer may hold when `runs` runs are to follow.
    fn room(runs: usize) -> usize {
        BUFFER_LEN.saturating_sub(runs * RUN_LEN)
    }

    /// Makes a block of the buffer and goes on in `next`.
    fn cut(&mut self, flags: u8, next: Vec<u8>) {
        let mut bytes = std::mem::replace(&mut self.buffer, next);
        let mut records = 0;
        for run in &self.runs {
            bytes.extend_from_slice(&run.encode());
            records += run.count;
            *self.keys.entry(run.db).or_default() += u64::from(run.count);
        }
        let header = BlockHeader {
            kind: KIND_RECORDS,
            flags,
            stream: self.number,
            sequence: self.sequence,
            payload_len: (bytes.len() - BLOCK_HEADER_LEN) as u32,
            runs: self.runs.len() as u32,
            records,
            payload_crc: 0,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.runs.clear();
        self.finished.push_back(Block { header, bytes });
    }
}

/// An empty block whose memory is really there: the first touch of fresh pages costs far
/// more than the bytes, and should not be paid under locks.
fn new_buffer() -> Vec<u8> {
    let mut buffer = Vec::with_capacity(BUFFER_LEN);
    buffer.resize(BUFFER_LEN, 1);
    empty(&mut buffer);
    buffer
}

/// Makes a written buffer a fresh one.
pub(super) fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(BLOCK_HEADER_LEN, 0);
}

type HandOver<'a> = dyn FnMut(Block) -> Result<(), SaveError> + 'a;

/// Takes the records of one [`Capture`](super::Capture).
pub struct BlockWriter<'a> {
    stream: &'a mut Stream,
    hand_over: &'a mut HandOver<'a>,
}

impl<'a> BlockWriter<'a> {
    pub(super) fn new(stream: &'a mut Stream, hand_over: &'a mut HandOver<'a>) -> Self {
        BlockWriter { stream, hand_over }
    }

    /// Adds the record of one key of database `db`.
    ///
    /// Works in memory only and never waits, so it may be called under locks; the bytes
    /// leave once [`Capture::next`](super::Capture::next) has returned. A record of any
    /// size is taken, but a large one better goes through
    /// [`push_unlocked`](Self::push_unlocked).
    ///
    /// # Errors
    /// [`SaveError::Encode`] if the record's own `Serialize` fails. The save is over then.
    pub fn push<R: Serialize + ?Sized>(&mut self, db: u32, record: &R) -> Result<(), SaveError> {
        encode(self.stream, None, db, record)
    }

    /// As [`push`](Self::push), for a large record and only while no lock is held: blocks
    /// leave while it is still being encoded, so that it never takes more memory than a
    /// few blocks. Waits for the disk.
    ///
    /// # Errors
    /// As `push`; [`SaveError::Cancelled`] if the save has ended meanwhile.
    pub fn push_unlocked<R: Serialize + ?Sized>(&mut self, db: u32, record: &R) -> Result<(), SaveError> {
        encode(self.stream, Some(&mut *self.hand_over), db, record)
    }

    /// Bytes that are encoded and wait until `next` returns: a measure for when to return.
    pub fn pending_bytes(&self) -> usize {
        self.stream.finished.iter().map(|b| b.bytes.len()).sum::<usize>() + self.stream.buffer.len()
            - BLOCK_HEADER_LEN
    }
}

fn encode<R: Serialize + ?Sized>(
    stream: &mut Stream,
    hand_over: Option<&mut HandOver<'_>>,
    db: u32,
    record: &R,
) -> Result<(), SaveError> {
    let mut piece = Piece::begin(stream, hand_over, db);
    let config = bincode::config::standard();
    match bincode::serde::encode_into_writer(record, &mut piece, config) {
        Ok(()) => piece.end(),
        Err(e) => Err(piece.failed.take().unwrap_or_else(|| SaveError::Encode(e.to_string()))),
    }
}

/// One record on its way into blocks.
struct Piece<'a, 'h> {
    stream: &'a mut Stream,
    hand_over: Option<&'a mut HandOver<'h>>,
    db: u32,
    /// Where the record begins in the buffer.
    start: usize,
    /// How long the buffer may grow.
    room: usize,
    /// A part of the record is already in a block of its own.
    chained: bool,
    failed: Option<SaveError>,
}

impl<'a, 'h> Piece<'a, 'h> {
    fn begin(stream: &'a mut Stream, hand_over: Option<&'a mut HandOver<'h>>, db: u32) -> Self {
        let full = stream.buffer.len() + (stream.runs.len() + 1) * RUN_LEN >= BLOCK_HEADER_LEN + TARGET_LEN;
        if full && stream.buffer.len() > BLOCK_HEADER_LEN {
            let next = stream.fresh();
            stream.cut(WHOLE, next);
        }
        let start = stream.buffer.len();
        let room = Stream::room(stream.runs.len() + 1);
        Piece { stream, hand_over, db, start, room, chained: false, failed: None }
    }

    fn end(self) -> Result<(), SaveError> {
        if self.chained {
            let next = self.stream.fresh();
            self.stream.cut(ENDS_RECORD, next);
            return Ok(());
        }
        if self.stream.buffer.len() == self.start {
            return Err(SaveError::Encode("the record encodes to nothing".to_string()));
        }
        match self.stream.runs.last_mut() {
            Some(run) if run.db == self.db => run.count += 1,
            _ => self.stream.runs.push(Run { db: self.db, count: 1 }),
        }
        Ok(())
    }

    /// Takes bytes that do not fit into the buffer.
    #[cold]
    fn overflow(&mut self, mut bytes: &[u8]) -> Result<(), SaveError> {
        if !self.chained && self.start > BLOCK_HEADER_LEN {
            self.move_to_own_block();
        }
        loop {
            let free = self.room.saturating_sub(self.stream.buffer.len());
            let (now, later) = bytes.split_at(free.min(bytes.len()));
            self.stream.buffer.extend_from_slice(now);
            if later.is_empty() {
                return Ok(());
            }
            bytes = later;
            self.cut_chain()?;
        }
    }

    /// Closes the block before this record, which goes on in one of its own.
    fn move_to_own_block(&mut self) {
        let mut next = self.stream.fresh();
        next.extend_from_slice(self.stream.buffer.get(self.start..).unwrap_or_default());
        self.stream.buffer.truncate(self.start);
        self.stream.cut(WHOLE, next);
        self.start = BLOCK_HEADER_LEN;
        self.room = Stream::room(1);
    }

    /// Closes a block in the middle of the record.
    fn cut_chain(&mut self) -> Result<(), SaveError> {
        let flags = if self.chained { 0 } else { STARTS_RECORD };
        if !self.chained {
            self.stream.runs.push(Run { db: self.db, count: 1 });
        }
        let next = self.stream.fresh();
        self.stream.cut(flags, next);
        self.chained = true;
        self.room = Stream::room(0);
        if let Some(hand_over) = &mut self.hand_over {
            while let Some(block) = self.stream.finished.pop_front() {
                hand_over(block)?;
            }
        }
        Ok(())
    }
}

impl Writer for Piece<'_, '_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if self.stream.buffer.len() + bytes.len() <= self.room {
            self.stream.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.overflow(bytes).map_err(|e| {
            self.failed = Some(e);
            EncodeError::Other("the save has ended")
        })
    }
}
