//! Leads that a campaign holds ready to be dialed, in the store's order.

use std::collections::{BTreeSet, VecDeque};

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::limits::{HOPPER_HOLDS, HOPPER_LEAST, HOPPER_MOST};
use crate::{Lead, LeadId};

/// The hopper of one campaign. Every answer of the store replaces what it holds: the store knows the order, and what
/// was deleted or suppressed meanwhile.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Hopper {
    leads: VecDeque<Lead>,
    held: BTreeSet<LeadId>,
    /// A refill is on its way; the leads whose state changed since it was asked are skipped in its answer.
    asked: Option<BTreeSet<LeadId>>,
    /// Ask again when the answer is there.
    pub(crate) again: bool,
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

    /// A refill goes out: how many leads to ask for, those held included.
    pub(crate) fn ask(&mut self, now: Time) -> u32 {
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
    pub(crate) fn fill(&mut self, now: Time, leads: Vec<Lead>, in_flight: impl Fn(LeadId) -> bool) -> u32 {
        let touched = self.asked.take().unwrap_or_default();
        self.leads.clear();
        self.held.clear();
        self.read = now;
        self.taken = 0;
        let mut skipped = 0;
        for lead in leads.into_iter().take(HOPPER_MOST as usize) {
            if touched.contains(&lead.id) || in_flight(lead.id) {
                skipped += 1;
            } else if self.held.insert(lead.id) {
                self.leads.push_back(lead);
            }
        }
        skipped
    }

    /// The next lead to dial.
    pub(crate) fn take(&mut self) -> Option<Lead> {
        let lead = self.leads.pop_front()?;
        self.held.remove(&lead.id);
        self.taken = self.taken.saturating_add(1);
        self.touch(lead.id);
        Some(lead)
    }

    /// A lead that was taken but not dialed is next again.
    pub(crate) fn put_back(&mut self, lead: Lead) {
        if self.held.insert(lead.id) {
            self.leads.push_front(lead);
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
        if self.held.remove(&lead) {
            self.leads.retain(|held| held.id != lead);
        }
        self.touch(lead);
    }

    /// The number must not be called any more. Gives the leads that went.
    pub(crate) fn remove_phone(&mut self, phone: &str) -> u32 {
        let before = self.leads.len();
        let held = &mut self.held;
        self.leads.retain(|lead| {
            let stays = lead.phone.0 != phone;
            if !stays {
                held.remove(&lead.id);
            }
            stays
        });
        u32::try_from(before - self.leads.len()).unwrap_or(u32::MAX)
    }

    /// The campaign stops: nothing is held for it.
    pub(crate) fn clear(&mut self) {
        self.leads.clear();
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::lead;

    #[test]
    fn an_answer_replaces_but_skips_what_changed_since_it_was_asked() {
        let mut hopper = Hopper::default();
        assert_eq!(hopper.ask(Time::ZERO), HOPPER_LEAST);
        assert_eq!(hopper.fill(Time::ZERO, vec![lead(1), lead(2), lead(3)], |_| false), 0);
        assert_eq!(hopper.take().unwrap().id, LeadId(1));
        hopper.ask(Time::from_millis(100));
        let second = hopper.take().unwrap();
        hopper.put_back(second); // a commit failed: back in front
        assert_eq!(hopper.len(), 2);
        // The store read 2, 3 and 4 before it knew of 2's change, and 1 is on the line.
        let skipped =
            hopper.fill(Time::ZERO, vec![lead(1), lead(2), lead(3), lead(4), lead(4)], |id| id == LeadId(1));
        assert_eq!(skipped, 2);
        assert_eq!(hopper.take().unwrap().id, LeadId(3));
        assert_eq!(hopper.take().unwrap().id, LeadId(4));
        assert!(hopper.take().is_none());
    }

    #[test]
    fn grows_with_the_pace_within_its_bounds() {
        let mut hopper = Hopper::default();
        let mut now = Time::ZERO;
        for _ in 0..20 {
            let want = hopper.ask(now);
            hopper.fill(now, (0..i64::from(want)).map(lead).collect(), |_| false);
            while !hopper.is_low() {
                hopper.take();
            }
            now += std::time::Duration::from_secs(1);
        }
        assert_eq!(hopper.ask(now), HOPPER_MOST);
    }

    #[test]
    fn a_suppressed_number_goes_at_once() {
        let mut hopper = Hopper::default();
        hopper.ask(Time::ZERO);
        hopper.fill(Time::ZERO, vec![lead(1), lead(2)], |_| false);
        assert_eq!(hopper.remove_phone(&lead(1).phone.0), 1);
        assert_eq!(hopper.take().unwrap().id, LeadId(2));
    }
}
