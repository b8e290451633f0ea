//! Keys of any type: whether they are there, where they are, how long they live, and all of them.
//!
//! What lives here: commands that never look into a value. What does not: anything that knows a type
//! beyond its name.

pub mod dump;
pub mod existence;
pub mod expire;
pub mod keyspace;
pub mod migrate;
pub mod object;
pub mod scan;
pub mod sort;
pub mod transfer;
pub mod ttl;
