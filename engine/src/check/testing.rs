//! What the checkers' own tests share: a hand that shows one checker a sequence.

use std::time::Duration;

use kraliki_time::Time;

use super::{Books, Check, End, Found};
use crate::testing::lead;
use crate::{
    AgentEvent, AgentId, AttemptId, Campaign, CampaignId, CampaignSettings, CampaignStatus, CancelReason,
    Command, CommandError, Dial, EndedBy, Failure, Gauges, Input, LeadChange, LeadId, LeadStatus, LineEvent,
    NewTry, Outcome, Output, Reply, Restore, RestoredCampaign, Snapshot, Trunk, TrunkId, TryId, Write,
};

/// 2026-11-18 12:00 in New York.
pub(super) const NOON: i64 = 1_795_021_200_000;

/// Shows one checker what happens.
pub(super) struct Hand<C> {
    pub(super) check: C,
    found: Found,
    pub(super) now: Time,
}

impl<C: Check + Default> Hand<C> {
    /// After a start with one running campaign, one trunk of 2 calls a second and 3 channels, and a second one of 1 and 1
    /// that takes what the first one cannot.
    pub(super) fn new(settings: CampaignSettings) -> Hand<C> {
        let mut hand = Hand { check: C::default(), found: Found::default(), now: Time::from_millis(1_000) };
        hand.input(&Input::Clock { unix_ms: NOON });
        hand.restore(settings);
        hand
    }

    pub(super) fn restore(&mut self, settings: CampaignSettings) {
        let campaign = Campaign { id: CampaignId(1), status: CampaignStatus::Running, settings };
        self.input(&Input::Restore(Box::new(Restore {
            trunks: vec![
                Trunk {
                    max_cps: 2,
                    max_channels: 3,
                    breaker_failures: 2,
                    fail_over: vec![TrunkId(2)],
                    ..Trunk::new(TrunkId(1), "carrier", "+12025550100")
                },
                Trunk { max_channels: 1, ..Trunk::new(TrunkId(2), "other", "+12025550102") },
            ],
            campaigns: vec![RestoredCampaign { campaign, ledger: Vec::new() }],
            next_campaign: 2,
            next_attempt: 1,
            ..Restore::default()
        })));
        self.input(&Input::Leads {
            campaign: CampaignId(1),
            leads: (1..=9).map(lead).collect(),
            next_due_unix_ms: None,
        });
    }

