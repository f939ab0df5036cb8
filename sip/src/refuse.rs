//! Requests that cannot be acted on: which answer each gets (RFC 3261 §8.2, §18.3, §21.4, §21.5).
//!
//! Only sources that may start calls hear anything, and only when Via, From, To, Call-ID and CSeq are there to be
//! copied into the answer. An answer is sent once for each datagram and nothing is remembered of it (§8.2.7), so that
//! broken messages fill no table. An ACK is never answered.

use std::net::SocketAddr;

use bytes::Bytes;
use kraliki_time::Time;

use crate::core::{ALLOW, phrase, response_saying};
use crate::endpoint::{Endpoint, SocketId};
use crate::error::{FrameError, Malformed};
use crate::limits;
use crate::message::{Broken, Method, Name, Request, Uri};
use crate::transaction::hex;

impl Endpoint {
    /// Takes the header block of a message that broke its stream ([`crate::Framer::broken_head`]): a request is
    /// answered with 400 or 513, and then the connection ends.
    pub fn handle_broken_head(
        &mut self,
        now: Time,
        socket: SocketId,
        from: SocketAddr,
        head: Bytes,
        error: FrameError,
    ) {
        let why = match error {
            FrameError::TooLarge => Malformed::TooLarge,
            FrameError::NoContentLength => Malformed::Header("Content-Length"),
            _ => Malformed::ContentLength,
        };
        self.on_broken(now, socket, from, Broken::head(head, why));
    }

    pub(crate) fn on_broken(&mut self, now: Time, socket: SocketId, from: SocketAddr, broken: Broken) {
        match broken.request {
            Some(request) if self.core.config.accept_from.allows(from) => {
                self.core.stats.received.request(request.method().as_bytes());
                self.refuse(now, socket, from, &request, broken.why);
            }
            _ => self.core.stats.dropped_malformed.add(1),
        }
    }

    /// Answers a request of an accepted source that cannot be acted on, when it can be answered.
    pub(crate) fn refuse(
        &mut self,
        now: Time,
        socket: SocketId,
        from: SocketAddr,
        request: &Request,
        why: Malformed,
    ) {
        let core = &mut self.core;
        let answered = *request.method() != Method::Ack
            && request.via().is_some()
            && [Name::From, Name::To, Name::CallId, Name::CSeq]
                .iter()
                .all(|name| request.get(*name).is_some_and(|value| !value.is_empty()));
        if !answered {
            return core.stats.dropped_malformed.add(1);
        }
        core.stats.refused_malformed.add(1);
        let (status, reason) = answer(request, why);
        let lines = [Name::Via, Name::CallId, Name::CSeq];
        let tag = core.hash(&lines.map(|name| request.get(name).unwrap_or_default()));
        let tag = hex(tag as u64);
        let mut w = response_saying(request, from, status, &reason, Some(&tag), 0);
        if status == 501 {
            w.header(Name::Allow, ALLOW);
        }
        let hop = core.answer_hop(request, socket, from);
        core.send(now, hop, w.body(None), None);
    }
}

/// The status, and a reason phrase that says what is wrong.
fn answer(request: &Request, why: Malformed) -> (u16, String) {
    let status = match (why, request.method()) {
        (Malformed::Version, _) => 505,
        (Malformed::TooLarge, _) => 513,
        (Malformed::UriTooLong, _) => 414,
        (Malformed::UriScheme, _) => 416,
        // RFC 4475 §3.1.2.18: what a method that is not known here wants of its CSeq is not known either.
        (Malformed::Header("CSeq"), Method::Other(_)) if request.cseq().is_some() => 501,
        _ => 400,
    };
    let reason = match why {
        Malformed::StartLine => "Bad Request Line".into(),
        Malformed::Uri => "Bad Request-URI".into(),
        Malformed::TooManyHeaders => "Too Many Header Lines".into(),
        Malformed::ContentLength => "Bad Content-Length".into(),
        Malformed::ShortBody => "Body Shorter Than Content-Length".into(),
        Malformed::Header(name) if status == 400 && request.get(Name::of(name.as_bytes())).is_some() => {
            format!("Bad {name}")
        }
        Malformed::Header(name) if status == 400 => format!("Missing {name}"),
        _ => phrase(status).into(),
    };
    (status, reason)
}

