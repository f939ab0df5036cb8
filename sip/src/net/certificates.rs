//! Fetches the certificates of signed calls by https (RFC 8224 §6.2 step 3), and verifies calls with them.
//!
//! The address comes from whoever calls, so it is treated as hostile: https only, to public addresses only, no
//! redirects, bounded in size, time and number. The address that was checked is the one that is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::Uri;
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use kraliki_time::Clock;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use crate::limits;
use crate::stir::{Check, Fault, Verdict, Verifier};

/// How certificates are fetched.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// Roots for https beside the system's, as PEM.
    pub extra_roots_pem: String,
    /// Fetches from loopback and private addresses and from every port. For tests, and for a laboratory that signs
    /// its own calls.
    pub allow_private: bool,
    /// The hosts that are fetched from: a name, or `.example.com` for every name below it. Empty: any.
    pub hosts: Vec<String>,
    /// The time for everything: waiting for a place, name, connection, answer.
    pub timeout: Duration,
}

impl Default for FetchConfig {
    fn default() -> Self {
        FetchConfig {
            extra_roots_pem: String::new(),
            allow_private: false,
            hosts: Vec::new(),
            timeout: limits::STIR_FETCH,
        }
    }
}

/// Why the fetcher cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetcherError {
    /// Neither the system nor the configuration has a root for https.
    #[error("no trusted roots for https: install the package ca-certificates, or give extra roots")]
    NoRoots,
    /// The extra roots cannot be read.
    #[error("the extra roots for https are not PEM certificates")]
    BadRoots,
    /// The TLS library refuses its own defaults.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why a certificate could not be fetched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Not an https URL, or on a port that certificates are not served from.
    #[error("the certificate's address is not an https URL on port 443 or 8443")]
    BadUrl,
    /// The host is none of those that certificates are fetched from.
    #[error("{host} is none of the hosts that certificates are fetched from")]
    HostNotAllowed {
        /// The host.
        host: String,
    },
    /// The host has no address, or none that is public.
    #[error("{host} has no public address")]
    NoAddress {
        /// The host.
        host: String,
    },
    /// No connection, or no TLS.
    #[error("cannot connect to {host}: {source}")]
    Connect {
        /// The host.
        host: String,
        /// What the system or the TLS library says.
        source: std::io::Error,
    },
    /// The server does not speak HTTP.
    #[error("no answer from {host}: {source}")]
    Http {
        /// The host.
        host: String,
        /// What the HTTP library says.
        source: hyper::Error,
    },
    /// Another answer than 200. Redirects are not followed.
    #[error("{host} answered {status}, not 200")]
    Status {
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
    /// More than [`limits::STIR_CERTIFICATE_BYTES`].
    #[error("the answer is larger than {most} bytes", most = limits::STIR_CERTIFICATE_BYTES)]
    TooLarge,
    /// The answer ended early.
    #[error("the answer from {host} ended early")]
    Cut {
        /// The host.
        host: String,
    },
    /// Too slow.
    #[error("not fetched in time")]
    TimedOut,
}

/// Fetches certificates. Cheap to share by reference; needs a Tokio runtime.
pub struct CertificateFetcher {
    tls: TlsConnector,
    places: Semaphore,
    config: FetchConfig,
}

impl std::fmt::Debug for CertificateFetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateFetcher").field("config", &self.config).finish_non_exhaustive()
    }
}

impl CertificateFetcher {
    /// A fetcher with the system's roots and those of `config`. Reads files: not for a thread that carries calls.
    pub fn new(config: FetchConfig) -> Result<CertificateFetcher, FetcherError> {
        let mut roots = RootCertStore::empty();
        // Single files of the system that cannot be read are passed over, as every client does.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for root in CertificateDer::pem_slice_iter(config.extra_roots_pem.as_bytes()) {
            let root = root.map_err(|_| FetcherError::BadRoots)?;
            roots.add(root).map_err(|_| FetcherError::BadRoots)?;
        }
        if roots.is_empty() {
            return Err(FetcherError::NoRoots);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let places = Semaphore::new(limits::STIR_FETCHES);
        Ok(CertificateFetcher { tls: TlsConnector::from(Arc::new(tls)), places, config })
    }

