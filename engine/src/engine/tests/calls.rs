//! The life of single calls.

use super::*;
use crate::{CancelReason, Failure, LeadId, LeadStatus, Pii, Verdict};

fn failed(status: u16, q850: Option<u16>, rang: bool) -> LineEvent {
    LineEvent::Failed(Failure::Status { status, q850, reason: String::new(), retry_after: None, rang })
}

#[test]
fn written_before_sent_and_bridged_at_once() {
    let mut hand = Hand::floor(settings(), 3);
    let id = hand.talk();
    assert_eq!(hand.agent_state(1), AgentState::Talking);
    let call = hand.call(id).unwrap();
    assert_eq!((call.state, call.agent), (CallState::Talking, Some(AgentId(1))));
    assert!(hand.asked(&Output::Bridge { id, agent: AgentId(1) }));
    hand.wait(Duration::from_secs(60));
    hand.far_hangup(id);
    assert_eq!(hand.outcome(id), Outcome::Connected);
    assert_eq!(hand.agent_state(1), AgentState::WrapUp);
    let counters = hand.engine.counters();
    assert!(
        (11_800..=12_300).contains(&counters.bridge_us.quantile(0.5)),
        "{}",
        counters.bridge_us.quantile(0.5)
    );
    assert_eq!((counters.wait_ms.len(), counters.wait_ms.quantile(1.0)), (1, 0));
    assert!(hand.dials().is_empty(), "one line per idle agent");
    hand.sound();
}

#[test]
fn nothing_is_sent_before_its_commit_nor_a_second_after() {
    let mut hand = Hand::floor(settings(), 1);
    hand.dial();
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(100, 100)],
        campaigns: vec![restored(1, settings())],
        next_campaign: 2,
        next_attempt: 1,
        ..Restore::default()
    });
    hand.leads = vec![lead(1)];
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    hand.wait_ms(500);
    hand.commits = false;
    hand.agent_ready(1);
    hand.wait_ms(900);
    assert!(hand.dials().is_empty());
    let token = *hand.tokens.last().unwrap();
    hand.wait_ms(400);
    hand.commits = true;
    hand.input(Input::Committed { token });
    let endings = hand.endings();
    assert_eq!(endings.len(), 1);
    assert_eq!(
        (endings[0].1, endings[0].2.status, endings[0].2.attempts),
        (Outcome::NotSent, LeadStatus::New, 0)
    );
    // The lead is back at once.
    let id = hand.dial();
    assert_eq!(id.attempt, AttemptId(2));
    hand.sound();
}

#[test]
fn a_line_that_rings_too_long_is_taken_back() {
    let mut hand = Hand::floor(settings(), 1);
    let id = hand.dial();
    hand.wait(Duration::from_secs(14));
    hand.line(id, LineEvent::Ringing { early_media: false });
    hand.wait(Duration::from_secs(14));
    assert!(!hand.asked(&Output::Cancel { id, reason: CancelReason::RingTimeout }), "it rings 15 s at least");
    hand.wait(Duration::from_secs(2));
    assert!(hand.asked(&Output::Cancel { id, reason: CancelReason::RingTimeout }));
    hand.line(id, LineEvent::Failed(Failure::Cancelled));
    assert_eq!(hand.outcome(id), Outcome::NoAnswer);
    hand.sound();
}

#[test]
fn a_200_that_crosses_our_cancel_is_a_person() {
    let mut hand = Hand::floor(settings(), 1);
    let id = hand.dial();
    hand.wait(Duration::from_secs(26));
    assert!(hand.asked(&Output::Cancel { id, reason: CancelReason::RingTimeout }));
    hand.line(id, LineEvent::FirstRtp);
    hand.answer(id);
    assert!(hand.asked(&Output::Bridge { id, agent: AgentId(1) }));
    hand.wait(Duration::from_secs(5));
    hand.far_hangup(id);
    assert_eq!(hand.outcome(id), Outcome::Connected);
    hand.sound();
}

