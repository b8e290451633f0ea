//! Replies that the socket has not taken.

use std::collections::VecDeque;

/// What is short is put together into pieces of this length, bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// Replies in their order, in pieces: what is long is neither copied nor moved when more comes behind it, and what has
/// been written is given back although more waits.
#[derive(Debug, Default)]
pub(super) struct Replies {
    pieces: VecDeque<Vec<u8>>,
    /// So much of the first piece has been written.
    written: usize,
    bytes: usize,
}

impl Replies {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Puts all of a buffer behind what waits, and leaves it empty. A long reply takes the buffer with it; else the
    /// buffer stays, to be used again.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) {
        self.take_rest(out, 0);
    }

    /// The same from a place on: what is before it was written at once.
    pub(super) fn take_rest(&mut self, out: &mut Vec<u8>, from: usize) {
        let rest = out.len() - from;
        self.bytes += rest;
        if let Some(last) = self.pieces.back_mut()
            && last.capacity() - last.len() >= rest
        {
            last.extend_from_slice(&out[from..]);
        } else if rest > PIECE_BYTES && rest > out.capacity() / 2 {
            if self.pieces.is_empty() {
                self.written = from;
            } else {
                out.drain(..from);
            }
            let mut piece = std::mem::take(out);
            // As it grew it took more than it needs, up to as much again.
            piece.shrink_to_fit();
            self.pieces.push_back(piece);
        } else if rest > 0 {
            // The first is mostly the last.
            let room = if self.pieces.is_empty() { rest } else { rest.max(PIECE_BYTES) };
            let mut piece = Vec::with_capacity(room);
            piece.extend_from_slice(&out[from..]);
            self.pieces.push_back(piece);
        }
        out.clear();
    }

    /// What is to be written next. It begins with the same bytes until some of them are said to be written.
    pub(super) fn next(&self) -> &[u8] {
        match self.pieces.front() {
            Some(piece) => &piece[self.written..],
            None => &[],
        }
    }

    /// So much of it has been written.
    pub(super) fn wrote(&mut self, count: usize) {
        self.bytes -= count;
        self.written += count;
        if self.pieces.front().is_some_and(|piece| piece.len() == self.written) {
            self.pieces.pop_front();
            self.written = 0;
        }
        if self.pieces.is_empty() {
            self.pieces = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes all, some bytes at a time.
    fn drain(replies: &mut Replies, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !replies.is_empty() {
            let count = replies.next().len().min(step);
            all.extend_from_slice(&replies.next()[..count]);
            replies.wrote(count);
        }
        assert!(replies.next().is_empty() && replies.pieces.is_empty() && replies.written == 0);
        all
    }

    #[test]
    fn what_is_taken_comes_out_in_its_order() {
        for step in [1, 7, PIECE_BYTES, usize::MAX] {
            let (mut replies, mut expected) = (Replies::default(), Vec::new());
            for (at, length) in [3, 0, 40_000, 5, PIECE_BYTES, 100, 70_000, 1].into_iter().enumerate() {
                let mut out = vec![at as u8; length];
                expected.extend_from_slice(&out);
                replies.take(&mut out);
                assert!(out.is_empty());
                assert_eq!(replies.len(), expected.len());
            }
            assert_eq!(drain(&mut replies, step), expected);
        }
    }

    #[test]
    fn what_was_written_at_once_does_not_come_again() {
        for from in [0, 1, 30_000] {
            let mut replies = Replies::default();
            let out: Vec<u8> = (0..50_000u32).map(|number| number as u8).collect();
            replies.take_rest(&mut out.clone(), from);
            replies.take_rest(&mut out.clone(), from);
            assert_eq!(drain(&mut replies, 999), [&out[from..], &out[from..]].concat());
        }
    }

    #[test]
    fn what_comes_meanwhile_goes_behind_and_what_is_written_is_given_back() {
        let mut replies = Replies::default();
        replies.take(&mut vec![1; 100_000]);
        replies.wrote(99_999);
        for _ in 0..100 {
            replies.take(&mut vec![2; 1_000]);
        }
        replies.wrote(1);
        let mut grown = Vec::with_capacity(60_000);
        grown.resize(40_000, 2);
        replies.take(&mut grown);
        let held: usize = replies.pieces.iter().map(Vec::capacity).sum();
        assert!(replies.len() == 140_000 && held < 160_000, "{held} bytes for 140,000");
        assert_eq!(drain(&mut replies, usize::MAX), vec![2; 140_000]);
    }

    #[test]
    fn a_short_reply_leaves_the_buffer_where_it_is() {
        let (mut replies, mut out) = (Replies::default(), Vec::with_capacity(64 * 1024));
        out.extend_from_slice(b"+OK\r\n");
        replies.take(&mut out);
        assert!(out.capacity() >= 64 * 1024 && replies.pieces[0].capacity() < 64);
        out.resize(60_000, 1);
        replies.take(&mut out);
        assert_eq!(out.capacity(), 0);
    }
}
