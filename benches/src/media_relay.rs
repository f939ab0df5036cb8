//! What a relayed packet costs: calls between plain RTP legs, or with SRTP on the agents' side, both sides talking, the
//! same far ends for ours and for rtpengine in user space. And between carriers and browsers, which are clients of our own:
//! ICE, DTLS and SRTP as a browser has them.

mod browser;
pub(crate) mod floor;
mod load;
pub(crate) mod ours;
#[cfg(feature = "peers")]
mod peers;
mod rtpengine;
pub(crate) mod soak;

use std::time::Duration;

use anyhow::Context;
use kraliki_media::srtp::Profile;

use self::browser::{Browsers, Identity};
use self::floor::Sockets;
use self::load::{Agents, FarEnds, Load, PACKET};
#[cfg(feature = "peers")]
use self::peers::Peers;
use self::rtpengine::Rtpengine;
use crate::cpu::{resident, us_each};
use crate::process::{Process, installed};
use crate::results::{Better, Row};

const PAIRS: usize = 200;
/// The relays take turns, so that what else the machine does falls on each alike.
const ROUNDS: usize = 2;
/// By then every leg of ours has sent a report, and has its direct socket.
const WARM_UP: Duration = Duration::from_secs(8);
const ROUND: Duration = Duration::from_secs(6);
/// Calls whose agents are peers of the webrtc crate.
#[cfg(feature = "peers")]
const PEERS: usize = 100;
/// The relay's ports, below those that the system gives to others.
const PORT_MIN: u16 = 20_000;
const PORT_MAX: u16 = 25_999;
/// Of rtpengine's cost in the same run.
const TARGET_SHARE: f64 = 0.5;
/// Calls that are transcoded, and what a packet of theirs may cost, in µs.
const OPUS_PAIRS: usize = 20;
const OPUS_TARGET: f64 = 80.0;
/// Of a bridged call, in bytes.
const MEMORY_TARGET: f64 = 64.0 * 1_024.0;
/// Bridged calls of the growth rows, until they are too many.
const GROWTH: [usize; 8] = [100, 200, 400, 800, 1_050, 1_500, 2_000, 2_600];
/// The share of the packets of such calls that must have been sent.
const KEPT_RATE: f64 = 0.98;
/// Bridged calls that a core should carry without loss, and how busy it may be with them.
const MOST_TARGET: f64 = 1_050.0;
const MOST_LOAD: f64 = 0.7;
/// What a packet may cost beside the machine's floor: the design's machine had a floor of 4.65 µs, and 105,000 packets/s by 70% of
/// a core are 6.67 µs.
const FLOOR_TARGET: f64 = 1.43;
/// Calls with which that is measured.
const FLOOR_PAIRS: usize = 1_050;
/// What 99 of 100 packets may take longer on their way, in ms.
const DELAY_TARGET: f64 = 4.0;

/// The sum of some runs.
#[derive(Default)]
struct Sum {
    sent: u64,
    heard: u64,
    cpu: Duration,
    /// Resident memory that the calls took, in the round that took most.
    bytes: u64,
    /// What 99 of 100 packets took at most, in the worst round.
    delay_p99: Option<Duration>,
}

/// How the agents' side is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Srtp {
    Cm,
    Gcm,
}

impl Srtp {
    const fn profile(self) -> Profile {
        match self {
            Srtp::Cm => Profile::AesCm128HmacSha1_80,
            Srtp::Gcm => Profile::AeadAes128Gcm,
        }
    }

    /// Its name in session descriptions.
    const fn suite(self) -> &'static str {
        match self {
            Srtp::Cm => "AES_CM_128_HMAC_SHA1_80",
            Srtp::Gcm => "AEAD_AES_128_GCM",
        }
    }

    /// Its name as an argument.
    const fn argument(self) -> &'static str {
        match self {
            Srtp::Cm => "cm",
            Srtp::Gcm => "gcm",
        }
    }
}

/// What is relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Plain,
    /// The agents' side is encrypted.
    Secure(Srtp),
    /// The agents are browsers.
    Browser,
    /// The same, by the webrtc crate.
    #[cfg(feature = "peers")]
    Peer,
    /// The callers speak Opus, the agents G.711.
    Opus,
}

impl Case {
    fn srtp(self) -> Option<Srtp> {
        match self {
            Case::Secure(srtp) => Some(srtp),
            _ => None,
        }
    }

