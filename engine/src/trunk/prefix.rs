//! Prefixes of numbers: which a trunk may call and at what price, and which are never called.

/// How long the longest of these prefixes is that the number begins with.
pub(crate) fn longest<'a>(prefixes: impl IntoIterator<Item = &'a String>, number: &str) -> Option<usize> {
    let fitting = prefixes.into_iter().filter(|prefix| number.starts_with(prefix.as_str()));
    fitting.map(|prefix| prefix.len()).max()
}

/// Whether it is a prefix as they are written: `+` alone (every number), or `+` and up to 15 digits.
pub(crate) fn is_prefix(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
    })
}

/// Ranges that cost whoever calls them, by the ITU's list of assigned codes and the countries' numbering plans: satellite
/// phones, international networks and shared cost, universal personal numbers, and what is sold by the minute.
const PREMIUM: &[&str] = &[
    // Worldwide: shared cost, Inmarsat and maritime, universal personal numbers, satellite, networks, premium rate.
    "+808", "+87", "+881", "+882", "+883", "+888", "+979",  // North America
    "+1900", // United Kingdom: premium, special services, personal numbers.
    "+449", "+44871", "+44872", "+44873", "+4470", // Spain
    "+34803", "+34806", "+34807", "+34905", "+34907", // Czechia, Slovakia
    "+420900", "+420906", "+420908", "+420909", "+421900", // Germany, Austria, Switzerland
    "+49900", "+49137", "+43900", "+43901", "+43930", "+43931", "+43939", "+41900", "+41901", "+41906",
    // France, Italy
    "+3389", "+39892", "+39894", "+39895", "+39899", // The Netherlands, Belgium
    "+31900", "+31906", "+31909", "+3290", // Poland, Hungary, Denmark, Sweden
    "+4870", "+3690", "+4590", "+46900", "+46939", "+46944", // Australia, New Zealand
    "+61190", "+64900",
];

/// Whether a call there is paid for by the caller beyond the call itself. Such numbers are never called, whatever a trunk
/// allows.
pub(crate) fn is_premium(number: &str) -> bool {
    // In North America the exchange 976 is sold by the minute in every area.
    let exchange = number.strip_prefix("+1").and_then(|rest| rest.get(3..6));
    exchange == Some("976") || PREMIUM.iter().any(|prefix| number.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts() {
        let prefixes = ["+1".to_owned(), "+1876".to_owned(), "+".to_owned()];
        let of = |number| longest(&prefixes, number);
        assert_eq!((of("+18765550100"), of("+12025550100"), of("+34600000000")), (Some(5), Some(2), Some(1)));
        assert_eq!(longest(&prefixes[..2], "+34600000000"), None);
        for (text, right) in [("+", true), ("+34", true), ("34", false), ("+0", false), ("+3a", false)] {
            assert_eq!(is_prefix(text), right, "{text}");
        }
    }

    #[test]
    fn numbers_that_are_sold_by_the_minute_are_known() {
        let never = ["+19005550100", "+12129765555", "+449098790000", "+34803123456", "+881612345678"];
        assert!(never.into_iter().all(is_premium));
        let may = ["+12125550100", "+442079460000", "+34912345678", "+420212345678", "+12025559760"];
        assert!(!may.into_iter().any(is_premium));
    }
}
