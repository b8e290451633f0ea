//! One node of a list: a buffer of elements that is open at both ends.
//!
//! The buffer holds a gap, the elements with separators between them, and
//! capacity that is not used yet:
//!
//! ```text
//!     | gap | s0 | e0 | s1 | e1 | s2 | ... | e(n-1) | s(n) | capacity |
//!           ^ head                                         ^ buf.len()
//! ```
//!
//! A separator is the length of the element before it XOR the length of the
//! element behind it, the outermost ones having nothing on one side. So one
//! length per element is enough to walk both ways: who comes from the front
//! knows the length before a separator and gets the one behind it, and who comes
//! from the back the other way round. Adding or removing an element touches two
//! separators.
//!
//! The separators have one of three widths. In a `Uniform` node, where every
//! element has the same length, there are none at all, and an element is found
//! by multiplication. In a `Narrow` node no element is longer than 255 bytes and
//! a separator is one byte. In a `Wide` node it is two, little-endian. A longer
//! element never has company (the byte limit of a node is at most 64 KiB), and a
//! single element is uniform with itself.

use super::limit::{NodeLimit, size_class};
use super::node_iter::NodeIter;
use super::node_room::grown;

/// How a node stores lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    /// All elements have one length, kept beside the buffer.
    Uniform,
    /// One byte between two elements.
    Narrow,
    /// Two bytes between two elements.
    Wide,
}

impl Width {
    /// The bytes of one separator.
    pub(super) fn bytes(self) -> usize {
        self as usize
    }

    /// The width that elements of different lengths need, the longest being `len`.
    pub(super) fn for_mixed(len: usize) -> Self {
        if len <= usize::from(u8::MAX) { Width::Narrow } else { Width::Wide }
    }
}

/// An end of a node, or of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Front,
    Back,
}

/// How a buffer that is full gets its next capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// The smallest size class that is enough: for a list of one node, where
    /// unused capacity weighs most.
    Tight,
    /// Half as much again, beginning with a quarter of the limit: for the nodes
    /// of a long list, most of which get full.
    Eager,
}

/// Where an element lies: the offset of the separator before it, the length of
/// the element before that (0 for none), and its own length (0 past the end).
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) before: usize,
    pub(super) len: usize,
}

/// What `Node::head` can count: no buffer of several elements is larger.
const OFFSETS: usize = 1 << 16;

/// A run of elements in one buffer. See the head of this file.
#[derive(Debug)]
pub struct Node {
    pub(super) buf: Vec<u8>,
    /// Bytes before the first separator. 0 in a node of one element beyond the limit.
    pub(super) head: u16,
    pub(super) count: u16,
    /// The length of every element of a uniform node of two elements or more.
    pub(super) each: u16,
    pub(super) width: Width,
}

// A class of the allocator: a spine is a row of these.
const _: () = assert!(size_of::<Node>() == 32);

impl Node {
    /// A node without elements, which owns no memory.
    pub(super) const fn new() -> Self {
        Self { buf: Vec::new(), head: 0, count: 0, each: 0, width: Width::Uniform }
    }

    /// A node of one element. No limit applies: one element always fits.
    pub(super) fn of(value: &[u8], limit: NodeLimit, growth: Growth) -> Self {
        let mut node = Self::new();
        node.start(value, limit, growth);
        node
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements from front to back; the iterator can be taken from both ends.
    pub fn iter(&self) -> NodeIter<'_> {
        NodeIter::new(self.bytes(), self.width, self.uniform_len(), self.len())
    }

    /// The bytes that elements and separators take.
    pub(super) fn used(&self) -> usize {
        self.buf.len() - self.head()
    }

    /// The bytes that the allocator gave for the buffer.
    pub(super) fn allocated(&self) -> usize {
        size_class(self.buf.capacity())
    }

