//! Decodes one record out of a chain of blocks, without believing a length it claims.
//!
//! bincode makes room for a byte string before it reads it, up to its limit, and its limit
//! is a constant of the program. For a record that fits into a block that is harmless. For
//! a chain the limit would have to be as high as the largest record, and a few hostile
//! bytes could then ask for all of the memory. So the bytes of strings are taken here, out
//! of what the chain still holds; all else (integers, enums, sequences) bincode decodes,
//! through a deserializer that only passes on.

use std::cell::RefCell;

use bincode::de::read::Reader;
use bincode::error::DecodeError;
use bincode::serde::OwnedSerdeDecoder;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::error::LoadError;
use super::index::Place;

/// More than any record: what is really there is what limits.
const LIMIT: usize = 1 << 46;

/// Reads the records' part of a block's payload into the buffer, checked.
pub(super) type Fetch<'a> = dyn FnMut(&Place, &mut Vec<u8>) -> Result<(), LoadError> + 'a;

/// The bytes of a chain, block after block.
pub(super) struct Chain<'a> {
    places: &'a [Place],
    fetch: &'a mut Fetch<'a>,
    buffer: Vec<u8>,
    used: usize,
    /// Bytes of the record that were not taken yet.
    left: u64,
    failed: Option<LoadError>,
}

impl<'a> Chain<'a> {
    /// `record_len` is the sum of what the blocks carry of the record.
    pub(super) fn new(places: &'a [Place], record_len: u64, fetch: &'a mut Fetch<'a>) -> Self {
        Chain { places, fetch, buffer: Vec::new(), used: 0, left: record_len, failed: None }
    }

    /// Decodes the one record. The whole chain must be taken by it.
    pub(super) fn decode<D: DeserializeOwned>(self) -> Result<D, Result<String, LoadError>> {
        let chain = RefCell::new(self);
        let decoded = {
            let config = bincode::config::standard().with_limit::<LIMIT>();
            let mut decoder = OwnedSerdeDecoder::from_reader(Shared(&chain), config);
            D::deserialize(Strict { inner: decoder.as_deserializer(), chain: &chain })
        };
        let chain = chain.into_inner();
        match (decoded, chain.failed) {
            (_, Some(e)) => Err(Err(e)),
            (Err(e), None) => Err(Ok(format!("a large record cannot be decoded ({e})"))),
            (Ok(_), None) if chain.left > 0 => {
                Err(Ok(format!("a large record ends {} bytes before its blocks do", chain.left)))
            }
            (Ok(record), None) => Ok(record),
        }
    }

    /// The next bytes of the record, at most `n`, and never none.
    fn piece(&mut self, n: usize) -> Result<&[u8], DecodeError> {
        while self.used >= self.buffer.len() {
            let end = DecodeError::UnexpectedEnd { additional: n };
            let (place, rest) = self.places.split_first().ok_or(end)?;
            self.places = rest;
            self.used = 0;
            self.buffer.clear();
            if let Err(e) = (self.fetch)(place, &mut self.buffer) {
                self.failed = Some(e);
                return Err(DecodeError::Other("a block cannot be read"));
            }
        }
        let start = self.used;
        self.used = self.buffer.len().min(start + n);
        self.left = self.left.saturating_sub((self.used - start) as u64);
        Ok(self.buffer.get(start..self.used).unwrap_or_default())
    }

    fn claim(&self, n: u64) -> Result<usize, DecodeError> {
        let end = DecodeError::UnexpectedEnd { additional: usize::try_from(n).unwrap_or(usize::MAX) };
        if n > self.left { Err(end) } else { usize::try_from(n).map_err(|_| end) }
    }

    /// The next `n` bytes, if there are so many.
    fn take(&mut self, n: u64) -> Result<Vec<u8>, DecodeError> {
        let n = self.claim(n)?;
        let mut bytes = Vec::with_capacity(n);
        while bytes.len() < n {
            let more = self.piece(n - bytes.len())?;
            bytes.extend_from_slice(more);
        }
        Ok(bytes)
    }
}

