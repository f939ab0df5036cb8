//! The simulated leads: without end, each with a list, an area and a past that say how likely a person answers.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::floor::Floor;
use super::world::CAMPAIGN;
use crate::{Consent, Lead, LeadId, ListId, Outcome, Pii};

/// Numbers of an area before they begin anew: seven digits.
const NUMBERS: i64 = 10_000_000;
/// The first area code; the exchange of the numbers is whatever it becomes, since nothing leaves the simulation.
const FIRST_AREA: usize = 200;
/// No lead is sure to be there.
const SURE: f64 = 0.95;

/// What a lead is like: the same for the same number and seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    list: usize,
    area: usize,
    attempts: usize,
    last_outcome: Option<Outcome>,
}

impl Traits {
    fn of(floor: &Floor, seed: u64, number: i64) -> Traits {
        // An odd multiplier spreads the numbers over the seeds.
        let own = number.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ own);
        let mut one_of = |factors: &[f64]| rng.random_range(0..factors.len().max(1));
        let (list, area, attempts) = (one_of(&floor.lists), one_of(&floor.areas), one_of(&floor.retries));
        let last_outcome = (attempts > 0).then(|| match rng.random_range(0..20) {
            0..12 => Outcome::NoAnswer,
            12..17 => Outcome::Machine,
            _ => Outcome::Busy,
        });
        Traits { list, area, attempts, last_outcome }
    }

    /// The chance that a person answers at this hour of the day (0 to 23).
    pub(super) fn person(&self, floor: &Floor, hour: usize) -> f64 {
        let factor = |factors: &[f64], i: usize| factors.get(i).copied().unwrap_or(1.0);
        let all = factor(&floor.lists, self.list)
            * factor(&floor.areas, self.area)
            * factor(&floor.retries, self.attempts)
            * factor(&floor.hours, hour);
        if all == 1.0 { floor.person } else { (floor.person * all).min(SURE) }
    }
}

/// The leads that wait to be dialed, in the order in which they came. As in a store, one that is not chosen stays:
/// nobody can dial the good ones of an endless list and never the others.
pub(super) struct Leads {
    seed: u64,
    made: i64,
    due: BTreeMap<LeadId, Lead>,
}

impl Leads {
    pub(super) fn new(seed: u64) -> Self {
        Leads { seed, made: 0, due: BTreeMap::new() }
    }

    /// The next ones, new ones included.
    pub(super) fn next(&mut self, floor: &Floor, limit: u32) -> Vec<Lead> {
        let limit = limit as usize;
        while self.due.len() < limit {
            self.made += 1;
            let lead = self.make(floor);
            self.due.insert(lead.id, lead);
        }
        self.due.values().take(limit).cloned().collect()
    }

    /// It is being dialed, or will not be for long.
    pub(super) fn gone(&mut self, lead: LeadId) {
        self.due.remove(&lead);
    }

    /// What the lead with this phone number is like.
    pub(super) fn behind(&self, floor: &Floor, phone: &str) -> Traits {
        let digits = phone.get(phone.len().saturating_sub(7)..).unwrap_or_default();
        Traits::of(floor, self.seed, digits.parse().unwrap_or_default())
    }

    fn make(&self, floor: &Floor) -> Lead {
        let number = self.made % NUMBERS;
        let traits = Traits::of(floor, self.seed, number);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Lead {
            id: LeadId(self.made),
            campaign: CAMPAIGN,
            list: ListId(i64::from(count(traits.list)) + 1),
            phone: Pii(format!("+1{:03}{number:07}", FIRST_AREA + traits.area)),
            phones: Vec::new(),
            time_zone: "UTC".into(),
            country: String::new(),
            state: String::new(),
            consent: Consent::default(),
            on_national_list: false,
            recent: Vec::new(),
            priority: 0,
            attempts: count(traits.attempts),
            last_outcome: traits.last_outcome,
            last_agent: None,
            repeats: u32::from(traits.attempts > 0),
            callback: None,
            own: Vec::new(),
            turn: 0,
            first_name: Pii::default(),
            last_name: Pii::default(),
            custom: Pii::default(),
            last_caller_id: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_of_the_mixed_floor_differ_and_are_the_plain_floor_in_the_mean() {
        let floor = Floor::named("f1mixed").unwrap();
        let (mut sum, mut n, mut least, mut most) = (0.0, 0.0, 1.0f64, 0.0f64);
        for list in 0..4 {
            for area in 0..10 {
                for attempts in 0..3 {
                    for hour in 0..24 {
                        let traits = Traits { list, area, attempts, last_outcome: None };
                        let p = traits.person(&floor, hour);
                        (sum, n, least, most) = (sum + p, n + 1.0, least.min(p), most.max(p));
                    }
                }
            }
        }
        assert!((sum / n - 0.17f64).abs() < 1e-6, "{}", sum / n);
        assert!((0.015..0.025).contains(&least) && (0.55..0.65).contains(&most), "{least} to {most}");
    }

    #[test]
    fn a_number_tells_who_is_behind_it() {
        let floor = Floor::named("f1mixed").unwrap();
        let mut leads = Leads::new(3);
        let some = leads.next(&floor, 2000);
        let mut areas = [0; 10];
        for lead in &some {
            let traits = leads.behind(&floor, &lead.phone.0);
            assert_eq!(lead.list.0, traits.list as i64 + 1);
            assert_eq!(lead.attempts, traits.attempts as u32);
            assert!(lead.phone.0.starts_with(&format!("+1{}", 200 + traits.area)), "{}", lead.phone.0);
            areas[traits.area] += 1;
        }
        assert!(areas.iter().all(|n| (140..260).contains(n)), "{areas:?}");
    }

    #[test]
    fn leads_that_are_not_dialed_stay() {
        let floor = Floor::named("f1").unwrap();
        let mut leads = Leads::new(1);
        let first = leads.next(&floor, 10);
        leads.gone(first[3].id);
        let second = leads.next(&floor, 10);
        assert_eq!(second[..3], first[..3]);
        assert_eq!(second[3..9], first[4..]);
        assert_eq!(second[9].id, LeadId(11));
        assert!(second.iter().all(|lead| lead.attempts == 0 && lead.list == ListId(1)));
    }
}
