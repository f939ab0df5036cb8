//! Teams and routing, forced states, limits of pauses, wrap-ups that end by themselves, lost agents, ends of shifts.

use super::*;
use crate::{
    AgentLost, AgentView, Force, Labels, PauseReason, People, Routing, ShiftWindow, Skill, Team, TeamId,
    TeamSettings,
};

fn view(hand: &Hand, id: i64) -> AgentView {
    let snapshot = hand.engine.snapshot(hand.now);
    snapshot.agents.into_iter().find(|agent| agent.id == AgentId(id)).expect("signed in")
}

fn ms_from_noon(hand: &Hand) -> i64 {
    NOON + i64::try_from(hand.now.since(Time::from_millis(1_000)).as_millis()).unwrap()
}

/// The times that were written of an agent: state, reason, who forced it, how long.
fn times(hand: &Hand, id: i64) -> Vec<(AgentState, String, Option<i64>, u64)> {
    let times = hand.out.iter().filter_map(|output| match output {
        Output::Store {
            write: Write::AgentTime { agent, state, reason, forced_by, lasted_ms, .. }, ..
        } if *agent == AgentId(id) => Some((*state, reason.clone(), forced_by.map(|by| by.0), *lasted_ms)),
        _ => None,
    });
    times.collect()
}

fn force(hand: &mut Hand, id: i64, state: Force, reason: &str) -> Result<Reply, CommandError> {
    let (by, by_name) = (AgentId(90), "Sam".to_owned());
    hand.command(Command::Force { agent: AgentId(id), state, by, by_name, reason: reason.into() })
}

/// A call with agent 1, whose audio is gone for good, and agent 2, who is ready or not.
fn lost(another: bool) -> (Hand, TryId) {
    let mut hand = Hand::floor(CampaignSettings { agent_lost: AgentLost::Offer, ..settings() }, 1);
    let id = hand.talk();
    if another {
        hand.agent_ready(2);
    }
    hand.wait(Duration::from_secs(20));
    hand.input(Input::Agent { id: AgentId(1), event: AgentEvent::LegDown });
    hand.wait(Duration::from_millis(9_900));
    assert!(hand.asked(&Output::Unbridge { id }) && hand.call_state(id) == CallState::Talking);
    hand.out.clear();
    hand.wait_ms(200);
    (hand, id)
}

fn parts(hand: &Hand) -> Vec<(i64, u64)> {
    let parts = hand.out.iter().filter_map(|output| match output {
        Output::Store { write: Write::Part { agent, lasted_ms, .. }, .. } => Some((agent.0, *lasted_ms)),
        _ => None,
    });
    parts.collect()
}

#[test]
fn a_call_whose_agent_stays_away_goes_on_with_another_one() {
    let (mut hand, id) = lost(true);
    assert!(hand.asked(&Output::Bridge { id, agent: AgentId(2) }));
    let handed = Write::HandedOver { attempt: id.attempt, agent: AgentId(2) };
    assert!(hand.out.iter().any(|o| matches!(o, Output::Store { write, .. } if *write == handed)));
    assert_eq!((hand.agent_state(1), hand.agent_state(2)), (AgentState::Paused, AgentState::Reserved));
    hand.wait(Duration::from_secs(30));
    hand.far_hangup(id);
    assert_eq!(hand.outcome(id), Outcome::Connected);
    assert_eq!(hand.agent_state(2), AgentState::WrapUp, "the record is for who had it last to finish");
    let parts = parts(&hand);
    assert_eq!(parts.iter().map(|(agent, _)| *agent).collect::<Vec<_>>(), [1, 2]);
    // 1.5 s of talk() and 20 s; then from the bridge to the end.
    assert!((21_500..21_600).contains(&parts[0].1) && (30_000..30_200).contains(&parts[1].1), "{parts:?}");
    let talked = hand.out.iter().find_map(|output| match output {
        Output::Store { write: Write::AttemptEnded { talk_ms, .. }, .. } => Some(*talk_ms),
        _ => None,
    });
    assert_eq!(talked, Some(parts[0].1 + parts[1].1));
    let campaign = &hand.engine.snapshot(hand.now).campaigns[0];
    assert_eq!((campaign.answered, campaign.abandoned), (1, 0));
    hand.finish(false);
    hand.sound();
}

