//! Encryption of a recording as it is written: AES-256-GCM in chunks, each whole by itself, so that a file that was cut
//! off reads up to its last whole chunk.
//!
//! The file: a header of 16 octets (`KVR` and the version, the nonces' first four octets, eight of zero), then chunks: four
//! octets of length with the highest bit set in the last chunk, that many octets encrypted, 16 of tag. The nonce is the
//! header's four octets and the chunk's number; header and length are authenticated. So no chunk can be changed, moved,
//! repeated or left out, and a file that ends early is told from one that ended.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

const MAGIC: [u8; 4] = *b"KVR\x01";
pub(super) const HEADER: usize = 16;
pub(super) const TAG: usize = 16;
pub(super) const LAST: u32 = 1 << 31;
/// The longest chunk. A second of 16 kHz, two channels, is 64,000 octets.
const MAX_CHUNK: usize = 128 * 1024;

/// The key of one recording, made for it alone: a second recording under the same key could repeat nonces.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordingKey(pub [u8; 32]);

impl std::fmt::Debug for RecordingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordingKey(…)")
    }
}

/// Why something is not encrypted or decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The library did not take the key.
    #[error("the recording's cipher does not start")]
    Cipher,
    /// No header of an encrypted recording.
    #[error("not an encrypted recording")]
    NotSealed,
    /// A chunk longer than any that is written.
    #[error("chunk {0} of the recording is malformed")]
    Malformed(u64),
    /// Another key, or a file that was changed.
    #[error("chunk {0} of the recording does not fit its key")]
    Forged(u64),
    /// Something stands behind the last chunk.
    #[error("the recording goes on behind its end")]
    Trailing,
}

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With its last chunk.
    Complete,
    /// Early: the process ended, or the file was cut.
    Truncated,
}

fn cipher(key: &RecordingKey) -> Result<LessSafeKey, SealError> {
    UnboundKey::new(&AES_256_GCM, &key.0).map(LessSafeKey::new).map_err(|_| SealError::Cipher)
}

fn nonce(header: &[u8; HEADER], number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    let prefix = header.iter().skip(MAGIC.len()).take(4);
    nonce.iter_mut().zip(prefix.copied().chain(number.to_be_bytes())).for_each(|(to, from)| *to = from);
    Nonce::assume_unique_for_key(nonce)
}

fn aad(header: &[u8; HEADER], length: [u8; 4]) -> Aad<[u8; HEADER + 4]> {
    let mut aad = [0; HEADER + 4];
    aad.iter_mut().zip(header.iter().chain(&length)).for_each(|(to, from)| *to = *from);
    Aad::from(aad)
}

pub(super) struct Sealer {
    cipher: LessSafeKey,
    header: [u8; HEADER],
    number: u64,
}

impl Sealer {
    pub(super) fn new(key: &RecordingKey, prefix: u32) -> Result<Sealer, SealError> {
        let mut header = [0; HEADER];
        let fields = MAGIC.into_iter().chain(prefix.to_be_bytes());
        header.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        Ok(Sealer { cipher: cipher(key)?, header, number: 0 })
    }

    /// Encrypts octets as the next chunk (more than one if they are many); the header stands before the first.
    pub(super) fn chunks(&mut self, bytes: &[u8], last: bool) -> Vec<u8> {
        let mut out = if self.number == 0 { self.header.to_vec() } else { Vec::new() };
        let mut parts = bytes.chunks(MAX_CHUNK).peekable();
        if parts.peek().is_none() && last {
            self.chunk(&[], true, &mut out);
        }
        while let Some(part) = parts.next() {
            self.chunk(part, last && parts.peek().is_none(), &mut out);
        }
        out
    }

    fn chunk(&mut self, bytes: &[u8], last: bool, out: &mut Vec<u8>) {
        let length = (bytes.len() as u32 | if last { LAST } else { 0 }).to_be_bytes();
        let mut sealed = bytes.to_vec();
        let done = self.cipher.seal_in_place_append_tag(
            nonce(&self.header, self.number),
            aad(&self.header, length),
            &mut sealed,
        );
        // It fails for lengths that no chunk has. Nothing unencrypted is ever given out.
        if done.is_ok() {
            self.number += 1;
            out.extend_from_slice(&length);
            out.extend_from_slice(&sealed);
        }
    }
}

/// Decrypts a recording as it is read.
pub struct Opener {
    cipher: LessSafeKey,
    header: Option<[u8; HEADER]>,
    buffer: Vec<u8>,
    number: u64,
    complete: bool,
}

impl Opener {
    /// A reader with the recording's key.
    pub fn new(key: &RecordingKey) -> Result<Opener, SealError> {
        Ok(Opener { cipher: cipher(key)?, header: None, buffer: Vec::new(), number: 0, complete: false })
    }

