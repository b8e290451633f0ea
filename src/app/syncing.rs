//! Full synchronizations: the state of one instant for the replicas that asked for it, and the stream from there on.
//!
//! A payload is a file in Redis's format of a capture, as a save writes it. It goes to the replicas' connections as it
//! is written (`repl-diskless-sync`), or into a file without a name first, which is read for each of them. Whichever
//! way, the capture is over when it is written, not when it is sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use crate::command::ports::Clients as _;
use crate::config::Settings;
use crate::persist::files::{Files as _, Handle};
use crate::persist::jobs::{Done, JobKind};
use crate::persist::progress::Progress;
use crate::persist::rdb::file::{FileSink, Sink, Written, write};
use crate::persist::snapshot::SaveError;
use crate::replica::{Announced, Limits, Link, Patience, Phase, Target};
use crate::store::Capture;

use super::host::Host;

/// A file is read in pieces of this size.
const PIECE_BYTES: usize = 256 * 1024;

/// Whoever waits for replicas to say how far they are looks this often whether it is still to wait.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What the settings say of replication.
pub(super) fn limits_of(settings: &Settings) -> Limits {
    let output = &settings.client_output_buffer_limit.replica;
    Limits {
        backlog_bytes: settings.repl_backlog_size_bytes,
        hard_bytes: output.hard_bytes,
        soft_bytes: output.soft_bytes,
        soft_ms: output.soft_s.saturating_mul(1_000),
        timeout_ms: u64::from(settings.repl_timeout_s) * 1_000,
        ping_ms: u64::from(settings.repl_ping_replica_period_s) * 1_000,
        keep_ms: settings.repl_backlog_ttl_s.saturating_mul(1_000),
        wanted: settings.min_replicas_to_write as usize,
        lag_ms: u64::from(settings.min_replicas_max_lag_s) * 1_000,
    }
}

/// Replicas that get the same payload in the same way.
struct Group {
    links: Vec<Arc<Link>>,
    target: Target,
    wants: Announced,
}

/// What two replicas must have in common to get the same payload.
fn kind_of(announced: &Announced) -> (bool, bool, bool) {
    (announced.without_data, announced.without_functions, announced.capabilities.eof)
}

/// What a payload is made of: the keys, unless none are wanted, and the code of the libraries.
type Contents = (Option<Arc<Capture>>, Vec<Vec<u8>>);

impl Host {
    /// Milliseconds of the clock that only grows.
    pub(super) fn monotonic_ms(&self) -> u64 {
        self.clock.stamp() / 1_000_000
    }

    /// Ten times a second.
    pub(super) fn tend_replication(&self) {
        // Nothing is added to the stream while replicas are to catch up with it.
        let paused = self.waits_for_replicas.load(Ordering::SeqCst);
        self.replication.tend(self.monotonic_ms(), paused, super::building::random_id);
        self.begin_due_syncs();
    }

    /// Begins a payload if somebody waits for one, has waited long enough, and nothing else is being saved.
    pub(super) fn begin_due_syncs(&self) {
        if self.due_group().is_none() {
            return;
        }
        let Some(host) = self.me.upgrade() else { return };
        // What runs now ends, and then this is asked for again.
        let _ = self.jobs.start(JobKind::Sync, move |progress| host.sync(progress));
    }

    /// The first who waits, and those who want the same, once they are to wait no longer.
    fn due_group(&self) -> Option<Group> {
        let asking = self.replication.asking();
        let wants = asking.first()?.announced();
        let same = |link: &Arc<Link>| kind_of(&link.announced()) == kind_of(&wants);
        let links: Vec<Arc<Link>> = asking.into_iter().filter(same).collect();
        let settings = self.config.current();
        let socket = wants.capabilities.eof && (settings.repl_diskless_sync || wants.is_filtered());
        let target = if socket { Target::Socket } else { Target::File };
        if socket && settings.repl_diskless_sync {
            // A payload on its way cannot be joined: others may come meanwhile.
            let now_ms = self.monotonic_ms();
            let delay_ms = u64::from(settings.repl_diskless_sync_delay_s) * 1_000;
            let enough = settings.repl_diskless_sync_max_replicas as usize;
            let waited = links.iter().any(|link| link.waited_ms(now_ms) >= delay_ms);
            let all_came = enough > 0 && links.len() >= enough;
            if !waited && !all_came {
                return None;
            }
        }
        Some(Group { links, target, wants })
    }