/// Whether the Request-URI of a stranger's request can be understood (RFC 3261 §8.2.2.1).
pub(crate) fn check_uri(request: &Request) -> Result<(), Malformed> {
    if request.uri().len() > limits::URI_BYTES {
        return Err(Malformed::UriTooLong);
    }
    let uri = Uri::parse(request.uri()).ok_or(Malformed::Uri)?;
    let known = uri.is_sip() || uri.scheme.eq_ignore_ascii_case(b"tel");
    // Other methods are refused for what they are (§8.2.1 comes first).
    let asked = matches!(request.method(), Method::Invite | Method::Options);
    if asked && !known { Err(Malformed::UriScheme) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AcceptFrom, EndpointConfig};
    use crate::transport::{LocalSocket, Transport};
    use crate::{Message, Output};

    const NOW: Time = Time::from_millis(1_000);

    fn peer() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 5060))
    }

    fn endpoint() -> Endpoint {
        let bound = SocketAddr::from(([192, 0, 2, 2], 5060));
        let sockets = vec![LocalSocket { transport: Transport::Udp, bound, advertise: bound }];
        let accept_from = AcceptFrom::Only(vec![peer().ip().into()]);
        Endpoint::new(EndpointConfig { sockets, accept_from, ..EndpointConfig::default() }, [3; 32])
    }

    fn request(line: &str, method: &str, more: &str) -> String {
        format!(
            "{line}\r\nVia: SIP/2.0/UDP h:5060;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
             Call-ID: x\r\nCSeq: 1 {method}\r\n{more}\r\n"
        )
    }

    fn answers(endpoint: &mut Endpoint) -> Vec<(u16, String)> {
        let next = || match endpoint.poll_output() {
            Output::Transmit(transmit) => match Message::parse(transmit.bytes) {
                Ok(Message::Response(r)) => {
                    assert!(r.to().unwrap().tag().is_some() && r.get(Name::ContentLength).is_some());
                    Some((r.status(), String::from_utf8_lossy(r.reason_phrase()).into_owned()))
                }
                other => panic!("{other:?}"),
            },
            Output::Event(event) => panic!("{event:?}"),
            Output::Timeout(_) => None,
        };
        std::iter::from_fn(next).collect()
    }

    fn answer_to(text: &str) -> Option<(u16, String)> {
        let mut endpoint = endpoint();
        endpoint.handle_datagram(NOW, SocketId(0), peer(), Bytes::copy_from_slice(text.as_bytes()));
        let answers = answers(&mut endpoint);
        assert!(answers.len() <= 1, "{answers:?}");
        let (refused, dropped) =
            (endpoint.stats().refused_malformed.get(), endpoint.stats().dropped_malformed.get());
        assert_eq!((refused, dropped), if answers.is_empty() { (0, 1) } else { (1, 0) });
        assert_eq!((endpoint.transaction_count(), endpoint.call_count()), (0, 0));
        answers.into_iter().next()
    }

    fn says(status: u16, reason: &str) -> Option<(u16, String)> {
        Some((status, reason.into()))
    }

    #[test]
    fn each_fault_has_its_answer() {
        let invite = |line: &str, more: &str| request(line, "INVITE", more);
        let line = "INVITE sip:c@d SIP/2.0";
        assert_eq!(answer_to(&invite("INVITE sip:c@d SIP/3.0", "")), says(505, "Version Not Supported"));
        assert_eq!(answer_to(&invite("INVITE sip:c d SIP/2.0", "")), says(400, "Bad Request Line"));
        assert_eq!(answer_to(&invite("INVITE c@d SIP/2.0", "")), says(400, "Bad Request-URI"));
        assert_eq!(answer_to(&invite("INVITE sip:c@d:port SIP/2.0", "")), says(400, "Bad Request-URI"));
        assert_eq!(
            answer_to(&invite("INVITE urn:service:sos SIP/2.0", "")),
            says(416, "Unsupported URI Scheme")
        );
        let long = format!("INVITE sip:{}@d SIP/2.0", "c".repeat(limits::URI_BYTES));
        assert_eq!(answer_to(&invite(&long, "")), says(414, "Request-URI Too Long"));
        assert_eq!(answer_to(&invite(line, "l: x\r\n")), says(400, "Bad Content-Length"));
        assert_eq!(answer_to(&invite(line, "l: 9\r\n")), says(400, "Body Shorter Than Content-Length"));
        let many = "X: y\r\n".repeat(limits::HEADER_LINES);
        assert_eq!(answer_to(&invite(line, &many)), says(400, "Too Many Header Lines"));
        let large = format!("X: {}\r\n", "y".repeat(limits::MESSAGE_BYTES));
        assert_eq!(answer_to(&invite(line, &large)), says(513, "Message Too Large"));
        assert_eq!(answer_to(&request(line, "BYE", "")), says(400, "Bad CSeq"));
        assert_eq!(answer_to(&invite(line, "From: <sip:e@f>;tag=2\r\n")), says(400, "Bad From"));
        // Folding hides nothing.
        assert_eq!(answer_to(&invite(line, "l:\r\n 9\r\n")), says(400, "Body Shorter Than Content-Length"));
    }

    #[test]
    fn what_cannot_or_must_not_be_answered_is_dropped() {
        let line = "INVITE sip:c@d SIP/2.0";
        for gone in [
            "Via: SIP/2.0/UDP h:5060;branch=z9hG4bKa",
            "From: <sip:a@b>;tag=1",
            "To: <sip:c@d>",
            "Call-ID: x",
        ] {
            let broken = request(line, "INVITE", "l: x\r\n").replace(&format!("{gone}\r\n"), "");
            assert_eq!(answer_to(&broken), None, "{gone}");
        }
        assert_eq!(answer_to(&request(line, "INVITE", "l: x\r\n").replace("CSeq: 1 INVITE\r\n", "")), None);
        assert_eq!(answer_to(&request("ACK sip:c@d SIP/2.0", "ACK", "l: x\r\n")), None);
        assert_eq!(answer_to(&request("ACK sip:c@d SIP/9.0", "ACK", "")), None);
        assert_eq!(answer_to(&request("SIP/2.0 200 OK", "INVITE", "l: x\r\n")), None);
        assert_eq!(answer_to(&request("SIP/2.0 999 OK", "INVITE", "")), None);
        assert_eq!(answer_to(&request("GET / HTTP/1.1", "INVITE", "")), None);
        assert_eq!(answer_to("\u{1}nonsense"), None);
    }

    #[test]
    fn strangers_hear_nothing_and_are_counted() {
        let mut endpoint = endpoint();
        let text = request("INVITE sip:c@d SIP/2.0", "INVITE", "l: x\r\n");
        let stranger = SocketAddr::from(([198, 51, 100, 1], 5060));
        endpoint.handle_datagram(NOW, SocketId(0), stranger, Bytes::from(text));
        assert_eq!(answers(&mut endpoint), []);
        assert_eq!(endpoint.stats().dropped_malformed.get(), 1);
    }

    /// What a stream says of a message that cannot be cut out of it.
    #[test]
    fn broken_streams() {
        let head = request("INVITE sip:c@d SIP/2.0", "INVITE", "");
        for (error, expected) in [
            (FrameError::NoContentLength, says(400, "Missing Content-Length")),
            (FrameError::ContentLength, says(400, "Bad Content-Length")),
            (FrameError::TooLarge, says(513, "Message Too Large")),
        ] {
            let mut endpoint = endpoint();
            endpoint.handle_broken_head(NOW, SocketId(0), peer(), Bytes::from(head.clone()), error);
            assert_eq!(answers(&mut endpoint).pop(), expected);
        }
        let mut endpoint = endpoint();
        let response = head.replace("INVITE sip:c@d SIP/2.0", "SIP/2.0 200 OK");
        endpoint.handle_broken_head(NOW, SocketId(0), peer(), response.into(), FrameError::NoContentLength);
        assert_eq!(answers(&mut endpoint), []);
    }
}
