//! Agents: states, legs, wrap-up, dispositions.

use super::*;
use crate::{LeadStatus, Undisposed};

fn dispose(hand: &mut Hand, id: TryId, code: &str, callback: Option<i64>) -> Result<Reply, CommandError> {
    hand.command(Command::Dispose {
        call: id.attempt,
        code: code.into(),
        note: "spoke".into(),
        callback_unix_ms: callback,
        personal: false,
    })
}

#[test]
fn what_is_said_of_an_earlier_call_does_not_move_a_lead_that_was_dialed_again() {
    let mut hand = Hand::floor(CampaignSettings { max_attempts: 2, ..settings() }, 1);
    let first = hand.talk();
    hand.line(first, LineEvent::Ended { by: EndedBy::Far, q850: None });
    let at = NOON + i64::try_from(hand.now.since(Time::from_millis(1_000)).as_millis()).unwrap();
    dispose(&mut hand, first, "call_back", Some(at)).unwrap();
    hand.command(Command::Ready(AgentId(1))).unwrap();
    hand.leads = vec![Lead { attempts: 1, last_outcome: Some(Outcome::Connected), repeats: 1, ..lead(1) }];
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    hand.wait(Duration::from_secs(2));
    let second = hand.talk();
    assert_ne!(second, first);
    hand.out.clear();
    let corrected = dispose(&mut hand, first, "call_back", None);
    assert!(corrected.is_ok(), "{corrected:?}");
    assert!(
        hand.out.iter().any(|o| matches!(o, Output::Store { write: Write::Disposed { lead: None, .. }, .. }))
    );
    assert!(matches!(
        dispose(&mut hand, first, "call_back", Some(at + 3_600_000)),
        Err(CommandError::Conflict(_))
    ));
    hand.sound();
}

#[test]
fn ready_needs_audio() {
    let mut hand = Hand::new(Restore { trunks: vec![trunk(1, 1)], ..Restore::default() });
    let agent = AgentId(1);
    assert!(matches!(hand.command(Command::Ready(agent)), Err(CommandError::NotFound { .. })));
    hand.command(Command::SignIn { agent, name: "Ann".into() }).unwrap();
    assert_eq!(hand.agent_state(1), AgentState::Paused);
    assert!(matches!(hand.command(Command::Ready(agent)), Err(CommandError::Conflict(_))));
    hand.input(Input::Agent { id: agent, event: AgentEvent::LegUp });
    hand.command(Command::Ready(agent)).unwrap();
    assert_eq!(hand.agent_state(1), AgentState::Ready);
    hand.input(Input::Agent { id: agent, event: AgentEvent::LegDown });
    hand.wait(Duration::from_secs(29));
    assert_eq!(hand.agent_state(1), AgentState::Ready, "a reload keeps the state");
    hand.wait(Duration::from_secs(2));
    assert_eq!(hand.agent_state(1), AgentState::Paused);
    hand.command(Command::SignOut(agent)).unwrap();
    assert_eq!(hand.agent_state(1), AgentState::Offline);
    let times: Vec<AgentState> = hand
        .out
        .iter()
        .filter_map(|o| match o {
            Output::Store { write: Write::AgentTime { state, .. }, .. } => Some(*state),
            _ => None,
        })
        .collect();
    assert_eq!(times, [AgentState::Paused, AgentState::Ready, AgentState::Paused]);
    hand.sound();
}

#[test]
fn wrap_up_ends_by_disposition_and_ready_or_by_itself() {
    let mut hand = Hand::floor(settings(), 5);
    let id = hand.talk();
    hand.far_hangup(id);
    let agent = AgentId(1);
    assert!(matches!(hand.command(Command::Ready(agent)), Err(CommandError::Conflict(_))));
    assert!(matches!(dispose(&mut hand, id, "nonsense", None), Err(CommandError::Invalid { .. })));
    dispose(&mut hand, id, "sale", None).unwrap();
    assert_eq!(hand.call(id).unwrap().disposition.as_deref(), Some("sale"), "shown while it is wrapped up");
    assert_eq!(hand.agent_state(1), AgentState::WrapUp);
    hand.command(Command::Ready(agent)).unwrap();
    assert_eq!(hand.agent_state(1), AgentState::Ready);
    // The next one ends by itself.
    let id = hand.talk();
    hand.far_hangup(id);
    hand.wait(Duration::from_secs(59));
    assert_eq!(hand.agent_state(1), AgentState::WrapUp);
    hand.wait(Duration::from_secs(2));
    assert_eq!(hand.agent_state(1), AgentState::Ready);
    // And may still be given its disposition, and be corrected.
    dispose(&mut hand, id, "call_back", Some(NOON + 86_400_000)).unwrap();
    dispose(&mut hand, id, "not_interested", None).unwrap();
    hand.sound();
}

