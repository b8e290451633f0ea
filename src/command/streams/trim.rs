//! The trimming options of XADD and XTRIM.

use crate::command::{Args, CommandError, Context};
use crate::data::stream::{Keep, Log, Trim};

use super::ids;

/// What the options say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    /// MAXLEN or MINID.
    pub(super) keep: Option<Keep>,
    /// `~`.
    approximately: bool,
    limit: Option<u64>,
    /// XADD's NOMKSTREAM.
    pub(super) no_stream_made: bool,
}

impl Options {
    /// Reads options up to what is none, which XTRIM refuses and XADD takes for its ID.
    pub(super) fn read(args: &mut Args<'_>, adds: bool) -> Result<Options, CommandError> {
        let mut options = Options::default();
        while let Some(word) = args.peek() {
            let (is, more) = (|name: &str| word.eq_ignore_ascii_case(name.as_bytes()), args.remaining() > 1);
            // Most words here are IDs.
            if adds && word.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'*') {
                break;
            }
            if more && (is("MAXLEN") || is("MINID")) {
                options.read_keep(args)?;
            } else if more && is("LIMIT") {
                args.next();
                let limit = args.int();
                args.check()?;
                let limit = u64::try_from(limit);
                options.limit =
                    Some(limit.map_err(|_| CommandError::fixed("ERR The LIMIT argument must be >= 0."))?);
            } else if adds && is("NOMKSTREAM") {
                args.next();
                options.no_stream_made = true;
            } else if adds {
                break;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    fn read_keep(&mut self, args: &mut Args<'_>) -> Result<(), CommandError> {
        if self.keep.is_some() {
            return Err(CommandError::fixed(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let by_length = args.keyword("MAXLEN");
        if !by_length {
            args.next();
        }
        self.approximately = false;
        if args.remaining() >= 2 {
            self.approximately = args.keyword("~");
            let _ = self.approximately || args.keyword("=");
        }
        self.keep = Some(if by_length {
            let len = args.int();
            args.check()?;
            let len = u64::try_from(len);
            Keep::Newest(len.map_err(|_| CommandError::fixed("ERR The MAXLEN argument must be >= 0."))?)
        } else {
            Keep::From(ids::read(args)?)
        });
        Ok(())
    }

    /// How to trim, if at all; refuses options that make no sense together.
    pub(super) fn trim(&self, ctx: &Context<'_>, adds: bool) -> Result<Option<Trim>, CommandError> {
        let Some(keep) = self.keep else {
            if self.limit.is_some_and(|limit| limit > 0) {
                return Err(CommandError::fixed(
                    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                ));
            }
            if !adds {
                return Err(CommandError::fixed(
                    "ERR syntax error, XTRIM must be called with a trimming strategy",
                ));
            }
            return Ok(None);
        };
        if self.limit.is_some() && !self.approximately {
            return Err(CommandError::fixed(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ));
        }
        let usual = || match ctx.settings.stream_node_max_entries.saturating_mul(100) {
            0 => 10_000,
            entries => entries.min(1_000_000),
        };
        let limit = if self.approximately { self.limit.unwrap_or_else(usual) } else { 0 };
        Ok(Some(Trim { keep, whole_nodes: self.approximately, limit }))
    }

    /// Whether what is trimmed depends on how entries lie in nodes.
    pub(super) fn depends_on_nodes(&self) -> bool {
        self.approximately && self.keep.is_some()
    }

    /// The words that trim another stream to what is in this one now.
    pub(super) fn exactly(&self, log: &Log) -> Vec<Vec<u8>> {
        let (word, bound) = match self.keep {
            Some(Keep::Newest(len)) if !self.approximately => (&b"MAXLEN"[..], len.to_string().into_bytes()),
            Some(Keep::Newest(_)) => (&b"MAXLEN"[..], log.len().to_string().into_bytes()),
            Some(Keep::From(id)) if !self.approximately => (&b"MINID"[..], id.text().as_bytes().to_vec()),
            Some(Keep::From(_)) => (&b"MINID"[..], log.first_entry().text().as_bytes().to_vec()),
            None => return Vec::new(),
        };
        vec![word.to_vec(), b"=".to_vec(), bound]
    }
}
