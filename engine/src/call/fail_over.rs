//! An attempt goes on over another trunk when its own cannot take it: a further try, with a number of its own.

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::line::Ending;
use super::{Call, Stage};
use crate::limits::COMMITTING_MOST;
use crate::pacing::Observation;
use crate::{Engine, Failure, Outcome, TrunkId};

/// A try after which the attempt went on over another trunk.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct FailedTry {
    trunk: TrunkId,
    /// How the attempt would have ended with it.
    outcome: Outcome,
}

impl Call {
    /// How it ends when its present try is never sent: as if there had been none.
    pub(crate) fn unsent(&self) -> Outcome {
        self.failed.last().map_or(Outcome::NotSent, |before| before.outcome)
    }

    fn tried(&self) -> Vec<TrunkId> {
        self.failed.iter().map(|before| before.trunk).chain([self.trunk]).collect()
    }
}

impl Engine {
    /// Over which trunk and with which number the attempt goes on after this failure: the next one that takes a call of
    /// its campaign's group, else of those that its first trunk names. None when a person was reached, or may have been; when we took the call back; and
    /// when it would not be dialed now.
    pub(crate) fn way_on(&mut self, now: Time, call: &Call, failure: &Failure) -> Option<(TrunkId, String)> {
        let fails_over = self.trunks.get(&call.trunk).is_some_and(|line| line.trunk.fails_over(failure));
        if call.stage != Stage::Dialing
            || !fails_over
            || !self.storing.is_ok(now)
            || self.committing() >= COMMITTING_MOST
            || !self.still_wanted(now, call)
        {
            return None;
        }
        let named = &self.campaigns.get(&call.campaign)?.campaign.settings.trunk;
        if self.group_named(named).is_some() {
            return self.choose(now, call.campaign, &call.lead, &call.tried(), &call.caller_id);
        }
        let (first, tried) = (call.failed.first().map_or(call.trunk, |before| before.trunk), call.tried());
        let others = &self.trunks.get(&first)?.trunk.fail_over;
        others.iter().filter(|id| !tried.contains(id)).find_map(|id| {
            let next = self.trunks.get(id)?;
            if next.room(now) == 0 || !next.trunk.carries(&call.lead.phone.0) {
                return None;
            }
            Some((*id, self.caller_id(now, call.campaign, &call.lead, *id, &call.caller_id)?))
        })
    }

    /// The try is over, the attempt is not: its next try is written, and sent in its turn. For the pacer it is the same
    /// line, dialed anew; the failure says nothing of how the lead answers.
    pub(crate) fn go_on(
        &mut self,
        now: Time,
        mut call: Call,
        failure: &Failure,
        (trunk, caller_id): (TrunkId, String),
    ) -> Call {
        let ending = Ending::of(&call, failure);
        self.trunk_sign(now, &call, ending.sign());
        self.end_try(now, &mut call, ending.cause);
        self.free_channel(call.trunk);
        call.failed.push(FailedTry { trunk: call.trunk, outcome: ending.outcome });
        call.id.number = call.id.number.saturating_add(1);
        (call.trunk, call.caller_id, call.rtp) = (trunk, caller_id, false);
        self.counters.fail_overs += 1;
        self.begin_try(now, &mut call);
        self.show_call(&call); // over another trunk
        call
    }

    /// The present try never was, or never will be sent, and the one before it failed: that is how the attempt ends.
    pub(crate) fn end_unsent(&mut self, now: Time, call: &mut Call) {
        let (after, lead) = (now.since(call.dialed), call.traits);
        self.observe_line(now, call, Observation::Failed { after, rang: false, lead });
        self.end_attempt(now, call, call.unsent());
        self.forget(now, call);
    }
}
