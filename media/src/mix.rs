//! Conferences of a few: everybody hears the sum of those whom the matrix lets through, and never themselves.
//!
//! Listening in, whispering, barging in and three-way calls are all the same mixer with another [`Role`] of one party.

use crate::level::Limiter;

/// Parties in one mixer: a call, its supervisors, and a few more. Hearing is a word of this many bits.
pub const MAX_PARTIES: usize = 16;
/// The longest frame, in samples: 20 ms at 48 kHz.
const MAX_FRAME: usize = 960;

/// One of a mixer's parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(u8);

impl PartyId {
    const fn bit(self) -> u16 {
        1 << self.0
    }
}

/// Who hears a party. Everybody hears those who speak to them, whatever their own role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Heard by all: a caller, an agent, a supervisor who barged in.
    Talk,
    /// Heard by nobody: a supervisor who listens, a recorder, somebody muted.
    Listen,
    /// Heard by one: a supervisor who coaches the agent.
    Whisper(PartyId),
}

/// What a party hears in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mixed {
    /// Nobody who speaks: nothing was written.
    Silence,
    /// One party alone, whose frame (or whose packet, where the codecs are the same) may be passed on as it is. Nothing
    /// was written.
    Only(PartyId),
    /// The sum, which was written.
    Sum,
}

struct Party {
    role: Role,
    limiter: Limiter,
    /// What it said in this tick.
    frame: Box<[i16]>,
}

type Parties = [Option<Party>; MAX_PARTIES];

/// A mixer. Each tick: [`Mixer::input`] for everybody who said something, [`Mixer::output`] for everybody who listens,
/// then [`Mixer::end_tick`].
pub struct Mixer {
    rate_hz: u32,
    frame: usize,
    parties: Parties,
    /// Who gave a frame in this tick.
    spoke: u16,
    /// The sum of all that talk to everybody, once it was needed in this tick.
    total: Box<[i32]>,
    has_total: bool,
}

impl Mixer {
    /// A mixer of frames of 20 ms at `rate_hz` (at most 48,000).
    pub fn new(rate_hz: u32) -> Mixer {
        let frame = (rate_hz as usize / 50).min(MAX_FRAME);
        Mixer {
            rate_hz,
            frame,
            parties: [const { None }; MAX_PARTIES],
            spoke: 0,
            total: vec![0; frame].into_boxed_slice(),
            has_total: false,
        }
    }

    /// Samples in a frame.
    pub fn frame_samples(&self) -> usize {
        self.frame
    }

    /// Adds a party; `None` when there are sixteen.
    pub fn add(&mut self, role: Role) -> Option<PartyId> {
        let (at, place) = self.parties.iter_mut().enumerate().find(|(_, party)| party.is_none())?;
        let frame = vec![0; self.frame].into_boxed_slice();
        *place = Some(Party { role, limiter: Limiter::new(self.rate_hz), frame });
        Some(PartyId(at as u8))
    }

    /// Removes a party. Who whispered to it is heard by nobody until given another role.
    pub fn remove(&mut self, id: PartyId) {
        self.spoke &= !id.bit();
        self.has_total = false;
        if let Some(place) = self.parties.get_mut(usize::from(id.0)) {
            *place = None;
        }
        for party in self.parties.iter_mut().flatten().filter(|party| party.role == Role::Whisper(id)) {
            // The place may be given to somebody else, who must not hear it.
            party.role = Role::Listen;
        }
    }

    /// Changes who hears a party.
    pub fn set_role(&mut self, id: PartyId, role: Role) {
        self.has_total = false;
        if let Some(Some(party)) = self.parties.get_mut(usize::from(id.0)) {
            party.role = role;
        }
    }

    /// A party's role.
    pub fn role(&self, id: PartyId) -> Option<Role> {
        self.parties.get(usize::from(id.0))?.as_ref().map(|party| party.role)
    }

