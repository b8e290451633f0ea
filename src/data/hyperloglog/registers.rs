//! All registers in a byte each: what several values are merged in.

use super::{Corrupt, Encoding, HEADER_BYTES, REGISTERS, count, dense, encoding, sparse};

/// The registers, each in a byte.
pub struct Registers(Box<[u8; REGISTERS]>);

impl std::fmt::Debug for Registers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registers").finish_non_exhaustive()
    }
}

impl Default for Registers {
    fn default() -> Registers {
        Registers::new()
    }
}

impl Registers {
    /// All zero.
    pub fn new() -> Registers {
        Registers(Box::new([0; REGISTERS]))
    }

    /// The registers.
    pub fn bytes(&self) -> &[u8; REGISTERS] {
        &self.0
    }

    /// Raises each register to that of a value where it is lower. After an error some are raised.
    pub fn merge(&mut self, value: &[u8]) -> Result<(), Corrupt> {
        if encoding(value) == Some(Encoding::Dense) {
            dense::merge(&mut self.0, &value[HEADER_BYTES..]);
            return Ok(());
        }
        let mut register = 0;
        for run in sparse::Runs::of(value) {
            let end = register + run.len;
            let covered = self.0.get_mut(register..end).ok_or(Corrupt)?;
            if run.value > 0 {
                covered.iter_mut().for_each(|byte| *byte = (*byte).max(run.value));
            }
            register = end;
        }
        if register == REGISTERS { Ok(()) } else { Err(Corrupt) }
    }

    /// How many elements the merged values have seen together.
    pub fn count(&self) -> u64 {
        let words = self.0.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        count::estimate(&dense::histogram_of(words))
    }
}
