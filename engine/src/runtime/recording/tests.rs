//! What becomes of files: uploaded, removed, found again after a crash; against a store in memory.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use kraliki_media::record::{Recording, Written, open};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;

use super::keep::Files;
use super::*;
use crate::store::{EndedRecording, Job, NewLead, RecordingFilter, RecordingPhase, RecordingPlace, Store};
use crate::{Campaign, CampaignId, CampaignSettings, CampaignStatus, NewTry, Pii, TrunkId, Write};

const KEY: [u8; 32] = [8; 32];

/// A store with so many calls.
async fn store(dir: &Path, calls: i64) -> Store {
    let store = Store::open(&dir.join("test.db")).await.unwrap();
    let id = CampaignId(1);
    let settings = CampaignSettings { name: "x".into(), ..CampaignSettings::default() };
    write(&store, Write::Campaign(Box::new(Campaign { id, status: CampaignStatus::Paused, settings }))).await;
    for number in 1..=calls {
        let phone = Pii(format!("+120255501{number:02}"));
        let lead = NewLead { phone: phone.clone(), ..NewLead::default() };
        let lead = store.add_lead(id, "list", "US", lead).await.unwrap().id;
        let new = NewTry {
            id: TryId { attempt: AttemptId(number), number: 1 },
            campaign: id,
            lead,
            trunk: TrunkId(1),
            phone,
            caller_id: String::new(),
            price: 0,
            at_unix_ms: 0,
            crash_retry_unix_ms: 0,
            evidence: String::new(),
        };
        write(&store, Write::Try(new)).await;
    }
    store
}

async fn write(store: &Store, write: Write) {
    let (writer, task) = store.writer(1, |_| {});
    writer.try_send(Job::Write { token: None, write }).unwrap();
    drop(writer);
    task.run().await;
}

fn ms(millis: u64) -> Time {
    Time::from_millis(millis)
}

/// A recording of so many seconds in which the called person says 1,000 and the agent -1,000, without its last octets when
/// it broke off.
fn record(config: &RecordingsConfig, seconds: u64, whole: bool) -> Vec<u8> {
    let config = RecordingConfig {
        rate_hz: RATE_HZ,
        format: config.file_format_of(config.format),
        key: config.encrypt.then_some(RecordingKey(KEY)),
        serial: 1,
        start: ms(0),
    };
    let mut recording = Recording::new(&config).unwrap();
    let mut file = Vec::new();
    for n in 0..seconds * 50 {
        recording.handle_frame(Channel::Trunk, ms(n * 20), &[1_000; 160]);
        recording.handle_frame(Channel::Agent, ms(n * 20), &[-1_000; 160]);
        file.extend(std::iter::from_fn(|| recording.poll_output(ms(n * 20))).flatten());
    }
    if whole {
        file.extend(recording.finish(ms(seconds * 1_000)).bytes);
    }
    file
}

async fn begin(store: &Store, config: &RecordingsConfig, call: i64, started_unix_ms: i64) -> String {
    let call = AttemptId(call);
    let file = config.file_name(call, started_unix_ms, 0xabcd);
    let key = config.encrypt.then_some(RecordingKey(KEY));
    let new = NewRecording { call, file: file.clone(), format: config.format, key, started_unix_ms };
    store.begin_recording(&new).await.unwrap();
    file
}

fn put(config: &RecordingsConfig, file: &str, bytes: &[u8]) {
    let path = config.directory.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

async fn end(store: &Store, call: i64, bytes: u64) {
    let written = Written { bytes, audio_bytes: bytes, lasted: Duration::from_secs(1) };
    let ended = EndedRecording { call: AttemptId(call), written, error: String::new() };
    store.end_recording(&ended).await.unwrap();
}

fn files(store: &Store, places: &Places, keep_for: Option<Duration>) -> Files {
    let (store, places) = (store.clone(), places.clone());
    Files { store, places, keep_for, clock: Clock::start(), keeping: Arc::default() }
}

#[test]
fn a_files_name_has_its_day_its_call_and_what_it_is() {
    let config = RecordingsConfig::in_directory("x".into());
    assert_eq!(config.file_name(AttemptId(7), 1_795_021_200_000, 0x1f), "2026-11-18/7-0000001f.ogg.kvr");
    let config = RecordingsConfig { encrypt: false, format: RecordingFormat::Wav, ..config };
    assert_eq!(config.file_name(AttemptId(7), 1_795_021_200_000, 0x1f), "2026-11-18/7-0000001f.wav");
}

#[tokio::test]
async fn what_a_crash_left_is_over_and_reads_to_its_last_second() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), 2).await;
    let format = RecordingFormat::Wav;
    let config = RecordingsConfig { format, ..RecordingsConfig::in_directory(dir.path().join("recordings")) };
    let left = begin(&store, &config, 1, 5_000).await;
    let mut bytes = record(&config, 5, false);
    bytes.truncate(bytes.len() - 3);
    put(&config, &left, &bytes);
    begin(&store, &config, 2, 6_000).await;

    recover(&store, &config).await.unwrap();
    let page = store.recordings(RecordingFilter { limit: 10, ..RecordingFilter::default() }).await.unwrap();
    let [second, first] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!((first.state, first.lasted_ms), (RecordingPhase::Ended, 3_000));
    assert_eq!((second.state, second.lasted_ms), (RecordingPhase::Failed, 0));
    assert!(second.error.contains("No such file"), "{}", second.error);
    assert!(store.unfinished_recordings().await.unwrap().is_empty());
    let stored = store.recording(AttemptId(1)).await.unwrap().unwrap();
    let key = store.open_recording_key(&stored).unwrap().unwrap();
    assert_eq!(key, RecordingKey(KEY));
    let (plain, _) = open(&key, &bytes).unwrap();
    assert_eq!(plain.len() as u64, stored.audio_bytes);
}

