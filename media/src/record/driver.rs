//! The threads that write recordings to disk: they take frames and commands, and append what comes of them about once a
//! second. A disk that stands still holds them up, and nobody else: see [`Tap`].
// The driver of recordings: threads, files and a clock.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use kraliki_time::{Clock, Time};

use super::seal::{HEADER, TAG};
use super::tap::FromTap;
use super::{Channel, FileFormat, Recording, RecordingConfig, Tap};
use crate::error::MediaError;
use crate::limits::{RECORDER_COMMANDS, RECORDER_MESSAGES, RECORDINGS};

/// How often frames are taken. A thread with a thousand recordings gets a thousand messages meanwhile.
const TICK: Duration = Duration::from_millis(100);
/// How often octets are written.
const SECOND: Duration = Duration::from_secs(1);
/// From the end of a recording until its file is closed: its last frames are on their way.
const SETTLE: Duration = Duration::from_millis(400);

/// What became of a recording. The number is the one it was begun with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecorderEvent {
    /// Its file is whole and on the disk.
    Ended {
        /// Which.
        recording: u64,
        /// What the file holds.
        written: Written,
    },
    /// It could not be begun, or not go on. What was written until then can be read.
    Failed {
        /// Which.
        recording: u64,
        /// What the file holds.
        written: Written,
        /// In words.
        error: String,
    },
}

/// What a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Octets of the file.
    pub bytes: u64,
    /// Octets of sound file in it; fewer when it is encrypted.
    pub audio_bytes: u64,
    /// From the recording's begin to its end.
    pub lasted: Duration,
}

/// Counters of all recordings; all but `recordings` only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecorderStats {
    /// Recordings in progress.
    pub recordings: u64,
    /// Frames of 20 ms that were left out because the disk was too slow.
    pub frames_dropped: u64,
    /// Octets written.
    pub bytes_written: u64,
    /// Recordings that could not be begun or written.
    pub errors: u64,
}

/// Takes an event; it must not wait.
pub type TellRecorded = Arc<dyn Fn(RecorderEvent) + Send + Sync>;

#[derive(Debug, Default)]
struct Shared {
    recordings: AtomicU64,
    bytes_written: AtomicU64,
    errors: AtomicU64,
}

/// Where octets go.
trait Sink: Write + Seek + Send {
    fn sync(&mut self) -> io::Result<()>;
}

impl Sink for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

type Open = Arc<dyn Fn(&Path) -> io::Result<Box<dyn Sink>> + Send + Sync>;

enum Command {
    Begin { recording: u64, config: Box<RecordingConfig>, path: PathBuf },
    Pause { recording: u64, at: Time, on: bool },
    Finish { recording: u64, at: Time },
    Shutdown,
}

struct Way {
    commands: Sender<Command>,
    frames: Sender<FromTap>,
}

