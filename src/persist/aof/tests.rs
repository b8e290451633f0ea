//! The log over a disk that fails at each step: what was acknowledged is there, in order, and nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::reader::{Fault as ReadFault, Problem, Read, Reader};
use super::{Folder, FolderError, Hooks, Log, Manifest, Policy, Segment};
use crate::persist::files::Files;
use crate::persist::files::faulty::{Cut, Fault, FaultyFiles};

const CUTS: [Cut; 6] =
    [Cut::SyncedOnly, Cut::Everything, Cut::NamesOnly, Cut::Torn(1), Cut::Torn(2), Cut::Torn(3)];

/// A log of numbers that grow by one: what is read back shows what is missing.
struct Rig {
    folder: Folder,
    log: Log,
    manifest: Manifest,
    ended: Arc<AtomicBool>,
    appended: u64,
    acknowledged: u64,
}

fn folder(files: &FaultyFiles) -> Folder {
    Folder::new(Arc::new(files.clone()), PathBuf::from("/d"), "a.aof".to_owned())
}

fn command(number: u64) -> Vec<u8> {
    let text = number.to_string();
    format!("*2\r\n$3\r\nADD\r\n${}\r\n{text}\r\n", text.len()).into_bytes()
}

impl Rig {
    /// Begins a log with an empty base.
    fn start(files: &FaultyFiles) -> Result<Rig, FolderError> {
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        let log = Log::new(Hooks {
            stamp: Box::new(|| 0),
            fatal: Box::new(move || told.store(true, Ordering::SeqCst)),
            took: Box::new(|_, _| {}),
            synced: Box::new(|_| {}),
        });
        log.configure(Policy::Always, true, false);
        let mut rig = Rig {
            folder: folder(files),
            log,
            manifest: Manifest::default(),
            ended,
            appended: 0,
            acknowledged: 0,
        };
        rig.folder.prepare()?;
        let base = rig.folder.at(&rig.manifest.add_base("a.aof", false));
        let handle = rig.folder.create(&base)?;
        handle.sync().map_err(|error| FolderError::Io { action: "sync", path: base, error })?;
        let name = rig.manifest.add_increment("a.aof");
        let (handle, _) = rig.folder.open_or_create(&name)?;
        rig.folder.store(&rig.manifest)?;
        rig.log.begin(Segment::empty(handle, rig.folder.at(&name)));
        Ok(rig)
    }

    fn append(&mut self) {
        self.appended += 1;
        let number = self.appended;
        self.log.append(|feeder| feeder.command(0, &command(number)));
    }

    /// One sync for all that has gathered. Whether it is promised now.
    fn commit(&mut self) -> bool {
        self.log.sync();
        if !self.ended.load(Ordering::SeqCst) && self.log.settle() {
            self.acknowledged = self.appended;
        }
        !self.ended.load(Ordering::SeqCst)
    }

    /// A rewrite, with appends meanwhile, step by step as the server makes it.
    fn rewrite(&mut self) -> Result<bool, FolderError> {
        let mut manifest = self.manifest.clone();
        let path = self.folder.at(&manifest.add_increment("a.aof"));
        let handle = self.folder.create(&path)?;
        self.folder.store(&manifest)?;
        self.manifest = manifest;
        self.append();
        let instant = self.appended;
        self.log.cut(Segment::empty(handle, path));
        self.append();
        if !self.commit() {
            return Ok(false);
        }
        let temporary = self.folder.at("temp-rewriteaof-bg-1.aof");
        let base = self.folder.create(&temporary)?;
        let bytes: Vec<u8> = (1..=instant).flat_map(command).collect();
        let written = base.write_all_at(&bytes, 0).and_then(|()| base.sync());
        written.map_err(|error| FolderError::Io { action: "write", path: temporary.clone(), error })?;
        let mut manifest = self.manifest.clone();
        let name = manifest.add_base("a.aof", false);
        self.folder.rename(&temporary, &self.folder.at(&name))?;
        manifest.retire_increments(1);
        self.folder.sync()?;
        self.folder.store(&manifest)?;
        self.manifest = manifest;
        self.folder.remove_history(&mut self.manifest)?;
        self.append();
        Ok(self.commit())
    }
}

