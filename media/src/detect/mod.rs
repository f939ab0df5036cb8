//! Who answered, and what the network plays: detection on decoded sound.
//!
//! A [`Detector`] takes the samples of one call's receiving direction, 8 kHz, in frames of any length, and gives events.
//! It has no clock: time is how many samples it took, so lost packets and silence that is not sent must be told by
//! [`Detector::gap`]. Drive it so: [`Detector::push`] (or `gap`), then [`Detector::poll_event`] until it gives nothing.
//!
//! Before the answer it hears the tones of the network in early media. [`Detector::answered`] begins the decision who
//! answered, which comes once as [`Event::Answered`]. Where early media stops and another stream begins (RFC 3960 §3), call
//! [`Detector::reset`].

mod bank;
mod cadence;
pub mod corpus;
mod country;
mod features;
mod keys;
mod quiet;
mod rules;
mod runs;
mod sound;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod voice;
mod who;

use std::collections::VecDeque;
use std::sync::Arc;

pub use country::{COUNTRIES, Country, CountryTones, LineTone, Signal, country};
pub use features::{Feature, Features};
pub use rules::{Condition, Rule, Rules, RulesError, TimeRules, VoiceRules};
pub use runs::SitKind;
pub use who::{Class, Decision, Reason};

use crate::dtmf::Digit;
use bank::{Bank, PIECE};
use cadence::Cadences;
use keys::Keys;
use quiet::Quiet;
use runs::{Lasting, Runs};
use voice::Levels;
use who::Who;

/// Events that wait to be polled: more than ten seconds can give.
const MOST_EVENTS: usize = 64;
/// The longest gap that is filled: what was not heard for longer is another call's business.
const MOST_GAP: usize = 8_000 * 10;
/// Speech before a tone that makes the tone a beep, in steps of 10 ms.
const SPOKE_HOPS: usize = 30;

/// What was heard.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A tone of the called country's network.
    Line(LineTone),
    /// Special information tones.
    Sit(SitKind),
    /// A fax calls (CNG, 1100 Hz).
    FaxCalling,
    /// A fax or modem answers (CED, 2100 Hz).
    FaxAnswering,
    /// The beep behind a greeting; it is over now.
    Beep {
        /// Its frequency.
        hz: u16,
        /// How long it was.
        ms: u16,
    },
    /// Somebody spoke, and nobody has for some seconds. Told by detectors that hear a greeting out, each time anew.
    Quiet,
    /// A key, as a tone.
    Digit(Digit),
    /// Who answered. It comes once.
    Answered(Decision),
    /// It is somebody else after all: what was taken for a person is a machine, or what was a machine is something more
    /// special (a screening that waits for words, a fax, the network).
    Refined(Decision),
}

/// Listens to one call.
pub struct Detector {
    rules: Arc<Rules>,
    bank: Bank,
    runs: Runs,
    cadences: Cadences,
    keys: Keys,
    levels: Levels,
    quiet: Quiet,
    spoke: bool,
    who: Option<Who>,
    told: bool,
    /// It listens on when who answered is told, until the call is bridged.
    hears_out: bool,
    bridged: bool,
    /// Samples that do not yet fill 10 ms.
    piece: [i16; PIECE],
    filled: usize,
    events: VecDeque<Event>,
}

impl Detector {
    /// A detector for a call to a country. It listens to early media until [`Detector::answered`].
    pub fn new(rules: &Arc<Rules>, country: Country) -> Detector {
        Detector {
            rules: Arc::clone(rules),
            bank: Bank::new(),
            runs: Runs::default(),
            cadences: Cadences::new(country),
            keys: Keys::default(),
            levels: Levels::new(),
            quiet: Quiet::default(),
            spoke: false,
            who: None,
            told: false,
            hears_out: false,
            bridged: false,
            piece: [0; PIECE],
            filled: 0,
            events: VecDeque::new(),
        }
    }

    /// It hears a machine's greeting out: it is never done before the call is bridged, and tells [`Event::Quiet`].
    pub fn hearing_out(mut self) -> Detector {
        self.hears_out = true;
        self
    }

    /// The call was bridged now: what is heard for some seconds more may show that it is a machine all the same.
    pub fn bridged(&mut self) {
        (self.bridged, self.hears_out) = (true, false);
        let until_ms = self.rules.time.bridged_ms;
        self.who.iter_mut().for_each(|who| who.listen_until(until_ms));
    }

