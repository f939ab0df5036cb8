//! What was known before: the first input after the clock.

use kraliki_time::Time;

use crate::campaign::CampaignLive;
use crate::ledger::Ledger;
use crate::limits::ORPHAN_HOLDS;
use crate::pacing::Forced;
use crate::timer::Timer;
use crate::trunk::{GroupLive, TrunkLive};
use crate::{Engine, Restore};

impl Engine {
    pub(crate) fn restore(&mut self, now: Time, restore: Restore) {
        if std::mem::replace(&mut self.restored, true) {
            return; // once only
        }
        self.seed = restore.seed;
        self.pacer = Forced { name: restore.pacer, truth: restore.truth };
        self.next_campaign = self.next_campaign.max(restore.next_campaign);
        self.next_attempt = self.next_attempt.max(restore.next_attempt);
        self.next_trunk = self.next_trunk.max(restore.next_trunk);
        self.next_group = self.next_group.max(restore.next_group);
        self.next_pool = self.next_pool.max(restore.next_pool);
        for trunk in restore.trunks {
            self.trunks.insert(trunk.id, TrunkLive::new(trunk));
        }
        self.people = restore.people;
        self.people_version += 1;
        self.next_team = self.next_team.max(restore.next_team);
        self.restore_days(now, &restore.usage);
        self.groups.extend(restore.groups.into_iter().map(|(id, group)| (id, GroupLive::new(group))));
        for quarantine in restore.quarantined {
            let id = self.caller_ids.entry(quarantine.number.clone()).or_default();
            id.quarantine = Some(quarantine);
        }
        for (id, pool) in restore.pools {
            self.add_pool(id, pool);
        }
        for known in restore.caller_id_days {
            if let Some(id) = self.caller_ids.get_mut(&known.number) {
                id.restore(known.day, known.used);
            }
        }
        for profile in restore.profiles {
            self.law.put(profile);
        }
        self.national = restore.national.into_iter().map(|copy| (copy.country.clone(), copy)).collect();
        let unix_ms = self.clock.unix_ms(now);
        for paused in restore.paused {
            self.count_pause(paused.agent, &paused.code, paused.until_unix_ms, paused.lasted_ms);
        }
        for restored in restore.campaigns {
            let id = restored.campaign.id;
            let mut live = CampaignLive::new(restored.campaign, &self.pacer, &self.people, &self.law);
            live.ledger = Ledger::restored(live.terms.period_min, unix_ms, restored.ledger);
            self.campaigns.insert(id, live);
        }
        for (id, trunk) in restore.orphans {
            if let Some(line) = self.trunks.get_mut(&trunk) {
                line.orphans.insert(id);
            }
        }
        self.timers.set(Timer::Orphans, now + ORPHAN_HOLDS);
        for call in restore.undisposed {
            self.disposables.restore(call);
        }
        self.refill_all(now);
        self.pace_wanted = true;
    }
}
