//! MIGRATE: keys move to another server, by DUMP here and RESTORE there.
//!
//! The values are taken at one instant, under the keys' locks. What waits for the network is done on a
//! thread of its own, so that no other client waits with it; meanwhile the keys are watched, and each
//! that the other server has acknowledged is removed here only if nobody has changed it since. Within a
//! transaction nothing may come between, so there it is done at once.

use std::sync::Arc;
use std::time::Duration;

use crate::command::context::EventClass;
use crate::command::ports::{Departing, Destination, SendFailure, Sent};
use crate::command::reply::Work;
use crate::command::row::{Access, Acl, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::parse_i64;
use crate::store::{Key, WatchFlag};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    name: "MIGRATE",
    arguments: "key_\"\" =key_or_empty_string; \"\" =empty_string; timeout :integer; copy @3.0.0; replace @3.0.0; password_* =authentication; password @4.0.7 optional; username_* @6.0.0 optional; key @3.0.6",
    history: &[
        ("3.0.0", "Added the `COPY` and `REPLACE` options."),
        ("3.0.6", "Added the `KEYS` option."),
        ("4.0.7", "Added the `AUTH` option."),
        ("6.0.0", "Added the `AUTH2` option."),
    ],
    differs: "A key that changes while it is sent stays here, and the reply is TRYAGAIN: nobody waits for the network.",
    syntax: "host port <key | \"\"> destination-db timeout [COPY] [REPLACE] [<AUTH password | AUTH2 username password>] [KEYS key [key ...]]",
    summary: "Moves keys to another server, each of them at once.",
    since: "2.6.0",
    complexity: "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two instances is performed.",
    flags: Flags::WRITE.with(Flags::SECRET),
    secret,
    acl: Acl::DANGEROUS,
    keys: Keys::Migrated(Access::RW.with(Access::ACCESS).with(Access::DELETE)),
    tips: &["nondeterministic_output"],
    run: migrate,
    ..Command::BASE
}];

/// The password, and the name before it, of AUTH and AUTH2 where options stand.
fn secret(args: &Args<'_>, index: usize) -> bool {
    const FIRST_OPTION: usize = 6;
    let mut at = FIRST_OPTION;
    while at < index {
        let option = args.get(at);
        let values = if option.eq_ignore_ascii_case(b"AUTH") {
            1
        } else if option.eq_ignore_ascii_case(b"AUTH2") {
            2
        } else if option.eq_ignore_ascii_case(b"KEYS") {
            return false;
        } else {
            0
        };
        if index <= at + values {
            return true;
        }
        at += 1 + values;
    }
    false
}

/// What the arguments say beside the keys.
struct Options {
    destination: Destination,
    database: i64,
    copy: bool,
    replace: bool,
    /// AUTH with a password, or with a name and a password.
    credentials: Vec<Vec<u8>>,
}

const DEFAULT_TIMEOUT_MS: i64 = 1_000;

