//! The HTTP client that carries spans: plain for a collector beside the server, TLS for one elsewhere.

use std::path::Path;
use std::thread;

use reqwest::Certificate;
use reqwest::blocking::Client;

use super::TraceError;
use super::settings::TraceSettings;

/// A client for the endpoint. Over TLS the collector has to show a certificate that the system
/// trusts, or one of the authorities in the file that `OTEL_EXPORTER_OTLP_CERTIFICATE` names.
pub(super) fn client(settings: &TraceSettings) -> Result<Client, TraceError> {
    let tls = settings.endpoint.starts_with("https://");
    if !tls && !settings.endpoint.starts_with("http://") {
        return Err(TraceError("the endpoint has to begin with http:// or https://".into()));
    }
    // An error says that somebody chose for the process before; either choice will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder().timeout(settings.timeout);
    if !tls {
        // Nobody is to be trusted: a machine without certificates sends plain traces all the same.
        builder = builder.tls_certs_only([]);
    } else if let Some(path) = &settings.certificate {
        builder = builder.tls_certs_only(authorities(path)?);
    }
    // Such a client has a runtime of its own, which must not be made within another.
    let made = thread::Builder::new().name("trace-client".into()).spawn(move || builder.build());
    let made = made.map_err(|error| TraceError(error.to_string()))?.join();
    match made {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(TraceError(said(&error))),
        Err(_) => Err(TraceError("the client could not be made".into())),
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, TraceError> {
    let refused =
        |why: String| TraceError(format!("OTEL_EXPORTER_OTLP_CERTIFICATE {}: {why}", path.display()));
    let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&text).map_err(|error| refused(said(&error)))?;
    if found.is_empty() {
        return Err(refused("there is no certificate in it".into()));
    }
    Ok(found)
}

/// An error with its causes: the first words alone are `builder error`.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
