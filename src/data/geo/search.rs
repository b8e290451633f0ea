//! Members of a sorted set near a place.
//!
//! An area is covered by the cell of its middle and the eight around it, at the step at which they are just
//! large enough. Each cell is a range of scores. What lies in the ranges is held against the area exactly,
//! but first against bounds that cost no trigonometry and that most of what is outside fails. Members are
//! looked up only of what is inside.

use std::f64::consts::{FRAC_PI_2, TAU};

use super::cell::{Cell, Point, point_of_score};
use super::distance::{EARTH_RADIUS_M, Origin, latitude_distance};
use crate::data::SortedSet;

/// Half the circumference that the Mercator projection gives the earth, in metres.
const MERCATOR_MAX_M: f64 = 20_037_726.37;
/// The finest step of a search.
const FINEST_STEP: i32 = 26;

/// Rounding never makes a place that is outside look inside by more than this part; bounds leave as much room.
const SLACK: f64 = 1e-9;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// Its middle.
    pub middle: Point,
    /// Its shape around it.
    pub shape: Shape,
}

/// The shape of an area, in metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// All within this distance.
    Circle {
        /// The distance.
        radius: f64,
    },
    /// All within half of this to the east and west, and half of that to the north and south.
    Rectangle {
        /// From west to east.
        width: f64,
        /// From north to south.
        height: f64,
    },
}

/// A member that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found<'a> {
    /// The member.
    pub member: &'a [u8],
    /// Its score.
    pub score: f64,
    /// Its place.
    pub point: Point,
    /// Metres from the middle of the area.
    pub distance: f64,
}

/// The members in an area, cell by cell and by score in each; the search ends when there are `limit` (0: all).
pub fn search<'a>(set: &'a SortedSet, area: &Area, limit: usize) -> Vec<Found<'a>> {
    let filter = Filter::new(area);
    let mut found = Vec::new();
    for cell in cells(area) {
        if limit != 0 && found.len() >= limit {
            break;
        }
        let (min, max) = cell.scores();
        set.walk_scores(
            min,
            max,
            |score| filter.keeps(point_of_score(score)),
            |member, score, (point, distance)| {
                found.push(Found { member, score, point, distance });
                limit == 0 || found.len() < limit
            },
        );
    }
    found
}

/// Which places are in an area.
struct Filter {
    shape: Shape,
    origin: Origin,
    middle: Point,
    /// Radians of longitude that nothing inside is away from the middle. More than a turn when there is no
    /// such bound.
    longitude_bound: f64,
    /// The same for the latitude.
    latitude_bound: f64,
}

impl Filter {
    fn new(area: &Area) -> Self {
        let (width, height) = area.half_extent();
        let latitude = area.middle.latitude.to_radians();
        let latitude_bound = height / EARTH_RADIUS_M * (1.0 + SLACK) + SLACK;
        let longitude_bound =
            longitude_bound(latitude, latitude_bound, width, area.shape).unwrap_or(TAU * 2.0);
        Self {
            shape: area.shape,
            origin: Origin::new(area.middle),
            middle: area.middle,
            longitude_bound,
            latitude_bound,
        }
    }

    /// The place with its distance, if it is inside.
    fn keeps(&self, point: Point) -> Option<(Point, f64)> {
        let north = (point.latitude - self.middle.latitude).to_radians().abs();
        let east = (point.longitude - self.middle.longitude).to_radians().abs();
        if north > self.latitude_bound || east.min(TAU - east) > self.longitude_bound {
            return None;
        }
        self.distance(point).map(|distance| (point, distance))
    }

    fn distance(&self, point: Point) -> Option<f64> {
        if let Shape::Rectangle { width, height } = self.shape {
            if latitude_distance(point.latitude, self.middle.latitude) > height / 2.0 {
                return None;
            }
            let across = Point { longitude: self.middle.longitude, latitude: point.latitude };
            if Origin::new(point).distance(across) > width / 2.0 {
                return None;
            }
        }
        let distance = self.origin.distance(point);
        match self.shape {
            Shape::Circle { radius } if distance > radius => None,
            _ => Some(distance),
        }
    }
}

