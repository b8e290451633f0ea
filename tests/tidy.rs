//! The borders of the rooms and the rules of the house, read from the sources.
//!
//! Each rule is a function over the tree of sources that gives its complaints. The tests below hold `src/` to
//! every rule; `planted` shows of each rule that it sees a violation.

#[path = "tidy/planted.rs"]
mod planted;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use std::path::Path;
use std::sync::LazyLock;

use source::Tree;

/// The sources, read once.
static SRC: LazyLock<Tree> = LazyLock::new(|| Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")));

fn hold(rule: impl Fn(&Tree) -> Vec<String>) {
    assert!(SRC.0.len() > 100, "only {} sources found: the rules would see nothing", SRC.0.len());
    let complaints = rule(&SRC);
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn rooms_see_only_what_they_may() {
    hold(rules::borders);
}

#[test]
fn families_of_commands_do_not_know_each_other() {
    hold(rules::families);
}

#[test]
fn packages_stay_in_their_rooms() {
    hold(rules::packages);
}

#[test]
fn given_packages_do_real_work() {
    hold(rules::given_packages_work);
}

#[test]
fn only_the_clock_reads_the_time() {
    hold(rules::time);
}

#[test]
fn no_command_is_asked_for_its_name() {
    hold(rules::names);
}

#[test]
fn nothing_is_left_undone() {
    hold(rules::undone);
}

#[test]
fn unsafe_code_is_where_it_is_expected_and_explained() {
    hold(rules::unsafe_code);
}

#[test]
fn rooms_open_with_what_lives_there() {
    hold(rules::introductions);
}

#[test]
fn files_hold_one_idea() {
    hold(rules::length);
}
