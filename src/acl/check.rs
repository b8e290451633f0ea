//! Whether a user may send a request.

use super::selector::Selector;
use super::user::User;

/// What is done with a key: it is read, it is written, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs(u8);

impl Needs {
    /// Neither: its existence is asked for, or its type.
    pub const NONE: Needs = Needs(0);
    /// Its value is used.
    pub const READ: Needs = Needs(1);
    /// Its value is changed.
    pub const WRITE: Needs = Needs(2);
    /// Both.
    pub const BOTH: Needs = Needs(3);

    /// Both sets together.
    pub const fn with(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }

    /// Whether reading is among them.
    pub const fn reads(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether writing is among them.
    pub const fn writes(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether these are enough for `needed`.
    #[inline]
    pub const fn cover(self, needed: Needs) -> bool {
        self.0 & needed.0 == needed.0
    }
}

/// A key of a request.
#[derive(Clone, Copy, Debug)]
pub struct KeyAsked<'a> {
    /// Which argument it is.
    pub at: usize,
    /// The key.
    pub key: &'a [u8],
    /// What is done with it.
    pub needs: Needs,
}

/// A channel of a request.
#[derive(Clone, Copy, Debug)]
pub struct ChannelAsked<'a> {
    /// Which argument it is.
    pub at: usize,
    /// Its name, or a pattern.
    pub name: &'a [u8],
    /// It is a pattern, which must be allowed as it is written.
    pub literally: bool,
}

/// A request, as far as rules are about it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The command's place in the catalog.
    pub command: usize,
    /// The command is for everybody, whatever the rules say (AUTH, HELLO).
    pub for_everybody: bool,
    /// What stands behind the command's name, or the subcommand's.
    pub first_argument: Option<&'a [u8]>,
    /// Its keys; empty if [`User::asks_for_keys`] says that nobody wants to know.
    pub keys: &'a [KeyAsked<'a>],
    /// Its channels; empty if [`User::asks_for_channels`] says that nobody wants to know.
    pub channels: &'a [ChannelAsked<'a>],
}

/// What of a request is not allowed. The later ones weigh more: they say more about what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The command.
    Command,
    /// One of its keys.
    Key,
    /// A password or a user was wrong: of the log alone.
    Auth,
    /// One of its channels.
    Channel,
}

/// A request is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// For this reason.
    pub reason: Reason,
    /// The argument that is the key or the channel.
    pub at: usize,
}

impl Selector {
    /// Whether this selector alone allows a request.
    fn check(&self, asked: &Asked<'_>) -> Result<(), Denied> {
        if !self.all_commands
            && !asked.for_everybody
            && !self.commands.has(asked.command)
            && !self.allows_first_argument(asked)
        {
            return Err(Denied { reason: Reason::Command, at: 0 });
        }
        if !self.all_keys
            && let Some(key) = asked.keys.iter().find(|key| !self.allows_key(key.key, key.needs))
        {
            return Err(Denied { reason: Reason::Key, at: key.at });
        }
        let is_denied = |channel: &&ChannelAsked<'_>| !self.allows_channel(channel.name, channel.literally);
        if !self.all_channels
            && let Some(channel) = asked.channels.iter().find(is_denied)
        {
            return Err(Denied { reason: Reason::Channel, at: channel.at });
        }
        Ok(())
    }

    #[cold]
    fn allows_first_argument(&self, asked: &Asked<'_>) -> bool {
        let (Some(given), Some(allowed)) = (asked.first_argument, self.first_arguments.get(&asked.command))
        else {
            return false;
        };
        allowed.iter().any(|one| one.eq_ignore_ascii_case(given))
    }
}

impl User {
    /// Whether any selector allows a request. Of several denials the weightiest counts, and of those the
    /// last argument.
    pub fn check(&self, asked: &Asked<'_>) -> Result<(), Denied> {
        let mut worst = Denied { reason: Reason::Command, at: 0 };
        for selector in self.selectors() {
            match selector.check(asked) {
                Ok(()) => return Ok(()),
                Err(denied) if (denied.reason, denied.at) > (worst.reason, worst.at) => worst = denied,
                Err(_) => {}
            }
        }
        Err(worst)
    }

    /// Whether any one selector allows the request, and these needs for every key there is (SORT BY).
    pub fn check_with_every_key(&self, asked: &Asked<'_>, needs: Needs) -> bool {
        self.selectors().iter().any(|one| one.check(asked).is_ok() && one.allows_every_key(needs))
    }
}
