//! The newest part of the stream, in blocks.

use std::collections::VecDeque;

/// Room of a block: Redis's PROTO_REPLY_CHUNK_BYTES.
const BLOCK_BYTES: usize = 16 * 1024;
/// A large command gets a larger block, up to this.
const LARGEST_BLOCK_BYTES: usize = 1 << 20;

/// A part of the stream.
#[derive(Debug)]
struct Block {
    /// The number of its first byte.
    first: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// The number of the byte behind it.
    fn next(&self) -> u64 {
        self.first + self.bytes.len() as u64
    }
}

/// What is kept of the stream.
#[derive(Debug)]
pub(super) struct Backlog {
    blocks: VecDeque<Block>,
    /// The number of the byte that is appended next.
    next: u64,
}

impl Backlog {
    /// Nothing yet; the first byte that is appended has this number.
    pub(super) fn new(next: u64) -> Backlog {
        Backlog { blocks: VecDeque::new(), next }
    }

    /// The number of the byte that is appended next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The number of the first byte that is kept, or of the next one.
    pub(super) fn first(&self) -> u64 {
        self.blocks.front().map_or(self.next, |block| block.first)
    }

    /// How many bytes are kept.
    pub(super) fn len(&self) -> u64 {
        self.next - self.first()
    }

    /// What the blocks take, bytes.
    pub(super) fn memory(&self) -> usize {
        self.blocks.iter().map(|block| block.bytes.capacity()).sum::<usize>()
            + self.blocks.capacity() * size_of::<Block>()
    }

    /// Appends. True when a block was begun.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> bool {
        let mut begun = false;
        while !bytes.is_empty() {
            let room = self.blocks.back().map_or(0, |block| block.bytes.capacity() - block.bytes.len());
            if room == 0 {
                let capacity = bytes.len().clamp(BLOCK_BYTES, LARGEST_BLOCK_BYTES);
                self.blocks.push_back(Block { first: self.next, bytes: Vec::with_capacity(capacity) });
                begun = true;
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(block) = self.blocks.back_mut() {
                block.bytes.extend_from_slice(now);
            }
            self.next += now.len() as u64;
            bytes = later;
        }
        begun
    }

    /// Forgets whole blocks from the front while more than `size` bytes stay, but nothing from `needed` on.
    pub(super) fn trim(&mut self, size: u64, needed: u64) {
        while let Some(front) = self.blocks.front() {
            if self.next - front.next() < size || front.next() > needed || self.blocks.len() == 1 {
                return;
            }
            self.blocks.pop_front();
        }
    }

    /// Appends up to `limit` bytes from a number on to `out`. How many.
    pub(super) fn read(&self, from: u64, limit: usize, out: &mut Vec<u8>) -> usize {
        let mut left = limit;
        let begin = self.blocks.partition_point(|block| block.next() <= from);
        for block in self.blocks.range(begin..) {
            let skipped = from.saturating_sub(block.first) as usize;
            let bytes = &block.bytes[skipped.min(block.bytes.len())..];
            let bytes = &bytes[..left.min(bytes.len())];
            out.extend_from_slice(bytes);
            left -= bytes.len();
            if left == 0 {
                break;
            }
        }
        limit - left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read_from_any_byte_on() {
        let mut backlog = Backlog::new(101);
        let all: Vec<u8> = (0..200_000u32).map(|number| number as u8).collect();
        assert!(backlog.push(&all[..10]));
        assert!(!backlog.push(&all[10..100]));
        assert!(backlog.push(&all[100..]));
        assert_eq!((backlog.first(), backlog.len()), (101, 200_000));
        for (from, limit) in [(0, 5), (99, 30_000), (16_383, 2), (16_384, 200_000), (199_999, 7)] {
            let mut out = Vec::new();
            let expected = &all[from..(from + limit).min(all.len())];
            assert_eq!(backlog.read(101 + from as u64, limit, &mut out), expected.len());
            assert!(out == expected, "from {from}");
        }
        assert_eq!(backlog.read(200_101, 9, &mut Vec::new()), 0);
    }

    #[test]
    fn the_oldest_blocks_go_unless_somebody_needs_them() {
        let mut backlog = Backlog::new(1);
        for _ in 0..100 {
            backlog.push(&[7; BLOCK_BYTES]);
        }
        let block = BLOCK_BYTES as u64;
        backlog.trim(10 * block, 5 * block);
        assert_eq!(backlog.first(), 4 * block + 1, "the byte {} is still needed", 5 * block);
        backlog.trim(10 * block, u64::MAX);
        assert_eq!((backlog.first(), backlog.len()), (90 * block + 1, 10 * block));
        backlog.trim(0, u64::MAX);
        assert_eq!(backlog.len(), block, "what is written to stays");
    }
}
