//! SIPp as the caller or the answerer.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use super::ours::Placed;
use crate::process::Process;

const UAC: &str = include_str!("../../sipp/uac.xml");
const UAS: &str = include_str!("../../sipp/uas.xml");
/// The same receive buffer as ours asks for: at thousands of calls a second the usual one overflows.
const BUFFER_BYTES: &str = "8388608";
/// SIPp writes its statistics every second; the last line comes a little later than the last call.
const SETTLE: Duration = Duration::from_millis(1_200);

/// An answerer that runs until it is dropped.
pub(super) struct Uas {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
    folder: TempDir,
}

impl Uas {
    pub(super) fn start() -> anyhow::Result<Uas> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let process = Process::peer(&mut sipp(folder.path(), UAS, address)?)?;
        // It says nothing when it listens.
        std::thread::sleep(Duration::from_millis(500));
        Ok(Uas { process, address, folder })
    }

    /// Messages that it sent again.
    pub(super) fn retransmitted(&self) -> anyhow::Result<u64> {
        std::thread::sleep(SETTLE);
        last(self.folder.path(), "Retransmissions(C)")
    }
}

/// Places calls; gives what came of them and the CPU time.
pub(super) fn call(
    to: SocketAddr,
    rate: u64,
    calls: u64,
    hold_ms: u64,
) -> anyhow::Result<(Placed, Duration)> {
    let folder = tempfile::tempdir()?;
    let mut command = sipp(folder.path(), UAC, free_address()?)?;
    let at_once = (rate * (4 + hold_ms / 1_000)).max(1_000);
    command.args(["-s", "+15550199", "-rp", "1000", "-r", &rate.to_string(), "-m", &calls.to_string()]);
    command.args(["-d", &hold_ms.to_string(), "-l", &at_once.to_string(), &to.to_string()]);
    let lasts = Duration::from_secs_f64(calls as f64 / rate as f64) + Duration::from_millis(hold_ms);
    let began = std::time::Instant::now();
    let cpu = Process::peer(&mut command)?.wait(lasts + Duration::from_secs(45))?;
    let placed = Placed {
        complete: last(folder.path(), "SuccessfulCall(C)")?,
        failed: last(folder.path(), "FailedCall(C)")?,
        retransmitted: last(folder.path(), "Retransmissions(C)")?,
        seconds: began.elapsed().as_secs_f64(),
        ..Placed::default()
    };
    Ok((placed, cpu))
}

fn sipp(folder: &Path, scenario: &str, address: SocketAddr) -> anyhow::Result<Command> {
    let file = folder.join("scenario.xml");
    fs::write(&file, scenario)?;
    let mut command = Command::new("sipp");
    command.current_dir(folder).arg("-sf").arg(file);
    command.args(["-i", &address.ip().to_string(), "-p", &address.port().to_string(), "-nostdin"]);
    command.args(["-buff_size", BUFFER_BYTES, "-trace_stat", "-stf", "stat.csv", "-fd", "1"]);
    Ok(command)
}

/// The last value of a column of the statistics.
fn last(folder: &Path, column: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(folder.join("stat.csv")).context("SIPp wrote no statistics")?;
    let mut lines = text.lines();
    let names = lines.next().unwrap_or_default().split(';');
    let value = names.zip(lines.last().unwrap_or_default().split(';')).find(|(name, _)| *name == column);
    let (_, value) = value.with_context(|| format!("SIPp's statistics have no {column}"))?;
    value.parse().with_context(|| format!("SIPp's {column} is {value:?}"))
}

/// A port that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
