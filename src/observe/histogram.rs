//! A latency histogram whose buckets grow with the value.
//!
//! Values are nanoseconds. Below 16 every value has a bucket of its own; from there on
//! every octave is cut into 16 equal parts, so a bucket is never wider than a sixteenth of
//! its lower bound (the log-linear layout of HdrHistogram, Gil Tene 2012, with four bits of
//! precision):
//!
//! ```text
//! value    0 1 2 ... 15 | 16 17 ... 31 | 32 34 ... 62 | 64 68 ... 124 | ... | 2^33 ...
//! index    0 1 2 ... 15 | 16 17 ... 31 | 32 33 ... 47 | 48 49 ...  63 | ... | 480 ... 495
//! ```
//!
//! Values of 2^34 ns (17.2 s) and more are counted in the last bucket. One histogram is
//! 496 counters of eight bytes, 3,968 bytes.
//!
//! Prometheus is shown few of them: [`BOUNDS`].

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// log2 of the number of buckets an octave.
const SUB_BITS: u32 = 4;
/// Buckets an octave.
const SUB: usize = 1 << SUB_BITS;
/// Values of two to this power and more saturate.
const TOP_BITS: u32 = 34;
/// The largest value that is told from larger ones, in nanoseconds.
pub const MAX_NANOS: u64 = (1 << TOP_BITS) - 1;
/// How many buckets there are.
pub const BUCKETS: usize = SUB * (TOP_BITS - SUB_BITS + 1) as usize;

/// The upper bounds that Prometheus is shown, as powers of two of nanoseconds: doubling from
/// 1 us to 1 ms, where commands are, then fourfold up to 17 s. They are bounds of the
/// underlying buckets, so nothing is estimated.
pub const BOUNDS: [u32; 18] = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26, 28, 30, 32, 34];

/// The bucket of a value in nanoseconds.
#[inline]
pub fn index_of(nanos: u64) -> usize {
    let value = nanos.min(MAX_NANOS);
    // Setting bit 4 gives values below 16 the shift of the first octave; they keep their
    // own bits, because the shift is then zero. So there is no branch.
    let shift = 63 - (value | SUB as u64).leading_zeros() - SUB_BITS;
    (shift as usize) * SUB + (value >> shift) as usize
}

/// The smallest value of a bucket, in nanoseconds.
pub fn lowest_of(index: usize) -> u64 {
    if index < SUB {
        return index as u64;
    }
    let shift = index / SUB - 1;
    ((SUB + index % SUB) as u64) << shift
}

/// The largest value of a bucket, in nanoseconds. The last bucket also holds what saturated.
pub fn highest_of(index: usize) -> u64 {
    if index + 1 >= BUCKETS { MAX_NANOS } else { lowest_of(index + 1) - 1 }
}

/// A histogram that one thread writes and any thread reads.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

impl Histogram {
    /// An empty histogram on the heap.
    pub fn boxed() -> Box<Self> {
        Box::default()
    }

    /// Counts one value. Only the thread that owns the histogram may call it: the counter is
    /// loaded and stored, not exchanged, which costs no locked instruction.
    #[inline]
    pub fn record(&self, nanos: u64) {
        let bucket = &self.buckets[index_of(nanos)];
        bucket.store(bucket.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// The same for a histogram that several threads write.
    pub fn record_shared(&self, nanos: u64) {
        self.buckets[index_of(nanos)].fetch_add(1, Relaxed);
    }

    /// Adds what was counted to `into`.
    pub fn add_to(&self, into: &mut Latency) {
        for (sum, bucket) in into.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.load(Relaxed);
        }
    }
}

/// A histogram and the exact sum of what it counted.
#[derive(Debug, Default)]
pub struct Times {
    histogram: Histogram,
    nanos: AtomicU64,
}

impl Times {
    /// Counts one time. Only the thread that owns this may call it.
    #[inline]
    pub fn record(&self, nanos: u64) {
        self.nanos.store(self.nanos.load(Relaxed).wrapping_add(nanos), Relaxed);
        self.histogram.record(nanos);
    }

    /// The same where several threads write.
    pub fn record_shared(&self, nanos: u64) {
        self.nanos.fetch_add(nanos, Relaxed);
        self.histogram.record_shared(nanos);
    }

    /// Adds what was counted to `into`.
    pub fn add_to(&self, into: &mut Latency) {
        self.histogram.add_to(into);
        into.sum_nanos += self.nanos.load(Relaxed);
    }
}

/// What was counted, merged over the workers: a histogram to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    buckets: Box<[u64; BUCKETS]>,
    sum_nanos: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: Box::new([0; BUCKETS]), sum_nanos: 0 }
    }
}

impl Latency {
    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of the values, in nanoseconds. It is exact: it does not come from the buckets.
    pub fn sum_nanos(&self) -> u64 {
        self.sum_nanos
    }

