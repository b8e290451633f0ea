//! What all workers know together, added up for whoever asks.

use crate::data::sketch::{Heaviest, Heavy};
use crate::store::{Amount, Tallied};

use super::samples::{MEAN_GAP, Origin, UsedKey, UsingClient, WEIGHT};
use super::{Samples, Walked, Watched};

/// A key is named if so many draws were of it, and nothing else can have made them.
const LEAST_DRAWS: u64 = 8;
/// How sure the ends of [`Share`] are.
pub const CONFIDENCE: f64 = 0.99;
/// And if it has this share at least, with all that is uncertain against it.
const LEAST_SHARE: f64 = 0.001;

/// How much of a load is one thing's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// As the draws have it, from 0 to 1.
    pub of_all: f64,
    /// It is not less, with a confidence of 99 %.
    pub low: f64,
    /// It is not more, with a confidence of 99 %.
    pub high: f64,
    /// As many a second.
    pub per_second: f64,
    /// Which part of it writes, from 0 to 1.
    pub written: f64,
}

/// What was used most of late.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// Requests that were drawn and have not faded, as many as count.
    pub draws: f64,
    /// The time they came in, milliseconds.
    pub window_ms: u64,
    /// Requests a second.
    pub requests_per_second: f64,
    /// Keys that requests named, a second.
    pub accesses_per_second: f64,
    /// The keys that stand out, the most used first.
    pub keys: Vec<(UsedKey, Share)>,
    /// The busiest clients.
    pub clients: Vec<(UsingClient, Share)>,
    /// The names and libraries that send most.
    pub origins: Vec<(Origin, Share)>,
}

/// What lies in the keyspace, as the workers' last walks found it.
#[derive(Clone, Debug)]
pub struct Found {
    /// All parts together.
    pub tallied: Tallied,
    /// When the first of the walks began, milliseconds since 1970.
    pub began_ms: u64,
    /// When the last of them ended.
    pub ended_ms: u64,
    /// How long workers were busy with them, nanoseconds.
    pub spent_ns: u64,
}

/// All that is known.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was used.
    pub used: Used,
    /// What lies there; nothing before the first walk has ended.
    pub found: Option<Found>,
}

impl Watched {
    /// What is known at this time, the first `top` of each kind.
    pub fn report(&self, now_ms: u64, top: usize) -> Report {
        Report { used: self.used(now_ms, top), found: self.found() }
    }

    fn used(&self, now_ms: u64, top: usize) -> Used {
        let samples = self.samples(now_ms);
        let window_ms = samples.iter().map(|samples| samples.window_ms(now_ms)).max().unwrap_or(0);
        let (mut keys, mut clients, mut origins) = (Vec::new(), Vec::new(), Vec::new());
        for Samples { keys: one, clients: two, origins: three, .. } in samples {
            keys.push(one);
            clients.push(two);
            origins.push(three);
        }
        let (keys, clients, origins) = (Heaviest::of(&keys), Heaviest::of(&clients), Heaviest::of(&origins));
        let stands_out = |heavy: &Heavy<UsedKey>, share: &Share| {
            heavy.low >= LEAST_DRAWS * WEIGHT && share.low >= LEAST_SHARE
        };
        Used {
            draws: clients.draws(),
            window_ms,
            requests_per_second: per_second(clients.total, window_ms),
            accesses_per_second: per_second(keys.total, window_ms),
            keys: first(&keys, window_ms, top, stands_out),
            clients: first(&clients, window_ms, top, |_, _| true),
            origins: first(&origins, window_ms, top, |_, _| true),
        }
    }

    /// What the last walks found.
    pub fn found(&self) -> Option<Found> {
        let walks = self.walks()?;
        let parts: Vec<&Tallied> = walks.iter().map(|walk| &walk.tallied).collect();
        Some(Found {
            tallied: Tallied::together(&parts),
            began_ms: walks.iter().map(|walk: &Walked| walk.began_ms).min().unwrap_or(0),
            ended_ms: walks.iter().map(|walk| walk.ended_ms).max().unwrap_or(0),
            spent_ns: walks.iter().map(|walk| walk.spent_ns).sum(),
        })
    }
}

/// What the last walks found in short.
#[derive(Clone, Copy, Debug, Default)]
pub struct InShort {
    /// By type, in the order of [`TYPES`](crate::store::TYPES).
    pub types: [Amount; 6],
    /// When the first of the walks began, milliseconds since 1970.
    pub began_ms: u64,
    /// When the last of them ended.
    pub ended_ms: u64,
}

impl Watched {
    /// What the last walks found in short: cheap enough for whoever asks often.
    pub fn found_in_short(&self) -> Option<InShort> {
        let walks = self.each_walk(|walk| (walk.tallied.types, walk.began_ms, walk.ended_ms))?;
        let mut short = InShort { began_ms: u64::MAX, ..InShort::default() };
        for (types, began_ms, ended_ms) in walks {
            short.types.iter_mut().zip(&types).for_each(|(to, more)| to.add(more));
            short.began_ms = short.began_ms.min(began_ms);
            short.ended_ms = short.ended_ms.max(ended_ms);
        }
        Some(short)
    }
}

fn per_second(weight: u64, window_ms: u64) -> f64 {
    if window_ms == 0 { 0.0 } else { (weight * MEAN_GAP) as f64 / WEIGHT as f64 * 1e3 / window_ms as f64 }
}

/// The first ones with their shares.
fn first<T: Copy>(
    heaviest: &Heaviest<T>,
    window_ms: u64,
    top: usize,
    wanted: impl Fn(&Heavy<T>, &Share) -> bool,
) -> Vec<(T, Share)> {
    let with_share = |heavy: &Heavy<T>| {
        let (low, high) = heaviest.bounds(heavy);
        let share = Share {
            of_all: heaviest.share(heavy.low),
            low,
            high,
            per_second: per_second(heavy.low, window_ms),
            written: if heavy.low == 0 { 0.0 } else { (heavy.part as f64 / heavy.low as f64).min(1.0) },
        };
        wanted(heavy, &share).then_some((heavy.of, share))
    };
    heaviest.all.iter().filter_map(with_share).take(top).collect()
}