    /// How many parties there are.
    pub fn len(&self) -> usize {
        self.parties.iter().flatten().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a party says in this tick. Parties that say nothing (a pause, a mute) cost nothing.
    pub fn input(&mut self, id: PartyId, frame: &[i16]) {
        let Some(Some(party)) = self.parties.get_mut(usize::from(id.0)) else { return };
        let mut frame = frame.iter().copied();
        party.frame.iter_mut().for_each(|to| *to = frame.next().unwrap_or(0));
        self.spoke |= id.bit();
        self.has_total = false;
    }

    /// Whom a party hears at present, as bits by number.
    fn heard_by(&self, id: PartyId) -> u16 {
        let bits = self.parties.iter().enumerate().map(|(at, party)| match party.as_ref().map(|p| p.role) {
            Some(Role::Talk) => 1 << at,
            Some(Role::Whisper(to)) if to == id => 1 << at,
            _ => 0u16,
        });
        bits.sum::<u16>() & self.spoke & !id.bit()
    }

    /// What a party hears in this tick; a sum is written to `out`.
    pub fn output(&mut self, id: PartyId, out: &mut [i16]) -> Mixed {
        let heard = self.heard_by(id);
        match heard.count_ones() {
            0 => return Mixed::Silence,
            1 => return Mixed::Only(PartyId(heard.trailing_zeros() as u8)),
            _ => {}
        }
        let talking = self.talking();
        let mut sum = [0i32; MAX_FRAME];
        let sum = sum.get_mut(..self.frame).unwrap_or_default();
        // Most hear all who talk but themselves: the total less their own. Whispers are added.
        let whispers = heard & !talking;
        if heard & talking == talking & !id.bit() && talking.count_ones() > 2 {
            self.fill_total(talking);
            sum.iter_mut().zip(self.total.iter()).for_each(|(to, total)| *to = *total);
            each(&self.parties, talking & id.bit(), sum, |to, own| *to -= own);
            each(&self.parties, whispers, sum, |to, other| *to += other);
        } else {
            each(&self.parties, heard, sum, |to, other| *to += other);
        }
        if let Some(Some(party)) = self.parties.get_mut(usize::from(id.0)) {
            party.limiter.limit(sum, out);
        }
        Mixed::Sum
    }

    /// The frame that a party gave in this tick, for who hears only it.
    pub fn frame(&self, id: PartyId) -> Option<&[i16]> {
        let party = self.parties.get(usize::from(id.0))?.as_ref()?;
        (self.spoke & id.bit() != 0).then_some(&*party.frame)
    }

    /// Ends a tick: what was said is forgotten.
    pub fn end_tick(&mut self) {
        self.spoke = 0;
        self.has_total = false;
    }

    /// Who talks to everybody and spoke.
    fn talking(&self) -> u16 {
        let talks = |party: &Option<Party>| party.as_ref().is_some_and(|p| p.role == Role::Talk);
        let bits = self.parties.iter().enumerate().map(|(at, party)| u16::from(talks(party)) << at);
        bits.sum::<u16>() & self.spoke
    }

    fn fill_total(&mut self, talking: u16) {
        if !self.has_total {
            self.total.fill(0);
            each(&self.parties, talking, &mut self.total, |to, other| *to += other);
            self.has_total = true;
        }
    }
}

/// Applies the frames of the parties in `bits` to a sum.
fn each(parties: &Parties, bits: u16, sum: &mut [i32], apply: impl Fn(&mut i32, i32)) {
    for (_, party) in parties.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1) {
        let frame = party.as_ref().map_or(&[][..], |party| &party.frame);
        sum.iter_mut().zip(frame).for_each(|(to, sample)| apply(to, i32::from(*sample)));
    }
}