/// All of it; stops at the first thing that goes wrong.
fn live(files: &FaultyFiles) -> (u64, u64) {
    let Ok(mut rig) = Rig::start(files) else { return (0, 0) };
    for round in 0..3 {
        rig.append();
        rig.append();
        if !rig.commit() {
            break;
        }
        // A rewrite that fails leaves the log as it is.
        if round < 2 && matches!(rig.rewrite(), Ok(false)) {
            break;
        }
    }
    (rig.acknowledged, rig.appended)
}

/// The numbers that the next start finds.
fn found(files: &FaultyFiles) -> Vec<u64> {
    let folder = folder(files);
    let manifest = folder.load().expect("a manifest, or none");
    let names: Vec<_> = manifest.live().map(|file| file.name.clone()).collect();
    let mut numbers = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let handle = files.open(&folder.at(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut reader = Reader::new(&*handle, 0, crc32fast::Hasher::new());
        loop {
            match reader.read_next() {
                Ok(Read::End) => break,
                Ok(Read::Command) if reader.word(0) == b"ADD" => {
                    numbers.push(std::str::from_utf8(reader.word(1)).unwrap().parse().unwrap());
                }
                Ok(_) => {}
                // What was never promised may be torn: the server cuts it off, or refuses it by its place.
                Err(ReadFault {
                    problem: Problem::Truncated | Problem::Format(_) | Problem::Checksum,
                    ..
                }) if names.iter().skip(index + 1).all(|name| folder.length(name).unwrap() == Some(0)) => {
                    break;
                }
                Err(fault) => panic!("{name}: {fault}"),
            }
        }
    }
    numbers
}

fn assert_kept(files: &FaultyFiles, (acknowledged, appended): (u64, u64), why: &str) {
    let numbers = found(files);
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected, "{why}: in order, each once");
    let kept = numbers.len() as u64;
    assert!(kept >= acknowledged && kept <= appended, "{why}: {kept} of {acknowledged} to {appended}");
}

#[test]
fn without_faults_all_is_there() {
    let files = FaultyFiles::new();
    let (acknowledged, appended) = live(&files);
    assert_eq!((acknowledged, appended), (12, 12));
    CUTS.iter().for_each(|&cut| assert_kept(&files.after_power_cut(cut), (12, 12), "the end"));
    assert_eq!(files.list(Path::new("/d")).unwrap().len(), 3, "a manifest, a base and an increment");
}

#[test]
fn a_power_cut_at_any_step_takes_nothing_that_was_acknowledged() {
    let whole = FaultyFiles::new();
    live(&whole);
    assert!(whole.steps() > 50);
    for step in 1..=whole.steps() {
        let files = FaultyFiles::new();
        files.fail_at(step, Fault::PowerCut);
        let promised = live(&files);
        for cut in CUTS {
            let why = format!("{cut:?} after step {}", whole.log()[step as usize - 1]);
            assert_kept(&files.after_power_cut(cut), promised, &why);
        }
    }
}

#[test]
fn an_error_at_any_step_takes_nothing_that_was_acknowledged() {
    let whole = FaultyFiles::new();
    live(&whole);
    for fault in [Fault::Full, Fault::Io, Fault::Short] {
        for step in 1..=whole.steps() {
            let files = FaultyFiles::new();
            files.fail_at(step, fault);
            let promised = live(&files);
            for cut in CUTS {
                let why = format!("{fault:?}, {cut:?} at step {}", whole.log()[step as usize - 1]);
                assert_kept(&files.after_power_cut(cut), promised, &why);
            }
        }
    }
}
