//! Manual and preview: agents dial by hand.

use super::*;
use crate::{CancelReason, Failure, LeadAnswer, LeadId, LeadStatus, Pii};

fn manual() -> CampaignSettings {
    CampaignSettings { mode: Mode::Manual, ..settings() }
}

fn preview() -> CampaignSettings {
    CampaignSettings { mode: Mode::Preview, ..settings() }
}

fn dial_lead(agent: i64, id: i64) -> Command {
    Command::DialLead { agent: AgentId(agent), campaign: CampaignId(1), lead: LeadId(id) }
}

fn dial_preview(agent: i64, id: i64) -> Command {
    Command::DialPreview { agent: AgentId(agent), lead: LeadId(id) }
}

fn skip(agent: i64, id: i64, delay_s: u32) -> Command {
    Command::SkipPreview { agent: AgentId(agent), lead: LeadId(id), delay_s, reason: "at work now".into() }
}

fn refused(result: Result<Reply, CommandError>, with: &str) {
    match result {
        Err(CommandError::Conflict(text)) => assert!(text.contains(with), "{text}"),
        other => panic!("{with}: {other:?}"),
    }
}

fn view(hand: &Hand, id: i64) -> crate::AgentView {
    let snapshot = hand.engine.snapshot(hand.now);
    snapshot.agents.into_iter().find(|agent| agent.id == AgentId(id)).unwrap()
}

fn shown(hand: &Hand, id: i64) -> Option<LeadId> {
    view(hand, id).preview.map(|preview| preview.lead.id)
}

fn update(hand: &mut Hand, settings: CampaignSettings) {
    hand.command(Command::UpdateCampaign { id: CampaignId(1), settings: Box::new(settings) }).unwrap();
}

/// The call that agent 1 begins by hand.
fn by_hand(hand: &mut Hand, id: i64) -> TryId {
    hand.command(dial_lead(1, id)).unwrap();
    hand.wait_ms(20); // its turn under the trunk's calls per second
    let dials = hand.dials();
    assert_eq!(dials.len(), 1);
    dials[0].id
}

#[test]
fn manual_dials_nothing_by_itself_and_binds_the_agent() {
    let mut hand = Hand::floor(manual(), 5);
    hand.wait(Duration::from_secs(30));
    assert!(hand.dials().is_empty());
    let id = by_hand(&mut hand, 3);
    assert_eq!((hand.agent_state(1), view(&hand, 1).call), (AgentState::Reserved, Some(id.attempt)));
    let call = hand.call(id).unwrap();
    assert_eq!((call.state, call.agent, call.lead.id), (CallState::Dialing, Some(AgentId(1)), LeadId(3)));
    assert!(hand.engine.gauges(hand.now).occupancy.abs() < f64::EPSILON, "ringing is no work");
    hand.wait(Duration::from_secs(4));
    // Whoever answers: an agent who dials hears it.
    hand.line(id, LineEvent::FirstRtp);
    hand.line(id, LineEvent::Answered { dialog: vec![1], detecting: true });
    assert!(hand.asked(&Output::Bridge { id, agent: AgentId(1) }));
    let at = hand.now;
    hand.line(id, LineEvent::FirstPacket { at });
    hand.line(id, LineEvent::Verdict(crate::Verdict::Machine));
    assert_eq!(hand.agent_state(1), AgentState::Talking);
    hand.wait(Duration::from_secs(20));
    hand.far_hangup(id);
    assert_eq!((hand.outcome(id), hand.agent_state(1)), (Outcome::Connected, AgentState::WrapUp));
    let campaign = &hand.engine.snapshot(hand.now).campaigns[0];
    assert_eq!((campaign.answered, campaign.abandoned), (1, 0));
    hand.finish(false);
    hand.sound();
}

