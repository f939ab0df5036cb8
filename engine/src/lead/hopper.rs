//! The hopper: leads that may be dialed now, in memory, in the order in which they are to be dialed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::limits::{HOPPER_HOLDS, HOPPER_LEAST, HOPPER_MOST};
use crate::pacing::Traits;
use crate::{AgentId, Lead, LeadId, Outcome};

/// A lead that may be dialed now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) lead: Lead,
    /// What is known of it before it is dialed.
    pub(crate) traits: Traits,
    /// The chance that a person answers (0 to 1).
    pub(crate) answers: f64,
    /// The agent who promised to call back, as long as nobody else may.
    pub(crate) keeper: Option<AgentId>,
}

impl Ready {
    /// Whether a person who was talked to is to be called again: an agent said so, perhaps for a time.
    fn is_callback(&self) -> bool {
        self.lead.callback.is_some() || self.lead.last_outcome == Some(Outcome::Connected)
    }

    /// The higher, the earlier: whoever is likely to answer, and nobody waits without end. Ten minutes in the hopper
    /// weigh as much as odds of e to 1.
    fn rank(&self, waited_s: f64) -> f64 {
        let chance = self.answers.clamp(0.001, 0.999);
        (chance / (1.0 - chance)).ln() + waited_s / 600.0
    }
}

/// The hopper of one campaign. Every answer of the store replaces what it holds: the store knows what is due, and what
/// was deleted or suppressed meanwhile. Which of these is dialed first is decided here: callbacks, then the turn that the
/// store gave, then priority, then the chance of an answer and the time waited.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Hopper {
    leads: VecDeque<Ready>,
    /// Callbacks that wait for the agent who promised them, the first due in front.
    own: VecDeque<(AgentId, Ready)>,
    /// Since when each is held.
    held: BTreeMap<LeadId, Time>,
    /// A refill is on its way; the leads whose state changed since it was asked are skipped in its answer.
    asked: Option<BTreeSet<LeadId>>,
    /// Ask again when the answer is there.
    pub(crate) again: bool,
    /// What the refill on its way will know, and what the leads here were read with: marks of the attempts to numbers.
    asked_mark: u64,
    read_mark: u64,
    /// What is on its way was read too early to be used.
    is_void: bool,
    /// When the leads were read.
    read: Time,
    /// Dials since then, for the size of the next one.
    taken: u32,
    want: u32,
}

impl Hopper {
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.leads.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.leads.is_empty()
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// When the leads were read.
    pub(crate) fn read_at(&self) -> Time {
        self.read
    }

    /// Whether it should be filled up.
    pub(crate) fn is_low(&self) -> bool {
        self.len() < self.want.max(HOPPER_LEAST) / 2
    }

