//! Dials ahead of agents: as many lines as a forecast of supply and demand allows at the risk that the ledger has left.
//!
//! The floor teaches everything (see [`super::learned`]). Before it has taught anything, each line is taken for a likely
//! answer and each call for a long one, so the first minutes are dialed almost one by one.

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::shortfall::Limit;
use super::{Decision, Outlook, Pacer, View};
use crate::limits::RING_LEAST;

/// The chance that may be taken of losing more calls at once than the half hour has left.
const OVERRUN: f64 = 0.0001;

/// Lines are taken back when the next person who answers finds nobody with this chance.
const TOO_MUCH: f64 = 0.4;

/// The look-ahead policy.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Predictive;

impl Pacer for Predictive {
    fn name(&self) -> &'static str {
        "predictive"
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    fn decide(&mut self, now: Time, view: &View<'_>) -> Decision {
        let Some(outlook) = view.outlook else {
            return Decision { reason: "no forecast yet".into(), ..Decision::default() };
        };
        let open = view.open();
        // One line for each idle agent risks nobody, whatever the ledger says.
        let safe = u32::try_from(outlook.idle().saturating_sub(open)).unwrap_or(u32::MAX).min(view.most);
        let limit = Limit { risk: view.risk, spare: view.spare, overrun: OVERRUN };
        let room = outlook.room(view.leads, &limit, view.most);
        let fits = if outlook.agents() == 0 || view.spare == 0 { 0 } else { room.lines };
        let dial = fits.max(safe);
        let take_back = if room.before > TOO_MUCH { too_many(now, view, outlook) } else { Vec::new() };
        let verb = match (dial, take_back.len()) {
            (0, 0) => "holding".into(),
            (0, n) => format!("taking {n} back"),
            (n, _) => format!("dialing {n}"),
        };
        let (at_s, due, answers) = outlook.middle();
        let reason = format!(
            "{verb}: {} idle, {due:.1} due in {at_s:.0} s, {open} lines open, {answers:.1} answers expected by then; one \
             more would risk {:.1}%, {:.1}% is allowed",
            outlook.idle(),
            room.next * 100.0,
            view.risk * 100.0,
        );
        Decision { dial, take_back, reason }
    }
}

/// The lines without which as many people will answer as agents will be free: the likeliest first, and none that rings
/// and has not rung long enough.
fn too_many(now: Time, view: &View<'_>, outlook: &Outlook<'_>) -> Vec<usize> {
    let (_, due, answers) = outlook.middle();
    let mut over = answers - due - outlook.idle() as f64;
    let own = view.lines.iter().take(view.cancellable).enumerate();
    let may = own.filter(|(_, line)| line.ringing.is_none_or(|since| now.since(since) >= RING_LEAST));
    let mut lines: Vec<(usize, f64)> =
        may.map(|(place, line)| (place, outlook.answered(now, line))).collect();
    lines.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let mut back = Vec::new();
    for (place, answered) in lines {
        if over <= 0.0 || answered <= 0.0 {
            break;
        }
        over -= answered;
        back.push(place);
    }
    back
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::pacing::learned::{Learned, tests::taught};
    use crate::pacing::{AgentPhase, LineView, Outlook};

    /// A decision with `risk` allowed, of a campaign that has the floor for itself.
    fn decide(
        learned: &mut Learned,
        agents: &[AgentPhase],
        lines: &[LineView],
        waiting: usize,
        risk: f64,
    ) -> Decision {
        let now = Time::from_millis(600_000);
        let grace = Duration::from_secs(2);
        learned.refresh(now, lines, agents);
        let learned = &*learned;
        let mut outlook = Outlook::new(learned, agents.len(), grace).unwrap();
        for agent in agents {
            outlook.agent(learned, now, agent, None);
        }
        for line in lines {
            outlook.line(learned, now, line, 1.0, false);
        }
        for _ in 0..waiting {
            outlook.person(1.0);
        }
        let leads = vec![learned.chance(&crate::pacing::learned::tests::LEAD); 1_000];
        let view = View {
            agents,
            lines,
            cancellable: lines.len(),
            waiting: &vec![now; waiting],
            detecting: 0,
            leads: &leads,
            outlook: Some(&outlook),
            risk,
            spare: if risk > 0.0 { 3 } else { 0 },
            cap: 0.03,
            grace,
            ring_timeout: Duration::from_secs(25),
            lines_per_agent: 1.0,
            max_lines: 10,
            calls: 0,
            answered: 0,
            abandoned: 0,
            most: 1_000,
        };
        Predictive.decide(now, &view)
    }

    const IDLE: AgentPhase = AgentPhase::Idle;

    #[test]
    fn it_starts_with_hardly_more_than_a_line_for_each_agent() {
        let dial = decide(&mut Learned::new(), &[IDLE; 20], &[], 0, 0.02).dial;
        assert!((20..=26).contains(&dial), "{dial}");
    }

    #[test]
    fn it_learns_how_few_are_answered() {
        let dial = decide(&mut taught(2_000), &[IDLE; 20], &[], 0, 0.03).dial;
        assert!((40..=90).contains(&dial), "{dial}");
    }

    #[test]
    fn lines_and_waiting_people_count_and_the_reason_says_so() {
        let now = Time::from_millis(600_000);
        let ringing = Some(now - Duration::from_secs(5));
        let lines = [LineView { dialed: now - Duration::from_secs(7), ringing, answers: 0.2 }; 30];
        let decision = decide(&mut taught(2_000), &[IDLE; 4], &lines, 0, 0.03);
        assert_eq!(decision.dial, 0);
        assert!(decision.reason.starts_with("holding: 4 idle"), "{}", decision.reason);
        assert_eq!(
            decide(&mut taught(2_000), &[IDLE; 4], &[], 4, 0.03).dial,
            0,
            "nobody is left for one more"
        );
    }

    #[test]
    fn lines_that_are_too_many_are_taken_back_once_they_rang_long_enough() {
        let now = Time::from_millis(600_000);
        let line = |rang_s: u64| {
            let ringing = Some(now - Duration::from_secs(rang_s));
            LineView { dialed: now - Duration::from_secs(rang_s + 2), ringing, answers: 0.6 }
        };
        let unrung = LineView { dialed: now, ringing: None, answers: 0.6 };
        let lines = [line(3), line(3), line(16), line(17), unrung, unrung, unrung];
        let decision = decide(&mut taught(2_000), &[AgentPhase::Talking { since: now }], &lines, 0, 0.03);
        assert!(!decision.take_back.is_empty() && decision.reason.starts_with("taking"), "{decision:?}");
        assert!(decision.take_back.iter().all(|place| *place >= 2), "{decision:?}");
        assert_eq!(decide(&mut taught(2_000), &[IDLE; 9], &lines, 0, 0.03).take_back, [] as [usize; 0]);
    }

    #[test]
    fn an_agent_who_is_due_is_dialed_for() {
        let now = Time::from_millis(600_000);
        let fresh = AgentPhase::Talking { since: now };
        let done_soon = AgentPhase::WrapUp { since: now - Duration::from_secs(9) };
        assert_eq!(decide(&mut taught(2_000), &[fresh; 3], &[], 0, 0.03).dial, 0);
        assert!(decide(&mut taught(2_000), &[done_soon; 3], &[], 0, 0.03).dial > 0);
    }

    #[test]
    fn without_a_budget_only_certain_lines_are_dialed() {
        assert_eq!(decide(&mut taught(2_000), &[IDLE; 10], &[], 0, 0.0).dial, 10);
    }
}