#[test]
fn a_call_by_hand_that_nobody_answers_frees_its_agent() {
    let mut hand = Hand::floor(manual(), 5);
    let busy =
        Failure::Status { status: 486, q850: None, reason: String::new(), retry_after: None, rang: true };
    let rows = [
        (LineEvent::Failed(busy), Outcome::Busy),
        (LineEvent::Failed(Failure::Cancelled), Outcome::NoAnswer),
    ];
    for (number, (event, outcome)) in rows.into_iter().enumerate() {
        let id = by_hand(&mut hand, i64::try_from(number).unwrap() + 1);
        hand.line(id, LineEvent::Ringing { early_media: false });
        if outcome == Outcome::NoAnswer {
            hand.wait(Duration::from_secs(26));
            assert!(hand.asked(&Output::Cancel { id, reason: CancelReason::RingTimeout }));
        }
        hand.line(id, event);
        assert_eq!((hand.outcome(id), hand.agent_state(1)), (outcome, AgentState::Ready));
        let ended = hand.events.iter().rev().find_map(|event| match event {
            crate::Event::Call(call) if call.id == id.attempt => Some((call.agent, call.outcome)),
            _ => None,
        });
        assert_eq!(ended, Some((Some(AgentId(1)), Some(outcome))), "the agent sees how it ended");
    }
    // Taken back by the agent, and answered in the same moment: cancelled, and in no numerator.
    let id = by_hand(&mut hand, 4);
    hand.command(Command::Hangup(id.attempt)).unwrap();
    hand.answer(id);
    assert_eq!(hand.outcome(id), Outcome::Cancelled);
    let campaign = &hand.engine.snapshot(hand.now).campaigns[0];
    assert_eq!((campaign.answered, campaign.abandoned), (0, 0));
    hand.sound();
}

#[test]
fn who_dials_from_a_pause_is_paused_again() {
    let mut hand = Hand::floor(manual(), 5);
    hand.command(Command::Pause { agent: AgentId(1), reason: "mail".into() }).unwrap();
    let id = by_hand(&mut hand, 1);
    assert_eq!(view(&hand, 1).next, Some(AgentState::Paused));
    hand.line(id, LineEvent::Failed(Failure::Timeout { rang: false }));
    assert_eq!((view(&hand, 1).state, view(&hand, 1).reason.as_str()), (AgentState::Paused, "mail"));
    hand.sound();
}

#[test]
fn a_refusal_says_the_rule_and_what_to_do() {
    let mut hand = Hand::floor(manual(), 8);
    hand.leads[1].attempts = 6;
    hand.leads[2].time_zone = "Asia/Tokyo".into();
    hand.leads[3].phone = Pii("12".into());
    hand.leads[4].phone = hand.leads[0].phone.clone();
    hand.command(Command::Suppress { phone: lead(6).phone, reason: "asked".into(), campaign: None }).unwrap();
    assert!(
        matches!(hand.command(dial_lead(1, 99)), Err(CommandError::NotFound { what, .. }) if what == "lead")
    );
    assert!(
        matches!(hand.command(dial_lead(7, 1)), Err(CommandError::NotFound { what, .. }) if what == "agent")
    );
    refused(hand.command(dial_lead(1, 2)), "max_attempts");
    refused(hand.command(dial_lead(1, 3)), "2026-11-19 09:00");
    refused(hand.command(dial_lead(1, 4)), "correct it");
    refused(hand.command(dial_lead(1, 6)), "suppression list");
    for (status, next, words) in [
        (LeadStatus::Done, 0, "is done"),
        (LeadStatus::Dialing, 0, "being called now"),
        (LeadStatus::Suppressed, 0, "suppression list"),
        (LeadStatus::Retry, NOON + 7_200_000, "2026-11-18 14:00"),
    ] {
        hand.standing = Some((status, next));
        refused(hand.command(dial_lead(1, 8)), words);
    }
    hand.standing = None;
    let id = by_hand(&mut hand, 1);
    hand.agent_ready(2);
    refused(hand.command(dial_lead(2, 5)), "another line");
    refused(hand.command(dial_lead(1, 8)), "in a call");
    // A second click dials nothing and is no error.
    hand.command(dial_lead(1, 1)).unwrap();
    assert!(hand.dials().is_empty());
    hand.line(id, LineEvent::Failed(Failure::Timeout { rang: true }));
    hand.input(Input::Agent { id: AgentId(2), event: AgentEvent::Silent });
    refused(hand.command(dial_lead(2, 8)), "headset");
    hand.input(Input::Trunk { id: TrunkId(1), up: false });
    refused(hand.command(dial_lead(1, 8)), "trunk carrier is down");
    hand.input(Input::Trunk { id: TrunkId(1), up: true });
    hand.command(Command::PauseCampaign(CampaignId(1))).unwrap();
    refused(hand.command(dial_lead(1, 8)), "start it first");
    update(&mut hand, preview());
    refused(hand.command(dial_lead(1, 8)), "mode to manual");
    hand.sound();
}

