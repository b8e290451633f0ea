//! Who may do what: users, their passwords, and the rules that say which commands, keys and channels
//! are theirs.
//!
//! What lives here: what a rule means ([`selector`], [`user`]), how users are written down ([`file`](mod@file)),
//! the table of all users as a snapshot that connections keep ([`users`]), and the log of what was
//! denied ([`log`]). What never lives here: a socket, a file, the time, and the commands themselves,
//! which are known by their places in a [`Catalog`] only.
//!
//! A connection holds its user as an `Arc`. Whoever changes a user publishes a new table and raises its
//! generation; a connection compares two numbers before each batch and fetches its user anew when they
//! differ. A user that may do everything is one flag in the connection, and nothing is asked.

pub mod catalog;
pub mod check;
pub mod describe;
pub mod file;
pub mod log;
pub mod password;
pub mod pattern;
pub mod rule;
pub mod selector;
pub mod user;
pub mod users;

pub use catalog::{Catalog, Entry};
pub use check::{Asked, ChannelAsked, Denied, KeyAsked, Needs, Reason};
pub use log::{Log, LogContext, LogEntry, Refusal};
pub use rule::{RuleError, Rules};
pub use selector::Selector;
pub use user::User;
pub use users::{Acl, DEFAULT_USER, Definition, Table, Undeclared};
