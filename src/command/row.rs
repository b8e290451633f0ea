//! A command is one row. Everything else about it is derived from the row.

use std::fmt;
use std::ops::BitOr;

use super::ports::ScriptSource;
use super::{Args, Context, Outcome};

/// What a handler is: synchronous, given locked keys and arguments.
pub type Handler = fn(&mut Context<'_>, Args<'_>) -> Outcome;

/// One command, or one subcommand of a container such as CONFIG.
pub struct Command {
    /// Upper-case name; of a subcommand its own part only.
    pub name: &'static str,
    /// Arguments after the name, in the notation of Redis's documentation:
    /// `key value [NX | XX] [GET] [EX seconds | PX milliseconds]`, `key [key ...]`.
    pub syntax: &'static str,
    /// What the syntax does not tell of the arguments, for COMMAND DOCS: how they are called and since when
    /// they are there. `introspection::arguments` has the notation.
    pub arguments: &'static str,
    /// Versions of Redis that changed it, each with what came.
    pub history: &'static [(&'static str, &'static str)],
    /// The version of Redis since which it should not be used, and what should be used instead.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// One sentence.
    pub summary: &'static str,
    /// Version of Redis that brought it.
    pub since: &'static str,
    /// Time complexity, in Redis's words.
    pub complexity: &'static str,
    /// The family, as COMMAND DOCS names it.
    pub group: Group,
    /// What it does, for gate, scripts, replication and documentation.
    pub flags: Flags,
    /// ACL categories beyond those that group and flags imply.
    pub acl: Acl,
    /// Which arguments are keys.
    pub keys: Keys,
    /// What COMMAND INFO adds to its key specifications, in their order.
    pub key_notes: &'static [&'static str],
    /// Which arguments are channels.
    pub channels: Channels,
    /// The argument that is looked up in the collection under the first key, 0 if none is: a batch fetches
    /// its place ahead. Of commands that name one key.
    pub element: usize,
    /// What is really done with a key, where [`Access::VARIABLE_FLAGS`] says that the arguments decide.
    pub access: fn(&Args<'_>, Access) -> Access,
    /// Hints for clients, as COMMAND INFO shows them: `nondeterministic_output`.
    pub tips: &'static [&'static str],
    /// Whether the arguments make it need the whole keyspace, where [`Flags::MAYBE_WHOLE`] says that they
    /// decide.
    pub whole: fn(&Args<'_>) -> bool,
    /// What code its first argument is or names, which may say of itself what it does.
    pub code: Option<ScriptSource>,
    /// Which other database the arguments name, where they can.
    pub databases: fn(Args<'_>) -> Option<OtherDatabase>,
    /// What it does otherwise than Redis 7.0.15, for `docs/commands.md`; empty for nothing.
    pub differs: &'static str,
    /// Whether the argument at an index is a secret, and shown as `(redacted)` in the slow log and by MONITOR,
    /// where [`Flags::SECRET`] says that some may be.
    pub secret: fn(&Args<'_>, usize) -> bool,
    /// The handler. A container's answers for a missing or unknown subcommand.
    pub run: Handler,
    /// Subcommands, of a container.
    pub subcommands: &'static [Command],
}

impl Command {
    /// A row to fill in with struct update syntax: no flags, no keys, no subcommands.
    pub const BASE: Command = Command {
        name: "",
        syntax: "",
        arguments: "",
        history: &[],
        deprecated: None,
        summary: "",
        since: "1.0.0",
        complexity: "O(1)",
        group: Group::Generic,
        flags: Flags::NONE,
        acl: Acl::NONE,
        keys: Keys::None,
        key_notes: &[],
        channels: Channels::None,
        element: 0,
        access: |_, declared| declared,
        tips: &[],
        whole: |_| false,
        code: None,
        databases: |_| None,
        differs: "",
        secret: |_, _| false,
        run: super::context::unimplemented_row,
        subcommands: &[],
    };
}

/// A database that a command's arguments name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherDatabase {
    /// Its number, which may be out of range.
    pub number: usize,
    /// Whether later commands of the connection speak of it (SELECT), or only this one (COPY, MOVE).
    pub selects: bool,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}

macro_rules! bits {
    ($(#[$doc:meta])* $name:ident: $int:ty { $($(#[$flag_doc:meta])* $flag:ident = $bit:expr, $text:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub $int);
        impl $name {
            /// Nothing set.
            pub const NONE: $name = $name(0);
            $($(#[$flag_doc])* pub const $flag: $name = $name(1 << $bit);)*
            /// Each bit with the name that Redis gives it; an empty name is our own affair.
            pub const NAMED: &'static [($name, &'static str)] = &[$(($name::$flag, $text)),*];
            /// Whether all of `other` are set.
            #[inline]
            pub const fn has(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }
            /// Whether any of `other` is set.
            #[inline]
            pub const fn any(self, other: $name) -> bool {
                self.0 & other.0 != 0
            }
            /// What is set here and not in `other`.
            pub const fn without(self, other: $name) -> $name {
                $name(self.0 & !other.0)
            }
            /// Both together, in constants.
            pub const fn with(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }
            /// Redis's names of the set bits.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                $name::NAMED.iter().filter(move |(bit, text)| self.has(*bit) && !text.is_empty()).map(|(_, text)| *text)
            }
        }
        impl BitOr for $name {
            type Output = $name;
            fn bitor(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }
        }
    };
}

bits! {
    /// What a command does and when it may run.
    Flags: u64 {
        /// Changes the keyspace.
        WRITE = 0, "write";
        /// Reads keys.
        READONLY = 1, "readonly";
        /// Refused when memory is over its limit.
        DENYOOM = 2, "denyoom";
        /// An administrator's command.
        ADMIN = 3, "admin";
        /// Belongs to pub/sub.
        PUBSUB = 4, "pubsub";
        /// Not from scripts.
        NOSCRIPT = 5, "noscript";
        /// May park the client.
        BLOCKING = 6, "blocking";
        /// Allowed while a file is loaded.
        LOADING = 7, "loading";
        /// Allowed on a replica with stale data.
        STALE = 8, "stale";
        /// Not shown by MONITOR.
        SKIP_MONITOR = 9, "skip_monitor";
        /// Not in the slow log.
        SKIP_SLOWLOG = 10, "skip_slowlog";
        /// Follows ASKING in a cluster.
        ASKING = 11, "asking";
        /// O(1) or O(log n).
        FAST = 12, "fast";
        /// Allowed before authentication.
        NO_AUTH = 13, "no_auth";
        /// May change things though it is no write.
        MAY_REPLICATE = 14, "";
        /// Not while a replica loads beside its old data.
        NO_ASYNC_LOADING = 15, "no_async_loading";
        /// Not inside MULTI.
        NO_MULTI = 16, "no_multi";
        /// Allowed while a script is busy.
        ALLOW_BUSY = 17, "allow_busy";
        /// Only when a setting allows it (`enable-debug-command`, `enable-module-command`).
        PROTECTED = 18, "";
        /// Runs at once inside MULTI instead of being queued.
        TRANSACTION_CONTROL = 19, "";
        /// Needs the whole keyspace.
        WHOLE = 20, "";
        /// Executes the queued commands.
        EXECUTES_QUEUE = 21, "";
        /// Allowed on a RESP2 connection that is subscribed to channels.
        SUBSCRIBER = 22, "";
        /// Some of its arguments may be secret: [`Command::secret`].
        SECRET = 23, "";
        /// Does not count as an access of keys it looks at.
        NO_TOUCH = 24, "";
        /// Keys are not always where the first, last and step of COMMAND INFO say: ask COMMAND GETKEYS.
        /// Derived from the key specs; no row sets it.
        MOVABLE_KEYS = 25, "movablekeys";
        /// Not paused by CLIENT PAUSE although it may write.
        UNPAUSED = 26, "";
        /// Refused like a write while the server cannot persist, so that health checks notice (PING).
        TELLS_HEALTH = 27, "";
        /// Afterwards the connection watches nothing any more.
        FORGETS_WATCHES = 28, "";
        /// May touch its keys in a second database, which `databases` names.
        CROSS_DATABASE = 29, "";
        /// Needs the whole keyspace when its arguments say so: [`Command::whole`].
        MAYBE_WHOLE = 45, "";
        /// Takes more arguments than its syntax names: QUIT ignores them, COMMAND has subcommands but
        /// runs without one.
        OPEN_ENDED = 40, "";
        /// May be called with no keys at all, and COMMAND GETKEYS answers that.
        NO_MANDATORY_KEYS = 52, "no_mandatory_keys";
        /// Is tried with the keys that it declares, and undone and run with the whole keyspace when it turns out
        /// to want more: scripts.
        TRIES = 60, "";
        /// Names no keys and changes nothing but its reply and its connection: it can be run again.
        HARMLESS = 61, "";
        /// Walks over keys that it does not name: alone it locks one shard at a time, in a transaction
        /// that holds other keys it needs the whole keyspace.
        WANDERS = 30, "";
        /// About modules: `enable-module-command` allows it, not `enable-debug-command`.
        OF_MODULES = 31, "";
        /// Servers and tools call it, not applications: COMMAND DOCS says so.
        SYSCMD = 50, "";
        /// Leaves an open MULTI behind: what is queued is never the worse for it.
        LEAVES_MULTI = 33, "";
        /// What CLIENT CACHING has said is still about the command that follows.
        KEEPS_CACHING = 32, "";
        /// What CLIENT TRACEPARENT has said is still about the command that follows.
        KEEPS_CALLER = 34, "";
    }
}

bits! {
    /// ACL categories.
    Acl: u32 {
        /// Keyspace and generic keys.
        KEYSPACE = 0, "keyspace";
        /// Reads.
        READ = 1, "read";
        /// Writes.
        WRITE = 2, "write";
        /// Sets.
        SET = 3, "set";
        /// Sorted sets.
        SORTEDSET = 4, "sortedset";
        /// Lists.
        LIST = 5, "list";
        /// Hashes.
        HASH = 6, "hash";
        /// Strings.
        STRING = 7, "string";
        /// Bitmaps.
        BITMAP = 8, "bitmap";
        /// HyperLogLogs.
        HYPERLOGLOG = 9, "hyperloglog";
        /// Geo.
        GEO = 10, "geo";
        /// Streams.
        STREAM = 11, "stream";
        /// Pub/sub.
        PUBSUB = 12, "pubsub";
        /// Administration.
        ADMIN = 13, "admin";
        /// Fast ones.
        FAST = 14, "fast";
        /// Slow ones.
        SLOW = 15, "slow";
        /// Blocking ones.
        BLOCKING = 16, "blocking";
        /// What can do harm.
        DANGEROUS = 17, "dangerous";
        /// About connections.
        CONNECTION = 18, "connection";
        /// Transactions.
        TRANSACTION = 19, "transaction";
        /// Scripts.
        SCRIPTING = 20, "scripting";
        /// The group implies no category for this row (SORT is no keyspace command to Redis).
        NOT_GROUP = 31, "";
    }
}

/// The family of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Keys of any type.
    Generic,
    /// Strings.
    String,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Places on the earth.
    Geo,
    /// Bitmaps.
    Bitmap,
    /// HyperLogLogs.
    HyperLogLog,
    /// Hashes.
    Hash,
    /// Connections.
    Connection,
    /// The cluster that this server is in, or is not.
    Cluster,
    /// The server.
    Server,
    /// Transactions.
    Transactions,
    /// Scripts and functions.
    Scripting,
    /// Streams.
    Stream,
    /// Channels.
    PubSub,
}

