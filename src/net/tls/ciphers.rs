//! Which ciphers are offered: OpenSSL's lists of ciphers over those that are there.
//!
//! A list is read from left to right. A word adds what it names, `-` takes it out, `!` takes it out for good, `+`
//! moves it to the end, and words joined with `+` name what all of them name. What a list asks for by name and is not
//! there is refused: it would seem to be offered. What it takes out and is not there, is out.

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::cipher_suite as suite;

/// A cipher of TLS 1.2: OpenSSL's name, what else names it, and its strength.
struct Cipher {
    openssl: &'static str,
    kinds: &'static [&'static str],
    bits: u16,
    suite: SupportedCipherSuite,
}

/// What each of ours is.
const COMMON: &[&str] = &["ALL", "DEFAULT", "HIGH", "ECDHE", "EECDH", "kECDHE", "kEECDH", "TLSv1.2"];

/// Those that are there, the strongest first.
const CIPHERS: &[Cipher] = &[
    Cipher {
        openssl: "ECDHE-ECDSA-AES256-GCM-SHA384",
        kinds: &["aECDSA", "ECDSA", "AES", "AES256", "AESGCM", "FIPS"],
        bits: 256,
        suite: suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    },
    Cipher {
        openssl: "ECDHE-RSA-AES256-GCM-SHA384",
        kinds: &["aRSA", "AES", "AES256", "AESGCM", "FIPS"],
        bits: 256,
        suite: suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    },
    Cipher {
        openssl: "ECDHE-ECDSA-CHACHA20-POLY1305",
        kinds: &["aECDSA", "ECDSA", "CHACHA20"],
        bits: 256,
        suite: suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    },
    Cipher {
        openssl: "ECDHE-RSA-CHACHA20-POLY1305",
        kinds: &["aRSA", "CHACHA20"],
        bits: 256,
        suite: suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    },
    Cipher {
        openssl: "ECDHE-ECDSA-AES128-GCM-SHA256",
        kinds: &["aECDSA", "ECDSA", "AES", "AES128", "AESGCM", "FIPS"],
        bits: 128,
        suite: suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    },
    Cipher {
        openssl: "ECDHE-RSA-AES128-GCM-SHA256",
        kinds: &["aRSA", "AES", "AES128", "AESGCM", "FIPS"],
        bits: 128,
        suite: suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    },
];

/// OpenSSL's words for ciphers of which none is here.
const ABSENT: &[&str] = &[
    "3DES",
    "ADH",
    "AECDH",
    "AESCCM",
    "AESCCM8",
    "ARIA",
    "ARIA128",
    "ARIA256",
    "ARIAGCM",
    "CAMELLIA",
    "CAMELLIA128",
    "CAMELLIA256",
    "CBC",
    "COMPLEMENTOFALL",
    "COMPLEMENTOFDEFAULT",
    "DES",
    "DH",
    "DHE",
    "DSS",
    "EDH",
    "EXP",
    "EXPORT",
    "GOST89MAC",
    "GOST94",
    "IDEA",
    "LOW",
    "MD5",
    "MEDIUM",
    "NULL",
    "PSK",
    "RC2",
    "RC4",
    "RSA",
    "SEED",
    "SHA",
    "SHA1",
    "SHA256",
    "SHA384",
    "SRP",
    "SSLv3",
    "TLSv1",
    "TLSv1.0",
    "aDSS",
    "aGOST",
    "aNULL",
    "aPSK",
    "eNULL",
    "kDHE",
    "kDHEPSK",
    "kECDHEPSK",
    "kEDH",
    "kGOST",
    "kPSK",
    "kRSA",
    "kRSAPSK",
    "kSRP",
];

/// The cipher suites of TLS 1.3 by name.
const SUITES: &[(&str, SupportedCipherSuite)] = &[
    ("TLS_AES_256_GCM_SHA384", suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", suite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_AES_128_GCM_SHA256", suite::TLS13_AES_128_GCM_SHA256),
];

/// The suites of TLS 1.2 that `tls-ciphers` asks for; all of them when it is empty.
pub(super) fn tls12(list: &str) -> Result<Vec<SupportedCipherSuite>, String> {
    let list = if list.is_empty() { "DEFAULT" } else { list };
    let mut chosen: Vec<&Cipher> = Vec::new();
    let mut barred: Vec<&str> = Vec::new();
    let mut missing: Vec<&str> = Vec::new();
    for rule in list.split([':', ',', ';', ' ']).filter(|rule| !rule.is_empty()) {
        if let Some(command) = rule.strip_prefix('@') {
            match command {
                "STRENGTH" => chosen.sort_by_key(|cipher| std::cmp::Reverse(cipher.bits)),
                "SECLEVEL=0" | "SECLEVEL=1" | "SECLEVEL=2" => {}
                _ => missing.push(rule),
            }
            continue;
        }
        let (does, words) = match rule.as_bytes()[0] {
            sign @ (b'!' | b'-' | b'+') => (sign, &rule[1..]),
            _ => (0, rule),
        };
        match (named(words), does) {
            (None, _) => missing.push(words),
            (Some(named), 0) if named.is_empty() => missing.push(words),
            (Some(named), 0) => {
                let new = named.into_iter().filter(|cipher| !barred.contains(&cipher.openssl));
                let new: Vec<_> =
                    new.filter(|cipher| !chosen.iter().any(|had| had.openssl == cipher.openssl)).collect();
                chosen.extend(new);
            }
            (Some(named), sign) => {
                let is_named = |cipher: &&Cipher| named.iter().any(|one| one.openssl == cipher.openssl);
                let (out, mut rest): (Vec<_>, Vec<_>) = chosen.into_iter().partition(is_named);
                match sign {
                    b'+' => rest.extend(out),
                    b'!' => barred.extend(named.iter().map(|cipher| cipher.openssl)),
                    _ => {}
                }
                chosen = rest;
            }
        }
    }
    refuse(&missing, CIPHERS.iter().map(|cipher| cipher.openssl))?;
    Ok(chosen.into_iter().map(|cipher| cipher.suite).collect())
}

