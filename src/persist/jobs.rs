//! The state machine that SAVE, BGSAVE, save points, `POST /save` and shutdown share.
//!
//! At most one job runs at a time, each on a plain thread of its own. Whoever asks for one
//! while another runs is told so; what BGSAVE SCHEDULE asks for is remembered until
//! somebody calls [`Jobs::take_scheduled`] after the end. The times come from the caller's
//! clocks.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::watch;

use super::progress::{Progress, Report};

/// How many ended jobs can still be asked for.
const REMEMBERED: usize = 16;
/// After a failed save the save points wait this long before they try again: Redis's
/// CONFIG_BGSAVE_RETRY_DELAY.
pub const RETRY_DELAY_SECONDS: u64 = 5;

/// The two clocks a job needs, as closures of the caller.
#[derive(Clone)]
pub struct Clocks {
    /// Wall time, milliseconds since 1970.
    pub unix_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// A counter of milliseconds that only grows.
    pub monotonic_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// A job's number: 1 for the first of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Writes the snapshot (or RDB) beside the clients' work.
    Save,
    /// The same while somebody waits for it: SAVE, a shutdown.
    ForegroundSave,
    /// Rewrites the append-only file.
    Rewrite,
    /// Writes what replicas begin with.
    Sync,
}

impl JobKind {
    /// Whether the file that saves go to is written.
    pub fn is_save(self) -> bool {
        matches!(self, JobKind::Save | JobKind::ForegroundSave)
    }
}

/// Why a job was not started: one is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The running job.
    pub id: JobId,
    /// What it does: Redis answers differently for a save and for a rewrite.
    pub kind: JobKind,
}

/// What a job that succeeded made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Keys in it.
    pub keys: u64,
}

/// A job that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its number.
    pub id: JobId,
    /// What it did.
    pub kind: JobKind,
    /// What it made, or why not.
    pub result: Result<Done, String>,
    /// When it began, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// When it ended, milliseconds since 1970.
    pub ended_unix_ms: u64,
    /// How long it took.
    pub duration_ms: u64,
}

/// A job that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// Its number.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// When it began, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// How far it has come.
    pub progress: Report,
    /// It was asked to stop, and is about to end.
    pub cancelled: bool,
}

/// Everything that INFO, LASTSAVE, `GET /save` and the metrics show.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The job that runs now.
    pub running: Option<Running>,
    /// The save that ended last, whatever came of it.
    pub last_save: Option<Ended>,
    /// The last save that succeeded, or the start of the server; milliseconds since 1970.
    pub last_success_unix_ms: u64,
    /// When a save was begun last; 0 for never.
    pub last_try_unix_ms: u64,
    /// Whether the last save succeeded; true before the first. A save that was cancelled
    /// does not count, nor one that failed while somebody waited for it and was told, as in Redis.
    pub last_ok: bool,
    /// Saves that succeeded since the start.
    pub saves: u64,
    /// A save is to follow the job that runs.
    pub scheduled: bool,
}

/// One `save <seconds> <changes>` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// More seconds than this since the last save,
    pub seconds: u64,
    /// and at least this many changes.
    pub changes: u64,
}

/// The first save point that is reached, by Redis's rule.
pub fn due(changes: u64, seconds_since_last: u64, points: &[SavePoint]) -> Option<SavePoint> {
    points.iter().copied().find(|p| changes >= p.changes && seconds_since_last > p.seconds)
}

/// The jobs of one server. A clone is the same.
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
}

struct Inner {
    clocks: Clocks,
    state: Mutex<State>,
    one_ended: Condvar,
    /// The number of the job that ended last.
    ended: watch::Sender<u64>,
}

struct State {
    next: u64,
    running: Option<Active>,
    ended: VecDeque<Ended>,
    last_save: Option<Ended>,
    last_success_unix_ms: u64,
    last_try_unix_ms: u64,
    last_ok: bool,
    saves: u64,
    scheduled: bool,
}

struct Active {
    id: JobId,
    kind: JobKind,
    started_unix_ms: u64,
    started_ms: u64,
    progress: Arc<Progress>,
}

impl Jobs {
    /// No job yet. The start counts as the last save, as in Redis.
    pub fn new(clocks: Clocks) -> Self {
        let now = (clocks.unix_ms)();
        let state = State {
            next: 1,
            running: None,
            ended: VecDeque::new(),
            last_save: None,
            last_success_unix_ms: now,
            last_try_unix_ms: 0,
            last_ok: true,
            saves: 0,
            scheduled: false,
        };
        let ended = watch::Sender::new(0);
        Jobs { inner: Arc::new(Inner { clocks, state: Mutex::new(state), one_ended: Condvar::new(), ended }) }
    }

