//! Asks DNS for the [`Resolver`]: hickory-resolver moves the questions and answers, and keeps nothing itself. Equal
//! questions that are under way at once it asks once, so that a hundred calls at once to one trunk are no burden.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use futures::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use kraliki_time::Clock;
use thiserror::Error;

use crate::limits;
use crate::resolve::{
    Answer, Candidate, Kind, Question, Record, ResolveConfig, ResolveError, Resolver, Step, Target,
};

/// Why DNS cannot be asked at all.
#[derive(Debug, Error)]
#[error("cannot set up DNS: {0}; see /etc/resolv.conf")]
pub struct DnsSetupError(#[from] NetError);

/// Resolves targets by DNS. Cheap to share by reference; needs a Tokio runtime.
pub struct DnsResolver {
    dns: TokioResolver,
    core: Mutex<Resolver>,
    clock: Clock,
}

impl fmt::Debug for DnsResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsResolver").finish_non_exhaustive()
    }
}

impl DnsResolver {
    /// With the name servers and the hosts file of the system.
    pub fn system(config: ResolveConfig, clock: Clock) -> Result<DnsResolver, DnsSetupError> {
        let mut builder = TokioResolver::builder_tokio()?;
        let options = builder.options_mut();
        // A call cannot wait as long as a web page can.
        options.timeout = options.timeout.min(QUERY);
        options.attempts = options.attempts.min(RETRIES);
        Self::build(builder, config, clock)
    }

    /// With these name servers only, asked by UDP, and by TCP for what does not fit.
    pub fn with_servers(
        servers: &[SocketAddr],
        config: ResolveConfig,
        clock: Clock,
    ) -> Result<DnsResolver, DnsSetupError> {
        let connection = |mut connection: ConnectionConfig, port| {
            connection.port = port;
            connection
        };
        let servers = servers.iter().map(|server| {
            let port = server.port();
            let connections =
                vec![connection(ConnectionConfig::udp(), port), connection(ConnectionConfig::tcp(), port)];
            NameServerConfig::new(server.ip(), true, connections)
        });
        let servers = ResolverConfig::from_name_servers(servers.collect());
        let mut builder = TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        (options.timeout, options.attempts) = (QUERY, RETRIES);
        Self::build(builder, config, clock)
    }

    fn build(
        mut builder: hickory_resolver::ResolverBuilder<TokioRuntimeProvider>,
        config: ResolveConfig,
        clock: Clock,
    ) -> Result<DnsResolver, DnsSetupError> {
        // The core keeps answers, longer ones during an outage among them. A second store would hide their TTL.
        builder.options_mut().cache_size = 0;
        let mut seed = [0; 8];
        // Without chance the order within the weights is the same on every start, and still right.
        let _ = SystemRandom::new().fill(&mut seed);
        let core = Mutex::new(Resolver::new(config, u64::from_ne_bytes(seed)));
        Ok(DnsResolver { dns: builder.build()?, core, clock })
    }

    /// The places to try for a target, in order (RFC 3263); never empty. What is known comes at once; otherwise each
    /// round of questions takes [`limits::DNS_ANSWER`] at most.
    pub async fn resolve(&self, target: &Target) -> Result<Vec<Candidate>, ResolveError> {
        let mut resolution = self.locked(|core| core.start(target.clone()));
        loop {
            let now = self.clock.now();
            let questions = match self.locked(|core| core.poll(now, &resolution)) {
                Step::Done(result) => return result,
                Step::Ask(questions) => questions,
            };
            let asked = questions.into_iter().map(|question| async {
                let answer = self.ask(&question).await;
                (question, answer)
            });
            let answers = join_all(asked).await;
            let now = self.clock.now();
            self.locked(|core| {
                for (question, answer) in answers {
                    core.handle_answer(now, &mut resolution, question, answer);
                }
            });
        }
    }

