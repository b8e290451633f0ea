//! What the large forms of sets and hashes are, and what small and large forms of other types share with them.
//!
//! Here live the hash table of byte strings with its cursor walk, and the packed buffer of the small forms. Here never
//! lives what a member, a field or a score means: the rooms `set`, `hash` and `sorted_set` say that.
//!
//! A [`Table`] is made of segments. Each holds the records of a range of hashes, up to 64 of them, in one buffer
//! (`segment.rs`). A full one is split in two, for the lower and the upper half of its range, and two that are
//! nearly empty are joined. So no insertion and no removal moves more than one segment's records, however many the table
//! has, and little memory stands empty. Up to 64 records there is one segment and nothing around it; beyond, directories
//! lead from a hash to its segment:
//!
//! ```text
//! tree      directory ─> chapter, of up to 256 segments     tree.rs
//! chapter   directory ─> segment, of up to 64 records       chapter.rs
//! segment   slots     ─> record                             segment.rs
//! ```

pub mod block;
mod chapter;
mod iter;
mod limits;
pub mod packed;
mod record;
mod segment;
pub mod serial;
#[cfg(test)]
mod tests;
mod tree;

use std::hash::BuildHasher;
use std::sync::LazyLock;

use siphasher::sip::SipHasher13;

pub use iter::Iter;
pub use limits::Limits;
use segment::Segment;
use tree::Tree;

use super::ahead::{Ahead, Stretch};

/// What a table's records are.
pub trait Records {
    /// Whether they have values. Without, a value is empty and takes nothing.
    const VALUES: bool;

    /// The hash of a key.
    fn hash(key: &[u8]) -> u32 {
        hash_of(key)
    }
}

/// Keys alone.
#[derive(Debug, Clone)]
pub struct Keys;

impl Records for Keys {
    const VALUES: bool = false;
}

/// Keys with values.
#[derive(Debug, Clone)]
pub struct Pairs;

impl Records for Pairs {
    const VALUES: bool = true;
}

/// A hash table. See the module's description.
#[derive(Debug)]
pub struct Table<R> {
    form: Form<R>,
    len: usize,
    /// What the segments own on the heap.
    owned_bytes: usize,
}

const _: () = assert!(size_of::<Table<Keys>>() == 64);

#[derive(Debug, Clone)]
enum Form<R> {
    One(Segment<R>),
    Many(Tree<R>),
}

/// A removal looks at whether segments can be joined when so many records, or a multiple of it, are left.
const LOOK_EVERY: usize = 8;

/// The hash of keys in every table of this process: SipHash 1-3 under a random
/// key, so that nobody can choose keys that collide, SCAN's order or not.
pub fn hash_of(key: &[u8]) -> u32 {
    static HASHER: LazyLock<SipHasher13> = LazyLock::new(|| {
        let random = std::hash::RandomState::new();
        SipHasher13::new_with_keys(random.hash_one(0u8), random.hash_one(1u8))
    });
    HASHER.hash(key) as u32
}

/// A place below `len` for a `pick` that is uniform over all of `u64`.
pub fn place_of(pick: u64, len: usize) -> usize {
    ((u128::from(pick) * len as u128) >> 64) as usize
}

impl<R: Records> Table<R> {
    /// A table without records, which owns no memory.
    pub const fn new() -> Self {
        Self { form: Form::One(Segment::new(0)), len: 0, owned_bytes: 0 }
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.len
    }

