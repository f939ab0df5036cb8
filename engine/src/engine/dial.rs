//! From a decision to an INVITE: the gate, the write, the wait for its commit, the turn under the trunk's limits.

use kraliki_time::Time;

use super::{Then, keeper};
use crate::call::{Call, Cause, Course, Stage};
use crate::campaign::is_e164;
use crate::compliance::{Governed, Look, Refusal, evidence, is_open, look, union};
use crate::lead::caps::capped;
use crate::lead::hopper::Ready;
use crate::lead::hours::Door;
use crate::lead::phones::without_suppressed;
use crate::lead::place::zones_beside;
use crate::lead::retry::{Tally, crash_retry_unix_ms};
use crate::limits::DECISION_HOLDS;
use crate::pacing::Observation;
use crate::timer::Timer;
use crate::trunk::{Meter, TrunkLive, is_premium};
use crate::{
    AttemptId, CampaignId, CommandError, Dial, Engine, Lead, LeadChange, LeadStatus, MachineDetection, Mode,
    NewTry, Outcome, Output, Reply, TrunkId, TryId, Write,
};

/// What came of beginning an attempt.
pub(crate) enum Begun {
    /// It is begun; a person answers it with this chance.
    Dialed(f64),
    /// The trunks that may call this lead take no call now.
    Waits(Box<Ready>),
    /// There is no lead that may be dialed.
    Nobody,
}

/// A lead whose number is on another line waits this long.
const NUMBER_BUSY_MS: i64 = 300_000;
/// A lead that no trunk of its campaign may call is looked at again after this: somebody may allow it.
const OUT_OF_REACH_MS: i64 = 3_600_000;
/// A campaign whose profile is missing may get another one at any time.
const NO_PROFILE_MS: i64 = 3_600_000;
/// A lead whose calling window never opens is looked at again after this.
const NEVER_OPENS_MS: i64 = 3_600_000;

impl Engine {
    /// The last look at a lead before its attempt is written. In doubt it is not dialed.
    pub(crate) fn gate(&mut self, now: Time, id: CampaignId, lead: &Lead) -> Result<(), Refusal> {
        let unix_ms = self.clock.unix_ms(now);
        let Some(live) = self.campaigns.get(&id) else {
            return Err(Refusal { rule: "campaign", next_unix_ms: Some(unix_ms) });
        };
        if self.suppressed.contains(&lead.phone.0, id) {
            return Err(Refusal { rule: "suppressed", next_unix_ms: None });
        }
        if lead.attempts >= live.campaign.settings.max_attempts {
            return Err(Refusal { rule: "max_attempts", next_unix_ms: None });
        }
        if !is_e164(&lead.phone.0) {
            return Err(Refusal { rule: "number", next_unix_ms: None });
        }
        if is_premium(&lead.phone.0) {
            return Err(Refusal { rule: "premium", next_unix_ms: None });
        }
        if self.is_out_of_reach(&live.campaign.settings, &lead.phone.0) {
            return Err(Refusal { rule: "prefix", next_unix_ms: Some(unix_ms + OUT_OF_REACH_MS) });
        }
        if self.numbers.contains(&lead.phone.0) || self.in_flight.contains(&lead.id) {
            return Err(Refusal { rule: "number_in_use", next_unix_ms: Some(unix_ms + NUMBER_BUSY_MS) });
        }
        if let Some((rule, next)) = self.capped(id, lead, unix_ms) {
            return Err(Refusal { rule, next_unix_ms: Some(next) });
        }
        let Some(live) = self.campaigns.get(&id) else {
            return Err(Refusal { rule: "campaign", next_unix_ms: Some(unix_ms) });
        };
        // Where a lead's address and its number say different places, it must be the hour in both.
        let mut beside = zones_beside(lead);
        let mut zone = Some(lead.time_zone.as_str());
        while let Some(there) = zone {
            zone = beside.next();
            let next = match self.zones.door(&live.hours, there, unix_ms) {
                Door::Open => continue,
                Door::OpensAt(next) => next,
                Door::NeverOpens => unix_ms + NEVER_OPENS_MS,
                Door::UnknownZone => return Err(Refusal { rule: "time_zone", next_unix_ms: None }),
            };
            return Err(Refusal { rule: "hours", next_unix_ms: Some(next) });
        }
        let settings = &live.campaign.settings;
        match self.law.of(settings) {
            Governed::None => Ok(()),
            Governed::Missing => {
                Err(Refusal { rule: "profile", next_unix_ms: Some(unix_ms + NO_PROFILE_MS) })
            }
            Governed::By(ready) => {
                let since = self.recent.of(&lead.phone.0);
                let beside = Look { unix_ms, mode: settings.mode, since, national: &self.national };
                look(ready, &mut self.zones, lead, beside).map_or(Ok(()), Err)
            }
        }
    }

