//! COMMAND DOCS: what people want to know of a command. The arguments are read from the row's syntax.

use super::arguments::{Argument, Type, arguments};
use crate::command::row::{Command, Flags};
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
    let row = command.row;
    let arguments = arguments(command);
    let (deprecated_since, replaced_by) = row.deprecated.unwrap_or_default();
    let texts = [
        ("summary", row.summary),
        ("since", row.since),
        ("group", row.group.name()),
        ("complexity", row.complexity),
    ];
    let instead = [("deprecated_since", deprecated_since), ("replaced_by", replaced_by)];
    let flags: Vec<&str> =
        [("deprecated", row.deprecated.is_some()), ("syscmd", row.flags.has(Flags::SYSCMD))]
            .iter()
            .filter_map(|(name, set)| set.then_some(*name))
            .collect();
    let lists =
        [!flags.is_empty(), !row.history.is_empty(), !arguments.is_empty(), !command.children.is_empty()];
    let known = texts.iter().chain(&instead).filter(|(_, text)| !text.is_empty()).count();
    out.map(known + lists.iter().filter(|&&there| there).count());
    write_texts(out, &texts);
    if !flags.is_empty() {
        out.bulk(b"doc_flags");
        out.set(flags.len());
        flags.iter().for_each(|flag| out.simple(flag));
    }
    write_texts(out, &instead);
    if !row.history.is_empty() {
        out.bulk(b"history");
        write_history(out, row.history);
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

/// Writes those that are there.
fn write_texts(out: &mut Encoder, texts: &[(&str, &str)]) {
    for (name, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        out.bulk(name.as_bytes());
        out.bulk(text.as_bytes());
    }
}

fn write_history(out: &mut Encoder, history: &[(&str, &str)]) {
    out.set(history.len());
    for (version, change) in history {
        out.array(2);
        out.bulk(version.as_bytes());
        out.bulk(change.as_bytes());
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
    let nests = matches!(argument.kind, Type::OneOf | Type::Block);
    let token = argument.token.as_deref();
    let texts =
        [("token", token), ("since", argument.since), ("deprecated_since", argument.deprecated_since)];
    let known = 2
        + usize::from(argument.key_spec.is_some())
        + texts.iter().filter(|(_, text)| text.is_some()).count();
    out.map(known + usize::from(!flags.is_empty()) + usize::from(nests));
    out.bulk(b"name");
    out.bulk(argument.name.as_bytes());
    out.bulk(b"type");
    out.bulk(argument.kind.name().as_bytes());
    if let Some(spec) = argument.key_spec {
        out.bulk(b"key_spec_index");
        out.int(spec as i64);
    }
    for (name, text) in texts {
        if let Some(text) = text {
            out.bulk(name.as_bytes());
            out.bulk(text.as_bytes());
        }
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
    use crate::command::testing::transcript;

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
