//! Campaigns: their life, and who shares agents with whom.

use super::*;
use crate::Event;

fn campaign(hand: &mut Hand, command: Command) -> Campaign {
    match hand.command(command) {
        Ok(Reply::Campaign(campaign)) => *campaign,
        other => panic!("{other:?}"),
    }
}

#[test]
fn created_started_paused_deleted() {
    let mut hand = Hand::new(Restore { trunks: vec![trunk(10, 10)], next_campaign: 4, ..Restore::default() });
    let made = campaign(&mut hand, Command::CreateCampaign(Box::new(settings())));
    assert_eq!((made.id, made.status), (CampaignId(4), CampaignStatus::Draft));
    let again = hand.command(Command::CreateCampaign(Box::new(settings())));
    assert!(matches!(again, Err(CommandError::Invalid { field, .. }) if field == "name"));
    let other = CampaignSettings { name: "Other".into(), trunk: "nowhere".into(), ..settings() };
    let refused = hand.command(Command::CreateCampaign(Box::new(other)));
    assert!(matches!(refused, Err(CommandError::Invalid { field, .. }) if field == "trunk"));
    assert!(hand.command(Command::PauseCampaign(made.id)).is_err(), "a draft");
    assert_eq!(campaign(&mut hand, Command::StartCampaign(made.id)).status, CampaignStatus::Running);
    assert!(hand.command(Command::DeleteCampaign(made.id)).is_err(), "running");
    assert_eq!(campaign(&mut hand, Command::PauseCampaign(made.id)).status, CampaignStatus::Paused);
    let renamed = CampaignSettings { name: "Autumn".into(), ..settings() };
    let update = Command::UpdateCampaign { id: made.id, settings: Box::new(renamed) };
    assert_eq!(campaign(&mut hand, update).settings.name, "Autumn");
    hand.command(Command::DeleteCampaign(made.id)).unwrap();
    assert!(matches!(hand.command(Command::StartCampaign(made.id)), Err(CommandError::NotFound { .. })));
    assert!(hand.events.iter().any(|e| matches!(e, Event::CampaignDeleted { .. })));
    hand.sound();
}

#[test]
fn replied_when_on_disk_and_unchanged_when_not() {
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(10, 10)],
        campaigns: vec![restored(1, settings())],
        next_campaign: 2,
        ..Restore::default()
    });
    hand.commits = false;
    hand.out.clear();
    let update = |name: &str| Command::UpdateCampaign {
        id: CampaignId(1),
        settings: Box::new(CampaignSettings { name: name.into(), ..settings() }),
    };
    hand.input(Input::Command { reply: 50, command: update("Next") });
    let has_reply = |hand: &Hand| hand.out.iter().any(|o| matches!(o, Output::Reply { reply: 50, .. }));
    assert!(!has_reply(&hand));
    hand.input(Input::Command { reply: 51, command: update("Third") });
    assert!(
        hand.out
            .iter()
            .any(|o| matches!(o, Output::Reply { reply: 51, result: Err(CommandError::Conflict(_)) }))
    );
    let token = *hand.tokens.last().unwrap();
    hand.input(Input::CommitFailed { token });
    assert!(hand.asked(&Output::Reply { reply: 50, result: Err(CommandError::Store) }));
    assert_eq!(hand.engine.snapshot(hand.now).campaigns[0].name, "Spring");
    hand.commits = true;
    hand.wait(Duration::from_secs(1));
    assert_eq!(campaign(&mut hand, update("Next")).settings.name, "Next");
    hand.sound();
}

#[test]
fn completed_when_nothing_is_left_and_running_again_with_new_leads() {
    let mut hand = Hand::floor(settings(), 1);
    let id = hand.dial();
    let status = |hand: &Hand| hand.engine.snapshot(hand.now).campaigns[0].status;
    let nothing = Input::Leads { campaign: CampaignId(1), leads: vec![], next_due_unix_ms: None };
    hand.input(nothing.clone());
    assert_eq!(status(&hand), CampaignStatus::Running, "a call is in progress");
    hand.line(id, LineEvent::Failed(crate::Failure::Timeout { rang: false }));
    hand.input(nothing);
    assert_eq!(status(&hand), CampaignStatus::Completed);
    hand.leads = vec![lead(2)];
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    assert_eq!(status(&hand), CampaignStatus::Running);
    hand.dial();
    hand.sound();
}

#[test]
fn leads_outside_their_hours_go_back_with_their_opening() {
    let mut hand = Hand::floor(settings(), 0);
    let mut tokyo = lead(5);
    tokyo.time_zone = "Asia/Tokyo".into();
    let mut nowhere = lead(6);
    nowhere.time_zone = "Nowhere/Land".into();
    hand.leads = vec![tokyo, nowhere];
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    hand.wait(Duration::from_secs(1));
    assert!(hand.dials().is_empty());
    let changes: Vec<LeadChange> = hand
        .out
        .iter()
        .filter_map(|o| match o {
            Output::Store { write: Write::Lead(change), .. } => Some(change.clone()),
            _ => None,
        })
        .collect();
    let opens =
        "2026-11-19T09:00:00[Asia/Tokyo]".parse::<jiff::Zoned>().unwrap().timestamp().as_millisecond();
    assert_eq!(changes[0].next_unix_ms, opens);
    assert_eq!(changes[1].status, crate::LeadStatus::Done, "in doubt it is not dialed");
    assert!(hand.engine.counters().refused.contains_key("hours"));
    hand.sound();
}

