//! Test support: a disk in memory that fails on request and forgets as a real one does.
//!
//! It is compiled always, because tests outside the crate use it; the server never does.
//!
//! The model. A write goes to the page cache: it is seen at once, but is on the disk only
//! after a sync of that file. A new name, a rename or a removal is seen at once, but lasts
//! only after a sync of the folder. At a power cut, whatever was not synced may be there,
//! be gone, or be torn at any byte, data and names independently of each other: so a
//! rename may survive although the data of the renamed file does not. Names of one disk
//! survive in their order (a journal), data in any order. After a sync that failed the
//! cache counts as clean and what it held never reaches the disk: that is what Linux does,
//! and why a second sync proves nothing.
//!
//! Every call counts as one step. [`FaultyFiles::fail_at`] makes a step fail.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Files, Handle, Identity, folder_of};

/// What goes wrong at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: this call fails with ENOSPC, a write after half of its bytes.
    Full,
    /// The device reports an error: this call fails with EIO.
    Io,
    /// A write takes only half of its bytes and says so; other calls are as always.
    Short,
    /// The power goes: this call and all later ones fail. A write may be half done.
    PowerCut,
}

/// What a power cut leaves of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing of it.
    SyncedOnly,
    /// All of it.
    Everything,
    /// The names, without the data: the worst case for a rename before the sync.
    NamesOnly,
    /// A random part, told apart by the seed.
    Torn(u64),
}

/// A disk in memory. A clone is the same disk.
#[derive(Clone, Default)]
pub struct FaultyFiles {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    steps: u64,
    log: Vec<String>,
    fault: Option<(u64, Fault)>,
    off: bool,
    next_inode: u64,
    ticks: i128,
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    lasting_names: BTreeMap<PathBuf, u64>,
    unsynced_names: Vec<NameChange>,
}

#[derive(Clone, Default)]
struct Inode {
    seen: Vec<u8>,
    lasting: Vec<u8>,
    unsynced: Vec<DataChange>,
    modified_ns: i128,
    held: bool,
}

#[derive(Clone)]
enum DataChange {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Clone)]
enum NameChange {
    Set(PathBuf, u64),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, u64),
}

impl FaultyFiles {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the step with this number (the first call is step 1) go wrong.
    pub fn fail_at(&self, step: u64, fault: Fault) {
        self.lock().fault = Some((step, fault));
    }

    /// How many steps were made.
    pub fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// What each step was, for a failing test's message.
    pub fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    /// Puts a file there, synced.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut disk = self.lock();
        let inode = disk.new_inode();
        if let Some(node) = disk.inodes.get_mut(&inode) {
            node.seen = bytes.to_vec();
            node.lasting = bytes.to_vec();
        }
        disk.names.insert(path.to_path_buf(), inode);
        disk.lasting_names.insert(path.to_path_buf(), inode);
    }

    /// What a reader would see in this file now; `None` if there is none.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = self.lock();
        let inode = disk.names.get(path)?;
        disk.inodes.get(inode).map(|n| n.seen.clone())
    }

    /// The disk as the next start finds it if the power goes now. This one is unchanged.
    pub fn after_power_cut(&self, cut: Cut) -> FaultyFiles {
        let disk = self.lock();
        let mut dice = Dice(match cut {
            Cut::Torn(seed) => seed,
            _ => 0,
        });
        let mut next = Disk { next_inode: disk.next_inode, ticks: disk.ticks, ..Disk::default() };
        next.names = disk.surviving_names(cut, &mut dice);
        next.lasting_names = next.names.clone();
        for (number, node) in &disk.inodes {
            let lasting = node.surviving_data(cut, &mut dice);
            let kept =
                Inode { seen: lasting.clone(), lasting, modified_ns: node.modified_ns, ..Inode::default() };
            next.inodes.insert(*number, kept);
        }
        FaultyFiles { disk: Arc::new(Mutex::new(next)) }
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, inode: u64, holds: bool) -> Box<dyn Handle> {
        Box::new(FaultyHandle { files: self.clone(), inode, holds })
    }
}

/// A small generator (SplitMix64): the same seed cuts the same way.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n.max(1)
    }
}

fn full() -> io::Error {
    io::Error::from_raw_os_error(nix::libc::ENOSPC)
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(nix::libc::EIO)
}

fn not_found() -> io::Error {
    ErrorKind::NotFound.into()
}

impl Disk {
    /// Counts a step and says what goes wrong at it. `Short` concerns writes only.
    fn step(&mut self, what: &str, path: &Path) -> Result<Option<Fault>, io::Error> {
        if self.off {
            return Err(broken());
        }
        self.steps += 1;
        self.log.push(format!("{}: {what} {}", self.steps, path.display()));
        match self.fault {
            Some((at, fault)) if at == self.steps => {
                self.off = fault == Fault::PowerCut;
                Ok(Some(fault))
            }
            _ => Ok(None),
        }
    }

