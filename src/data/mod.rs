//! Pure data structures: what a value is, without a server around it.
//!
//! Here live the list, the matching of glob patterns, numbers as Redis reads and
//! writes them, and the longest common subsequence. Here never live locks,
//! clocks, replies or anything else of the crate's other rooms: a structure takes
//! bytes and gives bytes, and says `None` or an error value of its own where
//! something is not there or not possible.

pub mod glob;
pub mod lcs;
pub mod list;
pub mod number;

pub use glob::glob_match;
pub use list::{List, NodeLimit};
pub use number::{LongDouble, format_i64, parse_f64, parse_i64, parse_u64};
