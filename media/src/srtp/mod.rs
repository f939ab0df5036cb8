//! SRTP and SRTCP in place (RFC 3711, RFC 7714), the path that every packet of a browser and of an encrypted trunk takes.
//!
//! [`Protector`] is for packets that we send, [`Unprotector`] for those we receive; each belongs to one direction of one
//! leg. Both work inside the caller's buffer and allocate nothing per packet. State (roll-over counter, replay window)
//! changes only after a packet is authentic.

mod cipher;
mod derive;
mod index;
mod key;

pub(crate) use key::MAX_PACKETS;
pub use key::MasterKey;

use aws_lc_rs::error::Unspecified;

use cipher::Cipher;
use index::{Sources, Window};

const RTP_HEADER: usize = 12;
/// The part of an RTCP packet that stays in clear: the first header and its SSRC (RFC 3711 §3.4).
const RTCP_CLEAR: usize = 8;
/// The E flag and the index, 4 bytes before or after the tag.
const SRTCP_INDEX: usize = 4;
const E_FLAG: u32 = 1 << 31;

/// How packets are encrypted and authenticated, as DTLS-SRTP or SDES negotiated it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// AES_CM_128_HMAC_SHA1_80 (RFC 3711), which every WebRTC peer speaks.
    AesCm128HmacSha1_80,
    /// AEAD_AES_128_GCM (RFC 7714), the cheapest.
    AeadAes128Gcm,
    /// AEAD_AES_256_GCM (RFC 7714).
    AeadAes256Gcm,
}

impl Profile {
    /// Bytes of the master key.
    pub const fn key_len(self) -> usize {
        match self {
            Profile::AesCm128HmacSha1_80 | Profile::AeadAes128Gcm => 16,
            Profile::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Profile::AesCm128HmacSha1_80 => 14,
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 12,
        }
    }

    const fn tag_len(self) -> usize {
        match self {
            Profile::AesCm128HmacSha1_80 => 10,
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 16,
        }
    }

    /// Bytes that an RTP packet grows by; the buffer needs this much room after it.
    pub const fn rtp_overhead(self) -> usize {
        self.tag_len()
    }

    /// Bytes that an RTCP packet grows by.
    pub const fn rtcp_overhead(self) -> usize {
        self.tag_len() + SRTCP_INDEX
    }
}

/// Most bytes that any profile adds to a packet, RTP or RTCP.
pub const MAX_OVERHEAD: usize = Profile::AeadAes256Gcm.rtcp_overhead();

/// Why a packet is not protected or not accepted. None of these ends the leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SrtpError {
    /// The peer sent something that is no (S)RTP or (S)RTCP packet.
    #[error("malformed packet")]
    Malformed,
    /// The tag is wrong: tampered with, or of other keys.
    #[error("authentication failed")]
    Authentication,
    /// Received before, or too old to tell.
    #[error("replayed or too old")]
    Replayed,
    /// More sources than a leg has.
    #[error("too many sources")]
    TooManySources,
    /// API misuse: this sequence number was sent before; encrypting two packets with one would give the key stream away.
    #[error("sequence number used before")]
    IndexReused,
    /// API misuse: no room for the tag behind the packet.
    #[error("no room for the authentication tag")]
    NoRoom,
    /// The keys are used up: after 2^48 packets or 2^31 reports (RFC 3711 §9.2), or what the peer said (RFC 4568 §6.1).
    #[error("the keys are used up")]
    KeyExhausted,
    /// No keys yet, or the leg has ended.
    #[error("the leg is not up")]
    NotUp,
    /// API misuse: key or salt of another length than the profile's.
    #[error("key or salt of the wrong length")]
    KeyLength,
}

impl From<Unspecified> for SrtpError {
    fn from(_: Unspecified) -> Self {
        SrtpError::Authentication
    }
}

/// The sending side.
pub struct Protector {
    rtp: Cipher,
    rtcp: Cipher,
    sources: Sources,
    /// The next SRTCP index; one line for all sources keeps it unique (RFC 3711 §3.4).
    rtcp_index: u32,
}

impl Protector {
    /// Derives the session keys from a master key and salt.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        let (rtp, rtcp) = derive::session_keys(profile, key, salt)?;
        Ok(Protector { rtp, rtcp, sources: Sources::default(), rtcp_index: 0 })
    }

    /// As [`Protector::new`], from a key that signalling carried.
    pub fn of(master: &MasterKey) -> Result<Self, SrtpError> {
        Protector::new(master.profile(), master.key(), master.salt())
    }

    /// Encrypts the RTP packet in `buf[..len]` and appends the tag; the length on the wire.
    pub fn protect_rtp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let wire = len.checked_add(self.rtp.profile().rtp_overhead()).ok_or(SrtpError::NoRoom)?;
        let packet = buf.get_mut(..wire).ok_or(SrtpError::NoRoom)?;
        let header = rtp_header(packet.get(..len).ok_or(SrtpError::Malformed)?)?;
        let guess = self.sources.guess(header.ssrc, header.sequence).map_err(sending)?;
        self.rtp.seal_rtp(packet, header.len, header.ssrc, guess.index)?;
        self.sources.accept(header.ssrc, guess);
        Ok(wire)
    }

    /// Encrypts the compound RTCP packet in `buf[..len]` and appends index and tag; the length on the wire.
    pub fn protect_rtcp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let wire = len.checked_add(self.rtcp.profile().rtcp_overhead()).ok_or(SrtpError::NoRoom)?;
        let packet = buf.get_mut(..wire).ok_or(SrtpError::NoRoom)?;
        let ssrc = rtcp_ssrc(packet.get(..len).ok_or(SrtpError::Malformed)?)?;
        if self.rtcp_index >= E_FLAG {
            return Err(SrtpError::KeyExhausted);
        }
        self.rtcp.seal_rtcp(packet, ssrc, self.rtcp_index)?;
        self.rtcp_index += 1;
        Ok(wire)
    }
}

