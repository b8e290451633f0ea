//! What survives the process: the native snapshot, and the rules for replacing files.
//!
//! Here live the file formats, the one door to the file system ([`files`]), the rule that
//! no foreign file is ever replaced ([`ownership`]), and the state machine that every kind
//! of save shares ([`jobs`]), the values of Redis's own format ([`rdb`]), and the append-only file ([`aof`]).
//!
//! What never lives here: what a record is (the store defines that; this room deals in
//! serde's traits), commands, sockets, and clocks (time comes in through closures).
//! `bincode` is used in this room only, and no file is touched but through
//! [`files::Files`].

pub mod aof;
pub mod files;
pub mod jobs;
pub mod ownership;
pub mod progress;
pub mod rdb;
pub mod records;
pub mod replace;
pub mod snapshot;
