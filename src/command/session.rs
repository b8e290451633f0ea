//! The state of one connection that commands read and change.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::acl::{Acl, User};
use crate::observe::trace::Caller;
use crate::pubsub::{Kind, PubSub};
use crate::resp::Span;
use crate::store::WatchFlag;

use super::client::{Client, ClientFlag};
use super::row::Flags;
use super::tracking::Caching;

/// What CLIENT REPLY has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    /// Replies are sent.
    #[default]
    On,
    /// None is sent.
    Off,
    /// The next command's reply is not sent.
    SkipNext,
    /// This command's reply is not sent.
    Skip,
}

impl ReplyMode {
    /// Whether what is written now is not sent.
    #[inline]
    pub fn is_silent(self) -> bool {
        matches!(self, ReplyMode::Off | ReplyMode::Skip)
    }
}

/// A queued command of a transaction: its request and where its arguments lie in it.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The request's bytes.
    pub request: Bytes,
    /// The arguments' places in it.
    pub spans: Box<[Span]>,
    /// Index in the registry.
    pub command: usize,
}

/// An open MULTI.
#[derive(Clone, Debug)]
pub struct Multi {
    /// What EXEC will run.
    pub queue: Vec<Queued>,
    /// A command was refused while queueing: EXEC will refuse all.
    pub refused: bool,
    /// Flags that any queued command has.
    pub flags: Flags,
    /// Flags that any queued command lacks.
    pub lacks: Flags,
}

impl Default for Multi {
    fn default() -> Multi {
        Multi { queue: Vec::new(), refused: false, flags: Flags::NONE, lacks: Flags::NONE }
    }
}

/// The channels and patterns that a connection listens to.
#[derive(Debug, Default)]
pub struct Subscriptions {
    channels: BTreeSet<Arc<[u8]>>,
    patterns: BTreeSet<Arc<[u8]>>,
    shards: BTreeSet<Arc<[u8]>>,
}

impl Subscriptions {
    fn of(&mut self, kind: Kind) -> &mut BTreeSet<Arc<[u8]>> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// All names of a kind.
    pub fn names(&self, kind: Kind) -> Vec<Arc<[u8]>> {
        let set = match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        };
        set.iter().cloned().collect()
    }

    /// The count that a confirmation shows: sharded channels are counted by themselves.
    pub fn shown(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
            Kind::Shard => self.shards.len(),
        }
    }

    fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shards.is_empty()
    }
}

/// What one channel or pattern costs the client that listens to it: its name and a place in a set.
fn subscription_bytes(name: &[u8]) -> usize {
    name.len() + 4 * size_of::<Arc<[u8]>>()
}

/// One connection's state.
#[derive(Debug)]
pub struct Session {
    /// The record shared with the rest of the server.
    pub client: Arc<Client>,
    /// The selected database.
    pub database: usize,
    /// Whether the password was given, or none is needed.
    pub authenticated: bool,
    /// Whether it has logged in, or did not need to when it connected.
    pub logged_in: bool,
    /// Whose rights it has. `None` is the server itself, which may do everything.
    pub user: Option<Arc<User>>,
    /// Whether its user may not do everything: the one look of the hot path.
    pub restricted: bool,
    /// The generation of the table of users from which `user` is.
    pub acl_generation: u64,
    /// An open MULTI.
    pub multi: Option<Box<Multi>>,
    /// Watched keys with their database's number.
    pub watched: Vec<(usize, Box<[u8]>)>,
    /// Raised when a watched key changes; made by the first WATCH.
    pub watch_flag: Option<Arc<WatchFlag>>,
    /// A command has asked that all watched keys be forgotten once it is over.
    pub forgets_watches: bool,
    /// What it listens to.
    pub subscriptions: Subscriptions,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// CLIENT NO-TOUCH: what it reads does not count as used.
    pub no_touch: bool,
    /// CLIENT TRACKING: what it reads it may cache.
    pub tracking: Option<Box<Caching>>,
    /// CLIENT TRACEPARENT: in whose trace the next command is, or the transaction. Never there while traces are off.
    pub caller: Option<Box<Caller>>,
}

