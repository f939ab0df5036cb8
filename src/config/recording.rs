//! `[recording]`: how calls are recorded, and where recordings lie.

use std::path::PathBuf;
use std::time::Duration;

use kraliki_engine::Pii;
use kraliki_engine::runtime::{BucketConfig, RecordingsConfig};
use kraliki_engine::store::RecordingFormat;
use serde::Deserialize;

use super::read::{days, kbps_12_64, threads};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Recording {
    directory: PathBuf,
    format: RecordingFormat,
    #[serde(deserialize_with = "kbps_12_64")]
    bitrate_kbps: u32,
    encrypt: bool,
    #[serde(deserialize_with = "days")]
    retention_days: u32,
    #[serde(deserialize_with = "threads")]
    threads: usize,
    s3_bucket: Option<String>,
    s3_prefix: String,
    s3_endpoint: Option<String>,
    s3_region: String,
    s3_access_key_id: Option<String>,
    s3_secret_access_key: Option<Pii<String>>,
}

impl Default for Recording {
    fn default() -> Self {
        Recording {
            directory: "recordings".into(),
            format: RecordingFormat::Opus,
            bitrate_kbps: 24,
            encrypt: true,
            retention_days: 0,
            threads: 1,
            s3_bucket: None,
            s3_prefix: String::new(),
            s3_endpoint: None,
            s3_region: "us-east-1".into(),
            s3_access_key_id: None,
            s3_secret_access_key: None,
        }
    }
}

impl Recording {
    pub(super) fn check(&self) -> Result<(), (Option<usize>, String)> {
        let wrong = |message: &str| Err((None, format!("[recording] {message}")));
        if self.directory.as_os_str().is_empty() {
            return wrong("directory is empty; give one, e.g. \"recordings\"");
        }
        let given = [
            ("s3_endpoint", self.s3_endpoint.is_some()),
            ("s3_access_key_id", self.s3_access_key_id.is_some()),
            ("s3_secret_access_key", self.s3_secret_access_key.is_some()),
        ];
        if self.s3_bucket.is_none()
            && let Some((key, _)) = given.iter().find(|(_, given)| *given)
        {
            return wrong(&format!("{key} needs s3_bucket"));
        }
        if self.s3_bucket.as_ref().is_some_and(String::is_empty) {
            return wrong("s3_bucket is empty; give its name, or leave it out");
        }
        if let Some(endpoint) = &self.s3_endpoint
            && !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme))
        {
            return wrong("s3_endpoint: write it with http:// or https:// before it");
        }
        if self.s3_access_key_id.is_some() != self.s3_secret_access_key.is_some() {
            return wrong("s3_access_key_id and s3_secret_access_key need each other");
        }
        Ok(())
    }

    /// As the runtime takes it.
    pub(crate) fn recordings(&self) -> RecordingsConfig {
        let day = Duration::from_secs(24 * 3_600);
        RecordingsConfig {
            directory: self.directory.clone(),
            format: self.format,
            bitrate_bps: self.bitrate_kbps * 1_000,
            encrypt: self.encrypt,
            keep_for: (self.retention_days > 0).then(|| day * self.retention_days),
            threads: self.threads,
            bucket: self.s3_bucket.as_ref().map(|bucket| BucketConfig {
                bucket: bucket.clone(),
                prefix: self.s3_prefix.clone(),
                endpoint: self.s3_endpoint.clone(),
                region: self.s3_region.clone(),
                access_key_id: self.s3_access_key_id.clone(),
                secret_access_key: self.s3_secret_access_key.clone(),
            }),
        }
    }
}