#[test]
fn the_reply_waits_for_the_disk() {
    let mut hand = Hand::floor(manual(), 3);
    hand.commits = false;
    hand.input(Input::Command { reply: 70, command: dial_lead(1, 1) });
    let replied = |hand: &Hand| hand.out.iter().any(|o| matches!(o, Output::Reply { reply: 70, .. }));
    assert!(!replied(&hand) && hand.dials().is_empty());
    let token = *hand.tokens.last().unwrap();
    hand.input(Input::CommitFailed { token });
    assert!(hand.asked(&Output::Reply { reply: 70, result: Err(CommandError::Store) }));
    assert_eq!(hand.agent_state(1), AgentState::Ready);
    refused(hand.command(dial_lead(1, 2)), "takes no writes");
    hand.commits = true;
    hand.wait(Duration::from_secs(2));
    by_hand(&mut hand, 2);
    hand.sound();
}

#[test]
fn an_agent_who_is_lost_while_it_rings_takes_the_call_along() {
    let mut hand = Hand::floor(manual(), 3);
    let id = by_hand(&mut hand, 1);
    hand.line(id, LineEvent::Ringing { early_media: false });
    hand.input(Input::Agent { id: AgentId(1), event: AgentEvent::LegDown });
    assert!(hand.asked(&Output::Cancel { id, reason: CancelReason::Pacing }));
    hand.line(id, LineEvent::FirstRtp);
    hand.answer(id); // it crossed our CANCEL
    assert!(hand.asked(&Output::Hangup { id }));
    assert_eq!((hand.outcome(id), hand.agent_state(1)), (Outcome::Cancelled, AgentState::Paused));
    let campaign = &hand.engine.snapshot(hand.now).campaigns[0];
    assert_eq!((campaign.answered, campaign.abandoned), (0, 0));
    hand.sound();
}

#[test]
fn a_lead_is_read_before_it_is_dialed() {
    let mut hand = Hand::floor(preview(), 3);
    hand.wait(Duration::from_secs(60));
    assert!(hand.dials().is_empty(), "the agent has all the time");
    let seen = view(&hand, 1);
    assert_eq!((seen.state, shown(&hand, 1)), (AgentState::Preview, Some(LeadId(1))));
    hand.agent_ready(2);
    hand.wait_ms(200);
    assert_eq!(shown(&hand, 2), Some(LeadId(2)), "each agent another lead");
    refused(hand.command(dial_preview(1, 2)), "not on your screen");
    hand.command(dial_preview(1, 1)).unwrap();
    hand.command(dial_preview(1, 1)).unwrap();
    let dials = hand.dials();
    assert_eq!(dials.len(), 1, "a double click dials once");
    let id = dials[0].id;
    hand.wait(Duration::from_secs(5));
    hand.line(id, LineEvent::FirstRtp);
    hand.answer(id);
    assert!(hand.asked(&Output::Bridge { id, agent: AgentId(1) }));
    hand.wait(Duration::from_secs(5));
    hand.far_hangup(id);
    assert_eq!((hand.outcome(id), hand.agent_state(1)), (Outcome::Connected, AgentState::WrapUp));
    let gone = Input::Agent { id: AgentId(2), event: AgentEvent::LegDown };
    hand.input(gone);
    hand.command(Command::SkipPreview {
        agent: AgentId(2),
        lead: LeadId(2),
        delay_s: 60,
        reason: String::new(),
    })
    .unwrap();
    hand.sound();
}

