//! Room in memory: before a command runs, keys are evicted until what is in use is within `maxmemory`.
//!
//! A worker evicts for its own commands, between two of them, while it holds no lock, and for no longer than
//! `maxmemory-eviction-tenacity` says (half a millisecond by default). If that was not enough it goes on before
//! the next command, and between batches. A write is let pass meanwhile, as in Redis, but not when the limit is
//! exceeded by more than a little: then it waits, and other clients have their turn.
//!
//! How long a worker evicts in one go is kept (`glasswing_eviction_longest_hold_seconds`), since that is what its
//! clients wait for. What the system's scheduler took away meanwhile is left out as far as it is known.
//!
//! Not counted is what is on its way out: values that wait to be freed on another thread, what a running
//! save holds until it is written, and clients that have been closed for what they take. Evicting for them would only
//! empty the keyspace. For the same reason a call evicts no more than the limit was exceeded by when it began: what
//! readers are told of keys that went takes memory, too, and to evict for that would go on until nothing is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::{Clock, Stamp};
use crate::command::ports::Clients;
use crate::config::{MaxmemoryPolicy, MemoryLimit, Settings};
use crate::observe::{Counter, Limited, Stats};
use crate::replica::Replication;
use crate::store::{EvictionRule, EvictionStep, Evictor, Moment, Store, Worth};

use super::clients::ClientTable;
use super::shared::Engine;
use super::unit::Scope;
use super::{blocked, notify};

/// How often the time is looked at, in evictions.
const LOOK_EVERY: u32 = 8;
/// A write waits once the limit is exceeded by this, or by a 256th of it if that is more.
const SLACK_BYTES: u64 = 1 << 20;
/// A hold that is no longer than this is taken for what it looks like; of a longer one the thread's own time is asked for.
const SHORT_NS: u64 = 250_000;
/// The thread's own time is read again after this: a hold is overestimated by no more than that, and the price is at most
/// 5,000 calls of the system a second.
const MARKED_FOR_NS: u64 = 200_000;

/// Clients that were closed to make room.
static EVICTED_CLIENTS: Limited = Limited::new();

/// What is known of the server's memory.
pub struct Memory {
    used: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Since when the limit has been exceeded, 0 when it is not.
    exceeded_since: AtomicU64,
    exceeded_ns: AtomicU64,
    /// The longest time that a worker evicted in one go.
    longest_hold_ns: AtomicU64,
}

/// What one worker keeps for evicting.
#[derive(Debug)]
pub struct Evicting {
    evictor: Evictor,
    mark: CpuMark,
}

impl Evicting {
    /// With nothing in the pool.
    pub fn new(seed: u64) -> Evicting {
        Evicting { evictor: Evictor::new(seed), mark: CpuMark::default() }
    }
}

/// A moment at which the time that the thread itself has run was read. Reading it is a call of the system, too dear for each
/// eviction, so a hold that turns out to be long is held against the last mark.
#[derive(Debug, Default)]
struct CpuMark {
    at: Stamp,
    cpu_ns: u64,
}

impl CpuMark {
    /// Before a hold that begins at `began`.
    fn refresh(&mut self, clock: &Clock, began: Stamp) {
        if self.at == 0 || began.saturating_sub(self.at) > MARKED_FOR_NS {
            *self = CpuMark { at: began.max(1), cpu_ns: clock.thread_cpu_ns() };
        }
    }

    /// How long a hold of `wall_ns` that has just ended kept the thread itself busy, at most.
    fn held_ns(&self, clock: &Clock, wall_ns: u64) -> u64 {
        if wall_ns <= SHORT_NS {
            return wall_ns;
        }
        wall_ns.min(clock.thread_cpu_ns().saturating_sub(self.cpu_ns))
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("used", &(self.used)()).finish_non_exhaustive()
    }
}

/// Whether there is room for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// There is.
    Enough,
    /// There will be: keys are being evicted.
    Evicting {
        /// The limit is exceeded by so much that writes wait.
        by_far: bool,
    },
    /// There will be: what was removed is being freed.
    Freeing {
        /// The limit is exceeded by so much that writes wait.
        by_far: bool,
    },
    /// There is none, and nothing can be evicted.
    None,
}

impl Memory {
    /// The memory that `used` tells of.
    pub fn new(used: impl Fn() -> u64 + Send + Sync + 'static) -> Memory {
        Memory {
            used: Box::new(used),
            exceeded_since: AtomicU64::new(0),
            exceeded_ns: AtomicU64::new(0),
            longest_hold_ns: AtomicU64::new(0),
        }
    }

