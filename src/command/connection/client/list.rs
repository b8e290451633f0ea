//! CLIENT LIST and CLIENT INFO: clients, one line each.

use crate::command::client_line::{View, line};
use crate::command::row::{Command, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::parse_i64;

use super::{COMMON, REACHING, is_of_type, unknown_type};

pub const LIST: Command = Command {
    name: "LIST",
    arguments: "normal_* @5.0.0; client-id..client-id (id) @6.2.0 once; client-id multiple",
    history: &[
        ("2.8.12", "Added unique client `id` field."),
        ("5.0.0", "Added optional `TYPE` filter."),
        ("6.0.0", "Added `user` field."),
        ("6.2.0", "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter."),
        ("7.0.0", "Added `resp`, `multi-mem`, `rbs` and `rbp` fields."),
        ("7.0.3", "Added `ssub` field."),
    ],
    syntax: "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
    summary: "Get the list of client connections",
    since: "2.4.0",
    complexity: "O(N) where N is the number of client connections",
    group: Group::Connection,
    flags: REACHING,
    tips: &["nondeterministic_output"],
    run: list,
    ..Command::BASE
};

pub const INFO: Command = Command {
    name: "INFO",
    summary: "Returns information about the current client connection.",
    since: "6.2.0",
    group: Group::Connection,
    flags: COMMON,
    tips: &["nondeterministic_output"],
    run: info,
    ..Command::BASE
};

fn info(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let mut text = Vec::new();
    line(&mut text, &ctx.session.client, &View::new(ctx, &args));
    text.push(b'\n');
    ctx.out.verbatim("txt", &text);
    Ok(Reply::Sent)
}

fn list(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let clients = match args.remaining() {
        0 => ctx.server.clients().all(),
        2 if args.keyword("TYPE") => {
            let name = args.bytes();
            if !super::TYPES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
                return Err(unknown_type(name));
            }
            let mut clients = ctx.server.clients().all();
            clients.retain(|client| is_of_type(client, name) == Ok(true));
            clients
        }
        2.. if args.keyword("ID") => {
            let mut clients = Vec::new();
            for id in args.rest() {
                let id = parse_i64(id).ok_or(CommandError::fixed("ERR Invalid client ID"))?;
                clients.extend(u64::try_from(id).ok().and_then(|id| ctx.server.clients().find(id)));
            }
            clients
        }
        _ => return Err(CommandError::Syntax),
    };
    let view = View::new(ctx, &args);
    let mut text = Vec::new();
    for client in &clients {
        line(&mut text, client, &view);
        text.push(b'\n');
    }
    ctx.out.verbatim("txt", &text);
    Ok(Reply::Sent)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::command::client::ClientFlag;
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn refusals() {
        transcript(
            r#"
            > CLIENT LIST TYPE wrong
            (error) ERR Unknown client type 'wrong'
            > CLIENT LIST TYPE master
            ""
            > CLIENT LIST TYPE replica
            ""
            > CLIENT LIST TYPE pubsub
            ""
            > CLIENT LIST ID
            (error) ERR syntax error
            > CLIENT LIST ID 123456789 987654321
            ""
            > CLIENT LIST ID -5
            ""
            > CLIENT LIST ID abc
            (error) ERR Invalid client ID
            > CLIENT LIST TYPE
            (error) ERR syntax error
            > CLIENT LIST BY NAME
            (error) ERR syntax error
            "#,
        );
    }

    #[test]
    fn a_line_has_the_fields_of_redis_in_its_order() {
        let mut bench = Bench::new();
        bench.line("CLIENT SETNAME me");
        bench.clock.advance_ms(2_500);
        let client = &bench.session.client;
        client.query_used.store(26, Ordering::Relaxed);
        client.query_free.store(100, Ordering::Relaxed);
        client.output_pending.store(20_000, Ordering::Relaxed);
        let shown = bench.line("CLIENT LIST");
        let (before, total) = shown.split_once(" tot-mem=").expect("a figure of all memory");
        assert_eq!(
            before,
            "\"id=1 addr=?:0 laddr=?:0 fd=-1 name=me age=2 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=26 \
             qbuf-free=100 argv-mem=10 multi-mem=0 rbs=0 rbp=0 obl=16384 oll=1 omem=3616"
        );
        // The bench does not note the last command: that is the engine's.
        let (total, rest) = total.split_once(' ').expect("more fields");
        assert!(total.parse::<usize>().expect("a number") > 20_000);
        assert_eq!(rest, "events=rw cmd=NULL user=default redir=-1 resp=2\\n\"");
    }

    #[test]
    fn letters_tell_the_state() {
        let mut bench = Bench::new();
        bench.line("CLIENT NO-EVICT ON");
        bench.line("WATCH k");
        bench.line("SET k v");
        bench.line("MULTI");
        bench.session.client.set(ClientFlag::Blocked, true);
        assert!(bench.line("CLIENT INFO").contains(" flags=xbde db=0 "));
        assert_eq!(bench.line("CLIENT LIST ID 1 2").matches("id=1 ").count(), 1);
        assert_eq!(bench.line("CLIENT LIST TYPE NORMAL").matches("id=1 ").count(), 1);
    }

    #[test]
    fn the_text_is_verbatim_in_resp3() {
        let mut bench = Bench::new();
        bench.line("HELLO 3");
        let reply = bench.raw(&[b"CLIENT", b"INFO"]);
        assert!(reply.starts_with(b"="), "{}", reply.escape_ascii());
        assert!(reply.windows(6).any(|part| part == b"resp=3"));
    }
}