    async fn ask(&self, question: &Question) -> Answer {
        let kind = match question.kind {
            Kind::Naptr => RecordType::NAPTR,
            Kind::Srv => RecordType::SRV,
            Kind::A => RecordType::A,
            Kind::Aaaa => RecordType::AAAA,
        };
        // The search list of the system is for names of the local network only.
        let name = match question.name.contains('.') {
            true => format!("{}.", question.name),
            false => question.name.clone(),
        };
        let lookup = tokio::time::timeout(limits::DNS_ANSWER, self.dns.lookup(name.as_str(), kind)).await;
        let lookup = match lookup {
            Ok(Ok(lookup)) => lookup,
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(NoRecords {
                response_code: ResponseCode::NXDomain | ResponseCode::NoError,
                ..
            })))) => return Answer::Nothing,
            Ok(Err(_)) | Err(_) => return Answer::Failed,
        };
        // The chain of aliases before the records counts for how long they hold.
        let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or_default();
        let records = lookup.answers().iter().filter_map(|answer| record(&answer.data)).collect();
        Answer::Found { records, ttl: Duration::from_secs(u64::from(ttl)) }
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Resolver) -> T) -> T {
        // The core is whole after every step, so that a panic elsewhere does not spoil it.
        act(&mut self.core.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How long one query waits for its answer before it is sent again.
const QUERY: Duration = Duration::from_millis(1_500);
/// How often it is sent again.
const RETRIES: usize = 1;

fn record(data: &RData) -> Option<Record> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(match data {
        RData::A(ip) => Record::Address(IpAddr::V4(ip.0)),
        RData::AAAA(ip) => Record::Address(IpAddr::V6(ip.0)),
        RData::SRV(srv) => Record::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_ascii(),
        },
        RData::NAPTR(naptr) => Record::Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: text(&naptr.flags),
            service: text(&naptr.services),
            regexp: text(&naptr.regexp),
            replacement: naptr.replacement.to_ascii(),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use tokio::net::UdpSocket;

    use crate::transport::Transport;

    /// A name server on loopback with a table of answers, written byte by byte (RFC 1035 §4). It is stopped when the
    /// test ends.
    struct Server {
        address: SocketAddr,
        silent: Arc<AtomicBool>,
        asked: Arc<AtomicUsize>,
        task: tokio::task::JoinHandle<()>,
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    type Zone = BTreeMap<(&'static str, u16), Vec<(u16, Vec<u8>)>>;

    const A: u16 = 1;
    const CNAME: u16 = 5;
    const AAAA: u16 = 28;
    const SRV: u16 = 33;
    const NAPTR: u16 = 35;

    fn wire(name: &str) -> Vec<u8> {
        let labels = name.split('.').filter(|label| !label.is_empty());
        let mut out: Vec<u8> =
            labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
        out.push(0);
        out
    }

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> (u16, Vec<u8>) {
        let numbers: Vec<u8> = [priority, weight, port].iter().flat_map(|n| n.to_be_bytes()).collect();
        (SRV, [numbers, wire(target)].concat())
    }

    fn naptr(order: u16, flags: &str, service: &str, replacement: &str) -> (u16, Vec<u8>) {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let order = order.to_be_bytes().to_vec();
        (NAPTR, [order, vec![0, 1], text(flags), text(service), text(""), wire(replacement)].concat())
    }

    async fn server(zone: Zone) -> Server {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (silent, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_silent, count) = (Arc::clone(&silent), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::SeqCst);
                if !is_silent.load(Ordering::SeqCst) {
                    let _ = socket.send_to(&answer(&zone, &buffer[..length]), from).await;
                }
            }
        });
        Server { address, silent, asked, task }
    }

    fn answer(zone: &Zone, query: &[u8]) -> Vec<u8> {
        let (mut name, mut at) = (String::new(), 12);
        while query[at] != 0 {
            let label = &query[at + 1..at + 1 + usize::from(query[at])];
            name += &format!("{}.", String::from_utf8_lossy(label).to_lowercase());
            at += label.len() + 1;
        }
        let question_end = at + 5;
        let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
        let name = name.trim_end_matches('.');
        let failing = name.contains("broken");
        let exists = zone.keys().any(|(known, _)| *known == name);
        let records = zone.get(&(name, kind)).cloned().unwrap_or_default();
        // Recursion is to be had; 2 is a failure, 3 "no such name".
        let code = if failing {
            2
        } else if exists {
            0
        } else {
            3
        };
        let mut out = [&query[..2], &[0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]].concat();
        out.extend_from_slice(&query[12..question_end]);
        let mut owner = wire(name);
        for (kind, data) in records {
            out.extend_from_slice(&owner);
            out.extend_from_slice(&[kind.to_be_bytes(), [0, 1], [0, 0], [0, 60]].concat());
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(&data);
            if kind == CNAME {
                owner = data;
            }
        }
        out
    }

    fn zone() -> Zone {
        BTreeMap::from([
            (
                ("carrier.example", NAPTR),
                vec![
                    naptr(20, "s", "SIP+D2U", "_sip._udp.carrier.example"),
                    naptr(10, "s", "SIP+D2T", "_sip._tcp.Carrier.example"),
                ],
            ),
            (
                ("_sip._tcp.carrier.example", SRV),
                vec![srv(2, 0, 5060, "b.carrier.example"), srv(1, 0, 5070, "a.carrier.example")],
            ),
            (("a.carrier.example", A), vec![(A, vec![192, 0, 2, 1])]),
            (
                ("a.carrier.example", AAAA),
                vec![(AAAA, [vec![0x20, 1, 0xd, 0xb8], vec![0; 11], vec![1]].concat())],
            ),
            (("b.carrier.example", A), vec![(CNAME, wire("c.carrier.example")), (A, vec![192, 0, 2, 3])]),
            (("plain.example", A), vec![(A, vec![192, 0, 2, 9])]),
            (("round.example", A), vec![(CNAME, wire("about.example"))]),
            (("about.example", A), vec![(CNAME, wire("round.example"))]),
        ])
    }

    fn resolver(server: &Server) -> DnsResolver {
        DnsResolver::with_servers(&[server.address], ResolveConfig::default(), Clock::start()).unwrap()
    }

    fn places(found: &[Candidate]) -> Vec<String> {
        found.iter().map(|place| format!("{} {}", place.transport, place.address)).collect()
    }

    #[tokio::test]
    async fn from_a_name_to_places() {
        let server = server(zone()).await;
        let resolver = resolver(&server);
        let found = resolver.resolve(&Target::host("carrier.example")).await.unwrap();
        assert_eq!(places(&found), ["tcp 192.0.2.1:5070", "tcp [2001:db8::1]:5070", "tcp 192.0.2.3:5060"]);
        assert_eq!(found[0].server_name.as_deref(), Some("carrier.example"));
        // What is known is not asked again, however many want it.
        let asked = server.asked.load(Ordering::SeqCst);
        assert_eq!(asked, 6);
        let many = (0..50).map(|_| async { resolver.resolve(&Target::host("CARRIER.example.")).await });
        assert!(join_all(many).await.iter().all(Result::is_ok));
        assert_eq!(server.asked.load(Ordering::SeqCst), asked);
        // Nor is what is not known yet, when many want it at once.
        let plain = Target::host("plain.example");
        let many = (0..50).map(|_| async { resolver.resolve(&plain).await });
        for found in join_all(many).await {
            assert_eq!(places(&found.unwrap()), ["udp 192.0.2.9:5060"]);
        }
        assert_eq!(server.asked.load(Ordering::SeqCst) - asked, 6);
        // An address needs no server.
        let found = resolver.resolve(&Target { secure: true, ..Target::host("[2001:db8::7]") }).await;
        assert_eq!(places(&found.unwrap()), ["tls [2001:db8::7]:5061"]);
    }

    #[tokio::test]
    async fn what_dns_does_not_have_and_what_it_fails_on() {
        let server = server(zone()).await;
        let resolver = resolver(&server);
        let missing = resolver.resolve(&Target::host("missing.example")).await;
        assert_eq!(missing, Err(ResolveError::NoAddress { name: "missing.example".into() }));
        let target = Target { port: Some(5060), ..Target::host("broken.example") };
        let broken = resolver.resolve(&target).await;
        assert_eq!(broken, Err(ResolveError::Unanswered { name: "broken.example".into() }));
        // Aliases in a circle.
        let target = Target { port: Some(5060), ..Target::host("round.example") };
        let circle = resolver.resolve(&target).await;
        assert_eq!(circle, Err(ResolveError::NoAddress { name: "round.example".into() }));
        let target = Target { transport: Some(Transport::Wss), ..Target::host("plain.example") };
        assert!(matches!(resolver.resolve(&target).await, Err(ResolveError::Transport { .. })));
    }

    #[tokio::test]
    async fn a_server_that_says_nothing() {
        let server = server(zone()).await;
        server.silent.store(true, Ordering::SeqCst);
        let resolver = resolver(&server);
        let target = Target { port: Some(5060), ..Target::host("plain.example") };
        let unanswered = Err(ResolveError::Unanswered { name: "plain.example".into() });
        assert_eq!(resolver.resolve(&target).await, unanswered);
        let asked = server.asked.load(Ordering::SeqCst);
        // The failure stands for a while: the next call does not wait.
        assert_eq!(resolver.resolve(&target).await, unanswered);
        assert_eq!(server.asked.load(Ordering::SeqCst), asked);
    }
}
