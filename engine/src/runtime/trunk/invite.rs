//! The INVITE of a try, as its trunk wants it.

use bytes::Bytes;
use kraliki_sip::{Body, InviteRequest};

use super::{Place, TrunkConfig};
use crate::Dial;

impl TrunkConfig {
    /// The request that dials. None while no place of the trunk is known.
    pub(in crate::runtime) fn invite(
        &self,
        places: &[Place],
        dial: &Dial,
        call_id: &str,
        offer: Bytes,
        unix_s: u64,
    ) -> Result<InviteRequest, String> {
        // Those that answer before those that do not, each in the order of the look-up.
        let (up, down): (Vec<_>, Vec<_>) = places.iter().partition(|place| place.up);
        let mut destinations = up.into_iter().chain(down).map(|place| place.destination.clone());
        let first = destinations.next().ok_or("the trunk's address is not known yet")?;
        let uri = format!("sip:{}@{}", escaped(&self.numbers.called(&dial.phone)), self.host);
        let mut request = InviteRequest::new(first, &uri, call_id);
        request.alternatives = destinations.collect();
        request.from_user = escaped(&self.numbers.calling(&dial.caller_id));
        request.from_host.clone_from(&self.from_host);
        request.credentials.clone_from(&self.credentials);
        (request.identity, request.private) = (self.identity, self.private);
        (request.reliable, request.session_timer) = (self.reliable, self.session_timer);
        (request.max_redirects, request.large_by_tcp) = (self.max_redirects, self.large_by_tcp);
        let in_group = self.first_response_in_group.filter(|_| dial.others);
        request.first_response_within = self.first_response_within.or(in_group);
        if let Some(signing) = &self.signing {
            // RFC 8224 §4: what is signed are the final numbers, whatever the trunk's way to write them.
            let of_number = signing.by_number.iter().find(|(number, _)| *number == dial.caller_id);
            let attestation = of_number.map_or(signing.attestation, |(_, attestation)| *attestation);
            let signed =
                signing.signer.sign(attestation, &dial.caller_id, &[&dial.phone], unix_s, &origin(dial));
            let identity = signed.map_err(|error| format!("cannot sign the caller id: {error}"))?;
            request.headers.push(("Date".into(), kraliki_sip::stir::format_date(unix_s)));
            request.headers.push(("Identity".into(), identity));
        }
        request.body = Some(Body::sdp(offer));
        Ok(request)
    }
}

/// The origination identifier of a signed call (RFC 8588 §5): one for each try, without a meaning to others.
fn origin(dial: &Dial) -> String {
    let (attempt, number) = (dial.id.attempt.0.unsigned_abs(), dial.id.number);
    let (high, low) = (attempt.wrapping_mul(0x9e37_79b9_7f4a_7c15), attempt);
    // The form of a UUID of version 8 (RFC 9562 §5.8).
    format!(
        "{:08x}-{:04x}-8{:03x}-8{:03x}-{:012x}",
        (high >> 32) as u32,
        (high >> 16) as u16,
        high & 0xfff,
        number & 0xfff,
        low & 0xffff_ffff_ffff,
    )
}

/// A number in a URI's user part: `#` is not allowed there as it is (RFC 3261 §25.1).
fn escaped(number: &str) -> String {
    number.replace('#', "%23")
}
