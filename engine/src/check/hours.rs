//! Calling windows: no INVITE outside the lead's local hours, looked up another way than the engine does, by the clock
//! as the world knows it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kraliki_time::Time;

use super::{Books, Check, Found};
use crate::{CallingWindow, CampaignId, Input, LeadAnswer, LeadId, Output, TryId, Write};

/// A step of the clock is noticed by the driver within this (its tick); until then the old reading holds as well.
const NOTICED: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
pub(super) struct Hours {
    /// Readings of the world's clock, the last one in force since its time.
    clock: VecDeque<(Time, i64)>,
    told_by_world: bool,
    zones: BTreeMap<LeadId, String>,
    known: BTreeMap<String, TimeZone>,
    windows: BTreeMap<CampaignId, Vec<CallingWindow>>,
    tries: BTreeMap<TryId, (LeadId, CampaignId)>,
}

impl Hours {
    fn read(&mut self, now: Time, unix_ms: i64) {
        while self.clock.get(1).is_some_and(|(at, _)| now.since(*at) > NOTICED) {
            self.clock.pop_front();
        }
        self.clock.push_back((now, unix_ms));
    }

    /// Whether the lead's own clock is in the campaign's windows, by any reading that may hold.
    fn may(&mut self, now: Time, lead: LeadId, campaign: CampaignId) -> bool {
        let (Some(name), Some(windows)) = (self.zones.get(&lead), self.windows.get(&campaign)) else {
            return false;
        };
        if !self.known.contains_key(name) {
            let Ok(zone) = TimeZone::get(name) else { return false };
            self.known.insert(name.clone(), zone);
        }
        let Some(zone) = self.known.get(name) else { return false };
        let next = self.clock.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
        let mut readings = self
            .clock
            .iter()
            .zip(next)
            .filter(|(_, replaced)| replaced.is_none_or(|at| now.since(at) <= NOTICED));
        readings.any(|((at, unix_ms), _)| {
            let reading = unix_ms + i64::try_from(now.since(*at).as_millis()).unwrap_or(0);
            Timestamp::from_millisecond(reading).is_ok_and(|at| open(windows, zone, at))
        })
    }
}

fn open(windows: &[CallingWindow], zone: &TimeZone, at: Timestamp) -> bool {
    let local = at.to_zoned(zone.clone());
    let time = local.strftime("%H:%M").to_string();
    let day = local.weekday().to_monday_one_offset().cast_unsigned();
    windows
        .iter()
        .any(|w| w.days.contains(&day) && w.from.as_str() <= time.as_str() && time.as_str() < w.to.as_str())
}

impl Check for Hours {
    fn clock(&mut self, now: Time, unix_ms: i64) {
        self.told_by_world = true;
        self.read(now, unix_ms);
    }

    fn input(&mut self, now: Time, input: &Input, _found: &mut Found) {
        match input {
            Input::Clock { unix_ms } if !self.told_by_world => self.read(now, *unix_ms),
            Input::Restore(restore) => {
                for restored in &restore.campaigns {
                    let hours = restored.campaign.settings.calling_hours.clone();
                    self.windows.insert(restored.campaign.id, hours);
                }
            }
            Input::Lead { answer: LeadAnswer::Found { lead, .. }, .. } => {
                self.zones.insert(lead.id, lead.time_zone.clone());
            }
            Input::Leads { leads, .. } => {
                for lead in leads {
                    self.zones.insert(lead.id, lead.time_zone.clone());
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        match output {
            Output::Store { write: Write::Try(new), .. } => {
                self.tries.insert(new.id, (new.lead, new.campaign));
            }
            Output::Store { write: Write::Campaign(campaign), .. } => {
                self.windows.insert(campaign.id, campaign.settings.calling_hours.clone());
            }
            Output::Store { write: Write::AttemptEnded { attempt, .. }, .. } => {
                self.tries.retain(|id, _| id.attempt != *attempt);
            }
            Output::Dial(dial) => {
                let known = self.tries.get(&dial.id).copied();
                if !known.is_some_and(|(lead, campaign)| self.may(now, lead, campaign)) {
                    found.add(now, format!("{} is dialed outside its lead's hours", dial.id));
                }
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        self.tries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::CampaignSettings;

    #[test]
    fn sees_a_call_after_closing_and_after_a_step_that_nobody_told() {
        let hours = |from: &str, to: &str| {
            let window = CallingWindow { days: vec![3], from: from.into(), to: to.into() };
            CampaignSettings { calling_hours: vec![window], ..all_day() }
        };
        let mut hand: Hand<Hours> = Hand::new(hours("11:00", "12:01"));
        hand.call(1, 1);
        hand.clean();
        hand.wait_ms(61_000);
        hand.call(2, 2);
        hand.caught("outside its lead's hours");
        hand.call_on(1, 1);
        hand.caught("1/2 is dialed outside its lead's hours");
        let mut hand: Hand<Hours> = Hand::new(hours("12:00", "13:00"));
        hand.check.clock(hand.now, NOON);
        hand.check.clock(hand.now, NOON - 3_600_000);
        hand.wait_ms(200);
        hand.call(1, 1);
        hand.clean();
        hand.wait_ms(200);
        hand.call(2, 2);
        hand.caught("outside its lead's hours");
        let mut thursday: Hand<Hours> = Hand::new(hours("12:00", "13:00"));
        thursday.input(&Input::Clock { unix_ms: NOON + 86_400_000 });
        thursday.call(1, 1);
        thursday.clean(); // the old reading may hold for a moment
        thursday.wait_ms(400);
        thursday.call(2, 2);
        thursday.caught("outside its lead's hours");
    }
}
