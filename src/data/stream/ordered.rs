//! Values by ID, in order, in segments that copies share.
//!
//! The outer row holds a segment's first ID and a pointer to it; a segment holds up to 256 values side by
//! side. Finding one is two binary searches. A copy copies the outer row alone (a few hundred pointers for
//! a million entries' nodes), and whoever changes a segment that is shared copies that segment first: this
//! is what makes handing a stream over to a save cheap.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Id;

/// The most values of a segment.
const SEGMENT: usize = 256;

#[derive(Clone, Debug)]
struct Segment<V> {
    /// The first ID of its values; stale while it has none.
    first: Id,
    items: Arc<VecDeque<(Id, V)>>,
}

/// See the module's text.
///
/// All segments have values, but for a single one that was emptied: it stays, so that a list of what is
/// pending that swings between nothing and one entry allocates nothing.
#[derive(Clone, Debug)]
pub struct Ordered<V> {
    segments: VecDeque<Segment<V>>,
    len: usize,
}

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Ordered { segments: VecDeque::new(), len: 0 }
    }
}

/// A place: segment and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    segment: usize,
    index: usize,
}

impl<V: Clone> Ordered<V> {
    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first.
    pub fn first(&self) -> Option<(Id, &V)> {
        let (id, value) = self.segments.front()?.items.front()?;
        Some((*id, value))
    }

    /// The last.
    pub fn last(&self) -> Option<(Id, &V)> {
        let (id, value) = self.segments.back()?.items.back()?;
        Some((*id, value))
    }

    /// The place of the first ID that is not below `id`, whose segment may end there.
    #[inline]
    fn seek(&self, id: Id) -> At {
        let segment = match self.segments.back() {
            // The newest are asked for most.
            Some(last) if last.first <= id => self.segments.len() - 1,
            _ => self.segments.partition_point(|segment| segment.first <= id).saturating_sub(1),
        };
        let index = self.segments.get(segment).map_or(0, |found| place_in(&found.items, id));
        At { segment, index }
    }

    #[inline]
    fn find(&self, id: Id) -> Option<At> {
        let at = self.seek(id);
        (self.segments.get(at.segment)?.items.get(at.index)?.0 == id).then_some(at)
    }

    /// The value of an ID.
    pub fn get(&self, id: Id) -> Option<&V> {
        let at = self.find(id)?;
        Some(&self.segments[at.segment].items[at.index].1)
    }

