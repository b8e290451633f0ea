//! The latency monitor: events that took at least `latency-monitor-threshold`, by kind.
//!
//! As in Redis each kind keeps the worst of each second, for the last 160 seconds that had one, and the
//! worst of all time. What happens quickly never comes here.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Seconds that are kept of each kind.
const KEPT: usize = 160;
/// Columns of a graph.
const COLUMNS: usize = 80;
/// Rows of a graph.
const ROWS: usize = 4;

/// The worst of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spike {
    /// The second, since 1970.
    pub unix_s: u64,
    /// How long it took.
    pub ms: u64,
}

/// What one kind of event had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spikes {
    /// The oldest first; never empty.
    pub samples: VecDeque<Spike>,
    /// The worst since it was reset.
    pub worst_ms: u64,
}

/// Slow events by kind.
#[derive(Debug, Default)]
pub struct LatencyMonitor {
    events: Mutex<BTreeMap<&'static str, Spikes>>,
}

impl LatencyMonitor {
    fn events(&self) -> MutexGuard<'_, BTreeMap<&'static str, Spikes>> {
        // Each change is small and whole.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an event if it took long enough. `threshold_ms` 0 is off.
    #[inline]
    pub fn note(&self, event: &'static str, threshold_ms: u64, unix_ms: u64, nanos: u64) {
        let ms = nanos / 1_000_000;
        if threshold_ms > 0 && ms >= threshold_ms {
            self.add(event, Spike { unix_s: unix_ms / 1_000, ms });
        }
    }

    #[cold]
    fn add(&self, event: &'static str, spike: Spike) {
        let mut events = self.events();
        let spikes = events.entry(event).or_default();
        spikes.worst_ms = spikes.worst_ms.max(spike.ms);
        match spikes.samples.back_mut() {
            Some(last) if last.unix_s == spike.unix_s => last.ms = last.ms.max(spike.ms),
            _ => {
                if spikes.samples.len() == KEPT {
                    spikes.samples.pop_front();
                }
                spikes.samples.push_back(spike);
            }
        }
    }

    /// What a kind of event had.
    pub fn of(&self, event: &[u8]) -> Option<Spikes> {
        self.events().iter().find(|(name, _)| name.as_bytes() == event).map(|(_, spikes)| spikes.clone())
    }

    /// All kinds that had something, by name.
    pub fn all(&self) -> Vec<(&'static str, Spikes)> {
        self.events().iter().map(|(name, spikes)| (*name, spikes.clone())).collect()
    }

    /// Forgets all kinds, or one whatever the case of its name. How many had something.
    pub fn reset(&self, event: Option<&[u8]>) -> usize {
        let mut events = self.events();
        let before = events.len();
        events.retain(|name, _| event.is_some_and(|event| !name.as_bytes().eq_ignore_ascii_case(event)));
        before - events.len()
    }
}

impl Spikes {
    /// The mean, and how far the spikes are from it on average.
    pub fn mean_and_deviation_ms(&self) -> (u64, u64) {
        let count = self.samples.len().max(1) as u64;
        let mean = self.samples.iter().map(|spike| spike.ms).sum::<u64>() / count;
        let off = self.samples.iter().map(|spike| spike.ms.abs_diff(mean)).sum::<u64>() / count;
        (mean, off)
    }

    /// Seconds from one spike to the next, on average; 0 with fewer than two.
    pub fn period_s(&self) -> u64 {
        match (self.samples.front(), self.samples.back()) {
            (Some(first), Some(last)) if self.samples.len() > 1 => {
                last.unix_s.saturating_sub(first.unix_s) / (self.samples.len() as u64 - 1)
            }
            _ => 0,
        }
    }

    /// A graph of the last spikes in characters: their height relative to each other, below each its age
    /// to be read downwards.
    pub fn graph(&self, event: &str, now_unix_s: u64) -> String {
        let shown: Vec<Spike> =
            self.samples.iter().copied().skip(self.samples.len().saturating_sub(COLUMNS)).collect();
        let high = self.samples.iter().map(|spike| spike.ms).max().unwrap_or(0);
        let low = self.samples.iter().map(|spike| spike.ms).min().unwrap_or(0);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{event} - high {high} ms, low {low} ms (all time high {} ms)\n{}",
            self.worst_ms,
            "-".repeat(COLUMNS)
        );
        // Half characters: a column of height n fills n / 2 rows, an odd one has a half on top.
        let height = |ms: u64| {
            let span = (high - low).max(1);
            1 + (ms - low) * (ROWS as u64 * 2 - 1) / span
        };
        for row in (0..ROWS as u64).rev() {
            let line: String = shown
                .iter()
                .map(|spike| match height(spike.ms).saturating_sub(row * 2) {
                    0 => ' ',
                    1 => '_',
                    _ => '#',
                })
                .collect();
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text.push('\n');
        let ages: Vec<Vec<char>> = shown
            .iter()
            .map(|spike| age(now_unix_s.saturating_sub(spike.unix_s)).chars().collect())
            .collect();
        for row in 0..ages.iter().map(Vec::len).max().unwrap_or(0) {
            let line: String = ages.iter().map(|age| age.get(row).copied().unwrap_or(' ')).collect();
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn only_what_is_slow_enough_is_kept_and_of_a_second_the_worst() {
        let monitor = LatencyMonitor::default();
        monitor.note("command", 0, 1_000, 900 * MS);
        monitor.note("command", 100, 1_000, 99 * MS);
        assert!(monitor.all().is_empty());
        monitor.note("command", 100, 1_000, 100 * MS);
        monitor.note("command", 100, 1_999, 300 * MS);
        monitor.note("command", 100, 1_999, 200 * MS);
        monitor.note("command", 100, 2_000, 150 * MS);
        let spikes = monitor.of(b"command").expect("noted");
        assert_eq!(spikes.samples, [Spike { unix_s: 1, ms: 300 }, Spike { unix_s: 2, ms: 150 }]);
        assert_eq!((spikes.worst_ms, spikes.period_s(), spikes.mean_and_deviation_ms()), (300, 1, (225, 75)));
        assert!(monitor.of(b"COMMAND").is_none());
        assert_eq!(monitor.reset(Some(b"other")), 0);
        assert_eq!(monitor.reset(Some(b"COMMAND")), 1);
        assert_eq!(monitor.reset(None), 0);
    }

    #[test]
    fn the_oldest_seconds_go() {
        let monitor = LatencyMonitor::default();
        (0..KEPT as u64 + 5).for_each(|second| monitor.note("command", 1, second * 1_000, MS));
        let spikes = monitor.of(b"command").expect("noted");
        assert_eq!((spikes.samples.len(), spikes.samples[0].unix_s), (KEPT, 5));
    }

    #[test]
    fn a_graph_shows_heights_and_ages() {
        let mut spikes = Spikes { worst_ms: 900, ..Spikes::default() };
        spikes.samples.extend([(100, 10), (101, 80), (160, 45)].map(|(unix_s, ms)| Spike { unix_s, ms }));
        let graph = spikes.graph("command", 165);
        let lines: Vec<&str> = graph.lines().collect();
        assert_eq!(lines[0], "command - high 80 ms, low 10 ms (all time high 900 ms)");
        assert_eq!(&lines[2..6], [" #", " #", " ##", "_##"]);
        assert_eq!(&lines[7..9], ["115", "mms"]);
    }
}