#[test]
fn a_skipped_lead_comes_later_and_the_reason_is_kept() {
    let mut hand = Hand::floor(preview(), 3);
    hand.wait_ms(200);
    assert!(
        matches!(hand.command(skip(1, 1, 59)), Err(CommandError::Invalid { field, .. }) if field == "delay_s")
    );
    hand.command(skip(1, 1, 600)).unwrap();
    let unix_ms = NOON + i64::try_from(hand.now.since(Time::from_millis(1_000)).as_millis()).unwrap();
    let later = hand.out.iter().find_map(|output| match output {
        Output::Store { write: Write::Lead(change), .. } => Some(change.clone()),
        _ => None,
    });
    let later = later.unwrap();
    assert_eq!(
        (later.lead, later.next_unix_ms, later.status),
        (LeadId(1), unix_ms + 600_000, LeadStatus::New)
    );
    let kept = hand.out.iter().any(|output| {
        matches!(output, Output::Store { write: Write::AgentTime { state: AgentState::Preview, reason, .. }, .. }
            if reason == "at work now")
    });
    assert!(kept);
    hand.wait_ms(200);
    assert_eq!(shown(&hand, 1), Some(LeadId(2)));
    hand.sound();
}

#[test]
fn the_time_to_look_ends_in_a_dial_or_a_skip() {
    let mut hand = Hand::floor(CampaignSettings { preview_s: 20, ..preview() }, 3);
    hand.wait_ms(200);
    assert!(
        view(&hand, 1).preview.is_some_and(|preview| preview.ends_unix_ms.is_some() && !preview.auto_dial)
    );
    hand.wait(Duration::from_secs(21));
    assert_eq!(shown(&hand, 1), Some(LeadId(2)), "skipped by itself");
    let mut hand = Hand::floor(CampaignSettings { preview_s: 20, preview_auto_dial: true, ..preview() }, 3);
    hand.wait(Duration::from_secs(19));
    assert!(hand.dials().is_empty());
    hand.wait(Duration::from_secs(2));
    assert_eq!(hand.dials().len(), 1);
    assert_eq!(hand.agent_state(1), AgentState::Reserved);
    hand.sound();
}

#[test]
fn a_previewed_lead_goes_back_when_its_agent_or_campaign_stops() {
    type Stop = fn(&mut Hand);
    let stops: [Stop; 4] = [
        |hand| drop(hand.command(Command::Pause { agent: AgentId(1), reason: "tea".into() })),
        |hand| drop(hand.command(Command::SignOut(AgentId(1)))),
        |hand| {
            hand.input(Input::Agent { id: AgentId(1), event: AgentEvent::LegDown });
            hand.wait(Duration::from_secs(5));
            assert_eq!(shown(hand, 1), Some(LeadId(1)), "a reload keeps it");
            hand.wait(Duration::from_secs(26));
            assert_eq!(hand.agent_state(1), AgentState::Paused);
        },
        |hand| {
            hand.command(Command::PauseCampaign(CampaignId(1))).unwrap();
            assert_eq!(hand.agent_state(1), AgentState::Ready);
            hand.command(Command::StartCampaign(CampaignId(1))).unwrap();
            hand.command(Command::Pause { agent: AgentId(1), reason: String::new() }).unwrap();
        },
    ];
    for (number, stop) in stops.into_iter().enumerate() {
        let mut hand = Hand::floor(preview(), 3);
        hand.wait_ms(200);
        assert_eq!(shown(&hand, 1), Some(LeadId(1)));
        stop(&mut hand);
        hand.agent_ready(2);
        hand.wait_ms(500);
        assert_eq!(shown(&hand, 2), Some(LeadId(1)), "stop {number}");
        hand.sound();
    }
}

