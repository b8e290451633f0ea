//! Up to which size a value stays packed.

/// The bound of the packed form of a hash or a sorted set.
///
/// It is Redis's `hash-max-listpack-entries` and `-value`, or
/// `zset-max-listpack-entries` and `-value`. A call that may outgrow it takes the
/// limit as an argument, so that a change of the setting holds from the next
/// write on. What has left the packed form does not come back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most entries (field and value, or member and score).
    pub max_entries: usize,
    /// The most bytes of a field, a value or a member.
    pub max_value: usize,
}

impl Default for Limits {
    /// Redis's defaults: 128 entries, 64 bytes.
    fn default() -> Self {
        Self { max_entries: 128, max_value: 64 }
    }
}
