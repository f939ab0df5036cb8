//! Trunks that are added, changed and deleted while calls run. Those of the configuration file are not ours to change.

use kraliki_time::Time;

use super::Then;
use crate::limits::ASK_MOST;
use crate::limits::TRUNKS_MOST;
use crate::timer::Timer;
use crate::trunk::{Breaker, Cps, TrunkLive};
use crate::{CommandError, Engine, Event, Output, Reply, StoredTrunk, Trunk, TrunkId, TrunkUse, Write};

/// Days begin with a quarter of an hour, in every zone.
const QUARTER_MS: i64 = 900_000;

impl Engine {
    /// Adds a trunk, or changes one. It holds once it is on disk.
    pub(crate) fn put_trunk(
        &mut self,
        now: Time,
        reply: u64,
        id: Option<TrunkId>,
        trunk: Trunk,
        mut stored: StoredTrunk,
    ) {
        if let Err(error) = self.check_trunk(id, &trunk) {
            return self.reply(reply, Err(error));
        }
        let id = match id {
            Some(id) => {
                if let Some(line) = self.trunks.get_mut(&id) {
                    line.saving = true;
                }
                id
            }
            None => {
                self.next_trunk = self.next_trunk.max(TrunkId::FIRST_STORED.0);
                let id = TrunkId(self.next_trunk);
                self.next_trunk += 1;
                id
            }
        };
        stored.id = id;
        let then = Then::PutTrunk(reply, Box::new(Trunk { id, ..trunk }));
        self.store(now, Write::Trunk(stored), then);
    }

    /// Deletes a trunk: it takes no call from now on, and is gone once its last one has ended.
    pub(crate) fn delete_trunk(&mut self, now: Time, reply: u64, id: TrunkId) {
        let refusal = self.changeable_trunk(id).and_then(|name| match self.needs_trunk(id, &name) {
            Some(who) => {
                Err(CommandError::Conflict(format!("{who} uses trunk {name}; give it another one first")))
            }
            None => Ok(()),
        });
        if let Err(error) = refusal {
            return self.reply(reply, Err(error));
        }
        if let Some(line) = self.trunks.get_mut(&id) {
            (line.saving, line.leaving) = (true, true);
        }
        self.store(now, Write::TrunkDeleted(id), Then::DeleteTrunk(reply, id));
        // What waits for its turn is not sent.
        self.pump(now, id);
    }

    /// Who would be left without it: a campaign, a trunk that fails over to it, or a group.
    fn needs_trunk(&self, id: TrunkId, name: &str) -> Option<String> {
        let standing = self.campaigns.values().map(|live| &live.campaign.settings);
        let mut campaigns = standing.chain(self.storing.coming_settings());
        if let Some(settings) = campaigns.find(|settings| settings.trunk == name) {
            return Some(format!("campaign {}", settings.name));
        }
        let standing = self.trunks.values().filter(|line| !line.leaving).map(|line| &line.trunk);
        let mut trunks = standing.chain(self.storing.coming_trunks());
        if let Some(trunk) = trunks.find(|trunk| trunk.fail_over.contains(&id)) {
            return Some(format!("trunk {}", trunk.name));
        }
        let mut groups = self.groups.values().map(|live| &live.group).chain(self.storing.coming_groups());
        let group = groups.find(|group| group.members.iter().any(|member| member.trunk == name));
        group.map(|group| format!("trunk group {}", group.name))
    }

    /// The trunk's name, when it is one that may be changed now.
    fn changeable_trunk(&self, id: TrunkId) -> Result<String, CommandError> {
        match self.trunks.get(&id) {
            Some(line) if id < TrunkId::FIRST_STORED => Err(Trunk::is_configured(&line.trunk.name)),
            Some(line) if line.saving => {
                Err(CommandError::Conflict("another change of this trunk is being saved; try again".into()))
            }
            Some(line) if !line.leaving => Ok(line.trunk.name.clone()),
            _ => Err(CommandError::NotFound { what: "trunk".into(), id: id.0 }),
        }
    }

