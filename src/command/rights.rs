//! The caller's rights: what rules want to know of a request, and a denial in Redis's words.

use smallvec::SmallVec;

use crate::acl::{Acl, Asked, ChannelAsked, Denied, KeyAsked, LogContext, Needs, Reason, Refusal, User};
use crate::config::{AclPubsubDefault, Settings};
use crate::resp::Span;

use super::client::{Client, ClientFlag};
use super::client_line::{View, line};
use super::ports::Server;
use super::row::{Access, Channels, Command, Keys};
use super::session::Session;
use super::table::Registered;
use super::{Args, CommandError, Context, Flags, Registry, keys};

/// What of a denied name is kept in the log: keys may be very long.
const LOGGED_BYTES: usize = 1024;

/// What a command does with a key, as rules divide it.
fn needs(access: Access) -> Needs {
    let read = if access.has(Access::ACCESS) { Needs::READ } else { Needs::NONE };
    let changes = access.any(Access::INSERT | Access::DELETE | Access::UPDATE);
    if changes { read.with(Needs::WRITE) } else { read }
}

/// What a command does with its one key at most, when that is all there is to ask about its arguments: who may do that
/// may do less. What it really does may follow from its options (`SET` with `GET`), which are looked at for the others.
pub(super) fn one_key(row: &Command) -> Option<Needs> {
    match (row.keys, row.channels) {
        (Keys::One(access), Channels::None) if access.has(Access::NOT_KEY) => None,
        (Keys::One(access), Channels::None) if access.has(Access::VARIABLE_FLAGS) => {
            Some(needs(access).with(Needs::READ).with(Needs::WRITE))
        }
        (Keys::One(access), Channels::None) => Some(needs(access)),
        _ => None,
    }
}

type KeysAsked<'a> = SmallVec<[KeyAsked<'a>; 4]>;
type ChannelsAsked<'a> = SmallVec<[ChannelAsked<'a>; 4]>;

fn keys_of<'a>(command: &Registered, args: &Args<'a>) -> KeysAsked<'a> {
    let row = command.row;
    let mut found = KeysAsked::new();
    if keys::is_miscounted(row.keys, args.len(), |at| args.get(at)) {
        // Redis finds no keys then, and lets the command refuse it in words.
        return found;
    }
    if let Keys::Migrated(access) = row.keys {
        let told = keys::told_of_migrate(access, args.len(), |at| args.get(at));
        found.extend(told.iter().map(|key| KeyAsked {
            at: key.index,
            key: args.get(key.index),
            needs: needs(key.access),
        }));
        return found;
    }
    if let Keys::Streams(from, access) = row.keys
        && let needs = needs(access)
        && keys::find(row.keys, args.len(), |at| args.get(at)).is_empty()
    {
        // Options that make no sense: Redis looks no further than for the word.
        let (first, end) = keys::streams_anywhere(from, args.len(), |at| args.get(at));
        found.extend((first..end).map(|at| KeyAsked { at, key: args.get(at), needs }));
        return found;
    }
    keys::each(
        row.keys,
        args.len(),
        |at| args.get(at),
        |at, declared| {
            let access =
                if declared.has(Access::VARIABLE_FLAGS) { (row.access)(args, declared) } else { declared };
            if !access.has(Access::NOT_KEY) {
                found.push(KeyAsked { at, key: args.get(at), needs: needs(access) });
            }
        },
    );
    found
}

fn channels_of<'a>(command: &Registered, args: &Args<'a>) -> ChannelsAsked<'a> {
    let (end, literally) = match command.row.channels {
        Channels::None => return ChannelsAsked::new(),
        Channels::First => (2, false),
        Channels::All => (args.len(), false),
        Channels::Patterns => (args.len(), true),
    };
    (1..end.min(args.len())).map(|at| ChannelAsked { at, name: args.get(at), literally }).collect()
}

