//! The law in whole calls: what is refused is counted, attempts to a number are counted over campaigns, opting out of the
//! message, what keeps a campaign from starting.

use super::*;
use crate::compliance::NationalCopy;
use crate::{Consent, ConsentKind, Message, Pii};

fn us() -> CampaignSettings {
    CampaignSettings { compliance: "us".into(), abandon_message: "sorry.wav".into(), ..settings() }
}

/// A lead in Florida who agreed to everything.
fn floridian(id: i64, campaign: i64) -> Lead {
    Lead {
        campaign: CampaignId(campaign),
        phone: Pii("+13055550100".into()),
        consent: Consent { kind: ConsentKind::Written, ..Consent::default() },
        ..lead(id)
    }
}

fn refused(hand: &Hand, rule: &str) -> u64 {
    hand.engine.counters().refused.get(rule).copied().unwrap_or_default()
}

#[test]
fn three_calls_to_a_number_of_florida_whichever_campaigns_make_them() {
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(100, 100)],
        campaigns: vec![restored(1, us()), restored(2, us())],
        next_campaign: 3,
        next_attempt: 1,
        ..Restore::default()
    });
    hand.agent_ready(1);
    hand.leads = (1..=8).map(|id| floridian(id, 1 + id % 2)).collect();
    for id in 1..=2 {
        hand.command(Command::LeadsChanged(CampaignId(id))).unwrap();
    }
    for call in 1..=3 {
        let id = hand.dial();
        // The store knows of it from now on, for whoever asks for leads.
        let at_unix_ms = NOON + hand.now.as_millis() as i64 - 1_000;
        let past = crate::compliance::Past { attempt: id.attempt, at_unix_ms, abandoned_unix_ms: None };
        hand.leads.iter_mut().for_each(|lead| lead.recent.push(past));
        hand.line(id, LineEvent::Failed(crate::Failure::Timeout { rang: true }));
        assert_eq!(hand.outcome(id), Outcome::NoAnswer, "call {call}");
    }
    hand.wait(Duration::from_secs(20));
    assert_eq!(hand.dials(), []);
    assert!(refused(&hand, "number_attempts") > 0);
    let snapshot = hand.engine.snapshot(hand.now);
    assert!(snapshot.campaigns.iter().any(|view| view.refused.contains_key("number_attempts")));
    let next = hand.out.iter().rev().find_map(|output| match output {
        Output::Store { write: Write::Lead(change), .. } => Some(change.next_unix_ms),
        _ => None,
    });
    assert!(next.is_some_and(|next| next > NOON + 23 * 3_600_000), "{next:?}");
    hand.sound();
}

#[test]
fn an_attempt_that_was_not_sent_does_not_count() {
    let mut hand = Hand::floor(us(), 0);
    hand.leads = (1..=6).map(|id| floridian(id, 1)).collect();
    for _ in 1..=4 {
        hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
        let id = hand.dial();
        hand.line(id, LineEvent::Failed(crate::Failure::NotSent { reason: String::new() }));
    }
    assert_eq!(refused(&hand, "number_attempts"), 0);
}

#[test]
fn the_key_of_the_message_suppresses_and_ends_the_call() {
    let settings = CampaignSettings { mode: Mode::Power, lines_per_agent: 2.0, ..settings() };
    let mut hand = Hand::floor(settings, 2);
    hand.wait_ms(300);
    let ids: Vec<TryId> = hand.dials().into_iter().map(|dial| dial.id).collect();
    for id in &ids {
        hand.line(*id, LineEvent::FirstRtp);
        hand.answer(*id);
    }
    hand.wait(Duration::from_secs(3));
    let left = ids[1];
    assert!(hand.asked(&Output::Play { id: left, campaign: CampaignId(1), what: Message::Abandoned }));
    hand.line(left, LineEvent::Digit('5'));
    assert!(!hand.asked(&Output::Hangup { id: left }));
    hand.line(left, LineEvent::Digit('9'));
    assert!(hand.asked(&Output::Hangup { id: left }));
    let suppressed =
        hand.out.iter().any(|o| matches!(o, Output::Store { write: Write::Suppress { .. }, .. }));
    assert!(suppressed);
    assert_eq!(hand.outcome(left), Outcome::Abandoned);
    hand.sound();
}

