//! XREAD and XREADGROUP: reading what is new in several streams, or waiting for it.
//!
//! XREAD takes nothing away: whoever adds an entry serves everybody who waits. A group delivers an entry
//! once: its readers are served in order until nothing is new. They are also told when the stream, or the
//! group, is gone.

use crate::command::reply::ParkAs;
use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Park, Reply};
use crate::data::Stream;
use crate::data::stream::{Group, Id, Log};
use crate::resp::Protocol;
use crate::store::{Key, Kind};

use super::deliver::{self, Reader};
use super::{ROW, ids, shown, write_entries};

const READS: Access = Access::RO.with(Access::ACCESS);

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "XREAD",
        arguments: "key_id =streams",
        syntax: "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
        summary: "Returns the entries of streams above the given IDs, or waits for some.",
        complexity: "For each stream mentioned: O(N) with N being the number of elements being returned, it means that XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) time in order to serve the M clients blocked on the stream getting new data.",
        flags: Flags::READONLY.with(Flags::BLOCKING).with(Flags::MOVABLE_KEYS),
        keys: Keys::Streams(1, READS),
        run: xread,
        ..ROW
    },
    Command {
        name: "XREADGROUP",
        arguments: "key_id =streams",
        syntax: "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
        summary: "Returns entries that are new to a consumer group, or waits for some; or those that a consumer has pending.",
        complexity: "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
        flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLE_KEYS),
        keys: Keys::Streams(4, READS),
        run: xreadgroup,
        ..ROW
    },
];

/// A parked client gets no more entries at once, unless it said how many.
const PARKED_COUNT: usize = 1_000;

/// The arguments of both commands.
struct Request<'a> {
    count: usize,
    /// How long to wait, in milliseconds; 0 is for ever.
    block_ms: Option<u64>,
    reader: Option<Reader<'a>>,
    /// How many streams.
    streams: usize,
    /// The argument that is the first stream's ID.
    ids_at: usize,
}

impl<'a> Request<'a> {
    fn read(ctx: &Context<'_>, args: &mut Args<'a>, for_group: bool) -> Result<Request<'a>, CommandError> {
        let mut request = Request { count: 0, block_ms: None, reader: None, streams: 0, ids_at: 0 };
        let mut no_ack = false;
        while args.remaining() > 0 {
            let more = args.remaining() - 1;
            if more > 0 && args.keyword("STREAMS") {
                request.find_streams(args)?;
                break;
            } else if more > 0 && args.keyword("COUNT") {
                let count = args.int();
                args.check()?;
                request.count = usize::try_from(count).unwrap_or(0);
            } else if more > 0 && args.keyword("BLOCK") {
                if ctx.in_script {
                    let name = shown(args.get(0));
                    return Err(CommandError::err(format_args!(
                        "{name} command is not allowed with BLOCK option from scripts"
                    )));
                }
                request.block_ms = Some(read_block(args)?);
            } else if more > 1 && args.keyword("GROUP") {
                if !for_group {
                    return Err(only_for_groups("GROUP"));
                }
                let (group, consumer) = (args.bytes(), args.bytes());
                request.reader = Some(Reader { group, consumer, no_ack });
            } else if args.keyword("NOACK") {
                if !for_group {
                    return Err(only_for_groups("NOACK"));
                }
                no_ack = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if request.streams == 0 {
            return Err(CommandError::Syntax);
        }
        if for_group && request.reader.is_none() {
            return Err(CommandError::fixed("ERR Missing GROUP option for XREADGROUP"));
        }
        request.reader = request.reader.map(|reader| Reader { no_ack, ..reader });
        Ok(request)
    }

    /// What stands behind STREAMS: keys, then as many IDs.
    fn find_streams(&mut self, args: &Args<'_>) -> Result<(), CommandError> {
        let words = args.remaining();
        if !words.is_multiple_of(2) {
            return Err(CommandError::fixed(
                "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
            ));
        }
        self.streams = words / 2;
        self.ids_at = args.len() - self.streams;
        Ok(())
    }
}

fn read_block(args: &mut Args<'_>) -> Result<u64, CommandError> {
    let ms = args.int_or(CommandError::fixed("ERR timeout is not an integer or out of range"));
    args.check()?;
    u64::try_from(ms).map_err(|_| CommandError::TimeoutNegative)
}

fn only_for_groups(option: &str) -> CommandError {
    CommandError::err(format_args!(
        "The {option} option is only supported by XREADGROUP. You called XREAD instead."
    ))
}

/// Answers stream by stream; the head of the whole is written when the first has something to say.
#[derive(Default)]
struct Answer {
    head: Option<crate::resp::Deferred>,
    streams: usize,
}

impl Answer {
    /// Begins a stream's part: its key, which entries follow.
    fn stream(&mut self, ctx: &mut Context<'_>, key: Key<'_>) {
        if self.head.is_none() {
            self.head = Some(ctx.out.defer());
        }
        self.streams += 1;
        if ctx.out.protocol() == Protocol::Resp2 {
            ctx.out.array(2);
        }
        ctx.out.bulk(key.bytes);
    }