/// Hands what rules want to know of a request to `ask`.
#[inline]
fn with_asked<R>(
    user: &User,
    command: &Registered,
    index: usize,
    args: &Args<'_>,
    ask: impl FnOnce(&Asked<'_>) -> R,
) -> R {
    let keys = if user.asks_for_keys() { keys_of(command, args) } else { KeysAsked::new() };
    let channels = if user.asks_for_channels() { channels_of(command, args) } else { ChannelsAsked::new() };
    let behind = if command.parent.is_some() { 2 } else { 1 };
    ask(&Asked {
        command: index,
        for_everybody: command.row.flags.has(Flags::NO_AUTH),
        first_argument: (args.len() > behind).then(|| args.get(behind)),
        keys: &keys,
        channels: &channels,
    })
}

/// Whether a user may send a request.
#[inline]
pub fn check(user: &User, command: &Registered, index: usize, args: &Args<'_>) -> Result<(), Denied> {
    if let Some(needs) = command.one_key
        && args.len() > 1
        && user.allows_one_key(index, args.get(1), needs)
    {
        return Ok(());
    }
    check_all(user, command, index, args)
}

fn check_all(user: &User, command: &Registered, index: usize, args: &Args<'_>) -> Result<(), Denied> {
    with_asked(user, command, index, args, |asked| user.check(asked))
}

/// Whether the caller may send the request, and read every key there is besides: what SORT asks for before
/// it follows patterns.
pub fn reads_every_key(ctx: &Context<'_>, args: &Args<'_>) -> bool {
    let Some(user) = ctx.session.restricted_user() else { return true };
    with_asked(user, ctx.registry.get(ctx.command), ctx.command, args, |asked| {
        user.check_with_every_key(asked, Needs::READ)
    })
}

/// What a client is told that may not send a request.
pub fn refusal(command: &Registered, denied: Denied) -> CommandError {
    match denied.reason {
        Reason::Key => CommandError::fixed(
            "NOPERM this user has no permissions to access one of the keys used as arguments",
        ),
        Reason::Channel => CommandError::fixed(
            "NOPERM this user has no permissions to access one of the channels used as arguments",
        ),
        Reason::Command | Reason::Auth => CommandError::Text(
            format!("NOPERM this user has no permissions to run the '{}' command", command.full_name).into(),
        ),
    }
}

/// Who asks, for the log.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// The server.
    pub server: &'a dyn Server,
    /// All commands.
    pub registry: &'a Registry,
    /// The client.
    pub client: &'a Client,
}

impl std::fmt::Debug for Asking<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asking").field("client", &self.client.id).finish_non_exhaustive()
    }
}

/// Enters a denial in the ACL log.
pub fn note_denied(
    asking: &Asking<'_>,
    settings: &Settings,
    user: &User,
    command: &Registered,
    args: &Args<'_>,
    denied: Denied,
    context: LogContext,
) {
    let object = match denied.reason {
        Reason::Key | Reason::Channel => args.get(denied.at),
        Reason::Command | Reason::Auth => command.full_name.as_bytes(),
    };
    note(asking, settings, (denied.reason, object, user.name()), args, context);
}

/// Enters a failed login in the ACL log.
pub fn note_failed_login(ctx: &Context<'_>, args: &Args<'_>, user: &[u8]) {
    let context = if ctx.session.multi.is_some() || ctx.in_transaction {
        LogContext::Multi
    } else {
        LogContext::TopLevel
    };
    let asking = Asking { server: ctx.server, registry: ctx.registry, client: &ctx.session.client };
    note(&asking, ctx.settings, (Reason::Auth, args.get(0), user), args, context);
}

fn note(
    asking: &Asking<'_>,
    settings: &Settings,
    (reason, object, user): (Reason, &[u8], &[u8]),
    args: &Args<'_>,
    context: LogContext,
) {
    let short = |name: &[u8]| name[..name.len().min(LOGGED_BYTES)].to_vec();
    let now_ms = asking.server.clock().unix_ms();
    let bytes = args.all().map(<[u8]>::len).sum();
    let view = View { registry: asking.registry, now_ms, asking: (asking.client.id, bytes) };
    let mut client = Vec::new();
    line(&mut client, asking.client, &view);
    let refusal = Refusal { reason, context, object: short(object), user: short(user) };
    let longest = usize::try_from(settings.acllog_max_len).unwrap_or(usize::MAX);
    asking.server.acl().log().add(refusal, client, now_ms, longest);
}