    /// The element at `index`, which is below `len()`, else `None`.
    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        if index >= self.len() {
            return None;
        }
        let place = self.place(index);
        let start = place.at + self.width.bytes();
        self.buf.get(start..start + place.len)
    }

    /// The first element.
    pub(super) fn front(&self) -> Option<&[u8]> {
        if self.count == 0 {
            return None;
        }
        let start = self.head() + self.width.bytes();
        self.buf.get(start..start + self.end_len(Side::Front))
    }

    /// The last element.
    pub(super) fn back(&self) -> Option<&[u8]> {
        if self.count == 0 {
            return None;
        }
        let end = self.buf.len() - self.width.bytes();
        self.buf.get(end - self.end_len(Side::Back)..end)
    }

    /// Adds `value` at an end; `false`, and nothing changed, when the node is full.
    #[inline]
    pub(super) fn push(&mut self, side: Side, value: &[u8], limit: NodeLimit, growth: Growth) -> bool {
        if self.count == 0 {
            self.start(value, limit, growth);
            return true;
        }
        if !self.admit(value.len(), limit, side, growth) {
            return false;
        }
        let (len, width) = (value.len(), self.width.bytes());
        match side {
            Side::Back => {
                let outer = self.buf.len() - width;
                self.flip_separator(outer, len);
                self.buf.extend_from_slice(value);
                match self.width {
                    Width::Uniform => {}
                    Width::Narrow => self.buf.push(len as u8),
                    Width::Wide => self.buf.extend_from_slice(&(len as u16).to_le_bytes()),
                }
            }
            Side::Front => {
                let outer = self.head();
                self.flip_separator(outer, len);
                let head = outer - width - len;
                self.put_separator(head, len);
                self.buf[head + width..outer].copy_from_slice(value);
                self.head = head as u16;
            }
        }
        self.count += 1;
        true
    }

    /// Takes the element at an end and gives it to `take` before it is gone.
    #[inline]
    pub(super) fn pop_with<R>(&mut self, side: Side, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let taken = match side {
            Side::Front => take(self.front()?),
            Side::Back => take(self.back()?),
        };
        let len = self.end_len(side);
        let width = self.width.bytes();
        self.count -= 1;
        match side {
            _ if self.count == 0 => self.clear(),
            Side::Front => {
                let head = self.head() + width + len;
                self.flip_separator(head, len);
                self.head = head as u16;
            }
            Side::Back => {
                let end = self.buf.len() - width - len;
                self.flip_separator(end - width, len);
                self.buf.truncate(end);
            }
        }
        Some(taken)
    }

    /// Inserts `value` before the element at `index` (at most `len()`);
    /// `false`, and nothing changed, when the node is full.
    pub(super) fn insert(&mut self, index: usize, value: &[u8], limit: NodeLimit) -> bool {
        if index == 0 {
            return self.push(Side::Front, value, limit, Growth::Tight);
        }
        if index >= self.len() {
            return self.push(Side::Back, value, limit, Growth::Tight);
        }
        if !self.admit(value.len(), limit, Side::Back, Growth::Tight) {
            return false;
        }
        let Place { at, before, len } = self.place(index);
        let width = self.width.bytes();
        let (start, end) = (at + width, self.buf.len());
        let added = value.len() + width;
        self.buf.resize(end + added, 0);
        self.buf.copy_within(start..end, start + added);
        self.buf[start..start + value.len()].copy_from_slice(value);
        self.put_separator(at, before ^ value.len());
        self.put_separator(start + value.len(), value.len() ^ len);
        self.count += 1;
        true
    }

    /// Removes the element at `index`; nothing happens past the end.
    pub(super) fn remove(&mut self, index: usize) {
        if index >= self.len() {
            return;
        }
        if index == 0 || index + 1 == self.len() {
            let side = if index == 0 { Side::Front } else { Side::Back };
            self.pop_with(side, |_| ());
            return;
        }
        let Place { at, before, len } = self.place(index);
        let width = self.width.bytes();
        let start = at + width;
        let behind = self.separator(start + len) ^ len;
        self.buf.drain(start..start + len + width);
        self.put_separator(at, before ^ behind);
        self.count -= 1;
    }

    /// Overwrites the element at `index` when `value` has its length, which
    /// leaves every separator as it is; `false` when the lengths differ.
    pub(super) fn overwrite(&mut self, index: usize, value: &[u8]) -> bool {
        let place = self.place(index);
        if place.len != value.len() {
            return false;
        }
        let start = place.at + self.width.bytes();
        self.buf[start..start + value.len()].copy_from_slice(value);
        true
    }

    /// Cuts the node before the element at `index`: it keeps what is before,
    /// and the rest is returned.
    pub(super) fn split_off(&mut self, index: usize) -> Node {
        if index >= self.len() {
            return Node::new();
        }
        let Place { at, len, .. } = self.place(index);
        let width = self.width.bytes();
        let mut buf = Vec::with_capacity(size_class(self.buf.len() - at));
        buf.extend_from_slice(&self.buf[at..]);
        let mut rest =
            Node { buf, head: 0, count: self.count - index as u16, each: self.each, width: self.width };
        if width > 0 {
            rest.put_separator(0, len);
        }
        self.truncate(index);
        rest
    }

    /// Keeps the first `keep` elements.
    pub(super) fn truncate(&mut self, keep: usize) {
        if keep == 0 {
            self.clear();
        } else if keep < self.len() {
            let Place { at, before, .. } = self.place(keep);
            self.buf.truncate(at + self.width.bytes());
            self.put_separator(at, before);
            self.count = keep as u16;
        }
    }

    /// Drops the first `skip` elements.
    pub(super) fn drop_front(&mut self, skip: usize) {
        if skip >= self.len() {
            self.clear();
        } else if skip > 0 {
            let Place { at, len, .. } = self.place(skip);
            self.put_separator(at, len);
            self.head = at as u16;
            self.count -= skip as u16;
        }
    }

    /// Keeps the elements that `keep` says, asked from front to back.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let width = self.width.bytes();
        let mut kept = Node {
            buf: Vec::with_capacity(self.buf.capacity()),
            head: 0,
            count: 0,
            each: self.each,
            width: self.width,
        };
        kept.buf.resize(width, 0);
        for element in self.iter() {
            if keep(element) {
                kept.flip_separator(kept.buf.len() - width, element.len());
                kept.buf.extend_from_slice(element);
                let outer = kept.buf.len();
                kept.buf.resize(outer + width, 0);
                kept.put_separator(outer, element.len());
                kept.count += 1;
            }
        }
        if kept.count == 0 {
            kept.clear();
        }
        *self = kept;
    }

    /// An upper bound of what a node of both nodes' elements would use.
    pub(super) fn joint_bytes(&self, other: &Node) -> usize {
        let width = match (self.width, other.width) {
            (Width::Uniform, Width::Uniform) => Width::for_mixed(self.uniform_len().max(other.uniform_len())),
            (a, b) => a.max(b).max(Width::Narrow),
        };
        self.used() + other.used() + (self.len() + other.len() + 1) * width.bytes()
    }

    pub(super) fn head(&self) -> usize {
        usize::from(self.head)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buf[self.head()..]
    }

    /// The length of the elements of a uniform node; meaningless in another.
    pub(super) fn uniform_len(&self) -> usize {
        if self.count == 1 { self.used() } else { usize::from(self.each) }
    }

    /// The length of the element at an end of a node that has elements.
    #[inline]
    fn end_len(&self, side: Side) -> usize {
        match (self.width, side) {
            (Width::Uniform, _) => self.uniform_len(),
            (_, Side::Front) => self.separator(self.head()),
            (_, Side::Back) => self.separator(self.buf.len() - self.width.bytes()),
        }
    }

    /// Where the element at `index` (at most `len()`) lies, walking from the nearer end.
    fn place(&self, index: usize) -> Place {
        let mut at = self.head();
        if self.width == Width::Uniform {
            let len = self.uniform_len();
            return Place {
                at: at + index * len,
                before: if index == 0 { 0 } else { len },
                len: if index == self.len() { 0 } else { len },
            };
        }
        let width = self.width.bytes();
        if index <= self.len() / 2 {
            let mut before = 0;
            for _ in 0..index {
                before ^= self.separator(at);
                at += width + before;
            }
            let len = before ^ self.separator(at);
            return Place { at, before, len };
        }
        let mut len = 0;
        at = self.buf.len() - width;
        for _ in index..self.len() {
            len ^= self.separator(at);
            at -= width + len;
        }
        let before = len ^ self.separator(at);
        Place { at, before, len }
    }

    #[inline]
    fn separator(&self, at: usize) -> usize {
        read_separator(&self.buf, self.width, at)
    }

    #[inline]
    pub(super) fn put_separator(&mut self, at: usize, value: usize) {
        match self.width {
            Width::Uniform => {}
            Width::Narrow => self.buf[at] = value as u8,
            Width::Wide => self.buf[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes()),
        }
    }

    /// Puts a length into a separator, or takes it out: the same operation.
    #[inline]
    fn flip_separator(&mut self, at: usize, len: usize) {
        if self.width != Width::Uniform {
            let was = self.separator(at);
            self.put_separator(at, was ^ len);
        }
    }

    fn clear(&mut self) {
        self.buf.clear();
        self.head = 0;
        self.count = 0;
        self.width = Width::Uniform;
    }

    /// Makes `value` the one element of a node that has none.
    fn start(&mut self, value: &[u8], limit: NodeLimit, growth: Growth) {
        let wanted = grown(0, value.len(), limit, growth);
        if self.buf.capacity() > wanted.max(OFFSETS) {
            // Left over from an element that had the node for itself.
            self.buf = Vec::new();
        }
        if self.buf.capacity() < wanted {
            self.buf.reserve_exact(wanted);
        }
        self.buf.extend_from_slice(value);
        self.count = 1;
    }
}

impl Clone for Node {
    /// Copies the elements into a buffer of the smallest size class.
    fn clone(&self) -> Self {
        let mut buf = Vec::with_capacity(size_class(self.used()));
        buf.extend_from_slice(self.bytes());
        Self { buf, head: 0, count: self.count, each: self.each, width: self.width }
    }
}

/// The separator at `at`: 0 where there are none.
#[inline]
pub(super) fn read_separator(bytes: &[u8], width: Width, at: usize) -> usize {
    match width {
        Width::Uniform => 0,
        Width::Narrow => usize::from(bytes[at]),
        Width::Wide => usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])),
    }
}
