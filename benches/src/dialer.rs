//! What a whole attempt costs the dialer: from the hopper over the committed attempt, the INVITE, the answer, the
//! bridge to an agent and the BYE to the stored outcome and disposition. Every call is answered and there is no talk.
//! The carrier and the agents' far ends are processes of their own and are not charged.

pub(crate) mod ours;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use kraliki_engine::Outcome;

use self::ours::{Desks, Dialed};
use crate::cpu::us_each;
use crate::process::{Process, kraliki};
use crate::results::{Better, Row};

/// What is dialed. A freed pair of ports rests some seconds: there must be enough for each call of that time.
struct Load {
    case: &'static str,
    agents: u32,
    /// INVITEs a second.
    cps: u32,
    /// As many as can be dialed in the run.
    leads: u32,
    dialer_ports: &'static str,
    carrier_ports: &'static str,
}

const LOADS: [Load; 2] = [
    Load {
        case: "attempt",
        agents: 60,
        cps: 300,
        leads: 9_000,
        dialer_ports: "22000-26999",
        carrier_ports: "27000-31999",
    },
    Load {
        case: "attempt_1700cps",
        agents: 300,
        cps: 1_700,
        leads: 40_000,
        // Two files a pair: a process may often have no more than 20,000.
        dialer_ports: "10000-28999",
        carrier_ports: "30000-48999",
    },
];
const SECONDS: u64 = 10;
/// A leg is silent after a second.
const SIGN_OF_LIFE: Duration = Duration::from_millis(400);
/// µs of CPU an attempt.
const TARGET: f64 = 300.0;

/// Everybody answers at once, and a tone is heard: a call without a single packet is no answered call.
const FLOOR: &str = r#"
name = "bench"
post_dial_delay_s = 0.005
person = 1.0
machine = 0.0
busy = 0.0
busy_after_s = 1.0
person_ring = { mean_s = 0.02, sd_s = 0.0 }
machine_ring = { mean_s = 1.0, sd_s = 0.0 }
machine_verdict_s = 1.0
talk = { mean_s = 1.0, sd_s = 0.0 }
wrap_up = { mean_s = 1.0, sd_s = 0.0 }
ring_timeout_s = 25
grace_ms = 2000
"#;

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    LOADS.iter().map(Load::run).collect()
}

impl Load {
    fn run(&self) -> anyhow::Result<Row> {
        let folder = tempfile::tempdir()?;
        let carrier = Carrier::start(folder.path(), self.carrier_ports)?;
        let far_end = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let numbers = [self.agents, self.leads, self.cps].map(|number| number.to_string());
        let [agents, leads, cps] = numbers.each_ref().map(String::as_str);
        let (to, from, seconds) =
            (carrier.address.to_string(), far_end.local_addr()?.to_string(), SECONDS.to_string());
        let arguments = [
            "dialer",
            "--carrier",
            &to,
            "--far-end",
            &from,
            "--ports",
            self.dialer_ports,
            "--agents",
            agents,
            "--leads",
            leads,
            "--cps",
            cps,
            "--seconds",
            &seconds,
        ];
        let mut dialer = Process::part(&arguments.map(String::from))?;
        let desks: Desks = dialer.report()?;
        let _alive = Alive::start(far_end, desks.0);
        let dialed: Dialed = dialer.report()?;
        let attempts: u64 = dialed.outcomes.values().sum();
        let connected = dialed.outcomes.get(&Outcome::Connected).copied().unwrap_or(0);
        let others = attempts - connected;
        let rate = attempts as f64 / dialed.seconds;
        let idle = dialed.idle_cpu.as_secs_f64() * 1e6 / rate.max(1.0);
        Ok(Row::new("dialer", self.case, "us", us_each(dialed.cpu, attempts), Better::Lower)
            .target(TARGET)
            // Calls that did not reach an agent had less to do, and a rate that was not kept is another row's.
            .only_if(
                others * 100 <= attempts
                    && dialed.undisposed == 0
                    && attempts > 0
                    && rate >= 0.8 * f64::from(self.cps),
            )
            .note(format!(
                "{attempts} attempts at {rate:.0}/s, {others} not connected, {} without disposition; of it {idle:.0} us \
                 for {agents} agents' idle audio",
                dialed.undisposed
            )))
    }
}

/// The simulated carrier; ends with its owner.
struct Carrier {
    child: Child,
    address: SocketAddr,
}

impl Carrier {
    fn start(folder: &Path, ports: &str) -> anyhow::Result<Carrier> {
        let floor = folder.join("floor.toml");
        fs::write(&floor, FLOOR)?;
        let profile = folder.join("carrier.toml");
        fs::write(&profile, format!("floor = {:?}\naudio = \"tone\"\n", floor.display().to_string()))?;
        let mut child = Command::new(kraliki()?)
            .args(["carrier", "--listen", "127.0.0.1:0", "--ports", ports, "--profile"])
            .arg(profile)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the carrier")?;
        let stderr = child.stderr.take();
        let mut carrier = Carrier { child, address: (Ipv4Addr::LOCALHOST, 0).into() };
        let mut lines = BufReader::new(stderr.context("the carrier has no standard error")?).lines();
        // It says first where it takes calls.
        let line = lines.next().context("the carrier did not start")??;
        let address = line.split_whitespace().find_map(|word| word.parse().ok());
        carrier.address = address.with_context(|| format!("the carrier says {line:?}"))?;
        // What else it says is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("carrier: {line}")));
        Ok(carrier)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends each agent's leg a packet now and then, until it is dropped.
struct Alive(Arc<AtomicBool>);

impl Alive {
    fn start(far_end: UdpSocket, legs: Vec<SocketAddr>) -> Alive {
        let alive = Alive(Arc::new(AtomicBool::new(true)));
        let go_on = alive.0.clone();
        std::thread::spawn(move || {
            let mut sequence: u16 = 0;
            while go_on.load(Ordering::Relaxed) {
                sequence = sequence.wrapping_add(1);
                let [s0, s1] = sequence.to_be_bytes();
                let [t0, t1, t2, t3] = (u32::from(sequence) * 3_200).to_be_bytes();
                let mut packet = vec![0x80, 0, s0, s1, t0, t1, t2, t3, 0, 0, 0, 9];
                packet.resize(12 + 160, 0xff);
                for leg in &legs {
                    // A leg that is gone needs no sign of life.
                    let _ = far_end.send_to(&packet, leg);
                }
                std::thread::sleep(SIGN_OF_LIFE);
            }
        });
        alive
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
