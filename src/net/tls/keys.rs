//! Certificates and keys from their files.

use std::path::Path;

use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

const LOCKED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const LOCKED_END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
/// What OpenSSL wrote into a key under a password before PKCS #8.
const OLD_LOCK: &str = "Proc-Type: 4,ENCRYPTED";

/// All certificates of a file, in its order.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err("there is no certificate in it (PEM)".to_owned()),
        found => found.map_err(|error| pem_words(&error)),
    }
}

/// The key of a file. `password` opens one that is encrypted.
pub(super) fn private_key(path: &Path, password: &str) -> Result<PrivateKeyDer<'static>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let shown = String::from_utf8_lossy(&text);
    if shown.contains(OLD_LOCK) {
        return Err("it is encrypted in OpenSSL's old form, which is not read here; \
                    `openssl pkcs8 -topk8 -in KEY -out NEW` writes it in the form that is"
            .to_owned());
    }
    if let Some(from) = shown.find(LOCKED) {
        let block = &shown[from..];
        let to = block.find(LOCKED_END).ok_or("it ends in the middle")? + LOCKED_END.len();
        return unlocked(&block[..to], password);
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        PemError::NoItemsFound => "there is no private key in it (PEM)".to_owned(),
        error => pem_words(&error),
    })
}

fn unlocked(pem: &str, password: &str) -> Result<PrivateKeyDer<'static>, String> {
    if password.is_empty() {
        return Err("it is encrypted, and its password is not set".to_owned());
    }
    let unreadable = |error| format!("it cannot be read: {error}");
    let (_, document) = SecretDocument::from_pem(pem).map_err(unreadable)?;
    let locked = EncryptedPrivateKeyInfo::try_from(document.as_bytes())
        .map_err(|error| format!("it is encrypted in a way that is not known here: {error}"))?;
    let opened = locked.decrypt(password).map_err(|error| {
        format!("its password is wrong, or it is encrypted in a way that is not known here: {error}")
    })?;
    Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into())
}

fn pem_words(error: &PemError) -> String {
    format!("it is no good PEM: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str, password: &str) -> Result<PrivateKeyDer<'static>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        std::fs::write(&path, text).expect("a file");
        private_key(&path, password)
    }

    #[test]
    fn a_key_in_the_old_encrypted_form_is_refused_in_words() {
        let text = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n\
                    -----END RSA PRIVATE KEY-----\n";
        assert!(key(text, "secret").expect_err("refused").contains("openssl pkcs8 -topk8"));
    }

    #[test]
    fn what_is_no_key_is_named() {
        assert!(key("", "").expect_err("refused").contains("no private key"));
        assert!(key(&format!("{LOCKED}\nAAAA\n"), "x").expect_err("refused").contains("middle"));
        assert!(
            key(&format!("{LOCKED}\nAAAA\n{LOCKED_END}\n"), "").expect_err("refused").contains("not set")
        );
        assert!(key(&format!("{LOCKED}\nAAAA\n{LOCKED_END}\n"), "x").is_err());
    }
}
