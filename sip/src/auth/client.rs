//! The client's side: who we are to a trunk, and the nonce that is used until it is refused.

use super::{Inputs, Qop, Variant, hex};
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

/// A challenge that we answer, again and again with a rising count, until the peer wants another nonce
/// (RFC 7616 §3.4).
#[derive(Debug)]
pub(crate) struct Session {
    /// The header of the answers.
    header: Name,
    variant: Variant,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    protection: Protection,
    /// One for all answers to a nonce: the key of a `-sess` algorithm is made with the first (§3.4.2).
    cnonce: String,
    count: u32,
}

/// The quality of protection that the peer offers and we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    None,
    Auth,
    AuthInt,
}

impl Protection {
    /// None when the peer wants what we do not know. `auth` goes before `auth-int`: a session border controller
    /// that writes its own address into a body breaks the latter.
    fn of(qop: Option<&[u8]>) -> Option<Protection> {
        let Some(qop) = qop else { return Some(Protection::None) };
        let offers = |name: &str| {
            qop.split(|b| *b == b',').any(|q| q.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
        };
        match () {
            () if offers("auth") => Some(Protection::Auth),
            () if offers("auth-int") => Some(Protection::AuthInt),
            () => None,
        }
    }
}

impl Session {
    /// Takes the challenge of a 401 or 407; None when there is none that we can answer. `again` says that
    /// credentials were refused just before: then only a stale nonce is worth another try.
    ///
    /// Of several challenges the strongest is taken, and of equals the first. RFC 8760 §2.4 has the first that is
    /// supported, "unless a local policy dictates otherwise": who peers with a carrier over UDP cannot know who
    /// put the lines in their order, and a peer that offers SHA-256 at all must take it.
    pub(crate) fn open(status: u16, response: &Headers, cnonce: u64, again: bool) -> Option<Session> {
        let (from, header) = match status {
            401 => (Name::WwwAuthenticate, Name::Authorization),
            407 => (Name::ProxyAuthenticate, Name::ProxyAuthorization),
            _ => return None,
        };
        let sessions = response.challenges(from).filter_map(|c| {
            let stale = c.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case(b"true"));
            if again && !stale { None } else { Session::of(&c, header, cnonce) }
        });
        // The first of the strongest: `max_by_key` would take the last.
        sessions.reduce(|best, next| match next.variant.algorithm > best.variant.algorithm {
            true => next,
            false => best,
        })
    }

    fn of(c: &Challenge<'_>, header: Name, cnonce: u64) -> Option<Session> {
        let variant = Variant::of(c.get("algorithm").as_deref())?;
        let protection = Protection::of(c.get("qop").as_deref())?;
        // The key of a session needs a client's nonce, which goes with a quality of protection only.
        let whole =
            c.scheme.eq_ignore_ascii_case(b"Digest") && !(variant.session && protection == Protection::None);
        whole.then_some(())?;
        Some(Session {
            header,
            variant,
            realm: c.get("realm")?,
            nonce: c.get("nonce")?,
            opaque: c.get("opaque"),
            protection,
            cnonce: hex(&cnonce.to_be_bytes()),
            count: 0,
        })
    }

    /// The header line for a request.
    pub(crate) fn answer(
        &mut self,
        credentials: &Credentials,
        method: &Method,
        uri: &[u8],
        body: &[u8],
    ) -> (Name, String) {
        self.count = self.count.saturating_add(1);
        let count = format!("{:08x}", self.count);
        let qop = match self.protection {
            Protection::None => None,
            Protection::Auth => Some(("auth", None)),
            Protection::AuthInt => Some(("auth-int", Some(body))),
        };
        let (username, password) = (credentials.username.as_bytes(), credentials.password.as_bytes());
        let inputs = Inputs {
            variant: self.variant,
            ha1: &self.variant.algorithm.ha1(username, &self.realm, password),
            method: method.as_bytes(),
            uri,
            nonce: &self.nonce,
            qop: qop.map(|(_, body)| Qop { cnonce: self.cnonce.as_bytes(), count: count.as_bytes(), body }),
        };
        let text = |bytes: &[u8]| quoted(&String::from_utf8_lossy(bytes));
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\", algorithm={}",
            quoted(&credentials.username),
            text(&self.realm),
            text(&self.nonce),
            text(uri),
            inputs.response(),
            self.variant.name(),
        );
        if let Some((name, _)) = qop {
            value.push_str(&format!(", qop={name}, nc={count}, cnonce=\"{}\"", self.cnonce));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque={}", text(opaque)));
        }
        (self.header, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Builder, Message};

    fn challenged(status: u16, lines: &[&str]) -> Headers {
        let name = if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
        let response = lines.iter().fold(Builder::response(status, "x"), |b, line| b.header(name, line));
        match Message::parse(response.finish()).unwrap() {
            Message::Response(r) => (*r).clone(),
            Message::Request(_) => panic!(),
        }
    }

    fn answer(status: u16, lines: &[&str]) -> Option<(Name, String)> {
        let mut session = Session::open(status, &challenged(status, lines), 1, false)?;
        let credentials = Credentials { username: "u".into(), password: "p".into() };
        Some(session.answer(&credentials, &Method::Bye, b"sip:h", b""))
    }

    #[test]
    fn the_strongest_is_taken_and_unknown_ones_are_not() {
        let (name, value) = answer(
            407,
            &[
                "Digest realm=\"r\", nonce=\"m\", algorithm=MD5",
                "Digest realm=\"r\", nonce=\"s\", algorithm=SHA-256",
                "Digest realm=\"r\", nonce=\"t\", algorithm=SHA-256",
                "Digest realm=\"r\", nonce=\"x\", algorithm=SHA-512-256",
            ],
        )
        .unwrap();
        assert_eq!(name, Name::ProxyAuthorization);
        assert!(value.contains("nonce=\"s\"") && !value.contains("qop"), "{value}");
        for none in [
            "Basic realm=\"r\"",
            "Digest realm=\"r\", algorithm=MD5",
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth-conf\"",
            "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess",
        ] {
            assert!(answer(401, &[none]).is_none(), "{none}");
        }
        assert!(answer(403, &["Digest realm=\"r\", nonce=\"n\""]).is_none());
    }

    #[test]
    fn protection_is_auth_unless_only_auth_int_is_offered() {
        for (offered, taken) in
            [("auth-int, auth", "qop=auth,"), ("auth-int", "qop=auth-int,"), ("x,AUTH", "qop=auth,")]
        {
            let line = format!("Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256-sess, qop=\"{offered}\"");
            let (_, value) = answer(401, &[&line]).unwrap();
            assert!(value.contains(taken) && value.contains("algorithm=SHA-256-sess"), "{value}");
        }
    }

    #[test]
    fn counts_rise_and_only_a_stale_nonce_is_tried_again() {
        let line = "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", opaque=\"o\"";
        let mut session = Session::open(401, &challenged(401, &[line]), 1, false).unwrap();
        let credentials = Credentials { username: "u".into(), password: "p".into() };
        for count in ["nc=00000001", "nc=00000002"] {
            let (_, value) = session.answer(&credentials, &Method::Register, b"sip:h", b"");
            assert!(value.contains(count) && value.contains("opaque=\"o\""), "{value}");
            assert!(value.contains("cnonce=\"0000000000000001\""), "{value}");
        }
        assert!(Session::open(401, &challenged(401, &[line]), 1, true).is_none());
        let stale = format!("{line}, stale=TRUE");
        assert!(Session::open(401, &challenged(401, &[line, &stale]), 1, true).is_some());
    }
}
