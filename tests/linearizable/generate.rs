//! Random plans for a round: few keys, every written value of its own.

use super::common::random::Random;
use super::model::{Command, Declares, End};

/// What one client does in a round.
pub struct Plan {
    pub database: usize,
    /// Each is sent in one write.
    pub bursts: Vec<Vec<Command>>,
}

/// Names of the commands that a round draws from; one that stands twice is drawn twice as often.
pub struct Mix {
    pub name: &'static str,
    pub commands: &'static [&'static str],
    pub clients: usize,
    pub commands_per_client: usize,
    /// One in so many commands leaves in the same write as the one before it.
    pub joined_one_in: usize,
}

pub const MIXES: &[Mix] = &[
    Mix {
        name: "strings",
        commands: &["GET", "SET", "INCR", "DEL", "MSET", "MSET", "MGET", "MGET", "MGET"],
        clients: 8,
        commands_per_client: 5,
        joined_one_in: 3,
    },
    // Whole batches run against each other, back to back: what is open for a microsecond only shows here.
    Mix {
        name: "pipelines of strings",
        commands: &["MSET", "MGET", "MGET", "SET"],
        clients: 4,
        commands_per_client: 24,
        joined_one_in: 1,
    },
    Mix {
        name: "pipelines of transactions",
        commands: &["INCR", "MGET", "MSET", "MULTI", "WATCH", "RENAME"],
        clients: 4,
        commands_per_client: 12,
        joined_one_in: 1,
    },
    Mix {
        name: "transactions",
        commands: &["GET", "SET", "INCR", "DEL", "MSET", "MGET", "WATCH", "MULTI", "MULTI", "MULTI"],
        clients: 8,
        commands_per_client: 4,
        joined_one_in: 3,
    },
    Mix {
        name: "scripts",
        commands: &[
            "GET", "SET", "MSET", "MGET", "LPUSH", "LPOP", "EVAL", "EVAL", "EVAL", "EVAL", "WATCH", "MULTI",
        ],
        clients: 8,
        commands_per_client: 4,
        joined_one_in: 3,
    },
    Mix {
        name: "lists",
        commands: &[
            "LPUSH", "RPUSH", "LPUSH", "LPOP", "LMOVE", "BLPOP", "BLMOVE", "RENAME", "DEL", "MULTI", "SET",
        ],
        clients: 8,
        commands_per_client: 4,
        joined_one_in: 3,
    },
    Mix {
        name: "the whole keyspace",
        commands: &[
            "GET", "SET", "MSET", "MGET", "COPY", "RENAME", "DBSIZE", "FLUSHALL", "SWAPDB", "WATCH", "MULTI",
        ],
        clients: 8,
        commands_per_client: 4,
        joined_one_in: 3,
    },
    Mix {
        name: "mixed types",
        commands: &[
            "HSET", "HSET", "HGETALL", "SADD", "SADD", "SMOVE", "SMEMBERS", "ZADD", "ZADD", "ZPOPMIN",
            "ZRANGE", "XADD", "XLEN", "SORT", "RENAME", "COPY", "RPUSH", "LMOVE", "BLPOP", "DEL", "WATCH",
            "MULTI",
        ],
        clients: 8,
        commands_per_client: 4,
        joined_one_in: 3,
    },
    Mix {
        name: "scripts",
        commands: &[
            "EVAL", "EVAL", "EVAL", "SET", "MSET", "MGET", "MGET", "INCR", "DEL", "WATCH", "MULTI", "SADD",
        ],
        clients: 8,
        commands_per_client: 4,
        joined_one_in: 3,
    },
    // One type a key, so that its commands mostly succeed and their order shows.
    Mix {
        name: "sorted sets",
        commands: &["ZADD", "ZADD", "ZPOPMIN", "ZPOPMIN", "ZRANGE", "RENAME", "MULTI"],
        clients: 8,
        commands_per_client: 4,
        joined_one_in: 3,
    },
    Mix {
        name: "everything",
        commands: &[
            "GET", "SET", "INCR", "DEL", "MSET", "MGET", "RENAME", "COPY", "LPUSH", "RPUSH", "LPOP", "LMOVE",
            "BLPOP", "BLMOVE", "DBSIZE", "FLUSHALL", "SWAPDB", "WATCH", "MULTI", "MULTI", "HSET", "HGETALL",
            "SADD", "SMOVE", "ZADD", "ZPOPMIN", "XADD", "SORT", "EVAL",
        ],
        clients: 8,
        commands_per_client: 4,
        joined_one_in: 3,
    },
];

/// What MULTI queues.
const QUEUED: &[&str] = &[
    "GET", "SET", "INCR", "MSET", "MGET", "RENAME", "COPY", "LPUSH", "LPOP", "LMOVE", "DBSIZE", "FLUSHALL",
    "SWAPDB", "HSET", "HGETALL", "SADD", "SMOVE", "SMEMBERS", "ZADD", "ZPOPMIN", "ZRANGE", "XADD", "XLEN",
    "SORT", "EVAL",
];

/// What scripts call.
const SCRIPTED: &[&str] = &["GET", "SET", "INCR", "MSET", "MGET", "DEL", "RENAME", "LPUSH", "LPOP", "LMOVE"];

/// Makes plans from a seed, of commands that the server knows.
pub struct Generator<'a> {
    random: Random,
    mix: &'a Mix,
    known: &'a [&'static str],
    keys: &'static [&'static str],
    written: i64,
}

