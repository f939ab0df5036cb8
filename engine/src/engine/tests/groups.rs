//! Trunk groups, limits against fraud, the question that comes before the call that tries a trunk.

use super::*;
use crate::{
    CancelReason, Event, Failure, GroupMember, OverCap, Pii, TrunkGroup, TrunkGroupId, TrunkLimit, TrunkUse,
};

fn named(id: i64) -> Trunk {
    Trunk { id: TrunkId(id), name: format!("carrier-{id}"), ..trunk(100, 100) }
}

fn member(trunk: i64, priority: u32, weight: u32, prefixes: &[&str]) -> GroupMember {
    let prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
    GroupMember { trunk: format!("carrier-{trunk}"), priority, weight, prefixes }
}

/// Three trunks in a group with these members, and a campaign that names it.
fn floor(members: Vec<GroupMember>, leads: i64, change: impl FnOnce(&mut [Trunk], &mut TrunkGroup)) -> Hand {
    let mut trunks = vec![named(1), named(2), named(3)];
    let mut group = TrunkGroup { name: "all".into(), least_cost: false, members };
    change(&mut trunks, &mut group);
    let settings = CampaignSettings { trunk: "all".into(), ..settings() };
    let mut hand = Hand::new(Restore {
        trunks,
        groups: vec![(TrunkGroupId(1), group)],
        campaigns: vec![restored(1, settings)],
        next_campaign: 2,
        next_attempt: 1,
        ..Restore::default()
    });
    hand.leads = (1..=leads).map(lead).collect();
    hand
}

impl Hand {
    fn begin(&mut self, agents: i64) {
        self.command(Command::LeadsChanged(CampaignId(1))).unwrap();
        self.wait(Duration::from_secs(1));
        (1..=agents).for_each(|agent| self.agent_ready(agent));
        self.wait(Duration::from_secs(2));
    }

    /// The dials so far, by trunk.
    fn by_trunk(&mut self) -> [usize; 3] {
        let dials = self.dials();
        [1, 2, 3].map(|id| dials.iter().filter(|dial| dial.trunk == TrunkId(id)).count())
    }

    fn said(&self) -> String {
        self.engine.snapshot(self.now).campaigns[0].decision.clone()
    }

    fn refused(&self, rule: &str) -> u64 {
        self.engine.counters().refused.get(rule).copied().unwrap_or(0)
    }

    fn limit(&self) -> Option<TrunkLimit> {
        self.engine.snapshot(self.now).trunks[0].limit
    }
}

fn status(status: u16) -> Failure {
    Failure::Status { status, q850: None, reason: String::new(), retry_after: None, rang: false }
}

#[test]
fn priorities_go_first_weights_share_and_prefixes_decide_before_both() {
    let mut shared =
        floor(vec![member(1, 1, 3, &[]), member(2, 1, 1, &[]), member(3, 2, 9, &[])], 60, |_, _| {});
    shared.begin(8);
    assert_eq!(shared.by_trunk(), [6, 2, 0]);
    let mut down = floor(vec![member(1, 1, 1, &[]), member(3, 2, 1, &[])], 60, |trunks, _| {
        trunks[0].watched = true;
    });
    down.begin(4);
    assert_eq!(down.by_trunk(), [0, 0, 4]);
    let mut meant = floor(vec![member(1, 1, 1, &[]), member(2, 9, 1, &["+1202"])], 60, |_, _| {});
    meant.begin(4);
    assert_eq!(meant.by_trunk(), [0, 4, 0]);
    let mut cheap = floor(vec![member(1, 1, 1, &[]), member(2, 1, 1, &[])], 60, |trunks, group| {
        group.least_cost = true;
        trunks[0].prices = [("+1".into(), 9_000)].into();
        trunks[1].prices = [("+".into(), 90_000), ("+1202".into(), 8_000)].into();
    });
    cheap.begin(4);
    assert_eq!(cheap.by_trunk(), [0, 4, 0]);
    [shared, down, meant, cheap].iter().for_each(Hand::sound);
}

