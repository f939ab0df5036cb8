//! Secrets in the database are sealed: AES-256-GCM (NIST SP 800-38D) under a key in a file of its own, so that a copy of
//! the database alone gives none of them away.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use super::StoreError;

const KEY_BYTES: usize = 32;

/// Seals and opens with the key beside the database, which is read, or made, when it is first needed.
#[derive(Debug)]
pub(super) struct Seal {
    path: PathBuf,
    key: Mutex<Option<RandomizedNonceKey>>,
}

impl Seal {
    /// `kraliki.db` has its key in `kraliki.db.key`.
    pub(super) fn beside(database: &Path) -> Seal {
        let mut name = database.as_os_str().to_owned();
        name.push(".key");
        Seal { path: PathBuf::from(name), key: Mutex::new(None) }
    }

    /// The nonce, then the sealed bytes. What it belongs to must be said again to open it.
    pub(super) fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.with_key(true, |key| {
            let mut sealed = plain.to_vec();
            let nonce = key.seal_in_place_append_tag(Aad::from(context), &mut sealed).ok()?;
            Some([nonce.as_ref().as_slice(), &sealed].concat())
        })
    }

    pub(super) fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.with_key(false, |key| {
            let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut bytes = sealed.to_vec();
            let length = key.open_in_place(nonce, Aad::from(context), &mut bytes).ok()?.len();
            bytes.truncate(length);
            Some(bytes)
        })
    }

    fn with_key<T>(
        &self,
        make: bool,
        work: impl FnOnce(&RandomizedNonceKey) -> Option<T>,
    ) -> Result<T, StoreError> {
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match known.take() {
            Some(key) => key,
            None => self.key(make)?,
        };
        let done = work(&key);
        *known = Some(key);
        done.ok_or(StoreError::Sealed { path: self.path.clone() })
    }

    fn key(&self, make: bool) -> Result<RandomizedNonceKey, StoreError> {
        let failed = |source| StoreError::Path { path: self.path.clone(), source };
        let bytes = match File::open(&self.path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
                bytes
            }
            Err(error) if error.kind() == ErrorKind::NotFound && make => self.make().map_err(failed)?,
            Err(source) => return Err(failed(source)),
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes);
        key.map_err(|_| StoreError::Sealed { path: self.path.clone() })
    }

    /// Makes the file, for nobody else's eyes, and sees to it that it outlives the machine before anything is sealed.
    fn make(&self) -> std::io::Result<Vec<u8>> {
        let mut key = vec![0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut key)
            .map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
        // Under another name first: a crash leaves a whole key or none.
        let mut unfinished = self.path.as_os_str().to_owned();
        unfinished.push(".new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&unfinished)?;
        file.write_all(&key)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &self.path)?;
        if let Some(directory) = self.path.parent() {
            let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            File::open(here)?.sync_all()?;
        }
        Ok(key)
    }
}