impl Session {
    /// A fresh connection: of the default user, if that needs no password.
    pub fn connected(client: Arc<Client>, acl: &Acl) -> Session {
        let mut session = Session::new(client, true);
        session.start_over(acl);
        session
    }

    /// Becomes the default user again, as a fresh connection is.
    pub fn start_over(&mut self, acl: &Acl) {
        self.acl_generation = acl.generation();
        let user = Arc::clone(acl.table().default_user());
        self.logged_in = user.is_open();
        self.authenticated = self.logged_in;
        self.be(user);
    }

    /// Logs in.
    pub fn log_in(&mut self, user: Arc<User>) {
        self.logged_in = true;
        self.authenticated = true;
        self.be(user);
    }

    fn be(&mut self, user: Arc<User>) {
        self.restricted = !user.is_unrestricted();
        if self.user.as_ref().is_none_or(|known| known.id() != user.id()) {
            self.client.user_id.store(user.id(), Ordering::Relaxed);
            self.client.edit_text(|text| text.user = user.name().to_vec());
        }
        self.user = Some(user);
    }

    /// Fetches the user anew after a change of the table. Whose user is gone is nobody any more, and its
    /// connection ends.
    #[cold]
    pub fn refresh_user(&mut self, acl: &Acl) {
        let Some(user) = &self.user else { return };
        // The number first: a change in between is seen the next time.
        self.acl_generation = acl.generation();
        let table = acl.table();
        match table.get(user.name()) {
            Some(now) if now.id() == user.id() => {
                self.authenticated = self.logged_in || table.default_user().is_open();
                self.be(Arc::clone(now));
            }
            _ => {
                self.be(Arc::clone(table.default_user()));
                (self.logged_in, self.authenticated) = (false, false);
                if !self.client.has(ClientFlag::CloseAfterReply) {
                    self.client.kill();
                }
            }
        }
    }

    /// The user whose rights are to be asked for, unless it may do everything.
    #[inline]
    pub fn restricted_user(&self) -> Option<&User> {
        if self.restricted { self.user.as_deref() } else { None }
    }

    /// A connection of the server's own, which may do everything.
    pub fn new(client: Arc<Client>, authenticated: bool) -> Session {
        Session {
            client,
            database: 0,
            authenticated,
            logged_in: authenticated,
            user: None,
            restricted: false,
            acl_generation: 0,
            multi: None,
            watched: Vec::new(),
            watch_flag: None,
            forgets_watches: false,
            subscriptions: Subscriptions::default(),
            reply_mode: ReplyMode::On,
            no_touch: false,
            tracking: None,
            caller: None,
        }
    }

    /// Begins to listen.
    pub fn subscribe(&mut self, hub: &PubSub, kind: Kind, name: &Arc<[u8]>) {
        if self.subscriptions.of(kind).insert(Arc::clone(name)) {
            self.client.subscribed_bytes.fetch_add(subscription_bytes(name), Ordering::Relaxed);
            self.note_subscriptions();
            hub.subscribe(kind, name, Arc::clone(&self.client) as _);
        }
    }

    /// Listens no longer.
    pub fn unsubscribe(&mut self, hub: &PubSub, kind: Kind, name: &Arc<[u8]>) {
        if self.subscriptions.of(kind).remove(name) {
            self.client.subscribed_bytes.fetch_sub(subscription_bytes(name), Ordering::Relaxed);
            hub.unsubscribe(kind, name, self.client.id);
            self.note_subscriptions();
        }
    }

