//! What a unit of work has done, as the commands that repeat it: for a log, and for whoever follows one.
//!
//! A unit collects while it holds its locks, and hands all of it over before it lets go, so that the order of
//! what is handed over is the order in which things happened. What belongs together is a group: it is repeated
//! as a whole or not at all.

use crate::config::Settings;

use super::context::Replay;
use super::{Args, Context, Flags};

/// Commands in the form that the protocol has, in groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    bytes: Vec<u8>,
    commands: Vec<Encoded>,
    /// The next command begins a group.
    apart: bool,
}

/// Where a command ends in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Encoded {
    end: usize,
    database: usize,
    begins_group: bool,
    for_replicas: bool,
}

/// A command of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect<'a> {
    /// The database in which it is repeated.
    pub database: usize,
    /// The command as the protocol has it.
    pub bytes: &'a [u8],
    /// It changed nothing: replicas repeat it, a log does not.
    pub for_replicas: bool,
}

/// What was grown by a large value is given back.
const KEPT_BYTES: usize = 64 * 1024;

impl Effects {
    /// Nothing happened.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// What follows is repeated apart from what is there.
    pub fn begin_group(&mut self) {
        self.apart = true;
    }

    /// Adds a command.
    pub fn push<'a>(&mut self, database: usize, words: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.add(database, words, false);
    }

    fn add<'a>(
        &mut self,
        database: usize,
        words: impl ExactSizeIterator<Item = &'a [u8]>,
        for_replicas: bool,
    ) {
        let begins_group = std::mem::take(&mut self.apart) || self.commands.is_empty();
        put_count(&mut self.bytes, b'*', words.len());
        for word in words {
            put_count(&mut self.bytes, b'$', word.len());
            self.bytes.extend_from_slice(word);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.commands.push(Encoded { end: self.bytes.len(), database, begins_group, for_replicas });
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.commands.clear();
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.apart = false;
    }

    /// The groups in order, each with how many commands it has.
    pub fn groups(&self) -> impl Iterator<Item = (usize, impl Iterator<Item = Effect<'_>>)> {
        let mut at = 0;
        let mut from = 0;
        std::iter::from_fn(move || {
            let rest = self.commands.get(at..)?;
            let first = rest.first()?;
            let others = rest.iter().skip(1).take_while(|command| !command.begins_group).count();
            let group = &rest[..=others];
            at += group.len();
            let begin = from;
            from = group.last().unwrap_or(first).end;
            let commands = group.iter().scan(begin, |begin, command| {
                let bytes = &self.bytes[*begin..command.end];
                *begin = command.end;
                Some(Effect { database: command.database, bytes, for_replicas: command.for_replicas })
            });
            Some((group.len(), commands))
        })
    }
}

fn put_count(out: &mut Vec<u8>, sign: u8, count: usize) {
    out.push(sign);
    out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Adds the deletion of what has expired; each for itself where one has nothing to do with the other.
fn delete(effects: &mut Effects, settings: &Settings, expired: Vec<(usize, Vec<u8>)>, apart: bool) {
    let command: &[u8] = if settings.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
    for (database, key) in expired {
        if apart {
            effects.begin_group();
        }
        effects.push(database, [command, &key].into_iter());
    }
}

impl Context<'_> {
    /// Notes that keys were found expired: they are deleted, whatever is said of them afterwards.
    fn note_expired(&mut self) {
        let Some(effects) = &mut self.effects else { return };
        // A walk (SCAN) meets whatever has expired.
        let walks = self.registry.get(self.command).row.flags.has(Flags::WANDERS) && !self.in_transaction;
        delete(effects, self.settings, self.view.take_expired(), walks);
    }

    /// The unit ends: notes what was found expired after its last command, apart from what it did.
    pub fn note_last_expired(&mut self) {
        if let Some(effects) = &mut self.effects {
            effects.begin_group();
        }
        self.note_expired();
    }

    /// Notes as what the command that has just run is repeated. `changes` is what the unit had changed before
    /// it, `database` the one that it ran in.
    #[cold]
    pub fn note_effects(&mut self, database: usize, changes: u64, args: &Args<'_>) {
        let changed = self.view.tally.changes > changes;
        let replay = std::mem::take(&mut self.replay);
        self.note_expired();
        let Some(effects) = &mut self.effects else { return };
        match replay {
            Replay::Nothing => {}
            Replay::ByReplicas => {
                effects.add(database, (0..args.len()).map(|index| args.get(index)), true);
            }
            Replay::Instead(commands) => {
                for command in &commands {
                    effects.push(database, command.iter().map(Vec::as_slice));
                }
            }
            Replay::AsSent if changed => {
                effects.push(database, (0..args.len()).map(|index| args.get(index)));
            }
            Replay::AsSent => {}
        }
        let after = self.view.take_expired_after();
        if !after.is_empty() {
            self.note_after(after);
        }
    }

    /// Notes what the command made to be found expired.
    fn note_after(&mut self, expired: Vec<(usize, Vec<u8>)>) {
        let Some(effects) = &mut self.effects else { return };
        if !self.in_transaction {
            effects.begin_group();
        }
        delete(effects, self.settings, expired, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(effects: &Effects) -> Vec<(usize, Vec<(usize, String)>)> {
        let text = |effect: Effect<'_>| (effect.database, String::from_utf8_lossy(effect.bytes).into_owned());
        effects.groups().map(|(count, group)| (count, group.map(text).collect())).collect()
    }

    #[test]
    fn groups_keep_their_commands_apart() {
        let mut effects = Effects::default();
        let words = |words: &'static [&'static str]| words.iter().map(|word| word.as_bytes());
        effects.push(0, words(&["DEL", "a"]));
        effects.push(3, words(&["DEL", "b"]));
        effects.begin_group();
        effects.push(0, words(&["PING"]));
        let del = |key: &str| format!("*2\r\n$3\r\nDEL\r\n$1\r\n{key}\r\n");
        let ping = "*1\r\n$4\r\nPING\r\n".to_owned();
        assert_eq!(shown(&effects), [(2, vec![(0, del("a")), (3, del("b"))]), (1, vec![(0, ping)])]);
        effects.clear();
        assert!(effects.is_empty() && shown(&effects).is_empty());
    }
}
