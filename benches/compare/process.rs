//! Servers and load generators as child processes: started on cores of their own, measured from
//! outside, and gone when this program ends in whatever way.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::Outcome;
use crate::options::ServerSpec;
use crate::resp::Client;
use crate::secure;

/// What must be gone when a signal ends this program, since no destructor runs then.
static LEFT_BEHIND: Mutex<(Vec<Pid>, Vec<PathBuf>)> = Mutex::new((Vec::new(), Vec::new()));

fn left_behind(change: impl FnOnce(&mut Vec<Pid>, &mut Vec<PathBuf>)) {
    let mut guard = LEFT_BEHIND.lock().unwrap_or_else(PoisonError::into_inner);
    let (pids, dirs) = &mut *guard;
    change(pids, dirs);
}

/// Ends every child and removes every directory at SIGINT and SIGTERM, then the program.
pub fn end_children_on_signals() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let Ok(mut terminate) = signal(SignalKind::terminate()) else {
                return;
            };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            left_behind(|pids, dirs| {
                for pid in pids.iter() {
                    // It may have ended by itself meanwhile.
                    let _ = kill(*pid, Signal::SIGKILL);
                }
                for dir in dirs.iter() {
                    let _ = fs::remove_dir_all(dir);
                }
            });
            std::process::exit(130);
        });
    });
    Ok(())
}

/// A child that is killed when it is dropped.
pub struct Owned {
    child: Child,
    pid: Pid,
}

impl Owned {
    /// Starts `command` on `cores`. The child inherits the set from this thread, so that no
    /// thread of it ever runs elsewhere.
    pub fn spawn(command: &mut Command, cores: &[usize]) -> Outcome<Owned> {
        let before = sched_getaffinity(Pid::from_raw(0))?;
        run_on(cores)?;
        let spawned = command.spawn();
        sched_setaffinity(Pid::from_raw(0), &before)?;
        let child =
            spawned.map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        left_behind(|pids, _| pids.push(pid));
        Ok(Owned { child, pid })
    }

    /// Waits for its end and gives what it wrote to its standard output, which must be piped.
    pub fn output(mut self) -> Outcome<(ExitStatus, String)> {
        use std::io::Read;
        let mut text = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut text)?;
        }
        Ok((self.child.wait()?, text))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        left_behind(|pids, _| pids.retain(|pid| *pid != self.pid));
    }
}

/// Restricts this thread to `cores`.
pub fn run_on(cores: &[usize]) -> Outcome<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).map_err(|error| format!("cores {cores:?}: {error}").into())
}

/// Lets this process, and what it starts, have so many open files.
pub fn raise_file_limit(wanted: u64) -> Outcome<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted))
            .map_err(|error| format!("{wanted} open files, and the hard limit is {hard}: {error}"))?;
    }
    Ok(())
}

/// A directory that is gone with its owner.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one, empty.
    pub fn new() -> Outcome<Scratch> {
        let dir = tempfile::Builder::new().prefix("compare-").tempdir()?.keep();
        left_behind(|_, dirs| dirs.push(dir.clone()));
        Ok(Scratch(dir))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing is lost when a directory under the temporary one stays.
        let _ = fs::remove_dir_all(&self.0);
        left_behind(|_, dirs| dirs.retain(|dir| *dir != self.0));
    }
}

/// How servers are started.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The cores they may use.
    pub server_cores: Vec<usize>,
    /// The cores of whoever loads them.
    pub load_cores: Vec<usize>,
    /// `--workers` of a server of ours.
    pub workers: u32,
}

/// A running server.
pub struct Server {
    /// What the report calls it.
    pub label: String,
    /// Its name and version, from INFO.
    pub version: String,
    /// Its arguments.
    pub command_line: String,
    /// Where it listens, on loopback.
    pub port: u16,
    /// Where it listens for clients that speak TLS, if it does.
    pub tls_port: Option<u16>,
    /// Where its admin port is, if it is ours.
    pub admin_port: Option<u16>,
    clock: ClockId,
    // Before the directory: the process is gone when its files go.
    process: Owned,
    _scratch: Scratch,
}

const START_ATTEMPTS: usize = 3;
const START_PATIENCE: Duration = Duration::from_secs(30);

impl Server {
    /// Starts a server on a free port, without persistence, and waits until it answers. Another
    /// process may take the port first, so it is tried a few times.
    pub fn start(spec: &ServerSpec, placement: &Placement) -> Outcome<Server> {
        let mut tried = 1;
        loop {
            match Server::start_once(spec, placement) {
                Err(_) if tried < START_ATTEMPTS => tried += 1,
                result => return result,
            }
        }
    }

    fn start_once(spec: &ServerSpec, placement: &Placement) -> Outcome<Server> {
        let scratch = Scratch::new()?;
        let port = free_port()?;
        let tls_port = spec.certificates.is_some().then(free_port).transpose()?;
        let admin_port = if spec.ours { Some(free_port()?) } else { None };
        let args = arguments(spec, placement, port, tls_port, admin_port, &scratch.0);
        let log = scratch.0.join("log");
        let mut command = Command::new(&spec.path);
        let words = File::create(&log)?;
        command.args(&args).stdin(Stdio::null()).stderr(words.try_clone()?).stdout(words);
        let mut process = Owned::spawn(&mut command, &placement.server_cores)?;
        let mut client = wait_until_ready(&mut process, port, &log)?;
        let version = version(&mut client)?;
        Ok(Server {
            label: if spec.label.is_empty() { version.clone() } else { spec.label.clone() },
            version,
            command_line: args_for_show(spec, &args, port, tls_port, &scratch.0),
            port,
            tls_port,
            admin_port,
            clock: clock_getcpuclockid(process.pid)?,
            process,
            _scratch: scratch,
        })
    }

