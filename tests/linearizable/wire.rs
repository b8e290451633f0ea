//! Commands as a client sends them, answers as it reads them, and sessions over a socket.

use std::collections::BTreeSet;

use glasswing::resp::Value;

use super::common::{Client, encode, ok};
use super::model::{Answer, Command, Declares, End};
use super::record::Session;

/// How long a blocking command waits, seconds.
const BLOCK: &str = "0.02";

/// Runs the commands that its arguments hold, each behind the number of its words.
const SCRIPT: &str = "\
    local replies, at = {}, 1 \
    while at <= #ARGV do \
      local last = at + ARGV[at] \
      replies[#replies + 1] = redis.pcall(unpack(ARGV, at + 1, last)) \
      at = last + 1 \
    end \
    return replies";

/// The arguments of EVAL.
fn script(declares: Declares, queue: &[Command]) -> Vec<String> {
    let places: BTreeSet<&str> =
        queue.iter().flat_map(|command| command.places(0).unwrap_or_default()).map(|(_, key)| key).collect();
    let declared = match declares {
        Declares::All => places.len(),
        Declares::First => 1,
        Declares::None => 0,
    };
    let mut words = vec![SCRIPT.to_owned(), declared.min(places.len()).to_string()];
    words.extend(places.iter().take(declared).map(|&key| key.to_owned()));
    for request in queue.iter().flat_map(Command::requests) {
        words.push(request.len().to_string());
        words.extend(request);
    }
    words
}
/// Two strings change places. Keys that are not declared come as arguments.
const SWAP: &str = "local one, other = KEYS[1] or ARGV[1], KEYS[2] or ARGV[2] \
    local a, b = redis.call('GET', one), redis.call('GET', other) \
    if a then redis.call('SET', other, a) else redis.call('DEL', other) end \
    if b then redis.call('SET', one, b) else redis.call('DEL', one) end \
    return {a, b}";