impl Group {
    /// The name that COMMAND DOCS and COMMAND LIST FILTERBY use.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Geo => "geo",
            Group::Bitmap => "bitmap",
            Group::HyperLogLog => "hyperloglog",
            Group::Cluster => "cluster",
            Group::Hash => "hash",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Transactions => "transactions",
            Group::Scripting => "scripting",
            Group::Stream => "stream",
            Group::PubSub => "pubsub",
        }
    }

    const fn category(self) -> Acl {
        match self {
            Group::Generic => Acl::KEYSPACE,
            Group::String => Acl::STRING,
            Group::List => Acl::LIST,
            Group::Set => Acl::SET,
            Group::SortedSet => Acl::SORTEDSET,
            Group::Geo => Acl::GEO,
            Group::Bitmap => Acl::BITMAP,
            Group::HyperLogLog => Acl::HYPERLOGLOG,
            Group::Cluster => Acl::NONE,
            Group::Hash => Acl::HASH,
            Group::Connection => Acl::CONNECTION,
            Group::Server => Acl::NONE,
            Group::Transactions => Acl::TRANSACTION,
            Group::Scripting => Acl::SCRIPTING,
            Group::Stream => Acl::STREAM,
            // The flag says it, and PUBSUB HELP lacks the flag.
            Group::PubSub => Acl::NONE,
        }
    }
}

