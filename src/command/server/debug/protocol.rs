//! DEBUG PROTOCOL: one reply of each type, for the tests of clients.

use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::resp::Protocol;

/// The number that Redis answers, which is not meant to be pi.
#[allow(clippy::approx_constant)]
const DOUBLE: f64 = 3.141;

type Write = fn(&mut Context<'_>) -> Outcome;

static TYPES: &[(&str, Write)] = &[
    ("string", |ctx| ctx.bulk(b"Hello World")),
    ("integer", |_| Ok(Reply::Int(12_345))),
    ("double", |ctx| ctx.double(DOUBLE)),
    ("bignum", |ctx| {
        ctx.out.big_number("1234567999999999999999999999999999999");
        Ok(Reply::Sent)
    }),
    ("null", |_| Ok(Reply::Nil)),
    ("array", |_| Ok(Reply::Array((0..3).map(Reply::Int).collect()))),
    ("set", |ctx| {
        ctx.out.set(3);
        (0..3).for_each(|number| ctx.out.int(number));
        Ok(Reply::Sent)
    }),
    ("map", map),
    ("attrib", attribute),
    ("push", push),
    ("verbatim", |ctx| {
        ctx.out.verbatim("txt", b"This is a verbatim\nstring");
        Ok(Reply::Sent)
    }),
    ("true", |ctx| boolean(ctx, true)),
    ("false", |ctx| boolean(ctx, false)),
];

pub(super) fn protocol(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let name = args.bytes();
    match TYPES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)) {
        Some((_, write)) => write(ctx),
        None => Err(CommandError::fixed(
            "ERR Wrong protocol type name. Please use one of the following: \
             string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
        )),
    }
}

fn boolean(ctx: &mut Context<'_>, yes: bool) -> Outcome {
    ctx.out.bool(yes);
    Ok(Reply::Sent)
}

fn map(ctx: &mut Context<'_>) -> Outcome {
    ctx.out.map(3);
    for number in 0..3 {
        ctx.out.int(number);
        ctx.out.bool(number == 1);
    }
    Ok(Reply::Sent)
}

/// An attribute is no reply: one follows it.
fn attribute(ctx: &mut Context<'_>) -> Outcome {
    if ctx.out.protocol() == Protocol::Resp3 {
        ctx.out.attribute(1);
        ctx.out.bulk(b"key-popularity");
        ctx.out.array(2);
        ctx.out.bulk(b"key:123");
        ctx.out.int(90);
    }
    ctx.bulk(b"Some real reply following the attribute")
}

/// A push is no reply either.
fn push(ctx: &mut Context<'_>) -> Outcome {
    if ctx.out.protocol() == Protocol::Resp2 {
        return Err(CommandError::fixed("ERR RESP2 is not supported by this command"));
    }
    ctx.out.push(2);
    ctx.out.bulk(b"server-cpu-usage");
    ctx.out.int(42);
    ctx.bulk(b"Some real reply following the push reply")
}
