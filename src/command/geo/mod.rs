//! Places on the earth: members of sorted sets whose scores are geohashes.
//!
//! What lives here: the commands that store places and tell them ([`place`]), those that search near a
//! place ([`search`]), and how both read and write coordinates. What never does: what a score means and how
//! far places are from each other (`data::geo`).

mod place;
mod request;
mod search;
#[cfg(test)]
mod tests;

use crate::data::geo::{Point, Unit};
use crate::resp::Encoder;

use super::{Args, CommandError};

pub use place::COMMANDS;
pub use search::COMMANDS as SEARCH;

/// Reads longitude and latitude.
fn point(args: &mut Args<'_>) -> Result<Point, CommandError> {
    let point = Point { longitude: args.float(), latitude: args.float() };
    args.check()?;
    if point.is_storable() {
        return Ok(point);
    }
    let Point { longitude, latitude } = point;
    Err(CommandError::err(format_args!("invalid longitude,latitude pair {longitude:.6},{latitude:.6}")))
}

/// Reads a unit of length.
fn unit(args: &mut Args<'_>) -> Result<Unit, CommandError> {
    Unit::of(args.bytes())
        .ok_or(CommandError::fixed("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

/// Answers a distance: four decimals.
fn write_distance(out: &mut Encoder, distance: f64) {
    let scaled = (distance * 10_000.0).round_ties_even() as i64;
    let (whole, decimals) = (scaled.unsigned_abs() / 10_000, scaled.unsigned_abs() % 10_000);
    let sign = if scaled < 0 { "-" } else { "" };
    out.bulk(format!("{sign}{whole}.{decimals:04}").as_bytes());
}

/// Answers longitude and latitude: up to 17 decimals, without zeros at the end.
fn write_point(out: &mut Encoder, point: Point) {
    out.array(2);
    for degrees in [point.longitude, point.latitude] {
        let text = format!("{degrees:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        out.human_double(if text == "-0" { "0" } else { text });
    }
}
