//! From registers to a count: Ertl's improved raw estimate, which needs no table of corrections.

use super::REGISTERS;

/// How many registers hold which value.
pub(super) type Histogram = [u32; 64];

/// The greatest value that a hash leaves: 50 bits of zeros, and the one that ends them.
const GREATEST: usize = 51;
/// 0.5 / ln 2.
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// The count, from a histogram over all registers.
pub(super) fn estimate(histogram: &Histogram) -> u64 {
    let m = REGISTERS as f64;
    let mut z = m * tau((m - f64::from(histogram[GREATEST])) / m);
    for &registers in histogram[1..GREATEST].iter().rev() {
        z = 0.5 * (z + f64::from(registers));
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    let count = (ALPHA * m * m / z).round();
    // Registers that no hash leaves make it infinite: out of date at once, as Redis keeps that.
    if count < i64::MAX as f64 { count as u64 } else { super::OUT_OF_DATE }
}

/// x + the sum over k >= 1 of x^(2^k) 2^(k-1): the share of registers that are still 0.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if before == sum {
            return sum;
        }
    }
}

/// One third of 1 - x - the sum over k >= 1 of (1 - x^(2^-k))^2 2^-k: the share of registers at their greatest.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if before == sum {
            return sum / 3.0;
        }
    }
}
