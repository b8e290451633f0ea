//! Where the effects of units go: into the append-only file, and into the stream that replicas follow.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::command::effects::Effects;
use crate::config::Config;
use crate::engine::Status;
use crate::engine::log::{EffectLog, Keeper};
use crate::replica::Replication;
use crate::store::{Loss, Store};

use super::append_only::AppendOnly;

/// Both of them. A unit's effects are added while it holds its locks, so each has them in the order of the locks.
#[derive(Debug)]
pub(super) struct EffectLogs {
    append_only: Arc<AppendOnly>,
    replication: Arc<Replication>,
    status: Arc<Status>,
    config: Config,
}

impl EffectLogs {
    /// What expires or is evicted goes into them, too.
    pub(super) fn new(
        append_only: &Arc<AppendOnly>,
        replication: &Arc<Replication>,
        status: &Arc<Status>,
        config: &Config,
        store: &Store,
    ) -> Arc<EffectLogs> {
        let this = Arc::new(EffectLogs {
            append_only: Arc::clone(append_only),
            replication: Arc::clone(replication),
            status: Arc::clone(status),
            config: config.clone(),
        });
        let told = Arc::clone(&this);
        store.on_loss(move |database, key, why| {
            if told.status.logging.any() {
                told.lost(database, key, why);
            }
        });
        this
    }

    fn lost(&self, database: usize, key: &[u8], why: Loss) {
        let settings = self.config.current();
        let lazily = match why {
            Loss::Expired => settings.lazyfree_lazy_expire,
            Loss::Evicted => settings.lazyfree_lazy_eviction,
        };
        let command: &[u8] = if lazily { b"UNLINK" } else { b"DEL" };
        self.append_command(database, &[command, key]);
    }

    /// Appends one command.
    pub(super) fn append_command(&self, database: usize, words: &[&[u8]]) {
        let mut effects = Effects::default();
        effects.push(database, words.iter().copied());
        self.append(&effects);
    }

    fn stream(&self, effects: &Effects) -> u64 {
        self.replication.append(|feeder| {
            for (count, group) in effects.groups() {
                let mut group = group.peekable();
                if count > 1 {
                    feeder.multi(group.peek().map(|effect| effect.database));
                }
                group.for_each(|effect| feeder.command(effect.database, effect.bytes));
                if count > 1 {
                    feeder.exec();
                }
            }
        })
    }
}

impl EffectLog for EffectLogs {
    fn append(&self, effects: &Effects) -> u64 {
        if self.status.logging.has(Keeper::File) {
            self.append_only.append(effects);
        }
        if self.status.logging.has(Keeper::Stream) { self.stream(effects) } else { 0 }
    }

    fn end(&self) -> u64 {
        self.append_only.log.end()
    }

    fn settle(&self) -> bool {
        self.append_only.log.settle()
    }

    fn poll_safe(&self, end: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.append_only.log.is_safe(end, cx.waker()) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn error(&self) -> Option<String> {
        self.append_only.log.error()
    }
}
