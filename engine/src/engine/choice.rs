//! Over which trunk a call goes and with which caller id: of the trunks that its campaign names, those that may call the
//! number and take a call now.

use std::cmp::Reverse;

use kraliki_time::Time;

use crate::caller_id::{Asked, NoCallerId, choose};
use crate::compliance::{self, Governed};
use crate::event::TrunkLimit;
use crate::trunk::{Standing, TrunkLive, longest};
use crate::{
    CallerIdPool, CallerIdPoolId, CallerIdState, CampaignId, CampaignSettings, Engine, Lead, TrunkGroupId,
    TrunkId,
};

/// A trunk that a campaign names, by itself or in a group.
struct Member<'a> {
    line: &'a TrunkLive,
    priority: u32,
    weight: u32,
    prefixes: &'a [String],
}

impl Member<'_> {
    /// How well it is meant for the number; none: it may not call it.
    fn fits(&self, number: &str) -> Option<usize> {
        if !self.line.trunk.carries(number) {
            return None;
        }
        if self.prefixes.is_empty() { Some(0) } else { longest(self.prefixes, number) }
    }
}

impl Engine {
    /// The trunk of that name; the first one for an empty name.
    pub(crate) fn trunk_named(&self, name: &str) -> Option<&TrunkLive> {
        self.trunks.values().find(|line| !line.leaving && (name.is_empty() || line.trunk.name == name))
    }

    /// The group of that name.
    pub(crate) fn group_named(&self, name: &str) -> Option<TrunkGroupId> {
        let named = |live: &&crate::trunk::GroupLive| live.group.name == name;
        self.groups.iter().find(|(_, live)| named(live)).map(|(id, _)| *id)
    }

    /// The pool of that name.
    pub(crate) fn pool_named(&self, name: &str) -> Option<CallerIdPoolId> {
        self.pools.iter().find(|(_, live)| live.pool.name == name).map(|(id, _)| *id)
    }

