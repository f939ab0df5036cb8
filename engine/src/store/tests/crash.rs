//! What a crash leaves behind, and what recovery makes of it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;

/// Answered and abandoned of the whole ledger.
fn sums(restored: &crate::RestoredCampaign) -> (u32, u32) {
    restored
        .ledger
        .iter()
        .fold((0, 0), |(all, bad), minute| (all + minute.counts.answered, bad + minute.counts.abandoned))
}

#[tokio::test]
async fn attempts_without_an_outcome_are_closed() {
    let mut rig = Rig::new().await;
    rig.leads(6).await;
    for id in 1..=5 {
        assert!(rig.write(new_try(id, 1, id)).await);
    }
    // 1 rings, 2 waits for an agent, 3 talks, 4 talks and has its disposition, 5 is over and undisposed.
    for id in 2..=5 {
        assert!(rig.write(answered(id)).await);
    }
    for id in 3..=5 {
        assert!(rig.write(connected(id, false)).await);
    }
    assert!(rig.write(disposed(4, "sale", change(4, LeadStatus::Done, 1))).await);
    let over =
        LeadChange { last_outcome: Some(Outcome::Connected), repeats: 2, ..change(5, LeadStatus::Done, 3) };
    assert!(rig.write(ended(5, Outcome::Connected, over)).await);
    let place = rig.kill().await;

    let rig = Rig::at(place).await;
    let now = NOW + 60_000;
    let recovered = rig.store.recover(now).await.unwrap();
    assert_eq!(recovered.closed, 4);
    let orphan = |attempt, dialog| Orphan { id: try_id(attempt, 1), trunk: TrunkId(1), dialog };
    let dialog = Some(vec![7; 40]);
    assert_eq!(
        recovered.orphans,
        [orphan(1, None), orphan(2, dialog.clone()), orphan(3, dialog.clone()), orphan(4, dialog)]
    );
    let one = &recovered.campaigns[0];
    // Three that were answered at the crash and the one before; only that which waited counts as abandoned.
    assert_eq!((one.campaign.id, sums(one)), (ONE, (4, 1)));
    let undisposed: Vec<_> =
        recovered.undisposed.iter().map(|u| (u.attempt.0, u.agent.0, u.attempts, u.repeats)).collect();
    assert_eq!(BTreeSet::from_iter(undisposed), BTreeSet::from([(3, 9, 1, 1), (5, 9, 3, 2)]));
    assert_eq!((recovered.next_campaign, recovered.next_attempt), (2, 6));

    for id in 1..=3 {
        assert_eq!(rig.call(id).await.call.outcome, Some(Outcome::UnknownCrash));
        let lead = rig.lead(id).await;
        assert_eq!((lead.status, lead.next_unix_ms), (LeadStatus::Retry, NOW + 3_600_000));
        assert_eq!((lead.attempts, lead.last_outcome, lead.repeats), (1, Some(Outcome::UnknownCrash), 1));
    }
    assert_eq!(rig.lead(4).await.status, LeadStatus::Done, "the disposition stands");
    assert_eq!(rig.call(5).await.call.outcome, Some(Outcome::Connected));
    assert_eq!(rig.lead(6).await.status, LeadStatus::New);

    // A second start finds nothing more to do, but those calls may still be up; what is old enough is forgotten.
    let again = rig.store.recover(now + 59_000).await.unwrap();
    assert_eq!((again.closed, again.undisposed.len()), (0, 2));
    assert_eq!(again.orphans, [1, 2, 3, 4].map(|attempt| orphan(attempt, None)));
    let again = rig.store.recover(now + 60_000).await.unwrap();
    assert_eq!((again.closed, again.orphans.len(), again.undisposed.len()), (0, 0, 2));
    let later = rig.store.recover(NOW + 31 * 86_400_000).await.unwrap();
    assert_eq!((sums(&later.campaigns[0]), later.undisposed.len()), ((0, 0), 0));
}

#[tokio::test]
async fn an_attempt_over_two_trunks_is_closed_as_one() {
    let mut rig = Rig::new().await;
    rig.leads(3).await;
    let further = |attempt: i64| {
        let Write::Try(first) = new_try(attempt, 2, attempt) else { unreachable!() };
        let (trunk, crash_retry_unix_ms) = (TrunkId(2), NOW + 3_632_000);
        Write::Try(NewTry { trunk, crash_retry_unix_ms, ..first })
    };
    for id in 1..=3 {
        assert!(rig.write(new_try(id, 1, id)).await);
        let failed = Write::TryEnded { id: try_id(id, 1), status: Some(503), q850: None, at_unix_ms: NOW };
        assert!(rig.write(failed).await);
    }
    // 1 is between its tries, 2 rings over the second trunk, 3 must not be called any more.
    assert!(rig.write(further(2)).await);
    let phone = Pii(phone(2));
    assert!(
        rig.write(Write::Suppress { phone, reason: "asked".into(), campaign: None, at_unix_ms: NOW }).await
    );
    assert!(!rig.write(further(3)).await);
    let place = rig.kill().await;

    let rig = Rig::at(place).await;
    let recovered = rig.store.recover(NOW + 60_000).await.unwrap();
    assert_eq!(recovered.closed, 3);
    assert_eq!(recovered.orphans, [Orphan { id: try_id(2, 2), trunk: TrunkId(2), dialog: None }]);
    for (id, next_unix_ms) in [(1, NOW + 3_600_000), (2, NOW + 3_632_000)] {
        let (detail, lead) = (rig.call(id).await, rig.lead(id).await);
        assert_eq!(detail.call.outcome, Some(Outcome::UnknownCrash));
        assert_eq!((lead.status, lead.next_unix_ms, lead.attempts), (LeadStatus::Retry, next_unix_ms, 1));
        assert_eq!(detail.tries[0].status, Some(503));
    }
    assert_eq!(rig.lead(3).await.status, LeadStatus::Suppressed);
    let again = rig.store.recover(NOW + 61_000).await.unwrap();
    assert_eq!((again.closed, again.orphans.len()), (0, 1));
}

