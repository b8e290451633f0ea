//! Passwords: only their SHA-256 is kept, and it is compared without telling by its time how much of a
//! guess is right.

use std::fmt;
use std::hint::black_box;

use sha2::{Digest, Sha256};

/// The SHA-256 of a password. It is printed nowhere by accident: its `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordHash([u8; 32]);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(hidden)")
    }
}

impl PasswordHash {
    /// Of a password.
    pub fn of(password: &[u8]) -> PasswordHash {
        PasswordHash(Sha256::digest(password).into())
    }

    /// From 64 lower-case hexadecimal digits; nothing else is a hash.
    pub fn parse(digits: &[u8]) -> Option<PasswordHash> {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        if digits.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(PasswordHash(hash))
    }

    /// As ACL LIST shows it: 64 hexadecimal digits.
    pub fn digits(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// Whether both are the same. Every byte is looked at, whatever those before it were.
    pub fn same(&self, other: &PasswordHash) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |sum, (one, two)| sum | black_box(one ^ two));
        black_box(difference) == 0
    }
}

/// Whether a password is one of these. All of them are looked at, so that the time does not tell which.
pub fn is_one_of(password: &[u8], hashes: &[PasswordHash]) -> bool {
    let given = PasswordHash::of(password);
    hashes.iter().fold(false, |found, hash| found | given.same(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_its_hash() {
        let hash = PasswordHash::of(b"foobar");
        assert_eq!(hash.digits(), "c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2");
        assert_eq!(PasswordHash::parse(hash.digits().as_bytes()), Some(hash));
        for wrong in ["", "ab", &hash.digits().to_uppercase(), &hash.digits()[1..], &"g".repeat(64)] {
            assert_eq!(PasswordHash::parse(wrong.as_bytes()), None, "{wrong}");
        }
        assert!(!format!("{hash:?}").contains("c3ab"));
    }

    #[test]
    fn one_right_password_is_enough() {
        let hashes = [PasswordHash::of(b"one"), PasswordHash::of(b"two")];
        assert!(is_one_of(b"one", &hashes) && is_one_of(b"two", &hashes));
        assert!(!is_one_of(b"", &hashes) && !is_one_of(b"onE", &hashes) && !is_one_of(b"one", &[]));
    }
}
