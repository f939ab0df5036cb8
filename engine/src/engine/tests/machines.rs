//! Machines: messages left behind greetings, what agents are told of late, verdicts that agents check.

use super::*;
use crate::{MachineDetection, MachineSign, Mark, Message, Verdict};

fn voicemail() -> CampaignSettings {
    CampaignSettings {
        machine_detection: MachineDetection::Voicemail,
        voicemail_message: "message.wav".into(),
        ..settings()
    }
}

/// A call that was answered, and of which it is not known who is there.
fn answered(settings: CampaignSettings) -> (Hand, TryId) {
    let mut hand = Hand::floor(settings, 1);
    let id = hand.dial();
    hand.wait(Duration::from_secs(3));
    hand.line(id, LineEvent::FirstRtp);
    hand.line(id, LineEvent::Answered { dialog: vec![1], detecting: true });
    hand.wait_ms(1_900);
    (hand, id)
}

fn plays(hand: &Hand, id: TryId) -> bool {
    hand.asked(&Output::Play { id, campaign: CampaignId(1), what: Message::Voicemail })
}

fn marks(hand: &Hand) -> Vec<Mark> {
    let mark = |output: &Output| match output {
        Output::Store { write: Write::Marked { mark, .. }, .. } => Some(*mark),
        _ => None,
    };
    hand.out.iter().filter_map(mark).collect()
}

fn view(hand: &Hand) -> crate::CampaignView {
    hand.engine.snapshot(hand.now).campaigns[0].clone()
}

#[test]
fn a_message_is_left_behind_the_beep_or_the_quiet_or_after_a_minute() {
    for event in [Some(LineEvent::Beep), Some(LineEvent::Quiet), None] {
        let (mut hand, id) = answered(voicemail());
        hand.line(id, LineEvent::Verdict(Verdict::Machine));
        assert_eq!(hand.call_state(id), CallState::Voicemail);
        assert_eq!(hand.agent_state(1), AgentState::Ready, "no agent is kept for a machine");
        // The machine waits, without a beep so far: that is no reason to hang up.
        hand.line(id, LineEvent::Verdict(Verdict::Screening));
        hand.wait(Duration::from_secs(if event.is_some() { 9 } else { 59 }));
        assert!(!plays(&hand, id) && !hand.asked(&Output::Hangup { id }));
        match event {
            Some(event) => hand.line(id, event),
            None => hand.wait(Duration::from_secs(2)),
        }
        assert!(plays(&hand, id));
        if hand.call(id).unwrap().since_unix_ms == hand.engine.snapshot(hand.now).at_unix_ms {
            hand.line(id, LineEvent::PlayDone);
            assert!(!hand.asked(&Output::Hangup { id }), "what was played before is over, not the message");
        }
        hand.wait(Duration::from_secs(6));
        hand.line(id, LineEvent::PlayDone);
        assert!(hand.asked(&Output::Hangup { id }));
        assert_eq!((hand.outcome(id), marks(&hand)), (Outcome::Machine, vec![Mark::MessageLeft]));
        assert_eq!(hand.engine.counters().messages_left, 1);
        assert_eq!((view(&hand).machines.ended, view(&hand).answered), (1, 0));
        hand.finish(false);
        hand.sound();
    }
}

#[test]
fn who_ends_a_machines_call_early_leaves_no_message() {
    type End = fn(&mut Hand, TryId);
    let ends: [End; 4] = [
        |hand, id| hand.far_hangup(id),
        |hand, id| {
            hand.line(id, LineEvent::Beep);
            hand.wait(Duration::from_secs(2));
            hand.far_hangup(id);
        },
        |hand, id| {
            hand.line(id, LineEvent::Beep);
            hand.command(Command::Hangup(id.attempt)).unwrap();
        },
        |hand, id| {
            hand.line(id, LineEvent::Beep);
            hand.line(id, LineEvent::PlayFailed);
        },
    ];
    for end in ends {
        let (mut hand, id) = answered(voicemail());
        hand.line(id, LineEvent::Verdict(Verdict::Machine));
        hand.wait(Duration::from_secs(2));
        end(&mut hand, id);
        assert_eq!((hand.outcome(id), marks(&hand)), (Outcome::Machine, vec![]));
        hand.finish(false);
        hand.sound();
    }
    // A fax, the network, and whoever answers a campaign that leaves none.
    for verdict in [Verdict::Fax, Verdict::Network, Verdict::Machine] {
        let leaves = if verdict == Verdict::Machine {
            CampaignSettings { machine_detection: MachineDetection::HangUp, ..settings() }
        } else {
            voicemail()
        };
        let (mut hand, id) = answered(leaves);
        hand.line(id, LineEvent::Verdict(verdict));
        assert!(hand.asked(&Output::Hangup { id }) && !plays(&hand, id), "{verdict:?}");
        hand.sound();
    }
}

