//! The libraries that Redis gives to scripts.

mod bit;
mod cmsgpack;
mod json;
mod structs;

use mlua::{Lua, Table};

/// How deep what they read and write may be nested.
const DEPTH: usize = 1_000;

/// Adds each as a field.
pub(super) fn add(lua: &Lua, to: &Table) -> mlua::Result<()> {
    to.raw_set("bit", bit::table(lua)?)?;
    to.raw_set("cjson", json::table(lua)?)?;
    to.raw_set("cmsgpack", cmsgpack::table(lua)?)?;
    to.raw_set("struct", structs::table(lua)?)
}

/// The length of a table that is an array: its keys are 1 to n, all there.
fn array_len(table: &Table) -> mlua::Result<Option<usize>> {
    let (mut max, mut count) = (0usize, 0usize);
    for pair in table.pairs::<mlua::Value, mlua::Value>() {
        match pair?.0 {
            mlua::Value::Integer(at) if at > 0 => {
                max = max.max(at as usize);
                count += 1;
            }
            _ => return Ok(None),
        }
    }
    Ok((max == count).then_some(max))
}
