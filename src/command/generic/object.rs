//! OBJECT: what the server knows about a value beside the value.

use crate::command::context::{help, unknown_subcommand};
use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::config::{MaxmemoryPolicy, Settings};
use crate::store::{Entry, Str, decayed, idle_seconds};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    name: "OBJECT",
    syntax: "",
    summary: "A container for commands that look at values from outside.",
    since: "2.2.3",
    complexity: "Depends on subcommand.",
    run: unknown_subcommand,
    subcommands: SUBCOMMANDS,
    ..Command::BASE
}];

const SUBCOMMANDS: &[Command] = &[
    Command {
        name: "ENCODING",
        syntax: "key",
        summary: "Names the way in which a value is stored.",
        since: "2.2.3",
        run: encoding,
        ..LOOK
    },
    Command {
        name: "FREQ",
        syntax: "key",
        summary: "Returns the logarithmic counter of accesses to a key.",
        since: "4.0.0",
        run: frequency,
        ..LOOK
    },
    Command {
        name: "HELP",
        syntax: "",
        summary: "Describes the subcommands.",
        since: "6.2.0",
        flags: Flags::LOADING.with(Flags::STALE),
        run: show_help,
        ..Command::BASE
    },
    Command {
        name: "IDLETIME",
        syntax: "key",
        summary: "Returns the seconds since the last access to a key.",
        since: "2.2.3",
        run: idle_time,
        ..LOOK
    },
    Command {
        name: "REFCOUNT",
        syntax: "key",
        summary: "Returns how many share a value.",
        since: "2.2.3",
        run: references,
        ..LOOK
    },
];

