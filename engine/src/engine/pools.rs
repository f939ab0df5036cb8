//! Pools of caller ids: made, changed and deleted while calls run; what each caller id does, and its quarantine.

use kraliki_time::Time;

use super::Then;
use crate::call::Call;
use crate::caller_id::{IdLive, PoolLive, day_of};
use crate::limits::{ANSWER_RATE_LEAST, CALLER_IDS_MOST, POOLS_MOST};
use crate::{
    CallerIdDay, CallerIdPool, CallerIdPoolId, CallerIdPoolView, CallerIdState, CallerIdUse, CommandError,
    Engine, Outcome, Quarantine, QuarantineReason, Reply, Write,
};

const HOUR_MS: i64 = 3_600_000;

impl Engine {
    /// Adds a pool, or changes one. It holds once it is on disk.
    pub(crate) fn put_pool(&mut self, now: Time, reply: u64, id: Option<CallerIdPoolId>, pool: CallerIdPool) {
        if let Err(error) = self.check_pool(id, &pool) {
            return self.reply(reply, Err(error));
        }
        let id = id.unwrap_or_else(|| {
            let id = CallerIdPoolId(self.next_pool);
            self.next_pool += 1;
            id
        });
        if let Some(live) = self.pools.get_mut(&id) {
            live.saving = true;
        }
        let write = Write::CallerIdPool { id, pool: Box::new(pool.clone()) };
        self.store(now, write, Then::PutPool(reply, id, Box::new(pool)));
    }

    pub(crate) fn delete_pool(&mut self, now: Time, reply: u64, id: CallerIdPoolId) {
        let refusal = self.changeable_pool(id).and_then(|name| {
            let standing = self.campaigns.values().map(|live| &live.campaign.settings);
            let mut campaigns = standing.chain(self.storing.coming_settings());
            match campaigns.find(|settings| settings.caller_id_pool == name) {
                Some(settings) => Err(CommandError::Conflict(format!(
                    "campaign {} uses pool {name}; give it another one first",
                    settings.name
                ))),
                None => Ok(()),
            }
        });
        if let Err(error) = refusal {
            return self.reply(reply, Err(error));
        }
        if let Some(live) = self.pools.get_mut(&id) {
            live.saving = true;
        }
        self.store(now, Write::CallerIdPoolDeleted(id), Then::DeletePool(reply, id));
    }

    fn changeable_pool(&self, id: CallerIdPoolId) -> Result<String, CommandError> {
        match self.pools.get(&id) {
            Some(live) if live.saving => {
                Err(CommandError::Conflict("another change of this pool is being saved; try again".into()))
            }
            Some(live) => Ok(live.pool.name.clone()),
            None => Err(CommandError::NotFound { what: "caller id pool".into(), id: id.0 }),
        }
    }

    fn check_pool(&self, id: Option<CallerIdPoolId>, pool: &CallerIdPool) -> Result<(), CommandError> {
        let invalid = |field: &str, message: String| CommandError::Invalid { field: field.into(), message };
        pool.check().map_err(|(field, message)| invalid(field, message))?;
        let before = match id {
            Some(id) => Some(self.changeable_pool(id)?),
            None => None,
        };
        let coming = self.storing.coming_pools().map(|(id, pool)| (id, &pool.name));
        let mut names = self.pools.iter().map(|(id, live)| (*id, &live.pool.name)).chain(coming);
        if names.any(|(other, taken)| Some(other) != id && *taken == pool.name) {
            let message = format!("there is a pool named {} already; choose another name", pool.name);
            return Err(invalid("name", message));
        }
        if let Some(before) = before.filter(|before| *before != pool.name) {
            let message = format!("a pool keeps its name, {before}; make another pool instead");
            return Err(invalid("name", message));
        }
        if id.is_none() && self.pools.len() >= POOLS_MOST {
            return Err(CommandError::Conflict("there are too many pools; delete one first".into()));
        }
        let more = pool.numbers.iter().filter(|number| !self.caller_ids.contains_key(*number)).count();
        if self.caller_ids.len() + more > CALLER_IDS_MOST {
            return Err(CommandError::Conflict(
                "there are too many caller ids; take some out of a pool".into(),
            ));
        }
        Ok(())
    }

    /// It is on disk: calls that are begun from now on show its caller ids.
    pub(crate) fn pool_put(&mut self, reply: u64, id: CallerIdPoolId, pool: CallerIdPool) {
        self.add_pool(id, pool);
        self.reply(reply, Ok(Reply::Pool(id)));
        self.pace_wanted = true;
    }

    pub(crate) fn add_pool(&mut self, id: CallerIdPoolId, pool: CallerIdPool) {
        for number in &pool.numbers {
            self.caller_ids.entry(number.clone()).or_default();
        }
        self.pools.insert(id, PoolLive { pool, saving: false });
        self.forget_caller_ids();
        self.caller_ids_changed();
    }

    pub(crate) fn pool_deleted(&mut self, reply: u64, id: CallerIdPoolId) {
        self.pools.remove(&id);
        self.forget_caller_ids();
        self.reply(reply, Ok(Reply::Done));
    }

    /// What is in no pool any more is forgotten, but for a quarantine: it holds should somebody put it into a pool again.
    fn forget_caller_ids(&mut self) {
        let pools = &self.pools;
        let in_pool = |number: &String| pools.values().any(|live| live.pool.numbers.contains(number));
        self.caller_ids
            .retain(|number, id| id.quarantine.is_some() || id.unwritten.is_some() || in_pool(number));
    }

    /// The change is not on disk: the pool is as it was.
    pub(crate) fn pool_kept(&mut self, id: CallerIdPoolId) {
        if let Some(live) = self.pools.get_mut(&id) {
            live.saving = false;
        }
    }

