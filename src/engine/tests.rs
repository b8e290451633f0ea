//! What only the engine can show of transactions, refusals and replies: whole requests through a worker.

use std::sync::Arc;

use super::{ClientTable, Connection, Engine, Next, Worker};
use crate::clock::Clock;
use crate::command::Registry;
use crate::command::client::{Address, Client};
use crate::command::testing::FakeServer;
use crate::config::{Config, Secret, Settings};
use crate::engine::world::World;
use crate::observe::Stats;
use crate::store::{KeyHasher, Store, StoreOptions};

/// One worker and the connections that a test opens.
struct Bench {
    worker: Worker,
    clock: Clock,
}

impl Bench {
    fn new(settings: Settings) -> Bench {
        let registry = Arc::new(Registry::new());
        let clock = Clock::manual();
        let client = Arc::new(Client::new(0, Address::Internal, Address::Internal, -1, 0, 0));
        let config = Config::from_settings(settings);
        let options = StoreOptions { databases: 16, shards: 16 };
        let server = FakeServer::new(config.clone(), clock.clone(), client, &registry);
        let engine = Engine {
            store: Arc::new(Store::with_hasher(&options, KeyHasher::with_key(&[3; 16]))),
            stats: Arc::new(Stats::new(1, &registry.names())),
            registry,
            config,
            clock: clock.clone(),
            clients: Arc::new(ClientTable::new(1)),
            world: Arc::new(World::new(1)),
            status: Engine::status(),
            tracer: crate::observe::trace::Tracer::off(),
            usage: super::usage::Watched::new(1),
            log: Arc::new(super::log::NoLog),
            server,
        };
        Bench { worker: Worker::new(Arc::new(engine), 0), clock }
    }

    fn connect(&self) -> Connection {
        let clients = &self.worker.engine().clients;
        let id = clients.next_id();
        let client = Arc::new(Client::new(id, Address::Internal, Address::Internal, -1, 0, 0));
        clients.add(Arc::clone(&client));
        Connection::new(client, self.worker.engine().server.acl())
    }

    /// Sends inline commands, one a line, and gives the replies and why the worker stopped.
    fn run(&mut self, connection: &mut Connection, lines: &str) -> (String, Next) {
        let input: String = lines.lines().map(|line| format!("{}\r\n", line.trim())).collect();
        let (mut out, mut at) = (Vec::new(), 0);
        loop {
            let ran = self.worker.run(connection, &input.as_bytes()[at..], &mut out, false);
            at += ran.consumed;
            if ran.next != Next::Again {
                let text = String::from_utf8(out).expect("text");
                return (text.replace("\r\n", " ").trim_end().to_owned(), ran.next);
            }
        }
    }

    fn say(&mut self, connection: &mut Connection, lines: &str) -> String {
        self.run(connection, lines).0
    }
}

fn bench() -> (Bench, Connection) {
    let bench = Bench::new(Settings::default());
    let connection = bench.connect();
    (bench, connection)
}

#[test]
fn a_queue_runs_in_order_and_across_databases() {
    let (mut bench, mut me) = bench();
    let replies =
        bench.say(&mut me, "MULTI\nSET a 1\nSELECT 1\nGET a\nSET a 2\nINCR a\nEXEC\nGET a\nSELECT 0\nGET a");
    assert_eq!(replies, "+OK +QUEUED +QUEUED +QUEUED +QUEUED +QUEUED *5 +OK +OK $-1 +OK :3 $1 3 +OK $1 1");
}

#[test]
fn a_client_sees_its_transaction_while_it_runs() {
    let (mut bench, mut me) = bench();
    let replies = bench.say(&mut me, "MULTI\nPING\nCLIENT INFO\nEXEC");
    assert!(replies.contains(" flags=x ") && replies.contains(" multi=2 "), "{replies}");
    let replies = bench.say(&mut me, "CLIENT INFO");
    assert!(replies.contains(" flags=N ") && replies.contains(" multi=-1 "), "{replies}");
}

