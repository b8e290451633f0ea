//! Who listens to what.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use crate::data::glob_match;

use super::message::{Message, Parts};
use super::monitor::Monitors;

/// The three ways to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SUBSCRIBE.
    Channel,
    /// PSUBSCRIBE.
    Pattern,
    /// SSUBSCRIBE.
    Shard,
}

/// How much may wait for a subscriber, bytes; 0 is any amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Beyond this it is cut off at once.
    pub hard_bytes: u64,
    /// Beyond this it is cut off after some time.
    pub soft_bytes: u64,
}

/// Somebody who listens.
pub trait Subscriber: Send + Sync {
    /// Unique among subscribers.
    fn id(&self) -> u64;
    /// Takes a message. Never waits, and never calls back into the registry.
    fn deliver(&self, message: &Message<'_>, limit: Limit);
    /// Takes what is encoded for it already. Never waits, and never calls back either.
    fn push(&self, encoded: Bytes, limit: Limit);
}

/// The listeners of one channel or pattern, by ascending id.
type Listeners = Vec<Arc<dyn Subscriber>>;

/// The channels of one kind.
#[derive(Default)]
struct Plane {
    listeners: RwLock<HashMap<Arc<[u8]>, Listeners>>,
    /// Number of names: one look without the lock.
    names: AtomicUsize,
}

impl Plane {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Arc<[u8]>, Listeners>> {
        // Each change is one insertion or removal: a panic elsewhere leaves the map valid.
        self.listeners.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Arc<[u8]>, Listeners>> {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.names.load(Ordering::Relaxed) == 0
    }
}

/// The registry of all channels, patterns and sharded channels.
#[derive(Default)]
pub struct PubSub {
    channels: Plane,
    patterns: Plane,
    shards: Plane,
    monitors: Monitors,
}

impl std::fmt::Debug for PubSub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PubSub").field("channels", &self.count(Kind::Channel)).finish_non_exhaustive()
    }
}

impl PubSub {
    /// Who sees every command.
    #[inline]
    pub fn monitors(&self) -> &Monitors {
        &self.monitors
    }

    fn plane(&self, kind: Kind) -> &Plane {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        }
    }

    /// Enters a listener, which must not listen to this name yet.
    pub fn subscribe(&self, kind: Kind, name: &Arc<[u8]>, who: Arc<dyn Subscriber>) {
        let plane = self.plane(kind);
        let mut names = plane.write();
        let listeners = names.entry(Arc::clone(name)).or_default();
        if let Err(place) = listeners.binary_search_by_key(&who.id(), |one| one.id()) {
            listeners.insert(place, who);
        }
        plane.names.store(names.len(), Ordering::Relaxed);
    }

    /// Strikes a listener off. Once this returns it is sent nothing more from there.
    pub fn unsubscribe(&self, kind: Kind, name: &[u8], id: u64) {
        let plane = self.plane(kind);
        let mut names = plane.write();
        let Some(listeners) = names.get_mut(name) else { return };
        if let Ok(place) = listeners.binary_search_by_key(&id, |one| one.id()) {
            listeners.remove(place);
        }
        if listeners.is_empty() {
            names.remove(name);
        }
        plane.names.store(names.len(), Ordering::Relaxed);
    }

    /// Whether nobody listens to channels or patterns.
    #[inline]
    pub fn is_silent(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// Sends a message to whoever listens to the channel or to a pattern that it matches. How many did.
    pub fn publish(&self, channel: &[u8], payload: &[u8], limit: Limit) -> usize {
        let mut reached = 0;
        if !self.channels.is_empty()
            && let Some(listeners) = self.channels.read().get(channel)
        {
            reached += spread(Parts { name: "message", pattern: None, channel, payload }, listeners, limit);
        }
        if !self.patterns.is_empty() {
            for (pattern, listeners) in self.patterns.read().iter() {
                if glob_match(pattern, channel, false) {
                    let parts = Parts { name: "pmessage", pattern: Some(pattern), channel, payload };
                    reached += spread(parts, listeners, limit);
                }
            }
        }
        reached
    }

    /// Sends a message to whoever listens to a sharded channel. How many did.
    pub fn publish_sharded(&self, channel: &[u8], payload: &[u8], limit: Limit) -> usize {
        if self.shards.is_empty() {
            return 0;
        }
        let parts = Parts { name: "smessage", pattern: None, channel, payload };
        self.shards.read().get(channel).map_or(0, |listeners| spread(parts, listeners, limit))
    }

    /// Shows each listener of a kind: what it listens to, and its number.
    pub fn each_listener(&self, kind: Kind, mut show: impl FnMut(&[u8], u64)) {
        for (name, listeners) in self.plane(kind).read().iter() {
            listeners.iter().for_each(|listener| show(name, listener.id()));
        }
    }

    /// Number of names that somebody listens to.
    pub fn count(&self, kind: Kind) -> usize {
        self.plane(kind).names.load(Ordering::Relaxed)
    }

    /// Number of listeners of one name.
    pub fn listeners(&self, kind: Kind, name: &[u8]) -> usize {
        self.plane(kind).read().get(name).map_or(0, Vec::len)
    }

    /// The names that somebody listens to, those that match a pattern if one is given.
    pub fn names(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Arc<[u8]>> {
        let names = self.plane(kind).read();
        let fits = |name: &&Arc<[u8]>| pattern.is_none_or(|pattern| glob_match(pattern, name, false));
        names.keys().filter(fits).cloned().collect()
    }
}

fn spread(parts: Parts<'_>, listeners: &Listeners, limit: Limit) -> usize {
    let message = Message::new(parts);
    listeners.iter().for_each(|listener| listener.deliver(&message, limit));
    listeners.len()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::resp::Protocol;

    struct Ear(u64, Mutex<Vec<u8>>);

    impl Subscriber for Ear {
        fn id(&self) -> u64 {
            self.0
        }
        fn deliver(&self, message: &Message<'_>, _: Limit) {
            self.1.lock().unwrap().extend_from_slice(&message.encoded(Protocol::Resp2));
        }
        fn push(&self, encoded: Bytes, _: Limit) {
            self.1.lock().unwrap().extend_from_slice(&encoded);
        }
    }

    #[test]
    fn a_message_reaches_channels_and_patterns_and_nobody_who_left() {
        let (hub, ear) = (PubSub::default(), Arc::new(Ear(7, Mutex::default())));
        let (channel, pattern): (Arc<[u8]>, Arc<[u8]>) = (Arc::from(&b"news"[..]), Arc::from(&b"n*"[..]));
        hub.subscribe(Kind::Channel, &channel, ear.clone());
        hub.subscribe(Kind::Pattern, &pattern, ear.clone());
        assert_eq!(hub.publish(b"news", b"x", Limit::default()), 2);
        assert_eq!(hub.publish(b"nothing", b"x", Limit::default()), 1);
        assert_eq!(hub.publish_sharded(b"news", b"x", Limit::default()), 0);
        let heard = std::mem::take(&mut *ear.1.lock().unwrap());
        assert!(heard.starts_with(
            b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n"
        ));
        hub.unsubscribe(Kind::Channel, b"news", 7);
        hub.unsubscribe(Kind::Pattern, b"n*", 7);
        assert_eq!(hub.publish(b"news", b"x", Limit::default()), 0);
        assert!(hub.is_silent() && hub.names(Kind::Channel, None).is_empty());
    }
}
