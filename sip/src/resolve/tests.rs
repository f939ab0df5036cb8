//! RFC 3263 over a table of answers, with virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::limits;

const S: Duration = Duration::from_secs(1);

/// The DNS of a test: lines like `example.com A 192.0.2.1`. What is not there does not exist.
#[derive(Default)]
struct Dns {
    records: BTreeMap<Question, Vec<Record>>,
    ttl: Duration,
    /// DNS is down.
    down: bool,
    /// Names that fail.
    failing: Vec<String>,
    asked: Vec<String>,
}

impl Dns {
    fn new(zone: &str) -> Dns {
        let mut dns = Dns { ttl: 60 * S, ..Dns::default() };
        for line in zone.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |i: usize| words[i].parse().unwrap();
            let text = |i: usize| words[i].trim_matches('"').to_owned();
            let (kind, record) = match words[1] {
                "A" => (Kind::A, Record::Address(words[2].parse().unwrap())),
                "AAAA" => (Kind::Aaaa, Record::Address(words[2].parse().unwrap())),
                "SRV" => {
                    let (priority, weight, port) = (number(2), number(3), number(4));
                    (Kind::Srv, Record::Srv { priority, weight, port, target: text(5) })
                }
                "NAPTR" => {
                    let (order, preference) = (number(2), number(3));
                    let (flags, service, regexp, replacement) = (text(4), text(5), text(6), text(7));
                    (Kind::Naptr, Record::Naptr { order, preference, flags, service, regexp, replacement })
                }
                other => panic!("{other}"),
            };
            dns.records.entry(Question { name: words[0].to_owned(), kind }).or_default().push(record);
        }
        dns
    }

    fn answer(&mut self, question: &Question) -> Answer {
        self.asked.push(format!("{} {:?}", question.name, question.kind));
        if self.down || self.failing.contains(&question.name) {
            return Answer::Failed;
        }
        match self.records.get(question) {
            Some(records) => Answer::Found { records: records.clone(), ttl: self.ttl },
            None => Answer::Nothing,
        }
    }
}

/// Resolves to the end.
fn run(
    resolver: &mut Resolver,
    dns: &mut Dns,
    now: Time,
    target: Target,
) -> Result<Vec<Candidate>, ResolveError> {
    let mut resolution = resolver.start(target);
    for _ in 0..=limits::DNS_QUESTIONS {
        match resolver.poll(now, &resolution) {
            Step::Done(result) => return result,
            Step::Ask(questions) => {
                assert!(!questions.is_empty());
                for question in questions {
                    let answer = dns.answer(&question);
                    resolver.handle_answer(now, &mut resolution, question, answer);
                }
            }
        }
    }
    panic!("it does not end");
}

fn resolver(transports: &[Transport]) -> Resolver {
    Resolver::new(ResolveConfig { transports: transports.to_vec(), ..ResolveConfig::default() }, 1)
}

const ALL: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// Resolves once, with every transport. The places as text, and what was asked.
fn once(zone: &str, uri: &str) -> (Result<Vec<String>, ResolveError>, Vec<String>) {
    with(&ALL, zone, uri)
}

fn with(transports: &[Transport], zone: &str, uri: &str) -> (Result<Vec<String>, ResolveError>, Vec<String>) {
    let mut dns = Dns::new(zone);
    let target = Uri::parse(uri.as_bytes()).map(|uri| Target::of(&uri)).unwrap();
    let found = target.and_then(|target| run(&mut resolver(transports), &mut dns, Time::ZERO, target));
    (found.map(|found| found.iter().map(text).collect()), dns.asked)
}

fn text(candidate: &Candidate) -> String {
    format!("{} {}", candidate.transport, candidate.address)
}

const NONE: [String; 0] = [];

