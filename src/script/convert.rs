//! Replies to Lua values, and what a script returns to a reply.

use mlua::{Lua, Table, Value};

use crate::resp::{Encoder, text_of};

use super::fault::Raised;

/// How deep what a script returns may be nested.
const DEPTH: usize = 1_000;

/// A number as `%.17g` writes it, which is what commands get to see.
pub(super) fn number(number: f64) -> String {
    general(number, 17)
}

/// A number as C's `%.{digits}g` writes it.
pub(super) fn general(number: f64, digits: usize) -> String {
    if number.is_nan() {
        return if number.is_sign_negative() { "-nan".to_owned() } else { "nan".to_owned() };
    }
    if number.is_infinite() {
        return if number < 0.0 { "-inf".to_owned() } else { "inf".to_owned() };
    }
    let scientific = format!("{number:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| -> String {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.unsigned_abs());
    }
    let places = (digits as i32 - 1 - exponent).max(0) as usize;
    trim(&format!("{number:.places$}"))
}

/// Reads one reply of our own encoder. Its errors are `Err`.
pub(super) fn to_lua(lua: &Lua, reply: &[u8]) -> mlua::Result<Result<Value, Raised>> {
    if let Some(error) = reply.strip_prefix(b"-") {
        let end = memchr::memchr(b'\r', error).unwrap_or(error.len());
        return Ok(Err(Raised { text: error[..end].to_vec(), counted: true }));
    }
    let mut reader = Reader { lua, rest: reply };
    reader.value().map(Ok)
}

struct Reader<'l, 'b> {
    lua: &'l Lua,
    rest: &'b [u8],
}

impl<'b> Reader<'_, 'b> {
    /// The text up to the next line's end.
    fn line(&mut self) -> &'b [u8] {
        let end = memchr::memchr(b'\r', self.rest).unwrap_or(self.rest.len());
        let line = &self.rest[..end];
        self.rest = self.rest.get(end + 2..).unwrap_or_default();
        line
    }

    fn count(&mut self) -> i64 {
        crate::data::parse_i64(self.line()).unwrap_or(0)
    }

    fn bytes(&mut self, len: usize) -> &'b [u8] {
        let bytes = self.rest.get(..len).unwrap_or_default();
        self.rest = self.rest.get(len + 2..).unwrap_or_default();
        bytes
    }

    fn single(&self, field: &str, value: Value) -> mlua::Result<Value> {
        let table = self.lua.create_table_with_capacity(0, 1)?;
        table.raw_set(field, value)?;
        Ok(Value::Table(table))
    }

    fn value(&mut self) -> mlua::Result<Value> {
        let Some((&marker, rest)) = self.rest.split_first() else { return Ok(Value::Nil) };
        self.rest = rest;
        match marker {
            b':' => Ok(Value::Number(self.count() as f64)),
            b'$' => match self.count() {
                len if len < 0 => Ok(Value::Boolean(false)),
                len => Ok(Value::String(self.lua.create_string(self.bytes(len as usize))?)),
            },
            b'*' | b'>' => match self.count() {
                len if len < 0 => Ok(Value::Boolean(false)),
                len => self.array(len as usize),
            },
            b'+' => {
                let text = self.lua.create_string(self.line())?;
                self.single("ok", Value::String(text))
            }
            b'-' => {
                let raised = Raised { text: self.line().to_vec(), counted: true };
                Ok(Value::Table(raised.table(self.lua)?))
            }
            b'_' => {
                self.line();
                Ok(Value::Nil)
            }
            b'#' => Ok(Value::Boolean(self.line() == b"t")),
            b',' => {
                let text = String::from_utf8_lossy(self.line()).into_owned();
                self.single("double", Value::Number(text.parse().unwrap_or(f64::NAN)))
            }
            b'(' => {
                let text = self.lua.create_string(self.line())?;
                self.single("big_number", Value::String(text))
            }
            b'%' => self.map(),
            b'~' => self.set(),
            b'=' => self.verbatim(),
            b'|' => self.behind_attributes(),
            _ => Ok(Value::Nil),
        }
    }

    fn array(&mut self, len: usize) -> mlua::Result<Value> {
        let table = self.lua.create_table_with_capacity(len, 0)?;
        for at in 1..=len {
            let value = self.value()?;
            table.raw_set(at, value)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self) -> mlua::Result<Value> {
        let pairs = self.lua.create_table()?;
        for _ in 0..self.count() {
            let (key, value) = (self.value()?, self.value()?);
            pairs.raw_set(key, value)?;
        }
        self.single("map", Value::Table(pairs))
    }

    /// Scripts see no attributes, only the value behind them.
    fn behind_attributes(&mut self) -> mlua::Result<Value> {
        for _ in 0..self.count() {
            self.value()?;
            self.value()?;
        }
        self.value()
    }

    fn set(&mut self) -> mlua::Result<Value> {
        let members = self.lua.create_table()?;
        for _ in 0..self.count() {
            let member = self.value()?;
            members.raw_set(member, true)?;
        }
        self.single("set", Value::Table(members))
    }

    fn verbatim(&mut self) -> mlua::Result<Value> {
        let len = usize::try_from(self.count()).unwrap_or(0);
        let bytes = self.bytes(len);
        let inner = self.lua.create_table()?;
        inner.raw_set("string", self.lua.create_string(bytes.get(4..).unwrap_or_default())?)?;
        inner.raw_set("format", self.lua.create_string(bytes.get(..3).unwrap_or_default())?)?;
        self.single("verbatim_string", Value::Table(inner))
    }
}