/// The way to the threads; cheap to clone, used from any thread. No command waits.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    ways: Vec<Way>,
    dropped: Arc<AtomicU64>,
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Recorder {
    /// Starts `threads` threads, at least one: each writes its share of the recordings. The clock is the media's.
    pub fn start(clock: Clock, threads: usize, tell: TellRecorded) -> io::Result<Recorder> {
        Recorder::start_with(clock, threads, tell, Arc::new(create), RECORDER_MESSAGES)
    }

    fn start_with(
        clock: Clock,
        threads: usize,
        tell: TellRecorded,
        open: Open,
        messages: usize,
    ) -> io::Result<Recorder> {
        let shared = Arc::<Shared>::default();
        let (mut ways, mut handles) = (Vec::new(), Vec::new());
        for n in 0..threads.max(1) {
            let (commands, command_queue) = bounded(RECORDER_COMMANDS);
            let (frames, frame_queue) = bounded(messages);
            ways.push(Way { commands, frames });
            let thread = Thread {
                clock,
                commands: command_queue,
                frames: frame_queue,
                tell: Arc::clone(&tell),
                open: Arc::clone(&open),
                shared: Arc::clone(&shared),
                recordings: BTreeMap::new(),
                stopping: false,
            };
            handles
                .push(std::thread::Builder::new().name(format!("recorder-{n}")).spawn(move || thread.run())?);
        }
        let (dropped, threads) = (Arc::default(), Mutex::new(handles));
        Ok(Recorder { inner: Arc::new(Inner { clock, ways, dropped, shared, threads }) })
    }

    /// Begins a recording under a number that no other in progress has. The file must not be there yet; its directories
    /// are made. Failure is told as [`RecorderEvent::Failed`].
    pub fn begin(&self, recording: u64, config: RecordingConfig, path: PathBuf) -> Result<(), MediaError> {
        self.send(recording, Command::Begin { recording, config: Box::new(config), path })
    }

    /// What a leg is given, to be heard on a channel of a recording.
    pub fn tap(&self, recording: u64, channel: Channel) -> Result<Tap, MediaError> {
        let frames = self.way(recording)?.frames.clone();
        Ok(Tap::new(recording, channel, frames, Arc::clone(&self.inner.dropped)))
    }

    /// Leaves silence from now on, or records again.
    pub fn pause(&self, recording: u64, on: bool) -> Result<(), MediaError> {
        self.send(recording, Command::Pause { recording, at: self.inner.clock.now(), on })
    }

    /// Ends a recording with what was said until now. [`RecorderEvent::Ended`] follows. Its taps are to be taken off.
    pub fn finish(&self, recording: u64) -> Result<(), MediaError> {
        self.send(recording, Command::Finish { recording, at: self.inner.clock.now() })
    }

    /// How it does.
    pub fn stats(&self) -> RecorderStats {
        let shared = &self.inner.shared;
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        RecorderStats {
            recordings: read(&shared.recordings),
            frames_dropped: read(&self.inner.dropped),
            bytes_written: read(&shared.bytes_written),
            errors: read(&shared.errors),
        }
    }

    /// Ends every recording and waits for the threads. Stop the media first: what its legs still hold is written then.
    pub fn shutdown(&self) {
        for way in &self.inner.ways {
            // A queue that is full is emptied; a thread that is gone needs no word.
            let _ = way.commands.send(Command::Shutdown);
        }
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a recorder's thread has panicked");
            }
        }
    }

    fn way(&self, recording: u64) -> Result<&Way, MediaError> {
        let ways = &self.inner.ways;
        let place = usize::try_from(recording % ways.len().max(1) as u64).unwrap_or(0);
        ways.get(place).ok_or(MediaError::Stopped)
    }

    fn send(&self, recording: u64, command: Command) -> Result<(), MediaError> {
        self.way(recording)?
            .commands
            .try_send(command)
            .map_err(|error| if error.is_full() { MediaError::Busy } else { MediaError::Stopped })
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

struct InProgress {
    recording: Recording,
    file: Box<dyn Sink>,
    start: Time,
    written: Written,
    /// Until when octets were asked for.
    polled: Time,
    /// When it ends, once that is known.
    end: Option<Time>,
}

struct Thread {
    clock: Clock,
    commands: Receiver<Command>,
    frames: Receiver<FromTap>,
    tell: TellRecorded,
    open: Open,
    shared: Arc<Shared>,
    recordings: BTreeMap<u64, InProgress>,
    stopping: bool,
}

impl Thread {
    fn run(mut self) {
        loop {
            match self.commands.recv_timeout(TICK) {
                Ok(command) => self.command(command),
                Err(RecvTimeoutError::Timeout) => {}
                // Whoever could end it is gone.
                Err(RecvTimeoutError::Disconnected) => self.stopping = true,
            }
            self.take_frames();
            self.write();
            if self.stopping && self.recordings.is_empty() {
                return;
            }
        }
    }

    /// Takes all frames that came: what is written by the clock must not miss them. Before each of them commands: a pause
    /// is known before what was said after it is written, however long the disk stood still.
    fn take_frames(&mut self) {
        for _ in 0..=RECORDER_MESSAGES {
            self.take_commands();
            let Ok(heard) = self.frames.try_recv() else { return };
            self.heard(&heard);
        }
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            self.command(command);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Begin { recording, config, path } => {
                if let Err(error) = self.begin(recording, &config, &path) {
                    self.fail(recording, Written::default(), &error);
                }
            }
            Command::Pause { recording, at, on } => {
                if let Some(open) = self.recordings.get_mut(&recording) {
                    if on { open.recording.pause(at) } else { open.recording.resume(at) }
                }
            }
            Command::Finish { recording, at } => {
                if let Some(open) = self.recordings.get_mut(&recording) {
                    open.end.get_or_insert(at);
                }
            }
            Command::Shutdown => self.stopping = true,
        }
    }

    fn begin(&mut self, number: u64, config: &RecordingConfig, path: &Path) -> io::Result<()> {
        if self.recordings.len() >= RECORDINGS || self.recordings.contains_key(&number) {
            return Err(io::Error::other("too many recordings at once"));
        }
        let recording = Recording::new(config).map_err(io::Error::other)?;
        let file = (self.open)(path)?;
        let start = config.start;
        let open =
            InProgress { recording, file, start, written: Written::default(), polled: start, end: None };
        self.recordings.insert(number, open);
        self.shared.recordings.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn heard(&mut self, heard: &FromTap) {
        let Some(open) = self.recordings.get_mut(&heard.recording) else { return };
        // After the disk stood still, what waits is written in its own time, second by second, and nothing is lost.
        if let Some((at, _)) = heard.frames.first()
            && *at >= open.polled + SECOND
            && let Err(error) = open.write(*at, &self.shared)
        {
            return self.give_up(heard.recording, &error);
        }
        let Some(open) = self.recordings.get_mut(&heard.recording) else { return };
        let mut samples = heard.samples.as_slice();
        for (at, len) in &heard.frames {
            let Some((frame, rest)) = samples.split_at_checked(*len) else { return };
            open.recording.handle_frame(heard.channel, *at, frame);
            samples = rest;
        }
    }

    /// Writes what is due, now that all frames that came are in.
    fn write(&mut self) {
        let now = self.clock.now();
        self.take_commands();
        let mut failed = Vec::new();
        for (number, open) in &mut self.recordings {
            if now >= open.polled + SECOND
                && let Err(error) = open.write(now, &self.shared)
            {
                failed.push((*number, error));
            }
        }
        failed.iter().for_each(|(number, error)| self.give_up(*number, error));
        let stopping = self.stopping;
        let over = |open: &InProgress| stopping || open.end.is_some_and(|end| now >= end + SETTLE);
        let over: Vec<u64> =
            self.recordings.iter().filter(|(_, open)| over(open)).map(|(number, _)| *number).collect();
        for number in over {
            self.end(number, now);
        }
    }

    fn end(&mut self, recording: u64, now: Time) {
        let Some(open) = self.close(recording) else { return };
        let before = open.written;
        match open.finish(now, &self.shared) {
            Ok(written) => (self.tell)(RecorderEvent::Ended { recording, written }),
            Err(error) => self.fail(recording, before, &error),
        }
    }

    fn give_up(&mut self, recording: u64, error: &io::Error) {
        if let Some(open) = self.close(recording) {
            self.fail(recording, open.written, error);
        }
    }

    fn close(&mut self, recording: u64) -> Option<InProgress> {
        let open = self.recordings.remove(&recording)?;
        self.shared.recordings.fetch_sub(1, Ordering::Relaxed);
        Some(open)
    }

    fn fail(&self, recording: u64, written: Written, error: &io::Error) {
        self.shared.errors.fetch_add(1, Ordering::Relaxed);
        (self.tell)(RecorderEvent::Failed { recording, written, error: error.to_string() });
    }
}

impl InProgress {
    fn write(&mut self, now: Time, shared: &Shared) -> io::Result<()> {
        self.polled = now;
        // Sound from behind the end has no place in it.
        let now = self.end.map_or(now, |end| end.min(now));
        while let Some(bytes) = self.recording.poll_output(now) {
            self.append(&bytes, shared)?;
        }
        self.written.audio_bytes = self.recording.audio_bytes();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8], shared: &Shared) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.written.bytes += bytes.len() as u64;
        self.written.lasted += SECOND;
        shared.bytes_written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn finish(mut self, now: Time, shared: &Shared) -> io::Result<Written> {
        let end = self.end.unwrap_or(now);
        self.write(end, shared)?;
        let finished = self.recording.finish(end);
        self.file.write_all(&finished.bytes)?;
        shared.bytes_written.fetch_add(finished.bytes.len() as u64, Ordering::Relaxed);
        if let Some(header) = finished.header {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&header)?;
        }
        self.file.sync()?;
        Ok(Written {
            bytes: self.written.bytes + finished.bytes.len() as u64,
            audio_bytes: finished.audio_bytes,
            lasted: end.since(self.start),
        })
    }
}

