//! Strings that expire: the options EX, PX, EXAT and PXAT, and the commands that are about them.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Group, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::store::Key;

use super::set::put_until;
use super::{removal, write};

pub(super) const SETEX: Command = Command {
    name: "SETEX",
    syntax: "key seconds value",
    summary: "Set the value and expiration of a key",
    since: "2.0.0",
    group: Group::String,
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::One(Access::OW.with(Access::UPDATE)),
    run: setex,
    ..Command::BASE
};

pub(super) const PSETEX: Command = Command {
    name: "PSETEX",
    syntax: "key milliseconds value",
    summary: "Set the value and expiration in milliseconds of a key",
    since: "2.6.0",
    group: Group::String,
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::One(Access::OW.with(Access::UPDATE)),
    run: psetex,
    ..Command::BASE
};

pub(super) const GETEX: Command = Command {
    name: "GETEX",
    arguments: "seconds_* =expiration",
    syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | PERSIST]",
    summary: "Get the value of a key and optionally set its expiration",
    since: "6.2.0",
    group: Group::String,
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::One(Access::RW.with(Access::ACCESS).with(Access::UPDATE)),
    key_notes: &["RW and UPDATE because it changes the TTL"],
    run: getex,
    ..Command::BASE
};

/// How a time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Seconds from now.
    Ex,
    /// Milliseconds from now.
    Px,
    /// Seconds since 1970.
    Exat,
    /// Milliseconds since 1970.
    Pxat,
}

impl Form {
    const ALL: [Form; 4] = [Form::Ex, Form::Px, Form::Exat, Form::Pxat];

    /// The option's word.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Form::Ex => "EX",
            Form::Px => "PX",
            Form::Exat => "EXAT",
            Form::Pxat => "PXAT",
        }
    }

    const fn unit_ms(self) -> i64 {
        match self {
            Form::Ex | Form::Exat => 1_000,
            Form::Px | Form::Pxat => 1,
        }
    }

    const fn is_absolute(self) -> bool {
        matches!(self, Form::Exat | Form::Pxat)
    }
}

/// When a key is to expire, as the client wrote it. The number is read later than the words: Redis
/// looks at all options, and GETEX at the key too, before it complains about a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline<'a> {
    form: Form,
    number: &'a [u8],
}

impl<'a> Deadline<'a> {
    /// Reads one of the four options. One may come again, in place of `earlier`, but not another.
    pub(super) fn parse(
        args: &mut Args<'a>,
        earlier: Option<Deadline<'a>>,
    ) -> Result<Deadline<'a>, CommandError> {
        let form =
            Form::ALL.into_iter().find(|form| args.keyword(form.name())).ok_or(CommandError::Syntax)?;
        if earlier.is_some_and(|earlier| earlier.form != form) {
            return Err(CommandError::Syntax);
        }
        args.next().map(|number| Deadline { form, number }).ok_or(CommandError::Syntax)
    }

    /// The time in milliseconds since 1970: positive, within an `i64`.
    pub(super) fn at_ms(self, ctx: &Context<'_>) -> Result<u64, CommandError> {
        let number = crate::data::parse_i64(self.number).ok_or(CommandError::NotInteger)?;
        let base = if self.form.is_absolute() { 0 } else { ctx.now_ms() as i64 };
        let at_ms = Some(number)
            .filter(|&number| number > 0)
            .and_then(|number| number.checked_mul(self.form.unit_ms()))
            .and_then(|ms| ms.checked_add(base))
            .ok_or(CommandError::InvalidExpire(ctx.command_name()))?;
        Ok(at_ms as u64)
    }
}

fn setex(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    set_until(ctx, args, Form::Ex)
}

fn psetex(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    set_until(ctx, args, Form::Px)
}

fn set_until(ctx: &mut Context<'_>, mut args: Args<'_>, form: Form) -> Outcome {
    let (key, number, value) = (args.key(), args.bytes(), args.bytes());
    args.finish()?;
    let at_ms = Deadline { form, number }.at_ms(ctx)?;
    put_until(ctx, key, value, at_ms);
    Ok(Reply::Ok)
}

/// What GETEX does beside reading.
#[derive(Clone, Copy)]
enum Change<'a> {
    None,
    Persist,
    Expire(Deadline<'a>),
}

fn getex(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = args.key();
    let change = change(&mut args)?;
    if ctx.view.string(key)?.is_none() {
        return Ok(Reply::Nil);
    }
    let expire_at_ms = match change {
        Change::Expire(deadline) => Some(deadline.at_ms(ctx)?),
        Change::None | Change::Persist => None,
    };
    let Some(entry) = ctx.view.peek(key) else { return Ok(Reply::Nil) };
    if let Some(value) = entry.as_str() {
        write(ctx.out, value);
    }
    let expires = entry.expire_at_ms().is_some();
    match (change, expire_at_ms) {
        (Change::Expire(deadline), Some(at_ms)) => expire(ctx, key, deadline.form, at_ms),
        (Change::Persist, _) if expires => persist(ctx, key),
        _ => {}
    }
    Ok(Reply::Sent)
}

