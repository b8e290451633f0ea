//! Client-side caching: which clients hear of which changes, and how they are told.
//!
//! The store remembers who has read which key ([`Stale`]). Here is who wants to hear of all keys with a prefix, and the
//! way from what has become stale to the clients' mailboxes. What a client's own command made stale is told behind the
//! command's reply: a reply that was under way when the key changed never comes after the message that it did.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::config::OutputLimits;
use crate::pubsub::Limit;
use crate::resp::{Encoder, Protocol};
use crate::store::{By, Key, KeyHash, Stale};

use super::client::{Client, ClientFlag};
use super::ports::Clients;
use super::session::Session;
use super::{Args, Context};

/// Where a client that speaks RESP2 hears of changes for another one.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// The flags that CLIENT TRACKING sets.
const FLAGS: [ClientFlag; 4] =
    [ClientFlag::Tracks, ClientFlag::TracksPrefixes, ClientFlag::IgnoresOwn, ClientFlag::BrokenRedirect];

/// A connection's part, while it tracks: what its own worker alone needs to know.
#[derive(Debug, Default)]
pub struct Caching {
    /// Only reads that follow CLIENT CACHING YES are remembered.
    pub opt_in: bool,
    /// Reads that follow CLIENT CACHING NO are not remembered.
    pub opt_out: bool,
    /// CLIENT CACHING was the last command.
    pub is_given: bool,
    /// The keys that the script that runs has declared: they count as read once a call of its reads anything.
    pub declared: Vec<(Box<[u8]>, KeyHash)>,
    /// The prefixes of BCAST.
    pub prefixes: BTreeSet<Box<[u8]>>,
}

impl Caching {
    /// Whether what is read now is remembered.
    pub fn remembers(&self) -> bool {
        !(self.opt_in && !self.is_given || self.opt_out && self.is_given)
    }
}

/// Remembers that the connection has read the keys of a command, if it tracks. Their locks are still held.
pub fn remember(ctx: &mut Context<'_>, args: &Args<'_>) {
    let Some(reader) = reader(ctx.session) else { return };
    for key in args.keys() {
        ctx.view.track(Key { bytes: args.get(key.arg as usize), hash: key.hash }, reader);
    }
}

/// The same of a script's call: its own keys, and those that the script has declared.
pub fn remember_call(ctx: &mut Context<'_>, args: &Args<'_>) {
    let Some(reader) = reader(ctx.session) else { return };
    remember(ctx, args);
    let Some(caching) = &ctx.session.tracking else { return };
    for (key, hash) in &caching.declared {
        // A script may have turned to another database, where it holds other locks.
        if ctx.view.covers(*hash) {
            ctx.view.track(Key { bytes: key, hash: *hash }, reader);
        }
    }
}

/// The connection tracks no longer.
pub fn stop(ctx: &mut Context<'_>) {
    if ctx.server.tracking().disable(ctx.session) {
        ctx.view.listen_to_changes(false);
    }
}

/// As whom the connection's reads are remembered, if they are.
fn reader(session: &Session) -> Option<u64> {
    let caching = session.tracking.as_ref()?;
    let client = &session.client;
    (caching.remembers() && !client.has(ClientFlag::TracksPrefixes)).then_some(client.id)
}

/// What CLIENT TRACKING ON asks for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// REDIRECT; 0 without it.
    pub redirect: u64,
    /// PREFIX.
    pub prefixes: Vec<Box<[u8]>>,
    /// BCAST.
    pub broadcast: bool,
    /// OPTIN.
    pub opt_in: bool,
    /// OPTOUT.
    pub opt_out: bool,
    /// NOLOOP.
    pub ignores_own: bool,
}

/// The client whose unit made something stale.
pub struct Own<'a> {
    /// Its id.
    pub id: u64,
    /// Where its reply stands, to be followed by what it has to hear; nothing where its replies are not sent.
    pub out: Option<&'a mut Encoder>,
}

impl Own<'_> {
    /// It was no client's.
    pub const NOBODY: Own<'static> = Own { id: 0, out: None };
}

/// Who listens to which prefix.
#[derive(Debug, Default)]
struct Listeners {
    by_prefix: HashMap<Box<[u8]>, Vec<Arc<Client>>>,
    /// How many prefixes there are of each length: a key is looked up once for each, however many there are.
    lengths: BTreeMap<usize, usize>,
}

impl Listeners {
    fn add(&mut self, client: &Arc<Client>, prefix: Box<[u8]>) {
        let length = prefix.len();
        let clients = self.by_prefix.entry(prefix).or_default();
        if clients.is_empty() {
            *self.lengths.entry(length).or_default() += 1;
        }
        clients.push(Arc::clone(client));
    }

    fn remove(&mut self, client: &Client, prefix: &[u8]) {
        let Some(clients) = self.by_prefix.get_mut(prefix) else { return };
        clients.retain(|other| other.id != client.id);
        if !clients.is_empty() {
            return;
        }
        self.by_prefix.remove(prefix);
        if let Some(count) = self.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// The prefixes of a key that somebody listens to, the shortest first.
    fn prefixes_of<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [Arc<Client>])> {
        self.lengths.range(..=key.len()).filter_map(|(&length, _)| {
            let (prefix, clients) = self.by_prefix.get_key_value(&key[..length])?;
            Some((&**prefix, &**clients))
        })
    }
}

