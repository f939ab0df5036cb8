//! Lists into the store.

use std::sync::atomic::Ordering::Relaxed;

use super::super::transaction::Durability;
use super::*;
use crate::lead::import::Dedupe;
use crate::lead::phone::Home;

#[tokio::test]
async fn a_list_comes_in_once() {
    let mut rig = Rig::new().await;
    let csv = "Phone;First Name;Last-Name;TimeZone;Priority;City\r\n\
               (415) 555-0100;Ada;Lovelace;;;London\r\n\
               +14155550101;;;america/chicago;7;\r\n\
               4155550100;again;;;;\r\n";
    let report = import(&rig.store, csv).await;
    assert_eq!((report.rows, report.imported, report.duplicates, report.rejected), (3, 2, 1, 0));
    let again = import(&rig.store, csv).await;
    assert_eq!((again.rows, again.imported, again.duplicates), (3, 0, 3));
    let ada = rig.lead(1).await;
    assert_eq!(
        (ada.phone.as_str(), ada.first_name.as_str(), ada.last_name.as_str()),
        ("+14155550100", "Ada", "Lovelace")
    );
    assert_eq!(
        (ada.time_zone.as_str(), ada.priority, ada.status),
        ("America/Los_Angeles", 0, LeadStatus::New)
    );
    assert_eq!(ada.custom.0, [("City".to_owned(), "London".to_owned())].into());
    let (leads, _) = rig.refill(10, NOW).await;
    assert_eq!(
        leads.iter().map(|l| (l.time_zone.as_str(), l.priority)).collect::<Vec<_>>(),
        [("America/Chicago", 7), ("America/Los_Angeles", 0)]
    );
    // The same number in another campaign is another lead.
    assert!(rig.write(Write::Campaign(Box::new(campaign(2)))).await);
    let mut importer = rig.store.importer(CampaignId(2), "", "US").await.unwrap();
    importer.feed(csv.as_bytes()).await.unwrap();
    assert_eq!(importer.finish().await.unwrap().imported, 2);
}

#[tokio::test]
async fn a_hundred_thousand_rows_in_small_pieces() {
    let mut rig = Rig::new().await;
    let mut importer = rig.store.importer(ONE, "big", "US").await.unwrap();
    importer.feed(b"phone,first_name\n").await.unwrap();
    let mut piece = String::new();
    for i in 0..100_000_u32 {
        piece.push_str(&if i % 1_000 == 999 {
            "12,broken\n".to_owned()
        } else {
            format!("{},A{i}\n", phone(i * 4))
        });
        if piece.len() > 5_000 {
            importer.feed(piece.as_bytes()).await.unwrap();
            piece.clear();
            // Memory does not grow with the file.
            assert!(importer.held() < 200_000);
        }
        if i == 50_000 {
            // Somebody dials meanwhile.
            assert!(rig.write(new_try(1, 1, 1)).await);
        }
    }
    importer.feed(piece.as_bytes()).await.unwrap();
    let report = importer.finish().await.unwrap();
    assert_eq!((report.rows, report.imported, report.rejected), (100_000, 99_900, 100));
    assert_eq!(report.errors[0].line, 1_001);
    assert_eq!(rig.store.stats().imported.load(std::sync::atomic::Ordering::Relaxed), 99_900);
}

#[tokio::test]
async fn errors_are_counted_beyond_the_first_thousand() {
    let rig = Rig::new().await;
    let report = import(&rig.store, &format!("phone\n{}", "911\n".repeat(1_500))).await;
    assert_eq!(
        (report.rows, report.rejected, report.errors.len(), report.errors_truncated),
        (1_500, 1_500, 1_000, true)
    );
}

