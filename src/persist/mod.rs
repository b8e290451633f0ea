//! The persist room.
