//! Every counter of the server: merged, reset and read by several threads.

use super::counters::{Counter, Refusal, Stage};
use super::instant::Rates;
use super::stats::{CommandTotals, Stats};
use super::worker::{BATCH_BUCKETS, WorkerStats};

#[test]
fn changes_wait_for_a_save_and_never_fall_below_none() {
    let stats = Stats::new(2, &["get"]);
    stats.worker(0).add(Counter::Changes, 4);
    stats.worker(1).add(Counter::Changes, 3);
    stats.reset();
    assert_eq!(stats.unsaved_changes(), 7);
    stats.changes_saved(5);
    assert_eq!(stats.unsaved_changes(), 2);
    // FLUSHALL when the save was too far to be given up.
    stats.no_unsaved_changes();
    stats.changes_saved(5);
    assert_eq!(stats.unsaved_changes(), 0);
    stats.worker(0).add(Counter::Changes, 1);
    assert_eq!(stats.unsaved_changes(), 1);
}

const GET: usize = 0;
const SET: usize = 1;

fn stats() -> Stats {
    Stats::new(2, &["get", "set", "client|list"])
}

#[test]
fn workers_are_merged() {
    let stats = stats();
    stats.worker(0).record(GET, 1_000);
    stats.worker(1).record(GET, 3_000);
    stats.worker(1).failed(GET);
    stats.worker(1).rejected(SET);
    let get = CommandTotals { calls: 2, nanos: 4_000, failed: 1, rejected: 0 };
    let set = CommandTotals { rejected: 1, ..CommandTotals::default() };
    assert_eq!(stats.commands(), [(GET, get), (SET, set)]);
    let latency = stats.latency(GET).expect("get was called");
    assert_eq!((latency.count(), latency.sum_nanos()), (2, 4_000));
    assert!(stats.latency(SET).is_none());
    assert_eq!(stats.latencies().len(), 1);
}

#[test]
fn counters_add_up_with_the_outside() {
    let stats = stats();
    stats.worker(0).add(Counter::ExpiredKeys, 2);
    stats.worker(1).incr(Counter::ExpiredKeys);
    stats.outside().add(Counter::ExpiredKeys, 10);
    assert_eq!(stats.counter(Counter::ExpiredKeys), 13);
    assert_eq!(stats.worker_counter(0, Counter::ExpiredKeys), 2);
    assert_eq!(stats.worker_counter(7, Counter::ExpiredKeys), 0);
    stats.worker(0).refused(Refusal::Arity);
    stats.outside().refused(Refusal::Arity);
    assert_eq!(stats.refusals(Refusal::Arity), 2);
    assert_eq!(stats.refusals(Refusal::NoAuth), 0);
}

#[test]
fn what_sweeps_meet_is_a_share_that_follows_slowly() {
    let stats = stats();
    assert_eq!(stats.stale_share(), 0.0);
    (0..200).for_each(|_| (0..2).for_each(|worker| stats.worker(worker).swept(25, 100)));
    assert!((stats.stale_share() - 0.25).abs() < 1e-4, "{}", stats.stale_share());
    stats.worker(0).swept(0, 0);
    assert!(stats.worker(0).stale_share() < stats.worker(1).stale_share());
}

#[test]
fn the_outside_may_be_written_by_many() {
    let stats = stats();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| stats.outside().incr(Counter::ExpiredKeys)));
        }
    });
    assert_eq!(stats.counter(Counter::ExpiredKeys), 40_000);
}

#[test]
fn errors_are_counted_by_code() {
    let stats = stats();
    stats.worker(0).error("ERR syntax error");
    stats.worker(1).error("ERR no such key");
    stats.outside().error("WRONGTYPE Operation against a key");
    assert_eq!(stats.counter(Counter::ErrorReplies), 3);
    let errors: Vec<_> = stats.errors().into_iter().collect();
    assert_eq!(errors, [("ERR".into(), 2), ("WRONGTYPE".into(), 1)]);
}

