//! A disk that is full, a write that is bad, a file that is not ours.

use std::sync::atomic::Ordering::Relaxed;

use super::*;

/// Makes the file unable to grow (SQLITE_FULL), or able again.
async fn disk(rig: &Rig, full: bool) {
    let mut conn = rig.store.inner.writer.lock().await;
    let sql = if full { "PRAGMA max_page_count = 1" } else { "PRAGMA max_page_count = 1000000" };
    sqlx::query(sql).execute(conn.begin().await.unwrap()).await.unwrap();
    conn.rollback().await;
}

/// A write that needs room.
fn large(id: u64) -> Write {
    Write::AgentTime {
        agent: AgentId(i64::try_from(id).unwrap()),
        state: crate::AgentState::Paused,
        reason: "x".repeat(20_000),
        forced_by: None,
        from_unix_ms: NOW,
        lasted_ms: 1,
    }
}

#[tokio::test]
async fn a_full_disk_fails_tokens_and_keeps_the_rest_in_order() {
    let mut rig = Rig::new().await;
    rig.leads(2).await;
    disk(&rig, true).await;
    rig.send(None, large(1));
    assert!(!rig.write(large(2)).await, "fails at once");
    rig.send(None, large(3));
    assert!(!rig.write(new_try(1, 1, 1)).await, "fails behind those that are kept");
    // A refill is answered all the same.
    let (leads, due) = rig.refill(10, NOW).await;
    assert!(leads.is_empty() && due > Some(NOW));
    assert!(rig.store.stats().commit_failures.load(Relaxed) > 0);
    assert!(rig.store.stats().backlog.load(Relaxed) > 0);
    assert_eq!(rig.lead(1).await.status, LeadStatus::New);

    disk(&rig, false).await;
    while !rig.write(new_try(1, 1, 1)).await {}
    let mut conn = rig.store.inner.readers.acquire().await.unwrap();
    let order: Vec<i64> =
        sqlx::query_scalar("SELECT agent FROM agent_times ORDER BY id").fetch_all(&mut *conn).await.unwrap();
    assert_eq!(order, [1, 3]);
    assert_eq!(rig.store.stats().backlog.load(Relaxed), 0);
}

#[tokio::test]
async fn a_probe_reaches_the_disk_and_changes_nothing() {
    let mut rig = Rig::new().await;
    rig.leads(2).await;
    // SQLite tells one connection what the others have committed.
    let mut other = rig.store.inner.readers.acquire().await.unwrap();
    let mut version =
        async || sqlx::query_scalar::<_, i64>("PRAGMA data_version").fetch_one(&mut *other).await.unwrap();
    for _ in 0..2 {
        let before = version().await;
        assert!(rig.write(Write::Probe).await);
        assert_ne!(version().await, before);
    }
}

#[tokio::test]
async fn a_stop_gets_the_backlog_on_disk() {
    let mut rig = Rig::new().await;
    disk(&rig, true).await;
    rig.send(None, large(1));
    assert!(!rig.write(large(2)).await);
    disk(&rig, false).await;
    let place = rig.stop().await;
    let store = place.open().await;
    let mut conn = store.inner.readers.acquire().await.unwrap();
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM agent_times").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn a_bad_write_goes_alone() {
    let mut rig = Rig::new().await;
    rig.leads(3).await;
    assert!(rig.write(new_try(1, 1, 1)).await);
    // The second one's id is taken: a constraint breaks in the middle of a batch.
    rig.send(Some(101), new_try(2, 1, 2));
    rig.send(Some(102), new_try(1, 1, 3));
    rig.send(None, ended(1, Outcome::Busy, change(1, LeadStatus::Retry, 1)));
    rig.send(Some(103), disposed(55, "sale", change(1, LeadStatus::Done, 1)));
    rig.send(Some(104), answered(56));
    rig.send(Some(105), new_try(3, 1, 3));
    let mut events = Vec::new();
    for _ in 0..5 {
        events.push(rig.events.recv().await.unwrap());
    }
    assert_eq!(
        events,
        [
            StoreEvent::Committed { token: 101 },
            StoreEvent::CommitFailed { token: 102 },
            StoreEvent::CommitFailed { token: 103 },
            // A fact about nothing is settled, not tried for ever.
            StoreEvent::Committed { token: 104 },
            StoreEvent::Committed { token: 105 },
        ]
    );
    assert_eq!(rig.call(1).await.call.outcome, Some(Outcome::Busy));
    assert_eq!(rig.lead(1).await.status, LeadStatus::Retry);
    assert_eq!(rig.store.stats().writes_refused.load(Relaxed), 3);
}

#[tokio::test]
async fn a_full_queue_says_so() {
    let place = Place::new();
    let store = place.open().await;
    let (writer, _task) = store.writer(1, |_| {});
    let job = || Job::Refill { campaign: ONE, limit: 1, now_unix_ms: NOW };
    writer.try_send(job()).unwrap();
    let QueueFull(back) = writer.try_send(job()).unwrap_err();
    assert_eq!(*back, job());
    assert_eq!(store.stats().queue_full.load(Relaxed), 1);
}

#[tokio::test]
async fn a_cancelled_transaction_is_cleared_up() {
    let mut rig = Rig::new().await;
    rig.leads(1).await;
    let mut conn = rig.store.inner.writer.lock().await;
    sqlx::query("UPDATE leads SET status = 'done'").execute(conn.begin().await.unwrap()).await.unwrap();
    drop(conn);
    assert!(rig.write(new_try(1, 1, 1)).await);
}

#[tokio::test]
async fn two_dialers_do_not_share_a_file() {
    let place = Place::new();
    let store = place.open().await;
    let second = Store::open(&place.path()).await;
    let pid = std::process::id().to_string();
    assert!(matches!(&second, Err(StoreError::InUse { pid: p, .. }) if *p == pid), "{second:?}");
    store.close().await;
    place.open().await;
}

#[tokio::test]
async fn files_that_are_not_ours() {
    let place = Place::new();
    std::fs::write(place.path(), "phone,first_name\n".repeat(100)).unwrap();
    let error = Store::open(&place.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");

    let place = Place::new();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(place.path()).create_if_missing(true);
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("CREATE TABLE invoices (id INTEGER)").execute(&mut other).await.unwrap();
    sqlx::Connection::close(other).await.unwrap();
    let error = Store::open(&place.path()).await.unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");

    let place = Place::new();
    let store = place.open().await;
    let mut conn = store.inner.writer.lock().await;
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
               VALUES (9999, 'from the future', 1, x'00', 0)";
    sqlx::query(sql).execute(conn.begin().await.unwrap()).await.unwrap();
    conn.commit().await.unwrap();
    drop(conn);
    store.close().await;
    let error = Store::open(&place.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 9999, .. }), "{error}");

    let error = Store::open(&place.dir.path().join("no/such/dir.db")).await.unwrap_err();
    assert!(matches!(error, StoreError::Path { .. }), "{error}");
    let error = Store::open(place.dir.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Path { .. }), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::new().await;
    for suffix in ["", "-wal", "-shm", "-lock"] {
        let path = rig.place.dir.path().join(format!("kraliki.db{suffix}"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{suffix}");
    }
}
