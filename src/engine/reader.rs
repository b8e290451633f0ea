//! Reading from outside: commands that only read, for somebody who is no client (the console).
//!
//! They take every command's way (registry, ladder of refusals, permit, locks, handler), and leave no trace: no
//! figure counts them, no key counts as used, what has expired is not there and is not removed. Their permit is
//! the one behind the workers'. A reader is used by one thread; several on one thread share that permit.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::command::row::Flags;
use crate::command::{Args, KeyAt, Session, keys};
use crate::config::Settings;
use crate::observe::WorkerStats;
use crate::resp::{Encoder, Protocol, Span, Value, ValueDecoder};
use crate::store::Moment;

use super::blocked;
use super::gate::{self, Situation};
use super::shared::Engine;
use super::unit::{self, Ended, Scope};
use super::usage_of;

/// Runs commands that only read.
pub struct Reader {
    engine: Arc<Engine>,
    settings: Arc<Settings>,
    session: Session,
    stats: WorkerStats,
}

impl Reader {
    /// Reads in this database; none when there is no such database.
    pub fn new(engine: Arc<Engine>, database: usize) -> Option<Reader> {
        let mut session = Session::new(blocked::nobody(), true);
        session.database = database;
        session.no_touch = true;
        let (settings, stats) = (engine.config.current(), engine.stats.aside());
        (database < engine.store.databases()).then_some(Reader { engine, settings, session, stats })
    }

    /// Runs one command. Waits while somebody holds the whole keyspace.
    ///
    /// # Errors
    /// The text of the error reply, which is also what a command that may do more than read is answered.
    pub async fn run(&mut self, words: &[&[u8]]) -> Result<Value, String> {
        let engine = Arc::clone(&self.engine);
        let permit = engine.stats.workers();
        loop {
            if engine.status.stopping.load(Ordering::Relaxed) {
                return Err("ERR The server is ending".to_owned());
            }
            if let Some(_permit) = engine.world.try_work(permit) {
                return self.read(words);
            }
            if let Some(busy) = engine.server.scripts().busy() {
                return Err(busy.text().into_owned());
            }
            let _turn = engine.world.passed().await;
            if let Some(_permit) = engine.world.try_work(permit) {
                return self.read(words);
            }
        }
    }

    /// The same with the permit in hand.
    fn read(&mut self, words: &[&[u8]]) -> Result<Value, String> {
        let engine = Arc::clone(&self.engine);
        let (bytes, spans) = laid_out(words);
        let args = Args::new(&bytes, &spans, &[]);
        let second = if args.len() > 1 { Some(args.get(1)) } else { None };
        let Some(index) = engine.registry.resolve_own(args.get(0), second) else {
            return Err(gate::unknown(&engine.registry, &args).1.text().into_owned());
        };
        let registered = engine.registry.get(index);
        let mut found: Vec<KeyAt> = Vec::new();
        let word = |at| args.get(at);
        keys::each(registered.row.keys, args.len(), word, |at, _| {
            found.push(KeyAt { arg: at as u32, hash: engine.store.hash(args.get(at)) });
        });
        let args = Args::new(&bytes, &spans, &found);
        let situation = Situation {
            settings: &self.settings,
            authenticated: true,
            multi: None,
            client: &self.session.client,
            user: None,
            engine: &engine,
            loading: engine.status.loading.load(Ordering::Relaxed),
            out_of_memory: false,
            writes_stopped: false,
            log_failing: false,
            replicas_lacking: false,
        };
        gate::check(registered, registered.row.flags, index, &args, &situation)
            .map_err(|(_, error)| error.text().into_owned())?;
        let flags = registered.row.flags;
        if !flags.has(Flags::READONLY) || flags.has(Flags::TRIES) || engine.registry.is_whole(index, &args) {
            return Err(format!("ERR '{}' may do more than read some keys", registered.full_name));
        }
        let now_ms = engine.clock.unix_ms();
        let moment = Moment { keeps_expired: true, usage: usage_of(&self.settings), ..Moment::at(now_ms) };
        let scope = Scope { stats: &self.stats, ..Scope::new(&engine, 0, &self.settings, moment) };
        let mut out = Encoder::new(Protocol::Resp2);
        if let Ended::Parked(parked) = unit::run(&scope, &mut self.session, &mut out, index, &args) {
            // Nobody is there to wait.
            parked.leave(&engine, moment);
            return Err("ERR nobody is there to wait".to_owned());
        }
        match ValueDecoder::default().decode(out.as_slice()) {
            Ok(Some((Value::Error(text), _))) => Err(String::from_utf8_lossy(&text).into_owned()),
            Ok(Some((value, _))) => Ok(value),
            Ok(None) | Err(_) => Err("ERR no reply".to_owned()),
        }
    }
}

