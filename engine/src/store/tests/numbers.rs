//! What the gate wants to know of a number: lists that it stands on, attempts to it.

use super::*;
use crate::compliance::Past;

async fn import_numbers(store: &Store, list: NumberList, text: &str) -> NumbersReport {
    let mut import = store.numbers_import(list, "US", NOW).await.unwrap();
    // In pieces that cut numbers.
    for piece in text.as_bytes().chunks(7) {
        import.feed(piece).await.unwrap();
    }
    import.finish().await.unwrap().0
}

#[tokio::test]
async fn a_refill_says_what_is_known_of_a_number() {
    let mut rig = Rig::new().await;
    rig.leads(3).await;
    let national = NumberList::National { country: "US".into(), name: "DNC".into(), as_of_unix_ms: NOW };
    let report =
        import_numbers(&rig.store, national, "phone\n415,5550001\n(415) 555-0009\nnothing 1\n").await;
    assert_eq!((report.lines, report.numbers, report.rejected), (3, 2, 1));
    assert_eq!(report.errors[0].0, 4);
    assert_eq!(rig.store.national_lists().await.unwrap()[0].numbers, 2);
    // One that rang out an hour ago, one that was abandoned, one that was not sent, one of long ago.
    let ended = |attempt: i64, outcome| Write::AttemptEnded {
        attempt: AttemptId(attempt),
        outcome,
        at_unix_ms: NOW + 60_000,
        talk_ms: 0,
        lead: LeadChange { next_unix_ms: 0, ..change(1, LeadStatus::Retry, 1) },
    };
    let mut tries = Vec::new();
    for (attempt, ago_h, outcome) in [
        (1, 100, Outcome::NoAnswer),
        (2, 1, Outcome::NoAnswer),
        (3, 1, Outcome::NotSent),
        (4, 2, Outcome::Abandoned),
    ] {
        let Write::Try(new) = new_try(attempt, 1, 1) else { unreachable!() };
        let at_unix_ms = NOW - ago_h * 3_600_000;
        let evidence = "us 2026-11-01".to_owned();
        assert!(rig.write(Write::Try(NewTry { at_unix_ms, evidence, phone: Pii(phone(0)), ..new })).await);
        assert!(rig.write(ended(attempt, outcome)).await);
        tries.push(Past {
            attempt: AttemptId(attempt),
            at_unix_ms,
            abandoned_unix_ms: (outcome == Outcome::Abandoned).then_some(NOW + 60_000),
        });
    }
    let (leads, _) = rig.refill(10, NOW).await;
    let by_id = |id: i64| leads.iter().find(|lead| lead.id == LeadId(id)).unwrap().clone();
    let mut recent = by_id(1).recent;
    recent.sort_by_key(|past| past.attempt);
    assert_eq!(recent, [tries[1], tries[3]]);
    assert_eq!(
        (by_id(2).recent.len(), by_id(2).on_national_list, by_id(3).on_national_list),
        (0, true, false)
    );
}

#[tokio::test]
async fn a_newer_copy_takes_the_place_of_the_one_before_and_an_empty_file_does_not() {
    let rig = Rig::new().await;
    let list = |days: i64| NumberList::National {
        country: "US".into(),
        name: "DNC".into(),
        as_of_unix_ms: NOW + days * 86_400_000,
    };
    import_numbers(&rig.store, list(-9), "4155550001\n4155550002\n4155550003").await;
    import_numbers(&rig.store, list(-1), "4155550003\n").await;
    let copies = rig.store.national_lists().await.unwrap();
    assert_eq!((copies.len(), copies[0].numbers, copies[0].as_of_unix_ms), (1, 1, NOW - 86_400_000));
    let import = rig.store.numbers_import(list(0), "", NOW).await.unwrap();
    assert!(matches!(import.finish().await, Err(StoreError::Invalid { field: "file", .. })));
    assert_eq!(rig.store.national_lists().await.unwrap()[0].numbers, 1);
    let future = rig.store.numbers_import(list(3), "", NOW).await;
    assert!(matches!(future, Err(StoreError::Invalid { field: "as_of", .. })));
}

#[tokio::test]
async fn a_number_that_is_kept_as_a_hash_is_known_and_cannot_be_read() {
    let mut rig = Rig::new().await;
    rig.leads(2).await;
    rig.store.suppress(&phone(0), "asked", NOW).await.unwrap();
    rig.store.suppress_hashed(&phone(0), "erased", NOW).await.unwrap();
    assert_eq!(rig.lead(1).await.status, LeadStatus::Suppressed);
    assert!(rig.store.is_suppressed(&phone(0)).await.unwrap());
    assert!(!rig.store.is_suppressed(&phone(1)).await.unwrap());
    assert_eq!(rig.store.suppressions(None, 10).await.unwrap().items, []);
    // A list that brings the number back.
    assert!(rig.write(Write::Campaign(Box::new(campaign(2)))).await);
    let mut importer = rig.store.importer(CampaignId(2), "", "US").await.unwrap();
    importer.feed(format!("phone\n{}\n{}\n", phone(0), phone(1)).as_bytes()).await.unwrap();
    importer.finish().await.unwrap();
    let filter = LeadFilter { limit: 10, ..LeadFilter::default() };
    let leads = rig.store.leads(CampaignId(2), filter).await.unwrap().items;
    let stands: Vec<_> = leads.iter().map(|lead| lead.status).collect();
    assert_eq!(stands, [LeadStatus::Suppressed, LeadStatus::New]);
}

#[tokio::test]
async fn a_campaign_s_own_list() {
    let mut rig = Rig::new().await;
    rig.leads(3).await;
    let only = |i| Write::Suppress {
        phone: Pii(phone(i)),
        reason: "asked".into(),
        campaign: Some(ONE),
        at_unix_ms: NOW,
    };
    assert!(rig.write(only(0)).await);
    let list = NumberList::Campaign { campaign: ONE, reason: "file".into() };
    import_numbers(&rig.store, list, &format!("{}\n", phone(1))).await;
    assert_eq!(rig.store.campaign_suppressions(ONE, None, 10).await.unwrap().items.len(), 2);
    let (leads, _) = rig.refill(10, NOW).await;
    assert_eq!(leads.iter().map(|lead| lead.id.0).collect::<Vec<_>>(), [3]);
    assert!(!rig.store.is_suppressed(&phone(0)).await.unwrap(), "others may call it");
}
