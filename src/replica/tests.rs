use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::*;

/// A connection that counts what it is told.
#[derive(Default)]
struct Wire {
    id: u64,
    woken: AtomicU32,
    closed: AtomicBool,
    cut_off: AtomicBool,
}

impl Peer for Wire {
    fn id(&self) -> u64 {
        self.id
    }
    fn wake(&self) {
        self.woken.fetch_add(1, Ordering::Relaxed);
    }
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
    fn cut_off(&self) {
        self.cut_off.store(true, Ordering::Relaxed);
    }
}

struct Rig {
    replication: Replication,
    lacking: Arc<AtomicBool>,
    kept: Arc<AtomicBool>,
}

const LIMITS: Limits = Limits {
    backlog_bytes: 32 * 1024,
    hard_bytes: 0,
    soft_bytes: 0,
    soft_ms: 0,
    timeout_ms: 60_000,
    ping_ms: 10_000,
    keep_ms: 3_600_000,
    wanted: 0,
    lag_ms: 10_000,
};

fn rig(limits: Limits) -> Rig {
    let (lacking, kept) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let told = Arc::clone(&kept);
    let switch = Box::new(move |on| told.store(on, Ordering::Relaxed));
    let replication = Replication::new("old".to_owned(), limits, Arc::clone(&lacking), switch);
    Rig { replication, lacking, kept }
}

impl Rig {
    fn connect(&self, id: u64) -> (Arc<Wire>, Arc<Link>) {
        let wire = Arc::new(Wire { id, ..Wire::default() });
        let weak: Weak<Wire> = Arc::downgrade(&wire);
        let link = self.replication.link(weak, format!("10.0.0.{id}:5000"));
        (wire, link)
    }

    /// A replica that has got everything.
    fn follow(&self, id: u64, now_ms: u64) -> (Arc<Wire>, Arc<Link>) {
        let (wire, link) = self.connect(id);
        self.replication.ask(&link, false, now_ms);
        self.replication.begin(&[Arc::clone(&link)], Target::File, || "new".to_owned());
        link.send();
        link.put(Bytes::from_static(b"$3\r\nRDB"));
        link.complete();
        self.taken(&link, now_ms);
        (wire, link)
    }

    fn taken(&self, link: &Arc<Link>, now_ms: u64) -> String {
        let mut out = Vec::new();
        while let Taken::Bytes(_) = self.replication.take(link, &mut out, now_ms) {}
        String::from_utf8_lossy(&out).into_owned()
    }

    fn append(&self, bytes: &[u8]) -> u64 {
        self.replication.append(|feeder| feeder.command(0, bytes))
    }
}

const SELECT: &str = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";

#[test]
fn a_payload_comes_first_and_then_all_that_happened_since() {
    let rig = rig(LIMITS);
    rig.append(b"unheard");
    assert_eq!((rig.replication.end(), rig.kept.load(Ordering::Relaxed)), (0, false));
    let (wire, link) = rig.connect(1);
    rig.replication.ask(&link, false, 0);
    rig.replication.tend(1_000, false, || unreachable!("somebody follows"));
    assert_eq!(rig.taken(&link, 1_000), "\n", "a sign of life");
    rig.replication.begin(&[Arc::clone(&link)], Target::File, || "new".to_owned());
    assert!(rig.kept.load(Ordering::Relaxed));
    rig.append(b"one;");
    assert_eq!(rig.taken(&link, 0), "+FULLRESYNC new 0\r\n");
    link.send();
    link.put(Bytes::from_static(b"$3\r\nRDB"));
    link.complete();
    assert_eq!(rig.taken(&link, 0), format!("$3\r\nRDB{SELECT}one;"));
    assert_eq!(link.phase(), Phase::Online);
    let woken = wire.woken.load(Ordering::Relaxed);
    rig.append(b"two;");
    rig.append(b"three;");
    assert_eq!(wire.woken.load(Ordering::Relaxed), woken + 1, "woken by the first of them");
    assert_eq!(rig.taken(&link, 0), "two;three;");
}

#[test]
fn after_a_payload_without_a_length_the_stream_waits_for_its_acknowledgement() {
    let rig = rig(LIMITS);
    let (_wire, link) = rig.connect(1);
    rig.replication.ask(&link, true, 0);
    rig.replication.begin(&[Arc::clone(&link)], Target::Socket, || "new".to_owned());
    link.put(Bytes::from_static(b"$EOF:mark"));
    link.complete();
    rig.append(b"one;");
    assert_eq!(rig.taken(&link, 0), "$EOF:mark", "SYNC is not told where it begins");
    assert_eq!((link.phase(), rig.taken(&link, 0).as_str()), (Phase::Online, ""));
    rig.replication.acknowledge(&link, 0, 0);
    assert_eq!(rig.taken(&link, 0), format!("{SELECT}one;"));
}

#[test]
fn who_wants_the_payload_alone_is_done_with_it() {
    let rig = rig(LIMITS);
    let (_wire, link) = rig.connect(1);
    link.announce(|announced| announced.payload_only = true);
    rig.replication.ask(&link, true, 0);
    rig.replication.begin(&[Arc::clone(&link)], Target::File, || "new".to_owned());
    link.complete();
    assert_eq!(rig.replication.take(&link, &mut Vec::new(), 0), Taken::Over);
}

