//! Listening: ports, certificates, limits of connections.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fixture::dialer;
use crate::error::ApiError;
use crate::server::{ApiConfig, TlsFiles, serve};

fn local() -> std::net::SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind(local()).unwrap();
    let addr = taken.local_addr().unwrap();
    let config = ApiConfig { listen: vec![local(), addr], ..ApiConfig::default() };
    let dialer = dialer(&[]).await;
    let error = serve(config, dialer.engine.clone(), std::future::pending()).await.unwrap_err();
    assert!(matches!(error, ApiError::PortInUse(at) if at == addr));
    assert!(error.to_string().contains("choose another port"), "{error}");
}

#[tokio::test]
async fn metrics_may_have_a_listener_of_their_own() {
    let config = ApiConfig { listen: vec![local()], metrics_listen: Some(local()), ..ApiConfig::default() };
    let dialer = dialer(&[]).await;
    let serving = serve(config, dialer.engine.clone(), std::future::pending()).await.unwrap();
    let get = async |addr: std::net::SocketAddr, path: &str| {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(get(serving.metrics_addr.unwrap(), "/metrics").await.contains("kraliki_http_connections 1"));
    assert!(get(serving.metrics_addr.unwrap(), "/api/campaigns").await.starts_with("HTTP/1.1 404"));
    assert!(!get(serving.addrs[0], "/metrics").await.contains("kraliki_"));
    assert!(get(serving.addrs[0], "/healthz").await.starts_with("HTTP/1.1 200"));
}

/// Writes a certificate for localhost and its key; gives the certificate.
fn certificate(files: &TlsFiles) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn files(dir: &Path) -> TlsFiles {
    TlsFiles { cert: dir.join("cert.pem"), key: dir.join("key.pem") }
}

/// Whether a client that trusts only this certificate gets an answer.
async fn answers(addr: std::net::SocketAddr, trusted: CertificateDer<'static>) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(addr).await.unwrap();
    let Ok(mut stream) = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await else {
        return false;
    };
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer.starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn certificates_are_read_again_and_bad_ones_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let first = certificate(&files);
    let config = ApiConfig { listen: vec![local()], tls: Some(files.clone()), ..ApiConfig::default() };
    let dialer = dialer(&[]).await;
    let serving = serve(config, dialer.engine.clone(), std::future::pending()).await.unwrap();
    let addr = serving.addrs[0];
    assert!(answers(addr, first.clone()).await);

    std::fs::write(&files.cert, "nonsense").unwrap();
    assert!(serving.reload().is_err());
    assert!(answers(addr, first.clone()).await);

    let second = certificate(&files);
    serving.reload().unwrap();
    assert!(answers(addr, second).await);
    assert!(!answers(addr, first).await);
}

#[tokio::test]
async fn unusable_certificates_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    certificate(&files);
    let other = dir.path().join("other.pem");
    let stranger = TlsFiles { cert: dir.path().join("stranger.pem"), key: other.clone() };
    certificate(&stranger);
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let rows: [(PathBuf, PathBuf, &Path, &str); 4] = [
        (
            dir.path().join("missing.pem"),
            files.key.clone(),
            &dir.path().join("missing.pem"),
            "cannot be read",
        ),
        (empty.clone(), files.key.clone(), &empty, "holds no certificate"),
        (files.cert.clone(), empty.clone(), &empty, "private key"),
        (files.cert.clone(), other, &files.cert, "does not fit its key"),
    ];
    let dialer = dialer(&[]).await;
    for (cert, key, at_fault, text) in rows {
        let config = ApiConfig { tls: Some(TlsFiles { cert, key }), ..ApiConfig::default() };
        let error = serve(config, dialer.engine.clone(), std::future::pending()).await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert!(matches!(error, ApiError::Tls { path, .. } if path == at_fault));
    }
}
