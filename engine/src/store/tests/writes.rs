//! Each write, their order, and what is refused.

use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::{LegFigures, LegRecord, Side, Unheard};

#[tokio::test]
async fn a_call_from_the_try_to_the_disposition() {
    let mut rig = Rig::new().await;
    rig.leads(1).await;
    assert!(rig.write(new_try(1, 1, 1)).await);
    assert_eq!(rig.lead(1).await.status, LeadStatus::Dialing);
    let failed =
        Write::TryEnded { id: try_id(1, 1), status: Some(503), q850: Some(34), at_unix_ms: NOW + 1_000 };
    assert!(rig.write(failed).await);
    assert!(rig.write(new_try(1, 2, 1)).await);
    let dialog = vec![1, 2, 3];
    assert!(rig.write(Write::Answered { id: try_id(1, 2), dialog, at_unix_ms: NOW + 5_000 }).await);
    assert!(rig.write(connected(1, true)).await);
    let mut done = change(1, LeadStatus::Done, 1);
    done.last_outcome = Some(Outcome::Connected);
    let end = Write::AttemptEnded {
        attempt: AttemptId(1),
        outcome: Outcome::Connected,
        at_unix_ms: NOW + 66_000,
        talk_ms: 60_000,
        lead: done.clone(),
    };
    assert!(rig.write(end).await);
    assert!(rig.write(disposed(1, "sale", done)).await);
    assert!(rig.write(disposed(1, "call_back", change(1, LeadStatus::Retry, 1))).await);

    let CallDetail { call, tries, dispositions, recording, legs, .. } = rig.call(1).await;
    assert_eq!((call.campaign, call.lead, call.agent), (ONE, LeadId(1), Some(AgentId(9))));
    assert_eq!((call.started_unix_ms, call.answered_unix_ms), (NOW, Some(NOW + 5_000)));
    assert_eq!((call.connected_unix_ms, call.ended_unix_ms), (Some(NOW + 6_000), Some(NOW + 66_000)));
    assert_eq!((call.wait_ms, call.talk_ms, call.late), (Some(1_000), 60_000, true));
    assert_eq!((call.outcome, call.disposition.as_deref()), (Some(Outcome::Connected), Some("call_back")));
    assert_eq!(call.note.0, "note on call_back");
    assert_eq!(
        tries.iter().map(|t| (t.number, t.status, t.q850)).collect::<Vec<_>>(),
        [(1, Some(503), Some(34)), (2, None, None)]
    );
    assert_eq!(dispositions.iter().map(|d| d.code.as_str()).collect::<Vec<_>>(), ["sale", "call_back"]);
    assert_eq!((recording, call.recorded), (None, false));
    assert_eq!(legs, []);
    let lead = rig.lead(1).await;
    assert_eq!((lead.status, lead.attempts, lead.next_unix_ms), (LeadStatus::Retry, 1, NOW + 600_000));
    rig.stop().await;
}

#[tokio::test]
async fn an_attempt_has_one_outcome() {
    let mut rig = Rig::new().await;
    rig.leads(1).await;
    assert!(rig.write(new_try(1, 1, 1)).await);
    assert!(rig.write(ended(1, Outcome::Busy, change(1, LeadStatus::Retry, 1))).await);
    // Settled, not failed: nobody need write it again.
    assert!(rig.write(ended(1, Outcome::NoAnswer, change(1, LeadStatus::Done, 2))).await);
    assert_eq!(rig.call(1).await.call.outcome, Some(Outcome::Busy));
    assert_eq!((rig.lead(1).await.status, rig.lead(1).await.attempts), (LeadStatus::Retry, 1));
    assert_eq!(rig.store.stats().outcomes_refused.load(Relaxed), 1);
}

