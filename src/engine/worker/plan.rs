//! The first half of a batch: requests are decoded, their commands and keys found, their entries fetched.

use smallvec::SmallVec;

use crate::command::row::Keys;
use crate::command::{KeyAt, keys};
use crate::resp::{Decoded, Header, RequestDecoder, Span};
use crate::store::KeyHash;

use super::Worker;
use super::batch::{Batch, Connection, Group, Planned};

/// Requests that are decoded, and whose entries are fetched, together.
const GROUP: usize = 16;
/// Keys beyond which a group is full: what is fetched for them has to lie in the nearest cache together.
const GROUP_KEYS: usize = 64;

/// The last request of the worker: which command it was, and how it began, once the same came twice.
#[derive(Debug, Default)]
pub(super) struct Last {
    command: Option<usize>,
    header: Option<Header>,
}

impl Worker {
    /// The same with a measure of what each request's decoding took.
    pub(super) fn decode_timed(
        &mut self,
        connection: &mut Connection,
        input: &[u8],
        batch: &Batch<'_>,
    ) -> Group {
        let began = self.wall.stamp();
        let decoded = self.decode_group(connection, input, batch);
        self.parse_nanos = self.wall.stamp().saturating_sub(began) / self.plan.len().max(1) as u64;
        decoded
    }

    /// Decodes up to [`GROUP`] requests and finds their commands and keys.
    pub(super) fn decode_group(
        &mut self,
        connection: &mut Connection,
        input: &[u8],
        batch: &Batch<'_>,
    ) -> Group {
        self.spans.clear();
        self.keys.clear();
        self.plan.clear();
        self.elements.clear();
        // Whoever has just authenticated may send more in the same packet.
        self.limits.authenticated = connection.session.authenticated;
        let mut at = batch.consumed;
        while self.plan.len() < GROUP && self.keys.len() < GROUP_KEYS {
            let first = self.spans.len();
            let rest = &input[at..];
            let mut alike = false;
            let result = if at < connection.partial_at {
                // Seen whole before a batch was cut short: the decoder remembers a later request.
                RequestDecoder::default().decode(rest, at, &mut self.spans, &self.limits)
            } else {
                connection.partial_at = at;
                let header = self.last.header.as_ref();
                let header = header.filter(|header| connection.decoder.is_idle() && header.begins(rest));
                alike = header.is_some();
                match header {
                    Some(header) => {
                        connection.decoder.decode_after(header, rest, at, &mut self.spans, &self.limits)
                    }
                    None => connection.decoder.decode(rest, at, &mut self.spans, &self.limits),
                }
            };
            match result {
                Ok(Decoded::Request { consumed }) => {
                    let command = if alike { self.last.command } else { self.resolve(input, first) };
                    self.plan_request(input, first, at + consumed, command);
                    if !alike {
                        self.remember(rest, at, first, command);
                    }
                    at += consumed;
                }
                Ok(Decoded::Empty { consumed }) if self.plan.is_empty() => {
                    return Group::Skipped(at + consumed);
                }
                Ok(Decoded::Inline { consumed, args }) if self.plan.is_empty() => {
                    return Group::Inline(args, at + consumed);
                }
                // Seen again when the requests before it have run; both are short lines.
                Ok(Decoded::Empty { .. } | Decoded::Inline { .. }) => {
                    connection.decoder = RequestDecoder::default();
                    return Group::Full;
                }
                Ok(Decoded::Incomplete { hint }) => return Group::Short(hint),
                Err(error) => return Group::Broken(error),
            }
            if batch.whole || !self.limits.authenticated {
                break;
            }
        }
        Group::Full
    }

    /// Notes a request, and how it began if the same command came before: where two take turns, that would be noted
    /// for nothing.
    #[inline]
    fn remember(&mut self, request: &[u8], base: usize, first: usize, command: Option<usize>) {
        let again = command.is_some() && self.last.command == command;
        // A container's subcommand is in the second argument.
        let says_all = |index| {
            let registered = self.engine.registry.get(index);
            registered.parent.is_none() && registered.children.is_empty()
        };
        let header = if again && command.is_some_and(says_all) {
            Header::of(request, &self.spans[first..], base).or(self.last.header)
        } else {
            None
        };
        self.last = Last { command, header };
    }

    /// Finds the command of a request whose spans begin at `first`.
    #[inline]
    pub(super) fn resolve(&self, input: &[u8], first: usize) -> Option<usize> {
        let argument = |span: &Span| &input[span.start..span.start + span.len];
        let (name, second) = (argument(&self.spans[first]), self.spans.get(first + 1).map(argument));
        self.engine.registry.resolve(name, second)
    }

    /// Finds the keys of a request whose spans begin at `first`.
    #[inline]
    pub(super) fn plan_request(&mut self, input: &[u8], first: usize, end: usize, command: Option<usize>) {
        let spans = &self.spans[first..];
        let argument = |index: usize| {
            let span = spans[index];
            &input[span.start..span.start + span.len]
        };
        let keys_from = self.keys.len();
        if let Some(index) = command {
            let (store, found) = (&self.engine.store, &mut self.keys);
            let row = self.engine.registry.get(index).row;
            match row.keys {
                // Most commands, without the general form's loop.
                Keys::One(_) if spans.len() > 1 => {
                    let hash = store.hash(argument(1));
                    found.push(KeyAt { arg: 1, hash });
                    if row.element != 0
                        && let Some(&element) = spans.get(row.element)
                    {
                        self.elements.push((hash, element));
                    }
                }
                keys => keys::each(keys, spans.len(), argument, |index, _| {
                    found.push(KeyAt { arg: index as u32, hash: store.hash(argument(index)) });
                }),
            }
        }
        self.plan.push(Planned {
            command,
            spans: (first as u32, self.spans.len() as u32),
            keys: (keys_from as u32, self.keys.len() as u32),
            end,
        });
    }

    /// Fetches the entries of the planned requests' keys, if there are enough to hide the latency. A key
    /// that is used over and over is fetched by its first use.
    #[inline]
    pub(super) fn fetch(&mut self, database: usize, input: &[u8]) {
        const WORTH_IT: usize = 4;
        if self.keys.len() < WORTH_IT {
            // What a search reads one after the other is fetched at once.
            self.keys.iter().for_each(|key| self.engine.store.prefetch_search(database, key.hash));
            return;
        }
        self.prefetch.clear();
        let mut last = None;
        for key in self.keys.iter().take(GROUP_KEYS) {
            if last != Some(key.hash) {
                last = Some(key.hash);
                self.prefetch.push(key.hash);
            }
        }
        if self.prefetch.len() >= WORTH_IT {
            self.engine.store.prefetch(database, &self.prefetch);
        }
        if self.elements.len() >= WORTH_IT {
            let wanted: SmallVec<[(KeyHash, &[u8]); GROUP]> = self
                .elements
                .iter()
                .map(|&(key, span)| (key, &input[span.start..span.start + span.len]))
                .collect();
            self.engine.store.prefetch_elements(database, &wanted);
        }
    }
}
