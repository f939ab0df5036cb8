//! A master key of one direction, as signalling carries it.

use std::fmt;

use rand::CryptoRng;

use super::Profile;

/// The longest master key and salt.
const MAX_OCTETS: usize = 46;
/// What a master key is good for (RFC 3711 §9.2).
pub(crate) const MAX_PACKETS: u64 = 1 << 48;

/// The master key and salt of one direction. It is never shown: `Debug` tells the profile alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MasterKey {
    profile: Profile,
    /// Key, then salt; the rest is zero.
    octets: [u8; MAX_OCTETS],
    packets: u64,
}

impl MasterKey {
    /// A key by chance.
    pub fn generate(profile: Profile, rng: &mut impl CryptoRng) -> MasterKey {
        let mut key = MasterKey { profile, octets: [0; MAX_OCTETS], packets: MAX_PACKETS };
        let length = key.key().len() + key.salt().len();
        rng.fill_bytes(key.octets.get_mut(..length).unwrap_or_default());
        key
    }

    /// A key and its salt in one, as RFC 4568 §6.1 writes them. `None` when the length is not the profile's.
    pub fn from_octets(profile: Profile, octets: &[u8]) -> Option<MasterKey> {
        if octets.len() != profile.key_len() + profile.salt_len() {
            return None;
        }
        let mut key = MasterKey { profile, octets: [0; MAX_OCTETS], packets: MAX_PACKETS };
        key.octets.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(key)
    }

    /// The same key for no more than so many packets, RTP and RTCP counted each for themselves.
    pub fn for_packets(self, packets: u64) -> MasterKey {
        MasterKey { packets: packets.min(MAX_PACKETS), ..self }
    }

    /// What it is a key of.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Whether it protects as the other does, however long.
    pub(crate) fn is_same(&self, other: &MasterKey) -> bool {
        self.profile == other.profile && self.octets == other.octets
    }

    pub(crate) fn packets(&self) -> u64 {
        self.packets
    }

    /// Key and salt, to be written.
    pub(crate) fn octets(&self) -> &[u8] {
        self.octets.get(..self.profile.key_len() + self.profile.salt_len()).unwrap_or_default()
    }

    pub(super) fn key(&self) -> &[u8] {
        self.octets.get(..self.profile.key_len()).unwrap_or_default()
    }

    pub(super) fn salt(&self) -> &[u8] {
        let from = self.profile.key_len();
        self.octets.get(from..from + self.profile.salt_len()).unwrap_or_default()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("profile", &self.profile).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_key_is_never_shown_and_fits_its_profile() {
        let mut rng = StdRng::seed_from_u64(1);
        for profile in [Profile::AesCm128HmacSha1_80, Profile::AeadAes128Gcm, Profile::AeadAes256Gcm] {
            let key = MasterKey::generate(profile, &mut rng);
            assert_eq!(format!("{key:?}"), format!("MasterKey {{ profile: {profile:?}, .. }}"));
            assert_eq!((key.key().len(), key.salt().len()), (profile.key_len(), profile.salt_len()));
            assert!(key.octets().windows(4).all(|four| four != [0; 4]));
            let again = MasterKey::from_octets(profile, key.octets()).unwrap();
            assert!(again.is_same(&key.for_packets(5)) && again != key.for_packets(5));
            assert_eq!(MasterKey::from_octets(profile, &key.octets()[1..]), None);
            assert!(!MasterKey::generate(profile, &mut rng).is_same(&key));
        }
    }
}
