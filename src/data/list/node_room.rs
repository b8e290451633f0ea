//! Room in a node's buffer: when it grows, slides, gets wider separators and
//! gives memory back.

use super::limit::{NodeLimit, size_class};
use super::node::{Growth, Node, Side, Width};

/// Buffers up to this size are not made smaller: nothing worth having comes back.
const KEEP_BYTES: usize = 128;

impl Node {
    /// Gives memory back once three quarters of the buffer are unused. Half of
    /// the new buffer is free again, so that a few pushes and pops more do not
    /// change it once more.
    #[inline]
    pub(super) fn shrink_when_sparse(&mut self) {
        let capacity = self.buf.capacity();
        if capacity > KEEP_BYTES && self.used() < capacity / 4 {
            self.rebuffer(size_class(self.used() * 2), Side::Back);
        }
    }

    /// Gives back what a smaller size class would spare.
    pub(super) fn shrink_to_fit(&mut self) {
        let fitting = size_class(self.used());
        if fitting < self.buf.capacity() {
            self.rebuffer(fitting, Side::Back);
        }
    }

    /// Makes the node ready for one more element of `len` bytes at `side`: its
    /// width can express it and there is room. `false` when the node is full.
    #[inline]
    pub(super) fn admit(&mut self, len: usize, limit: NodeLimit, side: Side, growth: Growth) -> bool {
        if self.len() >= limit.max_count() {
            return false;
        }
        let wanted = self.width_with(len);
        if wanted != self.width {
            return self.widen(wanted, len, limit, side);
        }
        if self.width == Width::Uniform && self.count == 1 {
            // Beyond 16 bits the limit below says no.
            self.each = len as u16;
        }
        let need = len + self.width.bytes();
        if self.used() + need > limit.max_bytes() {
            return false;
        }
        let room = match side {
            Side::Front => self.head(),
            Side::Back => self.buf.capacity() - self.buf.len(),
        };
        room >= need || self.make_room(need, limit, side, growth)
    }

    /// The width that the node needs with one more element of `len` bytes.
    #[inline]
    fn width_with(&self, len: usize) -> Width {
        match self.width {
            Width::Uniform if len == self.uniform_len() => Width::Uniform,
            Width::Uniform => Width::for_mixed(len.max(self.uniform_len())),
            Width::Narrow => Width::for_mixed(len),
            Width::Wide => Width::Wide,
        }
    }

    /// Writes the node anew with other separators, and with room at `side` for
    /// an element of `len` bytes. `false`, and nothing changed, beyond the limit.
    #[cold]
    fn widen(&mut self, width: Width, len: usize, limit: NodeLimit, side: Side) -> bool {
        let (old, new) = (self.width.bytes(), width.bytes());
        let elements = self.used() - if old == 0 { 0 } else { (self.len() + 1) * old };
        let used = elements + (self.len() + 1) * new;
        let total = used + len + new;
        if total > limit.max_bytes() {
            return false;
        }
        let capacity = size_class(total).max(self.buf.capacity());
        let gap = match side {
            Side::Front => capacity - used,
            Side::Back => 0,
        };
        let mut buf = Vec::with_capacity(capacity);
        buf.resize(gap + used, 0);
        let mut wide = Node { buf, head: gap as u16, count: self.count, each: 0, width };
        let (mut at, mut before) = (gap, 0);
        for element in self.iter() {
            wide.put_separator(at, before ^ element.len());
            at += new;
            wide.buf[at..at + element.len()].copy_from_slice(element);
            at += element.len();
            before = element.len();
        }
        wide.put_separator(at, before);
        *self = wide;
        true
    }

    /// Finds `need` bytes at `side` where there are not enough: by moving the
    /// elements when an eighth of them is free besides, else by a larger buffer.
    /// Without that eighth a list that is pushed at one end and popped at the
    /// other would move its elements at every step. `false` when the buffer is as
    /// large as it may be.
    #[cold]
    fn make_room(&mut self, need: usize, limit: NodeLimit, side: Side, growth: Growth) -> bool {
        let used = self.used();
        let free = self.buf.capacity() - used;
        let opposite = match side {
            Side::Front => self.buf.capacity() - self.buf.len(),
            Side::Back => self.head(),
        };
        let reserve = if opposite > 0 { used / 8 } else { 0 };
        if opposite > 0 && free >= need + reserve {
            let spare = (free - need) / 2;
            self.slide(match side {
                Side::Front => need + spare,
                Side::Back => spare,
            });
            return true;
        }
        let wanted = (used + need + reserve).min(limit.max_bytes());
        let capacity = grown(self.buf.capacity(), wanted, limit, growth);
        if capacity <= self.buf.capacity() {
            return false;
        }
        self.rebuffer(capacity, side);
        true
    }

    /// Moves the elements within the buffer so that they begin at `head`.
    fn slide(&mut self, head: usize) {
        let (from, end) = (self.head(), self.buf.len());
        let new_end = head + (end - from);
        if new_end > end {
            self.buf.resize(new_end, 0);
        }
        self.buf.copy_within(from..end, head);
        self.buf.truncate(new_end);
        self.head = head as u16;
    }

    /// Takes a buffer of `capacity` bytes, at least `used()`, all that is free at `side`.
    fn rebuffer(&mut self, capacity: usize, side: Side) {
        let used = self.used();
        if side == Side::Back && self.head == 0 && capacity > self.buf.capacity() {
            self.buf.reserve_exact(capacity - used);
            return;
        }
        let gap = match side {
            Side::Front => capacity - used,
            Side::Back => 0,
        };
        let mut buf = Vec::with_capacity(capacity);
        buf.resize(gap, 0);
        buf.extend_from_slice(self.bytes());
        self.buf = buf;
        self.head = gap as u16;
    }
}

/// The capacity of a buffer that must hold `wanted` bytes and had `capacity`.
pub(super) fn grown(capacity: usize, wanted: usize, limit: NodeLimit, growth: Growth) -> usize {
    let generous = match growth {
        Growth::Tight => 0,
        Growth::Eager => (capacity + capacity / 2).max(limit.max_bytes() / 4).min(limit.max_bytes()),
    };
    size_class(wanted.max(generous))
}
