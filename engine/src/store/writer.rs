//! The engine's writes: in order, many to a transaction.
//!
//! One task takes whatever is queued (at most [`BATCH_MOST`]), applies it in one transaction, commits it to the disk and
//! then answers. While the disk fails, writes with a token fail at once and those without are kept and tried again, in
//! order. A write that can never be applied is left out alone and counted; the others go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use kraliki_time::Time;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::apply::{Applied, apply};
use super::error::Fault;
use super::limits::{
    BACKLOG_MOST, BATCH_MOST, GATHER, LAST_ATTEMPTS, PURGE_BATCH, REFILL_AGAIN_MS, RETRY_FIRST, RETRY_LAST,
};
use super::refill::{one, refill};
use super::round::Round;
use super::{Inner, Store, StoreError, WriteConnection, lists};
use crate::{CampaignId, Lead, LeadAnswer, LeadId, Write};

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
    /// Leads that may be dialed now; answered by exactly one `Leads`.
    Refill {
        /// Whose.
        campaign: CampaignId,
        /// How many at most.
        limit: u32,
        /// Milliseconds since 1970.
        now_unix_ms: i64,
    },
    /// One lead; answered by exactly one `Lead`.
    Lead {
        /// Comes back with the answer.
        reply: u64,
        /// Whose.
        campaign: CampaignId,
        /// Which.
        lead: LeadId,
        /// Milliseconds since 1970.
        now_unix_ms: i64,
    },
}

/// What the writer has to say, in the order of the jobs; only `Leads` may come later.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreEvent {
    /// This write and all before it are on disk. A fact that can never be applied (a second outcome, an attempt that is
    /// not there) is answered so too: it is settled, and counted in `StoreStats`.
    Committed {
        /// As given.
        token: u64,
    },
    /// Nothing of this write is on disk: the disk failed, or a try, a campaign or a disposition was refused.
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
    /// The answer to `Job::Lead`.
    Lead {
        /// As given.
        reply: u64,
        /// What is there.
        answer: LeadAnswer,
    },
}

/// The queue is full, or the writer is gone; the job comes back.
#[derive(Debug)]
pub struct QueueFull(pub Box<Job>);

/// The sending end; clones share one queue. When all are dropped the task writes what is left and ends.
#[derive(Clone, Debug)]
pub struct Writer {
    jobs: mpsc::Sender<(Time, Job)>,
    inner: Arc<Inner>,
}

impl Writer {
    /// Queues a job, without waiting.
    pub fn try_send(&self, job: Job) -> Result<(), QueueFull> {
        let now = self.inner.clock.now();
        self.inner.last_job_ms.store(now.as_millis(), Relaxed);
        self.jobs.try_send((now, job)).map_err(|refused| {
            self.inner.stats.queue_full.fetch_add(1, Relaxed);
            let (mpsc::error::TrySendError::Full((_, job)) | mpsc::error::TrySendError::Closed((_, job))) =
                refused;
            QueueFull(Box::new(job))
        })?;
        self.inner.stats.queued.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Whoever is told.
pub(super) type OnEvent = Arc<dyn Fn(StoreEvent) + Send + Sync>;

/// The writer itself: to be spawned.
pub struct WriterTask {
    jobs: mpsc::Receiver<(Time, Job)>,
    inner: Arc<Inner>,
    on_event: OnEvent,
    /// Refills that are being read.
    refills: JoinSet<()>,
    /// What the last transaction could not take and is not to be lost.
    backlog: VecDeque<(Time, Job)>,
    /// Failures in a row.
    failures: u32,
    /// Whether deleted campaigns still have leads.
    purging: bool,
    /// When the last transaction began.
    began: Time,
}

impl std::fmt::Debug for WriterTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriterTask").field("backlog", &self.backlog.len()).finish_non_exhaustive()
    }
}

impl WriterTask {
    pub(super) fn new(inner: Arc<Inner>, bound: usize, on_event: OnEvent) -> (Writer, WriterTask) {
        let (send, jobs) = mpsc::channel(bound.max(1));
        let writer = Writer { jobs: send, inner: Arc::clone(&inner) };
        let (backlog, began) = (VecDeque::new(), Time::ZERO);
        let refills = JoinSet::new();
        (writer, WriterTask { jobs, inner, on_event, refills, backlog, failures: 0, purging: true, began })
    }