    fn check_trunk(&self, id: Option<TrunkId>, trunk: &Trunk) -> Result<(), CommandError> {
        let invalid = |field: &str, message: String| CommandError::Invalid { field: field.into(), message };
        match id {
            Some(id) => {
                let name = self.changeable_trunk(id)?;
                if trunk.name != name {
                    let message = format!("a trunk keeps its name, {name}; make another trunk instead");
                    return Err(invalid("name", message));
                }
            }
            None => {
                let coming = self.storing.coming_trunks().map(|trunk| &trunk.name);
                let mut names = self.trunks.values().map(|line| &line.trunk.name).chain(coming);
                if names.any(|taken| taken.eq_ignore_ascii_case(&trunk.name)) {
                    let message =
                        format!("there is a trunk named {} already; choose another name", trunk.name);
                    return Err(invalid("name", message));
                }
                let coming = self.storing.coming_groups().map(|group| &group.name);
                let mut groups = self.groups.values().map(|live| &live.group.name).chain(coming);
                if groups.any(|taken| taken.eq_ignore_ascii_case(&trunk.name)) {
                    let message = format!("there is a trunk group named {}; choose another name", trunk.name);
                    return Err(invalid("name", message));
                }
                if self.trunks.len() >= TRUNKS_MOST {
                    return Err(CommandError::Conflict("there are too many trunks; delete one first".into()));
                }
            }
        }
        let there =
            |other: &TrunkId| Some(*other) != id && self.trunks.get(other).is_some_and(|line| !line.leaving);
        if let Some(gone) = trunk.fail_over.iter().find(|other| !there(other)) {
            return Err(invalid("fail_over", format!("there is no other trunk {gone}")));
        }
        Ok(())
    }

    /// It is on disk: new calls go by it from now on.
    pub(crate) fn trunk_put(&mut self, now: Time, reply: u64, trunk: Trunk) {
        let id = trunk.id;
        // Said first: the driver must know the trunk before anything is dialed over it.
        self.reply(reply, Ok(Reply::Trunk(id)));
        match self.trunks.get_mut(&id) {
            Some(line) => {
                line.change(trunk);
                line.today.reopen();
            }
            None => drop(self.trunks.insert(id, TrunkLive::new(trunk))),
        }
        self.timers.clear(Timer::Ask(id));
        self.roll_day(now, id);
        self.watch_spend(now, id);
        self.caller_ids_changed();
        self.show_trunk(now, id);
        self.pump(now, id);
        self.pace_wanted = true;
    }

    pub(crate) fn trunk_deleted(&mut self, reply: u64, id: TrunkId) {
        self.reply(reply, Ok(Reply::Done));
        if let Some(line) = self.trunks.get_mut(&id) {
            line.saving = false;
        }
        self.retire(id);
    }

    /// The change is not on disk: the trunk is as it was.
    pub(crate) fn trunk_kept(&mut self, id: TrunkId) {
        if let Some(line) = self.trunks.get_mut(&id) {
            (line.saving, line.leaving) = (false, false);
            self.pace_wanted = true;
        }
    }

    /// A deleted trunk is gone for good once nothing is on it.
    pub(crate) fn retire(&mut self, id: TrunkId) {
        if !self.trunks.get(&id).is_some_and(|line| line.leaving && !line.saving && line.in_use() == 0) {
            return;
        }
        self.trunks.remove(&id);
        self.timers.clear(Timer::Send(id));
        self.timers.clear(Timer::Ask(id));
        self.timers.clear(Timer::Spend(id));
        self.out.push_back(Output::Event(Event::TrunkDeleted { id }));
    }

    pub(crate) fn retire_all(&mut self) {
        let leaving: Vec<TrunkId> =
            self.trunks.iter().filter(|(_, line)| line.leaving).map(|(id, _)| *id).collect();
        for id in leaving {
            self.retire(id);
        }
    }

