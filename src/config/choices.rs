//! Settings whose value is one of a few words.

use super::row::{How, Kind};
use super::value::{Setting, single};

/// An enum whose variants have names; a variant's first name is the one that is shown.
macro_rules! choices {
    ($($(#[$meta:meta])* $ty:ident { $($variant:ident = $first:literal $(| $other:literal)*),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum $ty { $($variant),* }

        impl $ty {
            /// Every accepted word, in the order of Redis's messages.
            pub const NAMES: &'static [&'static str] = &[$($first $(, $other)*),*];

            /// The word that CONFIG GET shows.
            pub fn name(self) -> &'static str {
                match self { $($ty::$variant => $first),* }
            }
        }

        impl Setting for $ty {
            fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
                let word = single(args).map(<[u8]>::to_ascii_lowercase).unwrap_or_default();
                *self = match std::str::from_utf8(&word) {
                    $(Ok($first $(| $other)*) => $ty::$variant,)*
                    _ => return Err(one_of(Self::NAMES)),
                };
                Ok(())
            }

            fn show(&self, _: &Kind) -> Vec<u8> {
                self.name().into()
            }
        }
    )*};
}

/// Redis's words for a word that is not in the list.
pub(super) fn one_of(names: &[&str]) -> String {
    format!("argument(s) must be one of the following: {}", names.join(", "))
}

choices! {
    /// What is evicted when memory is full.
    MaxmemoryPolicy {
        VolatileLru = "volatile-lru", VolatileLfu = "volatile-lfu", VolatileRandom = "volatile-random",
        VolatileTtl = "volatile-ttl", AllkeysLru = "allkeys-lru", AllkeysLfu = "allkeys-lfu",
        AllkeysRandom = "allkeys-random", Noeviction = "noeviction",
    }
    /// The least important messages that are logged.
    LogLevel { Debug = "debug", Verbose = "verbose", Notice = "notice", Warning = "warning" }
    /// The form of a log line.
    LogFormat { Redis = "redis", Json = "json" }
    /// The facility of syslog messages.
    SyslogFacility {
        User = "user", Local0 = "local0", Local1 = "local1", Local2 = "local2", Local3 = "local3",
        Local4 = "local4", Local5 = "local5", Local6 = "local6", Local7 = "local7",
    }
    /// Who supervises the process.
    Supervised { Upstart = "upstart", Systemd = "systemd", Auto = "auto", No = "no" }
    /// When the append-only file is synced.
    AppendFsync { Everysec = "everysec", Always = "always", No = "no" }
    /// How a replica loads without a disk.
    ReplDisklessLoad { Disabled = "disabled", OnEmptyDb = "on-empty-db", Swapdb = "swapdb" }
    /// Whether TLS clients need a certificate.
    TlsAuthClients { No = "no", Yes = "yes", Optional = "optional" }
    /// How the kernel's out-of-memory score is adjusted.
    OomScoreAdj { No = "no", Relative = "yes" | "relative", Absolute = "absolute" }
    /// The channels of a new ACL user.
    AclPubsubDefault { Allchannels = "allchannels", Resetchannels = "resetchannels" }
    /// Whether RESTORE payloads are checked in depth.
    SanitizeDumpPayload { No = "no", Yes = "yes", Clients = "clients" }
    /// Who may use a protected command or setting.
    ProtectedAction { No = "no", Yes = "yes", Local = "local" }
    /// The address that cluster clients are sent to.
    ClusterEndpointType { Ip = "ip", Hostname = "hostname", UnknownEndpoint = "unknown-endpoint" }
    /// What happens when a replicated command fails.
    PropagationErrorBehavior { Ignore = "ignore", Panic = "panic", PanicOnReplicas = "panic-on-replicas" }
}

/// What SIGINT or SIGTERM does; nothing set means the default: save when save points are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownOnSignal {
    /// Save even without save points.
    pub save: bool,
    /// Do not save.
    pub nosave: bool,
    /// Do not wait for lagging replicas.
    pub now: bool,
    /// Exit even when the save fails.
    pub force: bool,
}

impl ShutdownOnSignal {
    /// The accepted words.
    pub const NAMES: &'static [&'static str] = &["default", "save", "nosave", "now", "force"];
}

impl Setting for ShutdownOnSignal {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        let mut new = Self::default();
        if args.is_empty() {
            return Err(one_of(Self::NAMES));
        }
        for word in args {
            match word.to_ascii_lowercase().as_slice() {
                b"default" => {}
                b"save" => new.save = true,
                b"nosave" => new.nosave = true,
                b"now" => new.now = true,
                b"force" => new.force = true,
                _ => return Err(one_of(Self::NAMES)),
            }
        }
        if new.save && new.nosave {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
        }
        *self = new;
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        let flags = [(self.save, "save"), (self.nosave, "nosave"), (self.now, "now"), (self.force, "force")];
        let words: Vec<&str> = flags.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect();
        if words.is_empty() { b"default".to_vec() } else { words.join(" ").into_bytes() }
    }
}
