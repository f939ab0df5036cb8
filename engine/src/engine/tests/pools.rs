//! Pools of caller ids: who is shown what, and quarantine.

use super::*;
use crate::{
    CallerIdDay, CallerIdPool, CallerIdPoolId, CallerIdState, CallerIdUse, Failure, Pii, QuarantineReason,
    Rotation,
};

const TODAY: i64 = NOON / 86_400_000;

fn number(n: i64) -> String {
    format!("+1305555010{n}")
}

fn pool(change: impl FnOnce(&mut CallerIdPool)) -> CallerIdPool {
    let mut pool = CallerIdPool {
        name: "East".into(),
        numbers: (1..=3).map(number).collect(),
        ..CallerIdPool::default()
    };
    change(&mut pool);
    pool
}

/// One campaign on a wide trunk that shows the pool's numbers.
fn floor(pool: CallerIdPool, leads: i64, change: impl FnOnce(&mut Restore)) -> Hand {
    let settings = CampaignSettings { caller_id_pool: "East".into(), ..settings() };
    let mut restore = Restore {
        trunks: vec![trunk(100, 100)],
        pools: vec![(CallerIdPoolId(1), pool)],
        next_pool: 2,
        campaigns: vec![restored(1, settings)],
        next_campaign: 2,
        next_attempt: 1,
        ..Restore::default()
    };
    change(&mut restore);
    let mut hand = Hand::new(restore);
    hand.leads = (1..=leads).map(lead).collect();
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    hand.wait(Duration::from_secs(1));
    hand
}

fn failure(status: u16, reason: &str) -> LineEvent {
    let reason = reason.to_owned();
    LineEvent::Failed(Failure::Status { status, q850: None, reason, retry_after: None, rang: false })
}

impl Hand {
    fn ready(&mut self, agents: i64) -> Vec<Dial> {
        (1..=agents).for_each(|agent| self.agent_ready(agent));
        self.wait(Duration::from_secs(2));
        self.dials()
    }

    fn states(&self) -> Vec<CallerIdState> {
        self.engine.caller_id_pools(self.now)[0].ids.iter().map(|id| id.state).collect()
    }

    fn no_caller_id(&self) -> Option<crate::NoCallerId> {
        self.engine.snapshot(self.now).campaigns[0].no_caller_id.clone()
    }

    fn holds(&self) -> String {
        self.engine.snapshot(self.now).campaigns[0].decision.clone()
    }
}

fn shown(dials: &[Dial]) -> Vec<usize> {
    (1..=3).map(|n| dials.iter().filter(|dial| dial.caller_id == number(n)).count()).collect()
}

#[test]
fn turns_are_even_and_each_has_its_calls_of_a_day() {
    let mut hand = floor(pool(|pool| pool.calls_per_day = 2), 60, |_| {});
    let dials = hand.ready(9);
    assert_eq!(shown(&dials), [2, 2, 2]);
    assert_eq!(hand.states(), [CallerIdState::UsedUp; 3]);
    assert!(hand.holds().contains("no caller id of pool East is good now"), "{}", hand.holds());
    assert!(hand.holds().contains("3 with their calls of today"), "{}", hand.holds());
    // Written down, and the next day begins anew.
    let written = hand.out.iter().any(|output| match output {
        Output::Store { write: Write::CallerIdDays(days), .. } => {
            days.iter().any(|day| day.day == TODAY && day.used.attempts == 2)
        }
        _ => false,
    });
    assert!(written);
    hand.input(Input::Clock { unix_ms: NOON + 86_400_000 });
    hand.wait(Duration::from_secs(1));
    assert!(!hand.states().contains(&CallerIdState::UsedUp));
    hand.sound();
}

#[test]
fn what_is_known_of_today_counts_after_a_restart() {
    let used = CallerIdUse { attempts: 2, answers: 1, blocks: 0, unwanted: 0 };
    let mut hand = floor(pool(|pool| pool.calls_per_day = 2), 60, |restore| {
        restore.caller_id_days = vec![CallerIdDay { number: number(1), day: TODAY, used }];
    });
    let dials = hand.ready(9);
    assert_eq!(shown(&dials), [0, 2, 2]);
}

#[test]
fn a_lead_is_shown_the_same_number_again_and_the_nearest_one_first() {
    let mut hand = floor(
        pool(|pool| {
            pool.numbers[2] = "+12025550177".into();
            (pool.rotation, pool.sticky) = (Rotation::Local, true);
        }),
        0,
        |_| {},
    );
    hand.leads = vec![lead(1), Lead { last_caller_id: number(2), ..lead(2) }];
    hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
    let dials = hand.ready(2);
    let of = |id: i64| dials.iter().find(|dial| dial.phone == lead(id).phone).unwrap().caller_id.clone();
    assert_eq!((of(1).as_str(), of(2)), ("+12025550177", number(2)));
}