    /// Until every `Writer` is dropped and all is on disk (or the disk does not take it within about 15 s).
    pub async fn run(mut self) {
        self.write_all().await;
        self.refilled().await;
    }

    async fn write_all(&mut self) {
        let mut open = true;
        loop {
            let mut batch: Vec<(Time, Job)> = Vec::new();
            if self.backlog.is_empty() {
                match self.next().await {
                    Next::Job(job) => batch.push(job),
                    Next::Purge => {
                        self.purge().await;
                        continue;
                    }
                    Next::Closed => return,
                }
            } else {
                if !open && self.failures > LAST_ATTEMPTS {
                    tracing::error!(writes = self.backlog.len(), "writes lost: the disk did not take them");
                    return;
                }
                open = self.pause().await;
                let some = BATCH_MOST.min(self.backlog.len());
                batch.extend(self.backlog.drain(..some));
            }
            // Under load one transaction serves the writes of some milliseconds; the first after a pause goes at once.
            let since = self.inner.clock.now().since(self.began);
            if since < GATHER && self.backlog.is_empty() {
                tokio::time::sleep(GATHER - since).await;
            }
            self.began = self.inner.clock.now();
            while batch.len() < BATCH_MOST && self.backlog.is_empty() {
                match self.jobs.try_recv() {
                    Ok(job) => batch.push(job),
                    Err(_) => break,
                }
            }
            self.commit(batch).await;
            while self.refills.try_join_next().is_some() {}
            let stats = &self.inner.stats;
            stats.queued.store(self.jobs.len() as u64, Relaxed);
            stats.backlog.store(self.backlog.len() as u64, Relaxed);
        }
    }

    async fn next(&mut self) -> Next {
        if self.purging {
            match self.jobs.try_recv() {
                Ok(job) => return Next::Job(job),
                Err(mpsc::error::TryRecvError::Empty) => return Next::Purge,
                Err(mpsc::error::TryRecvError::Disconnected) => return Next::Closed,
            }
        }
        self.jobs.recv().await.map_or(Next::Closed, Next::Job)
    }

