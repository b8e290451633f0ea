//! What can be chosen about `cjson`, and the functions that choose it.

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Lua, MultiValue, Table, Value};

use crate::script::lib::{bad, integer, text};

/// What becomes of a number that JSON has no form for.
pub(super) const REFUSED: usize = 0;
/// It is written as C writes it.
pub(super) const WRITTEN: usize = 1;

/// The settings of one table of the library.
#[derive(Debug)]
pub(super) struct Settings {
    /// Whether an array with many holes is written as an object instead of being refused.
    pub(super) sparse_convert: Cell<usize>,
    /// So many times as many places as elements are many holes; 0 allows any.
    pub(super) sparse_ratio: Cell<i32>,
    /// Up to this place any array is written.
    pub(super) sparse_safe: Cell<i32>,
    pub(super) encode_depth: Cell<i32>,
    pub(super) decode_depth: Cell<i32>,
    /// Digits of a number.
    pub(super) precision: Cell<i32>,
    /// It says nothing here: buffers are the allocator's business.
    keep_buffer: Cell<usize>,
    pub(super) encode_invalid: Cell<usize>,
    pub(super) decode_invalid: Cell<usize>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_convert: Cell::new(0),
            sparse_ratio: Cell::new(2),
            sparse_safe: Cell::new(10),
            encode_depth: Cell::new(1000),
            decode_depth: Cell::new(1000),
            precision: Cell::new(14),
            keep_buffer: Cell::new(1),
            encode_invalid: Cell::new(REFUSED),
            decode_invalid: Cell::new(1),
        }
    }
}

/// One call of a setting's function.
struct Asked<'a> {
    lua: &'a Lua,
    name: &'static str,
    arguments: MultiValue,
}

impl Asked<'_> {
    fn at_most(&self, arguments: usize) -> mlua::Result<()> {
        if self.arguments.len() > arguments {
            return Err(bad(self.lua, arguments, self.name, "found too many arguments"));
        }
        Ok(())
    }

    fn given(&self, at: usize) -> Option<&Value> {
        self.arguments.get(at).filter(|value| !value.is_nil())
    }

    /// Takes over a number, and gives what holds now.
    fn number(&self, at: usize, setting: &Cell<i32>, least: i32, most: i32) -> mlua::Result<Value> {
        if self.given(at).is_some() {
            let number = integer(self.lua, &self.arguments, at, self.name)? as i32;
            if !(least..=most).contains(&number) {
                let why = format!("expected integer between {least} and {most}");
                return Err(bad(self.lua, 0, self.name, &why));
            }
            setting.set(number);
        }
        Ok(Value::Integer(i64::from(setting.get())))
    }

    /// Takes over a choice, `true` and `false` being the second and the first, and gives what holds now.
    fn choice(&self, at: usize, setting: &Cell<usize>, names: &[&str]) -> mlua::Result<Value> {
        match self.given(at) {
            None => {}
            Some(Value::Boolean(yes)) => setting.set(usize::from(*yes)),
            Some(_) => {
                let word = text(self.lua, &self.arguments, at, self.name)?;
                let Some(choice) = names.iter().position(|name| name.as_bytes() == &word.as_bytes()[..])
                else {
                    let why = format!("invalid option '{}'", String::from_utf8_lossy(&word.as_bytes()));
                    return Err(bad(self.lua, at, self.name, &why));
                };
                setting.set(choice);
            }
        }
        match setting.get() {
            choice @ 0..=1 => Ok(Value::Boolean(choice == 1)),
            other => Ok(Value::String(self.lua.create_string(names[other])?)),
        }
    }
}

const SWITCH: &[&str] = &["off", "on"];

type Form = fn(&Asked<'_>, &Settings) -> mlua::Result<Vec<Value>>;

const FORMS: [(&str, usize, Form); 7] = [
    ("encode_sparse_array", 3, |asked, settings| {
        Ok(vec![
            asked.choice(0, &settings.sparse_convert, SWITCH)?,
            asked.number(1, &settings.sparse_ratio, 0, i32::MAX)?,
            asked.number(2, &settings.sparse_safe, 0, i32::MAX)?,
        ])
    }),
    ("encode_max_depth", 1, |asked, settings| {
        Ok(vec![asked.number(0, &settings.encode_depth, 1, i32::MAX)?])
    }),
    ("decode_max_depth", 1, |asked, settings| {
        Ok(vec![asked.number(0, &settings.decode_depth, 1, i32::MAX)?])
    }),
    ("encode_number_precision", 1, |asked, settings| {
        Ok(vec![asked.number(0, &settings.precision, 1, 14)?])
    }),
    ("encode_keep_buffer", 1, |asked, settings| Ok(vec![asked.choice(0, &settings.keep_buffer, SWITCH)?])),
    ("encode_invalid_numbers", 1, |asked, settings| {
        Ok(vec![asked.choice(0, &settings.encode_invalid, &["off", "on", "null"])?])
    }),
    ("decode_invalid_numbers", 1, |asked, settings| {
        Ok(vec![asked.choice(0, &settings.decode_invalid, SWITCH)?])
    }),
];

/// Adds the functions.
pub(super) fn add(lua: &Lua, to: &Table, settings: &Rc<Settings>) -> mlua::Result<()> {
    for (name, most, form) in FORMS {
        let own = Rc::clone(settings);
        let function = lua.create_function(move |lua, arguments: MultiValue| {
            let asked = Asked { lua, name, arguments };
            asked.at_most(most)?;
            Ok(form(&asked, &own)?.into_iter().collect::<MultiValue>())
        })?;
        to.raw_set(name, function)?;
    }
    Ok(())
}
