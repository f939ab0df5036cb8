//! Who answers: the chance that a person picks up, by what is known of a lead before it is dialed.
//!
//! Two logistic models, each line's end one step for both. The first gives every value of every trait (this list, this
//! area, six in the evening) a weight. The second asks how much of what the weights of a trait say comes true: where
//! all leads are alike, weights are noise, and the best of many would be a best of noise. Both keep a mean and a
//! variance for each number and take the step that a Gaussian belief would (an extended Kalman filter with a diagonal
//! covariance), so that rare values stay near zero and nothing has to be tuned to a list's size.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Lead, ListId, Outcome};

/// Lists, and areas, with a weight of their own; further ones share one. Bounds the table: a weight is 24 bytes.
const VALUES_MOST: usize = 4_000;
/// Lines after which an old one weighs 1/e: the same as the tables'.
const REMEMBERED: f64 = 4_000.0;

/// What is known of a lead before it is dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    /// The hour of the day where the lead is, 0 to 23.
    pub hour: u8,
    /// The list it came with.
    pub list: ListId,
    /// The first four digits of its number: in North America the area code.
    pub area: u16,
    /// How its last attempt ended.
    pub last: Option<Outcome>,
    /// Attempts that counted so far; beyond five they are alike.
    pub attempts: u8,
}

impl Traits {
    /// Those of a lead at an hour of its day.
    pub fn of(lead: &Lead, hour: u8) -> Traits {
        let digits = lead.phone.0.bytes().filter(u8::is_ascii_digit).take(4);
        Traits {
            hour: hour.min(23),
            list: lead.list,
            area: digits.fold(0, |area, digit| area * 10 + u16::from(digit - b'0')),
            last: lead.last_outcome,
            attempts: u8::try_from(lead.attempts).unwrap_or(u8::MAX).min(5),
        }
    }

    fn keys(&self) -> [i64; KINDS] {
        let last = self.last.map_or(0, |outcome| 1 + outcome as i64);
        [i64::from(self.hour), self.list.0, i64::from(self.area), last, i64::from(self.attempts)]
    }
}

const KINDS: usize = 5;
/// How far the values of each trait may lie apart before anything is known of them: a variance, in logits.
const PRIOR: [f64; KINDS] = [0.2, 0.4, 0.15, 0.4, 0.3];

/// A number that is believed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Belief {
    mean: f64,
    variance: f64,
}

impl Belief {
    const fn new(mean: f64, variance: f64) -> Self {
        Belief { mean, variance }
    }

    /// A step: `surprise` is what happened less what was expected, shared among all beliefs that took part.
    fn learn(&mut self, input: f64, surprise: f64, curvature: f64, spread: f64) {
        let gain = self.variance * input / (1.0 + curvature * spread);
        self.mean += gain * surprise;
        self.variance -= gain * input * curvature * self.variance;
    }

    /// What was learned fades, towards a variance that it does not exceed.
    fn fade(&mut self, by: f64, most: f64) {
        self.variance = (self.variance + by * self.variance).min(most);
    }
}

/// What was learned of who answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Odds {
    /// The chance of a lead of which nothing is known, in logits, for each of the two models.
    base: [Belief; 2],
    weights: [BTreeMap<i64, Belief>; KINDS],
    /// The weight that values beyond the bound share.
    further: [Belief; KINDS],
    /// How much of each trait's weights proves true.
    trust: [Belief; KINDS],
}

impl Odds {
    pub(crate) fn new() -> Self {
        // Four of five answered: too many rather than too few. Ten lines tell more.
        let base = Belief::new(1.4, 1.0);
        Odds {
            base: [base; 2],
            weights: std::array::from_fn(|_| BTreeMap::new()),
            further: PRIOR.map(|variance| Belief::new(0.0, variance)),
            trust: [Belief::new(0.5, 0.1); KINDS],
        }
    }

    /// The chance that a person answers, if the line rings long enough.
    pub(crate) fn chance(&self, lead: &Traits) -> f64 {
        let said = self.said(lead);
        let trusted: f64 = self.trust.iter().zip(said).map(|(trust, said)| trust.mean * said).sum();
        logistic(self.base[1].mean + trusted)
    }

    /// What the weights say of each trait of a lead.
    fn said(&self, lead: &Traits) -> [f64; KINDS] {
        let keys = lead.keys();
        let mut said = [0.0; KINDS];
        for ((said, weights), (key, further)) in
            said.iter_mut().zip(&self.weights).zip(keys.iter().zip(&self.further))
        {
            // A value that was never seen is an average one.
            *said = weights.get(key).map_or_else(
                || if weights.len() < VALUES_MOST { 0.0 } else { further.mean },
                |weight| weight.mean,
            );
        }
        said
    }

