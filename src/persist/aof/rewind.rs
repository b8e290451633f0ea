//! Bringing a log back to a moment: what happened later is taken off its end.
//!
//! ```text
//! base                     increment              increment
//! made at 10:00            #TS:10:01 ... #TS:10:07 ...   #TS:10:09 ...
//!                                        ^ the state at 10:05 ends here
//! ```
//!
//! Times stand before what happened in their second, so a moment is the end of a second. What is behind the first time
//! that is later goes: the rest of its file, and every file after it. A transaction is never cut. It begins with a
//! copy of all files, and the manifest is replaced before the file is cut: whenever the power goes, the log is the old
//! one or a whole beginning of it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::folder::{Folder, FolderError};
use super::manifest::{FileType, Manifest};
use super::reader::{Fault, Problem, Read, Reader};
use crate::persist::files::{Handle, folder_of};
use crate::persist::rdb::file::MAGIC;

/// Copied at once.
const PIECE_BYTES: usize = 1 << 20;

/// What is known of a base in Redis's own format.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preamble {
    /// Its length. Commands may follow.
    pub bytes: u64,
    /// When it was made, seconds since 1970, if it says so.
    pub created_s: Option<u64>,
}

/// Examines a base in Redis's own format.
pub type Examine<'a> = &'a dyn Fn(&Path) -> Result<Preamble, String>;

/// Where a log is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which of the files that are read, from 0.
    pub file: usize,
    /// How many bytes of it stay.
    pub offset: u64,
    /// When the first of that happened which goes.
    pub first_gone_s: u64,
}

/// How a log stands to a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing in it is later. The last time in it.
    Whole(Option<u64>),
    /// Something is.
    Later(Cut),
}

/// Why a log cannot be brought to a moment. Nothing was changed.
#[derive(Debug)]
pub enum RewindError {
    /// Nothing in it says when it happened.
    NoTimes,
    /// Nothing says what was there so early.
    TooEarly {
        /// What it can be brought back to, at the earliest.
        earliest_s: u64,
    },
    /// A file that is needed cannot be read to where it is to be cut.
    Damaged {
        /// Which.
        path: PathBuf,
        /// In words, with the place.
        why: String,
    },
}

impl fmt::Display for RewindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RewindError::NoTimes => f.write_str(
                "nothing in it says when it happened: only what is written with `aof-timestamp-enabled yes` does",
            ),
            RewindError::TooEarly { earliest_s } => write!(
                f,
                "the earliest moment that it can be brought back to is {}. What was there before is in no file of this \
                 log: take an older copy",
                moment(*earliest_s)
            ),
            RewindError::Damaged { path, why } => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for RewindError {}

/// Seconds since 1970 as people write a moment.
pub fn moment(unix_s: u64) -> String {
    let known = i64::try_from(unix_s).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    known.map_or_else(|| unix_s.to_string(), |time| time.to_string())
}

/// What has been seen on the way to the moment.
#[derive(Default)]
struct Seen {
    /// Something says that it is not later than the moment: the base, or a time.
    is_known: bool,
    /// The last time since the base, if there was one.
    last_s: Option<u64>,
    /// Commands after the base and before any time.
    has_untimed: bool,
}

/// Looks where a log ends at a moment.
///
/// # Errors
/// [`RewindError`].
pub fn find(
    folder: &Folder,
    manifest: &Manifest,
    at_s: u64,
    examine: Examine<'_>,
) -> Result<Standing, RewindError> {
    let mut seen = Seen::default();
    for (file, info) in manifest.live().enumerate() {
        let path = folder.at(&info.name);
        let is_base = info.kind == FileType::Base;
        let cut = look(folder, &path, is_base, at_s, &mut seen, examine)?;
        let Some((offset, first_gone_s)) = cut else { continue };
        if !seen.is_known || (seen.last_s.is_none() && seen.has_untimed) {
            return Err(RewindError::TooEarly { earliest_s: first_gone_s });
        }
        return Ok(Standing::Later(Cut { file, offset, first_gone_s }));
    }
    if seen.last_s.is_none() && seen.has_untimed {
        return Err(RewindError::NoTimes);
    }
    Ok(Standing::Whole(seen.last_s))
}

