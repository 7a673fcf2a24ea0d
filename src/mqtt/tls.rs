//! TLS to the broker.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config::Mqtt;

/// Certificates can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not what it should be.
    #[error("{key} {}: {message}", path.display())]
    File {
        /// The configuration key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Without `mqtt.ca_file` the system's certificates are needed.
    #[error("no certificate authorities: set mqtt.ca_file, or install the system's (Debian: ca-certificates)")]
    NoRoots,
    /// The TLS library refuses the set-up.
    #[error("TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// A client's TLS: the broker must show a certificate signed by `mqtt.ca_file`, or by an authority of the system.
pub(super) fn client(config: &Mqtt) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    match &config.ca_file {
        Some(path) => {
            for certificate in certificates("mqtt.ca_file", path)? {
                roots.add(certificate).map_err(|error| file_error("mqtt.ca_file", path, error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::NoRoots);
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    let client = match (&config.cert_file, &config.key_file) {
        (Some(cert), Some(key)) => {
            let chain = certificates("mqtt.cert_file", cert)?;
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| file_error("mqtt.key_file", key, error))?;
            builder.with_client_auth_cert(chain, key_der).map_err(|error| file_error("mqtt.key_file", key, error))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(client))
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| file_error(key, path, error);
    let found = CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if found.is_empty() {
        return Err(TlsError::File { key, path: path.to_owned(), message: "no certificate in it".to_owned() });
    }
    Ok(found)
}

fn file_error(key: &'static str, path: &Path, error: impl std::fmt::Display) -> TlsError {
    TlsError::File { key, path: path.to_owned(), message: error.to_string() }
}
