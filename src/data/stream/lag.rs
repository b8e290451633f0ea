//! How many entries a group has still to read: Redis 7.0's way of telling it from counters, without
//! counting.

use super::Id;
use super::group::Group;
use super::log::Log;

impl Log {
    /// Whether an entry after `start` (or at it) may have been deleted from between others.
    pub fn has_tombstones_from(&self, start: Id) -> bool {
        self.len > 0
            && self.max_deleted != Id::MIN
            && self.first_entry <= self.max_deleted
            && start <= self.max_deleted
    }

    /// How many entries were ever added up to this ID, where that can be told.
    pub fn counter_at(&self, id: Id) -> Option<i64> {
        let added = self.added as i64;
        if self.added == 0 {
            return Some(0);
        }
        if (self.len == 0 && id <= self.last_id) || id == self.last_id {
            return Some(added);
        }
        if id > self.last_id {
            return None;
        }
        let whole = self.max_deleted == Id::MIN || self.max_deleted < self.first_entry;
        let before_first = added.wrapping_sub(self.len as i64);
        match id.cmp(&self.first_entry) {
            std::cmp::Ordering::Less if whole => Some(before_first),
            std::cmp::Ordering::Equal if whole => Some(before_first.wrapping_add(1)),
            _ => None,
        }
    }

    /// How many entries a group has still to read, where that can be told.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let added = self.added as i64;
        match group.entries_read {
            _ if self.added == 0 => Some(0),
            Some(read) if !self.has_tombstones_from(group.last_id) => Some(added.wrapping_sub(read)),
            _ => self.counter_at(group.last_id).map(|read| added.wrapping_sub(read)),
        }
    }
}

impl Group {
    /// Notes that the entry of this ID was delivered, if it is beyond what was. True if so.
    #[inline]
    pub fn advance(&mut self, log: &Log, id: Id) -> bool {
        if id <= self.last_id {
            return false;
        }
        if let Some(read) = self.entries_read
            && !log.has_tombstones_from(id)
        {
            self.entries_read = Some(read.wrapping_add(1));
        } else if log.added > 0 {
            self.entries_read = log.counter_at(id);
        }
        self.last_id = id;
        true
    }
}
