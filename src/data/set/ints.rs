//! The integers of a small set: sorted, all of one width (Redis's intset), counted from a base.
//!
//! ```text
//! [base 8][width 1][count 1, 2 or 8][integers, each less the base, width bytes][spare]
//! ```
//!
//! The width is what the distance from the lowest to the highest needs: a hundred numbers of a million
//! take three bytes each, a hundred that follow each other one, wherever they begin. The count is as wide
//! as the buffer's length demands, as in a block of `table`. Numbers are little-endian. An integer is read
//! as the eight bytes that end where it ends, which are there because the base stands before all.

use crate::data::list::size_class;

/// Sorted integers. Without any it owns no memory.
#[derive(Debug, Clone, Default)]
pub struct Ints {
    /// As long as a size class of the allocator.
    buffer: Box<[u8]>,
}

const WIDTH_AT: usize = 8;
const COUNT_AT: usize = 9;

/// How integers are written: `base` and so many bytes for what each is above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scale {
    base: i64,
    width: usize,
}

impl Scale {
    /// A scale for integers from `low` to `high`. What the width allows beyond them is divided between
    /// both ends, so that few of those that come need another one.
    fn spanning(low: i64, high: i64) -> Self {
        let range = high.wrapping_sub(low) as u64;
        let width = (64 - (range | 1).leading_zeros()).div_ceil(8) as usize;
        let slack = greatest(width) - range;
        // Half of a u64 fits.
        Self { base: low.saturating_sub((slack / 2) as i64), width }
    }

    /// What is written for `value`, unless another scale is needed.
    #[inline]
    fn above(self, value: i64) -> Option<u64> {
        let above = value.wrapping_sub(self.base) as u64;
        (value >= self.base && above <= greatest(self.width)).then_some(above)
    }
}

/// The greatest number of so many bytes.
#[inline]
fn greatest(width: usize) -> u64 {
    u64::MAX >> (64 - 8 * width)
}

/// The bytes before the integers in a buffer of this length.
#[inline]
const fn head_len(buffer: usize) -> usize {
    COUNT_AT
        + match buffer {
            ..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 8,
        }
}

/// How long a buffer for `count` integers is.
fn buffer_len(count: usize, width: usize) -> usize {
    if count == 0 {
        return 0;
    }
    let used = count * width;
    let len = size_class(used + head_len(0));
    // A wider count may need a longer buffer.
    size_class(used + head_len(len))
}