#[test]
fn failures_by_the_table_and_their_retries() {
    let rows = [
        (failed(486, Some(17), true), Outcome::Busy, LeadStatus::Retry, 1),
        (failed(404, None, false), Outcome::Invalid, LeadStatus::Done, 1),
        (failed(503, None, false), Outcome::Congestion, LeadStatus::Retry, 0),
        (failed(607, None, true), Outcome::Unwanted, LeadStatus::Suppressed, 1),
        (LineEvent::Failed(Failure::Timeout { rang: false }), Outcome::Congestion, LeadStatus::Retry, 0),
        (LineEvent::Failed(Failure::NotSent { reason: String::new() }), Outcome::NotSent, LeadStatus::New, 0),
    ];
    for (event, outcome, status, attempts) in rows {
        let mut hand = Hand::floor(settings(), 1);
        let id = hand.dial();
        hand.line(id, event);
        let endings = hand.endings();
        assert_eq!((endings[0].1, endings[0].2.status, endings[0].2.attempts), (outcome, status, attempts));
        let suppressed =
            hand.out.iter().any(|o| matches!(o, Output::Store { write: Write::Suppress { .. }, .. }));
        assert_eq!(suppressed, outcome == Outcome::Unwanted);
        hand.sound();
    }
}

#[test]
fn nobody_in_time_is_abandoned_with_the_message() {
    let mut hand = Hand::floor(CampaignSettings { mode: Mode::Power, lines_per_agent: 2.0, ..settings() }, 2);
    hand.wait_ms(300);
    let ids: Vec<TryId> = hand.dials().into_iter().map(|dial| dial.id).collect();
    assert_eq!(ids.len(), 2);
    for id in &ids {
        hand.line(*id, LineEvent::FirstRtp);
        hand.answer(*id);
    }
    assert_eq!(hand.call_state(ids[1]), CallState::Waiting);
    hand.wait_ms(1_999);
    assert_eq!(hand.call_state(ids[1]), CallState::Waiting);
    hand.wait_ms(2);
    assert_eq!(hand.call_state(ids[1]), CallState::Message);
    assert!(hand.asked(&Output::Play {
        id: ids[1],
        campaign: CampaignId(1),
        what: crate::Message::Abandoned
    }));
    hand.wait_ms(4_000);
    hand.line(ids[1], LineEvent::PlayDone);
    assert!(hand.asked(&Output::Hangup { id: ids[1] }));
    assert_eq!(hand.outcome(ids[1]), Outcome::Abandoned);
    hand.line(ids[1], LineEvent::Ended { by: EndedBy::Near, q850: None });
    let view = &hand.engine.snapshot(hand.now).campaigns[0];
    assert_eq!((view.answered, view.abandoned), (2, 1));
    hand.sound();
}

#[test]
fn who_waits_longest_goes_first_and_the_wait_is_measured() {
    let mut hand = Hand::floor(CampaignSettings { mode: Mode::Power, lines_per_agent: 3.0, ..settings() }, 3);
    hand.wait_ms(200);
    let ids: Vec<TryId> = hand.dials().into_iter().map(|dial| dial.id).collect();
    hand.command(Command::Pause { agent: AgentId(1), reason: "coffee".into() }).unwrap();
    for id in &ids {
        hand.line(*id, LineEvent::FirstRtp);
        hand.answer(*id);
        hand.wait_ms(100);
    }
    hand.command(Command::Ready(AgentId(1))).unwrap();
    assert!(hand.asked(&Output::Bridge { id: ids[0], agent: AgentId(1) }));
    assert!((298..=302).contains(&hand.engine.counters().wait_ms.quantile(1.0)));
    // The second is gone before anybody is free.
    hand.wait_ms(1_200);
    hand.far_hangup(ids[1]);
    assert_eq!(hand.outcome(ids[1]), Outcome::CallerHangup);
    hand.wait_ms(5_000);
    assert_eq!(hand.call_state(ids[2]), CallState::Message);
    hand.sound();
}

