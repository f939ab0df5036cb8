//! Digest authentication (RFC 7616, RFC 8760): answering challenges, and making them.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use kraliki_time::Time;
use md5::Digest as _;

use crate::message::{Challenge, Headers, Method, Name, quoted};

/// Who we are to a trunk.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The hash of a digest. SHA-256 is preferred when a peer offers both (RFC 8760 §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Algorithm {
    /// MD5: all that many carriers speak.
    #[default]
    Md5,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    fn of(name: Option<&[u8]>) -> Option<Algorithm> {
        match name {
            None => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case(b"MD5") => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case(b"SHA-256") => Some(Algorithm::Sha256),
            Some(_) => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    fn hash(self, parts: &[&[u8]]) -> String {
        let joined = parts.join(&b':');
        match self {
            Algorithm::Md5 => hex(&md5::Md5::digest(&joined)),
            Algorithm::Sha256 => hex(digest(&SHA256, &joined).as_ref()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        out.extend([b >> 4, b & 15].iter().filter_map(|n| char::from_digit(u32::from(*n), 16)));
    }
    out
}

/// What goes into a response hash.
struct Inputs<'a> {
    algorithm: Algorithm,
    username: &'a [u8],
    realm: &'a [u8],
    password: &'a [u8],
    method: &'a [u8],
    uri: &'a [u8],
    nonce: &'a [u8],
    /// Client nonce and count when the quality of protection is `auth`.
    auth: Option<(&'a [u8], &'a [u8])>,
}

impl Inputs<'_> {
    /// RFC 7616 §3.4.1.
    fn response(&self) -> String {
        let h = self.algorithm;
        let a1 = h.hash(&[self.username, self.realm, self.password]);
        let a2 = h.hash(&[self.method, self.uri]);
        match self.auth {
            Some((cnonce, count)) => {
                h.hash(&[a1.as_bytes(), self.nonce, count, cnonce, b"auth", a2.as_bytes()])
            }
            None => h.hash(&[a1.as_bytes(), self.nonce, a2.as_bytes()]),
        }
    }
}

/// The header that answers the challenge in a 401 or 407, or None when there is none that we can answer.
/// `again` says that credentials were refused before: then only a stale nonce is worth another try.
pub(crate) fn answer(
    credentials: &Credentials,
    status: u16,
    response: &Headers,
    method: &Method,
    uri: &[u8],
    cnonce: u64,
    again: bool,
) -> Option<(Name, String)> {
    let (from, to) = match status {
        401 => (Name::WwwAuthenticate, Name::Authorization),
        407 => (Name::ProxyAuthenticate, Name::ProxyAuthorization),
        _ => return None,
    };
    let usable = |c: &Challenge<'_>| {
        let algorithm = Algorithm::of(c.get("algorithm").as_deref());
        algorithm.filter(|_| c.scheme.eq_ignore_ascii_case(b"Digest") && c.get("nonce").is_some())
    };
    let (algorithm, challenge) = response
        .challenges(from)
        .filter_map(|c| Some((usable(&c)?, c)))
        .max_by_key(|(algorithm, _)| *algorithm)?;
    let stale = challenge.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case(b"true"));
    if again && !stale {
        return None;
    }
    let (realm, nonce) = (challenge.get("realm")?, challenge.get("nonce")?);
    let cnonce = hex(&cnonce.to_be_bytes());
    // A nonce is used for one request only, so that its count is always 1.
    const COUNT: &[u8] = b"00000001";
    let auth = match challenge.get("qop") {
        None => None,
        Some(qop) if qop.split(|b| *b == b',').any(|q| q.trim_ascii().eq_ignore_ascii_case(b"auth")) => {
            Some((cnonce.as_bytes(), COUNT))
        }
        Some(_) => return None,
    };
    let inputs = Inputs {
        algorithm,
        username: credentials.username.as_bytes(),
        realm: &realm,
        password: credentials.password.as_bytes(),
        method: method.as_bytes(),
        uri,
        nonce: &nonce,
        auth,
    };
    let text = |bytes: &[u8]| quoted(&String::from_utf8_lossy(bytes));
    let mut value = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\", algorithm={}",
        quoted(&credentials.username),
        text(&realm),
        text(&nonce),
        text(uri),
        inputs.response(),
        algorithm.name(),
    );
    if auth.is_some() {
        value.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""));
    }
    if let Some(opaque) = challenge.get("opaque") {
        value.push_str(&format!(", opaque={}", text(&opaque)));
    }
    Some((to, value))
}

/// How long a nonce of ours is good for: long enough for a slow peer, short enough to be of no use later.
const NONCE_LIFE: Duration = Duration::from_secs(300);

/// Asks callers for a digest and checks it. Nonces carry their time under a key, so that none is stored.
#[derive(Clone)]
pub struct DigestServer {
    realm: String,
    algorithm: Algorithm,
    users: Arc<[Credentials]>,
    key: Arc<hmac::Key>,
}

impl std::fmt::Debug for DigestServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestServer").field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// What a request's credentials are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Missing,
    Stale,
    Wrong,
}