#[test]
fn an_address_needs_no_question() {
    for (uri, place) in [
        ("sip:192.0.2.1", "udp 192.0.2.1:5060"),
        ("sip:a@192.0.2.1:5070", "udp 192.0.2.1:5070"),
        ("sips:192.0.2.1", "tls 192.0.2.1:5061"),
        ("sip:192.0.2.1;transport=tcp", "tcp 192.0.2.1:5060"),
        ("sip:192.0.2.1;transport=TLS", "tls 192.0.2.1:5061"),
        ("sips:192.0.2.1;transport=tcp", "tls 192.0.2.1:5061"),
        ("sip:[2001:db8::1]:5062", "udp [2001:db8::1]:5062"),
        ("sip:example.com;maddr=192.0.2.9", "udp 192.0.2.9:5060"),
        ("sip:example.com;maddr=[2001:db8::9]", "udp [2001:db8::9]:5060"),
    ] {
        assert_eq!(once("", uri), (Ok(vec![place.to_owned()]), NONE.to_vec()), "{uri}");
    }
}

#[test]
fn a_port_asks_for_addresses_only() {
    let zone = "example.com A 192.0.2.1
        example.com A 192.0.2.2
        example.com AAAA 2001:db8::1
        example.com NAPTR 1 1 \"s\" \"SIP+D2T\" \"\" _sip._tcp.example.com
        pbx A 10.0.0.1";
    let (found, asked) = once(zone, "sip:Example.COM.:5070");
    assert_eq!(found.unwrap(), ["udp 192.0.2.1:5070", "udp 192.0.2.2:5070", "udp [2001:db8::1]:5070"]);
    assert_eq!(asked, ["example.com A", "example.com Aaaa"]);
    assert_eq!(once(zone, "sips:example.com:5070").0.unwrap()[0], "tls 192.0.2.1:5070");
    assert_eq!(once(zone, "sip:example.com:5070;transport=tcp").0.unwrap()[0], "tcp 192.0.2.1:5070");
    // A name of the local network.
    let (found, asked) = once(zone, "sip:pbx");
    assert_eq!(
        (found.unwrap(), asked),
        (vec!["udp 10.0.0.1:5060".to_owned()], vec!["pbx A".into(), "pbx Aaaa".into()])
    );
}

#[test]
fn a_transport_skips_naptr() {
    let zone = "_sip._tcp.example.com SRV 0 0 5080 sip.example.com
        example.com A 192.0.2.1
        sip.example.com A 192.0.2.2";
    let (found, asked) = once(zone, "sip:example.com;transport=tcp");
    assert_eq!(found.unwrap(), ["tcp 192.0.2.2:5080"]);
    assert_eq!(asked, ["_sip._tcp.example.com Srv", "sip.example.com A", "sip.example.com Aaaa"]);
    // Without SRV records: the name itself at the usual port.
    assert_eq!(once(zone, "sip:example.com;transport=udp").0.unwrap(), ["udp 192.0.2.1:5060"]);
    assert_eq!(once(zone, "sips:example.com;transport=tcp").0.unwrap(), ["tls 192.0.2.1:5061"]);
}

/// The example of RFC 3263 §4.1 and §4.2.
const RFC: &str = "example.com NAPTR 50 50 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.example.com.
    example.com NAPTR 90 50 \"s\" \"SIP+D2T\" \"\" _sip._tcp.example.com
    example.com NAPTR 100 50 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.com.
    _sips._tcp.example.com SRV 0 1 5061 server1.example.com
    _sip._tcp.example.com SRV 0 1 5060 server1.example.com
    _sip._tcp.example.com SRV 1 2 5060 server2.example.com
    _sip._udp.example.com SRV 0 1 5060 server1.example.com
    server1.example.com A 192.0.2.1
    server2.example.com A 192.0.2.2
    example.com A 192.0.2.99";

