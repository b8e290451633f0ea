//! Random requests, made from the rows' own syntax, so that a new command is sent without anybody thinking
//! of it.

use glasswing::command::syntax::{Piece, parse};
use glasswing::command::table::Registered;
use glasswing::command::{Flags, Group, Registry};

use super::Request;
use super::common::random::Random;
use super::pools::{KEYS, THRESHOLDS, value};

/// Commands that are not sent, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("migrate", "needs a third server"),
    ("wait", "is about replicas"),
    ("pfselftest", "runs for seconds and touches no key"),
    ("script|kill", "asks another client's script"),
    ("function|kill", "asks another client's function"),
    ("script|debug", "takes the connection over"),
    ("function|restore", "needs payloads of its own"),
    ("exec", "comes with MULTI"),
    ("watch", "comes with MULTI"),
];

/// Families of which only these are sent: the others are about one server's clients, files and memory.
const ONLY: &[(Group, &[&str])] = &[
    (Group::Cluster, &["readonly", "readwrite", "cluster|keyslot", "cluster|info"]),
    (
        Group::Server,
        &["dbsize", "flushall", "flushdb", "swapdb", "command|getkeys", "command|getkeysandflags"],
    ),
    (Group::Connection, &["echo", "ping", "select", "reset"]),
    (
        Group::PubSub,
        &["publish", "spublish", "pubsub|channels", "pubsub|numsub", "pubsub|numpat", "pubsub|shardnumsub"],
    ),
];

/// Commands after which scores may differ: not sent in a case whose scores are all the same.
const RAISING: &[&str] = &[
    "zincrby",
    "geoadd",
    "zunionstore",
    "zinterstore",
    "geosearchstore",
    "georadius",
    "georadiusbymember",
    "zdiffstore",
    "fcall",
    "eval",
];

/// How often a command is drawn; all others have 20.
const WEIGHTS: &[(&str, usize)] = &[
    ("set", 80),
    ("rpush", 80),
    ("lpush", 60),
    ("sadd", 100),
    ("hset", 100),
    ("zadd", 120),
    ("xadd", 200),
    ("geoadd", 40),
    ("xgroup|create", 60),
    ("xreadgroup", 60),
    ("object|encoding", 60),
    ("setbit", 30),
    ("bitfield", 40),
    ("append", 30),
    ("flushall", 1),
    ("flushdb", 1),
    ("swapdb", 3),
    ("reset", 1),
    ("select", 4),
    ("script|flush", 2),
    ("function|flush", 2),
    ("discard", 2),
    ("multi", 1),
    ("eval", 60),
    ("eval_ro", 20),
    ("spop", 10),
    ("sort", 60),
    ("move", 6),
];

/// Commands whose answer blocks when there is nothing: each costs a timer of the other server.
const BLOCKING: usize = 2;

/// Makes the requests of a case.
pub struct Generator<'r> {
    registry: &'r Registry,
    random: Random,
    /// Each command as often as it weighs.
    drawn: Vec<usize>,
    /// What comes after the last id of a stream.
    next_id: u64,
    /// Whether all scores are the same, so that ranges by member mean something.
    flat: bool,
}

/// Whether a command is sent at all.
pub fn is_sent(command: &Registered) -> bool {
    let name = command.full_name;
    let only = ONLY.iter().find(|(group, _)| *group == command.row.group);
    command.children.is_empty()
        && only.is_none_or(|(_, names)| names.contains(&name))
        && !LEFT_OUT.iter().any(|(left, _)| *left == name)
}

