//! TLS: an authority and certificates of the test's own, and what clients with them and without them see.

mod common;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::{Client, Launch, PATIENCE, Server, encode, free_port, ok, until};
use glasswing::resp::Value;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key, both as PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, "An authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

impl Identity {
    fn write(&self, folder: &Path, name: &str) {
        std::fs::write(folder.join(format!("{name}.crt")), &self.certificate).expect("a file");
        std::fs::write(folder.join(format!("{name}.key")), &self.key).expect("a file");
    }
}

/// A server with TLS beside the plain port, and what its clients need.
struct Secured {
    server: Server,
    authority: Authority,
    client: Identity,
    port: u16,
}

impl Secured {
    fn start(options: &[&str]) -> Secured {
        let launch = Launch::new();
        let authority = Authority::new();
        let (server, client) = (authority.identity("localhost"), authority.identity("client"));
        std::fs::write(launch.file("ca.crt"), &authority.pem).expect("a file");
        let folder = launch.file("ca.crt").parent().expect("a folder").to_owned();
        server.write(&folder, "server");
        client.write(&folder, "client");
        let port = free_port();
        let path = |name: &str| launch.file(name).display().to_string();
        let launch = launch.clone().with(&["--tls-port", &port.to_string()]).with(&[
            "--tls-cert-file",
            &path("server.crt"),
            "--tls-key-file",
            &path("server.key"),
            "--tls-ca-cert-file",
            &path("ca.crt"),
        ]);
        let server = launch.with(options).start();
        Secured { server, authority, client, port }
    }

    fn open(&self) -> Client {
        let stream = self.connect(Some(&self.client), rustls::DEFAULT_VERSIONS);
        Client::over(stream.expect("the server agrees"))
    }

    fn connect(
        &self,
        identity: Option<&Identity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> io::Result<Stream> {
        connect(self.port, &self.authority, identity, versions)
    }

    /// Whether somebody with this certificate is answered.
    fn answers(&self, identity: Option<&Identity>) -> bool {
        self.connect(identity, rustls::DEFAULT_VERSIONS).and_then(ping).is_ok()
    }

    fn path(&self, name: &str) -> String {
        self.server.file(name).display().to_string()
    }
}

fn connect(
    port: u16,
    authority: &Authority,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<Stream> {
    let mut stream = begin(port, authority, identity, versions)?;
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Connects, and has said nothing yet.
fn begin(
    port: u16,
    authority: &Authority,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("a certificate");
    roots.add(root).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let chain = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            config.with_client_auth_cert(vec![chain], key).expect("a certificate and its key")
        }
    };
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    Ok(StreamOwned::new(connection, socket))
}

fn ping(mut stream: Stream) -> io::Result<Stream> {
    stream.write_all(&encode(&["PING"]))?;
    let mut reply = [0; 7];
    stream.read_exact(&mut reply)?;
    assert_eq!(&reply, b"+PONG\r\n");
    Ok(stream)
}

fn failed(argument: &str) -> String {
    format!(
        "(error) ERR CONFIG SET failed (possibly related to argument '{argument}') - Unable to update TLS \
         configuration. Check server logs."
    )
}

#[test]
fn both_versions_are_spoken_beside_the_plain_port() {
    let secured = Secured::start(&[]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = secured.connect(Some(&secured.client), &[version]).and_then(ping).expect("an answer");
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        let mut client = Client::over(stream);
        assert_eq!(client.call(&["SET", "key", "value"]), ok());
        assert_eq!(client.line("GET key"), "\"value\"");
        // The end is said, not only done.
        assert_eq!(client.call(&["QUIT"]), ok());
        assert_eq!(client.reply(), None);
    }
    assert_eq!(secured.server.client().line("GET key"), "\"value\"");
    let shown = secured.open().line("CLIENT LIST");
    assert!(shown.contains(&format!("laddr=127.0.0.1:{}", secured.port)), "{shown}");
}

#[test]
fn who_says_goodbye_right_behind_the_handshake_is_answered() {
    let secured = Secured::start(&[]);
    let stream = begin(secured.port, &secured.authority, Some(&secured.client), &[&rustls::version::TLS13]);
    let mut stream = stream.expect("a connection");
    let mut packet = Vec::new();
    stream.conn.write_tls(&mut packet).expect("a greeting");
    stream.sock.write_all(&packet).expect("it takes bytes");
    while stream.conn.is_handshaking() {
        stream.conn.read_tls(&mut stream.sock).expect("the server's part");
        stream.conn.process_new_packets().expect("a good one");
    }
    // The client's part, a command and the end go in one write.
    packet.clear();
    stream.conn.writer().write_all(&encode(&["SET", "key", "value"])).expect("room");
    stream.conn.send_close_notify();
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut packet).expect("a record");
    }
    stream.sock.write_all(&packet).expect("it takes bytes");
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"+OK\r\n");
    assert_eq!(secured.server.client().line("GET key"), "\"value\"");
}

