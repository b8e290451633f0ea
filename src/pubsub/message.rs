//! A message, encoded at most once for each protocol.

use std::cell::OnceCell;

use bytes::Bytes;

use crate::resp::{Encoder, Protocol};

/// A published message on its way to those who listen for one reason: the channel, or one pattern.
#[derive(Debug)]
pub struct Message<'a> {
    parts: Parts<'a>,
    resp2: OnceCell<Bytes>,
    resp3: OnceCell<Bytes>,
}

/// What a message says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    /// `message`, `pmessage` or `smessage`.
    pub(super) name: &'static str,
    /// The pattern that the channel matches, of a `pmessage`.
    pub(super) pattern: Option<&'a [u8]>,
    pub(super) channel: &'a [u8],
    pub(super) payload: &'a [u8],
}

impl<'a> Message<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Message<'a> {
        Message { parts, resp2: OnceCell::new(), resp3: OnceCell::new() }
    }

    /// Its bytes, which all subscribers of a protocol share.
    pub fn encoded(&self, protocol: Protocol) -> Bytes {
        let cell = match protocol {
            Protocol::Resp2 => &self.resp2,
            Protocol::Resp3 => &self.resp3,
        };
        cell.get_or_init(|| self.encode(protocol)).clone()
    }

    fn encode(&self, protocol: Protocol) -> Bytes {
        const HEADERS: usize = 96;
        let Parts { name, pattern, channel, payload } = self.parts;
        let room = HEADERS + pattern.map_or(0, <[u8]>::len) + channel.len() + payload.len();
        let mut out = Encoder::with_buffer(Vec::with_capacity(room), protocol);
        out.push(3 + usize::from(pattern.is_some()));
        out.bulk(name.as_bytes());
        if let Some(pattern) = pattern {
            out.bulk(pattern);
        }
        out.bulk(channel);
        out.bulk(payload);
        Bytes::from(out.into_vec())
    }
}
