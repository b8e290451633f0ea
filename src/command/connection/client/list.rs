//! CLIENT LIST and CLIENT INFO: clients, one line each.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::command::client::{Client, ClientFlag};
use crate::command::row::{Command, Group};
use crate::command::session::Queued;
use crate::command::{Args, CommandError, Context, Outcome, Registry, Reply};
use crate::data::parse_i64;

use super::{COMMON, REACHING, is_of_type, unknown_type};

pub const LIST: Command = Command {
    name: "LIST",
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

/// Up to here pending output counts as `obl`, beyond it as `oll` and `omem`: the size of Redis's reply
/// buffer and of the blocks that it chains behind it.
const REPLY_BLOCK_BYTES: usize = 16 * 1024;

/// Flags with their letters, in Redis's order.
const LETTERS: [(ClientFlag, char); 2] = [(ClientFlag::CloseAfterReply, 'c'), (ClientFlag::Killed, 'A')];

/// What a line needs beside the client's record.
struct View<'a> {
    registry: &'a Registry,
    now_ms: u64,
    /// The asking client, and how many bytes its arguments have.
    asking: (u64, usize),
}

impl<'a> View<'a> {
    fn new(ctx: &Context<'a>, args: &Args<'_>) -> View<'a> {
        let bytes = args.all().map(<[u8]>::len).sum();
        View { registry: ctx.registry, now_ms: ctx.now_ms(), asking: (ctx.session.client.id, bytes) }
    }
}

fn load(figure: &AtomicUsize) -> usize {
    figure.load(Ordering::Relaxed)
}

/// What a client is and is doing, one letter each.
fn letters(client: &Client) -> String {
    let mut letters = String::new();
    if client.has(ClientFlag::Subscriber) {
        letters.push('P');
    }
    if client.has(ClientFlag::InMulti) {
        letters.push('x');
    }
    // Redis blocks whom CLIENT PAUSE holds back.
    if client.has(ClientFlag::Blocked) || client.has(ClientFlag::Paused) {
        letters.push('b');
    }
    if client.is_watch_broken() {
        letters.push('d');
    }
    letters.extend(LETTERS.iter().filter(|(flag, _)| client.has(*flag)).map(|(_, letter)| letter));
    let later = [(ClientFlag::UnixSocket, 'U'), (ClientFlag::NoEvict, 'e'), (ClientFlag::NoTouch, 'T')];
    letters.extend(later.iter().filter(|(flag, _)| client.has(*flag)).map(|(_, letter)| letter));
    if letters.is_empty() {
        letters.push('N');
    }
    letters
}

/// Appends a client's line, without its line break.
fn line(to: &mut Vec<u8>, client: &Client, view: &View<'_>) {
    let asks = client.id == view.asking.0;
    let text = client.text();
    let since = |then_ms: u64| view.now_ms.saturating_sub(then_ms) / 1_000;
    let idle = if asks { 0 } else { since(client.active_ms.load(Ordering::Relaxed)) };
    let mut head = String::new();
    let _ = write!(
        head,
        "id={} addr={} laddr={} fd={} name=",
        client.id, client.address, client.local, client.fd
    );
    to.extend_from_slice(head.as_bytes());
    to.extend_from_slice(&text.name);

    let queued = load(&client.queued_plus_one);
    let command = match load(&client.last_command) {
        usize::MAX => "NULL",
        index => view.registry.get(index).full_name,
    };
    let mut rest = String::new();
    let _ = write!(
        rest,
        " age={} idle={idle} flags={} db={} sub={} psub={} ssub={} multi={} {} events={} cmd={command} user={} redir=-1 \
         resp={}",
        since(client.created_ms),
        letters(client),
        load(&client.database),
        load(&client.channels),
        load(&client.patterns),
        load(&client.shard_channels),
        queued as i64 - 1,
        memory(client, if asks { view.asking.1 } else { 0 }),
        if client.waiting_bytes() > 0 { "rw" } else { "r" },
        text.user,
        if client.has(ClientFlag::Resp3) { 3 } else { 2 },
    );
    to.extend_from_slice(rest.as_bytes());
}

/// The part of a line that is about memory, from `qbuf` to `tot-mem`.
fn memory(client: &Client, argument_bytes: usize) -> String {
    let (used, free) = (load(&client.query_used), load(&client.query_free));
    let (room, peak) = (load(&client.output_room), load(&client.output_peak));
    let pending = client.waiting_bytes();
    let (buffered, listed) = (pending.min(REPLY_BLOCK_BYTES), pending.saturating_sub(REPLY_BLOCK_BYTES));
    let queued_bytes = load(&client.queued_bytes);
    let queue = queued_bytes + load(&client.queued_plus_one).saturating_sub(1) * size_of::<Queued>();
    let total = size_of::<Client>() + used + free + argument_bytes + room.max(pending) + queue;
    format!(
        "qbuf={used} qbuf-free={free} argv-mem={argument_bytes} multi-mem={queued_bytes} rbs={room} rbp={peak} \
         obl={buffered} oll={} omem={listed} tot-mem={total}",
        listed.div_ceil(REPLY_BLOCK_BYTES),
    )
}

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
