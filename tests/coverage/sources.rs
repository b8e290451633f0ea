//! Where transcripts stand: in the sources, beside the handlers, and in `tests/transcripts`.

use std::path::Path;

use glasswing::command::transcript::{Step, steps};

/// One transcript and the place it comes from.
pub struct Transcript {
    /// `src/command/strings/set.rs:120`.
    pub place: String,
    /// What stands in the server's file of settings, where it has one.
    pub settings: Option<&'static str>,
    /// The text of its ACL file, where one stands beside the transcript.
    pub users: Option<String>,
    pub steps: Vec<Step>,
}

/// The file of settings that the servers of `tests/transcripts` are started with.
const SETTINGS: &str = "# The settings of a test.\n";

/// All transcripts of the project.
pub fn all() -> Vec<Transcript> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for (folder, kind) in [("src/command", "rs"), ("tests/transcripts", "txt")] {
        files(&root.join(folder), kind, &mut |path| {
            let text = std::fs::read_to_string(path).expect("a readable file");
            let name = path.strip_prefix(root).expect("inside the project").display().to_string();
            let users = std::fs::read_to_string(path.with_extension("users")).ok();
            let texts = if kind == "rs" { in_source(&text) } else { in_file(&text) };
            found.extend(texts.into_iter().map(|(line, text)| {
                let place = format!("{name}:{line}");
                let steps = steps(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
                Transcript {
                    place,
                    settings: (kind == "txt").then_some(SETTINGS),
                    users: users.clone(),
                    steps,
                }
            }));
        });
    }
    found
}

fn files(folder: &Path, kind: &str, each: &mut impl FnMut(&Path)) {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, kind, each);
        } else if path.extension().is_some_and(|found| found == kind) {
            each(&path);
        }
    }
}

/// The raw strings that are handed to `transcript(..)`, each with its line.
pub fn in_source(text: &str) -> Vec<(usize, String)> {
    const CALL: &str = "transcript(";
    let mut found = Vec::new();
    for (at, _) in text.match_indices(CALL) {
        let argument = text[at + CALL.len()..].trim_start();
        let Some(raw) = argument.strip_prefix('r') else { continue };
        let quoted = raw.trim_start_matches('#');
        let closing = format!("\"{}", "#".repeat(raw.len() - quoted.len()));
        let Some((inside, _)) = quoted.strip_prefix('"').and_then(|inside| inside.split_once(&closing))
        else {
            continue;
        };
        found.push((text[..at].lines().count(), inside.to_owned()));
    }
    found
}

/// The transcripts of a file: parts after a line `# what it shows`, each on a server of its own.
pub fn in_file(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("# ") {
            found.push((at + 1, String::new()));
        } else if let Some((_, part)) = found.last_mut() {
            part.push_str(line);
            part.push('\n');
        } else {
            assert!(line.is_empty(), "a file of transcripts begins with '# what it shows'");
        }
    }
    found
}