impl Protector {
    /// See [`crate::leg::Leg::touch`].
    pub(crate) fn touch(&self) -> u64 {
        self.sources.touch() + u64::from(self.rtcp_index) + self.rtp.touch()
    }
}

impl Unprotector {
    /// See [`crate::leg::Leg::touch`].
    pub(crate) fn touch(&self) -> u64 {
        self.sources.touch().wrapping_add(self.rtp_left).wrapping_add(self.rtp.touch())
    }
}

/// The receiving side.
pub struct Unprotector {
    rtp: Cipher,
    rtcp: Cipher,
    sources: Sources,
    rtcp_sources: Vec<(u32, Window)>,
    /// So many more packets of each kind may come under this key.
    rtp_left: u64,
    rtcp_left: u64,
}

impl Unprotector {
    /// Derives the session keys from a master key and salt.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        let (rtp, rtcp) = derive::session_keys(profile, key, salt)?;
        Ok(Unprotector {
            rtp,
            rtcp,
            sources: Sources::default(),
            rtcp_sources: Vec::new(),
            rtp_left: MAX_PACKETS,
            rtcp_left: MAX_PACKETS,
        })
    }

    /// As [`Unprotector::new`], from a key that signalling carried, for as many packets as it may be used.
    pub fn of(master: &MasterKey) -> Result<Self, SrtpError> {
        let new = Unprotector::new(master.profile(), master.key(), master.salt())?;
        Ok(Unprotector { rtp_left: master.packets(), rtcp_left: master.packets(), ..new })
    }

    /// Authenticates and decrypts an SRTP packet; the length of the RTP packet left at the front of `packet`. After an
    /// error the packet's bytes mean nothing.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let plain =
            packet.len().checked_sub(self.rtp.profile().rtp_overhead()).ok_or(SrtpError::Malformed)?;
        let header = rtp_header(packet.get(..plain).ok_or(SrtpError::Malformed)?)?;
        let guess = self.sources.guess(header.ssrc, header.sequence)?;
        let left = self.rtp_left.checked_sub(1).ok_or(SrtpError::KeyExhausted)?;
        self.rtp.open_rtp(packet, header.len, header.ssrc, guess.index)?;
        self.sources.accept(header.ssrc, guess);
        self.rtp_left = left;
        Ok(plain)
    }

    /// Authenticates and decrypts an SRTCP packet; the length of the RTCP packet left at the front of `packet`.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let plain =
            packet.len().checked_sub(self.rtcp.profile().rtcp_overhead()).ok_or(SrtpError::Malformed)?;
        let ssrc = rtcp_ssrc(packet.get(..plain).ok_or(SrtpError::Malformed)?)?;
        let word = self.rtcp.rtcp_index_word(packet).ok_or(SrtpError::Malformed)?;
        let index = u64::from(word & !E_FLAG);
        let known = self.rtcp_sources.iter().position(|(s, _)| *s == ssrc);
        match known.and_then(|at| self.rtcp_sources.get(at)) {
            Some((_, window)) if !window.is_fresh(index) => return Err(SrtpError::Replayed),
            None if self.rtcp_sources.len() >= crate::limits::MAX_SRTP_SOURCES => {
                return Err(SrtpError::TooManySources);
            }
            _ => {}
        }
        let left = self.rtcp_left.checked_sub(1).ok_or(SrtpError::KeyExhausted)?;
        self.rtcp.open_rtcp(packet, ssrc, word)?;
        self.rtcp_left = left;
        match known.and_then(|at| self.rtcp_sources.get_mut(at)) {
            Some((_, window)) => window.accept(index),
            None => self.rtcp_sources.push((ssrc, Window::starting_at(index))),
        }
        Ok(plain)
    }
}

/// On the sending side a known index is our own mistake.
fn sending(e: SrtpError) -> SrtpError {
    if e == SrtpError::Replayed { SrtpError::IndexReused } else { e }
}

struct RtpHeader {
    len: usize,
    sequence: u16,
    ssrc: u32,
}

/// The fixed header, the CSRCs and the extension: what stays in clear (RFC 3711 §3.1).
fn rtp_header(packet: &[u8]) -> Result<RtpHeader, SrtpError> {
    let (fixed, rest) = packet.split_first_chunk::<RTP_HEADER>().ok_or(SrtpError::Malformed)?;
    let [first, _, seq_hi, seq_lo, _, _, _, _, s0, s1, s2, s3] = *fixed;
    if first >> 6 != 2 {
        return Err(SrtpError::Malformed);
    }
    let csrcs = usize::from(first & 0x0f) * 4;
    let mut len = RTP_HEADER + csrcs;
    if first & 0x10 != 0 {
        let Some([_, _, hi, lo]) = rest.get(csrcs..csrcs + 4) else { return Err(SrtpError::Malformed) };
        len += 4 + usize::from(u16::from_be_bytes([*hi, *lo])) * 4;
    }
    if len > packet.len() {
        return Err(SrtpError::Malformed);
    }
    Ok(RtpHeader {
        len,
        sequence: u16::from_be_bytes([seq_hi, seq_lo]),
        ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
    })
}

fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    let Some(([first, _, _, _, s0, s1, s2, s3], _)) = packet.split_first_chunk::<RTCP_CLEAR>() else {
        return Err(SrtpError::Malformed);
    };
    if first >> 6 != 2 {
        return Err(SrtpError::Malformed);
    }
    Ok(u32::from_be_bytes([*s0, *s1, *s2, *s3]))
}

#[cfg(test)]
pub(crate) mod tests;
