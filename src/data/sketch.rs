//! The heaviest of very many things, in a memory that is fixed.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data
//! streams", 2005): a fixed number of counters; who has none takes over the smallest one, with what it has counted so
//! far as an error. So a count is too high by its error at most and never too low, anything that has a larger share
//! than one in the number of counters is among them, and what has no counter weighs no more than the smallest.
//!
//! Counters are searched one after the other: there are a hundred or so of them, and they lie side by side.

/// The beginning of a name, and how long it is in all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cut<const N: usize> {
    bytes: [u8; N],
    kept: u16,
    length: u64,
}

impl<const N: usize> Cut<N> {
    /// Keeps the first `N` bytes.
    pub fn of(name: &[u8]) -> Cut<N> {
        let mut bytes = [0; N];
        let kept = name.len().min(N);
        bytes[..kept].copy_from_slice(&name[..kept]);
        Cut { bytes, kept: kept as u16, length: name.len() as u64 }
    }

    /// What is kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.kept)]
    }

    /// How many bytes there are.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl<const N: usize> std::fmt::Debug for Cut<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.bytes().escape_ascii(), self.length)
    }
}

/// What a counter knows beside its count.
#[derive(Clone, Debug)]
struct Rest<T> {
    error: u64,
    part: u64,
    of: T,
}

/// A fixed number of counters, each for a thing that is known by a hash.
#[derive(Clone, Debug)]
pub struct Sketch<T> {
    capacity: usize,
    keys: Vec<u64>,
    counts: Vec<u64>,
    rest: Vec<Rest<T>>,
    total: u64,
    squares: f64,
}

impl<T> Sketch<T> {
    /// So many counters, allocated at once.
    pub fn new(capacity: usize) -> Sketch<T> {
        Sketch {
            capacity,
            keys: Vec::with_capacity(capacity),
            counts: Vec::with_capacity(capacity),
            rest: Vec::with_capacity(capacity),
            total: 0,
            squares: 0.0,
        }
    }

    /// Counts `weight` for a thing, `part` of it for its second figure. `make` says what it is, if it is new here.
    pub fn add(&mut self, key: u64, weight: u64, part: u64, make: impl FnOnce() -> T) {
        self.total += weight;
        self.squares += weight as f64 * weight as f64;
        if let Some(at) = self.keys.iter().position(|&known| known == key) {
            self.counts[at] += weight;
            self.rest[at].part += part;
        } else if self.keys.len() < self.capacity {
            self.keys.push(key);
            self.counts.push(weight);
            self.rest.push(Rest { error: 0, part, of: make() });
        } else if let Some(at) = self.smallest() {
            let error = self.counts[at];
            self.keys[at] = key;
            self.counts[at] = error + weight;
            self.rest[at] = Rest { error, part, of: make() };
        }
    }

    fn smallest(&self) -> Option<usize> {
        let least = self.counts.iter().copied().min()?;
        self.counts.iter().position(|&count| count == least)
    }

    /// What a thing without a counter weighs at most.
    pub fn floor(&self) -> u64 {
        if self.keys.len() < self.capacity { 0 } else { self.counts.iter().copied().min().unwrap_or(0) }
    }

    /// The weight of everything.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Halves all counts: what was long ago weighs less. What comes to nothing goes.
    pub fn halve(&mut self) {
        self.total /= 2;
        self.squares /= 4.0;
        let mut at = 0;
        while at < self.keys.len() {
            self.counts[at] /= 2;
            self.rest[at].error /= 2;
            self.rest[at].part /= 2;
            if self.counts[at] == 0 {
                self.keys.swap_remove(at);
                self.counts.swap_remove(at);
                self.rest.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.total, self.squares) = (0, 0.0);
        self.keys.clear();
        self.counts.clear();
        self.rest.clear();
    }
}

/// One thing that several sketches know of.
#[derive(Clone, Debug)]
pub struct Heavy<T> {
    /// It weighs so much at least.
    pub low: u64,
    /// It weighs so much at most.
    pub high: u64,
    /// Its second figure, what was counted before it had a counter left out.
    pub part: u64,
    /// What it is.
    pub of: T,
}

/// What sketches of different parts of a load say together.
#[derive(Clone, Debug)]
pub struct Heaviest<T> {
    /// The weight of everything.
    pub total: u64,
    squares: f64,
    /// Everything that has a counter somewhere, the heaviest first.
    pub all: Vec<Heavy<T>>,
}

impl<T> Default for Heaviest<T> {
    fn default() -> Heaviest<T> {
        Heaviest { total: 0, squares: 0.0, all: Vec::new() }
    }
}

impl<T: Clone> Heaviest<T> {
    /// Adds the sketches up. Where a thing has no counter it weighs anything up to that sketch's [`Sketch::floor`].
    pub fn of(sketches: &[Sketch<T>]) -> Heaviest<T> {
        let floors: u64 = sketches.iter().map(Sketch::floor).sum();
        let mut found = std::collections::HashMap::new();
        for sketch in sketches {
            let floor = sketch.floor();
            for (at, rest) in sketch.rest.iter().enumerate() {
                let new = || Heavy { low: 0, high: floors, part: 0, of: rest.of.clone() };
                let heavy = found.entry(sketch.keys[at]).or_insert_with(new);
                heavy.low += sketch.counts[at] - rest.error;
                heavy.high += sketch.counts[at].saturating_sub(floor);
                heavy.part += rest.part;
            }
        }
        let mut all: Vec<_> = found.into_values().collect();
        all.sort_by_key(|heavy| std::cmp::Reverse((heavy.low, heavy.high)));
        Heaviest {
            total: sketches.iter().map(Sketch::total).sum(),
            squares: sketches.iter().map(|sketch| sketch.squares).sum(),
            all,
        }
    }

