//! An attempt goes on over another trunk when its own cannot take it, and nobody is dialed twice by that.

use super::*;
use crate::{CancelReason, Failure, Pii};

/// Trunk 1, for which trunk 3 and then trunk 2 stand in, with one running campaign, these leads and agent 1 ready.
fn floor(settings: CampaignSettings, leads: i64, change: impl FnOnce(&mut [Trunk])) -> Hand {
    let named = |id: i64| Trunk {
        id: TrunkId(id),
        name: format!("carrier-{id}"),
        caller_id: format!("+1202555010{id}"),
        ..trunk(100, 100)
    };
    let mut trunks = vec![named(1), named(2), named(3)];
    trunks[0].fail_over = vec![TrunkId(3), TrunkId(2)];
    change(&mut trunks);
    Hand::floor_on(trunks, settings, leads)
}

fn one_lead() -> Hand {
    floor(settings(), 1, |_| {})
}

fn status(status: u16) -> Failure {
    caused(status, None)
}

fn caused(status: u16, q850: Option<u16>) -> Failure {
    Failure::Status { status, q850, reason: String::new(), retry_after: None, rang: false }
}

const SILENCE: Failure = Failure::Timeout { rang: false };

impl Hand {
    /// The one dial that came out by now, and the trunk.
    fn dialed(&mut self) -> (Dial, i64) {
        let dials = self.dials();
        assert_eq!(dials.len(), 1, "{dials:?}");
        let trunk = dials[0].trunk.0;
        (dials[0].clone(), trunk)
    }

    fn fails(&mut self, id: TryId, failure: Failure) {
        self.line(id, LineEvent::Failed(failure));
    }

    /// Channels by trunk.
    fn channels(&self) -> Vec<u32> {
        self.engine.snapshot(self.now).trunks.iter().map(|trunk| trunk.channels).collect()
    }

    fn tries_ended(&self) -> Vec<(u32, Option<u16>, Option<u16>)> {
        let ends = self.out.iter().filter_map(|output| match output {
            Output::Store { write: Write::TryEnded { id, status, q850, .. }, .. } => {
                Some((id.number, *status, *q850))
            }
            _ => None,
        });
        ends.collect()
    }
}

fn second(id: TryId) -> TryId {
    TryId { number: 2, ..id }
}

#[test]
fn row_18_a_further_try_has_a_number_of_its_own_and_so_a_call_id_of_its_own() {
    let mut hand = one_lead();
    let id = hand.dial();
    assert_eq!(hand.channels(), [1, 0, 0]);
    hand.fails(id, caused(503, Some(34)));
    let (dial, trunk) = hand.dialed();
    assert_eq!((dial.id, trunk), (second(id), 3));
    let call_ids = kraliki_sip::CallIdKey::new(&[7; 32]);
    let call_id = |id: TryId| call_ids.make(id.attempt.0.unsigned_abs(), id.number);
    assert_ne!(call_id(id), call_id(dial.id));
    // Over another carrier, with the number that it knows; one channel is held at a time.
    assert_eq!((dial.caller_id.as_str(), &dial.phone), ("+12025550103", &lead(1).phone));
    assert_eq!((hand.channels(), hand.engine.counters().fail_overs), (vec![0, 0, 1], 1));
    assert_eq!(hand.call(id).unwrap().trunk, TrunkId(3));
    // The first try is over, with its causes; the attempt is not, and is one.
    assert_eq!((hand.tries_ended(), hand.endings().len()), (vec![(1, Some(503), Some(34))], 0));
    assert_eq!((hand.engine.counters().attempts, hand.engine.counters().dials), (1, 2));
    // What is late on the old line says nothing of the new one.
    let stray = hand.engine.counters().stray;
    hand.line(id, LineEvent::Ringing { early_media: false });
    hand.fails(id, status(486));
    assert_eq!((hand.engine.counters().stray, hand.call_state(id)), (stray + 2, CallState::Dialing));
    hand.line(dial.id, LineEvent::Ringing { early_media: false });
    hand.line(dial.id, LineEvent::FirstRtp);
    hand.answer(dial.id);
    assert!(hand.asked(&Output::Bridge { id: dial.id, agent: AgentId(1) }));
    hand.wait(Duration::from_secs(9));
    hand.far_hangup(dial.id);
    assert_eq!((hand.outcome(id), hand.channels()), (Outcome::Connected, vec![0, 0, 0]));
    hand.sound();
}