    /// What is served at `url`, for [`Verifier::certificate`].
    pub async fn fetch(&self, url: &str) -> Result<Bytes, FetchError> {
        let all = async {
            // It is never closed, so that it always gives a place in the end.
            let _place = self.places.acquire().await;
            self.get(url).await
        };
        tokio::time::timeout(self.config.timeout, all).await.map_err(|_| FetchError::TimedOut)?
    }

    async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let url: Uri = url.parse().map_err(|_| FetchError::BadUrl)?;
        let host = url.host().ok_or(FetchError::BadUrl)?;
        let port = url.port_u16().unwrap_or(443);
        let authority = url.authority().map_or("", |authority| authority.as_str());
        let usual = matches!(port, 443 | 8443) || self.config.allow_private;
        if url.scheme_str() != Some("https") || authority.contains('@') || !usual {
            return Err(FetchError::BadUrl);
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| FetchError::BadUrl)?;
        let named = || host.to_owned();
        if !self.config.hosts.is_empty() && !self.config.hosts.iter().any(|allowed| covers(allowed, bare)) {
            return Err(FetchError::HostNotAllowed { host: named() });
        }
        let connect = |source| FetchError::Connect { host: named(), source };
        let address =
            self.address(bare, port).await.ok_or_else(|| FetchError::NoAddress { host: named() })?;
        let stream = TcpStream::connect(address).await.map_err(connect)?;
        let stream = self.tls.connect(name, stream).await.map_err(connect)?;

        let http = |source| FetchError::Http { host: named(), source };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let request = hyper::Request::get(path)
            .header(HOST, authority)
            .header(USER_AGENT, "kraliki")
            .header(ACCEPT, "application/pem-certificate-chain, application/pkix-cert, */*")
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::BadUrl)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(http)?;
            let status = response.status().as_u16();
            if status != 200 {
                return Err(FetchError::Status { host: named(), status });
            }
            let body = Limited::new(response.into_body(), limits::STIR_CERTIFICATE_BYTES);
            match body.collect().await {
                Ok(body) => Ok(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge),
                Err(_) => Err(FetchError::Cut { host: named() }),
            }
        };
        // The connection only makes progress while it is polled, and it may end before the body has been read out.
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            body = &mut exchange => body,
            _ = connection => exchange.await,
        }
    }

    /// The first address of the host that may be connected to.
    async fn address(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let addresses = tokio::net::lookup_host((host, port)).await.ok()?;
        addresses.into_iter().find(|address| self.config.allow_private || is_public(address.ip()))
    }
}

/// Whether `host` is the one that is allowed, or below it where that begins with a dot.
fn covers(allowed: &str, host: &str) -> bool {
    let (allowed, host) = (allowed.to_ascii_lowercase(), host.to_ascii_lowercase());
    if allowed.starts_with('.') {
        host.len() > allowed.len() && host.ends_with(&allowed)
    } else {
        host == allowed
    }
}

/// Whether an address belongs to the open Internet, as far as the registries of special addresses say (RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        || a >= 224 // multicast, reserved, broadcast
        || (a == 100 && b & 0xc0 == 64) // shared by carriers' NAT
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 198 && b & 0xfe == 18)) // benchmarks
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    // Only 2000::/3 is given out; in it, 2001::/23 holds tunnels and assignments, 2001:db8::/32 and 3fff::/20
    // documentation, 2002::/16 addresses that carry an IPv4 address. IPv4-mapped ones fall out by the first test.
    a & 0xe000 == 0x2000
        && !(a == 0x2001 && b & 0xfe00 == 0)
        && !(a == 0x2001 && b == 0xdb8)
        && !(a == 0x3fff && b & 0xf000 == 0)
        && a != 0x2002
}

