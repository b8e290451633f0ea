//! The numbers that stand where a type's number could stand.

/// How large each hash slot of a cluster is; a hint.
pub const SLOT_INFO: u8 = 244;
/// A library of functions.
pub const FUNCTION: u8 = 245;
/// A library as the release candidates of Redis 7.0 wrote it.
pub const FUNCTION_PRE_GA: u8 = 246;
/// What a module has to say beside its keys.
pub const MODULE_AUX: u8 = 247;
/// Seconds for which the next key was not used.
pub const IDLE: u8 = 248;
/// How often the next key is used.
pub const FREQUENCY: u8 = 249;
/// A fact about the writer.
pub const AUX: u8 = 250;
/// How many keys the database has.
pub const RESIZE: u8 = 251;
/// When the next key expires, in milliseconds.
pub const EXPIRES_MS: u8 = 252;
/// The same in seconds.
pub const EXPIRES_S: u8 = 253;
/// The database that what follows belongs to.
pub const SELECT: u8 = 254;
/// The end.
pub const END: u8 = 255;

/// A value of a module, as Redis before 4.0 wrote it.
pub const MODULE: u8 = 6;
/// A value of a module.
pub const MODULE_2: u8 = 7;
