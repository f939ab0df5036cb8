//! Lists: which leads are dialed next, and what is done to all of them; phones and callbacks.

use super::*;
use crate::{
    Callback, Comparison, Dedupe, ImportOptions, LeadPick, ListId, ListOrder, ListSettings, Mix, PhoneChange,
    PhoneStatus,
};

impl Rig {
    async fn import_into(&self, list: &str, csv: &str) -> ListId {
        let mut importer = self.store.importer(ONE, list, "US").await.unwrap();
        importer.feed(csv.as_bytes()).await.unwrap();
        let id = importer.list().unwrap();
        let report = importer.finish().await.unwrap();
        assert_eq!(report.rejected, 0, "{:?}", report.errors);
        id
    }

    async fn set(&self, id: ListId, change: impl FnOnce(&mut ListSettings)) {
        let mut settings = self.store.list(id).await.unwrap().unwrap().settings;
        change(&mut settings);
        self.store.update_list(id, &settings).await.unwrap();
        self.store.work_off().await.unwrap();
    }

    async fn mix(&mut self, mix: Mix) {
        let mut changed = campaign(1);
        changed.settings.mix = mix;
        assert!(self.write(Write::Campaign(Box::new(changed))).await);
    }

    async fn ids(&mut self, limit: u32) -> Vec<i64> {
        self.refill(limit, NOW).await.0.iter().map(|lead| lead.id.0).collect()
    }
}

/// Numbers from `n` on, with their priorities.
fn csv(n: u32, priorities: &[i32]) -> String {
    let rows = priorities.iter().zip(n..).map(|(priority, n)| format!("{},{priority}\n", phone(n)));
    format!("phone,priority\n{}", rows.collect::<String>())
}

#[tokio::test]
async fn each_order_of_a_list() {
    let mut rig = Rig::new().await;
    let list = rig.import_into("a", &csv(0, &[0, 7, 0, 3])).await;
    assert_eq!(rig.ids(9).await, [2, 4, 1, 3], "by priority");
    rig.set(list, |list| list.order = ListOrder::Imported).await;
    assert_eq!(rig.ids(9).await, [1, 2, 3, 4]);
    rig.set(list, |list| list.order = ListOrder::Newest).await;
    assert_eq!(rig.ids(9).await, [4, 3, 2, 1]);
    assert_eq!(rig.import_into("a", &csv(10, &[9])).await, list, "what comes later is arranged too");
    assert_eq!(rig.ids(2).await, [5, 4]);
    rig.set(list, |list| list.order = ListOrder::Random).await;
    let (first, mut all) = (rig.ids(9).await, rig.ids(9).await);
    assert_eq!(first, all, "its place is a lead's own");
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 5]);
    // Who waits for their time goes before who was never dialed, in every order.
    let due = LeadChange { next_unix_ms: NOW - 5, ..change(3, LeadStatus::Retry, 1) };
    assert!(rig.write(Write::Lead(due)).await);
    rig.set(list, |list| list.order = ListOrder::Imported).await;
    let (leads, _) = rig.refill(9, NOW).await;
    assert_eq!(leads.iter().map(|l| l.id.0).collect::<Vec<_>>(), [3, 1, 2, 4, 5]);
    assert!(leads.is_sorted_by(|a, b| a.turn < b.turn), "and the dialer keeps to it");
    rig.set(list, |list| list.order = ListOrder::Priority).await;
    let (leads, _) = rig.refill(9, NOW).await;
    assert!(leads.iter().all(|lead| lead.turn == 1), "here it may choose");
}

#[tokio::test]
async fn each_mix_of_lists() {
    let mut rig = Rig::new().await;
    let [a, b] =
        [rig.import_into("a", &csv(0, &[0; 40])).await, rig.import_into("b", &csv(100, &[5; 40])).await];
    assert!(rig.ids(50).await[..40].iter().all(|id| *id <= 40), "the older one first");
    rig.set(b, |list| list.priority = 1).await;
    assert!(rig.ids(40).await.iter().all(|id| *id > 40));
    let of_a = |ids: &[i64]| ids.iter().filter(|id| **id <= 40).count();
    rig.mix(Mix::Even).await;
    let ids = rig.ids(20).await;
    assert_eq!((ids.len(), of_a(&ids)), (20, 10));
    assert!(ids.windows(2).all(|two| of_a(two) == 1), "{ids:?}");
    rig.mix(Mix::Random).await;
    let random = of_a(&rig.ids(40).await);
    assert!((8..=32).contains(&random), "{random}");
    rig.mix(Mix::Weights).await;
    rig.set(a, |list| list.weight = 9).await;
    let weighted = of_a(&rig.ids(40).await);
    assert!((26..40).contains(&weighted), "{weighted}");
    // What one has not, the others make up for.
    rig.set(a, |list| list.enabled = false).await;
    assert_eq!(rig.ids(20).await.len(), 20);
    rig.set(b, |list| list.enabled = false).await;
    assert_eq!(rig.refill(20, NOW).await, (vec![], None), "nothing is left");
}

