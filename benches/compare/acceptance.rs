//! What the figures are held against: for each, what is accepted and what is chased.
//! Compiled a second time by `tests/compare_parts.rs`, because a bench without a harness has no tests.

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Costs: the figure may not exceed the target.
    AtMost,
    /// Throughput: the figure may not fall short of the target.
    AtLeast,
}

/// How a figure stands against its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Worse than accepted.
    Missed,
    /// At least as good as accepted.
    Accepted,
    /// At least as good as what is chased.
    Chased,
}

impl Standing {
    /// The word that the report prints.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Missed => "missed",
            Standing::Accepted => "accepted",
            Standing::Chased => "chased",
        }
    }
}

/// A pair of limits on one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Worse than this is a miss.
    pub accepted: f64,
    /// What the project is after.
    pub chased: f64,
    /// Which way is good.
    pub direction: Direction,
}

impl Target {
    const fn at_most(accepted: f64, chased: f64) -> Target {
        Target { accepted, chased, direction: Direction::AtMost }
    }

    const fn at_least(accepted: f64, chased: f64) -> Target {
        Target { accepted, chased, direction: Direction::AtLeast }
    }

    /// Where `measured` stands. A figure that is not a number is a miss.
    pub fn standing(&self, measured: f64) -> Standing {
        let reaches = |limit: f64| match self.direction {
            Direction::AtMost => measured <= limit,
            Direction::AtLeast => measured >= limit,
        };
        if reaches(self.chased) {
            Standing::Chased
        } else if reaches(self.accepted) {
            Standing::Accepted
        } else {
            Standing::Missed
        }
    }

    /// The sign before a limit.
    pub fn sign(&self) -> &'static str {
        match self.direction {
            Direction::AtMost => "≤",
            Direction::AtLeast => "≥",
        }
    }
}

/// Server CPU per command over Redis's, one worker, server and load on cores of their own.
pub fn cpu_ratio(workload: &str, pipeline: u32) -> Option<Target> {
    match (workload, pipeline) {
        ("get" | "set" | "incr" | "mset", 16) => Some(Target::at_most(0.60, 0.50)),
        ("lpush" | "rpush" | "lpop", 16) => Some(Target::at_most(0.80, 0.65)),
        ("get" | "set", 1) => Some(Target::at_most(1.00, 0.90)),
        ("sadd" | "hset" | "spop", 16) => Some(Target::at_most(0.65, 0.55)),
        ("zadd" | "zpopmin", 16) => Some(Target::at_most(0.50, 0.40)),
        ("lrange_100" | "lrange_300" | "lrange_600", 16) => Some(Target::at_most(0.60, 0.40)),
        ("xadd" | "xreadgroup" | "xack", 16) => Some(Target::at_most(0.70, 0.55)),
        ("publish_1" | "publish_100", 16) => Some(Target::at_most(0.80, 0.60)),
        ("set_tracked", 16) => Some(Target::at_most(0.80, 0.60)),
        ("eval", 16) => Some(Target::at_most(1.00, 0.80)),
        ("sinter" | "zunionstore", 1) => Some(Target::at_most(0.70, 0.40)),
        ("bitcount" | "bitop" | "pfcount" | "geosearch", 1) => Some(Target::at_most(0.80, 0.30)),
        ("sort" | "hgetall" | "smembers", 1) => Some(Target::at_most(0.70, 0.50)),
        ("set_lru" | "set_lfu", 16) => Some(Target::at_most(0.70, 0.50)),
        _ => None,
    }
}

/// Throughput over Redis's with two workers against two io-threads, all on the same cores.
pub fn workers_throughput_ratio(workload: &str, pipeline: u32) -> Option<Target> {
    match (workload, pipeline) {
        ("get" | "set", 1) => Some(Target::at_least(1.3, 1.5)),
        ("get" | "set", 16) => Some(Target::at_least(1.6, 2.2)),
        ("eval", 16) => Some(Target::at_least(1.0, 1.6)),
        _ => None,
    }
}

/// Server CPU per command over Redis's, both over TLS, one worker.
pub fn tls_cpu_ratio(workload: &str, pipeline: u32) -> Option<Target> {
    matches!((workload, pipeline), ("get", 1 | 16)).then_some(Target::at_most(0.80, 0.60))
}

/// New connections a second over TLS with two workers, over Redis's, all on the same cores.
pub const TLS_CONNECTIONS_RATIO: Target = Target::at_least(1.0, 2.0);

/// The same as the workloads with the append-only file, synced every second.
pub fn everysec_cpu_ratio(workload: &str, pipeline: u32) -> Option<Target> {
    ((workload, pipeline) == ("set", 16)).then_some(Target::at_most(0.65, 0.50))
}

/// Throughput over Redis's with the append-only file, synced before each reply.
pub fn always_throughput_ratio(workload: &str, pipeline: u32) -> Option<Target> {
    ((workload, pipeline) == ("set", 1)).then_some(Target::at_least(1.2, 2.0))
}