    /// Sets the exact sum, which is kept beside the buckets.
    pub(super) fn set_sum_nanos(&mut self, nanos: u64) {
        self.sum_nanos = nanos;
    }

    /// Takes away what had been counted at an earlier look at the same histogram.
    pub(super) fn subtract(&mut self, earlier: &Latency) {
        for (now, then) in self.buckets.iter_mut().zip(earlier.buckets.iter()) {
            *now = now.saturating_sub(*then);
        }
    }

    /// What was counted after an earlier look at the same histogram; all of it if that was emptied meanwhile.
    #[must_use]
    pub fn since(mut self, earlier: &Latency) -> Latency {
        if self.count() >= earlier.count() {
            self.subtract(earlier);
            self.sum_nanos = self.sum_nanos.saturating_sub(earlier.sum_nanos);
        }
        self
    }

    /// Adds what another histogram has counted.
    pub fn add(&mut self, other: &Latency) {
        for (sum, count) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *sum += count;
        }
        self.sum_nanos += other.sum_nanos;
    }

    /// The value in nanoseconds that `percent` of all values do not exceed, rounded up to its
    /// bucket's largest value as HdrHistogram does: at most a sixteenth above the exact one.
    /// 0 when nothing was counted.
    pub fn percentile(&self, percent: f64) -> u64 {
        self.percentiles([percent])[0]
    }

    /// Several percentiles in one pass; they must ascend.
    pub fn percentiles<const N: usize>(&self, percents: [f64; N]) -> [u64; N] {
        let count = self.count();
        let mut answers = [0; N];
        if count == 0 {
            return answers;
        }
        let mut seen = 0;
        let mut bucket = 0;
        for (answer, percent) in answers.iter_mut().zip(percents) {
            let rank = rank_of(percent, count);
            while bucket < BUCKETS && seen + self.buckets[bucket] < rank {
                seen += self.buckets[bucket];
                bucket += 1;
            }
            *answer = highest_of(bucket.min(BUCKETS - 1));
        }
        answers
    }

    /// The text of INFO latencystats for the percentiles of `latency-tracking-info-percentiles`,
    /// in microseconds with three decimals: `p50=5.023,p99=11.007,p99.9=11.007`.
    pub fn percentile_text(&self, percents: &[f64]) -> String {
        let mut text = String::new();
        for (nth, percent) in percents.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            let micros = self.percentile(*percent) as f64 / 1000.0;
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}p{percent}={micros:.3}");
        }
        text
    }

    /// How many values are below two to the power of `exponent` nanoseconds, for each of the
    /// ascending `exponents`. These bounds are bucket bounds, so the counts are exact.
    pub fn below_powers_of_two(&self, exponents: &[u32]) -> Vec<u64> {
        let mut seen = 0;
        let mut bucket = 0;
        let mut counts = Vec::with_capacity(exponents.len());
        for &exponent in exponents {
            let bound = if exponent >= TOP_BITS { BUCKETS } else { index_of(1 << exponent) };
            while bucket < bound {
                seen += self.buckets[bucket];
                bucket += 1;
            }
            counts.push(seen);
        }
        counts
    }

    /// The pairs of LATENCY HISTOGRAM: an upper bound in microseconds and how many values do
    /// not exceed it, from about 1 us on, doubling. A pair stands only where its count is
    /// above the one before; the last one counts everything.
    ///
    /// The labels are Redis's own (1, 2, 4, 8, 16, 33, 66, 132, ...): it doubles from 1,024 ns
    /// and shows the end of the bucket that this falls into, which in its histogram of two
    /// significant digits is an 128th wide. Its counts include that bucket, ours end before it.
    pub fn cumulative_micros(&self) -> Vec<(u64, u64)> {
        let exponents: Vec<u32> = (10..=TOP_BITS).collect();
        let counts = self.below_powers_of_two(&exponents);
        let mut pairs = Vec::new();
        let mut previous = 0;
        for (exponent, count) in exponents.iter().zip(counts) {
            if count > previous {
                let bound = 1_u64 << exponent;
                pairs.push(((bound + bound / 128 - 1) / 1000, count));
                previous = count;
            }
        }
        pairs
    }
}

