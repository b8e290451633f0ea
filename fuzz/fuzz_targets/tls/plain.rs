//! TLS that always goes the same way, so that what a client sent once can be sent again: nothing is random, keys are
//! exchanged without arithmetic, and records are sealed with nothing. So a fuzzer's bytes reach what stands behind
//! every seal. Signatures and the hash over the handshake are real.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm,
    Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::ring::{self, cipher_suite};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::{StoresServerSessions, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{
    CipherSuiteCommon, ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType,
    DigitallySignedStruct, Error, NamedGroup, PeerMisbehaved, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};

/// What an honest client sends after the handshake.
pub const COMMANDS: [&[u8]; 2] = [b"*1\r\n$4\r\nPING\r\n", b"GET key\r\nQUIT\r\n"];

/// A server's configuration and what an honest client sends to it, record by record.
pub struct Conversation {
    pub server: ServerConfig,
    pub records: Vec<Vec<u8>>,
    /// Sessions that the server remembers when the client comes.
    remembered: HashMap<Vec<u8>, Vec<u8>>,
}

impl Conversation {
    /// The configuration with a memory of sessions of its own.
    pub fn config(&self) -> Arc<ServerConfig> {
        let mut config = self.server.clone();
        config.session_storage = Arc::new(Memory(Mutex::new(self.remembered.clone())));
        Arc::new(config)
    }
}

/// TLS 1.3, TLS 1.2, TLS 1.3 with a client's certificate, and TLS 1.3 and 1.2 with a session that is resumed.
pub static CONVERSATIONS: LazyLock<Vec<Conversation>> = LazyLock::new(|| {
    use rustls::version::{TLS12, TLS13};
    [
        (&TLS13, false, false),
        (&TLS12, false, false),
        (&TLS13, true, false),
        (&TLS13, false, true),
        (&TLS12, true, true),
    ]
    .map(|(version, shows, resumes)| {
        let provider = Arc::new(provider());
        let key = |bytes: &'static [u8]| PrivateKeyDer::from(PrivatePkcs8KeyDer::from(bytes));
        let chain = |bytes: &'static [u8]| vec![CertificateDer::from(bytes)];
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(&include_bytes!("ca.crt")[..])).expect("an authority");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier.allow_unauthenticated().build().expect("a verifier");
        let mut server = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(Noon))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain(include_bytes!("server.crt")), key(include_bytes!("server.key")))
            .expect("a certificate");
        server.send_tls13_tickets = 2;
        let client = ClientConfig::builder_with_details(provider, Arc::new(Noon))
            .with_protocol_versions(&[version])
            .expect("a version")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Believer));
        let mut client = match shows {
            true => client
                .with_client_auth_cert(chain(include_bytes!("client.crt")), key(include_bytes!("client.key")))
                .expect("a certificate"),
            false => client.with_no_client_auth(),
        };
        client.resumption = match resumes {
            true => Resumption::store(Arc::new(ClientSessionMemoryCache::new(8))),
            false => Resumption::disabled(),
        };
        let client = Arc::new(client);
        let mut conversation = Conversation { server, records: Vec::new(), remembered: HashMap::new() };
        for _ in 0..=usize::from(resumes) {
            let memory = Arc::new(Memory(Mutex::new(conversation.remembered.clone())));
            let mut config = conversation.server.clone();
            config.session_storage = Arc::clone(&memory) as Arc<dyn StoresServerSessions>;
            conversation.records = split(&said(&client, config));
            if conversation.remembered.is_empty() && resumes {
                conversation.remembered = memory.held();
            }
        }
        conversation
    })
    .into()
});

/// All that a client says to a server.
fn said(client: &Arc<ClientConfig>, server: ServerConfig) -> Vec<u8> {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::clone(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    let mut all = Vec::new();
    while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
        let from = all.len();
        while client.wants_write() {
            client.write_tls(&mut all).expect("a record");
        }
        let mut rest = &all[from..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).expect("bytes");
            server.process_new_packets().expect("an honest client");
        }
        let mut replies = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut replies).expect("a record");
        }
        let mut rest = replies.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("bytes");
            client.process_new_packets().expect("an honest server");
        }
    }
    client.writer().write_all(COMMANDS[0]).expect("room");
    if client.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
        client.refresh_traffic_keys().expect("new keys");
    }
    client.writer().write_all(COMMANDS[1]).expect("room");
    client.send_close_notify();
    while client.wants_write() {
        client.write_tls(&mut all).expect("a record");
    }
    all
}

