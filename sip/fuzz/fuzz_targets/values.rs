//! A header value, read as each kind that there is.
#![no_main]

use kraliki_sip::{CSeq, Challenge, NameAddr, Params, Reason, Values, Via};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut total = 0;
    for value in Values::new(bytes) {
        assert!(!value.is_empty());
        total += value.len();
        if let Some(address) = NameAddr::parse(value) {
            assert!(!address.uri.is_empty());
            let _ = (address.tag(), address.parsed_uri());
        }
        if let Some(via) = Via::parse(value) {
            assert!(!via.host.is_empty());
            let _ = via.branch();
        }
        let _ = Reason::parse(value);
    }
    assert!(total <= bytes.len());
    if let Some(cseq) = CSeq::parse(bytes) {
        assert!(cseq.number <= i32::MAX as u32 && !cseq.method.is_empty());
    }
    if let Some(challenge) = Challenge::parse(bytes) {
        for name in ["realm", "nonce", "qop", "response"] {
            let _ = challenge.get(name);
        }
    }
    for (name, value) in Params::new(bytes).iter() {
        assert!(!name.is_empty() && name.len() + value.len() <= bytes.len());
    }
});