    /// True when anything was answered.
    fn finish(self, ctx: &mut Context<'_>) -> bool {
        let Some(head) = self.head else { return false };
        match ctx.out.protocol() {
            Protocol::Resp2 => ctx.out.finish_array(head, self.streams),
            Protocol::Resp3 => ctx.out.finish_map(head, self.streams),
        }
        true
    }
}

fn xread(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let request = Request::read(ctx, &mut args, false)?;
    let mut after = smallvec::SmallVec::<[Id; 4]>::new();
    for index in 0..request.streams {
        let key = args.declared(index).ok_or(CommandError::Syntax)?;
        let last = ctx.view.get::<Stream>(key)?.map_or(Id::MIN, |stream| stream.log().last_id());
        after.push(match args.get(request.ids_at + index) {
            b"$" => last,
            b">" => {
                return Err(CommandError::fixed(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
                     <consumer> option.",
                ));
            }
            word => ids::of(word)?,
        });
    }
    let mut answer = Answer::default();
    for (index, &after) in after.iter().enumerate() {
        let key = args.declared(index).ok_or(CommandError::Syntax)?;
        if stream_at(ctx, key).is_none_or(|stream| stream.log().last_entry().is_none_or(|last| last <= after))
        {
            continue;
        }
        answer.stream(ctx, key);
        write_after(ctx, key, after, request.count);
    }
    if answer.finish(ctx) {
        return Ok(Reply::Sent);
    }
    let Some(block_ms) = request.block_ms else { return Ok(Reply::NilArray) };
    let given = |index: &usize| args.get(request.ids_at + index) == b"$";
    let arguments = (0..request.streams).filter(given);
    let arguments =
        arguments.map(|index| (request.ids_at + index, after[index].text().as_bytes().to_vec())).collect();
    park(request.streams, block_ms, arguments, false)
}

fn park(streams: usize, timeout_ms: u64, arguments: Vec<(usize, Vec<u8>)>, for_group: bool) -> Outcome {
    let park = Park {
        keys: (0..streams).collect(),
        needs: Vec::new(),
        timeout_ms,
        serve: if for_group { serve_group } else { serve_reader },
        on_timeout: Reply::NilArray,
    };
    Ok(Reply::ParkAs(Box::new(ParkAs { park, arguments, hears_of_loss: for_group })))
}

/// The stream of a key, without counting an access.
fn stream_at<'a>(ctx: &'a mut Context<'_>, key: Key<'_>) -> Option<&'a Stream> {
    ctx.view.peek(key)?.as_object().and_then(Stream::of)
}

/// Answers the entries of a stream above an ID.
fn write_after(ctx: &mut Context<'_>, key: Key<'_>, after: Id, count: usize) {
    let stream = ctx.view.peek(key).and_then(|entry| entry.as_object()).and_then(Stream::of);
    let from = after.next();
    match (stream, from) {
        (Some(stream), Some(from)) => write_entries(ctx.out, stream.log().range(from, Id::MAX), count),
        _ => ctx.out.array(0),
    }
}

/// Which of the request's streams a key is.
fn index_of(args: &Args<'_>, key: Key<'_>, streams: usize) -> Option<usize> {
    (0..streams).find(|&index| args.declared(index).is_some_and(|one| one.bytes == key.bytes))
}

