//! The tables `redis` and `math` of scripts.

use std::rc::Rc;

use mlua::{Lua, MultiValue, Table, Value};
use sha1::{Digest, Sha1};

use crate::command::rights;
use crate::observe::log::QUOTES;

use super::call;
use super::fault::{Raised, raise_here};
use super::raw;
use super::running::Watch;

const VERSION: &str = "7.0.15";
const VERSION_NUM: i64 = 0x0007_000f;

/// `redis`.
pub(super) fn redis(lua: &Lua, watch: &Rc<Watch>) -> mlua::Result<Table> {
    let redis = lua.create_table()?;
    redis.raw_set("call", raw::call(lua)?)?;
    redis.raw_set("pcall", raw::pcall(lua)?)?;
    for (level, name) in ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"].iter().enumerate() {
        redis.raw_set(*name, level)?;
    }
    for (name, value) in
        [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)]
    {
        redis.raw_set(name, value)?;
    }
    redis.raw_set("REDIS_VERSION", VERSION)?;
    redis.raw_set("REDIS_VERSION_NUM", VERSION_NUM)?;
    redis.raw_set("log", lua.create_function(log)?)?;
    redis.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    redis.raw_set("error_reply", lua.create_function(error_reply)?)?;
    redis.raw_set("status_reply", lua.create_function(status_reply)?)?;
    redis.raw_set("acl_check_cmd", lua.create_function(acl_check_cmd)?)?;
    redis.raw_set("set_repl", lua.create_function(set_repl)?)?;
    // Effects are what is repeated, always: there is nothing to switch on.
    redis.raw_set("replicate_commands", lua.create_function(|_, ()| Ok(true))?)?;
    // The debugger is off: nothing stops here and nothing is shown.
    redis.raw_set("breakpoint", lua.create_function(|_, ()| Ok(false))?)?;
    redis.raw_set("debug", lua.create_function(|_, _: MultiValue| Ok(()))?)?;
    let own = Rc::clone(watch);
    redis.raw_set(
        "setresp",
        lua.create_function(move |_, arguments: MultiValue| set_resp(&own, &arguments))?,
    )?;
    Ok(redis)
}

fn fail<T>(words: &[u8]) -> mlua::Result<T> {
    Err(Raised::new(words).raise())
}

/// The only argument, when it is one string.
fn only_string(arguments: &MultiValue) -> Option<mlua::String> {
    match (arguments.len(), arguments.front()) {
        (1, Some(Value::String(text))) => Some(text.clone()),
        _ => None,
    }
}

/// A number that Lua would take for an integer argument.
fn integer(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Integer(number) => Some(*number),
        Value::Number(number) => Some(*number as i64),
        Value::String(text) => text.to_str().ok()?.trim().parse::<f64>().ok().map(|number| number as i64),
        _ => None,
    }
}

fn text(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Number(number) => Some(super::convert::general(*number, 14).into_bytes()),
        _ => None,
    }
}

fn log(_: &Lua, arguments: MultiValue) -> mlua::Result<()> {
    if arguments.len() < 2 {
        return fail(b"redis.log() requires two arguments or more.");
    }
    let level = match arguments.front() {
        Some(level @ (Value::Integer(_) | Value::Number(_))) => integer(Some(level)).unwrap_or(-1),
        _ => return fail(b"First argument must be a number (log level)."),
    };
    if let Some(raised) = call::give_up_trial() {
        return Err(raised.raise());
    }
    let words: Vec<String> = arguments
        .iter()
        .skip(1)
        .filter_map(text)
        .map(|word| String::from_utf8_lossy(&word).into_owned())
        .collect();
    let line = words.join(" ");
    match level {
        0 | 1 => tracing::debug!(target: QUOTES, "{line}"),
        2 => tracing::info!(target: QUOTES, "{line}"),
        3 => tracing::warn!(target: QUOTES, "{line}"),
        _ => return fail(b"Invalid log level."),
    }
    Ok(())
}

fn sha1hex(_: &Lua, arguments: MultiValue) -> mlua::Result<String> {
    if arguments.len() != 1 {
        return fail(b"wrong number of arguments");
    }
    let bytes = arguments.front().and_then(text).unwrap_or_default();
    Ok(hex(&Sha1::digest(bytes).into()))
}