#[test]
fn a_number_that_is_suppressed_leaves_the_screen() {
    let mut hand = Hand::floor(preview(), 3);
    hand.wait_ms(200);
    hand.command(Command::Suppress { phone: lead(1).phone, reason: "asked".into(), campaign: None }).unwrap();
    hand.wait_ms(200);
    assert_eq!(shown(&hand, 1), Some(LeadId(2)));
    hand.sound();
}

#[test]
fn a_clock_that_steps_back_takes_what_may_not_be_due_yet_off_the_screen() {
    let mut hand = Hand::floor(preview(), 3);
    hand.wait_ms(200);
    assert_eq!(shown(&hand, 1), Some(LeadId(1)));
    let reading = |hand: &Hand| NOON + hand.now.as_millis() as i64 - 1_000;
    hand.input(Input::Clock { unix_ms: reading(&hand) - 900 });
    assert_eq!(shown(&hand, 1), Some(LeadId(1)), "that is no step");
    hand.leads.clear(); // by the store's clock none is due
    hand.input(Input::Clock { unix_ms: reading(&hand) - 3_600_000 });
    hand.wait_ms(2_000);
    assert_eq!(shown(&hand, 1), None);
    refused(hand.command(dial_preview(1, 1)), "not on your screen");
    hand.sound();
}

#[test]
fn the_last_lead_on_a_screen_keeps_the_campaign_running() {
    let mut hand = Hand::floor(preview(), 1);
    hand.wait_ms(200);
    assert_eq!(shown(&hand, 1), Some(LeadId(1)));
    hand.input(Input::Leads { campaign: CampaignId(1), leads: vec![], next_due_unix_ms: None });
    assert_eq!(hand.engine.snapshot(hand.now).campaigns[0].status, CampaignStatus::Running);
    hand.sound();
}

#[test]
fn a_waiting_person_first_then_by_priority() {
    let other = |mode, priority| CampaignSettings { name: "b".into(), mode, priority, ..settings() };
    let floor = |second: CampaignSettings| {
        let mut hand = Hand::new(Restore {
            trunks: vec![trunk(100, 100)],
            campaigns: vec![restored(1, preview()), restored(2, second)],
            next_campaign: 3,
            next_attempt: 1,
            ..Restore::default()
        });
        hand.leads = (1..=9).map(lead).collect();
        for lead in &mut hand.leads[5..] {
            lead.campaign = CampaignId(2);
        }
        for id in [1, 2] {
            hand.command(Command::LeadsChanged(CampaignId(id))).unwrap();
        }
        hand.wait(Duration::from_secs(1));
        hand.agent_ready(1);
        hand.wait(Duration::from_secs(2));
        hand
    };
    let mut hand = floor(other(Mode::Progressive, 1));
    assert_eq!((shown(&hand, 1), hand.dials().len()), (None, 1), "the dialing campaign comes first");
    hand.sound();
    let mut hand = floor(other(Mode::Progressive, -1));
    assert_eq!((shown(&hand, 1), hand.dials().len()), (Some(LeadId(1)), 0), "the preview comes first");
    // A line of the other campaign is out, and its person waits: no lead is put before them.
    let mut hand = floor(other(Mode::Progressive, 1));
    let id = hand.dial();
    let lower = CampaignSettings { priority: -1, ..other(Mode::Progressive, -1) };
    hand.command(Command::UpdateCampaign { id: CampaignId(2), settings: Box::new(lower) }).unwrap();
    hand.wait(Duration::from_secs(3));
    assert_eq!(shown(&hand, 1), None, "one line is out that this agent must be there for");
    hand.line(id, LineEvent::FirstRtp);
    hand.answer(id);
    assert!(hand.asked(&Output::Bridge { id, agent: AgentId(1) }));
    hand.sound();
}

