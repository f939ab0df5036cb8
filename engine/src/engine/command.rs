//! What people want: one reply each, at once or when it is on disk.

use std::time::Duration;

use kraliki_time::Time;

use super::Then;
use super::hand::Wanted;
use crate::agent::By;
use crate::call::Dispose;
use crate::campaign::is_e164;
use crate::compliance::NationalCopy;
use crate::limits::NAME_MOST;
use crate::{CampaignId, Command, CommandError, Engine, Reply, Write};

impl Engine {
    pub(crate) fn command(&mut self, now: Time, reply: u64, command: Command) {
        if self.storing.is_full() {
            self.reply(reply, Err(CommandError::Overloaded(Duration::from_millis(500))));
            return;
        }
        let done = match command {
            // Answered when they are on disk; a refusal at once.
            Command::CreateCampaign(settings) => return self.create_campaign(now, reply, *settings),
            Command::UpdateCampaign { id, settings } => {
                return self.update_campaign(now, reply, id, *settings);
            }
            Command::DeleteCampaign(id) => return self.delete_campaign(now, reply, id),
            Command::StartCampaign(id) => return self.start_campaign(now, reply, id),
            Command::PauseCampaign(id) => return self.pause_campaign(now, reply, id),
            Command::PutTrunk { id, trunk, stored } => {
                return self.put_trunk(now, reply, id, *trunk, *stored);
            }
            Command::DeleteTrunk(id) => return self.delete_trunk(now, reply, id),
            Command::PutTeam { id, settings } => return self.put_team(now, reply, id, *settings),
            Command::DeleteTeam(id) => return self.delete_team(now, reply, id),
            Command::SetSkills(skills) => return self.set_skills(now, reply, skills),
            Command::SetPauseReasons(reasons) => return self.set_pause_reasons(now, reply, reasons),
            Command::SetShift { agent, ends_unix_ms } => {
                return self.set_shift(now, reply, agent, ends_unix_ms);
            }
            Command::PutGroup { id, group } => return self.put_group(now, reply, id, *group),
            Command::DeleteGroup(id) => return self.delete_group(now, reply, id),
            Command::PutPool { id, pool } => return self.put_pool(now, reply, id, *pool),
            Command::DeletePool(id) => return self.delete_pool(now, reply, id),
            Command::LiftCallerId { number } => return self.lift_caller_id(now, reply, number),
            Command::Suppress { phone, reason, campaign } => {
                return self.suppress_command(now, reply, &phone.0, reason, campaign);
            }
            Command::ListsChanged(national) => {
                self.lists_changed(now, national.map(|copy| *copy));
                Ok(())
            }
            Command::Dispose { call, code, note, callback_unix_ms, personal } => {
                let said = Dispose { call, code, note, callback_unix_ms, personal };
                if let Err(error) = self.dispose(now, reply, said) {
                    self.reply(reply, Err(error));
                }
                return;
            }
            Command::DialLead { agent, campaign, lead } => {
                return self.dial_lead(now, reply, Wanted { agent, campaign, lead, mark: 0 });
            }
            Command::DialPreview { agent, lead } => {
                if let Err(error) = self.dial_preview(now, Some(reply), agent, lead) {
                    self.reply(reply, Err(error));
                }
                return;
            }
            Command::SkipPreview { agent, lead, delay_s, reason } => {
                self.skip_preview(now, agent, lead, delay_s, reason)
            }
            Command::Why { lead, status, next_unix_ms } => {
                let why = self.why(now, &lead, status, next_unix_ms);
                return self.reply(reply, Ok(Reply::Why(Box::new(why))));
            }
            Command::LeadsChanged(id) => self.leads_changed(now, id),
            Command::SignIn { agent, name } => self.sign_in(now, agent, name),
            Command::SignOut(agent) => self.sign_out(now, agent),
            Command::Ready(agent) => self.ready(now, agent),
            Command::Pause { agent, reason } => self.pause(now, agent, reason),
            Command::LastCall(agent) => self.last_call(now, agent),
            Command::Force { agent, state, by, by_name, reason } => {
                self.force(now, agent, state, By { by, name: by_name, reason })
            }
            Command::ExtendWrapUp(agent) => self.extend_wrap_up(now, agent),
            Command::Hangup(call) => self.hangup_command(now, call),
            Command::Hold { call, on } => self.hold(now, call, on),
            Command::PauseRecording { call, on } => self.pause_recording(call, on),
            Command::MachineCheck { call, machine } => self.machine_check(now, call, machine),
            Command::Dtmf { call, digits } => self.dtmf(call, digits),
            Command::Drain { deadline } => {
                self.start_drain(now, deadline);
                Ok(())
            }
        };
        self.reply(reply, done.map(|()| Reply::Done));
    }

    fn suppress_command(
        &mut self,
        now: Time,
        reply: u64,
        phone: &str,
        reason: String,
        campaign: Option<CampaignId>,
    ) {
        if !is_e164(phone) || reason.len() > NAME_MOST {
            let message = "must be a number like +12025550123, the reason at most 200 characters".into();
            self.reply(reply, Err(CommandError::Invalid { field: "phone".into(), message }));
            return;
        }
        if let Some(id) = campaign.filter(|id| !self.campaigns.contains_key(id)) {
            return self.reply(reply, Err(CommandError::NotFound { what: "campaign".into(), id: id.0 }));
        }
        self.forbid(now, phone, campaign);
        let at_unix_ms = self.clock.unix_ms(now);
        let write = Write::Suppress { phone: phone.to_owned().into(), reason, campaign, at_unix_ms };
        self.store(now, write, Then::Reply(reply));
    }

    /// Puts a number on the suppression list: something that happened, nobody waits for it.
    pub(crate) fn suppress(&mut self, now: Time, phone: &str, reason: &str) {
        self.forbid(now, phone, None);
        let at_unix_ms = self.clock.unix_ms(now);
        let (phone, reason) = (phone.to_owned().into(), reason.to_owned());
        let write = Write::Suppress { phone, reason, campaign: None, at_unix_ms };
        self.fact(now, write);
    }

    /// Lists were imported: what was read before knows nothing of them.
    fn lists_changed(&mut self, now: Time, national: Option<NationalCopy>) {
        if let Some(copy) = national {
            self.national.insert(copy.country.clone(), copy);
        }
        self.void_leads(now);
        for live in self.campaigns.values_mut() {
            live.dirty = true;
        }
        self.refill_all(now);
    }

    /// From this moment on the number is not dialed; the disk may follow.
    fn forbid(&mut self, now: Time, phone: &str, campaign: Option<CampaignId>) {
        self.suppressed.insert(phone, campaign);
        let concerns = |id: CampaignId| campaign.is_none_or(|only| only == id);
        self.take_from_screens(now, |lead| lead.phone.0 == phone && concerns(lead.campaign));
        for (_, live) in self.campaigns.iter_mut().filter(|(id, _)| concerns(**id)) {
            if live.hopper.remove_phone(phone) > 0 {
                live.dirty = true;
            }
        }
    }
}
