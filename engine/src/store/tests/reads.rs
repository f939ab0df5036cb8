//! Pages.

use super::*;

#[tokio::test]
async fn leads_by_pages() {
    let mut rig = Rig::new().await;
    rig.leads(25).await;
    for id in [3, 13, 23] {
        assert!(rig.write(Write::Lead(change(id, LeadStatus::Done, 1))).await);
    }
    let mut filter = LeadFilter { limit: 10, ..LeadFilter::default() };
    let mut ids = Vec::new();
    loop {
        let page = rig.store.leads(ONE, filter).await.unwrap();
        ids.extend(page.items.iter().map(|l| l.id.0));
        match page.next {
            Some(next) => filter.after = Some(LeadId(next)),
            None => break,
        }
    }
    assert_eq!(ids, (1..=25).collect::<Vec<_>>());
    let done = LeadFilter { status: Some(LeadStatus::Done), limit: 2, ..LeadFilter::default() };
    let page = rig.store.leads(ONE, done).await.unwrap();
    assert_eq!((page.items.iter().map(|l| l.id.0).collect::<Vec<_>>(), page.next), (vec![3, 13], Some(13)));
    assert_eq!(rig.store.leads(CampaignId(2), filter).await.unwrap().items, []);
}

#[tokio::test]
async fn leads_of_several_lists_by_pages() {
    let rig = Rig::new().await;
    // The lists take turns, with more and fewer leads.
    for turn in 0..9u32 {
        let mut csv = "phone\n".to_owned();
        for n in 0..=turn % 4 {
            csv += &format!("{}\n", phone(10 * turn + n));
        }
        let list = ["a", "b", "c"][turn as usize % 3];
        let mut importer = rig.store.importer(ONE, list, "US").await.unwrap();
        importer.feed(csv.as_bytes()).await.unwrap();
        importer.finish().await.unwrap();
    }
    let lists = rig.store.lists(ONE).await.unwrap();
    let all = LeadFilter { limit: 100, ..LeadFilter::default() };
    for list in [None, Some(lists[1].id)] {
        let filter = LeadFilter { list, ..all };
        let whole: Vec<i64> =
            rig.store.leads(ONE, filter).await.unwrap().items.iter().map(|lead| lead.id.0).collect();
        assert_eq!(whole.len(), if list.is_none() { 21 } else { 7 }, "{whole:?}");
        for limit in [1, 2, 5] {
            let mut filter = LeadFilter { limit, ..filter };
            let mut ids = Vec::new();
            for _ in 0..=whole.len() {
                let page = rig.store.leads(ONE, filter).await.unwrap();
                ids.extend(page.items.iter().map(|lead| lead.id.0));
                filter.after = page.next.map(LeadId);
                if filter.after.is_none() {
                    break;
                }
            }
            assert_eq!(ids, whole, "pages of {limit}");
        }
    }
    let of_another = LeadFilter { list: Some(lists[0].id), ..all };
    assert_eq!(rig.store.leads(CampaignId(2), of_another).await.unwrap().items, []);
}

#[tokio::test]
async fn calls_by_pages() {
    let mut rig = Rig::new().await;
    rig.leads(10).await;
    for id in 1..=10 {
        assert!(rig.write(new_try(id, 1, id)).await);
        if id % 2 == 0 {
            assert!(rig.write(connected(id, false)).await);
        }
        let outcome = if id % 2 == 0 { Outcome::Connected } else { Outcome::Busy };
        assert!(rig.write(ended(id, outcome, change(id, LeadStatus::Done, 1))).await);
    }
    let ids = async |filter: CallFilter| {
        let page = rig.store.calls(filter).await.unwrap();
        (page.items.iter().map(|c| c.id.0).collect::<Vec<_>>(), page.next)
    };
    let all = CallFilter { limit: 4, ..CallFilter::default() };
    assert_eq!(ids(all).await, (vec![10, 9, 8, 7], Some(7)));
    assert_eq!(ids(CallFilter { before: Some(AttemptId(3)), ..all }).await, (vec![2, 1], None));
    assert_eq!(ids(CallFilter { agent: Some(AgentId(9)), ..all }).await, (vec![10, 8, 6, 4], Some(4)));
    let busy = CallFilter { outcome: Some(Outcome::Busy), campaign: Some(ONE), ..all };
    assert_eq!(ids(busy).await, (vec![9, 7, 5, 3], Some(3)));
    assert_eq!(ids(CallFilter { campaign: Some(CampaignId(2)), ..all }).await, (vec![], None));
    assert_eq!(ids(CallFilter { agent: Some(AgentId(1)), ..all }).await, (vec![], None));
    assert_eq!(rig.store.call(AttemptId(99)).await.unwrap(), None);
}

/// Pages of large tables: each filter has its index.
#[tokio::test]
async fn pages_sort_nothing() {
    let rig = Rig::new().await;
    let mut conn = rig.store.inner.readers.acquire().await.unwrap();
    for (sql, index) in [
        (
            "SELECT * FROM attempts WHERE id < 5 AND campaign = 1 ORDER BY id DESC LIMIT 9",
            "attempts_campaign",
        ),
        ("SELECT * FROM attempts WHERE id < 5 AND agent = 1 ORDER BY id DESC LIMIT 9", "attempts_agent"),
        ("SELECT * FROM attempts WHERE outcome IS NULL", "attempts_open"),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&mut *conn).await.unwrap();
        assert!(plan[0].3.contains(index), "{sql}: {plan:?}");
        assert!(!plan.iter().any(|step| step.3.contains("TEMP B-TREE")), "{sql}: {plan:?}");
    }
    // What is sorted of leads is a page of each status of a list.
    let mut sql = sqlx::QueryBuilder::new("EXPLAIN QUERY PLAN ");
    leads::push_first(&mut sql, 1, &LeadStatus::ALL, (5, 100), 9);
    let plan: Vec<(i64, i64, i64, String)> = sql.build_query_as().fetch_all(&mut *conn).await.unwrap();
    let reads: Vec<_> = plan.iter().filter(|step| step.3.contains(" leads")).collect();
    assert_eq!(reads.len(), LeadStatus::ALL.len(), "{plan:?}");
    assert!(
        reads.iter().all(|step| step.3.starts_with("SEARCH") && step.3.contains("leads_list")),
        "{plan:?}"
    );
}
