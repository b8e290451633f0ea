//! COMMAND LIST: names, all or filtered.

use crate::command::row::{Acl, Command};
use crate::command::table::Registered;
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::glob_match;

pub const LIST: Command = Command {
    name: "LIST",
    arguments: "module-name_* =filterby",
    syntax: "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
    summary: "Get an array of Redis command names",
    since: "7.0.0",
    complexity: "O(N) where N is the total number of Redis commands",
    tips: &["nondeterministic_output_order"],
    run: list,
    ..super::BASE
};

/// Which commands to list.
enum Filter<'a> {
    All,
    /// There are no modules.
    Nothing,
    Category(Acl),
    Pattern(&'a [u8]),
}

impl Filter<'_> {
    fn lets_through(&self, command: &Registered) -> bool {
        match self {
            Filter::All => true,
            Filter::Nothing => false,
            Filter::Category(category) => command.row.categories().has(*category),
            Filter::Pattern(pattern) => glob_match(pattern, command.full_name.as_bytes(), true),
        }
    }
}

fn filter<'a>(args: &mut Args<'a>) -> Result<Filter<'a>, CommandError> {
    if args.remaining() == 0 {
        return Ok(Filter::All);
    }
    if args.remaining() != 3 || !args.keyword("FILTERBY") {
        return Err(CommandError::Syntax);
    }
    let (kind, wanted) = (args.bytes(), args.bytes());
    match &kind.to_ascii_lowercase()[..] {
        b"module" => Ok(Filter::Nothing),
        b"aclcat" => {
            let named =
                |(_, name): &&(Acl, &str)| !name.is_empty() && name.as_bytes().eq_ignore_ascii_case(wanted);
            Ok(Acl::NAMED
                .iter()
                .find(named)
                .map_or(Filter::Nothing, |(category, _)| Filter::Category(*category)))
        }
        b"pattern" => Ok(Filter::Pattern(wanted)),
        _ => Err(CommandError::Syntax),
    }
}

fn list(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let filter = filter(&mut args)?;
    let commands = ctx.registry.iter().map(|(_, command)| command);
    let names: Vec<&str> =
        commands.filter(|command| filter.lets_through(command)).map(|command| command.full_name).collect();
    ctx.out.array(names.len());
    names.iter().for_each(|name| ctx.out.bulk(name.as_bytes()));
    Ok(Reply::Sent)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn filters() {
        transcript(
            r#"
            > COMMAND LIST FILTERBY PATTERN get
            1) "get"
            > COMMAND LIST FILTERBY PATTERN client|getname
            1) "client|getname"
            > COMMAND LIST FILTERBY PATTERN non_exists*
            (empty array)
            > COMMAND LIST FILTERBY ACLCAT non_existing_category
            (empty array)
            > COMMAND LIST FILTERBY MODULE non_existing_module
            (empty array)
            > COMMAND LIST FILTERBY
            (error) ERR syntax error
            > COMMAND LIST FILTERBY ACLCAT
            (error) ERR syntax error
            > COMMAND LIST FILTERBY WRONG x
            (error) ERR syntax error
            > COMMAND LIST WRONG PATTERN x
            (error) ERR syntax error
            "#,
        );
    }

    #[test]
    fn categories_reach_subcommands() {
        let mut bench = Bench::new();
        let shown = bench.line("COMMAND LIST FILTERBY ACLCAT connection");
        assert!(shown.contains("\"client|getname\"") && shown.contains("\"ping\""), "{shown}");
        assert!(!shown.contains("\"client\"") && !shown.contains("\"get\""), "{shown}");
    }
}
