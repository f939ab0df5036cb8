//! Which browser an address belongs to, looked up for every packet of theirs.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::webrtc::TransportAddress;

/// The slots of browsers by the addresses that they were heard from.
pub(super) type Addresses = HashMap<TransportAddress, usize, BuildHasherDefault<AddressHasher>>;

/// Odd, its bits without a pattern (the golden ratio).
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A quarter of the time of the standard one, which withstands keys that an enemy chooses: an address gets into the table only
/// after an authentic check of an agent's browser, and a browser has a few at most.
#[derive(Debug, Default)]
pub(super) struct AddressHasher(u64);

impl AddressHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(26) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            self.add(chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn write_u16(&mut self, word: u16) {
        self.add(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.add(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.add(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.add(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.add(word as u64);
    }

    fn finish(&self) -> u64 {
        // The table takes the lowest bits for the place, and the highest to tell entries apart.
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;
    use std::net::SocketAddr;

    use super::*;
    use crate::webrtc::StreamId;

    #[test]
    fn neighbours_are_spread() {
        let build = BuildHasherDefault::<AddressHasher>::default();
        let mut places = HashSet::new();
        let mut marks = HashSet::new();
        for n in 0..4_096u16 {
            // A thousand ports of each of four hosts of one network.
            let host = (n / 1_024) as u8;
            let address: SocketAddr = ([192, 0, 2, host], 40_000 + n % 1_024).into();
            let hash = build.hash_one(TransportAddress::from(address));
            places.insert(hash % 8_192);
            marks.insert(hash >> 57);
            let by_tcp = TransportAddress { address, stream: Some(StreamId(1)) };
            assert_ne!(hash, build.hash_one(by_tcp));
        }
        // 4,096 thrown at random into 8,192 places fill 3,223.
        assert!((2_900..=3_900).contains(&places.len()), "{}", places.len());
        assert_eq!(marks.len(), 128);
    }
}
