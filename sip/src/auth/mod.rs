//! Digest authentication (RFC 7616, RFC 8760): answering challenges, and making them.

mod client;
mod server;

use aws_lc_rs::digest::{SHA256, digest};
use md5::Digest as _;

pub use client::Credentials;
pub(crate) use client::Session;
pub(crate) use server::Verdict;
pub use server::{DigestServer, Secrets, User};

/// The hash of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    /// MD5: all that many carriers speak.
    Md5,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    fn hash(self, parts: &[&[u8]]) -> String {
        let joined = parts.join(&b':');
        match self {
            Algorithm::Md5 => hex(&md5::Md5::digest(&joined)),
            Algorithm::Sha256 => hex(digest(&SHA256, &joined).as_ref()),
        }
    }

    /// H(user:realm:password), all that a server needs to know of a password (RFC 7616 §3.4.2).
    fn ha1(self, user: &[u8], realm: &[u8], password: &[u8]) -> String {
        self.hash(&[user, realm, password])
    }
}

/// What a peer calls an algorithm: the hash, and whether one key serves a whole session (`-sess`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Variant {
    algorithm: Algorithm,
    session: bool,
}

impl Variant {
    /// None for a name that is not spoken here. No name means MD5 (RFC 7616 §3.3).
    fn of(name: Option<&[u8]>) -> Option<Variant> {
        let all = [Algorithm::Md5, Algorithm::Sha256]
            .into_iter()
            .flat_map(|algorithm| [false, true].map(|session| Variant { algorithm, session }));
        let name = name.unwrap_or(b"MD5");
        all.into_iter().find(|variant| variant.name().as_bytes().eq_ignore_ascii_case(name))
    }

    fn name(self) -> &'static str {
        match (self.algorithm, self.session) {
            (Algorithm::Md5, false) => "MD5",
            (Algorithm::Md5, true) => "MD5-sess",
            (Algorithm::Sha256, false) => "SHA-256",
            (Algorithm::Sha256, true) => "SHA-256-sess",
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

/// The quality of protection.
struct Qop<'a> {
    cnonce: &'a [u8],
    count: &'a [u8],
    /// The body when it is protected too: `auth-int`.
    body: Option<&'a [u8]>,
}

/// What goes into a response hash.
struct Inputs<'a> {
    variant: Variant,
    /// H(user:realm:password) in hexadecimal digits.
    ha1: &'a str,
    method: &'a [u8],
    uri: &'a [u8],
    nonce: &'a [u8],
    qop: Option<Qop<'a>>,
}

impl Inputs<'_> {
    /// RFC 7616 §3.4.1 to §3.4.3; without a quality of protection as in RFC 2617 §3.2.2.1.
    fn response(&self) -> String {
        let h = self.variant.algorithm;
        let Some(Qop { cnonce, count, body }) = self.qop else {
            let a2 = h.hash(&[self.method, self.uri]);
            return h.hash(&[self.ha1.as_bytes(), self.nonce, a2.as_bytes()]);
        };
        let session = self.variant.session.then(|| h.hash(&[self.ha1.as_bytes(), self.nonce, cnonce]));
        let a1 = session.as_deref().unwrap_or(self.ha1);
        let (name, a2) = match body {
            None => (&b"auth"[..], h.hash(&[self.method, self.uri])),
            Some(body) => (&b"auth-int"[..], h.hash(&[self.method, self.uri, h.hash(&[body]).as_bytes()])),
        };
        h.hash(&[a1.as_bytes(), self.nonce, count, cnonce, name, a2.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(name: &str, (realm, password): (&[u8], &[u8]), nonce: &[u8], qop: Option<Qop<'_>>) -> String {
        let variant = Variant::of(Some(name.as_bytes())).unwrap();
        let ha1 = variant.algorithm.ha1(b"Mufasa", realm, password);
        Inputs { variant, ha1: &ha1, method: b"GET", uri: b"/dir/index.html", nonce, qop }.response()
    }

    const ACCOUNT: (&[u8], &[u8]) = (b"http-auth@example.org", b"Circle of Life");
    const NONCE: &[u8] = b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    const CNONCE: &[u8] = b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    fn qop(body: Option<&'static [u8]>) -> Option<Qop<'static>> {
        Some(Qop { cnonce: CNONCE, count: b"00000001", body })
    }

    /// RFC 7616 §3.9.1, both algorithms, and RFC 2617 §3.5.
    #[test]
    fn examples_of_the_rfcs() {
        let of = |name| response(name, ACCOUNT, NONCE, qop(None));
        assert_eq!(of("MD5"), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(of("SHA-256"), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
        let account = (&b"testrealm@host.com"[..], &b"Circle Of Life"[..]);
        let qop = Some(Qop { cnonce: b"0a4f113b", count: b"00000001", body: None });
        let response = response("MD5", account, b"dcd98b7102dd2f0e8b11d0f600bfb0c093", qop);
        assert_eq!(response, "6629fae49393a05397450978507c4ef1");
    }

    /// The RFCs have no examples of these: the values were worked out with Python's hashlib.
    #[test]
    fn sessions_bodies_and_no_protection() {
        let body = Some(&b"v=0\r\n"[..]);
        for (name, qop, expected) in [
            ("MD5-sess", qop(None), "e783283f46242139c486a698fec7211d"),
            ("MD5", qop(body), "d1b8e2ac3f6782372de4bf3d8735b406"),
            ("MD5-sess", qop(body), "4321e8772738f242cc32334079264d8c"),
            ("MD5", None, "7b2cc3b30e75b4777ea31027084363fd"),
            ("SHA-256-sess", qop(None), "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7"),
            ("SHA-256", qop(body), "385d2de062660ced11876f42d9497c69cacf5caaf3d951dd424aee9f7157d563"),
            ("SHA-256-sess", qop(body), "cade7e5b751d9c3c2f066a95f2405c5509ad0171cf93f117e98b7f0ebb212e57"),
            ("SHA-256", None, "a1306b0595a6c7fe96c448631fb5cfbd5107bd1fe1da729d978dd7446b812363"),
        ] {
            assert_eq!(response(name, ACCOUNT, NONCE, qop), expected, "{name}");
        }
    }

    #[test]
    fn names_of_algorithms() {
        assert_eq!(Variant::of(None).unwrap().name(), "MD5");
        assert_eq!(Variant::of(Some(b"sha-256-SESS")).unwrap().name(), "SHA-256-sess");
        assert_eq!(Variant::of(Some(b"SHA-512-256")), None);
    }
}
