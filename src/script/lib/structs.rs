//! `struct`: numbers and strings in the layout of C structures.

use mlua::{Lua, MultiValue, Table, Value};

use super::{bad, integer_or, number, text};
use crate::script::fault::raise_here;

/// The largest integer, bytes.
const MAX_INTEGER: usize = 32;
/// What a packed string may hold at most; a format can ask for padding of any size.
const MAX_PADDING: usize = 64 << 20;

/// What one call of Lua can return.
const MOST_RESULTS: usize = 7_900;

/// The library's table.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let structs = lua.create_table()?;
    structs.raw_set("pack", lua.create_function(pack)?)?;
    structs.raw_set("unpack", lua.create_function(unpack)?)?;
    structs.raw_set("size", lua.create_function(size)?)?;
    Ok(structs)
}

/// How a format is read: its place, the byte order and the alignment so far.
struct Format<'l, 'f> {
    lua: &'l Lua,
    /// Who reads it, for errors.
    function: &'static str,
    rest: &'f [u8],
    little: bool,
    align: usize,
}

/// One item of a format, with its size and what it is aligned to.
struct Item {
    option: u8,
    size: usize,
    padding: usize,
}

impl<'l, 'f> Format<'l, 'f> {
    fn new(lua: &'l Lua, function: &'static str, format: &'f [u8]) -> Format<'l, 'f> {
        Format { lua, function, rest: format, little: cfg!(target_endian = "little"), align: 1 }
    }

    fn digits(&mut self, otherwise: usize) -> mlua::Result<usize> {
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return Ok(otherwise);
        }
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        let number = crate::data::parse_i64(digits).filter(|number| *number <= i64::from(i32::MAX));
        number.map(|number| number as usize).ok_or_else(|| raise_here(self.lua, "integral size overflow"))
    }

    /// The next item, which begins at `at` bytes.
    fn next(&mut self, at: usize) -> mlua::Result<Option<Item>> {
        // A format ends like a C string.
        let Some((&option, rest)) = self.rest.split_first().filter(|(option, _)| **option != 0) else {
            return Ok(None);
        };
        self.rest = rest;
        let size = match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.digits(1)?,
            b'i' | b'I' => {
                let size = self.digits(4)?;
                if size > MAX_INTEGER {
                    let text = format!("integral size {size} is larger than limit of {MAX_INTEGER}");
                    return Err(raise_here(self.lua, text));
                }
                size
            }
            _ => 0,
        };
        let mut padding = 0;
        if option != b'c' && size > 0 {
            let to = size.min(self.align);
            padding = to.wrapping_sub(at & (to - 1)) & (to - 1);
        }
        Ok(Some(Item { option, size, padding }))
    }

    /// Whether the item only says how to go on.
    fn control(&mut self, option: u8) -> mlua::Result<()> {
        match option {
            b' ' => {}
            b'>' => self.little = false,
            b'<' => self.little = true,
            b'!' => {
                let align = self.digits(8)?;
                if align == 0 || !align.is_power_of_two() {
                    return Err(raise_here(self.lua, format_args!("alignment {align} is not a power of 2")));
                }
                self.align = align;
            }
            other => {
                let why = format!("invalid format option '{}'", other as char);
                return Err(bad(self.lua, 0, self.function, &why));
            }
        }
        Ok(())
    }
}

/// C's conversions of a number to 64 bits.
fn bits(number: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if number >= HALF { super::whole(number - HALF) as u64 ^ 1 << 63 } else { super::whole(number) as u64 }
}

fn pack(lua: &Lua, arguments: MultiValue) -> mlua::Result<mlua::String> {
    let format = text(lua, &arguments, 0, "pack")?;
    let format = format.as_bytes();
    let mut format = Format::new(lua, "pack", &format);
    let (mut out, mut at): (Vec<u8>, usize) = (Vec::new(), 1);
    while let Some(item) = format.next(out.len())? {
        out.resize(out.len() + item.padding, 0);
        match item.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let whole = bits(number(lua, &arguments, at, "pack")?);
                at += 1;
                // Wider than 8 bytes it is filled with zeros, as C's shifts leave it.
                let byte = |place: usize| if place < 8 { (whole >> (8 * place)) as u8 } else { 0 };
                let places = 0..item.size;
                if format.little { out.extend(places.map(byte)) } else { out.extend(places.rev().map(byte)) }
            }
            b'x' => out.push(0),
            b'f' => {
                let bytes = (number(lua, &arguments, at, "pack")? as f32).to_bits();
                at += 1;
                out.extend(if format.little { bytes.to_le_bytes() } else { bytes.to_be_bytes() });
            }
            b'd' => {
                let bytes = number(lua, &arguments, at, "pack")?.to_bits();
                at += 1;
                out.extend(if format.little { bytes.to_le_bytes() } else { bytes.to_be_bytes() });
            }
            b'c' | b's' => {
                let bytes = text(lua, &arguments, at, "pack")?;
                let bytes = bytes.as_bytes();
                at += 1;
                let size = if item.size == 0 { bytes.len() } else { item.size };
                let Some(bytes) = bytes.get(..size) else {
                    return Err(bad(lua, at, "pack", "string too short"));
                };
                out.extend_from_slice(bytes);
                if item.option == b's' {
                    out.push(0);
                }
            }
            other => format.control(other)?,
        }
        if out.len() > MAX_PADDING {
            return Err(raise_here(lua, "the result is too large"));
        }
    }
    lua.create_string(&out)
}

