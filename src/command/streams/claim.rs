//! Taking over what another consumer has pending: XCLAIM, XAUTOCLAIM.

use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::Stream;
use crate::data::stream::{ConsumerId, Group, Id, Log, Pending};
use crate::resp::Encoder;
use crate::store::Key;

use super::{
    ROW, as_claim, as_set_id, count_changes, deliver, ids, no_key_or_group, replay, write_entry, write_id,
};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "XCLAIM",
        arguments: "lastid =id",
        syntax: "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
        summary: "Gives pending entries to another consumer, as if it had been delivered them.",
        complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
        flags: Flags::WRITE.with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::UPDATE)),
        tips: &["nondeterministic_output"],
        run: xclaim,
        ..ROW
    },
    Command {
        name: "XAUTOCLAIM",
        arguments: "start :string",
        history: &[(
            "7.0.0",
            "Added an element to the reply array, containing deleted entries the command cleared from the PEL",
        )],
        syntax: "key group consumer min-idle-time start [COUNT count] [JUSTID]",
        summary: "Gives those pending entries to another consumer that have been pending for long.",
        since: "6.2.0",
        complexity: "O(1) if COUNT is small.",
        flags: Flags::WRITE.with(Flags::FAST),
        keys: Keys::One(Access::RW.with(Access::DELETE)),
        tips: &["nondeterministic_output"],
        run: xautoclaim,
        ..ROW
    },
];

/// XCLAIM's options.
#[derive(Default)]
struct Options {
    delivered_ms: Option<i64>,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: Id,
}

impl Options {
    fn read(args: &mut Args<'_>, now_ms: i64) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let number = |args: &mut Args<'_>, error: &'static str| {
            let number = args.int_or(CommandError::fixed(error));
            args.check().map(|()| number)
        };
        while let Some(word) = args.peek() {
            let more = args.remaining() > 1;
            if args.keyword("FORCE") {
                options.force = true;
            } else if args.keyword("JUSTID") {
                options.just_id = true;
            } else if more && args.keyword("IDLE") {
                let idle = number(args, "ERR Invalid IDLE option argument for XCLAIM")?;
                options.delivered_ms = Some(now_ms.wrapping_sub(idle));
            } else if more && args.keyword("TIME") {
                options.delivered_ms = Some(number(args, "ERR Invalid TIME option argument for XCLAIM")?);
            } else if more && args.keyword("RETRYCOUNT") {
                let count = number(args, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                options.deliveries = u64::try_from(count).ok();
            } else if more && args.keyword("LASTID") {
                options.last_id = ids::read(args)?;
            } else {
                let word = super::shown(word);
                return Err(CommandError::err(format_args!("Unrecognized XCLAIM option '{word}'")));
            }
        }
        // -1 is Redis's sign for a time that was not given.
        let given = options.delivered_ms.filter(|&at| at != -1);
        options.delivered_ms = Some(given.filter(|at| (0..=now_ms).contains(at)).unwrap_or(now_ms));
        Ok(options)
    }
}

/// What both commands do to entries, one after the other.
struct Claim<'a, 'g> {
    key: Key<'a>,
    log: &'g Log,
    group: &'g mut Group,
    name: &'a [u8],
    now_ms: u64,
    just_id: bool,
    /// The claiming consumer, once it is needed.
    consumer: Option<ConsumerId>,
    made: bool,
    changes: usize,
    /// Kept while somebody repeats commands.
    repeated: Option<Vec<Vec<Vec<u8>>>>,
}

impl Claim<'_, '_> {
    fn note(&mut self, id: Id, pending: &Pending) {
        self.changes += 1;
        if let Some(repeated) = &mut self.repeated {
            repeated.push(as_claim(self.key, self.group, id, pending));
        }
    }

    /// Whether an entry was deleted from the stream; it is pending no more then.
    fn drop_deleted(&mut self, id: Id) -> bool {
        if self.log.contains(id) {
            return false;
        }
        if let Some(pending) = self.group.pending(id).cloned() {
            self.note(id, &pending);
            self.group.acknowledge(id);
        }
        true
    }

    /// Makes an entry the claiming consumer's, and answers it.
    fn take(&mut self, out: &mut Encoder, id: Id, delivered_ms: i64, deliveries: u64) {
        let consumer = match self.consumer {
            Some(consumer) => consumer,
            None => {
                let found = deliver::find_or_create(self.group, self.name, self.now_ms);
                let Some((consumer, made)) = found else { return };
                (self.consumer, self.made) = (Some(consumer), made);
                consumer
            }
        };
        let pending = Pending { consumer, delivered_ms, deliveries };
        self.note(id, &pending);
        self.group.assign(id, pending);
        match self.log.get(id) {
            Some(entry) if !self.just_id => write_entry(out, &entry),
            _ => write_id(out, id),
        }
    }

    fn idle_ms(&self, pending: &Pending) -> i64 {
        (self.now_ms as i64).wrapping_sub(pending.delivered_ms)
    }
}

/// Takes over what the claims did.
fn finish(
    ctx: &mut Context<'_>,
    key: Key<'_>,
    made: bool,
    changes: usize,
    repeated: Option<Vec<Vec<Vec<u8>>>>,
) {
    if made {
        deliver::created(ctx, key);
    }
    count_changes(ctx, changes);
    if let Some(repeated) = repeated {
        ctx.replay = crate::command::context::Replay::Nothing;
        repeated.into_iter().for_each(|command| replay(ctx, command));
    }
}