    /// As [`step`](Self::step), for calls that either happen or do not.
    fn plain_step(&mut self, what: &str, path: &Path) -> io::Result<()> {
        match self.step(what, path)? {
            None | Some(Fault::Short) => Ok(()),
            Some(Fault::Full) => Err(full()),
            Some(Fault::Io | Fault::PowerCut) => Err(broken()),
        }
    }

    fn new_inode(&mut self) -> u64 {
        self.next_inode += 1;
        self.ticks += 1;
        let node = Inode { modified_ns: self.ticks, ..Inode::default() };
        self.inodes.insert(self.next_inode, node);
        self.next_inode
    }

    fn surviving_names(&self, cut: Cut, dice: &mut Dice) -> BTreeMap<PathBuf, u64> {
        let changes = &self.unsynced_names;
        let kept = match cut {
            Cut::SyncedOnly => 0,
            Cut::Everything | Cut::NamesOnly => changes.len(),
            Cut::Torn(_) => dice.below(changes.len() as u64 + 1) as usize,
        };
        let mut names = self.lasting_names.clone();
        for change in changes.iter().take(kept) {
            change.apply(&mut names);
        }
        names
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            NameChange::Set(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            NameChange::Remove(path) => {
                names.remove(path);
            }
            NameChange::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }

    fn folder(&self) -> &Path {
        match self {
            NameChange::Set(path, _) | NameChange::Remove(path) => folder_of(path),
            NameChange::Rename(_, to, _) => folder_of(to),
        }
    }
}

impl DataChange {
    fn apply(&self, data: &mut Vec<u8>) {
        match self {
            DataChange::Write(offset, bytes) => {
                let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                if data.len() < end {
                    data.resize(end, 0);
                }
                if let Some(target) = data.get_mut(start..end) {
                    target.copy_from_slice(bytes);
                }
            }
            DataChange::Truncate(length) => data.resize(*length as usize, 0),
        }
    }

    /// A part of the change: none, all, or a write cut at some byte.
    fn torn(&self, dice: &mut Dice) -> Option<DataChange> {
        match (dice.below(3), self) {
            (0, _) => None,
            (1, DataChange::Write(offset, bytes)) => {
                let n = dice.below(bytes.len() as u64 + 1) as usize;
                Some(DataChange::Write(*offset, bytes.get(..n)?.to_vec()))
            }
            (_, change) => Some(change.clone()),
        }
    }
}

impl Inode {
    fn change(&mut self, change: DataChange, now: i128) {
        change.apply(&mut self.seen);
        self.unsynced.push(change);
        self.modified_ns = now;
    }

