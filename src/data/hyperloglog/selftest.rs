//! PFSELFTEST: registers hold what was put there, both encodings count the same, and the count is about right.

use super::{
    Encoding, HEADER_BYTES, Mark, REGISTERS, Registers, count, dense, empty, encoding, put, to_dense,
};

const ROUNDS: usize = 1000;
const ELEMENTS: u64 = 10_000_000;

/// A source of numbers that are different enough.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    /// xorshift64: George Marsaglia, "Xorshift RNGs", 2003.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Runs all of it; takes about a second. The error says what failed.
pub fn run(seed: u64, limit_bytes: usize) -> Result<(), String> {
    let mut numbers = Numbers(seed | 1);
    registers(&mut numbers, ROUNDS)?;
    counts(numbers.next(), limit_bytes, ELEMENTS)
}

/// Random values are written into all registers, one by one and together, and read back.
pub(super) fn registers(numbers: &mut Numbers, rounds: usize) -> Result<(), String> {
    let mut value = to_dense(&empty()).map_err(|_| "an empty value is corrupt")?;
    for _ in 0..rounds {
        let wanted: Vec<u8> = (0..REGISTERS).map(|_| numbers.next() as u8 & 0x3F).collect();
        let stored = &mut value[HEADER_BYTES..];
        wanted.iter().enumerate().for_each(|(register, &value)| dense::set(stored, register, value));
        let mut together = Registers::new();
        together.merge(&value).map_err(|_| "a dense value is corrupt")?;
        for (register, &should_be) in wanted.iter().enumerate() {
            let is = dense::get(&value[HEADER_BYTES..], register);
            if is != should_be || together.bytes()[register] != should_be {
                return Err(format!("Register {register} should be {should_be} but is {is}"));
            }
        }
    }
    Ok(())
}

/// Different elements are added to a dense and to a sparse value, which are compared at each power of ten.
pub(super) fn counts(seed: u64, limit_bytes: usize, elements: u64) -> Result<(), String> {
    let mut sparse = empty();
    let mut all_dense = to_dense(&sparse).map_err(|_| "an empty value is corrupt")?;
    let error = 1.04 / (REGISTERS as f64).sqrt();
    let mut checkpoint = 1;
    for element in 1..=elements {
        let mark = Mark::of(&(element ^ seed).to_le_bytes());
        dense::put(&mut all_dense[HEADER_BYTES..], mark);
        put(&mut sparse, mark, limit_bytes).map_err(|_| "a value became corrupt")?;
        if element < checkpoint {
            continue;
        }
        if element < limit_bytes as u64 / 2 && encoding(&sparse) != Some(Encoding::Sparse) {
            return Err("sparse encoding not used".to_owned());
        }
        let counted = count(&all_dense).map_err(|_| "a dense value is corrupt")?;
        if count(&sparse) != Ok(counted) {
            return Err("dense/sparse disagree".to_owned());
        }
        // Among ten elements a collision is likely enough.
        let allowed = if element == 10 { 1 } else { (error * 6.0 * element as f64).ceil() as u64 };
        if counted.abs_diff(element) > allowed {
            return Err(format!("Too big error. card:{element} abserr:{}", counted.abs_diff(element)));
        }
        checkpoint *= 10;
    }
    Ok(())
}
