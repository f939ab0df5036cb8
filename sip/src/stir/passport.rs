//! PASSporT: the signed token (RFC 8225) with the claims of SHAKEN (RFC 8588), as JSON and as text.
//!
//! JSON is written in one canonical form (RFC 8225 §9): keys in lexicographic order, no white space. The fields below
//! stand in that order, and serde writes them as they stand.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::party::Party;

/// How well the signer knows the caller (RFC 8588 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Attestation {
    /// Full: the signer knows the customer, and that the number is theirs.
    A,
    /// Partial: the signer knows the customer, not whether the number is theirs.
    B,
    /// Gateway: the signer only knows where the call came in.
    C,
}

impl Attestation {
    /// `A`, `B` or `C`.
    pub fn as_str(self) -> &'static str {
        match self {
            Attestation::A => "A",
            Attestation::B => "B",
            Attestation::C => "C",
        }
    }
}

/// The protected header. Unknown members are passed over, as RFC 7515 §4 asks.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    /// Members that a verifier must understand or refuse (RFC 7515 §4.1.11). None are known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crit: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ppt: Option<String>,
    pub(super) typ: String,
    pub(super) x5u: String,
}

/// The claims. Others than these (`rcd`, say) may stand beside them.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) attest: Attestation,
    pub(super) dest: Parties,
    pub(super) iat: u64,
    pub(super) orig: Parties,
    pub(super) origid: String,
}

/// `{"tn":…}`, `{"uri":…}`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parties {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tn: Option<Texts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uri: Option<Texts>,
}

/// `orig` holds one text and `dest` a list (RFC 8225 §5.2.1). Reading takes either for both: some signers mix them up,
/// and what is signed are the bytes as they came.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    fn any(&self, wanted: impl Fn(&str) -> bool) -> bool {
        match self {
            Texts::One(text) => wanted(text),
            Texts::Many(texts) => texts.iter().any(|text| wanted(text)),
        }
    }
}

impl Parties {
    pub(super) fn one(party: Party) -> Parties {
        match party {
            Party::Number(tn) => Parties { tn: Some(Texts::One(tn)), uri: None },
            Party::Uri(uri) => Parties { tn: None, uri: Some(Texts::One(uri)) },
        }
    }

    pub(super) fn many(parties: Vec<Party>) -> Parties {
        let (mut numbers, mut uris) = (Vec::new(), Vec::new());
        for party in parties {
            match party {
                Party::Number(tn) => numbers.push(tn),
                Party::Uri(uri) => uris.push(uri),
            }
        }
        let list = |texts: Vec<String>| (!texts.is_empty()).then_some(Texts::Many(texts));
        Parties { tn: list(numbers), uri: list(uris) }
    }

    /// Whether `party` is named.
    pub(super) fn has(&self, party: &Party) -> bool {
        let texts = match party {
            Party::Number(_) => &self.tn,
            Party::Uri(_) => &self.uri,
        };
        // What was signed is brought to canonical form too: a `+` that a signer left in changes nobody.
        texts.as_ref().is_some_and(|texts| texts.any(|text| Party::of(text).as_ref() == Some(party)))
    }
}

/// `header.claims`: what is signed (RFC 7515 §5.1).
pub(super) fn signing_input(header: &Header, claims: &Claims) -> Result<String, serde_json::Error> {
    let (header, claims) = (serde_json::to_vec(header)?, serde_json::to_vec(claims)?);
    Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)))
}

/// Binary as base64url without padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token that was taken apart, its signature not looked at.
pub(super) struct Token<'a> {
    /// The text that is signed.
    pub(super) signed: &'a str,
    pub(super) header: Header,
    /// The claims, still as JSON: they are read only when the header is one of ours.
    claims: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Takes `header.claims.signature` apart; otherwise says what is wrong with it.
    pub(super) fn parse(text: &'a str) -> Result<Token<'a>, &'static str> {
        let (signed, signature) = text.rsplit_once('.').ok_or("the token has no signature")?;
        let (header, claims) = signed.split_once('.').ok_or("the token has no claims")?;
        if header.is_empty() || claims.is_empty() {
            // RFC 8225 §7. SHAKEN needs the full form: the compact one cannot carry its claims.
            return Err("the token is in the compact form");
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "the token is not base64url");
        let header = serde_json::from_slice(&decode(header)?)
            .map_err(|_| "the token's header is not JSON with alg, typ and x5u")?;
        Ok(Token { signed, header, claims: decode(claims)?, signature: decode(signature)? })
    }

    pub(super) fn claims(&self) -> Result<Claims, &'static str> {
        serde_json::from_slice(&self.claims)
            .map_err(|_| "the token's claims are not JSON with attest, dest, iat, orig and origid")
    }
}