#[test]
fn the_plain_port_may_be_none() {
    let secured = Secured::start(&["--port", "0"]);
    let mut client = secured.open();
    assert_eq!(client.info("tcp_port"), secured.port.to_string());
    assert_eq!(client.line("CONFIG GET tls-port"), format!("1) \"tls-port\"\n2) \"{}\"", secured.port));
}

#[test]
fn certificates_of_clients_are_asked_for_as_the_setting_says() {
    let mut secured = Secured::start(&[]);
    let stranger = Authority::new().identity("client");
    let mut plain = secured.server.client();
    for (setting, none, wrong) in [("yes", false, false), ("optional", true, false), ("no", true, true)] {
        assert_eq!(plain.line(&format!("CONFIG SET tls-auth-clients {setting}")), "OK");
        assert_eq!(secured.answers(None), none, "{setting}");
        // Who is not asked for one does not show it.
        assert_eq!(secured.answers(Some(&stranger)), wrong, "{setting}");
        assert!(secured.answers(Some(&secured.client)), "{setting}");
    }
    assert!(secured.server.log_says("Error accepting a client connection: peer sent no certificates"));
    assert!(secured.server.log_says("Error accepting a client connection: invalid peer certificate"));
}

#[test]
fn who_does_not_speak_tls_is_closed() {
    let mut secured = Secured::start(&[]);
    let mut stream = TcpStream::connect(("127.0.0.1", secured.port)).expect("the port");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(b"PING\r\n").expect("it takes bytes");
    let mut reply = Vec::new();
    // Closed or reset, as the bytes that nobody read have it.
    let _ = stream.read_to_end(&mut reply);
    assert_eq!(reply, b"");
    assert!(secured.server.log_says("Error accepting a client connection: the client does not speak TLS"));
}

#[test]
fn who_stalls_in_the_handshake_counts_and_is_closed_in_the_end() {
    let mut secured = Secured::start(&["--tls-handshake-timeout", "1", "--maxclients", "4"]);
    let mut client = secured.open();
    let stalled: Vec<TcpStream> =
        (0..3).map(|_| TcpStream::connect(("127.0.0.1", secured.port)).expect("the port")).collect();
    until("they count", || client.info("connected_clients") == "4");
    assert!(secured.connect(Some(&secured.client), rustls::DEFAULT_VERSIONS).is_err());
    for mut stream in stalled {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    }
    until("they are gone", || client.info("connected_clients") == "1");
    assert!(secured.server.log_says("Error accepting a client connection: no handshake within 1 seconds"));
    assert!(secured.answers(Some(&secured.client)));
}

#[test]
fn who_stalls_can_be_killed_and_does_not_hold_up_the_end() {
    let mut secured = Secured::start(&["--tls-handshake-timeout", "3600"]);
    let mut plain = secured.server.client();
    let mut stalled = TcpStream::connect(("127.0.0.1", secured.port)).expect("the port");
    stalled.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let address = stalled.local_addr().expect("an address");
    until("it counts", || plain.info("connected_clients") == "2");
    assert_eq!(plain.line(&format!("CLIENT KILL {address}")), "OK");
    assert_eq!(stalled.read(&mut [0]).expect("the end"), 0);
    let _other = TcpStream::connect(("127.0.0.1", secured.port)).expect("the port");
    until("it counts", || plain.info("connected_clients") == "2");
    let mut client = secured.open();
    client.send(&["SHUTDOWN", "NOSAVE"]);
    assert_eq!(client.reply(), None);
    let (status, _) = secured.server.ended();
    assert!(status.success());
}

