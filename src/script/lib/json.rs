//! `cjson`: JSON.
//!
//! Each table that `cjson.new` makes has settings of its own, which its functions share.

mod decode;
mod encode;
mod settings;
mod token;

use std::rc::Rc;

use mlua::{Lua, MultiValue, Table, Value};

use super::{bad, text};
use settings::Settings;

/// How deep values may be nested whatever the settings say: each level is a call.
const DEPTH: usize = 1_500;

/// The library's table.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let json = lua.create_table()?;
    let settings = Rc::new(Settings::default());
    json.raw_set("null", Value::NULL)?;
    json.raw_set("_NAME", "cjson")?;
    json.raw_set("_VERSION", "2.1.0")?;
    let own = Rc::clone(&settings);
    json.raw_set(
        "encode",
        lua.create_function(move |lua, arguments: MultiValue| {
            let out = encode::encode(lua, &own, only(lua, &arguments, "encode")?)?;
            lua.create_string(&out)
        })?,
    )?;
    let own = Rc::clone(&settings);
    json.raw_set(
        "decode",
        lua.create_function(move |lua, arguments: MultiValue| {
            only(lua, &arguments, "decode")?;
            let text = text(lua, &arguments, 0, "decode")?;
            decode::decode(lua, &own, &text.as_bytes())
        })?,
    )?;
    settings::add(lua, &json, &settings)?;
    json.raw_set("new", lua.create_function(|lua, _: MultiValue| table(lua))?)?;
    Ok(json)
}

fn only<'a>(lua: &Lua, arguments: &'a MultiValue, function: &str) -> mlua::Result<&'a Value> {
    match arguments.front() {
        Some(value) if arguments.len() == 1 => Ok(value),
        _ => Err(bad(lua, 0, function, "expected 1 argument")),
    }
}