    /// A new connection.
    pub fn connect(&self) -> Outcome<Client> {
        Client::connect(self.port)
    }

    /// CPU time that every thread of the process has used, those that ended included, in
    /// nanoseconds.
    pub fn cpu_ns(&self) -> Outcome<u64> {
        let time = clock_gettime(self.clock)?;
        Ok(u64::try_from(time.tv_sec())? * 1_000_000_000 + u64::try_from(time.tv_nsec())?)
    }

    /// Resident bytes.
    pub fn rss_bytes(&self) -> Outcome<u64> {
        Ok(self.status("VmRSS:")? * 1024)
    }

    /// The most resident bytes there ever were.
    pub fn peak_rss_bytes(&self) -> Outcome<u64> {
        Ok(self.status("VmHWM:")? * 1024)
    }

    /// A metric without labels, as the admin port tells it.
    pub fn metric(&self, name: &str) -> Outcome<f64> {
        use std::io::{Read, Write};
        let port = self.admin_port.ok_or("only a server of ours has an admin port")?;
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(START_PATIENCE))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.ok_or_else(|| format!("no metric {name}"))?.trim().parse()?)
    }

    /// Threads at this moment.
    pub fn threads(&self) -> Outcome<u64> {
        self.status("Threads:")
    }

    fn status(&self, field: &str) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid))?;
        let value = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|rest| rest.split_whitespace().next())
            .ok_or("no such field in /proc/PID/status")?;
        Ok(value.parse()?)
    }

    /// Waits until the server is at rest (what it was given before is freed and tidied), for at
    /// most two seconds: its CPU use within 50 ms is below 2%.
    pub fn wait_for_rest(&self) -> Outcome<()> {
        let window = Duration::from_millis(50);
        for _ in 0..40 {
            let before = self.cpu_ns()?;
            std::thread::sleep(window);
            if self.cpu_ns()? - before < 1_000_000 {
                break;
            }
        }
        Ok(())
    }

    /// Waits until resident memory has not moved by more than 64 KiB for a second, for at most
    /// `patience`, and gives it.
    pub fn settled_rss(&self, patience: Duration) -> Outcome<u64> {
        let started = Instant::now();
        let mut last = self.rss_bytes()?;
        let mut since = Instant::now();
        while since.elapsed() < Duration::from_secs(1) && started.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(50));
            let now = self.rss_bytes()?;
            if now.abs_diff(last) > 64 * 1024 {
                last = now;
                since = Instant::now();
            }
        }
        self.rss_bytes()
    }
}

fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn arguments(
    spec: &ServerSpec,
    placement: &Placement,
    port: u16,
    tls_port: Option<u16>,
    admin_port: Option<u16>,
    dir: &Path,
) -> Vec<String> {
    let port = port.to_string();
    let dir = dir.to_string_lossy();
    let mut args: Vec<String> =
        ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", &dir]
            .map(str::to_owned)
            .to_vec();
    if let Some(admin) = admin_port {
        // The admin port is on, as it is for users: its thread's CPU time is counted.
        let admin = admin.to_string();
        let workers = placement.workers.to_string();
        args.extend(["--workers", &workers, "--admin-port", &admin].map(str::to_owned));
    }
    if let (Some(folder), Some(port)) = (&spec.certificates, tls_port) {
        args.extend(secure::arguments(folder, port));
    }
    args.extend(spec.args.iter().cloned());
    args
}

fn args_for_show(spec: &ServerSpec, args: &[String], port: u16, tls_port: Option<u16>, dir: &Path) -> String {
    let name = spec.path.file_name().unwrap_or(spec.path.as_os_str()).to_string_lossy();
    let (port, dir) = (port.to_string(), dir.to_string_lossy());
    let tls_port = tls_port.map(|port| port.to_string());
    let certificates = spec.certificates.as_ref().map(|folder| folder.to_string_lossy());
    let mut line = name.into_owned();
    for arg in args {
        line.push(' ');
        match (arg.as_str(), &certificates) {
            ("", _) => line.push_str("\"\""),
            (arg, _) if arg == port || tls_port.as_deref() == Some(arg) => line.push_str("PORT"),
            (arg, _) if arg == dir => line.push_str("DIR"),
            (arg, Some(folder)) => line.push_str(&arg.replace(&**folder, "DIR")),
            (arg, None) => line.push_str(arg),
        }
    }
    line
}

fn wait_until_ready(process: &mut Owned, port: u16, log: &Path) -> Outcome<Client> {
    let started = Instant::now();
    loop {
        if let Ok(mut client) = Client::connect(port)
            && client.command(&["PING"]).is_ok()
        {
            return Ok(client);
        }
        let ended = process.child.try_wait()?;
        if ended.is_some() || started.elapsed() > START_PATIENCE {
            let log = fs::read_to_string(log).unwrap_or_default();
            let tail = log.lines().rev().take(5).collect::<Vec<_>>();
            return Err(format!("the server is not ready ({ended:?}): {}", tail.join(" | ")).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn version(client: &mut Client) -> Outcome<String> {
    for (field, name) in
        [("glasswing_version", "glasswing"), ("valkey_version", "valkey"), ("redis_version", "redis")]
    {
        if let Some(version) = client.info("server", field)? {
            return Ok(format!("{name} {version}"));
        }
    }
    Err("INFO server names no version".into())
}
