//! LCS: what two strings have in common.

use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::lcs::{LcsMatch, LcsTooLarge, lcs_len, lcs_matches, lcs_string, lcs_table_bytes};
use crate::store::{Entry, Key, Str};

use super::length;

pub(super) const LCS: Command = Command {
    name: "LCS",
    arguments: "min-match-len =len",
    syntax: "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    summary: "Find longest common substring",
    since: "7.0.0",
    complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
    group: Group::String,
    flags: Flags::READONLY,
    keys: Keys::Two(Access::RO.with(Access::ACCESS), Access::RO.with(Access::ACCESS)),
    run: lcs,
    ..Command::BASE
};

#[derive(Default)]
struct Options {
    length: bool,
    places: bool,
    shortest: i64,
    with_length: bool,
}

impl From<LcsTooLarge> for CommandError {
    fn from(error: LcsTooLarge) -> CommandError {
        CommandError::err(error)
    }
}

fn lcs(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (first, second) = (args.key(), args.key());
    // Both are looked up, and their types looked at, before the options are read: Redis's order.
    let lengths = [first, second].map(|key| ctx.view.string(key).map(|value| value.map_or(0, length)));
    let [Ok(first_len), Ok(second_len)] = lengths else {
        return Err(CommandError::fixed("ERR The specified keys must contain string values"));
    };
    let options = options(&mut args)?;
    let limit_bytes = ctx.settings.proto_max_bulk_len_bytes;
    lcs_table_bytes(first_len, second_len, limit_bytes)?;
    let (a, b) = (bytes_of(ctx, first), bytes_of(ctx, second));
    if options.places {
        let all = lcs_matches(&a, &b, limit_bytes)?;
        write_places(ctx, &all, &options);
        return Ok(Reply::Sent);
    }
    if options.length {
        return Ok(Reply::Int(lcs_len(&a, &b, limit_bytes)? as i64));
    }
    ctx.bulk(&lcs_string(&a, &lcs_matches(&a, &b, limit_bytes)?))
}

fn options(args: &mut Args<'_>) -> Result<Options, CommandError> {
    let mut options = Options::default();
    while args.remaining() > 0 {
        if args.keyword("IDX") {
            options.places = true;
        } else if args.keyword("LEN") {
            options.length = true;
        } else if args.keyword("WITHMATCHLEN") {
            options.with_length = true;
        } else if args.keyword("MINMATCHLEN") {
            options.shortest = args.int();
            args.check()?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if options.length && options.places {
        return Err(CommandError::fixed("ERR If you want both the length and indexes, please just use IDX."));
    }
    Ok(options)
}

/// A copy of a key's bytes: both strings are needed at once, and a view shows one at a time.
fn bytes_of(ctx: &mut Context<'_>, key: Key<'_>) -> Vec<u8> {
    match ctx.view.peek(key).and_then(Entry::as_str) {
        None => Vec::new(),
        Some(Str::Bytes(bytes)) => bytes.to_vec(),
        Some(Str::Int(number)) => number.to_string().into_bytes(),
    }
}

fn write_places(ctx: &mut Context<'_>, all: &[LcsMatch], options: &Options) {
    let shown = |run: &&LcsMatch| run.len() as i64 >= options.shortest;
    ctx.out.map(2);
    ctx.out.bulk(b"matches");
    ctx.out.array(all.iter().filter(shown).count());
    for run in all.iter().filter(shown) {
        ctx.out.array(if options.with_length { 3 } else { 2 });
        for range in [&run.a, &run.b] {
            ctx.out.array(2);
            ctx.out.int(range.start as i64);
            ctx.out.int(range.end as i64 - 1);
        }
        if options.with_length {
            ctx.out.int(run.len() as i64);
        }
    }
    ctx.out.bulk(b"len");
    ctx.out.int(all.iter().map(|run| run.len() as i64).sum());
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn what_two_strings_share() {
        transcript(
            r#"
            > MSET a ohmytext b mynewtext n 12345 m 23
            OK
            > LCS a b
            "mytext"
            > LCS a b LEN
            (integer) 6
            > LCS n m
            "23"
            > LCS a nobody
            ""
            > LCS nobody nothing LEN
            (integer) 0
            > LCS a b IDX
            1) "matches"
            2) 1) 1) 1) (integer) 4
                     2) (integer) 7
                  2) 1) (integer) 5
                     2) (integer) 8
               2) 1) 1) (integer) 2
                     2) (integer) 3
                  2) 1) (integer) 0
                     2) (integer) 1
            3) "len"
            4) (integer) 6
            > LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN
            1) "matches"
            2) 1) 1) 1) (integer) 4
                     2) (integer) 7
                  2) 1) (integer) 5
                     2) (integer) 8
                  3) (integer) 4
            3) "len"
            4) (integer) 6
            > LCS a b idx minmatchlen -1 minmatchlen 5
            1) "matches"
            2) (empty array)
            3) "len"
            4) (integer) 6
            > LCS a a
            "ohmytext"
            > LCS a b MINMATCHLEN 100
            "mytext"
            "#,
        );
    }

    #[test]
    fn what_is_refused() {
        transcript(
            r#"
            > LCS a b LEN IDX
            (error) ERR If you want both the length and indexes, please just use IDX.
            > LCS a b WHAT
            (error) ERR syntax error
            > LCS a b MINMATCHLEN
            (error) ERR syntax error
            > LCS a b MINMATCHLEN one
            (error) ERR value is not an integer or out of range
            > LCS a
            (error) ERR wrong number of arguments for 'lcs' command
            > SETRANGE a 12000 x
            (integer) 12001
            > SETRANGE b 12000 y
            (integer) 12001
            > LCS a b LEN
            (error) ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len
            "#,
        );
    }
}