#[test]
fn a_block_puts_the_caller_id_into_quarantine_until_it_is_lifted() {
    let mut hand = floor(pool(|_| {}), 60, |_| {});
    let dials = hand.ready(3);
    assert_eq!(shown(&dials), [1, 1, 1]);
    let first = dials.iter().find(|dial| dial.caller_id == number(1)).unwrap().id;
    hand.line(first, LineEvent::Redress("https://block.example/contest".into()));
    hand.line(first, failure(608, "Rejected"));
    assert_eq!(hand.outcome(first), Outcome::Blocked);
    assert_eq!(hand.endings()[0].2.attempts, 0, "it does not count for the lead");
    let written = hand.out.iter().find_map(|output| match output {
        Output::Store { write: Write::Quarantine(quarantine), .. } => Some((**quarantine).clone()),
        _ => None,
    });
    let written = written.unwrap();
    assert_eq!((written.reason, written.status), (QuarantineReason::Blocked, Some(608)));
    assert_eq!((written.redress.as_str(), written.until_unix_ms), ("https://block.example/contest", None));
    assert_eq!(hand.states()[0], CallerIdState::Quarantined);
    hand.wait(Duration::from_secs(2));
    assert!(hand.dials().iter().all(|dial| dial.caller_id != number(1)));

    // The two others, by a "603+": nothing is left to be shown.
    for n in [2, 3] {
        let id = dials.iter().find(|dial| dial.caller_id == number(n)).unwrap().id;
        hand.line(id, failure(603, "v=analytics1;url=https://x.example"));
    }
    hand.dials();
    hand.wait(Duration::from_secs(3));
    assert!(hand.dials().is_empty());
    assert!(hand.holds().contains("3 in quarantine"), "{}", hand.holds());
    let hold = hand.no_caller_id().unwrap();
    assert_eq!((hold.pool.as_str(), hold.quarantined, hold.resting + hold.used_up), ("East", 3, 0));
    let shown = hand.events.iter().rev().find_map(|event| match event {
        crate::Event::Campaign(view) => Some(view.no_caller_id.clone()),
        _ => None,
    });
    assert_eq!(shown, Some(Some(hold)), "screens are told");
    hand.command(Command::LiftCallerId { number: number(2) }).unwrap();
    hand.wait(Duration::from_secs(2));
    let dials = hand.dials();
    assert!(!dials.is_empty() && dials.iter().all(|dial| dial.caller_id == number(2)), "{dials:?}");
    hand.sound();
}

#[test]
fn a_quarantine_may_end_by_itself_and_outlives_a_restart() {
    let mut hand = floor(pool(|pool| pool.quarantine_h = 1), 60, |_| {});
    let dials = hand.ready(1);
    hand.line(dials[0].id, failure(608, ""));
    let quarantine = hand.engine.caller_id_pools(hand.now)[0].ids[0].quarantine.clone().unwrap();
    assert!(quarantine.until_unix_ms.is_some_and(|until| until > NOON + 3_590_000));
    let mut again = floor(pool(|_| {}), 60, |restore| restore.quarantined = vec![quarantine]);
    assert_eq!(again.states()[0], CallerIdState::Quarantined);
    assert_eq!(shown(&again.ready(4))[0], 0);
    again.input(Input::Clock { unix_ms: NOON + 2 * 3_600_000 });
    assert_eq!(again.states()[0], CallerIdState::Good);
    again.sound();
}

#[test]
fn one_that_is_answered_far_less_than_the_others_goes_into_quarantine() {
    let mut hand = floor(pool(|pool| pool.least_answer_rate = 0.5), 0, |_| {});
    // Number 1 rings and is never answered; the others are, each second time.
    for n in 1..=156 {
        hand.leads = vec![lead(n)];
        hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
        if n == 1 {
            hand.agent_ready(1);
        }
        hand.wait(Duration::from_secs(1));
        let Some(dial) = hand.dials().pop() else { break };
        if dial.caller_id == number(1) || n % 2 == 0 {
            hand.line(dial.id, failure(486, "Busy"));
        } else {
            hand.line(dial.id, LineEvent::FirstRtp);
            hand.answer(dial.id);
            hand.far_hangup(dial.id);
            hand.command(Command::Ready(AgentId(1))).ok();
            hand.wait(Duration::from_secs(61));
        }
    }
    let ids = hand.engine.caller_id_pools(hand.now)[0].ids.clone();
    assert_eq!(ids[0].quarantine.as_ref().map(|q| q.reason), Some(QuarantineReason::AnswerRate), "{ids:?}");
    assert!(ids[1..].iter().all(|id| id.state == CallerIdState::Good));
}

