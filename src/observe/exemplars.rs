//! Exemplars: for each bucket of a command's latency histogram that Prometheus is shown, the latest call in it that
//! was traced. So a dashboard leads from a bar of the histogram to the trace of a call that is in it.
//!
//! Only calls that are traced come here, a thousand a second at most, and each leaves one small record in a place of
//! its own: what is kept is bounded by the commands that there are. None of them waits: whoever meets somebody
//! that looks leaves nothing.

use std::sync::{Mutex, PoisonError, TryLockError};

use super::histogram::BOUNDS;

/// The buckets that are shown: one below each bound, and one for what is above them all.
pub const SHOWN: usize = BOUNDS.len() + 1;

/// A call that was traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// How long it took, as the histogram counted it.
    pub nanos: u64,
    /// When it had run, milliseconds since 1970.
    pub unix_ms: u64,
    /// The trace's id.
    pub trace: [u8; 16],
    /// The id of the call's span in it.
    pub span: [u8; 8],
}

/// The exemplars of one command, by bucket.
pub type OfCommand = Box<[Option<Exemplar>; SHOWN]>;

/// The exemplars of all commands.
#[derive(Debug)]
pub struct Exemplars {
    /// By command; made at the first one.
    commands: Mutex<Box<[Option<OfCommand>]>>,
}

impl Exemplars {
    /// None yet, of so many commands.
    pub fn new(commands: usize) -> Self {
        Self { commands: Mutex::new((0..commands).map(|_| None).collect()) }
    }

    /// Notes a call that was traced. The later one of a bucket stays.
    pub fn note(&self, command: usize, exemplar: Exemplar) {
        let mut commands = match self.commands.try_lock() {
            Ok(commands) => commands,
            // Each is put whole.
            Err(TryLockError::Poisoned(commands)) => commands.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let Some(kept) = commands.get_mut(command) else { return };
        let kept = kept.get_or_insert_with(|| Box::new([None; SHOWN]));
        let bucket = &mut kept[bucket_of(exemplar.nanos)];
        // A call that had to wait for something is told of late.
        if bucket.is_none_or(|before| before.unix_ms <= exemplar.unix_ms) {
            *bucket = Some(exemplar);
        }
    }

    /// Those of each command that has any, by its index.
    pub fn all(&self) -> Vec<(usize, OfCommand)> {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(command, kept): (usize, &Option<OfCommand>)| Some((command, kept.clone()?));
        commands.iter().enumerate().filter_map(of).collect()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).fill(None);
    }
}

/// The first bucket that is shown and holds this time.
fn bucket_of(nanos: u64) -> usize {
    BOUNDS.partition_point(|exponent| nanos >= 1_u64 << exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(nanos: u64, unix_ms: u64) -> Exemplar {
        Exemplar { nanos, unix_ms, trace: [1; 16], span: [2; 8] }
    }

    #[test]
    fn a_time_is_in_the_bucket_that_counts_it() {
        assert_eq!([0, 1_023, 1_024, 2_047, 2_048].map(bucket_of), [0, 0, 1, 1, 2]);
        assert_eq!([(1 << 34) - 1, 1 << 34, u64::MAX].map(bucket_of), [17, 18, 18]);
    }

    #[test]
    fn the_latest_of_each_bucket_stays() {
        let exemplars = Exemplars::new(2);
        assert!(exemplars.all().is_empty());
        for (nanos, unix_ms) in [(1_500, 10), (1_600, 30), (1_700, 20), (5_000_000, 5)] {
            exemplars.note(1, exemplar(nanos, unix_ms));
        }
        // One that no command has is ignored.
        exemplars.note(2, exemplar(1, 1));
        let all = exemplars.all();
        let [(1, of_one)] = all.as_slice() else { panic!("{all:?}") };
        let kept: Vec<_> = of_one.iter().enumerate().filter_map(|(at, one)| Some((at, (*one)?))).collect();
        assert_eq!(kept, [(1, exemplar(1_600, 30)), (12, exemplar(5_000_000, 5))]);
        exemplars.clear();
        assert!(exemplars.all().is_empty());
    }

    #[test]
    fn nobody_waits_for_who_looks() {
        let exemplars = Exemplars::new(1);
        let looks = exemplars.commands.lock();
        exemplars.note(0, exemplar(1, 1));
        drop(looks);
        assert!(exemplars.all().is_empty());
    }

    #[test]
    fn the_bound_is_a_quarter_of_a_megabyte_for_250_commands() {
        assert!(250 * size_of::<[Option<Exemplar>; SHOWN]>() <= 256 << 10);
    }
}
