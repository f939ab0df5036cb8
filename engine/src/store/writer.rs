//! The engine's writes: in order, many to a transaction.

use crate::{CampaignId, Lead, Write};

/// One thing for the writer.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// A change; with a token it is answered by `Committed` or `CommitFailed`.
    Write {
        /// Present when somebody waits for it.
        token: Option<u64>,
        /// What.
        write: Write,
    },
    /// Leads that may be dialed now; answered by `Leads`.
    Refill {
        /// Whose.
        campaign: CampaignId,
        /// How many at most.
        limit: u32,
        /// Milliseconds since 1970.
        now_unix_ms: i64,
    },
}

/// What the writer has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreEvent {
    /// This write and all before it are on disk.
    Committed {
        /// As given.
        token: u64,
    },
    /// Nothing of this write is on disk.
    CommitFailed {
        /// As given.
        token: u64,
    },
    /// The answer to a refill.
    Leads {
        /// Whose.
        campaign: CampaignId,
        /// In the order in which they are to be dialed.
        leads: Vec<Lead>,
        /// When none is eligible now: when the next is due, in ms since 1970; none when no lead is left.
        next_due_unix_ms: Option<i64>,
    },
}

/// The queue is full, or the writer is gone; the job comes back.
#[derive(Debug)]
pub struct QueueFull(pub Job);

/// The sending end; clones share one queue.
#[derive(Clone, Debug)]
pub struct Writer {}

/// The writer itself: to be spawned.
#[derive(Debug)]
pub struct WriterTask {}

#[allow(clippy::todo, unused_variables, missing_docs)]
impl Writer {
    #[allow(clippy::result_large_err)]
    pub fn try_send(&self, job: Job) -> Result<(), QueueFull> { todo!() }
}
#[allow(clippy::todo, missing_docs)]
impl WriterTask {
    pub async fn run(self) { todo!() }
}
