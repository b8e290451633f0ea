//! What was delivered: acknowledging it (XACK), and looking at what is not (XPENDING).

use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::Stream;
use crate::data::stream::{Group, Id, Pending};

use super::{ROW, count_changes, ids, no_key_or_group, write_id};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "XACK",
        syntax: "key group id [id ...]",
        summary: "Acknowledges entries, so that they are pending no more.",
        complexity: "O(1) for each message ID processed.",
        flags: Flags::WRITE.with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::UPDATE)),
        run: xack,
        ..ROW
    },
    Command {
        name: "XPENDING",
        arguments: "min-idle-time_* =filters; min-idle-time :integer @6.2.0; start :string; end :string",
        history: &[("6.2.0", "Added the `IDLE` option and exclusive range intervals.")],
        syntax: "key group [[IDLE min-idle-time] start end count [consumer]]",
        summary: "Returns what a group, or a consumer, has pending.",
        complexity: "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.",
        flags: Flags::READONLY,
        keys: Keys::One(Access::RO.with(Access::ACCESS)),
        tips: &["nondeterministic_output"],
        run: xpending,
        ..ROW
    },
];

fn xack(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, name) = (args.key(), args.bytes());
    let Some((_, group)) = ctx.view.get_mut::<Stream>(key)?.and_then(|stream| stream.group_mut(name)) else {
        return Ok(Reply::Int(0));
    };
    let ids = ids::read_all(&args)?;
    let acknowledged = ids.iter().filter(|&&id| group.acknowledge(id).is_some()).count();
    count_changes(ctx, acknowledged);
    Ok(Reply::Int(acknowledged as i64))
}

/// Which pending entries are asked for.
struct Query<'a> {
    min_idle_ms: i64,
    start: Id,
    end: Id,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Query<'a> {
    /// Reads the arguments behind the group; nothing when there are none.
    fn read(args: &mut Args<'a>) -> Result<Option<Query<'a>>, CommandError> {
        /// Without IDLE and consumer, and with both.
        const ARGUMENTS: std::ops::RangeInclusive<usize> = 6..=9;
        const WITH_IDLE: usize = 8;
        if args.remaining() == 0 {
            return Ok(None);
        }
        if !ARGUMENTS.contains(&args.len()) {
            return Err(CommandError::Syntax);
        }
        let mut min_idle_ms = 0;
        if args.keyword("IDLE") {
            min_idle_ms = args.int();
            args.check()?;
            if args.len() < WITH_IDLE {
                return Err(CommandError::Syntax);
            }
        }
        let (start, end) = (args.bytes(), args.bytes());
        let count = args.int();
        args.check()?;
        let (start, end) = (ids::start(start)?, ids::end(end)?);
        let count = usize::try_from(count).unwrap_or(0);
        Ok(Some(Query { min_idle_ms, start, end, count, consumer: args.next() }))
    }
}

fn xpending(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, name) = (args.key(), args.bytes());
    let query = Query::read(&mut args)?;
    let now_ms = ctx.now_ms() as i64;
    let stream = ctx.view.get::<Stream>(key)?;
    let group = stream.and_then(|stream| stream.group(name)).ok_or_else(|| no_key_or_group(key, name))?;
    match query {
        None => summary(ctx.out, group),
        Some(query) => list(ctx.out, group, &query, now_ms),
    }
    Ok(Reply::Sent)
}

fn summary(out: &mut crate::resp::Encoder, group: &Group) {
    out.array(4);
    out.int(group.pending_len() as i64);
    let Some((first, last)) = group.pending_ends() else {
        out.null();
        out.null();
        out.null_array();
        return;
    };
    write_id(out, first);
    write_id(out, last);
    let busy = || group.consumers().filter(|consumer| consumer.pending() > 0);
    out.array(busy().count());
    for consumer in busy() {
        out.array(2);
        out.bulk(consumer.name());
        out.bulk_int(consumer.pending() as i64);
    }
}

fn list(out: &mut crate::resp::Encoder, group: &Group, query: &Query<'_>, now_ms: i64) {
    let wanted = |id: &Id, pending: &Pending| {
        let idle = now_ms.wrapping_sub(pending.delivered_ms);
        *id <= query.end && (query.min_idle_ms == 0 || idle >= query.min_idle_ms)
    };
    let deferred = out.defer();
    let mut written = 0;
    let mut write = |id: Id, pending: &Pending| {
        out.array(4);
        write_id(out, id);
        out.bulk(group.consumer(pending.consumer).map_or(&[], |consumer| consumer.name()));
        out.int(now_ms.wrapping_sub(pending.delivered_ms).max(0));
        out.int(pending.deliveries as i64);
        written += 1;
    };
    match query.consumer {
        None => group
            .pending_from(query.start)
            .take_while(|(id, _)| *id <= query.end)
            .filter(|(id, pending)| wanted(id, pending))
            .take(query.count)
            .for_each(|(id, pending)| write(id, pending)),
        Some(name) => group
            .find(name)
            .and_then(|consumer| group.consumer(consumer))
            .into_iter()
            .flat_map(|consumer| consumer.pending_from(query.start))
            .take_while(|id| *id <= query.end)
            .filter_map(|id| group.pending(id).map(|pending| (id, pending)))
            .filter(|(id, pending)| wanted(id, pending))
            .take(query.count)
            .for_each(|(id, pending)| write(id, pending)),
    }
    out.finish_array(deferred, written);
}
