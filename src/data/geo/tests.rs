//! Places against their definitions: scores come back, and a search finds what a look at every member finds.

use proptest::prelude::*;

use super::*;
use crate::data::{Limits, SortedSet};

fn place() -> impl Strategy<Value = Point> {
    (-180.0..=180.0f64, -85.0..=85.0f64).prop_map(|(longitude, latitude)| Point { longitude, latitude })
}

fn shape() -> impl Strategy<Value = Shape> {
    let metres = || prop_oneof![0.0..1_000.0f64, 0.0..100_000.0f64, 0.0..3_000_000.0f64];
    prop_oneof![
        metres().prop_map(|radius| Shape::Circle { radius }),
        (metres(), metres()).prop_map(|(width, height)| Shape::Rectangle { width, height }),
    ]
}

/// The definition of being inside, without any bound that saves work.
fn is_inside(area: &Area, point: Point) -> bool {
    match area.shape {
        Shape::Circle { radius } => distance(area.middle, point) <= radius,
        Shape::Rectangle { width, height } => {
            let across = Point { longitude: area.middle.longitude, latitude: point.latitude };
            distance::latitude_distance(point.latitude, area.middle.latitude) <= height / 2.0
                && distance(point, across) <= width / 2.0
        }
    }
}

proptest! {
    #[test]
    fn a_place_comes_back_within_its_cell(point in place()) {
        let back = point_of_score(score_of_point(point));
        prop_assert!(distance(point, back) < 0.6, "{:?} is {:?}", point, back);
        prop_assert_eq!(score_of_point(back), score_of_point(point));
    }

    #[test]
    fn a_search_finds_what_is_inside(
        middle in place(),
        shape in shape(),
        offsets in prop::collection::vec((-1.5..1.5f64, -1.5..1.5f64), 1..200),
        packed in any::<bool>(),
    ) {
        // Below the latitudes where nine cells may not cover an area: there Redis misses places, and so do we.
        let middle = Point { latitude: middle.latitude * 0.6, longitude: middle.longitude * 0.8 };
        let area = Area { middle, shape };
        let reach = match shape {
            Shape::Circle { radius } => radius,
            Shape::Rectangle { width, height } => width.max(height) / 2.0,
        } / 111_000.0;
        let limits = Limits { max_entries: if packed { 500 } else { 0 }, max_value: 64 };
        let mut set = SortedSet::new();
        for (number, (east, north)) in offsets.iter().enumerate() {
            let point = Point {
                longitude: (middle.longitude + east * reach).clamp(-180.0, 180.0),
                latitude: (middle.latitude + north * reach).clamp(-85.0, 85.0),
            };
            set.insert(format!("p{number}").as_bytes(), score_of_point(point), &limits);
        }
        let mut found: Vec<&[u8]> = search(&set, &area, 0).iter().map(|found| found.member).collect();
        let mut expected: Vec<&[u8]> = set
            .iter()
            .filter(|(_, score)| is_inside(&area, point_of_score(*score)))
            .map(|(member, _)| member)
            .collect();
        found.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(found, expected);
        let limited = search(&set, &area, 3);
        prop_assert!(limited.len() <= 3);
    }
}

#[test]
fn known_places_have_known_hashes() {
    let palermo = Point { longitude: 13.361_389, latitude: 38.115_556 };
    assert_eq!(score_of_point(palermo), 3_479_099_956_230_698.0);
    let hash = hash_text(point_of_score(score_of_point(palermo)));
    assert_eq!(&hash, b"sqc8b49rny0");
}

#[test]
fn every_score_is_some_place() {
    for score in [f64::NEG_INFINITY, -1.0, -0.0, 0.0, 0.5, 1e15, 9e18, 1e300, f64::INFINITY] {
        let point = point_of_score(score);
        assert!(point.is_storable(), "{score} is {point:?}");
    }
}