    /// Whether the call was bridged.
    pub(crate) fn is_bridged(&self) -> bool {
        self.bridged
    }

    /// The call was answered now: what follows says who did. Only the first time counts.
    pub fn answered(&mut self) {
        if self.who.is_none() {
            self.forget();
            self.who = Some(Who::new(&self.rules));
        }
    }

    /// Another stream begins: what was heard of the one before says nothing of it. The time since the answer goes on.
    pub fn reset(&mut self) {
        self.forget();
        if let Some(who) = &mut self.who {
            who.switched();
        }
    }

    /// Whether who answered is told and will not change: nothing but tones and keys may follow.
    pub fn is_done(&self) -> bool {
        !self.hears_out && self.who.as_ref().is_some_and(Who::is_done)
    }

    /// Takes samples.
    pub fn push(&mut self, mut samples: &[i16]) {
        while let Some(room) = self.piece.get_mut(self.filled..) {
            let count = room.len().min(samples.len());
            let (now, later) = samples.split_at(count);
            for (to, from) in room.iter_mut().zip(now) {
                *to = *from;
            }
            self.filled += count;
            samples = later;
            if self.filled < PIECE {
                break;
            }
            self.filled = 0;
            let piece = self.piece;
            self.hear(&piece);
            if samples.is_empty() {
                break;
            }
        }
    }

    /// So many samples did not come: lost, or not sent because of silence.
    pub fn gap(&mut self, samples: usize) {
        let mut left = samples.min(MOST_GAP);
        while left > 0 {
            let now = left.min(PIECE);
            self.push([0; PIECE].get(..now).unwrap_or_default());
            left -= now;
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What is known now; none when nobody spoke.
    pub(crate) fn features(&self) -> Option<Features> {
        Features::of(&self.levels, 0.0, 0, &self.rules.voice)
    }

    fn forget(&mut self) {
        self.bank.reset();
        self.runs = Runs::default();
        self.cadences.reset();
        self.keys = Keys::default();
        self.levels = Levels::new();
        self.quiet = Quiet::default();
        self.spoke = false;
        self.filled = 0;
    }

    fn hear(&mut self, piece: &[i16; PIECE]) {
        let block = self.bank.push(piece);
        let sound = sound::sound(&block);
        self.levels.push(&block, sound);
        if let Some(digit) = self.keys.push(sound, block.level_dbov) {
            self.tell(Event::Digit(digit));
        }
        if let Some(lasting) = self.runs.push(sound, block.level_dbov, self.spoke) {
            self.lasting(lasting);
        }
        if let Some(tone) = self.cadences.push(sound) {
            self.tell(Event::Line(tone));
            if tone != LineTone::Ringback {
                self.by_tone(Class::Network);
            }
        }
        self.spoke |= self.levels.spoke_for(SPOKE_HOPS);
        if self.hears_out && self.who.is_some() {
            self.quiet.push(&block, sound, &self.levels, &self.rules);
            if self.quiet.is_over(self.spoke, &self.rules) {
                self.tell(Event::Quiet);
            }
        }
        let network_tone = self.cadences.sounds();
        if let Some(decision) = self.who.as_mut().and_then(|who| who.step(&self.levels, network_tone)) {
            self.decided(decision);
        }
    }

    fn lasting(&mut self, lasting: Lasting) {
        let (event, class) = match lasting {
            Lasting::Sit(kind) => (Event::Sit(kind), Some(Class::Network)),
            Lasting::FaxCalling => (Event::FaxCalling, Some(Class::Fax)),
            Lasting::FaxAnswering => (Event::FaxAnswering, Some(Class::Fax)),
            Lasting::Beep { hz, ms } => (Event::Beep { hz, ms }, None),
        };
        self.tell(event);
        match class {
            Some(class) => self.by_tone(class),
            None => self.who.iter_mut().for_each(Who::beep),
        }
    }

    fn by_tone(&mut self, class: Class) {
        if let Some(decision) = self.who.as_mut().and_then(|who| who.tone(class)) {
            self.decided(decision);
        }
    }

    fn decided(&mut self, decision: Decision) {
        let first = !std::mem::replace(&mut self.told, true);
        self.tell(if first { Event::Answered(decision) } else { Event::Refined(decision) });
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() < MOST_EVENTS {
            self.events.push_back(event);
        }
    }
}