    fn surviving_data(&self, cut: Cut, dice: &mut Dice) -> Vec<u8> {
        let mut data = self.lasting.clone();
        for change in &self.unsynced {
            match cut {
                Cut::SyncedOnly | Cut::NamesOnly => {}
                Cut::Everything => change.apply(&mut data),
                Cut::Torn(_) => {
                    if let Some(part) = change.torn(dice) {
                        part.apply(&mut data);
                    }
                }
            }
        }
        data
    }
}

struct FaultyHandle {
    files: FaultyFiles,
    inode: u64,
    holds: bool,
}

impl FaultyHandle {
    /// Counts a step at this file, then lets `act` have the file.
    fn at<T>(
        &self,
        what: &str,
        act: impl FnOnce(Option<Fault>, &mut Inode, i128) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut disk = self.files.lock();
        let name = disk.names.iter().find(|(_, i)| **i == self.inode).map(|(p, _)| p.clone());
        let fault = disk.step(what, &name.unwrap_or_default())?;
        disk.ticks += 1;
        let now = disk.ticks;
        let node = disk.inodes.get_mut(&self.inode).ok_or_else(not_found)?;
        act(fault, node, now)
    }
}

impl Drop for FaultyHandle {
    fn drop(&mut self) {
        if self.holds
            && let Some(node) = self.files.lock().inodes.get_mut(&self.inode)
        {
            node.held = false;
        }
    }
}

impl Handle for FaultyHandle {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.at(&format!("write {} at {offset}", bytes.len()), |fault, node, now| {
            let half = bytes.get(..bytes.len().div_ceil(2)).unwrap_or_default();
            let taken = match fault {
                None => bytes,
                Some(Fault::Io) => return Err(broken()),
                Some(Fault::Short | Fault::Full | Fault::PowerCut) => half,
            };
            node.change(DataChange::Write(offset, taken.to_vec()), now);
            match fault {
                Some(Fault::Full) => Err(full()),
                Some(Fault::PowerCut) => Err(broken()),
                _ => Ok(taken.len()),
            }
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.at(&format!("read {} at {offset}", buffer.len()), |fault, node, _| {
            let rest = node.seen.get(offset as usize..).unwrap_or_default();
            let mut n = rest.len().min(buffer.len());
            match fault {
                None => {}
                Some(Fault::Short) => n = n.div_ceil(2),
                Some(_) => return Err(broken()),
            }
            if let (Some(to), Some(from)) = (buffer.get_mut(..n), rest.get(..n)) {
                to.copy_from_slice(from);
            }
            Ok(n)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.at("sync", |fault, node, _| match fault {
            None | Some(Fault::Short) => {
                node.unsynced.clear();
                node.lasting = node.seen.clone();
                Ok(())
            }
            Some(Fault::PowerCut) => Err(broken()),
            Some(fault) => {
                node.unsynced.clear();
                Err(if fault == Fault::Full { full() } else { broken() })
            }
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.at(&format!("truncate to {length}"), |fault, node, now| match fault {
            None | Some(Fault::Short) => {
                node.change(DataChange::Truncate(length), now);
                Ok(())
            }
            Some(Fault::Full) => Err(full()),
            Some(_) => Err(broken()),
        })
    }

    fn identity(&self) -> io::Result<Identity> {
        let inode = self.inode;
        self.at("identity", |fault, node, _| match fault {
            None | Some(Fault::Short) => Ok(identity_of(inode, node)),
            Some(_) => Err(broken()),
        })
    }
}

fn identity_of(inode: u64, node: &Inode) -> Identity {
    Identity { device: 1, inode, size_bytes: node.seen.len() as u64, modified_ns: node.modified_ns }
}

impl Files for FaultyFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let mut disk = self.lock();
        disk.plain_step("create", path)?;
        if disk.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = disk.new_inode();
        if let Some(node) = disk.inodes.get_mut(&inode) {
            node.held = true;
        }
        disk.names.insert(path.to_path_buf(), inode);
        disk.unsynced_names.push(NameChange::Set(path.to_path_buf(), inode));
        drop(disk);
        Ok(self.handle(inode, true))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let mut disk = self.lock();
        disk.plain_step("open", path)?;
        let inode = *disk.names.get(path).ok_or_else(not_found)?;
        drop(disk);
        Ok(self.handle(inode, false))
    }

    fn open_writable(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        self.open(path)
    }

    fn hold(&self, path: &Path) -> io::Result<Option<Box<dyn Handle>>> {
        let there = self.lock().names.get(path).copied();
        let Some(inode) = there else { return self.create(path).map(Some) };
        let mut disk = self.lock();
        disk.plain_step("hold", path)?;
        let node = disk.inodes.get_mut(&inode).ok_or_else(not_found)?;
        if std::mem::replace(&mut node.held, true) {
            return Ok(None);
        }
        drop(disk);
        Ok(Some(self.handle(inode, true)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        disk.plain_step("rename", to)?;
        let inode = disk.names.remove(from).ok_or_else(not_found)?;
        disk.names.insert(to.to_path_buf(), inode);
        disk.unsynced_names.push(NameChange::Rename(from.to_path_buf(), to.to_path_buf(), inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        disk.plain_step("remove", path)?;
        disk.names.remove(path).ok_or_else(not_found)?;
        disk.unsynced_names.push(NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.lock().plain_step("create folder", folder)
    }

    fn is_written(&self, path: &Path) -> io::Result<bool> {
        let mut disk = self.lock();
        disk.plain_step("look who writes", path)?;
        let inode = disk.names.get(path).ok_or_else(not_found)?;
        Ok(disk.inodes.get(inode).is_some_and(|node| node.held))
    }

    fn remove_abandoned(&self, path: &Path) -> io::Result<bool> {
        {
            let disk = self.lock();
            let inode = disk.names.get(path).ok_or_else(not_found)?;
            if disk.inodes.get(inode).is_some_and(|n| n.held) {
                return Ok(false);
            }
        }
        self.remove(path).map(|()| true)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        disk.plain_step("sync folder", folder)?;
        let changes = std::mem::take(&mut disk.unsynced_names);
        for change in changes {
            if change.folder() == folder {
                change.apply(&mut disk.lasting_names);
            } else {
                disk.unsynced_names.push(change);
            }
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut disk = self.lock();
        disk.plain_step("list", folder)?;
        let inside = disk.names.keys().filter(|path| folder_of(path) == folder);
        Ok(inside.filter_map(|path| path.file_name().map(OsString::from)).collect())
    }

    fn identity(&self, path: &Path) -> io::Result<Option<Identity>> {
        let mut disk = self.lock();
        disk.plain_step("identity", path)?;
        let Some(inode) = disk.names.get(path) else { return Ok(None) };
        Ok(disk.inodes.get(inode).map(|node| identity_of(*inode, node)))
    }
}

#[cfg(test)]
mod tests;
