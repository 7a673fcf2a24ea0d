//! Certificates made for one test.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority, and PEM files of what it signs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(crate) file: PathBuf,
    dir: PathBuf,
}

/// A certificate and its key.
#[derive(Debug)]
pub(crate) struct Certified {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// A new one called `name`, which keeps its files in `dir`.
    pub(crate) fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = new_key();
        let certificate = params.self_signed(&key).expect("an authority signs itself");
        let file = write(dir, &format!("{name}.pem"), &certificate.pem());
        Self { issuer: Issuer::new(params, key), file, dir: dir.to_owned() }
    }

    /// Signs a certificate for a host, or for a client of that name.
    pub(crate) fn sign(&self, name: &str) -> Certified {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name is fit for a certificate");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority signs");
        Certified {
            cert: write(&self.dir, &format!("{name}.cert.pem"), &certificate.pem()),
            key: write(&self.dir, &format!("{name}.key.pem"), &key.serialize_pem()),
        }
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}

fn write(dir: &Path, name: &str, pem: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, pem).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}
