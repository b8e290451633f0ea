//! Geohash: the world divided into 4^step cells, numbered so that neighbours mostly have near numbers.
//!
//! Longitude and latitude are scaled to `step` bits each, and the bits are interleaved, longitude first:
//!
//! ```text
//! longitude 1 0 1        latitude 0 1 1        cell 10 01 11
//! ```
//!
//! So a cell's number is a prefix of the numbers of all finer cells in it, and a range of scores is a cell.

/// Bits of each coordinate in a score: 52 in all, which a double holds exactly.
const SCORE_STEP: u8 = 26;

/// The latitudes that can be stored: those of the Mercator square.
pub const LATITUDES: Interval = Interval { min: -85.051_128_78, max: 85.051_128_78 };
/// All longitudes.
pub const LONGITUDES: Interval = Interval { min: -180.0, max: 180.0 };
/// The latitudes of a textual geohash.
const ALL_LATITUDES: Interval = Interval { min: -90.0, max: 90.0 };

const EVEN_BITS: u64 = 0x5555_5555_5555_5555;
const ODD_BITS: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// A place, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// East is positive.
    pub longitude: f64,
    /// North is positive.
    pub latitude: f64,
}

impl Point {
    /// Whether the place can be stored.
    pub fn is_storable(self) -> bool {
        LONGITUDES.contains(self.longitude) && LATITUDES.contains(self.latitude)
    }
}

/// From one degree to another, both included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub min: f64,
    /// The upper end.
    pub max: f64,
}

impl Interval {
    fn contains(self, degrees: f64) -> bool {
        (self.min..=self.max).contains(&degrees)
    }

    /// Where `degrees` lies, in `2^step` parts.
    fn part(self, degrees: f64, step: u8) -> u32 {
        ((degrees - self.min) / (self.max - self.min) * (1u64 << step) as f64) as u32
    }

    /// The interval that one of `2^step` parts is.
    fn of_part(self, part: u32, step: u8) -> Self {
        let parts = (1u64 << step) as f64;
        let scale = self.max - self.min;
        let at = |part: u32| self.min + (f64::from(part) / parts) * scale;
        Self { min: at(part), max: at(part.wrapping_add(1)) }
    }

    fn middle(self) -> f64 {
        (self.min + self.max) / 2.0
    }
}

/// One of the `4^step` cells of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Its number.
    pub bits: u64,
    /// Bits of each coordinate.
    pub step: u8,
}

/// What a cell covers.
#[derive(Debug, Clone, Copy)]
pub struct Rectangle {
    /// From west to east.
    pub longitudes: Interval,
    /// From south to north.
    pub latitudes: Interval,
}

impl Cell {
    /// The cell of a place that is storable.
    pub fn of(point: Point, step: u8) -> Self {
        Self::within(point, LATITUDES, step)
    }

    fn within(point: Point, latitudes: Interval, step: u8) -> Self {
        let latitude = latitudes.part(point.latitude, step);
        let longitude = LONGITUDES.part(point.longitude, step);
        Self { bits: spread(latitude) | spread(longitude) << 1, step }
    }

    /// What the cell covers.
    pub fn rectangle(self) -> Rectangle {
        Rectangle {
            latitudes: LATITUDES.of_part(gather(self.bits), self.step),
            longitudes: LONGITUDES.of_part(gather(self.bits >> 1), self.step),
        }
    }

    /// The cell so many cells to the east and to the north, -1 to 1 each. The world has no edge here: west of
    /// the first cell is the last.
    pub fn neighbour(self, east: i8, north: i8) -> Self {
        let unused = 64 - u32::from(self.step) * 2;
        let (longitude, latitude) = (self.bits & ODD_BITS, self.bits & EVEN_BITS);
        let longitude = shift(longitude, east, EVEN_BITS >> unused, ODD_BITS >> unused);
        let latitude = shift(latitude, north, ODD_BITS >> unused, EVEN_BITS >> unused);
        Self { bits: longitude | latitude, step: self.step }
    }

    /// The scores of the places in it: the first, and the one after the last.
    pub fn scores(self) -> (f64, f64) {
        let finer = 2 * (SCORE_STEP - self.step);
        ((self.bits << finer) as f64, ((self.bits + 1) << finer) as f64)
    }
}

/// Adds -1 to 1 to a number whose bits stand apart; `gaps` are the bits between them, filled so that a carry
/// runs through, and `own` the number's. At the world's very edge (longitude 180) a number has a bit too many
/// and means a cell behind the edge, where nothing is; Redis brings it back only when it moves, and so do we.
fn shift(spread: u64, by: i8, gaps: u64, own: u64) -> u64 {
    match by {
        0 => spread,
        1.. => spread.wrapping_add(gaps + 1) & own,
        _ => (spread | gaps).wrapping_sub(gaps + 1) & own,
    }
}

/// The score under which a place is stored.
pub fn score_of_point(point: Point) -> f64 {
    Cell::of(point, SCORE_STEP).bits as f64
}

/// The middle of the cell that a score means. Every score means some cell.
pub fn point_of_score(score: f64) -> Point {
    let cell = Cell { bits: bits_of(score), step: SCORE_STEP };
    let Rectangle { longitudes, latitudes } = cell.rectangle();
    Point {
        longitude: longitudes.middle().clamp(LONGITUDES.min, LONGITUDES.max),
        latitude: latitudes.middle().clamp(LATITUDES.min, LATITUDES.max),
    }
}

/// A score that GEOADD did not make may be negative or too large: it counts as the processor converts it,
/// x86's way: nothing is left of what does not fit into 64 bits.
fn bits_of(score: f64) -> u64 {
    const TOO_LARGE: f64 = (1u128 << 64) as f64;
    match score {
        _ if score >= TOO_LARGE => 0,
        _ if score < i64::MIN as f64 => i64::MIN as u64,
        _ if score < 0.0 => score as i64 as u64,
        _ => score as u64,
    }
}

/// The geohash of a place as others write it: base 32, from -90 to 90 degrees. Ten characters say 50 bits;
/// the eleventh is a zero.
pub fn hash_text(point: Point) -> [u8; 11] {
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let bits = Cell::within(point, ALL_LATITUDES, SCORE_STEP).bits;
    std::array::from_fn(|at| match at {
        10 => ALPHABET[0],
        at => ALPHABET[(bits >> (52 - (at + 1) * 5)) as usize & 31],
    })
}

/// Puts a gap behind each bit (Anderson, Bit Twiddling Hacks, "Interleave bits by Binary Magic Numbers").
fn spread(bits: u32) -> u64 {
    let mut spread = u64::from(bits);
    for (shift, mask) in GAPS.into_iter().rev() {
        spread = (spread | spread << shift) & mask;
    }
    spread
}

/// The inverse: takes every second bit.
fn gather(bits: u64) -> u32 {
    let mut gathered = bits & EVEN_BITS;
    for (shift, _) in GAPS {
        gathered |= gathered >> shift;
        gathered &= match shift {
            1 => 0x3333_3333_3333_3333,
            2 => 0x0f0f_0f0f_0f0f_0f0f,
            4 => 0x00ff_00ff_00ff_00ff,
            8 => 0x0000_ffff_0000_ffff,
            _ => 0x0000_0000_ffff_ffff,
        };
    }
    gathered as u32
}

const GAPS: [(u32, u64); 5] = [
    (1, EVEN_BITS),
    (2, 0x3333_3333_3333_3333),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (8, 0x00ff_00ff_00ff_00ff),
    (16, 0x0000_ffff_0000_ffff),
];