    pub(super) fn wait_ms(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    pub(super) fn input(&mut self, input: &Input) {
        self.check.input(self.now, input, &mut self.found);
    }

    pub(super) fn output(&mut self, output: &Output) {
        self.check.output(self.now, output, &mut self.found);
    }

    pub(super) fn gauges(&mut self, gauges: &Gauges) {
        self.check.gauges(self.now, gauges, &mut self.found);
    }

    pub(super) fn restarted(&mut self, books: &Books) {
        self.check.restarted(self.now, books, &mut self.found);
    }

    pub(super) fn finish(&mut self, snapshot: &Snapshot, books: Option<&Books>) {
        let end = End { snapshot, gauges: &Gauges::default(), books, drained: true };
        self.check.finish(self.now, &end, &mut self.found);
    }

    /// The violations so far; they are forgotten.
    pub(super) fn found(&mut self) -> Vec<String> {
        std::mem::take(&mut self.found.0)
    }

    /// Nothing was found; else what.
    pub(super) fn clean(&mut self) {
        assert_eq!(self.found(), [] as [String; 0]);
    }

    /// Exactly one violation was found, and it says this.
    pub(super) fn caught(&mut self, what: &str) {
        let found = self.found();
        assert!(found.len() == 1 && found[0].contains(what), "{found:?} is not one {what:?}");
    }

    pub(super) fn store(&mut self, token: u64, write: Write) {
        self.output(&Output::Store { token: Some(token), write });
    }

    /// The first try of an attempt on this lead is written, with this token.
    pub(super) fn write_try(&mut self, attempt: i64, lead_id: i64, token: u64) {
        self.write_further(id(attempt), lead_id, 1, token);
    }

    /// A try of an attempt on this lead is written, over this trunk, with this token.
    pub(super) fn write_further(&mut self, id: TryId, lead_id: i64, trunk: i64, token: u64) {
        let at_unix_ms = NOON + self.now.as_millis() as i64 - 1_000;
        self.store(
            token,
            Write::Try(NewTry {
                id,
                campaign: CampaignId(1),
                lead: LeadId(lead_id),
                trunk: TrunkId(trunk),
                phone: lead(lead_id).phone,
                caller_id: "+12025550100".into(),
                price: 0,
                at_unix_ms,
                crash_retry_unix_ms: at_unix_ms + 10_800_000,

                evidence: String::new(),
            }),
        );
    }

    pub(super) fn committed(&mut self, token: u64) {
        self.input(&Input::Committed { token });
    }

    pub(super) fn dial(&mut self, attempt: i64, lead_id: i64) {
        self.dial_over(id(attempt), lead_id, 1);
    }

    pub(super) fn dial_over(&mut self, id: TryId, lead_id: i64, trunk: i64) {
        self.output(&Output::Dial(Dial {
            id,
            trunk: TrunkId(trunk),
            phone: lead(lead_id).phone,
            caller_id: "+12025550100".into(),
            detect: false,
            others: false,
            hear_out: false,
        }));
    }

    /// Written, on disk, dialed.
    pub(super) fn call(&mut self, attempt: i64, lead_id: i64) {
        let token = attempt.unsigned_abs() * 10;
        self.write_try(attempt, lead_id, token);
        self.committed(token);
        self.dial(attempt, lead_id);
    }

    /// The second try of an attempt, over trunk 2: written, on disk, dialed.
    pub(super) fn call_on(&mut self, attempt: i64, lead_id: i64) {
        let token = attempt.unsigned_abs() * 10 + 5;
        self.write_further(second_of(attempt), lead_id, 2, token);
        self.committed(token);
        self.dial_over(second_of(attempt), lead_id, 2);
    }

    /// A try ended: told by the line, and written.
    pub(super) fn try_over(&mut self, id: TryId, failure: Failure) {
        let (status, q850) = match failure {
            Failure::Status { status, q850, .. } => (Some(status), q850),
            _ => (None, None),
        };
        self.input(&Input::Line { id, event: LineEvent::Failed(failure) });
        self.store(0, Write::TryEnded { id, status, q850, at_unix_ms: NOON });
    }

    pub(super) fn line(&mut self, attempt: i64, event: LineEvent) {
        self.input(&Input::Line { id: id(attempt), event });
    }

    pub(super) fn answer(&mut self, attempt: i64) {
        self.line(attempt, LineEvent::Answered { dialog: vec![], detecting: false });
    }

    pub(super) fn fail(&mut self, attempt: i64, status: u16) {
        self.line(attempt, LineEvent::Failed(self::status(status)));
    }

    pub(super) fn far_end(&mut self, attempt: i64) {
        self.line(attempt, LineEvent::Ended { by: EndedBy::Far, q850: None });
    }

    pub(super) fn leg(&mut self, agent: i64, event: AgentEvent) {
        self.input(&Input::Agent { id: AgentId(agent), event });
    }

    pub(super) fn bridge(&mut self, attempt: i64, agent: i64) {
        self.output(&Output::Bridge { id: id(attempt), agent: AgentId(agent) });
    }

    pub(super) fn cancel(&mut self, attempt: i64) {
        self.output(&Output::Cancel { id: id(attempt), reason: CancelReason::Pacing });
    }

    /// The outcome is written; the lead may be dialed again at once or not at all.
    pub(super) fn ended(&mut self, attempt: i64, outcome: Outcome, token: u64) {
        let lead = LeadChange {
            lead: LeadId(attempt),
            status: LeadStatus::Retry,
            next_unix_ms: NOON + 3_600_000,
            attempts: 1,
            last_outcome: Some(outcome),
            repeats: 1,
            callback: None,
            phone: None,
        };
        self.store(
            token,
            Write::AttemptEnded { attempt: AttemptId(attempt), outcome, at_unix_ms: NOON, talk_ms: 0, lead },
        );
    }

    pub(super) fn command(&mut self, reply: u64, command: Command) {
        self.input(&Input::Command { reply, command });
    }

    pub(super) fn reply(&mut self, reply: u64, result: Result<Reply, CommandError>) {
        self.output(&Output::Reply { reply, result });
    }
}

pub(super) fn id(attempt: i64) -> TryId {
    TryId { attempt: AttemptId(attempt), number: 1 }
}

pub(super) fn second_of(attempt: i64) -> TryId {
    TryId { number: 2, ..id(attempt) }
}

/// A final status before anything rang.
pub(super) fn status(status: u16) -> Failure {
    Failure::Status { status, q850: None, reason: String::new(), retry_after: None, rang: false }
}

/// Calls are allowed all day.
pub(super) fn all_day() -> CampaignSettings {
    CampaignSettings {
        compliance: "none".into(),
        name: "Spring".into(),
        calling_hours: vec![crate::CallingWindow {
            days: (1..=7).collect(),
            from: "00:00".into(),
            to: "24:00".into(),
        }],
        ..CampaignSettings::default()
    }
}
