//! Bad input over HTTP against a running dialer: what is wrong is said clearly, and nothing is lost.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, Dialer, Site, campaign};

/// Two hundred batches of the import; a million are a row of the benchmarks.
const ROWS: u64 = 100_000;
/// What is imported in this time is bounded by the disk more than by us.
const IMPORT: Duration = Duration::from_secs(240);

#[test]
fn bad_input_is_refused_clearly() {
    let site = Site::new("", 20);
    site.users(&[("root", "admin"), ("mia", "manager"), ("ada", "agent"), ("ann", "analyst")]);
    let dialer = site.serve();
    let manager = dialer.login("mia");
    let id =
        manager.post("/api/campaigns", &campaign("Bad input", json!({}))).ok(201)["id"].as_i64().unwrap();
    sign_in(&dialer);
    roles(&dialer, &manager, id);
    ids(&manager);
    json_bodies(&manager, id);
    lists(&site, &manager, id);
    assert_eq!(dialer.terminate(Duration::from_secs(20)), Some(0));
}

fn sign_in(dialer: &Dialer) {
    let nobody = Client::new(&dialer.base);
    let attempt = |name: &str, password: &str| {
        nobody.post("/api/auth/login", &json!({"username": name, "password": password}))
    };
    let wrong = attempt("ada", "wrong").problem(401);
    assert_eq!(wrong, attempt("nobody-here", "wrong").problem(401), "whether a user exists must not show");
    // A name that nobody else uses is locked in the end, and its owner is told for how long.
    let locked = (0..20).map(|_| attempt("root", "wrong")).find(|reply| reply.status != 401).unwrap();
    locked.problem(429);
    for path in ["/api/campaigns", "/api/calls", "/api/agent/state", "/api/trunks"] {
        nobody.get(path).problem(401);
    }
}

fn roles(dialer: &Dialer, manager: &Client, id: i64) {
    let (agent, analyst) = (dialer.login("ada"), dialer.login("ann"));
    for nobody in [&agent, &analyst] {
        nobody.post("/api/campaigns", &campaign("Mine", json!({}))).problem(403);
        nobody.post(&format!("/api/campaigns/{id}/start"), &json!({})).problem(403);
        nobody.send(&format!("/api/campaigns/{id}/leads"), "text/csv", "phone\n+12125550100\n").problem(403);
        nobody.post("/api/suppressions", &json!({"phone": "+12125550100", "reason": "x"})).problem(403);
    }
    let all = manager.get("/api/campaigns").ok(200);
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{all}");
}

fn ids(manager: &Client) {
    for path in ["/api/campaigns/999", "/api/campaigns/999/leads", "/api/calls/999", "/api/calls/999/sip"] {
        manager.get(path).problem(404);
    }
    for path in ["/api/campaigns/999/start", "/api/campaigns/999/pause", "/api/calls/999/hangup"] {
        manager.post(path, &json!({})).problem(404);
    }
    manager.send("/api/campaigns/999/leads", "text/csv", "phone\n+12125550100\n").problem(404);
    manager.get("/api/campaigns/first").problem(404);
}

fn json_bodies(manager: &Client, id: i64) {
    for body in ["", "{", "{} x", "\u{feff}{}"] {
        manager.send("/api/campaigns", "application/json", body).problem(400);
    }
    manager.send("/api/campaigns", "application/json", &b"{\"name\": \"\xff\"}"[..]).problem(400);
    manager.send("/api/campaigns", "text/plain", "{}").problem(415);
    let leads = format!("/api/campaigns/{id}/leads");
    let rows: [(&str, Value, &str); 7] = [
        ("/api/campaigns", campaign("Bad input", json!({})), "name"),
        ("/api/campaigns", json!({"name": "x", "colour": "red"}), "colour"),
        ("/api/campaigns", campaign("x", json!({"ring_timeout_s": 5})), "ring_timeout_s"),
        ("/api/campaigns", campaign("x", json!({"mode": "fast"})), "mode"),
        ("/api/campaigns", campaign("x", json!({"trunk": "none"})), "trunk"),
        (&leads, json!({"phone": "12"}), "phone"),
        (&leads, json!({"phone": "+12125550100", "time_zone": "Mars/Olympus"}), "time_zone"),
    ];
    for (path, body, field) in rows {
        let problem = manager.post(path, &body).problem(422);
        assert_eq!(problem["field"], field, "{path} {body}: {problem}");
    }
}