/// What the caller may not do of a request.
#[inline]
pub fn denial(ctx: &Context<'_>, index: usize, args: &Args<'_>) -> Option<Denied> {
    check(ctx.session.restricted_user()?, ctx.registry.get(index), index, args).err()
}

/// Logs a denial.
fn log(ctx: &Context<'_>, index: usize, args: &Args<'_>, denied: Denied, context: LogContext) {
    let Some(user) = ctx.session.restricted_user() else { return };
    let asking = Asking { server: ctx.server, registry: ctx.registry, client: &ctx.session.client };
    note_denied(&asking, ctx.settings, user, ctx.registry.get(index), args, denied, context);
}

/// Asks for the rights of a queued command once more, when it runs.
pub fn check_again(ctx: &Context<'_>, args: &Args<'_>) -> Result<(), CommandError> {
    denial(ctx, ctx.command, args).map_or(Ok(()), |denied| {
        log(ctx, ctx.command, args, denied, LogContext::Multi);
        let reason = match denied.reason {
            Reason::Key => "no permission to touch the specified keys",
            Reason::Channel => "no permission to access one of the channels used as arguments",
            Reason::Command | Reason::Auth => "no permission to execute the command or subcommand",
        };
        Err(CommandError::Text(
            format!(
                "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
                 This command is no longer allowed for the following reason: {reason}"
            )
            .into(),
        ))
    })
}

/// Logs that a script called what its caller may not do. The error is what the script is told.
pub fn refuse_script(ctx: &Context<'_>, index: usize, args: &Args<'_>, denied: Denied) -> &'static str {
    log(ctx, index, args, denied, LogContext::Script);
    match denied.reason {
        Reason::Key => {
            "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments"
        }
        Reason::Channel => {
            "ERR The user executing the script can't publish to the channel mentioned in the command"
        }
        Reason::Command | Reason::Auth => {
            "ERR The user executing the script can't run this command or subcommand"
        }
    }
}

/// Whether the caller may send a request of these words; `None` when there is no such command.
pub fn may_send(ctx: &Context<'_>, words: &[Vec<u8>]) -> Option<bool> {
    let index = resolve(ctx.registry, words.first()?, words.get(1).map(Vec::as_slice))?;
    let Some(user) = ctx.session.restricted_user() else { return Some(true) };
    let mut buffer = Vec::new();
    let spans: Vec<Span> = words
        .iter()
        .map(|word| {
            buffer.extend_from_slice(word);
            Span { start: buffer.len() - word.len(), len: word.len() }
        })
        .collect();
    Some(check(user, ctx.registry.get(index), index, &Args::new(&buffer, &spans, &[])).is_ok())
}

/// The command of a request, and nothing for a container with a subcommand that it does not have.
pub fn resolve(registry: &Registry, name: &[u8], second: Option<&[u8]>) -> Option<usize> {
    let index = registry.resolve(name, second)?;
    let is_unknown = second.is_some() && !registry.get(index).children.is_empty();
    (!is_unknown).then_some(index)
}

/// Carries out changed settings that are about users.
pub fn apply_config(acl: &Acl, old: &Settings, new: &Settings) {
    acl.set_all_channels(new.acl_pubsub_default == AclPubsubDefault::Allchannels);
    if old.requirepass != new.requirepass {
        acl.set_default_password(&new.requirepass);
    }
}

/// Ends a client's connection: the own one when its reply has left.
pub fn end(session: &Session, client: &Client) {
    if client.id == session.client.id {
        client.set(ClientFlag::CloseAfterReply, true);
    } else {
        client.kill();
    }
}
