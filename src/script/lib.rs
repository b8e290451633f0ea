//! The libraries that Redis gives to scripts.

mod bit;
mod cmsgpack;
mod json;
mod structs;

use mlua::{Lua, MultiValue, Table, Value};

use super::convert::general;
use super::fault::raise_here;

/// Adds each as a field.
pub(super) fn add(lua: &Lua, to: &Table) -> mlua::Result<()> {
    to.raw_set("bit", bit::table(lua)?)?;
    to.raw_set("cjson", json::table(lua)?)?;
    to.raw_set("cmsgpack", cmsgpack::table(lua)?)?;
    to.raw_set("struct", structs::table(lua)?)
}

/// An argument that is to be a number: as in Lua's C, text that reads as one will do.
fn number(lua: &Lua, arguments: &MultiValue, at: usize, function: &str) -> mlua::Result<f64> {
    let given = arguments.get(at);
    let number = match given {
        Some(Value::Number(number)) => Some(*number),
        Some(Value::Integer(number)) => Some(*number as f64),
        Some(text @ Value::String(_)) => lua.coerce_number(text.clone())?,
        _ => None,
    };
    number.ok_or_else(|| expected(lua, given, at, function, "number"))
}

/// An argument that is to be a whole number, as C converts it.
fn integer(lua: &Lua, arguments: &MultiValue, at: usize, function: &str) -> mlua::Result<i64> {
    number(lua, arguments, at, function).map(whole)
}

/// The same, when it may be absent.
fn integer_or(
    lua: &Lua,
    arguments: &MultiValue,
    at: usize,
    function: &str,
    otherwise: i64,
) -> mlua::Result<i64> {
    match arguments.get(at) {
        None | Some(Value::Nil) => Ok(otherwise),
        _ => integer(lua, arguments, at, function),
    }
}

/// An argument that is to be text; a number will do.
fn text(lua: &Lua, arguments: &MultiValue, at: usize, function: &str) -> mlua::Result<mlua::String> {
    match arguments.get(at) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Integer(number)) => lua.create_string(general(*number as f64, 14)),
        Some(Value::Number(number)) => lua.create_string(general(*number, 14)),
        given => Err(expected(lua, given, at, function, "string")),
    }
}

/// C's conversion of a number to a whole one of 64 bits: what does not fit becomes the least.
fn whole(number: f64) -> i64 {
    if number >= -(2f64.powi(63)) && number < 2f64.powi(63) { number as i64 } else { i64::MIN }
}

fn expected(lua: &Lua, given: Option<&Value>, at: usize, function: &str, kind: &str) -> mlua::Error {
    let given = given.map_or("no value", kind_of);
    bad(lua, at, function, &format!("{kind} expected, got {given}"))
}

/// The error for an argument.
fn bad(lua: &Lua, at: usize, function: &str, why: &str) -> mlua::Error {
    raise_here(lua, format_args!("bad argument #{} to '{function}' ({why})", at + 1))
}

/// What Lua calls a value's type.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        Value::LightUserData(_) | Value::Error(_) => "userdata",
        other => other.type_name(),
    }
}
