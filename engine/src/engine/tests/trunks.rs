//! Trunks that come, change and go by command while calls run.

use super::*;
use crate::{Event, Failure, StoredTrunk};

fn made(name: &str, max_cps: u32, max_channels: u32) -> Trunk {
    Trunk { max_cps, max_channels, ..Trunk::new(TrunkId(7), name, "+12025550100") }
}

fn put(id: Option<TrunkId>, trunk: Trunk) -> Command {
    let stored = StoredTrunk { id: TrunkId(0), name: trunk.name.clone(), profile: "{}".into(), sealed: None };
    Command::PutTrunk { id, trunk: Box::new(trunk), stored: Box::new(stored) }
}

fn add(hand: &mut Hand, trunk: Trunk) -> TrunkId {
    match hand.command(put(None, trunk)) {
        Ok(Reply::Trunk(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn refused(hand: &mut Hand, command: Command) -> String {
    match hand.command(command) {
        Err(error @ (CommandError::Conflict(_) | CommandError::Invalid { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn channels(hand: &Hand, id: TrunkId) -> Option<u32> {
    let snapshot = hand.engine.snapshot(hand.now);
    snapshot.trunks.iter().find(|view| view.id == id).map(|view| view.channels)
}

/// A campaign with eight agents on a trunk that was made while the dialer runs.
fn floor(trunk: Trunk) -> (Hand, TrunkId) {
    let mut hand = Hand::floor(settings(), 60);
    let id = add(&mut hand, trunk);
    let update = CampaignSettings { trunk: "made".into(), ..settings() };
    hand.command(Command::UpdateCampaign { id: CampaignId(1), settings: Box::new(update) }).unwrap();
    (2..=8).for_each(|agent| hand.agent_ready(agent));
    (hand, id)
}

/// The calls on a trunk.
fn calls(hand: &Hand, trunk: TrunkId) -> Vec<TryId> {
    let calls = hand.engine.snapshot(hand.now).calls;
    let on = calls.iter().filter(|call| call.trunk == trunk && call.state != CallState::Ended);
    on.map(|call| TryId { attempt: call.id, number: 1 }).collect()
}

#[test]
fn a_made_trunk_has_an_id_of_its_own_and_takes_calls_at_once() {
    let (mut hand, id) = floor(made("made", 100, 100));
    assert_eq!(id, TrunkId::FIRST_STORED);
    assert!(hand.events.iter().any(|event| matches!(event, Event::Trunk(view) if view.id == id)));
    hand.dials();
    hand.wait(Duration::from_secs(2));
    let dials = hand.dials();
    assert!(!dials.is_empty() && dials.iter().all(|dial| dial.trunk == id), "{dials:?}");
    assert_eq!(add(&mut hand, made("other", 1, 1)), TrunkId(id.0 + 1));
    hand.sound();
}

#[test]
fn a_lower_limit_holds_for_what_was_decided_before() {
    let (mut hand, id) = floor(made("made", 100, 100));
    hand.wait(Duration::from_secs(2));
    let up = channels(&hand, id).unwrap();
    assert!(up >= 7, "{up}");
    hand.command(put(Some(id), made("made", 1, 3))).unwrap();
    assert_eq!(channels(&hand, id), Some(up), "calls in progress go on");
    for call in calls(&hand, id).into_iter().skip(1) {
        hand.line(call, LineEvent::Failed(Failure::Cancelled));
    }
    hand.wait(Duration::from_secs(10));
    // The checker counts calls a second and at once.
    assert!(channels(&hand, id).unwrap() <= 3);
    hand.sound();
}

#[test]
fn a_deleted_trunk_is_gone_when_its_last_call_has_ended() {
    let (mut hand, id) = floor(made("made", 100, 100));
    hand.wait(Duration::from_secs(2));
    let refusal = refused(&mut hand, Command::DeleteTrunk(id));
    assert!(refusal.contains("campaign Spring uses trunk made"), "{refusal}");
    hand.command(Command::UpdateCampaign { id: CampaignId(1), settings: Box::new(settings()) }).unwrap();
    let up = channels(&hand, id).unwrap();
    hand.command(Command::DeleteTrunk(id)).unwrap();
    assert_eq!(channels(&hand, id), Some(up));
    assert!(matches!(hand.command(Command::DeleteTrunk(id)), Err(CommandError::NotFound { .. })));
    assert!(matches!(hand.command(put(Some(id), made("made", 1, 1))), Err(CommandError::NotFound { .. })));
    assert!(
        refused(&mut hand, put(None, made("made", 1, 1))).contains("there is a trunk named made already")
    );
    hand.dials();
    for call in calls(&hand, id) {
        assert!(channels(&hand, id).is_some());
        hand.line(call, LineEvent::Failed(Failure::Cancelled));
    }
    assert_eq!(channels(&hand, id), None);
    assert!(hand.events.contains(&Event::TrunkDeleted { id }));
    hand.wait(Duration::from_secs(2));
    assert!(hand.dials().iter().all(|dial| dial.trunk == TrunkId(1)));
    hand.sound();
}

#[test]
fn what_may_not_be_changed_says_why() {
    let (mut hand, id) = floor(made("made", 10, 10));
    let file = "stands in the configuration file";
    assert!(refused(&mut hand, put(Some(TrunkId(1)), made("carrier", 1, 1))).contains(file));
    assert!(refused(&mut hand, Command::DeleteTrunk(TrunkId(1))).contains(file));
    assert!(refused(&mut hand, put(Some(id), made("renamed", 1, 1))).contains("keeps its name"));
    assert!(refused(&mut hand, put(None, made("CARRIER", 1, 1))).contains("there is a trunk named"));
    let nowhere = Trunk { fail_over: vec![TrunkId(55)], ..made("x", 1, 1) };
    assert!(refused(&mut hand, put(None, nowhere)).contains("no other trunk 55"));
    let itself = Trunk { fail_over: vec![id], ..made("made", 1, 1) };
    assert!(refused(&mut hand, put(Some(id), itself)).starts_with("fail_over"));
    let spare = add(&mut hand, made("spare", 1, 1));
    hand.command(put(Some(id), Trunk { fail_over: vec![spare], ..made("made", 1, 1) })).unwrap();
    assert!(refused(&mut hand, Command::DeleteTrunk(spare)).contains("trunk made uses trunk spare"));
    hand.command(put(Some(id), made("made", 1, 1))).unwrap();
    hand.command(Command::DeleteTrunk(spare)).unwrap();
    assert!(hand.events.contains(&Event::TrunkDeleted { id: spare }), "at once: nothing was on it");
    hand.sound();
}

#[test]
fn a_change_that_the_disk_does_not_take_changes_nothing() {
    let (mut hand, id) = floor(made("made", 10, 10));
    hand.command(Command::UpdateCampaign { id: CampaignId(1), settings: Box::new(settings()) }).unwrap();
    hand.commits = false;
    for command in [put(Some(id), made("made", 1, 1)), Command::DeleteTrunk(id), put(None, made("new", 1, 1))]
    {
        hand.out.clear();
        hand.input(Input::Command { reply: 900, command });
        assert!(
            !hand.out.iter().any(|output| matches!(output, Output::Reply { .. })),
            "not before it is on disk"
        );
        let stored = hand.out.iter().find_map(|output| match output {
            Output::Store { token, write: Write::Trunk(_) | Write::TrunkDeleted(_) } => *token,
            _ => None,
        });
        hand.input(Input::CommitFailed { token: stored.unwrap() });
        let failed = |output: &Output| {
            matches!(output, Output::Reply { reply: 900, result: Err(CommandError::Store) })
        };
        assert!(hand.out.iter().any(failed), "{:?}", hand.out);
    }
    let views = hand.engine.snapshot(hand.now).trunks;
    let limits: Vec<_> = views.iter().map(|view| (view.name.as_str(), view.max_cps)).collect();
    assert_eq!(limits, [("carrier", 100), ("made", 10)]);
}

#[test]
fn a_change_closes_the_breaker() {
    let (mut hand, id) = floor(Trunk { breaker_failures: 1, breaker_pause_s: 100, ..made("made", 100, 100) });
    hand.wait(Duration::from_secs(2));
    let call = calls(&hand, id)[0];
    hand.line(call, LineEvent::Failed(Failure::Timeout { rang: false }));
    let breaker = |hand: &Hand| {
        let views = hand.engine.snapshot(hand.now).trunks;
        views.iter().find(|view| view.id == id).map(|view| view.breaker).unwrap()
    };
    assert_eq!(breaker(&hand), crate::BreakerState::Open);
    hand.command(put(Some(id), made("made", 100, 100))).unwrap();
    assert_eq!(breaker(&hand), crate::BreakerState::Closed);
    hand.wait(Duration::from_secs(2));
    hand.sound();
}