/// A new file, for nobody else's eyes.
fn create(path: &Path) -> io::Result<Box<dyn Sink>> {
    let (mut directories, mut options) = (DirBuilder::new(), OpenOptions::new());
    directories.recursive(true);
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut directories, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    if let Some(directory) = path.parent() {
        directories.create(directory)?;
    }
    Ok(Box::new(options.open(path)?))
}

/// What a file holds that a crash left: up to its last whole second. The file stays as it is.
pub fn measure(path: &Path, format: FileFormat, encrypted: bool) -> io::Result<Written> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    if encrypted {
        // A chunk is a second. Their lengths are read, not what is in them.
        let (mut at, mut seconds, mut audio_bytes) = (HEADER as u64, 0, 0);
        let mut length = [0; 4];
        while at + 4 <= bytes {
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut length)?;
            let len = u64::from(u32::from_be_bytes(length) & !super::seal::LAST);
            at += 4 + len + TAG as u64;
            if at > bytes {
                break;
            }
            (seconds, audio_bytes) = (seconds + 1, audio_bytes + len);
        }
        return Ok(Written { bytes, audio_bytes, lasted: Duration::from_secs(seconds) });
    }
    let lasted = match format {
        FileFormat::Wav => {
            let mut header = [0; 44];
            file.read_exact(&mut header)?;
            let [.., a, b, c, d] = *header.first_chunk::<28>().unwrap_or(&[0; 28]);
            let rate_hz = u64::from(u32::from_le_bytes([a, b, c, d]).max(1));
            Duration::from_millis(bytes.saturating_sub(44) * 250 / rate_hz)
        }
        FileFormat::OggOpus { .. } => {
            let mut all = Vec::new();
            file.read_to_end(&mut all)?;
            // Two pages of headers, then one a second.
            let pages = all.windows(6).filter(|window| window.starts_with(b"OggS\0")).count();
            Duration::from_secs(pages.saturating_sub(2) as u64)
        }
    };
    Ok(Written { bytes, audio_bytes: bytes, lasted })
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
