//! Numbers that must not be called, remembered beside the store for leads that were read before.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::limits::SUPPRESSED_MOST;

/// The newest ones; the store has them all, and no lead is read from it that it knows to be suppressed.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Suppressed {
    phones: BTreeSet<String>,
    order: VecDeque<String>,
}

impl Suppressed {
    pub(crate) fn insert(&mut self, phone: &str) {
        if !self.phones.insert(phone.to_owned()) {
            return;
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

    pub(crate) fn contains(&self, phone: &str) -> bool {
        self.phones.contains(phone)
    }
}