    /// The value of an ID, to be changed.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut V> {
        let at = self.find(id)?;
        let items = Arc::make_mut(&mut self.segments.get_mut(at.segment)?.items);
        items.get_mut(at.index).map(|(_, value)| value)
    }

    /// Sets the value of an ID; gives back the one it had.
    pub fn insert(&mut self, id: Id, value: V) -> Option<V> {
        if self.len == 0 || self.last().is_some_and(|(last, _)| last < id) {
            self.append(id, value);
            return None;
        }
        let at = self.seek(id);
        let segment = &mut self.segments[at.segment];
        let items = Arc::make_mut(&mut segment.items);
        if let Some((found, old)) = items.get_mut(at.index)
            && *found == id
        {
            return Some(std::mem::replace(old, value));
        }
        items.insert(at.index, (id, value));
        segment.first = segment.first.min(id);
        self.len += 1;
        if items.len() > SEGMENT {
            let upper = items.split_off(SEGMENT / 2);
            self.put_segment(at.segment + 1, upper);
        }
        None
    }

    fn put_segment(&mut self, index: usize, items: VecDeque<(Id, V)>) {
        if let Some(&(first, _)) = items.front() {
            self.segments.insert(index, Segment { first, items: Arc::new(items) });
        }
    }

    /// Adds a value behind all others.
    #[inline]
    fn append(&mut self, id: Id, value: V) {
        self.len += 1;
        if let Some(segment) = self.segments.back_mut()
            && segment.items.len() < SEGMENT
        {
            if segment.items.is_empty() {
                segment.first = id;
            }
            Arc::make_mut(&mut segment.items).push_back((id, value));
            return;
        }
        let mut items = VecDeque::with_capacity(if self.segments.is_empty() { 4 } else { SEGMENT });
        items.push_back((id, value));
        if self.segments.is_empty() {
            self.segments.reserve_exact(1);
        }
        self.segments.push_back(Segment { first: id, items: Arc::new(items) });
    }

    /// Takes an ID's value out.
    pub fn remove(&mut self, id: Id) -> Option<V> {
        let at = self.find(id)?;
        let only = self.segments.len() == 1;
        let segment = self.segments.get_mut(at.segment)?;
        let items = Arc::make_mut(&mut segment.items);
        let (_, value) = items.remove(at.index)?;
        self.len -= 1;
        match items.front() {
            Some(&(first, _)) => segment.first = first,
            None if !only => {
                self.segments.remove(at.segment);
                return Some(value);
            }
            None => {}
        }
        if items_are_sparse(items) {
            items.shrink_to(items.len() * 2);
        }
        if items.len() < SEGMENT / 4 {
            self.join(at.segment);
        }
        Some(value)
    }

    /// Joins a segment that has become small with the next, if both fit well into one.
    fn join(&mut self, index: usize) {
        let fits = match (self.segments.get(index), self.segments.get(index + 1)) {
            (Some(one), Some(next)) => one.items.len() + next.items.len() <= SEGMENT / 2,
            _ => false,
        };
        if fits && let Some(next) = self.segments.remove(index + 1) {
            let items = Arc::make_mut(&mut self.segments[index].items);
            items.extend(Arc::unwrap_or_clone(next.items));
        }
    }

    /// Takes the last value out.
    pub fn pop_last(&mut self) -> Option<(Id, V)> {
        let id = self.last()?.0;
        self.remove(id).map(|value| (id, value))
    }

    /// Takes the first `count` values out. Whole segments change hands without being looked at.
    pub fn take_first(&mut self, mut count: usize) -> Ordered<V> {
        let mut taken = Ordered::default();
        while count > 0
            && let Some(segment) = self.segments.front()
        {
            let held = segment.items.len();
            if held <= count {
                count -= held;
                self.len -= held;
                taken.len += held;
                taken.segments.extend(self.segments.pop_front());
                continue;
            }
            let segment = &mut self.segments[0];
            let items = Arc::make_mut(&mut segment.items);
            for (id, value) in items.drain(..count) {
                taken.append(id, value);
            }
            segment.first = items.front().map_or(segment.first, |&(first, _)| first);
            self.len -= count;
            count = 0;
        }
        taken
    }

    /// The values from `id` on.
    pub fn from(&self, id: Id) -> Iter<'_, V> {
        Iter { ordered: self, at: self.seek(id) }
    }

    /// All values.
    pub fn iter(&self) -> Iter<'_, V> {
        Iter { ordered: self, at: At { segment: 0, index: 0 } }
    }

    /// The values from the last one that is not above `id` down to the first.
    pub fn down_from(&self, id: Id) -> Down<'_, V> {
        let mut at = self.seek(id);
        // Behind the one that is meant, unless it is there itself.
        if self.find(id).is_some() {
            at.index += 1;
        }
        Down { ordered: self, at }
    }

    /// Bytes allocated, if all segments are this one's own.
    pub fn memory_usage(&self) -> usize {
        let slack = if self.segments.len() == 1 { self.segments[0].items.capacity() } else { self.len };
        self.segments.capacity() * size_of::<Segment<V>>()
            + self.segments.len() * (size_of::<VecDeque<V>>() + 16)
            + slack * size_of::<(Id, V)>()
    }
}

#[inline]
fn place_in<V>(items: &VecDeque<(Id, V)>, id: Id) -> usize {
    match items.back() {
        Some(&(last, _)) if last < id => items.len(),
        Some(&(last, _)) if last == id => items.len() - 1,
        _ => items.partition_point(|&(other, _)| other < id),
    }
}

fn items_are_sparse<V>(items: &VecDeque<(Id, V)>) -> bool {
    items.capacity() > 32 && items.len() * 4 < items.capacity()
}

/// Values in ascending order.
#[derive(Debug)]
pub struct Iter<'a, V> {
    ordered: &'a Ordered<V>,
    at: At,
}

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = (Id, &'a V);

    fn next(&mut self) -> Option<(Id, &'a V)> {
        loop {
            let segment = self.ordered.segments.get(self.at.segment)?;
            if let Some((id, value)) = segment.items.get(self.at.index) {
                self.at.index += 1;
                return Some((*id, value));
            }
            self.at = At { segment: self.at.segment + 1, index: 0 };
        }
    }
}

/// Values in descending order.
#[derive(Debug)]
pub struct Down<'a, V> {
    ordered: &'a Ordered<V>,
    /// Behind the next.
    at: At,
}

impl<'a, V> Iterator for Down<'a, V> {
    type Item = (Id, &'a V);

    fn next(&mut self) -> Option<(Id, &'a V)> {
        while self.at.index == 0 {
            self.at.segment = self.at.segment.checked_sub(1)?;
            self.at.index = self.ordered.segments.get(self.at.segment)?.items.len();
        }
        self.at.index -= 1;
        let (id, value) = self.ordered.segments.get(self.at.segment)?.items.get(self.at.index)?;
        Some((*id, value))
    }
}
