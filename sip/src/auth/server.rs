//! The server's side: challenges, and what the answers to them are worth. One check for the registrar and for the
//! simulated carrier.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use kraliki_time::Time;

use super::{Algorithm, Inputs, Qop, Variant, hex};
use crate::limits;
use crate::message::{Challenge, Name, Request, quoted};
use crate::transaction::{hex as digits, unhex};

/// How long a nonce of ours is good for. Each may be used many times with a rising count, so that a phone that
/// refreshes every few minutes is seldom challenged anew.
const NONCE_LIFE: Duration = Duration::from_secs(3_600);

/// What is kept of a password: H(user:realm:password), by one algorithm or both (RFC 7616 §3.4.2). It opens this
/// realm only, but there as the password would: store it as a secret.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Secrets {
    /// With MD5.
    pub md5: Option<[u8; 16]>,
    /// With SHA-256.
    pub sha256: Option<[u8; 32]>,
}

impl Secrets {
    /// Both hashes of a password.
    pub fn of(user: &str, realm: &str, password: &str) -> Secrets {
        use md5::Digest as _;
        let text = [user, realm, password].join(":");
        let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        Secrets { md5: Some(md5::Md5::digest(&text).into()), sha256: sha256.as_ref().try_into().ok() }
    }

    fn ha1(&self, algorithm: Algorithm) -> Option<String> {
        match algorithm {
            Algorithm::Md5 => self.md5.map(|hash| hex(&hash)),
            Algorithm::Sha256 => self.sha256.map(|hash| hex(&hash)),
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (md5, sha256) = (self.md5.is_some(), self.sha256.is_some());
        f.debug_struct("Secrets").field("md5", &md5).field("sha256", &sha256).finish()
    }
}

/// Somebody who may register and call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user name, in digests and in addresses of record alike.
    pub name: String,
    /// What is kept of the password.
    pub secrets: Secrets,
}

impl User {
    /// A user by name and password.
    pub fn new(name: &str, realm: &str, password: &str) -> User {
        User { name: name.into(), secrets: Secrets::of(name, realm, password) }
    }
}

/// What a request's credentials are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are this user's.
    Good(String),
    /// There are none for our realm, or by an algorithm that was not offered.
    Missing,
    /// The password is right; the nonce is old, not ours, or was used with this count before.
    Stale,
    /// No such user, or another password: who asks does not learn which.
    Wrong,
}

/// Asks callers for a digest and checks it. Nonces carry their time under a key, so that none is stored before it
/// was used with the right password; then its counts are kept, so that no answer is good twice (RFC 7616 §3.4.5).
#[derive(Clone)]
pub struct DigestServer {
    realm: String,
    /// The strongest first (RFC 8760 §2.3).
    offered: Vec<Algorithm>,
    users: HashMap<String, Secrets>,
    key: hmac::Key,
    counts: Counts,
}

impl std::fmt::Debug for DigestServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestServer").field("realm", &self.realm).finish_non_exhaustive()
    }
}

impl DigestServer {
    /// A server for one realm. `key` makes its nonces; it must be unpredictable.
    pub fn new(realm: &str, users: Vec<User>, key: &[u8; 32]) -> DigestServer {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let mut server = DigestServer {
            realm: realm.into(),
            offered: Vec::new(),
            users: HashMap::new(),
            key,
            counts: Counts::default(),
        };
        server.set_users(users);
        server
    }

    /// Replaces all users. An algorithm is offered when every user has a secret for it: offering it by user would
    /// tell who exists.
    pub(crate) fn set_users(&mut self, users: Vec<User>) {
        self.users = users.into_iter().map(|user| (user.name, user.secrets)).collect();
        let all = [Algorithm::Sha256, Algorithm::Md5];
        let has =
            |algorithm: &Algorithm| self.users.values().all(|secrets| secrets.ha1(*algorithm).is_some());
        self.offered = all.into_iter().filter(has).collect();
        if self.offered.is_empty() {
            self.offered = all.to_vec();
        }
    }

