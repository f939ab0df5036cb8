//! What a run begins with, drawn from its seed: campaigns of every mode that share agents, trunks, leads in several time
//! zones, people.

use std::collections::BTreeSet;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::super::floor::{Floor, Lasting};
use super::carrier::Troubles;
use super::{Family, FaultConfig, pick};
use crate::compliance::NO_PROFILE;
use crate::{
    AgentId, AgentLost, CallerIdPool, CallerIdPoolId, CallingWindow, Campaign, CampaignId, CampaignSettings,
    CampaignStatus, Consent, GroupMember, Lead, LeadId, ListId, Mode, Outcome, OverCap, Pii, RecordingPolicy,
    RetryRule, Trunk, TrunkGroup, TrunkGroupId, TrunkId,
};

/// A Wednesday, 12:00 in New York.
const NOON: i64 = 1_795_021_200_000;
/// Ten minutes before the clocks change, with the local hour: New York forward and back, Prague forward and back.
const CHANGES: [(i64, &str, &str); 4] = [
    (1_772_952_600_000, "01:55", "03:10"),
    (1_793_512_200_000, "01:00", "01:55"),
    (1_774_745_400_000, "01:55", "03:10"),
    (1_792_889_400_000, "02:00", "02:55"),
];
const ZONES: [&str; 6] = [
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "America/Phoenix",
    "Europe/Prague",
    "Asia/Tokyo",
];

pub(super) struct Setting {
    pub(super) start_unix_ms: i64,
    pub(super) agents: i64,
    /// The first stands in the configuration, the second was made by API.
    pub(super) trunks: Vec<Trunk>,
    pub(super) groups: Vec<(TrunkGroupId, TrunkGroup)>,
    pub(super) pools: Vec<(CallerIdPoolId, CallerIdPool)>,
    pub(super) campaigns: Vec<Campaign>,
    pub(super) leads: Vec<Lead>,
    pub(super) floor: Floor,
    pub(super) troubles: Troubles,
    /// One in so many inputs is followed by nonsense; 0: none.
    pub(super) nonsense: u32,
    /// Commands come in at this pace, in ms; 0: only those of agents.
    pub(super) flood_ms: u64,
}

/// The number of the lead with this id.
pub(super) fn phone(id: i64) -> String {
    format!("+1{:03}555{:04}", 201 + id.div_euclid(10_000).rem_euclid(700), id.rem_euclid(10_000))
}

pub(super) fn draw(config: &FaultConfig, rng: &mut ChaCha8Rng) -> Setting {
    let has = |family| config.families.contains(&family);
    let overload = has(Family::Overload);
    let agents = config.agents.map_or_else(|| rng.random_range(3..=12), i64::from);
    let trunk = |n: usize, max_cps, max_channels| Trunk {
        max_cps,
        max_channels,
        breaker_failures: 5,
        breaker_pause_s: 5,
        options_keepalive: n == 2,
        ..Trunk::new(if n == 1 { TrunkId(1) } else { MADE }, &format!("trunk-{n}"), "+12025550100")
    };
    let mut trunks = if overload {
        vec![trunk(1, 3, 8), trunk(2, 2, 6)]
    } else {
        vec![
            trunk(1, rng.random_range(3..=40), rng.random_range(8..=60)),
            trunk(2, rng.random_range(2..=20), rng.random_range(5..=40)),
        ]
    };
    // In every other run carriers are poor, and each trunk takes what the other cannot.
    let poor = rng.random_range(0..2) == 0;
    if poor {
        for (trunk, other) in trunks.iter_mut().zip([MADE, TrunkId(1)]) {
            trunk.fail_over = vec![other];
        }
    }
    // In one run of three the first trunk's money is used up, in the middle of things.
    if let (0, Some(first)) = (rng.random_range(0..3), trunks.first_mut()) {
        first.prices = [("+1".to_owned(), 60_000)].into();
        first.spend_per_day = rng.random_range(100_000..=1_500_000);
        first.over_cap = pick(rng, OverCap::End, &[OverCap::Finish]);
    }
    let (start_unix_ms, hours) = hours(has(Family::Clock), rng);
    let campaigns = campaigns(overload, &hours, rng);
    let per_campaign = if overload { 2_000 } else { rng.random_range(60..=700) };
    let leads = leads(campaigns.len(), per_campaign, rng);
    Setting {
        start_unix_ms,
        agents,
        trunks,
        groups: vec![(TrunkGroupId(1), group())],
        pools: vec![(CallerIdPoolId(1), pool())],
        campaigns,
        leads,
        floor: floor(rng),
        troubles: Troubles {
            mess: has(Family::Lines),
            vanish: has(Family::Vanish),
            poor,
            detecting: rng.random_range(0..2) == 0,
        },
        nonsense: if has(Family::Nonsense) { rng.random_range(3..=60) } else { 0 },
        flood_ms: if overload { 20 } else { 0 },
    }
}

