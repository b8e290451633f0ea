//! Keyspace notifications: what a unit changed, as messages to whoever listens.
//!
//! They are sent while the unit still holds its locks, so that the messages about a key come in the order
//! of its changes. Nothing is collected unless a setting asks for it and somebody listens to anything.

use crate::command::Context;
use crate::command::context::{Event, EventClass};
use crate::config::Settings;
use crate::pubsub::{Limit, PubSub};

use super::shared::Engine;

/// Whether a unit that begins now is to collect its events.
#[inline]
pub fn is_wanted(engine: &Engine, settings: &Settings) -> bool {
    !settings.notify_keyspace_events.is_empty() && !engine.server.pubsub().is_silent()
}

/// Sends the events that have been collected since the last time.
#[inline]
pub fn tell(engine: &Engine, ctx: &mut Context<'_>) {
    if ctx.collect_events {
        tell_all(engine, ctx);
    }
}

#[cold]
fn tell_all(engine: &Engine, ctx: &mut Context<'_>) {
    ctx.note_keys();
    let hub = engine.server.pubsub();
    for (database, key, event) in std::mem::take(&mut ctx.events) {
        send(hub, ctx.settings, database, &key, event);
    }
}

/// Sends that keys have expired which nobody asked for.
pub fn expired(engine: &Engine, settings: &Settings, keys: &[(usize, Vec<u8>)]) {
    if !is_wanted(engine, settings) {
        return;
    }
    let event = Event { class: EventClass::Expired, name: "expired" };
    keys.iter().for_each(|(database, key)| send(engine.server.pubsub(), settings, *database, key, event));
}

/// Sends that a key was removed to make room.
pub fn evicted(engine: &Engine, settings: &Settings, database: usize, key: &[u8]) {
    if is_wanted(engine, settings) {
        let event = Event { class: EventClass::Evicted, name: "evicted" };
        send(engine.server.pubsub(), settings, database, key, event);
    }
}

fn send(hub: &PubSub, settings: &Settings, database: usize, key: &[u8], event: Event) {
    let classes = settings.notify_keyspace_events;
    if !classes.has(letter(event.class)) {
        return;
    }
    let bounds = &settings.client_output_buffer_limit.pubsub;
    let limit = Limit { hard_bytes: bounds.hard_bytes, soft_bytes: bounds.soft_bytes };
    if classes.has(b'K') {
        let mut channel = format!("__keyspace@{database}__:").into_bytes();
        channel.extend_from_slice(key);
        hub.publish(&channel, event.name.as_bytes(), limit);
    }
    if classes.has(b'E') {
        let channel = format!("__keyevent@{database}__:{}", event.name);
        hub.publish(channel.as_bytes(), key, limit);
    }
}

/// The letter of a class in `notify-keyspace-events`.
fn letter(class: EventClass) -> u8 {
    match class {
        EventClass::Generic => b'g',
        EventClass::String => b'$',
        EventClass::List => b'l',
        EventClass::Set => b's',
        EventClass::Hash => b'h',
        EventClass::SortedSet => b'z',
        EventClass::Stream => b't',
        EventClass::Expired => b'x',
        EventClass::Evicted => b'e',
        EventClass::New => b'n',
        EventClass::Missed => b'm',
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::Rig;

    /// What a listener to everything hears when another worker's client sends these lines.
    fn heard(classes: &str, lines: &[&str]) -> String {
        let mut rig = Rig::new(2);
        let setting = [(&b"notify-keyspace-events"[..], classes.as_bytes())];
        rig.engine.config.set(&setting, &mut |_, _, _| Ok(())).expect("known classes");
        let (listener, other) = (rig.connect(), rig.connect());
        rig.send(listener, "PSUBSCRIBE *");
        lines.iter().for_each(|line| drop(rig.send(other, line)));
        rig.read(listener)
    }

    fn assert_order(heard: &str, parts: &[&str]) {
        let mut rest = heard;
        for part in parts {
            let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} where it is due in {heard}"));
            rest = &rest[at + part.len()..];
        }
    }

    #[test]
    fn events_come_in_the_order_of_the_changes() {
        let all = heard("KEAn", &["MSET a 1 b 2"]);
        assert_order(&all, &["__keyspace@0__:a", "new", "__keyevent@0__:new", "__keyspace@0__:a", "set"]);
        assert_order(&all, &["__keyevent@0__:set", "\"a\"", "__keyspace@0__:b", "new", "__keyevent@0__:set"]);
    }

    #[test]
    fn a_transaction_names_the_database_of_each_event() {
        let all = heard("EA", &["MULTI", "SET a 1", "SELECT 3", "SADD s 1", "DEL s", "EXEC"]);
        assert_order(&all, &["__keyevent@0__:set", "__keyevent@3__:sadd", "__keyevent@3__:del"]);
    }

    #[test]
    fn only_the_classes_that_are_on_are_told() {
        assert!(!heard("K$", &["SET a 1"]).contains("__keyevent@"));
        assert_eq!(heard("El", &["SET a 1"]), "");
        assert_eq!(heard("", &["SET a 1"]), "");
        assert!(heard("Em", &["GET a", "OBJECT ENCODING a"]).matches("__keyevent@0__:keymiss").count() == 1);
    }
}