#[tokio::test]
async fn nobody_is_dialed_twice_at_once() {
    let mut rig = Rig::new().await;
    rig.leads(3).await;
    assert!(rig.write(new_try(1, 1, 1)).await);
    assert!(!rig.write(new_try(2, 1, 1)).await, "on a line");
    assert!(rig.write(Write::Lead(change(2, LeadStatus::Done, 1))).await);
    assert!(!rig.write(new_try(3, 1, 2)).await, "done");
    assert!(!rig.write(new_try(4, 1, 77)).await, "not there");
    assert!(!rig.write(new_try(1, 1, 3)).await, "an attempt's id twice");
    assert_eq!(rig.lead(3).await.status, LeadStatus::New);
    assert!(rig.write(ended(1, Outcome::Busy, change(1, LeadStatus::Retry, 1))).await);
    assert!(!rig.write(new_try(1, 2, 1)).await, "the attempt is over");
    assert_eq!(
        rig.store.calls(CallFilter { limit: 10, ..CallFilter::default() }).await.unwrap().items.len(),
        1
    );
    assert_eq!(rig.store.stats().writes_refused.load(Relaxed), 5);
}

#[tokio::test]
async fn a_suppressed_number_stays_suppressed() {
    let mut rig = Rig::new().await;
    rig.leads(3).await;
    assert!(rig.write(new_try(1, 1, 1)).await);
    let stop =
        |i| Write::Suppress { phone: Pii(phone(i)), reason: "asked".into(), campaign: None, at_unix_ms: NOW };
    assert!(rig.write(stop(0)).await);
    assert!(rig.write(stop(1)).await);
    assert!(rig.write(stop(1)).await);
    assert!(rig.write(ended(1, Outcome::Busy, change(1, LeadStatus::Retry, 1))).await);
    assert!(rig.write(disposed(1, "call_back", change(1, LeadStatus::Retry, 1))).await);
    assert!(rig.write(Write::Lead(change(2, LeadStatus::New, 0))).await);
    assert_eq!(rig.lead(1).await.status, LeadStatus::Suppressed);
    assert_eq!(rig.lead(2).await.status, LeadStatus::Suppressed);
    assert!(!rig.write(new_try(2, 1, 2)).await);
    let (leads, _) = rig.refill(10, NOW).await;
    assert_eq!(leads.iter().map(|l| l.id.0).collect::<Vec<_>>(), [3]);
    let list = rig.store.suppressions(None, 10).await.unwrap();
    assert_eq!(list.items.iter().map(|s| s.phone.0.clone()).collect::<Vec<_>>(), [phone(0), phone(1)]);
    assert!(rig.store.is_suppressed(&phone(0)).await.unwrap());
    // A list that comes later brings the number in as suppressed, in every campaign.
    assert!(rig.write(Write::Campaign(Box::new(campaign(2)))).await);
    let lead = NewLead { phone: Pii(phone(0)), ..NewLead::default() };
    let added = rig.store.add_lead(CampaignId(2), "", "US", lead).await.unwrap();
    assert_eq!(added.status, LeadStatus::Suppressed);
}

#[tokio::test]
async fn refills_go_by_priority_time_and_id() {
    let mut rig = Rig::new().await;
    let csv = format!(
        "phone,priority\n{},0\n{},5\n{},5\n{},-3\n{},0\n",
        phone(0),
        phone(1),
        phone(2),
        phone(3),
        phone(4)
    );
    import(&rig.store, &csv).await;
    let mut later = change(2, LeadStatus::Retry, 1);
    later.next_unix_ms = NOW + 1;
    assert!(rig.write(Write::Lead(later)).await);
    let mut earlier = change(5, LeadStatus::Retry, 1);
    earlier.next_unix_ms = -1;
    assert!(rig.write(Write::Lead(earlier)).await);
    let ids = |leads: Vec<Lead>| leads.iter().map(|l| l.id.0).collect::<Vec<_>>();
    let (leads, due) = rig.refill(10, NOW).await;
    assert_eq!((ids(leads), due), (vec![3, 5, 1, 4], None));
    let (leads, _) = rig.refill(10, NOW + 1).await;
    assert_eq!(ids(leads), [2, 3, 5, 1, 4], "who waited for a time, then who was never dialed");
    let (leads, _) = rig.refill(2, NOW + 1).await;
    assert_eq!(ids(leads), [2, 3]);

    // Reads come in order with the writes, committed or not.
    for id in 1..=5 {
        rig.send(
            None,
            Write::Lead(LeadChange { next_unix_ms: NOW + 100 + id, ..change(id, LeadStatus::Retry, 1) }),
        );
    }
    let (leads, due) = rig.refill(10, NOW).await;
    assert_eq!((leads.len(), due), (0, Some(NOW + 101)));
    for id in 1..=5 {
        rig.send(None, Write::Lead(change(id, LeadStatus::Done, 1)));
    }
    assert_eq!(rig.refill(10, NOW).await, (vec![], None));
}

