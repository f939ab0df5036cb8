//! Where users can be reached: the location service of RFC 3261 §10.3.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bytes::Bytes;
use kraliki_time::Time;

use super::contact::same_uri;
use crate::transaction::Hop;

/// One contact of one user.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) user: String,
    /// The contact's URI.
    pub(super) contact: Bytes,
    /// `+sip.instance`: which device this is.
    pub(super) instance: Option<Bytes>,
    /// Which of its ways the device calls this (RFC 5626 §4.2), when it speaks outbound.
    pub(super) reg_id: Option<u32>,
    /// Preference in thousandths.
    pub(super) q: u16,
    pub(super) call_id: Bytes,
    pub(super) seq: u32,
    /// Where the REGISTER came from, and so where requests to the phone go.
    pub(super) flow: Hop,
    pub(super) user_agent: Bytes,
    pub(super) renewed_at: Time,
    pub(super) expires_at: Time,
    /// The wake-up that is armed: no later than the expiry.
    pub(super) wake_at: Time,
}

/// All bindings, found by number, by user and by flow.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    bound: BTreeMap<u64, Bound>,
    users: HashMap<String, Vec<u64>>,
    flows: BTreeMap<(IpAddr, u16, u16), Vec<u64>>,
    last: u64,
}

fn flow_key(flow: Hop) -> (IpAddr, u16, u16) {
    (flow.to.ip(), flow.to.port(), flow.socket.0)
}

impl Bindings {
    pub(super) fn len(&self) -> usize {
        self.bound.len()
    }

    pub(super) fn get(&self, id: u64) -> Option<&Bound> {
        self.bound.get(&id)
    }

    /// Adds a binding, or puts it in the place of `before`; gives its number.
    pub(super) fn put(&mut self, before: Option<u64>, bound: Bound) -> u64 {
        let id = match before.filter(|id| self.remove(*id).is_some()) {
            Some(id) => id,
            None => {
                self.last += 1;
                self.last
            }
        };
        self.users.entry(bound.user.clone()).or_default().push(id);
        self.flows.entry(flow_key(bound.flow)).or_default().push(id);
        self.bound.insert(id, bound);
        id
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Bound> {
        let bound = self.bound.remove(&id)?;
        if let Some(ids) = self.users.get_mut(&bound.user) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.users.remove(&bound.user);
            }
        }
        let flow = flow_key(bound.flow);
        if let Some(ids) = self.flows.get_mut(&flow) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.flows.remove(&flow);
            }
        }
        Some(bound)
    }

    pub(super) fn set_wake(&mut self, id: u64, at: Time) {
        if let Some(bound) = self.bound.get_mut(&id) {
            bound.wake_at = at;
        }
    }

    /// A user's bindings, the best first: by preference, then the one heard of last.
    pub(super) fn of_user(&self, user: &str) -> Vec<(u64, &Bound)> {
        let ids = self.users.get(user).map(Vec::as_slice).unwrap_or_default();
        let mut all: Vec<_> = ids.iter().filter_map(|id| Some((*id, self.bound.get(id)?))).collect();
        all.sort_by_key(|(id, bound)| std::cmp::Reverse((bound.q, bound.renewed_at, *id)));
        all
    }

    /// The binding that a contact stands for: the same way of the same device (RFC 5626 §6), else the same URI.
    pub(super) fn find(&self, user: &str, contact: &[u8], way: Option<(&[u8], u32)>) -> Option<u64> {
        let same = |bound: &Bound| match way {
            Some((instance, reg_id)) => {
                bound.reg_id == Some(reg_id) && bound.instance.as_deref() == Some(instance)
            }
            None => bound.reg_id.is_none() && same_uri(&bound.contact, contact),
        };
        self.of_user(user).into_iter().find(|(_, bound)| same(bound)).map(|(id, _)| id)
    }

    pub(super) fn on_flow(&self, flow: Hop) -> &[u64] {
        self.flows.get(&flow_key(flow)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether any binding came from this address.
    pub(super) fn knows(&self, ip: IpAddr) -> bool {
        self.flows.range((ip, 0, 0)..=(ip, u16::MAX, u16::MAX)).next().is_some()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (u64, &Bound)> {
        self.bound.iter().map(|(id, bound)| (*id, bound))
    }
}
