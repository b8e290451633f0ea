//! COMMAND INFO: arity, flags, keys and categories.

use crate::command::keys::{FindKeys, Spec, legacy_range};
use crate::command::row::{Access, Command, Flags};
use crate::command::{Args, Context, Outcome, Registry, Reply};
use crate::resp::Encoder;

pub(super) const INFO: Command = Command {
    name: "INFO",
    history: &[("7.0.0", "Allowed to be called with no argument to get info on all commands.")],
    syntax: "[command-name [command-name ...]]",
    summary: "Get array of specific Redis command details, or all when no argument is given.",
    complexity: "O(N) where N is the number of commands to look up",
    tips: &["nondeterministic_output_order"],
    run: info,
    ..super::BASE
};

fn info(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    if args.remaining() == 0 {
        all(ctx);
        return Ok(Reply::Sent);
    }
    ctx.out.array(args.remaining());
    for name in args.rest() {
        match ctx.registry.find_full(name) {
            Some(index) => describe(ctx.out, ctx.registry, index),
            None => ctx.out.null(),
        }
    }
    Ok(Reply::Sent)
}

/// Writes an array of all commands.
pub(super) fn all(ctx: &mut Context<'_>) {
    let registry = ctx.registry;
    ctx.out.array(registry.top_level().count());
    registry.top_level().for_each(|(index, _)| describe(ctx.out, registry, index));
}

/// Writes a set of words.
fn words<'a>(out: &mut Encoder, words: impl Iterator<Item = &'a str>) {
    let words: Vec<&str> = words.collect();
    out.set(words.len());
    words.iter().for_each(|word| out.simple(word));
}

/// Writes the ten fields of one command.
pub fn describe(out: &mut Encoder, registry: &Registry, index: usize) {
    let command = registry.get(index);
    let ((first, last, step), movable) = legacy_range(&command.specs);
    let flags = command.row.flags | if movable { Flags::MOVABLE_KEYS } else { Flags::NONE };
    out.array(10);
    out.bulk(command.full_name.as_bytes());
    out.int(i64::from(command.arity));
    words(out, flags.names());
    [first, last, step].iter().for_each(|&number| out.int(number));
    let categories: Vec<String> = command.row.categories().names().map(|name| format!("@{name}")).collect();
    words(out, categories.iter().map(String::as_str));
    out.set(command.row.tips.len());
    command.row.tips.iter().for_each(|tip| out.bulk(tip.as_bytes()));
    out.set(command.specs.len());
    for (place, spec) in command.specs.iter().enumerate() {
        key_spec(out, spec, command.row.key_notes.get(place).copied().unwrap_or_default());
    }
    match command.children.len() {
        // Redis has a set here where there are none.
        0 => out.set(0),
        count => out.array(count),
    }
    command.children.iter().for_each(|&child| describe(out, registry, child));
}

/// Writes what is done with a key.
pub(super) fn access(out: &mut Encoder, access: Access) {
    words(out, access.names());
}

fn key_spec(out: &mut Encoder, spec: &Spec, note: &str) {
    out.map(if note.is_empty() { 3 } else { 4 });
    if !note.is_empty() {
        out.bulk(b"notes");
        out.bulk(note.as_bytes());
    }
    out.bulk(b"flags");
    access(out, spec.access);
    if spec.find == FindKeys::Unknown {
        search(out, "begin_search", "unknown", &[]);
        return search(out, "find_keys", "unknown", &[]);
    }
    match spec.keyword {
        None => search(out, "begin_search", "index", &[("index", spec.begin)]),
        Some(word) => keyword(out, word, spec.begin),
    }
    match spec.find {
        FindKeys::Range { last, step } => {
            search(out, "find_keys", "range", &[("lastkey", last), ("keystep", step), ("limit", 0)]);
        }
        FindKeys::Unknown => {}
        // Keys and IDs are as many as each other: the last key is where half of them end.
        FindKeys::Streams => {
            search(out, "find_keys", "range", &[("lastkey", -1), ("keystep", 1), ("limit", 2)]);
        }
        FindKeys::Counted => {
            search(out, "find_keys", "keynum", &[("keynumidx", 0), ("firstkey", 1), ("keystep", 1)]);
        }
    }
}

/// Writes that the search begins behind a word.
fn keyword(out: &mut Encoder, word: &str, from: i64) {
    out.bulk(b"begin_search");
    out.map(2);
    out.bulk(b"type");
    out.bulk(b"keyword");
    out.bulk(b"spec");
    out.map(2);
    out.bulk(b"keyword");
    out.bulk(word.as_bytes());
    out.bulk(b"startfrom");
    out.int(from);
}

/// Writes one half of a key spec: how it searches, with which figures.
fn search(out: &mut Encoder, half: &str, kind: &str, figures: &[(&str, i64)]) {
    out.bulk(half.as_bytes());
    out.map(2);
    out.bulk(b"type");
    out.bulk(kind.as_bytes());
    out.bulk(b"spec");
    out.map(figures.len());
    for (name, figure) in figures {
        out.bulk(name.as_bytes());
        out.int(*figure);
    }
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn info_of_get_and_of_nothing() {
        transcript(
            r#"
            > COMMAND INFO GET
            1)  1) "get"
                2) (integer) 2
                3) 1) readonly
                   2) fast
                4) (integer) 1
                5) (integer) 1
                6) (integer) 1
                7) 1) @read
                   2) @string
                   3) @fast
                8) (empty array)
                9) 1) 1) "flags"
                      2) 1) RO
                         2) access
                      3) "begin_search"
                      4) 1) "type"
                         2) "index"
                         3) "spec"
                         4) 1) "index"
                            2) (integer) 1
                      5) "find_keys"
                      6) 1) "type"
                         2) "range"
                         3) "spec"
                         4) 1) "lastkey"
                            2) (integer) 0
                            3) "keystep"
                            4) (integer) 1
                            5) "limit"
                            6) (integer) 0
               10) (empty array)
            > COMMAND INFO get|key
            1) (nil)
            > COMMAND INFO client|getname|x nosuch
            1) (nil)
            2) (nil)
            > COMMAND INFO client|getname
            1)  1) "client|getname"
                2) (integer) 2
                3) 1) noscript
                   2) loading
                   3) stale
                4) (integer) 0
                5) (integer) 0
                6) (integer) 0
                7) 1) @slow
                   2) @connection
                8) (empty array)
                9) (empty array)
               10) (empty array)
            "#,
        );
    }
}
