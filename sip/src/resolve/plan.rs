//! The way of RFC 3263 §4 from a target to candidates, walked over what is known.
//!
//! The walk begins anew with each answer: it is a few steps, and there is no state to keep but the answers. Where it
//! comes to a question without an answer it notes the question, and goes on only as far as the answer does not matter.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use kraliki_time::Time;

use super::cache::Known;
use super::order::{Next, naptrs, service, srvs};
use super::{Candidate, Family, Kind, Question, ResolveConfig, ResolveError, Target};
use crate::limits;
use crate::transport::Transport;

pub(super) struct Walk<'a> {
    pub(super) config: &'a ResolveConfig,
    /// Answers by question.
    pub(super) known: &'a dyn Fn(&Question) -> Option<Known>,
    /// Chance: a number from 0 up to and without its argument.
    pub(super) below: &'a mut dyn FnMut(u32) -> u32,
    /// Questions without an answer.
    pub(super) missing: Vec<Question>,
    found: Vec<(SocketAddr, Transport)>,
    /// The first name for which DNS failed.
    failed: Option<String>,
    /// A name that came up again.
    endless: bool,
    until: Time,
}

/// The servers that SRV records name.
enum Servers {
    /// No answer yet.
    Unknown,
    /// There are no records.
    None,
    /// DNS failed.
    Failed,
    /// In order; empty when the records say that there is no server.
    Some(Vec<(String, u16)>),
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        config: &'a ResolveConfig,
        known: &'a dyn Fn(&Question) -> Option<Known>,
        below: &'a mut dyn FnMut(u32) -> u32,
    ) -> Walk<'a> {
        Walk {
            config,
            known,
            below,
            missing: Vec::new(),
            found: Vec::new(),
            failed: None,
            endless: false,
            until: Time::MAX,
        }
    }

    /// The candidates. While questions are missing the result means nothing.
    pub(super) fn run(mut self, target: &Target) -> (Vec<Question>, Result<Vec<Candidate>, ResolveError>) {
        let result = self.walk(target);
        (self.missing, result)
    }

    fn walk(&mut self, target: &Target) -> Result<Vec<Candidate>, ResolveError> {
        let bare = target.host.trim_start_matches('[').trim_end_matches(']');
        let given = self.given_transport(target)?;
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let transport = given.map_or_else(|| self.default_transport(target), Ok)?;
            let address = SocketAddr::new(ip, target.port.unwrap_or(transport.default_port()));
            return Ok(vec![Candidate { address, transport, server_name: None, valid_until: Time::MAX }]);
        }
        let host = name(bare).ok_or_else(|| ResolveError::BadName(target.host.clone()))?;
        // A name of one label is one of the local network: it has no SRV records, and whoever answers for it often
        // answers nothing but addresses.
        if target.port.is_some() || !host.contains('.') {
            let transport = given.map_or_else(|| self.default_transport(target), Ok)?;
            self.addresses(&host, target.port.unwrap_or(transport.default_port()), transport);
        } else if let Some(transport) = given {
            self.by_srv(&host, &[transport], transport)?;
        } else if !self.by_naptr(&host, &host, target.secure, &mut Vec::new()) {
            let secure = |t: &Transport| !target.secure || t.is_secure();
            let transports: Vec<Transport> = self.config.transports.iter().copied().filter(secure).collect();
            let last = self.default_transport(target)?;
            self.by_srv(&host, &transports, last)?;
        }
        self.candidates(host)
    }

    fn candidates(&mut self, host: String) -> Result<Vec<Candidate>, ResolveError> {
        let valid_until = self.until;
        let server_name: Arc<str> = host.as_str().into();
        let candidates: Vec<Candidate> = std::mem::take(&mut self.found)
            .into_iter()
            .map(|(address, transport)| Candidate {
                address,
                transport,
                server_name: Some(Arc::clone(&server_name)),
                valid_until,
            })
            .collect();
        match self.failed.take() {
            _ if !candidates.is_empty() => Ok(candidates),
            _ if self.endless => Err(ResolveError::Endless { host }),
            Some(name) => Err(ResolveError::Unanswered { name }),
            None => Err(ResolveError::NoAddress { name: host }),
        }
    }

    /// The transport that the target names, made secure where the target must be.
    fn given_transport(&self, target: &Target) -> Result<Option<Transport>, ResolveError> {
        let transport = match target.transport {
            Some(Transport::Tcp) if target.secure => Some(Transport::Tls),
            Some(Transport::Ws) if target.secure => Some(Transport::Wss),
            transport => transport,
        };
        let usable = |t: Transport| self.config.transports.contains(&t) && (!target.secure || t.is_secure());
        match transport {
            Some(transport) if !usable(transport) => Err(cannot(target, transport)),
            transport => Ok(transport),
        }
    }

    /// Where nothing says which: UDP, or TLS when it must be secure (RFC 3263 §4.1). Without it here, the first that
    /// is.
    fn default_transport(&self, target: &Target) -> Result<Transport, ResolveError> {
        let usual = if target.secure { Transport::Tls } else { Transport::Udp };
        let here = &self.config.transports;
        let fits = |t: &&Transport| t.is_secure() == target.secure;
        match here.contains(&usual) {
            true => Ok(usual),
            false => here.iter().find(fits).copied().ok_or_else(|| cannot(target, usual)),
        }
    }

    /// By NAPTR records of `at`. False when there are none of use, and the way by SRV records is to be gone.
    fn by_naptr(&mut self, host: &str, at: &str, secure: bool, seen: &mut Vec<String>) -> bool {
        if seen.iter().any(|name| name == at) || seen.len() >= limits::DNS_NAPTR_STEPS {
            self.endless = true;
            return true;
        }
        seen.push(at.to_owned());
        let Some(known) = self.ask(at, Kind::Naptr) else { return true };
        // Servers that fail on NAPTR and answer all else are common enough: go on as if there were none.
        let naptrs = naptrs(&known.records, &self.config.transports, secure);
        let mut useful = false;
        for naptr in naptrs {
            let Some(next) = name(naptr.replacement) else { continue };
            match naptr.next {
                Next::Naptr => {
                    useful |= self.by_naptr(host, &next, secure, seen);
                    continue;
                }
                Next::Address(transport) => self.addresses(&next, transport.default_port(), transport),
                Next::Srv(transport) => match self.servers(&next) {
                    Servers::Unknown | Servers::Failed => {}
                    // RFC 3263 §4.2: no SRV records, so the addresses of the target itself.
                    Servers::None => self.addresses(host, transport.default_port(), transport),
                    Servers::Some(servers) => self.each(&servers, transport),
                },
            }
            useful = true;
        }
        useful
    }

    /// By SRV records of `host` for each transport; by its addresses and `last` when it has none.
    fn by_srv(&mut self, host: &str, transports: &[Transport], last: Transport) -> Result<(), ResolveError> {
        let (mut records, mut offered, mut failed) = (false, false, false);
        // All are asked for before the first is used, so that they are asked at once.
        let each: Vec<_> = transports
            .iter()
            .map(|transport| (*transport, self.servers(&format!("{}.{host}", service(*transport)))))
            .collect();
        if !self.missing.is_empty() {
            return Ok(());
        }
        for (transport, servers) in each {
            match servers {
                Servers::Unknown | Servers::None => {}
                Servers::Failed => failed = true,
                Servers::Some(servers) => {
                    records = true;
                    offered |= !servers.is_empty();
                    self.each(&servers, transport);
                }
            }
        }
        // A failure is not "there are none": the address of a domain is often a web server's, and its SRV records,
        // which could not be had, say where SIP is.
        if !records && !failed {
            self.addresses(host, last.default_port(), last);
        }
        if records && !offered && !failed {
            return Err(ResolveError::NotOffered { host: host.to_owned() });
        }
        Ok(())
    }

    fn servers(&mut self, name: &str) -> Servers {
        match self.ask(name, Kind::Srv) {
            None => Servers::Unknown,
            Some(known) if known.failed => Servers::Failed,
            Some(known) if known.records.is_empty() => Servers::None,
            Some(known) => Servers::Some(srvs(&known.records, self.below)),
        }
    }

    fn each(&mut self, servers: &[(String, u16)], transport: Transport) {
        for (target, port) in servers {
            if let Some(target) = name(target) {
                self.addresses(&target, *port, transport);
            }
        }
    }

    /// The addresses of a name, the preferred family first.
    fn addresses(&mut self, name: &str, port: u16, transport: Transport) {
        // A name that is asked for will give an address or more.
        let asked = self.missing.len() / self.config.families.len().max(1);
        if self.found.len() + asked >= limits::DNS_CANDIDATES {
            return;
        }
        // An SRV record may name an address, though it must not.
        if let Ok(ip) = name.parse::<IpAddr>() {
            return self.found(SocketAddr::new(ip, port), transport);
        }
        for family in self.config.families.iter().copied() {
            let kind = if family == Family::V4 { Kind::A } else { Kind::Aaaa };
            let Some(known) = self.ask(name, kind) else { continue };
            for record in known.records.iter() {
                match record {
                    super::Record::Address(ip) if Family::of(*ip) == family => {
                        self.found(SocketAddr::new(*ip, port), transport);
                    }
                    _ => {}
                }
            }
        }
    }

    fn found(&mut self, address: SocketAddr, transport: Transport) {
        if self.found.len() < limits::DNS_CANDIDATES && !self.found.contains(&(address, transport)) {
            self.found.push((address, transport));
        }
    }

    /// What is known; otherwise the question is noted.
    fn ask(&mut self, name: &str, kind: Kind) -> Option<Known> {
        let question = Question { name: name.to_owned(), kind };
        let Some(known) = (self.known)(&question) else {
            if !self.missing.contains(&question) {
                self.missing.push(question);
            }
            return None;
        };
        self.until = self.until.min(known.until);
        if known.failed && self.failed.is_none() {
            self.failed = Some(question.name);
        }
        Some(known)
    }
}

fn cannot(target: &Target, transport: Transport) -> ResolveError {
    ResolveError::Transport { host: target.host.clone(), transport: transport.via().to_owned() }
}

/// A host name in the form of questions: lower case, without the dot at its end. None when it is no name
/// (RFC 1035 §2.3.4; underscores stand in service names and in some hosts).
fn name(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    (text.len() <= 253 && text.split('.').all(label)).then(|| text.to_ascii_lowercase())
}
