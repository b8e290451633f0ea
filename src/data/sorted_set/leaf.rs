//! A leaf of the order: some items side by side.

use super::members::Id;

/// The most items of a leaf: with them it has one kibibyte.
pub const LEAF_ITEMS: usize = 84;

const _: () = assert!(size_of::<Leaf>() <= 1024);

/// What is ordered: a score, and the place of its member in the table.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    pub score: f64,
    pub id: Id,
}

/// Up to [`LEAF_ITEMS`] items in order.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Behind the last item: infinity.
    scores: [f64; LEAF_ITEMS],
    ids: [Id; LEAF_ITEMS],
    len: u32,
}

/// Scores of one cache line.
const LINE: usize = 8;

/// How many scores are lower than this one. All are looked at, and none because of another: their lines come at once.
#[inline]
pub fn count_below<const N: usize>(scores: &[f64; N], score: f64) -> usize {
    scores.iter().map(|other| u64::from(*other < score)).sum::<u64>() as usize
}

impl Leaf {
    pub fn new() -> Self {
        Self { scores: [f64::INFINITY; LEAF_ITEMS], ids: [0; LEAF_ITEMS], len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len as usize
    }

    pub fn get(&self, at: usize) -> Item {
        Item { score: self.scores[at], id: self.ids[at] }
    }

    /// How many items from the first on are of the kind that `is_before` says.
    pub fn partition_point(&self, mut is_before: impl FnMut(Item) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.get(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// How many items stand before a place in the order: those with a lower score, and of those with this one the
    /// first that `ties` says true of. Scores lie side by side, so that nearly always they alone decide.
    #[inline]
    pub fn place(&self, score: f64, ties: &mut impl FnMut(Id) -> bool) -> usize {
        let len = self.len();
        let scores = &self.scores[..len];
        let lower = self.count_below(score);
        if lower >= len || scores[lower] != score {
            return lower;
        }
        let equal = scores[lower..].partition_point(|other| *other == score);
        lower + self.ids[lower..lower + equal].partition_point(|id| ties(*id))
    }

    /// How many items have a lower score. First one of each line is looked at, then one line.
    #[inline]
    fn count_below(&self, score: f64) -> usize {
        let firsts = self.scores.iter().step_by(LINE);
        let lines = firsts.map(|first| usize::from(*first < score)).sum::<usize>();
        // The last line is a short one: then some of the one before are counted with it, and all of those are lower.
        let from = (lines.saturating_sub(1) * LINE).min(LEAF_ITEMS - LINE);
        match self.scores[from..].first_chunk::<LINE>() {
            Some(line) => from + count_below(line, score),
            None => unreachable!("a line is there"),
        }
    }

    /// Puts an item before the one at `at`. There has to be room.
    pub fn insert(&mut self, at: usize, item: Item) {
        let len = self.len();
        self.scores.copy_within(at..len, at + 1);
        self.ids.copy_within(at..len, at + 1);
        self.scores[at] = item.score;
        self.ids[at] = item.id;
        self.len += 1;
    }

    pub fn remove(&mut self, at: usize) -> Item {
        let item = self.get(at);
        let len = self.len();
        self.scores.copy_within(at + 1..len, at);
        self.ids.copy_within(at + 1..len, at);
        self.scores[len - 1] = f64::INFINITY;
        self.len -= 1;
        item
    }

    pub fn set_id(&mut self, at: usize, id: Id) {
        self.ids[at] = id;
    }

    /// Takes the items from `at` on into a leaf of their own.
    pub fn split_off(&mut self, at: usize) -> Self {
        let mut right = Self::new();
        let moved = self.len() - at;
        right.scores[..moved].copy_from_slice(&self.scores[at..self.len()]);
        right.ids[..moved].copy_from_slice(&self.ids[at..self.len()]);
        right.len = moved as u32;
        self.scores[at..].fill(f64::INFINITY);
        self.len = at as u32;
        right
    }

    /// Takes in all items of the leaf behind this one. There has to be room.
    pub fn append(&mut self, right: &Self) {
        let (len, added) = (self.len(), right.len());
        self.scores[len..len + added].copy_from_slice(&right.scores[..added]);
        self.ids[len..len + added].copy_from_slice(&right.ids[..added]);
        self.len += right.len;
    }
}
