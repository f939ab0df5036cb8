//! Decides who answered.

use std::fmt;
use std::sync::Arc;

use super::features::{Feature, Features};
use super::rules::Rules;
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
    /// The rules that counted; none where a tone or silence decided.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Listening,
    /// Decided; a machine may turn out to wait for words.
    Machine {
        beeped: bool,
    },
    Done,
}

/// One call from its answer on.
#[derive(Debug)]
pub(crate) struct Who {
    rules: Arc<Rules>,
    state: State,
    /// Steps of 10 ms since the answer, and those before the stream that is heard now.
    now: u32,
    stream_began: u32,
    /// Steps in which a tone of the network sounded: its silence is not nobody's.
    ringing: u32,
}

impl Who {
    pub(crate) fn new(rules: &Arc<Rules>) -> Who {
        Who { rules: Arc::clone(rules), state: State::Listening, now: 0, stream_began: 0, ringing: 0 }
    }

    /// The stream is another: what was heard is not what speaks now.
    pub(crate) fn switched(&mut self) {
        self.stream_began = self.now;
    }

    /// Whether nothing more will be decided.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// A beep was heard.
    pub(crate) fn beep(&mut self) {
        if let State::Machine { beeped } = &mut self.state {
            *beeped = true;
        }
    }

    /// A fax or the network gave itself away by tones.
    pub(crate) fn tone(&mut self, class: Class) -> Option<Decision> {
        let decided = matches!(self.state, State::Listening | State::Machine { .. });
        decided.then(|| {
            self.state = State::Done;
            self.decision(class, Features::default())
        })
    }

    /// Another 10 ms were heard.
    pub(crate) fn step(&mut self, levels: &Levels, network_tone: bool) -> Option<Decision> {
        self.now += 1;
        self.ringing += u32::from(network_tone);
        // Every 20 ms is often enough.
        if self.state == State::Done || !self.now.is_multiple_of(2) {
            return None;
        }
        let begin_ms = (self.stream_began * 10) as f32;
        let features = Features::of(levels, begin_ms, &self.rules.voice);
        match (self.state, features) {
            (State::Listening, None) => {
                let quiet_ms = (self.now - self.ringing) * 10;
                (quiet_ms >= self.rules.time.no_speech_ms || levels.len() >= HOPS).then(|| {
                    self.state = State::Done;
                    self.decision(Class::Silent, Features::default())
                })
            }
            (State::Listening, Some(features)) => self.listen(features),
            (State::Machine { beeped: false }, Some(features)) => {
                let waits = self.rules.screening.iter().all(|condition| condition.holds(&features));
                if levels.len() >= HOPS {
                    self.state = State::Done;
                }
                waits.then(|| {
                    self.state = State::Done;
                    self.decision(Class::Screening, features)
                })
            }
            (State::Machine { .. }, _) => {
                if levels.len() >= HOPS {
                    self.state = State::Done;
                }
                None
            }
            (State::Done, _) => None,
        }
    }

    fn listen(&mut self, features: Features) -> Option<Decision> {
        let (score, _) = self.rules.score(&features);
        let late = features.since_onset_ms >= self.rules.time.deadline_ms as f32;
        if !late && score > self.rules.person_at {
            return None;
        }
        if late && score >= self.rules.machine_at {
            self.state = State::Machine { beeped: false };
            return Some(self.decision(Class::Machine, features));
        }
        self.state = State::Done;
        Some(self.decision(Class::Person, features))
    }

    fn decision(&self, class: Class, features: Features) -> Decision {
        let by_rules = matches!(class, Class::Person | Class::Machine);
        let (score, counted) = self.rules.score(&features);
        let reasons = counted.filter(|_| by_rules).map(|rule| Reason {
            rule: rule.name.clone(),
            points: rule.points,
            values: rule.when.iter().map(|c| (c.feature, features.get(c.feature))).collect(),
        });
        Decision {
            class,
            at_ms: self.now * 10,
            score: if by_rules { score } else { 0.0 },
            reasons: reasons.collect(),
            features,
            rules_version: self.rules.version,
        }
    }
}