#[test]
fn batches_fall_into_powers_of_two() {
    let stats = stats();
    for size in [0, 1, 2, 3, 4, 5, 1024, 1025, 1 << 40] {
        stats.worker(size as usize % 2).batch(size, 10);
    }
    assert_eq!(stats.batch_sizes(), [2, 1, 2, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(stats.counter(Counter::Batches), 9);
    assert_eq!(stats.counter(Counter::BusyNanos), 90);
}

#[test]
fn stages_are_counted_with_their_time() {
    let stats = stats();
    stats.worker(0).stage(Stage::LockWait, 100);
    stats.worker(1).stage(Stage::LockWait, 50);
    stats.worker(1).stage(Stage::Run, 7);
    stats.outside().stage(Stage::Sync, 3);
    stats.outside().stage(Stage::Sync, 4);
    let read = |stage| {
        let times = stats.stage(stage);
        (times.count(), times.sum_nanos())
    };
    let all = |stats: &Stats| Stage::ALL.iter().map(|stage| stats.stage(*stage).count()).sum::<u64>();
    assert_eq!(
        [Stage::LockWait, Stage::Run, Stage::Write, Stage::Sync].map(read),
        [(2, 150), (1, 7), (0, 0), (2, 7)]
    );
    assert_eq!(all(&stats), 5);
    stats.reset();
    assert_eq!((all(&stats), read(Stage::Run)), (0, (0, 0)));
    stats.worker(0).stage(Stage::Run, 9);
    assert_eq!((all(&stats), read(Stage::Run)), (1, (1, 9)));
}

#[test]
fn a_loop_that_turns_late_is_its_workers_own() {
    let stats = stats();
    stats.worker(1).turned_late(5_000_000);
    assert_eq!([0, 1].map(|worker| stats.loop_lag(worker).count()), [0, 1]);
    assert_eq!(stats.loop_lag(1).sum_nanos(), 5_000_000);
    stats.reset();
    assert_eq!(stats.loop_lag(1).count(), 0);
}

#[test]
fn the_lag_of_expiry_is_that_of_the_last_round_or_of_the_one_under_way() {
    let stats = stats();
    stats.worker(0).swept_late(300, false);
    stats.worker(0).swept_late(100, false);
    assert_eq!(stats.expiry_lag_ms(), 300);
    stats.worker(1).swept_late(20, true);
    stats.worker(0).swept_late(10, true);
    assert_eq!(stats.expiry_lag_ms(), 20);
}

#[test]
fn holding_the_keyspace_is_counted_whoever_does_it() {
    let stats = stats();
    stats.worker(1).world_held(7);
    stats.outside().world_held(5);
    assert_eq!([Counter::WorldPermits, Counter::WorldNanos].map(|counter| stats.counter(counter)), [2, 12]);
}

#[test]
fn a_reset_begins_at_zero_and_goes_on_counting() {
    let stats = stats();
    let everything = |worker: &WorkerStats| {
        worker.record(GET, 5_000);
        worker.failed(GET);
        worker.rejected(SET);
        worker.refused(Refusal::NoAuth);
        worker.error("NOAUTH Authentication required.");
        worker.batch(3, 100);
    };
    everything(stats.worker(0));
    everything(stats.worker(1));
    stats.outside().incr(Counter::SpansDropped);
    stats.reset();
    assert!(stats.commands().is_empty());
    assert!(stats.latencies().is_empty());
    assert!(stats.errors().is_empty());
    assert_eq!(stats.batch_sizes(), [0; BATCH_BUCKETS]);
    assert_eq!(stats.refusals(Refusal::NoAuth), 0);
    for counter in Counter::ALL {
        assert_eq!(stats.counter(*counter), 0, "{counter:?}");
    }
    everything(stats.worker(1));
    let get = CommandTotals { calls: 1, nanos: 5_000, failed: 1, rejected: 0 };
    assert_eq!(stats.command(GET), get);
    let latency = stats.latency(GET).expect("get was called");
    assert_eq!((latency.count(), latency.sum_nanos()), (1, 5_000));
    assert_eq!(stats.errors()["NOAUTH"], 1);
    assert_eq!(stats.refusals(Refusal::NoAuth), 1);
    assert_eq!(stats.batch_sizes()[2], 1);
}

#[test]
fn a_reset_while_workers_count_never_shows_less_than_nothing() {
    let stats = stats();
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let worker = stats.worker(worker);
            scope.spawn(move || (0..20_000).for_each(|nanos| worker.record(GET, nanos)));
        }
        for _ in 0..200 {
            stats.reset();
            let totals = stats.command(GET);
            assert!(totals.calls <= 40_000, "{totals:?}");
        }
    });
    stats.reset();
    assert_eq!(stats.command(GET), CommandTotals::default());
}

#[test]
fn latency_tracking_can_be_turned_off() {
    let stats = stats();
    stats.set_latency_tracking(false);
    stats.worker(0).record(GET, 1_000);
    assert_eq!(stats.command(GET).calls, 1);
    assert!(stats.latency(GET).is_none());
    stats.set_latency_tracking(true);
    stats.worker(0).record(GET, 1_000);
    assert_eq!(stats.latency(GET).map(|latency| latency.count()), Some(1));
}

#[test]
fn an_unknown_command_is_ignored() {
    let stats = stats();
    stats.worker(0).record(3, 1);
    stats.worker(0).failed(3);
    stats.worker(0).rejected(3);
    assert!(stats.commands().is_empty());
}

#[test]
fn rates_follow_the_ticks() {
    let stats = stats();
    stats.tick(0);
    stats.worker(0).add(Counter::CommandsProcessed, 160);
    stats.worker(1).add(Counter::NetInputBytes, 1_600);
    stats.tick(50_000_000);
    assert_eq!(stats.rates(), Rates::default());
    stats.tick(100_000_000);
    let rates = Rates { commands_per_sec: 100, input_bytes_per_sec: 1_000, output_bytes_per_sec: 0 };
    assert_eq!(stats.rates(), rates);
    stats.reset();
    assert_eq!(stats.rates(), Rates::default());
}