#[test]
fn a_refused_command_spoils_the_transaction() {
    let (mut bench, mut me) = bench();
    let replies = bench.say(&mut me, "MULTI\nNOSUCH\nSET a 1\nEXEC\nGET a");
    assert_eq!(
        replies,
        "+OK -ERR unknown command 'NOSUCH', with args beginning with:  +QUEUED -EXECABORT Transaction discarded \
         because of previous errors. $-1"
    );
    assert!(me.session.multi.is_none());
}

#[test]
fn errors_of_control_commands_do_not_spoil_it() {
    let (mut bench, mut me) = bench();
    let replies = bench.say(&mut me, "MULTI\nMULTI\nWATCH a\nSET a 1\nEXEC");
    assert_eq!(
        replies,
        "+OK -ERR MULTI calls can not be nested -ERR WATCH inside MULTI is not allowed +QUEUED *1 +OK"
    );
}

#[test]
fn a_refused_exec_ends_the_transaction() {
    let (mut bench, mut me) = bench();
    let replies = bench.say(&mut me, "WATCH a\nMULTI\nSET a 1\nEXEC now\nEXEC\nGET a");
    assert_eq!(
        replies,
        "+OK +OK +QUEUED -EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command \
         -ERR EXEC without MULTI $-1"
    );
    assert!(me.session.watched.is_empty());
}

#[test]
fn an_exec_that_fails_is_a_failed_call() {
    let (mut bench, mut me) = bench();
    bench.say(&mut me, "MULTI\nAUTH a\nEXEC");
    let engine = Arc::clone(bench.worker.engine());
    let counts = |name: &str| {
        let totals = engine.stats.command(engine.registry.find(name.as_bytes()).expect("a command"));
        (totals.calls, totals.rejected, totals.failed)
    };
    assert_eq!((counts("EXEC"), counts("AUTH")), ((1, 0, 0), (1, 0, 1)));
    bench.say(&mut me, "EXEC");
    assert_eq!(counts("EXEC"), (2, 0, 1));
    bench.say(&mut me, "MULTI\nSET\nEXEC");
    assert_eq!((counts("EXEC"), counts("SET")), ((3, 0, 2), (0, 1, 0)));
    let errors = engine.stats.errors();
    assert_eq!((errors.get("ERR"), errors.get("EXECABORT")), (Some(&3), Some(&1)));
}

#[test]
fn an_unknown_subcommand_is_no_call_of_its_container() {
    let (mut bench, mut me) = bench();
    assert!(bench.say(&mut me, "CLIENT NOSUCH\nCLIENT").starts_with("-ERR unknown subcommand 'NOSUCH'."));
    let engine = bench.worker.engine();
    let totals = engine.stats.command(engine.registry.find(b"CLIENT").expect("a command"));
    assert_eq!((totals.calls, totals.rejected), (0, 1), "the one without a subcommand");
}

#[test]
fn exec_is_refused_for_what_it_would_do() {
    let (mut bench, mut me) = bench();
    bench.say(&mut me, "MULTI\nSET a 1");
    let status = Arc::clone(&bench.worker.engine().status);
    status.writes_stopped.store(true, std::sync::atomic::Ordering::Relaxed);
    let reply = bench.say(&mut me, "EXEC");
    assert!(reply.starts_with("-EXECABORT Transaction discarded because of: MISCONF Redis"), "{reply}");
    assert!(bench.say(&mut me, "PING").starts_with("-MISCONF"));
    assert_eq!(bench.say(&mut me, "MULTI\nGET a\nEXEC"), "+OK +QUEUED *1 $-1");
}

#[test]
fn a_watched_key_stops_exec() {
    let (mut bench, mut me) = bench();
    let mut other = bench.connect();
    bench.say(&mut me, "WATCH a\nMULTI\nGET a");
    bench.say(&mut other, "SET a 1");
    assert_eq!(bench.say(&mut me, "EXEC\nMULTI\nGET a\nEXEC"), "*-1 +OK +QUEUED *1 $1 1");
}

