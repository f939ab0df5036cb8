//! The promise under load and SIGKILL: no lead is dialed twice inside its retry time, each attempt has one outcome, no
//! acknowledged disposition is lost, no suppressed number is dialed. What was dialed is read from the wire, too.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Client, Desk, Site, campaign, carrier, free_port};

const AGENTS: usize = 5;
/// Leads dialed between two kills are fewer.
const LEADS_PER_KILL: usize = 20;
const TALK: Duration = Duration::from_millis(300);
/// The longest that agents work between two kills, or until the last call is served.
const SHIFT: Duration = Duration::from_secs(30);
/// Longer than the calls in progress at the end, shorter than the test may take.
const DRAINED: Duration = Duration::from_secs(40);
/// No retry falls into the test.
const RETRY_S: u32 = 7 * 24 * 3_600;

#[test]
fn kills_at_random_moments_lose_nothing() {
    let kills = if std::env::var_os("KRALIKI_SOAK").is_some() { 100 } else { 20 };
    let leads = LEADS_PER_KILL * kills;
    let (front, back) = (free_port(), free_port());
    let trunk = format!(
        "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"main\"\naddress = \"127.0.0.1:{front}\"\ncaller_id = \"+12015550199\"\n\
         max_cps = 50\nmax_channels = 1000\n"
    );
    let site = Site::new(&trunk, 1_200);
    let _carrier = carrier(&site, back, 1_600, "person = 0.65\nmachine = 0.0\nbusy = 0.30");
    let wire = Wire::tap(front, back, site.sip_port);
    let names: Vec<String> = (0..AGENTS).map(|n| format!("agent{n}")).collect();
    site.users(&[("mia", "manager")]);
    site.users(&names.iter().map(|name| (name.as_str(), "agent")).collect::<Vec<_>>());

    let mut dialer = site.serve();
    let manager = dialer.login("mia");
    let tokens: Vec<Client> = names.iter().map(|name| dialer.login(name)).collect();
    let id = prepare(&manager, leads);
    let start = format!("/api/campaigns/{id}/start");
    let mut suppressed: Vec<(String, i64)> = Vec::new();
    for n in 0..10 {
        suppressed.push(suppress(&manager, leads - 1 - n));
    }
    manager.post(&start, &json!({})).ok(200);

    let said = Mutex::new(Vec::new());
    let mut owed: Vec<Vec<Said>> = vec![Vec::new(); AGENTS];
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for kill in 0..=kills {
        let stop = AtomicBool::new(false);
        let base = dialer.base.clone();
        owed = std::thread::scope(|scope| {
            let (said, stop, base) = (&said, &stop, &base);
            let shift: Vec<_> = tokens
                .iter()
                .zip(owed)
                .map(|(token, owed)| {
                    let client = Client::new(base).with_token_of(token);
                    scope.spawn(move || work(client, owed, said, stop))
                })
                .collect();
            let manager = Client::new(base).with_token_of(&manager);
            // Somebody asks not to be called again, each time; those at the end of the list are not dialed yet.
            suppressed.push(suppress(&manager, leads - 11 - kill));
            std::thread::sleep(Duration::from_millis(rng.random_range(300..1_500)));
            if kill < kills {
                dialer.process.signal("KILL");
            } else {
                manager.post(&format!("/api/campaigns/{id}/pause"), &json!({})).ok(200);
                std::thread::sleep(4 * TALK);
            }
            stop.store(true, Ordering::Relaxed);
            shift.into_iter().map(|agent| agent.join().unwrap()).collect()
        });
        if kill < kills {
            dialer.process.kill();
            dialer = site.serve();
        }
    }
    assert_eq!(dialer.terminate(DRAINED), Some(0));
    check(&site, &wire, leads, kills, &said.into_inner().unwrap(), &suppressed);
}

/// The campaign and its leads.
fn prepare(manager: &Client, leads: usize) -> i64 {
    let outcomes = [
        "connected",
        "abandoned",
        "caller_hangup",
        "no_media",
        "false_answer",
        "busy",
        "no_answer",
        "congestion",
        "cancelled",
        "rejected",
        "trunk_fault",
        "unknown_crash",
    ];
    let retry: BTreeMap<_, Value> =
        outcomes.into_iter().map(|outcome| (outcome, json!({"delay_s": RETRY_S, "most": 100}))).collect();
    let more = json!({"mode": "power", "lines_per_agent": 3.0, "retry": retry, "wrap_up_s": 0});
    let id = manager.post("/api/campaigns", &campaign("Crash", more)).ok(201)["id"].as_i64().unwrap();
    let list: String = (0..leads).map(|n| format!("{},America/New_York\n", phone(n))).collect();
    let path = format!("/api/campaigns/{id}/leads");
    let report = manager.send(&path, "text/csv", format!("phone,time_zone\n{list}")).ok(200);
    assert_eq!(report["imported"], leads, "{report}");
    id
}