/// Reads one file: where it is to be cut, and when that happened which goes.
fn look(
    folder: &Folder,
    path: &Path,
    is_base: bool,
    at_s: u64,
    seen: &mut Seen,
    examine: Examine<'_>,
) -> Result<Option<(u64, u64)>, RewindError> {
    let damaged = |why: String| RewindError::Damaged { path: path.to_path_buf(), why };
    let handle = folder.files().open(path).map_err(|error| damaged(error.to_string()))?;
    let mut preamble = Preamble::default();
    let mut magic = [0; MAGIC.len()];
    if handle.read_exact_at(&mut magic, 0).is_ok() && magic == *MAGIC {
        preamble = examine(path).map_err(damaged)?;
        if let Some(earliest_s) = preamble.created_s.filter(|created_s| *created_s > at_s) {
            return Err(RewindError::TooEarly { earliest_s });
        }
        seen.is_known |= preamble.created_s.is_some();
    }
    // A base of commands is the state at one instant: its time says nothing of what came after.
    let is_history = !is_base || preamble.bytes > 0;
    let mut reader = Reader::new(&*handle, preamble.bytes, crc32fast::Hasher::new());
    let (mut whole, mut in_multi, mut cut) = (preamble.bytes, false, None);
    loop {
        match reader.read_next() {
            Ok(Read::End) if in_multi && cut.is_none() => {
                return Err(damaged(format!("the transaction at offset {whole} has no end")));
            }
            Ok(Read::End) => return Ok(cut),
            Ok(Read::Command) if cut.is_none() => {
                seen.has_untimed |= is_history && seen.last_s.is_none();
                let word = reader.word(0);
                in_multi =
                    (in_multi || word.eq_ignore_ascii_case(b"multi")) && !word.eq_ignore_ascii_case(b"exec");
            }
            Ok(Read::Time(time)) if cut.is_none() && time > at_s => cut = Some((whole, time)),
            Ok(Read::Time(time)) if cut.is_none() => {
                seen.is_known = true;
                seen.last_s = if is_history { Some(time) } else { seen.last_s };
            }
            // It vouches for all that stays.
            Ok(Read::Checksum) if cut.is_some() => return Ok(cut),
            Ok(_) => {}
            Err(Fault { problem: Problem::Truncated | Problem::Format(_), .. }) if cut.is_some() => {
                // What is wrong goes.
                return Ok(cut);
            }
            Err(fault) => return Err(damaged(fault.to_string())),
        }
        if !in_multi && cut.is_none() {
            whole = reader.offset();
        }
    }
}

/// Copies the log into a new folder, for good.
///
/// # Errors
/// [`FolderError`]. What was copied by then stays.
pub fn keep(folder: &Folder, manifest: &Manifest, copy: &Path) -> Result<(), FolderError> {
    let files = folder.files();
    let failed = |action, path: &Path, error| FolderError::Io { action, path: path.to_path_buf(), error };
    files.create_folder(copy).map_err(|error| failed("create", copy, error))?;
    let mut names: Vec<&str> = manifest.live().map(|file| file.name.as_str()).collect();
    for old in &manifest.history {
        // It may be gone: its line is taken out afterwards.
        if folder.length(&old.name)?.is_some() {
            names.push(&old.name);
        }
    }
    let own = format!("{}.manifest", folder.name());
    names.push(&own);
    for name in names {
        let (from, to) = (folder.at(name), copy.join(name));
        let source = files.open(&from).map_err(|error| failed("open", &from, error))?;
        let target = files.create(&to).map_err(|error| failed("create", &to, error))?;
        copy_all(&*source, &*target).map_err(|error| failed("copy to", &to, error))?;
    }
    for path in [copy, folder_of(copy)] {
        files.sync_folder(path).map_err(|error| failed("sync the folder", path, error))?;
    }
    Ok(())
}

