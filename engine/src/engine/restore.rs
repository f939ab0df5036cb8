//! What was known before: the first input after the clock.

use kraliki_time::Time;

use crate::campaign::CampaignLive;
use crate::ledger::Ledger;
use crate::limits::ORPHAN_HOLDS;
use crate::pacing::Forced;
use crate::timer::Timer;
use crate::trunk::TrunkLive;
use crate::{Engine, Restore};

impl Engine {
    pub(crate) fn restore(&mut self, now: Time, restore: Restore) {
        if std::mem::replace(&mut self.restored, true) {
            return; // once only
        }
        self.pacer = Forced { name: restore.pacer, truth: restore.truth };
        self.next_campaign = self.next_campaign.max(restore.next_campaign);
        self.next_attempt = self.next_attempt.max(restore.next_attempt);
        self.next_trunk = self.next_trunk.max(restore.next_trunk);
        for trunk in restore.trunks {
            self.trunks.insert(trunk.id, TrunkLive::new(trunk));
        }
        for profile in restore.profiles {
            self.law.put(profile);
        }
        self.national = restore.national.into_iter().map(|copy| (copy.country.clone(), copy)).collect();
        let unix_ms = self.clock.unix_ms(now);
        for restored in restore.campaigns {
            let id = restored.campaign.id;
            let mut live = CampaignLive::new(restored.campaign, &self.pacer, &self.law);
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