#[test]
fn row_18_a_further_try_is_written_before_it_is_sent() {
    let mut hand = one_lead();
    let id = hand.dial();
    hand.commits = false;
    hand.fails(id, status(503));
    hand.wait_ms(500);
    assert!(hand.dials().is_empty(), "nothing goes out that is not on disk");
    assert!(hand.call(id).is_some(), "and the call is on the screens all the while");
    hand.commits = true;
    let token = *hand.tokens.last().unwrap();
    hand.input(Input::Committed { token });
    assert_eq!(hand.dialed().0.id, second(id));
    // The ring time counts from the new dial.
    hand.wait_ms(24_900);
    assert!(!hand.asked(&Output::Cancel { id: second(id), reason: CancelReason::RingTimeout }));
    hand.wait_ms(200);
    assert!(hand.asked(&Output::Cancel { id: second(id), reason: CancelReason::RingTimeout }));
    hand.fails(second(id), Failure::Cancelled);
    assert_eq!(hand.outcome(id), Outcome::NoAnswer);
    hand.sound();
}

#[test]
fn row_18_a_further_try_that_is_not_sent_leaves_the_outcome_of_the_one_before() {
    // The disk does not take it.
    let mut hand = one_lead();
    let id = hand.dial();
    hand.commits = false;
    hand.fails(id, status(503));
    let tokens = std::mem::take(&mut hand.tokens);
    let (last, before) = tokens.split_last().unwrap();
    hand.input(Input::Committed { token: *before.last().unwrap() });
    hand.commits = true;
    hand.input(Input::CommitFailed { token: *last });
    assert_eq!((hand.outcome(id), hand.tries_ended()), (Outcome::Congestion, vec![(1, Some(503), None)]));
    assert_eq!((hand.endings()[0].2.status, hand.channels()), (LeadStatus::Retry, vec![0, 0, 0]));
    assert!(hand.dials().is_empty());
    // Its turn comes too late.
    let mut hand = one_lead();
    let id = hand.dial();
    hand.commits = false;
    hand.fails(id, status(503));
    let token = *hand.tokens.last().unwrap();
    hand.wait_ms(1_100);
    hand.commits = true;
    hand.input(Input::Committed { token });
    assert_eq!((hand.outcome(id), hand.dials().len()), (Outcome::Congestion, 0));
    assert_eq!(hand.tries_ended(), [(1, Some(503), None), (2, None, None)]);
    assert_eq!(hand.channels(), [0, 0, 0]);
    hand.sound();
    // SIP has no port for it.
    let mut hand = one_lead();
    let id = hand.dial();
    hand.fails(id, status(500));
    let (dial, _) = hand.dialed();
    hand.fails(dial.id, Failure::NotSent { reason: "no port".into() });
    assert_eq!((hand.outcome(id), hand.channels()), (Outcome::Congestion, vec![0, 0, 0]));
    let trunks = hand.engine.snapshot(hand.now).trunks;
    assert_eq!(trunks.iter().map(|t| t.failures).collect::<Vec<_>>(), [1, 0, 0], "no fault of that trunk");
    hand.sound();
}

#[test]
fn row_17_the_next_trunk_after_silence_and_after_statuses_of_the_carrier() {
    for failure in [SILENCE, status(408), status(500), status(502), status(503), status(504)] {
        let mut hand = one_lead();
        let id = hand.dial();
        hand.line(id, LineEvent::Trying);
        hand.fails(id, failure);
        assert_eq!(hand.dialed().1, 3);
        hand.sound();
    }
}