    pub(crate) fn secrets(&self, user: &str) -> Option<&Secrets> {
        self.users.get(user)
    }

    /// `at_ms` is when it was made; `salt` tells nonces of one moment apart.
    fn nonce(&self, at_ms: u64, salt: u64) -> String {
        let text = format!("{at_ms:x}.{}", String::from_utf8_lossy(&digits(salt)));
        let tag = hmac::sign(&self.key, text.as_bytes());
        format!("{text}.{}", hex(tag.as_ref().get(..16).unwrap_or_default()))
    }

    /// When a nonce was made and its salt, when it is one of ours.
    fn read_nonce(&self, nonce: &[u8]) -> Option<(u64, u64)> {
        let mut parts = std::str::from_utf8(nonce).ok()?.split('.');
        let at_ms = u64::from_str_radix(parts.next()?, 16).ok()?;
        let salt = unhex(parts.next()?.as_bytes())?;
        verify_slices_are_equal(self.nonce(at_ms, salt).as_bytes(), nonce).ok()?;
        Some((at_ms, salt))
    }

    /// The WWW-Authenticate values of a 401. `salt` is chance.
    pub(crate) fn challenges(&self, now: Time, salt: u64, stale: bool) -> Vec<String> {
        let stale = if stale { ", stale=true" } else { "" };
        let (realm, nonce) = (quoted(&self.realm), self.nonce(now.as_millis(), salt));
        let line = |algorithm: &Algorithm| {
            let name = Variant { algorithm: *algorithm, session: false }.name();
            format!("Digest realm={realm}, nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}")
        };
        self.offered.iter().map(line).collect()
    }

    fn credentials<'a>(&self, request: &'a Request) -> Option<Challenge<'a>> {
        let ours = |c: &Challenge<'_>| c.get("realm").is_some_and(|realm| realm == self.realm.as_bytes());
        request.challenges(Name::Authorization).find(ours)
    }

    /// Whose credentials a request says it has, unchecked.
    pub(crate) fn claimed_user(&self, request: &Request) -> Option<Vec<u8>> {
        self.credentials(request)?.get("username")
    }

    /// Checks a request. The digest's `uri` is not held against the Request-URI, which proxies rewrite; a count is
    /// good once only, so that nothing is won by moving an answer to another request.
    pub(crate) fn verify(&mut self, now: Time, request: &Request) -> Verdict {
        let Some(c) = self.credentials(request) else { return Verdict::Missing };
        let variant = Variant::of(c.get("algorithm").as_deref())
            .filter(|variant| !variant.session && self.offered.contains(&variant.algorithm));
        let Some(variant) = variant else { return Verdict::Missing };
        let field = |name: &str| c.get(name).unwrap_or_default();
        let name = String::from_utf8(field("username")).unwrap_or_default();
        let known = self.users.get(&name).and_then(|secrets| secrets.ha1(variant.algorithm));
        // Somebody unknown costs the same work as somebody known.
        let nobody = || variant.algorithm.hash(&[hmac::sign(&self.key, b"nobody").as_ref()]);
        let (exists, ha1) = (known.is_some(), known.unwrap_or_else(nobody));
        let (uri, nonce, cnonce, count) = (field("uri"), field("nonce"), field("cnonce"), field("nc"));
        let (qop, body) = (field("qop"), request.body());
        let body = qop.eq_ignore_ascii_case(b"auth-int").then_some(&body[..]);
        let inputs = Inputs {
            variant,
            ha1: &ha1,
            method: request.method().as_bytes(),
            uri: &uri,
            nonce: &nonce,
            qop: (!qop.is_empty()).then_some(Qop { cnonce: &cnonce, count: &count, body }),
        };
        let equal = verify_slices_are_equal(inputs.response().as_bytes(), &field("response")).is_ok();
        if !(equal && exists) {
            return Verdict::Wrong;
        }
        // Only now does the nonce matter: "stale" is said to who knows the password (RFC 7616 §3.3), and nobody
        // else can use its counts up.
        let Some((at_ms, salt)) = self.read_nonce(&nonce) else { return Verdict::Stale };
        // A client of RFC 2069 sends no count: its nonce is good once.
        let count = if qop.is_empty() { Some(1) } else { read_count(&count) };
        let at = Time::from_millis(at_ms);
        let fresh = now.since(at) <= NONCE_LIFE && at <= now;
        match count.is_some_and(|count| fresh && self.counts.take(now, (at_ms, salt), count)) {
            true => Verdict::Good(name),
            false => Verdict::Stale,
        }
    }
}

