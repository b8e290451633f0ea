//! The ladder of refusals: one reason a rung, in Redis's order. Handlers refuse nothing of this.

use crate::acl::{Denied, LogContext, User};
use crate::command::client::{Address, Client, ClientFlag};
use crate::command::error::{MISCONF, NOREPLICAS, cannot_log, shown_up_to};
use crate::command::rights::{self, Asking};
use crate::command::row::Flags;
use crate::command::session::Multi;
use crate::command::table::Registered;
use crate::command::{Args, CommandError, Registry};
use crate::config::{ProtectedAction, Settings};
use crate::observe::Refusal;

use super::shared::Engine;

/// What the ladder looks at beside the command.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The settings of the batch.
    pub settings: &'a Settings,
    /// The connection has authenticated, or need not.
    pub authenticated: bool,
    /// The connection's open MULTI.
    pub multi: Option<&'a Multi>,
    /// Who asks.
    pub client: &'a Client,
    /// The user whose rights are to be asked for; `None` may do everything.
    pub user: Option<&'a User>,
    /// What all workers share.
    pub engine: &'a Engine,
    /// The server is loading its file.
    pub loading: bool,
    /// Memory is over its limit and nothing can be evicted.
    pub out_of_memory: bool,
    /// The last save failed and writes are to stop for it.
    pub writes_stopped: bool,
    /// The append-only file cannot be written.
    pub log_failing: bool,
    /// Too few replicas follow.
    pub replicas_lacking: bool,
}

impl Situation<'_> {
    /// The flags of a call. Those of a script are what it says of itself, which is only looked up while that decides
    /// about anything.
    #[inline]
    pub fn flags(&self, command: &Registered, args: &Args<'_>) -> Flags {
        match command.row.code {
            Some(source) if args.len() > 1 && self.is_unusual() => {
                self.engine.server.scripts().flags(source, args.get(1), command.row.flags)
            }
            _ => command.row.flags,
        }
    }

    /// Whether some calls are refused, wait or are queued.
    fn is_unusual(&self) -> bool {
        let refused = self.out_of_memory || self.writes_stopped || self.log_failing || self.replicas_lacking;
        refused || self.multi.is_some() || self.engine.clients.may_be_paused()
    }
}

/// A refusal with its reason for the counters.
pub type Refused = (Refusal, CommandError);

/// Climbs the ladder for a call of a command that was found in the table. `flags` are the call's own.
pub fn check(
    command: &Registered,
    flags: Flags,
    index: usize,
    args: &Args<'_>,
    at: &Situation<'_>,
) -> Result<(), Refused> {
    subcommand_known(command, args)?;
    arity(command, args)?;
    if flags.has(Flags::PROTECTED) {
        allowed_by_setting(command, at)?;
    }
    if !at.authenticated && !flags.has(Flags::NO_AUTH) {
        return Err((Refusal::NoAuth, CommandError::fixed("NOAUTH Authentication required.")));
    }
    if at.multi.is_some() && flags.has(Flags::NO_MULTI) {
        return Err((Refusal::Context, CommandError::fixed("ERR Command not allowed inside a transaction")));
    }
    if let Some(user) = at.user {
        rights::check(user, command, index, args)
            .map_err(|denied| denied_to(user, command, args, at, denied))?;
    }
    if at.out_of_memory && takes_memory(flags, at) {
        return Err((Refusal::OutOfMemory, CommandError::fixed(OOM)));
    }
    if at.writes_stopped && (does(flags, at, Flags::WRITE) || tells_health(command)) {
        return Err((Refusal::Misconfigured, CommandError::fixed(MISCONF)));
    }
    if at.log_failing
        && (does(flags, at, Flags::WRITE) || tells_health(command))
        && let Some(why) = at.engine.log.error()
    {
        return Err((Refusal::Misconfigured, cannot_log(&why)));
    }
    if at.replicas_lacking && does(flags, at, Flags::WRITE) {
        return Err((Refusal::NoReplicas, CommandError::fixed(NOREPLICAS)));
    }
    if at.client.has(ClientFlag::Subscriber)
        && !flags.has(Flags::SUBSCRIBER)
        && !at.client.has(ClientFlag::Resp3)
    {
        return Err((Refusal::Context, only_subscriber_commands(command)));
    }
    if at.loading && lacks(flags, at, Flags::LOADING) {
        let text = "LOADING Redis is loading the dataset in memory";
        return Err((Refusal::Loading, CommandError::fixed(text)));
    }
    // Whoever monitors is a replica of a kind in Redis.
    if at.client.any(ClientFlag::Replica as u32 | ClientFlag::Monitor as u32)
        && flags.any(Flags::WRITE | Flags::READONLY | Flags::MAY_REPLICATE)
    {
        let text = "ERR Replica can't interact with the keyspace";
        return Err((Refusal::Context, CommandError::fixed(text)));
    }
    Ok(())
}