#[test]
fn row_17_never_after_a_word_on_the_called_person_or_the_number() {
    let rows = [
        (status(486), Outcome::Busy),
        (status(600), Outcome::Busy),
        (status(603), Outcome::Rejected),
        (status(607), Outcome::Unwanted),
        (status(608), Outcome::Blocked),
        (status(404), Outcome::Invalid),
        (status(480), Outcome::NoAnswer),
        // The telephone network says more than the status.
        (caused(503, Some(17)), Outcome::Busy),
        (caused(500, Some(1)), Outcome::Invalid),
        (caused(503, Some(19)), Outcome::NoAnswer),
        (caused(503, Some(21)), Outcome::Rejected),
    ];
    for (failure, outcome) in rows {
        // A list that the configuration would refuse changes nothing for the first five.
        let all = vec![408, 486, 500, 503, 600, 603, 607, 608];
        let mut hand = floor(settings(), 1, |trunks| trunks[0].fail_over_on = all);
        let id = hand.dial();
        hand.fails(id, failure);
        assert_eq!((hand.dials().len(), hand.outcome(id)), (0, outcome));
        hand.sound();
    }
}

#[test]
fn row_17_never_after_ringing_or_early_media() {
    for early_media in [false, true] {
        for failure in [status(503), status(408), SILENCE] {
            let mut hand = one_lead();
            let id = hand.dial();
            hand.line(id, LineEvent::Ringing { early_media });
            hand.wait_ms(500);
            let rings = failure != status(503);
            hand.fails(id, failure);
            let outcome = if rings { Outcome::NoAnswer } else { Outcome::Congestion };
            assert_eq!((hand.dials().len(), hand.outcome(id)), (0, outcome));
            hand.sound();
        }
    }
    // SIP saw it, and the engine did not.
    for failure in [Failure::Timeout { rang: true }, rang(408)] {
        let mut hand = one_lead();
        let id = hand.dial();
        hand.fails(id, failure);
        assert_eq!((hand.dials().len(), hand.outcome(id)), (0, Outcome::NoAnswer));
        hand.sound();
    }
}

fn rang(status: u16) -> Failure {
    Failure::Status { status, q850: None, reason: String::new(), retry_after: None, rang: true }
}

#[test]
fn row_17_never_when_we_took_the_call_back() {
    let mut hand = one_lead();
    let id = hand.dial();
    hand.wait(Duration::from_secs(26));
    hand.fails(id, status(503));
    assert_eq!((hand.dials().len(), hand.endings().len()), (0, 1));
    hand.sound();
    let mut hand = one_lead();
    let id = hand.dial();
    hand.command(Command::Hangup(id.attempt)).unwrap();
    hand.fails(id, status(503));
    assert!(hand.dials().is_empty());
    hand.sound();
    let mut hand = one_lead();
    let id = hand.dial();
    hand.command(Command::Drain { deadline: Duration::from_secs(5) }).unwrap();
    hand.fails(id, status(503));
    assert!(hand.dials().is_empty());
    hand.wait(Duration::from_secs(30));
    hand.finish(true);
    hand.sound();
}