    /// How many draws of the same weight would say as much as those that were counted (Kish's effective size).
    pub fn draws(&self) -> f64 {
        if self.squares > 0.0 { (self.total as f64).powi(2) / self.squares } else { 0.0 }
    }

    /// The share of a weight in everything, where the counts are exact.
    pub fn share(&self, weight: u64) -> f64 {
        if self.total == 0 { 0.0 } else { (weight as f64 / self.total as f64).min(1.0) }
    }

    /// Between which shares one thing's lies, where what was counted are random draws: with a confidence of 99 % for
    /// the drawing (Wilson's interval) on both sides of what the counters leave open.
    pub fn bounds(&self, heavy: &Heavy<T>) -> (f64, f64) {
        let draws = self.draws();
        (wilson(self.share(heavy.low), draws, -1.0), wilson(self.share(heavy.high), draws, 1.0))
    }
}

/// The normal distribution's quantile for 99 % between both sides.
const QUANTILE: f64 = 2.576;

/// One end of Wilson's interval for a share that was seen in so many draws.
fn wilson(share: f64, draws: f64, side: f64) -> f64 {
    if draws <= 0.0 {
        return if side < 0.0 { 0.0 } else { 1.0 };
    }
    let square = QUANTILE * QUANTILE;
    let middle = share + square / (2.0 * draws);
    let half = QUANTILE * (share * (1.0 - share) / draws + square / (4.0 * draws * draws)).sqrt();
    ((middle + side * half) / (1.0 + square / draws)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn filled(capacity: usize, stream: &[(u64, u64)]) -> Sketch<u64> {
        let mut sketch = Sketch::new(capacity);
        for &(key, weight) in stream {
            sketch.add(key, weight, weight, || key);
        }
        sketch
    }

    proptest! {
        /// The truth lies within the bounds, whatever comes and however it is spread over sketches.
        #[test]
        fn counts_are_never_too_low_and_never_wrong_by_more_than_they_say(
            streams in prop::collection::vec(
                prop::collection::vec((0_u64..40, 1_u64..9), 0..400), 1..4),
        ) {
            let sketches: Vec<_> = streams.iter().map(|stream| filled(8, stream)).collect();
            let mut truth: HashMap<u64, u64> = HashMap::new();
            streams.iter().flatten().for_each(|&(key, weight)| *truth.entry(key).or_default() += weight);
            let heaviest = Heaviest::of(&sketches);
            let total: u64 = truth.values().sum();
            prop_assert_eq!(heaviest.total, total);
            for heavy in &heaviest.all {
                let weight = truth[&heavy.of];
                prop_assert!(heavy.low <= weight && weight <= heavy.high, "{:?} for {}", heavy, weight);
                prop_assert!(heavy.part <= weight);
            }
            let floors: u64 = sketches.iter().map(Sketch::floor).sum();
            for (key, weight) in truth {
                prop_assert!(weight <= floors || heaviest.all.iter().any(|heavy| heavy.of == key));
            }
        }
    }

    #[test]
    fn while_all_have_a_counter_counts_are_exact() {
        let sketch = filled(4, &[(1, 5), (2, 1), (1, 5), (3, 2)]);
        let heaviest = Heaviest::of(&[sketch]);
        let seen: Vec<_> = heaviest.all.iter().map(|heavy| (heavy.of, heavy.low, heavy.high)).collect();
        assert_eq!(seen, [(1, 10, 10), (3, 2, 2), (2, 1, 1)]);
        assert!((heaviest.share(10) - 10.0 / 13.0).abs() < 1e-9);
    }

    #[test]
    fn memory_stays_what_it_is() {
        let mut sketch = Sketch::new(128);
        for key in 0..3_000_000_u64 {
            sketch.add(key, 1, 0, || Cut::<16>::of(b"a name of a key that is longer"));
        }
        let taken = (sketch.keys.capacity(), sketch.counts.capacity(), sketch.rest.capacity());
        assert_eq!(taken, (128, 128, 128));
        assert_eq!(sketch.total(), 3_000_000);
        assert_eq!(sketch.rest[0].of.bytes(), b"a name of a key ");
    }

    #[test]
    fn what_was_long_ago_fades() {
        let mut sketch = filled(4, &[(1, 1), (2, 40), (1, 0)]);
        sketch.halve();
        assert_eq!((sketch.total(), sketch.keys.len()), (20, 1));
        // Draws of half the weight say a quarter of what they said, beside new ones.
        sketch.add(3, 20, 0, || 3);
        assert!((Heaviest::of(&[sketch]).draws() - 1_600.0 / 800.25).abs() < 0.01);
    }

    #[test]
    fn the_interval_is_wilsons() {
        // 10 of 100 at 99 %, by hand.
        assert!((wilson(0.1, 100.0, -1.0) - 0.0460).abs() < 1e-4, "{}", wilson(0.1, 100.0, -1.0));
        assert!((wilson(0.1, 100.0, 1.0) - 0.2038).abs() < 1e-4, "{}", wilson(0.1, 100.0, 1.0));
        assert_eq!((wilson(0.0, 0.0, -1.0), wilson(0.0, 0.0, 1.0)), (0.0, 1.0));
        assert!(wilson(0.0, 50.0, -1.0).abs() < 1e-12 && wilson(1.0, 50.0, 1.0) > 1.0 - 1e-12);
    }
}