#[test]
fn the_example_of_the_rfc() {
    let udp_and_tcp = [Transport::Udp, Transport::Tcp];
    // A client with TCP and UDP takes TCP, the first that it has, and nothing of a later order.
    let (found, asked) = with(&udp_and_tcp, RFC, "sip:user@example.com");
    assert_eq!(found.unwrap(), ["tcp 192.0.2.1:5060", "tcp 192.0.2.2:5060"]);
    assert_eq!(asked[..2], ["example.com Naptr", "_sip._tcp.example.com Srv"]);
    // One with UDP only.
    assert_eq!(with(&[Transport::Udp], RFC, "sip:example.com").0.unwrap(), ["udp 192.0.2.1:5060"]);
    // One with TLS keeps secure ones for sip: too, and for sips: has nothing else.
    for uri in ["sip:example.com", "sips:example.com"] {
        assert_eq!(once(RFC, uri).0.unwrap(), ["tls 192.0.2.1:5061"], "{uri}");
    }
    let refused = with(&udp_and_tcp, RFC, "sips:example.com").0.unwrap_err();
    assert_eq!(refused, ResolveError::Transport { host: "example.com".into(), transport: "TLS".into() });
    // The certificate is that of the name that was asked for.
    let mut dns = Dns::new(RFC);
    let found = run(&mut resolver(&ALL), &mut dns, Time::ZERO, Target::host("example.com")).unwrap();
    assert_eq!(found[0].server_name.as_deref(), Some("example.com"));
    assert_eq!(found[0].valid_until, Time::ZERO + limits::DNS_NEGATIVE); // there is no AAAA
    let destination = found[0].destination();
    assert_eq!((destination.address.port(), destination.transport), (5061, Transport::Tls));
    assert_eq!(destination.server_name.as_deref(), Some("example.com"));
}

#[test]
fn without_naptr_every_transport_is_looked_for() {
    let zone = "_sip._udp.example.com SRV 0 0 5060 a.example.com
        _sips._tcp.example.com SRV 0 0 5061 b.example.com
        a.example.com A 192.0.2.1
        b.example.com A 192.0.2.2
        example.com A 192.0.2.99
        example.com NAPTR 1 1 \"u\" \"E2U+sip\" \"!^.*$!sip:x@y!\" .
        example.com NAPTR 1 1 \"s\" \"SIP+D2S\" \"\" _sip._sctp.example.com";
    let (found, asked) = once(zone, "sip:example.com");
    assert_eq!(found.unwrap(), ["udp 192.0.2.1:5060", "tls 192.0.2.2:5061"]);
    let services = ["_sip._udp.example.com Srv", "_sip._tcp.example.com Srv", "_sips._tcp.example.com Srv"];
    assert_eq!(asked[1..4], services);
    // The order is ours, and sips: takes the secure ones.
    let found = with(&[Transport::Tls, Transport::Udp], zone, "sip:example.com").0.unwrap();
    assert_eq!(found, ["tls 192.0.2.2:5061", "udp 192.0.2.1:5060"]);
    assert_eq!(once(zone, "sips:example.com").0.unwrap(), ["tls 192.0.2.2:5061"]);
    // Nothing at all: the address, by UDP or TLS.
    let bare = "example.com A 192.0.2.99";
    assert_eq!(once(bare, "sip:example.com").0.unwrap(), ["udp 192.0.2.99:5060"]);
    assert_eq!(once(bare, "sips:example.com").0.unwrap(), ["tls 192.0.2.99:5061"]);
    assert_eq!(with(&[Transport::Tcp], bare, "sip:example.com").0.unwrap(), ["tcp 192.0.2.99:5060"]);
}