#[test]
fn every_switch_of_modes_keeps_calls_and_stops_dials() {
    let modes =
        [Mode::Manual, Mode::Preview, Mode::Progressive, Mode::Power, Mode::Predictive, Mode::Agentless];
    for from in modes {
        for to in modes.into_iter().filter(|to| *to != from) {
            let mut hand = Hand::floor(CampaignSettings { mode: from, max_lines: 1, ..settings() }, 12);
            hand.wait_ms(300);
            let line = match from {
                Mode::Manual => Some(by_hand(&mut hand, 1)),
                Mode::Preview => None,
                _ => Some(hand.dial()),
            };
            update(&mut hand, CampaignSettings { mode: to, max_lines: 1, ..settings() });
            hand.wait(Duration::from_secs(2));
            if from == Mode::Preview {
                assert_eq!(shown(&hand, 1), None, "{from:?} to {to:?}: the lead went back");
            }
            let cancelled = hand.out.iter().any(|output| matches!(output, Output::Cancel { .. }));
            assert!(!cancelled, "{from:?} to {to:?}: lines in flight are not cut");
            if matches!(to, Mode::Manual | Mode::Preview) {
                assert!(hand.dials().is_empty(), "{from:?} to {to:?}: no new dial");
            }
            if let Some(id) = line {
                hand.line(id, LineEvent::FirstRtp);
                hand.answer(id);
                let bridged = hand.asked(&Output::Bridge { id, agent: AgentId(1) });
                let prompted = hand.out.iter().any(|o| matches!(o, Output::Play { id: of, .. } if *of == id));
                let expected = (from != Mode::Agentless, from == Mode::Agentless);
                assert_eq!((bridged, prompted), expected, "{from:?} to {to:?}: as it began");
            }
            hand.sound();
        }
    }
}

#[test]
fn what_is_not_sent_yet_stops_when_agents_dial_by_hand() {
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(1, 10)],
        campaigns: vec![restored(
            1,
            CampaignSettings { mode: Mode::Power, lines_per_agent: 5.0, ..settings() },
        )],
        next_campaign: 2,
        next_attempt: 1,
        ..Restore::default()
    });
    hand.leads = (1..=9).map(lead).collect();
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    hand.wait_ms(500);
    hand.agent_ready(1);
    hand.dial();
    hand.wait_ms(900); // the next one is written and waits for its second
    update(&mut hand, manual());
    hand.wait(Duration::from_secs(3));
    assert!(hand.dials().is_empty());
    hand.sound();
}

#[test]
fn a_read_that_fails_or_comes_too_late_dials_nothing() {
    let mut hand = Hand::floor(manual(), 3);
    hand.reads = false;
    hand.input(Input::Command { reply: 80, command: dial_lead(1, 1) });
    hand.input(Input::Command { reply: 81, command: dial_lead(1, 2) });
    hand.input(Input::Lead { reply: 80, answer: LeadAnswer::Failed });
    assert!(hand.asked(&Output::Reply { reply: 80, result: Err(CommandError::Store) }));
    let one_at_a_time =
        |o: &Output| matches!(o, Output::Reply { reply: 81, result: Err(CommandError::Conflict(_)) });
    assert!(hand.out.iter().any(one_at_a_time));
    hand.input(Input::Command { reply: 82, command: dial_lead(1, 1) });
    hand.command(Command::SignOut(AgentId(1))).unwrap();
    let found = LeadAnswer::Found { lead: Box::new(lead(1)), status: LeadStatus::New, next_unix_ms: 0 };
    hand.input(Input::Lead { reply: 82, answer: found });
    assert!(hand.out.iter().any(|o| matches!(o, Output::Reply { reply: 82, result: Err(_) })));
    assert!(hand.dials().is_empty());
    hand.sound();
}