/// A digest in hexadecimal digits.
pub(super) fn hex(digest: &[u8; 20]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::with_capacity(40), |mut text, byte| {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn error_reply(lua: &Lua, arguments: MultiValue) -> mlua::Result<Table> {
    let Some(words) = only_string(&arguments) else {
        return Raised::new(b"wrong number or type of arguments").table(lua);
    };
    let words = words.as_bytes();
    let coded = [b"-".as_slice(), words.strip_prefix(b"-").unwrap_or(&words)].concat();
    Raised::new(&coded).table(lua)
}

fn status_reply(lua: &Lua, arguments: MultiValue) -> mlua::Result<Table> {
    let Some(words) = only_string(&arguments) else {
        return Raised::new(b"wrong number or type of arguments").table(lua);
    };
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set("ok", words)?;
    Ok(table)
}

/// Whether the script's user may run a command.
fn acl_check_cmd(_: &Lua, arguments: MultiValue) -> mlua::Result<bool> {
    if arguments.is_empty() {
        return fail(b"Please specify at least one argument for this redis.acl_check_cmd() call");
    }
    let words: Option<Vec<Vec<u8>>> = arguments.iter().map(text).collect();
    let Some(words) = words else {
        return fail(b"redis.acl_check_cmd() command arguments must be strings or integers");
    };
    let may = super::current::with(|ctx| rights::may_send(ctx, &words)).flatten();
    may.map_or_else(|| fail(b"Invalid command passed to redis.acl_check_cmd()"), Ok)
}

/// What scripts did is repeated everywhere or nowhere: the argument is checked, the effects stay whole.
fn set_repl(_: &Lua, arguments: MultiValue) -> mlua::Result<()> {
    if arguments.len() != 1 {
        return fail(b"redis.set_repl() requires one argument.");
    }
    match integer(arguments.front()) {
        Some(0..=3) => Ok(()),
        _ => fail(b"Invalid replication flags. Please use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."),
    }
}

fn set_resp(watch: &Watch, arguments: &MultiValue) -> mlua::Result<()> {
    if !watch.active.get() {
        return fail(b"redis.setresp can only be called inside a script invocation");
    }
    if arguments.len() != 1 {
        return fail(b"redis.setresp() requires one argument.");
    }
    match integer(arguments.front()) {
        Some(version @ (2 | 3)) => {
            watch.resp3.set(version == 3);
            Ok(())
        }
        _ => fail(b"RESP version must be 2 or 3."),
    }
}

/// What of `math` is Redis's own.
pub(super) fn math(lua: &Lua, watch: &Rc<Watch>) -> mlua::Result<Table> {
    let math = lua.create_table()?;
    let own = Rc::clone(watch);
    math.raw_set(
        "random",
        lua.create_function(move |lua, arguments: MultiValue| random(lua, &own, &arguments))?,
    )?;
    let own = Rc::clone(watch);
    math.raw_set(
        "randomseed",
        lua.create_function(move |lua, seed: Value| {
            if !own.active.get() {
                return Err(raise_here(lua, "math.randomseed can only be called inside a script invocation"));
            }
            own.random.seed(argument(lua, Some(&seed), 1, "randomseed")? as i32);
            Ok(())
        })?,
    )?;
    Ok(math)
}

fn argument(lua: &Lua, value: Option<&Value>, at: usize, function: &str) -> mlua::Result<i64> {
    let given = || value.map_or("no value", Value::type_name);
    integer(value).ok_or_else(|| {
        raise_here(lua, format_args!("bad argument #{at} to '{function}' (number expected, got {})", given()))
    })
}

fn random(lua: &Lua, watch: &Watch, arguments: &MultiValue) -> mlua::Result<f64> {
    if !watch.active.get() {
        return Err(raise_here(lua, "math.random can only be called inside a script invocation"));
    }
    let drawn = watch.random.draw();
    let bound = |at: usize| argument(lua, arguments.get(at - 1), at, "random").map(|bound| bound as i32);
    let (low, high, at) = match arguments.len() {
        0 => return Ok(drawn),
        1 => (1, bound(1)?, 1),
        2 => (bound(1)?, bound(2)?, 2),
        _ => return Err(raise_here(lua, "wrong number of arguments")),
    };
    if low > high {
        return Err(raise_here(lua, format_args!("bad argument #{at} to 'random' (interval is empty)")));
    }
    Ok((drawn * (f64::from(high) - f64::from(low) + 1.0)).floor() + f64::from(low))
}