#[tokio::test]
async fn a_refill_scans_and_sorts_nothing() {
    let rig = Rig::new().await;
    let mut conn = rig.store.inner.readers.acquire().await.unwrap();
    use refill::{CALLBACKS, DUE, FRESH, LATER, LATER_CALLBACK, RANK};
    for sql in [RANK, DUE, FRESH, LATER, CALLBACKS, LATER_CALLBACK] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&mut *conn).await.unwrap();
        let plan: Vec<&str> = plan.iter().map(|(.., detail)| detail.as_str()).collect();
        let index = if sql.contains("callback = 1") { "leads_callback" } else { "leads_ready" };
        assert!(plan[0].contains(index), "{plan:?}");
        // `r`: the last attempts at one number, which were found by its index, 100 at most.
        let scans = |step: &str| step.contains("SCAN") && step != "SCAN r";
        assert!(!plan.iter().any(|step| scans(step) || step.contains("TEMP B-TREE")), "{plan:?}");
    }
}

#[tokio::test]
async fn campaigns_come_change_and_go() {
    let mut rig = Rig::new().await;
    rig.leads(1_200).await;
    assert!(rig.write(Write::Campaign(Box::new(campaign(2)))).await);
    for campaign in [ONE, CampaignId(2)] {
        let of = Some(campaign);
        let write = Write::Suppress {
            phone: Pii(phone(9_000)),
            reason: "asked".into(),
            at_unix_ms: NOW,
            campaign: of,
        };
        assert!(rig.write(write).await);
    }
    let lead = NewLead { phone: Pii(phone(0)), ..NewLead::default() };
    let kept = rig.store.add_lead(CampaignId(2), "", "US", lead.clone()).await.unwrap();
    let mut paused = campaign(1);
    paused.status = CampaignStatus::Paused;
    paused.settings.name = "New name".into();
    assert!(rig.write(Write::Campaign(Box::new(paused.clone()))).await);
    assert_eq!(rig.store.campaign(ONE).await.unwrap(), Some(paused));
    assert!(rig.write(new_try(1, 1, 1)).await);
    assert!(rig.write(ended(1, Outcome::Busy, change(1, LeadStatus::Retry, 1))).await);

    assert!(rig.write(Write::CampaignDeleted(ONE)).await);
    assert_eq!(rig.store.campaign(ONE).await.unwrap(), None);
    assert!(!rig.write(Write::Campaign(Box::new(campaign(1)))).await, "an id is not used again");
    let again = rig.store.add_lead(ONE, "", "US", lead).await;
    assert!(matches!(again, Err(StoreError::NotFound { what: "campaign", id: 1 })), "{again:?}");
    // Its leads go while nothing else is to be done, or after the next start.
    let place = rig.stop().await;
    let mut rig = Rig::at(place).await;
    let recovered = rig.store.recover(NOW).await.unwrap();
    assert_eq!(recovered.campaigns.iter().map(|c| c.campaign.id.0).collect::<Vec<_>>(), [2]);
    assert_eq!((recovered.next_campaign, recovered.next_attempt), (3, 2));
    let filter = LeadFilter { limit: 10, ..LeadFilter::default() };
    for _ in 0..10_000 {
        let numbers = rig.store.campaign_suppressions(ONE, None, 10).await.unwrap();
        if rig.store.leads(ONE, filter).await.unwrap().items.is_empty() && numbers.items.is_empty() {
            break;
        }
        assert!(rig.write(Write::Lead(change(kept.id.0, LeadStatus::Retry, 1))).await);
    }
    assert_eq!(rig.store.leads(ONE, filter).await.unwrap().items, []);
    let suppressed = async |id| rig.store.campaign_suppressions(id, None, 10).await.unwrap().items.len();
    assert_eq!((suppressed(ONE).await, suppressed(CampaignId(2)).await), (0, 1), "its numbers go with it");
    assert_eq!(rig.store.leads(CampaignId(2), filter).await.unwrap().items.len(), 1);
    assert_eq!(rig.call(1).await.call.campaign, ONE, "attempts stay");
}

