//! Errors on their way through Lua.
//!
//! A callback cannot raise a Lua table, which is what scripts expect of `redis.call`: it raises a [`Raised`],
//! and `pcall`, `coroutine.resume` and the handler of the script as a whole turn that into the table.

use std::fmt;

use mlua::{Error, Lua, Table, Value};

use crate::resp::text_of;

/// An error with Redis's code, `ERR` included.
#[derive(Clone, Debug)]
pub(super) struct Raised {
    /// `CODE words`
    pub text: Vec<u8>,
    /// It has been counted by the command that failed.
    pub counted: bool,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text_of(&self.text))
    }
}

impl std::error::Error for Raised {}

impl Raised {
    /// Redis's reading of an error's words: `-CODE words` has a code, anything else gets ERR.
    pub(super) fn new(words: &[u8]) -> Raised {
        let trim = |bytes: &[u8]| -> Vec<u8> {
            let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
            let start = bytes.iter().position(|byte| !is_break(byte)).unwrap_or(bytes.len());
            let end = bytes.iter().rposition(|byte| !is_break(byte)).map_or(start, |last| last + 1);
            bytes[start..end].to_vec()
        };
        let text = match words.strip_prefix(b"-") {
            Some(coded) if coded.contains(&b' ') => trim(coded),
            Some(words) => [b"ERR ".to_vec(), trim(words)].concat(),
            None => [b"ERR ".to_vec(), trim(words)].concat(),
        };
        Raised { text, counted: false }
    }

    /// As an error of a callback.
    pub(super) fn raise(self) -> Error {
        Error::external(self)
    }

    /// As the table that scripts see.
    pub(super) fn table(&self, lua: &Lua) -> mlua::Result<Table> {
        let table = lua.create_table_with_capacity(0, 2)?;
        table.raw_set("err", lua.create_string(&self.text)?)?;
        if self.counted {
            table.raw_set("ignore_error_stats_update", true)?;
        }
        Ok(table)
    }
}

/// An error of a library function, with the place in the script in front of it as Lua's own have.
pub(super) fn raise_here(lua: &Lua, words: impl fmt::Display) -> Error {
    let place = lua.inspect_stack(1, |debug| {
        let line = debug.current_line()?;
        let source = debug.source().short_src?.into_owned();
        Some(format!("{source}:{line}: "))
    });
    Error::RuntimeError(format!("{}{words}", place.flatten().unwrap_or_default()))
}

/// What a script sees of an error: a table for [`Raised`], a string for others.
pub(super) fn plain(lua: &Lua, error: &Error) -> mlua::Result<Value> {
    match root(error) {
        Error::ExternalError(inner) => match inner.downcast_ref::<Raised>() {
            Some(raised) => Ok(Value::Table(raised.table(lua)?)),
            None => Ok(Value::String(lua.create_string(inner.to_string())?)),
        },
        Error::RuntimeError(text) => Ok(Value::String(lua.create_string(text)?)),
        Error::MemoryError(_) => Ok(Value::String(lua.create_string("not enough memory")?)),
        other => Ok(Value::String(lua.create_string(other.to_string())?)),
    }
}

/// The error behind what the layers of callbacks have wrapped around it.
fn root(error: &Error) -> &Error {
    match error {
        Error::CallbackError { cause, .. } | Error::BadArgument { cause, .. } => root(cause),
        Error::WithContext { cause, .. } => root(cause),
        other => other,
    }
}