impl std::fmt::Debug for Mixer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mixer")
            .field("rate_hz", &self.rate_hz)
            .field("parties", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everybody says their number in powers of two; what each hears tells whom.
    fn heard(mixer: &mut Mixer, ids: &[PartyId]) -> Vec<i32> {
        for (n, id) in ids.iter().enumerate() {
            mixer.input(*id, &[1 << n; 160]);
        }
        let mut out = Vec::new();
        for id in ids {
            let mut frame = [0; 160];
            out.push(match mixer.output(*id, &mut frame) {
                Mixed::Silence => 0,
                Mixed::Only(other) => mixer.frame(other).unwrap()[159].into(),
                Mixed::Sum => frame[159].into(),
            });
        }
        mixer.end_tick();
        out
    }

    fn floor(roles: &[Role]) -> (Mixer, Vec<PartyId>) {
        let mut mixer = Mixer::new(8_000);
        let ids = roles.iter().map(|role| mixer.add(*role).unwrap()).collect();
        (mixer, ids)
    }

    #[test]
    fn a_supervisor_listens_whispers_and_barges() {
        let (mut mixer, ids) = floor(&[Role::Talk, Role::Talk, Role::Listen]);
        // Caller 1, agent 2, supervisor 4.
        assert_eq!(heard(&mut mixer, &ids), [2, 1, 3]);
        mixer.set_role(ids[2], Role::Whisper(ids[1]));
        assert_eq!(heard(&mut mixer, &ids), [2, 5, 3]);
        mixer.set_role(ids[2], Role::Talk);
        assert_eq!(heard(&mut mixer, &ids), [6, 5, 3]);
        mixer.set_role(ids[2], Role::Whisper(ids[1]));
        // The agent leaves; its place goes to somebody who must not hear the whisper.
        mixer.remove(ids[1]);
        let next = mixer.add(Role::Talk).unwrap();
        assert_eq!((next, mixer.role(ids[2])), (ids[1], Some(Role::Listen)));
        assert_eq!(heard(&mut mixer, &ids), [2, 1, 3]);
    }

    #[test]
    fn who_hears_one_gets_it_as_it_is() {
        let (mut mixer, ids) = floor(&[Role::Talk, Role::Talk, Role::Talk]);
        mixer.input(ids[0], &[5; 160]);
        let mut out = [77; 160];
        assert_eq!(mixer.output(ids[1], &mut out), Mixed::Only(ids[0]));
        assert_eq!(mixer.output(ids[0], &mut out), Mixed::Silence);
        assert_eq!(out, [77; 160]);
        mixer.end_tick();
        assert_eq!(mixer.output(ids[1], &mut out), Mixed::Silence);
        assert_eq!(mixer.frame(ids[0]), None);
    }

    #[test]
    fn sixteen_hear_all_but_themselves_and_a_seventeenth_is_refused() {
        let (mut mixer, mut ids) = floor(&[Role::Talk; 14]);
        ids.push(mixer.add(Role::Listen).unwrap());
        ids.push(mixer.add(Role::Whisper(ids[3])).unwrap());
        assert_eq!((mixer.add(Role::Talk), mixer.len()), (None, MAX_PARTIES));
        // Sixteen different numbers below the limiter's knee: 1 to 16 hundred.
        for (n, id) in ids.iter().enumerate() {
            mixer.input(*id, &[(n as i16 + 1) * 100; 160]);
        }
        let talk: i16 = (1..=14).map(|n| n * 100).sum();
        for (n, id) in ids.iter().enumerate() {
            let mut out = [0; 160];
            assert_eq!(mixer.output(*id, &mut out), Mixed::Sum);
            let own = if n < 14 { (n as i16 + 1) * 100 } else { 0 };
            let whisper = if n == 3 { 1_600 } else { 0 };
            assert_eq!(out, [talk - own + whisper; 160], "party {n}");
        }
    }

    #[test]
    fn loud_sums_are_limited_and_strangers_ignored() {
        let (mut mixer, ids) = floor(&[Role::Talk, Role::Talk, Role::Talk]);
        for id in &ids {
            mixer.input(*id, &[30_000; 10]);
        }
        let mut out = [0; 160];
        assert_eq!(mixer.output(ids[0], &mut out), Mixed::Sum);
        // A frame that is too short is silence from its end on.
        assert!(out[9] < 31_000 && out[9] > 20_000 && out[10] == 0, "{out:?}");
        mixer.remove(ids[1]);
        mixer.input(ids[1], &[9; 160]);
        assert_eq!(mixer.frame(ids[1]), None);
        assert_eq!(mixer.role(ids[1]), None);
        assert!(!mixer.is_empty());
    }
}
