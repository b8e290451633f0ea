//! The numbers by which the format names the encodings of values.

pub const STRING: u8 = 0;
pub const LIST: u8 = 1;
pub const SET: u8 = 2;
/// Scores as text.
pub const ZSET: u8 = 3;
pub const HASH: u8 = 4;
/// Scores as eight bytes.
pub const ZSET_2: u8 = 5;
pub const HASH_ZIPMAP: u8 = 9;
pub const LIST_ZIPLIST: u8 = 10;
pub const SET_INTSET: u8 = 11;
pub const ZSET_ZIPLIST: u8 = 12;
pub const HASH_ZIPLIST: u8 = 13;
/// Nodes that are ziplists.
pub const LIST_QUICKLIST: u8 = 14;
/// Streams without the counters of Redis 7.
pub const STREAM: u8 = 15;
pub const HASH_LISTPACK: u8 = 16;
pub const ZSET_LISTPACK: u8 = 17;
/// Nodes that are listpacks, or one large element each.
pub const LIST_QUICKLIST_2: u8 = 18;

pub const STREAM_2: u8 = 19;
/// The newest that Redis 7.0 knows.
pub const NEWEST_OF_7_0: u8 = STREAM_2;
/// From Redis 7.2 on.
pub const SET_LISTPACK: u8 = 20;
/// Streams whose consumers have a second time, from Redis 7.2 on.
pub const STREAM_3: u8 = 21;

/// A node of [`LIST_QUICKLIST_2`] that is one element.
pub const NODE_PLAIN: u64 = 1;
/// A node of [`LIST_QUICKLIST_2`] that is a listpack.
pub const NODE_PACKED: u64 = 2;
