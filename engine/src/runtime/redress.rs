//! Who blocks a call says where that can be contested: a 608 by Call-Info (RFC 8688 §3.2), a "603+" by its Reason
//! (ATIS-1000099).

use kraliki_sip::{Reason, Scheme};

use crate::outcome::names_analytics;

/// The longest address that is kept.
const ADDRESS_MOST: usize = 500;

/// The text of the Reason that says most: of several the one that names an analytics engine.
pub(super) fn reason(reasons: &[Reason]) -> String {
    let said = reasons.iter().find(|reason| names_analytics(&reason.text)).or(reasons.first());
    said.map(|reason| reason.text.clone()).unwrap_or_default()
}

/// An address of the web, mail or telephone.
pub(super) fn address(call_info: Option<&[u8]>, reasons: &[Reason]) -> Option<String> {
    let of_info = call_info.and_then(|value| std::str::from_utf8(value).ok()).and_then(of_call_info);
    let of_reason = || reasons.iter().filter(|r| r.scheme == Scheme::Sip).find_map(|r| of_text(&r.text));
    of_info.or_else(of_reason).filter(|found| {
        found.len() <= ADDRESS_MOST && !found.chars().any(|c| c.is_control() || c.is_whitespace())
    })
}

/// `<https://block.example/complaint>;purpose=jwscard`: of several the one with that purpose.
fn of_call_info(value: &str) -> Option<String> {
    let mut infos = value.split('<').skip(1).filter_map(|rest| {
        let (uri, parameters) = rest.split_once('>')?;
        let known = ["https://", "http://", "mailto:", "tel:"].iter().any(|scheme| uri.starts_with(scheme));
        known.then(|| (uri, parameters.to_ascii_lowercase()))
    });
    let first = infos.next()?;
    let card = |info: &(&str, String)| info.1.contains("purpose=jwscard") || info.1.contains("purpose=card");
    let best = if card(&first) { first } else { infos.find(card).unwrap_or(first) };
    Some(best.0.to_owned())
}

/// `v=analytics1;url=https://block.example/contest;tel=…;email=…`
fn of_text(text: &str) -> Option<String> {
    if !names_analytics(text) {
        return None;
    }
    let part = |name: &str| {
        let found = text.split(';').find_map(|part| part.trim().strip_prefix(name));
        found.map(str::trim).filter(|value| !value.is_empty())
    };
    let (url, mail, tel) = (part("url="), part("email="), part("tel="));
    url.map(str::to_owned)
        .or(mail.map(|mail| format!("mailto:{mail}")))
        .or(tel.map(|tel| format!("tel:{tel}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_block_can_be_contested() {
        let card = b"<https://block.example/call.json>;purpose=jwscard";
        assert_eq!(address(Some(card), &[]).as_deref(), Some("https://block.example/call.json"));
        let several = b"<https://a.example/icon.png>;purpose=icon, <https://b.example/card>;purpose=jwscard";
        assert_eq!(address(Some(several), &[]).as_deref(), Some("https://b.example/card"));
        let plus = |text: &str| [Reason::q850(21, "Call rejected"), Reason::sip(603, text)];
        let said = plus("v=analytics1;url=https://c.example/contest;email=help@c.example");
        assert_eq!(address(None, &said).as_deref(), Some("https://c.example/contest"));
        assert_eq!(reason(&said), said[1].text);
        assert_eq!(
            address(None, &plus("v=analytics1;tel=+12025550100")).as_deref(),
            Some("tel:+12025550100")
        );
        assert_eq!(address(None, &plus("Decline")), None);
        assert_eq!(reason(&plus("Decline")), "Call rejected");
        for nonsense in ["<javascript:alert(1)>", "https://no.example", "<https://a b.example>", ""] {
            assert_eq!(address(Some(nonsense.as_bytes()), &[]), None, "{nonsense}");
        }
    }
}
