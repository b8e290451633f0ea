//! The sequential model: what each command answers and leaves behind when commands run one by one.
//!
//! Strings and list elements are numbers, so that a state is small and every written value can be told
//! from every other. What WATCH takes for a change is what Redis takes for one.

use std::collections::{BTreeMap, BTreeSet};

/// A database's number and a key's name.
pub type Place = (usize, &'static str);

/// The end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Left,
    Right,
}

/// A command, with its keys by name. Keys lie in the client's own database.
#[derive(Clone, Debug)]
pub enum Command {
    Get(&'static str),
    Set(&'static str, i64),
    Incr(&'static str),
    Del(Vec<&'static str>),
    Mset(Vec<(&'static str, i64)>),
    Mget(Vec<&'static str>),
    Rename(&'static str, &'static str),
    Copy {
        from: &'static str,
        to: &'static str,
        database: usize,
        replace: bool,
    },
    Push(End, &'static str, Vec<i64>),
    Lpop(&'static str),
    Lmove {
        from: &'static str,
        to: &'static str,
        take: End,
        put: End,
        blocking: bool,
    },
    Blpop(Vec<&'static str>),
    Hset(&'static str, &'static str, i64),
    Hgetall(&'static str),
    Sadd(&'static str, i64),
    Smove(&'static str, &'static str, i64),
    Smembers(&'static str),
    Zadd(&'static str, i64, i64),
    Zpopmin(&'static str),
    Zrange(&'static str),
    Xadd(&'static str, i64),
    Xlen(&'static str),
    /// SORT with STORE.
    Sort(&'static str, &'static str),
    /// A script that swaps two strings and answers them; with or without saying which keys it touches.
    Swap {
        one: &'static str,
        other: &'static str,
        declared: bool,
    },
    Dbsize,
    Flushall,
    Swapdb,
    Watch(Vec<&'static str>),
    /// MULTI, these commands, and EXEC, sent in one write.
    Exec(Vec<Command>),
    /// A script that runs these commands.
    Script(Declares, Vec<Command>),
}

/// Which of its keys a script declares. What it does is atomic in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declares {
    All,
    First,
    None,
}

/// What a command answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Ok,
    Nil,
    Number(i64),
    /// A string or an element, which is a number too.
    Value(i64),
    Many(Vec<Answer>),
    /// The key that a blocking pop took from.
    Key(String),
    /// An error, by its first word.
    Error(String),
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Text(i64),
    List(Vec<i64>),
    Hash(BTreeMap<&'static str, i64>),
    Set(BTreeSet<i64>),
    /// Scores by member.
    Sorted(BTreeMap<i64, i64>),
    /// The last id and the length.
    Stream(i64, i64),
}

/// The whole keyspace, and who watches what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) databases: [BTreeMap<&'static str, Value>; 2],
    watched: BTreeMap<usize, BTreeSet<Place>>,
    /// Clients that watch something that has changed.
    dirty: BTreeSet<usize>,
    /// Clients whose blocking pop has begun to wait.
    parked: BTreeSet<usize>,
}

fn wrong_type() -> Answer {
    Answer::Error("WRONGTYPE".to_owned())
}

pub(super) fn error() -> Answer {
    Answer::Error("ERR".to_owned())
}

impl State {
    /// Runs a command of a client who speaks of `database`.
    pub fn apply(&mut self, client: usize, database: usize, command: &Command) -> Answer {
        match command {
            Command::Get(key) => match self.databases[database].get(key) {
                None => Answer::Nil,
                Some(Value::Text(value)) => Answer::Value(*value),
                Some(_) => wrong_type(),
            },
            Command::Set(key, value) => {
                self.put((database, key), Value::Text(*value));
                Answer::Ok
            }
            Command::Incr(key) => self.incr((database, key)),
            Command::Del(keys) => {
                let gone = keys.iter().filter(|key| self.take((database, **key)).is_some()).count();
                Answer::Number(gone as i64)
            }
            Command::Mset(pairs) => {
                for (key, value) in pairs {
                    self.put((database, key), Value::Text(*value));
                }
                Answer::Ok
            }
            Command::Mget(keys) => Answer::Many(
                keys.iter()
                    .map(|key| match self.databases[database].get(key) {
                        Some(Value::Text(value)) => Answer::Value(*value),
                        _ => Answer::Nil,
                    })
                    .collect(),
            ),
            Command::Rename(from, to) => self.rename((database, from), (database, to)),
            Command::Copy { from, to, database: other, replace } => {
                self.copy((database, from), (*other, to), *replace)
            }
            Command::Push(end, key, values) => self.push((database, key), *end, values),
            Command::Lpop(key) => self.pop((database, key), End::Left).unwrap_or_else(|answer| answer),
            Command::Lmove { from, to, take, put, .. } => {
                self.lmove((database, from), (database, to), *take, *put)
            }
            Command::Blpop(keys) => self.blpop(database, keys),
            Command::Hset(..)
            | Command::Hgetall(_)
            | Command::Sadd(..)
            | Command::Smove(..)
            | Command::Smembers(_)
            | Command::Zadd(..)
            | Command::Zpopmin(_)
            | Command::Zrange(_)
            | Command::Xadd(..)
            | Command::Xlen(_)
            | Command::Sort(..)
            | Command::Swap { .. } => self.typed(database, command).unwrap_or_else(wrong_type),
            Command::Dbsize => Answer::Number(self.databases[database].len() as i64),
            Command::Flushall => {
                for number in 0..self.databases.len() {
                    let keys: Vec<_> = self.databases[number].keys().copied().collect();
                    keys.into_iter().for_each(|key| drop(self.take((number, key))));
                }
                Answer::Ok
            }
            Command::Swapdb => {
                let keys: BTreeSet<_> = self.databases.iter().flat_map(BTreeMap::keys).copied().collect();
                keys.iter().for_each(|key| [0, 1].iter().for_each(|number| self.changed((*number, key))));
                self.databases.swap(0, 1);
                Answer::Ok
            }
            Command::Watch(keys) => {
                self.watched.entry(client).or_default().extend(keys.iter().map(|key| (database, *key)));
                Answer::Ok
            }
            Command::Script(_, queue) => {
                Answer::Many(queue.iter().map(|queued| self.apply(client, database, queued)).collect())
            }
            Command::Exec(queue) => {
                self.watched.remove(&client);
                if self.dirty.remove(&client) {
                    return Answer::Nil;
                }
                Answer::Many(queue.iter().map(|queued| self.apply(client, database, queued)).collect())
            }
        }
    }

    /// Somebody who watches this place has a reason not to go on.
    pub(super) fn changed(&mut self, place: Place) {
        for (client, watched) in &self.watched {
            if watched.contains(&place) {
                self.dirty.insert(*client);
            }
        }
    }

    pub(super) fn put(&mut self, place: Place, value: Value) {
        self.databases[place.0].insert(place.1, value);
        self.changed(place);
    }

    pub(super) fn take(&mut self, place: Place) -> Option<Value> {
        let value = self.databases[place.0].remove(place.1)?;
        self.changed(place);
        Some(value)
    }

    fn incr(&mut self, place: Place) -> Answer {
        let value = match self.databases[place.0].get(place.1) {
            None => 1,
            Some(Value::Text(value)) => value + 1,
            Some(_) => return wrong_type(),
        };
        self.put(place, Value::Text(value));
        Answer::Number(value)
    }

    fn rename(&mut self, from: Place, to: Place) -> Answer {
        if !self.databases[from.0].contains_key(from.1) {
            return error();
        }
        if from != to
            && let Some(value) = self.take(from)
        {
            self.put(to, value);
        }
        Answer::Ok
    }

    fn copy(&mut self, from: Place, to: Place, replace: bool) -> Answer {
        if from == to {
            return error();
        }
        match self.databases[from.0].get(from.1).cloned() {
            Some(value) if replace || !self.databases[to.0].contains_key(to.1) => {
                self.put(to, value);
                Answer::Number(1)
            }
            _ => Answer::Number(0),
        }
    }

    fn push(&mut self, place: Place, end: End, values: &[i64]) -> Answer {
        let mut list = match self.databases[place.0].get(place.1) {
            None => Vec::new(),
            Some(Value::List(list)) => list.clone(),
            Some(_) => return wrong_type(),
        };
        for value in values {
            match end {
                End::Left => list.insert(0, *value),
                End::Right => list.push(*value),
            }
        }
        let length = list.len() as i64;
        self.put(place, Value::List(list));
        Answer::Number(length)
    }

    /// The element at the end, or why there is none.
    fn pop(&mut self, place: Place, end: End) -> Result<Answer, Answer> {
        let mut list = match self.databases[place.0].get(place.1) {
            None => return Err(Answer::Nil),
            Some(Value::List(list)) => list.clone(),
            Some(_) => return Err(wrong_type()),
        };
        let value = match end {
            End::Left => list.remove(0),
            End::Right => list.remove(list.len() - 1),
        };
        self.take(place);
        if !list.is_empty() {
            self.databases[place.0].insert(place.1, Value::List(list));
        }
        Ok(Answer::Value(value))
    }

    fn lmove(&mut self, from: Place, to: Place, take: End, put: End) -> Answer {
        let is_list =
            |place: Place| self.databases[place.0].get(place.1).map(|value| matches!(value, Value::List(_)));
        match (is_list(from), is_list(to)) {
            (None, _) => return Answer::Nil,
            (Some(false), _) | (_, Some(false)) => return wrong_type(),
            _ => {}
        }
        match self.pop(from, take) {
            Ok(Answer::Value(value)) => {
                self.push(to, put, &[value]);
                Answer::Value(value)
            }
            Ok(answer) | Err(answer) => answer,
        }
    }

    /// A blocking pop that finds none of its keys begins to wait. False if it does not have to, or if
    /// the command is none that looks at several keys.
    pub fn park(&mut self, client: usize, database: usize, command: &Command) -> bool {
        let Command::Blpop(keys) = command else { return false };
        keys.iter().all(|key| !self.databases[database].contains_key(key)) && self.parked.insert(client)
    }

    /// Whether the client waits.
    pub fn is_parked(&self, client: usize) -> bool {
        self.parked.contains(&client)
    }

    /// Serves a waiting client from the key that its answer names: what the others hold by then, which
    /// they did not when it began to wait, does not matter. False if it cannot get that answer now.
    pub fn serve(&mut self, client: usize, database: usize, command: &Command, answer: &Answer) -> bool {
        self.parked.remove(&client);
        match (command, answer) {
            (_, Answer::Nil) => true,
            (Command::Blpop(keys), Answer::Many(pair)) => match &pair[..] {
                [Answer::Key(key), value] => keys
                    .iter()
                    .find(|other| *other == key)
                    .is_some_and(|key| self.pop((database, key), End::Left).as_ref() == Ok(value)),
                _ => false,
            },
            _ => false,
        }
    }

    fn blpop(&mut self, database: usize, keys: &[&'static str]) -> Answer {
        for key in keys {
            match self.pop((database, key), End::Left) {
                Err(Answer::Nil) => {}
                Err(answer) => return answer,
                Ok(value) => return Answer::Many(vec![Answer::Key((*key).to_owned()), value]),
            }
        }
        Answer::Nil
    }
}

impl Command {
    /// The places that the command may touch; `None` for all of them.
    pub fn places(&self, database: usize) -> Option<Vec<Place>> {
        let here = |keys: &[&'static str]| Some(keys.iter().map(|key| (database, *key)).collect());
        match self {
            Command::Get(key)
            | Command::Set(key, _)
            | Command::Incr(key)
            | Command::Push(_, key, _)
            | Command::Lpop(key)
            | Command::Hset(key, ..)
            | Command::Hgetall(key)
            | Command::Sadd(key, _)
            | Command::Smembers(key)
            | Command::Zadd(key, ..)
            | Command::Zpopmin(key)
            | Command::Zrange(key)
            | Command::Xadd(key, _)
            | Command::Xlen(key) => here(&[key]),
            Command::Del(keys) | Command::Mget(keys) | Command::Blpop(keys) | Command::Watch(keys) => {
                here(keys)
            }
            Command::Mset(pairs) => Some(pairs.iter().map(|(key, _)| (database, *key)).collect()),
            Command::Rename(from, to)
            | Command::Lmove { from, to, .. }
            | Command::Smove(from, to, _)
            | Command::Sort(from, to)
            | Command::Swap { one: from, other: to, .. } => here(&[from, to]),
            Command::Copy { from, to, database: other, .. } => Some(vec![(database, from), (*other, to)]),
            Command::Dbsize | Command::Flushall | Command::Swapdb => None,
            Command::Exec(queue) | Command::Script(_, queue) => {
                let mut places = Vec::new();
                for queued in queue {
                    places.extend(queued.places(database)?);
                }
                Some(places)
            }
        }
    }
}