    fn far_ends(self) -> anyhow::Result<(FarEnds, FarEnds)> {
        let callers = if self == Case::Opus { FarEnds::opus()? } else { FarEnds::new(None)? };
        Ok((callers, FarEnds::new(self.srtp().map(Srtp::profile))?))
    }
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let peer = installed(rtpengine::PROGRAM);
    let mut rows = Vec::new();
    let cases = [
        ("plain", Case::Plain, PAIRS),
        ("srtp_cm", Case::Secure(Srtp::Cm), PAIRS),
        ("srtp_gcm", Case::Secure(Srtp::Gcm), PAIRS),
        ("opus_8k", Case::Opus, OPUS_PAIRS),
    ];
    rows.push(browsers()?);
    #[cfg(feature = "peers")]
    rows.push(other_agents()?);
    for (name, case, pairs) in cases {
        let (mut ours, mut theirs) = (Sum::default(), Sum::default());
        for _ in 0..ROUNDS {
            if peer {
                theirs.add_theirs(pairs, case).context("rtpengine")?;
            }
            ours.add_ours(pairs, case)?;
        }
        let row = beside(name, pairs, &ours, peer.then_some(&theirs));
        rows.push(if case == Case::Opus { row.target(OPUS_TARGET).only_if(ours.is_clean()) } else { row });
        if case == Case::Plain {
            rows.push(memory(&ours, peer.then_some(&theirs)));
        }
    }
    rows.extend(growth()?);
    Ok(rows)
}

/// Between carriers and browsers; rtpengine is not measured with them.
fn browsers() -> anyhow::Result<Row> {
    let mut ours = Sum::default();
    for _ in 0..ROUNDS {
        ours.add_ours(PAIRS, Case::Browser)?;
    }
    let row = Row::new("media_relay", "browser", "us", ours.cost(), Better::Lower);
    Ok(row.note(format!("a packet, {PAIRS} calls of a plain leg and a browser, DTLS-SRTP; {ours}")))
}

/// The same with agents whose WebRTC is not ours.
#[cfg(feature = "peers")]
fn other_agents() -> anyhow::Result<Row> {
    let mut ours = Sum::default();
    for _ in 0..ROUNDS {
        ours.add_ours(PEERS, Case::Peer)?;
    }
    let row = Row::new("media_relay", "webrtc_agents", "%", ours.lost_share() * 100.0, Better::Lower);
    Ok(row.target(0.1).note(format!(
        "lost, {PEERS} calls of a plain leg and a peer of the webrtc crate; {:.2} us a packet; {ours}",
        ours.cost()
    )))
}

fn beside(case: &str, pairs: usize, ours: &Sum, theirs: Option<&Sum>) -> Row {
    let row = Row::new("media_relay", case, "us", ours.cost(), Better::Lower);
    let detail = format!("a packet, {} legs; ours: {ours}", 2 * pairs);
    match theirs {
        // A relay that loses packets has less to do.
        Some(theirs) => row
            .beside("rtpengine", theirs.cost())
            .target(theirs.cost() * TARGET_SHARE)
            .only_if(ours.is_clean())
            .note(format!("{detail}; rtpengine: {theirs}")),
        None => row.note(format!("{detail}; rtpengine is not installed")),
    }
}

fn memory(ours: &Sum, theirs: Option<&Sum>) -> Row {
    let each = |sum: &Sum| sum.bytes as f64 / PAIRS as f64;
    let row = Row::new("media_relay", "memory", "bytes", each(ours), Better::Lower).target(MEMORY_TARGET);
    let row = row.note(format!("resident memory for each of {PAIRS} bridged calls of plain legs that talk"));
    match theirs {
        Some(theirs) => row.beside("rtpengine", each(theirs)),
        None => row,
    }
}

