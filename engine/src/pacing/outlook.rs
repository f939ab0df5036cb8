//! What one campaign may expect of the next half minute: the agents it shares with others as they come free, the lines of
//! the whole group as they are answered. One supply, counted once, however many campaigns dial for it.

use std::time::Duration;

use kraliki_time::Time;

use super::forecast::{Chances, HORIZONS, by_then};
use super::learned::Learned;
use super::shortfall::{Limit, Room, Shortfall};
use super::{AgentPhase, LineView};

/// Supply and demand as one campaign sees them.
#[derive(Debug)]
pub struct Outlook<'a> {
    /// The campaign's own.
    learned: &'a Learned,
    /// When a line dialed now may be answered.
    at_s: Chances,
    grace_s: f64,
    agents: usize,
    idle: usize,
    shortfall: Shortfall,
    /// Busy agents who will be free, at each horizon.
    due: Chances,
}

impl<'a> Outlook<'a> {
    /// Of a campaign that so many agents serve, and whose people wait that long for one. None before anything is known.
    pub(crate) fn new(learned: &'a Learned, agents: usize, grace: Duration) -> Option<Outlook<'a>> {
        Some(Outlook {
            at_s: learned.tables()?.horizons(),
            learned,
            grace_s: grace.as_secs_f64(),
            agents,
            idle: 0,
            shortfall: Shortfall::new(agents),
            due: [0.0; HORIZONS],
        })
    }

    /// One of its agents, whose present call, if any, is of the campaign that learned this. `leaves_in`: until the shift
    /// ends; whoever answers later does not find this agent.
    pub(crate) fn agent(
        &mut self,
        learned: &Learned,
        now: Time,
        phase: &AgentPhase,
        leaves_in: Option<Duration>,
    ) {
        let Some(tables) = learned.tables() else { return };
        let leaves_s = leaves_in.map_or(f64::INFINITY, |time| time.as_secs_f64());
        let still = |at_s: f64, chance: f64| if at_s < leaves_s { chance } else { 0.0 };
        let free = match tables.free(phase, now) {
            Some(free) => self.at_s.map(|at_s| still(at_s, by_then(free, at_s + self.grace_s))),
            None if self.at_s.iter().all(|at_s| *at_s < leaves_s) => {
                self.idle += 1;
                return;
            }
            None => self.at_s.map(|at_s| still(at_s, 1.0)),
        };
        for (due, free) in self.due.iter_mut().zip(free) {
            *due += free;
        }
        self.shortfall.add(free.map(|free| 1.0 - free));
    }

    /// A line of the group. `share`: of the agents who may take it, those who are this campaign's; `certain`: its
    /// campaign promises an agent to each line.
    pub(crate) fn line(&mut self, learned: &Learned, now: Time, line: &LineView, share: f64, certain: bool) {
        let Some(tables) = learned.tables() else { return };
        if certain {
            return self.person(share);
        }
        let rings_in_s = learned.rings_in_s(now, line);
        let pending = tables.pending(line.answers, rings_in_s);
        self.shortfall.add(self.at_s.map(|by_s| share * pending.by(by_s)));
    }

    /// A call of the group that was answered so long ago and may be a person.
    pub(crate) fn detecting(&mut self, learned: &Learned, answered_for: Duration, share: f64) {
        let Some(tables) = learned.tables() else { return };
        self.person(share * tables.is_person(answered_for.as_secs_f64()));
    }

    /// A person of the group who waits, or will be there with this chance.
    pub(crate) fn person(&mut self, chance: f64) {
        self.shortfall.add([chance; HORIZONS]);
    }

    pub(super) fn agents(&self) -> usize {
        self.agents
    }

    pub(super) fn idle(&self) -> usize {
        self.idle
    }

    /// At the middle horizon: seconds from now, busy agents who will be free, people who will have answered.
    pub(super) fn middle(&self) -> (f64, f64, f64) {
        let middle = |chances: &Chances| chances.get(HORIZONS / 2).copied().unwrap_or(0.0);
        let due = middle(&self.due);
        let busy = self.agents.saturating_sub(self.idle) as f64;
        (middle(&self.at_s), due, (middle(&self.shortfall.mean()) - (busy - due)).max(0.0))
    }

    /// The chance that a line of the campaign's own is answered by the middle horizon.
    pub(super) fn answered(&self, now: Time, line: &LineView) -> f64 {
        let (by_s, ..) = self.middle();
        let rings_in_s = self.learned.rings_in_s(now, line);
        self.learned.tables().map_or(0.0, |tables| tables.pending(line.answers, rings_in_s).by(by_s))
    }

    /// How many lines to leads with these chances fit within the limit.
    pub(super) fn room(&self, leads: &[f64], limit: &Limit, most: u32) -> Room {
        let tables = self.learned.tables();
        let new = leads.iter().map(|chance| {
            let pending = tables.map(|tables| tables.pending_new(*chance));
            self.at_s.map(|by_s| pending.map_or(1.0, |pending| pending.by(by_s)))
        });
        self.shortfall.room(new, limit, most)
    }
}