    /// Bytes in use.
    #[inline]
    pub fn used(&self) -> u64 {
        (self.used)()
    }

    /// Nanoseconds that the limit has been exceeded, until it was not, and those of the time that has not ended.
    pub fn exceeded(&self, now: Stamp) -> (u64, u64) {
        let since = self.exceeded_since.load(Ordering::Relaxed);
        let current = if since == 0 { 0 } else { now.saturating_sub(since) };
        (self.exceeded_ns.load(Ordering::Relaxed) + current, current)
    }

    /// The longest time that a worker evicted in one go, nanoseconds.
    pub fn longest_hold_ns(&self) -> u64 {
        self.longest_hold_ns.load(Ordering::Relaxed)
    }

    fn held(&self, nanos: u64) {
        // Mostly it is none of the longest, and nothing is written.
        if nanos > self.longest_hold_ns() {
            self.longest_hold_ns.fetch_max(nanos, Ordering::Relaxed);
        }
    }

    /// Forgets how long the limit has been exceeded and keys were evicted (CONFIG RESETSTAT).
    pub fn reset(&self) {
        self.longest_hold_ns.store(0, Ordering::Relaxed);
        self.exceeded_ns.store(0, Ordering::Relaxed);
        self.exceeded_since.store(0, Ordering::Relaxed);
    }

    fn note(&self, exceeded: bool, now: impl FnOnce() -> Stamp) {
        let since = self.exceeded_since.load(Ordering::Relaxed);
        if exceeded && since == 0 {
            // Somebody else who sees it first is as right.
            let _ =
                self.exceeded_since.compare_exchange(0, now().max(1), Ordering::Relaxed, Ordering::Relaxed);
        } else if !exceeded && since != 0 && self.exceeded_since.swap(0, Ordering::Relaxed) == since {
            self.exceeded_ns.fetch_add(now().saturating_sub(since), Ordering::Relaxed);
        }
    }
}

/// What is in use and will be given back without anybody's doing: evicting would only add to what replicas have yet
/// to get.
pub fn not_counted(store: &Store, replication: &Replication, clients: &ClientTable) -> u64 {
    let leaving = store.garbage_bytes() + store.saves().retained_bytes() + clients.leaving_bytes();
    leaving as u64 + replication.excess_bytes()
}

/// The rule of a policy; `None` for noeviction.
fn rule_of(settings: &Settings) -> Option<EvictionRule> {
    let lfu = Worth::Lfu { decay_minutes: settings.lfu_decay_time_min };
    let (volatile, worth) = match settings.maxmemory_policy {
        MaxmemoryPolicy::Noeviction => return None,
        MaxmemoryPolicy::VolatileLru => (true, Worth::Lru),
        MaxmemoryPolicy::VolatileLfu => (true, lfu),
        MaxmemoryPolicy::VolatileRandom => (true, Worth::Random),
        MaxmemoryPolicy::VolatileTtl => (true, Worth::Ttl),
        MaxmemoryPolicy::AllkeysLru => (false, Worth::Lru),
        MaxmemoryPolicy::AllkeysLfu => (false, lfu),
        MaxmemoryPolicy::AllkeysRandom => (false, Worth::Random),
    };
    Some(EvictionRule { volatile, worth, samples: settings.maxmemory_samples })
}

/// How long one call may evict, nanoseconds. Redis's curve: half a millisecond at 10, a second at 64, no limit
/// at 100.
fn patience_ns(tenacity: u32) -> u64 {
    match tenacity {
        0..=10 => 50_000 * u64::from(tenacity),
        11..100 => (500_000.0 * 1.15_f64.powi(tenacity as i32 - 10)) as u64,
        _ => u64::MAX,
    }
}

/// Makes room if there is none. The caller holds the worker's permit or the whole keyspace, and no lock.
#[inline]
pub fn make_room(
    engine: &Engine,
    settings: &Arc<Settings>,
    evicting: &mut Evicting,
    moment: Moment,
    worker: usize,
) -> Room {
    let memory = &engine.status.memory;
    if memory.used() <= settings.maxmemory_bytes {
        memory.note(false, || engine.clock.stamp());
        return Room::Enough;
    }
    if engine.status.loading.load(Ordering::Relaxed) || engine.clients.paused(moment.now_ms).is_some() {
        return Room::Enough;
    }
    let room = evict(engine, settings, evicting, moment, worker);
    memory.note(memory.used() > settings.maxmemory_bytes, || engine.clock.stamp());
    room
}

