//! A URI: its parts are parts of it, and an address is one.
#![no_main]

use kraliki_sip::Uri;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(uri) = Uri::parse(bytes) else { return };
    assert!(!uri.scheme.is_empty() && bytes.starts_with(uri.scheme));
    assert!(!uri.is_sip() || !uri.host.is_empty());
    for part in [uri.user.unwrap_or_default(), uri.host, uri.headers] {
        assert!(part.is_empty() || bytes.windows(part.len()).any(|window| window == part));
    }
    let _ = uri.address();
    for (name, value) in uri.params.iter() {
        assert!(!name.is_empty() && name.len() + value.len() < bytes.len());
    }
});
