//! The `glasswing healthcheck` subcommand: for containers that have no curl.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// An answer of a probe is far smaller.
const ANSWER_BYTES: u64 = 64 * 1024;

/// Asks a probe, `/readyz` if the address names none.
///
/// The address is `http://host[:port][/path]`; the time holds for the whole
/// question, names looked up included.
///
/// # Errors
/// Why the server is not healthy: what the probe said, or why it could not be asked.
pub fn healthcheck(url: &str, timeout: Duration) -> Result<String, String> {
    let target = Target::parse(url)?;
    let (answer, answered) = mpsc::channel();
    // A thread, for a name's lookup has no time limit of its own. When the time
    // is up it is left behind: the process ends right after.
    thread::Builder::new()
        .name("healthcheck".to_owned())
        .spawn(move || {
            // Nobody listens any more when the time was up.
            let _ = answer.send(target.ask(timeout));
        })
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    answered
        .recv_timeout(timeout)
        .unwrap_or_else(|_| Err(format!("no answer from {url} within {} s", timeout.as_secs_f64())))
}

struct Target {
    /// With the port, as the `Host` header has it.
    authority: String,
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Target, String> {
        let refuse = || format!("'{url}' is not an address such as http://127.0.0.1:8080/readyz");
        let rest = url.strip_prefix("http://").ok_or_else(refuse)?;
        // The request line must stay one line with three words.
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse());
        }
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = match authority.rsplit_once(':') {
            // A colon inside brackets belongs to an IPv6 address.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| refuse())?),
            _ => (authority, 80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || port == 0 {
            return Err(refuse());
        }
        let path = match path {
            "" | "/" => "/readyz".to_owned(),
            query if query.starts_with('?') => format!("/readyz{query}"),
            path => path.to_owned(),
        };
        Ok(Target { authority: authority.to_owned(), host: host.to_owned(), port, path })
    }

    fn ask(&self, timeout: Duration) -> Result<String, String> {
        let mut stream = self.connect(timeout)?;
        let failed = |error: std::io::Error| format!("{}: {error}", self.authority);
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: glasswing-healthcheck\r\nConnection: close\r\n\r\n",
            self.path, self.authority
        );
        stream.set_read_timeout(Some(timeout)).map_err(failed)?;
        stream.set_write_timeout(Some(timeout)).map_err(failed)?;
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES).read_to_end(&mut answer).map_err(failed)?;
        read_answer(&String::from_utf8_lossy(&answer))
    }

    /// The first of the host's addresses that takes a connection.
    fn connect(&self, timeout: Duration) -> Result<TcpStream, String> {
        let addresses = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|error| format!("cannot look up {}: {error}", self.host))?;
        let mut last = format!("{} has no address", self.host);
        for address in addresses {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    last = format!(
                        "cannot connect to {address}: {error}. Does the server run, and is this its admin-port?"
                    );
                }
            }
        }
        Err(last)
    }
}

fn read_answer(answer: &str) -> Result<String, String> {
    let not_http = || "the answer is not HTTP".to_owned();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(not_http)?;
    let mut status_line = head.lines().next().unwrap_or_default().splitn(3, ' ');
    let version = status_line.next().unwrap_or_default();
    let status = status_line.next().unwrap_or_default();
    if !version.starts_with("HTTP/1.") {
        return Err(not_http());
    }
    match status {
        "200" => Ok(body.trim().to_owned()),
        _ => Err(format!("{status}: {}", body.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let parts = |url| {
            let target = Target::parse(url).unwrap();
            (target.authority, target.host, target.port, target.path)
        };
        let is = |authority: &str, host: &str, port, path: &str| {
            (authority.to_owned(), host.to_owned(), port, path.to_owned())
        };
        assert_eq!(parts("http://127.0.0.1:8080"), is("127.0.0.1:8080", "127.0.0.1", 8080, "/readyz"));
        assert_eq!(parts("http://[::1]:8080/livez"), is("[::1]:8080", "::1", 8080, "/livez"));
        assert_eq!(parts("http://[::1]"), is("[::1]", "::1", 80, "/readyz"));
        assert_eq!(parts("http://a/?verbose"), is("a", "a", 80, "/?verbose"));
        assert_eq!(parts("http://a?verbose"), is("a", "a", 80, "/readyz?verbose"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in [
            "",
            "127.0.0.1:8080",
            "https://a/",
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:b",
            "http://a/ b",
            "http://a/\r\nX: y",
        ] {
            assert!(Target::parse(url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn an_answer_is_the_body_or_the_reason() {
        assert_eq!(read_answer("HTTP/1.1 200 OK\r\nA: b\r\n\r\nok"), Ok("ok".to_owned()));
        let failing = "HTTP/1.1 503 Service Unavailable\r\n\r\nloading: 3 of 9 blocks\n";
        assert_eq!(read_answer(failing), Err("503: loading: 3 of 9 blocks".to_owned()));
        assert!(read_answer("-ERR wrong port\r\n").is_err());
    }
}
