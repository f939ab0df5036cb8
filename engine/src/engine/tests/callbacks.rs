//! What was promised to people, and why a lead is not dialed.

use super::*;
use crate::compliance::Past;
use crate::testing::phone;
use crate::{Callback, Mix, PreviewView, Prospect, Why};

const DUE: i64 = NOON - 1_000;

fn promised(id: i64, agent: Option<i64>) -> Lead {
    let mut lead = lead(id);
    lead.attempts = 1;
    lead.last_outcome = Some(Outcome::Connected);
    lead.callback = Some(Callback { agent: agent.map(AgentId), due_unix_ms: DUE });
    lead
}

impl Hand {
    fn preview_of(&self, agent: i64) -> Option<PreviewView> {
        let snapshot = self.engine.snapshot(self.now);
        snapshot
            .agents
            .into_iter()
            .find(|view| view.id == AgentId(agent))
            .and_then(|view| view.preview.map(|preview| *preview))
    }

    fn changed(&mut self) {
        self.command(Command::LeadsChanged(CampaignId(1))).unwrap();
        self.wait_ms(600);
    }

    fn why(&mut self, lead: &Lead, status: LeadStatus, next_unix_ms: i64) -> Why {
        let lead = Box::new(lead.clone());
        match self.command(Command::Why { lead, status, next_unix_ms }) {
            Ok(Reply::Why(why)) => *why,
            other => panic!("{other:?}"),
        }
    }

    /// The first rule that holds a lead, and what is to be expected.
    fn first(&mut self, lead: &Lead, status: LeadStatus, next_unix_ms: i64) -> (String, Prospect) {
        let why = self.why(lead, status, next_unix_ms);
        (why.reasons.first().map(|reason| reason.rule.clone()).unwrap_or_default(), why.prospect)
    }
}

#[test]
fn a_promise_waits_for_the_agent_who_gave_it_and_is_kept_from_their_screen() {
    let mut hand = Hand::floor(settings(), 0);
    hand.leads = vec![promised(5, Some(2))];
    hand.changed();
    assert!(hand.dials().is_empty(), "agent 1 did not promise it");
    hand.leads.push(lead(6));
    hand.changed();
    let id = hand.dial();
    assert_eq!(hand.call(id).unwrap().lead.id.0, 6, "others are dialed meanwhile");
    hand.agent_ready(2);
    hand.wait_ms(700);
    assert!(hand.preview_of(1).is_none());
    let preview = hand.preview_of(2).expect("it is on the screen of who promised it");
    assert_eq!((preview.lead.id.0, preview.lead.callback.unwrap().due_unix_ms), (5, DUE));
    hand.command(Command::DialPreview { agent: AgentId(2), lead: preview.lead.id }).unwrap();
    hand.wait_ms(200);
    let dials = hand.dials();
    let [dial] = &dials[..] else { panic!("{dials:?}") };
    hand.line(dial.id, LineEvent::FirstRtp);
    hand.answer(dial.id);
    hand.wait_ms(3_000);
    assert_eq!(hand.call(dial.id).unwrap().agent, Some(AgentId(2)));
    hand.far_hangup(dial.id);
    let (.., change) = hand.endings().pop().unwrap();
    assert_eq!((change.status, change.callback), (LeadStatus::Done, None), "it is kept");
    hand.sound();
}

#[test]
fn a_promise_that_nobody_keeps_is_anybody_s_after_its_wait() {
    let mut hand = Hand::floor(CampaignSettings { callback_wait_min: 5, ..settings() }, 0);
    hand.leads = vec![promised(5, Some(2))];
    hand.changed();
    hand.wait(Duration::from_secs(250));
    assert!(hand.dials().is_empty());
    hand.wait(Duration::from_secs(60));
    let id = hand.dial();
    assert_eq!(hand.call(id).unwrap().lead.id.0, 5);
    hand.line(
        id,
        LineEvent::Failed(crate::Failure::Status {
            status: 486,
            q850: None,
            reason: String::new(),
            retry_after: None,
            rang: true,
        }),
    );
    let (.., change) = hand.endings().pop().unwrap();
    assert_eq!((change.status, change.callback.unwrap().agent), (LeadStatus::Retry, Some(AgentId(2))));
    hand.sound();
}

