//! ICE-lite (RFC 8445 §2.5): we send no checks, we answer them. A browser's addresses are learned from its
//! authenticated checks alone; candidates in its signalling are not needed.

use aws_lc_rs::hmac;
use kraliki_time::Time;
use rand::CryptoRng;

use super::address::TransportAddress;
use super::stun::{BindingRequest, LegTag, integrity_key};
use crate::limits::MAX_CHECKED_ADDRESSES;

/// ufrag and password of one side (RFC 8839 §5.4).
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) ufrag: String,
    pub(super) password: String,
}

impl Credentials {
    /// Ours: for the ufrag the leg's tag and 8 characters of chance, for the password 24, 144 bits (RFC 8445 §5.3).
    fn generate(tag: LegTag, rng: &mut (impl CryptoRng + ?Sized)) -> Credentials {
        let text = |bytes: &[u8]| bytes.iter().map(|b| char::from(*b)).collect::<String>();
        Credentials {
            ufrag: format!("{tag}{}", text(&ice_chars::<8>(rng))),
            password: text(&ice_chars::<24>(rng)),
        }
    }
}

/// Characters that RFC 8839 §5.4 allows; there are 64, so each carries 6 bits.
fn ice_chars<const N: usize>(rng: &mut (impl CryptoRng + ?Sized)) -> [u8; N] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    #[allow(clippy::indexing_slicing)] // masked to 0..64
    bytes.map(|b| ALPHABET[usize::from(b & 63)])
}

/// The credentials of one ICE session: of the first offer, or of a restart.
struct Generation {
    local: Credentials,
    key: hmac::Key,
    remote_ufrag: String,
}

impl Generation {
    fn new(local: Credentials, remote_ufrag: String) -> Generation {
        Generation { key: integrity_key(&local.password), local, remote_ufrag }
    }

    fn accepts(&self, request: &BindingRequest<'_>) -> bool {
        request.username.split_once(':') == Some((self.local.ufrag.as_str(), self.remote_ufrag.as_str()))
            && request.is_authentic(&self.key)
    }
}

/// What an authenticated check led to.
pub(super) struct Checked {
    pub(super) response: Vec<u8>,
    /// The source was not known before.
    pub(super) learned: bool,
    /// An address that had to make room for it.
    pub(super) forgotten: Option<TransportAddress>,
    /// Media now goes to the source, and did not before.
    pub(super) selected: bool,
}

pub(super) struct IceLite {
    tag: LegTag,
    current: Generation,
    /// After a restart the old session goes on until the browser nominates an address in the new one (RFC 8445 §9).
    previous: Option<Generation>,
    /// Addresses with a valid check, and when the last one came.
    checked: Vec<(TransportAddress, Time)>,
    selected: Option<TransportAddress>,
    nominated: bool,
    last_check: Option<Time>,
}

impl IceLite {
    pub(super) fn new(remote_ufrag: &str, rng: &mut (impl CryptoRng + ?Sized)) -> IceLite {
        let tag = LegTag::new(ice_chars(rng));
        IceLite {
            tag,
            current: Generation::new(Credentials::generate(tag, rng), remote_ufrag.to_owned()),
            previous: None,
            checked: Vec::new(),
            selected: None,
            nominated: false,
            last_check: None,
        }
    }

    /// New credentials for a browser that has new ones; addresses and consent stay.
    pub(super) fn restart(&mut self, remote_ufrag: &str, rng: &mut (impl CryptoRng + ?Sized)) {
        let next = Generation::new(Credentials::generate(self.tag, rng), remote_ufrag.to_owned());
        self.previous = Some(std::mem::replace(&mut self.current, next));
    }

    /// Answers a check; `None`, and silence, when it is not authentic.
    pub(super) fn handle_check(
        &mut self,
        now: Time,
        from: TransportAddress,
        datagram: &[u8],
    ) -> Option<Checked> {
        let request = BindingRequest::parse(datagram)?;
        let of_current = self.current.accepts(&request);
        let generation = match &self.previous {
            _ if of_current => &self.current,
            Some(previous) if previous.accepts(&request) => previous,
            _ => return None,
        };
        let response = request.success(&generation.key, from.address);
        if of_current && request.use_candidate {
            self.previous = None;
        }
        self.last_check = Some(now);
        let (learned, forgotten) = self.note(now, from);
        // The nominated address is where media goes (RFC 8445 §8.2); before there is one, the first that works.
        let selects = request.use_candidate || (!self.nominated && self.selected.is_none());
        self.nominated |= request.use_candidate;
        let selected = selects && self.selected != Some(from);
        if selects {
            self.selected = Some(from);
        }
        Some(Checked { response, learned, forgotten, selected })
    }

    fn note(&mut self, now: Time, from: TransportAddress) -> (bool, Option<TransportAddress>) {
        if let Some((_, at)) = self.checked.iter_mut().find(|(address, _)| *address == from) {
            *at = now;
            return (false, None);
        }
        let mut forgotten = None;
        if self.checked.len() >= MAX_CHECKED_ADDRESSES {
            let selected = self.selected;
            let idle = self.checked.iter().enumerate().filter(|(_, (address, _))| Some(*address) != selected);
            if let Some(oldest) = idle.min_by_key(|(_, (_, at))| *at).map(|(n, _)| n) {
                forgotten = Some(self.checked.swap_remove(oldest).0);
            }
        }
        self.checked.push((from, now));
        (true, forgotten)
    }