fn lists(site: &Site, manager: &Client, id: i64) {
    let path = format!("/api/campaigns/{id}/leads");
    let stored = || site.sql("SELECT count(*) FROM leads")[0][0].parse::<u64>().unwrap();
    let mut expected = 0;
    let mut import = |body: &[u8]| {
        let report = manager.send(&path, "text/csv", body).ok(200);
        let count = |key: &str| report[key].as_u64().unwrap();
        assert_eq!(count("rows"), count("imported") + count("duplicates") + count("rejected"), "{report}");
        assert_eq!(report["errors"].as_array().unwrap().len() as u64, count("rejected"), "{report}");
        expected += count("imported");
        assert_eq!(stored(), expected, "{report}");
        report
    };

    // Broken lines: each is named, the others are taken.
    let text = "phone,first_name,time_zone,priority\n\
        +12125550101,Ada,,\n\
        not a number,Ben,,\n\
        +12125550102,Cy,Mars/Olympus,\n\
        +12125550103,Di,,first\n\
        911,Ed,,\n\
        +12125550104,\"Flo,,\n\
        +12125550105,Gus,,,,too,many\n\
        +12125550101,Ada again,,\n\
        ,Ida,,\n\
        1.21256E+10,Jo,,\n\
        +12125550106,Kim,America/Chicago,5\n";
    let report = import(text.as_bytes());
    assert_eq!((&report["rows"], &report["duplicates"]), (&json!(11), &json!(1)), "{report}");
    let lines: Vec<u64> =
        report["errors"].as_array().unwrap().iter().map(|error| error["line"].as_u64().unwrap()).collect();
    assert!([3, 4, 5, 6, 7, 10, 11].iter().all(|line| lines.contains(line)), "{report}");

    // Encodings that spreadsheets write. The names say whether they were read right.
    let bom = import("\u{feff}phone,first_name\n+12125550120,Zdeněk\n".as_bytes());
    assert_eq!(bom["imported"], 1, "{bom}");
    let latin = import(b"phone,first_name\n+12125550121,Jos\xe9\n+12125550122,Ann\n");
    assert_eq!(latin["rows"], 2, "{latin}");
    let wide: Vec<u8> = std::iter::once(0xfeff)
        .chain("phone,first_name\n+12125550123,Iva\n".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let reply = manager.send(&path, "text/csv", &*wide);
    assert!(reply.status == 200 || reply.problem(422)["detail"].is_string(), "{reply:?}");
    expected = stored();

    // A file that is no list at all, in one way or another.
    for body in
        [&b""[..], b"name,city\nAda,Prague\n", b"phone,phone\n1,2\n", b"PK\x03\x04\x00\x00\x08\x00\x08\x00"]
    {
        manager.send(&path, "text/csv", body).problem(422);
    }
    assert_eq!(stored(), expected);

    // Many rows, some of them broken, streamed while they are made.
    let mut rows = Rows::default();
    let begun = Instant::now();
    let report = Client::patient(manager.base(), IMPORT).with_token_of(manager).send(
        &path,
        "text/csv",
        ureq::SendBody::from_reader(&mut rows),
    );
    let report = report.ok(200);
    let took = begun.elapsed();
    eprintln!("{ROWS} rows in {took:?}: {:.0} rows/s", ROWS as f64 / took.as_secs_f64());
    let broken = ROWS.div_ceil(Rows::BROKEN_EVERY);
    assert_eq!(report["rows"], ROWS);
    assert_eq!(report["rejected"], broken);
    assert_eq!(report["duplicates"], Rows::DUPLICATES);
    assert_eq!(report["imported"], ROWS - broken - Rows::DUPLICATES);
    assert_eq!(report["errors"].as_array().unwrap().len(), 1_000);
    assert_eq!(report["errors_truncated"], broken > 1_000);
    assert_eq!(stored(), expected + ROWS - broken - Rows::DUPLICATES);
}

/// A list that is made as it is read.
#[derive(Default)]
struct Rows {
    next: u64,
    text: Vec<u8>,
    read: usize,
}

impl Rows {
    /// More than a report names.
    const BROKEN_EVERY: u64 = 50;
    const DUPLICATES: u64 = 10;

    fn fill(&mut self) {
        self.text.clear();
        self.read = 0;
        if self.next == 0 {
            self.text.extend(b"phone,first_name,last_name,city\n");
        }
        for n in self.next..ROWS.min(self.next + 500) {
            // The last ones are there already.
            let number = if n >= ROWS - Self::DUPLICATES { n - ROWS / 2 } else { n };
            // Exchanges 222 to 301: none that is special.
            let (area, rest) = (301 + number / 800_000, 2_220_000 + number % 800_000);
            let line = match n % Self::BROKEN_EVERY {
                0 => format!("+1{area},Broken,{n},Line\n"),
                _ => format!("+1{area}{rest},Ada,Number {n},Springfield\n"),
            };
            self.text.extend(line.as_bytes());
        }
        self.next = ROWS.min(self.next + 500);
    }
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.read == self.text.len() && self.next < ROWS {
            self.fill();
        }
        let length = buffer.len().min(self.text.len() - self.read);
        buffer[..length].copy_from_slice(&self.text[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}