impl Command {
    /// Whether a request with these arguments takes the whole keyspace.
    #[inline]
    pub fn is_whole(&self, args: &Args<'_>) -> bool {
        self.flags.has(Flags::WHOLE) || (self.flags.has(Flags::MAYBE_WHOLE) && (self.whole)(args))
    }

    /// Whether it does nothing but read or change its keys, at once: no state of the server or of its connection
    /// follows from it.
    pub fn is_plain(&self) -> bool {
        let more = Flags::ADMIN | Flags::PUBSUB | Flags::BLOCKING | Flags::NO_AUTH | Flags::MAY_REPLICATE;
        let more = more | Flags::NO_MULTI | Flags::PROTECTED | Flags::TRANSACTION_CONTROL | Flags::WHOLE;
        let more = more | Flags::MAYBE_WHOLE | Flags::EXECUTES_QUEUE | Flags::UNPAUSED | Flags::TELLS_HEALTH;
        let more = more | Flags::FORGETS_WATCHES | Flags::TRIES | Flags::WANDERS;
        self.flags.any(Flags::WRITE | Flags::READONLY) && !self.flags.any(more) && self.subcommands.is_empty()
    }

    /// All ACL categories: those of the row and those that flags and group imply.
    pub fn categories(&self) -> Acl {
        // Containers do nothing themselves, so they belong to no family.
        let familiar = self.subcommands.is_empty() && !self.acl.has(Acl::NOT_GROUP);
        let mut all = if familiar { self.acl | self.group.category() } else { self.acl };
        let implied = [
            (Flags::WRITE, Acl::WRITE),
            (Flags::READONLY, Acl::READ),
            (Flags::ADMIN, Acl::ADMIN | Acl::DANGEROUS),
            (Flags::PUBSUB, Acl::PUBSUB),
            (Flags::FAST, Acl::FAST),
            (Flags::BLOCKING, Acl::BLOCKING),
        ];
        for (flag, category) in implied {
            // What a read-only script reads is its own affair: it is no reading command.
            let is_script = flag == Flags::READONLY && self.group == Group::Scripting;
            if self.flags.has(flag) && !is_script {
                all = all | category;
            }
        }
        if !self.flags.has(Flags::FAST) {
            all = all | Acl::SLOW;
        }
        all
    }
}

