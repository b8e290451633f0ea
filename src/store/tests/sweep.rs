//! The sweep of expired keys while commands go on between its steps.

use super::model::Twin;
use crate::store::{Expiry, Str, Sweep, Usage};

/// Keys enough for a shard to be swept in several holds.
const KEYS: u64 = 4_000;

#[test]
fn an_expiry_set_behind_the_sweep_is_not_forgotten() {
    let mut twin = Twin::new(Usage::Lru);
    let keys: Vec<Vec<u8>> = (0..KEYS).map(|number| number.to_string().into_bytes()).collect();
    for (key, number) in keys.iter().zip(0..) {
        let far = twin.now_ms + if number % 100 == 0 { 1 } else { 100_000 };
        twin.set(key, Str::Int(number), Expiry::At(far));
    }
    twin.now_ms += 5;
    let mut sweep = Sweep::new(0, 1);
    let first = sweep.step(&twin.store, twin.moment(), &|| false);
    assert!(first.rest_until_ms.is_none() && first.tally.expired > 0);
    // The first key that the sweep has passed: it is to expire soon from now on.
    let guard = twin.store.lock(0, 0);
    let passed = (0..guard.slots()).find_map(|slot| guard.get(slot)).map(|entry| entry.key().to_vec());
    drop(guard);
    let soon = twin.now_ms + 50;
    twin.expire_at(&passed.unwrap_or_default(), Some(soon));
    while sweep.step(&twin.store, twin.moment(), &|| false).rest_until_ms.is_none() {}
    twin.check_due_times();
    twin.check(&keys);
}
