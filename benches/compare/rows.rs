//! The table of workloads: what redis-benchmark is asked to send, and what the server holds before it.

use crate::Outcome;
use crate::fill;
use crate::process::Server;
use crate::subscribers::Subscribers;

/// What the server holds when a workload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Empty,
    /// Every key that the load may pick, as a string.
    Strings,
    /// Every counter that the load may pick, at 0.
    Counters,
    /// A list with an element for every request.
    ListToEmpty,
    /// A list of a thousand elements.
    ListToRead,
    /// A set with a member for every request.
    SetToEmpty,
    /// A sorted set with a member for every request.
    SortedSetToEmpty,
    /// A stream with an entry for every request, and a group that has seen none of them.
    Stream,
    /// The same with every entry delivered to one consumer.
    StreamDelivered,
    /// So many clients that listen to a channel.
    Subscribers(usize),
    /// Every key that the load may pick, as a string; the load is `tracked`, not redis-benchmark.
    StringsToTrack,
    /// Two sets of ten thousand members, half of them in both.
    Sets,
    /// Two sorted sets of ten thousand members, half of them in both.
    SortedSets,
    /// Two strings of 10 MB.
    Bits,
    /// Two HyperLogLogs that saw a hundred thousand elements each.
    HyperLogLogs,
    /// A hundred thousand places.
    Places,
    /// A list of a hundred thousand numbers without order.
    Numbers,
    /// A hash of a thousand fields.
    Hash,
    /// As many strings as a limit of memory allows under this policy; what an earlier run has left there stays.
    Full(&'static str),
    /// Every key that the load may pick, as a string, and a user with ten patterns of keys.
    StringsAndUser,
}

/// A workload.
pub struct Row {
    /// What options and reports call it.
    pub name: &'static str,
    /// What redis-benchmark's `-t` calls it, or the command itself; nothing where it makes no such load.
    pub asked: &'static [&'static str],
    /// What is there before.
    pub before: Before,
    /// About how many commands Redis runs in a second: how long a first run may be.
    pace: Pace,
}

/// How heavy a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Microseconds.
    Light,
    /// Up to a tenth of a millisecond.
    Middling,
    /// Milliseconds.
    Heavy,
}