#[test]
fn naptr_records_of_every_kind() {
    // Preferences within the order; an address; a service without SRV records; capitals.
    let zone = "example.com NAPTR 10 30 \"S\" \"sip+d2t\" \"\" _sip._tcp.EXAMPLE.com
        example.com NAPTR 10 10 \"a\" \"SIP+D2U\" \"\" direct.example.com
        example.com NAPTR 10 20 \"s\" \"SIP+D2U\" \"\" _none.example.com
        example.com NAPTR 11 0 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.example.com
        _sip._tcp.example.com SRV 0 0 5070 t.example.com
        direct.example.com A 192.0.2.1
        example.com A 192.0.2.2
        t.example.com A 192.0.2.3";
    let found = once(zone, "sip:example.com").0.unwrap();
    assert_eq!(found, ["udp 192.0.2.1:5060", "udp 192.0.2.2:5060", "tcp 192.0.2.3:5070"]);
    // One that leads to others, in another domain.
    let chain = "example.com NAPTR 1 1 \"\" \"SIP+D2U\" \"\" carrier.example
        carrier.example NAPTR 1 1 \"s\" \"SIP+D2U\" \"\" _sip._udp.carrier.example
        _sip._udp.carrier.example SRV 0 0 5060 sbc.carrier.example
        sbc.carrier.example A 192.0.2.4";
    assert_eq!(once(chain, "sip:example.com").0.unwrap(), ["udp 192.0.2.4:5060"]);
    // One that leads nowhere counts for none.
    let nowhere = "example.com NAPTR 1 1 \"\" \"\" \"\" nowhere.example
        example.com A 192.0.2.5";
    assert_eq!(once(nowhere, "sip:example.com").0.unwrap(), ["udp 192.0.2.5:5060"]);
    // Circles, short and long.
    let endless = Err(ResolveError::Endless { host: "example.com".into() });
    let circle = "example.com NAPTR 1 1 \"\" \"\" \"\" b.example
        b.example NAPTR 1 1 \"\" \"\" \"\" example.com";
    let (found, asked) = once(circle, "sip:example.com");
    assert_eq!((found, asked.len()), (endless.clone(), 2));
    let mut long = String::new();
    for i in 0..100 {
        long += &format!("n{i}.example NAPTR 1 1 \"\" \"\" \"\" n{}.example\n", i + 1);
    }
    let (found, asked) = once(&long, "sip:n0.example");
    assert_eq!((found, asked.len()), (Err(ResolveError::Endless { host: "n0.example".into() }), 4));
}

#[test]
fn priorities_first_then_weights_by_chance() {
    let zone = "_sip._udp.example.com SRV 20 0 5060 last.example.com
        _sip._udp.example.com SRV 10 60 5060 big.example.com
        _sip._udp.example.com SRV 10 20 5060 small.example.com
        _sip._udp.example.com SRV 10 0 5060 zero.example.com
        last.example.com A 192.0.2.4
        big.example.com A 192.0.2.60
        small.example.com A 192.0.2.20
        zero.example.com A 192.0.2.1";
    let mut dns = Dns::new(zone);
    dns.ttl = 3_600 * S;
    let mut resolver = resolver(&[Transport::Udp]);
    let mut first = BTreeMap::new();
    for _ in 0..4_000 {
        let found = run(&mut resolver, &mut dns, Time::ZERO, Target::host("example.com")).unwrap();
        assert_eq!((found.len(), found[3].address.to_string().as_str()), (4, "192.0.2.4:5060"));
        *first.entry(found[0].address.to_string()).or_insert(0) += 1;
    }
    // 60, 20 and (by the rule's inclusive chance) 1 of 81 shares.
    let share = |address: &str| first.get(address).copied().unwrap_or(0);
    assert!((2_800..3_130).contains(&share("192.0.2.60:5060")), "{first:?}");
    assert!((850..1_130).contains(&share("192.0.2.20:5060")), "{first:?}");
    assert!((15..100).contains(&share("192.0.2.1:5060")), "{first:?}");
    assert_eq!(dns.asked.len(), 10, "the cache answers all but the first");
    // The same seed makes the same choices.
    let order = |seed| {
        let mut resolver = Resolver::new(ResolveConfig::default(), seed);
        let mut dns = Dns::new(zone);
        (0..20)
            .map(|_| run(&mut resolver, &mut dns, Time::ZERO, Target::host("example.com")))
            .collect::<Vec<_>>()
    };
    assert_eq!(order(7), order(7));
    assert_ne!(order(7), order(8));
}

#[test]
fn a_domain_may_say_that_it_has_no_sip() {
    let zone = "_sip._udp.example.com SRV 0 0 0 .
        _sip._tcp.example.com SRV 0 0 5060 t.example.com
        t.example.com A 192.0.2.1
        example.com A 192.0.2.99";
    assert_eq!(once(zone, "sip:example.com").0.unwrap(), ["tcp 192.0.2.1:5060"]);
    let none = Err(ResolveError::NotOffered { host: "example.com".into() });
    assert_eq!(once(zone, "sip:example.com;transport=udp").0, none);
    assert_eq!(with(&[Transport::Udp], zone, "sip:example.com").0, none);
}

