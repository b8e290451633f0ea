//! One worker's drawn requests: which keys, clients and libraries they were of.

use crate::data::sketch::{Cut, Sketch};

/// Requests to one that is drawn, in the mean. A draw costs some hundred nanoseconds, so a request a few.
pub const MEAN_GAP: u64 = 128;

/// Counters: of keys, of clients, of names with libraries.
const KEYS: usize = 128;
const CLIENTS: usize = 64;
const ORIGINS: usize = 32;

/// What was drawn so long ago weighs half: what is shown is of about the last minute.
const HALF_LIFE_MS: u64 = 30_000;

/// What a request weighs, so that halving loses nothing that counts.
pub(super) const WEIGHT: u64 = 1 << 16;

/// How many requests are passed over before the next that is drawn: anything up to twice the mean, so that no
/// pattern of the load falls in step with it.
#[inline]
pub fn gap(random: u64) -> u32 {
    // The high bits of a linear congruential generator are its better ones.
    ((random >> 32) % (2 * MEAN_GAP - 1)) as u32
}

/// A request that was drawn.
pub struct Seen<'a> {
    /// One of its keys, if it has any, and how many there are: it stands for all of them.
    pub key: Option<SeenKey<'a>>,
    /// It writes.
    pub writes: bool,
    /// Who sent it.
    pub client: u64,
    /// Where he comes from, asked for when he is new here.
    pub address: &'a dyn Fn() -> String,
    /// What he calls himself.
    pub name: &'a [u8],
    /// The library that he uses, and its version.
    pub library: (&'a [u8], &'a [u8]),
    /// A hash of the name and the library.
    pub origin: u64,
}

/// A key of a request that was drawn.
#[derive(Clone, Copy, Debug)]
pub struct SeenKey<'a> {
    pub database: usize,
    pub name: &'a [u8],
    pub hash: u64,
    pub of: usize,
}

/// A key that was used.
#[derive(Clone, Copy, Debug)]
pub struct UsedKey {
    pub database: u32,
    pub name: Cut<128>,
}

/// A client that sent something.
#[derive(Clone, Copy, Debug)]
pub struct UsingClient {
    pub id: u64,
    pub address: Cut<64>,
    pub name: Cut<64>,
}

/// A name of clients with a library.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub name: Cut<64>,
    pub library: Cut<64>,
    pub version: Cut<32>,
}

/// What one worker has drawn of late.
#[derive(Clone, Debug)]
pub struct Samples {
    pub(super) keys: Sketch<UsedKey>,
    pub(super) clients: Sketch<UsingClient>,
    pub(super) origins: Sketch<Origin>,
    /// Which half-life it is since 1970; 0 before the first draw.
    half_lives: u64,
    /// Since when draws weigh whole, milliseconds since 1970.
    whole_since_ms: u64,
    /// What the time before that comes to, halved as its draws are.
    before_ms: u64,
}

impl Default for Samples {
    fn default() -> Samples {
        Samples {
            keys: Sketch::new(KEYS),
            clients: Sketch::new(CLIENTS),
            origins: Sketch::new(ORIGINS),
            half_lives: 0,
            whole_since_ms: 0,
            before_ms: 0,
        }
    }
}

impl Samples {
    /// Takes a request that was drawn.
    pub fn take(&mut self, now_ms: u64, seen: &Seen<'_>) {
        self.fade(now_ms);
        let written = |weight| if seen.writes { weight } else { 0 };
        if let Some(key) = &seen.key {
            let weight = WEIGHT * key.of as u64;
            let new = || UsedKey { database: key.database as u32, name: Cut::of(key.name) };
            self.keys.add(key.hash.rotate_left(key.database as u32 % 64), weight, written(weight), new);
        }
        let new = || UsingClient {
            id: seen.client,
            address: Cut::of((seen.address)().as_bytes()),
            name: Cut::of(seen.name),
        };
        self.clients.add(seen.client, WEIGHT, written(WEIGHT), new);
        let (library, version) = seen.library;
        let new =
            || Origin { name: Cut::of(seen.name), library: Cut::of(library), version: Cut::of(version) };
        self.origins.add(seen.origin, WEIGHT, written(WEIGHT), new);
    }

    /// Lets what was drawn before weigh what it does at this time.
    pub fn fade(&mut self, now_ms: u64) {
        let half_lives = now_ms / HALF_LIFE_MS;
        if self.half_lives == 0 {
            (self.half_lives, self.whole_since_ms) = (half_lives, now_ms);
        }
        // After so many nothing is left. A clock that was set back changes nothing.
        for _ in 0..half_lives.saturating_sub(self.half_lives).min(64) {
            self.keys.halve();
            self.clients.halve();
            self.origins.halve();
            self.half_lives += 1;
            let until_ms = self.half_lives * HALF_LIFE_MS;
            self.before_ms = (self.before_ms + until_ms.saturating_sub(self.whole_since_ms)) / 2;
            self.whole_since_ms = until_ms;
        }
        if half_lives > self.half_lives {
            (self.half_lives, self.whole_since_ms) = (half_lives, half_lives * HALF_LIFE_MS);
            self.before_ms = HALF_LIFE_MS;
        }
    }

    /// Over which time what was drawn has come in, weighed as it is.
    pub fn window_ms(&self, now_ms: u64) -> u64 {
        if self.half_lives == 0 {
            return 0;
        }
        (self.before_ms + now_ms.saturating_sub(self.whole_since_ms)).max(1)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.clients.clear();
        self.origins.clear();
        (self.half_lives, self.whole_since_ms, self.before_ms) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = HALF_LIFE_MS * 1_000;

    fn seen(name: &'static [u8]) -> Seen<'static> {
        let hash = name.iter().fold(7, |hash: u64, &byte| hash.wrapping_mul(31) + u64::from(byte));
        Seen {
            key: Some(SeenKey { database: 0, name, hash, of: 1 }),
            writes: true,
            client: 1,
            address: &|| "here".to_owned(),
            name: b"",
            library: (b"", b""),
            origin: 0,
        }
    }

    #[test]
    fn the_window_and_what_is_in_it_fade_together() {
        let mut samples = Samples::default();
        // One draw a second, for ten half-lives: what is there comes to twice a half-life, as the window does.
        for second in 0..300 {
            samples.take(NOW + second * 1_000, &seen(b"key"));
        }
        let now = NOW + 300_000 - 1;
        assert_eq!(samples.window_ms(now) / 1_000, 59);
        let drawn = samples.keys.total() as f64 / WEIGHT as f64;
        assert!((drawn - 60.0).abs() < 1.0, "{drawn}");
        samples.fade(now + 2 * HALF_LIFE_MS + 1);
        let left = samples.keys.total() as f64 / WEIGHT as f64;
        assert!((left - drawn / 8.0).abs() < 1.0, "{left}");
        samples.fade(now + 100 * HALF_LIFE_MS);
        assert_eq!(samples.keys.total(), 0);
        assert!(samples.window_ms(now + 100 * HALF_LIFE_MS) <= 2 * HALF_LIFE_MS);
    }

    #[test]
    fn gaps_are_as_long_as_they_are_said_to_be() {
        let mut random = 1_u64;
        let mut sum = 0;
        for _ in 0..100_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += u64::from(gap(random)) + 1;
        }
        let mean = sum as f64 / 100_000.0;
        assert!((mean - MEAN_GAP as f64).abs() < 1.0, "{mean}");
    }
}
