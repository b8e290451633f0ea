//! `bit`: operations on 32 bits.

use mlua::{Lua, MultiValue, Table};

/// The library's table.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let bit = lua.create_table()?;
    let unary = |name: &'static str, of: fn(i32) -> i32| -> mlua::Result<()> {
        let form =
            lua.create_function(move |lua, arguments: MultiValue| Ok(of(word(lua, &arguments, 0, name)?)))?;
        bit.raw_set(name, form)
    };
    unary("tobit", |word| word)?;
    unary("bnot", |word| !word)?;
    unary("bswap", i32::swap_bytes)?;
    let folded = |name: &'static str, of: fn(i32, i32) -> i32| -> mlua::Result<()> {
        let form = lua.create_function(move |lua, arguments: MultiValue| {
            let first = word(lua, &arguments, 0, name)?;
            // The last is looked at first, as in Redis's library.
            (1..arguments.len())
                .rev()
                .try_fold(first, |all, at| Ok(of(all, word(lua, &arguments, at, name)?)))
        })?;
        bit.raw_set(name, form)
    };
    folded("band", |a, b| a & b)?;
    folded("bor", |a, b| a | b)?;
    folded("bxor", |a, b| a ^ b)?;
    let shift = |name: &'static str, of: fn(i32, u32) -> i32| -> mlua::Result<()> {
        let form = lua.create_function(move |lua, arguments: MultiValue| {
            let bits = word(lua, &arguments, 0, name)?;
            Ok(of(bits, word(lua, &arguments, 1, name)? as u32 & 31))
        })?;
        bit.raw_set(name, form)
    };
    shift("lshift", |word, by| word << by)?;
    shift("rshift", |word, by| ((word as u32) >> by) as i32)?;
    shift("arshift", |word, by| word >> by)?;
    shift("rol", i32::rotate_left)?;
    shift("ror", i32::rotate_right)?;
    bit.raw_set("tohex", lua.create_function(to_hex)?)?;
    Ok(bit)
}

/// An argument's lower 32 bits, rounded to the nearest whole number.
fn word(lua: &Lua, arguments: &MultiValue, at: usize, function: &str) -> mlua::Result<i32> {
    let number = super::number(lua, arguments, at, function)?;
    // Adding this shifts the whole number into the lowest bits of the double, rounded to the nearest. Of numbers
    // beyond 2^51 it makes nonsense, the same as Redis's library.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    Ok((number + SHIFT).to_bits() as i32)
}

fn to_hex(lua: &Lua, arguments: MultiValue) -> mlua::Result<String> {
    let number = word(lua, &arguments, 0, "tohex")? as u32;
    let digits = if arguments.len() < 2 { 8 } else { word(lua, &arguments, 1, "tohex")? };
    let width = digits.unsigned_abs().min(8) as usize;
    let text = if digits < 0 { format!("{number:08X}") } else { format!("{number:08x}") };
    Ok(text[8 - width..].to_owned())
}
