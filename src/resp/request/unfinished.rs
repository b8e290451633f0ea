//! What a decoder says about a request that is not complete.

use super::{RequestDecoder, Stage};

impl RequestDecoder {
    /// Whether no request is under way.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.progress.stage == Stage::Idle
    }

    /// How many bytes the argument under way has, its line end included; 0 where none is, or its length is not known.
    pub fn awaited(&self) -> usize {
        match self.progress.stage {
            Stage::Payload => (self.progress.number as usize).saturating_add(2),
            _ => 0,
        }
    }

    /// How many bytes of the request under way are understood: its whole arguments and lines. What comes behind them
    /// is the beginning of an argument or a line.
    pub fn understood(&self) -> usize {
        match self.progress.stage {
            Stage::Idle | Stage::Inline => 0,
            Stage::Payload => self.progress.pos,
            Stage::Count | Stage::Length => self.progress.line_start,
        }
    }
}