/// Bytes in use, without what is on its way out.
fn staying(engine: &Engine) -> u64 {
    let leaving = not_counted(&engine.store, engine.server.replication(), &engine.clients);
    engine.status.memory.used().saturating_sub(leaving)
}

/// By how much the limit is exceeded, what is on its way out not counted.
fn excess(engine: &Engine, settings: &Settings) -> Option<u64> {
    staying(engine).checked_sub(settings.maxmemory_bytes).filter(|&over| over > 0)
}

fn by_far(engine: &Engine, settings: &Settings) -> bool {
    let used = engine.status.memory.used().saturating_sub(engine.store.saves().retained_bytes() as u64);
    let limit = settings.maxmemory_bytes;
    used > limit.saturating_add(SLACK_BYTES.max(limit / 256))
}

#[cold]
fn evict(
    engine: &Engine,
    settings: &Arc<Settings>,
    evicting: &mut Evicting,
    moment: Moment,
    worker: usize,
) -> Room {
    let Some(over) = excess(engine, settings) else {
        return Room::Freeing { by_far: by_far(engine, settings) };
    };
    let Some(rule) = rule_of(settings) else { return Room::None };
    let began = engine.clock.stamp();
    evicting.mark.refresh(&engine.clock, began);
    let room = evict_by(engine, settings, rule, &mut evicting.evictor, moment, (worker, began, over));
    let wall_ns = engine.clock.stamp().saturating_sub(began);
    let held_ns = evicting.mark.held_ns(&engine.clock, wall_ns);
    engine.status.memory.held(held_ns);
    engine.stats.worker(worker).add(Counter::EvictionNanos, held_ns);
    let threshold_ms = settings.latency_monitor_threshold_ms;
    engine.stats.spikes().note("eviction-cycle", threshold_ms, moment.now_ms, wall_ns);
    room
}

/// Evicts by a rule until the rest fits, or as much has gone as there was too much of, or its time is up: for this
/// worker, which began at that stamp, with so many bytes too many.
fn evict_by(
    engine: &Engine,
    settings: &Arc<Settings>,
    rule: EvictionRule,
    evictor: &mut Evictor,
    moment: Moment,
    (worker, began, over): (usize, Stamp, u64),
) -> Room {
    let patience = patience_ns(settings.maxmemory_eviction_tenacity);
    let (mut steps, mut gone) = (0u32, 0u64);
    let mut before = staying(engine);
    loop {
        let step = evictor.step(&engine.store, moment, rule);
        let nothing = step.nothing;
        // The name is still there, to be told.
        let name = step.evicted.as_ref().map_or(0, |evicted| evicted.key.capacity());
        gone += (before + name as u64).saturating_sub(staying(engine));
        account(engine, settings, moment, worker, step);
        before = staying(engine);
        if before <= settings.maxmemory_bytes {
            let free = engine.status.memory.used() <= settings.maxmemory_bytes;
            return if free { Room::Enough } else { Room::Freeing { by_far: by_far(engine, settings) } };
        }
        if gone >= over {
            // What is too much now came meanwhile: by what readers were told, or by others. The next command looks again.
            let by_far = by_far(engine, settings);
            return if by_far { Room::Evicting { by_far } } else { Room::Enough };
        }
        if nothing {
            // What a flush has removed may be more than is estimated for it.
            let freeing = engine.store.garbage().0 > 0;
            return if freeing { Room::Freeing { by_far: false } } else { Room::None };
        }
        steps += 1;
        if steps.is_multiple_of(LOOK_EVERY) && engine.clock.stamp().saturating_sub(began) >= patience {
            return Room::Evicting { by_far: by_far(engine, settings) };
        }
    }
}

/// Says and counts what a step did.
fn account(engine: &Engine, settings: &Arc<Settings>, moment: Moment, worker: usize, step: EvictionStep) {
    let stats = engine.stats.worker(worker);
    if !step.expired.is_empty() {
        stats.add(Counter::ExpiredKeys, step.expired.len() as u64);
        notify::expired(engine, settings, &step.expired);
    }
    if let Some(evicted) = step.evicted {
        stats.incr(Counter::EvictedKeys);
        notify::evicted(engine, settings, evicted.number, &evicted.key);
    }
    if !step.ready.is_empty() {
        let scope = Scope::new(engine, worker, settings, moment);
        blocked::serve_later(&scope, &blocked::nobody(), step.ready);
    }
}

