//! Entries go (XDEL, XTRIM), and the counters beside them are set (XSETID).

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::Stream;
use crate::data::stream::Id;
use crate::store::Object;

use super::trim::Options;
use super::{ROW, ids, quietly, replay};

const DELETES: Keys = Keys::One(Access::RW.with(Access::DELETE));

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "XDEL",
        syntax: "key id [id ...]",
        summary: "Removes entries from a stream.",
        complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
        flags: Flags::WRITE.with(Flags::FAST),
        keys: DELETES,
        run: xdel,
        ..ROW
    },
    Command {
        name: "XTRIM",
        arguments: "maxlen_minid..count (trim); maxlen_minid =strategy; minid @6.2.0; =_~ =operator; = =equal; ~ =approximately; count @6.2.0",
        history: &[("6.2.0", "Added the `MINID` trimming strategy and the `LIMIT` option.")],
        syntax: "key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]",
        summary: "Removes the oldest entries of a stream.",
        complexity: "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.",
        flags: Flags::WRITE,
        keys: DELETES,
        tips: &["nondeterministic_output"],
        run: xtrim,
        ..ROW
    },
    Command {
        name: "XSETID",
        arguments: "entries-added =entries_added @7.0.0; max-deleted-id =max_deleted_entry_id @7.0.0",
        history: &[("7.0.0", "Added the `entries_added` and `max_deleted_entry_id` arguments.")],
        syntax: "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
        summary: "Sets the last ID of a stream, and the counters beside it.",
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::UPDATE)),
        run: xsetid,
        ..ROW
    },
];

fn xdel(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    // Redis looks for the key first: of an absent one not even the IDs are read.
    let Some(stream) = ctx.view.get_mut::<Stream>(key)? else { return Ok(Reply::Int(0)) };
    let ids = ids::read_all(&args)?;
    let deleted = stream.log_mut().delete(&ids);
    if deleted > 0 {
        ctx.effect_on(key, EventClass::Stream, "xdel", deleted);
    }
    Ok(Reply::Int(deleted as i64))
}

fn xtrim(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let options = Options::read(&mut args, false)?;
    let Some(trim) = options.trim(ctx, false)? else { return Err(CommandError::Syntax) };
    let Some(stream) = ctx.view.get_mut::<Stream>(key)? else { return Ok(Reply::Int(0)) };
    let trimmed = stream.log_mut().trim(&trim);
    if trimmed.entries == 0 {
        return Ok(Reply::Int(0));
    }
    if ctx.collect_replay && options.depends_on_nodes() {
        let mut command = vec![b"XTRIM".to_vec(), key.bytes.to_vec()];
        command.extend(options.exactly(stream.log()));
        replay(ctx, command);
    }
    ctx.effect_on(key, EventClass::Stream, "xtrim", trimmed.entries as usize);
    if let Some(nodes) = trimmed.nodes {
        ctx.view.discard(Object::Stream(nodes));
    }
    Ok(Reply::Int(trimmed.entries as i64))
}

fn xsetid(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let id = ids::read(&mut args)?;
    let (mut added, mut max_deleted) = (None, None);
    while args.remaining() > 0 {
        if args.remaining() > 1 && args.keyword("ENTRIESADDED") {
            let number = args.int();
            args.check()?;
            let number = u64::try_from(number);
            added = Some(number.map_err(|_| CommandError::fixed("ERR entries_added must be positive"))?);
        } else if args.remaining() > 1 && args.keyword("MAXDELETEDID") {
            let deleted = ids::read(&mut args)?;
            if id < deleted {
                return Err(CommandError::fixed(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            max_deleted = Some(deleted).filter(|&deleted| deleted != Id::MIN);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let stream = ctx.view.get_mut::<Stream>(key)?.ok_or(CommandError::NoSuchKey)?;
    let log = stream.log_mut();
    if log.last_entry().is_some_and(|last| id < last) {
        return Err(CommandError::fixed(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if added.is_some_and(|added| added < log.len()) {
        return Err(CommandError::fixed(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    log.set_last_id(id, added, max_deleted);
    quietly(ctx, key, "xsetid");
    Ok(Reply::Ok)
}
