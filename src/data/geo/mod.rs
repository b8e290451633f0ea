//! Places on the earth as scores of a sorted set.
//!
//! What lives here: the geohash of 52 bits ([`cell`]), distances on a sphere ([`mod@distance`]), and the search
//! for members near a point ([`mod@search`]). What never does: arguments and replies.
//!
//! Formulas and constants are those of Redis, in its order of evaluation: replies show all their digits.

pub mod cell;
pub mod distance;
pub mod search;
#[cfg(test)]
mod tests;

pub use cell::{Point, hash_text, point_of_score, score_of_point};
pub use distance::{Unit, distance};
pub use search::{Area, Found, Shape, search};
