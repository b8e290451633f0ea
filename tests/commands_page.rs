//! `docs/commands.md` is what the rows say.

use glasswing::command::Registry;
use glasswing::command::introspection::page;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md");
const MOST_DIFFERENCES: usize = 20;

#[test]
fn the_page_of_commands_is_fresh() {
    let should_be = page::markdown(&Registry::new());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &should_be).expect("a page that can be written");
    }
    let page = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(page == should_be, "docs/commands.md is stale: UPDATE_DOCS=1 cargo test --test commands_page");
}

#[test]
fn little_differs_from_redis() {
    let page = page::markdown(&Registry::new());
    let table =
        page.split("## What differs").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or("");
    let differences = table.lines().filter(|line| line.starts_with("| `")).count();
    assert!(differences > 0 && differences <= MOST_DIFFERENCES, "{differences} rows of difference");
}
