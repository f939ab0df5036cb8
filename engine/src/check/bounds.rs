//! Bounded memory: what the engine holds stays under its stated limits, however much comes in.

use kraliki_time::Time;

use super::{Books, Check, End, Found, TrunkChanges};
use crate::limits::{AGENTS_MOST, CAMPAIGNS_MOST, COMMANDS_MOST, COMMITTING_MOST, FACTS_MOST, HOPPER_MOST};
use crate::{Gauges, Input, Output};

/// Writes that may wait beside tries and commands: a few for each call that is up.
const FACTS_OF_A_CALL: u64 = 8;
/// The outputs of one input: a decision for every line and agent, and a flush of facts; a loop has no end.
const BURST_MOST: u64 = 200_000;

#[derive(Debug, Default)]
pub(super) struct Bounds {
    changes: TrunkChanges,
    channels: u64,
    /// Trunks, campaigns and what is there once.
    fixed: u64,
    /// Replies that the driver waits for.
    commands: u64,
    /// Outputs since the last time that the engine had nothing more to say.
    burst: u64,
}

impl Check for Bounds {
    fn input(&mut self, now: Time, input: &Input, found: &mut Found) {
        self.changes.input(input);
        match input {
            Input::Restore(restore) => {
                self.channels = restore.trunks.iter().map(|t| u64::from(t.max_channels)).sum();
                self.fixed = 16 + (restore.trunks.len() + restore.campaigns.len()) as u64;
                self.commands = 0;
            }
            Input::Command { .. } => self.commands += 1,
            Input::Leads { leads, .. } if leads.len() > HOPPER_MOST as usize => {
                found.add(now, format!("{} leads were asked for at once", leads.len()));
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        self.burst = 0; // cut off in the middle of them
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        if let Some(trunk) = self.changes.output(output) {
            // One more, and what is on a trunk with fewer channels than before goes on.
            self.channels += u64::from(trunk.max_channels);
            self.fixed += 1;
        }
        match output {
            Output::Timeout(_) => self.burst = 0,
            Output::Reply { .. } => self.commands = self.commands.saturating_sub(1),
            Output::Refill { limit, .. } if *limit > HOPPER_MOST => {
                found.add(now, format!("a refill asks for {limit} leads"));
            }
            _ => {}
        }
        self.burst += u64::from(!matches!(output, Output::Timeout(_)));
        if self.burst == BURST_MOST {
            found.add(now, "one input has outputs without end".into());
        }
        if self.commands > COMMANDS_MOST as u64 + 1 {
            found.add(now, format!("{} commands wait for their reply", self.commands));
        }
    }

    fn finish(&mut self, now: Time, end: &End<'_>, found: &mut Found) {
        self.gauges(now, end.gauges, found);
        let (agents, campaigns) = (end.snapshot.agents.len(), end.snapshot.campaigns.len());
        if agents > AGENTS_MOST || campaigns > CAMPAIGNS_MOST {
            found.add(now, format!("{agents} agents and {campaigns} campaigns are held"));
        }
    }

    fn gauges(&mut self, now: Time, gauges: &Gauges, found: &mut Found) {
        let calls: u64 = gauges.calls.values().map(|n| u64::from(*n)).sum();
        let agents: u64 = gauges.agents.values().map(|n| u64::from(*n)).sum();
        let most = [
            ("calls in progress", calls + u64::from(gauges.clearing), self.channels),
            ("facts that wait", u64::from(gauges.facts_waiting), FACTS_MOST as u64),
            (
                "writes that wait for their commit",
                u64::from(gauges.committing),
                u64::from(COMMITTING_MOST) + COMMANDS_MOST as u64 + FACTS_OF_A_CALL * self.channels,
            ),
            ("disposables", u64::from(gauges.disposables), crate::limits::DISPOSABLE_MOST as u64),
            ("suppressed numbers", u64::from(gauges.suppressed), crate::limits::SUPPRESSED_MOST as u64),
            // One for each call, two for each agent, one for each trunk and campaign, and a handful for the engine.
            (
                "timers",
                u64::from(gauges.timers),
                calls + u64::from(gauges.clearing) + 2 * agents + self.fixed,
            ),
        ];
        for (what, held, limit) in most {
            if held > limit {
                found.add(now, format!("{held} {what} are held, {limit} at most"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::{CallState, Snapshot};

    #[test]
    fn sees_what_grows() {
        let mut hand: Hand<Bounds> = Hand::new(all_day());
        let mut gauges = Gauges::default();
        gauges.calls.insert(CallState::Talking, 4);
        gauges.timers = 23;
        hand.gauges(&gauges);
        hand.clean();
        gauges.calls.insert(CallState::Talking, 5);
        hand.gauges(&gauges);
        hand.caught("5 calls in progress");
        hand.gauges(&Gauges { facts_waiting: FACTS_MOST as u32 + 1, ..Gauges::default() });
        hand.caught("facts that wait");
        hand.gauges(&Gauges { timers: 30, ..Gauges::default() });
        hand.caught("30 timers");
        hand.output(&Output::Refill { campaign: crate::CampaignId(1), limit: HOPPER_MOST + 1 });
        hand.caught("a refill asks");
        for _ in 0..BURST_MOST {
            hand.output(&Output::Drained);
        }
        hand.caught("without end");
        for reply in 0..COMMANDS_MOST as u64 + 2 {
            hand.command(reply, crate::Command::SignOut(crate::AgentId(1)));
        }
        hand.output(&Output::Drained);
        hand.caught("commands wait");
        hand.finish(&Snapshot::default(), None);
        hand.clean();
    }
}
