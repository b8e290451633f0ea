//! What `ps` shows of the process: `glasswing 127.0.0.1:6379` in place of its arguments, among which may be a password.
//!
//! The kernel reads a process's arguments from its memory, at an address that it noted when the program began, and as
//! far as they reached then. Redis writes its title there and moves the environment, which lies behind it, out of the
//! way. Here the kernel is told of another address instead (`PR_SET_MM_MAP`, which needs no privilege): so no memory
//! changes that anybody else reads, and the title may be longer than the arguments were. The memory at that address
//! is this file's own, and is never given back:
//!
//! ```text
//! title .. 0 0 0 0 .. 0 1
//! ```
//!
//! As it does not end with a zero, the kernel takes it for a title, which ends at the first zero. A kernel without
//! `CONFIG_CHECKPOINT_RESTORE`, or another system's imitation of it, refuses: then the arguments stay what they were.

use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::libc;

use crate::config::Settings;

use super::listening::shown_port;

/// The bytes of the memory that is shown; the kernel reads no more than a page of a title.
const ROOM: usize = 2048;

/// The memory that the kernel reads, once it was told.
static TITLE: OnceLock<&'static [AtomicU8]> = OnceLock::new();

/// Shows the title that the settings ask for. To be called while there is one thread.
pub(super) fn show(settings: &Settings, config_file: Option<&Path>) -> io::Result<()> {
    if !settings.set_proc_title {
        return Ok(());
    }
    let room = own_memory();
    write(room, &title(settings, config_file));
    tell_kernel(room)?;
    let _ = TITLE.set(room);
    Ok(())
}

/// Changes the title that is shown, if one is, to that of other settings.
pub(super) fn change(settings: &Settings, config_file: Option<&Path>) {
    if let Some(room) = TITLE.get() {
        write(room, &title(settings, config_file));
    }
}

fn title(settings: &Settings, config_file: Option<&Path>) -> String {
    // As it was called, which is what Redis shows.
    let program = std::env::args_os().next().unwrap_or_else(|| "glasswing".into());
    let config_file = config_file.map(Path::to_string_lossy);
    expanded(settings, &program.to_string_lossy(), config_file.as_deref())
}

/// Memory that is nobody else's. It is of the heap, whose pages are no file's: the kernel shows no others.
fn own_memory() -> &'static [AtomicU8] {
    let mut room: Vec<AtomicU8> = (0..ROOM).map(|_| AtomicU8::new(0)).collect();
    if let Some(last) = room.last_mut() {
        *last = AtomicU8::new(1);
    }
    Box::leak(room.into_boxed_slice())
}

/// Replaces the text: its end first, so that nobody reads a mixture that is longer than both.
fn write(room: &[AtomicU8], text: &str) {
    // The last byte is the mark, the one before it the last that may end the text.
    let text = &text.as_bytes()[..text.len().min(room.len() - 2)];
    let ends = room[..room.len() - 1].iter().skip(text.len());
    ends.for_each(|byte| byte.store(0, Ordering::Relaxed));
    for (byte, new) in room.iter().zip(text) {
        byte.store(*new, Ordering::Relaxed);
    }
}

/// `proc-title-template`, which the table of settings has checked, filled in as Redis does.
fn expanded(settings: &Settings, program: &str, config_file: Option<&str>) -> String {
    let (mut text, mut rest) = (String::new(), settings.proc_title_template.as_str());
    while let Some((before, after)) = rest.split_once('{') {
        text += before;
        if let Some(after) = after.strip_prefix('{') {
            text.push('{');
            rest = after;
            continue;
        }
        let Some((variable, after)) = after.split_once('}') else { break };
        text += &value(variable, settings, program, config_file);
        rest = after;
    }
    text += rest;
    text.trim_matches(' ').to_owned()
}

fn value(variable: &str, settings: &Settings, program: &str, config_file: Option<&str>) -> String {
    match variable {
        "title" => program.to_owned(),
        "listen-addr" if shown_port(settings) != 0 => {
            let address = settings.bind.first().map_or("*", String::as_str);
            format!("{address}:{}", shown_port(settings))
        }
        "listen-addr" | "unixsocket" => settings.unixsocket.clone(),
        // There is no cluster and no Sentinel, of which it would tell.
        "server-mode" => String::new(),
        "config-file" => config_file.unwrap_or("-").to_owned(),
        "port" => settings.port.to_string(),
        "tls-port" => settings.tls_port.to_string(),
        _ => String::new(),
    }
}

/// What the kernel keeps about a process's memory: `struct prctl_mm_map` of `linux/prctl.h`.
#[repr(C)]
#[derive(Debug, Default, PartialEq, Eq)]
struct MemoryMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    /// Null, as its size is zero: the auxiliary vector stays.
    auxv: u64,
    auxv_size: u32,
    /// -1: the program's file stays.
    exe_fd: u32,
}

