//! Connections over loopback, with real sockets: our endpoints with each other, and with peers that misbehave.

mod calls;
mod certificates;
mod peers;
mod websocket;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kraliki_time::Clock;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::stream::Times;
use super::{
    ClientFiles, EventReceiver, Listen, NetConfig, SipHandle, StartError, TlsConfig, TlsFiles, start_with,
};
use crate::event::{AcceptFrom, Body, EndedBy, EndpointConfig, Event, Failure, InviteRequest};
use crate::transport::{Destination, Transport};

/// The name in our peers' certificates.
const NAME: &str = "sip.example.com";

/// Ends a test that would wait for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), what).await.expect("it never happened")
}

/// One endpoint with its driver.
struct End {
    sip: SipHandle,
    events: EventReceiver,
}

impl End {
    fn new(transport: Transport) -> End {
        End::with(Listen::new(transport, "127.0.0.1:0".parse().unwrap()), Times::default(), None)
    }

    fn with(listen: Listen, times: Times, tls: Option<TlsConfig>) -> End {
        let net = NetConfig { listen: vec![listen], tls, ..NetConfig::default() };
        let config = EndpointConfig { accept_from: AcceptFrom::Any, ..EndpointConfig::default() };
        let (sip, events) = start_with(net, config, Clock::start(), [7; 32], times).unwrap();
        End { sip, events }
    }

    fn address(&self) -> SocketAddr {
        self.sip.local_addresses()[0]
    }

    async fn event(&mut self) -> Event {
        soon(self.events.recv()).await.unwrap().1
    }

    /// The next event that is not 100.
    async fn told(&mut self) -> Event {
        loop {
            match self.event().await {
                Event::Trying { .. } => {}
                event => return event,
            }
        }
    }

    fn stats(&self) -> &crate::Stats {
        self.sip.stats()
    }

    /// Waits until it is so.
    async fn until(&self, so: impl Fn(&crate::Stats) -> bool) {
        soon(async {
            while !so(self.stats()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    /// Waits until no connection is left.
    async fn quiet(&self) {
        self.until(|stats| stats.connections.get() == 0).await;
    }
}

fn destination(address: SocketAddr, transport: Transport) -> Destination {
    let server_name = transport.is_secure().then(|| NAME.into());
    Destination { server_name, ..Destination::new(address, transport) }
}

/// A whole call from one to the other, ended by `callee` or the caller.
async fn call(caller: &mut End, callee: &mut End, to: Destination, id: &str, callee_ends: bool) {
    let body = Some(Body::sdp("v=0\r\n"));
    let ours = caller.sip.invite(InviteRequest { body, ..InviteRequest::new(to, "sip:1@h", id) }).unwrap();
    let Event::Incoming { call: theirs, .. } = callee.told().await else { panic!() };
    callee.sip.ring(theirs, 180, None).unwrap();
    assert!(matches!(caller.told().await, Event::Progress { status: 180, .. }));
    callee.sip.answer(theirs, Some(Body::sdp("v=0\r\n"))).unwrap();
    let Event::Answered { body, .. } = caller.told().await else { panic!() };
    assert_eq!(&body.unwrap().data[..], b"v=0\r\n");
    assert!(matches!(callee.told().await, Event::Acknowledged { .. }));
    if callee_ends {
        callee.sip.bye(theirs, None).unwrap();
    } else {
        caller.sip.bye(ours, None).unwrap();
    }
    let (first, second) = (caller.told().await, callee.told().await);
    let by = |event| match event {
        Event::Ended { by, .. } => by,
        other => panic!("{other:?}"),
    };
    let remote_ended = [by(first), by(second)].map(|by| by == EndedBy::Remote);
    assert_eq!(remote_ended, [callee_ends, !callee_ends]);
}

async fn fails(end: &mut End, to: Destination) -> Failure {
    end.sip.invite(InviteRequest::new(to, "sip:1@h", "id-fails")).unwrap();
    match end.told().await {
        Event::Failed { failure, .. } => failure,
        other => panic!("{other:?}"),
    }
}

/// A request of a peer that is not ours.
fn options(peer: SocketAddr, sent_by: &str, branch: usize) -> String {
    format!(
        "OPTIONS sip:a@{peer} SIP/2.0\r\nVia: SIP/2.0/TCP {sent_by};branch=z9hG4bK{branch};rport\r\n\
         From: <sip:x@h>;tag=1\r\nTo: <sip:a@h>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Reads until there is an empty line.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Waits until the peer has closed; what comes before is let go.
async fn read_to_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = soon(stream.read_to_end(&mut rest)).await;
}

/// An authority and what it signs, as PEM files in a directory of their own.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

impl Authority {
    fn new() -> Authority {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("kraliki-sip-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Authority { issuer, directory };
        std::fs::write(authority.root(), authority.issuer.pem()).unwrap();
        authority
    }

    fn root(&self) -> PathBuf {
        self.directory.join("root.pem")
    }

    /// A certificate for a name, and its key.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = (self.directory.join(format!("{name}.pem")), self.directory.join(format!("{name}.key")));
        std::fs::write(&files.0, certificate.pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }

    /// A peer of this name that believes this authority of a server called [`NAME`].
    fn files(&self, name: &str) -> TlsFiles {
        let (certificate, key) = self.sign(name);
        let clients = vec![ClientFiles { server: NAME.into(), ca: Some(self.root()), certificate: None }];
        TlsFiles { certificate, key, client_ca: None, clients }
    }

    fn tls(&self) -> TlsConfig {
        self.files(NAME).load().unwrap()
    }

    fn end(&self, times: Times) -> End {
        self.end_with(times, self.tls())
    }

    fn end_with(&self, times: Times, tls: TlsConfig) -> End {
        End::with(Listen::new(Transport::Tls, "127.0.0.1:0".parse().unwrap()), times, Some(tls))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

async fn write(stream: &mut TcpStream, text: &str) {
    soon(stream.write_all(text.as_bytes())).await.unwrap();
}
