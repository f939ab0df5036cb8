//! Kamailio as a stateful proxy between caller and answerer.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;

const CONFIG: &str = include_str!("../../kamailio.cfg");

/// A proxy that runs until it is dropped.
pub(super) struct Proxy {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
    _folder: TempDir,
}

impl Proxy {
    pub(super) fn start() -> anyhow::Result<Proxy> {
        let folder = tempfile::tempdir()?;
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let config = folder.path().join("kamailio.cfg");
        std::fs::write(&config, format!("{CONFIG}\nlisten=udp:{address}\n"))?;
        let mut command = Command::new("kamailio");
        command.arg("-f").arg(&config).args(["-D", "-E", "-m", "512", "-M", "16"]);
        command.arg("-w").arg(folder.path()).arg("-Y").arg(folder.path());
        let process = Process::peer(&mut command)?;
        // It says nothing when it listens.
        std::thread::sleep(Duration::from_secs(1));
        Ok(Proxy { process, address, _folder: folder })
    }
}
