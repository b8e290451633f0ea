//! A script that takes long: its own worker and all others go on answering, and it can be ended. And one that has to
//! wait, or is refused, by what it says of itself.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Client, Launch, Server, until};
use glasswing::command::transcript::format_value;
use nix::sys::signal::Signal;

const BUSY: &str =
    "(error) BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const BUSY_FUNCTION: &str =
    "(error) BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

fn started(workers: &str) -> Server {
    Launch::new().with(&["--workers", workers, "--busy-reply-threshold", "20"]).start()
}

/// The next reply, as redis-cli shows it.
fn answer(client: &mut Client) -> String {
    format_value(&client.reply().unwrap(), "")
}

/// Sends until the server answers that it is busy.
fn until_busy(client: &mut Client, busy: &str) {
    while client.line("PING") != busy {}
}

#[test]
fn a_script_is_killed_from_its_own_worker() {
    for workers in ["1", "2"] {
        let server = started(workers);
        let (mut caller, mut other) = (server.client(), server.client());
        for script in [
            "while true do end",
            "while true do pcall(function() while true do end end) end",
            "while true do redis.pcall('GET', 'k') end",
            "local c = coroutine.wrap(function() while true do end end) c()",
            "table.sort({1, 2, 3}, function(a, b) while true do end end)",
            "string.gsub('aaa', 'a', function() while true do end end)",
        ] {
            caller.send(&["EVAL", script, "1", "k"]);
            until_busy(&mut other, BUSY);
            assert_eq!(other.line("FUNCTION KILL"), BUSY);
            assert_eq!(other.line("FUNCTION STATS"), BUSY);
            // What is allowed meanwhile, and a connection that comes meanwhile.
            let mut third = server.client();
            assert_eq!(third.line("MULTI"), "OK");
            assert_eq!(third.line("SET k v"), BUSY);
            assert_eq!(
                third.line("EXEC"),
                format!("(error) EXECABORT Transaction discarded because of: {}", &BUSY[8..])
            );
            assert_eq!(third.line("SCRIPT KILL"), "OK");
            let reply = answer(&mut caller);
            assert!(reply.starts_with("(error) ERR ") && reply.contains("Script killed by user"), "{reply}");
            assert_eq!(other.line("PING"), "PONG");
            assert_eq!(other.line("SCRIPT KILL"), "(error) NOTBUSY No scripts in execution right now.");
            // The state is as good as new.
            assert_eq!(
                caller.line("EVAL \"local n = 0 for i = 1, 300000 do n = n + 1 end return n\" 0"),
                "(integer) 300000"
            );
        }
    }
}

#[test]
fn a_function_is_killed_by_its_own_command() {
    let server = started("1");
    let (mut caller, mut other) = (server.client(), server.client());
    caller.call(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=l\nredis.register_function('f', function() while true do end end)",
    ]);
    caller.send(&["FCALL", "f", "0"]);
    until_busy(&mut other, BUSY_FUNCTION);
    assert_eq!(other.line("SCRIPT KILL"), BUSY_FUNCTION);
    let stats = other.line("FUNCTION STATS");
    assert!(stats.contains("\"f\"") && stats.contains("duration_ms"), "{stats}");
    assert_eq!(other.line("FUNCTION KILL"), "OK");
    assert!(answer(&mut caller).contains("Script killed by user"));
}

#[test]
fn a_script_that_has_written_is_not_killed() {
    let server = started("1");
    let (mut caller, mut other) = (server.client(), server.client());
    let script = "redis.call('SET', KEYS[1], 1) for i = 1, 30000000 do end return redis.call('GET', KEYS[1])";
    caller.send(&["EVAL", script, "1", "k"]);
    until_busy(&mut other, BUSY);
    assert!(other.line("SCRIPT KILL").starts_with("(error) UNKILLABLE "));
    // Nobody sees it half done, and it goes on to its end.
    assert_eq!(other.line("GET k"), BUSY);
    assert_eq!(answer(&mut caller), "\"1\"");
    assert_eq!(other.line("GET k"), "\"1\"");
}

