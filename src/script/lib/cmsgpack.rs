//! `cmsgpack`: MessagePack.

use mlua::{Lua, MultiValue, Table, Value};

use super::{integer, integer_or, text, whole};
use crate::script::fault::raise_here;

/// Deeper tables are written as nil, as Redis's library does.
const WRITE_DEPTH: usize = 16;
const READ_DEPTH: usize = 500;
/// What one call of Lua can return.
const MOST_RESULTS: usize = 7_900;

/// The library's table.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let pack = lua.create_table()?;
    pack.raw_set("_NAME", "cmsgpack")?;
    pack.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    pack.raw_set(
        "pack",
        lua.create_function(|lua, values: MultiValue| {
            if values.is_empty() {
                return Err(raise_here(lua, "bad argument #0 to 'pack' (MessagePack pack needs input.)"));
            }
            let mut out = Vec::new();
            values.iter().try_for_each(|value| write(value, &mut out, 0))?;
            lua.create_string(&out)
        })?,
    )?;
    pack.raw_set(
        "unpack",
        lua.create_function(|lua, arguments: MultiValue| unpack(lua, &arguments, "unpack", 0, 0))?,
    )?;
    pack.raw_set(
        "unpack_one",
        lua.create_function(|lua, arguments: MultiValue| {
            let from = integer_or(lua, &arguments, 1, "unpack_one", 0)?;
            unpack(lua, &arguments, "unpack_one", 1, from)
        })?,
    )?;
    pack.raw_set(
        "unpack_limit",
        lua.create_function(|lua, arguments: MultiValue| {
            let limit = integer(lua, &arguments, 1, "unpack_limit")?;
            let from = integer_or(lua, &arguments, 2, "unpack_limit", 0)?;
            unpack(lua, &arguments, "unpack_limit", limit, from)
        })?,
    )?;
    Ok(pack)
}

/// So many values from that place on: all when both are 0, else with the place of what follows first, or -1 at
/// the end.
fn unpack(
    lua: &Lua,
    arguments: &MultiValue,
    function: &str,
    limit: i64,
    from: i64,
) -> mlua::Result<MultiValue> {
    let text = text(lua, arguments, 0, function)?;
    let bytes = text.as_bytes();
    let all = limit == 0 && from == 0;
    let (Ok(limit), Ok(start)) = (usize::try_from(limit), usize::try_from(from)) else {
        let text = format!(
            "Invalid request to unpack with offset of {} and limit of {}.",
            from as i32,
            bytes.len() as i32
        );
        return Err(raise_here(lua, text));
    };
    let Some(rest) = bytes.get(start..) else {
        let text = format!("Start offset {} greater than input length {}.", from as i32, bytes.len());
        return Err(raise_here(lua, text));
    };
    let mut reader = Reader { lua, rest };
    let mut values = MultiValue::new();
    while !reader.rest.is_empty() && (all || values.len() < limit) {
        if values.len() >= MOST_RESULTS {
            return Err(raise_here(lua, "too many results to unpack"));
        }
        values.push_back(reader.value(0)?);
    }
    if !all {
        let next = if reader.rest.is_empty() { -1 } else { (bytes.len() - reader.rest.len()) as i64 };
        values.push_front(Value::Integer(next));
    }
    Ok(values)
}

fn head(out: &mut Vec<u8>, len: usize, small: (u8, usize), eight: Option<u8>, sixteen: u8) {
    if len < small.1 {
        out.push(small.0 | len as u8);
    } else if let (Some(marker), Ok(len)) = (eight, u8::try_from(len)) {
        out.extend_from_slice(&[marker, len]);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(sixteen);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(sixteen + 1);
        out.extend_from_slice(&(len as u32).to_be_bytes());
    }
}

