//! The store: everything that outlives the process.
//!
//! An embedded SQLite file: WAL, one writing connection, `BEGIN IMMEDIATE`, `synchronous=FULL`; readers have connections
//! of their own. The engine's writes go through a [`Writer`] in order and many to a transaction; imports and the API's
//! few writes take turns with it on the same connection, in short transactions.

mod error;
mod record;
mod stats;
mod writer;
mod import;

use std::path::Path;
use std::sync::Arc;

pub use error::StoreError;
pub use import::{ImportFailure, Importer};
pub use record::{
    CallDetail, CallFilter, CallRecord, DispositionRecord, LeadFilter, LeadRecord, NewLead, NewUser, Orphan, Page,
    Recovered, Rotation, Suppression, TryRecord, User,
};
pub use stats::{COMMIT_BUCKETS_US, StoreStats};
pub use writer::{Job, QueueFull, StoreEvent, Writer, WriterTask};

use crate::{AgentId, AttemptId, Campaign, CampaignId, LeadId, Pii};

/// A handle; clones share one file.
#[derive(Clone, Debug)]
pub struct Store {
    stats: Arc<StoreStats>,
}

#[allow(clippy::todo, unused_variables, missing_docs)]
impl Store {
    pub async fn open(path: &Path) -> Result<Store, StoreError> { todo!() }
    pub async fn close(self) { todo!() }
    pub fn stats(&self) -> &Arc<StoreStats> { &self.stats }
    /// Once, before the writer starts.
    pub async fn recover(&self, now_unix_ms: i64) -> Result<Recovered, StoreError> { todo!() }
    /// `on_event` is called from the task, in order; it must not block. The task ends when every `Writer` is dropped and all is on disk.
    pub fn writer(&self, bound: usize, on_event: impl FnMut(StoreEvent) + Send + 'static) -> (Writer, WriterTask) { todo!() }
    pub async fn importer(&self, campaign: CampaignId, list: &str) -> Result<Importer, StoreError> { todo!() }
    pub async fn add_lead(&self, campaign: CampaignId, list: &str, lead: NewLead) -> Result<LeadRecord, StoreError> { todo!() }
    pub async fn lead(&self, id: LeadId) -> Result<Option<LeadRecord>, StoreError> { todo!() }
    pub async fn leads(&self, campaign: CampaignId, filter: LeadFilter) -> Result<Page<LeadRecord>, StoreError> { todo!() }
    pub async fn calls(&self, filter: CallFilter) -> Result<Page<CallRecord>, StoreError> { todo!() }
    pub async fn call(&self, id: AttemptId) -> Result<Option<CallDetail>, StoreError> { todo!() }
    pub async fn campaigns(&self) -> Result<Vec<Campaign>, StoreError> { todo!() }
    pub async fn campaign(&self, id: CampaignId) -> Result<Option<Campaign>, StoreError> { todo!() }
    pub async fn suppress(&self, phone: Pii<String>, reason: &str, at_unix_ms: i64) -> Result<(), StoreError> { todo!() }
    pub async fn suppressions(&self, after: Option<i64>, limit: u32) -> Result<Page<Suppression>, StoreError> { todo!() }
    pub async fn create_user(&self, user: NewUser) -> Result<User, StoreError> { todo!() }
    pub async fn user_by_name(&self, username: &str) -> Result<Option<User>, StoreError> { todo!() }
    pub async fn user(&self, id: AgentId) -> Result<Option<User>, StoreError> { todo!() }
    pub async fn users(&self) -> Result<Vec<User>, StoreError> { todo!() }
    /// Also revokes the user's refresh tokens.
    pub async fn set_password(&self, id: AgentId, password_hash: Pii<String>) -> Result<(), StoreError> { todo!() }
    /// A new sign-in: the first token of a new family.
    pub async fn create_refresh_token(&self, hash: &[u8], user: AgentId, now_unix_ms: i64, expires_unix_ms: i64) -> Result<(), StoreError> { todo!() }
    pub async fn rotate_refresh_token(&self, old_hash: &[u8], new_hash: &[u8], now_unix_ms: i64, expires_unix_ms: i64) -> Result<Rotation, StoreError> { todo!() }
    /// Sign-out: revokes the token's whole family.
    pub async fn revoke_refresh_token(&self, hash: &[u8]) -> Result<(), StoreError> { todo!() }
    /// The secret of that name; `make` gives it the first time.
    pub async fn secret(&self, name: &str, make: impl FnOnce() -> Vec<u8> + Send) -> Result<Pii<Vec<u8>>, StoreError> { todo!() }
}