impl Command {
    /// The name that the server must know for this command.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Get(_) => "GET",
            Command::Set(..) => "SET",
            Command::Incr(_) => "INCR",
            Command::Del(_) => "DEL",
            Command::Mset(_) => "MSET",
            Command::Mget(_) => "MGET",
            Command::Rename(..) => "RENAME",
            Command::Copy { .. } => "COPY",
            Command::Push(End::Left, ..) => "LPUSH",
            Command::Push(End::Right, ..) => "RPUSH",
            Command::Lpop(_) => "LPOP",
            Command::Lmove { blocking: false, .. } => "LMOVE",
            Command::Lmove { blocking: true, .. } => "BLMOVE",
            Command::Blpop(_) => "BLPOP",
            Command::Hset(..) => "HSET",
            Command::Hgetall(_) => "HGETALL",
            Command::Sadd(..) => "SADD",
            Command::Smove(..) => "SMOVE",
            Command::Smembers(_) => "SMEMBERS",
            Command::Zadd(..) => "ZADD",
            Command::Zpopmin(_) => "ZPOPMIN",
            Command::Zrange(_) => "ZRANGE",
            Command::Xadd(..) => "XADD",
            Command::Xlen(_) => "XLEN",
            Command::Sort(..) => "SORT",
            Command::Swap { .. } => "EVAL",
            Command::Dbsize => "DBSIZE",
            Command::Flushall => "FLUSHALL",
            Command::Swapdb => "SWAPDB",
            Command::Watch(_) => "WATCH",
            Command::Exec(_) => "MULTI",
            Command::Script(..) => "EVAL",
        }
    }

    /// The requests that make up the command.
    fn requests(&self) -> Vec<Vec<String>> {
        if let Command::Exec(queue) = self {
            let mut requests = vec![vec!["MULTI".to_owned()]];
            requests.extend(queue.iter().flat_map(Command::requests));
            requests.push(vec!["EXEC".to_owned()]);
            return requests;
        }
        let mut request = vec![self.name().to_owned()];
        request.extend(self.arguments());
        vec![request]
    }

    fn arguments(&self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let side = |end: &End| if *end == End::Left { "LEFT" } else { "RIGHT" };
        match self {
            Command::Get(key) | Command::Incr(key) | Command::Lpop(key) => words(&[key]),
            Command::Set(key, value) => words(&[key, &value.to_string()]),
            Command::Del(keys) | Command::Mget(keys) | Command::Watch(keys) => words(keys),
            Command::Mset(pairs) => {
                pairs.iter().flat_map(|(key, value)| [(*key).to_owned(), value.to_string()]).collect()
            }
            Command::Rename(from, to) => words(&[from, to]),
            Command::Copy { from, to, database, replace } => {
                let mut all: Vec<String> = words(&[from, to, "DB", &database.to_string()]);
                all.extend(replace.then(|| "REPLACE".to_owned()));
                all
            }
            Command::Push(_, key, values) => {
                std::iter::once((*key).to_owned()).chain(values.iter().map(i64::to_string)).collect()
            }
            Command::Lmove { from, to, take, put, blocking } => {
                let mut all: Vec<String> = words(&[from, to, side(take), side(put)]);
                all.extend(blocking.then(|| BLOCK.to_owned()));
                all
            }
            Command::Blpop(keys) => {
                keys.iter().copied().chain(std::iter::once(BLOCK)).map(str::to_owned).collect()
            }
            Command::Hset(key, field, value) => words(&[key, field, &value.to_string()]),
            Command::Sadd(key, member) => words(&[key, &member.to_string()]),
            Command::Smove(from, to, member) => words(&[from, to, &member.to_string()]),
            Command::Zadd(key, member, score) => words(&[key, &score.to_string(), &member.to_string()]),
            Command::Zrange(key) => words(&[key, "0", "-1", "WITHSCORES"]),
            Command::Xadd(key, id) => words(&[key, &format!("{id}-0"), "field", "value"]),
            Command::Hgetall(key) | Command::Smembers(key) | Command::Zpopmin(key) | Command::Xlen(key) => {
                words(&[key])
            }
            Command::Sort(from, to) => words(&[from, "STORE", to]),
            Command::Swap { one, other, declared: true } => words(&[SWAP, "2", one, other]),
            Command::Swap { one, other, declared: false } => words(&[SWAP, "0", one, other]),
            Command::Swapdb => words(&["0", "1"]),
            Command::Dbsize | Command::Flushall | Command::Exec(_) => Vec::new(),
            Command::Script(declares, queue) => script(*declares, queue),
        }
    }

    /// Reads a reply to this command as an answer.
    fn answer(&self, reply: Value) -> Answer {
        let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse().ok();
        match (self, reply) {
            (_, Value::Simple(_)) => Answer::Ok,
            (_, Value::Int(number)) => Answer::Number(number),
            (_, Value::Null | Value::NullArray) => Answer::Nil,
            (_, Value::Error(text)) => {
                let text = String::from_utf8_lossy(&text);
                Answer::Error(text.split(' ').next().unwrap_or_default().to_owned())
            }
            (_, Value::Bulk(bytes)) => number(&bytes)
                .map_or_else(|| Answer::Key(String::from_utf8_lossy(&bytes).into_owned()), Answer::Value),
            (Command::Exec(queue) | Command::Script(_, queue), Value::Array(replies)) => {
                Answer::Many(queue.iter().zip(replies).map(|(queued, reply)| queued.answer(reply)).collect())
            }
            (Command::Hgetall(_), Value::Array(replies)) => {
                let mut pairs: Vec<Vec<Answer>> = replies
                    .chunks(2)
                    .map(|pair| pair.iter().map(|reply| self.answer(reply.clone())).collect())
                    .collect();
                pairs.sort_by_key(|pair| format!("{pair:?}"));
                Answer::Many(pairs.into_iter().map(Answer::Many).collect())
            }
            (Command::Smembers(_), Value::Array(replies)) => {
                let mut members: Vec<Answer> = replies.into_iter().map(|reply| self.answer(reply)).collect();
                members.sort_by_key(|member| format!("{member:?}"));
                Answer::Many(members)
            }
            (_, Value::Array(replies)) => {
                Answer::Many(replies.into_iter().map(|reply| self.answer(reply)).collect())
            }
            (_, other) => panic!("{self:?} is answered with {other:?}"),
        }
    }
}

/// A session over a connection. With `torn` it sends MSET as a SET for each key.
pub struct Socket {
    pub client: Client,
    pub torn: bool,
}

impl Socket {
    fn send(&mut self, commands: &[Command]) {
        let mut bytes = Vec::new();
        for request in commands.iter().flat_map(Command::requests) {
            bytes.extend_from_slice(&encode(&request));
        }
        assert!(self.client.raw(&bytes));
    }

    /// The answer to a command: that to its last request.
    fn receive(&mut self, command: &Command) -> Answer {
        let replies = command.requests().len();
        let mut last = None;
        for _ in 0..replies {
            let reply = self.client.reply();
            last = Some(reply.unwrap_or_else(|| panic!("no reply to {command:?}")));
        }
        last.map_or(Answer::Nil, |reply| command.answer(reply))
    }
}

impl Session for Socket {
    fn begin(&mut self, database: usize) {
        for request in [vec!["UNWATCH"], vec!["SELECT", &database.to_string()]] {
            assert_eq!(self.client.call(&request), ok());
        }
    }

    fn run(&mut self, burst: &[Command], answered: &mut dyn FnMut(Answer)) {
        if let ([Command::Mset(pairs)], true) = (burst, self.torn) {
            for (key, value) in pairs {
                let part = Command::Set(key, *value);
                self.send(std::slice::from_ref(&part));
                assert_eq!(self.receive(&part), Answer::Ok);
            }
            answered(Answer::Ok);
            return;
        }
        self.send(burst);
        for command in burst {
            let answer = self.receive(command);
            answered(answer);
        }
    }
}