    /// The trunks that a campaign's calls may go by.
    fn members<'a>(&'a self, name: &str) -> Vec<Member<'a>> {
        match self.group_named(name).and_then(|id| self.groups.get(&id)) {
            Some(live) => {
                let of = live.group.members.iter();
                of.filter_map(|member| {
                    Some(Member {
                        line: self.trunk_named(&member.trunk).filter(|_| !member.trunk.is_empty())?,
                        priority: member.priority,
                        weight: member.weight,
                        prefixes: &member.prefixes,
                    })
                })
                .collect()
            }
            None => {
                let line = self.trunk_named(name).into_iter();
                line.map(|line| Member { line, priority: 0, weight: 1, prefixes: &[] }).collect()
            }
        }
    }

    /// Whether none of the trunks that the campaign names may call that number, while they may call others.
    pub(crate) fn is_out_of_reach(&self, settings: &CampaignSettings, number: &str) -> bool {
        let members = self.members(&settings.trunk);
        members.iter().any(|member| !member.line.trunk.allowed_prefixes.is_empty())
            && members.iter().all(|member| member.fits(number).is_none())
    }

    /// Whether a call over that trunk has others to go on by.
    pub(crate) fn has_others(&self, id: CampaignId, trunk: TrunkId) -> bool {
        let Some(live) = self.campaigns.get(&id) else { return false };
        let in_group = self.group_named(&live.campaign.settings.trunk).is_some();
        (in_group && self.members(&live.campaign.settings.trunk).len() > 1)
            || self.trunks.get(&trunk).is_some_and(|line| !line.trunk.fail_over.is_empty())
    }

    /// Over which trunk and with which caller id a lead is called now: those that were tried are left out, and the caller id
    /// `keep` stays where it may. None: no trunk that may call it takes a call.
    pub(crate) fn choose(
        &mut self,
        now: Time,
        id: CampaignId,
        lead: &Lead,
        tried: &[TrunkId],
        keep: &str,
    ) -> Option<(TrunkId, String)> {
        let settings = &self.campaigns.get(&id)?.campaign.settings;
        let group = self.group_named(&settings.trunk);
        let cheapest = group.and_then(|id| self.groups.get(&id)).is_some_and(|live| live.group.least_cost);
        let number = lead.phone.0.as_str();
        let mut able: Vec<_> = self
            .members(&settings.trunk)
            .iter()
            .filter(|member| !tried.contains(&member.line.trunk.id) && member.line.room(now) > 0)
            .filter_map(|member| {
                let price = if cheapest { member.line.trunk.price(number) } else { 0 };
                let rank = (Reverse(member.fits(number)?), member.priority, price);
                Some((rank, member.line.trunk.id, member.weight))
            })
            .collect();
        able.sort_unstable();
        while let Some((best, ..)) = able.first().copied() {
            let of: Vec<(TrunkId, u32)> = able
                .iter()
                .take_while(|(rank, ..)| *rank == best)
                .map(|(_, id, weight)| (*id, *weight))
                .collect();
            let next = match group.and_then(|id| self.groups.get_mut(&id)).filter(|_| of.len() > 1) {
                Some(live) => live.turn(&of)?,
                None => of.first()?.0,
            };
            if let Some(caller_id) = self.caller_id(now, id, lead, next, keep) {
                return Some((next, caller_id));
            }
            able.retain(|(_, id, _)| *id != next);
        }
        None
    }

    /// The caller id that a lead is shown by a call over that trunk.
    pub(crate) fn caller_id(
        &self,
        now: Time,
        id: CampaignId,
        lead: &Lead,
        trunk: TrunkId,
        keep: &str,
    ) -> Option<String> {
        let settings = &self.campaigns.get(&id)?.campaign.settings;
        let trunk = &self.trunks.get(&trunk)?.trunk;
        if settings.caller_id_pool.is_empty() {
            let own = if settings.caller_id.is_empty() { &trunk.caller_id } else { &settings.caller_id };
            let may = !own.is_empty()
                && trunk.may_show(own)
                && self.may_be_shown(settings, own).is_ok()
                && !self.is_in_quarantine(now, own);
            return may.then(|| own.clone());
        }
        let pool = &self.pools.get(&self.pool_named(&settings.caller_id_pool)?)?.pool;
        let unix_ms = self.clock.unix_ms(now);
        let known = self.caller_ids.get(keep).filter(|_| pool.numbers.iter().any(|number| number == keep));
        let may_show = |number: &str| trunk.may_show(number) && self.may_be_shown(settings, number).is_ok();
        if known.is_some_and(|id| !id.is_quarantined(unix_ms)) && may_show(keep) {
            return Some(keep.to_owned());
        }
        let asked = Asked {
            phone: &lead.phone.0,
            last: &lead.last_caller_id,
            unix_ms,
            draw: self.draw(self.next_attempt),
        };
        choose(pool, &self.caller_ids, &asked, may_show)
    }

    pub(crate) fn has_campaign(&self, id: CampaignId) -> bool {
        self.campaigns.contains_key(&id)
    }

    /// The campaign that shows that number: of several a running one before the others, then the oldest.
    pub(crate) fn campaign_showing(&self, number: &str) -> Option<CampaignId> {
        let shows = |settings: &CampaignSettings| {
            if !settings.caller_id_pool.is_empty() {
                let live = self.pool_named(&settings.caller_id_pool).and_then(|id| self.pools.get(&id));
                return live.is_some_and(|live| live.pool.numbers.iter().any(|shown| shown == number));
            }
            match settings.caller_id.as_str() {
                "" => {
                    self.members(&settings.trunk).iter().any(|member| member.line.trunk.caller_id == number)
                }
                own => own == number,
            }
        };
        let showing = self.campaigns.iter().filter(|(_, live)| shows(&live.campaign.settings));
        showing.min_by_key(|(id, live)| (!live.is_running(), **id)).map(|(id, _)| *id)
    }

    /// Whether a number is in quarantine, whatever pool it is or was in.
    fn is_in_quarantine(&self, now: Time, number: &str) -> bool {
        self.caller_ids.get(number).is_some_and(|id| id.is_quarantined(self.clock.unix_ms(now)))
    }

    /// Whether the campaign's profile lets a number be shown; else what to do.
    fn may_be_shown(&self, settings: &CampaignSettings, number: &str) -> Result<(), String> {
        match self.law.of(settings) {
            Governed::By(ready) => compliance::caller_id(ready, number),
            Governed::None | Governed::Missing => Ok(()),
        }
    }

    /// Chance, of the run's seed and of something that differs.
    fn draw(&self, of: i64) -> u64 {
        // SplitMix64.
        let mut z = self.seed.wrapping_add(of.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// How many calls the trunks of a campaign take now; or why none of them does, in words.
    pub(crate) fn trunk_room(&self, now: Time, settings: &CampaignSettings) -> Result<u32, String> {
        let members = self.members(&settings.trunk);
        let mut why = Vec::new();
        let mut room: Option<u32> = None;
        for member in &members {
            match self.trunk_rests(now, settings, member.line) {
                Some(reason) => why.push(reason),
                None => room = Some(room.unwrap_or(0).saturating_add(member.line.room(now))),
            }
        }
        match room {
            Some(room) => Ok(room),
            None if members.is_empty() => Err("there is no such trunk".into()),
            None => Err(why.join("; ")),
        }
    }

    /// Why a trunk takes no call of a campaign now, in words; none: it takes them, as far as it has room.
    fn trunk_rests(&self, now: Time, settings: &CampaignSettings, line: &TrunkLive) -> Option<String> {
        let name = &line.trunk.name;
        if settings.caller_id_pool.is_empty() {
            let own = if settings.caller_id.is_empty() { &line.trunk.caller_id } else { &settings.caller_id };
            if own.is_empty() {
                return Some(format!("neither the campaign nor trunk {name} has a caller id"));
            }
            if !line.trunk.may_show(own) {
                return Some(format!("trunk {name} may not show {own}; see its caller_ids"));
            }
            if let Err(text) = self.may_be_shown(settings, own) {
                return Some(text);
            }
            if self.is_in_quarantine(now, own) {
                return Some(format!("{own}, which trunk {name} would show, is in quarantine"));
            }
        }
        if !line.up {
            return Some(format!("trunk {name} is down"));
        }
        match line.limit(now) {
            Some(TrunkLimit::NoPrefixes) => {
                return Some(format!("trunk {name} may call no number; set its allowed_prefixes"));
            }
            Some(TrunkLimit::CallsPerDay) => return Some(format!("trunk {name} has had its calls of today")),
            Some(TrunkLimit::SpendPerDay) => {
                return Some(format!("trunk {name} has spent what it may today"));
            }
            None => {}
        }
        match line.breaker.standing(now) {
            Standing::Resting(rest) => {
                let (rest, failures) = (rest.as_secs() + 1, line.breaker.failures());
                Some(format!("trunk {name} is resting for {rest} s after {failures} failures"))
            }
            Standing::Trying if line.breaker.room(now) == 0 => {
                Some(format!("one call tries whether trunk {name} works again"))
            }
            Standing::Trying | Standing::Closed => None,
        }
    }

    /// Why a campaign has no caller id to show; none: it has one, or no trunk yet.
    pub(crate) fn no_caller_id(&self, now: Time, settings: &CampaignSettings) -> Option<NoCallerId> {
        let members = self.members(&settings.trunk);
        let mut hold = NoCallerId { pool: settings.caller_id_pool.clone(), ..NoCallerId::default() };
        if settings.caller_id_pool.is_empty() {
            for member in &members {
                let trunk = &member.line.trunk;
                let own = if settings.caller_id.is_empty() { &trunk.caller_id } else { &settings.caller_id };
                if self.counts_as_good(now, settings, own, None, &members, &mut hold) {
                    return None;
                }
            }
            return (!members.is_empty()).then_some(hold);
        }
        let Some(live) = self.pool_named(&settings.caller_id_pool).and_then(|id| self.pools.get(&id)) else {
            return Some(hold);
        };
        let mut numbers = live.pool.numbers.iter();
        let good = numbers
            .any(|number| self.counts_as_good(now, settings, number, Some(&live.pool), &members, &mut hold));
        (!good).then_some(hold)
    }

    /// Whether a number may be shown now; else it is counted by what keeps it.
    fn counts_as_good(
        &self,
        now: Time,
        settings: &CampaignSettings,
        number: &str,
        pool: Option<&CallerIdPool>,
        members: &[Member<'_>],
        hold: &mut NoCallerId,
    ) -> bool {
        // A campaign without a number of its own on a trunk without one.
        if number.is_empty() {
            return false;
        }
        let unix_ms = self.clock.unix_ms(now);
        let state = self.caller_ids.get(number).map_or(CallerIdState::Good, |id| match pool {
            Some(pool) => id.state(pool, unix_ms),
            None if id.is_quarantined(unix_ms) => CallerIdState::Quarantined,
            None => CallerIdState::Good,
        });
        let count = match state {
            CallerIdState::Quarantined => &mut hold.quarantined,
            CallerIdState::Resting => &mut hold.resting,
            CallerIdState::UsedUp => &mut hold.used_up,
            CallerIdState::Good => match self.may_be_shown(settings, number) {
                Err(law) => {
                    hold.law = law;
                    &mut hold.unlawful
                }
                Ok(()) if members.iter().any(|member| member.line.trunk.may_show(number)) => return true,
                Ok(()) => &mut hold.not_of_trunk,
            },
        };
        *count = count.saturating_add(1);
        false
    }
}
