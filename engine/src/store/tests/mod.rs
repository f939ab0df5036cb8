//! What every database under the store must do. The tests know it only by [`Place`], so that another one can join.

mod answers;
mod crash;
mod faults;
mod imports;
mod lists;
mod numbers;
mod people;
mod reads;
mod trunks;
mod writes;

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::{
    AgentId, AttemptId, Campaign, CampaignId, CampaignSettings, CampaignStatus, Lead, LeadAnswer, LeadChange,
    LeadId, LeadStatus, NewTry, Outcome, Pii, TrunkId, TryId, Write,
};

/// The campaign most tests use.
const ONE: CampaignId = CampaignId(1);
/// A Sunday in November.
const NOW: i64 = 1_763_899_200_000;

/// Where a database lives for one test.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Place {
        Place { dir: TempDir::new().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("kraliki.db")
    }

    async fn open(&self) -> Store {
        Store::open(&self.path()).await.unwrap()
    }
}

/// A store with its writer running and campaign 1 in it.
struct Rig {
    place: Place,
    store: Store,
    writer: Writer,
    events: mpsc::UnboundedReceiver<StoreEvent>,
    task: JoinHandle<()>,
    tokens: u64,
}

impl Rig {
    async fn new() -> Rig {
        let mut rig = Rig::at(Place::new()).await;
        let put = rig.write(Write::Campaign(Box::new(campaign(1)))).await;
        assert!(put);
        rig
    }

    async fn at(place: Place) -> Rig {
        let store = place.open().await;
        let (send, events) = mpsc::unbounded_channel();
        let (writer, task) = store.writer(10_000, move |event| {
            let _ = send.send(event);
        });
        Rig { place, store, writer, events, task: tokio::spawn(task.run()), tokens: 0 }
    }

    /// Without waiting for it.
    fn send(&self, token: Option<u64>, write: Write) {
        self.writer.try_send(Job::Write { token, write }).unwrap();
    }

    /// Whether it was committed.
    async fn write(&mut self, write: Write) -> bool {
        self.tokens += 1;
        let wanted = self.tokens;
        self.send(Some(wanted), write);
        match self.events.recv().await.unwrap() {
            StoreEvent::Committed { token } if token == wanted => true,
            StoreEvent::CommitFailed { token } if token == wanted => false,
            other => panic!("{other:?}"),
        }
    }

    async fn refill(&mut self, limit: u32, now_unix_ms: i64) -> (Vec<Lead>, Option<i64>) {
        self.writer.try_send(Job::Refill { campaign: ONE, limit, now_unix_ms }).unwrap();
        match self.events.recv().await.unwrap() {
            StoreEvent::Leads { campaign: ONE, leads, next_due_unix_ms } => (leads, next_due_unix_ms),
            other => panic!("{other:?}"),
        }
    }

    /// Leads 1 to n, numbers +1 415 555 0000 and up.
    async fn leads(&mut self, n: u32) {
        let mut csv = "phone\n".to_owned();
        for i in 0..n {
            csv.push_str(&phone(i));
            csv.push('\n');
        }
        let report = import(&self.store, &csv).await;
        assert_eq!((report.imported, report.rejected), (u64::from(n), 0), "{:?}", report.errors);
    }

    async fn lead(&self, id: i64) -> LeadRecord {
        self.store.lead(LeadId(id)).await.unwrap().unwrap()
    }

    async fn call(&self, id: i64) -> CallDetail {
        self.store.call(AttemptId(id)).await.unwrap().unwrap()
    }

    /// Ends the writer as a clean stop does.
    async fn stop(self) -> Place {
        drop(self.writer);
        self.task.await.unwrap();
        self.store.close().await;
        self.place
    }

    /// Ends everything at once; what was not committed is gone.
    async fn kill(self) -> Place {
        self.task.abort();
        let _ = self.task.await;
        self.store.inner.log.looked().await;
        drop((self.store, self.writer));
        self.place
    }
}

fn phone(i: u32) -> String {
    format!("+1415{:07}", 5_550_000 + i)
}

fn campaign(id: i64) -> Campaign {
    let settings = CampaignSettings { name: format!("Campaign {id}"), ..CampaignSettings::default() };
    Campaign { id: CampaignId(id), status: CampaignStatus::Running, settings }
}

async fn import(store: &Store, csv: &str) -> crate::ImportReport {
    let mut importer = store.importer(ONE, "", "US").await.unwrap();
    importer.feed(csv.as_bytes()).await.unwrap();
    importer.finish().await.unwrap()
}

fn try_id(attempt: i64, number: u32) -> TryId {
    TryId { attempt: AttemptId(attempt), number }
}

/// A try of lead `lead` by attempt `attempt`.
fn new_try(attempt: i64, number: u32, lead: i64) -> Write {
    Write::Try(NewTry {
        id: try_id(attempt, number),
        campaign: ONE,
        lead: LeadId(lead),
        trunk: TrunkId(1),
        phone: Pii("+14155550000".into()),
        caller_id: "+12025550100".into(),
        price: 60_000,
        at_unix_ms: NOW,
        crash_retry_unix_ms: NOW + 3_600_000,
        evidence: String::new(),
    })
}

fn change(lead: i64, status: LeadStatus, attempts: u32) -> LeadChange {
    LeadChange {
        lead: LeadId(lead),
        status,
        next_unix_ms: NOW + 600_000,
        attempts,
        last_outcome: Some(Outcome::Busy),
        repeats: 1,
        callback: None,
        phone: None,
    }
}

fn ended(attempt: i64, outcome: Outcome, lead: LeadChange) -> Write {
    Write::AttemptEnded { attempt: AttemptId(attempt), outcome, at_unix_ms: NOW + 20_000, talk_ms: 0, lead }
}

fn disposed(attempt: i64, code: &str, lead: LeadChange) -> Write {
    let (attempt, note) = (AttemptId(attempt), format!("note on {code}"));
    Write::Disposed { attempt, code: code.into(), note, at_unix_ms: NOW + 30_000, lead: Some(lead) }
}

fn answered(attempt: i64) -> Write {
    Write::Answered { id: try_id(attempt, 1), dialog: vec![7; 40], at_unix_ms: NOW + 5_000 }
}

fn connected(attempt: i64, late: bool) -> Write {
    let (attempt, agent) = (AttemptId(attempt), AgentId(9));
    Write::Connected { attempt, agent, at_unix_ms: NOW + 6_000, wait_ms: 1_000, late }
}