#[test]
fn a_key_that_had_expired_before_it_was_swapped_in_is_no_change() {
    let (mut bench, mut me) = bench();
    let mut whole = |connection: &mut Connection, line: &str| {
        let mut out = Vec::new();
        bench.worker.run(connection, format!("{line}\r\n").as_bytes(), &mut out, true);
        (String::from_utf8(out).expect("text"), bench.clock.advance_ms(2)).0
    };
    // What is watched is absent and replaced by stale, stale by stale, alive by stale, absent by alive.
    for (before, exec) in [
        (&["SELECT 0", "SET x a PX 1", "SELECT 1"][..], "*1\r\n+PONG\r\n"),
        (&["SELECT 0", "SET x a PX 1", "SELECT 1", "SET x b PX 1"][..], "*1\r\n+PONG\r\n"),
        (&["SELECT 0", "SET x a PX 1", "SELECT 1", "SET x b"][..], "*-1\r\n"),
        (&["SELECT 0", "SET x a", "SELECT 1"][..], "*-1\r\n"),
    ] {
        for line in before {
            whole(&mut me, line);
        }
        for line in ["WATCH x", "SWAPDB 0 1", "MULTI", "PING"] {
            whole(&mut me, line);
        }
        assert_eq!(whole(&mut me, "EXEC"), exec, "{before:?}");
        whole(&mut me, "FLUSHALL");
    }
}

#[test]
fn watches_end_with_unwatch_discard_and_reset_only() {
    let (mut bench, mut me) = bench();
    let mut other = bench.connect();
    for (ends, stopped) in
        [("UNWATCH", false), ("MULTI\nDISCARD", false), ("RESET", false), ("DISCARD", true)]
    {
        bench.say(&mut me, &format!("WATCH a\n{ends}"));
        bench.say(&mut other, "INCR a");
        let replies = bench.say(&mut me, "MULTI\nPING\nEXEC");
        assert_eq!(replies.ends_with("*-1"), stopped, "{ends}: {replies}");
        assert!(me.session.watched.is_empty());
    }
}

#[test]
fn an_unwatch_in_a_queue_is_no_order_for_later() {
    let (mut bench, mut me) = bench();
    bench.say(&mut me, "MULTI\nUNWATCH\nEXEC\nWATCH a\nDISCARD");
    assert_eq!(me.session.watched.len(), 1);
}

#[test]
fn who_has_not_authenticated_may_only_say_who_they_are() {
    let settings = Settings { requirepass: Secret::from(&b"foobar"[..]), ..Settings::default() };
    let mut bench = Bench::new(settings);
    let mut me = bench.connect();
    let refused = "-NOAUTH Authentication required.";
    for command in ["PING", "GET a", "MULTI", "CLIENT ID", "COMMAND", "SELECT 1"] {
        assert_eq!(bench.say(&mut me, command), refused, "{command}");
    }
    // What cannot run at all is said first.
    assert!(bench.say(&mut me, "NOSUCH").starts_with("-ERR unknown command"));
    assert!(bench.say(&mut me, "GET").starts_with("-ERR wrong number of arguments"));
    assert!(bench.say(&mut me, "HELLO 3").starts_with("-NOAUTH HELLO must be called"));
    assert_eq!(bench.say(&mut me, "RESET"), "+RESET");
    assert_eq!(bench.say(&mut me, "AUTH foobar\nPING"), "+OK +PONG");
    assert_eq!(bench.say(&mut me, "RESET\nPING"), format!("+RESET {refused}"));
    assert_eq!(bench.run(&mut me, "QUIT\nPING"), ("+OK".to_owned(), Next::Close));
}

#[test]
fn a_client_sees_itself_in_the_list() {
    let (mut bench, mut me) = bench();
    assert_eq!(bench.say(&mut me, "CLIENT NO-TOUCH ON"), "+OK");
    assert!(bench.say(&mut me, "MULTI\nCLIENT LIST").ends_with("+QUEUED"));
    let client = Arc::clone(&me.session.client);
    assert_eq!(client.query_used.load(std::sync::atomic::Ordering::Relaxed), 0);
    bench.say(&mut me, "DISCARD");
    let input = b"*2\r\n$6\r\nclient\r\n$4\r\ninfo\r\n";
    let mut out = Vec::new();
    bench.worker.run(&mut me, input, &mut out, false);
    let line = String::from_utf8(out).expect("text");
    assert!(line.contains(" flags=T db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=26 "), "{line}");
    assert!(line.contains(" argv-mem=10 multi-mem=0 "), "{line}");
    assert!(line.contains(" events=r cmd=client|info user=default redir=-1 resp=2"), "{line}");
    for line in ["CLIENT NOSUCH", "NOSUCH"] {
        bench.say(&mut me, line);
        let last = me.session.client.last_command.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(last, usize::MAX, "{line}: as in Redis, there was no command");
    }
}

