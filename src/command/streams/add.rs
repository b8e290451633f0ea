//! XADD.

use smallvec::SmallVec;

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::Stream;
use crate::data::stream::{Id, Log, Pair};
use crate::store::{Key, Object};

use super::ids::{self, Wanted};
use super::trim::Options;
use super::{ROW, limits, replay, write_id};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    name: "XADD",
    arguments: "nomkstream @6.2.0; maxlen_* =trim; maxlen_minid =strategy; minid @6.2.0; =_~ =operator; = =equal; ~ =approximately; count @6.2.0; *_id =id_or_auto; * =auto_id",
    history: &[
        ("6.2.0", "Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option."),
        ("7.0.0", "Added support for the `<ms>-*` explicit ID form."),
    ],
    syntax: "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]",
    summary: "Adds an entry to a stream. Creates the key if it is absent.",
    complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::One(Access::RW.with(Access::UPDATE)),
    key_notes: &["UPDATE instead of INSERT because of the optional trimming feature"],
    tips: &["nondeterministic_output"],
    run: xadd,
    ..ROW
}];

/// Bytes of an entry, as Redis bounds them.
const MOST_BYTES: usize = 1 << 30;

const NOT_ABOVE: CommandError =
    CommandError::fixed("ERR The ID specified in XADD is equal or smaller than the target stream top item");

/// Redis's answer as well to a millisecond whose last sequence number is taken.
const TOO_LARGE: CommandError = CommandError::fixed("ERR Elements are too large to be stored");

fn xadd(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let options = Options::read(&mut args, true)?;
    let wanted = ids::read_wanted(&mut args)?;
    let trim = options.trim(ctx, true)?;
    let pairs = read_pairs(ctx, &args)?;
    if wanted == Wanted::Exactly(Id::MIN) {
        return Err(CommandError::fixed("ERR The ID specified in XADD must be greater than 0-0"));
    }
    if pairs.iter().map(|(field, value)| field.len() + value.len()).sum::<usize>() > MOST_BYTES {
        return Err(TOO_LARGE);
    }
    let (limits, now_ms) = (limits(ctx), ctx.now_ms());
    let stream = if options.no_stream_made {
        match ctx.view.get_mut::<Stream>(key)? {
            Some(stream) => stream,
            None => return Ok(Reply::Nil),
        }
    } else {
        ctx.view.get_or_create::<Stream>(key)?
    };
    let id = choose(stream.log(), wanted, now_ms)?;
    if !stream.log_mut().append(id, &pairs, limits) {
        return Err(NOT_ABOVE);
    }
    write_id(ctx.out, id);
    let trimmed = trim.map(|trim| stream.log_mut().trim(&trim)).unwrap_or_default();
    if ctx.collect_replay && (!matches!(wanted, Wanted::Exactly(_)) || options.depends_on_nodes()) {
        let command = as_happened(key, &options, stream.log(), id, &pairs);
        replay(ctx, command);
    }
    ctx.effect(key, EventClass::Stream, "xadd");
    if trimmed.entries > 0 {
        ctx.event(key, EventClass::Stream, "xtrim");
    }
    if let Some(nodes) = trimmed.nodes {
        ctx.view.discard(Object::Stream(nodes));
    }
    Ok(Reply::Sent)
}

fn read_pairs<'a>(ctx: &Context<'_>, args: &Args<'a>) -> Result<SmallVec<[Pair<'a>; 8]>, CommandError> {
    if args.remaining() < 2 || args.remaining() % 2 == 1 {
        return Err(CommandError::Arity(ctx.command_name().to_owned()));
    }
    let mut rest = args.rest();
    let mut pairs = SmallVec::with_capacity(args.remaining() / 2);
    while let (Some(field), Some(value)) = (rest.next(), rest.next()) {
        pairs.push((field, value));
    }
    Ok(pairs)
}

/// The new entry's ID.
fn choose(log: &Log, wanted: Wanted, now_ms: u64) -> Result<Id, CommandError> {
    let last = log.last_id();
    let after = last.next().ok_or(CommandError::fixed(
        "ERR The stream has exhausted the last possible ID, unable to add more items",
    ))?;
    let id = match wanted {
        Wanted::Exactly(id) => id,
        Wanted::Time if now_ms > last.ms => Id::new(now_ms, 0),
        Wanted::Time => after,
        Wanted::Within(ms) if ms == last.ms => Id::new(ms, last.seq.checked_add(1).ok_or(TOO_LARGE)?),
        Wanted::Within(ms) => Id::new(ms, 0),
    };
    if id > last { Ok(id) } else { Err(NOT_ABOVE) }
}

/// The XADD that does elsewhere what was done here: with the ID that was chosen, and trimming to what is left.
fn as_happened(key: Key<'_>, options: &Options, log: &Log, id: Id, pairs: &[Pair<'_>]) -> Vec<Vec<u8>> {
    let mut command = vec![b"XADD".to_vec(), key.bytes.to_vec()];
    if options.no_stream_made {
        command.push(b"NOMKSTREAM".to_vec());
    }
    command.extend(options.exactly(log));
    command.push(id.text().as_bytes().to_vec());
    command.extend(pairs.iter().flat_map(|(field, value)| [field.to_vec(), value.to_vec()]));
    command
}
