//! The simulated carriers: what becomes of each INVITE, what is late, doubled or lost on the way, and what goes on at the
//! far end while the dialer is dead.

use std::collections::BTreeMap;
use std::time::Duration;

use kraliki_time::Time;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::super::floor::{Callee, Floor};
use super::pick;
use super::world::{Agenda, Happening};
use crate::{Dial, EndedBy, Failure, LineEvent, TrunkId, TryId, Verdict};

/// Nothing came back to an INVITE or a BYE (RFC 3261 Timer B and F).
const TIMER_B: Duration = Duration::from_secs(32);
/// Our media gives a silent call up.
const RTP_TIMEOUT: Duration = Duration::from_secs(20);
/// No talk is longer: what is still up after the run's last calls is stuck.
const TALK_MOST: Duration = Duration::from_secs(180);

/// What a carrier does beside its work.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles {
    /// Events come late, in another order, twice, or not at all.
    pub(super) mess: bool,
    /// Far ends vanish without a BYE.
    pub(super) vanish: bool,
    /// Carriers often have no room.
    pub(super) poor: bool,
    /// Whether verdicts of machine detection come.
    pub(super) detecting: bool,
}

pub(super) struct Carrier {
    floor: Floor,
    troubles: Troubles,
    lines: BTreeMap<TryId, Line>,
    /// Trunks that refuse, or say nothing, until then.
    failing: BTreeMap<TrunkId, (Time, Failing)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    Refuses,
    Silent,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    state: State,
    bridged: bool,
    /// The process that dialed it is dead.
    orphan: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing came back yet, and nothing will.
    Mute,
    Calling,
    Answered,
    Ending,
}

/// Whether an event on a line is told to the dialer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Yes,
    No,
    /// The dialer does not know the call (any more): its SIP ends it and says so.
    AsStray,
}

fn ms(rng: &mut ChaCha8Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(rng.random_range(from..=to))
}

fn one_in(rng: &mut ChaCha8Rng, n: u32) -> bool {
    rng.random_range(0..n) == 0
}

impl Carrier {
    pub(super) fn new(floor: Floor, troubles: Troubles) -> Self {
        Carrier { floor, troubles, lines: BTreeMap::new(), failing: BTreeMap::new() }
    }

    /// Whether a trunk fails now.
    pub(super) fn is_failing(&self, now: Time, trunk: TrunkId) -> bool {
        self.failing.get(&trunk).is_some_and(|(until, _)| now < *until)
    }

    pub(super) fn fails(&mut self, trunk: TrunkId, until: Time, how: Failing) {
        self.failing.insert(trunk, (until, how));
    }

    pub(super) fn heals(&mut self) {
        self.failing.clear();
    }

    pub(super) fn dial(&mut self, now: Time, dial: &Dial, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        let id = dial.id;
        let failing = self.failing.get(&dial.trunk).filter(|(until, _)| now < *until).map(|(_, how)| *how);
        let state = if failing == Some(Failing::Silent) { State::Mute } else { State::Calling };
        self.lines.insert(id, Line { state, bridged: false, orphan: false });
        match failing {
            Some(Failing::Refuses) => {
                let at = now + ms(rng, 20, 400);
                self.line(at, id, status(503), rng, agenda);
            }
            Some(Failing::Silent) => {
                let timeout = LineEvent::Failed(Failure::Timeout { rang: false });
                self.line(now + TIMER_B, id, timeout, rng, agenda);
            }
            None => self.story(now, id, rng, agenda),
        }
    }

