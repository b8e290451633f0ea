//! MONITOR: who wants to see every command, and what a command looks like there.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::hub::{Limit, Subscriber};

/// Who sees every command.
#[derive(Default)]
pub struct Monitors {
    all: RwLock<Vec<Arc<dyn Subscriber>>>,
    count: AtomicUsize,
}

impl std::fmt::Debug for Monitors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitors").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl Monitors {
    /// Number of monitors; a look without a lock.
    #[inline]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// One more; one that is in stays as it is.
    pub fn add(&self, who: Arc<dyn Subscriber>) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.iter().all(|one| one.id() != who.id()) {
            all.push(who);
        }
        self.count.store(all.len(), Ordering::Relaxed);
    }

    /// One less.
    pub fn remove(&self, id: u64) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.id() != id);
        self.count.store(all.len(), Ordering::Relaxed);
    }

    /// Shows all of them a command that ran at this time, microseconds since 1970. `source` is where it
    /// came from: a database and an address.
    pub fn show<'a>(
        &self,
        unix_us: u64,
        source: &str,
        arguments: impl Iterator<Item = &'a [u8]>,
        limit: Limit,
    ) {
        let mut line = Vec::with_capacity(128);
        // Writing to a Vec cannot fail.
        let _ = write!(line, "+{}.{:06} [{source}]", unix_us / 1_000_000, unix_us % 1_000_000);
        for argument in arguments {
            line.push(b' ');
            quote(&mut line, argument);
        }
        line.extend_from_slice(b"\r\n");
        let line = Bytes::from(line);
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().for_each(|one| one.push(line.clone(), limit));
    }
}

/// Appends bytes in double quotes, what is not printable as an escape: the form that `redis-cli` reads, too.
fn quote(to: &mut Vec<u8>, bytes: &[u8]) {
    to.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => to.extend_from_slice(&[b'\\', byte]),
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            b'\t' => to.extend_from_slice(b"\\t"),
            0x07 => to.extend_from_slice(b"\\a"),
            0x08 => to.extend_from_slice(b"\\b"),
            b' '..=b'~' => to.push(byte),
            _ => {
                let _ = write!(to, "\\x{byte:02x}");
            }
        }
    }
    to.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::message::Message;
    use super::*;

    struct Eye(u64, Mutex<Vec<u8>>);

    impl Subscriber for Eye {
        fn id(&self) -> u64 {
            self.0
        }
        fn deliver(&self, _: &Message<'_>, _: Limit) {}
        fn push(&self, encoded: Bytes, _: Limit) {
            self.1.lock().unwrap().extend_from_slice(&encoded);
        }
    }

    #[test]
    fn a_command_is_shown_to_those_who_look_and_escaped() {
        let (monitors, eye) = (Monitors::default(), Arc::new(Eye(3, Mutex::default())));
        monitors.add(eye.clone());
        monitors.add(eye.clone());
        assert_eq!(monitors.count(), 1);
        let words: [&[u8]; 2] = [b"set", b"a\"\\\n\r\t\x07\x08\x00\xff b"];
        monitors.show(1_700_000_000_000_042, "0 lua", words.into_iter(), Limit::default());
        let seen = std::mem::take(&mut *eye.1.lock().unwrap());
        let expected = r#"+1700000000.000042 [0 lua] "set" "a\"\\\n\r\t\a\b\x00\xff b""#;
        assert_eq!(String::from_utf8(seen).unwrap(), format!("{expected}\r\n"));
        monitors.remove(3);
        monitors.show(0, "0 lua", words.into_iter(), Limit::default());
        assert!(eye.1.lock().unwrap().is_empty() && monitors.count() == 0);
    }
}
