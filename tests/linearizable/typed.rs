//! The model of hashes, sets, sorted sets, streams, SORT with STORE, and a script.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Answer, Command, Place, State, Value, error};

impl State {
    /// Runs one of these commands; `None` is for a key of another type.
    pub(super) fn typed(&mut self, database: usize, command: &Command) -> Option<Answer> {
        match *command {
            Command::Hset(key, field, value) => {
                let mut hash = self.hash((database, key))?;
                let new = hash.insert(field, value).is_none();
                self.put((database, key), Value::Hash(hash));
                Some(Answer::Number(i64::from(new)))
            }
            Command::Hgetall(key) => {
                let hash = self.hash((database, key))?;
                let pairs = hash.into_iter().map(|(field, value)| {
                    Answer::Many(vec![Answer::Key(field.to_owned()), Answer::Value(value)])
                });
                Some(Answer::Many(pairs.collect()))
            }
            Command::Sadd(key, member) => {
                let mut set = self.set((database, key))?;
                let new = set.insert(member);
                if new {
                    self.put((database, key), Value::Set(set));
                }
                Some(Answer::Number(i64::from(new)))
            }
            Command::Smove(from, to, member) => self.smove((database, from), (database, to), member),
            Command::Smembers(key) => {
                let members = self.set((database, key))?.into_iter().map(Answer::Value);
                Some(Answer::Many(members.collect()))
            }
            Command::Zadd(key, member, score) => {
                let mut sorted = self.sorted((database, key))?;
                let old = sorted.insert(member, score);
                if old != Some(score) {
                    self.put((database, key), Value::Sorted(sorted));
                }
                Some(Answer::Number(i64::from(old.is_none())))
            }
            Command::Zpopmin(key) => {
                let mut sorted = self.sorted((database, key))?;
                let Some((score, member)) = by_score(&sorted).first().copied() else {
                    return Some(Answer::Many(Vec::new()));
                };
                sorted.remove(&member);
                self.take((database, key));
                if !sorted.is_empty() {
                    self.put((database, key), Value::Sorted(sorted));
                }
                Some(Answer::Many(vec![Answer::Value(member), Answer::Value(score)]))
            }
            Command::Zrange(key) => {
                let all = by_score(&self.sorted((database, key))?);
                let flat = all.into_iter().flat_map(|(score, member)| [member, score]).map(Answer::Value);
                Some(Answer::Many(flat.collect()))
            }
            Command::Xadd(key, id) => {
                let (last, length) = self.stream((database, key))?;
                if id <= last {
                    return Some(error());
                }
                self.put((database, key), Value::Stream(id, length + 1));
                Some(Answer::Key(format!("{id}-0")))
            }
            Command::Xlen(key) => Some(Answer::Number(self.stream((database, key))?.1)),
            Command::Sort(from, to) => self.sort((database, from), (database, to)),
            Command::Swap { one, other, .. } => self.exchange((database, one), (database, other)),
            _ => None,
        }
    }

    fn at(&self, place: Place) -> Option<&Value> {
        self.databases[place.0].get(place.1)
    }

    fn hash(&self, place: Place) -> Option<BTreeMap<&'static str, i64>> {
        match self.at(place) {
            None => Some(BTreeMap::new()),
            Some(Value::Hash(hash)) => Some(hash.clone()),
            Some(_) => None,
        }
    }

    fn set(&self, place: Place) -> Option<BTreeSet<i64>> {
        match self.at(place) {
            None => Some(BTreeSet::new()),
            Some(Value::Set(set)) => Some(set.clone()),
            Some(_) => None,
        }
    }

    fn sorted(&self, place: Place) -> Option<BTreeMap<i64, i64>> {
        match self.at(place) {
            None => Some(BTreeMap::new()),
            Some(Value::Sorted(sorted)) => Some(sorted.clone()),
            Some(_) => None,
        }
    }

    fn stream(&self, place: Place) -> Option<(i64, i64)> {
        match self.at(place) {
            None => Some((0, 0)),
            Some(Value::Stream(last, length)) => Some((*last, *length)),
            Some(_) => None,
        }
    }

    fn smove(&mut self, from: Place, to: Place, member: i64) -> Option<Answer> {
        if self.at(from).is_none() {
            return Some(Answer::Number(0));
        }
        let (mut source, mut target) = (self.set(from)?, self.set(to)?);
        if from == to || !source.remove(&member) {
            return Some(Answer::Number(i64::from(from == to && source.contains(&member))));
        }
        self.take(from);
        if !source.is_empty() {
            self.put(from, Value::Set(source));
        }
        if target.insert(member) {
            self.put(to, Value::Set(target));
        }
        Some(Answer::Number(1))
    }

    fn sort(&mut self, from: Place, to: Place) -> Option<Answer> {
        let mut elements = match self.at(from) {
            None => Vec::new(),
            Some(Value::List(list)) => list.clone(),
            Some(Value::Set(set)) => set.iter().copied().collect(),
            Some(Value::Sorted(sorted)) => sorted.keys().copied().collect(),
            Some(_) => return None,
        };
        elements.sort_unstable();
        let length = elements.len() as i64;
        if elements.is_empty() {
            self.take(to);
        } else {
            self.put(to, Value::List(elements));
        }
        Some(Answer::Number(length))
    }

    /// What the script does: two strings change places.
    fn exchange(&mut self, one: Place, other: Place) -> Option<Answer> {
        let text = |value: Option<&Value>| match value {
            None => Some(None),
            Some(Value::Text(value)) => Some(Some(*value)),
            Some(_) => None,
        };
        let (first, second) = (text(self.at(one))?, text(self.at(other))?);
        for (place, value) in [(other, first), (one, second)] {
            match value {
                Some(value) => self.put(place, Value::Text(value)),
                None => drop(self.take(place)),
            }
        }
        let shown = |value: Option<i64>| value.map_or(Answer::Nil, Answer::Value);
        Some(Answer::Many(vec![shown(first), shown(second)]))
    }
}

/// Scores and members, the lowest first; members of the same score by their digits.
fn by_score(sorted: &BTreeMap<i64, i64>) -> Vec<(i64, i64)> {
    let mut all: Vec<(i64, i64)> = sorted.iter().map(|(member, score)| (*score, *member)).collect();
    all.sort_by_key(|(score, member)| (*score, member.to_string()));
    all
}