fn change<'a>(args: &mut Args<'a>) -> Result<Change<'a>, CommandError> {
    let mut change = Change::None;
    while args.remaining() > 0 {
        change = match change {
            Change::None | Change::Persist if args.keyword("PERSIST") => Change::Persist,
            Change::None => Change::Expire(Deadline::parse(args, None)?),
            Change::Expire(earlier) => Change::Expire(Deadline::parse(args, Some(earlier))?),
            Change::Persist => return Err(CommandError::Syntax),
        };
    }
    Ok(change)
}

fn expire(ctx: &mut Context<'_>, key: Key<'_>, form: Form, at_ms: u64) {
    if form.is_absolute() && ctx.has_passed(at_ms) {
        ctx.view.remove(key);
        ctx.effect(key, EventClass::Generic, "del");
        ctx.replay_as([removal(ctx.settings.lazyfree_lazy_expire), key.bytes]);
        return;
    }
    ctx.view.expire_at(key, Some(at_ms));
    ctx.effect(key, EventClass::Generic, "expire");
    ctx.replay_as([b"PEXPIREAT", key.bytes, itoa::Buffer::new().format(at_ms).as_bytes()]);
}

fn persist(ctx: &mut Context<'_>, key: Key<'_>) {
    ctx.view.expire_at(key, None);
    ctx.effect(key, EventClass::Generic, "persist");
    ctx.replay_as([b"PERSIST", key.bytes]);
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn setex_and_psetex() {
        transcript(
            r#"
            > SETEX a 100 1
            OK
            > PSETEX b 40 2
            OK
            > MGET a b
            1) "1"
            2) "2"
            ! advance 60
            > MGET a b
            1) "1"
            2) (nil)
            > SETEX a 0 1
            (error) ERR invalid expire time in 'setex' command
            > SETEX a -10 1
            (error) ERR invalid expire time in 'setex' command
            > SETEX a ten 1
            (error) ERR value is not an integer or out of range
            > SETEX a 9223372036854775807 1
            (error) ERR invalid expire time in 'setex' command
            > PSETEX a 0 1
            (error) ERR invalid expire time in 'psetex' command
            > PSETEX a 9223372036854775807 1
            (error) ERR invalid expire time in 'psetex' command
            > PSETEX a x 1
            (error) ERR value is not an integer or out of range
            > SETEX a 1
            (error) ERR wrong number of arguments for 'setex' command
            > PSETEX a 1
            (error) ERR wrong number of arguments for 'psetex' command
            "#,
        );
    }

    #[test]
    fn getex_sets_and_clears_expiries() {
        transcript(
            r#"
            > MSET px 1 pxat 2 exat 3 ex 4 none 5
            OK
            > SET persist 6 PX 50
            OK
            > GETEX px PX 50
            "1"
            > GETEX pxat PXAT 1
            "2"
            > GET pxat
            (nil)
            > GETEX exat EXAT 1
            "3"
            > GET exat
            (nil)
            > GETEX ex EX 100
            "4"
            > GETEX none
            "5"
            > GETEX none PERSIST
            "5"
            > GETEX none EX 100 EX 200
            "5"
            > GETEX persist persist PERSIST
            "6"
            ! advance 80
            > MGET px ex none persist
            1) (nil)
            2) "4"
            3) "5"
            4) "6"
            > GETEX ex PXAT 33177117420000
            "4"
            > GETEX ex EXAT 33177117420
            "4"
            "#,
        );
    }

    #[test]
    fn what_getex_refuses() {
        transcript(
            r#"
            > SET k v
            OK
            > GETEX k WHAT
            (error) ERR syntax error
            > GETEX k EX
            (error) ERR syntax error
            > GETEX k EX 10 PX 10
            (error) ERR syntax error
            > GETEX k EX 10 PERSIST
            (error) ERR syntax error
            > GETEX k PERSIST EX 10
            (error) ERR syntax error
            > GETEX k KEEPTTL
            (error) ERR syntax error
            > GETEX k NX
            (error) ERR syntax error
            > GETEX k EX ten
            (error) ERR value is not an integer or out of range
            > GETEX k EX 0
            (error) ERR invalid expire time in 'getex' command
            > GETEX k PXAT -1
            (error) ERR invalid expire time in 'getex' command
            > GETEX k EX 9223372036854775807
            (error) ERR invalid expire time in 'getex' command
            > GETEX nobody EX ten
            (nil)
            > GETEX nobody WHAT
            (error) ERR syntax error
            > GETEX
            (error) ERR wrong number of arguments for 'getex' command
            "#,
        );
    }
}
