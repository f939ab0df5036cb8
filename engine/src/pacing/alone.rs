//! One campaign's pacing by itself, with all its agents to itself: for measuring a policy without a dialer around it.

use std::time::Duration;

use kraliki_time::Time;

use super::{
    AgentPhase, Budget, Decision, Forced, Learned, LineView, Observation, Outlook, Policy, Traits, Truth,
    View,
};

/// What was learned, what may be risked, and the policy.
#[derive(Debug)]
pub struct Alone {
    learned: Learned,
    budget: Budget,
    policy: Policy,
    cap: f64,
}

impl Alone {
    /// The longest that a person waits, and that a line rings.
    const GRACE: Duration = Duration::from_secs(2);
    const RING: Duration = Duration::from_secs(25);

    /// A policy by its name at this cap on abandoned calls; none when there is no such policy.
    pub fn new(policy: &str, truth: Option<Truth>, cap: f64) -> Option<Alone> {
        let policy = Policy::named(&Forced { name: policy.into(), truth })?;
        Some(Alone { learned: Learned::new(), budget: Budget::new(), policy, cap })
    }

    /// Something happened on its lines or to its agents.
    pub fn observe(&mut self, now: Time, seen: Observation) {
        self.learned.observe(now, seen);
        self.budget.observe(now, &seen, self.cap);
        self.policy.pacer().observe(now, seen);
    }

    /// The chance that a person answers such a lead.
    pub fn answers(&self, lead: &Traits) -> f64 {
        self.learned.chance(lead)
    }

    /// How many lines to dial with these agents, these tries in flight, and leads with these chances of an answer to
    /// come, when so many people answered in the ledger's period and so many of them were abandoned.
    pub fn decide(
        &mut self,
        now: Time,
        agents: &[AgentPhase],
        lines: &[LineView],
        leads: &[f64],
        (answered, abandoned): (u64, u64),
    ) -> Decision {
        self.learned.refresh(now, lines, agents);
        let allowance = self.budget.allowance(now, self.cap, answered, abandoned);
        let mut outlook = Outlook::new(&self.learned, agents.len(), Self::GRACE);
        if let Some(outlook) = &mut outlook {
            agents.iter().for_each(|agent| outlook.agent(&self.learned, now, agent, None));
            lines.iter().for_each(|line| outlook.line(&self.learned, now, line, 1.0, false));
        }
        let view = View {
            agents,
            lines,
            cancellable: 0,
            waiting: &[],
            detecting: 0,
            leads,
            outlook: outlook.as_ref(),
            risk: allowance.risk,
            spare: allowance.spare,
            cap: self.cap,
            grace: Self::GRACE,
            ring_timeout: Self::RING,
            lines_per_agent: 1.0,
            max_lines: 0,
            calls: 0,
            answered,
            abandoned,
            most: u32::try_from(leads.len()).unwrap_or(u32::MAX),
        };
        self.policy.pacer().decide(now, &view)
    }
}