    /// All leads in memory are read again: a clock was put back, or lists changed.
    pub(crate) fn void_leads(&mut self, now: Time) {
        for live in self.campaigns.values_mut() {
            live.hopper.void();
        }
        self.take_from_screens(now, |_| true);
        self.drop_wanted();
    }

    /// Attempts that every lead in memory was read after are forgotten.
    pub(crate) fn forget_recent(&mut self, now: Time) {
        if self.recent.is_full() {
            self.void_leads(now);
            let mark = self.recent.mark();
            self.recent.forget(mark);
            self.refill_all(now);
            return;
        }
        let hoppers = self.campaigns.values().filter_map(|live| live.hopper.mark());
        let oldest = hoppers.chain(self.wanted_mark()).min().unwrap_or_else(|| self.recent.mark());
        self.recent.forget(oldest);
    }

    /// What is asked of the store now has every attempt up to this mark; not those that wait for it to take writes.
    pub(crate) fn read_mark(&self) -> u64 {
        if self.storing.facts_waiting() > 0 { 0 } else { self.recent.mark() }
    }

    /// The cap of the campaign that the lead has reached, and until when.
    fn capped(&mut self, id: CampaignId, lead: &Lead, unix_ms: i64) -> Option<(&'static str, i64)> {
        let settings = &self.campaigns.get(&id)?.campaign.settings;
        if settings.max_attempts_day == 0 && settings.max_attempts_24h == 0 {
            return None;
        }
        let number = union(&lead.recent, self.recent.of(&lead.phone.0)).map(|past| past.at_unix_ms);
        capped(settings, &mut self.zones, lead, number, unix_ms)
    }

    /// Begins one attempt with the next lead that may be dialed.
    pub(crate) fn begin(&mut self, now: Time, id: CampaignId) -> Begun {
        let Some(ready) = self.next_lead(now, id) else { return Begun::Nobody };
        let Some((trunk, caller_id)) = self.choose(now, id, &ready.lead, &[], "") else {
            return Begun::Waits(Box::new(ready));
        };
        let agentless = self.campaigns.get(&id).is_some_and(|live| live.mode() == Mode::Agentless);
        let course = if agentless { Course::Prompt } else { Course::Agents };
        let answers = ready.answers;
        match self.attempt(now, id, (trunk, &caller_id), ready, course, None) {
            true => Begun::Dialed(answers),
            false => Begun::Nobody,
        }
    }

    /// Takes the next lead that may be dialed out of the campaign's hopper.
    pub(crate) fn next_lead(&mut self, now: Time, id: CampaignId) -> Option<Ready> {
        loop {
            let mut ready = self.campaigns.get_mut(&id)?.hopper.take()?;
            match self.gate(now, id, &ready.lead) {
                Ok(()) => {
                    // From here on its number is on no other line: what was seen now stays all there is.
                    self.recent.add_to(&mut ready.lead);
                    return Some(ready);
                }
                Err(refusal) => self.refuse(now, &ready.lead, &refusal),
            }
        }
    }