/// Server CPU per pipelined GET over Redis's, by the number of keys.
pub fn keys_cpu_ratio(keys: u64) -> Option<Target> {
    (keys == 10_000_000).then_some(Target::at_most(0.50, 0.50))
}

/// Resident bytes a key at a million keys, by kind of value.
pub const BYTES_STRING: Target = Target::at_most(125.0, 113.0);
/// The same with a time to live.
pub const BYTES_STRING_TTL: Target = Target::at_most(132.0, 119.0);
/// The same with an integer for a value.
pub const BYTES_INTEGER: Target = Target::at_most(58.0, 50.0);
/// Resident bytes an idle connection.
pub const BYTES_CONNECTION: Target = Target::at_most(5_200.0, 3_000.0);

/// Resident bytes a list, given what Valkey takes for the same.
pub fn list_bytes(valkey: f64) -> Target {
    Target::at_most(0.90 * valkey, 0.80 * valkey)
}

/// What Valkey 8.1 took for a list of 100 and of 10,000 elements of 16 bytes, measured when the
/// targets were set. Used where no Valkey is among the peers.
pub const VALKEY_LIST_BYTES: [(u64, f64); 2] = [(100, 2_179.0), (10_000, 191_500.0)];

/// Seconds until a million keys that expire together are gone.
pub const EXPIRY_SECONDS: Target = Target::at_most(2.0, 2.0);
/// Another client's p99.9 meanwhile, over its usual one.
pub const EXPIRY_P999_RATIO: Target = Target::at_most(2.0, 2.0);

/// CPU per command for a user with ten patterns, over the default user's.
pub const USER_CPU_RATIO: Target = Target::at_most(1.03, 1.01);
/// Resident memory and `used_memory` after a fill, the larger over the smaller.
pub const USED_AGREES: Target = Target::at_most(1.10, 1.05);
/// p99 of clients that behave while others do not, over their p99 alone.
pub const ABUSE_P99_RATIO: Target = Target::at_most(1.5, 1.1);
/// Microseconds that a worker may evict in one go.
pub const EVICTION_HOLD_US: Target = Target::at_most(1_000.0, 600.0);

/// Megabytes by which `used_memory` may exceed a limit.
pub fn overshoot_mb(limit_bytes: u64) -> Target {
    let most = (limit_bytes as f64 / 100.0).max(f64::from(8 << 20)) / f64::from(1 << 20);
    Target::at_most(most, most / 2.0)
}

#[cfg(test)]
#[allow(
    unused_imports,
    dead_code,
    reason = "the bench itself is compiled with cfg(test) too, but its #[test]s are left out"
)]
mod tests {
    use super::*;

    #[test]
    fn costs_and_throughput_are_judged_in_their_own_direction() {
        let cost = Target::at_most(0.6, 0.5);
        assert_eq!(cost.standing(0.61), Standing::Missed);
        assert_eq!(cost.standing(0.60), Standing::Accepted);
        assert_eq!(cost.standing(0.50), Standing::Chased);
        let speed = Target::at_least(1.3, 1.5);
        assert_eq!(speed.standing(1.29), Standing::Missed);
        assert_eq!(speed.standing(1.3), Standing::Accepted);
        assert_eq!(speed.standing(1.5), Standing::Chased);
    }

    #[test]
    fn what_could_not_be_measured_is_missed() {
        assert_eq!(BYTES_STRING.standing(f64::NAN), Standing::Missed);
        assert_eq!(Target::at_least(1.0, 2.0).standing(f64::NAN), Standing::Missed);
    }

    #[test]
    fn only_the_workloads_of_the_table_have_a_target() {
        assert_eq!(cpu_ratio("get", 1), Some(Target::at_most(1.0, 0.9)));
        assert_eq!(cpu_ratio("incr", 1), None);
        assert_eq!(cpu_ratio("ping", 16), None);
        assert_eq!(cpu_ratio("set_tracked", 16), Some(Target::at_most(0.8, 0.6)));
        assert_eq!(cpu_ratio("set_tracked", 1), None);
        assert_eq!(tls_cpu_ratio("get", 1), Some(Target::at_most(0.8, 0.6)));
        assert_eq!(tls_cpu_ratio("get", 16), Some(Target::at_most(0.8, 0.6)));
        assert_eq!(tls_cpu_ratio("set", 16), None);
        assert_eq!(TLS_CONNECTIONS_RATIO.standing(1.99), Standing::Accepted);
        assert_eq!(keys_cpu_ratio(1_000_000), None);
    }

    #[test]
    fn the_limit_of_memory_may_be_exceeded_by_a_hundredth_or_8_mb() {
        assert_eq!(overshoot_mb(100 << 20).accepted, 8.0);
        assert_eq!(overshoot_mb(1 << 30).accepted, 10.24);
    }
}
