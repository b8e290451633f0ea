//! Pure data structures: what a value is, without a server around it.
//!
//! Here live the list, the set, the hash, the sorted set and the stream, places on the earth,
//! HyperLogLogs, the heaviest of very many things, the matching of glob patterns, numbers as Redis reads and writes them, and the longest
//! common subsequence. Here never live locks, clocks, replies or anything else of the crate's other rooms: a structure takes
//! bytes and gives bytes, and says `None` or an error value of its own where
//! something is not there or not possible.

pub mod ahead;
pub mod bitmap;
pub mod geo;
pub mod glob;
pub mod hash;
pub mod hyperloglog;
pub mod lcs;
mod limits;
pub mod list;
pub mod number;
pub mod set;
pub mod sketch;
pub mod sorted_set;
pub mod stream;
mod table;

pub use glob::glob_match;
pub use hash::Hash;
pub use limits::ValueLimits;
pub use list::{List, NodeLimit};
pub use number::{LongDouble, format_i64, parse_f64, parse_i64, parse_u64};
pub use set::{Set, SetLimits};
pub use sorted_set::{Added, SortedSet};
pub use stream::Stream;
pub use table::{Limits, hash_of as element_hash};
