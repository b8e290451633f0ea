//! COMMAND DOCS: what people want to know of a command. The arguments are read from the row's syntax.

use crate::command::keys::FindKeys;
use crate::command::row::Command;
use crate::command::syntax::{self, Piece};
use crate::command::table::Registered;
use crate::command::{Args, Context, Outcome, Registry, Reply};
use crate::resp::Encoder;

pub(super) const DOCS: Command = Command {
    name: "DOCS",
    syntax: "[command-name [command-name ...]]",
    summary: "Get array of specific Redis command documentation",
    since: "7.0.0",
    complexity: "O(N) where N is the number of commands to look up",
    tips: &["nondeterministic_output_order"],
    run: docs,
    ..super::BASE
};

fn docs(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let registry = ctx.registry;
    let wanted: Vec<usize> = if args.remaining() == 0 {
        registry.top_level().map(|(index, _)| index).collect()
    } else {
        args.rest().filter_map(|name| registry.find_full(name)).collect()
    };
    ctx.out.map(wanted.len());
    for index in wanted {
        ctx.out.bulk(registry.get(index).full_name.as_bytes());
        describe(ctx.out, registry, index);
    }
    Ok(Reply::Sent)
}

/// Writes the documentation of one command.
pub fn describe(out: &mut Encoder, registry: &Registry, index: usize) {
    let command = registry.get(index);
    let arguments = arguments(command);
    let row = command.row;
    let known = 3 + usize::from(!row.complexity.is_empty());
    out.map(known + usize::from(!arguments.is_empty()) + usize::from(!command.children.is_empty()));
    for (name, value) in [
        ("summary", row.summary),
        ("since", row.since),
        ("group", row.group.name()),
        ("complexity", row.complexity),
    ] {
        if value.is_empty() {
            continue;
        }
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    if !arguments.is_empty() {
        out.bulk(b"arguments");
        write_all(out, &arguments);
    }
    if !command.children.is_empty() {
        out.bulk(b"subcommands");
        out.map(command.children.len());
        for &child in &command.children {
            out.bulk(registry.get(child).full_name.as_bytes());
            describe(out, registry, child);
        }
    }
}

/// An argument as COMMAND DOCS describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Argument {
    name: String,
    kind: &'static str,
    token: Option<String>,
    key_spec: Option<usize>,
    optional: bool,
    multiple: bool,
    multiple_token: bool,
    inner: Vec<Argument>,
}

/// The arguments of a command.
fn arguments(command: &Registered) -> Vec<Argument> {
    let mut found = sequence(&syntax::parse(command.row.syntax));
    number_keys(&mut found, command, &mut 0);
    found
}

/// Reads pieces that follow each other.
fn sequence(pieces: &[Piece]) -> Vec<Argument> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < pieces.len() {
        at += 1;
        match &pieces[at - 1] {
            Piece::Value(name) => found.push(value(name)),
            Piece::Token(token) => at += token_and_value(token, &pieces[at..], &mut found),
            Piece::OneOf(alternatives) => found.push(one_of(alternatives)),
            Piece::Optional(inner) => found.push(Argument { optional: true, ..group(inner) }),
            Piece::Repeat(inner) => repeat(inner, &mut found),
        }
    }
    found
}

/// A token speaks for the value behind it, or for itself. Returns how many pieces it took with it.
fn token_and_value(token: &str, rest: &[Piece], found: &mut Vec<Argument>) -> usize {
    let token = token.to_owned();
    match rest.first() {
        Some(Piece::Value(name)) => {
            found.push(Argument { token: Some(token), ..value(name) });
            1
        }
        Some(Piece::OneOf(alternatives)) => {
            found.push(Argument { token: Some(token), ..one_of(alternatives) });
            1
        }
        _ => {
            let name = token.to_ascii_lowercase();
            found.push(Argument { name, kind: "pure-token", token: Some(token), ..Argument::default() });
            0
        }
    }
}

fn value(name: &str) -> Argument {
    Argument { name: name.to_owned(), kind: kind_of(name), ..Argument::default() }
}

/// The type that a value's name promises.
fn kind_of(name: &str) -> &'static str {
    match name {
        "key" | "newkey" | "source" | "destination" => "key",
        "pattern" => "pattern",
        "unix-time-seconds" | "unix-time-milliseconds" => "unix-time",
        "seconds" | "milliseconds" | "count" | "index" | "start" | "stop" | "end" | "offset" | "numkeys"
        | "cursor" | "db" | "destination-db" | "index1" | "index2" | "client-id" | "protover" | "rank"
        | "num-matches" | "len" | "maxlen" | "limit" | "numreplicas" => "integer",
        "score" | "min-score" | "max-score" | "weight" | "timeout" => "double",
        _ => "string",
    }
}

fn one_of(alternatives: &[Vec<Piece>]) -> Argument {
    let inner: Vec<Argument> = alternatives.iter().map(|pieces| group(pieces)).collect();
    Argument { name: joined(&inner), kind: "oneof", inner, ..Argument::default() }
}

/// Several pieces as one argument: a block, if they are more than one.
fn group(pieces: &[Piece]) -> Argument {
    let mut inner = sequence(pieces);
    if inner.len() == 1 {
        return inner.remove(0);
    }
    // A token in front of several values is the token of the block: AUTH username password.
    let first_is_token = matches!(pieces, [Piece::Token(_), Piece::Value(_), Piece::Value(_), ..]);
    let token = if first_is_token { inner[0].token.take() } else { None };
    Argument { name: joined(&inner), kind: "block", token, inner, ..Argument::default() }
}