#[test]
fn a_full_trunk_is_passed_over_and_a_lead_of_its_own_waits_alone() {
    let mut hand = floor(vec![member(1, 1, 1, &[]), member(2, 2, 1, &[])], 60, |trunks, _| {
        trunks[0].max_channels = 2;
        trunks[0].allowed_prefixes = vec!["+1202".into()];
        trunks[1].allowed_prefixes = vec!["+1305".into()];
    });
    // Every other lead is in Miami.
    for lead in &mut hand.leads {
        if lead.id.0 % 2 == 0 {
            lead.phone = Pii(format!("+1305555{:04}", lead.id.0));
        }
    }
    hand.begin(9);
    assert_eq!(hand.by_trunk(), [2, 7, 0]);
    hand.sound();
}

#[test]
fn a_call_goes_on_through_the_group_each_trunk_once() {
    let mut hand =
        floor(vec![member(3, 1, 1, &[]), member(1, 2, 1, &[]), member(2, 3, 1, &[])], 1, |_, _| {});
    hand.begin(1);
    let mut seen = Vec::new();
    for number in 1..=3 {
        let dials = hand.dials();
        assert_eq!(dials.len(), 1);
        assert!(dials[0].others && dials[0].id.number == number);
        seen.push(dials[0].trunk.0);
        hand.line(dials[0].id, LineEvent::Failed(status(503)));
    }
    assert_eq!(seen, [3, 1, 2]);
    assert!(hand.dials().is_empty());
    assert_eq!(hand.endings()[0].1, Outcome::Congestion);
    hand.sound();
}

#[test]
fn only_what_a_trunk_may_call_is_called_and_never_what_is_sold_by_the_minute() {
    let mut hand = Hand::new(Restore {
        trunks: vec![Trunk { refused_prefixes: vec!["+1305".into()], ..trunk(100, 100) }],
        campaigns: vec![restored(1, settings())],
        next_campaign: 2,
        next_attempt: 1,
        ..Restore::default()
    });
    let phones = ["+13055550101", "+19005550101", "+12025550103"];
    hand.leads = (1..).zip(phones).map(|(id, phone)| Lead { phone: Pii(phone.into()), ..lead(id) }).collect();
    hand.begin(3);
    let dials = hand.dials();
    assert_eq!(dials.iter().map(|dial| dial.phone.0.as_str()).collect::<Vec<_>>(), ["+12025550103"]);
    assert!(hand.refused("prefix") >= 1 && hand.refused("premium") >= 1);
    let change = |id: i64| {
        hand.out.iter().find_map(|output| match output {
            Output::Store { write: Write::Lead(change), .. } if change.lead.0 == id => {
                Some((change.status, change.next_unix_ms > NOON))
            }
            _ => None,
        })
    };
    assert_eq!(change(1), Some((LeadStatus::New, true)), "somebody may allow it");
    assert_eq!(change(2).map(|(status, _)| status), Some(LeadStatus::Done));
    hand.sound();

    let mut none =
        Hand::floor_on(vec![Trunk { allowed_prefixes: Vec::new(), ..trunk(100, 100) }], settings(), 5);
    none.wait(Duration::from_secs(3));
    assert!(none.dials().is_empty() && none.refused("prefix") == 0);
    assert!(none.said().contains("may call no number; set its allowed_prefixes"), "{}", none.said());
    assert_eq!(none.limit(), Some(TrunkLimit::NoPrefixes));
}

#[test]
fn calls_of_a_day_end_and_begin_again_and_outlive_a_restart() {
    let day = |calls| {
        let quarter = NOON.div_euclid(900_000);
        let used = |quarter, calls| TrunkUse { trunk: TrunkId(1), quarter, calls, spent: 0 };
        let mut hand = Hand::new(Restore {
            trunks: vec![Trunk { calls_per_day: 5, day_zone: "America/New_York".into(), ..trunk(100, 100) }],
            // What was used 13 hours ago was yesterday's, in New York.
            usage: vec![used(quarter, calls), used(quarter - 4 * 13, 9)],
            campaigns: vec![restored(1, settings())],
            next_campaign: 2,
            next_attempt: 1,
            ..Restore::default()
        });
        hand.leads = (1..=60).map(lead).collect();
        hand.begin(8);
        hand
    };
    let mut hand = day(3);
    assert_eq!(hand.dials().len(), 2);
    assert!(hand.said().contains("has had its calls of today"), "{}", hand.said());
    assert_eq!(hand.limit(), Some(TrunkLimit::CallsPerDay));
    hand.sound();
    let mut full = day(5);
    assert!(full.dials().is_empty());
    // At midnight in New York.
    full.input(Input::Clock { unix_ms: NOON + 12 * 3_600_000 + 60_000 });
    full.wait(Duration::from_secs(1));
    assert_eq!(full.limit(), None);
}