    /// Takes the file's next octets. Drain [`Opener::poll_chunk`] after each call.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next chunk; `None` until more octets came. An error is final.
    pub fn poll_chunk(&mut self) -> Result<Option<Vec<u8>>, SealError> {
        let header = match self.header {
            Some(header) => header,
            None => {
                let Some((header, _)) = self.buffer.split_first_chunk::<HEADER>() else { return Ok(None) };
                let header = *header;
                if !header.starts_with(&MAGIC) {
                    return Err(SealError::NotSealed);
                }
                self.buffer.drain(..HEADER);
                *self.header.insert(header)
            }
        };
        if self.complete {
            return if self.buffer.is_empty() { Ok(None) } else { Err(SealError::Trailing) };
        }
        let Some((length, rest)) = self.buffer.split_first_chunk::<4>() else { return Ok(None) };
        let length = *length;
        let word = u32::from_be_bytes(length);
        let len = (word & !LAST) as usize;
        if len > MAX_CHUNK {
            return Err(SealError::Malformed(self.number));
        }
        let Some(sealed) = rest.get(..len + TAG) else { return Ok(None) };
        let mut chunk = sealed.to_vec();
        self.cipher
            .open_in_place(nonce(&header, self.number), aad(&header, length), &mut chunk)
            .map_err(|_| SealError::Forged(self.number))?;
        chunk.truncate(len);
        self.buffer.drain(..4 + len + TAG);
        self.number += 1;
        self.complete = word & LAST != 0;
        Ok(Some(chunk))
    }

    /// How the file ended, once all of it was given.
    pub fn ending(&self) -> Ending {
        if self.complete { Ending::Complete } else { Ending::Truncated }
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").field("chunks", &self.number).finish_non_exhaustive()
    }
}

/// Decrypts a whole file, as far as it goes.
pub fn open(key: &RecordingKey, file: &[u8]) -> Result<(Vec<u8>, Ending), SealError> {
    let mut opener = Opener::new(key)?;
    let mut plain = Vec::with_capacity(file.len());
    // In parts, so that what is still encrypted is not moved again and again.
    for part in file.chunks(MAX_CHUNK) {
        opener.handle_bytes(part);
        while let Some(chunk) = opener.poll_chunk()? {
            plain.extend_from_slice(&chunk);
        }
    }
    if opener.header.is_none() {
        return Err(SealError::NotSealed);
    }
    Ok((plain, opener.ending()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: RecordingKey = RecordingKey([7; 32]);

    fn file() -> (Vec<u8>, Vec<usize>) {
        let mut sealer = Sealer::new(&KEY, 0xdead_beef).unwrap();
        let (mut file, mut ends) = (Vec::new(), Vec::new());
        for second in 0..5u8 {
            file.extend(sealer.chunks(&[second; 1_000], false));
            ends.push(file.len());
        }
        file.extend(sealer.chunks(&[], true));
        (file, ends)
    }

    #[test]
    fn a_cut_file_reads_up_to_its_last_whole_chunk() {
        let (file, ends) = file();
        let (plain, ending) = open(&KEY, &file).unwrap();
        assert_eq!((plain.len(), ending), (5_000, Ending::Complete));
        assert!(!file.windows(20).any(|w| w == [3; 20]), "nothing stands in the clear");
        for cut in (HEADER..file.len()).step_by(97) {
            let (plain, ending) = open(&KEY, &file[..cut]).unwrap();
            assert_eq!(plain.len(), ends.iter().filter(|end| **end <= cut).count() * 1_000, "cut at {cut}");
            assert_eq!(ending, Ending::Truncated);
        }
        assert_eq!(open(&KEY, &file[..HEADER - 1]), Err(SealError::NotSealed));
    }

    #[test]
    fn changed_moved_and_foreign_chunks_are_refused() {
        let (file, ends) = file();
        assert_eq!(open(&RecordingKey([8; 32]), &file), Err(SealError::Forged(0)));
        for at in [5, HEADER, HEADER + 3, HEADER + 10, ends[2] - 1] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(open(&KEY, &changed).is_err(), "octet {at}");
        }
        let mut swapped = file[..ends[0]].to_vec();
        swapped.extend_from_slice(&file[ends[1]..]);
        assert_eq!(open(&KEY, &swapped), Err(SealError::Forged(1)));
        let mut longer = file.clone();
        longer.push(0);
        assert_eq!(open(&KEY, &longer), Err(SealError::Trailing));
        let mut huge = file[..HEADER].to_vec();
        huge.extend_from_slice(&[0x7f; 8]);
        assert_eq!(open(&KEY, &huge), Err(SealError::Malformed(0)));
        assert_eq!(format!("{KEY:?}"), "RecordingKey(…)");
    }

    #[test]
    fn any_split_of_the_octets_reads_the_same() {
        let (file, _) = file();
        let mut opener = Opener::new(&KEY).unwrap();
        let mut plain = 0;
        for part in file.chunks(61) {
            opener.handle_bytes(part);
            while let Some(chunk) = opener.poll_chunk().unwrap() {
                plain += chunk.len();
            }
        }
        assert_eq!((plain, opener.ending()), (5_000, Ending::Complete));
        // Much at once becomes several chunks.
        let mut sealer = Sealer::new(&KEY, 1).unwrap();
        let long = vec![1; MAX_CHUNK * 2 + 5];
        assert_eq!(open(&KEY, &sealer.chunks(&long, true)), Ok((long, Ending::Complete)));
    }
}