#[tokio::test]
async fn many_writes_share_a_commit_and_keep_their_order() {
    let mut rig = Rig::new().await;
    rig.leads(300).await;
    let before = rig.store.stats().commits.load(Relaxed);
    for id in 1..=300 {
        rig.send(Some(1_000 + id as u64), new_try(id, 1, id));
        rig.send(None, ended(id, Outcome::Busy, change(id, LeadStatus::Retry, 1)));
    }
    for id in 1..=300 {
        assert_eq!(rig.events.recv().await, Some(StoreEvent::Committed { token: 1_000 + id }));
    }
    let place = rig.store.stats().commits.load(Relaxed) - before;
    assert!(place < 100, "{place} commits for 600 writes");
    let place = rig.stop().await;
    let store = place.open().await;
    let page =
        store.calls(CallFilter { outcome: Some(Outcome::Busy), limit: 1_000, ..CallFilter::default() });
    assert_eq!(page.await.unwrap().items.len(), 300, "a stop writes what is queued");
}

#[tokio::test]
async fn agents_times_are_kept() {
    let mut rig = Rig::new().await;
    let time = Write::AgentTime {
        agent: AgentId(9),
        state: crate::AgentState::Paused,
        reason: "lunch".into(),
        forced_by: None,
        from_unix_ms: NOW,
        lasted_ms: 1_800_000,
    };
    assert!(rig.write(time).await);
    let mut conn = rig.store.inner.readers.acquire().await.unwrap();
    let row: (i64, String, String, i64, i64) =
        sqlx::query_as("SELECT agent, state, reason, from_unix_ms, lasted_ms FROM agent_times")
            .fetch_one(&mut *conn)
            .await
            .unwrap();
    assert_eq!(row, (9, "paused".into(), "lunch".into(), NOW, 1_800_000));
}

#[tokio::test]
async fn how_the_sides_of_a_call_were_heard_is_kept() {
    let mut rig = Rig::new().await;
    rig.leads(1).await;
    assert!(rig.write(new_try(1, 1, 1)).await);
    let figures = LegFigures {
        codec: "PCMA".into(),
        lasted_ms: 61_000,
        packets_received: 2_900,
        packets_sent: 3_001,
        packets_lost: 100,
        loss: 0.0333,
        longest_loss: 12,
        burst_density: 0.4,
        reordered: 3,
        repeated: 2,
        jitter_ms: 7.25,
        jitter_most_ms: 40.0,
        round_trip_ms: Some(81.5),
        far_loss: Some(0.01),
        far_jitter_ms: Some(3.0),
        mos: 3.7,
        far_mos: Some(4.0),
        clipped: Some(0.02),
        silent: Some(0.5),
        unheard: Some(Unheard::NoPackets),
        unheard_ms: 6_000,
    };
    let (side, number, trunk, ended_unix_ms) = (Side::Carrier, 1, TrunkId(1), NOW + 66_000);
    let carrier = LegRecord { side, number, trunk, agent: None, ended_unix_ms, figures: figures.clone() };
    let little = LegFigures {
        round_trip_ms: None,
        far_loss: None,
        far_jitter_ms: None,
        far_mos: None,
        clipped: None,
        silent: None,
        unheard: None,
        unheard_ms: 0,
        ..figures
    };
    let agent = LegRecord { side: Side::Agent, agent: Some(AgentId(9)), figures: little, ..carrier.clone() };
    for leg in [&agent, &carrier] {
        rig.send(None, Write::Leg { attempt: AttemptId(1), leg: Box::new(leg.clone()) });
    }
    assert!(rig.write(answered(1)).await);
    assert_eq!(rig.call(1).await.legs, [agent, carrier]);
}

