use proptest::prelude::*;
use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::*;

const PROFILES: [Profile; 3] = [Profile::AesCm128HmacSha1_80, Profile::AeadAes128Gcm, Profile::AeadAes256Gcm];

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn master(profile: Profile) -> (Vec<u8>, Vec<u8>) {
    ((1..=profile.key_len() as u8).collect(), (101..=100 + profile.salt_len() as u8).collect())
}

fn pair(profile: Profile) -> (Protector, Unprotector) {
    let (key, salt) = master(profile);
    (Protector::new(profile, &key, &salt).unwrap(), Unprotector::new(profile, &key, &salt).unwrap())
}

fn oracle(profile: Profile) -> Context {
    let (key, salt) = master(profile);
    let theirs = match profile {
        Profile::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Profile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    Context::new(&key, &salt, theirs, None, None, AwsLcRsProvider::new().crypto()).unwrap()
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0x00];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// One CSRC and a one-word extension, which stay in clear.
fn rtp_with_extension(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = rtp(ssrc, sequence, &[1, 2, 3, 4, 0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
    packet[0] = 0x91;
    packet.extend(payload);
    packet
}

fn rtcp(ssrc: u32, more: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(more);
    packet
}

fn sealed(tx: &mut Protector, plain: &[u8]) -> Vec<u8> {
    let mut buf = plain.to_vec();
    buf.resize(plain.len() + MAX_OVERHEAD, 0);
    let len = tx.protect_rtp(&mut buf, plain.len()).unwrap();
    buf.truncate(len);
    buf
}

fn sealed_rtcp(tx: &mut Protector, plain: &[u8]) -> Vec<u8> {
    let mut buf = plain.to_vec();
    buf.resize(plain.len() + MAX_OVERHEAD, 0);
    let len = tx.protect_rtcp(&mut buf, plain.len()).unwrap();
    buf.truncate(len);
    buf
}

#[test]
fn the_oracle_reads_what_we_write_and_the_reverse() {
    for profile in PROFILES {
        let (mut tx, mut rx) = pair(profile);
        let (mut their_tx, mut their_rx) = (oracle(profile), oracle(profile));
        // Around the roll-over of the sequence number.
        for n in 0..200u16 {
            let sequence = 65_500u16.wrapping_add(n);
            let payload = vec![n as u8; usize::from(n)];
            let plain = match n % 2 {
                0 => rtp(7, sequence, &payload),
                _ => rtp_with_extension(7, sequence, &payload),
            };
            let wire = sealed(&mut tx, &plain);
            assert_eq!(their_rx.decrypt_rtp(&wire).unwrap()[..], plain[..], "{profile:?} {n}");
            let mut wire = their_tx.encrypt_rtp(&plain).unwrap().to_vec();
            let len = rx.unprotect_rtp(&mut wire).unwrap();
            assert_eq!(wire[..len], plain[..], "{profile:?} {n}");

            let plain = rtcp(7, &payload);
            let wire = sealed_rtcp(&mut tx, &plain);
            assert_eq!(their_rx.decrypt_rtcp(&wire).unwrap()[..], plain[..], "{profile:?} {n}");
            let mut wire = their_tx.encrypt_rtcp(&plain).unwrap().to_vec();
            let len = rx.unprotect_rtcp(&mut wire).unwrap();
            assert_eq!(wire[..len], plain[..], "{profile:?} {n}");
        }
    }
}

#[test]
fn a_replay_is_refused_and_a_number_is_never_sent_twice() {
    for profile in PROFILES {
        let (mut tx, mut rx) = pair(profile);
        let plain = rtp(1, 10, b"audio");
        let wire = sealed(&mut tx, &plain);
        rx.unprotect_rtp(&mut wire.clone()).unwrap();
        assert_eq!(rx.unprotect_rtp(&mut wire.clone()), Err(SrtpError::Replayed));
        let mut again = plain.clone();
        again.resize(plain.len() + MAX_OVERHEAD, 0);
        assert_eq!(tx.protect_rtp(&mut again, plain.len()), Err(SrtpError::IndexReused));
        let report = sealed_rtcp(&mut tx, &rtcp(1, b"0123"));
        rx.unprotect_rtcp(&mut report.clone()).unwrap();
        assert_eq!(rx.unprotect_rtcp(&mut report.clone()), Err(SrtpError::Replayed));
    }
}

#[test]
fn a_forged_packet_changes_no_state() {
    for profile in PROFILES {
        let (mut tx, mut rx) = pair(profile);
        let first = sealed(&mut tx, &rtp(1, 10, b"audio"));
        rx.unprotect_rtp(&mut first.clone()).unwrap();
        // A forged packet far ahead would shift the window and the roll-over counter.
        for sequence in [1000, 40_000, 65_535] {
            let mut forged = rtp(1, sequence, &[0; 40]);
            assert!(rx.unprotect_rtp(&mut forged).is_err());
        }
        let next = sealed(&mut tx, &rtp(1, 11, b"audio"));
        rx.unprotect_rtp(&mut next.clone()).unwrap();
        // Nor do forged sources take up the table.
        for ssrc in 100..200 {
            assert_eq!(rx.unprotect_rtp(&mut rtp(ssrc, 1, &[0; 40])), Err(SrtpError::Authentication));
            assert!(rx.unprotect_rtcp(&mut rtcp(ssrc, &[0x80; 40])).is_err());
        }
        let other = sealed(&mut tx, &rtp(2, 1, b"audio"));
        rx.unprotect_rtp(&mut other.clone()).unwrap();
    }
}

#[test]
fn a_key_is_used_for_as_many_packets_as_its_owner_says() {
    for profile in PROFILES {
        let (key, salt) = master(profile);
        let master = MasterKey::from_octets(profile, &[key, salt].concat()).unwrap().for_packets(2);
        let (mut tx, mut rx) = (Protector::of(&master).unwrap(), Unprotector::of(&master).unwrap());
        for n in 0..3 {
            // What is forged uses nothing up.
            assert!(rx.unprotect_rtp(&mut rtp(1, n, &[0; 40])).is_err());
            let heard = rx.unprotect_rtp(&mut sealed(&mut tx, &rtp(1, n, b"audio")));
            assert_eq!(heard.is_ok(), n < 2, "{heard:?}");
            let heard = rx.unprotect_rtcp(&mut sealed_rtcp(&mut tx, &rtcp(1, b"0123")));
            assert_eq!(heard.err(), (n == 2).then_some(SrtpError::KeyExhausted));
        }
    }
}

#[test]
fn sources_are_bounded() {
    let (mut tx, _) = pair(Profile::AeadAes128Gcm);
    for ssrc in 0..crate::limits::MAX_SRTP_SOURCES as u32 {
        sealed(&mut tx, &rtp(ssrc, 1, b"x"));
    }
    let mut buf = rtp(99, 1, &[0; 100]);
    assert_eq!(tx.protect_rtp(&mut buf, 20), Err(SrtpError::TooManySources));
}

#[test]
fn room_for_the_tag_is_checked() {
    for profile in PROFILES {
        let (mut tx, _) = pair(profile);
        let mut buf = rtp(1, 1, b"audio");
        let len = buf.len();
        assert_eq!(tx.protect_rtp(&mut buf, len), Err(SrtpError::NoRoom));
        assert_eq!(tx.protect_rtcp(&mut buf, usize::MAX), Err(SrtpError::NoRoom));
    }
}

proptest! {
    /// Loss, reordering inside the window and repeats, over several roll-overs: each packet is accepted once, as sent.
    #[test]
    fn what_arrives_is_read_once(
        profile in prop::sample::select(&PROFILES[..]),
        // RFC 3711 §3.3.1: above, a roll-over before the first arrival could not be known.
        start in 0u16..0x8000,
        steps in proptest::collection::vec((1u16..900, 0usize..8, any::<bool>()), 1..300),
    ) {
        let (mut tx, mut rx) = pair(profile);
        let mut sequence = start;
        let mut late: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut highest = u64::from(start);
        for (step, hold, repeat) in steps {
            // Mostly in order, sometimes after a gap.
            let step = if step < 850 { 1 } else { step };
            sequence = sequence.wrapping_add(step);
            highest += u64::from(step);
            let plain = rtp(5, sequence, &highest.to_be_bytes());
            let wire = sealed(&mut tx, &plain);
            late.push((plain, wire));
            if late.len() > hold {
                let (plain, wire) = late.remove(hold.min(late.len() - 1));
                let mut packet = wire.clone();
                match rx.unprotect_rtp(&mut packet) {
                    Ok(len) => prop_assert_eq!(&packet[..len], &plain[..]),
                    // Only what fell behind the window may be refused.
                    Err(e) => {
                        prop_assert_eq!(e, SrtpError::Replayed);
                        let sent = u64::from_be_bytes(plain[12..].try_into().unwrap());
                        prop_assert!(highest - sent >= 128 || sent < 65_536);
                    }
                }
                if repeat {
                    prop_assert_eq!(rx.unprotect_rtp(&mut wire.clone()), Err(SrtpError::Replayed));
                }
            }
        }
    }

    #[test]
    fn one_flipped_bit_is_noticed(
        profile in prop::sample::select(&PROFILES[..]),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        report in any::<bool>(),
    ) {
        let (mut tx, mut rx) = pair(profile);
        let mut wire = if report {
            sealed_rtcp(&mut tx, &rtcp(1, &[9; 20]))
        } else {
            sealed(&mut tx, &rtp_with_extension(1, 500, &[9; 160]))
        };
        let good = wire.clone();
        let at = at.index(wire.len());
        wire[at] ^= 1 << bit;
        let result = if report { rx.unprotect_rtcp(&mut wire) } else { rx.unprotect_rtp(&mut wire) };
        prop_assert!(result.is_err());
        let mut good = good;
        let result = if report { rx.unprotect_rtcp(&mut good) } else { rx.unprotect_rtp(&mut good) };
        prop_assert!(result.is_ok());
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), len in 0usize..300) {
        for profile in PROFILES {
            let (mut tx, mut rx) = pair(profile);
            if let Some(first) = bytes.first_mut() {
                *first = 0x80 | (*first & 0x3f);
            }
            prop_assert!(rx.unprotect_rtp(&mut bytes.clone()).is_err());
            prop_assert!(rx.unprotect_rtcp(&mut bytes.clone()).is_err());
            let _ = tx.protect_rtp(&mut bytes.clone(), len);
            let _ = tx.protect_rtcp(&mut bytes.clone(), len);
        }
    }
}