impl<'r> Generator<'r> {
    pub fn new(registry: &'r Registry, seed: u64) -> Generator<'r> {
        let mut drawn = Vec::new();
        for (index, command) in registry.iter().filter(|(_, command)| is_sent(command)) {
            let listed =
                WEIGHTS.iter().find(|(name, _)| *name == command.full_name).map(|(_, weight)| *weight);
            let usual = if command.row.flags.has(Flags::BLOCKING) { BLOCKING } else { 20 };
            drawn.extend(std::iter::repeat_n(index, listed.unwrap_or(usual)));
        }
        Generator { registry, random: Random(seed), drawn, next_id: 1, flat: false }
    }

    /// A case: so many requests, more or less.
    pub fn case(&mut self, length: usize) -> Vec<Request> {
        self.next_id = 1;
        self.flat = self.random.chance(6);
        let mut requests = vec![words(&["HELLO", if self.random.chance(2) { "2" } else { "3" }])];
        for (name, _, values) in THRESHOLDS {
            if self.random.chance(4) {
                requests.push(words(&["CONFIG", "SET", name, self.random.pick(values)]));
            }
        }
        if self.flat {
            requests.push(flat());
        }
        while requests.len() < length {
            match self.random.below(60) {
                0 => self.transaction(&mut requests),
                1 => self.elapsed(&mut requests),
                2 => self.scripted(&mut requests),
                3 => requests.push(self.nonsense()),
                _ => self.one(&mut requests),
            }
        }
        requests.push(words(&["DISCARD"]));
        // Where both servers have come to, key by key: keys whose time has passed lie about unseen.
        for (_, keys) in KEYS {
            for key in *keys {
                requests.push(vec![b"DEBUG".to_vec(), b"DIGEST-VALUE".to_vec(), key.to_vec()]);
                requests.push(vec![b"PTTL".to_vec(), key.to_vec()]);
            }
        }
        requests.push(words(&["KEYS", "*"]));
        requests
    }

    /// One request, with what keeps both servers in the same state after it.
    fn one(&mut self, requests: &mut Vec<Request>) {
        let request = self.request();
        // Which members SPOP takes is chance: what is left goes too.
        let popped = request.first().is_some_and(|name| name.eq_ignore_ascii_case(b"SPOP"));
        let key = request.get(1).cloned().filter(|_| popped);
        let tied = undecided(&request);
        requests.push(request);
        if let Some(key) = key {
            requests.push(vec![b"SCARD".to_vec(), key.clone()]);
            requests.push(vec![b"DEL".to_vec(), key]);
        }
        requests.extend(tied.map(|key| vec![b"DEL".to_vec(), key]));
    }

    fn transaction(&mut self, requests: &mut Vec<Request>) {
        for _ in 0..self.random.below(3) {
            requests.push(vec![b"WATCH".to_vec(), self.key("")]);
        }
        if self.random.chance(3) {
            self.one(requests);
        }
        requests.push(words(&["MULTI"]));
        for _ in 0..self.random.below(6) {
            self.one(requests);
        }
        requests.push(words(&[if self.random.chance(8) { "DISCARD" } else { "EXEC" }]));
    }

    /// A key's time passes for certain before the next request.
    fn elapsed(&mut self, requests: &mut Vec<Request>) {
        for _ in 0..=self.random.below(2) {
            let key = self.key("");
            requests.push(vec![b"PEXPIRE".to_vec(), key, b"1".to_vec()]);
        }
        requests.push(words(&["DEBUG", "SLEEP", "0.003"]));
        self.one(requests);
    }

    /// A request as a script sends it.
    fn scripted(&mut self, requests: &mut Vec<Request>) {
        let request = self.request();
        let call = self.random.pick(&["call", "pcall"]);
        let protocol = self.random.pick(&["", "", "redis.setresp(3) "]);
        let script = format!("{protocol}return redis.{call}(unpack(ARGV))");
        let mut whole = vec![b"EVAL".to_vec(), script.into_bytes(), b"0".to_vec()];
        let popped = request.first().is_some_and(|name| name.eq_ignore_ascii_case(b"SPOP"));
        if popped || request.iter().map(Vec::len).sum::<usize>() > 4_000 {
            return;
        }
        whole.extend(request);
        requests.push(whole);
    }

    fn nonsense(&mut self) -> Request {
        let mut request = vec![
            self.random
                .pick(&["NOSUCH", "get2", "", "G\u{e9}T", "a-name-that-is-longer-than-any-command-has"])
                .as_bytes()
                .to_vec(),
        ];
        for _ in 0..self.random.below(4) {
            let value = value("value", "", &mut self.random, &mut self.next_id);
            request.push(value);
        }
        request
    }

    fn request(&mut self) -> Request {
        let mut index = self.random.pick(&self.drawn);
        while self.flat && RAISING.contains(&self.registry.get(index).full_name) {
            index = self.random.pick(&self.drawn);
        }
        let command = self.registry.get(index);
        let name = command.full_name.to_ascii_uppercase();
        let mut request: Request = name.split('|').map(|word| word.as_bytes().to_vec()).collect();
        if self.random.chance(20) {
            request.iter_mut().for_each(|word| word.make_ascii_lowercase());
        }
        let own = request.len();
        let mut pieces = parse(command.row.syntax);
        self.shuffle(&mut pieces);
        let mut filling = Filling { counted: None, keys: 0 };
        self.fill(&pieces, command, &mut request, &mut filling);
        if let Some(at) = filling.counted.filter(|_| !self.random.chance(25)) {
            request[at] = filling.keys.to_string().into_bytes();
        }
        if !self.flat {
            let straight = request.clone();
            self.bend(&mut request, own);
            if waits_long(self.registry, &request) {
                return straight;
            }
        }
        request
    }

    /// Options come in any order.
    fn shuffle(&mut self, pieces: &mut [Piece]) {
        let options = pieces.iter().rev().take_while(|piece| matches!(piece, Piece::Optional(_))).count();
        let first = pieces.len() - options;
        for at in first..pieces.len() {
            if self.random.chance(2) {
                pieces.swap(at, first + self.random.below(options));
            }
        }
    }

    fn fill(&mut self, pieces: &[Piece], command: &Registered, request: &mut Request, filling: &mut Filling) {
        for piece in pieces {
            match piece {
                Piece::Token(token) => request.push(self.token(token)),
                Piece::Value(name) => self.put(name, command, request, filling),
                Piece::OneOf(alternatives) => {
                    // An id that the server chooses differs; scripts and errors still send it.
                    let fixed = |one: &&Vec<Piece>| **one != [Piece::Token("*".to_owned())];
                    let able: Vec<&Vec<Piece>> = alternatives.iter().filter(fixed).collect();
                    let chosen = self.random.pick(&able);
                    self.fill(chosen, command, request, filling);
                }
                Piece::Optional(inner) if self.random.below(10) < 3 => {
                    self.fill(inner, command, request, filling);
                }
                Piece::Optional(_) => {}
                Piece::Repeat(inner) => {
                    for _ in 0..self.times(inner, command, filling) {
                        self.fill(inner, command, request, filling);
                    }
                }
            }
        }
    }

    /// How often something is repeated: ids and weights as often as there are keys.
    fn times(&mut self, inner: &[Piece], command: &Registered, filling: &Filling) -> usize {
        let per_key = match inner {
            [Piece::Value(name)] => {
                name == "weight" || (name == "id" && command.full_name.starts_with("xread"))
            }
            _ => false,
        };
        if per_key && !self.random.chance(12) {
            return filling.keys.saturating_sub(1);
        }
        match self.random.below(12) {
            0 => 8,
            1..=2 => 3,
            3..=5 => 1,
            6..=7 => 2,
            _ => 0,
        }
    }

    fn token(&mut self, token: &str) -> Vec<u8> {
        let mut token = token.trim_matches('"').as_bytes().to_vec();
        if self.random.chance(20) {
            token.make_ascii_lowercase();
        }
        token
    }

    fn put(&mut self, name: &str, command: &Registered, request: &mut Request, filling: &mut Filling) {
        let made = match name {
            "key" | "source" | "destination" | "newkey" | "destkey" | "src" | "dst" | "key1" | "key2" => {
                filling.keys += 1;
                self.key(command.row.group.name())
            }
            "score" if self.flat => b"0".to_vec(),
            _ => value(name, command.full_name, &mut self.random, &mut self.next_id),
        };
        if name == "numkeys" {
            filling.counted = Some(request.len());
            filling.keys = 0;
        }
        request.push(made);
    }

    /// A key of the type that a family works on, mostly.
    fn key(&mut self, group: &str) -> Vec<u8> {
        let group = match group {
            "geo" => "sorted-set",
            "bitmap" => "string",
            group => group,
        };
        let own = KEYS.iter().find(|(name, _)| *name == group && !group.is_empty());
        match own {
            Some((_, keys)) if self.flat || !self.random.chance(10) => self.random.pick(keys).to_vec(),
            _ => {
                let (_, keys) = self.random.pick(KEYS);
                self.random.pick(keys).to_vec()
            }
        }
    }

    /// A wrong number of arguments, or a wrong one, now and then.
    fn bend(&mut self, request: &mut Request, own: usize) {
        match self.random.below(60) {
            0 if request.len() > own => {
                request.pop();
            }
            1 => request.push(value("element", "", &mut self.random, &mut self.next_id)),
            2 if request.len() > own => {
                let at = own + self.random.below(request.len() - own);
                let wrong = value("element", "", &mut self.random, &mut self.next_id);
                if self.is_harmless(request, at, &wrong) {
                    request[at] = wrong;
                }
            }
            3 if request.len() > own + 1 => {
                let at = own + self.random.below(request.len() - own - 1);
                request.swap(at, at + 1);
                if !self.is_harmless(request, at, b"") {
                    request.swap(at, at + 1);
                }
            }
            _ => {}
        }
    }

    /// Whether a wrong argument can be put in: none that waits for long, and no huge value or reply.
    fn is_harmless(&self, request: &Request, at: usize, wrong: &[u8]) -> bool {
        let command =
            request.first().and_then(|name| self.registry.find(name)).map(|index| self.registry.get(index));
        let blocks = command.is_none_or(|command| command.row.flags.has(Flags::BLOCKING));
        let number =
            |word: &[u8]| std::str::from_utf8(word).ok().and_then(|word| word.trim().parse::<i128>().ok());
        let huge = |word: &[u8]| {
            number(word)
                .is_some_and(|number| number.unsigned_abs() > 100_000 && number.unsigned_abs() < 1 << 64)
        };
        !blocks && !huge(wrong) && !request[at.saturating_sub(1)..].iter().any(|word| huge(word))
    }
}

/// Whether a blocking command may wait longer than a test does: for ever, or for more than a moment.
pub fn waits_long(registry: &Registry, request: &Request) -> bool {
    let Some(index) = request.first().and_then(|name| registry.find(name)) else { return false };
    let row = registry.get(index).row;
    if !row.flags.has(Flags::BLOCKING) {
        return false;
    }
    let behind_block = request.iter().rposition(|word| word.eq_ignore_ascii_case(b"BLOCK")).map(|at| at + 1);
    // The timeout stands behind BLOCK in milliseconds, else first or last in seconds.
    let (places, most) = if row.syntax.contains("BLOCK") {
        ([behind_block, None], 100.0)
    } else {
        ([Some(1), request.len().checked_sub(1)], 0.1)
    };
    places.into_iter().any(|at| {
        let word = at.and_then(|at| request.get(at)).and_then(|word| std::str::from_utf8(word).ok());
        word.and_then(|word| word.parse::<f64>().ok()).is_some_and(|time| time == 0.0 || time > most)
    })
}

/// What is known of a request while it is made.
struct Filling {
    /// Where the number of keys stands.
    counted: Option<usize>,
    keys: usize,
}

/// The key that a request fills with what Redis does not decide: which of several members at the same
/// distance are counted in, and in which order elements of the same weight are sorted.
fn undecided(request: &Request) -> Option<Vec<u8>> {
    let has = |name: &[u8]| request.iter().any(|word| word.eq_ignore_ascii_case(name));
    let name = request.first()?.to_ascii_uppercase();
    let behind = |name: &[u8]| {
        let at = request.iter().rposition(|word| word.eq_ignore_ascii_case(name))?;
        request.get(at + 1).cloned()
    };
    match name.as_slice() {
        b"GEOSEARCHSTORE" if has(b"COUNT") => request.get(1).cloned(),
        b"GEORADIUS" | b"GEORADIUSBYMEMBER" if has(b"COUNT") => {
            behind(b"STOREDIST").or_else(|| behind(b"STORE"))
        }
        b"SORT" if has(b"ALPHA") && has(b"BY") => behind(b"STORE"),
        _ => None,
    }
}

/// Says of a case that all its scores are the same.
pub fn flat() -> Request {
    words(&["ECHO", "all scores are the same"])
}

/// A request of words.
pub fn words(words: &[&str]) -> Request {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