#[test]
fn families_in_the_order_that_is_wanted() {
    let zone = "example.com A 192.0.2.1
        example.com AAAA 2001:db8::1";
    let run_with = |families: &[Family]| {
        let config = ResolveConfig { families: families.to_vec(), ..ResolveConfig::default() };
        let mut dns = Dns::new(zone);
        let target = Target { port: Some(5060), ..Target::host("example.com") };
        let found = run(&mut Resolver::new(config, 1), &mut dns, Time::ZERO, target);
        (found.map(|found| found.iter().map(text).collect::<Vec<_>>()), dns.asked)
    };
    let (found, _) = run_with(&[Family::V6, Family::V4]);
    assert_eq!(found.unwrap(), ["udp [2001:db8::1]:5060", "udp 192.0.2.1:5060"]);
    let (found, asked) = run_with(&[Family::V4]);
    assert_eq!((found.unwrap(), asked), (vec!["udp 192.0.2.1:5060".into()], vec!["example.com A".into()]));
}

#[test]
fn what_cannot_be_resolved_says_what_to_do() {
    let no_address = |name: &str| Err(ResolveError::NoAddress { name: name.into() });
    assert_eq!(once("", "sip:example.com").0, no_address("example.com"));
    assert_eq!(once("", "sip:example.com:5060").0, no_address("example.com"));
    let srv = "_sip._udp.example.com SRV 0 0 5060 gone.example.com";
    assert_eq!(once(srv, "sip:example.com").0, no_address("example.com"));
    let transport =
        |name: &str| Err(ResolveError::Transport { host: "example.com".into(), transport: name.into() });
    assert_eq!(once("", "sip:example.com;transport=sctp").0, transport("sctp"));
    assert_eq!(once("", "sips:example.com;transport=udp").0, transport("UDP"));
    assert_eq!(with(&[Transport::Udp], "", "sip:example.com;transport=tcp").0, transport("TCP"));
    for bad in ["a..b", "-/-", "x y", &"a".repeat(64), &"a.".repeat(200), "é.example"] {
        let found = run(&mut resolver(&ALL), &mut Dns::new(""), Time::ZERO, Target::host(bad));
        assert_eq!(found, Err(ResolveError::BadName(bad.into())));
    }
    assert!(matches!(Target::of(&Uri::parse(b"tel:+1").unwrap()), Err(ResolveError::BadName(_))));
    assert!(no_address("a").unwrap_err().to_string().contains("spelled"));
}

#[test]
fn a_failure_is_not_an_absence() {
    let zone = "_sip._udp.example.com SRV 0 0 5060 sip.example.com
        sip.example.com A 192.0.2.1
        example.com A 192.0.2.99";
    let run_failing = |failing: &[&str]| {
        let mut dns = Dns::new(zone);
        dns.failing = failing.iter().map(|name| (*name).to_owned()).collect();
        let found = run(&mut resolver(&ALL), &mut dns, Time::ZERO, Target::host("example.com"));
        found.map(|found| found.iter().map(text).collect::<Vec<_>>())
    };
    // NAPTR that fails is passed over; SRV that fails does not lead to the web server's address.
    assert_eq!(run_failing(&["example.com"]).unwrap(), ["udp 192.0.2.1:5060"]);
    let unanswered = |name: &str| Err(ResolveError::Unanswered { name: name.into() });
    assert_eq!(run_failing(&["_sip._udp.example.com"]), unanswered("_sip._udp.example.com"));
    assert_eq!(run_failing(&["_sip._tcp.example.com"]).unwrap(), ["udp 192.0.2.1:5060"]);
    assert_eq!(run_failing(&["sip.example.com"]), unanswered("sip.example.com"));
}

/// Asks again at `now`, and says how many questions that took.
fn again(resolver: &mut Resolver, dns: &mut Dns, now: Time) -> (Result<usize, ResolveError>, usize) {
    let before = dns.asked.len();
    let target = Target { port: Some(5060), ..Target::host("example.com") };
    let found = run(resolver, dns, now, target);
    (found.map(|found| found.len()), dns.asked.len() - before)
}