fn copy_all(source: &dyn Handle, target: &dyn Handle) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        let read = source.read_at(&mut piece, at)?;
        if read == 0 {
            return target.sync();
        }
        target.write_all_at(&piece[..read], at)?;
        at += read as u64;
    }
}

/// Takes off what is behind the cut. Gives the names of the files that went altogether.
///
/// # Errors
/// [`FolderError`]. The log is a whole beginning of the old one then, and not shorter than the cut says.
pub fn cut(folder: &Folder, manifest: &Manifest, cut: &Cut) -> Result<Vec<String>, FolderError> {
    let files = folder.files();
    let names: Vec<String> = manifest.live().map(|file| file.name.clone()).collect();
    let (kept, gone) = names.split_at((cut.file + 1).min(names.len()));
    let mut shorter = manifest.clone();
    shorter.increments.retain(|file| kept.contains(&file.name));
    folder.store(&shorter)?;
    if let Some(last) = kept.last() {
        let path = folder.at(last);
        let failed = |error| FolderError::Io { action: "cut", path: path.clone(), error };
        let handle = files.open_writable(&path).map_err(failed)?;
        handle.truncate(cut.offset).and_then(|()| handle.sync()).map_err(failed)?;
    }
    // Whoever begins a file of that name empties it; until then nothing names it.
    gone.iter().for_each(|name| folder.discard(&folder.at(name)));
    folder.sync()?;
    Ok(gone.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::files::Files as _;
    use crate::persist::files::faulty::{Cut as PowerCut, Fault as DiskFault, FaultyFiles};
    use std::sync::Arc;

    const MANIFEST: &str = "file a.aof.1.base.aof seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\n\
                            file a.aof.2.incr.aof seq 2 type i\nfile a.aof.3.incr.aof seq 3 type i\n";
    /// What the files hold: `@5` is a time, a digit a command, `(` and `)` a transaction, `#` a checksum.
    const BASE: &str = "@10 0";
    const INCREMENTS: [&str; 3] = ["@12 1 # @14 2 ( 3 4 ) #", "@14 5 @17 6 # @16 7", "@20 8"];

    fn bytes(content: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in content.split(' ').filter(|word| !word.is_empty()) {
            let line = match word {
                "(" => "*1\r\n$5\r\nMULTI\r\n".to_owned(),
                ")" => "*1\r\n$4\r\nEXEC\r\n".to_owned(),
                "#" => format!("#CRC:{:08x}\r\n", crc32fast::hash(&bytes)),
                word if word.starts_with('@') => format!("#TS:{}\r\n", &word[1..]),
                word => format!("*2\r\n$3\r\nADD\r\n${}\r\n{word}\r\n", word.len()),
            };
            bytes.extend_from_slice(line.as_bytes());
        }
        bytes
    }

    fn disk(base: &str, increments: [&str; 3]) -> FaultyFiles {
        let files = FaultyFiles::new();
        let put = |name: &str, bytes: &[u8]| files.put(&Path::new("/d").join(name), bytes);
        put("a.aof.manifest", MANIFEST.as_bytes());
        put("a.aof.1.base.aof", &bytes(base));
        for (index, content) in increments.iter().enumerate() {
            put(&format!("a.aof.{}.incr.aof", index + 1), &bytes(content));
        }
        files
    }

    fn folder(files: &FaultyFiles) -> Folder {
        Folder::new(Arc::new(files.clone()), PathBuf::from("/d"), "a.aof".to_owned())
    }

    fn no_preamble(_: &Path) -> Result<Preamble, String> {
        Err("there is none".to_owned())
    }

    fn standing(files: &FaultyFiles, at_s: u64) -> Result<Standing, RewindError> {
        let folder = folder(files);
        find(&folder, &folder.load().unwrap(), at_s, &no_preamble)
    }

    /// Brings the log to a moment as the tool does.
    fn rewind(files: &FaultyFiles, at_s: u64) -> Result<(), FolderError> {
        let folder = folder(files);
        let manifest = folder.load()?;
        if let Ok(Standing::Later(found)) = find(&folder, &manifest, at_s, &no_preamble) {
            keep(&folder, &manifest, Path::new("/copy"))?;
            cut(&folder, &manifest, &found)?;
        }
        Ok(())
    }

    /// What a log adds up to, in order: its commands outside of transactions that have no end.
    fn content(files: &FaultyFiles, at: &str) -> String {
        let folder = Folder::new(Arc::new(files.clone()), PathBuf::from(at), "a.aof".to_owned());
        let mut text = String::new();
        for file in folder.load().unwrap().live() {
            let handle = files.open(&folder.at(&file.name)).unwrap();
            let mut reader = Reader::new(&*handle, 0, crc32fast::Hasher::new());
            while !matches!(reader.read_next().unwrap(), Read::End) {
                if reader.len() == 2 {
                    text += &String::from_utf8_lossy(reader.word(1));
                }
            }
        }
        text
    }

    #[test]
    fn what_is_later_goes_and_nothing_else() {
        // The clock was set back in the second increment: what follows the first later time goes.
        for (at_s, left) in [
            (10, "0"),
            (11, "0"),
            (12, "01"),
            (13, "01"),
            (14, "012345"),
            (16, "012345"),
            (17, "01234567"),
            (19, "01234567"),
            (20, "012345678"),
        ] {
            let files = disk(BASE, INCREMENTS);
            rewind(&files, at_s).unwrap();
            assert_eq!(content(&files, "/d"), left, "{at_s}");
            if at_s < 20 {
                assert_eq!(content(&files, "/copy"), "012345678", "the original is kept");
                assert!(files.contents(Path::new("/d/a.aof.3.incr.aof")).is_none_or(|b| b.is_empty()));
            } else {
                assert!(files.contents(Path::new("/copy/a.aof.manifest")).is_none());
                assert_eq!(standing(&files, at_s).unwrap(), Standing::Whole(Some(20)));
            }
        }
    }

    #[test]
    fn a_transaction_is_not_cut() {
        let files = disk(BASE, ["@12 1 ( 2 @15 3 ) 4", "5", "6"]);
        rewind(&files, 14).unwrap();
        assert_eq!(content(&files, "/d"), "01");
    }

    #[test]
    fn moments_of_which_nothing_is_known_are_refused() {
        let earliest = |files: &FaultyFiles, at_s| match standing(files, at_s) {
            Err(RewindError::TooEarly { earliest_s }) => earliest_s,
            other => panic!("{other:?}"),
        };
        assert_eq!(earliest(&disk(BASE, INCREMENTS), 9), 10, "before the base");
        let untimed = disk("0", INCREMENTS);
        assert_eq!(earliest(&untimed, 11), 12, "the base may have been made at any time before");
        assert!(matches!(standing(&untimed, 12), Ok(Standing::Later(_))));
        for base in ["0", BASE] {
            let late = disk(base, ["1", "2 @15 3", "@16 4"]);
            assert_eq!(earliest(&late, 14), 15, "1 and 2 happened whenever");
            assert!(matches!(standing(&late, 15), Ok(Standing::Later(Cut { file: 3, offset: 0, .. }))));
        }
        let never = disk("0", ["1", "2", "3"]);
        assert!(matches!(standing(&never, 14), Err(RewindError::NoTimes)));
        assert!(RewindError::NoTimes.to_string().contains("aof-timestamp-enabled"));
        let told = RewindError::TooEarly { earliest_s: 1_700_000_000 }.to_string();
        assert!(told.contains("2023-11-14T22:13:20Z"), "{told}");
    }

    #[test]
    fn a_base_of_redis_says_when_it_was_made() {
        let files = disk("", ["1 @15 2", "3", "4"]);
        files.put(Path::new("/d/a.aof.1.base.aof"), b"REDIS0010...");
        let at = |at_s, created_s| {
            let folder = folder(&files);
            let examine = move |_: &Path| Ok(Preamble { bytes: 12, created_s });
            find(&folder, &folder.load().unwrap(), at_s, &examine)
        };
        assert!(matches!(at(9, Some(10)), Err(RewindError::TooEarly { earliest_s: 10 })));
        assert!(matches!(at(14, Some(10)), Err(RewindError::TooEarly { earliest_s: 15 })), "1 has no time");
        assert!(matches!(at(15, Some(10)), Ok(Standing::Whole(Some(15)))));
        files.put(Path::new("/d/a.aof.1.incr.aof"), &bytes("@15 2"));
        let whole_file = Cut { file: 1, offset: 0, first_gone_s: 15 };
        assert_eq!(at(14, Some(10)).unwrap(), Standing::Later(whole_file));
        assert!(matches!(at(14, None), Err(RewindError::TooEarly { earliest_s: 15 })));
    }

    #[test]
    fn damage_before_the_moment_is_refused_and_behind_it_does_not_matter() {
        let damaged = |file: &str, at_s, damage: &dyn Fn(&mut Vec<u8>)| {
            let files = disk(BASE, INCREMENTS);
            let path = Path::new("/d").join(file);
            let mut bytes = files.contents(&path).unwrap();
            damage(&mut bytes);
            files.put(&path, &bytes);
            standing(&files, at_s)
        };
        let torn = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 3);
        let text = |result: Result<Standing, RewindError>| result.unwrap_err().to_string();
        let second = "a.aof.2.incr.aof";
        assert!(text(damaged(second, 17, &torn)).contains("ends within the command at offset"));
        assert!(matches!(damaged(second, 15, &torn), Ok(Standing::Later(Cut { file: 2, .. }))));
        // A byte before the cut, whose checksum stands behind it.
        let flip = |bytes: &mut Vec<u8>| {
            let at = bytes.windows(3).position(|window| window == b"\n5\r").unwrap();
            bytes[at + 1] = b'4';
        };
        assert!(text(damaged(second, 15, &flip)).contains("one of them was changed"));
        let files = disk(BASE, ["@12 ( 1", "2", "3"]);
        assert!(text(standing(&files, 13)).contains("has no end"));
        files.remove(Path::new("/d/a.aof.1.incr.aof")).unwrap();
        assert!(text(standing(&files, 13)).contains("a.aof.1.incr.aof"));
    }

    #[test]
    fn whenever_it_is_interrupted_the_log_is_whole_and_nothing_is_lost() {
        let all = "012345678";
        for at_s in [11, 15, 18] {
            let undisturbed = disk(BASE, INCREMENTS);
            rewind(&undisturbed, at_s).unwrap();
            let (wanted, steps) = (content(&undisturbed, "/d"), undisturbed.steps());
            let (mut interrupted, mut through) = (0, 0);
            for step in 1..=steps {
                for fault in [DiskFault::PowerCut, DiskFault::Io, DiskFault::Full] {
                    let files = disk(BASE, INCREMENTS);
                    files.fail_at(step, fault);
                    let done = rewind(&files, at_s);
                    for power_cut in [
                        PowerCut::SyncedOnly,
                        PowerCut::Everything,
                        PowerCut::NamesOnly,
                        PowerCut::Torn(1),
                        PowerCut::Torn(2),
                    ] {
                        let after = files.after_power_cut(power_cut);
                        let left = content(&after, "/d");
                        assert!(left.starts_with(&wanted), "step {step} of {steps}: {left}");
                        assert!(all.starts_with(&left), "step {step} of {steps}: {left}");
                        if left != all {
                            assert_eq!(content(&after, "/copy"), all, "step {step} of {steps}");
                            through += 1;
                        } else {
                            interrupted += 1;
                        }
                        if done.is_ok() && left == wanted {
                            through += 1;
                        }
                    }
                }
            }
            assert!(interrupted > 0 && through > 0);
        }
    }
}