/// One lead as an agent dials it: where it stands after all writes before, suppression first.
#[tokio::test]
async fn a_single_lead_is_read_in_order() {
    let mut rig = Rig::new().await;
    rig.leads(2).await;
    let read = async |rig: &mut Rig, campaign, lead| {
        rig.writer.try_send(Job::Lead { reply: 7, campaign, lead, now_unix_ms: NOW }).unwrap();
        match rig.events.recv().await.unwrap() {
            StoreEvent::Lead { reply: 7, answer } => answer,
            other => panic!("{other:?}"),
        }
    };
    let standing = |answer| match answer {
        LeadAnswer::Found { lead, status, .. } => (lead.phone.0, status),
        other => panic!("{other:?}"),
    };
    assert_eq!(standing(read(&mut rig, ONE, LeadId(1)).await), (phone(0), LeadStatus::New));
    assert_eq!(read(&mut rig, CampaignId(2), LeadId(1)).await, LeadAnswer::NotFound);
    assert_eq!(read(&mut rig, ONE, LeadId(9)).await, LeadAnswer::NotFound);
    // In the same breath: the writes before it count.
    rig.send(
        None,
        Write::Suppress { phone: phone(0).into(), reason: "asked".into(), campaign: None, at_unix_ms: 1 },
    );
    assert_eq!(standing(read(&mut rig, ONE, LeadId(1)).await), (phone(0), LeadStatus::Suppressed));
    // A number that an agent types is that lead, or becomes one.
    let found = rig.store.lead_of_number(ONE, "by hand", "US", &phone(1)).await.unwrap();
    assert_eq!(found.id, LeadId(2));
    let made = rig.store.lead_of_number(ONE, "by hand", "US", "(202) 555-0177").await.unwrap();
    assert_eq!((made.phone.0.as_str(), made.status), ("+12025550177", LeadStatus::New));
    let due = rig.store.due_leads(ONE, 10, 1_000).await.unwrap();
    assert_eq!(due.iter().map(|lead| lead.id).collect::<Vec<_>>(), [LeadId(2), made.id]);
}

/// Every statement finds its rows by a key.
#[tokio::test]
async fn a_round_scans_nothing_but_what_it_brings() {
    let rig = Rig::new().await;
    let mut conn = rig.store.inner.readers.acquire().await.unwrap();
    for sql in round::STATEMENTS.split_terminator(';') {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&mut *conn).await.unwrap();
        let scanned = |step: &str| step.contains("SCAN") && !step.contains("SCAN w ");
        assert!(!plan.iter().any(|step| scanned(&step.3)), "{sql}: {plan:?}");
    }
}

/// What agents write comes back as they wrote it.
#[tokio::test]
async fn any_text_is_kept() {
    let mut rig = Rig::new().await;
    rig.leads(1).await;
    assert!(rig.write(new_try(1, 1, 1)).await);
    let text = "\"quoted\" \\ back, [1,{}], null, \t\r\n, ě ñ 電話 \u{1f4de}, \u{0}after, \u{2028}";
    let note = Write::Disposed {
        attempt: AttemptId(1),
        code: "';--".into(),
        note: text.into(),
        at_unix_ms: NOW,
        lead: None,
    };
    assert!(rig.write(note).await);
    let CallDetail { call, dispositions, .. } = rig.call(1).await;
    assert_eq!((call.disposition.as_deref(), call.note.0.as_str()), (Some("';--"), text));
    assert_eq!(dispositions[0].note.0, text);
    assert_eq!(rig.lead(1).await.status, LeadStatus::Dialing, "no change, no harm");
    let dialog: Vec<u8> = (0..=255).collect();
    assert!(rig.write(Write::Answered { id: try_id(1, 1), dialog: dialog.clone(), at_unix_ms: NOW }).await);
    assert_eq!(rig.store.recover(NOW).await.unwrap().orphans[0].dialog, Some(dialog));
}