#[test]
fn a_busy_transaction_is_answered_for_too() {
    let server = started("1");
    let (mut caller, mut other) = (server.client(), server.client());
    caller.line("MULTI");
    caller.call(&["EVAL", "while true do end", "0"]);
    caller.send(&["EXEC"]);
    until_busy(&mut other, BUSY);
    assert_eq!(other.line("SCRIPT KILL"), "OK");
    assert!(answer(&mut caller).contains("Script killed by user"));
}

#[test]
fn the_server_ends_though_a_script_has_written_and_does_not() {
    let mut server = started("1");
    let (mut caller, mut other) = (server.client(), server.client());
    caller.send(&["EVAL", "redis.call('SET', 'k', 1) while true do end", "0"]);
    until_busy(&mut other, BUSY);
    assert!(other.line("SCRIPT KILL").starts_with("(error) UNKILLABLE "));
    other.send(&["SHUTDOWN", "NOSAVE"]);
    assert!(server.ended().0.success());
}

/// Waits until so many clients are held back.
fn until_held_back(client: &mut Client, count: usize) {
    until("so many clients are held back", || client.info("blocked_clients") == count.to_string());
}

const READS: &str = "#!lua flags=no-writes\nreturn redis.call('GET', 'k')";
const WRITES: &str = "#!lua\nreturn redis.call('GET', 'k')";
const SILENT: &str = "return redis.call('GET', 'k')";

#[test]
fn while_writes_are_paused_a_script_waits_unless_it_says_that_it_only_reads() {
    let server = started("2");
    let (mut me, mut other) = (server.client(), server.client());
    me.line("SET k v");
    let code = "#!lua name=lib\nredis.register_function{function_name='reads', callback=function() return 'f' end, \
                flags={'no-writes'}}";
    me.call(&["FUNCTION", "LOAD", code]);
    let kept = [READS, WRITES].map(|script| match me.call(&["SCRIPT", "LOAD", script]) {
        Some(value) => format_value(&value, "").trim_matches('"').to_owned(),
        None => panic!("no reply"),
    });
    assert_eq!(me.line("CLIENT PAUSE 1000000 WRITE"), "OK");
    let mut answered = |words: &[&str]| format_value(&me.call(words).unwrap(), "");
    assert_eq!(answered(&["EVAL", READS, "0"]), "\"v\"");
    assert_eq!(answered(&["EVAL_RO", SILENT, "0"]), "\"v\"");
    assert_eq!(answered(&["EVALSHA", &kept[0], "0"]), "\"v\"");
    assert_eq!(answered(&["FCALL", "READS", "0"]), "\"f\"");
    answered(&["MULTI"]);
    assert_eq!(answered(&["EVAL", READS, "0"]), "QUEUED");
    assert_eq!(answered(&["EXEC"]), "1) \"v\"");
    let mut held: Vec<Client> =
        [&["EVAL", WRITES, "0"][..], &["EVAL", SILENT, "0"], &["EVALSHA", &kept[1], "0"]]
            .map(|words| {
                let mut client = server.client();
                client.send(words);
                client
            })
            .into();
    until_held_back(&mut other, 3);
    assert_eq!(other.line("CLIENT UNPAUSE"), "OK");
    held.iter_mut().for_each(|client| assert_eq!(answer(client), "\"v\""));
}

