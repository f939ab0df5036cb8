//! A floor: how the called people, the carrier and the agents behave. The simulation, the simulated carrier and the
//! demo's agents draw from the same one.

use std::time::Duration;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, LogNormal};
use serde::{Deserialize, Serialize};

use crate::Truth;

/// Bounds of a floor's factors: more kinds of leads than any campaign has.
const LISTS_MOST: usize = 100;
const AREAS_MOST: usize = 500;
const RETRIES_MOST: usize = 50;

/// A floor. In a TOML file an unknown key is an error, and every key is needed but for those that make leads differ
/// and machine detection err: without them leads are all alike and detection never errs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// For reports.
    pub name: String,
    /// From the INVITE to ringing, in seconds.
    pub post_dial_delay_s: f64,
    /// Share of dials that a person answers, if it rings long enough (0 to 1).
    pub person: f64,
    /// Share of dials that a machine answers, if it rings long enough (0 to 1).
    pub machine: f64,
    /// Share of dials that end busy (0 to 1). The rest rings out.
    pub busy: f64,
    /// From the post-dial delay to the busy signal, in seconds.
    pub busy_after_s: f64,
    /// From ringing until a person answers.
    pub person_ring: Lasting,
    /// From ringing until a machine answers.
    pub machine_ring: Lasting,
    /// From a machine's answer until it is known for one, in seconds.
    pub machine_verdict_s: f64,
    /// A call with an agent.
    pub talk: Lasting,
    /// An agent's work after a call.
    pub wrap_up: Lasting,
    /// The campaign's ring time-out, from the dial, in seconds (15 to 120).
    pub ring_timeout_s: u32,
    /// How long a person waits for an agent before the call counts as abandoned, in milliseconds.
    pub grace_ms: u32,
    /// Factors on a lead's share of persons by its list; leads are spread evenly over lists. Empty: one list.
    #[serde(default)]
    pub lists: Vec<f64>,
    /// The same by its area code. Empty: one area.
    #[serde(default)]
    pub areas: Vec<f64>,
    /// The same by the hour of the day at the lead, from 0 to 23. Empty: all alike.
    #[serde(default)]
    pub hours: Vec<f64>,
    /// The same by its attempts so far; leads come with 0, 1, … of them, evenly spread. Empty: all are new.
    #[serde(default)]
    pub retries: Vec<f64>,
    /// Share of the machines that are taken for persons: an agent gets them (0 to 1).
    #[serde(default)]
    pub machine_missed: f64,
    /// How long an agent stays with such a machine.
    #[serde(default = "missed_talk")]
    pub missed_talk: Lasting,
    /// Share of the persons who are taken for a machine and hung up on (0 to 1).
    #[serde(default)]
    pub person_missed: f64,
}

/// Long enough to notice what one listens to.
fn missed_talk() -> Lasting {
    Lasting { mean_s: 6.0, sd_s: 3.0 }
}

/// A time that varies (lognormal).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lasting {
    /// Mean, in seconds.
    pub mean_s: f64,
    /// Standard deviation, in seconds; 0: always the mean.
    pub sd_s: f64,
}

/// What becomes of one dial. Times are from the INVITE on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A person answers.
    Person {
        /// When.
        answers: Duration,
    },
    /// A machine answers.
    Machine {
        /// When.
        answers: Duration,
        /// When it is known for one.
        known: Duration,
    },
    /// The line is busy; it never rings.
    Busy {
        /// When that is said.
        fails: Duration,
    },
    /// Nobody answers.
    NoAnswer,
}

/// A floor that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// Not TOML, a key is missing or not known.
    #[error(transparent)]
    Syntax(#[from] toml::de::Error),
    /// A value is out of range.
    #[error("{key}: {message}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What would be right.
        message: &'static str,
    },
}

