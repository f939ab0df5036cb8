//! Session timers (RFC 4028): a call whose peer has vanished ends.

use std::time::Duration;

use kraliki_time::Time;

use super::close::{After, Closing};
use super::{Call, Fate, Phase, Up};
use crate::core::Core;
use crate::error::PeerMisbehaved;
use crate::event::SessionTimer;
use crate::message::{Headers, Method, Name, Params, Request, Response, Writer};
use crate::transaction::Timer;

/// The least that a session may be asked to be refreshed (RFC 4028 §5).
const LEAST_S: u32 = 90;
/// A peer's wish for more than a day is no reason to keep numbers that large.
const MOST_S: u32 = 86_400;

/// The timer of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    expires_s: u32,
    /// The longest Min-SE that was heard; 0: none.
    min_s: u32,
    /// We refresh.
    ours: bool,
    refresh_at: Time,
    ends_at: Time,
    /// When the timer wakes us.
    armed: Option<Time>,
}

/// The timer looks at its call at least this often, so that what it leaves behind when calls end is soon gone.
const LOOK: Duration = Duration::from_secs(20);

/// Who refreshes: the one who sends the request, or the one who answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresher {
    Uac,
    Uas,
}

/// What stands in a request or answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) expires_s: u32,
    pub(super) min_s: u32,
    refresher: Option<Refresher>,
}

impl Offer {
    pub(super) fn of(timer: SessionTimer) -> Offer {
        let min_s = timer.min_s.max(LEAST_S);
        Offer { expires_s: timer.expires_s.max(min_s), min_s, refresher: None }
    }

    /// After a 422.
    pub(super) fn lengthen(&mut self, min_s: u32) {
        self.min_s = self.min_s.max(min_s.min(MOST_S));
        self.expires_s = self.expires_s.max(self.min_s);
    }

    pub(super) fn write(&self, w: &mut Writer) {
        let refresher = match self.refresher {
            None => "",
            Some(Refresher::Uac) => ";refresher=uac",
            Some(Refresher::Uas) => ";refresher=uas",
        };
        w.header(Name::SessionExpires, format!("{}{refresher}", self.expires_s).as_bytes());
        if self.min_s > LEAST_S {
            w.header(Name::MinSe, self.min_s.to_string().as_bytes());
        }
    }
}

/// Session-Expires: seconds and refresher.
fn session_expires(headers: &Headers) -> Option<(u32, Option<Refresher>)> {
    let value = headers.get(Name::SessionExpires)?;
    let refresher = match Params::new(value).get("refresher") {
        Some(who) if who.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
        Some(who) if who.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
        _ => None,
    };
    Some((seconds(value)?, refresher))
}

/// Min-SE of a 422 (or of a request).
pub(super) fn min_se(headers: &(impl std::ops::Deref<Target = Headers> + ?Sized)) -> Option<u32> {
    seconds(headers.get(Name::MinSe)?)
}

fn seconds(value: &[u8]) -> Option<u32> {
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(value.get(..digits)?).ok()?.parse().ok()
}

impl Session {
    fn new(now: Time, expires_s: u32, min_s: u32, ours: bool) -> Session {
        let expires_s = expires_s.clamp(LEAST_S, MOST_S);
        let whole = Duration::from_secs(expires_s.into());
        // §10: the one who does not refresh ends the call a little before the end.
        let early = Duration::from_secs((expires_s / 3).min(32).into());
        Session {
            expires_s,
            min_s,
            ours,
            refresh_at: now + whole / 2,
            ends_at: now + whole - early,
            armed: None,
        }
    }

    pub(super) fn lengthen(&mut self, min_s: u32) {
        self.min_s = self.min_s.max(min_s.min(MOST_S));
        self.expires_s = self.expires_s.max(self.min_s);
    }

    /// For a request of ours within the call: the roles stay as they are (§7.4).
    pub(super) fn offer(&self) -> Offer {
        let refresher = if self.ours { Refresher::Uac } else { Refresher::Uas };
        Offer { expires_s: self.expires_s, min_s: self.min_s.max(LEAST_S), refresher: Some(refresher) }
    }
}

/// What a peer's request leads to.
pub(super) enum Asked {
    /// Too short: 422 with this Min-SE.
    TooShort(u32),
    /// No timer.
    None,
    /// This stands in the 2xx, and whether it says `Require: timer`.
    Answer(Offer, bool),
}

/// The Min-SE of the 422 that a new call's INVITE is answered with, when its timer is too short.
pub(crate) fn too_short(core: &Core, request: &Request) -> Option<u32> {
    match asked(core, request, 0) {
        Asked::TooShort(min_s) => Some(min_s),
        _ => None,
    }
}

