//! A real redis-server beside ours.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Client, free_port};

/// A redis-server that is killed when this goes.
pub struct Redis {
    child: Child,
    port: u16,
    /// Its own folder, if it has one.
    _folder: Option<tempfile::TempDir>,
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Redis {
    /// Starts the redis-server of `GLASSWING_REDIS_SERVER`, or of the PATH, with these options beside its
    /// port and no save points; `None` when there is none.
    pub fn start(options: &[&str]) -> Option<Redis> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut redis = Redis::start_in(folder.path(), options)?;
        redis._folder = Some(folder);
        Some(redis)
    }

    /// The same over a folder that is somebody else's. It listens; it may be loading still.
    pub fn start_in(folder: &Path, options: &[&str]) -> Option<Redis> {
        let binary = std::env::var_os("GLASSWING_REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let port = free_port();
        let child = Command::new(binary)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(folder)
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let redis = Redis { child, port, _folder: None };
        let until = Instant::now() + Duration::from_secs(30);
        while Client::reach(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "redis-server does not listen");
            std::thread::yield_now();
        }
        Some(redis)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}
