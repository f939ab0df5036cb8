//! Kamailio as the edge of a carrier: it records its route, and speaks UDP and TLS to the dialer.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::support::{Process, Site, wait_for};

/// Kamailio and its children are up, or gone.
const SOON: Duration = Duration::from_secs(20);

/// A running Kamailio; ended when dropped, its children too.
pub(super) struct Edge(Option<Process>);

impl Edge {
    /// Takes calls at two ports, and hands them on to two more of the same order.
    pub(super) fn start(site: &Site, udp: [u16; 2], tls: [u16; 2]) -> Edge {
        let dir = site.dir.path();
        let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/kamailio.cfg"))
            .unwrap();
        let text = text
            .replace("[udp_port]", &udp[0].to_string())
            .replace("[tls_port]", &tls[0].to_string())
            .replace("[behind_udp]", &udp[1].to_string())
            .replace("[behind_tls]", &tls[1].to_string())
            .replace("[certificate]", &file("edge.pem"))
            .replace("[key]", &file("edge.key"));
        std::fs::write(file("kamailio.cfg"), text).unwrap();
        // -DD: it stays in the foreground; -E: it tells us and not the system's log.
        let (config, here) = (file("kamailio.cfg"), file(""));
        let args = ["-DD", "-E", "-f", &config, "-m", "32", "-M", "4", "-w", &here, "-Y", &here];
        let edge = Edge(Some(Process::start("/usr/sbin/kamailio", &args, dir)));
        wait_for("Kamailio to listen", SOON, || std::net::TcpStream::connect(("127.0.0.1", tls[0])).ok());
        edge
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // A killed one would leave its children behind.
        if let Some(process) = self.0.take() {
            process.signal("TERM");
            process.finish(SOON);
        }
    }
}

/// An authority (`ca.pem`) and, made by it, what the edge and the dialer show: `edge.pem`, `dialer.pem` and their keys.
pub(super) fn certificates(site: &Site) {
    let write = |name: &str, pem: String| std::fs::write(site.dir.path().join(name), pem).unwrap();
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root_key = KeyPair::generate().unwrap();
    write("ca.pem", root.self_signed(&root_key).unwrap().pem());
    let issuer = Issuer::new(root, root_key);
    for name in ["edge", "dialer"] {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        write(&format!("{name}.pem"), leaf.signed_by(&key, &issuer).unwrap().pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}
