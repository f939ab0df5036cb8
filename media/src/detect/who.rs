//! Decides who answered.

use std::fmt;
use std::sync::Arc;

use super::features::{Feature, Features};
use super::rules::{Condition, Rule, Rules, all_hold};
use super::voice::{HOPS, Levels};

/// Who or what answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Class {
    /// A person; also what was not clear in time.
    Person,
    /// A machine: a mailbox, an announcement, a menu.
    Machine,
    /// A machine that asked something and waits for the answer, as call screening does.
    Screening,
    /// Nobody spoke. Treat it as a person.
    Silent,
    /// A fax.
    Fax,
    /// The network answered: special information tones, busy, congestion.
    Network,
}

/// A decision names so many of the rules that made it: the others would change little.
const REASONS: usize = 6;

/// A rule that counted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reason {
    /// Its name.
    pub rule: String,
    /// Its points: for a machine positive, for a person negative.
    pub points: f32,
    /// What it looked at, and what it found.
    pub values: Vec<(Feature, f32)>,
}

impl Reason {
    fn new(rule: &str, points: f32, when: &[Condition], features: &Features) -> Reason {
        let values = when.iter().map(|c| (c.feature, features.get(c.feature))).collect();
        Reason { rule: rule.to_owned(), points, values }
    }
}

/// Who answered, and why.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// Who.
    pub class: Class,
    /// When, in ms of audio after the answer.
    pub at_ms: u32,
    /// The sum of the points.
    pub score: f32,
    /// The rules that counted most, the strongest first; none where a tone or silence decided.
    pub reasons: Vec<Reason>,
    /// All that was known.
    pub features: Features,
    /// The version of the rule set.
    pub rules_version: u32,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} at {} ms, score {:+.1} (rules {})",
            self.class, self.at_ms, self.score, self.rules_version
        )?;
        for reason in &self.reasons {
            write!(f, "; {} {:+.1} (", reason.rule, reason.points)?;
            for (n, (feature, value)) in reason.values.iter().enumerate() {
                write!(f, "{}{feature:?} {value:.1}", if n == 0 { "" } else { ", " })?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// The rules that counted most, the strongest first.
fn strongest<'a>(counted: impl Iterator<Item = &'a Rule>, features: &Features) -> Vec<Reason> {
    let mut counted: Vec<&Rule> = counted.collect();
    counted.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()));
    counted.truncate(REASONS);
    counted.into_iter().map(|rule| Reason::new(&rule.name, rule.points, &rule.when, features)).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Listening,
    /// It seemed a person, or nobody spoke; it may turn out a machine.
    Person,
    /// It may turn out to wait for words.
    Machine,
    Done,
}

/// One call from its answer on.
#[derive(Debug)]
pub(crate) struct Who {
    rules: Arc<Rules>,
    state: State,
    /// Until when it listens, in ms after the answer.
    until_ms: u32,
    /// Steps of 10 ms since the answer, and those before the stream that is heard now.
    now: u32,
    stream_began: u32,
    /// Steps in which a tone of the network sounded: its silence is not nobody's.
    ringing: u32,
    /// The last of them.
    rang: Option<u32>,
    beeps: u16,
}

/// While a tone of the network sounds, and so many steps after it, sounds between are its clicks and not speech; but no
/// longer than four seconds after the answer.
const RING_HOPS: u32 = 60;
const RING_MOST: u32 = 400;

impl Who {
    pub(crate) fn new(rules: &Arc<Rules>) -> Who {
        let rules = Arc::clone(rules);
        let until_ms = rules.time.listen_ms;
        Who {
            rules,
            state: State::Listening,
            until_ms,
            now: 0,
            stream_began: 0,
            ringing: 0,
            rang: None,
            beeps: 0,
        }
    }

    /// The stream is another: what was heard is not what speaks now.
    pub(crate) fn switched(&mut self) {
        self.stream_began = self.now;
        self.beeps = 0;
    }