    /// Runs `work` on a thread of its own and returns at once. A panic of `work` is its
    /// failure. The [`Progress`] that it is given is what the status shows.
    ///
    /// # Errors
    /// [`Busy`] while a job runs.
    pub fn start<W>(&self, kind: JobKind, work: W) -> Result<JobId, Busy>
    where
        W: FnOnce(&Progress) -> Result<Done, String> + Send + 'static,
    {
        let (id, progress) = self.inner.begin(kind)?;
        let inner = Arc::clone(&self.inner);
        let run = move || {
            progress.runs_here();
            let result = catch_unwind(AssertUnwindSafe(|| work(&progress)));
            inner.end(result.unwrap_or_else(|_| Err("the job panicked; see the log".to_string())));
        };
        if let Err(e) = thread::Builder::new().name(format!("job-{}", id.0)).spawn(run) {
            self.inner.end(Err(format!("could not start a thread: {e}")));
        }
        Ok(id)
    }

    /// Remembers that a save is wanted after the job that runs (BGSAVE SCHEDULE, or BGSAVE
    /// within EXEC).
    pub fn schedule(&self) {
        self.inner.lock().scheduled = true;
    }

    /// Whether a scheduled save may start now; forgets that it was scheduled if so.
    pub fn take_scheduled(&self) -> bool {
        let mut state = self.inner.lock();
        let start = state.scheduled && state.running.is_none();
        state.scheduled &= !start;
        start
    }

    /// Asks the running job to stop, and says which it is. It ends as a failure.
    pub fn cancel(&self) -> Option<JobId> {
        let state = self.inner.lock();
        let active = state.running.as_ref()?;
        active.progress.cancel();
        Some(active.id)
    }

    /// Blocks this thread until the job has ended. `None` if there is no such job, or it
    /// ended too long ago to be remembered.
    pub fn wait(&self, id: JobId) -> Option<Ended> {
        let mut state = self.inner.lock();
        while state.running.as_ref().is_some_and(|active| active.id == id) {
            state = self.inner.one_ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.find(id)
    }

    /// Blocks this thread until what runs now has ended; not at all if nothing does.
    pub fn wait_for_current(&self) {
        let current = self.inner.lock().running.as_ref().map(|active| active.id);
        if let Some(id) = current {
            self.wait(id);
        }
    }

    /// As [`wait`](Self::wait), for a task: no thread is blocked.
    pub async fn ended(&self, id: JobId) -> Option<Ended> {
        let mut ended = self.inner.ended.subscribe();
        // The sender lives as long as `self`, so this does not fail.
        let known = |state: &State| state.running.as_ref().is_none_or(|active| active.id != id);
        while !known(&self.inner.lock()) {
            ended.changed().await.ok()?;
        }
        self.find(id)
    }

    /// Tells the number of each job when it ends.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.ended.subscribe()
    }

    /// A job that has ended and is still remembered.
    pub fn find(&self, id: JobId) -> Option<Ended> {
        self.inner.lock().find(id)
    }

    /// Everything there is to show.
    pub fn status(&self) -> Status {
        let state = self.inner.lock();
        let running = state.running.as_ref().map(|active| Running {
            id: active.id,
            kind: active.kind,
            started_unix_ms: active.started_unix_ms,
            progress: active.progress.report(),
            cancelled: active.progress.is_cancelled(),
        });
        Status {
            running,
            last_save: state.last_save.clone(),
            last_success_unix_ms: state.last_success_unix_ms,
            last_try_unix_ms: state.last_try_unix_ms,
            last_ok: state.last_ok,
            saves: state.saves,
            scheduled: state.scheduled,
        }
    }