/// RFC 7616 §3.4: eight hexadecimal digits.
fn read_count(digits: &[u8]) -> Option<u32> {
    let whole = digits.len() == 8 && digits.iter().all(u8::is_ascii_hexdigit);
    u32::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| whole)?, 16).ok()
}

/// The counts that nonces were used with. Requests may overtake each other, so that a window below the highest
/// count is kept, as against replayed packets.
#[derive(Clone, Default)]
struct Counts {
    /// By when the nonce was made and its salt: the highest count, and which of the 64 up to it were used.
    used: BTreeMap<(u64, u64), (u32, u64)>,
    /// Nonces up to this moment were forgotten for want of room, and are good no more.
    forgotten_ms: Option<u64>,
}

impl Counts {
    /// Whether this count was never used before; from now on it was.
    fn take(&mut self, now: Time, nonce: (u64, u64), count: u32) -> bool {
        let old_ms = (now - NONCE_LIFE).as_millis();
        while self.used.first_key_value().is_some_and(|((at_ms, _), _)| *at_ms < old_ms) {
            self.used.pop_first();
        }
        if self.forgotten_ms.is_some_and(|forgotten| nonce.0 <= forgotten) {
            return false;
        }
        let (highest, window) = self.used.entry(nonce).or_insert((0, 0));
        let fresh = if count > *highest {
            *window = window.checked_shl(count - *highest).unwrap_or(0) | 1;
            *highest = count;
            true
        } else {
            let bit = 1u64.checked_shl(*highest - count).unwrap_or(0);
            let fresh = count > 0 && bit != 0 && *window & bit == 0;
            *window |= bit;
            fresh
        };
        if self.used.len() > limits::NONCES
            && let Some(((at_ms, _), _)) = self.used.pop_first()
        {
            self.forgotten_ms = Some(at_ms);
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Credentials, Session};
    use crate::message::{Builder, Message, Method};

    const NOW: Time = Time::from_millis(10_000_000);
    const NAME: &str = "alice \"a\"";

    fn server(users: Vec<User>) -> DigestServer {
        DigestServer::new("a, b", users, &[7; 32])
    }

    fn session(server: &DigestServer, salt: u64) -> Session {
        let mut b = Builder::response(401, "x");
        for line in server.challenges(NOW, salt, false) {
            b = b.header("WWW-Authenticate", &line);
        }
        let Ok(Message::Response(response)) = Message::parse(b.finish()) else { panic!() };
        Session::open(401, &response, 5, false).unwrap()
    }

    fn request(session: &mut Session, password: &str) -> Request {
        let credentials = Credentials { username: NAME.into(), password: password.into() };
        let (name, value) = session.answer(&credentials, &Method::Invite, b"sip:x@h", b"sdp");
        let request = Builder::request(&Method::Invite, "sip:x@h").header(name.as_str(), &value);
        let Ok(Message::Request(request)) = Message::parse(request.body("x/y", b"sdp")) else { panic!() };
        request
    }

    fn only(algorithm: Algorithm) -> User {
        let mut user = User::new(NAME, "a, b", "secret");
        match algorithm {
            Algorithm::Md5 => user.secrets.sha256 = None,
            Algorithm::Sha256 => user.secrets.md5 = None,
        }
        user
    }

    #[test]
    fn client_and_server_agree() {
        for user in [only(Algorithm::Md5), only(Algorithm::Sha256), User::new(NAME, "a, b", "secret")] {
            let mut server = server(vec![user]);
            let mut session = session(&server, 1);
            assert_eq!(server.verify(NOW, &request(&mut session, "wrong")), Verdict::Wrong);
            let good = Verdict::Good(NAME.into());
            assert_eq!(server.verify(NOW, &request(&mut session, "secret")), good);
            // The same nonce again, with the next count.
            assert_eq!(server.verify(NOW, &request(&mut session, "secret")), good);
            let late = request(&mut session, "secret");
            assert_eq!(server.verify(NOW + NONCE_LIFE * 2, &late), Verdict::Stale);
            assert_eq!(server.verify(NOW, &late), good);
            server.set_users(Vec::new());
            assert_eq!(server.verify(NOW, &request(&mut session, "secret")), Verdict::Wrong);
        }
    }

    #[test]
    fn the_strongest_is_offered_first_and_only_what_all_users_have() {
        let names = |users| {
            let lines = server(users).challenges(NOW, 1, false);
            let name =
                |line: &String| line.split("algorithm=").nth(1).unwrap().split(',').next().unwrap().into();
            lines.iter().map(name).collect::<Vec<String>>()
        };
        let other = |algorithm| User { name: "other".into(), ..only(algorithm) };
        assert_eq!(names(vec![]), ["SHA-256", "MD5"]);
        assert_eq!(names(vec![User::new("x", "a, b", "p")]), ["SHA-256", "MD5"]);
        assert_eq!(names(vec![User::new("x", "a, b", "p"), only(Algorithm::Md5)]), ["MD5"]);
        assert_eq!(names(vec![other(Algorithm::Sha256), only(Algorithm::Md5)]), ["SHA-256", "MD5"]);
    }

    #[test]
    fn an_answer_is_good_once() {
        let mut server = server(vec![User::new(NAME, "a, b", "secret")]);
        let mut session = session(&server, 1);
        let requests: Vec<_> = (0..100).map(|_| request(&mut session, "secret")).collect();
        let good = Verdict::Good(NAME.into());
        // Out of order is fine within the window, twice is not, and neither is far too late.
        for (at, expected) in
            [(1, true), (0, true), (0, false), (1, false), (99, true), (40, true), (20, false)]
        {
            let verdict = server.verify(NOW, &requests[at]);
            assert_eq!(verdict, if expected { good.clone() } else { Verdict::Stale }, "{at}");
        }
        // A nonce of another server, or of this one before it was started again.
        let mut other = DigestServer::new("a, b", vec![User::new(NAME, "a, b", "secret")], &[8; 32]);
        assert_eq!(other.verify(NOW, &request(&mut session, "secret")), Verdict::Stale);
        // A nonce from the future is nobody's.
        assert_eq!(server.verify(NOW - NONCE_LIFE / 2, &request(&mut session, "secret")), Verdict::Stale);
    }

    #[test]
    fn counts_are_bounded_and_what_is_forgotten_is_refused() {
        let mut counts = Counts::default();
        for i in 0..limits::NONCES as u64 + 2 {
            assert!(counts.take(NOW, (9_999_000 + i % 2, i), 1));
        }
        assert!(counts.used.len() <= limits::NONCES);
        assert!(!counts.take(NOW, (9_999_000, 0), 1));
        assert!(counts.take(NOW, (9_999_002, 0), 1));
        // Later all room is free again.
        let later = NOW + NONCE_LIFE * 2;
        assert!(counts.take(later, (later.as_millis(), 0), 1));
        assert_eq!(counts.used.len(), 1);
    }

    #[test]
    fn bad_counts() {
        for bad in ["", "1", "0000000g", "+0000001", "000000001"] {
            assert_eq!(read_count(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(read_count(b"0000000A"), Some(10));
    }
}
