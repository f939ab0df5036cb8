//! A journal of everything that went into an engine, with its times: replayed, it gives the same outputs, and says so.
//!
//! It is written in segments, each of which can be replayed by itself: a header (magic, version), a [`Start`] with the
//! engine's whole state, then the calls of the engine in order. Each call's record carries a digest of all outputs
//! before it, so that a replay that goes another way is noticed at the very call; at least once a second a check says
//! the whole digest and how many outputs there were.
//!
//! A record is a head of three numbers of 32 bits, little endian (the payload's length, its digest, the digest of these
//! two), and the payload in postcard; the state of a start follows its payload. A damaged length is told from an end
//! that is missing. Files, rotation and the disk belong to the runtime.

mod record;
mod recorder;
mod replay;

pub use record::{Began, JournalError, Reader, Record, RecordOf, Start};
pub use recorder::{CHECK_EVERY, Recorder};
pub use replay::{Difference, Place, Replay, ReplayError, Segment};

use aws_lc_rs::digest::{SHA256, digest};

/// `KRVJ` and the version of the records. It changes whenever [`crate::Input`] or the records do.
const MAGIC: [u8; 4] = *b"KRVJ";
const VERSION: u16 = 9;

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    for (to, from) in sum.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    sum
}

/// The first 32 bits of a digest: enough against accidents.
fn short([a, b, c, d, ..]: [u8; 32]) -> u32 {
    u32::from_le_bytes([a, b, c, d])
}

/// The digest of all outputs so far: that of the last call's outputs in front of which the digest before it stands.
#[derive(Debug, Default)]
struct Sums {
    /// The digest of the calls before, then this call's outputs.
    call: Vec<u8>,
    digest: [u8; 32],
    /// Outputs since the last check.
    outputs: u64,
}

impl Sums {
    fn add(&mut self, output: &crate::Output) {
        if self.call.is_empty() {
            self.call.extend_from_slice(&self.digest);
        }
        let call = std::mem::take(&mut self.call);
        // Plain data into memory: that cannot fail.
        self.call = postcard::to_extend(output, call).unwrap_or_default();
        self.outputs += 1;
    }

    /// The call is over: the digest of everything up to here.
    fn digest(&mut self) -> [u8; 32] {
        if !self.call.is_empty() {
            self.digest = sha256(&self.call);
            self.call.clear();
        }
        self.digest
    }
}
