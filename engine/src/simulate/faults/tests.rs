//! A short run over every family, and kills at every step of a bounded one. `make soak` does the same for thousands of seeds.

use std::time::Duration;

use super::*;

fn sound(config: &FaultConfig) -> FaultReport {
    let report = run(config);
    assert_eq!(report.violations, [] as [String; 0], "replay it: {}", config.command());
    report
}

fn short(families: impl IntoIterator<Item = Family>, seed: u64) -> FaultConfig {
    FaultConfig { lasts: Duration::from_secs(240), ..FaultConfig::new(families, seed) }
}

#[test]
fn a_calm_world_connects_people() {
    let report = sound(&FaultConfig { agents: Some(8), ..FaultConfig::new([], 1) });
    let count = |outcome| report.outcomes.get(&outcome).copied().unwrap_or(0);
    assert!(count(Outcome::Connected) > 40, "{report:?}");
    assert_eq!((report.restarts, count(Outcome::UnknownCrash)), (0, 0), "{report:?}");
    let attempts = report.outcomes.values().sum::<u64>() - count(Outcome::NotSent);
    assert_eq!(report.dials - report.fail_overs, attempts);
}

#[test]
fn every_family_alone() {
    for family in Family::ALL {
        let (mut happened, mut dials, mut fail_overs) = (0, 0, 0);
        for seed in 0..6 {
            let report = sound(&short([family], seed));
            dials += report.dials;
            fail_overs += report.fail_overs;
            happened += report.faults.values().sum::<u64>();
        }
        // At some clock changes nobody may be called at first.
        assert!(dials > 100 && fail_overs > 10, "{}: {dials}, {fail_overs}", family.name());
        let momentary = matches!(
            family,
            Family::Kill | Family::PowerLoss | Family::Disk | Family::Trunk | Family::Agents | Family::Clock
        );
        assert_eq!(happened > 10, momentary, "{}: {happened}", family.name());
    }
}

#[test]
fn all_families_at_once_and_in_pairs() {
    for seed in 100..109 {
        sound(&short(Family::ALL, seed));
    }
    for seed in 200..213 {
        let n = seed as usize;
        let (a, b) = (Family::ALL[n % 11], Family::ALL[(n / 11 + n) % 11]);
        sound(&short([a, b], seed));
    }
}

#[test]
fn a_kill_at_every_other_step() {
    let of = |seed| FaultConfig {
        lasts: Duration::from_secs(20),
        agents: Some(3),
        ..FaultConfig::new([Family::Restless], seed)
    };
    // A run in which a call goes on by another trunk.
    let goes_on = |(_, report): &(FaultConfig, FaultReport)| report.steps > 300 && report.fail_overs > 0;
    let (whole, FaultReport { steps, .. }) =
        (1..20).map(|seed| (of(seed), sound(&of(seed)))).find(goes_on).unwrap();
    for step in (1..steps).step_by(2) {
        let config = FaultConfig { kill_at: Some(step), ..whole.clone() };
        let report = sound(&config);
        assert!(report.restarts <= 1, "{report:?}");
    }
}

#[test]
fn a_seed_repeats_a_run() {
    let config = FaultConfig { record: true, ..short(Family::ALL, 9) };
    let (one, two) = (run(&config), run(&config));
    assert!(one.outputs == two.outputs && one.journal == two.journal && !one.journal.is_empty());
}

#[test]
fn names_read_back_and_a_wrong_one_is_named() {
    assert_eq!(Family::parse("all").unwrap().len(), Family::ALL.len());
    let two = Family::parse("r1, nonsense").unwrap();
    assert_eq!(setting::names(&two), "r1,nonsense");
    assert_eq!(Family::parse("r1,r99").unwrap_err(), "r99");
    let config = FaultConfig { kill_at: Some(3), ..FaultConfig::new(two, 17) };
    assert_eq!(config.command(), "kraliki simulate --faults r1,nonsense --seed 17 --for 900s --kill-at 3");
}