#[test]
fn answers_are_kept_as_long_as_they_say() {
    let at = |ms: u64| Time::from_millis(ms);
    let both = "example.com A 192.0.2.1
        example.com AAAA 2001:db8::1";
    let mut dns = Dns::new(both);
    let mut resolver = resolver(&ALL);
    assert_eq!(again(&mut resolver, &mut dns, at(0)), (Ok(2), 2));
    assert_eq!(again(&mut resolver, &mut dns, at(59_999)), (Ok(2), 0));
    // A TTL of 0 counts for a second, one of a week for an hour.
    dns.ttl = Duration::ZERO;
    assert_eq!(again(&mut resolver, &mut dns, at(60_000)), (Ok(2), 2));
    assert_eq!(again(&mut resolver, &mut dns, at(60_999)), (Ok(2), 0));
    dns.ttl = 604_800 * S;
    assert_eq!(again(&mut resolver, &mut dns, at(61_000)), (Ok(2), 2));
    assert_eq!(again(&mut resolver, &mut dns, at(61_000 + 3_599_999)), (Ok(2), 0));
    assert_eq!(again(&mut resolver, &mut dns, at(61_000 + 3_600_000)), (Ok(2), 2));
    // "There is none" counts for 30 s.
    let mut empty = Dns::new("");
    let mut resolver = Resolver::new(ResolveConfig::default(), 1);
    let none = Err(ResolveError::NoAddress { name: "example.com".into() });
    assert_eq!(again(&mut resolver, &mut empty, at(0)), (none.clone(), 2));
    assert_eq!(again(&mut resolver, &mut empty, at(29_999)), (none, 0));
    assert_eq!(again(&mut resolver, &mut dns, at(30_000)), (Ok(2), 2));
}

#[test]
fn an_outage_of_dns_does_not_stop_the_dialing() {
    let at = |s: u64| Time::from_millis(s * 1_000);
    let mut dns = Dns::new("example.com A 192.0.2.1");
    let mut resolver = resolver(&ALL);
    assert_eq!(again(&mut resolver, &mut dns, at(0)), (Ok(1), 2));
    dns.down = true;
    // Past its time it serves on, and DNS is asked every 30 s.
    assert_eq!(again(&mut resolver, &mut dns, at(60)), (Ok(1), 2));
    assert_eq!(again(&mut resolver, &mut dns, at(89)), (Ok(1), 0));
    assert_eq!(again(&mut resolver, &mut dns, at(90)), (Ok(1), 2));
    // DNS is back, and has moved: the new answer counts.
    dns.down = false;
    dns.records.clear();
    dns.records.extend(Dns::new("example.com A 192.0.2.7\nexample.com A 192.0.2.8").records);
    assert_eq!(again(&mut resolver, &mut dns, at(121)), (Ok(2), 2));
    // An hour after its time it is too old.
    dns.down = true;
    let unanswered = Err(ResolveError::Unanswered { name: "example.com".into() });
    assert_eq!(again(&mut resolver, &mut dns, at(121 + 60 + 3_590)), (Ok(2), 2));
    assert_eq!(again(&mut resolver, &mut dns, at(121 + 60 + 3_600)), (unanswered.clone(), 2));
    // With nothing to serve, it is asked again after 5 s.
    assert_eq!(again(&mut resolver, &mut dns, at(121 + 60 + 3_604)), (unanswered, 0));
    dns.down = false;
    assert_eq!(again(&mut resolver, &mut dns, at(121 + 60 + 3_605)), (Ok(2), 2));
}

#[test]
fn answers_that_expire_under_way_still_count() {
    let mut dns = Dns::new(RFC);
    dns.ttl = Duration::ZERO;
    let mut resolver = resolver(&ALL);
    let mut resolution = resolver.start(Target::host("example.com"));
    let mut now = Time::ZERO;
    let found = loop {
        now += 10 * S;
        match resolver.poll(now, &resolution) {
            Step::Done(found) => break found,
            Step::Ask(questions) => {
                for question in questions {
                    let answer = dns.answer(&question);
                    resolver.handle_answer(now, &mut resolution, question, answer);
                }
            }
        }
    };
    assert_eq!((found.unwrap().len(), dns.asked.len()), (1, 4));
}

