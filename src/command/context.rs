//! What a handler sees: a locked view of its keys, its session, somewhere to write, and ports.

use std::sync::Arc;

use crate::config::Settings;
use crate::resp::Encoder;
use crate::store::{Key, Noted, View};

use super::client::ClientFlag;
use super::effects::Effects;
use super::ports::Server;
use super::{Args, CommandError, Outcome, Registry, Reply, Session};

/// A change that a handler made, as notifications will name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The class of keyspace notifications.
    pub class: EventClass,
    /// Redis's name of the event, such as `set` or `lpush`.
    pub name: &'static str,
}

/// Classes of keyspace notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventClass {
    /// Commands on keys of any type.
    Generic,
    /// Strings.
    String,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Hashes.
    Hash,
    /// Sorted sets.
    SortedSet,
    /// Streams.
    Stream,
    /// A key expired.
    Expired,
    /// A key was removed to make room.
    Evicted,
    /// A new key.
    New,
    /// A key that was read is not there.
    Missed,
}

/// What a log or a replica is to repeat for a command, when that is not the command as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// The command as it was sent, if it had any effect.
    #[default]
    AsSent,
    /// Other commands: an absolute expiry, the element that was drawn.
    Instead(Vec<Vec<Vec<u8>>>),
    /// Nothing although it changed something.
    Nothing,
    /// The command as it was sent although it changed nothing here, by replicas alone: they have listeners, too.
    ByReplicas,
}

/// The context of one command. The engine makes one for each unit of work and reuses it for the
/// commands of a transaction.
pub struct Context<'a> {
    /// The locked keys.
    pub view: View<'a>,
    /// Where replies go.
    pub out: &'a mut Encoder,
    /// The connection's state.
    pub session: &'a mut Session,
    /// The settings as they were when the command began.
    pub settings: &'a Arc<Settings>,
    /// The rest of the server.
    pub server: &'a dyn Server,
    /// All commands.
    pub registry: &'a Registry,
    /// The command that runs: its index in the registry.
    pub command: usize,
    /// Whether it runs inside EXEC: nothing may park then.
    pub in_transaction: bool,
    /// Whether a script calls it.
    pub in_script: bool,
    /// Memory was over its limit when the command began, and nothing could be evicted.
    pub out_of_memory: bool,
    /// What is to be repeated instead of the command, kept only while somebody repeats commands.
    pub replay: Replay,
    /// Whether to keep `replay`.
    pub collect_replay: bool,
    /// What the unit is to be repeated as, collected only while somebody repeats units.
    pub effects: Option<Box<Effects>>,
    /// Changes of the command that runs, kept only while somebody wants to hear of them.
    pub events: Vec<(usize, Vec<u8>, Event)>,
    /// Whether to collect `events`.
    pub collect_events: bool,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("command", &self.command).finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// Says that a key changed. The one place from which watchers, waiting clients, the count of
    /// changes, notifications, and later the log and replicas hear of it.
    #[inline]
    pub fn effect(&mut self, key: Key<'_>, class: EventClass, name: &'static str) {
        self.view.changed(key);
        if self.collect_events {
            self.note_keys();
            self.events.push((self.view.database(), key.bytes.to_vec(), Event { class, name }));
        }
    }

    /// As [`Context::effect`], for a command that changed several elements of the key: Redis counts each
    /// of them as a change. `elements` is not 0.
    #[inline]
    pub fn effect_on(&mut self, key: Key<'_>, class: EventClass, name: &'static str, elements: usize) {
        self.effect(key, class, name);
        self.view.tally.changes += (elements as u64).saturating_sub(1);
    }

    /// Takes over what happened to keys up to here: it stands before the command's next event.
    pub fn note_keys(&mut self) {
        for (database, key, noted) in self.view.take_noted() {
            let event = match noted {
                Noted::Expired => Event { class: EventClass::Expired, name: "expired" },
                Noted::New => Event { class: EventClass::New, name: "new" },
                Noted::Missed => Event { class: EventClass::Missed, name: "keymiss" },
            };
            self.events.push((database, key, event));
        }
    }

    /// An event that is no change of its own (the `del` that follows the last pop, for example).
    #[inline]
    pub fn event(&mut self, key: Key<'_>, class: EventClass, name: &'static str) {
        if self.collect_events {
            self.note_keys();
            self.events.push((self.view.database(), key.bytes.to_vec(), Event { class, name }));
        }
    }

    /// How long the replies may get before the client is cut off for their size: what is written beyond that is
    /// written for nobody. A script's own calls answer to the script.
    pub fn reply_limit(&self) -> usize {
        if self.in_script {
            return usize::MAX;
        }
        self.session.client.reply_limit(&self.settings.client_output_buffer_limit)
    }

    /// The reply ended early at [`Context::reply_limit`]: its client is cut off and sees nothing of it.
    pub fn end_reply_beyond(&self, limit: usize) {
        if self.out.len() > limit {
            self.session.client.set(ClientFlag::Overflowed, true);
        }
    }

    /// What is to be repeated instead of this command.
    pub fn replay_as<const N: usize>(&mut self, command: [&[u8]; N]) {
        if !self.collect_replay {
            return;
        }
        let command: Vec<Vec<u8>> = command.iter().map(|part| part.to_vec()).collect();
        match &mut self.replay {
            Replay::Instead(commands) => commands.push(command),
            other => *other = Replay::Instead(vec![command]),
        }
    }

    /// Whether a time that a command names has passed. None has while a log is replayed: what expired is removed
    /// by the log itself, and what stands in between speaks of the key.
    pub fn has_passed(&self, at_ms: u64) -> bool {
        at_ms <= self.view.horizon_ms()
    }

    /// Answers a bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) -> Outcome {
        self.out.bulk(bytes);
        Ok(Reply::Sent)
    }

    /// Answers a double.
    pub fn double(&mut self, number: f64) -> Outcome {
        self.out.double(number);
        Ok(Reply::Sent)
    }

    /// The running command's name as errors and statistics spell it: lower case, `a|b` for subcommands.
    pub fn command_name(&self) -> &'static str {
        self.registry.get(self.command).full_name
    }

    /// Wall time in milliseconds since 1970, fixed within the command.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.view.now_ms()
    }
}

/// The handler of [`super::Command::BASE`], which no finished row keeps (a test looks).
pub fn unimplemented_row(ctx: &mut Context<'_>, _args: Args<'_>) -> Outcome {
    Err(CommandError::err(format_args!("command '{}' has no handler", ctx.command_name())))
}

/// A container's answer to a missing or unknown subcommand.
pub fn unknown_subcommand(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let container = ctx.command_name();
    if args.len() < 2 {
        return Err(CommandError::Arity(container.to_owned()));
    }
    Err(CommandError::err(format_args!(
        "unknown subcommand '{}'. Try {} HELP.",
        super::error::shown_up_to(args.get(1), 128),
        container.to_ascii_uppercase()
    )))
}

/// Answers a container's HELP: its own lines between Redis's first and last ones.
pub fn help(ctx: &mut Context<'_>, container: &str, lines: &[&str]) -> Outcome {
    ctx.out.array(lines.len() + 3);
    ctx.out.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    lines.iter().for_each(|line| ctx.out.simple(line));
    ctx.out.simple("HELP");
    ctx.out.simple("    Prints this help.");
    Ok(Reply::Sent)
}
