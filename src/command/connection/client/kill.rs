//! CLIENT KILL: closes connections, by address or by filters.

use crate::acl::Table;
use crate::command::client::{Client, ClientFlag};
use crate::command::row::{Command, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::parse_i64;

use super::{REACHING, is_of_type, unknown_type};

pub const KILL: Command = Command {
    name: "KILL",
    arguments: "ip:port_* =filter; ip:port !2.8.12; client-id_* =new-format; client-id @2.8.12; normal_* =normal_master_slave_pubsub @2.8.12; master @3.2.0; replica @5.0.0; ip:port; ip:port @6.2.0",
    history: &[
        ("2.8.12", "Added new filter format."),
        ("2.8.12", "`ID` option."),
        ("3.2.0", "Added `master` type in for `TYPE` option."),
        (
            "5.0.0",
            "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility.",
        ),
        ("6.2.0", "`LADDR` option."),
    ],
    syntax: "<ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | [USER username] | \
             [ADDR ip:port] | [LADDR ip:port] | [SKIPME yes/no] ...>>",
    summary: "Kill the connection of a client",
    since: "2.4.0",
    complexity: "O(N) where N is the number of client connections",
    group: Group::Connection,
    flags: REACHING,
    run: kill,
    ..Command::BASE
};

/// Who is to be closed: everybody whom all filters let through.
#[derive(Default)]
struct Filters<'a> {
    id: Option<u64>,
    kind: Option<&'a [u8]>,
    address: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    skips_me: bool,
}

impl<'a> Filters<'a> {
    /// Reads pairs of a filter's name and its value.
    fn read(args: &mut Args<'a>, users: &Table) -> Result<Filters<'a>, CommandError> {
        let mut filters = Filters { skips_me: true, ..Filters::default() };
        while let Some(name) = args.next() {
            let Some(value) = args.next() else { return Err(CommandError::Syntax) };
            match &name.to_ascii_lowercase()[..] {
                b"id" => filters.id = Some(client_id(value)?),
                b"type" => filters.kind = Some(known_type(value)?),
                b"addr" => filters.address = Some(value),
                b"laddr" => filters.local = Some(value),
                b"user" => filters.user = Some(known_user(users, value)?),
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => filters.skips_me = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => filters.skips_me = false,
                _ => return Err(CommandError::Syntax),
            }
        }
        Ok(filters)
    }

    fn match_client(&self, client: &Client) -> bool {
        let is = |wanted: Option<&[u8]>, text: &dyn Fn() -> String| {
            wanted.is_none_or(|wanted| wanted == text().as_bytes())
        };
        is(self.address, &|| client.address.to_string())
            && is(self.local, &|| client.local.to_string())
            && self.kind.is_none_or(|name| is_of_type(client, name) == Ok(true))
            && self.id.is_none_or(|id| id == client.id)
            && self.user.is_none_or(|user| client.text().user == user)
    }
}

fn client_id(value: &[u8]) -> Result<u64, CommandError> {
    match parse_i64(value) {
        Some(id) if id > 0 => Ok(id as u64),
        _ => Err(CommandError::fixed("ERR client-id should be greater than 0")),
    }
}

fn known_type(name: &[u8]) -> Result<&[u8], CommandError> {
    let known = super::TYPES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
    if known { Ok(name) } else { Err(unknown_type(name)) }
}

fn known_user<'a>(users: &Table, name: &'a [u8]) -> Result<&'a [u8], CommandError> {
    if users.get(name).is_some() {
        return Ok(name);
    }
    Err(CommandError::err(format_args!("No such user '{}'", crate::command::error::shown(name))))
}

