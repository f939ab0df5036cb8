//! A CSV list into the store, row by row.

use super::StoreError;
use crate::lead::import::{ImportError, ImportReport};

/// An import in progress: feed it the file in pieces of any size, then finish.
#[derive(Debug)]
pub struct Importer {}

/// Why an import stopped. What was imported before stays.
#[derive(Debug, thiserror::Error)]
pub enum ImportFailure {
    /// The file as a whole cannot be read: no header, no phone column, UTF-16.
    #[error("line {}: {}", .0.line, .0.message)]
    File(ImportError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[allow(clippy::todo, unused_variables, missing_docs)]
impl Importer {
    pub async fn feed(&mut self, bytes: &[u8]) -> Result<(), ImportFailure> { todo!() }
    pub fn report(&self) -> &ImportReport { todo!() }
    pub async fn finish(self) -> Result<ImportReport, ImportFailure> { todo!() }
}
