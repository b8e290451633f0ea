//! Medians, ratios with their spread, and a latency histogram. Pure: no clock, no process.
//! Compiled a second time by `tests/compare_parts.rs`, because a bench without a harness has no tests.

/// The median of `values`, or NaN when there is none.
pub fn median(values: &[f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// A ratio of two sides that ran in the same rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Median of the one side over the median of the other.
    pub of_medians: f64,
    /// The lowest ratio of any one round.
    pub lowest: f64,
    /// The highest ratio of any one round.
    pub highest: f64,
}

/// `one` over `other`, round by round. Both slices hold one figure a round, in the same order.
pub fn ratio(one: &[f64], other: &[f64]) -> Ratio {
    let rounds = one.iter().zip(other).map(|(one, other)| one / other);
    let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
    for round in rounds {
        lowest = lowest.min(round);
        highest = highest.max(round);
    }
    Ratio { of_medians: median(one) / median(other), lowest, highest }
}

/// Buckets in each doubling: a value is known to 1/64, about 1.6%.
const PER_OCTAVE: u64 = 64;
const PER_OCTAVE_BITS: u32 = PER_OCTAVE.trailing_zeros();

/// A histogram of nanoseconds with buckets that grow with the value (log-linear, as
/// HdrHistogram's), so that a microsecond and a second fit with the same relative error.
#[derive(Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::new()
    }
}

impl Histogram {
    /// An empty histogram; it takes every `u64`.
    pub fn new() -> Histogram {
        let octaves = u64::from(64 - PER_OCTAVE_BITS) + 1;
        Histogram { buckets: vec![0; (octaves * PER_OCTAVE) as usize], count: 0, max_ns: 0 }
    }

    /// Counts one value.
    pub fn record(&mut self, ns: u64) {
        self.buckets[bucket_of(ns)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value, exact.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The value that `percent` of all values do not exceed: the upper edge of its bucket, and
    /// never more than the largest value. 0 when nothing was counted.
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        let wanted = (self.count as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, held) in self.buckets.iter().enumerate() {
            seen += held;
            if seen >= wanted {
                return upper_edge(index).min(self.max_ns);
            }
        }
        self.max_ns
    }

    /// The same in microseconds.
    pub fn percentile_us(&self, percent: f64) -> f64 {
        self.percentile_ns(percent) as f64 / 1e3
    }
}

fn bucket_of(ns: u64) -> usize {
    if ns < PER_OCTAVE {
        return ns as usize;
    }
    let octave = 63 - ns.leading_zeros() - PER_OCTAVE_BITS;
    let within = (ns >> octave) - PER_OCTAVE;
    ((u64::from(octave) + 1) * PER_OCTAVE + within) as usize
}

fn upper_edge(index: usize) -> u64 {
    let index = index as u64;
    if index < PER_OCTAVE {
        return index;
    }
    let octave = index / PER_OCTAVE - 1;
    let within = u128::from(index % PER_OCTAVE + PER_OCTAVE + 1);
    u64::try_from((within << octave) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(
    unused_imports,
    dead_code,
    reason = "the bench itself is compiled with cfg(test) too, but its #[test]s are left out"
)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_none() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn ratio_is_of_medians_and_its_spread_is_of_rounds() {
        let ratio = ratio(&[1.0, 2.0, 3.0], &[4.0, 4.0, 2.0]);
        assert_eq!(ratio.of_medians, 0.5);
        assert_eq!(ratio.lowest, 0.25);
        assert_eq!(ratio.highest, 1.5);
    }

    #[test]
    fn every_value_lies_in_a_bucket_whose_edge_is_close_above_it() {
        let mut value = 1u64;
        while value < u64::MAX / 3 {
            for near in [value - 1, value, value + 1] {
                let edge = upper_edge(bucket_of(near));
                assert!(edge >= near, "{near} lies above its bucket's edge {edge}");
                assert!(edge - near <= near / PER_OCTAVE, "{near} reads as {edge}");
            }
            value = value * 3 / 2 + 1;
        }
        assert_eq!(upper_edge(bucket_of(u64::MAX)), u64::MAX);
    }

    #[test]
    fn buckets_are_in_the_order_of_their_values() {
        let mut last = 0;
        for value in 0..100_000u64 {
            let bucket = bucket_of(value);
            assert!(bucket == last || bucket == last + 1, "a gap before {value}");
            last = bucket;
        }
    }

    #[test]
    fn percentiles_of_one_to_a_thousand() {
        let mut histogram = Histogram::new();
        for value in 1..=1000 {
            histogram.record(value * 1000);
        }
        let p50 = histogram.percentile_us(50.0);
        assert!((500.0..508.0).contains(&p50), "{p50}");
        let p999 = histogram.percentile_us(99.9);
        assert!((999.0..=1000.0).contains(&p999), "{p999}");
        assert_eq!(histogram.percentile_ns(100.0), 1_000_000);
        assert_eq!(histogram.max_ns(), 1_000_000);
        assert_eq!(histogram.count(), 1000);
    }

    #[test]
    fn an_empty_histogram_says_zero() {
        assert_eq!(Histogram::new().percentile_ns(99.9), 0);
    }
}
