//! What the slow log and MONITOR get to see of what workers run.

use crate::config::{ProtectedAction, Settings};
use crate::observe::Stage;
use crate::store::Moment;

use super::testing::{Id, Rig};

/// A rig with these settings, two clients, and a listener that monitors when asked to.
fn rig(settings: &[(&str, &str)]) -> (Rig, Id, Id) {
    let with_debug = Settings { enable_debug_command: ProtectedAction::Yes, ..Settings::default() };
    let mut rig = Rig::with(2, with_debug);
    let pairs: Vec<_> = settings.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    rig.engine.config.set(&pairs, &mut |_, _, _| Ok(())).expect("known settings");
    let (one, other) = (rig.connect(), rig.connect());
    (rig, one, other)
}

/// The slow log's commands, the oldest first.
fn logged(rig: &Rig) -> Vec<String> {
    let mut entries = rig.engine.stats.slow_log().latest(100);
    entries.reverse();
    let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
    entries.iter().map(|entry| entry.arguments.iter().map(text).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_slow_command_is_logged_with_its_client_and_a_quick_one_is_not() {
    let (mut rig, one, _) = rig(&[("slowlog-log-slower-than", "5000"), ("latency-monitor-threshold", "6")]);
    rig.send(one, "CLIENT SETNAME me");
    rig.send(one, "DEBUG SLEEP 0.004");
    rig.send(one, "DEBUG SLEEP 0.005");
    rig.send(one, "DEBUG SLEEP 0.006");
    assert_eq!(logged(&rig), ["DEBUG SLEEP 0.005", "DEBUG SLEEP 0.006"]);
    let last = &rig.engine.stats.slow_log().latest(1)[0];
    assert_eq!((last.duration_us, &last.client_name[..], &last.peer[..]), (6_000, &b"me"[..], "?:0"));
    assert_eq!((last.stages.lock_wait_ns, last.stages.run_ns), (0, 6_000_000));
    let spikes = rig.engine.stats.spikes().of(b"command").expect("a slow event");
    assert_eq!((spikes.worst_ms, spikes.samples.len()), (6, 1));
}

#[test]
fn zero_logs_everything_and_minus_one_nothing() {
    let (mut rig, one, other) = rig(&[("slowlog-log-slower-than", "0")]);
    rig.send(one, "MULTI");
    rig.send(one, "SET k v");
    rig.send(one, "EXEC");
    rig.send(one, "BLPOP l 0");
    assert_eq!(logged(&rig), ["MULTI", "SET k v"], "neither EXEC nor who waits");
    rig.send(other, "LPUSH l v");
    assert_eq!(logged(&rig)[2..], ["BLPOP l 0", "LPUSH l v"]);
    assert_eq!(rig.send(other, "CONFIG SET slowlog-log-slower-than -1"), "OK");
    rig.send(other, "GET k");
    assert_eq!(logged(&rig).len(), 4, "CONFIG SET itself is under what it has set");
    assert_eq!(rig.send(other, "CONFIG SET slowlog-log-slower-than 0"), "OK");
    assert_eq!(logged(&rig)[4..], ["CONFIG SET slowlog-log-slower-than 0"]);
}

#[test]
fn a_blocked_command_that_is_unblocked_is_logged_once_with_what_it_ran_and_one_whose_time_is_up_is_not() {
    let (mut rig, one, _) = rig(&[("slowlog-log-slower-than", "0")]);
    rig.send(one, "BLPOP l 1");
    rig.advance_ms(1_001);
    assert!(logged(&rig).is_empty());
    rig.send(one, "BLPOP l 0");
    rig.unpark(one, Some("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
    assert_eq!(logged(&rig), ["BLPOP l 0"]);
    assert_eq!(rig.engine.stats.slow_log().latest(1)[0].duration_us, 0);
}

#[test]
fn in_a_pipeline_each_command_has_its_own_time() {
    let (mut rig, one, _) = rig(&[]);
    rig.send(one, "SET k v");
    let before = rig.engine.stats.stage(Stage::Run).count();
    (0..8).for_each(|_| rig.sends_on(one, "GET k"));
    rig.sends_on(one, "DEBUG SLEEP 0.02");
    (0..6).for_each(|_| rig.sends_on(one, "GET k"));
    assert_eq!(rig.send(one, "GET k").lines().count(), 16);
    let stats = &rig.engine.stats;
    let of = |name: &str| {
        let index = stats.names().iter().position(|other| *other == name).expect("a command");
        let latency = stats.latency(index).expect("it was called");
        (latency.count(), latency.sum_nanos(), latency.percentile(100.0))
    };
    assert_eq!(of("get"), (15, 0, 0));
    let (calls, nanos, _) = of("debug");
    assert_eq!((calls, nanos), (1, 20_000_000));
    let run = stats.stage(Stage::Run);
    assert_eq!((run.count() - before, run.sum_nanos()), (16, 20_000_000));
}

#[test]
fn what_a_transaction_runs_is_a_part_of_its_own_stage() {
    let (mut rig, one, _) = rig(&[]);
    for line in ["MULTI", "SET k v", "DEBUG SLEEP 0.005", "EXEC", "GET"] {
        rig.send(one, line);
    }
    // MULTI and EXEC: what is queued has not run, and what is refused runs never.
    let run = rig.engine.stats.stage(Stage::Run);
    assert_eq!((run.count(), run.sum_nanos()), (2, 5_000_000));
}

#[test]
fn a_wait_for_a_lock_is_measured_where_there_was_one() {
    let (mut rig, one, _) = rig(&[]);
    rig.send(one, "SET k v");
    let waits = |rig: &Rig| rig.engine.stats.stage(Stage::LockWait);
    assert_eq!(waits(&rig).count(), 0, "every lock was free");
    let store = &rig.engine.store;
    let view = store.view_one(Moment::at(rig.engine.clock.unix_ms()), 0, store.hash(b"k"));
    let before = store.lock_waits();
    let mut beside = rig.beside(1);
    beside.connect();
    let waiting = std::thread::spawn(move || beside.send(0, "GET k"));
    while store.lock_waits() == before && !waiting.is_finished() {
        std::thread::yield_now();
    }
    drop(view);
    assert_eq!(waiting.join().ok().as_deref(), Some("\"v\""));
    let measured = waits(&rig);
    assert_eq!(measured.count(), 1);
    assert!(measured.sum_nanos() > 0);
    let groups = store.lock_waits();
    assert_eq!(groups.iter().map(|group| group.waits).sum::<u64>(), 1);
    assert_eq!(groups.iter().map(|group| group.nanos).sum::<u64>(), measured.sum_nanos());
}

/// What a monitor sees while the other client sends these lines, without times and addresses.
fn seen(lines: &[&str]) -> Vec<String> {
    let (mut rig, eye, other) = rig(&[]);
    assert_eq!(rig.send(eye, "MONITOR"), "OK");
    lines.iter().for_each(|line| drop(rig.send(other, line)));
    let text = rig.read(eye);
    text.lines().filter_map(|line| Some(line.split_once("] ")?.1.to_owned())).collect()
}

#[test]
fn a_monitor_sees_each_command_once_in_its_order() {
    assert_eq!(seen(&["SET k \"a b\"", "NOSUCH", "GET"]), [r#""SET" "k" "a b""#]);
    assert_eq!(
        seen(&["MULTI", "SET k v", "INCR n", "EXEC"]),
        [r#""MULTI""#, r#""SET" "k" "v""#, r#""INCR" "n""#, r#""EXEC""#]
    );
    assert_eq!(seen(&["BLPOP l 0"]), [r#""BLPOP" "l" "0""#]);
}

#[test]
fn a_monitor_sees_no_secret_and_no_administration() {
    assert_eq!(
        seen(&["CONFIG GET port", "AUTH u p", "SLOWLOG LEN", "MIGRATE h 1 k 0 9 AUTH p"]).first().cloned(),
        Some(r#""AUTH" "(redacted)" "(redacted)""#.to_owned())
    );
}

#[test]
fn a_monitor_sees_what_its_own_connection_sends_next() {
    let (mut rig, eye, _) = rig(&[]);
    rig.send(eye, "MONITOR");
    assert!(rig.send(eye, "PING").contains("PONG"));
    assert!(rig.read(eye).contains("PING"));
    assert!(rig.send(eye, "GET k").contains("(error) ERR Replica can't interact with the keyspace"));
    rig.send(eye, "RESET");
    rig.send(eye, "PING");
    assert_eq!(rig.read(eye), "");
}