#[test]
fn a_new_certificate_is_for_new_connections() {
    let secured = Secured::start(&[]);
    let mut old = secured.open();
    let mut plain = secured.server.client();
    let shown = |secured: &Secured| {
        let stream = secured.connect(Some(&secured.client), rustls::DEFAULT_VERSIONS).expect("a connection");
        stream.conn.peer_certificates().expect("a certificate")[0].to_vec()
    };
    let before = shown(&secured);
    // What is no certificate, and a key that is another's, change nothing, although the old files are gone.
    std::fs::write(secured.path("server.crt"), "nothing").expect("a file");
    let path = secured.path("server.crt");
    assert_eq!(plain.line(&format!("CONFIG SET tls-cert-file {path}")), failed("tls-cert-file"));
    assert_eq!(shown(&secured), before);
    let new = secured.authority.identity("localhost");
    std::fs::write(&path, &new.certificate).expect("a file");
    assert_eq!(plain.line(&format!("CONFIG SET tls-cert-file {path}")), failed("tls-cert-file"));
    assert_eq!(shown(&secured), before);
    // A fault elsewhere in the same CONFIG SET takes the new certificate back.
    new.write(secured.server.folder(), "server");
    let taken = secured.server.port();
    let both = format!("CONFIG SET tls-cert-file {path} tls-port {taken} port {taken}");
    assert!(plain.line(&both).contains("Unable to listen on this port"), "{both}");
    assert_eq!(shown(&secured), before);
    // The name is the same and the file is another: that is a change.
    assert_eq!(plain.line(&format!("CONFIG SET tls-cert-file {path}")), "OK");
    assert_ne!(shown(&secured), before);
    assert_eq!(old.line("PING"), "PONG");
}

#[test]
fn what_cannot_be_had_is_refused() {
    let mut secured = Secured::start(&[]);
    let mut plain = secured.server.client();
    for (name, value, words) in [
        ("tls-protocols", "TLSv1.1", "does not have TLSv1.1"),
        ("tls-ciphers", "AES128-SHA256", "this server does not have AES128-SHA256"),
        ("tls-ciphersuites", "TLS_AES_128_CCM_SHA256", "this server does not have TLS_AES_128_CCM_SHA256"),
        ("tls-ca-cert-file", "/nowhere", "Failed to configure CA certificate(s) file/directory: /nowhere"),
        ("tls-dh-params-file", "/nowhere", "Failed to load /nowhere"),
        ("tls-key-file", "/nowhere", "Failed to load private key: /nowhere"),
        ("tls-ca-cert-dir", "/nowhere", "Failed to configure CA certificate(s) file/directory: /nowhere"),
    ] {
        assert_eq!(plain.line(&format!("CONFIG SET {name} {value}")), failed(name), "{name}");
        assert!(secured.server.log_says(words), "{words}");
        assert!(secured.answers(Some(&secured.client)), "{name}");
    }
    assert_eq!(
        plain.line("CONFIG SET tls-protocols TLSv1.2 tls-ciphers ECDHE-ECDSA-CHACHA20-POLY1305"),
        "OK"
    );
    assert!(secured.connect(Some(&secured.client), &[&rustls::version::TLS13]).is_err());
    let stream = secured.connect(Some(&secured.client), &[&rustls::version::TLS12]).expect("a connection");
    let suite = stream.conn.negotiated_cipher_suite().expect("a suite").suite();
    assert_eq!(format!("{suite:?}"), "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
}

#[test]
fn a_server_without_what_it_needs_does_not_start() {
    let port = free_port().to_string();
    let (code, log, _) = Launch::new().with(&["--tls-port", &port]).ends();
    assert_eq!(code, Some(1));
    assert!(log.contains("No tls-cert-file configured!"), "{log}");
    assert!(log.contains("Failed to configure TLS. Check logs for more info."), "{log}");
}

#[test]
fn a_key_under_a_password_and_a_folder_of_authorities_are_read() {
    let secured = Secured::start(&[]);
    let mut plain = secured.server.client();
    let (key, locked) = (secured.path("server.key"), secured.path("locked.key"));
    let made = Command::new("openssl")
        .args([
            "pkcs8",
            "-topk8",
            "-v2",
            "aes-256-cbc",
            "-passout",
            "pass:1234",
            "-in",
            &key,
            "-out",
            &locked,
        ])
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{made:?}");
    assert_eq!(plain.line(&format!("CONFIG SET tls-key-file {locked}")), failed("tls-key-file"));
    assert_eq!(
        plain.line(&format!("CONFIG SET tls-key-file {locked} tls-key-file-pass 4321")),
        failed("tls-key-file")
    );
    assert_eq!(plain.line(&format!("CONFIG SET tls-key-file {locked} tls-key-file-pass 1234")), "OK");
    let folder = secured.server.file("authorities");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("ca.crt"), &secured.authority.pem).expect("a file");
    let line = format!("CONFIG SET tls-ca-cert-file \"\" tls-ca-cert-dir {}", folder.display());
    assert_eq!(plain.line(&line), failed("tls-ca-cert-file"));
    std::fs::write(folder.join("0123abcd.0"), &secured.authority.pem).expect("a file");
    assert_eq!(plain.line(&line), "OK");
    assert!(secured.answers(Some(&secured.client)));
}

