//! Numbers that must not be called, remembered beside the store for leads that were read before.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::CampaignId;
use crate::limits::SUPPRESSED_MOST;

/// The newest ones; the store has them all, and no lead is read from it that it knows to be suppressed.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Suppressed {
    phones: BTreeMap<String, By>,
    order: VecDeque<String>,
}

/// By whom a number must not be called.
#[derive(Serialize, Deserialize)]
enum By {
    Everybody,
    Campaigns(Vec<CampaignId>),
}

impl Suppressed {
    /// Without a campaign nobody calls it any more.
    pub(crate) fn insert(&mut self, phone: &str, campaign: Option<CampaignId>) {
        let by = campaign.map_or(By::Everybody, |id| By::Campaigns(vec![id]));
        match (self.phones.get_mut(phone), by) {
            (Some(By::Everybody), _) => return,
            (Some(known), By::Everybody) => {
                *known = By::Everybody;
                return;
            }
            (Some(By::Campaigns(known)), By::Campaigns(new)) => {
                known.extend(new);
                known.sort_unstable();
                known.dedup();
                return;
            }
            (None, by) => drop(self.phones.insert(phone.to_owned(), by)),
        }
        self.order.push_back(phone.to_owned());
        if self.order.len() > SUPPRESSED_MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.phones.remove(&oldest);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.phones.len()
    }

    /// Whether the campaign must not call the number.
    pub(crate) fn contains(&self, phone: &str, campaign: CampaignId) -> bool {
        match self.phones.get(phone) {
            None => false,
            Some(By::Everybody) => true,
            Some(By::Campaigns(campaigns)) => campaigns.contains(&campaign),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_one_campaign_or_by_all() {
        let mut suppressed = Suppressed::default();
        suppressed.insert("+1", Some(CampaignId(1)));
        suppressed.insert("+1", Some(CampaignId(3)));
        let by = |s: &Suppressed| [1, 2, 3].map(|id| s.contains("+1", CampaignId(id)));
        assert_eq!(by(&suppressed), [true, false, true]);
        suppressed.insert("+1", None);
        suppressed.insert("+1", Some(CampaignId(2)));
        assert_eq!(by(&suppressed), [true; 3]);
        assert_eq!(suppressed.len(), 1);
    }
}