/// What a packet between a carrier and a browser costs as calls become more: it must not rise. And the most calls that lost
/// nothing, at all and with a part of the core to spare, and how late the packets of these were.
fn growth() -> anyhow::Result<Vec<Row>> {
    let (mut rows, mut first, mut clean) = (Vec::new(), None, Vec::new());
    for pairs in GROWTH {
        let mut ours = Sum::default();
        ours.add_ours(pairs, Case::Browser)?;
        let (cost, core) = (ours.cost(), ours.cpu.as_secs_f64() / ROUND.as_secs_f64());
        // A busy machine's far ends may not have said all that such calls say.
        let due = (2 * pairs) as f64 * ROUND.as_secs_f64() / PACKET.as_secs_f64();
        let is_clean = ours.is_clean() && ours.sent as f64 >= due * KEPT_RATE;
        rows.push(
            Row::new("media_relay", &format!("growth_{pairs}"), "us", cost, Better::Lower)
                .target(*first.get_or_insert(cost))
                .only_if(is_clean)
                .note(format!(
                    "a packet between a plain leg and a browser; {:.0}% of a core; {ours}",
                    core * 100.0
                )),
        );
        if !is_clean {
            break;
        }
        clean.push((pairs, core, ours.delay_p99));
    }
    // Where there is none they are 0, and what has a target does not hold.
    let (calls, core, _) = clean.last().copied().unwrap_or_default();
    let row = Row::new("media_relay", "limit_browser", "calls", calls as f64, Better::Higher);
    rows.push(row.note(format!(
        "the most of the growth rows on one shard that were said in full and lost at most 0.1%, by {:.0}% of a core",
        core * 100.0
    )));
    let spare = clean.iter().rfind(|(_, core, _)| *core <= MOST_LOAD);
    let (calls, core, delay) = spare.copied().unwrap_or_default();
    let core = format!("by {:.0}% of a core", core * 100.0);
    let row = Row::new("media_relay", "most_browser", "calls", calls as f64, Better::Higher);
    rows.push(row.target(MOST_TARGET).note(format!("of these by at most {:.0}%: {core}", MOST_LOAD * 100.0)));
    rows.extend(delay.map(|delay| {
        let row = Row::new("media_relay", "delay_p99", "ms", delay.as_secs_f64() * 1e3, Better::Lower);
        row.target(DELAY_TARGET).note(format!(
            "of these {calls} calls, {core}: 99 of 100 packets from a browser are with the caller within it, the far end's \
             look each millisecond included"
        ))
    }));
    Ok(rows)
}

/// What a packet between a carrier and a browser costs beside the least that the machine's kernel asks for one, in turns.
pub(crate) fn beside_floor() -> anyhow::Result<Vec<Row>> {
    let pairs = FLOOR_PAIRS;
    let (mut ours, mut floor) = (Sum::default(), Sum::default());
    for _ in 0..ROUNDS {
        floor.add_floor(pairs)?;
        ours.add_ours(pairs, Case::Browser)?;
    }
    let name = |what: &str| format!("{what}_{pairs}");
    let least = Row::new("media_floor", &name("floor"), "us", floor.cost(), Better::Lower).note(format!(
        "a packet received and sent by {pairs} sockets and one shared one, in batches as ours, and not looked at; {floor}"
    ));
    let ratio = ours.cost() / floor.cost();
    let beyond = Row::new("media_floor", &name("browser"), "ratio", ratio, Better::Lower);
    let beyond = beyond.target(FLOOR_TARGET).note(format!(
        "{:.2} us a packet, {pairs} calls of a plain leg and a browser, beside {:.2} us; {ours}",
        ours.cost(),
        floor.cost()
    ));
    Ok(vec![least, beyond])
}

/// Our relay with calls of a kind, their far ends, and the memory that it had before them.
fn ours_with(pairs: usize, case: Case, environment: &[(&str, &str)]) -> anyhow::Result<(Load, Process, u64)> {
    let (mut callers, mut agents) = case.far_ends()?;
    let (offering, offers) = Offering::of(case, pairs)?;
    let mut file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(&mut file, &offers)?;
    let [pairs, to_callers, to_agents] =
        [pairs.to_string(), callers.address()?.to_string(), agents.address()?.to_string()];
    let mut arguments = vec!["relay", "--pairs", &pairs, "--callers", &to_callers, "--agents", &to_agents];
    arguments.extend(case.srtp().iter().flat_map(|srtp| ["--srtp", srtp.argument()]));
    arguments.extend((case == Case::Opus).then_some("--opus"));
    let mut arguments: Vec<String> = arguments.into_iter().map(String::from).collect();
    if !offers.is_empty() {
        arguments.extend(["--offers".into(), file.path().to_string_lossy().into_owned()]);
    }
    let mut relay = Process::part_with(&arguments, environment)?;
    let legs: ours::Legs = relay.report()?;
    legs.callers.into_iter().for_each(|leg| callers.add(leg));
    legs.agents.into_iter().for_each(|leg| agents.add(leg));
    let agents = offering.connect(legs.answers, agents)?;
    Ok((Load::new(callers, agents), relay, legs.empty))
}

