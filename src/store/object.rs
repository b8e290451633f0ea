//! The collections that stand in entries, and the types that commands ask for.

use crate::data::ahead::{Ahead, Stretch};
use crate::data::{Hash, List, Set, SortedSet, Stream};

/// The type of a value, as TYPE names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A string.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A hash.
    Hash,
    /// A sorted set.
    SortedSet,
    /// A stream.
    Stream,
}

impl Type {
    /// The name that TYPE answers.
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::List => "list",
            Type::Set => "set",
            Type::Hash => "hash",
            Type::SortedSet => "zset",
            Type::Stream => "stream",
        }
    }
}

/// A collection.
#[derive(Clone, Debug)]
pub enum Object {
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A hash.
    Hash(Hash),
    /// A sorted set.
    SortedSet(SortedSet),
    /// A stream.
    Stream(Stream),
}

impl Object {
    /// The collection's type.
    pub fn value_type(&self) -> Type {
        match self {
            Object::List(_) => Type::List,
            Object::Set(_) => Type::Set,
            Object::Hash(_) => Type::Hash,
            Object::SortedSet(_) => Type::SortedSet,
            Object::Stream(_) => Type::Stream,
        }
    }

    /// Where a search for an element with this hash will read, in a large collection of distinct elements.
    #[inline]
    pub fn ahead(&self, element: u32, what: Ahead) -> Option<Stretch> {
        match self {
            Object::Set(set) => set.ahead(element, what),
            Object::Hash(hash) => hash.ahead(element, what),
            Object::SortedSet(sorted) => sorted.ahead(element, what),
            Object::List(_) | Object::Stream(_) => None,
        }
    }

    /// Redis's name for how it is stored.
    pub fn encoding(&self) -> &'static str {
        match self {
            Object::List(_) => "quicklist",
            Object::Set(set) => set.encoding(),
            Object::Hash(hash) => hash.encoding(),
            Object::SortedSet(sorted) => sorted.encoding(),
            Object::Stream(_) => "stream",
        }
    }

    /// Bytes allocated behind the object.
    pub fn memory_usage(&self) -> usize {
        match self {
            Object::List(list) => list.memory_usage(),
            Object::Set(set) => set.memory_usage(),
            Object::Hash(hash) => hash.memory_usage(),
            Object::SortedSet(sorted) => sorted.memory_usage(),
            Object::Stream(stream) => stream.memory_usage(),
        }
    }

    /// The same, of very large lists and sorted sets roughly: the others say it at once.
    pub fn memory_estimate(&self) -> usize {
        match self {
            Object::List(list) => list.memory_estimate(),
            Object::SortedSet(sorted) => sorted.memory_estimate(),
            other => other.memory_usage(),
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Object::List(list) => list.len(),
            Object::Set(set) => set.len(),
            Object::Hash(hash) => hash.len(),
            Object::SortedSet(sorted) => sorted.len(),
            Object::Stream(stream) => stream.len(),
        }
    }

    /// Whether it holds nothing and is removed from the keyspace therefore. A stream stays without entries.
    pub fn is_empty(&self) -> bool {
        !matches!(self, Object::Stream(_)) && self.len() == 0
    }

    /// What it costs to free it, in elements or parts of a like size.
    pub fn weight(&self) -> usize {
        match self {
            Object::Stream(stream) => stream.weight(),
            other => other.len(),
        }
    }
}

/// A collection type that a command can ask a key for.
pub trait Kind: Default + Sized {
    /// Its type.
    const TYPE: Type;
    /// The collection inside an object of this type.
    fn of(object: &Object) -> Option<&Self>;
    /// The same, to change it.
    fn of_mut(object: &mut Object) -> Option<&mut Self>;
    /// Wraps it.
    fn wrap(self) -> Object;
}

macro_rules! kind {
    ($name:ident) => {
        impl Kind for $name {
            const TYPE: Type = Type::$name;
            fn of(object: &Object) -> Option<&Self> {
                if let Object::$name(inner) = object { Some(inner) } else { None }
            }
            fn of_mut(object: &mut Object) -> Option<&mut Self> {
                if let Object::$name(inner) = object { Some(inner) } else { None }
            }
            fn wrap(self) -> Object {
                Object::$name(self)
            }
        }
    };
}

kind!(List);
kind!(Set);
kind!(Hash);
kind!(SortedSet);
kind!(Stream);