    /// Begins an attempt: it is written, and sent when it is on disk. With a reply, somebody waits for that.
    pub(crate) fn attempt(
        &mut self,
        now: Time,
        id: CampaignId,
        (trunk, caller_id): (TrunkId, &str),
        Ready { lead, traits, answers, .. }: Ready,
        course: Course,
        reply: Option<u64>,
    ) -> bool {
        let (Some(live), true) = (self.campaigns.get_mut(&id), self.trunks.contains_key(&trunk)) else {
            return false;
        };
        let attempt = AttemptId(self.next_attempt);
        self.next_attempt += 1;
        live.calls += 1;
        self.in_flight.insert(lead.id);
        self.disposables.supersede(lead.id);
        self.numbers.insert(lead.phone.0.clone());
        let began_unix_ms = self.clock.unix_ms(now);
        self.recent.begin(&lead.phone.0, attempt, began_unix_ms);
        let mut call = Call {
            id: TryId { attempt, number: 1 },
            campaign: id,
            trunk,
            lead,
            caller_id: caller_id.to_owned(),
            traits,
            answers,
            course,
            failed: Vec::new(),
            reply,
            decided: now,
            began_unix_ms,
            dialed: now,
            stage: Stage::Clearing, // not on the books yet
            since: now,
            meter: Meter::Off,
            redress: String::new(),
            blocked: None,
            ends: None,
            over_cap: false,
            rtp: false,
            beeped: false,
            machine: None,
            entry: None,
            connected: None,
            parts: Vec::new(),
            outcome: None,
            recording: None,
            disposition: None,
        };
        self.begin_try(now, &mut call);
        self.calls.insert(attempt, call);
        true
    }

    /// Takes a channel of the call's trunk and writes its present try.
    pub(crate) fn begin_try(&mut self, now: Time, call: &mut Call) {
        let mut price = 0;
        if let Some(line) = self.trunks.get_mut(&call.trunk) {
            line.channels += 1;
            line.committing += 1;
            price = line.trunk.price(&call.lead.phone.0);
            call.meter = line.today.begin(price);
            line.dirty = true;
        }
        self.count_caller_id(now, &call.caller_id, |used| used.attempts = used.attempts.saturating_add(1));
        (call.decided, call.dialed) = (now, now);
        let at_unix_ms = self.clock.unix_ms(now);
        let live = self.campaigns.get(&call.campaign);
        let settings = live.map(|live| &live.campaign.settings);
        let profile =
            live.and_then(|live| live.terms.profile.as_deref()).and_then(|name| self.law.named(name));
        let evidence =
            profile.filter(|_| call.id.number == 1).map(|law| evidence(law, &call.lead, &self.national));
        let write = Write::Try(NewTry {
            id: call.id,
            campaign: call.campaign,
            lead: call.lead.id,
            trunk: call.trunk,
            phone: call.lead.phone.clone(),
            caller_id: call.caller_id.clone(),
            price,
            at_unix_ms,
            crash_retry_unix_ms: settings.map_or(at_unix_ms, |s| crash_retry_unix_ms(s, at_unix_ms)),
            evidence: evidence.unwrap_or_default(),
        });
        self.shift(now, call, Stage::Committing);
        self.store(now, write, Then::Try(call.attempt()));
    }

    /// Tries that wait for their commit, over all trunks.
    pub(crate) fn committing(&self) -> u32 {
        self.trunks.values().map(|line| line.committing).sum()
    }

    /// A rule forbade something, by campaign and in all.
    pub(crate) fn count_refused(&mut self, id: CampaignId, rule: &'static str) {
        *self.counters.refused.entry(rule.into()).or_default() += 1;
        if let Some(live) = self.campaigns.get_mut(&id) {
            match live.refused.get_mut(rule) {
                Some(count) => *count += 1,
                None => drop(live.refused.insert(rule.to_owned(), 1)),
            }
            live.dirty = true;
        }
    }