    /// The job's thread.
    fn sync(&self, progress: &Progress) -> Result<Done, String> {
        let span = self.tracer.background("sync");
        // What takes long is done before the instant.
        if let Some(_turn) = self.world.turn_unless(|| progress.is_cancelled()) {
            self.store.prepare_capture();
        }
        let Some(group) = self.due_group() else {
            return Err("the replicas that asked for it have gone".to_owned());
        };
        let Some((capture, libraries)) = self.instant_of(&group, progress) else {
            group.links.iter().for_each(|link| link.close());
            return Err(SaveError::Cancelled.to_string());
        };
        tracing::info!("Starting BGSAVE for SYNC with target: {}", target_words(group.target));
        let result = match group.target {
            Target::Socket => self.write_to_sockets(&group, capture.as_ref(), libraries, progress),
            Target::File => self.write_to_file(&group, capture.as_ref(), libraries, progress),
        };
        if let Some(capture) = capture {
            capture.finish(result.is_ok());
        }
        match result {
            Ok(written) => {
                span.number("glasswing.keys", written.keys);
                progress.finish();
                Ok(Done { path: PathBuf::new(), bytes: written.bytes, keys: written.keys })
            }
            Err(error) => {
                span.failed("the replicas were not synchronized");
                match error {
                    SaveError::Cancelled => {
                        tracing::info!("SYNC ended early: whoever waited for it has gone")
                    }
                    _ => tracing::warn!("SYNC failed: {error}"),
                }
                group.links.iter().for_each(|link| link.close());
                Err(error.to_string())
            }
        }
    }

    /// The instant: nobody runs, so what was done is in the payload, and what comes is in the stream behind it. `None`
    /// if it is called off before.
    fn instant_of(&self, group: &Group, progress: &Progress) -> Option<Contents> {
        let _whole = self.whole_for_job(|| progress.is_cancelled())?;
        let capture = (!group.wants.without_data).then(|| self.store.begin_capture());
        let libraries = if group.wants.without_functions { Vec::new() } else { self.libraries() };
        self.replication.begin(&group.links, group.target, super::building::random_id);
        Some((capture, libraries))
    }

    fn write_payload(
        &self,
        capture: Option<&Arc<Capture>>,
        libraries: Vec<Vec<u8>>,
        sink: &mut dyn Sink,
        progress: &Progress,
    ) -> Result<Written, SaveError> {
        let walkers = capture.map_or_else(Vec::new, |capture| {
            progress.begin(capture.expected_keys(), 0);
            self.rdb_walkers(capture)
        });
        write(walkers, &self.rdb_options(libraries, false), sink, progress)
    }

    fn write_to_sockets(
        &self,
        group: &Group,
        capture: Option<&Arc<Capture>>,
        libraries: Vec<Vec<u8>>,
        progress: &Progress,
    ) -> Result<Written, SaveError> {
        let mark = super::building::random_id();
        let hard_bytes = limits_of(&self.config.current()).hard_bytes;
        let saves = self.store.saves();
        // Writers wait for a capture that holds too much: then it is the replicas that have to keep up.
        let patience = || match () {
            () if progress.is_cancelled() => Patience::Leave,
            () if saves.over_limit() => Patience::Hurry,
            () => Patience::Wait,
        };
        let mut sink = Sockets { links: group.links.clone(), patience: &patience, hard_bytes };
        sink.put(format!("$EOF:{mark}\r\n").as_bytes())?;
        let written = self.write_payload(capture, libraries, &mut sink, progress)?;
        sink.put(mark.as_bytes())?;
        sink.links.iter().for_each(|link| link.complete());
        Ok(written)
    }

