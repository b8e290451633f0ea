//! `cjson`: JSON.

use mlua::{Lua, Table, Value};

use super::DEPTH;
use crate::script::convert::general;
use crate::script::fault::raise_here;

/// The library's table.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let json = lua.create_table()?;
    json.raw_set("null", Value::NULL)?;
    json.raw_set("_NAME", "cjson")?;
    json.raw_set("_VERSION", "2.1.0")?;
    json.raw_set(
        "encode",
        lua.create_function(|lua, value: Value| {
            let mut out = Vec::new();
            encode(lua, &value, &mut out, 0)?;
            lua.create_string(&out)
        })?,
    )?;
    json.raw_set(
        "decode",
        lua.create_function(|lua, text: mlua::String| {
            let text = text.as_bytes();
            // Two characters in ASCII are the least that a text in JSON begins with.
            if text.len() >= 2 && text[..2].contains(&0) {
                return Err(raise_here(lua, "JSON parser does not support UTF-16 or UTF-32"));
            }
            let mut reader = Reader { lua, text: &text, at: 0 };
            let value = reader.value(0)?;
            reader.space();
            if reader.at < reader.text.len() {
                return Err(reader.expected("the end"));
            }
            Ok(value)
        })?,
    )?;
    Ok(json)
}

fn encode(lua: &Lua, value: &Value, out: &mut Vec<u8>, depth: usize) -> mlua::Result<()> {
    if depth > DEPTH {
        return Err(raise_here(lua, format_args!("Cannot serialise, excessive nesting ({depth})")));
    }
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::LightUserData(pointer) if pointer.0.is_null() => out.extend_from_slice(b"null"),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Integer(number) => out.extend_from_slice(general(*number as f64, 14).as_bytes()),
        Value::Number(number) if !number.is_finite() => {
            return Err(raise_here(lua, "Cannot serialise number: must not be NaN or Inf"));
        }
        Value::Number(number) => out.extend_from_slice(general(*number, 14).as_bytes()),
        Value::String(text) => encode_text(&text.as_bytes(), out),
        Value::Table(table) => return encode_table(lua, table, out, depth + 1),
        other => {
            let kind = other.type_name();
            return Err(raise_here(lua, format_args!("Cannot serialise {kind}: type not supported")));
        }
    }
    Ok(())
}

/// The length of the array that a table is written as; `None` when it is an object.
fn length(lua: &Lua, table: &Table) -> mlua::Result<Option<usize>> {
    const SAFE: usize = 10;
    const RATIO: usize = 2;
    let (mut max, mut count) = (0usize, 0usize);
    for pair in table.pairs::<Value, Value>() {
        match pair?.0 {
            Value::Integer(at) if at > 0 => {
                max = max.max(at as usize);
                count += 1;
            }
            _ => return Ok(None),
        }
    }
    if max > SAFE && max > count.saturating_mul(RATIO) {
        return Err(raise_here(lua, "Cannot serialise table: excessively sparse array"));
    }
    Ok((max > 0).then_some(max))
}

fn encode_table(lua: &Lua, table: &Table, out: &mut Vec<u8>, depth: usize) -> mlua::Result<()> {
    if let Some(len) = length(lua, table)? {
        out.push(b'[');
        for at in 1..=len {
            if at > 1 {
                out.push(b',');
            }
            encode(lua, &table.raw_get::<Value>(at)?, out, depth)?;
        }
        out.push(b']');
        return Ok(());
    }
    out.push(b'{');
    let mut first = true;
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        match &key {
            Value::String(text) => encode_text(&text.as_bytes(), out),
            Value::Integer(number) => {
                out.extend_from_slice(format!("\"{}\"", general(*number as f64, 14)).as_bytes())
            }
            Value::Number(number) => {
                out.extend_from_slice(format!("\"{}\"", general(*number, 14)).as_bytes())
            }
            other => {
                let kind = other.type_name();
                let text = format!("Cannot serialise {kind}: table key must be a number or string");
                return Err(raise_here(lua, text));
            }
        }
        out.push(b':');
        encode(lua, &value, out, depth)?;
    }
    out.push(b'}');
    Ok(())
}

