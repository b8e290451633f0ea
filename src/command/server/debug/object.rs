//! DEBUG OBJECT, SDSLEN, LISTPACK, QUICKLIST and HTSTATS: how a value is stored.

use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::parse_i64;
use crate::store::{Entry, Object, Str, idle_seconds, size_class};

/// The line of one key. Redis's fields where they are true here: nothing is shared, so `refcount` is 1;
/// `serializedlength` is the length of the value in an RDB file without compression.
pub(super) fn object(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let node_limit = ctx.settings.list_max_listpack_size;
    let (key, now_ms) = (ctx.view.key(args.bytes()), ctx.now_ms());
    let Some(entry) = ctx.view.peek_expired(key) else { return Err(CommandError::NoSuchKey) };
    let line = format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}{}",
        entry.key().as_ptr(),
        entry.encoding(),
        serialized_len(entry),
        entry.lru(),
        idle_seconds(entry.lru(), now_ms),
        list_facts(entry, node_limit)
    );
    ctx.out.simple(&line);
    Ok(Reply::Sent)
}

/// What the line says of a list beyond others. No node is ever compressed.
fn list_facts(entry: &Entry, node_limit: i32) -> String {
    let Some(Object::List(list)) = entry.as_object() else { return String::new() };
    let nodes = list.nodes().count();
    let mean = list.len() as f64 / nodes.max(1) as f64;
    let bytes: usize = list.iter().map(|element| element.len()).sum();
    format!(
        " ql_nodes:{nodes} ql_avg_node:{mean:.2} ql_listpack_max:{node_limit} ql_compressed:0 \
         ql_uncompressed_size:{bytes}"
    )
}

/// The length of a value in an RDB file without compression.
fn serialized_len(entry: &Entry) -> usize {
    match (entry.as_str(), entry.as_object()) {
        (Some(Str::Int(number)), _) => text_len(number.to_string().as_bytes()),
        (Some(Str::Bytes(bytes)), _) => text_len(bytes),
        (None, Some(object)) => count_len(object.len()) + elements_len(object),
        (None, None) => 0,
    }
}

fn elements_len(object: &Object) -> usize {
    /// A score is eight bytes.
    const SCORE: usize = 8;
    match object {
        Object::List(list) => list.iter().map(text_len).sum(),
        Object::Set(set) => set.iter().map(|member| text_len(&member.to_bytes())).sum(),
        Object::Hash(hash) => hash.iter().map(|(field, value)| text_len(field) + text_len(value)).sum(),
        Object::SortedSet(sorted) => sorted.iter().map(|(member, _)| text_len(member) + SCORE).sum(),
        // Entries are in the file as they lie in memory.
        Object::Stream(stream) => stream.log().memory_usage(),
    }
}

/// A length in an RDB file.
fn count_len(count: usize) -> usize {
    match count {
        0..64 => 1,
        64..16_384 => 2,
        16_384..=0xFFFF_FFFF => 5,
        _ => 9,
    }
}

/// A string in an RDB file: a small number is written as one.
fn text_len(text: &[u8]) -> usize {
    let number = if text.len() <= 11 { parse_i64(text) } else { None };
    match number {
        Some(-128..=127) => 2,
        Some(-32_768..=32_767) => 3,
        Some(-2_147_483_648..=2_147_483_647) => 5,
        _ => count_len(text.len()) + text.len(),
    }
}

/// The lengths of key and value. They lie in one allocation: the value's is what is left of it.
pub(super) fn string_lengths(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let key = ctx.view.key(args.bytes());
    let Some(entry) = ctx.view.peek_expired(key) else { return Err(CommandError::NoSuchKey) };
    let Some(Str::Bytes(value)) = entry.as_str() else {
        return Err(CommandError::fixed("ERR Not an sds encoded string."));
    };
    let (key_len, value_len) = (key.bytes.len(), value.len());
    let key_takes = size_class(key_len);
    let value_takes = entry.memory_usage().saturating_sub(key_len);
    let line = format!(
        "key_sds_len:{key_len}, key_sds_avail:0, key_zmalloc: {key_takes}, \
         val_sds_len:{value_len}, val_sds_avail:0, val_zmalloc: {value_takes}"
    );
    ctx.out.simple(&line);
    Ok(Reply::Sent)
}

/// Redis prints the structure on its standard output; here the log has what can be said of it.
fn describe(ctx: &mut Context<'_>, mut args: Args<'_>, encoding: &str) -> Outcome {
    let key = ctx.view.key(args.bytes());
    let Some(entry) = ctx.view.peek_expired(key) else { return Err(CommandError::NoSuchKey) };
    if entry.encoding() != encoding {
        return Err(CommandError::err(format_args!("Not a {encoding} encoded object.")));
    }
    let elements = entry.as_object().map_or(0, Object::len);
    tracing::info!("DEBUG: {encoding} of {elements} elements in {} bytes", entry.memory_usage());
    Ok(Reply::Simple(match encoding {
        "listpack" => "Listpack structure printed on stdout",
        _ => "Quicklist structure printed on stdout",
    }))
}

pub(super) fn listpack(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    describe(ctx, args, "listpack")
}

pub(super) fn quicklist(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    describe(ctx, args, "quicklist")
}

/// What a database's tables hold. Expiries lie with their keys, so there is one table.
pub(super) fn table_stats(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let number = args.int();
    args.check()?;
    let number = usize::try_from(number).ok().filter(|number| *number < ctx.view.databases());
    let number = number.ok_or(CommandError::fixed("ERR Out of range database"))?;
    let selected = ctx.view.database();
    ctx.view.release_touched();
    ctx.view.select(number);
    let counts = ctx.view.counts();
    ctx.view.select(selected);
    let part = |title: &str, elements: usize| match elements {
        0 => format!("[{title}]\nNo stats available for empty dictionaries\n"),
        _ => format!("[{title}]\nHash table 0 stats (main hash table):\n number of elements: {elements}\n"),
    };
    let text = part("Dictionary HT", counts.keys) + &part("Expires HT", counts.expiring);
    ctx.out.verbatim("txt", text.as_bytes());
    Ok(Reply::Sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_an_rdb_file() {
        for (text, length) in
            [("1", 2), ("-129", 3), ("40000", 5), ("2147483648", 11), ("007", 4), ("", 1), ("hello", 6)]
        {
            assert_eq!(text_len(text.as_bytes()), length, "{text}");
        }
        assert_eq!(text_len(&[b'x'; 100]), 102);
        assert_eq!(text_len(&[b'x'; 20_000]), 20_005);
    }
}