/// What a request that makes or refreshes a session is answered with (§9).
/// `heard_s` is the longest Min-SE that was heard in the call so far.
pub(super) fn asked(core: &Core, request: &Request, heard_s: u32) -> Asked {
    let Some((expires_s, refresher)) = session_expires(request) else { return Asked::None };
    let supported = request.lists(Name::Supported, "timer") || request.lists(Name::Require, "timer");
    let min_s = core.config.session_timer.min_s.max(LEAST_S);
    if expires_s < min_s {
        // §9: a 422 means nothing to a peer that does not know the timer; a proxy has put the header in.
        return if supported { Asked::TooShort(min_s) } else { Asked::None };
    }
    let theirs = min_se(request).unwrap_or(LEAST_S);
    // Somebody on the way wanted no less once: shortening what is asked now would meet them again.
    let wish = core.config.session_timer.expires_s.max(min_s).max(theirs).max(heard_s);
    // Table 2: who is named stays; else the peer refreshes, when it can.
    let refresher = match refresher {
        Some(named) if supported => named,
        _ if supported => Refresher::Uac,
        _ => Refresher::Uas,
    };
    let offer =
        Offer { expires_s: expires_s.min(wish).min(MOST_S), min_s: LEAST_S, refresher: Some(refresher) };
    Asked::Answer(offer, refresher == Refresher::Uac)
}

impl Call {
    /// The timer that our 2xx gave.
    pub(super) fn session_given(&mut self, core: &mut Core, now: Time, asked: &Asked) {
        let session = match asked {
            Asked::Answer(offer, _) => {
                let ours = offer.refresher == Some(Refresher::Uas);
                Some(Session::new(now, offer.expires_s, self.min_se_s(), ours))
            }
            _ => None,
        };
        self.set_session(core, now, session);
    }

    /// The timer that the peer's 2xx to our request gives (§7.2). Without one nobody refreshes.
    pub(super) fn on_session_answer(&mut self, core: &mut Core, now: Time, response: &Response) {
        let session = session_expires(response).map(|(expires_s, refresher)| {
            // A peer that leaves out who refreshes leaves it to us.
            Session::new(now, expires_s, self.min_se_s(), refresher != Some(Refresher::Uas))
        });
        self.set_session(core, now, session);
    }

    /// The longest Min-SE that was heard in the call: requests of ours say it again (§7.4).
    pub(super) fn min_se_s(&self) -> u32 {
        if let Phase::Up(up) = &self.phase { up.min_se_s } else { 0 }
    }

    /// A 422 or a request of the peer may say that a session is not to be shorter.
    pub(super) fn note_min_se(&mut self, min_s: Option<u32>) {
        if let (Phase::Up(up), Some(min_s)) = (&mut self.phase, min_s) {
            up.min_se_s = up.min_se_s.max(min_s.min(MOST_S));
        }
    }

    fn set_session(&mut self, core: &mut Core, now: Time, session: Option<Session>) {
        let Phase::Up(up) = &mut self.phase else { return };
        let armed = up.session.and_then(|before| before.armed);
        up.session = session.map(|session| Session { armed, ..session });
        self.arm_session(core, now);
    }

    /// One timer a call: a session that was set anew takes over the one that is armed.
    fn arm_session(&mut self, core: &mut Core, now: Time) {
        let Phase::Up(Up { session: Some(session), .. }) = &mut self.phase else { return };
        if session.armed.is_none() {
            let due = if session.ours { session.refresh_at } else { session.ends_at };
            let at = due.min(now + LOOK);
            session.armed = Some(at);
            core.txns.timers.arm_at(at, self.key.0, Timer::Session);
        }
    }

    /// A peer's Allow says whether it takes UPDATE.
    pub(super) fn note_allow(&mut self, headers: &Headers) {
        if let Phase::Up(up) = &mut self.phase
            && headers.get(Name::Allow).is_some()
        {
            let update = std::str::from_utf8(Method::Update.as_bytes()).unwrap_or_default();
            up.updates = headers.lists(Name::Allow, update);
        }
    }

    pub(super) fn on_session_timer(&mut self, core: &mut Core, now: Time) -> Fate {
        let Phase::Up(up) = &mut self.phase else { return Fate::Lives };
        let Some(session) = &mut up.session else { return Fate::Lives };
        session.armed = None;
        if now >= session.ends_at && matches!(up.closing, Closing::No) {
            self.drop_modify(core, now);
            return self.send_bye(core, now, None, After::Misbehaved(PeerMisbehaved::SessionExpired));
        }
        if session.ours && now >= session.refresh_at {
            // Tried again at a tenth of the time that is left, should this one come to nothing.
            let left = session.ends_at.since(now);
            session.refresh_at = (now + (left / 10).max(Duration::from_secs(1))).min(session.ends_at);
            self.refresh(core, now);
        }
        self.arm_session(core, now);
        Fate::Lives
    }
}