#[tokio::test]
async fn imports_that_cannot_be() {
    let mut rig = Rig::new().await;
    let missing = rig.store.importer(CampaignId(9), "", "US").await;
    assert!(matches!(missing, Err(StoreError::NotFound { what: "campaign", id: 9 })));
    let mut importer = rig.store.importer(ONE, "", "US").await.unwrap();
    let failed = importer.feed(b"name,city\nAda,London\n").await;
    assert!(
        matches!(&failed, Err(ImportFailure::File(e)) if e.line == 1 && e.message.contains("phone")),
        "{failed:?}"
    );
    // The campaign goes while its list comes.
    let mut importer = rig.store.importer(ONE, "", "US").await.unwrap();
    importer.feed(b"phone\n+14155550100\n").await.unwrap();
    assert!(rig.write(Write::CampaignDeleted(ONE)).await);
    assert!(matches!(importer.finish().await, Err(ImportFailure::Store(StoreError::NotFound { .. }))));
}

#[tokio::test]
async fn a_lead_by_itself() {
    let rig = Rig::new().await;
    let lead = |phone: &str, zone: &str| NewLead {
        phone: Pii(phone.into()),
        time_zone: zone.into(),
        first_name: Pii("Ada".into()),
        ..NewLead::default()
    };
    let added = rig.store.add_lead(ONE, "web", "US", lead("415 555 0100", "")).await.unwrap();
    assert_eq!(
        (added.id, added.phone.as_str(), added.time_zone.as_str()),
        (LeadId(1), "+14155550100", "America/Los_Angeles")
    );
    let again = rig.store.add_lead(ONE, "web", "US", lead("+14155550100", "")).await;
    assert!(matches!(again, Err(StoreError::Exists { .. })));
    for (phone, zone, field) in
        [("911", "", "phone"), ("+18505550100", "", "time_zone"), ("+14155550101", "Mars", "time_zone")]
    {
        let refused = rig.store.add_lead(ONE, "", "US", lead(phone, zone)).await;
        assert!(matches!(&refused, Err(StoreError::Invalid { field: f, .. }) if *f == field), "{refused:?}");
    }
    assert!(rig.store.add_lead(ONE, "", "US", lead("+18505550100", "America/Chicago")).await.is_ok());
}

#[tokio::test]
async fn an_import_gives_way_to_who_waits() {
    let rig = Rig::new().await;
    let list = rig.store.list_named(ONE, "big").await.unwrap().id;
    let row = |n: u32| {
        let new = NewLead { phone: phone(n).into(), ..NewLead::default() };
        crate::lead::import::Row::from(new).check(Home::new("US")).unwrap()
    };
    let rows: Vec<_> = (0..600).map(row).collect();
    let insert = async |rows: &[_]| {
        let inserted = rig.store.insert(ONE, list, Dedupe::Campaign, rows, Durability::Later).await;
        inserted.unwrap()
    };
    rig.store.inner.waiting.store(1, Relaxed);
    assert_eq!(insert(&rows).await, (250, 250), "a statement, and then somebody else");
    rig.store.inner.waiting.store(0, Relaxed);
    assert_eq!(insert(&rows).await, (600, 350));
}

#[tokio::test]
async fn an_import_that_is_stopped_counts_what_is_there() {
    let rig = Rig::new().await;
    let mut importer = rig.store.importer(ONE, "", "US").await.unwrap();
    let mut csv = "phone\n".to_owned();
    for n in 0..20_010 {
        csv.push_str(&phone(n));
        csv.push('\n');
    }
    importer.feed(csv.as_bytes()).await.unwrap();
    importer.stop().await.unwrap();
    assert_eq!((importer.report().rows, importer.report().imported), (20_000, 20_000));
    assert_eq!(rig.lead(20_000).await.phone.as_str(), phone(19_999));
    assert_eq!(rig.store.lead(LeadId(20_001)).await.unwrap(), None);
}

#[tokio::test]
async fn the_log_is_folded_beside_the_writes() {
    let mut rig = Rig::new().await;
    rig.leads(1_000).await;
    rig.store.fold_if_long(1).await;
    // It begins again with the next commit.
    assert!(rig.write(new_try(1, 1, 1)).await);
    let mut reader = rig.store.inner.readers.acquire().await.unwrap();
    let (_, pages, _): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(NOOP)").fetch_one(&mut *reader).await.unwrap();
    assert!((1..40).contains(&pages), "{pages} pages in the log");
    assert_eq!(rig.lead(1_000).await.phone.as_str(), phone(999));
}
