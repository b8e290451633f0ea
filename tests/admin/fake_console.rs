//! What the console asks of a server's insides, as a test wants it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use glasswing::admin::{
    Answer, ChangedSetting, ClientList, ClientOrder, ClientRow, Console, KEPT_NAME, KeyDetails, KeyPage,
    KeyRow, KeyStatistics, Live, LookError, Sampler, Text, UsedKey, UsedMost, UsedShare, WantedClients,
    WantedKeys, id_of,
};

use crate::fake::Fake;

/// A name that a client has chosen to break what shows it.
pub const HOSTILE: &[u8] = b"</script><b onclick=\"x\">'\r\n\x1b[31m\xff\0\xe2\x80\xae";
/// The same as it is shown.
pub const HOSTILE_SHOWN: &str = "</script><b onclick=\"x\">'\\r\\n\\u{1b}[31m\\xff\\0\\u{202e}";

/// Counts how often it is asked.
struct Counted {
    samples: Arc<AtomicU64>,
    now: Arc<AtomicU64>,
    panics: bool,
    padding: usize,
}

impl Sampler for Counted {
    fn sample(&mut self) -> Live {
        assert!(!self.panics, "a planted panic");
        let uptime_s = self.samples.fetch_add(1, Ordering::SeqCst) + 1;
        Live { uptime_s, version: "#".repeat(self.padding), ..Live::default() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

fn key(name: &[u8]) -> KeyRow {
    KeyRow {
        name: Text::keeping(KEPT_NAME, name),
        kind: "list".to_owned(),
        encoding: "quicklist".to_owned(),
        ttl_ms: Some(1500),
        size: 3,
        memory: None,
    }
}

impl Fake {
    fn answer<T: Send + 'static>(&self, answer: Result<T, LookError>) -> Answer<T> {
        if self.held.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(answer))
    }
}

impl Console for Fake {
    fn sampler(&self) -> Box<dyn Sampler> {
        self.samplers.fetch_add(1, Ordering::SeqCst);
        self.samplers_now.fetch_add(1, Ordering::SeqCst);
        Box::new(Counted {
            samples: Arc::clone(&self.samples),
            now: Arc::clone(&self.samplers_now),
            panics: self.panics_in_samples.load(Ordering::SeqCst),
            padding: self.metrics_bytes.load(Ordering::SeqCst) as usize,
        })
    }

    fn clients(&self, wanted: &WantedClients) -> ClientList {
        let row = ClientRow {
            id: 7,
            address: Text::of(b"127.0.0.1:5"),
            name: Text::of(HOSTILE),
            user: Text::of(b"default"),
            library: Text::of(&wanted.holding),
            database: usize::from(wanted.order == ClientOrder::Memory),
            age_s: 60,
            idle_s: 2,
            command: Some("client|list"),
            states: vec!["blocked"],
            memory: 2048,
            waiting: 0,
            worker: 1,
        };
        let clients = vec![row; wanted.count.min(5000)];
        ClientList { connected: 5000, matching: 5000, clients }
    }

    fn close_client(&self, id: u64) -> bool {
        let is_there = id == 7;
        if is_there {
            self.killed.lock().unwrap().push(id);
        }
        is_there
    }

    fn changed_settings(&self) -> Vec<ChangedSetting> {
        let text = str::to_owned;
        vec![ChangedSetting { name: text("port"), value: text("7000"), default: text("6379") }]
    }

    fn key_statistics(&self, top: usize) -> KeyStatistics {
        let share = UsedShare { share: 0.5, share_low: 0.4, share_high: 0.6, per_second: 10.0, writes: 0.25 };
        let name = Text::begin_of(HOSTILE, 512 << 20);
        let key = UsedKey { db: 3, id: id_of(&name), name, share };
        KeyStatistics {
            on: true,
            used: UsedMost { keys: vec![key; top.min(5000)], ..UsedMost::default() },
            found: None,
        }
    }

    fn find_keys(&self, wanted: WantedKeys) -> Answer<KeyPage> {
        if wanted.database > 15 {
            return self.answer(Err(LookError::NoDatabase(16)));
        }
        if wanted.pattern == b"loading" {
            return self.answer(Err(LookError::NotNow("the file is being loaded".to_owned())));
        }
        // What was asked for comes back as a name.
        let asked = format!("{} {:?} {} {}", wanted.database, wanted.kind, wanted.cursor, wanted.count);
        let keys = vec![key(HOSTILE), key(&wanted.pattern), key(asked.as_bytes()), key(&vec![b'k'; 70_000])];
        self.answer(Ok(KeyPage { cursor: u64::MAX, looked_at: 500, keys }))
    }

    fn look_at_key(&self, database: usize, name: Vec<u8>) -> Answer<Option<KeyDetails>> {
        let elements = vec![vec![Text::of(HOSTILE)], vec![Text::of(&[b'v'; 1000])]];
        let found = (database == 2).then(|| KeyDetails { key: key(&name), elements });
        self.answer(Ok(found))
    }
}