#[test]
fn everything_is_bounded() {
    // More servers, and more addresses of one, than anyone needs.
    let mut many = String::new();
    for i in 0..100 {
        many += &format!(
            "_sip._udp.example.com SRV {i} 0 5060 s{i}.example.com\ns{i}.example.com A 192.0.2.{i}\n"
        );
        many += &format!("flat.example.com A 198.51.100.{i}\n");
    }
    let (found, asked) = once(&many, "sip:example.com");
    let found = found.unwrap();
    assert_eq!((found.len(), found[0].as_str()), (limits::DNS_CANDIDATES, "udp 192.0.2.0:5060"));
    assert!(asked.len() <= limits::DNS_QUESTIONS, "{}", asked.len());
    assert_eq!(once(&many, "sip:flat.example.com").0.unwrap().len(), limits::DNS_CANDIDATES);
    // Servers without addresses: some are asked for, not all.
    let hollow: String =
        many.lines().filter(|line| line.contains("SRV")).map(|line| line.to_owned() + "\n").collect();
    let (found, asked) = once(&hollow, "sip:example.com");
    assert_eq!(found, Err(ResolveError::Endless { host: "example.com".into() }));
    assert!(asked.len() <= limits::DNS_QUESTIONS, "{}", asked.len());
    // The cache.
    let mut resolver = resolver(&ALL);
    for i in 0..limits::DNS_CACHE / 2 + 100 {
        let target = Target { port: Some(1), ..Target::host(&format!("h{i}.example")) };
        let _ = run(&mut resolver, &mut Dns::new(""), Time::ZERO, target);
    }
    assert_eq!(resolver.cached(), limits::DNS_CACHE);
}

fn any_record() -> impl Strategy<Value = Record> {
    let name = prop_oneof!["[a-c]\\.x", Just(".".to_owned()), Just("_sip._udp.a.x".to_owned()), ".{0,4}"];
    let service = prop_oneof![Just("SIP+D2U"), Just("SIPS+D2T"), Just("SIP+D2T"), Just("")];
    prop_oneof![
        any::<IpAddr>().prop_map(Record::Address),
        (0..3u16, any::<u16>(), any::<u16>(), name.clone())
            .prop_map(|(priority, weight, port, target)| Record::Srv { priority, weight, port, target }),
        (0..3u16, 0..3u16, "[sau]?", service, name).prop_map(
            |(order, preference, flags, service, replacement)| {
                let (service, regexp) = (service.to_owned(), String::new());
                Record::Naptr { order, preference, flags, service, regexp, replacement }
            }
        ),
    ]
}

proptest! {
    /// Whatever DNS says, it ends within the bounds, and every candidate is one that can be reached.
    #[test]
    fn any_dns(
        answers in proptest::collection::vec((0..3u8, proptest::collection::vec(any_record(), 0..6)), 64),
        secure: bool,
        seed: u64,
    ) {
        let mut resolver = Resolver::new(ResolveConfig::default(), seed);
        let mut answers = answers.into_iter().cycle();
        let mut resolution = resolver.start(Target { secure, ..Target::host("a.x") });
        let mut asked = 0;
        let result = loop {
            match resolver.poll(Time::ZERO, &resolution) {
                Step::Done(result) => break result,
                Step::Ask(questions) => for question in questions {
                    asked += 1;
                    prop_assert!(asked <= limits::DNS_QUESTIONS);
                    let answer = match answers.next() {
                        Some((0, _)) => Answer::Failed,
                        Some((1, _)) => Answer::Nothing,
                        Some((_, records)) => Answer::Found { records, ttl: S },
                        None => unreachable!(),
                    };
                    resolver.handle_answer(Time::ZERO, &mut resolution, question, answer);
                },
            }
        };
        if let Ok(found) = result {
            prop_assert!(!found.is_empty() && found.len() <= limits::DNS_CANDIDATES);
            prop_assert!(!secure || found.iter().all(|place| place.transport.is_secure()));
        }
    }
}