impl<'a> Generator<'a> {
    pub fn new(seed: u64, mix: &'a Mix, known: &'a [&'static str]) -> Generator<'a> {
        const KEYS: &[&str] = &["a", "b", "c", "d"];
        let mut random = Random(seed);
        let keys = &KEYS[..2 + random.below(3)];
        Generator { random, mix, known, keys, written: 0 }
    }

    /// A plan for each client.
    pub fn plans(&mut self) -> Vec<Plan> {
        (0..self.mix.clients).map(|_| self.plan()).collect()
    }

    fn plan(&mut self) -> Plan {
        let database = usize::from(self.random.chance(4));
        let mut bursts: Vec<Vec<Command>> = Vec::new();
        for _ in 0..self.mix.commands_per_client {
            let name = self.name(self.mix.commands);
            let command = self.command(name);
            match bursts.last_mut() {
                Some(burst) if self.random.chance(self.mix.joined_one_in) => burst.push(command),
                _ => bursts.push(vec![command]),
            }
        }
        Plan { database, bursts }
    }

    /// Draws a name that the server knows.
    fn name(&mut self, of: &[&'static str]) -> &'static str {
        loop {
            let name = self.random.pick(of);
            if self.known.contains(&name) {
                return name;
            }
        }
    }

    fn key(&mut self) -> &'static str {
        self.random.pick(self.keys)
    }

    /// Some keys, each once, in any order.
    fn keys(&mut self) -> Vec<&'static str> {
        let count = 1 + self.random.below(self.keys.len());
        let first = self.random.below(self.keys.len());
        (first..first + count).map(|at| self.keys[at % self.keys.len()]).collect()
    }

    /// A value that nobody else writes. Steps leave room for INCR.
    fn value(&mut self) -> i64 {
        self.written += 1_000;
        self.written
    }

    /// A member of a set: few, so that clients meet on them.
    fn member(&mut self) -> i64 {
        1 + self.random.below(3) as i64
    }

    fn end(&mut self) -> End {
        self.random.pick(&[End::Left, End::Right])
    }

    fn swap(&mut self) -> Command {
        Command::Swap { one: self.key(), other: self.key(), declared: self.random.chance(2) }
    }

    fn command(&mut self, name: &str) -> Command {
        match name {
            "GET" => Command::Get(self.key()),
            "SET" => Command::Set(self.key(), self.value()),
            "INCR" => Command::Incr(self.key()),
            "DEL" => Command::Del(self.keys()),
            "MSET" => Command::Mset(self.keys().into_iter().map(|key| (key, self.value())).collect()),
            "MGET" => Command::Mget(self.keys()),
            "RENAME" => Command::Rename(self.key(), self.key()),
            "COPY" => Command::Copy {
                from: self.key(),
                to: self.key(),
                database: self.random.below(2),
                replace: self.random.chance(2),
            },
            "LPUSH" | "RPUSH" => {
                let end = if name == "LPUSH" { End::Left } else { End::Right };
                let values = (0..1 + self.random.below(2)).map(|_| self.value()).collect();
                Command::Push(end, self.key(), values)
            }
            "LPOP" => Command::Lpop(self.key()),
            "LMOVE" | "BLMOVE" => Command::Lmove {
                from: self.key(),
                to: self.key(),
                take: self.end(),
                put: self.end(),
                blocking: name == "BLMOVE",
            },
            "BLPOP" => Command::Blpop(self.keys()),
            "HSET" => Command::Hset(self.key(), self.random.pick(&["f", "g"]), self.value()),
            "HGETALL" => Command::Hgetall(self.key()),
            "SADD" => Command::Sadd(self.key(), self.member()),
            "SMOVE" => Command::Smove(self.key(), self.key(), self.member()),
            "SMEMBERS" => Command::Smembers(self.key()),
            "ZADD" => Command::Zadd(self.key(), self.member(), self.value()),
            "ZPOPMIN" => Command::Zpopmin(self.key()),
            "ZRANGE" => Command::Zrange(self.key()),
            "XADD" => Command::Xadd(self.key(), self.value()),
            "XLEN" => Command::Xlen(self.key()),
            "SORT" => Command::Sort(self.key(), self.key()),
            "EVAL" if self.random.chance(2) => self.swap(),
            "DBSIZE" => Command::Dbsize,
            "FLUSHALL" => Command::Flushall,
            "SWAPDB" => Command::Swapdb,
            "WATCH" => Command::Watch(self.keys()),
            "EVAL" => {
                let declares =
                    self.random.pick(&[Declares::All, Declares::All, Declares::First, Declares::None]);
                let names: Vec<_> = (0..1 + self.random.below(4)).map(|_| self.name(SCRIPTED)).collect();
                Command::Script(declares, names.into_iter().map(|name| self.command(name)).collect())
            }
            _ => {
                // A transaction of the world's commands comes with the mixes that have them.
                let queued: Vec<&'static str> = QUEUED
                    .iter()
                    .copied()
                    .filter(|name| self.mix.commands.contains(name) || *name == "GET")
                    .collect();
                let names: Vec<_> = (0..1 + self.random.below(3)).map(|_| self.name(&queued)).collect();
                let queue = names.into_iter().map(|name| match name {
                    "EVAL" => self.swap(),
                    other => self.command(other),
                });
                Command::Exec(queue.collect())
            }
        }
    }
}