#[test]
fn ports_change_at_run_time_and_trade_places() {
    let secured = Secured::start(&[]);
    let mut client = secured.open();
    let (plain, secure) = (secured.server.port(), secured.port);
    assert_eq!(client.line(&format!("CONFIG SET port {secure} tls-port {plain}")), "OK");
    assert_eq!(Client::connect(secure).line("PING"), "PONG");
    let reached = connect(plain, &secured.authority, Some(&secured.client), rustls::DEFAULT_VERSIONS);
    ping(reached.expect("a connection")).expect("an answer");
    assert_eq!(client.line("CONFIG SET tls-port 0"), "OK");
    assert!(TcpStream::connect(("127.0.0.1", plain)).is_err());
    assert_eq!(client.line(&format!("CONFIG SET tls-port {plain}")), "OK");
    let reached = connect(plain, &secured.authority, Some(&secured.client), rustls::DEFAULT_VERSIONS);
    ping(reached.expect("a connection")).expect("an answer");
    assert_eq!(client.line("PING"), "PONG");
}

#[test]
fn large_values_go_both_ways_in_pipelines() {
    let secured = Secured::start(&[]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = secured.connect(Some(&secured.client), &[version]).expect("a connection");
        let mut client = Client::over(stream);
        // Lengths around those of a record and of the buffers, and one of many reads.
        let lengths = [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 100_000, 3_000_001];
        let value = |length: usize, salt: usize| -> Vec<u8> {
            (0..length).map(|at| (at.wrapping_mul(31).wrapping_add(salt * 7) >> 3) as u8).collect()
        };
        for round in 0..3 {
            let mut requests = Vec::new();
            for (index, length) in lengths.into_iter().enumerate() {
                let key = format!("key{index}").into_bytes();
                requests.extend(encode(&[b"SET".as_slice(), &key, &value(length, round + index)]));
                requests.extend(encode(&[b"GET".as_slice(), &key]));
            }
            assert!(
                client.raw(&requests[..requests.len() / 2]) && client.raw(&requests[requests.len() / 2..])
            );
            for (index, length) in lengths.into_iter().enumerate() {
                assert_eq!(client.reply(), ok());
                let got = client.reply();
                assert!(got == Some(Value::Bulk(value(length, round + index).into())), "{length}");
            }
        }
    }
}

#[test]
fn a_client_that_reads_late_gets_all_of_it() {
    let secured = Secured::start(&[]);
    let mut client = secured.open();
    let value = vec![b'x'; 1 << 20];
    assert_eq!(client.call(&[b"SET".as_slice(), b"key", &value]), ok());
    for _ in 0..64 {
        client.send(&["GET", "key"]);
    }
    // More than sockets hold: the server waits in the middle of a record.
    let mut plain = secured.server.client();
    until("it waits", || {
        let list = plain.line("CLIENT LIST TYPE normal");
        list.split("omem=").skip(1).any(|rest| !rest.starts_with("0 "))
    });
    for _ in 0..64 {
        assert!(client.reply() == Some(Value::Bulk(value.clone().into())));
    }
    assert_eq!(client.line("PING"), "PONG");
}