#[tokio::test]
async fn a_filter_leaves_leads_out_and_lets_them_in_again() {
    let mut rig = Rig::new().await;
    let text = "phone,time_zone,Plan\n+14155550000,America/Chicago,gold\n+14155550001,America/New_York,golden\n\
                +14155550002,America/New_York,\n+14155550003,Europe/Prague,it's \"x\"\n";
    let list = rig.import_into("a", text).await;
    let pick = |field: &str, comparison, value: &str| {
        Some(LeadPick { field: field.into(), comparison, value: value.into() })
    };
    for (filter, ids) in [
        (pick("custom.Plan", Comparison::Equals, "gold"), vec![1]),
        (pick("custom.Plan", Comparison::Prefix, "gold"), vec![1, 2]),
        (pick("custom.Plan", Comparison::Equals, "it's \"x\""), vec![4]),
        (pick("custom.No\"ne", Comparison::Prefix, "x"), vec![]),
        (pick("time_zone", Comparison::Prefix, "America/"), vec![1, 2, 3]),
        (pick("phone", Comparison::Equals, "+14155550002"), vec![3]),
        (None, vec![1, 2, 3, 4]),
    ] {
        rig.set(list, |list| list.filter = filter.clone()).await;
        assert_eq!(rig.ids(9).await, ids, "{filter:?}");
    }
    rig.set(list, |list| list.filter = pick("time_zone", Comparison::Equals, "Europe/Prague")).await;
    rig.import_into("a", "phone,time_zone\n+14155550009,Europe/Prague\n+14155550008,America/Chicago\n").await;
    assert_eq!(rig.ids(9).await, [4, 5]);
    assert!(rig.lead(6).await.left_out && !rig.lead(5).await.left_out);
    let counts = rig.store.list_counts(list).await.unwrap();
    assert_eq!(counts, [(LeadStatus::New, 6)].into(), "those that are left out are there");
}

#[tokio::test]
async fn a_reset_keeps_attempts_suppression_and_promises() {
    let mut rig = Rig::new().await;
    let list = rig.import_into("a", &csv(0, &[0; 7])).await;
    for (id, status, outcome) in [
        (1, LeadStatus::Done, Outcome::NoAnswer),
        (2, LeadStatus::Retry, Outcome::Busy),
        (3, LeadStatus::Suppressed, Outcome::Connected),
        (4, LeadStatus::Done, Outcome::Connected),
        (5, LeadStatus::Retry, Outcome::Abandoned),
    ] {
        let change = LeadChange { last_outcome: Some(outcome), ..change(id, status, 3) };
        assert!(rig.write(Write::Lead(change)).await);
    }
    let callback = Some(Callback { agent: Some(AgentId(9)), due_unix_ms: NOW + 600_000 });
    let promised = LeadChange { callback, ..change(6, LeadStatus::Retry, 1) };
    assert!(rig.write(Write::Lead(promised)).await);
    assert!(rig.write(new_try(1, 1, 7)).await);

    assert!(rig.store.reset_list(list, &[Outcome::NoAnswer]).await.unwrap().working);
    rig.store.work_off().await.unwrap();
    assert!(!rig.store.list(list).await.unwrap().unwrap().working);
    let standing = async |rig: &Rig| {
        let mut all = Vec::new();
        for id in 1..=7 {
            let lead = rig.lead(id).await;
            all.push((lead.status, lead.next_unix_ms > NOW));
        }
        all
    };
    use LeadStatus::{Dialing, Done, New, Retry, Suppressed};
    let after = standing(&rig).await;
    assert_eq!(after[0], (New, false));
    assert_eq!((after[1].0, after[3].0), (Retry, Done));
    rig.store.reset_list(list, &[]).await.unwrap();
    // A stop comes before the work is done: the next start does it.
    let place = rig.stop().await;
    let mut rig = Rig::at(place).await;
    for _ in 0..1_000 {
        if !rig.store.list(list).await.unwrap().unwrap().working {
            break;
        }
        assert!(rig.write(Write::Probe).await);
    }
    let after = standing(&rig).await;
    let statuses: Vec<LeadStatus> = after.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [New, New, Suppressed, New, Retry, Retry, Dialing]);
    assert!(after[4].1 && after[5].1, "who was abandoned, and who was promised a time, wait");
    assert_eq!((rig.lead(1).await.attempts, rig.lead(6).await.callback), (3, callback));
}

