//! What the operating system allows, held against the settings.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Config;

/// Descriptors beside the clients' own: listeners, files, the runtimes of the workers, the admin port's connections. An idle
/// server with two workers has 29; Redis reserves 32.
const RESERVED_DESCRIPTORS: u64 = 96;

/// Makes room for `maxclients`, or lowers it to what fits, as Redis does; says what is hardly meant or does nothing.
pub(super) fn at_start(config: &Config) -> Result<(), String> {
    let settings = config.current();
    if (1..1 << 20).contains(&settings.maxmemory_bytes) {
        tracing::warn!(
            "WARNING: You specified a maxmemory value that is less than 1MB (current value is {} bytes). Are you sure \
             this is what you really want?",
            settings.maxmemory_bytes
        );
    }
    let idle: Vec<String> = config
        .differing()
        .into_iter()
        .filter(|setting| setting.stored_only)
        .map(|setting| format!("{} {}", setting.name, setting.value))
        .collect();
    if !idle.is_empty() {
        tracing::info!("Stored only, as what they tune is not here: {}", idle.join(", "));
    }
    let Err(reason) = allow_clients(settings.maxclients) else { return Ok(()) };
    let fit = clients_that_fit();
    if fit == 0 {
        return Err(reason);
    }
    tracing::warn!("{reason}");
    tracing::warn!("maxclients has been reduced to {fit} to compensate for it.");
    config
        .set(&[(b"maxclients", fit.to_string().as_bytes())], &mut |_, _, _| Ok(()))
        .map_err(|error| error.to_string())
}

/// Raises the limit of descriptors so that so many clients fit.
pub(super) fn allow_clients(maxclients: u32) -> Result<(), String> {
    let wanted = u64::from(maxclients) + RESERVED_DESCRIPTORS;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| error.to_string())?;
    if soft >= wanted {
        return Ok(());
    }
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).is_ok() {
        return Ok(());
    }
    // Without the privilege to raise the hard limit, what it allows is better than nothing.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    if hard >= wanted {
        return Ok(());
    }
    Err(format!(
        "The operating system is not able to handle the specified number of clients, try with {}. You requested \
         maxclients of {maxclients} requiring at least {wanted} max file descriptors; the limit is {hard}. Raise it \
         with 'ulimit -n'.",
        hard.saturating_sub(RESERVED_DESCRIPTORS)
    ))
}

/// How many clients the limit of descriptors leaves room for.
fn clients_that_fit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft.saturating_sub(RESERVED_DESCRIPTORS))
}