#[test]
fn a_wrap_up_does_not_end_before_a_correction_is_seen() {
    for fails in [false, true] {
        let mut hand = Hand::floor(settings(), 5);
        let id = hand.talk();
        hand.far_hangup(id);
        dispose(&mut hand, id, "sale", None).unwrap();
        hand.commits = false;
        hand.tokens.clear();
        let correction = Command::Dispose {
            call: id.attempt,
            code: "not_interested".into(),
            note: String::new(),
            callback_unix_ms: None,
            personal: false,
        };
        hand.input(Input::Command { reply: 900, command: correction });
        let token = hand.tokens[0];
        let refused = hand.command(Command::Ready(AgentId(1)));
        assert!(matches!(refused, Err(CommandError::Conflict(text)) if text.contains("being written")));
        hand.wait(Duration::from_secs(61));
        assert_eq!(hand.agent_state(1), AgentState::WrapUp, "its time is over, and it waits");
        hand.events.clear();
        hand.commits = true;
        hand.input(if fails { Input::CommitFailed { token } } else { Input::Committed { token } });
        let shown = hand.events.iter().find_map(|event| match event {
            crate::Event::Call(view) if view.id == id.attempt => view.disposition.clone(),
            _ => None,
        });
        assert_eq!(shown.as_deref(), (!fails).then_some("not_interested"), "what stands was shown before");
        assert_eq!(hand.agent_state(1), AgentState::Ready);
        hand.sound();
    }
}

#[test]
fn pause_in_a_call_takes_effect_after_wrap_up() {
    let mut hand = Hand::floor(settings(), 2);
    let id = hand.talk();
    let agent = AgentId(1);
    hand.command(Command::Pause { agent, reason: "lunch".into() }).unwrap();
    assert_eq!(hand.agent_state(1), AgentState::Talking);
    let view = hand.engine.snapshot(hand.now).agents[0].clone();
    assert_eq!(view.next, Some(AgentState::Paused));
    dispose(&mut hand, id, "sale", None).unwrap();
    hand.wait(Duration::from_secs(3));
    hand.far_hangup(id);
    let view = hand.engine.snapshot(hand.now).agents[0].clone();
    assert_eq!((view.state, view.reason.as_str(), view.next), (AgentState::Paused, "lunch", None));
    // What was said during the call decides about the lead, not the outcome.
    assert_eq!(hand.endings()[0].2.status, LeadStatus::Done);
    assert!(hand.dials().is_empty());
    hand.sound();
}

#[test]
fn dispositions_decide_about_the_lead() {
    let rows = [
        ("sale", None, LeadStatus::Done, 0),
        ("call_back", None, LeadStatus::Retry, 86_400_000),
        ("call_back", Some(7_200_000), LeadStatus::Retry, 7_200_000),
        ("do_not_call", None, LeadStatus::Suppressed, 0),
    ];
    for (code, callback, status, after) in rows {
        let mut hand = Hand::floor(settings(), 1);
        let id = hand.talk();
        let at = NOON + i64::try_from(hand.now.since(Time::from_millis(1_000)).as_millis()).unwrap();
        dispose(&mut hand, id, code, callback.map(|ms| at + ms)).unwrap();
        let given = hand.out.iter().find_map(|o| match o {
            Output::Store { write: Write::Disposed { lead, .. }, .. } => lead.clone(),
            _ => None,
        });
        let given = given.unwrap();
        assert_eq!((given.status, given.next_unix_ms - at, given.attempts), (status, after, 1), "{code}");
        let suppress =
            hand.out.iter().any(|o| matches!(o, Output::Store { write: Write::Suppress { .. }, .. }));
        assert_eq!(suppress, code == "do_not_call");
        hand.wait(Duration::from_secs(2));
        hand.far_hangup(id);
        assert_eq!(hand.endings()[0].2.status, status);
        hand.sound();
    }
}

