//! The journal's file: records go through a bounded queue to a thread, so that a slow disk does not delay a call.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use kraliki_time::Time;

use super::StartError;
use crate::{Input, journal};

/// Records that may wait for the disk: seconds of full load. A journal with a gap cannot be replayed, so when they are
/// too many it ends there.
const WAITING: usize = 65_536;
/// The longest journal. It ends there; what it holds replays.
const MOST_BYTES: u64 = 4 << 30;
/// What waits in the buffer is written at least this often.
const FLUSH: Duration = Duration::from_secs(1);

pub(super) struct Journal {
    records: Option<SyncSender<Vec<u8>>>,
    path: PathBuf,
    bytes: u64,
}

impl Journal {
    /// A new journal; an earlier one of that name is kept as `….1`.
    pub(super) fn create(path: PathBuf) -> Result<Journal, StartError> {
        let failed = |source| StartError::Journal { path: path.clone(), source };
        if path.exists() {
            let mut old = path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&path, old).map_err(failed)?;
        }
        let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
        file.write_all(&journal::header()).map_err(failed)?;
        let (records, waiting) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write_all(&waiting, &mut file))
            .map_err(failed)?;
        Ok(Journal { records: Some(records), path, bytes: 0 })
    }

    pub(super) fn input(&mut self, at: Time, input: &Input) {
        self.record(|out| journal::write_input(out, at, input));
    }

    pub(super) fn timeout(&mut self, at: Time) {
        self.record(|out| journal::write_timeout(out, at));
    }

    fn record(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(records) = &self.records else { return };
        let mut record = Vec::new();
        write(&mut record);
        self.bytes += record.len() as u64;
        let why = if self.bytes > MOST_BYTES {
            "it is full"
        } else if records.try_send(record).is_err() {
            "the disk is too slow or gave an error"
        } else {
            return;
        };
        tracing::warn!(path = %self.path.display(), "the journal ends here: {why}");
        self.records = None;
    }
}

fn write_all(records: &Receiver<Vec<u8>>, file: &mut BufWriter<File>) {
    use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
    loop {
        let written = match records.recv_timeout(FLUSH) {
            Ok(record) => file.write_all(&record),
            Err(Timeout) => file.flush(),
            Err(Disconnected) => break,
        };
        if let Err(error) = written {
            // The queue fills and the driver says that the journal ended.
            tracing::error!(%error, "the journal cannot be written");
            return;
        }
    }
    let _ = file.flush();
}
