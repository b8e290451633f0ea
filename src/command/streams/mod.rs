//! Streams and their consumer groups.
//!
//! What lives here: the stream commands by what they do: [`add`], [`edit`] (deleting, trimming), [`read`],
//! [`wait`] (XREAD, XREADGROUP), [`group`], [`pending`], [`claim`], [`info`]; and how IDs are read
//! ([`ids`]). What never does: how a stream is stored (`data::stream`), and who waits where (the engine).

mod add;
mod claim;
mod deliver;
mod edit;
mod group;
#[cfg(test)]
mod group_tests;
mod ids;
mod info;
mod pending;
mod read;
#[cfg(test)]
mod tests;
mod trim;
mod wait;
#[cfg(test)]
mod wait_tests;

use crate::data::stream::{Entry, Group as ConsumerGroup, Id, NodeLimits, Pending};
use crate::resp::Encoder;
use crate::store::Key;

use super::context::{EventClass, Replay};
use super::error::shown;
use super::row::{Command, Flags, Group};
use super::{CommandError, Context};

pub use add::COMMANDS as ADD;
pub use claim::COMMANDS as CLAIM;
pub use edit::COMMANDS as EDIT;
pub use group::COMMANDS as GROUP;
pub use info::COMMANDS as INFO;
pub use pending::COMMANDS as PENDING;
pub use read::COMMANDS as READ;
pub use wait::COMMANDS as WAIT;

/// What the family's rows have in common.
const ROW: Command = Command { since: "5.0.0", group: Group::Stream, ..Command::BASE };

/// The HELP of both containers.
const HELP_ROW: Command = Command {
    name: "HELP",
    syntax: "",
    summary: "Describes the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    ..ROW
};

/// Up to which size a node takes entries, as the settings say.
fn limits(ctx: &Context<'_>) -> NodeLimits {
    NodeLimits {
        max_bytes: ctx.settings.stream_node_max_bytes,
        max_entries: ctx.settings.stream_node_max_entries,
    }
}

/// Answers an ID.
#[inline]
fn write_id(out: &mut Encoder, id: Id) {
    out.bulk(id.text().as_bytes());
}

/// Answers an entry: its ID, and its fields with their values.
#[inline]
fn write_entry(out: &mut Encoder, entry: &Entry<'_>) {
    let fields = entry.fields();
    out.array(2);
    write_id(out, entry.id);
    out.array(fields.len() * 2);
    for (field, value) in fields {
        out.bulk(field);
        out.bulk(value);
    }
}

/// Answers entries; all of them when `count` is 0.
fn write_entries<'a>(out: &mut Encoder, entries: impl Iterator<Item = Entry<'a>>, count: usize) {
    let deferred = out.defer();
    let mut written = 0;
    for entry in entries.take(if count == 0 { usize::MAX } else { count }) {
        write_entry(out, &entry);
        written += 1;
    }
    out.finish_array(deferred, written);
}

/// Counts changes of which neither watchers nor waiting clients are to hear: what groups know of a stream
/// is none of its entries.
fn count_changes(ctx: &mut Context<'_>, changes: usize) {
    ctx.view.tally.changes += changes as u64;
}

/// As [`count_changes`], of one change that has an event.
fn quietly(ctx: &mut Context<'_>, key: Key<'_>, event: &'static str) {
    count_changes(ctx, 1);
    ctx.event(key, EventClass::Stream, event);
}

/// Adds a command to what is repeated instead of the one that runs.
fn replay(ctx: &mut Context<'_>, command: Vec<Vec<u8>>) {
    match &mut ctx.replay {
        Replay::Instead(commands) => commands.push(command),
        other => *other = Replay::Instead(vec![command]),
    }
}

/// A command of these words.
fn words(words: &[&[u8]]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.to_vec()).collect()
}

/// The XCLAIM that makes an entry pending as it is now, whatever was before.
fn as_claim(key: Key<'_>, group: &ConsumerGroup, id: Id, pending: &Pending) -> Vec<Vec<u8>> {
    let consumer = group.consumer(pending.consumer).map_or(&[][..], |consumer| consumer.name());
    words(&[
        b"XCLAIM",
        key.bytes,
        group.name(),
        consumer,
        b"0",
        id.text().as_bytes(),
        b"TIME",
        pending.delivered_ms.to_string().as_bytes(),
        b"RETRYCOUNT",
        pending.deliveries.to_string().as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        group.last_id.text().as_bytes(),
    ])
}

/// The XGROUP SETID that moves a group to where it is now.
fn as_set_id(key: Key<'_>, group: &ConsumerGroup) -> Vec<Vec<u8>> {
    let read = group.entries_read.unwrap_or(-1).to_string();
    let id = group.last_id.text();
    words(&[b"XGROUP", b"SETID", key.bytes, group.name(), id.as_bytes(), b"ENTRIESREAD", read.as_bytes()])
}

/// An error whose code is its first word.
fn coded(text: String) -> CommandError {
    CommandError::Text(text.into())
}

fn no_key_or_group(key: Key<'_>, group: &[u8]) -> CommandError {
    coded(format!("NOGROUP No such key '{}' or consumer group '{}'", shown(key.bytes), shown(group)))
}

fn no_group(key: Key<'_>, group: &[u8]) -> CommandError {
    coded(format!("NOGROUP No such consumer group '{}' for key name '{}'", shown(group), shown(key.bytes)))
}