/// The rank, from 1 to `count`, of the value at a percentile.
fn rank_of(percent: f64, count: u64) -> u64 {
    let exact = percent.clamp(0.0, 100.0) / 100.0 * count as f64;
    // 99.9 has no exact form in binary: without this a percentile that falls on a whole rank
    // could be read one rank too high.
    let nearest = exact.round();
    let rank = if (exact - nearest).abs() < exact * 1e-12 { nearest } else { exact.ceil() };
    (rank as u64).clamp(1, count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn latency_of(values: &[u64]) -> Latency {
        let histogram = Histogram::boxed();
        for &value in values {
            histogram.record(value);
        }
        let mut latency = Latency::default();
        histogram.add_to(&mut latency);
        latency.set_sum_nanos(values.iter().sum());
        latency
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for index in 0..BUCKETS {
            assert_eq!(index_of(lowest_of(index)), index);
            assert_eq!(index_of(highest_of(index)), index);
            if index + 1 < BUCKETS {
                assert_eq!(highest_of(index) + 1, lowest_of(index + 1));
            }
        }
    }

    #[test]
    fn a_histogram_is_small() {
        assert_eq!(size_of::<Histogram>(), 3968);
    }

    #[test]
    fn large_values_saturate() {
        let latency = latency_of(&[MAX_NANOS, MAX_NANOS + 1, u64::MAX / 4]);
        assert_eq!(latency.count(), 3);
        assert_eq!(latency.percentile(50.0), MAX_NANOS);
    }

    #[test]
    fn percentiles_read_as_in_info() {
        let latency = latency_of(&[3_000, 5_000, 5_000, 1_000_000]);
        assert_eq!(latency.percentile_text(&[50.0, 99.0, 99.9]), "p50=5.119,p99=1015.807,p99.9=1015.807");
        assert_eq!(latency.percentile_text(&[]), "");
    }

    #[test]
    fn a_window_is_what_came_after_an_earlier_look() {
        let earlier = latency_of(&[3_000, 5_000]);
        let window = latency_of(&[3_000, 5_000, 7_000]).since(&earlier);
        assert_eq!((window.count(), window.sum_nanos()), (1, 7_000));
        assert_eq!(window.percentile(100.0), highest_of(index_of(7_000)));
        // CONFIG RESETSTAT came in between.
        let emptied = latency_of(&[9_000]).since(&earlier);
        assert_eq!((emptied.count(), emptied.sum_nanos()), (1, 9_000));
        let mut both = window;
        both.add(&emptied);
        assert_eq!((both.count(), both.sum_nanos()), (2, 16_000));
    }

    #[test]
    fn nothing_counted_answers_zero() {
        assert_eq!(Latency::default().percentiles([50.0, 99.0]), [0, 0]);
        assert!(Latency::default().cumulative_micros().is_empty());
    }

    #[test]
    fn the_rank_of_a_whole_percentile_is_exact() {
        assert_eq!(rank_of(99.9, 1000), 999);
        assert_eq!(rank_of(50.0, 4), 2);
        assert_eq!(rank_of(50.0, 5), 3);
        assert_eq!(rank_of(0.0, 5), 1);
        assert_eq!(rank_of(100.0, 5), 5);
    }

    #[test]
    fn cumulative_labels_are_redis_ones() {
        let values: Vec<u64> = (10..30).map(|exponent| (1 << exponent) - 1).collect();
        let labels: Vec<u64> = latency_of(&values).cumulative_micros().iter().map(|p| p.0).collect();
        assert_eq!(
            labels,
            [
                1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227, 8454, 16908, 33816, 67633, 135266,
                270532, 541065
            ]
        );
    }

    #[test]
    fn cumulative_counts_skip_what_adds_nothing() {
        let latency = latency_of(&[3_000, 3_500, 700, 12_000_000]);
        assert_eq!(latency.cumulative_micros(), [(1, 1), (4, 3), (16908, 4)]);
    }

    proptest! {
        #[test]
        fn percentiles_are_at_most_a_sixteenth_too_high(
            mut values in prop::collection::vec(
                prop_oneof![0..100_u64, 0..10_000_000_u64, 0..MAX_NANOS], 1..400),
            percents in prop::collection::vec(0.0..100.0_f64, 3),
        ) {
            let latency = latency_of(&values);
            values.sort_unstable();
            let mut percents = [percents[0], percents[1], percents[2]];
            percents.sort_by(f64::total_cmp);
            for (percent, found) in percents.into_iter().zip(latency.percentiles(percents)) {
                let exact = values[rank_of(percent, values.len() as u64) as usize - 1];
                prop_assert!(found >= exact, "{found} < {exact}");
                prop_assert!(found <= exact + exact / 16, "{found} > {exact} + 1/16");
                prop_assert_eq!(latency.percentile(percent), found);
            }
            prop_assert_eq!(latency.count(), values.len() as u64);
        }

        #[test]
        fn power_of_two_counts_are_exact(
            values in prop::collection::vec(0..MAX_NANOS * 2, 0..200),
        ) {
            let exponents: Vec<u32> = (0..=TOP_BITS).collect();
            let counts = latency_of(&values).below_powers_of_two(&exponents);
            for (exponent, count) in exponents.into_iter().zip(counts) {
                let exact = values.iter().filter(|v| exponent == TOP_BITS || **v < 1 << exponent);
                prop_assert_eq!(count, exact.count() as u64);
            }
        }
    }
}
