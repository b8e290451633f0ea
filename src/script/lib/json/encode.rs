//! Lua values to JSON.

use std::fmt::Display;

use mlua::{Lua, Table, Value};

use super::DEPTH;
use super::settings::{REFUSED, Settings, WRITTEN};
use crate::script::convert::general;
use crate::script::fault::raise_here;
use crate::script::lib::kind_of;

/// A value as JSON.
pub(super) fn encode(lua: &Lua, settings: &Settings, value: &Value) -> mlua::Result<Vec<u8>> {
    let mut writer = Writer { lua, settings, out: Vec::new() };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn refuse(&self, kind: &str, why: impl Display) -> mlua::Error {
        raise_here(self.lua, format_args!("Cannot serialise {kind}: {why}"))
    }

    fn value(&mut self, value: &Value, depth: usize) -> mlua::Result<()> {
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Integer(number) => return self.number(*number as f64),
            Value::Number(number) => return self.number(*number),
            Value::String(text) => write_text(&text.as_bytes(), &mut self.out),
            Value::Table(table) => return self.table(table, depth + 1),
            other => return Err(self.refuse(kind_of(other), "type not supported")),
        }
        Ok(())
    }

    fn number(&mut self, number: f64) -> mlua::Result<()> {
        const EXACT: f64 = 1e14;
        if !number.is_finite() {
            match self.settings.encode_invalid.get() {
                REFUSED => return Err(self.refuse("number", "must not be NaN or Inf")),
                WRITTEN if number.is_nan() => self.out.extend_from_slice(b"nan"),
                WRITTEN => self.out.extend_from_slice(general(number, 14).as_bytes()),
                _ => self.out.extend_from_slice(b"null"),
            }
            return Ok(());
        }
        let digits = self.settings.precision.get() as usize;
        let whole = number as i64;
        if digits == 14
            && number.abs() < EXACT
            && whole as f64 == number
            && (whole != 0 || number.is_sign_positive())
        {
            self.out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        } else {
            self.out.extend_from_slice(general(number, digits).as_bytes());
        }
        Ok(())
    }

    fn table(&mut self, table: &Table, depth: usize) -> mlua::Result<()> {
        if depth > DEPTH.min(self.settings.encode_depth.get() as usize) {
            let text = format!("Cannot serialise, excessive nesting ({depth})");
            return Err(raise_here(self.lua, text));
        }
        match self.array_len(table)? {
            Some(len) => self.array(table, len, depth),
            None => self.object(table, depth),
        }
    }

    /// The length of the array that a table is written as; `None` when it is an object. In C's numbers.
    fn array_len(&self, table: &Table) -> mlua::Result<Option<i32>> {
        let (mut max, mut count) = (0i32, 0i32);
        for pair in table.pairs::<Value, Value>() {
            let key = match pair?.0 {
                Value::Integer(number) => number as f64,
                Value::Number(number) => number,
                _ => return Ok(None),
            };
            if key.floor() != key || key < 1.0 {
                return Ok(None);
            }
            if key > f64::from(max) {
                max = if key <= f64::from(i32::MAX) { key as i32 } else { i32::MIN };
            }
            count += 1;
        }
        let (ratio, safe) = (self.settings.sparse_ratio.get(), self.settings.sparse_safe.get());
        if ratio > 0 && max > count.wrapping_mul(ratio) && max > safe {
            if self.settings.sparse_convert.get() == 0 {
                return Err(self.refuse("table", "excessively sparse array"));
            }
            return Ok(None);
        }
        Ok((max > 0).then_some(max))
    }

    fn array(&mut self, table: &Table, len: i32, depth: usize) -> mlua::Result<()> {
        self.out.push(b'[');
        for at in 1..=len {
            if at > 1 {
                self.out.push(b',');
            }
            let item = table.raw_get::<Value>(at)?;
            self.value(&item, depth)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, table: &Table, depth: usize) -> mlua::Result<()> {
        self.out.push(b'{');
        let mut first = true;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            match &key {
                Value::String(text) => write_text(&text.as_bytes(), &mut self.out),
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    self.value(&key, depth)?;
                    self.out.push(b'"');
                }
                other => return Err(self.refuse(kind_of(other), "table key must be a number or string")),
            }
            self.out.push(b':');
            self.value(&value, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'/' => out.extend_from_slice(b"\\/"),
            8 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0..=31 | 127 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
