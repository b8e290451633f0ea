//! A client in one line, as CLIENT LIST and the ACL log show it.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::client::{Client, ClientFlag};
use super::{Args, Context, Registry};

/// Up to here pending output counts as `obl`, beyond it as `oll` and `omem`: the size of Redis's reply
/// buffer and of the blocks that it chains behind it.
const REPLY_BLOCK_BYTES: usize = 16 * 1024;

/// Flags with their letters, in Redis's order.
const LETTERS: [(ClientFlag, char); 2] = [(ClientFlag::CloseAfterReply, 'c'), (ClientFlag::Killed, 'A')];

/// What a line needs beside the client's record.
#[derive(Debug)]
pub struct View<'a> {
    /// All commands.
    pub registry: &'a Registry,
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// The asking client, and how many bytes its arguments have.
    pub asking: (u64, usize),
}

impl<'a> View<'a> {
    /// For a command that looks at clients.
    pub fn new(ctx: &Context<'a>, args: &Args<'_>) -> View<'a> {
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
    if client.has(ClientFlag::Replica) {
        letters.push('S');
    }
    if client.has(ClientFlag::Monitor) {
        letters.push('O');
    }
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
    let tracking =
        [(ClientFlag::Tracks, 't'), (ClientFlag::BrokenRedirect, 'R'), (ClientFlag::TracksPrefixes, 'B')];
    letters.extend(tracking.iter().filter(|(flag, _)| client.has(*flag)).map(|(_, letter)| letter));
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
pub fn line(to: &mut Vec<u8>, client: &Client, view: &View<'_>) {
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
        " age={} idle={idle} flags={} db={} sub={} psub={} ssub={} multi={} {} events={} cmd={command} user=",
        since(client.created_ms),
        letters(client),
        load(&client.database),
        load(&client.channels),
        load(&client.patterns),
        load(&client.shard_channels),
        queued as i64 - 1,
        memory(client, if asks { view.asking.1 } else { 0 }),
        if client.waiting_bytes() > 0 { "rw" } else { "r" },
    );
    to.extend_from_slice(rest.as_bytes());
    to.extend_from_slice(&text.user);
    let resp = if client.has(ClientFlag::Resp3) { 3 } else { 2 };
    to.extend_from_slice(format!(" redir={} resp={resp}", client.redirection()).as_bytes());
}

/// The part of a line that is about memory, from `qbuf` to `tot-mem`.
fn memory(client: &Client, argument_bytes: usize) -> String {
    let (used, free) = (load(&client.query_used), load(&client.query_free));
    let (room, peak) = (load(&client.output_room), load(&client.output_peak));
    let pending = client.waiting_bytes();
    let (buffered, listed) = (pending.min(REPLY_BLOCK_BYTES), pending.saturating_sub(REPLY_BLOCK_BYTES));
    let queued_bytes = load(&client.queued_bytes);
    let total = client.memory() + argument_bytes;
    // What is here of a request under way is a part of its query buffer, which the total has.
    let argument_bytes = argument_bytes + load(&client.query_arguments);
    format!(
        "qbuf={used} qbuf-free={free} argv-mem={argument_bytes} multi-mem={queued_bytes} rbs={room} rbp={peak} \
         obl={buffered} oll={} omem={listed} tot-mem={total}",
        listed.div_ceil(REPLY_BLOCK_BYTES),
    )
}