/// Verifies calls: a [`Verifier`] with what it needs fetched for it.
#[derive(Debug)]
pub struct CallVerifier {
    verifier: Mutex<Verifier>,
    fetcher: CertificateFetcher,
    clock: Clock,
}

impl CallVerifier {
    /// A verifier that fetches.
    pub fn new(verifier: Verifier, fetcher: CertificateFetcher, clock: Clock) -> CallVerifier {
        CallVerifier { verifier: Mutex::new(verifier), fetcher, clock }
    }

    /// See [`Verifier::verify`]. Takes as long as a fetch may take ([`FetchConfig::timeout`]) when the certificate is
    /// not known, and no time otherwise.
    pub async fn verify(&self, identity: &str, from: &str, to: &str, date_unix_s: Option<u64>) -> Verdict {
        let url = match self.check(identity, from, to, date_unix_s) {
            Check::Done(verdict) => return verdict,
            Check::NeedsCertificate { url } => url,
        };
        let fetched = self.fetcher.fetch(&url).await;
        let now = self.now_unix_s();
        match fetched {
            Ok(body) => self.locked(|verifier| verifier.certificate(now, &url, &body)),
            Err(_) => self.locked(|verifier| verifier.unavailable(now, &url)),
        }
        match self.check(identity, from, to, date_unix_s) {
            Check::Done(verdict) => verdict,
            Check::NeedsCertificate { .. } => Verdict::Failed(Fault::CertificateUnavailable),
        }
    }

    /// Checks a call by its Identity headers, of which any may speak for the caller: the first that holds counts, and
    /// without one the first fault. One of another extension is as if it were not there (RFC 8224 §6.2 step 1). Takes no
    /// longer than [`CallVerifier::longest`].
    pub async fn verify_call(
        &self,
        identities: &[String],
        from: &str,
        to: &str,
        date_unix_s: Option<u64>,
    ) -> Verdict {
        let begun = self.clock.now();
        let mut fault = None;
        for identity in identities.iter().take(limits::STIR_IDENTITIES) {
            if self.clock.now().since(begun) >= self.fetcher.config.timeout {
                break;
            }
            match self.verify(identity, from, to, date_unix_s).await {
                Verdict::Failed(Fault::OtherExtension) => {}
                Verdict::Failed(found) => fault = fault.or(Some(found)),
                passed => return passed,
            }
        }
        Verdict::Failed(fault.unwrap_or(Fault::Unsigned))
    }

    /// The longest that a call is checked: no further header is looked at once a fetch's time is over.
    pub fn longest(&self) -> Duration {
        self.fetcher.config.timeout * 2
    }

    fn check(&self, identity: &str, from: &str, to: &str, date_unix_s: Option<u64>) -> Check {
        let now = self.now_unix_s();
        self.locked(|verifier| verifier.verify(now, identity, from, to, date_unix_s))
    }