/// How far from the middle, in radians of longitude, a place can lie and be within `width` metres: the
/// haversine formula solved for it, with the least cosine of the latitudes within `band` radians. `None`
/// when it can lie anywhere, because a pole or half the earth is near.
fn longitude_bound(latitude: f64, band: f64, width: f64, shape: Shape) -> Option<f64> {
    let far = latitude.abs() + band;
    let half = width / (2.0 * EARTH_RADIUS_M);
    if far >= FRAC_PI_2 || half >= FRAC_PI_2 {
        return None;
    }
    let least = far.cos();
    let cosines = match shape {
        Shape::Circle { .. } => (latitude.cos() * least).sqrt(),
        Shape::Rectangle { .. } => least,
    };
    let sine = half.sin() / cosines;
    (sine < 1.0).then(|| 2.0 * sine.asin() * (1.0 + SLACK) + SLACK)
}

impl Area {
    /// Metres from the middle to the east or west, and to the north or south.
    fn half_extent(&self) -> (f64, f64) {
        match self.shape {
            Shape::Circle { radius } => (radius, radius),
            Shape::Rectangle { width, height } => (width / 2.0, height / 2.0),
        }
    }

    /// Metres from the middle to what is farthest.
    fn reach(&self) -> f64 {
        match self.shape {
            Shape::Circle { radius } => radius,
            Shape::Rectangle { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        }
    }

    /// The degrees around the area: west, south, east, north.
    fn bounds(&self) -> [f64; 4] {
        let Point { longitude, latitude } = self.middle;
        let (width, height) = self.half_extent();
        let north = (height / EARTH_RADIUS_M) / RADIANS_A_DEGREE;
        // Meridians run together towards the poles: the wider side is the one near the pole.
        let wide_at = if latitude < 0.0 { latitude - north } else { latitude + north };
        let east = (width / EARTH_RADIUS_M / wide_at.to_radians().cos()) / RADIANS_A_DEGREE;
        [longitude - east, latitude - north, longitude + east, latitude + north]
    }
}

const RADIANS_A_DEGREE: f64 = std::f64::consts::PI / 180.0;

/// The nine cells in the order in which they are searched, less those that the area does not reach.
fn cells(area: &Area) -> Vec<Cell> {
    let [west, south, east, north] = area.bounds();
    let mut step = step_for(area.reach(), area.middle.latitude);
    let mut centre = Cell::of(area.middle, step);
    if step > 1 && !reaches(centre, [west, south, east, north]) {
        step -= 1;
        centre = Cell::of(area.middle, step);
    }
    let rectangle = centre.rectangle();
    let skips = |e: i8, n: i8| {
        step >= 2
            && ((n < 0 && rectangle.latitudes.min < south)
                || (n > 0 && rectangle.latitudes.max > north)
                || (e < 0 && rectangle.longitudes.min < west)
                || (e > 0 && rectangle.longitudes.max > east))
    };
    let mut cells = vec![centre];
    // Of the coarsest steps neighbours in both directions are one cell, which is searched once.
    let mut last = None;
    for (e, n) in [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)] {
        let cell = centre.neighbour(e, n);
        if !skips(e, n) && last != Some(cell) {
            cells.push(cell);
            last = Some(cell);
        }
    }
    cells
}

/// Whether the cells around this one reach to the bounds on all sides.
fn reaches(centre: Cell, [west, south, east, north]: [f64; 4]) -> bool {
    let at = |e, n| centre.neighbour(e, n).rectangle();
    let short = at(0, 1).latitudes.max < north
        || at(0, -1).latitudes.min > south
        || at(1, 0).longitudes.max < east
        || at(-1, 0).longitudes.min > west;
    !short
}

/// The step of cells that, nine together, cover a reach of so many metres.
fn step_for(mut metres: f64, latitude: f64) -> u8 {
    if metres == 0.0 {
        return FINEST_STEP as u8;
    }
    let mut step = 1;
    while metres < MERCATOR_MAX_M {
        metres *= 2.0;
        step += 1;
    }
    // Two coarser, so that the area is within nine cells mostly; coarser still near the poles.
    step -= 2;
    step -= i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    step.clamp(1, FINEST_STEP) as u8
}