/// When the run begins, and the campaigns' windows: around a change of the clocks where that is the fault.
fn hours(clock: bool, rng: &mut ChaCha8Rng) -> (i64, Vec<CallingWindow>) {
    let window =
        |from: &str, to: &str| CallingWindow { days: (1..=7).collect(), from: from.into(), to: to.into() };
    if !clock {
        return (NOON, vec![window("09:00", "20:00")]);
    }
    if rng.random_range(0..3) == 0 {
        // The last minutes of the day on the East coast, the first ones further west.
        let at = NOON + 8 * 3_600_000 - 300_000;
        return (at, vec![window("09:00", "20:00")]);
    }
    let [first, others @ ..] = CHANGES;
    let (at, from, to) = pick(rng, first, &others);
    (at, vec![window("00:00", from), window(to, "24:00")])
}

/// The trunk that was made by API.
pub(super) const MADE: TrunkId = TrunkId::FIRST_STORED;

/// The campaign in which agents dial by hand.
pub(super) const MANUAL: CampaignId = CampaignId(5);

/// Both trunks, the second one for the numbers that it is meant for and when the first takes none.
fn group() -> TrunkGroup {
    let member = |trunk: &str, priority, prefixes: &[&str]| GroupMember {
        trunk: trunk.into(),
        priority,
        weight: 1,
        prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
    };
    let members = vec![member("trunk-1", 1, &[]), member("trunk-2", 2, &["+12", "+13"])];
    TrunkGroup { name: "both".into(), least_cost: false, members }
}

fn pool() -> CallerIdPool {
    CallerIdPool {
        name: "pool".into(),
        numbers: (1..=5).map(|n| format!("+1202555018{n}")).collect(),
        calls_per_day: 400,
        quarantine_h: 1,
        ..CallerIdPool::default()
    }
}