/// Writes what a script returned. `resp3` is what the script has chosen, which decides about booleans.
pub(super) fn to_reply(value: &Value, out: &mut Encoder, resp3: bool) -> mlua::Result<()> {
    write(value, out, resp3, 0)
}

fn write(value: &Value, out: &mut Encoder, resp3: bool, depth: usize) -> mlua::Result<()> {
    if depth > DEPTH {
        out.error("ERR reached lua stack limit");
        return Ok(());
    }
    match value {
        Value::String(text) => out.bulk(&text.as_bytes()),
        Value::Boolean(yes) if resp3 => out.bool(*yes),
        Value::Boolean(true) => out.int(1),
        Value::Integer(number) => out.int(*number),
        Value::Number(number) => out.int(integer(*number)),
        Value::Table(table) => return write_table(table, out, resp3, depth),
        _ => out.null(),
    }
    Ok(())
}

/// C's conversion on the machines that Redis runs on: what does not fit becomes the least number.
fn integer(number: f64) -> i64 {
    if number.is_nan() || number >= i64::MAX as f64 { i64::MIN } else { number as i64 }
}

fn write_table(table: &Table, out: &mut Encoder, resp3: bool, depth: usize) -> mlua::Result<()> {
    if let Some(text) = text_in(table, "err")? {
        out.error_bytes(&text);
        return Ok(());
    }
    if let Some(text) = text_in(table, "ok")? {
        out.simple(&text_of(&text));
        return Ok(());
    }
    match table.raw_get::<Value>("double")? {
        Value::Number(number) => {
            out.double(number);
            return Ok(());
        }
        Value::Integer(number) => {
            out.double(number as f64);
            return Ok(());
        }
        _ => {}
    }
    if let Value::String(digits) = table.raw_get::<Value>("big_number")? {
        let digits = String::from_utf8_lossy(&digits.as_bytes()).replace(['\r', '\n'], " ");
        out.big_number(&digits);
        return Ok(());
    }
    if let Value::Table(inner) = table.raw_get::<Value>("verbatim_string")?
        && let (Value::String(format), Value::String(text)) =
            (inner.raw_get::<Value>("format")?, inner.raw_get::<Value>("string")?)
    {
        out.verbatim(&String::from_utf8_lossy(&format.as_bytes()), &text.as_bytes());
        return Ok(());
    }
    if let Value::Table(map) = table.raw_get::<Value>("map")? {
        let (head, mut pairs) = (out.defer(), 0);
        for pair in map.pairs::<Value, Value>() {
            let (key, value) = pair?;
            write(&key, out, resp3, depth + 1)?;
            write(&value, out, resp3, depth + 1)?;
            pairs += 1;
        }
        out.finish_map(head, pairs);
        return Ok(());
    }
    if let Value::Table(set) = table.raw_get::<Value>("set")? {
        let (head, mut members) = (out.defer(), 0);
        for pair in set.pairs::<Value, Value>() {
            write(&pair?.0, out, resp3, depth + 1)?;
            members += 1;
        }
        out.finish_set(head, members);
        return Ok(());
    }
    let (head, mut len) = (out.defer(), 0);
    loop {
        let item = table.raw_get::<Value>(len + 1)?;
        if item.is_nil() {
            break;
        }
        write(&item, out, resp3, depth + 1)?;
        len += 1;
    }
    out.finish_array(head, len);
    Ok(())
}

fn text_in(table: &Table, field: &str) -> mlua::Result<Option<Vec<u8>>> {
    match table.raw_get::<Value>(field)? {
        Value::String(text) => Ok(Some(text.as_bytes().to_vec())),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_c_writes_them() {
        for (number, text) in [
            (3.3, "3.2999999999999998"),
            (0.1, "0.10000000000000001"),
            (1e20, "1e+20"),
            (1e-5, "1.0000000000000001e-05"),
            (100.5, "100.5"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(super::number(number), text);
        }
        assert_eq!(general(3.25, 14), "3.25");
        assert_eq!(general(1e15, 14), "1e+15");
        assert_eq!(general(0.0, 14), "0");
    }
}
