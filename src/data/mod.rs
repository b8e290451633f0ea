//! Pure data structures: what a value is, without a server around it.
//!
//! Here live the list, the matching of glob patterns, numbers as Redis reads and
//! writes them, and the longest common subsequence. Here never live locks,
//! clocks, replies or anything else of the crate's other rooms: a structure takes
//! bytes and gives bytes, and says `None` or an error value of its own where
//! something is not there or not possible.

pub mod list;
