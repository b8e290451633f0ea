//! The set in serde's terms: a sequence of byte strings, its length known
//! beforehand. Its form is not in it.

use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::{Set, SetLimits};
use crate::data::table::serial::{Bytes, Fill};

impl Serialize for Set {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.len()))?;
        for member in self {
            member.with_bytes(|bytes| sequence.serialize_element(&Bytes(bytes)))?;
        }
        sequence.end()
    }
}

impl<'de> serde::Deserialize<'de> for Set {
    /// Reads a set under the default limits. Nothing is allocated for the
    /// announced length: memory grows with the members that are really there.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Set;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a sequence of byte strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Set, A::Error> {
        let mut set = Set::new();
        let mut member = Vec::new();
        while sequence.next_element_seed(Fill(&mut member))?.is_some() {
            set.insert(&member, &SetLimits::default());
        }
        Ok(set)
    }
}