#[test]
fn spend_is_counted_while_calls_run_and_holds_the_rest_back() {
    let mut hand = Hand::floor_on(
        vec![Trunk {
            prices: [("+1".into(), 60_000)].into(),
            spend_per_day: 200_000,
            longest_call_s: 0,
            ..trunk(100, 100)
        }],
        settings(),
        60,
    );
    let id = hand.talk();
    hand.wait(Duration::from_secs(60));
    let view = &hand.engine.snapshot(hand.now).trunks[0];
    assert!((0.060..0.064).contains(&view.spent_today), "{}", view.spent_today);
    assert_eq!((view.spend_per_day, view.limit), (0.2, None));
    // Two more minutes of it, and the minute ahead.
    hand.wait(Duration::from_secs(90));
    assert_eq!(hand.limit(), Some(TrunkLimit::SpendPerDay));
    assert_eq!(hand.call_state(id), CallState::Talking, "it goes on");
    hand.far_hangup(id);
    hand.wait(Duration::from_secs(1));
    let spent = hand.engine.snapshot(hand.now).trunks[0].spent_today;
    hand.wait(Duration::from_secs(60));
    assert_eq!(hand.engine.snapshot(hand.now).trunks[0].spent_today, spent, "nothing runs");
}

/// A trunk at 6 cents a minute that may spend 20: agent 1 talks, a line of agent 2 does not ring yet and one of agent 3 begins to
/// ring ten seconds before the money is used up.
fn nearly_spent(over_cap: OverCap) -> (Hand, [TryId; 3]) {
    let spends =
        Trunk { prices: [("+1".into(), 60_000)].into(), spend_per_day: 200_000, over_cap, ..trunk(100, 100) };
    let mut hand = Hand::floor_on(vec![spends], CampaignSettings { ring_timeout_s: 120, ..settings() }, 60);
    let talks = hand.talk();
    hand.wait_ms(70_000 - 1_512);
    hand.agent_ready(2);
    let silent = hand.dial();
    hand.agent_ready(3);
    let rings = hand.dial();
    hand.agent_ready(4);
    hand.wait_ms(60_000);
    assert!(hand.dials().is_empty(), "more than two minutes, and one ahead for each of three");
    hand.line(rings, LineEvent::Ringing { early_media: false });
    assert_eq!(hand.call(talks).unwrap().ends_unix_ms, None);
    hand.wait_ms(11_000);
    assert_eq!(hand.limit(), Some(TrunkLimit::SpendPerDay));
    (hand, [talks, silent, rings])
}

fn spent(hand: &Hand) -> f64 {
    hand.engine.snapshot(hand.now).trunks[0].spent_today
}

#[test]
fn lines_are_taken_back_when_the_money_is_used_up_and_calls_go_on() {
    let (mut hand, [talks, silent, rings]) = nearly_spent(OverCap::Finish);
    let reason = CancelReason::Spend;
    assert!(hand.asked(&Output::Cancel { id: silent, reason }), "nobody heard it");
    hand.line(silent, LineEvent::Failed(Failure::Cancelled));
    assert_eq!(hand.outcome(silent), Outcome::Cancelled);
    assert_eq!(hand.call_state(rings), CallState::Ringing, "15 s are due to it");
    hand.wait_ms(6_000);
    assert!(hand.asked(&Output::Cancel { id: rings, reason: CancelReason::RingTimeout }));
    hand.line(rings, LineEvent::Failed(Failure::Cancelled));
    hand.wait(Duration::from_secs(120));
    assert_eq!(hand.call_state(talks), CallState::Talking, "it goes on");
    assert!(spent(&hand) > 0.25);
    hand.far_hangup(talks);
    hand.wait(Duration::from_secs(5));
    assert!(hand.dials().is_empty());
    hand.sound();
}