#[test]
fn a_campaign_without_its_message_is_not_started() {
    let mut hand = Hand::floor(settings(), 0);
    let bare = CampaignSettings { name: "Bare".into(), abandon_message: String::new(), ..us() };
    let Reply::Campaign(made) = hand.command(Command::CreateCampaign(Box::new(bare.clone()))).unwrap() else {
        panic!("no campaign")
    };
    let refusal = hand.command(Command::StartCampaign(made.id)).unwrap_err();
    assert!(
        matches!(&refusal, CommandError::Invalid { field, .. } if field == "abandon_message"),
        "{refusal}"
    );
    let settings = Box::new(CampaignSettings { abandon_message: "sorry.wav".into(), ..bare.clone() });
    hand.command(Command::UpdateCampaign { id: made.id, settings }).unwrap();
    hand.command(Command::StartCampaign(made.id)).unwrap();
    // And keeps it while it runs.
    let refusal =
        hand.command(Command::UpdateCampaign { id: made.id, settings: Box::new(bare) }).unwrap_err();
    assert!(refusal.to_string().contains("rule message of profile us"), "{refusal}");
}

#[test]
fn one_that_was_running_before_the_rule_holds_and_says_why() {
    let hand = Hand::floor(CampaignSettings { abandon_message: String::new(), ..us() }, 3);
    let decision = hand.engine.snapshot(hand.now).campaigns[0].decision.clone();
    assert!(decision.starts_with("holding: abandon_message must be set"), "{decision}");
}

#[test]
fn a_national_list_that_comes_makes_leads_be_read_again() {
    let mut hand = Hand::floor(us(), 2);
    hand.wait(Duration::from_secs(5));
    assert_eq!(hand.dials(), []);
    assert!(refused(&hand, "national_list_age") > 0);
    assert!(hand.engine.snapshot(hand.now).campaigns[0].notice.contains("never imported"));
    let copy = NationalCopy {
        country: "US".into(),
        name: "list".into(),
        as_of_unix_ms: NOON - 86_400_000,
        imported_unix_ms: NOON,
        numbers: 1,
    };
    hand.leads = vec![Lead { on_national_list: true, ..lead(1) }, lead(2)];
    hand.command(Command::ListsChanged(Some(Box::new(copy)))).unwrap();
    hand.wait(Duration::from_secs(2));
    let dials = hand.dials();
    assert_eq!(dials.len(), 1);
    assert_eq!(dials[0].phone, lead(2).phone);
    assert!(refused(&hand, "national_list") > 0);
    assert_eq!(hand.engine.snapshot(hand.now).campaigns[0].notice, "");
}

#[test]
fn no_recording_in_silence_where_all_must_agree() {
    for (beep, recorded) in [(0, false), (15, true)] {
        let settings = CampaignSettings { recording: RecordingPolicy::All, recording_beep_s: beep, ..us() };
        let mut hand = Hand::floor(settings, 0);
        hand.leads = vec![floridian(1, 1)];
        hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
        hand.talk();
        let asked = hand.out.iter().any(|output| matches!(output, Output::Record { .. }));
        assert_eq!((asked, refused(&hand, "recording")), (recorded, u64::from(!recorded)));
    }
}

#[test]
fn a_campaign_s_own_list_is_its_own() {
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(100, 100)],
        campaigns: vec![restored(1, settings()), restored(2, settings())],
        next_campaign: 3,
        next_attempt: 1,
        ..Restore::default()
    });
    hand.leads = vec![lead(1), Lead { campaign: CampaignId(2), ..lead(2) }];
    let phone = Pii("+12025559999".to_owned());
    for lead in &mut hand.leads {
        lead.phone = phone.clone();
    }
    let suppress = Command::Suppress { phone, reason: "asked".into(), campaign: Some(CampaignId(1)) };
    hand.command(suppress).unwrap();
    for id in 1..=2 {
        hand.command(Command::LeadsChanged(CampaignId(id))).unwrap();
    }
    hand.agent_ready(1);
    hand.wait(Duration::from_secs(2));
    let dials = hand.dials();
    assert_eq!(dials.len(), 1);
    let lead = hand.call(dials[0].id).unwrap().lead.id;
    assert_eq!(lead, crate::LeadId(2));
}