/// What the subcommands that look at a key have in common.
const LOOK: Command = Command {
    flags: Flags::READONLY,
    keys: Keys::Second(Access::RO),
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

fn encoding(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    match ctx.view.look_quietly(args.key()).map(Entry::encoding) {
        None => Ok(Reply::Nil),
        Some(name) => ctx.bulk(name.as_bytes()),
    }
}

/// The LRU or LFU bits of a key.
fn usage_bits(ctx: &mut Context<'_>, mut args: Args<'_>) -> Option<u32> {
    ctx.view.look_quietly(args.key()).map(Entry::lru)
}

fn counts_frequency(settings: &Settings) -> bool {
    matches!(settings.maxmemory_policy, MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu)
}

fn frequency(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let Some(bits) = usage_bits(ctx, args) else { return Ok(Reply::Nil) };
    if !counts_frequency(ctx.settings) {
        return Err(CommandError::fixed(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    let counter = decayed(bits, ctx.now_ms(), ctx.settings.lfu_decay_time_min);
    Ok(Reply::Int(i64::from(counter)))
}

fn idle_time(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let Some(bits) = usage_bits(ctx, args) else { return Ok(Reply::Nil) };
    if counts_frequency(ctx.settings) {
        return Err(CommandError::fixed(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    Ok(Reply::Int(i64::from(idle_seconds(bits, ctx.now_ms()))))
}

/// Redis's count for values that it never frees.
const SHARED: i64 = i32::MAX as i64;

/// Redis keeps one object for each of these numbers.
const SHARED_NUMBERS: std::ops::Range<i64> = 0..10_000;

/// Nothing is shared here: small numbers lie in their entries. But clients that ask expect to hear of
/// the objects that Redis shares as long as memory has no limit.
fn references(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    // Each key has a last use of its own where keys are evicted by it.
    let evicts_by_use = counts_frequency(ctx.settings)
        || matches!(
            ctx.settings.maxmemory_policy,
            MaxmemoryPolicy::AllkeysLru | MaxmemoryPolicy::VolatileLru
        );
    let shares = ctx.settings.maxmemory_bytes == 0 || !evicts_by_use;
    Ok(match ctx.view.look_quietly(args.key()).map(Entry::as_str) {
        None => Reply::Nil,
        Some(Some(Str::Int(number))) if shares && SHARED_NUMBERS.contains(&number) => Reply::Int(SHARED),
        Some(_) => Reply::Int(1),
    })
}

fn show_help(ctx: &mut Context<'_>, _args: Args<'_>) -> Outcome {
    help(
        ctx,
        "OBJECT",
        &[
            "ENCODING <key>",
            "    Return the kind of internal representation used in order to store the value",
            "    associated with a <key>.",
            "FREQ <key>",
            "    Return the access frequency index of the <key>. The returned integer is",
            "    proportional to the logarithm of the recent access frequency of the key.",
            "IDLETIME <key>",
            "    Return the idle time of the <key>, that is the approximated number of",
            "    seconds elapsed since the last access to the key.",
            "REFCOUNT <key>",
            "    Return the number of references of the value associated with the specified",
            "    <key>.",
        ],
    )
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, transcript};
    use crate::config::{MaxmemoryPolicy, Settings};
    use crate::store::Usage;

    #[test]
    fn encodings_and_references() {
        transcript(
            r#"
            > SET a 12
            OK
            > OBJECT ENCODING a
            "int"
            > OBJECT REFCOUNT a
            (integer) 2147483647
            > SET a 12345
            OK
            > OBJECT refcount a
            (integer) 1
            > SET a text
            OK
            > object encoding a
            "embstr"
            > OBJECT REFCOUNT a
            (integer) 1
            > SET a "a text of more than forty-four characters is raw to Redis"
            OK
            > OBJECT ENCODING a
            "raw"
            > OBJECT IDLETIME a
            (integer) 0
            > OBJECT ENCODING nobody
            (nil)
            > OBJECT REFCOUNT nobody
            (nil)
            > OBJECT IDLETIME nobody
            (nil)
            > OBJECT FREQ nobody
            (nil)
            > OBJECT FREQ a
            (error) ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.
            > OBJECT
            (error) ERR wrong number of arguments for 'object' command
            > OBJECT WHATEVER a
            (error) ERR unknown subcommand 'WHATEVER'. Try OBJECT HELP.
            > OBJECT ENCODING
            (error) ERR wrong number of arguments for 'object|encoding' command
            > OBJECT HELP a
            (error) ERR wrong number of arguments for 'object|help' command
            "#,
        );
    }

    #[test]
    fn help() {
        transcript(
            r#"
            > OBJECT HELP
             1) OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
             2) ENCODING <key>
             3)     Return the kind of internal representation used in order to store the value
             4)     associated with a <key>.
             5) FREQ <key>
             6)     Return the access frequency index of the <key>. The returned integer is
             7)     proportional to the logarithm of the recent access frequency of the key.
             8) IDLETIME <key>
             9)     Return the idle time of the <key>, that is the approximated number of
            10)     seconds elapsed since the last access to the key.
            11) REFCOUNT <key>
            12)     Return the number of references of the value associated with the specified
            13)     <key>.
            14) HELP
            15)     Prints this help.
            "#,
        );
    }

    #[test]
    fn idle_time_begins_anew_with_each_use() {
        let mut bench = Bench::new();
        bench.line("SET a 1");
        bench.clock.advance_ms(7_000);
        for line in ["OBJECT ENCODING a", "TYPE a", "TTL a", "EXISTS a", "OBJECT IDLETIME a"] {
            bench.line(line);
        }
        assert_eq!(bench.line("OBJECT IDLETIME a"), "(integer) 7", "a look is no use");
        for line in ["TOUCH a", "EXPIRE a 1000", "GET a", "RENAME a a"] {
            bench.clock.advance_ms(3_000);
            assert_eq!(
                bench.line("OBJECT IDLETIME a").as_bytes().last(),
                Some(if line == "TOUCH a" { &b'0' } else { &b'3' })
            );
            bench.line(line);
            assert_eq!(bench.line("OBJECT IDLETIME a"), "(integer) 0", "{line}");
        }
        bench.clock.advance_ms(5_000);
        bench.line("RENAME a b");
        assert_eq!(bench.line("OBJECT IDLETIME b"), "(integer) 0");
        bench.clock.advance_ms(5_000);
        bench.line("COPY b c");
        assert_eq!(bench.line("OBJECT IDLETIME c"), "(integer) 0");
    }

    #[test]
    fn frequency_is_counted_and_decays() {
        let settings = Settings { maxmemory_policy: MaxmemoryPolicy::AllkeysLfu, ..Settings::default() };
        let mut bench = Bench::with(settings, None);
        bench.usage = Usage::Lfu { log_factor: 0, decay_minutes: 1 };
        bench.line("SET a 1");
        assert_eq!(bench.line("OBJECT FREQ a"), "(integer) 5");
        for _ in 0..10 {
            bench.line("GET a");
        }
        assert_eq!(bench.line("OBJECT FREQ a"), "(integer) 15");
        bench.clock.advance_ms(3 * 60_000);
        assert_eq!(bench.line("OBJECT FREQ a"), "(integer) 12");
        assert!(
            bench
                .line("OBJECT IDLETIME a")
                .starts_with("(error) ERR An LFU maxmemory policy is selected, idle")
        );
        assert_eq!(bench.line("OBJECT IDLETIME nobody"), "(nil)");
    }
}