    /// Waits before the disk is tried again, or until somebody wants an answer. Gives false once no more jobs can come.
    async fn pause(&mut self) -> bool {
        if self.failures == 0 {
            return true;
        }
        let doubled = RETRY_FIRST.saturating_mul(1 << (self.failures - 1).min(10));
        let deadline = tokio::time::Instant::now() + doubled.min(RETRY_LAST);
        let mut open = true;
        loop {
            let full = self.backlog.len() >= BACKLOG_MOST;
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return open,
                job = self.jobs.recv(), if open && !full => match job {
                    Some(job) => {
                        // Who waits is answered by what comes of an attempt now.
                        let waits = !keeps(&job.1);
                        self.backlog.push_back(job);
                        if waits {
                            return true;
                        }
                    }
                    None => open = false,
                },
            }
        }
    }

    /// Until every refill is answered.
    pub(crate) async fn refilled(&mut self) {
        while self.refills.join_next().await.is_some() {}
    }

    /// One transaction for all of them, and the answers.
    pub(crate) async fn commit(&mut self, batch: Vec<(Time, Job)>) {
        let oldest = batch.iter().map(|&(at, _)| at).min();
        let inner = Arc::clone(&self.inner);
        let mut conn = inner.turn().await;
        let mut result = transact(&mut conn, &batch, false).await;
        if result.as_ref().is_err_and(|e| e.fault() == Fault::Write) {
            // Somebody's write is bad: again, each on its own.
            result = transact(&mut conn, &batch, true).await;
        }
        drop(conn);
        match result {
            Ok(answers) => {
                self.failures = 0;
                let latency = oldest.map_or(Duration::ZERO, |at| inner.clock.now().since(at));
                let writes = batch.iter().filter(|(_, job)| matches!(job, Job::Write { .. })).count() as u64;
                inner.stats.committed(latency, writes);
                Store { inner }.log_grew();
                for ((_, job), answer) in batch.into_iter().zip(answers) {
                    self.answer(job, answer);
                }
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                inner.stats.commit_failures.fetch_add(1, Relaxed);
                tracing::error!(%error, writes = batch.len(), "commit failed");
                // All in their order: what is kept, and those who are told.
                let all: Vec<_> = batch.into_iter().chain(std::mem::take(&mut self.backlog)).collect();
                for (at, job) in all {
                    if keeps(&job) {
                        self.backlog.push_back((at, job));
                    } else {
                        self.fail(job);
                    }
                }
            }
        }
    }

    fn answer(&mut self, job: Job, answer: Answer) {
        let stats = &self.inner.stats;
        match (job, answer) {
            (Job::Refill { campaign, limit, now_unix_ms }, _) => {
                let (inner, on_event) = (Arc::clone(&self.inner), Arc::clone(&self.on_event));
                self.refills.spawn(async move {
                    on_event(leads(&inner, campaign, limit, now_unix_ms).await);
                });
            }
            (Job::Lead { reply, .. }, Answer::Lead(answer)) => {
                (self.on_event)(StoreEvent::Lead { reply, answer });
            }
            (job @ Job::Lead { .. }, _) => self.fail(job),
            (Job::Write { token, write }, answer) => {
                let applied = match answer {
                    Answer::Write(applied) => applied,
                    Answer::Later | Answer::Lead(_) => Applied::Done,
                };
                match applied {
                    Applied::Done => {}
                    Applied::Purge => self.purging = true,
                    Applied::SecondOutcome => {
                        stats.outcomes_refused.fetch_add(1, Relaxed);
                    }
                    Applied::Refused => {
                        stats.writes_refused.fetch_add(1, Relaxed);
                        tracing::warn!(?write, "write refused");
                    }
                }
                let Some(token) = token else { return };
                let failed = applied == Applied::Refused && may_fail(&write);
                (self.on_event)(match failed {
                    true => StoreEvent::CommitFailed { token },
                    false => StoreEvent::Committed { token },
                });
            }
        }
    }

    /// Answers a job that the disk did not take.
    fn fail(&mut self, job: Job) {
        match job {
            Job::Write { token: Some(token), .. } => (self.on_event)(StoreEvent::CommitFailed { token }),
            Job::Write { token: None, .. } => {}
            Job::Lead { reply, .. } => {
                (self.on_event)(StoreEvent::Lead { reply, answer: LeadAnswer::Failed })
            }
            Job::Refill { campaign, now_unix_ms, .. } => (self.on_event)(come_again(campaign, now_unix_ms)),
        }
    }

    /// Removes a few leads of deleted campaigns; a campaign of millions must not hold up a try.
    async fn purge(&mut self) {
        let store = Store { inner: Arc::clone(&self.inner) };
        self.purging = store.write(async |conn| purge(conn).await).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "leads of a deleted campaign or list stay until the next start");
            false
        });
    }
}

enum Next {
    Job((Time, Job)),
    Purge,
    Closed,
}

enum Answer {
    Write(Applied),
    Lead(LeadAnswer),
    /// It is read after the commit.
    Later,
}

/// A refill. What is committed meanwhile may be in it or not: its asker knows which leads changed since.
async fn leads(inner: &Inner, campaign: CampaignId, limit: u32, now_unix_ms: i64) -> StoreEvent {
    let read = async {
        let mut reader = inner.refills.acquire().await?;
        let mut snapshot = reader.begin().await?;
        refill(&mut snapshot, campaign, limit, now_unix_ms).await
    };
    match read.await {
        Ok((leads, next_due_unix_ms)) => {
            inner.stats.refills.fetch_add(1, Relaxed);
            StoreEvent::Leads { campaign, leads, next_due_unix_ms }
        }
        Err(error) => {
            tracing::error!(%error, "no leads could be read");
            come_again(campaign, now_unix_ms)
        }
    }
}

fn come_again(campaign: CampaignId, now_unix_ms: i64) -> StoreEvent {
    let next_due_unix_ms = Some(now_unix_ms.saturating_add(REFILL_AGAIN_MS));
    StoreEvent::Leads { campaign, leads: Vec::new(), next_due_unix_ms }
}

/// Whether a job must not be lost: nobody else knows of it.
fn keeps(job: &Job) -> bool {
    matches!(job, Job::Write { token: None, .. })
}

/// Whether whoever waits for this write acts on a refusal. The others are facts: what cannot be applied now never can.
fn may_fail(write: &Write) -> bool {
    matches!(
        write,
        Write::Try(_)
            | Write::Campaign(_)
            | Write::Trunk(_)
            | Write::TrunkGroup { .. }
            | Write::CallerIdPool { .. }
            | Write::Disposed { .. }
    )
}