fn encode_text(text: &[u8], out: &mut Vec<u8>) {
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

struct Reader<'l, 't> {
    lua: &'l Lua,
    text: &'t [u8],
    at: usize,
}

impl Reader<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The error for what stands here.
    fn expected(&self, what: &str) -> mlua::Error {
        let found = match self.peek() {
            None => "T_END",
            Some(b'{') => "T_OBJ_BEGIN",
            Some(b'}') => "T_OBJ_END",
            Some(b'[') => "T_ARR_BEGIN",
            Some(b']') => "T_ARR_END",
            Some(b'"') => "T_STRING",
            Some(b':') => "T_COLON",
            Some(b',') => "T_COMMA",
            Some(b'0'..=b'9' | b'-') => "T_NUMBER",
            Some(_) => "invalid token",
        };
        raise_here(self.lua, format_args!("Expected {what} but found {found} at character {}", self.at + 1))
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.text[self.at..].starts_with(word.as_bytes());
        if found {
            self.at += word.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> mlua::Result<Value> {
        if depth > DEPTH {
            let text = format!("Found too many nested data structures ({depth}) at character {}", self.at);
            return Err(raise_here(self.lua, text));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let text = self.string()?;
                Ok(Value::String(self.lua.create_string(text)?))
            }
            _ if self.word("null") => Ok(Value::NULL),
            _ if self.word("true") => Ok(Value::Boolean(true)),
            _ if self.word("false") => Ok(Value::Boolean(false)),
            _ => self.number(),
        }
    }

    fn number(&mut self) -> mlua::Result<Value> {
        let rest = &self.text[self.at..];
        let end = rest
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')))
            .unwrap_or(rest.len());
        let text = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16).ok().map(|number| number as f64),
            None => text.parse::<f64>().ok(),
        };
        let Some(number) = number else { return Err(self.expected("value")) };
        self.at += end;
        Ok(Value::Number(number))
    }

    fn array(&mut self, depth: usize) -> mlua::Result<Value> {
        self.at += 1;
        let table = self.lua.create_table()?;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Table(table));
        }
        for at in 1.. {
            let value = self.value(depth + 1)?;
            table.raw_set(at, value)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.expected("comma or array end")),
            }
        }
        self.at += 1;
        Ok(Value::Table(table))
    }

    fn object(&mut self, depth: usize) -> mlua::Result<Value> {
        self.at += 1;
        let table = self.lua.create_table()?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Table(table));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.expected("object key string"));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.expected("colon"));
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            table.raw_set(self.lua.create_string(key)?, value)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.expected("comma or object end")),
            }
        }
        self.at += 1;
        Ok(Value::Table(table))
    }

    fn string(&mut self) -> mlua::Result<Vec<u8>> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek() {
                None => return Err(self.expected("string end")),
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut text)?;
                }
                Some(byte) => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Ok(text)
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> mlua::Result<()> {
        let byte = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode(text),
            _ => return Err(raise_here(self.lua, "Expected value but found invalid escape code")),
        };
        text.push(byte);
        self.at += 1;
        Ok(())
    }

    /// Four hexadecimal digits behind a `u`.
    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at + 1..self.at + 5)?;
        let unit = digits.iter().try_fold(0, |all, &digit| Some(all * 16 + (digit as char).to_digit(16)?))?;
        self.at += 5;
        Some(unit)
    }

    fn unicode(&mut self, text: &mut Vec<u8>) -> mlua::Result<()> {
        let invalid = "Expected value but found invalid unicode escape code";
        let Some(mut point) = self.unit() else { return Err(raise_here(self.lua, invalid)) };
        if (0xD800..0xDC00).contains(&point) && self.text[self.at..].starts_with(b"\\u") {
            self.at += 1;
            match self.unit() {
                Some(low @ 0xDC00..0xE000) => point = 0x1_0000 + ((point - 0xD800) << 10) + (low - 0xDC00),
                _ => return Err(raise_here(self.lua, invalid)),
            }
        }
        let Some(letter) = char::from_u32(point) else { return Err(raise_here(self.lua, invalid)) };
        text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }
}