/// Words one behind the other, and where each lies.
fn laid_out(words: &[&[u8]]) -> (Vec<u8>, Vec<Span>) {
    let mut bytes = Vec::new();
    let lay = |word: &&[u8]| {
        let span = Span { start: bytes.len(), len: word.len() };
        bytes.extend_from_slice(word);
        span
    };
    let spans = words.iter().map(lay).collect();
    (bytes, spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::transcript::format_value;
    use crate::engine::testing::Rig;
    use crate::observe::Counter;

    /// Runs a line as it is, without waiting.
    fn read(reader: &mut Reader, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        match runtime.block_on(reader.run(&words)) {
            Ok(value) => format_value(&value, ""),
            Err(text) => format!("(refused) {text}"),
        }
    }

    #[test]
    fn it_reads_and_leaves_no_trace() {
        let mut rig = Rig::new(1);
        let id = rig.connect();
        rig.send(id, "SET a 1 PX 50");
        rig.send(id, "SELECT 3");
        rig.send(id, "RPUSH l x y");
        rig.advance_ms(100_000);
        let engine = Arc::clone(&rig.engine);
        let idle = rig.send(id, "OBJECT IDLETIME l");
        assert_eq!(idle, "(integer) 100");
        let counters =
            || Counter::ALL.iter().map(|&counter| engine.stats.counter(counter)).collect::<Vec<_>>();
        let (before, commands) = (counters(), engine.stats.commands());
        let mut reader = Reader::new(Arc::clone(&engine), 3).expect("a database");
        assert_eq!(read(&mut reader, "LRANGE l 0 -1"), "1) \"x\"\n2) \"y\"");
        assert_eq!(read(&mut reader, "TYPE l"), "list");
        assert_eq!(read(&mut reader, "OBJECT ENCODING l"), "\"quicklist\"");
        assert_eq!(read(&mut reader, "SCAN 0 MATCH * COUNT 100"), "1) \"0\"\n2) 1) \"l\"");
        let mut first = Reader::new(Arc::clone(&engine), 0).expect("a database");
        assert_eq!(read(&mut first, "GET a"), "(nil)");
        assert_eq!(read(&mut first, "SCAN 0"), "1) \"0\"\n2) (empty array)");
        assert_eq!((counters(), engine.stats.commands()), (before, commands));
        // The expired key is still where it was.
        assert_eq!(engine.store.counts(0).keys, 1);
        assert_eq!(rig.send(id, "OBJECT IDLETIME l"), idle);
    }

    #[test]
    fn it_does_nothing_but_read() {
        let mut rig = Rig::new(2);
        let id = rig.connect();
        rig.send(id, "SET a 1");
        let mut reader = Reader::new(Arc::clone(&rig.engine), 0).expect("a database");
        for line in [
            "SET a 2",
            "DEL a",
            "FLUSHALL",
            "KEYS *",
            "EVAL return 0",
            "EVAL_RO x 0",
            "CONFIG GET port",
            "MULTI",
        ] {
            assert!(read(&mut reader, line).starts_with("(refused) ERR"), "{line}");
        }
        assert!(read(&mut reader, "NOSUCH a").contains("unknown command"));
        assert!(read(&mut reader, "LRANGE a 0 -1").starts_with("(refused) WRONGTYPE"));
        assert_eq!(read(&mut reader, "GET a"), "\"1\"");
        assert!(Reader::new(Arc::clone(&rig.engine), 16).is_none());
    }

    #[test]
    fn it_waits_for_who_holds_the_keyspace_and_is_refused_while_the_server_loads() {
        let rig = Rig::new(1);
        let engine = Arc::clone(&rig.engine);
        let mut reader = Reader::new(Arc::clone(&engine), 0).expect("a database");
        let whole = engine.world.whole_blocking();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let words: [&[u8]; 2] = [b"GET", b"a"];
            let mut read = std::pin::pin!(reader.run(&words));
            let first = std::future::poll_fn(|cx| std::task::Poll::Ready(read.as_mut().poll(cx))).await;
            assert!(first.is_pending());
            drop(whole);
            assert_eq!(read.await, Ok(Value::Null));
        });
        engine.status.loading.store(true, Ordering::SeqCst);
        assert!(read(&mut reader, "GET a").starts_with("(refused) LOADING"));
        engine.status.stopping.store(true, Ordering::SeqCst);
        assert!(read(&mut reader, "GET a").contains("ending"));
    }
}