#[test]
fn a_trunk_shows_only_what_it_may() {
    let mut hand = floor(pool(|_| {}), 9, |restore| restore.trunks[0].caller_ids = vec![number(3)]);
    let dials = hand.ready(3);
    assert_eq!(shown(&dials), [0, 0, 3]);
    let mut other = Hand::floor_on(
        vec![Trunk { caller_ids: vec![number(9)], ..trunk(100, 100) }],
        CampaignSettings { caller_id: number(1), ..settings() },
        5,
    );
    other.wait(Duration::from_secs(2));
    assert!(other.dials().is_empty());
    assert!(other.holds().contains("may not show"), "{}", other.holds());
}

#[test]
fn pools_come_change_and_go_by_command() {
    let mut hand = floor(pool(|_| {}), 0, |_| {});
    let put = |id, pool| Command::PutPool { id, pool: Box::new(pool) };
    let refused = |answer: Result<Reply, CommandError>| answer.unwrap_err().to_string();
    assert!(refused(hand.command(put(None, pool(|_| {})))).contains("already"));
    let west = pool(|pool| pool.name = "West".into());
    assert_eq!(hand.command(put(None, west.clone())), Ok(Reply::Pool(CallerIdPoolId(2))));
    assert!(
        refused(hand.command(put(Some(CallerIdPoolId(2)), pool(|p| p.name = "South".into()))))
            .contains("keeps")
    );
    assert!(refused(hand.command(Command::DeletePool(CallerIdPoolId(1)))).contains("campaign Spring"));
    assert_eq!(hand.command(Command::DeletePool(CallerIdPoolId(2))), Ok(Reply::Done));
    assert!(matches!(
        hand.command(Command::DeletePool(CallerIdPoolId(2))),
        Err(CommandError::NotFound { .. })
    ));
    assert!(
        refused(hand.command(Command::LiftCallerId { number: "+13055550999".into() })).contains("in no pool")
    );
    assert_eq!(lead(1).phone, Pii("+12025550001".into()));
    hand.sound();
}

#[test]
fn a_campaign_says_what_keeps_each_of_its_caller_ids_from_being_shown() {
    // Today is a Wednesday: all rest; a manual campaign, which paces nothing, says so as well.
    let rests = pool(|pool| pool.rest_weekdays = vec![3]);
    for mode in [Mode::Progressive, Mode::Manual] {
        let mut hand = floor(rests.clone(), 9, |restore| restore.campaigns[0].campaign.settings.mode = mode);
        assert!(hand.ready(1).is_empty());
        assert_eq!(hand.no_caller_id().unwrap().resting, 3, "{mode:?}");
    }
    // One in quarantine, one with its calls of today, one that the trunk may not show: nobody waits in vain for the last one.
    let used = CallerIdUse { attempts: 2, answers: 1, blocks: 0, unwanted: 0 };
    let mut hand = floor(pool(|pool| pool.calls_per_day = 2), 9, |restore| {
        restore.caller_id_days = vec![CallerIdDay { number: number(1), day: TODAY, used }];
        restore.quarantined = vec![crate::Quarantine {
            number: number(2),
            reason: QuarantineReason::Blocked,
            status: Some(608),
            redress: String::new(),
            since_unix_ms: NOON - 1,
            until_unix_ms: None,
        }];
        restore.trunks[0].caller_ids = vec![number(1), number(2)];
    });
    assert!(hand.ready(1).is_empty());
    let hold = hand.no_caller_id().unwrap();
    assert_eq!((hold.used_up, hold.quarantined, hold.not_of_trunk, hold.unlawful), (1, 1, 1, 0));
    assert!(hand.holds().contains("1 that no trunk of the campaign may show"), "{}", hand.holds());
    // A number of its own that is in quarantine: nothing is begun that would not be sent.
    let own = CampaignSettings { caller_id: number(2), caller_id_pool: String::new(), ..settings() };
    hand.command(Command::UpdateCampaign { id: CampaignId(1), settings: Box::new(own) }).unwrap();
    hand.wait(Duration::from_secs(2));
    assert!(hand.endings().is_empty() && hand.holds().contains("is in quarantine"), "{}", hand.holds());
    assert_eq!(hand.no_caller_id().unwrap().quarantined, 1);
    hand.command(Command::LiftCallerId { number: number(2) }).unwrap();
    hand.wait(Duration::from_secs(2));
    assert_eq!((hand.dials().len(), hand.no_caller_id()), (1, None));
    hand.sound();
}