#[test]
fn replies_can_be_turned_off() {
    let (mut bench, mut me) = bench();
    assert_eq!(bench.say(&mut me, "CLIENT REPLY OFF\nPING\nNOSUCH\nCLIENT REPLY ON"), "+OK");
    assert_eq!(bench.say(&mut me, "CLIENT REPLY SKIP\nPING one\nPING"), "+PONG");
    assert_eq!(bench.say(&mut me, "CLIENT REPLY OFF\nPING\nRESET\nPING"), "+RESET +PONG");
}

#[test]
fn what_a_command_changes_holds_for_plain_ones_of_the_same_batch() {
    let (mut bench, mut me) = bench();
    assert_eq!(
        bench.say(&mut me, "SET a 1\nCLIENT REPLY OFF\nSET a 2\nGET a\nCLIENT REPLY ON\nGET a"),
        "+OK +OK $1 2"
    );
    assert_eq!(
        bench.say(&mut me, "GET a\nMULTI\nSET a 3\nGET\nDISCARD\nINCR a"),
        "$1 2 +OK +QUEUED -ERR wrong number of arguments for 'get' command +OK :3"
    );
    let status = Arc::clone(&bench.worker.engine().status);
    status.writes_stopped.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(bench.say(&mut me, "GET a\nINCR a\nGET a").starts_with("$1 3 -MISCONF Redis is configured"));
}

#[test]
fn a_pause_is_neither_shortened_nor_weakened() {
    use crate::command::ports::{Clients, Pause};
    let (bench, _) = bench();
    let clients = &bench.worker.engine().clients;
    let now = bench.clock.unix_ms();
    clients.pause(true, now + 100);
    clients.pause(false, now + 10);
    assert_eq!(clients.paused(now + 50), Some(Pause::All));
    clients.pause(false, now + 20);
    assert_eq!(clients.paused(now + 99), Some(Pause::All));
    assert_eq!(clients.paused(now + 100), None);
    clients.pause(true, now + 500);
    assert_eq!(clients.paused(now + 400), Some(Pause::Writes));
    clients.unpause();
    assert_eq!(clients.paused(now), None);
}

#[test]
fn a_write_is_held_back_before_it_is_queued() {
    use crate::command::ports::Clients;
    let (mut bench, mut me) = bench();
    let until = bench.clock.unix_ms() + 1_000;
    bench.say(&mut me, "MULTI");
    bench.worker.engine().clients.pause(true, until);
    assert_eq!(bench.run(&mut me, "GET a"), ("+QUEUED".to_owned(), Next::Input(0)));
    assert_eq!(bench.run(&mut me, "SET a 1"), (String::new(), Next::Paused));
    bench.worker.engine().clients.unpause();
    assert_eq!(bench.say(&mut me, "SET a 1"), "+QUEUED");
}

#[test]
fn what_expires_during_a_pause_is_absent_and_goes_after_it() {
    use crate::command::ports::Clients;
    let (mut bench, mut me) = bench();
    let mut other = bench.connect();
    let engine = Arc::clone(bench.worker.engine());
    let kept = || engine.store.counts(0).keys;
    bench.say(&mut me, "SET k v PX 10");
    engine.clients.pause(true, bench.clock.unix_ms() + 10_000);
    bench.clock.advance_ms(11);
    assert_eq!(bench.say(&mut me, "GET k\nEXISTS k\nSCAN 0"), "$-1 :0 *2 $1 0 *0");
    assert_eq!(bench.run(&mut other, "SET k w NX").1, Next::Paused);
    assert_eq!(kept(), 1);
    engine.clients.unpause();
    assert_eq!(bench.say(&mut me, "GET k"), "$-1");
    assert_eq!(kept(), 0);
}