/// What the user may not do is logged.
#[cold]
fn denied_to(
    user: &User,
    command: &Registered,
    args: &Args<'_>,
    at: &Situation<'_>,
    denied: Denied,
) -> Refused {
    let context = if at.multi.is_some() { LogContext::Multi } else { LogContext::TopLevel };
    let asking = Asking { server: &*at.engine.server, registry: &at.engine.registry, client: at.client };
    rights::note_denied(&asking, at.settings, user, command, args, denied, context);
    (Refusal::NoPermission, rights::refusal(command, denied))
}

/// In RESP2 a reply could not be told from a message.
#[cold]
fn only_subscriber_commands(command: &Registered) -> CommandError {
    CommandError::err(format_args!(
        "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
         context",
        command.full_name
    ))
}

const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// Whether the command may take memory: by its flag, or because it would be queued, and a queue has no end.
#[cold]
fn takes_memory(flags: Flags, at: &Situation<'_>) -> bool {
    let leaves = flags.any(Flags::EXECUTES_QUEUE | Flags::LEAVES_MULTI);
    does(flags, at, Flags::DENYOOM) || at.multi.is_some() && !leaves
}

/// Whether the command has a flag. EXEC has those of all that it will run.
fn does(flags: Flags, at: &Situation<'_>, flag: Flags) -> bool {
    flags.has(flag) || queue_of(flags, at).is_some_and(|multi| multi.flags.has(flag))
}

/// Whether the command lacks a flag. EXEC lacks what anything lacks that it will run.
fn lacks(flags: Flags, at: &Situation<'_>, flag: Flags) -> bool {
    !flags.has(flag) || queue_of(flags, at).is_some_and(|multi| multi.lacks.has(flag))
}

/// The queue that the command will run.
fn queue_of<'a>(flags: Flags, at: &Situation<'a>) -> Option<&'a Multi> {
    if flags.has(Flags::EXECUTES_QUEUE) { at.multi } else { None }
}

/// PING tells a health check that the server cannot persist, as in Redis.
fn tells_health(command: &Registered) -> bool {
    command.row.flags.has(Flags::TELLS_HEALTH)
}

/// A container was meant but none of its subcommands.
fn subcommand_known(command: &Registered, args: &Args<'_>) -> Result<(), Refused> {
    if command.children.is_empty() || args.len() < 2 {
        return Ok(());
    }
    let given = shown_up_to(args.get(1), 128);
    let text = format!("unknown subcommand '{given}'. Try {} HELP.", command.full_name.to_ascii_uppercase());
    Err((Refusal::UnknownCommand, CommandError::err(text)))
}

fn arity(command: &Registered, args: &Args<'_>) -> Result<(), Refused> {
    if command.accepts(args.len()) {
        return Ok(());
    }
    Err((Refusal::Arity, CommandError::Arity(command.full_name.to_owned())))
}

/// DEBUG and MODULE run only where a setting allows it.
fn allowed_by_setting(command: &Registered, at: &Situation<'_>) -> Result<(), Refused> {
    let debug = !command.row.flags.has(Flags::OF_MODULES);
    let setting = if debug { at.settings.enable_debug_command } else { at.settings.enable_module_command };
    let allowed = match setting {
        ProtectedAction::Yes => true,
        ProtectedAction::Local => is_local(at.client),
        ProtectedAction::No => false,
    };
    if allowed {
        return Ok(());
    }
    let name = if debug { "debug" } else { "module" };
    let text = format!(
        "{} command not allowed. If the enable-{name}-command option is set to \"local\", you can run it from a \
         local connection, otherwise you need to set this option in the configuration file, and then restart \
         the server.",
        name.to_ascii_uppercase()
    );
    Err((Refusal::Disabled, CommandError::err(text)))
}

/// Whether the connection comes from this machine.
fn is_local(client: &Client) -> bool {
    match &client.address {
        Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
        _ => true,
    }
}

/// The refusal of a name that is in no table.
pub fn unknown(registry: &Registry, args: &Args<'_>) -> Refused {
    debug_assert!(registry.find(args.get(0)).is_none());
    let name = shown_up_to(args.get(0), 128);
    let mut text = format!("unknown command '{name}', with args beginning with: ");
    let mut budget = 128usize;
    for argument in args.all().skip(1) {
        if budget == 0 {
            break;
        }
        let part = shown_up_to(argument, budget);
        // Bytes that are no text are shown as one sign of three.
        let used = argument.iter().take(budget).take_while(|&&byte| byte != 0).count();
        budget = budget.saturating_sub(used + 3);
        text.push_str(&format!("'{part}' "));
    }
    (Refusal::UnknownCommand, CommandError::err(text))
}