#[test]
fn a_lost_leg_holds_the_call_for_the_agent() {
    let mut hand = Hand::floor(settings(), 2);
    let id = hand.talk();
    let agent = AgentId(1);
    hand.input(Input::Agent { id: agent, event: AgentEvent::LegDown });
    assert!(hand.asked(&Output::Unbridge { id }));
    hand.wait(Duration::from_secs(9));
    hand.out.clear();
    hand.input(Input::Agent { id: agent, event: AgentEvent::LegUp });
    assert!(hand.asked(&Output::Bridge { id, agent }));
    assert_eq!(hand.agent_state(1), AgentState::Talking);
    hand.input(Input::Agent { id: agent, event: AgentEvent::LegDown });
    hand.wait(Duration::from_secs(11));
    assert!(hand.asked(&Output::Hangup { id }));
    assert_eq!(hand.outcome(id), Outcome::Connected);
    assert_eq!(hand.agent_state(1), AgentState::WrapUp);
    hand.sound();
}

#[test]
fn a_silent_leg_is_not_offered_a_call_and_keeps_its_place() {
    let mut hand = Hand::floor(settings(), 4);
    hand.wait_ms(200);
    hand.agent_ready(2);
    hand.wait_ms(200);
    let ids: Vec<TryId> = hand.dials().into_iter().map(|dial| dial.id).collect();
    hand.input(Input::Agent { id: AgentId(1), event: AgentEvent::Silent });
    hand.line(ids[0], LineEvent::FirstRtp);
    hand.answer(ids[0]);
    assert!(hand.asked(&Output::Bridge { id: ids[0], agent: AgentId(2) }));
    hand.line(ids[1], LineEvent::FirstRtp);
    hand.answer(ids[1]);
    assert_eq!(hand.call_state(ids[1]), CallState::Waiting);
    hand.input(Input::Agent { id: AgentId(1), event: AgentEvent::Alive });
    assert!(hand.asked(&Output::Bridge { id: ids[1], agent: AgentId(1) }));
    hand.sound();
}

#[test]
fn calls_before_a_restart_get_their_disposition() {
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(10, 10)],
        campaigns: vec![restored(1, settings())],
        undisposed: vec![Undisposed {
            attempt: AttemptId(7),
            campaign: CampaignId(1),
            lead: crate::LeadId(3),
            phone: lead(3).phone,
            agent: AgentId(1),
            attempts: 2,
            repeats: 1,
        }],
        next_campaign: 2,
        next_attempt: 8,
        ..Restore::default()
    });
    let id = TryId { attempt: AttemptId(7), number: 1 };
    dispose(&mut hand, id, "do_not_call", None).unwrap();
    assert!(hand.out.iter().any(|o| matches!(
        o,
        Output::Store { write: Write::Disposed { lead: Some(lead), .. }, .. } if lead.attempts == 2
    )));
    let other = TryId { attempt: AttemptId(6), number: 1 };
    assert!(matches!(dispose(&mut hand, other, "sale", None), Err(CommandError::NotFound { .. })));
    hand.sound();
}

#[test]
fn everybody_gone_takes_lines_back() {
    let mut hand = Hand::floor(CampaignSettings { mode: Mode::Power, lines_per_agent: 3.0, ..settings() }, 9);
    hand.wait_ms(200);
    let ids: Vec<TryId> = hand.dials().into_iter().map(|dial| dial.id).collect();
    assert_eq!(ids.len(), 3);
    hand.line(ids[0], LineEvent::Ringing { early_media: false });
    hand.input(Input::Agent { id: AgentId(1), event: AgentEvent::LegDown });
    hand.wait(Duration::from_secs(4));
    let cancelled =
        |hand: &Hand, id: TryId| hand.asked(&Output::Cancel { id, reason: crate::CancelReason::Pacing });
    assert!(!cancelled(&hand, ids[0]), "it has not rung 15 s");
    assert!(cancelled(&hand, ids[1]) && cancelled(&hand, ids[2]));
    assert!(hand.dials().is_empty());
    hand.wait(Duration::from_secs(12));
    assert!(cancelled(&hand, ids[0]));
    hand.sound();
}