    fn story(&mut self, now: Time, id: TryId, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        let poor = self.troubles.poor && one_in(rng, 4);
        if poor || one_in(rng, 12) {
            let others: &[u16] = if poor { &[500, 502, 503, 504] } else { &[503, 480, 603, 607, 488, 408] };
            let failed = status(pick(rng, if poor { 408 } else { 404 }, others));
            let at = now + ms(rng, 50, 3_000);
            if one_in(rng, 3) {
                self.line(now + ms(rng, 10, 50), id, LineEvent::Ringing { early_media: false }, rng, agenda);
            }
            return self.line(at, id, failed, rng, agenda);
        }
        let callee = self.floor.callee(rng);
        if !matches!(callee, Callee::Busy { .. }) {
            let at = now + self.floor.post_dial_delay();
            self.line(at, id, LineEvent::Ringing { early_media: false }, rng, agenda);
        }
        match callee {
            Callee::Busy { fails } => self.line(now + fails, id, status(486), rng, agenda),
            Callee::NoAnswer => {
                let at = now + ms(rng, 20_000, 120_000);
                self.line(at, id, status(480), rng, agenda);
            }
            Callee::Person { answers } => self.answers(now + answers, id, Verdict::Person, rng, agenda),
            Callee::Machine { answers, .. } => {
                self.answers(now + answers, id, Verdict::Machine, rng, agenda);
            }
        }
    }

    fn answers(&mut self, at: Time, id: TryId, who: Verdict, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        let detecting = self.troubles.detecting;
        self.line(at, id, LineEvent::Answered { dialog: vec![1, 2], detecting }, rng, agenda);
        if !one_in(rng, 30) {
            agenda.add(at + ms(rng, 5, 60), Happening::Line(id, LineEvent::FirstRtp));
        }
        if detecting {
            let known = at + ms(rng, 300, 6_000);
            self.line(known, id, LineEvent::Verdict(who), rng, agenda);
        }
        // Nobody waits for ever to be spoken to; a machine's tape ends.
        let patience = if one_in(rng, 10) { ms(rng, 50, 2_500) } else { ms(rng, 10_000, 40_000) };
        agenda.add(at + patience, Happening::Patience(id));
    }

    /// Puts an event on its way, with what may happen to it.
    fn line(&self, at: Time, id: TryId, event: LineEvent, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        let mut at = at;
        if self.troubles.mess {
            let may_be_lost = matches!(event, LineEvent::Ringing { .. } | LineEvent::Verdict(_));
            if may_be_lost && one_in(rng, 6) {
                return;
            }
            if one_in(rng, 8) {
                at += ms(rng, 1, 4_000); // lost and sent again, or slow
            }
        }
        agenda.add(at, Happening::Line(id, event));
    }

    /// Something happens on a line now.
    pub(super) fn happens(&mut self, now: Time, id: TryId, event: &LineEvent, agenda: &mut Agenda) -> Told {
        let Some(line) = self.lines.get_mut(&id) else { return Told::No };
        let over = matches!(event, LineEvent::Failed(_) | LineEvent::Ended { .. });
        match (line.state, event) {
            // Our CANCEL or BYE is on its way: only its confirmation counts.
            (
                State::Ending,
                LineEvent::Failed(Failure::Cancelled) | LineEvent::Ended { by: EndedBy::Near, .. },
            ) => {}
            (State::Ending, _) => return Told::No,
            (State::Answered, LineEvent::Failed(_) | LineEvent::Answered { .. }) => return Told::No,
            (State::Mute | State::Calling, LineEvent::Answered { .. }) => line.state = State::Answered,
            _ => {}
        }
        let orphan = line.orphan;
        if over {
            self.lines.remove(&id);
        }
        match (orphan, event) {
            (false, _) => Told::Yes,
            (true, LineEvent::Answered { .. }) => {
                // A 200 to an INVITE of before the crash: acknowledged and ended at once.
                self.end(now, id, agenda);
                Told::No
            }
            (true, LineEvent::Ended { by: EndedBy::Near, .. }) => Told::AsStray,
            (true, _) => Told::No,
        }
    }

    /// Whether what was told comes once more, and when.
    pub(super) fn comes_again(&self, now: Time, rng: &mut ChaCha8Rng) -> Option<Time> {
        (self.troubles.mess && one_in(rng, 8)).then(|| now + ms(rng, 0, 3_000))
    }

    /// The person, or the tape, is at the end of its patience, unless an agent is there.
    pub(super) fn impatient(&mut self, now: Time, id: TryId, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        if self.lines.get(&id).is_some_and(|line| !line.bridged && line.state == State::Answered) {
            self.far_end(now, id, rng, agenda);
        }
    }