fn xclaim(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (key, group_name, name) = (args.key(), args.bytes(), args.bytes());
    let now_ms = ctx.now_ms();
    let stream = ctx.view.get_mut::<Stream>(key)?;
    let Some((log, group)) = stream.and_then(|stream| stream.group_mut(group_name)) else {
        return Err(no_key_or_group(key, group_name));
    };
    let min_idle_ms =
        args.int_or(CommandError::fixed("ERR Invalid min-idle-time argument for XCLAIM")).max(0);
    args.check()?;
    let mut ids = smallvec::SmallVec::<[Id; 8]>::new();
    while let Some(id) = args.peek().and_then(|word| ids::strict(word, 0)) {
        args.next();
        ids.push(id);
    }
    let options = Options::read(&mut args, now_ms as i64)?;
    let mut moved = options.last_id > group.last_id;
    group.last_id = group.last_id.max(options.last_id);
    let delivered_ms = options.delivered_ms.unwrap_or(now_ms as i64);
    let repeated = ctx.collect_replay.then(Vec::new);
    let just_id = options.just_id;
    let mut claim =
        Claim { key, log, group, name, now_ms, just_id, consumer: None, made: false, changes: 0, repeated };
    let deferred = ctx.out.defer();
    let mut written = 0;
    for id in ids {
        if claim.drop_deleted(id) {
            continue;
        }
        let before = claim.group.pending(id).cloned();
        if before.as_ref().map_or(!options.force, |one| min_idle_ms > 0 && claim.idle_ms(one) < min_idle_ms) {
            continue;
        }
        // An entry that was not pending counts as delivered once already.
        let counted = before.map_or(1, |before| before.deliveries).wrapping_add(u64::from(!just_id));
        claim.take(ctx.out, id, delivered_ms, options.deliveries.unwrap_or(counted));
        written += 1;
    }
    ctx.out.finish_array(deferred, written);
    // What is repeated for an entry says the group's last ID too.
    moved &= claim.changes == 0;
    if moved {
        claim.changes += 1;
        let command = as_set_id(key, claim.group);
        claim.repeated.iter_mut().for_each(|repeated| repeated.push(command.clone()));
    }
    let Claim { made, changes, repeated, .. } = claim;
    finish(ctx, key, made, changes, repeated);
    Ok(Reply::Sent)
}

/// So many pending entries are looked at for each that is asked for.
const ATTEMPTS: usize = 10;

fn xautoclaim(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    /// Redis multiplies by the size of an ID.
    const MOST: i64 = i64::MAX / 16;
    let (key, group_name, name) = (args.key(), args.bytes(), args.bytes());
    let min_idle_ms =
        args.int_or(CommandError::fixed("ERR Invalid min-idle-time argument for XAUTOCLAIM")).max(0);
    args.check()?;
    let mut next = Some(ids::start(args.bytes())?);
    let (mut count, mut just_id) = (100, false);
    while args.remaining() > 0 {
        if args.remaining() > 1 && args.keyword("COUNT") {
            count = args.int_in(1..=MOST, CommandError::fixed("ERR COUNT must be > 0")) as usize;
            args.check()?;
        } else if args.keyword("JUSTID") {
            just_id = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let now_ms = ctx.now_ms();
    let stream = ctx.view.get_mut::<Stream>(key)?;
    let Some((log, group)) = stream.and_then(|stream| stream.group_mut(group_name)) else {
        return Err(no_key_or_group(key, group_name));
    };
    let repeated = ctx.collect_replay.then(Vec::new);
    let mut claim =
        Claim { key, log, group, name, now_ms, just_id, consumer: None, made: false, changes: 0, repeated };
    // The cursor stands before the entries but is known after them.
    let mut entries = Encoder::new(ctx.out.protocol());
    let (mut written, mut deleted) = (0, Vec::new());
    let mut attempts = count.saturating_mul(ATTEMPTS);
    while attempts > 0 && count > 0 {
        let Some((id, pending)) = next.and_then(|from| claim.group.pending_from(from).next()) else { break };
        let pending = pending.clone();
        attempts -= 1;
        next = id.next();
        if claim.drop_deleted(id) {
            deleted.push(id);
            count -= 1;
        } else if min_idle_ms == 0 || claim.idle_ms(&pending) >= min_idle_ms {
            let deliveries = pending.deliveries.wrapping_add(u64::from(!just_id));
            claim.take(&mut entries, id, now_ms as i64, deliveries);
            written += 1;
            count -= 1;
        }
    }
    let cursor = next.and_then(|from| claim.group.pending_from(from).next()).map_or(Id::MIN, |(id, _)| id);
    let Claim { made, changes, repeated, .. } = claim;
    ctx.out.array(3);
    write_id(ctx.out, cursor);
    ctx.out.array(written);
    ctx.out.raw(entries.as_slice());
    ctx.out.array(deleted.len());
    deleted.into_iter().for_each(|id| write_id(ctx.out, id));
    finish(ctx, key, made, changes, repeated);
    Ok(Reply::Sent)
}
