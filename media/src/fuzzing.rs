//! Ways in for media/fuzz, with what must hold of whatever comes: the parsers themselves are nobody's business outside.
//! Compiled for fuzzing and for tests alone.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)] // a broken promise is to be seen

use crate::rtcp;
use crate::rtp::Header;
use crate::sdp::{AudioCodec, SrtpPolicy, TrunkSession, parse};
use crate::webrtc;

/// The payload lies within the packet.
pub fn rtp(packet: &[u8]) {
    let Some(header) = Header::parse(packet) else { return };
    assert!(header.payload.start <= header.payload.end && header.payload.end <= packet.len());
    assert!(header.payload_type < 128);
}

/// A report about us is one of a compound that is whole.
pub fn rtcp(datagram: &[u8]) {
    for about in [0, 0x5151_5151, u32::MAX] {
        if let Some(compound) = rtcp::parse(datagram, about) {
            assert!(datagram.len() >= 8 && compound.block.is_none_or(|block| block.ssrc == about));
        }
    }
}

/// A request names a leg only in a whole message.
pub fn stun(datagram: &[u8]) {
    if let Some(tag) = webrtc::leg_tag_of(datagram) {
        assert!(datagram.len() >= 20 && tag.to_string().len() >= 8);
    }
    webrtc::fuzz_check(datagram);
}

/// What was read can be written and read again, and our answers can be read.
pub fn sdp(body: &[u8]) {
    // A fragment of nothing is written as nothing.
    if let Ok(description) = parse(body)
        && description.origin.is_some()
    {
        let again = parse(description.to_string().as_bytes()).unwrap();
        assert_eq!(again.media.len(), description.media.len());
    }
    let here = ([192, 0, 2, 1], 4_000).into();
    for policy in [SrtpPolicy::Off, SrtpPolicy::Optional, SrtpPolicy::Required] {
        let mut session = TrunkSession::new(1, here, &AudioCodec::G711).with_srtp(policy, [1; 32]);
        if let Ok((answer, agreed)) = session.answer(body) {
            parse(&answer).unwrap();
            assert!(agreed.ptime_ms > 0);
        }
        let mut session = TrunkSession::new(1, here, &AudioCodec::G711).with_srtp(policy, [1; 32]);
        session.offer();
        let _ = session.apply_answer(body);
    }
    webrtc::fuzz_offer(body);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Seeded = (&'static str, fn(&[u8]), &'static [&'static [u8]]);
    const SEEDS: [Seeded; 4] = [
        ("rtp", rtp, &[include_bytes!("../fuzz/seeds/rtp/extension.dat")]),
        ("rtcp", rtcp, &[include_bytes!("../fuzz/seeds/rtcp/compound.dat")]),
        ("stun", stun, &[include_bytes!("../fuzz/seeds/stun/request.dat")]),
        (
            "sdp",
            sdp,
            &[include_bytes!("../fuzz/seeds/sdp/trunk.dat"), include_bytes!("../fuzz/seeds/sdp/browser.dat")],
        ),
    ];

    #[test]
    fn seeds_are_taken() {
        assert!(Header::parse(SEEDS[0].2[0]).is_some());
        assert!(rtcp::parse(SEEDS[1].2[0], 0x5151_5151).unwrap().block.is_some());
        assert!(webrtc::leg_tag_of(SEEDS[2].2[0]).is_some());
        assert!(SEEDS[3].2.iter().all(|body| parse(body).is_ok()));
    }

    proptest! {
        /// A little of what `make fuzz` does: seeds with some octets changed, cut anywhere.
        #[test]
        fn damaged_seeds_keep_their_promises(
            which in 0usize..4,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in proptest::option::of(any::<prop::sample::Index>()),
        ) {
            let (_, check, seeds) = SEEDS[which];
            for seed in seeds {
                let mut bytes = seed.to_vec();
                for (at, value) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *value;
                }
                if let Some(cut) = cut {
                    bytes.truncate(cut.index(bytes.len()));
                }
                check(&bytes);
            }
        }
    }
}
