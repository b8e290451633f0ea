//! Reading without waiting: XLEN, XRANGE, XREVRANGE.

use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::Stream;

use super::{ROW, ids, write_entries};

const READS: Keys = Keys::One(Access::RO.with(Access::ACCESS));

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "XLEN",
        syntax: "key",
        summary: "Returns the number of entries of a stream.",
        flags: Flags::READONLY.with(Flags::FAST),
        keys: Keys::One(Access::RO),
        run: |ctx, mut args| {
            let stream = ctx.view.get::<Stream>(args.key())?;
            Ok(Reply::Int(stream.map_or(0, |stream| stream.log().len() as i64)))
        },
        ..ROW
    },
    Command {
        name: "XRANGE",
        arguments: "start :string; end :string",
        history: &[("6.2.0", "Added exclusive ranges.")],
        syntax: "key start end [COUNT count]",
        summary: "Returns the entries of a stream within a range of IDs.",
        complexity: "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
        flags: Flags::READONLY,
        keys: READS,
        run: |ctx, args| range(ctx, args, false),
        ..ROW
    },
    Command {
        name: "XREVRANGE",
        arguments: "end :string; start :string",
        history: &[("6.2.0", "Added exclusive ranges.")],
        syntax: "key end start [COUNT count]",
        summary: "Returns the entries of a stream within a range of IDs, the last one first.",
        complexity: "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
        flags: Flags::READONLY,
        keys: READS,
        run: |ctx, args| range(ctx, args, true),
        ..ROW
    },
];

fn range(ctx: &mut Context<'_>, mut args: Args<'_>, down: bool) -> Outcome {
    let key = args.key();
    let (first, second) = (args.bytes(), args.bytes());
    let (start, end) = if down { (second, first) } else { (first, second) };
    let (start, end) = (ids::start(start)?, ids::end(end)?);
    let mut count = None;
    while args.remaining() > 0 {
        if args.remaining() < 2 || !args.keyword("COUNT") {
            return Err(CommandError::Syntax);
        }
        let number = args.int();
        args.check()?;
        count = Some(usize::try_from(number).unwrap_or(0));
    }
    let Some(stream) = ctx.view.get::<Stream>(key)? else {
        ctx.out.array(0);
        return Ok(Reply::Sent);
    };
    match count {
        Some(0) => return Ok(Reply::NilArray),
        _ if down => write_entries(ctx.out, stream.log().range_down(start, end), count.unwrap_or(0)),
        _ => write_entries(ctx.out, stream.log().range(start, end), count.unwrap_or(0)),
    }
    Ok(Reply::Sent)
}