#[tokio::test]
async fn a_list_goes_with_its_leads_and_its_name_is_free() {
    let mut rig = Rig::new().await;
    let list = rig.import_into("a", "phone,phone2\n+14155550000,+14155550001\n").await;
    rig.import_into("b", &csv(5, &[0])).await;
    rig.store.delete_list(list).await.unwrap();
    assert_eq!(rig.ids(9).await, [2]);
    assert_eq!(rig.store.lists(ONE).await.unwrap().len(), 1);
    assert!(matches!(rig.store.delete_list(list).await, Err(StoreError::NotFound { what: "list", .. })));
    rig.store.work_off().await.unwrap();
    assert_eq!(rig.store.lead(LeadId(1)).await.unwrap(), None);
    let again = rig.import_into("a", &csv(0, &[0])).await;
    assert_ne!(again, list);
    let twice =
        rig.store.create_list(ONE, &ListSettings { name: "a".into(), ..ListSettings::default() }).await;
    assert!(matches!(twice, Err(StoreError::Exists { .. })));
    let missing = rig.store.update_list(list, &ListSettings::default()).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn promises_are_kept_first_but_not_by_lists_that_are_not_dialed() {
    let mut rig = Rig::new().await;
    let list = rig.import_into("a", &csv(0, &[9, 0, 0])).await;
    for (id, agent, due) in [(2, Some(AgentId(9)), NOW), (3, None, NOW - 60_000)] {
        let callback = Some(Callback { agent, due_unix_ms: due });
        let change = LeadChange { callback, next_unix_ms: due, ..change(id, LeadStatus::Retry, 1) };
        assert!(rig.write(Write::Lead(change)).await);
    }
    let (leads, _) = rig.refill(9, NOW).await;
    assert_eq!(leads.iter().map(|l| l.id.0).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(leads[1].callback, Some(Callback { agent: Some(AgentId(9)), due_unix_ms: NOW }));
    assert_eq!(rig.ids(2).await, [3, 1], "they leave room for others");
    assert!(rig.write(Write::Lead(change(1, LeadStatus::Done, 1))).await);
    assert_eq!(rig.refill(9, NOW - 70_000).await, (vec![], Some(NOW - 60_000)));
    let mine = rig.store.callbacks(ONE, Some(AgentId(9)), 10).await.unwrap();
    assert_eq!(mine.iter().map(|lead| lead.id.0).collect::<Vec<_>>(), [2]);
    let all = rig.store.callbacks(ONE, None, 10).await.unwrap();
    assert_eq!(all.iter().map(|lead| lead.id.0).collect::<Vec<_>>(), [3, 2]);
    rig.set(list, |list| list.enabled = false).await;
    assert_eq!(rig.refill(9, NOW).await, (vec![], None));
}

#[tokio::test]
async fn a_lead_goes_on_with_its_other_phones() {
    let mut rig = Rig::new().await;
    rig.store.suppress("+14155550001", "asked us", NOW).await.unwrap();
    let text =
        "phone,mobile,work phone\n+14155550000,+14155550001,+14155550002\n+14155550001,+14155550005,\n";
    rig.import_into("a", text).await;
    let (leads, _) = rig.refill(9, NOW).await;
    let dialed: Vec<&str> = leads.iter().map(|lead| lead.phone.as_str()).collect();
    assert_eq!(dialed, ["+14155550000", "+14155550005"], "not the one that asked");
    let kinds: Vec<_> = leads[0].phones.iter().map(|p| (p.kind.as_str(), p.status)).collect();
    use PhoneStatus::{Invalid, Ok, Suppressed};
    assert_eq!(kinds, [("phone", Ok), ("mobile", Suppressed), ("work", Ok)]);

    let tried = |phone: &str, status, next: &str| LeadChange {
        phone: Some(PhoneChange { tried: Pii(phone.into()), counted: true, status, next: Pii(next.into()) }),
        next_unix_ms: NOW,
        ..change(1, LeadStatus::Retry, 1)
    };
    assert!(rig.write(new_try(1, 1, 1)).await);
    let ended = ended(1, Outcome::Invalid, tried("+14155550000", Some(Invalid), "+14155550002"));
    assert!(rig.write(ended.clone()).await);
    assert!(rig.write(ended).await, "a second outcome changes nothing");
    let lead = rig.lead(1).await;
    assert_eq!(lead.dial, Some(Pii("+14155550002".into())));
    assert_eq!((lead.phones[0].attempts, lead.phones[0].status), (1, Invalid));
    // A phone that is not to be called is never the next one, whatever a late write says.
    assert!(rig.write(Write::Lead(tried("+14155550002", None, "+14155550001"))).await);
    assert_eq!(rig.lead(1).await.dial, Some(Pii("+14155550002".into())));
    rig.store.suppress("+14155550002", "asked us", NOW).await.unwrap();
    assert_eq!(rig.lead(1).await.status, LeadStatus::Suppressed, "none is left");
    assert_eq!(rig.lead(2).await.status, LeadStatus::New);
}

#[tokio::test]
async fn what_counts_as_there_already() {
    let mut rig = Rig::new().await;
    assert!(rig.write(Write::Campaign(Box::new(campaign(2)))).await);
    let two = CampaignId(2);
    let read = async |campaign, list: &str, dedupe, dry_run| {
        let options = ImportOptions { dedupe, dry_run, ..ImportOptions::default() };
        let mut importer = rig.store.importer_with(campaign, list, "US", options).await.unwrap();
        importer.feed(csv(0, &[0, 0]).as_bytes()).await.unwrap();
        importer.feed(format!("{},1\n", phone(1)).as_bytes()).await.unwrap();
        let report = importer.finish().await.unwrap();
        (report.imported, report.duplicates)
    };
    assert_eq!(read(ONE, "a", Dedupe::Campaign, true).await, (2, 1));
    assert_eq!(rig.store.lists(ONE).await.unwrap(), [], "a dry run writes nothing");
    assert_eq!(read(ONE, "a", Dedupe::Campaign, false).await, (2, 1));
    assert_eq!(read(ONE, "b", Dedupe::Campaign, true).await, (0, 3));
    assert_eq!(read(ONE, "b", Dedupe::Campaign, false).await, (0, 3));
    assert_eq!(read(ONE, "b", Dedupe::List, false).await, (2, 1));
    assert_eq!(read(two, "c", Dedupe::System, true).await, (0, 3));
    assert_eq!(read(two, "c", Dedupe::System, false).await, (0, 3));
    assert_eq!(read(two, "c", Dedupe::Campaign, false).await, (2, 1));
}

#[tokio::test]
async fn a_place_in_the_queue_is_counted_to_a_bound() {
    let mut rig = Rig::new().await;
    rig.import_into("a", &csv(0, &[0; 30])).await;
    rig.import_into("b", &csv(100, &[0, 5, 0])).await;
    let place = async |rig: &Rig, id| {
        let place = rig.store.queue_place(&rig.lead(id).await, NOW).await.unwrap();
        (place.before, place.more)
    };
    assert_eq!(place(&rig, 1).await, (0, false));
    assert_eq!(place(&rig, 30).await, (29, false));
    assert_eq!((place(&rig, 32).await, place(&rig, 31).await), ((30, false), (31, false)));
    rig.mix(Mix::Even).await;
    assert_eq!(place(&rig, 33).await, (2, false), "in its own list");
    // Who waits for a later time is before nobody; who is due is before who was never dialed.
    let waits = LeadChange { next_unix_ms: NOW + 1, ..change(1, LeadStatus::Retry, 1) };
    assert!(rig.write(Write::Lead(waits)).await);
    let due = LeadChange { next_unix_ms: NOW, ..change(29, LeadStatus::Retry, 1) };
    assert!(rig.write(Write::Lead(due)).await);
    assert_eq!((place(&rig, 29).await, place(&rig, 2).await), ((0, false), (1, false)));
    let many: String = (1_000..11_200).map(|n| format!("{}\n", phone(n))).collect();
    rig.import_into("a", &format!("phone\n{many}")).await;
    assert_eq!(place(&rig, 10_200).await, (10_000, true));
}
