//! Reason (RFC 3326).

use super::params::{find_outside, trim};
use super::{Params, unquote};

/// Whose causes a [`Reason`] speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// ITU-T Q.850 causes.
    Q850,
    /// SIP status codes.
    Sip,
    /// Anything else.
    Other,
}

/// One Reason value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Whose causes.
    pub scheme: Scheme,
    /// The cause, when given.
    pub cause: Option<u16>,
    /// The text; empty when there is none.
    pub text: String,
}

impl Reason {
    /// A Q.850 cause.
    pub fn q850(cause: u16, text: &str) -> Reason {
        Reason { scheme: Scheme::Q850, cause: Some(cause), text: text.into() }
    }

    /// A SIP status.
    pub fn sip(status: u16, text: &str) -> Reason {
        Reason { scheme: Scheme::Sip, cause: Some(status), text: text.into() }
    }

    /// Reads one value.
    pub fn parse(value: &[u8]) -> Option<Reason> {
        let end = find_outside(value, b";", false).unwrap_or(value.len());
        let protocol = trim(value.get(..end)?);
        let params = Params::new(value.get(end..)?);
        let scheme = match protocol {
            [] => return None,
            p if p.eq_ignore_ascii_case(b"Q.850") => Scheme::Q850,
            p if p.eq_ignore_ascii_case(b"SIP") => Scheme::Sip,
            _ => Scheme::Other,
        };
        let cause = params.get("cause").and_then(|c| std::str::from_utf8(c).ok()?.parse().ok());
        let text = params.get("text").map(unquote).unwrap_or_default();
        Some(Reason { scheme, cause, text: String::from_utf8_lossy(&text).into_owned() })
    }

    pub(crate) fn encode(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Q850 => "Q.850",
            Scheme::Sip => "SIP",
            Scheme::Other => "X-Other",
        };
        let mut out = scheme.to_string();
        if let Some(cause) = self.cause {
            out.push_str(&format!(";cause={cause}"));
        }
        if !self.text.is_empty() {
            out.push_str(";text=");
            out.push_str(&super::quoted(&self.text));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        let reason = Reason::parse(br#"Q.850 ;cause=16 ;text="Normal; \"call\" clearing""#).unwrap();
        assert_eq!(reason, Reason::q850(16, "Normal; \"call\" clearing"));
        assert_eq!(Reason::parse(reason.encode().as_bytes()), Some(reason));
        assert_eq!(Reason::parse(b"SIP").unwrap().cause, None);
        assert_eq!(Reason::parse(b""), None);
    }
}