/// Everybody who tracks.
#[derive(Debug, Default)]
pub struct Tracking {
    clients: AtomicUsize,
    listeners: RwLock<Listeners>,
    prefixes: AtomicUsize,
}

impl Tracking {
    /// How many clients track.
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// How many prefixes anybody listens to.
    pub fn prefixes(&self) -> usize {
        self.prefixes.load(Ordering::Relaxed)
    }

    /// A connection tracks from now on, or does so in another way. Whether it has begun to listen to prefixes.
    pub fn enable(&self, session: &mut Session, wanted: Wanted) -> bool {
        let client = &session.client;
        if session.tracking.is_none() {
            self.clients.fetch_add(1, Ordering::Relaxed);
        }
        let listened = client.has(ClientFlag::TracksPrefixes);
        let caching = session.tracking.get_or_insert_default();
        (caching.opt_in, caching.opt_out) = (wanted.opt_in, wanted.opt_out);
        client.redirect.store(wanted.redirect, Ordering::Relaxed);
        client.set(ClientFlag::BrokenRedirect, false);
        client.set(ClientFlag::IgnoresOwn, wanted.ignores_own);
        client.set(ClientFlag::TracksPrefixes, wanted.broadcast);
        client.set(ClientFlag::Tracks, true);
        if wanted.broadcast {
            let every = wanted.prefixes.is_empty().then(Box::default);
            for prefix in wanted.prefixes.into_iter().chain(every) {
                if caching.prefixes.insert(prefix.clone()) {
                    client.prefix_bytes.fetch_add(prefix_bytes(&prefix), Ordering::Relaxed);
                    self.listen(client, prefix);
                }
            }
        }
        wanted.broadcast && !listened
    }

    /// A connection tracks no longer. Whether it has listened to prefixes.
    pub fn disable(&self, session: &mut Session) -> bool {
        let Some(caching) = session.tracking.take() else { return false };
        let client = &session.client;
        let listened = client.has(ClientFlag::TracksPrefixes);
        caching.prefixes.iter().for_each(|prefix| self.ignore(client, prefix));
        FLAGS.into_iter().for_each(|flag| client.set(flag, false));
        client.redirect.store(0, Ordering::Relaxed);
        client.prefix_bytes.store(0, Ordering::Relaxed);
        self.clients.fetch_sub(1, Ordering::Relaxed);
        listened
    }

    fn listen(&self, client: &Arc<Client>, prefix: Box<[u8]>) {
        // A panic elsewhere leaves the maps valid.
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        listeners.add(client, prefix);
        self.prefixes.store(listeners.by_prefix.len(), Ordering::Relaxed);
    }

    fn ignore(&self, client: &Client, prefix: &[u8]) {
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        listeners.remove(client, prefix);
        self.prefixes.store(listeners.by_prefix.len(), Ordering::Relaxed);
    }

    /// Whether anybody listens to a prefix of the key.
    pub fn hears_of(&self, key: &[u8]) -> bool {
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        listeners.prefixes_of(key).next().is_some()
    }

    /// Tells whoever may have it cached, or listens, what one unit made stale. The unit still holds its locks.
    pub fn tell(&self, clients: &dyn Clients, limits: &OutputLimits, stale: &[Stale], own: Own<'_>) {
        if self.clients() == 0 {
            return;
        }
        let mut telling = Telling { clients, limits, own };
        for one in stale {
            match one {
                Stale::Key { key, readers, .. } => telling.readers(key, readers),
                Stale::All => telling.everybody(),
            }
        }
        if self.prefixes() > 0 {
            let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
            telling.listeners(&listeners, stale);
        }
    }
}

/// What one prefix costs the client that listens to it: its name here and in the table of listeners, and a place in each.
fn prefix_bytes(prefix: &[u8]) -> usize {
    2 * (prefix.len() + size_of::<Box<[u8]>>()) + size_of::<Vec<Arc<Client>>>() + size_of::<Arc<Client>>()
}

/// What is told: its bytes are made once for all who hear it.
struct Told<'a> {
    what: What<'a>,
    push: OnceCell<Bytes>,
    message: OnceCell<Bytes>,
}

/// What it says.
#[derive(Clone, Copy)]
enum What<'a> {
    Keys(&'a [&'a [u8]]),
    All,
}

