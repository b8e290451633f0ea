//! What others get to see of a call: MONITOR its arguments, the slow log and the latency monitor its time.
//!
//! Here is the one place that decides what of a call may be shown at all.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Settings;
use crate::observe::{SlowEntry, SlowStages, Stats, slowlog};
use crate::pubsub::{Limit, PubSub};

use super::Args;
use super::client::{Address, Client};
use super::row::{Command, Flags};

/// One call of a command.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Its row.
    pub row: &'static Command,
    /// Its arguments, the name included.
    pub args: &'a Args<'a>,
    /// Who called.
    pub client: &'a Client,
    /// Whether a script did, in that client's name.
    pub by_script: bool,
}

/// From how many nanoseconds on somebody wants to hear of a call; `u64::MAX` is never.
pub fn notable_ns(settings: &Settings) -> u64 {
    let slow = match u64::try_from(settings.slowlog_log_slower_than_us) {
        Ok(micros) => micros.saturating_mul(1_000),
        Err(_) => u64::MAX,
    };
    let spike = match settings.latency_monitor_threshold_ms {
        0 => u64::MAX,
        millis => millis.saturating_mul(1_000_000),
    };
    slow.min(spike)
}

/// Whether what took so long is slow to the slow log.
pub fn is_slow(settings: &Settings, took_ns: u64) -> bool {
    u64::try_from(settings.slowlog_log_slower_than_us).is_ok_and(|micros| took_ns / 1_000 >= micros)
}

impl<'a> Call<'a> {
    /// The arguments with what is secret hidden.
    fn shown(&self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        let (row, args) = (self.row, self.args);
        let secret = move |index: usize| row.flags.has(Flags::SECRET) && (row.secret)(args, index);
        (0..args.len()).map(move |index| if secret(index) { &b"(redacted)"[..] } else { args.get(index) })
    }

    /// Shows it to the monitors, if it is of the kind that they see. `database` is the client's.
    pub fn show(&self, hub: &PubSub, clock: &Clock, settings: &Settings, database: usize) {
        if self.row.flags.any(Flags::SKIP_MONITOR.with(Flags::ADMIN)) {
            return;
        }
        self.show_anyway(hub, clock, settings, database);
    }

    /// Shows it to the monitors: for a script, which shows itself before what it calls.
    #[cold]
    pub fn show_anyway(&self, hub: &PubSub, clock: &Clock, settings: &Settings, database: usize) {
        let source = match &self.client.local {
            _ if self.by_script => format!("{database} lua"),
            Address::Unix(path) => format!("{database} unix:{path}"),
            _ => format!("{database} {}", self.client.address),
        };
        let bounds = &settings.client_output_buffer_limit.pubsub;
        let limit = Limit { hard_bytes: bounds.hard_bytes, soft_bytes: bounds.soft_bytes };
        hub.monitors().show(clock.unix_us(), &source, self.shown(), limit);
    }

    /// Notes that it took so long, of which it waited `lock_wait_ns` for locks. Where the slow log has it now,
    /// its stages, for what the caller still learns about them.
    #[cold]
    pub fn note(
        &self,
        stats: &Stats,
        settings: &Settings,
        unix_ms: u64,
        took_ns: u64,
        lock_wait_ns: u64,
    ) -> Option<Arc<SlowStages>> {
        let event = if self.row.flags.has(Flags::FAST) { "fast-command" } else { "command" };
        stats.spikes().note(event, settings.latency_monitor_threshold_ms, unix_ms, took_ns);
        if !is_slow(settings, took_ns) || self.row.flags.has(Flags::SKIP_SLOWLOG) {
            return None;
        }
        let stages = Arc::new(SlowStages::new(lock_wait_ns, took_ns.saturating_sub(lock_wait_ns)));
        let entry = SlowEntry {
            id: 0,
            unix_s: unix_ms / 1_000,
            duration_us: took_ns / 1_000,
            arguments: slowlog::cut(self.shown()),
            peer: if self.by_script {
                Address::Internal.to_string()
            } else {
                self.client.address.to_string()
            },
            client_name: if self.by_script { Vec::new() } else { self.client.text().name },
            stages: Arc::clone(&stages),
        };
        stats.slow_log().push(entry, usize::try_from(settings.slowlog_max_len).unwrap_or(usize::MAX));
        Some(stages)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Registry;
    use super::super::client::Address;
    use super::*;
    use crate::resp::Span;

    /// What is shown of a request.
    fn shown(line: &str) -> String {
        let registry = Registry::new();
        let words: Vec<&str> = line.split(' ').collect();
        let mut spans = Vec::new();
        let mut at = 0;
        for word in &words {
            spans.push(Span { start: at, len: word.len() });
            at += word.len() + 1;
        }
        let args = Args::new(line.as_bytes(), &spans, &[]);
        let index = registry.resolve(words[0].as_bytes(), words.get(1).map(|word| word.as_bytes()));
        let row = registry.get(index.expect("a command")).row;
        let client = Client::new(1, Address::Internal, Address::Internal, -1, 0, 0);
        let call = Call { row, args: &args, client: &client, by_script: false };
        let words: Vec<_> = call.shown().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        for (line, expected) in [
            ("AUTH pass", "AUTH (redacted)"),
            ("auth user pass", "auth (redacted) (redacted)"),
            ("HELLO 3 AUTH user pass SETNAME n", "HELLO 3 AUTH (redacted) (redacted) SETNAME n"),
            ("HELLO 3 SETNAME auth", "HELLO 3 SETNAME auth"),
            ("CONFIG SET port 1 requirepass s3cret dir x", "CONFIG SET port 1 requirepass (redacted) dir x"),
            ("config set MASTERAUTH requirepass", "config set MASTERAUTH (redacted)"),
            ("CONFIG GET requirepass", "CONFIG GET requirepass"),
            ("acl setuser bob on >p", "acl setuser (redacted) (redacted) (redacted)"),
            ("ACL GETUSER bob", "ACL GETUSER bob"),
            ("MIGRATE h 1 k 0 9 COPY AUTH p", "MIGRATE h 1 k 0 9 COPY AUTH (redacted)"),
            (
                "MIGRATE h 1  0 9 AUTH2 u p KEYS AUTH k",
                "MIGRATE h 1  0 9 AUTH2 (redacted) (redacted) KEYS AUTH k",
            ),
            ("SET AUTH pass", "SET AUTH pass"),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn the_lower_threshold_counts() {
        let mut settings = Settings { slowlog_log_slower_than_us: -1, ..Settings::default() };
        assert_eq!(notable_ns(&settings), u64::MAX);
        settings.latency_monitor_threshold_ms = 2;
        assert_eq!(notable_ns(&settings), 2_000_000);
        settings.slowlog_log_slower_than_us = 5;
        assert_eq!(notable_ns(&settings), 5_000);
        settings.slowlog_log_slower_than_us = i64::MAX;
        assert_eq!(notable_ns(&settings), 2_000_000);
    }
}