    fn now_unix_s(&self) -> u64 {
        u64::try_from(self.clock.unix_ms() / 1_000).unwrap_or_default()
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Verifier) -> T) -> T {
        // The store is whole after every step, so that a panic elsewhere does not spoil it.
        act(&mut self.verifier.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stir::tests::{Authority, ORIGID, PKCS8};
    use crate::stir::{Attestation, Signer};
    use rcgen::{CertificateParams, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    /// A TLS server on loopback that gives the same answer to everyone. Its port, and its certificate as PEM.
    async fn server(answer: Option<Vec<u8>>) -> (u16, String) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], der)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let Some(answer) = &answer else {
                    // Says nothing, and keeps the connection.
                    std::mem::forget(stream);
                    continue;
                };
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        });
        (port, certificate.pem())
    }

    fn ok(body: &[u8]) -> Option<Vec<u8>> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        Some([head.as_bytes(), body].concat())
    }

    fn fetcher(roots: &str) -> CertificateFetcher {
        let config = FetchConfig {
            extra_roots_pem: roots.to_owned(),
            allow_private: true,
            timeout: Duration::from_secs(20),
            ..FetchConfig::default()
        };
        CertificateFetcher::new(config).unwrap()
    }

    async fn ask(answer: Option<Vec<u8>>) -> Result<Bytes, FetchError> {
        let (port, roots) = server(answer).await;
        fetcher(&roots).fetch(&format!("https://localhost:{port}/cert.pem?x=1")).await
    }

    #[tokio::test]
    async fn answers() {
        assert_eq!(ask(ok(b"a certificate")).await.unwrap(), &b"a certificate"[..]);
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert_eq!(ask(Some(chunked.to_vec())).await.unwrap(), &b"abc"[..]);
        let until_close = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc";
        assert_eq!(ask(Some(until_close.to_vec())).await.unwrap(), &b"abc"[..]);
        let most = vec![b'x'; limits::STIR_CERTIFICATE_BYTES];
        assert_eq!(ask(ok(&most)).await.unwrap().len(), most.len());

        let elsewhere = b"HTTP/1.1 302 Found\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n";
        let moved = ask(Some(elsewhere.to_vec())).await;
        assert!(matches!(moved, Err(FetchError::Status { status: 302, .. })), "{moved:?}");
        let over = ask(ok(&vec![b'x'; limits::STIR_CERTIFICATE_BYTES + 1])).await;
        assert!(matches!(over, Err(FetchError::TooLarge)), "{over:?}");
        let endless =
            [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(), vec![b'x'; 200_000]].concat();
        let over = ask(Some(endless)).await;
        assert!(matches!(over, Err(FetchError::TooLarge)), "{over:?}");
        let cut = ask(Some(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec())).await;
        assert!(matches!(cut, Err(FetchError::Cut { .. })), "{cut:?}");
        let other = ask(Some(b"SSH-2.0-x\r\n".to_vec())).await;
        assert!(matches!(other, Err(FetchError::Http { .. })), "{other:?}");
    }

    #[tokio::test]
    async fn what_is_not_fetched() {
        let (port, roots) = server(ok(b"x")).await;
        let url = format!("https://localhost:{port}/");
        // Only a test may fetch from here, by any way of saying it.
        let config = FetchConfig { extra_roots_pem: roots.clone(), ..FetchConfig::default() };
        let careful = CertificateFetcher::new(config).unwrap();
        assert!(matches!(careful.fetch(&url).await, Err(FetchError::BadUrl)));
        for host in ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"] {
            let refused = careful.fetch(&format!("https://{host}/")).await;
            assert!(matches!(refused, Err(FetchError::NoAddress { .. })), "{host}: {refused:?}");
        }
        let fetch = fetcher(&roots);
        for bad in
            ["", "x", "/x", "http://localhost/", "ftp://localhost/", "https://a@localhost/", "https://"]
        {
            assert!(matches!(fetch.fetch(bad).await, Err(FetchError::BadUrl)), "{bad}");
        }
        // A server that no root stands behind, and one whose name is another.
        let (_, other_roots) = server(None).await;
        let stranger = fetcher(&other_roots).fetch(&url).await;
        assert!(matches!(stranger, Err(FetchError::Connect { .. })), "{stranger:?}");
        let misnamed = fetch.fetch(&format!("https://127.0.0.1:{port}/")).await;
        assert!(matches!(misnamed, Err(FetchError::Connect { .. })), "{misnamed:?}");
        // One that is not on the list.
        let mut choosy = fetcher(&roots);
        choosy.config.hosts = vec!["a.example".into(), ".localhost".into()];
        let elsewhere = choosy.fetch(&url).await;
        assert!(matches!(elsewhere, Err(FetchError::HostNotAllowed { .. })), "{elsewhere:?}");
        choosy.config.hosts.push("LocalHost".into());
        assert_eq!(choosy.fetch(&url).await.unwrap(), &b"x"[..]);
        // One that never answers.
        let (port, roots) = server(None).await;
        let mut impatient = fetcher(&roots);
        impatient.config.timeout = Duration::from_millis(300);
        let late = impatient.fetch(&format!("https://localhost:{port}/")).await;
        assert!(matches!(late, Err(FetchError::TimedOut)), "{late:?}");
        assert!(matches!(
            CertificateFetcher::new(FetchConfig {
                extra_roots_pem: "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n".into(),
                ..FetchConfig::default()
            }),
            Err(FetcherError::BadRoots)
        ));
    }

    #[test]
    fn a_host_and_all_below_it() {
        for (allowed, host, covered) in [
            ("a.example", "A.example", true),
            ("a.example", "b.a.example", false),
            (".example", "b.a.EXAMPLE", true),
            (".example", "example", false),
            (".example", ".example", false),
            (".example", "anexample", false),
        ] {
            assert_eq!(covers(allowed, host), covered, "{allowed} {host}");
        }
    }

    #[test]
    fn public_addresses() {
        for public in ["8.8.8.8", "100.63.0.1", "192.0.1.1", "198.20.0.1", "2606:4700::1", "2001:4860::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.31.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::",
            "3fff::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[tokio::test]
    async fn a_call_is_verified_with_what_is_fetched() {
        let authority = Authority::new((2020, 2099), true, PKCS8);
        let (port, roots) = server(ok(authority.chain_pem.as_bytes())).await;
        let clock = Clock::start();
        let now = u64::try_from(clock.unix_ms() / 1_000).unwrap();
        let url = format!("https://localhost:{port}/chain.pem");
        let sign = |url: &str| {
            let signer = Signer::new(PKCS8, url).unwrap();
            signer.sign(Attestation::B, "+12155550121", &["+12155550131"], now, ORIGID).unwrap()
        };
        let verifier = Verifier::new(&authority.root_pem).unwrap();
        let verifier = CallVerifier::new(verifier, fetcher(&roots), clock);
        let value = sign(&url);
        for _ in 0..2 {
            let verdict = verifier.verify(&value, "+12155550121", "+12155550131", Some(now)).await;
            assert!(matches!(verdict, Verdict::Passed(_)), "{verdict:?}");
        }
        let closed = sign("https://localhost:1/x");
        let verdict = verifier.verify(&closed, "+12155550121", "+12155550131", None).await;
        assert_eq!(verdict, Verdict::Failed(Fault::CertificateUnavailable));
        let wrong = verifier.verify(&value, "+12155550122", "+12155550131", None).await;
        assert_eq!(wrong, Verdict::Failed(Fault::OtherParty("caller")));

        // Any header may speak for the caller; those of other extensions say nothing.
        let other = value.replace("ppt=shaken", "ppt=div");
        for (identities, fault) in [
            (vec![closed.clone(), other.clone(), value.clone()], None),
            (vec![other.clone(), closed.clone(), "nonsense".into()], Some(Fault::CertificateUnavailable)),
            (vec![other], Some(Fault::Unsigned)),
            (Vec::new(), Some(Fault::Unsigned)),
            (vec![closed; limits::STIR_IDENTITIES], Some(Fault::CertificateUnavailable)),
        ] {
            let verdict = verifier.verify_call(&identities, "+12155550121", "+12155550131", None).await;
            match fault {
                None => assert!(matches!(verdict, Verdict::Passed(_)), "{verdict:?}"),
                Some(fault) => assert_eq!(verdict, Verdict::Failed(fault)),
            }
        }
        let beyond = [vec!["nonsense".to_owned(); limits::STIR_IDENTITIES], vec![value]].concat();
        let verdict = verifier.verify_call(&beyond, "+12155550121", "+12155550131", None).await;
        assert!(matches!(verdict, Verdict::Failed(Fault::Malformed(_))), "{verdict:?}");
    }
}