impl DigestServer {
    /// A server for one realm. `secret` keys its nonces.
    pub fn new(
        realm: &str,
        algorithm: Algorithm,
        users: Vec<Credentials>,
        secret: &[u8; 32],
    ) -> DigestServer {
        let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret));
        DigestServer { realm: realm.into(), algorithm, users: users.into(), key }
    }

    fn nonce(&self, at_ms: u64) -> String {
        let tag = hmac::sign(&self.key, &at_ms.to_be_bytes());
        format!("{at_ms:x}.{}", hex(tag.as_ref().get(..16).unwrap_or_default()))
    }

    /// The WWW-Authenticate value of a 401.
    pub(crate) fn challenge(&self, now: Time, stale: bool) -> String {
        let stale = if stale { ", stale=true" } else { "" };
        let (realm, nonce, name) = (quoted(&self.realm), self.nonce(now.as_millis()), self.algorithm.name());
        format!("Digest realm={realm}, nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}")
    }

    pub(crate) fn verify(&self, now: Time, headers: &Headers, method: &Method) -> Verdict {
        let ours = |c: &Challenge<'_>| c.get("realm").is_some_and(|realm| realm == self.realm.as_bytes());
        let Some(c) = headers.challenges(Name::Authorization).find(ours) else { return Verdict::Missing };
        let field = |name: &str| c.get(name).unwrap_or_default();
        let nonce = field("nonce");
        let at_ms = nonce.split(|b| *b == b'.').next().and_then(|t| std::str::from_utf8(t).ok());
        let at_ms = at_ms.and_then(|t| u64::from_str_radix(t, 16).ok()).unwrap_or(0);
        if self.nonce(at_ms).as_bytes() != nonce {
            return Verdict::Stale;
        }
        let username = field("username");
        let Some(user) = self.users.iter().find(|user| user.username.as_bytes() == username) else {
            return Verdict::Wrong;
        };
        let (uri, cnonce, count) = (field("uri"), field("cnonce"), field("nc"));
        let inputs = Inputs {
            algorithm: self.algorithm,
            username: &username,
            realm: self.realm.as_bytes(),
            password: user.password.as_bytes(),
            method: method.as_bytes(),
            uri: &uri,
            nonce: &nonce,
            auth: (!field("qop").is_empty()).then_some((&cnonce, &count)),
        };
        let expected = inputs.response();
        if aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), &field("response")).is_err()
        {
            return Verdict::Wrong;
        }
        match now.since(Time::from_millis(at_ms)) > NONCE_LIFE {
            true => Verdict::Stale,
            false => Verdict::Good,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Builder, Message};
    use bytes::Bytes;

    /// RFC 7616 §3.9.1, both algorithms.
    #[test]
    fn rfc_7616_example() {
        let mut inputs = Inputs {
            algorithm: Algorithm::Md5,
            username: b"Mufasa",
            realm: b"http-auth@example.org",
            password: b"Circle of Life",
            method: b"GET",
            uri: b"/dir/index.html",
            nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            auth: Some((b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", b"00000001")),
        };
        assert_eq!(inputs.response(), "8ca523f5e9506fed4657c9700eebdbec");
        inputs.algorithm = Algorithm::Sha256;
        assert_eq!(inputs.response(), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    fn parse(bytes: Bytes) -> Headers {
        match Message::parse(bytes).unwrap() {
            Message::Request(r) => (*r).clone(),
            Message::Response(r) => (*r).clone(),
        }
    }

    fn user(password: &str) -> Credentials {
        Credentials { username: "alice \"a\"".into(), password: password.into() }
    }

    #[test]
    fn client_and_server_agree() {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            let server = DigestServer::new("a, b", algorithm, vec![user("secret")], &[7; 32]);
            let now = Time::from_millis(1_000_000);
            let verify = |now: Time, password: &str, again: bool, stale: bool| {
                let challenge = server.challenge(Time::from_millis(1_000_000), stale);
                let response =
                    parse(Builder::response(401, "x").header("WWW-Authenticate", &challenge).finish());
                let (name, value) =
                    answer(&user(password), 401, &response, &Method::Invite, b"sip:x@h", 5, again)?;
                let request = Builder::request(&Method::Invite, "sip:x@h").header(name.as_str(), &value);
                Some(server.verify(now, &parse(request.finish()), &Method::Invite))
            };
            assert_eq!(verify(now, "secret", false, false), Some(Verdict::Good));
            assert_eq!(verify(now, "wrong", false, false), Some(Verdict::Wrong));
            assert_eq!(verify(now, "secret", true, false), None);
            assert_eq!(verify(now, "secret", true, true), Some(Verdict::Good));
            assert_eq!(verify(now + NONCE_LIFE * 2, "secret", false, false), Some(Verdict::Stale));
        }
    }

    #[test]
    fn the_stronger_algorithm_is_taken_and_unknown_ones_are_not() {
        let response = parse(
            Builder::response(407, "x")
                .header("Proxy-Authenticate", "Digest realm=\"r\", nonce=\"m\", algorithm=MD5")
                .header("Proxy-Authenticate", "Digest realm=\"r\", nonce=\"s\", algorithm=SHA-256")
                .header("Proxy-Authenticate", "Digest realm=\"r\", nonce=\"x\", algorithm=SHA-512-256")
                .finish(),
        );
        let (name, value) = answer(&user("p"), 407, &response, &Method::Bye, b"sip:h", 1, false).unwrap();
        assert_eq!(name, Name::ProxyAuthorization);
        assert!(value.contains("nonce=\"s\"") && !value.contains("qop"));
        let basic =
            parse(Builder::response(401, "x").header("WWW-Authenticate", "Basic realm=\"r\"").finish());
        assert!(answer(&user("p"), 401, &basic, &Method::Bye, b"sip:h", 1, false).is_none());
    }
}
