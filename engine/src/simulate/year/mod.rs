//! A year of dialing under every shipped profile, in virtual time, with the real store: leads on the borders of time zones
//! and states, clock changes, holidays, crashes. What comes of it is a database that somebody else looks at
//! (`scripts/check-compliance`): here nothing is judged.
//!
//! It is sparse: some leads in each place, who want to be called at all hours, so that a year takes a minute or two.

mod leads;
mod lines;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::store::StoreError;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct YearConfig {
    /// The database that is made; it must not exist.
    pub store: PathBuf,
    /// When it begins, in ms since 1970.
    pub start_unix_ms: i64,
    /// How many days.
    pub days: u32,
    /// Only one lead of so many; 1: all.
    pub every: usize,
    /// Seed of everything that happens by chance.
    pub seed: u64,
}

impl YearConfig {
    /// A year from New Year's Day 2027, 00:00 UTC, on.
    pub fn new(store: PathBuf) -> YearConfig {
        YearConfig { store, start_unix_ms: 1_798_761_600_000, days: 365, every: 1, seed: 1 }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct YearReport {
    /// Attempts, by campaign.
    pub attempts: BTreeMap<String, u64>,
    /// Leads that the gate refused, by rule.
    pub refused: BTreeMap<String, u64>,
    /// Outcomes.
    pub outcomes: BTreeMap<String, u64>,
    /// Crashes in the middle of dialing.
    pub crashes: u32,
    /// Times at which a ledger differed across a restart.
    pub ledger_differs: u32,
}

/// Why it could not be run.
#[derive(Debug, thiserror::Error)]
pub enum YearError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine refused what the simulation set up.
    #[error("{0}")]
    Refused(String),
}

/// Runs it.
pub async fn run(config: &YearConfig) -> Result<YearReport, YearError> {
    world::World::new(config).await?.run().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn days_around_a_holiday_and_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let config = YearConfig { days: 1, every: 5, ..YearConfig::new(dir.path().join("year.db")) };
        let report = run(&config).await.unwrap();
        assert!(report.attempts.values().sum::<u64>() > 10, "{report:?}");
        // The first of January: nobody in Spain is called, nor in Louisiana.
        assert!(report.refused.contains_key("legal_hours"), "{report:?}");
        assert!(report.crashes > 0 && report.ledger_differs == 0, "{report:?}");
    }
}