impl Floor {
    /// The names of the floors that are built in.
    pub const NAMES: [&'static str; 5] = ["demo", "f1", "f2", "f3", "f1mixed"];

    /// A built-in floor.
    pub fn named(name: &str) -> Option<Floor> {
        let benchmark = |person, machine, busy, ring: (f64, f64), talk: (f64, f64), wrap: (f64, f64)| Floor {
            name: name.into(),
            post_dial_delay_s: 2.0,
            person,
            machine,
            busy,
            busy_after_s: 1.5,
            person_ring: Lasting { mean_s: ring.0, sd_s: ring.1 },
            machine_ring: Lasting { mean_s: 16.0, sd_s: 4.0 },
            machine_verdict_s: 2.5,
            talk: Lasting { mean_s: talk.0, sd_s: talk.0 * talk.1 },
            wrap_up: Lasting { mean_s: wrap.0, sd_s: wrap.0 * wrap.1 },
            ring_timeout_s: 25,
            grace_ms: 2000,
            ..Floor::alike()
        };
        match name {
            "demo" => Some(Floor { name: name.into(), ..Floor::alike() }),
            "f1" => Some(benchmark(0.17, 0.24, 0.09, (11.0, 5.0), (122.0, 1.2), (15.0, 0.6))),
            "f1mixed" => Some(Floor { name: name.into(), ..Floor::named("f1")?.mixed() }),
            "f2" => Some(benchmark(0.30, 0.20, 0.05, (11.0, 5.0), (180.0, 1.2), (30.0, 0.6))),
            "f3" => Some(benchmark(0.08, 0.45, 0.12, (9.0, 5.0), (90.0, 1.3), (10.0, 0.6))),
            _ => None,
        }
    }

    /// The demo's floor, where everything goes fast: leads alike, detection without errors.
    pub(super) fn alike() -> Floor {
        Floor {
            name: "demo".into(),
            post_dial_delay_s: 0.3,
            person: 0.5,
            machine: 0.0,
            busy: 0.25,
            busy_after_s: 0.2,
            person_ring: Lasting { mean_s: 3.0, sd_s: 1.0 },
            machine_ring: Lasting { mean_s: 5.0, sd_s: 1.0 },
            machine_verdict_s: 2.5,
            talk: Lasting { mean_s: 6.0, sd_s: 3.0 },
            wrap_up: Lasting { mean_s: 2.0, sd_s: 1.0 },
            ring_timeout_s: 15,
            grace_ms: 2000,
            lists: Vec::new(),
            areas: Vec::new(),
            hours: Vec::new(),
            retries: Vec::new(),
            machine_missed: 0.0,
            missed_talk: missed_talk(),
            person_missed: 0.0,
        }
    }

    /// The same with leads that differ; the factors of each kind have a mean of 1, so that the floor as a whole does
    /// not change.
    fn mixed(self) -> Floor {
        Floor {
            lists: vec![1.6, 1.2, 0.8, 0.4],
            areas: vec![1.35, 1.25, 1.2, 1.1, 1.05, 0.95, 0.9, 0.85, 0.75, 0.6],
            hours: vec![
                0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 1.0, 1.1, 1.15, 1.2, 1.15, 1.2, 1.2, 1.2, 1.2, 1.25,
                1.3, 1.3, 1.25, 1.2, 1.0, 0.7,
            ],
            retries: vec![1.3, 1.0, 0.7],
            ..self
        }
    }

    /// A floor from the text of a TOML file.
    pub fn from_toml(text: &str) -> Result<Floor, FloorError> {
        let floor: Floor = toml::from_str(text)?;
        floor.check()?;
        Ok(floor)
    }

    fn check(&self) -> Result<(), FloorError> {
        let fault = |key, message| Err(FloorError::Value { key, message });
        for (key, share) in [
            ("person", self.person),
            ("machine", self.machine),
            ("busy", self.busy),
            ("machine_missed", self.machine_missed),
            ("person_missed", self.person_missed),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return fault(key, "a share is between 0 and 1");
            }
        }
        if self.person + self.machine + self.busy > 1.0 + 1e-9 {
            return fault("person", "person, machine and busy together are at most 1");
        }
        for (key, t) in [
            ("post_dial_delay_s", self.post_dial_delay_s),
            ("busy_after_s", self.busy_after_s),
            ("machine_verdict_s", self.machine_verdict_s),
        ] {
            if !(0.0..=60.0).contains(&t) {
                return fault(key, "a delay is between 0 and 60 s");
            }
        }
        for (key, t) in [
            ("person_ring", self.person_ring),
            ("machine_ring", self.machine_ring),
            ("talk", self.talk),
            ("wrap_up", self.wrap_up),
            ("missed_talk", self.missed_talk),
        ] {
            if !(t.mean_s > 0.0 && t.mean_s <= 7200.0 && (0.0..=72_000.0).contains(&t.sd_s)) {
                return fault(key, "mean_s is above 0 and at most 7200, sd_s is between 0 and 72000");
            }
        }
        for (key, factors, most) in [
            ("lists", &self.lists, LISTS_MOST),
            ("areas", &self.areas, AREAS_MOST),
            ("hours", &self.hours, 24),
            ("retries", &self.retries, RETRIES_MOST),
        ] {
            if !factors.iter().all(|f| (0.0..=100.0).contains(f)) {
                return fault(key, "a factor is between 0 and 100");
            }
            if factors.len() > most {
                return fault(key, "there are at most 100 lists, 500 areas, 24 hours and 50 retries");
            }
        }
        if !(self.hours.is_empty() || self.hours.len() == 24) {
            return fault("hours", "give a factor for each of the 24 hours, or none");
        }
        if !(15..=120).contains(&self.ring_timeout_s) {
            return fault("ring_timeout_s", "the ring time-out is between 15 and 120 s");
        }
        if self.grace_ms > 10_000 {
            return fault("grace_ms", "the grace is at most 10000 ms");
        }
        Ok(())
    }

