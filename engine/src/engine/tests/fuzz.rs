//! Seeded worlds: whatever happens, in whatever order, the invariants hold.

use super::world::{Setting, World};
use super::*;

fn run(setting: Setting) -> World {
    let seed = setting.seed;
    let mut world = World::new(setting);
    world.run();
    assert!(world.drained, "seed {seed}: the drain is not over");
    let snapshot = world.engine.snapshot(world.now);
    assert!(snapshot.calls.iter().all(|call| call.state == CallState::Ended), "seed {seed}");
    world.checker.finish(world.now, &snapshot);
    assert_eq!(world.checker.violations(), [] as [String; 0], "seed {seed}");
    let gauges = world.engine.gauges(world.now);
    assert_eq!((gauges.committing, gauges.facts_waiting, gauges.clearing), (0, 0, 0), "seed {seed}");
    assert_eq!(snapshot.trunks[0].channels, 0, "seed {seed}");
    world
}

fn modes() -> Vec<CampaignSettings> {
    vec![
        CampaignSettings { name: "a".into(), mode: Mode::Predictive, ..settings() },
        CampaignSettings {
            name: "b".into(),
            mode: Mode::Power,
            lines_per_agent: 2.5,
            priority: 1,
            ..settings()
        },
        CampaignSettings {
            name: "c".into(),
            mode: Mode::Progressive,
            agents: vec![AgentId(1), AgentId(2)],
            ..settings()
        },
    ]
}

/// Every mode at once, over the same agents.
fn every_mode() -> Vec<CampaignSettings> {
    let more = [("d", Mode::Preview), ("e", Mode::Manual), ("f", Mode::Agentless)];
    let more = more.map(|(name, mode)| CampaignSettings {
        name: name.into(),
        mode,
        preview_s: 10,
        preview_auto_dial: true,
        max_lines: 5,
        queue_wait_s: 6,
        ..settings()
    });
    let mut campaigns = modes();
    // Preview goes before the others for two agents, and after them for the rest.
    campaigns.extend(more);
    if let Some(preview) = campaigns.get_mut(3) {
        (preview.agents, preview.priority) = ((1..=4).map(AgentId).collect(), 2);
    }
    campaigns
}

#[test]
fn every_mode_over_the_same_agents() {
    for seed in 300..308 {
        let world = run(Setting {
            agents: 10,
            leads: 6_000,
            campaigns: every_mode(),
            restless: true,
            bad_disk: seed % 2 == 0,
            detecting: true,
            nonsense: if seed % 3 == 0 { 30 } else { 0 },
            ..Setting::calm(seed)
        });
        let outcomes = world.checker.outcomes();
        let count = |outcome| outcomes.get(&outcome).copied().unwrap_or(0);
        assert!(count(Outcome::Connected) > 20, "seed {seed}: {outcomes:?}");
        assert!(count(Outcome::PromptPlayed) + count(Outcome::OptedOut) > 5, "seed {seed}: {outcomes:?}");
    }
}

#[test]
fn a_calm_floor_connects_people() {
    let world = run(Setting::calm(1));
    let outcomes = world.checker.outcomes();
    let count = |outcome| outcomes.get(&outcome).copied().unwrap_or(0);
    assert!(count(Outcome::Connected) > 40, "{outcomes:?}");
    assert_eq!(count(Outcome::Abandoned), 0, "progressive abandons nobody");
    assert!(count(Outcome::NotSent) <= 2, "{outcomes:?}");
    let counters = world.engine.counters();
    assert_eq!(counters.outcomes, outcomes);
    assert_eq!(counters.attempts, outcomes.values().sum::<u64>());
    assert!(counters.bridge_us.quantile(0.99) <= 45_000);
    assert!(world.engine.gauges(world.now).occupancy > 0.4);
}

#[test]
fn restless_agents_and_a_bad_disk() {
    for seed in 100..112 {
        let world = run(Setting {
            agents: 12,
            campaigns: modes(),
            restless: true,
            bad_disk: true,
            detecting: seed % 2 == 0,
            ..Setting::calm(seed)
        });
        let outcomes = world.checker.outcomes();
        assert!(outcomes.get(&Outcome::Connected).copied().unwrap_or(0) > 20, "seed {seed}: {outcomes:?}");
    }
}

#[test]
fn nonsense_breaks_nothing() {
    for seed in 200..216 {
        run(Setting {
            lasts: Duration::from_secs(400),
            agents: 6,
            campaigns: modes(),
            max_cps: 3 + u32::try_from(seed % 5).unwrap() * 20,
            max_channels: 10,
            restless: true,
            bad_disk: true,
            detecting: true,
            nonsense: 6,
            ..Setting::calm(seed)
        });
    }
}
