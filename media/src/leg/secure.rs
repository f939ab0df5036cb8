//! SRTP on a plain leg, with keys from the session description (RFC 4568). Browsers bring theirs by DTLS.

use crate::limits::DATAGRAM_BYTES;
use crate::sdp::SrtpKeys;
use crate::srtp::{MasterKey, Protector, SrtpError, Unprotector};

/// One key and its state: roll-over counters, replay windows.
struct Context<T> {
    key: MasterKey,
    state: T,
    /// An authentic packet came under it since it was agreed.
    heard: bool,
}

/// The contexts of one direction. A key that was there before goes on where it was, so that no counter is ever used twice
/// under it.
struct Contexts<T> {
    now: Option<Context<T>>,
    before: Option<Context<T>>,
}

impl<T> Contexts<T> {
    const fn none() -> Contexts<T> {
        Contexts { now: None, before: None }
    }

    /// The key that holds from now on: the one in use goes on (RFC 3711 §3.3.1), another begins anew (RFC 4568 §7.1.4).
    fn agree(&mut self, key: &MasterKey, make: fn(&MasterKey) -> Result<T, SrtpError>) {
        let is_key = |context: &mut Context<T>| context.key.is_same(key);
        if self.now.as_mut().is_some_and(is_key) {
            return;
        }
        let next = match self.before.take_if(is_key) {
            Some(context) => Some(Context { heard: false, ..context }),
            None => make(key).ok().map(|state| Context { key: *key, state, heard: false }),
        };
        if let Some(old) = std::mem::replace(&mut self.now, next) {
            self.before = Some(old);
        }
    }
}

/// The contexts of a leg that is or was encrypted. What cannot be protected is not sent.
pub(super) struct Secure {
    on: bool,
    send: Contexts<Protector>,
    receive: Contexts<Unprotector>,
}

impl Secure {
    pub(super) const fn new() -> Secure {
        Secure { on: false, send: Contexts::none(), receive: Contexts::none() }
    }

    /// What was agreed; none is plain RTP, and the contexts are kept for another change.
    pub(super) fn agree(&mut self, keys: Option<&SrtpKeys>) {
        self.on = keys.is_some();
        if let Some(keys) = keys {
            self.send.agree(&keys.send, Protector::of);
            self.receive.agree(&keys.receive, Unprotector::of);
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Encrypts the packet in `buf[..len]`; the length on the wire.
    pub(super) fn seal(&mut self, buf: &mut [u8], len: usize, what: What) -> Result<usize, SrtpError> {
        let protector = &mut self.send.now.as_mut().ok_or(SrtpError::NotUp)?.state;
        match what {
            What::Rtp => protector.protect_rtp(buf, len),
            What::Rtcp => protector.protect_rtcp(buf, len),
        }
    }

    /// Authenticates and decrypts a packet; the length that is left. Until the first packet under a new key what was under
    /// way with the one before is heard.
    pub(super) fn open(&mut self, packet: &mut [u8], what: What) -> Result<usize, SrtpError> {
        let now = self.receive.now.as_mut().ok_or(SrtpError::NotUp)?;
        let Some(before) = self.receive.before.as_mut().filter(|_| !now.heard) else {
            return open(&mut now.state, packet, what).inspect(|_| now.heard = true);
        };
        let mut room = [0; DATAGRAM_BYTES];
        let copy = room.get_mut(..packet.len()).ok_or(SrtpError::Malformed)?;
        copy.copy_from_slice(packet);
        match open(&mut now.state, packet, what) {
            Ok(len) => {
                now.heard = true;
                Ok(len)
            }
            Err(error) => {
                let len = open(&mut before.state, copy, what).map_err(|_| error)?;
                packet.copy_from_slice(copy);
                Ok(len)
            }
        }
    }
}

/// Which of the two.
#[derive(Clone, Copy)]
pub(super) enum What {
    Rtp,
    Rtcp,
}

fn open(state: &mut Unprotector, packet: &mut [u8], what: What) -> Result<usize, SrtpError> {
    match what {
        What::Rtp => state.unprotect_rtp(packet),
        What::Rtcp => state.unprotect_rtcp(packet),
    }
}

#[cfg(test)]
mod tests;
