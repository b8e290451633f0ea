//! Distances along great circles of a sphere, by the haversine formula.

use super::cell::Point;

/// The quadratic mean radius of the WGS-84 ellipsoid, in metres.
pub const EARTH_RADIUS_M: f64 = 6_372_797.560_856;

/// A unit of length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    /// How many metres it has.
    pub metres: f64,
}

impl Unit {
    /// Metres.
    pub const METRE: Unit = Unit { metres: 1.0 };

    /// The unit of this name, whatever its case.
    pub fn of(name: &[u8]) -> Option<Unit> {
        const UNITS: [(&[u8], f64); 4] = [(b"m", 1.0), (b"km", 1000.0), (b"ft", 0.3048), (b"mi", 1609.34)];
        let found = UNITS.iter().find(|(unit, _)| name.eq_ignore_ascii_case(unit));
        found.map(|&(_, metres)| Unit { metres })
    }
}

/// The distance of two places in metres.
pub fn distance(from: Point, to: Point) -> f64 {
    Origin::new(from).distance(to)
}

/// Metres between two circles of latitude.
pub fn latitude_distance(from_degrees: f64, to_degrees: f64) -> f64 {
    EARTH_RADIUS_M * (to_degrees.to_radians() - from_degrees.to_radians()).abs()
}

/// A place from which many distances are taken.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    latitude: f64,
    longitude_radians: f64,
    latitude_radians: f64,
    latitude_cos: f64,
}

impl Origin {
    /// From here.
    pub fn new(point: Point) -> Self {
        let latitude_radians = point.latitude.to_radians();
        Self {
            latitude: point.latitude,
            longitude_radians: point.longitude.to_radians(),
            latitude_radians,
            latitude_cos: latitude_radians.cos(),
        }
    }

    /// The distance to there in metres.
    pub fn distance(&self, to: Point) -> f64 {
        let v = ((to.longitude.to_radians() - self.longitude_radians) / 2.0).sin();
        if v == 0.0 {
            return latitude_distance(self.latitude, to.latitude);
        }
        let latitude = to.latitude.to_radians();
        let u = ((latitude - self.latitude_radians) / 2.0).sin();
        let a = u * u + self.latitude_cos * latitude.cos() * v * v;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }
}
