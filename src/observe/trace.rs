//! x
/// t
pub const TARGET: &str = "glasswing::span";