/// Who the agents' legs are agreed with.
enum Offering {
    /// Nobody: both sides know.
    Legs,
    Browsers(Identity),
    #[cfg(feature = "peers")]
    Peers(Peers),
}

impl Offering {
    /// And what they offer.
    fn of(case: Case, pairs: usize) -> anyhow::Result<(Offering, Vec<String>)> {
        match case {
            Case::Browser => {
                let identity = Identity::new()?;
                let offers = vec![identity.offer(); pairs];
                Ok((Offering::Browsers(identity), offers))
            }
            #[cfg(feature = "peers")]
            Case::Peer => {
                let (peers, offers) = Peers::new(pairs)?;
                Ok((Offering::Peers(peers), offers))
            }
            _ => Ok((Offering::Legs, Vec::new())),
        }
    }

    /// `voice`: the far ends of legs, or what the others say.
    fn connect(self, answers: Vec<String>, voice: FarEnds) -> anyhow::Result<Agents> {
        match self {
            Offering::Legs => Ok(Agents::Legs(voice)),
            Offering::Browsers(identity) => {
                Ok(Agents::Browsers(Browsers::connect(&identity, &answers)?, voice))
            }
            #[cfg(feature = "peers")]
            Offering::Peers(peers) => {
                peers.connect(answers)?;
                Ok(Agents::Peers(peers, voice))
            }
        }
    }
}

impl Sum {
    fn add_ours(&mut self, pairs: usize, case: Case) -> anyhow::Result<()> {
        let (load, relay, empty) = ours_with(pairs, case, &[])?;
        self.measure(load, &relay, empty)
    }

    fn add_floor(&mut self, pairs: usize) -> anyhow::Result<()> {
        let padding = Profile::AeadAes128Gcm.rtp_overhead();
        let (mut callers, voice) = (FarEnds::new(None)?, FarEnds::new(None)?);
        callers.padding = padding;
        let agents = Sockets::open(pairs, padding)?;
        let arguments =
            ["floor", "--callers", &callers.address()?.to_string(), "--agents", &agents.addresses()?];
        let mut relay = Process::part(&arguments.map(String::from))?;
        let heard: floor::Heard = relay.report()?;
        agents.connect(heard.agents)?;
        heard.callers.into_iter().for_each(|leg| callers.add(leg));
        self.measure(Load::new(callers, Agents::Sockets(agents, voice)), &relay, 0)
    }

    fn add_theirs(&mut self, pairs: usize, case: Case) -> anyhow::Result<()> {
        let (mut callers, mut agents) = case.far_ends()?;
        let mut relay = Rtpengine::start()?;
        let empty = resident(relay.process.id())?;
        for number in 0..pairs {
            let (caller, agent) = relay.call(number, callers.address()?, agents.address()?, case)?;
            callers.add(caller);
            agents.add(agent);
        }
        self.measure(Load::new(callers, Agents::Legs(agents)), &relay.process, empty)
    }

    /// `empty`: the relay's memory before it had calls.
    fn measure(&mut self, mut load: Load, relay: &Process, empty: u64) -> anyhow::Result<()> {
        load.run(WARM_UP)?;
        load.take_delay_p99();
        let (sent, heard, cpu) = (load.sent, load.heard, relay.cpu()?);
        load.run(ROUND)?;
        self.bytes = self.bytes.max(resident(relay.id())?.saturating_sub(empty));
        self.cpu += relay.cpu()? - cpu;
        self.sent += load.sent - sent;
        self.heard += load.heard - heard;
        self.delay_p99 = self.delay_p99.max(load.take_delay_p99());
        Ok(())
    }

    /// µs of CPU for a relayed packet.
    fn cost(&self) -> f64 {
        us_each(self.cpu, self.heard)
    }

    fn is_clean(&self) -> bool {
        self.lost_share() <= 0.001
    }

    fn lost_share(&self) -> f64 {
        self.sent.saturating_sub(self.heard) as f64 / self.sent.max(1) as f64
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} packets, {:.2}% lost", self.sent, self.lost_share() * 100.0)?;
        self.delay_p99.map_or(Ok(()), |delay| write!(f, ", p99 {:.1} ms", delay.as_secs_f64() * 1e3))
    }
}
