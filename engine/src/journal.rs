//! A journal of everything that went into an engine, with its times: replayed, it gives the same outputs.
//!
//! A header (magic, version), then records: length, CRC-32 of the payload, payload (both numbers 32 bits, little
//! endian). Files, rotation and syncing belong to the runtime.

use std::io::{self, Read};

use kraliki_time::Time;

use crate::Input;

/// `KRVJ` and the version of the records. It changes whenever [`Input`] does.
const MAGIC: [u8; 4] = *b"KRVJ";
const VERSION: u16 = 2;
/// Bytes of the header.
pub const HEADER_LEN: usize = 6;
/// The longest record: an answer with a full hopper of leads with many columns.
const RECORD_MOST: u32 = 64 << 20;

/// One call of the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// `handle_input`.
    Input(Box<Input>),
    /// `handle_timeout`.
    Timeout,
}

/// Why a journal cannot be read (further).
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be read.
    #[error("the journal cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("this is not a journal")]
    NotAJournal,
    /// Another version wrote it.
    #[error("the journal has version {0}, this program reads version {VERSION}")]
    Version(u16),
    /// It ends inside a record: the process died while it was written. All before it was read.
    #[error("the journal ends inside a record")]
    Truncated,
    /// A record is damaged.
    #[error("record {0} of the journal is damaged")]
    Damaged(u64),
}

/// What a journal begins with.
pub fn header() -> [u8; HEADER_LEN] {
    let [a, b, c, d] = MAGIC;
    let [low, high] = VERSION.to_le_bytes();
    [a, b, c, d, low, high]
}

/// Appends the record of an input.
pub fn write_input(out: &mut Vec<u8>, at: Time, input: &Input) {
    write(out, at, Some(input));
}

/// Appends the record of a timeout.
pub fn write_timeout(out: &mut Vec<u8>, at: Time) {
    write(out, at, None);
}

fn write(out: &mut Vec<u8>, at: Time, input: Option<&Input>) {
    // The types are plain data: encoding them cannot fail but for a broken `Serialize`, which a replay would show.
    let payload = postcard::to_allocvec(&(at, input)).unwrap_or_default();
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32(&payload).to_le_bytes());
    out.extend_from_slice(&payload);
}

/// Reads records from the start.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    records: u64,
}

impl<R: Read> Reader<R> {
    /// Checks the header.
    pub fn new(mut from: R) -> Result<Self, JournalError> {
        let mut header = [0; HEADER_LEN];
        if fill(&mut from, &mut header)? != HEADER_LEN {
            return Err(JournalError::NotAJournal);
        }
        let [a, b, c, d, low, high] = header;
        match (u16::from_le_bytes([low, high]), [a, b, c, d] == MAGIC) {
            (_, false) => Err(JournalError::NotAJournal),
            (VERSION, true) => Ok(Reader { from, records: 0 }),
            (version, true) => Err(JournalError::Version(version)),
        }
    }

    /// The next record; none at the end.
    pub fn next_record(&mut self) -> Result<Option<(Time, Record)>, JournalError> {
        let mut head = [0; 8];
        match fill(&mut self.from, &mut head)? {
            0 => return Ok(None),
            8 => {}
            _ => return Err(JournalError::Truncated),
        }
        let [a, b, c, d, e, f, g, h] = head;
        let (length, crc) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        self.records += 1;
        if length > RECORD_MOST {
            return Err(JournalError::Damaged(self.records));
        }
        let mut payload = Vec::new();
        // Not allocated ahead: the length may be damaged.
        let read = (&mut self.from).take(u64::from(length)).read_to_end(&mut payload)?;
        if read < length as usize {
            return Err(JournalError::Truncated);
        }
        if crc32(&payload) != crc {
            return Err(JournalError::Damaged(self.records));
        }
        let record: Result<(Time, Option<Input>), _> = postcard::from_bytes(&payload);
        let (at, input) = record.map_err(|_| JournalError::Damaged(self.records))?;
        Ok(Some((at, input.map_or(Record::Timeout, |input| Record::Input(Box::new(input))))))
    }
}

/// Reads as much as there is, up to the whole buffer.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// CRC-32 as of IEEE 802.3.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        TABLE.get(usize::from(low ^ byte)).copied().unwrap_or(0) ^ (crc >> 8)
    })
}

#[allow(clippy::indexing_slicing)] // a constant, computed at compile time
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut crc = n as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::lead;
    use crate::{CampaignId, Command};

    fn sample() -> (Vec<u8>, Vec<(Time, Option<Input>)>) {
        let records = vec![
            (Time::from_millis(1), Some(Input::Clock { unix_ms: -5 })),
            (Time::from_millis(2), None),
            (
                Time::from_millis(3),
                Some(Input::Leads {
                    campaign: CampaignId(1),
                    leads: vec![lead(1)],
                    next_due_unix_ms: Some(9),
                }),
            ),
            (
                Time::from_millis(4),
                Some(Input::Command { reply: 7, command: Command::CreateCampaign(Box::default()) }),
            ),
        ];
        let mut bytes = header().to_vec();
        for (at, input) in &records {
            match input {
                Some(input) => write_input(&mut bytes, *at, input),
                None => write_timeout(&mut bytes, *at),
            }
        }
        (bytes, records)
    }

    #[test]
    fn reads_back_what_was_written() {
        let (bytes, records) = sample();
        let mut reader = Reader::new(&bytes[..]).unwrap();
        for (at, input) in records {
            let (read_at, record) = reader.next_record().unwrap().unwrap();
            assert_eq!(read_at, at);
            assert_eq!(record, input.map_or(Record::Timeout, |input| Record::Input(Box::new(input))));
        }
        assert!(reader.next_record().unwrap().is_none());
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn says_what_is_wrong_and_never_panics() {
        let (bytes, _) = sample();
        assert!(matches!(Reader::new(&b"KR"[..]), Err(JournalError::NotAJournal)));
        assert!(matches!(Reader::new(&b"RIFF\x01\x00"[..]), Err(JournalError::NotAJournal)));
        assert!(matches!(Reader::new(&b"KRVJ\x09\x00"[..]), Err(JournalError::Version(9))));
        for cut in HEADER_LEN..bytes.len() {
            let mut reader = Reader::new(&bytes[..cut]).unwrap();
            while let Ok(Some(_)) = reader.next_record() {}
        }
        for place in HEADER_LEN..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x40;
            let mut reader = Reader::new(&damaged[..]).unwrap();
            let mut good = 0;
            while let Ok(Some(_)) = reader.next_record() {
                good += 1;
            }
            assert!(good < 4, "a flipped bit at {place} went unnoticed");
        }
    }
}
