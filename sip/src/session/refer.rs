//! Transfers: REFER and its NOTIFYs, on both sides (RFC 3515, RFC 3892, RFC 5589).

use bytes::Bytes;
use kraliki_time::Time;

use super::close::Closing;
use super::{Call, Fate, Phase, What};
use crate::core::{Core, phrase, response_to};
use crate::error::ApiMisuse;
use crate::event::{Body, Event};
use crate::message::{Method, Name, NameAddr, Request, Uri};
use crate::transaction::{Hop, Owner, TxnId};

/// The transfers of one call: at most one that the peer wants and one that we want.
#[derive(Default)]
pub(super) struct Refer {
    theirs: Theirs,
    ours: bool,
}

#[derive(Default)]
enum Theirs {
    #[default]
    No,
    /// The owner has not answered.
    Asked { txn: TxnId, hop: Hop, request: Request },
    /// It is told how the new call goes.
    Told,
}

/// A value of a URI's headers (`?Replaces=…&x=y`), with its escapes taken out.
fn uri_header(headers: &[u8], name: &str) -> Option<String> {
    let wanted = |field: &&[u8]| {
        field.split(|b| *b == b'=').next().is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
    };
    let field = headers.split(|b| *b == b'&').find(wanted)?;
    let value = field.get(name.len() + 1..)?;
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let digit = |b: u8| (b as char).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        out.push((high << 4 | low) as u8);
    }
    String::from_utf8(out).ok().filter(|text| !text.chars().any(char::is_control))
}