    /// Listens to nothing any more, and says nothing about it.
    pub fn forget_subscriptions(&mut self, hub: &PubSub) {
        if self.subscriptions.is_empty() {
            return;
        }
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            for name in std::mem::take(self.subscriptions.of(kind)) {
                hub.unsubscribe(kind, &name, self.client.id);
            }
        }
        self.client.subscribed_bytes.store(0, Ordering::Relaxed);
        self.note_subscriptions();
    }

    /// Sees the commands of others no longer.
    pub fn stop_monitoring(&self, hub: &PubSub) {
        if self.client.has(ClientFlag::Monitor) {
            hub.monitors().remove(self.client.id);
            self.client.set(ClientFlag::Monitor, false);
        }
    }

    /// Whether its replies look like messages: it listens, and speaks RESP2.
    pub fn listens_in_resp2(&self) -> bool {
        self.client.has(ClientFlag::Subscriber) && !self.client.has(ClientFlag::Resp3)
    }

    /// Tells the shared record how much is watched.
    pub fn note_watched(&self) {
        let bytes: usize =
            self.watched.iter().map(|(_, key)| key.len() + size_of::<(usize, Box<[u8]>)>()).sum();
        self.client.watched.store(self.watched.len(), Ordering::Relaxed);
        self.client.watched_bytes.store(bytes, Ordering::Relaxed);
    }

    fn note_subscriptions(&self) {
        let (client, now) = (&self.client, &self.subscriptions);
        client.channels.store(now.channels.len(), Ordering::Relaxed);
        client.patterns.store(now.patterns.len(), Ordering::Relaxed);
        client.shard_channels.store(now.shards.len(), Ordering::Relaxed);
        client.set(ClientFlag::Subscriber, !now.is_empty());
    }

    /// Selects a database.
    pub fn select(&mut self, number: usize) {
        self.database = number;
        self.client.database.store(number, std::sync::atomic::Ordering::Relaxed);
    }

    /// Opens a MULTI.
    pub fn begin_multi(&mut self) {
        self.multi = Some(Box::default());
        self.client.set(ClientFlag::InMulti, true);
        self.note_queue(0, 0);
    }

    /// Closes the MULTI and gives it out.
    pub fn end_multi(&mut self) -> Option<Box<Multi>> {
        self.show_multi(None);
        self.multi.take()
    }

    /// Says in CLIENT LIST whether a transaction is open or runs, and of how many commands.
    pub fn show_multi(&self, queued: Option<usize>) {
        self.client.set(ClientFlag::InMulti, queued.is_some());
        self.client.set(ClientFlag::DirtyTransaction, false);
        let plus_one = queued.map_or(0, |queued| queued + 1);
        self.client.queued_plus_one.store(plus_one, std::sync::atomic::Ordering::Relaxed);
        self.client.queued_bytes.store(0, std::sync::atomic::Ordering::Relaxed);
    }

    /// Queues a command whose row has these flags.
    pub fn queue(&mut self, queued: Queued, flags: Flags) {
        let Some(multi) = &mut self.multi else { return };
        let bytes = queued.request.len();
        multi.queue.push(queued);
        multi.flags = multi.flags | flags;
        multi.lacks = multi.lacks | Flags(!flags.0);
        let length = multi.queue.len();
        self.note_queue(length, bytes);
    }

    fn note_queue(&self, length: usize, more_bytes: usize) {
        self.client.queued_plus_one.store(length + 1, std::sync::atomic::Ordering::Relaxed);
        self.client.queued_bytes.fetch_add(more_bytes, std::sync::atomic::Ordering::Relaxed);
    }

    /// A queued command was refused: EXEC will refuse all.
    pub fn refuse_multi(&mut self) {
        if let Some(multi) = &mut self.multi {
            multi.refused = true;
            self.client.set(ClientFlag::DirtyTransaction, true);
        }
    }

    /// The flag that watched keys raise, made when first needed.
    pub fn watch_flag(&mut self) -> Arc<WatchFlag> {
        if self.watch_flag.is_none() {
            let flag = Arc::<WatchFlag>::default();
            self.client.set_watch(&flag);
            self.watch_flag = Some(flag);
        }
        Arc::clone(self.watch_flag.get_or_insert_default())
    }

    /// Whether a watched key has changed.
    pub fn is_watch_broken(&self) -> bool {
        self.watch_flag.as_ref().is_some_and(|flag| flag.is_raised())
    }
}
