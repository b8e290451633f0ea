//! The server and whoever started it: going to the background, and telling a service manager how it is.

use std::ffi::OsString;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use sd_notify::NotifyState;

use crate::config::{Settings, Supervised};

/// Where Redis puts the id of a process that went to the background, unless the settings say otherwise.
const DEFAULT_PIDFILE: &str = "/var/run/redis.pid";

/// Who watches over the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Supervisor {
    #[default]
    None,
    Systemd,
    Upstart,
}

impl Supervisor {
    /// Whom the settings name, as far as the environment confirms it.
    pub(super) fn find(mode: Supervised, variable: impl Fn(&str) -> Option<OsString>) -> Supervisor {
        let (upstart, systemd) = (variable("UPSTART_JOB").is_some(), variable("NOTIFY_SOCKET").is_some());
        match mode {
            Supervised::Auto | Supervised::Upstart if upstart => Supervisor::Upstart,
            Supervised::Auto | Supervised::Systemd if systemd => Supervisor::Systemd,
            Supervised::Upstart => {
                tracing::warn!("upstart supervision requested, but UPSTART_JOB not found!");
                Supervisor::None
            }
            Supervised::Systemd => {
                tracing::warn!("systemd supervision requested or auto-detected, but NOTIFY_SOCKET not found");
                Supervisor::None
            }
            Supervised::Auto | Supervised::No => Supervisor::None,
        }
    }

    /// Before anything else is done: upstart takes a process that stops itself for one that is ready.
    pub(super) fn started(self) {
        match self {
            Supervisor::Upstart => {
                tracing::info!("supervised by upstart, will stop to signal readiness.");
                if let Err(error) = raise(Signal::SIGSTOP) {
                    tracing::warn!("The process could not stop itself: {error}");
                }
            }
            Supervisor::Systemd => tracing::warn!(
                "supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec and \
                 TimeoutStopSec in your service unit."
            ),
            Supervisor::None => {}
        }
    }

    /// The server accepts commands.
    pub(super) fn ready(self) {
        self.notify(&[NotifyState::Status("Ready to accept connections"), NotifyState::Ready]);
    }

    /// The server is loading, or otherwise busy, as `status` says.
    pub(super) fn status(self, status: &str) {
        self.notify(&[NotifyState::Status(status)]);
    }

    /// The server is about to end.
    pub(super) fn stopping(self) {
        self.notify(&[NotifyState::Stopping]);
    }

    /// How often a service manager wants to hear that the process lives, if at all.
    pub(super) fn watchdog(self) -> Option<Duration> {
        match self {
            Supervisor::Systemd => sd_notify::watchdog_enabled(),
            Supervisor::None | Supervisor::Upstart => None,
        }
    }

    /// The process lives.
    pub(super) fn alive(self) {
        self.notify(&[NotifyState::Watchdog]);
    }

    fn notify(self, states: &[NotifyState<'_>]) {
        if self == Supervisor::Systemd
            && let Err(error) = sd_notify::notify(states)
        {
            tracing::warn!("systemd could not be told: {error}");
        }
    }

    /// As INFO says it.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Supervisor::None => None,
            Supervisor::Systemd => Some("systemd"),
            Supervisor::Upstart => Some("upstart"),
        }
    }
}

/// Leaves the terminal: the process that was started ends with 0, and its child goes on here. To be called while
/// there is one thread.
pub(super) fn leave_terminal() -> Result<(), String> {
    // The folder is the one that the settings say, already.
    nix::unistd::daemon(true, false).map_err(|error| format!("Can't go to the background: {error}"))
}

/// Where the process id goes, if anywhere.
pub(super) fn pidfile(settings: &Settings, in_background: bool) -> Option<&str> {
    match settings.pidfile.as_str() {
        "" => in_background.then_some(DEFAULT_PIDFILE),
        path => Some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_is_believed_only_where_the_environment_shows_it() {
        let find = |mode, shown: &'static [&'static str]| {
            Supervisor::find(mode, |name| shown.contains(&name).then(|| OsString::from("x")))
        };
        use Supervised::{Auto, No, Systemd, Upstart};
        for (mode, shown, expected) in [
            (No, &["NOTIFY_SOCKET", "UPSTART_JOB"][..], Supervisor::None),
            (Auto, &[], Supervisor::None),
            (Auto, &["NOTIFY_SOCKET"], Supervisor::Systemd),
            (Auto, &["NOTIFY_SOCKET", "UPSTART_JOB"], Supervisor::Upstart),
            (Systemd, &["UPSTART_JOB"], Supervisor::None),
            (Systemd, &["NOTIFY_SOCKET"], Supervisor::Systemd),
            (Upstart, &["NOTIFY_SOCKET"], Supervisor::None),
            (Upstart, &["UPSTART_JOB"], Supervisor::Upstart),
        ] {
            assert_eq!(find(mode, shown), expected, "{mode:?} {shown:?}");
        }
    }

    #[test]
    fn only_who_goes_to_the_background_has_a_pid_file_unasked() {
        let mut settings = Settings::default();
        assert_eq!(pidfile(&settings, false), None);
        assert_eq!(pidfile(&settings, true), Some("/var/run/redis.pid"));
        settings.pidfile = "/tmp/a.pid".to_owned();
        assert_eq!(pidfile(&settings, false), Some("/tmp/a.pid"));
    }
}