fn phone(n: usize) -> String {
    format!("+1{}55501{:02}", 212 + n / 100, n % 100)
}

/// Gives the number, and when that was acknowledged, in ms since 1970.
fn suppress(manager: &Client, n: usize) -> (String, i64) {
    manager.post("/api/suppressions", &json!({"phone": phone(n), "reason": "asked"})).ok(201);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    (phone(n), i64::try_from(now.as_millis()).unwrap())
}

/// A disposition.
#[derive(Clone, Debug)]
struct Said {
    call: i64,
    code: &'static str,
    note: String,
}

/// An agent's shift until the dialer dies; gives what was said and never acknowledged.
fn work(client: Client, owed: Vec<Said>, acknowledged: &Mutex<Vec<Said>>, stop: &AtomicBool) -> Vec<Said> {
    let mut owed: Vec<Said> = owed;
    let _ = shift(client, &mut owed, acknowledged, stop);
    owed
}

fn shift(
    client: Client,
    owed: &mut Vec<Said>,
    acknowledged: &Mutex<Vec<Said>>,
    stop: &AtomicBool,
) -> Result<(), ureq::Error> {
    settle(&client, owed, acknowledged)?;
    let desk = Desk::open(client.clone())?;
    let mut leaving = false;
    let until = Instant::now() + SHIFT;
    while Instant::now() < until {
        if stop.load(Ordering::Relaxed) && !leaving {
            leaving = true;
            client.try_post("/api/agent/state", &json!({"state": "offline"}))?;
        }
        let state = desk.state()?;
        match (state["state"].as_str(), state["call"].as_i64()) {
            (Some("talking"), Some(call)) => {
                std::thread::sleep(TALK);
                client.try_post(&format!("/api/calls/{call}/hangup"), &json!({}))?;
                let code = if call % 2 == 0 { "sale" } else { "not_interested" };
                owed.push(Said { call, code, note: format!("said of {call}") });
                settle(&client, owed, acknowledged)?;
            }
            (Some("offline"), _) if leaving => return Ok(()),
            (Some("wrap_up" | "paused"), _) if !leaving => desk.ready()?,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    panic!("the shift does not end")
}

/// Says what is still to be said.
fn settle(client: &Client, owed: &mut Vec<Said>, acknowledged: &Mutex<Vec<Said>>) -> Result<(), ureq::Error> {
    while let Some(said) = owed.last() {
        let body = json!({"code": said.code, "note": said.note});
        let reply = client.try_post(&format!("/api/calls/{}/disposition", said.call), &body)?;
        match reply.status {
            204 => acknowledged.lock().unwrap().extend(owed.pop()),
            // The bridge was not on disk when the dialer died, so it does not know that this agent had the call.
            404 | 409 => drop(owed.pop()),
            _ => panic!("{said:?}: {reply:?}"),
        }
    }
    Ok(())
}

fn check(site: &Site, wire: &Wire, leads: usize, kills: usize, said: &[Said], suppressed: &[(String, i64)]) {
    let one = |query: &str| site.sql(query)[0][0].clone();
    assert_eq!(one("PRAGMA integrity_check"), "ok");
    assert_eq!(one("SELECT count(*) FROM leads"), leads.to_string());
    let outcomes = site.sql("SELECT coalesce(outcome, 'none'), count(*) FROM attempts GROUP BY 1");
    let invites = wire.invites.lock().unwrap();
    eprintln!(
        "{kills} kills: {outcomes:?}; {} numbers dialed, {} dispositions acknowledged",
        invites.len(),
        said.len()
    );

    // Every attempt has one outcome, every try an end, no lead hangs between.
    assert_eq!(one("SELECT count(*) FROM attempts WHERE outcome IS NULL OR ended_unix_ms IS NULL"), "0");
    assert_eq!(one("SELECT count(*) FROM tries WHERE ended_unix_ms IS NULL"), "0");
    assert_eq!(one("SELECT count(*) FROM leads WHERE status = 'dialing'"), "0");
    let crashed = one("SELECT count(*) FROM attempts WHERE outcome = 'unknown_crash'");
    assert!(crashed.parse::<usize>().unwrap() >= kills, "too little was going on: {crashed} calls crashed");

    // No lead is dialed twice: by our books, and by what was seen on the wire.
    let twice = site.sql(
        "SELECT lead, count(*) FROM attempts WHERE outcome <> 'not_sent' GROUP BY 1 HAVING count(*) > 1",
    );
    assert!(twice.is_empty(), "leads with two attempts: {twice:?}");
    let twice: Vec<_> = invites.iter().filter(|(_, calls)| calls.len() > 1).collect();
    assert!(twice.is_empty(), "numbers with two calls: {twice:?}");
    // And whatever was seen there is in the books, and the other way round where nothing is in doubt.
    let column =
        |query: &str| site.sql(query).into_iter().map(|mut row| row.remove(0)).collect::<BTreeSet<_>>();
    let dialed: BTreeSet<String> = invites.keys().cloned().collect();
    let perhaps = column("SELECT phone FROM attempts WHERE outcome <> 'not_sent'");
    let surely = column("SELECT phone FROM attempts WHERE outcome NOT IN ('not_sent', 'unknown_crash')");
    assert!(dialed.is_subset(&perhaps), "not in the books: {:?}", dialed.difference(&perhaps));
    assert!(surely.is_subset(&dialed), "never sent: {:?}", surely.difference(&dialed));
    assert!(dialed.len() >= 5 * kills, "too little was going on: {} dials", dialed.len());
    let fresh = column("SELECT phone FROM leads WHERE status = 'new'");
    assert!(dialed.is_disjoint(&fresh), "dialed and new: {:?}", dialed.intersection(&fresh));

    // What agents were told is stored is stored.
    let stored: BTreeSet<Vec<String>> =
        site.sql("SELECT attempt, code, note FROM dispositions").into_iter().collect();
    assert!(said.len() >= kills, "too little was going on: {} dispositions", said.len());
    for said in said {
        let row = vec![said.call.to_string(), said.code.to_owned(), said.note.clone()];
        assert!(stored.contains(&row), "lost: {said:?}");
    }

    for (phone, since) in suppressed {
        let query = format!("SELECT id FROM attempts WHERE phone = '{phone}' AND started_unix_ms > {since}");
        assert!(site.sql(&query).is_empty(), "{phone} was dialed after it was suppressed");
    }
    assert!(suppressed[..10].iter().all(|(phone, _)| !dialed.contains(phone)));
}

/// The wire between the dialer and the carrier: passes everything on, and notes each INVITE's number and Call-ID.
struct Wire {
    invites: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>,
    stop: Arc<AtomicBool>,
}

impl Wire {
    fn tap(front: u16, carrier: u16, dialer: u16) -> Wire {
        let here = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let outer = UdpSocket::bind(here(front)).unwrap();
        let inner = UdpSocket::bind("127.0.0.1:0").unwrap();
        for socket in [&outer, &inner] {
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        }
        let wire = Wire { invites: Arc::default(), stop: Arc::default() };
        let (to_carrier, to_dialer) = (inner.try_clone().unwrap(), outer.try_clone().unwrap());
        let (invites, stop) = (wire.invites.clone(), wire.stop.clone());
        std::thread::spawn(move || {
            pass(&outer, &stop, |packet| {
                note(&invites, packet);
                let _ = to_carrier.send_to(packet, here(carrier));
            });
        });
        let stop = wire.stop.clone();
        // The carrier's Contact names its own address; later requests must come this way, too.
        let (own, ours) = (format!("127.0.0.1:{carrier}"), format!("127.0.0.1:{front}"));
        std::thread::spawn(move || {
            pass(&inner, &stop, |packet| {
                let text = String::from_utf8_lossy(packet).replace(&own, &ours);
                let _ = to_dialer.send_to(text.as_bytes(), here(dialer));
            });
        });
        wire
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn pass(socket: &UdpSocket, stop: &AtomicBool, mut each: impl FnMut(&[u8])) {
    let mut packet = vec![0; 65_536];
    let begun = Instant::now();
    // An hour is far beyond the longest soak.
    while !stop.load(Ordering::Relaxed) && begun.elapsed() < Duration::from_secs(3_600) {
        if let Ok((length, _)) = socket.recv_from(&mut packet) {
            each(&packet[..length]);
        }
    }
}

fn note(invites: &Mutex<BTreeMap<String, BTreeSet<String>>>, packet: &[u8]) {
    let text = String::from_utf8_lossy(packet);
    let Some(rest) = text.strip_prefix("INVITE sip:") else { return };
    let number = rest.split('@').next().unwrap().to_owned();
    let call_id = text.lines().find_map(|line| line.strip_prefix("Call-ID:")).unwrap();
    invites.lock().unwrap().entry(number).or_default().insert(call_id.trim().to_owned());
}