    /// The chance that a person answers, of the next leads in their order.
    pub(crate) fn answers(&self) -> impl Iterator<Item = f64> + '_ {
        self.leads.iter().map(|ready| ready.answers)
    }

    /// A refill goes out: how many leads to ask for, those held included.
    pub(crate) fn ask(&mut self, now: Time, mark: u64) -> u32 {
        self.asked_mark = mark;
        let seconds = now.since(self.read).as_secs_f64().max(1.0);
        let rate = f64::from(self.taken) / seconds;
        // At least half of the last size: one quiet moment does not shrink it to nothing.
        let want = (rate * HOPPER_HOLDS.as_secs_f64()).clamp(0.0, f64::from(HOPPER_MOST)) as u32;
        self.want = want.max(self.want / 2).clamp(HOPPER_LEAST, HOPPER_MOST);
        self.asked = Some(BTreeSet::new());
        self.again = false;
        self.want
    }

    /// The store answered: these are the leads now. Gives those that were read before their state changed, as a count.
    pub(crate) fn fill(&mut self, now: Time, leads: Vec<Ready>, in_flight: impl Fn(LeadId) -> bool) -> u32 {
        let touched = self.asked.take().unwrap_or_default();
        let before = std::mem::take(&mut self.held);
        self.leads.clear();
        self.own.clear();
        self.read = now;
        self.read_mark = self.asked_mark;
        self.taken = 0;
        let (mut skipped, mut ranked) = (0, Vec::with_capacity(leads.len()));
        for ready in leads.into_iter().take(HOPPER_MOST as usize) {
            let id = ready.lead.id;
            if touched.contains(&id) || in_flight(id) {
                skipped += 1;
                continue;
            }
            let since = before.get(&id).copied().unwrap_or(now);
            if self.held.insert(id, since).is_none() {
                let rank = ready.rank(now.since(since).as_secs_f64());
                ranked.push((ready, rank));
            }
        }
        // Stable: alike leads stay in the store's order.
        ranked.sort_by(|(a, rank_a), (b, rank_b)| {
            let first = |ready: &Ready| {
                (ready.is_callback(), std::cmp::Reverse(ready.lead.turn), ready.lead.priority)
            };
            first(b).cmp(&first(a)).then(rank_b.total_cmp(rank_a))
        });
        for (ready, _) in ranked {
            match ready.keeper {
                Some(agent) => self.own.push_back((agent, ready)),
                None => self.leads.push_back(ready),
            }
        }
        skipped
    }

    /// The next lead to dial.
    pub(crate) fn take(&mut self) -> Option<Ready> {
        let ready = self.leads.pop_front()?;
        self.held.remove(&ready.lead.id);
        self.taken = self.taken.saturating_add(1);
        self.touch(ready.lead.id);
        Some(ready)
    }

    /// The next callback that this agent promised.
    pub(crate) fn take_own(&mut self, agent: AgentId) -> Option<Ready> {
        let at = self.own.iter().position(|(keeper, _)| *keeper == agent)?;
        let (_, ready) = self.own.remove(at)?;
        self.held.remove(&ready.lead.id);
        self.touch(ready.lead.id);
        Some(ready)
    }

    /// Since when a callback of this agent is held; none: there is none.
    pub(crate) fn own_since(&self, agent: AgentId) -> Option<Time> {
        let (_, ready) = self.own.iter().find(|(keeper, _)| *keeper == agent)?;
        self.held.get(&ready.lead.id).copied()
    }

    /// Whether callbacks wait for the agents who promised them.
    pub(crate) fn waits_for_agents(&self) -> bool {
        !self.own.is_empty()
    }

    /// Where a lead stands: how many are dialed before it, and whether it waits for an agent of its own.
    pub(crate) fn place(&self, lead: LeadId) -> Option<(usize, Option<AgentId>)> {
        let own =
            self.own.iter().find(|(_, ready)| ready.lead.id == lead).map(|(agent, _)| (0, Some(*agent)));
        own.or_else(|| Some((self.leads.iter().position(|ready| ready.lead.id == lead)?, None)))
    }

    /// A lead that was taken but not dialed is next again, and as old as the oldest.
    pub(crate) fn put_back(&mut self, now: Time, ready: Ready) {
        let since = self.held.values().min().copied().unwrap_or(now);
        if self.held.insert(ready.lead.id, since).is_none() {
            match ready.keeper {
                Some(agent) => self.own.push_front((agent, ready)),
                None => self.leads.push_front(ready),
            }
        }
    }

    /// The lead changed: what a refill on its way says of it is old.
    pub(crate) fn touch(&mut self, lead: LeadId) {
        if let Some(touched) = &mut self.asked {
            touched.insert(lead);
        }
    }

    /// Whether the lead changed since the refill on its way was asked.
    pub(crate) fn is_touched(&self, lead: LeadId) -> bool {
        self.asked.as_ref().is_some_and(|touched| touched.contains(&lead))
    }

    /// The lead is not due any more.
    pub(crate) fn remove(&mut self, lead: LeadId) {
        if self.held.remove(&lead).is_some() {
            self.leads.retain(|ready| ready.lead.id != lead);
            self.own.retain(|(_, ready)| ready.lead.id != lead);
        }
        self.touch(lead);
    }

    /// The number must not be called any more. Gives the leads that went.
    pub(crate) fn remove_phone(&mut self, phone: &str) -> u32 {
        let before = self.leads.len() + self.own.len();
        let held = &mut self.held;
        let mut stays = |ready: &Ready| {
            let stays = ready.lead.phone.0 != phone;
            if !stays {
                held.remove(&ready.lead.id);
            }
            stays
        };
        self.leads.retain(&mut stays);
        self.own.retain(|(_, ready)| stays(ready));
        u32::try_from(before - self.leads.len() - self.own.len()).unwrap_or(u32::MAX)
    }

    /// What is here, and what is on its way, is not to be used: it is read again.
    pub(crate) fn void(&mut self) {
        self.clear();
        if self.asked.is_some() {
            (self.is_void, self.again) = (true, true);
        }
    }

    /// Whether the answer that came is not to be used.
    pub(crate) fn take_void(&mut self) -> bool {
        std::mem::take(&mut self.is_void)
    }

    /// The oldest mark that leads here, or on their way, were read with; none when there are none.
    pub(crate) fn mark(&self) -> Option<u64> {
        let held = (!self.leads.is_empty() || !self.own.is_empty()).then_some(self.read_mark);
        let coming = self.asked.as_ref().map(|_| self.asked_mark);
        held.into_iter().chain(coming).min()
    }

    /// The campaign stops: nothing is held for it.
    pub(crate) fn clear(&mut self) {
        self.leads.clear();
        self.own.clear();
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::lead;

    fn ready(id: i64, answers: f64) -> Ready {
        let lead = lead(id);
        Ready { traits: Traits::of(&lead, 12), lead, answers, keeper: None }
    }

    fn alike(ids: impl IntoIterator<Item = i64>) -> Vec<Ready> {
        ids.into_iter().map(|id| ready(id, 0.2)).collect()
    }

    fn order(hopper: &mut Hopper) -> Vec<i64> {
        std::iter::from_fn(|| hopper.take()).map(|ready| ready.lead.id.0).collect()
    }

    #[test]
    fn an_answer_replaces_but_skips_what_changed_since_it_was_asked() {
        let mut hopper = Hopper::default();
        assert_eq!(hopper.ask(Time::ZERO, 0), HOPPER_LEAST);
        assert_eq!(hopper.fill(Time::ZERO, alike([1, 2, 3]), |_| false), 0);
        assert_eq!(hopper.take().unwrap().lead.id, LeadId(1));
        hopper.ask(Time::from_millis(100), 0);
        let second = hopper.take().unwrap();
        hopper.put_back(Time::from_millis(110), second); // a commit failed: back in front
        assert_eq!(hopper.len(), 2);
        // The store read 2, 3 and 4 before it knew of 2's change, and 1 is on the line.
        let skipped = hopper.fill(Time::ZERO, alike([1, 2, 3, 4, 4]), |id| id == LeadId(1));
        assert_eq!(skipped, 2);
        assert_eq!(order(&mut hopper), [3, 4]);
    }

    #[test]
    fn callbacks_then_priority_then_the_likeliest_and_nobody_waits_without_end() {
        let mut hopper = Hopper::default();
        let (mut callback, mut urgent) = (ready(4, 0.1), ready(5, 0.1));
        callback.lead.last_outcome = Some(Outcome::Connected);
        urgent.lead.priority = 1;
        let leads = vec![ready(1, 0.2), ready(2, 0.05), ready(3, 0.5), callback, urgent];
        hopper.ask(Time::ZERO, 0);
        hopper.fill(Time::ZERO, leads.clone(), |_| false);
        assert_eq!(hopper.answers().collect::<Vec<_>>(), [0.1, 0.1, 0.5, 0.2, 0.05]);
        // Half an hour later a fresh lead that is likelier does not pass one that waited all the time.
        let later = Time::from_millis(1_800_000);
        hopper.ask(later, 0);
        hopper.fill(later, vec![ready(2, 0.05), ready(6, 0.4)], |_| false);
        assert_eq!(order(&mut hopper), [2, 6]);
    }

    #[test]
    fn the_store_s_turns_stand_and_callbacks_wait_for_their_agents() {
        let mut hopper = Hopper::default();
        let (mut leads, agent) = (alike([1, 2, 3, 4, 5]), AgentId(7));
        for (ready, turn) in leads.iter_mut().zip([2, 1, 1, 3, 0]) {
            ready.lead.turn = turn;
        }
        leads[2].answers = 0.9;
        leads[3].answers = 0.9;
        leads[4].keeper = Some(agent);
        hopper.ask(Time::ZERO, 0);
        hopper.fill(Time::from_millis(5), leads, |_| false);
        assert_eq!(hopper.place(LeadId(1)), Some((2, None)));
        assert_eq!(hopper.place(LeadId(5)), Some((0, Some(agent))));
        assert_eq!(
            (hopper.own_since(AgentId(8)), hopper.own_since(agent)),
            (None, Some(Time::from_millis(5)))
        );
        assert!(hopper.take_own(AgentId(8)).is_none());
        let own = hopper.take_own(agent).unwrap();
        assert!(!hopper.waits_for_agents());
        hopper.put_back(Time::from_millis(9), own);
        assert!(hopper.waits_for_agents());
        hopper.remove(LeadId(5));
        assert_eq!((hopper.waits_for_agents(), order(&mut hopper)), (false, vec![3, 2, 1, 4]));
    }

    #[test]
    fn grows_with_the_pace_within_its_bounds() {
        let mut hopper = Hopper::default();
        let mut now = Time::ZERO;
        for _ in 0..20 {
            let want = hopper.ask(now, 0);
            hopper.fill(now, alike(0..i64::from(want)), |_| false);
            while !hopper.is_low() {
                hopper.take();
            }
            now += std::time::Duration::from_secs(1);
        }
        assert_eq!(hopper.ask(now, 0), HOPPER_MOST);
    }

    #[test]
    fn a_suppressed_number_goes_at_once() {
        let mut hopper = Hopper::default();
        hopper.ask(Time::ZERO, 0);
        hopper.fill(Time::ZERO, alike([1, 2]), |_| false);
        assert_eq!(hopper.remove_phone(&lead(1).phone.0), 1);
        assert_eq!(order(&mut hopper), [2]);
    }
}