/// `maxmemory-clients` in bytes; `None` when clients may take what they like.
pub fn limit_of_clients(settings: &Settings) -> Option<usize> {
    let bytes = match settings.maxmemory_clients {
        MemoryLimit::Bytes(bytes) => bytes,
        MemoryLimit::Percent(share) => {
            (u128::from(settings.maxmemory_bytes) * u128::from(share) / 100) as u64
        }
    };
    (bytes > 0).then_some(bytes as usize)
}

/// Closes clients until all of them together take no more than `maxmemory-clients`.
#[cold]
pub fn evict_clients(clients: &ClientTable, limit_bytes: usize, stats: &Stats, now: Stamp) {
    for client in clients.evict(limit_bytes) {
        stats.outside().incr(Counter::EvictedClients);
        EVICTED_CLIENTS.write(stats, now, || {
            tracing::info!(client = client.id, address = %client.address, "Evicting client");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::Rig;

    /// Each key counts for 100 bytes.
    fn rig(limit: &str, policy: &str) -> Rig {
        let rig = Rig::new(1);
        set(&rig, "maxmemory", limit);
        set(&rig, "maxmemory-policy", policy);
        rig
    }

    fn set(rig: &Rig, name: &str, value: &str) {
        let pair = [(name.as_bytes(), value.as_bytes())];
        rig.engine.config.set(&pair, &mut |_, _, _| Ok(())).expect("a known setting");
    }

    fn evicted(rig: &Rig) -> u64 {
        rig.engine.stats.counter(Counter::EvictedKeys)
    }

    const OOM: &str = "(error) OOM command not allowed when used memory > 'maxmemory'.";

    #[test]
    fn without_eviction_writes_are_refused_and_deletions_are_not() {
        let mut rig = rig("250", "noeviction");
        let me = rig.connect();
        for name in ["a", "b", "c"] {
            assert_eq!(rig.send(me, &format!("SET {name} 1")), "OK");
        }
        assert_eq!(rig.send(me, "SET d 1"), OOM);
        assert_eq!(rig.send(me, "GET a"), "\"1\"");
        assert_eq!(rig.send(me, "DEL a"), "(integer) 1");
        assert_eq!(rig.send(me, "SET d 1"), "OK");
        assert_eq!(rig.engine.store.counts(0).keys, 3);
    }

    #[test]
    fn a_transaction_is_refused_when_it_is_queued_or_if_it_would_take_memory() {
        let mut rig = rig("150", "noeviction");
        let me = rig.connect();
        rig.send(me, "SET a 1");
        rig.send(me, "MULTI");
        assert_eq!(rig.send(me, "SET b 1"), "QUEUED");
        let other = rig.connect();
        rig.send(other, "SET c 1");
        let refused = "(error) EXECABORT Transaction discarded because of: OOM command not allowed when used \
                       memory > 'maxmemory'.";
        assert_eq!(rig.send(me, "EXEC"), refused);
        rig.send(me, "MULTI");
        assert_eq!(rig.send(me, "GET a"), OOM);
        assert!(rig.send(me, "EXEC").starts_with("(error) EXECABORT"));
    }

    #[test]
    fn keys_go_until_the_rest_fits() {
        let mut rig = rig("1000", "allkeys-lru");
        let me = rig.connect();
        (0..50).for_each(|at| assert_eq!(rig.send(me, &format!("SET k{at} 1")), "OK"));
        let keys = rig.engine.store.counts(0).keys as u64;
        assert!((10..=11).contains(&keys), "{keys} keys");
        assert_eq!(evicted(&rig), 50 - keys);
    }

    #[test]
    fn volatile_policies_refuse_when_no_key_expires() {
        let mut rig = rig("250", "volatile-lru");
        let me = rig.connect();
        rig.send(me, "SET a 1 EX 100");
        rig.send(me, "SET b 1");
        rig.send(me, "SET c 1");
        assert_eq!(rig.send(me, "SET d 1"), "OK", "a makes room");
        assert_eq!(rig.send(me, "GET a"), "(nil)");
        assert_eq!(rig.send(me, "SET e 1"), OOM);
    }

    #[test]
    fn a_listener_hears_of_evictions_and_a_watch_breaks() {
        let mut rig = rig("0", "allkeys-random");
        set(&rig, "notify-keyspace-events", "Ee");
        let (listener, me) = (rig.connect(), rig.connect());
        rig.send(listener, "PSUBSCRIBE *");
        rig.send(me, "SET a 1");
        rig.send(me, "WATCH a");
        rig.send(me, "MULTI");
        rig.send(me, "PING");
        set(&rig, "maxmemory", "50");
        assert_eq!(rig.send(me, "EXEC"), "(nil)");
        assert!(rig.read(listener).contains("__keyevent@0__:evicted"));
    }

    #[test]
    fn the_time_over_the_limit_is_kept() {
        let mut rig = rig("50", "noeviction");
        let me = rig.connect();
        rig.send(me, "SET a 1");
        rig.send(me, "PING");
        rig.engine.clock.advance_ms(500);
        let now = rig.engine.clock.stamp();
        let (total, current) = rig.engine.status.memory.exceeded(now);
        assert!(total == current && current >= 499_000_000, "{total} {current}");
        rig.send(me, "DEL a");
        rig.send(me, "PING");
        assert_eq!(rig.engine.status.memory.exceeded(now).1, 0);
        assert!(rig.engine.status.memory.exceeded(now).0 >= 499_000_000);
    }

    #[test]
    fn of_a_long_hold_the_time_that_the_thread_did_not_have_is_left_out() {
        // A clock that is moved by hand moves for a thread only while it runs: here it never does by itself.
        let clock = Clock::manual();
        let mut mark = CpuMark::default();
        mark.refresh(&clock, clock.stamp());
        clock.advance_ms(2);
        assert_eq!(mark.held_ns(&clock, 5_000_000), 2_000_000, "three milliseconds were somebody else's");
        assert_eq!(mark.held_ns(&clock, 1_000_000), 1_000_000, "what lies before the hold does not count");
        assert_eq!(mark.held_ns(&clock, SHORT_NS), SHORT_NS);
        mark.refresh(&clock, clock.stamp());
        assert_eq!(mark.held_ns(&clock, 5_000_000), 0);
    }

    #[test]
    fn the_longest_hold_is_kept_until_it_is_reset() {
        let memory = Memory::new(|| 0);
        [300, 200].into_iter().for_each(|nanos| memory.held(nanos));
        assert_eq!(memory.longest_hold_ns(), 300);
        memory.reset();
        assert_eq!(memory.longest_hold_ns(), 0);
    }

    #[test]
    fn the_largest_clients_go_until_the_rest_fits() {
        let mut rig = rig("0", "noeviction");
        let ids: Vec<_> = (0..4).map(|_| rig.connect()).collect();
        let all = rig.engine.clients.all();
        let small = all[0].memory();
        for (at, client) in all.iter().enumerate() {
            client.output_pending.store(at * 100_000, Ordering::Relaxed);
        }
        all[3].set(crate::command::client::ClientFlag::NoEvict, true);
        let closed = rig.engine.clients.evict(4 * small + 400_000);
        assert_eq!(closed.iter().map(|client| client.id).collect::<Vec<_>>(), [all[2].id]);
        assert!(rig.engine.clients.bytes() <= 4 * small + 400_000);
        assert!(rig.engine.clients.evict(0).len() == 2, "who asked not to be is not evicted");
        assert_eq!(ids.len(), 4);
        all.iter().for_each(|client| rig.engine.clients.remove(client));
        assert_eq!(rig.engine.clients.bytes(), 0);
    }

    #[test]
    fn the_limit_of_clients_may_be_a_share() {
        let mut settings = Settings { maxmemory_bytes: 1_000, ..Settings::default() };
        assert_eq!(limit_of_clients(&settings), None);
        settings.maxmemory_clients = MemoryLimit::Percent(5);
        assert_eq!(limit_of_clients(&settings), Some(50));
        settings.maxmemory_clients = MemoryLimit::Bytes(7);
        assert_eq!(limit_of_clients(&settings), Some(7));
    }

    #[test]
    fn tenacity_is_redis_s_curve() {
        assert_eq!((patience_ns(0), patience_ns(10)), (0, 500_000));
        assert!((500_000..600_000).contains(&patience_ns(11)) && patience_ns(99) > 60_000_000_000);
        assert_eq!(patience_ns(100), u64::MAX);
    }
}