    /// The save point that asks for a save now: none while a job runs, and none within
    /// [`RETRY_DELAY_SECONDS`] of a try that failed.
    pub fn due(&self, changes: u64, points: &[SavePoint]) -> Option<SavePoint> {
        let now = (self.inner.clocks.unix_ms)() / 1_000;
        let state = self.inner.lock();
        let since_try = now.saturating_sub(state.last_try_unix_ms / 1_000);
        if state.running.is_some() || (!state.last_ok && since_try <= RETRY_DELAY_SECONDS) {
            return None;
        }
        due(changes, now.saturating_sub(state.last_success_unix_ms / 1_000), points)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, kind: JobKind) -> Result<(JobId, Arc<Progress>), Busy> {
        let mut state = self.lock();
        if let Some(active) = &state.running {
            return Err(Busy { id: active.id, kind: active.kind });
        }
        let id = JobId(state.next);
        state.next += 1;
        let (started_unix_ms, started_ms) = ((self.clocks.unix_ms)(), (self.clocks.monotonic_ms)());
        if kind == JobKind::Save {
            state.last_try_unix_ms = started_unix_ms;
        }
        let now_ms = Arc::clone(&self.clocks.monotonic_ms);
        let progress = Arc::new(Progress::new(Box::new(move || now_ms())));
        state.running =
            Some(Active { id, kind, started_unix_ms, started_ms, progress: Arc::clone(&progress) });
        Ok((id, progress))
    }

    fn end(&self, result: Result<Done, String>) {
        let (ended_unix_ms, ended_ms) = ((self.clocks.unix_ms)(), (self.clocks.monotonic_ms)());
        let mut state = self.lock();
        let Some(active) = state.running.take() else { return };
        let ended = Ended {
            id: active.id,
            kind: active.kind,
            result,
            started_unix_ms: active.started_unix_ms,
            ended_unix_ms,
            duration_ms: ended_ms.saturating_sub(active.started_ms),
        };
        if ended.kind.is_save() {
            if ended.result.is_ok() {
                state.last_success_unix_ms = ended_unix_ms;
                state.saves += 1;
                state.last_ok = true;
            } else if ended.kind == JobKind::Save && !active.progress.is_cancelled() {
                state.last_ok = false;
            }
            state.last_save = Some(ended.clone());
        }
        if state.ended.len() == REMEMBERED {
            state.ended.pop_front();
        }
        state.ended.push_back(ended);
        drop(state);
        self.one_ended.notify_all();
        self.ended.send_replace(active.id.0);
    }
}

