//! Clients that listen to a channel and read what comes, so that PUBLISH has somebody to deliver to.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::thread::JoinHandle;

use crate::Outcome;
use crate::resp::{self, Client, Decoder};

/// Listening clients, each read by a thread of its own. They end when this is dropped.
pub struct Subscribers {
    clients: Vec<(TcpStream, JoinHandle<()>)>,
}

impl Subscribers {
    /// Lets `count` clients subscribe to `channel`, and returns when the server has said so to all of them.
    pub fn new(port: u16, channel: &str, count: usize) -> Outcome<Subscribers> {
        let mut subscribers = Subscribers { clients: Vec::new() };
        for _ in 0..count {
            let mut stream = Client::connect(port)?.into_stream();
            let mut command = Vec::new();
            resp::encode(&mut command, &[b"SUBSCRIBE", channel.as_bytes()]);
            std::io::Write::write_all(&mut stream, &command)?;
            let (mut decoder, mut bytes) = (Decoder::default(), [0; 1024]);
            while decoder.next_reply()?.is_none() {
                let length = stream.read(&mut bytes)?;
                decoder.feed(&bytes[..length]);
            }
            // It may be long before a first message.
            stream.set_read_timeout(None)?;
            let mut reading = stream.try_clone()?;
            let read = move || {
                let mut bytes = vec![0; 64 * 1024];
                while reading.read(&mut bytes).is_ok_and(|length| length > 0) {}
            };
            subscribers.clients.push((stream, std::thread::Builder::new().spawn(read)?));
        }
        Ok(subscribers)
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        for (stream, thread) in self.clients.drain(..) {
            // The server may have closed it: then the thread has ended as well.
            let _ = stream.shutdown(Shutdown::Both);
            let _ = thread.join();
        }
    }
}
