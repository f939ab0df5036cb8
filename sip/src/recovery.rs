//! What is needed to clear calls that outlived a crash: Call-IDs that name their attempt, and dialogs that can be
//! written down.

use std::net::SocketAddr;
use std::str::FromStr;

use aws_lc_rs::hmac;
use bytes::Bytes;

use crate::dialog::Dialog;
use crate::endpoint::SocketId;
use crate::limits;
use crate::transaction::{Hop, hex, unhex};
use crate::transport::Transport;

/// Makes and knows again the Call-IDs of our own attempts. Keyed, so that a peer cannot make us believe in a call.
#[derive(Clone)]
pub struct CallIdKey(hmac::Key);

impl std::fmt::Debug for CallIdKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallIdKey")
    }
}

impl CallIdKey {
    /// The same secret must be given after a restart.
    pub fn new(secret: &[u8; 32]) -> CallIdKey {
        CallIdKey(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The Call-ID of a try: 16 + 8 digits and 16 more that only the key gives.
    pub fn make(&self, attempt: u64, try_number: u32) -> String {
        let mut id = String::with_capacity(41);
        id.push_str(&String::from_utf8_lossy(&hex(attempt)));
        id.push_str(&format!("{try_number:08x}-"));
        id.push_str(&String::from_utf8_lossy(&hex(self.tag(attempt, try_number))));
        id
    }

    /// Attempt and try, when the Call-ID is one of ours.
    pub fn verify(&self, call_id: &str) -> Option<(u64, u32)> {
        let bytes = call_id.as_bytes();
        let attempt = unhex(bytes.get(..16)?)?;
        let try_number = u32::from_str_radix(call_id.get(16..24)?, 16).ok()?;
        let tag = unhex(bytes.get(25..)?)?;
        (bytes.get(24) == Some(&b'-') && tag == self.tag(attempt, try_number))
            .then_some((attempt, try_number))
    }

    fn tag(&self, attempt: u64, try_number: u32) -> u64 {
        let mut input = [0u8; 12];
        input[..8].copy_from_slice(&attempt.to_be_bytes());
        input[8..].copy_from_slice(&try_number.to_be_bytes());
        let tag = hmac::sign(&self.0, &input);
        tag.as_ref().iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b))
    }
}

/// A dialog as it can be stored, to be ended after a crash. Its text form is one line per field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogSnapshot {
    pub(crate) dialog: Dialog,
    pub(crate) transport: Transport,
    /// Our side: where its socket was bound. Not known of one that was stored before this was written down.
    pub(crate) bound: Option<SocketAddr>,
}

impl DialogSnapshot {
    /// The Call-ID.
    pub fn call_id(&self) -> &[u8] {
        &self.dialog.call_id
    }

    /// For the store. Bytes that are not UTF-8 are replaced, which no carrier's tags need.
    pub fn encode(&self) -> String {
        let d = &self.dialog;
        let by = self.transport.via().to_ascii_lowercase();
        let bound = self.bound.map(|bound| format!(" {bound}")).unwrap_or_default();
        let mut lines = vec!["1".into(), format!("{by} {}{bound}", d.hop.to), d.local_seq.to_string()];
        for part in [&d.call_id, &d.local, &d.remote, &d.remote_tag, &d.target].into_iter().chain(&d.routes) {
            lines.push(String::from_utf8_lossy(part).replace(['\r', '\n'], " "));
        }
        lines.join("\n")
    }
}

impl FromStr for DialogSnapshot {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut lines = text.split('\n');
        let mut line = || lines.next().ok_or(());
        if line()? != "1" {
            return Err(());
        }
        let hop = line()?;
        // Before there was more than UDP the transport was not written.
        let (by, rest) = hop.split_once(' ').unwrap_or(("udp", hop));
        let transport = Transport::of(by).ok_or(())?;
        // Before there were shards our own address was not written.
        let (to, bound) = rest.split_once(' ').map_or((rest, None), |(to, bound)| (to, Some(bound)));
        let to: SocketAddr = to.parse().map_err(drop)?;
        let bound = bound.map(|bound| bound.parse().map_err(drop)).transpose()?;
        let local_seq = line()?.parse().map_err(drop)?;
        let mut part = || line().map(|text| Bytes::copy_from_slice(text.as_bytes()));
        let (call_id, local, remote, remote_tag, target) = (part()?, part()?, part()?, part()?, part()?);
        let routes = lines.take(limits::ROUTES).map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
        let hop = Hop { socket: SocketId(0), to };
        let dialog = Dialog {
            call_id,
            local,
            remote,
            remote_tag,
            local_seq,
            remote_seq: None,
            target,
            routes,
            hop,
            pinned: false,
        };
        Ok(DialogSnapshot { dialog, transport, bound })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids_name_their_attempt_and_cannot_be_made_up() {
        let key = CallIdKey::new(&[3; 32]);
        let id = key.make(u64::MAX - 1, 7);
        assert_eq!(key.verify(&id), Some((u64::MAX - 1, 7)));
        assert_eq!(CallIdKey::new(&[4; 32]).verify(&id), None);
        for bad in ["", "é", &id[1..], &id.replace('-', "+"), &format!("{id}0"), &id.replacen('f', "e", 1)] {
            assert_eq!(key.verify(bad), None, "{bad}");
        }
    }
}