fn serve_reader(
    ctx: &mut Context<'_>,
    mut args: Args<'_>,
    ready: Key<'_>,
) -> Result<Option<Reply>, CommandError> {
    let request = Request::read(ctx, &mut args, false)?;
    let Some(index) = index_of(&args, ready, request.streams) else { return Ok(None) };
    let after = ids::of(args.get(request.ids_at + index))?;
    if stream_at(ctx, ready).is_none_or(|stream| stream.log().last_id() <= after) {
        return Ok(None);
    }
    let mut answer = Answer::default();
    answer.stream(ctx, ready);
    write_after(ctx, ready, after, if request.count == 0 { PARKED_COUNT } else { request.count });
    answer.finish(ctx);
    Ok(Some(Reply::Sent))
}

/// What a member of a group asks a stream for.
#[derive(Clone, Copy)]
enum From {
    /// `>`: what is new to the group.
    New,
    /// What the consumer has pending above this ID.
    Pending(Id),
}

fn xreadgroup(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let request = Request::read(ctx, &mut args, true)?;
    let Some(reader) = request.reader else { return Err(CommandError::Syntax) };
    let mut from = smallvec::SmallVec::<[From; 4]>::new();
    let mut news = false;
    for index in 0..request.streams {
        let key = args.declared(index).ok_or(CommandError::Syntax)?;
        let stream = ctx.view.get::<Stream>(key)?;
        let found = stream.and_then(|stream| stream.group(reader.group).map(|group| (stream.log(), group)));
        let Some((log, group)) = found else {
            return Err(super::coded(format!(
                "NOGROUP No such key '{}' or consumer group '{}' in XREADGROUP with GROUP option",
                shown(key.bytes),
                shown(reader.group)
            )));
        };
        news = news_in(log, group);
        from.push(match args.get(request.ids_at + index) {
            b"$" => return Err(MEANINGLESS),
            b">" => From::New,
            word => match ids::of(word)? {
                // To Redis the greatest ID is what `>` means.
                Id::MAX => From::New,
                id => From::Pending(id),
            },
        });
    }
    if ctx.collect_replay {
        ctx.replay = crate::command::context::Replay::Nothing;
    }
    let mut answer = Answer::default();
    for (index, &from) in from.iter().enumerate() {
        let key = args.declared(index).ok_or(CommandError::Syntax)?;
        match from {
            // Of a single stream it is known already; one of several may come twice.
            From::New if request.streams == 1 && !news => {}
            From::New if request.streams > 1 && !has_news(ctx, key, reader.group) => {}
            From::New => {
                answer.stream(ctx, key);
                deliver::news(ctx, key, reader, request.count)?;
            }
            From::Pending(after) => {
                answer.stream(ctx, key);
                deliver::history(ctx, key, reader, after, request.count)?;
            }
        }
    }
    if answer.finish(ctx) {
        return Ok(Reply::Sent);
    }
    match request.block_ms {
        None => Ok(Reply::NilArray),
        Some(block_ms) => park(request.streams, block_ms, Vec::new(), true),
    }
}

const MEANINGLESS: CommandError = CommandError::fixed(
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
     by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty \
     result set.",
);

/// Whether a stream has an entry that its group has not delivered.
fn has_news(ctx: &mut Context<'_>, key: Key<'_>, group: &[u8]) -> bool {
    stream_at(ctx, key)
        .is_some_and(|stream| stream.group(group).is_some_and(|group| news_in(stream.log(), group)))
}

fn news_in(log: &Log, group: &Group) -> bool {
    log.last_entry().is_some_and(|last| last > group.last_id)
}

fn serve_group(
    ctx: &mut Context<'_>,
    mut args: Args<'_>,
    ready: Key<'_>,
) -> Result<Option<Reply>, CommandError> {
    let request = Request::read(ctx, &mut args, true)?;
    let Some(reader) = request.reader else { return Ok(None) };
    let Some(stream) = stream_at(ctx, ready) else {
        return Err(CommandError::fixed("UNBLOCKED the stream key no longer exists"));
    };
    let Some(group) = stream.group(reader.group) else {
        return Err(CommandError::fixed(
            "NOGROUP the consumer group this client was blocked on no longer exists",
        ));
    };
    if stream.log().last_id() <= group.last_id {
        return Ok(None);
    }
    if ctx.collect_replay {
        ctx.replay = crate::command::context::Replay::Nothing;
    }
    let mut answer = Answer::default();
    answer.stream(ctx, ready);
    deliver::news(ctx, ready, reader, if request.count == 0 { PARKED_COUNT } else { request.count })?;
    answer.finish(ctx);
    Ok(Some(Reply::Sent))
}
