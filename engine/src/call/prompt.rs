//! Agentless calls: the prompt, the key that ends all calls, the key that asks for an agent.

use std::time::Duration;

use kraliki_time::Time;

use super::{Call, Course, Stage};
use crate::limits::PROMPT_MOST;
use crate::timer::Timer;
use crate::{Engine, Message, Outcome, Output};

impl Engine {
    /// A person is there, and hears what the campaign has to say.
    pub(crate) fn prompt(&mut self, now: Time, mut call: Call, answered: Time) -> Call {
        let what = Message::Prompt;
        self.out.push_back(Output::Play { id: call.id, campaign: call.campaign, what });
        self.shift(now, &mut call, Stage::Prompt { answered });
        self.timers.set(Timer::Stage(call.attempt()), now + PROMPT_MOST);
        call
    }

    /// The called person pressed a key. Agentless calls heed them from the first note of the prompt on; every call does
    /// while the message is played that nobody is there.
    pub(crate) fn key(&mut self, now: Time, call: Call, digit: char) -> Call {
        if call.course != Course::Prompt && !matches!(call.stage, Stage::Message { .. }) {
            return call;
        }
        let Some(live) = self.campaigns.get(&call.campaign) else { return call };
        let settings = &live.campaign.settings;
        let opts_out = settings.opt_out_key.chars().eq([digit]);
        let asks = settings.queue_key.chars().eq([digit]);
        match &call.stage {
            Stage::Prompt { .. } | Stage::Waiting { .. } if opts_out => {
                self.hang_up(now, call, Outcome::OptedOut)
            }
            // An agent was promised and did not come: that stays so, and the wish holds all the same.
            Stage::Message { .. } if opts_out => {
                self.suppress(now, &call.lead.phone.0, "opted out by key");
                self.hang_up(now, call, Outcome::Abandoned)
            }
            Stage::Prompt { answered } if asks => {
                let answered = *answered;
                self.ask_for_agent(now, call, answered)
            }
            _ => call,
        }
    }

    /// From now on this is a person who was promised an agent; the ledger counts whether one came.
    fn ask_for_agent(&mut self, now: Time, mut call: Call, answered: Time) -> Call {
        self.out.push_back(Output::StopPlay { id: call.id });
        if let Some(agent) = self.free_agent(now, &call) {
            return self.bridge(now, call, agent, answered, Duration::ZERO);
        }
        let live = self.campaigns.get(&call.campaign);
        let wait = live.map_or(0, |live| live.campaign.settings.queue_wait_s);
        if wait == 0 {
            return self.abandon(now, call);
        }
        self.shift(now, &mut call, Stage::Waiting { answered, since: now });
        self.timers.set(Timer::Stage(call.attempt()), now + Duration::from_secs(u64::from(wait)));
        call
    }
}
