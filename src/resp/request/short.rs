//! Requests of the commonest form, read in one go.

use super::{Progress, RequestLimits, Span, Stage, look};

/// Reads a request from its first byte as far as it is of the commonest form: up to nine arguments of up
/// to 99 bytes, all there. What it reads it keeps in registers, which is what makes it fast. `Idle` says
/// that the request is complete; else `multibulk` goes on where it stopped.
#[inline]
pub(super) fn short_arguments(
    input: &[u8],
    base: usize,
    out: &mut Vec<Span>,
    limits: &RequestLimits,
) -> Progress {
    look(1);
    let start = Progress { pos: 1, stage: Stage::Count, ..Progress::default() };
    let Some(&[_, count @ b'1'..=b'9', b'\r', _]) = input.first_chunk::<4>() else { return start };
    if usize::from(count - b'0') > limits.max_args {
        return start;
    }
    // The \n is taken for granted, as everywhere.
    look(2);
    further_short_arguments(4, u32::from(count - b'0'), input, base, out, limits)
}

/// As [`short_arguments`], from `pos` on, where so many arguments are missing.
#[inline(always)]
pub(super) fn further_short_arguments(
    mut pos: usize,
    mut missing: u32,
    input: &[u8],
    base: usize,
    out: &mut Vec<Span>,
    limits: &RequestLimits,
) -> Progress {
    while missing > 0 {
        let stage = Stage::Length;
        let at_length = Progress { pos, line_start: pos, missing, stage, ..Progress::default() };
        let unseen = input.get(pos..).unwrap_or_default();
        let (len, line) = match unseen.first_chunk::<5>() {
            Some(&[b'$', a @ b'0'..=b'9', b'\r', ..]) => (usize::from(a - b'0'), 4),
            Some(&[b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _]) => {
                (usize::from(a - b'0') * 10 + usize::from(b - b'0'), 5)
            }
            _ => return at_length,
        };
        if len > limits.max_bulk_len {
            return at_length;
        }
        look(line - 1);
        if line + len + 2 > unseen.len() {
            return Progress { pos: pos + line, number: len as u64, stage: Stage::Payload, ..at_length };
        }
        out.push(Span { start: base + pos + line, len });
        pos += line + len + 2;
        missing -= 1;
    }
    Progress { pos, ..Progress::default() }
}