/// `text` as the value of a URI's header (RFC 3261 §25.1, `hvalue`).
fn escape(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text {
        match b {
            b if b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(b) => out.push(*b as char),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

impl Call {
    /// The peer wants us to call somebody.
    pub(super) fn on_refer(&mut self, core: &mut Core, now: Time, request: Request, hop: Hop) -> Fate {
        let Phase::Up(up) = &self.phase else { return self.reply(core, now, &request, hop, 481) };
        if !matches!(up.closing, Closing::No) {
            return self.reply(core, now, &request, hop, 481);
        }
        // One Refer-To, no more (RFC 3515 §2.4.2).
        let mut targets = request.all(Name::ReferTo);
        let target = targets.next().filter(|_| targets.next().is_none()).and_then(NameAddr::parse);
        let Some((target, uri)) = target.and_then(|t| Some((t, t.parsed_uri()?))) else {
            drop(targets);
            return self.reply(core, now, &request, hop, 400);
        };
        if !matches!(up.refer.theirs, Theirs::No) {
            return self.reply(core, now, &request, hop, 491);
        }
        let end = memchr::memchr(b'?', target.uri).unwrap_or(target.uri.len());
        let to = request.share(target.uri.get(..end).unwrap_or_default());
        let replaces = uri_header(uri.headers, "Replaces");
        let referred_by = request.get(Name::ReferredBy).map(|by| request.share(by));
        drop(targets);
        let Some(txn) = core.serve(Owner::Call(self.key), &request, hop) else {
            return self.reply(core, now, &request, hop, 500);
        };
        core.event(Event::Refer { call: self.key, to, replaces, referred_by });
        if let Phase::Up(up) = &mut self.phase {
            up.refer.theirs = Theirs::Asked { txn, hop, request };
        }
        Fate::Lives
    }

    /// The owner's answer: 202, and the peer is told at once that the new call is tried (§2.4.4); or a refusal.
    pub(crate) fn respond_refer(&mut self, core: &mut Core, now: Time, status: u16) -> Result<(), ApiMisuse> {
        let Phase::Up(up) = &mut self.phase else { return Err(ApiMisuse::WrongState) };
        let Theirs::Asked { txn, hop, request } = std::mem::take(&mut up.refer.theirs) else {
            return Err(ApiMisuse::WrongState);
        };
        let accepted = (200..300).contains(&status);
        let status = if accepted { 202 } else { status.clamp(300, 699) };
        let w = response_to(&request, hop.to, status, None, 0);
        let bytes = core.finish(w, hop.socket, None);
        core.answer(now, txn, status, bytes, Some(&mut self.trace));
        if accepted {
            up.refer.theirs = Theirs::Told;
            self.notify_refer(core, now, 100)?;
        }
        Ok(())
    }

    /// Tells the peer what the call that it wanted has come to; a final status ends the subscription.
    pub(crate) fn notify_refer(&mut self, core: &mut Core, now: Time, status: u16) -> Result<(), ApiMisuse> {
        let Phase::Up(up) = &mut self.phase else { return Err(ApiMisuse::WrongState) };
        if !matches!(up.refer.theirs, Theirs::Told) {
            return Err(ApiMisuse::WrongState);
        }
        let state: &[u8] = if status < 200 { b"active;expires=60" } else { b"terminated;reason=noresource" };
        if status >= 200 {
            up.refer.theirs = Theirs::No;
        }
        let body = Body {
            content_type: Bytes::from_static(b"message/sipfrag;version=2.0"),
            data: Bytes::from(format!("SIP/2.0 {status} {}\r\n", phrase(status))),
        };
        self.request(core, now, &Method::Notify, What::Notify, Some(&body), |w| {
            w.header(Name::Event, b"refer").named(b"Subscription-State", state);
        })
    }

    /// Asks the peer to call somebody; with `replaces` (Call-ID, to-tag and from-tag as that peer has them) the call
    /// takes the place of another (RFC 3891).
    pub(crate) fn refer(
        &mut self,
        core: &mut Core,
        now: Time,
        to: &str,
        replaces: Option<&[u8]>,
    ) -> Result<(), ApiMisuse> {
        let usable = Uri::parse(to.as_bytes()).is_some_and(|uri| uri.headers.is_empty() || !uri.is_sip());
        if !usable || to.bytes().any(|b| b <= b' ' || b"<>\"?".contains(&b)) {
            return Err(ApiMisuse::BadField("to"));
        }
        let Phase::Up(up) = &mut self.phase else { return Err(ApiMisuse::WrongState) };
        if up.refer.ours || !matches!(up.closing, Closing::No) {
            return Err(ApiMisuse::WrongState);
        }
        let to = match replaces {
            Some(replaces) => format!("<{to}?Replaces={}>", escape(replaces)),
            None => format!("<{to}>"),
        };
        let local = up.dialog.local.clone();
        let by = NameAddr::parse(&local).map(|local| local.uri.to_vec()).unwrap_or_default();
        self.request(core, now, &Method::Refer, What::Refer, None, |w| {
            w.header(Name::ReferTo, to.as_bytes());
            w.raw(b"Referred-By: <").clean(&by).raw(b">\r\n");
        })?;
        if let Phase::Up(up) = &mut self.phase {
            up.refer.ours = true;
        }
        Ok(())
    }

    /// What names this call in a Replaces header, as its peer sees it.
    pub(crate) fn replaces(&self) -> Option<Vec<u8>> {
        let Phase::Up(up) = &self.phase else { return None };
        let (call_id, theirs, ours) = (&self.call_id[..], &up.dialog.remote_tag[..], self.tag.as_bytes());
        Some([call_id, b";to-tag=", theirs, b";from-tag=", ours].concat())
    }

    /// Whether a Replaces header means this call: its tags are ours and the peer's (RFC 3891 §3).
    pub(crate) fn is_meant(&self, call_id: &[u8], to_tag: &[u8], from_tag: &[u8]) -> bool {
        let Phase::Up(up) = &self.phase else { return false };
        self.call_id == call_id && self.tag.as_bytes() == to_tag && up.dialog.remote_tag == from_tag
    }

    /// The answer to our REFER. A 2xx says only that it was heard.
    pub(super) fn on_referred(&mut self, core: &mut Core, status: u16) -> Fate {
        if status >= 300
            && let Phase::Up(up) = &mut self.phase
        {
            up.refer.ours = false;
            core.event(Event::ReferProgress { call: self.key, status, done: true });
        }
        Fate::Lives
    }

    /// How the call that we asked for goes.
    pub(super) fn on_notify(&mut self, core: &mut Core, now: Time, request: &Request, hop: Hop) -> Fate {
        let refer = request.get(Name::Event).is_some_and(|event| {
            event.split(|b| *b == b';').next().is_some_and(|e| e.trim_ascii().eq_ignore_ascii_case(b"refer"))
        });
        if !refer {
            return self.reply(core, now, request, hop, 489);
        }
        let Phase::Up(up) = &mut self.phase else { return self.reply(core, now, request, hop, 481) };
        if !up.refer.ours {
            return self.reply(core, now, request, hop, 481);
        }
        let over = request.other("Subscription-State").is_some_and(|state| {
            state.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"terminated"))
        });
        let status = fragment_status(&request.body());
        let done = over || status.is_some_and(|status| status >= 200);
        up.refer.ours = !done;
        // A subscription that ends without a word leaves open what became of the call.
        if let Some(status) = status.or(over.then_some(408)) {
            core.event(Event::ReferProgress { call: self.key, status, done });
        }
        self.reply(core, now, request, hop, 200)
    }
}

/// The status line of a `message/sipfrag`.
fn fragment_status(body: &[u8]) -> Option<u16> {
    let rest = body.trim_ascii_start().strip_prefix(b"SIP/2.0")?.trim_ascii_start();
    std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok().filter(|status| (100..700).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_uri() {
        let headers = b"Subject=x&Replaces=12345%40192.0.2.1%3Bto-tag%3D12%3Bfrom-tag%3D5";
        let replaces = "12345@192.0.2.1;to-tag=12;from-tag=5";
        assert_eq!(uri_header(headers, "replaces").as_deref(), Some(replaces));
        assert_eq!(uri_header(b"Replaces=a%0d%0aEvil", "Replaces"), None);
        assert_eq!(uri_header(b"Replaces=a%4", "Replaces"), None);
        assert_eq!(uri_header(b"", "Replaces"), None);
        let escaped = format!("Replaces={}", escape(replaces.as_bytes()));
        assert_eq!(uri_header(escaped.as_bytes(), "Replaces").as_deref(), Some(replaces));
    }

    #[test]
    fn fragments() {
        assert_eq!(fragment_status(b"SIP/2.0 200 OK\r\n"), Some(200));
        assert_eq!(fragment_status(b"SIP/2.0 603"), Some(603));
        assert_eq!(fragment_status(b"SIP/2.0 20"), None);
        assert_eq!(fragment_status(b""), None);
    }
}
