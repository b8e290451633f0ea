//! The table: one line a setting, from which both the typed field of [`Settings`] and the [`Row`] are made.
//!
//! A line reads
//! `field: Type = default => "name" | "alias" kind(bounds) [FLAGS] requires(Capability: "off", ...) "what it is";`
//! and stands in the file of its group. Adding a setting touches that line alone.

use super::choices::*;
use super::row::{Capability, Flags, Kind, Requires, Row};
use super::shapes::*;
use super::value::{Secret, Setting};
use std::path::PathBuf;

#[macro_use]
mod network;
#[macro_use]
mod process;
#[macro_use]
mod persistence;
#[macro_use]
mod memory;
#[macro_use]
mod security;
#[macro_use]
mod replication;
#[macro_use]
mod observe;

const INT_MIN: i128 = i32::MIN as i128;
const INT_MAX: i128 = i32::MAX as i128;
const UINT_MAX: i128 = u32::MAX as i128;
const LONG_MAX: i128 = i64::MAX as i128;
const ULONG_MAX: i128 = u64::MAX as i128;
const MB: u64 = 1 << 20;

const fn yes_no() -> Kind {
    Kind::YesNo
}
const fn int(min: i128, max: i128) -> Kind {
    Kind::Integer { min, max, cap: None }
}
const fn capped(min: i128, max: i128, low: i128, high: i128) -> Kind {
    Kind::Integer { min, max, cap: Some((low, high)) }
}
const fn power_of_two(min: i128, max: i128) -> Kind {
    Kind::PowerOfTwo { min, max }
}
const fn memory(min: i128, max: i128) -> Kind {
    Kind::Memory { min, max, percent: false }
}
const fn memory_or_percent(max: i128) -> Kind {
    Kind::Memory { min: 0, max, percent: true }
}
const fn octal(max: i128) -> Kind {
    Kind::Octal { max }
}
const fn one_of(names: &'static [&'static str]) -> Kind {
    Kind::OneOf(names)
}
const fn text() -> Kind {
    Kind::Text { optional: false, check: anything }
}
const fn optional_text() -> Kind {
    Kind::Text { optional: true, check: anything }
}
const fn checked(check: fn(&str) -> Result<(), &'static str>) -> Kind {
    Kind::Text { optional: false, check }
}
const fn optional_checked(check: fn(&str) -> Result<(), &'static str>) -> Kind {
    Kind::Text { optional: true, check }
}
const fn shape(words: &'static str) -> Kind {
    Kind::Shape(words)
}

fn anything(_: &str) -> Result<(), &'static str> {
    Ok(())
}

fn base_name(text: &str) -> bool {
    !text.contains(['/', '\\'])
}

fn snapshot_name(text: &str) -> Result<(), &'static str> {
    if base_name(text) { Ok(()) } else { Err("dbfilename can't be a path, just a filename") }
}

fn log_name(text: &str) -> Result<(), &'static str> {
    match text {
        "" => Err("appendfilename can't be empty"),
        _ if !base_name(text) => Err("appendfilename can't be a path, just a filename"),
        _ => Ok(()),
    }
}

fn log_folder(text: &str) -> Result<(), &'static str> {
    match text {
        "" => Err("appenddirname can't be empty"),
        _ if !base_name(text) => Err("appenddirname can't be a path, just a dirname"),
        _ => Ok(()),
    }
}

fn host_name(text: &str) -> Result<(), &'static str> {
    if text.len() >= 256 {
        return Err("Hostnames must be less than 256 characters");
    }
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
        return Ok(());
    }
    Err("Hostnames may only contain alphanumeric characters, hyphens or dots")
}

/// A process title: text, `{{` for a brace, and known variables; it must show something when the title is empty.
fn title_template(text: &str) -> Result<(), &'static str> {
    const WRONG: &str = "template format is invalid or contains unknown variables";
    let (mut rest, mut visible) = (text, false);
    while let Some((before, after)) = rest.split_once('{') {
        visible |= before.bytes().any(|b| b != b' ');
        if let Some(after) = after.strip_prefix('{') {
            (rest, visible) = (after, true);
            continue;
        }
        let (variable, after) = after.split_once('}').ok_or(WRONG)?;
        match variable {
            "title" | "server-mode" | "unixsocket" => {}
            "listen-addr" | "config-file" | "port" | "tls-port" => visible = true,
            _ => return Err(WRONG),
        }
        rest = after;
    }
    visible |= rest.bytes().any(|b| b != b' ');
    if visible { Ok(()) } else { Err(WRONG) }
}

/// Makes [`Settings`], its defaults and [`ROWS`] from the lines of every group.
macro_rules! table {
    ($($group:literal { $(
        $field:ident : $ty:ty = $default:expr => $name:literal $(| $alias:literal)? $kind:ident ($($bound:expr),*)
        [$($flag:ident)*] $(requires($capability:ident : $($off:literal),*))? $doc:literal;
    )* })*) => {
        /// Every setting as a typed field; units stand at the end of the name.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $($(#[doc = $doc] pub $field: $ty,)*)*
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($($field: $default,)*)* }
            }
        }

        /// The rows, group by group.
        pub static ROWS: &[Row] = &[$($(
            Row {
                name: $name,
                alias: table!(@option $($alias)?),
                group: $group,
                kind: $kind($($bound),*),
                flags: Flags::NONE$(.with(Flags::$flag))*,
                requires: table!(@requires $($capability : $($off),*)?),
                doc: $doc,
                update: |settings, kind, args, how| Setting::update(&mut settings.$field, kind, args, how),
                show: |settings, kind| Setting::show(&settings.$field, kind),
                lines: |settings, defaults, row| Setting::lines(&settings.$field, &defaults.$field, row),
                same: |one, other| one.$field == other.$field,
            },
        )*)*];
    };
    (@option) => { None };
    (@option $value:literal) => { Some($value) };
    (@requires) => { None };
    (@requires $capability:ident : $($off:literal),*) => {
        Some(Requires { capability: Capability::$capability, off: &[$($off),*] })
    };
}

/// Hands the lines gathered so far from group to group, and at the end to [`table!`].
macro_rules! collect {
    ({ $($gathered:tt)* }) => { table! { $($gathered)* } };
    ({ $($gathered:tt)* } $group:ident $($rest:ident)*) => { $group! { { $($gathered)* } $($rest)* } };
}

collect! { {} network_rows process_rows persistence_rows memory_rows security_rows observe_rows replication_rows }