    /// A lead is not dialed, and the store is told why it does not come back at once.
    pub(crate) fn refuse(&mut self, now: Time, lead: &Lead, refusal: &Refusal) {
        self.count_refused(lead.campaign, refusal.rule);
        let tally = Tally::of(lead);
        let write = match refusal.next_unix_ms {
            Some(next) => tally.again(next),
            None if refusal.rule == "suppressed" => match without_suppressed(lead) {
                Some(phone) => LeadChange { phone: Some(phone), ..tally.again(self.clock.unix_ms(now)) },
                None => tally.change(LeadStatus::Suppressed, self.clock.unix_ms(now)),
            },
            None => tally.change(LeadStatus::Done, self.clock.unix_ms(now)),
        };
        self.note(Write::Lead(write));
    }

    /// The try is on disk: its INVITE may go out in its turn.
    pub(crate) fn try_committed(&mut self, now: Time, attempt: AttemptId) {
        let Some(mut call) = self.calls.remove(&attempt) else { return };
        if call.stage != Stage::Committing {
            self.calls.insert(attempt, call);
            return;
        }
        if let Some(reply) = call.reply.take() {
            self.reply(reply, Ok(Reply::Done));
        }
        if call.failed.is_empty() {
            self.counters.attempts += 1;
            if let Some(live) = self.campaigns.get_mut(&call.campaign) {
                live.attempts += 1;
            }
        }
        let trunk = call.trunk;
        if let Some(line) = self.trunks.get_mut(&trunk) {
            line.committing = line.committing.saturating_sub(1);
            line.queue.push_back(attempt);
        }
        self.shift(now, &mut call, Stage::Queued);
        self.calls.insert(attempt, call);
        self.pump(now, trunk);
    }

    /// The try is not on disk: it never was, and neither was its attempt, unless it is a further one.
    pub(crate) fn try_failed(&mut self, now: Time, attempt: AttemptId) {
        let Some(mut call) = self.calls.remove(&attempt) else { return };
        if let Some(line) = self.trunks.get_mut(&call.trunk) {
            line.committing = line.committing.saturating_sub(1);
            line.today.never(now, &mut call.meter);
        }
        self.count_caller_id(now, &call.caller_id, |used| used.attempts = used.attempts.saturating_sub(1));
        if !call.failed.is_empty() {
            return self.end_unsent(now, &mut call);
        }
        self.recent.never_was(&call.lead.phone.0, attempt);
        self.forget(now, &mut call);
        self.give_back(now, &call);
        self.unbind(now, &call);
        if let Some(reply) = call.reply.take() {
            self.reply(reply, Err(CommandError::Store));
        }
    }

    /// Sends what waits for its turn on a trunk. A call whose campaign must wait lets others pass.
    pub(crate) fn pump(&mut self, now: Time, id: TrunkId) {
        let (mut place, mut wake) = (0, None);
        while let Some(attempt) = self.trunks.get(&id).and_then(|line| line.queue.get(place).copied()) {
            let Some(mut call) = self.calls.remove(&attempt) else {
                self.unqueue(id, place);
                continue;
            };
            if !self.still_right(now, &call) {
                self.unqueue(id, place);
                self.not_sent(now, call);
                continue;
            }
            let (Some(line), Some(live)) = (self.trunks.get_mut(&id), self.campaigns.get_mut(&call.campaign))
            else {
                return;
            };
            let of_trunk = line.cps.next(now);
            // Who dialed by hand hears for themselves who answers.
            let detection = live.campaign.settings.machine_detection;
            let detect = call.bound().is_none() && detection != MachineDetection::Off;
            let hear_out = detect && detection == MachineDetection::Voicemail;
            let of_campaign = live.cps.as_mut().map_or(now, |cps| cps.next(now));
            let next = of_trunk.max(of_campaign);
            if next > now {
                self.calls.insert(attempt, call);
                wake = Some(wake.map_or(next, |wake: Time| wake.min(next)));
                if of_trunk > now {
                    break;
                }
                place += 1;
                continue;
            }
            line.cps.send(now);
            if let Some(cps) = &mut live.cps {
                cps.send(now);
            }
            line.breaker.sent(attempt);
            line.dirty = true;
            self.unqueue(id, place);
            self.counters.dials += 1;
            if call.failed.is_empty() {
                self.observe_line(now, &call, Observation::Dialed);
            }
            call.dialed = now;
            let others = self.has_others(call.campaign, id);
            self.out.push_back(Output::Dial(Dial {
                id: call.id,
                trunk: id,
                phone: call.lead.phone.clone(),
                caller_id: call.caller_id.clone(),
                detect,
                others,
                hear_out,
            }));
            self.shift(now, &mut call, Stage::Dialing);
            self.set_ring_timeout(&call);
            self.calls.insert(attempt, call);
        }
        match wake {
            Some(at) => self.timers.set(Timer::Send(id), at),
            None => self.timers.clear(Timer::Send(id)),
        }
    }