#[test]
fn bridged_later_than_the_grace_is_late() {
    let mut hand = Hand::floor(CampaignSettings { mode: Mode::Power, lines_per_agent: 2.0, ..settings() }, 2);
    hand.wait_ms(300);
    let ids: Vec<TryId> = hand.dials().into_iter().map(|dial| dial.id).collect();
    for id in &ids {
        hand.line(*id, LineEvent::FirstRtp);
        hand.answer(*id);
    }
    // The agent is free when the timer is due but was not handled yet.
    hand.now += Duration::from_millis(2_100);
    hand.far_hangup(ids[0]);
    let dispose = Command::Dispose {
        call: ids[0].attempt,
        code: "sale".into(),
        note: String::new(),
        callback_unix_ms: None,
        personal: false,
    };
    hand.command(dispose).unwrap();
    hand.command(Command::Ready(AgentId(1))).unwrap();
    let late = |o: &Output| matches!(o, Output::Store { write: Write::Connected { late: true, .. }, .. });
    assert!(hand.out.iter().any(late));
    let view = &hand.engine.snapshot(hand.now).campaigns[0];
    assert_eq!((view.answered, view.abandoned), (2, 1), "in the ledger it is abandoned");
    hand.far_hangup(ids[1]);
    hand.sound();
}

#[test]
fn nobody_at_all_behind_an_answer() {
    // Not one packet.
    let mut hand = Hand::floor(settings(), 2);
    let id = hand.dial();
    hand.answer(id);
    hand.wait(Duration::from_secs(20));
    hand.line(id, LineEvent::Ended { by: EndedBy::MediaTimeout, q850: None });
    assert_eq!(hand.outcome(id), Outcome::NoMedia);
    assert_eq!(hand.agent_state(1), AgentState::Ready, "nothing to write down");
    // Gone within a second.
    let id = hand.dial();
    hand.line(id, LineEvent::FirstRtp);
    hand.answer(id);
    hand.wait_ms(900);
    hand.far_hangup(id);
    assert_eq!(hand.outcome(id), Outcome::FalseAnswer);
    let view = &hand.engine.snapshot(hand.now).campaigns[0];
    assert_eq!((view.answered, view.abandoned), (0, 0), "struck from the ledger");
    hand.sound();
}

#[test]
fn verdicts_decide_and_are_not_waited_for_forever() {
    let mut hand = Hand::floor(settings(), 3);
    let id = hand.dial();
    hand.line(id, LineEvent::FirstRtp);
    hand.line(id, LineEvent::Answered { dialog: vec![], detecting: true });
    assert_eq!(hand.call_state(id), CallState::Detecting);
    hand.wait_ms(1_500);
    hand.line(id, LineEvent::Verdict(Verdict::Machine));
    assert_eq!(hand.outcome(id), Outcome::Machine);
    assert_eq!(hand.agent_state(1), AgentState::Ready);
    hand.line(id, LineEvent::Ended { by: EndedBy::Near, q850: None });
    let id = hand.dial();
    hand.line(id, LineEvent::Answered { dialog: vec![], detecting: true });
    hand.wait_ms(1_200);
    hand.line(id, LineEvent::Verdict(Verdict::Person));
    assert_eq!(hand.agent_state(1), AgentState::Reserved);
    hand.wait_ms(600);
    assert_eq!(
        hand.agent_state(1),
        AgentState::Talking,
        "a first packet that does not come is not waited for"
    );
    hand.sound();
}

#[test]
fn held_keyed_and_hung_up_by_the_agent() {
    let mut hand = Hand::floor(settings(), 1);
    let id = hand.talk();
    hand.command(Command::Hold { call: id.attempt, on: true }).unwrap();
    assert_eq!((hand.call_state(id), hand.agent_state(1)), (CallState::Hold, AgentState::Hold));
    assert!(hand.asked(&Output::Hold { id, on: true }));
    hand.command(Command::Hold { call: id.attempt, on: false }).unwrap();
    hand.command(Command::Dtmf { call: id.attempt, digits: "12#".into() }).unwrap();
    assert!(hand.command(Command::Dtmf { call: id.attempt, digits: "12x".into() }).is_err());
    hand.command(Command::Hangup(id.attempt)).unwrap();
    assert!(hand.asked(&Output::Hangup { id }));
    assert_eq!(hand.agent_state(1), AgentState::WrapUp, "at once, not when the far end confirms");
    assert_eq!(hand.outcome(id), Outcome::Connected);
    hand.command(Command::Hangup(id.attempt)).unwrap();
    hand.line(id, LineEvent::Ended { by: EndedBy::Near, q850: None });
    assert!(matches!(hand.command(Command::Hangup(id.attempt)), Err(CommandError::NotFound { .. })));
    hand.sound();
}