/// What bincode reads from, while [`Strict`] reads from the same.
struct Shared<'c, 'a>(&'c RefCell<Chain<'a>>);

impl Reader for Shared<'_, '_> {
    fn read(&mut self, mut bytes: &mut [u8]) -> Result<(), DecodeError> {
        let mut chain = self.0.borrow_mut();
        chain.claim(bytes.len() as u64)?;
        while !bytes.is_empty() {
            let piece = chain.piece(bytes.len())?;
            let (head, tail) = bytes.split_at_mut(piece.len());
            head.copy_from_slice(piece);
            bytes = tail;
        }
        Ok(())
    }
}

/// bincode's deserializer, or anything that came from it, with our own byte strings.
struct Strict<'c, 'a, T> {
    inner: T,
    chain: &'c RefCell<Chain<'a>>,
}

impl<'c, 'a, T> Strict<'c, 'a, T> {
    fn wrap<U>(&self, inner: U) -> Strict<'c, 'a, U> {
        Strict { inner, chain: self.chain }
    }
}

impl<'de, T: Deserializer<'de>> Strict<'_, '_, T> {
    /// A length as bincode encodes it, and so many bytes.
    fn byte_string(self) -> Result<Vec<u8>, T::Error> {
        let n = u64::deserialize(self.inner)?;
        self.chain.borrow_mut().take(n).map_err(Error::custom)
    }
}

macro_rules! pass_on {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, T::Error> {
            let visitor = self.wrap(visitor);
            self.inner.$name(visitor)
        }
    )*};
}

impl<'de, T: Deserializer<'de>> Deserializer<'de> for Strict<'_, '_, T> {
    type Error = T::Error;

    pass_on! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_option deserialize_unit deserialize_seq
        deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, T::Error> {
        visitor.visit_byte_buf(self.byte_string()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, T::Error> {
        visitor.visit_byte_buf(self.byte_string()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, T::Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, T::Error> {
        let text = String::from_utf8(self.byte_string()?);
        visitor.visit_string(text.map_err(Error::custom)?)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, T::Error> {
        let visitor = self.wrap(visitor);
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, T::Error> {
        let visitor = self.wrap(visitor);
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, T::Error> {
        let visitor = self.wrap(visitor);
        self.inner.deserialize_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, T::Error> {
        let visitor = self.wrap(visitor);
        self.inner.deserialize_tuple_struct(name, len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, T::Error> {
        let visitor = self.wrap(visitor);
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, T::Error> {
        let visitor = self.wrap(visitor);
        self.inner.deserialize_enum(name, variants, visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visit_plainly {
    ($($name:ident: $type:ty)*) => {$(
        fn $name<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$name(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<'_, '_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.expecting(f)
    }

    visit_plainly! {
        visit_bool: bool visit_i8: i8 visit_i16: i16 visit_i32: i32 visit_i64: i64 visit_i128: i128
        visit_u8: u8 visit_u16: u16 visit_u32: u32 visit_u64: u64 visit_u128: u128
        visit_f32: f32 visit_f64: f64 visit_char: char
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let inner = self.wrap(inner);
        self.inner.visit_some(inner)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let inner = self.wrap(inner);
        self.inner.visit_newtype_struct(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let inner = self.wrap(inner);
        self.inner.visit_seq(inner)
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let inner = self.wrap(inner);
        self.inner.visit_map(inner)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let inner = self.wrap(inner);
        self.inner.visit_enum(inner)
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<'_, '_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T::Value, D::Error> {
        let inner = self.wrap(inner);
        self.inner.deserialize(inner)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<'_, '_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let seed = self.wrap(seed);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<'_, '_, A> {
    type Error = A::Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let seed = self.wrap(seed);
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 'c, 'a, A: EnumAccess<'de>> EnumAccess<'de> for Strict<'c, 'a, A> {
    type Error = A::Error;
    type Variant = Strict<'c, 'a, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let chain = self.chain;
        let (value, inner) = self.inner.variant_seed(seed)?;
        Ok((value, Strict { inner, chain }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<'_, '_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}
