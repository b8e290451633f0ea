//! What a script returns, as a reply.

use mlua::{Table, Value};

use crate::resp::{Encoder, text_of};

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