fn kill(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    // The old form names an address only, may hit the own connection, and answers in other words.
    let by_address = args.len() == 3;
    let filters = if by_address {
        Filters { address: args.next(), ..Filters::default() }
    } else {
        Filters::read(&mut args, &ctx.server.acl().table())?
    };
    let me = ctx.session.client.id;
    let mut killed = 0;
    for client in ctx.server.clients().all() {
        if !filters.match_client(&client) || (client.id == me && filters.skips_me) {
            continue;
        }
        if client.id == me {
            // The reply still leaves.
            client.set(ClientFlag::CloseAfterReply, true);
        } else {
            client.kill();
        }
        killed += 1;
    }
    match (by_address, killed) {
        (false, killed) => Ok(Reply::Int(killed)),
        (true, 0) => Err(CommandError::fixed("ERR No such client")),
        (true, _) => Ok(Reply::Ok),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::command::client::Address;
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn refusals() {
        transcript(
            r#"
            > CLIENT KILL 0.0.0.0:1
            (error) ERR No such client
            > CLIENT KILL
            (error) ERR wrong number of arguments for 'client|kill' command
            > CLIENT KILL TYPE wrong
            (error) ERR Unknown client type 'wrong'
            > CLIENT KILL USER wrong
            (error) ERR No such user 'wrong'
            > CLIENT KILL ID 0
            (error) ERR client-id should be greater than 0
            > CLIENT KILL ID abc
            (error) ERR client-id should be greater than 0
            > CLIENT KILL SKIPME maybe
            (error) ERR syntax error
            > CLIENT KILL ID 1 TYPE
            (error) ERR syntax error
            > CLIENT KILL BY NAME
            (error) ERR syntax error
            > CLIENT KILL TYPE pubsub
            (integer) 0
            > CLIENT KILL TYPE master SKIPME no
            (integer) 0
            > CLIENT KILL ID 987654321
            (integer) 0
            > CLIENT KILL SKIPME YES USER default ADDR 0.0.0.0:1
            (integer) 0
            "#,
        );
    }

    #[test]
    fn filters_must_all_fit() {
        let tcp = |text: &str| Address::Tcp(text.parse().expect("an address"));
        let client = Client::new(7, tcp("127.0.0.1:5000"), tcp("127.0.0.1:6379"), 9, 0, 0);
        let users = Bench::new().server.acl.table();
        let fits = |line: &str| {
            let (buffer, mut spans) = (line.as_bytes(), Vec::new());
            for word in line.split(' ') {
                let start = word.as_ptr() as usize - line.as_ptr() as usize;
                spans.push(crate::resp::Span { start, len: word.len() });
            }
            let mut args = Args::new(buffer, &spans, &[]).of_subcommand();
            Filters::read(&mut args, &users).expect("good filters").match_client(&client)
        };
        assert!(fits("CLIENT KILL ID 7"));
        assert!(fits("CLIENT KILL ADDR 127.0.0.1:5000 LADDR 127.0.0.1:6379 TYPE normal USER default"));
        assert!(!fits("CLIENT KILL ID 8"));
        assert!(!fits("CLIENT KILL ID 7 LADDR 127.0.0.1:5000"));
        assert!(!fits("CLIENT KILL ID 7 TYPE replica"));
    }

    #[test]
    fn oneself_is_closed_after_the_reply() {
        let mut bench = Bench::new();
        assert_eq!(bench.line("CLIENT KILL ID 1"), "(integer) 0");
        assert!(!bench.session.client.has(ClientFlag::CloseAfterReply));
        assert_eq!(bench.line("CLIENT KILL ID 1 SKIPME NO"), "(integer) 1");
        assert!(bench.session.client.has(ClientFlag::CloseAfterReply));
        let mut bench = Bench::new();
        assert_eq!(bench.line("CLIENT KILL ?:0"), "OK");
        assert!(bench.session.client.has(ClientFlag::CloseAfterReply));
    }

    #[test]
    fn others_are_closed_at_once() {
        let other = Arc::new(Client::new(2, Address::Internal, Address::Internal, -1, 0, 0));
        let mut bench = Bench::with(crate::config::Settings::default(), Some(Arc::clone(&other)));
        assert_eq!(bench.line("CLIENT KILL ID 2"), "(integer) 1");
        assert!(other.has(ClientFlag::Killed));
    }
}
