//! Whose campaign a person calls back: the one whose attempt showed them the called number last, else the one that shows it.

use std::time::Duration;

use kraliki_sip::{Body, CallKey, NameAddr, Request};
use kraliki_time::Time;

use super::callback::{Admitted, caller_of};
use super::drive::Driver;
use super::handle::Request as Asked;
use super::trunk::Numbers;
use crate::CampaignId;

/// The store answers in milliseconds. A caller does not wait longer than this for it.
const PLACED_WITHIN: Duration = Duration::from_secs(1);

/// A call to us that is answered once it is known whose campaign it calls back.
pub(super) struct Placing {
    pub(super) admitted: Admitted,
    pub(super) body: Option<Body>,
    /// Who calls, E.164; none when the trunk does not say.
    pub(super) number: Option<String>,
    /// The number that was called, E.164.
    called: Option<String>,
    until: Time,
}

impl Driver {
    /// Finds out which campaign a caller calls back, beside the loop, and then answers.
    pub(super) fn place_caller(
        &mut self,
        call: CallKey,
        admitted: Admitted,
        request: Box<Request>,
        body: Option<Body>,
    ) {
        let numbers = &admitted.trunk.numbers;
        let number = caller_of(&request).and_then(|who| number_of(&who, numbers));
        let called = called_number(&request, numbers);
        let until = self.now() + PLACED_WITHIN;
        let look_back = self.config.callback.as_ref().map(|config| config.look_back).unwrap_or_default();
        let asked = number.clone().zip(called.clone());
        self.callers.placing.insert(call, Placing { admitted, body, number, called, until });
        let Some((number, called)) = asked else { return self.on_caller_placed(call, None) };
        let look_back_ms = i64::try_from(look_back.as_millis()).unwrap_or(i64::MAX);
        let since = self.shared.clock.unix_ms().saturating_sub(look_back_ms);
        let (requests, store) = (self.shared.requests.clone(), self.shared.store.clone());
        self.shared.beside.spawn(async move {
            let shown_by = store.shown_by(&number, &called, since).await.unwrap_or_else(|error| {
                tracing::error!(%error, "whose campaign a person calls back cannot be read");
                None
            });
            let _ = requests.send(Asked::CallerPlaced { call, shown_by }).await;
        });
    }

    /// The store says whose attempt it was, or that it was nobody's.
    pub(super) fn on_caller_placed(&mut self, call: CallKey, shown_by: Option<CampaignId>) {
        let Some(placing) = self.callers.placing.remove(&call) else { return };
        let attempted = shown_by.filter(|id| self.engine.has_campaign(*id));
        let shows = || placing.called.as_deref().and_then(|called| self.engine.campaign_showing(called));
        let (campaign, found) = match attempted {
            Some(id) => (Some(id), "attempt"),
            None => shows().map_or((None, "none"), |id| (Some(id), "caller_id")),
        };
        let trunk = &placing.admitted.trunk.trunk;
        tracing::info!(trunk = trunk.name, campaign = campaign.map(|id| id.0), found, "a person calls back");
        if let Some(figures) = self.watches.figures(trunk.id) {
            figures.called_back(found);
        }
        self.answer_caller(call, &placing, campaign);
    }

    /// The store took too long: the number alone says whose it is.
    pub(super) fn watch_placing_callers(&mut self, now: Time) {
        let over = self.callers.placing.iter().filter(|(_, placing)| placing.until <= now);
        for call in over.map(|(call, _)| *call).collect::<Vec<_>>() {
            self.on_caller_placed(call, None);
        }
    }
}

fn number_of(who: &NameAddr<'_>, numbers: &Numbers) -> Option<String> {
    numbers.read(std::str::from_utf8(who.parsed_uri()?.user?).ok()?)
}

/// To is who was called; where that is no number, as with some registered trunks, the Request-URI may have one.
fn called_number(request: &Request, numbers: &Numbers) -> Option<String> {
    let to = request.to().and_then(|to| number_of(&to, numbers));
    to.or_else(|| NameAddr::parse(request.uri()).and_then(|uri| number_of(&uri, numbers)))
}