    /// All records, in no order that means anything.
    pub fn iter(&self) -> Iter<'_, R> {
        match &self.form {
            Form::One(segment) => Iter::new(std::slice::from_ref(segment), &[], self.len),
            Form::Many(tree) => Iter::new(&[], tree.chapters(), self.len),
        }
    }

    /// The value of a key; an empty one where there are no values.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let hash = R::hash(key);
        let segment = self.form.segment(hash);
        segment.find(hash, key).map(|at| segment.get(at).1)
    }

    /// Gives a key this value; true when the key is new.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> bool {
        let hash = R::hash(key);
        let mut segment = self.form.segment_mut(hash);
        if let Some(at) = segment.find(hash, key) {
            if R::VALUES && !segment.overwrite(at, value) {
                change(segment, &mut self.owned_bytes, |segment| segment.set_value(at, value));
            }
            return false;
        }
        if segment.is_full() {
            self.split(hash);
            segment = self.form.segment_mut(hash);
        }
        change(segment, &mut self.owned_bytes, |segment| segment.push(hash, key, value));
        self.len += 1;
        true
    }

    /// Takes a key out; false when it was not there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let hash = R::hash(key);
        let segment = self.form.segment_mut(hash);
        let Some(at) = segment.find(hash, key) else { return false };
        change(segment, &mut self.owned_bytes, |segment| segment.remove(at));
        self.len -= 1;
        if segment.len().is_multiple_of(LOOK_EVERY) {
            self.join(hash);
        }
        true
    }

    /// A record, each equally likely when `pick` is uniform over all of `u64`. O(1).
    pub fn random(&self, pick: u64) -> Option<(&[u8], &[u8])> {
        if self.len == 0 {
            return None;
        }
        let (segment, at) = match &self.form {
            Form::One(segment) => (segment, segment.taken().nth(place_of(pick, self.len))?),
            Form::Many(tree) => tree.random(pick, self.len),
        };
        Some(segment.get(at))
    }

    /// Shows records from `cursor` on (0 begins) and gives the next cursor, 0 when all have been shown.
    ///
    /// It stops after `count` records. A record that is there from the first call to the last is shown at least
    /// once: the walk goes from the lowest hash to the highest, and the cursor is the lowest that has not been
    /// shown, whatever is split and joined in between.
    pub fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(&[u8], &[u8])) -> u64 {
        let Ok(mut from) = u32::try_from(cursor) else { return 0 };
        let count = count.max(1);
        let mut all_shown = 0;
        // Segments without records are few, but a call looks at no more of them than it may show records.
        for _ in 0..count {
            let segment = self.form.segment(from);
            let (shown, next) = segment.scan(from, count - all_shown, &mut show);
            all_shown += shown;
            if let Some(next) = next {
                return u64::from(next);
            }
            let range = 1u64 << (32 - segment.depth());
            match u32::try_from((u64::from(from) / range + 1) * range) {
                Ok(behind) => from = behind,
                Err(_) => return 0,
            }
            if all_shown >= count {
                break;
            }
        }
        u64::from(from)
    }

    /// Where a search for a key with this hash will read.
    #[inline]
    pub fn ahead(&self, hash: u32, what: Ahead) -> Option<Stretch> {
        let segment = self.form.segment(hash);
        match what {
            Ahead::Slot => Some(Stretch::of(segment)),
            Ahead::Inner => segment.slot_ahead(hash),
            Ahead::Entry => segment.record_ahead(hash),
        }
    }

    /// The bytes that the table owns on the heap, itself not counted. O(number of records / 10,000).
    pub fn memory_usage(&self) -> usize {
        let around = match &self.form {
            Form::One(_) => 0,
            Form::Many(tree) => tree.owned_bytes(),
        };
        self.owned_bytes + around
    }

    /// Splits the segment of this hash until it has room.
    fn split(&mut self, hash: u32) {
        if let Form::One(segment) = &mut self.form {
            let all = std::mem::replace(segment, Segment::new(0));
            self.form = Form::Many(Tree::of(all));
        }
        let Form::Many(tree) = &mut self.form else { return };
        while tree.segment(hash).is_full() && tree.split(hash, &mut self.owned_bytes) {}
    }

    /// Joins the segment of this hash with another if both are nearly empty.
    fn join(&mut self, hash: u32) {
        let Form::Many(tree) = &mut self.form else { return };
        tree.join(hash, &mut self.owned_bytes);
        if let Some(only) = tree.only() {
            self.form = Form::One(only);
        }
    }
}

impl<R: Records + Clone> Clone for Table<R> {
    fn clone(&self) -> Self {
        // A copy has no space to spare, so it owns less.
        let form = self.form.clone();
        let owned_bytes = form.segments().map(Segment::owned_bytes).sum();
        Self { form, len: self.len, owned_bytes }
    }
}

impl<R: Records> Form<R> {
    fn segments(&self) -> impl Iterator<Item = &Segment<R>> {
        let (one, chapters) = match self {
            Self::One(segment) => (Some(segment), &[][..]),
            Self::Many(tree) => (None, tree.chapters()),
        };
        one.into_iter().chain(chapters.iter().flat_map(|chapter| chapter.segments()))
    }

    #[inline]
    fn segment(&self, hash: u32) -> &Segment<R> {
        match self {
            Self::One(segment) => segment,
            Self::Many(tree) => tree.segment(hash),
        }
    }

    #[inline]
    fn segment_mut(&mut self, hash: u32) -> &mut Segment<R> {
        match self {
            Self::One(segment) => segment,
            Self::Many(tree) => tree.segment_mut(hash),
        }
    }
}

/// Changes a segment and counts what it owns.
#[inline]
fn change<R: Records>(
    segment: &mut Segment<R>,
    owned_bytes: &mut usize,
    change: impl FnOnce(&mut Segment<R>),
) {
    let before = segment.owned_bytes();
    change(segment);
    *owned_bytes = *owned_bytes - before + segment.owned_bytes();
}
