//! What is told of a load against what the load was.

use super::super::testing::Rig;
use super::report::{Share, Used};
use super::samples::{SeenKey, UsedKey};
use super::taker::Taker;
use super::{Seen, Watched, gap};
use crate::config::{Secret, Settings};
use crate::store::{Moment, Random};

const NOW: u64 = 1_700_000_000_000;

/// Draws from `accesses` as a worker does, on two workers in turn, all at one moment.
fn drawn(seed: u64, accesses: impl Iterator<Item = u64>) -> Used {
    let watched = Watched::new(2);
    let mut random = Random::new(seed);
    let mut left = [gap(random.draw()), gap(random.draw())];
    for (at, key) in accesses.enumerate() {
        let worker = at % 2;
        if left[worker] > 0 {
            left[worker] -= 1;
            continue;
        }
        left[worker] = gap(random.draw());
        let name = key.to_le_bytes();
        let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let seen = Seen {
            key: Some(SeenKey { database: 0, name: &name, hash, of: 1 }),
            writes: key % 2 == 0,
            client: key % 1_000,
            address: &|| "127.0.0.1:1".to_owned(),
            name: b"worker",
            library: (b"lib", b"1"),
            origin: 1,
        };
        watched.saw(worker, NOW, &seen);
    }
    watched.report(NOW, 100).used
}

fn of_key(used: &Used, key: u64) -> Option<Share> {
    let is_it = |(one, _): &&(UsedKey, Share)| one.name.bytes() == key.to_le_bytes();
    used.keys.iter().find(is_it).map(|(_, share)| *share)
}

/// A load in which key 1 has `planted` of a thousand accesses, all others any of a hundred thousand.
fn load(seed: u64, planted: usize, accesses: usize) -> impl Iterator<Item = u64> {
    let mut random = Random::new(seed);
    (0..accesses).map(
        move |_| {
            if random.below(1_000) < planted { 1 } else { 1_000 + random.below(100_000) as u64 }
        },
    )
}

#[test]
fn a_hot_key_is_found_among_very_many_with_its_share_within_the_bounds() {
    for (seed, planted) in [(1, 20), (2, 50), (3, 300), (4, 900)] {
        let used = drawn(seed, load(seed, planted, 1_000_000));
        let share = of_key(&used, 1).expect("the planted key is named");
        let truth = planted as f64 / 1e3;
        assert!(share.low <= truth && truth <= share.high, "{share:?} of {truth}");
        assert!(share.high - share.low < 0.05, "{share:?}");
        assert!((share.of_all - truth).abs() < 0.02, "{share:?} of {truth}");
        assert_eq!(used.keys.len(), 1, "nobody else is named: {:?}", used.keys);
        assert_eq!(share.written, 0.0);
    }
}

#[test]
fn a_load_without_a_hot_key_names_none() {
    for seed in 0..20 {
        for accesses in [2_000, 50_000, 500_000] {
            let used = drawn(seed, load(seed, 0, accesses));
            assert!(used.keys.is_empty(), "{accesses}: {:?}", used.keys);
            assert!(used.draws > accesses as f64 / 300.0);
        }
    }
}

#[test]
fn bounds_hold_as_often_as_they_say() {
    let mut held = 0;
    for seed in 0..200 {
        let used = drawn(seed, load(seed, 100, 100_000));
        let share = of_key(&used, 1).expect("a tenth of all");
        held += usize::from(share.low <= 0.1 && 0.1 <= share.high);
    }
    // 99 of 100, and each draw of these 200 may be one of the others.
    assert!(held >= 194, "{held} of 200");
}

#[test]
fn clients_are_told_with_what_they_send() {
    let used = drawn(9, (0..400_000).map(|at| if at % 4 < 2 { 7 } else { at % 1_000 }));
    let (client, share) = &used.clients[0];
    assert_eq!((client.id, client.address.bytes()), (7, &b"127.0.0.1:1"[..]));
    assert!((share.low..=share.high).contains(&0.5005), "{share:?}");
    let (origin, share) = &used.origins[0];
    assert_eq!((origin.name.bytes(), origin.library.bytes()), (&b"worker"[..], &b"lib"[..]));
    assert_eq!((used.origins.len(), share.of_all), (1, 1.0));
}

/// Sends commands to a server without sockets: a fifth of them about one key.
fn worked(settings: Settings) -> Rig {
    let mut rig = Rig::with(1, settings);
    let client = rig.connect();
    rig.send(client, "CLIENT SETNAME me");
    for at in 0..20_000 {
        let name = if at % 5 == 0 { "hot".to_owned() } else { format!("key:{at}") };
        rig.send(
            client,
            &format!(
                "{} {name}{}",
                if at % 2 == 0 { "GET" } else { "SET" },
                if at % 2 == 0 { "" } else { " v" }
            ),
        );
    }
    rig
}

#[test]
fn a_servers_commands_are_drawn() {
    let rig = worked(Settings::default());
    let used = rig.engine.usage.report(rig.engine.clock.unix_ms(), 10).used;
    assert_eq!(used.keys.len(), 1, "{:?}", used.keys);
    let (key, share) = &used.keys[0];
    assert_eq!(key.name.bytes(), b"hot");
    assert!((share.low..=share.high).contains(&0.2), "{share:?}");
    assert!((0.3..0.7).contains(&share.written), "{share:?}");
    assert_eq!(used.clients.len(), 1);
    assert_eq!(used.clients[0].0.name.bytes(), b"me");
    // One in 128, in the mean.
    assert!((100..250).contains(&rig.engine.usage.drawn()), "{}", rig.engine.usage.drawn());
}