    pub(super) fn is_checked(&self, from: TransportAddress) -> bool {
        // Nearly always the one that media goes to, which is never forgotten.
        self.selected == Some(from) || self.checked.iter().any(|(address, _)| *address == from)
    }

    pub(super) fn tag(&self) -> LegTag {
        self.tag
    }

    pub(super) fn local(&self) -> &Credentials {
        &self.current.local
    }

    pub(super) fn selected(&self) -> Option<TransportAddress> {
        self.selected
    }

    pub(super) fn last_check(&self) -> Option<Time> {
        self.last_check
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::webrtc::stun::client::binding_request;

    fn agent() -> (IceLite, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        (IceLite::new("theirs", &mut rng), rng)
    }

    fn check(ice: &IceLite, remote: &str, nominate: bool) -> Vec<u8> {
        let local = ice.local();
        binding_request(&format!("{}:{remote}", local.ufrag), &local.password, [3; 12], nominate)
    }

    fn address(n: u16) -> TransportAddress {
        SocketAddr::from(([127, 0, 0, 1], n)).into()
    }

    #[test]
    fn only_authentic_checks_are_answered() {
        let (mut ice, _) = agent();
        let (ufrag, password) = (ice.local().ufrag.clone(), ice.local().password.clone());
        let bad = [
            binding_request(&format!("{ufrag}:theirs"), "a password of somebody else", [1; 12], true),
            binding_request(&format!("{ufrag}:other"), &password, [1; 12], true),
            binding_request(&ufrag, &password, [1; 12], true),
            binding_request(&format!("XXXX{ufrag}:theirs"), &password, [1; 12], true),
            check(&ice, "theirs", true)[..60].to_vec(),
        ];
        for datagram in bad {
            assert!(ice.handle_check(Time::ZERO, address(1), &datagram).is_none());
        }
        assert!(ice.selected().is_none() && ice.last_check().is_none() && !ice.is_checked(address(1)));
        let checked =
            ice.handle_check(Time::from_millis(5), address(1), &check(&ice, "theirs", true)).unwrap();
        assert!(checked.learned && checked.selected);
        assert_eq!((ice.selected(), ice.last_check()), (Some(address(1)), Some(Time::from_millis(5))));
    }

    #[test]
    fn the_nominated_address_wins_and_the_last_nomination_counts() {
        let (mut ice, _) = agent();
        ice.handle_check(Time::ZERO, address(1), &check(&ice, "theirs", false)).unwrap();
        assert_eq!(ice.selected(), Some(address(1)));
        ice.handle_check(Time::ZERO, address(2), &check(&ice, "theirs", true)).unwrap();
        assert_eq!(ice.selected(), Some(address(2)));
        let again = ice.handle_check(Time::ZERO, address(1), &check(&ice, "theirs", false)).unwrap();
        assert!(!again.selected && !again.learned);
        assert!(ice.handle_check(Time::ZERO, address(3), &check(&ice, "theirs", true)).unwrap().selected);
    }

    #[test]
    fn a_restart_keeps_the_tag_and_the_old_session_until_a_nomination() {
        let (mut ice, mut rng) = agent();
        let old = check(&ice, "theirs", true);
        let (tag, before) = (ice.tag(), ice.local().clone());
        ice.handle_check(Time::ZERO, address(1), &old).unwrap();
        ice.restart("again", &mut rng);
        assert_eq!(ice.tag(), tag);
        assert!(ice.local().ufrag.starts_with(&tag.to_string()));
        assert!(ice.local().ufrag != before.ufrag && ice.local().password != before.password);
        assert!(ice.handle_check(Time::ZERO, address(1), &old).is_some());
        let new = check(&ice, "again", false);
        assert!(ice.handle_check(Time::ZERO, address(2), &new).is_some());
        assert!(ice.handle_check(Time::ZERO, address(1), &old).is_some());
        let nominating = check(&ice, "again", true);
        assert!(ice.handle_check(Time::ZERO, address(2), &nominating).unwrap().selected);
        assert!(ice.handle_check(Time::ZERO, address(1), &old).is_none());
    }

    #[test]
    fn addresses_are_bounded_and_the_selected_one_stays() {
        let (mut ice, _) = agent();
        ice.handle_check(Time::ZERO, address(1), &check(&ice, "theirs", true)).unwrap();
        let mut forgotten = Vec::new();
        for n in 2..40 {
            let datagram = check(&ice, "theirs", false);
            let now = Time::from_millis(u64::from(n));
            forgotten.extend(ice.handle_check(now, address(n), &datagram).unwrap().forgotten);
        }
        assert_eq!(ice.checked.len(), MAX_CHECKED_ADDRESSES);
        assert_eq!(forgotten[..3], [address(2), address(3), address(4)]);
        assert!(ice.is_checked(address(1)) && ice.is_checked(address(39)));
    }
}