impl<'a> Told<'a> {
    fn new(what: What<'a>) -> Told<'a> {
        Told { what, push: OnceCell::new(), message: OnceCell::new() }
    }

    /// For a client that speaks RESP3.
    fn push(&self) -> Bytes {
        let encode = || {
            let mut out = self.encoder(Protocol::Resp3);
            out.push(2);
            out.bulk(b"invalidate");
            self.write(out)
        };
        self.push.get_or_init(encode).clone()
    }

    /// For one that listens and speaks RESP2.
    fn message(&self) -> Bytes {
        let encode = || {
            let mut out = self.encoder(Protocol::Resp2);
            out.array(3);
            out.bulk(b"message");
            out.bulk(CHANNEL);
            self.write(out)
        };
        self.message.get_or_init(encode).clone()
    }

    /// With room for all of it and hardly more: it may wait in many mailboxes, and memory is short when keys are
    /// evicted, each of which is told of.
    fn encoder(&self, protocol: Protocol) -> Encoder {
        const AROUND_ALL: usize = 80;
        const AROUND_A_KEY: usize = 16;
        let keys: &[&[u8]] = match self.what {
            What::Keys(keys) => keys,
            What::All => &[],
        };
        let room = keys.iter().map(|key| key.len() + AROUND_A_KEY).sum::<usize>();
        Encoder::with_buffer(Vec::with_capacity(AROUND_ALL + room), protocol)
    }

    fn write(&self, mut out: Encoder) -> Bytes {
        match self.what {
            What::Keys(keys) => {
                out.array(keys.len());
                keys.iter().for_each(|key| out.bulk(key));
            }
            What::All => out.null(),
        }
        out.into_vec().into()
    }
}

/// The keys of a prefix that have changed, and who was the last to change each.
type Changed<'a> = BTreeMap<&'a [u8], By>;

struct Telling<'a> {
    clients: &'a dyn Clients,
    limits: &'a OutputLimits,
    own: Own<'a>,
}

impl Telling<'_> {
    fn ignores(&self, client: &Client) -> bool {
        client.id == self.own.id && client.has(ClientFlag::IgnoresOwn)
    }

    /// Tells those who have read a key. Who has changed over to prefixes meanwhile hears by these.
    fn readers(&mut self, key: &[u8], readers: &[u64]) {
        let keys = [key];
        let told = Told::new(What::Keys(&keys));
        for &id in readers {
            let Some(client) = self.clients.find(id) else { continue };
            let hears = client.has(ClientFlag::Tracks) && !client.has(ClientFlag::TracksPrefixes);
            if hears && !self.ignores(&client) {
                self.send(&client, &told);
            }
        }
    }

    fn everybody(&mut self) {
        let told = Told::new(What::All);
        for client in self.clients.all().iter().filter(|client| client.has(ClientFlag::Tracks)) {
            self.send(client, &told);
        }
    }

    /// Tells those who listen to prefixes, all keys of one in one message.
    fn listeners(&mut self, listeners: &Listeners, stale: &[Stale]) {
        let mut changed: BTreeMap<&[u8], (&[Arc<Client>], Changed<'_>)> = BTreeMap::new();
        for one in stale {
            let Stale::Key { key, by, .. } = one else { continue };
            for (prefix, clients) in listeners.prefixes_of(key) {
                changed.entry(prefix).or_insert((clients, Changed::new())).1.insert(key, *by);
            }
        }
        changed.values().for_each(|(clients, keys)| self.listeners_of_one(clients, keys));
    }

    fn listeners_of_one(&mut self, clients: &[Arc<Client>], changed: &Changed<'_>) {
        let all: Vec<&[u8]> = changed.keys().copied().collect();
        let by_nobody: Vec<&[u8]> =
            changed.iter().filter(|(_, by)| **by == By::Nobody).map(|(key, _)| *key).collect();
        let (all, by_nobody) = (Told::new(What::Keys(&all)), Told::new(What::Keys(&by_nobody)));
        for client in clients {
            if !self.ignores(client) {
                self.send(client, &all);
            } else if changed.values().any(|by| *by == By::Nobody) {
                self.send(client, &by_nobody);
            }
        }
    }

    /// Tells a client, or whom it has named for that.
    fn send(&mut self, client: &Arc<Client>, told: &Told<'_>) {
        let redirect = client.redirect.load(Ordering::Relaxed);
        if redirect == 0 {
            // RESP2 has no messages between replies.
            if client.has(ClientFlag::Resp3) {
                self.deliver(client, told.push());
            }
            return;
        }
        let Some(other) = self.clients.find(redirect) else {
            client.set(ClientFlag::BrokenRedirect, true);
            if client.has(ClientFlag::Resp3) {
                self.deliver(client, broken(redirect));
            }
            return;
        };
        if other.has(ClientFlag::Resp3) {
            self.deliver(&other, told.push());
        } else if other.has(ClientFlag::Subscriber) {
            self.deliver(&other, told.message());
        }
    }

    fn deliver(&mut self, client: &Arc<Client>, encoded: Bytes) {
        match &mut self.own.out {
            Some(out) if client.id == self.own.id => out.raw(&encoded),
            _ => {
                // Whatever its class: what others do must not pile up for it without a bound.
                let bounds = self.limits.pubsub;
                let limit = Limit { hard_bytes: bounds.hard_bytes, soft_bytes: bounds.soft_bytes };
                client.send_message(encoded, limit);
                self.clients.count_anew(client);
            }
        }
    }
}

fn broken(redirect: u64) -> Bytes {
    let mut out = Encoder::new(Protocol::Resp3);
    out.push(2);
    out.bulk(b"tracking-redir-broken");
    out.int(redirect.cast_signed());
    out.into_vec().into()
}
