//! The server as the console sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::admin::{
    Answer, ChangedSetting, ClientList, ClientOrder, ClientRow, Console, KeyDetails, KeyPage, KeyStatistics,
    LookError, Sampler, Text, WantedClients, WantedKeys,
};
use crate::command::client::{Client, ClientFlag};
use crate::command::ports::Clients as _;
use crate::engine::reader::Reader;

use super::control::Admin;
use super::host::Host;
use super::key_search;
use super::live::LiveSampler;

impl Console for Admin {
    fn sampler(&self) -> Box<dyn Sampler> {
        Box::new(LiveSampler::new(Arc::clone(&self.0)))
    }

    fn clients(&self, wanted: &WantedClients) -> ClientList {
        clients(&self.0, wanted)
    }

    fn close_client(&self, id: u64) -> bool {
        let client = self.0.clients.find(id);
        client.inspect(|client| client.kill()).is_some()
    }

    fn changed_settings(&self) -> Vec<ChangedSetting> {
        let changed = self.0.config.differing().into_iter();
        changed
            .map(|setting| ChangedSetting {
                name: setting.name.to_owned(),
                value: setting.value,
                default: setting.default,
            })
            .collect()
    }

    fn key_statistics(&self, top: usize) -> KeyStatistics {
        super::usage::statistics(&self.0, top)
    }

    fn find_keys(&self, wanted: WantedKeys) -> Answer<KeyPage> {
        let reader = reader(&self.0, wanted.database);
        Box::pin(async move { key_search::find(reader?, &wanted).await })
    }

    fn look_at_key(&self, database: usize, name: Vec<u8>) -> Answer<Option<KeyDetails>> {
        let reader = reader(&self.0, database);
        Box::pin(async move { key_search::look(reader?, &name).await })
    }
}

fn reader(host: &Host, database: usize) -> Result<Reader, LookError> {
    let Some(engine) = host.append_only.engine.get() else {
        return Err(LookError::NotNow("the server is starting".to_owned()));
    };
    Reader::new(Arc::clone(engine), database).ok_or(LookError::NoDatabase(host.store.databases()))
}

/// Flags of a client with what they are called.
const STATES: [(ClientFlag, &str); 9] = [
    (ClientFlag::Replica, "replica"),
    (ClientFlag::Monitor, "monitor"),
    (ClientFlag::Subscriber, "subscriber"),
    (ClientFlag::Blocked, "blocked"),
    (ClientFlag::Paused, "paused"),
    (ClientFlag::InMulti, "in MULTI"),
    (ClientFlag::NoEvict, "no-evict"),
    (ClientFlag::CloseAfterReply, "closing"),
    (ClientFlag::Killed, "closing"),
];

fn clients(host: &Host, wanted: &WantedClients) -> ClientList {
    let mut all = host.clients.all();
    let connected = all.len();
    let holding = wanted.holding.to_ascii_lowercase();
    all.retain(|client| holding.is_empty() || shows(host, client, &holding));
    let matching = all.len();
    match wanted.order {
        ClientOrder::Id => {}
        ClientOrder::Idle => all.sort_by_cached_key(|client| client.active_ms.load(Ordering::Relaxed)),
        ClientOrder::Memory => all.sort_by_cached_key(|client| std::cmp::Reverse(client.memory())),
    }
    let now_ms = host.clock.unix_ms();
    let rows = all.iter().take(wanted.count).map(|client| row(host, client, now_ms)).collect();
    ClientList { connected, matching, clients: rows }
}

/// Whether what is shown of a client holds this, which is in lower case.
fn shows(host: &Host, client: &Client, holding: &[u8]) -> bool {
    let within = |text: &[u8]| {
        text.len() >= holding.len()
            && text.windows(holding.len()).any(|part| part.eq_ignore_ascii_case(holding))
    };
    let text = client.text();
    within(client.address.to_string().as_bytes())
        || [&text.name, &text.user, &text.library].into_iter().any(|text| within(text))
        || command_of(host, client).is_some_and(|name| within(name.as_bytes()))
}

fn command_of(host: &Host, client: &Client) -> Option<&'static str> {
    let index = client.last_command.load(Ordering::Relaxed);
    (index != usize::MAX).then(|| host.registry.get(index).full_name)
}

fn row(host: &Host, client: &Client, now_ms: u64) -> ClientRow {
    let text = client.text();
    let mut library = text.library;
    if !text.library_version.is_empty() {
        library.push(b' ');
        library.extend_from_slice(&text.library_version);
    }
    let seconds_since = |then_ms: u64| now_ms.saturating_sub(then_ms) / 1_000;
    ClientRow {
        id: client.id,
        address: Text::of(client.address.to_string().as_bytes()),
        name: Text::of(&text.name),
        user: Text::of(&text.user),
        library: Text::of(&library),
        database: client.database.load(Ordering::Relaxed),
        age_s: seconds_since(client.created_ms),
        idle_s: seconds_since(client.active_ms.load(Ordering::Relaxed)),
        command: command_of(host, client),
        states: STATES.iter().filter(|(flag, _)| client.has(*flag)).map(|(_, name)| *name).collect(),
        memory: client.memory(),
        waiting: client.waiting_bytes(),
        worker: client.worker,
    }
}