#[test]
fn a_machine_that_hears_the_prompt_is_left_the_message_behind_its_beep() {
    let (mut hand, id) = answered(CampaignSettings { mode: Mode::Agentless, ..voicemail() });
    hand.line(id, LineEvent::Verdict(Verdict::Person));
    assert!(hand.asked(&Output::Play { id, campaign: CampaignId(1), what: Message::Prompt }));
    hand.wait(Duration::from_secs(4));
    hand.line(id, LineEvent::Beep);
    hand.line(id, LineEvent::Verdict(Verdict::Machine));
    assert!(hand.asked(&Output::StopPlay { id }) && plays(&hand, id));
    hand.wait(Duration::from_secs(6));
    hand.line(id, LineEvent::PlayDone);
    assert_eq!((hand.outcome(id), marks(&hand)), (Outcome::Machine, vec![Mark::MessageLeft]));
    hand.finish(false);
    hand.sound();
}

#[test]
fn an_agent_is_told_of_a_machine_and_ends_it_by_a_key() {
    let hang_up = CampaignSettings { machine_detection: MachineDetection::HangUp, ..settings() };
    for machine in [true, false] {
        let (mut hand, id) = answered(hang_up.clone());
        hand.line(id, LineEvent::Verdict(Verdict::Person));
        hand.wait_ms(20);
        let at = hand.now;
        hand.line(id, LineEvent::FirstPacket { at });
        hand.wait(Duration::from_secs(3));
        assert_eq!(hand.call(id).unwrap().machine, None);
        hand.line(id, LineEvent::Verdict(Verdict::Machine));
        assert_eq!(hand.call(id).unwrap().machine, Some(MachineSign::Sounds));
        assert!(!hand.asked(&Output::Hangup { id }), "the agent decides");
        hand.command(Command::MachineCheck { call: id.attempt, machine }).unwrap();
        if machine {
            assert!(hand.asked(&Output::Hangup { id }));
            assert_eq!(hand.outcome(id), Outcome::Machine);
            assert_eq!(hand.agent_state(1), AgentState::Ready, "there is nothing to write down");
            assert_eq!((view(&hand).answered, view(&hand).machines.ended), (0, 0));
        } else {
            assert_eq!(hand.call(id).unwrap().machine, None);
            hand.far_hangup(id);
            assert_eq!((hand.outcome(id), view(&hand).answered), (Outcome::Connected, 1));
        }
        assert_eq!(marks(&hand), [], "this call was not sampled");
        assert!(hand.command(Command::MachineCheck { call: AttemptId(99), machine }).is_err());
        hand.finish(false);
        hand.sound();
    }
}

#[test]
fn a_share_of_machines_is_checked_by_agents() {
    let sampling = || CampaignSettings {
        machine_detection: MachineDetection::HangUp,
        machine_sample: 1.0, // beyond what the API takes: every one
        ..settings()
    };
    for machine in [true, false] {
        let (mut hand, id) = answered(sampling());
        hand.line(id, LineEvent::Verdict(Verdict::Machine));
        assert!(hand.asked(&Output::Bridge { id, agent: AgentId(1) }));
        assert_eq!(hand.call(id).unwrap().machine, Some(MachineSign::Sampled));
        // What is heard later changes nothing: it is asked already.
        hand.line(id, LineEvent::Verdict(Verdict::Screening));
        hand.wait(Duration::from_secs(2));
        hand.command(Command::MachineCheck { call: id.attempt, machine }).unwrap();
        if !machine {
            hand.far_hangup(id);
        }
        let outcome = if machine { Outcome::Machine } else { Outcome::Connected };
        assert_eq!(
            (hand.outcome(id), marks(&hand)),
            (outcome, vec![Mark::Sampled, Mark::Checked { machine }])
        );
        let checks = view(&hand).machines;
        assert_eq!((checks.ended, checks.checked, checks.persons), (0, 1, u64::from(!machine)));
        assert_eq!(view(&hand).answered, u64::from(!machine));
        hand.finish(false);
        hand.sound();
    }
    // Without a free agent it ends as a machine's.
    let (mut hand, id) = answered(sampling());
    hand.command(Command::Pause { agent: AgentId(1), reason: "tea".into() }).unwrap();
    hand.line(id, LineEvent::Verdict(Verdict::Machine));
    assert_eq!((hand.outcome(id), marks(&hand)), (Outcome::Machine, vec![]));
    hand.finish(false);
    hand.sound();
}