impl MemoryMap {
    /// What /proc/self/stat says, but for `brk`, which it does not have.
    fn read(stat: &str) -> Option<MemoryMap> {
        // The name in parentheses may hold spaces; the third field comes after it.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(MemoryMap {
            start_code: field(26)?,
            end_code: field(27)?,
            start_stack: field(28)?,
            start_data: field(45)?,
            end_data: field(46)?,
            start_brk: field(47)?,
            arg_start: field(48)?,
            arg_end: field(49)?,
            env_start: field(50)?,
            env_end: field(51)?,
            exe_fd: u32::MAX,
            ..MemoryMap::default()
        })
    }
}

/// Lets the kernel read the process's arguments from `room`.
#[allow(unsafe_code)]
fn tell_kernel(room: &'static [AtomicU8]) -> io::Result<()> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let unreadable = || io::Error::other("/proc/self/stat is not as expected");
    let mut map = MemoryMap::read(&stat).ok_or_else(unreadable)?;
    map.arg_start = room.as_ptr() as u64;
    map.arg_end = map.arg_start + room.len() as u64;
    // SAFETY: an increment of zero changes nothing; it tells where the heap of the C library ends.
    map.brk = unsafe { libc::sbrk(0) } as u64;
    // SAFETY: the structure has the layout that the kernel reads, and lives until the call is over; nothing is
    // written to it. All but the place of the arguments is what the kernel has noted itself, and `brk` has not moved
    // since it was asked for: there is one thread, but for those of the allocator, which never moves it. What the
    // kernel notes as arguments it only ever reads, as a debugger would, from memory that is never given back and is
    // changed by atomic stores alone.
    let refused = unsafe {
        libc::prctl(
            libc::PR_SET_MM,
            libc::PR_SET_MM_MAP as libc::c_ulong,
            &raw const map,
            size_of::<MemoryMap>() as libc::c_ulong,
            0 as libc::c_ulong,
        )
    };
    if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(template: &str, change: impl Fn(&mut Settings)) -> String {
        let mut settings = Settings { proc_title_template: template.into(), ..Settings::default() };
        change(&mut settings);
        expanded(&settings, "glasswing", Some("/etc/x.conf"))
    }

    #[test]
    fn the_template_is_filled_in_as_by_redis() {
        const DEFAULT: &str = "{title} {listen-addr} {server-mode}";
        assert_eq!(shown(DEFAULT, |_| ()), "glasswing *:6379");
        assert_eq!(shown(DEFAULT, |all| all.bind = vec!["127.0.0.1".into()]), "glasswing 127.0.0.1:6379");
        assert_eq!(shown(DEFAULT, |all| (all.port, all.tls_port) = (0, 7000)), "glasswing *:7000");
        assert_eq!(
            shown(DEFAULT, |all| (all.port, all.unixsocket) = (0, "/run/x".into())),
            "glasswing /run/x"
        );
        assert_eq!(
            shown("  {{x}} {config-file} {port} {tls-port} {unixsocket}", |_| ()),
            "{x}} /etc/x.conf 6379 0"
        );
    }

    #[test]
    fn a_title_ends_within_its_room_and_before_the_mark() {
        let room = own_memory();
        let read = |room: &[AtomicU8]| {
            let bytes: Vec<u8> = room.iter().map(|byte| byte.load(Ordering::Relaxed)).collect();
            assert_eq!(bytes.last(), Some(&1));
            let end = bytes.iter().position(|byte| *byte == 0).expect("an end");
            String::from_utf8(bytes[..end].to_vec()).expect("text")
        };
        for text in ["a long title", "short", "", &"x".repeat(ROOM - 2)] {
            write(room, text);
            assert_eq!(read(room), text);
        }
        write(room, &"y".repeat(2 * ROOM));
        assert_eq!(read(room), "y".repeat(ROOM - 2));
    }

    #[test]
    fn what_the_kernel_notes_is_found_behind_any_name() {
        let numbers: Vec<String> = (4..=52).map(|number| number.to_string()).collect();
        let stat = format!("1 (a) b) S {}\n", numbers.join(" "));
        let map = MemoryMap::read(&stat).expect("a map");
        assert_eq!((map.start_code, map.end_code, map.start_stack), (26, 27, 28));
        assert_eq!((map.start_data, map.end_data, map.start_brk), (45, 46, 47));
        assert_eq!((map.arg_start, map.arg_end, map.env_start, map.env_end), (48, 49, 50, 51));
        assert_eq!(MemoryMap::read("1 (a) S 1 2"), None);
    }
}
