//! The hash in serde's terms: a sequence of pairs of byte strings, its length
//! known beforehand. Its form is not in it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::Hash;
use crate::data::table::Limits;
use crate::data::table::serial::{Bytes, Fill};

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.len()))?;
        for (field, value) in self {
            sequence.serialize_element(&(Bytes(field), Bytes(value)))?;
        }
        sequence.end()
    }
}

impl<'de> serde::Deserialize<'de> for Hash {
    /// Reads a hash under the default limits; of a field that comes twice the
    /// last value stays. Nothing is allocated for the announced length: memory
    /// grows with the pairs that are really there.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Pairs)
    }
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Hash;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a sequence of pairs of byte strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Hash, A::Error> {
        let mut hash = Hash::new();
        let (mut field, mut value) = (Vec::new(), Vec::new());
        while sequence.next_element_seed(FillPair(&mut field, &mut value))?.is_some() {
            hash.set(&field, &value, &Limits::default());
        }
        Ok(hash)
    }
}

struct FillPair<'a>(&'a mut Vec<u8>, &'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for FillPair<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_tuple(2, self)
    }
}

impl<'de> Visitor<'de> for FillPair<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a field and its value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<(), A::Error> {
        pair.next_element_seed(Fill(self.0))?.ok_or_else(|| A::Error::invalid_length(0, &"a field"))?;
        pair.next_element_seed(Fill(self.1))?.ok_or_else(|| A::Error::invalid_length(1, &"a value"))
    }
}
