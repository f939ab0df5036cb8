//! In which order records are used.

use super::Record;
use crate::transport::Transport;

/// A NAPTR record that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Naptr<'a> {
    pub(super) next: Next,
    pub(super) replacement: &'a str,
}

/// What the replacement of a NAPTR record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A name with SRV records.
    Srv(Transport),
    /// A name with addresses.
    Address(Transport),
    /// A name with NAPTR records.
    Naptr,
}

/// The NAPTR records that can be used, in order (RFC 3263 §4.1): for a transport that is here, secure ones only where
/// that is asked for, and only those of the first order in which there is one (RFC 3403 §4.1).
pub(super) fn naptrs<'a>(records: &'a [Record], transports: &[Transport], secure: bool) -> Vec<Naptr<'a>> {
    let usable = |record: &'a Record| {
        let Record::Naptr { order, preference, flags, service, regexp, replacement } = record else {
            return None;
        };
        if !regexp.is_empty() || replacement.is_empty() || replacement == "." {
            return None;
        }
        let transport = of_service(service);
        if transport.is_some_and(|t| !transports.contains(&t) || (secure && !t.is_secure())) {
            return None;
        }
        let next = match (flags.to_ascii_lowercase().as_str(), transport) {
            ("s", Some(transport)) => Next::Srv(transport),
            ("a", Some(transport)) => Next::Address(transport),
            // Not the last of its chain: it may say its service later.
            ("", _) if transport.is_some() || service.is_empty() => Next::Naptr,
            _ => return None,
        };
        Some(((*order, *preference), Naptr { next, replacement }))
    };
    let mut found: Vec<_> = records.iter().filter_map(usable).collect();
    found.sort_by_key(|(rank, _)| *rank);
    let first = found.first().map(|((order, _), _)| *order);
    found.into_iter().take_while(|((order, _), _)| Some(*order) == first).map(|(_, naptr)| naptr).collect()
}

/// The transport of a NAPTR service (RFC 3263 §4.1, RFC 7118 §7).
fn of_service(service: &str) -> Option<Transport> {
    Some(match service.to_ascii_uppercase().as_str() {
        "SIP+D2U" => Transport::Udp,
        "SIP+D2T" => Transport::Tcp,
        "SIPS+D2T" => Transport::Tls,
        "SIP+D2W" => Transport::Ws,
        "SIPS+D2W" => Transport::Wss,
        _ => return None,
    })
}

/// What stands before a domain in the name of its SRV records.
pub(super) fn service(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        Transport::Ws => "_sip._ws",
        Transport::Wss => "_sips._ws",
    }
}

/// The servers of SRV records in the order to try them: by priority, and by chance in the shares of their weights
/// within one (RFC 2782, "Usage rules"). `below` gives a number from 0 up to and without its argument. Records that
/// say that there is no server are left out.
pub(super) fn srvs(records: &[Record], below: &mut dyn FnMut(u32) -> u32) -> Vec<(String, u16)> {
    let mut left: Vec<(u16, u16, u16, &str)> = records
        .iter()
        .filter_map(|record| match record {
            Record::Srv { priority, weight, port, target } if !matches!(target.as_str(), "" | ".") => {
                Some((*priority, *weight, *port, target.as_str()))
            }
            _ => None,
        })
        .collect();
    // Weight 0 stands first in its priority. The rest of the order only makes the choice independent of how the
    // server shuffled its answer.
    left.sort_unstable();
    let mut out = Vec::with_capacity(left.len());
    while let Some((priority, ..)) = left.first().copied() {
        let group = left.iter().take_while(|(p, ..)| *p == priority);
        let sum: u32 = group.clone().map(|(_, weight, ..)| u32::from(*weight)).sum();
        let chosen = below(sum + 1);
        let mut running = 0;
        let at = group
            .map(|(_, weight, ..)| {
                running += u32::from(*weight);
                running
            })
            .position(|running| running >= chosen)
            .unwrap_or(0);
        let (_, _, port, target) = left.remove(at);
        out.push((target.to_owned(), port));
    }
    out
}