    /// A person lifts a quarantine. Done twice it is done once.
    pub(crate) fn lift_caller_id(&mut self, now: Time, reply: u64, number: String) {
        let Some(id) = self.caller_ids.get_mut(&number) else {
            let message = format!("{number} is in no pool");
            return self.reply(reply, Err(CommandError::Invalid { field: "number".into(), message }));
        };
        id.lift();
        self.caller_ids_changed();
        self.store(now, Write::CallerIdLifted { number }, Then::Reply(reply));
    }

    /// Counts something of a caller id that is in a pool.
    pub(crate) fn count_caller_id(&mut self, now: Time, number: &str, change: impl FnOnce(&mut CallerIdUse)) {
        let day = day_of(self.clock.unix_ms(now));
        if let Some(id) = self.caller_ids.get_mut(number) {
            id.count(day, change);
        }
    }

    /// Whether a call may still show what it was to show.
    pub(crate) fn may_still_show(&self, now: Time, call: &Call) -> bool {
        let id = self.caller_ids.get(&call.caller_id);
        !id.is_some_and(|id| id.is_quarantined(self.clock.unix_ms(now)))
    }

    /// An attempt is over: what it says of its caller id.
    pub(crate) fn judge_caller_id(&mut self, now: Time, call: &Call, outcome: Outcome) {
        let number = call.caller_id.as_str();
        match outcome {
            Outcome::Blocked => {
                self.count_caller_id(now, number, |used| used.blocks += 1);
                self.quarantine(now, call, QuarantineReason::Blocked);
            }
            Outcome::Unwanted => self.count_caller_id(now, number, |used| used.unwanted += 1),
            _ => {}
        }
        if !outcome.counts() || matches!(outcome, Outcome::Cancelled | Outcome::UnknownCrash) {
            return;
        }
        let Some(id) = self.caller_ids.get_mut(number) else { return };
        id.judge(call.stage.answered().is_some());
        let (attempts, answers) = id.judged();
        let Some(pool) = self.pool_of(call) else { return };
        let (mut others, mut answered) = (0, 0);
        for other in pool.numbers.iter().filter(|other| *other != number) {
            let (attempts, answers) = self.caller_ids.get(other).map(IdLive::judged).unwrap_or_default();
            (others, answered) = (others + attempts, answered + answers);
        }
        if pool.least_answer_rate == 0.0 || attempts < ANSWER_RATE_LEAST || others < ANSWER_RATE_LEAST {
            return;
        }
        let (own, rate) = (f64::from(answers) / f64::from(attempts), f64::from(answered) / f64::from(others));
        if own < pool.least_answer_rate * rate {
            self.quarantine(now, call, QuarantineReason::AnswerRate);
        }
    }

    fn pool_of(&self, call: &Call) -> Option<&CallerIdPool> {
        let settings = &self.campaigns.get(&call.campaign)?.campaign.settings;
        Some(&self.pools.get(&self.pool_named(&settings.caller_id_pool)?)?.pool)
    }

    /// No call shows it from now on.
    fn quarantine(&mut self, now: Time, call: &Call, reason: QuarantineReason) {
        let unix_ms = self.clock.unix_ms(now);
        // Of several pools that have it the campaign's says for how long; a campaign with a number of its own waits for a person.
        let hours = self.pool_of(call).map_or(0, |pool| pool.quarantine_h);
        let Some(id) = self.caller_ids.get_mut(&call.caller_id) else { return };
        if id.is_quarantined(unix_ms) {
            return;
        }
        let blocked = call.blocked.clone().filter(|_| reason == QuarantineReason::Blocked);
        let (status, redress) =
            blocked.map_or((None, String::new()), |blocked| (blocked.status, blocked.redress));
        let until_unix_ms = (hours > 0).then(|| unix_ms.saturating_add(i64::from(hours) * HOUR_MS));
        let quarantine = Quarantine {
            number: call.caller_id.clone(),
            reason,
            status,
            redress,
            since_unix_ms: unix_ms,
            until_unix_ms,
        };
        id.lift();
        id.quarantine = Some(quarantine.clone());
        self.fact(now, Write::Quarantine(Box::new(quarantine)));
        self.caller_ids_changed();
    }

    /// What may be shown is another matter now: campaigns, those too that do not pace, say so.
    pub(crate) fn caller_ids_changed(&mut self) {
        self.campaigns.values_mut().for_each(|live| live.dirty = true);
        self.pace_wanted = true;
    }

    /// Writes down what caller ids did, where that changed.
    pub(crate) fn write_caller_ids(&mut self, now: Time) {
        let day = day_of(self.clock.unix_ms(now));
        let mut changed = Vec::new();
        for (number, id) in &mut self.caller_ids {
            let Some(first) = id.unwritten.take() else { continue };
            for day in first..=day {
                changed.push(CallerIdDay { number: number.clone(), day, used: id.on(day) });
            }
        }
        if !changed.is_empty() {
            self.note(Write::CallerIdDays(changed));
        }
    }

    /// Every pool, with how its caller ids do.
    pub fn caller_id_pools(&self, now: Time) -> Vec<CallerIdPoolView> {
        let (unix_ms, unknown) = (self.clock.unix_ms(now), IdLive::default());
        let view = |(id, live): (&CallerIdPoolId, &PoolLive)| {
            let of = live.pool.numbers.iter();
            let ids: Vec<_> = of
                .map(|number| {
                    self.caller_ids.get(number).unwrap_or(&unknown).view(number, &live.pool, unix_ms)
                })
                .collect();
            let good = ids.iter().filter(|id| id.state == CallerIdState::Good).count();
            CallerIdPoolView { id: *id, pool: live.pool.clone(), good: u32::try_from(good).unwrap_or(0), ids }
        };
        self.pools.iter().map(view).collect()
    }
}