#[test]
fn waiting_and_listening_clients_are_woken() {
    let secured = Secured::start(&["--workers", "2"]);
    let (mut pops, mut listens) = (secured.open(), secured.open());
    pops.send(&["BLPOP", "list", "0"]);
    assert!(listens.call(&["SUBSCRIBE", "news"]).is_some());
    let mut other = secured.open();
    until("it waits", || other.info("blocked_clients") == "1");
    assert_eq!(other.line("RPUSH list element"), "(integer) 1");
    assert_eq!(other.line("PUBLISH news hello"), "(integer) 1");
    let bulk = |text: &str| Value::Bulk(text.to_owned().into_bytes().into());
    assert_eq!(pops.reply(), Some(Value::Array(vec![bulk("list"), bulk("element")])));
    assert_eq!(listens.reply(), Some(Value::Array(vec![bulk("message"), bulk("news"), bulk("hello")])));
}

#[test]
fn a_session_is_resumed_unless_the_setting_says_no() {
    let secured = Secured::start(&["--tls-auth-clients", "no"]);
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(secured.authority.pem.as_bytes()).expect("a certificate"))
        .expect("one");
    let mut plain = secured.server.client();
    for (setting, resumed) in [("yes", true), ("no", false)] {
        assert_eq!(plain.line(&format!("CONFIG SET tls-session-caching {setting}")), "OK");
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]);
            let config =
                config.expect("versions").with_root_certificates(roots.clone()).with_no_client_auth();
            let config = Arc::new(config);
            let open = || {
                let name = ServerName::try_from("localhost").expect("a name");
                let socket = TcpStream::connect(("127.0.0.1", secured.port)).expect("the port");
                let connection = ClientConnection::new(Arc::clone(&config), name).expect("a connection");
                let stream = ping(StreamOwned::new(connection, socket)).expect("an answer");
                stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
            };
            assert!(!open());
            assert_eq!(open(), resumed, "{setting} {version:?}");
        }
    }
}

#[test]
fn migrate_speaks_tls_where_the_cluster_would() {
    let (from, to) =
        (Secured::start(&["--tls-cluster", "yes"]), Secured::start(&["--tls-auth-clients", "no"]));
    let mut client = from.open();
    assert_eq!(client.line("SET key value"), "OK");
    let migrate = format!("MIGRATE 127.0.0.1 {} key 0 5000", to.port);
    // The other's authority is not ours.
    assert!(client.line(&migrate).starts_with("(error) IOERR"), "{}", client.line(&migrate));
    std::fs::write(from.path("other.crt"), &to.authority.pem).expect("a file");
    let other = from.path("other.crt");
    assert_eq!(client.line(&format!("CONFIG SET tls-ca-cert-file {other} tls-auth-clients no")), "OK");
    assert_eq!(client.line(&migrate), "OK");
    assert_eq!(to.server.client().line("GET key"), "\"value\"");
}

#[test]
fn redis_cli_and_redis_benchmark_work() {
    let secured = Secured::start(&[]);
    let port = secured.port.to_string();
    let files = [secured.path("ca.crt"), secured.path("client.crt"), secured.path("client.key")];
    let run = |program: &str, more: &[&str]| {
        let options = ["-h", "localhost", "-p", &port, "--tls", "--cacert", &files[0]];
        let own = ["--cert", &files[1], "--key", &files[2]];
        let output =
            Command::new(program).args(options).args(own).args(more).output().expect("it is installed");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(run("redis-cli", &["PING"]), "PONG\n");
    let shown = run("redis-benchmark", &["-n", "2000", "-c", "10", "-P", "16", "-t", "set,get", "-q"]);
    assert_eq!(shown.matches("requests per second").count(), 2, "{shown}");
}

#[test]
fn bytes_that_are_no_tls_end_nothing_but_their_connection() {
    let secured = Secured::start(&["--tls-handshake-timeout", "5"]);
    let mut random = common::random::Random(7);
    for round in 0..200 {
        let mut stream = TcpStream::connect(("127.0.0.1", secured.port)).expect("the port");
        stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        let length = random.below(600);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        // The head of a record of a handshake, of this length or another, so that some of it is looked at.
        let claimed = if round % 2 == 0 { length } else { random.below(20_000) };
        let head = [22, 3, 1, (claimed >> 8) as u8, claimed as u8, 1, 0];
        bytes.splice(0..0, head);
        let _ = stream.write_all(&bytes);
        let _ = stream.read(&mut [0; 64]);
    }
    assert!(secured.answers(Some(&secured.client)));
}
