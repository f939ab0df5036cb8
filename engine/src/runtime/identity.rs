//! Who calls us, by the Identity headers of the call (RFC 8224, RFC 8588): asked beside the loop, while the caller waits
//! with nothing but the 100 that SIP sent at once.

use std::net::SocketAddr;
use std::time::Duration;

use kraliki_sip::stir::{Fault, Verdict, parse_date};
use kraliki_sip::{Body, CallKey, Name, NameAddr, Request};
use kraliki_time::Time;

use super::callback::{Admitted, caller_of};
use super::drive::Driver;
use super::handle::Request as Asked;
use super::trunk::{InboundStir, Numbers};

/// Beyond what a check may take: for the way back through the queue of requests.
const SLACK: Duration = Duration::from_secs(1);

/// A call whose caller is being verified.
pub(super) struct Waiting {
    admitted: Admitted,
    from: SocketAddr,
    request: Box<Request>,
    body: Option<Body>,
    /// No verdict comes any more after this.
    until: Time,
}

/// What of a call is looked at.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    identities: Vec<String>,
    caller: String,
    called: String,
    date_unix_s: Option<u64>,
}

impl Claim {
    fn of(request: &Request, numbers: &Numbers) -> Claim {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let party = |who: Option<NameAddr<'_>>| who.map(|who| party(&who, numbers)).unwrap_or_default();
        Claim {
            identities: request.all(Name::Identity).map(text).collect(),
            caller: party(caller_of(request)),
            called: party(request.to()),
            date_unix_s: request.get(Name::Date).and_then(parse_date),
        }
    }
}

/// Who it is, for the verifier: a number in the trunk's way of writing is signed as E.164 (RFC 8224 §8.3).
fn party(who: &NameAddr<'_>, numbers: &Numbers) -> String {
    let user = who.parsed_uri().and_then(|uri| std::str::from_utf8(uri.user?).ok());
    // Its parameters are none of its digits (RFC 3261 §19.1.6).
    let bare = user.and_then(|user| user.split(';').next()).unwrap_or_default();
    let number = bare.chars().all(|c| c.is_ascii_digit() || "+-.()".contains(c)).then(|| numbers.read(bare));
    number.flatten().unwrap_or_else(|| String::from_utf8_lossy(who.uri).into_owned())
}

/// As it is counted: the attestation, or what RFC 8224 §6.2.2 calls what is wrong.
fn result(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed(passed) => passed.attestation.as_str(),
        Verdict::Failed(_) => match refusal(verdict) {
            Some((403, _)) => "stale_date",
            Some((436, _)) => "bad_info",
            Some((437, _)) => "unsupported_credential",
            Some((438, _)) => "invalid",
            _ => "none",
        },
    }
}

/// How a trunk that wants every caller verified refuses this one.
fn refusal(verdict: &Verdict) -> Option<(u16, &'static str)> {
    match verdict {
        Verdict::Passed(_) => None,
        // A header that does not speak for the caller is as good as none.
        Verdict::Failed(fault) => fault.response().or_else(|| Fault::Unsigned.response()),
    }
}

impl Driver {
    /// Verifies who calls before the call is answered. One that hangs up meanwhile is forgotten.
    pub(super) fn verify_caller(
        &mut self,
        call: CallKey,
        from: SocketAddr,
        admitted: Admitted,
        request: Box<Request>,
        body: Option<Body>,
    ) {
        let claim = Claim::of(&request, &admitted.trunk.numbers);
        let until = self.now() + self.config.stir.as_ref().map_or(SLACK, |stir| stir.longest() + SLACK);
        self.callers.waiting.insert(call, Waiting { admitted, from, request, body, until });
        let verifier = match &self.config.stir {
            _ if claim.identities.is_empty() => {
                return self.on_caller_verified(call, &Verdict::Failed(Fault::Unsigned));
            }
            None => {
                return self.on_caller_verified(call, &Verdict::Failed(Fault::CertificateUnavailable));
            }
            Some(verifier) => verifier.clone(),
        };
        let requests = self.shared.requests.clone();
        // On the threads of the API: TLS and signatures take a millisecond, which calls in progress should not wait.
        self.shared.beside.spawn(async move {
            let Claim { identities, caller, called, date_unix_s } = claim;
            let verdict = verifier.verify_call(&identities, &caller, &called, date_unix_s).await;
            let _ = requests.send(Asked::CallerVerified { call, verdict }).await;
        });
    }

