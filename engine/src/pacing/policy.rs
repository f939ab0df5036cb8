//! Every policy there is, by mode and by name.

use serde::{Deserialize, Serialize};

use super::{
    Pacer, Truth, agentless, by_hand, look_ahead, per_agent, power, predictive, progressive, vicidial,
};
use crate::Mode;

/// A policy by name that every campaign uses instead of its mode's, with what it is given to know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Forced {
    /// Empty: none.
    pub(crate) name: String,
    /// For the policy that needs it.
    pub(crate) truth: Option<Truth>,
}

/// Every policy there is, as a campaign holds it: plain data, so that a dialer can be written down and go on elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Policy {
    ByHand(by_hand::ByHand),
    Agentless(agentless::Agentless),
    Progressive(progressive::Progressive),
    Power(power::Power),
    Predictive(predictive::Predictive),
    PerAgent(per_agent::PerAgent),
    Vicidial(vicidial::Vicidial),
    LookAhead(Box<look_ahead::LookAhead>),
}

/// What stands in while a policy decides.
impl Default for Policy {
    fn default() -> Self {
        Policy::Progressive(progressive::Progressive)
    }
}

impl Policy {
    /// A new one for a campaign's mode.
    pub(crate) fn of(mode: Mode) -> Policy {
        match mode {
            Mode::Manual | Mode::Preview => Policy::ByHand(by_hand::ByHand),
            Mode::Agentless => Policy::Agentless(agentless::Agentless),
            Mode::Progressive => Policy::Progressive(progressive::Progressive),
            Mode::Power => Policy::Power(power::Power { lines: None }),
            Mode::Predictive => Policy::Predictive(predictive::Predictive),
        }
    }

    /// The names of all policies: those of modes, then those that stand beside them in simulations. A number after
    /// the colon is lines for each idle agent, lines for each agent, or the highest dial level.
    pub(crate) const NAMES: [&'static str; 9] = [
        "progressive",
        "power",
        "predictive",
        "power:3",
        "per_agent:1.5",
        "vicidial_hard:3",
        "vicidial_average:3",
        "vicidial_tapered:3",
        "look_ahead",
    ];

    /// A new one by its name; none when there is no such policy, or no truth for the one that is given it.
    pub(crate) fn named(forced: &Forced) -> Option<Policy> {
        let name = forced.name.as_str();
        let Some((name, number)) = name.split_once(':') else {
            return match name {
                "progressive" => Some(Policy::of(Mode::Progressive)),
                "power" => Some(Policy::of(Mode::Power)),
                "predictive" => Some(Policy::of(Mode::Predictive)),
                "look_ahead" => {
                    let truth = forced.truth.clone()?;
                    Some(Policy::LookAhead(Box::new(look_ahead::LookAhead::new(truth))))
                }
                _ => None,
            };
        };
        let number = number.parse().ok().filter(|n| (1.0..=50.0).contains(n))?;
        let vicidial = |limiter| Some(Policy::Vicidial(vicidial::Vicidial::new(limiter, number)));
        match name {
            "power" => Some(Policy::Power(power::Power { lines: Some(number) })),
            "per_agent" => Some(Policy::PerAgent(per_agent::PerAgent { lines: number })),
            "vicidial_hard" => vicidial(vicidial::Limiter::Hard),
            "vicidial_average" => vicidial(vicidial::Limiter::Average),
            "vicidial_tapered" => vicidial(vicidial::Limiter::Tapered),
            _ => None,
        }
    }

    pub(crate) fn pacer(&mut self) -> &mut dyn Pacer {
        match self {
            Policy::ByHand(pacer) => pacer,
            Policy::Agentless(pacer) => pacer,
            Policy::Progressive(pacer) => pacer,
            Policy::Power(pacer) => pacer,
            Policy::Predictive(pacer) => pacer,
            Policy::PerAgent(pacer) => pacer,
            Policy::Vicidial(pacer) => pacer,
            Policy::LookAhead(pacer) => &mut **pacer,
        }
    }
}