    fn write_to_file(
        &self,
        group: &Group,
        capture: Option<&Arc<Capture>>,
        libraries: Vec<Vec<u8>>,
        progress: &Progress,
    ) -> Result<Written, SaveError> {
        let path =
            Path::new(&self.config.current().dir).join(format!("temp-sync-{}.rdb", std::process::id()));
        let failed = |what, error| SaveError::io(what, &path, error);
        let file = self.files.create(&path).map_err(|error| failed("create", error))?;
        // It has no name from here on: whatever happens, nothing of it stays.
        self.files.remove(&path).map_err(|error| failed("remove", error))?;
        let written = self.write_payload(capture, libraries, &mut FileSink::new(&*file, &path), progress)?;
        let file: Arc<dyn Handle> = Arc::from(file);
        for link in &group.links {
            link.send();
            let (link, file) = (Arc::clone(link), Arc::clone(&file));
            let send = move || send_file(&link, &*file, written.bytes);
            let thread = std::thread::Builder::new().name("sync-send".to_owned()).spawn(send);
            thread.map_err(|error| SaveError::capture(format!("a thread could not be started: {error}")))?;
        }
        Ok(written)
    }

    /// Before the end: replicas that lag are waited for, while writes rest. False when the end is given up
    /// meanwhile (SHUTDOWN ABORT).
    pub(super) fn wait_for_replicas(&self) -> bool {
        let settings = self.config.current();
        let wait_ms = u64::from(settings.shutdown_timeout_s) * 1_000;
        let lag = || !self.replication.is_all_acknowledged();
        if wait_ms == 0 || !lag() {
            return true;
        }
        tracing::info!("Waiting for replicas before shutting down.");
        let until_ms = self.clock.unix_ms() + wait_ms;
        self.waits_until_ms.store(until_ms, Ordering::SeqCst);
        self.waits_for_replicas.store(true, Ordering::SeqCst);
        self.clients.pause(true, until_ms);
        self.replication.ask_for_acknowledgements();
        let goes_on = || self.waits_for_replicas.load(Ordering::SeqCst) && self.clock.unix_ms() < until_ms;
        while lag() && goes_on() {
            self.replication.wait_for_word(LOOK_EVERY);
        }
        self.clients.unpause();
        self.waits_until_ms.store(0, Ordering::SeqCst);
        self.waits_for_replicas.swap(false, Ordering::SeqCst)
    }

    /// The end comes: which replicas do not have everything.
    pub(super) fn tell_who_lags(&self) {
        let figures = self.replication.figures(self.monotonic_ms());
        let lagging: Vec<_> =
            figures.replicas.iter().filter(|replica| replica.offset != figures.end).collect();
        for replica in &lagging {
            tracing::warn!(
                "Lagging replica {}:{} reported offset {} behind master, lag={}.",
                replica.address,
                replica.port,
                figures.end.saturating_sub(replica.offset),
                replica.lag_s
            );
        }
        if !figures.replicas.is_empty() {
            let (all, lag) = (figures.replicas.len(), lagging.len());
            tracing::info!("{} of {all} replicas are in sync when shutting down.", all - lag);
        }
    }
}

fn target_words(target: Target) -> &'static str {
    match target {
        Target::File => "disk",
        Target::Socket => "replicas sockets",
    }
}

/// The connections of replicas that get what is written as it is written.
struct Sockets<'a> {
    links: Vec<Arc<Link>>,
    patience: &'a dyn Fn() -> Patience,
    hard_bytes: u64,
}

impl Sink for Sockets<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        let piece = Bytes::copy_from_slice(bytes);
        self.links.retain(|link| {
            let there = link.put_patiently(piece.clone(), self.patience);
            if self.hard_bytes > 0 && link.waiting_bytes() as u64 > self.hard_bytes {
                link.cut_off();
            }
            there
        });
        // The last one has gone: nobody needs the rest.
        if self.links.is_empty() { Err(SaveError::Cancelled) } else { Ok(()) }
    }
}

/// Sends a payload from its file, as fast as the replica takes it.
fn send_file(link: &Arc<Link>, file: &dyn Handle, length: u64) {
    let mut at = 0;
    link.put(Bytes::from(format!("${length}\r\n")));
    while at < length {
        let mut piece = vec![0; PIECE_BYTES.min((length - at) as usize)];
        if let Err(error) = file.read_exact_at(&mut piece, at) {
            tracing::warn!("Read error sending DB to replica {}: {error}", link.name());
            return link.close();
        }
        at += piece.len() as u64;
        if !link.put_patiently(Bytes::from(piece), &|| Patience::Wait) || link.phase() == Phase::Gone {
            return;
        }
    }
    link.complete();
}
