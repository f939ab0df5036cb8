//! Against guessing passwords: failed sign-ins are counted by user and address together, by user, and by address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::limits;

/// Failures are forgotten this long after the first.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// The first lock lasts this long; each further failure doubles it.
const LOCK_FIRST: Duration = Duration::from_secs(30);

/// The longest lock.
const LOCK_MOST: Duration = Duration::from_secs(15 * 60);

/// Failures of one user at one address before it is locked: a person who mistypes has room.
const PAIR: u32 = 5;

/// Failures of one user at all addresses. High, so that others can lock somebody out only with many addresses.
const USER: u32 = 50;

/// Failures at one address for all users: an office behind one address mistypes now and then.
const ADDRESS: u32 = 30;

/// Counts failed sign-ins. Takes the time since start; unknown users count like known ones.
#[derive(Default)]
pub(crate) struct Guard {
    pairs: Table<(String, IpAddr)>,
    users: Table<String>,
    addresses: Table<IpAddr>,
}

impl Guard {
    /// Counts an attempt as failed for its user before the password is looked at, so that many at once gain nothing.
    /// When it is locked: for how long still.
    pub(crate) fn begin(&mut self, user: &str, address: IpAddr, now: Duration) -> Result<(), Duration> {
        let user = user.to_lowercase();
        let pair = (user.clone(), address);
        let locked = [
            self.pairs.locked(&pair, now),
            self.users.locked(&user, now),
            self.addresses.locked(&address, now),
        ];
        if let Some(rest) = locked.into_iter().flatten().max() {
            return Err(rest);
        }
        self.pairs.count(pair, PAIR, now);
        self.users.count(user, USER, now);
        Ok(())
    }

    /// The password was wrong. Only now it counts for the address: a whole shift may sign in at the same moment.
    pub(crate) fn failed(&mut self, address: IpAddr, now: Duration) {
        self.addresses.count(address, ADDRESS, now);
    }

    /// The password was right after all. The address keeps its failures: whoever has one account must not clear the
    /// way for guessing at others.
    pub(crate) fn succeeded(&mut self, user: &str, address: IpAddr) {
        let user = user.to_lowercase();
        self.pairs.entries.remove(&(user.clone(), address));
        self.users.entries.remove(&user);
    }
}

struct Table<K> {
    entries: BTreeMap<K, Entry>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Table { entries: BTreeMap::new() }
    }
}

#[derive(Clone, Copy)]
struct Entry {
    failures: u32,
    forget: Duration,
    locked_until: Duration,
}

impl<K: Ord + Clone> Table<K> {
    fn locked(&self, key: &K, now: Duration) -> Option<Duration> {
        let rest = self.entries.get(key)?.locked_until.saturating_sub(now);
        (!rest.is_zero()).then_some(rest)
    }

    fn count(&mut self, key: K, allowed: u32, now: Duration) {
        self.make_room(&key, now);
        let fresh = Entry { failures: 0, forget: now + WINDOW, locked_until: Duration::ZERO };
        let entry = self.entries.entry(key).or_insert(fresh);
        if entry.forget <= now {
            *entry = fresh;
        }
        entry.failures = entry.failures.saturating_add(1);
        if entry.failures >= allowed {
            let doublings = (entry.failures - allowed).min(10);
            let lock = (LOCK_FIRST * (1 << doublings)).min(LOCK_MOST);
            entry.locked_until = now + lock;
            entry.forget = entry.forget.max(now + lock + WINDOW);
        }
    }

    /// A full table forgets what is due, and if nothing is, the entry that would be forgotten first.
    fn make_room(&mut self, key: &K, now: Duration) {
        if self.entries.len() < limits::GUARD_ENTRIES || self.entries.contains_key(key) {
            return;
        }
        self.entries.retain(|_, entry| entry.forget > now);
        if self.entries.len() >= limits::GUARD_ENTRIES {
            let first = self.entries.iter().min_by_key(|(_, entry)| entry.forget).map(|(key, _)| key.clone());
            first.map(|key| self.entries.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn ip(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn a_user_is_locked_after_five_failures_and_longer_after_each_more() {
        let mut guard = Guard::default();
        for _ in 0..5 {
            guard.begin("ada", ip(1), S(0)).unwrap();
        }
        assert_eq!(guard.begin("Ada", ip(1), S(1)), Err(S(29)), "case makes no difference");
        guard.begin("ada", ip(2), S(1)).expect("the user still gets in from another address");
        guard.begin("ada", ip(1), S(30)).expect("one more after the lock");
        assert_eq!(guard.begin("ada", ip(1), S(31)), Err(S(59)));
        guard.begin("ada", ip(1), S(4000)).expect("forgotten in the end");
        guard.begin("ada", ip(1), S(4000)).unwrap();
    }

    #[test]
    fn the_right_password_clears_the_user() {
        let mut guard = Guard::default();
        for _ in 0..100 {
            for _ in 0..4 {
                guard.begin("ada", ip(1), S(0)).unwrap();
            }
            guard.succeeded("ada", ip(1));
        }
    }

    #[test]
    fn one_address_cannot_try_many_users_and_an_own_account_does_not_help() {
        let mut guard = Guard::default();
        let mut tries = 0;
        while guard.begin(&format!("user{tries}"), ip(1), S(0)).is_ok() {
            guard.failed(ip(1), S(0));
            tries += 1;
            if tries % 3 == 0 && guard.begin("mine", ip(1), S(0)).is_ok() {
                guard.succeeded("mine", ip(1));
            }
        }
        assert_eq!(tries, ADDRESS);
    }

    #[test]
    fn a_shift_that_signs_in_behind_one_address_is_not_locked() {
        let mut guard = Guard::default();
        let user = |n| format!("agent{n}");
        (0..400).for_each(|n| guard.begin(&user(n), ip(1), S(0)).unwrap());
        (0..400).for_each(|n| guard.succeeded(&user(n), ip(1)));
    }

    #[test]
    fn many_addresses_cannot_guess_one_user() {
        let mut guard = Guard::default();
        let tries = (0..1000).take_while(|n| guard.begin("ada", ip(*n), S(0)).is_ok()).count();
        assert_eq!(tries, USER as usize);
    }

    #[test]
    fn the_tables_stay_bounded() {
        let mut guard = Guard::default();
        for n in 0..limits::GUARD_ENTRIES as u32 + 50 {
            guard.begin(&format!("user{n}"), ip(n), S(0)).unwrap();
            guard.failed(ip(n), S(0));
        }
        assert!(guard.pairs.entries.len() <= limits::GUARD_ENTRIES);
        assert!(guard.users.entries.len() <= limits::GUARD_ENTRIES);
        assert!(guard.addresses.entries.len() <= limits::GUARD_ENTRIES);
    }
}