#[test]
fn a_replica_goes_on_where_it_was_if_that_is_kept() {
    let rig = rig(LIMITS);
    let (_wire, first) = rig.follow(1, 0);
    let end = rig.append(&[b'x'; 100]);
    rig.replication.remove(&first, 0);
    rig.append(b"more");
    let again = |id: &[u8], next: i64| {
        let (wire, link) = rig.connect(2);
        link.announce(|announced| announced.capabilities.psync2 = true);
        let resumed = rig.replication.resume(&link, id, next, 0);
        let text = rig.taken(&link, 0);
        rig.replication.remove(&link, 0);
        drop(wire);
        resumed.then_some(text)
    };
    let next = end as i64 + 1;
    assert_eq!(again(b"new", next).as_deref(), Some("+CONTINUE new\r\nmore"));
    assert_eq!(again(b"NEW", next + 4).as_deref(), Some("+CONTINUE new\r\n"), "it has everything");
    assert_eq!(again(b"new", next + 5), None, "nobody has been so far");
    assert_eq!(again(b"other", next), None);
    assert_eq!(again(b"?", -1), None);
    // What is beyond the size is forgotten.
    for _ in 0..100 {
        rig.append(&[b'y'; 1024]);
    }
    assert_eq!(again(b"new", next), None);
    let figures = rig.replication.figures(0);
    assert_eq!((figures.full, figures.resumed, figures.refused), (1, 2, 3), "`?` asks for no continuation");
    assert!(figures.length >= LIMITS.backlog_bytes && figures.length < LIMITS.backlog_bytes + 17 * 1024);
}

#[test]
fn what_a_replica_needs_stays_until_it_lags_too_far_behind() {
    let rig = rig(Limits { hard_bytes: 64 * 1024, soft_bytes: 40 * 1024, soft_ms: 5_000, ..LIMITS });
    let (wire, link) = rig.follow(1, 0);
    for _ in 0..48 {
        rig.append(&[b'x'; 1024]);
    }
    assert!(link.lag_bytes() > 48 * 1024 && !wire.cut_off.load(Ordering::Relaxed));
    // The soft limit is about time.
    for now_ms in [1_000, 6_000] {
        rig.replication.tend(now_ms, true, || unreachable!("somebody follows"));
        assert!(!wire.cut_off.load(Ordering::Relaxed), "at {now_ms}");
    }
    rig.replication.tend(6_001, true, || unreachable!("somebody follows"));
    assert!(wire.cut_off.swap(false, Ordering::Relaxed));
    for _ in 0..40 {
        rig.append(&[b'x'; 1024]);
    }
    assert!(wire.cut_off.load(Ordering::Relaxed), "the hard limit");
    rig.replication.remove(&link, 0);
    assert!(rig.replication.figures(0).length < 64 * 1024);
}

#[test]
fn acknowledgements_are_asked_for_once_and_wake_who_waits() {
    let rig = rig(Limits { wanted: 1, ..LIMITS });
    assert!(rig.lacking.load(Ordering::Relaxed));
    let (_wire, link) = rig.follow(1, 0);
    assert!(!rig.lacking.load(Ordering::Relaxed));
    let end = rig.append(b"one;");
    rig.taken(&link, 0);
    let waiting = Arc::new(Wire::default());
    let weak: Weak<Wire> = Arc::downgrade(&waiting);
    let peer: Weak<dyn Peer> = weak;
    assert!(!rig.replication.is_acknowledged(end, 1, &peer));
    rig.replication.ask_for_acknowledgements();
    rig.replication.ask_for_acknowledgements();
    assert_eq!(rig.taken(&link, 0), "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n");
    rig.replication.acknowledge(&link, end, 0);
    assert_eq!(waiting.woken.load(Ordering::Relaxed), 1);
    assert!(rig.replication.is_acknowledged(end, 1, &peer));
    assert_eq!((rig.replication.acknowledged(end), rig.replication.acknowledged(end + 1)), (1, 0));
    rig.replication.tend(11_000, true, || unreachable!("somebody follows"));
    assert!(rig.lacking.load(Ordering::Relaxed), "silent for longer than it may be");
}

#[test]
fn pings_are_added_silence_ends_and_a_stream_of_nobody_is_given_up() {
    let rig = rig(LIMITS);
    let (wire, link) = rig.follow(1, 0);
    rig.replication.tend(10_000, true, || unreachable!("somebody follows"));
    assert_eq!(rig.taken(&link, 0), "", "nothing while writes rest");
    rig.replication.tend(10_000, false, || unreachable!("somebody follows"));
    assert_eq!(rig.taken(&link, 0), "*1\r\n$4\r\nPING\r\n");
    rig.replication.tend(60_000, false, || unreachable!("somebody follows"));
    assert!(!wire.closed.load(Ordering::Relaxed));
    rig.replication.tend(60_001, false, || unreachable!("somebody follows"));
    assert!(wire.closed.load(Ordering::Relaxed));
    rig.replication.remove(&link, 60_001);
    rig.replication.tend(3_660_001, false, || "newer".to_owned());
    assert_eq!(rig.replication.id(), "new");
    rig.replication.tend(3_660_002, false, || "newer".to_owned());
    assert_eq!((rig.replication.id().as_str(), rig.kept.load(Ordering::Relaxed)), ("newer", false));
}