#[test]
fn a_recorded_call_is_recorded_once_paused_and_stopped_with_the_call() {
    let recording = RecordingPolicy::All;
    let mut hand = Hand::floor(CampaignSettings { recording, recording_beep_s: 15, ..settings() }, 2);
    let id = hand.talk();
    assert!(hand.asked(&Output::Record { id, agent: AgentId(1), beep_s: 15 }));
    assert_eq!(hand.call(id).unwrap().recording, Some(RecordingState::On));
    hand.command(Command::PauseRecording { call: id.attempt, on: true }).unwrap();
    assert!(hand.asked(&Output::PauseRecording { id, on: true }));
    assert_eq!(hand.call(id).unwrap().recording, Some(RecordingState::Paused));
    hand.out.clear();
    hand.command(Command::PauseRecording { call: id.attempt, on: true }).unwrap();
    assert!(hand.out.is_empty(), "done twice it is done once");
    // The agent's page is loaded anew: the call is bridged again, and the recording stays as it is.
    hand.input(Input::Agent { id: AgentId(1), event: AgentEvent::LegDown });
    hand.input(Input::Agent { id: AgentId(1), event: AgentEvent::LegUp });
    assert!(!hand.out.iter().any(|o| matches!(o, Output::Record { .. } | Output::StopRecording { .. })));
    hand.far_hangup(id);
    assert!(hand.asked(&Output::StopRecording { id }));
    let pause = Command::PauseRecording { call: id.attempt, on: false };
    assert!(matches!(hand.command(pause), Err(CommandError::NotFound { .. })));
    hand.sound();
    // What the recorder could not keep is not shown as if it were.
    hand.wait(Duration::from_secs(61));
    let id = hand.talk();
    hand.line(id, LineEvent::RecordingLost);
    assert_eq!(hand.call(id).unwrap().recording, None);
    hand.far_hangup(id);
    assert!(!hand.asked(&Output::StopRecording { id }));
    hand.sound();
    // Where nobody wants it, nothing is recorded, and there is nothing to pause.
    let mut hand = Hand::floor(settings(), 1);
    let id = hand.talk();
    assert!(!hand.out.iter().any(|o| matches!(o, Output::Record { .. })));
    assert_eq!(hand.call(id).unwrap().recording, None);
    let pause = Command::PauseRecording { call: id.attempt, on: true };
    assert!(matches!(hand.command(pause), Err(CommandError::Conflict(_))));
    hand.sound();
}

#[test]
fn a_bye_that_is_never_confirmed_frees_its_channel() {
    let mut hand = Hand::floor(settings(), 1);
    let id = hand.talk();
    hand.command(Command::Hangup(id.attempt)).unwrap();
    assert_eq!(hand.engine.snapshot(hand.now).trunks[0].channels, 1);
    hand.wait(Duration::from_secs(41));
    assert_eq!(hand.engine.snapshot(hand.now).trunks[0].channels, 0);
    assert_eq!(hand.engine.counters().unconfirmed, 1);
    hand.sound();
}

#[test]
fn a_suppressed_number_is_not_dialed_again() {
    let mut hand = Hand::floor(settings(), 3);
    let id = hand.dial();
    hand.line(id, failed(486, None, true));
    hand.wait_ms(10);
    let phone = lead(2).phone;
    hand.command(Command::Suppress { phone: Pii(phone.0.clone()), reason: "asked".into(), campaign: None })
        .unwrap();
    hand.leads = vec![lead(2), lead(3)]; // the store read it before it knew
    for _ in 0..5 {
        hand.wait_ms(3_000);
        for dial in hand.dials() {
            assert_ne!(dial.phone, phone);
            hand.line(dial.id, failed(404, None, false));
        }
    }
    assert!(hand.endings().iter().all(|(_, _, lead)| lead.lead != LeadId(2)));
    hand.sound();
}