#[test]
fn row_17_only_while_the_campaign_still_wants_the_call() {
    type Spoil = fn(&mut Hand);
    let spoils: [(&str, Spoil); 5] = [
        ("paused", |hand| drop(hand.command(Command::PauseCampaign(CampaignId(1))).unwrap())),
        ("nobody there", |hand| hand.input(Input::Agent { id: AgentId(1), event: AgentEvent::LegDown })),
        ("after hours", |hand| hand.input(Input::Clock { unix_ms: NOON + 9 * 3_600_000 })),
        ("suppressed", |hand| {
            let phone = Pii(lead(1).phone.0.clone());
            drop(hand.command(Command::Suppress { phone, reason: "asked".into(), campaign: None }).unwrap());
        }),
        ("by hand", |hand| {
            let settings = Box::new(CampaignSettings { mode: Mode::Manual, ..settings() });
            drop(hand.command(Command::UpdateCampaign { id: CampaignId(1), settings }).unwrap());
        }),
    ];
    for (why, spoil) in spoils {
        let mut hand = one_lead();
        let id = hand.dial();
        spoil(&mut hand);
        hand.fails(id, status(503));
        assert_eq!((hand.dials().len(), hand.outcome(id)), (0, Outcome::Congestion), "{why}");
        hand.sound();
    }
    // The same between the write and its turn; a command waits for a commit of its own.
    for (why, spoil) in spoils.into_iter().filter(|(why, _)| ["nobody there", "after hours"].contains(why)) {
        let mut hand = one_lead();
        let id = hand.dial();
        hand.commits = false;
        hand.fails(id, status(503));
        let token = *hand.tokens.last().unwrap();
        spoil(&mut hand);
        hand.commits = true;
        hand.input(Input::Committed { token });
        assert_eq!((hand.dials().len(), hand.outcome(id)), (0, Outcome::Congestion), "{why}");
        hand.sound();
    }
}

#[test]
fn row_17_in_the_order_of_the_first_trunk_s_list_until_all_have_failed() {
    // The lists of the others do not matter.
    let circle = |trunks: &mut [Trunk]| {
        trunks[1].fail_over = vec![TrunkId(1)];
        trunks[2].fail_over = vec![TrunkId(1)];
    };
    let mut hand = floor(settings(), 1, circle);
    let id = hand.dial();
    let (mut trunks, mut last) = (Vec::new(), id);
    for failure in [status(503), SILENCE] {
        hand.fails(last, failure);
        let (dial, trunk) = hand.dialed();
        trunks.push((dial.id.number, trunk));
        last = dial.id;
    }
    assert_eq!(trunks, [(2, 3), (3, 2)]);
    hand.fails(last, caused(504, Some(38)));
    assert!(hand.dials().is_empty());
    assert_eq!(hand.tries_ended(), [(1, Some(503), None), (2, None, None), (3, Some(504), Some(38))]);
    assert_eq!((hand.outcome(id), hand.channels()), (Outcome::Congestion, vec![0, 0, 0]));
    let failures: Vec<u32> = hand.engine.snapshot(hand.now).trunks.iter().map(|t| t.failures).collect();
    assert_eq!(failures, [1, 1, 1], "each trunk's breaker saw its own");
    hand.sound();
    // The last one knows more.
    let mut hand = one_lead();
    let id = hand.dial();
    hand.fails(id, status(503));
    let (dial, _) = hand.dialed();
    hand.fails(dial.id, status(404));
    assert_eq!((hand.outcome(id), hand.dials().len()), (Outcome::Invalid, 0));
    hand.sound();
}

#[test]
fn row_17_a_trunk_that_takes_no_call_is_passed_over() {
    // Down.
    let mut hand = floor(settings(), 1, |trunks| trunks[2].watched = true);
    let id = hand.dial();
    hand.fails(id, status(503));
    assert_eq!(hand.dialed().1, 2);
    hand.sound();
    // Resting.
    let mut hand = floor(settings(), 2, |trunks| trunks[2].breaker_failures = 1);
    let id = hand.dial();
    hand.fails(id, status(503));
    let (dial, _) = hand.dialed();
    hand.fails(dial.id, status(408));
    assert_eq!(hand.dialed().1, 2);
    hand.fails(TryId { number: 3, ..id }, status(486));
    let id = hand.dial();
    hand.fails(id, status(503));
    assert_eq!(hand.dialed().1, 2, "trunk 3 rests");
    hand.sound();
    // Full.
    let mut hand = floor(settings(), 1, |trunks| trunks[2].max_channels = 0);
    let id = hand.dial();
    hand.fails(id, status(503));
    assert_eq!(hand.dialed().1, 2);
    hand.sound();
    // Without a number to show; the campaign's own goes over every trunk.
    let mut hand = floor(settings(), 1, |trunks| trunks[2].caller_id.clear());
    let id = hand.dial();
    hand.fails(id, status(503));
    assert_eq!(hand.dialed().1, 2);
    let own = CampaignSettings { caller_id: "+12025550177".into(), ..settings() };
    let mut hand = floor(own, 1, |trunks| trunks[2].caller_id.clear());
    let id = hand.dial();
    hand.fails(id, status(503));
    let (dial, trunk) = hand.dialed();
    assert_eq!((dial.caller_id.as_str(), trunk), ("+12025550177", 3));
    hand.sound();
    // None at all.
    let mut hand = floor(settings(), 1, |trunks| trunks[0].fail_over.clear());
    let id = hand.dial();
    hand.fails(id, status(503));
    assert_eq!((hand.dials().len(), hand.outcome(id)), (0, Outcome::Congestion));
    hand.sound();
}