fn joined(arguments: &[Argument]) -> String {
    arguments.iter().map(|argument| argument.name.as_str()).collect::<Vec<_>>().join("_")
}

/// What is repeated is mostly what stands before it (`key [key ...]`): that may then come several times.
fn repeat(inner: &[Piece], found: &mut Vec<Argument>) {
    let repeated = sequence(inner);
    let tail = found.len().checked_sub(repeated.len()).filter(|&from| found[from..] == repeated[..]);
    match tail {
        Some(from) => {
            found.truncate(from);
            let one = group(inner);
            let multiple_token = one.token.is_some();
            found.push(Argument { multiple: true, multiple_token, ..one });
        }
        None => found.push(Argument { optional: true, multiple: true, ..group(inner) }),
    }
}

/// Gives key arguments the number of the key spec that describes them, in their order.
fn number_keys(arguments: &mut [Argument], command: &Registered, next: &mut usize) {
    for argument in arguments {
        if argument.kind == "key" && !command.specs.is_empty() {
            argument.key_spec = Some((*next).min(command.specs.len() - 1));
            // A range over several arguments describes all of them; all others end with their argument.
            let spans = matches!(command.specs.get(*next).map(|spec| spec.find), Some(FindKeys::Range { last, .. }) if last > 0);
            *next += usize::from(!spans);
        }
        number_keys(&mut argument.inner, command, next);
    }
}

fn write_all(out: &mut Encoder, arguments: &[Argument]) {
    out.array(arguments.len());
    arguments.iter().for_each(|argument| write(out, argument));
}

fn write(out: &mut Encoder, argument: &Argument) {
    let flags: Vec<&str> = [
        (argument.optional, "optional"),
        (argument.multiple, "multiple"),
        (argument.multiple_token, "multiple_token"),
    ]
    .iter()
    .filter_map(|(set, name)| set.then_some(*name))
    .collect();
    let nests = matches!(argument.kind, "oneof" | "block");
    let optional = [argument.key_spec.is_some(), argument.token.is_some(), !flags.is_empty(), nests];
    out.map(2 + optional.iter().filter(|&&there| there).count());
    out.bulk(b"name");
    out.bulk(argument.name.as_bytes());
    out.bulk(b"type");
    out.bulk(argument.kind.as_bytes());
    if let Some(spec) = argument.key_spec {
        out.bulk(b"key_spec_index");
        out.int(spec as i64);
    }
    if let Some(token) = &argument.token {
        out.bulk(b"token");
        out.bulk(token.as_bytes());
    }
    if !flags.is_empty() {
        out.bulk(b"flags");
        out.set(flags.len());
        flags.iter().for_each(|flag| out.simple(flag));
    }
    if nests {
        out.bulk(b"arguments");
        write_all(out, &argument.inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::transcript;

    fn shown(syntax: &str) -> String {
        fn one(argument: &Argument) -> String {
            let mut text = match &argument.token {
                Some(token) if argument.kind == "pure-token" => token.clone(),
                Some(token) => format!("{token}:{}", argument.name),
                None => argument.name.clone(),
            };
            if !argument.inner.is_empty() {
                let inner: Vec<String> = argument.inner.iter().map(one).collect();
                text = format!(
                    "{}{:?}({})",
                    argument.token.clone().unwrap_or_default(),
                    argument.kind,
                    inner.join(" ")
                );
            }
            let marks = [(argument.optional, "?"), (argument.multiple, "+"), (argument.multiple_token, "+")];
            marks.iter().filter(|(set, _)| *set).for_each(|(_, mark)| text.push_str(mark));
            text
        }
        sequence(&syntax::parse(syntax)).iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn syntax_becomes_arguments() {
        for (syntax, expected) in [
            ("", ""),
            ("key value", "key value"),
            ("key [key ...]", "key+"),
            ("key value [key value ...]", "\"block\"(key value)+"),
            ("key [EX seconds | KEEPTTL]", "key \"oneof\"(EX:seconds KEEPTTL)?"),
            ("[AUTH username password]", "AUTH\"block\"(username password)?"),
            ("[PREFIX prefix [PREFIX prefix ...]]", "PREFIX:prefix?++"),
            ("TYPE <A | B>", "TYPE\"oneof\"(A B)"),
            ("[element ...]", "element?+"),
        ] {
            assert_eq!(shown(syntax), expected, "{syntax}");
        }
    }

    #[test]
    fn docs_of_commands() {
        transcript(
            r#"
            > COMMAND DOCS nosuch SELECT
            1) "select"
            2)  1) "summary"
                2) "Change the selected database for the current connection"
                3) "since"
                4) "1.0.0"
                5) "group"
                6) "connection"
                7) "complexity"
                8) "O(1)"
                9) "arguments"
               10) 1) 1) "name"
                      2) "index"
                      3) "type"
                      4) "integer"
            > COMMAND DOCS WATCH
            1) "watch"
            2)  1) "summary"
                2) "Watch the given keys to determine execution of the MULTI/EXEC block"
                3) "since"
                4) "2.2.0"
                5) "group"
                6) "transactions"
                7) "complexity"
                8) "O(1) for every key."
                9) "arguments"
               10) 1) 1) "name"
                      2) "key"
                      3) "type"
                      4) "key"
                      5) "key_spec_index"
                      6) (integer) 0
                      7) "flags"
                      8) 1) multiple
            > COMMAND DOCS nosuch
            (empty array)
            "#,
        );
    }

    #[test]
    fn containers_describe_their_subcommands() {
        let shown = crate::command::testing::Bench::new().line("COMMAND DOCS client");
        assert!(shown.contains("\"subcommands\"") && shown.contains("\"client|getname\""), "{shown}");
    }
}
