//! Integers of 1 to 64 bits anywhere in a row of bits, the highest bit first.

/// The type of such an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width {
    /// Two's complement.
    pub signed: bool,
    /// 1 to 64 bits, unsigned up to 63.
    pub bits: u32,
}

/// What becomes of a number that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Its lowest bits stay.
    Wrap,
    /// It becomes the nearest number that fits.
    Saturate,
    /// It is not stored.
    Fail,
}

impl Width {
    /// The smallest and the largest number.
    fn range(self) -> (i128, i128) {
        if self.signed {
            (-(1i128 << (self.bits - 1)), (1i128 << (self.bits - 1)) - 1)
        } else {
            (0, (1i128 << self.bits) - 1)
        }
    }

    /// The number that is stored for `number`; `None` when it does not fit and is to fail.
    pub fn fit(self, number: i128, overflow: Overflow) -> Option<i128> {
        let (min, max) = self.range();
        if (min..=max).contains(&number) {
            return Some(number);
        }
        match overflow {
            Overflow::Wrap => Some(self.number((number & ((1i128 << self.bits) - 1)) as u64)),
            Overflow::Saturate => Some(number.clamp(min, max)),
            Overflow::Fail => None,
        }
    }

    /// The number that these bits are.
    fn number(self, raw: u64) -> i128 {
        let number = i128::from(raw);
        if self.signed && raw >> (self.bits - 1) & 1 == 1 { number - (1i128 << self.bits) } else { number }
    }

    /// The number at a bit's offset. Bits beyond the end are zero.
    pub fn read(self, bytes: &[u8], offset: usize) -> i128 {
        let raw = (0..self.bits as usize).fold(0u64, |raw, step| {
            let at = offset + step;
            let byte = bytes.get(at / 8).copied().unwrap_or(0);
            raw << 1 | u64::from(byte >> (7 - at % 8) & 1)
        });
        self.number(raw)
    }

    /// Stores a number that fits. All its bits lie in `bytes`.
    pub fn write(self, bytes: &mut [u8], offset: usize, number: i128) {
        for step in 0..self.bits as usize {
            let at = offset + step;
            let mask = 0x80u8 >> (at % 8);
            if number >> (self.bits as usize - 1 - step) & 1 == 1 {
                bytes[at / 8] |= mask;
            } else {
                bytes[at / 8] &= !mask;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_else_changes(
            signed: bool, bits in 1u32..=63, offset in 0usize..40, number: i64, before: [u8; 16],
        ) {
            let width = Width { signed, bits };
            let stored = width.fit(i128::from(number), Overflow::Wrap).unwrap();
            let mut bytes = before;
            width.write(&mut bytes, offset, stored);
            prop_assert_eq!(width.read(&bytes, offset), stored);
            prop_assert_eq!((stored ^ i128::from(number)) & ((1i128 << bits) - 1), 0);
            width.write(&mut bytes, offset, width.read(&before, offset));
            prop_assert_eq!(bytes, before);
        }
    }

    #[test]
    fn what_does_not_fit() {
        let byte = Width { signed: false, bits: 8 };
        assert_eq!(byte.fit(256, Overflow::Wrap), Some(0));
        assert_eq!(byte.fit(256, Overflow::Saturate), Some(255));
        assert_eq!(byte.fit(-1, Overflow::Saturate), Some(0));
        assert_eq!(byte.fit(-1, Overflow::Fail), None);
        let signed = Width { signed: true, bits: 64 };
        assert_eq!(signed.fit(i128::from(i64::MAX) + 1, Overflow::Wrap), Some(i128::from(i64::MIN)));
    }
}
