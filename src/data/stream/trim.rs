//! Trimming: taking the oldest entries away, whole nodes at a time where that may be.

use std::sync::Arc;

use super::log::{Log, Sealed};
use super::ordered::Ordered;
use super::{Id, Stream};

/// What is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The newest entries, so many.
    Newest(u64),
    /// The entries from this ID on.
    From(Id),
}

/// How to trim.
#[derive(Clone, Copy, Debug)]
pub struct Trim {
    /// What is to be kept.
    pub keep: Keep,
    /// Only whole nodes are taken away.
    pub whole_nodes: bool,
    /// No more entries are taken away than this; 0 is no limit.
    pub limit: u64,
}

/// What trimming took away.
#[derive(Debug, Default)]
pub struct Trimmed {
    /// How many entries.
    pub entries: u64,
    /// The nodes, to be freed elsewhere when they are many.
    pub nodes: Option<Stream>,
}

/// From this number of nodes on they are given back instead of being freed.
const FREED_ELSEWHERE: usize = 64;

impl Log {
    /// Takes the oldest entries away.
    pub fn trim(&mut self, trim: &Trim) -> Trimmed {
        let mut trimmed = Trimmed::default();
        if matches!(trim.keep, Keep::Newest(len) if self.len <= len) || self.tail.is_none() {
            return trimmed;
        }
        let stopped = self.trim_sealed(trim, &mut trimmed);
        if !stopped && self.sealed.is_none() {
            self.trim_tail(trim, &mut trimmed);
        }
        if trimmed.entries > 0 {
            self.find_ends(true, true);
        }
        trimmed
    }

    /// Whether a node of `live` entries up to `last` goes as a whole. Nothing when trimming ends before it.
    fn goes(&self, trim: &Trim, taken: u64, live: u32, last: impl FnOnce() -> Id) -> Option<bool> {
        let live = u64::from(live);
        if matches!(trim.keep, Keep::Newest(len) if self.len <= len) {
            return None;
        }
        if trim.limit > 0 && taken + live > trim.limit {
            return None;
        }
        Some(match trim.keep {
            Keep::Newest(len) => self.len - live >= len,
            Keep::From(id) => last() < id,
        })
    }

    /// Takes away nodes before the last. True when trimming is done.
    fn trim_sealed(&mut self, trim: &Trim, trimmed: &mut Trimmed) -> bool {
        let Some(mut sealed) = self.sealed.take() else { return false };
        let (mut nodes, mut part) = (0, None);
        let mut stopped = false;
        let tail = self.tail.as_ref().map(|tail| tail.first);
        let mut following = sealed.iter().map(|(first, _)| first).skip(1).chain(tail);
        for (first, one) in sealed.iter() {
            // A node that lies before one that goes, or begins what stays, need not be looked into.
            let next = following.next().unwrap_or(Id::MAX);
            let last = || match trim.keep {
                Keep::From(id) if next <= id => first,
                _ => one.node.last,
            };
            match self.goes(trim, trimmed.entries, one.live, last) {
                Some(true) => {
                    nodes += 1;
                    self.len -= u64::from(one.live);
                    self.bytes -= one.bytes as usize;
                    trimmed.entries += u64::from(one.live);
                    continue;
                }
                Some(false) => part = Some(first),
                None => {}
            }
            stopped = true;
            break;
        }
        let taken = sealed.take_first(nodes);
        if let Some(first) = part.filter(|_| !trim.whole_nodes)
            && let Some(one) = sealed.get_mut(first)
        {
            let marked = self.delete_oldest(trim, &mut one.node);
            one.live -= marked as u32;
            trimmed.entries += marked;
        }
        if !sealed.is_empty() {
            self.sealed = Some(sealed);
        }
        if nodes >= FREED_ELSEWHERE {
            trimmed.nodes = Some(Stream::of_nodes(taken));
        }
        stopped
    }

    fn trim_tail(&mut self, trim: &Trim, trimmed: &mut Trimmed) {
        let Some(mut tail) = self.tail.take() else { return };
        match self.goes(trim, trimmed.entries, tail.live.into(), || tail.last) {
            Some(true) => {
                self.len -= u64::from(tail.live);
                self.bytes -= tail.memory_usage();
                trimmed.entries += u64::from(tail.live);
                return;
            }
            Some(false) if !trim.whole_nodes => trimmed.entries += self.delete_oldest(trim, &mut tail),
            _ => {}
        }
        self.tail = Some(tail);
    }

    /// Marks the oldest entries of a node that stays.
    fn delete_oldest(&mut self, trim: &Trim, node: &mut Arc<super::node::Node>) -> u64 {
        let mut surplus = match trim.keep {
            Keep::Newest(len) => self.len - len.min(self.len),
            Keep::From(_) => u64::MAX,
        };
        // A node that a save still holds is copied only if something in it goes.
        if surplus == 0 || matches!(trim.keep, Keep::From(id) if node.first >= id) {
            return 0;
        }
        let node = Arc::make_mut(node);
        let marked = match trim.keep {
            Keep::From(id) => node.delete_while(|entry, _| entry < id),
            Keep::Newest(_) => node.delete_while(|_, deleted| {
                let goes = surplus > 0;
                surplus -= u64::from(goes && !deleted);
                goes
            }),
        };
        self.len -= u64::from(marked);
        u64::from(marked)
    }
}

impl Stream {
    /// Nodes that nobody wants any more.
    fn of_nodes(nodes: Ordered<Sealed>) -> Stream {
        let mut stream = Stream::default();
        stream.inner.log.len = nodes.len() as u64;
        stream.inner.log.sealed = Some(Box::new(nodes));
        stream
    }
}
