//! From the settings to what connections begin with. The words are Redis's where it has a line for the log.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, StoresServerSessions, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, Error, InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion};

use crate::clock::Clock;
use crate::config::{Settings, TlsAuthClients};

use super::peer::AnyName;
use super::sessions::Sessions;
use super::{Contexts, ciphers, keys};

/// So many sessions a client gets for one handshake of TLS 1.3, as from OpenSSL.
const TICKETS: usize = 2;

pub(super) fn read(settings: &Settings, clock: &Clock) -> Result<Contexts, String> {
    if settings.tls_cert_file.is_empty() {
        return Err("No tls-cert-file configured!".to_owned());
    }
    if settings.tls_key_file.is_empty() {
        return Err("No tls-key-file configured!".to_owned());
    }
    let outward = settings.tls_cluster || settings.tls_replication;
    let has_authorities = !settings.tls_ca_cert_file.is_empty() || !settings.tls_ca_cert_dir.is_empty();
    if (settings.tls_auth_clients != TlsAuthClients::No || outward) && !has_authorities {
        return Err("Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, \
                    tls-replication or tls-auth-clients are enabled!"
            .to_owned());
    }
    let versions = versions(&settings.tls_protocols)?;
    let provider = Arc::new(provider(settings)?);
    let roots = if has_authorities { Some(Arc::new(authorities(settings)?)) } else { None };
    if !settings.tls_dh_params_file.is_empty() {
        parameters(Path::new(&settings.tls_dh_params_file))?;
    }
    let (certificate, key, password) =
        (&settings.tls_cert_file, &settings.tls_key_file, &settings.tls_key_file_pass);
    let own = certified(&provider, certificate, key, password)?;
    let server = server(settings, clock, &versions, &provider, roots.as_ref(), own)?;
    let (certificate, key) = (&settings.tls_client_cert_file, &settings.tls_client_key_file);
    let (certificate, key, password) = match certificate.is_empty() || key.is_empty() {
        true => (&settings.tls_cert_file, &settings.tls_key_file, &settings.tls_key_file_pass),
        false => (certificate, key, &settings.tls_client_key_file_pass),
    };
    let client = match roots {
        Some(roots) => {
            // It may be other files than the server's, with other faults.
            let shown = certified(&provider, certificate, key, password)?;
            Some(Arc::new(client(&versions, &provider, &roots, shown)?))
        }
        None => None,
    };
    Ok(Contexts { server: Arc::new(server), client })
}

fn server(
    settings: &Settings,
    clock: &Clock,
    versions: &[&'static SupportedProtocolVersion],
    provider: &Arc<CryptoProvider>,
    roots: Option<&Arc<RootCertStore>>,
    own: CertifiedKey,
) -> Result<ServerConfig, String> {
    let begun = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(no_suite)?;
    let begun = match (settings.tls_auth_clients, roots) {
        (TlsAuthClients::No, _) | (_, None) => begun.with_no_client_auth(),
        (wanted, Some(roots)) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider));
            let verifier = match wanted {
                TlsAuthClients::Optional => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            begun.with_client_cert_verifier(verifier.build().map_err(|error| unusable(&error))?)
        }
    };
    let mut server = begun.with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    server.ignore_client_order = settings.tls_prefer_server_ciphers;
    server.session_storage = match settings.tls_session_caching {
        true => {
            let (most, lifetime_s) = (settings.tls_session_cache_size, settings.tls_session_cache_timeout_s);
            Arc::new(Sessions::new(clock.clone(), most, lifetime_s)) as Arc<dyn StoresServerSessions>
        }
        false => Arc::new(NoServerSessionStorage {}),
    };
    server.send_tls13_tickets = if settings.tls_session_caching { TICKETS } else { 0 };
    Ok(server)
}

fn client(
    versions: &[&'static SupportedProtocolVersion],
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    shown: CertifiedKey,
) -> Result<ClientConfig, String> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider));
    let verifier = verifier.build().map_err(|error| unusable(&error))?;
    Ok(ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(no_suite)?
        // Dangerous is what is not asked: the name. Redis does not ask either.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown))))
}

fn no_suite(error: Error) -> String {
    format!(
        "Failed to configure ciphers: nothing is left of tls-protocols, tls-ciphers and tls-ciphersuites: {error}"
    )
}

fn unusable(error: &dyn std::fmt::Display) -> String {
    format!("Failed to configure CA certificate(s) file/directory: {error}")
}

fn versions(text: &str) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    if text.is_empty() {
        return Ok(vec![&TLS12, &TLS13]);
    }
    let mut versions = Vec::new();
    for word in text.split(' ') {
        match word.to_ascii_lowercase().as_str() {
            "tlsv1.2" => versions.push(&TLS12),
            "tlsv1.3" => versions.push(&TLS13),
            "tlsv1" | "tlsv1.1" => {
                return Err(format!(
                    "This server does not have {word}: it is broken. There are TLSv1.2 and TLSv1.3"
                ));
            }
            _ => {
                return Err("Invalid tls-protocols specified. Use a combination of 'TLSv1.2' and 'TLSv1.3'."
                    .to_owned());
            }
        }
    }
    Ok(versions)
}