#[tokio::test]
async fn a_key_fits_its_own_row_alone_and_stands_nowhere_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), 2).await;
    let config = RecordingsConfig::in_directory(dir.path().join("recordings"));
    begin(&store, &config, 1, 0).await;
    begin(&store, &config, 2, 0).await;
    let mut one = store.recording(AttemptId(1)).await.unwrap().unwrap();
    let two = store.recording(AttemptId(2)).await.unwrap().unwrap();
    assert_ne!(one.sealed_key, two.sealed_key);
    one.sealed_key = two.sealed_key;
    assert!(store.open_recording_key(&one).is_err());
    store.close().await;
    let database = std::fs::read(dir.path().join("test.db")).unwrap();
    assert!(!database.windows(KEY.len()).any(|window| window == KEY));
}

#[tokio::test]
async fn whole_recordings_go_to_the_store_and_stay_here_while_it_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), 3).await;
    let config = RecordingsConfig::in_directory(dir.path().join("recordings"));
    let small = begin(&store, &config, 1, 0).await;
    put(&config, &small, &record(&config, 2, true));
    end(&store, 1, 100).await;
    // More than one part.
    let large = begin(&store, &config, 2, 0).await;
    let bytes: Vec<u8> = (0..20_000_000u32).map(|n| (n % 251) as u8).collect();
    put(&config, &large, &bytes);
    end(&store, 2, bytes.len() as u64).await;
    let goes_on = begin(&store, &config, 3, 0).await;
    put(&config, &goes_on, b"still");

    // The store is away: nothing is lost, and it is tried again.
    let away = BucketConfig {
        bucket: "none".into(),
        prefix: String::new(),
        endpoint: Some("http://127.0.0.1:9".into()),
        region: "us-east-1".into(),
        access_key_id: Some("x".into()),
        secret_access_key: Some(Pii("y".into())),
    };
    let away = Places::with_store(config.directory.clone(), away.open().unwrap());
    let waiting = files(&store, &away, None);
    waiting.tidy().await.unwrap();
    assert_eq!(waiting.keeping.upload_failures.load(Relaxed), 1);
    assert_eq!(waiting.keeping.uploads_pending.load(Relaxed), 2);
    assert!(away.on_disk(&small).exists() && away.on_disk(&large).exists());

    let memory = Arc::new(InMemory::new());
    let places = Places::with_store(config.directory.clone(), memory.clone());
    let files = files(&store, &places, None);
    files.tidy().await.unwrap();
    assert_eq!(files.keeping.uploaded.load(Relaxed), 2);
    assert_eq!(files.keeping.uploads_pending.load(Relaxed), 0);
    let object = |file: &str| ObjectPath::from(format!("kept/{file}"));
    let there = memory.get(&object(&large)).await.unwrap().bytes().await.unwrap();
    assert!(there == bytes, "{} octets", there.len());
    assert!(!places.on_disk(&small).exists() && !places.on_disk(&large).exists());
    assert!(places.on_disk(&goes_on).exists(), "a recording that goes on stays");
    let stored = store.recording(AttemptId(2)).await.unwrap().unwrap();
    assert_eq!(stored.record.place, RecordingPlace::Store);
    let mut source = places.read(&stored).await.unwrap();
    let mut read = Vec::new();
    loop {
        let part = source.next().await.unwrap();
        if part.is_empty() {
            break;
        }
        read.extend_from_slice(&part);
    }
    assert!(read == bytes, "{} octets", read.len());

    // Deleted: the key at once, then the object.
    assert!(store.erase_recording(AttemptId(2)).await.unwrap());
    assert!(!store.erase_recording(AttemptId(2)).await.unwrap());
    assert!(store.recording(AttemptId(2)).await.unwrap().is_none());
    assert!(!store.erase_recording(AttemptId(3)).await.unwrap(), "not while the call goes on");
    files.tidy().await.unwrap();
    assert!(memory.head(&object(&large)).await.is_err());
    assert!(memory.head(&object(&small)).await.is_ok());
    assert!(store.erased_recordings(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn old_recordings_are_deleted_with_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), 2).await;
    let config = RecordingsConfig::in_directory(dir.path().join("recordings"));
    let now = Clock::start().unix_ms();
    let day = 24 * 3_600_000;
    let old = begin(&store, &config, 1, now - 31 * day).await;
    let young = begin(&store, &config, 2, now - 29 * day).await;
    for (call, file) in [(1, &old), (2, &young)] {
        put(&config, file, b"x");
        end(&store, call, 1).await;
    }
    let places = Places::new(&config).unwrap();
    let files = files(&store, &places, Some(Duration::from_secs(30 * 24 * 3_600)));
    files.forget_old().await.unwrap();
    assert!(store.recording(AttemptId(1)).await.unwrap().is_none());
    files.tidy().await.unwrap();
    assert!(!places.on_disk(&old).parent().unwrap().exists(), "its day is gone with it");
    assert!(places.on_disk(&young).exists());
    assert_eq!(files.keeping.deleted.load(Relaxed), 1);
    assert!(store.recording(AttemptId(2)).await.unwrap().is_some());
}
