//! DUMP and RESTORE: values in Redis's own format.

use crate::command::context::{EventClass, Replay};
use crate::command::row::{Access, Acl, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply, value_limits};
use crate::store::{DumpError, Key, LoadedValue, Usage, idle_since, with_frequency};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "DUMP",
        syntax: "key",
        summary: "Returns a value in Redis's own format, for RESTORE.",
        since: "2.6.0",
        complexity: "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
        flags: Flags::READONLY,
        keys: Keys::One(Access::RO.with(Access::ACCESS)),
        tips: &["nondeterministic_output"],
        run: dump,
        ..Command::BASE
    },
    Command { name: "RESTORE", summary: "Makes a key of what DUMP returned.", since: "2.6.0", ..RESTORE },
    Command {
        name: "RESTORE-ASKING",
        summary: "Makes a key of what DUMP returned, while its slot moves between nodes.",
        since: "3.0.0",
        flags: RESTORE.flags.with(Flags::ASKING).with(Flags::SYSCMD),
        group: Group::Server,
        acl: Acl::KEYSPACE.with(Acl::DANGEROUS),
        ..RESTORE
    },
];

const RESTORE: Command = Command {
    syntax: "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
    arguments: "replace @3.0.0; absttl @5.0.0; seconds @5.0.0; frequency @5.0.0",
    history: &[
        ("3.0.0", "Added the `REPLACE` modifier."),
        ("5.0.0", "Added the `ABSTTL` modifier."),
        ("5.0.0", "Added the `IDLETIME` and `FREQ` options."),
    ],
    complexity: "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
    flags: Flags::WRITE.with(Flags::DENYOOM),
    acl: Acl::DANGEROUS,
    keys: Keys::One(Access::OW.with(Access::UPDATE)),
    run: restore,
    ..Command::BASE
};

fn dump(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    args.finish()?;
    let compress = ctx.settings.rdbcompression;
    let dumps = ctx.server.dumps();
    match ctx.view.read(key).map(|entry| dumps.dump(entry, compress)) {
        None => Ok(Reply::Nil),
        Some(payload) => Ok(Reply::Bulk(payload.into())),
    }
}

/// What RESTORE's arguments behind the value say.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_s: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    fn read(args: &mut Args<'_>) -> Result<Options, CommandError> {
        const IDLE: CommandError = CommandError::fixed("ERR Invalid IDLETIME value, must be >= 0");
        const FREQUENCY: CommandError =
            CommandError::fixed("ERR Invalid FREQ value, must be >= 0 and <= 255");
        let mut options = Options::default();
        while args.remaining() > 0 {
            let has_value = args.remaining() > 1;
            if args.keyword("REPLACE") {
                options.replace = true;
            } else if args.keyword("ABSTTL") {
                options.absolute = true;
            } else if has_value && options.frequency.is_none() && args.keyword("IDLETIME") {
                let idle = args.int();
                args.check()?;
                options.idle_s = Some(u64::try_from(idle).map_err(|_| IDLE)?);
            } else if has_value && options.idle_s.is_none() && args.keyword("FREQ") {
                let frequency = args.int();
                args.check()?;
                options.frequency = Some(u8::try_from(frequency).map_err(|_| FREQUENCY)?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

fn restore(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, ttl, payload) = (args.key(), args.bytes(), args.bytes());
    args.check()?;
    let options = Options::read(&mut args)?;
    // Redis looks whether the key is there before it looks at the numbers.
    if ctx.view.look_to_change(key).is_some() && !options.replace {
        return Err(CommandError::fixed("BUSYKEY Target key name already exists."));
    }
    let ttl = crate::data::parse_i64(ttl).ok_or(CommandError::NotInteger)?;
    let ttl = u64::try_from(ttl).map_err(|_| CommandError::fixed("ERR Invalid TTL value, must be >= 0"))?;
    let value = ctx.server.dumps().restore(payload, &value_limits(ctx.settings)).map_err(refused)?;
    let expiry = match ttl {
        0 => None,
        at if options.absolute => Some(at),
        // Too far away to be told is as good as over: Redis's sum becomes negative.
        ttl => Some(ctx.now_ms().checked_add(ttl).filter(|&at| i64::try_from(at).is_ok()).unwrap_or(0)),
    };
    if expiry.is_some_and(|at| ctx.has_passed(at)) {
        if ctx.view.remove(key) {
            ctx.replay_as([b"DEL", key.bytes]);
            ctx.effect(key, EventClass::Generic, "del");
        }
        return Ok(Reply::Ok);
    }
    put(ctx, key, value, expiry, &options);
    if let Some(at) = expiry.filter(|_| !options.absolute) {
        repeat_absolute(ctx, &args, at);
    }
    Ok(Reply::Ok)
}

fn refused(error: DumpError) -> CommandError {
    CommandError::fixed(match error {
        DumpError::Footer => "ERR DUMP payload version or checksum are wrong",
        DumpError::Value => "ERR Bad data format",
    })
}

fn put(ctx: &mut Context<'_>, key: Key<'_>, value: LoadedValue, expiry: Option<u64>, options: &Options) {
    let (usage, now_ms) = (ctx.view.usage(), ctx.now_ms());
    ctx.view.put(key, value.into_entry(), expiry);
    let counts = usage != Usage::Lru;
    let bits = match (options.idle_s, options.frequency) {
        (Some(seconds), _) if !counts => idle_since(seconds, now_ms),
        (_, Some(frequency)) if counts => with_frequency(frequency, now_ms),
        _ => usage.fresh(now_ms),
    };
    ctx.view.set_usage_bits(key, bits);
    ctx.effect(key, EventClass::Generic, "restore");
}

/// What is to be repeated has the time at which the key expires, not how long it lives.
fn repeat_absolute(ctx: &mut Context<'_>, args: &Args<'_>, at_ms: u64) {
    if !ctx.collect_replay {
        return;
    }
    let mut request: Vec<Vec<u8>> = args.all().map(<[u8]>::to_vec).collect();
    request[2] = at_ms.to_string().into_bytes();
    request.push(b"ABSTTL".to_vec());
    ctx.replay = Replay::Instead(vec![request]);
}