#[test]
fn calls_end_with_the_money_where_the_trunk_says_so_and_never_later() {
    let (mut hand, [talks, _, rings]) = nearly_spent(OverCap::End);
    let ends = |hand: &Hand, id| hand.call(id).and_then(|call| call.ends_unix_ms);
    let told = ends(&hand, talks).unwrap();
    assert!(hand.events.iter().any(|e| matches!(e, Event::Call(view) if view.ends_unix_ms == Some(told))));
    hand.line(rings, LineEvent::FirstRtp);
    hand.answer(rings);
    assert!(ends(&hand, rings).unwrap() < told, "two share what is left");
    assert_eq!(ends(&hand, rings), ends(&hand, talks));
    hand.wait(Duration::from_secs(27));
    assert_eq!(hand.call_state(talks), CallState::Talking);
    hand.wait(Duration::from_secs(4));
    assert!(hand.asked(&Output::Hangup { id: talks }) && hand.asked(&Output::Hangup { id: rings }));
    assert_eq!((hand.outcome(talks), hand.engine.counters().over_cap), (Outcome::Connected, 2));
    assert!((0.199..=0.2).contains(&spent(&hand)), "{}", spent(&hand));
    hand.sound();
}

#[test]
fn a_call_is_not_ended_when_another_day_has_begun() {
    let (mut hand, [talks, ..]) = nearly_spent(OverCap::End);
    hand.input(Input::Clock { unix_ms: NOON + 86_400_000 });
    hand.wait(Duration::from_secs(65));
    assert_eq!((hand.call_state(talks), hand.engine.counters().over_cap), (CallState::Talking, 0));
    assert_eq!(hand.call(talks).unwrap().ends_unix_ms, None);
    hand.sound();
}

#[test]
fn a_call_that_is_too_long_is_ended_and_its_agent_told_a_minute_before() {
    let mut hand = Hand::floor_on(vec![Trunk { longest_call_s: 120, ..trunk(100, 100) }], settings(), 1);
    let id = hand.talk();
    let ends = |hand: &Hand| hand.call(id).and_then(|call| call.ends_unix_ms);
    assert_eq!(ends(&hand), None);
    hand.wait(Duration::from_secs(59));
    let told = ends(&hand).unwrap();
    assert!(told > NOON);
    assert!(hand.events.iter().any(|e| matches!(e, Event::Call(view) if view.ends_unix_ms == Some(told))));
    hand.wait(Duration::from_secs(58));
    assert!(!hand.asked(&Output::Hangup { id }));
    hand.wait(Duration::from_secs(2));
    assert!(hand.asked(&Output::Hangup { id }));
    assert_eq!((hand.outcome(id), hand.engine.counters().too_long), (Outcome::Connected, 1));
    let cause = hand.out.iter().find_map(|output| match output {
        Output::Store { write: Write::TryEnded { q850, .. }, .. } => *q850,
        _ => None,
    });
    assert_eq!((cause, hand.agent_state(1)), (Some(102), AgentState::WrapUp));
    hand.sound();
}

#[test]
fn a_trunk_that_rests_is_asked_before_a_call_tries_it() {
    let watched = Trunk { options_keepalive: true, breaker_failures: 2, ..trunk(100, 100) };
    let mut hand = Hand::floor_on(vec![watched], settings(), 60);
    for _ in 0..2 {
        let id = hand.dial();
        hand.line(id, LineEvent::Failed(status(500)));
    }
    hand.wait(Duration::from_secs(9));
    let asked = Output::AskTrunk { id: TrunkId(1) };
    assert!(!hand.asked(&asked) && hand.dials().is_empty());
    hand.wait(Duration::from_secs(2));
    assert!(hand.asked(&asked) && hand.dials().is_empty());
    assert!(hand.said().contains("one call tries whether"), "{}", hand.said());
    hand.out.clear();
    hand.input(Input::TrunkAsked { id: TrunkId(1), answered: false });
    hand.wait(Duration::from_secs(19));
    assert!(!hand.asked(&asked));
    hand.wait(Duration::from_secs(2));
    assert!(hand.asked(&asked), "after twice the pause");
    hand.input(Input::TrunkAsked { id: TrunkId(1), answered: true });
    let id = hand.dial();
    hand.wait(Duration::from_secs(2));
    assert!(hand.dials().is_empty(), "one at a time");
    hand.line(id, LineEvent::Ringing { early_media: false });
    hand.sound();
}
