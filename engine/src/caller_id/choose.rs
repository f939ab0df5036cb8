//! Which caller id of a pool is shown to a lead.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::live::day_of;
use super::place::state_of;
use super::{CallerIdPool, CallerIdState, IdLive, Rotation};

/// For whom, and when.
pub(crate) struct Asked<'a> {
    /// The lead's number, E.164.
    pub(crate) phone: &'a str,
    /// What it was shown last; empty: nothing.
    pub(crate) last: &'a str,
    pub(crate) unix_ms: i64,
    /// Of chance.
    pub(crate) draw: u64,
}

/// The caller id to show, of those that are good now and that the trunk may show.
pub(crate) fn choose(
    pool: &CallerIdPool,
    ids: &BTreeMap<String, IdLive>,
    asked: &Asked<'_>,
    may_show: impl Fn(&str) -> bool,
) -> Option<String> {
    let good = |number: &&String| {
        let known = ids.get(number.as_str());
        known.is_some_and(|id| id.state(pool, asked.unix_ms) == CallerIdState::Good) && may_show(number)
    };
    let mut able = pool.numbers.iter().filter(good);
    if pool.sticky && !asked.last.is_empty() && able.clone().any(|number| number == asked.last) {
        return Some(asked.last.to_owned());
    }
    let day = day_of(asked.unix_ms);
    let shown = |number: &str| ids.get(number).map_or(0, |id| id.on(day).attempts);
    let next = match pool.rotation {
        Rotation::Even => able.min_by_key(|number| shown(number)),
        Rotation::Random => {
            let many = able.clone().count() as u64;
            let place = asked.draw.checked_rem(many).and_then(|place| usize::try_from(place).ok());
            place.and_then(|place| able.nth(place))
        }
        Rotation::Local => able.min_by_key(|number| (Reverse(nearness(asked.phone, number)), shown(number))),
    };
    next.cloned()
}

/// How near a caller id is to a number: the longer the common prefix the nearer, but in the numbering plan of North America
/// only the area code and the state count.
fn nearness(phone: &str, number: &str) -> usize {
    let (Some(here), Some(there)) = (area(phone), area(number)) else {
        return phone.bytes().zip(number.bytes()).take_while(|(a, b)| a == b).count();
    };
    if here == there {
        5
    } else if state_of(here).is_some_and(|state| Some(state) == state_of(there)) {
        4
    } else {
        2
    }
}

/// The area code of a number of North America.
fn area(number: &str) -> Option<&str> {
    number.strip_prefix("+1").and_then(|rest| rest.get(..3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_021_200_000;

    fn pool(rotation: Rotation) -> (CallerIdPool, BTreeMap<String, IdLive>) {
        let numbers: Vec<String> =
            ["+12025550100", "+12125550100", "+13475550100", "+34911234567"].map(String::from).into();
        let ids = numbers.iter().map(|number| (number.clone(), IdLive::default())).collect();
        (CallerIdPool { numbers, rotation, ..CallerIdPool::default() }, ids)
    }

    fn asked<'a>(phone: &'a str, last: &'a str, draw: u64) -> Asked<'a> {
        Asked { phone, last, unix_ms: NOW, draw }
    }

    #[test]
    fn even_takes_the_one_that_was_shown_least() {
        let (pool, mut ids) = pool(Rotation::Even);
        let mut shown = Vec::new();
        for _ in 0..8 {
            let next = choose(&pool, &ids, &asked("+12025550199", "", 0), |_| true).unwrap();
            ids.get_mut(&next).unwrap().count(day_of(NOW), |used| used.attempts += 1);
            shown.push(next);
        }
        assert_eq!((&shown[..4], &shown[4..]), (&pool.numbers[..], &pool.numbers[..]));
    }

    #[test]
    fn local_takes_the_area_then_the_state_then_the_country() {
        let (pool, ids) = pool(Rotation::Local);
        let of = |phone| choose(&pool, &ids, &asked(phone, "", 0), |_| true).unwrap();
        assert_eq!(of("+13475550111"), "+13475550100", "the area code");
        assert_eq!(of("+15185550111"), "+12125550100", "the state of New York, the first of two");
        assert_eq!(of("+13055550111"), "+12025550100", "the country, the first of three");
        assert_eq!(of("+34600000000"), "+34911234567");
    }

    #[test]
    fn sticky_shows_the_same_one_again_while_it_is_good() {
        let (mut pool, ids) = pool(Rotation::Random);
        pool.sticky = true;
        let of = |last, draw, may: &dyn Fn(&str) -> bool| {
            choose(&pool, &ids, &asked("+12025550199", last, draw), may)
        };
        for draw in 0..9 {
            assert_eq!(of("+13475550100", draw, &|_| true).as_deref(), Some("+13475550100"));
            let other = of("+13475550100", draw, &|number| number != "+13475550100").unwrap();
            assert_ne!(other, "+13475550100");
        }
        assert_eq!(of("", 1, &|_| true).as_deref(), Some("+12125550100"));
        assert_eq!(of("+19995550100", 1, &|_| false), None, "none is good");
    }
}
