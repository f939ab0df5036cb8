//! Endpoints that share the work of one node: which of them a key and a Call-ID belong to.
//!
//! A shard is an endpoint of its own with its own calls, transactions and timers. Nothing is shared but the owner's
//! event queue. Shard 0 has what there is only once: connections, phones, registrations at trunks.

use std::hash::{DefaultHasher, Hasher};

use crate::endpoint::CallKey;

/// Which of a node's endpoints one is. The default is the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: u16,
    of: u16,
    /// All shards share the UDP ports, and messages find theirs by the Call-ID.
    by_call_id: Option<CallIds>,
}

impl Default for Shard {
    fn default() -> Self {
        Shard { number: 0, of: 1, by_call_id: None }
    }
}

impl Shard {
    /// One of `of` shards; at least one, and `number` below it.
    pub(crate) fn new(number: u16, of: u16, by_call_id: Option<CallIds>) -> Shard {
        Shard { number, of: of.max(1), by_call_id }
    }

    /// Its place.
    pub fn number(&self) -> usize {
        self.number.into()
    }

    /// Whether connections are its own.
    pub(crate) fn has_connections(&self) -> bool {
        self.number == 0
    }

    /// Whether answers to a request with this Call-ID come back to it.
    pub(crate) fn owns_call_id(&self, call_id: &[u8]) -> bool {
        self.by_call_id.is_none_or(|ids| ids.shard(call_id) == self.number())
    }

    /// The first key, and how far it is to the next: the remainder of a key by the number of shards says its shard.
    pub(crate) fn keys(&self) -> (u64, u64) {
        (u64::from(self.of) + u64::from(self.number), self.of.into())
    }
}

/// The shard of a key.
pub(crate) fn of_key(key: CallKey, shards: usize) -> usize {
    key.0.checked_rem(shards as u64).unwrap_or(0) as usize
}

/// Spreads Call-IDs over the shards of one port. Keyed, so that a peer cannot aim all its calls at one shard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallIds {
    secret: u64,
    shards: u16,
}

impl std::fmt::Debug for CallIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallIds").field("shards", &self.shards).finish_non_exhaustive()
    }
}

impl CallIds {
    pub(crate) fn new(secret: u64, shards: u16) -> CallIds {
        CallIds { secret, shards: shards.max(1) }
    }

    pub(crate) fn shard(&self, call_id: &[u8]) -> usize {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.secret);
        hasher.write(call_id);
        (hasher.finish() % u64::from(self.shards)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Keys;

    #[test]
    fn a_key_says_its_shard_and_no_key_comes_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..5 {
            let keys = Keys::of(Shard::new(number, 5, None));
            for _ in 0..100 {
                let key = keys.next();
                assert_eq!(of_key(key, 5), usize::from(number));
                assert!(key.0 > 0 && seen.insert(key));
            }
        }
        assert_eq!(Keys::default().next(), CallKey(1));
        assert_eq!(of_key(CallKey(7), 1), 0);
    }

    #[test]
    fn call_ids_are_spread_evenly_and_belong_to_one_shard() {
        let ids = CallIds::new(7, 4);
        let shards: Vec<_> = (0..4).map(|number| Shard::new(number, 4, Some(ids))).collect();
        let mut counts = [0; 4];
        for n in 0..4_000 {
            let id = format!("{n:016x}00000001-0123456789abcdef");
            let owners: Vec<_> = shards.iter().filter(|shard| shard.owns_call_id(id.as_bytes())).collect();
            assert_eq!(owners.len(), 1);
            counts[owners[0].number()] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        assert!((0..4).all(|number| Shard::new(number, 4, None).owns_call_id(b"x")));
    }
}
