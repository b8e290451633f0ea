//! `glasswing restore --at`: an append-only file as it was at a moment, and the file of before beside it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::RestoreArgs;
use crate::persist::aof::rewind::{self, Cut, Preamble, RewindError, Standing, moment};
use crate::persist::files::folder_of;

use super::log_check::LogAt;
use super::tools::{read_rdb, threads};

/// How often it is looked whether a server still writes the log, and after how long again.
const LOOKS: usize = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Brings a log back to a moment.
pub(super) fn restore(args: &RestoreArgs) -> Result<String, String> {
    let failed = |why: String| format!("{}: {why}\n", args.folder.display());
    let log = find(&args.folder).map_err(failed)?;
    let standing = rewind::find(&log.folder, &log.manifest, args.at_unix_s, &examine);
    match standing.map_err(|error| failed(advised(&error)))? {
        Standing::Whole(last_s) => {
            let last =
                last_s.map_or_else(String::new, |last_s| format!(": its last time is {}", moment(last_s)));
            Ok(format!(
                "{}: nothing in it is later than that{last}. It is left as it is\n",
                args.folder.display()
            ))
        }
        Standing::Later(cut) => cut_at(&log, &cut).map_err(failed),
    }
}

fn find(path: &Path) -> Result<LogAt, String> {
    let is_manifest = path.extension().is_some_and(|extension| extension == "manifest");
    if !path.is_dir() && !is_manifest {
        return Err(match path.exists() {
            true => {
                "name the folder of an append-only file (appendonlydir), or the manifest in it".to_owned()
            }
            false => "there is no such folder".to_owned(),
        });
    }
    let log = LogAt::find(path)?;
    // A server that was told to end answers that before it has ended.
    for _ in 0..LOOKS {
        if !log.is_written() {
            return Ok(log);
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Err("a running server writes it: end that server first".to_owned())
}

/// What a base in Redis's own format says of itself. All of it is read, so that it is known to be whole.
fn examine(path: &Path) -> Result<Preamble, String> {
    let contents = read_rdb(path, threads(), &mut |_| {}, &|_| Ok(()))?;
    let created = contents.aux.iter().find(|(name, _)| name == b"ctime").map(|(_, value)| value);
    let created_s = created.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    Ok(Preamble { bytes: contents.bytes, created_s })
}

fn advised(error: &RewindError) -> String {
    match error {
        RewindError::Damaged { .. } => format!(
            "{error}. It is damaged before that moment: `glasswing check` says what is whole of it, and `check --fix` cuts \
             it there"
        ),
        _ => error.to_string(),
    }
}

/// Where the log as it was goes.
fn copy_of(folder: &Path) -> Result<PathBuf, String> {
    let now = moment(Clock::system().unix_ms() / 1_000).replace(['-', ':'], "");
    // A folder that is named as `.` has no name beside which another could stand.
    let whole = folder.canonicalize().map_err(|error| error.to_string())?;
    let name =
        whole.file_name().ok_or("the root folder is no append-only folder")?.to_string_lossy().into_owned();
    let first = format!("{name}.before-restore-{now}");
    let more = (2..).map(|number| format!("{first}-{number}"));
    let mut names = std::iter::once(first.clone()).chain(more).map(|name| whole.with_file_name(name));
    names.find(|copy| copy.symlink_metadata().is_err()).ok_or_else(|| "no name is free for a copy".to_owned())
}

fn cut_at(log: &LogAt, cut: &Cut) -> Result<String, String> {
    let manifest = log.folder.manifest_path();
    let folder = folder_of(&manifest);
    let copy = copy_of(folder)?;
    rewind::keep(&log.folder, &log.manifest, &copy).map_err(|error| {
        // Half a copy is of no use, and the log is untouched.
        let _ = std::fs::remove_dir_all(&copy);
        format!("the log could not be copied first, and is left as it is: {error}")
    })?;
    let gone = rewind::cut(&log.folder, &log.manifest, cut)
        .map_err(|error| format!("{error}. The log as it was is in {}", copy.display()))?;
    let last = log.manifest.live().nth(cut.file).map_or_else(String::new, |file| file.name.clone());
    let gone = match gone.as_slice() {
        [] => String::new(),
        gone => format!("  no more a part of it: {}\n", gone.join(", ")),
    };
    Ok(format!(
        "{}: brought back to the state before {}\n  {last} ends after {} bytes\n{gone}  the log as it was: {}\n",
        folder.display(),
        moment(cut.first_gone_s),
        cut.offset,
        copy.display()
    ))
}
