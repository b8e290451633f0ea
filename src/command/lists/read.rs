//! Commands that only look: LLEN, LINDEX, LRANGE, LPOS.

use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::List;

use super::resolve_range;

const ROW: Command = Command {
    group: Group::List,
    flags: Flags::READONLY,
    keys: Keys::One(Access::RO.with(Access::ACCESS)),
    ..Command::BASE
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "LINDEX",
        syntax: "key index",
        summary: "Returns an element of a list by its index.",
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).",
        run: lindex,
        ..ROW
    },
    Command {
        name: "LLEN",
        syntax: "key",
        summary: "Returns the length of a list.",
        since: "1.0.0",
        complexity: "O(1)",
        flags: Flags::READONLY.with(Flags::FAST),
        keys: Keys::One(Access::RO),
        run: llen,
        ..ROW
    },
    Command {
        name: "LPOS",
        syntax: "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
        summary: "Returns the indexes of matching elements of a list.",
        since: "6.0.6",
        complexity: "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
        run: lpos,
        ..ROW
    },
    Command {
        name: "LRANGE",
        syntax: "key start stop",
        summary: "Returns a range of elements of a list.",
        since: "1.0.0",
        complexity: "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.",
        run: lrange,
        ..ROW
    },
];

fn llen(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let list = ctx.view.get::<List>(args.key())?;
    Ok(Reply::Int(list.map_or(0, List::len) as i64))
}

fn lindex(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    // The key is looked at before the index, as in Redis.
    let Some(list) = ctx.view.get::<List>(key)? else { return Ok(Reply::Nil) };
    let index = args.int();
    args.check()?;
    match list.get(index) {
        None => Ok(Reply::Nil),
        Some(element) => {
            ctx.out.bulk(element);
            Ok(Reply::Sent)
        }
    }
}

fn lrange(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, start, stop) = (args.key(), args.int(), args.int());
    args.check()?;
    let list = ctx.view.get::<List>(key)?;
    match list.and_then(|list| resolve_range(list.len(), start, stop).map(|range| (list, range))) {
        None => ctx.out.array(0),
        Some((list, (first, count))) => {
            ctx.out.array(count);
            list.range(first, count).for_each(|element| ctx.out.bulk(element));
        }
    }
    Ok(Reply::Sent)
}

/// LPOS's options.
struct Search {
    rank: i64,
    /// Matches wanted, 0 being all; `None` asks for one, not in an array.
    count: Option<usize>,
    /// Elements to compare, 0 being all.
    max_len: usize,
}

impl Search {
    fn read(args: &mut Args<'_>) -> Result<Search, CommandError> {
        const NO_RANK: &str = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
             or use negative to start from the end of the list";
        let mut search = Search { rank: 1, count: None, max_len: 0 };
        while args.remaining() >= 2 {
            if args.keyword("RANK") {
                search.rank = args.int();
                if search.rank == 0 {
                    args.fail(CommandError::fixed(NO_RANK));
                }
            } else if args.keyword("COUNT") {
                search.count = Some(size(args, "ERR COUNT can't be negative"));
            } else if args.keyword("MAXLEN") {
                search.max_len = size(args, "ERR MAXLEN can't be negative");
            } else {
                args.fail(CommandError::Syntax);
            }
            args.check()?;
        }
        args.finish()?;
        Ok(search)
    }
}

fn size(args: &mut Args<'_>, refusal: &'static str) -> usize {
    let number = args.int_in(0..=i64::MAX, CommandError::fixed(refusal));
    usize::try_from(number).unwrap_or(0)
}

fn lpos(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, element) = (args.key(), args.bytes());
    let search = Search::read(&mut args)?;
    let found = match ctx.view.get::<List>(key)? {
        None => Vec::new(),
        Some(list) => list.position(element, search.rank, search.count.unwrap_or(1), search.max_len),
    };
    if search.count.is_none() {
        return Ok(found.first().map_or(Reply::Nil, |&index| Reply::Int(index as i64)));
    }
    ctx.out.array(found.len());
    found.iter().for_each(|&index| ctx.out.int(index as i64));
    Ok(Reply::Sent)
}