/// A stream as its records; what is no whole record comes last.
pub fn split(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while !stream.is_empty() {
        let length = match stream {
            [_, _, _, high, low, ..] => 5 + usize::from(*high) * 256 + usize::from(*low),
            _ => stream.len(),
        };
        let (record, rest) = stream.split_at(length.min(stream.len()));
        records.push(record.to_vec());
        stream = rest;
    }
    records
}

fn provider() -> CryptoProvider {
    static SUITES: LazyLock<Vec<SupportedCipherSuite>> = LazyLock::new(|| {
        let (SupportedCipherSuite::Tls13(thirteen), SupportedCipherSuite::Tls12(twelve)) =
            (cipher_suite::TLS13_AES_128_GCM_SHA256, cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)
        else {
            unreachable!("suites are of their version");
        };
        let common = |of: &CipherSuiteCommon| CipherSuiteCommon {
            suite: of.suite,
            hash_provider: of.hash_provider,
            confidentiality_limit: of.confidentiality_limit,
        };
        let thirteen = Tls13CipherSuite {
            common: common(&thirteen.common),
            hkdf_provider: thirteen.hkdf_provider,
            aead_alg: &Plain13,
            quic: None,
        };
        let twelve = Tls12CipherSuite {
            common: common(&twelve.common),
            prf_provider: twelve.prf_provider,
            kx: twelve.kx,
            sign: twelve.sign,
            aead_alg: &Plain12,
        };
        vec![
            SupportedCipherSuite::Tls13(Box::leak(Box::new(thirteen))),
            SupportedCipherSuite::Tls12(Box::leak(Box::new(twelve))),
        ]
    });
    CryptoProvider {
        cipher_suites: SUITES.clone(),
        kx_groups: vec![&Agreed],
        secure_random: &Always,
        ..ring::default_provider()
    }
}

/// Randomness that is always the same.
#[derive(Debug)]
struct Always;

impl SecureRandom for Always {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        buffer.fill(0x42);
        Ok(())
    }
}

/// A time that is always the same, within the certificates' years.
#[derive(Debug)]
struct Noon;

impl TimeProvider for Noon {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(2_000_000_000)))
    }
}

/// Keys that are always the same.
#[derive(Debug)]
struct Agreed;

impl SupportedKxGroup for Agreed {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Agreed))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Agreed {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        match theirs.len() {
            32 => Ok(SharedSecret::from(&[7; 32][..])),
            _ => Err(PeerMisbehaved::InvalidKeyShare.into()),
        }
    }

    fn pub_key(&self) -> &[u8] {
        &[9; 32]
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// Seals nothing: the type of what is inside stands behind it, as TLS 1.3 has it.
struct Plain13;
/// Seals nothing, as TLS 1.2 has it.
struct Plain12;

impl Tls13AeadAlgorithm for Plain13 {
    fn encrypter(&self, _: AeadKey, _: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Plain13)
    }

    fn decrypter(&self, _: AeadKey, _: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Plain13)
    }

    fn key_len(&self) -> usize {
        16
    }

    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl MessageEncrypter for Plain13 {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, _: u64) -> Result<OutboundOpaqueMessage, Error> {
        let mut payload = PrefixedPayload::with_capacity(self.encrypted_payload_len(message.payload.len()));
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&[u8::from(message.typ)]);
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length + 1
    }
}

impl MessageDecrypter for Plain13 {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        _: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        message.into_tls13_unpadded_message()
    }
}

impl Tls12AeadAlgorithm for Plain12 {
    fn encrypter(&self, _: AeadKey, _: &[u8], _: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Plain12)
    }

    fn decrypter(&self, _: AeadKey, _: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Plain12)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape { enc_key_len: 16, fixed_iv_len: 4, explicit_nonce_len: 8 }
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl MessageEncrypter for Plain12 {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, _: u64) -> Result<OutboundOpaqueMessage, Error> {
        let mut payload = PrefixedPayload::with_capacity(message.payload.len());
        payload.extend_from_chunks(&message.payload);
        Ok(OutboundOpaqueMessage::new(message.typ, message.version, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length
    }
}

impl MessageDecrypter for Plain12 {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        _: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        // What a cipher's own check of a record's length would do.
        match message.payload.len() <= 16 * 1024 {
            true => Ok(message.into_plain_message()),
            false => Err(Error::PeerSentOversizedRecord),
        }
    }
}

/// Sessions without an end.
#[derive(Debug, Default)]
struct Memory(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl Memory {
    fn held(&self) -> HashMap<Vec<u8>, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl StoresServerSessions for Memory {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, value);
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// Believes every certificate: the client is not what is tried.
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
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
