//! Records: how they are written, and how they are read back.

use std::io::{self, Read};

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::{MAGIC, VERSION, sha256, short};
use crate::Input;

/// Bytes of the header.
const HEADER_LEN: usize = 6;
/// Bytes of a record's head.
const HEAD_LEN: usize = 12;

/// One record, as it is read.
pub type Record = RecordOf<Box<Input>>;

/// One record. `I` is an input, owned or borrowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RecordOf<I> {
    /// A segment begins; the engine's state follows.
    Start(Start),
    /// `handle_input`.
    Input {
        /// The first bits of the digest of all outputs of the segment before this call.
        before: u32,
        /// When.
        at: Time,
        /// What went in.
        input: I,
    },
    /// `handle_timeout`.
    Timeout {
        /// As with an input.
        before: u32,
        /// When.
        at: Time,
    },
    /// What came out so far.
    Check {
        /// When.
        at: Time,
        /// Outputs since the last check or the start.
        outputs: u64,
        /// The digest of all outputs of the segment (SHA-256, see [`super`]).
        digest: [u8; 32],
    },
}

/// What a segment begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Its number.
    pub number: u64,
    /// Why it begins.
    pub began: Began,
    /// When, in the time of the process that wrote it.
    pub at: Time,
    /// Name and version of the program that wrote it.
    pub program: String,
}

/// Why a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Began {
    /// The dialer started.
    Fresh,
    /// The segment before was long enough: its last state is this one's first.
    Continued,
    /// Records were lost before it: the disk was too slow, or failed.
    AfterGap,
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
    #[error(
        "the journal has version {0}, this program reads version {VERSION}; use the program that wrote it"
    )]
    Version(u16),
    /// It ends inside a record: the process died while it was written. All before it was read.
    #[error("the journal ends inside a record")]
    Truncated,
    /// A record is damaged, or stands where it cannot stand.
    #[error("record {0} of the journal is damaged")]
    Damaged(u64),
}

/// Appends what a segment begins with: the header, the start and the state.
pub(super) fn write_start(out: &mut Vec<u8>, start: Start, state: &[u8]) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    write(out, &RecordOf::<&Input>::Start(start), state);
}

/// Appends a record and what follows it.
pub(super) fn write(out: &mut Vec<u8>, record: &RecordOf<&Input>, tail: &[u8]) {
    let head = out.len();
    out.extend_from_slice(&[0; HEAD_LEN]);
    // Plain data into memory: that cannot fail.
    *out = postcard::to_extend(record, std::mem::take(out)).unwrap_or_default();
    out.extend_from_slice(tail);
    let (Some(payload), length) = (out.get(head + HEAD_LEN..), out.len() - head - HEAD_LEN) else { return };
    let numbers = head_of(u32::try_from(length).unwrap_or(u32::MAX), short(sha256(payload)));
    if let Some(place) = out.get_mut(head..head + HEAD_LEN) {
        place.copy_from_slice(&numbers);
    }
}

fn head_of(length: u32, sum: u32) -> [u8; HEAD_LEN] {
    let ([a, b, c, d], [e, f, g, h]) = (length.to_le_bytes(), sum.to_le_bytes());
    let [i, j, k, l] = short(sha256(&[a, b, c, d, e, f, g, h])).to_le_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

/// Reads the records of one segment.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    records: u64,
    payload: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Checks the header, and reads the start and the state after it.
    pub fn new(mut from: R) -> Result<(Self, Start, Vec<u8>), JournalError> {
        let mut header = [0; HEADER_LEN];
        let read = fill(&mut from, &mut header)?;
        if MAGIC.iter().zip(&header).take(read).any(|(want, got)| want != got) {
            return Err(JournalError::NotAJournal);
        }
        if read < HEADER_LEN {
            return Err(JournalError::Truncated);
        }
        let [.., low, high] = header;
        let version = u16::from_le_bytes([low, high]);
        if version != VERSION {
            return Err(JournalError::Version(version));
        }
        let mut reader = Reader { from, records: 0, payload: Vec::new() };
        match reader.read()? {
            Some((Record::Start(start), rest)) => {
                let state = reader.payload.split_off(reader.payload.len() - rest);
                Ok((reader, start, state))
            }
            Some(_) => Err(JournalError::Damaged(1)),
            None => Err(JournalError::Truncated),
        }
    }

    /// The number of the record that was read last; the start is 1.
    pub fn number(&self) -> u64 {
        self.records
    }

    /// The next record; none at the end.
    pub fn next_record(&mut self) -> Result<Option<Record>, JournalError> {
        match self.read()? {
            None => Ok(None),
            Some((Record::Start(_), _)) => Err(JournalError::Damaged(self.records)),
            Some((record, 0)) => Ok(Some(record)),
            Some(_) => Err(JournalError::Damaged(self.records)),
        }
    }

    /// The next record, and how many bytes of the payload follow it.
    fn read(&mut self) -> Result<Option<(Record, usize)>, JournalError> {
        let mut head = [0; HEAD_LEN];
        match fill(&mut self.from, &mut head)? {
            0 => return Ok(None),
            HEAD_LEN => {}
            _ => return Err(JournalError::Truncated),
        }
        self.records += 1;
        let [a, b, c, d, e, f, g, h, ..] = head;
        let (length, sum) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        if head != head_of(length, sum) {
            return Err(JournalError::Damaged(self.records));
        }
        self.payload.clear();
        // Not allocated ahead: a file need not be as long as it says.
        let read = (&mut self.from).take(u64::from(length)).read_to_end(&mut self.payload)?;
        if read < length as usize {
            return Err(JournalError::Truncated);
        }
        if short(sha256(&self.payload)) != sum {
            return Err(JournalError::Damaged(self.records));
        }
        match postcard::take_from_bytes::<Record>(&self.payload) {
            Ok((record, rest)) => Ok(Some((record, rest.len()))),
            Err(_) => Err(JournalError::Damaged(self.records)),
        }
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