#[test]
fn without_another_agent_the_person_waits_the_grace_and_counts_as_abandoned() {
    let (mut hand, id) = lost(false);
    assert_eq!(hand.call_state(id), CallState::Waiting);
    hand.wait(Duration::from_millis(1_700));
    assert_eq!(hand.call_state(id), CallState::Waiting);
    hand.wait(Duration::from_millis(500));
    let (campaign, what) = (CampaignId(1), crate::Message::Abandoned);
    assert!(hand.asked(&Output::Play { id, campaign, what }));
    hand.line(id, LineEvent::PlayDone);
    assert_eq!(hand.outcome(id), Outcome::Abandoned);
    assert_eq!(parts(&hand).len(), 1);
    let campaign = &hand.engine.snapshot(hand.now).campaigns[0];
    assert_eq!((campaign.answered, campaign.abandoned), (1, 1), "one entry, and an abandoned one");
    // The one who had it may still say what came of it.
    let (call, code, note) = (id.attempt, "sale".to_owned(), String::new());
    hand.command(Command::Dispose { call, code, note, callback_unix_ms: None, personal: false }).unwrap();
    hand.line(id, LineEvent::Ended { by: EndedBy::Near, q850: None });
    hand.finish(false);
    hand.sound();
}

#[test]
fn who_waits_after_a_loss_gets_the_next_agent_and_a_hang_up_stays_connected() {
    let (mut hand, id) = lost(false);
    hand.wait_ms(500);
    hand.agent_ready(3);
    assert!(hand.asked(&Output::Bridge { id, agent: AgentId(3) }));
    hand.wait(Duration::from_secs(5));
    hand.command(Command::Hangup(id.attempt)).unwrap();
    assert_eq!(hand.outcome(id), Outcome::Connected);
    let (mut hand, id) = lost(false);
    hand.far_hangup(id);
    assert_eq!(hand.outcome(id), Outcome::Connected);
    hand.finish(false);
    hand.sound();
}

#[test]
fn a_supervisor_sets_states_at_once_or_after_the_call() {
    let mut hand = Hand::floor(settings(), 3);
    let id = hand.talk();
    force(&mut hand, 1, Force::Paused, "meeting").unwrap();
    assert_eq!(hand.agent_state(1), AgentState::Talking, "not in a call");
    let forced = view(&hand, 1).forced.unwrap();
    assert_eq!((forced.by, forced.by_name.as_str(), forced.state), (AgentId(90), "Sam", AgentState::Paused));
    hand.far_hangup(id);
    hand.out.clear();
    hand.wait(Duration::from_secs(61)); // the wrap-up
    assert_eq!(hand.agent_state(1), AgentState::Paused);
    assert_eq!(view(&hand, 1).forced.unwrap().reason, "meeting");
    hand.wait(Duration::from_secs(9));
    force(&mut hand, 1, Force::Ready, "enough").unwrap();
    assert_eq!(hand.agent_state(1), AgentState::Ready);
    hand.wait(Duration::from_secs(1));
    force(&mut hand, 1, Force::Offline, "go home").unwrap();
    assert_eq!(hand.agent_state(1), AgentState::Offline);
    let times = times(&hand, 1);
    assert_eq!(
        times[1..],
        [
            (AgentState::Paused, "meeting".into(), Some(90), 10_000),
            (AgentState::Ready, "enough".into(), Some(90), 1_000),
            (AgentState::Offline, "go home".into(), Some(90), 0),
        ]
    );
    assert!(matches!(force(&mut hand, 1, Force::Ready, ""), Err(CommandError::NotFound { .. })));
    // What the agent does afterwards is the agent's own.
    hand.agent_ready(1);
    assert_eq!(view(&hand, 1).forced, None);
    assert_eq!(hand.engine.counters().forced, 3);
    hand.sound();
}