#[test]
fn a_step_of_the_clock_closes_the_hours() {
    let mut hand = Hand::floor(settings(), 3);
    hand.dial();
    hand.agent_ready(2);
    hand.commits = false;
    hand.wait_ms(200);
    hand.input(Input::Clock { unix_ms: NOON + 9 * 3_600_000 });
    hand.commits = true;
    for token in std::mem::take(&mut hand.tokens) {
        hand.input(Input::Committed { token });
    }
    hand.wait(Duration::from_secs(5));
    assert!(hand.dials().len() <= 1, "what was sent before the step at most");
    hand.sound();
}

#[test]
fn campaigns_that_share_agents_count_each_agent_once() {
    let mut second = settings();
    second.name = "Second".into();
    let mut first = settings();
    first.priority = 5;
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(100, 100)],
        campaigns: vec![restored(1, second), restored(2, first)],
        next_campaign: 3,
        next_attempt: 1,
        ..Restore::default()
    });
    hand.leads = (1..=20).map(lead).collect();
    for lead in hand.leads.iter_mut().skip(10) {
        lead.campaign = CampaignId(2);
    }
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    hand.command(Command::LeadsChanged(CampaignId(2))).unwrap();
    hand.wait(Duration::from_secs(1));
    for id in 1..=3 {
        hand.agent_ready(id);
    }
    hand.wait(Duration::from_secs(1));
    let dials = hand.dials();
    assert_eq!(dials.len(), 3, "one line per idle agent, not per campaign");
    let lines: Vec<u32> = hand.engine.snapshot(hand.now).campaigns.iter().map(|view| view.lines).collect();
    assert_eq!(lines, [0, 3], "the higher priority first");
    hand.sound();
}

#[test]
fn a_drain_takes_lines_back_and_lets_calls_end() {
    let mut hand = Hand::floor(settings(), 9);
    let id = hand.talk();
    hand.agent_ready(2);
    let line = hand.dial();
    hand.command(Command::Drain { deadline: Duration::from_secs(30) }).unwrap();
    assert!(hand.asked(&Output::Cancel { id: line, reason: crate::CancelReason::Drain }));
    hand.line(line, LineEvent::Failed(crate::Failure::Cancelled));
    assert_eq!(hand.outcome(line), Outcome::Cancelled);
    hand.wait(Duration::from_secs(29));
    assert!(!hand.asked(&Output::Drained) && !hand.asked(&Output::Hangup { id }));
    hand.wait(Duration::from_secs(2));
    assert!(hand.asked(&Output::Hangup { id }));
    hand.line(id, LineEvent::Ended { by: EndedBy::Near, q850: None });
    assert!(hand.asked(&Output::Drained));
    assert!(hand.dials().is_empty());
    assert!(hand.command(Command::StartCampaign(CampaignId(1))).is_err());
    hand.finish(true);
    hand.sound();
}

#[test]
fn a_drain_ends_even_when_nobody_confirms() {
    let mut hand = Hand::floor(settings(), 9);
    let id = hand.talk();
    hand.agent_ready(2);
    let line = hand.dial();
    hand.command(Command::Drain { deadline: Duration::from_secs(3) }).unwrap();
    hand.wait(Duration::from_secs(9));
    assert!(hand.asked(&Output::Drained));
    assert_eq!((hand.outcome(id), hand.outcome(line)), (Outcome::Connected, Outcome::Cancelled));
    // Both agents are still there: what was written of their last states is counted, no more and no less.
    let written = hand.out.iter().filter_map(|output| match output {
        Output::Store { write: Write::AgentTime { state, lasted_ms, .. }, .. } => {
            (*state != AgentState::Paused).then_some(u128::from(*lasted_ms))
        }
        _ => None,
    });
    assert_eq!(hand.engine.counters().available.as_millis(), written.sum::<u128>());
    hand.finish(true);
    hand.sound();
}

#[test]
fn orphans_of_a_crash_hold_their_channels() {
    let orphan = |n| (TryId { attempt: AttemptId(n), number: 1 }, TrunkId(1));
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(100, 3)],
        campaigns: vec![restored(1, settings())],
        orphans: vec![orphan(1), orphan(2)],
        next_campaign: 2,
        next_attempt: 10,
        ..Restore::default()
    });
    hand.leads = (1..=20).map(lead).collect();
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    hand.wait_ms(500);
    for id in 1..=4 {
        hand.agent_ready(id);
    }
    hand.wait(Duration::from_secs(2));
    assert_eq!(hand.dials().len(), 1);
    hand.line(orphan(1).0, LineEvent::Ended { by: EndedBy::Near, q850: None });
    hand.wait(Duration::from_secs(2));
    assert_eq!(hand.dials().len(), 1);
    hand.wait(Duration::from_secs(58));
    hand.sound();
}