#[test]
fn a_disposition_gives_a_promise_to_its_agent_or_to_anybody() {
    for (personal, agent) in [(true, Some(AgentId(1))), (false, None)] {
        let mut hand = Hand::floor(settings(), 3);
        let id = hand.talk();
        hand.far_hangup(id);
        let due_unix_ms = NOON + 3_600_000;
        let say = |code: &str, callback_unix_ms| Command::Dispose {
            call: id.attempt,
            code: code.into(),
            note: String::new(),
            callback_unix_ms,
            personal,
        };
        if personal {
            let error = hand.command(say("call_back", None)).unwrap_err();
            assert!(matches!(error, CommandError::Invalid { field, .. } if field == "personal"));
        }
        hand.command(say("call_back", Some(due_unix_ms))).unwrap();
        let written = hand.out.iter().rev().find_map(|output| match output {
            Output::Store { write: Write::Disposed { lead, .. }, .. } => lead.clone(),
            _ => None,
        });
        let change = written.unwrap();
        assert_eq!(change.callback, Some(Callback { agent, due_unix_ms }));
        assert_eq!((change.status, change.next_unix_ms), (LeadStatus::Retry, due_unix_ms));
    }
}

#[test]
fn each_kind_of_refusal_says_why() {
    use LeadStatus::{Done, New, Retry, Suppressed};
    use Prospect::{Never, Now, Soon, Waits};
    let mut hand = Hand::floor(CampaignSettings { mix: Mix::Even, ..settings() }, 0);
    let fresh = lead(40);
    let with = |hand: &mut Hand, change: fn(&mut Lead), status, next| {
        let mut lead = lead(41);
        change(&mut lead);
        hand.first(&lead, status, next)
    };
    let later = NOON + 3_600_000;
    assert_eq!(with(&mut hand, |_| {}, New, 0).1, Soon);
    assert_eq!(with(&mut hand, |_| {}, Suppressed, 0), ("suppressed".into(), Never));
    assert_eq!(with(&mut hand, |l| l.attempts = 2, Done, 0), ("done".into(), Never));
    assert_eq!(with(&mut hand, |l| l.attempts = 6, Done, 0), ("max_attempts".into(), Never));
    assert_eq!(with(&mut hand, |l| l.attempts = 6, Retry, 0), ("max_attempts".into(), Never));
    assert_eq!(
        with(&mut hand, |l| l.last_outcome = Some(Outcome::Busy), Retry, later),
        ("retry".into(), Waits)
    );
    assert_eq!(with(&mut hand, |_| {}, New, later), ("not_before".into(), Waits));
    let callback = |l: &mut Lead| *l = promised(41, Some(9));
    assert_eq!(with(&mut hand, callback, Retry, later), ("callback".into(), Waits));
    assert_eq!(with(&mut hand, |l| l.phone.0 = "0123".into(), New, 0), ("number".into(), Never));
    let zone = |l: &mut Lead| l.time_zone = "Mars/Base".into();
    assert_eq!(with(&mut hand, zone, New, 0), ("time_zone".into(), Never));
    let night = |l: &mut Lead| l.time_zone = "Asia/Tokyo".into();
    assert_eq!(with(&mut hand, night, New, 0), ("hours".into(), Waits));
    let elsewhere = |l: &mut Lead| l.campaign = CampaignId(9);
    assert_eq!(with(&mut hand, elsewhere, New, 0).1, Never);

    // Held ready: two before it.
    hand.command(Command::Pause { agent: AgentId(1), reason: "tea".into() }).unwrap();
    hand.leads = (1..=3).map(lead).collect();
    hand.changed();
    let why = hand.why(&lead(3), New, 0);
    assert_eq!((why.prospect, why.before), (Waits, Some(2)));
    let rules: Vec<&str> = why.reasons.iter().map(|reason| reason.rule.as_str()).collect();
    assert_eq!(rules[..2], ["no_agent", "hopper"], "{:?}", why.reasons);

    // On a line, and its number for another lead.
    hand.command(Command::Ready(AgentId(1))).unwrap();
    let id = hand.dial();
    let dialed = hand.call(id).unwrap().lead;
    assert_eq!(hand.first(&lead(dialed.id.0), New, 0), ("on_line".into(), Now));
    let mut other = fresh.clone();
    other.phone = dialed.phone;
    assert_eq!(hand.first(&other, New, 0), ("number_in_use".into(), Waits));

    hand.input(Input::Trunk { id: TrunkId(1), up: false });
    assert_eq!(hand.first(&fresh, New, 0), ("trunk".into(), Waits));
    hand.input(Input::Trunk { id: TrunkId(1), up: true });
    hand.command(Command::PauseCampaign(CampaignId(1))).unwrap();
    assert_eq!(hand.first(&fresh, New, 0), ("campaign_paused".into(), Waits));
    hand.command(Command::Suppress { phone: fresh.phone.clone(), reason: "asked".into(), campaign: None })
        .unwrap();
    assert_eq!(hand.first(&fresh, New, 0), ("suppressed".into(), Never));
    hand.command(Command::Drain { deadline: Duration::from_secs(60) }).unwrap();
    let why = hand.why(&lead(30), New, 0);
    assert!(why.reasons.iter().any(|reason| reason.rule == "draining"), "{:?}", why.reasons);
}

