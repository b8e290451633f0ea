//! The page `docs/commands.md`, from the rows.

use std::collections::BTreeSet;

use crate::command::table::{Registered, Registry};

/// Every command and subcommand of Redis 7.0.15, as COMMAND LIST names them.
const OF_REDIS: &str = include_str!("redis-7.0.15.txt");

const HEAD: &str = "\
# Commands

All commands of this server, and what differs from Redis 7.0.15. The page is made from the rows of the commands:
`UPDATE_DOCS=1 cargo test --test commands_page`. Arguments are written as in Redis's documentation. What a command
answers is Redis's answer, to the last error text, unless the next table says otherwise. The texts of HELP and the
summaries of COMMAND DOCS are our own, and so are the numbers that SCAN uses as cursors. A request has at most 1,048,576
arguments; Redis 7.0 takes more from who has authenticated.
";

const ALL_THERE: &str = "No command is missing. There are no cluster, no modules and no role of a replica: what needs them is known, and \
                         answers as a stand-alone Redis does (`CLUSTER`, `FAILOVER`), or is refused as said above.";

/// The page.
pub fn markdown(registry: &Registry) -> String {
    let known: BTreeSet<&str> = registry.iter().map(|(_, command)| command.full_name).collect();
    let of_redis: BTreeSet<&str> = OF_REDIS.lines().collect();
    let mut page = HEAD.to_owned();

    page += "\n## What differs\n\n| command | difference |\n|---|---|\n";
    let differing = sorted(registry).into_iter().filter(|command| !command.row.differs.is_empty());
    differing.for_each(|command| page += &line(&[&name(command.full_name), command.row.differs]));
    // A container that says what differs speaks for its subcommands.
    let told = |full_name: &str| {
        let container = full_name.split('|').next().unwrap_or(full_name);
        registry.find(container.as_bytes()).is_some_and(|index| !registry.get(index).row.differs.is_empty())
    };
    let newer = sorted(registry).into_iter().filter(|command| !of_redis.contains(command.full_name));
    for newer in newer.filter(|command| command.row.differs.is_empty() && !told(command.full_name)) {
        page += &line(&[&name(newer.full_name), "Redis 7.0 does not have it yet."]);
    }

    let missing: Vec<String> = of_redis.difference(&known).map(|missing| name(missing)).collect();
    page += &format!(
        "\n## What is not there yet\n\n{}\n",
        match &missing[..] {
            [] => wrapped(ALL_THERE),
            some => wrapped(&format!("{}.", some.join(", "))),
        }
    );

    page += "\n## All commands\n\n| command | arguments | what it does | since | complexity |\n|---|---|---|---|---|\n";
    for command in sorted(registry).into_iter().filter(|command| command.children.is_empty()) {
        let row = command.row;
        let syntax = if row.syntax.is_empty() { String::new() } else { format!("`{}`", row.syntax) };
        page += &line(&[&name(command.full_name), &syntax, row.summary, row.since, row.complexity]);
    }
    page
}

fn sorted(registry: &Registry) -> Vec<&Registered> {
    let mut commands: Vec<&Registered> = registry.iter().map(|(_, command)| command).collect();
    commands.sort_by_key(|command| command.full_name);
    commands
}

/// `config|get` as a reader types it.
fn name(full_name: &str) -> String {
    format!("`{}`", full_name.replace('|', " ").to_ascii_uppercase())
}

fn line(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Lines of at most 110 characters, broken behind commas.
fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for part in text.split_inclusive(", ") {
        if line.len() + part.trim_end().len() > 110 {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
        }
        line += part;
    }
    lines.push(line);
    lines.join("\n")
}
