//! Every line of `docs/security.md` names the tests that show it, and every test that it names is there.

use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn page() -> String {
    std::fs::read_to_string(Path::new(ROOT).join("docs/security.md")).expect("the page")
}

/// What a line has in backticks.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Where a name leads: a file, or all files of a folder.
fn files(name: &str) -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let candidates = match name.contains('/') {
        true => vec![root.join(name), root.join(format!("{name}.rs"))],
        // `acl::password` is the module's own tests.
        false => {
            let path = name.replace("::", "/");
            vec![root.join(format!("src/{path}.rs")), root.join(format!("src/{path}"))]
        }
    };
    let mut found = Vec::new();
    for path in candidates {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            found.extend(entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// A place where tests live: a path below a folder of tests, or a module.
fn is_place(name: &str) -> bool {
    let path = ["tests/", "src/", "fuzz/"].iter().any(|folder| name.starts_with(folder));
    path || name.contains("::") && name.bytes().all(|byte| byte.is_ascii_lowercase() || b":_".contains(&byte))
}

/// The name of a test: words with underscores between them.
fn is_test(name: &str) -> bool {
    name.contains('_') && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// What is wrong with a cell that names tests.
fn complaints(cell: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut place: Option<&str> = None;
    let mut named = 0;
    for name in quoted(cell) {
        if is_place(name) {
            let files = files(name);
            if files.is_empty() {
                complaints.push(format!("{name} is not there"));
            } else if !name.starts_with("fuzz/")
                && !files.iter().any(|file| {
                    let text = std::fs::read_to_string(file).unwrap_or_default();
                    text.contains("#[test]") || text.contains("#[tokio::test]") || !has_suffix(file, "rs")
                })
            {
                complaints.push(format!("{name} holds no test"));
            }
            place = Some(name);
            named += 1;
        } else if is_test(name) {
            let Some(place) = place else {
                complaints.push(format!("{name} is said to be nowhere"));
                continue;
            };
            let is_there = files(place).iter().any(|file| {
                std::fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {name}(")))
            });
            if !is_there {
                complaints.push(format!("{name} is not in {place}"));
            }
        }
    }
    if named == 0 {
        complaints.push("no test is named".to_owned());
    }
    complaints.into_iter().map(|complaint| format!("{complaint}: {cell}")).collect()
}

fn has_suffix(file: &Path, suffix: &str) -> bool {
    file.extension().is_some_and(|of| of == suffix)
}

/// The cells of the tables that have a column of tests.
fn cells(page: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut within = false;
    for line in page.lines() {
        if line.starts_with("| what | the test") {
            within = true;
        } else if !line.starts_with('|') {
            within = false;
        } else if within && !line.starts_with("|---") {
            cells.extend(line.trim_end_matches(['|', ' ']).rsplit_once(" | ").map(|(_, cell)| cell));
        }
    }
    cells
}

#[test]
fn every_line_names_tests_that_are_there() {
    let page = page();
    let cells = cells(&page);
    assert!(cells.len() > 30, "only {} lines were found", cells.len());
    let complaints: Vec<String> = cells.into_iter().flat_map(complaints).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn what_is_not_there_is_seen() {
    let fine = "`acl::password`: `one_right_password_is_enough`; `tests/life.rs`: `a_password`";
    assert_eq!(complaints(fine), Vec::<String>::new());
    for (cell, complaint) in [
        ("`tests/nowhere.rs`", "tests/nowhere.rs is not there"),
        ("`tests/acl.rs`: `nobody_has_written_this`", "nobody_has_written_this is not in tests/acl.rs"),
        ("`nobody_has_written_this`", "nobody_has_written_this is said to be nowhere"),
        ("`acl::catalog_of_nothing`", "acl::catalog_of_nothing is not there"),
        ("Redis's words", "no test is named"),
    ] {
        assert!(complaints(cell).iter().any(|found| found.starts_with(complaint)), "{cell}");
    }
}
