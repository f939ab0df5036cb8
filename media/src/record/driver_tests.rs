use super::super::{Ending, RecordingKey, open};
use super::*;

const FRAME: u64 = 160;

fn ms(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn config(format: FileFormat, key: Option<RecordingKey>) -> RecordingConfig {
    RecordingConfig { rate_hz: 8_000, format, key, serial: 5, start: ms(0) }
}

/// What a side says at a sample: no two seconds are alike.
fn said(channel: Channel, sample: u64) -> i16 {
    let (step, sign) = if channel == Channel::Trunk { (7, 1) } else { (11, -1) };
    (((sample * step) % 15_013) as i16 + 1) * sign
}

fn speak(tap: &mut Tap, channel: Channel, frames: std::ops::Range<u64>) {
    for n in frames {
        let frame: Vec<i16> = (n * FRAME..(n + 1) * FRAME).map(|sample| said(channel, sample)).collect();
        tap.frame(ms(n * 20), &frame);
    }
}

fn teller() -> (TellRecorded, Receiver<RecorderEvent>) {
    let (tell, told) = bounded(100);
    (Arc::new(move |event| tell.send(event).unwrap()), told)
}

fn channels(wav: &[u8]) -> [Vec<i16>; 2] {
    [0, 2].map(|at| {
        wav[44..].chunks_exact(4).map(|pair| i16::from_le_bytes([pair[at], pair[at + 1]])).collect()
    })
}

#[test]
fn two_taps_become_a_file_sample_by_sample_with_a_pause_in_it() {
    let directory = tempfile::tempdir().unwrap();
    for key in [None, Some(RecordingKey([3; 32]))] {
        let (tell, told) = teller();
        let recorder = Recorder::start(Clock::start(), 1, tell).unwrap();
        let path = directory.path().join(format!("2026/{}.wav", key.is_some()));
        recorder.begin(9, config(FileFormat::Wav, key.clone()), path.clone()).unwrap();
        let mut trunk = recorder.tap(9, Channel::Trunk).unwrap();
        let mut agent = recorder.tap(9, Channel::Agent).unwrap();
        let way = &recorder.inner.ways[0].commands;
        way.send(Command::Pause { recording: 9, at: ms(4_000), on: true }).unwrap();
        for second in 0..10 {
            speak(&mut trunk, Channel::Trunk, second * 50..(second + 1) * 50);
            speak(&mut agent, Channel::Agent, second * 50..(second + 1) * 50);
            if second == 4 {
                way.send(Command::Pause { recording: 9, at: ms(6_000), on: false }).unwrap();
            }
        }
        drop((trunk, agent));
        way.send(Command::Finish { recording: 9, at: ms(10_000) }).unwrap();
        recorder.shutdown();
        let file = std::fs::read(&path).unwrap();
        let written =
            Written { bytes: file.len() as u64, audio_bytes: 44 + 320_000, lasted: Duration::from_secs(10) };
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [RecorderEvent::Ended { recording: 9, written }]);
        let stats = RecorderStats { bytes_written: written.bytes, ..RecorderStats::default() };
        assert_eq!(recorder.stats(), stats);
        let plain = match &key {
            Some(key) => {
                let (plain, ending) = open(key, &file).unwrap();
                assert_eq!(ending, Ending::Complete);
                plain
            }
            None => file,
        };
        for (channel, samples) in [Channel::Trunk, Channel::Agent].into_iter().zip(channels(&plain)) {
            assert_eq!(samples.len(), 80_000);
            for (n, sample) in samples.into_iter().enumerate() {
                let expected = if (32_000..48_000).contains(&n) { 0 } else { said(channel, n as u64) };
                assert_eq!(sample, expected, "{channel:?}, sample {n}");
            }
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// A disk that stands still until it is told to go on, or that is full.
struct Disk {
    memory: Arc<Mutex<Vec<u8>>>,
    stands_still: Option<(Sender<()>, Receiver<()>)>,
    room: usize,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some((begun, go_on)) = self.stands_still.take() {
            begun.send(()).unwrap();
            go_on.recv().unwrap();
        }
        let mut memory = self.memory.lock().unwrap();
        if memory.len() + bytes.len() > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        memory.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Sink for Disk {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_stands_still_delays_nobody_and_loses_only_what_the_queue_does_not_hold() {
    const QUEUE: usize = 40;
    let (tell, told) = teller();
    let memory = Arc::<Mutex<Vec<u8>>>::default();
    let (begun, has_begun) = bounded(1);
    let (let_go, go_on) = bounded(1);
    let disk = Mutex::new(Some(Disk {
        memory: Arc::clone(&memory),
        stands_still: Some((begun, go_on)),
        room: usize::MAX,
    }));
    let open_disk: Open = Arc::new(move |_: &Path| {
        let disk: Box<dyn Sink> = Box::new(disk.lock().unwrap().take().unwrap());
        Ok(disk)
    });
    let recorder = Recorder::start_with(Clock::start(), 1, tell, open_disk, QUEUE).unwrap();
    let key = RecordingKey([4; 32]);
    recorder.begin(1, config(FileFormat::Wav, Some(key.clone())), "x".into()).unwrap();
    let mut tap = recorder.tap(1, Channel::Trunk).unwrap();
    // The first octets are due with the message that begins at 2 s, and the disk does not take them.
    speak(&mut tap, Channel::Trunk, 0..110);
    has_begun.recv().unwrap();
    // The thread is in the write. A minute is said meanwhile: were anyone to wait for it, this test would not end.
    speak(&mut tap, Channel::Trunk, 110..3_110);
    assert_eq!(recorder.stats().frames_dropped, 3_000 - QUEUE as u64 * 10);
    let_go.send(()).unwrap();
    recorder.inner.ways[0].commands.send(Command::Finish { recording: 1, at: ms(62_200) }).unwrap();
    recorder.shutdown();
    assert!(matches!(told.recv().unwrap(), RecorderEvent::Ended { recording: 1, .. }));
    let (plain, ending) = open(&key, &memory.lock().unwrap()).unwrap();
    assert_eq!(ending, Ending::Complete);
    let [trunk, agent] = channels(&plain);
    assert_eq!((trunk.len(), agent.len()), (497_600, 497_600));
    let kept = (110 + QUEUE * 10) * 160;
    for (n, sample) in trunk.into_iter().enumerate() {
        assert_eq!(sample, if n < kept { said(Channel::Trunk, n as u64) } else { 0 }, "sample {n}");
    }
    assert!(agent.iter().all(|sample| *sample == 0));
}

#[test]
fn a_pause_holds_though_the_disk_stood_still_when_it_came() {
    let (tell, told) = teller();
    let memory = Arc::<Mutex<Vec<u8>>>::default();
    let ((begun, has_begun), (let_go, go_on)) = (bounded(1), bounded(1));
    let stands_still = Some((begun, go_on));
    let disk = Mutex::new(Some(Disk { memory: Arc::clone(&memory), stands_still, room: usize::MAX }));
    let open_disk: Open = Arc::new(move |_: &Path| {
        let disk: Box<dyn Sink> = Box::new(disk.lock().unwrap().take().unwrap());
        Ok(disk)
    });
    let recorder = Recorder::start_with(Clock::start(), 1, tell, open_disk, 1_000).unwrap();
    let key = RecordingKey([7; 32]);
    recorder.begin(1, config(FileFormat::Wav, Some(key.clone())), "x".into()).unwrap();
    let mut tap = recorder.tap(1, Channel::Agent).unwrap();
    let way = &recorder.inner.ways[0].commands;
    speak(&mut tap, Channel::Agent, 0..110);
    has_begun.recv().unwrap();
    // Said, paused, said on: all of it waits behind the write. The pause is told after what came before it.
    speak(&mut tap, Channel::Agent, 110..150);
    way.send(Command::Pause { recording: 1, at: ms(3_000), on: true }).unwrap();
    speak(&mut tap, Channel::Agent, 150..400);
    let_go.send(()).unwrap();
    way.send(Command::Finish { recording: 1, at: ms(8_000) }).unwrap();
    recorder.shutdown();
    assert!(matches!(told.recv().unwrap(), RecorderEvent::Ended { .. }));
    let (plain, _) = open(&key, &memory.lock().unwrap()).unwrap();
    let [_, agent] = channels(&plain);
    for (n, sample) in agent.into_iter().enumerate() {
        assert_eq!(sample, if n < 24_000 { said(Channel::Agent, n as u64) } else { 0 }, "sample {n}");
    }
}

#[test]
fn a_full_disk_ends_its_recording_and_no_other() {
    let (tell, told) = teller();
    let open_disk: Open = Arc::new(|path: &Path| {
        let room = if path == Path::new("small") { 100_000 } else { usize::MAX };
        let disk: Box<dyn Sink> = Box::new(Disk { memory: Arc::default(), stands_still: None, room });
        Ok(disk)
    });
    let recorder = Recorder::start_with(Clock::start(), 1, tell, open_disk, 1_000).unwrap();
    let key = Some(RecordingKey([5; 32]));
    for (recording, path) in [(1, "small"), (2, "large")] {
        recorder.begin(recording, config(FileFormat::Wav, key.clone()), path.into()).unwrap();
        let mut tap = recorder.tap(recording, Channel::Agent).unwrap();
        speak(&mut tap, Channel::Agent, 0..500);
        let end = Command::Finish { recording, at: ms(10_000) };
        recorder.inner.ways[0].commands.send(end).unwrap();
    }
    recorder.shutdown();
    let told: Vec<_> = told.try_iter().collect();
    assert_eq!(told.len(), 2, "{told:?}");
    let full = told.iter().any(|event| {
        matches!(event, RecorderEvent::Failed { recording: 1, written, .. }
            if written.lasted == Duration::from_secs(3) && written.bytes > 96_000)
    });
    assert!(full, "{told:?}");
    let ended = told.iter().any(|event| {
        matches!(event, RecorderEvent::Ended { recording: 2, written } if written.audio_bytes == 320_044)
    });
    assert!(ended, "{told:?}");
    assert_eq!(recorder.stats().errors, 1);
}

#[test]
fn a_file_that_a_crash_left_is_measured_to_its_last_second() {
    let directory = tempfile::tempdir().unwrap();
    for format in [FileFormat::Wav, FileFormat::OggOpus { bitrate_bps: 16_000 }] {
        for key in [None, Some(RecordingKey([6; 32]))] {
            let mut recording = Recording::new(&config(format, key.clone())).unwrap();
            let mut file = Vec::new();
            for n in 0..205u64 {
                let frame: Vec<i16> =
                    (n * FRAME..(n + 1) * FRAME).map(|sample| said(Channel::Trunk, sample)).collect();
                recording.handle_frame(Channel::Trunk, ms(n * 20), &frame);
                file.extend(std::iter::from_fn(|| recording.poll_output(ms(n * 20))).flatten());
            }
            let path = directory.path().join("left");
            std::fs::write(&path, &file).unwrap();
            let found = measure(&path, format, key.is_some()).unwrap();
            let expected = Written {
                bytes: file.len() as u64,
                audio_bytes: recording.audio_bytes(),
                lasted: Duration::from_secs(3),
            };
            assert_eq!(found, expected, "{format:?}, {key:?}");
        }
    }
    assert!(measure(&directory.path().join("none"), FileFormat::Wav, true).is_err());
}
