//! TLS: certificates made for a run, how servers are told of them, and a client for them.
//!
//! One version and one suite of ciphers on every side, those that OpenSSL's defaults end at, so that all do the same
//! arithmetic. Clients show no certificate.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, SignatureScheme, StreamOwned,
};

use crate::Outcome;
use crate::process::Scratch;

/// What makes redis-benchmark speak TLS; whose certificate it is shown does not matter to a measurement.
pub const REDIS_BENCHMARK: [&str; 2] = ["--tls", "--insecure"];

const SUITE: &str = "TLS_AES_256_GCM_SHA384";
const PATIENCE: Duration = Duration::from_secs(60);
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8; 7] = b"+PONG\r\n";

/// A certificate with its key in a folder, gone with its owner.
pub struct Certificates(Scratch);

impl Certificates {
    /// Makes one that signed itself: of a key on P-256, as `docs/tls.md` proposes.
    pub fn new() -> Outcome<Certificates> {
        let folder = Scratch::new()?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
        fs::write(folder.path().join("server.crt"), certificate.pem())?;
        fs::write(folder.path().join("server.key"), key.serialize_pem())?;
        Ok(Certificates(folder))
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }
}

/// What a server is told to listen with them.
pub fn arguments(folder: &Path, port: u16) -> Vec<String> {
    let file = |name| folder.join(name).to_string_lossy().into_owned();
    let pairs = [
        ("--tls-port", port.to_string()),
        ("--tls-cert-file", file("server.crt")),
        ("--tls-key-file", file("server.key")),
        ("--tls-auth-clients", "no".to_owned()),
        ("--tls-protocols", "TLSv1.3".to_owned()),
        ("--tls-ciphersuites", SUITE.to_owned()),
    ];
    pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

/// Opens connections. Each is a full handshake: it remembers no session.
#[derive(Clone)]
pub struct Opener {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Opener {
    /// One that exchanges keys on X25519 and believes whatever certificate it is shown: a client's own arithmetic is
    /// not what is measured, and it shares the machine with what is.
    pub fn new() -> Outcome<Opener> {
        let provider = CryptoProvider { kx_groups: vec![ring::kx_group::X25519], ..ring::default_provider() };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Believer))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Opener { config: Arc::new(config), name: ServerName::try_from("localhost")? })
    }

    /// Opens a connection, sends PING, and waits for the answer.
    pub fn open(&self, port: u16) -> Outcome<Opened> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone())?;
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(PING)?;
        let mut reply = [0; PONG.len()];
        stream.read_exact(&mut reply)?;
        if &reply != PONG {
            return Err(format!("PING was answered with {}", String::from_utf8_lossy(&reply)).into());
        }
        match stream.conn.handshake_kind() {
            Some(HandshakeKind::Full) => Ok(Opened(stream)),
            other => Err(format!("the handshake was {other:?} and not a full one").into()),
        }
    }
}

/// A connection that was answered.
pub struct Opened(StreamOwned<ClientConnection, TcpStream>);

impl Opened {
    /// Version, suite and group that both sides agreed on.
    pub fn agreed(&self) -> String {
        let connection = &self.0.conn;
        let version = connection.protocol_version().map(|version| format!("{version:?}"));
        let suite = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
        let group = connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
        [version, suite, group].map(|part| part.unwrap_or_else(|| "unknown".to_owned())).join(", ")
    }

    /// Says good-bye and closes.
    pub fn close(mut self) -> Outcome<()> {
        self.0.conn.send_close_notify();
        self.0.flush()?;
        Ok(())
    }
}

/// Believes every certificate.
#[derive(Debug)]
struct Believer;

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