fn provider(settings: &Settings) -> Result<CryptoProvider, String> {
    let tls13 = ciphers::tls13(&settings.tls_ciphersuites);
    let tls12 = ciphers::tls12(&settings.tls_ciphers);
    let mut suites = tls13.map_err(|error| {
        format!("Failed to configure ciphersuites: {}: {error}", settings.tls_ciphersuites)
    })?;
    suites.extend(
        tls12.map_err(|error| format!("Failed to configure ciphers: {}: {error}", settings.tls_ciphers))?,
    );
    Ok(CryptoProvider { cipher_suites: suites, ..ring::default_provider() })
}

/// A certificate with its key. They have to belong together.
fn certified(
    provider: &CryptoProvider,
    certificate: &str,
    key: &str,
    password: &str,
) -> Result<CertifiedKey, String> {
    let chain = keys::certificates(Path::new(certificate))
        .map_err(|error| format!("Failed to load certificate: {certificate}: {error}"))?;
    let bad_key = |error: &dyn std::fmt::Display| format!("Failed to load private key: {key}: {error}");
    let read: PrivateKeyDer<'static> =
        keys::private_key(Path::new(key), password).map_err(|error| bad_key(&error))?;
    let signer = provider.key_provider.load_private_key(read).map_err(|error| bad_key(&error))?;
    let pair = CertifiedKey::new(chain, signer);
    match pair.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        // A certificate of X.509's version 1 is not read there, and is common: `openssl x509 -req` makes them.
        Err(Error::InvalidCertificate(_)) if holds_key_of(&pair) => Ok(pair),
        Err(Error::InconsistentKeys(_)) => Err(bad_key(&"it is not the key of the certificate")),
        Err(error) => Err(format!("Failed to load certificate: {certificate}: {error}")),
    }
}

/// Whether the first certificate has the key's public half in it, wherever that stands.
fn holds_key_of(pair: &CertifiedKey) -> bool {
    let (Some(public), Some(certificate)) = (pair.key.public_key(), pair.cert.first()) else { return false };
    memchr::memmem::find(certificate, &public).is_some()
}

fn authorities(settings: &Settings) -> Result<RootCertStore, String> {
    let mut found: Vec<CertificateDer<'static>> = Vec::new();
    if !settings.tls_ca_cert_file.is_empty() {
        let path = Path::new(&settings.tls_ca_cert_file);
        found.extend(
            keys::certificates(path).map_err(|error| unusable(&format!("{}: {error}", path.display())))?,
        );
    }
    if !settings.tls_ca_cert_dir.is_empty() {
        found.extend(in_folder(Path::new(&settings.tls_ca_cert_dir)).map_err(|error| unusable(&error))?);
    }
    found.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
    found.dedup();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found);
    if added == 0 { Err(unusable(&"there is none that can be used")) } else { Ok(roots) }
}

/// The certificates of a folder under the names that OpenSSL looks for: eight digits of a hash, and a number.
fn in_folder(folder: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(shown)? {
        let entry = entry.map_err(shown)?;
        if is_hashed(&entry.file_name().to_string_lossy()) {
            let path = entry.path();
            found.extend(keys::certificates(&path).map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    if found.is_empty() {
        return Err(format!(
            "{}: there is no certificate under a name of `openssl rehash`",
            folder.display()
        ));
    }
    Ok(found)
}

fn is_hashed(name: &str) -> bool {
    let Some((hash, number)) = name.split_once('.') else { return false };
    hash.len() == 8
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Nothing here uses them; a file that is none is a mistake all the same.
fn parameters(path: &Path) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("Failed to load {}: {error}", path.display());
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    match memchr::memmem::find(&text, b"-----BEGIN DH PARAMETERS-----") {
        Some(_) => Ok(()),
        None => Err(failed(&"failed to read DH params")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_authorities_are_those_of_a_hash() {
        assert!(is_hashed("5ed36f99.0") && is_hashed("5ED36F99.12"));
        for name in ["5ed36f99.r0", "5ed36f99", "5ed36f99.", "ca.0", "5ed36f9x.0"] {
            assert!(!is_hashed(name), "{name}");
        }
    }

    #[test]
    fn protocols_are_those_that_are_there() {
        assert_eq!(versions("").expect("both").len(), 2);
        assert_eq!(versions("TLSv1.3 tlsv1.2").expect("both").len(), 2);
        assert!(versions("TLSv1.1 TLSv1.2").expect_err("refused").contains("does not have TLSv1.1"));
        assert!(versions("SSLv3").expect_err("refused").contains("Use a combination of"));
    }
}