    /// A line of such a lead ended: a person answered, or not. `haste` above 1 lets the past fade faster.
    pub(crate) fn ended(&mut self, lead: &Traits, person: bool, haste: f64) {
        let happened = f64::from(u8::from(person));
        let said = self.said(lead);
        self.learn_trust(said, happened, haste);
        self.learn_weights(lead, said, happened, haste);
    }

    fn learn_trust(&mut self, said: [f64; KINDS], happened: f64, haste: f64) {
        let [_, base] = &mut self.base;
        let trusted: f64 = self.trust.iter().zip(said).map(|(trust, said)| trust.mean * said).sum();
        let expected = logistic(base.mean + trusted);
        let (curvature, surprise) = (expected * (1.0 - expected), happened - expected);
        let spread = base.variance
            + self.trust.iter().zip(said).map(|(trust, said)| trust.variance * said * said).sum::<f64>();
        base.learn(1.0, surprise, curvature, spread);
        base.fade(haste / REMEMBERED, 1.0);
        for (trust, said) in self.trust.iter_mut().zip(said) {
            trust.learn(said, surprise, curvature, spread);
            trust.mean = trust.mean.clamp(0.0, 1.5);
            trust.fade(haste / (4.0 * REMEMBERED), 0.1);
        }
    }

    fn learn_weights(&mut self, lead: &Traits, said: [f64; KINDS], happened: f64, haste: f64) {
        let keys = lead.keys();
        for ((weights, key), prior) in self.weights.iter_mut().zip(keys).zip(PRIOR) {
            if weights.len() < VALUES_MOST {
                weights.entry(key).or_insert(Belief::new(0.0, prior));
            }
        }
        let [base, _] = &mut self.base;
        let expected = logistic(base.mean + said.iter().sum::<f64>());
        let (curvature, surprise) = (expected * (1.0 - expected), happened - expected);
        let mut weights: Vec<&mut Belief> = Vec::with_capacity(KINDS);
        for ((weights_of_kind, key), further) in self.weights.iter_mut().zip(keys).zip(&mut self.further) {
            weights.push(weights_of_kind.get_mut(&key).unwrap_or(further));
        }
        let spread = base.variance + weights.iter().map(|weight| weight.variance).sum::<f64>();
        base.learn(1.0, surprise, curvature, spread);
        base.fade(haste / REMEMBERED, 1.0);
        for (weight, prior) in weights.into_iter().zip(PRIOR) {
            weight.learn(1.0, surprise, curvature, spread);
            weight.fade(haste / REMEMBERED, prior);
        }
    }
}

pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn lead(hour: u8, list: i64, area: u16) -> Traits {
        Traits { hour, list: ListId(list), area, last: None, attempts: 0 }
    }

    #[test]
    fn it_starts_careful_and_finds_the_share() {
        let mut odds = Odds::new();
        assert!(odds.chance(&lead(9, 1, 1202)) > 0.75);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for n in 0..3_000u16 {
            odds.ended(&lead(9, 1, 1000 + n % 300), rng.random_bool(0.17), 1.0);
        }
        // Alike leads stay alike, whichever of many areas they are in.
        for area in 1000..1300 {
            let chance = odds.chance(&lead(9, 1, area));
            assert!((0.13..0.21).contains(&chance), "{area}: {chance}");
        }
    }

    #[test]
    fn it_tells_leads_apart() {
        let mut odds = Odds::new();
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let share = |lead: &Traits| {
            let list = [0.06, 0.16, 0.35][lead.list.0 as usize];
            list * if lead.hour >= 17 { 1.5 } else { 0.8 }
        };
        for n in 0..6_000u16 {
            let lead = lead(8 + (n % 12) as u8, rng.random_range(0..3), 1200 + n % 50);
            odds.ended(&lead, rng.random_bool(share(&lead)), 1.0);
        }
        for list in 0..3 {
            for hour in [10, 18] {
                let lead = lead(hour, list, 1210);
                let (chance, truth) = (odds.chance(&lead), share(&lead));
                assert!((chance / truth - 1.0).abs() < 0.35, "{list} {hour}: {chance} for {truth}");
            }
        }
    }

    #[test]
    fn the_table_is_bounded() {
        let mut odds = Odds::new();
        for list in 0..2 * VALUES_MOST as i64 {
            odds.ended(&lead(9, list, 1), list % 4 == 0, 1.0);
        }
        assert_eq!(odds.weights[1].len(), VALUES_MOST);
        assert!(odds.chance(&lead(9, i64::MAX, 1)).is_finite());
    }
}
