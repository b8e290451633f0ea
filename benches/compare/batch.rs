//! Keys that were set together, and which of them their reader was told of. Pure.
//! Compiled a second time by `tests/compare_parts.rs`, because a bench without a harness has no tests.

use std::ops::Range;

use crate::Outcome;
use crate::resp::Reply;

/// A batch of keys, by their numbers.
pub struct Batch {
    first: u64,
    told: Vec<bool>,
    untold: usize,
}

impl Batch {
    /// The keys of these numbers, none of them told yet.
    pub fn new(keys: Range<u64>) -> Batch {
        let told = vec![false; (keys.end - keys.start) as usize];
        Batch { first: keys.start, untold: told.len(), told }
    }

    /// Whether the reader was told of all of them.
    pub fn is_told(&self) -> bool {
        self.untold == 0
    }

    /// Takes what the reader was told. A key that is not of the batch, or comes twice, is a failure: the server
    /// would have done other work than is counted.
    pub fn take(&mut self, message: &Reply) -> Outcome<()> {
        let Reply::Array(items) = message else { return Err(not_an_invalidation(message)) };
        let [Reply::Text(kind), Reply::Array(keys)] = items.as_slice() else {
            return Err(not_an_invalidation(message));
        };
        if kind != b"invalidate" {
            return Err(not_an_invalidation(message));
        }
        for key in keys {
            let Reply::Text(name) = key else { return Err(not_an_invalidation(message)) };
            let place = number(name).and_then(|number| number.checked_sub(self.first));
            match place.and_then(|place| self.told.get_mut(usize::try_from(place).ok()?)) {
                Some(told) if !*told => *told = true,
                Some(_) => return Err(format!("{} was told twice", String::from_utf8_lossy(name)).into()),
                None => return Err(format!("{} was not set", String::from_utf8_lossy(name)).into()),
            }
            self.untold -= 1;
        }
        Ok(())
    }
}

/// The number in a name as `fill::key` makes it.
fn number(name: &[u8]) -> Option<u64> {
    std::str::from_utf8(name.strip_prefix(b"key:")?).ok()?.parse().ok()
}

fn not_an_invalidation(message: &Reply) -> crate::Failure {
    format!("the reader was told something else: {message:?}").into()
}

#[cfg(test)]
#[allow(
    unused_imports,
    dead_code,
    reason = "the bench itself is compiled with cfg(test) too, but its #[test]s are left out"
)]
mod tests {
    use super::*;
    use crate::resp::Decoder;

    fn told(bytes: &[u8]) -> Reply {
        let mut decoder = Decoder::default();
        for piece in bytes.chunks(7) {
            decoder.feed(piece);
            if let Some(reply) = decoder.next_reply().unwrap() {
                return reply;
            }
        }
        panic!("no whole message in {}", String::from_utf8_lossy(bytes));
    }

    fn invalidation(keys: &[u64]) -> Reply {
        let mut bytes = format!(">2\r\n$10\r\ninvalidate\r\n*{}\r\n", keys.len());
        for key in keys {
            bytes.push_str(&format!("$16\r\nkey:{key:012}\r\n"));
        }
        told(bytes.as_bytes())
    }

    #[test]
    fn a_batch_is_told_when_every_key_was_named_in_one_message_or_several() {
        let mut batch = Batch::new(1_000..1_003);
        batch.take(&invalidation(&[1_001])).unwrap();
        assert!(!batch.is_told());
        batch.take(&invalidation(&[1_002, 1_000])).unwrap();
        assert!(batch.is_told());
    }

    #[test]
    fn what_was_not_set_or_comes_twice_or_is_something_else_is_a_failure() {
        let mut batch = Batch::new(5..7);
        batch.take(&invalidation(&[5])).unwrap();
        for (message, words) in [
            (invalidation(&[5]), "told twice"),
            (invalidation(&[4]), "was not set"),
            (invalidation(&[7]), "was not set"),
            (told(b"+OK\r\n"), "something else"),
            (told(b">2\r\n$7\r\nmessage\r\n*0\r\n"), "something else"),
            (told(b">2\r\n$10\r\ninvalidate\r\n_\r\n"), "something else"),
        ] {
            let error = batch.take(&message).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(!batch.is_told());
    }

    #[test]
    fn a_map_is_read_as_its_keys_and_values() {
        assert_eq!(
            told(b"%1\r\n$5\r\nproto\r\n:3\r\n"),
            Reply::Array(vec![Reply::Text(b"proto".to_vec()), Reply::Integer(3)])
        );
    }
}