    /// The far end hangs up, or is gone without a word; then our media notices.
    fn far_end(&self, at: Time, id: TryId, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        let unheard = (self.troubles.vanish && one_in(rng, 3)) || (self.troubles.mess && one_in(rng, 8));
        if unheard {
            let event = LineEvent::Ended { by: EndedBy::MediaTimeout, q850: None };
            agenda.add(at + RTP_TIMEOUT, Happening::Line(id, event));
        } else {
            self.line(at, id, LineEvent::Ended { by: EndedBy::Far, q850: Some(16) }, rng, agenda);
        }
    }

    pub(super) fn cancel(&mut self, now: Time, id: TryId, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        let mess = self.troubles.mess;
        let Some(line) = self.lines.get_mut(&id).filter(|line| line.state == State::Calling) else { return };
        if mess && one_in(rng, 8) {
            // Answered in the moment of our CANCEL.
            return self.answers(now + ms(rng, 5, 200), id, Verdict::Person, rng, agenda);
        }
        line.state = State::Ending;
        if mess && one_in(rng, 30) {
            return; // never confirmed
        }
        let after = if mess && one_in(rng, 8) { ms(rng, 1_000, 32_000) } else { ms(rng, 10, 400) };
        agenda.add(now + after, Happening::Line(id, LineEvent::Failed(Failure::Cancelled)));
    }

    pub(super) fn hang_up(&mut self, now: Time, id: TryId, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        let mess = self.troubles.mess;
        let Some(line) = self.lines.get_mut(&id).filter(|line| line.state == State::Answered) else { return };
        line.state = State::Ending;
        if mess && one_in(rng, 30) {
            return; // never confirmed
        }
        let after = if mess && one_in(rng, 8) { ms(rng, 1_000, 32_000) } else { ms(rng, 5, 60) };
        let ended = LineEvent::Ended { by: EndedBy::Near, q850: None };
        agenda.add(now + after, Happening::Line(id, ended));
    }

    /// Ends a call of before a crash, by its stored dialog or by its stray answer.
    pub(super) fn end(&mut self, now: Time, id: TryId, agenda: &mut Agenda) {
        if let Some(line) = self.lines.get_mut(&id).filter(|line| line.state != State::Ending) {
            line.state = State::Ending;
        }
        let ended = LineEvent::Ended { by: EndedBy::Near, q850: None };
        agenda.add(now + Duration::from_millis(30), Happening::Line(id, ended));
    }

    pub(super) fn bridged(&mut self, now: Time, id: TryId, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        let again = std::mem::replace(&mut line.bridged, true);
        let at = now + ms(rng, 1, 40);
        agenda.add(at, Happening::Line(id, LineEvent::FirstPacket { at }));
        if !again {
            let talk = self.floor.talk(rng).min(TALK_MOST);
            self.far_end(now + talk, id, rng, agenda);
        }
    }

    pub(super) fn message(&self, now: Time, id: TryId, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        if !self.troubles.mess || !one_in(rng, 8) {
            agenda.add(now + ms(rng, 3_000, 12_000), Happening::Line(id, LineEvent::PlayDone));
        }
    }

    /// The dialer died. What is up stays up until somebody ends it; without our audio people hang up.
    pub(super) fn crash(&mut self, now: Time, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        for (id, line) in &mut self.lines {
            line.orphan = true;
            if line.state == State::Answered {
                let gone = LineEvent::Ended { by: EndedBy::Far, q850: None };
                agenda.add(now + ms(rng, 500, 60_000), Happening::Line(*id, gone));
            }
        }
        // A CANCEL or BYE that was sent is confirmed to nobody.
        self.lines.retain(|_, line| line.state != State::Ending);
    }
}

fn status(status: u16) -> LineEvent {
    LineEvent::Failed(Failure::Status {
        status,
        q850: None,
        reason: String::new(),
        retry_after: None,
        rang: false,
    })
}