fn write(value: &Value, out: &mut Vec<u8>, depth: usize) -> mlua::Result<()> {
    match value {
        Value::Boolean(yes) => out.push(if *yes { 0xc3 } else { 0xc2 }),
        Value::Integer(number) => write_integer(*number, out),
        Value::Number(number) if whole(*number) as f64 == *number => write_integer(whole(*number), out),
        Value::Number(number) => {
            let small = *number as f32;
            if f64::from(small) == *number {
                out.push(0xca);
                out.extend_from_slice(&small.to_be_bytes());
            } else {
                out.push(0xcb);
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        Value::String(text) => {
            head(out, text.as_bytes().len(), (0xa0, 32), Some(0xd9), 0xda);
            out.extend_from_slice(&text.as_bytes());
        }
        Value::Table(_) if depth >= WRITE_DEPTH => out.push(0xc0),
        Value::Table(table) => return write_table(table, out, depth + 1),
        _ => out.push(0xc0),
    }
    Ok(())
}

fn write_table(table: &Table, out: &mut Vec<u8>, depth: usize) -> mlua::Result<()> {
    match array_len(table)? {
        Some(len) => {
            head(out, len, (0x90, 16), None, 0xdc);
            for at in 1..=len {
                write(&table.raw_get::<Value>(at)?, out, depth)?;
            }
        }
        None => {
            let count = table.pairs::<Value, Value>().count();
            head(out, count, (0x80, 16), None, 0xde);
            for pair in table.pairs::<Value, Value>() {
                let (key, value) = pair?;
                write(&key, out, depth)?;
                write(&value, out, depth)?;
            }
        }
    }
    Ok(())
}

/// The length of a table that is an array: its keys are 1 to n, all there.
fn array_len(table: &Table) -> mlua::Result<Option<usize>> {
    let (mut max, mut count) = (0i32, 0i32);
    for pair in table.pairs::<Value, Value>() {
        let at = match pair?.0 {
            Value::Integer(at) => i32::try_from(at).ok(),
            Value::Number(at) if f64::from(at as i32) == at => Some(at as i32),
            _ => None,
        };
        let Some(at) = at.filter(|at| *at > 0) else { return Ok(None) };
        (max, count) = (max.max(at), count + 1);
    }
    Ok((max == count).then_some(max as usize))
}

fn write_integer(number: i64, out: &mut Vec<u8>) {
    match number {
        0..=127 => out.push(number as u8),
        128..=0xff => out.extend_from_slice(&[0xcc, number as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend_from_slice(&(number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend_from_slice(&(number as u32).to_be_bytes());
        }
        0x1_0000_0000.. => {
            out.push(0xcf);
            out.extend_from_slice(&number.to_be_bytes());
        }
        -32..=-1 => out.push(number as u8),
        -128..=-33 => out.extend_from_slice(&[0xd0, number as u8]),
        -0x8000..=-129 => {
            out.push(0xd1);
            out.extend_from_slice(&(number as i16).to_be_bytes());
        }
        -0x8000_0000..=-0x8001 => {
            out.push(0xd2);
            out.extend_from_slice(&(number as i32).to_be_bytes());
        }
        _ => {
            out.push(0xd3);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

struct Reader<'l, 't> {
    lua: &'l Lua,
    rest: &'t [u8],
}

impl<'t> Reader<'_, 't> {
    fn take(&mut self, len: usize) -> mlua::Result<&'t [u8]> {
        if len > self.rest.len() {
            return Err(raise_here(self.lua, "Missing bytes in input."));
        }
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(taken)
    }

    fn unsigned(&mut self, len: usize) -> mlua::Result<u64> {
        Ok(self.take(len)?.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)))
    }

    fn signed(&mut self, len: usize) -> mlua::Result<i64> {
        let shift = 64 - 8 * len as u32;
        Ok(((self.unsigned(len)? << shift) as i64) >> shift)
    }

    fn text(&mut self, len: u64) -> mlua::Result<Value> {
        let bytes = self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        Ok(Value::String(self.lua.create_string(bytes)?))
    }

    fn value(&mut self, depth: usize) -> mlua::Result<Value> {
        if depth > READ_DEPTH {
            return Err(raise_here(self.lua, "Bad data format in input."));
        }
        let marker = self.take(1)?[0];
        Ok(match marker {
            0..=0x7f => Value::Integer(i64::from(marker)),
            0x80..=0x8f => return self.map(u64::from(marker & 15), depth),
            0x90..=0x9f => return self.array(u64::from(marker & 15), depth),
            0xa0..=0xbf => return self.text(u64::from(marker & 31)),
            0xc0 => Value::Nil,
            0xc2 => Value::Boolean(false),
            0xc3 => Value::Boolean(true),
            0xd9..=0xdb => {
                let len = self.unsigned(1 << (marker - 0xd9))?;
                return self.text(len);
            }
            0xca => Value::Number(f64::from(f32::from_bits(self.unsigned(4)? as u32))),
            0xcb => Value::Number(f64::from_bits(self.unsigned(8)?)),
            0xcc..=0xcf => Value::Number(self.unsigned(1 << (marker - 0xcc))? as f64),
            0xd0..=0xd3 => Value::Number(self.signed(1 << (marker - 0xd0))? as f64),
            0xdc | 0xdd => {
                let len = self.unsigned(2 << (marker - 0xdc))?;
                return self.array(len, depth);
            }
            0xde | 0xdf => {
                let len = self.unsigned(2 << (marker - 0xde))?;
                return self.map(len, depth);
            }
            0xe0..=0xff => Value::Integer(i64::from(marker as i8)),
            _ => return Err(raise_here(self.lua, "Bad data format in input.")),
        })
    }

    fn array(&mut self, len: u64, depth: usize) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        for at in 1..=len {
            let value = self.value(depth + 1)?;
            table.raw_set(at as f64, value)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: u64, depth: usize) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        for _ in 0..len {
            let (key, value) = (self.value(depth + 1)?, self.value(depth + 1)?);
            if matches!(&key, Value::Nil) || matches!(&key, Value::Number(number) if number.is_nan()) {
                return Err(raise_here(self.lua, "Bad data format in input."));
            }
            table.raw_set(key, value)?;
        }
        Ok(Value::Table(table))
    }
}