#[test]
fn nothing_is_watched_while_the_setting_is_off() {
    let mut rig = worked(Settings { key_statistics: false, ..Settings::default() });
    assert_eq!(rig.engine.usage.drawn(), 0);
    let moment = |rig: &Rig| Moment::at(rig.engine.clock.unix_ms());
    let mut taker = Taker::new(0, 1);
    assert!(!taker.slice(&rig.engine, moment(&rig)));
    assert!(rig.engine.usage.found().is_none());
    let switch = |rig: &Rig, on: &str| {
        let set = rig.engine.config.set(&[(b"key-statistics", on.as_bytes())], &mut |_, _, _| Ok(()));
        assert!(set.is_ok());
    };
    switch(&rig, "yes");
    let client = rig.connect();
    (0..2_000).for_each(|_| {
        rig.send(client, "GET hot");
    });
    assert!(rig.engine.usage.drawn() > 0);
    while taker.slice(&rig.engine, moment(&rig)) {}
    assert!(rig.engine.usage.found().is_some());
    switch(&rig, "no");
    rig.send(client, "GET hot");
    let (drawn, report) = (rig.engine.usage.drawn(), rig.engine.usage.report(rig.engine.clock.unix_ms(), 10));
    assert!(report.used.keys.is_empty() && report.used.draws == 0.0);
    assert!(report.found.is_none());
    (0..2_000).for_each(|_| {
        rig.send(client, "GET hot");
    });
    assert_eq!(rig.engine.usage.drawn(), drawn);
}

#[test]
fn a_walk_rests_and_begins_again_only_when_something_has_changed() {
    let mut rig = Rig::new(1);
    let client = rig.connect();
    rig.send(client, "SET a 1");
    let mut taker = Taker::new(0, 1);
    let mut keys = |rig: &Rig| {
        while taker.slice(&rig.engine, Moment::at(rig.engine.clock.unix_ms())) {}
        rig.engine.usage.found().map(|found| (found.tallied.types[0].keys, found.ended_ms))
    };
    let began = rig.engine.clock.unix_ms();
    assert_eq!(keys(&rig), Some((1, began)));
    rig.send(client, "SET b 1");
    rig.advance_ms(999);
    assert_eq!(keys(&rig), Some((1, began)), "it rests");
    rig.advance_ms(1);
    assert_eq!(keys(&rig), Some((2, began + 1_000)));
    rig.advance_ms(100_000);
    assert_eq!(keys(&rig), Some((2, began + 1_000)), "nothing has changed");
    rig.send(client, "DEL a");
    assert_eq!(keys(&rig), Some((1, began + 101_000)));
}

#[test]
fn strangers_are_not_watched() {
    let mut rig = Rig::with(1, Settings { requirepass: Secret::from(&b"secret"[..]), ..Settings::default() });
    let client = rig.connect();
    (0..2_000).for_each(|_| {
        rig.send(client, "GET hot");
    });
    assert_eq!(rig.engine.usage.drawn(), 0);
    assert_eq!(rig.send(client, "AUTH secret"), "OK");
    (0..2_000).for_each(|_| {
        rig.send(client, "GET hot");
    });
    assert!(rig.engine.usage.drawn() > 0);
}

#[test]
fn hotkeys_counts_what_runs_between_start_and_stop() {
    let mut rig = Rig::new(2);
    let (one, two) = (rig.connect(), rig.connect());
    rig.send(one, "SET before 1");
    assert_eq!(rig.send(one, "HOTKEYS START METRICS 2 CPU NET COUNT 2"), "OK");
    for _ in 0..10 {
        rig.send(one, "SET hot v");
        rig.send(two, "GET hot");
    }
    rig.send(two, "MSET cold 1 colder 1");
    rig.multi(two);
    rig.send(two, "SET queued 1");
    rig.exec(two);
    rig.advance_ms(250);
    let shown = rig.send(one, "HOTKEYS GET");
    for part in ["\"tracking-active\"", "(integer) 250", "\"by-cpu-time-us\"", "\"by-net-bytes\"", "\"hot\""]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let counted = rig.engine.server.hot_keys().shown(rig.engine.clock.unix_ms()).expect("it counts");
    let bytes: Vec<_> =
        counted.by_bytes.all.iter().map(|heavy| (heavy.of.bytes().to_vec(), heavy.low)).collect();
    // SET: *3 $3 SET $3 hot $1 v; GET: *2 $3 GET $3 hot and $1 v.
    assert_eq!(bytes[0], (b"hot".to_vec(), 10 * (29 + 5) + 10 * (22 + 7)));
    assert!(bytes.iter().any(|(name, _)| name == b"queued"));
    assert!(!bytes.iter().any(|(name, _)| name == b"before"));
    assert_eq!(rig.send(one, "HOTKEYS STOP"), "OK");
    rig.send(one, "SET after 1");
    let after = rig.engine.server.hot_keys().shown(rig.engine.clock.unix_ms()).expect("it is kept");
    assert_eq!((after.bytes, after.active), (counted.bytes, false));
}