    /// It is known who calls, or that this is not to be known.
    pub(super) fn on_caller_verified(&mut self, call: CallKey, verdict: &Verdict) {
        let Some(Waiting { admitted, from, request, body, .. }) = self.callers.waiting.remove(&call) else {
            return;
        };
        let trunk = &admitted.trunk;
        let (name, result) = (&trunk.trunk.name, result(verdict));
        if let Some(figures) = self.watches.figures(trunk.trunk.id) {
            figures.identified(result);
        }
        match verdict {
            Verdict::Passed(passed) => {
                tracing::info!(trunk = name, %from, attestation = result, origid = ?passed.origid, "a caller is verified");
            }
            Verdict::Failed(fault) => {
                tracing::info!(trunk = name, %from, result, why = %fault, "a caller is not verified");
            }
        }
        let refusal = refusal(verdict).filter(|_| trunk.inbound_stir == InboundStir::Require);
        match refusal {
            Some((status, phrase)) => drop(self.sip.reject_saying(call, status, phrase)),
            None => self.place_caller(call, admitted, request, body),
        }
    }

    /// Gives up on verdicts that did not come in time.
    pub(super) fn watch_waiting_callers(&mut self, now: Time) {
        let over = self.callers.waiting.iter().filter(|(_, waiting)| waiting.until <= now);
        for call in over.map(|(call, _)| *call).collect::<Vec<_>>() {
            self.on_caller_verified(call, &Verdict::Failed(Fault::CertificateUnavailable));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kraliki_sip::Message;
    use kraliki_sip::stir::{Attestation, Passed};

    use super::*;
    use crate::runtime::NumberFormat;

    fn passed(attestation: Attestation) -> Verdict {
        let origid = "123e4567-e89b-12d3-a456-426655440000".into();
        Verdict::Passed(Passed { attestation, origid, iat_unix_s: 1, tn_auth_list: true })
    }

    #[test]
    fn each_fault_has_its_refusal() {
        for (fault, status, phrase, counted) in [
            (Fault::Unsigned, 428, "Use Identity Header", "none"),
            (Fault::OtherExtension, 428, "Use Identity Header", "none"),
            (Fault::BadParty("caller"), 428, "Use Identity Header", "none"),
            (Fault::Stale("signature"), 403, "Stale Date", "stale_date"),
            (Fault::Stale("Date"), 403, "Stale Date", "stale_date"),
            (Fault::InfoMismatch, 436, "Bad Identity Info", "bad_info"),
            (Fault::CertificateUnavailable, 436, "Bad Identity Info", "bad_info"),
            (Fault::Algorithm, 437, "Unsupported Credential", "unsupported_credential"),
            (Fault::CertificateUnusable("x"), 437, "Unsupported Credential", "unsupported_credential"),
            (Fault::CertificateUntrusted, 437, "Unsupported Credential", "unsupported_credential"),
            (Fault::CertificateExpired, 437, "Unsupported Credential", "unsupported_credential"),
            (Fault::Malformed("x"), 438, "Invalid Identity Header", "invalid"),
            (Fault::OtherParty("caller"), 438, "Invalid Identity Header", "invalid"),
            (Fault::Signature, 438, "Invalid Identity Header", "invalid"),
        ] {
            let verdict = Verdict::Failed(fault);
            assert_eq!(refusal(&verdict), Some((status, phrase)), "{verdict:?}");
            assert_eq!(result(&verdict), counted, "{verdict:?}");
        }
        for attestation in [Attestation::A, Attestation::B, Attestation::C] {
            let verdict = passed(attestation);
            assert_eq!((refusal(&verdict), result(&verdict)), (None, attestation.as_str()));
        }
    }

    fn request(headers: &str) -> Request {
        let text = format!(
            "INVITE sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nCall-ID: a\r\n\
             CSeq: 1 INVITE\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        match Message::parse(Bytes::from(text)).unwrap() {
            Message::Request(request) => request,
            Message::Response(_) => panic!(),
        }
    }

    #[test]
    fn what_a_call_claims() {
        let numbers = Numbers::new(NumberFormat::E164, NumberFormat::E164, "", "US").unwrap();
        let call = request(
            "From: <sip:anonymous@anonymous.invalid>;tag=1\r\nTo: <sip:2015550199;npdi=yes@192.0.2.1>\r\n\
             P-Asserted-Identity: <tel:+1-212-555-0180>\r\nDate: Tue, 16 Aug 2016 19:23:38 GMT\r\n\
             Identity: a.b.c;info=<https://x/y,z>;ppt=shaken\r\ny: d\r\n",
        );
        let claim = Claim {
            identities: vec!["a.b.c;info=<https://x/y,z>;ppt=shaken".into(), "d".into()],
            caller: "+12125550180".into(),
            called: "+12015550199".into(),
            date_unix_s: Some(1_471_375_418),
        };
        assert_eq!(Claim::of(&call, &numbers), claim);
        // Who is no number stays as it stands.
        let call = request("From: \"A\" <sip:alice2125550180@example.com>;tag=1\r\nTo: <tel:100>\r\n");
        let claim = Claim {
            identities: Vec::new(),
            caller: "sip:alice2125550180@example.com".into(),
            called: "tel:100".into(),
            date_unix_s: None,
        };
        assert_eq!(Claim::of(&call, &numbers), claim);
    }
}
