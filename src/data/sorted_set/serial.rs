//! The sorted set in serde's terms: a sequence of pairs of byte string and score,
//! in order, its length known beforehand. Its form is not in it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::SortedSet;
use crate::data::table::Limits;
use crate::data::table::serial::{Bytes, Fill};

impl Serialize for SortedSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.len()))?;
        for (member, score) in self {
            sequence.serialize_element(&(Bytes(member), score))?;
        }
        sequence.end()
    }
}

impl<'de> serde::Deserialize<'de> for SortedSet {
    /// Reads a sorted set under the default limits; of a member that comes twice
    /// the last score stays. A score that is not a number is an error. Nothing
    /// is allocated for the announced length: memory grows with the members
    /// that are really there.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = SortedSet;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a sequence of pairs of byte string and score")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<SortedSet, A::Error> {
        let mut set = SortedSet::new();
        let mut member = Vec::new();
        while let Some(score) = sequence.next_element_seed(FillMember(&mut member))? {
            set.insert(&member, score, &Limits::default());
        }
        Ok(set)
    }
}

/// Reads a member into a buffer, and gives its score.
struct FillMember<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for FillMember<'_> {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        deserializer.deserialize_tuple(2, self)
    }
}

impl<'de> Visitor<'de> for FillMember<'_> {
    type Value = f64;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a member and its score")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<f64, A::Error> {
        pair.next_element_seed(Fill(self.0))?.ok_or_else(|| A::Error::invalid_length(0, &"a member"))?;
        let score: f64 = pair.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &"a score"))?;
        if score.is_nan() {
            return Err(A::Error::custom("a score that is not a number"));
        }
        Ok(score)
    }
}