fn campaigns(overload: bool, hours: &[CallingWindow], rng: &mut ChaCha8Rng) -> Vec<Campaign> {
    // Retries come within the run, so that there is something to see.
    let outcomes = Outcome::ALL.into_iter().filter(|outcome| crate::lead::retry::may_override(*outcome));
    let retry: Vec<(Outcome, RetryRule)> =
        outcomes.map(|outcome| (outcome, RetryRule::after(rng.random_range(20..=240), 100))).collect();
    let base = CampaignSettings {
        calling_hours: hours.to_vec(),
        // Numbers and zones are drawn by themselves, and no law knows such places.
        compliance: NO_PROFILE.into(),
        retry: retry.into_iter().collect(),
        max_attempts: rng.random_range(1..=4),
        wrap_up_s: rng.random_range(0..=1) * 30,
        grace_ms: pick(rng, 0, &[2_000, 2_000, 10_000]),
        agent_lost: pick(rng, AgentLost::Offer, &[AgentLost::End]),
        // Some longer than a trunk may be silent.
        ring_timeout_s: rng.random_range(15..=45),
        ..CampaignSettings::default()
    };
    let lines_per_agent = if overload { 10.0 } else { rng.random_range(10..=40) as f64 / 10.0 };
    let all = [
        CampaignSettings {
            name: "a".into(),
            mode: Mode::Predictive,
            recording: RecordingPolicy::All,
            ..base.clone()
        },
        CampaignSettings {
            name: "b".into(),
            mode: Mode::Power,
            lines_per_agent,
            priority: 1,
            trunk: "trunk-2".into(),
            ..base.clone()
        },
        CampaignSettings {
            name: "c".into(),
            mode: Mode::Progressive,
            agents: vec![AgentId(1), AgentId(2)],
            trunk: "both".into(),
            caller_id_pool: "pool".into(),
            ..base.clone()
        },
        // Agents 2 and 3 look at leads before anything else comes, and dial by hand between calls.
        CampaignSettings {
            name: "d".into(),
            mode: Mode::Preview,
            agents: vec![AgentId(2), AgentId(3)],
            priority: 2,
            preview_s: 10,
            preview_auto_dial: true,
            recording: RecordingPolicy::All,
            ..base.clone()
        },
        CampaignSettings { name: "e".into(), mode: Mode::Manual, ..base },
    ];
    let running = |(n, settings)| Campaign { id: CampaignId(n), status: CampaignStatus::Running, settings };
    (1..).zip(all).map(running).collect()
}

fn leads(campaigns: usize, each: i64, rng: &mut ChaCha8Rng) -> Vec<Lead> {
    let many = i64::try_from(campaigns).unwrap_or(1);
    let zones = rng.random_range(1..=ZONES.len());
    (1..=each * many)
        .map(|id| Lead {
            id: LeadId(id),
            campaign: CampaignId(1 + id % many),
            list: ListId(1),
            // Some numbers stand on the lists of two campaigns.
            phone: Pii(phone(if id % 10 == 1 && id > 1 { id - 1 } else { id })),
            phones: Vec::new(),
            time_zone: ZONES.get(rng.random_range(0..zones)).copied().unwrap_or("UTC").into(),
            country: String::new(),
            state: String::new(),
            consent: Consent::default(),
            on_national_list: false,
            recent: Vec::new(),
            priority: i32::from(rng.random_range(0..8) == 0),
            attempts: 0,
            last_outcome: None,
            last_agent: None,
            repeats: 0,
            callback: None,
            own: Vec::new(),
            turn: 0,
            first_name: Pii::default(),
            last_name: Pii::default(),
            custom: Pii::default(),
            last_caller_id: String::new(),
        })
        .collect()
}

fn floor(rng: &mut ChaCha8Rng) -> Floor {
    Floor {
        name: "faults".into(),
        post_dial_delay_s: rng.random_range(2..=20) as f64 / 10.0,
        person: 0.4,
        lists: Vec::new(),
        areas: Vec::new(),
        hours: Vec::new(),
        retries: Vec::new(),
        machine: 0.15,
        busy: 0.1,
        busy_after_s: 0.5,
        person_ring: Lasting { mean_s: 8.0, sd_s: 4.0 },
        machine_ring: Lasting { mean_s: 12.0, sd_s: 4.0 },
        machine_verdict_s: 2.5,
        machine_missed: 0.05,
        missed_talk: Lasting { mean_s: 5.0, sd_s: 2.0 },
        person_missed: 0.02,
        talk: Lasting { mean_s: 30.0, sd_s: 30.0 },
        wrap_up: Lasting { mean_s: 5.0, sd_s: 3.0 },
        ring_timeout_s: 25,
        grace_ms: 2_000,
    }
}

/// Names of families, for a command line.
pub(super) fn names(families: &BTreeSet<Family>) -> String {
    families.iter().map(|family| family.name()).collect::<Vec<_>>().join(",")
}