    fn unqueue(&mut self, id: TrunkId, place: usize) {
        if let Some(line) = self.trunks.get_mut(&id) {
            line.queue.remove(place);
        }
    }

    /// Whether the decision still holds when its turn comes.
    fn still_right(&mut self, now: Time, call: &Call) -> bool {
        let trunk_takes = |t: &TrunkLive| {
            t.up && !t.leaving
                && !t.today.is_used_up()
                && t.in_use() <= t.trunk.max_channels
                && t.breaker.room(now) > 0
                && t.trunk.carries(&call.lead.phone.0)
        };
        now.since(call.decided) <= DECISION_HOLDS
            && self.trunks.get(&call.trunk).is_some_and(trunk_takes)
            && self.may_still_show(now, call)
            && self.still_wanted(now, call)
    }

    /// Whether the call would be dialed now, whatever its trunk says.
    pub(crate) fn still_wanted(&mut self, now: Time, call: &Call) -> bool {
        if self.is_draining() || self.suppressed.contains(&call.lead.phone.0, call.campaign) {
            return false;
        }
        let unix_ms = self.clock.unix_ms(now);
        let Some(live) = self.campaigns.get(&call.campaign) else { return false };
        let wanted = match call.course {
            // A mode in which agents dial by hand stops what is not sent yet.
            Course::Agents => live.mode().is_paced() && self.has_supply(call.campaign),
            Course::Prompt => live.mode() == Mode::Agentless,
            Course::Bound(agent) => self.is_bound(agent, call.attempt()),
        };
        let legal = match self.law.of(&live.campaign.settings) {
            Governed::None => true,
            Governed::Missing => false,
            Governed::By(ready) => is_open(ready, &mut self.zones, &call.lead, unix_ms),
        };
        live.is_running()
            && wanted
            && legal
            && self.zones.door(&live.hours, &call.lead.time_zone, unix_ms) == Door::Open
    }

    /// Whether anybody is there who may take the campaign's calls, now or after the present one.
    pub(crate) fn has_supply(&self, id: CampaignId) -> bool {
        let Some(live) = self.campaigns.get(&id) else { return false };
        match live.crew() {
            None => self.agents.values().any(|agent| agent.is_supply()),
            Some(ids) => ids.iter().any(|id| self.agents.get(id).is_some_and(|agent| agent.is_supply())),
        }
    }

    /// Committed and not sent: the attempt is over, the lead is as it was, or as the try before left it.
    pub(crate) fn not_sent(&mut self, now: Time, mut call: Call) {
        if !call.failed.is_empty() {
            self.end_try(now, &mut call, Cause::default());
            return self.end_unsent(now, &mut call);
        }
        self.recent.never_was(&call.lead.phone.0, call.attempt());
        self.end(now, &mut call, Outcome::NotSent, Cause::default());
        self.forget(now, &mut call);
        self.give_back(now, &call);
    }

    /// A lead that was taken and not dialed is next again.
    pub(crate) fn give_back(&mut self, now: Time, call: &Call) {
        if self.suppressed.contains(&call.lead.phone.0, call.campaign) {
            return;
        }
        if let Some(live) = self.campaigns.get_mut(&call.campaign)
            && live.is_running()
        {
            let keeper = keeper(live, self.clock.unix_ms(now), &call.lead);
            let ready = Ready { lead: call.lead.clone(), traits: call.traits, answers: call.answers, keeper };
            live.hopper.put_back(now, ready);
        }
    }
}
