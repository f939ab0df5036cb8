//! What keeps strangers from using the registrar: as a reflector, and to guess passwords.

use std::net::IpAddr;
use std::time::Duration;

use kraliki_time::Time;

use crate::limits;
use crate::transaction::SpreadMap;

/// Counts what comes from addresses that may be made up, and wrong passwords. Its keys are keyed hashes.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// By address: when it has used nothing of its burst again.
    sources: SpreadMap<u128, Time>,
    /// By user and address.
    guessers: SpreadMap<u128, Guesser>,
}

#[derive(Clone, Copy, Debug)]
struct Guesser {
    first_at: Time,
    wrong: u32,
    locked_until: Option<Time>,
}

/// The part of an address that stands for one place: a network of IPv6 has 2^64 addresses for one household.
pub(super) fn place(ip: IpAddr) -> [u8; 8] {
    let mut place = [0; 8];
    match ip.to_canonical() {
        IpAddr::V4(ip) => place.iter_mut().zip(ip.octets()).for_each(|(to, from)| *to = from),
        IpAddr::V6(ip) => place.iter_mut().zip(ip.octets()).for_each(|(to, from)| *to = from),
    }
    place
}

impl Guard {
    /// Whether one more request of an unknown address is looked at: a token bucket, as the moment at which it would
    /// be full again.
    pub(super) fn admit(&mut self, now: Time, source: u128) -> bool {
        if self.sources.len() >= limits::REGISTER_SOURCES && !self.sources.contains_key(&source) {
            self.sources.retain(|_, full_at| *full_at > now);
            if self.sources.len() >= limits::REGISTER_SOURCES {
                return false;
            }
        }
        let full_at = self.sources.entry(source).or_insert(now);
        let next = (*full_at).max(now) + limits::REGISTER_GAP;
        let admitted = next.since(now) <= limits::REGISTER_GAP * limits::REGISTER_BURST;
        if admitted {
            *full_at = next;
        }
        admitted
    }

    pub(super) fn is_locked(&self, now: Time, guesser: u128) -> bool {
        self.guessers.get(&guesser).and_then(|g| g.locked_until).is_some_and(|until| now < until)
    }

    /// A wrong password. True when that was the last one of `allowed` within `time`: now the door stays shut for
    /// as long.
    pub(super) fn wrong(&mut self, now: Time, guesser: u128, allowed: u32, time: Duration) -> bool {
        if self.guessers.len() >= limits::GUESSERS && !self.guessers.contains_key(&guesser) {
            let oldest = self.guessers.iter().min_by_key(|(key, g)| (g.locked_until, g.first_at, **key));
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.guessers.remove(&oldest);
            }
        }
        let fresh = Guesser { first_at: now, wrong: 0, locked_until: None };
        let g = self.guessers.entry(guesser).or_insert(fresh);
        if now.since(g.first_at) >= time || g.locked_until.is_some() {
            *g = fresh;
        }
        g.wrong += 1;
        if g.wrong >= allowed {
            g.locked_until = Some(now + time);
        }
        g.locked_until.is_some()
    }

    /// The right password: what was wrong before was a slip.
    pub(super) fn right(&mut self, guesser: u128) {
        self.guessers.remove(&guesser);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHILE: Duration = Duration::from_secs(900);

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_source_has_its_burst_and_then_its_pace() {
        let mut guard = Guard::default();
        let admitted = |guard: &mut Guard, now| (0..1_000).filter(|_| guard.admit(now, 1)).count() as u32;
        assert_eq!(admitted(&mut guard, at(100)), limits::REGISTER_BURST);
        assert_eq!(admitted(&mut guard, at(101)), 5);
        assert_eq!(admitted(&mut guard, at(200)), limits::REGISTER_BURST);
    }

    #[test]
    fn sources_are_bounded() {
        let mut guard = Guard::default();
        for source in 0..limits::REGISTER_SOURCES as u128 {
            assert!(guard.admit(at(1), source));
        }
        assert!(!guard.admit(at(1), u128::MAX));
        assert!(guard.admit(at(1), 1));
        assert!(guard.admit(at(2), u128::MAX));
        assert!(guard.sources.len() < 3);
    }

    #[test]
    fn the_door_shuts_and_opens() {
        let mut guard = Guard::default();
        for i in 0..9 {
            assert!(!guard.wrong(at(i), 7, 10, WHILE));
        }
        assert!(!guard.is_locked(at(9), 7));
        assert!(guard.wrong(at(9), 7, 10, WHILE));
        assert!(guard.is_locked(at(908), 7) && !guard.is_locked(at(908), 8));
        assert!(!guard.is_locked(at(909), 7));
        assert!(!guard.wrong(at(910), 7, 10, WHILE));
        // Slow mistakes never add up, and the right password clears them.
        for i in 0..100 {
            assert!(!guard.wrong(at(2_000 + i * 100), 9, 10, WHILE));
        }
        for _ in 0..9 {
            guard.wrong(at(20_000), 5, 10, WHILE);
        }
        guard.right(5);
        assert!(!guard.wrong(at(20_000), 5, 10, WHILE));
    }

    #[test]
    fn guessers_are_bounded_and_the_locked_are_kept_longest() {
        let mut guard = Guard::default();
        guard.wrong(at(1), 0, 1, WHILE);
        for guesser in 1..limits::GUESSERS as u128 * 2 {
            guard.wrong(at(2), guesser, 10, WHILE);
        }
        assert_eq!(guard.guessers.len(), limits::GUESSERS);
        assert!(guard.is_locked(at(3), 0));
    }

    #[test]
    fn one_network_of_ipv6_is_one_place() {
        let place = |ip: &str| place(ip.parse().unwrap());
        assert_eq!(place("2001:db8::1"), place("2001:db8::ffff"));
        assert_ne!(place("2001:db8::1"), place("2001:db8:0:1::1"));
        assert_eq!(place("192.0.2.1"), place("::ffff:192.0.2.1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
    }
}
