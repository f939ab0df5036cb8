//! Where recordings' files lie: a directory, and an object store once they are whole.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart};
use tokio::io::AsyncReadExt;

use super::RecordingsConfig;
use crate::Pii;
use crate::store::{RecordingPlace, StoredRecording};

/// Octets of a part of an upload; S3 wants 5 MiB at least. A shorter file goes up in one.
const PART_BYTES: usize = 8 << 20;
/// Octets that are read at once.
const READ_BYTES: u64 = 256 << 10;

/// A request is repeated at once only a little: what fails is tried again a minute later anyhow.
fn retry() -> RetryConfig {
    RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() }
}

/// A bucket of S3, or of something like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketConfig {
    /// Its name.
    pub bucket: String,
    /// What stands before each file's name in it; may be empty.
    pub prefix: String,
    /// Where the service is; none: Amazon's, by the region.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// By which we sign in; none: what the machine's role gives.
    pub access_key_id: Option<String>,
    /// The secret that belongs to it.
    pub secret_access_key: Option<Pii<String>>,
}

impl BucketConfig {
    /// A store for it. Nothing is sent yet.
    pub fn open(&self) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_retry(retry());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        if let Some(id) = &self.access_key_id {
            builder = builder.with_access_key_id(id);
        }
        if let Some(secret) = &self.secret_access_key {
            builder = builder.with_secret_access_key(&secret.0);
        }
        Ok(Arc::new(builder.build()?))
    }
}

/// The places, to read and to tidy.
#[derive(Clone)]
pub(crate) struct Places {
    directory: PathBuf,
    bucket: Option<(Arc<dyn ObjectStore>, String)>,
}

impl Places {
    pub(in crate::runtime) fn new(config: &RecordingsConfig) -> Result<Places, object_store::Error> {
        let bucket = match &config.bucket {
            Some(bucket) => Some((bucket.open()?, bucket.prefix.clone())),
            None => None,
        };
        Ok(Places { directory: config.directory.clone(), bucket })
    }

    #[cfg(test)]
    pub(super) fn with_store(directory: PathBuf, store: Arc<dyn ObjectStore>) -> Places {
        Places { directory, bucket: Some((store, "kept".into())) }
    }

    pub(super) fn has_store(&self) -> bool {
        self.bucket.is_some()
    }

    pub(super) fn on_disk(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    fn object(&self, file: &str) -> io::Result<(&dyn ObjectStore, ObjectPath)> {
        let (store, prefix) =
            self.bucket.as_ref().ok_or_else(|| io::Error::other("no object store is configured"))?;
        Ok((store.as_ref(), ObjectPath::from(format!("{prefix}/{file}"))))
    }

    /// Copies a whole file to the store and makes sure that it is there. The file stays.
    pub(super) async fn upload(&self, file: &str) -> io::Result<()> {
        let (store, object) = self.object(file)?;
        let mut source = tokio::fs::File::open(self.on_disk(file)).await?;
        let len = source.metadata().await?.len();
        if len <= PART_BYTES as u64 {
            let mut all = Vec::new();
            source.read_to_end(&mut all).await?;
            store.put(&object, all.into()).await.map_err(io::Error::other)?;
        } else {
            let upload = store.put_multipart(&object).await.map_err(io::Error::other)?;
            let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
            let copied = async {
                loop {
                    let mut part = Vec::with_capacity(PART_BYTES);
                    if (&mut source).take(PART_BYTES as u64).read_to_end(&mut part).await? == 0 {
                        return Ok(());
                    }
                    // One part at a time: an upload is not to take the line from the calls.
                    upload.wait_for_capacity(1).await.map_err(io::Error::other)?;
                    upload.put(Bytes::from(part));
                }
            };
            let copied: io::Result<()> = copied.await;
            match copied {
                Ok(()) => drop(upload.finish().await.map_err(io::Error::other)?),
                Err(error) => {
                    // What was sent is not kept at anybody's cost.
                    let _ = upload.abort().await;
                    return Err(error);
                }
            }
        }
        let there = store.head(&object).await.map_err(io::Error::other)?.size;
        if there == len {
            Ok(())
        } else {
            Err(io::Error::other(format!("{there} of {len} octets are there")))
        }
    }

    /// Removes the file on the disk; one that is not there is no fault.
    pub(super) async fn remove_from_disk(&self, file: &str) -> io::Result<()> {
        let path = self.on_disk(file);
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                // The day's directory goes with its last file.
                if let Some(day) = path.parent().filter(|day| *day != self.directory) {
                    let _ = tokio::fs::remove_dir(day).await;
                }
                Ok(())
            }
        }
    }

    /// Removes a recording's file, wherever it is.
    pub(super) async fn remove(&self, recording: &StoredRecording) -> io::Result<()> {
        self.remove_from_disk(&recording.file).await?;
        if recording.record.place == RecordingPlace::Store {
            let (store, object) = self.object(&recording.file)?;
            match store.delete(&object).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(())
    }

    /// A recording's file, to be read from its begin.
    pub(super) async fn read(&self, recording: &StoredRecording) -> io::Result<Source> {
        if recording.record.place == RecordingPlace::Disk {
            return Ok(Source::Disk(tokio::fs::File::open(self.on_disk(&recording.file)).await?));
        }
        let (store, object) = self.object(&recording.file)?;
        let len = store.head(&object).await.map_err(io::Error::other)?.size;
        let store = match &self.bucket {
            Some((store, _)) => Arc::clone(store),
            None => return Err(io::Error::other("no object store is configured")),
        };
        Ok(Source::Store { store, object, at: 0, len })
    }
}

/// A file that is being read.
pub(super) enum Source {
    Disk(tokio::fs::File),
    Store { store: Arc<dyn ObjectStore>, object: ObjectPath, at: u64, len: u64 },
}

impl Source {
    /// The next octets; empty at the end.
    pub(super) async fn next(&mut self) -> io::Result<Bytes> {
        match self {
            Source::Disk(file) => {
                let mut part = Vec::new();
                file.take(READ_BYTES).read_to_end(&mut part).await?;
                Ok(part.into())
            }
            Source::Store { store, object, at, len } => {
                if *at >= *len {
                    return Ok(Bytes::new());
                }
                let end = (*at + READ_BYTES).min(*len);
                let part = store.get_range(object, *at..end).await.map_err(io::Error::other)?;
                *at = end;
                Ok(part)
            }
        }
    }
}