bits! {
    /// What a command does with a key.
    Access: u16 {
        /// Reads the value, and does not change it.
        RO = 0, "RO";
        /// Reads and changes it.
        RW = 1, "RW";
        /// Overwrites it without reading.
        OW = 2, "OW";
        /// Removes it.
        RM = 3, "RM";
        /// Returns, copies or uses what is in the value.
        ACCESS = 4, "access";
        /// Changes what is in the value.
        UPDATE = 5, "update";
        /// Adds without changing what is there.
        INSERT = 6, "insert";
        /// Deletes from the value, or the key.
        DELETE = 7, "delete";
        /// Not a key in the keyspace.
        NOT_KEY = 8, "not_key";
        /// The specs may miss some.
        INCOMPLETE = 9, "incomplete";
        /// The flags depend on the arguments.
        VARIABLE_FLAGS = 10, "variable_flags";
    }
}

/// Which arguments are channels that a user must have the right to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// None.
    None,
    /// The first argument is a channel that is written to.
    First,
    /// Every argument is a channel that is listened to.
    All,
    /// Every argument is a pattern that is listened to.
    Patterns,
}

/// Which arguments are keys, in words. Argument 0 is the command's name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keys {
    /// None.
    None,
    /// The first argument.
    One(Access),
    /// The second argument, as in `OBJECT ENCODING key`.
    Second(Access),
    /// The first and the second.
    Two(Access, Access),
    /// Every argument.
    All(Access),
    /// Every argument but the last, which is a timeout.
    AllButLast(Access),
    /// Every second argument, each followed by its value.
    Pairs(Access),
    /// A number of keys at this argument, then the keys.
    Counted(usize, Access),
    /// The first, and the destination behind the last STORE. Patterns among the arguments may name more.
    SortAndStore(Access, Access),
    /// The first; patterns among the arguments may name more.
    SortOnly(Access),
    /// The third argument; where that is empty, all behind the word KEYS.
    Migrated(Access),
    /// A destination first, then a number of keys at argument 2, then the keys.
    TargetAndCounted(Access, Access),
    /// The first, and what stands behind STORE or STOREDIST from an argument on.
    OneAndStored(Access, Access, usize),
    /// The first is the destination, all others are sources.
    TargetAndRest(Access, Access),
    /// The second argument is the destination, all after it are sources.
    SecondAndRest(Access, Access),
    /// The first half of what stands behind the word STREAMS, which is looked for from this argument on.
    Streams(usize, Access),
}