#[test]
fn pauses_have_limits_each_and_by_the_day() {
    let mut hand = Hand::floor(settings(), 0);
    let reason = |code: &str, limit_min, day_limit_min| PauseReason {
        code: code.into(),
        label: Labels { en: code.into(), ..Labels::default() },
        limit_min,
        day_limit_min,
        paid: true,
    };
    let reasons = vec![reason("tea", 10, 15), reason("lunch", 0, 0)];
    hand.command(Command::SetPauseReasons(reasons)).unwrap();
    let agent = AgentId(1);
    let pause = |hand: &mut Hand, why: &str| hand.command(Command::Pause { agent, reason: why.into() });
    assert!(matches!(pause(&mut hand, "smoke"), Err(CommandError::Invalid { .. })), "not of the list");
    pause(&mut hand, "tea").unwrap();
    let began = ms_from_noon(&hand);
    assert_eq!(view(&hand, 1).pause_ends_unix_ms, Some(began + 10 * 60_000));
    hand.wait(Duration::from_secs(11 * 60));
    assert_eq!(hand.engine.gauges(hand.now).pause_over, 1);
    pause(&mut hand, "lunch").unwrap();
    assert_eq!(view(&hand, 1).pause_ends_unix_ms, None);
    assert_eq!((hand.engine.gauges(hand.now).pause_over, hand.engine.counters().pauses_over), (0, 1));
    // Signing out and in again does not give the day back.
    hand.command(Command::SignOut(agent)).unwrap();
    hand.agent_ready(1);
    pause(&mut hand, "tea").unwrap();
    assert_eq!(
        view(&hand, 1).pause_ends_unix_ms,
        Some(ms_from_noon(&hand) + 4 * 60_000),
        "of 15 minutes 11 are gone"
    );
    hand.command(Command::Ready(agent)).unwrap();
    hand.command(Command::PauseCampaign(CampaignId(1))).unwrap(); // nothing to decide meanwhile
    hand.wait(Duration::from_secs(13 * 3_600)); // past midnight in UTC
    pause(&mut hand, "tea").unwrap();
    assert_eq!(view(&hand, 1).pause_ends_unix_ms, Some(ms_from_noon(&hand) + 10 * 60_000), "another day");
    hand.sound();
}

#[test]
fn a_wrap_up_may_be_made_longer_once_and_leaves_no_call_without_a_disposition() {
    let longer = CampaignSettings {
        wrap_up_extension_s: 30,
        wrap_up_disposition: "not_interested".into(),
        ..settings()
    };
    let mut hand = Hand::floor(longer, 3);
    let id = hand.talk();
    let agent = AgentId(1);
    assert!(matches!(hand.command(Command::ExtendWrapUp(agent)), Err(CommandError::Conflict(_))));
    hand.far_hangup(id);
    let (ended, wraps) = (ms_from_noon(&hand), view(&hand, 1));
    assert_eq!((wraps.wrap_up_ends_unix_ms, wraps.wrap_up_extension_s), (Some(ended + 60_000), 30));
    hand.wait(Duration::from_secs(50));
    hand.command(Command::ExtendWrapUp(agent)).unwrap();
    let wraps = view(&hand, 1);
    assert_eq!((wraps.wrap_up_ends_unix_ms, wraps.wrap_up_extension_s), (Some(ended + 90_000), 0));
    assert!(matches!(hand.command(Command::ExtendWrapUp(agent)), Err(CommandError::Conflict(_))), "once");
    hand.wait(Duration::from_secs(39));
    assert_eq!(hand.agent_state(1), AgentState::WrapUp);
    hand.out.clear();
    hand.wait(Duration::from_secs(2));
    assert_eq!(hand.agent_state(1), AgentState::Ready);
    let given = |hand: &Hand| {
        let writes = hand.out.iter().filter_map(|output| match output {
            Output::Store { write: Write::Disposed { code, .. }, .. } => Some(code.clone()),
            _ => None,
        });
        writes.collect::<Vec<String>>()
    };
    assert_eq!(given(&hand), ["not_interested"]);
    // One that was given stands, also when something follows the wrap-up.
    let id = hand.talk();
    hand.command(Command::Pause { agent, reason: "x".into() }).unwrap();
    hand.far_hangup(id);
    hand.out.clear();
    hand.wait(Duration::from_secs(61));
    assert_eq!((hand.agent_state(1), given(&hand)), (AgentState::Paused, vec!["not_interested".to_owned()]));
    assert_eq!(hand.engine.counters().disposed_automatically, 2);
    hand.sound();
}