impl Options {
    fn read(args: &mut Args<'_>) -> Result<Options, CommandError> {
        let (host, port, key) = (args.bytes(), args.bytes(), args.bytes());
        let (database, timeout) = (args.bytes(), args.bytes());
        args.check()?;
        let (mut copy, mut replace, mut credentials) = (false, false, Vec::new());
        while args.remaining() > 0 {
            if args.keyword("COPY") {
                copy = true;
            } else if args.keyword("REPLACE") {
                replace = true;
            } else if args.keyword("AUTH") {
                credentials = vec![args.bytes().to_vec()];
            } else if args.keyword("AUTH2") {
                credentials = vec![args.bytes().to_vec(), args.bytes().to_vec()];
            } else if args.keyword("KEYS") {
                if !key.is_empty() {
                    return Err(CommandError::fixed(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                break;
            } else {
                return Err(CommandError::Syntax);
            }
            args.check()?;
        }
        let timeout_ms = parse_i64(timeout).ok_or(CommandError::NotInteger)?;
        let database = parse_i64(database).ok_or(CommandError::NotInteger)?;
        let timeout_ms = if timeout_ms > 0 { timeout_ms } else { DEFAULT_TIMEOUT_MS };
        let destination = Destination {
            host: String::from_utf8_lossy(host).into_owned(),
            // As C's atoi: what is no port cannot be connected to.
            port: parse_i64(port).and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
            timeout: Duration::from_millis(timeout_ms.unsigned_abs()),
        };
        Ok(Options { destination, database, copy, replace, credentials })
    }

    /// The requests that come before those of the keys.
    fn opening(&self) -> Vec<Vec<Vec<u8>>> {
        let mut requests = Vec::new();
        if !self.credentials.is_empty() {
            requests.push([vec![b"AUTH".to_vec()], self.credentials.clone()].concat());
        }
        requests.push(vec![b"SELECT".to_vec(), self.database.to_string().into_bytes()]);
        requests
    }
}

fn migrate(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let options = Options::read(&mut args)?;
    let mut requests = options.opening();
    let opening = requests.len();
    let declared = (0..args.keys().len()).filter_map(|ordinal| args.declared(ordinal));
    let keys: Vec<Key<'_>> = declared.filter(|&key| pack(ctx, key, &options, &mut requests)).collect();
    if keys.is_empty() {
        return Ok(Reply::Simple("NOKEY"));
    }
    if ctx.in_transaction {
        let sent = ctx.server.migrations().send(&options.destination, &requests);
        let gone = keys
            .iter()
            .enumerate()
            .filter(|(index, _)| !options.copy && sent.accepted(opening, opening + index));
        gone.for_each(|(_, &key)| remove(ctx, key));
        return outcome(&sent);
    }
    let departing: Vec<Departing> = if options.copy { Vec::new() } else { watch(ctx, &keys) };
    let (database, migrations) = (ctx.view.database(), ctx.server.migrations());
    Ok(Reply::Later(Work::new(move || {
        let sent = migrations.send(&options.destination, &requests);
        let unchanged =
            migrations.depart(database, &departing, &|index| sent.accepted(opening, opening + index));
        outcome(&sent)?;
        if unchanged.contains(&false) {
            return Err(CommandError::fixed(
                "TRYAGAIN A key was changed while it was sent. It is still here, and the target has it as it was",
            ));
        }
        Ok(Reply::Ok)
    })))
}

/// Adds the request that restores a key, if it is there.
fn pack(ctx: &mut Context<'_>, key: Key<'_>, options: &Options, requests: &mut Vec<Vec<Vec<u8>>>) -> bool {
    let (now_ms, compress) = (ctx.now_ms(), ctx.settings.rdbcompression);
    let dumps = ctx.server.dumps();
    let Some(entry) = ctx.view.read(key) else { return false };
    let left_ms = entry.expire_at_ms().map_or(0, |at| at.saturating_sub(now_ms).max(1));
    let payload = dumps.dump(entry, compress);
    let mut request =
        vec![b"RESTORE".to_vec(), key.bytes.to_vec(), left_ms.to_string().into_bytes(), payload];
    if options.replace {
        request.push(b"REPLACE".to_vec());
    }
    requests.push(request);
    true
}

fn watch(ctx: &mut Context<'_>, keys: &[Key<'_>]) -> Vec<Departing> {
    let mut watched = Vec::with_capacity(keys.len());
    for &key in keys {
        let changed: Arc<WatchFlag> = Arc::default();
        ctx.view.watch(key, &changed);
        watched.push(Departing { key: key.bytes.to_vec(), changed });
    }
    watched
}

fn remove(ctx: &mut Context<'_>, key: Key<'_>) {
    // A key that was named twice is gone already.
    if ctx.view.remove(key) {
        ctx.replay_as([b"DEL", key.bytes]);
        ctx.effect(key, EventClass::Generic, "del");
    }
}

/// What the client is told.
fn outcome(sent: &Sent) -> Outcome {
    if let Some(error) = sent.replies.iter().find_map(|reply| reply.as_ref().err()) {
        return Err(CommandError::err(format_args!("Target instance replied with error: {error}")));
    }
    let text = match sent.failure {
        None => return Ok(Reply::Ok),
        Some(SendFailure::Connecting) => "IOERR error or timeout connecting to the client",
        Some(SendFailure::Writing) => "IOERR error or timeout writing to target instance",
        Some(SendFailure::Reading) => "IOERR error or timeout reading to target instance",
    };
    Err(CommandError::fixed(text))
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn what_is_refused_before_anything_is_sent() {
        transcript(
            r#"
            > MIGRATE 127.0.0.1 1 nobody 0 10
            NOKEY
            > MIGRATE 127.0.0.1 1 "" 0 10 KEYS nobody noone
            NOKEY
            > MIGRATE 127.0.0.1 1 k 0 10 KEYS a b
            (error) ERR When using MIGRATE KEYS option, the key argument must be set to the empty string
            > MIGRATE 127.0.0.1 1 k x 10
            (error) ERR value is not an integer or out of range
            > MIGRATE 127.0.0.1 1 k 0 x
            (error) ERR value is not an integer or out of range
            > MIGRATE 127.0.0.1 1 k 0 10 AUTH
            (error) ERR syntax error
            > MIGRATE 127.0.0.1 1 k 0 10 AUTH2 name
            (error) ERR syntax error
            > MIGRATE 127.0.0.1 1 k 0 10 BADARG
            (error) ERR syntax error
            > MIGRATE 127.0.0.1 1 k 0
            (error) ERR wrong number of arguments for 'migrate' command
            > SET k v
            OK
            > MIGRATE 127.0.0.1 1 k 0 1000
            (error) IOERR error or timeout connecting to the client
            > GET k
            "v"
            > COMMAND GETKEYS MIGRATE host 1 k 0 10 COPY AUTH keys
            1) "k"
            > COMMAND GETKEYS MIGRATE host 1 k 0 10 KEYS a b
            (error) ERR Invalid arguments specified for command
            > COMMAND GETKEYS MIGRATE host 1 k 0 10 COPY KEYS
            1) "k"
            > COMMAND GETKEYS MIGRATE host 1 k 0 10 AUTH keys keys
            (error) ERR Invalid arguments specified for command
            > COMMAND GETKEYS MIGRATE host 1 "" 0 10 KEYS
            1) ""
            > COMMAND GETKEYS MIGRATE host 1 "" 0 10 AUTH keys keys
            (error) ERR Invalid arguments specified for command
            > COMMAND GETKEYS MIGRATE host 1 "" 0 10 AUTH2 keys keys REPLACE KEYS a b
            1) "a"
            2) "b"
            "#,
        );
    }
}
