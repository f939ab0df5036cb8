//! A store that fails, hangs and comes back.

use super::*;

#[test]
fn dialing_stops_when_the_disk_is_full_and_resumes_by_itself() {
    let mut hand = Hand::floor(settings(), 20);
    let id = hand.talk();
    hand.agent_ready(2);
    hand.commits = false;
    hand.wait_ms(200);
    hand.out.clear();
    // Everything that waits fails, and everything after it, for a while.
    let mut dials = 0;
    for step in 0..60 {
        for token in std::mem::take(&mut hand.tokens) {
            hand.input(Input::CommitFailed { token });
        }
        if step == 10 {
            hand.far_hangup(id);
            assert_eq!(hand.agent_state(1), AgentState::WrapUp, "calls go on");
            let dispose = Command::Dispose {
                call: id.attempt,
                code: "sale".into(),
                note: String::new(),
                callback_unix_ms: None,
                personal: false,
            };
            hand.input(Input::Command { reply: 900, command: dispose });
        }
        if step > 1 {
            assert!(!hand.engine.snapshot(hand.now).store_ok);
        }
        dials += hand.dials().len();
        hand.wait_ms(100);
    }
    assert_eq!(dials, 0);
    assert!(hand.asked(&Output::Reply { reply: 900, result: Err(CommandError::Store) }));
    let probes = hand.engine.counters().commit_failures;
    assert!((5..60).contains(&probes), "probes slow down: {probes}");
    // The disk has room again.
    hand.commits = true;
    hand.out.clear();
    for token in std::mem::take(&mut hand.tokens) {
        hand.input(Input::Committed { token });
    }
    hand.wait(Duration::from_secs(3));
    assert!(hand.engine.snapshot(hand.now).store_ok);
    assert!(!hand.dials().is_empty(), "resumes by itself");
    let facts: Vec<&Write> = hand
        .out
        .iter()
        .filter_map(|o| match o {
            Output::Store { write, .. } => Some(write),
            _ => None,
        })
        .collect();
    let ended =
        facts.iter().position(|w| matches!(w, Write::AttemptEnded { attempt, .. } if *attempt == id.attempt));
    let try_ended = facts.iter().position(|w| matches!(w, Write::TryEnded { id: t, .. } if *t == id));
    assert!(try_ended < ended && ended.is_some(), "the outcome got there, in order");
    hand.finish(false);
    hand.sound();
}

#[test]
fn a_store_that_failed_a_command_only_is_tried_before_anybody_is_dialed() {
    let mut hand = Hand::floor(settings(), 20);
    let id = hand.dial();
    hand.commits = false;
    let suppress = Command::Suppress {
        phone: crate::Pii("+12025559999".into()),
        reason: "asked".into(),
        campaign: None,
    };
    hand.input(Input::Command { reply: 901, command: suppress });
    for step in 0..40 {
        if step == 20 {
            hand.agent_ready(2); // for whom a line would be dialed
        }
        for token in std::mem::take(&mut hand.tokens) {
            hand.input(Input::CommitFailed { token });
        }
        hand.wait_ms(100);
    }
    let tries = |hand: &Hand| {
        let written = |o: &&Output| matches!(o, Output::Store { write: Write::Try(new), .. } if new.id != id);
        hand.out.iter().filter(written).count()
    };
    assert_eq!(tries(&hand), 0);
    hand.commits = true;
    for token in std::mem::take(&mut hand.tokens) {
        hand.input(Input::Committed { token });
    }
    hand.wait(Duration::from_secs(3));
    assert_eq!(tries(&hand), 1, "resumes by itself");
    hand.sound();
}

#[test]
fn a_store_that_hangs_stops_dialing_within_a_second() {
    let mut hand = Hand::floor(settings(), 50);
    hand.dial();
    for id in 2..=9 {
        hand.agent_ready(id);
    }
    hand.dials();
    hand.commits = false;
    let id = hand.talk_of_one_more();
    hand.wait_ms(1_100);
    assert!(!hand.engine.snapshot(hand.now).store_ok);
    hand.dials();
    let before = hand.tokens.len();
    for id in 10..=20 {
        hand.input(Input::Agent { id: AgentId(id), event: AgentEvent::LegUp });
        hand.input(Input::Command {
            reply: 1_000 + id.cast_unsigned(),
            command: Command::Ready(AgentId(id)),
        });
    }
    hand.wait(Duration::from_secs(5));
    let tries = hand.tokens.len() - before;
    assert_eq!((tries, hand.dials().len()), (0, 0));
    let _ = id;
}

impl Hand {
    /// Makes the pacer write one more attempt that is not acknowledged.
    fn talk_of_one_more(&mut self) -> usize {
        self.input(Input::Agent { id: AgentId(30), event: AgentEvent::LegUp });
        self.input(Input::Command {
            reply: 2_000,
            command: Command::SignIn { agent: AgentId(30), name: "Late".into() },
        });
        self.input(Input::Command { reply: 2_001, command: Command::Ready(AgentId(30)) });
        self.wait_ms(300);
        self.tokens.len()
    }
}