const fn light(name: &'static str, asked: &'static [&'static str], before: Before) -> Row {
    Row { name, asked, before, pace: Pace::Light }
}

const fn middling(name: &'static str, asked: &'static [&'static str], before: Before) -> Row {
    Row { name, asked, before, pace: Pace::Middling }
}

const fn heavy(name: &'static str, asked: &'static [&'static str], before: Before) -> Row {
    Row { name, asked, before, pace: Pace::Heavy }
}

const SCRIPT: &str = "redis.call('set', KEYS[1], ARGV[1]) return redis.call('get', KEYS[1])";

/// Every workload there is.
pub static ROWS: [Row; 38] = [
    light("ping", &["-t", "ping_mbulk"], Before::Empty),
    light("set", &["-t", "set"], Before::Strings),
    light("get", &["-t", "get"], Before::Strings),
    light("incr", &["-t", "incr"], Before::Counters),
    light("lpush", &["-t", "lpush"], Before::Empty),
    light("rpush", &["-t", "rpush"], Before::Empty),
    light("lpop", &["-t", "lpop"], Before::ListToEmpty),
    light("rpop", &["-t", "rpop"], Before::ListToEmpty),
    light("sadd", &["-t", "sadd"], Before::Empty),
    light("hset", &["-t", "hset"], Before::Empty),
    light("spop", &["-t", "spop"], Before::SetToEmpty),
    light("zadd", &["-t", "zadd"], Before::Empty),
    light("zpopmin", &["-t", "zpopmin"], Before::SortedSetToEmpty),
    light("mset", &["-t", "mset"], Before::Strings),
    // With -t, redis-benchmark would push the list in the same run, and the server's CPU time
    // would be that of both.
    middling("lrange_100", &["LRANGE", "mylist", "0", "99"], Before::ListToRead),
    middling("lrange_300", &["LRANGE", "mylist", "0", "299"], Before::ListToRead),
    middling("lrange_500", &["LRANGE", "mylist", "0", "499"], Before::ListToRead),
    middling("lrange_600", &["LRANGE", "mylist", "0", "599"], Before::ListToRead),
    light("xadd", &["XADD", "mystream", "*", "field", "value"], Before::Empty),
    light(
        "xreadgroup",
        &["XREADGROUP", "GROUP", "mygroup", "me", "COUNT", "1", "STREAMS", "mystream", ">"],
        Before::Stream,
    ),
    light("xack", &["XACK", "mystream", "mygroup", "__rand_int__-1"], Before::StreamDelivered),
    light("publish_1", &["PUBLISH", "mychannel", "sixteen bytes it"], Before::Subscribers(1)),
    middling("publish_100", &["PUBLISH", "mychannel", "sixteen bytes it"], Before::Subscribers(100)),
    light("set_tracked", &[], Before::StringsToTrack),
    light("eval", &["EVAL", SCRIPT, "1", "key:__rand_int__", "value"], Before::Strings),
    heavy("sinter", &["SINTER", "myset:1", "myset:2"], Before::Sets),
    heavy("zunionstore", &["ZUNIONSTORE", "result", "2", "myzset:1", "myzset:2"], Before::SortedSets),
    heavy("bitcount", &["BITCOUNT", "bits:1"], Before::Bits),
    heavy("bitop", &["BITOP", "AND", "result", "bits:1", "bits:2"], Before::Bits),
    // Of one key Redis remembers the answer.
    middling("pfcount", &["PFCOUNT", "hll:1", "hll:2"], Before::HyperLogLogs),
    middling(
        "geosearch",
        &["GEOSEARCH", "places", "FROMLONLAT", "15", "37", "BYRADIUS", "50", "km", "ASC"],
        Before::Places,
    ),
    heavy("sort", &["SORT", "numbers"], Before::Numbers),
    middling("hgetall", &["HGETALL", "myhash"], Before::Hash),
    heavy("smembers", &["SMEMBERS", "myset:1"], Before::Sets),
    // Ten million names where some hundred thousand fit: nearly every SET is of a new key and evicts another.
    light("set_lru", &["-r", "10000000", "-t", "set"], Before::Full("allkeys-lru")),
    light("set_lfu", &["-r", "10000000", "-t", "set"], Before::Full("allkeys-lfu")),
    light("get_user", &["--user", fill::USER, "-a", fill::USER, "-t", "get"], Before::StringsAndUser),
    light("set_user", &["--user", fill::USER, "-a", fill::USER, "-t", "set"], Before::StringsAndUser),
];

impl Row {
    /// The row of that name.
    pub fn find(name: &str) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.name == name)
    }

    /// The most requests of a run: those that empty a collection need it filled before.
    pub fn most_requests(&self) -> u64 {
        match self.before {
            Before::ListToEmpty => 3_000_000,
            Before::SetToEmpty | Before::SortedSetToEmpty | Before::Stream | Before::StreamDelivered => {
                1_000_000
            }
            _ => 20_000_000,
        }
    }

    /// The fewest: as many as can be measured, and as a first run takes.
    pub fn least_requests(&self) -> u64 {
        match self.pace {
            Pace::Light => 10_000,
            Pace::Middling => 2_000,
            Pace::Heavy => 100,
        }
    }

    /// Requests of the run that shows how fast it goes.
    pub fn trial_requests(&self, pipeline: u32) -> u64 {
        match self.pace {
            Pace::Light if pipeline > 1 => 100_000,
            Pace::Light => 20_000,
            Pace::Middling => 5_000,
            Pace::Heavy => 200,
        }
    }

    /// Empties the server and gives it what the workload needs: for `enough` requests, over `keys` keys. What is
    /// given back stays until the run is over.
    pub fn prepare(
        &self,
        server: &Server,
        keys: u64,
        enough: u64,
        value: &[u8],
    ) -> Outcome<Option<Subscribers>> {
        let mut client = server.connect()?;
        if let Before::Full(policy) = self.before {
            return fill::until_full(&mut client, policy, value).map(|()| None);
        }
        client.command(&["CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction"])?;
        client.command(&["FLUSHALL", "SYNC"])?;
        let client = &mut client;
        match self.before {
            Before::Empty => {}
            Before::Strings | Before::StringsToTrack => fill::strings(client, 0..keys, value)?,
            Before::Counters => fill::counters(client, keys)?,
            Before::ListToEmpty => fill::list(client, b"mylist", enough, value)?,
            Before::ListToRead => fill::list(client, b"mylist", 1_000, value)?,
            Before::SetToEmpty => fill::set(client, b"myset", 0..enough)?,
            Before::SortedSetToEmpty => fill::sorted_set(client, b"myzset", 0..enough)?,
            Before::Stream => fill::stream(client, enough)?,
            Before::StreamDelivered => {
                fill::stream(client, enough.max(keys))?;
                fill::deliver(client, enough.max(keys))?;
            }
            Before::Subscribers(count) => return Subscribers::new(server.port, "mychannel", count).map(Some),
            Before::Sets => {
                fill::set(client, b"myset:1", 0..10_000)?;
                fill::set(client, b"myset:2", 5_000..15_000)?;
            }
            Before::SortedSets => {
                fill::sorted_set(client, b"myzset:1", 0..10_000)?;
                fill::sorted_set(client, b"myzset:2", 5_000..15_000)?;
            }
            Before::Bits => {
                fill::bits(client, b"bits:1", 1)?;
                fill::bits(client, b"bits:2", 2)?;
            }
            Before::HyperLogLogs => {
                fill::hyperloglog(client, b"hll:1", 0..100_000)?;
                fill::hyperloglog(client, b"hll:2", 50_000..150_000)?;
            }
            Before::Places => fill::places(client, 100_000)?,
            Before::Numbers => fill::numbers(client, 100_000)?,
            Before::Hash => fill::hash(client, 1_000, value)?,
            Before::Full(_) => {}
            Before::StringsAndUser => {
                fill::strings(client, 0..keys, value)?;
                fill::user(client)?;
            }
        }
        Ok(None)
    }
}