#[test]
fn row_17_the_other_trunk_s_calls_per_second_hold() {
    let power = CampaignSettings { mode: Mode::Power, lines_per_agent: 10.0, ..settings() };
    let mut hand = floor(power, 10, |trunks| {
        trunks[0].fail_over = vec![TrunkId(2)];
        trunks[1].max_cps = 4;
    });
    hand.wait_ms(300);
    let ids: Vec<TryId> = hand.dials().into_iter().map(|dial| dial.id).collect();
    assert_eq!(ids.len(), 10);
    let begun = hand.now;
    for id in &ids {
        hand.fails(*id, status(503));
    }
    let mut sent = Vec::new();
    while hand.now.since(begun) < Duration::from_secs(3) {
        sent.extend(hand.dials().into_iter().filter(|dial| dial.id.number == 2).map(|_| hand.now));
        hand.wait_ms(10);
    }
    let rest = hand.endings().iter().filter(|(_, outcome, _)| *outcome == Outcome::Congestion).count();
    assert!(sent.len() >= 2 && sent.windows(2).all(|two| two[1].since(two[0]) >= Duration::from_millis(250)));
    assert_eq!(sent.len() + rest, 10, "those for whom it has no room end as they failed");
    hand.sound();
}

#[test]
fn row_17_the_pacer_sees_one_line_and_a_call_by_hand_goes_on_too() {
    let mut hand = floor(settings(), 5, |_| {});
    let id = hand.dial();
    for number in 2..=3 {
        hand.fails(TryId { number: number - 1, ..id }, status(503));
        assert_eq!(hand.dialed().0.id, TryId { number, ..id });
        hand.wait(Duration::from_secs(2));
        assert!(hand.dials().is_empty(), "one idle agent, one line");
    }
    hand.sound();
    let manual = CampaignSettings { mode: Mode::Manual, ..settings() };
    let mut hand = floor(manual, 1, |_| {});
    let dial = Command::DialLead { agent: AgentId(1), campaign: CampaignId(1), lead: lead(1).id };
    hand.command(dial).unwrap();
    let id = hand.dial();
    hand.fails(id, status(503));
    let (dial, trunk) = hand.dialed();
    assert_eq!((dial.id, trunk), (second(id), 3));
    hand.line(dial.id, LineEvent::FirstRtp);
    hand.answer(dial.id);
    assert!(hand.asked(&Output::Bridge { id: dial.id, agent: AgentId(1) }));
    hand.sound();
}

#[test]
fn row_17_not_while_the_store_takes_nothing() {
    let mut hand = floor(settings(), 5, |_| {});
    let id = hand.dial();
    hand.agent_ready(2);
    hand.commits = false;
    hand.wait_ms(1_500); // another attempt waits for its commit
    hand.dials();
    hand.fails(id, status(503));
    let further =
        |o: &Output| matches!(o, Output::Store { write: Write::Try(new), .. } if new.id.number == 2);
    assert!(!hand.out.iter().any(further));
    assert_eq!(hand.outcome(id), Outcome::Congestion);
    hand.sound();
}