impl State {
    fn find(&self, id: JobId) -> Option<Ended> {
        self.ended.iter().find(|ended| ended.id == id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::{Sender, channel};

    /// Jobs on a clock that the test moves, in milliseconds.
    fn jobs() -> (Jobs, Arc<AtomicU64>) {
        let now = Arc::new(AtomicU64::new(1_000_000));
        let hand = |now: &Arc<AtomicU64>| -> Arc<dyn Fn() -> u64 + Send + Sync> {
            let now = Arc::clone(now);
            Arc::new(move || now.load(Ordering::Relaxed))
        };
        (Jobs::new(Clocks { unix_ms: hand(&now), monotonic_ms: hand(&now) }), now)
    }

    fn done() -> Done {
        Done { path: "x".into(), bytes: 10, keys: 2 }
    }

    /// Starts a job that ends when the sender says how.
    fn held(jobs: &Jobs, kind: JobKind) -> (JobId, Sender<Result<Done, String>>) {
        let (say, said) = channel();
        let id = jobs.start(kind, move |_| said.recv().unwrap_or(Err("nobody said".into())));
        (id.unwrap(), say)
    }

    #[test]
    fn one_at_a_time() {
        let (jobs, now) = jobs();
        let (id, say) = held(&jobs, JobKind::Save);
        assert_eq!(jobs.start(JobKind::Rewrite, |_| Ok(done())), Err(Busy { id, kind: JobKind::Save }));
        assert_eq!(jobs.status().running.unwrap().id, id);
        now.fetch_add(1_500, Ordering::Relaxed);
        assert_eq!(jobs.status().running.unwrap().progress.elapsed_ms, 1_500);
        say.send(Ok(done())).unwrap();
        let ended = jobs.wait(id).unwrap();
        assert_eq!((ended.result.clone(), ended.duration_ms), (Ok(done()), 1_500));
        let status = jobs.status();
        assert_eq!((status.running, status.saves, status.last_ok), (None, 1, true));
        assert_eq!((status.last_success_unix_ms, status.last_try_unix_ms), (1_001_500, 1_000_000));
        assert_eq!(status.last_save, Some(ended));
    }

    #[test]
    fn a_failure_and_a_panic_are_told_and_the_next_may_start() {
        let (jobs, _) = jobs();
        let id = jobs.start(JobKind::Save, |_| Err("the disk is full".into())).unwrap();
        assert_eq!(jobs.wait(id).unwrap().result, Err("the disk is full".into()));
        let status = jobs.status();
        assert!(!status.last_ok && status.last_success_unix_ms == 1_000_000 && status.saves == 0);
        let id = jobs.start(JobKind::Save, |_| panic!("a planted panic")).unwrap();
        assert!(jobs.wait(id).unwrap().result.unwrap_err().contains("panicked"));
        let id = jobs.start(JobKind::Rewrite, |_| Ok(done())).unwrap();
        jobs.wait(id).unwrap();
        assert!(!jobs.status().last_ok, "a rewrite says nothing about saves");
        let id = jobs.start(JobKind::Save, |_| Ok(done())).unwrap();
        jobs.wait(id).unwrap();
        assert!(jobs.status().last_ok);
        let id = jobs.start(JobKind::ForegroundSave, |_| Err("the disk is full".into())).unwrap();
        assert_eq!(jobs.wait(id).unwrap().result, Err("the disk is full".into()));
        let status = jobs.status();
        assert!(status.last_ok, "whoever waited was told");
        assert_eq!(status.last_save.map(|ended| ended.id), Some(id));
        assert_eq!(jobs.wait(JobId(99)), None);
    }

    #[test]
    fn save_points_follow_redis() {
        let points = [SavePoint { seconds: 900, changes: 1 }, SavePoint { seconds: 60, changes: 10_000 }];
        assert_eq!(due(0, 10_000, &points), None);
        assert_eq!(due(1, 900, &points), None, "more seconds than the point's, not as many");
        assert_eq!(due(1, 901, &points), Some(points[0]));
        assert_eq!(due(9_999, 61, &points), None);
        assert_eq!(due(10_000, 61, &points), Some(points[1]));
        assert_eq!(due(u64::MAX, u64::MAX, &[]), None);
    }

    #[test]
    fn a_failed_save_is_tried_again_after_the_delay() {
        let (jobs, now) = jobs();
        let points = [SavePoint { seconds: 1, changes: 1 }];
        assert_eq!(jobs.due(5, &points), None, "the start counts as a save");
        now.fetch_add(2_000, Ordering::Relaxed);
        assert_eq!(jobs.due(5, &points), Some(points[0]));
        let (id, say) = held(&jobs, JobKind::Save);
        assert_eq!(jobs.due(5, &points), None, "one is running");
        say.send(Err("full".into())).unwrap();
        jobs.wait(id).unwrap();
        now.fetch_add(5_000, Ordering::Relaxed);
        assert_eq!(jobs.due(5, &points), None);
        now.fetch_add(1_000, Ordering::Relaxed);
        assert_eq!(jobs.due(5, &points), Some(points[0]));
    }

    #[test]
    fn a_scheduled_save_waits_for_its_turn() {
        let (jobs, _) = jobs();
        assert!(!jobs.take_scheduled());
        let (id, say) = held(&jobs, JobKind::Rewrite);
        jobs.schedule();
        assert!(!jobs.take_scheduled() && jobs.status().scheduled);
        say.send(Ok(done())).unwrap();
        jobs.wait(id).unwrap();
        assert!(jobs.take_scheduled());
        assert!(!jobs.take_scheduled(), "once");
    }

    #[test]
    fn cancelling_reaches_the_job() {
        let (jobs, _) = jobs();
        assert_eq!(jobs.cancel(), None);
        let (go, gone) = channel();
        let work = move |progress: &Progress| {
            gone.recv().map_err(|e| e.to_string())?;
            if progress.is_cancelled() { Err("cancelled".to_string()) } else { Ok(done()) }
        };
        let id = jobs.start(JobKind::Save, work).unwrap();
        assert!(!jobs.status().running.unwrap().cancelled);
        assert_eq!(jobs.cancel(), Some(id));
        assert!(jobs.status().running.unwrap().cancelled);
        go.send(()).unwrap();
        assert_eq!(jobs.wait(id).unwrap().result, Err("cancelled".into()));
        assert!(jobs.status().last_ok, "nothing went wrong");
    }

    #[tokio::test]
    async fn a_task_can_wait() {
        let (jobs, _) = jobs();
        let (id, say) = held(&jobs, JobKind::Save);
        let waiting = tokio::spawn({
            let jobs = jobs.clone();
            async move { jobs.ended(id).await }
        });
        tokio::task::yield_now().await;
        say.send(Ok(done())).unwrap();
        assert_eq!(waiting.await.unwrap().unwrap().result, Ok(done()));
        assert_eq!(jobs.ended(id).await.unwrap().id, id, "and when it is over already");
    }
}