#[test]
fn a_number_s_attempts_of_all_campaigns_count_against_its_cap() {
    let mut restore = Restore {
        trunks: vec![trunk(100, 100)],
        campaigns: vec![restored(1, settings())],
        next_campaign: 3,
        next_attempt: 1,
        ..Restore::default()
    };
    let capped = CampaignSettings { name: "Capped".into(), max_attempts_24h: 2, ..settings() };
    restore.campaigns.push(restored(2, capped));
    let mut hand = Hand::new(restore);
    let mut other = lead(8);
    other.campaign = CampaignId(2);
    other.phone = lead(1).phone;
    other.recent =
        vec![Past { attempt: AttemptId(900), at_unix_ms: NOON - 3_600_000, abandoned_unix_ms: None }];
    assert_eq!(hand.first(&other, LeadStatus::New, 0).0, "no_agent", "one is less than two");
    hand.leads = vec![lead(1)];
    hand.changed();
    hand.agent_ready(1);
    let id = hand.dial();
    hand.line(id, LineEvent::Failed(crate::Failure::Timeout { rang: true }));
    let why = hand.why(&other, LeadStatus::New, 0);
    assert_eq!(why.reasons[0].rule, "max_attempts_24h", "{:?}", why.reasons);
    assert_eq!(why.reasons[0].next_unix_ms, Some(NOON + 23 * 3_600_000));
}

#[test]
fn a_suppressed_phone_is_passed_over_when_there_is_another() {
    let mut hand = Hand::floor(settings(), 0);
    let mut two = lead(5);
    two.phones = vec![phone(&two.phone), phone("+12025550999")];
    hand.command(Command::Suppress { phone: two.phone.clone(), reason: "asked".into(), campaign: None })
        .unwrap();
    hand.leads = vec![two];
    hand.changed();
    let written = hand.out.iter().find_map(|output| match output {
        Output::Store { write: Write::Lead(change), .. } => Some(change.clone()),
        _ => None,
    });
    let change = written.unwrap();
    assert_eq!((change.status, change.phone.unwrap().next.as_str()), (LeadStatus::New, "+12025550999"));
}
