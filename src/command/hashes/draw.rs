//! Fields by chance.

use std::collections::HashSet;

use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::Hash;
use crate::resp::{Encoder, Protocol};
use crate::store::Random;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    name: "HRANDFIELD",
    arguments: "count_* =options",
    syntax: "key [count [WITHVALUES]]",
    summary: "Returns random fields of a hash.",
    since: "6.2.0",
    complexity: "O(N) where N is the number of fields returned",
    group: Group::Hash,
    flags: Flags::READONLY,
    keys: Keys::One(Access::RO.with(Access::ACCESS)),
    run: hrandfield,
    tips: &["nondeterministic_output"],
    ..Command::BASE
}];

/// Up to a hash of this many times the fields wanted, a walk over all of it chooses them; beyond, they
/// are drawn until enough differ. At three, fewer than half of the draws are in vain.
const WALK_UP_TO: usize = 3;

fn hrandfield(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    if args.remaining() == 0 {
        let pick = ctx.view.random();
        let Some((field, _)) = ctx.view.get::<Hash>(key)?.and_then(|hash| hash.random(pick)) else {
            return Ok(Reply::Nil);
        };
        ctx.out.bulk(field);
        return Ok(Reply::Sent);
    }
    let (count, with_values) = read(&mut args)?;
    let mut random = ctx.view.fork_random();
    let limit = ctx.reply_limit();
    let Some(hash) = ctx.view.get::<Hash>(key)? else {
        ctx.out.array(0);
        return Ok(Reply::Sent);
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let wanted = if count < 0 { wanted } else { wanted.min(hash.len()) };
    let nested = with_values && ctx.out.protocol() == Protocol::Resp3;
    ctx.out.array(if with_values && !nested { wanted.saturating_mul(2) } else { wanted });
    let writer = Writer { out: ctx.out, with_values, nested };
    if count < 0 {
        write_any(writer, hash, wanted, &mut random, limit);
        ctx.end_reply_beyond(limit);
    } else {
        write_distinct(writer, hash, wanted, &mut random);
    }
    Ok(Reply::Sent)
}

/// Reads `count [WITHVALUES]`.
fn read(args: &mut Args<'_>) -> Result<(i64, bool), CommandError> {
    let count = args.int();
    args.check()?;
    if count == i64::MIN {
        return Err(CommandError::err(format_args!(
            "value is out of range, value must between {} and {}",
            -i64::MAX,
            i64::MAX
        )));
    }
    let with_values = args.keyword("WITHVALUES");
    args.finish()?;
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::OutOfRange);
    }
    Ok((count, with_values))
}

/// Writes fields, alone or with their values.
struct Writer<'a> {
    out: &'a mut Encoder,
    with_values: bool,
    nested: bool,
}

impl Writer<'_> {
    fn write(&mut self, (field, value): (&[u8], &[u8])) {
        if self.nested {
            self.out.array(2);
        }
        self.out.bulk(field);
        if self.with_values {
            self.out.bulk(value);
        }
    }
}

/// Answers `count` fields, each drawn from the whole hash; ends early once the replies are beyond `limit`.
fn write_any(mut writer: Writer<'_>, hash: &Hash, count: usize, random: &mut Random, limit: usize) {
    for _ in 0..count {
        if writer.out.len() > limit {
            return;
        }
        // A key with an empty hash does not exist.
        let Some(pair) = hash.random(random.draw()) else { return };
        writer.write(pair);
    }
}

/// Answers `count` different fields; the hash has as many.
fn write_distinct(mut writer: Writer<'_>, hash: &Hash, count: usize, random: &mut Random) {
    if hash.len() <= count.saturating_mul(WALK_UP_TO) {
        // Selection sampling: Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S.
        let mut wanted = count;
        for (passed, pair) in hash.iter().enumerate() {
            if random.below(hash.len() - passed) < wanted {
                writer.write(pair);
                wanted -= 1;
            }
        }
        return;
    }
    let mut drawn = HashSet::with_capacity(count);
    while drawn.len() < count {
        let Some(pair) = hash.random(random.draw()) else { return };
        if drawn.insert(pair.0) {
            writer.write(pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn fields_by_chance() {
        transcript(
            r#"
            > HSET h f v
            (integer) 1
            > HRANDFIELD h
            "f"
            > HRANDFIELD h 5
            1) "f"
            > HRANDFIELD h -2
            1) "f"
            2) "f"
            > HRANDFIELD h 1 WITHVALUES
            1) "f"
            2) "v"
            > HRANDFIELD h -2 withvalues
            1) "f"
            2) "v"
            3) "f"
            4) "v"
            > HRANDFIELD h 0
            (empty array)
            > HRANDFIELD none
            (nil)
            > HRANDFIELD none 2
            (empty array)
            "#,
        );
    }

    #[test]
    fn bad_counts_are_refused() {
        transcript(
            r#"
            > HRANDFIELD h x
            (error) ERR value is not an integer or out of range
            > HRANDFIELD h -9223372036854775808
            (error) ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
            > HRANDFIELD h 9223372036854775806 WITHVALUES
            (error) ERR value is out of range
            > HRANDFIELD h 1 OTHER
            (error) ERR syntax error
            > SET text x
            OK
            > HRANDFIELD text
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HRANDFIELD text 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }

    #[test]
    fn floats_are_added_to_fields() {
        transcript(
            r#"
            > HINCRBYFLOAT h f 10.5
            "10.5"
            > HINCRBYFLOAT h f -0.5
            "10"
            > HINCRBYFLOAT h f 1e2
            "110"
            > HGET h f
            "110"
            > HSET h text abc
            (integer) 1
            > HINCRBYFLOAT h text 1
            (error) ERR hash value is not a float
            > HINCRBYFLOAT h f x
            (error) ERR value is not a valid float
            > HINCRBYFLOAT h f inf
            (error) ERR value is NaN or Infinity
            > SET string x
            OK
            > HINCRBYFLOAT string f 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > EXISTS fresh
            (integer) 0
            "#,
        );
    }
}