/// The ciphers that all of these words name; nothing when one of them is not known.
fn named(words: &str) -> Option<Vec<&'static Cipher>> {
    let mut all: Vec<&Cipher> = CIPHERS.iter().collect();
    for word in words.split('+') {
        // A name with a dash in it is that of one cipher, of which there are hundreds.
        let is_known = word.contains('-')
            || COMMON.contains(&word)
            || ABSENT.contains(&word)
            || CIPHERS.iter().any(|cipher| cipher.kinds.contains(&word));
        if !is_known {
            return None;
        }
        all.retain(|cipher| cipher.openssl == word || COMMON.contains(&word) || cipher.kinds.contains(&word));
    }
    Some(all)
}

/// The suites of TLS 1.3 that `tls-ciphersuites` asks for; all of them when it is empty.
pub(super) fn tls13(list: &str) -> Result<Vec<SupportedCipherSuite>, String> {
    if list.is_empty() {
        return Ok(SUITES.iter().map(|(_, suite)| *suite).collect());
    }
    let (mut chosen, mut missing) = (Vec::new(), Vec::new());
    for word in list.split(':').filter(|word| !word.is_empty()) {
        match SUITES.iter().find(|(name, _)| *name == word) {
            Some((_, suite)) if !chosen.contains(suite) => chosen.push(*suite),
            Some(_) => {}
            None => missing.push(word),
        }
    }
    refuse(&missing, SUITES.iter().map(|(name, _)| *name))?;
    Ok(chosen)
}

fn refuse(missing: &[&str], there: impl Iterator<Item = &'static str>) -> Result<(), String> {
    if missing.is_empty() {
        return Ok(());
    }
    let there: Vec<_> = there.collect();
    Err(format!("this server does not have {}; there are {}", missing.join(", "), there.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Result<Vec<&'static str>, String> {
        let name = |suite| CIPHERS.iter().find(|cipher| cipher.suite == suite).expect("ours").openssl;
        Ok(tls12(list)?.into_iter().map(name).collect())
    }

    #[test]
    fn lists_are_read_as_openssl_reads_them() {
        assert_eq!(names("").expect("all").len(), 6);
        assert_eq!(names("DEFAULT:-AES128-SHA256").expect("all").len(), 6);
        assert_eq!(names("HIGH:!aNULL:!MD5:!RSA").expect("all").len(), 6);
        assert_eq!(
            names("ECDHE+AESGCM:!ECDSA").expect("some"),
            ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"]
        );
        assert_eq!(
            names("ECDHE-RSA-AES128-GCM-SHA256,ECDHE-RSA-AES256-GCM-SHA384:@STRENGTH").expect("both"),
            ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"]
        );
        assert_eq!(
            names("AES128:aECDSA:+AES128:!AES256:AES256").expect("some").last(),
            Some(&"ECDHE-RSA-AES128-GCM-SHA256")
        );
        assert_eq!(names("ALL:-ALL"), Ok(Vec::new()));
        assert_eq!(names("ALL:-AESGCM:AES128").expect("some").len(), 4);
    }

    #[test]
    fn what_is_asked_for_and_not_there_is_named() {
        for (list, word) in [
            ("AES128-SHA256:AES256-SHA256", "AES128-SHA256, AES256-SHA256"),
            ("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256"),
            ("RSA", "RSA"),
            ("ALL:!AEGSCM", "AEGSCM"),
            ("ALL:@SECLEVEL=3", "@SECLEVEL=3"),
        ] {
            let error = names(list).expect_err(list);
            assert!(
                error.starts_with(&format!("this server does not have {word}; there are ECDHE-")),
                "{error}"
            );
        }
        assert!(
            tls13("TLS_AES_128_CCM_SHA256").expect_err("refused").contains("TLS_AES_128_CCM_SHA256; there")
        );
        assert_eq!(tls13("TLS_AES_128_GCM_SHA256:TLS_AES_128_GCM_SHA256").expect("one").len(), 1);
    }
}