/// Applies a batch and commits it. Carefully: each write in a savepoint of its own, so that a bad one goes alone.
async fn transact(
    conn: &mut WriteConnection,
    batch: &[(Time, Job)],
    carefully: bool,
) -> Result<Vec<Answer>, StoreError> {
    let result = async {
        let answers = apply_all(conn.begin().await?, batch, carefully).await?;
        conn.commit().await?;
        Ok(answers)
    }
    .await;
    if result.is_err() {
        conn.rollback().await;
    }
    result
}

async fn apply_all(
    conn: &mut SqliteConnection,
    batch: &[(Time, Job)],
    carefully: bool,
) -> Result<Vec<Answer>, StoreError> {
    let mut answers = Vec::with_capacity(batch.len());
    while let Some((_, job)) = batch.get(answers.len()) {
        let mut round = Round::default();
        let rest = batch.iter().skip(answers.len()).map_while(|(_, job)| match job {
            Job::Write { write, .. } if !carefully => Some(write),
            _ => None,
        });
        let gathered: Vec<_> = rest.take_while(|write| round.add(write)).collect();
        if !gathered.is_empty() {
            let settled = round.apply(conn).await?;
            answers.extend(gathered.into_iter().map(|write| Answer::Write(settled.of(write))));
            continue;
        }
        answers.push(match job {
            Job::Write { write, .. } if carefully => Answer::Write(apply_carefully(conn, write).await?),
            Job::Write { write, .. } => Answer::Write(apply(conn, write).await?),
            Job::Refill { .. } => Answer::Later,
            Job::Lead { campaign, lead, now_unix_ms, .. } => {
                Answer::Lead(one(conn, *campaign, *lead, *now_unix_ms).await?)
            }
        });
    }
    Ok(answers)
}

async fn apply_carefully(conn: &mut SqliteConnection, write: &Write) -> Result<Applied, StoreError> {
    sqlx::query("SAVEPOINT one").execute(&mut *conn).await?;
    match apply(conn, write).await {
        Ok(applied) => {
            sqlx::query("RELEASE one").execute(conn).await?;
            Ok(applied)
        }
        Err(error) if error.fault() == Fault::Write => {
            tracing::error!(%error, ?write, "a write cannot be applied");
            sqlx::query("ROLLBACK TO one").execute(&mut *conn).await?;
            sqlx::query("RELEASE one").execute(conn).await?;
            Ok(Applied::Refused)
        }
        Err(error) => Err(error),
    }
}

/// Removes some leads of a deleted campaign, then some of the numbers that only it must not call. Gives whether there may be more.
async fn purge(conn: &mut SqliteConnection) -> Result<bool, StoreError> {
    let campaign: Option<i64> = sqlx::query_scalar("SELECT id FROM campaigns WHERE deleted = 1 LIMIT 1")
        .fetch_optional(&mut *conn)
        .await?;
    // Work on lists that a stop left.
    let Some(campaign) = campaign else { return lists::work(conn).await };
    let gone: Vec<i64> = sqlx::query_scalar(
        "DELETE FROM leads WHERE id IN (SELECT l.id FROM lists CROSS JOIN leads AS l ON l.list = lists.id \
         WHERE lists.campaign = $1 LIMIT $2) RETURNING id",
    )
    .bind(campaign)
    .bind(PURGE_BATCH)
    .fetch_all(&mut *conn)
    .await?;
    lists::remove_phones(conn, &gone).await?;
    if !gone.is_empty() {
        return Ok(true);
    }
    let numbers = sqlx::query(
        "DELETE FROM campaign_suppressions WHERE id IN \
         (SELECT id FROM campaign_suppressions WHERE campaign = $1 LIMIT $2)",
    )
    .bind(campaign)
    .bind(PURGE_BATCH)
    .execute(&mut *conn)
    .await?;
    if numbers.rows_affected() == 0 {
        sqlx::query("DELETE FROM lists WHERE campaign = $1").bind(campaign).execute(&mut *conn).await?;
        sqlx::query("UPDATE campaigns SET deleted = 2 WHERE id = $1").bind(campaign).execute(conn).await?;
    }
    Ok(true)
}