    /// Listens no longer than so many ms after the answer. What is being decided is decided all the same.
    pub(crate) fn listen_until(&mut self, ms: u32) {
        self.until_ms = self.until_ms.min(ms);
        if self.now * 10 >= self.until_ms && self.state != State::Listening {
            self.state = State::Done;
        }
    }

    /// Whether nothing more will be decided.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// A beep was heard.
    pub(crate) fn beep(&mut self) {
        self.beeps = self.beeps.saturating_add(1);
    }

    /// A fax or the network gave itself away by tones.
    pub(crate) fn tone(&mut self, class: Class) -> Option<Decision> {
        (self.state != State::Done).then(|| {
            self.state = State::Done;
            self.decision(class, Features::default(), 0.0, Vec::new())
        })
    }

    /// Another 10 ms were heard.
    pub(crate) fn step(&mut self, levels: &Levels, network_tone: bool) -> Option<Decision> {
        self.now += 1;
        if network_tone {
            self.ringing += 1;
            self.rang = Some(self.now);
        }
        let rings = self.now < RING_MOST && self.rang.is_some_and(|rang| self.now - rang < RING_HOPS);
        // Every 20 ms is often enough; when the first decision is made, every 100 ms.
        let every = if self.state == State::Listening { 2 } else { 10 };
        if self.state == State::Done || rings || !self.now.is_multiple_of(every) {
            return None;
        }
        let begin_ms = (self.stream_began * 10) as f32;
        let features = Features::of(levels, begin_ms, self.beeps, &self.rules.voice);
        let over = self.now * 10 >= self.until_ms || levels.len() >= HOPS;
        let decision = match (self.state, features) {
            (State::Listening, None) => self.nobody(over),
            (State::Listening, Some(features)) => self.listen(features),
            (State::Person | State::Machine, Some(features)) => self.look_again(features),
            (State::Person | State::Machine, None) | (State::Done, _) => None,
        };
        if over && self.state != State::Listening {
            self.state = State::Done;
        }
        decision
    }

    /// Nobody has spoken so far.
    fn nobody(&mut self, over: bool) -> Option<Decision> {
        let quiet_ms = (self.now - self.ringing) * 10;
        (over || quiet_ms >= self.rules.time.no_speech_ms).then(|| {
            self.state = State::Person;
            self.decision(Class::Silent, Features::default(), 0.0, Vec::new())
        })
    }

    fn listen(&mut self, features: Features) -> Option<Decision> {
        let (score, counted) = self.rules.score(&features);
        let late = features.since_onset_ms >= self.rules.time.deadline_ms as f32;
        if !late && score > self.rules.person_at {
            return None;
        }
        let reasons = strongest(counted, &features);
        let machine = late && score >= self.rules.machine_at;
        let (state, class) =
            if machine { (State::Machine, Class::Machine) } else { (State::Person, Class::Person) };
        self.state = state;
        Some(self.decision(class, features, score, reasons))
    }

    /// What shows that it is a machine, or a screening, all the same.
    fn look_again(&mut self, features: Features) -> Option<Decision> {
        let shows = |when: &[Condition]| all_hold(when, &features);
        let (state, class, reason) = if self.state == State::Person {
            let Some(sign) = self.rules.later.iter().find(|sign| shows(&sign.when)) else {
                let (score, counted) = self.rules.late_score(&features);
                if score < self.rules.late_at {
                    return None;
                }
                let reasons = strongest(counted, &features);
                self.state = State::Machine;
                return Some(self.decision(Class::Machine, features, score, reasons));
            };
            (State::Machine, Class::Machine, Reason::new(&sign.name, 0.0, &sign.when, &features))
        } else {
            let when = shows(&self.rules.screening).then_some(&self.rules.screening)?;
            (State::Done, Class::Screening, Reason::new("asks and waits", 0.0, when, &features))
        };
        self.state = state;
        Some(self.decision(class, features, 0.0, vec![reason]))
    }

    fn decision(&self, class: Class, features: Features, score: f32, reasons: Vec<Reason>) -> Decision {
        Decision { class, at_ms: self.now * 10, score, reasons, features, rules_version: self.rules.version }
    }
}