#[test]
fn a_shift_ends_after_the_call_and_nothing_is_dialed_for_who_leaves() {
    let mut hand = Hand::floor(settings(), 9);
    let agent = AgentId(1);
    let id = hand.talk();
    let ends = ms_from_noon(&hand) + 60_000;
    hand.command(Command::SetShift { agent, ends_unix_ms: Some(ends) }).unwrap();
    assert_eq!(view(&hand, 1).shift_ends_unix_ms, Some(ends));
    hand.wait(Duration::from_secs(70));
    assert_eq!(view(&hand, 1).next, Some(AgentState::Offline), "the call goes on");
    assert_eq!(hand.call_state(id), CallState::Talking);
    hand.far_hangup(id);
    hand.wait(Duration::from_secs(61));
    assert_eq!(hand.agent_state(1), AgentState::Offline);

    // A line rings for 25 s: 20 s before the end none is dialed, and an hour before one is.
    hand.agent_ready(1);
    hand.dial();
    let mut hand = Hand::floor(settings(), 0);
    let ends = ms_from_noon(&hand) + 20_000;
    hand.command(Command::SetShift { agent, ends_unix_ms: Some(ends) }).unwrap();
    hand.leads = (1..=9).map(lead).collect();
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    hand.wait(Duration::from_secs(19));
    assert!(hand.dials().is_empty() && hand.agent_state(1) == AgentState::Ready);
    hand.wait(Duration::from_secs(2));
    assert_eq!(hand.agent_state(1), AgentState::Offline);
    hand.sound();
}

#[test]
fn the_windows_of_a_team_end_a_shift_and_one_more_call_is_one_more_call() {
    let window = ShiftWindow { days: vec![3], from: "08:00".into(), to: "12:30".into() };
    let team = TeamSettings {
        name: "New York".into(),
        time_zone: "America/New_York".into(),
        members: vec![AgentId(1)],
        shifts: vec![window],
        ..TeamSettings::default()
    };
    let mut hand = Hand::floor(settings(), 9);
    hand.command(Command::PutTeam { id: None, settings: Box::new(team) }).unwrap();
    assert_eq!(view(&hand, 1).shift_ends_unix_ms, Some(NOON + 30 * 60_000));
    hand.command(Command::LastCall(AgentId(1))).unwrap();
    assert!(view(&hand, 1).last_call);
    hand.command(Command::Ready(AgentId(1))).unwrap();
    assert!(!view(&hand, 1).last_call, "taken back");
    hand.command(Command::LastCall(AgentId(1))).unwrap();
    let id = hand.talk();
    assert_eq!(view(&hand, 1).next, Some(AgentState::Offline));
    hand.far_hangup(id);
    hand.wait(Duration::from_secs(61));
    assert_eq!(hand.agent_state(1), AgentState::Offline);
    hand.sound();
}

/// Two campaigns; of the second team's subtree agent 2 serves the second one.
fn shared() -> Hand {
    let team = |id: i64, parent: Option<i64>, members: &[i64]| {
        let members = members.iter().copied().map(AgentId).collect();
        let name = format!("team {id}");
        let settings = TeamSettings { name, parent: parent.map(TeamId), members, ..TeamSettings::default() };
        (TeamId(id), Team { id: TeamId(id), settings })
    };
    let power = |name: &str, lines_per_agent, priority| CampaignSettings {
        name: name.into(),
        mode: Mode::Power,
        lines_per_agent,
        priority,
        grace_ms: 10_000,
        dispositions: Vec::new(),
        ..settings()
    };
    let first = power("first", 4.0, 1);
    let second = CampaignSettings { teams: vec![TeamId(1)], ..power("second", 10.0, 0) };
    let mut hand = Hand::new(Restore {
        trunks: vec![trunk(100, 100)],
        campaigns: vec![restored(1, first), restored(2, second)],
        next_campaign: 3,
        next_attempt: 1,
        people: People { teams: [team(1, None, &[1]), team(2, Some(1), &[2])].into(), ..People::default() },
        next_team: 3,
        ..Restore::default()
    });
    let second = (51..=70).map(|id| Lead { campaign: CampaignId(2), ..lead(id) });
    hand.leads = (1..=20).map(lead).chain(second).collect();
    for id in [1, 2] {
        hand.command(Command::LeadsChanged(CampaignId(id))).unwrap();
    }
    hand.wait(Duration::from_secs(1));
    hand
}

#[test]
fn an_agent_takes_first_whom_they_put_first() {
    let mut hand = shared();
    let agent = AgentId(1);
    let skill = Skill { agent, campaign: CampaignId(2), level: 5, priority: 7 };
    hand.command(Command::SetSkills(vec![skill])).unwrap();
    hand.agent_ready(1);
    hand.wait(Duration::from_secs(1));
    let dials = hand.dials();
    let is_second = |dial: &&Dial| dial.phone.0.as_str() > "+12025550050";
    let of_second: Vec<TryId> = dials.iter().filter(is_second).map(|dial| dial.id).collect();
    let of_first: Vec<TryId> = dials.iter().filter(|dial| !is_second(dial)).map(|dial| dial.id).collect();
    assert!(of_first.len() >= 2 && !of_second.is_empty(), "{} {}", of_first.len(), of_second.len());
    for id in [of_first[0], of_first[1], of_second[0]] {
        hand.line(id, LineEvent::FirstRtp);
        hand.answer(id);
        hand.wait_ms(100);
    }
    assert!(hand.asked(&Output::Bridge { id: of_first[0], agent }));
    hand.wait_ms(1_500);
    hand.far_hangup(of_first[0]);
    hand.command(Command::Ready(agent)).unwrap();
    assert!(hand.asked(&Output::Bridge { id: of_second[0], agent }), "who waits shorter, and comes first");
    hand.sound();
}