#[tokio::test]
async fn the_ledger_counts_who_answered_and_who_was_abandoned() {
    let mut rig = Rig::new().await;
    rig.leads(5).await;
    let outcomes =
        [Outcome::Connected, Outcome::Abandoned, Outcome::CallerHangup, Outcome::Machine, Outcome::Connected];
    for (id, outcome) in (1..).zip(outcomes) {
        assert!(rig.write(new_try(id, 1, id)).await);
        assert!(rig.write(answered(id)).await);
        if outcome == Outcome::Connected {
            assert!(rig.write(connected(id, id == 5)).await);
        }
        assert!(rig.write(ended(id, outcome, change(id, LeadStatus::Done, 1))).await);
    }
    let recovered = rig.store.recover(NOW).await.unwrap();
    assert_eq!(sums(&recovered.campaigns[0]), (4, 2));
}

/// The log beside the file belongs to it: a copy of both is what a power loss leaves.
#[tokio::test]
async fn a_copy_taken_without_closing_is_whole() {
    let mut rig = Rig::new().await;
    rig.leads(50).await;
    for id in 1..=50 {
        assert!(rig.write(new_try(id, 1, id)).await);
    }
    let copy = Place::new();
    for suffix in ["", "-wal"] {
        let name = |place: &Place| place.dir.path().join(format!("kraliki.db{suffix}"));
        std::fs::copy(name(&rig.place), name(&copy)).unwrap();
    }
    let store = copy.open().await;
    assert_eq!(store.recover(NOW).await.unwrap().closed, 50);
}

/// Runs in a process of its own (see below), until it is killed.
#[tokio::test]
async fn child() {
    let Some(dir) = std::env::var_os("KRALIKI_TEST_CRASH_DIR") else { return };
    let store = Store::open(&PathBuf::from(dir).join("kraliki.db")).await.unwrap();
    let recovered = store.recover(NOW).await.unwrap();
    let out = std::sync::Mutex::new(std::io::stdout());
    let (writer, task) = store.writer(100_000, move |event| {
        // Not println: the tests' harness would keep it.
        let StoreEvent::Committed { token } = event else { panic!("{event:?}") };
        let mut out = out.lock().unwrap();
        writeln!(out, "committed {token}").unwrap();
        out.flush().unwrap();
    });
    let first = recovered.next_attempt;
    let send = |token: Option<u64>, write| drop(writer.try_send(Job::Write { token, write }));
    for id in first..first + 5_000 {
        let number = u64::try_from(id).unwrap();
        send(Some(2 * number), new_try(id, 1, id));
        send(None, answered(id));
        send(None, connected(id, false));
        send(Some(2 * number + 1), disposed(id, "sale", change(id, LeadStatus::Done, 1)));
        send(None, ended(id, Outcome::Connected, change(id, LeadStatus::Done, 1)));
    }
    task.run().await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let mut rig = Rig::new().await;
    rig.leads(4_000).await;
    let place = rig.stop().await;
    let mut tries = BTreeSet::new();
    let mut dispositions = BTreeSet::new();
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::tests::crash::child", "--exact", "--nocapture"])
            .env("KRALIKI_TEST_CRASH_DIR", place.dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(token) = line.rsplit("committed ").next().and_then(|t| t.parse::<i64>().ok()) {
                let _ = if token % 2 == 0 { tries.insert(token / 2) } else { dispositions.insert(token / 2) };
                seen += 1;
                if seen == 150 * round {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(seen >= 150 * round, "the child wrote {seen}");
        let store = place.open().await;
        store.recover(NOW).await.unwrap();
        for &id in &tries {
            let detail = store.call(AttemptId(id)).await.unwrap().unwrap();
            assert!(detail.call.outcome.is_some(), "attempt {id} has no outcome");
            assert_eq!(detail.tries.len(), 1);
        }
        for &id in &dispositions {
            let detail = store.call(AttemptId(id)).await.unwrap().unwrap();
            assert_eq!(detail.dispositions.len(), 1, "the disposition of {id}");
        }
    }
}