/// Chance makes the writes, sense and nonsense: together they come to the same as one by one.
#[tokio::test]
async fn many_at_once_are_what_they_are_one_by_one() {
    use rand::{RngExt as _, SeedableRng as _};
    for seed in 0..3 {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut writes = Vec::new();
        for _ in 0..200 {
            let (attempt, lead) = (rng.random_range(1..=6), rng.random_range(1..=4));
            let status = if rng.random_bool(0.7) { LeadStatus::Retry } else { LeadStatus::Done };
            writes.push(match rng.random_range(0..9) {
                0 => new_try(attempt, 1, lead),
                1 => new_try(attempt, 2, lead),
                2 => answered(attempt),
                3 => connected(attempt, rng.random()),
                4 => {
                    Write::TryEnded { id: try_id(attempt, 1), status: None, q850: Some(16), at_unix_ms: NOW }
                }
                5 => ended(attempt, Outcome::Busy, change(lead, status, rng.random_range(0..9))),
                6 => disposed(attempt, "sale", change(lead, status, 1)),
                7 if rng.random_bool(0.2) => Write::Suppress {
                    phone: Pii(phone(3)),
                    reason: "asked".into(),
                    campaign: None,
                    at_unix_ms: NOW,
                },
                _ => Write::Lead(change(lead, status, rng.random_range(0..9))),
            });
        }
        let mut found = Vec::new();
        for together in [true, false] {
            let mut rig = Rig::new().await;
            rig.leads(4).await;
            let mut taken = Vec::new();
            for (token, write) in (1u64..).zip(&writes) {
                if together {
                    rig.send(Some(1_000 + token), write.clone());
                } else {
                    taken.push(rig.write(write.clone()).await);
                }
            }
            if together {
                for _ in &writes {
                    let event = rig.events.recv().await.unwrap();
                    taken.push(matches!(event, StoreEvent::Committed { .. }));
                }
            }
            let mut leads = Vec::new();
            for id in 1..=4 {
                leads.push(rig.lead(id).await);
            }
            let mut calls = Vec::new();
            for id in 1..=6 {
                calls.push(rig.store.call(AttemptId(id)).await.unwrap());
            }
            let stats = rig.store.stats();
            let refused = (stats.writes_refused.load(Relaxed), stats.outcomes_refused.load(Relaxed));
            found.push((taken, leads, calls, refused));
        }
        assert_eq!(found[0], found[1], "seed {seed}");
    }
}

/// Whose attempt showed a number to a person last, for when they call it back.
#[tokio::test]
async fn the_last_attempt_that_showed_a_number_says_whose_it_was() {
    let mut rig = Rig::new().await;
    assert!(rig.write(Write::Campaign(Box::new(campaign(2)))).await);
    rig.leads(4).await;
    let called = |id: i64, of: i64, caller_id: &str, at: i64| {
        let Write::Try(new) = new_try(id, 1, id) else { panic!() };
        let (campaign, caller_id) = (CampaignId(of), caller_id.to_owned());
        Write::Try(NewTry { campaign, caller_id, at_unix_ms: at, phone: Pii("+12125550180".into()), ..new })
    };
    assert!(rig.write(called(1, 1, "+1", NOW)).await);
    assert!(rig.write(called(2, 2, "+1", NOW + 1_000)).await);
    assert!(rig.write(called(3, 1, "+2", NOW + 2_000)).await);
    let shown_by = async |phone: &str, shown: &str, since: i64| {
        rig.store.shown_by(phone, shown, since).await.unwrap().map(|id| id.0)
    };
    assert_eq!(
        shown_by("+12125550180", "+1", NOW).await,
        Some(2),
        "the last one, not the one that showed another number"
    );
    assert_eq!(shown_by("+12125550180", "+2", NOW).await, Some(1));
    assert_eq!(shown_by("+12125550180", "+1", NOW + 1_500).await, None, "too long ago");
    assert_eq!(shown_by("+12125550181", "+1", NOW).await, None);
    // What was not sent was shown to nobody.
    assert!(rig.write(ended(2, Outcome::NotSent, change(2, LeadStatus::New, 0))).await);
    let shown = rig.store.shown_by("+12125550180", "+1", NOW).await.unwrap();
    assert_eq!(shown, Some(CampaignId(1)));
}
