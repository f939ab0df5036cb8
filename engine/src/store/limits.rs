//! Every bound of the store, each with its reason.

use std::time::Duration;

/// Jobs in one transaction: a full one holds the connection for about 10 ms.
pub(super) const BATCH_MOST: usize = 512;
/// Transactions begin at least so far apart. A commit costs as much as the writes of some dozens of calls; nobody notices
/// that a number is dialed or a disposition acknowledged this much later.
pub(super) const GATHER: Duration = Duration::from_millis(8);
/// Writes without a token that are kept while the disk fails: about 20 MB. Beyond, the writer takes no more jobs, its
/// queue fills up and `try_send` says so.
pub(super) const BACKLOG_MOST: usize = 65_536;
/// Pauses between attempts while the disk fails: the first, doubled up to the last.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(50);
/// A disk that has room again is used within a second.
pub(super) const RETRY_LAST: Duration = Duration::from_secs(1);
/// Attempts to get the backlog on disk after the last `Writer` is gone: about 15 s, so that a shutdown ends.
pub(super) const LAST_ATTEMPTS: u32 = 20;
/// When a refill could not be read, the engine is told to come again after this.
pub(super) const REFILL_AGAIN_MS: i64 = 1_000;
/// Leads in one refill.
pub(super) const REFILL_MOST: u32 = 10_000;

/// Leads that an import keeps in memory twice (one half is read while the other is written), and writes in one transaction
/// as long as nobody waits: 25 MB. Numbers come in no order, so each transaction rewrites much of their index whatever its
/// size.
pub(super) const IMPORT_BATCH: usize = 20_000;
/// And while somebody dials: what a commit may have to wait for, about 5 ms. Also the rows of one statement, whose text
/// stays the same and prepared; after each an import looks whether somebody waits.
pub(super) const IMPORT_STATEMENT: usize = 250;
/// Then it rests so many times as long as it took: the disk is there for the calls.
pub(super) const IMPORT_PAUSES: u32 = 4;
/// The writer counts as idle this long after its last job.
pub(super) const IDLE_AFTER: Duration = Duration::from_secs(1);
/// Pages in the log before it is folded into the file: 256 MB. A page is written to its place once for many commits, and
/// one after the other; at 64 MB an import of a million took half as long again.
pub(super) const LOG_PAGES: i64 = 64_000;
/// And after an import.
pub(super) const LOG_PAGES_IDLE: i64 = 4_000;
/// As much of its file stays.
pub(super) const LOG_BYTES_KEPT: &str = "268435456";
/// When it gets so long all the same, the commit that notices folds it.
pub(super) const LOG_PAGES_MOST: &str = "256000";
/// Pages that may be left in it when commits are held up to fold the rest: some milliseconds.
pub(super) const LOG_PAGES_LEFT: i64 = 500;
/// Rounds of folding beside commits, each of what came in during the one before.
pub(super) const FOLDS_MOST: usize = 8;
/// Who may wait to look at its length: one that folds and the next.
pub(super) const FOLDERS_MOST: usize = 2;
/// How often commits have somebody look at its length.
pub(super) const LOG_LOOK: Duration = Duration::from_millis(200);

/// Leads of a deleted campaign removed in one transaction.
pub(super) const PURGE_BATCH: i64 = 500;

/// Leads of a list that are changed in one transaction: about 10 ms.
pub(super) const LIST_WORK_BATCH: i64 = 500;
/// Lists of a campaign: each refill seeks in every one of them.
pub(super) const LISTS_MOST: i64 = 200;

/// Leads that are counted before another one: some milliseconds.
pub(super) const QUEUE_COUNTED: i64 = 10_000;

/// Imports of a campaign that are listed: more is history.
pub(super) const IMPORTS_LISTED: i64 = 20;

/// Readers at once; SQLite reads are short, more would only share two cores.
pub(super) const READERS: u32 = 4;
/// Refills at once: one waits for another for some milliseconds.
pub(super) const REFILLS: u32 = 1;
/// A reader that gets no connection for this long gives up.
pub(super) const READER_WAIT: Duration = Duration::from_secs(5);
/// How long a lock of another program (a backup, a shell) is waited for.
pub(super) const BUSY_WAIT: Duration = Duration::from_millis(500);
/// Rows in one page.
pub(super) const PAGE_MOST: u32 = 1_000;

/// Connected calls without a disposition that are restored: a day's calls of 200 agents. The newest win.
pub(super) const UNDISPOSED_MOST: i64 = 50_000;
/// How far back they are looked for.
pub(super) const UNDISPOSED_MS: i64 = 24 * 3_600_000;
/// Pauses that are restored for limits that count by the day: the longest day there is, and ten of 1,000 agents.
pub(super) const PAUSED_MS: i64 = 26 * 3_600_000;
pub(super) const PAUSED_MOST: i64 = 10_000;
/// The ledger's period: 30 days (16 CFR 310.4(b)(4)(i)).
pub(super) const LEDGER_MS: i64 = 30 * 24 * 3_600_000;

/// Two tabs of one browser may refresh with the same token at once, and an answer may be lost with the network for a
/// while; a token that is used again later than this counts as stolen.
pub(super) const REUSE_GRACE_MS: i64 = 60_000;
/// A user's name, role or sign-in name.
pub(super) const NAME_MOST: usize = 200;
