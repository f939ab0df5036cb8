//! Agentless: the prompt, its keys, its bounds.

use super::*;
use crate::{Message, Verdict};

fn agentless() -> CampaignSettings {
    CampaignSettings { mode: Mode::Agentless, max_lines: 1, ..settings() }
}

/// A floor without agents, and a call that was answered by a person who hears the prompt.
fn prompted(settings: CampaignSettings) -> (Hand, TryId) {
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(100, 100)],
        campaigns: vec![restored(1, settings)],
        next_campaign: 2,
        next_attempt: 1,
        ..Restore::default()
    });
    hand.leads = vec![lead(1)];
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    let id = hand.dial();
    hand.wait(Duration::from_secs(3));
    hand.line(id, LineEvent::FirstRtp);
    hand.line(id, LineEvent::Answered { dialog: vec![1], detecting: true });
    hand.wait_ms(800);
    hand.line(id, LineEvent::Verdict(Verdict::Person));
    assert!(hand.asked(&Output::Play { id, campaign: CampaignId(1), what: Message::Prompt }));
    assert_eq!(hand.call_state(id), CallState::Message);
    hand.wait(Duration::from_secs(2));
    (hand, id)
}

fn ledger(hand: &Hand) -> (u64, u64) {
    let campaign = &hand.engine.snapshot(hand.now).campaigns[0];
    (campaign.answered, campaign.abandoned)
}

fn suppressed(hand: &Hand) -> bool {
    hand.out.iter().any(|o| matches!(o, Output::Store { write: Write::Suppress { .. }, .. }))
}

#[test]
fn keeps_to_its_lines_and_needs_no_agent() {
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(100, 100)],
        campaigns: vec![restored(1, CampaignSettings { max_lines: 3, ..agentless() })],
        next_campaign: 2,
        next_attempt: 1,
        ..Restore::default()
    });
    hand.leads = (1..=9).map(lead).collect();
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    hand.wait(Duration::from_secs(10));
    let ids: Vec<TryId> = hand.dials().into_iter().map(|dial| dial.id).collect();
    assert_eq!(ids.len(), 3);
    hand.line(ids[0], LineEvent::FirstRtp);
    hand.line(ids[0], LineEvent::Answered { dialog: vec![1], detecting: true });
    hand.line(ids[0], LineEvent::Verdict(Verdict::Person));
    hand.line(ids[1], LineEvent::FirstRtp);
    hand.line(ids[1], LineEvent::Answered { dialog: vec![1], detecting: true });
    hand.line(ids[1], LineEvent::Verdict(Verdict::Machine));
    assert_eq!(hand.outcome(ids[1]), Outcome::Machine);
    hand.line(ids[1], LineEvent::Ended { by: EndedBy::Near, q850: None });
    hand.wait(Duration::from_secs(2));
    assert_eq!(hand.dials().len(), 1, "the one that hears the prompt holds its place");
    hand.sound();
}

#[test]
fn a_prompt_heard_out_or_hung_up_is_in_no_ledger() {
    let (mut hand, id) = prompted(agentless());
    hand.line(id, LineEvent::PlayDone);
    hand.wait(Duration::from_secs(4));
    assert!(!hand.asked(&Output::Hangup { id }), "time to press a key");
    hand.wait(Duration::from_secs(2));
    assert!(hand.asked(&Output::Hangup { id }));
    assert_eq!((hand.outcome(id), ledger(&hand)), (Outcome::PromptPlayed, (0, 0)));
    assert_eq!(hand.endings()[0].2.status, crate::LeadStatus::Done);
    hand.finish(false);
    hand.sound();
    let (mut hand, id) = prompted(agentless());
    hand.far_hangup(id);
    assert_eq!((hand.outcome(id), ledger(&hand), suppressed(&hand)), (Outcome::PromptPlayed, (0, 0), false));
    hand.sound();
}

#[test]
fn the_opt_out_key_suppresses_at_once() {
    let (mut hand, id) = prompted(agentless());
    hand.line(id, LineEvent::Digit('5'));
    assert_eq!(hand.call_state(id), CallState::Message, "another key means nothing");
    hand.line(id, LineEvent::Digit('9'));
    assert!(hand.asked(&Output::Hangup { id }) && suppressed(&hand));
    assert_eq!((hand.outcome(id), ledger(&hand)), (Outcome::OptedOut, (0, 0)));
    assert_eq!(hand.endings()[0].2.status, crate::LeadStatus::Suppressed);
    hand.finish(false);
    hand.sound();
}

#[test]
fn the_queue_key_gets_an_idle_agent_or_the_next_one() {
    let (mut hand, id) = prompted(agentless());
    hand.agent_ready(1);
    hand.line(id, LineEvent::Digit('1'));
    assert!(hand.asked(&Output::StopPlay { id }));
    assert!(hand.asked(&Output::Bridge { id, agent: AgentId(1) }));
    hand.wait(Duration::from_secs(9));
    hand.far_hangup(id);
    assert_eq!((hand.outcome(id), ledger(&hand)), (Outcome::Connected, (1, 0)));
    hand.sound();
    let (mut hand, id) = prompted(agentless());
    hand.line(id, LineEvent::Digit('1'));
    assert_eq!(hand.call_state(id), CallState::Waiting);
    hand.wait(Duration::from_secs(20));
    hand.agent_ready(1);
    assert!(hand.asked(&Output::Bridge { id, agent: AgentId(1) }));
    assert_eq!(ledger(&hand), (1, 0), "who asks for an agent waits by choice");
    hand.sound();
}

#[test]
fn a_promise_that_is_not_kept_is_abandoned() {
    let (mut hand, id) = prompted(CampaignSettings { queue_wait_s: 10, ..agentless() });
    hand.line(id, LineEvent::Digit('1'));
    hand.wait(Duration::from_secs(11));
    assert!(hand.asked(&Output::Play { id, campaign: CampaignId(1), what: Message::Abandoned }));
    assert_eq!(ledger(&hand), (1, 1));
    hand.line(id, LineEvent::Digit('9'));
    assert!(suppressed(&hand), "the wish holds all the same");
    assert_eq!(hand.outcome(id), Outcome::Abandoned);
    assert_eq!(hand.endings()[0].2.status, crate::LeadStatus::Suppressed);
    hand.finish(false);
    hand.sound();
}

#[test]
fn nobody_there_without_a_packet() {
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(100, 100)],
        campaigns: vec![restored(1, agentless())],
        next_campaign: 2,
        next_attempt: 1,
        ..Restore::default()
    });
    hand.leads = vec![lead(1)];
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    let id = hand.dial();
    hand.answer(id);
    hand.wait(Duration::from_secs(3));
    hand.line(id, LineEvent::PlayDone);
    hand.wait(Duration::from_secs(6));
    assert_eq!(hand.outcome(id), Outcome::NoMedia);
    hand.sound();
}