fn unpack(lua: &Lua, arguments: MultiValue) -> mlua::Result<MultiValue> {
    let format = text(lua, &arguments, 0, "unpack")?;
    let format = format.as_bytes();
    let data = text(lua, &arguments, 1, "unpack")?;
    let data = data.as_bytes();
    // Of size_t: what is negative is far behind the end.
    let from = integer_or(lua, &arguments, 2, "unpack", 1)? as usize;
    if from == 0 {
        return Err(bad(lua, 2, "unpack", "offset must be 1 or greater"));
    }
    let short = || bad(lua, 1, "unpack", "data string too short");
    let mut format = Format::new(lua, "unpack", &format);
    let (mut at, mut values) = (from - 1, MultiValue::new());
    while let Some(item) = format.next(at)? {
        if values.len() >= MOST_RESULTS {
            return Err(raise_here(lua, "stack overflow (too many results)"));
        }
        at = at.saturating_add(item.padding);
        let bytes = at.checked_add(item.size).and_then(|end| data.get(at..end)).ok_or_else(short)?;
        at += item.size;
        match item.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                values.push_back(Value::Number(whole(
                    bytes,
                    format.little,
                    item.option.is_ascii_lowercase(),
                )));
            }
            b'x' => {}
            b'f' => {
                let mut four = <[u8; 4]>::try_from(bytes).map_err(|_| short())?;
                if !format.little {
                    four.reverse();
                }
                values.push_back(Value::Number(f64::from(f32::from_le_bytes(four))));
            }
            b'd' => {
                let mut eight = <[u8; 8]>::try_from(bytes).map_err(|_| short())?;
                if !format.little {
                    eight.reverse();
                }
                values.push_back(Value::Number(f64::from_le_bytes(eight)));
            }
            b'c' => {
                let bytes = if item.size == 0 {
                    let last = values.pop_back().map_or(Ok(None), |last| lua.coerce_number(last))?;
                    let Some(len) = last else {
                        return Err(raise_here(lua, "format 'c0' needs a previous size"));
                    };
                    let end = usize::try_from(bits(len)).ok().and_then(|len| at.checked_add(len));
                    let bytes = end.and_then(|end| data.get(at..end)).ok_or_else(short)?;
                    at += bytes.len();
                    bytes
                } else {
                    bytes
                };
                values.push_back(Value::String(lua.create_string(bytes)?));
            }
            b's' => {
                let rest = data.get(at..).unwrap_or_default();
                let Some(len) = memchr::memchr(0, rest) else {
                    return Err(raise_here(lua, "unfinished string in data"));
                };
                values.push_back(Value::String(lua.create_string(&rest[..len])?));
                at += len + 1;
            }
            other => format.control(other)?,
        }
    }
    values.push_back(Value::Number(at as f64 + 1.0));
    Ok(values)
}

/// An integer from its bytes. Of more than eight the low ones count.
fn whole(bytes: &[u8], little: bool, signed: bool) -> f64 {
    let place = |at: usize| if little { bytes[bytes.len() - 1 - at] } else { bytes[at] };
    let number = (0..bytes.len()).fold(0u64, |all, at| all << 8 | u64::from(place(at)));
    if !signed {
        return number as f64;
    }
    let shift = 64 - 8 * bytes.len().min(8) as u32;
    if shift >= 64 { 0.0 } else { (((number << shift) as i64) >> shift) as f64 }
}

fn size(lua: &Lua, arguments: MultiValue) -> mlua::Result<usize> {
    let format = text(lua, &arguments, 0, "size")?;
    let format = format.as_bytes();
    let (mut format, mut total) = (Format::new(lua, "size", &format), 0usize);
    while let Some(item) = format.next(total)? {
        match item.option {
            b's' => return Err(bad(lua, 0, "size", "option 's' has no fixed size")),
            b'c' if item.size == 0 => return Err(bad(lua, 0, "size", "option 'c0' has no fixed size")),
            // As in Redis's library, which looks at what is neither a letter nor a digit only.
            option if !option.is_ascii_alphanumeric() => format.control(option)?,
            _ => {}
        }
        total = total.saturating_add(item.padding).saturating_add(item.size);
    }
    Ok(total)
}