#[test]
fn a_campaign_is_served_by_the_agents_of_its_teams_and_those_below() {
    let mut hand = shared();
    for id in [1, 2, 3] {
        hand.agent_ready(id);
    }
    let agents =
        |hand: &Hand| hand.engine.snapshot(hand.now).campaigns.iter().map(|c| c.agents).collect::<Vec<u32>>();
    assert_eq!(agents(&hand), [3, 2]);
    // Agent 2's team moves away.
    let moved = TeamSettings { name: "team 2".into(), members: vec![AgentId(2)], ..TeamSettings::default() };
    hand.command(Command::PutTeam { id: Some(TeamId(2)), settings: Box::new(moved) }).unwrap();
    assert_eq!(agents(&hand), [3, 1]);
    let gone = hand.command(Command::DeleteTeam(TeamId(2)));
    assert!(matches!(gone, Err(CommandError::Conflict(_))), "it has members");
    let empty = TeamSettings { name: "team 1".into(), ..TeamSettings::default() };
    hand.command(Command::PutTeam { id: Some(TeamId(1)), settings: Box::new(empty) }).unwrap();
    assert_eq!(agents(&hand), [3, 0], "a team without members: nobody, not everybody");
    let gone = hand.command(Command::DeleteTeam(TeamId(1)));
    assert!(matches!(gone, Err(CommandError::Conflict(_))), "a campaign names it");
    hand.sound();
}

#[test]
fn a_change_that_is_not_written_changes_nothing() {
    let mut hand = Hand::floor(settings(), 0);
    hand.commits = false;
    let team = TeamSettings { name: "t".into(), ..TeamSettings::default() };
    hand.tokens.clear();
    hand.input(Input::Command {
        reply: 700,
        command: Command::PutTeam { id: None, settings: Box::new(team.clone()) },
    });
    let busy = hand.command(Command::PutTeam { id: None, settings: Box::new(team.clone()) });
    assert!(matches!(busy, Err(CommandError::Conflict(_))), "one at a time");
    let token = hand.tokens[0];
    hand.input(Input::CommitFailed { token });
    assert!(hand.asked(&Output::Reply { reply: 700, result: Err(CommandError::Store) }));
    assert!(hand.engine.people().teams.is_empty());
    hand.commits = true;
    hand.wait(Duration::from_secs(5));
    hand.command(Command::PutTeam { id: None, settings: Box::new(team) }).unwrap();
    assert_eq!(hand.engine.people().teams.len(), 1);
}

#[test]
fn calls_go_by_the_campaigns_routing() {
    let chosen = |routing: Routing| {
        let mut hand = Hand::floor(CampaignSettings { routing, ..settings() }, 0);
        hand.wait(Duration::from_secs(20));
        hand.agent_ready(2);
        let skill = Skill { agent: AgentId(2), campaign: CampaignId(1), level: 10, priority: 0 };
        hand.command(Command::SetSkills(vec![skill])).unwrap();
        hand.wait(Duration::from_secs(30));
        // Agent 1 is idle for 50 s, agent 2 for 30; who talked with the lead last is agent 2.
        hand.leads = vec![Lead { last_agent: Some(AgentId(2)), ..lead(1) }];
        hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
        let id = hand.dial();
        hand.wait(Duration::from_secs(3));
        hand.line(id, LineEvent::FirstRtp);
        hand.answer(id);
        hand.sound();
        hand.call(id).unwrap().agent.unwrap().0
    };
    assert_eq!(chosen(Routing::LongestIdle), 1);
    assert_eq!(chosen(Routing::FewestCalls), 1, "none yet: who is idle longest");
    assert_eq!(chosen(Routing::Skill), 2, "33 s × 10 over 53 s × 5");
    assert_eq!(chosen(Routing::Sticky), 2);
}
