//! The certificates of TLS and WSS, from PEM files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;

/// What TLS and WSS sockets are given. [`TlsFiles::load`] makes one.
///
/// What a server calls itself is always looked at: its chain, and its name as a DNS or address entry of
/// subjectAltName. RFC 5922 §7 also has SIP URI entries; carriers' certificates come from public authorities, which
/// sign only the former. A `*` in a certificate's name counts, against RFC 5922 §7.2: carriers have such ones.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// For connections that peers make.
    pub server: Arc<ServerConfig>,
    /// For connections that we make.
    pub client: Arc<ClientConfig>,
    /// Instead of `client` for some servers: by the name that is expected of them in lower case, or by their address
    /// when none is.
    pub clients: HashMap<String, Arc<ClientConfig>>,
}

/// The PEM files of a [`TlsConfig`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate, then those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// When given, peers that connect must show a certificate of this authority.
    pub client_ca: Option<PathBuf>,
    /// Servers that want more than a name and one of the system's roots.
    pub clients: Vec<ClientFiles>,
}

/// The PEM files for one server that we connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// Its name ([`crate::Destination::server_name`]), or its address when it has none.
    pub server: String,
    /// The authority that signs its certificate, when it is none of the system's.
    pub ca: Option<PathBuf>,
    /// The certificate that we show it, and its private key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Why certificates cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file is not there, may not be read, or is no PEM.
    #[error("cannot read {what} from {}: {source}. Give a PEM file that this user may read", path.display())]
    Read {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// There is none in the file.
    #[error("{} holds no {what}. It must have a PEM section for it", path.display())]
    Missing {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// They do not fit together, or are of a kind that is not known.
    #[error(
        "the certificate in {} cannot be used with the key in {}: {source}. Give the key that the certificate was \
         made for",
        certificate.display(), key.display()
    )]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The authority's certificate is not one.
    #[error("the certificates in {} are of no use as an authority: {why}. Give its root certificate", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The cryptography of this build does not offer what TLS 1.2 and 1.3 need.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

impl TlsFiles {
    /// Reads the files.
    pub fn load(&self) -> Result<TlsConfig, TlsError> {
        let mut clients = HashMap::new();
        for ClientFiles { server, ca, certificate } in &self.clients {
            let roots = ca.as_deref().map_or_else(|| Ok(system_roots()), authority)?;
            clients.insert(server.to_ascii_lowercase(), Arc::new(client(roots, certificate.as_ref())?));
        }
        let client = client(system_roots(), None)?;
        Ok(TlsConfig { server: Arc::new(self.server()?), client: Arc::new(client), clients })
    }

    fn server(&self) -> Result<ServerConfig, TlsError> {
        let config = ServerConfig::builder_with_provider(provider());
        let config = config.with_safe_default_protocol_versions().map_err(TlsError::Setup)?;
        let config = match &self.client_ca {
            Some(path) => {
                let roots = Arc::new(authority(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                let unfit = |error: rustls::server::VerifierBuilderError| TlsError::Authority {
                    path: path.clone(),
                    why: error.to_string(),
                };
                config.with_client_cert_verifier(verifier.map_err(unfit)?)
            }
            None => config.with_no_client_auth(),
        };
        let (chain, key) = pair(&self.certificate, &self.key)?;
        config.with_single_cert(chain, key).map_err(|source| unfit(&self.certificate, &self.key, source))
    }
}

fn client(roots: RootCertStore, shown: Option<&(PathBuf, PathBuf)>) -> Result<ClientConfig, TlsError> {
    let config = ClientConfig::builder_with_provider(provider());
    let config = config.with_safe_default_protocol_versions().map_err(TlsError::Setup)?;
    let config = config.with_root_certificates(roots);
    let Some((certificate, key_file)) = shown else { return Ok(config.with_no_client_auth()) };
    let (chain, key) = pair(certificate, key_file)?;
    config.with_client_auth_cert(chain, key).map_err(|source| unfit(certificate, key_file, source))
}

fn unfit(certificate: &Path, key: &Path, source: rustls::Error) -> TlsError {
    TlsError::Pair { certificate: certificate.into(), key: key.into(), source }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What of the system's roots can be read: a few broken ones must not keep us from the others. Without any nobody is
/// believed that has no root of its own, but peers can still connect to us.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn authority(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let unfit = |why: rustls::Error| TlsError::Authority { path: path.into(), why: why.to_string() };
        roots.add(certificate).map_err(unfit)?;
    }
    Ok(roots)
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn pair(certificate: &Path, key: &Path) -> Result<Pair, TlsError> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|source| failed("private key", key, source))?;
    Ok((chain, key))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |source| failed("certificate", path, source);
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(fail)?.collect();
    let found = found.map_err(fail)?;
    if found.is_empty() {
        return Err(failed("certificate", path, pem::Error::NoItemsFound));
    }
    Ok(found)
}

fn failed(what: &'static str, path: &Path, source: pem::Error) -> TlsError {
    match source {
        pem::Error::NoItemsFound => TlsError::Missing { what, path: path.into() },
        source => TlsError::Read { what, path: path.into(), source },
    }
}