impl Ints {
    /// No integers.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        let two = |at: usize| usize::from(u16::from_le_bytes([self.buffer[at], self.buffer[at + 1]]));
        match self.buffer.len() {
            0 => 0,
            1..=0x100 => usize::from(self.buffer[COUNT_AT]),
            0x101..=0x1_0000 => two(COUNT_AT),
            _ => self.word(COUNT_AT + 8) as usize,
        }
    }

    fn set_len(&mut self, len: usize) {
        let end = head_len(self.buffer.len());
        self.buffer[COUNT_AT..end].copy_from_slice(&(len as u64).to_le_bytes()[..end - COUNT_AT]);
    }

    /// The eight bytes that end at `end`.
    #[inline]
    fn word(&self, end: usize) -> u64 {
        self.buffer[end - 8..end].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// How they are written; there have to be some.
    #[inline]
    fn scale(&self) -> Scale {
        Scale { base: self.word(WIDTH_AT) as i64, width: usize::from(self.buffer[WIDTH_AT]) }
    }

    /// What is written for the one at `index`.
    #[inline]
    fn raw(&self, head: usize, width: usize, index: usize) -> u64 {
        self.word(head + (index + 1) * width) >> (64 - 8 * width)
    }

    /// The one at `index` in ascending order.
    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        if index >= self.len() {
            return None;
        }
        let scale = self.scale();
        let above = self.raw(head_len(self.buffer.len()), scale.width, index);
        Some(scale.base.wrapping_add(above as i64))
    }

    /// Whether `value` is among them.
    pub fn contains(&self, value: i64) -> bool {
        self.search(value).is_ok()
    }

    /// Adds `value`; false when it was there.
    pub fn insert(&mut self, value: i64) -> bool {
        let Err(at) = self.search(value) else { return false };
        let len = self.len();
        let (low, high) = (self.get(0).unwrap_or(value), self.get(len.wrapping_sub(1)).unwrap_or(value));
        if len > 0
            && let Some(above) = self.scale().above(value)
        {
            self.put(at, above);
        } else {
            self.rewrite(Scale::spanning(low.min(value), high.max(value)), at, value);
        }
        true
    }

    /// Takes `value` out; false when it was not there.
    pub fn remove(&mut self, value: i64) -> bool {
        let found = self.search(value);
        found.map(|at| self.remove_at(at)).is_ok()
    }

    /// Takes the one at `index`, which has to be there.
    pub fn remove_at(&mut self, index: usize) -> i64 {
        let Scale { base, width } = self.scale();
        let (head, len) = (head_len(self.buffer.len()), self.len());
        let above = self.raw(head, width, index);
        let start = head + index * width;
        self.buffer.copy_within(start + width..head + len * width, start);
        self.set_len(len - 1);
        let roomy = buffer_len((len - 1) * 2, width);
        if (len - 1) * width < self.buffer.len() / 4 && roomy < self.buffer.len() {
            self.resize(roomy);
        }
        base.wrapping_add(above as i64)
    }

    /// The bytes that they own on the heap.
    pub fn memory_usage(&self) -> usize {
        self.buffer.len()
    }

    /// Where `value` is, or where it would have to stand.
    fn search(&self, value: i64) -> Result<usize, usize> {
        let len = self.len();
        if len == 0 {
            return Err(0);
        }
        let scale = self.scale();
        let Some(above) = scale.above(value) else {
            return Err(if value < scale.base { 0 } else { len });
        };
        let head = head_len(self.buffer.len());
        let raw = |index| self.raw(head, scale.width, index);
        // Numbers that grow are common.
        if raw(len - 1) < above {
            return Err(len);
        }
        let (mut start, mut left) = (0, len);
        while left > 1 {
            let half = left / 2;
            start += if raw(start + half) <= above { half } else { 0 };
            left -= half;
        }
        match raw(start).cmp(&above) {
            std::cmp::Ordering::Equal => Ok(start),
            std::cmp::Ordering::Less => Err(start + 1),
            std::cmp::Ordering::Greater => Err(start),
        }
    }

    /// Writes a new one that the scale has room for.
    fn put(&mut self, at: usize, above: u64) {
        let (width, len) = (self.scale().width, self.len());
        if head_len(self.buffer.len()) + (len + 1) * width > self.buffer.len() {
            self.resize(buffer_len(len + 1, width));
        }
        let head = head_len(self.buffer.len());
        let (start, end) = (head + at * width, head + len * width);
        self.buffer.copy_within(start..end, start + width);
        self.buffer[start..start + width].copy_from_slice(&above.to_le_bytes()[..width]);
        self.set_len(len + 1);
    }

    /// Moves all to a buffer of another length, which is enough for them.
    fn resize(&mut self, buffer: usize) {
        let (len, width) = (self.len(), usize::from(self.buffer[WIDTH_AT]));
        let mut moved = Vec::with_capacity(buffer);
        if buffer > 0 {
            let head = head_len(self.buffer.len());
            moved.extend_from_slice(&self.buffer[..COUNT_AT]);
            moved.resize(head_len(buffer), 0);
            moved.extend_from_slice(&self.buffer[head..head + len * width]);
            moved.resize(buffer, 0);
        }
        self.buffer = moved.into_boxed_slice();
        if buffer > 0 {
            self.set_len(len);
        }
    }

    /// Writes all in another scale, with `value` among them.
    fn rewrite(&mut self, scale: Scale, at: usize, value: i64) {
        let (len, width) = (self.len() + 1, scale.width);
        let buffer = buffer_len(len, width);
        let mut written = Vec::with_capacity(buffer);
        written.extend_from_slice(&scale.base.to_le_bytes());
        written.push(width as u8);
        written.resize(head_len(buffer), 0);
        let mut write = |value: i64| {
            let above = value.wrapping_sub(scale.base) as u64;
            written.extend_from_slice(&above.to_le_bytes()[..width]);
        };
        (0..at).filter_map(|index| self.get(index)).for_each(&mut write);
        write(value);
        (at..len - 1).filter_map(|index| self.get(index)).for_each(&mut write);
        written.resize(buffer, 0);
        self.buffer = written.into_boxed_slice();
        self.set_len(len);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![
            8 => -300i64..300,
            4 => (0..64u32).prop_map(|shift| 1i64.rotate_left(shift)),
            2 => any::<i64>(),
            2 => any::<i32>().prop_map(i64::from),
            1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(i64::MIN + 1), Just(-1), Just(0)],
        ]
    }

    proptest! {
        #[test]
        fn integers_are_what_a_tree_of_them_is(
            steps in prop::collection::vec((0..4u8, value()), 1..600),
            near in value(),
        ) {
            let (mut ints, mut model) = (Ints::new(), BTreeSet::new());
            for (kind, value) in steps {
                match kind {
                    0 => prop_assert_eq!(ints.insert(value), model.insert(value)),
                    1 => {
                        let value = near.wrapping_add(value % 200);
                        prop_assert_eq!(ints.insert(value), model.insert(value));
                    }
                    2 => prop_assert_eq!(ints.remove(value), model.remove(&value)),
                    _ if !model.is_empty() => {
                        let at = value.unsigned_abs() as usize % model.len();
                        let expected = model.iter().nth(at).copied();
                        prop_assert_eq!(Some(ints.remove_at(at)), expected);
                        expected.map(|value| model.remove(&value));
                    }
                    _ => {}
                }
                prop_assert_eq!(ints.contains(value), model.contains(&value));
                prop_assert_eq!(ints.len(), model.len());
            }
            let all: Vec<i64> = (0..ints.len()).filter_map(|at| ints.get(at)).collect();
            prop_assert!(all.iter().eq(model.iter()));
            prop_assert_eq!(ints.get(ints.len()), None);
        }
    }

    #[test]
    fn the_width_is_that_of_the_range() {
        let bytes = |values: &mut dyn Iterator<Item = i64>| {
            let mut ints = Ints::new();
            values.for_each(|value| assert!(ints.insert(value)));
            ints.memory_usage()
        };
        assert_eq!(bytes(&mut (0..100)), 112);
        assert_eq!(bytes(&mut (0..100).rev().map(|n| n + 1_700_000_000_000)), 112);
        assert_eq!(bytes(&mut (0..100).map(|n| n * 601)), 224);
        assert_eq!(bytes(&mut (0..100).map(|n| n * 10_000)), 320);
        assert_eq!(bytes(&mut (0..100).map(|n| i64::MIN + n)), 112);
        assert_eq!(bytes(&mut [i64::MIN, i64::MAX].into_iter()), 32);
        // Far more than Redis keeps in this form unless it is told to.
        assert_eq!(bytes(&mut (0..300).map(|n| n % 2 * 200 + n / 2)), 640);
        assert_eq!(bytes(&mut (0..70_000)), size_class(70_000 * 3 + 17));
    }
}