#[test]
fn a_script_that_is_run_again_with_the_whole_keyspace_has_not_failed() {
    let server = started("1");
    let mut me = server.client();
    let mut answered = |words: &[&str]| format_value(&me.call(words).unwrap(), "");
    assert_eq!(answered(&["EVAL", "return redis.call('INCR', 'undeclared')", "0"]), "(integer) 1");
    let code = "#!lua name=lib\nredis.register_function('f', function() return redis.call('INCR', 'undeclared') end)";
    answered(&["FUNCTION", "LOAD", code]);
    assert_eq!(answered(&["FCALL", "f", "0"]), "(integer) 2");
    let stats = answered(&["INFO", "everything"]);
    let of = |name: &str| stats.split("\\r\\n").find(|line| line.starts_with(name)).unwrap().to_owned();
    for name in ["cmdstat_eval:calls=1,", "cmdstat_fcall:calls=1,", "cmdstat_incr:calls=2,"] {
        assert!(of(name).ends_with("rejected_calls=0,failed_calls=0"), "{stats}");
    }
}

#[test]
fn a_script_is_refused_by_what_it_says_of_itself() {
    let server = started("1");
    let mut me = server.client();
    me.line("SET k v");
    me.line("CONFIG SET min-replicas-to-write 1");
    let mut answered = |words: &[&str]| format_value(&me.call(words).unwrap(), "");
    let lacking = "(error) NOREPLICAS Not enough good replicas to write.";
    assert_eq!(answered(&["EVAL", READS, "0"]), "\"v\"");
    assert_eq!(answered(&["EVAL", SILENT, "0"]), "\"v\"");
    assert_eq!(answered(&["EVAL", WRITES, "0"]), lacking);
    let writes = answered(&["EVAL", "return redis.call('SET', 'k', 1)", "0"]);
    assert!(writes.starts_with(lacking), "{writes}");
    answered(&["CONFIG", "RESETSTAT"]);
    answered(&["CONFIG", "SET", "min-replicas-to-write", "0", "maxmemory", "1"]);
    let full = "(error) OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(answered(&["EVAL", READS, "0"]), "\"v\"");
    assert_eq!(answered(&["EVAL", WRITES, "0"]), full);
    assert_eq!(answered(&["EVAL", "#!lua flags=allow-oom\nreturn redis.call('SET', 'k', 1)", "0"]), "OK");
    let stats = answered(&["INFO", "commandstats"]);
    assert!(stats.contains("cmdstat_set:calls=1,"), "{stats}");
    // What it answers as an error counts as one, once.
    answered(&["CONFIG", "RESETSTAT"]);
    assert_eq!(answered(&["EVAL", "return redis.error_reply('MINE words')", "0"]), "(error) MINE words");
    let script = "return redis.pcall('SET', 'k', 1)";
    assert_eq!(answered(&["EVAL", script, "0"]), full);
    let stats = answered(&["INFO", "everything"]);
    for line in ["errorstat_MINE:count=1", "errorstat_OOM:count=1", "total_error_replies:2"] {
        assert!(stats.contains(line), "{line}: {stats}");
    }
    let of = |name: &str| stats.split("\\r\\n").find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(of("cmdstat_eval:calls=2").ends_with("rejected_calls=0,failed_calls=2"), "{stats}");
    assert!(of("cmdstat_set:calls=0").ends_with("rejected_calls=1,failed_calls=0"), "{stats}");
}

/// What a script has done that was ended in the middle of its writes is no state to save.
#[test]
fn who_insists_on_the_end_saves_no_half_of_a_script() {
    for insists in ["signal", "command"] {
        let launch = Launch::new().with(&["--save", "3600 1", "--busy-reply-threshold", "20"]);
        let mut server = launch.start();
        let (mut caller, mut other) = (server.client(), server.client());
        caller.send(&["EVAL", "redis.call('SET', 'half', '1') while true do end", "0"]);
        until_busy(&mut other, BUSY);
        server.signal(Signal::SIGTERM);
        assert!(server.log_says("User requested shutdown..."));
        if insists == "signal" {
            server.signal(Signal::SIGINT);
        } else {
            other.send(&["SHUTDOWN", "NOSAVE"]);
        }
        let (_, log) = server.ended();
        assert!(!launch.file("glasswing.snapshot").exists(), "{insists}: {log:?}");
    }
}