    /// From the INVITE to ringing.
    pub fn post_dial_delay(&self) -> Duration {
        Duration::from_secs_f64(self.post_dial_delay_s)
    }

    /// What becomes of the next dial of a lead like all others.
    pub fn callee(&self, rng: &mut impl Rng) -> Callee {
        self.callee_of(self.person, rng)
    }

    /// What becomes of the dial of a lead with its own share of persons; the other shares make room in proportion.
    pub(super) fn callee_of(&self, person: f64, rng: &mut impl Rng) -> Callee {
        let delay = self.post_dial_delay();
        let rest = if self.person < 1.0 { (1.0 - person) / (1.0 - self.person) } else { 0.0 };
        let (machine, busy) = (self.machine * rest, self.busy * rest);
        let kind: f64 = rng.random();
        if kind < person {
            Callee::Person { answers: delay + self.person_ring.draw(rng) }
        } else if kind < person + machine {
            let answers = delay + self.machine_ring.draw(rng);
            Callee::Machine { answers, known: answers + Duration::from_secs_f64(self.machine_verdict_s) }
        } else if kind < person + machine + busy {
            Callee::Busy { fails: delay + Duration::from_secs_f64(self.busy_after_s) }
        } else {
            Callee::NoAnswer
        }
    }

    /// What a policy that is given the truth knows of it: leads as they are in the mean.
    pub fn truth(&self) -> Truth {
        Truth {
            person: self.person,
            machine: self.machine,
            busy: self.busy,
            post_dial_s: self.post_dial_delay_s,
            busy_after_s: self.busy_after_s,
            person_ring: self.person_ring.mean_and_cv(),
            machine_ring: self.machine_ring.mean_and_cv(),
            talk: self.talk.mean_and_cv(),
            wrap_up: self.wrap_up.mean_and_cv(),
        }
    }

    /// How long the next call with an agent lasts.
    pub fn talk(&self, rng: &mut impl Rng) -> Duration {
        self.talk.draw(rng)
    }

    /// How long an agent works after it.
    pub fn wrap_up(&self, rng: &mut impl Rng) -> Duration {
        self.wrap_up.draw(rng)
    }
}

impl Lasting {
    fn mean_and_cv(&self) -> (f64, f64) {
        (self.mean_s, self.sd_s / self.mean_s)
    }

    /// One of them; never longer than a day.
    pub fn draw(&self, rng: &mut impl Rng) -> Duration {
        let cv2 = (self.sd_s / self.mean_s).powi(2);
        let variance = cv2.ln_1p();
        // The parameters are finite, since `check` bounds them; a mean that is not positive gives the mean itself.
        let seconds = LogNormal::new(self.mean_s.ln() - variance / 2.0, variance.sqrt())
            .map_or(self.mean_s, |d| d.sample(rng));
        Duration::from_secs_f64(if seconds.is_finite() { seconds.clamp(0.0, 86_400.0) } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn built_in_floors_are_possible_and_survive_toml() {
        for name in Floor::NAMES {
            let floor = Floor::named(name).unwrap();
            let text = toml::to_string(&floor).unwrap();
            assert_eq!(Floor::from_toml(&text).unwrap(), floor);
        }
        assert!(Floor::named("f9").is_none());
    }

    #[test]
    fn a_wrong_file_says_what_is_wrong() {
        let good = toml::to_string(&Floor::named("f1").unwrap()).unwrap();
        let unknown = Floor::from_toml(&format!("colour = 1\n{good}")).unwrap_err().to_string();
        assert!(unknown.contains("colour"), "{unknown}");
        let missing = Floor::from_toml(&good.replace("grace_ms = 2000\n", "")).unwrap_err().to_string();
        assert!(missing.contains("grace_ms"), "{missing}");
        let beyond =
            Floor::from_toml(&good.replace("person = 0.17", "person = 0.9")).unwrap_err().to_string();
        assert!(beyond.contains("at most 1"), "{beyond}");
    }

    #[test]
    fn draws_follow_the_floor() {
        let floor = Floor::named("f1").unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let n = 20_000;
        let (mut persons, mut ring_s, mut talk_s) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            if let Callee::Person { answers } = floor.callee(&mut rng) {
                persons += 1.0;
                ring_s += answers.as_secs_f64();
            }
            talk_s += floor.talk(&mut rng).as_secs_f64();
        }
        assert!((persons / f64::from(n) - 0.17).abs() < 0.01);
        assert!((ring_s / persons - 13.0).abs() < 0.3);
        assert!((talk_s / f64::from(n) - 122.0).abs() < 4.0);
        assert_eq!(Lasting { mean_s: 4.0, sd_s: 0.0 }.draw(&mut rng), Duration::from_secs(4));
    }
}