    /// A trunk that rests is asked whether it works again, where it is asked at all; one that was asked and says nothing
    /// rests on.
    pub(crate) fn ask_trunk(&mut self, now: Time, id: TrunkId) {
        let Some(line) = self.trunks.get_mut(&id) else { return };
        if line.breaker.ask(now) {
            self.out.push_back(Output::AskTrunk { id });
            self.timers.set(Timer::Ask(id), now + ASK_MOST);
            return self.show_trunk(now, id);
        }
        self.trunk_asked(now, id, false);
    }

    /// It answered, or did not.
    pub(crate) fn trunk_asked(&mut self, now: Time, id: TrunkId, answered: bool) {
        let Some(line) = self.trunks.get_mut(&id) else { return };
        if line.breaker.told(now, answered) {
            self.wait_to_ask(now, id);
            self.show_trunk(now, id);
            self.pace_wanted = true;
        }
    }

    /// Its breaker opened or closed: when it is to be asked.
    pub(crate) fn wait_to_ask(&mut self, now: Time, id: TrunkId) {
        match self.trunks.get(&id).and_then(|line| line.breaker.asked_at()) {
            Some(at) => self.timers.set(Timer::Ask(id), at.max(now)),
            None => self.timers.clear(Timer::Ask(id)),
        }
    }

    /// A new day begins for the trunks where it does.
    pub(crate) fn roll_days(&mut self, now: Time) {
        let quarter = self.clock.unix_ms(now).div_euclid(QUARTER_MS);
        if !self.clock.known() || std::mem::replace(&mut self.quarter, quarter) == quarter {
            return;
        }
        let ids: Vec<TrunkId> = self.trunks.keys().copied().collect();
        ids.into_iter().for_each(|id| self.roll_day(now, id));
        // Days of caller ids begin and end too, and quarantines are over.
        self.caller_ids_changed();
    }

    fn roll_day(&mut self, now: Time, id: TrunkId) {
        let unix_ms = self.clock.unix_ms(now);
        let Some(line) = self.trunks.get_mut(&id) else { return };
        let day = self.zones.day_number(&line.trunk.day_zone, unix_ms);
        line.dirty |= line.today.roll(now, day);
        self.watch_spend(now, id);
    }

    /// What trunks were used for of their present day, before the start.
    pub(crate) fn restore_days(&mut self, now: Time, usage: &[TrunkUse]) {
        self.roll_days(now);
        let unix_ms = self.clock.unix_ms(now);
        for (id, line) in &mut self.trunks {
            let zone = &line.trunk.day_zone;
            let day = self.zones.day_number(zone, unix_ms);
            let (mut calls, mut spent) = (0_u64, 0_u64);
            for used in usage.iter().filter(|used| used.trunk == *id) {
                if self.zones.day_number(zone, used.quarter.saturating_mul(QUARTER_MS)) == day {
                    (calls, spent) = (calls.saturating_add(used.calls), spent.saturating_add(used.spent));
                }
            }
            line.today.restore(calls, spent);
        }
    }

    fn show_trunk(&mut self, now: Time, id: TrunkId) {
        if let Some(line) = self.trunks.get(&id) {
            let view = super::trunk_view(line, now);
            self.out.push_back(Output::Event(Event::Trunk(view)));
        }
    }
}

impl TrunkLive {
    /// Another profile. Calls in progress count on; somebody looked after it, and so it begins with a closed breaker.
    fn change(&mut self, trunk: Trunk) {
        self.saving = false;
        let old = std::mem::replace(&mut self.cps, Cps::new(trunk.max_cps));
        self.cps = Cps::relimited(Some(old), trunk.max_cps);
        self.breaker = Breaker::of(&trunk);
        self.trunk = trunk;
        self.dirty = true;
    }
}
